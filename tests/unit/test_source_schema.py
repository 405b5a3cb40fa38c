"""What changed in a source's schema since its earlier files, and when that refuses a file."""

from pathlib import Path

import pytest
from test_source_world import SHORT_COLUMNS, event_source, new_york, parquet, text

from milestones_dagster.config.sources import AccountSource, UserSource
from milestones_dagster.warehouse.source_files import FileRefused
from milestones_dagster.warehouse.source_inspection import inspect
from milestones_dagster.warehouse.source_schema import (
    SchemaChange,
    check_schema,
    compare_schema,
    first_bad_row,
    remember_schema,
)

ACCOUNTS = AccountSource.model_validate(
    {
        "path": "a",
        "columns": {"account_id": "id", "seats": "n"},
        "attributes": {"industry": {"column": "branch"}},
    }
)


@pytest.fixture
def connection():
    with new_york() as opened:
        yield opened


def accounts_file(folder: Path, *rows: str, header: str = "id,n,branch,note") -> Path:
    return text(folder / "a.csv", "\n".join([header, *rows]) + "\n")


def test_nothing_changed_where_nothing_is_recorded():
    assert compare_schema(None, {"id": "BIGINT"}, ["id"]) == SchemaChange([], [], [])
    assert compare_schema({"id": "BIGINT"}, {"id": "BIGINT"}, ["id"]) == SchemaChange([], [], [])


def test_new_columns_are_all_and_the_rest_is_of_the_mapped_alone():
    recorded = {"id": "BIGINT", "n": "DOUBLE", "branch": "VARCHAR", "note": "BIGINT", "old": "DATE"}
    found = {"id": "VARCHAR", "branch": "VARCHAR", "note": "VARCHAR", "new": "DATE", "newer": "NULL"}
    assert compare_schema(recorded, found, {"id", "n", "branch"}) == SchemaChange(
        new_columns=["new", "newer"], missing_columns=["n"], retyped=[("id", "BIGINT", "VARCHAR")]
    )


def test_a_column_without_values_is_not_retyped():
    assert compare_schema({"id": "NULL", "n": "DOUBLE"}, {"id": "BIGINT", "n": "NULL"}, {"id", "n"}).retyped == []


def test_the_memory_keeps_the_first_type_or_the_wider_one():
    recorded = {"a": "VARCHAR", "b": "NULL", "c": "BIGINT", "d": "DATE", "e": "DOUBLE", "gone": "DATE", "g": "BIGINT"}
    found = {"a": "BIGINT", "b": "DATE", "c": "DOUBLE", "d": "TIMESTAMP", "e": "BIGINT", "new": "NULL", "g": "NULL"}
    assert remember_schema(recorded, found) == {
        "a": "VARCHAR", "b": "DATE", "c": "DOUBLE", "d": "TIMESTAMP", "e": "DOUBLE", "gone": "DATE", "g": "BIGINT",
        "new": "NULL",
    }  # fmt: skip
    assert remember_schema(None, {"a": "DATE"}) == {"a": "DATE"}


def test_a_new_column_and_a_new_type_that_fits_are_only_notes(connection, tmp_path):
    recorded = {"id": "VARCHAR", "n": "DOUBLE", "branch": "VARCHAR"}
    path = accounts_file(tmp_path, "1,5,7,x", "2,,,")
    found = inspect(connection, ACCOUNTS, path).schema
    assert check_schema(connection, ACCOUNTS, path, recorded, found) == SchemaChange(
        new_columns=["note"],
        retyped=[("id", "VARCHAR", "BIGINT"), ("n", "DOUBLE", "BIGINT"), ("branch", "VARCHAR", "BIGINT")],
    )


def test_a_number_column_that_turned_into_text_refuses_the_file(connection, tmp_path):
    rows = [f"{n},5,{n},x" for n in range(1, 700)]
    path = accounts_file(tmp_path, *rows, "x-700,5,food,x", "y-701,5,9,x")
    recorded = {"id": "BIGINT", "n": "BIGINT", "branch": "BIGINT", "note": "VARCHAR"}
    found = inspect(connection, ACCOUNTS, path).schema
    with pytest.raises(FileRefused) as refused:
        check_schema(connection, ACCOUNTS, path, recorded, found)
    assert str(refused.value) == (
        f"{path}: the column `id` was BIGINT in earlier files and is VARCHAR in this one; the first row that does not "
        "convert is row 700: a value like `x-999`; deliver the file with values of the earlier type, or change its "
        "mapping in sources.yaml"
    )


