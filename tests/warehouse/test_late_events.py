"""The share of late events, counted by hand: a feed that says when each event arrived, one of daily files, and one export of many days."""

from pathlib import Path
from typing import Any

import pytest
from delivering_company import COLUMNS, Company, company, rule_of
from scenario import EVENT_TYPES, at, event, write_parquet

from milestones_dagster.orchestration.checks import sentence
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.warehouse import day_rows

UNTIMED = {name: column for name, column in COLUMNS.items() if name != "received_at"}


def done(day: int, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
    """Events of the account a at noon of a day of January 2025; they arrive a minute later, unless `fields` say otherwise."""
    return [event("a", "chat", f"2025-01-{day:02} 12:00") | fields for _ in range(count)]


# every file arrives at once, months later, as on the first load of a long history
FILES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "timed": {
        "2025-01-02": done(2, 40),
        "2025-01-03": [
            *done(3, 38),
            # a second less than a day later, in the next day's file: in time; two days later to the second: two days late
            *done(2, received_at=at("2025-01-03 11:59:59")),
            *done(1, received_at=at("2025-01-03 12:00")),
            # without a time of its own, in the file of the day after: one day late
            *done(2, received_at=None),
        ],
    },
    "daily": {
        "2025-01-01": done(1, 10),
        # one of the day before; one of the day after, which is not late
        "2025-01-02": [*done(2, 10), *done(1), *done(3)],
        "2025-01-03": [*done(3, 10), *done(1, 2)],
        "2025-01-20": [*done(20, 10), *done(5), {**done(20)[0], "event": ""}],
    },
    # day 5 is its commonest and has 3 of 14: a file of no day
    "export": {"export_2025-01-31": [*(row for day in range(1, 13) for row in done(day)), *done(5, 2)]},
}
# 40 and 41 rows; 10, 12, 12 and 11 accepted ones; none
JUDGED = 81 + 45
LATE = {"1 day(s) late": 2, "2 day(s) late": 3, "7 or more day(s) late": 1}


def deliver(folder: Path, feeds: list[str]) -> Company:
    sources = [
        {
            "name": name,
            "path": str(folder / name),
            "columns": COLUMNS if name == "timed" else UNTIMED,
            "empty_days": "allow",
        }
        for name in feeds
    ]
    given = company(folder, sources={"events": sources})
    for feed in feeds:
        for name, rows in FILES[feed].items():
            numbered = [row | {"event_id": f"{name}-{number}"} for number, row in enumerate(rows)]
            (folder / feed).mkdir(exist_ok=True)
            write_parquet(folder / feed / f"{name}.parquet", numbered, EVENT_TYPES)
    return given


def late_events(given: Company) -> RuleResult:
    publishing = given.load()
    assert not publishing.is_refused
    return rule_of(publishing.results, "late_events")


@pytest.mark.parametrize("batch_rows", [1_000, 3], ids=["one batch", "a batch for nearly every day"])
def test_late_events_are_counted_by_days_and_the_total_once(tmp_path, monkeypatch, batch_rows):
    monkeypatch.setattr(day_rows, "BATCH_ROWS", batch_rows)
    result = late_events(deliver(tmp_path, ["timed", "daily", "export"]))
    assert (result.errored, result.passed, result.rule.severity) == (None, False, "warning")
    assert (result.unexpected_count, result.total_count, result.share) == (6, JUDGED, 6 / JUDGED)
    assert result.groups == [
        {"lateness": name, "unexpected_count": count, "total_count": JUDGED, "share": count / JUDGED}
        for name, count in LATE.items()
    ]
    assert (result.sample_keys, result.sample_truncated) == ([{"lateness": name} for name in LATE], False)
    assert sentence(result).endswith(
        "is not judged: 6 of 126 (4.76%, bound 2.00%): 1 day(s) late (2 of 126, 1.59%); 2 day(s) late (3 of 126, 2.38%); "
        "7 or more day(s) late (1 of 126, 0.79%)"
    )


@pytest.mark.parametrize(
    ("feed", "late", "judged"),
    [("timed", {"1 day(s) late": 1, "2 day(s) late": 1}, 81), ("export", {}, 0)],
)
def test_each_feed_is_judged_by_what_it_says(tmp_path, feed, late, judged):
    result = late_events(deliver(tmp_path, [feed]))
    assert (result.unexpected_count, result.total_count) == (sum(late.values()), judged)
    assert {shown["lateness"]: shown["unexpected_count"] for shown in result.groups} == late
    assert result.passed == (feed == "export")


def test_late_rows_of_a_later_delivery_are_judged_with_the_days_that_they_restate(tmp_path):
    given = deliver(tmp_path, ["daily"])
    given.load()
    rows = [row | {"event_id": f"new-{number}"} for number, row in enumerate([*done(21, 9), *done(20, 1)])]
    write_parquet(tmp_path / "daily" / "2025-01-21.parquet", rows, EVENT_TYPES)
    result = late_events(given)
    # days 20 and 21 are made: 10 and 1 of day 20, 9 of day 21; 5 January is not made again
    assert (result.unexpected_count, result.total_count) == (1, 20)
    assert [shown["lateness"] for shown in result.groups] == ["1 day(s) late"]
