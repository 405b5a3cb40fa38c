"""The embedded warehouse: one DuckDB connection, the config and run relations beside it, and SELECTs made runnable on it.

Put here what is DuckDB's own: attaching, naming, staging. Keep out when a table is made and whether it may be published
(`publish.py`), and where days come from (`days.py`).
"""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
from sqlglot import exp

from milestones_dagster.warehouse.table import SCHEMAS, Table, relation_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

DIALECT = "duckdb"
SCRATCH = "scratch"
RESERVED_NAMES = frozenset({*SCHEMAS, "operations", "journeys", "feedback", "config", "run", "source", SCRATCH})


class RelationLike(Protocol):
    """Rows to be read by SQL: column names with DuckDB types, and tuples."""

    @property
    def columns(self) -> Mapping[str, str]:
        """DuckDB type by column name, in order."""

    @property
    def rows(self) -> Sequence[tuple[Any, ...]]:
        """The rows, in the order of the columns."""


# pairs that are made wide at a time: some hundred megabytes
_ROWS_WIDENED = 4_000_000


class Warehouse:
    """An open DuckDB warehouse.

    Args:
        connection: Open connection to the warehouse's file; the caller closes it.
        folder: Folder of the warehouse's day files.
        tables: All declared tables by name.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path, tables: Mapping[str, Table]) -> None:
        self.connection = connection
        self.folder = folder
        self.tables = tables
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        for schema in (*SCHEMAS, "operations"):
            self.execute(exp.Create(this=exp.to_identifier(schema, quoted=True), kind="SCHEMA", exists=True))

    def execute(self, statement: exp.Expr | str, parameters: Sequence[object] | None = None) -> duckdb.DuckDBPyConnection:
        """Runs one statement, given as text of ours or as an expression, which is not copied for its text to be written."""
        text = statement if isinstance(statement, str) else statement.sql(dialect=DIALECT, copy=False)
        return self.connection.execute(text, parameters) if parameters is not None else self.connection.execute(text)

    def rows(self, statement: exp.Expr | str, parameters: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        return self.execute(statement, parameters).fetchall()

    def scalar(self, statement: exp.Expr | str, parameters: Sequence[object] | None = None) -> Any:
        """First value of the first row, None without a row."""
        row = self.execute(statement, parameters).fetchone()
        return None if row is None else row[0]

    @property
    def path(self) -> Path:
        """The warehouse's file, as it was opened."""
        return Path(self.scalar("SELECT path FROM duckdb_databases() WHERE database_name = current_database()") or "")

    def frame(self, table: str) -> "pd.DataFrame":
        """The published rows of a table in its declared order."""
        declared = self.tables[table]
        select = exp.select("*").from_(published(declared)).order_by(*(exp.column(name) for name in declared.order))
        return self.execute(select).df()

    def attach(self, catalogue: str, relations: Mapping[str, RelationLike]) -> None:
        """Puts `relations` into the in-memory catalogue `config`, `run` or `scratch`, replacing what it held under their names.

        It must be called outside a transaction: DuckDB writes to one database in a transaction.
        """
        attached = {row[0] for row in self.rows("SELECT database_name FROM duckdb_databases()")}
        if catalogue not in attached:
            self.execute(exp.Attach(this=exp.alias_(exp.Literal.string(":memory:"), catalogue)))
        for name, relation in relations.items():
            target = exp.table_(name, db="main", catalog=catalogue, quoted=True)
            columns = [
                exp.ColumnDef(this=exp.to_identifier(column, quoted=True), kind=exp.DataType.build(kind, dialect=DIALECT))
                for column, kind in relation.columns.items()
            ]
            self.execute(exp.Create(this=exp.Schema(this=target, expressions=columns), kind="TABLE", replace=True))
            self.insert(target, relation.columns, relation.rows)

    def insert(self, target: exp.Table, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Adds `rows` to a table in one statement; `columns` are its DuckDB types by name, in the order of the values."""
        if not rows:
            return
        lists = [
            exp.func("unnest", exp.cast(exp.Placeholder(), exp.DataType.build(f"{kind}[]", dialect=DIALECT)))
            for kind in columns.values()
        ]
        statement = exp.insert(exp.select(*lists), target)
        self.execute(statement, [list(values) for values in zip(*rows, strict=True)])

    def hold(self, temporary: exp.Table, rows: exp.Query) -> None:
        """Keeps rows aside in a relation of the catalogue `temp`, which is written in a third of the time of one that lasts."""
        properties = exp.Properties(expressions=[exp.TemporaryProperty()])
        self.execute(exp.Create(this=temporary, kind="TABLE", expression=rows, replace=True, properties=properties))

    def forget(self, *temporary: exp.Table) -> None:
        """Drops what was kept aside, if it is there."""
        for held in temporary:
            self.execute(exp.Drop(tables=[held], kind="TABLE", exists=True))

    def exists(self, table: exp.Table) -> bool:
        """Whether a table or view of that schema and name is there."""
        found = self.scalar(
            """SELECT count(*) FROM (
                SELECT database_name, schema_name, table_name FROM duckdb_tables()
                UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views())
            WHERE database_name = current_database() AND schema_name = ? AND table_name = ?""",
            [table.db, table.name],
        )
        return bool(found)

    def columns(self, table: exp.Table) -> list[tuple[str, str]]:
        """Name and type of every column of a table, in order."""
        return [(name, kind) for name, kind, *_ in self.rows(f"DESCRIBE {table.sql(dialect=DIALECT)}")]

    def runnable(self, table: Table, replacements: Mapping[str, exp.Query] | None = None) -> exp.Query:
        """The table's SELECT with every relation named so that this warehouse finds it.

        Args:
            table: The declaration.
            replacements: Query to read in the place of a relation, by its name as written (`raw_events`, `source.events`).
        """
        replacements = replacements or {}
        select = table.select.copy()
        for node in list(select.find_all(exp.Table)):
            written = f"{node.db}.{node.name}" if node.db else node.name
            if written in replacements:
                alias = node.alias or node.name
                node.replace(exp.Subquery(this=replacements[written].copy(), alias=exp.TableAlias(this=exp.to_identifier(alias))))
                continue
            relation = relation_of(node)
            if relation is None or (relation.kind == "table" and relation.name not in self.tables):
                continue  # a CTE of the SELECT itself
            schema, catalogue = ("main", relation.kind) if relation.kind != "table" else (self.tables[relation.name].schema, None)
            named = exp.table_(relation.name, db=schema, catalog=catalogue, quoted=True)
            node.replace(exp.alias_(named, node.alias, table=True) if node.alias else named)
        return select

    @contextmanager
    def transaction(self) -> "Iterator[None]":
        """One transaction: committed when the block ends, rolled back when it raises."""
        self.connection.begin()
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()


def published(table: Table) -> exp.Table:
    """The name of a table's published rows."""
    return exp.table_(table.name, db=table.schema, quoted=True)


def staged(table: Table) -> exp.Table:
    """The name of a table's rows that are not yet audited."""
    return exp.table_(f"{table.name}__staged", db=table.schema, quoted=True)


def scratch(name: str) -> exp.Table:
    """The name of a table beside the warehouse's file, gone with the connection; in memory, and on disk where that is too small."""
    return exp.table_(name, db="main", catalog=SCRATCH, quoted=True)


def empty_rows(columns: Mapping[str, str]) -> exp.Query:
    """A query of the given columns (DuckDB type by name) without a row."""
    nulls = [exp.alias_(exp.cast(exp.null(), kind, dialect=DIALECT), name, quoted=True) for name, kind in columns.items()]
    return exp.select(*nulls).where(exp.false())


def pivoted(rows: exp.Query, keys: Sequence[str], features: Sequence[tuple[str, bool]]) -> exp.Select:
    """The (feature, value) pairs of `rows` as one column per feature.

    A list of places and one of values a group, and a look into them for each feature: an aggregate for each feature takes several
    times as long.

    Args:
        rows: Query with the `keys`, `feature` and `value`; a feature once for each key.
        keys: Columns that stay.
        features: Name of each feature and whether no row means 0 (an event that did not happen) rather than unknown.
    """
    # where no row means 0, a row without a value is told from no row by a value that no count, sum or share has
    nothing = exp.cast(exp.Literal.string("-Infinity"), "DOUBLE")
    places = [
        (exp.Literal.string(name), _number(number), nothing.copy() if is_zero_when_absent else exp.null())
        for number, (name, is_zero_when_absent) in enumerate(features)
    ]
    place = exp.column("place")
    value = exp.func("COALESCE", exp.column("value"), exp.column("nothing"))
    grouped = (
        exp.select(
            *(exp.column(key) for key in keys),
            *(_list_of(held, place, name) for held, name in ((place, "places"), (value, "held"))),
        )
        .from_(rows.subquery("long"))
        .join(exp.values(places, alias="named", columns=["feature", "place", "nothing"]), using=["feature"], join_type="left")
        .group_by(*(exp.column(key) for key in keys))
    )
    columns: list[exp.Expr] = [exp.column(key) for key in keys]
    for number, (name, is_zero_when_absent) in enumerate(features):
        at = exp.func("list_position", exp.column("places"), _number(number))
        held: exp.Expr = exp.func("list_extract", exp.column("held"), at)
        if is_zero_when_absent:
            held = exp.Nullif(this=exp.func("COALESCE", held, exp.cast(_number(0), "DOUBLE")), expression=nothing.copy())
        columns.append(exp.alias_(held, name, quoted=True))
    return exp.select(*columns).from_(grouped.subquery("grouped", copy=False), copy=False)


def widen(
    warehouse: Warehouse,
    long: exp.Table,
    wide: exp.Table,
    keys: Sequence[str],
    features: Sequence[tuple[str, bool]],
    order: Sequence[str],
) -> None:
    """Makes the table `wide`, in an `order` where one is given, of the pairs in `long`, in bounded memory (see `pivoted`)."""
    account = exp.column("account_key")
    counted = exp.select(exp.Count(this=exp.Star()), exp.Min(this=account), exp.Max(this=account)).from_(long)
    rows, first, last = warehouse.rows(counted)[0]
    parts = max(1, -(-rows // _ROWS_WIDENED))
    # keys are hashes: equal ranges of them hold about as many accounts
    bounds = [first + (last - first + 1) * part // parts for part in range(parts + 1)] if rows else [0, 0]
    for number, (since, until) in enumerate(pairwise(bounds)):
        of_part = exp.select("*").from_(long).where((account >= _number(since)) & (account < _number(until)))
        made = pivoted(of_part, keys, features)
        if order:
            made = made.order_by(*(exp.column(name) for name in order), copy=False)
        warehouse.execute(
            exp.Create(this=wide, kind="TABLE", expression=made) if number == 0 else exp.insert(made, wide, copy=False)
        )


def _list_of(value: exp.Expr, place: exp.Expr, name: str) -> exp.Expr:
    """The values of a group's known features as a list; two such lists are in the same order."""
    is_known = exp.Where(this=place.copy().is_(exp.null()).not_())
    return exp.alias_(exp.Filter(this=exp.ArrayAgg(this=value.copy()), expression=is_known), name)


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)
