"""`warehouse.yaml` with Spark: what is accepted, and the sentence of each thing that is not."""

from pathlib import Path

import pytest
from test_config_world import messages, write

from milestones_dagster.config.loader import load_config

GOOD = """\
engine: spark
path: wh.duckdb
spark:
  master: spark://host:7077
  warehouse_folder: /mnt/tables
  catalogue: spark_catalog
  settings: {spark.executor.memory: 4g}
"""
CASES = {
    "master": (
        "spark://host:7077",
        "localhost",
        "found 'localhost', expected a master URL of Spark, such as local[2], spark://host:7077, k8s://https://host or yarn",
    ),
    "setting": ("spark.executor.memory", "executor.memory", "expected a setting of Spark, whose name begins with spark."),
    "fixed": (
        "spark.executor.memory: 4g",
        "spark.sql.session.timeZone: Europe/Berlin",
        "expected no value here: what the SQL means rests on it, so it is fixed",
    ),
    "engine": ("engine: spark", "engine: duckdb", "expected engine: spark beside it, or no such key: duckdb does not read it"),
    "unknown": ("catalogue:", "catalog:", "found an unknown key"),
}


def written(folder: Path, text: str) -> Path:
    return write(folder, warehouse=text)


def test_spark_is_read(tmp_path):
    spark = load_config(written(tmp_path, GOOD)).warehouse.spark
    assert spark is not None
    assert (spark.master, spark.warehouse_folder, spark.catalogue) == ("spark://host:7077", "/mnt/tables", "spark_catalog")
    assert spark.settings == {"spark.executor.memory": "4g"}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_accepted_is_said(tmp_path, case):
    old, new, sentence = CASES[case]
    assert old in GOOD
    told = messages(written(tmp_path, GOOD.replace(old, new)))
    assert any(sentence in line and "warehouse.yaml:" in line for line in told), told
