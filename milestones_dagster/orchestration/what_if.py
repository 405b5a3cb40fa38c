"""What would change if the framework said something else: a copy of the published warehouse, made again where it differs.

Put here the copy, what of it is made again and what is read before and after. Keep out how it is printed. Nothing that is
published is written to: the copy is in a folder of its own, the day files are read where they are, no Dagster run is made.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from milestones_dagster.config.loader import load_config
from milestones_dagster.config.overrides import Override
from milestones_dagster.orchestration.resources import MilestonesWarehouse, open_warehouse
from milestones_dagster.orchestration.session import Declared, Session
from milestones_dagster.report.what_if import Difference, State, difference, read_state
from milestones_dagster.warehouse import operations

READ = ("thresholds_in_force", "customer_milestones", "milestone_summary", "milestone_chain")
"""The tables that the answer is read from; what they read is made again where it differs."""


class WhatIfError(Exception):
    """The question cannot be answered: the sentence says why and what to do."""


@dataclass(frozen=True)
class Answer:
    """What would change; `made` are the tables that were made again in the copy, in order."""

    difference: Difference
    made: tuple[str, ...]


def ask(
    config_dir: Path,
    published: MilestonesWarehouse,
    overrides: Sequence[Override],
    on_table: Callable[[str], None],
    on_wait: Callable[[str], None] | None = None,
) -> Answer:
    """Return what would change in the published tables of a company if its framework said `overrides`.

    Args:
        config_dir: the config folder, as it is published.
        published: the company's warehouse.
        overrides: values in the place of those of `framework.yaml`.
        on_table: told each table as it is made again in the copy.
        on_wait: told who holds the warehouse while it cannot be copied.

    Raises:
        WhatIfError: nothing is published, or it is not what the config and the sources give now, or a rule refuses a table.
        WarehouseError: a run holds the warehouse.
        ConfigError: the values cannot be accepted.
        SuiteError: a company's rule names a column that the changed framework does not make.
    """
    plain, changed = Declared.of(load_config(config_dir)), Declared.of(load_config(config_dir, overrides=overrides))
    path = Path(published.database)
    if not path.exists():
        raise WhatIfError(f"{path}: nothing is published yet; run `milestones run` first")
    with tempfile.TemporaryDirectory(prefix="milestones-what-if-") as folder:
        copy = Path(folder) / "warehouse.duckdb"
        _copy(published, path, copy, on_wait)
        with _session(plain, published, copy) as session:
            names = _needed(plain)
            _check(session, names)
            before = _state(session)
        with _session(changed, published, copy) as session:
            made = tuple(_made(session, _needed(changed), on_table))
            return Answer(difference(before, _state(session)), made)


def _copy(published: MilestonesWarehouse, path: Path, copy: Path, on_wait: Callable[[str], None] | None) -> None:
    """Copies the warehouse's file while no run can write to it; readers go on reading."""
    settings = {**published.connection_config, "access_mode": "READ_ONLY"}
    connection = open_warehouse(path, wait_seconds=published.lock_timeout_seconds, settings=settings, on_wait=on_wait)
    try:
        shutil.copyfile(path, copy)
        log = path.with_name(f"{path.name}.wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(f"{copy.name}.wal"))
    finally:
        connection.close()


@contextmanager
def _session(declared: Declared, published: MilestonesWarehouse, copy: Path) -> Iterator[Session]:
    """A session on the copy; the day files are those of the published warehouse."""
    connection = duckdb.connect(str(copy), config=dict(published.connection_config))
    try:
        as_of = date.fromisoformat(published.as_of) if published.as_of is not None else None
        session = Session(declared, connection, Path(published.folder), "what-if", as_of)
        try:
            yield session
        finally:
            session.close()
    finally:
        connection.close()


def _needed(declared: Declared) -> tuple[str, ...]:
    """What `READ` is made from, with it, in the order of making; the events are as they are."""
    needed = set(READ)
    for name in reversed(list(declared.tables)):
        if name in needed:
            needed |= set(declared.tables[name].dependencies)
    return tuple(name for name in declared.tables if name in needed and name != "raw_events")


def _check(session: Session, names: Sequence[str]) -> None:
    """Refuses published tables that a run would make again as the config stands: their changes would be told as those of --set."""
    published = operations.publications(session.warehouse)
    if missing := [name for name in names if name not in published]:
        raise WhatIfError(f"{missing[0]} is not published yet; run `milestones run` first")
    for name in names:
        if (reason := session.behind(name).reason) is not None:
            raise WhatIfError(
                f"{name} is behind ({reason}), so that what --set changes could not be told from the rest; "
                "run `milestones run` first"
            )


def _made(session: Session, names: Sequence[str], on_table: Callable[[str], None]) -> Iterator[str]:
    for name in names:
        if session.behind(name).reason is None:
            continue
        on_table(name)
        made = session.make(name)
        if made.state == "refused":
            failed = [result.rule for result in made.results if not result.passed and result.rule.severity == "critical"]
            told = "; ".join(f"{rule.title} ({rule.name})" for rule in failed) or made.reason
            raise WhatIfError(f"{name} would be refused: {told}")
        if made.state == "made":
            yield name


def _state(session: Session) -> State:
    return read_state(session.warehouse.connection)
