"""Assets: one software-defined asset per declared table, each behind its gate.

Put here how a table's making becomes a Dagster step. Keep out what a table is (`sql/`), what a rule is (`quality`), when it is made
again (`warehouse/publish.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg

from milestones_dagster.orchestration.checks import check_results, check_specs, downstream, sentence
from milestones_dagster.orchestration.errors import guarded
from milestones_dagster.orchestration.metadata import definition_metadata, made_metadata
from milestones_dagster.orchestration.partitions import event_days
from milestones_dagster.orchestration.plots import plot_metadata
from milestones_dagster.orchestration.resources import MilestonesWarehouse
from milestones_dagster.orchestration.session import Declared, Session
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.warehouse.observation import AsOfError
from milestones_dagster.warehouse.operations import published_days
from milestones_dagster.warehouse.serving import ServingError, publish_serving
from milestones_dagster.warehouse.table import Table

POOL = "milestones_warehouse"
OWNERS = ("team:data-platform",)
SERVING = "serving"
_SERVED_SCHEMAS = ("milestones", "evidence")
_NEEDED_SCHEMA = "milestones"
_SHOWN_DAYS = 8
_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=26))

Progress = Callable[[str, int, int], None]


def build_assets(
    declared: Declared,
    key_prefix: Sequence[str],
    progress: Progress | None = None,
) -> list[dg.AssetsDefinition]:
    """All assets of a company: one per table, and the serving copy after the last of them.

    Args:
        declared: The company's tables and rules.
        key_prefix: Put before every asset key when the graph is part of another project.
        progress: Told what is being worked through (what, done, of how many).
    """
    keys = {name: dg.AssetKey([*key_prefix, name]) for name in declared.tables}
    assets = [
        _events_asset(declared, table, keys, progress) if table.name == "raw_events" else _table_asset(declared, table, keys)
        for table in declared.tables.values()
    ]
    return [*assets, _serving_asset(declared, keys, key_prefix)]


def _spec(declared: Declared, table: Table, keys: dict[str, dg.AssetKey]) -> dg.AssetSpec:
    kinds = {"duckdb", "parquet"} if table.name == "raw_events" else {declared.config.warehouse.engine, "sql"}
    return dg.AssetSpec(
        key=keys[table.name],
        deps=[keys[name] for name in table.dependencies],
        description=f"{table.about}\n\nGrain: {table.grain}.",
        metadata=definition_metadata(table),
        group_name=table.schema,
        code_version=declared.code_version(table.name),
        owners=list(OWNERS),
        tags={"milestones/schema": table.schema},
        kinds=kinds | ({"scikitlearn"} if table.then == "evidence.forest.rank" else set()),
        freshness_policy=_FRESHNESS if table.schema in _SERVED_SCHEMAS or table.name == "raw_events" else None,
        partitions_def=event_days(declared.config) if table.name == "raw_events" else None,
    )


def _table_asset(declared: Declared, table: Table, keys: dict[str, dg.AssetKey]) -> dg.AssetsDefinition:
    key = keys[table.name]

    @dg.multi_asset(
        name=table.name,
        specs=[_spec(declared, table, keys)],
        check_specs=check_specs(declared, table, key),
        pool=POOL,
    )
    @guarded(declared.config.environment)
    def made(context: dg.AssetExecutionContext, milestones_warehouse: MilestonesWarehouse) -> Iterator[Any]:
        session = milestones_warehouse.session(declared)
        publishing = session.make(table.name)
        standing = _standing(session, table)
        yield from check_results(declared, table, key, publishing.results, f"refused; {standing}")
        session.settle_news(table.name)
        if publishing.state == "refused":
            raise _refused(table, publishing.results, standing, downstream(declared, table.name))
        context.log.info(f"{table.name}: {publishing.row_count:,} rows, {publishing.state}: {publishing.reason}")
        metadata = made_metadata(session, table, publishing)
        metadata |= plot_metadata(session, table, context.log)
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return made


def _events_asset(
    declared: Declared,
    table: Table,
    keys: dict[str, dg.AssetKey],
    progress: Progress | None,
) -> dg.AssetsDefinition:
    key = keys[table.name]

    @dg.multi_asset(
        name=table.name,
        specs=[_spec(declared, table, keys)],
        check_specs=check_specs(declared, table, key),
        pool=POOL,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @guarded(declared.config.environment)
    def loaded(context: dg.AssetExecutionContext, milestones_warehouse: MilestonesWarehouse) -> Iterator[Any]:
        session = milestones_warehouse.session(declared)
        is_range = context.has_partition_key or context.has_partition_key_range
        only = [date.fromisoformat(day) for day in context.partition_keys] if is_range else None
        publishing = session.load_events(only, progress)
        made = publishing.outcome.made
        absent = sorted(set(only or ()) - set(published_days(session.warehouse)))
        for day, (accepted, refused) in sorted(made.items()):
            metadata = {"dagster/partition_row_count": accepted, "refused_rows": refused}
            if is_range and not publishing.is_refused and not absent:
                context.add_asset_metadata(metadata, asset_key=key, partition_key=str(day))
            elif accepted or refused:
                # without a range in the run: a range costs one planned event per day for every asset of the run
                context.log_event(dg.AssetMaterialization(asset_key=key, partition=str(day), metadata=metadata))
        standing = _standing(session, table)
        yield from check_results(declared, table, key, publishing.results, f"refused; {standing}")
        session.settle_news(table.name)
        if publishing.is_refused:
            raise _refused(table, publishing.results, standing, downstream(declared, table.name))
        if not is_range:
            _settle_as_of(session)
        if absent:
            # the output would materialise every day of the range, also those that are not there
            raise _not_delivered(absent, only or ())
        rows = session.warehouse.scalar("SELECT coalesce(sum(rows), 0) FROM operations.days")
        context.log.info(f"{table.name}: {len(made):,} day(s) made, {rows:,} rows published")
        metadata_of_all: dict[str, Any] = {
            "dagster/row_count": int(rows),
            "days_made": len(made),
            "quarantined_rows": int(session.warehouse.scalar("SELECT coalesce(sum(refused_rows), 0) FROM operations.days")),
            "watermark": ", ".join(f"{name}: {mark:%Y-%m-%d}" for name, mark in sorted(session.days.plan().watermarks.items())),
        }
        yield dg.MaterializeResult(asset_key=key, metadata=metadata_of_all)

    return loaded


def _serving_asset(declared: Declared, keys: dict[str, dg.AssetKey], key_prefix: Sequence[str]) -> dg.AssetsDefinition:
    served = [table for table in declared.tables.values() if table.schema in _SERVED_SCHEMAS]
    # evidence may be refused, as where nothing foretells staying; the milestones are served all the same
    needed = [table for table in served if table.schema == _NEEDED_SCHEMA]
    key = dg.AssetKey([*key_prefix, SERVING])
    spec = dg.AssetSpec(
        key=key,
        deps=[keys[table.name] for table in needed],
        description=(
            "A copy of the published tables for readers: analysts and tools open it at any time, no run waits for them and "
            "they wait for no run. It is swapped by a rename, and only when all milestone tables are as of the same time and "
            "definitions; evidence is in it where it is of that time, those definitions and those rows too."
        ),
        group_name="operations",
        owners=list(OWNERS),
        kinds={"duckdb"},
    )

    # last of the steps that are ready, so that it serves the evidence of the same run
    @dg.multi_asset(name=SERVING, specs=[spec], pool=POOL, op_tags={"dagster/priority": "-10"})
    @guarded(declared.config.environment)
    def swapped(context: dg.AssetExecutionContext, milestones_warehouse: MilestonesWarehouse) -> Iterator[Any]:
        session = milestones_warehouse.session(declared)
        try:
            copy = publish_serving(session.warehouse, needed, [table for table in served if table not in needed])
        except ServingError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.info(f"serving copy: {copy.path}, {len(copy.written)} table(s) written, {len(copy.in_part)} of them in part")
        metadata: dict[str, Any] = {
            "path": dg.MetadataValue.path(str(copy.path)),
            "tables": len(served) - len(copy.left_out),
            "tables_written": len(copy.written),
            "tables_written_in_part": len(copy.in_part),
            "left_out": ", ".join(copy.left_out) or "nothing",
        }
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return swapped


def _standing(session: Session, table: Table) -> str:
    """What stands in the place of refused rows."""
    as_of = session.warehouse.scalar("SELECT as_of FROM operations.publications WHERE table_name = ?", [table.name])
    if table.name == "raw_events" or table.by == "day":
        # a later day may be published too: what counts is up to where they are whole
        marks = session.days.plan().watermarks if session.warehouse.scalar("SELECT count(*) FROM operations.days") else {}
        return f"the published rows are whole up to {min(marks.values()):%Y-%m-%d}" if marks else "nothing is published yet"
    return f"the published rows are as of {as_of:%Y-%m-%d}" if as_of is not None else "nothing is published yet"


def _settle_as_of(session: Session) -> None:
    """Refuses here, once, an as-of time that cannot be had; every other table would raise it for itself."""
    try:
        _ = session.observation
    except AsOfError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _not_delivered(absent: Sequence[date], wanted: Sequence[date]) -> dg.Failure:
    shown = ", ".join(str(day) for day in absent[:_SHOWN_DAYS]) + (", …" if len(absent) > _SHOWN_DAYS else "")
    return dg.Failure(
        description=(
            f"raw_events: nothing was delivered for {len(absent):,} of the {len(wanted):,} day(s) asked for: {shown}; "
            "the others are published. Deliver them, or run the days that are there."
        ),
        allow_retries=False,
    )


def _refused(table: Table, results: Sequence[RuleResult], standing: str, blocked: Sequence[str]) -> dg.Failure:
    failed = [result for result in results if not result.passed and result.rule.severity == "critical"]
    words = "; ".join(sentence(result).rstrip(".") for result in failed)
    waiting = f"{len(blocked)} table(s) that follow are not made" if blocked else "no table follows it"
    return dg.Failure(
        description=f"{table.name} refused. {words}. {standing[0].upper()}{standing[1:]}; {waiting}.",
        metadata={"recovery": "; ".join(result.rule.recovery for result in failed)},
        allow_retries=False,
    )
