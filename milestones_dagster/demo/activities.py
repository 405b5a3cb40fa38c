"""The events of setup, feature use, settings and trials, and the extra traffic that makes a company large.

Put here: events that are not of conversations. Keep out: probabilities of use (`behaviour.py`).
"""

import numpy as np

from milestones_dagster.demo.accounts import Booleans, Floats, Integers, expit, uniform
from milestones_dagster.demo.behaviour import LANDMARK_DAYS, WARNING, use_probability, warning_keeps
from milestones_dagster.demo.billing import Stays, trial_begin
from milestones_dagster.demo.clock import DAY, Instants, working_rhythm
from milestones_dagster.demo.events import PRODUCT, Events, events
from milestones_dagster.demo.vocabulary import CODES, DRIVERS, HABITS, PLANS, PLATFORMS, SETTINGS, STEPS
from milestones_dagster.demo.world import World

_MOST_TEAMMATES = 60
_TRIAL_SESSIONS = 6.0
_SANDBOX_SHARE = 0.15
_ONE_INVITATION_SHARE = 0.35
_ARTICLES_ASKED = 3


def feature_use(world: World, rng: np.random.Generator, stays: Stays, contacts: Integers) -> Events:
    """Return the events of feature habits; `contacts` is the number of contacts of each stay's account."""
    row, month, habit = np.nonzero(_uses(world, rng, stays))
    seats = stays.paths.seats[row, month]
    volume = np.array([each.volume for each in HABITS], dtype=np.float32)[habit]
    breadth = np.minimum(seats.astype(np.float32) ** np.float32(0.4), 6)
    counts = 1 + rng.poisson(np.maximum(volume * breadth - 1, 0))
    cell = np.repeat(np.arange(row.size), counts)
    low, high = stays.begin[row, month][cell], stays.begin[row, month + 1][cell]
    at = working_rhythm(rng, low + (rng.random(cell.size) * (high - low)).astype(np.int64), low, high)
    kept = np.flatnonzero(at < stays.end_at[row][cell])
    cell, at = cell[kept], at[kept]
    teammate = (uniform(rng, cell.size) ** 1.5 * np.minimum(seats[cell], _MOST_TEAMMATES)).astype(np.int64)
    contact = -1 - (uniform(rng, cell.size) * contacts[row][cell]).astype(np.int64)
    actor = np.array([("teammate", "contact", "product").index(each.actor) for each in HABITS])[habit[cell]]
    code = np.array([CODES[each.event] for each in HABITS])[habit[cell]]
    user = np.choose(actor, [teammate, contact, np.full(cell.size, PRODUCT)])
    return events(stays.account[row][cell], at, code, user, 0)


def _uses(world: World, rng: np.random.Generator, stays: Stays) -> Booleans:
    """Return which habit is used in which month, (stays, months, habits)."""
    paths = stays.paths
    months = paths.ratio.shape[1]
    uses = np.zeros((len(stays), months, len(HABITS)), dtype=np.bool_)
    every = range(len(HABITS))
    for month in range(months):
        probability = use_probability(world, stays.people, every, month, paths.plan[:, month], paths.is_dormant[:, month])
        for before in (0, 1):
            is_leaving = stays.has_left & (stays.last_month - before == month)
            probability[is_leaving, WARNING] *= np.float32(warning_keeps(world, before))
        uses[:, month] = uniform(rng, len(stays), len(HABITS)) < probability
    uses[:, :, list(DRIVERS)] = paths.uses_driver
    uses &= (stays.begin[:, :-1] < stays.end_at[:, None])[:, :, None]
    return uses


