"""Named small worlds: a company's files and config written into a folder, run through the real graph, and read back.

Put here how a world is made and what all tests share. Keep out what a test expects: that stands beside the test, computed by hand.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared, RawPublishing, Session
from milestones_dagster.warehouse.publish import Publishing

FRAMEWORK: dict[str, Any] = {
    "product": "Small world",
    "plans": [{"name": "basic"}, {"name": "premium"}, {"name": "free", "sells_seats": False}],
    "core_events": ["resolved"],
    "setup": {
        "window": "3 months",
        "steps": [
            {"name": "install", "title": "Install", "events": ["installed"]},
            {"name": "team", "title": "Teammates", "events": ["joined"], "distinct": "users", "minimum_distinct": 2},
            {"name": "rules", "title": "Two rules", "events": ["rule_made"], "minimum_count": 2, "required": False},
        ],
    },
    "activation": {"title": "Conversations", "events": ["started"], "window": "3 months", "threshold": 3},
    "usage": {
        "title": "Resolved per seat",
        "events": ["resolved"],
        "entity": "conversation_id",
        "reopened_by": ["reopened"],
        "contact_events": ["started"],
        "seats": "subscriptions",
        "threshold": 2,
    },
    "maturity": {
        "mature_categories": 1,
        "window": "90 d",
        "categories": [
            {
                "name": "channels",
                "title": "Channels",
                "basic": {"at_least": 1, "of": ["chat_days", "mail_days"]},
                "mature": {"at_least": 2, "of": ["chat_days", "mail_days", "hours"], "minimum_days": 2},
            },
            {
                "name": "reporting",
                "title": "Reporting",
                "basic": {"at_least": 1, "of": ["report_used"]},
                "mature": {"at_least": 1, "of": ["report_used"], "minimum_days": 3},
            },
        ],
    },
    "outcomes": {"retention": {"basis": "subscriptions", "horizon": "3 months", "gap": "7 d"}},
    "features": {
        "window": "30 d",
        "catalogue": [
            {"name": "chat_days", "title": "Chat days", "category": "channels", "measure": "days", "events": ["chat"]},
            {"name": "mail_days", "title": "Mail days", "category": "channels", "measure": "days", "events": ["mail"]},
            {"name": "report_used", "title": "Reports", "category": "reporting", "measure": "used", "events": ["report"]},
            {"name": "chat_per_seat", "title": "Chat per seat", "category": "channels", "measure": "count_per_seat", "events": ["chat"]},
            {"name": "chat_users", "title": "Chat users", "category": "channels", "measure": "users", "events": ["chat"]},
            {"name": "chat_trend", "title": "Chat trend", "category": "channels", "measure": "trend", "events": ["chat"]},
            {"name": "hours", "title": "Office hours", "category": "channels", "measure": "setting", "on_events": ["hours_on"], "off_events": ["hours_off"]},
            {"name": "sla", "title": "SLA", "category": "channels", "measure": "used", "events": ["sla"], "plans": ["premium"]},
            {"name": "seats", "title": "Seats", "category": "account", "measure": "attribute", "attribute": "seats"},
            {"name": "is_premium", "title": "Premium", "category": "account", "measure": "attribute", "attribute": "plan", "equals": "premium"},
        ],
    },
    "adoption_benchmark": {"window": "30 d", "ubiquitous": 0.8, "niche": 0.05},
    "feature_ranking": {"trees": 20, "repeats": 2, "resamples": 50},
    "threshold_search": {"resamples": 50, "permutations": 50},
    "retention_by_activation": {"bands": [0, 1, 3]},
}  # fmt: skip
EVENT_NAMES = (
    "installed", "joined", "rule_made", "started", "resolved", "reopened", "chat", "mail", "report", "hours_on", "hours_off", "sla",
)  # fmt: skip
# what a company without subscriptions says: seats are active users, staying is a core event, and no feature reads seats or plans
UNBILLED: dict[str, Any] = {
    "usage": {"seats": "active_users"},
    "outcomes": {"retention": {"basis": "activity"}},
    "features": {
        "catalogue": [feature for feature in FRAMEWORK["features"]["catalogue"] if feature["measure"] != "attribute"],
    },
}
EVENT_TYPES = pa.schema(
    [
        ("event_id", pa.string()),
        ("account_id", pa.string()),
        ("user_id", pa.string()),
        ("event", pa.string()),
        ("occurred_at", pa.timestamp("us")),
        ("received_at", pa.timestamp("us")),
        ("properties", pa.string()),
    ],
)
SUBSCRIPTION_TYPES = pa.schema(
    [
        ("account_id", pa.string()),
        ("subscription_id", pa.string()),
        ("plan", pa.string()),
        ("seats", pa.float64()),
        ("mrr", pa.float64()),
        ("currency", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("ended_at", pa.timestamp("us")),
        ("is_trial", pa.bool_()),
        ("term_months", pa.int32()),
        ("term_anchor_at", pa.timestamp("us")),
        ("recorded_at", pa.timestamp("us")),
        ("is_price_list_change", pa.bool_()),
    ],
)
ACCOUNT_TYPES = pa.schema(
    [("account_id", pa.string()), ("created_at", pa.timestamp("us")), ("plan", pa.string()), ("seats", pa.float64()), ("segment", pa.string())],
)  # fmt: skip
USER_TYPES = pa.schema([("user_id", pa.string()), ("account_id", pa.string()), ("created_at", pa.timestamp("us"))])


def at(text: str) -> datetime:
    """A UTC instant: `2025-01-31`, `2025-01-31 12:30` or `2025-01-31 12:30:15`."""
    return datetime.fromisoformat(text)


def event(account: str | None, name: str, when: str, user: str | None = "u1", **properties: Any) -> dict[str, Any]:
    """One event; keyword arguments become its properties. `event_id` and `received_at` may be set afterwards."""
    return {
        "event_id": None,
        "account_id": account,
        "user_id": user,
        "event": name,
        "occurred_at": at(when),
        "received_at": at(when) + timedelta(minutes=1),
        "properties": json.dumps(properties, sort_keys=True) if properties else None,
    }


def subscription(account: str, start: str, end: str | None = None, **fields: Any) -> dict[str, Any]:
    """One state of a subscription: plan basic, 2 seats, 100 a month, not a trial, unless `fields` say otherwise (times as text)."""
    row: dict[str, Any] = {
        "account_id": account,
        "subscription_id": f"sub-{account}",
        "plan": "basic",
        "seats": 2.0,
        "mrr": 100.0,
        "currency": "usd",
        "started_at": at(start),
        "ended_at": at(end) if end is not None else None,
        "is_trial": False,
        "term_months": None,
        "term_anchor_at": None,
        "recorded_at": None,
        "is_price_list_change": False,
    }
    return row | {name: at(value) if name.endswith("_at") and isinstance(value, str) else value for name, value in fields.items()}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, mapping by mapping; lists are replaced."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


@dataclass
class World:
    """A company's rows and config before they are written.

    `events` without an `event_id` get one by position. None for accounts, users or subscriptions means that the source is not declared.
    `last_day` closes the history: an event of no account keeps the days whole up to and including it; W is the day after.
    """

    events: Sequence[Mapping[str, Any]]
    last_day: str
    subscriptions: Sequence[Mapping[str, Any]] | None = ()
    accounts: Sequence[Mapping[str, Any]] | None = None
    users: Sequence[Mapping[str, Any]] | None = None
    framework: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tracking_plan: Sequence[str] = EVENT_NAMES

    def write(self, folder: Path) -> Path:
        """Writes data and config below `folder` and returns the config folder. Quiet days are allowed to be empty."""
        data, config = folder / "data", folder / "config"
        data.mkdir(parents=True, exist_ok=True)
        config.mkdir(parents=True, exist_ok=True)
        filler = event(None, "heartbeat", f"{self.last_day} 23:59", user=None)
        rows = [dict(row) for row in [*self.events, filler]]
        for number, row in enumerate(rows):
            row["event_id"] = row["event_id"] or f"e{number:06}"
        write_parquet(data / "events.parquet", rows, EVENT_TYPES)
        sources: dict[str, Any] = {
            "events": [
                {
                    "name": "product",
                    "path": str(data / "events.parquet"),
                    "columns": {name: name for name in EVENT_TYPES.names},
                    "empty_days": "allow",
                },
            ],
        }
        for name, given, types in (
            ("subscriptions", self.subscriptions, SUBSCRIPTION_TYPES),
            ("accounts", self.accounts, ACCOUNT_TYPES),
            ("users", self.users, USER_TYPES),
        ):
            if given is not None:
                write_parquet(data / f"{name}.parquet", given, types)
                sources[name] = {"path": str(data / f"{name}.parquet"), "columns": {column: column for column in types.names}}
        write_yaml(config / "sources.yaml", merged(sources, self.sources))
        write_yaml(config / "framework.yaml", merged(FRAMEWORK, self.framework))
        plan = [{"name": name, "description": name, "consumers": ["tests"]} for name in (*self.tracking_plan, "heartbeat")]
        write_yaml(config / "tracking_plan.yaml", {"events": plan})
        write_yaml(config / "warehouse.yaml", {"path": str(folder / "warehouse.duckdb")})
        for table, rules in self.quality.items():
            (config / "quality").mkdir(exist_ok=True)
            write_yaml(config / "quality" / f"{table}.yaml", rules)
        return config


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], types: pa.Schema) -> None:
    """Writes rows as one Parquet file; columns that a row leaves out are NULL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=types), path)


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Writes one config file."""
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")


@dataclass
class Made:
    """A world after its run: what became of each table, and its published rows."""

    session: Session
    outcomes: dict[str, Publishing | RawPublishing]

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Published rows of a table in its order; keyword arguments keep the rows with those values (dates as text)."""
        declared = self.session.declared.tables[table]
        order = ", ".join(f'"{name}"' for name in declared.order)
        cursor = self.session.warehouse.connection.execute(f'SELECT * FROM "{declared.schema}"."{table}" ORDER BY {order}')
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [row for row in found if all(str(row[name]) == str(value) for name, value in where.items())]

    def row(self, table: str, **where: Any) -> dict[str, Any]:
        """The one published row with those values."""
        found = self.rows(table, **where)
        assert len(found) == 1, f"{len(found)} rows of {table} where {where}"
        return found[0]


