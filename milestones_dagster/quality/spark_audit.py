"""The evaluation of a table's rules on Spark, over a view of the open session.

Put here what an audit is on Spark: the batch, the words of a query, the sample. Keep out what is the same on every engine
(`asking.py`) and how a query is translated (`warehouse/spark_dialect.py`, which the caller gives).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from milestones_dagster.quality.asking import Asking, AuditError, quiet_log
from milestones_dagster.quality.expectations import context
from milestones_dagster.quality.queries import SAMPLE_SIZE, output_columns_query, sample_query
from milestones_dagster.quality.results import RuleResult, as_text, judged_shape
from milestones_dagster.quality.suites import SHAPE_TYPE, Rule

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Translate = Callable[[exp.Query], str]
_ROWS = "audited__rows"


def spark_audit(
    spark: "SparkSession",
    view: str,
    found: Sequence[tuple[str, str]],
    rules: Sequence[Rule],
    key: Sequence[str],
    translate: Translate,
) -> list[RuleResult]:
    """Return one result per rule, in the order of the rules. Nothing is written.

    Args:
        spark: the open session.
        view: the view of the audited rows.
        found: name and DuckDB type of its columns, in order.
        rules: the table's suite; names are unique.
        key: the columns that a sample shows.
        translate: a query in the words of DuckDB as Spark's SQL, with every relation named as its view is.

    Raises:
        AuditError: great-expectations gave fewer or other results than there are rules.
    """
    results = {rule.name: judged_shape(rule, rule.kwargs["columns"], found) for rule in rules if rule.type == SHAPE_TYPE}
    asked = [rule for rule in rules if rule.type != SHAPE_TYPE]
    if asked:
        results |= _Session(spark, view, [name for name, _ in found], key, translate).results(asked)
    if sorted(results) != sorted(rule.name for rule in rules):
        raise AuditError(f"{view}: {len(rules)} rules were written and {len(results)} results came out")
    return [results[rule.name] for rule in rules]


class _Session(Asking):
    """One audit of one view by great-expectations."""

    def __init__(self, spark: "SparkSession", view: str, columns: Sequence[str], key: Sequence[str], translate: Translate) -> None:
        self._spark = spark
        self._view = exp.to_table(view)
        self._translate = translate
        super().__init__(view, [name for name in key if name in columns])

    def opened(self) -> Any:
        """great-expectations' validator of the view's rows, on the caller's session."""
        from great_expectations.core.batch import Batch
        from great_expectations.execution_engine import SparkDFExecutionEngine
        from great_expectations.execution_engine.sparkdf_batch_data import SparkDFBatchData
        from great_expectations.validator.validator import Validator

        # `persist` would hold the rows of every audited table in the memory of the workers
        execution = SparkDFExecutionEngine(spark=self._spark, persist=False)
        data = SparkDFBatchData(execution, self._spark.table(self._view.name))
        return Validator(execution_engine=execution, batches=[Batch(data=data)], data_context=context())

    def results(self, rules: Sequence[Rule]) -> dict[str, RuleResult]:
        """Result of every rule by its name."""
        with quiet_log():
            answers = self.answers(rules)
            # one failed aggregate takes with it all others of its job: the innocent are asked again, alone
            for rule in [rule for rule in rules if answers[rule.name]["error"] is not None]:
                answers |= self.answers([rule])
            return {rule.name: self.result(rule, answers[rule.name]) for rule in rules}

    def in_engine_words(self, query: str) -> str:
        """The query in Spark's SQL, in great-expectations' form again."""
        text = self._translated(query.format(batch=_ROWS))
        return text.replace("{", "{{").replace("}", "}}").replace(_ROWS, "{batch}")

    def output_columns(self, query: str) -> list[str]:
        """Names of the columns of a rule's query."""
        return list(self._rows(output_columns_query(query, self._view)).columns)

    def fetched(self, query: str, columns: Sequence[str]) -> list[dict[str, str]]:
        """First distinct rows of a rule's query, those columns, as text."""
        return _as_texts(columns, self._rows(sample_query(query, self._view, columns)).collect())

    def sample_of_rows(self, rule: Rule) -> list[dict[str, str]]:
        """Keys of the unexpected rows of a native expectation."""
        _, condition, domain = self.counted_condition(rule)
        records = self.validator.execution_engine.get_domain_records(domain_kwargs=domain)
        mark = "is__unexpected"  # a condition over a window may not stand in a WHERE
        unexpected = records.withColumn(mark, condition).where(mark).select(*self.key).distinct()
        return _as_texts(self.key, unexpected.orderBy(*self.key).limit(SAMPLE_SIZE + 1).collect())

    def _rows(self, query: str) -> "DataFrame":
        return self._spark.sql(self._translated(query))

    def _translated(self, query: str) -> str:
        parsed = sqlglot.parse_one(query, dialect="duckdb")
        if not isinstance(parsed, exp.Query):
            raise AuditError(f"{self.relation}: a rule's query is no SELECT: {type(parsed).__name__}")
        return self._translate(parsed)


def _as_texts(columns: Sequence[str], rows: Sequence[Any]) -> list[dict[str, str]]:
    return [dict(zip(columns, map(as_text, row), strict=True)) for row in rows]
