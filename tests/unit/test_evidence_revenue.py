"""Revenue retention and win-backs: by hand, by brute force and by other packages."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.evidence.association import wilson
from milestones_dagster.evidence.revenue import COLUMNS, MOST_UNITS, clustered_share, revenue_intervals, revenue_retention
from milestones_dagster.evidence.win_backs import win_backs

MARCH, APRIL = pd.Timestamp("2025-03-01"), pd.Timestamp("2025-04-01")


def framework(basis="subscriptions"):
    return SimpleNamespace(outcomes=SimpleNamespace(retention=SimpleNamespace(basis=basis)))


def outcome(account, start, end, month=MARCH, **fields):
    """One row: known, evidence and retained where it still pays, unless `fields` say otherwise."""
    retained = bool(end) if end is not None else None
    row = {
        "account_key": account,
        "month": month,
        "plan": "basic",
        "size_stratum": "1-4",
        "is_known": retained is not None,
        "is_evidence": retained is not None,
        "retained": retained,
        "is_dormant": False,
        "mrr_at_start": start,
        "mrr_at_end": end,
        "is_expanded_mrr": None if retained is None or not start else retained and end / start >= 1.1,
        "is_expanded_seats": None if retained is None else False,
    }
    return row | fields


def retention(rows, resamples=50, seed=0):
    frame = pd.DataFrame(rows).assign(resamples=resamples, seed=seed)
    return revenue_retention(frame, framework(), {}).set_index(["period", "segment_kind", "segment"])


ROWS = [
    outcome(1, 100.0, 110.0),
    outcome(2, 100.0, 50.0, is_dormant=True),
    # left, whatever it came back to
    outcome(3, 200.0, 0.0, retained=False),
    outcome(4, 900.0, 900.0, is_evidence=False),
    outcome(5, 900.0, None, is_dormant=True),
    # no revenue is known
    outcome(6, None, None, retained=True, is_known=True, is_evidence=True, is_dormant=None, plan=None),
]


def test_a_month_by_hand():
    row = retention(ROWS).loc[("2025-03", "all", "all")]

    assert (row["rows"], row["accounts"], row["open_rows"], row["locked_rows"], row["retained"]) == (4, 4, 1, 1, 3)
    assert row["retained_share"] == 0.75
    assert (row["retained_share_low"], row["retained_share_high"]) == (
        pytest.approx(wilson(3, 4).lower),
        pytest.approx(wilson(3, 4).upper),
    )
    assert (row["mrr_rows"], row["mrr_accounts"], row["mrr_at_start"], row["mrr_at_end"]) == (3, 3, 400, 160)
    assert (row["gross_revenue_retention"], row["net_revenue_retention"]) == (150 / 400, 160 / 400)
    # too few accounts for a resample to mean anything
    assert np.isnan(row["net_revenue_retention_low"])
    assert (row["expanded_mrr_rows"], row["expanded_mrr_share"]) == (3, pytest.approx(1 / 3))
    # of all that have paid long enough, whether their outcome is known or not
    assert (row["dormant_rows"], row["dormant_share"]) == (5, pytest.approx(2 / 5))


def test_segments_are_of_plan_and_size_and_what_is_unknown_is_said():
    found = retention(ROWS)

    assert set(found.index) == {
        (period, kind, segment)
        for period in ("all", "2025-03")
        for kind, segment in (("all", "all"), ("plan", "basic"), ("plan", "unknown"), ("size", "1-4"))
    }
    row = found.loc[("all", "plan", "unknown")]
    assert (row["rows"], row["retained_share"], row["mrr_rows"]) == (1, 1, 0)
    assert np.isnan(row["net_revenue_retention"])
    assert np.isnan(row["mrr_at_start"])


def test_unequal_months_are_summed_and_never_averaged():
    small = [outcome(1, 100.0, 0.0, APRIL)]
    large = [outcome(account, 100.0, 100.0) for account in range(1, 10)]
    row = retention([*small, *large]).loc[("all", "all", "all")]

    # nine of ten, not the mean of none and all
    assert (row["rows"], row["accounts"]) == (10, 9)
    assert (row["retained_share"], row["net_revenue_retention"]) == (0.9, 0.9)


def test_the_interval_is_of_resampled_accounts_as_by_brute_force():
    generator = np.random.default_rng(1)
    accounts = generator.integers(0, 40, 160)
    start = generator.integers(1, 20, 160) * 50.0
    end = start * generator.choice([0, 0.5, 1, 1.5], 160)
    found = revenue_intervals(accounts, start, end, [np.arange(160), np.flatnonzero(start > 300)], 60, seed=3)

    distinct = np.unique(accounts)
    draws = np.random.default_rng(3)
    net, gross = [], []
    for _ in range(60):
        drawn = distinct[draws.integers(0, distinct.size, distinct.size)]
        places = np.concatenate([np.flatnonzero(accounts == account) for account in drawn])
        net.append(end[places].sum() / start[places].sum())
        gross.append(np.minimum(end, start)[places].sum() / start[places].sum())
    low, high = np.quantile(net, [0.025, 0.975])
    assert (found[0]["net_revenue_retention_low"], found[0]["net_revenue_retention_high"]) == (
        pytest.approx(low),
        pytest.approx(high),
    )
    low, high = np.quantile(gross, [0.025, 0.975])
    assert (found[0]["gross_revenue_retention_low"], found[0]["gross_revenue_retention_high"]) == (
        pytest.approx(low),
        pytest.approx(high),
    )
    assert found[1]["mrr_rows"] == (start > 300).sum()


def test_bundles_of_many_accounts_vary_as_the_accounts_do():
    generator = np.random.default_rng(2)
    size = 2 * MOST_UNITS
    start = generator.lognormal(5, 1, size)
    end = start * generator.choice([0, 1, 1.3], size, p=[0.1, 0.7, 0.2])
    found = revenue_intervals(np.arange(size), start, end, [np.arange(size)], 400, seed=0)[0]
    ratio = end.sum() / start.sum()
    error = np.sqrt(((end - ratio * start) ** 2).sum()) / start.sum()

    width = found["net_revenue_retention_high"] - found["net_revenue_retention_low"]
    assert found["net_revenue_retention"] == pytest.approx(ratio)
    assert width == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_a_share_of_one_row_per_account_is_wilsons_and_its_variance_statsmodels():
    from statsmodels.api import OLS

    generator = np.random.default_rng(0)
    values, accounts = (generator.random(300) < 0.7).astype(float), generator.integers(0, 80, 300)
    alone = clustered_share(values, np.arange(300))
    assert (alone.lower, alone.upper) == (
        pytest.approx(wilson(values.sum(), 300).lower),
        pytest.approx(wilson(values.sum(), 300).upper),
    )
    found = clustered_share(values, accounts)
    clustered = OLS(values, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": accounts, "use_correction": False})
    share = values.mean()
    effective = share * (1 - share) / clustered.bse[0] ** 2
    assert found.lower == pytest.approx(wilson(share * effective, effective).lower)


def test_the_same_accounts_again_tell_nothing_new():
    values = np.array([1.0, 0, 1, 1, 1, 0, 1, 1])
    once = clustered_share(values, np.arange(8))
    thrice = clustered_share(np.tile(values, 3), np.tile(np.arange(8), 3))

    assert (thrice.lower, thrice.upper) == (pytest.approx(once.lower), pytest.approx(once.upper))
    # all or none: as many as there are accounts
    assert clustered_share(np.ones(9), np.arange(9) // 3).lower == pytest.approx(wilson(3, 3).lower)
    assert np.isnan(clustered_share(np.empty(0), np.empty(0, dtype=np.int64)).estimate)


def test_the_order_of_the_rows_changes_nothing():
    generator = np.random.default_rng(5)
    rows = [
        outcome(account, float(generator.integers(1, 9)), float(generator.integers(0, 9)), month)
        for account in range(30)
        for month in (MARCH, APRIL)
    ]
    turned = [rows[place] for place in generator.permutation(len(rows))]

    pd.testing.assert_frame_equal(retention(rows), retention(turned), check_exact=True)


def test_without_rows_there_is_a_table_without_rows():
    frame = pd.DataFrame(columns=[*ROWS[0], "resamples", "seed"])

    made = revenue_retention(frame, framework(), {})
    assert made.empty
    # the table is made of its columns, with rows or without
    assert list(made) == list(COLUMNS)


# --- win-backs ------------------------------------------------------------------------------------------------------


def leaving(account, days_followed, back_after=None):
    left = pd.Timestamp("2025-01-01")
    back = pd.NaT if back_after is None else left + pd.Timedelta(days=back_after)
    return {"account_key": account, "left_at": left, "returned_at": back, "followed_to": left + pd.Timedelta(days=days_followed)}


def back_by(rows, basis="subscriptions"):
    frame = pd.DataFrame(rows, columns=["account_key", "left_at", "returned_at", "followed_to"])
    frame = frame.astype(dict.fromkeys(("left_at", "returned_at", "followed_to"), "datetime64[us]"))
    return win_backs(frame, framework(basis), {}).set_index("day")


def test_who_left_yesterday_is_not_lost_for_good():
    rows = [leaving(1, 400, 20), leaving(2, 400, 60), leaving(3, 400), leaving(4, 400)]
    recent = [leaving(account, 1) for account in range(5, 105)]
    found, alone = back_by([*rows, *recent]), back_by(rows)

    assert found["incidence"].tolist() == pytest.approx([0.25, 0.5, 0.5, 0.5])
    assert found["incidence_low"].tolist() == pytest.approx(alone["incidence_low"].tolist())
    assert (found.loc[90, "leavings"], found.loc[90, "at_risk"], found.loc[90, "returns"]) == (104, 2, 2)
    # followed for as long as it takes, so that Wilson's interval of 2 in 4
    assert found.loc[90, "incidence_low"] == pytest.approx(wilson(2, 4).lower)


def test_where_nobody_is_followed_so_long_nothing_is_said():
    found = back_by([leaving(1, 100, 95), leaving(2, 100)])

    assert found["incidence"].tolist()[:2] == [0, 0]
    assert found["incidence"].isna().tolist() == [False, False, True, True]
    assert found.loc[365, "note"] == "None of 2 leavings has been followed for 365 days."
    # none of two is known for no more than two are worth
    assert found.loc[30, "incidence_high"] == pytest.approx(wilson(0, 2).upper)


def test_nobody_left_or_nobody_can_be_seen_to():
    assert set(back_by([])["note"]) == {"Nobody has left yet."}
    assert set(back_by([], "activity")["note"]) == {"Without subscriptions nobody is seen to leave, and so nobody to come back."}
    assert back_by([])["incidence"].isna().all()
