"""Defines which rows a model is fitted on and which it is scored on: folds of accounts, a date, purging.

Put here every rule that keeps an account, or a date, from being on both sides. Keep out the models themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Times = NDArray[np.datetime64]

LEAST_ROWS_BY_CLASS = 50
"""Of each class, in every fit and in the pooled held-out part: below it the date is given up, accounts stay apart."""

LEAST_ACCOUNTS_BY_CLASS = 10
"""Of each class, in every fit and in the pooled held-out part: below it nothing is fitted. A bootstrap over fewer
accounts draws a class so unevenly that its interval means little."""


@dataclass(frozen=True)
class Fold:
    """One fit: positions of the rows to fit on and of the rows to score, disjoint in accounts."""

    fitted: NDArray[np.intp]
    held_out: NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """All fits of a ranking.

    Attributes:
        kind: `time and account` or `account`.
        boundary: the date T between fitted and held-out rows; None when accounts alone are kept apart.
        folds: every held-out row belongs to exactly one of them.
        shortfall: why the split is not the one that was asked for; empty when it is.
        is_possible: False when a class has too few accounts; then the folds are there for their counts only.
    """

    kind: str
    boundary: np.datetime64 | None
    folds: tuple[Fold, ...]
    shortfall: str
    is_possible: bool

    @property
    def fitted(self) -> NDArray[np.intp]:
        """Positions of the rows that at least one fit reads, ascending."""
        return np.unique(np.concatenate([fold.fitted for fold in self.folds]))

    @property
    def held_out(self) -> NDArray[np.intp]:
        """Positions of the rows that are scored, ascending."""
        return np.sort(np.concatenate([fold.held_out for fold in self.folds]))


def stable_hash(keys: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each key, the same on every machine and version (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):  # the arithmetic is modulo 2**64
        start = _mix(np.array([seed], dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        return _mix((keys.astype(np.int64).view(np.uint64) ^ start) + np.uint64(0x9E3779B97F4A7C15))


def drawn(accounts: NDArray[np.int64], most: int, seed: int) -> NDArray[np.bool_]:
    """Return which accounts are in a sample of at most so many, the same in any order; all of them where they are no more.

    The hash decides, and nothing that is known of an account: a simple random sample, in which every stratum has its share.

    Args:
        accounts: each once, shape (accounts,).
        most: accounts, ≥ 0.
        seed: of the hash.
    """
    kept = np.zeros(accounts.size, dtype=np.bool_)
    kept[np.argsort(stable_hash(accounts, seed), kind="stable")[:most]] = True
    return kept


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def account_folds(accounts: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold (0 … folds - 1) of each row; all rows of an account are in one fold."""
    return (stable_hash(accounts, seed) % np.uint64(folds)).astype(np.intp)


def boundary_date(observed_at: _Times, train_share: float) -> np.datetime64 | None:
    """Return T: the earliest observation date that at least `train_share` of the rows precede; None without one."""
    dates, counts = np.unique(observed_at, return_counts=True)
    preceding = np.cumsum(counts) - counts
    reached = np.flatnonzero(preceding >= train_share * observed_at.size)
    return dates[reached[0]] if reached.size else None


def split_rows(
    *,
    accounts: NDArray[np.int64],
    observed_at: _Times,
    known_at: _Times,
    outcome: NDArray[np.bool_],
    folds: int,
    train_share: float,
    seed: int,
) -> Split:
    """Return the folds by account and date, or by account alone where a class would have too few rows.

    By account and date: each fold's fit reads the rows of the other folds' accounts whose outcome was known at T
    (`known_at` ≤ T: purged of those still open then), and scores the fold's rows observed at T or later. By account
    alone: all rows of the other folds, all rows of the fold.

    Args:
        accounts: shape (rows,).
        observed_at: date of each row, shape (rows,).
        known_at: when the row's outcome was known, shape (rows,).
        outcome: shape (rows,).
        folds: number of folds, ≥ 2.
        train_share: share of rows that precede T, in (0, 1).
        seed: of the hash that puts accounts into folds.
    """
    fold = account_folds(accounts, folds, seed)
    boundary = boundary_date(observed_at, train_share)
    if boundary is None:
        shortfall = f"no date has {train_share:.0%} of the rows before it"
    else:
        dated = tuple(_folds(fold, folds, may_fit=known_at <= boundary, may_score=observed_at >= boundary))
        rows = min(_rows_by_class(dated, outcome))
        fewest = min(_accounts_by_class(dated, outcome, accounts))
        if rows >= LEAST_ROWS_BY_CLASS and fewest >= LEAST_ACCOUNTS_BY_CLASS:
            return Split("time and account", boundary, dated, "", is_possible=True)
        shortfall = (
            f"split at {np.datetime_as_string(boundary, unit='D')} a class would keep only {rows:,} rows, "
            f"or {fewest:,} accounts, on one side ({LEAST_ROWS_BY_CLASS} and {LEAST_ACCOUNTS_BY_CLASS} are needed)"
        )
    return split_accounts(accounts, outcome, folds, seed, shortfall)


def split_accounts(accounts: NDArray[np.int64], outcome: NDArray[np.bool_], folds: int, seed: int, shortfall: str = "") -> Split:
    """Return the folds by account alone: each fit reads all rows of the other folds, and scores all rows of its own.

    Args:
        accounts: shape (rows,).
        outcome: shape (rows,).
        folds: number of folds, ≥ 2.
        seed: of the hash that puts accounts into folds.
        shortfall: why no date parts them too.
    """
    everything = np.ones(accounts.size, dtype=np.bool_)
    undated = tuple(_folds(account_folds(accounts, folds, seed), folds, may_fit=everything, may_score=everything))
    fewest = min(_accounts_by_class(undated, outcome, accounts))
    return Split("account", None, undated, shortfall, is_possible=fewest >= LEAST_ACCOUNTS_BY_CLASS)


def _folds(fold: NDArray[np.intp], folds: int, *, may_fit: NDArray[np.bool_], may_score: NDArray[np.bool_]) -> Iterator[Fold]:
    for number in range(folds):
        yield Fold(np.flatnonzero((fold != number) & may_fit), np.flatnonzero((fold == number) & may_score))


def _sides(folds: tuple[Fold, ...]) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of every fit that has rows to score, then those of the pooled held-out part."""
    yield from (fold.fitted for fold in folds if fold.held_out.size)
    yield np.concatenate([fold.held_out for fold in folds])


def _rows_by_class(folds: tuple[Fold, ...], outcome: NDArray[np.bool_]) -> list[int]:
    return [int((outcome[side] == value).sum()) for side in _sides(folds) for value in (True, False)]


def _accounts_by_class(folds: tuple[Fold, ...], outcome: NDArray[np.bool_], accounts: NDArray[np.int64]) -> list[int]:
    return [int(np.unique(accounts[side][outcome[side] == value]).size) for side in _sides(folds) for value in (True, False)]
