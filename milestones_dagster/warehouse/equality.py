"""Whether two warehouses hold the same rows: of two engines, two machines, or a rebuild beside what grew day by day.

Put here the comparison: counts and sums of hashes, whatever the order of the rows. Keep out who made the warehouses and how they
are opened.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from milestones_dagster.warehouse.duckdb import DIALECT, published
from milestones_dagster.warehouse.table import Table

FLOAT_DIGITS = 9
"""Sums of floats depend on the order of their terms: floats are compared to so many significant digits."""


class NoWarehouseError(Exception):
    """A DuckDB file in which nothing was ever published; the sentence names it."""


@dataclass(frozen=True)
class Compared:
    """How one table compares: `rows` of the first warehouse, and in which words it differs, none where it is the same.

    `remembers` says that the table holds what earlier runs found, so that warehouses with other histories may differ in it.
    """

    table: str
    rows: int
    difference: str
    remembers: bool


def compare(one: duckdb.DuckDBPyConnection, other: duckdb.DuckDBPyConnection, tables: Mapping[str, Table]) -> list[Compared]:
    """Compares every table that one of two warehouses has published, in the order of `tables`.

    Raises:
        NoWarehouseError: a file has no publications.
    """
    here, there = _publications(one), _publications(other)
    return [
        Compared(name, here.get(name, there.get(name, _NEVER)).rows, _difference(one, other, table, here, there), table.keeps)
        for name, table in tables.items()
        if name in here or name in there
    ]


@dataclass(frozen=True)
class _Publication:
    as_of: str
    fingerprint: str
    rows: int


_NEVER = _Publication("", "", 0)
# days are published one by one, and of no as-of time
_PUBLISHED = """
SELECT table_name, coalesce(strftime(as_of, '%Y-%m-%d %H:%M'), ''), fingerprint, row_count FROM operations.publications
UNION ALL SELECT 'raw_events', '', '', sum(rows) FROM operations.days HAVING count(*) > 0
"""
_OPENED = "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"


def _publications(connection: duckdb.DuckDBPyConnection) -> dict[str, _Publication]:
    try:
        rows = connection.execute(_PUBLISHED).fetchall()
    except duckdb.CatalogException as error:
        (path,) = connection.execute(_OPENED).fetchone() or ("",)
        raise NoWarehouseError(f"{path} is no warehouse of this product: it has no operations.publications") from error
    return {name: _Publication(as_of, fingerprint, int(count)) for name, as_of, fingerprint, count in rows}


def _difference(
    one: duckdb.DuckDBPyConnection,
    other: duckdb.DuckDBPyConnection,
    table: Table,
    here: Mapping[str, _Publication],
    there: Mapping[str, _Publication],
) -> str:
    if table.name not in here or table.name not in there:
        return "only here" if table.name in here else "only in the other"
    mine, theirs = here[table.name], there[table.name]
    if mine.as_of != theirs.as_of:
        return f"as of {mine.as_of}, in the other {theirs.as_of}"
    if mine.fingerprint != theirs.fingerprint:
        return "made under two versions of the framework"
    relation = published(table)
    shapes = [_shape(connection, relation) for connection in (one, other)]
    if shapes[0] != shapes[1]:
        names = sorted({name for name, _ in set(shapes[0]) ^ set(shapes[1])})
        return f"other columns or types: {', '.join(names)}" if names else "columns in another order"
    # of the rows as they stand: a config may have other features since
    columns = shapes[0]
    if fingerprint(one, relation, columns) == fingerprint(other, relation, columns):
        return ""
    return _told(table, columns, [_by_column(connection, table, columns) for connection in (one, other)])


def _told(table: Table, columns: Sequence[tuple[str, str]], found: Sequence[Sequence[Any]]) -> str:
    (count, keys, *values), (count_there, keys_there, *values_there) = found
    if count != count_there:
        return f"{count_there:,} rows in the other"
    if keys != keys_there:
        return f"rows of another {', '.join(table.key)}"
    differing = [name for (name, _), mine, theirs in zip(columns, values, values_there, strict=True) if mine != theirs]
    return f"values of {', '.join(differing)}"


def fingerprint(connection: duckdb.DuckDBPyConnection, relation: exp.Table, columns: Iterable[tuple[str, str]]) -> tuple[int, int]:
    """Rows of a relation and the sum of their hashes, over `columns` (name and type)."""
    query = exp.select(exp.Count(this=exp.Star()), _hashed(columns)).from_(relation)
    row = connection.execute(query.sql(dialect=DIALECT)).fetchone()
    return (int(row[0]), int(row[1] or 0)) if row else (0, 0)


def _by_column(connection: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[tuple[str, str]]) -> Sequence[Any]:
    """Rows, the fingerprint of the keys, and that of every column with them."""
    keys = [column for column in columns if column[0] in table.key]
    sums = [_hashed(keys), *(_hashed([*keys, column]) for column in columns)]
    query = exp.select(exp.Count(this=exp.Star()), *sums).from_(published(table))
    return connection.execute(query.sql(dialect=DIALECT)).fetchone() or ()


def _hashed(columns: Iterable[tuple[str, str]]) -> exp.Expr:
    named = [(exp.column(name, quoted=True), kind) for name, kind in columns]
    values = [_rounded(column) if kind == "DOUBLE" else column for column, kind in named]
    return exp.Sum(this=exp.cast(exp.func("hash", *values), "HUGEINT"))


def _shape(connection: duckdb.DuckDBPyConnection, relation: exp.Table) -> list[tuple[str, str]]:
    described = exp.Describe(this=relation.copy()).sql(dialect=DIALECT)
    return [(row[0], row[1]) for row in connection.execute(described).fetchall()]


def _rounded(value: exp.Expr) -> exp.Expr:
    """The float in so many significant digits, as text; 0 and -0 are one number."""
    return exp.func("printf", exp.Literal.string(f"%.{FLOAT_DIGITS}g"), value + exp.cast(exp.Literal.number(0), "DOUBLE"))
