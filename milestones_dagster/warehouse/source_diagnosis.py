"""Why a file could not be read, in words for people: DuckDB's error about a file becomes a refusal that names the line.

Put here what a reader's error means. Keep out refusals that need no error to be seen (`source_schema.py`,
`source_files.py`). No message quotes a value of the file: a broken row may hold anything, a person's address among
them.
"""

import json
import re
from pathlib import Path

import duckdb

from milestones_dagster.config.sources import Source
from milestones_dagster.warehouse.limits import is_about_limits
from milestones_dagster.warehouse.source_files import ENCODING_RECOVERY, FileRefused, format_of_file, open_bytes

_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
_CSV_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_KIND_OF_ERROR = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_ONE_EACH = "write one JSON object on each line"
_QUOTED_VALUE = re.compile(r"'[^']*'")


def refusal_of(source: Source, path: Path, error: duckdb.Error) -> FileRefused:
    """Return the refusal of a file that DuckDB could not read.

    Args:
        source: the source of the file.
        path: the file.
        error: what DuckDB raised while it read this file alone.

    Raises:
        The error itself, where memory or disk did not suffice: the file is not at fault.
    """
    if is_about_limits(error):
        raise error
    message = str(error)
    file_format = format_of_file(source, path)
    if "CSV Error on Line" in message:
        return _broken_csv(path, message)
    if file_format == "jsonl" and "JSON" in message:
        return _broken_json(path) or FileRefused(path, f"the JSON lines cannot be read: {_first_sentence(message, path)}")
    if source.sql is not None and isinstance(error, duckdb.BinderException | duckdb.ConversionException):
        return FileRefused(
            path,
            f"the `sql:` of its source fails on this file: {_first_sentence(message, path)}",
            "correct the query in sources.yaml, or deliver the file in its usual shape",
        )
    if file_format == "parquet":
        return FileRefused(path, f"the file is not readable as Parquet: {_first_sentence(message, path)}")
    return FileRefused(path, f"the file cannot be read: {_first_sentence(message, path)}")


def _broken_csv(path: Path, message: str) -> FileRefused:
    found = _CSV_LINE.search(message)
    line = found.group(1) if found else "?"
    width = _CSV_WIDTH.search(message)
    if width is not None:
        return FileRefused(path, f"line {line} has {width.group(2)} columns where the header has {width.group(1)}")
    if "unicode" in message:
        return FileRefused(path, f"line {line} is not UTF-8", ENCODING_RECOVERY)
    if "unterminated quote" in message:
        return FileRefused(
            path,
            f"a quote that opens on line {line} is not closed, or text follows its end",
            "write a quote inside quotes twice",
        )
    return FileRefused(path, f"line {line} cannot be read as delimited text")


def _broken_json(path: Path) -> FileRefused | None:
    # DuckDB's own line numbers are off by one here, so the line is looked for once more
    with open_bytes(path) as stream:
        for line, content in enumerate(stream, start=1):
            if not content.strip():
                continue
            try:
                found = json.loads(content.rstrip(b"\r\n").decode("utf-8-sig" if line == 1 else "utf-8"))
            except UnicodeDecodeError:
                return FileRefused(path, f"line {line} is not UTF-8", "deliver it as UTF-8")
            except json.JSONDecodeError as error:
                if content.lstrip().startswith(b"["):
                    return FileRefused(path, f"line {line} begins an array", _ONE_EACH)
                return FileRefused(path, f"line {line} is not valid JSON: {error.msg} at character {error.pos + 1}")
            if not isinstance(found, dict):
                kind = "an array" if isinstance(found, list) else "a single value"
                return FileRefused(path, f"line {line} holds {kind} where one JSON object is expected", _ONE_EACH)
    return None


def _first_sentence(message: str, path: Path) -> str:
    line = next((text for text in message.splitlines() if text.strip()), "")
    line = _KIND_OF_ERROR.sub("", line).replace(f"'{path}'", "it").replace(str(path), "it")
    return _QUOTED_VALUE.sub("'…'", line).strip().rstrip(".")
