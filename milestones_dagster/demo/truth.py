"""The planted truth: which part each step, threshold and feature plays, and what the population looks like.

Population quantities are integrals over a million and more accounts drawn from the same model as the data, with
probabilities of leaving and of use in the place of drawn outcomes (Rao and Blackwell). *Associational* ones say what is
seen with what, *causal* ones what an intervention would change; they are never mixed.

Put here: roles and integrals. Keep out: the model (`behaviour.py`).
"""

from collections import defaultdict
from typing import Any

import numpy as np

from milestones_dagster.demo.accounts import Booleans, Floats, Integers, People, draw_people, expit
from milestones_dagster.demo.behaviour import (
    ACTIVATION_MONTHS,
    LANDMARK_DAYS,
    RESOLVED_SHARE,
    WARNING,
    Paths,
    done_share,
    driver_effects,
    leaving_probability,
    reward,
    simulate,
    step_effects,
    use_probability,
    warning_keeps,
)
from milestones_dagster.demo.vocabulary import DRIVERS, HABITS, PLANS, STEPS, feature_families, feature_roles
from milestones_dagster.demo.world import World

MONTHS = 7
_USE_MONTH = 3  # the month whose use is compared: the first after the activation window
_BLOCK = 20_000
_SEED = 20_230_101
_LAUNCH_SHARE = 1 / 16
_SIZE_BOUNDS = (5, 20, 100)
_STRATA = len(PLANS) * (len(_SIZE_BOUNDS) + 1)


def planted_roles(world: World) -> dict[str, Any]:
    """Return roles of steps and features, and the thresholds, as they are planted."""
    roles: dict[str, list[str]] = {"causes": [], "routine": [], "niche": [], "no_effect": []}
    for step in STEPS:
        roles[step.role].append(step.name)
    return {
        "setup_steps": roles,
        "thresholds": {
            "activation": {
                "value": world.activation_threshold,
                "unit": "conversations started in the first three months",
                "is_sharp": world.activation_jump > 0,
            },
            "usage": {
                "value": world.usage_threshold,
                "unit": "resolved conversations per seat and month",
                "is_sharp": world.usage_jump > 0,
            },
        },
        "features": feature_roles(),
        "feature_families": feature_families() if world.family_correlation else {},
        "driver_log_odds": {
            HABITS[place].features[0]: float(effect) for place, effect in zip(DRIVERS, driver_effects(world), strict=True)
        },
    }


