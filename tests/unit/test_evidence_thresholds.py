"""Tests of the threshold: hand-computed curve and pick, halves, no signal, planted jumps, smooth worlds, order, speed.

Put here the statistics. Keep out who is a row (`tests/warehouse/test_threshold_world.py`).
"""

from math import log2, nan, sqrt

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence import thresholds
from milestones_dagster.evidence.association import at_or_above, cmh
from milestones_dagster.evidence.threshold_resamples import draws, isotonic, response, stability
from milestones_dagster.evidence.threshold_search import Rows, Search, halves, picked
from milestones_dagster.evidence.thresholds import CURVE_COLUMNS, Effect, curve, derived, effect, no_signal

CONFIG = ThresholdSearch()
FAST = ThresholdSearch(resamples=50)
EARLIER, LATER = "2024-01-01", "2024-02-01"


def landmarks(value, retained, *, month=EARLIER, plan="basic", size="1-4", standing="row", mrr=100.0):
    """A landmark table; scalars stand for every row."""
    count = len(value)
    return pd.DataFrame(
        {
            "account_id": [f"a{number:06}" for number in range(count)],
            "account_key": np.arange(count, dtype=np.int64),
            "cohort_month": pd.to_datetime(np.broadcast_to(month, count)),
            "standing": np.broadcast_to(standing, count),
            "plan": np.broadcast_to(plan, count),
            "size_stratum": np.broadcast_to(size, count),
            "mrr": np.broadcast_to(mrr, count),
            "value": np.asarray(value, dtype=float),
            "retained": retained,
        }
    )


def company(generator, accounts, *, jump=0.2, at=20, slope=0.04, strata=0.05, base=0.68):
    """Accounts over 24 cohort months: plan and size move behaviour and, by `strata`, staying; a jump at `at`."""
    plan, size = generator.integers(0, 3, accounts), generator.integers(0, 4, accounts)
    rate = np.exp(2.0 + 0.3 * plan + 0.15 * size + 0.8 * generator.normal(size=accounts))
    value = generator.poisson(rate).astype(float)
    chance = base + strata * (plan - 1) + strata / 2 * (size - 1.5) + slope * (np.log1p(value) - 2.4) + jump * (value >= at)
    months = pd.date_range("2022-01-01", periods=24, freq="MS")[generator.integers(0, 24, accounts)]
    return landmarks(
        value,
        generator.random(accounts) < np.clip(chance, 0.01, 0.99),
        month=months,
        plan=plan.astype(str),
        size=size.astype(str),
        mrr=np.round(generator.gamma(2.0, 100.0, accounts), 2),
    )


# 20 accounts of one stratum: value, accounts, retained
TINY = [(0, 4, 1), (5, 6, 3), (10, 6, 5), (20, 4, 3)]


def tiny(month=EARLIER):
    value = np.repeat([value for value, _, _ in TINY], [accounts for _, accounts, _ in TINY])
    retained = np.concatenate([np.arange(accounts) < kept for _, accounts, kept in TINY])
    return landmarks(value, retained, month=month)


