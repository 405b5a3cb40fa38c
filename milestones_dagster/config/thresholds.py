"""How a threshold is sought that tells who stays from who leaves.

Put here the numbers of the search. Keep out the thresholds themselves (`framework.py`).
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from milestones_dagster.config.base import Integer, Model, Number, refusal, unit

Share = Annotated[Number, Field(gt=0, lt=1)]


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
    seed: Integer = Field(default=0, ge=0, le=2**32 - 1, description="Start of every random draw.", json_schema_extra=unit("seed"))

    @model_validator(mode="after")
    def _reach_is_ordered(self) -> Self:
        if self.reach[0] >= self.reach[1]:
            raise refusal("the smaller share first", found=str(list(self.reach)), key="reach")
        return self
