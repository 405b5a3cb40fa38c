"""Defines time until an event: curves with numbers at risk, their intervals, and how two groups differ.

Put here what knows durations, events and groups alone. Keep out what the event is and what follows from it. Durations
are days ≥ 0; an account whose event is not seen is censored at the end of its duration and counts up to then. Rows of
one account are dependent, so that every interval here is by account.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import Interval, wilson

_Floats = NDArray[np.float64]
_Booleans = NDArray[np.bool_]
_Numbers = NDArray[np.intp]

LEAST_EVENTS: Final = 10
"""Events in all below which no hazard ratio is fitted: fewer than ten make its interval meaningless."""


@dataclass(frozen=True)
class Curve:
    """Share without the event by day (Kaplan and Meier 1958), one entry per day asked for.

    Attributes:
        days: ascending.
        at_risk: rows without the event and still followed just before the day, so that duration ≥ day.
        events: events up to and including the day.
        survival: share without the event, with its 95 % interval; NaN where nobody is followed to the day and the
            curve has not reached 0 before.
    """

    days: _Floats
    at_risk: NDArray[np.int64]
    events: NDArray[np.int64]
    survival: Interval


@dataclass(frozen=True)
class Test:
    """A statistic distributed as χ² with 1 degree of freedom and its p; NaN where nothing can be compared."""

    statistic: float = nan
    p: float = nan


@dataclass(frozen=True)
class HazardRatio:
    """Hazard of the group over that of the others; NaN with the `reason` where it cannot be told.

    Attributes:
        ratio, lower, upper: with its 95 % interval (inverse information).
        p: two-sided, of the ratio.
        proportional_p: of the hypothesis that the ratio stays the same over time.
        reason: why there is none; empty where there is one.
    """

    ratio: float = nan
    lower: float = nan
    upper: float = nan
    p: float = nan
    proportional_p: float = nan
    reason: str = ""


@dataclass(frozen=True)
class MeanDifference:
    """Difference of two means in days with its 95 % interval; NaN where it cannot be told."""

    estimate: float = nan
    lower: float = nan
    upper: float = nan


def kaplan_meier(duration: _Floats, happened: _Booleans, days: Sequence[float], accounts: NDArray[np.int64]) -> Curve:
    """Return the Kaplan–Meier curve on a grid of days.

    The interval is Wilson's at the effective number of rows S(1 − S) / V (Rothman 1978), where V is the infinitesimal
    jackknife by account: for one row per account without censoring it is Greenwood's, and the interval Wilson's. At
    S = 1 the rows at risk that day, at S = 0 the events, are that number.

    Args:
        duration: shape (rows,), finite, ≥ 0.
        happened: the event ended the duration, else it is censored, shape (rows,).
        days: of the grid, ascending.
        accounts: of each row, shape (rows,).
    """
    from lifelines import KaplanMeierFitter

    grid = np.asarray(days, dtype=np.float64)
    at_risk = (duration[:, None] >= grid).sum(axis=0).astype(np.int64)
    events = ((duration[:, None] <= grid) & happened[:, None]).sum(axis=0).astype(np.int64)
    if not duration.size:
        return Curve(grid, at_risk, events, Interval(*(np.full(grid.size, nan) for _ in range(3))))
    fitted = KaplanMeierFitter().fit(duration, happened)
    share = fitted.survival_function_at_times(grid).to_numpy(dtype=np.float64)
    # nobody is followed so long, and the curve had not ended
    share[(at_risk == 0) & (share > 0)] = nan
    table = fitted.event_table.loc[fitted.event_table["observed"] > 0].reset_index()
    deaths = _Deaths(*(table[name].to_numpy(dtype=np.float64) for name in ("event_at", "observed", "at_risk")))
    variance = np.array([_variance(duration, happened, deaths, day, accounts) for day in grid]) * share**2
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = share * (1 - share) / variance
    effective = np.where(share == 1, at_risk, np.where(share == 0, events, effective))
    bounds = wilson(share * effective, effective)
    return Curve(grid, at_risk, events, Interval(share, np.minimum(bounds.lower, share), np.maximum(bounds.upper, share)))


@dataclass(frozen=True)
class _Deaths:
    """Distinct times of events, ascending, the events at each and the rows at risk just before."""

    times: _Floats
    events: _Floats
    at_risk: _Floats


def _variance(duration: _Floats, happened: _Booleans, deaths: _Deaths, day: float, accounts: NDArray[np.int64]) -> float:
    """Return the infinitesimal jackknife variance of log S(day), by account.

    The derivative of log S by a row's weight is −Σ (dN_i − Y_i d / Y) / (Y − d) over the times of events up to the day.
    """
    until = int(np.searchsorted(deaths.times, day, side="right"))
    events, at_risk = deaths.events[:until], deaths.at_risk[:until]
    if not until or at_risk[-1] == events[-1]:
        return nan
    own = 1 / (at_risk - events)
    shared = np.concatenate([[0.0], np.cumsum(events / (at_risk * (at_risk - events)))])
    passed = np.searchsorted(deaths.times[:until], duration, side="right")
    influence = shared[passed]
    is_event = happened & (duration <= day)
    influence[is_event] -= own[np.searchsorted(deaths.times[:until], duration[is_event])]
    by_account = np.bincount(np.unique(accounts, return_inverse=True)[1], weights=influence)
    return float((by_account**2).sum())


def stratified_logrank(duration: _Floats, happened: _Booleans, group: _Booleans, stratum: _Numbers) -> Test:
    """Return the log-rank test of two groups, observed less expected summed over the strata (Mantel 1966).

    Args:
        duration: shape (rows,), one row per account.
        happened: the event ended the duration, shape (rows,).
        group: shape (rows,).
        stratum: number of each row's stratum, shape (rows,).
    """
    from statsmodels.duration.survfunc import survdiff

    compares = np.isin(stratum, np.intersect1d(stratum[group], stratum[~group]))
    if not compares.any() or not happened[compares].any():
        return Test()
    statistic, p = survdiff(
        duration[compares], happened[compares].astype(np.int64), group[compares].astype(np.int64), strata=stratum[compares]
    )
    return Test(float(statistic), float(p)) if np.isfinite(statistic) else Test()


def hazard_ratio(
    duration: _Floats, happened: _Booleans, group: _Booleans, factors: Sequence[_Numbers], stratum: _Numbers
) -> HazardRatio:
    """Return the hazard ratio of a Cox regression, given the factors, with a baseline for each stratum.

    Ties by Efron. A level of a factor without any event has no hazard: its coefficient is minus infinity and its rows
    weigh nothing in any risk set, so that they are left out, which is the limit of the likelihood. Proportional hazards
    are tested by scaled Schoenfeld residuals against the rank of the time (Grambsch and Therneau 1994).

    Args:
        duration: shape (rows,), one row per account.
        happened: the event ended the duration, shape (rows,).
        group: shape (rows,).
        factors: level numbers of each categorical covariate, shape (rows,).
        stratum: number of each row's stratum, shape (rows,).
    """
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning
    from lifelines.statistics import proportional_hazard_test

    kept = _with_events(happened, factors)
    reason = _untellable(happened[kept], group[kept])
    if reason:
        return HazardRatio(reason=reason)
    frame = pd.DataFrame({"duration": duration[kept], "happened": happened[kept], "stratum": stratum[kept], "group": group[kept]})
    for number, levels in enumerate(factors):
        for level in np.unique(levels[kept])[1:]:
            frame[f"factor_{number}_{level}"] = levels[kept] == level
    frame = frame.astype({name: np.float64 for name in frame.columns if name != "stratum"})
    # equal times in another order of rows would add up to another last digit
    frame = frame.sort_values(list(frame.columns), ignore_index=True)
    fitter = CoxPHFitter()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitter.fit(frame, "duration", "happened", strata=["stratum"])
            found = fitter.summary.loc["group"]
            proportional = proportional_hazard_test(fitter, frame, time_transform="rank")
        except (ConvergenceError, ConvergenceWarning):
            return HazardRatio(reason="the regression does not converge")
    proportional_p = float(proportional.summary.loc["group", "p"])
    if not np.isfinite(proportional_p):
        return HazardRatio(reason="whether it stays the same over time cannot be tested")
    return HazardRatio(
        ratio=float(found["exp(coef)"]),
        lower=float(found["exp(coef) lower 95%"]),
        upper=float(found["exp(coef) upper 95%"]),
        p=float(found["p"]),
        proportional_p=proportional_p,
    )


def _with_events(happened: _Booleans, factors: Sequence[_Numbers]) -> _Booleans:
    """Return the rows in levels that have an event, looked for again until every level has one."""
    kept = np.ones(happened.size, dtype=np.bool_)
    while True:
        before = int(kept.sum())
        for levels in factors:
            kept &= np.isin(levels, np.unique(levels[kept & happened]))
        if int(kept.sum()) == before:
            return kept


def _untellable(happened: _Booleans, group: _Booleans) -> str:
    """Return why there can be no ratio; empty when there may."""
    if group.all() or not group.any():
        return "one of the groups is empty"
    if not happened[group].any() or not happened[~group].any():
        return "one of the groups has no event"
    if happened.sum() < LEAST_EVENTS:
        return f"fewer than {LEAST_EVENTS} events"
    return ""


def restricted_mean_difference(duration: _Floats, group: _Booleans, stratum: _Numbers, horizon: float) -> MeanDifference:
    """Return the difference of the restricted mean time up to the horizon, the group less the others, within strata.

    Nobody may be censored before the horizon: then each row's time up to it is known (and equals its pseudo-value,
    Andersen, Hansen and Klein 2004), and least squares on the group with an intercept per stratum weighs the strata's
    differences by n₁n₀/n, as Mantel and Haenszel do. Standard error HC3 (MacKinnon and White 1985), t with the residual
    degrees of freedom.

    Args:
        duration: shape (rows,), one row per account.
        group: shape (rows,).
        stratum: number of each row's stratum, shape (rows,).
        horizon: days.
    """
    from statsmodels.api import OLS

    compares = np.isin(stratum, np.intersect1d(stratum[group], stratum[~group]))
    levels, codes = np.unique(stratum[compares], return_inverse=True)
    if not levels.size or codes.size <= levels.size + 1:
        return MeanDifference()
    time = np.minimum(duration[compares], horizon)
    design = np.column_stack([group[compares].astype(np.float64), codes[:, None] == np.arange(levels.size)])
    # equal values in another order of rows would add up to another last digit
    order = np.lexsort([time, design[:, 0], codes])
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = OLS(time[order], design[order]).fit(cov_type="HC3", use_t=True)
        lower, upper = fitted.conf_int()[0]
    if not np.isfinite([lower, upper]).all():
        return MeanDifference(float(fitted.params[0]))
    return MeanDifference(float(fitted.params[0]), float(lower), float(upper))
