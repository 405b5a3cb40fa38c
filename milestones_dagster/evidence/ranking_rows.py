"""Defines the rows that a feature ranking reads: sorted, with their strata, who is eligible for what, and decoys.

Put here what a feature matrix becomes before anything is fitted. Keep out splits, models and verdicts, and whatever
would have to be learnt from the rows: that belongs inside the fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.splits import stable_hash

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Feature

ZERO_WHEN_MISSING: Final = frozenset({"used", "days", "count", "users", "setting"})
"""Measures of which no row means none: not used, never switched on."""

_MATRIX = ("account_key", "observed_at", "known_at", "retained", "plan", "size_stratum")


@dataclass(frozen=True)
class Rows:
    """Rows with a known outcome, sorted by account and date.

    Attributes:
        accounts: shape (rows,), ascending.
        observed_at, known_at: D, and when the outcome after it was known; shape (rows,).
        outcome: retained, shape (rows,).
        features: NaN where missing, shape (rows, features); the decoys, if any, are the last features.
        is_zero_when_missing: shape (features,).
        stratum: number of the plan × size stratum, unknown being a level of both, shape (rows,).
        missed_after: possible dates of the account after the row's at which it did not pay, shape (rows,).
        kinds: number of the set of plans that each feature belongs to, shape (features,); 0 is every plan.
        is_eligible: rows whose plan is in the set, shape (rows, sets).
    """

    accounts: NDArray[np.int64]
    observed_at: NDArray[np.datetime64]
    known_at: NDArray[np.datetime64]
    outcome: NDArray[np.bool_]
    features: NDArray[np.float64]
    is_zero_when_missing: NDArray[np.bool_]
    stratum: NDArray[np.intp]
    missed_after: NDArray[np.int64]
    kinds: NDArray[np.intp]
    is_eligible: NDArray[np.bool_]

    def of(self, kept: NDArray[np.intp]) -> "Rows":
        """Return the rows at these positions, ascending."""
        return replace(
            self,
            accounts=self.accounts[kept],
            observed_at=self.observed_at[kept],
            known_at=self.known_at[kept],
            outcome=self.outcome[kept],
            features=self.features[kept],
            stratum=self.stratum[kept],
            missed_after=self.missed_after[kept],
            is_eligible=self.is_eligible[kept],
        )


@dataclass(frozen=True)
class Drawn:
    """The part of a feature matrix that is read.

    Attributes:
        frame: rows with a known outcome, those of whole accounts.
        rows, accounts: how many with a known outcome there are in all.
        read: accounts in `frame`.
        unknown: rows without a known outcome.
    """

    frame: pd.DataFrame
    rows: int
    accounts: int
    read: int
    unknown: int

    @property
    def is_sample(self) -> bool:
        """Whether accounts are left out."""
        return self.read < self.accounts


def drawn_rows(frame: pd.DataFrame, most: int, seed: int, among: NDArray[np.intp] | None = None) -> Drawn:
    """Return the rows with a known outcome, or, above so many, those of as many whole accounts, by hash, as fit in.

    Nothing but these rows is copied: a matrix of all months of all accounts is large.

    Args:
        frame: account_key, retained, and whatever else is wanted of the rows.
        most: rows.
        seed: of the hash.
        among: positions of the rows to draw from, all where not given.

    Raises:
        ValueError: one of the two columns is missing.
    """
    _require(frame, ("account_key", "retained"))
    is_known = frame["retained"].notna().to_numpy()
    given = np.arange(len(frame)) if among is None else among
    known = given[is_known[given]]
    accounts = frame["account_key"].to_numpy(dtype=np.int64)[known]
    rows, distinct = known.size, np.unique(accounts).size
    if rows > most:
        # another seed than the folds': the accounts kept must not be those of one fold
        place = stable_hash(accounts, seed + 1)
        is_kept = place < np.partition(place, most)[most]
        known, accounts = known[is_kept], accounts[is_kept]
    return Drawn(frame.take(known), rows, distinct, np.unique(accounts).size, given.size - rows)


def known_rows(frame: pd.DataFrame, catalogue: Sequence["Feature"]) -> Rows:
    """Return the rows of a feature matrix whose outcome is known, in the order of account and date.

    Without a column `missed_after` every account paid at all of its possible dates.

    Raises:
        ValueError: a column is missing, an account has two rows of one date, or a feature holds an infinite value.
    """
    names = [feature.name for feature in catalogue]
    _require(frame, _MATRIX)
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise ValueError(f"feature_matrix has no column for the catalogue features {', '.join(absent)}")
    known = frame.loc[frame["retained"].notna()].sort_values(["account_key", "observed_at"], ignore_index=True)
    repeated = int(known.duplicated(["account_key", "observed_at"]).sum())
    if repeated:
        raise ValueError(f"feature_matrix has {repeated:,} rows of an account and date that have one already")
    values = known[names].to_numpy(dtype=np.float64, na_value=nan)
    infinite = np.isinf(values).sum(axis=0)
    if infinite.any():
        worst = int(infinite.argmax())
        raise ValueError(f"feature_matrix.{names[worst]} holds {infinite[worst]:,} infinite values")
    plan, size = _levels(known["plan"]), _levels(known["size_stratum"])
    missed = known["missed_after"] if "missed_after" in known.columns else pd.Series(0, index=known.index)
    plans = [frozenset(feature.plans) for feature in catalogue]
    sets = [frozenset[str](), *sorted({own for own in plans if own}, key=sorted)]
    every = np.ones(len(known), dtype=np.bool_)
    return Rows(
        accounts=known["account_key"].to_numpy(dtype=np.int64),
        observed_at=known["observed_at"].to_numpy(dtype="datetime64[us]"),
        known_at=known["known_at"].to_numpy(dtype="datetime64[us]"),
        outcome=known["retained"].astype(bool).to_numpy(dtype=np.bool_),
        features=values,
        is_zero_when_missing=np.array([feature.measure in ZERO_WHEN_MISSING for feature in catalogue], dtype=np.bool_),
        stratum=plan * (int(size.max(initial=0)) + 1) + size,
        missed_after=missed.to_numpy(dtype=np.int64),
        kinds=np.array([sets.index(own) for own in plans], dtype=np.intp),
        is_eligible=np.column_stack([known["plan"].isin(own).to_numpy() if own else every for own in sets]),
    )


def with_decoys(rows: Rows, count: int, seed: int) -> Rows:
    """Return the rows with so many further features, each a feature of theirs that other accounts lend.

    Every account takes the whole block of another one, so that what a decoy says of an account's dates hangs together
    as in the feature, and nothing of it has to do with the account. Of a longer block some rows are left out, of a
    shorter one some are repeated, evenly. Decoys belong to every plan.

    Args:
        rows: sorted by account.
        count: decoys; each of another feature as long as there are enough that vary.
        seed: of the draws.
    """
    if not rows.accounts.size or not rows.features.shape[1]:
        return rows
    generator = np.random.default_rng([seed, 1])
    filled = np.where(np.isnan(rows.features), np.inf, rows.features)
    varying = np.flatnonzero((filled != filled[:1]).any(axis=0))
    sources = varying if varying.size else np.arange(rows.features.shape[1])
    chosen = np.concatenate([generator.permutation(sources) for _ in range(-(-count // sources.size))])[:count]
    _, first, block, length = np.unique(rows.accounts, return_index=True, return_inverse=True, return_counts=True)
    place = np.arange(rows.accounts.size) - first[block]
    made = []
    for source in chosen:
        # around a circle in random order: no account keeps its own block, if there are two
        circle = generator.permutation(first.size)
        lender = np.empty_like(circle)
        lender[circle] = np.roll(circle, 1)
        from_block = lender[block]
        made.append(rows.features[first[from_block] + place * length[from_block] // length[block], source])
    return replace(
        rows,
        features=np.column_stack([rows.features, *made]),
        is_zero_when_missing=np.concatenate([rows.is_zero_when_missing, rows.is_zero_when_missing[chosen]]),
        kinds=np.concatenate([rows.kinds, np.zeros(count, dtype=np.intp)]),
    )


def one_per_account(rows: Rows, places: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """Return one of these places per account, chosen by a seeded hash of account and date, in the order of the accounts."""
    dates = stable_hash(rows.observed_at[places].astype(np.int64), seed)
    drawn = stable_hash(rows.accounts[places] ^ dates.view(np.int64), seed)
    order = np.lexsort((drawn, rows.accounts[places]))
    accounts = rows.accounts[places][order]
    is_first = np.append(True, np.diff(accounts) != 0)[: accounts.size]
    chosen: NDArray[np.intp] = places[order[is_first]]
    return chosen


def drawn_beforehand(rows: Rows, places: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """Return one of these places per account, or none where the lot falls on a date at which the account did not pay.

    The lot is of the dates that were possible from the account's first place on, as if it were drawn before anything is
    known of what became of the account: who leaves soon has few rows, and a draw of one of them would compare its last
    dates with any date of those that stay (ADR 0023). Some accounts are left out by it; the order is that of accounts.
    """
    each = one_per_account(rows, places, seed)
    accounts, number, count = np.unique(rows.accounts[places], return_inverse=True, return_counts=True)
    missed = np.zeros(accounts.size, dtype=np.int64)
    np.maximum.at(missed, number, rows.missed_after[places])
    # another hash than that of the folds and of the date drawn
    lot = stable_hash(rows.accounts[each], seed + 2) / 2.0**64
    kept: NDArray[np.intp] = each[lot < count / (count + missed)]
    return kept


def _require(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ValueError(f"feature_matrix has no column {', '.join(absent)}")


def _levels(values: pd.Series) -> NDArray[np.intp]:
    """Return level numbers in the order of the names; a missing value is a level of its own, the last."""
    codes, names = pd.factorize(values.astype(object), sort=True)
    return np.where(codes < 0, len(names), codes).astype(np.intp)
