"""Whether one file is accepted, and what it holds: columns and types, rows, UTC days.

Put here every reason to refuse a file that can be read. Keep out why one cannot be read (`source_diagnosis.py`) and
what changed since earlier files (`source_schema.py`).
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
from sqlglot import exp

from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse.source_diagnosis import refusal_of
from milestones_dagster.warehouse.source_files import FileRefused, format_of_file, refuse_broken_bytes
from milestones_dagster.warehouse.source_mapping import (
    AnySource,
    Looked,
    MappedColumn,
    is_without_id,
    layout,
    mapped_columns,
    refuse_missing,
    version_of,
)
from milestones_dagster.warehouse.source_reader import DIALECT, TEXT_FORMATS, call, columns_of, rows_of_file
from milestones_dagster.warehouse.source_schema import NO_VALUES, first_row, inferred_types, shown
from milestones_dagster.warehouse.source_values import (
    EXPECTED,
    accepts,
    cast_to,
    converted,
    family_of,
    is_there,
    unconverted,
)

_EPOCH = (
    "numbers are not guessed to be seconds or milliseconds: make them times with sql:, such as "
    "`SELECT * REPLACE (to_timestamp({column}) AS {column}) FROM file`"
)


@dataclass(frozen=True)
class FileInspection:
    """What an accepted file holds.

    `schema`: every column (with `sql:`, every output) and its type; of text files the narrowest that all values have,
    `NULL` without values. `days`: rows by UTC day, of event sources alone; rows whose time is unreadable are counted to
    the earliest readable day.
    """

    schema: dict[str, str]
    rows: int
    days: dict[date, int] = field(default_factory=dict)


def inspect(connection: duckdb.DuckDBPyConnection, source: AnySource, path: Path, looked: Looked | None = None) -> FileInspection:
    """Return what a file holds, when it can be accepted.

    It reads on a cursor of its own, so that a broken file leaves an open transaction of `connection` as it is, and files can be
    inspected at once.

    Args:
        connection: reads the file.
        source: its source.
        path: the file.
        looked: is told what `rows_of` would look for in a file of events, which is thus not read for it.

    Raises:
        FileRefused: when the file is empty, truncated, unreadable or broken, lacks a mapped column, has one of a wrong
        type, or, of a
            snapshot source, a value that does not convert; of an event source when no time in it is readable.
        SourceSqlError: when the source's `sql:` is not one query over `file`.
    """
    version = version_of(source, path)
    refuse_broken_bytes(path)
    try:
        with closing(connection.cursor()) as cursor:
            types = columns_of(cursor, source, path)
            if types or source.sql is not None:
                refuse_missing(source, path, types)
            schema = _schema(cursor, source, path, types)
            _refuse_wrong_types(source, path, types, schema)
            if isinstance(source, EventSource):
                found, is_nameless = _inspect_events(cursor, source, path, schema, types)
                if looked is not None:
                    mapped, is_numbered = layout(cursor, source, path, types)
                    looked[version] = (tuple(mapped.items()), is_numbered, is_nameless)
                return found
            return _inspect_snapshot(cursor, source, path, schema, types)
    except duckdb.Error as error:
        raise refusal_of(source, path, error) from error


def _schema(cursor: duckdb.DuckDBPyConnection, source: AnySource, path: Path, types: Mapping[str, str]) -> dict[str, str]:
    schema = dict(types)
    if format_of_file(source, path) in TEXT_FORMATS:
        texts = [column for column, type_name in types.items() if type_name == "VARCHAR"]
        schema |= inferred_types(cursor, rows_of_file(source, path, types), texts)
    # keys of JSON lines that no row of this file has
    return schema | {column.column: NO_VALUES for column in mapped_columns(source) if column.column not in schema}


def _refuse_wrong_types(source: AnySource, path: Path, types: Mapping[str, str], schema: Mapping[str, str]) -> None:
    for column in mapped_columns(source):
        name = column.column
        is_epoch = column.kind == "time" and source.time_format is None and family_of(schema[name]) in {"whole", "decimal"}
        if not is_epoch and accepts(column.kind, types.get(name, NO_VALUES)):
            continue
        raise FileRefused(
            path,
            f"the column `{name}` ({column.key}) is {schema[name]}, where {EXPECTED[column.kind]} are expected",
            _EPOCH.format(column=name) if is_epoch else f"correct {column.key} in sources.yaml, or convert the column with sql:",
        )


def _inspect_events(
    cursor: duckdb.DuckDBPyConnection,
    source: EventSource,
    path: Path,
    schema: dict[str, str],
    types: Mapping[str, str],
) -> tuple[FileInspection, bool]:
    """What a file of events holds, and whether some of them have no event_id."""
    time = next(column for column in mapped_columns(source) if column.target == "occurred_at")
    value = exp.column(time.column, quoted=True)
    at = converted("time", value, types.get(time.column, NO_VALUES), source).as_("__at", quoted=True)
    known = exp.column("__at", quoted=True)
    rows = exp.select("*", at).from_(rows_of_file(source, path, types).subquery("raw_rows", copy=False)) if types else None
    days: dict[date | None, int] = {}
    is_nameless = False
    if rows is not None:
        measures = [exp.Count(this=exp.Star()), call("count_if", is_without_id(source, types)), *_touched(source, types)]
        query = (
            exp.select(cast_to(known, "DATE"), *measures)
            .from_(rows.subquery("timed_rows", copy=False))
            .group_by(exp.Literal.number(1))
        )
        found = cursor.execute(query.sql(dialect=DIALECT)).fetchall()
        days = {row[0]: row[1] for row in found}
        is_nameless = any(row[2] for row in found)
    total = sum(days.values())
    if total == 0:
        if source.empty_days == "allow":
            return FileInspection(schema, 0), is_nameless
        raise _without_rows(source, path, types)
    unreadable = days.pop(None, 0)
    if not days:
        bad = first_row(cursor, source, path, {time.column: types[time.column]}, is_there(value))
        raise FileRefused(
            path,
            f"no value of the column `{time.column}` ({time.key}) is a readable time"
            + (f"; row {bad[0]} holds {shown(source, time.column, bad[1])}" if bad else ": all are empty"),
            "name the format of its times in time_format of sources.yaml, or make them times with sql:",
        )
    counts = {day: days[day] for day in sorted(day for day in days if day is not None)}
    counts[min(counts)] += unreadable
    return FileInspection(schema, total, counts), is_nameless


def _inspect_snapshot(
    cursor: duckdb.DuckDBPyConnection,
    source: AnySource,
    path: Path,
    schema: dict[str, str],
    types: Mapping[str, str],
) -> FileInspection:
    checked = [column for column in mapped_columns(source) if column.kind in {"time", "number", "integer", "flag"}]
    conditions = {
        column: unconverted(column.kind, exp.column(column.column, quoted=True), types[column.column], source)
        for column in checked
        if types
    }
    total, bad = 0, [0] * len(conditions)
    if types:
        measures = [exp.Count(this=exp.Star()), *(call("count_if", condition) for condition in conditions.values())]
        query = exp.select(*measures, *_touched(source, types)).from_(
            rows_of_file(source, path, types).subquery("raw_rows", copy=False)
        )
        found = cursor.execute(query.sql(dialect=DIALECT)).fetchone() or (0,)
        total, bad = int(found[0]), [int(count or 0) for count in found[1 : 1 + len(conditions)]]
    if total == 0:
        raise _without_rows(source, path, types)
    for (column, condition), count in zip(conditions.items(), bad, strict=True):
        if count:
            row = first_row(cursor, source, path, {column.column: types[column.column]}, condition)
            raise _unconverted_value(source, path, column, row, count)
    return FileInspection(schema, total)


def _touched(source: AnySource, types: Mapping[str, str]) -> list[exp.Expr]:
    """Return counts of every mapped column: they make the reader decode it, so that a damaged page is found now."""
    names = dict.fromkeys(column.column for column in mapped_columns(source) if column.column in types)
    return [exp.Count(this=exp.column(name, quoted=True)) for name in names]


def _without_rows(source: AnySource, path: Path, types: Mapping[str, str]) -> FileRefused:
    if format_of_file(source, path) == "jsonl":
        reason = "the file holds no line"
    elif source.sql is not None:
        reason = "the `sql:` of its source gives no row of it"
    else:
        reason = f"the file has a header and no rows (columns: {', '.join(types)})"
    return FileRefused(path, reason)


def _unconverted_value(source: AnySource, path: Path, column: MappedColumn, row: tuple[int, str] | None, count: int) -> FileRefused:
    place = f" in row {row[0]}, found {shown(source, column.column, row[1])}" if row else ""
    more = f" ({count} such rows)" if count > 1 else ""
    recovery = "deliver the file with the value corrected"
    if column.kind == "time":
        recovery += ", or name the format of its times in time_format of sources.yaml"
    return FileRefused(
        path,
        f"the column `{column.column}` ({column.key}) does not hold {EXPECTED[column.kind]} throughout:{place}{more}",
        recovery,
    )
