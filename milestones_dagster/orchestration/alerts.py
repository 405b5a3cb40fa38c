"""Alerts: what a person on call reads, and its delivery to one address.

Put here the words of an alert and the call that sends it. Keep out which failures are told, how often and to whom
(`alert_ledger.py`, `sensors.py`) and how they are read (`check_history.py`, `run_history.py`).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import dagster as dg

from milestones_dagster.orchestration.check_history import Evaluation
from milestones_dagster.orchestration.run_history import RunFailure

LOG_ADDRESS = "log"
_SHOWN_KEYS = 5
_SHOWN_BLOCKED = 8
_HOUR = 3600.0
_DAY = 86_400.0


class Kind(StrEnum):
    """How bad it is; it chooses the colour in a chat and the level in a log."""

    FAILURE = "failure"
    WARNING = "warning"
    RECOVERY = "success"


@dataclass(frozen=True)
class Alert:
    """One message: a title of one line, and a body of plain text."""

    title: str
    body: str
    kind: Kind


@dataclass(frozen=True)
class Past:
    """What came before this failure or recovery.

    Attributes:
        since: time of the first failure of this row of failures, seconds since 1970 UTC.
        failures: how many there were, this one included.
        untold: how many of them were held back since the last message.
    """

    since: float
    failures: int = 1
    untold: int = 0


class DeliveryError(Exception):
    """An address did not take an alert; its text names the address by kind and place, never by its tokens."""


@dataclass(frozen=True)
class Writer:
    """Writes the alerts of one company; `dagster_url` (None: no links) is where its Dagster UI answers."""

    product: str
    dagster_url: str | None

    def check_failed(self, evaluation: Evaluation, past: Past) -> Alert:
        """Return the alert for a check that failed or could not be evaluated."""
        asset, check, facts = evaluation.check.asset_key.to_user_string(), evaluation.check.name, evaluation.metadata
        if facts.get("errored"):
            headline = f"{asset}: check {check} could not be evaluated"
        elif evaluation.is_blocking:
            headline = f"{asset} refused: check {check} failed"
        else:
            headline = f"{asset}: {'warning from' if evaluation.is_warning else 'failed'} check {check}"
        amount = _amount(facts)
        rules = _failing_rules(facts)
        lines = [
            evaluation.description or facts.get("rule"),
            _line("Found", amount),
            _line("Could not be evaluated", facts.get("errored")),
            _line("Sample keys", _samples(facts)),
            *[line for rule in rules for line in _rule_lines(rule)],
            _line("Blocked", _blocked(evaluation)),
            _line("What to do", facts.get("recovery")),
            _line("Since", _since(evaluation.evaluated_at, past)),
            _line("Held back", _untold(past)),
            _line("Run", evaluation.run_id),
            _line("Open", self._check_link(evaluation.check)),
        ]
        is_mild = evaluation.is_warning and not evaluation.is_blocking
        return self._alert(headline, amount, lines, Kind.WARNING if is_mild else Kind.FAILURE)

    def check_recovered(self, evaluation: Evaluation, past: Past) -> Alert:
        """Return the alert for a check that passes again after a failure that was told."""
        asset, check = evaluation.check.asset_key.to_user_string(), evaluation.check.name
        times = "once" if past.failures == 1 else f"{past.failures} times"
        lasted = _length(evaluation.evaluated_at - past.since)
        passed, since = _time(evaluation.evaluated_at), _time(past.since)
        lines = [
            f"Passed again at {passed}, {lasted} after the first failure ({since}); it had failed {times}.",
            _line("Run", evaluation.run_id),
            _line("Open", self._check_link(evaluation.check)),
        ]
        return self._alert(f"{asset} recovered: check {check} passes again", None, lines, Kind.RECOVERY)

    def run_failed(self, failure: RunFailure, past: Past) -> Alert:
        """Return the alert for a run that failed although no blocking check did."""
        names = [step.step for step in failure.steps]
        if names:
            headline = f"{_list(names, 3)} failed: {failure.steps[0].error}"
        elif failure.running:
            headline = f"run ended without a word in {_list(failure.running, 3)}"
        elif failure.started_at is None:
            headline = f"run of {failure.job} could not start"
        else:
            headline = f"run of {failure.job} failed"
        lines = [
            "No check explains it. What was published before it stands; what is downstream was not made."
            if names
            else "The process was killed, ran out of memory or lost its machine; what it had not published is undone.",
            *[f"{step.step}: {step.lines}" for step in failure.steps],
            None if names else _line("Said", failure.reason),
            _line("Job", failure.job),
            _line("Started", _time(failure.started_at) if failure.started_at else "never"),
            _line("Failed", _since(failure.failed_at, past)),
            _line("Held back", _untold(past)),
            _line("What to do", "read the error, mend its cause, launch the job again; it makes what is missing."),
            _line("Run", failure.run_id),
            _line("Open", f"{self.dagster_url.rstrip('/')}/runs/{failure.run_id}" if self.dagster_url else None),
        ]
        return self._alert(headline, None, lines, Kind.FAILURE)

    def _alert(self, headline: str, amount: str | None, lines: Sequence[str | None], kind: Kind) -> Alert:
        title = f"{self.product}: {headline}" + (f", {amount}" if amount else "")
        return Alert(title, "\n".join(line for line in lines if line), kind)

    def _check_link(self, check: dg.AssetCheckKey) -> str | None:
        if self.dagster_url is None:
            return None
        path = "/".join(quote(part, safe="") for part in check.asset_key.path)
        return f"{self.dagster_url.rstrip('/')}/assets/{path}?view=checks&checkDetail={quote(check.name)}"


def deliver(alert: Alert, address: str, position: int, log: logging.Logger) -> None:
    """Send one alert to one address and return when the address took it.

    Args:
        alert: the message.
        address: an apprise address, or `log`, which writes to the logger.
        position: place of the address in the config, from 1: how an error names it.
        log: where `log` writes.

    Raises:
        DeliveryError: the address is not one that apprise knows, or it did not take the message.
    """
    if address == LOG_ADDRESS:
        levels = {Kind.FAILURE: logging.ERROR, Kind.WARNING: logging.WARNING, Kind.RECOVERY: logging.INFO}
        log.log(levels[alert.kind], "%s\n%s", alert.title, alert.body)
        return
    import apprise

    # an address holds tokens: only its scheme is ever named
    name = f"the {address.split(':', 1)[0]} address (number {position} of alerts.yaml)"
    service = apprise.Apprise()
    if not service.add(address):
        raise DeliveryError(f"{name} is not one that apprise understands")
    if not service.notify(title=alert.title, body=alert.body, notify_type=apprise.NotifyType(alert.kind.value)):
        raise DeliveryError(f"{name} did not take the alert")


def _line(label: str, value: object) -> str | None:
    return f"{label}: {value}" if value else None


def _amount(facts: Mapping[str, Any]) -> str | None:
    """Return how much was found against what is allowed: `3 of 1,200 (0.25 %), allowed 0 %`; None when not counted."""
    count, total, share, bound = (facts.get(name) for name in ("count", "total", "share", "bound"))
    if count is None or facts.get("errored"):
        return None
    text = f"{count:,}" + (f" of {total:,}" if total is not None else "")
    text += f" ({_percent(share)})" if share is not None else ""
    return text + (f", allowed {_percent(bound)}" if bound is not None else "")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _samples(facts: Mapping[str, Any]) -> str | None:
    keys = list(facts.get("sample_keys") or [])
    if not keys:
        return None
    shown = ["/".join(str(part) for part in key.values()) if isinstance(key, dict) else str(key) for key in keys]
    names = f" ({'/'.join(keys[0])})" if isinstance(keys[0], dict) else ""
    is_cut = bool(facts.get("sample_truncated")) or len(keys) > _SHOWN_KEYS
    return ", ".join(shown[:_SHOWN_KEYS]) + (", …" if is_cut else "") + names


def _failing_rules(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rules that failed of a check that speaks for several."""
    return [rule for rule in facts.get("rules") or [] if _is_failing(rule)]


