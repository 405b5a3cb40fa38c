"""Defines held-out scores of a random forest, with and without a group of features permuted together.

Put here what turns a fitted forest and held-out rows into scores. Keep out the split, the groups, the resampling and
the verdicts. Scores are summed tree by tree in a fixed order: `RandomForestClassifier.predict_proba` adds them in the
order in which its threads finish, which moves last bits, and with them ties, from run to run.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

SCORE_DECIMALS: Final = 10
"""Rows that reach the same leaves have the same score; sums in another order must not part them."""

_BLOCKS: Final = 4
"""Parts of the forest that are summed apart; a fixed number, so that the number of cores does not move a bit."""

_WORD: Final = 64

_Sets = NDArray[np.uint64]


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
        permuted: one group permuted among these rows, shape (groups, repeats, rows).
    """

    plain: NDArray[np.float64]
    permuted: NDArray[np.float64]


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


def permutations_within(strata: NDArray[np.intp], repeats: int, seeds: Sequence[int]) -> NDArray[np.intp]:
    """Return for each repeat which row lends its values to each row, one of the same stratum; shape (repeats, rows).

    Within strata of plan and size a permuted feature keeps what plan and size say of it (conditional permutation,
    Strobl et al. 2008), so that their own effect on the outcome is not credited to the feature.

    Args:
        strata: number ≥ 0 of each row's stratum, shape (rows,).
        repeats: number of permutations.
        seeds: of the draws; the same seeds and strata give the same permutations.
    """
    lender = np.tile(np.arange(strata.size), (repeats, 1))
    generator = np.random.default_rng(list(seeds))
    in_order = np.argsort(strata, kind="stable")
    places = np.split(in_order, np.flatnonzero(np.diff(strata[in_order])) + 1)
    for repeat in range(repeats):
        for rows in places:
            lender[repeat, rows] = generator.permutation(rows)
    return lender


def held_out_scores(forest: Any, values: NDArray[np.float32], groups: NDArray[np.intp], lender: NDArray[np.intp]) -> HeldOutScores:
    """Return the scores of held-out rows, as they are and with each group of features permuted in each repeat.

    The result is the one that lending the group's columns and scoring all rows again would give. For every tree the
    leaves that a row can still reach are a set of bits per group of features; the leaf is what is in all the sets
    (after the QuickScorer of Lucchese et al. 2015). With one group permuted, the row's own set of that group is
    replaced by that of the row that lends, and only where the other groups leave a choice. Cost: trees · groups ·
    repeats · rows operations on words of 64 leaves; memory: groups · repeats · rows numbers, four times over.

    Args:
        forest: fitted on the same features, for a boolean outcome.
        values: shape (rows, features), finite.
        groups: number of each feature's group, 0 … groups − 1, shape (features,).
        lender: row whose values each row takes, shape (repeats, rows).
    """
    columns = [_Column.of(values[:, feature]) for feature in range(values.shape[1])]
    trees = forest.estimators_
    blocks = [trees[start::_BLOCKS] for start in range(_BLOCKS)]
    with ThreadPoolExecutor(max_workers=min(_BLOCKS, cpu_count() or 1)) as pool:
        sums = list(pool.map(partial(_scores_of, columns=columns, groups=groups, lender=lender), blocks))
    plain, change = sums[0]
    for more_plain, more_change in sums[1:]:
        plain += more_plain
        change += more_change
    change += plain
    return HeldOutScores(np.round(plain / len(trees), SCORE_DECIMALS), np.round(change / len(trees), SCORE_DECIMALS))


@dataclass(frozen=True)
class _Column:
    """Distinct values of a feature, ascending, and which of them each row has."""

    distinct: NDArray[np.float64]
    code: NDArray[np.intp]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Self:
        distinct, code = np.unique(values, return_inverse=True)
        return cls(distinct.astype(np.float64), code.astype(np.intp))


