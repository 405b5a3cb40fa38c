"""Tables by month: what a run makes of them, and that it is what a fresh rebuild of the same state makes.

Put here what is remembered between runs and what follows from it. Keep out what a value must be.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from daily_company import Company, digests
from scenario import EVENT_TYPES, at, event, made, subscription, write_parquet, write_yaml

from milestones_dagster.orchestration.planning import plan_of
from milestones_dagster.warehouse import changes, operations
from milestones_dagster.warehouse.publish import Publishing
from milestones_dagster.warehouse.serving import Served, ServingError, publish_serving
from milestones_dagster.warehouse.table import load_tables

BY_MONTH = (
    "account_months", "area_months", "area_success", "customer_milestones", "feature_matrix", "maturity_categories", "month_landmarks",
    "observation_dates", "retention_outcomes", "usage_ratio",
)  # fmt: skip


def _wanted() -> list[str]:
    """What is made in SQL alone: evidence is made whole, and framework_versions tells when runs were made."""
    found = ["raw_events"]
    for name, table in load_tables(config_relations=None, auto=()).items():
        is_plain = name != "framework_versions" and (table.then is None or name == "event_catalogue")
        if is_plain and name not in found and set(table.dependencies) <= set(found):
            found.append(name)
    return found[1:]


WANTED = _wanted()


def served(company: Company) -> Served:
    """The serving copy after a run; it holds the published rows."""
    with made(company.config, tables=()) as result:
        tables = [
            table for table in (result.session.declared.tables[name] for name in WANTED) if table.schema not in {"raw", "staging"}
        ]
        copy = publish_serving(result.session.warehouse, tables)
        with duckdb.connect(str(copy.path), read_only=True) as connection:
            for table in tables:
                rows = connection.execute(f"FROM {table.schema}.{table.name}").fetchall()
                assert sorted(map(repr, rows)) == sorted(
                    map(repr, result.session.warehouse.rows(f"FROM {table.schema}.{table.name}"))
                )
    return copy


def parts(outcomes: Mapping[str, Publishing]) -> dict[str, tuple[int, int]]:
    """Months and accounts of every table of which a part was made."""
    found = {name: outcomes[name].part for name in BY_MONTH}
    return {name: (part.months, part.accounts) for name, part in found.items() if part is not None}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A company and its warehouse after the first run, as of 2025-04-29."""
    given = Company(tmp_path_factory.mktemp("first"), "2025-04-28", WANTED)
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
    return Company.back(first, "2025-04-28", WANTED)


def test_a_messy_company_day_by_day_is_the_company_rebuilt(company, monkeypatch):
    assert served(company).in_part == ()
    company.deliver("2025-04-29")
    assert set(parts(company.assert_as_rebuilt())) == set(BY_MONTH)
    assert set(served(company).in_part) >= {"account_months", "area_success", "customer_milestones"}

    # over the end of the month; of one of its days rows are missing, which come late with some of February
    company.deliver("2025-05-01", without=lambda row: row["occurred_at"].minute % 2 == 0)
    company.run()
    late = [row for row in company.events(at("2025-04-30"), at("2025-05-02")) if row["occurred_at"].minute % 2 == 0]
    wrong = event("a03", "chat", "2025-02-11 10:00", user="a03-u0") | {"event_id": "late-chat"}
    write_parquet(company.files / "late.parquet", [*late, wrong], EVENT_TYPES)
    assert parts(company.assert_as_rebuilt())["maturity_categories"][0] == 4
    # of two runs at once
    assert "area_months" in served(company).in_part

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
    assert "account_months" in served(company).in_part

    # a config edit makes all of what reads it, and leaves the rest
    company.edit(lambda framework: framework["maturity"].update(window="60 d"))
    company.deliver("2025-05-04")
    found = parts(company.run()[0])
    assert "maturity_categories" not in found
    assert "area_months" in found
    # made whole, and not all of its rows differ
    assert "maturity_categories" in served(company).in_part

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
    assert "customer_milestones" in served(company).in_part


def test_closed_months_and_elapsed_windows_are_not_touched(company):
    company.deliver("2025-04-29")
    outcomes, _ = company.run()
    found = parts(outcomes)
    # also of outcomes the running month alone: they are known as of the last closed month, and none has closed since
    assert {name: months for name, (months, _) in found.items()} == dict.fromkeys(BY_MONTH, 1)
    with made(company.config, tables=()) as result:
        for name in ("account_months", "usage_ratio", "customer_milestones"):
            concerned = outcomes[name].part.accounts
            assert concerned <= 4
            running = result.session.warehouse.scalar(f"SELECT count(*) FROM milestones.{name} WHERE month = '2025-04-01'")
            assert running <= outcomes[name].rows_made <= running + 12 * concerned
            assert outcomes[name].rows_made < outcomes[name].row_count / 2
        assert "1 month(s) from 2025-04 on" in outcomes["account_months"].reason


