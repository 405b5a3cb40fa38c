"""Calendar months in the reporting time zone: Europe/Berlin and America/Los_Angeles, across the changes of their clocks.

Put here what a zone moves: months, windows in months, renewals, the length of a month. Keep out definitions that a zone does not
touch. Times are UTC: Berlin is UTC + 1 in winter and + 2 from 30 March 2025, Los Angeles UTC - 8 and - 7 from 9 March 2025.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from scenario import Made, World, at, event, made_up_to, subscription

TABLES = ("retention_outcomes", "customer_milestones", "retention_by_activation")


def resolved(account: str, *times: str) -> list[dict[str, Any]]:
    return [event(account, "resolved", time, conversation_id=f"{account} {time}") for time in times]


def in_berlin() -> World:
    happened = [
        # around midnight of 1 February in Berlin, 23:00 UTC
        *resolved("winter", "2025-01-31 22:59:59", "2025-01-31 23:00", "2025-01-31 23:30"),
        # around midnight of 1 April in Berlin, 22:00 UTC: summer time
        *resolved("winter", "2025-03-31 21:59:59", "2025-03-31 22:00", "2025-03-31 22:30"),
        # the activation window from midnight of 15 January to midnight of 15 April, 22:00 UTC
        *[event("winter", "started", time) for time in ("2025-01-14 23:00", "2025-04-14 21:59:59", "2025-04-14 22:00")],
        event("winter", "started", "2025-01-14 22:59:59"),
        *resolved("from-30-march", "2025-03-31 12:00"),
        # 1 January 2025 in Berlin is day -90 of the window that ends with March
        event("winter", "report", "2024-12-31 23:00"),
        event("winter", "report", "2025-02-01 12:00"),
        event("winter", "report", "2025-02-02 12:00"),
        event("day-91", "report", "2024-12-31 22:59:59"),
        event("day-91", "report", "2025-02-01 12:00"),
        event("day-91", "report", "2025-02-02 12:00"),
    ]
    rows = [
        subscription("winter", "2025-01-14 23:00"),
        subscription("day-91", "2024-12-14 23:00"),
        # the two last days of March: 23 and 24 hours
        subscription("from-30-march", "2025-03-29 23:00"),
        # half an hour into February in Berlin
        subscription("february", "2025-01-31 23:30"),
        # terms of 6 months from midnight of 1 January: the renewal is midnight of 1 July, 22:00 UTC
        subscription("half-year", "2024-12-31 23:00", term_months=6),
        subscription("half-year-later", "2024-12-31 23:00:01", term_months=6),
        # terms of 1 month from midnight of 31 January
        subscription("monthly", "2025-01-30 23:00", term_months=1),
        # a gap that begins at midnight of 1 July, and one that begins a second later
        subscription("ends-at-end", "2024-12-31 23:00", "2025-06-30 22:00"),
        subscription("ends-after-end", "2024-12-31 23:00", "2025-06-30 22:00:01"),
    ]
    return World(happened, last_day="2025-07-31", subscriptions=rows, framework={"time_zone": "Europe/Berlin"})


@pytest.fixture(scope="module")
def berlin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """As of 2025-07-15 00:00 UTC, 02:00 in Berlin."""
    with made_up_to(in_berlin(), tmp_path_factory.mktemp("berlin"), *TABLES, as_of="2025-07-15") as found:
        yield found


@pytest.fixture(scope="module")
def berlin_in_august(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """As of 2025-08-01 00:00 UTC, 02:00 in Berlin: July has closed two hours ago."""
    with made_up_to(in_berlin(), tmp_path_factory.mktemp("august"), "retention_outcomes", as_of="2025-08-01") as found:
        yield found


@pytest.fixture(scope="module")
def los_angeles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """As of 2025-07-01 00:00 UTC, 17:00 of 30 June in Los Angeles."""
    happened = [
        *resolved("winter", "2025-02-01 07:59:59", "2025-02-01 08:00"),
        *resolved("winter", "2025-04-01 06:59:59", "2025-04-01 07:00"),
        *resolved("november", "2024-11-20"),
        *[event("clock", "started", time) for time in ("2025-03-09 09:59:59", "2025-03-09 10:00")],
        # 05:00 and 23:30 of 29 June and 16:59:59 of 30 June in Los Angeles: two days; the last two share a UTC day
        *[event("winter", "report", time) for time in ("2025-06-29 12:00", "2025-06-30 06:30", "2025-06-30 23:59:59")],
    ]
    rows = [
        # 23:59:59 of 31 January
        subscription("january", "2025-02-01 07:59:59"),
        subscription("winter", "2024-12-01 08:00"),
        # 1 November 2024 00:00 local, in summer time; the month has an hour more
        subscription("november", "2024-11-01 07:00"),
        # 02:00 of 9 December: three months later the clock jumps from 02:00 to 03:00
        subscription("clock", "2024-12-09 10:00"),
    ]
    world = World(happened, last_day="2025-07-31", subscriptions=rows, framework={"time_zone": "America/Los_Angeles"})
    with made_up_to(world, tmp_path_factory.mktemp("los-angeles"), *TABLES, as_of="2025-07-01") as found:
        yield found


def test_an_event_counts_in_its_local_month(berlin: Made, los_angeles: Made) -> None:
    def counted(world: Made) -> dict[int, int]:
        return {row["month"].month: row["resolved"] for row in world.rows("usage_ratio", account_id="winter") if row["resolved"]}

    assert counted(berlin) == {1: 1, 2: 2, 3: 1, 4: 2}
    assert counted(los_angeles) == {1: 1, 2: 1, 3: 1, 4: 1}


def test_a_cohort_is_the_local_month_of_tenure_start(berlin: Made, los_angeles: Made) -> None:
    assert str(berlin.row("activation_cohort", account_id="february")["cohort_month"]) == "2025-02-01"
    assert str(los_angeles.row("activation_cohort", account_id="january")["cohort_month"]) == "2025-01-01"


def test_months_keep_the_local_time_of_day_across_a_change_of_the_clock(berlin: Made, los_angeles: Made) -> None:
    row = berlin.row("activation_cohort", account_id="winter")
    # midnight to midnight: an hour earlier in UTC, and 90 days less an hour long
    assert (row["tenure_start"], row["window_ends_at"]) == (at("2025-01-14 23:00"), at("2025-04-14 22:00"))
    # the start and the last second count, a second before and the end do not
    assert row["activation_events"] == 2
    # 31 January 23:59:59 + 3 months = 30 April 23:59:59, in summer time
    assert los_angeles.row("activation_cohort", account_id="january")["window_ends_at"] == at("2025-05-01 06:59:59")


def test_a_local_time_that_the_clock_skips_is_the_instant_of_the_change(los_angeles: Made) -> None:
    row = los_angeles.row("activation_cohort", account_id="clock")
    # 02:00 of 9 March does not exist; 10:00 UTC is 03:00 in summer time
    assert (row["window_ends_at"], row["activation_events"]) == (at("2025-03-09 10:00"), 1)


@pytest.mark.parametrize(
    ("month", "seconds", "close_at"),
    [
        ("2025-02-01", 28 * 86400, "2025-02-28 23:00"),
        ("2025-03-01", 31 * 86400 - 3600, "2025-03-31 22:00"),
        ("2025-04-01", 30 * 86400, "2025-04-30 22:00"),
        # the running month, from 30 June 22:00 UTC to the as-of time: 14 days and 2 hours
        ("2025-07-01", 14 * 86400 + 7200, "2025-07-15"),
    ],
)
def test_a_month_is_as_long_as_the_clock_makes_it(berlin: Made, month: str, seconds: int, close_at: str) -> None:
    row = berlin.row("account_months", account_id="day-91", month=month)
    assert (row["month_seconds"], row["paid_seconds"], row["close_at"]) == (seconds, seconds, at(close_at))


def test_a_month_with_an_hour_more_is_paid_whole(los_angeles: Made) -> None:
    row = los_angeles.row("account_months", account_id="november", month="2024-11-01")
    assert (row["month_seconds"], row["is_paid_whole"], row["close_at"]) == (30 * 86400 + 3600, True, at("2024-12-01 08:00"))
    # 1 resolved / 2 seats, not a 721st part off
    assert los_angeles.row("usage_ratio", account_id="november", month="2024-11-01")["ratio"] == 0.5


def test_the_ratio_of_a_partial_month_is_by_its_own_seconds(berlin: Made) -> None:
    row = berlin.row("usage_ratio", account_id="from-30-march", month="2025-03-01")
    # paid 23 + 24 = 47 hours of 743: 1 x 743 / (2 x 47)
    assert row["ratio"] == pytest.approx(743 / 94, rel=1e-12)
    assert (row["seats"], row["reason"]) == (2.0, "partial")


def test_the_month_that_runs_at_the_as_of_time_is_the_local_one(berlin: Made, los_angeles: Made) -> None:
    running = [row["month"].month for row in berlin.rows("account_months", account_id="winter") if not row["is_whole"]]
    assert running == [7]
    # 00:00 UTC of 1 July is still June in Los Angeles: 30 days less 7 hours, of which it began at 07:00 UTC
    june = los_angeles.rows("account_months", account_id="winter")[-1]
    assert (june["month"].month, june["is_whole"], june["month_seconds"]) == (6, False, 30 * 86400 - 7 * 3600)


def test_the_trailing_window_is_in_local_days(berlin: Made, los_angeles: Made) -> None:
    march = {"month": "2025-03-01", "category": "reporting"}
    # three days of which 1 January is the 90th before 1 April; 31 December is the 91st
    assert berlin.row("maturity_categories", account_id="winter", **march)["level"] == "mature"
    assert berlin.row("maturity_categories", account_id="day-91", **march)["level"] == "basic"
    # 29 June twice and 30 June once: two days, so not mature
    june = los_angeles.row("maturity_categories", account_id="winter", month="2025-06-01", category="reporting")
    assert june["level"] == "basic"


def test_dates_and_horizons_are_local(berlin: Made, berlin_in_august: Made) -> None:
    rows = {row["observed_at"]: row for row in berlin_in_august.rows("retention_outcomes", account_id="ends-at-end", kind="month")}
    # midnight of 1 April to midnight of 1 July, 22:00 UTC both; known 7 days later
    row = rows[at("2025-03-31 22:00")]
    assert (row["outcome_to"], row["known_at"], row["is_known"]) == (at("2025-06-30 22:00"), at("2025-07-07 22:00"), True)
    assert (row["retained"], row["left_at"]) == (False, at("2025-06-30 22:00"))
    told = {"kind": "month", "observed_at": at("2025-03-31 22:00")}
    # in the middle of July its outcome has had its 7 days, and the month that they lie in has not closed
    assert berlin.row("retention_outcomes", account_id="ends-at-end", **told)["is_known"] is False
    later = berlin_in_august.row("retention_outcomes", account_id="ends-after-end", **told)
    assert later["retained"] is True
    # midnight of 1 March, in winter time, to midnight of 1 June
    assert rows[at("2025-02-28 23:00")]["outcome_to"] == at("2025-05-31 22:00")


def test_renewals_are_local(berlin: Made) -> None:
    def is_locked(account: str, date: str) -> bool:
        locked = berlin.row("retention_outcomes", account_id=account, kind="month", observed_at=at(date))["is_locked"]
        assert isinstance(locked, bool)
        return locked

    # from midnight of 1 April a renewal at midnight of 1 July is at D + H; a second later it is outside
    assert is_locked("half-year", "2025-03-31 22:00") is False
    assert is_locked("half-year-later", "2025-03-31 22:00") is True
    assert is_locked("monthly", "2025-02-28 23:00") is False
