"""Errors of a run as Dagster keeps them: a chain of causes, of which one says what was wrong.

Put here which one that is, and its words. Keep out to whom it is told (`alerts.py`, `running.py`).
"""

import re

from dagster_shared.error import SerializableErrorInfo

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
    """Return the words of the telling error: one of ours is a sentence by itself, any other keeps its class before it."""
    message = telling(error).message.strip()
    kind, colon, words = message.partition(": ")
    if not colon or not _CLASS.fullmatch(kind):
        return message
    return words if kind.startswith(_OURS) else f"{kind.rpartition('.')[2]}: {words}"
