"""Outcomes after a date D: retained, left, win-back, locked, dormant, expanded, and what is not known yet.

Put here every edge of an outcome. Keep out rates over accounts (`test_summary_world.py`) and zones (`test_time_zone_world.py`).
Unless a case says otherwise accounts pay from 2024-12-10, D = 2025-03-01, D + H = 2025-06-01. The as-of time is 2025-07-01, at which
June has just closed: what could be known before it is known.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, merged, subscription

START, D, END, AS_OF = "2024-12-10", "2025-03-01", "2025-06-01", "2025-07-01"


def spells(account: str, *edges: str | None, **fields: Any) -> list[dict[str, Any]]:
    """Paid rows of an account from pairs of start and end."""
    return [subscription(account, start, end, **fields) for start, end in zip(edges[::2], edges[1::2], strict=True) if start]


SUBSCRIPTIONS: Sequence[dict[str, Any]] = [
    *spells("stays", START, None),
    # gaps of exactly 7 days and of one second more
    *spells("gap-7", START, "2025-04-10", "2025-04-17", None),
    *spells("gap-longer", START, "2025-04-10", "2025-04-17 00:00:01", None),
    # two gaps of 7 days with a day between them are two short gaps
    *spells("gaps", START, "2025-04-10", "2025-04-17", "2025-04-18", "2025-04-25", None),
    # a gap that begins at the very end, a second later, and just after D
    *spells("ends-at-end", START, END),
    *spells("ends-after-end", START, "2025-06-01 00:00:01"),
    *spells("ends-just-after", START, "2025-03-01 00:00:01"),
    *spells("ends-at-date", START, D),
    # gaps across D + H: 5 days, 7 days, 8 days
    *spells("across-5", START, "2025-05-30", "2025-06-04", None),
    *spells("across-7", START, "2025-05-30", "2025-06-06", None),
    *spells("across-8", START, "2025-05-30", "2025-06-07", None),
    *spells("from-end-6", START, END, "2025-06-07", None),
    # a gap across D: paying in the sense of the outcome
    *spells("across-date", START, "2025-02-26", "2025-03-04", None),
    *spells("long-across-date", START, "2025-02-20", "2025-03-04", None),
    *spells("win-back", START, "2025-04-01", "2025-05-01", None),
    # unpaid rows do not fill a gap: a trial of 20 days, a row without revenue
    *spells("trial-between", START, "2025-03-20", "2025-04-09", None),
    subscription("trial-between", "2025-03-20", "2025-04-09", is_trial=True),
    *spells("to-nothing", START, "2025-03-20"),
    subscription("to-nothing", "2025-03-20", mrr=0.0),
    # a second subscription carries on
    *spells("carried", START, "2025-04-01"),
    *spells("carried", "2025-03-15", None, subscription_id="second"),
    # an end that is recorded, or dated, from the as-of time on
    *spells("end-recorded-later", START, None, recorded_at=START),
    *spells("end-recorded-later", START, "2025-05-01", recorded_at=AS_OF),
    *spells("end-recorded", START, None, recorded_at=START),
    *spells("end-recorded", START, "2025-05-01", recorded_at="2025-06-07"),
    *spells("end-dated-later", START, AS_OF),
    # 24 March + 3 months + 7 d = 1 July: known exactly when the month closes, and a day short of it
    *spells("starts-in-time", "2025-03-24", None),
    *spells("starts-a-day-later", "2025-03-25", "2025-04-01"),
    # terms
    *spells("annual", START, None, term_months=12),
    *spells("annual-renews-at-end", "2024-06-01", None, term_months=12),
    *spells("annual-renews-after-end", "2024-06-01 00:00:01", None, term_months=12),
    *spells("annual-renews-at-date", "2024-03-01", None, term_months=12),
    *spells("annual-renews-after-date", "2024-03-01 00:00:01", None, term_months=12),
    *spells("annual-from-anchor", START, None, term_months=12, term_anchor_at="2024-05-15"),
    *spells("monthly", START, None, term_months=1),
    # 30 November + 3 months = 28 February, + 6 months = 30 May
    *spells("quarterly-clamped", "2024-11-30", None, term_months=3),
    *spells("annual-left", START, "2025-04-10", term_months=12),
    # no term in the row: it could leave at any time
    *spells("no-term", START, None, term_months=None),
    # dormancy: at D the 30 days begin on 30 January
    *spells("core-30-days", START, None),
    *spells("core-longer-ago", START, None),
    *spells("core-at-date", START, None),
    *spells("core-just-before", START, None),
    *spells("other-event", START, None),
    *spells("paid-30-days", "2025-01-30", None),
    *spells("paid-less", "2025-01-30 00:00:01", None),
    *spells("back-less", START, "2025-01-10", "2025-02-10", None),
    *spells("trial-then-paid", "2025-02-10", None),
    subscription("trial-then-paid", START, "2025-02-10", is_trial=True),
    # growth to the unit: 110 of 100, 109.99 of 100; 11 of 10 seats
    *spells("mrr-110", START, "2025-04-01"),
    *spells("mrr-110", "2025-04-01", None, mrr=110.0),
    *spells("mrr-10999", START, "2025-04-01"),
    *spells("mrr-10999", "2025-04-01", None, mrr=109.99),
    *spells("mrr-at-end", START, END),
    *spells("mrr-at-end", END, None, mrr=200.0),
    *spells("mrr-after-end", START, "2025-06-01 00:00:01"),
    *spells("mrr-after-end", "2025-06-01 00:00:01", None, mrr=200.0),
    # 29 + 10 % = 31.90, in cents that no binary number holds
    *spells("mrr-cents", START, "2025-04-01", mrr=29.0),
    *spells("mrr-cents", "2025-04-01", None, mrr=31.9),
    *spells("seats-11", START, "2025-04-01", seats=10.0),
    *spells("seats-11", "2025-04-01", None, seats=11.0),
    *spells("less", START, "2025-04-01", seats=10.0),
    *spells("less", "2025-04-01", None, seats=5.0, mrr=50.0),
    *spells("second-one", START, None),
    *spells("second-one", "2025-04-01", None, mrr=10.0, seats=1.0, subscription_id="second"),
    *spells("zero-seats", START, None, plan="free", seats=0.0),
    *spells("unknown-seats", START, None, plan="free", seats=None),
    # a short gap at D, or at D + H: what was paid last holds on through it
    *spells("bridged-at-date", START, "2025-02-26", "2025-03-04", "2025-04-01"),
    *spells("bridged-at-date", "2025-04-01", None, mrr=120.0),
    *spells("bridged-at-end", START, "2025-04-01"),
    *spells("bridged-at-end", "2025-04-01", "2025-05-30", mrr=120.0, seats=3.0),
    *spells("bridged-at-end", "2025-06-04", None, mrr=500.0),
    *spells("left-then-more", START, "2025-04-01"),
    *spells("left-then-more", "2025-05-01", None, mrr=500.0, seats=50.0),
]
EVENTS = [
    event("core-30-days", "resolved", "2025-01-30"),
    event("core-longer-ago", "resolved", "2025-01-29 23:59:59"),
    event("core-at-date", "resolved", "2025-03-01"),
    event("core-just-before", "resolved", "2025-02-28 23:59:59"),
    event("other-event", "chat", "2025-02-20"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made_world = World(EVENTS, last_day="2025-07-10", subscriptions=SUBSCRIPTIONS)
    with made_up_to(made_world, tmp_path_factory.mktemp("retention"), "retention_outcomes", as_of=AS_OF) as found:
        yield found


def outcome(world: Made, account: str, date: str = D, kind: str = "month") -> dict[str, Any]:
    return world.row("retention_outcomes", account_id=account, observed_at=at(date), kind=kind)


@pytest.mark.parametrize(
    ("account", "left_at", "returned_at"),
    [
        ("stays", None, None),
        ("gap-7", None, None),
        ("gap-longer", "2025-04-10", "2025-04-17 00:00:01"),
        ("gaps", None, None),
        ("ends-at-end", END, None),
        ("ends-after-end", None, None),
        ("ends-just-after", "2025-03-01 00:00:01", None),
        ("across-5", None, None),
        ("across-7", None, None),
        ("across-8", "2025-05-30", "2025-06-07"),
        ("from-end-6", None, None),
        ("across-date", None, None),
        ("win-back", "2025-04-01", "2025-05-01"),
        ("trial-between", "2025-03-20", "2025-04-09"),
        ("to-nothing", "2025-03-20", None),
        ("carried", None, None),
        ("end-recorded-later", None, None),
        ("end-recorded", "2025-05-01", None),
        ("end-dated-later", None, None),
    ],
)
def test_a_gap_longer_than_7_days_that_begins_within_the_window_is_churn_on_its_first_day(
    world: Made, account: str, left_at: str | None, returned_at: str | None
) -> None:
    row = outcome(world, account)
    assert (row["is_known"], row["retained"]) == (True, left_at is None)
    assert row["left_at"] == (None if left_at is None else at(left_at))
    assert row["returned_at"] == (None if returned_at is None else at(returned_at))


@pytest.mark.parametrize("account", ["ends-at-date", "long-across-date"])
def test_who_does_not_pay_at_a_date_has_no_row(world: Made, account: str) -> None:
    assert world.rows("retention_outcomes", account_id=account, observed_at=at(D)) == []


def test_the_dates_are_the_start_the_landmark_and_each_first_of_a_month_while_paying(world: Made) -> None:
    found = [(row["kind"], row["observed_at"]) for row in world.rows("retention_outcomes", account_id="win-back")]
    # paying again on 1 May; on 1 April it was not; the landmark, 10 March, lies before it left
    assert sorted(found) == sorted(
        [
            ("start", at(START)),
            ("landmark", at("2025-03-10")),
            *(("month", at(f"2025-{month:02}-01")) for month in (1, 2, 3, 5, 6)),
        ],
    )


def test_a_date_is_known_when_its_window_and_the_longest_gap_lie_before_the_end_of_the_last_closed_month(world: Made) -> None:
    row = outcome(world, "starts-in-time", "2025-03-24", "start")
    assert (row["outcome_to"], row["known_at"], row["is_known"], row["retained"]) == (at("2025-06-24"), at(AS_OF), True, True)


def test_within_a_month_no_outcome_becomes_known(world: Made, tmp_path: Path) -> None:
    # on 31 July the second window has been over for weeks; it is known when July has closed
    made_world = World(EVENTS, last_day="2025-08-05", subscriptions=SUBSCRIPTIONS)
    known, corrected = {}, "end-recorded-later"
    for as_of in ("2025-07-31", "2025-08-01"):
        with made_up_to(made_world, tmp_path, "retention_outcomes", as_of=as_of) as found:
            rows = [
                outcome(found, "starts-in-time", "2025-03-24", "start"),
                outcome(found, "starts-a-day-later", "2025-03-25", "start"),
            ]
            known[as_of] = [(row["is_known"], row["left_at"]) for row in rows]
            if as_of == "2025-07-31":
                # a correction of the past shows at once, and so it should
                before = [row for row in world.rows("retention_outcomes", observed_at=at(D)) if row["account_id"] != corrected]
                after = [row for row in found.rows("retention_outcomes", observed_at=at(D)) if row["account_id"] != corrected]
                assert after == before
                assert outcome(found, corrected)["left_at"] == at("2025-05-01")
    assert known == {
        "2025-07-31": [(True, None), (False, None)],
        "2025-08-01": [(True, None), (True, at("2025-04-01"))],
    }


def test_a_date_one_day_later_is_censored_even_for_who_has_left(world: Made) -> None:
    row = outcome(world, "starts-a-day-later", "2025-03-25", "start")
    assert (row["outcome_to"], row["known_at"], row["is_known"], row["is_evidence"]) == (
        at("2025-06-25"),
        at("2025-07-02"),
        False,
        False,
    )
    hidden = ("retained", "left_at", "returned_at", "mrr_at_end", "is_expanded_mrr", "is_expanded_seats")
    assert [row[name] for name in hidden] == [None] * len(hidden)


@pytest.mark.parametrize(
    ("account", "is_locked", "retained"),
    [
        ("annual", True, True),
        # a renewal exactly at D + H is in the window, a second later is not
        ("annual-renews-at-end", False, True),
        ("annual-renews-after-end", True, True),
        # a renewal exactly at D is behind; a second later is in the window
        ("annual-renews-at-date", True, True),
        ("annual-renews-after-date", False, True),
        # renews on 15 May by its anchor
        ("annual-from-anchor", False, True),
        ("monthly", False, True),
        ("quarterly-clamped", False, True),
        ("annual-left", True, False),
        ("no-term", False, True),
    ],
)
def test_a_row_without_a_renewal_in_the_window_is_locked_and_no_evidence(
    world: Made, account: str, is_locked: bool, retained: bool
) -> None:
    row = outcome(world, account)
    assert (row["is_locked"], row["retained"], row["is_known"]) == (is_locked, retained, True)
    assert row["is_evidence"] == (not is_locked)


@pytest.mark.parametrize(
    ("account", "is_dormant"),
    [
        # the window [D - 30 d, D) begins on 30 January and holds that instant, not D
        ("core-30-days", False),
        ("core-longer-ago", True),
        ("core-at-date", True),
        ("core-just-before", False),
        ("other-event", True),
        # paying for exactly 30 days, and for a second less
        ("paid-30-days", True),
        ("paid-less", None),
        # a win-back pays since its return, a trial does not count
        ("back-less", None),
        ("trial-then-paid", None),
    ],
)
def test_dormant_is_paying_for_30_days_without_a_core_event_in_them(world: Made, account: str, is_dormant: bool | None) -> None:
    assert outcome(world, account)["is_dormant"] is is_dormant


@pytest.mark.parametrize(
    ("account", "by_mrr", "by_seats"),
    [
        ("stays", False, False),
        ("mrr-110", True, False),
        ("mrr-10999", False, False),
        ("mrr-cents", True, False),
        # the state at the very instant D + H counts, a second later does not
        ("mrr-at-end", True, False),
        ("mrr-after-end", False, False),
        ("seats-11", False, True),
        ("less", False, False),
        # 100 + 10 and 2 + 1
        ("second-one", True, True),
        ("bridged-at-date", True, False),
        ("bridged-at-end", True, True),
        ("zero-seats", False, None),
        ("unknown-seats", False, None),
        # left is not expanded, also who came back with more
        ("annual-left", False, False),
        ("left-then-more", False, False),
    ],
)
def test_expanded_is_110_percent_of_what_it_was_and_null_where_that_is_nothing(
    world: Made, account: str, by_mrr: bool, by_seats: bool | None
) -> None:
    row = outcome(world, account)
    assert (row["is_expanded_mrr"], row["is_expanded_seats"]) == (by_mrr, by_seats)


@pytest.mark.parametrize(
    ("account", "at_start", "at_end"),
    [
        ("stays", 100.0, 100.0),
        ("mrr-110", 100.0, 110.0),
        ("second-one", 100.0, 110.0),
        ("less", 100.0, 50.0),
        ("bridged-at-date", 100.0, 120.0),
        ("bridged-at-end", 100.0, 120.0),
        ("left-then-more", 100.0, 0.0),
    ],
)
def test_revenue_at_the_end_is_0_after_leaving_also_for_who_is_back(
    world: Made, account: str, at_start: float, at_end: float
) -> None:
    row = outcome(world, account)
    assert (row["mrr_at_start"], row["mrr_at_end"]) == (at_start, at_end)


def test_horizon_gap_expansion_dormancy_and_locked_rows_follow_the_config(tmp_path_factory: pytest.TempPathFactory) -> None:
    made_world = World(
        [event("stays", "resolved", "2025-02-14")],
        last_day="2025-06-30",
        subscriptions=[
            *spells("stays", START, "2025-04-01", term_months=12),
            *spells("stays", "2025-04-01", None, term_months=12, mrr=150.0, term_anchor_at=START),
            # 10 days are bridged now, 11 are not
            *spells("gap-10", START, "2025-04-10", "2025-04-20", None),
            *spells("gap-11", START, "2025-04-10", "2025-04-21", None),
        ],
        framework={
            "outcomes": {
                "retention": {"horizon": "90 d", "gap": "10 d", "include_locked": True},
                "dormancy": {"after": "15 d"},
                "expansion": {"minimum": 1.5},
            },
        },
    )
    with made_up_to(made_world, tmp_path_factory.mktemp("policy"), "retention_outcomes") as made:
        stays, short, long = (outcome(made, account) for account in ("stays", "gap-10", "gap-11"))
    # 1 March + 90 days = 30 May (30 + 30 + 30 days); + 10 days = 9 June
    assert (stays["outcome_to"], stays["known_at"]) == (at("2025-05-30"), at("2025-06-09"))
    assert (stays["is_locked"], stays["is_evidence"], stays["is_expanded_mrr"]) == (True, True, True)
    # 14 February is the first instant of the 15 days before D
    assert stays["is_dormant"] is False
    assert (short["retained"], long["retained"], long["left_at"]) == (True, False, at("2025-04-10"))


# first events at noon of 1 January 2024: [+ 181 d, + 366 d) is [30 June 12:00, 1 January 2025 12:00)
WINDOW_EVENTS = {
    "at-start": ["2024-06-30 12:00"],
    "before-start": ["2024-06-30 11:59:59"],
    "before-end": ["2025-01-01 11:59:59"],
    "at-end": ["2025-01-01 12:00"],
    "nothing": [],
}


def test_by_activity_an_account_is_retained_with_a_core_event_in_the_window_after_its_start(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    happened = [event(account, "resolved", time) for account, times in WINDOW_EVENTS.items() for time in times]
    happened += [event(account, "started", "2024-01-01 12:00") for account in WINDOW_EVENTS]
    happened += [
        # no core event
        event("nothing", "chat", "2024-10-01"),
        # 1 February + 366 d = 1 February 2025, the as-of time, at which January closes: known; a second later: not
        event("just-known", "started", "2024-02-01"),
        event("not-known", "started", "2024-02-01 00:00:01"),
        event("not-known", "resolved", "2024-10-01"),
        # the activation window is 90 days: 31 March 12:00 is its end (31 + 29 + 30 days), and outside
        event("at-start", "started", "2024-03-31 11:59:59"),
        event("before-end", "started", "2024-03-31 12:00"),
        # a cohort left out by its date
        event("later-cohort", "started", "2024-01-01 13:00"),
    ]
    framework = merged(
        UNBILLED,
        {
            "activation": {"window": "90 d"},
            "outcomes": {"retention": {"basis": "activity", "window": "[181d, 366d)", "horizon": None}},
            "retention_by_activation": {"bands": [1, 2]},
        },
    )
    made_world = World(happened, last_day="2025-01-31", subscriptions=None, framework=framework)
    with made_up_to(
        made_world, tmp_path_factory.mktemp("window"), "retention_outcomes", "retention_by_activation", as_of="2025-02-01"
    ) as made:
        rows = {row["account_id"]: row for row in made.rows("retention_outcomes", kind="landmark")}
        bands = [
            tuple(row[name] for name in ("band", "accounts", "retained", "left_before", "left_before_share", "locked", "open"))
            for row in made.rows("retention_by_activation")
        ]
    first = rows["at-start"]
    assert (first["outcome_to"], first["known_at"]) == (at("2025-01-01 12:00"), at("2025-01-01 12:00"))
    assert {account: row["retained"] for account, row in rows.items()} == {
        "at-start": True,
        "before-start": False,
        "before-end": True,
        "at-end": False,
        "nothing": False,
        "just-known": False,
        "not-known": None,
        "later-cohort": False,
    }
    # nobody is seen to pay, to be locked or to expand
    assert {(row["is_locked"], row["is_dormant"], row["is_expanded_mrr"], row["mrr_at_end"]) for row in rows.values()} == {
        (False, None, None, None)
    }
    # one event: before-start, before-end, at-end, nothing, just-known, later-cohort, and not-known, which is open; two: at-start;
    # nobody can be seen to leave before the landmark
    assert bands == [("1", 6, 1, 0, 0.0, 0, 1), ("2+", 1, 1, 0, 0.0, 0, 0)]


def test_by_activity_with_a_horizon_the_window_follows_each_date(tmp_path_factory: pytest.TempPathFactory) -> None:
    # started on 10 January: landmark 10 April, outcome in [10 April, 10 July)
    times = {
        "at-landmark": "2025-04-10",
        "before-landmark": "2025-04-09 23:59:59",
        "before-end": "2025-07-09 23:59:59",
        "at-end": "2025-07-10",
    }
    happened = [event(account, "resolved", time) for account, time in times.items()]
    happened += [event(account, "chat", "2025-01-10") for account in times]
    framework = merged(UNBILLED, {"outcomes": {"retention": {"horizon": "3 months"}}})
    made_world = World(happened, last_day="2025-07-31", subscriptions=None, framework=framework)
    with made_up_to(made_world, tmp_path_factory.mktemp("horizon"), "retention_outcomes", as_of="2025-08-01") as made:
        found = {
            row["account_id"]: (row["outcome_to"], row["retained"]) for row in made.rows("retention_outcomes", kind="landmark")
        }
        months = [row["observed_at"] for row in made.rows("retention_outcomes", kind="month", account_id="before-landmark")]
    assert found == {
        "at-landmark": (at("2025-07-10"), True),
        "before-landmark": (at("2025-07-10"), False),
        "before-end": (at("2025-07-10"), True),
        "at-end": (at("2025-07-10"), False),
    }
    # looked at on the first of a month within 3 months of its last core event, 9 April
    assert months == [at("2025-05-01"), at("2025-06-01"), at("2025-07-01")]
