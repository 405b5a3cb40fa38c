"""The standard columns of each kind of source, row by row."""
# ruff: noqa: DTZ001 (the warehouse's times are naive and UTC)

import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_source_world import SHORT_COLUMNS, event_source, mapped, new_york, parquet, text

from milestones_dagster.config.sources import AccountSource, SubscriptionSource, UserSource
from milestones_dagster.warehouse import source_mapping
from milestones_dagster.warehouse.source_files import FileRefused
from milestones_dagster.warehouse.source_mapping import rows_of


@pytest.fixture
def connection():
    with new_york() as opened:
        yield opened


def test_rows_without_an_event_id_get_the_hash_of_their_content(connection, tmp_path):
    columns = {"account_id": "company", "event": "name", "occurred_at": "at"}
    rows = "a,e,2025-01-01\nb,e,2025-01-01\na,e,2025-01-01\na,e,2025-01-01\n"
    first = text(tmp_path / "1.csv", "company,name,at\n" + rows)
    second = text(tmp_path / "2.csv", "at,name,company\n2025-01-01,e,b\n2025-01-01,e,a\n")
    source = event_source(columns=columns)
    ids = [row["event_id"] for row in mapped(connection, source, first, second)]
    assert len(ids[0]) == 32
    assert ids == [ids[0], ids[1], f"{ids[0]}-2", f"{ids[0]}-3", ids[1], ids[0]]
    assert ids[0] != ids[1]
    assert [row["event_id"] for row in mapped(connection, source, first)] == ids[:4]


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_rows_whose_event_id_is_empty_are_named_like_those_of_a_source_without(connection, tmp_path, file_format):
    at = "2025-01-01"
    rows = [(None, "a"), ("x", "a"), (None, "b"), (None, "a"), ("x", "b"), (None, "a")]

    def file(name: str, given: list[tuple[str | None, str]], *, with_id: bool = True):
        path = tmp_path / f"{name}.{file_format}"
        keys = ("id", "company", "name", "at") if with_id else ("company", "name", "at")
        values = [(key, account, "e", at) if with_id else (account, "e", at) for key, account in given]
        if file_format == "csv":
            lines = [",".join(value or "" for value in row) for row in values]
            return text(path, "\n".join([",".join(keys), *lines]) + "\n")
        if file_format == "jsonl":
            objects = [{key: value for key, value in zip(keys, row, strict=True) if value is not None} for row in values]
            return text(path, "".join(json.dumps(row) + "\n" for row in objects))
        pq.write_table(pa.Table.from_pylist([dict(zip(keys, row, strict=True)) for row in values]), path)
        return path

    source = event_source(columns=SHORT_COLUMNS)
    first, again = file("first", rows), file("again", rows)
    ids = [row["event_id"] for row in mapped(connection, source, first)]
    # the event x of the account a does not count among its equals without an identifier
    assert ids == [ids[0], "x", ids[2], f"{ids[0]}-2", "x", f"{ids[0]}-3"]
    assert ids[0] != ids[2]
    # the same file under a new name has the same ids
    assert [row["event_id"] for row in mapped(connection, source, again)] == ids
    assert [row["event_id"] for row in mapped(connection, source, first, again, file("whole", [("y", "a")]))] == [*ids, *ids, "y"]
    unmapped = event_source(columns={key: value for key, value in SHORT_COLUMNS.items() if key != "event_id"})
    nameless = file("nameless", [(None, "a"), (None, "b"), (None, "a")], with_id=False)
    assert [row["event_id"] for row in mapped(connection, unmapped, nameless)] == [ids[0], ids[2], f"{ids[0]}-2"]


def test_accounts(connection, tmp_path):
    columns = {"account_id": "id", "created_at": "born", "seats": "n"}
    attributes = {"industry": {"column": "branch", "known_at": "created"}, "size": {"column": "staff"}}
    source = AccountSource.model_validate({"path": "a", "columns": columns, "attributes": attributes, "time_zone": "Asia/Tokyo"})
    path = text(tmp_path / "a.csv", "id,born,n,branch,staff\n1,2025-01-01,3.5,food,12\n2,,,,\n")
    assert mapped(connection, source, path) == [
        {
            "account_id": "1", "created_at": datetime(2024, 12, 31, 15), "plan": None, "seats": 3.5, "segment": None,
            "attributes": '{"industry":"food","size":"12"}', "file": str(path), "file_row": 1,
        },
        {
            "account_id": "2", "created_at": None, "plan": None, "seats": None, "segment": None,
            "attributes": None, "file": str(path), "file_row": 2,
        },
    ]  # fmt: skip
    typed = parquet(connection, tmp_path / "a.parquet", "SELECT 7 id, DATE '2025-01-01' born, 4 n, 'x' branch, 3 staff")
    (row,) = mapped(connection, source, typed)
    assert (row["account_id"], row["seats"], row["attributes"]) == ("7", 4.0, '{"industry":"x","size":3}')