def setup(rng: np.random.Generator, stays: Stays) -> Events:
    """Return the events of setup steps, with the near misses that do not complete one."""
    begin = trial_begin(stays.people, stays.begin[:, 0])
    parts = []
    for place, step in enumerate(STEPS):
        delay = stays.people.step_delay_days[:, place]
        rows = np.flatnonzero(np.isfinite(delay))
        at = stays.begin[rows, 0] + (delay[rows].astype(np.float64) * DAY).astype(np.int64)
        at = np.maximum(at, begin[rows])
        detail = np.zeros(rows.size, dtype=np.int64)
        if step.name == "install_messenger":
            detail = np.minimum((uniform(rng, rows.size) * 4).astype(np.int64), 4) % 3  # web twice as often
        if step.name == "invite_teammates":
            detail += 2
            parts.append(_earlier(rng, stays, rows, at, step.event, 1))
        if step.name == "publish_articles":
            parts.extend(_earlier(rng, stays, rows, at, step.event, 0) for _ in range(_ARTICLES_ASKED - 1))
        parts.append(events(stays.account[rows], at, CODES[step.event], 0, detail))
    draw = uniform(rng, len(stays), 2)
    sandbox = np.flatnonzero(draw[:, 0] < _SANDBOX_SHARE)
    parts.append(
        events(
            stays.account[sandbox],
            begin[sandbox] + DAY // 24,
            CODES["messenger_installed"],
            0,
            PLATFORMS.index("sandbox"),
        )
    )
    inviting = [step.name for step in STEPS].index("invite_teammates")
    alone = np.flatnonzero(np.isinf(stays.people.step_delay_days[:, inviting]) & (draw[:, 1] < _ONE_INVITATION_SHARE))
    parts.append(events(stays.account[alone], begin[alone] + DAY // 12, CODES["teammate_invited"], 0, 1))
    whole = Events(*(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True)))
    return whole.take(whole.occurred_at < stays.end_at[np.searchsorted(stays.account, whole.account)])


def _earlier(rng: np.random.Generator, stays: Stays, rows: Integers, at: Instants, event: str, detail: int) -> Events:
    """Return an event of the same kind shortly before the one that completes a step."""
    begin = trial_begin(stays.people, stays.begin[:, 0])[rows]
    sooner = np.maximum(at - (uniform(rng, rows.size) * 2 * DAY).astype(np.int64), begin)
    return events(stays.account[rows], sooner, CODES[event], 0, detail)


def settings(rng: np.random.Generator, stays: Stays) -> Events:
    """Return the events by which settings and add-ons are switched on, off and on again."""
    begin = trial_begin(stays.people, stays.begin[:, 0])
    parts = []
    for each in SETTINGS:
        is_open = np.array([plan in each.plans for plan in PLANS])[stays.people.plan]
        log_odds: Floats = np.float32(each.log_odds) + np.float32(0.2) * stays.people.intent
        rows = np.flatnonzero(is_open & (uniform(rng, len(stays)) < expit(log_odds)))
        at = begin[rows]
        stays_in = np.ones(rows.size, dtype=np.bool_)
        for name, mean_days, share in ((each.on_event, 30, 1.0), (each.off_event, 150, 0.3), (each.on_event, 40, 0.4)):
            at = at + (rng.standard_exponential(rows.size) * mean_days * DAY).astype(np.int64)
            stays_in &= (uniform(rng, rows.size) < share) & (at < stays.end_at[rows])
            parts.append(events(stays.account[rows], at, CODES[name], 0, 0).take(stays_in))
    return Events(*(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True)))


def trials(rng: np.random.Generator, stays: Stays, until: int) -> Events:
    """Return the inbox sessions of the trials."""
    begin, end = trial_begin(stays.people, stays.begin[:, 0]), np.minimum(stays.begin[:, 0], until)
    counts = rng.poisson(_TRIAL_SESSIONS * np.exp(0.3 * stays.people.intent)) * stays.people.has_trial
    row = np.repeat(np.arange(len(stays)), counts)
    at = begin[row] + (rng.random(row.size) * LANDMARK_DAYS * DAY).astype(np.int64)
    return events(stays.account[row], at, CODES["inbox_opened"], 0, 0).take(at < end[row])


def traffic(rng: np.random.Generator, stays: Stays, contacts: Integers, count: int) -> Events:
    """Return so many openings of the messenger, spread over the paid time of accounts by their length and seats."""
    length = np.maximum(stays.end_at - stays.begin[:, 0], 0).astype(np.float64)
    weight = length * np.sqrt(stays.people.seats) * (1 + rng.standard_exponential(len(stays)))
    if count <= 0 or weight.sum() <= 0:
        return events(stays.account[:0], stays.end_at[:0], 0, 0, 0)
    row = np.repeat(np.arange(len(stays)), rng.multinomial(count, weight / weight.sum()))
    at = stays.begin[row, 0] + (rng.random(row.size) * length[row]).astype(np.int64)
    contact = -1 - (uniform(rng, row.size) * contacts[row]).astype(np.int64)
    return events(stays.account[row], at, CODES["messenger_opened"], contact, 0)
