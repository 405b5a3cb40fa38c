"""Tests of the account bootstrap against sklearn, hand counts and resampling row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from milestones_dagster.evidence.resampling import (
    AccountResamples,
    average_precision,
    draw_accounts,
    percentile_interval,
    placements,
    resampled_auc_difference,
    resampled_average_precision,
    resampled_roc_auc,
    roc_auc,
)


def test_auc_of_tied_scores_by_hand():
    # positives .1 .4 .4 against negatives .1 .4 .9: of 9 pairs .1 ties one (½), each .4 wins one and ties one (1½)
    scores = np.array([0.1, 0.4, 0.4, 0.1, 0.4, 0.9])
    outcome = np.array([True, True, True, False, False, False])

    assert roc_auc(scores, outcome) == pytest.approx(3.5 / 9, abs=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.9])
def test_auc_equals_sklearn(share):
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(3)
    outcome = generator.random(700) < share
    scores = np.round(generator.normal(size=700) + 0.5 * outcome, 1)

    assert roc_auc(scores, outcome) == pytest.approx(roc_auc_score(outcome, scores), abs=1e-12)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_resampled_auc_equals_literal_resampling_of_accounts(share):
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(5)
    accounts = generator.integers(0, 60, 400) * 11
    outcome = generator.random(400) < share
    scores = np.round(generator.normal(size=400) + outcome, 1)
    resamples = draw_accounts(accounts, 25, seed=9)

    literal = []
    for weights in resamples.weights.T:
        rows = np.concatenate(
            [
                np.flatnonzero(accounts == account)
                for account, times in zip(np.unique(accounts), weights, strict=True)
                for _ in range(int(times))
            ]
        )
        literal.append(roc_auc_score(outcome[rows], scores[rows]))

    assert resampled_roc_auc(scores, outcome, resamples) == pytest.approx(np.array(literal), abs=1e-12)


@given(
    arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    arrays(np.bool_, 12),
    arrays(np.float32, (4, 3), elements=st.integers(0, 4).map(float)),
)
def test_weighted_auc_equals_the_sum_over_all_pairs(scores, outcome, weights):
    positions = np.arange(12) % 4
    expected = []
    for draws in weights.T:
        row_weights = draws[positions]
        pairs = np.outer(row_weights[outcome], row_weights[~outcome])
        difference = scores[outcome][:, None] - scores[~outcome][None, :]
        won = pairs * ((difference > 0) + 0.5 * (difference == 0))
        expected.append(won.sum() / pairs.sum() if pairs.sum() else np.nan)

    found = resampled_roc_auc(scores, outcome, AccountResamples(positions, weights))

    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_auc_without_one_class_is_missing():
    assert np.isnan(roc_auc(np.array([0.1, 0.2]), np.array([True, True])))


def test_every_resample_draws_as_many_accounts_as_there_are():
    accounts = np.repeat(np.arange(40), 3)

    resamples = draw_accounts(accounts, 30, seed=1)

    assert resamples.weights.shape == (40, 30)
    assert (resamples.weights.sum(axis=0) == 40).all()
    assert (np.unique(accounts)[resamples.positions] == accounts).all()


def test_draws_depend_on_the_seed_and_the_accounts_alone():
    accounts = np.repeat(np.arange(40), 3)

    same = draw_accounts(accounts[::-1].copy(), 10, seed=1)
    other = draw_accounts(accounts, 10, seed=2)

    np.testing.assert_array_equal(draw_accounts(accounts, 10, seed=1).weights, same.weights)
    assert (same.weights != other.weights).any()


def test_percentile_interval_leaves_undefined_resamples_out():
    assert percentile_interval(np.array([np.nan, *np.arange(101.0)])) == pytest.approx((2.5, 97.5))
    assert np.isnan(percentile_interval(np.array([np.nan]))).all()


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_equals_that_of_scikit_learn(ties):
    from sklearn.metrics import average_precision_score

    generator = np.random.default_rng(5)
    scores = generator.normal(size=300).round(1 if ties else 6)
    outcome = generator.random(300) < 0.3

    assert average_precision(scores, outcome) == pytest.approx(average_precision_score(outcome, scores))


def test_resampled_average_precision_is_that_of_the_rows_drawn():
    from sklearn.metrics import average_precision_score

    generator = np.random.default_rng(6)
    accounts = np.sort(generator.integers(0, 40, 200)).astype(np.int64)
    scores, outcome = generator.normal(size=200).round(1), generator.random(200) < 0.4
    resamples = draw_accounts(accounts, 60, seed=1)

    found = resampled_average_precision(scores, outcome, resamples)

    for resample in range(60):
        rows = np.repeat(np.arange(200), resamples.weights[resamples.positions, resample].astype(int))
        assert found[resample] == pytest.approx(average_precision_score(outcome[rows], scores[rows]))


def test_average_precision_without_the_outcome_is_unknown():
    assert np.isnan(average_precision(np.array([1.0, 2.0]), np.array([False, False])))


def test_placements_by_hand():
    # with the outcome: 3 and 1; without: 2, 1 and 0
    scores = np.array([3.0, 2, 1, 1, 0])
    outcome = np.array([True, False, True, False, False])
    # 3 beats all three; 1 beats 0 and ties with 1: (1 + 1/2) / 3; 2 loses to 3 alone; 1 loses to 3 and ties; 0 loses to both
    assert placements(scores, outcome) == pytest.approx([1, 0.5, 0.5, 0.75, 1])
    assert placements(scores, outcome)[outcome].mean() == pytest.approx(roc_auc(scores, outcome))
    assert placements(scores, outcome)[~outcome].mean() == pytest.approx(roc_auc(scores, outcome))
    assert np.isnan(placements(scores, np.zeros(5, dtype=bool))).all()


def test_the_first_order_difference_has_the_interval_of_the_exact_one():
    generator = np.random.default_rng(8)
    accounts = np.repeat(np.arange(300), 3).astype(np.int64)
    outcome = generator.random(900) < 0.3
    good = outcome + generator.normal(size=900)
    worse = 0.4 * outcome + generator.normal(size=900)
    resamples = draw_accounts(accounts, 400, seed=2)
    exact = resampled_roc_auc(good, outcome, resamples) - resampled_roc_auc(worse, outcome, resamples)

    found = resampled_auc_difference(placements(good, outcome) - placements(worse, outcome), outcome, resamples)

    assert np.corrcoef(found, exact)[0, 1] > 0.995
    width = exact.std()
    assert np.abs(np.array(percentile_interval(found)) - percentile_interval(exact)).max() < 0.1 * width


def test_a_difference_of_nothing_is_nothing_in_every_resample():
    resamples = draw_accounts(np.arange(20, dtype=np.int64), 30, seed=0)
    found = resampled_auc_difference(np.zeros(20), np.arange(20) < 7, resamples)
    assert (found == 0).all()
