"""Versions and pointers, without Spark: a version is published by one commit of the control file, or not at all."""

import multiprocessing
import os
import shutil
import signal
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pytest

from milestones_dagster.warehouse import operations, spark_files
from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.table import Column, Table

KEY = Column("day", "DATE", is_nullable=False, unit=None, about="A day.")
VALUE = Column("value", "BIGINT", is_nullable=True, unit=None, about="A value.")


def table(name, by=None):
    return Table(name, "staging", Path(f"{name}.sql"), "One.", "one row", ("day",), (KEY, VALUE), "SELECT 1", by=by, order=("day",))


WHOLE, BY_DAY = table("whole"), table("by_day", by="day")
TABLES = {"whole": WHOLE, "by_day": BY_DAY}


@contextmanager
def opened(folder, control="control"):
    with duckdb.connect(str(folder / f"{control}.duckdb")) as connection:
        warehouse = Warehouse(connection, folder / "days", TABLES)
        operations.prepare(warehouse)
        spark_files.prepare(warehouse)
        yield warehouse, spark_files.Versions(warehouse, folder / "spark")


def written(warehouse, versions, declared, values):
    """A version of (day, value) rows as Spark lays it out."""
    version = versions.begin(declared)
    for part in sorted({day[:7] if declared.by else "" for day in values}):
        place = version / f"{spark_files.PART}={part}" if declared.by else version
        place.mkdir(parents=True)
        rows = ", ".join(f"(DATE '{day}', {value}::BIGINT)" for day, value in values.items() if day.startswith(part))
        warehouse.connection.sql(f"FROM (VALUES {rows}) AS rows(day, value)").write_parquet(str(place / "part-0.parquet"))
    return version


def published_rows(warehouse, declared):
    return warehouse.rows(f"SELECT day, value FROM staging.{declared.name} ORDER BY day")


def publish(warehouse, versions, declared, values, replaced=None):
    """Publishes the rows as the whole table, or in the place of the days `replaced`."""
    version = written(warehouse, versions, declared, values)
    days = replaced if replaced is not None else [date.fromisoformat(day) for day in values if declared.by]
    with warehouse.transaction():
        versions.name(declared, version, days, is_whole=replaced is None)
    return version


