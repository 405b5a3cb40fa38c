"""How a config names what counts: events, the values of their properties, and bands by their lower bounds.

Put here the grammar that several sections of `framework.yaml` share. Keep out the sections themselves.
"""

import json
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from milestones_dagster.config.base import Integer, Model, Text, expects, refusal


def _values(value: object) -> object:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(each, str | int | float) for each in values):
        raise refusal("a value, or a list of values, that the property may have (text, number, true or false)")
    return tuple(each if isinstance(each, str) else json.dumps(each) for each in values)


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(left >= right for left, right in pairwise(values)):
        raise refusal("lower bounds in ascending order, each once", found=str(list(values)))
    return values


Values = Annotated[
    tuple[str, ...],
    BeforeValidator(_values),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "minItems": 1},
            ],
            **expects("a value, or a list of values, that the property may have"),
        }
    ),
]
Events = Annotated[tuple[Text, ...], Field(min_length=1, json_schema_extra=expects("a list of one or more event names"))]
LowerBounds = Annotated[
    tuple[Annotated[Integer, Field(ge=0, le=1_000_000_000)], ...], Field(min_length=1), AfterValidator(_ascending)
]


class EventRule(Model):
    """Which events count: any of the named events, with every listed property at one of its values."""

    events: Events = Field(description='Event names, or patterns ("nova.*") matched against the tracking plan.')
    where: dict[Text, Values] = Field(
        default_factory=dict, description="Per property, the value or values one of which the event must have."
    )
