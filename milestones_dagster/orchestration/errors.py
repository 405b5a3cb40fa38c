"""Errors of a run as Dagster keeps them: a chain of causes, of which one says what was wrong.

Put here which one that is, its words, and what they may not hold. Keep out to whom it is told (`alerts.py`, `running.py`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from dagster_shared.error import SerializableErrorInfo

from milestones_dagster.config.masking import masked

_OURS = "milestones_dagster."
_CLASS = re.compile(r"[A-Za-z_][\w.]*")


def telling(error: SerializableErrorInfo) -> SerializableErrorInfo:
    """Return the error of a chain that says what was wrong.

    Dagster wraps what a step raised, and an error of ours wraps what a library raised: ours, the outermost of them, is a
    sentence with what to do. Without one it is the first cause.
    """
    while error.cause is not None and not error.message.startswith(_OURS):
        error = error.cause
    return error


def sentence(error: SerializableErrorInfo) -> str:
    """Return the words of the telling error: one of ours is a sentence by itself.

    Any other keeps its class before it, and no value of a row.
    """
    message = telling(error).message.strip()
    kind, colon, words = message.partition(": ")
    if not colon or not _CLASS.fullmatch(kind):
        return masked(message)
    return words if kind.startswith(_OURS) else f"{kind.rpartition('.')[2]}: {masked(words)}"


@contextmanager
def without_values() -> Iterator[None]:
    """Raises what the engine raised in the block again, of the same class and from the same place, without the values it quotes.

    Dagster keeps the message of every error in its run history.
    """
    try:
        yield
    except duckdb.Error as error:
        words = masked(str(error))
        if words == str(error):
            raise
        raise type(error)(words).with_traceback(error.__traceback__) from None
