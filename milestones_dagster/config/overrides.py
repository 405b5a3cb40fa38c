"""Values put in the place of the framework's own for one reading: `activation.threshold=25`.

Put here how such a value names its key and is laid over the file's values. Keep out whether it is right: the same models and
checks judge it as judge the file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from milestones_dagster.config.document import Document, read_value
from milestones_dagster.config.problems import Path, Problem, closest, key_text

PLACE: Final = "--set"
"""What a problem with such a value names in the place of a file."""

_EXPECTED = "KEY=VALUE with the key's place in framework.yaml, such as activation.threshold=25"


@dataclass(frozen=True)
class Override:
    """A value for a key of `framework.yaml`; items of a list are named by their `name`, or counted from 0."""

    key: tuple[str, ...]
    value: object

    @classmethod
    def of(cls, text: str) -> "Override":
        """Return what `text`, such as activation.threshold=25, says.

        Raises:
            ValueError: a sentence on what is wrong with it.
        """
        key, found, value = text.partition("=")
        parts = tuple(part.strip() for part in key.split("."))
        if not found or not all(parts):
            raise ValueError(f"{PLACE}: found {text!r}, expected {_EXPECTED}")
        try:
            return cls(parts, read_value(value))
        except ValueError as error:
            raise ValueError(f"{PLACE} {key}: found {value!r}, expected a value as YAML writes it") from error


def apply(document: Document, overrides: Iterable[Override]) -> list[Problem]:
    """Lay the values over the document's; return what names no item of a list."""
    problems = []
    for override in overrides:
        problem = _put(document, override)
        problems += [problem] if problem is not None else []
    return problems


def told_at_override(problem: Problem) -> Problem:
    """Return the problem at `--set` where it is of a key that was set there, which no line of the file says, else as it is."""
    is_set = problem.file == "framework.yaml" and problem.line == 0 and problem.key
    return replace(problem, file=PLACE) if is_set else problem


def _put(document: Document, override: Override) -> Problem | None:
    node: object = document.data
    path: Path = ()
    for number, part in enumerate(override.key):
        is_last = number == len(override.key) - 1
        if isinstance(node, list):
            place = _place(node, part)
            if place is None:
                names = tuple(str(item["name"]) for item in node if isinstance(item, dict) and "name" in item)
                known = f"one of {', '.join(names)}" if names else f"a number from 0 to {len(node) - 1}"
                return Problem("error", PLACE, 0, key_text(path), repr(part), known, closest(part, names))
            path = (*path, place)
            if is_last:
                node[place] = override.value
            else:
                node = node[place]
        elif isinstance(node, dict):
            path = (*path, part)
            if is_last:
                node[part] = override.value
                # what the environment said there is said no more
                document.written.pop(path, None)
            else:
                # a key that is not there is made, so that the model says what is known beside it
                if part not in node:
                    document.lines[path] = 0
                node = node.setdefault(part, {})
        else:
            return Problem("error", PLACE, 0, key_text(path), f"the key {part} below it", "a value: it has no keys")
    document.lines[path] = 0
    return None


def _place(items: list[object], part: str) -> int | None:
    if part.isdecimal() and int(part) < len(items):
        return int(part)
    named = (number for number, item in enumerate(items) if isinstance(item, dict) and item.get("name") == part)
    return next(named, None)
