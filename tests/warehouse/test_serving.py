"""The serving copy: swapped whole, refused when its tables are not of one time and config, and never in a reader's way."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from delivering_company import Company, company, january, two_events
from scenario import at

from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse import changes, operations, serving
from milestones_dagster.warehouse.duckdb import published
from milestones_dagster.warehouse.limits import LimitError
from milestones_dagster.warehouse.operations import Publication
from milestones_dagster.warehouse.serving import ServingError, publish_serving, serving_path
from milestones_dagster.warehouse.table import Table

SERVED = ("notes", "accounts")
CONFIG_A = "a" * 64


@pytest.fixture
def given(tmp_path) -> Company:
    made = company(tmp_path)
    made.deliver("2025-01-01", two_events(1))
    made.load_unjudged()
    return made


@pytest.fixture
def session(given) -> Iterator[Session]:
    """Notes and accounts are published as of 2 January."""
    with given.opened() as opened:
        for name in ("event_identities", *SERVED):
            assert opened.make(name).state == "made"
        yield opened


def tables(session: Session) -> list[Table]:
    return [session.declared.tables[name] for name in SERVED]


def serve(session: Session) -> Path:
    """Makes the copy of both tables; none of them is optional and missing."""
    copy = publish_serving(session.warehouse, tables(session))
    assert copy.left_out == ()
    return copy.path


def record(session: Session, name: str, **changes) -> None:
    now = operations.publications(session.warehouse)[name]
    operations.record_publication(session.warehouse, replace(now, **changes), "other", session.now)


def read(path, statement: str) -> list[tuple]:
    """What another process reads, as an analyst's does."""
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall())"
    run = subprocess.run([sys.executable, "-c", code, str(path), statement], check=True, capture_output=True, encoding="utf-8")  # noqa: S603
    return eval(run.stdout)  # noqa: S307 - our own program's answer


def test_the_copy_holds_the_published_rows_and_nothing_else(given, session):
    path = serve(session)
    assert path == given.config.parent / "warehouse.serving.duckdb" == serving_path(given.config.parent / "warehouse.duckdb")
    assert read(path, "SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1") == [
        ("milestones.notes",),
        ("staging.accounts",),
    ]
    assert read(path, "SELECT account_id FROM staging.accounts") == [("a",)]
    assert read(path, "SELECT note FROM milestones.notes WHERE topic = 'as of'") == [
        ("Everything is as of 2025-01-02 00:00 UTC; nothing dated or recorded later is known.",)
    ]
    assert sorted(file.name for file in path.parent.glob("*serving*")) == ["warehouse.serving.duckdb"]


def test_it_is_refused_while_a_table_is_missing(session):
    with pytest.raises(ServingError) as refused:
        publish_serving(session.warehouse, [*tables(session), session.declared.tables["setup_steps"]])
    assert str(refused.value).startswith("setup_steps not published yet; ")
    assert not serving_path(session.config.warehouse_path).exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"as_of": at("2025-01-01")}, "notes are behind"), ({"fingerprint": CONFIG_A}, "tables of another config are behind")],
)
def test_it_is_refused_when_versions_differ_and_yesterdays_copy_stays(session, changes, named):
    path = serve(session)
    before = (path.stat().st_ino, path.read_bytes())
    record(session, "notes", **changes)
    with pytest.raises(ServingError) as refused:
        publish_serving(session.warehouse, tables(session))
    assert named in str(refused.value)
    assert "the serving copy stays" in str(refused.value)
    assert (path.stat().st_ino, path.read_bytes()) == before


def test_an_optional_table_is_left_out_where_it_is_of_another_time_or_missing(session):
    notes, accounts = tables(session)
    missing = session.declared.tables["feature_importance"]
    copy = publish_serving(session.warehouse, [notes], [accounts, missing])
    assert (copy.left_out, copy.written) == (("feature_importance",), ("notes", "accounts"))
    record(session, "accounts", as_of=at("2025-01-01"))
    copy = publish_serving(session.warehouse, [notes], [accounts, missing])
    assert (copy.left_out, copy.written) == (("accounts", "feature_importance"), ())
    assert read(copy.path, "SELECT table_name FROM duckdb_tables()") == [("notes",)]


