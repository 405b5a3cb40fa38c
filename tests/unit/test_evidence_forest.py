"""Tests of `rank` on planted worlds: drivers first, noise at zero, no ranking where there is no signal."""

from math import nan

import numpy as np
import pandas as pd
import pytest
from ranking_world import ADOPTION, adoption, framework, impostor, matrix

from milestones_dagster.evidence.fold_fit import forest_size
from milestones_dagster.evidence.forest import COLUMNS, rank, ranking


@pytest.fixture(scope="module")
def planted():
    frame, names = matrix(accounts=900, months=6, noise=8)
    return frame, names, rank(frame, framework(names), adoption(names))


def test_planted_drivers_rank_first_and_noise_is_about_zero(planted):
    _, names, table = planted

    assert tuple(table.columns) == COLUMNS
    assert sorted(table["feature"]) == sorted(names)
    assert table["rank"].tolist() == list(range(1, 11))
    assert table["feature"].tolist()[:2] == ["driver", "second"]
    assert table["verdict"].tolist()[:2] == ["differentiator", "differentiator"]
    assert set(table["verdict"][2:]) == {"weak"}
    assert table["feature_group"].tolist() == table["feature"].tolist()
    assert table["is_representative"].all()
    first, noise = table.iloc[0], table[table["feature"].str.startswith("noise")]
    assert first["importance_low"] < first["importance"] < first["importance_high"]
    assert noise["importance"].abs().max() < 0.05 * first["importance"]
    assert noise["importance"].mean() == pytest.approx(0, abs=0.002)
    assert 0.5 < first["auc_low"] < first["auc"] < first["auc_high"] < 1
    assert first["average_precision"] > first["base_rate"]


def test_the_result_says_what_it_was_measured_on(planted):
    frame, _, table = planted
    first = table.iloc[0]

    assert first["split"] == "time and account"
    # counted by hand from the rule, not from the code
    dates = sorted(frame["observed_at"].unique())
    boundary = next(date for date in dates if (frame["observed_at"] < date).mean() >= 0.6)
    held_out = frame[frame["observed_at"] >= boundary]
    assert first["train_rows"] == (frame["known_at"] <= boundary).sum()
    assert (first["held_out_rows"], first["held_out_accounts"]) == (len(held_out), held_out["account_key"].nunique())
    assert first["base_rate"] == pytest.approx(held_out["retained"].mean())
    assert f"known by {boundary:%Y-%m-%d}" in first["note"]


def test_row_and_catalogue_order_do_not_matter_and_runs_are_identical(planted):
    frame, names, table = planted
    shuffled = frame.sample(frac=1, random_state=1)

    again = rank(shuffled, framework(names[::-1]), adoption(names[::-1]))

    pd.testing.assert_frame_equal(table, again, check_exact=True)


def test_rows_without_a_known_outcome_are_left_out(planted):
    frame, names, table = planted
    unknown = frame.iloc[:40].assign(observed_at=pd.Timestamp("2026-06-01"), retained=None)

    again = rank(pd.concat([frame.astype({"retained": object}), unknown]), framework(names), adoption(names))

    numbers = [column for column in COLUMNS if column != "note"]
    pd.testing.assert_frame_equal(table[numbers], again[numbers], check_exact=True)
    assert "40 rows without a known outcome are left out." in again["note"].iloc[0]


def test_without_signal_the_lower_bound_of_auc_rarely_exceeds_one_half():
    passed = 0
    for seed in range(20):
        frame, names = matrix(accounts=150, months=8, noise=3, effect=0, seed=seed)
        table = rank(frame, framework(names, trees=10, repeats=1, seed=seed), adoption(names))
        passed += bool(table["auc_low"].iloc[0] > 0.5)

    # more than 3 in 20 would have a chance of 1.6 % if one world in twenty passed
    assert passed <= 3


def test_one_row_per_account_and_many_features_find_the_driver():
    # the size of the OpenStack example, where a fifth of the rows and leaves of 50 would grow stumps
    frame, names = matrix(accounts=819, months=1, noise=54, effect=1.5, intercept=-0.5, seed=2)

    table = rank(frame, framework(names, trees=100), adoption(names))

    first = table.iloc[0]
    assert (first["feature"], first["verdict"]) in {("driver", "differentiator"), ("driver", "interview")}
    assert first["auc_low"] > 0.6
    assert first["split"] == "time and account"
    assert "Few rows: each tree draws " in first["note"]


def test_one_date_falls_back_to_accounts_alone_and_says_so():
    frame, names = matrix(accounts=600, months=1, noise=2)
    frame["observed_at"] = pd.Timestamp("2025-01-01")

    table = rank(frame, framework(names), adoption(names))

    first = table.iloc[0]
    assert (first["feature"], first["split"]) == ("driver", "account")
    assert (first["train_rows"], first["held_out_rows"], first["held_out_accounts"]) == (600, 600, 600)
    assert first["note"].startswith("Split by account alone: no date has 60% of the rows before it.")


