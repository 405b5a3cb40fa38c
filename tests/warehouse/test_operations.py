"""The operations tables: what was loaded, published and waived, in which run; nothing of it is in a published table."""

from pathlib import Path

import duckdb
import pytest
from delivering_company import company, january, two_events
from scenario import at, event

from milestones_dagster.warehouse import changes, operations
from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.operations import KnownFile, Publication

NOW = at("2025-02-01 12:00")
LATER = at("2025-02-02 12:00")


@pytest.fixture
def warehouse(tmp_path):
    with duckdb.connect() as connection:
        opened = Warehouse(connection, tmp_path, {})
        operations.prepare(opened)
        yield opened


def known(file: str, content: str = "c1", **fields) -> KnownFile:
    values = {
        "source": "product", "file": file, "size_bytes": 10, "modified_at": NOW, "content_hash": content, "mapping_hash": "m",
        "rows": 2, "refused_rows": 0, "home_day": january(1), "state": "loaded", "reason": None, "columns": {"a": "BIGINT"},
    }  # fmt: skip
    return KnownFile(**values | fields)


def test_preparing_twice_keeps_what_is_there(warehouse):
    operations.waive(warehouse, january(3), "lost", NOW)
    operations.prepare(warehouse)
    assert operations.waivers(warehouse) == {january(3): "lost"}


def test_a_file_is_remembered_once_with_the_days_that_it_touches_now(warehouse):
    first = known("/one")
    operations.remember_files(warehouse, "product", [(first, {january(1): (2, 0), january(2): (3, 1)})], "first", NOW)
    assert operations.known_files(warehouse, "product") == {"/one": first}
    assert operations.known_files(warehouse, "support") == {}
    restated = known("/one", "c2", rows=4)
    operations.remember_files(warehouse, "product", [(restated, {january(2): (4, 0)})], "second", LATER)
    assert operations.known_files(warehouse, "product") == {"/one": restated}
    assert operations.file_days(warehouse) == [("product", "/one", january(2), 4, 0)]
    # a refusal keeps the days
    refused = known("/one", "c3", state="refused", reason='["broken", "mend it"]')
    operations.remember_files(warehouse, "product", [(refused, None)], "third", LATER)
    assert operations.known_files(warehouse, "product")["/one"].state == "refused"
    assert operations.file_days(warehouse) == [("product", "/one", january(2), 4, 0)]


def test_a_new_column_is_kept_until_it_is_told(warehouse):
    news = {"/folder/one": ["browser", "city"], "/folder/other": ["not of this load"]}
    operations.remember_files(warehouse, "product", [(known("/folder/one"), {})], "first", NOW, news)
    operations.note_columns(warehouse, "users", [(Path("/users.csv"), "team")], "first", NOW)
    operations.remember_files(warehouse, "product", [(known("/folder/two"), {})], "second", LATER)
    assert operations.untold_columns(warehouse, "raw_events") == [("one", "browser"), ("one", "city")]
    operations.settle_columns(warehouse, "raw_events")
    assert operations.untold_columns(warehouse, "raw_events") == []
    assert operations.untold_columns(warehouse, "users") == [("users.csv", "team")]


def test_a_file_is_moved_only_where_its_content_is_loaded_elsewhere(warehouse):
    found = [("/old", "x", "loaded"), ("/new", "x", "loaded"), ("/gone", "y", "loaded"), ("/bad", "y", "refused")]
    files = [(known(file, content, state=state), {january(1): (2, 0)}) for file, content, state in found]
    operations.remember_files(warehouse, "product", files, "run", NOW)
    gone = {("product", "/old"), ("product", "/gone"), ("support", "/old")}
    assert operations.forget_moved(warehouse, "product", gone) == {("product", "/old")}
    assert set(operations.known_files(warehouse, "product")) == {"/new", "/gone", "/bad"}
    assert {file for _, file, *_ in operations.file_days(warehouse)} == {"/new", "/gone", "/bad"}


