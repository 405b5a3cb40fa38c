"""Setup steps and activation at the landmark: who is compared, what is known by then, and what is counted for the note.

Put here the edges of the landmark and of the covariates. Keep out the statistics (`test_evidence_setup_steps.py`).
Tenures start 2025-01-10 00:00, so the landmark of 14 days is 2025-01-24 and the window ends 2025-04-10. The as-of time is 2025-05-01,
at which April has just closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pytest
from scenario import UNBILLED, Made, World, event, made_up_to, subscription

from milestones_dagster.evidence import setup_steps

LAST_MONTH = ["2025-02-01", "2025-03-01"]


def started(account: str, *times: str) -> list[dict[str, object]]:
    return [event(account, "started", time) for time in times]


EVENTS = [
    # did it and activated later; the first 3 days end at 01-13 00:00, the trial's events are not among them
    event("early", "chat", "2025-01-09 23:00"),
    event("early", "chat", "2025-01-10 00:00"),
    event("early", "mail", "2025-01-12 23:59:59", user="u2"),
    event("early", "installed", "2025-01-12 12:00"),
    event("early", "chat", "2025-01-13 00:00", user="u3"),
    *started("early", "2025-01-30", "2025-01-31", "2025-02-01"),
    # the last second before the landmark; activated at the landmark itself, which is after it
    event("just-before", "installed", "2025-01-23 23:59:59"),
    *started("just-before", "2025-01-11", "2025-01-12", "2025-01-24 00:00"),
    # at the landmark is not before it
    event("at-landmark", "installed", "2025-01-24 00:00"),
    # activated before the landmark of 14 days, after that of 7
    event("activated", "installed", "2025-01-11"),
    *started("activated", "2025-01-11", "2025-01-12", "2025-01-20"),
    # left on the tenth day, having done it
    event("left", "installed", "2025-01-11"),
    # done in the trial
    event("trial", "installed", "2025-01-05"),
    # a gap of four days around the landmark is bridged
    event("gap", "chat", "2025-01-15"),
    # left after the landmark, not activated
    event("left-later", "chat", "2025-01-15"),
    # the last second of the window, and the first after it
    *started("last-second", *LAST_MONTH, "2025-04-09 23:59:59"),
    *started("too-late", *LAST_MONTH, "2025-04-10 00:00"),
    # its window ends a second after the as-of time
    event("open", "installed", "2025-02-02"),
    *started("open", "2025-02-02", "2025-02-03", "2025-02-04"),
]
COMPARED = {"early", "just-before", "at-landmark", "trial", "gap", "left-later", "last-second", "too-late"}
SUBSCRIPTIONS = [
    subscription("early", "2025-01-10", "2025-01-20", subscription_id="s1"),
    subscription("early", "2025-01-20", plan="premium", seats=6.0, mrr=300.0, subscription_id="s1"),
    subscription("left", "2025-01-10", "2025-01-20"),
    subscription("gap", "2025-01-10", "2025-01-22", subscription_id="g1"),
    subscription("gap", "2025-01-26", subscription_id="g2"),
    subscription("left-later", "2025-01-10", "2025-02-15"),
    subscription("open", "2025-02-01 00:00:01"),
    *[
        subscription(account, "2025-01-10")
        for account in ("just-before", "at-landmark", "activated", "trial", "last-second", "too-late")
    ],
]


@dataclass
class Seen:
    """The published table, and the frame that the SELECT made for it."""

    made: Made
    frame: pd.DataFrame

    def account(self, name: str, step: str = "install", days: int = 14) -> pd.Series:
        frame = self.frame
        return frame[(frame["account_id"] == name) & (frame["step"] == step) & (frame["landmark_days"] == days)].iloc[0]


def _made(world: World, folder: object) -> Iterator[Seen]:
    frames = []
    measure = setup_steps.measure

    def watched(frame, framework, also):
        frames.append(frame.copy())
        return measure(frame, framework, also)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup_steps, "measure", watched)
        with made_up_to(world, folder, "setup_step_evidence", as_of="2025-05-01") as found:
            yield Seen(found, frames[0])


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    yield from _made(World(EVENTS, last_day="2025-05-10", subscriptions=SUBSCRIPTIONS), tmp_path_factory.mktemp("steps"))


@pytest.fixture(scope="module")
def unbilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    # tenure starts with the first event; `early` on 01-09 23:00
    world = World(EVENTS, last_day="2025-05-10", subscriptions=None, framework=UNBILLED)
    yield from _made(world, tmp_path_factory.mktemp("unbilled"))


def test_who_is_compared_and_who_activated(seen):
    row = seen.made.row("setup_step_evidence", step="install")

    # adopters: early, just-before, trial; activated: early, just-before; of the others: last-second
    assert (row["accounts"], row["adopters"]) == (8, 3)
    assert (row["activated_with"], row["activated_without"]) == (2, 1)
    assert row["activated_with_share"] == pytest.approx(2 / 3)
    assert row["activated_without_share"] == pytest.approx(1 / 5)
    assert row["risk_difference"] == pytest.approx(2 / 3 - 1 / 5)
    # a 2, b 1, c 1, d 4
    assert row["odds_ratio"] == pytest.approx(8)
    assert row["phi"] == pytest.approx(7 / (3 * 5 * 3 * 5) ** 0.5)


def test_who_left_or_activated_before_the_landmark_is_counted_in_neither_group(seen):
    row = seen.made.row("setup_step_evidence", step="install")

    assert (row["left_before"], row["activated_before"]) == (1, 1)
    assert row["left_before_share"] == pytest.approx(1 / 10)
    assert "1 of 10 accounts (10.0%) left before day 14 and 1 had activated before it" in row["note"]


def test_the_landmarks_beside_have_their_own_rows(seen):
    row = seen.made.row("setup_step_evidence", step="install")

    # day 7 is 01-17: `left` still pays and `activated` has not activated; day 30 is 02-09: early and just-before have
    assert (row["accounts_7d"], row["accounts_30d"]) == (10, 6)


def test_eight_accounts_decide_nothing_and_say_whom_to_ask(seen):
    rows = seen.made.rows("setup_step_evidence")

    assert [row["step"] for row in rows] == ["install", "team", "rules"]
    assert {row["verdict"] for row in rows} == {"interview"}
    # did it without activating: trial; activated without it: last-second; the same MRR, so by name
    assert rows[0]["talk_to"] == "last-second, trial"
    assert "of 8 accounts 3 did it and 5 did not" in rows[0]["reason"]
    assert rows[1]["detectable_difference"] == float("inf")
    assert rows[1]["reason"] == "nobody of 8 accounts did it: nothing to compare"


def test_the_frame_has_every_account_whose_window_has_elapsed_at_every_landmark(seen):
    frame = seen.frame
    compared = frame[(frame["landmark_days"] == 14) & frame["is_paying"] & ~frame["is_activated_before"]]

    assert set(compared["account_id"]) == COMPARED
    assert "open" not in set(frame["account_id"])
    assert frame.groupby(["account_id", "landmark_days", "step"]).size().eq(1).all()
    assert len(frame) == 10 * 3 * 3


def test_early_events_are_those_of_the_first_three_days_but_for_the_steps_own(seen):
    # chat at the start and mail in the last second; the installation is the step's own, the trial and the fourth day are out
    assert seen.account("early", "install")["early_events"] == 2
    assert seen.account("early", "team")["early_events"] == 3
    assert seen.account("trial", "install")["early_events"] == 0


def test_plan_size_and_revenue_are_those_at_the_landmark(seen):
    at_14, at_7 = seen.account("early"), seen.account("early", days=7)

    assert (at_14["plan"], at_14["size_stratum"], at_14["mrr"]) == ("premium", "5-19", 300.0)
    assert (at_7["plan"], at_7["size_stratum"], at_7["mrr"]) == ("basic", "1-4", 100.0)
    # inside a bridged gap the account pays and its plan is not known
    assert seen.account("gap")["is_paying"]
    assert pd.isna(seen.account("gap")["plan"])


def test_without_subscriptions_all_accounts_are_rows_and_size_is_the_users_before_the_landmark(unbilled):
    frame = unbilled.frame
    row = unbilled.made.row("setup_step_evidence", step="install")

    assert frame["is_paying"].all()
    assert row["left_before"] == 0
    assert "Without subscriptions nobody can be seen to leave" in row["note"]
    assert unbilled.account("early", days=14)["size_stratum"] == "1-4"
    assert frame["plan"].isna().all()


def test_a_window_that_ends_before_the_landmark_compares_nobody(tmp_path):
    world = World(EVENTS, last_day="2025-05-10", subscriptions=SUBSCRIPTIONS, framework={"activation": {"window": "14 d"}})
    with made_up_to(world, tmp_path, "setup_step_evidence") as found:
        row = found.row("setup_step_evidence", step="install")

    assert (row["accounts"], row["verdict"], row["reason"]) == (0, "interview", "no account can be compared yet")
    assert row["adoption"] is None
    assert row["accounts_7d"] > 0
    assert row["note"] == "No account's activation window has elapsed, or it ends before the landmark, or no threshold is in force."
