"""What most commands begin with: a config folder becomes wiring, or a session on its warehouse, or a refusal in a sentence.

Put here what opens something for a command. Keep out the commands (`cli.py`).
"""

from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milestones_dagster.cli_console import refused_rules, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from milestones_dagster.orchestration.session import Session
    from milestones_dagster.wiring import Wiring


class Refusal(click.ClickException):
    """An error that is the user's to mend: its sentence is printed without a trace, the exit code is 1."""

    def show(self, file: Any = None) -> None:
        """Prints the sentence as it is: it begins with the file or the thing that it is about."""
        click.echo(self.message, err=True, file=file)


def wired(config_dir: Path, *, as_of: date | None = None, progress: Any = None) -> "Wiring":
    """The wiring of a config folder; every problem of the config is printed when it cannot be accepted."""
    from milestones_dagster.config.loader import load_config
    from milestones_dagster.wiring import wire

    overrides: dict[str, Any] = {"progress": progress} if progress is not None else {}
    with refusing():
        if as_of is not None:
            # a past as-of has a warehouse of its own: published tables are only ever as of the newest watermark
            path = load_config(config_dir).warehouse_path
            overrides["warehouse_path"] = path.with_name(f"{path.stem}_as_of_{as_of}.duckdb")
            overrides["as_of"] = as_of.isoformat()
        return wire(config_dir, **overrides)


@contextmanager
def opened(config_dir: Path) -> "Iterator[Session]":
    """A session on the warehouse of a config folder, closed when the block ends; what it refuses is told in a sentence."""
    from milestones_dagster.orchestration.resources import open_session

    wiring = wired(config_dir)
    with refusing(), open_session(wiring.warehouse, wiring.declared, partial(click.echo, err=True)) as session:
        yield session


@contextmanager
def reading(wiring: "Wiring", path: Path) -> "Iterator[DuckDBPyConnection]":
    """A connection that reads a warehouse's file and changes nothing in it, closed when the block ends."""
    from milestones_dagster.orchestration.resources import open_warehouse

    if not path.exists():
        raise Refusal(f"{path}: there is no warehouse; `milestones run` makes that of a config")
    settings = {**wiring.warehouse.connection_config, "access_mode": "READ_ONLY"}
    with (
        refusing(),
        open_warehouse(
            path,
            wait_seconds=wiring.warehouse.lock_timeout_seconds,
            settings=settings,
            on_wait=partial(click.echo, err=True),
            advice="name the file of a warehouse, which lies at the `path` of its warehouse.yaml",
        ) as connection,
    ):
        yield connection


@contextmanager
def refusing() -> "Iterator[None]":
    """Tells in sentences what a config, a warehouse or a source refuses, every problem of a config at once."""
    from milestones_dagster.config.loader import ConfigError
    from milestones_dagster.orchestration.resources import WarehouseError
    from milestones_dagster.orchestration.what_if import WhatIfError
    from milestones_dagster.quality.suites import SuiteError
    from milestones_dagster.warehouse.observation import AsOfError
    from milestones_dagster.warehouse.source_files import FileRefused

    try:
        yield
    except ConfigError as error:
        raise Refusal("\n".join(told(problem) for problem in error.problems)) from error
    except SuiteError as error:
        raise Refusal(refused_rules(error.problems)) from error
    except (WarehouseError, FileRefused, AsOfError, WhatIfError) as error:
        raise Refusal(str(error)) from error
