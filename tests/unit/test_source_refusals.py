"""Each kind of bad file is refused with a sentence of its own."""
# ruff: noqa: ISC004 (the sentences are asserted whole)

import gzip
import json
from datetime import date
from pathlib import Path

import pytest
from test_source_world import SHORT_COLUMNS, event_source, new_york, parquet, text

from milestones_dagster.config.sources import AccountSource, SubscriptionSource, UserSource
from milestones_dagster.warehouse.source_files import FileRefused
from milestones_dagster.warehouse.source_inspection import inspect

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


def refusal(connection, source, path: Path) -> str:
    with pytest.raises(FileRefused) as refused:
        inspect(connection, source, path)
    assert refused.value.path == path
    return str(refused.value).removeprefix(f"{path}: ")


AGAIN = "; deliver the file again"


def test_a_broken_file_leaves_an_open_transaction_as_it_is(connection, tmp_path):
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    refusal(connection, events(), text(tmp_path / "e.csv", HEAD + "1,a,e\n"))
    assert connection.execute("SELECT one FROM kept").fetchall() == [(1,)]
    connection.execute("COMMIT")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.csv", "", "the file is empty (0 bytes)" + AGAIN),
        ("e.jsonl", "", "the file is empty (0 bytes)" + AGAIN),
        ("e.parquet", "", "the file is empty (0 bytes)" + AGAIN),
        ("e.csv", HEAD, "the file has a header and no rows (columns: id, company, name, at)" + AGAIN),
        ("e.jsonl", "\n  \n", "the file holds no line" + AGAIN),
        ("e.csv", "\n1,a\n", "the first line is blank, where the names of the columns are expected" + AGAIN),
        ("e.csv", "id,company,name,at,ID\n", "the header names the column `ID` twice; give each column its own name"),
        ("e.csv", HEAD + "1,a,e,2025-01-01\n2,a,e\n", "line 3 has 3 columns where the header has 4" + AGAIN),
        ("e.csv", HEAD + "1,a,e,2025-01-01\n\n2,a,e,,x\n", "line 4 has 5 columns where the header has 4; "),
        (
            "e.csv",
            HEAD + '1,a,e,2025-01-01\n2,"a,e,2025-01-01\n',
            "a quote that opens on line 3 is not closed, or text follows its end; write a quote inside quotes twice",
        ),
        ("e.jsonl", '{"id":1}\n{"id":2\n{"id":3}\n', "line 2 is not valid JSON: Expecting ',' delimiter at character 8; "),
        (
            "e.jsonl",
            '{"id":1}\n\n[1]\n',
            "line 3 holds an array where one JSON object is expected; write one JSON object on each line",
        ),
        ("e.json", '[{"id":1},\n{"id":2}]', "line 1 begins an array; write one JSON object on each line"),
        (
            "e.jsonl",
            "3\n",
            "line 1 holds a single value where one JSON object is expected; write one JSON object on each line",
        ),
        ("e.parquet", "PAR1 and more", "the file is not readable as Parquet: "),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused(connection, tmp_path, name, content, message):
    path = text(tmp_path / name, content)
    assert refusal(connection, events(), path).startswith(message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "e.csv",
            (HEAD + "1,Mü,e,2025-01-01\n").encode("latin-1"),
            "line 2 is not UTF-8; deliver it as UTF-8, or name its encoding in read.encoding of sources.yaml",
        ),
        (
            "e.csv",
            "id,Größe\n".encode("latin-1"),
            "line 1 is not UTF-8; deliver it as UTF-8, or name its encoding in read.encoding of sources.yaml",
        ),
        ("e.jsonl", '{"id":1}\n{"id":"ü"}\n'.encode("latin-1"), "line 2 is not UTF-8; deliver it as UTF-8"),
    ],
)
def test_a_file_in_another_encoding_is_refused(connection, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert refusal(connection, events(), tmp_path / name) == message


def test_an_encoding_that_cannot_be_read_is_refused(connection, tmp_path):
    path = text(tmp_path / "e.csv", HEAD)
    assert refusal(connection, events(read={"encoding": "cp1252"}), path) == (
        "the encoding `cp1252` cannot be read; use utf-8, latin-1 or utf-16 in read.encoding, and convert the file where it "
        "is none of them"
    )


def test_a_truncated_gzip_is_refused_though_its_rows_are_whole(connection, tmp_path):
    content = (HEAD + "1,a,e,2025-01-01\n" * 3).encode()
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(content)[:-4])
    assert refusal(connection, events(), tmp_path / "e.csv.gz") == (
        "the gzip stream is truncated: it ends before its end mark" + AGAIN
    )


@pytest.mark.parametrize(
    ("cut", "reason"),
    [(slice(0, -30), "No magic bytes found at end of file it"), (slice(4, None), "")],
)
def test_a_truncated_parquet_is_refused(connection, tmp_path, cut, reason):
    path = parquet(connection, tmp_path / "e.parquet", "SELECT 'i' id, 'a' company, 'e' AS name, DATE '2025-01-01' AS at")
    path.write_bytes(path.read_bytes()[cut])
    assert refusal(connection, events(), path).startswith(f"the file is not readable as Parquet: {reason}")


