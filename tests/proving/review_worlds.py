"""Worlds that change, or do not, between the time before a framework's version and the time since.

Put here what is planted before and since, and the rows of four milestones drawn from it. Keep out what is called an alarm
(`lines/`) and everything of the method: this module imports nothing of the product and shares no constant with it.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd

from tests.proving.worlds import World, half, log_rate, nothing, planted

MILESTONES = ("setup", "activation", "usage", "maturity")
COUNTED = ("activation", "usage")
"""Milestones of a count and its threshold; the others are reached or not."""

ADOPTED_AT = pd.Timestamp("2022-04-01")
"""The first landmark of the accounts of the second year."""


@dataclass(frozen=True)
class Change:
    """The worlds of one milestone before and since, and the threshold in force."""

    before: World
    since: World
    threshold: float


def unchanged(rng: np.random.Generator, *, jump: float) -> Change:
    """Return a world that stays as it is, the threshold where it jumps; without a jump nothing but plan and size counts."""
    world = planted(rng, jump=jump) if jump else nothing(rng)
    return Change(world, world, float(world.at))


def shrunk(rng: np.random.Generator, *, jump: float, factor: float, is_sloped: bool) -> Change:
    """Return a world in which whatever goes with the value has shrunk by this factor: a jump alone, or one on a slope."""
    world = planted(rng, jump=jump)
    if not is_sloped:
        world = replace(world, slope=0.0)
    return Change(world, replace(world, jump=jump * factor, slope=world.slope * factor), float(world.at))


def moved(rng: np.random.Generator, *, jump: float, factor: float) -> Change:
    """Return a world whose jump has moved to this multiple of its value; accounts do what they did.

    Reach of the old and of the new place lie between 15 and 60 %.
    """
    while True:
        world = planted(rng, jump=jump)
        at = round(world.at * factor)
        reach = _reach_of(world, at)
        if 0.15 <= reach <= 0.60:
            return Change(world, replace(world, at=at, reach=reach), float(world.at))


def milestones(changes: dict[str, Change], rng: np.random.Generator, per_side: int, since: int | None = None) -> pd.DataFrame:
    """Return one row per milestone and account: so many compared before the version, as many since, or `since`.

    Columns: milestone, account_id, account_key, observed_at, standing, plan, size_stratum, mrr, value, threshold, is_reached,
    is_next.
    """
    parts = []
    for milestone, change in changes.items():
        early = half(change.before, rng, per_side, range(12))
        late = half(change.since, rng, per_side if since is None else since, range(12, 24))
        rows = pd.concat([early, late], ignore_index=True)
        rows["account_key"] = rng.permutation(len(rows))
        rows["account_id"] = [f"account-{key:07}" for key in rows["account_key"]]
        is_counted = milestone in COUNTED
        rows["is_reached"] = rows["value"] >= change.threshold
        rows["value"] = rows["value"] if is_counted else np.nan
        rows["threshold"] = change.threshold if is_counted else np.nan
        rows["observed_at"] = rows["cohort_month"] + pd.DateOffset(months=3)
        parts.append(rows.assign(milestone=milestone, is_next=rows["retained"]))
    return pd.concat(parts, ignore_index=True).drop(columns=["cohort_month", "retained", "left_day", "gone_day"])


def _reach_of(world: World, at: int) -> float:
    """Return about which share of the accounts lies at or above another value: the log rate is about normal."""
    normal = NormalDist()
    further = float(np.log((at - 0.5) / (world.at - 0.5))) / log_rate(world)[1]
    return 1 - normal.cdf(normal.inv_cdf(1 - world.reach) + further)