def _is_failing(rule: Mapping[str, Any]) -> bool:
    if rule.get("errored"):
        return True
    if "passed" in rule:
        return not rule["passed"]
    share, bound = rule.get("share"), rule.get("bound") or 0.0
    return bool(rule.get("count")) if share is None else share > bound


def _rule_lines(rule: Mapping[str, Any]) -> list[str]:
    title = rule.get("title") or rule.get("rule") or "a rule"
    said = f"could not be evaluated: {rule['errored']}" if rule.get("errored") else _amount(rule) or "failed"
    details = [_line("sample keys", _samples(rule)), _line("what to do", rule.get("recovery"))]
    return [f"- {title}: {said}", *[f"  {detail}" for detail in details if detail]]


def _blocked(evaluation: Evaluation) -> str:
    blocks = [str(name) for name in evaluation.metadata.get("blocks") or []]
    if not evaluation.is_blocking:
        return "nothing; the rows are published."
    if not blocks:
        return "nothing downstream; the last good rows stand."
    return f"{_list(blocks, _SHOWN_BLOCKED)}. Their last good rows stand."


def _list(names: Sequence[str], shown: int) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def _since(at: float, past: Past) -> str:
    if past.failures == 1:
        return f"{_time(at)}, the first time"
    return f"{_time(past.since)} ({_length(at - past.since)}, {past.failures} times); the last at {_time(at)}"


def _untold(past: Past) -> str | None:
    if not past.untold:
        return None
    return f"{past.untold} more {'failure' if past.untold == 1 else 'failures'} since the last message"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, tz=UTC):%Y-%m-%d %H:%M} UTC"


def _length(seconds: float) -> str:
    if seconds < 2 * _HOUR:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} days"
