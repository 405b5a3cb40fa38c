"""What Dagster does where one would not expect it: an upgrade that changes any of it must fail here, loudly.

Put here one small test per behaviour that the product is built on or around. Keep out the product's own behaviour.
"""

import datetime as dt
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from alert_world import QUIET

T = dg.AssetKey("t")
CHECKS = ("shape", "keys", "rows")
DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-03-01")
RANGE = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-01-10"}


def specs(blocking: bool = True) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(name, asset="t", blocking=blocking) for name in CHECKS]


def results(*failing: str) -> list[dg.AssetCheckResult]:
    return [dg.AssetCheckResult(asset_key="t", check_name=name, passed=name not in failing) for name in CHECKS]


def downstream(count: int = 1) -> list[dg.AssetsDefinition]:
    def build(number: int) -> dg.AssetsDefinition:
        @dg.asset(name=f"after_{number}", deps=["t"])
        def after() -> dg.MaterializeResult:
            return dg.MaterializeResult()

        return after

    return [build(number) for number in range(count)]


def job_of(assets: list[dg.AssetsDefinition], **resources: object) -> dg.JobDefinition:
    job = dg.define_asset_job("daily", selection=assets)
    return dg.Definitions(assets=assets, jobs=[job], resources=resources).resolve_job_def("daily")


def run(instance: dg.DagsterInstance, assets: list[dg.AssetsDefinition], **options: object):
    return job_of(assets).execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET, **options)


def events(instance: dg.DagsterInstance, run_id: str) -> Counter[str]:
    entries = instance.all_logs(run_id)
    return Counter(entry.dagster_event.event_type.name for entry in entries if entry.dagster_event)


def steps_started(instance: dg.DagsterInstance, run_id: str) -> set[str | None]:
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
    return {entry.dagster_event.step_key for entry in entries if entry.dagster_event}


def statuses(instance: dg.DagsterInstance, name: str) -> list[str]:
    check = dg.AssetCheckKey(T, name)
    return [r.status.value for r in instance.event_log_storage.get_asset_check_execution_history(check, limit=100)]


def test_evaluations_yielded_before_a_failure_are_stored_and_downstream_is_not_executed(instance):
    @dg.multi_asset(specs=[dg.AssetSpec("t")], check_specs=specs(), name="t")
    def t():
        yield from results("rows")
        raise dg.Failure("refused", allow_retries=False)

    made = run(instance, [t, *downstream()])
    assert not made.success
    assert {name: statuses(instance, name) for name in CHECKS} == {
        "shape": ["SUCCEEDED"],
        "keys": ["SUCCEEDED"],
        "rows": ["FAILED"],
    }
    counts = events(instance, made.run_id)
    assert (counts["ASSET_CHECK_EVALUATION"], counts["ASSET_MATERIALIZATION"], counts["STEP_FAILURE"]) == (3, 0, 1)
    # not "skipped": the step downstream leaves no event at all
    assert counts["STEP_SKIPPED"] == 0
    assert steps_started(instance, made.run_id) == {"t"}


def test_a_check_not_yielded_before_a_failure_stays_planned(instance):
    @dg.multi_asset(specs=[dg.AssetSpec("t")], check_specs=specs(), name="t")
    def t():
        yield results("shape")[0]
        raise dg.Failure("refused", allow_retries=False)

    run(instance, [t])
    assert (statuses(instance, "shape"), statuses(instance, "rows")) == (["FAILED"], ["PLANNED"])


def test_a_check_not_yielded_fails_the_step_after_its_materialisation_was_stored(instance):
    @dg.multi_asset(specs=[dg.AssetSpec("t")], check_specs=specs(), name="t")
    def t():
        yield results()[0]
        yield dg.MaterializeResult(asset_key="t")

    made = run(instance, [t])
    assert not made.success
    assert events(instance, made.run_id)["ASSET_MATERIALIZATION"] == 1


def test_a_failed_check_that_does_not_block_leaves_the_run_green(instance):
    @dg.multi_asset(specs=[dg.AssetSpec("t")], check_specs=specs(blocking=False), name="t")
    def t():
        yield dg.MaterializeResult(asset_key="t", check_results=results("rows"))

    made = run(instance, [t, *downstream()])
    assert made.success
    assert steps_started(instance, made.run_id) == {"t", "after_0"}
    assert statuses(instance, "rows") == ["FAILED"]


def test_a_check_that_raises_stores_no_evaluation(instance):
    @dg.asset(name="t")
    def t() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    @dg.asset_check(asset="t", name="rows", blocking=True)
    def rows() -> dg.AssetCheckResult:
        raise ValueError("broken")

    job = dg.Definitions(assets=[t], asset_checks=[rows]).resolve_implicit_global_asset_job_def()
    assert not job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET).success
    assert statuses(instance, "rows") == ["PLANNED"]


