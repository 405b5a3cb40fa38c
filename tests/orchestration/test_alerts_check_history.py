"""The contract of the one call of Dagster that is not public: evaluations on every storage, by their own time."""

import time

import dagster as dg
from alert_world import QUIET, Company

from milestones_dagster.orchestration.check_history import Evaluation, read_evaluations

CHECK = dg.AssetCheckKey(dg.AssetKey("raw_events"), "rows")


def _report(instance: dg.DagsterInstance, check: dg.AssetCheckKey, passed: bool) -> None:
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=check.asset_key, check_name=check.name, passed=passed, metadata={})
    )


def test_the_call_that_is_not_public_still_has_its_shape(instance):
    _report(instance, CHECK, passed=True)
    _report(instance, CHECK, passed=False)
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10, cursor=None, status=None)
    assert [record.evaluation.passed for record in history] == [False, True]
    assert history[0].id > history[1].id
    older = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10, cursor=history[0].id)
    assert [record.id for record in older] == [history[1].id]
    assert abs(history[0].event.timestamp - time.time()) < 60
    assert abs(history[0].create_timestamp - time.time()) < 60


def test_an_evaluation_carries_what_an_alert_needs(instance):
    company = Company(instance, ["log"])
    company.plan.failing = {"rows": {"count": 3, "share": 0.25, "sample_keys": [{"day": "2026-01-02"}], "rule": "r"}}
    run = company.run()
    (found,) = read_evaluations(instance, [CHECK], after=0.0, limit=10)
    assert found == Evaluation(
        record_id=found.record_id,
        check=CHECK,
        run_id=run.run_id,
        evaluated_at=found.evaluated_at,
        is_passed=False,
        is_blocking=True,
        is_warning=False,
        description=None,
        metadata={"count": 3, "share": 0.25, "sample_keys": [{"day": "2026-01-02"}], "rule": "r"},
    )


def test_evaluations_are_ascending_bounded_and_later_than_the_time_given(instance):
    other = dg.AssetCheckKey(dg.AssetKey("raw_events"), "keys")
    for passed in (True, False, True, False):
        _report(instance, CHECK, passed)
        _report(instance, other, not passed)
    everything = read_evaluations(instance, [CHECK, other], after=0.0, limit=100)
    assert [found.is_passed for found in everything] == [True, False, False, True] * 2
    times = [found.evaluated_at for found in everything]
    assert times == sorted(times)
    assert read_evaluations(instance, [CHECK, other], after=0.0, limit=3) == everything[:3]
    assert read_evaluations(instance, [CHECK, other], after=times[4], limit=100) == everything[5:]


def test_many_evaluations_of_one_check_are_all_read(instance):
    for number in range(230):
        _report(instance, CHECK, passed=number % 2 == 0)
    assert len(read_evaluations(instance, [CHECK], after=0.0, limit=1000)) == 230


def test_a_check_planned_early_and_evaluated_late_is_not_missed(instance):
    """A record's number is given at planning: a long run's evaluation is the newest with the oldest number."""
    company = Company(instance, ["log"])
    job = company.definitions.resolve_job_def("daily")
    slow = instance.create_run_for_job(job, asset_selection=None)
    planned = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    for _ in range(6):
        company.run()
    horizon = time.time()
    instance.report_dagster_event(
        dg.DagsterEvent(
            event_type_value="ASSET_CHECK_EVALUATION",
            job_name="daily",
            step_key="raw_events",
            event_specific_data=dg.AssetCheckEvaluation(
                asset_key=CHECK.asset_key, check_name="rows", passed=False, metadata={}, blocking=True
            ),
        ),
        slow.run_id,
    )
    (found,) = read_evaluations(instance, [CHECK], after=horizon, limit=10)
    assert (found.run_id, found.record_id) == (slow.run_id, planned[0].id)


def test_planned_rows_that_are_never_evaluated_are_passed_over(instance):
    days = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-03-01")

    @dg.multi_asset(
        specs=[dg.AssetSpec("raw_events")],
        check_specs=[dg.AssetCheckSpec("rows", asset="raw_events", blocking=True)],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def raw_events():
        yield dg.AssetCheckResult(asset_key="raw_events", check_name="rows", passed=False)
        raise dg.Failure("refused", allow_retries=False)

    job = dg.Definitions(assets=[raw_events], jobs=[dg.define_asset_job("daily", selection=[raw_events])]).resolve_job_def("daily")
    tags = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-01-20"}
    job.execute_in_process(instance=instance, tags=tags, raise_on_error=False, run_config=QUIET)
    assert len(instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=100)) > 1
    assert [found.is_passed for found in read_evaluations(instance, [CHECK], after=0.0, limit=10)] == [False]
