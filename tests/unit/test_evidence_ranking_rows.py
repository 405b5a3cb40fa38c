"""Tests of the rows of a ranking: order, strata, who is eligible, decoys in whole blocks, one row per account."""

import numpy as np
import pandas as pd
import pytest
from ranking_world import framework, matrix

from milestones_dagster.evidence.ranking_rows import drawn_beforehand, drawn_rows, known_rows, one_per_account, with_decoys


def rows_of(frame, names, plans=None, measures=None):
    made = framework(names, measures, plans)
    return known_rows(frame, sorted(made.features.catalogue, key=lambda feature: feature.name))


def small():
    """Two dates of `a` (1), one of `b` (2), one unknown of `c` (3), in no order."""
    return pd.DataFrame(
        {
            "account_key": [2, 1, 3, 1],
            "observed_at": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-01-01", "2025-01-01"]),
            "known_at": pd.to_datetime(["2025-04-08", "2025-05-08", "2025-04-08", "2025-04-08"]),
            "retained": pd.array([True, False, None, True], dtype="boolean"),
            "plan": ["premium", None, "basic", "basic"],
            "size_stratum": ["5-19", "1-4", "1-4", "1-4"],
            "driver": [5.0, 1.0, 9.0, np.nan],
            "sla": [1.0, 0.0, 0.0, 0.0],
        }
    )


def test_rows_are_sorted_known_and_know_their_plans_by_hand():
    rows = rows_of(small(), ["driver", "sla"], {"sla": ["premium"]})

    assert rows.accounts.tolist() == [1, 1, 2]
    assert rows.outcome.tolist() == [True, False, True]
    assert rows.features.tolist()[1:] == [[1, 0], [5, 1]]
    assert np.isnan(rows.features[0, 0])
    # plans basic, premium, unknown × sizes 1-4, 5-19: three strata
    assert len(set(rows.stratum.tolist())) == 3
    assert rows.kinds.tolist() == [0, 1]
    assert rows.is_eligible.tolist() == [[True, False], [True, False], [True, True]]


def test_what_is_not_a_feature_matrix_is_refused():
    with pytest.raises(ValueError, match="no column plan"):
        rows_of(small().drop(columns="plan"), ["driver"])
    with pytest.raises(ValueError, match="1 rows of an account and date that have one already"):
        rows_of(pd.concat([small(), small().iloc[[0]]]), ["driver"])


def test_decoys_are_whole_blocks_of_another_account():
    frame, names = matrix(accounts=60, months=5, noise=1)
    frame = frame.sort_values(["account_key", "observed_at"], ignore_index=True)
    # a value that tells account and place in it
    for place, name in enumerate(names):
        frame[name] = frame["account_key"] * 10.0 + np.tile(np.arange(5), 60) + place / 10
    rows = rows_of(frame, names)

    made = with_decoys(rows, 5, seed=0)

    decoys = made.features[:, len(names) :]
    assert decoys.shape == (300, 5)
    assert (made.features[:, : len(names)] == rows.features).all()
    for decoy in decoys.T:
        blocks = np.floor(decoy / 10).reshape(60, 5)
        assert (blocks == blocks[:, :1]).all()  # of one account, in its order
        assert (np.floor(decoy % 10).reshape(60, 5) == np.arange(5)).all()
        assert sorted(blocks[:, 0]) == sorted(np.unique(rows.accounts))  # each lends once
        assert (blocks[:, 0] != np.unique(rows.accounts)).all()  # none to itself
    # three features for five decoys: each is lent before one is lent again
    assert sorted(round(float(decoy[0] % 1 * 10)) for decoy in decoys.T)[:3] != [0, 0, 0]
    assert {round(float(decoy[0] % 1 * 10)) for decoy in decoys.T} == {0, 1, 2}
    assert made.kinds.tolist() == [0] * 8


def test_blocks_of_other_lengths_are_spread_evenly():
    frame = small().assign(retained=True)
    rows = rows_of(frame.assign(driver=[20.0, 11, 30, 10]), ["driver", "sla"])

    made = with_decoys(rows, 5, seed=1)

    lent = {tuple(decoy) for decoy in made.features[:, 2:].T}
    # rows: a, a, b, c; around a circle of three b or c lends its one row twice to a, and a lends its first
    assert lent <= {(20, 20, 30, 10), (30, 30, 10, 20), (0, 0, 0, 1), (1, 1, 0, 0), (0, 0, 0, 0)}


def test_a_decoy_keeps_what_hangs_together_and_nothing_of_the_outcome():
    frame, names = matrix(accounts=2000, months=4, noise=0, effect=2)
    rows = rows_of(frame, names)

    made = with_decoys(rows, 5, seed=3)

    def between_dates(column):
        values = np.log1p(column.reshape(2000, 4))
        return np.corrcoef(values[:, 0], values[:, 3])[0, 1]

    source = between_dates(rows.features[:, 0])
    assert all(between_dates(decoy) == pytest.approx(source, abs=0.05) for decoy in made.features[:, 2:].T)
    with_outcome = [np.corrcoef(np.log1p(column), rows.outcome)[0, 1] for column in made.features.T]
    assert with_outcome[0] > 0.4
    # rows of an account are dependent: 2,000 accounts have a standard error of 0.02 or so
    assert np.abs(with_outcome[2:]).max() < 0.08


