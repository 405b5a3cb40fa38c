"""Tables by month: what a run makes of them, and that it is what a fresh rebuild of the same state makes.

Put here what is remembered between runs and what follows from it. Keep out what a value must be.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from random_company import random_company
from scenario import EVENT_TYPES, SUBSCRIPTION_TYPES, Made, World, at, event, made, subscription, write_parquet, write_yaml

from milestones_dagster.warehouse import changes, operations
from milestones_dagster.warehouse.publish import Publishing
from milestones_dagster.warehouse.table import load_tables

ACCOUNTS = 16
COMPANY = random_company(11, accounts=ACCOUNTS)
BY_MONTH = (
    "account_months", "area_months", "customer_milestones", "feature_matrix", "maturity_categories", "month_landmarks",
    "observation_dates", "retention_outcomes", "usage_ratio",
)  # fmt: skip
AREAS = {"areas": [{"name": "channels", "title": "Chat days", "feature": "chat_days"}]}
Digests = Mapping[str, tuple[int, str]]


def _wanted() -> list[str]:
    """What is made in SQL alone: evidence is made whole, and framework_versions tells when runs were made."""
    found = ["raw_events"]
    for name, table in load_tables(config_relations=None, auto=()).items():
        is_plain = name != "framework_versions" and (table.then is None or name == "event_catalogue")
        if is_plain and name not in found and set(table.dependencies) <= set(found):
            found.append(name)
    return found[1:]


WANTED = _wanted()


class Company:
    """A company that delivers day by day, its config, and what became of its last run."""

    def __init__(self, folder: Path, until: str) -> None:
        self.folder, self.delivered = folder, at("2024-01-01")
        self.files = folder / "data" / "events"
        self.subscriptions = [dict(row) for row in COMPANY.subscriptions]
        source = {"path": str(self.files / "*.parquet"), "empty_days": "allow"}
        world = World(
            events=(),
            last_day=until,
            subscriptions=self.subscriptions,
            users=COMPANY.users,
            framework=AREAS,
            sources={"events": [{"name": "product", "columns": {name: name for name in EVENT_TYPES.names}, **source}]}
            | {name: {"extracted_at": "2025-07-05T00:00:00Z"} for name in ("users", "subscriptions")},
        )
        self.config = world.write(folder)
        (folder / "data" / "events.parquet").unlink()
        self.deliver(until)

    def events(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        return [row for row in COMPANY.events if since <= row["occurred_at"] < until]

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
        with made(self.config, tables=WANTED) as result:
            outcomes = {name: outcome for name, outcome in result.outcomes.items() if isinstance(outcome, Publishing)}
            return outcomes, digests(result)

    def rebuilt(self) -> Digests:
        """The tables that a warehouse of its own makes of the same files and config at once."""
        config, other = self.folder / "fresh-config", self.folder / "fresh"
        shutil.rmtree(config, ignore_errors=True)
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(self.config, config)
        write_yaml(config / "warehouse.yaml", {"path": str(other / "warehouse.duckdb")})
        with made(config, tables=WANTED) as result:
            return digests(result)

    def assert_as_rebuilt(self) -> dict[str, Publishing]:
        outcomes, found = self.run()
        assert [name for name, outcome in outcomes.items() if outcome.state == "refused"] == []
        wanted = self.rebuilt()
        assert set(found) == set(wanted) == set(WANTED)
        assert [name for name in wanted if found[name] != wanted[name]] == []
        return outcomes


def digests(result: Made) -> Digests:
    """Rows and a digest of all of them, whatever their order, of every table."""
    found = {}
    for name in WANTED:
        rows = sorted(str(tuple(row.values())) for row in result.rows(name))
        found[name] = (len(rows), sha256("\n".join(rows).encode()).hexdigest())
    return found


def parts(outcomes: Mapping[str, Publishing]) -> dict[str, tuple[int, int]]:
    """Months and accounts of every table of which a part was made."""
    found = {name: outcomes[name].part for name in BY_MONTH}
    return {name: (part.months, part.accounts) for name, part in found.items() if part is not None}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A company and its warehouse after the first run, as of 2025-04-29."""
    given = Company(tmp_path_factory.mktemp("first"), "2025-04-28")
    outcomes, _ = given.run()
    assert parts(outcomes) == {}
    return given.folder


@pytest.fixture
def company(first) -> Company:
    """The company as it was after its first run; a module's tests use it one after the other, each on a copy laid over it."""
    kept = first.with_name("kept")
    if not kept.exists():
        shutil.copytree(first, kept)
    shutil.rmtree(first)
    shutil.copytree(kept, first)
    given = Company.__new__(Company)
    given.folder, given.delivered, given.files = first, at("2025-04-29"), first / "data" / "events"
    given.config, given.subscriptions = first / "config", [dict(row) for row in COMPANY.subscriptions]
    return given


