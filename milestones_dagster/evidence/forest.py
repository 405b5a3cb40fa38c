"""Defines `rank`: which catalogue features predict retention on held-out accounts, and what that is worth.

Put here what turns a feature matrix into one row per feature: missing values, the size of the forest, verdicts, the
note. Keep out splits, permutations and resampling, which other statistics use too (`splits`, `permutation`,
`resampling`). A rank says that a feature goes with retention, given the other features; it is no effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.permutation import ForestSize, fit_forest, held_out_scores
from milestones_dagster.evidence.resampling import draw_accounts, percentile_interval, resampled_roc_auc, roc_auc
from milestones_dagster.evidence.splits import LEAST_ACCOUNTS_BY_CLASS, Split, split_rows, stable_hash

if TYPE_CHECKING:
    from milestones_dagster.config.framework import AdoptionBenchmark, FeatureRanking, Framework

ZERO_WHEN_MISSING = frozenset({"used", "days", "count", "users", "setting"})
"""Measures of which no row means none: not used, never switched on."""

LARGEST_MATRIX = 100_000
"""Rows. Above it whole accounts are left out by hash: the intervals are narrow there, and memory and time are not."""

SMALLEST_DRAW = 1_000
"""Rows that each tree draws at least, or all there are; a fifth of a small matrix would be a handful of leaves."""

LEAVES_PER_TREE = 20
SMALLEST_LEAF = 5

_ADOPTION = (
    "adoption_eligible",
    "adoption_eligible_low",
    "adoption_eligible_high",
    "adoption_all",
    "adoption_all_low",
    "adoption_all_high",
)
COLUMNS = (
    "feature",
    "title",
    "category",
    "measure",
    "rank",
    "importance",
    "importance_sd",
    "importance_low",
    "importance_high",
    *_ADOPTION,
    "verdict",
    "is_borderline",
    "auc",
    "auc_low",
    "auc_high",
    "average_precision",
    "base_rate",
    "train_rows",
    "held_out_rows",
    "held_out_accounts",
    "split",
    "note",
)


@dataclass(frozen=True)
class _Rows:
    """Rows with a known outcome, sorted by account and date; values in the order of the features' names."""

    accounts: NDArray[np.int64]
    observed_at: NDArray[np.datetime64]
    known_at: NDArray[np.datetime64]
    outcome: NDArray[np.bool_]
    features: NDArray[np.float64]


@dataclass(frozen=True)
class _Evidence:
    """What the held-out part says: of each feature shape (features,), of the whole a number."""

    importance: NDArray[np.float64]
    importance_sd: NDArray[np.float64]
    importance_low: NDArray[np.float64]
    importance_high: NDArray[np.float64]
    auc: float = nan
    auc_low: float = nan
    auc_high: float = nan
    average_precision: float = nan


