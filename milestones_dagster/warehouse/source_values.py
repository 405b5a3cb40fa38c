"""How a value of the company's becomes one of the product's: identifiers, texts, UTC times, numbers, flags, objects.

Put here which types of column may serve as what, and the expression that converts each. Keep out which column is what
(`source_mapping.py`). No expression depends on the time zone of the session that runs it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from sqlglot import exp

from milestones_dagster.config.sources import Source
from milestones_dagster.warehouse.source_reader import DIALECT, call

Kind = Literal["identifier", "text", "time", "number", "integer", "flag", "object", "value"]
Family = Literal["text", "json", "whole", "decimal", "time", "flag", "nested", "none", "other"]

OUTPUT_TYPES: dict[Kind, str] = {
    "identifier": "VARCHAR",
    "text": "VARCHAR",
    "time": "TIMESTAMP",
    "number": "DOUBLE",
    "integer": "INTEGER",
    "flag": "BOOLEAN",
    "object": "VARCHAR",
}
EXPECTED: dict[Kind, str] = {
    "identifier": "identifiers (text or whole numbers)",
    "text": "text",
    "time": "times",
    "number": "numbers",
    "integer": "whole numbers",
    "flag": "true or false",
    "object": "JSON objects",
    "value": "values that JSON can hold",
}
_ACCEPTED: dict[Kind, frozenset[Family]] = {
    "identifier": frozenset({"text", "json", "whole", "none"}),
    "text": frozenset({"text", "json", "whole", "none"}),
    "time": frozenset({"text", "time", "none"}),
    "number": frozenset({"text", "whole", "decimal", "none"}),
    "integer": frozenset({"text", "whole", "decimal", "none"}),
    "flag": frozenset({"text", "whole", "flag", "none"}),
    "object": frozenset({"text", "json", "nested", "none"}),
    "value": frozenset({"text", "json", "whole", "decimal", "time", "flag", "nested", "none"}),
}
_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("VARCHAR", "UUID", "ENUM"), "text"),
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "whole"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "whole"),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), "decimal"),
    **dict.fromkeys(("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "time"),
    **dict.fromkeys(("STRUCT", "MAP"), "nested"),
    "TIMESTAMP WITH TIME ZONE": "time",
    "BOOLEAN": "flag",
    "JSON": "json",
    '"NULL"': "none",
    "NULL": "none",
}
# DuckDB's cast to TIMESTAMP drops an offset without a word, so a text is told apart before it is cast
NAIVE_TIME = r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?\s*"
ZONED_TIME = (
    r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
    r" *([Zz]|[+-]\d{2}(:?\d{2})?|[A-Za-z]+(/[A-Za-z_+-]+)*)\s*"
)


def family_of(type_name: str) -> Family:
    """Return the family of a DuckDB type by its name: `DECIMAL(18,3)` is decimal, `VARCHAR[]` is other."""
    if type_name.endswith("]"):
        return "other"
    return _FAMILIES.get(type_name.split("(", maxsplit=1)[0].strip(), "other")


def accepts(kind: Kind, type_name: str) -> bool:
    """Return whether a column of this type may serve as this kind of value."""
    return family_of(type_name) in _ACCEPTED[kind]


def nothing(kind: Kind) -> exp.Expr:
    """Return the typed NULL of a kind."""
    return cast_to(exp.null(), OUTPUT_TYPES[kind])


def converted(kind: Kind, value: exp.Expr, type_name: str, source: Source) -> exp.Expr:
    """Return the expression that converts a value; NULL where it does not convert.

    Args:
        kind: what it becomes; not `object` or `value`, which `object_text` and `packed_text` make.
        value: the column.
        type_name: DuckDB's name of its type, which the kind accepts.
        source: the source, whose time zone and time format hold for times.
    """
    if family_of(type_name) == "json":
        return converted(kind, _as_text(value, type_name), "VARCHAR", source)
    family = family_of(type_name)
    if family == "none":
        return nothing(kind)
    match kind:
        case "time":
            return _time(value, type_name, source)
        case "number":
            number = try_cast_to(value, "DOUBLE")
            return _when(call("isfinite", number), number)
        case "integer":
            number = try_cast_to(value, "DOUBLE")
            whole = try_cast_to(number, "INTEGER")
            return _when(exp.EQ(this=number.copy(), expression=whole), whole.copy())
        case "flag" if family == "whole":
            return _when(value.isin(0, 1), try_cast_to(value, "BOOLEAN"))
        case "flag":
            return try_cast_to(value, "BOOLEAN")
        case _:
            return call("nullif", _as_text(value, type_name), exp.Literal.string(""))


def unconverted(kind: Kind, value: exp.Expr, type_name: str, source: Source) -> exp.Expr:
    """Return the condition that a value is there and does not convert; a blank text and a NaN are no value."""
    conditions = [is_there(value), converted(kind, value, type_name, source).is_(exp.null())]
    if family_of(type_name) == "text":
        conditions.append(exp.NEQ(this=call("trim", cast_to(value, "VARCHAR")), expression=exp.Literal.string("")))
    if family_of(type_name) == "decimal":
        conditions.append(exp.not_(call("isnan", cast_to(value, "DOUBLE"))))
    return exp.and_(*conditions)


def original_text(value: exp.Expr, type_name: str, source: Source) -> exp.Expr:
    """Return the text of a time that is unreadable, NULL of one that is not."""
    if family_of(type_name) == "none":
        return nothing("text")
    return _when(converted("time", value, type_name, source).is_(exp.null()), _as_text(value, type_name))


def object_text(value: exp.Expr | None, type_name: str, packed: Mapping[str, tuple[exp.Expr, str]]) -> exp.Expr:
    """Return the expression of a JSON object as text: a mapped column's, with further columns packed into it.

    A column's value goes before the mapped object's of the same name; where it is NULL, the object's stays. What is no
    JSON object counts as none, and an object without a key is NULL.
    """
    if value is None or family_of(type_name) == "none":
        return packed_text(packed)
    if family_of(type_name) == "nested":
        whole: exp.Expr = cast_to(call("to_json", value), "VARCHAR")
    else:
        text = _as_text(value, type_name)
        starts = call("starts_with", call("ltrim", text), exp.Literal.string("{"))
        whole = _when(exp.and_(starts, call("json_valid", text.copy())), text.copy())
    if packed:
        whole = call("json_merge_patch", exp.func("coalesce", whole, exp.Literal.string("{}")), _object(packed))
    return _filled(whole)


def packed_text(packed: Mapping[str, tuple[exp.Expr, str]]) -> exp.Expr:
    """Return the expression of a JSON object of columns as text (by key: column, type); NULLs are left out."""
    return _filled(_object(packed)) if packed else nothing("text")


def is_zoned_time(text: exp.Expr) -> exp.Expr:
    """Return the condition that a text is a readable time that names its zone or offset."""
    return exp.and_(_matches(text, ZONED_TIME), is_there(_zoned(text)))


def _object(packed: Mapping[str, tuple[exp.Expr, str]]) -> exp.Expr:
    pairs = [
        part for key, (value, type_name) in packed.items() for part in (exp.Literal.string(key), _json_ready(value, type_name))
    ]
    # a merge onto nothing leaves out the keys whose value is NULL
    return call("json_merge_patch", exp.Literal.string("{}"), call("json_object", *pairs))


def _filled(value: exp.Expr) -> exp.Expr:
    return call("nullif", cast_to(value, "VARCHAR"), exp.Literal.string("{}"))


def _json_ready(value: exp.Expr, type_name: str) -> exp.Expr:
    if type_name == "TIMESTAMP WITH TIME ZONE":
        return _utc(value)
    if family_of(type_name) == "decimal":
        return _when(call("isfinite", cast_to(value, "DOUBLE")), value.copy())
    return value.copy()


def _time(value: exp.Expr, type_name: str, source: Source) -> exp.Expr:
    if type_name == "TIMESTAMP WITH TIME ZONE":
        return _when(call("isfinite", value.copy()), _utc(value))
    if family_of(type_name) == "time":
        return _when(call("isfinite", value.copy()), _from_zone(cast_to(value, "TIMESTAMP"), source.time_zone))
    text = cast_to(value, "VARCHAR")
    if source.time_format is not None:
        parsed = call("try_strptime", text, exp.Literal.string(source.time_format))
        return _utc(parsed) if "%z" in source.time_format or "%Z" in source.time_format else _from_zone(parsed, source.time_zone)
    naive = _from_zone(try_cast_to(call("trim", text), "TIMESTAMP"), source.time_zone)
    return exp.Case().when(_matches(text, NAIVE_TIME), naive).when(_matches(text, ZONED_TIME), _utc(_zoned(text)))


def _zoned(text: exp.Expr) -> exp.Expr:
    # DuckDB wants seconds before a zone and no space before an offset
    tight = _replace(call("trim", text.copy()), r" +([+-])", r"\1")
    timed = _replace(tight, r"([T ]\d{1,2}:\d{2})( ?[A-Za-z+-])", r"\1:00\2")
    return try_cast_to(_replace(timed, "z$", "Z"), "TIMESTAMPTZ")


def _from_zone(naive: exp.Expr, zone: str) -> exp.Expr:
    return naive if zone == "UTC" else _utc(call("timezone", exp.Literal.string(zone), naive))


def _utc(instant: exp.Expr) -> exp.Expr:
    return call("timezone", exp.Literal.string("UTC"), instant.copy())


def _as_text(value: exp.Expr, type_name: str) -> exp.Expr:
    if type_name == "VARCHAR":
        return value.copy()
    if family_of(type_name) == "json":
        return call("json_extract_string", value.copy(), exp.Literal.string("$"))
    return cast_to(value, "VARCHAR")


def _matches(text: exp.Expr, pattern: str) -> exp.Expr:
    return call("regexp_full_match", text.copy(), exp.Literal.string(pattern))


def _replace(text: exp.Expr, pattern: str, by: str) -> exp.Expr:
    return call("regexp_replace", text, exp.Literal.string(pattern), exp.Literal.string(by))


def is_there(value: exp.Expr) -> exp.Expr:
    """Return the condition that a value is not NULL."""
    return exp.not_(value.copy().is_(exp.null()))


def _when(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    return exp.Case().when(condition, value)


def cast_to(value: exp.Expr, type_name: str) -> exp.Cast:
    """Return the cast of a value to a type by DuckDB's name of it."""
    return exp.Cast(this=value.copy(), to=_type(type_name))


def try_cast_to(value: exp.Expr, type_name: str) -> exp.TryCast:
    """Return the cast of a value to a type by DuckDB's name of it, NULL where it does not convert."""
    return exp.TryCast(this=value.copy(), to=_type(type_name))


def _type(type_name: str) -> exp.DataType:
    return _parsed_type(type_name).copy()


@lru_cache(maxsize=256)
def _parsed_type(type_name: str) -> exp.DataType:
    return exp.DataType.build(type_name, dialect=DIALECT)
