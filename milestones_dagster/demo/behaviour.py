"""What accounts do month after month, and how likely each is to leave: the structural model, written once.

The generator draws leaving from it; `truth.py` integrates over it. Months are counted from the first paid day and run
on as if nobody left, so that both read the same numbers. The first month has two parts, before and after day 14, the
day from which evidence about setup steps looks back and ahead.

Put here: intensities, monthly counts and the odds of leaving. Keep out: instants, users, rows of any table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milestones_dagster.demo.accounts import Booleans, Floats, Integers, People, expit, normal, uniform
from milestones_dagster.demo.clock import MONTH_DAYS
from milestones_dagster.demo.vocabulary import DRIVERS, HABITS, PLANS, STEPS
from milestones_dagster.demo.world import World

LANDMARK_DAYS = 14.0
ARTICLES = next(place for place, habit in enumerate(HABITS) if habit.event == "article_published")
PUBLISHING = next(place for place, step in enumerate(STEPS) if step.event == "article_published")
ACTIVATION_MONTHS = 3
RESOLVED_SHARE = 0.93
DORMANT_USE = 0.12
_MOST_PER_SEAT = 26.0  # conversations per seat and month that a team could at most handle
_RAMP = (0.32, 0.62, 0.85)  # volume of the first months, against the settled one
_MONTH_SD = 0.35  # of the log-odds of volume, month by month
_MONTH_MEMORY = 0.6
_DORMANCY_LASTS = 0.68  # monthly chance of staying dormant
_ANNUAL_PRESSURE = 0.6  # a renewal decides upon twelve months of odds, some of them forgotten
_PATIENCE = (1.1, 0.4)  # log-odds that keep new customers: the first months are not yet judged like later ones
_LOG_BOUNDS = (-3.5, 2.5)  # of the slopes, in doublings from the threshold


WARNING = next(place for place, habit in enumerate(HABITS) if habit.role == "warning")


def warning_keeps(world: World, months_before: int) -> float:
    """Return the factor on the use of the warning feature in the month of leaving (0) and the month before (1)."""
    return 1 - world.warning_fall * (1.0, 0.6)[months_before]


@dataclass(frozen=True)
class Paths:
    """Months of a block of accounts, (accounts, months), as if nobody left."""

    started: Integers  # (accounts, months + 1): parts [0, 14 d), [14 d, 1 month), month 2, …
    expected: Floats  # of them, by the model
    volume: Floats  # log-odds of conversations per seat, steps and the month's noise included
    resolved: Integers  # conversations of the month that come to be resolved
    ratio: Floats  # resolved per seat
    has_reached_activation: Booleans  # the count so far, of the first three months, is at or above the threshold
    activation_count: Integers  # of the first three months
    seats: Integers  # at the end of the month
    plan: Integers  # at the end of the month
    change_at: Floats  # place of the change inside the month
    is_dormant: Booleans
    uses_driver: Booleans  # (accounts, months, drivers)
    log_odds: Floats  # of leaving at the end of the month


def use_probability(world: World, people: People, which: Sequence[int], month: int, plan: Integers, is_dormant: Booleans) -> Floats:
    """Return the probability that each account uses each habit in a month, (accounts, habits)."""
    habits = [HABITS[place] for place in which]
    constant = np.array([habit.log_odds for habit in habits], dtype=np.float32)
    intent = np.array([habit.intent for habit in habits], dtype=np.float32) * np.float32(world.intent_on_behaviour)
    size = np.array([habit.size for habit in habits], dtype=np.float32) * np.float32(world.size_on_behaviour)
    is_open = np.array([[plan in habit.plans for habit in habits] for plan in PLANS])
    log_odds = people.inclination[:, list(which)] + constant
    log_odds += people.intent[:, None] * intent
    log_odds += people.size[:, None] * size
    if month == 0 and people.carried_count is None:
        log_odds -= np.float32(0.7)
    probability = expit(log_odds) * is_open[plan]
    if ARTICLES in which:  # who has not done the step publishes nothing, or the step would complete itself
        begun = people.step_delay_days[:, PUBLISHING] < month * MONTH_DAYS
        probability[:, list(which).index(ARTICLES)] *= begun
    use: Floats = np.where(is_dormant[:, None], np.float32(DORMANT_USE) * probability, probability)
    return use


def simulate(world: World, people: People, rng: np.random.Generator, months: int) -> Paths:
    """Return the months of every account as if nobody left, with the log-odds of leaving at each month's end."""
    count = len(people)
    effects = step_effects(world)
    of_drivers = driver_effects(world)
    started = np.zeros((count, months + 1), dtype=np.int64)
    expected, volume = np.zeros((2, count, months + 1), dtype=np.float32)
    resolved = np.zeros((count, months), dtype=np.int64)
    ratio = np.zeros((count, months), dtype=np.float32)
    reached = np.zeros((count, months), dtype=np.bool_)
    seats_end, plan_end = np.zeros_like(resolved), np.zeros_like(resolved)
    change_at, log_odds = np.zeros_like(ratio), np.zeros_like(ratio)
    dormant = np.zeros_like(reached)
    uses = np.zeros((count, months, len(DRIVERS)), dtype=np.bool_)
    seats, plan = people.seats.copy(), people.plan.copy()
    noise = normal(rng, count)
    is_dormant = np.zeros(count, dtype=np.bool_)
    activation = np.zeros(count, dtype=np.int64) if people.carried_count is None else people.carried_count.copy()
    for month in range(months):
        is_dormant = _dormancy(world, people, rng, month, is_dormant)
        change_at[:, month] = uniform(rng, count)
        before = seats
        if month >= ACTIVATION_MONTHS:
            seats, plan = _growth(world, rng, month, seats, plan, ratio[:, month - 1])
        weighted = before * change_at[:, month] + seats * (1 - change_at[:, month])
        for part in (0, 1) if month == 0 else (month + 1,):
            volume[:, part] = people.volume + done_share(people.step_delay_days, part) @ effects
            volume[:, part] += np.float32(_MONTH_SD) * noise
            mean = _rate(people, volume[:, part], noise) * weighted * (_length_share(part) * _ramp(people, month))
            expected[:, part] = np.where(is_dormant, np.float32(0), mean)
            started[:, part] = rng.poisson(expected[:, part])
        of_month = started[:, 0] + started[:, 1] if month == 0 else started[:, month + 1]
        resolved[:, month] = rng.binomial(of_month, RESOLVED_SHARE)
        ratio[:, month] = resolved[:, month] / weighted
        if month < ACTIVATION_MONTHS and people.carried_count is None:
            activation += of_month
        reached[:, month] = activation >= world.activation_threshold
        uses[:, month] = uniform(rng, count, len(DRIVERS)) < use_probability(world, people, DRIVERS, month, plan, is_dormant)
        log_odds[:, month] = np.float32(world.leaving_log_odds - world.patience * _patience(people, month))
        log_odds[:, month] -= _standing(world, people, is_dormant)
        log_odds[:, month] -= uses[:, month].astype(np.float32) @ of_drivers
        log_odds[:, month] -= reward(world, activation, ratio[:, month])
        seats_end[:, month], plan_end[:, month], dormant[:, month] = seats, plan, is_dormant
        noise = np.float32(_MONTH_MEMORY) * noise + np.float32(np.sqrt(1 - _MONTH_MEMORY**2)) * normal(rng, count)
    return Paths(
        started, expected, volume, resolved, ratio, reached, activation, seats_end, plan_end, change_at, dormant, uses,
        log_odds,
    )  # fmt: skip


