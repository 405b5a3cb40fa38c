"""A messy company that delivers day by day, and what a fresh rebuild of its state makes: what tests of incremental runs share.

Put here its folder, its deliveries, its runs and digests of all rows. Keep out what a test expects.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from random_company import RandomCompany, random_company
from scenario import EVENT_TYPES, SUBSCRIPTION_TYPES, Made, World, at, event, made, write_parquet, write_yaml

from milestones_dagster.warehouse.publish import Publishing

COMPANY = random_company(11, accounts=16)
AREA = {"name": "channels", "title": "Chat days", "feature": "chat_days"}
Digests = Mapping[str, tuple[int, str]]


class Company:
    """A company that delivers day by day, its config, and the tables that its runs make."""

    def __init__(
        self, folder: Path, until: str, wanted: Sequence[str], *, drawn: RandomCompany = COMPANY, **framework: Any
    ) -> None:
        self.wanted, self.drawn = tuple(wanted), drawn
        self.folder, self.delivered = folder, at("2024-01-01")
        self.files = folder / "data" / "events"
        self.subscriptions = [dict(row) for row in drawn.subscriptions]
        source = {"path": str(self.files / "*.parquet"), "empty_days": "allow"}
        world = World(
            events=(),
            last_day=until,
            subscriptions=self.subscriptions,
            users=drawn.users,
            framework={"areas": [AREA | {"threshold": 3}]} | framework,
            sources={"events": [{"name": "product", "columns": {name: name for name in EVENT_TYPES.names}, **source}]}
            | {name: {"extracted_at": "2025-07-05T00:00:00Z"} for name in ("users", "subscriptions")},
        )
        self.config = world.write(folder)
        (folder / "data" / "events.parquet").unlink()
        self.deliver(until)

    @classmethod
    def back(cls, folder: Path, until: str, wanted: Sequence[str]) -> "Company":
        """The company whose folder was laid back to what it was when it had delivered up to the day `until`."""
        given = cls.__new__(cls)
        given.folder, given.wanted, given.files = folder, tuple(wanted), folder / "data" / "events"
        given.drawn = COMPANY
        given.delivered = at(until) + timedelta(days=1)
        given.config, given.subscriptions = folder / "config", [dict(row) for row in COMPANY.subscriptions]
        return given

    def events(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        return [row for row in self.drawn.events if since <= row["occurred_at"] < until]

    def deliver(self, until: str, *, without: Callable[[dict[str, Any]], bool] = lambda _: False) -> Path:
        """Writes the file of the events that happened since the last one, up to the end of the day `until`."""
        end = at(until) + timedelta(days=1)
        beat = event(None, "heartbeat", str(end - timedelta(minutes=1)), user=None) | {"event_id": f"h-{until}"}
        rows = [row for row in self.events(self.delivered, end) if not without(row)]
        write_parquet(self.files / f"{until}.parquet", [*rows, beat], EVENT_TYPES)
        self.delivered = end
        return self.files / f"{until}.parquet"

    def bill(self, rows: Sequence[Mapping[str, Any]]) -> None:
        write_parquet(self.folder / "data" / "subscriptions.parquet", rows, SUBSCRIPTION_TYPES)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        framework = yaml.safe_load((self.config / "framework.yaml").read_text())
        change(framework)
        write_yaml(self.config / "framework.yaml", framework)

    def run(self) -> tuple[dict[str, Publishing], Digests]:
        with made(self.config, tables=self.wanted) as result:
            outcomes = {name: outcome for name, outcome in result.outcomes.items() if isinstance(outcome, Publishing)}
            return outcomes, digests(result, self.wanted)

    def rebuilt(self, as_of: str | None = None) -> Digests:
        """The tables that a warehouse of its own makes of the same files and config at once, as of its watermark or as of a day."""
        config, other = self.folder / "fresh-config", self.folder / "fresh"
        shutil.rmtree(config, ignore_errors=True)
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(self.config, config)
        write_yaml(config / "warehouse.yaml", {"path": str(other / "warehouse.duckdb")})
        with made(config, tables=self.wanted, as_of=as_of) as result:
            return digests(result, self.wanted)

    def assert_as_rebuilt(self) -> dict[str, Publishing]:
        outcomes, found = self.run()
        assert [name for name, outcome in outcomes.items() if outcome.state == "refused"] == []
        wanted = self.rebuilt()
        assert set(found) == set(wanted) == set(self.wanted)
        assert [name for name in wanted if found[name] != wanted[name]] == []
        return outcomes


def digests(result: Made, wanted: Sequence[str]) -> Digests:
    """Rows and a digest of all of them, whatever their order, of every table."""
    found = {}
    for name in wanted:
        rows = sorted(str(tuple(row.values())) for row in result.rows(name))
        found[name] = (len(rows), sha256("\n".join(rows).encode()).hexdigest())
    return found
