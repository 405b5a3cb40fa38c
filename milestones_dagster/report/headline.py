"""The headline of a result: the few numbers that a person wants first, read from the published tables.

Put here which numbers are told and from which table they come. Keep out how they are printed (`cli.py`).
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class Share:
    """A share with its numbers: accounts that reached it, of how many, and those whose window is still open."""

    name: str
    reached: int
    accounts: int
    open_accounts: int


@dataclass(frozen=True)
class Band:
    """Retention of the accounts within one band of activation events."""

    band: str
    accounts: int
    retained: int


@dataclass(frozen=True)
class RankedFeature:
    """One feature of the ranking."""

    title: str
    importance: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Headline:
    """The headline as of one time; `month` is the last whole month, None before there is one."""

    as_of: datetime
    month: date | None
    customers: int
    paying: int
    milestones: tuple[Share, ...]
    retention: tuple[Band, ...]
    auc: tuple[float, float, float] | None
    features: tuple[RankedFeature, ...]
    notes: tuple[str, ...]


def read_headline(warehouse_path: Path) -> Headline:
    """The headline of the published tables in the warehouse at `warehouse_path`.

    Raises:
        duckdb.Error: a table is not published.
    """
    with duckdb.connect(str(warehouse_path), read_only=True) as connection:
        as_of = _one(connection, "SELECT max(as_of) FROM operations.publications")
        month = _one(connection, "SELECT max(month) FROM milestones.milestone_summary WHERE is_whole")
        shares = connection.execute(
            """SELECT milestone, reached, accounts, open_accounts FROM milestones.milestone_summary
               WHERE month = ? AND segment_kind = 'all' AND milestone NOT LIKE 'stage %'
               ORDER BY list_position(['setup', 'activation', 'usage', 'maturity'], milestone)""",
            [month],
        ).fetchall()
        bands = connection.execute(
            "SELECT band, accounts, retained FROM milestones.retention_by_activation ORDER BY position",
        ).fetchall()
        paying = connection.execute(
            "SELECT count(*) FROM milestones.customer_milestones WHERE month = ? AND is_paying", [month]
        ).fetchone()
        return Headline(
            as_of=as_of,
            month=month,
            customers=int(_one(connection, "SELECT count(*) FROM milestones.activation_cohort")),
            paying=int(paying[0]) if paying else 0,
            milestones=tuple(Share(*row) for row in shares),
            retention=tuple(Band(*row) for row in bands),
            auc=_auc(connection),
            features=_features(connection),
            notes=tuple(row[0] for row in connection.execute("SELECT note FROM milestones.notes ORDER BY position").fetchall()),
        )


def _is_ranked(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a ranking is published that is of the same time and definitions as the milestones."""
    versions = connection.execute(
        """SELECT DISTINCT as_of, fingerprint FROM operations.publications
           WHERE table_name IN ('feature_importance', 'customer_milestones')""",
    ).fetchall()
    made = _one(connection, "SELECT count(*) FROM operations.publications WHERE table_name = 'feature_importance'")
    return bool(made) and len(versions) == 1


def _auc(connection: duckdb.DuckDBPyConnection) -> tuple[float, float, float] | None:
    if not _is_ranked(connection):
        return None
    row = connection.execute("SELECT auc, auc_low, auc_high FROM evidence.feature_importance LIMIT 1").fetchone()
    return None if row is None or row[0] is None else (row[0], row[1], row[2])


def _features(connection: duckdb.DuckDBPyConnection) -> tuple[RankedFeature, ...]:
    """Return the first of each of the most important groups: its members share one importance."""
    if not _is_ranked(connection):
        return ()
    rows = connection.execute(
        """SELECT title, importance, importance_low, importance_high, verdict FROM evidence.feature_importance
           WHERE verdict NOT IN ('ubiquitous', 'niche') AND rank IS NOT NULL
           QUALIFY row_number() OVER (PARTITION BY feature_group ORDER BY rank) = 1
           ORDER BY rank LIMIT 5""",
    ).fetchall()
    return tuple(RankedFeature(*row) for row in rows)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]
