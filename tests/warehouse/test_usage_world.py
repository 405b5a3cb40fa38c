"""The usage milestone: resolved conversations per seat and month, by what was known then and what is known now.

Put here what is counted in which month and for whom, what a seat weighs, and what makes a ratio NULL or partial. Keep out the
stage that reads it (`test_stage_world.py`) and zones (`test_time_zone_world.py`). Subscriptions run from 2024-12-01 with 2 seats,
and the as-of time is 2025-04-16, unless a case says otherwise.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, merged, subscription

JANUARY, FEBRUARY, MARCH, APRIL = "2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"


def resolved(account: str | None, conversation: str, when: str, user: str | None = "u1") -> dict[str, Any]:
    return event(account, "resolved", when, user, conversation_id=conversation)


def reopened(account: str | None, conversation: str, when: str, user: str | None = "u1") -> dict[str, Any]:
    return event(account, "reopened", when, user, conversation_id=conversation)


def started(account: str | None, conversation: str, when: str, user: str | None = "u1") -> dict[str, Any]:
    return event(account, "started", when, user, conversation_id=conversation)


def several(account: str, number: int, day: str) -> list[dict[str, Any]]:
    return [resolved(account, f"{account} {day} {each}", f"{day} {each % 24:02}:00") for each in range(number)]


EVENTS = [
    *several("plain", 4, "2025-01-10"),
    *several("plain", 3, "2025-02-10"),
    *several("plain", 1, "2025-04-10"),
    # half-open months, to the second
    resolved("edges", "edge 1", "2025-01-01"),
    resolved("edges", "edge 2", "2025-01-31 23:59:59"),
    resolved("edges", "edge 3", "2025-02-01"),
    event("edges", "resolved", "2025-01-05"),  # no conversation: nothing to count
    # reopened after the month's end
    resolved("reopened-later", "later", "2025-01-20"),
    reopened("reopened-later", "later", "2025-02-03"),
    # reopened at the first instant of the next month: the closed month did not know it
    resolved("reopened-at-end", "at end", "2025-01-20"),
    reopened("reopened-at-end", "at end", "2025-02-01"),
    resolved("reopened-in-month", "in month", "2025-01-20"),
    reopened("reopened-in-month", "in month", "2025-01-31 23:59:59"),
    # reopened and resolved again, in a later month and in the same one
    resolved("again-later", "again", "2025-01-20"),
    reopened("again-later", "again", "2025-02-03"),
    resolved("again-later", "again", "2025-03-05"),
    resolved("again-at-once", "at once", "2025-01-20"),
    reopened("again-at-once", "at once", "2025-01-21"),
    resolved("again-at-once", "at once", "2025-01-22"),
    # open over the month's end
    resolved("open-over-end", "over", "2025-01-30"),
    reopened("open-over-end", "over", "2025-01-31"),
    resolved("open-over-end", "over", "2025-02-02"),
    # resolved twice without a reopening between: the last resolution tells the month
    resolved("resolved-twice", "twice", "2025-01-10"),
    resolved("resolved-twice", "twice", "2025-02-10"),
    # reopened and never resolved
    reopened("never-resolved", "never", "2025-01-10"),
    # known from the as-of time on alone
    resolved("reopened-at-as-of", "as of", "2025-04-02"),
    reopened("reopened-at-as-of", "as of", "2025-04-16"),
    resolved("reopened-at-as-of", "as of, resolved", "2025-04-16"),
    # the same instant: a resolution by two people is one; a reopening at the instant of the resolution does not undo it
    resolved("same-instant", "pair", "2025-01-10", "u1"),
    resolved("same-instant", "pair", "2025-01-10", "u2"),
    resolved("same-instant", "tie", "2025-01-11"),
    reopened("same-instant", "tie", "2025-01-11"),
    # one conversation, two accounts: that of the last resolution; at the same instant the first by id
    resolved("many-a", "many 1", "2025-01-10"),
    resolved("many-b", "many 1", "2025-01-12"),
    resolved("many-b", "many 2", "2025-01-10"),
    resolved("many-a", "many 2", "2025-01-10"),
    # it moves from one account to the other between months: the closed month keeps it where it was
    resolved("many-a", "many 3", "2025-02-10"),
    resolved("many-b", "many 3", "2025-03-10"),
    # no account on the event: the earliest contact tells, whoever resolved last
    resolved(None, "contact 1", "2025-01-10", "user-y"),
    resolved(None, "contact 1", "2025-01-12", "user-x"),
    # two contacts at the same instant: the first by id
    resolved(None, "contact 2", "2025-01-10", "user-y"),
    resolved(None, "contact 2", "2025-01-10", "user-x"),
    # the earliest contact by a reopening; a contact without an account, and one that nobody knows, tell nothing
    resolved(None, "contact 3", "2025-01-02", "user-nowhere"),
    resolved(None, "contact 3", "2025-01-03", "user-unknown"),
    reopened(None, "contact 3", "2025-01-04", "user-x"),
    resolved(None, "contact 3", "2025-01-05", None),
    # the account on the event goes before the contact's
    resolved("contact-y", "contact 4", "2025-01-05", "user-x"),
    resolved(None, "contact 5", "2025-01-05", "user-unknown"),
    # a contact who came after the month's end changes nothing in the closed month
    resolved(None, "contact 6", "2025-01-10", None),
    resolved(None, "contact 6", "2025-02-10", "user-late"),
    # the resolution names nobody; who began the conversation does
    started(None, "begun 1", "2025-02-01", "user-x"),
    resolved(None, "begun 1", "2025-02-02", None),
    # who began it goes before who is on the resolution; at one instant the first by id
    started(None, "begun 2", "2025-02-01", "user-y"),
    resolved(None, "begun 2", "2025-02-02", "user-x"),
    started(None, "begun 3", "2025-02-02", "user-y"),
    resolved(None, "begun 3", "2025-02-02", "user-x"),
    # a beginning may name the account itself: of a user whom nobody knows, of none, and of one who belongs to another account
    started("contact-y", "begun 4", "2025-02-01", "user-unknown"),
    resolved(None, "begun 4", "2025-02-02", "user-x"),
    started("contact-y", "begun 5", "2025-02-01", None),
    resolved(None, "begun 5", "2025-02-02", None),
    started("contact-y", "begun 6", "2025-02-01", "user-x"),
    resolved(None, "begun 6", "2025-02-02", None),
    # so may an earlier resolution
    resolved("contact-z", "begun 7", "2025-02-01", "user-x"),
    resolved(None, "begun 7", "2025-02-02", "user-x"),
    # an earlier resolution is a contact like any other: who began the conversation came before it
    started("contact-y", "begun 16", "2025-02-01", None),
    resolved("contact-z", "begun 16", "2025-02-02", None),
    resolved(None, "begun 16", "2025-02-03", None),
    # a beginning that tells nothing leaves it to the next contact
    started(None, "begun 8", "2025-02-01", "user-nowhere"),
    started(None, "begun 8", "2025-02-02", "user-x"),
    resolved(None, "begun 8", "2025-02-03", "user-y"),
    # the account on the resolution goes before any contact
    started("contact-x", "begun 9", "2025-02-01", "user-x"),
    resolved("contact-y", "begun 9", "2025-02-02", None),
    # a contact from after the month's end, at its first instant; one from the as-of time on
    resolved(None, "begun 10", "2025-02-10", None),
    started(None, "begun 10", "2025-03-01", "user-z"),
    resolved(None, "begun 11", "2025-02-10", None),
    started("contact-z", "begun 11", "2025-04-16", "user-z"),
    # a user whom somebody came to know after the month's end: of no account then, and of no id in a tie
    started(None, "begun 12", "2025-02-01", "user-new"),
    resolved(None, "begun 12", "2025-02-02", None),
    started("contact-new", "begun 13", "2025-02-01", "user-new"),
    started(None, "begun 13", "2025-02-01", "user-x"),
    resolved(None, "begun 13", "2025-02-02", None),
    # a beginning is no resolution, and without a conversation it is nobody's
    started("contact-z", "begun 14", "2025-02-01", "user-z"),
    event(None, "started", "2025-02-01", "user-z"),
    event("contact-z", "started", "2025-02-01", "user-z"),
    started(None, "begun 15", "2025-02-01", None),
    resolved(None, "begun 15", "2025-02-02", None),
    *several("seats-up", 7, "2025-01-10"),
    *several("overlapping", 9, "2025-01-10"),
    *several("handed-over", 7, "2025-01-10"),
    *several("no-seats", 3, "2025-01-10"),
    *several("zero-seats", 3, "2025-01-10"),
    *several("free-beside-paid", 4, "2025-01-10"),
    *several("from-11-january", 3, "2025-01-20"),
    *several("from-15-february", 2, "2025-02-20"),
    *several("gap-of-a-day", 4, "2025-01-10"),
    *several("gap-covered", 4, "2025-01-10"),
    *several("gap-covered", 4, "2025-02-10"),
    *several("trial-first", 3, "2025-01-20"),
    *several("left", 3, "2025-03-10"),
    *several("corrected", 4, "2025-01-10"),
    *several("corrected", 4, "2025-02-10"),
]
SUBSCRIPTIONS = [
    # 2 seats for 15 days, then 4 for 16
    subscription("seats-up", "2024-12-01", "2025-01-16"),
    subscription("seats-up", "2025-01-16", seats=4.0),
    # a second subscription with 3 seats beside the first from 11 January on
    subscription("overlapping", "2024-12-01"),
    subscription("overlapping", "2025-01-11", seats=3.0, subscription_id="second"),
    # the first ends on 20 January, 9 days after the second began
    subscription("handed-over", "2024-12-01", "2025-01-20"),
    subscription("handed-over", "2025-01-11", seats=3.0, subscription_id="second"),
    subscription("no-seats", "2024-12-01", plan="free", seats=None),
    subscription("zero-seats", "2024-12-01", plan="free", seats=0.0),
    subscription("free-beside-paid", "2024-12-01"),
    subscription("free-beside-paid", "2024-12-01", plan="free", seats=0.0, subscription_id="second"),
    subscription("from-11-january", "2025-01-11"),
    subscription("from-15-february", "2025-02-15"),
    subscription("gap-of-a-day", "2024-12-01", "2025-01-15"),
    subscription("gap-of-a-day", "2025-01-16"),
    # 15 January is covered by a second subscription of 1 seat
    subscription("gap-covered", "2024-12-01", "2025-01-15"),
    subscription("gap-covered", "2025-01-16"),
    subscription("gap-covered", "2025-01-15", "2025-01-16", seats=1.0, subscription_id="second"),
    subscription("trial-first", "2024-12-01", "2025-01-11", is_trial=True, seats=50.0),
    subscription("trial-first", "2025-01-11"),
    subscription("left", "2024-12-01", "2025-02-15"),
    # 10 seats after all, written down in February
    subscription("corrected", "2024-12-01", recorded_at="2024-12-01"),
    subscription("corrected", "2024-12-01", recorded_at="2025-02-05", seats=10.0),
    # written down at the first instant after January, and a second before it
    subscription("corrected-at-end", "2024-12-01", recorded_at="2024-12-01"),
    subscription("corrected-at-end", "2024-12-01", recorded_at="2025-02-01", seats=10.0),
    subscription("corrected-in-time", "2024-12-01", recorded_at="2024-12-01"),
    subscription("corrected-in-time", "2024-12-01", recorded_at="2025-01-31 23:59:59", seats=10.0),
    # ended on 10 February, which was written down on 5 March
    subscription("end-recorded-later", "2024-12-01", recorded_at="2024-12-01"),
    subscription("end-recorded-later", "2024-12-01", "2025-02-10", recorded_at="2025-03-05"),
    # an end that is dated, or recorded, after the as-of time
    subscription("end-after-as-of", "2024-12-01", "2025-04-20"),
    subscription("end-at-as-of", "2024-12-01", "2025-04-16"),
    subscription("end-recorded-after-as-of", "2024-12-01", recorded_at="2024-12-01"),
    subscription("end-recorded-after-as-of", "2024-12-01", "2025-03-20", recorded_at="2025-04-20"),
    *[subscription(f"contact-{account}", "2024-12-01") for account in ("late", "new", "x", "y", "z")],
]
USERS = [
    {"user_id": f"user-{name}", "account_id": f"contact-{name}", "created_at": at("2025-03-01" if name == "new" else "2024-12-01")}
    for name in ("late", "new", "x", "y", "z")
]
USERS.append({"user_id": "user-nowhere", "account_id": None, "created_at": at("2024-12-01")})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    subscribed = {row["account_id"] for row in SUBSCRIPTIONS}
    others = dict.fromkeys(row["account_id"] for row in EVENTS if row["account_id"] and row["account_id"] not in subscribed)
    rows = [*SUBSCRIPTIONS, *(subscription(account, "2024-12-01") for account in others)]
    made_world = World(EVENTS, last_day="2025-04-30", subscriptions=rows, users=USERS)
    with made_up_to(made_world, tmp_path_factory.mktemp("usage"), "usage_ratio", as_of="2025-04-16") as found:
        yield found


def usage(world: Made, account: str, month: str) -> dict[str, Any]:
    return world.row("usage_ratio", account_id=account, month=month)


@pytest.mark.parametrize(
    ("account", "month", "now", "at_close"),
    [
        ("edges", JANUARY, 2, 2),
        ("edges", FEBRUARY, 1, 1),
        # a reopening restates `resolved` of that month alone
        ("reopened-later", JANUARY, 0, 1),
        ("reopened-later", FEBRUARY, 0, 0),
        ("reopened-at-end", JANUARY, 0, 1),
        ("reopened-in-month", JANUARY, 0, 0),
        ("again-later", JANUARY, 0, 1),
        ("again-later", FEBRUARY, 0, 0),
        ("again-later", MARCH, 1, 1),
        ("again-at-once", JANUARY, 1, 1),
        ("open-over-end", JANUARY, 0, 0),
        ("open-over-end", FEBRUARY, 1, 1),
        ("resolved-twice", JANUARY, 0, 1),
        ("resolved-twice", FEBRUARY, 1, 1),
        ("never-resolved", JANUARY, 0, 0),
        ("reopened-at-as-of", APRIL, 1, 1),
        ("same-instant", JANUARY, 2, 2),
    ],
)
def test_a_conversation_counts_in_the_month_of_its_last_resolution(
    world: Made, account: str, month: str, now: int, at_close: int
) -> None:
    row = usage(world, account, month)
    assert (row["resolved"], row["resolved_at_close"]) == (now, at_close)


@pytest.mark.parametrize(
    ("account", "month", "now", "at_close"),
    [
        # many 2 by id; many 1 went to b with its last resolution
        ("many-a", JANUARY, 1, 1),
        ("many-b", JANUARY, 1, 1),
        # many 3 was a's at the end of February and is b's now
        ("many-a", FEBRUARY, 0, 1),
        ("many-b", FEBRUARY, 0, 0),
        ("many-b", MARCH, 1, 1),
        # contacts 2 (first by id) and 3 (the only contact with an account)
        ("contact-x", JANUARY, 2, 2),
        # contact 1 (its earliest contact) and 4 (the account on the event)
        ("contact-y", JANUARY, 2, 2),
        # contact 6 had no contact when January closed, and its last resolution lies in February
        ("contact-late", JANUARY, 0, 0),
        ("contact-late", FEBRUARY, 1, 1),
        # begun 1, 3 and 8; when February closed nobody knew the id of user-new, and 13 was of user-x
        ("contact-x", FEBRUARY, 3, 4),
        # begun 2, 4, 5, 6, 9 and 16
        ("contact-y", FEBRUARY, 6, 6),
        # begun 7, and 10 whose contact came in March
        ("contact-z", FEBRUARY, 2, 1),
        ("contact-z", MARCH, 0, 0),
        # begun 12 and 13
        ("contact-new", FEBRUARY, 2, 0),
    ],
)
def test_a_conversation_counts_once_for_the_account_on_its_event_else_of_its_earliest_contact(
    world: Made, account: str, month: str, now: int, at_close: int
) -> None:
    row = usage(world, account, month)
    assert (row["resolved"], row["resolved_at_close"]) == (now, at_close)


@pytest.mark.parametrize(
    ("account", "month", "seats", "ratio", "reached", "reason"),
    [
        # 4 resolved / 2 seats, whole months of 31 and 28 days; exactly the threshold is reached
        ("plain", JANUARY, 2, 4 / 2, True, None),
        ("plain", FEBRUARY, 2, 3 / 2, False, None),
        ("plain", MARCH, 2, 0 / 2, False, None),
        # 15 of 30 days have passed, all paid: 1 / (2 x 15 d) x 15 d
        ("plain", APRIL, 2, 1 / 2, False, "running"),
        # 2 seats x 15 d + 4 seats x 16 d = 94 seat days; 7 x 31 / 94
        ("seats-up", JANUARY, 94 / 31, 7 * 31 / 94, True, None),
        ("seats-up", FEBRUARY, 4, 0, False, None),
        # 2 x 31 d + 3 x 21 d = 125 seat days; 9 x 31 / 125
        ("overlapping", JANUARY, 125 / 31, 9 * 31 / 125, True, None),
        ("overlapping", FEBRUARY, 5, 0, False, None),
        # 2 x 19 d + 3 x 21 d = 101 seat days, paid from start to end; 7 x 31 / 101
        ("handed-over", JANUARY, 101 / 31, 7 * 31 / 101, True, None),
        ("no-seats", JANUARY, None, None, False, "no_seats"),
        ("zero-seats", JANUARY, 0, None, False, "no_seats"),
        ("free-beside-paid", JANUARY, 2, 4 / 2, True, None),
        # paid for 21 of 31 days: 3 x 31 / (2 x 21)
        ("from-11-january", JANUARY, 2, 3 * 31 / 42, True, "partial"),
        # paid for 14 of 28 days: 2 x 28 / (2 x 14) = 2, exactly the threshold
        ("from-15-february", FEBRUARY, 2, 2, True, "partial"),
        # paid for 30 of 31 days: 4 x 31 / (2 x 30)
        ("gap-of-a-day", JANUARY, 2, 4 * 31 / 60, True, "partial"),
        ("gap-of-a-day", FEBRUARY, 2, 0, False, None),
        # 2 x 30 d + 1 x 1 d = 61 seat days, paid all through
        ("gap-covered", JANUARY, 61 / 31, 4 * 31 / 61, True, None),
        ("gap-covered", FEBRUARY, 2, 2, True, None),
        # the 50 seats of the trial were not bought
        ("trial-first", JANUARY, 2, 3 * 31 / 42, True, "partial"),
        ("left", FEBRUARY, 2, 0, False, "partial"),
        ("left", MARCH, None, None, False, "not_paying"),
    ],
)
def test_the_ratio_weighs_seats_by_paid_time(
    world: Made, account: str, month: str, seats: float | None, ratio: float | None, reached: bool, reason: str | None
) -> None:
    row = usage(world, account, month)
    assert row["seats"] == (None if seats is None else pytest.approx(seats, rel=1e-12))
    assert row["ratio"] == row["ratio_at_close"] == (None if ratio is None else pytest.approx(ratio, rel=1e-12))
    assert (row["reached"], row["reached_at_close"], row["reason"]) == (reached, reached, reason)
    assert row["is_partial"] == (reason in {"partial", "running", "not_paying"})


def test_contacts_are_kept_only_where_somebody_takes_part_in_something(world: Made) -> None:
    # of conversations 1 to 16, without 7 and with two of 8 and of 13; the one by nobody is not kept
    begun = [one for one in EVENTS if one["event"] == "started" and one["properties"]]
    assert len(begun) == 17
    kept = world.rows("rule_events", rule="usage_contact")
    assert len(kept) == 16
    assert all(row["entity_key"] is not None and (row["account_key"] or row["user_key"]) is not None for row in kept)
    # as the activation rule sees them: those of an account, whether or not they begin a conversation
    assert len(world.rows("rule_events", rule="activation")) == 9


def test_without_contact_events_who_began_a_conversation_tells_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    made_world = World(
        [started(None, "c", "2025-01-10", "user-x"), resolved(None, "c", "2025-01-11", "user-y")],
        last_day="2025-01-31",
        subscriptions=[subscription(account, "2024-12-01") for account in ("contact-x", "contact-y")],
        users=USERS,
        framework={"usage": {"contact_events": []}},
    )
    with made_up_to(made_world, tmp_path_factory.mktemp("no-contacts"), "usage_ratio") as made:
        counts = {account: usage(made, account, JANUARY)["resolved"] for account in ("contact-x", "contact-y")}
    assert counts == {"contact-x": 0, "contact-y": 1}


def test_a_reopening_changes_the_ratio_of_the_month_and_not_that_at_its_close(world: Made) -> None:
    row = usage(world, "reopened-later", JANUARY)
    assert (row["ratio"], row["ratio_at_close"]) == (0.0, 0.5)


def test_what_is_recorded_after_a_month_closed_does_not_change_it(world: Made) -> None:
    # 4 resolved / 2 seats in January; the 10 seats are known when February closes: 4 / 10
    assert (usage(world, "corrected", JANUARY)["seats"], usage(world, "corrected", JANUARY)["ratio"]) == (2.0, 2.0)
    assert (usage(world, "corrected", FEBRUARY)["seats"], usage(world, "corrected", FEBRUARY)["ratio"]) == (10.0, 0.4)
    assert usage(world, "corrected-at-end", JANUARY)["seats"] == 2.0
    assert usage(world, "corrected-in-time", JANUARY)["seats"] == 10.0


def test_an_end_recorded_after_a_month_closed_does_not_change_it(world: Made) -> None:
    months = {
        str(row["month"]): (row["is_paid_whole"], row["is_paying"], row["has_left"])
        for row in world.rows("account_months", account_id="end-recorded-later")
    }
    # when February closed nobody knew; when March closed it had ended more than 7 days before
    assert (months[FEBRUARY], months[MARCH]) == ((True, True, False), (False, False, True))


@pytest.mark.parametrize("account", ["end-after-as-of", "end-at-as-of", "end-recorded-after-as-of"])
def test_an_end_dated_or_recorded_from_the_as_of_time_on_is_not_known(world: Made, account: str) -> None:
    march = world.row("account_months", account_id=account, month=MARCH)
    april = world.row("account_months", account_id=account, month=APRIL)
    assert (march["is_paid_whole"], march["is_paying"]) == (True, True)
    # 15 days of the running month, paid to the as-of time
    assert (april["paid_seconds"], april["month_seconds"], april["is_paying"]) == (15 * 86400, 15 * 86400, True)
    assert (april["close_at"], april["is_whole"], april["is_paid_whole"]) == (at("2025-04-16"), False, False)


def test_without_an_entity_every_event_counts_and_seats_may_be_the_active_users_of_the_month(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made_world = World(
        [
            *[event("whole", "resolved", f"2025-01-10 0{hour}:00", f"u{hour % 2}", kind="real") for hour in range(6)],
            event("whole", "resolved", "2025-01-10", "u1", kind="draft"),
            event("whole", "resolved", "2025-01-10", "u1"),
            event("whole", "chat", "2025-01-11", "u3"),
            event("whole", "chat", "2025-01-11", None),  # nobody's seat
            event("whole", "reopened", "2025-01-12", "u1"),
            event("late", "resolved", "2025-01-20", "u1", kind="real"),
            event("late", "resolved", "2025-01-20", "u1", kind="real"),
        ],
        last_day="2025-02-28",
        subscriptions=None,
        accounts=[{"account_id": "whole", "created_at": at("2025-01-01")}, {"account_id": "late", "created_at": at("2025-01-17")}],
        framework=merged(UNBILLED, {"usage": {"entity": None, "reopened_by": [], "contact_events": [], "where": {"kind": "real"}}}),
    )
    with made_up_to(made_world, tmp_path_factory.mktemp("active"), "usage_ratio") as made:
        whole, late, quiet = (
            made.row("usage_ratio", account_id=account, month=month)
            for account, month in (("whole", JANUARY), ("late", JANUARY), ("whole", FEBRUARY))
        )
        paying = [row["is_paying"] for row in made.rows("account_months", account_id="whole")]
    # 6 events of the kind / 3 users; 2 x 31 / (1 user x 15 days from 17 January)
    assert (whole["resolved"], whole["seats"], whole["ratio"], whole["reason"]) == (6, 3.0, 2.0, None)
    assert (late["ratio"], late["reason"]) == (pytest.approx(2 * 31 / 15, rel=1e-12), "partial")
    assert (quiet["ratio"], quiet["reached"], quiet["reason"]) == (None, False, "no_seats")
    assert paying == [True, False]


def test_seats_may_be_a_column_of_accounts_and_users_those_of_the_events(tmp_path_factory: pytest.TempPathFactory) -> None:
    made_world = World(
        [
            *[resolved("five", f"c{number}", "2025-01-10") for number in range(10)],
            # without a users source a user belongs to the account of the first event: user-1 to five, user-2 to none
            event("five", "chat", "2025-01-02", "user-1"),
            event("none", "chat", "2025-01-03", "user-2"),
            event("five", "chat", "2025-01-04", "user-2"),
            resolved(None, "contact 1", "2025-01-11", "user-1"),
            resolved(None, "contact 2", "2025-01-11", "user-2"),
            # an account that the accounts table does not list tells nothing; the user does
            started("stranger", "contact 3", "2025-01-11", "user-1"),
            *[event("none", "chat", f"2025-01-{day}", "user-2") for day in range(10, 30)],
            resolved(None, "contact 3", "2025-01-12", "user-2"),
        ],
        last_day="2025-01-31",
        subscriptions=None,
        accounts=[
            {"account_id": "five", "created_at": at("2024-12-15"), "seats": 5.0},
            {"account_id": "none", "created_at": at("2024-12-15")},
        ],
        framework=merged(UNBILLED, {"usage": {"seats": "account"}}),
        sources={"accounts": {"known_at": {"seats": "created"}}},
    )
    with made_up_to(made_world, tmp_path_factory.mktemp("account-seats"), "usage_ratio") as made:
        five, none = (made.row("usage_ratio", account_id=account, month=JANUARY) for account in ("five", "none"))
    # 10 conversations and contacts 1 and 3 / 5 seats
    assert (five["seats"], five["resolved"], five["ratio"], five["reached"], five["reason"]) == (5.0, 12, 2.4, True, None)
    assert (none["seats"], none["resolved"], none["ratio"], none["reached"], none["reason"]) == (None, 1, None, False, "no_seats")