@pytest.mark.parametrize("left", [9, 0])
def test_too_few_of_a_class_give_no_ranking_and_a_readable_note(left):
    frame, names = matrix(accounts=200, months=1, noise=2)
    frame["retained"] = np.arange(200) >= left

    table = rank(frame, framework(names), adoption(names, (0.5, 0.45, 0.55, 0.5, 0.45, 0.55)))

    assert table["feature"].tolist() == sorted(names)
    missing = ["rank", "importance", "importance_sd", "importance_low", "auc", "auc_low", "auc_high"]
    assert table[missing].isna().all(axis=None)
    assert (table["verdict"] == "interview").all()
    assert table["talk_to"].isna().all()
    assert table["note"].iloc[0] == (
        f"No ranking: {200 - left} accounts have a row that was retained and {left} one that was not; "
        "every fit and the held-out part need at least 10 of each."
    )


def test_no_rows_give_no_ranking():
    frame, names = matrix(accounts=30, months=1, noise=1)

    table = rank(frame.iloc[:0], framework(names), adoption(names))

    assert table["auc_low"].isna().all()
    assert table["note"].iloc[0].startswith("No ranking: 0 accounts")


def test_an_empty_catalogue_gives_an_empty_table():
    frame, _ = matrix(accounts=30, months=1, noise=1)

    table = rank(frame, framework([]), adoption([]))

    assert (len(table), tuple(table.columns)) == (0, COLUMNS)


def test_missing_counts_are_zero_and_missing_ratios_are_apart():
    frame, names = matrix(accounts=400, months=6, noise=1)
    measures = {"driver": "count", "second": "count_per_seat"}
    expected = rank(
        frame.assign(second=frame["second"].where(frame["second"] > 1, -1)), framework(names, measures), adoption(names)
    )

    # zero counts go missing; of the ratio 0 and 1 do, and -1 = 1 below its minimum of 2, less its size 2, is far enough
    holed = frame.assign(driver=frame["driver"].where(frame["driver"] > 0), second=frame["second"].where(frame["second"] > 1))
    found = rank(holed, framework(names, measures), adoption(names))

    # a missing ratio is unknown, not small: the association and the logistic regression leave it out
    numbers = ["feature", "importance", "auc", "auc_low"]
    pd.testing.assert_frame_equal(expected[numbers], found[numbers], check_exact=True)


def test_a_feature_without_any_value_is_weak():
    frame, names = matrix(accounts=300, months=6, noise=1)

    table = rank(frame.assign(noise_00=nan), framework(names, {"noise_00": "attribute"}), adoption(names))

    row = table.set_index("feature").loc["noise_00"]
    assert (row["importance"], row["importance_low"], row["verdict"]) == (0, 0, "interview")
    assert row["reason"] == "all 0 held-out accounts are on one side of it: nothing to compare"


def test_an_attribute_has_no_adoption(planted):
    frame, names, _ = planted

    table = rank(frame, framework(names, {"driver": "attribute"}), adoption(names[1:])).set_index("feature")

    assert table.loc["driver", ADOPTION].isna().all()
    assert (table.loc["driver", "verdict"], table.loc["driver", "is_borderline"]) == ("differentiator", False)


def test_a_missing_column_is_named():
    frame, names = matrix(accounts=30, months=1, noise=1)

    with pytest.raises(ValueError, match="no column for the catalogue features other"):
        rank(frame, framework([*names, "other"]), adoption(names))


def test_infinite_values_are_refused_by_name():
    frame, names = matrix(accounts=30, months=1, noise=1)
    frame.loc[3, "second"] = np.inf

    with pytest.raises(ValueError, match=r"feature_matrix\.second holds 1 infinite values"):
        rank(frame, framework(names), adoption(names))


@pytest.mark.parametrize(
    ("rows", "drawn", "leaf"),
    [
        (75_000, 15_000, 50),  # as configured
        (5_001, 1_000, 50),
        (3_000, 1_000, 50),  # a fifth would be 600
        (600, 600, 30),
        (80, 80, 5),
        (3, 3, 5),
    ],
)
def test_a_small_matrix_grows_a_finer_forest(rows, drawn, leaf):
    size = forest_size(framework([]).feature_ranking, rows)

    assert (size.drawn_rows, size.minimum_leaf) == (drawn, leaf)


def test_a_large_matrix_is_cut_by_whole_accounts(planted):
    frame, names, whole = planted

    table = rank(frame, framework(names, maximum_rows=2_001), adoption(names))

    # accounts of 6 rows: 333 of 900 are the most that 2,001 rows hold
    assert "Of 900 accounts 333 were drawn by hash, with all of their rows: 1,998 of 5,400." in table["note"].iloc[0]
    assert table["feature"].iloc[0] == "driver"
    assert table["auc_low"].iloc[0] <= whole["auc"].iloc[0] <= table["auc_high"].iloc[0]
    assert table["association_low"].iloc[0] <= whole["association"].iloc[0] <= table["association_high"].iloc[0]


