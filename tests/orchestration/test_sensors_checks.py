"""Failed checks are heard: each once, also when the run is green, also when the receiver was down."""

import json
import time

import dagster as dg
import pytest
from alert_world import REFUSED, Company, receivers

from milestones_dagster.config.duration import Duration
from milestones_dagster.orchestration.alerts import DeliveryError

LATE = {"count": 40, "total": 1000, "share": 0.04, "bound": 0.02, "rule": "few events arrive late"}


def test_a_refused_table_is_told_once_with_all_that_a_person_needs(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": REFUSED}
    run = company.run()
    assert not run.success
    company.poll()
    company.poll()
    (message,) = receiver.messages
    assert message["title"] == "Helpdesk: raw_events refused: check rows failed, 3 of 1,200 (0.25 %), allowed 0 %"
    assert message["type"] == "failure"
    body = message["message"].splitlines()
    assert body[0] == "an event id is unique within its day"
    assert "Found: 3 of 1,200 (0.25 %), allowed 0 %" in body
    assert "Sample keys: 2026-01-02/e1, 2026-01-02/e2, … (day/event_id)" in body
    assert "Blocked: account_event_daily. Their last good rows stand." in body
    assert "What to do: " + REFUSED["recovery"] in body
    assert f"Run: {run.run_id}" in body
    assert "Open: http://dagster.example:3000/assets/raw_events?view=checks&checkDetail=rows" in body


def test_a_failed_check_that_blocks_nothing_is_heard_though_the_run_is_green(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"late": LATE}
    assert company.run().success
    company.poll()
    (message,) = receiver.messages
    assert message["title"] == "Helpdesk: raw_events: warning from check late, 40 of 1,000 (4 %), allowed 2 %"
    assert message["type"] == "warning"
    assert "Blocked: nothing; the rows are published." in message["message"]


def test_clean_runs_say_nothing(instance, receiver):
    company = Company(instance, [receiver.address])
    company.run()
    assert company.poll() == "nothing new to tell"
    company.run()
    company.poll()
    assert receiver.messages == []


def test_nothing_is_lost_while_the_receiver_is_down(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": REFUSED, "late": LATE}
    company.run()
    receiver.stop()
    for _ in range(2):
        with pytest.raises(DeliveryError, match=r"the json address \(number 1 of alerts.yaml\) did not take the alert"):
            company.poll()
    assert company.cursor() == ""
    receiver.start()
    company.poll()
    company.poll()
    assert [title.split(",")[0] for title in receiver.titles] == [
        "Helpdesk: raw_events refused: check rows failed",
        "Helpdesk: raw_events: warning from check late",
    ]


def test_a_receiver_that_refuses_counts_as_down(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": REFUSED}
    company.run()
    receiver.status = 500
    with pytest.raises(DeliveryError):
        company.poll()
    receiver.status = 200
    company.poll()
    assert len(receiver.messages) == 1


def test_a_receiver_that_goes_down_between_two_alerts_gets_the_second_alone_afterwards(instance, receiver):
    company = Company(instance, [receiver.address])
    company.poll()
    company.plan.failing = {"rows": REFUSED}
    company.run()
    company.poll()
    company.plan.failing = {"rows": REFUSED, "keys": REFUSED}
    company.run()
    receiver.stop()
    with pytest.raises(DeliveryError):
        company.poll()
    receiver.start()
    company.poll()
    assert [title.split(",")[0] for title in receiver.titles] == [
        "Helpdesk: raw_events refused: check rows failed",
        "Helpdesk: raw_events refused: check keys failed",
    ]


def test_of_two_addresses_the_one_that_is_up_is_told_once_and_the_other_later(instance):
    with receivers(2) as (up, down):
        company = Company(instance, [up.address, down.address])
        company.plan.failing = {"rows": REFUSED}
        company.run()
        down.stop()
        assert "number 2 of alerts.yaml) did not take the alert" in company.poll()
        assert len(up.messages) == 1
        # nothing is left for the address that is up: only the other one fails, and the tick says so without raising
        assert "did not take the alert" in company.poll()
        down.start()
        company.poll()
        company.poll()
        assert (len(up.messages), len(down.messages)) == (1, 1)


def test_an_address_that_is_down_holds_back_no_later_alert_of_the_others(instance):
    with receivers(2) as (up, down):
        company = Company(instance, [down.address, up.address])
        down.stop()
        for failing in ({"rows": REFUSED}, {"rows": REFUSED, "keys": REFUSED}):
            company.plan.failing = failing
            company.run()
            company.poll()
        assert [title.split(",")[0][-11:] for title in up.titles] == ["rows failed", "keys failed"]
        down.start()
        company.poll()
        assert sorted(title.split(",")[0][-11:] for title in down.titles) == ["keys failed", "rows failed"]


def test_repeats_are_held_back_and_counted(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": REFUSED}
    for _ in range(3):
        company.run()
        company.poll()
    assert len(receiver.messages) == 1
    # the rhythm ends: the next failure is told with the two that were held back
    company.configure([receiver.address], Duration(seconds=1))
    time.sleep(1.1)
    company.run()
    company.poll()
    assert len(receiver.messages) == 2
    body = receiver.messages[1]["message"]
    assert "Held back: 2 more failures since the last message" in body
    assert "4 times); the last at" in body


def test_recovery_is_told_once(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": REFUSED}
    company.run()
    company.poll()
    company.run()
    company.poll()
    company.plan.failing = {}
    for _ in range(2):
        company.run()
        company.poll()
    assert receiver.titles[1:] == ["Helpdesk: raw_events recovered: check rows passes again"]
    assert receiver.messages[1]["type"] == "success"
    assert "it had failed 2 times." in receiver.messages[1]["message"]


def test_a_failure_after_a_recovery_is_a_new_one(instance, receiver):
    company = Company(instance, [receiver.address])
    for failing in ({"rows": REFUSED}, {}, {"rows": REFUSED}):
        company.plan.failing = failing
        company.run()
        company.poll()
    assert [message["type"] for message in receiver.messages] == ["failure", "success", "failure"]


def test_a_failure_and_its_recovery_between_two_polls_are_both_told(instance, receiver):
    company = Company(instance, [receiver.address])
    company.poll()
    for failing in ({"rows": REFUSED}, {}):
        company.plan.failing = failing
        company.run()
    company.poll()
    assert [message["type"] for message in receiver.messages] == ["failure", "success"]


def test_the_first_poll_tells_only_what_still_fails(instance, receiver):
    company = Company(instance, [receiver.address])
    for failing in ({"rows": REFUSED}, {"rows": REFUSED, "late": LATE}, {"late": LATE}):
        company.plan.failing = failing
        company.run()
    # the second poll reads the same minutes again
    assert company.poll() == "1 alert delivered"
    assert company.poll() == "nothing new to tell"
    assert [message["type"] for message in receiver.messages] == ["warning"]


def test_what_was_over_before_the_first_poll_is_never_told(instance, receiver):
    company = Company(instance, [receiver.address])
    for failing in ({"rows": REFUSED}, {}):
        company.plan.failing = failing
        company.run()
    assert [company.poll(), company.poll()] == ["nothing new to tell"] * 2
    assert receiver.messages == []


def test_a_check_that_could_not_be_evaluated_is_told_as_such(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": {"errored": "Binder Error: no column seats", "blocks": ["account_event_daily"]}}
    company.run()
    company.poll()
    (message,) = receiver.messages
    assert message["title"] == "Helpdesk: raw_events: check rows could not be evaluated"
    assert "Could not be evaluated: Binder Error: no column seats" in message["message"]


def test_failing_for_another_reason_is_no_repeat(instance, receiver):
    company = Company(instance, [receiver.address])
    for metadata in (REFUSED, {"errored": "Binder Error"}):
        company.plan.failing = {"rows": metadata}
        company.run()
        company.poll()
    assert len(receiver.messages) == 2


def test_checks_of_other_code_locations_are_not_told(instance, receiver):
    company = Company(instance, [receiver.address])

    @dg.asset(check_specs=[dg.AssetCheckSpec("theirs", asset="elsewhere")])
    def elsewhere():
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=False)])

    dg.materialize([elsewhere], instance=instance)
    assert company.poll() == "nothing new to tell"


def test_many_evaluations_within_minutes_hide_no_later_failure(receiver):
    names = [f"rule_{number}" for number in range(110)]
    failing: set[str] = set()

    @dg.asset(check_specs=[dg.AssetCheckSpec(name, asset="accounts") for name in names])
    def accounts():
        yield dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(check_name=name, passed=name not in failing) for name in names]
        )

    with dg.DagsterInstance.ephemeral() as instance:
        company = Company(instance, [receiver.address], assets=[accounts])
        # 2 × 110 evaluations, more than one batch of 200, all inside the overlap that every poll reads again
        company.run()
        company.run()
        company.poll()
        failing.add("rule_7")
        company.run()
        company.poll()
        company.poll()
    assert receiver.titles == ["Helpdesk: accounts: failed check rule_7"]


def test_the_log_is_an_address(instance, capfd):
    company = Company(instance, ["log"])
    company.plan.failing = {"rows": REFUSED, "late": LATE}
    company.run()
    capfd.readouterr()
    company.poll()
    said = capfd.readouterr().err
    assert "dagster - ERROR - Helpdesk: raw_events refused: check rows failed" in said
    assert "dagster - WARNING - Helpdesk: raw_events: warning from check late" in said
    assert REFUSED["recovery"] in said


def test_a_new_address_hears_what_still_fails(instance):
    with receivers(2) as (old, new):
        company = Company(instance, [old.address])
        company.plan.failing = {"rows": REFUSED}
        company.run()
        company.poll()
        company.configure([old.address, new.address])
        company.poll()
        assert (len(old.messages), len(new.messages)) == (1, 1)


def test_the_cursor_is_small_and_names_no_address(instance, receiver):
    company = Company(instance, [receiver.address, "log"])
    for failing in ({"rows": REFUSED, "keys": REFUSED, "late": LATE}, {}) * 2:
        company.plan.failing = failing
        company.run()
        company.poll()
    assert "127.0.0.1" not in company.cursor()
    assert len(company.cursor()) < 2_000
    assert all(ledger["told"] == {} for ledger in json.loads(company.cursor())["ledgers"].values())


def test_a_cursor_that_is_not_ours_counts_as_none(instance, receiver):
    company = Company(instance, [receiver.address])
    company.plan.failing = {"rows": REFUSED}
    company.run()
    company._cursors["milestones_check_alerts"] = '{"version": 1, "ledgers": [1]}'
    company.poll()
    assert len(receiver.messages) == 1
