"""Check evaluations in the order in which they happened, read from a Dagster instance.

Put here the one call of `event_log_storage.get_asset_check_execution_history`: Dagster does not promise to keep it, and
no public call lists evaluations on every storage (`get_event_records` with a cursor raises on SQLite). Keep out what is
told about an evaluation (`alerts.py`) and to whom (`sensors.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

_EVALUATED = frozenset({AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED})
_UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
# most polls find nothing new: the first page of a check is small, the next ones are not
_FIRST_PAGE = 4
_PAGE = 100
# rows of a check carry whole seconds of the database's clock, events the clock of the process that made them
_CLOCK_MARGIN_SECONDS = 60.0
# a run that was killed without a word stays "started" for ever and must not hold the reading back for ever
_LONGEST_RUN_SECONDS = 7 * 86_400.0


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one asset check.

    Attributes:
        record_id: the record's number in the storage. It is given when the check is *planned*, so it is an identity
            and no order.
        check: asset and name of the check.
        run_id: the run that evaluated it.
        evaluated_at: time of the evaluation, seconds since 1970 UTC.
        is_passed: whether the check passed.
        is_blocking: whether a failure stops what is downstream in the same run.
        is_warning: whether a failure is of severity WARN.
        description: what the check says, in the field's words, or None.
        metadata: plain values by label.
    """

    record_id: int
    check: dg.AssetCheckKey
    run_id: str
    evaluated_at: float
    is_passed: bool
    is_blocking: bool
    is_warning: bool
    description: str | None
    metadata: Mapping[str, Any]


def read_evaluations(
    instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey], *, after: float, limit: int
) -> list[Evaluation]:
    """Return the earliest evaluations of the checks later than a time, ascending by their own time.

    Args:
        instance: any Dagster instance; every storage is read alike.
        checks: the checks to read.
        after: seconds since 1970 UTC, exclusive.
        limit: the most evaluations to return; fewer mean that nothing is left.
    """
    planned_from = _earliest_plan(instance, after)
    found = [
        evaluation
        for check in checks
        for evaluation in _read_check(instance, check, planned_from)
        if evaluation.evaluated_at > after
    ]
    found.sort(key=lambda evaluation: (evaluation.evaluated_at, evaluation.record_id))
    return found[:limit]


def _earliest_plan(instance: dg.DagsterInstance, after: float) -> float:
    """Return the time before which no check was planned that was evaluated later than `after`.

    Such an evaluation belongs to a run that ended later or is still at work, and a run plans its checks when it is
    created; an evaluation reported without a run is planned and evaluated at once.
    """
    ended_later = dg.RunsFilter(updated_after=datetime.fromtimestamp(after, tz=UTC))
    at_work = dg.RunsFilter(statuses=_UNFINISHED, created_after=datetime.fromtimestamp(after - _LONGEST_RUN_SECONDS, tz=UTC))
    oldest = [
        record.create_timestamp.timestamp()
        for runs in (ended_later, at_work)
        for record in instance.get_run_records(runs, limit=1, ascending=True)
    ]
    return min([after, *oldest]) - _CLOCK_MARGIN_SECONDS


def _read_check(instance: dg.DagsterInstance, check: dg.AssetCheckKey, planned_from: float) -> Iterator[Evaluation]:
    cursor: int | None = None
    limit = _FIRST_PAGE
    while True:
        # filtered by status: a run over a range of days leaves one planned row per day that nothing ever resolves
        page = instance.event_log_storage.get_asset_check_execution_history(check, limit=limit, cursor=cursor, status=_EVALUATED)
        for record in page:
            if record.create_timestamp < planned_from:
                return
            evaluation = _evaluation(check, record)
            if evaluation is not None:
                yield evaluation
        if len(page) < limit:
            return
        cursor, limit = page[-1].id, _PAGE


def _evaluation(check: dg.AssetCheckKey, record: AssetCheckExecutionRecord) -> Evaluation | None:
    found = record.evaluation
    if record.event is None or not isinstance(found, dg.AssetCheckEvaluation):
        return None
    return Evaluation(
        record_id=record.id,
        check=check,
        run_id=record.run_id,
        evaluated_at=record.event.timestamp,
        is_passed=found.passed,
        is_blocking=bool(found.blocking),
        is_warning=found.severity == dg.AssetCheckSeverity.WARN,
        description=found.description,
        metadata={label: value.value for label, value in found.metadata.items()},
    )
