"""Versions and pointers, without Spark: a version is published by one commit of the control file, or not at all."""

import multiprocessing
import os
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
def opened(folder):
    with duckdb.connect(str(folder / "control.duckdb")) as connection:
        warehouse = Warehouse(connection, folder / "days", TABLES)
        operations.prepare(warehouse)
        spark_files.prepare(warehouse)
        yield warehouse, spark_files.Versions(warehouse, folder / "spark")


def written(warehouse, versions, declared, values):
    """A version of (day, value) rows as Spark lays it out."""
    version = versions.begin(declared)
    for day, value in values.items():
        place = version / f"{spark_files.PART}={day}" if declared.by else version
        place.mkdir(parents=True)
        rows = f"SELECT DATE '{day}' AS day, {value}::BIGINT AS value"
        warehouse.connection.sql(rows).write_parquet(str(place / "part-0.parquet"))
    return version


def published_rows(warehouse, declared):
    return warehouse.rows(f"SELECT day, value FROM staging.{declared.name} ORDER BY day")


def publish(warehouse, versions, declared, values, replaced=None):
    version = written(warehouse, versions, declared, values)
    with warehouse.transaction():
        versions.name(declared, version, replaced)
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
        publish(warehouse, versions, BY_DAY, {"2025-01-01": 1, "2025-01-02": 2, "2025-01-03": 3})
        before = versions.parts(BY_DAY)
        # the second has other rows now, the third none any more
        publish(warehouse, versions, BY_DAY, {"2025-01-02": 20}, [date(2025, 1, 2), date(2025, 1, 3)])
        assert published_rows(warehouse, BY_DAY) == [(date(2025, 1, 1), 1), (date(2025, 1, 2), 20)]
        assert versions.parts(BY_DAY)["2025-01-01"] == before["2025-01-01"]
        versions.begin(BY_DAY)
        assert [Path(before[day]).exists() for day in sorted(before)] == [True, False, False]


def test_no_rows_is_a_table(tmp_path):
    with opened(tmp_path) as (warehouse, versions):
        publish(warehouse, versions, BY_DAY, {})
        assert published_rows(warehouse, BY_DAY) == []


def _die_before_the_commit(folder):
    with opened(folder) as (warehouse, versions):
        version = written(warehouse, versions, WHOLE, {"2025-01-01": 2})
        warehouse.connection.begin()
        versions.name(WHOLE, version, None)
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
        warehouse.execute("INSERT INTO operations.publications VALUES ('whole', 's', NULL, 'f', 'c', 1, 'r', NULL)")
        with pytest.raises(spark_files.EngineMismatchError, match="made by DuckDB"):
            spark_files.prepare(warehouse)
