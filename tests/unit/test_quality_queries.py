"""Rules that are queries, and rules that judge every group by itself: count, total, share, sample and groups."""

from collections.abc import Iterator

import duckdb
import pytest
from quality_scenario import BY_MONTH, KEY, STAGED, counts, keys_of, only, query, rule, staged_usage

from milestones_dagster.quality.audit import audit
from milestones_dagster.quality.suites import Rule


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with staged_usage() as opened:
        yield opened


# queries


def test_query_rule(connection):
    assert counts(only(connection, query("SELECT account_key, month FROM {batch} WHERE ratio < 0"))) == (
        True,
        0,
        12,
        0.0,
    )
    result = only(connection, query("SELECT month, account_key, ratio FROM {batch} WHERE resolved >= 4"))
    assert counts(result) == (False, 8, 12, 8 / 12)
    assert (result.sample_keys, result.sample_truncated) == (keys_of(4, 5, 6, 7, 8), True)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM {batch} AS b WHERE b.resolved IN (2, 3)",
        "SELECT batch.account_key, batch.month FROM {batch} WHERE batch.resolved IN (2, 3) -- said twice",
        "SELECT a.account_key, a.month FROM {batch} a JOIN {batch} b USING (account_key) WHERE b.resolved IN (2, 3)",
        "WITH two AS (SELECT * FROM {batch} WHERE resolved IN (2, 3)) SELECT account_key, month FROM two",
        "SELECT account_key FROM {batch} WHERE resolved = 2 UNION SELECT account_key FROM {batch} WHERE resolved = 3",
        "SELECT account_key, month FROM {batch} WHERE regexp_matches(resolved::VARCHAR, '^[23]{{1}}$')",
        "SELECT account_key FROM {batch} WHERE resolved IN (2, 3) AND [1, 2][:2] = [1, 2] AND 'a :b' LIKE '%:b'",
        "SELECT account_key FROM {batch} WHERE (struct_pack(n := resolved)).n IN (2, 3) AND {{'x': 1}} IS NOT NULL",
    ],
    ids=["alias", "comment", "join", "with", "union", "brace", "colon", "struct"],
)
def test_query_may_be_written_in_any_form(connection, text):
    result = only(connection, query(text))
    assert counts(result) == (False, 2, 12, 2 / 12)
    assert [sample["account_key"] for sample in result.sample_keys] == ["2", "3"]


def test_query_may_name_other_tables(connection):
    connection.execute("CREATE TABLE milestones.accounts AS SELECT 0 AS account_key")
    text = "SELECT account_key FROM {batch} AS b ANTI JOIN milestones.accounts AS a USING (account_key)"
    assert counts(only(connection, query(text))) == (False, 11, 12, 11 / 12)


def test_total_is_the_denominator(connection):
    total = "SELECT count(*) FROM {batch} WHERE resolved >= 2"
    text = "SELECT account_key, month FROM {batch} WHERE resolved >= 8"
    assert counts(only(connection, query(text, total=total, bound=0.4))) == (True, 4, 10, 0.4)
    assert counts(only(connection, query(text, total=total, bound=0.39))) == (False, 4, 10, 0.4)
    nothing = "SELECT count(*) FROM {batch} WHERE resolved > 99"
    assert counts(only(connection, query(text, total=nothing, bound=0.9))) == (False, 4, 0, None)


def test_sample_holds_keys_and_never_the_checked_value(connection):
    result = only(connection, query("SELECT ratio, account_key FROM {batch} WHERE resolved = 5"))
    assert result.sample_keys == [{"account_key": "5"}]


def test_product_query_without_keys_names_what_it_is_about(connection):
    text = "SELECT step FROM (VALUES ('invite')) AS steps(step) WHERE step NOT IN (SELECT 'none' FROM {batch})"
    asked = query(text, total="SELECT 4 FROM {batch} LIMIT 1")
    assert only(connection, asked).sample_keys == [{"step": "invite"}]
    company = Rule("own", "own", "Own", asked.type, asked.kwargs, "critical", 0.0, "", "company")
    result = only(connection, company)
    assert (result.passed, result.sample_keys, result.sample_truncated) == (False, [], True)


