"""The published tables in a catalogue of Spark, for whoever reads with Spark: their names there follow the control file.

Put here what a catalogue is told. Keep out what is published (`spark_files.py`): the control file says so, and a catalogue that a
killed run left behind is set right when its table is next looked at.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from milestones_dagster.warehouse.spark_dialect import DIALECT, spark_type
from milestones_dagster.warehouse.spark_session import SparkFailedError, SparkUnavailableError, told_by_spark
from milestones_dagster.warehouse.table import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# the public contract; staging and raw are not shown to others
_SHOWN_SCHEMAS = frozenset({"milestones", "evidence"})


class Catalogue:
    """The public tables in one catalogue of the session.

    Args:
        spark: The open session; the catalogue is configured in its settings, or is Spark's own, `spark_catalog`.
        name: The catalogue's name.
    """

    def __init__(self, spark: "SparkSession", name: str) -> None:
        self.spark = spark
        self.name = name

    def check(self) -> None:
        """Asks the catalogue for its schemas, before anything is made that it is to show.

        Raises:
            SparkUnavailableError: it is not one of the session's, or does not answer.
        """
        try:
            with told_by_spark(f"catalogue {self.name}"):
                self.spark.sql(f"SHOW SCHEMAS IN `{self.name}`").collect()
        except SparkFailedError as error:
            raise SparkUnavailableError(
                f"{error}; `catalogue` under `spark:` in warehouse.yaml is one that `settings` configure (spark.sql.catalog.…), or "
                "Spark's own, spark_catalog"
            ) from error

    def show(self, table: Table, folder: Path) -> None:
        """Lets the table's name there mean the rows in `folder`; nothing is copied, and dropping it there deletes nothing."""
        if table.schema not in _SHOWN_SCHEMAS:
            return
        target = f"`{self.name}`.`{table.schema}`.`{table.name}`"
        # as a path: Spark takes the escapes of an address for letters of a name
        place = exp.Literal.string(str(folder)).sql(dialect=DIALECT)
        columns = [(column.name, spark_type(column.type)) for column in table.columns]
        if self.spark.catalog.tableExists(f"{self.name}.{table.schema}.{table.name}"):
            facts = self.spark.sql(f"DESCRIBE TABLE EXTENDED {target}").collect()
            if any(row.col_name == "Location" and row.data_type.removeprefix("file:") == str(folder) for row in facts):
                return
            if [(row.col_name, row.data_type.upper()) for row in facts[: len(columns)]] == columns:
                self.spark.sql(f"ALTER TABLE {target} SET LOCATION {place}")
                return
            self.spark.sql(f"DROP TABLE {target}")
        self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{self.name}`.`{table.schema}`")
        declared = ", ".join(f"`{name}` {kind}" for name, kind in columns)
        self.spark.sql(f"CREATE TABLE {target} ({declared}) USING parquet LOCATION {place}")
