"""Running the whole graph from the command line: an instance with kept history, and progress that a person can read.

Put here what stands between a command and a Dagster run. Keep out printing (`cli.py`) and the graph itself.
"""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from milestones_dagster.orchestration.jobs import JOB, QUIET

INSTANCE_YAML = """# Written by `milestones`; edit it freely, it is not written again.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: run
    default_limit: 1
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 300
run_retries:
  enabled: true
  retry_on_asset_or_op_failure: false
"""


@dataclass(frozen=True)
class StepDone:
    """One step of a run as it ended."""

    table: str
    is_success: bool
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    failed_checks: tuple[tuple[str, str, bool], ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class RunDone:
    """A run as it ended: its steps in order, and which tables were not made because of a failure."""

    run_id: str
    is_success: bool
    steps: tuple[StepDone, ...]
    not_made: tuple[str, ...]


def dagster_home(warehouse_path: Path) -> Path:
    """The folder of run history of a warehouse: DAGSTER_HOME where it is set, else beside the warehouse. Made when missing."""
    named = os.environ.get("DAGSTER_HOME")
    home = Path(named) if named else warehouse_path.with_suffix(".dagster")
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_text(INSTANCE_YAML, encoding="utf-8")
    return home


def run_graph(
    definitions: dg.Definitions,
    home: Path,
    on_step: Callable[[StepDone], None],
    on_start: Callable[[str], None],
) -> RunDone:
    """Runs the job over all tables in this process and returns how each step ended.

    Args:
        definitions: What `build_defs` returns.
        home: The instance's folder.
        on_step: Told of each step as it ends.
        on_start: Told the table of each step as it begins.
    """
    job = definitions.resolve_job_def(JOB)
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        follower = _Follower(on_step, on_start)
        instance.add_event_listener(run_id, follower)
        result = job.execute_in_process(instance=instance, run_id=run_id, raise_on_error=False, run_config=QUIET)
    ended = {step.table for step in follower.steps}
    order = [key.path[-1] for key in _in_order(job)]
    return RunDone(run_id, result.success, tuple(follower.steps), tuple(name for name in order if name not in ended))


def _in_order(job: dg.JobDefinition) -> list[dg.AssetKey]:
    return sorted(job.asset_layer.selected_asset_keys)


class _Follower:
    """Follows the events of one run and tells of each step as it begins and ends."""

    def __init__(self, on_step: Callable[[StepDone], None], on_start: Callable[[str], None]) -> None:
        self.steps: list[StepDone] = []
        self._on_step = on_step
        self._on_start = on_start
        self._began: dict[str, float] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._failed: dict[str, list[tuple[str, str, bool]]] = {}

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        step = event.step_key
        kind = event.event_type_value
        if kind == "STEP_START":
            self._began[step] = time.monotonic()
            self._on_start(step)
        elif kind == "ASSET_MATERIALIZATION" and event.partition is None:
            metadata = event.materialization.metadata
            self._facts[step] = {name: getattr(value, "value", None) for name, value in metadata.items()}
        elif kind == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed:
                is_error = evaluation.severity == dg.AssetCheckSeverity.ERROR
                row = (evaluation.check_name, evaluation.description or "", is_error)
                self._failed.setdefault(step, []).append(row)
        elif kind in {"STEP_SUCCESS", "STEP_FAILURE"}:
            self._end(step, event)

    def _end(self, step: str, event: dg.DagsterEvent) -> None:
        is_success = event.event_type_value == "STEP_SUCCESS"
        error = None
        if not is_success:
            failure = event.step_failure_data
            told = failure.user_failure_data
            if told is not None and told.description:
                error = told.description
            elif failure.error is not None:
                cause = failure.error
                while cause.cause is not None:
                    cause = cause.cause
                error = cause.message.strip()
        done = StepDone(
            table=step,
            is_success=is_success,
            seconds=time.monotonic() - self._began.get(step, time.monotonic()),
            facts=self._facts.get(step, {}),
            failed_checks=tuple(self._failed.get(step, [])),
            error=error,
        )
        self.steps.append(done)
        self._on_step(done)
