"""The rules of a table, joined from three origins: the `.sql` header, the product YAML, the company YAML.

Put here what a rule is and how the origins are joined and refused. Keep out how a rule is evaluated (`audit.py`) and
how its SQL is built (`queries.py`). Nothing here imports great-expectations, so that definitions load without it.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from milestones_dagster.config.quality import CompanyExpectation, TableQuality
from milestones_dagster.quality.expectation_types import ROW_TYPES, SQL_TYPE, SUPPORTED_TYPES, UNSUPPORTED_TYPES
from milestones_dagster.quality.product_yaml import ProductExpectation, read_product
from milestones_dagster.quality.queries import QueryError, duplicates_query, missing_keys_query, parse_query

Severity = Literal["critical", "warning"]
Origin = Literal["header", "product", "company"]

SHAPE = "shape"
SHAPE_TYPE = "table_shape"  # ours: great-expectations' type names are SQLAlchemy's, not DuckDB's
KEYS_UNIQUE = "keys_unique"
KEYS_PRESENT = "keys_present"
COLUMNS_PRESENT = "columns_present"  # one check tells of all columns that may not be NULL
QUERY = "unexpected_rows_query"

_FIXED = frozenset({SHAPE, KEYS_UNIQUE, KEYS_PRESENT})
# partitioned by day: every check of it costs Dagster one event a day, so its rules share three checks
_THREE_CHECKS = frozenset({"raw_events"})
_COLUMN_KWARGS = ("column", "column_A", "column_B", "column_list")
_RESERVED_KWARGS = MappingProxyType(
    {
        "mostly": "write `bound` beside kwargs: the allowed share of unexpected rows",
        "row_condition": "as text it leaves great-expectations in 2.0; write an unexpected_rows_expectation",
        "condition_parser": "it belongs to row_condition; write an unexpected_rows_expectation",
        "severity": "it stands beside kwargs",
        "meta": "it is set by the audit",
        "id": "it is set by the audit",
        "batch_id": "it is set by the audit",
        "catch_exceptions": "it is set by the audit",
        "result_format": "it is set by the audit",
    }
)


class SuiteError(ValueError):
    """Rules that cannot be accepted: one line per problem, naming file and rule.

    Attributes:
        problems: the lines.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DeclaredColumn(Protocol):
    """What a suite reads of a declared column."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def type(self) -> str:
        """Its DuckDB type."""

    @property
    def is_nullable(self) -> bool:
        """False when it is declared NOT NULL."""


class Declaration(Protocol):
    """What a suite reads of a table's declaration."""

    @property
    def name(self) -> str:
        """The table's name."""

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of its key."""

    @property
    def columns(self) -> Sequence[DeclaredColumn]:
        """All of its columns in order, pivoted ones included."""

    @property
    def path(self) -> Path:
        """Its `.sql` file."""


@dataclass(frozen=True)
class Rule:
    """One rule of a table.

    `check` is the Dagster check that reports it; `bound` the allowed share of unexpected rows, inclusive; `total` a
    query of one number, the denominator of that share (None: the rows that the expectation considers); `group_by` the
    column of the query whose every value is judged by itself, or, where there is a `total` too, is a part of the one whole
    that is judged.
    """

    name: str
    check: str
    title: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    bound: float
    recovery: str
    origin: Origin
    group_by: str | None = None
    total: str | None = None


def suite(declaration: Declaration, product_yaml: Path | None, company: TableQuality | None) -> list[Rule]:
    """Return the rules of a table: header, then product, then company, each in its own order.

    Args:
        declaration: the table's header; a table with pivoted columns is given with those columns.
        product_yaml: the product's invariants, None when there are none.
        company: the company's `quality/<table>.yaml`, None when there is none.

    Raises:
        SuiteError: with every problem of both files: an unknown or misspelt type (with the closest names), a name used
            twice, an undeclared column, a query without `{batch}`, an override of no rule, a weakened shape or key.
    """
    problems: list[str] = []
    rules = _header_rules(declaration)
    if product_yaml is not None:
        product = read_product(product_yaml, problems)
        for expectation in product.expectations:
            rule = _product_rule(declaration, expectation)
            _add(rules, rule, str(product_yaml), declaration, problems)
    if company is not None:
        file = f"quality/{declaration.name}.yaml"
        for added in company.expectations:
            _add(rules, _company_rule(declaration, added), file, declaration, problems)
        rules = _overridden(rules, company, file, problems)
    if problems:
        raise SuiteError(problems)
    return rules


def closest_names(name: str, known: Iterable[str]) -> str:
    """Return the words that offer the known names nearest to a misspelt one."""
    close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    return f"closest: {', '.join(close)}" if close else "no known name is close"


def _header_rules(declaration: Declaration) -> list[Rule]:
    table = declaration.name
    source = declaration.path.name
    key_words = ", ".join(declaration.key)

    def rule(name: str, title: str, expectation_type: str, kwargs: dict[str, Any], recovery: str) -> Rule:
        check = COLUMNS_PRESENT if name.endswith("_present") and name != KEYS_PRESENT else name
        return Rule(name, _check_of(table, check), title, expectation_type, kwargs, "critical", 0.0, recovery, "header")

    mend = f"Mend the SELECT of {source} or its header, then run the table again."
    columns = [(column.name, column.type) for column in declaration.columns]
    rules = [rule(SHAPE, "Columns, their order and types are as declared", SHAPE_TYPE, {"columns": columns}, mend)]
    if declaration.key:
        rules += [
            rule(
                KEYS_UNIQUE,
                f"No two rows share the key ({key_words})",
                SQL_TYPE,
                {QUERY: duplicates_query(declaration.key)},
                f"Look for the repeated keys in the tables that {source} reads, or for a join that repeats rows.",
            ),
            rule(
                KEYS_PRESENT,
                f"No key column is NULL ({key_words})",
                SQL_TYPE,
                {QUERY: missing_keys_query(declaration.key)},
                f"Look for rows without {key_words} in the tables that {source} reads.",
            ),
        ]
    rules += [
        rule(
            f"{column.name}_present",
            f"{column.name} is never NULL",
            "expect_column_values_to_not_be_null",
            {"column": column.name},
            f"Look for the rows without {column.name} in the tables that {source} reads.",
        )
        for column in declaration.columns
        if not column.is_nullable and column.name not in declaration.key
    ]
    return rules


def _product_rule(declaration: Declaration, found: ProductExpectation) -> Rule:
    return Rule(
        name=found.name,
        check=_check_of(declaration.name, found.name),
        title=found.title,
        type=found.type,
        kwargs=found.kwargs,
        severity=found.severity,
        bound=found.bound,
        recovery=found.recovery,
        origin="product",
        group_by=found.group_by,
        total=found.total,
    )


def _company_rule(declaration: Declaration, found: CompanyExpectation) -> Rule:
    return Rule(
        name=found.name,
        check=_check_of(declaration.name, found.name),
        title=found.name.replace("_", " ").capitalize(),
        type=found.type,
        kwargs=found.kwargs,
        severity=found.severity,
        bound=0.0,
        recovery=found.recovery,
        origin="company",
    )


def _check_of(table: str, rule: str) -> str:
    if table not in _THREE_CHECKS:
        return rule
    if rule == SHAPE:
        return "shape"
    return "keys" if rule in _FIXED else "rows"


def _add(rules: list[Rule], rule: Rule, file: str, declaration: Declaration, problems: list[str]) -> None:
    found = list(_faults(rule, declaration))
    if any(rule.name == other.name for other in rules):
        found.append("another rule has this name; a rule is changed under `bounds` and `severity`")
    problems.extend(f"{file}: rule {rule.name}: {fault}" for fault in found)
    rules.append(rule)


def _faults(rule: Rule, declaration: Declaration) -> Iterable[str]:
    if rule.type in UNSUPPORTED_TYPES:
        yield (f"type {rule.type} does not run on DuckDB; write an {SQL_TYPE} with {UNSUPPORTED_TYPES[rule.type]} instead")
    elif rule.type not in SUPPORTED_TYPES:
        yield f"type {rule.type} is unknown; {closest_names(rule.type, SUPPORTED_TYPES)}"
    for name in sorted(set(rule.kwargs) & set(_RESERVED_KWARGS)):
        yield f"kwargs.{name}: {_RESERVED_KWARGS[name]}"
    yield from _column_faults(rule, declaration)
    if rule.type == SQL_TYPE:
        yield from _query_faults(rule)
        return
    if rule.total is not None or rule.group_by is not None:
        yield f"`total` and `group_by` belong to {SQL_TYPE} alone"
    if rule.bound > 0 and rule.type not in ROW_TYPES:
        yield "`bound`: this type asks one question about the whole table, so there is no share to allow"


def _column_faults(rule: Rule, declaration: Declaration) -> Iterable[str]:
    # whether the column exists is the question itself
    if rule.type in {SQL_TYPE, "expect_column_to_exist", "expect_table_columns_to_match_ordered_list"}:
        return
    known = [column.name for column in declaration.columns]
    for argument in _COLUMN_KWARGS:
        value = rule.kwargs.get(argument, [])
        for name in [value] if isinstance(value, str) else value:
            if name not in known:
                yield f"kwargs.{argument}: {declaration.name} has no column {name!r}; {closest_names(str(name), known)}"


def _query_faults(rule: Rule) -> Iterable[str]:
    query = rule.kwargs.get(QUERY)
    if set(rule.kwargs) != {QUERY} or not isinstance(query, str):
        yield f"kwargs: expected {QUERY} and nothing else, found {', '.join(map(str, rule.kwargs)) or 'nothing'}"
    else:
        yield from _unparsed(f"kwargs.{QUERY}", query)
    if rule.total is not None:
        yield from _unparsed("total", rule.total)


def _unparsed(key: str, query: str) -> Iterable[str]:
    try:
        parse_query(query)
    except QueryError as error:
        yield f"{key}: {error}"


def _overridden(rules: list[Rule], company: TableQuality, file: str, problems: list[str]) -> list[Rule]:
    known = {rule.name: rule for rule in rules}
    for name, bound in company.bounds.items():
        fault = _bound_fault(name, bound, known)
        if fault is None:
            known[name] = replace(known[name], bound=bound)
        else:
            problems.append(f"{file}: bounds.{name}: {fault}")
    for name, severity in company.severity.items():
        if name not in known:
            problems.append(f"{file}: severity.{name}: no rule has this name; {closest_names(name, known)}")
        elif name in _FIXED and severity != "critical":
            problems.append(f"{file}: severity.{name}: shape and keys are always critical: what reads the table needs them")
        else:
            known[name] = replace(known[name], severity=severity)
    return list(known.values()) if len(known) == len(rules) else rules


def _bound_fault(name: str, bound: float, known: Mapping[str, Rule]) -> str | None:
    if name not in known:
        return f"no rule has this name; {closest_names(name, known)}"
    if name in _FIXED and bound > 0:
        return "shape and keys allow no exception: what reads the table needs them"
    if bound > 0 and known[name].type not in ROW_TYPES:
        return "the rule asks one question about the whole table, so there is no share to allow"
    if bound >= 1:
        return f"found {bound:g}, expected a share below 1: a rule that allows every row is removed, not bounded"
    return None
