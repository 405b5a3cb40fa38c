"""Which setup steps go with activation: numbers by hand and by statsmodels, verdicts, and steps of a planted role.

The demonstration company's model is drawn here without its events: a hundred times the accounts in a second.
"""

from dataclasses import replace
from functools import cache
from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.framework import Evidence
from milestones_dagster.demo.accounts import draw_people
from milestones_dagster.demo.behaviour import leaving_probability, simulate, use_probability
from milestones_dagster.demo.vocabulary import HABITS, PLANS, STEPS
from milestones_dagster.demo.world import World
from milestones_dagster.evidence.logistic import MarginalEffect
from milestones_dagster.evidence.setup_steps import (
    StepTable,
    _verdict,
    conditional_effects,
    landmark_rows,
    measure,
    step_verdicts,
)

CAUSES = {step.name for step in STEPS if step.role == "causes"}
NO_EFFECT = "publish_articles"
DAYS = 30.4


def framework(steps, *, basis="subscriptions", **evidence):
    return SimpleNamespace(
        setup=SimpleNamespace(steps=tuple(SimpleNamespace(name=step, title=step.title()) for step in steps)),
        evidence=Evidence(**evidence),
        outcomes=SimpleNamespace(retention=SimpleNamespace(basis=basis)),
    )


def frame_of(done, reached, **columns):
    """Return the frame of the 14 days' landmark; `done` maps steps to columns of accounts."""
    accounts = np.arange(reached.size)
    base = {
        "account_key": accounts,
        "account_id": [f"a{account:05}" for account in accounts],
        "landmark_days": 14,
        "is_paying": True,
        "is_activated_before": False,
        "is_activated_after": reached,
        "early_events": 0.0,
        "plan": "basic",
        "size_stratum": "1-4",
        "mrr": 100.0,
    } | columns
    return pd.concat([pd.DataFrame({**base, "step": step, "is_done": did}) for step, did in done.items()], ignore_index=True)


@cache
def demonstration(world, accounts, seed):
    """Return the frame of a demonstration company: its model's steps, plans, counts and leaving."""
    rng = np.random.Generator(np.random.Philox(seed))
    people = draw_people(world, rng, np.linspace(0, 1, accounts, dtype=np.float32))
    paths = simulate(world, people, rng, 3)
    has_left_early = rng.random(accounts) < people.early_leaving
    leaves = rng.random((accounts, 3)) < leaving_probability(people, paths.log_odds)
    so_far = np.cumsum(paths.started, axis=1)
    reached, stays = np.zeros(accounts, dtype=bool), np.ones(accounts, dtype=bool)
    for month in range(3):
        reached |= stays & (so_far[:, month + 1] >= world.activation_threshold)
        stays &= ~leaves[:, month]
    is_before = so_far[:, 0] >= world.activation_threshold
    delay = people.step_delay_days
    probability = use_probability(world, people, range(len(HABITS)), 0, people.plan, np.zeros(accounts, dtype=bool))
    volume = np.array([habit.volume for habit in HABITS]) * np.minimum(people.seats**0.4, 6)[:, None]
    counts = (rng.random(probability.shape) < probability) * (1 + rng.poisson(np.maximum(volume - 1, 0)))
    early = rng.binomial(counts, 3 / DAYS).sum(axis=1) + rng.binomial(paths.started[:, 0], 3 / 14)
    return frame_of(
        {step.name: delay[:, place] < 14 for place, step in enumerate(STEPS)},
        reached & ~is_before,
        is_paying=~has_left_early,
        is_activated_before=is_before,
        early_events=early.astype(float),
        plan=np.array(PLANS)[people.plan],
        size_stratum=np.array(["1-4", "5-19", "20-99", "100+"])[np.digitize(people.seats, [5, 20, 100])],
        mrr=people.seats * 50.0,
    )


def verdicts(frame, **evidence):
    return measure(frame, framework([step.name for step in STEPS], **evidence), {}).set_index("step")


def test_counts_differences_and_ratios_by_hand():
    # 40 of 50 activated with the step, 20 of 50 without
    did = np.repeat([True, False], 50)
    reached = np.concatenate([np.arange(50) < 40, np.arange(50) < 20])
    row = measure(frame_of({"install": did}, reached), framework(["install"]), {}).iloc[0]

    assert (row["accounts"], row["adopters"], row["activated_with"], row["activated_without"]) == (100, 50, 40, 20)
    assert (row["activated_with_share"], row["activated_without_share"]) == (0.8, 0.4)
    assert row["adoption"] == 0.5
    assert (row["adoption_low"], row["adoption_high"]) == pytest.approx((0.4038, 0.5962), abs=5e-5)
    assert row["risk_difference"] == pytest.approx(0.4)
    assert row["phi"] == pytest.approx(0.408248, abs=1e-6)
    assert row["odds_ratio"] == 6
    # one stratum: the pooled numbers are the plain ones
    assert row["stratified_odds_ratio"] == pytest.approx(6)
    assert row["stratified_risk_difference"] == pytest.approx(0.4)
    # nothing to adjust for: the effect is the difference, its error √(.16/50 + .24/50)
    assert row["effect"] == pytest.approx(0.4)
    assert row["effect_high"] - row["effect"] == pytest.approx(1.959964 * np.sqrt(0.4 / 50), abs=1e-6)
    assert row["q"] == row["effect_p"]
    # (.4 + .224692) / .4 = 1.561731; + √(1.561731 · .561731)
    assert row["e_value"] == pytest.approx(2.498370, abs=1e-5)
    # 2.802 · √(.6 · .4 · 2/50): 27 points
    assert row["detectable_difference"] == pytest.approx(0.274539, abs=1e-6)
    assert (row["trust"], row["verdict"]) == ("interview", "interview")


