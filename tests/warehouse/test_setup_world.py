"""The setup milestone: which event completes a step, and when setup is complete.

Put here every form of a step's rule and the edges of its window. Keep out the rates of cohorts (`test_summary_world.py`).
Tenures start 2025-01-10 00:00 and windows last 3 months, to 2025-04-10, the as-of time, unless a case says otherwise.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from scenario import Made, World, at, event, made_up_to, subscription

STEPS: list[dict[str, Any]] = [
    {"name": "install", "title": "Install", "events": ["installed", "installed_by_hand"]},
    {"name": "team", "title": "Second teammate", "events": ["joined"], "distinct": "users", "minimum_distinct": 2},
    {"name": "rules", "title": "Two rules", "events": ["rule_made"], "minimum_count": 2, "required": False},
    {
        "name": "projects",
        "title": "Second project",
        "events": ["commit"],
        "distinct": "project",
        "minimum_distinct": 2,
        "required": False,
    },
    {
        "name": "busy",
        "title": "Three notes by two people",
        "events": ["note"],
        "minimum_count": 3,
        "distinct": "users",
        "minimum_distinct": 2,
        "required": False,
    },
    {
        "name": "channel",
        "title": "Chat or mail",
        "events": ["connected"],
        "where": {"channel": ["chat", "mail"]},
        "required": False,
    },
    {
        "name": "live_chat",
        "title": "Live chat on two pages",
        "events": ["connected"],
        "where": {"channel": "chat", "pages": 2, "is_live": True},
        "required": False,
    },
]
EVENTS = [
    # distinct users: u1 twice is one user, an event without a user is none, u2 is the second
    event("users", "joined", "2025-01-11", user="u1"),
    event("users", "joined", "2025-01-12", user="u1"),
    event("users", "joined", "2025-01-13", user=None),
    event("users", "joined", "2025-01-14 06:00", user="u2"),
    event("users", "joined", "2025-01-15", user="u3"),
    event("one-user", "joined", "2025-01-11", user="u1"),
    event("one-user", "joined", "2025-01-12", user="u1"),
    # the same instant: two users at once
    event("at-once", "joined", "2025-01-11", user="u1"),
    event("at-once", "joined", "2025-01-11", user="u2"),
    # k-th event of the rule
    event("counts", "rule_made", "2025-01-11"),
    event("counts", "rule_made", "2025-01-20 12:00"),
    event("counts", "rule_made", "2025-01-21"),
    event("one-count", "rule_made", "2025-01-11"),
    # values of a property: nova twice is one, no project is none
    event("values", "commit", "2025-01-11", project="nova"),
    event("values", "commit", "2025-01-12", project="nova"),
    event("values", "commit", "2025-01-13"),
    event("values", "commit", "2025-01-16", project="swift"),
    # three events and two users: the third event comes with the same user, the second user comes fifth
    event("both", "note", "2025-01-11", user="u1"),
    event("both", "note", "2025-01-12", user="u1"),
    event("both", "note", "2025-01-13", user="u1"),
    event("both", "note", "2025-01-14", user="u1"),
    event("both", "note", "2025-01-15", user="u2"),
    # two users at the second event, the count is met at the third
    event("both-count-last", "note", "2025-01-11", user="u1"),
    event("both-count-last", "note", "2025-01-12", user="u2"),
    event("both-count-last", "note", "2025-01-17", user="u2"),
    # filters: another value, no value, one of the values
    event("filter", "connected", "2025-01-11", channel="phone"),
    event("filter", "connected", "2025-01-12"),
    event("filter", "connected", "2025-01-13", channel="mail"),
    # several properties: all must hold at once; here two of three, then all three
    event("filters", "connected", "2025-01-11", channel="chat", pages=2, is_live=False),
    event("filters", "connected", "2025-01-12", channel="chat", pages=3, is_live=True),
    event("filters", "connected", "2025-01-14", channel="chat", pages=2, is_live=True),
    event("either-name", "installed_by_hand", "2025-01-11"),
    event("either-name", "installed", "2025-01-12"),
    # trial: half a day before the start, and to the second
    event("trial", "installed", "2025-01-09 12:00"),
    event("trial", "joined", "2025-01-08", user="u1"),
    event("trial", "joined", "2025-01-09 23:59:59", user="u2"),
    event("at-start", "installed", "2025-01-10"),
    # complete with the last required step, whatever the order
    event("complete", "joined", "2025-01-11", user="u1"),
    event("complete", "joined", "2025-01-12", user="u2"),
    event("complete", "installed", "2025-02-20"),
    # started a day later: its window is open at the as-of time
    event("open", "installed", "2025-02-01"),
    # known only from the as-of time on
    event("at-as-of", "installed", "2025-04-10"),
    event("before-as-of", "installed", "2025-04-09 23:59:59"),
    # late: its window ended long before
    event("late", "installed", "2025-03-01"),
    event("late", "joined", "2025-03-01", user="u1"),
    event("late", "joined", "2025-03-01", user="u2"),
    # two accounts, one user each: users are counted within the account
    event("apart-1", "joined", "2025-01-11", user="u1"),
    event("apart-2", "joined", "2025-01-11", user="u2"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    starts = {str(row["account_id"]): "2025-01-10" for row in EVENTS} | {"open": "2025-01-10 00:00:01", "late": "2024-10-01"}
    made_world = World(
        EVENTS,
        last_day="2025-04-20",
        subscriptions=[subscription(account, start) for account, start in starts.items()],
        framework={"setup": {"steps": STEPS}},
    )
    with made_up_to(made_world, tmp_path_factory.mktemp("setup"), "setup_steps", as_of="2025-04-10") as found:
        yield found


def step(world: Made, account: str, name: str) -> Mapping[str, Any]:
    return world.row("setup_steps", account_id=account, step=name)


@pytest.mark.parametrize(
    ("account", "name", "completed_at"),
    [
        ("users", "team", "2025-01-14 06:00"),
        ("one-user", "team", None),
        ("at-once", "team", "2025-01-11"),
        ("apart-1", "team", None),
        ("apart-2", "team", None),
        ("counts", "rules", "2025-01-20 12:00"),
        ("one-count", "rules", None),
        ("values", "projects", "2025-01-16"),
        ("both", "busy", "2025-01-15"),
        ("both-count-last", "busy", "2025-01-17"),
        ("filter", "channel", "2025-01-13"),
        ("filter", "live_chat", None),
        ("filters", "channel", "2025-01-11"),
        ("filters", "live_chat", "2025-01-14"),
        ("either-name", "install", "2025-01-11"),
        ("at-start", "install", "2025-01-10"),
        ("at-as-of", "install", None),
        ("before-as-of", "install", "2025-04-09 23:59:59"),
    ],
)
def test_a_step_is_completed_at_the_first_event_at_which_its_rule_holds(
    world: Made, account: str, name: str, completed_at: str | None
) -> None:
    expected = None if completed_at is None else at(completed_at)
    assert step(world, account, name)["completed_at"] == expected


@pytest.mark.parametrize(
    ("account", "name", "days"),
    [
        ("trial", "install", -0.5),
        # one second before the start: 1 / 86,400 of a day
        ("trial", "team", -1 / 86400),
        ("at-start", "install", 0.0),
        # 10 January 00:00 to 14 January 06:00
        ("users", "team", 4.25),
        ("one-user", "team", None),
    ],
)
def test_days_to_complete_count_from_tenure_start_and_are_negative_in_the_trial(
    world: Made, account: str, name: str, days: float | None
) -> None:
    found = step(world, account, name)["days_to_complete"]
    assert found == (None if days is None else pytest.approx(days, abs=1e-12))


def test_setup_is_complete_with_its_last_required_step(world: Made) -> None:
    row = step(world, "complete", "install")
    assert (row["steps_done"], row["steps_required"], row["is_setup_complete"]) == (2, 2, True)
    assert row["setup_completed_at"] == at("2025-02-20")
    # in the trial too: 8 January and one second before the start
    assert step(world, "trial", "install")["setup_completed_at"] == at("2025-01-09 23:59:59")


def test_setup_is_not_complete_while_a_required_step_is_missing(world: Made) -> None:
    row = step(world, "users", "install")
    assert (row["steps_done"], row["steps_required"], row["is_setup_complete"]) == (1, 2, False)
    assert row["setup_completed_at"] is None


def test_steps_that_are_not_required_do_not_count(world: Made) -> None:
    row = step(world, "counts", "rules")
    assert (row["completed_at"] is not None, row["is_required"], row["steps_done"]) == (True, False, 0)


def test_every_account_has_every_step_in_the_order_of_the_config(world: Made) -> None:
    rows = world.rows("setup_steps", account_id="one-count")
    assert {row["step"]: row["position"] for row in rows} == {each["name"]: number for number, each in enumerate(STEPS, 1)}


def test_a_window_that_ends_at_the_as_of_time_has_elapsed_and_one_second_later_has_not(world: Made) -> None:
    assert (step(world, "counts", "install")["window_ends_at"], step(world, "counts", "install")["is_elapsed"]) == (
        at("2025-04-10"),
        True,
    )
    assert (step(world, "open", "install")["window_ends_at"], step(world, "open", "install")["is_elapsed"]) == (
        at("2025-04-10 00:00:01"),
        False,
    )


def test_setup_after_its_window_is_complete_all_the_same_and_shows_its_days(world: Made) -> None:
    row = step(world, "late", "install")
    # 1 October to 1 January; completed 31 + 30 + 31 + 31 + 28 = 151 days after the start
    assert (row["window_ends_at"], row["is_setup_complete"], row["days_to_complete"]) == (at("2025-01-01"), True, 151.0)
