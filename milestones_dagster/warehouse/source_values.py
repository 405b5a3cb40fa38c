"""How one value of the company's becomes one of the product's: identifiers, texts, UTC times, numbers, flags, JSON objects.

Put here which types of column may serve as what, and the expression that converts each. Keep out which column is what
(`source_mapping.py`). No expression depends on the time zone of the session that runs it.
"""

from collections.abc import Mapping
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
    "identifier": "an identifier (text or whole numbers)",
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
_NAIVE = r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?\s*"
_ZONED = (
    r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
    r" *([Zz]|[+-]\d{2}(:?\d{2})?|[A-Za-z]+(/[A-Za-z_+-]+)*)\s*"
)


def family_of(type_name: str) -> Family:
    """Return the family of a DuckDB type by its name: `DECIMAL(18,3)` is decimal, `VARCHAR[]` is other."""
    if type_name.endswith("]"):
        return "other"
    return _FAMILIES.get(type_name.split("(")[0].strip(), "other")


def accepts(kind: Kind, type_name: str) -> bool:
    """Return whether a column of this type may serve as this kind of value."""
    return family_of(type_name) in _ACCEPTED[kind]


def nothing(kind: Kind) -> exp.Expression:
    """Return the typed NULL of a kind."""
    return _cast(exp.null(), OUTPUT_TYPES[kind])


def converted(kind: Kind, value: exp.Expression, type_name: str, source: Source) -> exp.Expression:
    """Return the expression that converts a value; NULL where it does not convert.

    Args:
        kind: what it becomes; not `object` or `value`, which `object_text` and `packed_text` make.
        value: the column.
        type_name: DuckDB's name of its type, which the kind accepts.
        source: the source, whose time zone and time format hold for times.
    """
    family = family_of(type_name)
    if family == "none":
        return nothing(kind)
    match kind:
        case "time":
            return _time(value, type_name, source)
        case "number":
            number = _try_cast(value, "DOUBLE")
            return _when(call("isfinite", number), number)
        case "integer":
            number = _try_cast(value, "DOUBLE")
            whole = _try_cast(number, "INTEGER")
            return _when(exp.EQ(this=number.copy(), expression=whole), whole.copy())
        case "flag" if family == "whole":
            return _when(value.isin(0, 1), _try_cast(value, "BOOLEAN"))
        case "flag":
            return _try_cast(value, "BOOLEAN")
        case _:
            return call("nullif", _as_text(value, type_name), exp.Literal.string(""))


def unconverted(kind: Kind, value: exp.Expression, type_name: str, source: Source) -> exp.Expression:
    """Return the condition that a value is there and does not convert; a blank text and a NaN are no value."""
    conditions = [_is_there(value), converted(kind, value, type_name, source).is_(exp.null())]
    if family_of(type_name) == "text":
        conditions.append(exp.NEQ(this=call("trim", _cast(value, "VARCHAR")), expression=exp.Literal.string("")))
    if family_of(type_name) == "decimal":
        conditions.append(exp.not_(call("isnan", _cast(value, "DOUBLE"))))
    return exp.and_(*conditions)


def original_text(value: exp.Expression, type_name: str, source: Source) -> exp.Expression:
    """Return the text of a time that is unreadable, NULL of one that is not."""
    if family_of(type_name) == "none":
        return nothing("text")
    return _when(converted("time", value, type_name, source).is_(exp.null()), _as_text(value, type_name))


def object_text(
    value: exp.Expression | None, type_name: str, packed: Mapping[str, tuple[exp.Expression, str]]
) -> exp.Expression:
    """Return the expression of a JSON object as text: a mapped column's, with further columns packed into it.

    A column's value goes before the mapped object's of the same name; where it is NULL, the object's stays. What is no JSON object
    counts as none, and an object without a key is NULL.
    """
    if value is None or family_of(type_name) == "none":
        return packed_text(packed)
    if family_of(type_name) == "nested":
        whole: exp.Expression = _cast(call("to_json", value), "VARCHAR")
    else:
        text = _as_text(value, type_name)
        starts = call("starts_with", call("ltrim", text), exp.Literal.string("{"))
        whole = _when(exp.and_(starts, call("json_valid", text.copy())), text.copy())
    if packed:
        whole = call("json_merge_patch", exp.func("coalesce", whole, exp.Literal.string("{}")), _object(packed))
    return _filled(whole)


