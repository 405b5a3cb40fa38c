"""A source's `sql:` reshapes one file at a time, and reads nothing else."""
# ruff: noqa: DTZ001 (the warehouse's times are naive and UTC)

import json
from datetime import datetime

import pytest
from test_source_world import SHORT_COLUMNS, event_source, mapped, new_york, parquet, text

from milestones_dagster.config.sources import AccountSource, UserSource
from milestones_dagster.warehouse.source_mapping import rows_of
from milestones_dagster.warehouse.source_reader import SourceSqlError


@pytest.fixture
def connection():
    with new_york() as opened:
        yield opened


SQL = """
    WITH days AS (SELECT DATE '2025-01-01' + day::INTEGER AS at, class || '/' || pupil AS company, clicks, site
                  FROM file)
    SELECT at, company, 'view' AS name, site FROM days
    UNION ALL
    SELECT at, company, 'click', site FROM days, unnest(range(clicks::BIGINT)) AS u(n)
"""


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl", "e.parquet"])
def test_sql_reshapes_one_file_at_a_time(connection, tmp_path, name):
    paths = []
    for day in (0, 1):
        path = tmp_path / f"{day}-{name}"
        row = {"day": day, "class": "a", "pupil": 7, "clicks": 2 - day, "site": "home"}
        if name.endswith("csv"):
            text(path, ",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
        elif name.endswith("jsonl"):
            text(path, json.dumps(row))
        else:
            parquet(connection, path, f"SELECT {day} AS day, 'a' AS class, 7 pupil, {2 - day} clicks, 'home' site")
        paths.append(path)
    columns = {"account_id": "company", "event": "name", "occurred_at": "at"}
    source = event_source(path="x", sql=SQL, columns=columns, properties=["site"])
    rows = mapped(connection, source, *paths)
    assert [(row["account_id"], row["event"], row["occurred_at"], row["file"], row["file_row"]) for row in rows] == [
        ("a/7", "click", datetime(2025, 1, 1), str(paths[0]), 1),
        ("a/7", "click", datetime(2025, 1, 1), str(paths[0]), 2),
        ("a/7", "view", datetime(2025, 1, 1), str(paths[0]), 3),
        ("a/7", "click", datetime(2025, 1, 2), str(paths[1]), 1),
        ("a/7", "view", datetime(2025, 1, 2), str(paths[1]), 2),
    ]
    assert {row["properties"] for row in rows} == {'{"site":"home"}'}
    assert len({row["event_id"] for row in rows if row["file"] == str(paths[0])}) == 3


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, company, name, at FROM file",
        "FROM file",
        "SELECT f.* FROM FILE AS f;",
        "SELECT file.* FROM file WHERE file.id = '1'",
        "SELECT DISTINCT a.* FROM file a JOIN file b ON a.id = b.id",
        "SELECT * FROM (SELECT * FROM file ORDER BY id) WHERE EXISTS (SELECT 1 FROM file)",
        "SELECT id, company, k AS name, at FROM (UNPIVOT file ON name INTO NAME k VALUE v)",
    ],
)
def test_sql_may_name_the_file_in_any_place(connection, tmp_path, sql):
    path = text(tmp_path / "e.csv", "id,company,name,at\n1,a,name,2025-01-01\n")
    (row,) = mapped(connection, event_source(sql=sql, columns=SHORT_COLUMNS), path)
    assert (row["event_id"], row["account_id"], row["event"], row["occurred_at"]) == (
        "1",
        "a",
        "name",
        datetime(2025, 1, 1),
    )


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT * FROM accounts", "reads `accounts`; expected `file` alone"),
        ("SELECT * FROM file JOIN raw.file USING (id)", "reads `raw.file`; expected `file` alone"),
        ("SELECT * FROM file WHERE id IN (SELECT id FROM read_csv('x.csv'))", "reads `READ_CSV('x.csv')`"),
        ("SELECT * FROM 'x.csv'", 'reads `"x.csv"`'),
        ("WITH a AS (SELECT 1 id) SELECT * FROM (WITH b AS (SELECT * FROM file) FROM b) c, b", "reads `b`"),
        ("WITH file AS (SELECT 1 id) SELECT * FROM file", "gives the name `file` to a query of its own"),
        ("SELECT 1; SELECT 2", "has 2 statements; expected one SELECT over `file`"),
        (" ; ", "has 0 statements"),
        ("DELETE FROM file", "is a DELETE statement; expected one SELECT over `file`"),
        ("COPY file TO 'x.csv'", "is a COPY statement"),
        ("CREATE TABLE x AS SELECT * FROM file", "is a CREATE statement"),
        ("SELECT id\nFROM (file", "cannot be read (line 2: Expecting )"),
    ],
)
def test_sql_that_is_not_one_select_over_the_file_is_refused(tmp_path, sql, found):
    path = text(tmp_path / "e.csv", "id,company,name,at\n1,a,name,2025-01-01\n")
    with pytest.raises(SourceSqlError) as refused:
        rows_of(event_source(sql=sql, columns=SHORT_COLUMNS), [path])
    assert str(refused.value).startswith(f"events source product: sql: {found}")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (AccountSource.model_validate({"path": "a", "sql": "x", "columns": {"account_id": "a"}}), "accounts source"),
        (UserSource.model_validate({"path": "a", "sql": "x", "columns": {"user_id": "a"}}), "users source"),
    ],
)
def test_the_refusal_of_sql_names_the_source(tmp_path, source, name):
    path = text(tmp_path / "e.csv", "a\n1\n")
    with pytest.raises(SourceSqlError, match=f"^{name}: sql: "):
        rows_of(source, [path])
