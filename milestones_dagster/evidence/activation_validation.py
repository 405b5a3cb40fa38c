"""Defines whether activated accounts go on using the product, and stay, more than the others do.

Put here the comparison after the landmark L: who is compared, its tables, whom to talk to. Keep out curves and tests
(`survival.py`), two by two tables (`association.py`) and sentences (`activation_words.py`). Behaviour lies before L, the
outcome after it, and both groups are followed for the same time. An account that is dormant at L is in neither group of
the time to dormancy: what came before L is no outcome after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence import association
from milestones_dagster.evidence.activation_words import Facts, note, sentence
from milestones_dagster.evidence.association import Interval
from milestones_dagster.evidence.splits import drawn
from milestones_dagster.evidence.survival import (
    HazardRatio,
    MeanDifference,
    Test,
    hazard_ratio,
    kaplan_meier,
    restricted_mean_difference,
    stratified_logrank,
)
from milestones_dagster.evidence.threshold_search import halves

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework, ThresholdSearch

_Floats = NDArray[np.float64]
_Booleans = NDArray[np.bool_]
_Numbers = NDArray[np.intp]

ALL: Final = "all"
ENDED: Final = "dormant_or_left"
USAGE: Final = "usage"
LEAST_USAGE_MONTHS: Final = 2
GRID_DAYS: Final = 7
MOST_TO_TALK_TO: Final = 20
SECONDS_PER_DAY: Final = 86_400


@dataclass(frozen=True)
class Followed:
    """Accounts from L on, sorted by key, one row each; every array has shape (rows,).

    Attributes:
        account_id, mrr: mrr is NaN where unknown.
        activated: the count before L is at or above the threshold.
        plan, size: level numbers at L, unknown being a level.
        cohort: quarter of the tenure's first month, as `2025-Q1`.
        is_dormant_before: dormant at L already.
        duration: days from L to dormant-or-left, or to where the account is no longer followed.
        ended: dormant-or-left ended the duration, else it is censored.
        has_left: what ended it was leaving.
        horizon: days from L to the end of the outcome's window.
        usage_months: months of three that reached usage, NaN while they have not all ended.
    """

    account_id: NDArray[np.object_]
    mrr: _Floats
    activated: _Booleans
    plan: _Numbers
    size: _Numbers
    cohort: NDArray[np.object_]
    is_dormant_before: _Booleans
    duration: _Floats
    ended: _Booleans
    has_left: _Booleans
    horizon: _Floats
    usage_months: _Floats

    @property
    def stratum(self) -> _Numbers:
        """Number of the plan × size stratum of each row."""
        return np.asarray(self.plan * (int(self.size.max(initial=0)) + 1) + self.size)

    def where(self, kept: _Booleans) -> "Followed":
        """Return the rows where `kept`; levels keep their numbers."""
        return Followed(**{name: values[kept] for name, values in vars(self).items()})

    @property
    def awake(self) -> "Followed":
        """The rows that were not dormant at L."""
        return self.where(~self.is_dormant_before)

    @property
    def horizon_days(self) -> int:
        """Whole days that every row's outcome window lasts at least: calendar months differ in length."""
        return floor(self.horizon.min()) if self.horizon.size else 0


def followed(frame: pd.DataFrame, threshold: float, config: "ThresholdSearch", *, is_later_half: bool) -> Followed:
    """Return the accounts that are compared, sorted by key.

    Args:
        frame: rows of `activation_follow_up`, in any order.
        threshold: of the count before L; NaN, and nobody is compared.
        config: how many accounts are read at most, and the seed of the hash that draws them, as the search does.
        is_later_half: only the later half, in whole cohort months, of the accounts on which a threshold is sought; for
            a threshold that the earlier half has chosen.
    """
    ordered = frame.sort_values("account_key", ignore_index=True)
    if len(ordered) > config.maximum_accounts:
        kept = drawn(ordered["account_key"].to_numpy(dtype=np.int64), config.maximum_accounts, config.seed)
        ordered = ordered.loc[kept].reset_index(drop=True)
    if is_later_half:
        ordered = ordered.loc[~halves(ordered["cohort_month"].to_numpy(dtype="datetime64[D]"))].reset_index(drop=True)
    if not np.isfinite(threshold):
        ordered = ordered.iloc[:0]
    ends = ordered["ended_at"].fillna(ordered["followed_to"])
    months = pd.to_datetime(ordered["cohort_month"])
    return Followed(
        account_id=ordered["account_id"].to_numpy(dtype=np.object_),
        mrr=ordered["mrr"].to_numpy(dtype=np.float64, na_value=nan),
        activated=ordered["value"].to_numpy(dtype=np.float64) >= threshold,
        plan=_levels(ordered["plan"]),
        size=_levels(ordered["size_stratum"]),
        cohort=np.array([f"{month.year}-Q{month.quarter}" for month in months], dtype=np.object_),
        is_dormant_before=ordered["is_dormant_before"].to_numpy(dtype=np.bool_),
        duration=_days(ends - ordered["observed_at"]),
        ended=ordered["ended_at"].notna().to_numpy(dtype=np.bool_),
        has_left=(ordered["left_at"].notna() & (ordered["left_at"] <= ends)).to_numpy(dtype=np.bool_),
        horizon=_days(ordered["horizon_at"] - ordered["observed_at"]),
        usage_months=ordered["usage_months"].to_numpy(dtype=np.float64, na_value=nan),
    )


