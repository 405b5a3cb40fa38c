"""Defines where a milestone's threshold lies by the data, and what that is worth on accounts that did not choose it.

Put here the tables of thresholds: the response curve and the one row about the pick. Keep out the search
(`threshold_search.py`), resampling (`threshold_resamples.py`) and words (`threshold_notes.py`). Retention goes with a
value at or above the threshold, among accounts of the same plan and size; that it is caused by it is not shown.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import (
    Trust,
    at_or_above,
    cmh,
    detectable_difference,
    mantel_haenszel,
    newcombe,
    phi,
    trust,
)
from milestones_dagster.evidence.splits import drawn
from milestones_dagster.evidence.threshold_notes import Counts, between, nearest, note
from milestones_dagster.evidence.threshold_resamples import Stability, response, stability
from milestones_dagster.evidence.threshold_search import Rows, Search, halves

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework, ThresholdSearch

_Floats = NDArray[np.float64]

LEAST_CANDIDATES = 3
SIGNIFICANT = 0.05

CURVE_COLUMNS = (
    "value",
    "is_candidate",
    "is_pick",
    "accounts",
    "reach",
    "retained_above_share",
    "retained_below_share",
    "risk_difference",
    "lift",
    "ppv",
    "npv",
    "sensitivity",
    "specificity",
    "youden_j",
    "phi",
    "information_gain",
    "chi2",
    "is_positive",
    "band_accounts",
    "band_retained_share",
    "retention",
    "retention_low",
    "retention_high",
)


@dataclass(frozen=True)
class Effect:
    """Difference of retention, at or above a value less below it, on one set of accounts; NaN where it is unknown."""

    accounts_above: int
    accounts_below: int
    retained_above_share: float
    retained_below_share: float
    difference: float
    difference_low: float
    difference_high: float
    crude_difference: float
    crude_difference_low: float
    crude_difference_high: float
    chi2: float
    p: float
    detectable: float
    trust: Trust


@dataclass(frozen=True)
class Prepared:
    """Rows that are compared, cut in two, and the search on the earlier ones."""

    rows: Rows
    earlier: Rows
    later: Rows
    search: Search | None
    left_out: int


def activation_curve(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the `curve` of the activation count; `frame` is `activation_landmarks`."""
    del also
    return curve(frame, framework.threshold_search)


