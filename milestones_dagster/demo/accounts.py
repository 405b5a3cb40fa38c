"""Who the accounts are before they do anything: intent, size, plan, terms, inclinations, delays of setup steps.

Put here: what is drawn once per account. Keep out: what happens month after month (`behaviour.py`) and instants of the
calendar (`billing.py`): times here are days since the account's first paid day.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.demo.vocabulary import COUNTRIES, FAMILIES, HABITS, INDUSTRIES, STEPS
from milestones_dagster.demo.world import World

Floats = NDArray[np.floating[Any]]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.integer[Any]]

TRIAL_DAYS = 14.0
LOG_SEATS_MEAN = 0.65
LOG_SEATS_SD = 1.05
_MOST_SEATS = 400
_STEP_DELAY_SD = 0.9
_MOST_DELAYED_DAYS = 150.0


@dataclass(frozen=True)
class People:
    """A block of accounts. Arrays have one row per account; steps and habits are columns in the vocabulary's order."""

    cohort: Floats  # place between the first sign-up (0) and the last (1)
    intent: Floats  # appears in no table
    seats: Integers
    size: Floats  # standardised log seats
    plan: Integers  # index into PLANS
    is_annual: Booleans
    has_trial: Booleans
    is_trial_only: Booleans
    is_small_healthy: Booleans
    early_leaving: Floats  # probability of leaving within twelve days
    volume: Floats  # log-odds of conversations per seat, before steps
    step_delay_days: Floats  # (accounts, steps): since the first paid day, negative in the trial, inf when never done
    inclination: Floats  # (accounts, habits): the account's own log-odds of use
    industry: Integers
    country: Integers
    carried_count: Integers | None = field(default=None)  # activation count of an earlier stay: who returns

    def __len__(self) -> int:
        return self.intent.size

    def take(self, rows: Integers | Booleans, **changes: Any) -> Self:
        """Return the chosen rows, some columns replaced."""
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        chosen = {name: None if column is None else column[rows] for name, column in columns.items()}
        return replace(self, **{**chosen, **changes})


def expit(log_odds: Floats) -> Floats:
    """Return probabilities of log-odds."""
    result: Floats = np.float32(1) / (np.float32(1) + np.exp(-log_odds))
    return result


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    """Return standard normal draws."""
    return rng.standard_normal(shape, dtype=np.float32)


def uniform(rng: np.random.Generator, *shape: int) -> Floats:
    """Return uniform draws in [0, 1)."""
    return rng.random(shape, dtype=np.float32)


def draw_people(world: World, rng: np.random.Generator, cohort: Floats) -> People:
    """Return accounts that signed up at these places of the time line (0 to 1).

    The draws depend on the generator and the number of accounts alone.
    """
    count = cohort.size
    drift = np.float32(world.cohort_drift) * (cohort - np.float32(0.5))
    intent = normal(rng, count) - np.float32(0.3) * drift
    is_small_healthy = uniform(rng, count) < world.small_healthy_share
    seats = np.rint(np.exp(LOG_SEATS_MEAN + LOG_SEATS_SD * normal(rng, count))).astype(np.int64)
    small = 1 + (uniform(rng, count) < 0.4).astype(np.int64)  # noqa: PLR2004
    seats = np.where(is_small_healthy, small, np.clip(seats, 1, _MOST_SEATS))
    size = ((np.log(seats) - LOG_SEATS_MEAN) / LOG_SEATS_SD).astype(np.float32)
    plan = _draw_plan(rng, size, intent)
    annual_odds = _log_odds(world.annual_share) + 0.4 * (plan == 1) + 1.0 * (plan == 2) - 0.25 + 0.3 * size  # noqa: PLR2004
    is_annual = uniform(rng, count) < expit(annual_odds.astype(np.float32))
    has_trial = uniform(rng, count) < world.trial_share
    early = expit(_log_odds(world.early_leaving_share) - np.float32(world.intent_on_retention) * intent)
    delay = _draw_step_delays(world, rng, intent, size, plan)
    return People(
        cohort=cohort,
        intent=intent,
        seats=seats,
        size=size,
        plan=plan,
        is_annual=is_annual,
        has_trial=has_trial,
        is_trial_only=has_trial & (uniform(rng, count) < world.trial_only_share),
        is_small_healthy=is_small_healthy,
        early_leaving=early,
        volume=_draw_volume(world, rng, intent, size, plan),
        step_delay_days=delay - np.float32(TRIAL_DAYS) * has_trial[:, None],
        inclination=_draw_inclination(world, rng, count),
        industry=rng.integers(0, len(INDUSTRIES), count),
        country=rng.integers(0, len(COUNTRIES), count),
    )


def _log_odds(share: float) -> np.float32:
    return np.float32(np.log(max(share, 1e-9) / max(1 - share, 1e-9)))


def _draw_plan(rng: np.random.Generator, size: Floats, intent: Floats) -> Integers:
    """Return plan indices: a choice that grows with size and intent."""
    growth = np.exp(-0.3 + 0.5 * size + 0.3 * intent)
    premium = np.exp(-2.2 + 0.9 * size + 0.5 * intent)
    place = uniform(rng, size.size) * (1 + growth + premium)
    plan: Integers = (place > 1).astype(np.int64) + (place > 1 + growth)
    return plan


def _draw_volume(world: World, rng: np.random.Generator, intent: Floats, size: Floats, plan: Integers) -> Floats:
    """Return the log-odds of conversations per seat, without setup steps."""
    by_plan = np.array([0.0, 0.15, 0.4], dtype=np.float32)[plan]
    volume: Floats = (
        np.float32(-2.85)
        + np.float32(0.8 * world.intent_on_behaviour) * intent
        - np.float32(0.3 * world.size_on_behaviour) * size
        + np.float32(world.plan_on_behaviour) * by_plan
        + np.float32(0.9) * normal(rng, size.size)
    )
    return volume


def _draw_step_delays(world: World, rng: np.random.Generator, intent: Floats, size: Floats, plan: Integers) -> Floats:
    """Return days from the beginning (trial or first paid day) to each setup step, inf for a step never done."""
    delay = np.empty((size.size, len(STEPS)), dtype=np.float32)
    for place, step in enumerate(STEPS):
        log_odds = (
            np.float32(step.log_odds)
            + np.float32(step.intent * world.intent_on_behaviour) * intent
            + np.float32(step.size * world.size_on_behaviour) * size
            + np.float32(step.plan * world.plan_on_behaviour) * plan.astype(np.float32)
        )
        is_done = uniform(rng, size.size) < expit(log_odds)
        hurry = np.float32(0.25 * world.intent_on_behaviour) * intent
        days = np.float32(step.delay_days) * np.exp(np.float32(_STEP_DELAY_SD) * normal(rng, size.size) - hurry)
        delay[:, place] = np.where(is_done, np.minimum(days, _MOST_DELAYED_DAYS), np.inf)
    return delay


def _draw_inclination(world: World, rng: np.random.Generator, count: int) -> Floats:
    """Return each account's own log-odds per habit; members of a family share a part of theirs."""
    shared = normal(rng, count, len(FAMILIES))
    own = normal(rng, count, len(HABITS))
    for place, habit in enumerate(HABITS):
        if habit.family:
            common = shared[:, FAMILIES.index(habit.family)]
            own[:, place] *= np.float32(np.sqrt(1 - world.family_correlation))
            own[:, place] += np.float32(np.sqrt(world.family_correlation)) * common
        own[:, place] *= np.float32(habit.spread)
    return own
