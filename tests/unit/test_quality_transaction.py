"""A whole suite inside an open transaction: order, errors, and whose transaction it is."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from quality_scenario import BY_MONTH, HEADER, KEY, STAGED, counts, only, query, rule, staged_usage

from milestones_dagster.quality.audit import AuditError, audit
from milestones_dagster.quality.suites import SHAPE, Rule


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with staged_usage() as opened:
        yield opened


# the whole suite


def test_empty_table_passes_what_asks_about_rows(connection):
    connection.execute(f"DELETE FROM {STAGED}")
    rules = [*HEADER.values(), query("SELECT account_key FROM {batch}")]
    results = audit(connection, STAGED, rules, KEY)
    assert [counts(result) for result in results[1:]] == [(True, 0, 0, None)] * 4
    assert counts(only(connection, query(BY_MONTH, group_by="month"))) == (True, 0, 0, None)


def test_aggregate_of_no_rows_fails(connection):
    connection.execute(f"DELETE FROM {STAGED}")
    assert counts(only(connection, rule("expect_column_max_to_be_between", column="ratio", max_value=9))) == (
        False,
        1,
        1,
        1.0,
    )


def test_results_come_in_the_order_of_the_rules_one_each(connection):
    twins = [
        Rule(
            f"twin_{i}",
            "twin",
            "Twin",
            "expect_column_values_to_be_between",
            {"column": "resolved", "max_value": 8},
            "critical",
            i / 4,
            "",
            "product",
        )
        for i in range(3)
    ]
    rules = [*reversed(HEADER.values()), *twins, query("SELECT account_key FROM {batch} WHERE ratio > 5")]
    results = audit(connection, STAGED, rules, KEY)
    assert [result.rule for result in results] == rules
    assert [result.passed for result in results[-4:]] == [False, True, True, True]


def test_two_rules_of_one_name_raise(connection):
    same = rule("expect_table_row_count_to_be_between", min_value=1)
    with pytest.raises(AuditError, match="2 rules were written and 1 results came out"):
        audit(connection, STAGED, [same, same], KEY)


def test_relation_that_does_not_exist_raises(connection):
    with pytest.raises(AuditError, match=r"milestones\.nothing cannot be audited: Catalog Error"):
        audit(connection, "milestones.nothing", [HEADER[SHAPE]], KEY)
    with pytest.raises(AuditError, match="another catalog"):
        audit(connection, "memory.milestones.usage_ratio__staged", [HEADER[SHAPE]], KEY)


@pytest.mark.parametrize("create", ["TABLE", "TEMP TABLE", "VIEW", "TEMP VIEW"])
def test_relation_may_be_a_table_or_a_view_without_schema(connection, create):
    connection.execute(f"CREATE {create} here AS SELECT * FROM {STAGED}")
    results = audit(connection, "here", [*HEADER.values()], KEY)
    assert [counts(result)[:3] for result in results] == [(True, 0, 4)] + [(True, 0, 12)] * 3


@pytest.mark.parametrize(
    ("tried", "line"),
    [
        (query("SELECT nothing FROM {batch}"), 'Binder Error: Referenced column "nothing" not found in FROM clause!'),
        (
            rule("expect_column_values_to_be_between", column="nothing", max_value=1),
            'Error: The column "nothing" in BatchData does not exist.',
        ),
        (
            rule("expect_column_values_to_be_between", column="ratio", max_valeu=1),
            "max_valeu: extra fields not permitted",
        ),
        (rule("expect_column_values_to_be_betwixt", column="ratio"), "expect_column_values_to_be_betwixt not found"),
        (rule("expect_column_sum_to_be_between", column="month", max_value=1), "Binder Error: No function matches"),
    ],
    ids=["query", "column", "argument", "type", "aggregate"],
)
def test_rule_that_cannot_run_is_errored_and_the_others_are_not(connection, tried, line):
    good = HEADER["resolved_present"]
    bad, fine = audit(connection, STAGED, [tried, good], KEY)
    assert (bad.passed, bad.unexpected_count, bad.total_count, bad.share) == (False, 0, 0, None)
    assert bad.errored is not None
    assert bad.errored.startswith(line)
    assert counts(fine) == (True, 0, 12, 0.0)
    assert connection.execute(f"SELECT count(*) FROM {STAGED}").fetchone() == (12,)


def test_statement_that_aborts_the_transaction_is_named_and_nothing_passes(connection):
    abort = query("SELECT account_key FROM {batch} WHERE CAST('a' || resolved AS INTEGER) > 3")
    results = audit(connection, STAGED, [*HEADER.values(), abort], KEY)
    assert results[0].passed  # the shape is asked before
    assert not any(result.passed for result in results[1:])
    assert results[-1].errored == "Conversion Error: Could not convert string '…' to INT32"  # without the value
    assert {result.errored for result in results[1:-1]} == {
        f"not evaluated: a statement of this audit aborted the transaction: {results[-1].errored}"
    }
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_severity_reaches_the_library(connection):
    warning = Rule("w", "w", "W", "expect_table_row_count_to_be_between", {"min_value": 99}, "warning", 0.0, "", "product")
    result = only(connection, warning)
    assert (result.passed, result.rule.severity) == (False, "warning")


# the transaction


def test_uncommitted_rows_are_seen_and_the_transaction_stays_open(tmp_path: Path):
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as writer:
        writer.execute("CREATE SCHEMA milestones")
        writer.execute("CREATE TABLE milestones.published AS SELECT 1 AS account_key")
        reader = writer.cursor()
        writer.execute("BEGIN")
        before = writer.execute("SELECT txid_current()").fetchone()
        writer.execute(
            f"CREATE TABLE {STAGED} AS SELECT 5 AS account_key, DATE '2025-01-01' AS month, "
            "NULL::BIGINT AS resolved, 1.0::DOUBLE AS ratio"
        )
        writer.execute("INSERT INTO milestones.published VALUES (2)")
        results = audit(writer, STAGED, [*HEADER.values()], KEY)
        assert results[-1].unexpected_count == 1
        assert writer.execute("SELECT txid_current()").fetchone() == before
        # not committed: another connection sees the old rows alone
        assert reader.execute("SELECT count(*) FROM milestones.published").fetchone() == (1,)
        # not rolled back: this one still sees its own
        assert writer.execute("SELECT count(*) FROM milestones.published").fetchone() == (2,)
        writer.execute("ROLLBACK")
        assert writer.execute("SELECT count(*) FROM milestones.published").fetchone() == (1,)
        assert writer.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%staged'").fetchone() == (0,)
        assert writer.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchone() == (0,)


def test_audited_rows_can_be_committed(tmp_path: Path):
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as writer:
        writer.execute("CREATE SCHEMA milestones")
        writer.execute("BEGIN")
        writer.execute(
            f"CREATE TABLE {STAGED} AS SELECT 5 AS account_key, DATE '2025-01-01' AS month, "
            "1::BIGINT AS resolved, 1.0::DOUBLE AS ratio"
        )
        audit(writer, STAGED, [*HEADER.values()], KEY)
        writer.execute("COMMIT")
    with duckdb.connect(str(file), read_only=True) as reader:
        assert reader.execute(f"SELECT count(*) FROM {STAGED}").fetchone() == (1,)
        assert all(result.errored is None for result in audit(reader, STAGED, [*HEADER.values()], KEY))
