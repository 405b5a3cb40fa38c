"""Tests of the permuted scores against permuting whole columns, and against sklearn's own permutation importance."""

import numpy as np
import pytest

from milestones_dagster.evidence.permutation import ForestSize, fit_forest, held_out_scores, plain_scores
from milestones_dagster.evidence.resampling import roc_auc
from milestones_dagster.evidence.strata import permutations_within

SIZE = ForestSize(trees=30, maximum_depth=6, minimum_leaf=20, drawn_rows=300)
ALONE = np.arange(6)


def world(rows=1200, features=6, seed=0):
    """Return values and an outcome that the first feature drives, the second half as much, the others not at all."""
    generator = np.random.default_rng(seed)
    values = generator.poisson(3, (rows, features)).astype(np.float32)
    values[:, 2] = generator.normal(size=rows)
    values[:, -1] = 1  # constant: no tree can use it
    chance = 1 / (1 + np.exp(-(0.8 * (values[:, 0] - 3) + 0.4 * (values[:, 1] - 3))))
    return values, generator.random(rows) < chance


@pytest.fixture(scope="module")
def fitted():
    values, outcome = world()
    return fit_forest(values[:600], outcome[:600], SIZE, seed=4), values[600:], outcome[600:]


def lenders(rows, repeats, seed=7):
    return np.stack([*permutations_within(np.zeros(rows, dtype=np.intp), repeats, [seed])])


@pytest.mark.parametrize("groups", [ALONE, np.array([0, 1, 0, 2, 1, 3]), np.zeros(6, dtype=np.intp)], ids=["alone", "pairs", "all"])
def test_scores_equal_those_of_whole_permuted_groups(fitted, groups):
    forest, values, _ = fitted
    lender = lenders(len(values), 3)

    scores = held_out_scores(forest, values, groups, lender)

    assert scores.plain == pytest.approx(forest.predict_proba(values)[:, 1], abs=1e-9)
    assert plain_scores(forest, values) == pytest.approx(scores.plain, abs=1e-9)
    assert scores.permuted.shape == (groups.max() + 1, 3, len(values))
    for group in np.unique(groups):
        for repeat in range(3):
            permuted = values.copy()
            permuted[:, groups == group] = values[lender[repeat]][:, groups == group]
            assert scores.permuted[group, repeat] == pytest.approx(forest.predict_proba(permuted)[:, 1], abs=1e-9)


def test_trees_of_more_than_64_leaves_are_scored_the_same():
    values, outcome = world(rows=4000, seed=2)
    deep = fit_forest(values, outcome, ForestSize(trees=8, maximum_depth=30, minimum_leaf=1, drawn_rows=3000), seed=1)
    assert min(tree.get_n_leaves() for tree in deep.estimators_) > 3 * 64
    lender = lenders(500, 2)

    scores = held_out_scores(deep, values[:500], ALONE, lender)

    assert scores.plain == pytest.approx(deep.predict_proba(values[:500])[:, 1], abs=1e-9)
    permuted = values[:500].copy()
    permuted[:, 2] = permuted[lender[1], 2]
    assert scores.permuted[2, 1] == pytest.approx(deep.predict_proba(permuted)[:, 1], abs=1e-9)


def test_a_forest_of_stumps_scores_its_base_rate():
    values, outcome = world()
    stumps = fit_forest(values, outcome, ForestSize(trees=5, maximum_depth=3, minimum_leaf=700, drawn_rows=1200), seed=0)

    scores = held_out_scores(stumps, values, ALONE, lenders(len(values), 2))

    assert scores.plain == pytest.approx(stumps.predict_proba(values)[:, 1], abs=1e-9)
    assert (scores.permuted == scores.plain).all()


def test_an_unused_feature_changes_nothing(fitted):
    forest, values, _ = fitted

    scores = held_out_scores(forest, values, ALONE, lenders(len(values), 2))

    assert (scores.permuted[-1] == scores.plain).all()


def test_importance_agrees_with_sklearn(fitted):
    from sklearn.inspection import permutation_importance

    forest, values, outcome = fitted
    scores = held_out_scores(forest, values, ALONE, lenders(len(values), 20))
    auc = roc_auc(scores.plain, outcome)
    drops = np.array([[auc - roc_auc(again, outcome) for again in feature] for feature in scores.permuted])

    reference = permutation_importance(forest, values, outcome, scoring="roc_auc", n_repeats=20, random_state=1)

    # each mean of 20 has a standard error of sd / √20; five of the two together
    tolerance = 5 * np.hypot(drops.std(axis=1), reference.importances_std) / np.sqrt(20) + 1e-9
    assert (np.abs(drops.mean(axis=1) - reference.importances_mean) <= tolerance).all()
    assert drops.mean(axis=1).argsort()[::-1][:2].tolist() == [0, 1]


def test_rows_borrow_within_their_stratum_alone():
    strata = np.array([0, 2, 0, 2, 2, 5, 0])

    lender = np.stack([*permutations_within(strata, 40, [3, 1])])

    assert (strata[lender] == strata).all()
    assert (np.sort(lender, axis=1) == np.arange(7)).all()
    # the three of stratum 0 come in all six orders, the one of stratum 5 keeps its own
    assert len({tuple(row) for row in lender[:, [0, 2, 6]]}) == 6
    assert (lender[:, 5] == 5).all()


def test_the_same_seeds_give_the_same_bits(fitted):
    forest, values, _ = fitted

    first, second = (held_out_scores(forest, values, ALONE, lenders(len(values), 4, seed=3)) for _ in range(2))
    other = held_out_scores(forest, values, ALONE, lenders(len(values), 4, seed=4))

    assert first.permuted.tobytes() == second.permuted.tobytes()
    assert first.permuted.tobytes() != other.permuted.tobytes()
