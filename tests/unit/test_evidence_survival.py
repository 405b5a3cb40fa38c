"""Curves, log-rank, hazard ratio and restricted mean: by hand, from textbooks, by lifelines and by brute force."""

import json
from math import inf, isnan, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milestones_dagster.evidence.association import newcombe, wilson
from milestones_dagster.evidence.survival import (
    hazard_ratio,
    kaplan_meier,
    restricted_mean_difference,
    stratified_logrank,
)

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles" / "statistics_cases.json"


def oracle(name):
    if not ORACLES.exists():
        pytest.skip("the oracles are not here")
    return next(case for case in json.loads(ORACLES.read_text(encoding="utf-8"))["cases"] if case["id"] == name)


def curve_of(duration, happened, days, accounts=None):
    duration = np.asarray(duration, dtype=np.float64)
    accounts = np.arange(duration.size) if accounts is None else np.asarray(accounts)
    return kaplan_meier(duration, np.asarray(happened, dtype=np.bool_), days, accounts)


def two_groups(seed, rows=240, strata=6):
    """Two groups with another hazard, censored at random after day 30, in unequal strata."""
    generator = np.random.default_rng(seed)
    group = generator.random(rows) < 0.6
    stratum = generator.integers(0, strata, rows) * (generator.random(rows) < 0.8)
    time = generator.exponential(np.where(group, 90, 50) * (1 + stratum / 4))
    end = 30 + generator.integers(0, 120, rows)
    return np.ceil(np.minimum(time, end)), time <= end, group, stratum.astype(np.intp)


# --- Kaplan and Meier -----------------------------------------------------------------------------------------------


def test_a_curve_by_hand():
    # at day 2 one of five, at 3 one of the three still followed (2.5 is censored), at 5 the last of one
    found = curve_of([2, 2.5, 3, 4, 5], [1, 0, 1, 0, 1], [0, 2, 2.5, 3, 4.5, 5, 6])

    assert found.survival.estimate == pytest.approx([1, 0.8, 0.8, 0.8 * 2 / 3, 0.8 * 2 / 3, 0, 0])
    assert found.at_risk.tolist() == [5, 5, 4, 3, 1, 1, 0]
    assert found.events.tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_the_curve_ends_with_the_last_that_is_followed():
    found = curve_of([2, 3, 4], [1, 0, 0], [4, 4.5])

    assert found.survival.estimate[0] == pytest.approx(2 / 3)
    assert isnan(found.survival.estimate[1])
    assert isnan(found.survival.lower[1])


def test_without_rows_there_is_no_curve():
    found = curve_of([], [], [0, 7])

    assert found.at_risk.tolist() == [0, 0]
    assert np.isnan(found.survival.estimate).all()


def test_textbook_curve_of_leukaemia_remissions():
    case = oracle("T02")
    found = curve_of(case["inputs"]["T"], case["inputs"]["E"], case["inputs"]["times"])

    assert found.survival.estimate == pytest.approx(case["expected"], abs=case["tolerance"])


def test_median_of_the_waltons():
    from lifelines.datasets import load_waltons

    case, data = oracle("T05"), load_waltons()
    days = np.arange(0, 80.0)
    found = curve_of(data["T"], data["E"], days)

    assert days[np.argmax(found.survival.estimate <= 0.5)] == case["expected"]["median"]


def test_without_censoring_the_curve_is_a_share_with_wilsons_interval():
    duration = np.arange(1, 21)
    found = curve_of(duration, np.ones(20), [4, 10, 19])

    for place, stay in enumerate([16, 10, 1]):
        share = wilson(stay, 20)
        assert found.survival.estimate[place] == pytest.approx(stay / 20)
        assert found.survival.lower[place] == pytest.approx(share.lower)
        assert found.survival.upper[place] == pytest.approx(share.upper)


def test_at_one_and_at_zero_the_interval_is_of_those_at_risk_and_of_the_events():
    found = curve_of([5, 5, 6, 20], [1, 1, 1, 1], [4, 20])

    assert (found.survival.lower[0], found.survival.upper[0]) == (pytest.approx(wilson(4, 4).lower), 1)
    assert (found.survival.lower[1], found.survival.upper[1]) == (0, pytest.approx(wilson(0, 4).upper))


def test_the_variance_with_one_row_per_account_is_greenwoods():
    from lifelines import KaplanMeierFitter

    duration, happened, _, _ = two_groups(1)
    found = curve_of(duration, happened, [20.0, 60.0])
    table = KaplanMeierFitter().fit(duration, happened).event_table
    for place, day in enumerate([20.0, 60.0]):
        share = found.survival.estimate[place]
        until = table.loc[table.index <= day]
        greenwood = share**2 * (until["observed"] / (until["at_risk"] * (until["at_risk"] - until["observed"]))).sum()
        effective = share * (1 - share) / greenwood
        # the infinitesimal jackknife differs from Greenwood's formula in the order of 1 / n
        assert found.survival.lower[place] == pytest.approx(wilson(share * effective, effective).lower, abs=3e-3)


