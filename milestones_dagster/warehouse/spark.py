"""Spark as the engine: the same SELECTs, translated; rows in Parquet versions that the control file names.

Put here how a table is made on Spark. Keep out the words (`spark_dialect.py`), the session (`spark_session.py`) and where rows lie
(`spark_files.py`). DuckDB lands the events, keeps `operations` and says of which types a SELECT is; every row of a table after
raw_events is made by Spark, but for those that a `then:` function makes of account-level rows in this process.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from milestones_dagster.warehouse import cutoff, operations, spark_files
from milestones_dagster.warehouse.duckdb import DIALECT, Warehouse, empty_rows, published, staged
from milestones_dagster.warehouse.gate import Audit, Result, blocks
from milestones_dagster.warehouse.limits import LimitError
from milestones_dagster.warehouse.operations import Publication
from milestones_dagster.warehouse.publish import Behind, Inputs, Publishing, behind, pivot_shape
from milestones_dagster.warehouse.spark_catalogue import Catalogue
from milestones_dagster.warehouse.spark_dialect import spark_sql, spark_type
from milestones_dagster.warehouse.spark_session import SparkFailedError, log_path, told_by_spark
from milestones_dagster.warehouse.table import EVENTS, Relation, Table, relation_of

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import DataFrame, SparkSession

_PLAN_CHARACTERS = 20_000
_MADE = "made"


@dataclass(frozen=True)
class _Made:
    """A version that is written and not yet published: its place, its rows and Spark's plan of it."""

    folder: Path
    rows: int
    plan: str


