"""The activation milestone: the count in [tenure_start, + 3 months) against the threshold, here 3; open is not failed.

Put here what counts, when the threshold is reached and when an account has failed. Keep out rates (`test_summary_world.py`).
Tenures start 2025-01-10 and their windows end 2025-04-10, a week before the as-of time 2025-04-17, unless a case says otherwise.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from scenario import Made, World, at, event, made_up_to, subscription

REAL = {"kind": "real", "outcome": "done"}


def started(account: str, *times: str) -> Sequence[dict[str, Any]]:
    return [event(account, "started", time, **REAL) for time in times]


EVENTS = [
    *started("trial-alone", *[f"2025-01-0{day}" for day in range(1, 10)], "2025-01-09 23:59:59"),
    # the first counts at the very start, the trial's do not
    *started("from-start", "2025-01-09 23:59:59", "2025-01-10", "2025-01-11", "2025-01-12"),
    *started("to-end", "2025-02-01", "2025-02-02", "2025-04-09 23:59:59"),
    *started("at-end", "2025-02-01", "2025-02-02", "2025-04-10"),
    *started("fifth", "2025-02-05", "2025-02-04", "2025-02-03", "2025-02-02", "2025-02-01"),
    *started("same-instant", "2025-02-01", "2025-02-07", "2025-02-07", "2025-02-07"),
    # windows: 17 January + 3 months = the as-of time; a second later is open
    *started("just-elapsed", "2025-02-01", "2025-02-02"),
    *started("open", "2025-02-01", "2025-02-02"),
    *started("open-early", "2025-02-01", "2025-02-02", "2025-02-03"),
    *started("at-as-of", "2025-02-01", "2025-02-02", "2025-04-17", "2025-04-18"),
    *started("left-inside", "2025-01-11"),
    *started("left-after", "2025-01-11", "2025-01-12", "2025-01-13"),
    # 30 November + 3 months = 28 February: the event on its first second is outside
    *started("clamped", "2025-02-01", "2025-02-27 23:59:59", "2025-02-28"),
    # filters: kind must be real, outcome one of done and sent
    event("filtered", "started", "2025-02-01", kind="real", outcome="sent"),
    event("filtered", "started", "2025-02-02", kind="real", outcome="draft"),
    event("filtered", "started", "2025-02-03", kind="test", outcome="done"),
    event("filtered", "started", "2025-02-04", kind="real"),
    event("filtered", "started", "2025-02-05"),
    event("filtered", "started", "2025-02-06", kind="real", outcome="done"),
    event("filtered", "chat", "2025-02-07", kind="real", outcome="done"),
    *started("back", "2024-07-05", "2024-10-05", "2024-10-06", "2024-10-07"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    starts = {str(row["account_id"]): "2025-01-10" for row in EVENTS} | {
        "silent": "2025-01-10",
        "just-elapsed": "2025-01-17",
        "open": "2025-01-17 00:00:01",
        "open-early": "2025-01-17 00:00:01",
        "at-as-of": "2025-02-01",
        "clamped": "2024-11-30",
    }
    ends = {"left-inside": "2025-01-20", "left-after": "2025-04-12"}
    rows = [subscription(account, start, ends.get(account)) for account, start in starts.items() if account != "back"]
    rows += [subscription("back", "2024-07-01", "2024-08-01"), subscription("back", "2024-10-05")]
    made_world = World(
        EVENTS,
        last_day="2025-04-30",
        subscriptions=rows,
        framework={"activation": {"where": {"kind": "real", "outcome": ["done", "sent"]}}},
    )
    with made_up_to(made_world, tmp_path_factory.mktemp("activation"), "activation_cohort", as_of="2025-04-17") as found:
        yield found


@pytest.mark.parametrize(
    ("account", "count", "activated", "activated_at", "is_elapsed"),
    [
        # trial events never count
        ("trial-alone", 0, False, None, True),
        # the event at the first instant of the window counts; 12 January is the third
        ("from-start", 3, True, "2025-01-12", True),
        # the last second is inside, the window's end is not
        ("to-end", 3, True, "2025-04-09 23:59:59", True),
        ("at-end", 2, False, None, True),
        # in order of time, the third of five
        ("fifth", 5, True, "2025-02-03", True),
        ("same-instant", 4, True, "2025-02-07", True),
        ("silent", 0, False, None, True),
        # elapsed at the as-of time itself; open a second later, and NULL, not failed
        ("just-elapsed", 2, False, None, True),
        ("open", 2, None, None, False),
        # true at once, in no rate until the window has elapsed
        ("open-early", 3, True, "2025-02-03", False),
        # nothing at or after the as-of time is known
        ("at-as-of", 2, None, None, False),
        # who left inside the window failed once it has elapsed; who left after it did not lose it
        ("left-inside", 1, False, None, True),
        ("left-after", 3, True, "2025-01-13", True),
        ("clamped", 2, False, None, True),
        # two of seven meet both filters: sent on the 1st, done on the 6th
        ("filtered", 2, False, None, True),
        # the window is that of the first start, 1 July to 1 October, also after a win-back
        ("back", 1, False, None, True),
    ],
)
def test_activation(
    world: Made, account: str, count: int, activated: bool | None, activated_at: str | None, is_elapsed: bool
) -> None:
    row = world.row("activation_cohort", account_id=account)
    assert (row["activation_events"], row["activated"], row["is_elapsed"], row["threshold"]) == (count, activated, is_elapsed, 3.0)
    assert row["activated_at"] == (None if activated_at is None else at(activated_at))


def test_each_account_with_a_tenure_is_there_once(world: Made) -> None:
    accounts = [row["account_id"] for row in world.rows("activation_cohort")]
    assert len(accounts) == len(set(accounts)) == len({row["account_id"] for row in EVENTS} | {"silent"})


def test_the_window_and_the_cohort_stand_beside_the_count(world: Made) -> None:
    row = world.row("activation_cohort", account_id="clamped")
    assert (row["tenure_start"], row["window_ends_at"], str(row["cohort_month"])) == (
        at("2024-11-30"),
        at("2025-02-28"),
        "2024-11-01",
    )
    assert (row["plan"], row["size_stratum"], row["tenure_basis"]) == ("basic", "1-4", "subscription")