def test_adjusted_numbers_equal_statsmodels():
    from statsmodels.api import Logit
    from statsmodels.stats.contingency_tables import StratifiedTable

    rng = np.random.default_rng(5)
    plan, size = rng.integers(0, 2, 1500), rng.integers(0, 3, 1500)
    install, team = (rng.random(1500) < 0.3 + 0.2 * plan for _ in range(2))
    early = rng.poisson(4, 1500).astype(float)
    chance = 0.15 + 0.15 * install + 0.05 * team + 0.15 * plan + 0.1 * size + 0.03 * np.log1p(early)
    reached = rng.random(1500) < chance
    frame = frame_of(
        {"install": install, "team": team},
        reached,
        plan=np.array(["basic", "premium"])[plan],
        size_stratum=np.array(["1-4", None, "5-19"], dtype=object)[size],
        early_events=early,
    )
    row = measure(frame, framework(["install", "team"]), {}).iloc[0]

    tables = [
        [[int((cell & did & reached).sum()), int((cell & did & ~reached).sum())] for did in (install, ~install)]
        for cell in ((plan == p) & (size == s) for p in range(2) for s in range(3))
    ]
    pooled = StratifiedTable([np.array(table, dtype=float) for table in tables])
    assert row["stratified_odds_ratio"] == pytest.approx(pooled.oddsratio_pooled)
    design = np.column_stack([np.ones(1500), team, plan, size == 1, size == 2, np.log1p(early), install]).astype(float)
    second = Logit(reached.astype(float), design).fit(disp=False).get_margeff(dummy=True).summary_frame().iloc[-1]
    assert row["effect"] == pytest.approx(second["dy/dx"], abs=1e-7)
    assert row["effect_low"] == pytest.approx(second["Conf. Int. Low"], abs=1e-6)
    assert row["effect_p"] == pytest.approx(second["Pr(>|z|)"], rel=1e-4)


def test_who_left_or_activated_before_is_counted_and_not_compared():
    did = np.arange(200) % 2 == 0
    frame = frame_of(
        {"install": did}, np.arange(200) % 3 == 0, is_paying=np.arange(200) >= 8, is_activated_before=np.arange(200) < 20
    )
    row = measure(frame, framework(["install"]), {}).iloc[0]

    assert (row["accounts"], row["left_before"], row["activated_before"]) == (180, 8, 12)
    assert row["left_before_share"] == 0.04
    assert row["note"].startswith("8 of 200 accounts (4.0%) left before day 14 and 12 had activated before it")


TABLE = StepTable(2000, 900, 500, 400)
EFFECT = MarginalEffect(0.06, 0.02, 0.1, 0.001, 0.4)


@pytest.mark.parametrize(
    ("table", "trust", "effect", "q", "expected"),
    [
        (TABLE, ("mixed", 0.06), EFFECT, 0.01, "keep"),
        (TABLE, ("statistical", 0.05), EFFECT, 0.05, "keep"),
        (TABLE, ("mixed", 0.06), EFFECT, 0.051, "unproven"),
        (TABLE, ("mixed", 0.06), replace(EFFECT, lower=0.01), 0.01, "keep"),
        (TABLE, ("mixed", 0.06), replace(EFFECT, lower=0.0099), 0.01, "unproven"),
        (TABLE, ("mixed", 0.06), MarginalEffect(-0.06, -0.1, -0.02, 0.001, 0.4), 0.01, "against"),
        (TABLE, ("mixed", 0.06), MarginalEffect(-0.06, -0.1, 0.0, 0.05, 0.4), 0.01, "unproven"),
        (TABLE, ("interview", 0.2), EFFECT, 0.01, "interview"),
        (TABLE, ("mixed", 0.06), MarginalEffect(reason="the regression does not converge"), nan, "interview"),
        # how common it is comes before the effect, and where its interval is beyond the bound before trust
        (StepTable(2000, 1901, 900, 40), ("mixed", 0.14), EFFECT, 0.01, "routine"),
        (StepTable(2000, 1900, 900, 40), ("mixed", 0.14), EFFECT, 0.01, "keep"),
        (StepTable(2000, 99, 40, 900), ("mixed", 0.14), EFFECT, 0.01, "niche"),
        (StepTable(2000, 100, 40, 900), ("mixed", 0.14), EFFECT, 0.01, "keep"),
        (StepTable(2000, 1990, 900, 4), ("interview", 0.4), EFFECT, 0.01, "routine"),
        (StepTable(2000, 10, 4, 900), ("interview", 0.4), EFFECT, 0.01, "niche"),
        (StepTable(40, 39, 18, 1), ("interview", 0.4), EFFECT, 0.01, "interview"),
        (StepTable(40, 1, 1, 18), ("interview", 0.4), EFFECT, 0.01, "interview"),
        (StepTable(2000, 1990, 900, 0), ("mixed", 0.1), MarginalEffect(reason="the same for all"), nan, "routine"),
    ],
)
def test_the_first_verdict_that_applies(table, trust, effect, q, expected):
    verdict, reason = _verdict(table, trust, effect, q, Evidence())

    assert verdict == expected
    assert reason


