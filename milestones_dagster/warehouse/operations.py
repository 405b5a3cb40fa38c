"""The `operations` tables: what was loaded, published and waived, by which run and when.

Put here every read and write of those tables. Run ids and clock times live here alone, so that published tables are the same rows
whoever makes them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType

from sqlglot import exp

from milestones_dagster.warehouse import changes
from milestones_dagster.warehouse.duckdb import Warehouse

_TABLES = (
    """CREATE TABLE IF NOT EXISTS operations.source_files (
        source VARCHAR NOT NULL, file VARCHAR NOT NULL, size_bytes BIGINT, modified_at TIMESTAMP, content_hash VARCHAR,
        mapping_hash VARCHAR, rows BIGINT, refused_rows BIGINT, home_day DATE, state VARCHAR NOT NULL, reason VARCHAR,
        columns VARCHAR, run_id VARCHAR, seen_at TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS operations.source_file_days (
        source VARCHAR NOT NULL, file VARCHAR NOT NULL, day DATE NOT NULL, rows BIGINT, refused_rows BIGINT)""",
    """CREATE TABLE IF NOT EXISTS operations.days (
        day DATE NOT NULL, signature VARCHAR NOT NULL, rows BIGINT, refused_rows BIGINT, run_id VARCHAR, published_at TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS operations.publications (
        table_name VARCHAR NOT NULL, signature VARCHAR NOT NULL, as_of TIMESTAMP, fingerprint VARCHAR, code_hash VARCHAR,
        row_count BIGINT, run_id VARCHAR, published_at TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS operations.publication_days (
        table_name VARCHAR NOT NULL, day DATE NOT NULL, signature VARCHAR NOT NULL)""",
    # what is made again: the state of each table, what a `then:` function was given; of tables by month what changed, what was read
    """CREATE TABLE IF NOT EXISTS operations.versions (table_name VARCHAR NOT NULL, version BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS operations.given (table_name VARCHAR NOT NULL, digest VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS operations.changes (
        table_name VARCHAR NOT NULL, version BIGINT NOT NULL, account_key BIGINT, since TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS operations.made_from (
        table_name VARCHAR NOT NULL, dependency VARCHAR NOT NULL, version BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS operations.increments (
        table_name VARCHAR NOT NULL, own VARCHAR NOT NULL, as_of TIMESTAMP NOT NULL)""",
    # what the serving copy that was made last holds
    """CREATE TABLE IF NOT EXISTS operations.served (
        copy VARCHAR NOT NULL, table_name VARCHAR NOT NULL, state VARCHAR NOT NULL)""",
    # the picture of each table, which most days leave as it was
    """CREATE TABLE IF NOT EXISTS operations.plots (
        table_name VARCHAR NOT NULL, drawn_from VARCHAR NOT NULL, markdown VARCHAR)""",
    """CREATE TABLE IF NOT EXISTS operations.waivers (
        day DATE NOT NULL, reason VARCHAR NOT NULL, waived_at TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS operations.framework_versions (
        fingerprint VARCHAR NOT NULL, definitions VARCHAR NOT NULL, first_as_of TIMESTAMP, run_id VARCHAR,
        published_at TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS operations.snapshot_files (
        source VARCHAR NOT NULL, content_hash VARCHAR NOT NULL, columns VARCHAR, extracted_at TIMESTAMP, run_id VARCHAR,
        published_at TIMESTAMP)""",
    # kept until a run has told of them: a look that no run follows must not use the news up
    """CREATE TABLE IF NOT EXISTS operations.new_columns (
        table_name VARCHAR NOT NULL, file VARCHAR NOT NULL, column_name VARCHAR NOT NULL, run_id VARCHAR, seen_at TIMESTAMP)""",
)


_FILE_COLUMNS = (
    "source", "file", "size_bytes", "modified_at", "content_hash", "mapping_hash", "rows", "refused_rows", "home_day", "state",
    "reason", "columns",
)  # fmt: skip


FileDay = tuple[str, str, date, int, int]
"""Source, file, a day that its rows touch, rows and refused rows."""


@dataclass(frozen=True)
class KnownFile:
    """One row of `operations.source_files`: a file of an event source as it was last seen."""

    source: str
    file: str
    size_bytes: int
    modified_at: datetime
    content_hash: str
    mapping_hash: str
    rows: int
    refused_rows: int
    home_day: date | None
    state: str
    reason: str | None
    columns: dict[str, str]


@dataclass(frozen=True)
class Publication:
    """What a table was last made from."""

    table: str
    signature: str
    as_of: datetime | None
    fingerprint: str
    code_hash: str
    row_count: int


def prepare(warehouse: Warehouse) -> None:
    """Makes the operations tables where they are missing, and forgets readers that are no tables of the warehouse any more."""
    for statement in _TABLES:
        warehouse.execute(statement)
    # warehouses of an earlier version are without it
    warehouse.execute("ALTER TABLE operations.publications ADD COLUMN IF NOT EXISTS made_of VARCHAR")
    changes.forget_readers(warehouse, warehouse.tables)


def known_files(warehouse: Warehouse, source: str) -> dict[str, KnownFile]:
    """All files of an event source that were ever seen, by path."""
    rows = warehouse.rows(
        """SELECT source, file, size_bytes, modified_at, content_hash, mapping_hash, rows, refused_rows, home_day, state, reason,
           columns FROM operations.source_files WHERE source = ? ORDER BY file""",
        [source],
    )
    files = {}
    for row in rows:
        facts = dict(zip(_FILE_COLUMNS, row, strict=True))
        facts["columns"] = json.loads(facts["columns"] or "{}")
        files[facts["file"]] = KnownFile(**facts)
    return files


def file_days(warehouse: Warehouse) -> list[FileDay]:
    """Source, file, day, rows and refused rows of every file and day that it touches."""
    return warehouse.rows(
        "SELECT source, file, day, rows, refused_rows FROM operations.source_file_days ORDER BY day, source, file",
    )


def remember_files(
    warehouse: Warehouse,
    source: str,
    files: Sequence[tuple[KnownFile, Mapping[date, tuple[int, int]] | None]],
    run_id: str,
    now: datetime,
    new_columns: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> None:
    """Records files of an event source as last seen, in one transaction, with what is to be told of them.

    Beside a file stand rows and refused rows by day, which replace what was known of its days, or None, which keeps it.
    `new_columns` are those that earlier files did not have, by file.
    """
    names = {"source": "VARCHAR", "file": "VARCHAR"}
    of_files = "WHERE source = ? AND file IN (SELECT unnest(?::VARCHAR[]))"
    with warehouse.transaction():
        warehouse.execute(f"DELETE FROM operations.source_files {of_files}", [source, [file.file for file, _ in files]])
        warehouse.insert(
            exp.table_("source_files", db="operations"),
            {
                **names, "size_bytes": "BIGINT", "modified_at": "TIMESTAMP", "content_hash": "VARCHAR", "mapping_hash": "VARCHAR",
                "rows": "BIGINT", "refused_rows": "BIGINT", "home_day": "DATE", "state": "VARCHAR", "reason": "VARCHAR",
                "columns": "VARCHAR", "run_id": "VARCHAR", "seen_at": "TIMESTAMP",
            },
            [
                (
                    file.source, file.file, file.size_bytes, file.modified_at, file.content_hash, file.mapping_hash, file.rows,
                    file.refused_rows, file.home_day, file.state, file.reason, json.dumps(file.columns), run_id, now,
                )
                for file, _ in files
            ],
        )  # fmt: skip
        touched = [(file.file, days) for file, days in files if days is not None]
        warehouse.execute(f"DELETE FROM operations.source_file_days {of_files}", [source, [file for file, _ in touched]])
        warehouse.insert(
            exp.table_("source_file_days", db="operations"),
            {**names, "day": "DATE", "rows": "BIGINT", "refused_rows": "BIGINT"},
            [(source, file, day, rows, refused) for file, days in touched for day, (rows, refused) in sorted(days.items())],
        )
        news = [(Path(file.file), column) for file, _ in files for column in new_columns.get(file.file, ())]
        note_columns(warehouse, "raw_events", news, run_id, now)


def note_columns(warehouse: Warehouse, table: str, columns: Iterable[tuple[Path, str]], run_id: str, now: datetime) -> None:
    """Keeps the new columns (file, column) of a table's source to be told, inside the transaction that records their schema."""
    warehouse.insert(
        exp.table_("new_columns", db="operations"),
        {"table_name": "VARCHAR", "file": "VARCHAR", "column_name": "VARCHAR", "run_id": "VARCHAR", "seen_at": "TIMESTAMP"},
        [(table, path.name, column, run_id, now) for path, column in columns],
    )


def untold_columns(warehouse: Warehouse, table: str) -> list[tuple[str, str]]:
    """File name and column of the new columns of a table's source that no run has told of yet."""
    return warehouse.rows(
        "SELECT file, column_name FROM operations.new_columns WHERE table_name = ? ORDER BY seen_at, file, column_name",
        [table],
    )


def settle_columns(warehouse: Warehouse, table: str) -> None:
    """Forgets the new columns of a table's source: a run has told of them."""
    warehouse.execute("DELETE FROM operations.new_columns WHERE table_name = ?", [table])


def forget_moved(warehouse: Warehouse, source: str, gone: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Forgets files that are gone from their place but there, with the same content, at another; returns them."""
    known = known_files(warehouse, source)
    absent = {file for name, file in gone if name == source}
    present = {record.content_hash for file, record in known.items() if file not in absent and record.state == "loaded"}
    moved = {(source, file) for file in absent if file in known and known[file].content_hash in present}
    with warehouse.transaction():
        for name, file in sorted(moved):
            warehouse.execute("DELETE FROM operations.source_files WHERE source = ? AND file = ?", [name, file])
            warehouse.execute("DELETE FROM operations.source_file_days WHERE source = ? AND file = ?", [name, file])
    return moved


def loaded_files(warehouse: Warehouse) -> list[Path]:
    """Every file of an event source that was ever seen and is not withdrawn, in the order of the paths."""
    return [Path(row[0]) for row in warehouse.rows("SELECT DISTINCT file FROM operations.source_files ORDER BY file")]


def withdraw_file(warehouse: Warehouse, path: str) -> None:
    """Forgets a file that is gone for good, so that its days are made without it."""
    with warehouse.transaction():
        warehouse.execute("DELETE FROM operations.source_file_days WHERE file = ?", [path])
        warehouse.execute("DELETE FROM operations.source_files WHERE file = ?", [path])


def published_days(warehouse: Warehouse) -> dict[date, str]:
    """Signature of every published day of raw_events."""
    return dict(warehouse.rows("SELECT day, signature FROM operations.days ORDER BY day"))


def record_days(
    warehouse: Warehouse,
    days: Iterable[tuple[date, str, int, int]],
    run_id: str,
    now: datetime,
) -> None:
    """Records published days: day, signature, accepted rows, refused rows."""
    rows = [(day, signature, accepted, refused, run_id, now) for day, signature, accepted, refused in days]
    columns = {
        "day": "DATE", "signature": "VARCHAR", "rows": "BIGINT", "refused_rows": "BIGINT", "run_id": "VARCHAR",
        "published_at": "TIMESTAMP",
    }  # fmt: skip
    with warehouse.transaction():
        warehouse.execute("DELETE FROM operations.days WHERE day IN (SELECT unnest(?::DATE[]))", [[row[0] for row in rows]])
        warehouse.insert(exp.table_("days", db="operations"), columns, rows)


def waivers(warehouse: Warehouse) -> dict[date, str]:
    """Reason of every waived day."""
    return dict(warehouse.rows("SELECT day, reason FROM operations.waivers ORDER BY day"))


def waive(warehouse: Warehouse, day: date, reason: str, now: datetime) -> None:
    """Waives a day: the watermark passes it although it is not published."""
    with warehouse.transaction():
        warehouse.execute("DELETE FROM operations.waivers WHERE day = ?", [day])
        warehouse.execute("INSERT INTO operations.waivers VALUES (?, ?, ?)", [day, reason, now])


def unwaive(warehouse: Warehouse, day: date) -> bool:
    """Takes the waiver of a day back; whether there was one."""
    was_waived = day in waivers(warehouse)
    warehouse.execute("DELETE FROM operations.waivers WHERE day = ?", [day])
    return was_waived


def publications(warehouse: Warehouse) -> dict[str, Publication]:
    """What every published table was made from, by table."""
    rows = warehouse.rows(
        "SELECT table_name, signature, as_of, fingerprint, code_hash, row_count FROM operations.publications",
    )
    return {row[0]: Publication(*row) for row in rows}


def record_publication(warehouse: Warehouse, publication: Publication, run_id: str, now: datetime) -> None:
    """Records a publication inside the transaction that publishes its rows."""
    warehouse.execute("DELETE FROM operations.publications WHERE table_name = ?", [publication.table])
    warehouse.execute(
        """INSERT INTO operations.publications (
            table_name, signature, as_of, fingerprint, code_hash, row_count, run_id, published_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            publication.table, publication.signature, publication.as_of, publication.fingerprint, publication.code_hash,
            publication.row_count, run_id, now,
        ],
    )  # fmt: skip


def record_inputs(warehouse: Warehouse, table: str, states: str) -> None:
    """Records of which states of what it reads the published rows of a table are, with `record_publication` or its confirmation."""
    warehouse.execute("UPDATE operations.publications SET made_of = ? WHERE table_name = ?", [states, table])


def inputs_recorded(warehouse: Warehouse) -> dict[str, str | None]:
    """What `record_inputs` recorded of every published table; None of those of an earlier version of this product."""
    return dict(warehouse.rows("SELECT table_name, made_of FROM operations.publications"))


def confirm_publication(warehouse: Warehouse, table: str, signature: str, as_of: datetime | None, fingerprint: str) -> None:
    """Records that the published rows are also what other inputs (`signature`), a later as-of time or another config give."""
    warehouse.execute(
        "UPDATE operations.publications SET signature = ?, as_of = ?, fingerprint = ? WHERE table_name = ?",
        [signature, as_of, fingerprint, table],
    )


def publication_days(warehouse: Warehouse, table: str) -> dict[date, str]:
    """Signature of every day that a table by day holds."""
    return dict(warehouse.rows("SELECT day, signature FROM operations.publication_days WHERE table_name = ?", [table]))


def record_publication_days(warehouse: Warehouse, table: str, days: Mapping[date, str]) -> None:
    """Records the days that a table by day holds now, inside the transaction that publishes their rows."""
    warehouse.execute(
        "DELETE FROM operations.publication_days WHERE table_name = ? AND day IN (SELECT unnest(?::DATE[]))",
        [table, list(days)],
    )
    warehouse.insert(
        exp.table_("publication_days", db="operations"),
        {"table_name": "VARCHAR", "day": "DATE", "signature": "VARCHAR"},
        [(table, day, signature) for day, signature in sorted(days.items())],
    )


def forget_publication_days(warehouse: Warehouse, table: str, days: Iterable[date]) -> None:
    """Forgets days that a table was made from and that are no more."""
    warehouse.execute(
        "DELETE FROM operations.publication_days WHERE table_name = ? AND day IN (SELECT unnest(?::DATE[]))",
        [table, list(days)],
    )


def kept_plot(warehouse: Warehouse, table: str, drawn_from: str) -> tuple[str | None] | None:
    """The kept picture of a table (None inside the tuple: nothing to draw), None where none was drawn from this."""
    found = warehouse.rows("SELECT markdown FROM operations.plots WHERE table_name = ? AND drawn_from = ?", [table, drawn_from])
    return found[0] if found else None


def keep_plot(warehouse: Warehouse, table: str, drawn_from: str, markdown: str | None) -> None:
    """Keeps the picture of a table in the place of the one before, with a digest of what it was drawn from."""
    warehouse.execute("DELETE FROM operations.plots WHERE table_name = ?", [table])
    warehouse.execute("INSERT INTO operations.plots VALUES (?, ?, ?)", [table, drawn_from, markdown])


def record_framework(
    warehouse: Warehouse,
    fingerprint: str,
    definitions: Mapping[str, object],
    as_of: datetime | None,
    run_id: str,
    now: datetime,
) -> None:
    """Records the definitions in force under their fingerprint, once."""
    if warehouse.scalar("SELECT count(*) FROM operations.framework_versions WHERE fingerprint = ?", [fingerprint]):
        return
    warehouse.execute(
        "INSERT INTO operations.framework_versions VALUES (?, ?, ?, ?, ?)",
        [fingerprint, json.dumps(definitions, sort_keys=True, default=str), as_of, run_id, now],
    )


def snapshot_columns(warehouse: Warehouse, source: str) -> dict[str, str] | None:
    """Columns and types of the last accepted extract of a snapshot source, None before the first."""
    text = warehouse.scalar(
        "SELECT columns FROM operations.snapshot_files WHERE source = ? ORDER BY published_at DESC LIMIT 1",
        [source],
    )
    return None if text is None else json.loads(text)


def record_snapshot(
    warehouse: Warehouse,
    source: str,
    content_hash: str,
    columns: Mapping[str, str],
    extracted_at: datetime,
    run_id: str,
    now: datetime,
) -> None:
    """Records an accepted extract of a snapshot source, inside the transaction that publishes its rows."""
    warehouse.execute("DELETE FROM operations.snapshot_files WHERE source = ? AND content_hash = ?", [source, content_hash])
    warehouse.execute(
        "INSERT INTO operations.snapshot_files VALUES (?, ?, ?, ?, ?, ?)",
        [source, content_hash, json.dumps(dict(columns)), extracted_at, run_id, now],
    )