def test_curve_by_hand():
    table = curve(pd.concat([tiny(), tiny(LATER).assign(account_key=lambda rows: rows["account_key"] + 100)]), CONFIG)
    assert list(table.columns) == list(CURVE_COLUMNS)
    # reach of 5: 16/20, of 10: 10/20, of 20: 4/20; 0 has all
    assert list(table["value"]) == [0, 5, 10, 20]
    assert list(table["is_candidate"]) == [False, True, True, True]
    ten = table.iloc[2]
    # at or above 10: 8 of 10; below: 4 of 10
    assert ten["accounts"] == 20
    assert ten["reach"] == 0.5
    assert (ten["retained_above_share"], ten["retained_below_share"]) == (0.8, 0.4)
    assert ten["risk_difference"] == pytest.approx(0.4)
    assert ten["lift"] == pytest.approx(0.8 / 0.6)
    assert (ten["ppv"], ten["npv"]) == (0.8, 0.6)
    assert (ten["sensitivity"], ten["specificity"]) == pytest.approx((8 / 12, 6 / 8))
    assert ten["youden_j"] == pytest.approx(8 / 12 + 6 / 8 - 1)
    # (8 · 6 − 2 · 4) / √(10 · 10 · 12 · 8)
    assert ten["phi"] == pytest.approx(40 / sqrt(9600))
    entropy = lambda share: -share * log2(share) - (1 - share) * log2(1 - share)  # noqa: E731
    assert ten["information_gain"] == pytest.approx(entropy(0.6) - entropy(0.8) / 2 - entropy(0.4) / 2)
    # (8 − 6)² / (10 · 10 · 12 · 8 / (400 · 19))
    assert ten["chi2"] == pytest.approx(4 / (9600 / 7600))
    # 5: a = 11, expected 16 · 12 / 20 = 9.6; variance 16 · 4 · 12 · 8 / 7600
    assert table["chi2"].iloc[1] == pytest.approx(1.4**2 / (6144 / 7600))
    # 20: a = 3, expected 2.4; the same variance
    assert table["chi2"].iloc[3] == pytest.approx(0.6**2 / (6144 / 7600))
    assert list(table["is_pick"]) == [False, False, True, False]
    # bands of both halves: 2/8, 6/12, 10/12, 6/8; the last two fall and are pooled to 16/20
    assert list(table["band_accounts"]) == [8, 12, 12, 8]
    assert list(table["band_retained_share"]) == pytest.approx([0.25, 0.5, 10 / 12, 0.75])
    assert list(table["retention"]) == pytest.approx([0.25, 0.5, 0.8, 0.8])
    assert (table["retention_low"] <= table["retention"]).all()
    assert (table["retention_high"] >= table["retention"]).all()
    assert table["chi2"].iloc[0] is not None
    assert np.isnan(table["chi2"].iloc[0])


def test_ppv_npv_and_phi_of_a_public_case():
    # 40 of 50 who did it are retained, 20 of 50 who did not (statistics_cases.json, T13)
    value = np.repeat([1.0, 1.0, 0.0, 0.0], [40, 10, 20, 30])
    retained = np.repeat([True, False, True, False], [40, 10, 20, 30])
    row = curve(landmarks(value, retained), CONFIG).query("is_candidate").iloc[0]
    found = [row[name] for name in ("phi", "ppv", "npv", "sensitivity", "specificity", "retained_above_share")]
    assert found == pytest.approx([0.408248, 0.8, 0.6, 0.666667, 0.75, 0.8], abs=1e-5)


def test_equal_candidates_give_the_lowest():
    # 1, 2 and 3 divide one retained from one lost each alike: χ² of 1 and of 3 is the same by symmetry
    frame = landmarks([0, 0, 1, 1, 2, 2, 3, 3], [False, False, True, False, False, True, True, True])
    search = Search(Rows.of(frame), (0.1, 0.9))
    found = search.plain.chi2[0, :3]
    assert found[0] == pytest.approx(found[2])
    assert found[0] > found[1]
    assert search.pick == 1.0


def test_a_tie_up_to_rounding_gives_the_lowest_and_the_negative_direction_nothing():
    values = np.array([[1.0, 2.0, 3.0]] * 3)
    chi2 = np.array([[5.0, 5.0 * (1 + 1e-12), 1.0], [9.0, 2.0, 3.0], [9.0, 9.0, nan]])
    direction = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0], [-1.0, 0.0, nan]])
    assert list(picked(values, chi2, direction)[:2]) == [1.0, 3.0]
    assert np.isnan(picked(values, chi2, direction)[2])


def test_the_pick_compares_alike_with_alike():
    # within each plan 10 divides perfectly; across plans the small plan's 30 looks best
    value = [5, 5, 10, 10, 20, 20, 30, 30, 30, 30]
    retained = [False, False, True, True, False, False, True, True, True, True]
    plan = ["a", "a", "a", "a", "b", "b", "b", "b", "b", "b"]
    search = Search(Rows.of(landmarks(value, retained, plan=plan)), (0.1, 0.9))
    tables = {
        value: cmh(at_or_above(value_of(search), [value], search.rows.retained, search.rows.strata)) for value in (10, 20, 30)
    }
    assert search.pick == max(tables, key=lambda value: float(tables[value].statistic[0]))
    assert search.pick == 30.0
    # of plan a alone 10 is the pick
    assert Search(Rows.of(landmarks(value[:4], retained[:4])), (0.1, 0.9)).pick == 10.0