def test_another_time_zone_moves_every_day_and_every_month(company):
    company.edit(lambda framework: framework.update(time_zone="Asia/Kolkata"))
    company.assert_as_rebuilt()
    served(company)


def test_refused_evidence_is_not_served_beside_milestones_of_other_rows(company):
    """Late rows of the same as-of time: an evidence table is refused, what reads it is not reached, the milestones are made."""
    late = [event(f"a{number:02}", "chat", "2025-02-11 10:00", user=f"a{number:02}-u0") for number in range(16)]
    for name, rows in (("early", late[:8]), ("late", late[8:])):
        # as of the first file's time the second comes too
        write_parquet(
            company.files / f"{name}.parquet", [row | {"event_id": f"{name}-{n}"} for n, row in enumerate(rows)], EVENT_TYPES
        )
        if name == "early":
            company.run()
    with made(company.config, tables=()) as result:
        session, tables = result.session, result.session.declared.tables
        for name in WANTED:
            if tables[name].schema != "evidence":
                session.make(name)
        milestones = [tables[name] for name in WANTED if tables[name].schema == "milestones"]
        evidence = [tables[name] for name in WANTED if tables[name].schema == "evidence"]
        as_of = {
            publication.as_of
            for name, publication in operations.publications(session.warehouse).items()
            if tables[name].by != "day"
        }
        assert len(as_of) == 1
        copy = publish_serving(session.warehouse, milestones, evidence)
        assert {"area_months", "area_success"} <= set(copy.left_out)
        # and milestones are not served while one of them is behind another
        write_parquet(company.files / "later.parquet", [late[0] | {"event_id": "later"}], EVENT_TYPES)
        session.load_events()
        for name in ("account_event_daily", "rule_events", "event_identities", "event_name_daily"):
            session.make(name)
        with pytest.raises(ServingError, match="not made of the present rows of what they read"):
            publish_serving(session.warehouse, milestones, evidence)


def test_the_plan_tells_what_of_a_table_a_run_may_make(company):
    company.deliver("2025-04-29")
    with made(company.config, tables=()) as result:
        plan = plan_of(result.session)
    told = {entry.table: entry.reason for entry in plan.tables}
    assert told["rule_events"] == "1 day(s) differ"
    assert told["customer_milestones"].endswith("; of its months the open ones, and the accounts that change")
    assert told["milestone_summary"].startswith("follows ")
    assert plan.note is not None


def test_a_second_run_makes_nothing_and_keeps_every_state(company):
    with made(company.config, tables=()) as result:
        before = changes.versions(result.session.warehouse)
    outcomes, _ = company.run()
    assert {outcome.state for outcome in outcomes.values()} == {"unchanged"}
    with made(company.config, tables=()) as result:
        assert changes.versions(result.session.warehouse) == before


def test_where_a_change_is_not_remembered_all_is_made(company):
    with made(company.config, tables=()) as result:
        result.session.warehouse.execute(
            "UPDATE operations.versions SET version = version + 1 WHERE table_name = 'account_history'"
        )
    company.deliver("2025-04-29")
    outcomes = company.assert_as_rebuilt()
    assert outcomes["account_months"].part is None
    assert outcomes["area_months"].part is not None


def test_refused_months_leave_the_published_ones_and_are_made_when_they_pass(company):
    rule = {"name": "no_april", "type": "unexpected_rows_expectation"}
    query = "SELECT account_id, month FROM {batch} WHERE month = DATE '2025-04-01'"
    rule |= {"kwargs": {"unexpected_rows_query": query}, "recovery": "deliver no April"}
    with made(company.config, tables=()) as result:
        before = digests(result, WANTED)
    company.deliver("2025-04-29")
    (company.config / "quality").mkdir(exist_ok=True)
    write_yaml(company.config / "quality" / "account_months.yaml", {"expectations": [rule]})
    outcomes, _ = company.run()
    assert outcomes["account_months"].state == "refused"
    with made(company.config, tables=()) as result:
        after = digests(result, WANTED)
        assert after["account_months"] == before["account_months"]
        assert after["customer_milestones"] == before["customer_milestones"]
        leftovers = (
            "SELECT name FROM (SELECT table_name AS name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views())"
        )
        assert result.session.warehouse.rows(f"{leftovers} WHERE name LIKE '%\\_\\_%' ESCAPE '\\'") == []
    (company.config / "quality" / "account_months.yaml").unlink()
    assert set(parts(company.assert_as_rebuilt())) == set(BY_MONTH)
