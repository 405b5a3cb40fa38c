"""Durations with their unit, as the config writes them (`90 d`, `24 h`, `3 months`), and windows (`[181d, 366d)`).

Put here how such a text is read and what it may be. Keep out arithmetic on calendars: it is done where the times are.
"""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from milestones_dagster.config.base import expects, refusal

_AMOUNT = re.compile(r"\s*(\d{1,9})\s*([a-z]+)\s*")
_WINDOW = re.compile(r"\s*\[([^,\[\]()]+),([^,\[\]()]+)\)\s*")
_MAXIMUM_MONTHS = 120
_MAXIMUM_SECONDS = 3660 * 86_400


@dataclass(frozen=True)
class Duration:
    """A length of time: calendar months, or seconds (a day is 24 hours); exactly one of the two is above 0.

    Attributes:
        months: calendar months, 0 to 120.
        seconds: elapsed seconds, 0 to 3,660 days.
        text: as the config wrote it; not compared.
    """

    months: int = 0
    seconds: int = 0
    text: str = field(default="", compare=False)

    UNITS: ClassVar[dict[str, tuple[int, int]]] = {
        "d": (0, 86_400),
        "h": (0, 3_600),
        "month": (1, 0),
        "months": (1, 0),
    }
    EXPECTED: ClassVar[str] = "a duration with its unit, such as 90 d, 24 h or 3 months"

    def __post_init__(self) -> None:
        is_single = (self.months > 0) != (self.seconds > 0) and min(self.months, self.seconds) >= 0
        if not is_single or self.months > _MAXIMUM_MONTHS or self.seconds > _MAXIMUM_SECONDS:
            raise ValueError("a duration is 1 to 120 months, or 1 second to 3660 days")
        if not self.text:
            object.__setattr__(self, "text", self._canonical())

    def __str__(self) -> str:
        return self.text

    @property
    def days_at_least(self) -> float:
        """Days that it lasts at the least: a month has 28."""
        return self.months * 28 + self.seconds / 86_400

    @property
    def days_at_most(self) -> float:
        """Days that it lasts at the most: a month has 31."""
        return self.months * 31 + self.seconds / 86_400

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the duration that the text says; raise ValueError when it says none that this class allows."""
        match = _AMOUNT.fullmatch(text)
        if match is None or match[2] not in cls.UNITS:
            raise ValueError(f"expected {cls.EXPECTED}")
        months, seconds = cls.UNITS[match[2]]
        return cls(int(match[1]) * months, int(match[1]) * seconds, " ".join(match.groups()))

    def _canonical(self) -> str:
        if self.months:
            return "1 month" if self.months == 1 else f"{self.months} months"
        for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
            if self.seconds % size == 0:
                return f"{self.seconds // size} {name}"
        return f"{self.seconds} s"

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise refusal(cls.EXPECTED)
        try:
            return cls.parse(value)
        except ValueError as error:
            raise refusal(cls.EXPECTED) from error

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": rf"^\s*\d+\s*({'|'.join(cls.UNITS)})\s*$", **expects(cls.EXPECTED)}


class DayDuration(Duration):
    """A duration in days of 24 hours alone."""

    UNITS: ClassVar[dict[str, tuple[int, int]]] = {"d": (0, 86_400)}
    EXPECTED: ClassVar[str] = "a duration in days, such as 90 d"

    @property
    def days(self) -> int:
        """Days of 24 hours."""
        return self.seconds // 86_400


class ShortDuration(Duration):
    """A duration that may also be written in seconds and minutes: for machinery, never for a definition."""

    UNITS: ClassVar[dict[str, tuple[int, int]]] = {"s": (0, 1), "min": (0, 60), "h": (0, 3_600), "d": (0, 86_400)}
    EXPECTED: ClassVar[str] = "a duration with its unit, such as 60 s, 5 min or 1 h"


@dataclass(frozen=True)
class Window:
    """A half-open window after a start, `[181d, 366d)`: both ends in months, or both in seconds, start before end."""

    start: Duration
    end: Duration

    EXPECTED: ClassVar[str] = "a half-open window after the start, such as [181d, 366d)"

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the window that the text says; raise ValueError when it says none."""
        match = _WINDOW.fullmatch(text)
        if match is None:
            raise ValueError(f"expected {cls.EXPECTED}")
        window = cls(Duration.parse(match[1]), Duration.parse(match[2]))
        is_same_kind = bool(window.start.months) == bool(window.end.months)
        if not is_same_kind or (window.start.months, window.start.seconds) >= (window.end.months, window.end.seconds):
            raise ValueError("both ends in the same unit, the first before the second")
        return window

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        expected = f"{cls.EXPECTED}, both ends in the same unit and the first before the second"
        try:
            return cls.parse(value if isinstance(value, str) else "")
        except ValueError as error:
            raise refusal(expected) from error

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^\s*\[.+,.+\)\s*$", **expects(cls.EXPECTED)}