def test_a_damaged_page_of_any_mapped_column_is_found(connection, tmp_path):
    path = parquet(
        connection,
        tmp_path / "e.parquet",
        "SELECT md5(i::VARCHAR) id, md5('c' || i) company, 'e' AS name, TIMESTAMP '2025-01-01' AS at FROM range(3000) AS r(i)",
    )
    (start,) = connection.execute(
        "SELECT coalesce(dictionary_page_offset, data_page_offset) FROM parquet_metadata(?) WHERE path_in_schema = 'company'",
        [str(path)],
    ).fetchone()
    content = bytearray(path.read_bytes())
    content[start + 30 : start + 3000] = bytes(2970)
    path.write_bytes(content)
    assert refusal(connection, events(), path).startswith("the file is not readable as Parquet: ")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("e.csv", "id, company, name, ats"),
        ("e.jsonl", "ats, company, id, name"),
        ("e.parquet", "id, company, name, ats"),
    ],
)
def test_a_missing_column_is_named_with_its_closest(connection, tmp_path, name, found):
    row = {"id": "1", "company": "a", "name": "e", "ats": "2025-01-01"}
    if name == "e.csv":
        path = text(tmp_path / name, ",".join(row) + "\n" + ",".join(row.values()) + "\n")
    elif name == "e.jsonl":
        path = text(tmp_path / name, json.dumps(row))
    else:
        path = parquet(connection, tmp_path / name, "SELECT 'i' id, 'a' company, 'e' AS name, DATE '2025-01-01' ats")
    assert refusal(connection, events(), path) == (
        f"the column `at` (columns.occurred_at) is missing; found: {found}; the closest is `ats`; "
        "correct columns.occurred_at in sources.yaml, or deliver the file with this column"
    )


def test_a_missing_property_or_attribute_is_named_by_its_key(connection, tmp_path):
    path = text(tmp_path / "e.csv", HEAD + "1,a,e,2025-01-01\n")
    assert refusal(connection, events(properties=["platform"]), path).startswith(
        "the column `platform` (properties) is missing; found: id, company, name, at; correct properties in sources.yaml"
    )
    path = text(tmp_path / "a.csv", "id,born,n\n1,,\n")
    assert refusal(connection, accounts(attributes={"industry": {"column": "branch"}}), path).startswith(
        "the column `branch` (attributes.industry.column) is missing; found: id, born, n"
    )


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            "1741082400 AS at, 'a' company",
            "the column `at` (columns.occurred_at) is INTEGER, where times are expected; numbers are not guessed to be seconds "
            "or milliseconds: make them times with sql:, such as `SELECT * REPLACE (to_timestamp(at) AS at) FROM file`",
        ),
        (
            "DATE '2025-01-01' AS at, 1.5::DOUBLE company",
            "the column `company` (columns.account_id) is DOUBLE, where identifiers (text or whole numbers) are expected; "
            "correct columns.account_id in sources.yaml, or convert the column with sql:",
        ),
        (
            "true AS at, 'a' company",
            "the column `at` (columns.occurred_at) is BOOLEAN, where times are expected; "
            "correct columns.occurred_at in sources.yaml, or convert the column with sql:",
        ),
        (
            "DATE '2025-01-01' AS at, ['a'] company",
            "the column `company` (columns.account_id) is VARCHAR[], where identifiers (text or whole numbers) are expected; "
            "correct columns.account_id in sources.yaml, or convert the column with sql:",
        ),
    ],
)
def test_a_column_of_a_wrong_type_is_refused(connection, tmp_path, select, message):
    path = parquet(connection, tmp_path / "e.parquet", f"SELECT 'i' id, 'e' AS name, {select}")
    assert refusal(connection, events(), path) == message


def test_epoch_numbers_are_no_times_in_text_either_unless_a_format_says_so(connection, tmp_path):
    path = text(tmp_path / "e.csv", HEAD + "1,a,e,20250304\n")
    assert refusal(connection, events(), path).startswith(
        "the column `at` (columns.occurred_at) is BIGINT, where times are expected; numbers are not guessed"
    )
    assert inspect(connection, events(time_format="%Y%m%d"), path).days == {date(2025, 3, 4): 1}


def test_the_remedy_for_epoch_numbers_works(connection, tmp_path):
    path = parquet(connection, tmp_path / "e.parquet", "SELECT 'i' id, 'a' company, 'e' AS name, 1741082400 AS at")
    sql = "SELECT * REPLACE (to_timestamp(at) AS at) FROM file"
    assert inspect(connection, events(sql=sql), path).days == {date(2025, 3, 4): 1}


