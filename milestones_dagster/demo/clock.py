"""Calendar arithmetic on arrays of instants (microseconds since 1970, UTC) for the demonstration company.

Put here: months, days, the rhythm of the working week. Keep out: anything that knows accounts or events.
"""

from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.int64]

MILLISECOND = 1000
SECOND = 1000 * MILLISECOND
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MONTH_DAYS = 30.4375
_EPOCH = date(1970, 1, 1)
_MONDAY_OFFSET = 3  # 1 January 1970 was a Thursday
_SATURDAY = 5


def instant(day: date) -> int:
    """Return midnight UTC of a day as an instant."""
    return (day - _EPOCH).days * DAY


def moment(at: int) -> datetime:
    """Return an instant as an aware datetime."""
    return datetime.fromtimestamp(at // SECOND, tz=UTC)


def add_months(at: Instants, months: int | Instants) -> Instants:
    """Return the instants some calendar months later, clamped to the month's end, the time of day kept."""
    day = np.floor_divide(at, DAY)
    month = day.astype("datetime64[D]").astype("datetime64[M]")
    of_month = day - month.astype("datetime64[D]").astype(np.int64)
    target = month + np.asarray(months).astype("timedelta64[M]")
    first = target.astype("datetime64[D]").astype(np.int64)
    length = (target + np.timedelta64(1, "M")).astype("datetime64[D]").astype(np.int64) - first
    later: Instants = (first + np.minimum(of_month, length - 1)) * DAY + (at - day * DAY)
    return later


def month_start(day: date, months_back: int) -> date:
    """Return the day so many calendar months earlier, clamped to the month's end."""
    at = int(add_months(np.array([instant(day)]), -months_back)[0])
    return moment(at).date()


def working_rhythm(rng: np.random.Generator, at: Instants, low: Instants, high: Instants) -> Instants:
    """Return the instants moved to working hours and mostly off weekends, each still within its [low, high)."""
    day = np.floor_divide(at, DAY)
    is_weekend = (day + _MONDAY_OFFSET) % 7 >= _SATURDAY
    moved = is_weekend & (rng.random(at.size, dtype=np.float32) < 0.6)  # noqa: PLR2004
    day = day + np.where(moved, rng.integers(-3, 4, at.size), 0)
    hours = 13.0 + 3.4 * rng.standard_normal(at.size, dtype=np.float32)
    shaped = day * DAY + (np.mod(hours, 24.0) * HOUR).astype(np.int64)
    return np.where((shaped >= low) & (shaped < high), shaped, at)
