"""The serving copy: the published tables in a file of their own, swapped whole, that readers open at any time.

Put here how the copy is made and when it is not. Keep out which tables are public (`orchestration`).

The file is never changed in its place. Where it is the one that this warehouse made last, by the same DuckDB, the next one begins
as a copy of it in which only the tables are written again whose rows differ, and of tables by month only those rows; everywhere
else it is made whole. Both hold the same rows. A table that is written whole lies in its order; replaced rows lie after the others.
"""

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlglot import exp

from milestones_dagster.warehouse import changes, cutoff, increments, operations
from milestones_dagster.warehouse.duckdb import Warehouse, published
from milestones_dagster.warehouse.limits import within_limits
from milestones_dagster.warehouse.table import Table

_CATALOGUE = "serving_copy"
_FORM = f"1 duckdb {duckdb.__version__}"
"""How a copy is laid out: one of another form is made whole."""
MOST_FREE = 0.25
"""Share of a renewed copy that may be empty blocks; beyond it the copy is made whole, so that it does not grow for ever."""


class ServingError(Exception):
    """Tables that may not be served together: the sentence says which differ and what to run."""


@dataclass(frozen=True)
class Served:
    """The serving copy that stands: `left_out` are the optional tables not in it, `written` those that were written for it.

    Of those of `written` that are `in_part` too, only the rows were written that differed.
    """

    path: Path
    left_out: tuple[str, ...]
    written: tuple[str, ...]
    in_part: tuple[str, ...] = ()


def serving_path(warehouse_path: Path) -> Path:
    """Where the serving copy of a warehouse lies."""
    return warehouse_path.with_name(f"{warehouse_path.stem}.serving.duckdb")


def publish_serving(warehouse: Warehouse, tables: Sequence[Table], optional: Sequence[Table] = ()) -> Served:
    """Copies published rows aside and swaps the copy in by a rename; a copy that holds these rows already is left alone.

    Args:
        warehouse: The open warehouse.
        tables: Served together or not at all.
        optional: Served too where they are of the same time and config, and made of the rows that are published.

    Raises:
        ServingError: a table is missing, or they are not all as of one time, from one config and made of one another's rows.
        LimitError: memory or disk did not suffice; the copy that stood stands, and what was written of the next one is removed.
    """
    fitting = _fitting(warehouse, tables, optional)
    left_out = tuple(table.name for table in optional if table not in fitting)
    target = serving_path(warehouse.path)
    served = {table.name: table for table in [*tables, *fitting]}
    wanted = {name: _state(warehouse, table) for name, table in served.items()}
    held = _held(warehouse, target)
    if held == wanted:
        return Served(target, left_out, ())
    kept = {name for name, state in held.items() if wanted.get(name) == state}
    parts = _parts(warehouse, served, held, kept)
    stands = "the serving copy stays as it was"
    with within_limits(warehouse.connection, changes.SERVING_COPY, target.parent, stands), _aside(target) as aside:
        if not (kept or parts) or not _renewed(warehouse, target, aside, served, held, kept, parts):
            kept, parts = set(), {}
            _clear(aside)
            with _attached(warehouse, aside):
                _write(warehouse, served.values())
        aside.replace(target)
    with within_limits(warehouse.connection, changes.SERVING_COPY, target.parent, "the new serving copy is in its place"):
        _remember(warehouse, target, wanted)
    return Served(target, left_out, tuple(name for name in served if name not in kept), tuple(parts))


def _fitting(warehouse: Warehouse, tables: Sequence[Table], optional: Sequence[Table]) -> list[Table]:
    """Those of the `optional` tables that may be served with `tables`."""
    made = operations.publications(warehouse)
    missing = [table.name for table in tables if table.name not in made]
    if missing:
        raise ServingError(f"{', '.join(missing)} not published yet; the serving copy stays as it is until a whole run succeeds")
    versions = {(made[table.name].as_of, made[table.name].fingerprint) for table in tables}
    if len(versions) > 1:
        newest = max(str(made[table.name].as_of) for table in tables)
        behind = sorted(table.name for table in tables if str(made[table.name].as_of) != newest)
        names = ", ".join(behind) or "tables of another config"
        raise ServingError(
            f"the tables are not as of one time and config ({names} are behind); the serving copy stays; run all of them",
        )
    # of one time, and yet of other rows: what was made again above a table that was refused
    current = cutoff.current(warehouse, {**warehouse.tables, **{table.name: table for table in [*tables, *optional]}})
    stale = [table.name for table in tables if table.name not in current]
    if stale:
        raise ServingError(
            f"{', '.join(stale)} are not made of the present rows of what they read; the serving copy stays; run all of them"
        )
    version = versions.pop() if versions else None
    return [
        table for table in optional if table.name in current and (made[table.name].as_of, made[table.name].fingerprint) == version
    ]


# --- what stands ----------------------------------------------------------------------------------------------------


def _state(warehouse: Warehouse, table: Table, version: int | None = None) -> str:
    """What a table's copy depends on: its rows (of the `version` given, or as published), its place and the order of its rows."""
    rows = cutoff.states(warehouse, [table.name]) if version is None else [f"{table.name}:{version}"]
    return " ".join([*rows, table.schema, *table.order])


def _held(warehouse: Warehouse, target: Path) -> dict[str, str]:
    """State of each table in the standing copy; nothing where it is not the very file that this warehouse made last."""
    if not target.exists():
        return {}
    return dict(warehouse.rows("SELECT table_name, state FROM operations.served WHERE copy = ?", [_identity(target)]))


