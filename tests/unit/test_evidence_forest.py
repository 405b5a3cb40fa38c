"""Tests of `rank` on planted worlds: drivers first, noise at zero, no ranking where there is no signal."""

import time
from math import nan

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.framework import AdoptionBenchmark, Framework
from milestones_dagster.evidence import forest
from milestones_dagster.evidence.forest import COLUMNS, forest_size, rank, verdicts

ADOPTION = [column for column in COLUMNS if column.startswith("adoption_")]
BORDERS = (0.4, 0.3, 0.5, 0.2, 0.1, 0.3)


def framework(names, measures=None, **ranking):
    """Return a framework with these catalogue features; few trees and resamples unless the test says otherwise."""
    catalogue = []
    for name in names:
        measure = (measures or {}).get(name, "count")
        own = {"attribute": "seats"} if measure == "attribute" else {"events": ["used"]}
        if measure == "setting":
            own = {"on_events": ["used"]}
        catalogue.append({"name": name, "title": f"Title of {name}", "category": "area", "measure": measure, **own})
    event_rule = {"title": "Use", "events": ["used"], "threshold": 1}
    level = {"at_least": 1, "of": ["driver"]}
    return Framework.model_validate(
        {
            "product": "Test",
            "core_events": ["used"],
            "setup": {"steps": [{"name": "first", "title": "First", "events": ["used"]}]},
            "activation": event_rule,
            "usage": event_rule,
            "maturity": {"categories": [{"name": "area", "title": "Area", "basic": level, "mature": level}]},
            "features": {"catalogue": catalogue},
            "feature_ranking": {"trees": 30, "repeats": 3, "resamples": 100} | ranking,
        }
    )


def adoption(names, borders=BORDERS):
    return {"feature_adoption": pd.DataFrame([[name, *borders] for name in names], columns=["feature", *ADOPTION])}


def matrix(*, accounts, months, noise, effect=1.0, intercept=1.0, seed=0):
    """Return a feature matrix: `driver` (effect), `second` (half of it) and `noise` features that do nothing.

    Every account has its own level of each feature and its own taste for staying, so that its rows are dependent.
    """
    generator = np.random.default_rng(seed)
    names = ["driver", "second", *(f"noise_{number:02d}" for number in range(noise))]
    account = np.repeat(np.arange(accounts), months)
    levels = generator.normal(size=(accounts, len(names)))[account]
    values = generator.poisson(np.exp(0.3 + 0.7 * levels)).astype(float)
    scaled = np.log1p(values) - np.log1p(values).mean(axis=0)
    taste = 0.5 * generator.normal(size=accounts)[account]
    logit = intercept + 1.5 * effect * scaled[:, 0] + 0.75 * effect * scaled[:, 1] + taste
    start = generator.integers(0, 24 - months + 1, accounts)[account] + np.tile(np.arange(months), accounts)
    observed_at = (np.datetime64("2024-01", "M") + start).astype("datetime64[us]")
    frame = pd.DataFrame(values, columns=names)
    frame.insert(0, "account_key", account.astype(np.int64) * 7_919 - 5_000)
    frame.insert(1, "observed_at", observed_at)
    frame.insert(2, "known_at", observed_at + np.timedelta64(97, "D"))
    frame.insert(3, "retained", generator.random(account.size) < 1 / (1 + np.exp(-logit)))
    return frame, names


@pytest.fixture(scope="module")
def planted():
    frame, names = matrix(accounts=500, months=8, noise=8)
    return frame, names, rank(frame, framework(names), adoption(names))


def test_planted_drivers_rank_first_and_noise_is_about_zero(planted):
    _, names, table = planted

    assert tuple(table.columns) == COLUMNS
    assert sorted(table["feature"]) == sorted(names)
    assert table["rank"].tolist() == list(range(1, 11))
    assert table["feature"].tolist()[:2] == ["driver", "second"]
    assert table["verdict"].tolist()[:2] == ["ranked", "ranked"]
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
    assert (first["feature"], first["verdict"]) == ("driver", "ranked")
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

    table = rank(frame, framework(names), adoption(names, (0.9, 0.85, 0.95, 0.9, 0.85, 0.95)))

    assert table["feature"].tolist() == sorted(names)
    missing = ["rank", "importance", "importance_sd", "importance_low", "auc", "auc_low", "auc_high"]
    assert table[missing].isna().all(axis=None)
    assert (table["verdict"] == "ubiquitous").all()
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

    numbers = ["feature", "importance", "auc", "auc_low"]
    pd.testing.assert_frame_equal(expected[numbers], found[numbers], check_exact=True)


