"""The product areas through the graph: what is counted in a month, which month is compared, who keeps meeting a threshold.

Put here what SQL decides. Keep out the statistics (`tests/unit/test_evidence_areas.py`). Months are those of New York, five hours (from 9
March on four) behind UTC. As of 2025-08-01, horizon 2 months: outcomes of January to April are known.
"""

from collections.abc import Iterator
from datetime import date
from hashlib import md5

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, merged, subscription

AREAS = [
    {"name": "chat", "title": "Days with chats", "feature": "chat_days", "threshold": 2},
    {"name": "mail", "title": "Mails per seat", "measure": "count_per_seat", "events": ["mail"], "threshold": 1.5},
    {"name": "people", "title": "Chatting people", "feature": "chat_users", "threshold": 2},
    {"name": "all", "title": "Chats and mails", "measure": "count", "events": ["chat", "mail"], "threshold": "auto"},
]
FRAMEWORK = {"time_zone": "America/New_York", "outcomes": {"retention": {"horizon": "2 months"}}, "areas": AREAS}
EVENTS = [
    # still February in New York, and the second day of it with a chat
    event("a", "chat", "2025-02-10 12:00"),
    event("a", "chat", "2025-03-01 04:59:59", user="u2"),
    # March has one day: 5 March, and of 1 April 03:59:59 UTC, which is 31 March
    event("a", "chat", "2025-03-05 12:00"),
    event("a", "chat", "2025-04-01 03:59:59"),
    *(event("a", "chat", f"2025-{month}-{day} 12:00") for month in ("04", "05") for day in (10, 20)),
    # one day alone in June, twice
    event("a", "chat", "2025-06-10 12:00"),
    event("a", "chat", "2025-06-10 13:00"),
    # 3 mails on 2 seats in February, 2 in March
    *(event("a", "mail", time) for time in ("2025-02-03", "2025-02-04", "2025-02-05", "2025-03-03", "2025-03-04")),
    # every month, but the April of `b` is not paid to its end
    *(event("b", "chat", f"2025-0{month}-{day} 12:00") for month in range(1, 7) for day in (10, 11)),
]
SUBSCRIPTIONS = [
    # paid from the second of January on: not all of it
    subscription("a", "2025-01-02"),
    subscription("b", "2025-01-01", "2025-04-20", subscription_id="b1"),
    subscription("b", "2025-04-25", subscription_id="b2"),
    subscription("no-seats", "2025-01-02", seats=0.0, plan="free"),
    subscription("gone", "2025-01-02", "2025-01-20"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made_world = World(EVENTS, last_day="2025-08-10", subscriptions=SUBSCRIPTIONS, framework=FRAMEWORK)
    with made_up_to(
        made_world, tmp_path_factory.mktemp("areas"), "area_success", "threshold_expansion", as_of="2025-08-01"
    ) as found:
        yield found


def values(made: Made, account: str, area: str) -> dict[str, tuple[float | None, bool | None, bool | None]]:
    """Value, met and kept of an account by month (01 …)."""
    rows = made.rows("area_success", account_id=account, area=area)
    return {f"{row['month']:%m}": (row["value"], row["is_met"], row["keeps_meeting"]) for row in rows}


def test_a_month_is_counted_in_the_reporting_zone(world: Made) -> None:
    found = {month: value for month, (value, _, _) in values(world, "a", "chat").items()}
    assert found == {"01": 0.0, "02": 2.0, "03": 2.0, "04": 2.0, "05": 2.0, "06": 1.0, "07": 0.0}
    people = {month: value for month, (value, _, _) in values(world, "a", "people").items()}
    assert (people["02"], people["03"], people["06"]) == (2.0, 1.0, 1.0)
    mails = {month: value for month, (value, _, _) in values(world, "a", "mail").items()}
    assert (mails["02"], mails["03"], mails["04"]) == (1.5, 1.0, 0.0)
    both = {month: value for month, (value, _, _) in values(world, "a", "all").items()}
    assert (both["02"], both["03"], both["06"]) == (5.0, 4.0, 2.0)


def test_who_keeps_meeting_met_this_month_and_the_two_before(world: Made) -> None:
    chat = {month: (met, kept) for month, (_, met, kept) in values(world, "a", "chat").items()}
    assert chat == {
        # not paid from its start
        "01": (None, None),
        # met, and January cannot be judged: not told yet
        "02": (True, None),
        "03": (True, None),
        "04": (True, True),
        "05": (True, True),
        # once below is enough
        "06": (False, False),
        # of 1 July to the as-of time: 31 July 20:00 in New York, the month has not ended; June was not met
        "07": (None, False),
    }


def test_a_month_broken_by_a_gap_is_shown_and_never_judged(world: Made) -> None:
    found = values(world, "b", "chat")
    assert [found[month] for month in ("03", "04", "05", "06")] == [
        # January is paid from 1 January 00:00 UTC, before it begins in New York
        (2.0, True, True),
        (2.0, None, None),
        (2.0, True, None),
        (2.0, True, None),
    ]


def test_without_seats_a_value_per_seat_is_unknown_and_not_met_and_without_a_threshold_nothing_is_judged(world: Made) -> None:
    assert values(world, "no-seats", "mail")["03"] == (None, False, False)
    assert values(world, "no-seats", "chat")["03"] == (0.0, False, False)
    row = world.row("area_success", account_id="a", area="all", month="2025-03-01")
    assert (row["value"], row["threshold"], row["threshold_origin"], row["is_met"], row["keeps_meeting"]) == (
        4.0, None, "none", None, None,
    )  # fmt: skip
    assert world.row("area_success", account_id="a", area="chat", month="2025-04-01")["met_months"] == 3


def test_one_eligible_month_is_compared_the_same_for_every_area(world: Made) -> None:
    # paid in full, and known by 1 August: February, March, April (1 May + 2 months + 7 d)
    months = [date(2025, month, 1) for month in (2, 3, 4)]
    taken = min(months, key=lambda month: md5(f"milestones usage month a {month}".encode()).hexdigest())  # noqa: S324 - no secret
    rows = {row["area"]: row for row in world.rows("area_landmarks", account_id="a")}
    assert {row["month"] for row in rows.values()} == {taken}
    assert rows["chat"]["value"] == 2.0
    assert (rows["chat"]["standing"], rows["chat"]["retained"], rows["chat"]["expanded"], rows["chat"]["plan"]) == (
        "row", True, False, "basic",
    )  # fmt: skip
    # the end of the month in New York
    ends = {2: "2025-03-01 05:00", 3: "2025-04-01 04:00", 4: "2025-05-01 04:00"}
    assert rows["chat"]["observed_at"] == at(ends[taken.month])
    standings = {(row["account_id"], row["area"]): row["standing"] for row in world.rows("area_landmarks")}
    assert standings["no-seats", "mail"] == "no_seats"
    assert standings["no-seats", "chat"] == "row"
    assert standings["gone", "chat"] == "left_before"


def test_a_handful_of_accounts_derives_nothing(world: Made) -> None:
    rows = {row["area"]: row for row in world.rows("area_thresholds")}
    assert [row["area"] for row in world.rows("area_thresholds")] == ["chat", "mail", "people", "all"]
    assert (rows["chat"]["rows"], rows["chat"]["left_before"], rows["chat"]["adopted"], rows["chat"]["measure"]) == (
        3,
        1,
        2.0,
        "days",
    )
    assert (rows["all"]["adopted"], rows["all"]["is_signal"], rows["all"]["derived"]) == (None, False, None)
    assert "1 accounts (25.0%) did not pay for all of the month drawn of them" in rows["chat"]["note"]
    found = {(row["behaviour"], row["basis"]): row["value"] for row in world.rows("threshold_expansion")}
    assert (found["area:chat", "adopted"], found["area:all", "adopted"], found["usage", "adopted"]) == (2.0, None, 2.0)


def test_without_areas_nothing_is_made_and_nothing_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    framework = merged(merged(UNBILLED, {"outcomes": {"retention": {"horizon": "2 months"}}}), {})
    made_world = World([event("a", "chat", "2025-01-10")], last_day="2025-08-10", subscriptions=None, framework=framework)
    with made_up_to(made_world, tmp_path_factory.mktemp("none"), "area_success", "threshold_expansion") as made:
        for table in ("area_months", "area_landmarks", "area_thresholds", "area_success"):
            assert made.rows(table) == []
        assert {row["behaviour"] for row in made.rows("threshold_expansion")} == {"activation", "usage"}
        assert made.row("threshold_expansion", behaviour="activation", basis="adopted")["no_mrr"] == 1
