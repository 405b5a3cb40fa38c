"""Where Spark's rows lie: a version of a table is a folder written once, and the control file says which one is published.

Put here places and pointers. Keep out what is written there (`spark.py`). A version is never changed after it is written: it is
published by naming it in `operations.spark_parts`, in the transaction that records the publication. So whoever reads by the
pointers sees the old rows or the new ones, never a mixture, and a killed run leaves only folders that nothing names.

A table by day is named day by day and lies month by month: a file costs Spark more than the rows of a day. A month of which days
were made again since is read without those days.
"""

import shutil
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlglot import exp

from milestones_dagster.warehouse.duckdb import Warehouse, empty_rows, published
from milestones_dagster.warehouse.source_reader import literal_path
from milestones_dagster.warehouse.table import Table

PART = "part"
"""The column that a table by day is split by on disk, the month of `day`: the files themselves keep all declared columns."""

WHOLE = "all"
"""The name of the one part of a table that is published whole."""

_PREPARE = """CREATE TABLE IF NOT EXISTS operations.spark_parts (
    table_name VARCHAR NOT NULL, part VARCHAR NOT NULL, folder VARCHAR NOT NULL, days INTEGER NOT NULL)"""


OWNER = "owner"
"""The file that says which control file's versions lie in a folder: its id, and the path at which it was seen."""

_PREPARE_OWNER = "CREATE TABLE IF NOT EXISTS operations.spark_owner (id VARCHAR NOT NULL)"


class EngineMismatchError(Exception):
    """The warehouse was made by another engine: the sentence says by which and what to do."""


class FolderTakenError(EngineMismatchError):
    """The folder of versions belongs to another control file: the sentence says to which and what to do."""


def prepare(warehouse: Warehouse) -> None:
    """Makes the table of pointers where it is missing.

    Raises:
        EngineMismatchError: DuckDB published the tables of this warehouse.
    """
    warehouse.execute(_PREPARE)
    # warehouses of before have a folder for each day
    warehouse.execute("ALTER TABLE operations.spark_parts ADD COLUMN IF NOT EXISTS days INTEGER DEFAULT 1")
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


@dataclass(frozen=True)
class Place:
    """A folder that holds published rows: those of `days`, all of them where that is None."""

    folder: str
    days: tuple[date, ...] | None = None


class Versions:
    """The versions of one warehouse's tables below `folder`."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse = warehouse
        self.folder = folder
        # a session that only looks makes no folder
        if folder.exists():
            self.claim()

    def claim(self) -> None:
        """Makes the folder this control file's own; one of before that has no owner is taken.

        Raises:
            FolderTakenError: it is another's, whose published rows would be removed as what nothing names.
        """
        own = self._owner_id()
        control = str(self.warehouse.path.resolve())
        file = self.folder / OWNER
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x", encoding="utf-8") as made:
                made.write(f"{own}\n{control}\n")
        except FileExistsError:
            found, _, seen_at = file.read_text(encoding="utf-8").strip().partition("\n")
        else:
            return
        # a copy of a control file has its id; a file that was moved is gone from where it was; who was killed as it took the
        # folder left the file empty
        if found and (found != own or (seen_at != control and Path(seen_at).exists())):
            raise FolderTakenError(
                f"the folder {self.folder} holds the tables of another control file, {seen_at}; name another `warehouse_folder` "
                "under `spark:` in warehouse.yaml, or remove the folder if that warehouse is no longer wanted"
            )
        if seen_at != control:
            file.write_text(f"{own}\n{control}\n", encoding="utf-8")

    def _owner_id(self) -> str:
        """The id of this control file, made once."""
        self.warehouse.execute(_PREPARE_OWNER)
        self.warehouse.execute(
            "INSERT INTO operations.spark_owner SELECT ? WHERE NOT EXISTS (FROM operations.spark_owner)", [uuid.uuid4().hex]
        )
        return str(self.warehouse.scalar("SELECT id FROM operations.spark_owner"))

    def begin(self, table: Table) -> Path:
        """A new place for a version; what nothing names any more of this table is removed first.

        So the last version stands until the table is made again: who began to read it may finish.

        Raises:
            FolderTakenError: the folder is another control file's.
        """
        self.claim()
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

    def places(self, table: Table) -> list[Place]:
        """Where the published rows of a table lie."""
        rows = self.warehouse.rows(
            """SELECT folder, list(part ORDER BY part), any_value(days) FROM operations.spark_parts
            WHERE table_name = ? GROUP BY folder ORDER BY min(part)""",
            [table.name],
        )
        return [
            Place(folder, None if len(named) == days else tuple(map(date.fromisoformat, named))) for folder, named, days in rows
        ]

    def written(self, table: Table, version: Path) -> list[Place]:
        """Where the rows of a version were written."""
        if table.by != "day":
            return [Place(str(version))]
        return [Place(str(folder)) for folder in sorted(version.glob(f"{PART}=*"))]

    def name(self, table: Table, version: Path, days: Collection[date], *, is_whole: bool) -> None:
        """Names a version as published, inside the caller's transaction.

        Args:
            table: The declaration.
            version: Where its rows were written.
            days: The days that were made, with and without rows, of a table by day.
            is_whole: Whether it replaces all of the table, and not those days alone.
        """
        folders: dict[str, list[str]] = {str(version): [WHOLE]} if table.by != "day" else {}
        for day in map(str, sorted(days)):
            folder = version / f"{PART}={day[:7]}"
            if folder.exists():
                folders.setdefault(str(folder), []).append(day)
        gone = list(self.parts(table)) if is_whole else [str(day) for day in days]
        self.warehouse.execute(
            "DELETE FROM operations.spark_parts WHERE table_name = ? AND part IN (SELECT unnest(?::VARCHAR[]))", [table.name, gone]
        )
        self.warehouse.insert(
            exp.table_("spark_parts", db="operations"),
            {"table_name": "VARCHAR", "part": "VARCHAR", "folder": "VARCHAR", "days": "INTEGER"},
            [(table.name, part, folder, len(parts)) for folder, parts in folders.items() for part in parts],
        )
        self.show(table)

    def show(self, table: Table) -> None:
        """Makes the view of the published rows under the table's name in the control file."""
        rows = rows_of(table, self.places(table))
        self.warehouse.execute(exp.Create(this=published(table), kind="VIEW", replace=True, expression=rows))


def rows_of(table: Table, places: Sequence[Place]) -> exp.Query:
    """A query of the rows of a table that lie in those places, in the declared types."""
    columns = [
        exp.alias_(exp.cast(exp.column(column.name, quoted=True), column.type, dialect="duckdb"), column.name, quoted=True)
        for column in table.columns
    ]
    whole = [place for place in places if place.days is None]
    queries = [exp.select(*columns).from_(_read(whole))] if whole else []
    for place in places:
        if place.days is not None:
            is_named = exp.column("day").isin(*(exp.cast(exp.Literal.string(str(day)), "DATE") for day in place.days))
            queries.append(exp.select(*(column.copy() for column in columns)).from_(_read([place])).where(is_named))
    if not queries:
        return empty_rows({column.name: column.type for column in table.columns})
    return exp.union(*queries, distinct=False, copy=False) if len(queries) > 1 else queries[0]


def _read(places: Sequence[Place]) -> exp.Expr:
    files = [exp.Literal.string(f"{literal_path(Path(place.folder))}/*.parquet") for place in places]
    return exp.func(
        "read_parquet", exp.Array(expressions=files), exp.PropertyEQ(this=exp.var("hive_partitioning"), expression=exp.false())
    )
