"""Two by two tables and strata: numbers worked out by hand, printed in textbooks, and found by other packages."""

import json
from math import inf, log, nan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milestones_dagster.evidence.association import (
    at_or_above,
    benjamini_hochberg,
    cmh,
    crude_p,
    detectable_difference,
    e_value,
    lift,
    mantel_haenszel,
    newcombe,
    odds_ratio,
    phi,
    relative_risk,
    strata_of,
    tabulate,
    trust,
    wilson,
)

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles" / "statistics_cases.json"
# admissions to Berkeley in 1973 by department: men admitted and rejected, women admitted and rejected
BERKELEY = [
    [[512, 313], [89, 19]],
    [[353, 207], [17, 8]],
    [[120, 205], [202, 391]],
    [[138, 279], [131, 244]],
    [[53, 138], [94, 299]],
    [[22, 351], [24, 317]],
]
SPARSE = [[[3, 0], [1, 2]], [[0, 2], [0, 5]], [[4, 1], [2, 6]], [[1, 0], [0, 0]], [[0, 0], [2, 1]]]


@pytest.mark.parametrize(
    ("successes", "n", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombe_1998_table_1(successes, n, lower, upper):
    found = wilson(successes, n)

    assert found.estimate == successes / n
    assert (found.lower, found.upper) == (pytest.approx(lower, abs=5e-5), pytest.approx(upper, abs=5e-5))


def test_wilson_stays_within_0_and_1_where_rounding_would_not():
    n = np.arange(1.0, 20_001.0)
    # nearly all and nearly none, as weights can sum: unclipped, thousands of these end at 1.0000000000000002 or below 0
    for successes in (n, n - 1e-9, n * (1 - 1e-16), n * 1e-20, 0 * n):
        found = wilson(successes, n)
        assert found.lower.min() >= 0
        assert found.upper.max() <= 1


@pytest.mark.parametrize(
    ("x1", "n1", "x0", "n0", "lower", "upper"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
    ],
)
def test_newcombe_gives_the_intervals_of_method_10(x1, n1, x0, n0, lower, upper):
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = newcombe(x1, n1, x0, n0)

    assert found.estimate == pytest.approx(x1 / n1 - x0 / n0)
    assert (found.lower, found.upper) == (pytest.approx(lower, abs=6e-5), pytest.approx(upper, abs=6e-5))
    if 0 < x0 < n0 and 0 < x1 < n1:
        second = confint_proportions_2indep(x1, n1, x0, n0, method="newcomb")
        assert (float(found.lower), float(found.upper)) == pytest.approx(second, abs=1e-9)


@given(*[st.integers(0, 30)] * 4)
def test_an_estimate_lies_inside_its_interval_and_inside_what_is_possible(a, b, c, d):
    if a + b == 0 or c + d == 0:
        assert np.isnan(newcombe(a, a + b, c, c + d).estimate)
        return
    found = newcombe(a, a + b, c, c + d)
    assert -1 - 1e-12 <= found.lower <= found.estimate <= found.upper <= 1 + 1e-12


def test_an_empty_group_is_unknown_and_not_zero():
    assert np.isnan(wilson(0, 0).estimate)
    assert np.isnan(wilson(0, 0).lower)
    assert np.isnan(newcombe(0, 0, 3, 5).lower)
    assert np.isnan(phi(0, 0, 3, 5))
    assert np.isnan(odds_ratio(0, 0, 3, 5))
    assert np.isnan(relative_risk(3, 5, 0, 0))
    assert np.isnan(relative_risk(3, 5, 0, 5))
    assert np.isnan(crude_p(0, 0, 3, 5))


def test_phi_odds_ratio_relative_risk_and_lift_by_hand():
    # phi: (40·30 − 10·20) / √(50·50·60·40); odds: 40·30 / (10·20); shares .8 and .4, of all .6
    assert phi(40, 10, 20, 30) == pytest.approx(1000 / sqrt(6_000_000))
    assert odds_ratio(40, 10, 20, 30) == 6
    assert relative_risk(40, 50, 20, 50) == pytest.approx(2)
    assert lift(40, 50, 20, 50) == pytest.approx(0.8 / 0.6)
    assert np.isnan(phi(5, 0, 5, 0))
    # a cell is empty: 3.5 · 5.5 / (0.5 · 2.5)
    assert odds_ratio(3, 0, 2, 5) == pytest.approx(15.4)


@pytest.mark.skipif(not ORACLES.exists(), reason="the shared oracles are not here")
def test_phi_of_the_shared_oracle():
    cases = json.loads(ORACLES.read_text(encoding="utf-8"))["cases"]
    case = next(case for case in cases if case["kind"] == "phi")
    (a, b), (c, d) = case["inputs"]["table"]

    assert phi(a, b, c, d) == pytest.approx(case["expected"]["phi"], abs=case["tolerance"])
    assert wilson(a, a + b).estimate == pytest.approx(case["expected"]["ppv"], abs=case["tolerance"])
    assert wilson(a, a + c).estimate == pytest.approx(case["expected"]["sensitivity"], abs=case["tolerance"])


def test_crude_p_is_fishers_where_an_expected_count_is_below_5():
    # the lady tasting tea: 17 of the 70 orders are as good on either side, p = 2 · 17 / 70
    assert crude_p(3, 1, 1, 3) == pytest.approx(34 / 70)
    # 45 · 11 / 100 = 4.95 are expected of the rarer outcome in the smaller group
    assert crude_p(47, 8, 42, 3) == pytest.approx(_fisher(47, 8, 42, 3))


def test_crude_p_is_of_chi_square_without_correction_from_5_on():
    from scipy.stats import chi2, chi2_contingency

    # expected 5 everywhere: χ² = 20 · (6·6 − 4·4)² / 10⁴ = 0.8
    assert crude_p(6, 4, 4, 6) == pytest.approx(chi2.sf(0.8, 1))
    assert crude_p(40, 10, 20, 30) == pytest.approx(chi2_contingency([[40, 10], [20, 30]], correction=False).pvalue)


def test_crude_p_of_a_constant_outcome_is_1():
    assert crude_p(40, 0, 20, 0) == 1


def _fisher(a: int, b: int, c: int, d: int) -> float:
    from scipy.stats import fisher_exact

    return float(fisher_exact([[a, b], [c, d]]).pvalue)


def test_mantel_haenszel_of_berkeley_is_what_r_prints():
    found = mantel_haenszel(strata_of(BERKELEY))

    assert found.odds_ratio.estimate == pytest.approx(0.9046968, abs=5e-8)
    assert (found.odds_ratio.lower, found.odds_ratio.upper) == pytest.approx((0.7719074, 1.0603298), abs=5e-7)


@pytest.mark.parametrize("tables", [BERKELEY, SPARSE[:3]])
def test_strata_equal_statsmodels(tables):
    from statsmodels.stats.contingency_tables import StratifiedTable

    second = StratifiedTable([np.array(table, dtype=float) for table in tables])
    pooled, tested = mantel_haenszel(strata_of(tables)), cmh(strata_of(tables))
    null = second.test_null_odds(correction=False)

    assert pooled.odds_ratio.estimate == pytest.approx(second.oddsratio_pooled)
    bounds = second.oddsratio_pooled_confint()
    assert (pooled.odds_ratio.lower, pooled.odds_ratio.upper) == pytest.approx(bounds)
    assert tested.statistic == pytest.approx(null.statistic)
    assert tested.p == pytest.approx(null.pvalue)
    assert tested.direction == np.sign(log(second.oddsratio_pooled))
    assert tested.signed_root == pytest.approx(tested.direction * sqrt(null.statistic))


def test_risk_difference_and_satos_variance_by_hand():
    # one stratum: weight 4·4/8 = 2, difference (3·4 − 1·4)/8/2 = .5; P = (16·1 − 16·3)/64 = −.5,
    # Q = (3·3 + 1·1)/16 = .625; variance (.5·−.5 + .625)/2² = .09375
    one = mantel_haenszel(strata_of([[[3, 1], [1, 3]]])).risk_difference
    assert one.estimate == 0.5
    assert (one.upper - 0.5) / 1.959963984540054 == pytest.approx(sqrt(0.09375))
    # and a second stratum of 2 + 4 with 1 and 1: weight 8/6, numerator (1·4 − 1·2)/6; P = (4·1 − 16·1 + 8·2/2)/36
    # = −1/9, Q = (1·3 + 1·1)/12 = 1/3
    two = mantel_haenszel(strata_of([[[3, 1], [1, 3]], [[1, 1], [1, 3]]])).risk_difference
    difference = (1 + 1 / 3) / (2 + 4 / 3)
    variance = (difference * (-0.5 - 1 / 9) + 0.625 + 1 / 3) / (2 + 4 / 3) ** 2
    assert two.estimate == pytest.approx(difference)
    assert (two.lower, two.upper) == pytest.approx(
        (difference - 1.959963984540054 * sqrt(variance), difference + 1.959963984540054 * sqrt(variance))
    )


@pytest.mark.parametrize("strata", [3, 60])
def test_satos_interval_covers_in_few_large_and_many_small_strata(strata):
    generator = np.random.default_rng(4)
    size = 600 // strata
    n1 = generator.integers(size // 4, size // 2 + 1, strata)
    base = generator.uniform(0.1, 0.6, strata)
    a = generator.binomial(n1, base + 0.15, (4000, strata))
    c = generator.binomial(size - n1, base, (4000, strata))
    found = mantel_haenszel(strata_of(np.stack([a, n1 - a, c, size - n1 - c], axis=-1).reshape(4000, strata, 2, 2)))

    covered = (found.risk_difference.lower <= 0.15) & (found.risk_difference.upper >= 0.15)
    assert 0.935 <= covered.mean() <= 0.965


def test_a_stratum_with_an_empty_group_weighs_nothing():
    pooled, tested = mantel_haenszel(strata_of(SPARSE)), cmh(strata_of(SPARSE))
    without = mantel_haenszel(strata_of(SPARSE[:3]))

    assert pooled.risk_difference.estimate == pytest.approx(without.risk_difference.estimate)
    assert pooled.odds_ratio.upper == pytest.approx(without.odds_ratio.upper)
    assert tested.statistic == pytest.approx(cmh(strata_of(SPARSE[:3])).statistic)


def test_strata_that_compare_nothing_are_unknown():
    nothing = strata_of(SPARSE[3:])

    assert np.isnan(mantel_haenszel(nothing).risk_difference.estimate)
    assert np.isnan(mantel_haenszel(nothing).odds_ratio.estimate)
    assert np.isnan(cmh(nothing).statistic)
    assert np.isnan(cmh(nothing).p)


def test_no_association_has_no_direction():
    tested = cmh(strata_of([[[2, 1], [4, 2]], [[3, 9], [7, 21]]]))

    assert (tested.direction, tested.statistic, tested.p) == (0, 0, 1)


def test_cmh_of_one_stratum_is_chi_square_of_n_minus_1():
    # Cochran's weights: χ² · (n − 1) / n, and 16.6667 without
    tested = cmh(strata_of([[[40, 10], [20, 30]]]))
    assert tested.statistic == pytest.approx(100 * 1000**2 / 6_000_000 * 99 / 100)
    assert tested.direction == 1
    assert cmh(strata_of([[[20, 30], [40, 10]]])).direction == -1


def _rows(rows=400):
    generator = np.random.default_rng(8)
    values = generator.poisson(6, rows).astype(float)
    stratum = generator.integers(0, 5, rows)
    reached = generator.random(rows) < 0.3 + 0.05 * stratum + 0.02 * values
    return values, reached, stratum


def test_tables_of_all_candidates_equal_counting_row_by_row():
    values, reached, stratum = _rows()
    drawn = np.random.default_rng(1).integers(0, 4, values.size)
    candidates = np.array([0.0, 3.0, 3.5, 6.0, 9.0, 40.0])
    for weights in (None, drawn):
        found = at_or_above(values, candidates, reached, stratum, weights)
        times = np.ones(values.size) if weights is None else weights
        for number, candidate in enumerate(candidates):
            for level in range(5):
                expected = [
                    times[(stratum == level) & ((values >= candidate) == did) & (reached == outcome)].sum()
                    for did in (True, False)
                    for outcome in (True, False)
                ]
                cells = (found.did_reached, found.did_not_reached, found.not_did_reached, found.neither)
                assert [cell[number, level] for cell in cells] == expected
        alone = tabulate(values >= 3.5, reached, stratum, weights)
        np.testing.assert_array_equal(alone.did_reached, found.did_reached[2])
        np.testing.assert_array_equal(alone.neither, found.neither[2])


def test_many_candidates_at_once_equal_one_by_one():
    values, reached, stratum = _rows()
    many = at_or_above(values, np.arange(2.0, 12.0), reached, stratum)
    pooled, tested = mantel_haenszel(many), cmh(many)
    crude = newcombe(many.crude[0], many.crude[0] + many.crude[1], many.crude[2], many.crude[2] + many.crude[3])

    for number, candidate in enumerate(range(2, 12)):
        alone = tabulate(values >= candidate, reached, stratum)
        assert pooled.risk_difference.lower[number] == pytest.approx(mantel_haenszel(alone).risk_difference.lower)
        assert pooled.odds_ratio.upper[number] == pytest.approx(mantel_haenszel(alone).odds_ratio.upper)
        assert tested.statistic[number] == pytest.approx(cmh(alone).statistic)
        a, b, c, d = alone.crude
        assert crude.upper[number] == pytest.approx(newcombe(a, a + b, c, c + d).upper)


def test_the_order_of_the_rows_does_not_matter():
    values, reached, stratum = _rows()
    shuffled = np.random.default_rng(3).permutation(values.size)

    one = cmh(at_or_above(values, [4.0, 7.0], reached, stratum))
    other = cmh(at_or_above(values[shuffled], [4.0, 7.0], reached[shuffled], stratum[shuffled]))

    np.testing.assert_array_equal(one.statistic, other.statistic)


def test_benjamini_hochberg_by_hand_and_by_scipy():
    from scipy.stats import false_discovery_control

    # .01·4/1 = .04; .02·4/2 = .04; .03·4/3 = .04; .5; sorted ascending, each at most the next
    assert benjamini_hochberg([0.5, 0.02, 0.01, 0.03]) == pytest.approx([0.5, 0.04, 0.04, 0.04])
    p = np.random.default_rng(2).random(40) ** 3
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))


def test_an_unknown_p_is_no_test():
    found = benjamini_hochberg([0.03, nan, 0.02])

    assert found[[0, 2]] == pytest.approx([0.03, 0.03])
    assert np.isnan(found[1])
    assert benjamini_hochberg([]).size == 0


def test_e_value_of_vanderweele_and_ding():
    # their example: risk ratio 3.9 with lower bound 1.8; 1.8 + √(1.8 · .8) = 3.0
    assert e_value(3.9) == pytest.approx(7.26, abs=0.005)
    assert e_value(1.8) == pytest.approx(3.0)
    assert e_value(1.0) == e_value(0.7) == 1
    assert np.isnan(e_value(nan))


def test_detectable_difference_is_80_percent_power_at_5_percent():
    from statsmodels.stats.power import normal_power

    # √(.25 · 2/400) · 2.802
    assert detectable_difference(400, 400, 0.5) == pytest.approx(0.0990657, abs=1e-7)
    difference = float(detectable_difference(900, 300, 0.2))
    error = sqrt(0.2 * 0.8 * (1 / 900 + 1 / 300))
    assert normal_power(difference / error, 1, 0.05) == pytest.approx(0.8, abs=2e-4)


def test_an_empty_group_detects_nothing():
    assert detectable_difference(0, 400, 0.5) == inf
    assert detectable_difference([0, 400], [400, 400], 0.5).tolist() == [inf, pytest.approx(0.0990657, abs=1e-7)]
    assert detectable_difference(0, 0, nan) == inf


@pytest.mark.parametrize(
    ("detectable", "p", "expected"),
    [
        (0.05, 0.5, "statistical"),
        (0.050001, 0.5, "mixed"),
        (0.04, 0.08, "statistical"),
        (0.04, 0.079, "mixed"),
        (0.04, 0.93, "mixed"),
        (0.15, 0.5, "mixed"),
        (0.150001, 0.5, "interview"),
        (inf, 0.5, "interview"),
        (inf, nan, "interview"),
        (0.0, 0.0, "interview"),
        (0.0, 1.0, "interview"),
    ],
)
def test_trust(detectable, p, expected):
    assert trust(detectable, p) == expected
