"""The form of product events in memory, and the events of conversations.

Put here: how events are held, and when conversations begin, are resolved and reopened. Keep out: other events
(`activities.py`), how often anything happens (`behaviour.py`), what goes wrong with the delivery (`dirt.py`).
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.demo.accounts import Booleans, Integers, uniform
from milestones_dagster.demo.behaviour import LANDMARK_DAYS
from milestones_dagster.demo.billing import Stays, trial_begin
from milestones_dagster.demo.clock import DAY, HOUR, MILLISECOND, SECOND, Instants, working_rhythm
from milestones_dagster.demo.vocabulary import CODES

PRODUCT = 2**30
"""The user code of an event by which the product itself acted. Teammates are 0, 1, …; contacts -1, -2, …"""

_NEW_CONTACT_SHARE = 0.35
_SECOND_CONTACT_SHARE = 0.04
_REOPENED_SHARE = 0.06
_RESOLVED_AGAIN_SHARE = 0.85
_TRIAL_CONVERSATIONS = 2.0
_LONGEST_RESOLUTION_DAYS = 12.0


@dataclass(frozen=True)
class Events:
    """Events as arrays of one length; `detail` is a conversation, an invitee or a platform, by the kind of event."""

    account: NDArray[np.int32]
    occurred_at: Instants
    event: NDArray[np.int16]
    user: NDArray[np.int32]
    detail: NDArray[np.int32]

    def __len__(self) -> int:
        return self.account.size

    def take(self, rows: Integers | Booleans) -> Self:
        """Return the chosen rows in their given order."""
        return type(self)(*(getattr(self, each.name)[rows] for each in fields(self)))


def events(account: Integers, at: Instants, event: int | Integers, user: int | Integers, detail: int | Integers) -> Events:
    """Return events at these instants; the other columns are broadcast to them."""
    shape = at.shape
    return Events(
        np.broadcast_to(account, shape).astype(np.int32),
        at // MILLISECOND * MILLISECOND,
        np.broadcast_to(event, shape).astype(np.int16),
        np.broadcast_to(user, shape).astype(np.int32),
        np.broadcast_to(detail, shape).astype(np.int32),
    )


def joined(parts: list[Events]) -> Events:
    """Return all parts, by account and time."""
    whole = Events(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Events)))
    return whole.take(np.lexsort((whole.event, whole.occurred_at, whole.account)))


def places_in_groups(group: Integers) -> Integers:
    """Return 0, 1, 2, … within each run of equal values; equal values stand together."""
    if group.size == 0:
        return np.zeros(0, dtype=np.int64)
    begins = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    lengths = np.diff(np.append(begins, group.size))
    return np.arange(group.size) - np.repeat(begins, lengths)


def conversations(rng: np.random.Generator, first: Stays, second: Stays, until: int) -> tuple[Events, Integers]:
    """Return the events of conversations, and per row of `first` the number of its contacts.

    Conversations of an account are numbered by time, over its trial and both stays.
    """
    parts = [_trial_begins(rng, first, until), _begins(rng, first), _begins(rng, second)]
    account, begun_at, is_resolved, end_at = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((begun_at, account))
    account, begun_at, is_resolved, end_at = (each[order] for each in (account, begun_at, is_resolved, end_at))
    number = places_in_groups(account)
    contact, known = _contacts(rng, account, number)
    started = events(account, begun_at, CODES["conversation_started"], -1 - contact, number)
    resolved_at = begun_at + _resolution_time(rng, account.size)
    done = np.flatnonzero(is_resolved & (resolved_at < end_at))
    resolved = events(account[done], resolved_at[done], CODES["conversation_resolved"], -1 - contact[done], number[done])
    other = np.flatnonzero((uniform(rng, done.size) < _SECOND_CONTACT_SHARE) & (known[done] > 1))
    # a conversation with two contacts is resolved for both, at one instant: it must be counted once
    second_contact = (contact[done][other] + 1) % known[done][other]
    both = events(
        account[done][other], resolved_at[done][other], CODES["conversation_resolved"], -1 - second_contact,
        number[done][other],
    )  # fmt: skip
    back = np.flatnonzero(uniform(rng, done.size) < _REOPENED_SHARE)
    again = _reopened(rng, resolved.take(back), end_at[done][back])
    contacts = np.zeros(len(first), dtype=np.int64)
    np.maximum.at(contacts, np.searchsorted(first.account, account), known)
    return joined([started, resolved, both, *again]), np.maximum(contacts, 1)


def _trial_begins(rng: np.random.Generator, stays: Stays, until: int) -> tuple[Integers, Instants, Booleans, Instants]:
    """Return account, instant, whether it comes to be resolved and the end of activity for trial conversations."""
    begin, end = trial_begin(stays.people, stays.begin[:, 0]), np.minimum(stays.begin[:, 0], until)
    counts = rng.poisson(_TRIAL_CONVERSATIONS * np.exp(0.4 * stays.people.intent)) * stays.people.has_trial
    row = np.repeat(np.arange(len(stays)), counts)
    at = begin[row] + (rng.random(row.size) * DAY * LANDMARK_DAYS).astype(np.int64)
    kept = at < end[row]
    is_resolved = np.ones(int(kept.sum()), dtype=np.bool_)
    return stays.account[row][kept], at[kept], is_resolved, stays.end_at[row][kept]


def _begins(rng: np.random.Generator, stays: Stays) -> tuple[Integers, Instants, Booleans, Instants]:
    """Return the same for the conversations of paid months."""
    parts = stays.paths.started.shape[1]
    fortnight = stays.begin[:, 0] + int(LANDMARK_DAYS * DAY)
    low = np.concatenate([stays.begin[:, :1], fortnight[:, None], stays.begin[:, 1:-1]], axis=1)
    high = np.concatenate([fortnight[:, None], stays.begin[:, 1:]], axis=1)
    counts = np.where(low < stays.end_at[:, None], stays.paths.started, 0)
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    row, part = np.divmod(cell, parts)
    month = np.maximum(part - 1, 0)
    is_resolved = places_in_groups(row * parts + month) < stays.paths.resolved[row, month]
    low, high = low.ravel()[cell], high.ravel()[cell]
    at = low + (rng.random(cell.size) * (high - low)).astype(np.int64)
    at = working_rhythm(rng, at, low, high)
    kept = at < stays.end_at[row]
    return stays.account[row][kept], at[kept], is_resolved[kept], stays.end_at[row][kept]


def _contacts(rng: np.random.Generator, account: Integers, number: Integers) -> tuple[Integers, Integers]:
    """Return the contact of each conversation, and how many contacts the account has had by then."""
    is_new = (uniform(rng, account.size) < _NEW_CONTACT_SHARE) | (number == 0)
    total = np.cumsum(is_new)
    before = np.repeat((total - is_new)[number == 0], np.diff(np.append(np.flatnonzero(number == 0), account.size)))
    known = total - before
    old = (uniform(rng, account.size) * known).astype(np.int64)
    return np.where(is_new, known - 1, np.minimum(old, known - 1)), known


def _resolution_time(rng: np.random.Generator, count: int) -> Instants:
    hours = np.exp(1.1 + 1.5 * rng.standard_normal(count, dtype=np.float32))
    time: Instants = (np.minimum(hours, 24 * _LONGEST_RESOLUTION_DAYS) * HOUR).astype(np.int64) + SECOND
    return time


def _reopened(rng: np.random.Generator, resolved: Events, end_at: Instants) -> list[Events]:
    """Return the reopenings of resolved conversations and their later resolutions; some stay open."""
    code = CODES["conversation_reopened"]
    at = resolved.occurred_at + HOUR + (uniform(rng, len(resolved)) * 4 * DAY).astype(np.int64)
    reopened = events(resolved.account, at, code, resolved.user, resolved.detail)
    later = at + _resolution_time(rng, at.size)
    closes = (uniform(rng, at.size) < _RESOLVED_AGAIN_SHARE) & (later < end_at)
    closed = events(resolved.account, later, CODES["conversation_resolved"], resolved.user, resolved.detail)
    return [reopened.take(at < end_at), closed.take(closes)]
