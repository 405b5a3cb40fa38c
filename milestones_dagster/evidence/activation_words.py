"""Defines the sentences that a reader of the activation's validation needs.

Put here words. Keep out every number that is estimated (`activation_validation.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan

PROPORTIONAL_LEVEL = 0.05


@dataclass(frozen=True)
class Facts:
    """What the sentences about one row say: `numbers` are its estimates by column, NaN where there is none.

    Attributes:
        is_time: the outcome is the time to dormant-or-left, else usage.
        is_all: of all accounts, not of one cohort.
        hidden: cohorts without a row.
        is_billed: leaving can be seen.
        is_later_half: the earlier half has chosen the threshold.
    """

    numbers: Mapping[str, float]
    trust: str
    hazard_reason: str | None
    is_time: bool
    is_all: bool
    hidden: int
    is_billed: bool
    is_later_half: bool

    @classmethod
    def of(cls, row: Mapping[str, object], outcome: str, *, hidden: int, is_billed: bool, is_later_half: bool) -> "Facts":
        """Return the facts of a row of the table."""
        numbers = {name: float(value) for name, value in row.items() if isinstance(value, float | int)}
        reason = row.get("hazard_reason")
        return cls(
            numbers,
            str(row["trust"]),
            reason if isinstance(reason, str) else None,
            outcome != "usage",
            row["cohort"] == "all",
            hidden,
            is_billed,
            is_later_half,
        )

    def __getitem__(self, name: str) -> float:
        return self.numbers.get(name, nan)


def sentence(facts: Facts) -> str:
    """Return the finding in one or two sentences.

    Where the hazards are not proportional (p < .05), or no ratio can be told, the restricted mean is quoted.
    """
    if not facts["accounts"]:
        return "No account can be compared yet."
    if facts.trust == "interview":
        return _too_few(facts)
    if not isfinite(facts["difference"]):
        return "No plan and size holds activated accounts and others: nothing can be compared."
    difference = f"{_points(facts['difference'])} ({_points(facts['difference_low'])} to {_points(facts['difference_high'])})"
    if not facts.is_time:
        return (
            f"{_opening(facts, 'difference', 0)} {difference} of reaching usage in at least 2 of the 3 whole months after the "
            "landmark, among accounts alike in plan and size."
        )
    end, ended = "becoming dormant", "not dormant"
    if facts.is_billed:
        end, ended = "becoming dormant or leaving", "neither dormant nor left"
    days = f"{facts['horizon_days']:.0f}"
    if facts.hazard_reason is None and facts["proportional_p"] >= PROPORTIONAL_LEVEL:
        ratio = f"{facts['hazard_ratio']:.2f} times the rate of {end}"
        return (
            f"{_opening(facts, 'hazard_ratio', 1)} {ratio} ({facts['hazard_ratio_low']:.2f} to {facts['hazard_ratio_high']:.2f}), "
            f"among accounts of the same cohort quarter alike in plan and size; after {days} days {difference} were {ended}."
        )
    mean = " to ".join(f"{facts[f'mean_days_difference_{side}']:+.1f}" for side in ("low", "high"))
    gained = f"{facts['mean_days_difference']:+.1f} days ({mean}) {ended}"
    why = (
        f"The ratio of the rates changes over time (p = {facts['proportional_p']:.2g}) and is not quoted."
        if facts.hazard_reason is None
        else f"No ratio of the rates: {facts.hazard_reason}."
    )
    return (
        f"{_opening(facts, 'mean_days_difference', 0)} {gained} of the {days} after the landmark, among accounts alike in plan "
        f"and size. {why}"
    )


def note(facts: Facts, read: int, accounts: int) -> str:
    """Return who is in neither group, and what else a reader must know; `read` of so many accounts were drawn."""
    sentences = [] if read == accounts else [f"Of {accounts:,} accounts {read:,} were drawn by hash."]
    if facts["left_out"]:
        share = facts["left_out"] / (facts["left_out"] + facts["accounts"])
        who = "were dormant at the landmark already" if facts.is_time else "have not seen three whole months end"
        sentences.append(
            f"{facts['left_out']:,.0f} accounts ({share:.1%}), {facts['left_out_activated']:,.0f} of them activated, {who} and "
            "are in neither group."
        )
    if facts["left_before"] > 0:
        sentences.append(
            f"{facts['left_before']:,.0f} accounts ({facts['left_before_share']:.1%}) left before the landmark and are in no group."
        )
    if facts["locked"] > 0:
        sentences.append(f"{facts['locked']:,.0f} accounts could not leave within the horizon and are left out.")
    if facts.is_later_half:
        sentences.append("Of the later half of the accounts alone: the earlier one chose the threshold.")
    if not facts.is_billed:
        sentences.append(
            "Without subscriptions nobody is seen to leave: the time is to dormancy alone."
            if facts.is_time
            else "Without subscriptions nobody is seen to leave: who left shows as a month without usage."
        )
    if facts.is_all and facts.hidden:
        sentences.append(
            "One cohort is too small to be shown alone."
            if facts.hidden == 1
            else f"{facts.hidden:,} cohorts are too small to be shown alone."
        )
    sentences.append("That activation causes it is not shown.")
    return " ".join(sentences)


def _opening(facts: Facts, name: str, nothing: float) -> str:
    """Return how the finding begins, by whether the interval holds the value that means no difference."""
    if facts[f"{name}_low"] <= nothing <= facts[f"{name}_high"]:
        return "It may be chance that activation goes with"
    return "Activation goes with"


def _too_few(facts: Facts) -> str:
    seen = f"{facts['activated']:,.0f} activated accounts and {facts['not_activated']:,.0f} others"
    detectable = facts["detectable_difference"]
    if not facts["activated"] or not facts["not_activated"]:
        return f"{seen}: nothing to compare."
    if detectable == 0:
        return f"{seen}: the outcome is the same for all; nothing to compare."
    if detectable >= 1:
        return f"{seen}: too few for any difference to show; ask the accounts named."
    return f"{seen}: only a difference of {detectable * 100:.0f} points or more would show; ask the accounts named."


def _points(share: float) -> str:
    return f"{share * 100:+.1f} points"
