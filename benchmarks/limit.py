"""The limit that the product is measured against: the tables by day by one plain script (`limit.sql`), the others by their SELECTs.

Put here how both are run. Keep out what they say. Tables with statistics (`then:`) and the two that read them are left out,
here and where the product is compared.
"""

import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from benchmarks.measuring import spending
from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.duckdb import DIALECT, Warehouse, empty_rows, published, widen
from milestones_dagster.warehouse.observation import Observation, run_relations
from milestones_dagster.warehouse.publish import pivot_shape
from milestones_dagster.warehouse.snapshots import SNAPSHOT_KINDS, extract
from milestones_dagster.warehouse.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRIPT = Path(__file__).with_name("limit.sql")
BY_DAY = ("raw_events", "account_event_daily", "event_identities", "event_name_daily", "rule_events")
_START, _BATCH = "at the start", "for each batch"
_BATCH_BYTES = 160_000_000  # of landed Parquet, some four million events


def plain_tables(declared: Declared) -> list[str]:
    """The tables that are SQL alone: without a `then:` function, before or in them; in the order in which they are made."""
    statistics = {name for name, table in declared.tables.items() if table.then is not None}
    for name, table in declared.tables.items():
        if statistics & set(table.dependencies) - set(table.unread):
            statistics.add(name)
    return [name for name in declared.tables if name not in statistics]


def with_their_sources(declared: Declared, names: Iterable[str]) -> list[str]:
    """The tables of these names and all that they read, directly or through others, in the order in which they are made."""
    wanted = set(names)
    for name in reversed(list(declared.tables)):
        if name in wanted:
            wanted |= set(declared.tables[name].dependencies)
    return [name for name in declared.tables if name in wanted]


def run_limit(config_dir: Path, warehouse: Path) -> dict[str, Any]:
    """Make all plain tables of a landed company into a new warehouse, and return what it took, whole and by part.

    Returns:
        `run` (wall_s, cpu_s, peak_mb) and `tables`: table, wall_s, cpu_s, peak_mb. The five tables by day, which are made in one
        pass, are the one line `events`.
    """
    declared = Declared.of(load_config(config_dir))
    shutil.rmtree(warehouse.with_suffix(""), ignore_errors=True)
    warehouse.unlink(missing_ok=True)
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    with spending() as spent, _opened(declared, warehouse) as made:
        sections = script()
        with spending() as part:
            _events(made, sections, declared)
        lines.append({"table": "events", **asdict(part)})
        replacements = _relations(made, declared)
        for name in plain_tables(declared):
            if name in BY_DAY:
                continue
            with spending() as part:
                _table(made, declared, declared.tables[name], replacements)
            lines.append({"table": name, **asdict(part)})
        made.execute("CHECKPOINT")
    return {"run": asdict(spent), "tables": lines}


def script() -> "dict[str, list[str]]":
    """The statements of `limit.sql` by section."""
    text = re.sub(r"/\*.*?\*/", "", SCRIPT.read_text(encoding="utf-8"), flags=re.DOTALL)
    parts = re.split(rf"^-- ({_START}|{_BATCH})$", text, flags=re.MULTILINE)
    return {
        name: [statement.strip() for statement in body.split(";\n") if statement.strip(" \n;")]
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


@contextmanager
def _opened(declared: Declared, path: Path) -> "Iterator[Warehouse]":
    with duckdb.connect(str(path)) as connection:
        # as the product has it
        connection.execute("SET memory_limit = $limit", {"limit": str(declared.config.warehouse.memory_limit)})
        warehouse = Warehouse(connection, path.with_suffix(""), declared.tables)
        # the readers of the snapshot sources ask there what columns were seen before: nothing was
        operations.prepare(warehouse)
        warehouse.attach("config", declared.relations)
        yield warehouse


def _events(made: Warehouse, sections: "Mapping[str, Sequence[str]]", declared: Declared) -> None:
    raw = made.folder / "raw_events"
    raw.mkdir(parents=True)
    # the one place that COPY does not take a variable for
    target = exp.Literal.string(str(raw)).sql(dialect=DIALECT)
    for statement in sections[_START]:
        made.execute(statement)
    for batch in _batches(landed(declared)):
        made.connection.execute("SET VARIABLE files = $value", {"value": [str(path) for path in batch]})
        for statement in sections[_BATCH]:
            made.execute(statement.replace("getvariable('raw')", target))
    for name in ("delivered", "repeated", "superfluous"):
        made.execute(exp.Drop(tables=[exp.to_table(name)], kind="TABLE", exists=True))


def landed(declared: Declared) -> list[Path]:
    """The files of the one event source, by day."""
    (source,) = declared.config.sources.events
    pattern = Path(declared.config.dir, source.path)
    return sorted(pattern.parent.resolve().glob(pattern.name))


def _batches(paths: Sequence[Path]) -> list[list[Path]]:
    batches: list[list[Path]] = []
    size = _BATCH_BYTES
    for path in paths:
        if size >= _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(path)
        size += path.stat().st_size
    return batches


def _relations(made: Warehouse, declared: Declared) -> dict[str, exp.Query]:
    """Attach what the run knows, and return the queries of the snapshot sources."""
    config = declared.config
    extracts = {name: extract(made, config.sources, name, config.dir) for name in SNAPSHOT_KINDS}
    days = [date.fromisoformat(path.stem) for path in landed(declared)]
    marks = {"product": datetime.combine(max(days) + timedelta(days=1), time())}
    marks |= {name: found.extracted_at for name, found in extracts.items() if found.extracted_at is not None}
    first = [datetime.combine(min(days), time())]
    for name, column in (("accounts", "created_at"), ("subscriptions", "started_at")):
        first.append(made.scalar(exp.select(exp.Min(this=exp.column(column))).from_(extracts[name].rows.subquery("rows"))))
    extracted = {name: found.extracted_at for name, found in extracts.items() if found.extracted_at is not None}
    made.attach("run", run_relations(config, Observation.of(marks, None), min(filter(None, first)), extracted))
    return {f"source.{name}": found.rows for name, found in extracts.items()}


def _table(made: Warehouse, declared: Declared, table: Table, sources: "Mapping[str, exp.Query]") -> None:
    replacements = dict(sources)
    for name in [*table.unread, *([table.name] if table.keeps else [])]:
        replacements[name] = empty_rows({column.name: column.type for column in made.tables[name].columns})
    select = made.runnable(table, replacements)
    if table.pivot:
        long = exp.table_("long", db="temp")
        made.hold(long, select)
        widen(made, long, published(table), *pivot_shape(table, declared.relations), [])
        made.forget(long)
        return
    made.execute(exp.Create(this=published(table), kind="TABLE", expression=select))