class SparkEngine:
    """Spark behind the engine port.

    Args:
        warehouse: The embedded control file.
        open_session: Opens the session; asked when the first table is made, since a command that only looks needs none.
        folder: Where versions are written; this process and Spark's workers must see it under the same path.
        catalogue: Name of the catalogue in which the public tables are shown, None for none.
    """

    def __init__(
        self, warehouse: Warehouse, open_session: Callable[[], "SparkSession"], folder: Path, catalogue: str | None = None
    ) -> None:
        self.warehouse = warehouse
        self._open_session = open_session
        self.folder = folder
        self.catalogue = catalogue
        self._facts: dict[str, dict[str, str]] = {}
        self._shapes: dict[str, list[tuple[str, str]]] = {}
        spark_files.prepare(warehouse)
        self.versions = spark_files.Versions(warehouse, folder)

    @cached_property
    def spark(self) -> "SparkSession":
        """The session of this run.

        Raises:
            SparkUnavailableError: it cannot be opened, or has no catalogue of the configured name.
        """
        session = self._open_session()
        if self.catalogue is not None:
            try:
                Catalogue(session, self.catalogue).check()
            except BaseException:
                session.stop()
                raise
        return session

    # --- the port ---------------------------------------------------------------------------------------------------

    def make(
        self,
        table: Table,
        inputs: Inputs,
        audit: Audit[Result],
        on_commit: Callable[[], None] | None = None,
    ) -> Publishing[Result]:
        """Brings `table` up to date behind its gate.

        The rows are written as a version beside the published one and audited there by Spark; then one transaction of the control
        file names the version and records the publication. Days are named by themselves: the others keep their folders.

        Raises:
            SparkFailedError: Spark could not make the rows; nothing is published then, as with what a `then:` function raises.
            LimitError: the same, for want of memory or disk.
        """
        state = behind(self.warehouse, table, inputs)
        with told_by_spark(table.name):
            self._show_others(table)
        days = tuple(sorted(state.days))
        if state.reason is None:
            with told_by_spark(table.name):
                self._show(published(table), self.versions.places(table), _declared(table))
                rows = self._count(published(table))
            results = audit(table, published(table))
            if any(blocks(result) for result in results):
                return Publishing("refused", results, rows, (), "a rule fails on the published rows")
            operations.confirm_publication(self.warehouse, table.name, state.signature, inputs.as_of, inputs.fingerprint)
            cutoff.remember_inputs(self.warehouse, table)
            return Publishing("unchanged", results, rows, (), "nothing changed")
        with told_by_spark(table.name):
            made = self._stage(table, inputs, state)
            self._facts[table.name] = self._told(made)
        results = audit(table, staged(table))
        if any(blocks(result) for result in results):
            return Publishing("refused", results, made.rows, days, state.reason, rows_made=made.rows)
        with self.warehouse.transaction():
            is_whole = table.by != "day" or state.is_rebuild
            self.versions.name(table, made.folder, days, is_whole=is_whole)
            rows = int(self.warehouse.scalar(exp.select(exp.Count(this=exp.Star())).from_(published(table))))
            operations.record_publication_days(self.warehouse, table.name, state.days)
            operations.record_publication(
                self.warehouse,
                Publication(table.name, state.signature, inputs.as_of, inputs.fingerprint, table.code_hash, rows),
                inputs.run_id,
                inputs.now,
            )
            cutoff.remember_inputs(self.warehouse, table)
            if on_commit is not None:
                on_commit()
        try:
            with told_by_spark(table.name, "its rows are published"):
                self._show_others(table)
        except (SparkFailedError, LimitError) as error:
            # the rows are published: the next run shows them there, or fails before it makes others
            self._facts[table.name]["spark_catalogue"] = f"left as it was, until the next run; {error}"
        return Publishing("made", results, rows, days, state.reason, rows_made=made.rows)

    def facts(self, table: str) -> Mapping[str, str]:
        """Application, master, resources, log and plan of the last making of a table; what the catalogue did not take."""
        return self._facts.get(table, {})

    def close(self) -> None:
        """Stops the session, where one was opened."""
        opened = self.__dict__.pop("spark", None)
        if opened is not None:
            opened.stop()

    # --- the audit ---------------------------------------------------------------------------------------------------

    def shape(self, relation: exp.Table) -> list[tuple[str, str]]:
        """Name and DuckDB type of every column of a relation that is shown."""
        return self._shapes[view_name(relation)]

    def translate(self, query: exp.Query) -> str:
        """A rule's query in Spark's SQL; the relations that it reads besides the audited rows are shown."""
        for node in query.find_all(exp.Table):
            relation = relation_of(node)
            # the audited rows have their view, by whose name they are called
            if relation is not None and (node.db or node.name in self.warehouse.tables):
                self._show_relation(relation)
        return spark_sql(spark_names(query, self.warehouse.tables))

    # --- staging ----------------------------------------------------------------------------------------------------

    def _stage(self, table: Table, inputs: Inputs, state: Behind) -> _Made:
        folder = self.versions.begin(table)
        self._show_inputs(table, inputs, state)
        select = self._select(table, inputs)
        if inputs.compute is not None:
            plan = self._compute(table, inputs, select, folder)
            shape = _declared(table)
        else:
            shape = self._types(table, inputs)
            rows = self._typed(select, shape)
            plan = _plan_of(rows)
            _write(rows, table, folder)
        self._show(staged(table), self.versions.written(table, folder), shape)
        return _Made(folder, self._count(staged(table)), plan)

    def _select(self, table: Table, inputs: Inputs) -> exp.Query:
        """The SELECT with every relation named as the views of this session are."""
        replacements: dict[str, exp.Query] = {}
        for name in self._left_out(table):
            replacements[name] = empty_rows({column.name: column.type for column in self.warehouse.tables[name].columns})
        select = table.select.copy()
        for node in list(select.find_all(exp.Table)):
            if node.name in replacements and not node.db:
                alias = exp.TableAlias(this=exp.to_identifier(node.alias or node.name))
                node.replace(exp.Subquery(this=replacements[node.name].copy(), alias=alias))
        return _pivoted(table, inputs, spark_names(select, self.warehouse.tables))

    def _types(self, table: Table, inputs: Inputs) -> list[tuple[str, str]]:
        """Name and DuckDB type of every column of the SELECT, as the control file's own planner says."""
        replacements: dict[str, exp.Query] = dict(inputs.sources)
        for name in self._left_out(table):
            replacements[name] = empty_rows({column.name: column.type for column in self.warehouse.tables[name].columns})
        select = _pivoted(table, inputs, self.warehouse.runnable(table, replacements))
        return [(str(name), str(kind)) for name, kind, *_ in self.warehouse.rows(exp.Describe(this=select))]

    def _left_out(self, table: Table) -> list[str]:
        """Tables that the SELECT names and that are without rows to it: those not asked for, and itself before there is any."""
        own = [table.name] if table.keeps and not self.warehouse.exists(published(table)) else []
        return [*own, *table.unread]

    def _typed(self, select: exp.Query, types: list[tuple[str, str]]) -> "DataFrame":
        """The rows of a SELECT in the types that it has on DuckDB."""
        columns = [
            exp.alias_(exp.cast(exp.column(name, quoted=True), exp.DataType.build(kind, dialect=DIALECT)), name, quoted=True)
            for name, kind in types
        ]
        return self.spark.sql(spark_sql(exp.select(*columns).from_(select.subquery(_MADE))))

    def _compute(self, table: Table, inputs: Inputs, select: exp.Query, folder: Path) -> str:
        """Writes what the `then:` function makes of Spark's rows; they reach it as on DuckDB, through Arrow, type for type."""
        if inputs.compute is None:
            raise TypeError(f"{table.name} has no function")
        rows = self._typed(select, self._types(table, inputs))
        plan = _plan_of(rows)
        arrow = self.warehouse.connection.from_arrow(rows.toArrow())
        result = inputs.compute(arrow.df(), {name: self.warehouse.frame(name) for name in table.also})
        columns = [
            exp.alias_(exp.cast(exp.column(column.name), column.type, dialect=DIALECT), column.name, quoted=True)
            for column in table.columns
        ]
        self.warehouse.connection.register(_MADE, result)
        try:
            declared = exp.select(*columns).from_(_MADE).order_by(*(exp.column(name) for name in table.order))
            folder.mkdir(parents=True)
            self.warehouse.connection.sql(declared.sql(dialect=DIALECT)).write_parquet(
                str(folder / "rows.parquet"), compression="zstd"
            )
        finally:
            self.warehouse.connection.unregister(_MADE)
        return plan

    # --- views ------------------------------------------------------------------------------------------------------

    def _show_inputs(self, table: Table, inputs: Inputs, state: Behind) -> None:
        for relation in table.relations:
            if relation.kind == "source":
                self._show_source(relation.name, inputs)
            elif relation.name == EVENTS:
                self._show_events(sorted(state.days) if table.by == "day" else sorted(operations.published_days(self.warehouse)))
            elif relation.name not in self._left_out(table):
                self._show_relation(relation)

    def _show_relation(self, relation: Relation) -> None:
        """Shows a config or run relation as it is attached, or a table as it is published."""
        if relation.kind in {"config", "run"}:
            attached = exp.table_(relation.name, db="main", catalog=relation.kind, quoted=True)
            rows = self.warehouse.execute(exp.select("*").from_(attached)).to_arrow_table()
            self.spark.createDataFrame(rows).createOrReplaceTempView(view_name(exp.table_(relation.name, db=relation.kind)))
        elif relation.name in self.warehouse.tables:
            read = self.warehouse.tables[relation.name]
            self._show(published(read), self.versions.places(read), _declared(read))

    def _show_source(self, name: str, inputs: Inputs) -> None:
        """Shows a snapshot source: DuckDB reads and maps the files once, Spark reads what came of it."""
        file = self.folder / "source" / name / "rows.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        query = inputs.sources[f"source.{name}"].sql(dialect=DIALECT)
        self.warehouse.connection.sql(query).write_parquet(str(file), compression="zstd")
        self.spark.read.parquet(str(file)).createOrReplaceTempView(view_name(exp.table_(name, db="source")))

    def _show_events(self, days: Sequence[date]) -> None:
        """Shows the accepted rows of the given published days."""
        events = self.warehouse.tables[EVENTS]
        folder = self.warehouse.folder / EVENTS
        files = [folder / f"{day}.parquet" for day in days]
        rows = self._read(_declared(events), [str(file) for file in files if file.exists()])
        rows.where("refusal_reason IS NULL").createOrReplaceTempView(view_name(published(events)))

    def _show(self, relation: exp.Table, places: Sequence[spark_files.Place], shape: list[tuple[str, str]]) -> None:
        self._shapes[view_name(relation)] = shape
        rows = self._read(shape, [place.folder for place in places if place.days is None])
        for place in places:
            if place.days is not None:
                named = self._read(shape, [place.folder])
                rows = rows.unionAll(named.where(named["day"].isin(list(place.days))))
        rows.createOrReplaceTempView(view_name(relation))

    def _read(self, shape: list[tuple[str, str]], paths: list[str]) -> "DataFrame":
        columns = ", ".join(f"`{name}` {spark_type(kind)}" for name, kind in shape)
        if not paths:
            return self.spark.createDataFrame([], columns)
        return self.spark.read.schema(columns).parquet(*paths)

    def _show_others(self, table: Table) -> None:
        """Shows a published table in the catalogue; also before it is made again, since a run may have died before it was shown."""
        published_whole = self.versions.parts(table).get(spark_files.WHOLE)
        if self.catalogue is not None and published_whole is not None:
            Catalogue(self.spark, self.catalogue).show(table, Path(published_whole))

    def _count(self, relation: exp.Table) -> int:
        return int(self.spark.table(view_name(relation)).count())

    def _told(self, made: _Made) -> dict[str, str]:
        context = self.spark.sparkContext
        return {
            "spark_application": context.applicationId,
            "spark_master": context.master,
            "spark_version": self.spark.version,
            "spark_log": str(log_path(self.folder)),
            **resources(context.getConf(), context.defaultParallelism),
            "spark_plan": made.plan,
        }


