"""The real job on a real instance: what a run leaves behind when all is well, when a day or a table is refused, and when it is told.

The company of `deliveries` goes through six days of its life, one run after the other on one instance and one warehouse:
a first run, a poisoned day, that day delivered again and run alone, a normal run, a table refused in the middle of the graph, and
a run over a range of days in which the same rule only warns. Each stage keeps what it saw; the tests read it.
"""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from alert_world import Receiver, receivers
from deliveries import LEAVING, STAYING, Deliveries, Ran, calendar, company, run
from scenario import event

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.jobs import JOB, QUIET
from milestones_dagster.orchestration.sensors import CHECK_SENSOR, RUN_SENSOR
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.wiring import build_defs

FIRST_DAYS = calendar("2025-01-14", "2025-02-10")
RULE = {
    "name": "enough_conversations",
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "activation_events", "min_value": 5},
    "recovery": "ask the product team",
}
EVENTS = dg.AssetKey("raw_events")


@dataclass
class Stage:
    """What was there after one run: the run, the tables, the days known to Dagster, the serving copy, the alerts told since."""

    ran: Ran
    contents: dict[str, tuple[int, int]]
    as_of: dict[str, str]
    partitions: set[str]
    serving: str
    told: list[dict[str, Any]] = field(default_factory=list)


