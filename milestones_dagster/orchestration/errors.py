"""Errors of a run as Dagster keeps them: a chain of causes, of which one says what was wrong.

Put here which one that is, its words, and what they may not hold. Keep out to whom it is told (`alerts.py`, `running.py`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec, TypeVar

import dagster as dg
import duckdb
from dagster_shared.error import SerializableErrorInfo

from milestones_dagster.config.masking import as_written, masked

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")
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
def without_values(environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Raises what was raised in the block again, of the same class and from the same place, without what it may not tell.

    Of the engine's errors these are the values that it quotes, of all errors what the config takes from the environment. Dagster
    keeps the message of every error in its run history.

    Args:
        environment: `CompanyConfig.environment`.
    """
    try:
        yield
    except duckdb.Error as error:
        words = as_written(masked(str(error)), environment)
        if words == str(error):
            raise
        raise type(error)(words).with_traceback(error.__traceback__) from None
    except dg.Failure as failure:
        words = as_written(failure.description or "", environment)
        if words == (failure.description or ""):
            raise
        raise dg.Failure(words, failure.metadata, failure.allow_retries).with_traceback(failure.__traceback__) from None
    except Exception as error:
        if any(not _is_told_as_written(link, environment) for link in _chain(error)):
            words = as_written(str(error), environment)
            raise RuntimeError(f"{type(error).__name__}: {words}").with_traceback(error.__traceback__) from None
        raise


def guarded(environment: Mapping[str, str]) -> Callable[[Callable[_Given, Iterator[_Made]]], Callable[_Given, Iterator[_Made]]]:
    """Decorates a step so that it raises `without_values`."""

    def decorate(step: Callable[_Given, Iterator[_Made]]) -> Callable[_Given, Iterator[_Made]]:
        @wraps(step)
        def guard(*given: _Given.args, **named: _Given.kwargs) -> Iterator[_Made]:
            with without_values(environment):
                yield from step(*given, **named)

        return guard

    return decorate


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was raised from."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _is_told_as_written(error: BaseException, environment: Mapping[str, str]) -> bool:
    """Takes what came from the environment out of an error's words; whether that could be done in its own class."""
    if as_written(str(error), environment) != str(error):
        error.args = tuple(as_written(part, environment) if isinstance(part, str) else part for part in error.args)
        if isinstance(error, OSError) and error.filename is not None:
            error.filename = as_written(str(error.filename), environment)
    return as_written(str(error), environment) == str(error)
