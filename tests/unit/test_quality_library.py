"""What this project relies on in great-expectations and duckdb-sqlalchemy, and the traps it works around.

A test that fails here after an upgrade says which workaround, or which list of names, is to be looked at again.
"""

import gc
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from duckdb_sqlalchemy import ConnectionWrapper

from milestones_dagster.quality.audit import AuditError, audit
from milestones_dagster.quality.expectation_types import (
    ROW_TYPES,
    SQL_TYPE,
    SUPPORTED_TYPES,
    TABLE_TYPES,
    UNSUPPORTED_TYPES,
)
from milestones_dagster.quality.suites import QUERY, Rule

KEY = ("k",)

# arguments under which every expectation fails on the rows of `connection`
FAILING: dict[str, dict[str, Any]] = {
    "expect_column_distinct_values_to_be_in_set": {"column": "n", "value_set": [1]},
    "expect_column_distinct_values_to_contain_set": {"column": "n", "value_set": [99]},
    "expect_column_distinct_values_to_equal_set": {"column": "n", "value_set": [1]},
    "expect_column_kl_divergence_to_be_less_than": {
        "column": "s",
        "partition_object": {"values": ["x1", "x2"], "weights": [0.5, 0.5]},
        "threshold": 0.1,
    },
    "expect_column_max_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_mean_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_median_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_min_to_be_between": {"column": "n", "min_value": 1},
    "expect_column_most_common_value_to_be_in_set": {"column": "n", "value_set": [99]},
    "expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "n", "column_B": "k"},
    "expect_column_pair_values_to_be_equal": {"column_A": "n", "column_B": "k"},
    "expect_column_pair_values_to_be_in_set": {"column_A": "n", "column_B": "k", "value_pairs_set": [[1, 1]]},
    "expect_column_proportion_of_non_null_values_to_be_between": {"column": "gap", "min_value": 1},
    "expect_column_proportion_of_unique_values_to_be_between": {"column": "n", "min_value": 1},
    "expect_column_quantile_values_to_be_between": {
        "column": "k",
        "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]},
    },
    "expect_column_stdev_to_be_between": {"column": "k", "max_value": 0.1},
    "expect_column_sum_to_be_between": {"column": "k", "max_value": 0.1},
    "expect_column_to_exist": {"column": "nothing"},
    "expect_column_type_to_be": {"column": "n", "type_": "VARCHAR"},
    "expect_column_unique_value_count_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_value_lengths_to_be_between": {"column": "s", "max_value": 1},
    "expect_column_value_lengths_to_equal": {"column": "s", "value": 1},
    "expect_column_value_z_scores_to_be_less_than": {"column": "k", "threshold": 0.1, "double_sided": True},
    "expect_column_values_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_values_to_be_in_set": {"column": "n", "value_set": [1]},
    "expect_column_values_to_be_in_type_list": {"column": "n", "type_list": ["VARCHAR"]},
    "expect_column_values_to_be_null": {"column": "n"},
    "expect_column_values_to_be_of_type": {"column": "n", "type_": "VARCHAR"},
    "expect_column_values_to_be_unique": {"column": "n"},
    "expect_column_values_to_not_be_in_set": {"column": "n", "value_set": [1]},
    "expect_column_values_to_not_be_null": {"column": "gap"},
    "expect_compound_columns_to_be_unique": {"column_list": ["n", "one"]},
    "expect_multicolumn_sum_to_equal": {"column_list": ["n", "k"], "sum_total": 3},
    "expect_multicolumn_values_to_be_equal": {"column_list": ["n", "k"]},
    "expect_select_column_values_to_be_unique_within_record": {"column_list": ["n", "k"]},
    "expect_table_column_count_to_be_between": {"max_value": 1},
    "expect_table_column_count_to_equal": {"value": 1},
    "expect_table_columns_to_match_ordered_list": {"column_list": ["n"]},
    "expect_table_columns_to_match_set": {"column_set": ["n"]},
    "expect_table_row_count_to_be_between": {"max_value": 1},
    "expect_table_row_count_to_equal": {"value": 1},
    "expect_table_row_count_to_equal_other_table": {"other_table_name": "other"},
    SQL_TYPE: {QUERY: "SELECT k FROM {batch}"},
}

