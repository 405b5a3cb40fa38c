"""What the columns of a source mean: the query that turns files into rows of the product's standard columns.

Put here the standard columns of each kind of source and the place of each mapped column among them. Keep out how files
are read (`source_reader.py`), how one value is converted (`source_values.py`) and when a file is refused
(`source_schema.py`).
"""

import difflib
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlglot import exp

from milestones_dagster.config.sources import AccountSource, EventSource, Source, SubscriptionSource, UserSource
from milestones_dagster.warehouse.source_diagnosis import refusal_of
from milestones_dagster.warehouse.source_files import FileRefused, format_of_file
from milestones_dagster.warehouse.source_reader import (
    FILE_COLUMN,
    call,
    columns_of,
    literal_path,
    parquet_rows,
    rows_of_file,
)
from milestones_dagster.warehouse.source_values import (
    Kind,
    converted,
    nothing,
    object_text,
    original_text,
    packed_text,
)

AnySource = EventSource | AccountSource | UserSource | SubscriptionSource
Query = exp.Select | exp.SetOperation

ROW_COLUMN = "__row"
STANDARD_COLUMNS: dict[type[Source], dict[str, Kind]] = {
    EventSource: {
        "event_id": "identifier",
        "account_id": "identifier",
        "user_id": "identifier",
        "event": "text",
        "occurred_at": "time",
        "received_at": "time",
        "properties": "object",
    },
    AccountSource: {
        "account_id": "identifier",
        "created_at": "time",
        "plan": "text",
        "seats": "number",
        "segment": "text",
    },
    UserSource: {"user_id": "identifier", "account_id": "identifier", "created_at": "time"},
    SubscriptionSource: {
        "account_id": "identifier",
        "subscription_id": "identifier",
        "plan": "text",
        "seats": "number",
        "mrr": "number",
        "currency": "text",
        "started_at": "time",
        "ended_at": "time",
        "is_trial": "flag",
        "term_months": "integer",
        "term_anchor_at": "time",
        "recorded_at": "time",
        "is_price_list_change": "flag",
    },
}
_EVENT_CONTENT = ("account_id", "user_id", "event", "occurred_at", "occurred_at_text", "properties")
_SHOWN_COLUMNS = 30


@dataclass(frozen=True)
class MappedColumn:
    """One column that a source maps.

    `column` is the file's (or `sql:`'s) name of it, `target` the standard column, property or attribute that it
    becomes, `key` the place in sources.yaml that says so. Of JSON lines a packed one may be absent from a file: a key
    without a value is commonly left out.
    """

    column: str
    target: str
    kind: Kind
    key: str

    @property
    def is_packed(self) -> bool:
        """Whether it goes into the JSON object of the properties or attributes."""
        return self.kind == "value"


def mapped_columns(source: AnySource) -> list[MappedColumn]:
    """Return every column that a source maps: the standard ones, then its properties or attributes."""
    standard = [
        MappedColumn(column, target, kind, f"columns.{target}")
        for target, kind in STANDARD_COLUMNS[type(source)].items()
        if (column := getattr(source.columns, target)) is not None
    ]
    match source:
        case EventSource():
            packed = {column: (column, "properties") for column in source.properties}
        case AccountSource() | UserSource():
            packed = {name: (its.column, f"attributes.{name}.column") for name, its in source.attributes.items()}
        case SubscriptionSource():
            packed = {}
    return standard + [MappedColumn(column, name, "value", key) for name, (column, key) in packed.items()]


FileFacts = tuple[tuple[tuple[str, str], ...], bool, bool]
"""Types of the mapped columns of a file, whether its reader can number its rows, and whether it has events without an id."""
Looked = MutableMapping[tuple[str, Path, int, int], FileFacts]
"""What is known of files that were looked at, by source, path, size and time of change."""


