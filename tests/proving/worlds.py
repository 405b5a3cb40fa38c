"""Worlds in which retention follows a count: what is planted, and accounts drawn from it.

Put here the generator of accounts whose value goes with staying. Keep out what is true of the population (`truth.py`),
worlds of setup steps (`step_worlds.py`) and everything of the method: this module imports nothing of the product and shares
no constant with it.

An account has a plan and a size band, both of which move how much it does and whether it stays. What it does is a count
over its first 90 days. Who leaves in them is out of the comparison; whoever is left stays with a probability that rises with
the logarithm of the count and jumps at a planted value.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

WINDOW_DAYS = 90
PLANS = ("free", "team", "firm", "group")
BANDS = ("solo", "some", "many")
PLAN_SHARES = (0.4, 0.3, 0.2, 0.1)
"""Plans get rarer as they get larger."""

BAND_SHARES = ((0.7, 0.25, 0.05), (0.45, 0.4, 0.15), (0.25, 0.45, 0.3), (0.1, 0.4, 0.5))
"""Size bands by plan: larger accounts buy larger plans."""

BEHAVIOUR_BY_PLAN = np.array([-0.4, 0.0, 0.35, 0.7])
BEHAVIOUR_BY_BAND = np.array([-0.35, 0.1, 0.5])
STAYING_BY_PLAN = np.array([-0.05, 0.01, 0.05, 0.08])
STAYING_BY_BAND = np.array([-0.035, 0.01, 0.05])
EARLY_DAYS = (*range(1, 15), 30, 60)
"""Days up to which early counts are drawn."""


@dataclass(frozen=True)
class World:
    """What is planted.

    Attributes:
        at: value from which staying jumps, ≥ 10.
        reach: share of the compared accounts meant to lie at or above it.
        jump: how much more likely staying is there; 0 where nothing jumps.
        slope: rise of staying per unit of log(1 + value).
        base: share of the compared accounts meant to stay.
        confounding: factor on how much plan and size move staying; 0, not at all.
        spread: standard deviation of the log rate among accounts of one plan and band.
        early_leaving: share that leaves within the 90 days.
    """

    at: int
    reach: float
    jump: float
    slope: float
    base: float = 0.75
    confounding: float = 1.0
    spread: float = 0.9
    early_leaving: float = 0.12


@dataclass(frozen=True)
class Accounts:
    """Accounts drawn from a world, shape (accounts,) each.

    Attributes:
        plan, band: level numbers.
        value: events in the first 90 days had the account stayed so long.
        early_leaving: probability of leaving within the 90 days.
        staying: probability of staying after them.
    """

    plan: NDArray[np.intp]
    band: NDArray[np.intp]
    value: NDArray[np.int64]
    early_leaving: _Floats
    staying: _Floats


def planted(rng: np.random.Generator, *, jump: float) -> World:
    """Return a world with this jump: its place, reach, slope and spread drawn."""
    return World(
        at=int(rng.integers(10, 41)),
        reach=float(rng.uniform(0.15, 0.58)),
        jump=jump,
        slope=float(rng.uniform(0.03, 0.05)),
        spread=float(rng.uniform(0.7, 1.1)),
    )


def smooth(rng: np.random.Generator) -> World:
    """Return a world in which staying rises with the count, more steeply than beside a jump, and jumps nowhere."""
    return World(
        at=int(rng.integers(10, 41)),
        reach=float(rng.uniform(0.15, 0.58)),
        jump=0.0,
        slope=float(rng.uniform(0.05, 0.08)),
        spread=float(rng.uniform(0.7, 1.1)),
    )


def nothing(rng: np.random.Generator) -> World:
    """Return a world in which only plan and size move staying; they move behaviour as well."""
    return World(
        at=int(rng.integers(10, 41)), reach=float(rng.uniform(0.15, 0.58)), jump=0.0, slope=0.0, spread=float(rng.uniform(0.7, 1.1))
    )


def draw(world: World, rng: np.random.Generator, accounts: int) -> Accounts:
    """Return so many accounts of the world, leavers included."""
    plan = rng.choice(len(PLANS), accounts, p=PLAN_SHARES)
    bounds = np.cumsum(BAND_SHARES, axis=1)[plan][:, :-1]
    band = (rng.random(accounts)[:, None] > bounds).sum(axis=1)
    pull = BEHAVIOUR_BY_PLAN[plan] + BEHAVIOUR_BY_BAND[band]
    value = rng.poisson(np.exp(_level(world) + pull + world.spread * rng.normal(size=accounts)))
    own = world.confounding * (STAYING_BY_PLAN[plan] + STAYING_BY_BAND[band])
    lean = world.slope * np.log1p(value) + world.jump * (value >= world.at)
    staying = np.clip(world.base + own - _own_mean(world) + lean - _lean_mean(world), 0.01, 0.99)
    # who does little and sits on a small plan is the likelier to leave at once
    leaving = np.clip(world.early_leaving - own - 0.03 * (np.log1p(value) - np.log1p(world.at)), 0.01, 0.6)
    return Accounts(plan, band, value, leaving, staying)


def landmarks(world: World, rng: np.random.Generator, per_half: int) -> pd.DataFrame:
    """Return the account-level table that thresholds are sought in: so many compared accounts in each half.

    Who left within the 90 days stands beside them, as `left_before`. Twelve cohort months make a half. Columns: account_id,
    account_key, cohort_month, standing, plan, size_stratum, mrr, value, retained, and for the rules of others `left_day` (day
    of leaving within the 90, NaN else), `gone_day` (day of leaving after them, within 90 more; NaN else) and `events_{d}d`.
    """
    halves = [half(world, rng, per_half, months) for months in (range(12), range(12, 24))]
    frame = pd.concat(halves, ignore_index=True)
    order = rng.permutation(len(frame))
    frame["account_key"] = order
    frame["account_id"] = [f"account-{key:07}" for key in order]
    return frame


def half(world: World, rng: np.random.Generator, per_half: int, months: range) -> pd.DataFrame:
    """Return a half, of these cohort months: accounts as they come until so many have not left; without their keys."""
    frame = _table(world, rng, draw(world, rng, int(per_half * 1.6) + 100), months)
    is_row = (frame["standing"] == "row").to_numpy()
    last = int(np.flatnonzero(np.cumsum(is_row) == per_half)[0])
    return frame.iloc[: last + 1]


def recent(world: World, rng: np.random.Generator, accounts: int) -> pd.DataFrame:
    """Return accounts of the last months, whose outcome is not known yet; columns as `landmarks`, no one of them compared.

    `age` is how many days of each have been seen: 0 to 180.
    """
    frame = _table(world, rng, draw(world, rng, accounts), range(24, 30))
    frame["standing"] = "open"
    frame["age"] = rng.uniform(0, 2 * WINDOW_DAYS, accounts)
    frame["account_key"] = np.arange(accounts) + 10**7
    frame["account_id"] = [f"account-{key:08}" for key in frame["account_key"]]
    return frame


def _table(world: World, rng: np.random.Generator, drawn: Accounts, months: range) -> pd.DataFrame:
    count = drawn.value.size
    left = rng.random(count) < drawn.early_leaving
    retained = rng.random(count) < drawn.staying
    left_day = np.where(left, rng.uniform(0, WINDOW_DAYS, count), np.nan)
    gone_day = np.where(~left & ~retained, WINDOW_DAYS + rng.uniform(0, WINDOW_DAYS, count), np.nan)
    # who leaves half way has done half
    seen = np.where(left, np.nan_to_num(left_day) / WINDOW_DAYS, 1.0)
    value = rng.binomial(drawn.value, seen)
    calendar = pd.date_range("2021-01-01", periods=36, freq="MS")
    frame = pd.DataFrame(
        {
            "cohort_month": calendar[rng.integers(months.start, months.stop, count)],
            "standing": np.where(left, "left_before", "row"),
            "plan": np.array(PLANS)[drawn.plan],
            "size_stratum": np.array(BANDS)[drawn.band],
            "mrr": np.round(30.0 * (1 + drawn.plan) * (1 + drawn.band) * rng.uniform(0.8, 1.2, count), 2),
            "value": value.astype(np.float64),
            "retained": ~left & retained,
            "left_day": left_day,
            "gone_day": gone_day,
        }
    )
    last_day, later = float(WINDOW_DAYS), value.copy()
    for day in sorted(EARLY_DAYS, reverse=True):
        later = rng.binomial(later, part_within(day) / part_within(last_day))
        last_day = float(day)
        frame[f"events_{day}d"] = later
    return frame


def log_rate(world: World) -> tuple[float, float]:
    """Return mean and standard deviation of what moves the accounts' log rates."""
    shares = np.array(PLAN_SHARES)[:, None] * np.array(BAND_SHARES)
    pull = BEHAVIOUR_BY_PLAN[:, None] + BEHAVIOUR_BY_BAND[None, :]
    mean = float((shares * pull).sum())
    return mean, float(np.sqrt((shares * (pull - mean) ** 2).sum() + world.spread**2))


def part_within(days: float) -> float:
    """Return which part of the 90 days' events falls within the first days: early days are the busier ones."""
    return float((days / WINDOW_DAYS) ** 0.8)


def _level(world: World) -> float:
    """Return the log rate of the middle account that puts about `reach` of the accounts at or above `at`."""
    mean, spread = log_rate(world)
    return float(np.log(world.at - 0.5)) - mean - spread * _normal_point(1.0 - world.reach)


def _own_mean(world: World) -> float:
    shares = np.array(PLAN_SHARES)[:, None] * np.array(BAND_SHARES)
    own = STAYING_BY_PLAN[:, None] + STAYING_BY_BAND[None, :]
    return float(world.confounding * (shares * own).sum())


def _lean_mean(world: World) -> float:
    """Return about what the value adds to staying on average, so that `base` is about the share that stays."""
    spread = float(np.sqrt(world.spread**2 + 0.1))
    middle = np.log(world.at) - spread * _normal_point(1.0 - world.reach)
    return world.slope * float(middle) + world.jump * world.reach


def _normal_point(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)