def test_rows_of_one_account_make_the_interval_wider_as_a_brute_force_derivative_says():
    from lifelines import KaplanMeierFitter

    duration, happened, _, _ = two_groups(2, rows=60)
    accounts = np.arange(60) // 3
    day, step = 60.0, 1e-5
    found = curve_of(duration, happened, [day], accounts)

    def share_at(weights):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(KaplanMeierFitter().fit(duration, happened, weights=weights).predict(day))

    whole = share_at(np.ones(60))
    slopes = [(share_at(1 + step * (accounts == account)) - whole) / step for account in range(20)]
    effective = whole * (1 - whole) / sum(slope**2 for slope in slopes)
    assert found.survival.lower[0] == pytest.approx(float(wilson(whole * effective, effective).lower), abs=1e-4)
    alone = curve_of(duration, happened, [day])
    twice = curve_of(np.tile(duration, 2), np.tile(happened, 2), [day], np.tile(np.arange(60), 2))
    # the same accounts again tell nothing new
    assert twice.survival.lower == pytest.approx(alone.survival.lower)


def test_a_censored_row_adds_only_to_those_at_risk():
    before = curve_of([3, 8, 9], [1, 1, 0], [3, 8])
    after = curve_of([3, 8, 9, 5], [1, 1, 0, 0], [3, 8])

    assert (after.at_risk - before.at_risk).tolist() == [1, 0]
    assert (after.events == before.events).all()
    # one of four instead of one of three at day 3; at day 8 one of the two left, as before
    assert after.survival.estimate == pytest.approx([3 / 4, 3 / 8])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=25), st.randoms())
def test_every_curve_is_the_product_limit_and_inside_its_interval(rows, random):
    days = [0, 1, 4, 9, 10]
    found = curve_of([day for day, _ in rows], [happened for _, happened in rows], days)
    turned = random.sample(rows, len(rows))
    again = curve_of([day for day, _ in turned], [happened for _, happened in turned], days)
    for place, day in enumerate(days):
        share = 1.0
        for time in sorted({end for end, happened in rows if happened and end <= day}):
            followed = sum(end >= time for end, _ in rows)
            share *= 1 - sum(happened and end == time for end, happened in rows) / followed
        low, estimate, high = (float(part[place]) for part in (found.survival.lower, found.survival.estimate, found.survival.upper))
        if found.at_risk[place] == 0 and share > 0:
            assert isnan(estimate)
            continue
        assert estimate == pytest.approx(share, abs=1e-12)
        assert 0 <= low <= estimate <= high <= 1
        assert float(again.survival.lower[place]) == pytest.approx(low, abs=1e-12)


# --- log-rank -------------------------------------------------------------------------------------------------------


def test_log_rank_of_leukaemia_remissions():
    case = oracle("T01")
    inputs = case["inputs"]
    duration = np.array(inputs["control_T"] + inputs["treat_T"], dtype=np.float64)
    happened = np.array(inputs["control_E"] + inputs["treat_E"], dtype=np.bool_)
    group = np.arange(duration.size) >= len(inputs["control_T"])
    found = stratified_logrank(duration, happened, group, np.zeros(duration.size, dtype=np.intp))

    assert found.statistic == pytest.approx(case["expected"]["chi2"], abs=1e-4)
    assert found.p == pytest.approx(case["expected"]["p"], rel=1e-3)


def test_log_rank_of_the_waltons():
    from lifelines.datasets import load_waltons

    case, data = oracle("T05"), load_waltons()
    group = (data["group"] == "control").to_numpy()
    found = stratified_logrank(
        data["T"].to_numpy(dtype=np.float64), data["E"].to_numpy(dtype=np.bool_), group, np.zeros(len(data), dtype=np.intp)
    )

    assert found.statistic == pytest.approx(case["expected"]["chi2"], abs=case["tolerance"])


@pytest.mark.parametrize("seed", range(4))
def test_one_stratum_is_the_log_rank_of_lifelines(seed):
    from lifelines.statistics import logrank_test

    duration, happened, group, _ = two_groups(seed)
    found = stratified_logrank(duration, happened, group, np.zeros(duration.size, dtype=np.intp))
    other = logrank_test(duration[group], duration[~group], happened[group], happened[~group])

    assert (found.statistic, found.p) == (pytest.approx(other.test_statistic), pytest.approx(other.p_value))


