"""The links of the chain through the graph: who is a row of which link, at which landmark, with what outcome.

Put here what SQL decides. Keep out the statistics (`tests/unit/test_evidence_chain.py`). As of 2025-09-01, horizon 2 months. Tenures of
10 January: landmark of setup on 24 January, of activation on 10 April; the three whole months after it are May to July, known from 8 August
(1 August + 7 d) on. Two seats: usage is reached with 4 resolved in a month, activation with 3 started, maturity with reports on 3 days of 90.
"""

from collections.abc import Iterator
from datetime import date

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, merged, subscription

HORIZON = {"outcomes": {"retention": {"horizon": "2 months"}}}
AS_OF = "2025-09-01"


def started(account: str, *times: str):
    return [event(account, "started", time) for time in times]


def resolved(account: str, *days: str, number: int = 4):
    return [
        event(account, "resolved", f"{day} 12:00", conversation_id=f"{account} {day} {place}")
        for day in days
        for place in range(number)
    ]


def reports(account: str, *days: str):
    return [event(account, "report", f"{day} 12:00") for day in days]


FEBRUARY = ("2025-02-03", "2025-02-04", "2025-02-05")
EVENTS = [
    # setup: installed and two users joined before 24 January, activated after it
    event("set", "installed", "2025-01-12"),
    event("set", "joined", "2025-01-13", user="u1"),
    event("set", "joined", "2025-01-23 23:59:59", user="u2"),
    *started("set", *FEBRUARY),
    # the second user joined at the landmark, which is not before it
    event("late", "installed", "2025-01-12"),
    event("late", "joined", "2025-01-13", user="u1"),
    event("late", "joined", "2025-01-24", user="u2"),
    # activated before the landmark
    *started("at-once", "2025-01-11", "2025-01-12", "2025-01-13"),
    # usage after activation: two of the three months, one, none
    *resolved("set", "2025-05-10", "2025-07-10"),
    *started("once", *FEBRUARY),
    *resolved("once", "2025-05-10"),
    *resolved("once", "2025-06-10", number=3),
    # left in June having resolved enough in it: a month not paid to its end is not reached
    *resolved("leaver", "2025-05-10", "2025-06-10"),
    # left in July, after two whole months
    *resolved("leaves-late", "2025-05-10", "2025-06-10"),
    # a gap of four days in June: its month is partial
    *resolved("gapped", "2025-05-10", "2025-06-08", "2025-07-10"),
    # left in April and came back in May: the return changes nothing
    *resolved("back", "2025-05-10", "2025-06-10", "2025-07-10"),
    # cannot leave, and can use
    *resolved("locked", "2025-05-10", "2025-06-10", "2025-07-10"),
    # mature at the ends of April, May and June
    *resolved("ripe", "2025-02-10", "2025-03-10"),
    *reports("ripe", "2025-04-10", "2025-04-11", "2025-04-12"),
    *reports("ripe-left", "2025-04-10", "2025-04-11", "2025-04-12"),
    # mature at the end of every month from January to May
    *reports("always", "2025-01-20", "2025-01-21", "2025-01-22", "2025-03-20", "2025-03-21", "2025-03-22"),
]
SUBSCRIPTIONS = [
    *(subscription(account, "2025-01-10") for account in ("set", "late", "at-once", "once", "ripe", "always")),
    subscription("gone-at-once", "2025-01-10", "2025-01-20"),
    subscription("left-before", "2025-01-10", "2025-04-01"),
    subscription("leaver", "2025-01-10", "2025-06-15"),
    subscription("leaves-late", "2025-01-10", "2025-07-10"),
    subscription("gapped", "2025-01-10", "2025-06-10", subscription_id="g1"),
    subscription("gapped", "2025-06-14", subscription_id="g2"),
    subscription("back", "2025-01-10", "2025-04-20", subscription_id="b1"),
    subscription("back", "2025-05-01", subscription_id="b2"),
    subscription("locked", "2025-01-10", term_months=12),
    subscription("ripe-left", "2025-01-10", "2025-04-20"),
    subscription("bigger", "2025-01-10", "2025-05-20", subscription_id="s"),
    subscription("bigger", "2025-05-20", mrr=110.0, subscription_id="s"),
    # landmark on 1 July: neither its two months nor its three whole ones have gone by
    subscription("young", "2025-04-01"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made_world = World(EVENTS, last_day="2025-09-10", subscriptions=SUBSCRIPTIONS, framework=HORIZON)
    with made_up_to(made_world, tmp_path_factory.mktemp("chain"), "milestone_chain", as_of=AS_OF) as found:
        yield found


def link(made: Made, behaviour: str, outcome: str) -> dict[str, tuple[str, bool, bool | None]]:
    """Standing, reached and next of every account of a link."""
    rows = made.rows("chain_landmarks", behaviour=behaviour, outcome=outcome)
    return {row["account_id"]: (row["standing"], row["is_reached"], row["is_next"]) for row in rows}


def test_setup_to_activation_reads_steps_before_day_14_and_activation_after_it(world: Made) -> None:
    found = link(world, "setup", "activation")
    assert found["set"] == ("row", True, True)
    assert found["late"] == ("row", False, False)
    assert found["once"] == ("row", False, True)
    assert found["at-once"] == ("already", False, None)
    assert found["gone-at-once"] == ("left_before", False, None)
    # each step is a link of its own
    assert link(world, "setup:install", "activation")["late"] == ("row", True, False)
    assert link(world, "setup:team", "activation")["late"] == ("row", False, False)
    assert link(world, "setup:rules", "activation")["set"] == ("row", False, True)


def test_activation_to_usage_asks_for_two_of_the_three_whole_months_after(world: Made) -> None:
    found = link(world, "activation", "usage")
    assert found["set"] == ("row", True, True)
    assert found["once"] == ("row", True, False)
    assert found["at-once"] == ("row", True, False)
    assert found["leaver"] == ("row", False, False)
    assert found["leaves-late"] == ("row", False, True)
    assert found["back"] == ("row", False, False)
    assert found["locked"] == ("row", False, True)
    assert found["gapped"] == ("partial", False, None)
    assert found["left-before"] == ("left_before", False, None)
    assert "young" not in found


def test_activation_to_retention_and_expansion(world: Made) -> None:
    stayed, expanded = link(world, "activation", "retention"), link(world, "activation", "expansion")
    assert (stayed["set"], expanded["set"]) == (("row", True, True), ("row", True, False))
    # 110 at 10 June against 100 at 10 April
    assert (stayed["bigger"], expanded["bigger"]) == (("row", False, True), ("row", False, True))
    # who left, also who came back, is not expanded; who could not leave could expand
    assert (stayed["back"], expanded["back"]) == (("row", False, False), ("row", False, False))
    assert (stayed["locked"], expanded["locked"]) == (("locked", False, None), ("row", False, False))
    assert (stayed["left-before"], expanded["left-before"]) == (("left_before", False, None),) * 2
    row = world.row("chain_landmarks", behaviour="activation", outcome="retention", account_id="set")
    assert (row["observed_at"], row["value"], row["threshold"], row["cohort_month"]) == (
        at("2025-04-10"),
        3.0,
        3.0,
        date(2025, 1, 1),
    )


def test_usage_to_maturity_is_of_those_not_yet_mature_and_left_is_not_mature(world: Made) -> None:
    found = link(world, "usage", "maturity")
    # of February or March: mature two months later
    assert found["ripe"] == ("row", True, True)
    # mature by its events at the end of April, and gone
    assert found["ripe-left"] == ("row", False, False)
    assert found["always"] == ("already", False, None)
    assert found["gone-at-once"] == ("left_before", False, None)
    assert world.row("chain_landmarks", behaviour="usage", outcome="maturity", account_id="ripe")["observed_at"] in {
        at("2025-03-01"), at("2025-04-01"),
    }  # fmt: skip


def test_usage_to_retention_takes_the_month_of_the_usage_threshold(world: Made) -> None:
    landmarks = {row["account_id"]: (row["standing"], row["observed_at"]) for row in world.rows("usage_landmarks")}
    rows = world.rows("chain_landmarks", behaviour="usage", outcome="retention")
    assert {row["account_id"]: (row["standing"], row["observed_at"]) for row in rows} == landmarks
    for row in rows:
        if row["standing"] == "row":
            taken = world.row("usage_landmarks", account_id=row["account_id"])
            assert (row["value"], row["is_reached"], row["is_next"]) == (taken["value"], taken["value"] >= 2, taken["retained"])


def test_maturity_to_retention_needs_no_whole_month_but_payment_at_its_end(world: Made) -> None:
    found = link(world, "maturity", "retention")
    assert found["always"] == ("row", True, True)
    # its only month ends unpaid
    assert found["gone-at-once"] == ("left_before", False, None)
    assert found["locked"] == ("locked", False, None)
    assert link(world, "maturity", "expansion")["locked"] == ("row", False, False)
    row = world.row("chain_landmarks", behaviour="maturity", outcome="retention", account_id="always")
    assert (row["value"], row["threshold"]) == (1.0, 1.0)


def test_an_account_is_one_row_of_a_link(world: Made) -> None:
    keys = [(row["behaviour"], row["outcome"], row["account_id"]) for row in world.rows("chain_landmarks")]
    assert len(keys) == len(set(keys))


def test_the_chain_counts_what_the_links_hold(world: Made) -> None:
    row = world.row("milestone_chain", behaviour="activation", outcome="usage", cohort="all")
    # of fifteen accounts whose three months are known, two left before and one has a broken month
    frame = link(world, "activation", "usage")
    rows = [(reached, following) for standing, reached, following in frame.values() if standing == "row"]
    assert (row["accounts"], row["left_before"], row["partial"]) == (len(rows), 2, 1) == (12, 2, 1)
    assert (row["reached_accounts"], row["reached_next"]) == (3, 1)
    assert (row["other_next"], row["reached_next_share"]) == (sum(following for reached, following in rows if not reached), 1 / 3)
    assert row["left_before_share"] == 2 / 15
    assert (row["trust"], row["cohorts"]) == ("interview", 1)
    # one seat class and plan, one cohort: the difference itself
    assert row["effect"] == pytest.approx(row["difference"])
    assert row["interview_account_ids"] == "at-once, leaves-late, locked, once"


def test_without_subscriptions_nobody_leaves_and_nothing_is_known_of_revenue(tmp_path_factory: pytest.TempPathFactory) -> None:
    happened = [event(account, "chat", "2025-01-10") for account in ("gone", "busy")]
    happened += started("busy", *FEBRUARY)
    happened += [item for month in range(1, 8) for item in resolved("busy", f"2025-0{month}-15", number=2)]
    happened += reports("busy", "2025-04-10", "2025-04-11", "2025-04-12")
    framework = merged(merged(UNBILLED, HORIZON), {"usage": {"seats": "active_users"}})
    made_world = World(happened, last_day="2025-09-10", subscriptions=None, framework=framework)
    with made_up_to(made_world, tmp_path_factory.mktemp("activity"), "milestone_chain", as_of=AS_OF) as made:
        assert link(made, "activation", "usage") == {"busy": ("row", True, True), "gone": ("row", False, False)}
        assert link(made, "activation", "retention") == {"busy": ("row", True, True), "gone": ("row", False, False)}
        assert set(link(made, "activation", "expansion").values()) == {("no_mrr", True, None), ("no_mrr", False, None)}
        assert link(made, "usage", "maturity")["busy"] == ("row", True, True)
        assert link(made, "usage", "maturity")["gone"][0] == "no_seats"
        assert made.row("milestone_chain", behaviour="activation", outcome="expansion")["no_value"] == 2
