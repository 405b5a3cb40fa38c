"""Tests that nothing is learnt outside the fold, that copies share an importance, and that a plan's own effect is nobody's."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ranking_world import framework, impostor, matrix

from milestones_dagster.evidence.fold_fit import fit_fold
from milestones_dagster.evidence.held_out import measured
from milestones_dagster.evidence.permutation import held_out_scores
from milestones_dagster.evidence.ranking_rows import known_rows, with_decoys
from milestones_dagster.evidence.resampling import roc_auc
from milestones_dagster.evidence.splits import split_rows
from milestones_dagster.evidence.strata import permutations_within


def prepared(frame, names, plans=None, **ranking):
    """Return rows with decoys, their split and the settings."""
    made = framework(names, plans=plans, **ranking)
    rows = known_rows(frame, sorted(made.features.catalogue, key=lambda feature: feature.name))
    config = made.feature_ranking
    split = split_rows(
        accounts=rows.accounts,
        observed_at=rows.observed_at,
        known_at=rows.known_at,
        outcome=rows.outcome,
        folds=config.folds,
        train_share=config.train_share,
        seed=config.seed,
    )
    return with_decoys(rows, config.decoys, config.seed), split, config


@pytest.fixture(scope="module")
def planted():
    frame, names = matrix(accounts=500, months=8, noise=3)
    # missing values, so that there is something to fill
    frame["noise_02"] = frame["noise_02"].where(frame["noise_02"] != 2)
    return prepared(frame, names)


def test_nothing_of_a_fold_is_learnt_from_rows_that_it_does_not_fit(planted):
    rows, split, config = planted
    fold = split.folds[1]
    other = np.setdiff1d(np.arange(rows.accounts.size), fold.fitted)
    assert other.size > 1000
    values, outcome = rows.features.copy(), rows.outcome.copy()
    # outside: all features are one, far away and the outcome is turned round
    values[other] = 1e6 - values[other, :1]
    outcome[other] = ~outcome[other]

    honest = fit_fold(rows, fold.fitted, config, config.decoys, 1)
    again = fit_fold(replace(rows, features=values, outcome=outcome), fold.fitted, config, config.decoys, 1)

    for name in ("fill", "groups", "cuts", "strength"):
        assert (getattr(honest, name) == getattr(again, name)).all(), name
    for name in ("centre", "scale", "slope", "intercept"):
        assert np.all(getattr(honest.logistic, name) == getattr(again.logistic, name)), name
    # every feature is alone, and so is every decoy
    assert honest.groups.tolist() == list(range(10))


def test_what_is_fitted_inside_would_differ_outside(planted):
    rows, split, config = planted
    inside = fit_fold(rows, split.folds[0].fitted, config, config.decoys, 0)
    everything = fit_fold(rows, np.arange(rows.accounts.size), config, config.decoys, 0)
    assert not np.allclose(inside.logistic.scale, everything.logistic.scale, rtol=1e-6)


def test_near_copies_of_a_driver_share_the_importance_that_none_has_alone():
    frame, names = matrix(accounts=800, months=6, noise=2)
    generator = np.random.default_rng(9)
    copies = ["copy_a", "copy_b", "copy_c"]
    for name in copies:
        frame[name] = frame["driver"] * 3 + generator.integers(0, 2, len(frame))
    rows, split, config = prepared(frame, [*names, *copies])

    evidence = measured(rows, config.decoys, split, config)

    # copy_a, copy_b, copy_c, driver, noise_00, noise_01, second
    assert evidence.groups.tolist() == [0, 0, 0, 0, 1, 2, 3]
    shared = evidence.forest_importance
    assert len(set(shared.mean[:4])) == 1
    assert shared.low[0] > evidence.largest_decoy[0]
    assert len(set(evidence.representative[:4])) == 1
    # alone each looks far less important than it is: what one loses the others hold
    fold = split.folds[0]
    fit = fit_fold(rows, fold.fitted, config, config.decoys, 0)
    values, outcome = fit.filled(rows.features[fold.held_out]), rows.outcome[fold.held_out]
    lender = np.stack([*permutations_within(rows.stratum[fold.held_out], 3, [0])])
    alone = held_out_scores(fit.forest, values, np.arange(12), lender)
    drops = [
        roc_auc(alone.plain, outcome) - np.mean([roc_auc(one, outcome) for one in alone.permuted[place]]) for place in range(4)
    ]
    assert max(drops) < 0.5 * shared.mean[0]


def test_what_only_premium_has_is_judged_among_premium():
    frame, names = impostor()
    rows, split, config = prepared(frame, names, {"premium_only": ["premium"]}, trees=50, repeats=3)

    evidence = measured(rows, config.decoys, split, config)

    # driver, noise_00, noise_01, premium_only, second
    importance, own = evidence.forest_importance, evidence.associations
    assert importance.low[0] > evidence.largest_decoy[0]
    assert not importance.low[3] > 0
    assert own.q[3] > 0.05
    assert own.q[0] < 0.01
    held_out = split.held_out
    premium = np.unique(rows.accounts[held_out][rows.is_eligible[held_out, 1]]).size
    assert own.accounts_with[3] + own.accounts_without[3] == premium
    # over all accounts, plan forgotten, it would look like a reason to stay
    uses = rows.features[held_out, 3] > 0
    assert rows.outcome[held_out][uses].mean() - rows.outcome[held_out][~uses].mean() > 0.1


def test_what_plan_alone_says_is_no_importance():
    frame, names = impostor()
    # tells the plan and nothing else
    frame["noise_00"] = (frame["plan"] == "premium") * 1.0
    rows, split, config = prepared(frame, [name for name in names if name != "premium_only"], trees=50)

    evidence = measured(rows, config.decoys, split, config)

    assert evidence.strength[1] > 0.2
    assert (evidence.forest_importance.mean[1], evidence.forest_importance.low[1]) == (0, 0)
    assert np.isnan(evidence.associations.p[1])


def test_an_account_on_both_sides_would_be_recognised_and_is_not():
    # every account has a fate of its own that its features name and no other account shares
    generator = np.random.default_rng(2)
    accounts, months = 300, 8
    frame, names = matrix(accounts=accounts, months=months, noise=1, effect=0)
    frame = frame.sort_values(["account_key", "observed_at"], ignore_index=True)
    for name in names:
        frame[name] = np.repeat(generator.permutation(accounts) + 0.0, months)
    frame["retained"] = np.repeat(generator.random(accounts) < 0.5, months)
    rows, split, config = prepared(frame, names, minimum_leaf=1, maximum_samples=1.0, maximum_depth=64)
    for fold in split.folds:
        assert not set(rows.accounts[fold.fitted]) & set(rows.accounts[fold.held_out])

    evidence = measured(rows, config.decoys, split, config)

    assert evidence.forest.auc_low < 0.5 < evidence.forest.auc_high
    # rows in folds, not accounts
    mixed = np.random.default_rng(0).random(len(frame)) < 0.5
    fit = fit_fold(rows, np.flatnonzero(mixed), config, config.decoys, 0)
    seen = held_out_scores(fit.forest, fit.filled(rows.features[~mixed]), fit.groups, np.tile(np.arange((~mixed).sum()), (1, 1)))
    assert roc_auc(seen.plain, rows.outcome[~mixed]) > 0.9


def test_importances_of_the_first_order_have_the_interval_of_whole_resamples(planted):
    from milestones_dagster.evidence.resampling import draw_accounts, percentile_interval, resampled_roc_auc

    rows, split, config = planted
    evidence = measured(rows, config.decoys, split, config)
    scored = []
    for number, fold in enumerate(split.folds):
        fit = fit_fold(rows, fold.fitted, config, config.decoys, number)
        lender = np.stack([*permutations_within(rows.stratum[fold.held_out], config.repeats, [config.seed, number])])
        scored.append(held_out_scores(fit.forest, fit.filled(rows.features[fold.held_out]), fit.groups, lender))
    held_out = np.concatenate([fold.held_out for fold in split.folds])
    outcome = rows.outcome[held_out]
    base_rates = [rows.outcome[fold.fitted].mean() for fold in split.folds]
    plain = np.concatenate([one.plain - base for one, base in zip(scored, base_rates, strict=True)])
    permuted = np.concatenate([one.permuted[0] - base for one, base in zip(scored, base_rates, strict=True)], axis=1)

    drops = [roc_auc(plain, outcome) - roc_auc(one, outcome) for one in permuted]
    assert evidence.forest.auc == pytest.approx(roc_auc(plain, outcome))
    assert evidence.forest_importance.mean[0] == pytest.approx(np.mean(drops))
    assert evidence.forest_importance.spread[0] == pytest.approx(np.std(drops, ddof=1))
    resamples = draw_accounts(rows.accounts[held_out], config.resamples, config.seed)
    exact = resampled_roc_auc(plain, outcome, resamples) - np.mean(
        [resampled_roc_auc(one, outcome, resamples) for one in permuted], axis=0
    )
    low, high = percentile_interval(exact)
    assert evidence.forest_importance.low[0] == pytest.approx(low, abs=0.1 * (high - low))
    assert evidence.forest_importance.high[0] == pytest.approx(high, abs=0.1 * (high - low))


def test_labels_shuffled_within_date_leave_nothing_to_find():
    missed = 0
    for seed in range(20):
        frame, names = matrix(accounts=200, months=8, noise=2, effect=1.5, seed=seed)
        generator = np.random.default_rng(seed)
        shuffled = frame.groupby("observed_at")["retained"].transform(lambda labels, draw=generator: draw.permutation(labels))
        rows, split, config = prepared(frame.assign(retained=shuffled), names, trees=10, repeats=1, seed=seed)
        quality = measured(rows, config.decoys, split, config).forest
        missed += not quality.auc_low <= 0.5 <= quality.auc_high

    # one in twenty is expected; more than 4 of 20 would have a chance of 0.3 %
    assert missed <= 4


def test_rows_whose_outcome_was_open_at_the_boundary_fit_nothing(planted):
    rows, split, _ = planted
    assert split.boundary is not None
    for fold in split.folds:
        assert (rows.known_at[fold.fitted] <= split.boundary).all()
        assert (rows.observed_at[fold.held_out] >= split.boundary).all()
    open_then = (rows.observed_at < split.boundary) & (rows.known_at > split.boundary)
    assert open_then.any()
    assert not np.isin(np.flatnonzero(open_then), np.concatenate([split.fitted, split.held_out])).any()


def test_a_row_that_has_not_elapsed_is_no_row_and_never_retained():
    frame, names = matrix(accounts=100, months=4, noise=0)
    newest = frame["observed_at"] >= pd.Timestamp("2025-06-01")
    frame["retained"] = frame["retained"].astype("boolean").mask(newest)

    made = framework(names)
    rows = known_rows(frame, made.features.catalogue)

    assert rows.accounts.size == (~newest).sum()
    assert rows.outcome.sum() == frame["retained"].sum()
