"""Parameters of the demonstration company: bounds, presets, and every switch of the structural model."""

from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest

from milestones_dagster.demo.accounts import People, draw_people
from milestones_dagster.demo.behaviour import WARNING, Paths, leaving_probability, simulate, warning_keeps
from milestones_dagster.demo.billing import Stays, returns, settle
from milestones_dagster.demo.clock import DAY, add_months, instant, month_start
from milestones_dagster.demo.vocabulary import DRIVERS, HABITS
from milestones_dagster.demo.world import Dirt, World, parameters, switches

ACCOUNTS = 20_000


def draw(world: World, months: int = 6, accounts: int = ACCOUNTS) -> tuple[People, Paths]:
    rng = np.random.Generator(np.random.Philox(11))
    people = draw_people(world, rng, np.linspace(0, 1, accounts, dtype=np.float32))
    return people, simulate(world, people, rng, months)


def lived(world: World, months: int = 14, accounts: int = 5_000) -> tuple[Stays, Stays]:
    rng = np.random.Generator(np.random.Philox(12))
    people = draw_people(world, rng, np.linspace(0, 1, accounts, dtype=np.float32))
    begin, end = instant(date(2024, 1, 31)), instant(date(2025, 2, 15))
    first = settle(world, rng, np.arange(accounts), people, np.full(accounts, begin), months, end)
    return first, returns(world, rng, first, months, end)


@pytest.mark.parametrize("name", [each.name for each in fields(World)])
def test_every_size_is_refused_outside_its_bounds(name: str) -> None:
    bounds = next(each for each in fields(World) if each.name == name).metadata

    with pytest.raises(ValueError, match=rf"World\.{name}: found .*, expected a number from"):
        replace(World(), **{name: bounds["high"] + 1})
    with pytest.raises(ValueError, match=rf"World\.{name}: found nan"):
        replace(World(), **{name: float("nan")})
    assert bounds["meaning"]


def test_dirt_is_refused_when_it_exceeds_one_half() -> None:
    with pytest.raises(ValueError, match=r"Dirt\.late_share"):
        Dirt(late_share=0.7)
    with pytest.raises(ValueError, match=r"together exceed 0\.5"):
        Dirt(late_share=0.3, future_share=0.3)
    with pytest.raises(ValueError, match=r"Dirt\.unknown_name"):
        Dirt(unknown_name="")


def test_parameters_are_plain_values() -> None:
    assert parameters(World())["activation_threshold"] == 20
    assert parameters(Dirt(missing_day=date(2025, 1, 2)))["missing_day"] == "2025-01-02"


def test_switches_tell_what_is_on_and_how_large() -> None:
    shown = switches(World.null())

    assert not shown["activation_jump"]["on"]
    assert shown["activation_jump"]["default"] == World().activation_jump
    assert shown["trial_share"]["on"]
    assert all(each["on"] for each in switches(World()).values())


def test_smooth_world_has_slopes_and_no_jump() -> None:
    smooth = World.smooth()

    assert (smooth.activation_jump, smooth.usage_jump) == (0, 0)
    assert smooth.activation_slope > World().activation_slope


def test_null_world_has_one_probability_of_leaving_a_month_for_all() -> None:
    people, paths = draw(World.null())

    assert np.ptp(paths.log_odds) < 1e-5
    assert people.early_leaving.max() < 1e-6
    assert not people.is_annual.any()


def test_confounded_null_world_differs_by_what_is_not_behaviour() -> None:
    people, paths = draw(World.null(confounded=True))

    explained = np.column_stack(
        [
            np.ones(ACCOUNTS), people.intent, people.size, people.plan == 1, people.plan == 2,
            people.is_small_healthy, people.cohort,
        ]
    )  # fmt: skip
    residual = paths.log_odds[:, 4] - explained @ np.linalg.lstsq(explained, paths.log_odds[:, 4], rcond=None)[0]
    assert np.abs(residual).max() < 1e-4
    assert np.std(paths.log_odds[:, 4]) > 0.3


def test_intent_size_and_plan_move_behaviour_only_when_on() -> None:
    def association(world: World) -> list[float]:
        people, _ = draw(world)
        volume = people.volume[~people.is_small_healthy]
        others = (people.intent, people.size, people.plan)
        return [float(abs(np.corrcoef(volume, other[~people.is_small_healthy])[0, 1])) for other in others]

    off = association(World(intent_on_behaviour=0, size_on_behaviour=0, plan_on_behaviour=0))
    assert max(off) < 0.03
    on = association(World(plan_on_behaviour=0))
    assert min(on[:2]) > 0.1


