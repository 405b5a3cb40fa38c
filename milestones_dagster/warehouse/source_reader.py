"""The rows of the company's files as they stand: which columns a file has, and the query that reads it.

Put here how a format is read and how a source's `sql:` is put around it. Keep out what the columns mean
(`source_mapping.py`) and whether their values are accepted (`source_schema.py`). Queries are built of expressions,
never of text.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.optimizer.scope import traverse_scope

from milestones_dagster.config.sources import EventSource, ReadOptions, Source
from milestones_dagster.warehouse.source_files import ENCODING_RECOVERY, FileRefused, format_of_file, open_bytes

DIALECT = "duckdb"
TEXT_FORMATS = ("csv", "tsv", "jsonl")
FILE_COLUMN = "__file"
_DELIMITERS = {"csv": ",", "tsv": "\t"}
# the encodings that DuckDB reads by itself, by Python's name of each
_ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "utf-8-sig": "utf-8", "latin-1": "latin-1", "iso-8859-1": "latin-1"}
_ENCODINGS |= {"latin1": "latin-1", "utf-16": "utf-16", "utf16": "utf-16"}
_DESCRIBE_PARQUET = "DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)"
_JSON_KEYS = "SELECT json_keys(json), bool_and(json_type(json) = 'OBJECT') FROM read_ndjson_objects(?) GROUP BY 1"
_WILDCARD = re.compile(r"([*?\[])")
_ESCAPED = re.compile("[\udc80-\udcff]")


class SourceSqlError(Exception):
    """A source's `sql:` that cannot be accepted: the sentence names source, what was found, what would be right."""


def describe_source(source: Source) -> str:
    """Return the words by which messages call a source: `events source product`, `accounts source`."""
    if isinstance(source, EventSource):
        return f"events source {source.name}"
    return f"{type(source).__name__.removesuffix('Source').lower()}s source"


def columns_of(connection: duckdb.DuckDBPyConnection, source: Source, path: Path) -> dict[str, str]:
    """Return the columns that the mapping of a source finds in one file, each with DuckDB's name of its type.

    Columns of delimited text and of JSON lines are all VARCHAR. With `sql:` they are the outputs of that query.

    Raises:
        FileRefused: when the file cannot be read that far, or the `sql:` does not fit it.
        SourceSqlError: when the `sql:` is not one SELECT over `file`.
    """
    if source.sql is not None:
        return _describe_reshaped(connection, source, path)
    match format_of_file(source, path):
        case "parquet":
            rows = connection.execute(_DESCRIBE_PARQUET, [literal_path(path)]).fetchall()
            return {row[0]: row[1] for row in rows}
        case "jsonl":
            return dict.fromkeys(_json_keys(connection, path), "VARCHAR")
        case _:
            return dict.fromkeys(csv_header(source, path), "VARCHAR")


def rows_of_file(source: Source, path: Path, columns: Mapping[str, str]) -> exp.Select | exp.SetOperation:
    """Return the query for the rows of one file, in the file's order, reshaped by `sql:` where the source has one.

    Args:
        source: the source.
        path: one of its files.
        columns: the columns to read of JSON lines, with their types; the other formats say their own.

    Raises:
        FileRefused: when the header cannot be read.
        SourceSqlError: when the `sql:` is not one SELECT over `file`.
    """
    reader = _reader(source, path, columns)
    return exp.select(exp.Star()).from_(reader) if source.sql is None else _reshape(source, reader)


def parquet_rows(paths: Sequence[Path]) -> exp.Select:
    """Return the query for the rows of Parquet files in one reader, matched by name; `__file` is the path."""
    files = exp.array(*(exp.Literal.string(literal_path(path)) for path in paths))
    reader = _call("read_parquet", files, union_by_name=exp.true(), filename=_text(FILE_COLUMN), **_PLAIN)
    return exp.select(exp.Star()).from_(exp.Table(this=reader))


