"""The landmark tables and the thresholds through the graph: who is a row, of which month, with what outcome.

Put here what SQL decides. Keep out the statistics (`tests/unit/test_evidence_thresholds.py`). As of 2025-08-01, horizon 2 months:
tenures of 10 January have their landmark on 10 April, and what became of them can be known from 17 June (10 June + 7 d) on.
"""

from collections.abc import Iterator
from datetime import date
from hashlib import md5

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, merged, subscription

TABLES = (
    "activation_landmarks",
    "usage_landmarks",
    "activation_threshold",
    "activation_threshold_curve",
    "activation_window_search",
    "usage_threshold",
    "usage_threshold_curve",
)
HORIZON = {"outcomes": {"retention": {"horizon": "2 months"}}}


def resolved(account: str, number: int, *times: str):
    return [event(account, "resolved", time, conversation_id=f"{account}-{number}-{place}") for place, time in enumerate(times)]


EVENTS = [
    # in [tenure_start, L) alone: the trial's and the one at L are not counted
    event("stays", "started", "2025-01-09 23:59:59"),
    event("stays", "started", "2025-01-10"),
    event("stays", "started", "2025-01-10 23:59:59"),
    event("stays", "started", "2025-01-11"),
    event("stays", "started", "2025-01-17"),
    event("stays", "started", "2025-01-23 23:59:59"),
    event("stays", "started", "2025-02-08 23:59:59"),
    event("stays", "started", "2025-03-10 23:59:59"),
    event("stays", "started", "2025-04-09 23:59:59"),
    event("stays", "started", "2025-04-10"),
    # 2 seats: February 4 resolved, March 6, April 2
    *resolved("stays", 2, *["2025-02-10"] * 4),
    *resolved("stays", 3, *["2025-03-10"] * 6),
    *resolved("stays", 4, *["2025-04-10"] * 2),
    *resolved("ends-with-month", 2, *["2025-02-10"] * 3),
]
# February to April: their ends + 2 months + 7 d lie before the as-of time
MONTHS = (date(2025, 2, 1), date(2025, 3, 1), date(2025, 4, 1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    rows = [
        subscription("stays", "2025-01-10", "2025-03-20"),
        subscription("stays", "2025-03-20", plan="premium", seats=20.0, mrr=900.0, subscription_id="two"),
        subscription("leaves-after", "2025-01-10", "2025-05-01"),
        subscription("at-landmark", "2025-01-10", "2025-04-10"),
        subscription("left-before", "2025-01-10", "2025-04-01"),
        subscription("locked", "2025-01-10", term_months=12),
        subscription("open", "2025-02-26"),
        subscription("no-seats", "2025-01-10", seats=0.0, plan="free"),
        subscription("within-a-month", "2025-03-03", "2025-03-27"),
        # paid all February, and stopped at its end
        subscription("ends-with-month", "2025-01-10", "2025-03-01"),
    ]
    made_world = World(EVENTS, last_day="2025-08-10", subscriptions=rows, framework=HORIZON)
    with made_up_to(made_world, tmp_path_factory.mktemp("thresholds"), *TABLES, as_of="2025-08-01") as found:
        yield found


def test_a_row_pays_at_the_landmark_and_its_outcome_is_known_and_could_be_either(world: Made) -> None:
    found = {row["account_id"]: (row["standing"], row["retained"]) for row in world.rows("activation_landmarks")}
    assert found == {
        "stays": ("row", True),
        "leaves-after": ("row", False),
        "at-landmark": ("left_before", None),
        "left-before": ("left_before", None),
        "ends-with-month": ("left_before", None),
        "locked": ("locked", True),
        "no-seats": ("row", True),
        # `open` has no row: its landmark is 26 May, + 2 months + 7 d is 2 August, a day after July has closed
    }


def test_counts_by_window_end_at_the_same_landmark(world: Made) -> None:
    row = world.row("activation_landmarks", account_id="stays")
    assert (row["observed_at"], row["value"]) == (at("2025-04-10"), 8.0)
    # the day ends on 11 January, 7 days on the 17th, 14 on the 24th, 30 on 9 February, 60 on 11 March
    counts = [row[f"events_{days}d"] for days in (1, 7, 14, 30, 60)]
    assert counts == [2, 3, 5, 6, 7]
    # as of the landmark, not of the start
    assert (row["plan"], row["size_stratum"], row["mrr"], row["cohort_month"]) == ("premium", "20-99", 900.0, date(2025, 1, 1))


def test_usage_takes_one_eligible_month_by_hash_with_its_ratio_plan_and_outcome(world: Made) -> None:
    row = world.row("usage_landmarks", account_id="stays")
    month = min(MONTHS, key=lambda month: md5(f"milestones usage month stays {month}".encode()).hexdigest())  # noqa: S324 - no secret
    # seats weighted by time in March: 2 to the 20th (19 d), 20 after (12 d)
    ratio = {MONTHS[0]: 2.0, MONTHS[1]: 6 / ((2 * 19 + 20 * 12) / 31), MONTHS[2]: 0.1}
    plan = "basic" if month == MONTHS[0] else "premium"
    assert (row["month"], row["standing"], row["retained"], row["plan"]) == (month, "row", True, plan)
    assert row["value"] == pytest.approx(ratio[month])
    assert row["observed_at"] == at(str(date(2025, month.month + 1, 1)))


def test_who_never_paid_a_whole_month_or_could_not_leave_or_has_no_seats_says_so(world: Made) -> None:
    found = {row["account_id"]: (row["standing"], row["retained"]) for row in world.rows("usage_landmarks")}
    assert found["within-a-month"] == ("left_before", None)
    assert found["locked"] == ("locked", True)
    assert found["no-seats"][0] == "no_seats"
    assert {account for account, (standing, _) in found.items() if standing == "row"} == {
        "stays", "leaves-after", "at-landmark", "left-before", "open", "ends-with-month",
    }  # fmt: skip


def test_who_stopped_paying_at_the_months_end_paid_all_of_it_and_is_not_retained(world: Made) -> None:
    row = world.row("usage_landmarks", account_id="ends-with-month")
    assert (row["month"], row["standing"], row["retained"], row["value"], row["plan"]) == (
        MONTHS[0], "row", False, 1.5, "basic",
    )  # fmt: skip
    assert (row["size_stratum"], row["mrr"]) == ("1-4", 100.0)


def test_a_handful_of_accounts_decides_nothing_and_is_one_row_with_the_adopted_value_beside(world: Made) -> None:
    row = world.row("activation_threshold")
    assert (row["rows"], row["left_before"], row["locked"], row["adopted"]) == (3, 3, 1, 3.0)
    assert (row["left_before_share"], row["is_signal"], row["derived"], row["trust"]) == (0.5, False, None, "interview")
    assert row["reason"] == "fewer than 3 candidates"
    assert "3 accounts (50.0%) left before the landmark" in row["note"]
    usage = world.row("usage_threshold")
    assert (usage["rows"], usage["adopted"], usage["is_signal"]) == (6, 2.0, False)


def test_without_subscriptions_all_accounts_with_an_elapsed_window_are_rows(tmp_path_factory: pytest.TempPathFactory) -> None:
    # started on 10 January, landmark 10 April, outcome in [10 April, 10 June)
    happened = [event(account, "chat", "2025-01-10") for account in ("gone", "back", "busy")]
    happened += [event("back", "resolved", "2025-06-09 23:59:59", conversation_id="b")]
    happened += [
        event("busy", "resolved", time, conversation_id=time) for time in ("2025-02-10", "2025-03-10", "2025-04-10", "2025-05-10")
    ]
    framework = merged(merged(UNBILLED, HORIZON), {"usage": {"seats": "active_users"}})
    made_world = World(happened, last_day="2025-08-10", subscriptions=None, framework=framework)
    with made_up_to(made_world, tmp_path_factory.mktemp("activity"), *TABLES, as_of="2025-08-01") as made:
        landmarks = {
            row["account_id"]: (row["standing"], row["retained"], row["size_stratum"]) for row in made.rows("activation_landmarks")
        }
        usage = {row["account_id"]: (row["standing"], row["value"]) for row in made.rows("usage_landmarks")}
        note = made.row("activation_threshold")["note"]
        seats = made.row("usage_threshold")["note"]
    assert landmarks == {"gone": ("row", False, "1-4"), "back": ("row", True, "1-4"), "busy": ("row", True, "1-4")}
    # no user is active in a month without events
    assert usage["gone"] == ("no_seats", None)
    assert usage["busy"] == ("row", 1.0)
    assert "nobody is seen to leave before the landmark" in note
    assert "Seats are the users active in the month" in seats
