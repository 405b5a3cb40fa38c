"""The edges of the house dialect: midnight, month ends, zones with summer time, NULL, zero and ties, each with its value worked out by hand.

A second engine is proved equal by giving these rows the same values. A function enters `ALLOWED_FUNCTIONS` with its rows here.
"""

# ruff: noqa: FBT003, S324 (one row of the table stands on one line; expected values are values; MD5 makes keys, no secrets)

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import md5
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from milestones_dagster.config.loader import load_config
from milestones_dagster.config.relations import relations
from milestones_dagster.warehouse.dialect import ALLOWED_FUNCTIONS, ALLOWED_OPERATORS, DialectError, refuse_foreign_words
from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.spark_dialect import spark_sql
from milestones_dagster.warehouse.table import SCHEMAS, load_tables

DEFAULT_CONFIG = Path(__file__).resolve().parents[2] / "assets_config"
HERE = Path("table.sql")


@dataclass(frozen=True)
class Edge:
    """One row of the table of edges.

    `word` is sqlglot's name of the function, or the class of the operator; `rows` all rows of the query, or the part of an
    error's message when the engine must refuse.
    """

    word: str | type[exp.Expr]
    about: str
    query: str
    rows: list[tuple[object, ...]] | str

    @property
    def name(self) -> str:
        return f"{self.word if isinstance(self.word, str) else self.word.__name__}: {self.about}"


def value(word: str | type[exp.Expr], about: str, expression: str, expected: object) -> Edge:
    """An edge of one expression without a table."""
    return Edge(word, about, f"SELECT {expression}", [(expected,)])


def of(values: str, select: str) -> str:
    """A query over rows `t(a, b, …)` written as VALUES."""
    columns = ", ".join("abcdef"[: len(values[1 : values.index(")")].split(","))])
    return f"SELECT {select} FROM (VALUES {values}) AS t({columns})"


def of_property(properties: str, name: str) -> str:
    """A query of one property, named by a column as the files name it."""
    return f"SELECT CAST({properties} AS VARCHAR) ->> t.name FROM (VALUES ({name})) AS t(name)"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ts(text: str) -> str:
    return f"CAST('{text}' AS TIMESTAMP)"


def in_zone(instant: str, zone: str) -> str:
    return f"CAST('{instant}' AS TIMESTAMP) AT TIME ZONE 'UTC' AT TIME ZONE '{zone}'"


def to_utc(wall: str, zone: str) -> str:
    return f"CAST('{wall}' AS TIMESTAMP) AT TIME ZONE '{zone}' AT TIME ZONE 'UTC'"


