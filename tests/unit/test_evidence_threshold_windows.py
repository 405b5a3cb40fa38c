"""Tests of the search over count × days and pairs: planted windows and pairs, the plain count, chance, order, speed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence.threshold_search import Rows, Search
from milestones_dagster.evidence.threshold_windows import DAYS, _p_of_best, _root, search

FAST = SimpleNamespace(threshold_search=ThresholdSearch(resamples=100, permutations=200))


NO_PAIRS = pd.DataFrame({"account_key": np.array([], dtype=np.int64), "event": [], "position": []})


def searched(frame, framework, pairs=NO_PAIRS):
    return search(frame, framework, {"activation_pair_events": pairs})


def pairs_of(frame, **done):
    """The table of pairs: who did each named event, in the order given."""
    parts = [
        pd.DataFrame({"account_key": frame.loc[did, "account_key"], "event": name, "position": place})
        for place, (name, did) in enumerate(done.items(), start=1)
    ]
    return pd.concat(parts, ignore_index=True)


def company(seed, accounts=2000, *, jump=0.25, by=None, at=5):
    """Accounts whose count grows over 90 days; staying jumps at `at` events of the first `by` days (None: of all)."""
    generator = np.random.default_rng(seed)
    plan = generator.integers(0, 3, accounts)
    rate = np.exp(0.9 * generator.normal(size=accounts) + 0.2 * plan)
    steps = np.diff([0, *DAYS, 90])
    counts = np.cumsum([generator.poisson(generator.gamma(1.0, 1.0, accounts) * rate * days / 7) for days in steps], axis=0)
    decisive = counts[-1] if by is None else counts[DAYS.index(by)]
    frame = pd.DataFrame(
        {
            "account_key": np.arange(accounts),
            "cohort_month": pd.date_range("2022-01-01", periods=20, freq="MS")[generator.integers(0, 20, accounts)],
            "standing": "row",
            "plan": plan.astype(str),
            "size_stratum": "1-4",
            "value": counts[-1].astype(float),
            "retained": generator.random(accounts) < 0.55 + 0.05 * plan + jump * (decisive >= at),
        }
    )
    for number, days in enumerate(DAYS):
        frame[f"events_{days}d"] = counts[number]
    return frame


def test_a_planted_shorter_window_wins_with_its_value():
    table = searched(company(1, 4000, by=7, at=2), FAST)
    assert list(table["days"].fillna(0)) == [*DAYS, 0]
    row = table[table["is_best"]].iloc[0]
    assert (row["days"], row["pick"], row["wins"]) == (7, 2.0, True)
    assert row["p_best"] == pytest.approx(1 / 201)
    assert row["gain_low"] > 0
    assert table["wins"].sum() == 1


def test_where_the_whole_count_decides_no_window_wins():
    table = searched(company(2, 4000, at=15), FAST)
    assert table["wins"].sum() == 0
    assert table.loc[table["days"].isna(), "is_best"].all()


def test_a_planted_pair_wins_over_its_count_alone():
    generator = np.random.default_rng(11)
    frame = company(11, 4000, jump=0.0)
    did, other = generator.random(4000) < 0.5, generator.random(4000) < 0.5
    frame["retained"] = generator.random(4000) < 0.5 + 0.35 * ((frame["value"] >= 15) & did)
    table = searched(frame, FAST, pairs_of(frame, invited=did, chatted=other, everybody=np.ones(4000, dtype=bool)))
    # what everybody did counts the same as the plain count
    assert list(table["event"].dropna()) == ["invited", "chatted"]
    assert table["position"].tolist() == list(range(1, 9))
    assert (table["kind"].iloc[-1], table["days"].isna().iloc[-1], table["event"].isna().iloc[-1]) == ("days", True, True)
    row = table[table["wins"]].iloc[0]
    assert (row["kind"], row["event"]) == ("pair", "invited")
    assert row["pick"] == pytest.approx(15, rel=0.15)
    assert table["wins"].sum() == table["is_best"].sum() == 1


def test_a_pair_counts_nothing_where_the_other_event_is_missing():
    frame = company(12, 900)
    did = (frame["account_key"] % 3 > 0).to_numpy()
    table = searched(frame, FAST, pairs_of(frame, invited=did))
    alone = searched(frame.assign(value=np.where(did, frame["value"], 0.0)), FAST)
    # by hand: the plain count of accounts whose count is 0 without the event
    columns = ["candidates", "pick", "earlier_root_chi2", "later_root_chi2"]
    pair = table.loc[table["event"] == "invited", columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(pair, alone.loc[alone["days"].isna(), columns].reset_index(drop=True))


def test_an_event_that_goes_with_staying_by_chance_alone_does_not_win():
    tables = []
    for seed in range(20):
        frame = company([13, seed], 800, jump=0.0)
        generator = np.random.default_rng(seed)
        tables.append(searched(frame, FAST, pairs_of(frame, **{f"e{n}": generator.random(800) < 0.5 for n in range(10)})))
    assert sum(table["wins"].sum() for table in tables) == 0
    p = np.array([table["p_best"].iloc[0] for table in tables])
    # uniform p over all cells together: at most 4 of 20 at or below .05 in 99 % of cases
    assert (p <= 0.05).sum() <= 4


def test_nothing_planted_no_window_wins_and_the_best_of_many_is_not_called_significant():
    tables = [searched(company([3, seed], 800, jump=0.0), FAST) for seed in range(40)]
    p = np.array([table["p_best"].iloc[0] for table in tables])
    assert sum(table["wins"].sum() for table in tables) == 0
    # uniform p: at most 6 of 40 at or below .05 in 99 % of cases
    assert (p <= 0.05).sum() <= 6
    assert 0.3 < p.mean() < 0.7


def test_p_by_permuting_rows_within_strata_the_slow_way():
    frame = company(4, 300, jump=0.08, by=7)
    rows = Rows.of(frame)
    searches = [Search(rows.with_value(frame[name].to_numpy(float)), (0.1, 0.9)) for name in ("events_7d", "value")]
    observed = max(_root(found) for found in searches)
    generator = np.random.default_rng(9)
    exceeding, repeats = 0, 300
    for _ in range(repeats):
        retained = rows.retained.copy()
        for stratum in np.unique(rows.strata):
            places = np.flatnonzero(rows.strata == stratum)
            retained[places] = retained[generator.permutation(places)]
        shuffled = [
            Search(Rows(rows.accounts, found.rows.value, retained, rows.strata, rows.cohort_months), (0.1, 0.9))
            for found in searches
        ]
        exceeding += max(_root(found) for found in shuffled) >= observed
    fast = _p_of_best(searches, observed, ThresholdSearch(permutations=2000))
    assert fast == pytest.approx((1 + exceeding) / (1 + repeats), abs=0.08)


def test_windows_that_count_the_same_as_the_whole_are_left_out_and_few_accounts_are_no_error():
    frame = company(5, 600)
    frame["events_60d"] = frame["events_30d"] = frame["value"]
    assert list(searched(frame, FAST)["days"].fillna(0)) == [1, 7, 14, 0]
    assert len(searched(frame.iloc[:0], FAST)) == 0
    few = searched(frame.head(4), FAST)
    assert not few["wins"].any()


def test_order_of_the_rows_does_not_matter():
    frame = company(6, 700, by=7)
    pairs = pairs_of(frame, invited=(frame["account_key"] % 2 > 0).to_numpy(), chatted=(frame["account_key"] % 5 > 0).to_numpy())
    shuffled = searched(frame.sample(frac=1, random_state=1), FAST, pairs.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(searched(frame, FAST, pairs), shuffled, check_exact=True)
