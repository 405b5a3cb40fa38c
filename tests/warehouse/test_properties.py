"""What must hold of every company, over the real graph: the future, the order, the copies and the layout of files change nothing.

Put here properties that compare whole runs with each other. Keep out what a value must be
(`test_against_reference.py` and the small worlds).
"""

import csv
import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from random_company import random_company
from scenario import EVENT_TYPES, Made, World, at, event, made, write_parquet

# a draw with young accounts that are active and young accounts that are not yet
SEED, ACCOUNTS = 90, 12
EXTRACTED_AT = "2025-07-05T00:00:00Z"
EARLIER = at("2025-03-17")
BY_DAY = {"raw_events", "account_event_daily", "event_identities", "event_name_daily", "rule_events"}
# what is true of a load, not of the company: the watermark in the notes, and the time of each extract
OF_THE_LOAD = {"notes", "account_copies"}
Tables = Mapping[str, Sequence[str]]
Rows = Sequence[Mapping[str, Any]]
COMPANY = random_company(SEED, accounts=ACCOUNTS)


@dataclass(frozen=True)
class History:
    """All rows that a company delivers; the same accounts are declared in every run."""

    events: Rows
    subscriptions: Rows
    users: Rows


HISTORY = History(
    # somebody without an account is there every week, so that a cut history ends on the same day as the whole one
    [
        *(row for row in COMPANY.events if row["occurred_at"] < COMPANY.as_of),
        *(
            event(None, "heartbeat", str(COMPANY.as_of - timedelta(days=number, minutes=1)), user=None)
            | {"event_id": f"h{number:03}"}
            for number in range(1, 200, 7)
        ),
        event(None, "heartbeat", str(EARLIER - timedelta(minutes=1)), user=None) | {"event_id": "h-earlier"},
    ],
    COMPANY.subscriptions,
    COMPANY.users,
)


# --- running ------------------------------------------------------------------------------------------------------------------


def write_world(folder: Path, history: History, events: Mapping[str, Any]) -> Path:
    """Writes the company with its event source declared as `events`; the event files are the caller's."""
    accounts = [
        {"account_id": f"a{number:02}", "created_at": None, "plan": "basic", "seats": 2.0, "segment": "small"}
        for number in range(ACCOUNTS)
    ]
    source = {"name": "product", "columns": {name: name for name in EVENT_TYPES.names}, "empty_days": "allow", **events}
    snapshots = {name: {"extracted_at": EXTRACTED_AT} for name in ("accounts", "users", "subscriptions")}
    world = World(
        events=(),
        last_day=str(COMPANY.last_day),
        subscriptions=history.subscriptions,
        accounts=accounts,
        users=history.users,
        sources={"events": [source], **snapshots},
    )
    config = world.write(folder)
    (folder / "data" / "events.parquet").unlink()
    return config


def run(config: Path, as_of: date | None = None) -> tuple[Tables, Mapping[str, str]]:
    """Runs the graph; every published row as text by table, and what became of each table."""
    with made(config, as_of=None if as_of is None else str(as_of)) as result:
        refused = [
            (name, outcome.reason) for name, outcome in result.outcomes.items() if getattr(outcome, "state", "") == "refused"
        ]
        assert refused == []
        assert not result.outcomes["raw_events"].is_refused
        states = {name: outcome.state for name, outcome in result.outcomes.items() if name != "raw_events"}
        return {name: list(_text(result, name)) for name in ("raw_events", *states)}, states


def _text(result: Made, table: str) -> Iterator[str]:
    if table == "raw_events":
        cursor = result.session.warehouse.connection.execute("SELECT * EXCLUDE (file) FROM raw.raw_events ORDER BY day, event_id")
        yield from (str(row) for row in cursor.fetchall())
        return
    yield from (str(tuple(row.items())) for row in result.rows(table))


def assert_same(found: Tables, wanted: Tables, *, apart_from: frozenset[str] = frozenset()) -> None:
    """Every table has the same rows, row by row."""
    assert set(found) == set(wanted)
    for table in sorted(set(wanted) - apart_from):
        missing, added = Counter(wanted[table]) - Counter(found[table]), Counter(found[table]) - Counter(wanted[table])
        assert (table, list(missing)[:2], list(added)[:2]) == (table, [], [])


# --- layouts ------------------------------------------------------------------------------------------------------------------


def one_parquet(folder: Path, events: Rows) -> Mapping[str, Any]:
    """All events in one Parquet file, in the order in which they were drawn."""
    write_parquet(folder / "data" / "all.parquet", events, EVENT_TYPES)
    return {"path": str(folder / "data" / "all.parquet")}