AGGREGATES = [
    Edge("COUNT", "no row", of("(1)", "COUNT(*), COUNT(a)") + " WHERE a = 2", [(0, 0)]),
    Edge("COUNT", "NULL counts for * alone", of("(1), (NULL), (NULL)", "COUNT(*), COUNT(a)"), [(3, 1)]),
    Edge("COUNT", "DISTINCT leaves NULL out", of("(1), (1), (2), (NULL)", "COUNT(DISTINCT a)"), [(2,)]),
    Edge("COUNT", "DISTINCT of NULL alone", of("(CAST(NULL AS BIGINT)), (NULL)", "COUNT(DISTINCT a)"), [(0,)]),
    Edge("COUNT", "CASE without ELSE counts the condition", of("(1), (0), (NULL)", "COUNT(CASE WHEN a = 1 THEN 1 END)"), [(1,)]),
    Edge("COUNT", "over a partition of NULL", of("(NULL, 1), (NULL, 2), (1, 3)", "b, COUNT(*) OVER (PARTITION BY a)") + " ORDER BY b", [(1, 2), (2, 2), (3, 1)]),
    Edge("SUM", "no row is NULL, not 0", of("(1)", "SUM(a)") + " WHERE a = 2", [(None,)]),
    Edge("SUM", "NULL is left out", of("(1), (NULL), (2)", "CAST(SUM(a) AS BIGINT)"), [(3,)]),
    Edge("SUM", "of NULL alone", of("(CAST(NULL AS BIGINT)), (NULL)", "SUM(a)"), [(None,)]),
    # 2 * (2^63 - 1) is beyond 64 bits: a sum of BIGINT is wider and is cast where it is published
    Edge("SUM", "beyond 64 bits", of("(9223372036854775807), (9223372036854775807)", "CAST(SUM(a) AS VARCHAR)"), [("18446744073709551614",)]),
    Edge("MAX", "NULL is left out", of("(1), (NULL), (3)", "MAX(a)"), [(3,)]),
    Edge("MAX", "no row", of("(1)", "MAX(a)") + " WHERE a = 2", [(None,)]),
    Edge("MAX", "true is above false", of("(TRUE), (FALSE)", "MAX(a)"), [(True,)]),
    Edge("MAX", "text by code point: capitals first", of("('b'), ('B'), ('a')", "MAX(a)"), [("b",)]),
    Edge("MIN", "NULL is left out", of("(2), (NULL), (3)", "MIN(a)"), [(2,)]),
    Edge("MIN", "text by code point: capitals first", of("('b'), ('B'), ('a')", "MIN(a)"), [("B",)]),
    Edge("MIN", "the empty text is a value", of("('a'), ('')", "MIN(a)"), [("",)]),
    Edge("LOGICAL_OR", "NULL is left out", of("(FALSE), (NULL)", "LOGICAL_OR(a)"), [(False,)]),
    Edge("LOGICAL_OR", "one true is enough", of("(FALSE), (NULL), (TRUE)", "LOGICAL_OR(a)"), [(True,)]),
    Edge("LOGICAL_OR", "of NULL alone", of("(CAST(NULL AS BOOLEAN)), (NULL)", "LOGICAL_OR(a)"), [(None,)]),
    Edge("GROUP_CONCAT", "each once, ordered, NULL left out", of("('b'), ('a'), ('b'), (NULL)", "STRING_AGG(DISTINCT a, ', ' ORDER BY a)"), [("a, b",)]),
    Edge("GROUP_CONCAT", "the empty text is a value", of("('b'), ('')", "STRING_AGG(DISTINCT a, ', ' ORDER BY a)"), [(", b",)]),
    Edge("GROUP_CONCAT", "of NULL alone", of("(CAST(NULL AS VARCHAR)), (NULL)", "STRING_AGG(DISTINCT a, ', ' ORDER BY a)"), [(None,)]),
]  # fmt: skip
WINDOWS = [
    Edge("ROW_NUMBER", "NULL comes last ascending", of("(2), (NULL), (1)", "a, ROW_NUMBER() OVER (ORDER BY a)") + " ORDER BY 2", [(1, 1), (2, 2), (None, 3)]),
    Edge("ROW_NUMBER", "ties fall to the next key", of("(1, 'b'), (1, 'a')", "b, ROW_NUMBER() OVER (ORDER BY a, b)") + " ORDER BY 2", [("a", 1), ("b", 2)]),
    Edge("ROW_NUMBER", "a partition of NULL", of("(NULL, 1), (NULL, 2), (1, 3)", "b, ROW_NUMBER() OVER (PARTITION BY a ORDER BY b)") + " ORDER BY b", [(1, 1), (2, 2), (3, 1)]),
    Edge("LAG", "nothing before the first", of("(1), (2)", "a, LAG(a) OVER (ORDER BY a)") + " ORDER BY a", [(1, None), (2, 1)]),
    Edge("LAG", "a NULL before is a NULL", of("(1, NULL), (2, 5), (3, 6)", "a, LAG(b) OVER (ORDER BY a)") + " ORDER BY a", [(1, None), (2, None), (3, 5)]),
    Edge("LEAD", "nothing after the last", of("(1), (2)", "a, LEAD(a) OVER (ORDER BY a)") + " ORDER BY a", [(1, 2), (2, None)]),
    Edge("LEAD", "stays in its partition", of("('x', 1), ('y', 2)", "b, LEAD(b) OVER (PARTITION BY a ORDER BY b)") + " ORDER BY b", [(1, None), (2, None)]),
    # row 1 has none before; row 2 sees 5; row 3 sees the larger of 5 and 3
    Edge(exp.WindowSpec, "all rows before this one", of("(1, 5), (2, 3), (3, 9)", "a, MAX(b) OVER (ORDER BY a ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)") + " ORDER BY a", [(1, None), (2, 5), (3, 5)]),
    # without a frame a sum runs to the last of its ties: both rows of a = 1 see 1 + 2
    Edge(exp.Window, "a running sum takes ties together", of("(1, 1), (1, 2), (2, 4)", "b, CAST(SUM(b) OVER (ORDER BY a) AS BIGINT)") + " ORDER BY b", [(1, 3), (2, 3), (4, 7)]),
    Edge(exp.Window, "without an order the whole partition", of("('x', 1), ('x', 2), ('y', 4)", "b, CAST(SUM(b) OVER (PARTITION BY a) AS BIGINT)") + " ORDER BY b", [(1, 3), (2, 3), (4, 4)]),
    Edge(exp.Ordered, "descending with NULLS LAST", of("(2), (NULL), (3)", "a") + " ORDER BY a DESC NULLS LAST", [(3,), (2,), (None,)]),
    Edge(exp.Ordered, "NULLS FIRST", of("(2), (NULL), (1)", "a") + " ORDER BY a NULLS FIRST", [(None,), (1,), (2,)]),
    Edge(exp.Ordered, "ascending and descending both put NULL last unsaid", of("(NULL), (1)", "ROW_NUMBER() OVER (ORDER BY a), ROW_NUMBER() OVER (ORDER BY a DESC)") + " ORDER BY 1", [(1, 1), (2, 2)]),
    Edge(exp.Ordered, "true first descending", of("(FALSE), (TRUE)", "a") + " ORDER BY a DESC", [(True,), (False,)]),
]  # fmt: skip
VALUES = [
    value("COALESCE", "the first that is there", "COALESCE(NULL, 2, 3)", 2),
    value("COALESCE", "0, FALSE and '' are there", "COALESCE(FALSE, TRUE)", False),
    value("COALESCE", "none is there", "COALESCE(CAST(NULL AS BIGINT), NULL)", None),
    value("COALESCE", "a comparison with NULL is not true", "COALESCE(CAST(NULL AS DOUBLE) >= 3, FALSE)", False),
    value("NULLIF", "equal", "NULLIF(0, 0)", None),
    value("NULLIF", "unequal", "NULLIF(3, 0)", 3),
    value("NULLIF", "of NULL", "NULLIF(CAST(NULL AS BIGINT), 0)", None),
    value("NULLIF", "negative zero is zero", "NULLIF(CAST('-0.0' AS DOUBLE), 0)", None),
    value("FLOOR", "below zero goes down", "FLOOR(CAST('-0.5' AS DOUBLE))", -1.0),
    value("FLOOR", "whole numbers stay", "FLOOR(CAST(2 AS DOUBLE))", 2.0),
    value("FLOOR", "of NULL", "FLOOR(CAST(NULL AS DOUBLE))", None),
    value("GREATEST", "NULL is left out", "GREATEST(1, NULL, 3)", 3),
    value("GREATEST", "of NULL alone", "GREATEST(CAST(NULL AS BIGINT), NULL)", None),
    value("GREATEST", "of times", f"GREATEST({ts('2025-01-01')}, {ts('2025-01-01 00:00:00.000001')})", at("2025-01-01 00:00:00.000001")),
    value("LEAST", "NULL is left out", "LEAST(NULL, 2, 3)", 2),
    value("LEAST", "of NULL alone", "LEAST(CAST(NULL AS BIGINT), NULL)", None),
    value("LN", "of 1", "LN(1)", 0.0),
    value("LN", "of NULL", "LN(CAST(NULL AS DOUBLE))", None),
    Edge("LN", "of 0 is an error: the files add 1 first", "SELECT LN(CAST(0 AS DOUBLE))", "logarithm of zero"),
    value("SQRT", "of 0", "SQRT(0)", 0.0),
    value("SQRT", "of NULL", "SQRT(CAST(NULL AS DOUBLE))", None),
    Edge("SQRT", "below 0 is an error", "SELECT SQRT(CAST('-1' AS DOUBLE))", "square root of a negative number"),
    value("SUBSTRING", "the first character is 1", "SUBSTRING('abcdef', 1, 3)", "abc"),
    value("SUBSTRING", "past the end", "SUBSTRING('abc', 3, 60)", "c"),
    value("SUBSTRING", "of the empty text", "SUBSTRING('', 3, 60)", ""),
    value("SUBSTRING", "characters, not bytes", "SUBSTRING('äöü', 2, 1)", "ö"),
    value("SUBSTRING", "of NULL", "SUBSTRING(CAST(NULL AS VARCHAR), 1, 3)", None),
    value("MD5", "of the empty text", "MD5('')", "d41d8cd98f00b204e9800998ecf8427e"),
    value("MD5", "of text beyond ASCII, as UTF-8", "MD5('Müller')", md5("Müller".encode()).hexdigest()),
    value("MD5", "of NULL", "MD5(CAST(NULL AS VARCHAR))", None),
    value("CASE", "the first that is true", "CASE WHEN NULL THEN 'a' WHEN TRUE THEN 'b' WHEN TRUE THEN 'c' END", "b"),
    value("CASE", "none is true, without ELSE", "CASE WHEN FALSE THEN 1 END", None),
    value("CASE", "CASE x WHEN never finds NULL", "CASE CAST(NULL AS VARCHAR) WHEN NULL THEN 1 ELSE 2 END", 2),
    value("IF", "an unknown condition goes to ELSE", "CASE WHEN CAST(NULL AS BIGINT) > 0 THEN 1 ELSE 0 END", 0),
    value("AND", "false decides over NULL", "FALSE AND CAST(NULL AS BOOLEAN)", False),
    value("AND", "true leaves NULL", "TRUE AND CAST(NULL AS BOOLEAN)", None),
    value("OR", "true decides over NULL", "TRUE OR CAST(NULL AS BOOLEAN)", True),
    value("OR", "false leaves NULL", "FALSE OR CAST(NULL AS BOOLEAN)", None),
    value("OR", "binds less than AND", "TRUE OR FALSE AND FALSE", True),
]  # fmt: skip
CASTS = [
    value("CAST", "a time to its date at the last microsecond", f"CAST({ts('2025-01-31 23:59:59.999999')} AS DATE)", date(2025, 1, 31)),
    value("CAST", "a time to its date at midnight", f"CAST({ts('2025-02-01')} AS DATE)", date(2025, 2, 1)),
    value("CAST", "a time before 1970 to its date", f"CAST({ts('1969-12-31 12:00:00')} AS DATE)", date(1969, 12, 31)),
    value("CAST", "a date to its midnight", "CAST(CAST('2024-02-29' AS DATE) AS TIMESTAMP)", at("2024-02-29")),
    value("CAST", "fifteen hexadecimal digits: 16^15 - 1", "CAST('0x' || 'fffffffffffffff' AS BIGINT)", 16**15 - 1),
    value("CAST", "hexadecimal zeros in front", "CAST('0x' || '00000000000000a' AS BIGINT)", 10),
    value("CAST", "hexadecimal NULL", "CAST('0x' || CAST(NULL AS VARCHAR) AS BIGINT)", None),
    value("CAST", "the key of an account", "CAST('0x' || SUBSTRING(MD5('milestones account ' || 'acme'), 1, 15) AS BIGINT)", int(md5(b"milestones account acme").hexdigest()[:15], 16)),
    value("CAST", "a floor to a whole number", "CAST(FLOOR(CAST(11 AS DOUBLE) / 12.0) AS INTEGER)", 0),
    value("CAST", "a number to text", "CAST(CAST('-7' AS BIGINT) AS VARCHAR)", "-7"),
    # whole numbers of seats become '2.0': where an attribute is compared with a number, that is written so too
    value("CAST", "a floating number to text", "CAST(CAST(2 AS DOUBLE) AS VARCHAR)", "2.0"),
    value("CAST", "a time to text", f"CAST({ts('2025-01-31 00:00:00')} AS VARCHAR)", "2025-01-31 00:00:00"),
    value("CAST", "a time with a fraction to text", f"CAST({ts('2025-01-31 01:02:03.4')} AS VARCHAR)", "2025-01-31 01:02:03.4"),
    Edge("CAST", "text that is no number is an error", "SELECT CAST('x' AS DOUBLE)", "Could not convert"),
    value("TRY_CAST", "text that is no number", "TRY_CAST('x' AS DOUBLE)", None),
    value("TRY_CAST", "the empty text", "TRY_CAST('' AS DOUBLE)", None),
    value("TRY_CAST", "an exponent", "TRY_CAST('1e3' AS DOUBLE)", 1000.0),
    value("TRY_CAST", "of NULL", "TRY_CAST(CAST(NULL AS VARCHAR) AS DOUBLE)", None),
]  # fmt: skip
TIMES = [
    # 31 January has no counterpart in February: the month's end
    value("TO_MONTHS", "31 January + 1 month", f"{ts('2025-01-31 10:00:00')} + TO_MONTHS(1)", at("2025-02-28 10:00")),
    value("TO_MONTHS", "31 January + 1 month in a leap year", f"{ts('2024-01-31')} + TO_MONTHS(1)", at("2024-02-29")),
    value("TO_MONTHS", "30 November + 3 months", f"{ts('2024-11-30')} + TO_MONTHS(3)", at("2025-02-28")),
    value("TO_MONTHS", "28 February + 1 month stays on the 28th", f"{ts('2025-02-28')} + TO_MONTHS(1)", at("2025-03-28")),
    value("TO_MONTHS", "29 February + 12 months", f"{ts('2024-02-29')} + TO_MONTHS(12)", at("2025-02-28")),
    value("TO_MONTHS", "31 March - 1 month", f"{ts('2025-03-31 23:59:59')} - TO_MONTHS(1)", at("2025-02-28 23:59:59")),
    value("TO_MONTHS", "no month", f"{ts('2025-01-31')} + TO_MONTHS(0)", at("2025-01-31")),
    value("TO_MONTHS", "of NULL", f"{ts('2025-01-31')} + TO_MONTHS(CAST(NULL AS INTEGER))", None),
    value("TO_MONTHS", "times two", f"{ts('2025-01-31')} + TO_MONTHS(2 * 1)", at("2025-03-31")),
    # 7 * 86,400 = 604,800
    value("TO_SECONDS", "seven days over a leap day", f"{ts('2024-02-26')} + TO_SECONDS(604800)", at("2024-03-04")),
    value("TO_SECONDS", "back over midnight", f"{ts('2025-01-01')} - TO_SECONDS(1)", at("2024-12-31 23:59:59")),
    value("TO_SECONDS", "none", f"{ts('2025-01-01')} - TO_SECONDS(0) - TO_MONTHS(0)", at("2025-01-01")),
    value("TO_SECONDS", "of NULL", f"{ts('2025-01-01')} + TO_SECONDS(CAST(NULL AS BIGINT))", None),
    # 90 * 86,400 = 7,776,000; 2025 is no leap year: 31 + 28 + 31 days to 1 April
    value("TO_SECONDS", "ninety days", f"{ts('2025-01-01')} + TO_SECONDS(7776000)", at("2025-04-01")),
    value("TIMESTAMP_TRUNC", "the last microsecond of a month", f"CAST(DATE_TRUNC('month', {ts('2024-02-29 23:59:59.999999')}) AS DATE)", date(2024, 2, 1)),
    value("TIMESTAMP_TRUNC", "the first instant of a month", f"CAST(DATE_TRUNC('month', {ts('2024-03-01')}) AS DATE)", date(2024, 3, 1)),
    Edge("TIMESTAMP_TRUNC", "of a date", of("(CAST('2024-12-31' AS DATE))", "CAST(DATE_TRUNC('month', a) AS DATE)"), [(date(2024, 12, 1),)]),
    value("TIMESTAMP_TRUNC", "of NULL", "CAST(DATE_TRUNC('month', CAST(NULL AS TIMESTAMP)) AS DATE)", None),
    # 2024-02-29 lies between
    value("DATEDIFF", "days between dates over a leap day", "DATE_DIFF('day', CAST('2024-02-28' AS DATE), CAST('2024-03-01' AS DATE))", 2),
    value("DATEDIFF", "the same day", "DATE_DIFF('day', CAST('2024-02-28' AS DATE), CAST('2024-02-28' AS DATE))", 0),
    value("DATEDIFF", "backwards", "DATE_DIFF('day', CAST('2025-01-01' AS DATE), CAST('2024-12-31' AS DATE))", -1),
    value("DATEDIFF", "of NULL", "DATE_DIFF('day', CAST(NULL AS DATE), CAST('2024-12-31' AS DATE))", None),
    # months are counted by the boundaries passed, not by whole months: the files correct for it
    value("DATEDIFF", "months count the firsts passed", f"DATE_DIFF('month', {ts('2025-01-31')}, {ts('2025-02-01')})", 1),
    value("DATEDIFF", "months within one month", f"DATE_DIFF('month', {ts('2025-01-01')}, {ts('2025-01-31 23:59:59')})", 0),
    value("TIME_TO_UNIX", "the start", f"EPOCH({ts('1970-01-01')})", 0.0),
    value("TIME_TO_UNIX", "before it", f"EPOCH({ts('1969-12-31 23:59:59.5')})", -0.5),
    value("TIME_TO_UNIX", "the length of February in a leap year: 29 * 86,400", f"EPOCH({ts('2024-03-01')}) - EPOCH({ts('2024-02-01')})", 2505600.0),
    value("TIME_TO_UNIX", "of NULL", "EPOCH(CAST(NULL AS TIMESTAMP))", None),
    # Berlin is UTC + 1, from 30 March 2025 01:00 UTC to 26 October 2025 01:00 UTC it is UTC + 2
    value(exp.AtTimeZone, "the last second of winter time", in_zone("2025-03-30 00:59:59", "Europe/Berlin"), at("2025-03-30 01:59:59")),
    value(exp.AtTimeZone, "the first second of summer time", in_zone("2025-03-30 01:00:00", "Europe/Berlin"), at("2025-03-30 03:00:00")),
    value(exp.AtTimeZone, "the hour that comes twice, first", in_zone("2025-10-26 00:30:00", "Europe/Berlin"), at("2025-10-26 02:30:00")),
    value(exp.AtTimeZone, "the hour that comes twice, second", in_zone("2025-10-26 01:30:00", "Europe/Berlin"), at("2025-10-26 02:30:00")),
    # a month of New York begins at 05:00 UTC in winter, 04:00 UTC in summer
    value(exp.AtTimeZone, "the date before midnight in New York", f"CAST({in_zone('2025-02-01 04:59:59', 'America/New_York')} AS DATE)", date(2025, 1, 31)),
    value(exp.AtTimeZone, "midnight in New York", f"CAST({in_zone('2025-02-01 05:00:00', 'America/New_York')} AS DATE)", date(2025, 2, 1)),
    value(exp.AtTimeZone, "midnight in New York in summer", f"CAST({in_zone('2025-07-01 04:00:00', 'America/New_York')} AS DATE)", date(2025, 7, 1)),
    value(exp.AtTimeZone, "a zone of half hours", in_zone("2025-01-01 00:00:00", "Asia/Kolkata"), at("2025-01-01 05:30:00")),
    value(exp.AtTimeZone, "of NULL", "CAST(NULL AS TIMESTAMP) AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin'", None),
    value(exp.AtTimeZone, "wall time of summer to UTC", to_utc("2025-07-01 00:00:00", "Europe/Berlin"), at("2025-06-30 22:00:00")),
    # 02:30 does not exist on that day: read as winter time, UTC + 1
    value(exp.AtTimeZone, "wall time that is left out to UTC", to_utc("2025-03-30 02:30:00", "Europe/Berlin"), at("2025-03-30 01:30:00")),
    # 02:30 comes twice: the second of them, in winter time
    value(exp.AtTimeZone, "wall time that comes twice to UTC", to_utc("2025-10-26 02:30:00", "Europe/Berlin"), at("2025-10-26 01:30:00")),
    # 31 January 13:00 in Berlin + 3 months is 30 April 13:00 summer time, UTC + 2
    value(exp.AtTimeZone, "three months of a zone, clamped, into summer time", f"({in_zone('2025-01-31 12:00:00', 'Europe/Berlin')} + TO_MONTHS(3)) AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC'", at("2025-04-30 11:00:00")),
    # 31 January 23:30 UTC is 1 February in Berlin: one month later is 1 March, not 28 February
    value(exp.AtTimeZone, "a month of the zone, not of UTC", f"({in_zone('2025-01-31 23:30:00', 'Europe/Berlin')} + TO_MONTHS(1)) AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC'", at("2025-02-28 23:30:00")),
]  # fmt: skip
OPERATORS = [
    Edge("JSON_EXTRACT_SCALAR", "text", of_property("""'{"k": "v"}'""", "'k'"), [("v",)]),
    Edge("JSON_EXTRACT_SCALAR", "a number as text", of_property("""'{"k": 1}'""", "'k'"), [("1",)]),
    Edge("JSON_EXTRACT_SCALAR", "a truth as text", of_property("""'{"k": true}'""", "'k'"), [("true",)]),
    Edge("JSON_EXTRACT_SCALAR", "a null is NULL", of_property("""'{"k": null}'""", "'k'"), [(None,)]),
    Edge("JSON_EXTRACT_SCALAR", "a property that is not there", of_property("""'{"k": 1}'""", "'other'"), [(None,)]),
    Edge("JSON_EXTRACT_SCALAR", "the empty text is a value", of_property("""'{"k": ""}'""", "'k'"), [("",)]),
    Edge("JSON_EXTRACT_SCALAR", "a dot in the name is part of it", of_property("""'{"a.b": "v"}'""", "'a.b'"), [("v",)]),
    Edge("JSON_EXTRACT_SCALAR", "no properties", of_property("NULL", "'k'"), [(None,)]),
    Edge("JSON_EXTRACT_SCALAR", "no name", of_property("""'{"k": 1}'""", "CAST(NULL AS VARCHAR)"), [(None,)]),
    Edge("JSON_EXTRACT_SCALAR", "an object as JSON text", of_property("""'{"k": {"a":1}}'""", "'k'"), [('{"a":1}',)]),
    Edge("JSON_EXTRACT_SCALAR", "text that is no JSON is an error: the reader refuses it before", of_property("'{k'", "'k'"), "Malformed JSON"),
    value(exp.DPipe, "text", "'a' || 'b'", "ab"),
    value(exp.DPipe, "NULL makes NULL", "'a' || CAST(NULL AS VARCHAR)", None),
    value(exp.DPipe, "the empty text", "'' || ''", ""),
    value(exp.NullSafeNEQ, "NULL and NULL are alike", "CAST(NULL AS BIGINT) IS DISTINCT FROM NULL", False),
    value(exp.NullSafeNEQ, "NULL and a value differ", "CAST(NULL AS BIGINT) IS DISTINCT FROM 0", True),
    value(exp.NullSafeNEQ, "a value and itself", "1 IS DISTINCT FROM 1", False),
    value(exp.Div, "whole numbers divide to a fraction", "7 / NULLIF(2, 0)", 3.5),
    value(exp.Div, "by zero is NULL", "7 / NULLIF(0, 0)", None),
    value(exp.Div, "zero by zero is NULL", "0 / NULLIF(0, 0)", None),
    value(exp.Div, "zero over a number", "0 / NULLIF(4, 0)", 0.0),
    value(exp.Div, "by NULL is NULL", "7 / NULLIF(CAST(NULL AS BIGINT), 0)", None),
    value(exp.Div, "below zero", "(2 - 9) / NULLIF(2, 0)", -3.5),
    # 7,776,000 s are 90 days to the last digit, so that a window of 90 days holds exactly 90 dates
    value(exp.Div, "seconds to days are exact", "7776000 / 86400.0 = 90", True),
    value(exp.Mul, "by NULL is NULL", "2 * CAST(NULL AS DOUBLE)", None),
    value(exp.Add, "with NULL is NULL", "2 + CAST(NULL AS BIGINT)", None),
    value(exp.Sub, "below zero", "2 - 5", -3),
    value(exp.EQ, "NULL equals nothing, not even NULL", "CAST(NULL AS BIGINT) = NULL", None),
    value(exp.EQ, "text to the letter: case counts", "'a' = 'A'", False),
    value(exp.EQ, "text to the letter: a space at the end counts", "'a' = 'a '", False),
    value(exp.NEQ, "with NULL is neither true nor false", "1 <> CAST(NULL AS BIGINT)", None),
    value(exp.LT, "one microsecond before midnight", f"{ts('2025-01-31 23:59:59.999999')} < {ts('2025-02-01')}", True),
    value(exp.LT, "an instant is not before itself", f"{ts('2025-02-01')} < {ts('2025-02-01')}", False),
    value(exp.LTE, "an instant is not after itself", f"{ts('2025-02-01')} <= {ts('2025-02-01')}", True),
    value(exp.GT, "with NULL is neither true nor false", "1 > CAST(NULL AS BIGINT)", None),
    value(exp.GTE, "a tie holds", "CAST(2 AS DOUBLE) >= 2", True),
    value(exp.GTE, "a day is before its midnight's next microsecond", f"CAST('2025-02-01' AS DATE) >= {ts('2025-02-01 00:00:00.000001')}", False),
    value(exp.Not, "of NULL", "NOT CAST(NULL AS BOOLEAN)", None),
    value(exp.Is, "NULL is NULL", "CAST(NULL AS BIGINT) IS NULL", True),
    value(exp.Is, "0 is not NULL", "0 IS NOT NULL", True),
    value(exp.In, "NULL is in no list", "CAST(NULL AS VARCHAR) IN ('a', 'b')", None),
    value(exp.In, "found beside NULL", "'a' IN ('a', NULL)", True),
    Edge(exp.Group, "NULL is one group", of("(NULL, 1), (NULL, 2), (1, 3)", "a, COUNT(*)") + " GROUP BY a ORDER BY a", [(1, 1), (None, 2)]),
    Edge(exp.Group, "no row makes no group", of("(1, 1)", "a, COUNT(*)") + " WHERE a = 2 GROUP BY a", []),
    Edge(exp.Having, "an unknown condition drops the group", of("(1, CAST(NULL AS BIGINT)), (2, 5)", "a") + " GROUP BY a HAVING SUM(b) > 0", [(2,)]),
    Edge(exp.Distinct, "NULL once", of("(NULL), (NULL), (1)", "DISTINCT a") + " ORDER BY a", [(1,), (None,)]),
    Edge(exp.Union, "without ALL takes NULL once", "SELECT CAST(NULL AS BIGINT) AS a UNION SELECT NULL AS a", [(None,)]),
    Edge(exp.Union, "ALL keeps every row", "SELECT 1 AS a UNION ALL SELECT 1 AS a", [(1,), (1,)]),
    Edge(exp.Where, "an unknown condition drops the row", of("(NULL), (1)", "a") + " WHERE a <> 2", [(1,)]),
    Edge(exp.Join, "NULL meets nothing", "SELECT l.a, r.a FROM (VALUES (1), (NULL)) AS l(a) LEFT JOIN (VALUES (1), (NULL)) AS r(a) ON r.a = l.a ORDER BY l.a", [(1, 1), (None, None)]),
    Edge(exp.Join, "CROSS JOIN with no row is no row", "SELECT l.a FROM (VALUES (1)) AS l(a) CROSS JOIN (SELECT 1 AS b WHERE FALSE) AS r", []),
]  # fmt: skip
EDGES = [*AGGREGATES, *WINDOWS, *VALUES, *CASTS, *TIMES, *OPERATORS]
# what stands between functions and has edges of its own; names, literals, aliases, brackets and clauses without a choice have none
OPERATOR_KINDS = (
    exp.Binary, exp.AtTimeZone, exp.Distinct, exp.Group, exp.Having, exp.In, exp.Join, exp.Not, exp.Ordered, exp.SetOperation, exp.Where,
    exp.Window, exp.WindowSpec,
)  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    with duckdb.connect() as connection:
        yield Warehouse(connection, tmp_path_factory.mktemp("days"), {})