class Life:
    """The company with its instance, its receiver of alerts, and the sensors polled as the daemon polls them."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, receiver: Receiver) -> None:
        self.files = Deliveries(folder, company(), alerts={"addresses": [receiver.address]})
        self.instance = instance
        self.receiver = receiver
        self._cursors: dict[str, str | None] = {}
        self.load()

    def load(self) -> None:
        """Loads the definitions again, as a code server does after an edit of the config."""
        self.definitions = build_defs(self.files.config)
        self.sensors = {sensor.name: sensor for sensor in self.definitions.sensors}

    def poll(self) -> list[dict[str, Any]]:
        """Both sensors, each twice: what is told is told once."""
        before = len(self.receiver.messages)
        for sensor in (CHECK_SENSOR, RUN_SENSOR) * 2:
            context = dg.build_sensor_context(
                instance=self.instance, cursor=self._cursors.get(sensor), definitions=self.definitions
            )
            self._cursors[sensor] = self.sensors[sensor].evaluate_tick(context).cursor
        return self.receiver.messages[before:]

    def stage(self, **how: Any) -> Stage:
        """Runs, polls, and keeps what is there afterwards."""
        ran = run(self.definitions, self.instance, **how)
        with self.files.open() as connection:
            as_of = dict(connection.execute("SELECT table_name, CAST(as_of AS VARCHAR) FROM operations.publications").fetchall())
        return Stage(
            ran=ran,
            contents=self.files.contents(),
            as_of=as_of,
            partitions=self.instance.get_materialized_partitions(EVENTS),
            serving=hashlib.sha256(self.files.serving.read_bytes()).hexdigest() if self.files.serving.exists() else "",
            told=self.poll(),
        )


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    # in memory: a file of SQLite takes three times as long and answers alike (test_sensors_* run on both)
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance, receivers(1) as (receiver,):
        yield Life(tmp_path_factory.mktemp("life"), instance, receiver)


@pytest.fixture(scope="module")
def first(life: Life) -> Stage:
    return life.stage()


@pytest.fixture(scope="module")
def poisoned(life: Life, first: Stage) -> Stage:
    # 4 rows, 20 rows of which 10 name no event, 2 rows, each with its heartbeat
    nameless = [event(STAYING[0], "", f"2025-02-12 10:{minute:02}") for minute in range(10)]
    life.files.deliver("2025-02-11", [event(STAYING[0], "chat", f"2025-02-11 10:0{minute}") for minute in range(3)])
    life.files.deliver("2025-02-12", [*(event(STAYING[0], "chat", f"2025-02-12 11:0{minute}") for minute in range(9)), *nameless])
    life.files.deliver("2025-02-13", [event(STAYING[0], "chat", "2025-02-13 10:00")])
    return life.stage()


@pytest.fixture(scope="module")
def repaired(life: Life, poisoned: Stage) -> Stage:
    # the names are there now, one of them misspelt
    rows = [event(STAYING[0], "chat", f"2025-02-12 10:{minute:02}") for minute in range(18)]
    life.files.deliver("2025-02-12", [*rows, event(STAYING[0], "chatt", "2025-02-12 11:00")])
    return life.stage(only=["raw_events"], partition="2025-02-12")


@pytest.fixture(scope="module")
def normal(life: Life, repaired: Stage) -> Stage:
    return life.stage()


@pytest.fixture(scope="module")
def blocked(life: Life, normal: Stage) -> Stage:
    life.files.deliver("2025-02-14", [event(STAYING[0], "chat", "2025-02-14 10:00")])
    life.files.add_quality("activation_cohort", {"expectations": [RULE]})
    life.load()
    return life.stage()


@pytest.fixture(scope="module")
def served_by_hand(life: Life, blocked: Stage) -> Stage:
    return life.stage(only=["serving"])


@pytest.fixture(scope="module")
def ranged(life: Life, served_by_hand: Stage) -> Stage:
    life.files.add_quality("activation_cohort", {"expectations": [{**RULE, "severity": "warning"}]})
    life.load()
    for day in ("2025-02-15", "2025-02-16"):
        life.files.deliver(day, [event(STAYING[0], "chat", f"{day} 10:00")])
    tags = {"dagster/asset_partition_range_start": "2025-02-15", "dagster/asset_partition_range_end": "2025-02-16"}
    return life.stage(tags=tags)


@pytest.fixture(scope="module")
def unproven(life: Life, ranged: Stage) -> Stage:
    life.files.add_quality("activation_landmarks", {"expectations": [RULE | {"kwargs": {"column": "value", "min_value": 5}}]})
    life.load()
    life.files.deliver("2025-02-17", [event(STAYING[0], "chat", "2025-02-17 10:00")])
    return life.stage()


# --- a first run ----------------------------------------------------------------------------------------------------


def test_a_run_makes_every_table_with_its_row_count(life: Life, first: Stage) -> None:
    assert first.ran.is_success, first.ran.failed
    made = first.ran.materialised()
    assert set(made) == {*Declared.of(load_config(life.files.config)).tables, "serving"}
    with life.files.open() as connection:
        rows = {table: count for table, (count, _) in first.contents.items()}
        assert {table: facts["dagster/row_count"] for table, facts in made.items() if table != "serving"} == rows
        assert connection.execute("SELECT count(*) FROM operations.quarantine").fetchone() == (0,)
    # 2 × 20 accounts; each has a row for every one of 3 steps
    assert (rows["activation_cohort"], rows["setup_steps"]) == (40, 120)
    # 28 heartbeats; 3 events of 40 accounts; 3 chats of 20; 8 events of the one that does everything
    assert rows["raw_events"] == 28 + 3 * 40 + 3 * 20 + 8


def test_a_run_stores_an_evaluation_for_every_declared_check(life: Life, first: Stage) -> None:
    declared = {
        (spec.asset_key.path[-1], spec.name): spec.blocking for asset in life.definitions.assets for spec in asset.check_specs
    }
    assert len(declared) > 100
    assert {key: evaluation.blocking for key, evaluation in first.ran.evaluations().items()} == declared
    assert first.ran.failing() == {}
    counted = first.ran.evaluations()["activation_cohort", "keys_unique"].metadata
    assert (counted["count"].value, counted["total"].value) == (0, 40)


def test_a_run_materialises_the_days_that_it_made(life: Life, first: Stage) -> None:
    assert first.partitions == set(FIRST_DAYS)
    days = first.ran.materialised(partitions=True)
    # installed by 40 and a chat by 20 and the heartbeat; nothing but the heartbeat
    assert days["2025-01-14"] == {"dagster/partition_row_count": 61, "refused_rows": 0}
    assert days["2025-02-10"] == {"dagster/partition_row_count": 1, "refused_rows": 0}


def test_what_a_materialisation_shows(life: Life, first: Stage) -> None:
    shown = first.ran.materialised()
    assert shown["raw_events"]["days_made"] == 28
    # the 11th is the first day that is not loaded
    assert shown["raw_events"]["watermark"] == "product: 2025-02-11"
    cohort = shown["activation_cohort"]
    assert cohort["as_of"] == "2025-02-11 00:00 UTC"
    assert cohort["state"] == "made"
    assert cohort["fingerprint"] == load_config(life.files.config).fingerprint[:16]
    header, _, *rows = cohort["sample"].splitlines()
    assert header.startswith("| account_id | tenure_start |")
    assert len(rows) == 5
    # who a person is never enters the event log
    assert "user_id" not in shown["users"]["sample"]
    assert STAYING[0] not in shown["users"]["sample"].replace(f"| {STAYING[0]} |", "")


def test_the_serving_copy_holds_the_published_tables_alone(life: Life, first: Stage) -> None:
    assert first.ran.materialised()["serving"]["path"] == str(life.files.serving)
    served = {name for name, _ in _served(life.files.serving)}
    assert served == {
        "account_months", "activation_cohort", "activation_follow_up", "activation_landmarks", "activation_pair_events",
        "activation_placebo", "activation_survival", "evidence_placebo", "setup_step_landmarks", "setup_step_placebo",
        "threshold_robustness", "threshold_variants", "usage_placebo",
        "activation_threshold", "activation_threshold_curve", "activation_validation", "activation_window_search",
        "area_landmarks", "area_months", "area_placebo", "area_success", "area_threshold_curve", "area_thresholds",
        "chain_landmarks", "customer_milestones",
        "feature_adoption", "feature_importance", "feature_matrix", "framework_review", "framework_versions", "framework_watch",
        "maturity_categories", "milestone_chain",
        "milestone_summary", "month_landmarks", "notes", "retention_by_activation", "retention_outcomes", "revenue_retention",
        "seat_usage", "setup_landmarks", "setup_step_evidence", "setup_steps", "threshold_expansion", "thresholds_in_force",
        "usage_landmarks", "usage_ratio", "usage_threshold", "usage_threshold_curve", "win_backs",
    }  # fmt: skip
    assert set(first.as_of) - served == set(first.contents) - served - {"raw_events"}


def test_nothing_is_told_of_a_clean_run(first: Stage) -> None:
    assert first.told == []


# --- a poisoned day -------------------------------------------------------------------------------------------------


def test_a_poisoned_day_fails_the_run_and_nothing_downstream_is_executed(poisoned: Stage) -> None:
    assert not poisoned.ran.is_success
    assert poisoned.ran.started == {"raw_events"}
    assert set(poisoned.ran.materialised()) == set()
    (sentence,) = poisoned.ran.failed.values()
    assert sentence == (
        "raw_events refused. The share of rows of a day that row rules refuse (a single row refuses no day): "
        "beyond the bound of 5.00%: 2025-02-12 (10 of 20, 50.00%). "
        "The published rows are whole up to 2025-02-12; 63 table(s) that follow are not made."
    )


def test_the_good_days_of_a_refused_run_are_published_and_the_bad_one_is_not(life: Life, first: Stage, poisoned: Stage) -> None:
    assert poisoned.partitions - first.partitions == {"2025-02-11", "2025-02-13"}
    assert poisoned.ran.materialised(partitions=True) == {
        "2025-02-11": {"dagster/partition_row_count": 4, "refused_rows": 0},
        "2025-02-13": {"dagster/partition_row_count": 2, "refused_rows": 0},
    }
    folder = life.files.folder / "warehouse" / "raw_events"
    assert (folder / "2025-02-11.parquet").exists()


def test_the_failing_evaluation_says_how_much_which_and_what_to_do(poisoned: Stage) -> None:
    ((key, facts),) = poisoned.ran.failing().items()
    assert key == ("raw_events", "rows")
    evaluation = poisoned.ran.evaluations()[key]
    assert evaluation.blocking
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    # 4 + 20 + 2 rows, 10 of them without a name
    assert (facts["count"], facts["total"], facts["bound"]) == (10, 26, 0.05)
    assert facts["share"] == pytest.approx(10 / 26)
    assert facts["sample_keys"] == [{"day": "2025-02-12"}]
    assert facts["sample_truncated"] is False
    assert facts["groups"] == [{"day": "2025-02-12", "unexpected_count": "10", "total_count": "20", "share": "0.5"}]
    # the days are whole up to the 12th, although the 13th is loaded
    assert facts["recovery"].startswith("refused; the published rows are whole up to 2025-02-12; see operations.quarantine")
    assert {"account_event_daily", "activation_cohort", "feature_importance"} <= set(facts["blocks"])
    assert [rule["passed"] for rule in facts["rules"]].count(False) == 1


def test_a_poisoned_day_leaves_every_other_table_as_it_was(first: Stage, poisoned: Stage) -> None:
    assert poisoned.contents | {"raw_events": None} == first.contents | {"raw_events": None}
    assert poisoned.as_of == first.as_of
    assert poisoned.serving == first.serving


def test_a_poisoned_day_is_told_in_one_message(poisoned: Stage) -> None:
    (message,) = poisoned.told
    assert message["title"] == "Small world: raw_events refused: check rows failed, 10 of 26 (38.5 %), allowed 5 %"
    assert message["type"] == "failure"
    body = message["message"].splitlines()
    assert "Found: 10 of 26 (38.5 %), allowed 5 %" in body
    assert "Sample keys: 2025-02-12 (day)" in body
    assert any(line.startswith("Blocked: account_event_daily, ") and line.endswith("Their last good rows stand.") for line in body)
    assert any(line.startswith("What to do: refused; the published rows are whole up to 2025-02-12; see ") for line in body)
    assert f"Run: {poisoned.ran.run_id}" in body


# --- the day alone, and the run after it ----------------------------------------------------------------------------


def test_the_delivered_day_is_repaired_by_a_run_of_that_day_alone(life: Life, poisoned: Stage, repaired: Stage) -> None:
    assert repaired.ran.is_success, repaired.ran.failed
    assert repaired.ran.started == {"raw_events"}
    assert repaired.partitions - poisoned.partitions == {"2025-02-12"}
    days = repaired.ran.materialised(partitions=True)
    assert {day: facts["dagster/partition_row_count"] for day, facts in days.items()} == {"2025-02-12": 20}
    with life.files.open() as connection:
        by_run = connection.execute("SELECT day FROM operations.days WHERE run_id = ?", [repaired.ran.run_id]).fetchall()
    assert [str(day) for (day,) in by_run] == ["2025-02-12"]
    assert repaired.contents | {"raw_events": None} == poisoned.contents | {"raw_events": None}


def test_the_recovery_is_told(repaired: Stage) -> None:
    assert [message["title"] for message in repaired.told] == ["Small world: raw_events recovered: check rows passes again"]


def test_after_it_a_normal_run_is_green_and_reads_the_days(life: Life, normal: Stage) -> None:
    assert normal.ran.is_success, normal.ran.failed
    assert normal.ran.materialised(partitions=True) == {}
    assert set(normal.as_of.values()) - {None} == {"2025-02-14 00:00:00"}
    with life.files.open() as connection:
        chats = connection.execute(
            "SELECT day, sum(events) FROM staging.account_event_daily WHERE event = 'chat' AND day >= '2025-02-11' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert [(str(day), count) for day, count in chats] == [("2025-02-11", 3), ("2025-02-12", 18), ("2025-02-13", 1)]


def test_a_warning_leaves_the_run_green_and_is_stored_and_told(normal: Stage) -> None:
    ((key, facts),) = normal.ran.failing().items()
    assert key == ("event_catalogue", "events_in_tracking_plan")
    assert normal.ran.evaluations()[key].severity == dg.AssetCheckSeverity.WARN
    # the twelve names that accounts did and the heartbeat of nobody, all in the tracking plan, and one that is not
    assert (facts["count"], facts["total"], facts["sample_keys"]) == (1, 14, [{"event": "chatt"}])
    assert facts["blocks"] == []
    assert not facts["recovery"].startswith("refused")
    (message,) = normal.told
    assert (
        message["title"]
        == "Small world: event_catalogue: warning from check events_in_tracking_plan, 1 of 14 (7.14 %), allowed 0 %"
    )
    assert "Sample keys: chatt (event)" in message["message"]
    assert "Blocked: nothing; the rows are published." in message["message"]


# --- a table refused in the middle ----------------------------------------------------------------------------------


def test_a_refused_table_stops_what_reads_it_and_nothing_else(blocked: Stage) -> None:
    assert not blocked.ran.is_success
    assert set(blocked.ran.failed) == {"activation_cohort"}
    readers = {"customer_milestones", "milestone_summary", "retention_by_activation", "setup_step_evidence", "serving"}
    assert not readers & blocked.ran.started
    assert {"setup_steps", "usage_ratio", "feature_importance"} <= set(blocked.ran.materialised())
    (sentence,) = blocked.ran.failed.values()
    assert sentence.endswith("The published rows are as of 2025-02-14; 12 table(s) that follow are not made.")
    assert "40 of 40" in sentence


def test_the_refused_table_and_the_serving_copy_are_the_old_ones(normal: Stage, blocked: Stage) -> None:
    for table in (
        "activation_cohort",
        "customer_milestones",
        "milestone_summary",
        "retention_by_activation",
        "setup_step_evidence",
    ):
        assert blocked.contents[table] == normal.contents[table]
        assert blocked.as_of[table] == "2025-02-14 00:00:00"
    assert blocked.as_of["setup_steps"] == "2025-02-15 00:00:00"
    assert blocked.serving == normal.serving


def test_a_company_s_rule_reports_like_ours(blocked: Stage) -> None:
    facts = blocked.ran.failing()["activation_cohort", "enough_conversations"]
    # everybody started one conversation
    assert (facts["count"], facts["total"], facts["share"]) == (40, 40, 1.0)
    assert facts["sample_keys"] == [{"account_id": account} for account in sorted(LEAVING)[:5]]
    assert facts["sample_truncated"] is True
    assert facts["recovery"] == "refused; the published rows are as of 2025-02-14; ask the product team"
    assert facts["blocks"] == [
        "setup_landmarks", "retention_by_activation", "setup_step_landmarks", "customer_milestones", "setup_step_evidence",
        "setup_step_placebo", "chain_landmarks", "milestone_summary", "evidence_placebo", "framework_review", "milestone_chain",
        "framework_watch",
    ]  # fmt: skip
    (message,) = blocked.told
    assert message["title"].startswith(
        "Small world: activation_cohort refused: check enough_conversations failed, 40 of 40 (100 %)"
    )


def test_tables_of_two_times_are_not_served_together(blocked: Stage, served_by_hand: Stage) -> None:
    assert not served_by_hand.ran.is_success
    (sentence,) = served_by_hand.ran.failed.values()
    assert "activation_cohort, customer_milestones, milestone_summary, retention_by_activation are behind" in sentence
    assert served_by_hand.serving == blocked.serving
    # no check explains it, so the run itself is told
    (message,) = served_by_hand.told
    assert message["title"].startswith("Small world: serving failed: ")


# --- a range of days ------------------------------------------------------------------------------------------------


def test_a_range_of_days_runs_with_the_whole_graph(blocked: Stage, ranged: Stage) -> None:
    assert ranged.ran.is_success, ranged.ran.failed
    days = ranged.ran.materialised(partitions=True)
    assert {day: facts["dagster/partition_row_count"] for day, facts in days.items()} == {"2025-02-15": 2, "2025-02-16": 2}
    assert ranged.partitions - blocked.partitions == {"2025-02-15", "2025-02-16"}
    assert ranged.as_of["activation_cohort"] == "2025-02-17 00:00:00"
    assert ranged.serving != blocked.serving


def test_the_same_rule_as_a_warning_blocks_nothing(ranged: Stage) -> None:
    facts = ranged.ran.failing()["activation_cohort", "enough_conversations"]
    assert (facts["count"], facts["blocks"], facts["recovery"]) == (40, [], "ask the product team")
    titles = [message["title"] for message in ranged.told]
    assert "Small world: activation_cohort: warning from check enough_conversations, 40 of 40 (100 %), allowed 0 %" in titles


def test_a_day_that_was_never_delivered_is_not_said_to_be_materialised(life: Life, ranged: Stage) -> None:
    ran = run(life.definitions, life.instance, only=["raw_events"], partition="2025-02-20")
    assert not ran.is_success
    assert ran.failed["raw_events"].startswith("raw_events: nothing was delivered for 1 of the 1 day(s) asked for: 2025-02-20;")
    assert "2025-02-20" not in life.instance.get_materialized_partitions(EVENTS)


# --- evidence refused -----------------------------------------------------------------------------------------------


def test_refused_evidence_stops_neither_the_milestones_nor_the_serving_copy(life: Life, ranged: Stage, unproven: Stage) -> None:
    assert not unproven.ran.is_success
    assert set(unproven.ran.failed) == {"activation_landmarks"}
    following = {
        "activation_follow_up", "activation_survival", "activation_threshold", "activation_threshold_curve",
        "activation_validation", "activation_window_search", "chain_landmarks", "milestone_chain", "threshold_expansion",
        "activation_pair_events", "activation_placebo", "evidence_placebo", "framework_review", "framework_watch",
        "threshold_robustness",
    }  # fmt: skip
    assert not following & unproven.ran.started
    assert {"customer_milestones", "usage_threshold", "setup_step_evidence"} <= set(unproven.ran.materialised())
    # what stands of an earlier time is not served beside the new
    left_out = unproven.ran.materialised()["serving"]["left_out"].split(", ")
    assert sorted(left_out) == sorted({"activation_landmarks"} | following)
    assert {unproven.as_of[table] for table in left_out} == {"2025-02-17 00:00:00"}
    assert unproven.as_of["customer_milestones"] == "2025-02-18 00:00:00"
    served = {name for name, _ in _served(life.files.serving)}
    assert {"customer_milestones", "usage_threshold"} <= served
    assert not served & set(left_out)


# --- one warehouse, one run at a time -------------------------------------------------------------------------------

_HOLD = """
import sys, duckdb
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read(1)
held.close()
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, company(), warehouse_settings={"lock_timeout": "1 s"})


