"""What the framework review watches: adoption, verdicts and AUC by hand, by a second way, and in worlds where nothing changed."""

from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ranking_world import framework, matrix

from milestones_dagster.config.catalogue import AdoptionBenchmark
from milestones_dagster.config.framework import Framework
from milestones_dagster.evidence.framework_watch import COLUMNS, table
from milestones_dagster.evidence.ranking_rows import known_rows
from milestones_dagster.evidence.splits import account_folds
from milestones_dagster.evidence.watch_adoption import adoption_drift, benchmark_changes
from milestones_dagster.evidence.watch_auc import auc_drift
from milestones_dagster.evidence.watch_steps import step_changes

ADOPTED = pd.Timestamp("2025-01-01")

# --- adoption -------------------------------------------------------------------------------------------------------


def drifting(users: tuple[int, int], count: int = 1000) -> pd.DataFrame:
    """`count` accounts before the day of adoption and after it, of whom so many use the feature."""
    frame = pd.DataFrame({"account_key": np.arange(2 * count)})
    is_since = frame["account_key"] >= count
    frame["observed_at"] = np.where(is_since, pd.Timestamp("2025-02-01"), pd.Timestamp("2024-11-01"))
    number = frame["account_key"] % count
    return frame.assign(chat=np.where(number < np.where(is_since, users[1], users[0]), 2.0, 0.0), same=(number < 300) * 1.0)


def test_adoption_that_moved_by_more_than_five_points_is_watched() -> None:
    made = adoption_drift(drifting((300, 400)), ["chat", "same"], ADOPTED).set_index("subject")
    chat = made.loc["chat"]
    assert (chat["reference"], chat["value"], chat["difference"]) == (0.3, 0.4, pytest.approx(0.1))
    # Newcombe's interval of 400 / 1,000 less 300 / 1,000
    assert (chat["low"], chat["high"]) == (pytest.approx(0.0583, abs=2e-4), pytest.approx(0.1412, abs=2e-4))
    assert (chat["is_watched"], chat["q"]) == (True, pytest.approx(2 * chat["p"]))
    assert (made.loc["same", "is_watched"], made.loc["same", "p"]) == (False, 1.0)


def test_adoption_that_may_have_moved_by_less_is_not_watched() -> None:
    made = adoption_drift(drifting((300, 380)), ["chat"], ADOPTED)
    assert made["q"].iloc[0] < 0.001
    assert (made["low"].iloc[0] < 0.05, bool(made["is_watched"].iloc[0])) == (True, False)


def test_two_samples_of_one_distribution_are_no_drift() -> None:
    rng = np.random.default_rng(5)
    watched = 0
    for _ in range(40):
        frame = drifting((0, 0), 400)
        features = {f"f{number}": (rng.random(len(frame)) < rng.uniform(0.05, 0.9)) * 1.0 for number in range(20)}
        names = list(features)
        watched += bool(adoption_drift(frame.assign(**features), names, ADOPTED)["is_watched"].any())
    assert watched <= 1


def test_unknown_values_are_in_no_share_and_an_account_twice_is_refused() -> None:
    frame = drifting((300, 400))
    frame.loc[frame["account_key"] < 100, "chat"] = np.nan
    made = adoption_drift(frame, ["chat"], ADOPTED)
    assert (made["reference_accounts"].iloc[0], made["reference"].iloc[0]) == (900, pytest.approx(200 / 900))
    with pytest.raises(ValueError, match="more than one row"):
        adoption_drift(pd.concat([frame, frame]), ["chat"], ADOPTED)
    assert not adoption_drift(frame.iloc[:0], ["chat"], None)["is_watched"].any()


# --- verdicts on features -------------------------------------------------------------------------------------------

BENCHMARK = AdoptionBenchmark()
NAMED = framework(["chat", "same"], plans={"same": ["premium"]}).features.catalogue