def validation(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what goes with activation after L, by outcome, for all accounts and for cohorts large enough.

    Outcomes: `dormant_or_left`, the time from L to the earlier of the two; `usage`, reached in at least 2 of the 3 whole
    calendar months after L, left being not reached. Differences are Mantel–Haenszel over plan × size (Sato's variance)
    beside the crude ones (Newcombe); nobody is censored before the horizon, so that survival there is a share. Restricted
    mean, log-rank and hazard ratio: see `survival.py`; the hazard ratio is given plan and size, its baseline stratified
    by cohort quarter. A cohort whose trust is `interview` has no row.

    Args:
        frame: rows of `activation_follow_up` and threshold, threshold_origin, seed, and how many accounts are in no
            group (left_before, locked), the same in every row.
        framework: the basis of retention, how many accounts are read and by which seed.
        also: no further tables.

    Raises:
        ValueError: an account is censored before the horizon.
    """
    del also
    threshold, is_later_half = _terms(frame)
    config = framework.threshold_search
    rows = followed(frame, threshold, config, is_later_half=is_later_half)
    sampled = (min(len(frame), config.maximum_accounts), len(frame))
    is_billed = framework.outcomes.retention.basis == "subscriptions"
    apart = _apart(frame)
    made = []
    for outcome, compare in ((ENDED, compare_ends), (USAGE, compare_usage)):
        found = [compare(rows, cohort) for cohort in (ALL, *sorted(set(rows.cohort)))]
        shown = [row for row in found if row["cohort"] == ALL or row["trust"] != "interview"]
        shown[0] |= apart
        for row in shown:
            facts = Facts.of(row, outcome, hidden=len(found) - len(shown), is_billed=is_billed, is_later_half=is_later_half)
            made.append({"outcome": outcome, **row, "sentence": sentence(facts), "note": note(facts, *sampled)})
    return pd.DataFrame(made).assign(threshold=threshold, is_later_half=is_later_half)


def curves(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the share neither dormant nor left by days since L, one row per group and week, while somebody is followed.

    Args:
        frame: as for `validation`.
        framework: how many accounts are read, and by which seed.
        also: no further tables.
    """
    del also
    threshold, is_later_half = _terms(frame)
    rows = followed(frame, threshold, framework.threshold_search, is_later_half=is_later_half).awake
    made = [_curve(rows.where(rows.activated), "activated"), _curve(rows.where(~rows.activated), "not_activated")]
    return pd.concat(made, ignore_index=True)


def _curve(rows: Followed, group: str) -> pd.DataFrame:
    last = float(rows.duration.max(initial=-1.0))
    days = np.arange(0, last + 1e-9, GRID_DAYS)
    curve = kaplan_meier(rows.duration, rows.ended, days.tolist(), np.arange(rows.duration.size))
    return pd.DataFrame(
        {
            "group_name": group,
            "day": days.astype(np.int64),
            "at_risk": curve.at_risk,
            "events": curve.events,
            "survival": curve.survival.estimate,
            "survival_low": curve.survival.lower,
            "survival_high": curve.survival.upper,
        }
    )


def compare_ends(rows: Followed, cohort: str) -> dict[str, object]:
    """Return the row of the time to dormant-or-left, of one cohort quarter or of `all`."""
    whole = rows if cohort == ALL else rows.where(rows.cohort == cohort)
    compared = whole.awake
    days = compared.horizon_days
    if (~compared.ended & (compared.duration < days)).any():
        raise ValueError("an account is censored before the horizon; only accounts whose outcome window has elapsed are compared")
    stays = ~(compared.ended & (compared.duration <= days))
    groups, stratum = compared.activated, compared.stratum
    row = {
        **_shares(compared, stays, cohort),
        "left_out": int(whole.is_dormant_before.sum()),
        "left_out_activated": int((whole.is_dormant_before & whole.activated).sum()),
        "ended": int(compared.ended.sum()),
        "ended_by_leaving": int((compared.ended & compared.has_left).sum()),
        "horizon_days": days,
        "activated_mean_days": _mean(np.minimum(compared.duration[groups], days)),
        "other_mean_days": _mean(np.minimum(compared.duration[~groups], days)),
        **_triple("mean_days_difference", restricted_mean_difference(compared.duration, groups, stratum, days)),
        **_triple(
            "crude_mean_days_difference", restricted_mean_difference(compared.duration, groups, np.zeros_like(stratum), days)
        ),
    }
    test = stratified_logrank(compared.duration, compared.ended, groups, stratum)
    quarters = np.unique(compared.cohort.astype(str), return_inverse=True)[1].astype(np.intp)
    ratio = hazard_ratio(compared.duration, compared.ended, groups, [compared.plan, compared.size], quarters)
    return row | _hazards(test, ratio)


def compare_usage(rows: Followed, cohort: str) -> dict[str, object]:
    """Return the row of usage reached in at least 2 of 3 months, of one cohort quarter or of `all`."""
    whole = rows if cohort == ALL else rows.where(rows.cohort == cohort)
    is_known = np.isfinite(whole.usage_months)
    compared = whole.where(is_known)
    return {
        **_shares(compared, compared.usage_months >= LEAST_USAGE_MONTHS, cohort),
        "left_out": int((~is_known).sum()),
        "left_out_activated": int((~is_known & whole.activated).sum()),
    } | _hazards(Test(), HazardRatio())


def _shares(rows: Followed, reached: _Booleans, cohort: str) -> dict[str, object]:
    """Return counts, shares, differences and trust of a yes-or-no outcome by group."""
    tables = association.tabulate(rows.activated, reached, rows.stratum)
    a, b, c, d = (int(cell) for cell in tables.crude)
    did, others = a + b, c + d
    pooled = (a + c) / rows.activated.size if rows.activated.size else nan
    detectable = float(association.detectable_difference(did, others, pooled))
    trust = association.trust(detectable, pooled)
    return {
        "cohort": cohort,
        "trust": trust,
        "detectable_difference": detectable,
        "accounts": did + others,
        "activated": did,
        "not_activated": others,
        **_triple("activated_share", association.wilson(a, did)),
        **_triple("other_share", association.wilson(c, others)),
        **_triple("difference", association.mantel_haenszel(tables).risk_difference),
        **_triple("crude_difference", association.newcombe(a, did, c, others)),
        "talk_to": _talk_to(rows, reached) if trust == "interview" else None,
    }


def _hazards(test: Test, ratio: HazardRatio) -> dict[str, object]:
    return {
        "logrank_chi2": test.statistic,
        "logrank_p": test.p,
        **_triple("hazard_ratio", Interval(*(np.asarray(value) for value in (ratio.ratio, ratio.lower, ratio.upper)))),
        "hazard_p": ratio.p,
        "proportional_p": ratio.proportional_p,
        "hazard_reason": ratio.reason or None,
    }


def _talk_to(rows: Followed, reached: _Booleans) -> str | None:
    """Return the accounts against the grain, largest MRR first (unknown last), then by name."""
    against = np.flatnonzero(rows.activated != reached)
    ranked = sorted(against, key=lambda row: (-np.nan_to_num(rows.mrr[row], nan=-np.inf), str(rows.account_id[row])))
    return ", ".join(str(rows.account_id[row]) for row in ranked[:MOST_TO_TALK_TO]) or None


def _terms(frame: pd.DataFrame) -> tuple[float, bool]:
    """Return the threshold, and whether the later half alone is compared."""
    if frame.empty:
        return nan, False
    threshold = frame["threshold"].iloc[0]
    is_derived = frame["threshold_origin"].iloc[0] == "derived"
    return nan if pd.isna(threshold) else float(threshold), is_derived


def _apart(frame: pd.DataFrame) -> dict[str, object]:
    """Return how many accounts are in no group, by why, and the share of who left before L of them and the rows."""
    left, locked = (0, 0) if frame.empty else (int(frame[name].iloc[0]) for name in ("left_before", "locked"))
    return {"left_before": left, "left_before_share": left / (left + len(frame)) if left else nan, "locked": locked}


def _triple(name: str, found: Interval | MeanDifference) -> dict[str, float]:
    return {name: float(found.estimate), f"{name}_low": float(found.lower), f"{name}_high": float(found.upper)}


def _levels(values: pd.Series) -> _Numbers:
    """Return level numbers in the order of the names; a missing value is a level of its own, the last."""
    codes, names = pd.factorize(values.astype(object), sort=True)
    return np.where(codes < 0, len(names), codes).astype(np.intp)


def _days(times: pd.Series) -> _Floats:
    found: _Floats = (times.dt.total_seconds() / SECONDS_PER_DAY).to_numpy(dtype=np.float64)
    return found


def _mean(values: _Floats) -> float:
    return float(np.sort(values).mean()) if values.size else nan
