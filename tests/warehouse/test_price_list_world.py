"""Expansion without changes of the price list: which steps of revenue are taken out, of whom, and where money stays as it is.

Put here every edge of a flagged state. Keep out expansion as such (`test_retention_world.py`). Accounts pay 100 a month for 2 seats from
2024-12-10, D = 2025-03-01, D + H = 2025-06-01, and the as-of time is 2025-07-01.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scenario import SUBSCRIPTION_TYPES, Made, World, at, made, made_up_to, subscription, write_parquet

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.warehouse.increments import Part
from milestones_dagster.warehouse.publish import Publishing

START, D, END, AS_OF = "2024-12-10", "2025-03-01", "2025-06-01", "2025-07-01"
APRIL, MAY = "2025-04-01", "2025-05-01"


def states(account: str, *steps: tuple[str, dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    """The states of a subscription from START on, each to the next one's start; the last has no end."""
    begun = [(START, dict[str, Any]()), *steps]
    ends = [start for start, _ in begun[1:]] + [None]
    return [subscription(account, start, end, **fields | own) for (start, own), end in zip(begun, ends, strict=True)]


def listed(mrr: float, **fields: Any) -> dict[str, Any]:
    """What a state says that begins with a change of the price list."""
    return {"mrr": mrr, "is_price_list_change": True} | fields


