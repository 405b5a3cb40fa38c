"""Defines which features are so alike that they are judged together.

Put here the clustering of features and what joins the clusterings of several folds. Keep out models and outcomes: a
group is made from the features alone. Two near copies of one driver each look useless when permuted alone, since the
other one stands in for it; permuted together they show what they carry.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def correlated_groups(
    values: NDArray[np.float64], kinds: NDArray[np.intp], is_eligible: NDArray[np.bool_], grouped_from: float
) -> NDArray[np.intp]:
    """Return the number of each feature's group, 0 … groups − 1, in the order of their first features.

    Ward's clustering on the distance 1 − |r|, r being Spearman's rank correlation, cut at 1 − `grouped_from`: of two
    features alone, |r| of at least that makes a group. Features that belong to different plans are never grouped, since
    they are judged among different accounts; those that belong to the same are compared among the rows of these plans.
    A constant feature is a group of its own.

    Args:
        values: shape (rows, features), finite.
        kinds: number of the set of plans that each feature belongs to, shape (features,).
        is_eligible: rows whose plan is in the set, shape (rows, sets).
        grouped_from: least |r| of two features in one group, in (0, 1].
    """
    label = np.empty(values.shape[1], dtype=np.intp)
    made = 0
    for kind in np.unique(kinds):
        features = np.flatnonzero(kinds == kind)
        rows = np.flatnonzero(is_eligible[:, kind])
        label[features] = made + _clusters(values[np.ix_(rows, features)], grouped_from)
        made = int(label[features].max()) + 1
    return _by_first(label)


def consensus(labels: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Return the groups on which most of several groupings agree: number of each feature's group, in order.

    Any two features of a group are together in more than half of the groupings (complete linkage on the share that
    keep them apart, cut below one half).

    Args:
        labels: groupings of the same features, each of shape (features,); at least one.
    """
    apart = np.mean([label[:, np.newaxis] != label[np.newaxis, :] for label in labels], axis=0)
    if apart.shape[0] < 2:  # noqa: PLR2004 - nothing to cluster
        return np.zeros(apart.shape[0], dtype=np.intp)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    # the shares are multiples of 1 / groupings: any bound between the last below one half and one half is the same
    bound = 0.5 - 0.25 / len(labels)
    return _by_first(fcluster(linkage(squareform(apart), method="complete"), bound, criterion="distance").astype(np.intp))


def _clusters(values: NDArray[np.float64], grouped_from: float) -> NDArray[np.intp]:
    features = values.shape[1]
    varies = np.flatnonzero((values != values[:1]).any(axis=0)) if values.shape[0] else np.empty(0, dtype=np.intp)
    label = np.arange(features, dtype=np.intp)
    if varies.size < 2:  # noqa: PLR2004 - nothing to cluster
        return label
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from scipy.stats import rankdata

    ranks = rankdata(values[:, varies], axis=0)
    distance = np.clip(1 - np.abs(np.corrcoef(ranks, rowvar=False)), 0, None)
    np.fill_diagonal(distance, 0)
    # rounding must not part features that are exactly at the bound
    tree = linkage(squareform(distance, checks=False), method="ward")
    label[varies] = features + fcluster(tree, 1 - grouped_from + 1e-9, criterion="distance")
    return _by_first(label)


def _by_first(label: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the same grouping numbered in the order of each group's first feature."""
    _, first, place = np.unique(label, return_index=True, return_inverse=True)
    number = np.empty(first.size, dtype=np.intp)
    number[np.argsort(first)] = np.arange(first.size)
    return number[place].astype(np.intp)
