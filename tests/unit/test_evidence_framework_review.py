"""The framework review on accounts by hand, against statsmodels and brute force, and on worlds in which nothing changed."""

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence.association import cmh, holm, tabulate
from milestones_dagster.evidence.chain import compare
from milestones_dagster.evidence.framework_review import MILESTONES, propose, review, slope
from milestones_dagster.evidence.threshold_gains import gains, low_end
from milestones_dagster.evidence.threshold_search import Rows

CONFIG = ThresholdSearch(resamples=50)
ADOPTED = pd.Timestamp("2025-01-01")


def accounts(milestone: str, when: str, reached: tuple[int, int], other: tuple[int, int], *, value: float = 10) -> pd.DataFrame:
    """Accounts of one stratum with landmarks in one month: of `reached` (n, of whom with the outcome) and of `other`."""
    groups = ((True, reached), (False, other))
    rows = [(is_reached, number < following) for is_reached, (count, following) in groups for number in range(count)]
    frame = pd.DataFrame(rows, columns=["is_reached", "is_next"])
    return frame.assign(
        milestone=milestone,
        observed_at=pd.Timestamp(when),
        standing="row",
        plan="basic",
        size_stratum="1-4",
        mrr=100.0,
        value=np.where(frame["is_reached"], value, 0.0) if milestone != "setup" else np.nan,
        threshold=np.nan if milestone == "setup" else value,
    )


def together(*parts: pd.DataFrame) -> pd.DataFrame:
    frame = pd.concat(parts, ignore_index=True)
    frame["account_key"] = frame.groupby("milestone").cumcount()
    return frame.assign(account_id="a" + frame["account_key"].astype(str))


def reviewed(frame: pd.DataFrame, adopted_at: pd.Timestamp | None = ADOPTED, **changes: Any) -> pd.DataFrame:
    return review(frame, CONFIG, **({"minimum_effect": 0.01, "adopted_at": adopted_at} | changes)).set_index("milestone")


def holding(milestone: str) -> tuple[pd.DataFrame, ...]:
    """80 of 100 against 60 of 100, ten times, before the day of adoption and after it."""
    return tuple(accounts(milestone, when, (1000, 800), (1000, 600)) for when in ("2024-11-05", "2025-02-05"))


# --- the gaps and weakening -----------------------------------------------------------------------------------------


def test_a_gap_that_has_fallen_by_half_is_weakened() -> None:
    from scipy.stats import norm

    frame = together(
        accounts("activation", "2024-11-05", (1000, 800), (1000, 600)),
        accounts("activation", "2025-02-05", (1000, 750), (1000, 650)),
    )
    row = reviewed(frame).loc["activation"]
    assert (row["reference_gap"], row["gap"]) == (pytest.approx(0.2), pytest.approx(0.1))
    assert (row["reference_accounts"], row["accounts"], row["reference_reached_accounts"]) == (2000, 2000, 1000)
    # one stratum: the variances of four binomial shares
    error = sqrt((0.8 * 0.2 + 0.6 * 0.4 + 0.75 * 0.25 + 0.65 * 0.35) / 1000)
    assert row["weakened_by"] == pytest.approx(0.1)
    assert row["weakened_p"] == pytest.approx(norm.sf(0.1 / error), rel=1e-6)
    assert row["weakened_by_low"] == pytest.approx(0.1 - norm.ppf(0.975) * error, rel=1e-6)
    assert row["is_weakened"]
    assert (row["proposal"], row["is_retune"]) == ("keep", False)
    assert row["reason"].startswith("Keep: activation goes with staying by +10.0 points")
    assert "it has weakened, from +20.0 points" in row["reason"]


def test_a_gap_that_has_grown_is_not_weakened() -> None:
    frame = together(
        accounts("usage", "2024-11-05", (1000, 700), (1000, 600)), accounts("usage", "2025-02-05", (1000, 800), (1000, 600))
    )
    row = reviewed(frame).loc["usage"]
    assert row["weakened_p"] > 0.99
    assert not row["is_weakened"]


