"""Defines the search for a threshold: candidates, how each divides the accounts, and the pick.

Put here what finds a value on a set of accounts, once or in every resample of them. Keep out what the value is worth on
other accounts (`thresholds.py`) and how sure it is (`threshold_resamples.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import Strata, cmh
from milestones_dagster.evidence.strata import crossed

_Floats = NDArray[np.float64]

_TIE = 1e-9
"""Relative difference of two χ² below which they are the same number, computed in another order."""

_BATCH = 50
"""Resamples that are tested at once; beyond it memory grows and time does not fall."""


@dataclass(frozen=True)
class Rows:
    """Accounts of a landmark comparison, one row each, in the order of their keys.

    Attributes:
        accounts: keys, ascending, each once.
        value: behaviour before the landmark, finite.
        retained: outcome after it.
        strata: number of the plan × size stratum, 0 … ; an unknown plan or size is a level of its own.
        cohort_months: first day of the tenure's first month.
    """

    accounts: NDArray[np.int64]
    value: _Floats
    retained: NDArray[np.bool_]
    strata: NDArray[np.intp]
    cohort_months: NDArray[np.datetime64]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Rows":
        """Return the rows of a frame with account_key, value, retained, plan, size_stratum and cohort_month.

        Raises:
            ValueError: an account has two rows, or a value is missing or infinite.
        """
        needed = ["account_key", "value", "retained", "plan", "size_stratum", "cohort_month"]
        ordered = frame[needed].sort_values("account_key", ignore_index=True)
        accounts = ordered["account_key"].to_numpy(dtype=np.int64)
        if np.unique(accounts).size != accounts.size:
            raise ValueError("an account has more than one row; a threshold is sought on one row per account")
        values = ordered["value"].to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isfinite(values).all():
            raise ValueError(f"{(~np.isfinite(values)).sum():,} rows have no finite value")
        return cls(
            accounts,
            values,
            ordered["retained"].astype(bool).to_numpy(dtype=np.bool_),
            crossed(ordered["plan"], ordered["size_stratum"]),
            ordered["cohort_month"].to_numpy(dtype="datetime64[D]"),
        )

    def where(self, kept: NDArray[np.bool_]) -> "Rows":
        """Return the rows where `kept`; strata keep their numbers."""
        return Rows(self.accounts[kept], self.value[kept], self.retained[kept], self.strata[kept], self.cohort_months[kept])

    def with_value(self, value: _Floats) -> "Rows":
        """Return the same accounts with another behaviour."""
        return replace(self, value=value)

    def with_outcome(self, retained: NDArray[np.bool_]) -> "Rows":
        """Return the same accounts with another outcome."""
        return replace(self, retained=retained)

    @property
    def size(self) -> int:
        """Number of rows, and of accounts."""
        return int(self.accounts.size)


def halves(cohort_months: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Return which rows are in the earlier half: whole cohort months, the cut nearest to half of the rows.

    Of two cuts equally near the earlier one. All rows are in the earlier half when there is one month alone.
    """
    months, counts = np.unique(cohort_months, return_counts=True)
    if months.size <= 1:
        return np.ones(cohort_months.size, dtype=np.bool_)
    before = np.cumsum(counts)[:-1]
    cut = int(np.argmin(np.abs(2 * before - cohort_months.size)))
    is_earlier: NDArray[np.bool_] = cohort_months <= months[cut]
    return is_earlier


@dataclass(frozen=True)
class Searched:
    """What the search found in each of several weightings of the same rows; unused places are NaN.

    Attributes:
        candidates: ascending, shape (weightings, places).
        tables: "value ≥ candidate" × retained, shape (weightings, places, strata).
        chi2: Cochran–Mantel–Haenszel, without continuity correction, shape (weightings, places).
        direction: 1 where those at or above stay more often than expected, −1 less, shape (weightings, places).
        picks: the picked candidate, NaN where none is positive, shape (weightings,).
    """

    candidates: _Floats
    tables: Strata
    chi2: _Floats
    direction: _Floats
    picks: _Floats


