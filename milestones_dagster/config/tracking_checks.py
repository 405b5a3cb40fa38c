"""Whether the events and properties that the framework names are in the tracking plan.

Put here checks between `framework.yaml` and `tracking_plan.yaml`. An event that is not in the plan is a warning and
never an error: a slip of the pen must not stop a first run, and the checks on the loaded rows tell of it again. Keep
out checks on rows.
"""

from collections.abc import Iterator, Mapping

from milestones_dagster.config.document import Document
from milestones_dagster.config.events import expand, is_pattern
from milestones_dagster.config.framework_checks import repeated
from milestones_dagster.config.problems import Path, Problem

_EVENTS = (
    "core_events.*",
    "setup.steps.*.events.*",
    "activation.events.*",
    "usage.events.*",
    "usage.reopened_by.*",
    "usage.contact_events.*",
    "features.catalogue.*.events.*",
    "features.catalogue.*.on_events.*",
    "features.catalogue.*.off_events.*",
    "areas.*.events.*",
)
_RULES = ("setup.steps.*", "activation", "usage")


def check_events(documents: Mapping[str, Document]) -> list[Problem]:
    """Return what is wrong with the tracking plan and with the events that the framework names."""
    framework, plan = documents.get("framework.yaml"), documents.get("tracking_plan.yaml")
    problems = list(repeated(plan, "events.*.name", "each event once")) if plan else []
    if framework is None:
        return problems
    tracked = tuple(name for _, name in plan.texts("events.*.name")) if plan else ()
    for pattern in _EVENTS:
        for path, name in framework.texts(pattern):
            problems += _event(framework, path, name, tracked)
    if plan is not None and tracked:
        declared = _declared_properties(plan)
        for pattern in _RULES:
            for path, _ in framework.each(pattern):
                problems += _properties(framework, path, tracked, declared)
        problems += _contacts(framework, tracked, declared)
    return problems


def _event(framework: Document, path: Path, name: str, tracked: tuple[str, ...]) -> Iterator[Problem]:
    if is_pattern(name):
        if not tracked:
            yield framework.problem(path, "the name of an event: patterns need a tracking_plan.yaml to match against")
        elif not expand([name], tracked):
            yield framework.problem(path, "a pattern that an event of tracking_plan.yaml matches", known=tracked)
    elif tracked and name not in tracked:
        yield framework.problem(path, "an event of tracking_plan.yaml", known=tracked, severity="warning")


def _declared_properties(plan: Document) -> dict[str, frozenset[str]]:
    declared: dict[str, frozenset[str]] = {}
    for path, name in plan.texts("events.*.name"):
        properties = plan.value((*path[:-1], "properties"))
        declared[name] = frozenset(properties) if isinstance(properties, dict) else frozenset()
    return declared


def _properties(
    framework: Document, path: Path, tracked: tuple[str, ...], declared: Mapping[str, frozenset[str]]
) -> Iterator[Problem]:
    pattern = ".".join(str(part) for part in path)
    names = [name for _, name in framework.texts(f"{pattern}.events.*")]
    known = [declared.get(event, frozenset()) for event in expand(names, tracked)]
    # an event that declares no properties may have any
    if not known or not all(known):
        return
    union = tuple(sorted(frozenset().union(*known)))
    named = [(each, str(each[-1])) for each, _ in framework.each(f"{pattern}.where.*")]
    named += [(each, text) for each, text in framework.texts(f"{pattern}.entity")]
    named += [(each, text) for each, text in framework.texts(f"{pattern}.distinct") if text != "users"]
    for each, name in named:
        if name not in union:
            yield framework.problem(
                each,
                "a property that tracking_plan.yaml gives these events",
                found=f"'{name}'",
                known=union,
                severity="warning",
            )


def _contacts(framework: Document, tracked: tuple[str, ...], declared: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """Yield a problem for every name of a contact's events whose events all declare properties, and none the entity."""
    for _, entity in framework.texts("usage.entity"):
        for path, name in framework.texts("usage.contact_events.*"):
            known = [declared.get(event, frozenset()) for event in expand([name], tracked)]
            if known and all(known) and entity not in frozenset().union(*known):
                yield framework.problem(
                    path,
                    f"an event that tracking_plan.yaml gives the property {entity}, which tells what the contact takes part in",
                    severity="warning",
                )
