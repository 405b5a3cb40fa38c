"""The house dialect: the functions and operators that a `.sql` file may use, and the refusal of any other.

Put here a function or an operator once its edges (midnight, month ends, NULL, zero, ties) have a row in
`tests/warehouse/test_dialect.py`. Keep out everything that cannot be proved equal on a second engine: that is what the list is for.
"""

import difflib
from pathlib import Path

from sqlglot import exp

JOINED_TEXT = "STRING_AGG(DISTINCT a, ', ' ORDER BY a)"
# sqlglot's name of each allowed function
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
        "AND", "CASE", "CAST", "IF", "OR", "TRY_CAST",
    },
)  # fmt: skip

ALLOWED_OPERATORS = frozenset(
    {
        exp.Add, exp.AtTimeZone, exp.Div, exp.DPipe, exp.EQ, exp.GT, exp.GTE, exp.In, exp.Is, exp.LT, exp.LTE, exp.Mul, exp.NEQ,
        exp.Not, exp.NullSafeNEQ, exp.Sub, exp.Union,
    },
)  # fmt: skip
# where sqlglot's name of a function is not the one that is written
_WRITTEN = {
    "DATEDIFF": "DATE_DIFF",
    "GROUP_CONCAT": "STRING_AGG",
    "JSON_EXTRACT_SCALAR": "->>",
    "TIMESTAMP_TRUNC": "DATE_TRUNC",
    "TIME_TO_UNIX": "EPOCH",
}
# syntax that is refused unless it is among the allowed operators; brackets and the dot of a name are no operators
_OPERATORS = (
    exp.Binary, exp.Unary, exp.AtTimeZone, exp.Between, exp.Bracket, exp.Filter, exp.In, exp.Interval, exp.Lateral, exp.Pivot,
    exp.Qualify, exp.SetOperation,
)  # fmt: skip
_NO_OPERATORS = (exp.Func, exp.Paren, exp.Dot)


class DialectError(Exception):
    """A word outside the house dialect: the sentence names file, line, the word and its closest allowed neighbours."""


def refuse_foreign_words(select: exp.Query, path: Path, text: str, first_line: int = 1) -> None:
    """Checks every function and operator of `select` against the allowed ones.

    Args:
        select: The parsed SELECT.
        path: Its file.
        text: The SELECT as written.
        first_line: Line of the file on which it begins.

    Raises:
        DialectError: at the first word that is not allowed.
    """

    def place(node: exp.Expr) -> str:
        return f"{path}:{first_line + _line(node) - 1}"

    for node in select.walk():
        if isinstance(node, exp.Func):
            name = node.name.upper() if isinstance(node, exp.Anonymous) else node.sql_name().upper()
            if name not in ALLOWED_FUNCTIONS:
                written = _written(node, text) or name
                raise DialectError(
                    f"{place(node)} function {written} is not in the house dialect; allowed neighbours: {_neighbours(written)}"
                )
        elif isinstance(node, _OPERATORS) and not isinstance(node, _NO_OPERATORS) and type(node) not in ALLOWED_OPERATORS:
            raise DialectError(f"{place(node)} `{node.sql(dialect='duckdb')}`: {type(node).__name__} is not in the house dialect")
        if isinstance(node, exp.GroupConcat) and not is_joined_text(node):
            raise DialectError(f"{place(node)} `{node.sql(dialect='duckdb')}`: write {JOINED_TEXT}, which both engines can say")
        if isinstance(node, exp.Div) and not _is_safe_divisor(node.expression.unnest()):
            divisor = node.expression.unnest().sql(dialect="duckdb")
            raise DialectError(f"{place(node)} a division by {divisor}; write `/ nullif(…, 0)`: engines differ on a zero")


def is_joined_text(node: exp.GroupConcat) -> bool:
    """Whether an aggregate of text is of the one form that both engines can say: each text once, in their own order."""
    order = node.this
    if not isinstance(order, exp.Order) or not isinstance(order.this, exp.Distinct):
        return False
    return [key.this for key in order.expressions] == order.this.expressions and not order.expressions[0].args.get("desc")


def _is_safe_divisor(divisor: exp.Expr) -> bool:
    if isinstance(divisor, exp.Literal):
        return not divisor.is_string and float(divisor.this) != 0
    return isinstance(divisor, exp.Nullif)


def _neighbours(word: str) -> str:
    allowed = [_WRITTEN.get(name, name) for name in sorted(ALLOWED_FUNCTIONS)]
    return ", ".join(difflib.get_close_matches(word, allowed, n=3, cutoff=0.5)) or "none"


def _written(node: exp.Expr, text: str) -> str:
    """The function's name as it is written, empty where the parser does not say its place."""
    return text[node.meta["start"] : node.meta["end"] + 1].upper() if "start" in node.meta else ""


def _line(node: exp.Expr | None) -> int:
    """Line of the SELECT on which the expression stands; the parser tells it of functions, names and literals alone."""
    while node is not None:
        lines = [int(part.meta["line"]) for part in node.walk() if "line" in part.meta]
        if lines:
            return min(lines)
        node = node.parent
    return 1
