"""The average marginal effect against the library's own margins, by numpy, by hand, and where no effect can be told."""

from math import sqrt

import numpy as np
import pytest

from milestones_dagster.evidence.logistic import average_marginal_effect


def _company(rows=900, seed=3):
    generator = np.random.default_rng(seed)
    other = generator.random(rows) < 0.6
    plan = generator.integers(0, 3, rows)
    early = np.log1p(generator.poisson(4 + 5 * other))
    did = generator.random(rows) < 0.2 + 0.3 * other + 0.1 * plan
    log_odds = -1.6 + 0.8 * did + 0.5 * other + 0.3 * plan + 0.3 * early
    reached = generator.random(rows) < 1 / (1 + np.exp(-log_odds))
    return did, reached, [other.astype(np.intp), plan.astype(np.intp)], [early]


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_it_equals_the_margins_of_statsmodels(seed):
    from statsmodels.api import Logit

    did, reached, (other, plan), (early,) = _company(seed=seed)
    design = np.column_stack([np.ones(did.size), other, plan == 1, plan == 2, early, did]).astype(float)
    fitted = Logit(reached.astype(float), design).fit(disp=False, tol=1e-12)
    second = fitted.get_margeff(at="overall", dummy=True).summary_frame().iloc[-1]

    found = average_marginal_effect(did, reached, [other, plan], [early])

    assert found.reason == ""
    assert found.effect == pytest.approx(second["dy/dx"], abs=1e-8)
    assert (found.lower, found.upper) == pytest.approx((second["Conf. Int. Low"], second["Cont. Int. Hi."]), abs=1e-7)
    assert found.p == pytest.approx(second["Pr(>|z|)"], rel=1e-5)
    without = design.copy()
    without[:, -1] = 0
    assert found.share_without == pytest.approx(fitted.predict(without).mean(), abs=1e-8)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_it_equals_newton_s_method_and_the_delta_method_by_numpy(seed):
    did, reached, (other, plan), (early,) = _company(seed=seed)
    design = np.column_stack([np.ones(did.size), other, plan == 1, plan == 2, early, did]).astype(float)
    slopes = np.zeros(6)
    for _ in range(20):
        chance = 1 / (1 + np.exp(-design @ slopes))
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        slopes += np.linalg.solve(information, design.T @ (reached - chance))
    chances = [1 / (1 + np.exp(-np.column_stack([design[:, :5], np.full(did.size, done)]) @ slopes)) for done in (0.0, 1.0)]
    # derivative of each mean chance by the slopes; the behaviour's own column is 0 without it
    bends = [
        np.append((chance * (1 - chance)) @ design[:, :5], done * (chance * (1 - chance)).sum()) / did.size
        for done, chance in enumerate(chances)
    ]
    gradient = bends[1] - bends[0]
    error = sqrt(gradient @ np.linalg.inv(information) @ gradient)
    effect = chances[1].mean() - chances[0].mean()

    found = average_marginal_effect(did, reached, [other, plan], [early])

    assert found.effect == pytest.approx(effect, abs=1e-9)
    assert (found.lower, found.upper) == pytest.approx((effect - 1.959963984540054 * error, effect + 1.959963984540054 * error))
    assert found.share_without == pytest.approx(chances[0].mean(), abs=1e-9)


def test_without_covariates_it_is_the_risk_difference():
    # 30 of 50 against 15 of 50: .3, variance .6·.4/50 + .3·.7/50
    did = np.repeat([True, False], 50)
    reached = np.concatenate([np.arange(50) < 30, np.arange(50) < 15])

    found = average_marginal_effect(did, reached, [], [])

    assert found.effect == pytest.approx(0.3)
    assert found.share_without == pytest.approx(0.3)
    assert found.upper - 0.3 == pytest.approx(1.959963984540054 * sqrt(0.24 / 50 + 0.21 / 50))


