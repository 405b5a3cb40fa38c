"""The Spark session of a run: opened with the settings that the SQL means, and closed with the run.

Put here what is Spark's own before there is a table. Keep out tables (`spark.py`).
"""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from milestones_dagster.config.masking import masked
from milestones_dagster.warehouse.limits import LimitError
from milestones_dagster.warehouse.spark_dialect import SETTINGS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

APPLICATION = "milestones"
_JVM_OPTIONS = "spark.driver.extraJavaOptions"
_ABOUT_NAMES = frozenset({"AnalysisException", "ParseException"})
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_RAISED = re.compile(r"Exception|Error:")
_CLASS_PREFIX = re.compile(r"\A(?:Caused by: )?(?:[a-z]\w*\.)+(?=[A-Z])")
_VERSION = re.compile(r'version "(?P<whole>(?P<major>\d+)[^"]*)"')
_JAVA_VERSIONS = frozenset({"17", "21"})
_JAVA_SECONDS = 60
_INSTALL = "on Debian: apt-get install openjdk-17-jre-headless, and let JAVA_HOME name it"
_NO_ROOM = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NO_ROOM_TOLD = (
    "{what}: the disk is full ({words}); {stands}. Free room at `warehouse_folder` and where Spark spills "
    "(`spark.local.dir` under `spark: settings` in warehouse.yaml, /tmp by default), and run again"
)
_NO_MEMORY = re.compile(r"Java heap space|GC overhead limit exceeded|OutOfMemoryError|UNABLE_TO_ACQUIRE_MEMORY")
_NO_MEMORY_TOLD = (
    "{what}: Spark needs more memory than it may take ({words}); {stands}. Raise `spark.driver.memory`, in "
    "which all work is done with a master `local[…]`, or `spark.executor.memory`, under `spark: settings` in warehouse.yaml, and "
    "run again"
)
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
    check_spark()
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None and running.sparkContext.master != master:
        raise SparkUnavailableError(
            f"this process runs Spark on {running.sparkContext.master}, not on {master}; use a process of its own"
        )
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
        cause = masked(_cause(error)).rstrip(".")
        raise SparkUnavailableError(
            f"Spark cannot be started on {master}: {cause}; look at `master` and `settings` under `spark:` in warehouse.yaml"
        ) from error


def check_spark() -> None:
    """Looks whether Spark could be started, and starts nothing.

    Raises:
        SparkUnavailableError: pyspark or Java is missing, or the Java that pyspark would use is of another version.
    """
    if find_spec("pyspark") is None:
        raise SparkUnavailableError("engine: spark needs pyspark; install the extra: pip install 'milestones-dagster[spark]'")
    _check_java()


@contextmanager
def told_by_spark(what: str, stands: str = "nothing of this was published") -> Iterator[None]:
    """Raises what Spark raised in the block as one sentence about `what`: its own has pages of traceback and quotes rows.

    Args:
        what: What is made in the block.
        stands: What became of it where memory or disk did not suffice, in words that are true wherever in the block it broke.

    Raises:
        LimitError: Spark had too little memory or disk.
        SparkFailedError: Spark or the bridge to it raised otherwise.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"pyspark", "py4j"}:
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        for bound, sentence in ((_NO_ROOM, _NO_ROOM_TOLD), (_NO_MEMORY, _NO_MEMORY_TOLD)):
            if found := bound.search(str(error)):
                raise LimitError(sentence.format(what=what, words=found[0], stands=stands)) from None
        told = next((line for line in lines if "[" in line), lines[0] if lines else type(error).__name__)
        # what a query that cannot be planned quotes are names; one that fails while it runs quotes rows
        words = told if type(error).__name__ in _ABOUT_NAMES else _QUOTED.sub("'…'", told)
        raise SparkFailedError(f"{what}: {masked(words.removeprefix(':').lstrip())}") from None


def log_path(folder: Path) -> Path:
    """Where the driver's log of a warehouse is written."""
    return folder / "spark.log"


def _cause(error: Exception) -> str:
    """What went wrong in the JVM: the first line of a bridge's error only says what was called."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines[1:] if line.startswith(":") or _RAISED.search(line)), None)
    if told is None:
        return lines[0] if lines else type(error).__name__
    return _CLASS_PREFIX.sub("", told.removeprefix(":").strip())


def _check_java() -> None:
    java = _java()
    try:
        asked = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=_JAVA_SECONDS, check=False)  # noqa: S603 - the Java that pyspark runs
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SparkUnavailableError(f"engine: spark needs Java 17 or 21, and {java} cannot be run: {error}; {_INSTALL}") from error
    told = asked.stderr + asked.stdout
    version = _VERSION.search(told)
    if version is None:
        lines = told.strip().splitlines() or ["nothing"]
        raise SparkUnavailableError(f"engine: spark needs Java 17 or 21, and {java} -version says: {lines[0]}; {_INSTALL}")
    if version["major"] not in _JAVA_VERSIONS:
        raise SparkUnavailableError(f"engine: spark needs Java 17 or 21, and {java} is Java {version['whole']}; {_INSTALL}")


def _java() -> str:
    """The Java that pyspark runs: that of JAVA_HOME where it is set, whatever is on PATH."""
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if not java.exists():
            raise SparkUnavailableError(
                f"engine: spark needs Java 17 or 21, and JAVA_HOME is {home}, which has no bin/java; correct or unset it"
            )
        return str(java)
    found = shutil.which("java")
    if found is None:
        raise SparkUnavailableError(f"engine: spark needs Java 17 or 21, and none is on PATH or at JAVA_HOME; {_INSTALL}")
    return found


def _log_option(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "log4j2.properties"
    file.write_text(_LOG_SETTINGS.format(log=log_path(folder)), encoding="utf-8")
    return f"-Dlog4j2.configurationFile={file.as_uri()}"
