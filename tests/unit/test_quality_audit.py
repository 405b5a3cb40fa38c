"""Rules of the header and native expectations: count, total, share and sample of rows that pass and that fail."""

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest
from quality_scenario import HEADER, KEY, STAGED, counts, keys_of, only, rule, staged_usage

from milestones_dagster.quality.audit import audit
from milestones_dagster.quality.suites import KEYS_PRESENT, KEYS_UNIQUE, SHAPE


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with staged_usage() as opened:
        yield opened


PRESENT = "expect_column_values_to_not_be_null"


# header


def test_shape_passes_as_declared(connection):
    assert counts(only(connection, HEADER[SHAPE])) == (True, 0, 4, 0.0)


@pytest.mark.parametrize(
    ("change", "count", "total", "differing"),
    [
        ("DROP COLUMN resolved", 1, 4, [("resolved", "BIGINT", "absent")]),
        ("ADD COLUMN extra TEXT", 1, 5, [("extra", "absent", "VARCHAR")]),
        ("ALTER COLUMN resolved TYPE INTEGER", 1, 4, [("resolved", "BIGINT", "INTEGER")]),
        ("RENAME COLUMN ratio TO ratios", 2, 5, [("ratio", "DOUBLE", "absent"), ("ratios", "absent", "DOUBLE")]),
    ],
)
def test_shape_tells_each_difference(connection, change, count, total, differing):
    connection.execute(f"ALTER TABLE {STAGED} {change}")
    result = only(connection, HEADER[SHAPE])
    assert counts(result) == (False, count, total, count / total)
    assert [tuple(sample.values()) for sample in result.sample_keys] == differing
    assert not result.sample_truncated


def test_shape_tells_the_order(connection):
    connection.execute(f"CREATE VIEW swapped AS SELECT month, account_key, resolved, ratio FROM {STAGED}")
    (result,) = audit(connection, "swapped", [HEADER[SHAPE]], KEY)
    assert counts(result) == (False, 2, 4, 0.5)
    assert result.sample_keys[0] == {"column": "account_key", "declared": "BIGINT, place 1", "found": "BIGINT, place 2"}


def test_shape_shows_five_differences_of_more(connection):
    connection.execute("CREATE VIEW bare AS SELECT 1 AS a, 2 AS b")
    (result,) = audit(connection, "bare", [HEADER[SHAPE]], KEY)
    assert (result.unexpected_count, len(result.sample_keys), result.sample_truncated) == (6, 5, True)


def test_keys_unique_passes(connection):
    assert counts(only(connection, HEADER[KEYS_UNIQUE])) == (True, 0, 12, 0.0)


def test_keys_unique_counts_all_rows_of_a_repeated_composite_key(connection):
    connection.execute(f"INSERT INTO {STAGED} SELECT * FROM {STAGED} WHERE account_key IN (4, 2)")
    connection.execute(f"INSERT INTO {STAGED} SELECT 4, DATE '2025-02-01', 0, 0")
    result = only(connection, HEADER[KEYS_UNIQUE])
    assert counts(result) == (False, 4, 15, 4 / 15)
    assert (result.sample_keys, result.sample_truncated) == (keys_of(2, 4), False)


def test_keys_unique_takes_null_for_equal_to_null(connection):
    connection.execute(f"UPDATE {STAGED} SET account_key = NULL WHERE account_key < 2")
    result = only(connection, HEADER[KEYS_UNIQUE])
    assert counts(result) == (False, 2, 12, 2 / 12)
    assert result.sample_keys == [{"account_key": "NULL", "month": "2025-01-01"}]


def test_keys_present(connection):
    assert counts(only(connection, HEADER[KEYS_PRESENT])) == (True, 0, 12, 0.0)
    connection.execute(f"UPDATE {STAGED} SET month = NULL WHERE account_key = 7")
    connection.execute(f"UPDATE {STAGED} SET account_key = NULL WHERE account_key = 3")
    result = only(connection, HEADER[KEYS_PRESENT])
    assert counts(result) == (False, 2, 12, 2 / 12)
    assert result.sample_keys == [{"account_key": "7", "month": "NULL"}, {"account_key": "NULL", "month": "2025-01-01"}]


def test_not_null_column(connection):
    assert counts(only(connection, HEADER["resolved_present"])) == (True, 0, 12, 0.0)
    connection.execute(f"UPDATE {STAGED} SET resolved = NULL WHERE account_key IN (9, 5)")
    result = only(connection, HEADER["resolved_present"])
    assert counts(result) == (False, 2, 12, 2 / 12)
    assert (result.sample_keys, result.sample_truncated) == (keys_of(5, 9), False)