class Search:
    """The search for a threshold on one set of accounts, ready to be repeated with other weights of them.

    Args:
        rows: at least one.
        reach: least and greatest share of the rows at or above a candidate.
        most_candidates: above so many distinct values within reach, so many evenly spaced quantiles instead.
    """

    def __init__(self, rows: Rows, reach: tuple[float, float], most_candidates: int = 40) -> None:
        self.rows = rows
        self._reach = reach
        self._most = most_candidates
        self._distinct, self._codes = np.unique(rows.value, return_inverse=True)
        self._strata = int(rows.strata.max()) + 1
        self._cell = rows.strata * 2 + rows.retained

    @cached_property
    def plain(self) -> Searched:
        """The search with every account counted once."""
        return self.weighted([np.ones(self.rows.size)])

    @property
    def candidates(self) -> _Floats:
        """Candidates of the plain search, ascending."""
        found: _Floats = self.plain.candidates[0]
        return found[np.isfinite(found)]

    @property
    def pick(self) -> float:
        """Pick of the plain search, NaN where there is none."""
        return float(self.plain.picks[0])

    def picks(self, weightings: Iterable[_Floats]) -> _Floats:
        """Return the pick of each weighting, candidates and all sought again; NaN where there is none."""
        found: list[_Floats] = []
        batch: list[_Floats] = []
        for weights in weightings:
            batch.append(weights)
            if len(batch) == _BATCH:
                found.append(self.weighted(batch).picks)
                batch = []
        if batch:
            found.append(self.weighted(batch).picks)
        return np.concatenate(found) if found else np.empty(0)

    def weighted(self, weightings: list[_Floats]) -> Searched:
        """Return the search of each weighting (how often each row counts), the whole of it repeated."""
        places = self._most
        counts = np.zeros((len(weightings), places + 1, self._strata, 2))
        values = np.full((len(weightings), places), np.nan)
        for number, weights in enumerate(weightings):
            positions = self._positions(weights)
            values[number, : positions.size] = self._distinct[positions]
            is_start = np.zeros(self._distinct.size, dtype=np.intp)
            is_start[positions] = 1
            cell = np.cumsum(is_start)[self._codes] * (2 * self._strata) + self._cell
            found = np.bincount(cell, weights=weights, minlength=counts[number].size)
            counts[number] = found.reshape(counts[number].shape)
        return _tested(values, counts)

    def relabelled(self, outcomes: NDArray[np.bool_]) -> Searched:
        """Return the search of the same accounts with each of several outcomes, shape (outcomes, rows); the candidates stay."""
        positions = self._positions(np.ones(self.rows.size))
        values = np.tile(self._distinct[positions], (len(outcomes), 1))
        is_start = np.zeros(self._distinct.size, dtype=np.intp)
        is_start[positions] = 1
        cell = np.cumsum(is_start)[self._codes] * (2 * self._strata) + 2 * self.rows.strata
        shape = (positions.size + 1, self._strata, 2)
        counts = [np.bincount(cell + outcome, minlength=int(np.prod(shape))).reshape(shape) for outcome in outcomes]
        return _tested(values, np.stack(counts).astype(np.float64))

    def _positions(self, weights: _Floats) -> NDArray[np.intp]:
        """Return the places of the candidates among the distinct values."""
        count = np.bincount(self._codes, weights=weights, minlength=self._distinct.size)
        drawn = np.flatnonzero(count)
        total = count.sum()
        below = np.cumsum(count)[drawn] - count[drawn]
        least, greatest = ((1 - share) * total for share in self._reach)
        is_admitted = (below <= least + _TIE * total) & (below >= greatest - _TIE * total)
        admitted, below = drawn[is_admitted], below[is_admitted]
        if admitted.size > self._most:
            # spread over the admitted reach alone: elsewhere they would be thrown away
            levels = np.linspace(below[0], below[-1], self._most)
            admitted = admitted[np.unique(np.searchsorted(below, levels - _TIE * total))]
        return np.asarray(admitted, dtype=np.intp)


def _tested(values: _Floats, counts: _Floats) -> Searched:
    """Return the search of accounts counted by place, stratum and outcome, shape (searches, places + 1, strata, 2)."""
    below = np.cumsum(counts, axis=1)[:, :-1]
    above = counts.sum(axis=1, keepdims=True) - below
    tables = Strata(above[..., 1], above[..., 0], below[..., 1], below[..., 0])
    test = cmh(tables)
    chi2 = np.where(np.isfinite(values), test.statistic, np.nan)
    return Searched(values, tables, chi2, test.direction, picked(values, chi2, test.direction))


def picked(values: _Floats, chi2: _Floats, direction: _Floats) -> _Floats:
    """Return per row the value of the largest χ² in the positive direction, ties the lowest value; NaN without one."""
    positive = np.where((direction > 0) & np.isfinite(chi2), chi2, -np.inf)
    best = positive.max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        is_best = positive >= best * (1 - _TIE)
    place = is_best.argmax(axis=1)
    return np.where(np.isfinite(best[:, 0]), values[np.arange(len(values)), place], np.nan)
