"""Two states of the published tables side by side: reach, gaps and stages before and after a change of the framework.

Put here what is read of one state and how two are compared. Keep out making them (`orchestration/what_if.py`) and printing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import duckdb

MOST_NAMED: Final = 20
"""Accounts that are named at most."""

MILESTONES: Final = ("setup", "activation", "usage", "maturity")


@dataclass(frozen=True)
class Reach:
    """Accounts that have reached a milestone, of how many whose window has elapsed (setup, activation) or that pay."""

    reached: int
    accounts: int


@dataclass(frozen=True)
class Gap:
    """Adjusted difference of the outcome (activation for setup, else retention), its 95 % interval and trust; None unknown."""

    effect: float | None
    low: float | None
    high: float | None
    trust: str


@dataclass(frozen=True)
class Customer:
    """One account at the end of the last whole month."""

    stage: str
    mrr: float


@dataclass(frozen=True)
class State:
    """What is read of the published tables; `month` is the last whole month, None before there is one."""

    month: date | None
    thresholds: Mapping[str, float | None]
    reach: Mapping[str, Reach]
    gaps: Mapping[str, Gap]
    customers: Mapping[str, Customer]


@dataclass(frozen=True)
class Moved:
    """An account whose stage would be another."""

    account_id: str
    mrr: float
    before: str
    after: str


@dataclass(frozen=True)
class Difference:
    """Two states, how many customers each pair of stages has where they differ, and the first accounts by revenue."""

    before: State
    after: State
    moves: tuple[tuple[str, str, int], ...]
    named: tuple[Moved, ...]

    @property
    def moved(self) -> int:
        """Customers whose stage would be another."""
        return sum(count for *_, count in self.moves)


def read_state(connection: duckdb.DuckDBPyConnection) -> State:
    """Return the state of the tables that `connection` sees."""
    row = connection.execute("SELECT max(month) FROM milestones.customer_milestones WHERE is_whole").fetchone()
    month = row[0] if row is not None else None
    reach = connection.execute(
        """SELECT milestone, reached, accounts FROM milestones.milestone_summary
           WHERE month = ? AND segment_kind = 'all' AND milestone NOT LIKE 'stage %'""",
        [month],
    ).fetchall()
    gaps = connection.execute(
        """SELECT behaviour, effect, effect_low, effect_high, trust FROM evidence.milestone_chain
           WHERE cohort = 'all' AND outcome = CASE behaviour WHEN 'setup' THEN 'activation' ELSE 'retention' END""",
    ).fetchall()
    customers = connection.execute(
        "SELECT account_id, stage, coalesce(mrr, 0) FROM milestones.customer_milestones WHERE month = ?", [month]
    ).fetchall()
    return State(
        month=month,
        thresholds=dict(connection.execute("SELECT milestone, value FROM milestones.thresholds_in_force").fetchall()),
        reach={name: Reach(int(reached), int(accounts)) for name, reached, accounts in reach},
        gaps={name: Gap(*found) for name, *found in gaps if name in MILESTONES},
        customers={account: Customer(stage, float(mrr)) for account, stage, mrr in customers},
    )


def difference(before: State, after: State) -> Difference:
    """Return what differs between two states: stages that moved, most frequent first, and accounts by revenue, then by name."""
    moved = [
        Moved(account, customer.mrr, customer.stage, after.customers[account].stage)
        for account, customer in before.customers.items()
        if account in after.customers and after.customers[account].stage != customer.stage
    ]
    counts = Counter((each.before, each.after) for each in moved)
    moves = sorted(((*pair, count) for pair, count in counts.items()), key=lambda move: (-move[2], move[0], move[1]))
    named = sorted(moved, key=lambda each: (-each.mrr, each.account_id))[:MOST_NAMED]
    return Difference(before, after, tuple(moves), tuple(named))