def test_events_without_any_readable_time_are_refused(connection, tmp_path):
    recovery = "; name the format of its times in time_format of sources.yaml, or make them times with sql:"
    reason = "no value of the column `at` (columns.occurred_at) is a readable time"
    path = text(tmp_path / "e.csv", HEAD + "1,a,e,\n2,a,e,31/01/2025\n")
    assert refusal(connection, events(), path) == f"{reason}; row 2 holds `31/01/2025`{recovery}"
    path = text(tmp_path / "f.csv", HEAD + "1,a,e,\n")
    assert refusal(connection, events(), path) == f"{reason}: all are empty{recovery}"


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl", "e.parquet"])
def test_a_quiet_day_is_no_refusal_where_empty_days_are_allowed(connection, tmp_path, name):
    if name == "e.parquet":
        path = parquet(connection, tmp_path / name, "SELECT 'i' id, 'a' company, 'e' AS name, DATE '2025-01-01' AS at WHERE false")
        assert refusal(connection, events(), path).startswith("the file has a header and no rows (columns: id, company")
    else:
        path = text(tmp_path / name, HEAD if name == "e.csv" else "\n")
    found = inspect(connection, events(empty_days="allow"), path)
    assert (found.rows, found.days) == (0, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "id,born,n\n1,2025-01-01,5\n2,2025-02-30,twelve\n3,,dozen\n",
            "the column `born` (columns.created_at) does not hold times throughout: in row 2, found `2025-02-30`; deliver the "
            "file with the value corrected, or name the format of its times in time_format of sources.yaml",
        ),
        (
            "id,born,n\n1,2025-01-01,5\n2,,twelve\n3,,dozen\n",
            "the column `n` (columns.seats) does not hold numbers throughout: in row 2, found `twelve` (2 such rows); deliver "
            "the file with the value corrected",
        ),
        (
            "id,born,n\n1,2025-01-01," + "9" * 20 + "x" * 40 + "\n",
            "the column `n` (columns.seats) does not hold numbers throughout: in row 1, found `" + "9" * 20 + "x" * 19 + "…`; "
            "deliver the file with the value corrected",
        ),
        (
            "id,born,n\n1,ann.lee@example.com,5\n",
            "the column `born` (columns.created_at) does not hold times throughout: in row 1, found a value like "
            "`xxx.xxx@xxxxxxx.xxx`; deliver the file",
        ),
        (
            "id,born,n\n1,Ann Lee,5\n",
            "the column `born` (columns.created_at) does not hold times throughout: in row 1, found a value like `xxx xxx`; ",
        ),
    ],
)  # fmt: skip
def test_a_value_of_a_snapshot_that_does_not_convert_is_refused(connection, tmp_path, content, message):
    assert refusal(connection, accounts(), text(tmp_path / "a.csv", content)).startswith(message)


def test_of_users_only_the_shape_of_a_value_is_shown(connection, tmp_path):
    source = UserSource.model_validate({"path": "u", "columns": {"user_id": "id", "created_at": "born"}})
    path = text(tmp_path / "u.csv", "id,born\nann,04-Mar-1990\n")
    assert refusal(connection, source, path).startswith(
        "the column `born` (columns.created_at) does not hold times throughout: in row 1, found a value like `99-xxx-9999`; "
    )


def test_a_snapshot_without_rows_is_refused(connection, tmp_path):
    path = text(tmp_path / "a.csv", "id,born,n\n")
    assert refusal(connection, accounts(), path) == "the file has a header and no rows (columns: id, born, n)" + AGAIN


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("is_trial", "maybe", "true or false"),
        ("is_price_list_change", "2025", "true or false"),
        ("term_months", "12.5", "whole numbers"),
        ("seats", "nan", "numbers"),
        ("mrr", "1e999", "numbers"),
        ("ended_at", "infinity", "times"),
    ],
)
def test_every_kind_of_value_is_checked(connection, tmp_path, column, value, expected):
    columns = {"account_id": "a", "started_at": "t", column: "x"}
    source = SubscriptionSource.model_validate({"path": "s", "columns": columns})
    path = text(tmp_path / "s.csv", f"a,t,x\na,2025-01-01,\na,2025-01-01,{value}\n")
    assert refusal(connection, source, path).startswith(
        f"the column `x` (columns.{column}) does not hold {expected} throughout: in row 2, found `{value}`; "
    )


def test_a_nan_of_a_typed_column_is_no_value(connection, tmp_path):
    path = parquet(connection, tmp_path / "a.parquet", "SELECT 'a' id, DATE '2025-01-01' born, 'nan'::DOUBLE n")
    assert inspect(connection, accounts(), path).rows == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT id, wrong AS company, name, at FROM file",
            'the `sql:` of its source fails on this file: Referenced column "wrong" not found in FROM clause!; '
            "correct the query in sources.yaml, or deliver the file in its usual shape",
        ),
        (
            "SELECT id::INTEGER AS id, company, name, at FROM file",
            "the `sql:` of its source fails on this file: Could not convert string '…' to INT32",
        ),
        ("SELECT * FROM file WHERE false", "the `sql:` of its source gives no row of it"),
    ],
)
def test_sql_that_does_not_fit_a_file_refuses_the_file(connection, tmp_path, sql, message):
    path = text(tmp_path / "e.csv", HEAD + "ann,a,e,2025-01-01\n")
    assert refusal(connection, events(sql=sql), path).startswith(message)
