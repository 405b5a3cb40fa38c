"""The Spark session of a run: opened with the settings that the SQL means, and closed with the run.

Put here what is Spark's own before there is a table. Keep out tables (`spark.py`).
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from milestones_dagster.config.masking import masked
from milestones_dagster.warehouse.spark_dialect import SETTINGS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

APPLICATION = "milestones"
_JVM_OPTIONS = "spark.driver.extraJavaOptions"
_ABOUT_NAMES = frozenset({"AnalysisException", "ParseException"})
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_LOG_SETTINGS = """status = warn
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd HH:mm:ss}} %p %c{{1}}: %m%n%ex
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""
# a company's own settings come after these and before those that the SQL's meaning rests on
_DEFAULTS: Mapping[str, str] = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.driver.memory": "2g",
    "spark.sql.parquet.compression.codec": "zstd",
    # a version is written at a place of its own and named afterwards: no second copy when it is done
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


class SparkFailedError(Exception):
    """Spark could not run a query: the first line of its words, without values and without its traceback."""


class SparkUnavailableError(Exception):
    """Spark cannot be started: the sentence says what is missing and how to get it."""


def open_spark(master: str, settings: Mapping[str, str], folder: Path) -> "SparkSession":
    """A session on `master`, the running one of this process where there is one.

    Args:
        master: Spark's master URL, such as `local[2]`.
        settings: The company's settings by Spark's names.
        folder: Where the driver's log is written (`spark.log`).

    Raises:
        SparkUnavailableError: pyspark or Java is missing, the running session has another master, or it cannot start.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SparkUnavailableError(
            "engine: spark needs pyspark; install the extra: pip install 'milestones-dagster[spark]'"
        ) from error
    running = SparkSession.getActiveSession()
    if running is not None and running.sparkContext.master != master:
        raise SparkUnavailableError(
            f"this process runs Spark on {running.sparkContext.master}, not on {master}; use a process of its own"
        )
    if running is None:
        _check_java()
    # Spark tells each failed query to Python's log too, with its values and pages of traceback
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    builder = SparkSession.builder.master(master).appName(APPLICATION)
    if running is None:
        # options of the driver's JVM are one text: the company's come after ours
        options = " ".join(filter(None, [_log_option(folder), settings.get(_JVM_OPTIONS)]))
        # Spark's own catalogue would make its folder where the process happens to stand
        own_folder = {"spark.sql.warehouse.dir": str((folder / "catalogue").resolve())}
        settings = {**_DEFAULTS, **own_folder, **settings, _JVM_OPTIONS: options}
    for name, value in {**settings, **SETTINGS}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise SparkUnavailableError(f"Spark cannot be started on {master}: {told[0]}") from error


@contextmanager
def told_by_spark(what: str) -> Iterator[None]:
    """Raises what Spark raised in the block as one sentence about `what`: its own has pages of traceback and quotes rows.

    Raises:
        SparkFailedError: Spark or the bridge to it raised.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"pyspark", "py4j"}:
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if "[" in line), lines[0] if lines else type(error).__name__)
        # what a query that cannot be planned quotes are names; one that fails while it runs quotes rows
        words = told if type(error).__name__ in _ABOUT_NAMES else _QUOTED.sub("'…'", told)
        raise SparkFailedError(f"{what}: {masked(words)}") from None


def log_path(folder: Path) -> Path:
    """Where the driver's log of a warehouse is written."""
    return folder / "spark.log"


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if (home and (Path(home) / "bin" / "java").exists()) or shutil.which("java"):
        return
    raise SparkUnavailableError(
        "engine: spark needs a Java runtime (17 or 21) and none is found on PATH or at JAVA_HOME; on Debian: "
        "apt-get install openjdk-17-jre-headless"
    )


def _log_option(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "log4j2.properties"
    file.write_text(_LOG_SETTINGS.format(log=log_path(folder)), encoding="utf-8")
    return f"-Dlog4j2.configurationFile={file.as_uri()}"
