"""Two runs at once under the daemon: with the settings that `milestones ui` writes, the second one waits in the queue."""

from pathlib import Path

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from deliveries import Deliveries, company

from milestones_dagster.orchestration.assets import POOL
from milestones_dagster.orchestration.jobs import JOB
from milestones_dagster.orchestration.running import dagster_home, limit_pool, open_instance, run_graph

LOCATION = "company"
# what the daemon would start in a process of its own is only noted
LAUNCHER = "run_launcher:\n  module: dagster._core.test_utils\n  class: MockedRunLauncher\n"


def submitted(instance: dg.DagsterInstance, workspace: WorkspaceRequestContext) -> str:
    """A run of the whole job, submitted as a schedule, a sensor or a person at the UI does."""
    location = workspace.get_code_location(LOCATION)
    (repository,) = location.get_repositories().values()
    job = repository.get_full_job(JOB)
    plan = location.get_execution_plan(job, {}, None, None)
    run = instance.create_run(
        job_name=JOB,
        run_id=None,
        run_config={},
        status=dg.DagsterRunStatus.NOT_STARTED,
        tags={},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=None,
        execution_plan_snapshot=plan.execution_plan_snapshot,
        job_snapshot=job.job_snapshot,
        parent_job_snapshot=job.parent_job_snapshot,
        asset_selection=None,
        asset_check_selection=None,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
        asset_graph=repository.asset_graph,
    )
    return instance.submit_run(run.run_id, workspace).run_id


def test_the_second_of_two_runs_waits_until_the_first_has_ended(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    files = Deliveries(tmp_path, company())
    home = dagster_home(files.warehouse)
    with (home / "dagster.yaml").open("a", encoding="utf-8") as settings:
        settings.write(LAUNCHER)
    limit_pool(home)
    code = tmp_path / "location.py"
    code.write_text(
        f"from milestones_dagster.wiring import build_defs\ndefs = build_defs({str(files.config)!r})\n", encoding="utf-8"
    )
    target = LoadableTargetOrigin(python_file=str(code), attribute="defs", working_directory=str(tmp_path))
    origin = InProcessCodeLocationOrigin(target, location_name=LOCATION)
    with (
        open_instance(home) as instance,
        WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as process,
    ):
        workspace = process.create_request_context()
        first, second = (submitted(instance, workspace) for _ in range(2))
        daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)

        def statuses() -> tuple[dg.DagsterRunStatus, dg.DagsterRunStatus]:
            """Of both runs, after the daemon has looked at its queue twice."""
            for _ in range(2):
                list(daemon.run_iteration(process))
            found = instance.get_run_by_id(first), instance.get_run_by_id(second)
            return found[0].status, found[1].status

        assert instance.get_run_by_id(second).run_op_concurrency.all_pools == {POOL}
        assert statuses() == (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.QUEUED)
        instance.handle_new_event(_ended(first))
        assert statuses() == (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTING)


def test_a_run_of_the_command_line_limits_the_pool_for_the_daemon_of_its_home(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    @dg.asset(pool=POOL)
    def one() -> None:
        """A table."""

    home = dagster_home(tmp_path / "warehouse.duckdb")
    definitions = dg.Definitions(assets=[one], jobs=[dg.define_asset_job(JOB)])
    for _ in range(2):
        assert run_graph(definitions, home, lambda _: None, lambda _: None, lambda _: None).is_success
        with open_instance(home) as instance:
            assert [limit.limit for limit in instance.event_log_storage.get_pool_limits()] == [1]
            assert instance.event_log_storage.get_concurrency_info(POOL).slot_count == 1


def test_a_home_that_limits_single_steps_is_left_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\nconcurrency: {pools: {granularity: op}}\n", encoding="utf-8"
    )
    limit_pool(tmp_path)
    with open_instance(tmp_path) as instance:
        assert POOL not in instance.event_log_storage.get_concurrency_keys()


def _ended(run_id: str) -> dg.EventLogEntry:
    """The event of a run that has succeeded."""
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, JOB, message="ended")
    return dg.EventLogEntry(
        error_info=None, level=20, user_message="ended", run_id=run_id, timestamp=0.0, job_name=JOB, dagster_event=event
    )
