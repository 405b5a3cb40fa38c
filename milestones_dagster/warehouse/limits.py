"""How much of the machine the engine takes, and what is said when that, or the disk, is too little.

Put here the default bound of memory and the sentences. Keep out the config's grammar (`config/warehouse.py`) and connections.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

LEAST_BYTES = 2_000_000_000
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_NO_ROOM = re.compile(r"no space left|disk quota exceeded|max_temp_directory_size", re.IGNORECASE)
# a commit that finds no memory is an error of the transaction
_NO_MEMORY = re.compile(r"(could not|failed to) (allocate|pin|offload)", re.IGNORECASE)
_KIND = re.compile(r"\A(Out of Memory|IO|TransactionContext) Error: ")


class LimitError(Exception):
    """Memory or disk did not suffice: the sentence says for what, what was needed and which setting to change."""


def default_memory_limit() -> str:
    """Half of the machine's memory, or of the container's where that is less; at least 2 GB. In DuckDB's words."""
    return f"{max(machine_bytes() // 2, LEAST_BYTES) // 1_000_000} MB"


def machine_bytes() -> int:
    """Memory of the machine in bytes, or what its container may take of it."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUPS:
        # absent where there is no such bound, and `max` where it is not set
        with suppress(OSError, ValueError):
            found.append(int(path.read_text(encoding="ascii")))
    return min(found)


@contextmanager
def within_limits(
    connection: duckdb.DuckDBPyConnection, what: str, folder: Path, stands: str = "nothing of this was published"
) -> Iterator[None]:
    """Raises what the engine or the system says of too little memory or disk in the block as one sentence.

    Args:
        connection: The warehouse's, whose settings the sentence names.
        what: What is made in the block.
        folder: Where its files lie.
        stands: What became of it, in words that are true wherever in the block it broke.

    Raises:
        LimitError: in the place of the engine's or the system's error.
    """
    try:
        yield
    except (duckdb.Error, OSError, MemoryError) as error:
        if not is_about_limits(error):
            raise
        raise LimitError(_sentence(connection, what, folder, stands, error)) from error


def is_about_limits(error: BaseException) -> bool:
    """Whether an error says that memory or disk did not suffice."""
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError) or _is_about_disk(error):
        return True
    return isinstance(error, duckdb.Error) and _NO_MEMORY.search(str(error)) is not None


def _is_about_disk(error: BaseException) -> bool:
    if isinstance(error, duckdb.Error):
        return _NO_ROOM.search(str(error)) is not None
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def _sentence(connection: duckdb.DuckDBPyConnection, what: str, folder: Path, stands: str, error: BaseException) -> str:
    lines = (str(error).strip() or "out of memory").splitlines()
    # a file that cannot be detached is told first, and why on a later line
    telling = next((line.rpartition("Original error: ")[2] for line in lines if _NO_ROOM.search(line)), lines[0])
    words = _KIND.sub("", telling)
    if _is_about_disk(error):
        return (
            f"{what}: the disk is full ({words}); {stands}. Free room at {folder}, where the warehouse and "
            "its temporary files lie, or move the warehouse (`path` in warehouse.yaml), and run again"
        )
    limit, threads = _setting(connection, "memory_limit"), _setting(connection, "threads")
    return (
        f"{what}: the engine needs more memory than it may take ({words}); {stands}. Raise `memory_limit` in warehouse.yaml "
        f"(now {limit}), or lower `threads` (now {threads}), each of which takes its share, and run again"
    )


def _setting(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    # a cursor has no part in the transaction that the error may have aborted
    with connection.cursor() as cursor:
        row = cursor.execute("SELECT current_setting(?)", [name]).fetchone()
    return str(row[0]) if row is not None else "unknown"