def _hold(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _HOLD, str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_run_waits_for_the_warehouse_and_then_says_who_holds_it(tiny: Deliveries) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        holder = _hold(tiny.warehouse)
        try:
            ran = run(tiny.config, instance, only=["raw_events"])
        finally:
            holder.communicate("x")
        assert not ran.is_success
        assert ran.started == set()
        said = ran.error()
        assert "WarehouseBusyError" in said
        assert f"{tiny.warehouse} is held by process {holder.pid} (" in said
        assert "was not let go within 1 s; wait for that run, or stop it, and run again" in said
        # let go, the same run succeeds
        assert run(tiny.config, instance, only=["raw_events"]).is_success


def test_a_run_goes_on_as_soon_as_the_warehouse_is_let_go(tiny: Deliveries) -> None:
    tiny.configure_warehouse(lock_timeout="60 s")
    definitions = build_defs(tiny.config)
    holder = _hold(tiny.warehouse)
    timer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"], stdout=holder.stdin)
    holder.stdin.close()  # the timer holds the pipe's other end: the warehouse is let go when it ends
    with dg.DagsterInstance.ephemeral() as instance:
        ran = run(definitions, instance, only=["raw_events"])
    assert ran.is_success
    assert (timer.wait(), holder.wait()) == (0, 0)


def test_the_warehouse_is_let_go_when_a_step_raises(tiny: Deliveries) -> None:
    definitions = build_defs(tiny.config)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(definitions, instance, only=["raw_events"]).is_success
        # a published day is damaged on disk: the table that reads it raises
        (tiny.folder / "warehouse" / "raw_events" / "2025-01-30.parquet").write_bytes(b"PAR1 damaged PAR1")
        ran = run(definitions, instance, only=["raw_events", "account_event_daily"])
        assert set(ran.failed) == {"account_event_daily"}
    # an engine with other settings refuses to open a file that this process still holds
    with duckdb.connect(str(tiny.warehouse), config={"threads": 1}) as connection:
        assert connection.execute("SELECT count(*) FROM operations.publications").fetchone() == (0,)


def test_a_reader_of_the_serving_copy_and_a_run_do_not_wait_for_each_other(life: Life, ranged: Stage) -> None:
    with duckdb.connect(str(life.files.serving), read_only=True) as reader:
        before = reader.execute("SELECT count(*) FROM milestones.activation_cohort").fetchone()
        assert run(life.definitions, life.instance, only=["serving"]).is_success
        assert reader.execute("SELECT count(*) FROM milestones.activation_cohort").fetchone() == before
    assert _served(life.files.serving) == _served(life.files.serving)


def test_an_embedded_graph_runs_under_its_prefix(tiny: Deliveries) -> None:
    definitions = build_defs(tiny.config, key_prefix=["growth", "milestones"])
    key = dg.AssetKey(["growth", "milestones", "account_event_daily"])
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def(JOB)
        selection = [dg.AssetKey(["growth", "milestones", "raw_events"]), key]
        result = job.execute_in_process(instance=instance, asset_selection=selection, run_config=QUIET)
        assert result.success
        assert instance.get_latest_materialization_event(key) is not None
        assert result.get_asset_check_evaluations()[-1].asset_key == key


def _served(path: Path) -> list[tuple[str, int]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()]
        schemas = dict(connection.execute("SELECT table_name, schema_name FROM duckdb_tables()").fetchall())
        return [(name, connection.execute(f'SELECT count(*) FROM "{schemas[name]}"."{name}"').fetchone()[0]) for name in names]
