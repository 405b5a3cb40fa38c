"""The evaluation of a table's rules on the open DuckDB connection, inside its open transaction.

Put here how rules are run by great-expectations and how its answers become counts, shares and sample keys. Keep out
what the rules are (`suites.py`), their SQL (`queries.py`), their form for the library (`expectations.py`) and what
follows from a failed one (publishing and Dagster). The library is imported inside functions alone: it takes seconds.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import duckdb
from sqlglot import exp

from milestones_dagster.config.masking import masked
from milestones_dagster.quality.expectation_types import SQL_TYPE
from milestones_dagster.quality.expectations import RULE, context, counted_rows, expectation_of
from milestones_dagster.quality.queries import (
    SAMPLE_SIZE,
    absences_query,
    describe_query,
    escape_colons,
    output_columns_query,
    repeated_values_query,
    rule_mark,
    sample_query,
)
from milestones_dagster.quality.results import (
    RuleResult,
    as_text,
    errored,
    judged,
    judged_by_group,
    judged_by_part,
    judged_shape,
)
from milestones_dagster.quality.suites import QUERY, SHAPE_TYPE, Rule

Answer = Mapping[str, Any]

_UNIQUE_TYPE = "expect_column_values_to_be_unique"
_PRESENT_TYPE = "expect_column_values_to_not_be_null"
# no rule has it: names are snake_case
_TOGETHER = "*"
_DRIVER_PREFIX = re.compile(r"\A\((?:\w+\.)*\w+\) ")
_ENGINE_OPTIONS = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True, "pool_reset_on_return": None}
# BASIC is the least format that holds counts; the rows themselves are fetched by `_sample`, only when there are any
_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}


class AuditError(RuntimeError):
    """The audit itself went wrong: its results must not be taken for an answer."""


def audit(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    rules: Sequence[Rule],
    key: Sequence[str],
) -> list[RuleResult]:
    """Return one result per rule, in the order of the rules.

    The connection is neither committed, rolled back nor closed, and rows that its open transaction has not committed
    are seen. Nothing is written. When a statement fails while running (a cast, say), DuckDB aborts the transaction:
    then every rule but `shape` is errored, naming the cause, and only ROLLBACK is possible.

    Args:
        connection: open, with the relation visible to it.
        relation: a table or view, `name` or `schema.name`.
        rules: the table's suite; names are unique.
        key: the columns that a sample shows.

    Raises:
        AuditError: great-expectations gave fewer or other results than there are rules, or the relation does not exist.
    """
    table = exp.to_table(relation, dialect="duckdb")
    if table.catalog:
        raise AuditError(f"{relation}: expected `name` or `schema.name`; great-expectations cannot name another catalog")
    try:
        found = [(str(name), str(kind)) for name, kind, *_ in connection.execute(describe_query(table)).fetchall()]
    except duckdb.Error as error:
        raise AuditError(f"{relation} cannot be audited: {_first_line(error)}") from error
    results = {rule.name: _shape(connection, rule, found) for rule in rules if rule.type == SHAPE_TYPE}
    asked = [rule for rule in rules if rule.type != SHAPE_TYPE]
    if asked:
        results |= _Session(connection, table, [name for name, _ in found], key).results(asked)
    if sorted(results) != sorted(rule.name for rule in rules):
        raise AuditError(f"{relation}: {len(rules)} rules were written and {len(results)} results came out")
    return [results[rule.name] for rule in rules]


def _shape(connection: duckdb.DuckDBPyConnection, rule: Rule, found: Sequence[tuple[str, str]]) -> RuleResult:
    # asked of DuckDB itself: great-expectations compares the names of SQLAlchemy's types
    declared = [(name, str(connection.sqltype(kind))) for name, kind in rule.kwargs["columns"]]
    return judged_shape(rule, declared, found)


class _Session:
    """One audit of one relation by great-expectations."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: exp.Table,
        columns: Sequence[str],
        key: Sequence[str],
    ) -> None:
        self._connection = connection
        self._table = table
        self._key = [name for name in key if name in columns]
        self._cause: tuple[str, str] | None = None
        self._validator = self._open()

    def results(self, rules: Sequence[Rule]) -> dict[str, RuleResult]:
        """Result of every rule by its name."""
        with _quiet_log():
            answers = self._answers(rules)
            # one failed aggregate takes with it all others of its statement: the innocent are asked again, alone
            for rule in [rule for rule in rules if answers[rule.name]["error"] is not None]:
                if not self._is_aborted():
                    answers |= self._answers([rule])
            if self._is_aborted():
                return {rule.name: errored(rule, self._why_not(rule)) for rule in rules}
            return {rule.name: self._result(rule, answers[rule.name]) for rule in rules}

    def _open(self) -> Any:
        import sqlalchemy as sa
        from duckdb_sqlalchemy import ConnectionWrapper
        from great_expectations.core.batch import Batch
        from great_expectations.core.batch_spec import SqlAlchemyDatasourceBatchSpec
        from great_expectations.execution_engine import SqlAlchemyExecutionEngine
        from great_expectations.validator.validator import Validator

        class Borrowed(ConnectionWrapper):  # type: ignore[misc] # ships no types
            """The caller's connection, which the library's engine closes, at any time, when it is collected."""

            def begin(self) -> None:
                """Leave the transaction to the caller."""

            commit = rollback = close = begin

        engine = sa.create_engine(
            "duckdb:///:memory:",
            creator=lambda: Borrowed(self._connection),
            poolclass=sa.pool.StaticPool,
            **_ENGINE_OPTIONS,
        )
        sa.event.listen(engine, "handle_error", self._remember)
        execution = SqlAlchemyExecutionEngine(engine=engine, create_temp_table=False)
        spec = SqlAlchemyDatasourceBatchSpec(table_name=self._table.name, schema_name=self._table.db or None)
        data, _ = execution.get_batch_data_and_markers(spec)
        # without a datasource: its configuration would be written as YAML for every table
        return Validator(execution_engine=execution, batches=[Batch(data=data)], data_context=context())

    def _remember(self, failure: Any) -> None:
        # here and not from the results: great-expectations asks a failed metric three times and keeps the last error,
        # which then is only "transaction is aborted"
        if self._cause is None and self._is_aborted():
            self._cause = (failure.statement or "", _first_line(failure.original_exception))

    def _answers(self, rules: Sequence[Rule]) -> dict[str, Answer]:
        """Answer of great-expectations by rule; a rule that it refuses is answered by its error."""
        answers: dict[str, Answer] = {}
        written = []
        # most rules are these, and the library's own work on each of them is most of an audit's time: they are asked together
        present = [rule for rule in rules if rule.type == _PRESENT_TYPE and set(rule.kwargs) == {"column"}]
        together = present if len(present) > 1 else []
        if together:
            query = absences_query([rule.kwargs["column"] for rule in together])
            written.append(counted_rows()(unexpected_rows_query=escape_colons(query), meta={RULE: _TOGETHER}).configuration)
        for rule in rules:
            if rule in together:
                continue
            try:
                written.append(expectation_of(rule).configuration)
            except Exception as error:  # noqa: BLE001 - pydantic's or the library's own: it is this rule's result
                answers[rule.name] = {"error": _refusal_line(error)}
        found: dict[str, Answer] = {}
        if written:
            format_ = {"result_format": dict(_RESULT_FORMAT)}
            for answer in self._validator.graph_validate(configurations=written, runtime_configuration=format_):
                found[answer.expectation_config.meta[RULE]] = {
                    "error": _exception_line(answer.exception_info),
                    "success": bool(answer.success),
                    **answer.result,
                }
        if _TOGETHER in found:
            answers |= _one_by_one(together, found.pop(_TOGETHER))
        answers |= found
        missing = [rule.name for rule in rules if rule.name not in answers]
        if missing:
            raise AuditError(f"{self._table.sql()}: great-expectations dropped the rules {', '.join(missing)}")
        return answers

    def _is_aborted(self) -> bool:
        try:
            self._connection.execute("SELECT 1").fetchall()
        except duckdb.TransactionException:
            return True
        return False

    def _why_not(self, rule: Rule) -> str:
        statement, line = self._cause or ("", "it was aborted before")
        if rule_mark(rule.name) in statement:
            return line
        return f"not evaluated: a statement of this audit aborted the transaction: {line}"

    def _result(self, rule: Rule, answer: Answer) -> RuleResult:
        if answer["error"] is not None:
            return errored(rule, answer["error"])
        if "group_keys" in answer:
            keys, counts = (answer[name] or [] for name in ("group_keys", "unexpected_counts"))
            if rule.total is not None:
                return judged_by_part(rule, keys, counts, int(answer["total_count"] or 0))
            return judged_by_group(rule, keys, counts, answer["total_counts"] or [])
        if "element_count" not in answer:
            whole = judged(rule, 0 if answer["success"] else 1, 1)
            observed = answer.get("observed_value")
            is_number = isinstance(observed, int | float) and not isinstance(observed, bool)
            return replace(whole, observed=observed) if is_number else whole
        total = int(answer["element_count"]) - int(answer.get("missing_count") or 0)
        counted = judged(rule, int(answer["unexpected_count"] or 0), total)
        if rule.bound == 0 and counted.passed and not answer["success"]:
            raise AuditError(f"{rule.name}: great-expectations says that it failed, its counts say that it passed")
        return self._with_sample(counted)

    def _with_sample(self, counted: RuleResult) -> RuleResult:
        if counted.unexpected_count == 0:
            return counted
        rule = counted.rule
        if rule.type == SQL_TYPE:
            keys = self._sample_of_query(rule)
        elif not self._key:
            keys = []
        elif rule.type == _UNIQUE_TYPE:  # its condition is over a subquery that has no key columns
            keys = self._fetched(repeated_values_query(rule.kwargs["column"], self._key), self._key)
        else:
            keys = self._sample_of_rows(rule)
        return replace(counted, sample_keys=keys[:SAMPLE_SIZE], sample_truncated=len(keys) > SAMPLE_SIZE or not keys)

    def _sample_of_query(self, rule: Rule) -> list[dict[str, str]]:
        query: str = rule.kwargs[QUERY]
        described = self._connection.execute(output_columns_query(query, self._table)).description or []
        output = [str(column[0]) for column in described]
        # a product rule may be about other things than rows of the table (steps, events): its query then names their
        # keys; a company's query may select anything, personal values too, so only keys are taken from it
        shown = [name for name in self._key if name in output] or (output if rule.origin == "product" else [])
        return self._fetched(query, shown) if shown else []

    def _fetched(self, query: str, columns: Sequence[str]) -> list[dict[str, str]]:
        rows = self._connection.execute(sample_query(query, self._table, columns)).fetchall()
        return [dict(zip(columns, map(as_text, row), strict=True)) for row in rows]

    def _sample_of_rows(self, rule: Rule) -> list[dict[str, str]]:
        """Keys of the unexpected rows of a native expectation.

        From the library's own condition: its `unexpected_index_query` loses bound values and row conditions, and its
        `unexpected_index_list` has no order and shows the checked value.
        """
        import sqlalchemy as sa
        from great_expectations.expectations.metrics.map_metric_provider.is_sqlalchemy_metric_selectable import (
            _is_sqlalchemy_metric_selectable,
        )
        from great_expectations.expectations.registry import get_metric_provider
        from great_expectations.util import get_sqlalchemy_selectable
        from great_expectations.validator.metric_configuration import MetricConfiguration

        execution = self._validator.execution_engine
        expectation = expectation_of(rule)
        counted = expectation.get_validation_dependencies(
            execution_engine=execution,
            runtime_configuration={"result_format": dict(_RESULT_FORMAT)},
        ).metric_configurations[f"{expectation.map_metric}.unexpected_count"]
        name = f"{expectation.map_metric}.condition"
        condition, compute, accessor = self._validator.get_metric(
            MetricConfiguration(name, counted.metric_domain_kwargs, counted.metric_value_kwargs)
        )
        columns: list[Any] = [sa.column(column) for column in self._key]
        query = sa.select(*columns).where(condition)
        provider, _ = get_metric_provider(name, execution)
        if not _is_sqlalchemy_metric_selectable(map_metric_provider=provider):
            records = execution.get_domain_records(domain_kwargs={**compute, **accessor})
            query = query.select_from(get_sqlalchemy_selectable(records))
        rows = execution.execute_query(query.distinct().order_by(*columns).limit(SAMPLE_SIZE + 1)).fetchall()
        return [dict(zip(self._key, map(as_text, row), strict=True)) for row in rows]


