"""Runs that failed for a reason that no check tells, read from a Dagster instance.

Put here how a failed run is read: which of its steps failed, which failed because a blocking check did, what the error
said. Keep out what is told about it (`alerts.py`) and to whom (`sensors.py`).
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.events import DagsterEvent, JobFailureData
from dagster_shared.error import SerializableErrorInfo

from milestones_dagster.orchestration.errors import sentence, telling

_EVENTS = {
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.RUN_FAILURE,
}
_ERROR_LINES = 5
_ERROR_CHARACTERS = 600


@dataclass(frozen=True)
class StepFailure:
    """A step that failed without a failing blocking check: its name, the error's class and first lines."""

    step: str
    error: str
    lines: str


@dataclass(frozen=True)
class RunFailure:
    """A failed run that its checks do not explain.

    Attributes:
        run_id: the run.
        job: name of its job.
        started_at, failed_at: seconds since 1970 UTC; started_at is None for a run that never started.
        steps: the steps that failed, in the order of their failure; none when the process ended without an error.
        running: the steps that were at work when the process ended; only without `steps`.
        reason: Dagster's own words for the failure of the run.
    """

    run_id: str
    job: str
    started_at: float | None
    failed_at: float
    steps: tuple[StepFailure, ...]
    running: tuple[str, ...]
    reason: str


def read_unexplained_failures(
    instance: dg.DagsterInstance, asset_keys: AbstractSet[dg.AssetKey], *, after: float, limit: int
) -> list[RunFailure]:
    """Return the earliest failed runs later than a time that no failing blocking check explains, ascending.

    A run counts when it was to make one of the assets, whoever launched it: the daemon, the UI or the command line.

    Args:
        instance: any Dagster instance.
        asset_keys: the assets of this code location.
        after: seconds since 1970 UTC, exclusive.
        limit: the most runs to return; fewer mean that nothing is left.
    """
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.fromtimestamp(after - 1, tz=UTC))
    # a run's row is also "updated" by a tag that someone gives it weeks later: its end is what counts
    records = sorted(instance.get_run_records(failed), key=_ended_at)
    found: list[RunFailure] = []
    for record in records:
        if len(found) == limit:
            break
        if _ended_at(record) > after and _makes_any(instance, record.dagster_run, asset_keys):
            failure = _unexplained(instance, record)
            found.extend([failure] if failure else [])
    return found


def _ended_at(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()


def _makes_any(instance: dg.DagsterInstance, run: dg.DagsterRun, asset_keys: AbstractSet[dg.AssetKey]) -> bool:
    if run.asset_selection:
        return bool(run.asset_selection & asset_keys)
    if run.execution_plan_snapshot_id is None:
        return False
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    planned = {key for step in plan.steps if step.key in plan.step_keys_to_execute for key in step.entity_keys}
    return any((key.asset_key if isinstance(key, dg.AssetCheckKey) else key) in asset_keys for key in planned)


def _unexplained(instance: dg.DagsterInstance, record: dg.RunRecord) -> RunFailure | None:
    run = record.dagster_run
    failures: dict[str, DagsterEvent] = {}
    started: dict[str, None] = {}
    explained: set[str] = set()
    reason = ""
    for event in _events(instance, run.run_id):
        step = event.step_key or ""
        if event.event_type == dg.DagsterEventType.STEP_START:
            started[step] = None
        elif event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            started.pop(step, None)
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            started.pop(step, None)
            failures[step] = event
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            explained |= {step} if evaluation.blocking and not evaluation.passed else set()
        else:
            reason = _run_reason(event)
    if failures and failures.keys() <= explained:
        return None
    return RunFailure(
        run_id=run.run_id,
        job=run.job_name,
        started_at=record.start_time,
        failed_at=_ended_at(record),
        steps=tuple(_step_failure(step, event) for step, event in failures.items() if step not in explained),
        running=() if failures else tuple(started),
        reason=reason,
    )


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[DagsterEvent]:
    for entry in instance.all_logs(run_id, of_type=_EVENTS):
        if entry.dagster_event is not None:
            yield entry.dagster_event


def _step_failure(step: str, event: DagsterEvent) -> StepFailure:
    error = event.step_failure_data.error
    if error is None:
        return StepFailure(step, "unknown", event.message or "")
    cause = telling(error)
    return StepFailure(step, cause.cls_name or "error", _first_lines(cause))


def _run_reason(event: DagsterEvent) -> str:
    # run monitoring, which finds that a process is gone, gives a message and no data
    data = event.event_specific_data
    error = data.error if isinstance(data, JobFailureData) else None
    return _first_lines(telling(error)) if error is not None else (event.message or "")


def _first_lines(error: SerializableErrorInfo) -> str:
    lines: Sequence[str] = [line.rstrip() for line in sentence(error).splitlines() if line.strip()]
    text = "\n".join(lines[:_ERROR_LINES])
    is_cut = len(lines) > _ERROR_LINES or len(text) > _ERROR_CHARACTERS
    return text[:_ERROR_CHARACTERS] + (" …" if is_cut else "")
