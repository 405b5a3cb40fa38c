"""The relations of a small config, worked out by hand beside it; fallbacks; what the fingerprint sees."""

from datetime import datetime
from pathlib import Path

import pytest
from test_config_world import FRAMEWORK, SOURCES, changed, write

from milestones_dagster.config.loader import load_config
from milestones_dagster.config.relations import relations

WORLD = """\
product: Desk
time_zone: America/New_York
plans:
  - {name: starter, title: Starter}
  - {name: Partner, sells_seats: false}
core_events: [talk_resolved, "nova.*"]
size_strata: [1, 2, 10]
setup:
  window: 60 d
  steps:
    - name: install
      title: Install
      events: [installed]
      where: {platform: [web, ios, web], trial: false, version: 2}
      minimum_count: 3
    - {name: second_author, title: A second author, events: [saved], distinct: users, minimum_distinct: 2}
    - {name: second_project, title: A second project, events: ["nova.*", saved], distinct: project, minimum_distinct: 2, required: false}
activation: {title: Talks, events: [talk_started], window: 90 d, threshold: 20}
usage: {title: Resolved, events: [talk_resolved], entity: talk_id, reopened_by: [talk_reopened], contact_events: ["talk_*", installed], where: {kind: chat}, seats: active_users, threshold: 1.5}
maturity:
  mature_categories: 1
  window: 28 d
  categories:
    - name: channels
      title: Channels
      basic: {at_least: 1, of: [talks, dark_mode]}
      mature: {at_least: 1, of: [talks], minimum_days: 5}
outcomes:
  retention: {basis: activity, window: "[181d, 366d)"}
  dormancy: {after: 1 month}
  expansion: {minimum: 1.2}
features:
  catalogue:
    - {name: talks, title: Talks, category: channels, measure: days, events: ["talk_*"], plans: [Partner]}
    - {name: dark_mode, title: Dark mode, category: look, measure: setting, on_events: [dark_on], off_events: [dark_off]}
    - {name: partner, title: Partner, category: account, measure: attribute, attribute: plan, equals: Partner}
areas:
  - {name: talk, title: Days with talks, feature: talks, threshold: 4}
  - {name: nova, title: Nova and saves per seat, measure: count_per_seat, events: ["nova.*", saved], threshold: auto}
adoption_benchmark: {ubiquitous: 0.7}
retention_by_activation: {bands: [1, 2, 3, 5, 10], cohorts_before: 2025-08-01}
review: {adopted_on: 2025-03-01}
"""
SOURCES_OF_WORLD = """\
events:
  - {name: app, path: e.csv, columns: {account_id: a, user_id: u, event: e, occurred_at: t}}
  - {name: web, path: w.csv, columns: {account_id: a, event: e, occurred_at: t}}
accounts:
  path: a.csv
  columns: {account_id: a, plan: p, seats: s}
  known_at: {plan: created}
  attributes: {country: {column: c, known_at: history}}
users: {path: u.csv, columns: {user_id: u}, attributes: {role: {column: r}}}
"""
PLAN_OF_WORLD = "events:\n" + "\n".join(
    f"  - {{name: {name}, description: About {name}.}}"
    for name in (
        [
            "talk_started",
            "talk_resolved",
            "talk_reopened",
            "nova.merged",
            "nova.opened",
            "installed",
            "saved",
            "dark_on",
            "dark_off",
        ]
    )
)


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> dict[str, tuple[dict[str, str], list[tuple[object, ...]]]]:
    folder = write(tmp_path, framework=WORLD, sources=SOURCES_OF_WORLD, tracking_plan=PLAN_OF_WORLD)
    return {name: (dict(made.columns), made.rows) for name, made in relations(load_config(folder, {})).items()}


