"""Tests of a feature's own association: the cut, the tables by hand, statsmodels beside, and who is compared."""

import numpy as np
import pytest
from ranking_world import framework, matrix

from milestones_dagster.evidence.feature_association import associations, pick_cut
from milestones_dagster.evidence.ranking_rows import known_rows

ONE = np.zeros(12, dtype=np.intp)


def test_the_cut_is_where_accounts_differ_most_by_hand():
    values = np.array([0, 0, 0, 0, 1, 1, 1, 3, 3, 3, 8, 8.0])
    #     retained: 0 0 0 1  0 0 1  1 1 1  1 0
    outcome = np.array([0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0], dtype=bool)
    # from 3 on 4 of 5 stay, 2 of 7 below; from 1 on 5 of 8 against 1 of 4; from 8 on half and half
    assert pick_cut(values, outcome, ONE) == 3
    # a feature that goes with leaving is cut at the same place
    assert pick_cut(values, ~outcome, ONE) == 3
    assert np.isnan(pick_cut(np.ones(12), outcome, ONE))


def test_a_rare_feature_is_cut_where_it_is_used_at_all():
    values = np.r_[np.zeros(990), 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    outcome = np.arange(1000) % 2 == 0
    assert pick_cut(values, outcome, np.zeros(1000, dtype=np.intp)) == 1


def test_many_values_are_cut_at_quantiles_within_reach():
    generator = np.random.default_rng(0)
    values = generator.normal(size=3000)
    outcome = generator.random(3000) < np.where(values >= 0.5, 0.8, 0.5)

    cut = pick_cut(values, outcome, np.zeros(3000, dtype=np.intp))

    assert cut == pytest.approx(0.5, abs=0.1)
    assert 0.2 <= (values >= pick_cut(values, np.arange(3000) % 2 == 0, np.zeros(3000, dtype=np.intp))).mean() <= 0.8


@pytest.fixture(scope="module")
def rows():
    """600 accounts of one date: `driver` helps within both plans, `second` hurts, `noise_00` belongs to premium."""
    frame, names = matrix(accounts=600, months=1, noise=1)
    generator = np.random.default_rng(4)
    is_premium = generator.random(600) < 0.5
    did = generator.random(600) < 0.4
    hurt = generator.random(600) < 0.3
    frame["plan"] = np.where(is_premium, "premium", "basic")
    frame["driver"], frame["second"] = did * 1.0, hurt * 1.0
    frame["noise_00"] = (is_premium & (generator.random(600) < 0.5)) * 1.0
    frame["retained"] = generator.random(600) < 0.4 + 0.2 * is_premium + 0.25 * did - 0.25 * hurt
    catalogue = framework(names, plans={"noise_00": ["premium"]}).features.catalogue
    return known_rows(frame, sorted(catalogue, key=lambda feature: feature.name))


def test_associations_equal_those_of_statsmodels(rows):
    from scipy.stats import false_discovery_control
    from statsmodels.stats.contingency_tables import StratifiedTable

    everywhere = [np.flatnonzero(is_in) for is_in in rows.is_eligible.T]

    found = associations(rows, everywhere, rows.features)

    wanted = []
    for feature, kind in enumerate(rows.kinds):
        at = everywhere[kind]
        tables = [
            [[((rows.features[own, feature] == did) & (rows.outcome[own] == out)).sum() for out in (True, False)] for did in (1, 0)]
            for own in (at[rows.stratum[at] == stratum] for stratum in np.unique(rows.stratum[at]))
        ]
        wanted.append(StratifiedTable(np.array(tables, dtype=float).transpose(1, 2, 0)).test_null_odds(correction=False).pvalue)
    assert found.p == pytest.approx(wanted)
    assert found.q == pytest.approx(false_discovery_control(wanted))
    # driver, noise, second
    assert found.direction.tolist() in ([1, 1, -1], [1, -1, -1])
    assert found.q[[0, 2]].max() < 0.01
    assert found.accounts_with[1] + found.accounts_without[1] == rows.is_eligible[:, 1].sum() < 600
    assert found.difference[0] == pytest.approx(0.25, abs=0.12)
    assert found.low[0] < found.difference[0] < found.high[0]


def test_unknown_values_are_left_out_and_the_accounts_against_the_grain_are_named(rows):
    above = rows.features.copy()
    above[:100, 0] = np.nan

    found = associations(rows, [np.arange(600), np.flatnonzero(rows.is_eligible[:, 1])], above)

    assert found.accounts_with[0] + found.accounts_without[0] == 500
    did, stayed = rows.features[100:, 0] > 0, rows.outcome[100:]
    assert (found.against[0] - 100).tolist() == np.flatnonzero(did != stayed).tolist()


def test_a_feature_that_is_never_above_its_cut_compares_nothing(rows):
    above = np.zeros_like(rows.features)

    found = associations(rows, [np.arange(600), np.arange(600)], above)

    assert np.isnan(found.p).all()
    assert np.isnan(found.q).all()
    assert np.isinf(found.detectable).all()