def rank(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per catalogue feature, the most important first: permutation importance, adoption, verdict.

    Breiman's (2001) permutation importance, on accounts and dates that the forest has not seen: accounts in folds by a
    seeded hash, each fold's forest fitted on the other folds' rows whose outcome was known at T, the fold's rows from
    T on scored, the scores of all folds pooled. `importance` is the mean drop of the pooled ROC AUC when the feature
    is permuted among the held-out rows of each fold. `importance_sd` is its spread over repeated permutations: noise
    of the method. Intervals (95 %) resample the held-out accounts, with forests and permutations as they are; since
    the folds share most of the accounts they were fitted on, they are somewhat narrow, and no resampling of one split
    can mend that (Bengio and Grandvalet 2004).

    The table's gate reads `auc_low`. Where a class has too few accounts to fit anything, rank, importance, AUC and
    their intervals are missing (NaN, NA), and `note` says why; nothing is raised.

    Missing values: 0 for `used`, `days`, `count`, `users` and `setting` (no row means not used); for
    `count_per_seat`, `trend` and `attribute` (no seats, nothing to compare with, unknown) a constant below the least
    value that the fold's fit has seen, so that one split sets "unknown" apart; there is no missing-value flag beside
    it.

    Trade: trees draw `maximum_samples` of the rows, since 100 small trees of depth 12 rank as well as deep ones in an
    eighth of the time. With few rows that would leave stumps, so that a tree draws at least `SMALLEST_DRAW` rows (or
    all), and a leaf holds at least 1/`LEAVES_PER_TREE` of the drawn rows, at most `minimum_leaf`, never below
    `SMALLEST_LEAF`. The note says when that rule was used.

    Cost: some ten seconds for 30,000 rows and 56 features on two cores (a slow test holds it to 40 s), most of it
    scoring permuted rows; it grows with held-out rows, trees and repeats, hardly with the number of features.

    Args:
        frame: `feature_matrix`: account_key, observed_at, known_at, retained (missing while unknown: left out), and a
            numeric column per catalogue feature; one row per account and date, in any order.
        framework: its `features.catalogue`, `adoption_benchmark` and `feature_ranking` are read.
        also: `feature_adoption`: feature, and the shares of eligible and of all accounts that use it with their Wilson
            intervals; missing for attributes.

    Raises:
        ValueError: a catalogue feature has no column, or a feature holds an infinite value.
    """
    catalogue = sorted(framework.features.catalogue, key=lambda feature: feature.name)
    if not catalogue:
        return pd.DataFrame(columns=list(COLUMNS))
    config = framework.feature_ranking
    matrix = _rows(frame, [feature.name for feature in catalogue])
    rows, left_out = _limited(matrix, config.seed)
    unknown_rows = len(frame) - matrix.outcome.size
    split = split_rows(
        accounts=rows.accounts,
        observed_at=rows.observed_at,
        known_at=rows.known_at,
        outcome=rows.outcome,
        folds=config.folds,
        train_share=config.train_share,
        seed=config.seed,
    )
    is_zero_when_missing = np.array([feature.measure in ZERO_WHEN_MISSING for feature in catalogue])
    if split.is_possible:
        evidence = _measured(rows, split, is_zero_when_missing, config)
    else:
        nothing = np.full(len(catalogue), nan)
        evidence = _Evidence(nothing, nothing, nothing, nothing)

    result = pd.DataFrame(
        {
            "feature": [feature.name for feature in catalogue],
            "title": [feature.title for feature in catalogue],
            "category": [feature.category for feature in catalogue],
            "measure": [feature.measure for feature in catalogue],
            "importance": evidence.importance,
            "importance_sd": evidence.importance_sd,
            "importance_low": evidence.importance_low,
            "importance_high": evidence.importance_high,
        }
    )
    adoption = also["feature_adoption"].set_index("feature")[list(_ADOPTION)].astype("float64")
    result = result.join(adoption, on="feature")
    result["verdict"], result["is_borderline"] = verdicts(result, framework.adoption_benchmark)
    held_out = split.held_out
    result["auc"] = evidence.auc
    result["auc_low"] = evidence.auc_low
    result["auc_high"] = evidence.auc_high
    result["average_precision"] = evidence.average_precision
    result["base_rate"] = float(rows.outcome[held_out].mean()) if held_out.size else nan
    result["train_rows"] = split.fitted.size
    result["held_out_rows"] = held_out.size
    result["held_out_accounts"] = np.unique(rows.accounts[held_out]).size
    result["split"] = split.kind
    result["note"] = _note(rows, split, config, unknown_rows=unknown_rows, left_out=left_out)
    # stable, and the names are already in order: equal importances stay by name
    result = result.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    places = pd.Series(np.arange(1, len(result) + 1), dtype="Int64")
    result["rank"] = places.where(result["importance"].notna(), pd.NA)
    return result[list(COLUMNS)]


def verdicts(table: pd.DataFrame, benchmark: "AdoptionBenchmark") -> tuple[pd.Series, pd.Series]:
    """Return verdict and is_borderline of each row of `table`.

    The first that applies: `ubiquitous` (used by more than the bound of eligible accounts), `niche` (by less than the
    bound of all accounts), `ranked` (the interval of its importance lies above 0), `weak`. A row is borderline when
    the Wilson interval of either share holds its bound. Attributes have no adoption, hence neither screen.

    Args:
        table: the six adoption columns and importance_low; any may be missing.
        benchmark: bounds as shares.
    """
    verdict = np.select(
        [
            table["adoption_eligible"] > benchmark.ubiquitous,
            table["adoption_all"] < benchmark.niche,
            table["importance_low"] > 0,
        ],
        ["ubiquitous", "niche", "ranked"],
        default="weak",
    )
    is_near_ubiquitous = table["adoption_eligible_low"].le(benchmark.ubiquitous) & table["adoption_eligible_high"].ge(
        benchmark.ubiquitous
    )
    is_near_niche = table["adoption_all_low"].le(benchmark.niche) & table["adoption_all_high"].ge(benchmark.niche)
    return pd.Series(verdict, index=table.index), is_near_ubiquitous | is_near_niche


def forest_size(config: "FeatureRanking", fitted_rows: int) -> ForestSize:
    """Return what a fit of so many rows grows: the configured forest, or a finer one when rows are few."""
    drawn = max(round(config.maximum_samples * fitted_rows), min(SMALLEST_DRAW, fitted_rows))
    leaf = min(config.minimum_leaf, max(SMALLEST_LEAF, drawn // LEAVES_PER_TREE))
    return ForestSize(config.trees, config.maximum_depth, leaf, drawn)


def _rows(frame: pd.DataFrame, names: list[str]) -> _Rows:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise ValueError(f"feature_matrix has no column for the catalogue features {', '.join(absent)}")
    known = frame.loc[frame["retained"].notna()].sort_values(["account_key", "observed_at"], ignore_index=True)
    values = known[names].to_numpy(dtype=np.float64, na_value=nan)
    infinite = np.isinf(values).sum(axis=0)
    if infinite.any():
        worst = int(infinite.argmax())
        raise ValueError(f"feature_matrix.{names[worst]} holds {infinite[worst]:,} infinite values")
    return _Rows(
        accounts=known["account_key"].to_numpy(dtype=np.int64),
        observed_at=known["observed_at"].to_numpy(dtype="datetime64[us]"),
        known_at=known["known_at"].to_numpy(dtype="datetime64[us]"),
        outcome=known["retained"].astype(bool).to_numpy(dtype=np.bool_),
        features=values,
    )


def _limited(rows: _Rows, seed: int) -> tuple[_Rows, int]:
    """Return the rows of as many accounts, in order of their hash, as fit in `LARGEST_MATRIX`, and how many are not."""
    if rows.accounts.size <= LARGEST_MATRIX:
        return rows, 0
    # another seed than the folds': the accounts kept must not be those of one fold
    order = np.argsort(stable_hash(rows.accounts, seed + 1), kind="stable")
    account_of_next = rows.accounts[order[LARGEST_MATRIX]]
    kept = order[:LARGEST_MATRIX]
    kept = np.sort(kept[rows.accounts[kept] != account_of_next])
    limited = _Rows(rows.accounts[kept], rows.observed_at[kept], rows.known_at[kept], rows.outcome[kept], rows.features[kept])
    return limited, rows.accounts.size - kept.size


def _measured(rows: _Rows, split: Split, is_zero_when_missing: NDArray[np.bool_], config: "FeatureRanking") -> _Evidence:
    """Fit and score every fold, pool, and resample accounts."""
    from sklearn.metrics import average_precision_score

    held_out = split.held_out
    place = {int(row): position for position, row in enumerate(held_out)}
    features = rows.features.shape[1]
    plain = np.empty(held_out.size)
    permuted = np.empty((features, config.repeats, held_out.size))
    is_used = np.zeros(features, dtype=np.bool_)
    for number, fold in enumerate(split.folds):
        if not fold.held_out.size:
            continue
        fill = np.where(is_zero_when_missing, 0.0, _below_minimum(rows.features[fold.fitted]))
        seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
        forest = fit_forest(
            _filled(rows.features[fold.fitted], fill),
            rows.outcome[fold.fitted],
            forest_size(config, fold.fitted.size),
            seed,
        )
        scores = held_out_scores(forest, _filled(rows.features[fold.held_out], fill), config.repeats, [config.seed, number])
        at = np.array([place[int(row)] for row in fold.held_out])
        plain[at] = scores.plain
        permuted[:, :, at] = scores.permuted
        is_used |= scores.is_used

    outcome = rows.outcome[held_out]
    resamples = draw_accounts(rows.accounts[held_out], config.resamples, config.seed)
    auc = roc_auc(plain, outcome)
    resampled_auc = resampled_roc_auc(plain, outcome, resamples)
    importance, spread, low, high = (np.zeros(features) for _ in range(4))
    for feature in np.flatnonzero(is_used):
        drops = np.array([auc - roc_auc(scores, outcome) for scores in permuted[feature]])
        resampled_drop = resampled_auc - np.mean(
            [resampled_roc_auc(scores, outcome, resamples) for scores in permuted[feature]], axis=0
        )
        importance[feature] = drops.mean()
        spread[feature] = drops.std(ddof=1) if drops.size > 1 else nan
        low[feature], high[feature] = percentile_interval(resampled_drop)
    auc_low, auc_high = percentile_interval(resampled_auc)
    precision = float(average_precision_score(outcome, plain))
    return _Evidence(importance, spread, low, high, auc, auc_low, auc_high, precision)


def _below_minimum(fitted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each column a value below its minimum; 0 for a column without values."""
    least = np.min(np.where(np.isnan(fitted), np.inf, fitted), axis=0)
    least = np.where(np.isinf(least), 1.0, least)
    # in steps of the minimum's own size: float32, which the trees read, would lose a 1 beside 1e9
    return least - np.maximum(1.0, np.abs(least))


def _filled(values: NDArray[np.float64], fill: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.where(np.isnan(values), fill, values), dtype=np.float32)


def _note(rows: _Rows, split: Split, config: "FeatureRanking", *, unknown_rows: int, left_out: int) -> str:
    """Return the sentences that a reader needs to judge the ranking."""
    held_out = split.held_out
    sentences = []
    if not split.is_possible:
        by_class = [int(np.unique(rows.accounts[rows.outcome == value]).size) for value in (True, False)]
        sentences.append(
            f"No ranking: {by_class[0]:,} accounts have a row that was retained and {by_class[1]:,} one that was not; "
            f"every fit and the held-out part need at least {LEAST_ACCOUNTS_BY_CLASS} of each."
        )
    elif split.boundary is None:
        sentences.append(
            f"Split by account alone: {split.shortfall}. Accounts were scored by forests that had not seen them, but "
            "on the same dates; a drift over time would not show."
        )
    else:
        boundary = np.datetime_as_string(split.boundary, unit="D")
        sentences.append(
            f"Fitted on {split.fitted.size:,} rows whose outcome was known by {boundary}, scored on {held_out.size:,} "
            f"rows of other accounts from then on."
        )
    if split.is_possible:
        fewest = min(fold.fitted.size for fold in split.folds if fold.held_out.size)
        size = forest_size(config, fewest)
        if size.minimum_leaf < config.minimum_leaf or size.drawn_rows > round(config.maximum_samples * fewest):
            sentences.append(
                f"Few rows: each tree draws {size.drawn_rows:,} of {fewest:,} rows and a leaf holds at least "
                f"{size.minimum_leaf} (configured: a share of {config.maximum_samples:g}, leaf {config.minimum_leaf})."
            )
    if unknown_rows:
        sentences.append(f"{unknown_rows:,} rows without a known outcome are left out.")
    if left_out:
        sentences.append(f"{left_out:,} rows of accounts beyond the first {LARGEST_MATRIX:,} rows, by hash, left out.")
    return " ".join(sentences)
