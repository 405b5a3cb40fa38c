"""The headline of a result: the few numbers that a person wants first, read from the published tables.

Put here which numbers are told and from which table they come. Keep out how they are printed (`cli_headline.py`).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

_RANKING = "feature_importance"


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
class Apart:
    """Accounts beside the rates, over all bands; `accounts` are those in them."""

    accounts: int
    left_before: int
    locked: int
    open_accounts: int

    @property
    def sentence(self) -> str | None:
        """How many are in no rate and why, in one sentence; None where nobody is left out."""
        parts = []
        if self.left_before:
            share = self.left_before / (self.accounts + self.left_before)
            parts.append(f"{self.left_before:,} left before the landmark ({share:.1%})")
        if self.locked:
            parts.append(f"{self.locked:,} could not leave within the horizon")
        if self.open_accounts:
            parts.append(f"{self.open_accounts:,} with an outcome still open")
        return f"Accounts in no rate: {', '.join(parts)}." if parts else None


@dataclass(frozen=True)
class RankedFeature:
    """One feature of the ranking."""

    title: str
    importance: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class InForce:
    """The threshold of a milestone: `value` in force (None: there is none), beside it what is adopted and what retention derives.

    `why` says why nothing is derived, and is None where something is; `is_measured` is false where the evidence is not of this
    time and config.
    """

    milestone: str
    value: float | None
    origin: str
    adopted: float | None
    is_measured: bool
    derived: float | None = None
    moved_accounts: int = 0
    moved_share: float | None = None
    moved_towards: str | None = None
    trust: str | None = None
    why: str | None = None


@dataclass(frozen=True)
class Headline:
    """The headline as of one time; `month` is the last whole month, None before there is one."""

    as_of: datetime
    month: date | None
    customers: int
    paying: int
    milestones: tuple[Share, ...]
    thresholds: tuple[InForce, ...]
    retention: tuple[Band, ...]
    apart: Apart
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
        apart = connection.execute(
            """SELECT coalesce(sum(accounts), 0), coalesce(sum(left_before), 0), coalesce(sum(locked), 0), coalesce(sum("open"), 0)
               FROM milestones.retention_by_activation""",
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
            thresholds=tuple(_in_force(connection, milestone) for milestone in ("activation", "usage")),
            retention=tuple(Band(*row) for row in bands),
            apart=Apart(*(int(number) for number in apart[0])),
            auc=_auc(connection),
            features=_features(connection),
            notes=tuple(row[0] for row in connection.execute("SELECT note FROM milestones.notes ORDER BY position").fetchall()),
        )


def _in_force(connection: duckdb.DuckDBPyConnection, milestone: str) -> InForce:
    """The threshold of a milestone; what retention derives is read from the evidence, also where a number is in force."""
    value, origin, adopted, refused = connection.execute(
        "SELECT value, origin, adopted, reason FROM milestones.thresholds_in_force WHERE milestone = ?", [milestone]
    ).fetchall()[0]
    table = f"{milestone}_threshold"
    if not _is_current(connection, table):
        return InForce(milestone, value, origin, adopted, is_measured=False)
    measured = connection.table(f"evidence.{table}")
    told = measured.select("derived", "moved_accounts", "moved_share", "moved_towards", "trust", "reason").fetchall()[0]
    is_measured = True
    found = InForce(milestone, value, origin, adopted, is_measured, *told)
    # what auto did not take, such as the value of evidence that is not calibrated, is not shown as derived
    return found if refused is None else replace(found, derived=None, why=refused)


def _is_current(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether a table of evidence is published that is of the same time and definitions as the milestones."""
    versions = connection.execute(
        "SELECT as_of, fingerprint FROM operations.publications WHERE table_name IN (?, 'customer_milestones')", [table]
    ).fetchall()
    return len(versions) == 2 and len(set(versions)) == 1  # noqa: PLR2004 - both are published


def _auc(connection: duckdb.DuckDBPyConnection) -> tuple[float, float, float] | None:
    if not _is_current(connection, _RANKING):
        return None
    row = connection.execute("SELECT auc, auc_low, auc_high FROM evidence.feature_importance LIMIT 1").fetchone()
    return None if row is None or row[0] is None else (row[0], row[1], row[2])


def _features(connection: duckdb.DuckDBPyConnection) -> tuple[RankedFeature, ...]:
    """Return the first of each of the most important groups: its members share one importance."""
    if not _is_current(connection, _RANKING):
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