@pytest.mark.parametrize(
    ("size", "column"),
    [("intent_on_retention", "intent"), ("size_on_retention", "size"), ("plan_on_retention", "plan")],
)
def test_confounders_move_retention_only_when_on(size: str, column: str) -> None:
    def association(world: World) -> float:
        people, paths = draw(world)
        return float(abs(np.corrcoef(paths.log_odds[:, 4], getattr(people, column))[0, 1]))

    alone = World.null()
    assert association(replace(alone, **{size: 0.5})) > 0.5
    assert np.ptp(draw(alone)[1].log_odds[:, 4]) < 1e-5


def test_steps_move_volume_only_when_on() -> None:
    def gain(world: World) -> float:
        people, paths = draw(world)
        is_done = people.step_delay_days[:, 0] < 30
        added = paths.volume[:, 4] - people.volume
        return float(added[is_done].mean() - added[~is_done].mean())

    assert gain(World(step_effect=0)) == pytest.approx(0, abs=0.02)
    assert gain(World(step_effect=1)) > 1


def test_jumps_stand_at_the_thresholds_and_nowhere_else() -> None:
    people, paths = draw(replace(World.null(), activation_jump=1.0))
    reached = paths.activation_count >= 20

    odds = paths.log_odds[:, 4]
    assert np.allclose(odds[reached] - odds[~reached].mean(), -1.0, atol=1e-4)
    people, paths = draw(replace(World.null(), usage_jump=1.0))
    high = paths.ratio[:, 4] >= 12
    odds = paths.log_odds[:, 4]
    assert np.allclose(odds[high] - odds[~high].mean(), -1.0, atol=1e-4)
    assert len(people) == ACCOUNTS


def test_slope_without_jump_is_smooth() -> None:
    _, paths = draw(replace(World.null(), activation_slope=0.5))
    odds, count = paths.log_odds[:, 4], paths.activation_count

    below, above = odds[count == 19].mean(), odds[count == 20].mean()
    assert 0 < below - above < 0.05
    assert odds[count == 2].mean() - odds[count == 40].mean() > 1


def test_drivers_lower_the_odds_of_leaving_by_their_effect() -> None:
    _, paths = draw(replace(World.null(), driver_effect=1.0))
    effects = np.array([HABITS[place].effect for place in DRIVERS])

    change = paths.log_odds[:, 4] - paths.log_odds[:, 4].max()
    assert np.allclose(change, -(paths.uses_driver[:, 4] @ effects), atol=1e-3)


def test_families_are_correlated_by_the_size_that_is_said() -> None:
    def correlation(size: float) -> float:
        people, _ = draw(World(family_correlation=size), months=1)
        members = [place for place, habit in enumerate(HABITS) if habit.family == "reports"]
        return float(np.corrcoef(people.inclination[:, members].T)[0, 1])

    assert correlation(0.65) == pytest.approx(0.65, abs=0.03)
    assert correlation(0) == pytest.approx(0, abs=0.03)


def test_warning_feature_falls_in_the_two_last_months_only_when_on() -> None:
    assert HABITS[WARNING].event == "mobile_inbox_opened"
    assert HABITS[WARNING].effect == 0
    assert [warning_keeps(World(warning_fall=0.5), month) for month in (0, 1)] == pytest.approx([0.5, 0.7])
    assert [warning_keeps(World(warning_fall=0), month) for month in (0, 1)] == [1, 1]


def test_dormancy_stops_conversations_and_can_be_off() -> None:
    people, paths = draw(World(dormancy=0.1))

    assert 0.05 < paths.is_dormant[:, 5].mean() < 0.5
    assert paths.started[:, 1:][paths.is_dormant].sum() == 0
    assert not paths.is_dormant[people.is_small_healthy].any()
    assert not draw(World(dormancy=0))[1].is_dormant.any()


def test_growth_and_upgrades_come_after_three_months_and_can_be_off() -> None:
    people, paths = draw(World())

    assert (paths.seats[:, 2] == people.seats).all()
    assert (paths.plan[:, 3] == people.plan).all()
    assert (paths.seats[:, 5] > people.seats).mean() > 0.05
    people, paths = draw(World(growth=0, upgrade=0))
    assert (paths.seats[:, 5] == people.seats).all()
    assert (paths.plan[:, 5] == people.plan).all()