def usage_curve(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the `curve` of the usage ratio; `frame` is `usage_landmarks`."""
    del also
    return curve(frame, framework.threshold_search)


def activation(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the one row of `derived` for the activation count; `frame` is `activation_landmarks`."""
    del also
    return derived(
        frame, "activation", framework.activation.adopted, framework.threshold_search, caveats_of(framework, "activation")
    )


def usage(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the one row of `derived` for the usage ratio; `frame` is `usage_landmarks`."""
    del also
    return derived(frame, "usage", framework.usage.adopted, framework.threshold_search, caveats_of(framework, "usage"))


def curve(frame: pd.DataFrame, config: "ThresholdSearch") -> pd.DataFrame:
    """Return one row per candidate, ascending, after one for the accounts below them all; none without a candidate.

    What compares at or above with below is of the *earlier* half of the accounts, where the pick is sought: the
    largest of many, so that none of it measures an effect. The response (`band_…` and `retention…`: isotonic fit, 95 %
    band) is of all accounts. Information gain in bits. PPV is the share retained at or above, NPV the share not
    retained below; lift is PPV over the share retained of all; Youden's J is shown and never chosen by.

    Args:
        frame: account_key, cohort_month, standing, plan, size_stratum, value, retained; `standing` = row is read.
        config: reach, candidates, resamples, seed.
    """
    made = prepared(frame, config)
    if made.search is None or not made.search.candidates.size:
        return pd.DataFrame(columns=list(CURVE_COLUMNS))
    candidates = made.search.candidates
    places = candidates.size
    found = made.search.plain
    a, b, c, d = (cells[0, :places] for cells in found.tables.crude)
    n1, n0, reached, lost = a + b, c + d, a + c, b + d
    smooth = response(made.rows, candidates, config.resamples, config.seed)
    result = pd.DataFrame(
        {
            "value": candidates,
            "is_candidate": True,
            "is_pick": candidates == made.search.pick,
            "accounts": made.earlier.size,
            "reach": n1 / (n1 + n0),
            "retained_above_share": a / n1,
            "retained_below_share": c / n0,
            "risk_difference": a / n1 - c / n0,
            "lift": _share(a / n1, reached / (n1 + n0)),
            "ppv": a / n1,
            "npv": d / n0,
            "sensitivity": _share(a, reached),
            "specificity": _share(d, lost),
            "youden_j": _share(a, reached) + _share(d, lost) - 1,
            "phi": phi(a, b, c, d),
            "information_gain": information_gain(a, b, c, d),
            "chi2": found.chi2[0, :places],
            "is_positive": found.direction[0, :places] > 0,
        }
    )
    lowest = pd.DataFrame({"value": [made.rows.value.min()], "is_candidate": [False], "is_pick": [False]})
    result = pd.concat([lowest.assign(accounts=made.earlier.size), result], ignore_index=True)
    result["is_positive"] = result["is_positive"].astype("boolean")
    result["band_accounts"] = smooth.rows.astype(np.int64)
    result["band_retained_share"] = smooth.share
    result["retention"] = smooth.fitted
    result["retention_low"] = smooth.low
    result["retention_high"] = smooth.high
    # the least value may lie in no band of its own when it is a candidate's value already
    return result.loc[result["is_candidate"] | (result["band_accounts"] > 0), list(CURVE_COLUMNS)].reset_index(drop=True)


def derived(
    frame: pd.DataFrame,
    milestone: str,
    adopted: float | None,
    config: "ThresholdSearch",
    caveats: tuple[str, ...] = (),
    q: float | None = None,
) -> pd.DataFrame:
    """Return one row: the pick, how stable it is, its effect on accounts that did not choose it, the adopted value beside.

    The pick has the largest Cochran–Mantel–Haenszel χ² in the positive direction (strata plan × size, no continuity
    correction; ties: the lowest value) on the earlier half of the accounts, in whole cohort months. On the later half
    alone: Mantel–Haenszel risk difference (Sato's variance) beside the crude one (Newcombe), test and trust.
    `is_signal` is false, with its `reason`, when there are fewer than 3 candidates, none in the positive direction, the
    adjusted difference is not above 0, p > .05, or trust is `interview`; `derived` is then missing.

    Args:
        frame: as for `curve`, and account_id and mrr.
        milestone: named in the row.
        adopted: the value in the config, None where there is none.
        config: reach, candidates, resamples, seed.
        caveats: sentences for the note.
        q: false discovery rate of the test over all that were asked together; it then judges in the place of p.
    """
    made = prepared(frame, config)
    search = made.search
    candidates = 0 if search is None else search.candidates.size
    pick = nan if search is None else search.pick
    stable = Stability(nan, nan, 0.0) if search is None else stability(search, config.resamples, config.seed)
    at_pick = effect(made.later, pick)
    at_adopted = effect(made.later, nan if adopted is None else adopted)
    reason = no_signal(candidates, pick, at_pick, q)
    chosen = pick if reason is None else nan
    is_sharp = bool(stable.low > 0 and stable.high <= 2 * stable.low)
    compared = frame.loc[frame["standing"] == "row"]
    moving = between(compared, pick, adopted)
    values = made.rows.value
    counts = Counts.of(frame, milestone, made.left_out)
    return pd.DataFrame(
        {
            "milestone": [milestone],
            "outcome": ["retained"],
            "rows": made.rows.size,
            "accounts": made.rows.size,
            "left_before": counts.left_before,
            "left_before_share": counts.left_before_share,
            "locked": counts.locked,
            "earlier_accounts": made.earlier.size,
            "earlier_to_month": [made.earlier.cohort_months.max() if made.earlier.size else None],
            "later_accounts": made.later.size,
            "candidates": candidates,
            "pick": pick,
            "pick_low": stable.low,
            "pick_high": stable.high,
            "picked_share": stable.picked_share,
            "is_sharp": is_sharp,
            "is_signal": reason is None,
            "reason": [reason],
            "derived": chosen,
            "adopted": nan if adopted is None else float(adopted),
            "reach": _reach(values, pick),
            "adopted_reach": _reach(values, nan if adopted is None else adopted),
            **_columns(at_pick, ""),
            "trust": at_pick.trust,
            **_columns(at_adopted, "adopted_"),
            "moved_accounts": len(moving.frame),
            "moved_share": len(moving.frame) / len(compared) if len(compared) else nan,
            "moved_towards": [moving.towards],
            "moved_account_ids": [moving.names],
            "interview_account_ids": [
                nearest(compared, pick if np.isfinite(pick) else adopted) if at_pick.trust == "interview" else None
            ],
            "note": note(counts, made.earlier, made.later, pick, stable, is_sharp, reason, caveats),
        }
    )


def effect(rows: Rows, value: float) -> Effect:
    """Return the difference of retention at `value` on these rows; all NaN, trust `interview`, without a value or rows."""
    if not rows.size or not np.isfinite(value):
        return Effect(0, 0, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, "interview")
    tables = at_or_above(rows.value, [value], rows.retained, rows.strata)
    a, b, c, d = (float(cell[0]) for cell in tables.crude)
    above, below, pooled = a + b, c + d, (a + c) / rows.size
    adjusted, crude, test = mantel_haenszel(tables).risk_difference, newcombe(a, above, c, below), cmh(tables)
    detectable = float(detectable_difference(above, below, pooled))
    return Effect(
        accounts_above=int(above),
        accounts_below=int(below),
        retained_above_share=a / above if above else nan,
        retained_below_share=c / below if below else nan,
        difference=float(adjusted.estimate[0]),
        difference_low=float(adjusted.lower[0]),
        difference_high=float(adjusted.upper[0]),
        crude_difference=float(crude.estimate),
        crude_difference_low=float(crude.lower),
        crude_difference_high=float(crude.upper),
        chi2=float(test.statistic[0]),
        p=float(test.p[0]),
        detectable=detectable,
        trust=trust(detectable, pooled),
    )


def no_signal(candidates: int, pick: float, later: Effect, q: float | None = None) -> str | None:
    """Return why nothing is derived, the first reason that applies; None where there is a signal."""
    if candidates < LEAST_CANDIDATES:
        return "fewer than 3 candidates"
    if not np.isfinite(pick):
        return "no candidate goes with staying"
    if later.trust == "interview":
        return "trust is interview"
    if not later.difference > 0:
        return "adjusted difference not above 0"
    if not (later.p if q is None else q) <= SIGNIFICANT:
        return "p above .05" if q is None else "q over the areas above .05"
    return None


def information_gain(a: _Floats, b: _Floats, c: _Floats, d: _Floats) -> _Floats:
    """Return by how many bits knowing the side of the threshold lowers the entropy of the outcome; cells as arrays."""
    total = a + b + c + d
    sides = (a + b) * _entropy(_share(a, a + b)) + (c + d) * _entropy(_share(c, c + d))
    # rounding must not make knowledge worth less than nothing
    gain: _Floats = np.maximum(_entropy((a + c) / total) - sides / total, 0.0)
    return gain


def prepared(frame: pd.DataFrame, config: "ThresholdSearch") -> Prepared:
    """Return the compared accounts (`standing` = row), cut in two halves, and the search on the earlier one."""
    compared = frame.loc[frame["standing"] == "row"]
    rows = Rows.of(compared)
    left_out = max(rows.size - config.maximum_accounts, 0)
    if left_out:
        rows = rows.where(drawn(rows.accounts, config.maximum_accounts, config.seed))
    is_earlier = halves(rows.cohort_months)
    earlier, later = rows.where(is_earlier), rows.where(~is_earlier)
    search = Search(earlier, config.reach, config.candidates) if earlier.size else None
    return Prepared(rows, earlier, later, search, left_out)


def _columns(found: Effect, prefix: str) -> dict[str, float | int]:
    """Return an effect as columns; only the pick's has trust."""
    return {f"{prefix}{name}": value for name, value in asdict(found).items() if name != "trust"}


def _reach(values: _Floats, value: float) -> float:
    return float((values >= value).mean()) if values.size and np.isfinite(value) else nan


def _share(part: _Floats, whole: _Floats) -> _Floats:
    share: _Floats = np.divide(part, whole, out=np.full(np.shape(part), nan), where=whole > 0)
    return share


def _entropy(share: _Floats) -> _Floats:
    """Return the entropy in bits of a yes-or-no quantity; 0 of 0 and 1."""
    inner = np.clip(share, np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg)
    bits: _Floats = -inner * np.log2(inner) - (1 - inner) * np.log2(1 - inner)
    return np.where((share > 0) & (share < 1), bits, 0.0)


def caveats_of(framework: "Framework", milestone: str) -> tuple[str, ...]:
    """Return what the config alone makes a reader of the row want to know."""
    found = []
    if framework.outcomes.retention.basis == "activity":
        found.append(
            "Without subscriptions nobody is seen to leave before the landmark: all accounts whose outcome window has "
            "elapsed are rows."
        )
    if milestone == "usage" and framework.usage.seats == "active_users":
        found.append("Seats are the users active in the month, so that the denominator depends on behaviour too.")
    return tuple(found)
