"""Defines whether a threshold hangs on how the question was put: `measure`.

Put here the variants of the comparison, what it means that the threshold holds in one, and the sentence. Keep out who is
compared in a variant (`threshold_variants`) and how a value is picked and measured (`thresholds.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from milestones_dagster.evidence.thresholds import LEAST_CANDIDATES, effect, prepared

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework, ThresholdSearch

MILESTONES: Final = ("activation", "usage")
MAIN: Final = "main"

_MONTH_SECONDS: Final = 31 * 86_400
_GAP_SECONDS: Final = 30 * 86_400


@dataclass(frozen=True)
class Main:
    """The threshold that a variant is held against: its stability interval and its gap; NaN where there is none."""

    low: float
    high: float
    difference: float
    trust: str


def measure(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per milestone and variant: pick on the earlier half, gap on the later half, and whether it holds.

    A variant *holds* where its adjusted gap has the sign of the main one's and its pick lies inside the main pick's
    stability interval, ends included. It cannot be told, and counts neither way, where it has fewer than 3 candidates,
    no pick, or trust `interview`, or where the main comparison has no pick or trust `interview` itself.

    Args:
        frame: `threshold_variants`, the variants whose landmark or outcome is another.
        framework: its retention, activation window and `threshold_search` are read.
        also: `activation_landmarks`, `activation_threshold`, `usage_landmarks`, `usage_threshold`; the variants that
            take other accounts of the same comparison are drawn from the landmarks.
    """
    rows: list[dict[str, object]] = []
    for milestone in MILESTONES:
        landmarks = also[f"{milestone}_landmarks"]
        found = also[f"{milestone}_threshold"].iloc[0]
        main = Main(float(found["pick_low"]), float(found["pick_high"]), float(found["difference"]), str(found["trust"]))
        of_milestone = frame.loc[frame["milestone"] == milestone].assign(standing="row")
        parts = [(MAIN, landmarks), *_variants(of_milestone, landmarks, milestone, framework)]
        made = [_row(part, variant, main, framework.threshold_search) for variant, part in parts]
        sentence = _sentence(milestone, made, framework)
        rows += ({"milestone": milestone, "position": place, **row, "sentence": sentence} for place, row in enumerate(made))
    return pd.DataFrame(rows)


def _variants(
    frame: pd.DataFrame, landmarks: pd.DataFrame, milestone: str, framework: "Framework"
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the variants that apply, those without an account too, in their order."""
    for variant in _outcome_variants(milestone, framework):
        yield variant, frame.loc[frame["variant"] == variant]
    is_locked = landmarks["standing"] == "locked"
    if is_locked.any():
        yield "locked accounts in", landmarks.assign(standing=landmarks["standing"].where(~is_locked, "row"))
    compared = landmarks.loc[landmarks["standing"] == "row"]
    plans = sorted(compared["plan"].dropna().unique())
    if len(plans) > 1:
        for plan in plans:
            yield f"without plan {plan}", compared.loc[compared["plan"] != plan]
    cohort_years = pd.to_datetime(compared["cohort_month"]).dt.year
    years = sorted(cohort_years.unique())
    if len(years) > 1:
        for year in years:
            yield f"cohorts of {year}", compared.loc[cohort_years == year]


def _outcome_variants(milestone: str, framework: "Framework") -> Iterator[str]:
    """Yield the names of the variants whose landmark or outcome is another and that this config lets vary."""
    retention, window = framework.outcomes.retention, framework.activation.window
    if retention.window is None:
        yield "horizon doubled"
        if milestone == "activation":
            if window.months > 1 or window.seconds > _MONTH_SECONDS:
                yield "landmark a month earlier"
            yield "landmark a month later"
    if retention.basis == "subscriptions":
        yield "gaps of 0 d bridged"
        if retention.gap.seconds != _GAP_SECONDS:
            yield "gaps of 30 d bridged"


def _row(frame: pd.DataFrame, variant: str, main: Main, config: "ThresholdSearch") -> dict[str, object]:
    made = prepared(frame, config)
    candidates = 0 if made.search is None else made.search.candidates.size
    pick = nan if made.search is None else made.search.pick
    found = effect(made.later, pick)
    holds, reason = (None, None) if variant == MAIN else _holds(candidates, pick, found.difference, found.trust, main)
    return {
        "variant": variant,
        "rows": made.rows.size,
        "accounts": made.rows.size,
        "earlier_accounts": made.earlier.size,
        "later_accounts": made.later.size,
        "candidates": candidates,
        "pick": pick,
        "difference": found.difference,
        "difference_low": found.difference_low,
        "difference_high": found.difference_high,
        "p": found.p,
        "trust": found.trust,
        "holds": holds,
        "reason": reason,
    }


def _holds(candidates: int, pick: float, difference: float, trust: str, main: Main) -> tuple[bool | None, str | None]:
    """Return whether the threshold holds in a variant, and why not; None where it cannot be told."""
    if not np.isfinite(main.low) or not np.isfinite(main.difference):
        return None, "the main comparison has no pick or no gap"
    if main.trust == "interview":
        return None, "trust of the main comparison is interview"
    if candidates < LEAST_CANDIDATES:
        return None, "fewer than 3 candidates"
    if not np.isfinite(pick):
        return None, "no candidate goes with staying"
    if trust == "interview":
        return None, "trust is interview"
    if np.sign(difference) != np.sign(main.difference):
        return False, "the gap has another sign"
    if not main.low <= pick <= main.high:
        return False, f"the pick lies outside {main.low:g} to {main.high:g}"
    return True, None


def _sentence(milestone: str, rows: list[dict[str, object]], framework: "Framework") -> str:
    """Return in how many variants the threshold holds, and which variants the config rules out."""
    held = [row["holds"] for row in rows if row["variant"] != MAIN]
    told = [is_held for is_held in held if is_held is not None]
    sentences = [f"The threshold of {milestone} holds in {sum(map(bool, told))} of {len(told)} variants."]
    if len(told) < len(held):
        sentences.append(f"{len(held) - len(told)} more cannot be told.")
    if framework.outcomes.retention.window is not None:
        sentences.append("The outcome is a fixed window after the start, so that neither horizon nor landmark varies.")
    if framework.outcomes.retention.basis == "activity":
        sentences.append("Without subscriptions there is no gap to bridge and nobody is locked.")
    return " ".join(sentences)
