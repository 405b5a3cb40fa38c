"""The demonstration company and the default configuration speak the same words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from milestones_dagster.demo import truth
from milestones_dagster.demo.vocabulary import EVENTS, HABITS, PLANS, SETTINGS, STEPS, feature_families, feature_roles
from milestones_dagster.demo.world import World

CONFIG = Path(__file__).parents[2] / "assets_config"


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def framework() -> dict[str, Any]:
    return read("framework.yaml")


@pytest.fixture(scope="module")
def catalogue(framework: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {feature["name"]: feature for feature in framework["features"]["catalogue"]}


def events_of(feature: dict[str, Any]) -> list[str]:
    return [event for key in ("events", "on_events", "off_events") for event in feature.get(key, [])]


def test_tracking_plan_lists_exactly_the_events_of_the_company() -> None:
    plan = [event["name"] for event in read("tracking_plan.yaml")["events"]]

    assert len(plan) == len(set(plan)) == 70
    assert set(plan) == set(EVENTS)


def test_every_tracked_event_says_where_it_is_consumed(framework: dict[str, Any]) -> None:
    consumers = {event["name"]: event["consumers"] for event in read("tracking_plan.yaml")["events"]}

    assert all(consumers.values())
    for step in framework["setup"]["steps"]:
        assert all(f"setup step {step['name']}" in consumers[event] for event in step["events"])
    for feature in framework["features"]["catalogue"]:
        assert all(f"feature {feature['name']}" in consumers[event] for event in events_of(feature))


def test_every_event_of_the_framework_is_one_of_the_company(
    framework: dict[str, Any], catalogue: dict[str, dict[str, Any]]
) -> None:
    used = {event for feature in catalogue.values() for event in events_of(feature)}
    used |= {event for step in framework["setup"]["steps"] for event in step["events"]}
    used |= {*framework["activation"]["events"], *framework["usage"]["events"], *framework["usage"]["reopened_by"]}
    used |= set(framework["core_events"])

    assert used == set(EVENTS) - {"messenger_opened"}  # collected for another team, and nothing is made from it


def test_setup_steps_are_those_of_the_company_in_its_order(framework: dict[str, Any]) -> None:
    assert [(step["name"], step["events"]) for step in framework["setup"]["steps"]] == [(step.name, [step.event]) for step in STEPS]
    optional = [step["name"] for step in framework["setup"]["steps"] if not step.get("required", True)]
    assert optional == [step.name for step in STEPS if step.role == "niche"]


def test_roles_name_features_of_the_catalogue_and_their_events(catalogue: dict[str, dict[str, Any]]) -> None:
    named = [each for features in feature_roles().values() for each in features]

    assert all(each["event"] in events_of(catalogue[each["feature"]]) for each in named)
    without = set(catalogue) - {each["feature"] for each in named}
    assert without == {"contacts_users", "conversations_trend", "seats", "premium_plan"}


def test_features_are_open_to_the_same_plans(framework: dict[str, Any], catalogue: dict[str, dict[str, Any]]) -> None:
    assert [plan["name"] for plan in framework["plans"]] == list(PLANS)
    plans = {feature: habit.plans for habit in HABITS for feature in habit.features}
    plans |= {setting.name: setting.plans for setting in SETTINGS}

    for feature, expected in plans.items():
        assert tuple(catalogue[feature].get("plans", PLANS)) == expected, feature


def test_catalogue_has_enough_features_of_every_measure(catalogue: dict[str, dict[str, Any]]) -> None:
    measures = {feature["measure"] for feature in catalogue.values()}

    assert len(catalogue) == 60
    assert measures == {"used", "days", "count", "count_per_seat", "users", "trend", "setting", "attribute"}


def test_planted_thresholds_are_those_of_the_framework(framework: dict[str, Any]) -> None:
    world = World()

    assert framework["activation"]["threshold"] == world.activation_threshold
    assert framework["usage"]["threshold"] == world.usage_threshold


def test_families_begin_with_their_driver() -> None:
    families = feature_families()
    drivers = {each["feature"] for each in feature_roles()["driver"]}

    assert set(families) == {"automation", "bot", "crm", "macros", "reports"}
    assert all(members[0] in drivers and not drivers & set(members[1:]) for members in families.values())


def test_planted_roles_hold_every_step_once() -> None:
    roles = truth.planted_roles(World())["setup_steps"]

    assert sorted(name for names in roles.values() for name in names) == sorted(step.name for step in STEPS)
    assert roles["routine"] == ["customise_messenger"]
    assert roles["niche"] == ["import_history"]
    assert roles["no_effect"] == ["publish_articles"]
    assert len(roles["causes"]) == 4
