"""The sensors that make failures heard: `milestones_check_alerts` and `milestones_run_failures`.

Put here what a sensor polls and in which order it delivers and moves its cursor. Keep out the words (`alerts.py`), what
is a repeat (`alert_ledger.py`), and sensors that launch runs.

Both poll the instance, so they hear a run whoever launched it. Dagster's own run-failure sensor is not used: it moves
its cursor also when its body raised, so that an alert that could not be delivered would be lost, and it never hears a
run that was started from the command line.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg

from milestones_dagster.config.alerts import Alerts
from milestones_dagster.config.company import CompanyConfig
from milestones_dagster.config.duration import Duration
from milestones_dagster.orchestration.alert_ledger import (
    FIRST_LOOK_SECONDS,
    Ledger,
    Occurrence,
    dump,
    load,
)
from milestones_dagster.orchestration.alerts import Alert, DeliveryError, Past, Writer, deliver
from milestones_dagster.orchestration.check_history import Evaluation, read_evaluations
from milestones_dagster.orchestration.run_history import RunFailure, read_unexplained_failures

CHECK_SENSOR = "milestones_check_alerts"
RUN_SENSOR = "milestones_run_failures"
_INTERVAL_SECONDS = 30
# a code server gives a tick 60 s; what is left over is told at the next one
_TICK_SECONDS = 30.0
_BATCH = 200
_MONTH_SECONDS = 30 * 86_400.0
_FORGET_SECONDS = 30 * 86_400.0

Read = Callable[[float, int], Sequence[Occurrence]]


@dataclass(frozen=True)
class Outcome:
    """What one poll did: the new cursor, how many alerts were delivered, and which deliveries failed."""

    cursor: str
    delivered: int
    problems: tuple[str, ...]


def build_sensors(config: CompanyConfig, assets: Sequence[dg.AssetsDefinition]) -> list[dg.SensorDefinition]:
    """Return the alert sensors of a code location, running by default.

    Args:
        config: the company's config; `alerts.yaml` says who is told, and how often.
        assets: all assets and checks of the location; failures of others are not told.
    """
    alerts = config.alerts
    writer = Writer(config.framework.product, alerts.dagster_url)
    checks = sorted({check for definition in assets for check in definition.check_keys})
    asset_keys = {key for definition in assets for key in definition.keys}
    keys = {_check_key(check) for check in checks}

    @dg.sensor(
        name=CHECK_SENSOR,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells each failed check once, also one that blocks nothing and leaves its run green; counts the "
        "repeats, and says when the check passes again.",
    )
    def check_alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        def read(after: float, limit: int) -> list[Occurrence]:
            found = read_evaluations(context.instance, checks, after=after, limit=limit)
            return [_of_check(writer, evaluation) for evaluation in found]

        return _tick(context, Poll(alerts, read, keys, context.log))

    @dg.sensor(
        name=RUN_SENSOR,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells each run that failed for a reason that no blocking check tells: a step raised, the process "
        "was killed or ran out of memory.",
    )
    def run_failures(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        def read(after: float, limit: int) -> list[Occurrence]:
            found = read_unexplained_failures(context.instance, asset_keys, after=after, limit=limit)
            return [_of_run(writer, failure) for failure in found]

        return _tick(context, Poll(alerts, read, None, context.log))

    return [check_alerts, run_failures]


@dataclass(frozen=True)
class Poll:
    """One poll for every address: read, deliver, record.

    Attributes:
        alerts: the addresses and the time after which a lasting failure is told again.
        read: returns at most so many occurrences later than a time, ascending.
        keys: the keys that can still fail; None when that is not known.
        log: where the address `log` writes.
    """

    alerts: Alerts
    read: Read
    keys: set[str] | None
    log: logging.Logger

    def run(self, cursor: str | None, now: float) -> Outcome:
        """Return what was done for all addresses since the cursor.

        Each address has its own ledger: one that is out of reach holds back itself alone, and nothing is sent twice to
        the others.

        Raises:
            DeliveryError: no address took anything; the cursor must stay where it is.
        """
        ledgers = load(cursor, self.alerts.addresses)
        delivered, problems = 0, []
        deadline = time.monotonic() + _TICK_SECONDS
        for position, address in enumerate(dict.fromkeys(self.alerts.addresses), start=1):
            is_first = address not in ledgers
            ledger = ledgers.setdefault(address, Ledger(horizon=now - FIRST_LOOK_SECONDS))
            found, is_all = self._read_on(ledger.read_after, deadline)
            read_until = now if is_all else None
            for occurrence in ledger.first_look(found) if is_first else found:
                if time.monotonic() > deadline:
                    read_until = None
                    break
                try:
                    delivered += self._tell(ledger, occurrence, address, position, now)
                except DeliveryError as error:
                    problems.append(str(error))
                    read_until = None
                    break
            ledger.forget(read_until, self.keys, quiet_since=now - _FORGET_SECONDS)
        if len(problems) == len(ledgers) and delivered == 0:
            raise DeliveryError(f"{'; '.join(problems)}: nothing was delivered, it will be tried again")
        return Outcome(dump(ledgers), delivered, tuple(problems))

    def _read_on(self, after: float, deadline: float) -> tuple[list[Occurrence], bool]:
        """Return the occurrences later than `after`, ascending, batch after batch, and whether these are all.

        One batch would not do: the overlap is read at every poll, and two runs within it evaluate more checks than a batch
        holds. The poll would see the same batch for ever.
        """
        found: list[Occurrence] = []
        while True:
            batch = list(self.read(after, _BATCH))
            if len(batch) < _BATCH:
                return [*found, *batch], True
            # what has the time of the last one may go on in the next batch
            whole = [occurrence for occurrence in batch if occurrence.at < batch[-1].at] or batch
            found.extend(whole)
            after = whole[-1].at
            if time.monotonic() > deadline:
                return found, False

    def _tell(self, ledger: Ledger, occurrence: Occurrence, address: str, position: int, now: float) -> int:
        alert = ledger.next_alert(occurrence, _seconds(self.alerts.repeat_after))
        if alert is not None:
            # deliver first, record after: a crash in between sends it twice, never not at all
            deliver(alert, address, position, self.log)
        ledger.settle(occurrence, now if alert is not None else None)
        return int(alert is not None)


def _tick(context: dg.SensorEvaluationContext, poll: Poll) -> dg.SensorResult:
    outcome = poll.run(context.cursor, time.time())
    for problem in outcome.problems:
        context.log.error("%s; it will be tried again", problem)
    told = "1 alert delivered" if outcome.delivered == 1 else f"{outcome.delivered} alerts delivered"
    said = told if outcome.delivered else "nothing new to tell"
    return dg.SensorResult(skip_reason="; ".join([said, *outcome.problems]), cursor=outcome.cursor)


def _of_check(writer: Writer, evaluation: Evaluation) -> Occurrence:
    def write(past: Past) -> Alert:
        return writer.check_recovered(evaluation, past) if evaluation.is_passed else writer.check_failed(evaluation, past)

    is_errored = bool(evaluation.metadata.get("errored"))
    return Occurrence(
        identity=f"{evaluation.record_id}",
        key=_check_key(evaluation.check),
        fault=f"{'errored' if is_errored else 'failed'}, {'warning' if evaluation.is_warning else 'error'}",
        at=evaluation.evaluated_at,
        is_failure=not evaluation.is_passed,
        write=write,
    )


def _of_run(writer: Writer, failure: RunFailure) -> Occurrence:
    steps = ",".join(step.step for step in failure.steps) or ",".join(failure.running)
    return Occurrence(
        identity=failure.run_id,
        key=f"{failure.job}:{steps}",
        fault=",".join(step.error for step in failure.steps),
        at=failure.failed_at,
        is_failure=True,
        write=lambda past: writer.run_failed(failure, past),
    )


def _check_key(check: dg.AssetCheckKey) -> str:
    return f"{check.asset_key.to_user_string()}:{check.name}"


def _seconds(duration: Duration) -> float:
    # a rhythm, not a definition: a month of alerts is 30 days
    return duration.seconds + duration.months * _MONTH_SECONDS