def value_of(search):
    return search.rows.value


def test_an_unknown_plan_or_size_is_a_level_of_its_own():
    frame = landmarks([1, 2, 3, 4], [True] * 4, plan=["a", None, "a", None], size=["1-4", "1-4", None, None])
    assert len(set(Rows.of(frame).strata)) == 4


def test_one_cmh_by_statsmodels():
    from statsmodels.stats.contingency_tables import StratifiedTable

    frame = company(np.random.default_rng(3), 900)
    made = thresholds.prepared(frame, CONFIG)
    place = 7
    cells = [
        [
            [((stratum := made.earlier.strata == number) & above & kept).sum(), (stratum & above & ~kept).sum()],
            [(stratum & ~above & kept).sum(), (stratum & ~above & ~kept).sum()],
        ]
        for above, kept in [(made.earlier.value >= made.search.candidates[place], made.earlier.retained)]
        for number in np.unique(made.earlier.strata)
    ]
    expected = StratifiedTable([np.array(cell, dtype=float) for cell in cells]).test_null_odds(correction=False)
    assert made.search.plain.chi2[0, place] == pytest.approx(expected.statistic)
    # and every candidate by the association module, one pass each
    again = cmh(at_or_above(made.earlier.value, made.search.candidates, made.earlier.retained, made.earlier.strata))
    assert made.search.plain.chi2[0, : made.search.candidates.size] == pytest.approx(again.statistic)


def test_candidates_are_distinct_values_within_reach_and_at_most_40_quantiles():
    few = Search(Rows.of(landmarks(np.repeat(np.arange(10.0), 10), [True] * 100)), (0.1, 0.9))
    assert list(few.candidates) == list(range(1, 10))
    narrow = Search(few.rows, (0.25, 0.5))
    # shares at or above 5, 6, 7: .5, .4, .3
    assert list(narrow.candidates) == [5, 6, 7]
    many = Search(Rows.of(landmarks(np.arange(1000.0), [True] * 1000)), (0.1, 0.9))
    reach = [(many.rows.value >= candidate).mean() for candidate in many.candidates]
    assert len(reach) == 40
    assert (max(reach), min(reach)) == pytest.approx((0.9, 0.1), abs=0.0015)
    assert np.ptp(np.diff(reach)) < 0.0015


def test_a_weighted_search_is_the_search_of_the_repeated_rows():
    frame = company(np.random.default_rng(5), 400)
    rows = Rows.of(frame)
    weights = np.random.default_rng(6).integers(0, 4, rows.size)
    repeated = frame.loc[np.repeat(frame.index, weights)].assign(account_key=np.arange(weights.sum()))
    found = Search(rows, (0.1, 0.9)).weighted([np.ones(rows.size), weights.astype(float)])
    alone = Search(Rows.of(repeated), (0.1, 0.9)).plain
    assert found.candidates[1] == pytest.approx(alone.candidates[0], nan_ok=True)
    assert found.chi2[1] == pytest.approx(alone.chi2[0], nan_ok=True)
    assert found.picks[1] == alone.picks[0]


@pytest.mark.parametrize(
    ("counts", "earlier"),
    [
        # months of 10, 30, 60 accounts: 40 is nearer to 50 than 10
        ([10, 30, 60], 40),
        ([10, 45, 20, 25], 55),
        # 40 and 60 are equally near: the earlier cut
        ([40, 20, 40], 40),
        # a month is never cut in two
        ([95, 5], 95),
        ([100], 100),
    ],
)
def test_halves_are_whole_cohort_months_cut_nearest_to_half(counts, earlier):
    months = np.repeat(np.arange("2024-01", f"2024-{len(counts) + 1:02}", dtype="datetime64[M]"), counts).astype("datetime64[D]")
    shuffled = np.random.default_rng(0).permutation(months)
    is_earlier = halves(shuffled)
    assert is_earlier.sum() == earlier
    if earlier < len(months):
        assert shuffled[is_earlier].max() < shuffled[~is_earlier].min()