def packed_text(packed: Mapping[str, tuple[exp.Expression, str]]) -> exp.Expression:
    """Return the expression of a JSON object of columns as text, by key: the column and its type; NULLs are left out."""
    return _filled(_object(packed)) if packed else nothing("text")


def _object(packed: Mapping[str, tuple[exp.Expression, str]]) -> exp.Expression:
    pairs = [part for key, (value, type_name) in packed.items() for part in (exp.Literal.string(key), _json_ready(value, type_name))]
    # a merge onto nothing leaves out the keys whose value is NULL
    return call("json_merge_patch", exp.Literal.string("{}"), call("json_object", *pairs))


def _filled(value: exp.Expression) -> exp.Expression:
    return call("nullif", _cast(value, "VARCHAR"), exp.Literal.string("{}"))


def _json_ready(value: exp.Expression, type_name: str) -> exp.Expression:
    if type_name == "TIMESTAMP WITH TIME ZONE":
        return _utc(value)
    if family_of(type_name) == "decimal":
        return _when(call("isfinite", _cast(value, "DOUBLE")), value.copy())
    return value.copy()


def _time(value: exp.Expression, type_name: str, source: Source) -> exp.Expression:
    if type_name == "TIMESTAMP WITH TIME ZONE":
        return _when(call("isfinite", value.copy()), _utc(value))
    if family_of(type_name) == "time":
        return _when(call("isfinite", value.copy()), _from_zone(_cast(value, "TIMESTAMP"), source.time_zone))
    text = _cast(value, "VARCHAR")
    if source.time_format is not None:
        parsed = call("try_strptime", text, exp.Literal.string(source.time_format))
        return _utc(parsed) if "%z" in source.time_format or "%Z" in source.time_format else _from_zone(parsed, source.time_zone)
    naive = _from_zone(_try_cast(call("trim", text), "TIMESTAMP"), source.time_zone)
    # DuckDB wants seconds before a zone and no space before an offset
    tight = _replace(call("trim", text), r" +([+-])", r"\1")
    timed = _replace(tight, r"([T ]\d{1,2}:\d{2})( ?[A-Za-z+-])", r"\1:00\2")
    zoned = _utc(_try_cast(_replace(timed, "z$", "Z"), "TIMESTAMPTZ"))
    return exp.Case().when(_matches(text, _NAIVE), naive).when(_matches(text, _ZONED), zoned)


def _from_zone(naive: exp.Expression, zone: str) -> exp.Expression:
    return naive if zone == "UTC" else _utc(call("timezone", exp.Literal.string(zone), naive))


def _utc(instant: exp.Expression) -> exp.Expression:
    return call("timezone", exp.Literal.string("UTC"), instant.copy())


def _as_text(value: exp.Expression, type_name: str) -> exp.Expression:
    if type_name == "VARCHAR":
        return value.copy()
    if family_of(type_name) == "json":
        return call("json_extract_string", value.copy(), exp.Literal.string("$"))
    return _cast(value, "VARCHAR")


def _matches(text: exp.Expression, pattern: str) -> exp.Expression:
    return call("regexp_full_match", text.copy(), exp.Literal.string(pattern))


def _replace(text: exp.Expression, pattern: str, by: str) -> exp.Expression:
    return call("regexp_replace", text, exp.Literal.string(pattern), exp.Literal.string(by))


def _is_there(value: exp.Expression) -> exp.Expression:
    return exp.not_(value.copy().is_(exp.null()))


def _when(condition: exp.Expression, value: exp.Expression) -> exp.Case:
    return exp.Case().when(condition, value)


def _cast(value: exp.Expression, type_name: str) -> exp.Cast:
    return exp.Cast(this=value.copy(), to=exp.DataType.build(type_name, dialect=DIALECT))


def _try_cast(value: exp.Expression, type_name: str) -> exp.TryCast:
    return exp.TryCast(this=value.copy(), to=exp.DataType.build(type_name, dialect=DIALECT))
