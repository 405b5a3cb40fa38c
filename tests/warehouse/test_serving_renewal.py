"""The next serving copy out of the standing one: what is written again, that it equals a copy made whole, and when it is made whole."""

import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest
from delivering_company import Company, company, two_events
from scenario import at

from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse import changes, operations
from milestones_dagster.warehouse.serving import Served, publish_serving, serving_path
from milestones_dagster.warehouse.table import Table

SERVED = ("notes", "accounts", "subscriptions", "bulk")
ROWS = 150_000


@pytest.fixture
def given(tmp_path) -> Company:
    made = company(tmp_path)
    made.deliver("2025-01-01", two_events(1))
    made.load_unjudged()
    return made


@pytest.fixture
def session(given) -> Iterator[Session]:
    with given.opened() as opened:
        bring_up(opened)
        put_bulk(opened, "range", ROWS)
        yield opened


def bring_up(session: Session) -> dict[str, str]:
    return {name: session.make(name).state for name in ("event_identities", "subscriptions", "notes", "accounts")}


def put_bulk(session: Session, value: str, rows: int = ROWS) -> None:
    """Publishes a table of some megabytes, in the reverse of its order."""
    session.warehouse.execute(
        f"CREATE OR REPLACE TABLE milestones.bulk AS SELECT range AS topic, hash({value}) AS note FROM range({rows}) ORDER BY 1 DESC"
    )
    notes = operations.publications(session.warehouse)["notes"]
    changes.record_version(session.warehouse, "bulk", [])
    operations.record_publication(session.warehouse, replace(notes, table="bulk"), "run", session.now)


def tables(session: Session) -> dict[str, Table]:
    bulk = replace(session.declared.tables["notes"], name="bulk", order=("topic",))
    return {**{name: session.declared.tables[name] for name in SERVED[:-1]}, "bulk": bulk}


def serve(session: Session, *, without: tuple[str, ...] = ()) -> Served:
    return publish_serving(session.warehouse, [table for name, table in tables(session).items() if name not in without])


