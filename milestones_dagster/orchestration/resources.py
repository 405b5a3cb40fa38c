"""Resources: the one open warehouse of a run.

Put here what is opened when a run begins and closed when it ends. Keep out what is done with it (`session.py`).
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field, PrivateAttr

from milestones_dagster.orchestration.engines import check_engine
from milestones_dagster.orchestration.session import Declared, Session
from milestones_dagster.warehouse.spark_files import EngineMismatchError
from milestones_dagster.warehouse.spark_session import SparkUnavailableError

_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_PAUSE_SECONDS = 0.5
_ANOTHER_PATH = "name another path in warehouse.yaml, or move away what is there"


class WarehouseError(Exception):
    """The warehouse cannot be opened: the sentence says what is in the way and what to do."""


class WarehouseBusyError(WarehouseError):
    """Another process held the warehouse for longer than a run may wait."""


def open_warehouse(
    path: Path,
    *,
    wait_seconds: float,
    settings: dict[str, Any] | None = None,
    on_wait: Callable[[str], None] | None = None,
    name: str | None = None,
    advice: str = _ANOTHER_PATH,
) -> duckdb.DuckDBPyConnection:
    """An open connection to the warehouse's file, waiting for another process to let go of it.

    Args:
        path: The warehouse's file; its folder is made.
        wait_seconds: Longest wait.
        settings: DuckDB's own, for the connection.
        on_wait: Told once, in a sentence, who holds the file and how long the wait may be.
        name: What the sentences call the file; by default its path.
        advice: What to do where it cannot be opened.

    Raises:
        WarehouseBusyError: it was still held after `wait_seconds`; the sentence says by whom.
        WarehouseError: there is something else at its path, or it may not be read.
    """
    named = name or str(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        where = "" if name else f"{error.filename}: "
        raise WarehouseError(f"{named} cannot be a warehouse: {where}{error.strerror}; {advice}") from (None if name else error)
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return duckdb.connect(str(path), config=settings or {})
        except duckdb.IOException as error:
            held = _HOLDER.search(str(error))
            if held is None:
                # the engine's words begin with its own kind of error and may go on for lines
                words = str(error).splitlines()[0].removeprefix("IO Error: ").replace(str(path), named)
                raise WarehouseError(f"{named} cannot be opened as a warehouse: {words}; {advice}") from (None if name else error)
            holder = f"{named} is held by process {held['pid']} ({held['program']})"
            if time.monotonic() >= until:
                raise WarehouseBusyError(
                    f"{holder} and was not let go within {wait_seconds:g} s; wait for that run, or stop it, and run again",
                ) from (None if name else error)
            if on_wait is not None:
                on_wait(f"{holder}; waiting up to {wait_seconds:g} s for it")
                on_wait = None
            time.sleep(_PAUSE_SECONDS)


class MilestonesWarehouse(DuckDBResource):
    """The embedded warehouse: one connection per run, opened when the run begins and closed when it ends, also when a step raises.

    DuckDB's own file lock serialises whole runs, so no run restates a day between two steps of another.
    """

    folder: str = Field(description="Folder of the day files.")
    lock_timeout_seconds: float = Field(default=60.0, description="How long a run waits for another one, seconds.")
    shown_as: str | None = Field(default=None, description="What messages call the file; its path by default.")
    as_of: str | None = Field(default=None, description="Day at whose start everything is seen; the watermark by default.")

    _connection: duckdb.DuckDBPyConnection | None = PrivateAttr(default=None)
    _session: Session | None = PrivateAttr(default=None)
    _run_id: str = PrivateAttr(default="")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["MilestonesWarehouse"]:
        """This resource with its connection open for the length of a run."""
        self._run_id = context.run.run_id if context.run is not None else ""
        self._connection = open_warehouse(
            Path(self.database),
            wait_seconds=self.lock_timeout_seconds,
            settings=dict(self.connection_config),
            # a warning, so that who follows the run sees why it does not begin
            on_wait=context.log.warning if context.log is not None else None,
            name=self.shown_as,
        )
        try:
            yield self
        finally:
            if self._session is not None:
                self._session.close()
            self._session = None
            self._connection.close()
            self._connection = None

    def session(self, declared: Declared) -> Session:
        """The run's session, begun at the first asset that asks.

        Raises:
            RuntimeError: outside a run.
            WarehouseError: the tables were made by another engine than the config names, or that engine cannot be started.
        """
        if self._connection is None:
            raise RuntimeError("the warehouse is open only during a run")
        if self._session is None:
            as_of = date.fromisoformat(self.as_of) if self.as_of is not None else None
            try:
                check_engine(declared.config)
            except SparkUnavailableError as error:
                raise WarehouseError(str(error)) from error
            self._session = _begun(declared, self._connection, Path(self.folder), self._run_id, as_of)
        return self._session


def _begun(
    declared: Declared, connection: duckdb.DuckDBPyConnection, folder: Path, run_id: str, as_of: date | None = None
) -> Session:
    try:
        return Session(declared, connection, folder, run_id, as_of)
    except EngineMismatchError as error:
        raise WarehouseError(str(error)) from error


@contextmanager
def open_session(
    warehouse: MilestonesWarehouse, declared: Declared, on_wait: Callable[[str], None] | None = None
) -> Iterator[Session]:
    """A session outside a run, on a connection that is closed when the block ends; `on_wait` is told who holds the warehouse.

    Raises:
        WarehouseError: the warehouse cannot be opened, another process holds it, or another engine made its tables.
    """
    connection = open_warehouse(
        Path(warehouse.database),
        wait_seconds=warehouse.lock_timeout_seconds,
        settings=dict(warehouse.connection_config),
        on_wait=on_wait,
    )
    try:
        session = _begun(declared, connection, Path(warehouse.folder), "command line")
        try:
            yield session
        finally:
            session.close()
    finally:
        connection.close()
