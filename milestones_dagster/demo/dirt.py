"""The delivery of events: numbers, times of arrival, files, and on demand what goes wrong.

Put here: what happens to an event between the product and the file. Keep out: the events themselves, and the writing.
"""

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.demo.accounts import uniform
from milestones_dagster.demo.clock import DAY, HOUR, MILLISECOND
from milestones_dagster.demo.events import Events, places_in_groups
from milestones_dagster.demo.vocabulary import EVENTS
from milestones_dagster.demo.world import Dirt

UNKNOWN = len(EVENTS)
"""The code of the event name that the tracking plan does not know."""

KINDS = ("clean", "late", "duplicated", "no_time", "no_name", "no_account", "future", "unknown_name")
CLEAN, LATE, DUPLICATED, NO_TIME, NO_NAME, NO_ACCOUNT, FUTURE, UNKNOWN_NAME = range(len(KINDS))

DELIVERY = np.dtype(
    [
        ("occurred_at", "<i8"), ("received_at", "<i8"), ("account", "<i4"), ("number", "<i4"), ("user", "<i4"),
        ("detail", "<i4"), ("file_day", "<i4"), ("event", "<i2"), ("kind", "<u1"),
    ]
)  # fmt: skip
"""One delivered row: 39 bytes. `number` counts the account's events, `file_day` is days since 1970."""

Deliveries = NDArray[np.void]

_LATEST_HOURS = 5.0
_MOST_LATE_DAYS = 10
_MOST_FUTURE_DAYS = 30


def deliver(rng: np.random.Generator, events: Events) -> Deliveries:
    """Return clean deliveries, seconds to hours after the event, in the file of the event's day.

    The events stand by account and time.
    """
    count = len(events)
    rows = np.zeros(count, dtype=DELIVERY)
    draw = uniform(rng, count)
    hours = np.where(draw < 0.01, _LATEST_HOURS * uniform(rng, count), 0.0)  # noqa: PLR2004
    minutes = np.where((draw >= 0.01) & (draw < 0.1), 30 * uniform(rng, count), 0.0)  # noqa: PLR2004
    seconds = 1 + 20 * uniform(rng, count) + 60 * minutes + 3600 * hours
    rows["account"], rows["user"] = events.account, events.user
    rows["detail"], rows["event"] = events.detail, events.event
    rows["number"] = places_in_groups(events.account)
    rows["occurred_at"] = events.occurred_at
    rows["received_at"] = events.occurred_at + (seconds * 1000).astype(np.int64) * MILLISECOND
    rows["file_day"] = events.occurred_at // DAY
    return rows


def soil(rng: np.random.Generator, rows: Deliveries, dirt: Dirt, until: int) -> tuple[Deliveries, int]:
    """Return the deliveries with dirt, and how many are left out because they arrive at or after `until`.

    One event carries one kind at most.
    """
    rows = rows.copy()
    shares = (dirt.late_share, dirt.duplicate_share, dirt.malformed_share, dirt.future_share, dirt.unknown_share)
    drawn = np.searchsorted(np.cumsum(shares), rng.random(rows.size), side="right")
    late, again, malformed, future, unknown = (np.flatnonzero(drawn == each) for each in range(len(shares)))

    lateness = DAY + (uniform(rng, late.size) * (_MOST_LATE_DAYS - 1) * DAY).astype(np.int64)
    rows["received_at"][late] = rows["occurred_at"][late] + lateness // MILLISECOND * MILLISECOND
    rows["file_day"][late] = rows["received_at"][late] // DAY
    rows["kind"][late] = LATE

    rows["kind"][malformed] = np.array([NO_TIME, NO_NAME, NO_ACCOUNT])[rng.integers(0, 3, malformed.size)]

    ahead = DAY + (uniform(rng, future.size) * (_MOST_FUTURE_DAYS - 1) * DAY).astype(np.int64)
    rows["occurred_at"][future] = rows["received_at"][future] + ahead // MILLISECOND * MILLISECOND
    rows["kind"][future] = FUTURE

    rows["event"][unknown] = UNKNOWN
    rows["kind"][unknown] = UNKNOWN_NAME

    repeated = rows[again]
    repeated["received_at"] += HOUR + (uniform(rng, again.size) * DAY).astype(np.int64) // MILLISECOND * MILLISECOND
    repeated["file_day"] = repeated["received_at"] // DAY
    repeated["kind"] = DUPLICATED

    every = np.concatenate([rows, repeated])
    has_arrived = every["file_day"] < until // DAY
    return every[has_arrived], int((~has_arrived).sum())
