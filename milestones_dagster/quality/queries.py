"""The SQL of the quality rules: a rule bound to a relation, the one row that sums it up, the sample of keys.

Put here how a query is built or wrapped. Keep out what is checked (`suites.py`) and running it (`audit.py`): nothing
here opens a connection. A rule's query is in great-expectations' form: it names the audited rows as `{batch}`, and a
literal brace is doubled. Inside, the rows are a common table expression called `batch`, so that `{batch}` may be
aliased, joined and repeated; great-expectations' own substitution allows an alias only when the query has a JOIN, and
demands one then.
"""

import re
from collections.abc import Sequence
from functools import cache
from string import Formatter

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

SAMPLE_SIZE = 5

_BATCH = "batch"
_RULE_ROWS = "unexpected_rows"
_PLACEHOLDER = "batch__of__great__expectations"
# SQLAlchemy reads `:name` as a parameter, also the `:2` of a list slice; `::type` it leaves alone
_COLON = re.compile(r"(?<![:\w\\]):(?=\w)")

_ROW_SUMMARY = "SELECT COUNT(*) AS unexpected_count FROM unexpected_rows"
_GROUP_SUMMARY = """
    SELECT
        LIST(CAST(group_key AS VARCHAR) ORDER BY group_key) AS group_keys,
        LIST(unexpected_count ORDER BY group_key) AS unexpected_counts,
        LIST(total_count ORDER BY group_key) AS total_counts
    FROM unexpected_rows
"""
_PART_SUMMARY = """
    SELECT
        LIST(CAST(group_key AS VARCHAR) ORDER BY group_key) AS group_keys,
        LIST(unexpected_count ORDER BY group_key) AS unexpected_counts
    FROM unexpected_rows
"""


class QueryError(ValueError):
    """A rule's query that cannot be used; the sentence says what was found and what would be right."""


def parse_query(text: str) -> exp.Query:
    """Return the parsed query of a rule, its `{batch}` being the relation `batch`.

    Raises:
        QueryError: no `{batch}`, another placeholder, an unpaired brace, or not exactly one SELECT.
    """
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise QueryError(f"{error}; a literal brace is written twice: {{{{ or }}}}") from error
    fields = {field for _, field, _, _ in pieces if field is not None}
    if fields - {_BATCH}:
        found = ", ".join(sorted(fields - {_BATCH}))
        raise QueryError(f"found the placeholder {{{found}}}, only {{batch}} is known; a literal brace is written twice")
    if not fields:
        raise QueryError("found no {batch}, the name under which the query reads the audited rows")
    try:
        statements = sqlglot.parse(text.format(batch=_BATCH), dialect="duckdb")
    except ParseError as error:
        raise QueryError(f"not valid SQL: {str(error).splitlines()[0]}") from error
    query = statements[0]
    if len(statements) != 1 or not isinstance(query, exp.Query):
        raise QueryError(f"expected one SELECT, found {len(statements)} statement(s)")
    return query


@cache  # the same for every config that a process reads
def duplicates_query(key: tuple[str, ...]) -> str:
    """Return the query of the rows that share their key with another row (all of them), the key columns only.

    Numbers of 64 bits that stand for the keys are counted first, at half the cost of the keys themselves; where none
    repeats, no key does, and the rest reads nothing. The groups are counted and then spread out again: a window over
    all rows would hold every row in memory, this holds the keys. NULL equals NULL here, unlike in great-expectations'
    own compound uniqueness, which lets such rows pass.
    """
    count = exp.Count(this=exp.Star())
    hashed = exp.Anonymous(this="hash", expressions=list(_columns(key)))
    numbers = exp.select(exp.alias_(hashed.copy(), "number")).from_(_PLACEHOLDER)
    repeated = (
        exp.select("number")
        .from_(numbers.subquery("numbers"))
        .group_by("number")
        .having(exp.GT(this=count.copy(), expression=exp.Literal.number(1)))
    )
    groups = (
        exp.select(*_columns(key), exp.alias_(count, "copies"))
        .from_(_PLACEHOLDER)
        .where(exp.In(this=hashed, query=repeated.subquery()))
        .group_by(*_columns(key))
        .having(exp.GT(this=count.copy(), expression=exp.Literal.number(1)))
    )
    spread = exp.alias_(exp.func("unnest", exp.func("range", exp.column("copies"), dialect="duckdb")), "copy")
    rows = exp.select(*_columns(key), spread).from_(groups.subquery("duplicate_keys"))
    return _in_batch_form(exp.select(*_columns(key)).from_(rows.subquery("duplicates")))


@cache
def missing_keys_query(key: tuple[str, ...]) -> str:
    """Return the query of the rows with a NULL in a key column, the key columns only."""
    is_null = exp.or_(*(exp.Is(this=column, expression=exp.Null()) for column in _columns(key)))
    return _in_batch_form(exp.select(*_columns(key)).from_(_PLACEHOLDER).where(is_null))


