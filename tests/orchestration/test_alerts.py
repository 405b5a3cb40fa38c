"""The words of an alert, and its delivery to one address."""

import logging
import subprocess
import sys

import dagster as dg
import pytest
from alert_world import REFUSED

from milestones_dagster.orchestration.alerts import Alert, DeliveryError, Kind, Past, Writer, deliver
from milestones_dagster.orchestration.check_history import Evaluation
from milestones_dagster.orchestration.run_history import RunFailure, StepFailure

T0 = 1_767_322_800.0  # 2026-01-02 03:00 UTC
LINKED = Writer("Helpdesk", "http://dagster.example:3000/")
BARE = Writer("Helpdesk", None)
LOG = logging.getLogger("test_alerts")


def evaluation(**changes: object) -> Evaluation:
    given = {
        "record_id": 1,
        "check": dg.AssetCheckKey(dg.AssetKey(["helpdesk", "raw_events"]), "rows"),
        "run_id": "run-1",
        "evaluated_at": T0,
        "is_passed": False,
        "is_blocking": True,
        "is_warning": False,
        "description": None,
        "metadata": REFUSED,
    }
    return Evaluation(**{**given, **changes})


def test_the_whole_message_of_a_refused_table():
    alert = LINKED.check_failed(evaluation(), Past(T0))
    assert alert == Alert(
        title="Helpdesk: helpdesk/raw_events refused: check rows failed, 3 of 1,200 (0.25 %), allowed 0 %",
        body="""\
an event id is unique within its day
Found: 3 of 1,200 (0.25 %), allowed 0 %
Sample keys: 2026-01-02/e1, 2026-01-02/e2, … (day/event_id)
Blocked: account_event_daily. Their last good rows stand.
What to do: refused; the published rows are as of 2026-01-01. Mend the file, launch the job again.
Since: 2026-01-02 03:00 UTC, the first time
Run: run-1
Open: http://dagster.example:3000/assets/helpdesk/raw_events?view=checks&checkDetail=rows""",
        kind=Kind.FAILURE,
    )


def test_a_message_without_an_address_of_the_ui_has_no_link():
    assert "Open:" not in BARE.check_failed(evaluation(), Past(T0)).body


def test_a_lasting_failure_says_since_when_how_often_and_what_was_held_back():
    body = BARE.check_failed(evaluation(), Past(T0 - 3 * 86_400, failures=5, untold=3)).body
    assert "Since: 2025-12-30 03:00 UTC (3 days, 5 times); the last at 2026-01-02 03:00 UTC" in body
    assert "Held back: 3 more failures since the last message" in body


def test_the_rules_that_failed_of_an_aggregate_are_told_one_by_one():
    rules = [
        {**REFUSED, "title": "an event id is unique within its day"},
        {"rule": "no_future", "count": 0, "total": 1200, "share": 0.0, "bound": 0.0},
        {"rule": "known_accounts", "count": 200, "total": 1200, "share": 0.1667, "bound": 0.2},
        {"rule": "no_empty_day", "count": 1, "total": 30, "share": None, "bound": 0.0},
        {"rule": "late", "passed": True, "count": 9, "share": 0.5, "bound": 0.1},
        {"rule": "tracked", "errored": "Binder Error", "count": 0, "share": None},
    ]
    body = BARE.check_failed(evaluation(metadata={"rules": rules, "recovery": "mend the file"}), Past(T0)).body
    assert body.splitlines()[:8] == [
        "- an event id is unique within its day: 3 of 1,200 (0.25 %), allowed 0 %",
        "  sample keys: 2026-01-02/e1, 2026-01-02/e2, … (day/event_id)",
        "  what to do: " + REFUSED["recovery"],
        "- no_empty_day: 1 of 30, allowed 0 %",
        "- tracked: could not be evaluated: Binder Error",
        "Blocked: nothing downstream; the last good rows stand.",
        "What to do: mend the file",
        "Since: 2026-01-02 03:00 UTC, the first time",
    ]


def test_more_than_eight_blocked_tables_are_counted():
    blocks = [f"table_{number}" for number in range(11)]
    body = BARE.check_failed(evaluation(metadata={"blocks": blocks}), Past(T0)).body
    assert "table_7 and 3 more. Their last good rows stand." in body


def test_a_check_with_no_metadata_at_all_is_told():
    alert = BARE.check_failed(evaluation(metadata={}, is_blocking=False), Past(T0))
    assert alert.title == "Helpdesk: helpdesk/raw_events: failed check rows"
    assert alert.body.startswith("Blocked: nothing; the rows are published.")


def test_recovery_says_how_long_it_lasted():
    alert = LINKED.check_recovered(evaluation(is_passed=True), Past(T0 - 7_200, failures=2))
    assert alert.title == "Helpdesk: helpdesk/raw_events recovered: check rows passes again"
    assert alert.body.startswith(
        "Passed again at 2026-01-02 03:00 UTC, 2 h after the first failure (2026-01-02 01:00 UTC); it had failed 2 times.\n"
    )
    assert alert.kind is Kind.RECOVERY


def test_the_whole_message_of_a_failed_run():
    steps = (
        StepFailure("accounts", "OSError", "OSError: disk full"),
        StepFailure("users", "KeyError", "KeyError: 'id'"),
    )
    failure = RunFailure("run-1", "daily", T0 - 60, T0, steps, (), "Steps failed")
    assert LINKED.run_failed(failure, Past(T0)) == Alert(
        title="Helpdesk: accounts, users failed: OSError",
        body="""\
No check explains it. What was published before it stands; what is downstream was not made.
accounts: OSError: disk full
users: KeyError: 'id'
Job: daily
Started: 2026-01-02 02:59 UTC
Failed: 2026-01-02 03:00 UTC, the first time
What to do: read the error, mend its cause, launch the job again; it makes what is missing.
Run: run-1
Open: http://dagster.example:3000/runs/run-1""",
        kind=Kind.FAILURE,
    )


@pytest.mark.parametrize(
    ("kind", "level"),
    [(Kind.FAILURE, "ERROR"), (Kind.WARNING, "WARNING"), (Kind.RECOVERY, "INFO")],
)
def test_the_log_takes_every_kind_at_its_level(kind, level, caplog):
    caplog.set_level(logging.INFO)
    deliver(Alert("a title", "a body", kind), "log", 1, LOG)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [(level, "a title\na body")]


def test_an_address_gets_title_body_and_kind(receiver):
    deliver(Alert("a title", "a body", Kind.RECOVERY), receiver.address, 1, LOG)
    (message,) = receiver.messages
    assert (message["title"], message["message"], message["type"]) == ("a title", "a body", "success")


@pytest.mark.parametrize("address", ["nonsense://token-1234", "json://127.0.0.1:9/token-1234"])
def test_an_error_of_delivery_never_shows_what_the_address_holds(address):
    with pytest.raises(DeliveryError, match=r"address \(number 2 of alerts.yaml\)") as caught:
        deliver(Alert("a title", "a body", Kind.FAILURE), address, 2, LOG)
    assert "token-1234" not in str(caught.value)


def test_the_code_server_does_not_pay_for_apprise():
    code = "import sys, milestones_dagster.orchestration.sensors; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
