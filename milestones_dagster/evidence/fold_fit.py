"""Defines all that is learnt from one fold's fitted rows: forest, baseline, groups, cuts, what a missing value becomes.

Put here what reads outcomes to learn from them, so that one look shows that it reads the fitted rows alone. Keep out
whatever judges it on other rows (`held_out`).
"""

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.evidence.baselines import Logistic
from milestones_dagster.evidence.feature_association import pick_cut
from milestones_dagster.evidence.feature_groups import correlated_groups
from milestones_dagster.evidence.permutation import ForestSize, fit_forest
from milestones_dagster.evidence.ranking_rows import Rows, one_per_account

if TYPE_CHECKING:
    from milestones_dagster.config.framework import FeatureRanking

_Floats = NDArray[np.float64]

SMALLEST_DRAW: Final = 1_000
"""Rows that each tree draws at least, or all there are; a fifth of a small matrix would be a handful of leaves."""

LEAVES_PER_TREE: Final = 20
SMALLEST_LEAF: Final = 5

MOST_RANKED: Final = 5_000
"""Accounts, by hash, whose rows tell which features are alike; more would not move a correlation that matters."""


@dataclass(frozen=True)
class Grown:
    """A forest and what it reads where a value is missing.

    Attributes:
        fill: what a missing value becomes, shape (features,), decoys included.
        forest: fitted `RandomForestClassifier`.
    """

    fill: _Floats
    forest: Any

    def filled(self, values: _Floats) -> NDArray[np.float32]:
        """Return values without a missing one, as the forest reads them."""
        return np.ascontiguousarray(np.where(np.isnan(values), self.fill, values), dtype=np.float32)


@dataclass(frozen=True)
class FoldFit(Grown):
    """All that is learnt from one fold's fitted rows; arrays of shape (features,), decoys included.

    Attributes:
        groups: number of each feature's group; decoys have one each.
        cuts: value from which on a feature counts as had, among accounts whose plan includes it; NaN where constant.
        strength: mean decrease of impurity in the forest, a share of the whole.
        logistic: the baseline.
    """

    groups: NDArray[np.intp]
    cuts: _Floats
    strength: _Floats
    logistic: Logistic


def forest_size(config: "FeatureRanking", fitted_rows: int) -> ForestSize:
    """Return what a fit of so many rows grows: the configured forest, or a finer one when rows are few."""
    drawn = max(round(config.maximum_samples * fitted_rows), min(SMALLEST_DRAW, fitted_rows))
    leaf = min(config.minimum_leaf, max(SMALLEST_LEAF, drawn // LEAVES_PER_TREE))
    return ForestSize(config.trees, config.maximum_depth, leaf, drawn)


def grow(fitted: Rows, config: "FeatureRanking", number: int) -> Grown:
    """Return the forest of these rows, of both classes, and of no others; `number` of the fold goes into the seed."""
    fill = np.where(fitted.is_zero_when_missing, 0.0, _below_minimum(fitted.features))
    values = np.ascontiguousarray(np.where(np.isnan(fitted.features), fill, fitted.features), dtype=np.float32)
    seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
    return Grown(fill, fit_forest(values, fitted.outcome, forest_size(config, fitted.outcome.size), seed))


def fit_fold(rows: Rows, fitted: NDArray[np.intp], config: "FeatureRanking", decoys: int, number: int) -> FoldFit:
    """Return what is learnt from the rows at these positions, and from no others.

    Args:
        rows: with the decoys as the last features.
        fitted: positions; both classes present.
        config: forest, groups, seed.
        decoys: how many of the features are decoys.
        number: of the fold; it goes into the seed.
    """
    part = rows.of(fitted)
    features = part.features.shape[1] - decoys
    grown = grow(part, config, number)
    values = grown.filled(part.features)
    each = one_per_account(part, np.arange(fitted.size), config.seed)
    counted = np.where(np.isnan(part.features) & part.is_zero_when_missing, 0.0, part.features)
    cuts = np.array([_cut(part, counted, feature, each) for feature in range(features)])
    alike = each[:: -(-each.size // MOST_RANKED)]
    groups = correlated_groups(
        values[alike, :features].astype(np.float64), part.kinds[:features], part.is_eligible[alike], config.grouped_from
    )
    own = int(groups.max(initial=-1)) + 1 + np.arange(decoys)
    return FoldFit(
        fill=grown.fill,
        forest=grown.forest,
        groups=np.concatenate([groups, own]),
        cuts=cuts,
        strength=np.asarray(grown.forest.feature_importances_, dtype=np.float64),
        logistic=Logistic.fit(counted, part.outcome),
    )


def _cut(part: Rows, counted: _Floats, feature: int, each: NDArray[np.intp]) -> float:
    """Return where a feature is cut in two, among the accounts whose plan includes it and whose value is known."""
    at = each[part.is_eligible[each, part.kinds[feature]] & ~np.isnan(counted[each, feature])]
    return pick_cut(counted[at, feature], part.outcome[at], part.stratum[at]) if at.size else nan


def _below_minimum(fitted: _Floats) -> _Floats:
    """Return for each column a value below its minimum; 0 for a column without values."""
    least = np.min(np.where(np.isnan(fitted), np.inf, fitted), axis=0)
    least = np.where(np.isinf(least), 1.0, least)
    # in steps of the minimum's own size: float32, which the trees read, would lose a 1 beside 1e9
    return least - np.maximum(1.0, np.abs(least))