def test_counts_beyond_two_hundred_are_exact(connection):
    connection.execute(f"INSERT INTO {STAGED} SELECT i, DATE '2025-02-01', 99, 1 FROM range(100_000) AS more(i)")
    high = only(connection, query("SELECT account_key, month FROM {batch} WHERE resolved = 99"))
    assert counts(high) == (False, 100_000, 100_012, 100_000 / 100_012)
    assert [sample["account_key"] for sample in high.sample_keys] == ["0", "1", "2", "3", "4"]
    native = only(connection, rule("expect_column_values_to_be_in_set", column="resolved", value_set=list(range(12))))
    assert counts(native) == counts(high)


def test_sample_does_not_depend_on_the_order_of_rows(connection):
    connection.execute(f"CREATE TABLE reversed AS SELECT * FROM {STAGED} ORDER BY account_key DESC")
    for tried in (
        query("SELECT account_key, month FROM {batch}"),
        rule("expect_column_values_to_be_between", column="resolved", max_value=-1),
    ):
        (result,) = audit(connection, "reversed", [tried], KEY)
        assert result.sample_keys == keys_of(0, 1, 2, 3, 4)


# groups


def test_group_is_judged_by_itself(connection):
    connection.execute(f"INSERT INTO {STAGED} SELECT i, DATE '2025-02-01', 0, 0 FROM range(100) AS more(i)")
    connection.execute(f"INSERT INTO {STAGED} SELECT i, DATE '2025-03-01', 9, 0 FROM range(2) AS more(i)")
    passed = only(connection, query(BY_MONTH, group_by="month", bound=1.0))
    assert counts(passed) == (True, 5, 114, 5 / 114)
    assert passed.groups == []
    failed = only(connection, query(BY_MONTH, group_by="month", bound=0.25))
    assert counts(failed) == (False, 5, 114, 5 / 114)
    assert failed.groups == [{"month": "2025-03-01", "unexpected_count": 2, "total_count": 2, "share": 1.0}]
    assert (failed.sample_keys, failed.sample_truncated) == ([{"month": "2025-03-01"}], False)


def test_groups_with_a_total_are_the_parts_of_one_whole(connection):
    # of twelve, 0 to 11: three of size 3 to 5, one of size 11; eleven have a ratio
    text = (
        "SELECT CASE WHEN resolved < 6 THEN 'some' ELSE 'many' END AS size, count(*) AS unexpected_count FROM {batch} "
        "WHERE resolved BETWEEN 3 AND 5 OR resolved = 11 GROUP BY 1 UNION ALL SELECT 'none', 0"
    )
    total = "SELECT count(ratio) FROM {batch}"
    parts = [
        {"size": "many", "unexpected_count": 1, "total_count": 11, "share": 1 / 11},
        {"size": "some", "unexpected_count": 3, "total_count": 11, "share": 3 / 11},
    ]
    for bound, holds in ((0.37, True), (0.36, False)):
        result = only(connection, query(text, total=total, group_by="size", bound=bound))
        assert counts(result) == (holds, 4, 11, 4 / 11)
        assert (result.groups, result.sample_keys) == (parts, [{"size": "many"}, {"size": "some"}])
    nothing = only(connection, query(f"{text[: text.index(' UNION')]} HAVING FALSE", total=total, group_by="size"))
    assert (counts(nothing), nothing.groups, nothing.sample_keys) == ((True, 0, 11, 0.0), [], [])


def test_a_part_without_a_count_is_errored(connection):
    text = "SELECT month, NULL AS unexpected_count FROM {batch}"
    result = only(connection, query(text, total="SELECT count(*) FROM {batch}", group_by="month"))
    assert (result.passed, result.errored) == (False, "the query gives NULL for unexpected_count where month is 2025-01-01")


def test_all_failing_groups_are_told(connection):
    by_account = "SELECT resolved AS number, 1 AS unexpected_count, 1 AS total_count FROM {batch} CROSS JOIN range(100) AS r(n)"
    text = f"SELECT row_number() OVER () AS number, unexpected_count, total_count FROM ({by_account})"
    result = only(connection, query(text, group_by="number"))
    assert (result.unexpected_count, result.total_count, len(result.groups)) == (1200, 1200, 1200)
    assert (len(result.sample_keys), result.sample_truncated) == (5, True)


def test_group_without_a_count_is_errored(connection):
    text = "SELECT month, NULL AS unexpected_count, count(*) AS total_count FROM {batch} GROUP BY month"
    result = only(connection, query(text, group_by="month"))
    assert (result.passed, result.errored) == (
        False,
        "the query gives NULL for unexpected_count or total_count where month is 2025-01-01",
    )
