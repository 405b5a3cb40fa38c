"""The `operations` tables behind what is made again: states of tables, what changed between them, what was read and given.

Put here every read and write of `operations.versions`, `given`, `changes`, `made_from` and `increments`. Keep out what follows from
them (`cutoff.py`, `increments.py`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from milestones_dagster.warehouse.duckdb import Warehouse

SERVING_COPY = "serving copy"
"""As which the serving copy remembers the states of the tables that it was made from; no table has a blank in its name."""
EVERYTHING = datetime(1, 1, 1)  # noqa: DTZ001 - times are UTC without zone, here as in the tables
NOTHING = datetime(9999, 12, 31)  # noqa: DTZ001
_UNREAD_CHANGES = """FROM operations.changes AS c
    JOIN operations.made_from AS m ON m.dependency = c.table_name AND c.version > m.version WHERE m.table_name = ?"""
CHANGED_ACCOUNTS = f"SELECT DISTINCT c.account_key {_UNREAD_CHANGES} AND c.account_key IS NOT NULL"
"""The accounts that changed in what a table (the parameter) reads, since it was made."""


@dataclass(frozen=True)
class Increment:
    """What a table by month was last made from, besides other tables: `own` is a digest of its definition and config."""

    own: str
    as_of: datetime


def versions(warehouse: Warehouse) -> dict[str, int]:
    """Number of the state of every table that is not made by day: it grows whenever the rows differ."""
    return dict(warehouse.rows("SELECT table_name, version FROM operations.versions"))


def record_version(warehouse: Warehouse, table: str, changes: Iterable[tuple[int | None, datetime | None]]) -> None:
    """Gives a table a new state: each change is an account, or the time from which on all accounts changed.

    What every reader has read is forgotten; a table without a reader remembers its last change alone.
    """
    version = versions(warehouse).get(table, 0) + 1
    warehouse.execute("DELETE FROM operations.versions WHERE table_name = ?", [table])
    warehouse.execute("INSERT INTO operations.versions VALUES (?, ?)", [table, version])
    warehouse.execute(
        """DELETE FROM operations.changes WHERE table_name = ?
        AND version <= coalesce((SELECT min(version) FROM operations.made_from WHERE dependency = ?), version)""",
        [table, table],
    )
    warehouse.insert(
        exp.table_("changes", db="operations"),
        {"table_name": "VARCHAR", "version": "BIGINT", "account_key": "BIGINT", "since": "TIMESTAMP"},
        [(table, version, account, since) for account, since in changes],
    )


def given(warehouse: Warehouse, table: str) -> str | None:
    """Digest of what the `then:` function of a table was given when it was made, None before the first time."""
    found = warehouse.rows("SELECT digest FROM operations.given WHERE table_name = ?", [table])
    return found[0][0] if found else None


def record_given(warehouse: Warehouse, table: str, digest: str) -> None:
    """Records what the `then:` function of a table was given, inside the transaction that publishes what came of it."""
    warehouse.execute("DELETE FROM operations.given WHERE table_name = ?", [table])
    warehouse.execute("INSERT INTO operations.given VALUES (?, ?)", [table, digest])


def first_change(warehouse: Warehouse, table: str, before: int, now: int) -> datetime | None:
    """The time from which on all accounts differ between two states of a table; `NOTHING` where none does.

    None where what changed between them is not all remembered. `changed_accounts` are those that differ before that time.
    """
    rows = warehouse.rows(
        """SELECT version, min(since) FROM operations.changes WHERE table_name = ? AND version > ? AND version <= ?
        GROUP BY version""",
        [table, before, now],
    )
    if {version for version, _ in rows} != set(range(before + 1, now + 1)):
        return None
    return min((since for _, since in rows if since is not None), default=NOTHING)


def changed_accounts(table: str, before: int) -> exp.Query:
    """The accounts that differ between the state `before` of a table and the one that is published."""
    changed = exp.column("table_name").eq(exp.Literal.string(table)) & (exp.column("version") > exp.Literal.number(before))
    of_account = exp.column("account_key").is_(exp.null()).not_()
    return exp.select("account_key").from_(exp.table_("changes", db="operations")).where(changed & of_account)


def made_from(warehouse: Warehouse, table: str) -> dict[str, int]:
    """The state of each table that `table` was made from."""
    return dict(warehouse.rows("SELECT dependency, version FROM operations.made_from WHERE table_name = ?", [table]))


def increment(warehouse: Warehouse, table: str) -> Increment | None:
    """What a table by month was last made from, None before the first time."""
    found = warehouse.rows("SELECT own, as_of FROM operations.increments WHERE table_name = ?", [table])
    return Increment(*found[0]) if found else None


def record_increment(warehouse: Warehouse, table: str, made: Increment, read: Mapping[str, int]) -> None:
    """Records what a table by month is made from (`read`: state by table), inside the transaction that publishes its rows."""
    warehouse.execute("DELETE FROM operations.increments WHERE table_name = ?", [table])
    warehouse.execute("INSERT INTO operations.increments VALUES (?, ?, ?)", [table, made.own, made.as_of])
    record_read(warehouse, table, read)


def forget_readers(warehouse: Warehouse, tables: Collection[str]) -> None:
    """Forgets what was read by a table that is none of `tables` any more: for it, changes would be remembered for ever.

    Its number stays, so that a table that comes back is not taken for a state that it had before.
    """
    names = [*sorted(tables), SERVING_COPY]
    for recorded in ("made_from", "increments"):
        reader = exp.column("table_name").isin(*(exp.Literal.string(name) for name in names))
        warehouse.execute(exp.delete(exp.table_(recorded, db="operations"), where=reader.not_()))


def record_read(warehouse: Warehouse, reader: str, read: Mapping[str, int]) -> None:
    """Records which state of each table (`read`) a reader has seen; what changes after it is kept for the reader."""
    warehouse.execute("DELETE FROM operations.made_from WHERE table_name = ?", [reader])
    warehouse.insert(
        exp.table_("made_from", db="operations"),
        {"table_name": "VARCHAR", "dependency": "VARCHAR", "version": "BIGINT"},
        [(reader, name, version) for name, version in sorted(read.items())],
    )