# account: its states; revenue at D + H, what of it is from the price list, whether the account expanded
CASES: dict[str, tuple[list[dict[str, Any]], float | None, float | None, bool | None]] = {
    "raised": (states("raised", (APRIL, listed(110.0))), 110.0, 10.0, False),
    "raised-unflagged": (states("raised-unflagged", (APRIL, {"mrr": 110.0})), 110.0, 0.0, True),
    # 125 - 20 = 105 and 130 - 20 = 110 of 100
    "and-more": (states("and-more", (APRIL, listed(120.0)), (MAY, {"mrr": 125.0})), 125.0, 20.0, False),
    "and-enough": (states("and-enough", (APRIL, listed(120.0)), (MAY, {"mrr": 130.0})), 130.0, 20.0, True),
    "twice": (states("twice", (APRIL, listed(105.0)), (MAY, listed(115.0))), 115.0, 15.0, False),
    # at D it is in the revenue of D: 121 of 110; at D + H it is in the window, a second later it is not
    "at-date": (states("at-date", (D, listed(110.0)), (APRIL, {"mrr": 121.0})), 121.0, 0.0, True),
    "at-end": (states("at-end", (END, listed(200.0))), 200.0, 100.0, False),
    "after-end": (states("after-end", ("2025-06-01 00:00:01", listed(200.0))), 100.0, 0.0, False),
    # 90 + 20 = 110
    "lowered": (states("lowered", (APRIL, listed(80.0)), (MAY, {"mrr": 90.0})), 90.0, -20.0, True),
    # with seats or plan it is not the list alone: the step counts whole
    "with-seats": (states("with-seats", (APRIL, listed(150.0, seats=3.0))), 150.0, 0.0, True),
    "with-plan": (states("with-plan", (APRIL, listed(120.0, plan="premium"))), 120.0, 0.0, True),
    "seats-after": (states("seats-after", (APRIL, listed(110.0)), (MAY, {"mrr": 165.0, "seats": 3.0})), 165.0, 10.0, True),
    "seats-unknown": (states("seats-unknown", (APRIL, listed(110.0)), plan="free", seats=None), 110.0, 10.0, False),
    # several subscriptions: 150 to 160; 100 to 160 of which 10; 200 to 225, where the raised one is gone by then
    "two": (
        [*states("two", (APRIL, listed(110.0))), subscription("two", START, mrr=50.0, subscription_id="second")],
        160.0, 10.0, False,
    ),
    "second-bought": (
        [
            *states("second-bought"),
            subscription("second-bought", APRIL, MAY, mrr=50.0, subscription_id="second"),
            subscription("second-bought", MAY, subscription_id="second", **listed(60.0)),
        ],
        160.0, 10.0, True,
    ),
    "second-ended": (
        [
            *states("second-ended", ("2025-05-15", {"mrr": 225.0})),
            subscription("second-ended", START, APRIL, subscription_id="second"),
            subscription("second-ended", APRIL, MAY, subscription_id="second", **listed(150.0)),
        ],
        225.0, 0.0, True,
    ),
    # nothing paid before it: bought, not raised
    "first-row": ([*states("first-row"), subscription("first-row", APRIL, subscription_id="second", **listed(20.0))], 120.0, 0.0, True),
    "after-trial": (
        [
            *states("after-trial"),
            subscription("after-trial", "2025-03-10", APRIL, subscription_id="second", is_trial=True, mrr=0.0),
            subscription("after-trial", APRIL, subscription_id="second", **listed(20.0)),
        ],
        120.0, 0.0, True,
    ),
    # gaps: bridged, churn, over D, over D + H
    "bridged": ([subscription("bridged", START, APRIL), subscription("bridged", "2025-04-05", **listed(120.0))], 120.0, 20.0, False),
    "left": ([subscription("left", START, APRIL), subscription("left", "2025-04-09", **listed(120.0))], 0.0, 0.0, False),
    "over-date": ([subscription("over-date", START, "2025-02-26"), subscription("over-date", "2025-03-04", **listed(120.0))], 120.0, 20.0, False),
    "over-end": ([subscription("over-end", START, "2025-05-30"), subscription("over-end", "2025-06-03", **listed(120.0))], 100.0, 0.0, False),
    # a correction counts from when it is recorded
    "corrected": (
        [*states("corrected", (APRIL, {"mrr": 120.0})), subscription("corrected", APRIL, recorded_at="2025-06-20", **listed(120.0))],
        120.0, 20.0, False,
    ),
    "corrected-later": (
        [*states("corrected-later", (APRIL, {"mrr": 120.0})), subscription("corrected-later", APRIL, recorded_at=AS_OF, **listed(120.0))],
        120.0, 0.0, True,
    ),
    # a state that holds at no time is no state
    "never-held": (
        [
            subscription("never-held", START, APRIL),
            subscription("never-held", APRIL, APRIL, **listed(120.0)),
            subscription("never-held", "2025-04-03", mrr=120.0),
        ],
        120.0, 0.0, True,
    ),
    # states that overlap are added up as ever (110 + 100), the step is one
    "overlap": ([subscription("overlap", START), subscription("overlap", APRIL, **listed(110.0))], 210.0, 10.0, True),
    # 31.90 of 29, in cents that no binary number holds; 3.19 on top are ten per cent of 31.90 and more than that of 29
    "cents": (states("cents", (APRIL, listed(31.9)), mrr=29.0), 31.9, 2.9, False),
    "cents-and-more": (states("cents-and-more", (APRIL, listed(31.9)), (MAY, {"mrr": 34.8}), mrr=29.0), 34.8, 2.9, True),
    # without revenue on either side there is no step
    "unknown-before": (states("unknown-before", (APRIL, listed(120.0)), mrr=None), 120.0, 0.0, None),
    "unknown-after": (states("unknown-after", (APRIL, {"mrr": None, "is_price_list_change": True})), None, None, False),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    rows = [row for case, *_ in CASES.values() for row in case]
    made_world = World([], last_day="2025-06-30", subscriptions=rows)
    with made_up_to(made_world, tmp_path_factory.mktemp("list"), "retention_outcomes", as_of=AS_OF) as found:
        yield found


@pytest.mark.parametrize("account", CASES)
def test_expansion_is_judged_without_the_steps_of_the_price_list(world: Made, account: str) -> None:
    _, at_end, from_list, is_expanded = CASES[account]
    row = world.row("retention_outcomes", account_id=account, observed_at=at(D), kind="month")
    assert row["mrr_at_end"] == at_end
    assert row["mrr_from_price_list"] == (None if from_list is None else pytest.approx(from_list, abs=1e-9))
    assert row["is_expanded_mrr"] is is_expanded


def test_seats_are_judged_as_they_are(world: Made) -> None:
    found = {
        name: world.row("retention_outcomes", account_id=name, observed_at=at(D), kind="month")["is_expanded_seats"]
        for name in ("raised", "with-seats", "seats-after")
    }
    assert found == {"raised": False, "with-seats": True, "seats-after": True}


def test_an_outcome_that_is_not_known_says_nothing_of_the_list(world: Made) -> None:
    row = world.row("retention_outcomes", account_id="raised", observed_at=at(APRIL), kind="month")
    # 1 July + 7 days; the raise is in the revenue of 1 April already
    assert (row["is_known"], row["mrr_at_start"], row["mrr_from_price_list"]) == (False, 110.0, None)


def test_rows_that_change_more_than_the_price_are_warned_of(world: Made) -> None:
    (rule,) = (result for result in world.outcomes["subscriptions"].results if result.rule.name == "price_list_changes_alone")
    # with-seats, with-plan, first-row, after-trial, unknown-before and unknown-after
    assert (rule.rule.severity, rule.passed, rule.unexpected_count) == ("warning", False, 6)


def test_evidence_of_expansion_follows_and_net_and_gross_retention_are_money_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = [*states("raised", (APRIL, listed(110.0))), *states("grown", (APRIL, {"mrr": 120.0}))]
    made_world = World([], last_day="2025-06-30", subscriptions=rows)
    with made_up_to(made_world, tmp_path_factory.mktemp("money"), "revenue_retention", "month_landmarks", as_of=AS_OF) as made:
        march = made.row("revenue_retention", period="2025-03", segment_kind="all")
        expanded = {row["account_id"]: row["expanded"] for row in made.rows("month_landmarks", observed_at=at(D))}
    # 110 + 120 of 200; gross 100 + 100
    assert (march["net_revenue_retention"], march["gross_revenue_retention"]) == (pytest.approx(1.15), 1.0)
    assert (march["mrr_at_end"], march["expanded_mrr_rows"], march["expanded_mrr_share"]) == (230.0, 2, 0.5)
    assert expanded == {"raised": False, "grown": True}


def test_without_the_column_every_step_counts(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [row for case, *_ in CASES.values() for row in case]
    unmapped = {"subscriptions": {"columns": {"is_price_list_change": None}}}
    made_world = World([], last_day="2025-06-30", subscriptions=rows, sources=unmapped)
    with made_up_to(made_world, tmp_path_factory.mktemp("unmapped"), "retention_outcomes", as_of=AS_OF) as made:
        assert {row["is_price_list_change"] for row in made.rows("subscriptions")} == {False}
        found = {row["account_id"]: row for row in made.rows("retention_outcomes", observed_at=at(D), kind="month")}
    assert {row["mrr_from_price_list"] for row in found.values()} <= {0.0, None}
    # growth of what is paid, 110 of 100; lowered and left are below it
    for account, row in found.items():
        grown = None if not row["mrr_at_start"] else (row["mrr_at_end"] or 0) / row["mrr_at_start"] > 1.0999999
        assert row["is_expanded_mrr"] is grown, account
    assert found["raised"]["is_expanded_mrr"] is True


def test_flags_that_come_later_make_the_part_they_change_as_a_rebuild_would(tmp_path: Path) -> None:
    rows = [row for case, *_ in CASES.values() for row in case]
    # the billing system flags one row after the first run, and takes a flag back
    changed = {"raised-unflagged": True, "twice": False}
    later = [
        row | {"is_price_list_change": changed[row["account_id"]]}
        if row["account_id"] in changed and row["started_at"] > at(D)
        else row
        for row in rows
    ]
    extracted = {"subscriptions": {"extracted_at": "2025-07-02"}}
    kept, fresh = (
        World([], last_day="2025-06-30", subscriptions=given, sources=extracted).write(tmp_path / name)
        for name, given in (("kept", rows), ("fresh", later))
    )
    first, _ = outcomes(kept)
    write_parquet(tmp_path / "kept" / "data" / "subscriptions.parquet", later, SUBSCRIPTION_TYPES)
    second, part = outcomes(kept)
    assert part is not None
    assert part.accounts == 2
    wanted, whole = outcomes(fresh)
    assert whole is None
    assert second == wanted
    told = {key[0] for key, row in second.items() if row != first[key]}
    assert told == set(changed)
    march = {name: second[name, "month", at(D)] for name in changed}
    # 110 of which 10 from the list; 115 of which nothing
    assert {name: (row["mrr_from_price_list"], row["is_expanded_mrr"]) for name, row in march.items()} == {
        "raised-unflagged": (10.0, False),
        "twice": (0.0, True),
    }


def outcomes(config: Path) -> tuple[dict[tuple[Any, ...], dict[str, Any]], Part | None]:
    """The outcomes after a run of a config folder, by key, and the part that the run made of them."""
    declared = Declared.of(load_config(config)).tables
    needed = {"retention_outcomes"}
    for name in reversed(declared):
        needed |= set(declared[name].dependencies) if name in needed else set()
    with made(config, tables=[name for name in declared if name in needed and name != "raw_events"]) as run:
        outcome = run.outcomes["retention_outcomes"]
        assert isinstance(outcome, Publishing)
        rows = {(row["account_id"], row["kind"], row["observed_at"]): row for row in run.rows("retention_outcomes")}
        return rows, outcome.part