def _one_by_one(rules: Sequence[Rule], answer: Answer) -> dict[str, Answer]:
    """The answer to rules that were asked together as the answer to each of them; an error is everybody's until asked alone."""
    if answer["error"] is not None:
        return {rule.name: answer for rule in rules}
    counts = zip(rules, answer["missing_counts"], strict=True)
    return {
        rule.name: {"error": None, "success": not count, "element_count": answer["element_count"], "unexpected_count": count}
        for rule, count in counts
    }


def _exception_line(info: Mapping[str, Any] | None) -> str | None:
    """First line of what an expectation raised, None when it ran; one entry, or one per metric that failed."""
    details = [info or {}, *(detail for detail in (info or {}).values() if isinstance(detail, Mapping))]
    lines = [_first_line(detail["exception_message"]) for detail in details if detail.get("exception_message")]
    if lines:
        return min(lines)
    return "the expectation could not run" if any(detail.get("raised_exception") for detail in details) else None


def _refusal_line(error: Exception) -> str:
    """Why an expectation's kwargs are refused: the first line of pydantic's message only counts what is wrong."""
    if not hasattr(error, "errors"):
        return _first_line(error)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())


def _first_line(error: object) -> str:
    """First line of an error without the values that it quotes: they have no place in a check's result."""
    lines = str(error).strip().splitlines()
    return masked(_DRIVER_PREFIX.sub("", lines[0])) if lines else type(error).__name__


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Silence great-expectations' log: it writes pages of traceback for what is reported as one errored rule."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