def _identity(target: Path) -> str:
    """Tells a file from every other that ever lay at its place, and how it is laid out."""
    found = target.stat()
    return f"{_FORM}, {found.st_size} bytes of {found.st_mtime_ns}"


def _remember(warehouse: Warehouse, target: Path, states: Mapping[str, str]) -> None:
    """Records what the standing copy holds; a run that ends before this has the next one made whole."""
    with warehouse.transaction():
        warehouse.execute("DELETE FROM operations.served")
        versions = changes.versions(warehouse)
        changes.record_read(warehouse, changes.SERVING_COPY, {name: versions[name] for name in states if name in versions})
        warehouse.insert(
            exp.table_("served", db="operations"),
            {"copy": "VARCHAR", "table_name": "VARCHAR", "state": "VARCHAR"},
            [(_identity(target), name, state) for name, state in states.items()],
        )


def _parts(
    warehouse: Warehouse, served: Mapping[str, Table], held: Mapping[str, str], kept: Collection[str]
) -> dict[str, exp.Expr]:
    """The condition on the rows in which the standing copy differs, of each table by month of which that is known and not all."""
    seen, now = changes.made_from(warehouse, changes.SERVING_COPY), changes.versions(warehouse)
    parts: dict[str, exp.Expr] = {}
    for name, table in served.items():
        if table.by != "month" or name in kept or name not in seen or held.get(name) != _state(warehouse, table, seen[name]):
            continue
        since = changes.first_change(warehouse, name, seen[name], now[name])
        if since not in {None, changes.EVERYTHING}:
            account = exp.column(increments.ACCOUNT).isin(query=changes.changed_accounts(name, seen[name]))
            parts[name] = account if since == changes.NOTHING else account.or_(increments.dated_from(table, since))
    return parts


# --- writing --------------------------------------------------------------------------------------------------------


def _renewed(
    warehouse: Warehouse,
    target: Path,
    aside: Path,
    served: Mapping[str, Table],
    held: Collection[str],
    kept: Collection[str],
    parts: Mapping[str, exp.Expr],
) -> bool:
    """Makes the next copy out of the standing one, whose `kept` tables stay and of which `parts` are replaced; whether it could."""
    _clear(aside)
    shutil.copyfile(target, aside)
    try:
        with _attached(warehouse, aside):
            places = _places(warehouse)
            if set(places) != set(held):
                return False
            for name in sorted(set(held) - set(kept) - set(parts)):
                warehouse.execute(exp.Drop(tables=[_place(places[name], name)], kind="TABLE"))
            for name, part in parts.items():
                warehouse.execute(exp.delete(_place(places[name], name), where=part))
            # what is dropped is free to be written over from a checkpoint on
            warehouse.execute(f"CHECKPOINT {_CATALOGUE}")
            _write(warehouse, [table for name, table in served.items() if name not in kept and name not in parts])
            for name, part in parts.items():
                rows = exp.select("*").from_(published(served[name])).where(part)
                warehouse.execute(exp.insert(_ordered(served[name], rows), _place(places[name], name), copy=False))
            warehouse.execute(f"CHECKPOINT {_CATALOGUE}")
            for schema in set(places.values()) - {table.schema for table in served.values()}:
                warehouse.execute(exp.Drop(tables=[exp.table_(schema, db=_CATALOGUE, quoted=True)], kind="SCHEMA"))
            return _free_share(warehouse) <= MOST_FREE
    except duckdb.Error:
        # a damaged file; a fault that is not the file's comes again where the copy is made whole
        return False


@contextmanager
def _attached(warehouse: Warehouse, path: Path) -> Iterator[None]:
    """The file at `path` as a further database of the connection, written out whole at the end."""
    warehouse.execute(exp.Attach(this=exp.alias_(exp.Literal.string(str(path)), _CATALOGUE)))
    try:
        yield
    finally:
        warehouse.execute(exp.Detach(this=exp.to_identifier(_CATALOGUE)))


def _write(warehouse: Warehouse, tables: Collection[Table]) -> None:
    for schema in sorted({table.schema for table in tables}):
        name = exp.table_(schema, db=_CATALOGUE, quoted=True)
        warehouse.execute(exp.Create(this=name, kind="SCHEMA", exists=True))
    for table in tables:
        ordered = _ordered(table, exp.select("*").from_(published(table)))
        warehouse.execute(exp.Create(this=_place(table.schema, table.name), kind="TABLE", expression=ordered))


def _ordered(table: Table, rows: exp.Select) -> exp.Select:
    return rows.order_by(*(exp.column(column) for column in table.order), copy=False)


def _place(schema: str, name: str) -> exp.Table:
    return exp.table_(name, db=schema, catalog=_CATALOGUE, quoted=True)


def _places(warehouse: Warehouse) -> dict[str, str]:
    """Schema of every table of the attached copy, by name."""
    return dict(warehouse.rows("SELECT table_name, schema_name FROM duckdb_tables() WHERE database_name = ?", [_CATALOGUE]))


def _free_share(warehouse: Warehouse) -> float:
    """Share of the attached file that holds nothing."""
    sizes = "SELECT free_blocks / greatest(total_blocks, 1) FROM pragma_database_size() WHERE database_name = ?"
    return float(warehouse.scalar(sizes, [_CATALOGUE]))


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """Where the next copy is written; what was written of it is removed when the block raises, and gives its room back."""
    aside = target.with_suffix(".duckdb.tmp")
    try:
        yield aside
    except BaseException:
        _clear(aside)
        raise


def _clear(aside: Path) -> None:
    """Removes what was written of a copy that came to nothing, also by a run that was killed."""
    aside.unlink(missing_ok=True)
    aside.with_name(f"{aside.name}.wal").unlink(missing_ok=True)