def absences_query(columns: Sequence[str]) -> str:
    """Return, in great-expectations' form, the query of one row: all rows, and the list of the NULLs of each column in turn."""
    rows = exp.Count(this=exp.Star())
    missing = [exp.Sub(this=rows.copy(), expression=exp.Count(this=column)) for column in _columns(columns)]
    counts = exp.alias_(exp.Array(expressions=missing), "missing_counts")
    return _in_batch_form(exp.select(exp.alias_(rows, "element_count"), counts).from_(_PLACEHOLDER))


def repeated_values_query(column: str, key: Sequence[str]) -> str:
    """Return the query of the keys of the rows whose value of the column occurs again; NULLs do not count."""
    repeated = (
        exp.select(*_columns([column]))
        .from_(_PLACEHOLDER)
        .group_by(*_columns([column]))
        .having(exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
    )
    is_repeated = exp.In(this=_columns([column])[0], query=repeated.subquery())
    return _in_batch_form(exp.select(*_columns(key)).from_(_PLACEHOLDER).where(is_repeated))


@cache
def summary_query(rule_name: str, query: str, total: str | None, group_by: str | None) -> str:
    """Return, in great-expectations' form, the query of one row that sums a rule up.

    Its columns: `unexpected_count` and, with a `total` query, `total_count`; with `group_by` the three lists
    `group_keys`, `unexpected_counts` and `total_counts`, one element per group, the last of which a `total` query
    replaces by its `total_count`. One row, because great-expectations fetches at most 200 rows of a query, without an
    order, and runs it a second time to count them.
    """
    rows = parse_query(query)
    if group_by is None:
        summary = _static(_ROW_SUMMARY)
    else:
        counts = ["unexpected_count"] if total is not None else ["unexpected_count", "total_count"]
        summary = _static(_GROUP_SUMMARY if total is None else _PART_SUMMARY)
        grouped = exp.alias_(_columns([group_by])[0], "group_key")
        rows = exp.select(grouped, *counts).from_(rows.subquery("rule_rows"))
    if total is not None:
        denominator = exp.alias_(parse_query(total).subquery(), "total_count")
        summary = summary.select(denominator, copy=False)
    summary = _with_rows(summary, exp.to_table(_PLACEHOLDER), rows)
    # names the culprit when the statement aborts the transaction, see `audit.py`
    summary.add_comments([rule_mark(rule_name)])
    return _in_batch_form(summary)


def rule_mark(rule_name: str) -> str:
    """Return the comment by which a rule's statement is known."""
    return f" rule {rule_name} "


def output_columns_query(query: str, relation: exp.Table) -> str:
    """Return a query without rows whose columns are those of the rule's query."""
    return _with_rows(exp.select("*").from_(_RULE_ROWS).limit(0), relation, parse_query(query)).sql(dialect="duckdb")


def sample_query(query: str, relation: exp.Table, columns: Sequence[str]) -> str:
    """Return the query of the first distinct keys of the rule's rows, in their order, one more than a sample holds."""
    first = exp.select(*_columns(columns)).distinct().from_(_RULE_ROWS).order_by(*_columns(columns)).limit(SAMPLE_SIZE + 1)
    return _with_rows(first, relation, parse_query(query)).sql(dialect="duckdb")


def describe_query(relation: exp.Table) -> str:
    """Return the statement that lists a relation's columns: name and type first."""
    return exp.Describe(this=relation.copy()).sql(dialect="duckdb")


def _with_rows(select: exp.Select, relation: exp.Table, rows: exp.Query) -> exp.Select:
    # not materialised: DuckDB would otherwise keep a copy of every column of the table
    batch = exp.select("*").from_(relation.copy())
    bound = select.with_(_BATCH, as_=batch, materialized=False, copy=False)
    return bound.with_(_RULE_ROWS, as_=rows, materialized=False, copy=False)


def _columns(names: Sequence[str]) -> list[exp.Column]:
    return [exp.column(exp.to_identifier(name, quoted=True)) for name in names]


def _static(text: str) -> exp.Select:
    parsed = sqlglot.parse_one(text, dialect="duckdb")
    if not isinstance(parsed, exp.Select):
        raise TypeError(f"expected a SELECT, found {type(parsed).__name__}")
    return parsed


def _in_batch_form(query: exp.Query) -> str:
    text = query.sql(dialect="duckdb").replace("{", "{{").replace("}", "}}")
    return text.replace(_PLACEHOLDER, "{batch}")


def escape_colons(query: str) -> str:
    """Return the query with those colons escaped that SQLAlchemy would take for parameters."""
    return _COLON.sub(r"\\:", query)