def leaving_probability(people: People, log_odds: Floats) -> Floats:
    """Return the probability of leaving at each month's end, (accounts, months); on annual terms only at renewals."""
    monthly = expit(log_odds)
    stays = np.log1p(-monthly)
    annual = np.zeros_like(monthly)
    for renewal in range(11, monthly.shape[1], 12):
        annual[:, renewal] = -np.expm1(_ANNUAL_PRESSURE * stays[:, renewal - 11 : renewal + 1].sum(axis=1))
    return np.where(people.is_annual[:, None], annual, monthly)


def _standing(world: World, people: People, is_dormant: Booleans) -> Floats:
    """Return the log-odds of staying that no count of the month moves."""
    by_plan = np.array([0.0, 0.4, 1.0], dtype=np.float32)[people.plan]  # the first plan: upgrades follow retention
    standing: Floats = (
        np.float32(world.intent_on_retention) * people.intent
        + np.float32(world.size_on_retention) * people.size
        + np.float32(world.plan_on_retention) * by_plan
        + np.float32(world.small_healthy_on_retention) * people.is_small_healthy
        - np.float32(world.dormancy_on_retention) * is_dormant
        - np.float32(0.3 * world.cohort_drift) * (people.cohort - np.float32(0.5))
    )
    return standing


def reward(world: World, activation: Integers, ratio: Floats) -> Floats:
    """Return the log-odds of staying that come of the activation count and of the month's usage ratio."""
    value: Floats = (
        np.float32(world.activation_jump) * (activation >= world.activation_threshold)
        + np.float32(world.activation_slope) * _doublings(activation, world.activation_threshold)
        + np.float32(world.usage_jump) * (ratio >= world.usage_threshold)
        + np.float32(world.usage_slope) * _doublings(ratio, world.usage_threshold)
    )
    return value