class _Sums:
    """Weighted sums over draws: shares, two-by-two tables and their stratified difference."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Any, ...], Any] = defaultdict(float)

    def share(self, name: str, weight: Floats, outcome: Floats) -> None:
        """Add draws to a weighted mean."""
        self._sums[name, "weight"] += float(weight.sum(dtype=np.float64))
        self._sums[name, "outcome"] += float((weight * outcome).sum(dtype=np.float64))

    def split(self, name: str, weight: Floats, is_in: Floats | Booleans, outcome: Floats, stratum: Integers) -> None:
        """Add draws to the comparison of those inside (a probability or a fact) with those outside."""
        for side, part in ((1, weight * is_in), (0, weight * (1 - is_in))):
            self._sums[name, side, "weight"] += np.bincount(stratum, part, minlength=_STRATA)
            self._sums[name, side, "outcome"] += np.bincount(stratum, part * outcome, minlength=_STRATA)

    def mean(self, name: str) -> float:
        """Return a weighted mean."""
        return _ratio(self._sums[name, "outcome"], self._sums[name, "weight"])

    def comparison(self, name: str) -> dict[str, float | None]:
        """Return shares inside and outside, their difference, and the Mantel-Haenszel one over plan and size."""
        weight = [np.asarray(self._sums[name, side, "weight"]) for side in (0, 1)]
        outcome = [np.asarray(self._sums[name, side, "outcome"]) for side in (0, 1)]
        inside, outside = _ratio(outcome[1].sum(), weight[1].sum()), _ratio(outcome[0].sum(), weight[0].sum())
        total = np.maximum(weight[0] + weight[1], 1e-12)
        stratified = (outcome[1] * weight[0] - outcome[0] * weight[1]) / total
        return {
            "share_inside": _rounded(weight[1].sum() / max(weight[0].sum() + weight[1].sum(), 1e-12)),
            "outcome_inside": _rounded(inside),
            "outcome_outside": _rounded(outside),
            "difference": _rounded(inside - outside),
            "difference_within_plan_and_size": _rounded(_ratio(stratified.sum(), (weight[0] * weight[1] / total).sum())),
        }


def _ratio(outcome: float, weight: float) -> float:
    return float(outcome) / float(weight) if weight > 0 else float("nan")


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)


def population_quantities(world: World, draws: int) -> dict[str, Any]:
    """Return associational and causal population quantities over at least so many draws.

    Accounts are those that begin to pay. Who leaves within days counts as not activated. Retention is over the three
    months after the month, or window, that it is compared with, among accounts then paying and not locked by a term.
    """
    sums = _Sums()
    blocks = -(-draws // _BLOCK)
    for block in range(blocks):
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([_SEED, block])))
        cohort = rng.random(_BLOCK, dtype=np.float32) ** np.float32(0.75)
        cohort[: int(_BLOCK * _LAUNCH_SHARE)] = 0
        people = draw_people(world, rng, cohort)
        paths = simulate(world, people, rng, MONTHS)
        leaving = leaving_probability(people, paths.log_odds)
        stratum = people.plan * (len(_SIZE_BOUNDS) + 1) + np.digitize(people.seats, _SIZE_BOUNDS)
        _add_activation(world, sums, people, paths, leaving, stratum)
        _add_steps(world, sums, people, paths, rng, stratum)
        _add_use(world, sums, people, paths, leaving, stratum)
    return {"draws": blocks * _BLOCK, "associational": _associational(sums), "causal": _causal(world, sums)}


def _activated(world: World, started: Integers, leaving: Floats) -> Floats:
    """Return P(activated | the account's counts), leaving inside the window integrated out."""
    first = started[:, 0] + started[:, 1]
    so_far = np.stack([first, first + started[:, 2], first + started[:, 2] + started[:, 3]], axis=1)
    reached = so_far >= world.activation_threshold
    h0, h1 = leaving[:, 0], leaving[:, 1]
    inside: Floats = h0 * reached[:, 0] + (1 - h0) * (h1 * reached[:, 1] + (1 - h1) * reached[:, 2])
    return inside


def _add_activation(world: World, sums: _Sums, people: People, paths: Paths, leaving: Floats, stratum: Integers) -> None:
    """Add activation and what follows it, as of three months after the first paid day."""
    stays_at_first = 1 - people.early_leaving
    sums.share("activated", np.ones_like(stays_at_first), stays_at_first * _activated(world, paths.started, leaving))
    paying = stays_at_first * np.prod(1 - leaving[:, :ACTIVATION_MONTHS], axis=1)
    sums.share("paying_at_three_months", np.ones_like(paying), paying)
    sums.share("activated_among_paying", paying, paths.has_reached_activation[:, ACTIVATION_MONTHS - 1].astype(np.float32))
    free = paying * ~people.is_annual
    later = slice(ACTIVATION_MONTHS, ACTIVATION_MONTHS + 3)
    retained = np.prod(1 - leaving[:, later], axis=1)
    is_in = paths.has_reached_activation[:, ACTIVATION_MONTHS - 1]
    sums.share("retained", free, retained)
    sums.split("activation", free, is_in, retained, stratum)
    plain = paths.log_odds[:, later] + np.float32(world.activation_jump) * is_in[:, None]
    with_jump = np.prod(1 - expit(plain - np.float32(world.activation_jump)), axis=1)
    sums.share("do_activated", free, with_jump - np.prod(1 - expit(plain), axis=1))
    count = paths.activation_count
    for name, value in (("high", 2 * world.activation_threshold), ("low", world.activation_threshold / 4)):
        moved = paths.log_odds[:, later].copy()
        for place, month in enumerate(range(later.start, later.stop)):
            forced = np.full(count.shape, round(value))
            moved[:, place] += reward(world, count, paths.ratio[:, month]) - reward(world, forced, paths.ratio[:, month])
        sums.share(f"do_count_{name}", free, np.prod(1 - expit(moved), axis=1))


def _add_steps(world: World, sums: _Sums, people: People, paths: Paths, rng: np.random.Generator, stratum: Integers) -> None:
    """Add every step with activation: seen, seen from day 14 on, and intervened upon."""
    everybody = np.ones(len(people), dtype=np.float32)
    stays_at_first = 1 - people.early_leaving
    leaving = leaving_probability(people, paths.log_odds)
    after_landmark = _activated(world, paths.started, leaving)
    activated = stays_at_first * after_landmark
    rows = stays_at_first * (paths.started[:, 0] < world.activation_threshold)
    for place, step in enumerate(STEPS):
        is_done = people.step_delay_days[:, place] < LANDMARK_DAYS
        sums.split(f"step {step.name}", everybody, is_done, activated, stratum)
        sums.split(f"landmark {step.name}", rows, is_done, after_landmark, stratum)
        if step.effect * world.step_effect:
            for done in (True, False):
                forced = _with_step(world, people, paths, rng, place, done=done)
                sums.share(f"do {step.name} {done}", everybody, stays_at_first * forced)


def _with_step(world: World, people: People, paths: Paths, rng: np.random.Generator, place: int, *, done: bool) -> Floats:
    """Return P(activated) when a step is done within 14 days, or never, by everybody.

    Counts are coupled with the observed ones: conversations are added, or thinned, by the ratio of the rates.
    """
    delay = people.step_delay_days.copy()
    column = delay[:, place]
    # who would do it later, or never, does it at a place of the fortnight fixed by the account's own noise
    sooner = np.float32(LANDMARK_DAYS) * expit(people.inclination[:, place])
    delay[:, place] = np.where(column < LANDMARK_DAYS, column, sooner) if done else np.inf
    effects = step_effects(world)
    started = paths.started[:, : ACTIVATION_MONTHS + 1].copy()
    log_odds = paths.log_odds[:, :ACTIVATION_MONTHS].copy()
    kept = started.copy()
    for part in range(ACTIVATION_MONTHS + 1):
        more = (done_share(delay, part) - done_share(people.step_delay_days, part)) @ effects
        change = expit(paths.volume[:, part] + more) / expit(paths.volume[:, part])
        change = np.where(people.is_small_healthy, np.float32(1), change)
        if done:
            started[:, part] += rng.poisson(paths.expected[:, part] * np.maximum(change - 1, 0))
        else:
            kept[:, part] = rng.binomial(kept[:, part], np.minimum(change, 1))
            started[:, part] = kept[:, part]
    so_far = np.zeros(len(people), dtype=np.int64)
    seen = np.zeros(len(people), dtype=np.int64)
    for month in range(ACTIVATION_MONTHS):
        parts = slice(0, 2) if month == 0 else slice(month + 1, month + 2)
        natural, now = paths.started[:, parts].sum(axis=1), started[:, parts].sum(axis=1)
        resolved = paths.resolved[:, month]
        if done:
            resolved = resolved + rng.binomial(now - natural, RESOLVED_SHARE)
        else:
            resolved = rng.hypergeometric(resolved, natural - resolved, now)
        so_far, seen = so_far + now, seen + natural
        log_odds[:, month] += reward(world, seen, paths.ratio[:, month])
        log_odds[:, month] -= reward(world, so_far, (resolved / people.seats).astype(np.float32))
    return _activated(world, started, leaving_probability(people, log_odds))


def _add_use(world: World, sums: _Sums, people: People, paths: Paths, leaving: Floats, stratum: Integers) -> None:
    """Add usage and every feature habit of one month with retention over the three months after it."""
    later = slice(_USE_MONTH + 1, _USE_MONTH + 4)
    free = (1 - people.early_leaving) * np.prod(1 - leaving[:, : _USE_MONTH + 1], axis=1) * ~people.is_annual
    retained = np.prod(1 - leaving[:, later], axis=1)
    is_reached = paths.ratio >= world.usage_threshold
    sums.split("usage", free, is_reached[:, _USE_MONTH], retained, stratum)
    plain = paths.log_odds[:, later] + np.float32(world.usage_jump) * is_reached[:, later]
    with_jump = np.prod(1 - expit(plain - np.float32(world.usage_jump)), axis=1)
    sums.share("do_usage", free, with_jump - np.prod(1 - expit(plain), axis=1))
    for place, (habit, effect) in enumerate(zip(DRIVERS, driver_effects(world), strict=True)):
        uses = paths.uses_driver[:, :, place]
        without = paths.log_odds[:, later] + effect * uses[:, later]
        change = np.prod(1 - expit(without - effect), axis=1) - np.prod(1 - expit(without), axis=1)
        is_open = np.array([plan in HABITS[habit].plans for plan in PLANS])[paths.plan[:, _USE_MONTH]]
        sums.share(f"do use {habit}", free * is_open, change)
        _add_habit(sums, habit, free, uses[:, _USE_MONTH].astype(np.float32), retained, is_open, stratum)
    others = [habit for habit in range(len(HABITS)) if habit not in DRIVERS]
    plan = paths.plan[:, _USE_MONTH]
    used = use_probability(world, people, others, _USE_MONTH, plan, paths.is_dormant[:, _USE_MONTH])
    for column, habit in enumerate(others):
        is_open = np.array([each in HABITS[habit].plans for each in PLANS])[plan]
        if habit != WARNING:
            _add_habit(sums, habit, free, used[:, column], retained, is_open, stratum)
            continue
        # the next month's leavers use it less already: the use goes with leaving because leaving comes first
        soon = leaving[:, later.start]
        for weight, factor, outcome in ((free * soon, warning_keeps(world, 1), 0), (free * (1 - soon), 1.0, 1)):
            rest = outcome * np.prod(1 - leaving[:, later.start + 1 : later.stop], axis=1)
            _add_habit(sums, habit, weight, np.float32(factor) * used[:, column], rest, is_open, stratum)


def _add_habit(
    sums: _Sums, habit: int, weight: Floats, used: Floats, retained: Floats, is_open: Booleans, stratum: Integers
) -> None:
    sums.split(f"habit {habit}", weight, used, retained, stratum)
    sums.split(f"eligible {habit}", weight * is_open, used, retained, stratum)


def _associational(sums: _Sums) -> dict[str, Any]:
    """Return what is seen with what."""
    names = ("activated", "paying_at_three_months", "activated_among_paying", "retained")
    habits = [(place, feature) for place, habit in enumerate(HABITS) for feature in habit.features]
    return {
        **{name: _rounded(sums.mean(name)) for name in names},
        "retained_by_activated": sums.comparison("activation"),
        "retained_by_usage_reached": sums.comparison("usage"),
        "activated_by_step_within_14_days": {step.name: sums.comparison(f"step {step.name}") for step in STEPS},
        "activated_after_day_14_by_step": {step.name: sums.comparison(f"landmark {step.name}") for step in STEPS},
        "retained_by_feature_used_in_month": {
            feature: {
                **sums.comparison(f"habit {place}"),
                "share_inside_eligible": sums.comparison(f"eligible {place}")["share_inside"],
            }
            for place, feature in habits
        },
    }


def _causal(world: World, sums: _Sums) -> dict[str, Any]:
    """Return what interventions change: average effects in the same populations as the associational quantities."""
    steps: dict[str, dict[str, float | None]] = {}
    for step in STEPS:
        if step.effect * world.step_effect:
            done, never = (sums.mean(f"do {step.name} {each}") for each in (True, False))
            steps[step.name] = {
                "activated_if_done_within_14_days": _rounded(done),
                "activated_if_never_done": _rounded(never),
                "effect": _rounded(done - never),
            }
        else:
            steps[step.name] = {"effect": 0.0}
    high, low = sums.mean("do_count_high"), sums.mean("do_count_low")
    effects = {HABITS[habit].features[0]: sums.mean(f"do use {habit}") for habit in DRIVERS}
    others = [name for habit in HABITS if habit.role != "driver" for name in habit.features]
    return {
        "activated_by_step": steps,
        "retained_by_crossing_the_activation_threshold": _rounded(sums.mean("do_activated")),
        "retained_by_activation_count": {
            "count_high": round(2 * world.activation_threshold),
            "count_low": round(world.activation_threshold / 4),
            "retained_if_high": _rounded(high),
            "retained_if_low": _rounded(low),
            "effect": _rounded(high - low),
        },
        "retained_by_crossing_the_usage_threshold_every_month": _rounded(sums.mean("do_usage")),
        "retained_by_feature_used_every_month": {
            **{name: _rounded(effect) for name, effect in effects.items()},
            **dict.fromkeys(others, 0.0),
        },
    }
