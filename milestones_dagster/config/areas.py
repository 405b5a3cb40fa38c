"""The product areas of `framework.yaml`: each with its own success metric and what the metric must reach.

Put here what a company may say about an area. Keep out the feature catalogue (`catalogue.py`), from which an area may
take its metric, and how a threshold is sought (`thresholds.py`).
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from milestones_dagster.config.base import Model, Name, Number, Text, expects, refusal, unit
from milestones_dagster.config.rules import Events

AreaMeasure = Literal["days", "count", "count_per_seat", "users"]

_LARGEST = 1e9
_EXPECTED = "a number above 0, or auto"


def _threshold(value: object) -> object:
    # asked here, so that a wrong one is told of once and not for each of the two kinds that it could be
    if value == "auto" or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LARGEST):
        return value
    raise refusal(_EXPECTED)


AreaThreshold = Annotated[
    Number | Literal["auto"],
    BeforeValidator(_threshold),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": _LARGEST}, {"const": "auto"}], **expects(_EXPECTED)}
    ),
]


class Area(Model):
    """A part of the product and the metric by which it says, month by month, that a customer gets something out of it."""

    name: Name = Field(description="Stable name of the area: its rows keep it.")
    title: Text = Field(description="What people call the area's success metric.")
    feature: Name | None = Field(
        default=None,
        description="A feature of the catalogue, of measure days, count, count_per_seat or users, counted over the calendar month.",
    )
    measure: AreaMeasure | None = Field(
        default=None, description="Instead of a feature: how the events of a calendar month are counted; with `events`."
    )
    events: Events | None = Field(
        default=None, description="Instead of a feature: event names, or patterns matched against the tracking plan."
    )
    threshold: AreaThreshold = Field(
        default="auto",
        description="What the metric must reach in a calendar month; auto: where the data put it, none without a signal.",
        json_schema_extra=unit("the metric's"),
    )

    @model_validator(mode="after")
    def _one_metric(self) -> Self:
        if self.feature is not None and (self.measure is not None or self.events is not None):
            raise refusal("either `feature`, or `measure` and `events`", found="both", key="feature")
        if self.feature is None and (self.measure is None or self.events is None):
            raise refusal("`feature`, or `measure` and `events`", found=f"`{self._alone()}` alone" if self._alone() else "neither")
        return self

    def _alone(self) -> str:
        return "measure" if self.measure is not None else "events" if self.events is not None else ""