def of_plans(users: tuple[int, int], premium: int = 300) -> pd.DataFrame:
    """`drifting`, the first so many accounts of either side on the plan that sells `same`."""
    frame = drifting(users)
    is_premium = frame["account_key"] % 1000 < premium
    return frame.assign(plan=np.where(is_premium, "premium", "basic"))


@pytest.mark.parametrize(
    ("users", "verdicts", "is_watched"),
    [
        # 3 % (2.1 to 4.3) and 10 % (8.3 to 12.0): the bound of 5 % lies in neither interval
        ((30, 100), ("niche", "neither"), True),
        # 4 % (3.0 to 5.4): the bound lies in the interval
        ((40, 100), ("niche", "neither"), False),
        # 90 % (88.0 to 91.7) and 70 % (67.1 to 72.8), beside 80 %
        ((900, 700), ("ubiquitous", "neither"), True),
        # 79 % (76.4 to 81.4)
        ((900, 790), ("ubiquitous", "neither"), False),
        ((900, 30), ("ubiquitous", "niche"), True),
        # 20 points fewer, and no bound between them
        ((600, 400), ("neither", "neither"), False),
    ],
)
def test_a_feature_s_verdict_is_watched_where_it_changed_for_sure(
    users: tuple[int, int], verdicts: tuple[str, str], *, is_watched: bool
) -> None:
    made = benchmark_changes(of_plans(users), NAMED, BENCHMARK, ADOPTED).set_index("subject").loc["chat"]
    assert (made["reference_verdict"], made["verdict"]) == verdicts
    assert bool(made["is_watched"]) is is_watched
    assert (made["reference"], made["value"]) == (users[0] / 1000, users[1] / 1000)
    assert (made["reference_accounts"], made["accounts"]) == (1000, 1000)


def test_a_feature_is_ubiquitous_among_the_accounts_whose_plan_includes_it() -> None:
    frame = of_plans((0, 0))
    # of 300 on the plan 270 use it before and 150 since; of all 27 % and 15 %
    number, is_since = frame["account_key"] % 1000, frame["account_key"] >= 1000
    frame["same"] = np.where(number < np.where(is_since, 150, 270), 1.0, 0.0)
    made = benchmark_changes(frame, NAMED, BENCHMARK, ADOPTED).set_index("subject").loc["same"]
    assert (made["reference_verdict"], made["verdict"], made["is_watched"]) == ("ubiquitous", "neither", True)
    assert (made["reference_accounts"], made["reference"], made["value"]) == (300, 0.9, 0.5)
    # Wilson's interval of 270 of 300, by the formula
    centre, spread = (0.9 + 3.8415 / 600) / (1 + 3.8415 / 300), 1.96 * sqrt(0.09 / 300 + 3.8415 / (4 * 300**2)) / (1 + 3.8415 / 300)
    assert (made["reference_low"], made["reference_high"]) == (
        pytest.approx(centre - spread, abs=1e-5),
        pytest.approx(centre + spread, abs=1e-5),
    )
    assert made["low"] < -0.4 < made["high"] < 0
    # the other way round
    turned = frame.assign(observed_at=np.where(is_since, pd.Timestamp("2024-11-01"), pd.Timestamp("2025-02-01")))
    made = benchmark_changes(turned, NAMED, BENCHMARK, ADOPTED).set_index("subject").loc["same"]
    assert (made["reference_verdict"], made["verdict"], made["is_watched"]) == ("neither", "ubiquitous", True)


def test_without_an_account_there_is_no_verdict() -> None:
    frame = of_plans((30, 100))
    made = benchmark_changes(frame.loc[frame["account_key"] >= 1000], NAMED, BENCHMARK, ADOPTED).set_index("subject").loc["chat"]
    assert (made["reference_verdict"], made["verdict"], made["is_watched"]) == (None, "neither", False)
    assert np.isnan(made["difference"])


# --- verdicts on setup steps ----------------------------------------------------------------------------------------


