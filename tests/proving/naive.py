"""What others ship, as small reference functions on the same accounts.

Put here the rules of other tools, as their public documents state them, read charitably: where a tool shows a number without
a test, its plain test is granted to it. Keep out the product and what is true.

Compass (Amplitude): the count within so many days whose correlation with staying is largest, told on the same accounts.
Signal (Mixpanel): the same over 1–10 times within 1–14 days. Correlation analysis (PostHog): odds ratio with a prior of 1
added to each cell, who converts being watched until then and everybody else for the whole window. Observation set (Gold,
"Fighting Churn with Data"): first date one period after the start, whoever has not been seen to leave counts as staying.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_Booleans = NDArray[np.bool_]
_Floats = NDArray[np.float64]

TWO_SIDED = 1.959964
PERIOD_DAYS = 30
HORIZON_DAYS = 90
SLIGHTLY = 0.2
"""Correlation from which Compass speaks of "slightly predictive"."""


@dataclass(frozen=True)
class Cell:
    """A rule "`count` times within `days` days": its correlation with staying, its gap, its accounts."""

    days: int
    count: int
    phi: float
    gap: float
    accounts: int

    @property
    def is_signal(self) -> bool:
        """The correlation is above 0 by the plain test, as if the cell had been the only one."""
        return self.phi * sqrt(self.accounts) > TWO_SIDED


def best_cell(counts: Mapping[int, NDArray[np.int64]], retained: _Booleans, most: int | None = None) -> Cell:
    """Return the cell of the largest correlation, the least count of equals; counts by days, up to `most` times."""
    found = [cell for days, value in counts.items() for cell in _cells(days, value, retained, most)]
    return max(found, key=lambda cell: (cell.phi, -cell.count), default=Cell(0, 0, 0.0, 0.0, retained.size))


def _cells(days: int, value: NDArray[np.int64], retained: _Booleans, most: int | None) -> Iterable[Cell]:
    size = int(value.max()) + 1
    total = np.bincount(value, minlength=size)[::-1].cumsum()[::-1].astype(np.float64)
    stayed = np.bincount(value[retained], minlength=size)[::-1].cumsum()[::-1].astype(np.float64)
    accounts, stayers = retained.size, int(retained.sum())
    for count in range(1, min(size, (most or size) + 1)):
        above, a = total[count], stayed[count]
        below, c = accounts - above, stayers - a
        spread = above * below * stayers * (accounts - stayers)
        if spread > 0:
            yield Cell(days, count, (a * accounts - above * stayers) / sqrt(spread), a / above - c / below, accounts)


@dataclass(frozen=True)
class Correlation:
    """An event's correlation with converting: odds ratio, its normal interval on the log scale, difference of shares."""

    odds: float
    low: float
    high: float
    gap: float

    @property
    def is_signal(self) -> bool:
        """The interval leaves 1 out, on either side."""
        return self.low > 1 or self.high < 1


def correlation(done_day: _Floats, converted_day: _Floats, window: float) -> Correlation:
    """Return the correlation of an event with converting; days from the start, infinite where it does not happen."""
    converted = converted_day < window
    did = done_day < np.where(converted, converted_day, window)
    a, b = int((did & converted).sum()) + 1, int((did & ~converted).sum()) + 1
    c, d = int((~did & converted).sum()) + 1, int((~did & ~converted).sum()) + 1
    odds, half = a * d / (b * c), TWO_SIDED * sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    gap = converted[did].mean() - converted[~did].mean() if did.any() and not did.all() else float("nan")
    return Correlation(odds, float(np.exp(log(odds) - half)), float(np.exp(log(odds) + half)), float(gap))


def observations(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per account and date 30, 60, 90 days after the start: account_key, day, churned.

    Who has left by then has no row. `churned`: seen to leave within 90 more days; who has not been watched so long and
    has not left counts as staying.

    Args:
        frame: account_key, leaving_day (NaN: not seen to leave), age (days watched; infinite where all).
    """
    parts = []
    for day in (PERIOD_DAYS, 2 * PERIOD_DAYS, 3 * PERIOD_DAYS):
        leaving = frame["leaving_day"].where(frame["leaving_day"] <= frame["age"])
        here = frame.loc[(frame["age"] >= day) & ~(leaving <= day)]
        churned = (leaving.loc[here.index] <= day + HORIZON_DAYS).to_numpy()
        parts.append(pd.DataFrame({"account_key": here["account_key"].to_numpy(), "day": day, "churned": churned}))
    return pd.concat(parts, ignore_index=True)
