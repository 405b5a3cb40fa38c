"""The staged table that the tests of quality audit, and short names for rules and results.

Put here what more than one of those tests needs. Keep out expectations: a number stands beside the test that checks it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from milestones_dagster.quality.audit import audit
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.quality.suites import QUERY, Rule, suite


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    is_nullable: bool = True


@dataclass(frozen=True)
class Table:
    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    path: Path


COLUMNS = (
    Column("account_key", "BIGINT"),
    Column("month", "DATE"),
    Column("resolved", "BIGINT", is_nullable=False),
    Column("ratio", "DOUBLE"),
)
USAGE = Table("usage_ratio", ("account_key", "month"), COLUMNS, Path("sql/milestones/usage_ratio.sql"))


def by_name(rules: list[Rule]) -> dict[str, Rule]:
    return {rule.name: rule for rule in rules}


STAGED = "milestones.usage_ratio__staged"
KEY = ("account_key", "month")
HEADER = by_name(suite(USAGE, None, None))
BY_MONTH = (
    "SELECT month, count(*) FILTER (WHERE resolved >= 9) AS unexpected_count, count(*) AS total_count FROM {batch} GROUP BY month"
)


@contextmanager
def staged_usage() -> Iterator[duckdb.DuckDBPyConnection]:
    """Twelve accounts in an open transaction: `resolved` counts from 0, `ratio` is its half, the last one NULL."""
    with duckdb.connect() as opened:
        opened.execute("CREATE SCHEMA milestones")
        opened.execute("BEGIN")
        opened.execute(
            "CREATE TABLE milestones.usage_ratio__staged AS SELECT i AS account_key, DATE '2025-01-01' AS month, "
            "i AS resolved, CASE WHEN i < 11 THEN i / 2 END AS ratio FROM range(12) AS accounts(i)"
        )
        yield opened


def rule(
    expectation_type: str,
    *,
    bound: float = 0.0,
    group_by: str | None = None,
    total: str | None = None,
    **kwargs: object,
):
    return Rule("tried", "tried", "Tried", expectation_type, kwargs, "critical", bound, "Mend it.", "product", group_by, total)


def query(text: str, **settings: object) -> Rule:
    return rule("unexpected_rows_expectation", **{QUERY: text}, **settings)


def only(connection: duckdb.DuckDBPyConnection, tried: Rule, key: tuple[str, ...] = KEY) -> RuleResult:
    (result,) = audit(connection, STAGED, [tried], key)
    return result


def counts(result: RuleResult) -> tuple[bool, int, int, float | None]:
    assert result.errored is None
    return result.passed, result.unexpected_count, result.total_count, result.share


def keys_of(*accounts: int) -> list[dict[str, str]]:
    return [{"account_key": str(account), "month": "2025-01-01"} for account in accounts]