@pytest.fixture(scope="module")
def selects() -> list[exp.Query]:
    tables = load_tables(config_relations=relations(load_config(DEFAULT_CONFIG)))
    return [table.select for table in tables.values()]


def words_of(select: exp.Expr) -> set[str | type[exp.Expr]]:
    """The functions of a SELECT by name, and its operators by class."""
    functions = {node.name.upper() if isinstance(node, exp.Anonymous) else node.sql_name() for node in select.find_all(exp.Func)}
    return functions | {
        type(node) for node in select.walk() if isinstance(node, OPERATOR_KINDS) and not isinstance(node, exp.Func | exp.Dot)
    }


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_an_edge_has_the_value_worked_out_by_hand(warehouse, edge):
    select = sqlglot.parse_one(edge.query, dialect="duckdb")
    refuse_foreign_words(select, HERE, edge.query)
    assert edge.word in words_of(select), "the row is filed under a word that it does not use"
    if isinstance(edge.rows, str):
        with pytest.raises(duckdb.Error, match=edge.rows):
            warehouse.rows(select)
        return
    rows = warehouse.rows(select)
    assert rows == edge.rows
    # 1, 1.0 and True are equal to Python and not to a reader
    assert [[type(field) for field in row] for row in rows] == [[type(field) for field in row] for row in edge.rows]