def a_side(when: str, did: tuple[int, int], others: tuple[int, int], step: str = "first", first_key: int = 0) -> pd.DataFrame:
    """Accounts at the landmark of 14 days: of those that did the step and of the others (n, of whom activated)."""
    rows = [(is_done, number < reached) for is_done, (count, reached) in ((True, did), (False, others)) for number in range(count)]
    frame = pd.DataFrame(rows, columns=["is_done", "is_activated_after"])
    key = np.arange(first_key, first_key + len(frame))
    return frame.assign(
        account_key=key,
        account_id=[f"a{number}" for number in key],
        landmark_days=14,
        step=step,
        observed_at=pd.Timestamp(when),
        is_paying=True,
        is_activated_before=False,
        early_events=0.0,
        plan="basic",
        size_stratum="1-4",
        mrr=100.0,
    )


def changed(before: tuple[tuple[int, int], tuple[int, int]], since: tuple[tuple[int, int], tuple[int, int]]) -> pd.Series:
    frame = pd.concat([a_side("2024-11-05", *before), a_side("2025-02-05", *since, first_key=100_000)], ignore_index=True)
    made = step_changes(frame, framework(["driver"]), ADOPTED)
    assert len(made) == 1
    return made.iloc[0]


def test_a_step_whose_effect_vanished_is_watched() -> None:
    from scipy.stats import norm

    row = changed(((500, 400), (500, 300)), ((500, 350), (500, 350)))
    assert (row["subject"], row["reference_verdict"], row["verdict"], row["is_watched"]) == ("first", "keep", "unproven", True)
    # one step and one stratum: the effects are differences of two shares, and so are their errors
    before, since = sqrt((0.8 * 0.2 + 0.6 * 0.4) / 500), sqrt(2 * 0.7 * 0.3 / 500)
    assert (row["reference"], row["value"]) == (pytest.approx(0.2), pytest.approx(0, abs=1e-9))
    assert (row["reference_low"], row["value_high"]) == (
        pytest.approx(0.2 - 1.96 * before, abs=1e-5),
        pytest.approx(1.96 * since, abs=1e-5),
    )
    error = sqrt(before**2 + since**2)
    assert row["difference"] == pytest.approx(-0.2)
    assert (row["low"], row["high"]) == (pytest.approx(-0.2 - 1.96 * error, abs=1e-4), pytest.approx(-0.2 + 1.96 * error, abs=1e-4))
    assert (row["p"], row["q"]) == (pytest.approx(2 * norm.sf(0.2 / error), rel=1e-4), row["p"])
    assert (row["reference_accounts"], row["accounts"]) == (1000, 1000)


def test_a_verdict_that_turned_where_the_effect_may_be_the_same_is_not_watched() -> None:
    # 8 points (2.1 to 13.9) and 5 (−1 to 11): 3 points fewer, with an error of 4.3
    row = changed(((500, 340), (500, 300)), ((500, 325), (500, 300)))
    assert (row["reference_verdict"], row["verdict"], row["is_watched"]) == ("keep", "unproven", False)
    assert row["low"] < 0 < row["high"]


def test_an_effect_that_fell_under_the_same_verdict_is_not_watched() -> None:
    row = changed(((1000, 900), (1000, 600)), ((1000, 750), (1000, 650)))
    assert (row["reference_verdict"], row["verdict"], row["is_watched"]) == ("keep", "keep", False)
    assert row["high"] < 0


def test_a_side_that_decides_nothing_is_not_watched() -> None:
    row = changed(((500, 400), (500, 300)), ((20, 10), (20, 10)))
    assert (row["reference_verdict"], row["verdict"], row["is_watched"]) == ("keep", "interview", False)
    # 30 accounts, the other way round: the effects differ beyond chance, and yet 30 accounts are for asking
    row = changed(((500, 400), (500, 300)), ((15, 1), (15, 14)))
    assert (row["verdict"], row["q"] < 0.001, row["is_watched"]) == ("interview", True, False)
    row = changed(((500, 400), (500, 300)), ((0, 0), (0, 0)))
    assert (row["accounts"], row["verdict"], row["is_watched"]) == (0, "interview", False)
    assert np.isnan(row["difference"])


