"""A day whose file is missing stays missing, although late rows of it come in the files of later days."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from deliveries import Deliveries, calendar
from scenario import World, event, made

from milestones_dagster.orchestration.session import RawPublishing

DAYS = calendar("2025-01-01", "2025-01-08")


def loaded(folder: Path, files: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[RawPublishing, str]:
    """Delivers the files by name, loads them, and returns the outcome with the watermark."""
    company = Deliveries(folder, World(events=[], last_day="2025-01-01"))
    for path in (folder / "data" / "events").iterdir():
        path.unlink()
    for name, rows in files.items():
        # one feed: identifiers do not depend on the file
        company.deliver(name, [row | {"event_id": f"{row['occurred_at']}-{row['user_id']}"} for row in rows], heartbeat=False)
    with made(company.config, tables=[]) as found:
        outcome = found.outcomes["raw_events"]
        assert isinstance(outcome, RawPublishing)
        return outcome, str(found.session.days.plan().watermarks["product"].date())


def day_of(day: str, count: int = 20) -> list[dict[str, Any]]:
    return [event("a", "chat", f"{day} 10:{minute:02}", user=f"u{minute}") for minute in range(count)]


def missing(outcome: RawPublishing) -> list[str]:
    return [str(day) for day in outcome.plan.missing]


def test_one_late_row_does_not_make_a_missing_day_whole(tmp_path: Path) -> None:
    files = {day: day_of(day) for day in DAYS if day != "2025-01-05"}
    # 1 row where a day has 20: less than a tenth
    files["2025-01-06"] = [*files["2025-01-06"], event("a", "chat", "2025-01-05 09:00")]
    outcome, watermark = loaded(tmp_path, files)
    assert missing(outcome) == ["2025-01-05"]
    assert outcome.is_refused
    assert watermark == "2025-01-05"
    # the day itself is not published with its one row; the days after it are
    assert {str(day) for day in outcome.outcome.made} == set(DAYS) - {"2025-01-05"}


def test_a_monday_s_file_may_bring_the_weekend(tmp_path: Path) -> None:
    # Saturday the 4th and Sunday the 5th come with Monday's file, a tenth and more of a usual day each
    files = {day: day_of(day) for day in DAYS if day not in {"2025-01-04", "2025-01-05"}}
    files["2025-01-06"] = [*files["2025-01-06"], *day_of("2025-01-04", 3), *day_of("2025-01-05", 2)]
    outcome, watermark = loaded(tmp_path, files)
    assert (missing(outcome), outcome.is_refused, watermark) == ([], False, "2025-01-09")


def test_an_export_named_by_the_day_after_is_understood(tmp_path: Path) -> None:
    named = dict(zip(DAYS, [*DAYS[1:], "2025-01-09"], strict=True))
    files = {named[day]: day_of(day) for day in DAYS if day != "2025-01-05"}
    files["2025-01-07"] = [*files["2025-01-07"], event("a", "chat", "2025-01-05 09:00")]
    outcome, watermark = loaded(tmp_path, files)
    assert (missing(outcome), watermark) == (["2025-01-05"], "2025-01-05")


@pytest.mark.parametrize("names", [("2025-01-01", "2025-01-05"), ("part-1", "part-2")])
def test_files_that_are_not_daily_are_not_asked_for_a_file_a_day(names: tuple[str, str], tmp_path: Path) -> None:
    early = [row for day in DAYS[:4] for row in day_of(day, 1 if day == "2025-01-03" else 20)]
    late = [row for day in DAYS[4:] for row in day_of(day)]
    outcome, watermark = loaded(tmp_path, dict(zip(names, (early, late), strict=True)))
    assert (missing(outcome), outcome.is_refused, watermark) == ([], False, "2025-01-09")


def test_a_late_row_from_before_the_first_file_begins_no_history(tmp_path: Path) -> None:
    files = {day: day_of(day) for day in DAYS}
    files["2025-01-01"] = [*files["2025-01-01"], event("a", "chat", "2024-12-27 09:00")]
    outcome, watermark = loaded(tmp_path, files)
    # otherwise the 28th to the 31st would be missing for ever
    assert (missing(outcome), outcome.is_refused, watermark) == ([], False, "2025-01-09")
