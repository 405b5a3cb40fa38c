"""The event log of a home that `milestones` wrote: Dagster's SQLite storage, with connections that are kept.

Put here how a shard is connected to. Keep out which homes use it (`running.py`) and everything else of the storage, which is
Dagster's. ADR 0021 says why.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster import StringSource
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import QueuePool

MOST_KEPT = 4
"""Shards with a kept connection: the index, and the runs that were written or looked at last. The UI reads many."""

_File = tuple[int, int] | None


class KeptEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log in SQLite, on one kept connection per shard.

    Dagster makes an engine, a connection and a cache of statements for each of the five transactions of an event; with a check
    per rule that is most of what a daily run of a small company costs. Files, schema and transactions are the same as Dagster's.

    Args:
        home: DAGSTER_HOME; the shards are where Dagster has them without a setting.
        inst_data: Dagster's own.
    """

    def __init__(self, home: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept: OrderedDict[str, tuple[sa.Engine, _File]] = OrderedDict()
        super().__init__(str(Path(home).expanduser() / "history" / "runs"), inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The home, as a path or the name of a variable."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> "KeptEventLogStorage":
        """The storage as `dagster.yaml` names it."""
        return cls(config_value["home"], inst_data)

    def store_event(self, event: Any) -> None:
        """Stores an event and tells those who watch its run."""
        super().store_event(event)
        # watchers wait for a change of the file itself, which a log that is kept open is not written into
        with suppress(FileNotFoundError):
            os.utime(self.path_for_shard(event.run_id))

    def dispose(self) -> None:
        """Closes what is kept."""
        super().dispose()
        with self._db_lock:
            for shard in list(self._kept):
                self._forget(shard)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        """One transaction on a shard, one at a time: every other method reads and writes through this one."""
        if shard not in self._initialized_dbs:
            # the base makes the file and its schema: the first time, and after all was wiped
            with super()._connect(shard):
                pass
        with self._db_lock:
            try:
                with self._engine(shard).connect() as connection, connection.begin():
                    yield connection
            except BaseException:
                # whatever it was, what comes next does not inherit it
                self._forget(shard)
                raise

    def _engine(self, shard: str) -> sa.Engine:
        """The shard's engine, whose only connection stays open; made again when another process has replaced the file."""
        path = self.path_for_shard(shard)
        if shard in self._kept and self._kept[shard][1] != _file(path):
            self._forget(shard)
        if shard not in self._kept:
            made = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                max_overflow=0,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            sa.event.listen(made, "connect", _without_waiting_for_the_disk)
            self._kept[shard] = made, _file(path)
        self._kept.move_to_end(shard)
        while len(self._kept) > MOST_KEPT:
            self._forget(next(iter(self._kept)))
        return self._kept[shard][0]

    def _forget(self, shard: str) -> None:
        engine, _ = self._kept.pop(shard, (None, None))
        if engine is not None:
            engine.dispose()


def _file(path: str) -> _File:
    """Which file stands at a path, None where there is none."""
    with suppress(FileNotFoundError):
        found = Path(path).stat()
        return found.st_dev, found.st_ino
    return None


def _without_waiting_for_the_disk(connection: Any, _: Any) -> None:
    """Syncs at checkpoints, not at each event: a killed process loses nothing, a machine that loses power its last events."""
    connection.execute("PRAGMA synchronous = NORMAL")
