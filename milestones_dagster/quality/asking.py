"""Asking great-expectations, whatever the engine: rules become expectations, answers become counts, shares and sample keys.

Put here what an audit has in common on every engine. Keep out the form of a rule for the library (`expectations.py`) and the
engine's own: how a batch is opened and how a sample is read (`audit.py`, `spark_audit.py`). The library is imported inside
functions alone: its import takes seconds.
"""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from milestones_dagster.config.masking import masked
from milestones_dagster.quality.expectation_types import SQL_TYPE
from milestones_dagster.quality.expectations import RULE, counted_rows, expectation_of
from milestones_dagster.quality.queries import SAMPLE_SIZE, absences_query, repeated_values_query
from milestones_dagster.quality.results import RuleResult, errored, judged, judged_by_group, judged_by_part
from milestones_dagster.quality.suites import QUERY, Rule

Answer = Mapping[str, Any]

_UNIQUE_TYPE = "expect_column_values_to_be_unique"
_PRESENT_TYPE = "expect_column_values_to_not_be_null"
# no rule has it: names are snake_case
_TOGETHER = "*"
_DRIVER_PREFIX = re.compile(r"\A\((?:\w+\.)*\w+\) ")
# BASIC is the least format that holds counts; the rows themselves are fetched by the sample, only when there are any
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}


class AuditError(RuntimeError):
    """The audit itself went wrong: its results must not be taken for an answer."""


class Asking(ABC):
    """One audit of one relation: the rules are asked together, the answers judged one by one.

    Args:
        relation: The relation's name, for messages.
        key: The columns of it that a sample shows.
    """

    def __init__(self, relation: str, key: Sequence[str]) -> None:
        self.relation = relation
        self.key = list(key)
        self.validator = self.opened()

    @abstractmethod
    def opened(self) -> Any:
        """great-expectations' validator of the relation's rows."""

    @abstractmethod
    def in_engine_words(self, query: str) -> str:
        """A query in great-expectations' form as the library must be given it for this engine."""

    @abstractmethod
    def output_columns(self, query: str) -> list[str]:
        """Names of the columns of a rule's query."""

    @abstractmethod
    def sample_of_rows(self, rule: Rule) -> list[dict[str, str]]:
        """Keys of the unexpected rows of a native expectation."""

    @abstractmethod
    def fetched(self, query: str, columns: Sequence[str]) -> list[dict[str, str]]:
        """First distinct rows of a rule's query (in great-expectations' form), those columns, as text."""

    def sample_of_query(self, rule: Rule) -> list[dict[str, str]]:
        """Keys of the rows that a rule's query finds."""
        query: str = rule.kwargs[QUERY]
        output = self.output_columns(query)
        # a product rule may be about other things than rows of the table (steps, events): its query then names their
        # keys; a company's query may select anything, personal values too, so only keys are taken from it
        shown = [name for name in self.key if name in output] or (output if rule.origin == "product" else [])
        return self.fetched(query, shown) if shown else []

    def counted_condition(self, rule: Rule) -> tuple[str, Any, dict[str, Any]]:
        """Metric name, condition and domain of the unexpected rows of a native expectation.

        The library's own condition: its `unexpected_index_query` loses bound values and row conditions, and its
        `unexpected_index_list` has no order and shows the checked value.
        """
        from great_expectations.validator.metric_configuration import MetricConfiguration

        asked = expectation_of(rule, self.in_engine_words)
        counted = asked.get_validation_dependencies(
            execution_engine=self.validator.execution_engine,
            runtime_configuration={"result_format": dict(RESULT_FORMAT)},
        ).metric_configurations[f"{asked.map_metric}.unexpected_count"]
        name = f"{asked.map_metric}.condition"
        condition, compute, accessor = self.validator.get_metric(
            MetricConfiguration(name, counted.metric_domain_kwargs, counted.metric_value_kwargs)
        )
        return name, condition, {**compute, **accessor}

    def answers(self, rules: Sequence[Rule]) -> dict[str, Answer]:
        """Answer of great-expectations by rule; a rule that it refuses is answered by its error."""
        answers: dict[str, Answer] = {}
        written = []
        # most rules are these, and the library's own work on each of them is most of an audit's time: they are asked together
        present = [rule for rule in rules if rule.type == _PRESENT_TYPE and set(rule.kwargs) == {"column"}]
        together = present if len(present) > 1 else []
        if together:
            query = self.in_engine_words(absences_query([rule.kwargs["column"] for rule in together]))
            written.append(counted_rows()(unexpected_rows_query=query, meta={RULE: _TOGETHER}).configuration)
        for rule in rules:
            if rule in together:
                continue
            try:
                written.append(expectation_of(rule, self.in_engine_words).configuration)
            except Exception as error:  # noqa: BLE001 - pydantic's or the library's own: it is this rule's result
                answers[rule.name] = {"error": refusal_line(error)}
        found: dict[str, Answer] = {}
        if written:
            format_ = {"result_format": dict(RESULT_FORMAT)}
            for answer in self.validator.graph_validate(configurations=written, runtime_configuration=format_):
                found[answer.expectation_config.meta[RULE]] = {
                    "error": exception_line(answer.exception_info),
                    "success": bool(answer.success),
                    **answer.result,
                }
        if _TOGETHER in found:
            answers |= one_by_one(together, found.pop(_TOGETHER))
        answers |= found
        missing = [rule.name for rule in rules if rule.name not in answers]
        if missing:
            raise AuditError(f"{self.relation}: great-expectations dropped the rules {', '.join(missing)}")
        return answers

    def result(self, rule: Rule, answer: Answer) -> RuleResult:
        """The result that an answer is, with a sample of keys where rows are unexpected."""
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
            keys = self.sample_of_query(rule)
        elif not self.key:
            keys = []
        elif rule.type == _UNIQUE_TYPE:  # its condition is over a subquery that has no key columns
            keys = self.fetched(repeated_values_query(rule.kwargs["column"], self.key), self.key)
        else:
            keys = self.sample_of_rows(rule)
        return replace(counted, sample_keys=keys[:SAMPLE_SIZE], sample_truncated=len(keys) > SAMPLE_SIZE or not keys)


