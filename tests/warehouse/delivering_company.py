"""A company that delivers a file of events per day: its folder, its deliveries, its loads, and digests of what is published.

Put here what the tests of days, gate and serving copy share. Keep out what a test expects: that stands beside the test.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
from scenario import EVENT_TYPES, World, event, subscription, write_parquet

from milestones_dagster.config.company import CompanyConfig
from milestones_dagster.config.loader import load_config
from milestones_dagster.config.relations import relations
from milestones_dagster.orchestration.session import Declared, RawPublishing, Session
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.quality.suites import Rule
from milestones_dagster.warehouse.days import DayOutcome, DayPlan
from milestones_dagster.warehouse.table import Table

COLUMNS = {name: name for name in EVENT_TYPES.names}


@dataclass(frozen=True)
class Company:
    """A config folder and the folder that its event files are delivered to."""

    config: Path
    files: Path

    def deliver(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Writes the file `name` of events; rows without an event_id are numbered within the file, by its stem."""
        path = self.files / f"{name}.parquet"
        given = [dict(row) for row in rows]
        for number, row in enumerate(given):
            row["event_id"] = row["event_id"] or f"{path.stem}-{number}"
        write_parquet(path, given, EVENT_TYPES)
        return path

    def deliver_days(self, first: int, last: int) -> None:
        """Writes one file for each day of January 2025 from `first` to `last`: two events of the account a."""
        for day in range(first, last + 1):
            self.deliver(f"2025-01-{day:02}", two_events(day))

    @contextmanager
    def opened(self, run_id: str = "test", as_of: date | None = None) -> Iterator[Session]:
        """A session on the company's warehouse, with the config as it stands now."""
        declared = declared_of(self.config)
        path = declared.config.warehouse_path
        with duckdb.connect(str(path)) as connection:
            yield Session(declared, connection, path.with_suffix(""), run_id, as_of)

    def load(self, *, only: Sequence[int] | None = None, run_id: str = "test") -> RawPublishing:
        """Loads the events, or only the given days of January 2025."""
        with self.opened(run_id) as session:
            return session.load_events(None if only is None else [january(day) for day in only])

    def load_unjudged(self, run_id: str = "test") -> tuple[DayPlan, DayOutcome]:
        """Loads the events through a gate without rules, where a test is about which days are made and not about the rules."""
        with self.opened(run_id) as session:
            plan = session.days.look()
            return plan, session.days.make(plan, lambda _table, _relation: [])

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the warehouse."""
        with self.opened() as session:
            return session.warehouse.rows(statement)

    def day_files(self) -> dict[str, tuple[int, int, str]]:
        """Inode, modification time and content of every published day file."""
        folder = self.config.parent / "warehouse" / "raw_events"
        return {
            path.stem: (path.stat().st_ino, path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest())
            for path in sorted(folder.glob("2*.parquet"))
        }


def declared_of(config: Path) -> Declared:
    """What a config folder declares; the tables and suites are read once for the same framework and rules."""
    loaded = load_config(config)
    files = [config / "framework.yaml", *sorted((config / "quality").glob("*.yaml"))]
    tables, suites = _tables(tuple((path.name, path.read_text(encoding="utf-8")) for path in files), _Held(loaded))
    return Declared(loaded, tables, suites, relations(loaded))


@dataclass(frozen=True)
class _Held:
    """A config that takes no part in the comparison of arguments: the texts that it was read from do."""

    config: CompanyConfig = field(compare=False)


@cache
def _tables(_files: tuple[tuple[str, str], ...], held: _Held) -> tuple[Mapping[str, Table], Mapping[str, tuple[Rule, ...]]]:
    declared = Declared.of(held.config)
    return declared.tables, declared.suites


def company(folder: Path, *, feed: Mapping[str, Any] | None = None, **world: Any) -> Company:
    """A company without deliveries yet; `feed` overrides keys of its event source, `world` fields of the scenario's World."""
    source = {"name": "product", "path": str(folder / "daily"), "columns": COLUMNS, **(feed or {})}
    sources = {"events": [source], **world.pop("sources", {})}
    written = World(
        events=[], last_day="2025-01-01", sources=sources, **{"subscriptions": [subscription("a", "2025-01-01")], **world}
    )
    config = written.write(folder)
    (folder / "daily").mkdir()
    return Company(config, folder / "daily")


def january(day: int) -> date:
    """A day of January 2025."""
    return date(2025, 1, day)


def two_events(day: int, name: str = "chat") -> list[dict[str, Any]]:
    """Two events of the account a on a day of January 2025, at 10:00 by u1 and at 11:00 by u2."""
    return [event("a", name, f"2025-01-{day:02} 10:00"), event("a", name, f"2025-01-{day:02} 11:00", user="u2")]


def failed(results: Sequence[RuleResult]) -> dict[str, tuple[int, int]]:
    """Count and total of every rule that did not pass, by name."""
    return {result.rule.name: (result.unexpected_count, result.total_count) for result in results if not result.passed}


def rule_of(results: Sequence[RuleResult], name: str) -> RuleResult:
    """The one result of a rule."""
    (found,) = [result for result in results if result.rule.name == name]
    return found


def table_digests(session: Session) -> dict[str, str]:
    """A digest of the rows of every published table, whatever their order."""
    digests = {}
    for schema, name in session.warehouse.rows(
        "SELECT schema_name, table_name FROM duckdb_tables() "
        "WHERE database_name = current_database() AND schema_name <> 'operations' ORDER BY ALL"
    ):
        rows = session.warehouse.rows(f'SELECT * FROM "{schema}"."{name}"')
        digests[f"{schema}.{name}"] = sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()
    return digests
