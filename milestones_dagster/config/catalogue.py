"""The second half of `framework.yaml`: the feature catalogue, and how the evidence on it is sought.

Put here features, the adoption benchmark, the forest and the retention bands. Keep out the milestones
(`framework.py`).
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from milestones_dagster.config.base import Day, Integer, Model, Name, Number, Text, refusal, unit
from milestones_dagster.config.duration import Duration
from milestones_dagster.config.rules import Events, LowerBounds

EventMeasure = Literal["used", "days", "count", "count_per_seat", "users", "trend"]


class CatalogueFeature(Model):
    """What every feature of the catalogue says about itself; it becomes one column of `feature_matrix`."""

    name: Name = Field(description="Stable name: the column of the feature matrix.")
    title: Text = Field(description="What people call the feature.")
    category: Name = Field(description="Part of the product that it belongs to.")
    plans: tuple[Text, ...] = Field(default=(), description="Plans that include it; none named: every plan.")


class EventFeature(CatalogueFeature):
    """A feature seen in events: used at all, days used, events, events per seat, users, or their trend."""

    measure: EventMeasure = Field(description="How its use is counted over the feature window.")
    events: Events = Field(description="Event names, or patterns matched against the tracking plan.")


class SettingFeature(CatalogueFeature):
    """A setting or add-on that is on from its last on-event until an off-event."""

    measure: Literal["setting"] = Field(description="On or off at the observation date.")
    on_events: Events = Field(description="Events that turn it on.")
    off_events: tuple[Text, ...] = Field(default=(), description="Events that turn it off.")


class AttributeFeature(CatalogueFeature):
    """A feature read from the account as of the observation date."""

    measure: Literal["attribute"] = Field(description="Value of an attribute at the observation date.")
    attribute: Name = Field(description="plan, seats, mrr, or an attribute of accounts.")
    equals: Text | None = Field(
        default=None, description="1 when the attribute is this text, else 0; without it the attribute is a number."
    )

    @model_validator(mode="after")
    def _text_needs_equals(self) -> Self:
        if self.attribute in {"plan", "segment"} and self.equals is None:
            raise refusal(f"`equals` beside it, since {self.attribute} is text", key="attribute")
        return self


Feature = Annotated[EventFeature | SettingFeature | AttributeFeature, Field(discriminator="measure")]


class Features(Model):
    """The feature catalogue and the window over which use is counted."""

    window: Duration = Field(
        default=Duration(seconds=30 * 86_400), description="Time before the observation date over which use is counted."
    )
    catalogue: tuple[Feature, ...] = Field(default=(), description="The features, in order.")


class AdoptionBenchmark(Model):
    """How common the use of a feature may be for it to tell customers apart."""

    window: Duration = Field(default=Duration(seconds=90 * 86_400), description="Trailing window in which use is looked for.")
    ubiquitous: Number = Field(
        default=0.80,
        gt=0,
        lt=1,
        description="Adoption among eligible accounts above which a feature is ubiquitous.",
        json_schema_extra=unit("share"),
    )
    niche: Number = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Adoption among all accounts below which a feature is niche.",
        json_schema_extra=unit("share"),
    )

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.niche >= self.ubiquitous:
            raise refusal(f"a share below `ubiquitous`, {self.ubiquitous}", found=str(self.niche), key="niche")
        return self


class FeatureRanking(Model):
    """How the random forest that ranks the features is fitted and tested."""

    folds: Integer = Field(
        default=5, ge=2, le=20, description="Parts that the accounts are cut into.", json_schema_extra=unit("folds")
    )
    train_share: Number = Field(
        default=0.6,
        gt=0,
        lt=1,
        description="Share of rows that precede the date splitting fit from test.",
        json_schema_extra=unit("share"),
    )
    trees: Integer = Field(default=100, ge=10, le=5000, description="Trees of the forest.", json_schema_extra=unit("trees"))
    minimum_leaf: Integer = Field(
        default=50, ge=1, le=100_000, description="Fewest rows of a leaf.", json_schema_extra=unit("rows")
    )
    maximum_depth: Integer = Field(
        default=12, ge=1, le=64, description="Deepest level of a tree.", json_schema_extra=unit("levels")
    )
    maximum_samples: Number = Field(
        default=0.2, gt=0, le=1, description="Share of the rows that each tree draws.", json_schema_extra=unit("share")
    )
    repeats: Integer = Field(
        default=5, ge=1, le=100, description="Permutations of each group of features.", json_schema_extra=unit("repeats")
    )
    grouped_from: Number = Field(
        default=0.7,
        gt=0,
        le=1,
        description="Rank correlation, of either sign, from which on two features are judged as one group.",
        json_schema_extra=unit("correlation"),
    )
    decoys: Integer = Field(
        default=5,
        ge=5,
        le=50,
        description="Features permuted across accounts that ride along in every fit, to show what chance looks like.",
        json_schema_extra=unit("features"),
    )
    resamples: Integer = Field(
        default=500,
        ge=20,
        le=10_000,
        description="Resamples of accounts per interval.",
        json_schema_extra=unit("resamples"),
    )
    maximum_rows: Integer = Field(
        default=60_000,
        ge=1_000,
        le=100_000_000,
        description="Rows that are read at most; of more, those of accounts drawn whole by a hash. Time and memory grow with it.",
        json_schema_extra=unit("rows"),
    )
    seed: Integer = Field(default=0, ge=0, le=2**32 - 1, description="Start of every random draw.", json_schema_extra=unit("seed"))


class Evidence(Model):
    """What an effect must be worth, and how common a setup step may be, for the evidence to decide on it."""

    minimum_effect: Number = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="Effect below which a setup step or a milestone is not worth keeping; 0.01 is one point.",
        json_schema_extra=unit("share"),
    )
    niche_step: Number = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Adoption among the compared accounts below which a setup step is niche.",
        json_schema_extra=unit("share"),
    )
    routine_step: Number = Field(
        default=0.95,
        gt=0,
        lt=1,
        description="Adoption among the compared accounts above which a setup step is routine.",
        json_schema_extra=unit("share"),
    )

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.niche_step >= self.routine_step:
            raise refusal(f"a share below `routine_step`, {self.routine_step}", found=str(self.niche_step), key="niche_step")
        return self


class Review(Model):
    """From when on the framework review looks."""

    adopted_on: Day | None = Field(
        default=None,
        description="Day on which the definitions in force were adopted (reporting zone): accounts whose landmark lies on or after "
        "it are compared with those before. None: the later half of the accounts with the earlier one.",
    )


class RetentionByActivation(Model):
    """The table of retention by the number of activation events."""

    bands: LowerBounds = Field(
        default=(0, 1, 10, 20, 40),
        description="Lower bounds of the bands; the last one is open.",
        json_schema_extra=unit("events"),
    )
    cohorts_before: Day | None = Field(
        default=None, description="Only accounts whose tenure starts before this date (reporting zone); none: all."
    )