@pytest.mark.parametrize("seed", range(4))
def test_strata_are_summed_as_by_brute_force(seed):
    from scipy.stats import chi2

    duration, happened, group, stratum = two_groups(seed)
    excess = variance = 0.0
    for level in np.unique(stratum):
        of = stratum == level
        for time in np.unique(duration[of & happened]):
            n, n1 = (of & (duration >= time)).sum(), (of & group & (duration >= time)).sum()
            d, d1 = (of & happened & (duration == time)).sum(), (of & group & happened & (duration == time)).sum()
            excess += d1 - d * n1 / n
            variance += d * (n1 / n) * (1 - n1 / n) * (n - d) / (n - 1) if n > 1 else 0
    found = stratified_logrank(duration, happened, group, stratum)

    assert found.statistic == pytest.approx(excess**2 / variance)
    assert found.p == pytest.approx(chi2.sf(excess**2 / variance, 1))


def test_a_stratum_with_one_group_and_a_time_of_nothing_compare_nothing():
    duration, happened, group, stratum = two_groups(5)
    alone = stratum == 0
    whole = stratified_logrank(duration, happened, group | alone, stratum)
    without = stratified_logrank(duration[~alone], happened[~alone], group[~alone], stratum[~alone])

    assert whole.statistic == pytest.approx(without.statistic)
    assert isnan(stratified_logrank(duration, np.zeros_like(happened), group, stratum).statistic)
    assert isnan(stratified_logrank(duration, happened, np.ones_like(group), stratum).p)


# --- Cox ------------------------------------------------------------------------------------------------------------


def test_a_ratio_solved_by_bisection():
    # Breslow and Efron agree without ties: of n₁ and n₀ at risk the ratio r solves Σ (d₁ − n₁ r / (n₁ r + n₀)) = 0
    duration = np.arange(1.0, 13)
    group = np.array([0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1], dtype=np.bool_)
    happened = np.ones(12, dtype=np.bool_)
    found = hazard_ratio(duration, happened, group, [], np.zeros(12, dtype=np.intp))

    in_group = np.array([group[place:].sum() for place in range(12)])
    others = np.array([(~group[place:]).sum() for place in range(12)])
    low, high = 1e-3, 1e3
    for _ in range(200):
        middle = np.sqrt(low * high)
        score = (group - in_group * middle / (in_group * middle + others)).sum()
        low, high = (middle, high) if score > 0 else (low, middle)
    assert found.ratio == pytest.approx(low, rel=1e-4)
    information = (in_group * others * low / (in_group * low + others) ** 2).sum()
    assert log(found.upper / found.ratio) == pytest.approx(1.959964 / np.sqrt(information), rel=1e-3)
    assert found.reason == ""


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_statsmodels(seed):
    from statsmodels.duration.hazard_regression import PHReg

    duration, happened, group, stratum = two_groups(seed)
    factor = np.random.default_rng(seed).integers(0, 3, duration.size)
    found = hazard_ratio(duration, happened, group, [factor], stratum)
    design = np.column_stack([group, factor == 1, factor == 2]).astype(np.float64)
    other = PHReg(duration, design, status=happened.astype(int), strata=stratum, ties="efron").fit()

    assert log(found.ratio) == pytest.approx(other.params[0], abs=1e-4)
    assert log(found.upper / found.lower) == pytest.approx(2 * 1.959964 * other.bse[0], rel=1e-3)
    assert found.p == pytest.approx(other.pvalues[0], abs=1e-3)


def test_hazards_that_cross_are_not_proportional_and_equal_ones_are():
    generator = np.random.default_rng(4)
    group = np.arange(600) % 2 == 0
    early, late = generator.weibull(0.5, 600) * 40, generator.weibull(3, 600) * 40
    happened, stratum = np.ones(600, dtype=np.bool_), np.zeros(600, dtype=np.intp)

    assert hazard_ratio(np.where(group, early, late), happened, group, [], stratum).proportional_p < 1e-6
    assert hazard_ratio(np.where(group, early, early * 2), happened, group, [], stratum).proportional_p > 0.01


def test_a_level_without_events_weighs_nothing():
    duration, happened, group, stratum = two_groups(6)
    quiet = np.arange(duration.size) % 5 == 0
    factor, happened = quiet.astype(np.intp), happened & ~quiet
    whole = hazard_ratio(duration, happened, group, [factor], stratum)
    without = hazard_ratio(duration[~quiet], happened[~quiet], group[~quiet], [], stratum[~quiet])

    assert whole.ratio == pytest.approx(without.ratio)
    assert whole.reason == ""