@contextmanager
def made(
    config_dir: Path,
    *,
    as_of: str | None = None,
    tables: Sequence[str] | None = None,
    run_id: str = "test",
) -> Iterator[Made]:
    """Runs the graph of a config folder in its warehouse (events first, then `tables` or all but the ranking) and keeps it open.

    A table that is refused stops the run, as it does in Dagster.
    """
    declared = Declared.of(load_config(config_dir))
    path = declared.config.warehouse_path
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(path))
    try:
        session = Session(declared, connection, path.with_suffix(""), run_id, date.fromisoformat(as_of) if as_of else None)
        outcomes: dict[str, Publishing | RawPublishing] = {"raw_events": session.load_events()}
        wanted = (
            [name for name in declared.tables if name not in {"raw_events", "feature_importance"}] if tables is None else tables
        )
        if not outcomes["raw_events"].is_refused:
            for name in wanted:
                outcomes[name] = session.make(name)
                if outcomes[name].state == "refused":
                    break
        yield Made(session, outcomes)
    finally:
        connection.close()


@contextmanager
def made_up_to(world: World, folder: Path, *tables: str, as_of: str | None = None) -> Iterator[Made]:
    """Writes a world below `folder`, makes `tables` and all that they read, and keeps it open; nothing may be refused."""
    config_dir = world.write(folder)
    declared = Declared.of(load_config(config_dir)).tables
    needed = set(tables)
    for name in reversed(declared):
        # tables come after what they read, so one pass backwards finds it all
        if name in needed:
            needed |= set(declared[name].dependencies)
    wanted = [name for name in declared if name in needed and name != "raw_events"]
    with made(config_dir, as_of=as_of, tables=wanted) as found:
        refused = {
            name: [(result.rule.name, result.errored, result.sample_keys) for result in outcome.results if not result.passed]
            for name, outcome in found.outcomes.items()
            if (outcome.is_refused if isinstance(outcome, RawPublishing) else outcome.state == "refused")
        }
        assert not refused
        yield found
