"""What names inside `framework.yaml` must refer to, and which of its numbers must fit together.

Put here checks within that file that span its sections. They read the document and not the model, so that they speak
even when another key of the file is bad. Keep out checks against the sources and the tracking plan.
"""

from collections.abc import Iterator, Mapping
from typing import get_args

from milestones_dagster.config.areas import AreaMeasure
from milestones_dagster.config.document import Document
from milestones_dagster.config.duration import DayDuration
from milestones_dagster.config.framework import Maturity
from milestones_dagster.config.problems import Problem

_NAMED = ("plans.*.name", "setup.steps.*.name", "maturity.categories.*.name", "features.catalogue.*.name", "areas.*.name")
_LEVELS = ("basic", "mature")

# features become columns of feature_matrix, and of what the ranking reads, beside these
_RESERVED_FEATURES = frozenset(
    {"account_id", "account_key", "account_mrr", "missed_after", "observed_at", "known_at", "retained", "plan", "size_stratum"}
)


def check_framework(documents: Mapping[str, Document]) -> list[Problem]:
    """Return what is wrong between the sections of `framework.yaml`."""
    document = documents.get("framework.yaml")
    if document is None:
        return []
    problems = [problem for pattern in _NAMED for problem in repeated(document, pattern, "each name once")]
    problems += _plans(document)
    problems += _features(document)
    problems += _maturity(document)
    problems += _areas(document)
    return problems


def repeated(document: Document, pattern: str, expected: str) -> Iterator[Problem]:
    """Yield a problem for every text at the pattern that stands there a second time."""
    first: dict[str, int] = {}
    for path, text in document.texts(pattern):
        if text in first:
            yield document.problem(path, expected, found=f"'{text}' again (first on line {first[text]})")
        else:
            first[text] = document.line(path)


def _plans(document: Document) -> Iterator[Problem]:
    known = tuple(plan for _, plan in document.texts("plans.*.name"))
    expected = "a plan declared under plans" + (f": {', '.join(known)}" if known else " (none is)")
    for path, plan in document.texts("features.catalogue.*.plans.*"):
        if plan not in known:
            yield document.problem(path, expected, known=known)


def _features(document: Document) -> Iterator[Problem]:
    for path, name in document.texts("features.catalogue.*.name"):
        if name in _RESERVED_FEATURES:
            yield document.problem(path, "another name: feature_matrix has a column of this name")


def _maturity(document: Document) -> Iterator[Problem]:
    categories = document.value(("maturity", "categories"))
    count = len(categories) if isinstance(categories, list) else 0
    asked = document.value(("maturity", "mature_categories"))
    default = Maturity.model_fields["mature_categories"].default
    asked = default if asked is None else asked
    if count and isinstance(asked, int) and asked > count:
        yield document.problem(("maturity", "mature_categories"), f"at most the number of categories, {count}", found=str(asked))
    known = tuple(name for _, name in document.texts("features.catalogue.*.name"))
    for level in _LEVELS:
        for path, feature in document.texts(f"maturity.categories.*.{level}.of.*"):
            if feature not in known:
                yield document.problem(path, "a feature of the catalogue", known=known)
        for path, _ in document.each(f"maturity.categories.*.{level}.of"):
            yield from repeated(document, ".".join(str(part) for part in (*path, "*")), "each feature once")
        for path, days in document.each(f"maturity.categories.*.{level}.minimum_days"):
            window = _window_days(document)
            if isinstance(days, int) and days > window:
                yield document.problem(path, f"at most the days of maturity.window, {window}")


def _areas(document: Document) -> Iterator[Problem]:
    measures = {name: document.value((*path[:-1], "measure")) for path, name in document.texts("features.catalogue.*.name")}
    for path, feature in document.texts("areas.*.feature"):
        if feature not in measures:
            yield document.problem(path, "a feature of the catalogue", known=tuple(measures))
        elif measures[feature] not in get_args(AreaMeasure):
            expected = f"a feature of measure {', '.join(get_args(AreaMeasure))}"
            yield document.problem(path, expected, found=f"'{feature}', of measure {measures[feature]}")


def _window_days(document: Document) -> int:
    text = document.value(("maturity", "window"))
    default: DayDuration = Maturity.model_fields["window"].default
    try:
        return DayDuration.parse(text).days if isinstance(text, str) else default.days
    except ValueError:
        return default.days
