"""What every config model shares: the frozen base, the exact scalar types and the way a validator refuses a value.

Put here what more than one YAML file needs to say about a value. Keep out what belongs to one file (its own module),
how a file is read (`document.py`) and how a refusal is worded for people (`problems.py`, `translation.py`).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
NAME_EXPECTED = "a name of lower-case letters, digits and _ that begins with a letter"


class Model(BaseModel):
    """Base of every config model: immutable, and refusing keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def unit(name: str) -> dict[str, Any]:
    """Return the schema annotation that names the unit of a number (seats, events, share…)."""
    return {"x-unit": name}


def expects(sentence: str) -> dict[str, Any]:
    """Return the schema annotation that says in plain words what a value must be; error messages quote it."""
    return {"x-expected": sentence}


def refusal(expected: str, *, found: str | None = None, key: str | None = None, known: Sequence[str] = ()) -> PydanticCustomError:
    """Return the error a validator raises.

    Args:
        expected: what would be right, in words that follow "expected".
        found: what is there, when the value at the key alone does not tell it.
        key: the key below the validated mapping that is at fault, when it is not the mapping itself.
        known: names among which the closest are offered.
    """
    return PydanticCustomError(
        "refused", "expected {expected}", {"expected": expected, "found": found, "key": key, "known": list(known)}
    )


def _zone(value: object) -> object:
    if isinstance(value, str) and value in available_timezones():
        return value
    known = sorted(available_timezones()) if isinstance(value, str) else ()
    raise refusal("a time zone by its IANA name, such as UTC or Europe/Paris", known=known)


def _day(value: object) -> object:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else _refuse_day()
    except ValueError:
        return _refuse_day()


def _refuse_day() -> date:
    raise refusal("a date, such as 2025-08-01")


def _instant(value: object) -> object:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else _refuse_instant()
    except ValueError:
        return _refuse_instant()


def _refuse_instant() -> datetime:
    raise refusal("an instant, such as 2025-08-01T00:00:00Z")


def in_zone(moment: datetime, zone: str) -> datetime:
    """Return the moment as a UTC instant; a naive one is read in the zone."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    return aware.astimezone(ZoneInfo("UTC"))


# YAML tells numbers, booleans and text apart, so nothing is converted: "12" and true are no numbers
Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Field(min_length=1, json_schema_extra=expects("text"))]
Name = Annotated[
    str,
    Field(
        pattern=NAME_PATTERN,
        json_schema_extra=expects(NAME_EXPECTED),
    ),
]
TimeZone = Annotated[str, BeforeValidator(_zone), Field(json_schema_extra=expects("a time zone by its IANA name, such as UTC"))]
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", **expects("a date, such as 2025-08-01")}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", **expects("an instant, such as 2025-08-01T00:00:00Z")}),
]
