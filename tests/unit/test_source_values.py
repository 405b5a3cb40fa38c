"""Every value becomes what its column means: times in UTC, properties in one object, flags."""
# ruff: noqa: DTZ001 (the warehouse's times are naive and UTC)

import json
from datetime import datetime
from pathlib import Path

import pytest
from test_source_world import SHORT_COLUMNS, event_source, mapped, new_york, parquet, text

from milestones_dagster.config.sources import EventSource, SubscriptionSource


@pytest.fixture
def connection():
    with new_york() as opened:
        yield opened


def times(connection, path: Path, source: EventSource, *values: str) -> list[tuple[object, object]]:
    """Return occurred_at and occurred_at_text of one-column texts."""
    lines = [json.dumps({"id": str(n), "company": "a", "name": "e", "at": value}) for n, value in enumerate(values)]
    rows = mapped(connection, source, text(path / "times.jsonl", "\n".join(lines)))
    return [(row["occurred_at"], row["occurred_at_text"]) for row in rows]


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        ("2025-03-04", datetime(2025, 3, 4)),
        ("2025/3/4 7:05", datetime(2025, 3, 4, 7, 5)),
        (" 2025-03-04T10:00:00.123456 ", datetime(2025, 3, 4, 10, 0, 0, 123456)),
        ("2025-03-04T10:00:00Z", datetime(2025, 3, 4, 10)),
        ("2025-03-04T10:00:00z", datetime(2025, 3, 4, 10)),
        ("2025-03-04T10:00Z", datetime(2025, 3, 4, 10)),
        ("2025-03-04T10:00:00+02:00", datetime(2025, 3, 4, 8)),
        ("2025-03-04T10:00:00.5+0200", datetime(2025, 3, 4, 8, 0, 0, 500000)),
        ("2025-03-04 10:00:00 -0800", datetime(2025, 3, 4, 18)),
        ("2025-03-04 10:00-08", datetime(2025, 3, 4, 18)),
        ("2025-03-04 10:00:00 UTC", datetime(2025, 3, 4, 10)),
        ("2025-07-04 10:00:00 Europe/Berlin", datetime(2025, 7, 4, 8)),
    ],
)
def test_texts_that_are_times_become_utc(connection, tmp_path, value, utc):
    assert times(connection, tmp_path, event_source(columns=SHORT_COLUMNS), value) == [(utc, None)]


@pytest.mark.parametrize(
    "value",
    ["2025-02-30", "04/03/2025", "1741082400", "infinity", "epoch", "2025-03-04 10:00 PM",
     "2025-03-04 25:00", "20250304", "2025-03-04 10:00:00 Atlantis/Poseidonis"],
)  # fmt: skip
def test_texts_that_are_no_times_are_kept_as_they_are(connection, tmp_path, value):
    assert times(connection, tmp_path, event_source(columns=SHORT_COLUMNS), value) == [(None, value)]


def test_naive_times_are_read_in_the_zone_of_the_source_and_named_zones_are_not(connection, tmp_path):
    source = event_source(columns=SHORT_COLUMNS, time_zone="Europe/Berlin")
    values = ["2025-01-01 00:30", "2025-07-01 00:30", "2025-07-01T00:30:00Z", "2025-07-01"]
    assert times(connection, tmp_path, source, *values) == [
        (datetime(2024, 12, 31, 23, 30), None),
        (datetime(2025, 6, 30, 22, 30), None),
        (datetime(2025, 7, 1, 0, 30), None),
        (datetime(2025, 6, 30, 22), None),
    ]


def test_a_time_format_is_the_only_one_that_is_read(connection, tmp_path):
    source = event_source(columns=SHORT_COLUMNS, time_format="%d/%m/%Y %H:%M", time_zone="Europe/Berlin")
    assert times(connection, tmp_path, source, "04/03/2025 10:00", "2025-03-04 10:00") == [
        (datetime(2025, 3, 4, 9), None),
        (None, "2025-03-04 10:00"),
    ]
    with_offset = event_source(columns=SHORT_COLUMNS, time_format="%d/%m/%Y %H:%M %z", time_zone="Europe/Berlin")
    assert times(connection, tmp_path, with_offset, "04/03/2025 10:00 -0300") == [(datetime(2025, 3, 4, 13), None)]


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        ("TIMESTAMP '2025-07-01 00:30:00'", datetime(2025, 6, 30, 22, 30)),
        ("TIMESTAMP_NS '2025-07-01 00:30:00'", datetime(2025, 6, 30, 22, 30)),
        ("TIMESTAMP_S '2025-07-01 00:30:00'", datetime(2025, 6, 30, 22, 30)),
        ("TIMESTAMPTZ '2025-07-01 00:30:00+00'", datetime(2025, 7, 1, 0, 30)),
        ("DATE '2025-07-01'", datetime(2025, 6, 30, 22)),
        ("'2025-07-01 00:30'", datetime(2025, 6, 30, 22, 30)),
        ("TIMESTAMP 'infinity'", None),
        ("TIMESTAMPTZ '-infinity'", None),
        ("NULL::TIMESTAMP", None),
    ],
)
def test_every_type_of_time_becomes_utc(connection, tmp_path, value, utc):
    source = event_source(columns=SHORT_COLUMNS, time_zone="Europe/Berlin")
    path = parquet(connection, tmp_path / "e.parquet", f"SELECT 'i' id, 'a' company, 'e' AS name, {value} AS at")
    assert [row["occurred_at"] for row in mapped(connection, source, path)] == [utc]