def test_a_mapped_column_that_is_gone_refuses_the_file(connection, tmp_path):
    path = accounts_file(tmp_path, "1,5", header="id,branch")
    with pytest.raises(FileRefused) as refused:
        check_schema(connection, ACCOUNTS, path, {"id": "BIGINT", "n": "DOUBLE"}, {"id": "BIGINT", "branch": "BIGINT"})
    assert str(refused.value) == (
        f"{path}: the column `n` (DOUBLE in earlier files) is missing; found: id, branch; deliver the file with this "
        "column, or change its mapping in sources.yaml"
    )


@pytest.mark.parametrize(
    ("select", "old_type", "bad"),
    [
        ("(VALUES ('2025-01-01'), (NULL), (' '), ('31/01/2025')) AS t(at)", "DATE", (4, "`31/01/2025`")),
        ("(VALUES ('2025-01-01'), ('2025-01-02')) AS t(at)", "TIMESTAMP", None),
        ("(VALUES (TIMESTAMP '2025-01-01'), (TIMESTAMP '2025-01-02')) AS t(at)", "DATE", None),
        ("(VALUES (NULL), (TIMESTAMP '2025-01-01')) AS t(at)", "BIGINT", (2, "`2025-01-01 00:00:00`")),
        ("(VALUES (NULL), ({'x': 1})) AS t(at)", "INTEGER", (2, "`{'x': 1}`")),
        ("(VALUES (NULL::INTEGER)) AS t(at)", "TIMESTAMP", None),
        ("(VALUES ('" + "z" * 50 + "')) AS t(at)", "TIMESTAMP", (1, "`" + "z" * 39 + "…`")),
    ],
)  # fmt: skip
def test_the_first_bad_row_of_a_type(connection, tmp_path, select, old_type, bad):
    select = select.replace("t(at)", 't("at")')
    path = parquet(connection, tmp_path / "e.parquet", f"SELECT 'i' id, 'a' company, 'e' AS name, t.at FROM {select}")
    assert first_bad_row(connection, event_source(columns=SHORT_COLUMNS), path, "at", old_type) == bad


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_the_first_bad_row_of_text_files(connection, tmp_path, name):
    content = "id,n,branch\n1,5,\n2,9,7\n3,,x7\n"
    if name == "a.jsonl":
        content = '{"id":1,"n":5,"branch":""}\n{"id":2,"branch":7}\n\n{"id":3,"branch":"x7"}\n'
    path = text(tmp_path / name, content)
    assert first_bad_row(connection, ACCOUNTS, path, "branch", "BIGINT") == (3, "a value like `x9`")
    assert first_bad_row(connection, ACCOUNTS, path, "id", "BIGINT") is None


def test_the_first_bad_row_is_of_the_outputs_of_sql(connection, tmp_path):
    source = event_source(columns=SHORT_COLUMNS, sql="SELECT id, who company, 'e' AS name, day AS at FROM file ORDER BY at")
    path = text(tmp_path / "e.csv", "id,who,day\n1,a,soon\n2,b,2025-01-01\n")
    assert first_bad_row(connection, source, path, "at", "DATE") == (2, "`soon`")


def test_nothing_personal_is_shown_of_users(connection, tmp_path):
    source = UserSource.model_validate({"path": "u", "columns": {"user_id": "id", "created_at": "born"}})
    path = text(tmp_path / "u.csv", "id,born\nAnn Lee <ann@example.com>,May 1990\n")
    assert first_bad_row(connection, source, path, "id", "BIGINT") == (1, "a value like `xxx xxx <xxx@xxxxxxx.xxx>`")
    assert first_bad_row(connection, source, path, "born", "DATE") == (1, "a value like `xxx 9999`")


def test_a_file_that_cannot_be_read_any_more_is_refused(connection, tmp_path):
    path = accounts_file(tmp_path, "1,5,x,y", "2,5")
    with pytest.raises(FileRefused, match="line 3 has 2 columns where the header has 4"):
        first_bad_row(connection, ACCOUNTS, path, "branch", "BIGINT")
