"""The stage of a month: the highest k such that milestones 1 to k all hold at its end, in whatever order they came.

Put here how milestones combine and what leaving does. Keep out how each is reached (its own world). Accounts pay for 1 seat from
2025-01-01: one resolved conversation in a month is the usage threshold. Activation takes 2 events, maturity one day of reports
within 90 days. The as-of time is 2025-06-16.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from scenario import Made, World, event, made_up_to, subscription

FRAMEWORK = {
    "setup": {"steps": [{"name": "install", "title": "Install", "events": ["installed"]}]},
    "activation": {"threshold": 2},
    "usage": {"threshold": 1},
    "maturity": {
        "mature_categories": 1,
        "categories": [
            {
                "name": "reporting",
                "title": "Reporting",
                "basic": {"at_least": 1, "of": ["report_used"]},
                "mature": {"at_least": 1, "of": ["report_used"]},
            },
        ],
    },
}


def resolved(account: str, *days: str) -> list[dict[str, Any]]:
    return [event(account, "resolved", day, conversation_id=f"{account} {day}") for day in days]


def reached(account: str, *days: str, name: str = "installed") -> list[dict[str, Any]]:
    return [event(account, name, day) for day in days]


EVENTS = [
    # one milestone a month; in June no conversation, while the report of May is still in its window
    *reached("climbs", "2025-02-10"),
    *reached("climbs", "2025-03-10", "2025-03-11", name="started"),
    *resolved("climbs", "2025-04-10", "2025-05-10"),
    *reached("climbs", "2025-05-10", name="report"),
    # usage without setup; then activation; setup last, and all count at once
    *resolved("upside-down", "2025-01-10", "2025-02-10", "2025-03-10"),
    *reached("upside-down", "2025-02-10", "2025-02-11", name="started"),
    *reached("upside-down", "2025-03-10"),
    # usage and maturity without activation
    *reached("no-activation", "2025-01-10"),
    *resolved("no-activation", "2025-01-10"),
    *reached("no-activation", "2025-01-10", name="report"),
    # half-open: the last second of January, the first instant of February
    *reached("last-second", "2025-01-31 23:59:59"),
    *reached("next-month", "2025-02-01"),
    *reached("activated-next-month", "2025-01-10"),
    *reached("activated-next-month", "2025-01-10", "2025-02-01", name="started"),
    # reopened after the close: the stage of January keeps the usage it had
    *reached("reopened", "2025-01-10"),
    *reached("reopened", "2025-01-10", "2025-01-11", name="started"),
    *resolved("reopened", "2025-01-20"),
    event("reopened", "reopened", "2025-02-03", conversation_id="reopened 2025-01-20"),
    # setup in the trial
    *reached("trial", "2024-12-20"),
    # setup and activation stay over a win-back
    *reached("win-back", "2025-01-10"),
    *reached("win-back", "2025-01-10", "2025-01-11", name="started"),
    *resolved("win-back", "2025-02-05"),
]
SUBSCRIPTIONS = [
    subscription("win-back", "2025-01-01", "2025-02-10", seats=1.0),
    subscription("win-back", "2025-04-20", seats=1.0),
    # 22 February to 1 March are exactly 7 days; one second more is longer
    subscription("gap-7-days", "2025-01-01", "2025-02-22", seats=1.0),
    subscription("gap-7-days", "2025-03-01", seats=1.0),
    subscription("gap-longer", "2025-01-01", "2025-02-21 23:59:59", seats=1.0),
    subscription("gap-longer", "2025-03-01", seats=1.0),
    subscription("gap-5-days", "2025-01-01", "2025-02-25", seats=1.0),
    subscription("gap-5-days", "2025-03-02", seats=1.0),
    subscription("ends-at-close", "2025-01-01", "2025-03-01", seats=1.0),
    # an unpaid row after the paid one does not keep the account
    subscription("to-trial", "2025-01-01", "2025-02-10", seats=1.0),
    subscription("to-trial", "2025-02-10", is_trial=True, seats=1.0),
    subscription("to-nothing", "2025-01-01", "2025-02-10", seats=1.0),
    subscription("to-nothing", "2025-02-10", mrr=0.0, seats=1.0),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    accounts = dict.fromkeys(row["account_id"] for row in EVENTS if row["account_id"] != "win-back")
    rows = [*SUBSCRIPTIONS, *(subscription(account, "2025-01-01", seats=1.0) for account in accounts)]
    made_world = World(EVENTS, last_day="2025-06-30", subscriptions=rows, framework=FRAMEWORK)
    with made_up_to(made_world, tmp_path_factory.mktemp("stage"), "customer_milestones", as_of="2025-06-16") as found:
        yield found


def stages(world: Made, account: str) -> dict[int, tuple[str, str, bool]]:
    """Stage, what holds and whether that is out of order, by month of 2025."""
    rows = world.rows("customer_milestones", account_id=account)
    return {row["month"].month: (row["stage"], row["holds"], row["is_out_of_order"]) for row in rows}


def test_one_row_per_account_and_month_since_its_tenure_began(world: Made) -> None:
    rows = world.rows("customer_milestones", account_id="climbs")
    assert [(row["month"].month, row["is_whole"]) for row in rows] == [
        (1, True),
        (2, True),
        (3, True),
        (4, True),
        (5, True),
        (6, False),
    ]


def test_milestones_1_to_k_all_hold(world: Made) -> None:
    assert stages(world, "climbs") == {
        1: ("none", "", False),
        2: ("setup", "setup", False),
        3: ("activation", "setup, activation", False),
        4: ("usage", "setup, activation, usage", False),
        5: ("maturity", "setup, activation, usage, maturity", False),
        # usage is of the month: without it maturity stands above the stage
        6: ("activation", "setup, activation, maturity", True),
    }
    assert [row["stage_number"] for row in world.rows("customer_milestones", account_id="climbs")] == [0, 1, 2, 3, 4, 2]


def test_milestones_may_come_in_any_order(world: Made) -> None:
    found = stages(world, "upside-down")
    assert found[1] == ("none", "usage", True)
    assert found[2] == ("none", "activation, usage", True)
    assert found[3] == ("usage", "setup, activation, usage", False)
    # setup and activation hold for good, usage does not
    assert found[4] == ("activation", "setup, activation", False)


def test_a_missing_milestone_stops_the_stage_below_it(world: Made) -> None:
    assert stages(world, "no-activation")[1] == ("setup", "setup, usage, maturity", True)


def test_what_is_reached_at_the_first_instant_of_the_next_month_is_of_that_month(world: Made) -> None:
    assert stages(world, "last-second")[1][0] == "setup"
    assert (stages(world, "next-month")[1][0], stages(world, "next-month")[2][0]) == ("none", "setup")
    assert (stages(world, "activated-next-month")[1][0], stages(world, "activated-next-month")[2][0]) == ("setup", "activation")


def test_a_later_reopening_does_not_change_a_past_stage(world: Made) -> None:
    assert stages(world, "reopened")[1] == ("usage", "setup, activation, usage", False)
    row = world.row("customer_milestones", account_id="reopened", month="2025-01-01")
    assert (row["has_usage"], row["usage_ratio"]) == (True, 1.0)


def test_setup_in_the_trial_holds_from_the_first_month(world: Made) -> None:
    assert stages(world, "trial")[1] == ("setup", "setup", False)


def test_after_leaving_the_stage_is_left_until_a_win_back(world: Made) -> None:
    found = stages(world, "win-back")
    assert found[1][0] == "activation"
    # 10 February to 1 March are 19 days; what held is still told
    assert found[2] == ("left", "setup, activation, usage", False)
    assert found[3] == ("left", "setup, activation", False)
    assert found[4] == ("activation", "setup, activation", False)
    numbers = [row["stage_number"] for row in world.rows("customer_milestones", account_id="win-back")]
    assert numbers == [2, None, None, 2, 2, 2]


@pytest.mark.parametrize(
    ("account", "february", "march", "is_paying"),
    [
        # no gap longer than 7 days: not left, although nothing is paid at the close itself
        ("gap-7-days", "none", "none", False),
        ("gap-5-days", "none", "none", False),
        ("gap-longer", "left", "none", False),
        # the end at the close is not known at the close; on 1 April it is 31 days old
        ("ends-at-close", "none", "left", True),
        ("to-trial", "left", "left", False),
        ("to-nothing", "left", "left", False),
    ],
)
def test_a_gap_of_up_to_7_days_is_not_leaving(world: Made, account: str, february: str, march: str, is_paying: bool) -> None:
    found = stages(world, account)
    assert (found[2][0], found[3][0]) == (february, march)
    assert world.row("customer_milestones", account_id=account, month="2025-02-01")["is_paying"] == is_paying