def test_a_feature_without_any_value_is_weak():
    frame, names = matrix(accounts=300, months=6, noise=1)

    table = rank(frame.assign(noise_00=nan), framework(names, {"noise_00": "attribute"}), adoption(names))

    row = table.set_index("feature").loc["noise_00"]
    assert (row["importance"], row["importance_low"], row["verdict"]) == (0, 0, "weak")


def test_an_attribute_has_no_adoption(planted):
    frame, names, _ = planted

    table = rank(frame, framework(names, {"driver": "attribute"}), adoption(names[1:])).set_index("feature")

    assert table.loc["driver", ADOPTION].isna().all()
    assert (table.loc["driver", "verdict"], table.loc["driver", "is_borderline"]) == ("ranked", False)


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
    ("eligible", "everyone", "importance_low", "verdict", "is_borderline"),
    [
        ((0.90, 0.85, 0.94), (0.90, 0.85, 0.94), 0.01, "ubiquitous", False),
        ((0.81, 0.79, 0.83), (0.40, 0.38, 0.42), 0.01, "ubiquitous", True),
        ((0.80, 0.78, 0.82), (0.40, 0.38, 0.42), 0.01, "ranked", True),  # the bound itself is not beyond it
        ((0.85, 0.81, 0.89), (0.03, 0.02, 0.04), 0.01, "ubiquitous", False),  # the first that applies
        ((0.30, 0.20, 0.40), (0.04, 0.03, 0.06), 0.01, "niche", True),
        ((0.30, 0.20, 0.40), (0.02, 0.01, 0.04), 0.01, "niche", False),
        ((0.30, 0.20, 0.40), (0.05, 0.05, 0.06), 0.01, "ranked", True),
        ((0.30, 0.20, 0.40), (0.30, 0.20, 0.40), 0.01, "ranked", False),
        ((0.30, 0.20, 0.40), (0.30, 0.20, 0.40), 0.0, "weak", False),
        ((0.30, 0.20, 0.40), (0.30, 0.20, 0.40), nan, "weak", False),
        ((nan, nan, nan), (nan, nan, nan), 0.01, "ranked", False),
        ((nan, nan, nan), (nan, nan, nan), -0.01, "weak", False),
    ],
)
def test_verdicts_by_hand(eligible, everyone, importance_low, verdict, is_borderline):
    table = pd.DataFrame([[*eligible, *everyone, importance_low]], columns=[*ADOPTION, "importance_low"])

    found, borderline = verdicts(table, AdoptionBenchmark(ubiquitous=0.8, niche=0.05))

    assert (found[0], borderline[0]) == (verdict, is_borderline)


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


def test_a_large_matrix_is_cut_by_whole_accounts(planted, monkeypatch):
    frame, names, _ = planted
    monkeypatch.setattr(forest, "LARGEST_MATRIX", 2_001)

    table = rank(frame, framework(names), adoption(names))

    # 500 accounts of 8 rows: 250 of them are the most that 2,001 rows hold
    assert "2,000 rows of accounts beyond the first 2,001 rows, by hash, left out." in table["note"].iloc[0]
    assert table["feature"].iloc[0] == "driver"


@pytest.mark.slow
def test_thirty_thousand_rows_of_56_features_take_seconds():
    frame, names = matrix(accounts=3_750, months=8, noise=54)
    start = time.monotonic()

    table = rank(frame, framework(names, trees=100, repeats=5, resamples=500), adoption(names))

    assert time.monotonic() - start < 40
    assert table["feature"].tolist()[:2] == ["driver", "second"]
