"""Every format gives the same rows, however its files are written and named."""
# ruff: noqa: DTZ001 (the warehouse's times are naive and UTC)

import gzip
import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from test_source_world import EVENT_COLUMNS, SHORT_COLUMNS, event_source, mapped, new_york, parquet, text

from milestones_dagster.warehouse.source_mapping import rows_of


@pytest.fixture
def connection():
    with new_york() as opened:
        yield opened


HEADER = "id,company,person,name,at,got_at,props,platform\n"


ALL_ROWS = [
    {
        "event_id": "1",
        "account_id": "acme",
        "user_id": "u1",
        "event": "login",
        "occurred_at": datetime(2025, 3, 4, 10, 0),
        "occurred_at_text": None,
        "received_at": datetime(2025, 3, 4, 10, 0, 5),
        "properties": {"plan": "pro", "platform": "web"},
        "source": "product",
        "file_row": 1,
    },
    {
        "event_id": "2",
        "account_id": None,
        "user_id": None,
        "event": "login",
        "occurred_at": None,
        "occurred_at_text": "yesterday",
        "received_at": None,
        "properties": None,
        "source": "product",
        "file_row": 2,
    },
]


def write_both_rows(connection, path: Path) -> Path:
    csv = HEADER + '1,acme,u1,login,2025-03-04 10:00,2025-03-04T10:00:05Z,"{""plan"":""pro""}",web\n2,,,login,yesterday,,,\n'
    lines = [
        {"id": 1, "company": "acme", "person": "u1", "name": "login", "at": "2025-03-04 10:00",
         "got_at": "2025-03-04T10:00:05Z", "props": {"plan": "pro"}, "platform": "web"},
        {"id": 2, "company": "", "name": "login", "at": "yesterday", "props": None},
    ]  # fmt: skip
    match path.name.split(".")[1]:
        case "csv":
            content = csv
        case "tsv":
            content = csv.replace(",", "\t").replace('"{""plan"":""pro""}"', '"{""plan"":""pro""}"')
        case "jsonl":
            content = "\n\n".join(json.dumps(line) for line in lines) + "\n"
        case _:
            return parquet(
                connection,
                path,
                "SELECT * FROM (VALUES (1, 'acme', 'u1', 'login', '2025-03-04 10:00',"
                " TIMESTAMP '2025-03-04 10:00:05', '{\"plan\":\"pro\"}', 'web'),"
                " (2, '', NULL, 'login', 'yesterday', NULL, NULL, NULL))"
                ' AS rows(id, company, person, name, "at", got_at, props, platform)',
            )
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    elif path.suffix == ".zst":
        path.write_bytes(pa.compress(content.encode(), codec="zstd", asbytes=True))
    else:
        text(path, content)
    return path


