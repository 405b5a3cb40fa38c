"""Event names that arrive with and without an account, counted by hand, and what is said of a name that can match nothing."""

from collections.abc import Iterator
from datetime import date

import pytest
from delivering_company import rule_of
from scenario import Made, World, event, made_up_to

DONE = ("installed", "joined", "started", "mail", "hours_on", "hours_off", "sla")
WORLD = World(
    events=[
        *(event("a", name, "2025-01-02 10:00") for name in DONE),
        event("b", "installed", "2025-01-03 10:00", user="u2"),
        event("b", "installed", "2025-01-03 11:00", user="u2"),
        # twice of nobody, once of an account
        event(None, "chat", "2025-01-02 10:00"),
        event(None, "chat", "2025-01-04 10:00"),
        event("a", "chat", "2025-01-03 10:00"),
        # of nobody alone: read by a step; by usage, which has an entity, and as a core event, which has none; by usage alone
        *(event(None, "rule_made", f"2025-01-{day:02} 10:00") for day in (3, 5)),
        *(event(None, "resolved", f"2025-01-{day:02} 10:00", conversation_id="c1") for day in (3, 4, 4)),
        event(None, "reopened", "2025-01-05 10:00", conversation_id="c1"),
        # a misspelt name that comes without an account
        event(None, "reportt", "2025-01-04 10:00"),
        # after the as-of time
        event("a", "rule_made", "2025-01-08 10:00"),
        event("a", "report", "2025-01-08 10:00"),
    ],
    last_day="2025-01-10",
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with made_up_to(WORLD, tmp_path_factory.mktemp("names"), "event_catalogue", as_of="2025-01-07") as found:
        yield found


def test_names_are_counted_by_day_with_and_without_an_account(seen: Made) -> None:
    counted = {
        (row["day"].day, row["event"]): (row["events"], row["events_with_account"])
        for row in seen.rows("event_name_daily")
        if row["event"] in {"installed", "chat", "resolved", "heartbeat"}
    }
    assert counted == {
        (2, "installed"): (1, 1),
        (3, "installed"): (2, 2),
        (2, "chat"): (1, 0),
        (3, "chat"): (1, 1),
        (4, "chat"): (1, 0),
        (3, "resolved"): (1, 0),
        (4, "resolved"): (2, 0),
        (10, "heartbeat"): (1, 0),
    }


# event: events, without an account, accounts, first and last day of January, in the plan, what it cannot match, closest names
CATALOGUE = {
    "installed": (3, 0, 2, 2, 3, True, None, None),
    "chat": (3, 2, 1, 2, 4, True, None, None),
    "rule_made": (2, 2, 0, 3, 5, True, "setup step rules", None),
    "resolved": (3, 3, 0, 3, 4, True, "core events", None),
    "reopened": (1, 1, 0, 5, 5, True, None, None),
    "reportt": (1, 1, 0, 4, 4, False, None, None),
    "report": (0, 0, 0, None, None, True, "category reporting, feature report_used", "reportt"),
    "heartbeat": (0, 0, 0, None, None, True, None, None),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_name_is_known_by_all_its_events(seen: Made, name: str) -> None:
    row = seen.row("event_catalogue", event=name)
    events, without_account, accounts, first, last, is_tracked, unmatched_by, closest = CATALOGUE[name]
    assert (row["events"], row["events_without_account"], row["accounts"]) == (events, without_account, accounts)
    assert (row["first_day"], row["last_day"]) == tuple(day and date(2025, 1, day) for day in (first, last))
    assert (row["is_tracked"], row["unmatched_by"], row["closest_events"]) == (is_tracked, unmatched_by, closest)


def test_what_matches_nothing_is_warned_of_in_its_own_words(seen: Made) -> None:
    results = seen.outcomes["event_catalogue"].results
    assert [shown["hint"] for shown in rule_of(results, "configured_events_arrive").groups] == [
        "report (category reporting, feature report_used): closest names that arrive: reportt",
        "resolved (core events): arrives, but never with an account",
        "rule_made (setup step rules): arrives, but never with an account",
    ]
    assert [shown["used_by"] for shown in rule_of(results, "configured_rules_match").groups] == [
        "category reporting",
        "core events",
        "feature report_used",
        "setup step rules",
    ]


def test_an_unplanned_name_without_an_account_is_not_missed(seen: Made) -> None:
    result = rule_of(seen.outcomes["event_catalogue"].results, "events_in_tracking_plan")
    # seven names of a, chat, four of nobody alone
    assert (result.unexpected_count, result.total_count, result.sample_keys) == (1, 12, [{"event": "reportt"}])
