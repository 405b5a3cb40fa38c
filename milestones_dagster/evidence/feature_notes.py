"""Defines the note of a ranking: what a reader must know before reading it.

Put here sentences. Keep out every number that is not handed in.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from milestones_dagster.evidence.association import wilson
from milestones_dagster.evidence.fold_fit import forest_size
from milestones_dagster.evidence.held_out import Evidence
from milestones_dagster.evidence.ranking_rows import Drawn, Rows
from milestones_dagster.evidence.splits import LEAST_ACCOUNTS_BY_CLASS, Split

if TYPE_CHECKING:
    from milestones_dagster.config.framework import FeatureRanking

MOST_BY_CHANCE: Final = 0.05
"""Share of decoys that may pass; the evidence is not calibrated when even the lower bound of the share is above it."""


def is_calibrated(evidence: Evidence | None, decoys: int) -> bool:
    """Return whether no more decoys passed than chance lets pass (lower Wilson bound at most 5 %)."""
    return evidence is None or not float(wilson(evidence.decoys_passed, decoys).lower) > MOST_BY_CHANCE


def note(rows: Rows, split: Split, config: "FeatureRanking", evidence: Evidence | None, drawn: Drawn) -> str:
    """Return the sentences that a reader needs to judge the ranking."""
    sentences = [_of_split(rows, split)]
    if evidence is not None:
        sentences.append(_of_fits(split, config))
        sentences.append(
            "Permuted within plan and size, so that what these say by themselves is credited to no feature; a feature of "
            "some plans is judged among their accounts."
        )
        sentences.append(_of_models(evidence))
        sentences.append(f"{evidence.decoys_passed} of {config.decoys} decoys passed.")
        if not is_calibrated(evidence, config.decoys):
            sentences.append("Not calibrated: decoys pass more often than chance lets them.")
    if drawn.unknown:
        sentences.append(f"{drawn.unknown:,} rows without a known outcome are left out.")
    if drawn.is_sample:
        sentences.append(
            f"Of {drawn.accounts:,} accounts {drawn.read:,} were drawn by hash, with all of their rows: {rows.accounts.size:,} of "
            f"{drawn.rows:,}."
        )
    return " ".join(sentence for sentence in sentences if sentence)


def _of_split(rows: Rows, split: Split) -> str:
    if not split.is_possible:
        by_class = [int(np.unique(rows.accounts[rows.outcome == value]).size) for value in (True, False)]
        return (
            f"No ranking: {by_class[0]:,} accounts have a row that was retained and {by_class[1]:,} one that was not; "
            f"every fit and the held-out part need at least {LEAST_ACCOUNTS_BY_CLASS} of each."
        )
    if split.boundary is None:
        return (
            f"Split by account alone: {split.shortfall}. Accounts were scored by forests that had not seen them, but "
            "on the same dates; a drift over time would not show. The fits share most of their rows, which no interval here "
            "counts: they are narrower than they should be."
        )
    boundary = np.datetime_as_string(split.boundary, unit="D")
    return (
        f"Fitted on {split.fitted.size:,} rows whose outcome was known by {boundary}, scored on {split.held_out.size:,} "
        "rows of other accounts from then on."
    )


def _of_fits(split: Split, config: "FeatureRanking") -> str:
    fewest = min(fold.fitted.size for fold in split.folds if fold.held_out.size)
    size = forest_size(config, fewest)
    if size.minimum_leaf >= config.minimum_leaf and size.drawn_rows <= round(config.maximum_samples * fewest):
        return ""
    return (
        f"Few rows: each tree draws {size.drawn_rows:,} of {fewest:,} rows and a leaf holds at least "
        f"{size.minimum_leaf} (configured: a share of {config.maximum_samples:g}, leaf {config.minimum_leaf})."
    )


def _of_models(evidence: Evidence) -> str:
    forest, logistic = evidence.forest, evidence.logistic
    value, low, high = evidence.difference
    if low > 0:
        return (
            f"A logistic regression does better than the forest (AUC {logistic.auc:.3f} against {forest.auc:.3f}, difference "
            f"{low:.3f} to {high:.3f}): read its ranking, `logistic_rank`, beside."
        )
    return (
        f"A logistic regression has an AUC of {logistic.auc:.3f}, {abs(value):.3f} {'more' if value > 0 else 'less'} than the "
        f"forest ({low:+.3f} to {high:+.3f})."
    )