def test_a_day_is_recorded_once(warehouse):
    operations.record_days(warehouse, [(january(1), "s1", 5, 0), (january(2), "s2", 7, 1)], "first", NOW)
    operations.record_days(warehouse, [(january(2), "s3", 8, 0)], "second", LATER)
    operations.record_days(warehouse, [], "third", LATER)
    assert operations.published_days(warehouse) == {january(1): "s1", january(2): "s3"}
    rows = warehouse.rows("SELECT day, rows, refused_rows, run_id, published_at FROM operations.days ORDER BY day")
    assert rows == [(january(1), 5, 0, "first", NOW), (january(2), 8, 0, "second", LATER)]


def test_a_waiver_has_a_reason_and_can_be_taken_back(warehouse):
    operations.waive(warehouse, january(3), "lost", NOW)
    operations.waive(warehouse, january(3), "lost for good", LATER)
    assert warehouse.rows("FROM operations.waivers") == [(january(3), "lost for good", LATER)]
    assert (operations.unwaive(warehouse, january(3)), operations.unwaive(warehouse, january(3))) == (True, False)
    assert operations.waivers(warehouse) == {}


def test_a_publication_is_replaced_and_may_be_confirmed_for_a_later_time(warehouse):
    first = Publication("accounts", "s1", at("2025-01-05"), "f1", "code", 3)
    operations.record_publication(warehouse, first, "first", NOW)
    assert operations.publications(warehouse) == {"accounts": first}
    operations.confirm_publication(warehouse, "accounts", "s2", at("2025-01-06"), "f2")
    confirmed = Publication("accounts", "s2", at("2025-01-06"), "f2", "code", 3)
    assert operations.publications(warehouse) == {"accounts": confirmed}
    # the rows are still those of the first run
    assert warehouse.rows("SELECT run_id, published_at FROM operations.publications") == [("first", NOW)]
    operations.record_publication(warehouse, first, "second", LATER)
    assert warehouse.rows("SELECT run_id FROM operations.publications") == [("second",)]


def test_days_of_a_table_are_replaced_one_by_one(warehouse):
    operations.record_publication_days(warehouse, "rule_events", {january(1): "a", january(2): "b"})
    operations.record_publication_days(warehouse, "rule_events", {january(2): "c", january(3): "d"})
    operations.record_publication_days(warehouse, "event_identities", {january(2): "z"})
    held = {january(1): "a", january(2): "c", january(3): "d"}
    assert operations.publication_days(warehouse, "rule_events") == held


def test_changes_stay_until_every_reader_has_read_them(warehouse):
    with warehouse.transaction():
        changes.record_version(warehouse, "accounts", [(None, at("0001-01-01"))])
        changes.record_increment(warehouse, "fast", changes.Increment("x", at("2025-01-02")), {"accounts": 1})
        changes.record_increment(warehouse, "slow", changes.Increment("x", at("2025-01-02")), {"accounts": 1})
        changes.record_version(warehouse, "accounts", [(7, None), (None, at("2025-01-01"))])
        changes.record_increment(warehouse, "fast", changes.Increment("y", at("2025-01-03")), {"accounts": 2})
        changes.record_version(warehouse, "accounts", [(8, None)])
    assert changes.versions(warehouse) == {"accounts": 3}
    assert changes.increment(warehouse, "fast") == changes.Increment("y", at("2025-01-03"))
    assert changes.increment(warehouse, "never") is None
    assert {name: changes.made_from(warehouse, name) for name in ("fast", "slow")} == {
        "fast": {"accounts": 2},
        "slow": {"accounts": 1},
    }
    read = {name: sorted(warehouse.rows(changes.CHANGED_ACCOUNTS, [name])) for name in ("fast", "slow")}
    assert read == {"fast": [(8,)], "slow": [(7,), (8,)]}
    told = [changes.first_change(warehouse, "accounts", before, 3) for before in (2, 1)]
    assert told == [changes.NOTHING, at("2025-01-01")]
    # what the first state was made of, both have read
    assert warehouse.scalar("SELECT min(version) FROM operations.changes") == 2