EXPECTED: dict[str, list[tuple[object, ...]]] = {
    "product": [("Desk", "America/New_York", "usd")],
    "duration": [
        ("setup_window", 0, 60 * 86_400),
        ("activation_window", 0, 90 * 86_400),
        ("maturity_window", 0, 28 * 86_400),
        ("feature_window", 0, 30 * 86_400),
        ("adoption_window", 0, 90 * 86_400),
        ("retention_window_start", 0, 181 * 86_400),
        ("retention_window_end", 0, 366 * 86_400),
        ("retention_gap", 0, 7 * 86_400),
        ("dormancy_after", 1, 0),
    ],
    "threshold": [("activation", 1, 20.0, False), ("usage", 2, 1.5, False), ("maturity", 3, 1.0, False)],
    # midnight of 1 August in New York is 04:00 UTC
    "policy": [("activity", "window", False, "active_users", True, 0.7, 0.05, 1.2, datetime(2025, 8, 1, 4))],  # noqa: DTZ001
    "plan": [("starter", "Starter", True), ("Partner", "Partner", False)],
    "setup_step": [
        ("install", "Install", 1, True, 3, None),
        ("second_author", "A second author", 2, True, 1, 2),
        ("second_project", "A second project", 3, False, 1, 2),
    ],
    "rule": [
        ("setup:install", "installed", None, None, None),
        ("setup:second_author", "saved", "users", None, None),
        ("setup:second_project", "nova.merged", "property", "project", None),
        ("setup:second_project", "nova.opened", "property", "project", None),
        ("setup:second_project", "saved", "property", "project", None),
        ("activation", "talk_started", None, None, None),
        ("usage", "talk_resolved", None, None, "talk_id"),
        ("usage_reopened", "talk_reopened", None, None, "talk_id"),
        ("usage_contact", "talk_started", None, None, "talk_id"),
        ("usage_contact", "talk_resolved", None, None, "talk_id"),
        ("usage_contact", "talk_reopened", None, None, "talk_id"),
        ("usage_contact", "installed", None, None, "talk_id"),
        ("core", "talk_resolved", None, None, None),
        ("core", "nova.merged", None, None, None),
        ("core", "nova.opened", None, None, None),
    ],
    "rule_filter": [
        ("setup:install", "platform", "web"),
        ("setup:install", "platform", "ios"),
        ("setup:install", "trial", "false"),
        ("setup:install", "version", "2"),
        ("usage", "kind", "chat"),
    ],
    "maturity_category": [("channels", "Channels", 1)],
    "maturity_rule": [("channels", "basic", 1, 1), ("channels", "mature", 1, 5)],
    "maturity_signal": [
        ("channels", "basic", "talks", 1),
        ("channels", "basic", "dark_mode", 2),
        ("channels", "mature", "talks", 1),
    ],
    "feature": [
        ("talks", "Talks", "channels", "days", 1, None, None),
        ("dark_mode", "Dark mode", "look", "setting", 2, None, None),
        ("partner", "Partner", "account", "attribute", 3, "plan", "Partner"),
    ],
    "feature_event": [
        ("talks", "talk_started", "use"),
        ("talks", "talk_resolved", "use"),
        ("talks", "talk_reopened", "use"),
        ("dark_mode", "dark_on", "on"),
        ("dark_mode", "dark_off", "off"),
    ],
    "feature_plan": [("talks", "Partner")],
    "area": [("talk", "Days with talks", "days", 4.0, 1), ("nova", "Nova and saves per seat", "count_per_seat", None, 2)],
    "area_event": [
        ("talk", "talk_started"),
        ("talk", "talk_resolved"),
        ("talk", "talk_reopened"),
        ("nova", "nova.merged"),
        ("nova", "nova.opened"),
        ("nova", "saved"),
    ],
    "size_stratum": [("1", 1.0, 2.0, 1), ("2-9", 2.0, 10.0, 2), ("10+", 10.0, None, 3)],
    "activation_band": [("1", 1, 2, 1), ("2", 2, 3, 2), ("3-4", 3, 5, 3), ("5-9", 5, 10, 4), ("10+", 10, None, 5)],
    "feature_ranking": [(5, 0.6, 100, 50, 12, 0.2, 5, 0.7, 5, 500, 60000, 0)],
    "threshold_search": [(0.1, 0.9, 40, 500, 1000, 200000, 0)],
    # midnight in New York, in March still winter time
    "review": [(datetime(2025, 3, 1, 5),)],  # noqa: DTZ001
    "evidence": [(0.01, 0.05, 0.95)],
    "tracked_event": [
        (name, f"About {name}.")
        for name in (
            [
                "talk_started",
                "talk_resolved",
                "talk_reopened",
                "nova.merged",
                "nova.opened",
                "installed",
                "saved",
                "dark_on",
                "dark_off",
            ]
        )
    ],
    "attribute": [
        ("accounts", "plan", "created"),
        ("accounts", "seats", "hindsight"),
        ("accounts", "country", "history"),
        ("users", "role", "hindsight"),
    ],
    "declared_source": [("app", "events"), ("web", "events"), ("accounts", "accounts"), ("users", "users")],
    "configured_event": [
        ("installed", "setup step install", False),
        ("saved", "setup step second_author", False),
        ("nova.merged", "setup step second_project", False),
        ("nova.opened", "setup step second_project", False),
        ("saved", "setup step second_project", False),
        ("talk_started", "activation", False),
        ("talk_resolved", "usage", True),
        ("talk_reopened", "usage reopened", True),
        ("talk_started", "usage contact", True),
        ("talk_resolved", "usage contact", True),
        ("talk_reopened", "usage contact", True),
        ("installed", "usage contact", True),
        ("talk_resolved", "core events", False),
        ("nova.merged", "core events", False),
        ("nova.opened", "core events", False),
        ("talk_started", "feature talks", False),
        ("talk_resolved", "feature talks", False),
        ("talk_reopened", "feature talks", False),
        ("dark_on", "feature dark_mode", False),
        ("dark_off", "feature dark_mode", False),
        ("talk_started", "category channels", False),
        ("talk_resolved", "category channels", False),
        ("talk_reopened", "category channels", False),
        ("dark_on", "category channels", False),
        ("dark_off", "category channels", False),
        ("talk_started", "area talk", False),
        ("talk_resolved", "area talk", False),
        ("talk_reopened", "area talk", False),
        ("nova.merged", "area nova", False),
        ("nova.opened", "area nova", False),
        ("saved", "area nova", False),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_rows(made: dict[str, tuple[dict[str, str], list[tuple[object, ...]]]], name: str) -> None:
    assert made[name][1] == EXPECTED[name]


def test_there_is_no_other_relation_and_rows_fit_their_columns(
    made: dict[str, tuple[dict[str, str], list[tuple[object, ...]]]],
) -> None:
    assert made.keys() == EXPECTED.keys()
    for name, (columns, rows) in made.items():
        assert {len(row) for row in rows} <= {len(columns)}, name
    assert made["policy"][0]["cohorts_before"] == "TIMESTAMP"
    assert made["rule"][0] == dict.fromkeys(("rule", "event", "distinct_by", "distinct_property", "entity_property"), "VARCHAR")


def test_the_horizon_form_and_optional_parts(tmp_path: Path) -> None:
    made = relations(load_config(write(tmp_path), {}))
    names = [row[0] for row in made["duration"].rows]
    assert ("retention_horizon", 3, 0) in made["duration"].rows
    assert "retention_window_start" not in names
    assert made["policy"].rows[0][1] == "horizon"
    assert made["policy"].rows[0][-1] is None
    assert made["rule_filter"].rows == []
    assert [row[0] for row in made["size_stratum"].rows] == ["1-4", "5-19", "20-99", "100+"]
    assert [row[0] for row in made["activation_band"].rows] == ["0", "1-9", "10-19", "20-39", "40+"]


SUBSCRIPTIONS = "subscriptions: {path: s.csv, columns: {account_id: a, started_at: t, seats: n}}\n"


@pytest.mark.parametrize(
    ("sources", "framework", "basis", "seats"),
    [
        (SOURCES, FRAMEWORK, "activity", "active_users"),
        (SOURCES + SUBSCRIPTIONS, FRAMEWORK, "subscriptions", "subscriptions"),
        (SOURCES + SUBSCRIPTIONS.replace(", seats: n", ""), FRAMEWORK, "subscriptions", "active_users"),
        (
            SOURCES + SUBSCRIPTIONS,
            FRAMEWORK + 'outcomes: {retention: {window: "[181d, 366d)"}}\n',
            "activity",
            "subscriptions",
        ),
        # seats known only today say nothing of past months
        (changed(SOURCES, "created_at: made_at", "seats: n"), FRAMEWORK, "activity", "active_users"),
        (
            changed(SOURCES, "created_at: made_at}", "seats: n}\n  known_at: {seats: created}"),
            FRAMEWORK,
            "activity",
            "account",
        ),
    ],
)
def test_fallbacks(tmp_path: Path, sources: str, framework: str, basis: str, seats: str) -> None:
    config = load_config(write(tmp_path, sources=sources, framework=framework), {})
    assert (config.framework.outcomes.retention.basis, config.framework.usage.seats) == (basis, seats)
    policy = relations(config)["policy"].rows[0]
    assert (policy[0], policy[3]) == (basis, seats)
    assert any("active in the month" in sentence for sentence in config.fallbacks) == (seats == "active_users")
    assert any("No subscriptions" in sentence for sentence in config.fallbacks) == ("subscriptions:" not in sources)


@pytest.mark.parametrize(
    ("written", "adopted", "is_auto"),
    [("5", 5.0, False), ("auto", None, True), ("auto, adopted_threshold: 4", 4.0, True)],
)
def test_a_threshold_is_a_number_or_what_the_data_derive(tmp_path: Path, written: str, adopted: float, is_auto: bool) -> None:
    config = load_config(write(tmp_path, framework=changed(FRAMEWORK, "threshold: 5", f"threshold: {written}")), {})
    assert relations(config)["threshold"].rows[0] == ("activation", 1, adopted, is_auto)
    assert config.framework.left_to_the_data == ({"activation"} if is_auto else set())


@pytest.mark.parametrize(("second", "left"), [("auto", {"areas"}), ("2", set())])
def test_areas_are_left_to_the_data_where_one_of_them_says_auto(tmp_path: Path, second: str, left: set[str]) -> None:
    areas = "areas:\n" + "".join(
        f"  - {{name: {name}, title: Notes, measure: count, events: [note_saved], threshold: {threshold}}}\n"
        for name, threshold in (("first", "3"), ("second", second))
    )
    assert load_config(write(tmp_path, framework=FRAMEWORK + areas), {}).framework.left_to_the_data == left


def fingerprint(folder: Path, **changes: str) -> str:
    return load_config(write(folder, **changes), {}).fingerprint


def test_the_fingerprint_sees_the_framework_alone(tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    assert len(before) == 64
    reordered = "\n".join(["# a comment", "size_strata: [1, 5, 20, 100]", *FRAMEWORK.splitlines()[1:], "product: Notes"])
    assert fingerprint(tmp_path, framework=reordered) == before
    assert fingerprint(tmp_path, sources=changed(SOURCES, "events/*.csv", "other/*.csv")) == before
    assert fingerprint(tmp_path, warehouse="threads: 2") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("threshold: 5", "threshold: 6"),
        ("threshold: 5", "threshold: auto"),
        ("threshold: 5", "threshold: auto, adopted_threshold: 5"),
        ("title: Write a note", "title: Write one note"),
        ("minimum_days: 5", "minimum_days: 6"),
        ("product: Notes", "product: Notes\nfeature_ranking: {seed: 1}"),
        ("product: Notes", "product: Notes\noutcomes: {retention: {gap: 8 d}}"),
        ("threshold: 2}", "threshold: 2, where: {note_id: 7}}"),
    ],
)
def test_the_fingerprint_changes_with_the_framework(tmp_path: Path, old: str, new: str) -> None:
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path, framework=changed(FRAMEWORK, old, new)) != before


def test_a_pattern_that_means_more_events_changes_the_fingerprint(tmp_path: Path) -> None:
    framework = changed(FRAMEWORK, "core_events: [note_saved]", 'core_events: ["note_*"]')
    before = fingerprint(tmp_path, framework=framework)
    (tmp_path / "tracking_plan.yaml").write_text(
        (tmp_path / "tracking_plan.yaml").read_text(encoding="utf-8") + "  - {name: note_read, description: Read.}\n",
        encoding="utf-8",
    )
    assert load_config(tmp_path, {}).fingerprint != before
