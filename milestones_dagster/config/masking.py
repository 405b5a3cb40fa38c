"""What no message may tell: the values of a company's rows, and what its config takes from the environment.

Put here how a message loses them. Keep out the wording of our own errors, which show no value of a row.
"""

import re
from collections.abc import Mapping

# of these the quoted words are values; of the others (a missing column, a missing file) they are what a person must find
_ABOUT_VALUES = re.compile(
    r"(Conversion|Constraint|Invalid Input|Invalid type|Mismatch Type|Out of Range|Cast) Error|could not convert|invalid literal",
    re.IGNORECASE,
)
# from the first mark to the last, or to the end where the message is cut: a value may hold the mark itself, or the end of a line
_QUOTED = tuple(re.compile(rf"(?<!\w){mark}.*{mark}(?!\w)|(?<!\w){mark}.*\Z", re.DOTALL) for mark in "'\"")
_BARE = re.compile(r"(with value|value:) [^\s'\"]+")
_SHORTEST_SECRET = 4
_NUMBER = re.compile(r"[-+]?[\d.]{1,8}")
_ADDRESS = re.compile(r"[^\s'\"<>(),;:/@]+@[^\s'\"<>(),;:/@]+\.[^\s'\"<>(),;:/@]+")


def masked(message: str) -> str:
    """Return a message of a library with `…` in the place of every value that it quotes, and of every e-mail address."""
    if _ABOUT_VALUES.search(message):
        for pattern in _QUOTED:
            message = pattern.sub(lambda found: f"{found[0][0]}…{found[0][0]}", message)
        message = _BARE.sub(r"\1 …", message)
    return _ADDRESS.sub("…", message)


def as_written(message: str, environment: Mapping[str, str]) -> str:
    """Return a message with `${NAME}`, as the config says it, in the place of what came from the environment.

    A value of fewer than four characters, or a number, hides nothing and would be found in every other word: it stays.

    Args:
        message: any text.
        environment: what stands in the files, by what came from the environment.
    """
    for value in sorted(environment, key=len, reverse=True):
        if len(value) >= _SHORTEST_SECRET and not _NUMBER.fullmatch(value):
            message = message.replace(value, environment[value])
    return message