def test_a_blocking_check_gates_only_inside_its_run(instance):
    @dg.multi_asset(specs=[dg.AssetSpec("t")], check_specs=specs(), name="t")
    def t():
        yield dg.MaterializeResult(asset_key="t", check_results=results("rows"))

    after = downstream()
    assert not run(instance, [t, *after]).success
    assert run(instance, after).success


def test_a_range_of_days_plans_one_event_per_day_for_every_asset_of_the_run(instance):
    """Why no job is launched over a range: 730 days and 18 assets with 3 checks took 157 s on SQLite, against 5 s."""

    @dg.multi_asset(
        specs=[dg.AssetSpec("t")],
        check_specs=specs(),
        name="t",
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def t(context: dg.AssetExecutionContext):
        assert len(context.partition_keys) == 10
        for day in context.partition_keys:
            context.add_asset_metadata({"rows": 1}, asset_key="t", partition_key=day)
        yield dg.MaterializeResult(asset_key="t", check_results=results())

    made = run(instance, [t, *downstream(3)], tags=RANGE)
    assert made.success
    counts = events(instance, made.run_id)
    assert counts["ASSET_MATERIALIZATION_PLANNED"] == 4 * 10
    # the metadata rides on the events of the days themselves
    assert counts["ASSET_MATERIALIZATION"] == 10 + 3
    assert len(instance.get_materialized_partitions(T)) == 10
    # nothing ever resolves the planned evaluations of the days
    assert Counter(statuses(instance, "rows")) == {"SUCCEEDED": 1, "PLANNED": 10}


def _daily_t(refused: int):
    @dg.multi_asset(specs=[dg.AssetSpec("t")], check_specs=specs(), name="t", partitions_def=DAYS)
    def t(context: dg.AssetExecutionContext):
        assert not context.has_partition_key
        assert not context.has_partition_key_range
        for number in range(10 - refused):
            day = f"2026-01-{number + 1:02}"
            context.log_event(dg.AssetMaterialization(asset_key="t", partition=day, metadata={"rows": 1}))
        yield from results(*(["rows"] if refused else []))
        if refused:
            raise dg.Failure("refused 1 of 10 days", allow_retries=False)
        yield dg.MaterializeResult(asset_key="t")

    return t


def test_a_run_without_partition_may_log_the_days_that_it_made(instance):
    made = run(instance, [_daily_t(refused=0), *downstream(3)])
    assert made.success
    counts = events(instance, made.run_id)
    assert counts["ASSET_MATERIALIZATION_PLANNED"] == 4
    assert counts["ASSET_MATERIALIZATION"] == 10 + 1 + 3
    assert len(instance.get_materialized_partitions(T)) == 10
    assert statuses(instance, "rows") == ["SUCCEEDED"]


def test_good_days_logged_before_a_failure_stay_materialised(instance):
    made = run(instance, [_daily_t(refused=1), *downstream()])
    assert not made.success
    assert len(instance.get_materialized_partitions(T)) == 9
    assert statuses(instance, "rows") == ["FAILED"]
    assert steps_started(instance, made.run_id) == {"t"}


def test_a_logged_event_without_an_output_makes_the_run_green_and_skips_what_is_downstream(instance):
    @dg.asset(name="t", output_required=False)
    def t(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        context.log_event(dg.AssetMaterialization(asset_key="t"))
        yield from ()

    made = run(instance, [t, *downstream()])
    assert made.success
    assert steps_started(instance, made.run_id) == {"t"}


def test_the_console_is_silenced_by_run_config_and_events_are_followed_live(instance, capfd):
    seen: list[str] = []
    run_id = str(uuid.uuid4())
    instance.add_event_listener(
        run_id, lambda entry: seen.append(entry.dagster_event.event_type.name if entry.dagster_event else "log line")
    )

    @dg.asset(name="t")
    def t(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        assert seen[-1] == "STEP_START"
        context.log.info("a line")
        assert seen[-1] == "log line"
        return dg.MaterializeResult()

    assert run(instance, [t], run_id=run_id).success
    assert seen[-1] == "RUN_SUCCESS"
    said = capfd.readouterr()
    assert "STEP_START" not in said.err + said.out


def test_config_of_a_job_with_a_partitioned_asset_is_not_applied_in_process(instance, capfd):
    @dg.asset(name="t", partitions_def=DAYS)
    def t() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    job = dg.define_asset_job("daily", selection=[t], config=QUIET)
    definition = dg.Definitions(assets=[t], jobs=[job]).resolve_job_def("daily")
    definition.execute_in_process(instance=instance)
    assert "STEP_START" in capfd.readouterr().err
    definition.execute_in_process(instance=instance, run_config=QUIET)
    assert "STEP_START" not in capfd.readouterr().err


class Held(dg.ConfigurableResource):
    """Notes when it is opened and closed, and what error it saw."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Held"]:  # noqa: ARG002
        NOTES.append("opened")
        try:
            yield self
        except BaseException as error:
            NOTES.append(type(error).__name__)
            raise
        finally:
            NOTES.append("closed")


NOTES: list[str] = []


def test_a_resource_is_opened_once_per_run_and_closed_when_a_step_raises_without_seeing_why(instance):
    NOTES.clear()

    @dg.asset(name="t")
    def t(held: Held) -> dg.MaterializeResult:
        NOTES.append("t")
        return dg.MaterializeResult()

    @dg.asset(deps=["t"])
    def after(held: Held) -> None:
        raise ValueError("broken")

    job_of([t, after], held=Held()).execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
    assert NOTES == ["opened", "t", "closed"]


@pytest.mark.parametrize(("granularity", "is_held"), [("op", True), ("run", False)])
def test_a_full_pool_holds_a_run_in_process_unless_pools_count_runs(granularity, is_held, tmp_path: Path):
    """Why `dagster.yaml` says `granularity: run`: the slot of a killed run would hang the command line for ever."""

    @dg.multi_asset(specs=[dg.AssetSpec("t")], name="t", pool="milestones_warehouse")
    def t():
        yield dg.MaterializeResult(asset_key="t")

    settings = {"concurrency": {"pools": {"granularity": granularity}}, "telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=settings) as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("milestones_warehouse", 1)
        assert storage.claim_concurrency_slot("milestones_warehouse", "another run", "t").is_claimed
        freed: list[float] = []
        timer = threading.Timer(2.0, lambda: freed.append(storage.free_concurrency_slots_for_run("another run")))
        timer.start()
        assert run(instance, [t]).success
        assert bool(freed) == is_held
        timer.join()


def test_freshness_is_a_policy_on_the_asset(instance):
    policy = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=36), warn_window=dt.timedelta(hours=26))

    @dg.multi_asset(specs=[dg.AssetSpec("t", freshness_policy=policy)], name="t")
    def t():
        yield dg.MaterializeResult(asset_key="t")

    assert next(iter(t.specs)).freshness_policy == policy
    # the daemon evaluates it unless an instance turns it off
    assert instance.freshness_enabled


def test_a_schedule_may_launch_a_job_with_a_partitioned_asset_without_a_partition():
    @dg.asset(name="t", partitions_def=DAYS)
    def t() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    job = dg.define_asset_job("daily", selection=[t])
    schedule = dg.ScheduleDefinition(name="daily", job=job, cron_schedule="0 3 * * *")
    definitions = dg.Definitions(assets=[t], jobs=[job], schedules=[schedule])
    context = dg.build_schedule_context(
        scheduled_execution_time=dt.datetime(2026, 1, 5, 3, tzinfo=dt.UTC),
        repository_def=definitions.get_repository_def(),
    )
    (request,) = schedule.evaluate_tick(context).run_requests
    assert not {tag for tag in request.tags if "partition" in tag}


def test_the_run_failure_sensor_of_dagster_moves_its_cursor_though_its_body_raised(instance):
    """Why the product polls failed runs by itself: an alert that could not be delivered would be lost."""

    @dg.asset(name="t")
    def t() -> None:
        raise ValueError("broken")

    told = []

    @dg.run_failure_sensor(name="theirs")
    def theirs(context: dg.RunFailureSensorContext) -> None:
        told.append(context.dagster_run.run_id)
        raise ConnectionError("the receiver is down")

    job = dg.define_asset_job("daily", selection=[t])
    definitions = dg.Definitions(assets=[t], jobs=[job], sensors=[theirs])

    def poll(cursor: str | None) -> str | None:
        context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=definitions.get_repository_def())
        return theirs.evaluate_tick(context).cursor

    cursor = poll(None)
    made = definitions.resolve_job_def("daily").execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
    cursor = poll(cursor)
    poll(cursor)
    assert told == [made.run_id]


def test_a_run_from_the_command_line_has_no_origin(instance):
    """Why Dagster's run-failure sensor never hears it: under the daemon it compares origins."""

    @dg.asset(name="t")
    def t() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    made = run(instance, [t])
    stored = instance.get_run_by_id(made.run_id)
    assert stored is not None
    assert stored.remote_job_origin is None
    # and a full job names no assets: its plan has to be asked
    assert not stored.asset_selection


def test_event_records_with_a_cursor_are_refused_on_sqlite(tmp_path: Path):
    with dg.DagsterInstance.ephemeral() as memory:
        memory.get_event_records(_after(1), limit=1)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as files, pytest.raises(Exception, match="cursor"):
        files.get_event_records(_after(1), limit=1)


def _after(cursor: int) -> dg.EventRecordsFilter:
    return dg.EventRecordsFilter(event_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=cursor)
