"""The maturity milestone: level by category over the trailing 90 days that end with the month, and the number of mature categories.

Put here levels, the window's edges and settings. Keep out the stage (`test_stage_world.py`). Subscriptions run from 2024-10-01.
March closes at 2025-04-01: day -90 is 2025-01-01 (31 + 28 + 31 days), day -91 is 2024-12-31. The as-of time is 2025-04-16.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from scenario import Made, World, event, made_up_to, subscription

MATURITY = {
    "mature_categories": 2,
    "window": "90 d",
    "categories": [
        {
            "name": "channels",
            "title": "Channels",
            "basic": {"at_least": 1, "of": ["chat_days", "mail_days"]},
            "mature": {"at_least": 2, "of": ["chat_days", "mail_days", "hours"], "minimum_days": 2},
        },
        {
            "name": "reporting",
            "title": "Reporting",
            "basic": {"at_least": 1, "of": ["report_used"]},
            "mature": {"at_least": 1, "of": ["report_used"], "minimum_days": 3},
        },
        {
            # no basic use without mature use: the basic rule asks more than the mature one
            "name": "promise",
            "title": "Promise",
            "basic": {"at_least": 1, "of": ["sla"], "minimum_days": 5},
            "mature": {"at_least": 1, "of": ["sla"], "minimum_days": 2},
        },
    ],
}


def days(account: str, name: str, *dates: str) -> list[dict[str, Any]]:
    return [event(account, name, date) for date in dates]


EVENTS = [
    *days("basic", "chat", "2025-03-10"),
    *days("basic", "mail", "2025-03-10"),
    # mail on one day is basic, on the second it counts for mature: chat and mail on two days each
    *days("mature", "chat", "2025-03-10", "2025-03-11"),
    *days("mature", "mail", "2025-03-10", "2025-03-12"),
    *days("mature", "report", "2025-03-10", "2025-03-11", "2025-03-12"),
    # twice on a day is one day
    *days("same-day", "report", "2025-03-10 01:00", "2025-03-10 02:00", "2025-03-11"),
    # one and the same feature on two days is one feature
    *days("one-feature", "chat", "2025-03-10", "2025-03-11", "2025-03-12"),
    # the window's edges
    *days("day-90", "report", "2025-01-01"),
    *days("day-91", "report", "2024-12-31 23:59:59"),
    *days("at-close", "report", "2025-04-01"),
    *days("before-close", "report", "2025-03-31 23:59:59"),
    # three days of which one has left the window
    *days("slides", "report", "2024-12-31", "2025-01-01", "2025-02-01"),
    # settings hold until they are switched off, however long ago they were switched on
    *days("on", "hours_on", "2024-10-05"),
    *days("on", "chat", "2025-03-10", "2025-03-11"),
    *days("off", "hours_on", "2024-10-05"),
    *days("off", "hours_off", "2025-03-31 23:59:59"),
    *days("off", "chat", "2025-03-10", "2025-03-11"),
    *days("off-at-close", "hours_on", "2024-10-05"),
    *days("off-at-close", "hours_off", "2025-04-01"),
    *days("off-at-close", "chat", "2025-03-10", "2025-03-11"),
    *days("on-again", "hours_on", "2024-10-05 10:00"),
    *days("on-again", "hours_off", "2025-02-10 10:00"),
    *days("on-again", "hours_on", "2025-02-10 10:01"),
    *days("on-again", "chat", "2025-03-10", "2025-03-11"),
    *days("never-on", "hours_off", "2025-03-10"),
    *days("never-on", "chat", "2025-03-10", "2025-03-11"),
    # in the trial too
    *days("in-trial", "chat", "2025-02-10", "2025-02-11"),
    *days("in-trial", "mail", "2025-02-10", "2025-02-11"),
    *days("mature-without-basic", "sla", "2025-03-10", "2025-03-11"),
    # two more days in the running month
    *days("running", "report", "2025-03-10", "2025-04-14", "2025-04-15 23:59:59", "2025-04-16"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    accounts = dict.fromkeys(row["account_id"] for row in EVENTS)
    starts = {"in-trial": "2025-03-01"}
    rows = [subscription(account, starts.get(account, "2024-10-01")) for account in (*accounts, "idle")]
    made_world = World(EVENTS, last_day="2025-04-30", subscriptions=rows, framework={"maturity": MATURITY})
    with made_up_to(made_world, tmp_path_factory.mktemp("maturity"), "maturity_categories", as_of="2025-04-16") as found:
        yield found


@pytest.mark.parametrize(
    ("account", "category", "level", "basic", "mature", "features"),
    [
        ("idle", "channels", "none", 0, 0, None),
        ("basic", "channels", "basic", 2, 0, "chat_days, mail_days"),
        ("mature", "channels", "mature", 2, 2, "chat_days, mail_days"),
        ("mature", "reporting", "mature", 1, 1, "report_used"),
        ("same-day", "reporting", "basic", 1, 0, "report_used"),
        ("one-feature", "channels", "basic", 1, 1, "chat_days"),
        ("day-90", "reporting", "basic", 1, 0, "report_used"),
        ("day-91", "reporting", "none", 0, 0, None),
        ("at-close", "reporting", "none", 0, 0, None),
        ("before-close", "reporting", "basic", 1, 0, "report_used"),
        ("slides", "reporting", "basic", 1, 0, "report_used"),
        ("on", "channels", "mature", 1, 2, "chat_days, hours"),
        ("off", "channels", "basic", 1, 1, "chat_days"),
        ("off-at-close", "channels", "mature", 1, 2, "chat_days, hours"),
        ("on-again", "channels", "mature", 1, 2, "chat_days, hours"),
        ("never-on", "channels", "basic", 1, 1, "chat_days"),
        ("in-trial", "channels", "mature", 2, 2, "chat_days, mail_days"),
        # mature stands above basic, whatever the basic rule asks
        ("mature-without-basic", "promise", "mature", 0, 1, "sla"),
    ],
)
def test_level_of_a_category_when_march_closed(
    world: Made, account: str, category: str, level: str, basic: int, mature: int, features: str | None
) -> None:
    row = world.row("maturity_categories", account_id=account, month="2025-03-01", category=category)
    assert (row["level"], row["basic_features"], row["mature_features"], row["features"]) == (level, basic, mature, features)


@pytest.mark.parametrize(("account", "number"), [("mature", 2), ("on", 1), ("basic", 0), ("idle", 0)])
def test_mature_categories_are_counted_beside_every_category(world: Made, account: str, number: int) -> None:
    rows = world.rows("maturity_categories", account_id=account, month="2025-03-01")
    assert [(row["category"], row["mature_categories"]) for row in rows] == [
        (name, number) for name in ("channels", "promise", "reporting")
    ]


@pytest.mark.parametrize(
    ("month", "level"),
    [
        # December closes at 2025-01-01 with one of the three days, January with two, February with all three
        ("2024-11-01", "none"),
        ("2024-12-01", "basic"),
        ("2025-01-01", "basic"),
        ("2025-02-01", "mature"),
        # two days are left when March closes; April's running window begins on 16 January: one day
        ("2025-03-01", "basic"),
        ("2025-04-01", "basic"),
    ],
)
def test_the_window_slides_with_the_month(world: Made, month: str, level: str) -> None:
    assert world.row("maturity_categories", account_id="slides", month=month, category="reporting")["level"] == level


def test_the_running_month_reads_up_to_the_as_of_time(world: Made) -> None:
    # 10 March, 14 and 15 April: three days; the event at the as-of time itself is not known
    row = world.row("maturity_categories", account_id="running", month="2025-04-01", category="reporting")
    assert (row["level"], row["mature_features"]) == ("mature", 1)
    assert world.row("maturity_categories", account_id="running", month="2025-03-01", category="reporting")["level"] == "basic"


def test_a_setting_is_off_in_the_months_after_it_was_switched_off(world: Made) -> None:
    levels = [row["level"] for row in world.rows("maturity_categories", account_id="off-at-close", category="channels")][-2:]
    # March closed with it on; by 16 April it is off, and chat alone is left
    assert levels == ["mature", "basic"]