def test_a_step_that_is_no_longer_routine_is_watched_where_no_interval_holds_the_bound() -> None:
    # 97.5 % (96.3 to 98.3) did it; since 50 %
    row = changed(((975, 700), (25, 10)), ((500, 350), (500, 300)))
    assert (row["reference_verdict"], row["verdict"], row["is_watched"]) == ("routine", "keep", True)
    # 94.5 % (93.4 to 95.4) of 2,000: it may be 95 % as well, whichever side it is
    routine, near = ((1950, 1400), (50, 20)), ((1890, 1300), (110, 60))
    for before, since in ((routine, near), (near, routine)):
        row = changed(before, since)
        assert {row["reference_verdict"], row["verdict"]} == {"routine", "keep"}
        assert not row["is_watched"]


def test_only_compared_accounts_at_14_days_are_read() -> None:
    frame = pd.concat([a_side("2024-11-05", (500, 400), (500, 300)), a_side("2025-02-05", (500, 350), (500, 350), first_key=9_000)])
    left = a_side("2025-02-05", (300, 0), (300, 300), first_key=20_000).assign(is_paying=False)
    early = a_side("2025-02-05", (300, 0), (300, 300), first_key=30_000).assign(is_activated_before=True)
    other = a_side("2025-02-05", (300, 0), (300, 300), first_key=40_000).assign(landmark_days=30)
    plain = step_changes(frame, framework(["driver"]), ADOPTED)
    pd.testing.assert_frame_equal(plain, step_changes(pd.concat([left, frame, early, other]), framework(["driver"]), ADOPTED))
    # without a day of adoption the later half, in whole months: the same two cohorts
    pd.testing.assert_frame_equal(plain, step_changes(frame, framework(["driver"]), None))


def test_steps_of_which_nothing_changed_are_rarely_watched() -> None:
    rng = np.random.default_rng(3)
    watched = 0
    for _ in range(60):
        # an effect at its bound: the verdict turns by chance alone
        before, since = (((400, rng.binomial(400, 0.67)), (400, rng.binomial(400, 0.6))) for _ in range(2))
        watched += bool(changed(before, since)["is_watched"])
    # at most 5 %, 3 expected; more than 8 has a probability below .005
    assert watched <= 8


# --- AUC ------------------------------------------------------------------------------------------------------------


def two_worlds(*, before: float, since: float, accounts: int = 500, seed: int = 0) -> tuple[pd.DataFrame, Framework]:
    """Rows of 24 months; what behaviour says of staying is another thing from the 13th on. 100 trees, as the default."""
    frames = [matrix(accounts=accounts, months=5, noise=6, effect=effect, seed=seed) for effect in (before, since)]
    names = frames[0][1]
    cut = pd.Timestamp("2025-01-01")
    first, second = (frame for frame, _ in frames)
    frame = pd.concat([first.loc[first["observed_at"] < cut], second.loc[second["observed_at"] >= cut]], ignore_index=True)
    return frame, framework(names, trees=100, resamples=200)


def drift(frame: pd.DataFrame, made: Framework, adopted_at: pd.Timestamp | None = ADOPTED) -> dict[str, Any]:
    return auc_drift(frame, made.features.catalogue, made.feature_ranking, adopted_at)


def test_behaviour_that_no_longer_tells_is_watched() -> None:
    row = drift(*two_worlds(before=1.0, since=0.0))
    assert row["reference_low"] > 0.6
    assert row["value_low"] <= 0.5 < row["reference"]
    assert (row["high"] < 0, row["is_watched"]) == (True, True)
    assert row["difference"] == pytest.approx(row["value"] - row["reference"])
    assert row["low"] < row["difference"] < row["high"]


def test_behaviour_that_tells_more_than_before_is_watched() -> None:
    row = drift(*two_worlds(before=0.3, since=2.0))
    assert (row["low"] > 0, row["is_watched"]) == (True, True)
    assert row["value_low"] > 0.5


