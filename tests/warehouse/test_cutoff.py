"""Early cutoff: when two sets of rows are the same, and which columns of a relation a SELECT reads.

Put here what decides that nothing is made again. Keep out what a run makes of it (`test_increments.py`, `test_evidence_months.py`).
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from milestones_dagster.warehouse import cutoff
from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.reading import columns_read
from milestones_dagster.warehouse.table import Relation

OBSERVATION = Relation("run", "observation")
COLUMNS = ("as_of", "as_of_date", "evidence_as_of")


def query(text: str) -> exp.Query:
    found = sqlglot.parse_one(text, dialect="duckdb")
    assert isinstance(found, exp.Query)
    return found


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        yield Warehouse(connection, tmp_path / "warehouse", {})


@pytest.mark.parametrize(
    ("rows", "is_same"),
    [
        ("(2, 'b'), (1, 'a'), (NULL, 'c')", True),
        ("(1, 'a'), (2, 'b'), (NULL, 'd')", False),
        ("(1, 'a'), (2, 'b'), (0, 'c')", False),
        ("(1, 'b'), (2, 'a'), (NULL, 'c')", False),
        ("(1, 'a'), (2, 'b'), (NULL, 'c'), (NULL, 'c')", False),
        ("(1, 'a'), (2, 'b')", False),
    ],
    ids=["another order", "another text", "a number for a NULL", "values changed places", "a row twice", "a row gone"],
)
def test_rows_have_the_same_signature_when_they_are_the_same_rows(warehouse: Warehouse, rows: str, is_same: bool) -> None:
    first, second = (
        cutoff.signature(warehouse, query(f"SELECT * FROM (VALUES {values}) AS v(number, name)"))
        for values in ("(1, 'a'), (2, 'b'), (NULL, 'c')", rows)
    )
    assert (first == second) is is_same


def test_no_rows_have_a_signature_too(warehouse: Warehouse) -> None:
    empty = query("SELECT 1 AS number WHERE FALSE")
    assert cutoff.signature(warehouse, empty) == cutoff.signature(warehouse, empty)
    assert cutoff.signature(warehouse, empty) != cutoff.signature(warehouse, query("SELECT 1 AS number"))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("SELECT a.x FROM accounts AS a CROSS JOIN run.observation AS o WHERE a.at < o.as_of", {"as_of"}),
        # a star of another relation, and a count of rows, name no column of it
        ("SELECT a.*, o.evidence_as_of FROM accounts AS a CROSS JOIN run.observation AS o", {"evidence_as_of"}),
        ("SELECT COUNT(*) AS n FROM accounts AS a JOIN run.observation AS o ON a.at < o.as_of_date", {"as_of_date"}),
        # its own star, a star of all, and a column that does not say whose it is
        ("SELECT o.* FROM run.observation AS o", set(COLUMNS)),
        ("SELECT * FROM accounts AS a CROSS JOIN run.observation AS o", set(COLUMNS)),
        ("SELECT x FROM accounts AS a CROSS JOIN run.observation AS o", set(COLUMNS)),
        # read in two places, one of them behind a name
        (
            "WITH t AS (SELECT o.as_of FROM run.observation AS o) SELECT t.as_of, p.as_of_date FROM t CROSS JOIN run.observation AS p",
            {"as_of", "as_of_date"},
        ),
        # another relation of that name is another one
        ("SELECT o.as_of FROM observation AS o", set()),
    ],
)
def test_the_columns_that_a_select_reads(text: str, read: set[str]) -> None:
    assert columns_read(query(text), OBSERVATION, COLUMNS) == read
