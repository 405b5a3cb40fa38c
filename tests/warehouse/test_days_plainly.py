"""The day files and the four tables by day of messy deliveries are those of a plain second implementation, row by row in Python.

Deliveries of random companies: daily and odd files, repeated deliveries that differ, rows without an identifier, late and broken rows,
two sources with the same identifiers, a file of text, a quarantine rule; whatever the batches, the threads and the order of the files.
"""

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from delivering_company import COLUMNS, Company, company
from random_company import random_company
from scenario import EVENT_TYPES, write_parquet

from milestones_dagster.warehouse import day_rows

Row = dict[str, Any]
SOURCES = ("mobile", "product")
QUARANTINE = {"name": "second_user", "where": "user_id LIKE '%-u1'", "title": "Not counted"}
TABLES = ("account_event_daily", "event_identities", "event_name_daily", "rule_events")


def messy(seed: int, zone: str) -> dict[tuple[str, str], list[Row]]:
    """Rows by source and file name."""
    rng = random.Random(seed)
    rows = [row for row in random_company(seed, accounts=4, zone=zone).events if row["occurred_at"] < datetime(2025, 7, 1)]  # noqa: DTZ001
    files: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        source = rng.choice(SOURCES)
        file = f"{row['occurred_at'].date()}" if rng.random() < 0.8 else f"part-{rng.randrange(4)}"
        copy = dict(row)
        if rng.random() < 0.1:
            copy["event_id"] = rng.choice([None, ""])
        if rng.random() < 0.02:
            copy |= rng.choice([{"event": ""}, {"event": None}, {"received_at": row["occurred_at"] - timedelta(hours=1)}])
        if rng.random() < 0.1:
            copy["received_at"] = None
        for _ in range(rng.choice([1, 1, 1, 1, 1, 1, 2, 3])):
            # delivered again: the same, later, or with another content, in the same file or another
            again = dict(copy)
            if rng.random() < 0.5 and again["received_at"] is not None:
                again["received_at"] += timedelta(seconds=rng.randrange(3))
            if rng.random() < 0.2:
                again |= rng.choice([{"user_id": None}, {"properties": None}, {"account_id": "other"}, {"event": "mail"}])
            files[source, file if rng.random() < 0.7 else f"part-{rng.randrange(4)}"].append(again)
    for name in SOURCES:
        same = {"event_id": "the-same", "account_id": "a00", "user_id": "x", "event": "chat", "properties": None}
        at = datetime(2025, 6, 30, 12)  # noqa: DTZ001
        files[name, "2025-06-30"].append({**same, "occurred_at": at, "received_at": at})
    return files


def deliver(folder: Path, files: dict[tuple[str, str], list[Row]], zone: str) -> Company:
    feeds = [
        {"name": name, "path": str(folder / name), "columns": COLUMNS, "empty_days": "allow", "starts_on": "2024-07-15"}
        for name in SOURCES
    ]
    quality = {"raw_events": {"quarantine": [QUARANTINE]}}
    given = company(folder, sources={"events": feeds}, quality=quality, framework={"time_zone": zone})
    for (source, name), rows in files.items():
        (folder / source).mkdir(exist_ok=True)
        write_parquet(folder / source / f"{name}.parquet", rows, EVENT_TYPES)
    return given


# --- the second implementation ----------------------------------------------------------------------------------------


def key(kind: str, name: str | None) -> int | None:
    return None if name is None else int(hashlib.md5(f"milestones {kind} {name}".encode()).hexdigest()[:15], 16)  # noqa: S324


