"""The planted truth's population quantities: what each switch does to them, and causal apart from associational."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from milestones_dagster.demo.truth import planted_roles, population_quantities
from milestones_dagster.demo.vocabulary import HABITS, STEPS, feature_roles
from milestones_dagster.demo.world import World

DRAWS = 40_000
CAUSING = [step.name for step in STEPS if step.role == "causes"]


@cache
def population(world: World) -> dict[str, Any]:
    return population_quantities(world, DRAWS)


def steps(world: World) -> dict[str, Any]:
    return population(world)["associational"]["activated_by_step_within_14_days"]


def features(world: World) -> dict[str, Any]:
    return population(world)["associational"]["retained_by_feature_used_in_month"]


def test_quantities_do_not_depend_on_anything_but_the_world() -> None:
    assert population_quantities(World(), DRAWS) == population(World())
    assert population(World())["draws"] == DRAWS


def test_default_world_is_a_plausible_company() -> None:
    seen = population(World())["associational"]

    assert 0.55 < seen["activated"] < 0.75
    assert 0.85 < seen["retained"] < 0.92
    assert 0.30 < seen["retained_by_usage_reached"]["share_inside"] < 0.60


def test_associations_exceed_effects_where_intent_confounds() -> None:
    both = population(World())
    causal = both["causal"]["activated_by_step"]

    for name in CAUSING:
        assert 0.05 < causal[name]["effect"] < steps(World())[name]["difference"], name
        share = causal[name]["activated_if_done_within_14_days"] - causal[name]["activated_if_never_done"]
        assert causal[name]["effect"] == pytest.approx(share, abs=2e-5)
    assert causal["publish_articles"]["effect"] == 0
    assert steps(World())["publish_articles"]["difference"] > 0.08
    jump = both["causal"]["retained_by_crossing_the_activation_threshold"]
    assert 0.02 < jump < both["associational"]["retained_by_activated"]["difference"]


def test_routine_and_niche_steps_lie_outside_the_adoption_bounds() -> None:
    seen = population(World())["associational"]["activated_after_day_14_by_step"]

    assert seen["customise_messenger"]["share_inside"] > 0.96
    assert seen["import_history"]["share_inside"] < 0.04
    assert all(0.2 < seen[name]["share_inside"] < 0.8 for name in [*CAUSING, "publish_articles"])


def test_without_confounders_a_step_without_effect_goes_with_nothing() -> None:
    world = World(intent_on_behaviour=0, size_on_behaviour=0, plan_on_behaviour=0)

    assert steps(world)["publish_articles"]["difference"] == pytest.approx(0, abs=0.02)
    assert steps(world)["install_messenger"]["difference"] > 0.1


def test_step_effect_off_leaves_association_alone() -> None:
    world = World(step_effect=0)

    assert all(each["effect"] == 0 for each in population(world)["causal"]["activated_by_step"].values())
    assert steps(world)["install_messenger"]["difference"] > 0.03


def test_jumps_off_have_no_effect_of_crossing() -> None:
    causal = population(World.smooth())["causal"]

    assert causal["retained_by_crossing_the_activation_threshold"] == 0
    assert causal["retained_by_crossing_the_usage_threshold_every_month"] == 0
    assert causal["retained_by_activation_count"]["effect"] > 0.05
    roles = planted_roles(World.smooth())["thresholds"]
    assert not roles["activation"]["is_sharp"]
    assert not roles["usage"]["is_sharp"]


def test_null_world_has_neither_association_nor_effect() -> None:
    null = population(World.null())

    seen, causal = null["associational"], null["causal"]
    assert seen["retained_by_activated"]["difference"] == pytest.approx(0, abs=1e-4)
    assert seen["retained_by_usage_reached"]["difference"] == pytest.approx(0, abs=1e-4)
    assert all(abs(each["difference"]) < 1e-4 for each in features(World.null()).values())
    assert causal["retained_by_activation_count"]["effect"] == 0
    assert not any(causal["retained_by_feature_used_every_month"].values())


def test_confounded_null_world_has_association_without_effect() -> None:
    world = World.null(confounded=True)
    both = population(world)

    assert both["associational"]["retained_by_activated"]["difference"] > 0.02
    assert both["causal"]["retained_by_crossing_the_activation_threshold"] == 0
    assert both["causal"]["retained_by_activation_count"]["effect"] == 0


def test_drivers_have_effects_and_other_features_none() -> None:
    causal = population(World())["causal"]["retained_by_feature_used_every_month"]
    drivers = {each["feature"] for each in feature_roles()["driver"]}

    assert {name for name, effect in causal.items() if effect} == drivers
    assert all(causal[name] > 0.03 for name in drivers)
    assert set(causal) == {feature for habit in HABITS for feature in habit.features}
    off = population(World(driver_effect=0))["causal"]["retained_by_feature_used_every_month"]
    assert not any(off.values())


def test_family_members_borrow_their_drivers_association() -> None:
    def gain(name: str) -> float:
        together, apart = World(), World(family_correlation=0)
        return features(together)[name]["difference"] - features(apart)[name]["difference"]

    assert gain("workflow_edits_days") > 0.005
    assert gain("macro_edits_used") > 0.005
    assert gain("notes_days") == pytest.approx(0, abs=0.005)


def test_niche_features_look_important_through_the_premium_plan() -> None:
    for each in feature_roles()["niche_premium"]:
        if each["feature"] == "single_sign_on":  # a setting, not a habit
            continue
        seen = features(World())[each["feature"]]
        assert seen["share_inside"] < 0.03
        assert seen["difference"] > 0.05
        assert seen["difference_within_plan_and_size"] < 0.4 * seen["difference"]


def test_ubiquitous_features_are_used_by_nearly_all() -> None:
    ubiquitous = {each["feature"] for each in feature_roles()["ubiquitous"]}

    assert all(features(World())[name]["share_inside"] > 0.9 for name in ubiquitous)
    others = [each["share_inside_eligible"] for name, each in features(World()).items() if name not in ubiquitous]
    assert max(others) < 0.7


def test_warning_feature_goes_with_retention_because_leaving_comes_first() -> None:
    null = World.null()

    assert features(replace(null, warning_fall=0.85))["mobile_inbox_days"]["difference"] > 0.01
    assert features(null)["mobile_inbox_days"]["difference"] == pytest.approx(0, abs=1e-4)


def test_early_leavers_lower_activation() -> None:
    few, many = (population(World(early_leaving_share=share))["associational"]["activated"] for share in (0, 0.2))

    assert many < 0.85 * few
