"""Defines whether the framework still holds: what has weakened, what another threshold would do better, what to retire.

Put here the tests of the review and the proposal that follows from them. Keep out the words (`review_notes.py`), what is
watched without an alarm beside the milestones (`framework_watch.py`), and any change: the review proposes, people decide.

Alarms are two families, `weakened` at a family-wise error rate of 3 % and `retune` at 2 % (Holm 1979), so that a framework
under which nothing has changed raises any of them in at most 5 % of reviews.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import hypot, isfinite, nan
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import Z_95, holm
from milestones_dagster.evidence.chain import Comparison, against_the_grain, compare
from milestones_dagster.evidence.review_notes import Facts, note, sentence
from milestones_dagster.evidence.threshold_gains import LEAST_MOVED, gains, low_end
from milestones_dagster.evidence.threshold_resamples import stability
from milestones_dagster.evidence.threshold_search import Rows, Search, halves
from milestones_dagster.evidence.thresholds import effect, no_signal

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework, ThresholdSearch

Proposal = Literal["keep", "retune", "retire", "cannot tell"]

MILESTONES: Final = (("setup", "activation"), ("activation", "retention"), ("usage", "retention"), ("maturity", "retention"))
"""Each milestone with the outcome that its gap is measured by."""

TUNABLE: Final = ("activation", "usage")
WEAKENED_LEVEL: Final = 0.03
RETUNE_LEVEL: Final = 0.02
"""Family-wise error rates of the two alarms, 5 % together: uneven, because `weakened` divides its own among four (ADR 0017)."""

RESAMPLES: Final = 2_000
"""Draws whose share without a gain raises an alarm: its first step, 1 %, is twenty draws from the end."""

LEAST_QUARTERS: Final = 3


@dataclass(frozen=True)
class Weakening:
    """Gap of the reference rows less that of the rows since: estimate, lower one-sided 97.5 % bound, one-sided p; NaN unknown."""

    estimate: float = nan
    low: float = nan
    p: float = nan


@dataclass(frozen=True)
class Retuning:
    """The value that the earlier half of the rows since picks, and what it gains on their later half; NaN unknown.

    Attributes:
        pick, pick_low, pick_high: the pick and its stability interval.
        later_accounts: accounts on which the gain is measured.
        gain: √χ² at the pick less √χ² at the value in force.
        gain_low: its lower one-sided 97.5 % bound over resampled accounts.
        p: share of resamples without a gain.
        is_signal: the later half confirms the pick, so that `auto` would take it.
        moved: accounts that would change sides, among all rows since; `moved_share`, their share.
    """

    pick: float = nan
    pick_low: float = nan
    pick_high: float = nan
    later_accounts: int = 0
    gain: float = nan
    gain_low: float = nan
    p: float = nan
    is_signal: bool = False
    moved: int = 0
    moved_share: float = nan


@dataclass(frozen=True)
class Slope:
    """Change of the gap per calendar quarter of the landmark, with its 95 % interval; NaN with fewer than 3 quarters."""

    quarters: int
    estimate: float = nan
    low: float = nan
    high: float = nan


def table(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return `review` of `frame`, the links of the four milestones, with the version of the framework that it is of.

    Args:
        frame: as for `review`, and version and adopted_at, the same on every row; a row without a milestone tells these alone.
        framework: its threshold_search and evidence are read.
        also: no further tables.
    """
    del also
    adopted_at = pd.to_datetime(frame["adopted_at"]).iloc[0]
    rows = frame.loc[frame["milestone"].notna()]
    made = review(
        rows,
        framework.threshold_search,
        minimum_effect=float(framework.evidence.minimum_effect),
        adopted_at=None if pd.isna(adopted_at) else adopted_at,
    )
    return made.assign(version=frame["version"].iloc[0], adopted_at=adopted_at)