def contents(path: Path) -> dict[str, list[tuple]]:
    """Every row of every table, in the order in which they lie; of the large one the first rows, their number and a digest."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
        schemas = connection.execute("SELECT schema_name FROM duckdb_schemas() WHERE NOT internal ORDER BY 1").fetchall()
        rows = {f"{schema}.{name}": connection.execute(f"FROM {schema}.{name}").fetchall() for schema, name in found}
        if bulk := rows.get("milestones.bulk"):
            rows["milestones.bulk"] = [*bulk[:3], (len(bulk), sha256(repr(bulk).encode()).hexdigest())]
        return {**rows, "schemas": schemas}


def whole(session: Session, *, without: tuple[str, ...] = ()) -> dict[str, list[tuple]]:
    """The contents of a copy that is made without the standing one."""
    path = serving_path(session.config.warehouse_path)
    aside = path.with_name("held")
    path.rename(aside)
    expected = [name for name in SERVED if name not in without]
    assert serve(session, without=without).written == tuple(expected)
    made = contents(path)
    aside.replace(path)
    # the record is of the other file now
    return made


def test_day_after_day_it_holds_what_a_whole_copy_holds_and_only_what_differs_is_written(given, session):
    serve(session)
    path = serving_path(session.config.warehouse_path)
    for day in (2, 3, 4):
        given.deliver(f"2025-01-{day:02}", [row | {"account_id": "b"} if day == 3 else row for row in two_events(day)])
        session.days.make(session.days.look(), lambda _table, _relation: [])
        later = Session(session.declared, session.warehouse.connection, session.warehouse.folder, f"day {day}")
        bring_up(later)
        operations.confirm_publication(later.warehouse, "bulk", "s", later.observation.as_of, later.config.fingerprint)
        made = serve(later)
        # a new account on the third of January; the notes tell the as-of time
        assert made.written == (("notes", "accounts") if day == 3 else ("notes",))
        found = contents(path)
        assert f"{at(f'2025-01-{day + 1:02}'):%Y-%m-%d %H:%M}" in str(found["milestones.notes"])
        assert [row[0] for row in found["milestones.bulk"]] == [0, 1, 2, ROWS]
        assert found == whole(later)
        # what stands again is not the file on record: made whole, and renewed from there on
        assert serve(later).written == SERVED


def test_nothing_is_written_where_nothing_changed(session):
    path = serve(session).path
    before = path.stat()
    assert serve(session).written == ()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_table_comes_and_goes_with_its_schema(session):
    path = serve(session).path
    without = ("accounts", "subscriptions")
    assert serve(session, without=without).written == ()
    found = contents(path)
    assert (set(found), found["schemas"]) == ({"milestones.bulk", "milestones.notes", "schemas"}, [("milestones",)])
    assert found == whole(session, without=without)
    path.unlink()
    serve(session, without=without)
    assert serve(session).written == ("accounts", "subscriptions")
    assert contents(path) == whole(session)


def test_another_order_is_another_copy(session):
    notes, accounts, *_ = tables(session).values()
    publish_serving(session.warehouse, [notes, accounts])
    assert publish_serving(session.warehouse, [notes, replace(accounts, order=("account_key",))]).written == ("accounts",)


def test_a_table_written_every_day_does_not_let_the_file_grow(session):
    path = serve(session).path
    first = path.stat().st_size
    for day in range(6):
        put_bulk(session, f"range + {day}")
        assert serve(session).written == ("bulk",)
        assert path.stat().st_size < 1.25 * first


def test_a_file_that_is_mostly_empty_is_made_whole(session):
    path = serve(session).path
    put_bulk(session, "range", 10)
    assert serve(session).written == SERVED
    made = path.stat().st_size
    path.unlink()
    serve(session)
    assert path.stat().st_size == made


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def foreign(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA milestones; CREATE TABLE milestones.bulk AS SELECT 1 AS topic")


def changed_and_dated_back(path: Path) -> None:
    """Same size and time: only what is read from it can tell."""
    before = path.stat()
    path.write_bytes(b"\0" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("damage", [shortened, foreign, changed_and_dated_back, Path.unlink])
def test_a_copy_that_is_not_the_last_one_is_made_whole(session, damage):
    path = serve(session).path
    before = contents(path)
    damage(path)
    put_bulk(session, "range")
    assert serve(session).written == SERVED
    assert contents(path) == before


def test_a_copy_of_another_form_is_made_whole(session, monkeypatch):
    serve(session)
    monkeypatch.setattr("milestones_dagster.warehouse.serving._FORM", "another")
    assert serve(session).written == SERVED


def test_a_warehouse_put_back_to_an_earlier_state_does_not_trust_a_later_copy(session):
    serve(session)
    held = session.warehouse.rows("FROM operations.served")
    put_bulk(session, "range + 1")
    path = serve(session).path
    # as a backup has it: the number of the state comes again, for other rows
    session.warehouse.execute("DELETE FROM operations.served")
    session.warehouse.connection.executemany("INSERT INTO operations.served VALUES (?, ?, ?)", held)
    session.warehouse.execute("UPDATE operations.versions SET version = 1 WHERE table_name = 'bulk'")
    put_bulk(session, "range + 2")
    assert serve(session).written == SERVED
    assert contents(path) == whole(session)


def test_a_run_that_ends_half_way_leaves_yesterdays_copy_and_the_next_one_is_whole(session, monkeypatch):
    path = serve(session).path
    before = path.read_bytes()
    put_bulk(session, "range + 1")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("milestones_dagster.warehouse.serving._free_share", killed)
        with pytest.raises(KeyboardInterrupt):
            serve(session)
    assert path.read_bytes() == before
    path.with_name(f"{path.name}.tmp.wal").write_bytes(b"of another file")
    with monkeypatch.context() as patch:
        patch.setattr("milestones_dagster.warehouse.serving._remember", killed)
        with pytest.raises(KeyboardInterrupt):
            serve(session)
    # swapped and not recorded
    assert path.read_bytes() != before
    assert serve(session).written == SERVED
    assert contents(path) == whole(session)
    assert sorted(file.name for file in path.parent.glob("*serving*")) == ["warehouse.serving.duckdb"]
