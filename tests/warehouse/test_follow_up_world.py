"""After activation through the graph: who becomes dormant or leaves and when, usage after it, win-backs, revenue retention.

Put here what SQL decides. Keep out the statistics (`tests/unit/test_evidence_survival.py` and its neighbours). Unless a case says
otherwise accounts pay from 2025-01-10, so that L is 10 April; as of 2025-09-01, all is followed up to 25 August (7 d before). The
outcome's window is 2 months. Usage is 2 resolved per seat and month, 4 for 2 seats; the three whole months are May, June and July.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, merged, subscription

START, L = "2025-01-10", "2025-04-10"
HORIZON = {"outcomes": {"retention": {"horizon": "2 months"}}}
TABLES = (
    "activation_follow_up",
    "activation_validation",
    "activation_survival",
    "usage_landmarks",
    "win_backs",
    "revenue_retention",
)
# no two of them more than 30 days apart, from before L to after the as-of time
ALL_TIME = [f"2025-{day}" for day in ("04-01", "04-20", "05-10", "05-30", "06-20", "07-10", "07-30", "08-20")]


def resolved(account: str, *times: str) -> list[dict[str, Any]]:
    return [event(account, "resolved", time, conversation_id=f"{account}-{place}") for place, time in enumerate(times)]


EVENTS = [
    *(event("steady", "started", f"2025-01-1{day}") for day in (1, 2, 3)),
    *resolved("steady", *ALL_TIME),
    # two core events 30 days apart, and a second more
    *resolved("thirty", "2025-04-05", "2025-05-05"),
    *resolved("longer", "2025-04-05", "2025-05-05 00:00:01"),
    # dormant from 31 March on, whatever comes after L; the last event before L 30 days before it; the next exactly at it
    *resolved("slept", "2025-03-01", "2025-04-15"),
    *resolved("at-landmark", "2025-03-11"),
    *resolved("wakes-at-landmark", "2025-03-10 23:59:59", L),
    *resolved("leaves-first", "2025-04-05"),
    *resolved("leaves-later", "2025-04-05"),
    *resolved("bridged", *ALL_TIME),
    *resolved("back", *ALL_TIME, *["2025-06-05"] * 4, *["2025-07-05"] * 4),
    *resolved("unsettled", *ALL_TIME),
    *resolved("ends-followed", *ALL_TIME),
    *resolved("uses", *ALL_TIME, *["2025-05-05"] * 4, *["2025-06-05"] * 4, *["2025-08-05"] * 9),
    *resolved("leaves-in-month", *ALL_TIME, *["2025-05-05"] * 4),
    *resolved("since-april", *ALL_TIME),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    plain = ("steady", "thirty", "longer", "slept", "at-landmark", "wakes-at-landmark", "never")
    rows = [
        *(subscription(name, START) for name in plain),
        subscription("leaves-first", START, "2025-04-20"),
        subscription("leaves-later", START, "2025-05-20"),
        subscription("bridged", START, "2025-04-08"),
        subscription("bridged", "2025-04-15"),
        subscription("back", START, "2025-04-20"),
        subscription("back", "2025-05-10"),
        # a day too late to be sure that it is not bridged, and just in time
        subscription("unsettled", START, "2025-08-26"),
        subscription("ends-followed", START, "2025-08-25"),
        subscription("won-back", START, "2025-02-01"),
        subscription("won-back", "2025-03-20"),
        subscription("uses", START, "2025-05-01"),
        subscription("uses", "2025-05-01", mrr=150.0, subscription_id="more"),
        subscription("leaves-in-month", START, "2025-05-31 12:00"),
        # of its whole months with an outcome its lot draws April, at whose end a bridged gap begins
        subscription("since-april", "2025-04-01", "2025-05-01"),
        subscription("since-april", "2025-05-04"),
    ]
    made_world = World(EVENTS, last_day="2025-09-10", subscriptions=rows, framework=HORIZON)
    with made_up_to(made_world, tmp_path_factory.mktemp("follow-up"), *TABLES, as_of="2025-09-01") as found:
        yield found


@pytest.mark.parametrize(
    ("account", "left_at", "dormant_at", "ended_at"),
    [
        ("steady", None, None, None),
        ("thirty", None, "2025-06-04", "2025-06-04"),
        ("longer", None, "2025-05-05", "2025-05-05"),
        ("at-landmark", None, L, L),
        # leaving is an end of its own, whichever comes first
        ("leaves-first", "2025-04-20", None, "2025-04-20"),
        ("leaves-later", "2025-05-20", "2025-05-05", "2025-05-05"),
        ("bridged", None, None, None),
        ("back", "2025-04-20", None, "2025-04-20"),
        ("unsettled", None, None, None),
        ("ends-followed", "2025-08-25", None, "2025-08-25"),
        # it has paid again since 20 March, and 30 days of paying are needed
        ("won-back", None, "2025-04-19", "2025-04-19"),
    ],
)
def test_the_earlier_of_dormant_and_left(world: Made, account, left_at, dormant_at, ended_at) -> None:
    row = world.row("activation_follow_up", account_id=account)
    instants = [None if time is None else at(time) for time in (left_at, dormant_at, ended_at)]
    assert [row["left_at"], row["dormant_at"], row["ended_at"], row["is_dormant_before"]] == [*instants, False]
    assert (row["observed_at"], row["horizon_at"], row["followed_to"]) == (at(L), at("2025-06-10"), at("2025-08-25"))


def test_who_is_dormant_at_the_landmark_cannot_become_it_after(world: Made) -> None:
    before = {row["account_id"]: row["dormant_at"] for row in world.rows("activation_follow_up", is_dormant_before=True)}
    assert before == {"slept": None, "wakes-at-landmark": None, "never": None}
    # the same as the outcome's own table says at L
    at_landmark = {row["account_id"]: row["is_dormant"] for row in world.rows("retention_outcomes", kind="landmark")}
    assert {name for name, is_dormant in at_landmark.items() if is_dormant} == set(before)


def test_usage_is_counted_in_the_three_whole_months_and_not_after_leaving(world: Made) -> None:
    months = {row["account_id"]: row["usage_months"] for row in world.rows("activation_follow_up")}
    assert (months["steady"], months["uses"]) == (0, 2)
    # left in April and back in May; left at noon of May's last day
    assert (months["back"], months["leaves-in-month"]) == (0, 0)


def test_what_was_paid_last_holds_on_through_a_bridged_gap(world: Made) -> None:
    row = world.row("activation_landmarks", account_id="bridged")
    assert (row["standing"], row["plan"], row["size_stratum"], row["mrr"]) == ("row", "basic", "1-4", 100.0)
    row = world.row("usage_landmarks", account_id="since-april")
    assert (row["observed_at"], row["standing"], row["plan"], row["size_stratum"]) == (at("2025-05-01"), "row", "basic", "1-4")
    assert (row["mrr"], row["retained"]) == (100.0, True)


def test_a_handful_is_to_be_talked_to(world: Made) -> None:
    time, usage = world.rows("activation_validation")
    # 16 rows less three that are dormant at L
    assert (time["outcome"], time["accounts"], time["activated"], time["left_out"], time["trust"]) == (
        "dormant_or_left", 13, 1, 3, "interview",
    )  # fmt: skip
    assert (time["left_before"], time["locked"]) == (0, 0)
    # 61 days to 10 June; nine ended, ends-followed after it
    assert (time["horizon_days"], time["ended"], time["ended_by_leaving"]) == (61, 9, 4)
    assert (time["activated_share"], time["other_share"]) == (1.0, pytest.approx(4 / 12))
    # steady lasted; so did these, and all paid the same at L
    assert time["talk_to"] == "bridged, ends-followed, unsettled, uses"
    assert (usage["outcome"], usage["accounts"], usage["activated_share"], usage["talk_to"]) == ("usage", 16, 0.0, "steady, uses")
    assert usage["other_share"] == pytest.approx(1 / 15)


def test_curves_count_who_is_followed(world: Made) -> None:
    rows = world.rows("activation_survival", group_name="not_activated")
    found = {row["day"]: (row["at_risk"], row["events"], round(row["survival"], 4)) for row in rows}
    # at-landmark on the day itself; by day 14 won-back on the 9th, leaves-first and back on the 10th
    assert (found[0], found[14]) == ((12, 1, round(11 / 12, 4)), (8, 4, round(8 / 12, 4)))
    # 25 August is day 137
    assert max(found) == 133


def test_win_backs_count_each_leaving_for_as_long_as_it_is_followed(world: Made) -> None:
    found = {row["day"]: (row["at_risk"], row["returns"], row["incidence"]) for row in world.rows("win_backs")}
    # back after 20 and 47 days; not back after 127, 97, 85.5 and 0 days
    assert {row["leavings"] for row in world.rows("win_backs")} == {6}
    assert found == {30: (4, 1, pytest.approx(1 / 5)), 90: (2, 2, pytest.approx(2 / 5)), 180: (0, 2, None), 365: (0, 2, None)}


def test_revenue_of_a_month_is_followed_one_horizon_on(world: Made) -> None:
    row = world.row("revenue_retention", period="2025-04", segment_kind="all")
    # 17 pay on 1 April, since-april among them; 4 leave by 1 June, one of them comes back; one pays 150 for 100
    assert (row["rows"], row["accounts"], row["retained"], row["open_rows"], row["locked_rows"]) == (17, 17, 13, 0, 0)
    assert (row["mrr_at_start"], row["mrr_at_end"]) == (1700.0, 1350.0)
    assert (row["gross_revenue_retention"], row["net_revenue_retention"]) == (pytest.approx(13 / 17), pytest.approx(13.5 / 17))
    assert (row["expanded_mrr_share"], row["expanded_seats_share"]) == (pytest.approx(1 / 17), 0)
    # known up to 1 June, whose outcome ends on 1 August; July and August are open
    opened = {row["period"]: row["open_rows"] for row in world.rows("revenue_retention", segment_kind="all") if row["open_rows"]}
    assert opened == {"2025-07": 14, "2025-08": 14, "all": 28}


def test_without_subscriptions_there_is_time_to_dormancy_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    happened = [event(account, "chat", START) for account in ("quiet", "asleep", "on")]
    happened += [*resolved("asleep", "2025-04-01"), *resolved("on", *ALL_TIME)]
    framework = merged(merged(UNBILLED, HORIZON), {"usage": {"seats": "active_users"}})
    made_world = World(happened, last_day="2025-09-10", subscriptions=None, framework=framework)
    with made_up_to(made_world, tmp_path_factory.mktemp("unbilled"), *TABLES, as_of="2025-09-01") as made:
        found = {
            row["account_id"]: (row["is_dormant_before"], row["left_at"], row["ended_at"])
            for row in made.rows("activation_follow_up")
        }
        followed = {row["followed_to"] for row in made.rows("activation_follow_up")}
        notes = [row["note"] for row in (*made.rows("activation_validation"), *made.rows("win_backs"))]
        revenue = made.row("revenue_retention", period="all", segment_kind="all")
    assert found == {"quiet": (True, None, None), "asleep": (False, None, at("2025-05-01")), "on": (False, None, None)}
    # nothing can be bridged, so that all is known at once
    assert followed == {at("2025-09-01")}
    assert all("Without subscriptions nobody is seen to leave" in note for note in notes)
    assert "time is to dormancy alone" in notes[0]
    assert (revenue["mrr_rows"], revenue["net_revenue_retention"], revenue["dormant_share"]) == (0, None, None)
