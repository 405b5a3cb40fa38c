"""Which engine makes the tables of a run, and who audits them there: what `warehouse.yaml` says becomes objects.

Put here the choice. Keep out what an engine does (`warehouse/`) and how rules are evaluated (`quality/`).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from sqlglot import exp

from milestones_dagster.config.company import CompanyConfig
from milestones_dagster.config.warehouse import Spark
from milestones_dagster.quality.audit import audit
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.quality.spark_audit import spark_audit
from milestones_dagster.quality.suites import Rule
from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.engine import Embedded, Engine
from milestones_dagster.warehouse.gate import Audit
from milestones_dagster.warehouse.spark import SparkEngine, view_name
from milestones_dagster.warehouse.spark_files import refuse_spark
from milestones_dagster.warehouse.spark_session import check_spark, open_spark
from milestones_dagster.warehouse.table import Table

Suites = Mapping[str, Sequence[Rule]]


def open_engine(config: CompanyConfig, warehouse: Warehouse, suites: Suites) -> tuple[Engine, Audit[RuleResult]]:
    """The engine of a company's tables on an open control file, and the audit of what it makes.

    Raises:
        EngineMismatchError: the tables of this file were made by the other engine.
    """
    if config.warehouse.engine == "duckdb":
        refuse_spark(warehouse)
        return Embedded(warehouse), embedded_audit(warehouse, suites)
    declared = config.warehouse.spark or Spark()
    folder = _folder(config, declared, warehouse)
    engine = SparkEngine(warehouse, partial(open_spark, declared.master, declared.settings, folder), folder, declared.catalogue)

    def audited(table: Table, relation: exp.Table) -> list[RuleResult]:
        view = view_name(relation)
        return spark_audit(engine.spark, view, engine.shape(relation), suites[table.name], table.key, engine.translate)

    return engine, audited


def check_engine(config: CompanyConfig) -> None:
    """Looks whether the engine could be started; for a run, before it lands an event. A command that only looks needs no Spark.

    Raises:
        SparkUnavailableError: pyspark or Java is missing, or Java is of another version.
    """
    if config.warehouse.engine == "spark":
        check_spark()


def embedded_audit(warehouse: Warehouse, suites: Suites) -> Audit[RuleResult]:
    """The audit on the control file's own connection, inside its open transaction."""

    def audited(table: Table, relation: exp.Table) -> list[RuleResult]:
        return audit(warehouse.connection, f"{relation.db}.{relation.name}", suites[table.name], table.key)

    return audited


def _folder(config: CompanyConfig, declared: Spark, warehouse: Warehouse) -> Path:
    """Where Spark writes: as configured for the company's own control file, beside it for a copy or another as-of time."""
    control = warehouse.path.resolve()
    if declared.warehouse_folder is not None and control == config.warehouse_path:
        return (config.dir.resolve() / declared.warehouse_folder).resolve()
    return control.with_suffix(".spark")