def test_behaviour_that_never_told_is_watched() -> None:
    row = drift(*two_worlds(before=0.0, since=0.0))
    assert row["low"] < 0 < row["high"]
    assert (row["value_low"] <= 0.5, row["is_watched"]) == (True, True)


def test_behaviour_that_tells_as_before_is_rarely_watched() -> None:
    watched = sum(drift(*two_worlds(before=1.0, since=1.0, seed=seed))["is_watched"] for seed in range(8))
    # the intervals take the forests as they are, and are somewhat narrow: 1 in 10 at most; more than 3 of 8 have a probability of .005
    assert watched <= 3


def test_the_auc_is_that_of_forests_that_saw_other_accounts_of_the_same_side() -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    frame, made = two_worlds(before=1.0, since=1.0)
    row = drift(frame, made)
    rows = known_rows(frame.loc[frame["observed_at"] >= ADOPTED], sorted(made.features.catalogue, key=lambda feature: feature.name))
    folds = account_folds(rows.accounts, 5, 0)
    scores = np.empty(folds.size)
    for fold in range(5):
        # other trees than the product's: other seeds
        forest = RandomForestClassifier(400, max_depth=12, min_samples_leaf=40, max_samples=800, random_state=fold)
        forest.fit(rows.features[folds != fold], rows.outcome[folds != fold])
        scores[folds == fold] = forest.predict_proba(rows.features[folds == fold])[:, 1] - rows.outcome[folds != fold].mean()
    assert row["value"] == pytest.approx(roc_auc_score(rows.outcome, scores), abs=0.012)
    assert row["accounts"] == np.unique(rows.accounts).size


def test_what_came_before_lends_nothing_to_what_came_since() -> None:
    frame, made = two_worlds(before=1.0, since=1.0)
    turned = frame.assign(retained=np.where(frame["observed_at"] < ADOPTED, ~frame["retained"], frame["retained"]))
    assert drift(turned, made)["value"] == drift(frame, made)["value"]
    assert drift(frame.sample(frac=1, random_state=1), made) == drift(frame, made)


def test_open_outcomes_are_not_read() -> None:
    frame, made = two_worlds(before=1.0, since=1.0)
    frame["retained"] = frame["retained"].astype("boolean")
    opened = frame.iloc[::3].assign(account_key=lambda part: part["account_key"] + 10**9, retained=pd.NA)
    assert drift(pd.concat([frame, opened.astype({"retained": "boolean"})]), made) == drift(frame, made)


def again(accounts_apart: int) -> dict[str, Any]:
    """The rows of five months, and the same rows once more ten years later, of accounts whose keys lie so far apart."""
    frame, names = matrix(accounts=400, months=5, noise=3)
    frame["observed_at"] -= np.timedelta64(5 * 365, "D")
    later = frame.assign(
        observed_at=frame["observed_at"] + np.timedelta64(10 * 365, "D"), account_key=frame["account_key"] + accounts_apart
    )
    return drift(pd.concat([frame, later]), framework(names, trees=30, resamples=500), pd.Timestamp("2024-01-01"))


def test_an_account_is_drawn_on_both_sides_or_on_neither() -> None:
    row = again(0)
    assert (row["difference"], row["low"], row["high"]) == (0, 0, 0)
    assert row["value_high"] - row["value_low"] > 0.03


def test_different_accounts_are_drawn_for_themselves() -> None:
    row = again(10**9)
    # two independent estimates: the variances add up
    widths = [row[f"{name}high"] - row[f"{name}low"] for name in ("", "reference_", "value_")]
    assert widths[0] == pytest.approx(sqrt(widths[1] ** 2 + widths[2] ** 2), rel=0.12)