def test_what_is_one_of_four_needs_more_than_what_is_alone() -> None:
    fallen = (accounts("usage", "2024-11-05", (1000, 760), (1000, 600)), accounts("usage", "2025-02-05", (1000, 730), (1000, 630)))
    alone = reviewed(together(*fallen)).loc["usage"]
    family = reviewed(together(*fallen, *holding("setup"), *holding("activation"), *holding("maturity")))
    assert alone["weakened_holm_p"] == alone["weakened_p"] < 0.025
    assert family.loc["usage", "weakened_p"] == alone["weakened_p"]
    assert family.loc["usage", "weakened_holm_p"] == pytest.approx(4 * alone["weakened_p"])
    assert (alone["is_weakened"], family.loc["usage", "is_weakened"]) == (True, False)


def test_plan_and_size_that_moved_are_no_weakening() -> None:
    """Within each plan the gap is as it was; the mix of plans is not."""
    parts = []
    for when, small, large in (("2024-11-05", 1500, 500), ("2025-02-05", 500, 1500)):
        for plan, count, share in (("small", small, 0.2), ("large", large, 0.8)):
            n1, n0 = round(count * share), round(count * (1 - share))
            # a large plan stays more whatever it does: .9 and .8, against .6 and .5
            stay = (0.9, 0.8) if plan == "large" else (0.6, 0.5)
            parts.append(accounts("activation", when, (n1, round(n1 * stay[0])), (n0, round(n0 * stay[1]))).assign(plan=plan))
    row = reviewed(together(*parts)).loc["activation"]
    assert (row["reference_gap"], row["gap"]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert not row["is_weakened"]


def test_holm_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = [0.01, 0.04, 0.0065, 0.3]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    # what was not tested is no test of the family
    assert holm([np.nan, 0.02, 0.01])[1:] == pytest.approx([0.02, 0.02])
    assert holm([]).size == 0


# --- proposals ------------------------------------------------------------------------------------------------------


def test_too_few_accounts_since_cannot_tell_and_name_whom_to_talk_to() -> None:
    frame = together(
        accounts("activation", "2024-11-05", (1000, 800), (1000, 600)), accounts("activation", "2025-02-05", (20, 4), (20, 19))
    )
    row = reviewed(frame).loc["activation"]
    assert (row["proposal"], row["trust"], row["is_weakened"]) == ("cannot tell", "interview", False)
    assert np.isnan(row["weakened_p"])
    assert row["reason"] == "Cannot tell: the 40 accounts since would show no gap below 44 points."
    # reached it and left (16), did not and stayed (19): 35, of whom 20 are named
    assert len(row["interview_account_ids"].split(", ")) == 20


def test_too_few_accounts_before_cannot_tell_whether_it_has_weakened() -> None:
    frame = together(
        accounts("activation", "2024-11-05", (20, 16), (20, 12)), accounts("activation", "2025-02-05", (1000, 800), (1000, 600))
    )
    row = reviewed(frame).loc["activation"]
    assert (row["proposal"], row["reference_trust"], row["trust"]) == ("cannot tell", "interview", "mixed")
    assert "accounts before would show no gap below" in row["reason"]


def test_milestones_without_an_account_cannot_tell() -> None:
    made = reviewed(together(*holding("usage")))
    assert list(made.index) == [milestone for milestone, _ in MILESTONES]
    assert made["proposal"].to_dict() == {
        "setup": "cannot tell",
        "activation": "cannot tell",
        "usage": "keep",
        "maturity": "cannot tell",
    }
    assert made.loc["setup", "reason"] == "Cannot tell: no account's outcome is known yet."
    assert reviewed(together(*holding("usage")).iloc[:0])["proposal"].eq("cannot tell").all()


def test_a_gap_that_is_surely_too_small_is_retired() -> None:
    parts = [accounts("maturity", when, (20_000, 10_000), (20_000, 10_000)) for when in ("2024-11-05", "2025-02-05")]
    row = reviewed(together(*parts)).loc["maturity"]
    # half width 1.96 · √(.25 · 2 / 20,000) = .0098
    assert row["gap_high"] == pytest.approx(0.0098, abs=5e-5)
    assert (row["proposal"], row["trust"]) == ("retire", "statistical")
    assert row["reason"].startswith(
        "Retire: maturity goes with staying by +0.0 points (-1.0 to +1.0) alone, certainly less than 1 points"
    )
    assert reviewed(together(*parts), minimum_effect=0.009).loc["maturity", "proposal"] == "keep"


def test_a_gap_that_is_small_on_few_accounts_is_not_retired() -> None:
    found = compare(accounts("usage", "2025-02-05", (500, 200), (500, 300)), None)
    assert found.effect.upper < 0
    assert found.trust == "mixed"
    assert propose(found, found, 0.01, is_retune=False) == "keep"
    assert propose(found, replace(found, trust="statistical"), 0.01, is_retune=True) == "retire"
    assert propose(found, found, 0.01, is_retune=True) == "retune"


def test_without_a_date_the_later_half_in_whole_months_is_since() -> None:
    months = [accounts("usage", f"2025-0{month}-01", (300, 240), (300, 180)) for month in (1, 2, 3, 4)]
    row = reviewed(together(*months), None).loc["usage"]
    assert (row["reference_accounts"], row["accounts"]) == (1200, 1200)
    assert row["since_from"] == pd.Timestamp("2025-03-01")
    assert row["note"].startswith("The config names no `review.adopted_on`: the later half")


def test_an_account_twice_is_refused() -> None:
    frame = together(*holding("usage"))
    with pytest.raises(ValueError, match="different accounts"):
        reviewed(pd.concat([frame, frame]))


def test_what_is_no_row_of_the_comparison_is_left_out() -> None:
    frame = together(*holding("usage"), accounts("usage", "2025-02-05", (500, 0), (500, 500)).assign(standing="left_before"))
    assert reviewed(frame).loc["usage", "accounts"] == 2000


# --- retuning -------------------------------------------------------------------------------------------------------


def moved_jump(seed: int, *, jump_at: int, adopted: int, accounts_a_half: int) -> pd.DataFrame:
    """Accounts with values 1 to 40 over four months, of whom 85 % stay from `jump_at` on and 60 % below it."""
    rng = np.random.default_rng(seed)
    count = 4 * (accounts_a_half // 2)
    value = rng.integers(1, 41, count).astype(float)
    since = pd.to_datetime([f"2025-0{2 + number % 4}-05" for number in range(count)])
    frame = pd.DataFrame(
        {
            "milestone": "activation",
            "observed_at": since,
            "standing": "row",
            "plan": rng.choice(["a", "b"], count),
            "size_stratum": "1-4",
            "mrr": 10.0,
            "value": value,
            "threshold": float(adopted),
            "is_reached": value >= adopted,
            "is_next": rng.random(count) < np.where(value >= jump_at, 0.85, 0.60),
        }
    )
    return together(frame, *holding("usage"))


def test_a_threshold_that_no_longer_divides_is_retuned_on_accounts_that_did_not_choose_it() -> None:
    frame = moved_jump(1, jump_at=20, adopted=10, accounts_a_half=2000)
    row = reviewed(frame).loc["activation"]
    assert (row["is_retune"], row["proposal"], row["threshold"]) == (True, "retune", 10)
    assert 18 <= row["pick"] <= 22
    assert row["pick_low"] <= row["pick"] <= row["pick_high"]
    assert row["later_accounts"] == 2000
    since = frame.loc[frame["milestone"] == "activation"]
    between = (since["value"] >= 10) & (since["value"] < row["pick"])
    assert (row["moved_accounts"], row["moved_share"]) == (int(between.sum()), pytest.approx(between.mean()))
    # June and May against the value in force, by brute force
    later = since.loc[since["observed_at"] >= "2025-04-01"]
    stratum = (later["plan"] == "b").to_numpy().astype(np.intp)
    stays = later["is_next"].to_numpy(dtype=bool)
    roots = [
        float(cmh(tabulate((later["value"] >= value).to_numpy(), stays, stratum)).signed_root) for value in (row["pick"], 10.0)
    ]
    assert row["gain"] == pytest.approx(roots[0] - roots[1])
    assert 0 < row["gain_low"] < row["gain"]
    assert "Retune: " in row["reason"]
    assert "in the place of 10 divides who stays" in row["reason"]


def test_a_threshold_where_retention_jumps_is_kept() -> None:
    row = reviewed(moved_jump(2, jump_at=10, adopted=10, accounts_a_half=2000)).loc["activation"]
    assert (row["is_retune"], row["proposal"]) == (False, "cannot tell")  # no reference of activation in this world
    assert row["gain_p"] > 0.0125


def test_a_pick_that_moves_hardly_anybody_is_no_alarm() -> None:
    frame = moved_jump(3, jump_at=20, adopted=10, accounts_a_half=2000)
    # nobody lies between the two values, but for one in fifty
    is_between = (frame["value"] >= 10) & (frame["value"] < 20) & (frame["milestone"] == "activation")
    kept = frame.loc[~is_between | (frame["account_key"] % 40 == 0)]
    row = reviewed(kept).loc["activation"]
    assert row["moved_share"] < 0.05
    assert not row["is_retune"]


def test_gains_are_those_of_resampled_accounts_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    size = 400
    frame = pd.DataFrame(
        {
            "account_key": np.arange(size),
            "value": rng.integers(0, 10, size).astype(float),
            "retained": rng.random(size) < 0.7,
            "plan": rng.choice(["a", "b", "c"], size),
            "size_stratum": "x",
            "cohort_month": pd.Timestamp("2025-01-01"),
        }
    )
    rows = Rows.of(frame)
    did, plain = rows.value >= 3, rows.value >= 6
    found = gains(rows, did, plain, 4000, 0)
    order = rng.permutation(size)
    assert (found == gains(rows.where(order), did[order], plain[order], 4000, 0)).all()
    brute = []
    for _ in range(1500):
        drawn = rng.integers(0, size, size)
        roots = [float(cmh(tabulate(rule[drawn], rows.retained[drawn], rows.strata[drawn])).signed_root) for rule in (did, plain)]
        brute.append(roots[0] - roots[1])
    assert found.mean() == pytest.approx(np.mean(brute), abs=0.12)
    assert found.std() == pytest.approx(np.std(brute), rel=0.08)
    assert low_end(found) == np.quantile(found, 0.025)
    assert gains(rows.where(np.zeros(size, dtype=bool)), did[:0], plain[:0], 10, 0).size == 0
    assert np.isnan(low_end(np.empty(0)))


# --- slopes --------------------------------------------------------------------------------------------------------


def test_the_slope_is_weighted_least_squares_over_quarters() -> None:
    import statsmodels.api as sm

    gaps = {"2024-02-10": 820, "2024-05-10": 790, "2024-08-10": 750, "2025-02-10": 700}
    frame = together(*(accounts("usage", when, (1000, stay), (500, 300)) for when, stay in gaps.items()))
    found = slope(frame)
    quarters = [0, 1, 2, 4]  # nobody in the last quarter of 2024
    gap = np.array([stay / 1000 - 0.6 for stay in gaps.values()])
    variance = np.array([stay / 1000 * (1 - stay / 1000) / 1000 + 0.6 * 0.4 / 500 for stay in gaps.values()])
    fitted = sm.WLS(gap, sm.add_constant(quarters), weights=1 / variance).fit()
    assert (found.quarters, found.estimate) == (4, pytest.approx(fitted.params[1], rel=1e-6))
    # known variances: the scale is 1
    half_width = 1.959963984540054 * sqrt(fitted.normalized_cov_params[1, 1])
    assert (found.low, found.high) == (pytest.approx(found.estimate - half_width), pytest.approx(found.estimate + half_width))
    assert np.isnan(slope(frame.loc[frame["observed_at"] < "2024-07-01"]).estimate)


# --- error rates ----------------------------------------------------------------------------------------------------


def test_the_order_of_the_rows_does_not_matter() -> None:
    frame = moved_jump(1, jump_at=20, adopted=10, accounts_a_half=500)
    shuffled = frame.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(reviewed(frame), reviewed(shuffled))


def test_a_framework_under_which_nothing_changes_raises_few_alarms() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(24):
        parts = []
        for milestone, _ in MILESTONES:
            count = 1000
            value = rng.integers(1, 41, count).astype(float)
            parts.append(
                pd.DataFrame(
                    {
                        "milestone": milestone,
                        "observed_at": pd.to_datetime([f"2024-{1 + number % 12:02}-05" for number in range(count)]),
                        "standing": "row",
                        "plan": rng.choice(["a", "b"], count),
                        "size_stratum": "1-4",
                        "mrr": 10.0,
                        "value": value,
                        "threshold": np.nan if milestone == "setup" else 15.0,
                        "is_reached": value >= 15,
                        "is_next": rng.random(count) < np.where(value >= 15, 0.85, 0.65),
                    }
                )
            )
        made = reviewed(together(*parts), None)
        alarms += bool(made["is_weakened"].any() or made["is_retune"].any())
    # 1.2 expected at the most; more than 5 has a probability below .005
    assert alarms <= 5
