"""Worlds in which activation follows setup steps: what is planted, and accounts drawn from it.

Put here the generator of accounts whose early steps go with activation. Keep out what is called found (`lines/`) and
everything of the method: this module imports nothing of the product and shares no constant with it.

An account does a step when a normal quantity, moved by plan, size and intent, passes the step's cut. It activates with a
probability that is a sum: plan, size, the steps that are planted, early volume and intent. Intent is in no table.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

POPULATION = 1_000_000
LANDMARK_DAY = 14
WINDOW_DAYS = 90
EARLY_DAYS = 3
TIERS = ("trial size", "standard", "large")
SEATS = ("1 to 3", "4 to 15", "16 to 60", "more")
TIER_SHARES = (0.5, 0.35, 0.15)
SEAT_SHARES = (0.35, 0.3, 0.25, 0.1)
ACTIVATING_BY_TIER = np.array([-0.05, 0.03, 0.08])
ACTIVATING_BY_SEATS = np.array([-0.04, 0.0, 0.04, 0.08])
VOLUME_BY_TIER = np.array([-0.3, 0.1, 0.5])
VOLUME_BY_SEATS = np.array([-0.3, 0.0, 0.3, 0.6])


@dataclass(frozen=True)
class Step:
    """A setup step.

    Attributes:
        role: `planted`, `null`, `niche` or `routine`.
        adoption: about the share that does it within 14 days.
        effect: how much likelier activation is with it.
        by_tier, by_seats: how much a plan, a size moves doing it, standard deviations from the least to the largest.
    """

    name: str
    role: str
    adoption: float
    effect: float
    by_tier: float
    by_seats: float


@dataclass(frozen=True)
class StepWorld:
    """What is planted.

    Attributes:
        steps: in the order of the config.
        base: share that activates without any of it, on the middle plan.
        confounding: factor on how plan and size move activation; 0, not at all.
        intent_on_steps: standard deviations of doing a step per standard deviation of intent.
        intent_on_volume: log events per standard deviation of intent.
        intent_on_activation: probability of activating per standard deviation of intent.
        volume_on_activation: probability of activating per unit of log events that intent does not explain.
    """

    steps: tuple[Step, ...]
    base: float
    confounding: float = 1.0
    intent_on_steps: float = 0.0
    intent_on_volume: float = 0.0
    intent_on_activation: float = 0.0
    volume_on_activation: float = 0.02


@dataclass(frozen=True)
class Draw:
    """Accounts of a world whose window has elapsed, shape (accounts,) or (accounts, steps).

    Attributes:
        tier, seats: level numbers.
        done_day: day of each step, infinite where it is not done within the window.
        own_events: events of each step in the first 3 days.
        other_events: all other events in the first 3 days.
        before_landmark: all events before the landmark, `own_before` those of each step.
        active_days: days with an event before the landmark.
        users: distinct users before the landmark.
        is_paying: at the landmark.
        chance: probability of activating after the landmark.
        early_chance: probability of activating before it.
    """

    tier: NDArray[np.intp]
    seats: NDArray[np.intp]
    done_day: _Floats
    own_events: NDArray[np.int64]
    other_events: NDArray[np.int64]
    before_landmark: NDArray[np.int64]
    own_before: NDArray[np.int64]
    active_days: NDArray[np.int64]
    users: NDArray[np.int64]
    is_paying: NDArray[np.bool_]
    chance: _Floats
    early_chance: _Floats

    @property
    def done(self) -> NDArray[np.bool_]:
        """Step done before the landmark."""
        return self.done_day < LANDMARK_DAY


def mixed(rng: np.random.Generator, *, intent: str = "none") -> StepWorld:
    """Return a world with 4 planted steps, 4 null, 2 niche and 2 routine, in any order.

    `intent`: `none`; `latent`, an unseen one that moves steps, volume and activation; `strong`, one that moves them more than
    any planted step does.
    """
    steps = [_step(rng, "planted", rng.uniform(0.26, 0.48), rng.uniform(0.125, 0.17)) for _ in range(4)]
    steps += [_step(rng, "null", rng.uniform(0.25, 0.60), 0.0) for _ in range(4)]
    steps += [_step(rng, "niche", rng.uniform(0.005, 0.025), 0.0) for _ in range(2)]
    steps += [_step(rng, "routine", rng.uniform(0.980, 0.995), 0.0) for _ in range(2)]
    named = tuple(_named(step, place) for place, step in enumerate(steps[index] for index in rng.permutation(len(steps))))
    if intent == "none":
        return StepWorld(named, base=0.04)
    on_activation = (0.04, 0.10) if intent == "latent" else (0.14, 0.18)
    return StepWorld(
        named,
        base=0.04 if intent == "latent" else 0.15,
        intent_on_steps=float(rng.uniform(0.3, 0.8)),
        intent_on_volume=float(rng.uniform(0.2, 0.6)),
        intent_on_activation=float(rng.uniform(*on_activation)),
    )


def nothing(rng: np.random.Generator, *, confounding: float = 1.0) -> StepWorld:
    """Return a world of 8 steps without effect; plan and size move doing them, and by `confounding` activating."""
    steps = [_step(rng, "null", rng.uniform(0.15, 0.75), 0.0) for _ in range(8)]
    return StepWorld(
        tuple(_named(step, place) for place, step in enumerate(steps)), base=0.35, confounding=confounding, volume_on_activation=0.0
    )


def draw(world: StepWorld, rng: np.random.Generator, accounts: int) -> Draw:
    """Return so many accounts of the world."""
    people = _people(world, rng, accounts)
    tier, seats, intent, done, noise = people.tier, people.seats, people.intent, people.done, people.noise
    shape = done.shape
    # most is done in the first days; who has not by day 14 may yet, and activates no likelier for it
    soon = LANDMARK_DAY * rng.random(shape) ** 1.7
    late = np.where(rng.random(shape) < 0.25, rng.uniform(LANDMARK_DAY, WINDOW_DAYS, shape), np.inf)
    day = np.where(done, soon, late)
    own_before = np.where(done, 1 + rng.poisson(0.6, shape), 0)
    own = np.where(day < EARLY_DAYS, own_before, 0)
    log_rate = 1.7 + VOLUME_BY_TIER[tier] + VOLUME_BY_SEATS[seats] + world.intent_on_volume * intent + 0.5 * noise
    # the first days have a mood of their own, and so has what comes after them
    other = rng.poisson(np.exp(log_rate + 0.4 * rng.normal(size=accounts)))
    rest = rng.poisson(np.exp(log_rate + 0.7 + 0.4 * rng.normal(size=accounts)))
    active = rng.binomial(LANDMARK_DAY, 1 - np.exp(-np.exp(log_rate - 1.7) * 0.6))
    users = 1 + rng.poisson(np.exp(0.5 * (log_rate - 1.7) + 0.5 * VOLUME_BY_SEATS[seats]) * 0.8)
    return Draw(
        tier=tier,
        seats=seats,
        done_day=day,
        own_events=own,
        other_events=other,
        before_landmark=other + rest + own_before.sum(axis=1),
        own_before=own_before,
        active_days=active,
        users=users,
        is_paying=rng.random(accounts) < people.paying,
        chance=people.chance,
        early_chance=people.early_chance,
    )


@dataclass(frozen=True)
class _People:
    """What an account is and tends to, before anything of it is counted; `paying` is the probability of it."""

    tier: NDArray[np.intp]
    seats: NDArray[np.intp]
    intent: _Floats
    noise: _Floats
    done: NDArray[np.bool_]
    chance: _Floats
    early_chance: _Floats
    paying: _Floats


def _people(world: StepWorld, rng: np.random.Generator, accounts: int) -> _People:
    tier = rng.choice(len(TIERS), accounts, p=TIER_SHARES)
    seats = rng.choice(len(SEATS), accounts, p=SEAT_SHARES)
    intent, noise = rng.normal(size=accounts), rng.normal(size=accounts)
    done = np.stack([_does(step, world, rng, tier, seats, intent) for step in world.steps], axis=1)
    own = world.confounding * (ACTIVATING_BY_TIER[tier] + ACTIVATING_BY_SEATS[seats])
    chance = world.base + own + world.intent_on_activation * intent + world.volume_on_activation * 0.5 * noise
    for place, step in enumerate(world.steps):
        chance += step.effect * done[:, place]
    early = np.clip(0.06 + 0.5 * own + 0.3 * world.intent_on_activation * intent, 0.005, 0.5)
    return _People(tier, seats, intent, noise, done, np.clip(chance, 0.01, 0.99), early, 0.94 + 0.02 * tier)


@dataclass(frozen=True)
class Company:
    """Accounts with what became of them.

    Attributes:
        drawn: the accounts.
        frame: one row per account and step, as the comparison at day 14 reads it, in any order.
        activated_day: day of activation, infinite where there is none within the window.
    """

    drawn: Draw
    frame: pd.DataFrame
    activated_day: _Floats


def company(world: StepWorld, rng: np.random.Generator, accounts: int) -> Company:
    """Return accounts whose window has elapsed, and what became of them."""
    drawn = draw(world, rng, accounts)
    early = rng.random(accounts) < drawn.early_chance
    after = drawn.is_paying & ~early & (rng.random(accounts) < drawn.chance)
    day = np.where(early, LANDMARK_DAY * rng.random(accounts), np.inf)
    day = np.where(after, LANDMARK_DAY + (WINDOW_DAYS - LANDMARK_DAY) * rng.random(accounts) ** 1.5, day)
    total = drawn.other_events + drawn.own_events.sum(axis=1)
    base = {
        "account_key": np.arange(accounts),
        "account_id": [f"account-{key:06}" for key in range(accounts)],
        "landmark_days": LANDMARK_DAY,
        "is_paying": drawn.is_paying,
        "is_activated_before": early,
        "is_activated_after": after,
        "plan": np.array(TIERS)[drawn.tier],
        "size_stratum": np.array(SEATS)[drawn.seats],
        "mrr": np.round(40.0 * (1 + drawn.tier) * (1 + drawn.seats), 2),
    }
    parts = [
        pd.DataFrame(
            {
                **base,
                "step": step.name,
                "is_done": drawn.done[:, place],
                "early_events": (total - drawn.own_events[:, place]).astype(np.float64),
                "events_before": (drawn.before_landmark - drawn.own_before[:, place]).astype(np.float64),
                "active_days": drawn.active_days,
                "users": drawn.users,
            }
        )
        for place, step in enumerate(world.steps)
    ]
    return Company(drawn, pd.concat(parts, ignore_index=True), day)


def true_effects(world: StepWorld, seed: int, accounts: int = POPULATION) -> dict[str, float]:
    """Return by how much each step moves activation on average over the compared accounts of the population.

    From the probabilities, nothing drawn but the accounts: who is compared counts with the probability of being so.
    """
    drawn = _people(world, np.random.default_rng([seed, 1]), accounts)
    weight = drawn.paying * (1 - drawn.early_chance)
    found = {}
    for place, step in enumerate(world.steps):
        gain = np.zeros(accounts)
        if step.effect:
            did = drawn.done[:, place]
            # clipping is part of the truth: where activation is nearly certain a step adds less
            other = np.clip(drawn.chance + np.where(did, -step.effect, step.effect), 0.01, 0.99)
            gain = np.where(did, drawn.chance - other, other - drawn.chance)
        found[step.name] = float((weight * gain).sum() / weight.sum())
    return found


def _does(
    step: Step, world: StepWorld, rng: np.random.Generator, tier: NDArray[np.intp], seats: NDArray[np.intp], intent: _Floats
) -> NDArray[np.bool_]:
    pull = step.by_tier * (tier / (len(TIERS) - 1) - 0.3) + step.by_seats * (seats / (len(SEATS) - 1) - 0.37)
    # plan and size add about a sixth of their range squared to the variance
    spread = float(np.sqrt(1 + world.intent_on_steps**2 + (step.by_tier**2 + step.by_seats**2) / 7.5))
    cut = NormalDist().inv_cdf(1 - step.adoption) * spread
    done: NDArray[np.bool_] = pull + world.intent_on_steps * intent + rng.normal(size=intent.size) > cut
    return done


def _step(rng: np.random.Generator, role: str, adoption: float, effect: float) -> Step:
    # what nearly all or nearly nobody does is so on every plan
    pulls = (0.0, 0.0) if role in {"niche", "routine"} else (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.0, 0.6)))
    return Step("", role, float(adoption), float(effect), *pulls)


def _named(step: Step, place: int) -> Step:
    return Step(f"step_{place:02}", step.role, step.adoption, step.effect, step.by_tier, step.by_seats)