def resources(conf: "SparkConf", parallelism: int) -> dict[str, str]:
    """What Spark had to make a table with, `default` where the configuration does not say."""
    return {
        "spark_default_parallelism": str(parallelism),
        "spark_driver_memory": str(conf.get("spark.driver.memory", "default")),
        "spark_executor_memory": str(conf.get("spark.executor.memory", "default")),
        "spark_executor_cores": str(conf.get("spark.executor.cores", "default")),
        "spark_executor_instances": str(conf.get("spark.executor.instances", "default")),
    }


def view_name(relation: exp.Table) -> str:
    """The name of a relation's view in the Spark session: `config__setup_step`, `milestones__setup_steps__staged`."""
    return f"{relation.db}__{relation.name}"


def spark_names(select: exp.Query, tables: Mapping[str, Table]) -> exp.Query:
    """The query with every relation named as its view."""
    select = select.copy()
    for node in list(select.find_all(exp.Table)):
        relation = relation_of(node)
        if relation is None or (relation.kind == "table" and relation.name not in tables):
            continue  # a CTE of the query itself
        schema = tables[relation.name].schema if relation.kind == "table" else relation.kind
        named = exp.to_table(view_name(exp.table_(relation.name, db=schema)))
        node.replace(exp.alias_(named, node.alias or node.name, table=True))
    return select