def rows_of(source: AnySource, paths: Sequence[Path], looked: Looked | None = None) -> Query:
    """Return the query for the mapped rows of files of a source; it looks at the files' columns and for rows without an id.

    Columns of an event source: event_id, account_id, user_id, event VARCHAR, occurred_at TIMESTAMP (UTC; NULL when
    unreadable), occurred_at_text VARCHAR (the text that was unreadable, else NULL), received_at TIMESTAMP (UTC),
    properties VARCHAR (a JSON object or NULL), source, file VARCHAR, file_row BIGINT (from 1). Without a mapped
    event_id, and where that column is empty, it is the MD5 of the row's content, followed by -2, -3… where one file says
    the same again: a repeated delivery has the same ids, and the rows of one file stay apart.

    Columns of the other sources: their standard columns (ids and texts VARCHAR, times TIMESTAMP in UTC, seats and mrr
    DOUBLE, is_trial and is_price_list_change BOOLEAN, false unless said, term_months INTEGER; typed NULLs where not mapped),
    attributes VARCHAR (a JSON object or NULL), file VARCHAR, file_row BIGINT.

    With `sql:` the rows of a file are numbered as that query gives them.

    Args:
        source: the source.
        paths: its files.
        looked: is asked before a file is looked at, and filled; of one definition of the source.

    Raises:
        ValueError: when there are no paths.
        FileRefused: when the columns of a file cannot be read, or a mapped one is missing.
        SourceSqlError: when the source's `sql:` is not one query over `file`.
    """
    if not paths:
        raise ValueError("rows_of needs at least one file")
    looked = {} if looked is None else looked
    groups: dict[FileFacts, list[Path]] = {}
    with duckdb.connect() as connection:
        for path in paths:
            key = version_of(source, path)
            if key not in looked:
                try:
                    types, is_numbered = layout(connection, source, path)
                    is_nameless = _has_nameless_rows(connection, source, path, types)
                except duckdb.Error as error:
                    raise refusal_of(source, path, error) from error
                looked[key] = (tuple(types.items()), is_numbered, is_nameless)
            groups.setdefault(looked[key], []).append(path)
    return _together(
        mapped_rows(source, _raw_rows(source, files, dict(types), is_numbered), dict(types), is_nameless=is_nameless)
        for (types, is_numbered, is_nameless), files in groups.items()
    )


def mapped_rows(source: AnySource, raw: Query, types: Mapping[str, str], *, is_nameless: bool) -> exp.Select:
    """Return the query for the mapped rows over the raw ones.

    Args:
        source: the source.
        raw: a query that gives the mapped columns, `__file` and `__row`.
        types: DuckDB's names of the types of the mapped columns; one that is absent reads as NULL.
        is_nameless: whether there are events without an event_id, which are then named by their content.
    """
    mapped = [column for column in mapped_columns(source) if column.column in types]
    standard = {column.target: column for column in mapped if not column.is_packed}
    packed = {column.target: (_column(column.column), types[column.column]) for column in mapped if column.is_packed}
    chosen: dict[str, exp.Expr] = {}
    for target, kind in STANDARD_COLUMNS[type(source)].items():
        found = standard.get(target)
        if kind == "object":
            value, type_name = (None, "") if found is None else (_column(found.column), types[found.column])
            chosen[target] = object_text(value, type_name, packed)
        elif found is None:
            chosen[target] = nothing(kind)
        else:
            chosen[target] = converted(kind, _column(found.column), types[found.column], source)
        if kind == "flag":
            chosen[target] = exp.func("coalesce", chosen[target], exp.false())
        if (source.__class__, target) == (EventSource, "occurred_at") and found is not None:
            chosen["occurred_at_text"] = original_text(_column(found.column), types[found.column], source)
    if isinstance(source, EventSource):
        chosen["source"] = exp.Literal.string(source.name)
    else:
        chosen["attributes"] = packed_text(packed)
    chosen |= {"file": _column(FILE_COLUMN), "file_row": _column(ROW_COLUMN)}
    rows = exp.select(*(value.as_(name, quoted=True) for name, value in chosen.items())).from_(raw.subquery("raw_rows", copy=False))
    return _with_event_ids(rows, list(chosen)) if is_nameless else rows


def numbered_rows(source: AnySource, path: Path, types: Mapping[str, str]) -> exp.Select:
    """Return the query for the mapped columns of one file as they stand, with `__file` and `__row`, from 1."""
    rows = rows_of_file(source, path, types)
    number = exp.Window(this=exp.RowNumber())
    if source.sql is not None and _has_no_order(rows):
        # the same file must give the same numbers again
        number.set("order", exp.Order(expressions=[exp.Ordered(this=_column(name)) for name in types]))
    names = [*(_column(name) for name in types), exp.Literal.string(str(path)).as_(FILE_COLUMN, quoted=True)]
    return exp.select(*names, number.as_(ROW_COLUMN, quoted=True)).from_(rows.subquery("file_rows", copy=False))


def refuse_missing(source: AnySource, path: Path, columns: Iterable[str]) -> None:
    """Hold the columns of a file against the mapping.

    Raises:
        FileRefused: at the first mapped column that is missing; it names the columns found and the closest of them.
    """
    found = list(columns)
    is_sparse = source.sql is None and format_of_file(source, path) == "jsonl"
    for column in mapped_columns(source):
        if column.column in found or (is_sparse and column.is_packed):
            continue
        folded = {name.lower(): name for name in found}
        close = difflib.get_close_matches(column.column.lower(), folded, n=1, cutoff=0.5)
        shown = ", ".join(found[:_SHOWN_COLUMNS]) + (", …" if len(found) > _SHOWN_COLUMNS else "")
        raise FileRefused(
            path,
            f"the column `{column.column}` ({column.key}) is missing; found: {shown}"
            + (f"; the closest is `{folded[close[0]]}`" if close else ""),
            f"correct {column.key} in sources.yaml, or deliver the file with this column",
        )