def test_a_reader_that_is_no_table_any_more_holds_no_changes_back(tmp_path):
    given = company(tmp_path)
    removed, kept, copy = "of_an_earlier_version", "account_months", "serving copy"
    with given.opened() as session, session.warehouse.transaction():
        changes.record_version(session.warehouse, "accounts", [(6, None)])
        for reader in (removed, kept):
            changes.record_increment(session.warehouse, reader, changes.Increment("x", NOW), {"accounts": 1})
        changes.record_read(session.warehouse, copy, {"accounts": 1})
        changes.record_version(session.warehouse, removed, [])
    with given.opened() as session:
        warehouse = session.warehouse
        assert {row[0] for row in warehouse.rows("SELECT table_name FROM operations.made_from")} == {kept, copy}
        assert changes.increment(warehouse, removed) is None
        assert changes.increment(warehouse, kept) == changes.Increment("x", NOW)
        # a table that comes back goes on with its numbers
        assert changes.versions(warehouse)[removed] == 1
        with warehouse.transaction():
            for account in (7, 8):
                changes.record_version(warehouse, "accounts", [(account, None)])
                for reader in (kept, copy):
                    changes.record_read(warehouse, reader, {"accounts": account - 5})
            changes.record_version(warehouse, "accounts", [(9, None)])
        assert warehouse.rows("SELECT version, account_key FROM operations.changes WHERE table_name = 'accounts'") == [(4, 9)]


def test_without_a_reader_the_last_change_alone_is_kept(warehouse):
    with warehouse.transaction():
        for day in range(1, 5):
            changes.record_version(warehouse, "accounts", [(day, None), (None, at(f"2025-01-0{day}"))])
    assert warehouse.rows("SELECT DISTINCT version FROM operations.changes") == [(4,)]


def test_a_change_is_told_only_where_all_between_are_remembered(warehouse):
    with warehouse.transaction():
        changes.record_read(warehouse, "serving copy", {"accounts": 0})
        changes.record_version(warehouse, "accounts", [(None, at("2025-01-03"))])
        changes.record_version(warehouse, "accounts", [(7, None)])
        changes.record_version(warehouse, "accounts", [(8, None), (None, at("2025-01-02"))])
    assert changes.first_change(warehouse, "accounts", 0, 3) == at("2025-01-02")
    assert changes.first_change(warehouse, "accounts", 1, 2) == changes.NOTHING
    assert {row[0] for row in warehouse.rows(changes.changed_accounts("accounts", 1))} == {7, 8}
    warehouse.execute("DELETE FROM operations.changes WHERE version = 2")
    assert changes.first_change(warehouse, "accounts", 0, 3) is None
    assert changes.first_change(warehouse, "accounts", 2, 3) == at("2025-01-02")


def test_the_newest_accepted_extract_tells_the_columns(warehouse):
    assert operations.snapshot_columns(warehouse, "accounts") is None
    operations.record_snapshot(warehouse, "accounts", "c1", {"id": "BIGINT"}, NOW, "first", NOW)
    operations.record_snapshot(warehouse, "accounts", "c2", {"id": "BIGINT", "plan": "VARCHAR"}, LATER, "second", LATER)
    operations.record_snapshot(warehouse, "users", "c9", {"user": "BIGINT"}, LATER, "second", LATER)
    assert operations.snapshot_columns(warehouse, "accounts") == {"id": "BIGINT", "plan": "VARCHAR"}


def test_every_file_is_known_with_what_became_of_it(tmp_path):
    given = company(tmp_path)
    given.deliver("2025-01-01", [*two_events(1), event("a", "", "2025-01-01 12:00")])
    (given.files / "2025-01-02.parquet").write_bytes(b"")
    size = (given.files / "2025-01-01.parquet").stat().st_size
    given.load(run_id="first")
    rows = given.query(
        "SELECT source, file, rows, refused_rows, home_day, state, run_id, size_bytes FROM operations.source_files ORDER BY file"
    )
    assert [(row[0], Path(row[1]).name, *row[2:]) for row in rows] == [
        ("product", "2025-01-01.parquet", 3, 1, january(1), "loaded", "first", size),
        ("product", "2025-01-02.parquet", 0, 0, None, "refused", "first", 0),
    ]
    (reason,) = given.query("SELECT reason FROM operations.source_files WHERE state = 'refused'")[0]
    assert reason == '["the file is empty (0 bytes)", "deliver the file again"]'


def test_no_published_table_holds_a_run_or_a_clock_time(tmp_path):
    given = company(tmp_path)
    with given.opened() as session:
        columns = {column.name for table in session.declared.tables.values() for column in table.columns}
    assert not columns & {"run_id", "published_at", "seen_at", "made_at", "loaded_at"}