def _declared(table: Table) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in table.columns]


def _pivoted(table: Table, inputs: Inputs, select: exp.Query) -> exp.Query:
    """The (feature, value) pairs as one column per feature, where the table pivots; an aggregate each, which Spark compiles."""
    if not table.pivot:
        return select
    stay, features = pivot_shape(table, inputs.config)
    feature, value = exp.column("feature"), exp.column("value")
    keys = [exp.column(name) for name in stay]
    columns: list[exp.Expr] = list(keys)
    for name, is_zero_when_absent in features:
        here = feature.eq(exp.Literal.string(name))
        largest: exp.Expr = exp.Max(this=exp.Case().when(here, value))
        if is_zero_when_absent:
            count = exp.Count(this=exp.Case().when(here, exp.Literal.number(1)))
            largest = exp.Case().when(count.eq(0), exp.cast(exp.Literal.number(0), "DOUBLE")).else_(largest)
        columns.append(exp.alias_(largest, name, quoted=True))
    return exp.select(*columns).from_(select.subquery("long")).group_by(*(key.copy() for key in keys))


def _write(rows: "DataFrame", table: Table, folder: Path) -> None:
    if table.by != "day":
        rows.orderBy(*table.order).write.parquet(str(folder))
        return
    split = rows.withColumn(spark_files.PART, rows["day"].cast("string").substr(1, 7))
    # spread by day, so that as many workers write a month as there are, each of them one file, in the table's order
    ordered = split.repartition("day").sortWithinPartitions(spark_files.PART, *table.order)
    ordered.write.partitionBy(spark_files.PART).parquet(str(folder))


def _plan_of(rows: "DataFrame") -> str:
    """Spark's physical plan, as far as the run's metadata may hold it."""
    text = io.StringIO()
    with redirect_stdout(text):
        rows.explain(mode="formatted")
    plan = text.getvalue().strip()
    return (
        plan if len(plan) <= _PLAN_CHARACTERS else f"{plan[:_PLAN_CHARACTERS]}\n… {len(plan) - _PLAN_CHARACTERS:,} characters more"
    )
