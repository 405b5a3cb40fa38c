"""Defines held-out scores of a random forest, with and without a group of features permuted together.

Put here what turns a fitted forest and held-out rows into scores. Keep out the split, the groups, the resampling and
the verdicts. Scores are summed tree by tree in a fixed order: `RandomForestClassifier.predict_proba` adds them in the
order in which its threads finish, which moves last bits, and with them ties, from run to run.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from os import cpu_count
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

SCORE_DECIMALS: Final = 10
"""Rows that reach the same leaves have the same score; sums in another order must not part them."""

_BLOCKS: Final = 4
"""Parts of the forest that are summed apart; a fixed number, so that the number of cores does not move a bit."""

_CELLS: Final = 4_000_000
"""Nodes × rows of a tree that are held at a time, in two bytes each."""

_Unsigned = NDArray[np.unsignedinteger[Any]]
_Booleans = NDArray[np.bool_]
_Floats = NDArray[np.float64]


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


def plain_scores(forest: Any, values: NDArray[np.float32]) -> _Floats:
    """Return the probability of the outcome for held-out rows as they are, shape (rows,): `held_out_scores` without a group."""
    total = np.zeros(len(values))
    for tree in forest.estimators_:
        total += tree.predict_proba(values, check_input=False)[:, 1]
    return np.round(total / len(forest.estimators_), SCORE_DECIMALS)


def held_out_scores(forest: Any, values: NDArray[np.float32], groups: NDArray[np.intp], lender: NDArray[np.intp]) -> HeldOutScores:
    """Return the scores of held-out rows, as they are and with each group of features permuted in each repeat.

    The result is the one that lending the group's columns and scoring all rows again would give. A row that lends another
    value leaves its path at the first node that tests the group and sends the two values to different sides; the leaf that
    it reaches beyond, by its own values, is known for every node of the tree from one pass from the leaves to the root. So
    that only the nodes on a row's path cost anything, and of a tree only those rows that a permutation sends elsewhere.
    Memory: groups · repeats · rows numbers, at most five times over.

    Args:
        forest: fitted on the same features, for a boolean outcome.
        values: shape (rows, features), finite.
        groups: number of each feature's group, 0 … groups − 1, shape (features,).
        lender: row whose values each row takes, shape (repeats, rows).
    """
    sizes = np.bincount(groups)
    columns = [_Column.of(values[:, feature], lender, is_alone=sizes[groups[feature]] == 1) for feature in range(values.shape[1])]
    trees = forest.estimators_
    blocks = [trees[start::_BLOCKS] for start in range(_BLOCKS)]
    with ThreadPoolExecutor(max_workers=min(_BLOCKS, cpu_count() or 1)) as pool:
        sums = list(pool.map(partial(_scores_of, columns=columns, groups=groups), blocks))
    plain, changes = sums[0]
    for more_plain, more_changes in sums[1:]:
        plain += more_plain
        for change, more in zip(changes, more_changes, strict=True):
            np.add(change, more, out=change)
    permuted = np.empty((sizes.size, *lender.shape))
    for group, change in enumerate(changes):
        column = columns[int(np.flatnonzero(groups == group)[0])]
        permuted[group] = np.round((column.by_repeat(change, lender) + plain) / len(trees), SCORE_DECIMALS)
    return HeldOutScores(np.round(plain / len(trees), SCORE_DECIMALS), permuted)


@dataclass(frozen=True)
class _Column:
    """A feature as the places of its values among the distinct ones, in order.

    Attributes:
        distinct: ascending.
        own: place of each row's value, shape (rows,).
        lent: places of the values that each row is to take instead, shape (rows, turns). The turns are the repeats, or, where
            the feature is alone in its group and has no more values than there are repeats, all other values, one by one.
        is_by_value: whether the turns are the other values.
    """

    distinct: _Floats
    own: _Unsigned
    lent: _Unsigned
    is_by_value: bool

    @classmethod
    def of(cls, values: NDArray[np.float32], lender: NDArray[np.intp], *, is_alone: bool) -> Self:
        distinct, place = np.unique(values, return_inverse=True)
        kind = np.min_scalar_type(distinct.size)
        is_by_value = bool(is_alone) and distinct.size <= len(lender)
        taken = (place[:, np.newaxis] + np.arange(1, distinct.size)) % distinct.size if is_by_value else place[lender].T
        return cls(distinct.astype(np.float64), place.astype(kind), np.ascontiguousarray(taken.astype(kind)), is_by_value)

    def where(self, rows: slice) -> Self:
        """Return the column of some of the rows."""
        return replace(self, own=self.own[rows], lent=self.lent[rows])

    def by_repeat(self, change: _Floats, lender: NDArray[np.intp]) -> _Floats:
        """Return by repeat, shape (repeats, rows), what was told by turn, shape (rows, turns)."""
        if not self.is_by_value:
            return np.asarray(change.T)
        own = self.own.astype(np.intp)
        turn = (own[lender] - own) % self.distinct.size
        return np.take_along_axis(np.pad(change, ((0, 0), (1, 0))), turn.T, axis=1).T


@dataclass(frozen=True)
class _Tree:
    """A grown tree whose nodes are numbered depth first, the left child next to its parent: a subtree is a run of numbers.

    Attributes:
        feature, left, right: of each node, shape (nodes,); left is −1 at a leaf.
        passed: how many distinct values of the node's feature go left.
        first, last: leaves of the subtree, as a range of their numbers from left to right.
        end: number after the subtree's last node.
        score: of each leaf.
        groups: group of the feature that each node tests, −1 at a leaf.
        nodes: of each group, ascending.
    """

    feature: NDArray[np.intp]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    passed: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    end: NDArray[np.intp]
    score: _Floats
    groups: NDArray[np.intp]
    nodes: Mapping[int, list[int]]

    @classmethod
    def of(cls, tree: Any, columns: Sequence[_Column], groups: NDArray[np.intp]) -> Self:
        grown = tree.tree_
        is_leaf = grown.children_left < 0
        ends = np.arange(1, is_leaf.size + 1)
        passed = np.zeros(is_leaf.size, dtype=np.intp)
        for node in np.flatnonzero(~is_leaf)[::-1]:
            ends[node] = ends[grown.children_right[node]]
            passed[node] = np.searchsorted(columns[grown.feature[node]].distinct, grown.threshold[node], side="right")
        before = np.concatenate([[0], np.cumsum(is_leaf)])
        tested = np.where(is_leaf, -1, groups[grown.feature])
        return cls(
            feature=grown.feature,
            left=grown.children_left,
            right=grown.children_right,
            passed=passed,
            first=before[:-1],
            last=before[ends],
            end=ends,
            score=grown.value[is_leaf, 0, 1].astype(np.float64),
            groups=tested,
            nodes={int(group): np.flatnonzero(tested == group).tolist() for group in np.unique(tested)},
        )

    @property
    def inner(self) -> list[int]:
        """Numbers of the nodes that test something, parents first."""
        return [int(node) for node in np.flatnonzero(self.left >= 0)]

    def tests(self, group: int, node: int) -> bool:
        """Whether the subtree below a node, it included, tests the group."""
        nodes = self.nodes[group]
        place = bisect_left(nodes, node)
        return place < len(nodes) and nodes[place] < self.end[node]


def _scores_of(trees: Sequence[Any], columns: Sequence[_Column], groups: NDArray[np.intp]) -> tuple[_Floats, list[_Floats]]:
    """Return the sum of the trees' scores, shape (rows,), and of their changes, by group of shape (rows, turns)."""
    rows = columns[0].own.size
    plain = np.zeros(rows)
    changes = [np.zeros(columns[int(feature)].lent.shape) for feature in np.unique(groups, return_index=True)[1]]
    for grown in trees:
        tree = _Tree.of(grown, columns, groups)
        size = max(_CELLS // tree.left.size, 1)
        for start in range(0, rows, size):
            here = slice(start, start + size)
            part = columns if size >= rows else [column.where(here) for column in columns]
            _Passed(tree, part).add_to(plain[here], [change[here] for change in changes])
    return plain, changes


class _Passed:
    """Some rows on their way through a tree: where each would end from every node, by its own values.

    Attributes:
        goes_left: at each inner node, shape (rows,).
        leaf: reached from each node, shape (nodes, rows).
    """

    def __init__(self, tree: _Tree, columns: Sequence[_Column]) -> None:
        self.tree = tree
        self.columns = columns
        self.goes_left: dict[int, _Booleans] = {}
        kind = np.min_scalar_type(tree.score.size)
        self.leaf: _Unsigned = np.empty((tree.left.size, columns[0].own.size), dtype=kind)
        self.leaf[tree.left < 0] = np.arange(tree.score.size)[:, np.newaxis]
        for node in tree.inner[::-1]:
            is_left = columns[tree.feature[node]].own < tree.passed[node]
            self.goes_left[node] = is_left
            # the same as `where`, in a third of the time
            chosen = self.leaf[tree.left[node]] ^ self.leaf[tree.right[node]]
            chosen &= np.negative(is_left.astype(kind))
            np.bitwise_xor(chosen, self.leaf[tree.right[node]], out=self.leaf[node])

    def add_to(self, plain: _Floats, changes: Sequence[_Floats]) -> None:
        """Add the tree's score to `plain`, shape (rows,), and what each turn changes to its group's, shape (rows, turns)."""
        tree, leaf = self.tree, self.leaf[0]
        score = tree.score[leaf]
        plain += score
        # by the leaf that they reach, the rows that come through a node stand together
        order = np.argsort(leaf, kind="stable")
        starts = np.searchsorted(leaf[order], np.arange(tree.score.size + 1))
        gone: dict[int, _Booleans] = {}
        for node in tree.inner:
            group = int(tree.groups[node])
            at = order[starts[tree.first[node]] : starts[tree.last[node]]]
            if not at.size:
                continue
            own = self.goes_left[node].take(at)
            lent = self.columns[tree.feature[node]].lent
            leaves = (lent.take(at, axis=0) < tree.passed[node]) != own[:, np.newaxis]
            is_left_tested, is_right_tested = tree.tests(group, int(tree.left[node])), tree.tests(group, int(tree.right[node]))
            if is_left_tested or is_right_tested or group in gone:
                # who has left the path further up has its leaf already
                away = gone.setdefault(group, np.zeros(lent.shape, dtype=np.bool_))
                before = away.take(at, axis=0)
                leaves &= ~before
                away[at] = before | leaves
            if is_left_tested or is_right_tested:
                place, turn = np.nonzero(leaves)
                gained = np.zeros(leaves.shape)
                reached = self._elsewhere(node, at[place], own[place], turn)
                gained[place, turn] = tree.score[reached] - score[at[place]]
            else:
                beyond = np.where(own, self.leaf[tree.right[node]].take(at), self.leaf[tree.left[node]].take(at))
                gained = leaves * (tree.score[beyond] - score.take(at))[:, np.newaxis]
            changes[group][at] = changes[group].take(at, axis=0) + gained

    def _elsewhere(self, node: int, row: NDArray[np.intp], own: _Booleans, turn: NDArray[np.intp]) -> _Unsigned:
        """Return the leaf that rows reach in some turn beyond the side of the node that is not their own."""
        group, found = int(self.tree.groups[node]), np.empty(row.size, dtype=self.leaf.dtype)
        for side, below in ((own, int(self.tree.right[node])), (~own, int(self.tree.left[node]))):
            found[side] = self._permuted(group, below, row[side], turn[side])
        return found

    def _permuted(self, group: int, node: int, row: NDArray[np.intp], turn: NDArray[np.intp]) -> _Unsigned:
        """Return the leaf that each row reaches from a node, the group's values lent in its turn."""
        tree = self.tree
        if not row.size or not tree.tests(group, node):
            return np.asarray(self.leaf[node, row])
        if tree.groups[node] == group:
            is_left = self.columns[tree.feature[node]].lent[row, turn] < tree.passed[node]
        else:
            is_left = self.goes_left[node][row]
        found = np.empty(row.size, dtype=self.leaf.dtype)
        for side, below in ((is_left, int(tree.left[node])), (~is_left, int(tree.right[node]))):
            found[side] = self._permuted(group, below, row[side], turn[side])
        return found