def test_a_side_s_interval_is_of_its_own_rows() -> None:
    frame, names = matrix(accounts=600, months=2, noise=2)
    earlier = frame.assign(observed_at=frame["observed_at"] - np.timedelta64(3650, "D"))
    made, adopted = framework(names, trees=30, resamples=200), pd.Timestamp("2020-01-01")
    # the accounts of both sides together, and so the draws, are the same whether all or some of them were there before
    whole = drift(pd.concat([earlier, frame]), made, adopted)
    part = drift(pd.concat([earlier.loc[earlier["account_key"] % 3 > 0], frame]), made, adopted)
    assert part["reference_accounts"] < whole["reference_accounts"]
    assert part["reference"] != whole["reference"]
    assert [part[name] for name in ("value_low", "value_high")] == [whole[name] for name in ("value_low", "value_high")]


def test_eight_rows_of_an_account_that_say_the_same_tell_no_more_than_one() -> None:
    frame, names = matrix(accounts=1200, months=1, noise=2)
    frame["observed_at"] = np.where(frame["account_key"] % 2 == 0, pd.Timestamp("2024-06-01"), pd.Timestamp("2025-06-01"))
    days = [frame.assign(observed_at=frame["observed_at"] + np.timedelta64(day, "D")) for day in range(8)]
    made = framework(names, trees=30, resamples=500)
    one, eight = (drift(rows, made) for rows in (frame, pd.concat(days)))
    for name in ("reference_", "value_", ""):
        widths = [row[f"{name}high"] - row[f"{name}low"] for row in (one, eight)]
        # rows drawn for themselves would make it a third
        assert widths[1] == pytest.approx(widths[0], rel=0.3), name


def test_what_knows_nothing_is_no_worse_than_chance() -> None:
    """A fold whose rows stay more often than usual is fitted on rows that stay less often."""
    found = []
    for seed in range(4):
        frame, names = matrix(accounts=150, months=3, noise=0, effect=0, seed=seed)
        frame[names] = 1.0
        found.append(drift(frame, framework(names, trees=30, resamples=20))["value"])
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("leavers", [0, 49])
def test_a_side_with_too_few_rows_of_a_class_is_not_scored(leavers: int) -> None:
    frame, made = two_worlds(before=1.0, since=1.0)
    is_extra = (frame["observed_at"] >= ADOPTED) & ~frame["retained"]
    kept = frame.loc[~is_extra | (is_extra.cumsum() <= leavers)]
    row = drift(kept, made)
    assert row["reference_low"] > 0.6
    assert row["accounts"] > 100
    assert np.isnan([row[name] for name in ("value", "value_low", "value_high", "difference", "low", "high")]).all()
    assert not row["is_watched"]


def test_more_rows_than_the_ranking_reads_are_sampled_by_account() -> None:
    frame, made = two_worlds(before=1.0, since=1.0, accounts=1500)
    small = made.model_copy(update={"feature_ranking": made.feature_ranking.model_copy(update={"maximum_rows": 1_000})})
    row, whole = drift(frame, small), drift(frame, made)
    assert row["accounts"] < whole["accounts"] / 2
    assert row["value"] == pytest.approx(whole["value"], abs=0.08)


# --- the list -------------------------------------------------------------------------------------------------------


def reviewed(**changes: Any) -> pd.DataFrame:
    """The columns of `framework_review` that are read: usage has a pick and a slope, setup has neither."""
    usage = {
        "threshold": 10.0,
        "pick": 20.0,
        "pick_low": 12.0,
        "pick_high": 25.0,
        "slope": -0.02,
        "slope_low": -0.05,
        "slope_high": 0.01,
    }
    rows = [
        {"milestone": "setup", "position": 1, **dict.fromkeys(usage, np.nan)},
        {"milestone": "usage", "position": 3, **usage | changes},
    ]
    return pd.DataFrame(rows).assign(version="v", adopted_at=ADOPTED)


def listed(frame: pd.DataFrame, steps: pd.DataFrame, made: Framework, review: pd.DataFrame) -> pd.DataFrame:
    return table(frame, made, {"framework_review": review, "setup_step_landmarks": steps})


