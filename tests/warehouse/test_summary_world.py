"""The headline and the first look at retention: numerators, denominators and what is open.

Put here which accounts are in a rate. Keep out how a milestone or an outcome is told (their own worlds).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from scenario import Made, World, at, event, made_up_to, subscription

FRAMEWORK = {
    "setup": {"window": "1 month", "steps": [{"name": "install", "title": "Install", "events": ["installed"]}]},
    "activation": {"threshold": 2},
}


def events(account: str, name: str, *days: str) -> list[dict[str, Any]]:
    return [event(account, name, day, conversation_id=f"{account} {day}") for day in days]


EVENTS = [
    # set up in ten days, activated, premium from March on, usage and maturity in May
    *events("all", "installed", "2025-01-20"),
    *events("all", "started", "2025-01-20", "2025-02-20"),
    *events("all", "resolved", "2025-05-01", "2025-05-02", "2025-05-03", "2025-05-04"),
    *events("all", "report", "2025-05-01", "2025-05-02", "2025-05-03"),
    # set up after its window, which ended on 10 February; usage without activation
    *events("late", "installed", "2025-03-01"),
    *events("late", "resolved", "2025-05-01", "2025-05-02", "2025-05-03", "2025-05-04"),
    # set up in the trial, left on 1 February
    *events("left", "installed", "2025-01-05"),
    # its windows end on 28 February (set up at that instant: too late) and 30 April
    *events("clamped", "installed", "2025-02-28"),
    *events("clamped", "started", "2025-04-28", "2025-04-29"),
    # early: activated while its cohort is open until 15 June
    *events("early", "installed", "2025-03-16"),
    *events("early", "started", "2025-03-20", "2025-03-21"),
    *events("early", "resolved", "2025-05-01"),
]
SUBSCRIPTIONS = [
    subscription("all", "2025-01-10", "2025-03-01"),
    subscription("all", "2025-03-01", plan="premium"),
    subscription("late", "2025-01-10"),
    subscription("left", "2025-01-10", "2025-02-01"),
    subscription("clamped", "2025-01-31"),
    subscription("early", "2025-03-15", plan="premium", seats=10.0),
    subscription("new", "2025-05-20"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made_world = World(EVENTS, last_day="2025-05-31", subscriptions=SUBSCRIPTIONS, framework=FRAMEWORK)
    with made_up_to(made_world, tmp_path_factory.mktemp("summary"), "milestone_summary") as found:
        yield found


def numbers(world: Made, month: int, milestone: str, kind: str = "all", segment: str = "all") -> tuple[int, int, int]:
    """Reached, of how many, and how many are open; all zero where there is no row."""
    rows = world.rows("milestone_summary", month=f"2025-{month:02}-01", milestone=milestone, segment_kind=kind, segment=segment)
    assert len(rows) <= 1
    for row in rows:
        share = row["reached"] / row["accounts"] if row["accounts"] else None
        assert row["share"] == share
        return row["reached"], row["accounts"], row["open_accounts"]
    return 0, 0, 0


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        # all, late, left (to 10 February) and clamped (to 28 February) are open when January closes
        (1, (0, 0, 4)),
        # all four have elapsed: all and left are set up within the window; who left is in the denominator
        (2, (2, 4, 0)),
        # late is set up by now, and was not within its window; early is open until 15 April
        (3, (2, 4, 1)),
        (4, (3, 5, 0)),
        # new is open until 20 June
        (5, (3, 5, 1)),
    ],
)
def test_setup_is_a_rate_of_elapsed_windows_and_the_rest_is_open(world: Made, month: int, expected: tuple[int, int, int]) -> None:
    assert numbers(world, month, "setup") == expected


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        # the windows of January's three end on 10 April, clamped's on 30 April, early's on 15 June
        (1, (0, 0, 4)),
        (3, (0, 0, 5)),
        # all and clamped of four; early is activated and waits for its cohort
        (4, (2, 4, 1)),
        (5, (2, 4, 2)),
    ],
)
def test_activation_is_a_rate_of_elapsed_windows_and_early_activators_wait(
    world: Made, month: int, expected: tuple[int, int, int]
) -> None:
    assert numbers(world, month, "activation") == expected


@pytest.mark.parametrize(
    ("milestone", "expected"),
    [
        # paying on 1 June: all, late, clamped, early, new; 4 conversations / 2 seats reach 2, early has 1 / 10
        ("usage", (2, 5, 0)),
        ("maturity", (1, 5, 0)),
        # new; late (no activation); clamped and early; nobody; all
        ("stage 0", (1, 5, 0)),
        ("stage 1", (1, 5, 0)),
        ("stage 2", (2, 5, 0)),
        ("stage 3", (0, 5, 0)),
        ("stage 4", (1, 5, 0)),
    ],
)
def test_usage_maturity_and_stage_are_shares_of_who_pays_at_the_close(
    world: Made, milestone: str, expected: tuple[int, int, int]
) -> None:
    assert numbers(world, 5, milestone) == expected


def test_who_left_is_in_no_denominator_of_later_months(world: Made) -> None:
    # the end on 1 February is not known when January closes, and is when February does
    assert [numbers(world, month, "usage")[1] for month in (1, 2, 3, 4, 5)] == [4, 3, 4, 4, 5]


def test_setup_and_activation_are_by_the_plan_and_size_at_tenure_start_the_others_at_the_close(world: Made) -> None:
    # at the start all four of January were basic with 2 seats, early premium with 10
    assert numbers(world, 4, "activation", "plan", "basic") == (2, 4, 0)
    assert numbers(world, 4, "activation", "plan", "premium") == (0, 0, 1)
    assert numbers(world, 4, "setup", "size", "5-19") == (1, 1, 0)
    # when May closed, all was premium too
    assert numbers(world, 5, "usage", "plan", "premium") == (1, 2, 0)
    assert numbers(world, 5, "usage", "plan", "basic") == (1, 3, 0)
    assert numbers(world, 5, "usage", "size", "5-19") == (0, 1, 0)
    assert numbers(world, 5, "usage", "size", "1-4") == (2, 4, 0)


def test_the_running_month_is_marked(tmp_path_factory: pytest.TempPathFactory) -> None:
    made_world = World(EVENTS, last_day="2025-05-31", subscriptions=SUBSCRIPTIONS, framework=FRAMEWORK)
    with made_up_to(made_world, tmp_path_factory.mktemp("running"), "milestone_summary", as_of="2025-02-10") as made:
        whole = {row["month"].month: row["is_whole"] for row in made.rows("milestone_summary")}
        # the three windows that end on 10 February have elapsed at that instant; clamped's has not
        found = numbers(made, 2, "setup")
    assert whole == {1: True, 2: False}
    assert found == (2, 3, 1)


BAND_EVENTS = {
    "none": 0,
    "none-left": 0,
    "one": 1,
    "two-left": 2,
    "two-left-at-once": 2,
    "three": 3,
    "three-bridged": 3,
    "five-left-later": 5,
    "five-gone": 5,
    "five-gone-at-landmark": 5,
    "five-in-long-gap": 5,
    "five-locked": 5,
    "five-censored": 5,
    "one-gone-open": 1,
    "none-as-of-landmark": 0,
    "none-young": 0,
}


def bands(folder: Path, as_of: str, policy: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """The table as rows of band, accounts, retained and their share, left before and their share, locked, open."""
    # tenure from 25 June 2024: landmark 25 September, outcome to 25 December, known from 1 January
    ends = {
        "none-left": "2024-11-25",
        "two-left": "2024-12-25",  # a gap that begins at the very end of the window
        "two-left-at-once": "2024-09-25 00:00:01",
        "five-left-later": "2024-12-25 00:00:01",  # after the window: retained
        "three-bridged": "2024-09-23",
        "five-gone": "2024-09-08",
        "five-gone-at-landmark": "2024-09-25",
        "five-in-long-gap": "2024-09-21",
        "one-gone-open": "2024-09-08",
    }
    # landmarks 26 September, so known from 2 January; 1 January; 2 January
    starts = {
        "five-censored": "2024-06-26",
        "one-gone-open": "2024-06-26",
        "none-as-of-landmark": "2024-10-01",
        "none-young": "2024-10-02",
    }
    terms = {"five-locked": 12}
    rows = [
        subscription(account, starts.get(account, "2024-06-25"), ends.get(account), term_months=terms.get(account))
        for account in BAND_EVENTS
    ]
    # 5 days over the landmark are bridged; 11 days are leaving before it, and the win-back does not mend that
    rows += [subscription("three-bridged", "2024-09-28"), subscription("five-in-long-gap", "2024-10-02")]
    happened = [
        event(account, "started", f"2024-07-{number + 1:02}") for account, count in BAND_EVENTS.items() for number in range(count)
    ]
    # neither the trial's nor the landmark's own event counts
    happened += [event("none", "started", "2024-06-24"), event("none", "started", "2024-09-25")]
    made_world = World(happened, last_day="2025-02-10", subscriptions=rows, framework=policy or {})
    columns = ("band", "accounts", "retained", "retained_share", "left_before", "left_before_share", "locked", "open")
    with made_up_to(made_world, folder, "retention_by_activation", "activation_landmarks", as_of=as_of) as made:
        found = made.rows("retention_by_activation")
        standings = Counter(row["standing"] for row in made.rows("activation_landmarks"))
        cohort = made.rows("activation_cohort")
    if policy is None:
        total = {name: sum(row[name] for row in found) for name in ("accounts", "left_before", "locked", "open")}
        assert (total["accounts"], total["left_before"], total["locked"]) == (
            standings["row"], standings["left_before"], standings["locked"],
        )  # fmt: skip
        assert (
            sum(total.values()) + sum(row["window_ends_at"] > at(f"{as_of[:7]}-01") for row in cohort)
            == len(cohort)
            == len(BAND_EVENTS)
        )
    return [tuple(row[name] for name in columns) for row in found]


@pytest.mark.parametrize("as_of", ["2025-01-01", "2025-01-31"], ids=["month closed", "within the next month"])
def test_retention_by_activation_bands_who_pays_at_the_landmark_and_whose_outcome_is_known(tmp_path: Path, as_of: str) -> None:
    assert bands(tmp_path, as_of) == [
        # none, none-left; none-as-of-landmark is open
        ("0", 2, 1, 1 / 2, 0, 0.0, 0, 1),
        # one; two-left and two-left-at-once left; one-gone-open left before its landmark, in a time that is still open
        ("1-2", 3, 1, 1 / 3, 0, 0.0, 0, 1),
        # three, five-left-later, three-bridged; gone, gone-at-landmark and in-long-gap left before, 3 of 6; locked; censored
        ("3+", 3, 3, 1.0, 3, 3 / 6, 1, 1),
    ]


def test_when_the_next_month_closes_the_open_ones_are_settled(tmp_path: Path) -> None:
    assert bands(tmp_path, "2025-02-01") == [
        # none-young has elapsed by now
        ("0", 2, 1, 1 / 2, 0, 0.0, 0, 2),
        ("1-2", 3, 1, 1 / 3, 1, 1 / 4, 0, 0),
        ("3+", 4, 4, 1.0, 3, 3 / 7, 1, 0),
    ]


def test_while_no_outcome_is_known_all_that_elapsed_is_open_and_there_is_no_share(tmp_path: Path) -> None:
    assert bands(tmp_path, "2024-10-15") == [
        ("0", 0, 0, None, 0, None, 0, 2),
        ("1-2", 0, 0, None, 0, None, 0, 4),
        ("3+", 0, 0, None, 0, None, 0, 8),
    ]


def test_locked_rows_may_be_included_and_later_cohorts_are_counted_nowhere(tmp_path: Path) -> None:
    policy = {"outcomes": {"retention": {"include_locked": True}}, "retention_by_activation": {"cohorts_before": date(2024, 6, 26)}}
    assert bands(tmp_path, "2025-01-01", policy) == [
        ("0", 2, 1, 1 / 2, 0, 0.0, 0, 0),
        ("1-2", 3, 1, 1 / 3, 0, 0.0, 0, 0),
        # three, five-left-later, three-bridged, five-locked
        ("3+", 4, 4, 1.0, 3, 3 / 7, 0, 0),
    ]
