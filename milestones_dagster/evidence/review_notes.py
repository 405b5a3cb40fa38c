"""Defines the sentences of the framework review: why a milestone should be kept, retuned or retired, or why nobody can tell.

Put here words. Keep out every number that is estimated (`framework_review.py`).
"""

from dataclasses import dataclass
from math import isfinite

from milestones_dagster.evidence.chain import Comparison

_OUTCOME = {"activation": "activating", "retention": "staying"}


@dataclass(frozen=True)
class Facts:
    """What a sentence on a milestone may say; shares between 0 and 1, NaN where unknown."""

    milestone: str
    outcome: str
    reference: Comparison
    since: Comparison
    threshold: float
    pick: float
    moved_share: float
    minimum_effect: float


def sentence(facts: Facts, proposal: str, *, is_weakened: bool) -> str:
    """Return the reason of a proposal in a sentence."""
    now, before = _points(facts.since), _points(facts.reference)
    goes_with = f"{facts.milestone} goes with {_OUTCOME[facts.outcome]}"
    if proposal == "cannot tell":
        return f"Cannot tell: {_too_few(facts)}."
    if proposal == "retire":
        words = f"Retire: {goes_with} by {now} alone, certainly less than {facts.minimum_effect * 100:g} points"
    elif proposal == "retune":
        words = (
            f"Retune: {facts.pick:g} in the place of {facts.threshold:g} divides who stays from who leaves better on accounts that "
            f"did not choose it, and would move {facts.moved_share:.0%} of them"
        )
    else:
        words = f"Keep: {goes_with} by {now} since" + ("" if is_weakened else f", not shown to be less than before ({before})")
    if is_weakened:
        words += f"; it has weakened, from {before}"
    return f"{words}."


def note(facts: Facts, *, is_dated: bool) -> str:
    """Return which rows are compared, and that it is no proof of a cause."""
    if not facts.reference.accounts and not facts.since.accounts:
        return "No account's outcome is known yet."
    since = (
        "Since is from `review.adopted_on` on"
        if is_dated
        else "The config names no `review.adopted_on`: the later half of the accounts is compared with the earlier one"
    )
    alike = "Gaps compare accounts alike in plan and size; that the milestone causes what goes with it is not shown"
    return f"{since}; reference and since are different accounts. {alike}."


def _too_few(facts: Facts) -> str:
    if not facts.since.accounts and not facts.reference.accounts:
        return "no account's outcome is known yet"
    name, part = ("since", facts.since) if facts.since.trust == "interview" else ("before", facts.reference)
    if not isfinite(part.detectable):
        return f"the {part.accounts:,} accounts {name} have nobody alike on the other side to be compared with"
    return f"the {part.accounts:,} accounts {name} would show no gap below {part.detectable * 100:.0f} points"


def _points(found: Comparison) -> str:
    low, high = float(found.effect.lower) * 100, float(found.effect.upper) * 100
    return f"{float(found.effect.estimate) * 100:+.1f} points ({low:+.1f} to {high:+.1f})"
