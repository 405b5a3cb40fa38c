"""A company that delivers one file of events a day, and its runs through the real job on a real Dagster instance.

Put here how such a company is written and run, and how its warehouse is read back. Keep out what a test expects.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from scenario import EVENT_NAMES, EVENT_TYPES, World, event, merged, subscription, write_parquet, write_yaml

from milestones_dagster.orchestration.jobs import JOB, QUIET
from milestones_dagster.wiring import build_defs

# Twenty accounts that write in a chat and stay, twenty that do neither: what a ranking finds at any size of forest.
STAYING = tuple(f"stays-{number:02}" for number in range(20))
LEAVING = tuple(f"leaves-{number:02}" for number in range(20))
FIRST_DAY, LAST_DAY = date(2025, 1, 14), date(2025, 2, 10)
# outcomes of three days instead of three months, so that January knows them: evidence is of closed months
FORTNIGHT: dict[str, Any] = {
    "setup": {"window": "5 d"},
    "activation": {"window": "5 d", "threshold": 1},
    "outcomes": {"retention": {"basis": "subscriptions", "horizon": "3 d", "gap": "1 d"}},
    "feature_ranking": {"trees": 10, "repeats": 2, "resamples": 50},
}
PUBLISHED_SCHEMAS = ("staging", "milestones", "evidence")


def company() -> World:
    """Forty accounts that pay from 2025-01-15 on; twenty leave on 2025-01-18, the others write in the chat and stay."""
    events = []
    for number, account in enumerate((*STAYING, *LEAVING)):
        user = f"u-{account}"
        events += [
            event(account, "installed", f"2025-01-14 08:{number:02}", user=user),
            event(account, "started", f"2025-01-16 09:{number:02}", user=user),
            event(account, "resolved", f"2025-01-16 10:{number:02}", user=user, conversation_id=f"c-{account}"),
        ]
        if account in STAYING:
            events += [event(account, "chat", f"2025-01-{day} 11:{number:02}", user=user) for day in (14, 16, 17)]
    # one of them does everything once, so that every configured event has arrived
    everything = [name for name in EVENT_NAMES if name not in {"installed", "started", "resolved", "chat"}]
    events += [
        event(STAYING[0], name, f"2025-01-17 1{number}:00", user=f"u-{STAYING[0]}") for number, name in enumerate(everything)
    ]
    return World(
        events=events,
        last_day=LAST_DAY.isoformat(),
        subscriptions=[
            *(subscription(account, "2025-01-15") for account in STAYING),
            *(subscription(account, "2025-01-15", "2025-01-18") for account in LEAVING),
        ],
        framework=FORTNIGHT,
    )


@dataclass
class Deliveries:
    """A company's folder: `data/events/<day>.parquet`, the other sources, `config` and the warehouse."""

    folder: Path
    world: World
    alerts: Mapping[str, Any] = field(default_factory=lambda: {"addresses": ["log"]})
    warehouse_settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        days = {"path": str(self.folder / "data" / "events" / "*.parquet"), "empty_days": "refuse"}
        source = {"name": "product", "columns": {name: name for name in EVENT_TYPES.names}, **days}
        self.world.sources = merged(self.world.sources, {"events": [source]})
        self.config = self.world.write(self.folder)
        (self.folder / "data" / "events.parquet").unlink()
        write_yaml(self.config / "alerts.yaml", self.alerts)
        self.configure_warehouse(**self.warehouse_settings)
        by_day: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.world.events:
            by_day.setdefault(str(row["occurred_at"].date()), []).append(row)
        for day in calendar(min(by_day, default=self.world.last_day), self.world.last_day):
            self.deliver(day, by_day.get(day, []))

    @property
    def warehouse(self) -> Path:
        """The warehouse's file."""
        return self.folder / "warehouse.duckdb"

    @property
    def serving(self) -> Path:
        """The copy for readers."""
        return self.folder / "warehouse.serving.duckdb"

    def file(self, day: str) -> Path:
        """The file of a day."""
        return self.folder / "data" / "events" / f"{day}.parquet"

    def deliver(self, day: str, rows: Sequence[Mapping[str, Any]], *, heartbeat: bool = True) -> Path:
        """Writes the file of a day: a heartbeat of no account, and the rows."""
        quiet = [event(None, "heartbeat", f"{day} 00:00", user=None)] if heartbeat else []
        named = [*quiet, *(dict(row) for row in rows)]
        for number, row in enumerate(named):
            row["event_id"] = row["event_id"] or f"{day}-{number:04}"
        write_parquet(self.file(day), named, EVENT_TYPES)
        return self.file(day)

    def configure_warehouse(self, **settings: Any) -> None:
        """Writes warehouse.yaml."""
        write_yaml(self.config / "warehouse.yaml", {"path": str(self.warehouse), **settings})

    def add_quality(self, table: str, rules: Mapping[str, Any] | None) -> None:
        """Writes the company's rules of a table, or takes them away."""
        path = self.config / "quality" / f"{table}.yaml"
        if rules is None:
            path.unlink()
            return
        path.parent.mkdir(exist_ok=True)
        write_yaml(path, rules)

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The warehouse, to read."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection

    def contents(self) -> dict[str, tuple[int, int]]:
        """Rows and a hash of all of them, whatever their order, of every published table and of the accepted events."""
        with self.open() as connection:
            return contents(connection)