def test_the_effect_is_of_the_later_half_alone():
    frame = company(np.random.default_rng(7), 3000)
    row = derived(frame, "activation", 15.0, FAST).iloc[0]
    is_later = frame["cohort_month"] > pd.Timestamp(row["earlier_to_month"])
    assert (row["earlier_accounts"], row["later_accounts"]) == ((~is_later).sum(), is_later.sum())
    later = frame[is_later]
    above = later["value"] >= row["pick"]
    assert (row["accounts_above"], row["accounts_below"]) == (above.sum(), (~above).sum())
    assert row["retained_above_share"] == pytest.approx(later.loc[above, "retained"].mean())
    crude = later.loc[above, "retained"].mean() - later.loc[~above, "retained"].mean()
    assert row["crude_difference"] == pytest.approx(crude)
    # the outcomes of the later half do not move the pick, those of the earlier do not move the effect
    turned = frame.assign(retained=np.where(is_later, ~frame["retained"], frame["retained"]))
    assert derived(turned, "activation", 15.0, FAST).iloc[0][["pick", "pick_low", "pick_high"]].tolist() == [
        row["pick"], row["pick_low"], row["pick_high"],
    ]  # fmt: skip


def test_the_adopted_value_stands_beside_with_whom_the_difference_moves():
    frame = company(np.random.default_rng(7), 3000)
    row = derived(frame, "activation", 15.0, FAST).iloc[0]
    moved = frame[(frame["value"] >= 15) & (frame["value"] < row["pick"])]
    assert row["pick"] > 15
    assert (row["moved_accounts"], row["moved_towards"]) == (len(moved), "not reached")
    assert row["moved_share"] == pytest.approx(len(moved) / 3000)
    largest = moved.sort_values(["mrr", "account_id"], ascending=[False, True])["account_id"].head(20)
    assert row["moved_account_ids"] == ", ".join(largest)
    assert row["adopted_difference"] == effect(thresholds.prepared(frame, FAST).later, 15.0).difference
    assert derived(frame, "activation", 40.0, FAST).iloc[0]["moved_towards"] == "reached"
    same = derived(frame, "activation", row["pick"], FAST).iloc[0]
    assert (same["moved_accounts"], same["moved_towards"], same["moved_account_ids"]) == (0, None, None)
    none = derived(frame, "activation", None, FAST).iloc[0]
    assert (none["moved_accounts"], np.isnan(none["adopted"]), np.isnan(none["adopted_p"])) == (0, True, True)


GOOD = Effect(900, 900, 0.8, 0.7, 0.1, 0.06, 0.14, 0.1, 0.06, 0.14, 24.0, 0.001, 0.06, "mixed")


@pytest.mark.parametrize(
    ("changes", "candidates", "pick", "reason"),
    [
        ({}, 3, 5.0, None),
        ({}, 2, 5.0, "fewer than 3 candidates"),
        ({}, 3, nan, "no candidate goes with staying"),
        ({"trust": "interview"}, 3, 5.0, "trust is interview"),
        ({"difference": 0.0}, 3, 5.0, "adjusted difference not above 0"),
        ({"difference": -0.1}, 3, 5.0, "adjusted difference not above 0"),
        ({"difference": nan}, 3, 5.0, "adjusted difference not above 0"),
        ({"p": 0.05}, 3, 5.0, None),
        ({"p": 0.0501}, 3, 5.0, "p above .05"),
        ({"p": nan}, 3, 5.0, "p above .05"),
    ],
)
def test_no_signal_names_the_first_reason(changes, candidates, pick, reason):
    assert no_signal(candidates, pick, Effect(**(GOOD.__dict__ | changes))) == reason