def test_a_copy_that_breaks_half_way_leaves_yesterdays(session):
    path = serve(session)
    before = path.read_bytes()
    # recorded as published, and not there
    ghost = replace(session.declared.tables["notes"], name="ghost")
    as_published = operations.publications(session.warehouse)["notes"]
    record_ghost = Publication("ghost", "s", as_published.as_of, as_published.fingerprint, "code", 0)
    operations.record_publication(session.warehouse, record_ghost, "run", session.now)
    assert not session.warehouse.exists(published(ghost))
    with pytest.raises(duckdb.CatalogException):
        publish_serving(session.warehouse, [*tables(session), ghost])
    assert path.read_bytes() == before
    # the remains are in nobody's way
    assert serve(session) == path


def test_a_full_disk_is_a_sentence_and_leaves_yesterdays_copy_and_its_room(session, monkeypatch):
    path = serve(session)
    before = (path.stat().st_ino, path.read_bytes())
    record(session, "notes", row_count=-1)
    changes.record_version(session.warehouse, "notes", [])

    def half(_source: Path, aside: Path) -> None:
        aside.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(serving.shutil, "copyfile", half)
    with pytest.raises(LimitError) as full:
        publish_serving(session.warehouse, tables(session))
    assert str(full.value).startswith("serving copy: the disk is full ([Errno 28] No space left on device); the serving copy stays")
    assert f"Free room at {path.parent}, where" in str(full.value)
    assert (path.stat().st_ino, path.read_bytes()) == before
    assert list(path.parent.glob("*.serving.*")) == [path]


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (
            duckdb.IOException("IO Error: Could not write file: No space left on device"),
            LimitError,
            "serving copy: the disk is full",
        ),
        (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate"), LimitError, "serving copy: the engine needs more"),
        (duckdb.InternalException("of another kind"), duckdb.InternalException, "of another kind"),
    ],
)
def test_what_was_written_of_a_copy_that_breaks_is_removed(session, monkeypatch, error, raised, said):
    path = serving_path(session.config.warehouse_path)
    write = serving._write

    def broken(*arguments: object) -> None:
        write(*arguments)
        raise error

    monkeypatch.setattr(serving, "_write", broken)
    with pytest.raises(raised, match=said):
        publish_serving(session.warehouse, tables(session))
    assert list(path.parent.glob("*.serving.*")) == []
    monkeypatch.setattr(serving, "_write", write)
    assert serve(session) == path


def test_a_copy_that_cannot_be_recorded_stands_and_is_made_whole_the_next_time(session, monkeypatch):
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(serving.changes, "record_read", full)
        with pytest.raises(LimitError, match="; the new serving copy is in its place"):
            publish_serving(session.warehouse, tables(session))
    assert read(serving_path(session.config.warehouse_path), "SELECT account_id FROM staging.accounts") == [("a",)]
    assert publish_serving(session.warehouse, tables(session)).written == SERVED


READER = """
import duckdb, sys
opened = duckdb.connect(sys.argv[1], read_only=True)
opened.execute("SET enable_progress_bar = false")
rows = opened.execute("SELECT account_id FROM staging.accounts, range(3000000)")
print(rows.fetchone()[0], flush=True)
sys.stdin.readline()
left = 1
while part := rows.fetchmany(100000):
    left += len(part)
print(left, *(name for (name,) in opened.execute("SELECT account_id FROM staging.accounts").fetchall()))
"""


def test_a_reader_in_the_middle_of_a_query_keeps_its_copy_and_holds_up_no_run(given, session):
    path = serve(session)
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as reader:
        # the first row has come, three million less one are on their way
        assert reader.stdout.readline() == "a\n"
        given.deliver("2025-01-02", [row | {"account_id": "b"} for row in two_events(2)])
        session.days.make(session.days.look(), lambda _table, _relation: [])
        session.make("event_identities")
        later = Session(session.declared, session.warehouse.connection, session.warehouse.folder, "later")
        for name in ("subscriptions", *SERVED):
            later.make(name)
        # the swap is a rename: the run waits for nobody, and the open file is the old one, whole
        assert serve(later) == path
        assert reader.poll() is None
        assert read(path, "SELECT account_id FROM staging.accounts ORDER BY 1") == [("a",), ("b",)]
        told, _ = reader.communicate("go on\n")
    assert told == "3000000 a\n"
    assert later.observation.as_of == at("2025-01-03") == at(str(january(3)))
