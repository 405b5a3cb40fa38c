"""Tests of the permuted scores against permuting whole columns, and against sklearn's own permutation importance."""

import numpy as np
import pytest

from milestones_dagster.evidence.permutation import ForestSize, fit_forest, held_out_scores
from milestones_dagster.evidence.resampling import roc_auc

SIZE = ForestSize(trees=30, maximum_depth=6, minimum_leaf=20, drawn_rows=300)


def world(rows=1200, features=6, seed=0):
    """Return values and an outcome that the first feature drives, the second half as much, the others not at all."""
    generator = np.random.default_rng(seed)
    values = generator.poisson(3, (rows, features)).astype(np.float32)
    values[:, -1] = 1  # constant: no tree can use it
    chance = 1 / (1 + np.exp(-(0.8 * (values[:, 0] - 3) + 0.4 * (values[:, 1] - 3))))
    return values, generator.random(rows) < chance


@pytest.fixture(scope="module")
def fitted():
    values, outcome = world()
    return fit_forest(values[:600], outcome[:600], SIZE, seed=4), values[600:], outcome[600:]


def test_scores_equal_those_of_whole_permuted_columns(fitted):
    forest, values, _ = fitted

    scores = held_out_scores(forest, values, repeats=3, seeds=[7, 1])

    assert scores.plain == pytest.approx(forest.predict_proba(values)[:, 1], abs=1e-9)
    for feature in range(values.shape[1]):
        generator = np.random.default_rng([7, 1, feature])
        for repeat in range(3):
            permuted = values.copy()
            permuted[:, feature] = generator.permutation(values[:, feature])
            assert scores.permuted[feature, repeat] == pytest.approx(forest.predict_proba(permuted)[:, 1], abs=1e-9)


def test_an_unused_feature_changes_nothing(fitted):
    forest, values, _ = fitted

    scores = held_out_scores(forest, values, repeats=2, seeds=[0])

    assert not scores.is_used[-1]
    assert (scores.permuted[-1] == scores.plain).all()


def test_importance_agrees_with_sklearn(fitted):
    from sklearn.inspection import permutation_importance

    forest, values, outcome = fitted
    scores = held_out_scores(forest, values, repeats=20, seeds=[0])
    auc = roc_auc(scores.plain, outcome)
    drops = np.array([[auc - roc_auc(again, outcome) for again in feature] for feature in scores.permuted])

    reference = permutation_importance(forest, values, outcome, scoring="roc_auc", n_repeats=20, random_state=1)

    # each mean of 20 has a standard error of sd / √20; five of the two together
    tolerance = 5 * np.hypot(drops.std(axis=1), reference.importances_std) / np.sqrt(20) + 1e-9
    assert (np.abs(drops.mean(axis=1) - reference.importances_mean) <= tolerance).all()
    assert drops.mean(axis=1).argsort()[::-1][:2].tolist() == [0, 1]


def test_the_same_seeds_give_the_same_bits(fitted):
    forest, values, _ = fitted

    first, second = (held_out_scores(forest, values, repeats=4, seeds=[3]) for _ in range(2))
    other = held_out_scores(forest, values, repeats=4, seeds=[4])

    assert first.permuted.tobytes() == second.permuted.tobytes()
    assert first.permuted.tobytes() != other.permuted.tobytes()