def literal_path(path: Path) -> str:
    """Return the path as DuckDB must be told it so that no character of it is a wildcard."""
    return _WILDCARD.sub(r"[\1]", str(path))


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """Return the call of a DuckDB function; sqlglot leaves its name and arguments as they are."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def csv_header(source: Source, path: Path) -> list[str]:
    """Return the columns of a delimited file: the names of its first row, or column0, column1, … where it names none.

    A column whose name is empty is called by its place too.

    Raises:
        FileRefused: when the first row cannot be decoded, is blank, or names a column twice.
    """
    options = source.read or ReadOptions()
    encoding = _encoding(options, path)
    delimiter = options.delimiter or _DELIMITERS[format_of_file(source, path)]
    quoting: Literal[0, 3] = csv.QUOTE_NONE if options.quote is None else csv.QUOTE_MINIMAL
    # the stream is decoded in chunks: bad bytes further down are for the reader of the rows to name by their line
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    try:
        with open_bytes(path) as stream:
            lines = io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf-8" else encoding, errors, newline="")
            reader = csv.reader(lines, delimiter=delimiter, quotechar=options.quote, quoting=quoting)
            row = next(reader, [])
            lines.detach()
    except UnicodeError as error:
        raise FileRefused(path, f"the file is not {encoding.upper()}", ENCODING_RECOVERY) from error
    if any(_ESCAPED.search(name) for name in row):
        raise FileRefused(path, "line 1 is not UTF-8", ENCODING_RECOVERY)
    if not any(name.strip() for name in row):
        raise FileRefused(path, "the first line is blank, where the names of the columns are expected")
    if not options.header:
        return [f"column{place}" for place in range(len(row))]
    names = [name.strip() or f"column{place}" for place, name in enumerate(row)]
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise FileRefused(path, f"the header names the column `{name}` twice", "give each column its own name")
        seen.add(name.lower())
    return names


_NO_TEXT = ("\x01",)  # DuckDB wants at least one text that means no value
_PLAIN: dict[str, exp.Expr] = {"hive_partitioning": exp.false()}


def _encoding(options: ReadOptions, path: Path) -> str:
    name = options.encoding.lower().replace("_", "-")
    if name not in _ENCODINGS:
        raise FileRefused(
            path,
            f"the encoding `{options.encoding}` cannot be read",
            "use utf-8, latin-1 or utf-16 in read.encoding, and convert the file where it is none of them",
        )
    return _ENCODINGS[name]


def _reader(source: Source, path: Path, columns: Mapping[str, str]) -> exp.Table:
    file = _text(literal_path(path))
    match format_of_file(source, path):
        case "parquet":
            return exp.Table(this=_call("read_parquet", file, **_PLAIN))
        case "jsonl" if source.sql is not None:
            # the whole file is looked at: a sample would let a late row change the types of the columns that `sql:`
            # reads
            types = {"sample_size": exp.Literal.number(-1)}
            return exp.Table(this=_call("read_json", file, format=_text("newline_delimited"), **types, **_PLAIN))
        case "jsonl":
            return exp.Table(this=_call("read_json", file, columns=_struct(columns), format=_text("newline_delimited"), **_PLAIN))
        case delimited:
            options = source.read or ReadOptions()
            return exp.Table(
                this=_call(
                    "read_csv",
                    file,
                    columns=_struct(dict.fromkeys(csv_header(source, path), "VARCHAR")),
                    # nothing is sniffed: what a row means must not depend on the rows around it
                    auto_detect=exp.false(),
                    header=exp.true() if options.header else exp.false(),
                    delim=_text(options.delimiter or _DELIMITERS[delimited]),
                    quote=_text(options.quote or ""),
                    escape=_text(options.quote or ""),
                    nullstr=exp.array(*map(_text, options.null_text or _NO_TEXT)),
                    encoding=_text(_encoding(options, path)),
                    strict_mode=exp.true(),
                    **_PLAIN,
                )
            )


def _call(name: str, *arguments: exp.Expr, **options: exp.Expr) -> exp.Anonymous:
    named = (exp.EQ(this=exp.to_identifier(option), expression=value.copy()) for option, value in options.items())
    return call(name, *arguments, *named)


def _struct(columns: Mapping[str, str]) -> exp.Struct:
    return exp.Struct(expressions=[exp.PropertyEQ(this=_text(name), expression=_text(kind)) for name, kind in columns.items()])


def _text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def _json_keys(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    shapes = connection.execute(_JSON_KEYS, [literal_path(path)]).fetchall()
    if not all(is_object for _, is_object in shapes):
        raise duckdb.InvalidInputException("JSON: a line is no object")
    keys = {key for shape, _ in shapes for key in shape}
    # DuckDB compares names without case, so of `A` and `a` it can read but one
    return list({key.lower(): key for key in sorted(keys)}.values())


def _describe_reshaped(connection: duckdb.DuckDBPyConnection, source: Source, path: Path) -> dict[str, str]:
    query = exp.Describe(this=rows_of_file(source, path, {}))
    rows = connection.execute(query.sql(dialect=DIALECT)).fetchall()
    return {row[0]: row[1] for row in rows}


def _reshape(source: Source, reader: exp.Table) -> exp.Select | exp.SetOperation:
    """Return the source's `sql:` with the reader of one file wherever it says `file`."""
    query = _parse(source)
    real = {
        id(relation) for scope in traverse_scope(query) for relation in scope.sources.values() if isinstance(relation, exp.Table)
    }
    names = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    if "file" in names:
        raise SourceSqlError(_refusal(source, "gives the name `file` to a query of its own", "another name for it"))
    for table in list(query.find_all(exp.Table)):
        if id(table) not in real and table.name.lower() in names:
            continue
        if isinstance(table.this, exp.GenerateSeries):
            continue
        if not isinstance(table.this, exp.Identifier) or table.name.lower() != "file" or table.db or table.catalog:
            raise SourceSqlError(_refusal(source, f"reads `{table.sql(dialect=DIALECT)}`", "`file` alone, the rows of one file"))
        rows = exp.Subquery(this=exp.select(exp.Star()).from_(reader.copy()))
        for name, value in table.args.items():
            if name != "this":
                rows.set(name, value)
        if not rows.alias:
            rows.set("alias", exp.TableAlias(this=exp.to_identifier("file")))
        table.replace(rows)
    return query


def _parse(source: Source) -> exp.Select | exp.SetOperation:
    try:
        statements = [statement for statement in sqlglot.parse(source.sql or "", dialect=DIALECT) if statement is not None]
    except ParseError as error:
        reason = str(error.errors[0]["description"]) if error.errors else str(error)
        line = error.errors[0]["line"] if error.errors else 1
        raise SourceSqlError(_refusal(source, f"cannot be read (line {line}: {reason})", "one SELECT over `file`")) from error
    if len(statements) != 1:
        raise SourceSqlError(_refusal(source, f"has {len(statements)} statements", "one SELECT over `file`"))
    query = statements[0]
    if not isinstance(query, exp.Select | exp.SetOperation) or query.find(exp.DML, exp.DDL, exp.Command) is not None:
        raise SourceSqlError(_refusal(source, f"is a {query.key.upper()} statement", "one SELECT over `file`"))
    return query


def _refusal(source: Source, found: str, expected: str) -> str:
    return f"{describe_source(source)}: sql: {found}; expected {expected}"
