"""feature_matrix: what an attribute is compared with, as a person writes it, and how pairs are made wide."""

import math
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scenario import FRAMEWORK, World, event, made, subscription
from sqlglot import exp

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.warehouse.duckdb import Warehouse, widen

SEATS = {"a": 5.0, "b": 50.0, "c": 5.5}
# codes are text, however much they look like numbers
CODES = {"a": "05", "b": "5", "c": ""}


def feature(name: str, attribute: str, equals: str) -> dict[str, str]:
    return {
        "name": name, "title": name, "category": "account", "measure": "attribute", "attribute": attribute, "equals": equals,
    }  # fmt: skip


CATALOGUE = [
    feature("five_seats", "seats", "5"),
    feature("five_seats_in_full", "seats", "5.0"),
    feature("five_and_a_half", "seats", "5.50"),
    feature("in_words", "seats", "five"),
    feature("hundred_paid", "mrr", "100"),
    feature("premium", "plan", "premium"),
    feature("code_five", "code", "5"),
    feature("code_nought_five", "code", "05"),
]


@pytest.fixture(scope="module")
def values(tmp_path_factory) -> dict[str, list[Any]]:
    """By feature, the values of the accounts a, b and c on the last date."""
    folder = tmp_path_factory.mktemp("features")
    lines = [f"{account},2025-01-01,{code}" for account, code in CODES.items()]
    (folder / "accounts.csv").write_text("\n".join(["id,born,code", *lines]) + "\n", encoding="utf-8")
    accounts = {
        "path": str(folder / "accounts.csv"),
        "columns": {"account_id": "id", "created_at": "born"},
        "attributes": {"code": {"column": "code", "known_at": "created"}},
    }
    world = World(
        events=[event(account, "chat", "2025-01-02 10:00") for account in SEATS],
        last_day="2025-02-28",
        subscriptions=[subscription(account, "2025-01-01", seats=seats) for account, seats in SEATS.items()],
        framework={"features": {"catalogue": [*FRAMEWORK["features"]["catalogue"], *CATALOGUE]}},
        sources={"accounts": accounts},
    )
    config = world.write(folder)
    with made(config, tables=above(Declared.of(load_config(config)), "feature_matrix")) as run:
        assert {outcome.state for name, outcome in run.outcomes.items() if name != "raw_events"} == {"made"}
        keys = {row["account_key"]: row["account_id"] for row in run.rows("accounts")}
        rows = run.rows("feature_matrix")
    last = max(row["observed_at"] for row in rows)
    rows = sorted((row for row in rows if row["observed_at"] == last), key=lambda row: keys[row["account_key"]])
    assert [keys[row["account_key"]] for row in rows] == ["a", "b", "c"]
    return {each["name"]: [row[each["name"]] for row in rows] for each in CATALOGUE}


def above(declared: Declared, name: str) -> list[str]:
    """A table and all that it is made from, but the events, in the order in which they are made."""
    needed = {name}
    for table in reversed(declared.tables.values()):
        needed |= set(table.dependencies) if table.name in needed else set()
    return [table for table in declared.tables if table in needed - {"raw_events"}]


def test_seats_and_money_are_compared_as_numbers(values):
    assert values["five_seats"] == [1, 0, 0]
    assert values["five_seats_in_full"] == [1, 0, 0]
    assert values["five_and_a_half"] == [0, 0, 1]
    assert values["in_words"] == [0, 0, 0]
    assert values["hundred_paid"] == [1, 1, 1]


def test_text_is_compared_as_it_stands(values):
    assert values["premium"] == [0, 0, 0]
    assert values["code_five"] == [0, 1, None]
    assert values["code_nought_five"] == [1, 0, None]


def test_pairs_are_made_wide_account_by_account_as_at_once(monkeypatch):
    """Some have one feature, some all, some none, some a feature without a value; keys from one end of their range to the other."""
    features, keys = [("clicks", True), ("plan size", False), ("it's", True)], ["account_key", "month"]
    accounts = [-(2**63), *(number * 2**56 for number in range(-100, 100)), 2**63 - 1]
    expected = []
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE long (account_key BIGINT, month INTEGER, feature VARCHAR, value DOUBLE)")
        for number, account in enumerate(accounts):
            held = {
                # an attribute is any number that a text says
                name: None if number % 5 == 0 else -math.inf if name == "plan size" and number % 7 == 0 else number + place
                for place, (name, _) in enumerate(features)
                if number % 8 >> place & 1
            }
            rows = [(account, number % 3, name, value) for name, value in held.items()] or [(account, number % 3, None, None)]
            connection.executemany("INSERT INTO long VALUES (?, ?, ?, ?)", rows)
            expected.append((account, number % 3, *(held.get(name, 0.0 if is_zero else None) for name, is_zero in features)))
        warehouse = Warehouse(connection, Path(), {})
        for rows in (10**6, 7):
            monkeypatch.setattr("milestones_dagster.warehouse.duckdb._ROWS_WIDENED", rows)
            wide = exp.table_(f"wide_{rows}")
            widen(warehouse, exp.table_("long"), wide, keys, features, keys)
            found = connection.execute(f"FROM {wide.name}")
            assert [column[0] for column in found.description] == [*keys, "clicks", "plan size", "it's"]
            assert found.fetchall() == expected
        connection.execute("DELETE FROM long")
        widen(warehouse, exp.table_("long"), exp.table_("empty"), keys, features, keys)
        assert connection.execute("FROM empty").fetchall() == []