def utc_iso(moment: datetime) -> str:
    """How DuckDB writes a time into JSON."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")


def plain_rows(files: dict[tuple[str, str], list[Row]], folder: Path, zone: str) -> list[Row]:
    """Rows of raw_events, refused ones too, each event once."""
    delivered: list[Row] = []
    for (source, name), rows in files.items():
        path = folder / source / f"{name}.parquet"
        arrived = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
        begins = datetime(2024, 7, 15)  # noqa: DTZ001
        plausible = Counter(row["occurred_at"].date() for row in rows if begins <= row["occurred_at"])
        home = min(plausible, key=lambda day: (-plausible[day], day)) if plausible else _nominal(name, arrived)
        seen: Counter[str] = Counter()
        for row in rows:
            made = {**row, "source": source, "file": str(path)}
            for column in ("event_id", "account_id", "user_id", "event"):
                made[column] = made[column] or None
            if made["event_id"] is None:
                content = [made[name] for name in ("account_id", "user_id", "event", "occurred_at")]
                content[3] = utc_iso(content[3])
                text = json.dumps([*content, None, made["properties"]], separators=(",", ":"), ensure_ascii=False)
                hashed = hashlib.md5(text.encode()).hexdigest()  # noqa: S324
                seen[hashed] += 1
                made["event_id"] = hashed if seen[hashed] == 1 else f"{hashed}-{seen[hashed]}"
            made["received_at"] = made["received_at"] or arrived
            made["reason"] = _reason(made, begins)
            is_misplaced = made["reason"] in {"after_arrival", "before_start"}
            made["day"] = home if is_misplaced else made["occurred_at"].date()
            delivered.append(made)
    once: dict[tuple[date, str, str], Row] = {}
    for row in sorted(delivered, key=_preference):
        once.setdefault((row["day"], row["source"], row["event_id"]), row)
    for row in once.values():
        row["account_key"], row["user_key"] = key("account", row["account_id"]), key("user", row["user_id"])
        row["reporting_date"] = row["occurred_at"].replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()
        if row["reason"] is None and (row["user_id"] or "").endswith("-u1"):
            row["reason"] = QUARANTINE["name"]
    return list(once.values())


def _nominal(name: str, arrived: datetime) -> date:
    return date.fromisoformat(name) if name[:2] == "20" else arrived.date()


def _reason(row: Row, begins: datetime) -> str | None:
    if row["event"] is None:
        return "no_event_name"
    if row["occurred_at"] > row["received_at"]:
        return "after_arrival"
    return "before_start" if row["occurred_at"] < begins else None


def _preference(row: Row) -> tuple[Any, ...]:
    def last(value: str | None) -> tuple[bool, str]:
        return (value is None, value or "")

    return (
        (row["reason"] is not None, row["reason"] or ""),
        row["received_at"],
        row["occurred_at"],
        *(last(row[name]) for name in ("account_id", "user_id", "event", "properties")),
        row["file"],
    )


def plain_tables(rows: Sequence[Row]) -> dict[str, Counter[tuple[Any, ...]]]:
    """The three tables that count, each as its rows."""
    good = [row for row in rows if row["reason"] is None]
    daily: dict[tuple[Any, ...], list[datetime]] = defaultdict(list)
    people: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    names: dict[tuple[Any, ...], list[bool]] = defaultdict(list)
    for row in good:
        names[row["day"], row["event"]].append(row["account_key"] is not None)
        user = row["user_key"] or 0
        if row["account_key"] is not None:
            daily[row["day"], row["account_key"], user, row["event"], row["reporting_date"]].append(row["occurred_at"])
        if row["account_key"] is not None or row["user_key"] is not None:
            people[row["day"], row["account_key"] or 0, user].append(row)
    return {
        "account_event_daily": Counter((*group, len(times), min(times), max(times)) for group, times in daily.items()),
        "event_identities": Counter(
            (
                *group,
                min((row["account_id"] for row in its if row["account_id"]), default=None),
                min((row["user_id"] for row in its if row["user_id"]), default=None),
                min(row["occurred_at"] for row in its),
                len(its),
            )
            for group, its in people.items()
        ),
        "event_name_daily": Counter((*group, len(known), sum(known)) for group, known in names.items()),
    }


RAW = ("day", "occurred_at", "reporting_date", "event", "event_id", "account_key", "user_key", "account_id", "user_id", "properties",
       "received_at", "source", "file", "reason")  # fmt: skip


# --- both ways --------------------------------------------------------------------------------------------------------


def loaded(given: Company, threads: int) -> dict[str, Counter[tuple[Any, ...]]]:
    with given.opened() as session:
        session.warehouse.execute("SET threads = ?", [threads])
        # small days of broken rows alone are refused by any bound: this is about the rows, not about the gate
        session.days.make(session.days.look(), lambda _table, _relation: [])
        found = {
            "raw_events": Counter(
                session.warehouse.rows("SELECT * FROM raw.raw_events UNION ALL SELECT * FROM operations.quarantine")
            )
        }
        for name in TABLES:
            assert session.make(name).state == "made"
            found[name] = Counter(session.warehouse.rows(f"SELECT * FROM staging.{name}"))
        # nothing that is held for a batch stays
        assert session.warehouse.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'scratch'") == []
        return found


@pytest.mark.parametrize(
    ("seed", "zone", "batch_rows", "threads"),
    [(1, "UTC", 2_000_000, 1), (2, "Pacific/Auckland", 40, 2), (3, "America/New_York", 2_000_000, 3)],
)
def test_messy_deliveries_make_what_a_plain_implementation_makes(tmp_path, monkeypatch, seed, zone, batch_rows, threads):
    monkeypatch.setattr(day_rows, "BATCH_ROWS", batch_rows)
    files = messy(seed, zone)
    given = deliver(tmp_path, files, zone)
    found = loaded(given, threads)
    rows = plain_rows(files, tmp_path, zone)
    # the company is as messy as it is meant to be
    total = sum(len(its) for its in files.values())
    assert len(rows) < 0.9 * total
    reasons = Counter(row["reason"] for row in rows)
    assert {None, "no_event_name", "after_arrival", "before_start", "second_user"} <= set(reasons)
    assert found["raw_events"] == Counter(tuple(row[name] for name in RAW) for row in rows)
    for name, expected in plain_tables(rows).items():
        assert found[name] == expected, name
    assert found["rule_events"]


def test_day_files_are_sorted_and_hold_one_day_each(tmp_path):
    given = deliver(tmp_path, messy(1, "UTC"), "UTC")
    given.load_unjudged()
    order = ("account_key", "occurred_at", "source", "event_id")
    for day in given.day_files():
        table = pq.read_table(given.config.parent / "warehouse" / "raw_events" / f"{day}.parquet")
        rows = table.to_pylist()
        assert {str(row["day"]) for row in rows} == {day}
        # rows without an account stand last
        keys = [[(row[name] is None, row[name] if row[name] is not None else 0) for name in order] for row in rows]
        assert keys == sorted(
            keys, key=lambda row: [(is_none, str(value) if isinstance(value, str) else value) for is_none, value in row]
        )