def version_of(source: AnySource, path: Path) -> tuple[str, Path, int, int]:
    """Return what a file of a source is remembered by while it stays as it is: the key of `Looked`."""
    name = source.name if isinstance(source, EventSource) else ""
    try:
        status = path.stat()
    except OSError:
        # whoever looks at it next says what is wrong
        return name, path, 0, 0
    return name, path, status.st_size, status.st_mtime_ns


def layout(
    connection: duckdb.DuckDBPyConnection, source: AnySource, path: Path, found: Mapping[str, str] | None = None
) -> tuple[dict[str, str], bool]:
    """Return the types of the mapped columns that a file has, and whether its reader can number its rows.

    Args:
        connection: looks at the file.
        source: its source.
        path: the file.
        found: its columns with their types, where they were looked at already.

    Raises:
        FileRefused: when its columns cannot be read, or a mapped one is missing.
    """
    mapped = mapped_columns(source)
    if source.sql is None and format_of_file(source, path) == "jsonl":
        types = {column.column: "VARCHAR" for column in mapped}
        # a packed value keeps the type that its JSON gives it
        return types | {column.column: "JSON" for column in mapped if column.is_packed}, False
    found = columns_of(connection, source, path) if found is None else found
    refuse_missing(source, path, found)
    is_numbered = (
        source.sql is None
        and format_of_file(source, path) == "parquet"
        and literal_path(path) == str(path)
        and not {"file_row_number", FILE_COLUMN} & {name.lower() for name in found}
    )
    return {column.column: found[column.column] for column in mapped}, is_numbered


def _has_nameless_rows(connection: duckdb.DuckDBPyConnection, source: AnySource, path: Path, types: Mapping[str, str]) -> bool:
    """Whether a file has events without an event_id; asked first, since numbering the rows of every file costs a sort of each."""
    if not isinstance(source, EventSource):
        return False
    name = source.columns.event_id
    if name is None or name not in types:
        return True
    rows = rows_of_file(source, path, {name: types[name]}).subquery("file_rows", copy=False)
    nameless = exp.select("1").from_(rows).where(is_without_id(source, types)).limit(1)
    return connection.execute(nameless.sql(dialect="duckdb")).fetchone() is not None


def is_without_id(source: EventSource, types: Mapping[str, str]) -> exp.Expr:
    """Return the condition that a row of a file has no event_id: all rows, where none is mapped."""
    name = source.columns.event_id
    if name is None or name not in types:
        return exp.true()
    return converted("identifier", _column(name), types[name], source).is_(exp.null())


def _raw_rows(source: AnySource, paths: Sequence[Path], types: Mapping[str, str], is_numbered: bool) -> Query:
    if not is_numbered:
        return _together(numbered_rows(source, path, types) for path in paths)
    number = exp.Add(this=exp.column("file_row_number"), expression=exp.Literal.number(1))
    names = [*(_column(name) for name in types), _column(FILE_COLUMN), number.as_(ROW_COLUMN, quoted=True)]
    return parquet_rows(paths).select(*names, append=False)


def _has_no_order(query: Query) -> bool:
    is_mixed = query.find(exp.Group, exp.Distinct, exp.Join) is not None or any(
        operation.args.get("distinct") for operation in query.find_all(exp.SetOperation)
    )
    return is_mixed and query.args.get("order") is None


def _with_event_ids(rows: exp.Select, names: Sequence[str]) -> exp.Select:
    """Return the rows with the hash of their content as event_id, numbered where a file says the same again."""
    content = call("json_array", *(_column(name) for name in _EVENT_CONTENT))
    hashed = call("md5", exp.cast(content, "varchar"))
    inner = exp.select("*", hashed.as_("__hash", quoted=True)).from_(rows.subquery("mapped_rows", copy=False))
    place = exp.Window(
        this=exp.RowNumber(),
        # an event with an id does not count among its equals without one
        partition_by=[_column("file"), _column("__hash"), _column("event_id")],
        order=exp.Order(expressions=[exp.Ordered(this=_column("file_row"))]),
    )
    numbered = exp.select("*", place.as_("__place", quoted=True)).from_(inner.subquery("hashed_rows", copy=False))
    again = call("concat", _column("__hash"), exp.Literal.string("-"), _column("__place"))
    is_first = exp.EQ(this=_column("__place"), expression=exp.Literal.number(1))
    named = exp.Case().when(is_first, _column("__hash")).else_(again)
    event_id = exp.func("coalesce", _column("event_id"), named)
    chosen = [event_id.as_("event_id", quoted=True), *(_column(name) for name in names if name != "event_id")]
    return exp.select(*chosen).from_(numbered.subquery("numbered_rows", copy=False))


def _together(queries: Iterable[Query]) -> Query:
    all_queries = list(queries)
    return all_queries[0] if len(all_queries) == 1 else exp.union(*all_queries, distinct=False)


def _column(name: str) -> exp.Column:
    return exp.column(name, quoted=True)
