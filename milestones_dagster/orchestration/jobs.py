"""Jobs and schedules: what is launched, and when.

Put here what a person or the clock launches. Keep out what it makes (`assets.py`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from milestones_dagster.config.company import CompanyConfig

if TYPE_CHECKING:
    # what `define_asset_job` returns; dagster 1.13 does not export its name
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

JOB = "milestones_job"
SCHEDULE = "daily"
# after the night's extracts of most companies; the hour is of the reporting time zone
_CRON = "0 6 * * *"
# Dagster's own lines of debug are not progress that a person can read
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def build_job(assets: Sequence[dg.AssetsDefinition]) -> "UnresolvedAssetJobDefinition":
    """The job that brings every table up to date, all steps in one process on one connection."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(*(key for asset in assets for key in asset.keys)),
        executor_def=dg.in_process_executor,
        description="Loads what is new, brings every table up to date behind its gate, swaps the serving copy.",
    )


def build_schedule(config: CompanyConfig, job: "UnresolvedAssetJobDefinition") -> dg.ScheduleDefinition:
    """The daily schedule, in the reporting time zone; the run has no partition, raw_events finds its days by itself."""
    return dg.ScheduleDefinition(
        name=SCHEDULE,
        job=job,
        cron_schedule=_CRON,
        execution_timezone=config.framework.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every morning: what is new since yesterday, and everything that follows from it.",
    )