def one_by_one(rules: Sequence[Rule], answer: Answer) -> dict[str, Answer]:
    """The answer to rules that were asked together as the answer to each of them; an error is everybody's until asked alone."""
    if answer["error"] is not None:
        return {rule.name: answer for rule in rules}
    counts = zip(rules, answer["missing_counts"], strict=True)
    return {
        rule.name: {"error": None, "success": not count, "element_count": answer["element_count"], "unexpected_count": count}
        for rule, count in counts
    }


def exception_line(info: Mapping[str, Any] | None) -> str | None:
    """First line of what an expectation raised, None when it ran; one entry, or one per metric that failed."""
    details = [info or {}, *(detail for detail in (info or {}).values() if isinstance(detail, Mapping))]
    lines = [first_line(detail["exception_message"]) for detail in details if detail.get("exception_message")]
    if lines:
        return min(lines)
    return "the expectation could not run" if any(detail.get("raised_exception") for detail in details) else None


def refusal_line(error: Exception) -> str:
    """Why an expectation's kwargs are refused: the first line of pydantic's message only counts what is wrong."""
    if not hasattr(error, "errors"):
        return first_line(error)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())


def first_line(error: object) -> str:
    """First line of an error without the values that it quotes: they have no place in a check's result."""
    lines = str(error).strip().splitlines()
    return masked(_DRIVER_PREFIX.sub("", lines[0])) if lines else type(error).__name__


@contextmanager
def quiet_log() -> Iterator[None]:
    """Silence great-expectations' log: it writes pages of traceback for what is reported as one errored rule."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
