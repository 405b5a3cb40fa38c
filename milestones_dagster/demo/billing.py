"""When accounts pay: stays with their months, leaving, gaps and returns, and the rows of the subscriptions table.

Put here: instants of the calendar that follow from the model's probabilities. Keep out: what accounts do in their
months (`behaviour.py`) and events (`events.py`).
"""

from dataclasses import dataclass

import numpy as np

from milestones_dagster.demo.accounts import TRIAL_DAYS, Booleans, Floats, Integers, People, uniform
from milestones_dagster.demo.behaviour import ACTIVATION_MONTHS, Paths, leaving_probability, simulate
from milestones_dagster.demo.clock import DAY, HOUR, SECOND, Instants, add_months
from milestones_dagster.demo.vocabulary import PLAN_PRICES_USD
from milestones_dagster.demo.world import World

NEVER = np.iinfo(np.int64).max
_ANNUAL_DISCOUNT = 0.15
_EARLY_DAYS = (0.3, 12.0)
_RETURN_AFTER_DAYS = 9.0
_RETURN_MEAN_DAYS = 70.0


@dataclass(frozen=True)
class Stays:
    """Paid stays, one row each: the first of every account, or the second of those who came back."""

    account: Integers  # number of the account in the company
    people: People
    paths: Paths
    begin: Instants  # instants at which the months begin, (stays, months + 1)
    gap: Integers  # microseconds without payment at the month's beginning, (stays, months)
    end_at: Instants  # leaving, or the end of the data
    has_left: Booleans
    last_month: Integers  # the month in which the stay ends

    def __len__(self) -> int:
        return self.account.size


def settle(
    world: World,
    rng: np.random.Generator,
    account: Integers,
    people: People,
    first_paid_at: Instants,
    months: int,
    until: int,
) -> Stays:
    """Return the stays that begin at these instants, lived until they end or the data do."""
    paths = simulate(world, people, rng, months)
    begin = np.stack([add_months(first_paid_at, month) for month in range(months + 1)], axis=1)
    leaves = uniform(rng, len(people), months) < leaving_probability(people, paths.log_odds)
    does_leave = leaves.any(axis=1)
    last_month = np.where(does_leave, leaves.argmax(axis=1), months - 1)
    end_at = np.where(does_leave, begin[np.arange(len(people)), last_month + 1], NEVER)
    is_early = uniform(rng, len(people)) < people.early_leaving
    early_days = _EARLY_DAYS[0] + (_EARLY_DAYS[1] - _EARLY_DAYS[0]) * uniform(rng, len(people))
    if people.carried_count is None:
        end_at = np.where(is_early, first_paid_at + (early_days * DAY).astype(np.int64), end_at)
        last_month = np.where(is_early, 0, last_month)
    end_at = np.where(people.is_trial_only, first_paid_at, end_at) // SECOND * SECOND
    has_left = end_at < until
    gap = (uniform(rng, len(people), months) < world.billing_gap_share) * (
        DAY + (5 * DAY * uniform(rng, len(people), months)).astype(np.int64) // SECOND * SECOND
    )
    gap[:, 0] = 0
    gap[begin[:, :-1] + gap + HOUR >= np.minimum(end_at, until)[:, None]] = 0
    return Stays(account, people, paths, begin, gap, np.minimum(end_at, until), has_left, last_month)


def returns(world: World, rng: np.random.Generator, first: Stays, months: int, until: int) -> Stays:
    """Return the second stays of the leavers who come back before the data end."""
    chooses = uniform(rng, len(first)) < world.return_share
    away_days = _RETURN_AFTER_DAYS + rng.standard_exponential(len(first)) * _RETURN_MEAN_DAYS
    back_at = first.end_at + (away_days * DAY).astype(np.int64) // SECOND * SECOND
    rows = np.flatnonzero(first.has_left & ~first.people.is_trial_only & chooses & (back_at < until))
    elapsed_days = ((back_at - first.begin[:, 0])[rows, None] / DAY).astype(np.float32)
    last = first.last_month[rows]
    stayed_days = ((first.end_at - first.begin[:, 0])[rows, None] / DAY).astype(np.float32)
    delay = first.people.step_delay_days[rows]
    counted = np.arange(ACTIVATION_MONTHS + 1)[None, :] <= last[:, None] + 1
    people = first.people.take(
        rows,
        seats=first.paths.seats[rows, last],
        # a step not done by the time of leaving is never done: no event of it could be seen
        step_delay_days=np.where(delay < stayed_days, delay - elapsed_days, np.float32(np.inf)),
        carried_count=(first.paths.started[rows, : ACTIVATION_MONTHS + 1] * counted).sum(axis=1),
    )
    return settle(world, rng, first.account[rows], people, back_at[rows], months, until)


def trial_begin(people: People, first_paid_at: Instants) -> Instants:
    """Return when the account signed up: the beginning of its trial, or its first paid day."""
    return first_paid_at - people.has_trial * int(TRIAL_DAYS * DAY)