@pytest.mark.parametrize(
    ("props", "platform", "packed"),
    [
        ('{"a":1,"b":null}', None, {"a": 1, "b": None}),
        ('{"platform":"ios","a":1}', None, {"platform": "ios", "a": 1}),
        ('{"platform":"ios","a":1}', "web", {"platform": "web", "a": 1}),
        (None, "web", {"platform": "web"}),
        ("[1]", "web", {"platform": "web"}),
        ("not json {", None, None),
        ('{"a":', None, None),
        ("{}", None, None),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("is_packed", [True, False])
def test_properties_are_one_object(connection, tmp_path, props, platform, packed, is_packed):
    connection.execute("CREATE TABLE given AS SELECT ? AS props, ? AS platform", [props, platform])
    path = parquet(
        connection,
        tmp_path / "e.parquet",
        "SELECT 'i' id, 'a' company, 'u' person, 'e' AS name, TIMESTAMP '2025-01-01' AS at,"
        " NULL::TIMESTAMP AS got_at, * FROM given",
    )
    (row,) = mapped(connection, event_source(properties=["platform"] if is_packed else []), path)
    expected = packed if is_packed else (json.loads(props) if packed and props and props.startswith("{") else None)
    assert (row["properties"] and json.loads(row["properties"])) == expected


def test_packed_columns_keep_their_types(connection, tmp_path):
    path = parquet(
        connection,
        tmp_path / "e.parquet",
        "SELECT 'i' id, 'a' company, 'e' AS name, TIMESTAMP '2025-01-01' AS at, 3 n, 1.5 f, 'nan'::DOUBLE nan,"
        " true flag,"
        " TIMESTAMPTZ '2025-01-01 05:00:00+05' AS seen, {'x': 1} nested, NULL::INTEGER AS nothing",
    )
    names = ["n", "f", "nan", "flag", "seen", "nested", "nothing"]
    expected = {"n": 3, "f": 1.5, "flag": True, "seen": "2025-01-01 00:00:00", "nested": {"x": 1}}
    (row,) = mapped(connection, event_source(columns=SHORT_COLUMNS, properties=names), path)
    assert json.loads(row["properties"]) == expected
    line = {
        "id": 1,
        "company": "a",
        "name": "e",
        "at": "2025-01-01",
        "n": 3,
        "f": 1.5,
        "flag": True,
        "nested": {"x": 1},
        "nothing": None,
    }
    other = text(tmp_path / "e.jsonl", json.dumps(line))
    (row,) = mapped(connection, event_source(columns=SHORT_COLUMNS, properties=names), other)
    assert json.loads(row["properties"]) == {"n": 3, "f": 1.5, "flag": True, "nested": {"x": 1}}


def test_structures_and_json_texts_serve_as_properties(connection, tmp_path):
    columns = SHORT_COLUMNS | {"properties": "props"}
    select = "SELECT 'i' id, 'a' company, 'e' AS name, TIMESTAMP '2025-01-01' AS at, "
    values = ["{'x': 1, 'y': 'z'} AS props", "MAP {'x': 1} AS props", "'{\"x\":1}'::JSON AS props", "NULL AS props"]
    found = []
    for place, value in enumerate(values):
        path = parquet(connection, tmp_path / f"{place}.parquet", select + value)
        found += [row["properties"] for row in mapped(connection, event_source(columns=columns), path)]
    assert found == ['{"x":1,"y":"z"}', '{"x":1}', '{"x":1}', None]
    nested = {"id": 1, "company": "a", "name": "e", "at": "2025-01-01", "props": json.dumps({"x": 1})}
    path = text(tmp_path / "e.jsonl", json.dumps(nested))
    assert [row["properties"] for row in mapped(connection, event_source(columns=columns), path)] == ['{"x": 1}']


def test_a_column_may_be_mapped_and_packed(connection, tmp_path):
    line = {"id": 1, "company": "a", "name": "e", "at": "2025-01-01"}
    path = text(tmp_path / "e.jsonl", json.dumps(line))
    source = event_source(columns=SHORT_COLUMNS, properties=["company", "id", "at"])
    (row,) = mapped(connection, source, path)
    assert (row["account_id"], row["event_id"], row["occurred_at"]) == ("a", "1", datetime(2025, 1, 1))
    assert json.loads(row["properties"]) == {"company": "a", "id": 1, "at": "2025-01-01"}


@pytest.mark.parametrize(
    ("value", "is_trial"),
    [("true", True), ("1", True), ("f", False), ("1::TINYINT", True), ("0", False), ("NULL", False)],
)
def test_flags(connection, tmp_path, value, is_trial):
    source = SubscriptionSource.model_validate(
        {"path": "s", "columns": {"account_id": "a", "started_at": "t", "is_trial": "trial"}}
    )
    literal = value if "::" in value or value == "NULL" else f"'{value}'"
    path = parquet(connection, tmp_path / "s.parquet", f"SELECT 'a' a, DATE '2025-01-01' t, {literal} trial")
    assert [row["is_trial"] for row in mapped(connection, source, path)] == [is_trial]
