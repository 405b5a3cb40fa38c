"""Who is compared when the question about a threshold is put otherwise, and which events make a pair, through the graph.

Put here what SQL decides. Keep out the statistics (`tests/unit/test_evidence_robustness.py`, `test_evidence_threshold_windows.py`).
As of 2025-08-01, window 3 months, horizon 1 month, gaps of 7 d bridged: tenures of 10 January have their landmarks on 10 March,
10 April and 10 May, and the outcomes of the first two are known on 17 April and 17 May, of twice the horizon on 17 June.
"""

from collections.abc import Iterator
from datetime import date
from hashlib import md5
from pathlib import Path

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, merged, subscription

HORIZON = {"outcomes": {"retention": {"horizon": "1 month"}}}
TABLES = ("threshold_robustness", "activation_pair_events", "retention_outcomes")


def two(account: str, end: str, again: str) -> list[dict[str, object]]:
    """An account that stops paying and comes back, on a larger plan."""
    return [
        subscription(account, "2025-01-10", end),
        subscription(account, again, plan="premium", seats=20.0, subscription_id=f"{account}-2"),
    ]


EVENTS = [
    # one before each landmark, and one at the last of them
    *(event("stays", "started", time) for time in ("2025-01-10", "2025-03-09 23:59:59", "2025-04-09", "2025-05-09", "2025-05-10")),
    # pairs: trial events and those from the landmark on do not count, whatever else happened on that day
    event("stays", "installed", "2025-01-09 23:59:59"),
    event("stays", "chat", "2025-04-10"),
    event("stays", "joined", "2025-04-09 23:59:59"),
    event("stays", "mail", "2025-02-01"),
    event("leaves", "mail", "2025-02-01"),
    event("leaves", "report", "2025-02-01"),
    event("gap-12", "joined", "2025-02-01"),
    event("stays", "resolved", "2025-02-10", conversation_id="r"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    rows = [
        subscription("stays", "2025-01-10"),
        # 10 April + 1 month has not come, twice the horizon has
        subscription("leaves", "2025-01-10", "2025-05-20"),
        # back after 5 d, after 12 d, and in the gap at the landmark itself
        *two("gap-5", "2025-04-20", "2025-04-25"),
        *two("gap-12", "2025-04-20", "2025-05-02"),
        *two("in-gap", "2025-04-05", "2025-04-20"),
        # renewed on 10 May, which lies within a month of the first two landmarks and not of the third
        subscription("locked", "2025-01-10", term_months=4),
        subscription("a-year", "2025-01-10", term_months=12),
    ]
    made_world = World(EVENTS, last_day="2025-07-31", subscriptions=rows, framework=HORIZON)
    with made_up_to(made_world, tmp_path_factory.mktemp("robust"), *TABLES, as_of="2025-08-01") as found:
        yield found


def retained(world: Made, variant: str, milestone: str = "activation") -> dict[str, bool]:
    names = {row["account_key"]: row["account_id"] for row in world.rows("account_tenure")}
    rows = world.rows("threshold_variants", variant=variant, milestone=milestone)
    return {names[row["account_key"]]: row["retained"] for row in rows}


def test_twice_the_horizon_sees_who_leaves_in_its_second_half(world: Made) -> None:
    main = {row["account_id"]: row["retained"] for row in world.rows("activation_landmarks", standing="row")}
    assert main == {"stays": True, "leaves": True, "gap-5": True, "gap-12": False, "locked": True}
    assert retained(world, "horizon doubled") == main | {"leaves": False}


def test_gaps_are_bridged_by_the_rule_of_the_variant(world: Made) -> None:
    # with no gap bridged 5 days are churn; with 30 d the account in a gap at the landmark pays, and stays
    main = {"stays": True, "leaves": True, "gap-5": True, "gap-12": False, "locked": True}
    assert retained(world, "gaps of 0 d bridged") == main | {"gap-5": False}
    assert retained(world, "gaps of 30 d bridged") == main | {"gap-12": True, "in-gap": True}
    key = world.row("account_tenure", account_id="in-gap")["account_key"]
    row = world.row("threshold_variants", milestone="activation", variant="gaps of 30 d bridged", account_key=key)
    # who was last paid for holds on
    assert (row["plan"], row["size_stratum"]) == ("basic", "1-4")


def test_another_landmark_counts_up_to_it_and_asks_who_can_leave_after_it(world: Made) -> None:
    key = world.row("account_tenure", account_id="stays")["account_key"]
    found = {
        variant: world.row("threshold_variants", milestone="activation", variant=variant, account_key=key)
        for variant in ("landmark a month earlier", "landmark a month later", "horizon doubled")
    }
    assert {name: (row["observed_at"], row["value"]) for name, row in found.items()} == {
        "landmark a month earlier": (at("2025-03-10"), 2.0),
        "horizon doubled": (at("2025-04-10"), 3.0),
        "landmark a month later": (at("2025-05-10"), 4.0),
    }
    # in March all pay, but the renewal of 10 May lies beyond 10 April; a gap of 15 d from 5 April is churn
    assert retained(world, "landmark a month earlier") == {
        "stays": True, "leaves": True, "gap-5": True, "gap-12": True, "in-gap": False,
    }  # fmt: skip
    # in May nobody is in a gap; the renewal of 10 September lies beyond 10 June
    assert retained(world, "landmark a month later") == {
        "stays": True, "leaves": False, "gap-5": True, "gap-12": True, "in-gap": True,
    }  # fmt: skip


def drawn(account: str, *months: date) -> date:
    """The month that the lot falls upon."""
    return min(months, key=lambda month: md5(f"milestones usage month {account} {month}".encode()).hexdigest())  # noqa: S324 - no secret


def test_usage_keeps_the_month_that_was_drawn(world: Made) -> None:
    taken = {row["account_id"]: row for row in world.rows("usage_landmarks")}
    found = retained(world, "horizon doubled", "usage")
    # two months and 7 d after the end of April are 8 July, after that of May 8 August
    compared = {name: row["month"] for name, row in taken.items() if row["standing"] == "row"}
    assert compared.keys() & found.keys() == {name for name, month in compared.items() if month <= date(2025, 4, 1)}
    assert found.keys() <= {name for name, row in taken.items() if row["standing"] in {"row", "locked"}}
    # it paid February to April in full and left on 20 May: within two months of the end of March or April, not of February
    month = drawn("leaves", date(2025, 2, 1), date(2025, 3, 1), date(2025, 4, 1), date(2025, 5, 1))
    assert taken["leaves"]["month"] == month
    assert found.get("leaves") == (None if month > date(2025, 4, 1) else month <= date(2025, 2, 1))
    unbridged = retained(world, "gaps of 0 d bridged", "usage")
    for name in compared.keys() - {"gap-5", "gap-12", "in-gap"}:
        assert unbridged[name] == taken[name]["retained"]
    rows = world.rows("threshold_variants", milestone="usage", variant="gaps of 0 d bridged")
    values = {row["account_key"]: (row["value"], row["plan"]) for row in taken.values()}
    assert all((row["value"], row["plan"]) == values[row["account_key"]] for row in rows)
    assert not any("landmark" in row["variant"] for row in world.rows("threshold_variants", milestone="usage"))


def test_further_landmarks_are_no_outcomes_of_their_own(world: Made) -> None:
    assert {row["kind"] for row in world.rows("retention_outcomes")} == {"start", "month", "landmark"}
    kinds = {row["kind"] for row in world.rows("observation_dates")}
    assert kinds == {"start", "month", "landmark", "earlier_landmark", "later_landmark"}


def test_a_pair_is_an_event_between_the_start_and_the_landmark(world: Made) -> None:
    names = {row["account_key"]: row["account_id"] for row in world.rows("account_tenure")}
    found = {(names[row["account_key"]], row["event"], row["position"]) for row in world.rows("activation_pair_events")}
    # steps and core events first, the commonest first, then by name; then the catalogue
    assert found == {
        ("stays", "joined", 1), ("gap-12", "joined", 1), ("stays", "resolved", 2),
        ("stays", "mail", 3), ("leaves", "mail", 3), ("leaves", "report", 4),
    }  # fmt: skip


def test_a_handful_of_accounts_can_tell_nothing_and_it_says_so(world: Made) -> None:
    rows = world.rows("threshold_robustness", milestone="activation")
    assert [row["variant"] for row in rows[:6]] == [
        "main", "horizon doubled", "landmark a month earlier", "landmark a month later", "gaps of 0 d bridged", "gaps of 30 d bridged",
    ]  # fmt: skip
    assert [row["accounts"] for row in rows[:6]] == [5, 5, 5, 5, 5, 6]
    assert world.row("threshold_robustness", milestone="activation", variant="locked accounts in")["accounts"] == 6
    assert {row["holds"] for row in rows} == {None}
    assert rows[0]["sentence"].startswith("The threshold of activation holds in 0 of 0 variants.")


def test_without_subscriptions_staying_is_a_core_event_within_the_variants_horizon(tmp_path: Path) -> None:
    events = [event(account, "started", "2025-01-10") for account in ("soon", "late", "never")]
    events += [
        event("soon", "resolved", "2025-05-09", conversation_id="a"),
        event("late", "resolved", "2025-06-09", conversation_id="b"),
    ]
    made_world = World(events, last_day="2025-07-31", subscriptions=None, framework=merged(UNBILLED, HORIZON))
    with made_up_to(made_world, tmp_path, *TABLES, as_of="2025-08-01") as made:
        assert retained(made, "horizon doubled") == {"soon": True, "late": True, "never": False}
        # [10 May, 10 June)
        assert retained(made, "landmark a month later") == {"soon": False, "late": True, "never": False}
        assert retained(made, "gaps of 0 d bridged") == {}
        sentence = made.rows("threshold_robustness", milestone="activation")[0]["sentence"]
    assert sentence.endswith("Without subscriptions there is no gap to bridge and nobody is locked.")


def test_where_the_outcome_is_a_fixed_window_neither_horizon_nor_landmark_varies(tmp_path: Path) -> None:
    events = [event(account, "started", "2025-01-10") for account in ("a", "b")]
    framework = merged(UNBILLED, {"outcomes": {"retention": {"horizon": None, "window": "[121d, 151d)"}}})
    made_world = World(events, last_day="2025-07-31", subscriptions=None, framework=framework)
    with made_up_to(made_world, tmp_path, *TABLES, as_of="2025-08-01") as made:
        assert made.rows("threshold_variants") == []
        assert [row["variant"] for row in made.rows("threshold_robustness")] == ["main", "main"]