def calendar(first: str, last: str) -> list[str]:
    """Days from the first to the last, both included."""
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(begin + timedelta(days=number)).isoformat() for number in range((end - begin).days + 1)]


def contents(
    connection: duckdb.DuckDBPyConnection, schemas: Sequence[str] = ("raw", *PUBLISHED_SCHEMAS)
) -> dict[str, tuple[int, int]]:
    """Rows and a hash of all of them, whatever their order, of every table and view in the schemas."""
    names = connection.execute(
        """SELECT table_schema, table_name FROM information_schema.tables
        WHERE table_catalog = current_database() AND table_schema IN (SELECT unnest(?)) ORDER BY ALL""",
        [list(schemas)],
    ).fetchall()
    found = {}
    for schema, name in names:
        query = f'SELECT count(*), coalesce(sum(hash(held)::HUGEINT), 0) FROM "{schema}"."{name}" AS held'
        rows, total = connection.execute(query).fetchone()
        found[name] = (int(rows), int(total))
    return found


@dataclass
class Ran:
    """One run of the job: what Dagster's instance keeps of it."""

    instance: dg.DagsterInstance
    run_id: str
    is_success: bool

    def _events(self, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        entries = self.instance.all_logs(self.run_id, of_type=kind)
        return [entry.dagster_event for entry in entries if entry.dagster_event is not None]

    @property
    def started(self) -> set[str]:
        """Steps that began."""
        return {event.step_key or "" for event in self._events(dg.DagsterEventType.STEP_START)}

    @property
    def failed(self) -> dict[str, str]:
        """Steps that failed, with what was said."""
        said = {}
        for failure in self._events(dg.DagsterEventType.STEP_FAILURE):
            data = failure.step_failure_data
            told = data.user_failure_data
            said[failure.step_key or ""] = (told.description if told is not None else None) or data.error.to_string()
        return said

    def materialised(self, *, partitions: bool = False) -> dict[str, dict[str, Any]]:
        """Metadata of the materialisations by asset, or by day of those that have a partition."""
        found = {}
        for made in self._events(dg.DagsterEventType.ASSET_MATERIALIZATION):
            if (made.partition is not None) == partitions:
                name = made.partition or made.materialization.asset_key.path[-1]
                found[name] = {label: plain(value) for label, value in made.materialization.metadata.items()}
        return found

    def evaluations(self) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        """The check evaluations by asset and name."""
        found = {}
        for evaluated in self._events(dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            evaluation = evaluated.asset_check_evaluation_data
            found[evaluation.asset_key.path[-1], evaluation.check_name] = evaluation
        return found

    def failing(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Metadata of the evaluations that did not pass."""
        return {
            key: {label: plain(value) for label, value in evaluation.metadata.items()}
            for key, evaluation in self.evaluations().items()
            if not evaluation.passed
        }

    def error(self) -> str:
        """What the run said when it failed outside a step."""
        (failure,) = self._events(dg.DagsterEventType.RUN_FAILURE)
        return failure.event_specific_data.error.to_string() if failure.event_specific_data.error else failure.message or ""


def run(
    definitions: dg.Definitions | Path,
    instance: dg.DagsterInstance,
    *,
    only: Sequence[str] | None = None,
    partition: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Ran:
    """Runs the job of a config folder (or of definitions), all of it or only some assets."""
    loaded = build_defs(definitions) if isinstance(definitions, Path) else definitions
    result = loaded.resolve_job_def(JOB).execute_in_process(
        instance=instance,
        raise_on_error=False,
        run_config=QUIET,
        asset_selection=[dg.AssetKey(name) for name in only] if only is not None else None,
        partition_key=partition,
        tags=dict(tags) if tags is not None else None,
    )
    return Ran(instance, result.run_id, result.success)


def plain(value: Any) -> Any:
    """A metadata value as Python's own."""
    found = getattr(value, "value", value)
    return json.loads(found) if isinstance(value, dg.JsonMetadataValue) and isinstance(found, str) else found
