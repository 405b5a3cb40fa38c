"""What no message may tell: the values of a company's rows.

Put here how a library's error loses the values that it quotes. Keep out the wording of our own errors, which show none.
"""

import re

# of these the quoted words are values; of the others (a missing column, a missing file) they are what a person must find
_ABOUT_VALUES = re.compile(
    r"(Conversion|Constraint|Invalid Input|Invalid type|Mismatch Type|Out of Range|Cast) Error|could not convert|invalid literal",
    re.IGNORECASE,
)
# from the first mark to the last, or to the end where the message is cut: a value may hold the mark itself, or the end of a line
_QUOTED = tuple(re.compile(rf"(?<!\w){mark}.*{mark}(?!\w)|(?<!\w){mark}.*\Z", re.DOTALL) for mark in "'\"")
_BARE = re.compile(r"(with value|value:) [^\s'\"]+")
_ADDRESS = re.compile(r"[^\s'\"<>(),;:/@]+@[^\s'\"<>(),;:/@]+\.[^\s'\"<>(),;:/@]+")


def masked(message: str) -> str:
    """Return a message of a library with `…` in the place of every value that it quotes, and of every e-mail address."""
    if _ABOUT_VALUES.search(message):
        for pattern in _QUOTED:
            message = pattern.sub(lambda found: f"{found[0][0]}…{found[0][0]}", message)
        message = _BARE.sub(r"\1 …", message)
    return _ADDRESS.sub("…", message)