def test_users(connection, tmp_path):
    source = UserSource.model_validate({"path": "u", "columns": {"user_id": "id"}})
    path = text(tmp_path / "u.jsonl", '{"id": 1}\n{"id": "b"}\n')
    query = rows_of(source, [path]).sql(dialect="duckdb")
    assert mapped(connection, source, path) == [
        {
            "user_id": name,
            "account_id": None,
            "created_at": None,
            "attributes": None,
            "file": str(path),
            "file_row": place,
        }
        for place, name in enumerate(["1", "b"], start=1)
    ]
    assert [row[1] for row in connection.execute("DESCRIBE " + query).fetchall()] == [
        "VARCHAR", "VARCHAR", "TIMESTAMP", "VARCHAR", "VARCHAR", "BIGINT",
    ]  # fmt: skip


SUBSCRIPTION = {
    name: name
    for name in (
        "account_id", "subscription_id", "plan", "seats", "mrr", "currency", "started_at", "ended_at", "is_trial",
        "term_months", "term_anchor_at", "recorded_at", "is_price_list_change",
    )
}  # fmt: skip


def test_subscriptions(connection, tmp_path):
    source = SubscriptionSource.model_validate({"path": "s", "columns": SUBSCRIPTION})
    path = text(
        tmp_path / "s.csv",
        ",".join(SUBSCRIPTION) + "\na,s1,pro,5,99.5,usd,2025-01-01,2025-02-01,yes,12.0,2025-01-01,2025-01-02,1\n"
        "b,,,,,,2025-01-01T00:00:00+01:00,,,,,,\n",
    )
    assert [tuple(row.values()) for row in mapped(connection, source, path)] == [
        ("a", "s1", "pro", 5.0, 99.5, "usd", datetime(2025, 1, 1), datetime(2025, 2, 1), True, 12, datetime(2025, 1, 1),
         datetime(2025, 1, 2), True, None, str(path), 1),
        ("b", None, None, None, None, None, datetime(2024, 12, 31, 23), None, False, None, None,
         None, False, None, str(path), 2),
    ]  # fmt: skip
    short = SubscriptionSource.model_validate({"path": "s", "columns": {"account_id": "account_id", "started_at": "started_at"}})
    query = rows_of(short, [path]).sql(dialect="duckdb")
    assert [row[1] for row in connection.execute("DESCRIBE " + query).fetchall()] == [
        "VARCHAR", "VARCHAR", "VARCHAR", "DOUBLE", "DOUBLE", "VARCHAR", "TIMESTAMP", "TIMESTAMP", "BOOLEAN", "INTEGER",
        "TIMESTAMP", "TIMESTAMP", "BOOLEAN", "VARCHAR", "VARCHAR", "BIGINT",
    ]  # fmt: skip
    flags = [(row["is_trial"], row["is_price_list_change"]) for row in mapped(connection, short, path)]
    assert flags == [(False, False), (False, False)]


def test_a_missing_mapped_column_is_refused_before_anything_is_read(tmp_path):
    path = text(tmp_path / "e.csv", "id,Company,name,at\n1,a,e,2025-01-01\n")
    with pytest.raises(FileRefused) as refused:
        rows_of(event_source(columns=SHORT_COLUMNS), [path])
    assert str(refused.value) == (
        f"{path}: the column `company` (columns.account_id) is missing; found: id, Company, name, at; the closest is "
        "`Company`; correct columns.account_id in sources.yaml, or deliver the file with this column"
    )


def test_an_unreadable_file_is_refused_by_its_name(tmp_path):
    path = text(tmp_path / "e.parquet", "PAR1, or so it says")
    with pytest.raises(FileRefused, match="the file is not readable as Parquet: ") as refused:
        rows_of(event_source(columns=SHORT_COLUMNS), [path])
    assert refused.value.path == path


def test_no_files_are_no_query():
    with pytest.raises(ValueError, match="rows_of needs at least one file"):
        rows_of(event_source(), [])


def test_many_delimited_files_make_one_query_that_plans(connection, tmp_path):
    paths = [text(tmp_path / f"{n:04}.csv", f"id,company,name,at\n{n},a,e,2025-01-01\n") for n in range(400)]
    rows = mapped(connection, event_source(columns=SHORT_COLUMNS), *paths)
    assert [int(row["event_id"]) for row in rows] == list(range(400))


def test_a_file_is_looked_at_once_and_again_when_it_changes(connection, tmp_path, monkeypatch):
    asked: list[str] = []
    layout = source_mapping.layout
    monkeypatch.setattr(source_mapping, "layout", lambda *given: asked.append(given[2].name) or layout(*given))
    source, looked = event_source(columns=SHORT_COLUMNS), {}

    def ids() -> list[str]:
        query = rows_of(source, [path], looked).sql(dialect="duckdb")
        return [row[0] for row in connection.execute(f"SELECT event_id FROM ({query}) ORDER BY file_row").fetchall()]

    path = text(tmp_path / "e.csv", "id,company,name,at\n1,a,e,2025-01-01\n")
    assert [ids(), ids()] == [["1"], ["1"]]
    assert asked == ["e.csv"]
    text(path, "id,company,name,at\n1,a,e,2025-01-01\n,a,e,2025-01-01\n")
    # the new row has no id, and is named by its content
    first, second = ids()
    assert (first, len(second)) == ("1", 32)
    assert asked == ["e.csv"] * 2
    path.unlink()
    with pytest.raises(FileRefused, match=r"e\.csv"):
        ids()
