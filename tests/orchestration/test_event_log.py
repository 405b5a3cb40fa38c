"""The event log on kept connections: what it stores is Dagster's, other processes see it at once, and little is held open."""

import inspect
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from milestones_dagster.orchestration import running
from milestones_dagster.orchestration.event_log import MOST_KEPT, KeptEventLogStorage

WAIT_SECONDS = 20
# of Dagster 1.13.27; another text means: read the method again, then `_connect` of ours, then change this
CONNECT = "b8435f2665689760"
WRITER = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from test_event_log import entry
from milestones_dagster.orchestration.event_log import KeptEventLogStorage
log = KeptEventLogStorage(sys.argv[1])
for number in range(50):
    log.store_event(entry("killed", str(number)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def entry(run_id: str, message: str = "said") -> dg.EventLogEntry:
    """A line of a run's log."""
    return dg.EventLogEntry(error_info=None, level=20, user_message=message, run_id=run_id, timestamp=0.0)


def said(log: SqliteEventLogStorage, run_id: str) -> list[str]:
    """The lines of a run, in order, as an event log returns them."""
    return [event.user_message for event in log.get_logs_for_run(run_id)]


def held(folder: Path) -> set[str]:
    """Names of the databases in a folder that this process has open."""
    paths = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            paths.add(link.readlink())
        except FileNotFoundError:
            continue
    return {path.stem for path in paths if path.suffix == ".db" and path.is_relative_to(folder.resolve())}


def _is_deleted(connection: Any) -> bool:
    return bool(connection.exec_driver_sql("DELETE FROM event_logs").rowcount)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[KeptEventLogStorage]:
    """Yield a new event log, disposed of at the end."""
    made = KeptEventLogStorage(str(tmp_path))
    yield made
    made.dispose()


@pytest.fixture
def stock(log: KeptEventLogStorage, tmp_path: Path) -> SqliteEventLogStorage:
    """Dagster's own storage on the same files, as another process has it."""
    return SqliteEventLogStorage(str(tmp_path / "history" / "runs"))


@dg.asset(check_specs=[dg.AssetCheckSpec(name, asset="t") for name in ("keys", "rows")])
def t() -> Iterator[object]:
    yield dg.AssetCheckResult(check_name="keys", passed=True)
    yield dg.AssetCheckResult(check_name="rows", passed=False)
    yield dg.MaterializeResult(metadata={"rows": 3})


def contents(home: Path, run_id: str) -> dict[str, list[tuple[object, ...]]]:
    """What a run left in the tables of both of its shards, but for identities and times."""
    found = {}
    for name, shard in (("index", "index"), ("run", run_id)):
        with sqlite3.connect(home / "history" / "runs" / f"{shard}.db") as database:
            found[f"{name} events"] = database.execute(
                "SELECT id, dagster_event_type, step_key, asset_key, partition FROM event_logs ORDER BY id"
            ).fetchall()
            found[f"{name} checks"] = database.execute(
                "SELECT asset_key, check_name, execution_status FROM asset_check_executions ORDER BY id"
            ).fetchall()
            found[f"{name} schema"] = database.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    return found


def test_the_base_connects_as_it_did_when_its_method_was_overridden() -> None:
    text = inspect.getsource(SqliteEventLogStorage._connect)
    assert sha256(text.encode()).hexdigest()[:16] == CONNECT, text
    # every one of its other methods goes through these two
    for name in ("run_connection", "index_connection"):
        assert "self._connect(" in inspect.getsource(getattr(SqliteEventLogStorage, name))
    assert "self._db_lock = threading.Lock()" in inspect.getsource(SqliteEventLogStorage.__init__)


def test_a_run_leaves_the_same_rows_and_schema_as_with_dagsters_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    left = []
    for name, settings in (("kept", running.INSTANCE_YAML), ("stock", running._SETTINGS)):
        home = tmp_path / name
        home.mkdir()
        (home / "dagster.yaml").write_text(settings, encoding="utf-8")
        with running.open_instance(home) as instance:
            assert isinstance(instance.event_log_storage, KeptEventLogStorage) is (name == "kept")
            done = dg.materialize([t], instance=instance)
            assert done.success
        left.append(contents(home, done.run_id))
    assert left[0] == left[1]
    assert ('["t"]', "rows", "FAILED") in left[0]["index checks"]


def test_an_event_is_seen_at_once_by_another_that_reads(log: KeptEventLogStorage, stock: SqliteEventLogStorage) -> None:
    for number in range(3):
        log.store_event(entry("one", str(number)))
        assert said(stock, "one") == [str(seen) for seen in range(number + 1)]
    stock.store_event(entry("one", "from there"))
    assert said(log, "one") == ["0", "1", "2", "from there"]


def test_who_watches_a_run_is_told_of_each_event(log: KeptEventLogStorage, stock: SqliteEventLogStorage) -> None:
    log.store_event(entry("one", "before"))
    told: list[str] = []
    is_told = threading.Event()

    def on_event(event: dg.EventLogEntry, _: str) -> None:
        told.append(event.user_message)
        is_told.set()

    stock.watch("one", None, on_event)
    try:
        for message in ("first", "second"):
            is_told.clear()
            log.store_event(entry("one", message))
            while message not in told:
                assert is_told.wait(WAIT_SECONDS), told
                is_told.clear()
    finally:
        stock.end_watch("one", on_event)
        stock.dispose()
    assert told == ["before", "first", "second"]


def test_a_killed_process_loses_no_event(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own text in this interpreter
        [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    stock = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    assert said(stock, "killed") == [str(number) for number in range(50)]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed by Linux alone")
def test_few_shards_are_held_open_and_none_after_the_end(log: KeptEventLogStorage, tmp_path: Path) -> None:
    names = [f"run{number}" for number in range(MOST_KEPT + 3)]
    for name in names:
        log.store_event(entry(name))
    assert held(tmp_path) == set(names[-MOST_KEPT:])
    assert [said(log, name) for name in names] == [["said"]] * len(names)
    log.dispose()
    assert held(tmp_path) == set()


def test_a_transaction_that_fails_leaves_nothing_behind(log: KeptEventLogStorage) -> None:
    log.store_event(entry("one", "kept"))
    with pytest.raises(ZeroDivisionError), log.run_connection("one") as connection:
        connection.exec_driver_sql(f"DELETE FROM event_logs WHERE id > {1 / 0 if _is_deleted(connection) else 0}")
    log.store_event(entry("one", "next"))
    assert said(log, "one") == ["kept", "next"]


def test_threads_take_turns(log: KeptEventLogStorage) -> None:
    def store(name: str) -> Callable[[], None]:
        return lambda: [log.store_event(entry("one", f"{name}{number}")) for number in range(20)] and None

    threads = [threading.Thread(target=store(name)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = said(log, "one")
    for name in "abc":
        assert [line for line in lines if line[0] == name] == [f"{name}{number}" for number in range(20)]


def test_a_wiped_log_begins_again(log: KeptEventLogStorage) -> None:
    log.store_event(entry("one", "old"))
    log.wipe()
    log.store_event(entry("one", "new"))
    assert said(log, "one") == ["new"]


def test_a_file_that_was_replaced_is_opened_again(log: KeptEventLogStorage, tmp_path: Path) -> None:
    """As when a backup of one run is put back while the UI is up."""
    log.store_event(entry("one", "old"))
    other = KeptEventLogStorage(str(tmp_path / "other"))
    other.store_event(entry("one", "new"))
    other.dispose()
    Path(other.path_for_shard("one")).replace(log.path_for_shard("one"))
    for suffix in ("-wal", "-shm"):
        Path(f"{log.path_for_shard('one')}{suffix}").unlink(missing_ok=True)
    assert said(log, "one") == ["new"]


def test_an_untouched_home_is_upgraded_with_its_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "warehouse.dagster"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    home.mkdir()
    (home / "dagster.yaml").write_text(running._SETTINGS, encoding="utf-8")
    with running.open_instance(home) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        run_id = dg.materialize([t], instance=instance).run_id
    assert running.dagster_home(tmp_path / "warehouse.duckdb") == home
    with running.open_instance(home) as instance:
        assert isinstance(instance.event_log_storage, KeptEventLogStorage)
        assert instance.get_run_by_id(run_id).is_success
        assert instance.get_latest_materialization_event(dg.AssetKey("t")).run_id == run_id
        assert instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_SUCCESS)


def test_an_edited_home_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for text in (f"{running._SETTINGS}# ours\n", running.INSTANCE_YAML):
        (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
        running.dagster_home(tmp_path / "warehouse.duckdb")
        assert (tmp_path / "dagster.yaml").read_text(encoding="utf-8") == text


def test_the_settings_name_the_home_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is moved, or mounted elsewhere, keeps its history."""
    assert yaml.safe_load(running.INSTANCE_YAML)["event_log_storage"]["config"] == {"home": {"env": "DAGSTER_HOME"}}
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = running.dagster_home(tmp_path / "warehouse.duckdb")
    with running.open_instance(home) as instance:
        run_id = dg.materialize([t], instance=instance).run_id
    assert "DAGSTER_HOME" not in os.environ
    moved = home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("DAGSTER_HOME", str(moved))
    with dg.DagsterInstance.get() as instance:
        assert instance.get_run_by_id(run_id).is_success
        assert instance.all_logs(run_id)
    assert not home.exists()
