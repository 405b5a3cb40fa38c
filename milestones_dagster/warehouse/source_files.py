"""The company's files as files: which ones a source names, their size and hash, and whether their bytes are whole.

Put here what can be said of a file without looking at its rows. Keep out reading rows (`source_reader.py`), what its
columns mean (`source_mapping.py`) and whether its content is accepted (`source_schema.py`).
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob, has_magic
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from milestones_dagster.config.sources import FileFormat, Source, format_of

CHUNK_BYTES = 1 << 20
DELIVER_AGAIN = "deliver the file again"
ENCODING_RECOVERY = "deliver it as UTF-8, or name its encoding in read.encoding of sources.yaml"
_NAME_IT = "correct the path in sources.yaml or deliver the files"
_TEMPORARY_SUFFIXES = (".tmp", ".temp", ".part", ".partial", ".filepart", ".inprogress", ".crdownload", ".swp", "~")


class FileRefused(Exception):  # noqa: N818 (it is the file that is refused; nothing went wrong in the program)
    """A file that cannot be accepted: what is wrong with it and how to recover, each a phrase for people."""

    def __init__(self, path: Path, reason: str, recovery: str = DELIVER_AGAIN) -> None:
        self.path = path
        self.reason = reason
        self.recovery = recovery
        super().__init__(f"{path}: {reason}; {recovery}")


class SourceNotFound(FileRefused):
    """A source whose path names no file."""


@dataclass(frozen=True)
class SourceFile:
    """A file as it was found: size in bytes, modification time (aware, UTC), SHA-256 of its bytes in hexadecimal."""

    path: Path
    size_bytes: int
    modified_at: datetime
    content_hash: str


def discover(source: Source, base: Path = Path()) -> list[Path]:
    """Return the files that a source names, absolute and in the order of their paths.

    A folder is searched to its leaves. Files and folders whose names begin with a dot or an underscore, and files still
    being written (`*.tmp` and the like), are left out of folders and globs; a file named by itself is always taken.

    Args:
        source: the source; its path is a file, a glob (`**` crosses folders) or a folder.
        base: the config folder, from which a relative path starts.

    Raises:
        SourceNotFound: when there is no such file; it names the path as configured, as resolved, and the nearest folder
        there is.
    """
    # unlike resolve(), this keeps a link's own name, which carries the suffix
    resolved = Path(os.path.abspath(base / source.path))  # noqa: PTH100
    if resolved.is_file():
        return [resolved]
    start, pattern = resolved, "**"
    if not resolved.is_dir():
        start, pattern = _split(resolved, Path(source.path))
    # Path.glob would take the wildcards of hidden folders along and cannot be given a literal root
    found = [start / name for name in glob(pattern, root_dir=start, recursive=True)] if pattern else []  # noqa: PTH207
    files = sorted(path for path in found if _is_delivered(path.relative_to(start)) and path.is_file())
    if not files:
        verb = "holds no file" if resolved.is_dir() else "matches no file" if pattern else "does not exist"
        raise SourceNotFound(resolved, _nothing_there(source, resolved, verb), _NAME_IT)
    return files


def _is_delivered(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts) and not path.name.lower().endswith(_TEMPORARY_SUFFIXES)


def _split(resolved: Path, configured: Path) -> tuple[Path, str]:
    """Return the folder before the first wildcard of a path and the pattern from there, "" without a wildcard."""
    magic = next((place for place, part in enumerate(configured.parts) if has_magic(part)), None)
    if magic is None:
        return resolved, ""
    wild = len(configured.parts) - magic
    return Path(*resolved.parts[:-wild]), str(Path(*resolved.parts[-wild:]))


def _nothing_there(source: Source, resolved: Path, verb: str) -> str:
    nearest = next(folder for folder in (resolved, *resolved.parents) if folder.is_dir())
    entries = sorted(entry.name for entry in nearest.iterdir())
    shown = ", ".join(entries[:5]) + (", …" if len(entries) > 5 else "") if entries else "nothing"  # noqa: PLR2004
    return f"the path `{source.path}` {verb}; the nearest folder that exists is {nearest}, which holds {shown}"


def status_of(path: Path) -> os.stat_result:
    """Return what the file system says of a file.

    Raises:
        FileRefused: when the file is gone or cannot be looked at.
    """
    try:
        return path.stat()
    except OSError as error:
        raise _unopened(path, error) from error


def describe_file(path: Path) -> SourceFile:
    """Return size, modification time and content hash of a file, read in chunks.

    Raises:
        FileRefused: when the file is gone or cannot be opened.
    """
    digest = sha256()
    try:
        with path.open("rb") as stream:
            for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
                digest.update(chunk)
        status = path.stat()
    except OSError as error:
        raise _unopened(path, error) from error
    return SourceFile(path, status.st_size, datetime.fromtimestamp(status.st_mtime, tz=UTC), digest.hexdigest())


def format_of_file(source: Source, path: Path) -> FileFormat:
    """Return the format of a file: the one its source declares, else the one its suffix says.

    Raises:
        FileRefused: when neither says one, or when a compression cannot be looked through.
    """
    found = source.format or format_of(path.name)
    compression = path.suffix.lower()
    if found is None:
        raise FileRefused(
            path,
            f"the suffix {path.suffix or '(none)'} says no format",
            "name the format (csv, tsv, jsonl, parquet) of its source in sources.yaml, or move the file away",
        )
    if compression == ".bz2":
        raise FileRefused(path, "bzip2 files cannot be read", "deliver the file plain, or compressed as .gz or .zst")
    if found == "parquet" and compression in {".gz", ".zst"}:
        raise FileRefused(
            path,
            "a Parquet file inside a compressed one cannot be read",
            "deliver it plain: Parquet compresses by itself",
        )
    return found


def refuse_broken_bytes(path: Path) -> None:
    """Read a file's bytes to the end where that alone shows whether they are whole.

    A reader of rows takes a compressed stream that was cut off between two rows for a shorter file, so every compressed
    file is decompressed here once.

    Raises:
        FileRefused: when the file is gone, empty (0 bytes), or its compressed stream is truncated or damaged.
    """
    if status_of(path).st_size == 0:
        raise FileRefused(path, "the file is empty (0 bytes)")
    if path.suffix.lower() in {".gz", ".zst"}:
        with open_bytes(path) as stream:
            for _ in iter(lambda: stream.read(CHUNK_BYTES), b""):
                pass


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Yield a file's bytes, decompressed; an error of the compressed stream inside the block refuses the file.

    Raises:
        FileRefused: when the file is gone, or its compressed stream is truncated or damaged.
    """
    try:
        match path.suffix.lower():
            case ".gz":
                with gzip.open(path, "rb") as unzipped:
                    yield cast("BinaryIO", unzipped)
            case ".zst":
                with _unzstd(path) as plain:
                    yield plain
            case _:
                with path.open("rb") as stream:
                    yield stream
    except EOFError as error:
        raise FileRefused(path, "the gzip stream is truncated: it ends before its end mark") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileRefused(path, f"the gzip stream is damaged: {error}") from error
    except OSError as error:
        raise _unopened(path, error) from error


@contextmanager
def _unzstd(path: Path) -> Iterator[BinaryIO]:
    # pyarrow is imported late because it costs more than the rest of the package; Python 3.11 has no zstd of its own
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield io.BufferedReader(stream, CHUNK_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        truncated = "truncated" in str(error).lower()
        reason = "truncated: it ends inside a frame" if truncated else f"damaged: {error}"
        raise FileRefused(path, f"the zstd stream is {reason}") from error


def _unopened(path: Path, error: OSError) -> FileRefused:
    if isinstance(error, FileNotFoundError):
        return FileRefused(path, "the file is not there any more")
    return FileRefused(path, f"the file cannot be opened: {error.strerror or error}", "see to its permissions")
