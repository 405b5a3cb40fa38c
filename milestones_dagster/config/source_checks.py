"""What `sources.yaml` must hold for itself and for the framework, and what a quality file may hold.

Put here checks that need the sources, or the SQL that a company writes. Keep out checks on the files' rows and
columns.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from pathlib import PurePosixPath

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from milestones_dagster.config.document import Document
from milestones_dagster.config.framework_checks import repeated
from milestones_dagster.config.problems import Path, Problem
from milestones_dagster.config.sources import format_of

_SNAPSHOTS = ("accounts", "users", "subscriptions")
_EVERY_SOURCE = ("events.*", *_SNAPSHOTS)
_MAPPED = ("plan", "seats", "segment")
_TAKEN_ATTRIBUTES = {
    "accounts": ("account_id", "account_key", "created_at", "mrr", *_MAPPED),
    "users": ("user_id", "user_key", "account_id", "account_key", "created_at"),
}


def check_sources(documents: Mapping[str, Document], config_dir: FilePath) -> list[Problem]:
    """Return what is wrong with `sources.yaml`, by itself and for what the framework asks of it."""
    sources = documents.get("sources.yaml")
    if sources is None:
        return []
    problems = list(_presence(sources))
    problems += repeated(sources, "events.*.name", "each name once")
    for pattern in _EVERY_SOURCE:
        for path, _ in sources.each(pattern):
            problems += _format(sources, path, config_dir)
            problems += _sql(sources, path)
    problems += _names(sources)
    problems += _price_list(sources)
    framework = documents.get("framework.yaml")
    if framework is not None:
        problems += _bases(framework, sources)
        problems += _feature_attributes(framework, sources)
    return problems


def check_quality(documents: Mapping[str, Document]) -> list[Problem]:
    """Return what is wrong with the quality files beyond their grammar."""
    problems: list[Problem] = []
    for file, document in documents.items():
        if not file.startswith("quality/"):
            continue
        problems += repeated(document, "expectations.*.name", "each name once")
        problems += repeated(document, "quarantine.*.name", "each name once")
        if file != "quality/raw_events.yaml" and document.value(("quarantine",)):
            problems.append(document.problem(("quarantine",), "no such key: only quality/raw_events.yaml sets rows aside"))
        for path, condition in document.texts("quarantine.*.where"):
            problems += _condition(document, path, condition)
    return problems


def _presence(sources: Document) -> Iterator[Problem]:
    if not sources.value(("accounts",)) and not sources.value(("events",)):
        yield sources.problem((), "at least one of the two", found="neither accounts nor events")


def _format(sources: Document, path: Path, config_dir: FilePath) -> Iterator[Problem]:
    location = sources.value((*path, "path"))
    if not isinstance(location, str) or sources.value((*path, "format")) is not None or format_of(location):
        return
    # a folder's files say their own formats
    if not PurePosixPath(location).suffix or (config_dir / location).is_dir():
        return
    yield sources.problem((*path, "path"), "a suffix that says the format (.csv, .tsv, .jsonl, .parquet), or `format` beside it")


def _sql(sources: Document, path: Path) -> Iterator[Problem]:
    here = (*path, "sql")
    text = sources.value(here)
    if not isinstance(text, str):
        return
    try:
        statements = sqlglot.parse(text, dialect="duckdb")
    except SqlglotError:
        # the engine may know a syntax that the parser does not: it decides when the file is read
        yield sources.problem(here, "a SELECT in DuckDB's SQL; this one could not be parsed", severity="warning")
        return
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        yield sources.problem(here, "one SELECT")
    elif all(table.name.lower() != "file" for table in statements[0].find_all(exp.Table)):
        yield sources.problem(here, "a SELECT that reads `file`, the rows of one file", known=())


def _condition(document: Document, path: Path, condition: str) -> Iterator[Problem]:
    try:
        parsed = sqlglot.parse_one(condition, dialect="duckdb", into=exp.Condition)
    except SqlglotError:
        yield document.problem(path, "a SQL condition over the columns of raw_events")
        return
    if parsed.find(exp.Query) is not None:
        yield document.problem(path, "a condition over the row itself, without a SELECT")


def _names(sources: Document) -> Iterator[Problem]:
    for path, name in sources.texts("events.*.name"):
        if name in _SNAPSHOTS:
            yield sources.problem(path, f"another name: {name} is the name of a source of its own")
    for path, _ in sources.each("events.*.properties"):
        yield from repeated(sources, ".".join(str(part) for part in (*path, "*")), "each column once")
    for kind, taken in _TAKEN_ATTRIBUTES.items():
        for path, _ in sources.each(f"{kind}.attributes.*"):
            if path[-1] in taken:
                yield sources.problem(path, "another name: this one has a meaning of its own", found=f"'{path[-1]}'")
    for path, _ in sources.each("accounts.known_at.*"):
        if path[-1] in _MAPPED and not sources.value(("accounts", "columns", str(path[-1]))):
            yield sources.problem(path, f"`{path[-1]}` under accounts.columns beside it")


def _price_list(sources: Document) -> Iterator[Problem]:
    flag = ("subscriptions", "columns", "is_price_list_change")
    if sources.value(flag) and not sources.value(("subscriptions", "columns", "mrr")):
        yield sources.problem(flag, "`mrr` under subscriptions.columns beside it: a change of the price list is one of revenue")


def _bases(framework: Document, sources: Document) -> Iterator[Problem]:
    basis = ("outcomes", "retention", "basis")
    if framework.value(basis) == "subscriptions" and not sources.value(("subscriptions",)):
        yield framework.problem(basis, "activity, since sources.yaml maps no subscriptions")
    seats = ("usage", "seats")
    needed: dict[object, tuple[Path, str]] = {
        "subscriptions": (("subscriptions", "columns", "seats"), "subscriptions.columns.seats"),
        "account": (("accounts", "columns", "seats"), "accounts.columns.seats"),
    }
    path, text = needed.get(framework.value(seats), ((), ""))
    if text and not sources.value(path):
        yield framework.problem(seats, f"another basis, or `{text}` in sources.yaml")
    elif framework.value(seats) == "account":
        if sources.value(("subscriptions",)):
            yield framework.problem(seats, "subscriptions or active_users: mapped subscriptions alone tell the seats of a date")
        elif (sources.value(("accounts", "known_at", "seats")) or "hindsight") == "hindsight":
            yield framework.problem(seats, "active_users, or `accounts.known_at.seats: created` (or history) in sources.yaml")
    has_events = bool(sources.value(("events",)))
    if has_events and not any(True for _ in sources.each("events.*.columns.user_id")):
        if framework.value(seats) == "active_users":
            yield framework.problem(seats, "another basis, or `columns.user_id` for an event feed in sources.yaml")
        for step, text in framework.texts("setup.steps.*.distinct"):
            if text == "users":
                yield framework.problem(step, "a property, or `columns.user_id` for an event feed in sources.yaml")


def _feature_attributes(framework: Document, sources: Document) -> Iterator[Problem]:
    known = _attributes(sources)
    for path, attribute in framework.texts("features.catalogue.*.attribute"):
        known_at = known.get(attribute)
        if known_at is None:
            yield framework.problem(
                path,
                "plan, seats or mrr of subscriptions, or an attribute of accounts, mapped in sources.yaml",
                known=tuple(known),
            )
        elif known_at == "hindsight":
            yield framework.problem(
                path,
                f"an attribute known at its time: feature_matrix refuses the column {attribute} of accounts, which is "
                "known only in hindsight (known_at: created or history in sources.yaml, if that is true of it)",
            )


def _attributes(sources: Document) -> dict[str, str]:
    """From when on each attribute that a feature may read was known, by name."""
    known: dict[str, str] = {}
    for name in _MAPPED:
        if sources.value(("accounts", "columns", name)):
            known[name] = str(sources.value(("accounts", "known_at", name)) or "hindsight")
    for path, _ in sources.each("accounts.attributes.*"):
        known[str(path[-1])] = str(sources.value((*path, "known_at")) or "hindsight")
    # where subscriptions are mapped, their history alone tells plan and seats of a date
    for name in ("plan", "seats", "mrr"):
        if sources.value(("subscriptions", "columns", name)):
            known[name] = "history"
        elif sources.value(("subscriptions",)):
            known.pop(name, None)
    return known
