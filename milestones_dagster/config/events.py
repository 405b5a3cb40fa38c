"""Event names as the framework writes them, and what uses each of them.

Put here how a name or a pattern becomes events of the tracking plan. Keep out what is done with the events.
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from milestones_dagster.config.framework import AttributeFeature, EventFeature, Feature, Framework, SettingFeature


def is_pattern(name: str) -> bool:
    """Return whether the text is a pattern (`nova.*`) and not the name of one event."""
    return any(sign in name for sign in "*?[")


def expand(names: Iterable[str], tracked: Sequence[str]) -> tuple[str, ...]:
    """Return the events that the names and patterns mean, each once: names as given, patterns in the plan's order."""
    events: dict[str, None] = {}
    for name in names:
        matched = [event for event in tracked if fnmatchcase(event, name)] if is_pattern(name) else [name]
        events.update(dict.fromkeys(matched))
    return tuple(events)


def feature_events(feature: Feature) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each role (`use`, `on`, `off`) of a feature's events with the names or patterns that the config gives."""
    match feature:
        case EventFeature():
            yield "use", feature.events
        case SettingFeature():
            yield "on", feature.on_events
            yield "off", feature.off_events
        case AttributeFeature():
            return


def area_metrics(framework: Framework) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each area's measure, with the names or patterns of the events that it counts, in the areas' order."""
    by_name = {feature.name: feature for feature in framework.features.catalogue}
    for area in framework.areas:
        if area.feature is None:
            yield str(area.measure), area.events or ()
        else:
            feature = by_name[area.feature]
            yield feature.measure, tuple(name for _, names in feature_events(feature) for name in names)


def uses(framework: Framework) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """Yield everything in the framework that uses events, in words, with the names or patterns and the entity that it gives.

    The entity may tell the account of an event that names none; where it is None, such an event is matched by nothing.
    """
    for step in framework.setup.steps:
        yield f"setup step {step.name}", step.events, None
    yield "activation", framework.activation.events, None
    yield "usage", framework.usage.events, framework.usage.entity
    yield "usage reopened", framework.usage.reopened_by, framework.usage.entity
    yield "usage contact", framework.usage.contact_events, framework.usage.entity
    yield "core events", framework.core_events, None
    by_feature: dict[str, tuple[str, ...]] = {}
    for feature in framework.features.catalogue:
        by_feature[feature.name] = tuple(name for _, names in feature_events(feature) for name in names)
        yield f"feature {feature.name}", by_feature[feature.name], None
    for category in framework.maturity.categories:
        used = dict.fromkeys((*category.basic.of, *category.mature.of))
        yield f"category {category.name}", tuple(name for feature in used for name in by_feature.get(feature, ())), None
    for area, (_, names) in zip(framework.areas, area_metrics(framework), strict=True):
        yield f"area {area.name}", names, None
