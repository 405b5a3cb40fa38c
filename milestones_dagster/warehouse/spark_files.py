"""Where Spark's rows lie: a version of a table is a folder written once, and the control file says which one is published.

Put here places and pointers. Keep out what is written there (`spark.py`). A version is never changed after it is written: it is
published by naming it in `operations.spark_parts`, in the transaction that records the publication. So whoever reads by the
pointers sees the old rows or the new ones, never a mixture, and a killed run leaves only folders that nothing names.
"""

import shutil
import uuid
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

from sqlglot import exp

from milestones_dagster.warehouse.duckdb import Warehouse, empty_rows, published
from milestones_dagster.warehouse.source_reader import literal_path
from milestones_dagster.warehouse.table import Table

PART = "part"
"""The column that a table by day is split by on disk, a copy of `day`: the files themselves keep all declared columns."""

WHOLE = "all"
"""The name of the one part of a table that is published whole."""

_PREPARE = """CREATE TABLE IF NOT EXISTS operations.spark_parts (
    table_name VARCHAR NOT NULL, part VARCHAR NOT NULL, folder VARCHAR NOT NULL)"""


class EngineMismatchError(Exception):
    """The warehouse was made by another engine: the sentence says by which and what to do."""


def prepare(warehouse: Warehouse) -> None:
    """Makes the table of pointers where it is missing.

    Raises:
        EngineMismatchError: DuckDB published the tables of this warehouse.
    """
    warehouse.execute(_PREPARE)
    is_made = warehouse.scalar("SELECT count(*) FROM operations.publications")
    if is_made and not warehouse.scalar("SELECT count(*) FROM operations.spark_parts"):
        raise EngineMismatchError(
            "the tables of this warehouse were made by DuckDB; name another path in warehouse.yaml for engine: spark "
            "(the days of events are made again there), or set engine: duckdb"
        )


def refuse_spark(warehouse: Warehouse) -> None:
    """Refuses a warehouse whose tables Spark published.

    Raises:
        EngineMismatchError: it is one.
    """
    known = warehouse.scalar(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'operations' "
        "AND table_name = 'spark_parts'"
    )
    if known and warehouse.scalar("SELECT count(*) FROM operations.spark_parts"):
        raise EngineMismatchError(
            "the tables of this warehouse were made by Spark; name another path in warehouse.yaml for engine: duckdb "
            "(the days of events are made again there), or set engine: spark"
        )


class Versions:
    """The versions of one warehouse's tables below `folder`."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse = warehouse
        self.folder = folder

    def begin(self, table: Table) -> Path:
        """A new place for a version; what nothing names any more of this table is removed first.

        So the last version stands until the table is made again: who began to read it may finish.
        """
        home = self.folder / table.schema / table.name
        named = {Path(folder) for folder in self.parts(table).values()}
        for version in home.glob("version=*"):
            if not any(folder == version or version in folder.parents for folder in named):
                shutil.rmtree(version)
        for version in home.glob("version=*"):
            # a version by day is named by some of its days
            for part in version.glob(f"{PART}=*"):
                if part not in named and version not in named:
                    shutil.rmtree(part)
        return home / f"version={uuid.uuid4().hex}"

    def parts(self, table: Table) -> dict[str, str]:
        """Folder of every published part of a table by its name, `all` for a table that is published whole."""
        return dict(
            self.warehouse.rows("SELECT part, folder FROM operations.spark_parts WHERE table_name = ? ORDER BY part", [table.name])
        )

    def written(self, table: Table, version: Path) -> dict[str, str]:
        """Folder of every part of a version that was written."""
        if table.by != "day":
            return {WHOLE: str(version)}
        return {folder.name.partition("=")[2]: str(folder) for folder in sorted(version.glob(f"{PART}=*"))}

    def name(self, table: Table, version: Path, replaced: Collection[date] | None) -> None:
        """Names the parts of a version as published, inside the caller's transaction.

        Args:
            table: The declaration.
            version: Where its rows were written.
            replaced: The days that the version replaces; None where it is the whole table.
        """
        gone = self.parts(table) if replaced is None else [str(day) for day in replaced]
        self.warehouse.execute(
            "DELETE FROM operations.spark_parts WHERE table_name = ? AND part IN (SELECT unnest(?::VARCHAR[]))",
            [table.name, list(gone)],
        )
        self.warehouse.insert(
            exp.table_("spark_parts", db="operations"),
            {"table_name": "VARCHAR", "part": "VARCHAR", "folder": "VARCHAR"},
            [(table.name, part, folder) for part, folder in self.written(table, version).items()],
        )
        self.show(table)

    def show(self, table: Table) -> None:
        """Makes the view of the published rows under the table's name in the control file."""
        rows = rows_of(table, self.parts(table))
        self.warehouse.execute(exp.Create(this=published(table), kind="VIEW", replace=True, expression=rows))


def rows_of(table: Table, parts: Mapping[str, str]) -> exp.Query:
    """A query of the rows of a table that lie in those folders, in the declared types."""
    if not parts:
        return empty_rows({column.name: column.type for column in table.columns})
    files = [exp.Literal.string(f"{literal_path(Path(folder))}/*.parquet") for folder in parts.values()]
    reader = exp.func(
        "read_parquet", exp.Array(expressions=files), exp.PropertyEQ(this=exp.var("hive_partitioning"), expression=exp.false())
    )
    columns = [
        exp.alias_(exp.cast(exp.column(column.name, quoted=True), column.type, dialect="duckdb"), column.name, quoted=True)
        for column in table.columns
    ]
    return exp.select(*columns).from_(reader)