def test_with_one_stratum_variable_it_is_the_mean_over_strata_of_the_model():
    # two strata with odds ratio 4 in both: .2 → .5 and .5 → .8, 100 accounts in each cell: (.3 + .3) / 2
    cells = {(0, False): 20, (0, True): 50, (1, False): 50, (1, True): 80}
    did = np.repeat([did for _, did in cells], 100)
    plan = np.repeat([plan for plan, _ in cells], 100).astype(np.intp)
    reached = np.concatenate([np.arange(100) < count for count in cells.values()])

    found = average_marginal_effect(did, reached, [plan], [])

    assert found.effect == pytest.approx(0.3, abs=1e-9)
    assert found.share_without == pytest.approx(0.35, abs=1e-9)


def test_a_level_that_tells_the_outcome_counts_with_an_effect_of_0():
    did, reached, (other, plan), (early,) = _company()
    at_premium = np.ones(100, dtype=bool)
    alone = average_marginal_effect(did, reached, [other, plan], [early])

    found = average_marginal_effect(
        np.concatenate([did, np.arange(100) < 40]),
        np.concatenate([reached, at_premium]),
        [np.concatenate([other, np.arange(100) % 2]), np.concatenate([plan, np.full(100, 3)])],
        [np.concatenate([early, np.full(100, 1.0)])],
    )

    assert found.effect == pytest.approx(alone.effect * 0.9)
    assert found.lower == pytest.approx(alone.lower * 0.9)
    assert found.p == pytest.approx(alone.p)
    assert found.share_without == pytest.approx(alone.share_without * 0.9 + 0.1)


def test_covariates_that_add_nothing_change_nothing():
    did, reached, (other, plan), (early,) = _company()
    alone = average_marginal_effect(did, reached, [other, plan], [early])

    again = average_marginal_effect(
        did, reached, [other, plan, other, np.zeros(did.size, dtype=np.intp)], [early, 2 * early + 1, np.ones(did.size)]
    )

    assert again.effect == pytest.approx(alone.effect, abs=1e-9)
    assert again.upper == pytest.approx(alone.upper, abs=1e-9)


def test_the_order_of_the_rows_moves_nothing_but_rounding():
    did, reached, (other, plan), (early,) = _company()
    shuffled = np.random.default_rng(0).permutation(did.size)

    one = average_marginal_effect(did, reached, [other, plan], [early])
    again = average_marginal_effect(did[shuffled], reached[shuffled], [other[shuffled], plan[shuffled]], [early[shuffled]])

    assert again.effect == pytest.approx(one.effect, abs=1e-12)


def test_where_nothing_can_be_told_it_says_why():
    did, reached, (_, plan), (early,) = _company()
    everybody = np.ones(did.size, dtype=bool)

    def reason(did, reached, factors=(), numbers=()):
        found = average_marginal_effect(did, reached, factors, numbers)
        assert np.isnan(found.effect)
        assert np.isnan(found.p)
        return found.reason

    assert reason(everybody, reached) == "all did the step"
    assert reason(~everybody, reached) == "nobody did the step"
    assert reason(did, everybody) == "the outcome is the same for all"
    assert reason(did, reached | did) == "the outcome is the same for all who did the step"
    assert reason(did, reached & did) == "the outcome is the same for all who did not"
    assert reason(did[:0], reached[:0]) == "nobody did the step"
    assert "cannot be told apart" in reason(did, reached, [did.astype(np.intp), plan], [early])


def test_a_combination_that_tells_the_outcome_does_not_converge():
    # the sum of two numbers separates the outcome; neither does alone
    generator = np.random.default_rng(6)
    one, two = generator.normal(size=(2, 300))
    did = generator.random(300) < 0.5

    found = average_marginal_effect(did, one + two > 0, [], [one, two])

    assert "does not converge" in found.reason


def test_the_interval_covers_what_was_planted():
    covered = 0
    for seed in range(300):
        generator = np.random.default_rng([9, seed])
        plan = generator.integers(0, 2, 300)
        did = generator.random(300) < 0.3 + 0.3 * plan
        chance = np.array([[0.2, 0.5], [0.5, 0.8]])
        reached = generator.random(300) < chance[plan, did.astype(int)]
        found = average_marginal_effect(did, reached, [plan], [])
        # the effect is .3 in either plan, so whatever the mix
        covered += found.lower <= 0.3 <= found.upper
    assert 0.91 <= covered / 300 <= 0.98