def review(
    frame: pd.DataFrame, config: "ThresholdSearch", *, minimum_effect: float, adopted_at: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return one row per milestone: its gap before and since the adopted version, the alarms, the proposal and its reason.

    Rows since are those whose landmark lies at or after `adopted_at`, the reference those before it; without a date the
    later half of the accounts (whole months of the landmark, cut nearest to half) against the earlier one. An account has
    one row per milestone, so that the two are different accounts.

    * `is_weakened`: the adjusted gap (Mantel–Haenszel over plan × size, Sato's variance) since lies below that of the
      reference, one-sided; Holm over the milestones that can be tested, at 3 %.
    * `is_retune` (activation, usage): the value picked on the earlier half of the rows since gains on their later half,
      one-sided over resampled accounts; Holm over the two at 2 %; the later half confirms it, so that `auto` would take it;
      and at least 5 % of the accounts would move.
    * `proposal`, the first that applies: `cannot tell` (trust of the gap since is `interview`), `retire` (its upper 95 %
      bound lies below `minimum_effect` with trust `statistical`), `retune`, `cannot tell` (trust of the reference is
      `interview`, so that weakening cannot be seen), `keep`.

    Args:
        frame: one row per milestone and account: milestone, account_id, account_key, observed_at (landmark), standing (`row`
            is compared), plan, size_stratum, mrr, value and threshold (missing for setup), is_reached, is_next.
        config: reach and candidates of the search, resamples of its stability interval, seed.
        minimum_effect: gap below which a milestone is not worth keeping; 0.01 is one point.
        adopted_at: when the version in force was adopted, UTC.

    Raises:
        ValueError: an account has two rows of a milestone.
    """
    parts = [_cut(frame, milestone, adopted_at) for milestone, _ in MILESTONES]
    gaps = [(compare(reference, None), compare(since, None)) for reference, since in parts]
    weakenings = [weakening(reference, since) for reference, since in gaps]
    retunings = [
        retuning(since, config) if milestone in TUNABLE and gap.trust != "interview" else Retuning()
        for (milestone, _), (_, since), (_, gap) in zip(MILESTONES, parts, gaps, strict=True)
    ]
    weakened = holm([found.p for found in weakenings])
    retuned = holm([found.p for found in retunings])
    rows = []
    for number, (milestone, outcome) in enumerate(MILESTONES):
        (reference, since), (before, now) = parts[number], gaps[number]
        tuned = retunings[number]
        is_retune = bool(retuned[number] <= RETUNE_LEVEL and tuned.is_signal and tuned.moved_share >= LEAST_MOVED)
        is_weakened = bool(weakened[number] <= WEAKENED_LEVEL)
        trend = slope(pd.concat([reference, since]))
        thresholds = pd.to_numeric(since["threshold"]).dropna()
        threshold = float(thresholds.iloc[0]) if len(thresholds) else nan
        proposal = propose(before, now, minimum_effect, is_retune=is_retune)
        facts = Facts(milestone, outcome, before, now, threshold, tuned.pick, tuned.moved_share, minimum_effect)
        rows.append(
            {
                "milestone": milestone,
                "position": number + 1,
                "outcome": outcome,
                "proposal": proposal,
                "reason": sentence(facts, proposal, is_weakened=is_weakened),
                "is_weakened": is_weakened,
                "is_retune": is_retune,
                "threshold": threshold,
                "since_from": since["observed_at"].min() if len(since) else pd.NaT,
                **_gap("reference_", before),
                **_gap("", now),
                "weakened_by": weakenings[number].estimate,
                "weakened_by_low": weakenings[number].low,
                "weakened_p": weakenings[number].p,
                "weakened_holm_p": weakened[number],
                "pick": tuned.pick,
                "pick_low": tuned.pick_low,
                "pick_high": tuned.pick_high,
                "later_accounts": tuned.later_accounts,
                "gain": tuned.gain,
                "gain_low": tuned.gain_low,
                "gain_p": tuned.p,
                "gain_holm_p": retuned[number],
                "is_signal": tuned.is_signal,
                "moved_accounts": tuned.moved,
                "moved_share": tuned.moved_share,
                "quarters": trend.quarters,
                "slope": trend.estimate,
                "slope_low": trend.low,
                "slope_high": trend.high,
                "interview_account_ids": against_the_grain(since) if now.trust == "interview" else None,
                "note": note(facts, is_dated=adopted_at is not None),
            }
        )
    made = pd.DataFrame(rows)
    made["since_from"] = pd.to_datetime(made["since_from"])
    return made


def is_since(observed_at: pd.Series, adopted_at: pd.Timestamp | None) -> NDArray[np.bool_]:
    """Return which rows are of the version in force: observed at or after its adoption; without a date the later half.

    The half is of whole calendar months, cut nearest to half of the rows.
    """
    observed = pd.to_datetime(observed_at)
    if adopted_at is not None:
        return np.asarray(observed >= adopted_at, dtype=np.bool_)
    return ~halves(observed.to_numpy(dtype="datetime64[M]").astype("datetime64[D]"))


def weakening(reference: Comparison, since: Comparison) -> Weakening:
    """Return by how much the gap has fallen between two sets of different accounts; NaN where one decides nothing."""
    if "interview" in {reference.trust, since.trust}:
        return Weakening()
    from scipy.special import ndtr

    error = hypot(_error(reference), _error(since))
    fallen = float(reference.effect.estimate) - float(since.effect.estimate)
    if not error > 0:
        return Weakening(fallen)
    return Weakening(fallen, fallen - Z_95 * error, float(ndtr(-fallen / error)))


def retuning(since: pd.DataFrame, config: "ThresholdSearch") -> Retuning:
    """Return what another threshold would gain: picked on the earlier half of the rows since, measured on the later one."""
    compared = since.assign(
        retained=since["is_next"], cohort_month=pd.to_datetime(since["observed_at"]).dt.to_period("M").dt.start_time
    )
    rows = Rows.of(compared)
    threshold = float(pd.to_numeric(since["threshold"]).iloc[0])
    is_earlier = halves(rows.cohort_months)
    earlier, later = rows.where(is_earlier), rows.where(~is_earlier)
    if not later.size:
        return Retuning()
    search = Search(earlier, config.reach, config.candidates)
    pick = search.pick
    if not isfinite(pick):
        return Retuning(later_accounts=later.size)
    stable = stability(search, config.resamples, config.seed)
    moved = (rows.value >= pick) != (rows.value >= threshold)
    picked, held = later.value >= pick, later.value >= threshold
    drawn = gains(later, picked, held, RESAMPLES, config.seed)
    return Retuning(
        pick=pick,
        pick_low=stable.low,
        pick_high=stable.high,
        later_accounts=later.size,
        gain=_root(later, pick) - _root(later, threshold),
        gain_low=low_end(drawn),
        # the added one keeps the p of a bound that no draw has reached above 0
        p=(1 + float((drawn <= 0).sum())) / (1 + drawn.size),
        is_signal=no_signal(search.candidates.size, pick, effect(later, pick)) is None,
        moved=int(moved.sum()),
        moved_share=float(moved.mean()),
    )


def propose(reference: Comparison, since: Comparison, minimum_effect: float, *, is_retune: bool) -> Proposal:
    """Return the first proposal that applies, as `review` says."""
    if since.trust == "interview":
        return "cannot tell"
    if since.trust == "statistical" and float(since.effect.upper) < minimum_effect:
        return "retire"
    if is_retune:
        return "retune"
    return "cannot tell" if reference.trust == "interview" else "keep"


def slope(rows: pd.DataFrame) -> Slope:
    """Return the slope of the adjusted gap over calendar quarters of the landmark: least squares, weighted by precision.

    Quarters whose trust is `interview` decide nothing and are left out.
    """
    quarter = pd.to_datetime(rows["observed_at"]).dt.to_period("Q")
    found = [
        (period.year * 4 + period.quarter, float(gap.effect.estimate), _error(gap)) for period, gap in _by_quarter(rows, quarter)
    ]
    known = np.array([each for each in found if each[2] > 0], dtype=np.float64).reshape(-1, 3)
    if len(known) < LEAST_QUARTERS:
        return Slope(len(known))
    when, gap, weight = known[:, 0], known[:, 1], known[:, 2] ** -2
    centred = when - np.average(when, weights=weight)
    spread = float((weight * centred**2).sum())
    estimate = float((weight * centred * gap).sum()) / spread
    half_width = Z_95 / spread**0.5
    return Slope(len(known), estimate, estimate - half_width, estimate + half_width)


def _by_quarter(rows: pd.DataFrame, quarter: pd.Series) -> Iterator[tuple[pd.Period, Comparison]]:
    for period, part in rows.groupby(quarter, sort=True):
        gap = compare(part, None)
        if gap.trust != "interview":
            yield pd.Period(str(period), freq="Q"), gap


def _cut(frame: pd.DataFrame, milestone: str, adopted_at: pd.Timestamp | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the compared rows of a milestone, those of the reference and those since."""
    rows = frame.loc[(frame["milestone"] == milestone) & (frame["standing"] == "row")]
    if rows["account_key"].duplicated().any():
        raise ValueError(f"{milestone}: an account has more than one row; reference and rows since must be different accounts")
    rows = rows.sort_values("account_key", ignore_index=True)
    since = is_since(rows["observed_at"], adopted_at)
    return rows.loc[~since], rows.loc[since]


def _gap(prefix: str, found: Comparison) -> dict[str, object]:
    return {
        f"{prefix}accounts": found.accounts,
        f"{prefix}reached_accounts": found.reached,
        f"{prefix}gap": float(found.effect.estimate),
        f"{prefix}gap_low": float(found.effect.lower),
        f"{prefix}gap_high": float(found.effect.upper),
        f"{prefix}detectable": found.detectable,
        f"{prefix}trust": found.trust,
    }


def _error(found: Comparison) -> float:
    return (float(found.effect.upper) - float(found.effect.lower)) / (2 * Z_95)


def _root(rows: Rows, value: float) -> float:
    from milestones_dagster.evidence.association import at_or_above, cmh

    root = float(cmh(at_or_above(rows.value, [value], rows.retained, rows.strata)).signed_root[0])
    return root if isfinite(root) else 0.0