def test_every_allowed_function_has_a_row():
    assert {edge.word for edge in EDGES if isinstance(edge.word, str)} == ALLOWED_FUNCTIONS


def test_every_allowed_operator_has_a_row():
    assert ALLOWED_OPERATORS - {edge.word for edge in EDGES} == set()


def test_every_allowed_operator_is_used_by_a_table(selects):
    used = {type(node) for select in selects for node in select.walk()}
    assert ALLOWED_OPERATORS - used == set()


def test_every_allowed_function_is_used_by_a_table(selects):
    used = {word for select in selects for word in words_of(select) if isinstance(word, str)}
    assert used == ALLOWED_FUNCTIONS


def test_every_operator_of_the_tables_has_a_row(selects):
    used = {word for select in selects for word in words_of(select) if isinstance(word, type)}
    assert used - {edge.word for edge in EDGES} == set()


def test_a_zone_change_binds_closer_than_a_sum(warehouse):
    # as `observation_dates` writes it: 31 January 13:00 in Berlin + 1 month is 28 February 13:00, UTC + 1
    text = "SELECT (CAST('2025-01-31 12:00:00' AS TIMESTAMP) AT TIME ZONE 'UTC' AT TIME ZONE z.zone + TO_MONTHS(1)) AT TIME ZONE z.zone AT TIME ZONE 'UTC' FROM (VALUES ('Europe/Berlin')) AS z(zone)"
    assert warehouse.rows(sqlglot.parse_one(text, dialect="duckdb")) == [(at("2025-02-28 12:00:00"),)]


