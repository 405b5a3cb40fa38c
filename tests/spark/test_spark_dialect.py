"""Every edge of the house dialect on Spark: the rows that `tests/warehouse/test_dialect.py` proves for DuckDB, worked out by hand."""

import pytest
import sqlglot
from spark_company import FEW_ROWS
from test_dialect import EDGES

from milestones_dagster.warehouse.dialect import DialectError
from milestones_dagster.warehouse.spark_dialect import spark_sql
from milestones_dagster.warehouse.spark_session import open_spark

pytestmark = pytest.mark.spark_sample
# a sum of BIGINT is wider on DuckDB; on Spark it is an error where it does not fit, never another number
REFUSED_THERE = {"SUM: beyond 64 bits"}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    session = open_spark("local[2]", FEW_ROWS, tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()


def collected(spark, query):
    return [tuple(row) for row in spark.sql(spark_sql(sqlglot.parse_one(query, dialect="duckdb"))).collect()]


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_an_edge_has_the_same_value_on_spark(spark, edge):
    if isinstance(edge.rows, str) or edge.name in REFUSED_THERE:
        with pytest.raises(Exception, match=r"\[[A-Z_.]+\]|An error occurred"):
            collected(spark, edge.query)
        return
    found = collected(spark, edge.query)
    assert found == edge.rows
    assert [[type(field) for field in row] for row in found] == [[type(field) for field in row] for row in edge.rows]


# each is parsed and run by Spark as sqlglot translates it, and means another thing there
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # decimals of few digits there: 1 / 86400.0 would be 0.000012 or so
        ("SELECT a / 86400.0 FROM (VALUES (1)) AS t(a)", [(1 / 86400,)]),
        ("SELECT 0.1 * a FROM (VALUES (CAST(3 AS BIGINT))) AS t(a)", [(0.1 * 3,)]),
        # the first of a property that comes twice; one with a quote or a bracket in its name
        ("""SELECT CAST('{"k": 1, "k": 2}' AS VARCHAR) ->> t.name FROM (VALUES ('k')) AS t(name)""", [("1",)]),
        ("""SELECT CAST('{"a''b]": "v"}' AS VARCHAR) ->> t.name FROM (VALUES ('a''b]')) AS t(name)""", [("v",)]),
        # STRING_AGG beside another DISTINCT cannot be planned by Spark's own LISTAGG
        ("SELECT STRING_AGG(DISTINCT a, ', ' ORDER BY a), COUNT(DISTINCT b) FROM (VALUES ('y', 1), ('x', 1)) AS t(a, b)", [("x, y", 1)]),
        # half an hour comes twice at Lord Howe
        ("SELECT CAST('2025-04-06 01:45:00' AS TIMESTAMP) AT TIME ZONE 'Australia/Lord_Howe' AT TIME ZONE 'UTC' = CAST('2025-04-05 15:15:00' AS TIMESTAMP)", [(True,)]),
    ],
)  # fmt: skip
def test_what_sqlglot_alone_translates_wrongly(spark, query, expected):
    assert collected(spark, query) == expected


@pytest.mark.parametrize("query", ["SELECT a AT TIME ZONE 'UTC' FROM t", "SELECT STRING_AGG(a, ', ') FROM t"])
def test_what_has_no_counterpart_is_refused(query):
    with pytest.raises(DialectError, match="write "):
        spark_sql(sqlglot.parse_one(query, dialect="duckdb"))