def a_company() -> tuple[pd.DataFrame, pd.DataFrame, Framework]:
    frame, made = two_worlds(before=1.0, since=1.0)
    second = frame.sort_values("observed_at").groupby("account_key").cumcount() == 1
    steps = pd.concat([a_side("2024-11-05", (500, 400), (500, 300)), a_side("2025-02-05", (500, 350), (500, 350), first_key=9_000)])
    return frame.assign(is_of_age=second), steps, made


def test_slopes_and_picks_of_the_review_are_watched_by_their_intervals() -> None:
    made = listed(*a_company(), reviewed()).set_index(["kind", "subject"])
    pick = made.loc[("pick", "usage")]
    # 10 in force lies outside 12 to 25
    assert (pick["is_watched"], pick["reference"], pick["value"], pick["low"]) == (True, 10, 20, 12)
    assert not made.loc[("slope", "usage"), "is_watched"]
    assert listed(*a_company(), reviewed(slope_high=-0.01)).set_index(["kind", "subject"]).loc[("slope", "usage"), "is_watched"]
    assert ("pick", "setup") not in made.index
    assert set(made["version"]) == {"v"}


def test_the_list_has_every_feature_twice_every_step_and_one_auc() -> None:
    frame, steps, made = a_company()
    found = listed(frame, steps, made, reviewed())
    assert list(found.columns) == list(COLUMNS)
    names = {feature.name for feature in made.features.catalogue}
    subjects = found.groupby("kind")["subject"].agg(set).to_dict()
    assert subjects["adoption"] == subjects["feature_verdict"] == names
    assert (subjects["step_verdict"], subjects["auc"], subjects["slope"]) == ({"first"}, {"retention"}, {"setup", "usage"})
    assert not found.duplicated(["kind", "subject"]).any()
    watched = found.loc[found["is_watched"].astype(bool), ["kind", "subject"]].to_numpy().tolist()
    assert watched == [["step_verdict", "first"], ["pick", "usage"]]
    # adoption reads one row per account, the AUC all of them
    by_kind = found.set_index(["kind", "subject"])
    of_age = frame.loc[frame["is_of_age"]]
    row = by_kind.loc[("adoption", "driver")]
    assert row["reference_accounts"] + row["accounts"] == len(of_age) == frame["account_key"].nunique()
    assert row["value"] == (of_age.loc[of_age["observed_at"] >= ADOPTED, "driver"] > 0).mean()
    accounts = frame.loc[frame["observed_at"] < ADOPTED, "account_key"].nunique()
    assert by_kind.loc[("auc", "retention"), "reference_accounts"] == accounts


def test_a_young_company_has_a_list_without_anything_to_watch() -> None:
    frame, steps, made = a_company()
    found = listed(
        frame.iloc[:0], steps.iloc[:0], made, reviewed(**dict.fromkeys(("pick", "slope", "slope_low", "slope_high"), np.nan))
    )
    assert not found["is_watched"].any()
    assert set(found["kind"]) == {"adoption", "feature_verdict", "step_verdict", "auc", "slope"}
    assert found.loc[found["kind"] != "slope", ["reference", "value", "difference", "low", "high"]].isna().all(axis=None)
    undated = reviewed().assign(adopted_at=pd.NaT)
    assert not listed(frame.iloc[:0], steps.iloc[:0], made, undated).set_index("kind").loc["auc", "is_watched"]


def test_attributes_and_trends_have_no_users() -> None:
    frame, steps, made = a_company()
    measures = {"driver": "attribute", "second": "trend"}
    other = framework([feature.name for feature in made.features.catalogue], measures=measures, trees=30)
    found = listed(frame, steps, other, reviewed())
    told = set(found.loc[found["kind"].isin(["adoption", "feature_verdict"]), "subject"])
    assert told == {name for name in (feature.name for feature in other.features.catalogue) if name not in measures}
    # the forest reads them all the same
    assert found.set_index("kind").loc["auc", "value"] > 0.6
