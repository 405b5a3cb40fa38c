"""What an accepted file holds: columns, types, rows, days."""

import gzip
import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from test_source_world import SHORT_COLUMNS, event_source, new_york, parquet, text

from milestones_dagster.config.sources import AccountSource
from milestones_dagster.warehouse.source_inspection import FileInspection, inspect
from milestones_dagster.warehouse.source_mapping import rows_of

HEAD = "id,company,name,at\n"


@pytest.fixture
def connection():
    with new_york() as opened:
        yield opened


def events(**keys: object):
    return event_source(**{"columns": SHORT_COLUMNS, **keys})


def accounts(**keys: object) -> AccountSource:
    columns = {"account_id": "id", "created_at": "born", "seats": "n"}
    return AccountSource.model_validate({"path": "accounts", "columns": columns, **keys})


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.jsonl", "e.jsonl.zst"])
def test_days_are_utc_and_unreadable_times_are_counted_to_the_first(connection, tmp_path, name):
    times = ["2025-01-03 00:30", "2025-01-01 12:00", "nonsense", "2025-01-03T00:30:00Z", "", "2025-01-03 00:45"]
    if name.startswith("e.csv"):
        content = HEAD + "".join(f"{n},a,e,{time}\n" for n, time in enumerate(times))
    else:
        content = "".join(json.dumps({"id": n, "company": "a", "name": "e", "at": t}) + "\n" for n, t in enumerate(times))
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content.encode()))
    elif name.endswith(".zst"):
        path.write_bytes(pa.compress(content.encode(), codec="zstd", asbytes=True))
    else:
        text(path, content)
    found = inspect(connection, events(time_zone="Europe/Berlin"), path)
    assert found == FileInspection(
        schema=found.schema,
        rows=6,
        days={date(2025, 1, 1): 3, date(2025, 1, 2): 2, date(2025, 1, 3): 1},
    )
    assert found.schema == {"id": "BIGINT", "company": "VARCHAR", "name": "VARCHAR", "at": "VARCHAR"}
    assert list(found.days) == sorted(found.days)


def test_parquet_says_its_own_types(connection, tmp_path):
    path = parquet(
        connection,
        tmp_path / "e.parquet",
        "SELECT i::VARCHAR id, 'a' company, 'e' AS name, TIMESTAMPTZ '2025-01-01 23:59:59.5+00' + to_hours(i) AS at,"
        " {'x': 1} s, 1.5::DECIMAL(9,2) d FROM range(3) AS r(i)",
    )
    assert inspect(connection, events(), path) == FileInspection(
        schema={
            "id": "VARCHAR", "company": "VARCHAR", "name": "VARCHAR", "at": "TIMESTAMP WITH TIME ZONE",
            "s": "STRUCT(x INTEGER)", "d": "DECIMAL(9,2)",
        },
        rows=3,
        days={date(2025, 1, 1): 1, date(2025, 1, 2): 2},
    )  # fmt: skip


def test_a_snapshot_has_rows_and_no_days(connection, tmp_path):
    path = text(tmp_path / "a.csv", "id,born,n,extra\n1,2025-01-01,,x\n2, ,3.5,\n")
    assert inspect(connection, accounts(), path) == FileInspection(
        schema={"id": "BIGINT", "born": "VARCHAR", "n": "DOUBLE", "extra": "VARCHAR"}, rows=2
    )


def test_text_columns_have_the_narrowest_type_of_all_their_values(connection, tmp_path):
    columns = {
        "id": ["1", "2"], "company": ["007", "1"], "name": ["", ""], "at": ["2025-01-01", "2025-01-02"],
        "flag": ["True", "false"], "number": ["1", "-2.5e3"], "moment": ["2025-01-01 10:00", "2025-01-01"],
        "zoned": ["2025-01-01T10:00:00Z", "2025-01-01 10:00:00+02"], "mixed": ["2025-01-01T10:00:00Z", "2025-01-01"],
        "bad_date": ["2025-01-01", "2025-02-30"], "huge": ["1", "99999999999999999999"], "nan": ["1", "nan"],
    }  # fmt: skip
    content = "".join(",".join(values[n] for values in columns.values()) + "\n" for n in (0, 1))
    path = text(tmp_path / "e.csv", ",".join(columns) + "\n" + content)
    assert inspect(connection, events(), path).schema == {
        "id": "BIGINT", "company": "VARCHAR", "name": "NULL", "at": "DATE", "flag": "BOOLEAN", "number": "DOUBLE",
        "moment": "TIMESTAMP", "zoned": "TIMESTAMP WITH TIME ZONE", "mixed": "VARCHAR", "bad_date": "VARCHAR",
        "huge": "VARCHAR", "nan": "VARCHAR",
    }  # fmt: skip


