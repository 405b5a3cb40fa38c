"""The house dialect: the functions that a `.sql` file may use, and the refusal of any other.

Put here a function's name once its edges (midnight, month ends, NULL, zero, ties) have a row in `tests/warehouse/test_dialect.py`.
Keep out everything that cannot be proved equal on a second engine: that is what the list is for.
"""

import difflib
from pathlib import Path

from sqlglot import exp

# sqlglot's name of each allowed function; operators, CASE, CAST, BETWEEN, IN, EXISTS and window frames are the language itself
ALLOWED_FUNCTIONS = frozenset(
    {
        # aggregates
        "COUNT", "GROUP_CONCAT", "LOGICAL_OR", "MAX", "MIN", "SUM",
        # windows
        "LAG", "LEAD", "ROW_NUMBER",
        # values
        "COALESCE", "FLOOR", "GREATEST", "LEAST", "LN", "NULLIF", "SQRT", "SUBSTRING",
        # times: differences of days are taken between dates, durations are added, zones change in staging alone
        "DATEDIFF", "TIMESTAMP_TRUNC", "TIME_TO_UNIX", "TO_MONTHS", "TO_SECONDS",
        # keys and properties
        "JSON_EXTRACT_SCALAR", "MD5",
        # language constructs that sqlglot counts among the functions
        "AND", "CASE", "CAST", "EXISTS", "IF", "OR", "TRY_CAST",
    },
)  # fmt: skip


class DialectError(Exception):
    """A word outside the house dialect: the sentence names file, line, the word and its closest allowed neighbours."""


def refuse_foreign_words(select: exp.Query, path: Path, text: str) -> None:
    """Checks every function of `select` against the allowed list.

    Raises:
        DialectError: at the first function that is not allowed.
    """
    for node in select.find_all(exp.Func):
        name = node.name.upper() if isinstance(node, exp.Anonymous) else node.sql_name().upper()
        if name in ALLOWED_FUNCTIONS:
            continue
        close = difflib.get_close_matches(name, ALLOWED_FUNCTIONS, n=3, cutoff=0.4)
        raise DialectError(
            f"{path}:{_line(text, name)} function {name} is not in the house dialect; "
            f"allowed neighbours: {', '.join(close) or 'none'}",
        )
    for division in select.find_all(exp.Div):
        divisor = division.expression.unnest()
        if not isinstance(divisor, exp.Nullif | exp.Literal):
            raise DialectError(
                f"{path}:{_line(text, '/')} a division by {divisor.sql(dialect='duckdb')}; write `/ nullif(…, 0)`: "
                "engines differ on a zero",
            )


def _line(text: str, word: str) -> int:
    position = text.upper().find(word)
    return text[: max(position, 0)].count("\n") + 1