@dataclass(frozen=True)
class _LeafSets:
    """A tree as sets of leaves: for each of its nodes the leaves that remain when a row goes left there, or right.

    Attributes:
        feature, threshold: of the inner nodes, shape (nodes,).
        when_left, when_right: bits of the leaves, shape (nodes, words).
        value: score by word and place in it; the last place of a word is "not in this word", shape (words, 65).
    """

    feature: NDArray[np.intp]
    threshold: NDArray[np.float64]
    when_left: _Sets
    when_right: _Sets
    value: NDArray[np.float64]

    @classmethod
    def of(cls, tree: Any) -> Self:
        grown = tree.tree_
        is_leaf = grown.children_left < 0
        inner = np.flatnonzero(~is_leaf)
        # nodes are numbered depth first, the left child next to its parent: a subtree is a run of numbers
        ends = np.arange(1, is_leaf.size + 1)
        for node in inner[::-1]:
            ends[node] = ends[grown.children_right[node]]
        leaves_before = np.concatenate([[0], np.cumsum(is_leaf)])
        leaves = np.arange(int(is_leaf.sum()))
        left, right = grown.children_left[inner], grown.children_right[inner]

        def without(child: NDArray[np.intp]) -> _Sets:
            first, last = leaves_before[child][:, np.newaxis], leaves_before[ends[child]][:, np.newaxis]
            return _packed((leaves < first) | (leaves >= last))

        words = -(-leaves.size // _WORD)
        score = np.zeros(words * _WORD)
        score[leaves] = grown.value[is_leaf, 0, 1]
        value = np.hstack([score.reshape(words, _WORD), np.zeros((words, 1))])
        return cls(grown.feature[inner].astype(np.intp), grown.threshold[inner], without(right), without(left), value)

    def by_feature(self, columns: Sequence[_Column]) -> Iterator[tuple[int, _Sets]]:
        """Yield each feature that the tree tests with the leaves that it leaves to each row, shape (words, rows)."""
        for feature in np.unique(self.feature):
            nodes = np.flatnonzero(self.feature == feature)
            nodes = nodes[np.argsort(self.threshold[nodes], kind="stable")]
            everything = np.full((1, self.when_left.shape[1]), ~np.uint64(0))
            # a value above the first k thresholds goes right at those nodes and left at the others
            above = np.vstack([everything, np.bitwise_and.accumulate(self.when_right[nodes], axis=0)])
            below = np.vstack([np.bitwise_and.accumulate(self.when_left[nodes[::-1]], axis=0)[::-1], everything])
            column = columns[feature]
            passed = np.searchsorted(self.threshold[nodes], column.distinct, side="left")
            yield int(feature), np.ascontiguousarray((above & below)[passed].T)[:, column.code]

    def score(self, reached: _Sets) -> NDArray[np.float64]:
        """Return the score of the one leaf in each set, of shape (words, rows)."""
        # an empty word less 1 has 64 bits: the place that is worth nothing
        place = np.bitwise_count(reached - np.uint64(1))
        found: NDArray[np.float64] = self.value[0][place[0]]
        for word in range(1, place.shape[0]):
            found += self.value[word][place[word]]
        return found


def _packed(is_in: NDArray[np.bool_]) -> _Sets:
    """Return rows of booleans as words of 64 bits, the first in the lowest bit."""
    words = -(-is_in.shape[1] // _WORD)
    padded = np.zeros((is_in.shape[0], words * _WORD), dtype=np.bool_)
    padded[:, : is_in.shape[1]] = is_in
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64, copy=False)


def _scores_of(
    trees: Sequence[Any], columns: Sequence[_Column], groups: NDArray[np.intp], lender: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the trees' scores, and of their changes by group and repeat."""
    repeats, rows = lender.shape
    plain = np.zeros(rows)
    change = np.zeros((int(groups.max()) + 1, repeats, rows))
    for tree in trees:
        leaf_sets = _LeafSets.of(tree)
        by_group: dict[int, _Sets] = {}
        for feature, left in leaf_sets.by_feature(columns):
            group = int(groups[feature])
            by_group[group] = by_group[group] & left if group in by_group else left
        if not by_group:
            plain += leaf_sets.value[0, 0]
            continue
        numbers = list(by_group)
        # leaves that all groups from this one on leave
        after = [by_group[numbers[-1]]]
        for number in numbers[-2::-1]:
            after.append(after[-1] & by_group[number])
        after.reverse()
        reached = after[0]
        score = leaf_sets.score(reached)
        plain += score
        before: _Sets | None = None
        for place, number in enumerate(numbers):
            others = [sets for sets in (before, after[place + 1] if place + 1 < len(numbers) else None) if sets is not None]
            own = by_group[number]
            before = own if before is None else before & own
            rest = np.full_like(own, ~np.uint64(0)) if not others else others[0] if len(others) == 1 else others[0] & others[1]
            open_rows = np.flatnonzero(np.bitwise_or.reduce(rest ^ reached, axis=0))
            if not open_rows.size:
                continue
            choice, was = rest[:, open_rows], score[open_rows]
            for repeat in range(repeats):
                now = leaf_sets.score(choice & own[:, lender[repeat, open_rows]])
                change[number, repeat, open_rows] += now - was
    return plain, change
