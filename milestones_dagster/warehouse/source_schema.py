"""The memory of a source's schema: the type each column of a file really has, and what changed since the last load.

Put here how types are told and compared. Keep out the refusals that need no earlier load (`source_inspection.py`) and
what the columns mean (`source_mapping.py`).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from sqlglot import exp

from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse.source_diagnosis import refusal_of
from milestones_dagster.warehouse.source_files import FileRefused, format_of_file
from milestones_dagster.warehouse.source_mapping import ROW_COLUMN, AnySource, Query, mapped_columns, numbered_rows
from milestones_dagster.warehouse.source_reader import DIALECT, TEXT_FORMATS, call, columns_of
from milestones_dagster.warehouse.source_values import (
    NAIVE_TIME,
    ZONED_TIME,
    cast_to,
    family_of,
    is_there,
    is_zoned_time,
    try_cast_to,
)

NO_VALUES = "NULL"
SHOWN_CHARACTERS = 40
_SAMPLE_ROWS = 500
# longer runs of digits are identifiers: a hash may by chance be all digits, and would be a number for that one file
_WHOLE = r"[+-]?(0|[1-9]\d{0,14})"
_DECIMAL = r"[+-]?(0|[1-9]\d{0,14})?(\.\d*)?([eE][+-]?\d{1,3})?"
_DATE = r"\d{4}-\d{1,2}-\d{1,2}"
# the tests of the types of a text, from the narrowest; a value must convert, too
_PATTERNS = {
    "BOOLEAN": re.compile(r"(?i)true|false"),
    "BIGINT": re.compile(_WHOLE),
    "DOUBLE": re.compile(_DECIMAL),
    "DATE": re.compile(_DATE),
    "TIMESTAMP": re.compile(NAIVE_TIME),
    "TIMESTAMP WITH TIME ZONE": re.compile(ZONED_TIME),
}
# what of two types holds the values of both, where the older alone would not
_WIDER = {("BIGINT", "DOUBLE"): "DOUBLE", ("DATE", "TIMESTAMP"): "TIMESTAMP"}


@dataclass(frozen=True)
class SchemaChange:
    """What differs between the recorded schema of a source and a file's.

    `new_columns` are all that were not there; `missing_columns` and `retyped` (column, old type, new type) are of the
    mapped columns alone: what becomes of the others touches no table.
    """

    new_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    retyped: list[tuple[str, str, str]] = field(default_factory=list)


def compare_schema(recorded: Mapping[str, str] | None, found: Mapping[str, str], mapped_columns: Collection[str]) -> SchemaChange:
    """Return what changed from the recorded schema to the found one; nothing did when none is recorded.

    A column without any value has the type `NULL`, which is no change from or to any other.
    """
    if recorded is None:
        return SchemaChange()
    mapped = [column for column in recorded if column in mapped_columns]
    retyped = [
        (column, recorded[column], found[column])
        for column in mapped
        if column in found and found[column] != recorded[column] and NO_VALUES not in {found[column], recorded[column]}
    ]
    return SchemaChange(
        new_columns=[column for column in found if column not in recorded],
        missing_columns=[column for column in mapped if column not in found],
        retyped=retyped,
    )


def remember_schema(recorded: Mapping[str, str] | None, found: Mapping[str, str]) -> dict[str, str]:
    """Return the schema to record after a file was accepted.

    A column keeps the type it was first seen with (the new values convert to it), or takes the wider of both; one that
    is absent this time stays known, so that its return is no news.
    """
    known = dict(recorded or {})
    for column, new in found.items():
        old = known.get(column, NO_VALUES)
        known[column] = new if old == NO_VALUES else _WIDER.get((old, new), old)
    return known


def check_schema(
    connection: duckdb.DuckDBPyConnection,
    source: AnySource,
    path: Path,
    recorded: Mapping[str, str] | None,
    found: Mapping[str, str],
) -> SchemaChange:
    """Return what changed where the file is accepted all the same: new columns, new types whose values fit the old.

    Raises:
        FileRefused: when a mapped column is gone, or has a new type and a value that does not convert to the old one;
        it names the
            column, both types, the first bad row and its value, shortened (of an identifier and of users: its shape
            alone).
    """
    change = compare_schema(recorded, found, {column.column for column in mapped_columns(source)})
    if change.missing_columns:
        gone = change.missing_columns[0]
        old = (recorded or {})[gone]
        raise FileRefused(
            path,
            f"the column `{gone}` ({old} in earlier files) is missing; found: {', '.join(found)}",
            "deliver the file with this column, or change its mapping in sources.yaml",
        )
    for column, old, new in change.retyped:
        if _is_judged_by_row(source, path, column):
            continue
        bad = first_bad_row(connection, source, path, column, old)
        if bad is not None:
            raise FileRefused(
                path,
                f"the column `{column}` was {old} in earlier files and is {new} in this one; "
                f"the first row that does not convert is row {bad[0]}: {bad[1]}",
                "deliver the file with values of the earlier type, or change its mapping in sources.yaml",
            )
    return change


def _is_judged_by_row(source: AnySource, path: Path, column: str) -> bool:
    """Whether the values of a column are refused row by row: the times of events in text, whose type one bad value changes."""
    if not isinstance(source, EventSource) or format_of_file(source, path) not in TEXT_FORMATS:
        return False
    return any(mapped.column == column and mapped.target == "occurred_at" for mapped in mapped_columns(source))


def first_bad_row(
    connection: duckdb.DuckDBPyConnection, source: AnySource, path: Path, column: str, old_type: str
) -> tuple[int, str] | None:
    """Return number (from 1) and shown value of the first row whose value does not convert to a type; None when all do.

    The value is shortened to 40 characters; of an identifier, and of users, its shape alone is shown.

    Raises:
        FileRefused: when the file cannot be read.
    """
    try:
        with closing(connection.cursor()) as cursor:
            type_name = columns_of(cursor, source, path)[column]
            value = exp.column(column, quoted=True)
            conditions = [is_there(value), try_cast_to(value, old_type).is_(exp.null())]
            try:
                found = first_row(cursor, source, path, {column: type_name}, exp.and_(*conditions))
            except (duckdb.BinderException, duckdb.ConversionException, duckdb.NotImplementedException):
                # DuckDB has no such cast at all, so no value converts
                found = first_row(cursor, source, path, {column: type_name}, conditions[0])
    except duckdb.Error as error:
        raise refusal_of(source, path, error) from error
    return None if found is None else (found[0], shown(source, column, found[1]))


def first_row(
    connection: duckdb.DuckDBPyConnection, source: AnySource, path: Path, types: Mapping[str, str], condition: exp.Expr
) -> tuple[int, str] | None:
    """Return number and text of the first row of one column that meets a condition; None when none does."""
    (column,) = types
    value, number = exp.column(column, quoted=True), exp.column(ROW_COLUMN, quoted=True)
    rows = exp.select(number, cast_to(value, "VARCHAR")).from_(numbered_rows(source, path, types).subquery("raw_rows", copy=False))
    if family_of(types[column]) == "text":
        blank = exp.Literal.string("")
        condition = exp.and_(condition, exp.NEQ(this=call("trim", cast_to(value, "VARCHAR")), expression=blank))
    query = rows.where(condition).order_by(number.copy()).limit(1)
    row = connection.execute(query.sql(dialect=DIALECT)).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def shown(source: AnySource, column: str, value: str) -> str:
    """Return a value as messages may show it: at most 40 characters, and nothing that tells who someone is."""
    short = value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…"
    kinds = {mapped.kind for mapped in mapped_columns(source) if mapped.column == column}
    is_safe = kinds <= {"time", "number", "integer", "flag"} and not re.search(r"@|[^\W\d_]{2,} [^\W\d_]{2,}", short)
    if is_safe and "user_id" not in {mapped.target for mapped in mapped_columns(source)[:1]}:
        return f"`{short}`"
    return "a value like `" + re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", short)) + "`"


def inferred_types(connection: duckdb.DuckDBPyConnection, rows: Query, columns: Sequence[str]) -> dict[str, str]:
    """Return the narrowest type that every value of a text column has, over all rows, by column.

    BOOLEAN (true, false), BIGINT, DOUBLE, DATE, TIMESTAMP, TIMESTAMP WITH TIME ZONE, else VARCHAR; NULL without values.
    Numbers with leading zeros are text: they are codes.
    """
    if not columns:
        return {}
    names = [exp.column(column, quoted=True) for column in columns]
    sample = exp.select(*names).from_(rows.subquery("all_rows")).limit(_SAMPLE_ROWS).sql(dialect=DIALECT)
    values = list(zip(*connection.execute(sample).fetchall(), strict=True)) or [() for _ in columns]
    # the sample only says what to test over all rows, and spares most columns all tests but one
    types = {column: _guess(texts) for column, texts in zip(columns, values, strict=True)}
    tested = [column for column in columns if types[column] != "VARCHAR"]
    if tested:
        misses = [call("count_if", _misses(column, types[column])) for column in tested]
        counts = connection.execute(exp.select(*misses).from_(rows.subquery("all_rows")).sql(dialect=DIALECT)).fetchone()
        again = [column for column, count in zip(tested, counts or (), strict=True) if count]
        types |= _narrowest(connection, rows, again) if again else {}
    return types


def _guess(texts: Sequence[str | None]) -> str:
    values = [text for text in texts if text is not None]
    fitting = (name for name, pattern in _PATTERNS.items() if all(pattern.fullmatch(text) for text in values))
    return next(fitting, "VARCHAR") if values else NO_VALUES


def _narrowest(connection: duckdb.DuckDBPyConnection, rows: Query, columns: Sequence[str]) -> dict[str, str]:
    counts: list[exp.Expr] = []
    for column in columns:
        counts.append(exp.Count(this=exp.column(column, quoted=True)))
        counts += [call("count_if", test) for test in _tests(exp.column(column, quoted=True)).values()]
    found = connection.execute(exp.select(*counts).from_(rows.subquery("all_rows")).sql(dialect=DIALECT)).fetchone() or ()
    names = list(_PATTERNS)
    width = len(names) + 1
    types: dict[str, str] = {}
    for place, column in enumerate(columns):
        total, *hits = found[place * width : (place + 1) * width]
        fitting = (name for name, count in zip(names, hits, strict=True) if count == total)
        types[column] = next(fitting, "VARCHAR") if total else NO_VALUES
    return types


def _misses(column: str, type_name: str) -> exp.Expr:
    value = exp.column(column, quoted=True)
    if type_name == NO_VALUES:
        return is_there(value)
    return exp.and_(is_there(value), exp.not_(exp.func("coalesce", _tests(value)[type_name], exp.false())))


def _tests(value: exp.Expr) -> dict[str, exp.Expr]:
    tests = {
        name: exp.and_(
            call("regexp_full_match", value.copy(), exp.Literal.string(pattern.pattern)),
            is_there(try_cast_to(value, name)),
            copy=False,
        )
        for name, pattern in _PATTERNS.items()
    }
    return tests | {"TIMESTAMP WITH TIME ZONE": is_zoned_time(value)}
