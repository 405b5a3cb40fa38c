"""The placebo: permutations within strata, each rule on them the slow way, a rule that finds too much, order, speed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.areas import Area
from milestones_dagster.config.framework import Evidence
from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence import areas, placebo
from milestones_dagster.evidence.setup_steps import conditional_effects, landmark_rows, step_verdicts
from milestones_dagster.evidence.threshold_search import Rows, Search
from milestones_dagster.evidence.thresholds import Prepared, derived, prepared

STEPS = ("one", "two", "three", "four", "five", "six", "seven")


def framework(steps=STEPS, **evidence):
    return SimpleNamespace(
        threshold_search=ThresholdSearch(resamples=20),
        setup=SimpleNamespace(steps=tuple(SimpleNamespace(name=step, title=step.title()) for step in steps)),
        evidence=Evidence(**evidence),
    )


def company(seed, accounts, *, jump=0.25):
    """Accounts whose staying jumps at a value of 10; plan moves both."""
    generator = np.random.default_rng(seed)
    plan = generator.integers(0, 3, accounts)
    value = np.floor(np.exp(2.2 + 0.9 * generator.normal(size=accounts) + 0.2 * plan))
    return pd.DataFrame(
        {
            "account_key": np.arange(accounts),
            "account_id": np.arange(accounts).astype(str),
            "cohort_month": pd.date_range("2022-01-01", periods=20, freq="MS")[generator.integers(0, 20, accounts)],
            "standing": "row",
            "plan": plan.astype(str),
            "size_stratum": np.array(["1-4", "5-19"])[generator.integers(0, 2, accounts)],
            "mrr": 100.0,
            "value": value,
            "retained": generator.random(accounts) < 0.6 + 0.05 * plan + jump * (value >= 10),
        }
    )


def asked(names, threshold="auto"):
    """A framework with these areas, all counted alike."""
    made = [Area(name=name, title=name.title(), measure="count", events=("x",), threshold=threshold) for name in names]
    framework_of = SimpleNamespace(areas=tuple(made), threshold_search=ThresholdSearch(resamples=20))
    framework_of.outcomes = SimpleNamespace(retention=SimpleNamespace(basis="subscriptions"))
    framework_of.features = SimpleNamespace(catalogue=())
    return framework_of


def with_areas(seed, accounts, names, *, jump=0.0):
    """The same accounts in every area; a jump is planted in the first, the values of the others are drawn by themselves."""
    frame = company(seed, accounts, jump=jump)
    generator = np.random.default_rng(seed + 1000)
    parts = [frame.assign(area=names[0])]
    parts += [frame.assign(area=name, value=generator.permutation(frame["value"].to_numpy())) for name in names[1:]]
    return pd.concat(parts, ignore_index=True)


def with_steps(seed, accounts, *, effect=0.0):
    """The frame of setup steps at 14 days; the first step goes with `effect` more activation, early activity with all."""
    generator = np.random.default_rng(seed)
    plan = generator.integers(0, 3, accounts)
    early = generator.poisson(5.0 + 3 * plan)
    done = generator.random((accounts, len(STEPS))) < 0.3 + 0.02 * early[:, None]
    reached = generator.random(accounts) < 0.3 + 0.02 * early + effect * done[:, 0]
    base = {
        "account_key": np.arange(accounts),
        "account_id": np.arange(accounts).astype(str),
        "landmark_days": 14,
        "is_paying": True,
        "is_activated_before": False,
        "is_activated_after": reached,
        "early_events": early.astype(float),
        "plan": plan.astype(str),
        "size_stratum": "1-4",
        "mrr": 100.0,
    }
    return pd.concat([pd.DataFrame({**base, "step": name, "is_done": done[:, place]}) for place, name in enumerate(STEPS)])


def test_outcomes_stay_within_their_stratum_and_every_order_is_as_likely():
    outcome = np.array([True, False, False, True, True])
    strata = np.array([0, 0, 0, 1, 1])
    found = placebo.permuted(outcome, strata, 3000, seed=1)
    assert (found[:, :3].sum(axis=1) == 1).all()
    assert found[:, 3:].all()
    # the one of three is at each of three places a third of the time
    assert found[:, :3].mean(axis=0) == pytest.approx(1 / 3, abs=0.03)


def test_a_search_of_other_outcomes_is_the_search_of_rows_that_have_them():
    made = prepared(company(1, 600), ThresholdSearch())
    outcomes = placebo.permuted(made.earlier.retained, made.earlier.strata, 7, seed=2)
    found = made.search.relabelled(outcomes)
    for place, outcome in enumerate(outcomes):
        alone = Search(made.earlier.with_outcome(outcome), (0.10, 0.90))
        assert found.picks[place] == pytest.approx(alone.pick, nan_ok=True)
        np.testing.assert_allclose(found.chi2[place], alone.plain.chi2[0][: found.chi2.shape[1]])


def test_signals_are_those_of_the_rule_itself_on_each_outcome():
    frame = company(3, 1200)
    made = prepared(frame, ThresholdSearch())
    # half of the outcomes as they are but for a few accounts, so that there is something to find
    outcomes = placebo.permuted(made.rows.retained, made.rows.strata, 24, seed=4)
    outcomes[::2, 100:] = made.rows.retained[100:]
    slow = [
        bool(derived(frame.assign(retained=outcome), "activation", None, ThresholdSearch(resamples=20))["is_signal"].iloc[0])
        for outcome in outcomes
    ]
    assert placebo.threshold_signals(made, outcomes).tolist() == slow
    assert 0 < sum(slow) < 24


def test_a_planted_jump_is_not_found_where_outcomes_are_permuted():
    from scipy.stats import binomtest

    row = placebo.threshold(company(5, 2000), "activation", framework()).iloc[0]
    assert (row["evidence"], row["accounts"], row["permuted_accounts"], row["permutations"]) == ("activation", 2000, 2000, 200)
    assert row["verdict"] == "calibrated"
    # one side of a test at 5 %
    assert row["found_share"] <= 0.07
    interval = binomtest(int(row["found"]), 200).proportion_ci(method="wilson")
    assert (row["found_low"], row["found_high"]) == pytest.approx((interval.low, interval.high))


def test_accounts_that_stand_in_the_table_ten_times_make_the_rule_find_too_much():
    made = prepared(company(6, 800, jump=0.0), ThresholdSearch())

    def tenfold(rows: Rows) -> Rows:
        again = rows.where(np.repeat(np.arange(rows.size), 10))
        return replace(again, accounts=np.repeat(rows.accounts, 10) * 10 + np.tile(np.arange(10), rows.size))

    outcomes = placebo.permuted(made.rows.retained, made.rows.strata, 200, seed=0)
    earlier = tenfold(made.earlier)
    copied = Prepared(tenfold(made.rows), earlier, tenfold(made.later), Search(earlier, (0.10, 0.90)), 0)
    found = placebo.threshold_signals(copied, np.repeat(outcomes, 10, axis=1))
    row = placebo.judged("activation", found, 8000, 8000).iloc[0]
    assert row["found_low"] > 0.15
    assert row["verdict"] == "not calibrated"
    assert "no threshold that is left to the data follows it" in row["note"]
    # the same accounts once each are calibrated
    once = placebo.judged("activation", placebo.threshold_signals(made, outcomes), 800, 800)
    assert once["verdict"].iloc[0] == "calibrated"


def test_the_bound_decides_by_hand():
    # Wilson's lower bound of 17 of 200 is 5.38 %, of 16 of 200 it is 4.98 %
    verdicts = [placebo.judged("usage", np.arange(200) < found, 9, 9)["verdict"].iloc[0] for found in (16, 17)]
    assert verdicts == ["calibrated", "not calibrated"]


def test_areas_found_are_those_of_the_rule_itself_for_all_areas_at_once():
    names = ("one", "two", "three")
    frame = with_areas(20, 1200, names, jump=0.25)
    made = [prepared(frame.loc[frame["area"] == name], ThresholdSearch()) for name in names]
    outcomes = [placebo.permuted(one.rows.retained, one.rows.strata, 16, seed=4) for one in made]
    # the same accounts: the same permutation in every area, so that how areas go together stays
    assert (outcomes[0] == outcomes[1]).all()
    for drawn in outcomes:
        drawn[::2, 100:] = made[0].rows.retained[100:]
    slow = []
    for place in range(16):
        drawn = frame.assign(retained=np.tile(outcomes[0][place], 3))
        slow.append(bool(areas.thresholds(drawn, asked(names), {})["is_signal"].any()))
    assert placebo.area_signals(made, outcomes).tolist() == slow
    assert 0 < sum(slow) < 16


def test_five_percent_are_for_the_areas_together_however_many_are_asked():
    names = tuple(f"area{number:02}" for number in range(12))
    frame = with_areas(21, 1500, names)
    row = placebo.areas(frame, asked(names), {}).iloc[0]
    # accounts are counted once, in however many areas they are
    assert (row["evidence"], row["accounts"], row["permuted_accounts"], row["permutations"]) == ("areas", 1500, 1500, 200)
    assert row["verdict"] == "calibrated"
    assert row["found_share"] <= 0.07
    assert "A threshold of any area is found no more often than it may be" in row["note"]
    # one by one, each at 5 %, some area would be found far more often
    alone = np.zeros(200, dtype=bool)
    for name in names:
        made = prepared(frame.loc[frame["area"] == name], ThresholdSearch())
        drawn = placebo.permuted(made.rows.retained, made.rows.strata, 200, ThresholdSearch().seed)
        found = placebo.threshold_signals(made, drawn)
        assert found.mean() <= 0.07
        alone |= found
    assert placebo.judged("areas", alone, 1500, 1500)["verdict"].iloc[0] == "not calibrated"


def test_an_area_beside_itself_is_found_as_often_as_alone():
    frame = with_areas(22, 700, ("one",))
    twice = pd.concat([frame, frame.assign(area="two")], ignore_index=True)
    alone, both = (placebo.areas(rows, asked(names), {}) for rows, names in ((frame, ("one",)), (twice, ("one", "two"))))
    # q of two equal p is p
    pd.testing.assert_frame_equal(alone, both)
    made = prepared(frame, ThresholdSearch())
    outcomes = placebo.permuted(made.rows.retained, made.rows.strata, 200, ThresholdSearch().seed)
    assert alone["found"].iloc[0] == placebo.threshold_signals(made, outcomes).sum() > 0


def test_areas_with_numbers_or_without_accounts_ask_nothing():
    names = ("one", "two")
    # the table hands over no row where no area is left to the data
    row = placebo.areas(with_areas(23, 60, names).iloc[:0], asked(names, threshold=4.0), {}).iloc[0]
    assert (row["verdict"], row["permutations"], row["found"]) == ("cannot tell", 0, 0)
    assert row["note"] == "No area's threshold is left to the data, so that nothing is permuted."
    nobody = placebo.areas(with_areas(23, 60, names).iloc[:0], asked(names), {}).iloc[0]
    assert nobody["note"] == "No account can be compared yet, so that nothing can be permuted."
    # few accounts, and an area that has none of them
    few = placebo.areas(with_areas(23, 30, ("one",)), asked(names), {}).iloc[0]
    assert (few["accounts"], few["verdict"], few["found"]) == (30, "calibrated", 0)


def test_steps_kept_by_the_quick_way_are_those_that_every_fit_keeps():
    evidence = Evidence(minimum_effect=0.001)
    rows = landmark_rows(with_steps(7, 900, effect=0.2), STEPS, 14)
    outcomes = placebo.permuted(rows.reached, rows.stratum, 24, seed=8)
    # some as they are for half of the accounts, so that there is something to keep
    outcomes[::4, 450:] = rows.reached[450:]
    slow = []
    for outcome in outcomes:
        drawn = replace(rows, reached=outcome)
        slow.append(bool((step_verdicts(drawn, conditional_effects(drawn), evidence)["verdict"] == "keep").any()))
    assert placebo.step_keeps(rows, outcomes, evidence).tolist() == slow
    assert 0 < sum(slow) < 24


def test_linear_and_logistic_agree_on_what_goes_with_nothing():
    rows = landmark_rows(with_steps(9, 1500), STEPS, 14)
    outcomes = placebo.permuted(rows.reached, rows.stratum, 3, seed=10)
    linear = placebo.linear_q(rows, outcomes)
    for place, outcome in enumerate(outcomes):
        effects = conditional_effects(replace(rows, reached=outcome))
        q = step_verdicts(replace(rows, reached=outcome), effects, Evidence())["q"].to_numpy()
        expected = [value if effect.effect > 0 else 1.0 for value, effect in zip(q, effects, strict=True)]
        np.testing.assert_allclose(linear[place], expected, atol=0.05)


def test_a_planted_step_is_not_kept_where_activation_is_permuted():
    row = placebo.setup_steps(with_steps(11, 2000, effect=0.2), framework(), {}).iloc[0]
    assert (row["evidence"], row["permutations"], row["verdict"]) == ("setup_steps", 200, "calibrated")
    assert row["found_share"] <= 0.05


def test_above_the_stated_size_accounts_are_sampled_and_it_says_so(monkeypatch):
    monkeypatch.setattr(placebo, "MOST_STEP_ACCOUNTS", 300)
    row = placebo.setup_steps(with_steps(12, 1000), framework(), {}).iloc[0]
    assert (row["accounts"], row["permuted_accounts"]) == (1000, 300)
    assert row["note"].endswith("300 of 1,000 accounts, taken by hash, are read.")


def test_order_of_the_rows_does_not_matter():
    for made, frame in ((placebo.setup_steps, with_steps(13, 300)), (placebo.activation, company(13, 500))):
        shuffled = frame.sample(frac=1, random_state=1)
        pd.testing.assert_frame_equal(made(frame, framework(), {}), made(shuffled, framework(), {}), check_exact=True)


def test_without_accounts_nothing_can_be_told_and_few_are_no_error():
    for made, frame in ((placebo.setup_steps, with_steps(14, 30)), (placebo.usage, company(14, 30))):
        nothing = made(frame.iloc[:0], framework(), {}).iloc[0]
        assert (nothing["verdict"], nothing["permutations"], nothing["found"]) == ("cannot tell", 0, 0)
        assert made(frame, framework(), {})["verdict"].iloc[0] == "calibrated"


def test_areas_do_not_depend_on_the_order_of_the_rows():
    names = ("one", "two")
    frame = with_areas(24, 400, names)
    shuffled = frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(placebo.areas(frame, asked(names), {}), placebo.areas(shuffled, asked(names), {}))
