"""Too little memory, a full disk: one sentence that says for what, what was needed and which setting to change; nothing half written."""

import errno
from datetime import date
from pathlib import Path

import duckdb
import pytest
from delivering_company import Company, company, january
from scenario import event

from milestones_dagster.warehouse import day_files, day_rows, limits
from milestones_dagster.warehouse.limits import LimitError, default_memory_limit, is_about_limits, machine_bytes, within_limits

GIGABYTE = 1_000_000_000


def many(day: int, count: int = 60_000) -> list[dict]:
    """So many events of a day of January 2025, none like another."""
    return [
        event(f"account-{number % 5000}", "chat", f"2025-01-{day:02} 10:00", user=f"u{number}", text="x" * 50)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("machine", "limit"),
    # half of it; of a small one 2 GB all the same
    [(16 * GIGABYTE, "8000 MB"), (3 * GIGABYTE, "2000 MB"), (4 * GIGABYTE, "2000 MB"), (5 * GIGABYTE, "2500 MB")],
)
def test_the_engine_takes_half_of_the_machine_and_at_least_two_gigabytes(monkeypatch, machine, limit):
    monkeypatch.setattr(limits, "machine_bytes", lambda: machine)
    assert default_memory_limit() == limit
    with duckdb.connect(config={"memory_limit": limit}) as connection:
        assert connection.execute("SELECT current_setting('memory_limit')").fetchone() is not None


def test_a_container_has_the_memory_that_it_is_given(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "_CGROUPS", (tmp_path / "none",))
    whole = machine_bytes()
    for text, expected in (("1000000\n", 1_000_000), ("max\n", whole), (f"{2 * whole}\n", whole)):
        (tmp_path / "memory.max").write_text(text, encoding="ascii")
        monkeypatch.setattr(limits, "_CGROUPS", (tmp_path / "none", tmp_path / "memory.max"))
        assert machine_bytes() == expected


@pytest.fixture
def busy(tmp_path) -> Company:
    """A company with one day loaded and one day of 60,000 events delivered."""
    given = company(tmp_path)
    given.deliver_days(1, 1)
    given.load()
    given.deliver("2025-01-02", many(2))
    return given


def test_too_little_memory_is_a_sentence_with_the_setting_and_is_no_fault_of_a_file(busy):
    with busy.opened() as session:
        connection = session.warehouse.connection
        connection.execute("SET temp_directory = ''")
        connection.execute("SET threads = 1")
        connection.execute("SET memory_limit = '20 MB'")
        with pytest.raises(LimitError) as raised:
            session.load_events()
        connection.execute("SET memory_limit = '2 GB'")
        said = str(raised.value)
        assert said.startswith("raw_events: the engine needs more memory than it may take (")
        assert "; the days made before it are published, and the next run goes on there. Raise `memory_limit` in" in said
        assert said.endswith("), or lower `threads` (now 1), each of which takes its share, and run again")
        assert session.warehouse.rows("SELECT state, reason FROM operations.source_files WHERE state = 'refused'") == []
        assert [row[0] for row in session.warehouse.rows("SELECT day FROM operations.days")] == [january(1)]
    # with enough of it the same delivery is taken
    assert busy.load().outcome.made == {january(2): (60_000, 0)}


def test_with_little_memory_the_engine_works_on_disk_and_gives_the_same(busy, tmp_path):
    other = company(tmp_path / "other")
    other.deliver_days(1, 1)
    other.deliver("2025-01-02", many(2))
    with busy.opened() as session:
        session.warehouse.execute("SET threads = 1")
        session.warehouse.execute("SET memory_limit = '64 MB'")
        session.load_events()
    with other.opened() as session:
        session.warehouse.execute("SET threads = 4")
        session.load_events()
    rows = "SELECT * EXCLUDE (file) FROM raw.raw_events ORDER BY ALL"
    assert busy.query(rows) == other.query(rows)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        duckdb.IOException("IO Error: Could not write file: No space left on device"),
        duckdb.OutOfMemoryException(
            "Out of Memory Error: failed to offload data block (1/1 used). 'max_temp_directory_size' is reached"
        ),
    ],
)
def test_a_full_disk_is_a_sentence_with_the_folder_and_leaves_the_published_days(busy, monkeypatch, error):
    def full(*_arguments: object) -> None:
        raise error

    before = busy.day_files()
    monkeypatch.setattr(day_files.DayFiles, "_write_day", full)
    with busy.opened() as session:
        with pytest.raises(LimitError, match=r"raw_events: the disk is full .*; the days made before it are published") as raised:
            session.load_events()
        assert f"Free room at {session.warehouse.folder}, where" in str(raised.value)
    assert busy.day_files() == before
    monkeypatch.undo()
    assert busy.load().outcome.made == {january(2): (60_000, 0)}


def test_a_load_that_breaks_half_way_has_published_the_days_before_and_the_next_goes_on_there(tmp_path, monkeypatch):
    given = company(tmp_path)
    given.deliver_days(1, 4)
    # a batch for each day
    monkeypatch.setattr(day_rows, "BATCH_ROWS", 1)
    write = day_files.DayFiles._write_day

    def full(files: day_files.DayFiles, rows: object, day: date) -> None:
        if day == january(3):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(files, rows, day)

    monkeypatch.setattr(day_files.DayFiles, "_write_day", full)
    with (
        given.opened() as session,
        pytest.raises(LimitError, match=r"; the days made before it are published, and the next run goes on there\. Free room"),
    ):
        session.load_events()
    assert given.query("SELECT day, rows FROM operations.days ORDER BY day") == [(january(1), 2), (january(2), 2)]
    assert given.query("SELECT count(*) FROM raw.raw_events") == [(4,)]
    monkeypatch.setattr(day_files.DayFiles, "_write_day", write)
    assert set(given.load().outcome.made) == {january(3), january(4)}


def test_a_table_that_finds_no_room_is_not_published_and_that_is_said(tmp_path, monkeypatch):
    given = company(tmp_path)
    given.deliver_days(1, 1)
    given.load()

    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with given.opened() as session:
        monkeypatch.setattr(session.engine, "make", full)
        with pytest.raises(LimitError, match=r"^event_identities: the disk is full \(.*\); nothing of this was published\. Free"):
            session.make("event_identities")


def test_the_engines_words_are_those_that_say_why(tmp_path):
    detached = duckdb.IOException(
        "IO Error: Detached database 'serving_copy', but CHECKPOINT during DETACH failed. \n"
        'Checkpoint failed for database "serving_copy". The database has been invalidated. '
        'Original error: Could not write file "copy": No space left on device'
    )
    with (
        duckdb.connect() as connection,
        pytest.raises(LimitError, match=r'x: the disk is full \(Could not write file "copy": No space left on device\); '),
        within_limits(connection, "x", tmp_path),
    ):
        raise detached


def test_another_error_stays_what_it_is():
    with duckdb.connect() as connection, pytest.raises(duckdb.CatalogException), within_limits(connection, "x", Path()):
        connection.execute("SELECT * FROM nothing")
    assert not is_about_limits(FileNotFoundError(errno.ENOENT, "gone"))
    assert is_about_limits(MemoryError())