@pytest.mark.parametrize(
    ("word", "neighbours"),
    [
        ("DATE_DIF('day', t.b, t.c)", "DATE_DIFF, DATE_TRUNC"),
        ("STRING_AG(t.b)", "STRING_AGG, SUBSTRING"),
        ("DAYOFWEEK(t.b)", "none"),
    ],
)
def test_a_function_outside_the_list_is_refused_with_its_line_and_neighbours(word, neighbours):
    text = f"SELECT\n  t.a,\n  {word} AS c\nFROM t"
    with pytest.raises(DialectError) as refused:
        refuse_foreign_words(sqlglot.parse_one(text, dialect="duckdb"), HERE, text)
    function = word.partition("(")[0]
    assert str(refused.value) == f"table.sql:3 function {function} is not in the house dialect; allowed neighbours: {neighbours}"


@pytest.mark.parametrize(
    ("condition", "word"),
    [
        ("t.a % 2 = 0", "Mod"),
        ("t.a // 2 = 0", "IntDiv"),
        ("t.a LIKE 'x%'", "Like"),
        ("t.a BETWEEN 1 AND 2", "Between"),
        ("t.a[1] = 2", "Bracket"),
        ("t.b > INTERVAL '1 day'", "Interval"),
    ],
)
def test_an_operator_outside_the_list_is_refused_with_its_line(condition, word):
    text = f"SELECT t.a\nFROM t\nWHERE {condition}"
    with pytest.raises(DialectError, match=rf"^table\.sql:3 `.+`: {word} is not in the house dialect$"):
        refuse_foreign_words(sqlglot.parse_one(text, dialect="duckdb"), HERE, text)


