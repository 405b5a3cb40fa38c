"""Running the whole graph from the command line: an instance with kept history, and progress that a person can read.

Put here what stands between a command and a Dagster run. Keep out printing (`cli_console.py`) and the graph itself.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import JobFailureData
from dagster._core.instance.config import PoolGranularity

from milestones_dagster.orchestration.assets import POOL
from milestones_dagster.orchestration.errors import sentence
from milestones_dagster.orchestration.jobs import JOB, QUIET

HOME_VARIABLE = "DAGSTER_HOME"
_SETTINGS = """# Written by `milestones`; edit it freely, it is not written again.
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
INSTANCE_YAML = f"""{_SETTINGS}event_log_storage:
  module: milestones_dagster.orchestration.event_log
  class: KeptEventLogStorage
  config:
    home:
      env: {HOME_VARIABLE}
"""


@dataclass(frozen=True)
class FailedCheck:
    """A check that did not pass: what was found, whether it refused the table, and what to do about each rule."""

    name: str
    found: str
    is_blocking: bool
    recovery: tuple[str, ...]


@dataclass(frozen=True)
class StepDone:
    """One step of a run as it ended; `error` is a sentence, None when it succeeded."""

    table: str
    is_success: bool
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    failed_checks: tuple[FailedCheck, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class RunDone:
    """A run as it ended: its steps in order, and which tables were not made because of a failure.

    `error` is the sentence of a run that failed outside its steps, such as one that could not open the warehouse.
    """

    run_id: str
    is_success: bool
    steps: tuple[StepDone, ...]
    not_made: tuple[str, ...]
    error: str | None = None

    def is_made(self, table: str) -> bool:
        """Whether the step of a table succeeded in this run."""
        return any(step.table == table and step.is_success for step in self.steps)


def dagster_home(warehouse_path: Path) -> Path:
    """The folder of run history of a warehouse: DAGSTER_HOME where it is set, else beside the warehouse. Made when missing."""
    named = os.environ.get(HOME_VARIABLE)
    home = Path(named) if named else warehouse_path.with_suffix(".dagster")
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    # as an earlier version wrote it, and nobody has edited it since: the files of its history stay what they are
    if not settings.exists() or settings.read_text(encoding="utf-8") == _SETTINGS:
        aside = settings.with_suffix(".tmp")
        aside.write_text(INSTANCE_YAML, encoding="utf-8")
        aside.replace(settings)
    return home


@contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a home, whose settings may name the home by its variable, closed when the block ends."""
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(home)
    try:
        instance = dg.DagsterInstance.from_config(str(home))
    finally:
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before
    with instance:
        yield instance


def limit_pool(home: Path) -> None:
    """Makes the pool of the warehouse known to the daemon, with the instance's default limit, before the first run is queued.

    Dagster 1.13 limits a pool from the second look at its queue on: of two runs that are queued before the first look, both
    would begin. An instance of somebody's own that limits single steps is left alone: there, a slot that a killed run has kept
    would hold every later run for ever.
    """
    with open_instance(home) as instance:
        _limit_pool(instance)


def _limit_pool(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    is_by_run = instance.get_concurrency_config().pool_config.pool_granularity == PoolGranularity.RUN
    if is_by_run and POOL not in storage.get_concurrency_keys():
        storage.initialize_concurrency_limit_to_default(POOL)


def run_graph(
    definitions: dg.Definitions,
    home: Path,
    on_step: Callable[[StepDone], None],
    on_start: Callable[[str], None],
    on_wait: Callable[[str], None],
) -> RunDone:
    """Runs the job over all tables in this process and returns how each step ended.

    The pool of the warehouse is limited first, for the daemon of a server whose home this run makes.

    Args:
        definitions: What `build_defs` returns.
        home: The instance's folder.
        on_step: Told of each step as it ends.
        on_start: Told the table of each step as it begins.
        on_wait: Told in a sentence why the first step does not begin yet: another process holds the warehouse.
    """
    job = definitions.resolve_job_def(JOB)
    run_id = str(uuid.uuid4())
    with open_instance(home) as instance:
        _limit_pool(instance)
        follower = _Follower(on_step, on_start, on_wait)
        instance.add_event_listener(run_id, follower)
        result = job.execute_in_process(instance=instance, run_id=run_id, raise_on_error=False, run_config=QUIET)
    ended = {step.table for step in follower.steps}
    order = [key.path[-1] for key in sorted(job.asset_layer.selected_asset_keys)]
    not_made = tuple(name for name in order if name not in ended)
    return RunDone(run_id, result.success, tuple(follower.steps), not_made, None if follower.steps else follower.error)


class _Follower:
    """Follows the events of one run and tells of each step as it begins and ends."""

    def __init__(
        self, on_step: Callable[[StepDone], None], on_start: Callable[[str], None], on_wait: Callable[[str], None]
    ) -> None:
        self.steps: list[StepDone] = []
        self.error: str | None = None
        self._on_step = on_step
        self._on_start = on_start
        self._on_wait = on_wait
        self._began: dict[str, float] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._failed: dict[str, list[FailedCheck]] = {}

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            # a line of a log: before the first step it is the warehouse's, which is not open yet
            if not self._began and entry.level == logging.WARNING:
                self._on_wait(entry.user_message)
            return
        if event.step_key is None:
            if event.event_type == dg.DagsterEventType.RUN_FAILURE:
                self.error = _run_error(event)
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
                self._failed.setdefault(step, []).append(_failed_check(evaluation))
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
                error = sentence(failure.error)
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


def _failed_check(evaluation: dg.AssetCheckEvaluation) -> FailedCheck:
    metadata: dict[str, Any] = {name: value.value for name, value in evaluation.metadata.items()}
    # a check that speaks for several rules has each of them; the others are one rule themselves
    rules = [rule for rule in metadata.get("rules") or [] if not rule["passed"]] or [metadata]
    recovery = dict.fromkeys(str(rule["recovery"]) for rule in rules if rule.get("recovery"))
    is_blocking = evaluation.severity == dg.AssetCheckSeverity.ERROR
    return FailedCheck(evaluation.check_name, evaluation.description or "", is_blocking, tuple(recovery))


def _run_error(event: dg.DagsterEvent) -> str:
    data = event.event_specific_data
    error = data.error if isinstance(data, JobFailureData) else None
    return sentence(error) if error is not None else (event.message or "the run failed")