def test_a_late_row_changes_the_type(connection, tmp_path):
    lines = [f"{n},{n},,{'2025-01-01'}\n" for n in range(2000)]
    path = text(tmp_path / "e.csv", HEAD + "".join(lines) + "x,0.5,e,2025-01-01 10:00\n")
    schema = inspect(connection, events(), path).schema
    assert schema == {"id": "VARCHAR", "company": "DOUBLE", "name": "VARCHAR", "at": "TIMESTAMP"}


def test_json_keys_are_gathered_over_all_lines(connection, tmp_path):
    line = {"id": 1, "company": "a", "name": "e", "at": "2025-01-01"}
    lines = [line, line | {"late": True, "nested": {"x": 1}, "none": None}, line | {"late": False, "Late": 1}]
    path = text(tmp_path / "e.jsonl", "\n".join(map(json.dumps, lines)))
    assert inspect(connection, events(properties=["late", "absent"]), path).schema == {
        "id": "BIGINT", "company": "VARCHAR", "name": "VARCHAR", "at": "DATE", "late": "BOOLEAN", "nested": "VARCHAR",
        "none": "NULL", "absent": "NULL",
    }  # fmt: skip


def test_with_sql_the_schema_is_that_of_its_outputs(connection, tmp_path):
    sql = "SELECT id, who AS company, 'e' AS name, DATE '2025-01-01' + day::INTEGER AS at, note FROM file"
    path = text(tmp_path / "e.csv", "id,who,day,note\n1,a,0,3\n2,b,2,\n")
    found = inspect(connection, events(sql=sql), path)
    assert found.schema == {"id": "BIGINT", "company": "VARCHAR", "name": "VARCHAR", "at": "DATE", "note": "BIGINT"}
    assert found.days == {date(2025, 1, 1): 1, date(2025, 1, 3): 1}


def test_inspecting_a_daily_parquet_is_quick(connection, tmp_path):
    path = parquet(
        connection,
        tmp_path / "e.parquet",
        "SELECT i::VARCHAR id, 'a' company, 'e' AS name, TIMESTAMP '2025-01-01' AS at FROM range(3000) AS r(i)",
    )
    started = datetime.now(tz=UTC)
    for _ in range(20):
        inspect(connection, events(), path)
    # a first load of two years is 730 such files; a loose bound, for machines that do other things too
    assert (datetime.now(tz=UTC) - started).total_seconds() / 20 < 0.1


@pytest.mark.parametrize("ids", [["1", "2"], ["1", ""], None], ids=["named", "one nameless", "not mapped"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_inspected_file_is_not_looked_at_again_for_its_rows(connection, tmp_path, ids, suffix):
    columns = SHORT_COLUMNS if ids is not None else {k: v for k, v in SHORT_COLUMNS.items() if k != "event_id"}
    source = events(columns=columns, properties=["extra"])
    rows = [{"id": name, "company": "a", "name": "e", "at": "2025-01-01", "extra": "x"} for name in ids or ["1", "2"]]
    path = tmp_path / f"e.{suffix}"
    if suffix == "csv":
        text(path, "id,company,name,at,extra\n" + "".join(",".join(row.values()) + "\n" for row in rows))
    elif suffix == "jsonl":
        text(path, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        values = ", ".join(str(tuple(row.values())) for row in rows)
        parquet(connection, path, f'SELECT * FROM (VALUES {values}) AS v(id, company, name, "at", extra)')
    inspected, found = {}, {}
    inspect(connection, source, path, inspected)
    rows_of(source, [path], found)
    assert inspected == found
    ((_, _, is_nameless),) = found.values()
    assert is_nameless is (ids != ["1", "2"])