def test_one_row_per_account_is_the_same_in_any_order_and_not_always_the_first():
    frame, names = matrix(accounts=200, months=6, noise=0)
    rows = rows_of(frame, names)

    found = one_per_account(rows, np.arange(1200), seed=0)
    shuffled = one_per_account(rows, np.random.default_rng(0).permutation(1200), seed=0)

    assert found.tolist() == shuffled.tolist()
    assert rows.accounts[found].tolist() == np.unique(rows.accounts).tolist()
    places = np.bincount(found % 6, minlength=6)
    assert places.min() > 15
    assert one_per_account(rows, np.arange(1200), seed=1).tolist() != found.tolist()
    assert one_per_account(rows, np.arange(0), seed=0).size == 0


def test_the_lot_that_falls_on_a_date_without_pay_leaves_the_account_out():
    frame, names = matrix(accounts=2000, months=3, noise=0)
    every = np.arange(6000)
    rows = rows_of(frame, names)
    assert drawn_beforehand(rows, every, seed=0).tolist() == one_per_account(rows, every, seed=0).tolist()

    # half of the accounts left after the third date: three of six were paid
    frame["missed_after"] = np.where(frame["account_key"] % 2 == 0, 3, 0)
    rows = rows_of(frame, names)
    found = drawn_beforehand(rows, every, seed=0)
    has_left = rows.missed_after[found] > 0
    assert set(found) < set(one_per_account(rows, every, seed=0))
    assert (~has_left).sum() == 1000
    # a binomial of 1,000 has a standard deviation of 16
    assert has_left.sum() == pytest.approx(500, abs=64)
    assert drawn_beforehand(rows, np.arange(0), seed=0).size == 0


def test_what_is_used_one_month_and_not_the_next_is_not_overstated_by_who_leaves_soon():
    rng = np.random.default_rng(5)
    accounts, dates = 20_000, 12
    uses = rng.random((accounts, dates)) < 0.5
    leaves = rng.random((accounts, dates)) < np.where(uses, 0.04, 0.10)
    last = np.where(leaves.any(axis=1), leaves.argmax(axis=1), dates)
    account, date = np.nonzero(np.arange(dates) <= np.minimum(last, dates - 1)[:, None])
    frame = pd.DataFrame(
        {
            "account_key": account,
            "observed_at": pd.Timestamp("2025-01-01") + pd.to_timedelta(date * 30, unit="D"),
            "known_at": pd.Timestamp("2025-02-07") + pd.to_timedelta(date * 30, unit="D"),
            "retained": last[account] > date,
            "missed_after": np.maximum(dates - 1 - last, 0)[account],
            "plan": "basic",
            "size_stratum": "1-4",
            "used": uses[account, date].astype(float),
        }
    )
    rows = rows_of(frame, ["used"])
    used = rows.features[:, 0] > 0

    def difference(places):
        return rows.outcome[places][used[places]].mean() - rows.outcome[places][~used[places]].mean()

    every = np.arange(used.size)
    # planted: 6 points in every month
    assert difference(every) == pytest.approx(0.06, abs=0.005)
    assert difference(drawn_beforehand(rows, every, seed=0)) == pytest.approx(0.06, abs=0.012)
    assert difference(one_per_account(rows, every, seed=0)) > 0.08


def test_a_large_matrix_is_cut_by_whole_accounts():
    frame, names = matrix(accounts=100, months=4, noise=0)
    frame["retained"] = frame["retained"].astype("boolean").mask(np.arange(len(frame)) < 3)

    drawn = drawn_rows(frame, 202, seed=0)

    kept = rows_of(drawn.frame, names)
    assert (drawn.rows, drawn.accounts, drawn.unknown, drawn.is_sample) == (397, 100, 3, True)
    assert kept.accounts.size <= 202
    assert drawn.read == np.unique(kept.accounts).size >= 50
    known = frame.loc[frame["retained"].notna()].groupby("account_key").size()
    assert np.unique(kept.accounts, return_counts=True)[1].tolist() == known.loc[np.unique(kept.accounts)].tolist()
    shuffled = drawn_rows(frame.sample(frac=1.0, random_state=4), 202, seed=0)
    assert sorted(shuffled.frame.index) == sorted(drawn.frame.index)
    assert drawn_rows(frame, 397, seed=0).frame.index.tolist() == frame.index[frame["retained"].notna()].tolist()
    assert set(drawn_rows(frame, 202, seed=1).frame["account_key"]) != set(drawn.frame["account_key"])


def test_rows_are_drawn_among_those_given_alone():
    frame, _ = matrix(accounts=100, months=4, noise=0)
    frame["retained"] = frame["retained"].astype("boolean").mask(np.arange(len(frame)) < 3)
    among = np.arange(1, len(frame), 2)

    drawn, alone = drawn_rows(frame, 101, 0, among), drawn_rows(frame.iloc[among], 101, 0)

    # rows 0, 1 and 2 have no outcome, and 1 alone is among the odd ones
    assert (drawn.rows, drawn.accounts, drawn.unknown, drawn.is_sample) == (199, 100, 1, True)
    assert drawn.frame.index.tolist() == alone.frame.index.tolist()


def test_a_sample_of_accounts_agrees_with_all_of_them_within_its_interval():
    frame, _ = matrix(accounts=4000, months=2, noise=1)
    drawn = drawn_rows(frame, 2000, seed=0)

    whole, part = frame["retained"].astype(float), drawn.frame.groupby("account_key")["retained"].mean().astype(float)

    assert abs(part.mean() - whole.mean()) <= 1.96 * part.std() / np.sqrt(len(part))