def test_without_a_signal_nothing_is_derived_and_an_interview_names_the_nearest():
    frame = company(np.random.default_rng(8), 200)
    row = derived(frame, "activation", 20.0, FAST).iloc[0]
    assert (row["is_signal"], row["reason"], row["trust"]) == (False, "trust is interview", "interview")
    assert np.isnan(row["derived"])
    assert row["note"].startswith("No signal: trust is interview.")
    named = frame.set_index("account_id").loc[row["interview_account_ids"].split(", ")]
    assert len(named) == 20
    assert (named["value"] >= row["pick"]).sum() == 10
    assert list(named["mrr"]) == sorted(named["mrr"], reverse=True)
    other = frame.loc[~frame["account_id"].isin(named.index)]
    for is_above in (True, False):
        distance = [
            (group.loc[(group["value"] >= row["pick"]) == is_above, "value"] - row["pick"]).abs() for group in (named, other)
        ]
        assert distance[0].max() <= distance[1].min()


@pytest.mark.parametrize("accounts", [0, 1, 5])
def test_with_hardly_an_account_it_is_one_row_without_a_signal(accounts):
    frame = landmarks(np.arange(float(accounts)), np.ones(accounts, dtype=bool))
    row = derived(frame, "activation", 3.0, FAST)
    assert len(row) == 1
    assert not row.iloc[0]["is_signal"]
    assert row.iloc[0]["accounts"] == accounts
    assert len(curve(frame, FAST)) in {0, accounts}


def test_only_rows_are_compared_and_the_rest_is_counted():
    frame = company(np.random.default_rng(9), 600)
    rest = frame.head(30).assign(
        account_key=np.arange(10_000, 10_030),
        standing=["left_before"] * 12 + ["locked"] * 10 + ["no_seats"] * 8,
        value=np.nan,
        retained=None,
    )
    alone, both = (derived(given, "usage", 20.0, FAST).iloc[0] for given in (frame, pd.concat([rest, frame])))
    assert (both["left_before"], both["locked"], both["accounts"]) == (12, 10, 600)
    assert both["left_before_share"] == pytest.approx(12 / 612)
    assert both["pick"] == alone["pick"]
    assert "8 accounts had no seats" in both["note"]
    assert "10 accounts could not leave" in both["note"]


def test_two_rows_of_an_account_and_missing_values_are_refused():
    frame = company(np.random.default_rng(9), 30)
    with pytest.raises(ValueError, match="more than one row"):
        derived(pd.concat([frame, frame]), "activation", 20.0, FAST)
    with pytest.raises(ValueError, match="1 rows have no finite value"):
        derived(frame.assign(value=[np.inf, *frame["value"][1:]]), "activation", 20.0, FAST)


def test_order_of_the_rows_does_not_matter_and_every_run_gives_the_same():
    frame = company(np.random.default_rng(10), 1500)
    shuffled = frame.sample(frac=1.0, random_state=1)
    for make in (lambda given: derived(given, "activation", 15.0, FAST), lambda given: curve(given, FAST)):
        first = make(frame)
        pd.testing.assert_frame_equal(first, make(frame.copy()), check_exact=True)
        pd.testing.assert_frame_equal(first, make(shuffled), check_exact=True)


def test_a_planted_jump_is_recovered_and_lies_in_the_stability_interval():
    worlds, within, covered, widths = 60, 0, 0, []
    for seed in range(worlds):
        rows = Rows.of(company(np.random.default_rng([20, seed]), 1400))
        search = Search(rows, CONFIG.reach)
        found = stability(search, 200, seed)
        within += abs(search.pick - 20) <= 3
        covered += found.low <= 20 <= found.high
        widths.append((found.high - found.low) / 20)
    assert within / worlds >= 0.9
    assert covered / worlds >= 0.93
    assert np.median(widths) <= 0.7


def test_stability_draws_two_fifths_as_many_accounts():
    assert [draw.sum() for draw in draws(7, 3, 1, 4)] == [4, 4, 4]
    assert [draw.sum() for draw in draws(7, 2, 1)] == [7, 7]
    rows = Rows.of(company(np.random.default_rng(21), 301))
    search = Search(rows, CONFIG.reach)
    picks = np.sort(search.picks(draws(301, 40, 5, 121)))
    found = stability(search, 40, 5)
    # 40 sorted picks: the 2.5 percentile lies between the first two, the 97.5 between the last two; rounded outwards
    assert (found.low, found.high, found.picked_share) == (picks[0], picks[-1], 1.0)