def test_growth_and_upgrades_move_no_odds_of_leaving() -> None:
    _, paths = draw(replace(World.null(), growth=0.4, upgrade=0.3), months=8)

    assert np.ptp(paths.log_odds[:, 2:]) < 1e-5


def test_cohorts_drift_only_when_on() -> None:
    def fall(world: World) -> float:
        people, _ = draw(world, months=1)
        return float(people.intent[: ACCOUNTS // 4].mean() - people.intent[-ACCOUNTS // 4 :].mean())

    assert fall(World(cohort_drift=1)) == pytest.approx(0.225, abs=0.06)
    assert fall(World(cohort_drift=0)) == pytest.approx(0, abs=0.06)
    _, paths = draw(replace(World.null(), cohort_drift=1))
    assert paths.log_odds[-1, 4] - paths.log_odds[0, 4] == pytest.approx(0.3, abs=1e-3)


def test_small_healthy_accounts_are_small_and_healthy() -> None:
    people, paths = draw(World())
    rows = people.is_small_healthy

    assert rows.mean() == pytest.approx(0.07, abs=0.01)
    assert people.seats[rows].max() == 2
    assert (paths.ratio[rows, 5] >= 12).mean() > 0.6
    assert paths.log_odds[rows, 5].mean() < paths.log_odds[~rows, 5].mean() - 0.8
    assert not draw(World(small_healthy_share=0))[0].is_small_healthy.any()


def test_annual_terms_allow_leaving_at_renewals_alone() -> None:
    people, paths = draw(World(), months=13)
    leaving = leaving_probability(people, paths.log_odds)[people.is_annual]

    assert (leaving[:, :11] == 0).all()
    assert (leaving[:, 12] == 0).all()
    assert 0.02 < leaving[:, 11].mean() < 0.6
    assert people.is_annual.mean() == pytest.approx(0.2, abs=0.03)
    assert not draw(World(annual_share=0))[0].is_annual.any()


def test_early_leavers_leave_within_twelve_days_only_when_on() -> None:
    first, _ = lived(World())
    days = (first.end_at - first.begin[:, 0]) / DAY

    early = first.has_left & ~first.people.is_trial_only & (days <= 12)
    assert 0.02 < early.mean() < 0.06
    assert not (first.has_left & (days > 12.1) & (days < 28)).any()
    first, _ = lived(World(early_leaving_share=0))
    days = (first.end_at - first.begin[:, 0]) / DAY
    assert not (first.has_left & ~first.people.is_trial_only & (days < 28)).any()


def test_patience_keeps_customers_in_the_first_two_months_only_when_on() -> None:
    _, paths = draw(replace(World.null(), patience=1))

    assert paths.log_odds[0] - paths.log_odds[0, 5] == pytest.approx([-1.1, -0.4, 0, 0, 0, 0], abs=1e-4)


def test_returns_come_after_nine_days_and_can_be_off() -> None:
    first, second = lived(World(return_share=0.5))

    left_at = first.end_at[second.account]
    assert second.account.size > 100
    assert ((second.begin[:, 0] - left_at) >= 9 * DAY).all()
    assert first.has_left[second.account].all()
    assert lived(World(return_share=0))[1].account.size == 0


def test_billing_gaps_last_one_to_six_days_and_can_be_off() -> None:
    first, _ = lived(World(billing_gap_share=0.1))
    gaps = first.gap[first.gap > 0]

    assert gaps.size > 1000
    assert gaps.min() >= DAY
    assert gaps.max() <= 6 * DAY
    assert not first.gap[:, 0].any()
    assert not lived(World(billing_gap_share=0))[0].gap.any()


def test_trials_can_be_off() -> None:
    people, _ = draw(World(trial_share=0), months=1)

    assert not people.has_trial.any()
    assert not people.is_trial_only.any()
    assert not draw(World(trial_only_share=0), months=1)[0].is_trial_only.any()


def test_months_are_clamped_to_the_end_of_the_month() -> None:
    at = np.array([instant(date(2024, 1, 31)) + 5, instant(date(2023, 11, 30))])

    assert add_months(at, 1).tolist() == [instant(date(2024, 2, 29)) + 5, instant(date(2023, 12, 30))]
    assert add_months(at, 13).tolist() == [instant(date(2025, 2, 28)) + 5, instant(date(2024, 12, 30))]
    assert month_start(date(2026, 7, 1), 24) == date(2024, 7, 1)