@pytest.mark.parametrize(
    "name", ["e.csv", "e.tsv", "e.jsonl", "e.parquet", "e.csv.gz", "e.csv.zst", "e.jsonl.gz", "e.jsonl.zst", "e.tsv.gz"]
)
def test_every_format_gives_the_same_rows_and_columns(connection, tmp_path, name):
    path = write_both_rows(connection, tmp_path / name)
    rows = mapped(connection, event_source(properties=["platform"]), path)
    for row in rows:
        row["properties"] = row["properties"] and json.loads(row["properties"])
    assert rows == [expected | {"file": str(path)} for expected in ALL_ROWS]
    assert list(rows[0]) == [
        "event_id", "account_id", "user_id", "event", "occurred_at", "occurred_at_text", "received_at", "properties",
        "source", "file", "file_row",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl", "e.parquet"])
def test_the_types_of_the_columns_do_not_depend_on_what_is_mapped(connection, tmp_path, name):
    path = write_both_rows(connection, tmp_path / name)
    for columns in (EVENT_COLUMNS, SHORT_COLUMNS):
        query = rows_of(event_source(columns=columns), [path]).sql(dialect="duckdb")
        assert [row[1] for row in connection.execute("DESCRIBE " + query).fetchall()] == [
            "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "TIMESTAMP", "VARCHAR", "TIMESTAMP", "VARCHAR",
            "VARCHAR", "VARCHAR", "BIGINT",
        ]  # fmt: skip


def test_files_of_different_types_and_columns_are_read_together(connection, tmp_path):
    paths = [
        parquet(connection, tmp_path / "1.parquet", "SELECT 7 id, 'a' company, 'e' AS name, TIMESTAMP '2025-01-01' AS at"),
        parquet(connection, tmp_path / "2.parquet", "SELECT 'e' AS name, 'x' id, '2025-01-02T00:00:00Z' AS at, 'b' company"),
        parquet(
            connection,
            tmp_path / "3.parquet",
            "SELECT 8 id, 'c' company, 'e' AS name, 1 more, TIMESTAMP '2025-01-03' AS at",
        ),
        text(tmp_path / "4.csv", "name,at,id,company\ne,2025-01-04,y,d\n"),
        text(tmp_path / "5.csv", "at,id,company,name\n2025-01-05,z,f,e\n"),
    ]
    rows = mapped(connection, event_source(columns=SHORT_COLUMNS), *paths)
    assert [(row["event_id"], row["account_id"], row["occurred_at"].day, row["file_row"]) for row in rows] == [
        ("7", "a", 1, 1), ("x", "b", 2, 1), ("8", "c", 3, 1), ("y", "d", 4, 1), ("z", "f", 5, 1),
    ]  # fmt: skip
    assert [row["file"] for row in rows] == [str(path) for path in paths]


def test_rows_are_numbered_within_their_file(connection, tmp_path):
    select = "SELECT i::VARCHAR id, 'a' company, 'e' AS name, TIMESTAMP '2025-01-01' AS at FROM range({}) AS r(i)"
    paths = [parquet(connection, tmp_path / f"{n}.parquet", select.format(n)) for n in (3, 5000)]
    for n in (2, 4):
        lines = "".join(f"{i},a,e,2025-01-01\n" for i in range(n))
        paths.append(text(tmp_path / f"{n}.csv", "id,company,name,at\n" + lines))
    rows = mapped(connection, event_source(columns=SHORT_COLUMNS), *paths)
    assert len(rows) == 5009
    assert all(int(row["event_id"]) == row["file_row"] - 1 for row in rows)


def test_names_that_the_reader_uses_itself_are_columns_like_any_other(connection, tmp_path):
    path = parquet(
        connection,
        tmp_path / "e.parquet",
        "SELECT 'i' || r.i id, 'a' AS filename, 'e' AS file_row_number, TIMESTAMP '2025-01-01' AS at FROM range(2) AS r(i)",
    )
    columns = {"event_id": "id", "account_id": "filename", "event": "file_row_number", "occurred_at": "at"}
    rows = mapped(connection, event_source(columns=columns), path)
    assert [(row["account_id"], row["event"], row["file"], row["file_row"]) for row in rows] == [
        ("a", "e", str(path), 1),
        ("a", "e", str(path), 2),
    ]


def test_folders_that_look_like_partitions_add_no_column_and_wildcards_in_names_are_literal(connection, tmp_path):
    folder = tmp_path / "name=wrong"
    folder.mkdir()
    select = "SELECT 'i' id, 'a' company, 'e' AS name, TIMESTAMP '2025-01-01' AS at"
    paths = [parquet(connection, folder / "a[1]*.parquet", select), parquet(connection, folder / "b.parquet", select)]
    paths.append(text(folder / "c?.csv", "id,company,name,at\ni,a,e,2025-01-01\n"))
    text(folder / "cX.csv", "id,company,name,at\ni,a,another,2025-01-01\n")
    rows = mapped(connection, event_source(columns=SHORT_COLUMNS), *paths)
    assert [(row["event"], row["file"]) for row in rows] == [("e", str(path)) for path in paths]


def test_quotes_and_blanks_in_names_and_paths_are_safe(connection, tmp_path):
    folder = tmp_path / "o'hara; --"
    folder.mkdir()
    columns = {"event_id": "i d", "account_id": 'the "company"', "event": "it's", "occurred_at": "select"}
    path = text(folder / "e.csv", 'i d,"the ""company""",it\'s,select\n1,a,e,2025-01-01\n')
    line = json.dumps({"i d": "1", 'the "company"': "a", "it's": "e", "select": "2025-01-01"})
    other = text(folder / "e.jsonl", line)
    source = event_source(columns=columns, name="product")
    assert [(row["account_id"], row["event"], row["file"]) for row in mapped(connection, source, path, other)] == [
        ("a", "e", str(path)),
        ("a", "e", str(other)),
    ]


def test_delimited_text_is_read_as_it_is_declared(connection, tmp_path):
    read = {"delimiter": ";", "quote": "'", "encoding": "latin-1", "null_text": ["NULL", "-"]}
    path = text(
        tmp_path / "e.csv",
        "id;company;name;at\r\n1;'Mü;ller';NULL;2025-01-01\r\n-;;x;2025-01-02\r\n",
        encoding="latin-1",
    )
    rows = mapped(connection, event_source(columns=SHORT_COLUMNS, read=read), path)
    assert [(row["event_id"], row["account_id"], row["event"]) for row in rows] == [
        ("1", "Mü;ller", None),
        # `-` is no value: the event is named by its content
        (rows[1]["event_id"], None, "x"),
    ]
    assert len(rows[1]["event_id"]) == 32


def test_delimited_text_without_header_quote_or_null_text(connection, tmp_path):
    columns = {"event_id": "column0", "account_id": "column1", "event": "column2", "occurred_at": "column3"}
    read = {"header": False, "quote": None, "null_text": []}
    path = text(tmp_path / "e.csv", '1,the "a,e,2025-01-01\n2,b,e,2025-01-02\n')
    rows = mapped(connection, event_source(columns=columns, read=read), path)
    assert [row["account_id"] for row in rows] == ['the "a', "b"]


def test_a_byte_order_mark_and_unnamed_columns_do_no_harm(connection, tmp_path):
    path = text(tmp_path / "e.csv", "id, company ,name,at,\n1,a,e,2025-01-01,0\n", encoding="utf-8-sig")
    rows = mapped(connection, event_source(columns=SHORT_COLUMNS, properties=["column4"]), path)
    assert [(row["event_id"], row["account_id"], row["properties"]) for row in rows] == [("1", "a", '{"column4":"0"}')]
