"""The graph that `build_defs` makes of a small world: a snapshot, and the rules that hold for every asset of it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from graph_text import SNAPSHOT, graph_text
from scenario import World, merged, write_yaml

from milestones_dagster.wiring import build_defs

SQL = Path(__file__).resolve().parent.parent.parent / "milestones_dagster" / "sql"
FILES = {path.stem: path for path in SQL.glob("*/*.sql")}
HEADERS = {name: path.read_text(encoding="utf-8").split("*/", 1)[0] for name, path in FILES.items()}
SELECTS = {name: path.read_text(encoding="utf-8").split("*/", 1)[1] for name, path in FILES.items()}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return World(events=[], last_day="2025-01-05", framework={"time_zone": "Europe/Dublin"}).write(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def definitions(config: Path) -> dg.Definitions:
    return build_defs(config)


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def read_by(name: str) -> set[str]:
    """The tables that a SELECT names after FROM or JOIN, found in its text (a CTE's name is not one), and those of the header."""
    text = re.sub(r"--.*", "", SELECTS[name])
    made_inside = set(re.findall(r"(?:WITH|,)\s+(\w+)\s+AS\s+\(\s*(?:WITH|SELECT)", text))
    header = yaml.safe_load(HEADERS[name].lstrip().removeprefix("/*"))
    # the small world's thresholds are numbers
    unread = {name for names in header.get("where_auto", {}).values() for name in names}
    named = set(re.findall(r"(?:FROM|JOIN)\s+(\w+)\b(?!\.)", text)) & set(FILES)
    drawn_with = {table for table in header.get("plot_with", []) if not table.startswith("config.")}
    return (named - made_inside - unread - {name}) | set(header.get("also", [])) | drawn_with


def all_above(name: str) -> set[str]:
    direct = read_by(name)
    return direct.union(*(all_above(table) for table in direct)) if direct else set()


def test_the_graph_is_the_one_of_the_snapshot(definitions: dg.Definitions) -> None:
    assert graph_text(definitions) == SNAPSHOT.read_text(encoding="utf-8"), "renew it: see graph_text.py"


def test_there_is_one_asset_for_every_sql_file_and_the_serving_copy(specs: Mapping[str, dg.AssetSpec]) -> None:
    assert set(specs) == {*FILES, "serving"}
    asked_for = {
        "raw_events", "accounts", "users", "subscriptions", "account_history", "account_event_daily", "rule_events",
        "account_months", "setup_steps", "activation_cohort", "usage_ratio", "maturity_categories", "retention_outcomes",
        "customer_milestones", "milestone_summary", "retention_by_activation", "feature_matrix", "feature_importance",
    }  # fmt: skip
    assert asked_for <= set(specs)


def test_the_group_of_an_asset_is_its_schema(specs: Mapping[str, dg.AssetSpec]) -> None:
    groups = {name: spec.group_name for name, spec in specs.items()}
    assert groups == {name: path.parent.name for name, path in FILES.items()} | {"serving": "operations"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_asset_depends_on_the_tables_that_its_select_reads(name: str, specs: Mapping[str, dg.AssetSpec]) -> None:
    wanted = read_by(name)
    # the as-of time follows from the loaded days: who reads it comes after them, by itself where nothing else leads there
    if "run." in SELECTS[name] and "raw_events" not in all_above(name) | {name}:
        wanted = wanted | {"raw_events"}
    assert {dep.asset_key.to_user_string() for dep in specs[name].deps} == wanted


def test_every_asset_follows_the_events(definitions: dg.Definitions) -> None:
    # so that a refused day stops all of them
    graph = definitions.resolve_asset_graph()
    events = dg.AssetKey("raw_events")
    assert all(events in graph.get_ancestor_asset_keys(key) for key in graph.get_all_asset_keys() - {events})


def test_only_rules_that_may_be_wrong_about_good_rows_warn(definitions: dg.Definitions) -> None:
    warning = {check.key.to_user_string() for asset in definitions.assets for check in asset.check_specs if not check.blocking}
    assert warning == {
        "accounts:created_before_first_event",
        "accounts:source_columns",
        "account_months:seats_positive_where_paid",
        "event_catalogue:configured_events_arrive",
        "event_catalogue:configured_rules_match",
        "event_catalogue:events_in_tracking_plan",
        "subscriptions:plans_known",
        "subscriptions:price_list_changes_alone",
        "subscriptions:states_without_overlap",
        "framework_review:no_alarm_raised",
        "subscriptions:source_columns",
        "users:source_columns",
    }


def test_the_partitioned_asset_has_three_checks_at_most(definitions: dg.Definitions) -> None:
    (events,) = [asset for asset in definitions.assets if asset.key == dg.AssetKey("raw_events")]
    assert [check.name for check in events.check_specs] == ["shape", "keys", "rows"]
    assert isinstance(events.partitions_def, dg.DailyPartitionsDefinition)
    assert events.backfill_policy == dg.BackfillPolicy.single_run()
    others = [asset for asset in definitions.assets if asset is not events]
    assert all(asset.partitions_def is None for asset in others)


def test_days_begin_with_the_first_that_a_source_declares(tmp_path: Path) -> None:
    config = World(events=[], last_day="2025-01-05").write(tmp_path)
    sources = yaml.safe_load((config / "sources.yaml").read_text(encoding="utf-8"))
    sources["events"][0]["starts_on"] = "2025-01-03"
    write_yaml(config / "sources.yaml", sources)
    (events,) = [asset for asset in build_defs(config).assets if asset.key == dg.AssetKey("raw_events")]
    assert events.partitions_def.get_first_partition_key() == "2025-01-03"


def test_every_asset_has_an_owner_kinds_a_description_and_the_pool(
    definitions: dg.Definitions, specs: Mapping[str, dg.AssetSpec]
) -> None:
    for name, spec in specs.items():
        assert spec.owners == ["team:data-platform"], name
        assert "duckdb" in spec.kinds, name
        assert spec.description, name
    assert specs["raw_events"].kinds == {"duckdb", "parquet"}
    assert specs["feature_importance"].kinds == {"duckdb", "sql", "scikitlearn"}
    assert specs["usage_ratio"].kinds == {"duckdb", "sql"}
    assert {asset.op.pool for asset in definitions.assets} == {"milestones_warehouse"}


@pytest.mark.parametrize("name", sorted(set(FILES) - {"feature_matrix"}))
def test_the_column_schema_is_the_declared_one(name: str, specs: Mapping[str, dg.AssetSpec]) -> None:
    declared = yaml.safe_load(HEADERS[name].lstrip().removeprefix("/*"))
    beside = HEADERS.get(declared.get("columns_as"), "columns: {}")
    columns = yaml.safe_load(beside.lstrip().removeprefix("/*"))["columns"] | declared["columns"]
    schema = specs[name].metadata["dagster/column_schema"]
    shown = {column.name: (column.type, column.constraints.nullable, column.constraints.unique) for column in schema.columns}
    assert shown == {
        column: (text.split()[0], " NOT NULL" not in text.split(" -- ")[0], declared["key"] == [column])
        for column, text in columns.items()
    }
    assert all(column.description for column in schema.columns)


def test_the_feature_matrix_has_a_column_for_every_feature_of_the_catalogue(specs: Mapping[str, dg.AssetSpec]) -> None:
    columns = {column.name: column.description for column in specs["feature_matrix"].metadata["dagster/column_schema"].columns}
    assert columns["chat_days"] == "Chat days"
    assert len(columns) == 6 + 10  # keys, times, outcome, plan, size; the small world's catalogue


def test_what_is_served_and_the_events_are_watched_for_freshness(specs: Mapping[str, dg.AssetSpec]) -> None:
    watched = {name for name, spec in specs.items() if spec.freshness_policy is not None}
    assert watched == {"raw_events"} | {name for name, path in FILES.items() if path.parent.name in {"milestones", "evidence"}}
    policy = specs["customer_milestones"].freshness_policy
    # a daily run may be two hours late before it is noted and twelve before it fails
    assert (policy.warn_window.to_timedelta(), policy.fail_window.to_timedelta()) == (timedelta(hours=26), timedelta(hours=36))


# --- code versions --------------------------------------------------------------------------------------------------


def changed_versions(config: Path, folder: Path, specs: Mapping[str, dg.AssetSpec], changes: Mapping[str, Any]) -> set[str]:
    edited = folder / "config"
    edited.mkdir()
    for path in config.iterdir():
        (edited / path.name).write_bytes(path.read_bytes())
    framework = yaml.safe_load((config / "framework.yaml").read_text(encoding="utf-8"))
    write_yaml(edited / "framework.yaml", merged(framework, changes))
    versions = {spec.key.to_user_string(): spec.code_version for spec in build_defs(edited).resolve_all_asset_specs()}
    return {name for name, spec in specs.items() if spec.code_version != versions[name]}


@pytest.mark.parametrize(
    ("changes", "relation", "reader", "by_function"),
    [
        ({"usage": {"threshold": 3}}, "threshold", "thresholds_in_force", set()),
        ({"retention_by_activation": {"bands": [0, 2, 3]}}, "activation_band", "retention_by_activation", set()),
        # the ranking and its watch read settings and the benchmark in Python, not in their SELECTs: their versions know of them
        ({"feature_ranking": {"trees": 21}}, "feature_ranking", "feature_importance", {"framework_watch"}),
        ({"adoption_benchmark": {"niche": 0.06}}, "policy", "feature_importance", {"framework_watch"}),
    ],
)
def test_an_edit_changes_the_version_of_just_the_tables_that_read_it(
    changes: Mapping[str, Any],
    relation: str,
    reader: str,
    by_function: set[str],
    config: Path,
    specs: Mapping[str, dg.AssetSpec],
    tmp_path: Path,
) -> None:
    readers = {name for name, text in SELECTS.items() if re.search(rf"\bconfig\.{relation}\b", text)}
    assert reader in readers
    assert changed_versions(config, tmp_path, specs, changes) == readers | by_function


def test_without_an_edit_no_version_changes(config: Path, specs: Mapping[str, dg.AssetSpec], tmp_path: Path) -> None:
    assert changed_versions(config, tmp_path, specs, {}) == set()


# --- embedding, schedule, sensors, loading --------------------------------------------------------------------------


def test_a_prefix_stands_before_every_key(config: Path, definitions: dg.Definitions) -> None:
    embedded = build_defs(config, key_prefix=["growth", "milestones"])
    dg.Definitions.validate_loadable(embedded)
    assert graph_text(embedded).replace("growth/milestones/", "") == graph_text(definitions)
    checks = [check for asset in embedded.assets for check in asset.check_specs]
    assert all(check.asset_key.path[:2] == ["growth", "milestones"] for check in checks)
    assert len(embedded.resolve_job_def("milestones_job").asset_layer.selected_asset_keys) == len(FILES) + 1


def test_the_daily_schedule_launches_the_whole_job_without_a_partition(definitions: dg.Definitions) -> None:
    (schedule,) = definitions.schedules
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == ("daily", "0 6 * * *", "Europe/Dublin")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        tick = (
            definitions.get_repository_def()
            .get_schedule_def("daily")
            .evaluate_tick(dg.build_schedule_context(instance=instance, repository_def=definitions.get_repository_def()))
        )
    (request,) = tick.run_requests
    assert request.partition_key is None
    assert not [tag for tag in request.tags if "partition" in tag]
    job = definitions.resolve_job_def("milestones_job")
    assert len(job.asset_layer.selected_asset_keys) == len(FILES) + 1
    assert job.executor_def is dg.in_process_executor


def test_the_sensors_of_alerts_run_by_default(definitions: dg.Definitions) -> None:
    sensors = {sensor.name: sensor.default_status for sensor in definitions.sensors}
    running = dg.DefaultSensorStatus.RUNNING
    assert sensors == {"milestones_check_alerts": running, "milestones_run_failures": running}


_LOAD = """
import json, sys
from milestones_dagster.definitions import defs
heavy = {"great_expectations", "sklearn", "matplotlib", "PIL", "apprise", "scipy"}
keys = sorted(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys())
(schedule,) = defs.schedules
print(json.dumps({"keys": keys, "zone": schedule.execution_timezone, "heavy": sorted(heavy & set(sys.modules))}))
"""


def loaded(**environ: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if name != "MILESTONES_CONFIG"}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _LOAD], env=kept | environ, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_code_location_loads_the_config_that_the_environment_names_and_nothing_heavy(config: Path) -> None:
    found = loaded(MILESTONES_CONFIG=str(config))
    assert found["keys"] == sorted([*FILES, "serving"])
    assert found["zone"] == "Europe/Dublin"
    # each costs a second or more at import, which the code server would pay at every reload
    assert found["heavy"] == []


def test_without_it_the_house_s_own_config_is_loaded() -> None:
    assert loaded()["zone"] == "UTC"
