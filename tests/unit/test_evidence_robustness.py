"""Thresholds with the question put otherwise: which variants there are, their numbers, and what holds."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.duration import Duration
from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence.robustness import Main, _holds, measure
from milestones_dagster.evidence.thresholds import derived

MAIN = Main(8.0, 12.0, 0.2, "mixed")
OUTCOMES = ["horizon doubled", "landmark a month earlier", "landmark a month later", "gaps of 0 d bridged", "gaps of 30 d bridged"]


def framework(*, window=None, basis="subscriptions", gap=7, activation=None):
    return SimpleNamespace(
        threshold_search=ThresholdSearch(resamples=100),
        activation=SimpleNamespace(window=activation or Duration(months=3)),
        outcomes=SimpleNamespace(
            retention=SimpleNamespace(window=window, basis=basis, gap=Duration(seconds=gap * 86_400)),
        ),
    )


def company(seed, accounts=2400, *, at=10, jump=0.25):
    """Two years of accounts of two plans, whose staying jumps at a value."""
    generator = np.random.default_rng(seed)
    plan = generator.integers(0, 2, accounts)
    value = np.floor(np.exp(2.2 + 0.7 * generator.normal(size=accounts)))
    months = pd.date_range("2022-01-01", periods=24, freq="MS")
    return pd.DataFrame(
        {
            "account_key": np.arange(accounts),
            "account_id": np.arange(accounts).astype(str),
            "cohort_month": months[generator.integers(0, 24, accounts)],
            "standing": "row",
            "plan": np.array(["basic", "premium"])[plan],
            "size_stratum": "1-4",
            "mrr": 100.0,
            "value": value,
            "retained": generator.random(accounts) < 0.6 + jump * (value >= at),
        }
    )


def variants(milestone, **frames):
    return pd.concat([frame.assign(milestone=milestone, variant=name.replace("_", " ")) for name, frame in frames.items()])


def measured(landmarks, frame=None, config=None):
    config = config or framework()
    found = derived(landmarks, "activation", None, config.threshold_search)
    also = {f"{name}_landmarks": landmarks for name in ("activation", "usage")}
    also |= {f"{name}_threshold": found for name in ("activation", "usage")}
    frame = landmarks.iloc[:0].assign(milestone="", variant="") if frame is None else frame
    return measure(frame, config, also)


def of(table, milestone="activation"):
    return table.loc[table["milestone"] == milestone].set_index("variant")


def test_the_variants_are_those_that_the_config_lets_vary():
    main, rest = "main", ["without plan basic", "without plan premium", "cohorts of 2022", "cohorts of 2023"]
    table = measured(company(1))
    assert list(of(table).index) == [main, *OUTCOMES, *rest]
    assert list(of(table, "usage").index) == [main, "horizon doubled", *OUTCOMES[3:], *rest]
    assert of(table)["position"].tolist() == list(range(10))
    # bridged for 30 d already, and a window of a month, before which there is no landmark
    same = measured(company(1), config=framework(gap=30, activation=Duration(months=1)))
    assert list(of(same).index) == [main, "horizon doubled", "landmark a month later", "gaps of 0 d bridged", *rest]
    fixed = measured(company(1), config=framework(window=object(), basis="activity"))
    assert list(of(fixed).index) == [main, *rest]
    sentence = of(fixed)["sentence"].iloc[0]
    assert "neither horizon nor landmark varies. Without subscriptions there is no gap" in sentence


def test_a_variant_is_the_pick_and_effect_of_its_own_rows():
    landmarks = company(2)
    doubled = company(3, at=11)
    row = of(measured(landmarks, variants("activation", horizon_doubled=doubled))).loc["horizon doubled"]
    alone = derived(doubled, "activation", None, ThresholdSearch(resamples=20)).iloc[0]
    for name in ("rows", "candidates", "pick", "difference", "difference_low", "difference_high", "p", "trust", "later_accounts"):
        assert row[name] == alone[name]
    without = of(measured(landmarks)).loc["without plan basic"]
    assert without["accounts"] == (landmarks["plan"] == "premium").sum()
    year = of(measured(landmarks)).loc["cohorts of 2023"]
    assert year["accounts"] == (landmarks["cohort_month"] >= "2023-01-01").sum()


def test_locked_accounts_come_in_where_there_are_any():
    landmarks = company(4).assign(standing=np.where(np.arange(2400) % 10 == 0, "locked", "row"))
    row = of(measured(landmarks)).loc["locked accounts in"]
    assert (row["accounts"], of(measured(landmarks)).loc["main", "accounts"]) == (2400, 2160)
    left = company(4).assign(standing=np.where(np.arange(2400) % 10 == 0, "left_before", "row"))
    assert "locked accounts in" not in of(measured(left)).index


@pytest.mark.parametrize(
    ("candidates", "pick", "difference", "trust", "main", "expected"),
    [
        (40, 8.0, 0.1, "mixed", MAIN, (True, None)),
        (40, 12.0, 0.01, "statistical", MAIN, (True, None)),
        (40, 13.0, 0.2, "mixed", MAIN, (False, "the pick lies outside 8 to 12")),
        (40, 10.0, -0.1, "mixed", MAIN, (False, "the gap has another sign")),
        (40, 10.0, 0.0, "mixed", MAIN, (False, "the gap has another sign")),
        (2, 10.0, 0.2, "mixed", MAIN, (None, "fewer than 3 candidates")),
        (40, np.nan, np.nan, "interview", MAIN, (None, "no candidate goes with staying")),
        (40, 10.0, 0.2, "interview", MAIN, (None, "trust is interview")),
        (40, 10.0, 0.2, "mixed", Main(8.0, 12.0, 0.2, "interview"), (None, "trust of the main comparison is interview")),
        (40, 10.0, 0.2, "mixed", Main(np.nan, np.nan, np.nan, "mixed"), (None, "the main comparison has no pick or no gap")),
    ],
)
def test_what_holds_by_hand(candidates, pick, difference, trust, main, expected):
    assert _holds(candidates, pick, difference, trust, main) == expected


def test_the_sentence_counts_what_holds_of_what_can_be_told():
    landmarks = company(5)
    frames = {"horizon_doubled": company(6), "landmark_a_month_earlier": company(7, at=25), "landmark_a_month_later": company(8)}
    table = of(measured(landmarks, variants("activation", **frames)))
    holds = table["holds"]
    assert holds["main"] is None
    assert holds["horizon doubled"]
    assert not holds["landmark a month earlier"]
    assert table.loc["landmark a month earlier", "reason"].startswith("the pick lies outside")
    # without an account of either gap nothing can be told of them
    assert table.loc["gaps of 0 d bridged", ["holds", "accounts", "reason"]].tolist() == [None, 0, "fewer than 3 candidates"]
    told = [value for value in holds if value is not None]
    assert set(table["sentence"]) == {
        f"The threshold of activation holds in {sum(told)} of {len(told)} variants. {len(holds) - 1 - len(told)} more cannot be told."
    }


def test_order_of_the_rows_does_not_matter():
    landmarks, frame = company(9), variants("activation", horizon_doubled=company(10))
    shuffled = measured(landmarks.sample(frac=1, random_state=1), frame.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(measured(landmarks, frame), shuffled, check_exact=True)


def test_without_accounts_there_is_a_main_row_that_tells_nothing():
    table = of(measured(company(11).iloc[:0]))
    assert table.loc["main", ["accounts", "trust"]].tolist() == [0, "interview"]
    assert set(table["sentence"]) == {"The threshold of activation holds in 0 of 0 variants. 5 more cannot be told."}
