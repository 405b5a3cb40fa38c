"""The only wiring: a config folder becomes Dagster definitions.

`build_defs` serves production bare and tests with overrides; nothing is patched. Importing this module builds nothing, so that
another project, or the command line with a config of its own, takes just what it asks for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import dagster as dg

from milestones_dagster.config.loader import load_config
from milestones_dagster.config.masking import as_written
from milestones_dagster.orchestration.assets import Progress, build_assets
from milestones_dagster.orchestration.jobs import build_job, build_schedule
from milestones_dagster.orchestration.resources import MilestonesWarehouse
from milestones_dagster.orchestration.sensors import build_sensors
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.warehouse.limits import default_memory_limit

# names the config folder of a code location
CONFIG_VARIABLE = "MILESTONES_CONFIG"


class Overrides(TypedDict, total=False):
    """What a test or the command line may put in the place of the config's own."""

    warehouse_path: Path
    as_of: str
    environ: Mapping[str, str]
    progress: Progress


@dataclass(frozen=True)
class Wiring:
    """A company's definitions with the parts that the command line asks for besides."""

    declared: Declared
    warehouse: MilestonesWarehouse
    definitions: dg.Definitions


def wire(config_dir: Path, *, key_prefix: Sequence[str] | None = None, **overrides: Unpack[Overrides]) -> Wiring:
    """The definitions of the company in `config_dir`, with its tables and warehouse.

    Raises:
        ConfigError: the config cannot be accepted; it holds every problem.
    """
    config = load_config(config_dir, overrides.get("environ"))
    declared = Declared.of(config)
    assets = build_assets(declared, list(key_prefix or ()), overrides.get("progress"))
    job = build_job(assets)
    path = overrides.get("warehouse_path") or config.warehouse_path
    settings = {"memory_limit": str(config.warehouse.memory_limit or default_memory_limit())}
    if config.warehouse.threads is not None:
        settings["threads"] = str(config.warehouse.threads)
    shown = as_written(str(path), config.environment)
    warehouse = MilestonesWarehouse(
        database=str(path),
        shown_as=shown if shown != str(path) else None,
        folder=str(path.with_suffix("")),
        lock_timeout_seconds=config.warehouse.lock_timeout.seconds,
        as_of=overrides.get("as_of"),
        connection_config=settings,
    )
    definitions = dg.Definitions(
        assets=assets,
        jobs=[job],
        schedules=[build_schedule(config, job)],
        sensors=build_sensors(config, assets),
        resources={"milestones_warehouse": warehouse},
        executor=dg.in_process_executor,
    )
    return Wiring(declared, warehouse, definitions)


def build_defs(
    config_dir: Path | str,
    *,
    key_prefix: Sequence[str] | None = None,
    **overrides: Unpack[Overrides],
) -> dg.Definitions:
    """The Dagster definitions of the company in `config_dir`.

    Args:
        config_dir: Folder with `framework.yaml` and `sources.yaml`.
        key_prefix: Put before every asset key, for embedding in another project.
        overrides: `warehouse_path`, `as_of` (a day), `environ` for `${…}`, `progress`.

    Raises:
        ConfigError: the config cannot be accepted; it holds every problem.
    """
    return wire(Path(config_dir), key_prefix=key_prefix, **overrides).definitions
