"""What is said when Spark cannot be started, without Spark and without Java: a fake of each."""

import sys
from types import ModuleType, SimpleNamespace

import duckdb
import pytest

from milestones_dagster.orchestration.resources import MilestonesWarehouse, WarehouseError
from milestones_dagster.warehouse import spark_session
from milestones_dagster.warehouse.limits import LimitError
from milestones_dagster.warehouse.spark import resources
from milestones_dagster.warehouse.spark_catalogue import Catalogue
from milestones_dagster.warehouse.spark_session import (
    SparkFailedError,
    SparkUnavailableError,
    check_spark,
    open_spark,
    told_by_spark,
)

BRIDGE = """An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.
: org.apache.spark.SparkException: Could not parse Master URL: 'lokal[2]'
\tat org.apache.spark.SparkContext$.createTaskScheduler(SparkContext.scala:3204)
"""


def java(folder, version):
    """A Java home of which `java -version` says that version, on the error stream as Java does."""
    home = folder / f"java-{version}"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    return home


@pytest.fixture
def pyspark(monkeypatch):
    """A pyspark that is found and whose session cannot be opened."""

    class Builder:
        def master(self, _):
            return self

        def appName(self, _):  # noqa: N802 - Spark's name
            return self

        def config(self, *_):
            return self

        def getOrCreate(self):  # noqa: N802 - Spark's name
            raise RuntimeError(BRIDGE)

    sql = ModuleType("pyspark.sql")
    sql.SparkSession = SimpleNamespace(getActiveSession=lambda: None, builder=Builder())
    monkeypatch.setitem(sys.modules, "pyspark", ModuleType("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.sql", sql)
    monkeypatch.setattr(spark_session, "find_spec", lambda _: object(), raising=False)


@pytest.mark.parametrize("version", ["17.0.15", "21", "21.0.2"])
def test_a_java_that_spark_runs_on_is_taken(tmp_path, monkeypatch, pyspark, version):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    check_spark()


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.22", "25"])
def test_another_java_is_named_with_what_is_needed(tmp_path, monkeypatch, pyspark, version):
    home = java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(SparkUnavailableError) as refused:
        check_spark()
    assert f"needs Java 17 or 21, and {home}/bin/java is Java {version};" in str(refused.value)


def test_a_java_home_that_is_not_there_is_named(tmp_path, monkeypatch, pyspark):
    # pyspark does not look at PATH then
    monkeypatch.setenv("PATH", str(java(tmp_path, "17.0.15") / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(SparkUnavailableError, match=r"JAVA_HOME is .*gone, which has no bin/java"):
        check_spark()


def test_no_java_and_no_pyspark_are_told(tmp_path, monkeypatch, pyspark):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SparkUnavailableError, match="none is on PATH or at JAVA_HOME"):
        check_spark()
    monkeypatch.setattr(spark_session, "find_spec", lambda _: None)
    with pytest.raises(SparkUnavailableError, match="needs pyspark; install the extra"):
        check_spark()


def test_the_cause_is_told_and_where_to_look(tmp_path, monkeypatch, pyspark):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, "17.0.15")))
    with pytest.raises(SparkUnavailableError) as refused:
        open_spark("lokal[2]", {}, tmp_path / "spark")
    assert str(refused.value) == (
        "Spark cannot be started on lokal[2]: SparkException: Could not parse Master URL: 'lokal[2]'; "
        "look at `master` and `settings` under `spark:` in warehouse.yaml"
    )


def test_a_run_is_told_before_it_lands_anything(tmp_path, monkeypatch, pyspark):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    declared = SimpleNamespace(config=SimpleNamespace(warehouse=SimpleNamespace(engine="spark")))
    warehouse = MilestonesWarehouse(database=str(tmp_path / "control.duckdb"), folder=str(tmp_path / "days"))
    with duckdb.connect() as connection:
        warehouse._connection = connection
        with pytest.raises(WarehouseError, match="JAVA_HOME is"):
            warehouse.session(declared)
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_the_run_tells_what_spark_had():
    assert resources({"spark.driver.memory": "2g", "spark.executor.instances": "3"}, 2) == {
        "spark_default_parallelism": "2",
        "spark_driver_memory": "2g",
        "spark_executor_memory": "default",
        "spark_executor_cores": "default",
        "spark_executor_instances": "3",
    }


def raised_by_spark(words):
    """An error as the bridge raises it: of a class of its own, with a traceback of the JVM."""
    made = type("Py4JJavaError", (Exception,), {"__module__": "py4j.protocol"})
    return made(f"An error occurred while calling o97.parquet.\n: {words}\n\tat org.apache.spark.Dataset.count(Dataset.scala:1)")


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        (
            "org.apache.spark.SparkException: Job aborted\nCaused by: java.io.IOException: No space left on device",
            LimitError,
            r"^setup_steps: the disk is full \(No space left on device\); nothing .* `warehouse_folder` .* \(`spark\.local\.dir`",
        ),
        (
            "java.lang.OutOfMemoryError: Java heap space",
            LimitError,
            r"^setup_steps: Spark needs more memory than .* \(OutOfMemoryError\); .* `spark\.driver\.memory`, .* `spark: settings`",
        ),
        (
            "[DIVIDE_BY_ZERO] Division by zero of 'Acme'",
            SparkFailedError,
            r"^setup_steps: \[DIVIDE_BY_ZERO\] Division by zero of '…'$",
        ),
    ],
    ids=["disk", "memory", "other"],
)
def test_too_little_memory_or_disk_is_told_with_the_setting_to_change(words, kind, told):
    with pytest.raises(kind, match=told), told_by_spark("setup_steps"):
        raise raised_by_spark(words)


def test_what_became_of_a_table_is_told_as_it_is():
    with (
        pytest.raises(LimitError, match=r"^x: the disk is full .*; its rows are published\. Free"),
        told_by_spark("x", "its rows are published"),
    ):
        raise raised_by_spark("java.io.IOException: No space left on device")


def test_a_catalogue_that_spark_does_not_have_is_told_before_anything_is_made():
    def sql(_):
        raise raised_by_spark("[CATALOG_NOT_FOUND] The catalog `lake` was not found")

    with pytest.raises(
        SparkUnavailableError, match=r"CATALOG_NOT_FOUND.*; `catalogue` under `spark:` in warehouse.yaml is one that"
    ):
        Catalogue(SimpleNamespace(sql=sql), "lake").check()
