"""What the gate asks of a result: whether it refuses the rows, and which days of them.

Put here the verdict over results. Keep out what a rule is (`quality`) and what is staged and published (`publish.py`, `days.py`).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Protocol, TypeVar

from sqlglot import exp

from milestones_dagster.warehouse.table import Table


class JudgedRule(Protocol):
    """What the gate reads of a rule: its name, its severity and the column by whose values it judges."""

    @property
    def name(self) -> str:
        """Stable name."""

    @property
    def severity(self) -> str:
        """`critical` blocks, `warning` does not."""

    @property
    def group_by(self) -> str | None:
        """Column whose every value is judged by itself."""


class Judged(Protocol):
    """What the gate reads of one rule's result."""

    @property
    def rule(self) -> JudgedRule:
        """The rule."""

    @property
    def passed(self) -> bool:
        """Whether it holds."""

    @property
    def groups(self) -> Sequence[Mapping[str, Any]]:
        """The failing groups of a rule that judges by group."""


def blocks(result: Judged) -> bool:
    """Whether a result refuses the rows."""
    return not result.passed and result.rule.severity == "critical"


Result = TypeVar("Result", bound=Judged)
Audit = Callable[[Table, exp.Table], Sequence[Result]]


def refused_days(results: Sequence[Judged], days: Sequence[date]) -> dict[date, list[str]]:
    """Names of the blocking rules that each refused day breaks; days that break none are left out."""
    refused: dict[date, list[str]] = defaultdict(list)
    for result in results:
        if not blocks(result):
            continue
        # a rule that judges nothing by day, or could not be evaluated, refuses the whole batch
        by_day = result.rule.group_by == "day" and result.groups
        failing = {str(group["day"])[:10] for group in result.groups} if by_day else {str(day) for day in days}
        for day in days:
            if str(day) in failing:
                refused[day].append(result.rule.name)
    return refused