@pytest.mark.parametrize(
    ("happened", "group", "reason"),
    [
        (np.ones(30), np.ones(30), "one of the groups is empty"),
        (np.arange(30) >= 15, np.arange(30) < 15, "one of the groups has no event"),
        (np.arange(30) % 4 == 0, np.arange(30) % 3 == 0, "fewer than 10 events"),
    ],
)
def test_where_no_ratio_can_be_told_it_says_why(happened, group, reason):
    found = hazard_ratio(np.arange(1.0, 31), happened.astype(np.bool_), group.astype(np.bool_), [], np.zeros(30, dtype=np.intp))

    assert (isnan(found.ratio), found.reason) == (True, reason)


def test_groups_that_never_overlap_do_not_converge():
    duration = np.concatenate([np.arange(1.0, 16), np.arange(101.0, 116)])
    found = hazard_ratio(duration, np.ones(30, dtype=np.bool_), np.arange(30) < 15, [], np.zeros(30, dtype=np.intp))

    assert (isnan(found.ratio), found.reason) == (True, "the regression does not converge")


# --- restricted mean ------------------------------------------------------------------------------------------------


def test_restricted_mean_is_lifelines():
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    duration, happened, group, stratum = two_groups(7)
    means = [
        restricted_mean_survival_time(KaplanMeierFitter().fit(duration[which], happened[which]), t=30) for which in (group, ~group)
    ]
    found = restricted_mean_difference(duration, group, np.zeros_like(stratum), 30)

    assert found.estimate == pytest.approx(means[0] - means[1])


def test_strata_weigh_as_mantel_and_haenszel_by_brute_force():
    duration, _, group, stratum = two_groups(8)
    time = np.minimum(duration, 30)
    weights, differences = [], []
    for level in np.unique(stratum):
        did, not_did = time[(stratum == level) & group], time[(stratum == level) & ~group]
        if did.size and not_did.size:
            weights.append(did.size * not_did.size / (did.size + not_did.size))
            differences.append(did.mean() - not_did.mean())
    found = restricted_mean_difference(duration, group, stratum, 30)

    assert found.estimate == pytest.approx(np.average(differences, weights=weights))


def test_without_strata_the_interval_is_about_welchs():
    from scipy.stats import ttest_ind

    duration, _, group, stratum = two_groups(9)
    time = np.minimum(duration, 30)
    found = restricted_mean_difference(duration, group, np.zeros_like(stratum), 30)
    welch = ttest_ind(time[group], time[~group], equal_var=False).confidence_interval()

    assert (found.lower, found.upper) == (pytest.approx(welch.low, abs=0.1), pytest.approx(welch.high, abs=0.1))


def test_nothing_to_compare_has_no_difference():
    nobody = restricted_mean_difference(np.arange(4.0), np.zeros(4, dtype=np.bool_), np.zeros(4, dtype=np.intp), 3)
    assert isnan(nobody.estimate)
    # a pair has no spread within its groups
    pair = restricted_mean_difference(np.array([1.0, 3.0]), np.array([False, True]), np.zeros(2, dtype=np.intp), 3)
    assert isnan(pair.lower)


# --- all of them ----------------------------------------------------------------------------------------------------


def test_the_order_of_the_rows_changes_nothing():
    duration, happened, group, stratum = two_groups(10)
    turn = np.random.default_rng(0).permutation(duration.size)
    accounts = np.arange(duration.size) // 2

    def everything(of):
        ratio = hazard_ratio(duration[of], happened[of], group[of], [stratum[of] % 2], stratum[of] // 2)
        curve = kaplan_meier(duration[of], happened[of], [20.0, 60.0], accounts[of])
        test = stratified_logrank(duration[of], happened[of], group[of], stratum[of])
        mean = restricted_mean_difference(duration[of], group[of], stratum[of], 30)
        return ratio, tuple(curve.survival.estimate), tuple(curve.survival.lower), test, mean

    first, second = everything(np.arange(duration.size)), everything(turn)
    assert first[0] == second[0]
    assert first[4] == second[4]
    for one, other in zip(first[1:4], second[1:4], strict=True):
        values = [(one.statistic, one.p), (other.statistic, other.p)] if hasattr(one, "p") else [one, other]
        assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_complete_follow_up_makes_the_crude_difference_newcombes():
    duration, happened, group, _ = two_groups(11)
    shares = [curve_of(duration[which], happened[which], [30.0]).survival for which in (group, ~group)]
    stay = ~(happened & (duration <= 30))
    found = newcombe(stay[group].sum(), group.sum(), stay[~group].sum(), (~group).sum())

    assert found.estimate == pytest.approx(shares[0].estimate[0] - shares[1].estimate[0])
    down = np.hypot(shares[0].estimate - shares[0].lower, shares[1].upper - shares[1].estimate)[0]
    assert found.estimate - found.lower == pytest.approx(down)
    assert found.lower > -inf
