"""Defines whether behaviour still tells who stays: the held-out AUC before and since, and whether it has moved.

Put here the comparison of two AUC. Keep out the ranking, whose forest this is: it is refused where its AUC is no better
than chance, and that is just when somebody must look here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.fold_fit import grow
from milestones_dagster.evidence.framework_review import is_since
from milestones_dagster.evidence.permutation import plain_scores
from milestones_dagster.evidence.ranking_rows import drawn_rows, known_rows
from milestones_dagster.evidence.resampling import AccountResamples, draw_accounts, percentile_interval, resampled_roc_auc, roc_auc
from milestones_dagster.evidence.splits import LEAST_ROWS_BY_CLASS, split_accounts

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Feature, FeatureRanking

CHANCE: Final = 0.5
"""AUC of scores that know nothing."""


def auc_drift(
    frame: pd.DataFrame, catalogue: Sequence["Feature"], config: "FeatureRanking", adopted_at: pd.Timestamp | None
) -> dict[str, object]:
    """Return the AUC of the rows before and of those since, their difference with its interval, whether watched.

    Each side is scored by itself: the ranking's forest, fitted on the side's rows of other accounts, in folds by account.
    What is before lends nothing to what is since, so that a side tells what could be learnt from it alone. Intervals
    (95 %) resample accounts, the same draws on both sides, since an account may have rows on either; they take the forests as
    they are, and are somewhat narrow: where nothing has changed, 12 of 180 planted companies were watched. It is watched
    where the difference's interval holds no 0, or where the AUC since may be no better than chance (lower bound at most .5).

    A side is not scored (NaN) without 50 rows and 10 accounts of each class. Above the ranking's `maximum_rows` a side is a
    sample of whole accounts.

    Args:
        frame: rows of `feature_matrix`, in any order; those without a known outcome are left out.
        catalogue: features, with a column of the frame each.
        config: folds, forest, rows and resamples of the ranking.
        adopted_at: when the version in force was adopted, UTC; without it the later half of the rows, in whole months.
    """
    known = np.flatnonzero(frame["retained"].notna())
    since = is_since(frame["observed_at"].take(known), adopted_at)
    before, now = (_Scored.of(frame, known[side], catalogue, config) for side in (~since, since))
    resamples = draw_accounts(np.concatenate([before.accounts, now.accounts]), config.resamples, config.seed)
    cut = before.accounts.size
    former = before.resampled(AccountResamples(resamples.positions[:cut], resamples.weights))
    latter = now.resampled(AccountResamples(resamples.positions[cut:], resamples.weights))
    low, high = percentile_interval(latter - former)
    reference_low, reference_high = percentile_interval(former)
    value_low, value_high = percentile_interval(latter)
    reference, value = roc_auc(before.scores, before.outcome), roc_auc(now.scores, now.outcome)
    return {
        "kind": "auc",
        "subject": "retention",
        "position": 1,
        "is_watched": bool(low > 0 or high < 0 or value_low <= CHANCE),
        "reference_accounts": before.read,
        "accounts": now.read,
        "reference": reference,
        "reference_low": reference_low,
        "reference_high": reference_high,
        "value": value,
        "value_low": value_low,
        "value_high": value_high,
        "difference": value - reference,
        "low": low,
        "high": high,
    }


@dataclass(frozen=True)
class _Scored:
    """Held-out rows of one side, fold by fold; without a row where there are too few to score any.

    Attributes:
        accounts, outcome: shape (rows,).
        scores: probability less the share retained among the rows that its forest was fitted on, as the ranking pools them.
        read: accounts with a known outcome, scored or not.
    """

    accounts: NDArray[np.int64]
    outcome: NDArray[np.bool_]
    scores: NDArray[np.float64]
    read: int

    @classmethod
    def of(cls, frame: pd.DataFrame, side: NDArray[np.intp], catalogue: Sequence["Feature"], config: "FeatureRanking") -> Self:
        rows = known_rows(drawn_rows(frame, config.maximum_rows, config.seed, side).frame, catalogue)
        read = np.unique(rows.accounts).size
        fewest = min(int(rows.outcome.sum()), int((~rows.outcome).sum()))
        split = split_accounts(rows.accounts, rows.outcome, config.folds, config.seed)
        if not catalogue or fewest < LEAST_ROWS_BY_CLASS or not split.is_possible:
            return cls(rows.accounts[:0], rows.outcome[:0], np.empty(0), read)
        scores = []
        for number, fold in enumerate(split.folds):
            fitted, part = rows.of(fold.fitted), rows.of(fold.held_out)
            grown = grow(fitted, config, number)
            scores.append(plain_scores(grown.forest, grown.filled(part.features)) - fitted.outcome.mean())
        at = np.concatenate([fold.held_out for fold in split.folds])
        return cls(rows.accounts[at], rows.outcome[at], np.concatenate(scores), read)

    def resampled(self, resamples: AccountResamples) -> NDArray[np.float64]:
        """Return the AUC of every resample; NaN where nothing is scored."""
        return resampled_roc_auc(self.scores, self.outcome, resamples)