def test_a_version_replaces_the_one_before(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        first = publish(warehouse, versions, WHOLE, {"2025-01-01": 1})
        second = publish(warehouse, versions, WHOLE, {"2025-01-01": 2})
        assert published_rows(warehouse, WHOLE) == [(date(2025, 1, 1), 2)]
        assert first.exists(), "who reads the one before may finish"
        versions.begin(WHOLE)
        assert (first.exists(), second.exists()) == (False, True)


def test_days_are_replaced_alone(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        publish(warehouse, versions, BY_DAY, {"2025-01-01": 1, "2025-01-02": 2, "2025-01-03": 3, "2025-02-01": 4})
        before = versions.parts(BY_DAY)
        january, february = before["2025-01-01"], before["2025-02-01"]
        assert before == {f"2025-01-0{day}": january for day in (1, 2, 3)} | {"2025-02-01": february}
        assert versions.places(BY_DAY) == [spark_files.Place(january), spark_files.Place(february)]
        # the second has other rows now, the third none any more, and neither has a day that is new
        again = publish(warehouse, versions, BY_DAY, {"2025-01-02": 20}, [date(2025, 1, 2), date(2025, 1, 3), date(2025, 3, 1)])
        first, second, fourth = (date(2025, 1, 1), 1), (date(2025, 1, 2), 20), (date(2025, 2, 1), 4)
        assert published_rows(warehouse, BY_DAY) == [first, second, fourth]
        assert [place.days for place in versions.places(BY_DAY)] == [(date(2025, 1, 1),), None, None]
        assert versions.parts(BY_DAY)["2025-01-02"] == str(again / "part=2025-01")
        # the last of its days takes the month's folder along, and no other
        last = publish(warehouse, versions, BY_DAY, {"2025-01-01": 10}, [date(2025, 1, 1)])
        assert published_rows(warehouse, BY_DAY) == [(date(2025, 1, 1), 10), second, fourth]
        assert {place.days for place in versions.places(BY_DAY)} == {None}
        assert Path(january).exists(), "who reads it may finish"
        versions.begin(BY_DAY)
        assert [place.exists() for place in (Path(january), Path(february), again, last)] == [False, True, True, True]


def test_a_warehouse_of_before_had_a_folder_for_each_day(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        versions.begin(BY_DAY)
        warehouse.execute("ALTER TABLE operations.spark_parts DROP COLUMN days")
        for day in (1, 2):
            place = tmp_path / "spark" / "staging" / "by_day" / "version=old" / f"part=2025-01-0{day}"
            place.mkdir(parents=True)
            rows = f"SELECT DATE '2025-01-0{day}' AS day, {day}::BIGINT AS value"
            warehouse.connection.sql(rows).write_parquet(str(place / "part-0.parquet"))
            warehouse.execute("INSERT INTO operations.spark_parts VALUES ('by_day', ?, ?)", [f"2025-01-0{day}", str(place)])
        spark_files.prepare(warehouse)
        publish(warehouse, versions, BY_DAY, {"2025-01-02": 20}, [date(2025, 1, 2)])
        assert published_rows(warehouse, BY_DAY) == [(date(2025, 1, 1), 1), (date(2025, 1, 2), 20)]
        assert {place.days for place in versions.places(BY_DAY)} == {None}


def test_no_rows_is_a_table(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        publish(warehouse, versions, BY_DAY, {})
        assert published_rows(warehouse, BY_DAY) == []


def _die_before_the_commit(folder):
    with opened(folder) as (warehouse, versions):
        version = written(warehouse, versions, WHOLE, {"2025-01-01": 2})
        warehouse.connection.begin()
        versions.name(WHOLE, version, (), is_whole=True)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_publishes_nothing(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        publish(warehouse, versions, WHOLE, {"2025-01-01": 1})
    child = multiprocessing.get_context("spawn").Process(target=_die_before_the_commit, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with opened(tmp_path) as (warehouse, versions):
        assert published_rows(warehouse, WHOLE) == [(date(2025, 1, 1), 1)]
        home = tmp_path / "spark" / "staging" / "whole"
        assert len(list(home.glob("version=*"))) == 2
        versions.begin(WHOLE)
        assert [str(folder) for folder in home.glob("version=*")] == list(versions.parts(WHOLE).values())


def test_a_warehouse_of_the_other_engine_is_refused(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        publish(warehouse, versions, WHOLE, {"2025-01-01": 1})
        with pytest.raises(spark_files.EngineMismatchError, match="made by Spark"):
            spark_files.refuse_spark(warehouse)
        warehouse.execute("DELETE FROM operations.spark_parts")
        spark_files.refuse_spark(warehouse)
        warehouse.execute("INSERT INTO operations.publications VALUES ('whole', 's', NULL, 'f', 'c', 1, 'r', NULL, NULL)")
        with pytest.raises(spark_files.EngineMismatchError, match="made by DuckDB"):
            spark_files.prepare(warehouse)


def test_another_control_file_is_refused_the_folder(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        version = publish(warehouse, versions, WHOLE, {"2025-01-01": 1})
    with (
        pytest.raises(
            spark_files.FolderTakenError, match=r"control\.duckdb; name another `warehouse_folder`.*or remove the folder"
        ),
        opened(tmp_path, "dev"),
    ):
        pass
    # a copy has the id of the file that it was copied from, which is still there
    shutil.copy(tmp_path / "control.duckdb", tmp_path / "copy.duckdb")
    with pytest.raises(spark_files.FolderTakenError, match="name another"), opened(tmp_path, "copy"):
        pass
    with opened(tmp_path) as (warehouse, versions):
        versions.begin(WHOLE)
        assert version.exists()
        assert published_rows(warehouse, WHOLE) == [(date(2025, 1, 1), 1)]


def test_two_that_found_no_folder_do_not_both_write_to_it(tmp_path):
    with opened(tmp_path) as (warehouse, versions), opened(tmp_path, "dev") as (_, others):
        version = publish(warehouse, versions, WHOLE, {"2025-01-01": 1})
        with pytest.raises(spark_files.FolderTakenError, match="another control file"):
            others.begin(WHOLE)
        assert version.exists()


@pytest.mark.parametrize("left", ["no file", "an empty file"])
def test_a_folder_without_an_owner_is_taken(tmp_path, left):
    with opened(tmp_path) as (warehouse, versions):
        publish(warehouse, versions, WHOLE, {"2025-01-01": 1})
    owner = tmp_path / "spark" / spark_files.OWNER
    owner.unlink()
    if left == "an empty file":
        owner.touch()  # of who was killed as it took the folder
    with opened(tmp_path) as (warehouse, _):
        assert published_rows(warehouse, WHOLE) == [(date(2025, 1, 1), 1)]
    with pytest.raises(spark_files.FolderTakenError, match="another control file"), opened(tmp_path, "dev"):
        pass


def test_a_control_file_that_was_moved_keeps_its_folder(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        publish(warehouse, versions, WHOLE, {"2025-01-01": 1})
    (tmp_path / "control.duckdb").rename(tmp_path / "moved.duckdb")
    with opened(tmp_path, "moved") as (warehouse, versions):
        assert published_rows(warehouse, WHOLE) == [(date(2025, 1, 1), 1)]
        assert str(tmp_path / "moved.duckdb") in (tmp_path / "spark" / spark_files.OWNER).read_text(encoding="utf-8")
