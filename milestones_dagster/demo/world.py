"""The parameters of the demonstration company: what is true in its world, and what is wrong with its data.

Put here: every number that a reader may want to change, with its unit, bounds and meaning. Keep out: the vocabulary
(which step, which feature: `vocabulary.py`) and the equations that use these numbers (`accounts.py`, `behaviour.py`).

Sizes that begin with "log-odds" act on the odds of leaving at the end of a month; a size of 0 switches the effect off.
"""

from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import date
from typing import Any, Self


def _size(default: float, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "meaning": meaning})


def _check_bounds(instance: Any) -> None:
    for each in fields(instance):
        if "low" not in each.metadata:
            continue
        value, low, high = getattr(instance, each.name), each.metadata["low"], each.metadata["high"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            kind = type(instance).__name__
            raise ValueError(f"{kind}.{each.name}: found {value!r}, expected a number from {low:g} to {high:g}")


def _default(each: Field[Any]) -> Any:
    return None if each.default is MISSING else each.default


@dataclass(frozen=True)
class World:
    """The structural model's sizes, each with bounds (checked: ValueError) and 0 as its switch."""

    # Confounders: an intent that no table shows, the size in seats and the plan move behaviour and retention.
    intent_on_behaviour: float = _size(1.0, 0, 3, "factor of the hidden intent on steps, volume and feature use")
    intent_on_retention: float = _size(0.35, 0, 3, "log-odds per standard deviation of the hidden intent")
    size_on_behaviour: float = _size(1.0, 0, 3, "factor of size on steps, volume per seat and feature use")
    size_on_retention: float = _size(0.25, 0, 3, "log-odds per standard deviation of log seats")
    plan_on_behaviour: float = _size(1.0, 0, 3, "factor of the plan on steps and volume")
    plan_on_retention: float = _size(0.9, 0, 3, "log-odds, premium against starter; growth has 0.4 of it")

    # Causes
    step_effect: float = _size(1.0, 0, 2, "factor of what causing setup steps add to the volume of conversations")
    activation_threshold: float = _size(20, 1, 1000, "conversations started within three months at which leaving is rarer")
    activation_jump: float = _size(0.75, 0, 3, "log-odds at the activation threshold")
    activation_slope: float = _size(0.08, 0, 2, "log-odds per doubling of the activation count")
    usage_threshold: float = _size(12, 1, 100, "resolved conversations per seat and month at which leaving is rarer")
    usage_jump: float = _size(0.8, 0, 3, "log-odds at the usage threshold")
    usage_slope: float = _size(0.08, 0, 2, "log-odds per doubling of resolved conversations per seat and month")
    driver_effect: float = _size(1.2, 0, 3, "factor of the log-odds of every feature that drives retention")
    dormancy_on_retention: float = _size(0.8, 0, 3, "log-odds while dormant, in the harmful direction")

    # Leaving and billing
    leaving_log_odds: float = _size(-0.6, -8, 3, "log-odds of leaving in a month, before all effects")
    patience: float = _size(1.0, 0, 3, "factor of the log-odds that keep customers in their first two months")
    early_leaving_share: float = _size(0.035, 0, 0.3, "share that leaves within twelve days of the first paid day")
    annual_share: float = _size(0.2, 0, 1, "share on annual terms, who can leave only at a renewal")
    billing_gap_share: float = _size(0.004, 0, 0.1, "share of months that begin with one to six unpaid days")
    return_share: float = _size(0.14, 0, 1, "share of leavers who come back, 9 days or more after leaving")
    trial_share: float = _size(0.7, 0, 1, "share that begins with a trial of 14 days")
    trial_only_share: float = _size(0.08, 0, 0.9, "share of trials that never pay")

    # Dynamics
    cohort_drift: float = _size(1.0, -3, 3, "factor of what changes from the first cohort to the last")
    growth: float = _size(0.035, 0, 0.5, "monthly chance of more seats, from the fourth month on")
    growth_with_use: float = _size(0.3, 0, 0.9, "growth is likelier by this share above the usage threshold, rarer below")
    upgrade: float = _size(0.008, 0, 0.5, "monthly chance of the next plan, from the fifth month on")
    dormancy: float = _size(0.014, 0, 0.5, "monthly chance of falling dormant at average intent")
    small_healthy_share: float = _size(0.07, 0, 0.9, "share of small accounts with a low volume, a good ratio and rare leaving")
    small_healthy_on_retention: float = _size(0.8, 0, 3, "log-odds of a small healthy account")

    # Features
    family_correlation: float = _size(0.65, 0, 0.98, "correlation of the habits within a family of features")
    warning_fall: float = _size(0.85, 0, 1, "share of use that the warning feature loses in the month of leaving")

    def __post_init__(self) -> None:
        """Refuse a size outside its bounds (ValueError naming field, found and expected)."""
        _check_bounds(self)

    @classmethod
    def null(cls, *, confounded: bool = False) -> Self:
        """Return a world in which no behaviour affects retention.

        With `confounded` the hidden intent, size, plan, terms and the age of the account still move both, so behaviour
        goes with retention without causing it; without it, nothing that is observed goes with retention at all.
        """
        world = cls(
            activation_jump=0, activation_slope=0, usage_jump=0, usage_slope=0, driver_effect=0,
            dormancy_on_retention=0, warning_fall=0, growth_with_use=0, leaving_log_odds=-3.1,
        )  # fmt: skip
        if confounded:
            return world
        return replace(
            world, intent_on_retention=0, size_on_retention=0, plan_on_retention=0, small_healthy_on_retention=0,
            cohort_drift=0, patience=0, early_leaving_share=0, annual_share=0,
        )  # fmt: skip

    @classmethod
    def smooth(cls) -> Self:
        """Return a world whose odds of leaving fall smoothly with the counts and jump nowhere."""
        return cls(activation_jump=0, activation_slope=0.3, usage_jump=0, usage_slope=0.3, leaving_log_odds=-1.6)


@dataclass(frozen=True)
class Dirt:
    """What is wrong with the delivered events: shares of all events, 0 when that kind does not occur."""

    late_share: float = _size(0.01, 0, 0.5, "share that arrives one to ten days late, in the file of the day of arrival")
    duplicate_share: float = _size(0.005, 0, 0.5, "share that is delivered a second time")
    malformed_share: float = _size(0.001, 0, 0.5, "share without time, event name or account (a third each)")
    future_share: float = _size(0.0005, 0, 0.5, "share dated one to thirty days after its arrival")
    unknown_share: float = _size(0.001, 0, 0.5, "share under an event name that the tracking plan does not know")
    unknown_name: str = "conversation_resolvd"
    missing_day: date | None = None

    def __post_init__(self) -> None:
        """Refuse a share outside its bounds, or shares that together exceed one half (ValueError)."""
        _check_bounds(self)
        if sum(getattr(self, each.name) for each in fields(self) if "low" in each.metadata) > 0.5:  # noqa: PLR2004
            raise ValueError("Dirt: the shares together exceed 0.5; one event carries one kind of dirt at most")
        if not self.unknown_name:
            raise ValueError("Dirt.unknown_name: found an empty text, expected an event name")


def parameters(instance: World | Dirt) -> dict[str, Any]:
    """Return the fields as plain values for JSON, in their order of declaration."""
    values = {each.name: getattr(instance, each.name) for each in fields(instance)}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def switches(world: World) -> dict[str, dict[str, Any]]:
    """Return for every size of the world: whether it is on, its size, its default, its bounds and what it means."""
    thresholds = {"activation_threshold", "usage_threshold", "leaving_log_odds"}
    return {
        each.name: {
            "on": getattr(world, each.name) != 0,
            "size": getattr(world, each.name),
            "default": _default(each),
            "bounds": [each.metadata["low"], each.metadata["high"]],
            "meaning": each.metadata["meaning"],
        }
        for each in fields(world)
        if each.name not in thresholds
    }