REFUSED: dict[str, dict[str, Any]] = {
    "expect_column_values_to_be_dateutil_parseable": {"column": "s"},
    "expect_column_values_to_be_decreasing": {"column": "n"},
    "expect_column_values_to_be_increasing": {"column": "n"},
    "expect_column_values_to_be_json_parseable": {"column": "s"},
    "expect_column_values_to_match_json_schema": {"column": "s", "json_schema": {"type": "object"}},
    "expect_column_values_to_match_like_pattern": {"column": "s", "like_pattern": "x%"},
    "expect_column_values_to_match_like_pattern_list": {"column": "s", "like_pattern_list": ["x%"]},
    "expect_column_values_to_match_regex": {"column": "s", "regex": "^x"},
    "expect_column_values_to_match_regex_list": {"column": "s", "regex_list": ["^x"]},
    "expect_column_values_to_match_strftime_format": {"column": "s", "strftime_format": "%Y"},
    "expect_column_values_to_not_be_outliers": {"column": "k", "method": "iqr", "multiplier": 0.1},
    "expect_column_values_to_not_match_like_pattern": {"column": "s", "like_pattern": "x%"},
    "expect_column_values_to_not_match_like_pattern_list": {"column": "s", "like_pattern_list": ["x%"]},
    "expect_column_values_to_not_match_regex": {"column": "s", "regex": "^x"},
    "expect_column_values_to_not_match_regex_list": {"column": "s", "regex_list": ["^x"]},
    "expect_query_results_to_match_comparison": {
        "base_query": "SELECT 1",
        "comparison_data_source_name": "other",
        "comparison_query": "SELECT 2",
    },
}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Forty rows: k counts, n repeats 0 to 6, s is text, gap is NULL in all but four rows, one is 1."""
    with duckdb.connect() as opened:
        opened.execute(
            "CREATE TABLE t AS SELECT i AS k, i % 7 AS n, 'x' || i AS s, CASE WHEN i < 4 THEN 1 END AS gap, 1 AS one "
            "FROM range(40) AS rows(i)"
        )
        opened.execute("CREATE TABLE other AS SELECT 1 AS k")
        yield opened


def tried(expectation_type: str, kwargs: dict[str, Any]) -> Rule:
    return Rule("tried", "tried", "Tried", expectation_type, kwargs, "critical", 0.0, "", "product")


def test_known_types_are_those_that_the_library_registers():
    code = (
        "from great_expectations.expectations.registry import list_registered_expectation_implementations as names\n"
        "import sys\n"
        "sys.stdout.write(' '.join(names()))\n"
    )
    # apart, because the audit registers a type of its own
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8")  # noqa: S603
    assert sorted(run.stdout.split()) == sorted(SUPPORTED_TYPES | set(UNSUPPORTED_TYPES))
    assert not SUPPORTED_TYPES & set(UNSUPPORTED_TYPES)
    assert not ROW_TYPES & TABLE_TYPES


@pytest.mark.parametrize("expectation_type", sorted(SUPPORTED_TYPES))
def test_supported_type_runs_on_duckdb_and_fails_with_counts(connection, expectation_type):
    connection.execute("BEGIN")
    (result,) = audit(connection, "t", [tried(expectation_type, FAILING[expectation_type])], KEY)
    assert (result.errored, result.passed) == (None, False)
    assert result.unexpected_count > 0
    if expectation_type in TABLE_TYPES:
        assert (result.unexpected_count, result.total_count, result.sample_keys) == (1, 1, [])
        return
    assert 1 < result.total_count <= 40
    assert len(result.sample_keys) == min(5, result.unexpected_count)
    assert all(set(sample) == {"k"} for sample in result.sample_keys)
    shown = [int(sample["k"]) for sample in result.sample_keys]
    assert shown == sorted(shown)
    assert result.sample_truncated == (result.unexpected_count > 5)


@pytest.mark.parametrize("expectation_type", sorted(UNSUPPORTED_TYPES))
def test_unsupported_type_does_not_run_on_duckdb(connection, expectation_type):
    (result,) = audit(connection, "t", [tried(expectation_type, REFUSED[expectation_type])], KEY)
    assert result.errored
    assert not result.passed


def test_library_drops_a_misspelt_type_and_the_suite_passes(caplog):
    import great_expectations as gx

    with caplog.at_level(logging.ERROR, logger="great_expectations"):
        suite = gx.ExpectationSuite(name="s", expectations=[{"type": "expect_column_to_exits", "kwargs": {"column": "k"}}])
    assert suite.expectations == []


def test_dropped_rule_raises(connection, monkeypatch):
    from great_expectations.validator.validator import Validator

    monkeypatch.setattr(Validator, "graph_validate", lambda *_args, **_kwargs: [])
    with pytest.raises(AuditError, match="great-expectations dropped the rules tried"):
        audit(connection, "t", [tried("expect_table_row_count_to_equal", {"value": 40})], KEY)


def test_library_takes_repeated_keys_with_a_null_for_unique(connection):
    # so `keys_unique` is a query of ours
    kwargs = {"column_list": ["n", "gap"]}
    (result,) = audit(connection, "t", [tried("expect_compound_columns_to_be_unique", kwargs)], KEY)
    assert result.passed
    assert connection.execute("SELECT count(*) FROM (SELECT n, gap FROM t GROUP BY ALL HAVING count(*) > 1)").fetchone() == (7,)


def test_column_without_any_value_is_not_vacuously_present(connection):
    # the library calls most other expectations about such a column true: they look at no row
    connection.execute("CREATE TABLE hollow AS SELECT k, NULL::BIGINT AS n FROM t")
    (result,) = audit(connection, "hollow", [tried("expect_column_values_to_not_be_null", {"column": "n"})], KEY)
    assert (result.passed, result.unexpected_count, result.total_count) == (False, 40, 40)


def test_failed_aggregate_takes_no_other_rule_with_it(connection):
    connection.execute("BEGIN")
    good = [
        Rule(
            f"good_{i}",
            "g",
            "G",
            "expect_column_values_to_not_be_null",
            {"column": column},
            "critical",
            0.0,
            "",
            "product",
        )
        for i, column in enumerate(("k", "n", "s"))
    ]
    bad = tried("expect_column_sum_to_be_between", {"column": "s", "max_value": 1})
    results = audit(connection, "t", [*good, bad], KEY)
    assert [result.passed for result in results] == [True, True, True, False]
    assert [result.errored is None for result in results] == [True, True, True, False]


def test_library_closes_the_connection_it_was_lent_and_the_audit_does_not(connection):
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine

    lent = connection.cursor()
    engine = sa.create_engine("duckdb://", creator=lambda: ConnectionWrapper(lent), poolclass=sa.pool.StaticPool)
    execution = SqlAlchemyExecutionEngine(engine=engine)
    execution.execute_query(sa.text("SELECT 1"))
    del execution
    gc.collect()
    with pytest.raises(duckdb.ConnectionException):
        lent.execute("SELECT 1")

    connection.execute("BEGIN")
    for _ in range(3):
        audit(connection, "t", [tried("expect_table_row_count_to_equal", {"value": 40})], KEY)
        gc.collect()
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (40,)
    connection.execute("COMMIT")


def test_failed_statement_aborts_a_duckdb_transaction_and_a_misnamed_column_does_not(connection):
    connection.execute("BEGIN")
    with pytest.raises(duckdb.BinderException):
        connection.execute("SELECT nothing FROM t")
    connection.execute("SELECT 1")
    with pytest.raises(duckdb.ConversionException):
        connection.execute("SELECT CAST(s AS INTEGER) FROM t").fetchall()
    with pytest.raises(duckdb.TransactionException, match="aborted"):
        connection.execute("SELECT 1")


def test_audit_is_silent(connection, capfd, caplog):
    rules = [
        tried(SQL_TYPE, {QUERY: "SELECT k FROM {batch}"}),
        Rule("bad", "b", "B", SQL_TYPE, {QUERY: "SELECT nothing FROM {batch}"}, "critical", 0.0, "", "product"),
    ]
    with caplog.at_level(logging.INFO):
        audit(connection, "t", rules, KEY)
    out, err = capfd.readouterr()
    assert (out, err, caplog.messages) == ("", "", [])


def test_audit_uses_no_network():
    code = (
        "import socket, duckdb\n"
        "def refuse(*_args, **_kwargs):\n"
        "    raise AssertionError('the network was asked')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from milestones_dagster.quality.audit import audit\n"
        "from milestones_dagster.quality.suites import Rule\n"
        "connection = duckdb.connect()\n"
        "connection.execute('CREATE TABLE t AS SELECT 1 AS k')\n"
        "rule = Rule('r', 'r', 'R', 'expect_table_row_count_to_equal', {'value': 1}, 'critical', 0.0, '', 'product')\n"
        "assert audit(connection, 't', [rule], ('k',))[0].passed\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, encoding="utf-8")  # noqa: S603
    assert (run.returncode, run.stderr) == (0, "")