def test_without_convergence_the_reason_is_told():
    # all 600 who did it activated, 300 of the 1,400 others: the odds are infinite
    did = np.arange(2000) < 600
    row = measure(frame_of({"install": did}, did | (np.arange(2000) < 900)), framework(["install"]), {}).iloc[0]

    # the detectable difference is small, and still nothing is decided
    assert (row["trust"], row["verdict"]) == ("mixed", "interview")
    assert "the outcome is the same for all who did the step" in row["reason"]
    assert np.isnan(row["effect"])
    assert np.isnan(row["q"])
    # they are not against the grain; those who activated without it are
    assert row["talk_to"].startswith("a00600, a00601, ")


def test_whom_to_talk_to_is_bounded_and_the_largest_first():
    did = np.arange(60) < 30
    reached = np.arange(60) % 2 == 0
    mrr = np.where(np.arange(60) == 1, 900.0, np.where(np.arange(60) == 32, 700.0, np.where(np.arange(60) == 3, nan, 50.0)))
    row = measure(frame_of({"install": did}, reached, mrr=mrr), framework(["install"]), {}).iloc[0]

    names = row["talk_to"].split(", ")
    # odd numbers did it and did not activate, even ones from 30 on the reverse; no MRR is last, so beyond the 20
    assert names[:4] == ["a00001", "a00032", "a00005", "a00007"]
    assert len(names) == 20
    assert "a00003" not in names


def test_no_accounts_make_rows_that_decide_nothing():
    frame = demonstration(World(), 300, 1).iloc[:0]
    made = verdicts(frame)

    assert len(made) == len(STEPS)
    assert set(made["verdict"]) == {"interview"}
    assert set(made["detectable_difference"]) == {inf}
    assert made["adoption"].isna().all()


def test_an_account_without_a_step_is_refused():
    frame = demonstration(World(), 300, 1)

    with pytest.raises(ValueError, match="each of the 7 setup steps once"):
        verdicts(frame.iloc[1:])
    with pytest.raises(ValueError, match="each of the 7 setup steps once"):
        verdicts(pd.concat([frame.iloc[1:], frame.iloc[-1:]]))


def test_the_order_of_the_rows_does_not_matter():
    frame = demonstration(World(), 1500, 2)

    pd.testing.assert_frame_equal(verdicts(frame), verdicts(frame.sample(frac=1, random_state=1)), check_exact=True)


def test_planted_steps_get_their_verdict():
    made = verdicts(demonstration(World(intent_on_behaviour=0), 16_000, 7))["verdict"]

    assert {step: made[step] for step in CAUSES} == dict.fromkeys(CAUSES, "keep")
    assert made["customise_messenger"] == "routine"
    assert made["import_history"] == "niche"
    assert made[NO_EFFECT] == "unproven"


def test_a_step_without_effect_is_rarely_kept_where_nothing_unseen_moves_it():
    made = [verdicts(demonstration(World(intent_on_behaviour=0), 2500, seed))["verdict"] for seed in range(12)]

    assert sum(verdict[NO_EFFECT] == "keep" for verdict in made) <= 1
    assert sum(verdict[step] == "keep" for verdict in made for step in CAUSES) >= 0.95 * 12 * len(CAUSES)


def test_an_unseen_cause_is_halved_by_adjustment_and_does_not_vanish():
    # the company's intent is in no table: it moves the steps and the volume, and with them a step that does nothing
    made = verdicts(demonstration(World(), 16_000, 3))
    null = made.loc[NO_EFFECT]

    assert null["risk_difference"] > 0.12
    assert null["effect"] < 0.55 * null["risk_difference"]
    assert null["effect"] < 0.55 * null["stratified_risk_difference"]
    assert null["effect"] < 0.6 * made.loc[sorted(CAUSES), "effect"].min()
    assert null["e_value"] < made.loc[sorted(CAUSES), "e_value"].min()


def test_permuted_outcomes_keep_nothing():
    rows = landmark_rows(demonstration(World(), 1500, 4), [step.name for step in STEPS], 14)
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(40):
        reached = rows.reached.copy()
        for stratum in np.unique(rows.stratum):
            inside = np.flatnonzero(rows.stratum == stratum)
            reached[inside] = reached[rng.permutation(inside)]
        again = replace(rows, reached=reached)
        kept += (step_verdicts(again, conditional_effects(again), Evidence())["verdict"] == "keep").any()

    assert kept <= 3