def test_the_models_beside_stand_on_every_row(planted):
    _, _, table = planted
    first = table.iloc[0]

    # effects on a log scale, added up: what a logistic regression is made for
    assert first["logistic_auc_low"] < first["logistic_auc"] < first["logistic_auc_high"]
    assert first["logistic_gain"] == pytest.approx(first["logistic_auc"] - first["auc"])
    assert first["logistic_gain_low"] < first["logistic_gain"] < first["logistic_gain_high"]
    assert first["is_logistic_better"] == (first["logistic_gain_low"] > 0)
    assert first["dummy_auc"] == 0.5
    assert first["dummy_average_precision"] == pytest.approx(first["base_rate"])
    assert first["average_precision_low"] < first["average_precision"] < first["average_precision_high"]
    assert table.sort_values("logistic_rank")["feature"].tolist()[:2] == ["driver", "second"]
    assert (first["decoys"], first["is_calibrated"]) == (5, True)
    assert first["decoys_passed"] <= 1
    assert f"{first['decoys_passed']} of 5 decoys passed." in first["note"]
    whole = table.columns[table.columns.get_loc("auc") :]
    assert (table[whole] == first[whole]).all(axis=None)


def test_where_logistic_is_better_the_note_says_so_and_both_rankings_are_there():
    # leaves of half the rows cannot follow two drivers
    frame, names = matrix(accounts=600, months=8, noise=3, effect=2)

    table = rank(frame, framework(names, trees=10, minimum_leaf=100_000, maximum_depth=1), adoption(names))

    first = table.iloc[0]
    assert first["is_logistic_better"]
    assert first["logistic_gain_low"] > 0
    assert "A logistic regression does better than the forest" in first["note"]
    assert sorted(table["logistic_rank"]) == [1, 2, 3, 4, 5]
    assert table["logistic_importance"].notna().all()


def test_members_of_a_group_share_the_importance_and_follow_their_representative():
    frame, names = matrix(accounts=900, months=6, noise=2)
    frame["copy"] = frame["driver"] * 2 + 1
    names = [*names, "copy"]

    table = rank(frame, framework(names), adoption(names))

    assert set(table["feature"][:2]) == {"driver", "copy"}
    top = table.iloc[:2]
    assert top["is_representative"].tolist() == [True, False]
    assert set(top["feature_group"]) == {top["feature"][0]}
    assert top["importance"].nunique() == top["logistic_importance"].nunique() == 1
    assert set(top["verdict"]) == {"differentiator"}


def test_a_feature_that_hurts_is_a_warning_sign():
    frame, names = matrix(accounts=1000, months=6, noise=2, effect=-1.5)

    table = rank(frame, framework(names), adoption(names)).set_index("feature")

    assert (table.loc["driver", "verdict"], table.loc["second", "verdict"]) == ("warning_sign", "warning_sign")
    assert table.loc["driver", "association_high"] < 0


def test_what_premium_alone_has_is_no_differentiator_for_being_premium():
    frame, names = impostor()
    plans = {"premium_only": ["premium"]}

    table = rank(frame, framework(names, plans=plans), adoption(names)).set_index("feature")

    assert table.loc["premium_only", "verdict"] == "weak"
    assert table.loc["driver", "verdict"] == "differentiator"
    # neither plan nor eligibility: it would stand among the first
    forgotten = rank(frame.assign(plan=None), framework(names), adoption(names)).set_index("feature")
    assert forgotten.loc["premium_only", "association_q"] < 0.001
    assert forgotten.loc["premium_only", "verdict"] == "differentiator"


def test_a_few_accounts_decide_nothing_and_say_whom_to_talk_to():
    frame, names = matrix(accounts=150, months=6, noise=1)
    frame["account_id"] = "company-" + frame["account_key"].astype(str)
    frame["account_mrr"] = frame["account_key"] / 1000

    table = rank(frame, framework(names), adoption(names))

    row = table.iloc[0]
    assert (row["verdict"], row["trust"]) == ("interview", "interview")
    named = row["talk_to"].split(", ")
    assert 0 < len(named) <= 20
    revenue = frame.drop_duplicates("account_id").set_index("account_id")["account_mrr"]
    assert revenue[named].is_monotonic_decreasing
    # without names and revenue, by key
    bare = rank(frame.drop(columns=["account_id", "account_mrr"]), framework(names), adoption(names))
    assert set(bare.loc[0, "talk_to"].split(", ")) <= set(frame["account_key"].astype(str))


def test_the_parts_alone_are_enough(planted):
    frame, names, table = planted
    made = framework(names)

    again = ranking(
        frame, made.features.catalogue, made.feature_ranking, made.adoption_benchmark, adoption(names)["feature_adoption"]
    )

    pd.testing.assert_frame_equal(table, again, check_exact=True)


def test_thirty_thousand_rows_of_56_features_rank_the_planted_ones_first():
    frame, names = matrix(accounts=3_750, months=8, noise=54)

    table = rank(frame, framework(names, trees=100, repeats=5, resamples=500), adoption(names))

    assert table["feature"].tolist()[:2] == ["driver", "second"]
