"""What is wrong with a config, said so that a person can mend it: where, what was found, what would be right.

Put here the wording that all checks share. Keep out the checks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

_SHOWN_LENGTH = 60
_CLOSEST = 3

Severity = Literal["error", "warning"]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: error refuses the config; a warning is only told.
        file: name of the file, relative to the config folder.
        line: line of the file, from 1; 0 when the whole file is meant.
        key: path of the key, such as `setup.steps[0].events[1]`; items are counted from 0; empty for the whole file.
        found: what is there, in words or quoted.
        expected: what would be right.
        closest: known names that resemble what was found, best first.
    """

    severity: Severity
    file: str
    line: int
    key: str
    found: str
    expected: str
    closest: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        place = f"{place} {self.key}" if self.key else place
        hint = f"; closest: {', '.join(self.closest)}" if self.closest else ""
        return f"{place}: found {self.found}, expected {self.expected}{hint}"


class ConfigError(ValueError):
    """A config that cannot be used; `problems` holds all that is wrong with it, warnings too."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def closest(name: object, known: Iterable[str]) -> tuple[str, ...]:
    """Return at most three of the known names that resemble the name, best first, compared without case."""
    by_folded = {each.casefold(): each for each in known}
    matches = get_close_matches(str(name).casefold(), list(by_folded), n=_CLOSEST, cutoff=0.6)
    return tuple(by_folded[match] for match in matches)


def key_text(path: Path) -> str:
    """Return the path of a key as people write it: `setup.steps[0].events`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: object) -> str:
    """Return a value as messages show it: text in quotes and cut, collections by what they are."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = " ".join(value.splitlines())
        return repr(text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…")
    if isinstance(value, dict):
        return "keys below it" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return str(value)
