"""A failed run is heard when no blocking check explains it, whatever ended it."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from alert_world import REFUSED, Company

from milestones_dagster.orchestration.alerts import DeliveryError

_KILLED = """
import os, signal, sys
import dagster as dg

@dg.asset
def raw_events():
    os.kill(os.getpid(), signal.SIGKILL)

job = dg.Definitions(assets=[raw_events], jobs=[dg.define_asset_job("daily", selection="*")]).resolve_job_def("daily")
with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:
    job.execute_in_process(instance=instance, run_id=sys.argv[2])
"""


def test_a_run_that_a_blocking_check_stopped_is_left_to_the_check_sensor(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": REFUSED}
    assert not company.run().success
    assert company.poll_runs() == "nothing new to tell"
    assert receiver.messages == []


def test_a_step_that_raised_is_told_once_with_its_error_and_the_run(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.raising = {"account_event_daily": OSError("disk full\non /data\n")}
    run = company.run()
    company.poll_runs()
    company.poll_runs()
    (message,) = receiver.messages
    assert message["title"] == "Helpdesk: account_event_daily failed: OSError"
    assert message["type"] == "failure"
    assert "account_event_daily: OSError: disk full\non /data" in message["message"]
    assert f"Open: http://dagster.example:3000/runs/{run.run_id}" in message["message"]
    assert "Job: daily" in message["message"]
    # the same failure is no check's: the other sensor has nothing to say
    assert company.poll() == "nothing new to tell"


def test_a_failed_check_that_does_not_block_explains_no_failed_step(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"late": {"count": 4, "total": 10}}
    company.plan.raising = {"raw_events": ValueError("broken")}
    company.run()
    company.poll_runs()
    assert receiver.titles == ["Helpdesk: raw_events failed: ValueError"]


def test_one_step_without_a_failing_check_is_told_beside_one_that_has_it(instance, receiver):
    @dg.asset(check_specs=[dg.AssetCheckSpec("rows", asset="accounts", blocking=True)])
    def accounts():
        yield dg.AssetCheckResult(check_name="rows", passed=False)
        raise dg.Failure("refused", allow_retries=False)

    @dg.asset
    def users():
        raise MemoryError("no more")

    company = Company(instance, [receiver.address], assets=[accounts, users])
    company.run()
    company.poll_runs()
    (message,) = receiver.messages
    assert message["title"] == "Helpdesk: users failed: MemoryError"
    assert "accounts" not in message["message"]


@pytest.mark.parametrize("has_started", [True, False])
def test_a_run_that_ended_without_a_word_is_told(receiver, has_started, tmp_path: Path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        company = Company(instance, [receiver.address])
        company.poll_runs()
        run_id = "6a3c2a53-0f0f-4d5e-8b0f-0123456789ab"
        if has_started:
            command = [sys.executable, "-c", _KILLED, str(tmp_path), run_id]
            assert subprocess.run(command, capture_output=True, check=False).returncode == -9  # noqa: S603
        else:
            instance.create_run_for_job(company.definitions.resolve_job_def("daily"), run_id=run_id)
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert company.poll_runs() == "nothing new to tell"
        # what the daemon's run monitoring does once it misses the process
        instance.report_run_failed(run, "Run worker process exited unexpectedly")
        company.poll_runs()
        (message,) = receiver.messages
        if has_started:
            assert message["title"] == "Helpdesk: run ended without a word in raw_events"
            assert "The process was killed, ran out of memory or lost its machine" in message["message"]
        else:
            assert message["title"] == "Helpdesk: run of daily could not start"
            assert "Started: never" in message["message"]
        assert "Said: Run worker process exited unexpectedly" in message["message"]


def test_nothing_is_lost_while_the_receiver_is_down(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.raising = {"raw_events": ValueError("broken")}
    company.run()
    receiver.stop()
    with pytest.raises(DeliveryError):
        company.poll_runs()
    receiver.start()
    company.poll_runs()
    company.poll_runs()
    assert len(receiver.messages) == 1


def test_the_same_failure_again_is_held_back_and_another_is_told(instance, receiver):
    company = Company(instance, [receiver.address])
    for error in (ValueError("broken"), ValueError("broken"), KeyError("other")):
        company.plan.raising = {"raw_events": error}
        company.run()
        company.poll_runs()
    assert receiver.titles == ["Helpdesk: raw_events failed: ValueError", "Helpdesk: raw_events failed: KeyError"]
    assert "Held back: 1 more failure since the last message" in receiver.messages[1]["message"]


def test_runs_that_make_none_of_our_assets_are_not_told(instance, receiver):
    company = Company(instance, [receiver.address])

    @dg.asset
    def elsewhere():
        raise ValueError("theirs")

    assert not dg.materialize([elsewhere], instance=instance, raise_on_error=False).success
    assert company.poll_runs() == "nothing new to tell"


def test_a_run_over_a_selection_of_assets_is_told(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.raising = {"account_event_daily": ValueError("broken")}
    dg.materialize(company.assets, selection=["account_event_daily"], instance=instance, raise_on_error=False)
    company.poll_runs()
    assert len(receiver.messages) == 1


def test_a_long_error_is_cut(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.raising = {"raw_events": ValueError("\n".join(f"line {number}" for number in range(50)))}
    company.run()
    company.poll_runs()
    assert "line 4 …" in receiver.messages[0]["message"]
    assert "line 5" not in receiver.messages[0]["message"]


def test_a_tag_given_later_does_not_tell_an_old_failure_again(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.raising = {"raw_events": ValueError("broken")}
    run = company.run()
    company.poll_runs()
    instance.add_run_tags(run.run_id, {"seen": "yes"})
    company.poll_runs()
    assert len(receiver.messages) == 1