@dataclass(frozen=True)
class Subscriptions:
    """Rows of the subscriptions table as arrays; `ended_at` is NEVER while a row lasts, `term_months` 0 in a trial."""

    account: Integers
    stay: Integers  # 1 or 2: the number of the subscription
    plan: Integers
    seats: Integers
    mrr_usd: Floats
    started_at: Instants
    ended_at: Instants
    is_trial: Booleans
    term_months: Integers
    anchor_at: Instants
    recorded_at: Instants


def subscription_rows(rng: np.random.Generator, first: Stays, second: Stays, until: int) -> Subscriptions:
    """Return the rows of both stays and of the trials, by account and start."""
    parts = [_trial_rows(first, until), _paid_rows(first, 1, until), _paid_rows(second, 2, until)]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[5], columns[0]))
    account, stay, plan, seats, mrr, started, ended, is_trial, term, anchor = (column[order] for column in columns)
    late = np.where(uniform(rng, account.size) < 0.01, 3 * DAY, 5 * 60 * SECOND)  # noqa: PLR2004
    recorded = started + (late * (0.05 + 0.95 * uniform(rng, account.size))).astype(np.int64) // SECOND * SECOND
    return Subscriptions(
        account=account, stay=stay, plan=plan, seats=seats, mrr_usd=mrr, started_at=started, ended_at=ended,
        is_trial=is_trial, term_months=term, anchor_at=anchor,
        recorded_at=np.minimum(recorded, np.maximum(started, until - SECOND)),
    )  # fmt: skip


_Rows = tuple[
    Integers, Integers, Integers, Integers, Floats, Instants, Instants, Booleans, Integers, Instants
]  # fmt: skip


def _trial_rows(stays: Stays, until: int) -> _Rows:
    people = stays.people
    rows = np.flatnonzero(people.has_trial)
    paid_at = stays.begin[rows, 0]
    started = trial_begin(people, stays.begin[:, 0])[rows]
    zero = np.zeros(rows.size, dtype=np.int64)
    return (
        stays.account[rows], zero + 1, people.plan[rows], people.seats[rows], zero.astype(np.float32), started,
        np.where(paid_at < until, paid_at, NEVER), np.ones(rows.size, dtype=np.bool_), zero, started,
    )  # fmt: skip


def _paid_rows(stays: Stays, number: int, until: int) -> _Rows:
    """Return one row per state of seats and plan, and one after each unpaid gap."""
    paths, begin = stays.paths, stays.begin
    months = stays.gap.shape[1]
    seats_before = np.concatenate([stays.people.seats[:, None], paths.seats[:, :-1]], axis=1)
    plan_before = np.concatenate([stays.people.plan[:, None], paths.plan[:, :-1]], axis=1)
    length = begin[:, 1:] - begin[:, :-1]
    change_at = begin[:, :-1] + (paths.change_at * length).astype(np.int64) // SECOND * SECOND
    change_at = np.maximum(change_at, begin[:, :-1] + stays.gap + SECOND)
    alive = np.minimum(stays.end_at, until)[:, None]
    changes = (paths.seats != seats_before) | (paths.plan != plan_before)
    changes &= change_at < alive
    resumes = stays.gap > 0
    opens = np.zeros((len(stays), months), dtype=np.bool_)
    opens[:, 0] = begin[:, 0] < alive[:, 0]
    found = [np.nonzero(each) for each in (opens, resumes, changes)]
    row = np.concatenate([each[0] for each in found])
    month = np.concatenate([each[1] for each in found])
    kind = np.repeat([0, 1, 2], [each[0].size for each in found])
    is_change = kind == 2  # noqa: PLR2004
    started = np.where(is_change, change_at[row, month], (begin[:, :-1] + stays.gap)[row, month])
    seats = np.where(is_change, paths.seats[row, month], seats_before[row, month])
    plan = np.where(is_change, paths.plan[row, month], plan_before[row, month])
    stopped = np.where(kind == 1, begin[row, month], started)  # when the row before ended
    order = np.lexsort((started, row))
    row, started, seats, plan, stopped = (each[order] for each in (row, started, seats, plan, stopped))
    is_last = np.append(row[1:] != row[:-1], True) if row.size else np.zeros(0, dtype=np.bool_)
    at_end = np.where(stays.has_left[row], stays.end_at[row], NEVER)
    ended = np.where(is_last, at_end, np.append(stopped[1:], 0) if row.size else stopped)
    is_annual = stays.people.is_annual[row]
    price = np.array(PLAN_PRICES_USD)[plan] * seats * np.where(is_annual, 1 - _ANNUAL_DISCOUNT, 1.0)
    return (
        stays.account[row], np.full(row.size, number), plan, seats, np.round(price, 2), started, ended,
        np.zeros(row.size, dtype=np.bool_), np.where(is_annual, 12, 1), begin[row, 0],
    )  # fmt: skip