def test_nothing_planted_gives_a_signal_in_about_one_of_twenty_at_most():
    # plan and size move behaviour and staying, the value does not
    worlds, signals = 300, 0
    for seed in range(worlds):
        frame = company(np.random.default_rng([30, seed]), 2800, jump=0.0, slope=0.0)
        made = thresholds.prepared(frame, CONFIG)
        signals += no_signal(made.search.candidates.size, made.search.pick, effect(made.later, made.search.pick)) is None
    assert signals / worlds <= 0.05


def test_a_smooth_response_has_no_sharp_threshold_and_a_jump_has():
    smooth = company(np.random.default_rng(40), 6000, jump=0.0, slope=0.08, base=0.7)
    row = derived(smooth, "activation", 20.0, CONFIG).iloc[0]
    assert row["pick_high"] > 2 * row["pick_low"]
    assert not row["is_sharp"]
    assert "No sharp threshold" in row["note"]
    row = derived(company(np.random.default_rng(41), 6000), "activation", 20.0, CONFIG).iloc[0]
    assert row["is_sharp"]
    assert row["is_signal"]
    assert row["derived"] == row["pick"]
    assert "No sharp threshold" not in row["note"]


def test_isotonic_fit_by_scikit_learn_and_empty_bands_between_their_neighbours():
    from sklearn.isotonic import isotonic_regression

    generator = np.random.default_rng(50)
    total = generator.integers(1, 60, (30, 12)).astype(float)
    reached = generator.binomial(total.astype(int), np.linspace(0.3, 0.7, 12)).astype(float)
    for one_reached, one_total, fitted in zip(reached, total, isotonic(reached, total), strict=True):
        assert fitted == pytest.approx(isotonic_regression(one_reached / one_total, sample_weight=one_total))
    # shares: empty, .5, empty, .25, empty → .5 and .25 pool to 3/8 (weights 4 and 4)
    assert list(isotonic(np.array([[0.0, 2, 0, 1, 0]]), np.array([[0.0, 4, 0, 4, 0]]))[0]) == pytest.approx([0.375] * 5)
    assert list(isotonic(np.array([[1.0, 0, 3]]), np.array([[4.0, 0, 4]]))[0]) == pytest.approx([0.25, 0.75, 0.75])


def test_the_band_holds_the_response_where_it_is_one():
    # at the middle of three bands, retention .5; 95 % of bands hold it
    held, worlds = 0, 200
    for seed in range(worlds):
        generator = np.random.default_rng([60, seed])
        value = np.repeat([0.0, 1.0, 2.0], 200)
        retained = generator.random(600) < np.repeat([0.3, 0.5, 0.7], 200)
        found = response(Rows.of(landmarks(value, retained)), np.array([1.0, 2.0]), 200, seed)
        held += found.low[1] <= 0.5 <= found.high[1]
    assert held / worlds >= 0.91


def test_above_the_stated_size_accounts_are_taken_by_hash_and_the_note_says_so():
    frame = company(np.random.default_rng(70), 3000)
    config = FAST.model_copy(update={"maximum_accounts": 1000})
    row = derived(frame, "activation", 15.0, config).iloc[0]
    assert row["accounts"] == 1000
    assert "1,000 of 3,000 accounts, taken by hash, are read." in row["note"]
    same = derived(frame.sample(frac=1.0, random_state=2), "activation", 15.0, config).iloc[0]
    assert same["pick"] == row["pick"]
    whole = derived(frame, "activation", 15.0, FAST).iloc[0]
    assert row["adopted_difference_low"] <= whole["adopted_difference"] <= row["adopted_difference_high"]
    assert "taken by hash" not in whole["note"]


def test_of_100_000_accounts_the_planted_jump_is_picked():
    frame = company(np.random.default_rng(80), 100_000)
    frame["value"] += np.random.default_rng(81).random(100_000)
    row = derived(frame, "activation", 15.0, CONFIG).iloc[0]
    assert row["pick"] == pytest.approx(20, abs=1)