@pytest.mark.parametrize(
    "given",
    [
        "t.b, ', '",
        "t.b, ', ' ORDER BY t.b",
        "DISTINCT t.b, ', '",
        "DISTINCT t.b, ', ' ORDER BY t.a",
        "DISTINCT t.b, ', ' ORDER BY t.b DESC",
    ],
)
def test_text_is_joined_each_once_in_its_own_order_or_refused_with_its_line(given):
    text = f"SELECT\n  STRING_AGG({given}) AS c\nFROM t"
    with pytest.raises(
        DialectError, match=r"^table\.sql:2 `.+`: write STRING_AGG\(DISTINCT a, ', ' ORDER BY a\), which both engines can say$"
    ):
        refuse_foreign_words(sqlglot.parse_one(text, dialect="duckdb"), HERE, text)


def test_every_table_can_be_said_on_spark():
    for name, table in load_tables(config_relations=None).items():
        if name != "raw_events":
            assert "SELECT" in spark_sql(table.select), name


@pytest.mark.parametrize("divisor", ["t.b", "0", "0.0", "(t.b + 1)", "COALESCE(t.b, 1)"])
def test_a_division_that_may_be_by_zero_is_refused_with_its_line(divisor):
    text = f"SELECT\n  t.a / {divisor} AS c\nFROM t"
    with pytest.raises(DialectError, match=r"^table\.sql:2 a division by .+; write `/ nullif\(…, 0\)`: engines differ on a zero$"):
        refuse_foreign_words(sqlglot.parse_one(text, dialect="duckdb"), HERE, text)


def test_the_line_is_the_line_of_the_file(tmp_path):
    for schema in SCHEMAS:
        (tmp_path / schema).mkdir()
    header = "/*\nabout: One.\ngrain: one row\nkey: [a]\ncolumns:\n  a: BIGINT NOT NULL -- A.\n*/\n"
    (tmp_path / "staging" / "one.sql").write_text(
        f"{header}SELECT\n  AVG(o.position) AS a\nFROM run.notes AS o\n", encoding="utf-8"
    )
    with pytest.raises(DialectError, match=r"one\.sql:9 function AVG "):
        load_tables(tmp_path)