def daily_parquet(folder: Path, events: Rows) -> Mapping[str, Any]:
    """One Parquet file per day."""
    by_day: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in events:
        by_day[row["occurred_at"].date()].append(row)
    for day, rows in by_day.items():
        write_parquet(folder / "data" / "events" / f"{day}.parquet", rows, EVENT_TYPES)
    return {"path": str(folder / "data" / "events" / "*.parquet")}


def monthly_parquet(folder: Path, events: Rows) -> Mapping[str, Any]:
    """One Parquet file per month."""
    by_month: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in events:
        by_month[row["occurred_at"].date().replace(day=1)].append(row)
    for month, rows in by_month.items():
        write_parquet(folder / "data" / "events" / f"{month}.parquet", rows, EVENT_TYPES)
    return {"path": str(folder / "data" / "events" / "*.parquet")}


def shuffled_with_copies(folder: Path, events: Rows) -> Mapping[str, Any]:
    """Daily files in no order; a third of the events come twice, some of them again in another file, and some files come twice."""
    rng = random.Random(SEED)
    rows = [*events, *rng.sample(list(events), len(events) // 3)]
    rng.shuffle(rows)
    declared = daily_parquet(folder, rows)
    files = sorted((folder / "data" / "events").glob("*.parquet"))
    for path in rng.sample(files, 20):
        path.with_name(f"again-{path.name}").write_bytes(path.read_bytes())
    late = rng.sample(list(events), 15)
    write_parquet(folder / "data" / "events" / "late.parquet", late, EVENT_TYPES)
    return declared


def csv_gz(folder: Path, events: Rows) -> Mapping[str, Any]:
    """One compressed CSV file, the newest event first."""
    path = folder / "data" / "events.csv.gz"
    path.parent.mkdir(parents=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, EVENT_TYPES.names)
        writer.writeheader()
        writer.writerows(sorted(events, key=lambda row: row["occurred_at"], reverse=True))
    return {"path": str(path)}


def json_lines(folder: Path, events: Rows) -> Mapping[str, Any]:
    """JSON lines in two files, cut in the middle of everything."""
    rows = [json.dumps(dict(row), default=str) for row in events]
    for number in range(2):
        path = folder / "data" / "events" / f"part-{number}.jsonl"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("\n".join(rows[number::2]) + "\n", encoding="utf-8")
    return {"path": str(folder / "data" / "events" / "*.jsonl")}


Layout = Callable[[Path, Rows], Mapping[str, Any]]


def laid_out(folder: Path, history: History, layout: Layout) -> Path:
    """Writes the world with its events laid out so; returns its config folder."""
    return write_world(folder, history, layout(folder, history.events))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, Tables]:
    """The whole history from one Parquet file: its config folder, and the tables of its first run."""
    config = laid_out(tmp_path_factory.mktemp("whole"), HISTORY, one_parquet)
    return config, run(config)[0]


# --- (a) the future -----------------------------------------------------------------------------------------------------------


def before(instant: datetime) -> History:
    """The history as it was known at `instant`: nothing dated or recorded at or after it."""
    ends = [
        row | {"ended_at": row["ended_at"] if row["ended_at"] and row["ended_at"] < instant else None}
        for row in HISTORY.subscriptions
    ]
    return History(
        [row for row in HISTORY.events if row["occurred_at"] < instant],
        [row for row in ends if row["started_at"] < instant and (row["recorded_at"] or row["started_at"]) < instant],
        [row for row in HISTORY.users if row["created_at"] is None or row["created_at"] < instant],
    )


@pytest.fixture(scope="module")
def earlier(tmp_path_factory) -> Tables:
    """The whole history, seen as of a day in the middle of it."""
    return run(laid_out(tmp_path_factory.mktemp("earlier"), HISTORY, one_parquet), EARLIER.date())[0]


def test_nothing_dated_or_recorded_at_or_after_the_as_of_time_changes_a_result(earlier, tmp_path):
    known, _ = run(laid_out(tmp_path, before(EARLIER), one_parquet))
    # tables by day hold the days that are loaded, whatever the as-of time; no later table reads past it
    days = {name: [row for row in rows if _day(row) < EARLIER.date()] for name, rows in earlier.items() if name in BY_DAY}
    assert_same({**earlier, **days}, known, apart_from=frozenset(OF_THE_LOAD))


def _day(row: str) -> date:
    numbers = row.split("datetime.date(", 1)[1].split(")", 1)[0].split(",")
    return date(*(int(number) for number in numbers))


def test_the_rows_of_closed_months_are_the_same_ever_after(whole, earlier):
    # nobody's tenure is found out later here: no record of a first paid state is made after the state begins
    closed = [row for row in earlier["customer_milestones"] if "('is_whole', True)" in row]
    assert len(closed) > ACCOUNTS
    assert set(closed) <= set(whole[1]["customer_milestones"])


# --- (b) order, copies, layout --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [shuffled_with_copies, csv_gz, json_lines], ids=lambda layout: layout.__name__)
def test_order_copies_and_layout_of_the_files_change_nothing(whole, tmp_path, layout):
    found, _ = run(laid_out(tmp_path, HISTORY, layout))
    assert_same(found, whole[1])


# --- (c) again ------------------------------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing_and_makes_nothing(whole):
    config, first = whole
    found, states = run(config)
    assert_same(found, first)
    assert set(states.values()) == {"unchanged"}


# --- (d) in parts ---------------------------------------------------------------------------------------------------------------


def test_a_history_that_came_in_parts_late_and_restated_is_the_history_loaded_at_once(whole, tmp_path):
    late = [row for row in HISTORY.events if row["occurred_at"] < EARLIER][::40]
    in_time = [row for row in HISTORY.events if row not in late]
    config = laid_out(tmp_path, replace(HISTORY, events=in_time), monthly_parquet)
    files = sorted((tmp_path / "data" / "events").glob("*.parquet"))
    restated, *later = files[len(files) // 2 :]
    contents = {path: path.read_bytes() for path in (restated, *later)}
    # at first half of the months are there, and the last of them is a delivery that is taken back: rows missing, rows too many
    for path in later:
        path.unlink()
    month = date.fromisoformat(restated.stem)
    of_month = [row for row in in_time if row["occurred_at"].date().replace(day=1) == month]
    wrong = [event("a02", name, f"{month} 12:00", user="a02-u0") | {"event_id": f"wrong-{name}"} for name in ("started", "chat")]
    write_parquet(restated, [*of_month[5:], *wrong], EVENT_TYPES)
    first, _ = run(config)
    assert len(of_month) > 5
    assert any("wrong-chat" in row for row in first["raw_events"])

    for path, content in contents.items():
        path.write_bytes(content)
    write_parquet(restated.with_name("late.parquet"), late, EVENT_TYPES)
    found, states = run(config)
    assert len(late) > 3
    assert states["rule_events"] == "made"
    # what was in force is told with the as-of times at which runs saw it: the one table that keeps its own history
    assert_same(found, whole[1], apart_from=frozenset({"framework_versions"}))


# --- (e) open is not failed -------------------------------------------------------------------------------------------------------


def test_open_windows_are_in_no_rate(whole):
    with made(whole[0], tables=()) as result:
        as_of = COMPANY.as_of
        cohort = {row["account_id"]: row for row in result.rows("activation_cohort")}
        setup = {row["account_id"]: row for row in result.rows("setup_steps", step="install")}
        young = {account for account, row in cohort.items() if row["window_ends_at"] > as_of}
        assert {cohort[account]["activated"] for account in young} == {True, None}
        for month in sorted({row["month"] for row in result.rows("milestone_summary")}):
            close = result.rows("account_months", month=month)[0]["close_at"]
            for milestone, rows, reached_at in (("activation", cohort, "activated_at"), ("setup", setup, "setup_completed_at")):
                begun = [row for row in rows.values() if row["tenure_start"] < close]
                elapsed = [row for row in begun if row["window_ends_at"] <= close]
                reached = [row for row in elapsed if row[reached_at] is not None and row[reached_at] < row["window_ends_at"]]
                told = result.row("milestone_summary", month=month, segment_kind="all", milestone=milestone)
                assert (told["reached"], told["accounts"], told["open_accounts"]) == (
                    len(reached), len(elapsed), len(begun) - len(elapsed),
                )  # fmt: skip
        for row in result.rows("retention_outcomes"):
            is_known = row["known_at"] <= as_of
            assert (row["is_known"], row["retained"] is not None) == (is_known, is_known)
        for row in result.rows("feature_matrix"):
            assert row["retained"] is None or row["known_at"] <= as_of
        landmarks = result.rows("retention_outcomes", kind="landmark", is_evidence="True")
        assert landmarks
        bands = result.rows("retention_by_activation")
        assert sum(row["accounts"] for row in bands) == len(landmarks)
        standings = Counter(row["standing"] for row in result.rows("activation_landmarks"))
        for column, standing in (("accounts", "row"), ("left_before", "left_before"), ("locked", "locked")):
            assert sum(row[column] for row in bands) == standings[standing], column
        beside = sum(row[column] for row in bands for column in ("accounts", "left_before", "locked", "open"))
        assert beside + sum(not row["is_elapsed"] for row in cohort.values()) == len(cohort)
        assert not young & {row["account_id"] for row in landmarks}
