"""The rules as great-expectations' own objects, and the process's one context of that library.

Put here how a rule becomes an expectation. Keep out running it and reading its answer (`asking.py`). The library is imported inside
functions alone: its import takes seconds.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

from milestones_dagster.quality.expectation_types import SQL_TYPE
from milestones_dagster.quality.queries import summary_query
from milestones_dagster.quality.suites import QUERY, Rule

# where an expectation keeps the name of its rule
RULE = "rule"


@cache
def context() -> Any:
    """The process's great-expectations context: in memory, silent, without data; the first call imports the library."""
    import great_expectations

    made = great_expectations.get_context(mode="ephemeral")
    made.enable_analytics(enable=False)
    made.variables.progress_bars = {"globally": False}
    return made


@cache
def counted_rows() -> Any:
    """The expectation that the one row of a query counts nothing unexpected; the row is its result.

    The library's own `unexpected_rows_expectation` runs the query twice, to count its rows and to fetch 200 of them.
    """
    from great_expectations.compatibility import pydantic
    from great_expectations.expectations.core import UnexpectedRowsExpectation

    class CountedRowsExpectation(UnexpectedRowsExpectation):  # type: ignore[misc] # followed as Any
        """Succeeds when the one row of its query counts nothing unexpected."""

        metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table", "table.row_count")
        _made: Any = pydantic.PrivateAttr(default=None)

        @property
        def configuration(self) -> Any:
            """What the library asks for some fifty times in one evaluation, and makes anew each time."""
            if self._made is None:
                self._made = super().configuration
            return self._made

        def _validate(
            self,
            metrics: dict[str, Any],
            runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002 - the library's signature
            execution_engine: Any = None,  # noqa: ARG002 - the library's signature
        ) -> dict[str, Any]:
            (row,) = metrics["unexpected_rows_query.table"]
            found = dict(row)
            if not {"group_keys", "missing_counts"} & set(found):
                total = found.pop("total_count", metrics["table.row_count"])
                found |= {"element_count": total or 0}
            return {"success": not found.get("unexpected_count"), "result": found}

    return CountedRowsExpectation


def expectation_of(rule: Rule, in_engine_words: Callable[[str], str]) -> Any:
    """The expectation of a rule.

    Args:
        rule: the rule.
        in_engine_words: makes of a query in great-expectations' form what the library must be given for the engine.

    Raises:
        Exception: whatever the library or its pydantic says of the rule's type or kwargs.
    """
    from great_expectations.expectations.registry import get_expectation_impl

    described = {"severity": rule.severity, "meta": {RULE: rule.name}}
    if rule.type == SQL_TYPE:
        query = in_engine_words(summary_query(rule.name, rule.kwargs[QUERY], rule.total, rule.group_by))
        return counted_rows()(unexpected_rows_query=query, **described)
    return get_expectation_impl(rule.type)(**rule.kwargs, **described)
