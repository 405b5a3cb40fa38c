"""Defines held-out scores of a random forest, with and without one feature permuted.

Put here what turns a fitted forest and held-out rows into scores. Keep out the split, the resampling and the verdicts.
Scores are summed tree by tree in a fixed order: `RandomForestClassifier.predict_proba` adds them in the order in which
its threads finish, which moves last bits, and with them ties, from run to run.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCORE_DECIMALS = 10
"""Rows that reach the same leaves have the same score; sums in another order must not part them."""


@dataclass(frozen=True)
class ForestSize:
    """What each fit grows.

    Attributes:
        trees: number of trees.
        maximum_depth: levels below the root.
        minimum_leaf: rows.
        drawn_rows: rows that each tree draws, with replacement.
    """

    trees: int
    maximum_depth: int
    minimum_leaf: int
    drawn_rows: int


@dataclass(frozen=True)
class HeldOutScores:
    """Probability of the outcome for held-out rows.

    Attributes:
        plain: shape (rows,).
        permuted: one feature permuted among these rows, shape (features, repeats, rows).
        is_used: whether any tree splits on the feature, shape (features,); where not, permuted equals plain.
    """

    plain: NDArray[np.float64]
    permuted: NDArray[np.float64]
    is_used: NDArray[np.bool_]


def fit_forest(values: NDArray[np.float32], outcome: NDArray[np.bool_], size: ForestSize, seed: int) -> Any:
    """Return a fitted `RandomForestClassifier`; the same for any number of cores.

    Args:
        values: shape (rows, features), finite.
        outcome: shape (rows,), both classes present.
        size: trees, depth, leaf and draw.
        seed: 0 ≤ seed < 2**32.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        n_estimators=size.trees,
        max_depth=size.maximum_depth,
        min_samples_leaf=size.minimum_leaf,
        max_samples=size.drawn_rows,
        n_jobs=-1,
        random_state=seed,
    )
    return forest.fit(values, outcome)


def held_out_scores(forest: Any, values: NDArray[np.float32], repeats: int, seeds: Sequence[int]) -> HeldOutScores:
    """Return the scores of held-out rows, as they are and with each feature permuted among them `repeats` times.

    A row's score changes under the permutation of a feature only in the trees that test the feature on the row's own
    path, so that only those triples of tree, row and feature are computed again. The result is the one that permuting
    each column and scoring all rows would give. Cost: trees · rows · repeats · features tested on a path (at most the
    depth, however many features there are) passes down a tree; memory: features · repeats · rows numbers.

    Args:
        forest: fitted on the same features, for a boolean outcome.
        values: shape (rows, features), finite.
        repeats: permutations of each feature, ≥ 1.
        seeds: of the permutations; the same seeds give the same permutations.
    """
    rows, features = values.shape
    permuted_values = np.empty((repeats, features, rows), dtype=np.float32)
    for feature in range(features):
        generator = np.random.default_rng([*seeds, feature])
        for repeat in range(repeats):
            permuted_values[repeat, feature] = generator.permutation(values[:, feature])
    trees = forest.estimators_
    plain = np.zeros(rows)
    change = np.zeros((repeats, features, rows))
    is_used = np.zeros(features, dtype=np.bool_)

    with ThreadPoolExecutor(max_workers=min(repeats, cpu_count() or 1)) as pool:
        for tree in trees:
            leaf_score = tree.tree_.value[:, 0, 1]
            score = leaf_score[tree.apply(values, check_input=False)]
            plain += score
            feature_index, row_index = np.nonzero(_tested(tree, values))
            is_used[feature_index] = True
            work = _Retry(tree, leaf_score, values, feature_index, row_index)
            # each repeat writes to its own part: the order in which threads finish does not show
            for repeat, again in enumerate(pool.map(work, permuted_values)):
                change[repeat, feature_index, row_index] += again - score[row_index]
    permuted = np.round((plain + change) / len(trees), SCORE_DECIMALS)
    return HeldOutScores(np.round(plain / len(trees), SCORE_DECIMALS), permuted.swapaxes(0, 1), is_used)


def _tested(tree: Any, values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether a row's path through the tree tests a feature, shape (features, rows)."""
    rows, features = values.shape
    path = tree.decision_path(values, check_input=False)
    tested_at = tree.tree_.feature[path.indices]  # negative at a leaf
    row_index = np.repeat(np.arange(rows), np.diff(path.indptr))
    is_split = tested_at >= 0
    tested = np.zeros((features, rows), dtype=np.bool_)
    tested[tested_at[is_split], row_index[is_split]] = True
    return tested


@dataclass(frozen=True)
class _Retry:
    """Scores of one tree for pairs of feature and row, the feature replaced by its permuted value."""

    tree: Any
    leaf_score: NDArray[np.float64]
    values: NDArray[np.float32]
    feature_index: NDArray[np.intp]
    row_index: NDArray[np.intp]

    def __call__(self, permuted_values: NDArray[np.float32]) -> NDArray[np.float64]:
        batch = self.values[self.row_index]
        batch[np.arange(self.row_index.size), self.feature_index] = permuted_values[self.feature_index, self.row_index]
        found: NDArray[np.float64] = self.leaf_score[self.tree.apply(batch, check_input=False)]
        return found