def step_effects(world: World) -> Floats:
    """Return what each step done adds to the log-odds of volume."""
    return np.array([step.effect * world.step_effect for step in STEPS], dtype=np.float32)


def driver_effects(world: World) -> Floats:
    """Return what the use of each driving feature adds to the log-odds of staying."""
    return np.array([HABITS[place].effect * world.driver_effect for place in DRIVERS], dtype=np.float32)


def _doublings(value: Integers | Floats, threshold: float) -> Floats:
    """Return how many doublings a count is above its threshold, bounded."""
    doublings: Floats = np.clip(np.log2((1 + value.astype(np.float32)) / np.float32(1 + threshold)), *_LOG_BOUNDS)
    return doublings


def _rate(people: People, volume: Floats, noise: Floats) -> Floats:
    """Return conversations per seat and settled month."""
    rate = np.float32(_MOST_PER_SEAT) * expit(volume)
    healthy = np.float32(15.0) * np.exp(np.float32(0.1) * noise)
    return np.where(people.is_small_healthy, healthy, rate)


def _ramp(people: People, month: int) -> float:
    return _RAMP[month] if month < len(_RAMP) and people.carried_count is None else 1.0


def _patience(people: People, month: int) -> float:
    return _PATIENCE[month] if month < len(_PATIENCE) and people.carried_count is None else 0.0


def part_bounds_days(part: int) -> tuple[float, float]:
    """Return the nominal days since the first paid day at which a part begins and ends."""
    if part == 0:
        return 0.0, LANDMARK_DAYS
    if part == 1:
        return LANDMARK_DAYS, MONTH_DAYS
    return (part - 1) * MONTH_DAYS, part * MONTH_DAYS


def _length_share(part: int) -> float:
    low, high = part_bounds_days(part)
    return (high - low) / MONTH_DAYS


def done_share(delay: Floats, part: int) -> Floats:
    """Return the share of a part during which each step was done already, (accounts, steps)."""
    low, high = part_bounds_days(part)
    share: Floats = np.clip((np.float32(high) - delay) / np.float32(high - low), 0, 1)
    return share


def _dormancy(world: World, people: People, rng: np.random.Generator, month: int, is_dormant: Booleans) -> Booleans:
    """Return who is dormant this month: rarer with intent, never a small healthy account, not in the first two."""
    draw = uniform(rng, len(people))
    falls = np.float32(world.dormancy) * np.exp(np.float32(-0.6 * world.intent_on_behaviour) * people.intent)
    begins = draw < falls if month > 1 else np.zeros(len(people), dtype=np.bool_)
    now: Booleans = np.where(is_dormant, draw < _DORMANCY_LASTS, begins & ~people.is_small_healthy)
    return now


def _growth(
    world: World, rng: np.random.Generator, month: int, seats: Integers, plan: Integers, ratio: Floats
) -> tuple[Integers, Integers]:
    """Return seats and plan after this month's change: they follow staying and good use, and cause neither."""
    draw = uniform(rng, seats.size)
    tilt = np.float32(world.growth_with_use) * np.where(ratio >= world.usage_threshold, np.float32(1), np.float32(-1))
    chance = np.float32(world.growth) * (1 + tilt)
    more = np.maximum(seats + 1, np.rint(seats * (1.1 + 0.4 * uniform(rng, seats.size))).astype(np.int64))
    fewer = np.maximum(1, np.rint(seats * 0.8).astype(np.int64))
    seats_now = np.where(draw < chance, more, np.where(draw > 1 - 0.2 * world.growth, fewer, seats))
    upgrades = uniform(rng, seats.size) < world.upgrade if month > ACTIVATION_MONTHS else np.zeros(seats.size, bool)
    plan_now = np.minimum(plan + (upgrades & (seats_now == seats)), len(PLANS) - 1)
    return seats_now, plan_now
