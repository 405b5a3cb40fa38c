"""The config as small relations: what the static SQL joins instead of being built from strings.

Put here every relation of the `config` catalogue: its columns, with DuckDB's type names, and its rows. Keep out how
they are attached to a connection: this module knows no engine. All relations always exist, some without rows.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from milestones_dagster.config.events import area_metrics, expand, feature_events, uses
from milestones_dagster.config.framework import AttributeFeature, Framework

if TYPE_CHECKING:
    from milestones_dagster.config.company import CompanyConfig
    from milestones_dagster.config.duration import Duration

# what the framework makes, and so what its fingerprint covers; the rest comes from the sources and the tracking plan
_OUTSIDE_FRAMEWORK = frozenset({"tracked_event", "attribute", "declared_source"})

Row = tuple[object, ...]


@dataclass(frozen=True)
class Relation:
    """A small table: columns with their DuckDB type names, in order, and its rows."""

    columns: Mapping[str, str]
    rows: list[Row] = field(default_factory=list)


def relations(config: "CompanyConfig") -> dict[str, Relation]:
    """Return every relation of the `config` catalogue by name."""
    framework, tracked = config.framework, config.tracking_plan.names
    return {
        "product": _relation(
            "product VARCHAR, time_zone VARCHAR, currency VARCHAR",
            [(framework.product, framework.time_zone, framework.currency)],
        ),
        "duration": _relation("name VARCHAR, months INTEGER, seconds BIGINT", _durations(framework)),
        "threshold": _relation(
            "milestone VARCHAR, position INTEGER, adopted DOUBLE, is_auto BOOLEAN",
            [
                ("activation", 1, framework.activation.adopted, framework.activation.is_auto),
                ("usage", 2, framework.usage.adopted, framework.usage.is_auto),
                ("maturity", 3, float(framework.maturity.mature_categories), False),
            ],
        ),
        "policy": _policy(framework),
        "plan": _relation(
            "plan VARCHAR, title VARCHAR, sells_seats BOOLEAN",
            [(plan.name, plan.title or plan.name, plan.sells_seats) for plan in framework.plans],
        ),
        **_rules(framework, tracked),
        **_maturity(framework),
        **_features(framework, tracked),
        **_areas(framework, tracked),
        "size_stratum": _relation(
            "stratum VARCHAR, seats_from DOUBLE, seats_to DOUBLE, position INTEGER",
            [
                (label, float(low), None if high is None else float(high), position)
                for label, low, high, position in _bands(framework.size_strata)
            ],
        ),
        "activation_band": _relation(
            "band VARCHAR, count_from BIGINT, count_to BIGINT, position INTEGER",
            _bands(framework.retention_by_activation.bands),
        ),
        "feature_ranking": _ranking(framework),
        "evidence": _relation(
            "minimum_effect DOUBLE, niche_step_share DOUBLE, routine_step_share DOUBLE",
            [
                (
                    float(framework.evidence.minimum_effect),
                    float(framework.evidence.niche_step),
                    float(framework.evidence.routine_step),
                )
            ],
        ),
        "threshold_search": _threshold_search(framework),
        "review": _relation("adopted_at TIMESTAMP", [(_instant(framework.review.adopted_on, framework),)]),
        "tracked_event": _relation(
            "event VARCHAR, description VARCHAR",
            [(event.name, event.description) for event in config.tracking_plan.events],
        ),
        "attribute": _relation("source VARCHAR, attribute VARCHAR, known_at VARCHAR", _attributes(config)),
        "declared_source": _relation("source VARCHAR, kind VARCHAR", _declared_sources(config)),
        "configured_event": _relation(
            "event VARCHAR, used_by VARCHAR, has_entity BOOLEAN",
            [(event, user, entity is not None) for user, names, entity in uses(framework) for event in expand(names, tracked)],
        ),
    }


def fingerprint(made: Mapping[str, Relation]) -> str:
    """Return the SHA-256, in hex, of the relations that the framework makes, whatever the order of their rows."""
    canonical = {
        name: [dict(relation.columns), sorted(json.dumps(row, default=str) for row in relation.rows)]
        for name, relation in made.items()
        if name not in _OUTSIDE_FRAMEWORK
    }
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


def _relation(columns: str, rows: Iterable[Row] = ()) -> Relation:
    pairs = (column.split(" ") for column in columns.split(", "))
    return Relation({name: type_name for name, type_name in pairs}, list(rows))  # noqa: C416 (pairs are lists, not tuples)


def _durations(framework: Framework) -> Iterator[Row]:
    retention = framework.outcomes.retention
    named: dict[str, Duration | None] = {
        "setup_window": framework.setup.window,
        "activation_window": framework.activation.window,
        "maturity_window": framework.maturity.window,
        "feature_window": framework.features.window,
        "adoption_window": framework.adoption_benchmark.window,
        "retention_horizon": retention.horizon,
        "retention_window_start": retention.window.start if retention.window else None,
        "retention_window_end": retention.window.end if retention.window else None,
        "retention_gap": retention.gap,
        "dormancy_after": framework.outcomes.dormancy.after,
    }
    for name, duration in named.items():
        if duration is not None:
            yield name, duration.months, duration.seconds


def _instant(day: date | None, framework: Framework) -> datetime | None:
    """Return the start of a day of the reporting zone, UTC without zone."""
    if day is None:
        return None
    return datetime.combine(day, time(), ZoneInfo(framework.time_zone)).astimezone(UTC).replace(tzinfo=None)


def _policy(framework: Framework) -> Relation:
    retention, benchmark = framework.outcomes.retention, framework.adoption_benchmark
    return _relation(
        "retention_basis VARCHAR, retention_form VARCHAR, is_locked_included BOOLEAN, seats_basis VARCHAR, "
        "has_entity BOOLEAN, ubiquitous_share DOUBLE, niche_share DOUBLE, minimum_expansion DOUBLE, "
        "cohorts_before TIMESTAMP",
        [
            (
                retention.basis,
                "window" if retention.window else "horizon",
                retention.include_locked,
                framework.usage.seats,
                framework.usage.entity is not None,
                float(benchmark.ubiquitous),
                float(benchmark.niche),
                float(framework.outcomes.expansion.minimum),
                _instant(framework.retention_by_activation.cohorts_before, framework),
            )
        ],
    )


def _rules(framework: Framework, tracked: Sequence[str]) -> dict[str, Relation]:
    steps, usage = framework.setup.steps, framework.usage
    rules: list[Row] = []
    filters: list[Row] = []
    for step in steps:
        kind = None if step.distinct is None else "users" if step.distinct == "users" else "property"
        name = step.distinct if kind == "property" else None
        rules += [(f"setup:{step.name}", event, kind, name, None) for event in expand(step.events, tracked)]
    plain: list[tuple[str, tuple[str, ...], str | None]] = [
        ("activation", framework.activation.events, None),
        ("usage", usage.events, usage.entity),
        ("usage_reopened", usage.reopened_by, usage.entity),
        ("usage_contact", usage.contact_events, usage.entity),
        ("core", framework.core_events, None),
    ]
    for rule, names, entity in plain:
        rules += [(rule, event, None, None, entity) for event in expand(names, tracked)]
    filtered = [
        *((f"setup:{step.name}", step) for step in steps),
        ("activation", framework.activation),
        ("usage", usage),
    ]
    for rule, declared in filtered:
        filters += [(rule, key, value) for key, values in declared.where.items() for value in dict.fromkeys(values)]
    return {
        "setup_step": _relation(
            "step VARCHAR, title VARCHAR, position INTEGER, is_required BOOLEAN, minimum_count BIGINT, minimum_distinct BIGINT",
            [
                (step.name, step.title, position, step.required, step.minimum_count, step.minimum_distinct)
                for position, step in enumerate(steps, start=1)
            ],
        ),
        "rule": _relation(
            "rule VARCHAR, event VARCHAR, distinct_by VARCHAR, distinct_property VARCHAR, entity_property VARCHAR",
            rules,
        ),
        "rule_filter": _relation("rule VARCHAR, property VARCHAR, value VARCHAR", filters),
    }


def _maturity(framework: Framework) -> dict[str, Relation]:
    categories = framework.maturity.categories
    levels = [
        (category.name, level, rule)
        for category in categories
        for level, rule in (("basic", category.basic), ("mature", category.mature))
    ]
    return {
        "maturity_category": _relation(
            "category VARCHAR, title VARCHAR, position INTEGER",
            [(category.name, category.title, position) for position, category in enumerate(categories, start=1)],
        ),
        "maturity_rule": _relation(
            "category VARCHAR, level VARCHAR, at_least INTEGER, minimum_days INTEGER",
            [(category, level, rule.at_least, rule.minimum_days) for category, level, rule in levels],
        ),
        "maturity_signal": _relation(
            # each feature of a level is a power of two: a set of them is one number
            "category VARCHAR, level VARCHAR, feature VARCHAR, bit BIGINT",
            [
                (category, level, feature, 2**place)
                for category, level, rule in levels
                for place, feature in enumerate(dict.fromkeys(rule.of))
            ],
        ),
    }


def _features(framework: Framework, tracked: Sequence[str]) -> dict[str, Relation]:
    catalogue = framework.features.catalogue
    rows: list[Row] = []
    for position, feature in enumerate(catalogue, start=1):
        read = (feature.attribute, feature.equals) if isinstance(feature, AttributeFeature) else (None, None)
        rows.append((feature.name, feature.title, feature.category, feature.measure, position, *read))
    return {
        "feature": _relation(
            "feature VARCHAR, title VARCHAR, category VARCHAR, measure VARCHAR, position INTEGER, "
            "attribute VARCHAR, equals VARCHAR",
            rows,
        ),
        "feature_event": _relation(
            "feature VARCHAR, event VARCHAR, role VARCHAR",
            [
                (feature.name, event, role)
                for feature in catalogue
                for role, names in feature_events(feature)
                for event in expand(names, tracked)
            ],
        ),
        "feature_plan": _relation(
            "feature VARCHAR, plan VARCHAR",
            [(feature.name, plan) for feature in catalogue for plan in dict.fromkeys(feature.plans)],
        ),
    }


def _areas(framework: Framework, tracked: Sequence[str]) -> dict[str, Relation]:
    rows: list[Row] = []
    events: list[Row] = []
    for position, (area, (measure, names)) in enumerate(zip(framework.areas, area_metrics(framework), strict=True), start=1):
        rows.append((area.name, area.title, measure, None if area.threshold == "auto" else float(area.threshold), position))
        events += [(area.name, event) for event in expand(names, tracked)]
    return {
        "area": _relation("area VARCHAR, title VARCHAR, measure VARCHAR, threshold DOUBLE, position INTEGER", rows),
        "area_event": _relation("area VARCHAR, event VARCHAR", events),
    }


def _bands(lower_bounds: Sequence[int]) -> Iterator[tuple[str, int, int | None, int]]:
    ends: list[int | None] = [*lower_bounds[1:], None]
    for position, (low, high) in enumerate(zip(lower_bounds, ends, strict=True), start=1):
        label = f"{low}+" if high is None else str(low) if high == low + 1 else f"{low}-{high - 1}"
        yield label, low, high, position


def _ranking(framework: Framework) -> Relation:
    ranking = framework.feature_ranking
    return _relation(
        "folds INTEGER, train_share DOUBLE, trees INTEGER, minimum_leaf INTEGER, maximum_depth INTEGER, "
        "maximum_samples DOUBLE, repeats INTEGER, grouped_from DOUBLE, decoys INTEGER, resamples INTEGER, maximum_rows BIGINT, "
        "seed BIGINT",
        [
            (
                ranking.folds,
                float(ranking.train_share),
                ranking.trees,
                ranking.minimum_leaf,
                ranking.maximum_depth,
                float(ranking.maximum_samples),
                ranking.repeats,
                float(ranking.grouped_from),
                ranking.decoys,
                ranking.resamples,
                ranking.maximum_rows,
                ranking.seed,
            )
        ],
    )


def _threshold_search(framework: Framework) -> Relation:
    search = framework.threshold_search
    return _relation(
        "least_reach DOUBLE, greatest_reach DOUBLE, candidates INTEGER, resamples INTEGER, permutations INTEGER, "
        "maximum_accounts BIGINT, seed BIGINT",
        [
            (
                *map(float, search.reach),
                search.candidates,
                search.resamples,
                search.permutations,
                search.maximum_accounts,
                search.seed,
            )
        ],
    )


def _attributes(config: "CompanyConfig") -> Iterator[Row]:
    accounts, users = config.sources.accounts, config.sources.users
    if accounts is not None:
        for column, known_at in accounts.mapped_attributes().items():
            yield "accounts", column, known_at
    if users is not None:
        for name, attribute in users.attributes.items():
            yield "users", name, attribute.known_at


def _declared_sources(config: "CompanyConfig") -> Iterator[Row]:
    for source in config.sources.events:
        yield source.name, "events"
    for kind in config.sources.snapshots:
        yield kind, kind
