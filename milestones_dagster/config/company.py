"""A company's whole config, read and checked.

Put here what follows from the files together: what a missing source falls back to, and the fingerprint. Keep out
reading and checking (`loader.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from milestones_dagster.config.alerts import Alerts
from milestones_dagster.config.framework import Framework
from milestones_dagster.config.problems import Problem
from milestones_dagster.config.quality import TableQuality
from milestones_dagster.config.relations import fingerprint, relations
from milestones_dagster.config.sources import Sources
from milestones_dagster.config.tracking_plan import TrackingPlan
from milestones_dagster.config.warehouse import Warehouse


@dataclass(frozen=True)
class CompanyConfig:
    """All that a company declares.

    Attributes:
        dir: the config folder; relative paths in the files start there.
        framework: `framework.yaml`, with `retention.basis` and `usage.seats` settled where the file left them out.
        sources: `sources.yaml`.
        tracking_plan: `tracking_plan.yaml`; without events when there is no such file.
        warehouse: `warehouse.yaml`.
        alerts: `alerts.yaml`.
        quality: `quality/<table>.yaml` by table.
        warnings: what is doubtful and refuses nothing.
        fallbacks: what the framework falls back to for want of a source, one sentence each.
        environment: text that the files take from the environment, each with what they say in its place.
    """

    dir: Path
    framework: Framework
    sources: Sources
    tracking_plan: TrackingPlan
    warehouse: Warehouse
    alerts: Alerts
    quality: dict[str, TableQuality]
    warnings: list[Problem]
    fallbacks: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the relations that the framework makes; key order and comments do not change it."""
        return fingerprint(relations(self))

    def locate(self, path: str) -> str:
        """Return a path of the config (file, glob or folder) as an absolute one."""
        return str(self.dir.resolve() / path)

    @property
    def warehouse_path(self) -> Path:
        """The warehouse's file."""
        return (self.dir.resolve() / self.warehouse.path).resolve()
