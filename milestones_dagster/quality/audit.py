"""The evaluation of a table's rules on the open DuckDB connection, inside its open transaction.

Put here what an audit is on DuckDB: the batch on the caller's connection, and what an aborted transaction means. Keep out what
is the same on every engine (`asking.py`), what the rules are (`suites.py`), their SQL (`queries.py`) and what follows from a
failed one (publishing and Dagster). great-expectations is imported inside functions alone: its import takes seconds.
"""

from collections.abc import Sequence
from typing import Any

import duckdb
from sqlglot import exp

from milestones_dagster.quality.asking import Asking, AuditError, first_line, quiet_log
from milestones_dagster.quality.expectations import context
from milestones_dagster.quality.queries import (
    SAMPLE_SIZE,
    describe_query,
    escape_colons,
    output_columns_query,
    rule_mark,
    sample_query,
)
from milestones_dagster.quality.results import RuleResult, as_text, errored, judged_shape
from milestones_dagster.quality.suites import SHAPE_TYPE, Rule

_ENGINE_OPTIONS = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True, "pool_reset_on_return": None}


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
        raise AuditError(f"{relation} cannot be audited: {first_line(error)}") from error
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


class _Session(Asking):
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
        self._cause: tuple[str, str] | None = None
        super().__init__(table.sql(), [name for name in key if name in columns])

    def results(self, rules: Sequence[Rule]) -> dict[str, RuleResult]:
        """Result of every rule by its name."""
        with quiet_log():
            answers = self.answers(rules)
            # one failed aggregate takes with it all others of its statement: the innocent are asked again, alone
            for rule in [rule for rule in rules if answers[rule.name]["error"] is not None]:
                if not self._is_aborted():
                    answers |= self.answers([rule])
            if self._is_aborted():
                return {rule.name: errored(rule, self._why_not(rule)) for rule in rules}
            return {rule.name: self.result(rule, answers[rule.name]) for rule in rules}

    def opened(self) -> Any:
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
            self._cause = (failure.statement or "", first_line(failure.original_exception))

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

    def in_engine_words(self, query: str) -> str:
        """As it is, but for the colons that SQLAlchemy would read."""
        return escape_colons(query)

    def output_columns(self, query: str) -> list[str]:
        """Names of the columns of a rule's query."""
        described = self._connection.execute(output_columns_query(query, self._table)).description or []
        return [str(column[0]) for column in described]

    def fetched(self, query: str, columns: Sequence[str]) -> list[dict[str, str]]:
        """First distinct rows of a rule's query, those columns, as text."""
        rows = self._connection.execute(sample_query(query, self._table, columns)).fetchall()
        return [dict(zip(columns, map(as_text, row), strict=True)) for row in rows]

    def sample_of_rows(self, rule: Rule) -> list[dict[str, str]]:
        """Keys of the unexpected rows of a native expectation."""
        import sqlalchemy as sa
        from great_expectations.expectations.metrics.map_metric_provider.is_sqlalchemy_metric_selectable import (
            _is_sqlalchemy_metric_selectable,
        )
        from great_expectations.expectations.registry import get_metric_provider
        from great_expectations.util import get_sqlalchemy_selectable

        execution = self.validator.execution_engine
        name, condition, domain = self.counted_condition(rule)
        columns: list[Any] = [sa.column(column) for column in self.key]
        query = sa.select(*columns).where(condition)
        provider, _ = get_metric_provider(name, execution)
        if not _is_sqlalchemy_metric_selectable(map_metric_provider=provider):
            query = query.select_from(get_sqlalchemy_selectable(execution.get_domain_records(domain_kwargs=domain)))
        rows = execution.execute_query(query.distinct().order_by(*columns).limit(SAMPLE_SIZE + 1)).fetchall()
        return [dict(zip(self.key, map(as_text, row), strict=True)) for row in rows]
