"""The grammar of `framework.yaml`: a company's product, its four milestones and their outcomes.

Put here what a company may say about its framework: every key with its meaning, unit, default and bounds; the feature
catalogue and the evidence stand in `catalogue.py`. Keep out where the rows come from (`sources.py`), and what names
must refer to (`framework_checks.py`: to tell all that is wrong at once, those checks run even when another key is
bad).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from milestones_dagster.config.areas import Area
from milestones_dagster.config.base import Flag, Integer, Model, Name, Number, Text, TimeZone, expects, refusal, unit
from milestones_dagster.config.catalogue import (
    AdoptionBenchmark,
    AttributeFeature,
    EventFeature,
    Evidence,
    Feature,
    FeatureRanking,
    Features,
    RetentionByActivation,
    Review,
    SettingFeature,
)
from milestones_dagster.config.duration import DayDuration, Duration, Window
from milestones_dagster.config.rules import EventRule, Events, LowerBounds
from milestones_dagster.config.thresholds import Threshold, Thresholded, ThresholdSearch

__all__ = [
    "Activation",
    "AdoptionBenchmark",
    "Area",
    "AttributeFeature",
    "EventFeature",
    "EventRule",
    "Evidence",
    "Feature",
    "FeatureRanking",
    "Features",
    "Framework",
    "Maturity",
    "Outcomes",
    "Plan",
    "Retention",
    "RetentionByActivation",
    "Review",
    "SettingFeature",
    "Setup",
    "SetupStep",
    "ThresholdSearch",
    "Usage",
]

RetentionBasis = Literal["subscriptions", "activity"]
SeatsBasis = Literal["subscriptions", "active_users", "account"]


class Plan(Model):
    """A plan that the company sells."""

    name: Text = Field(description="The plan as the subscriptions (or accounts) table writes it.")
    title: Text | None = Field(default=None, description="What people call it; default: its name.")
    sells_seats: Flag = Field(default=True, description="Whether a paid row of this plan must have seats.")


class SetupStep(EventRule):
    """One step of going live; completed at the first event that meets its rule."""

    name: Name = Field(description="Stable name of the step: its rows keep it.")
    title: Text = Field(description="What people call the step.")
    minimum_count: Integer = Field(
        default=1, ge=1, le=1_000_000, description="Matching events that complete it.", json_schema_extra=unit("events")
    )
    distinct: Text | None = Field(default=None, description="Count different `users`, or different values of this property.")
    minimum_distinct: Integer | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Different users or values that complete it; only with `distinct`.",
        json_schema_extra=unit("users or values"),
    )
    required: Flag = Field(default=True, description="Whether setup is complete only with this step.")

    @model_validator(mode="after")
    def _distinct_is_whole(self) -> Self:
        if self.distinct is None and self.minimum_distinct is not None:
            raise refusal(
                "`distinct` beside it: users, or a property name",
                found="minimum_distinct without distinct",
                key="minimum_distinct",
            )
        if self.distinct is not None and self.minimum_distinct is None:
            raise refusal(
                "`minimum_distinct` beside it: a whole number",
                found="distinct without minimum_distinct",
                key="distinct",
            )
        return self


class Setup(Model):
    """Setup: the steps of going live and the time allowed for them."""

    window: Duration = Field(
        default=Duration(months=3), description="Time from tenure start within which setup counts in its rate."
    )
    steps: tuple[SetupStep, ...] = Field(min_length=1, description="The steps, in the order they are shown.")

    @model_validator(mode="after")
    def _something_is_required(self) -> Self:
        if not any(step.required for step in self.steps):
            raise refusal("at least one step that setup requires", found="only steps with required: false", key="steps")
        return self


class Activation(Thresholded):
    """Activation: first value, a number of events within a window from tenure start."""

    title: Text = Field(description="What people call the activation event.")
    window: Duration = Field(default=Duration(months=3), description="Time from tenure start in which events count.")
    threshold: Threshold = Field(
        description="Events in the window from which on activated: a number, or `auto` for the one that retention derives, "
        "where the evidence holds.",
        json_schema_extra=unit("events"),
    )


class Usage(Thresholded):
    """Usage: core value per month and seat."""

    title: Text = Field(description="What people call the core value.")
    entity: Text | None = Field(
        default=None,
        description="Property that names the thing resolved (conversation_id); without it the events are counted.",
    )
    reopened_by: tuple[Text, ...] = Field(default=(), description="Events that open the entity again; only with `entity`.")
    contact_events: tuple[Text, ...] = Field(
        default=(),
        description="Events, beside `events` and `reopened_by`, that name a contact of the entity (conversation_started): where "
        "its resolution names no account, it belongs to that of its earliest contact. Only with `entity`, which they must carry.",
    )
    seats: SeatsBasis = Field(
        default="subscriptions",
        description="What a seat is: seats bought, users active in the month, or the seats column of accounts. "
        "Left out: the first of subscriptions, account, active_users for which the sources have what it needs.",
    )
    threshold: Threshold = Field(
        description="Resolved per seat and month from which usage is reached: a number, or `auto` for the one that retention "
        "derives, where the evidence holds.",
        json_schema_extra=unit("per seat and month"),
    )

    @model_validator(mode="after")
    def _needs_an_entity(self) -> Self:
        if self.reopened_by and self.entity is None:
            raise refusal(
                "`entity` beside it: the property that names what is reopened",
                found="reopened_by without entity",
                key="reopened_by",
            )
        if self.contact_events and self.entity is None:
            raise refusal(
                "`entity` beside it: the property that names what the contacts take part in",
                found="contact_events without entity",
                key="contact_events",
            )
        return self


class MaturityRule(Model):
    """What a level of a category asks: so many of these features, each on so many days of the window."""

    at_least: Integer = Field(ge=1, le=1000, description="Features that must be in use.", json_schema_extra=unit("features"))
    # 2^50 and sums of smaller powers are exact in a float, by which SQL divides
    of: tuple[Name, ...] = Field(min_length=1, max_length=50, description="Names from the feature catalogue.")
    minimum_days: Integer = Field(
        default=1,
        ge=1,
        le=3660,
        description="Days with use that make a feature in use.",
        json_schema_extra=unit("days"),
    )

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.at_least > len(self.of):
            raise refusal(f"at most the number of features in `of`, {len(self.of)}", found=str(self.at_least), key="at_least")
        return self


class MaturityCategory(Model):
    """A part of the product with its own basic and mature use."""

    name: Name = Field(description="Stable name of the category.")
    title: Text = Field(description="What people call the category.")
    basic: MaturityRule = Field(description="What basic use asks.")
    mature: MaturityRule = Field(description="What mature use asks.")


class Maturity(Model):
    """Maturity: how many categories must be mature, over which trailing window."""

    mature_categories: Integer = Field(
        default=3,
        ge=1,
        le=100,
        description="Mature categories that make an account mature.",
        json_schema_extra=unit("categories"),
    )
    window: DayDuration = Field(default=DayDuration(seconds=90 * 86_400), description="Trailing window, in days.")
    categories: tuple[MaturityCategory, ...] = Field(min_length=1, description="The categories, in order.")


class Retention(Model):
    """What staying means: paying over a horizon, or active in a window."""

    basis: RetentionBasis = Field(
        default="subscriptions",
        description="Subscriptions (paying without a gap) or activity (a core event in the window). Left out: "
        "subscriptions when they are a source and no window is given, else activity.",
    )
    horizon: Duration | None = Field(
        default=None, description="H: time after the observation date; 3 months when neither it nor `window` is given."
    )
    window: Window | None = Field(default=None, description="Instead of a horizon, a window after the start; basis activity only.")
    gap: Duration = Field(default=Duration(seconds=7 * 86_400), description="Longest gap between paid rows that is bridged.")
    include_locked: Flag = Field(
        default=False, description="Whether rows that could not leave (no renewal in the horizon) count in rates."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_horizon(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("horizon") is None and data.get("window") is None:
            return {**data, "horizon": "3 months"}
        return data

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.window is not None and self.horizon is not None:
            raise refusal("one of `horizon` and `window`", found="both horizon and window", key="window")
        if self.window is not None and self.basis == "subscriptions" and "basis" in self.model_fields_set:
            raise refusal("basis: activity, the only one with a window", found="basis: subscriptions", key="window")
        return self


class Dormancy(Model):
    """When a paying account counts as dormant."""

    after: Duration = Field(
        default=Duration(seconds=30 * 86_400),
        description="Time without a core event from which on an account is dormant.",
    )


class Expansion(Model):
    """When a retained account counts as expanded."""

    minimum: Number = Field(
        default=1.10,
        gt=1,
        le=100,
        description="MRR or seats at the horizon over those at the observation date from which on expanded.",
        json_schema_extra=unit("ratio"),
    )


class Outcomes(Model):
    """The outcomes that the milestones are held against."""

    retention: Retention = Field(default_factory=Retention, description="Staying.")
    dormancy: Dormancy = Field(default_factory=Dormancy, description="Going quiet.")
    expansion: Expansion = Field(default_factory=Expansion, description="Buying more.")


class Framework(Model):
    """All of `framework.yaml`."""

    product: Text = Field(description="Name of the product, as the outputs print it.")
    time_zone: TimeZone = Field(default="UTC", description="Reporting zone: calendar months and dates are in it.")
    currency: Annotated[
        str,
        Field(pattern="^[a-z]{3}$", json_schema_extra=expects("a currency of three lower-case letters, such as usd")),
    ] = Field(default="usd", description="Currency of all money in the outputs.")
    plans: tuple[Plan, ...] = Field(default=(), description="The plans sold; none: the company has no plans.")
    core_events: Events = Field(description="Meaningful use: what dormancy and retention by activity look for.")
    size_strata: LowerBounds = Field(
        default=(1, 5, 20, 100),
        description="Lower bounds of the size strata; the last is open.",
        json_schema_extra=unit("seats"),
    )
    setup: Setup = Field(description="The setup milestone.")
    activation: Activation = Field(description="The activation milestone.")
    usage: Usage = Field(description="The usage milestone.")
    maturity: Maturity = Field(description="The maturity milestone.")
    areas: tuple[Area, ...] = Field(default=(), description="Product areas with their own success metric; none: no area is judged.")
    outcomes: Outcomes = Field(default_factory=Outcomes, description="What the milestones are held against.")
    features: Features = Field(default_factory=Features, description="The feature catalogue.")
    adoption_benchmark: AdoptionBenchmark = Field(default_factory=AdoptionBenchmark, description="Bounds of the prevalence screen.")
    feature_ranking: FeatureRanking = Field(default_factory=FeatureRanking, description="The forest and its test.")
    threshold_search: ThresholdSearch = Field(
        default_factory=ThresholdSearch, description="How thresholds are derived from retention."
    )
    evidence: Evidence = Field(default_factory=Evidence, description="What an effect must be worth.")
    review: Review = Field(default_factory=Review, description="The framework review.")
    retention_by_activation: RetentionByActivation = Field(
        default_factory=RetentionByActivation, description="Bands of the retention table."
    )

    @property
    def left_to_the_data(self) -> frozenset[str]:
        """What has a threshold that the data derive: milestones by name, and `areas` where any area has."""
        declared: tuple[tuple[str, Thresholded], ...] = (("activation", self.activation), ("usage", self.usage))
        areas = {"areas"} if any(area.threshold == "auto" for area in self.areas) else set()
        return frozenset({name for name, milestone in declared if milestone.is_auto} | areas)

    @model_validator(mode="after")
    def _outcome_after_behaviour(self) -> Self:
        window = self.outcomes.retention.window
        if window is not None and window.start.days_at_least < self.activation.window.days_at_most:
            raise refusal(
                f"a window that starts when the activation window ({self.activation.window}) has ended, or later",
                found=str(window),
                key="outcomes",
            )
        return self
