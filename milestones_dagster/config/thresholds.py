"""What a company says of a threshold: a number, or that the data tell it, and how it is then sought.

Put here the grammar of a threshold and the numbers of the search. Keep out the milestones (`framework.py`).
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from milestones_dagster.config.base import Integer, Model, Number, expects, refusal, unit
from milestones_dagster.config.rules import EventRule

AUTO: Final = "auto"
LARGEST: Final = 1_000_000_000
_EXPECTED = "a number > 0, or auto"
Share = Annotated[Number, Field(gt=0, lt=1)]


def _number_or_auto(value: object) -> object:
    if value == AUTO:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise refusal(_EXPECTED)
    if value > LARGEST:
        raise refusal(f"a number > 0 and ≤ {LARGEST}, or auto")
    return value


Threshold = Annotated[
    float | Literal["auto"],
    BeforeValidator(_number_or_auto),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST}, {"const": AUTO}], **expects(_EXPECTED)}
    ),
]


class Thresholded(EventRule):
    """A milestone that is reached from a value on: a number that the company has adopted, or the one that retention derives."""

    threshold: Threshold
    adopted_threshold: Number | None = Field(
        default=None,
        gt=0,
        le=LARGEST,
        description="Only beside `threshold: auto`: the value that is kept where the data derive none. Left out, the milestone has "
        "no threshold then, and nobody counts as having reached it.",
        json_schema_extra=unit("that of the threshold"),
    )

    @model_validator(mode="after")
    def _one_adopted_value(self) -> Self:
        if self.adopted_threshold is not None and not self.is_auto:
            raise refusal(
                "`threshold: auto` beside it; a number there is the adopted value already",
                found="adopted_threshold beside a number",
                key="adopted_threshold",
            )
        return self

    @property
    def is_auto(self) -> bool:
        """Whether the data derive the threshold."""
        return self.threshold == AUTO

    @property
    def adopted(self) -> float | None:
        """The value that the company has adopted, None where it leaves it to the data alone."""
        return self.adopted_threshold if isinstance(self.threshold, str) else float(self.threshold)


class ThresholdSearch(Model):
    """How thresholds of activation, usage and the areas' metrics are derived."""

    reach: tuple[Share, Share] = Field(
        default=(0.10, 0.90),
        description="Least and greatest share of the accounts that may lie at or above a candidate.",
        json_schema_extra=unit("share"),
    )
    candidates: Integer = Field(
        default=40,
        ge=3,
        le=1000,
        description="Above so many distinct values within reach, so many evenly spaced quantiles are tried.",
        json_schema_extra=unit("candidates"),
    )
    resamples: Integer = Field(
        default=500,
        ge=20,
        le=10_000,
        description="Resamples of accounts per interval.",
        json_schema_extra=unit("resamples"),
    )
    permutations: Integer = Field(
        default=1000,
        ge=20,
        le=100_000,
        description="Permutations of the outcomes for the p of the best of many cells.",
        json_schema_extra=unit("permutations"),
    )
    maximum_accounts: Integer = Field(
        default=200_000,
        ge=1_000,
        le=100_000_000,
        description="Accounts that are read at most, of more those drawn by a hash: by the search, its resamples, permutations and "
        "placebo, and the validation of activation. Time and memory grow with it.",
        json_schema_extra=unit("accounts"),
    )
    seed: Integer = Field(default=0, ge=0, le=2**32 - 1, description="Start of every random draw.", json_schema_extra=unit("seed"))

    @model_validator(mode="after")
    def _reach_is_ordered(self) -> Self:
        if self.reach[0] >= self.reach[1]:
            raise refusal("the smaller share first", found=str(list(self.reach)), key="reach")
        return self
