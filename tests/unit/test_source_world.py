"""What the tests of sources share: a connection, small files, their mapping, and the mapped rows.

Put here how a file is written and read back. Keep out expectations.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse.source_mapping import rows_of

EVENT_COLUMNS = {
    "event_id": "id",
    "account_id": "company",
    "user_id": "person",
    "event": "name",
    "occurred_at": "at",
    "received_at": "got_at",
    "properties": "props",
}


SHORT_COLUMNS = {"event_id": "id", "account_id": "company", "event": "name", "occurred_at": "at"}


@contextmanager
def new_york() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection in another zone than UTC: nothing may depend on the session's."""
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'America/New_York'")
        yield opened


def event_source(**keys: object) -> EventSource:
    return EventSource.model_validate({"name": "product", "path": "events", "columns": EVENT_COLUMNS, **keys})


def mapped(connection, source, *paths: Path) -> list[dict[str, object]]:
    query = rows_of(source, paths).sql(dialect="duckdb")
    found = connection.execute("SELECT * FROM (" + query + ") AS mapped ORDER BY file, file_row")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def parquet(connection, path: Path, select: str) -> Path:
    connection.sql(select).write_parquet(str(path))
    return path


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_text(content, encoding=encoding, newline="")
    return path


def test_the_session_is_not_in_utc():
    with new_york() as opened:
        assert opened.execute("SELECT TIMESTAMPTZ '2025-01-01 00:00:00+00'::VARCHAR").fetchall() == [("2024-12-31 19:00:00-05",)]