@pytest.mark.parametrize("emptied", ["", "ratio IS NULL", "TRUE"])
def test_columns_asked_together_are_judged_as_each_alone(connection, emptied):
    connection.execute(f"UPDATE {STAGED} SET month = NULL WHERE account_key < 7")
    if emptied:
        connection.execute(f"DELETE FROM {STAGED} WHERE {emptied}")
    rules = [
        replace(rule(PRESENT, column=column, bound=0.5), name=f"{column}_present") for column in ("ratio", "month", "resolved")
    ]
    together = audit(connection, STAGED, [HEADER[SHAPE], *rules], KEY)[1:]
    assert together == [audit(connection, STAGED, [one], KEY)[0] for one in rules]
    rows = {"": 12, "ratio IS NULL": 11, "TRUE": 0}[emptied]
    assert [result.total_count for result in together] == [rows] * 3
    assert [result.unexpected_count for result in together] == [rows - 11 if rows else 0, 7 if rows else 0, 0]
    assert [result.passed for result in together] == [True, not rows, True]


def test_a_column_that_is_not_there_takes_no_other_with_it(connection):
    connection.execute(f"UPDATE {STAGED} SET month = NULL WHERE account_key = 3")
    connection.execute(f"ALTER TABLE {STAGED} RENAME COLUMN resolved TO answered")
    rules = [replace(rule(PRESENT, column=column), name=f"{column}_present") for column in ("ratio", "month", "resolved")]
    ratio, month, resolved = audit(connection, STAGED, rules, KEY)
    assert (counts(ratio), counts(month)) == ((False, 1, 12, 1 / 12), (False, 1, 12, 1 / 12))
    assert month.sample_keys == [{"account_key": "3", "month": "NULL"}]
    (alone,) = audit(connection, STAGED, [rules[2]], KEY)
    assert resolved == alone
    assert "resolved" in (resolved.errored or "")


# native expectations


@pytest.mark.parametrize(
    ("passing", "failing", "count", "total", "sample"),
    [
        (
            rule("expect_column_values_to_be_between", column="ratio", min_value=0),
            rule("expect_column_values_to_be_between", column="ratio", max_value=4),
            2,
            11,  # the NULL is not looked at
            (9, 10),
        ),
        (
            rule("expect_column_values_to_be_in_set", column="resolved", value_set=list(range(12))),
            rule("expect_column_values_to_be_in_set", column="resolved", value_set=[0, 1, 2, 3, 4, 5, 6, 7]),
            4,
            12,
            (8, 9, 10, 11),
        ),
        (
            rule(
                "expect_column_pair_values_a_to_be_greater_than_b",
                column_A="resolved",
                column_B="account_key",
                or_equal=True,
            ),
            rule("expect_column_pair_values_a_to_be_greater_than_b", column_A="account_key", column_B="resolved"),
            12,
            12,
            (0, 1, 2, 3, 4),
        ),
        (
            rule("expect_compound_columns_to_be_unique", column_list=["account_key", "resolved"]),
            rule("expect_compound_columns_to_be_unique", column_list=["month", "month"]),
            12,
            12,
            (0, 1, 2, 3, 4),
        ),
        (
            rule("expect_column_values_to_be_unique", column="resolved"),
            rule("expect_column_values_to_be_unique", column="month"),
            12,
            12,
            (0, 1, 2, 3, 4),
        ),
    ],
    ids=["between", "in_set", "pair", "compound", "unique"],
)
def test_expectation_over_rows(connection, passing, failing, count, total, sample):
    passed, unexpected, _, _ = counts(only(connection, passing))
    assert (passed, unexpected) == (True, 0)
    result = only(connection, failing)
    assert counts(result) == (False, count, total, count / total)
    assert (result.sample_keys, result.sample_truncated) == (keys_of(*sample), count > 5)


def test_expectation_over_the_table_counts_one_of_one(connection):
    passed = only(connection, rule("expect_table_row_count_to_be_between", min_value=12))
    failed = only(connection, rule("expect_table_row_count_to_be_between", max_value=11))
    assert (counts(passed), passed.observed) == ((True, 0, 1, 0.0), 12)
    assert (counts(failed), failed.observed) == ((False, 1, 1, 1.0), 12)
    assert failed.sample_keys == []


def test_bound_is_inclusive_and_exact(connection):
    # 3 of 10: neither 1 - 0.3 nor 0.3 times 10 would be exact
    connection.execute(f"DELETE FROM {STAGED} WHERE account_key > 9")
    three = {"column": "resolved", "min_value": 3}
    at = only(connection, rule("expect_column_values_to_be_between", bound=0.3, **three))
    below = only(connection, rule("expect_column_values_to_be_between", bound=0.2999999, **three))
    assert counts(at) == (True, 3, 10, 0.3)
    assert at.sample_keys == keys_of(0, 1, 2)
    assert counts(below) == (False, 3, 10, 0.3)
