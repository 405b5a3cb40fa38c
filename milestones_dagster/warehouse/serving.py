"""The serving copy: the published tables in a file of their own, swapped whole, that readers open at any time.

Put here how the copy is made and when it is not. Keep out which tables are public (`orchestration`).
"""

from collections.abc import Sequence
from pathlib import Path

from sqlglot import exp

from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.duckdb import Warehouse, published
from milestones_dagster.warehouse.table import Table

_CATALOGUE = "serving_copy"


class ServingError(Exception):
    """Tables that may not be served together: the sentence says which differ and what to run."""


def serving_path(warehouse_path: Path) -> Path:
    """Where the serving copy of a warehouse lies."""
    return warehouse_path.with_name(f"{warehouse_path.stem}.serving.duckdb")


def publish_serving(
    warehouse: Warehouse,
    tables: Sequence[Table],
    optional: Sequence[Table] = (),
) -> tuple[Path, tuple[str, ...]]:
    """Copies published rows aside and swaps the copy in by a rename; returns its path and the optional tables left out.

    Args:
        warehouse: The open warehouse.
        tables: Served together or not at all.
        optional: Served too where they are of the same time and config.

    Raises:
        ServingError: a table is missing, or they are not all as of one time and from one config.
    """
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
    version = versions.pop() if versions else None
    fitting = [
        table for table in optional if table.name in made and (made[table.name].as_of, made[table.name].fingerprint) == version
    ]
    left_out = tuple(table.name for table in optional if table not in fitting)
    tables = [*tables, *fitting]
    target = serving_path(Path(warehouse.scalar("SELECT path FROM duckdb_databases() WHERE database_name = current_database()")))
    aside = target.with_suffix(".duckdb.tmp")
    aside.unlink(missing_ok=True)
    warehouse.execute(exp.Attach(this=exp.alias_(exp.Literal.string(str(aside)), _CATALOGUE)))
    try:
        for schema in sorted({table.schema for table in tables}):
            name = exp.table_(schema, db=_CATALOGUE, quoted=True)
            warehouse.execute(exp.Create(this=name, kind="SCHEMA", exists=True))
        for table in tables:
            copy = exp.table_(table.name, db=table.schema, catalog=_CATALOGUE, quoted=True)
            ordered = exp.select("*").from_(published(table)).order_by(*(exp.column(column) for column in table.order))
            warehouse.execute(exp.Create(this=copy, kind="TABLE", expression=ordered))
    finally:
        warehouse.execute(exp.Detach(this=exp.to_identifier(_CATALOGUE)))
    aside.replace(target)
    return target, left_out
