"""Whether two warehouses hold the same rows: counts and sums of hashes, whatever the order of the rows.

Put here the comparison. Keep out who made the warehouses.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
from sqlglot import exp

from milestones_dagster.warehouse.table import Table

FLOAT_DIGITS = 9
"""Sums of floats depend on the order of their terms: floats are compared to so many significant digits."""


def fingerprints(warehouse: Path, tables: Mapping[str, Table], names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Rows and sum of row hashes of tables by name; `raw_events` is read from its day files."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {name: _fingerprint(connection, warehouse, tables[name]) for name in names}


def _fingerprint(connection: duckdb.DuckDBPyConnection, warehouse: Path, table: Table) -> tuple[int, int]:
    columns = [
        rounded(exp.column(column.name, quoted=True)) if column.type == "DOUBLE" else exp.column(column.name, quoted=True)
        for column in table.columns
    ]
    hashed = exp.func("hash", *columns)
    relation: exp.Table = exp.table_(table.name, db=table.schema, quoted=True)
    if table.name == "raw_events":
        # a limit writes more than one file of a day, in folders; an empty file may hold the columns of no day
        files = exp.Literal.string(f"{warehouse.with_suffix('')}/raw_events/**/*.parquet")
        relation = exp.Table(
            this=exp.func("read_parquet", files, exp.EQ(this=exp.to_identifier("hive_partitioning"), expression=exp.false()))
        )
    query = exp.select(exp.Count(this=exp.Star()), exp.Sum(this=exp.cast(hashed, "HUGEINT"))).from_(relation)
    row = connection.execute(query.sql(dialect="duckdb")).fetchone()
    return (int(row[0]), int(row[1] or 0)) if row else (0, 0)


def rounded(value: exp.Expr) -> exp.Expr:
    """The float in so many significant digits, as text."""
    return exp.func("printf", exp.Literal.string(f"%.{FLOAT_DIGITS}g"), value)