def test_a_messy_company_day_by_day_is_the_company_rebuilt(company, monkeypatch):
    company.deliver("2025-04-29")
    assert set(parts(company.assert_as_rebuilt())) == set(BY_MONTH)

    # over the end of the month; of one of its days rows are missing, which come late with some of February
    company.deliver("2025-05-01", without=lambda row: row["occurred_at"].minute % 2 == 0)
    company.run()
    late = [row for row in company.events(at("2025-04-30"), at("2025-05-02")) if row["occurred_at"].minute % 2 == 0]
    wrong = event("a03", "chat", "2025-02-11 10:00", user="a03-u0") | {"event_id": "late-chat"}
    write_parquet(company.files / "late.parquet", [*late, wrong], EVENT_TYPES)
    assert parts(company.assert_as_rebuilt())["maturity_categories"][0] == 4

    # a delivery is taken back, and so are its rows
    (company.files / "late.parquet").unlink()
    with made(company.config, tables=()) as result:
        operations.withdraw_file(result.session.warehouse, str(company.files / "late.parquet"))

    # and the billing system changes the past of three accounts: an end brought forward, a start moved back, a row that is gone
    started = sorted({row["account_id"] for row in company.subscriptions if row["started_at"] < at("2025-01-01")})[:3]
    ended, moved, gone = started
    rows = [row for row in company.subscriptions if row["account_id"] not in {ended, moved, gone}]
    rows += [subscription(ended, "2024-10-03", "2025-01-20"), subscription(moved, "2024-09-01", recorded_at="2024-09-01")]
    company.bill(rows)
    company.deliver("2025-05-03")
    assert parts(company.assert_as_rebuilt())["account_months"][1] >= 3

    # a config edit makes all of what reads it, and leaves the rest
    company.edit(lambda framework: framework["maturity"].update(window="60 d"))
    company.deliver("2025-05-04")
    found = parts(company.run()[0])
    assert "maturity_categories" not in found
    assert "usage_ratio" in found

    # a run dies between two tables: the next one makes what is missing, of both days
    company.deliver("2025-05-05")
    record = operations.record_publication

    def dying(warehouse: Any, publication: operations.Publication, *rest: Any) -> None:
        if publication.table == "retention_outcomes":
            raise KeyboardInterrupt
        record(warehouse, publication, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(operations, "record_publication", dying)
        with pytest.raises(KeyboardInterrupt):
            company.run()
    company.deliver("2025-05-06")
    assert set(parts(company.assert_as_rebuilt())) >= {"account_months", "retention_outcomes", "customer_milestones"}


def test_closed_months_and_elapsed_windows_are_not_touched(company):
    company.deliver("2025-04-29")
    outcomes, _ = company.run()
    found = parts(outcomes)
    assert {name for name, (months, _) in found.items() if months == 1} == {
        "account_months", "area_months", "customer_milestones", "maturity_categories", "observation_dates", "usage_ratio",
    }  # fmt: skip
    with made(company.config, tables=()) as result:
        for name in ("account_months", "usage_ratio", "customer_milestones"):
            concerned = outcomes[name].part.accounts
            assert concerned <= 4
            running = result.session.warehouse.scalar(f"SELECT count(*) FROM milestones.{name} WHERE month = '2025-04-01'")
            assert running <= outcomes[name].rows_made <= running + 12 * concerned
            assert outcomes[name].rows_made < outcomes[name].row_count / 2
        # the outcomes of a quarter, a week's gap and the running month: what is older is settled
        starts = result.session.run["months"].rows
        assert all(
            outcomes[name].part.starts_at >= starts[-5][1] for name in ("retention_outcomes", "month_landmarks", "feature_matrix")
        )
        assert "1 month(s) from 2025-04 on" in outcomes["account_months"].reason


def test_a_second_run_makes_nothing_and_keeps_every_state(company):
    with made(company.config, tables=()) as result:
        before = changes.versions(result.session.warehouse)
    outcomes, _ = company.run()
    assert {outcome.state for outcome in outcomes.values()} == {"unchanged"}
    with made(company.config, tables=()) as result:
        assert changes.versions(result.session.warehouse) == before


def test_refused_months_leave_the_published_ones_and_are_made_when_they_pass(company):
    rule = {"name": "no_april", "type": "unexpected_rows_expectation"}
    query = "SELECT account_id, month FROM {batch} WHERE month = DATE '2025-04-01'"
    rule |= {"kwargs": {"unexpected_rows_query": query}, "recovery": "deliver no April"}
    with made(company.config, tables=()) as result:
        before = digests(result)
    company.deliver("2025-04-29")
    (company.config / "quality").mkdir(exist_ok=True)
    write_yaml(company.config / "quality" / "account_months.yaml", {"expectations": [rule]})
    outcomes, _ = company.run()
    assert outcomes["account_months"].state == "refused"
    with made(company.config, tables=()) as result:
        after = digests(result)
        assert after["account_months"] == before["account_months"]
        assert after["customer_milestones"] == before["customer_milestones"]
        leftovers = (
            "SELECT name FROM (SELECT table_name AS name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views())"
        )
        assert result.session.warehouse.rows(f"{leftovers} WHERE name LIKE '%\\_\\_%' ESCAPE '\\'") == []
    (company.config / "quality" / "account_months.yaml").unlink()
    assert set(parts(company.assert_as_rebuilt())) == set(BY_MONTH)
