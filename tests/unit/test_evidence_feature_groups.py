"""Tests of the clustering of features: by hand, against scipy, and what several folds agree on."""

import numpy as np
import pytest

from milestones_dagster.evidence.feature_groups import consensus, correlated_groups


def every(values):
    """Return the arguments of features that belong to every plan."""
    return np.zeros(values.shape[1], dtype=np.intp), np.ones((values.shape[0], 1), dtype=np.bool_)


def test_groups_by_hand():
    # the second rises with the first (correlation of ranks 1), the third falls with it (−1); the fifth is constant
    first = np.array([1, 2, 3, 4, 5.0])
    values = np.column_stack([first, np.exp(first), -first, [3.0, 4, 1, 5, 2], np.full(5, 7.0)])
    ranks = np.array([3, 4, 1, 5, 2])
    assert ((ranks - first) ** 2).sum() == 4 + 4 + 4 + 1 + 9
    # 1 − 6 · 22 / 120 = −0.1: apart from 0.7 on, together from 0.1
    assert correlated_groups(values, *every(values), 0.7).tolist() == [0, 0, 0, 1, 2]
    assert correlated_groups(values[:, [0, 3]], *every(values[:, :2]), 0.1).tolist() == [0, 0]
    assert correlated_groups(values[:, [0, 3]], *every(values[:, :2]), 0.11).tolist() == [0, 1]


def test_groups_equal_those_of_scipy():
    from scipy.cluster.hierarchy import fcluster, ward
    from scipy.spatial.distance import squareform
    from scipy.stats import spearmanr

    generator = np.random.default_rng(3)
    common = generator.normal(size=(400, 3))
    values = common[:, [0, 0, 0, 1, 1, 2]] + generator.normal(size=(400, 6)) * [0.2, 0.3, 1.5, 0.3, 0.4, 0.1]
    distance = 1 - np.abs(spearmanr(values).statistic)
    wanted = fcluster(ward(squareform(distance, checks=False)), 0.3, criterion="distance")

    found = correlated_groups(values, *every(values), 0.7)

    assert (found[:, None] == found).tolist() == (wanted[:, None] == wanted).tolist()
    assert found.tolist() == [0, 0, 1, 2, 2, 3]


def test_features_of_other_plans_are_apart_and_compared_among_their_own():
    generator = np.random.default_rng(0)
    is_premium = np.arange(300) < 100
    used = generator.integers(1, 9, 300).astype(float)
    other = generator.integers(1, 9, 300).astype(float)
    values = np.column_stack([used, used * is_premium, other * is_premium, used])
    kinds = np.array([0, 1, 1, 0])
    eligible = np.column_stack([np.ones(300, dtype=bool), is_premium])
    # the two of premium are 0 elsewhere, which alone would make them alike
    assert abs(np.corrcoef(values[:, 1], values[:, 2])[0, 1]) > 0.6

    assert correlated_groups(values, kinds, eligible, 0.6).tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[0, 1, 0]], [0, 1, 0]),
        # the first two are together in two of three, the last two in one
        ([[0, 0, 1], [0, 0, 1], [0, 1, 1]], [0, 0, 1]),
        # half is not most
        ([[0, 0], [0, 1]], [0, 1]),
        # each neighbour in three of five, but the ends in one: no group holds both
        ([[0, 0, 1], [0, 0, 1], [0, 1, 1], [0, 1, 1], [0, 0, 0]], [0, 0, 1]),
        ([[0], [0]], [0]),
    ],
)
def test_what_most_folds_agree_on(labels, expected):
    assert consensus([np.array(label) for label in labels]).tolist() == expected
