"""Withdrawing a loaded file that is gone for good, by as much of its path as tells it from the others.

Put here which file a person means. Keep out what becomes of its days (`warehouse/days.py`) and printing (`cli.py`).
"""

import os
from collections.abc import Sequence
from pathlib import Path

from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse import operations

_SHOWN_FILES = 5


class WithdrawalError(Exception):
    """No file, or more than one, is meant, or it is still there: the sentence says what to name instead."""


def withdraw(session: Session, named: Path) -> Path:
    """Forgets a file of an event source that is gone, so that the next run makes its days without it; returns its path.

    Args:
        session: The open session.
        named: Its path, absolute or from the current folder, or the end of it, such as its name.

    Raises:
        WithdrawalError: the file is there, was never loaded, or several files that are gone end so.
    """
    file = _meant(operations.loaded_files(session.warehouse), named)
    operations.withdraw_file(session.warehouse, str(file))
    return file


def _meant(loaded: Sequence[Path], named: Path) -> Path:
    path = Path(os.path.abspath(named))  # noqa: PTH100 - links are kept, as when the file was loaded
    found = [path] if path in loaded else [file for file in loaded if _ends_with(file, named)]
    gone = [file for file in found if not file.exists()]
    if len(gone) == 1:
        return gone[0]
    if gone:
        raise WithdrawalError(f"{named} may be {_listed(gone, 'or')}; name more of its path")
    if found or path.exists():
        there = found[0] if found else path
        raise WithdrawalError(
            f"{there} is there; only a file that is gone can be withdrawn: take it out of the source's folder first"
        )
    missed = [file for file in loaded if not file.exists()]
    hint = f"the loaded files that are gone: {_listed(missed, 'and')}" if missed else "no loaded file is gone"
    raise WithdrawalError(f"{named} was never loaded; {hint}")


def _ends_with(file: Path, named: Path) -> bool:
    parts = named.parts
    return not named.is_absolute() and bool(parts) and file.parts[-len(parts) :] == parts


def _listed(files: Sequence[Path], word: str) -> str:
    names = [str(file) for file in files[:_SHOWN_FILES]]
    if len(files) > _SHOWN_FILES:
        return f"{', '.join(names)} and {len(files) - _SHOWN_FILES:,} more"
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
