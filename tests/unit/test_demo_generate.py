"""The demonstration company as files: reproducible rows, keys, hard cases, and dirt."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from milestones_dagster.demo.generate import generate
from milestones_dagster.demo.vocabulary import EVENTS
from milestones_dagster.demo.world import Dirt

SMALL: dict[str, Any] = {"accounts": 300, "months": 9, "until": date(2026, 4, 1), "truth_draws": 1000}
DIRT = Dirt(0.02, 0.01, 0.006, 0.004, 0.003, missing_day=date(2026, 2, 10))
TABLES = {
    "accounts": ["account_id", "created_at", "industry", "country"],
    "users": ["user_id", "account_id", "created_at", "persona"],
    "subscriptions": [
        "account_id", "subscription_id", "plan", "seats", "mrr", "currency", "started_at", "ended_at", "is_trial",
        "term_months", "term_anchor_at", "recorded_at",
    ],
    "events": ["event_id", "account_id", "user_id", "event", "occurred_at", "received_at", "properties"],
}  # fmt: skip


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("clean") / "demo", **SMALL).parent


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("dirty") / "demo", **SMALL, dirt=DIRT).parent


def opened(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for table in TABLES:
        source = folder / ("events/*.parquet" if table == "events" else f"{table}.parquet")
        rows = connection.read_parquet(str(source), filename=table == "events")
        rows.create(table)
    return connection


def value(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def truth_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "planted_truth.json").read_text(encoding="utf-8"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_rows_are_the_same_bytes_for_one_seed_whatever_the_buffer(clean: Path, tmp_path: Path) -> None:
    again = generate(tmp_path / "demo", **SMALL, buffer_rows=7_000).parent

    assert contents(again) == contents(clean)
    assert truth_of(again) == truth_of(clean)


def test_another_seed_is_another_company(clean: Path, tmp_path: Path) -> None:
    other = generate(tmp_path / "demo", **SMALL, seed=8).parent

    assert contents(other)["subscriptions.parquet"] != contents(clean)["subscriptions.parquet"]


def test_tables_have_the_columns_of_the_contract(clean: Path) -> None:
    connection = opened(clean)

    for table, columns in TABLES.items():
        assert [name for name in connection.table(table).columns if name != "filename"] == columns
    types = {
        name: str(kind) for name, kind in zip(connection.table("events").columns, connection.table("events").types, strict=True)
    }
    assert types["occurred_at"] == types["received_at"] == "TIMESTAMP"


def test_keys_are_unique_and_present(clean: Path) -> None:
    connection = opened(clean)

    for table, key in (("events", "event_id"), ("accounts", "account_id"), ("users", "user_id")):
        rows = value(connection, f"SELECT count(*) FROM {table}")
        assert rows == value(connection, f"SELECT count(DISTINCT {key}) FROM {table}") > 0
    assert value(connection, "SELECT count(*) FROM events WHERE account_id IS NULL OR event IS NULL") == 0
    assert value(connection, "SELECT count(*) FROM events ANTI JOIN accounts USING (account_id)") == 0
    unknown = "SELECT count(*) FROM events ANTI JOIN users USING (user_id, account_id) WHERE user_id IS NOT NULL"
    assert value(connection, unknown) == 0
    assert value(connection, "SELECT count(*) FROM accounts") == SMALL["accounts"]


def test_every_day_has_a_file_with_its_own_events(clean: Path) -> None:
    connection = opened(clean)

    assert len(list((clean / "events").iterdir())) == 274
    other = "SELECT count(*) FROM events WHERE CAST(occurred_at AS DATE) <> CAST(parse_filename(filename, true) AS DATE)"
    assert value(connection, other) == 0
    assert value(connection, "SELECT count(DISTINCT CAST(occurred_at AS DATE)) FROM events") == 274
    assert truth_of(clean)["content"]["empty_days"] == 0
    lag = "SELECT min({0}) > INTERVAL 0 SECOND AND max({0}) <= INTERVAL 6 HOUR FROM events"
    assert value(connection, lag.format("received_at - occurred_at"))


def test_files_are_dated_as_a_nightly_export_would_date_them(clean: Path) -> None:
    for path, day in ((clean / "events" / "2026-03-31.parquet", 1), (clean / "accounts.parquet", 1)):
        assert datetime.fromtimestamp(path.stat().st_mtime, tz=UTC) == datetime(2026, 4, day, 6, tzinfo=UTC)


def test_subscription_rows_follow_each_other(clean: Path) -> None:
    connection = opened(clean)

    connection.execute(
        """CREATE VIEW followed AS SELECT *, lead(started_at) OVER accounts AS next_start FROM subscriptions
        WINDOW accounts AS (PARTITION BY account_id ORDER BY started_at)"""
    )
    assert value(connection, "SELECT count(*) FROM followed WHERE ended_at <= started_at") == 0
    assert value(connection, "SELECT count(*) FROM followed WHERE next_start IS NOT NULL AND ended_at IS NULL") == 0
    assert value(connection, "SELECT count(*) FROM followed WHERE next_start < ended_at") == 0
    assert value(connection, "SELECT count(*) FROM followed WHERE is_trial <> (mrr = 0)") == 0
    assert value(connection, "SELECT count(*) FROM followed WHERE seats < 1 OR recorded_at < started_at") == 0
    assert value(connection, "SELECT max(started_at) < TIMESTAMP '2026-04-01' FROM followed")
    gaps = "SELECT count(*) FROM followed WHERE next_start > ended_at + INTERVAL {0} DAY AND NOT is_trial"
    assert value(connection, gaps.format(7)) == truth_of(clean)["accounts"]["returned"]["count"] > 0
    assert value(connection, gaps.format(0)) > value(connection, gaps.format(7))


def test_trials_come_before_the_first_paid_day_and_have_events(clean: Path) -> None:
    connection = opened(clean)

    connection.execute(
        """CREATE VIEW paid AS
        SELECT account_id, min(started_at) AS paid_at FROM subscriptions WHERE NOT is_trial GROUP BY 1"""
    )
    late = "SELECT count(*) FROM subscriptions JOIN paid USING (account_id) WHERE is_trial AND started_at >= paid_at"
    assert value(connection, late) == 0
    before = "SELECT count(DISTINCT event) FROM events JOIN paid USING (account_id) WHERE occurred_at < paid_at"
    assert value(connection, before) >= 8


def test_hard_cases_of_conversations_exist(clean: Path) -> None:
    connection = opened(clean)

    connection.execute(
        """CREATE VIEW talks AS SELECT *, properties::JSON ->> 'conversation_id' AS conversation_id FROM events
        WHERE event IN ('conversation_started', 'conversation_resolved', 'conversation_reopened')"""
    )
    assert value(connection, "SELECT count(*) FROM talks WHERE conversation_id IS NULL") == 0
    started = "FROM talks WHERE event = 'conversation_started'"
    assert value(connection, f"SELECT count(*) {started}") == value(connection, f"SELECT count(DISTINCT conversation_id) {started}")
    several = """SELECT count(*) FROM (SELECT conversation_id FROM talks WHERE event = 'conversation_resolved'
        GROUP BY conversation_id, occurred_at HAVING count(DISTINCT user_id) > 1)"""
    assert value(connection, several) > 50
    open_again = """SELECT count(*) FROM (SELECT max_by(event, occurred_at) AS last FROM talks GROUP BY conversation_id)
        WHERE last = 'conversation_reopened'"""
    assert value(connection, open_again) > 20


def test_steps_complete_at_the_planted_rules(clean: Path) -> None:
    connection = opened(clean)

    platforms = "SELECT list(DISTINCT properties::JSON ->> 'platform') FROM events WHERE event = 'messenger_installed'"
    assert set(value(connection, platforms)) == {"web", "ios", "android", "sandbox"}
    invited = """SELECT count(*) FILTER (WHERE n = 1) > 0 AND count(*) FILTER (WHERE n = 2) > 0 AND max(n) = 2 FROM (
        SELECT count(DISTINCT properties::JSON ->> 'invitee') AS n FROM events WHERE event = 'teammate_invited'
        GROUP BY account_id)"""
    assert value(connection, invited)


def test_tables_show_what_the_truth_says(tmp_path: Path) -> None:
    company = generate(tmp_path / "demo", accounts=1200, months=12, truth_draws=40_000).parent
    connection = opened(company)
    connection.execute(
        """CREATE TABLE cohort AS WITH paid AS (
            SELECT account_id, min(started_at) AS paid_at FROM subscriptions WHERE NOT is_trial GROUP BY 1
        )
        SELECT paid.account_id, count(events.event_id) AS conversations FROM paid
        LEFT JOIN events ON events.account_id = paid.account_id AND events.event = 'conversation_started'
            AND events.occurred_at >= paid_at AND events.occurred_at < paid_at + INTERVAL 3 MONTH
        WHERE paid_at + INTERVAL 3 MONTH <= TIMESTAMP '2026-07-01' GROUP BY 1"""
    )
    expected = truth_of(company)["population"]["associational"]["activated"]

    rows = value(connection, "SELECT count(*) FROM cohort")
    assert set(value(connection, "SELECT list(DISTINCT event) FROM events")) == set(EVENTS)
    seen = value(connection, "SELECT avg(CAST(conversations >= 20 AS INTEGER)) FROM cohort")
    assert seen == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / rows))


def test_truth_has_its_parts(clean: Path) -> None:
    truth = truth_of(clean)

    assert list(truth) == [
        "parameters", "content", "switches", "setup_steps", "thresholds", "features", "feature_families",
        "driver_log_odds", "accounts", "dirt", "population",
    ]  # fmt: skip
    assert set(truth["population"]) == {"draws", "associational", "causal"}
    assert truth["parameters"]["world"]["activation_threshold"] == 20
    assert set(truth["features"]) == {"driver", "ubiquitous", "niche_premium", "family", "warning", "null"}
    assert truth["dirt"] is None
    assert truth["content"]["event_rows"] == value(opened(clean), "SELECT count(*) FROM events")
    assert {"small_healthy", "dormant_at_some_time", "returned"} <= set(truth["accounts"])
    assert "intent" not in json.dumps(truth["accounts"])


def test_dirt_in_the_files_is_what_the_truth_counts(dirty: Path) -> None:
    connection = opened(dirty)
    truth = truth_of(dirty)["dirt"]

    counted = {
        "late": """SELECT count(*) FROM events
            WHERE received_at - occurred_at BETWEEN INTERVAL 1 DAY AND INTERVAL 10 DAY
            AND CAST(parse_filename(filename, true) AS DATE) = CAST(received_at AS DATE)
            AND event_id NOT IN (SELECT event_id FROM events GROUP BY 1 HAVING count(*) > 1)""",
        "no_time": "SELECT count(*) FROM events WHERE occurred_at IS NULL",
        "no_name": "SELECT count(*) FROM events WHERE event IS NULL",
        "no_account": "SELECT count(*) FROM events WHERE account_id IS NULL",
        "future": "SELECT count(*) FROM events WHERE occurred_at > received_at",
        "unknown_name": "SELECT count(*) FROM events WHERE event = 'conversation_resolvd'",
    }
    for kind, query in counted.items():
        found = value(connection, query)
        # a late repetition whose first delivery went missing with its day looks like a late event
        assert truth["rows"][kind] <= found <= truth["rows"][kind] + (20 if kind == "late" else 0), kind
        assert found > 0, kind
    repeated = value(connection, "SELECT count(*) - count(DISTINCT event_id) FROM events")
    assert 0 <= truth["rows"]["duplicated"] - repeated <= 20  # some first deliveries went missing with their day
    assert value(connection, "SELECT max(n) FROM (SELECT count(DISTINCT occurred_at) AS n FROM events GROUP BY event_id)") == 1
    by_day: dict[str, int] = {}
    for kinds in truth["rows_by_file_day"].values():
        for kind, rows in kinds.items():
            by_day[kind] = by_day.get(kind, 0) + rows
    assert by_day == {kind: rows for kind, rows in truth["rows"].items() if rows}


def test_missing_day_has_no_file(dirty: Path) -> None:
    truth = truth_of(dirty)

    assert not (dirty / "events" / "2026-02-10.parquet").exists()
    assert truth["content"]["event_files"] == 273
    assert truth["dirt"]["missing_day_rows"] > 0


def test_without_dirt_the_rest_is_the_same_company(clean: Path, dirty: Path) -> None:
    for table in ("accounts.parquet", "users.parquet", "subscriptions.parquet"):
        assert contents(clean)[table] == contents(dirty)[table]


def test_missing_day_must_lie_inside(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Dirt\.missing_day: found 2020-01-01"):
        generate(tmp_path / "demo", **SMALL, dirt=Dirt(missing_day=date(2020, 1, 1)))


def test_more_events_per_account_are_reached_by_traffic_alone(clean: Path, tmp_path: Path) -> None:
    large = generate(tmp_path / "demo", **SMALL, events_per_account=1500).parent

    assert truth_of(large)["content"]["event_rows"] == pytest.approx(300 * 1500, rel=0.01)
    query = "SELECT count(*) FROM events WHERE event <> 'messenger_opened'"
    assert value(opened(large), query) == value(opened(clean), query)
