"""Defines how two yes-or-no quantities go together: one two by two table, or many of them, one per stratum.

Put here what is computed from counts alone: shares, differences, ratios, their intervals, tests and the trust they
deserve. Keep out frames, models and verdicts. Every function takes counts as numbers or as arrays that broadcast, so
that one table, 40 candidates or 1,000 permutations × 40 candidates are one call. What cannot be known (an empty group,
a constant outcome) is NaN, never zero.

A table is `[[a, b], [c, d]]`: a = did and reached, b = did and not reached, c = did not and reached, d = neither.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float64]
Trust = Literal["statistical", "mixed", "interview"]

Z_95: Final = 1.959963984540054
"""97.5 % point of the normal distribution: half-width of a 95 % interval in standard errors."""

DETECTABLE_FACTOR: Final = 2.802
"""Standard errors that separate nothing from a difference found in 80 % of samples at p = .05: 1.960 + 0.842."""

STATISTICAL_POINTS: Final = 0.05
MIXED_POINTS: Final = 0.15
LEAST_EXPECTED_COUNT: Final = 5.0
"""Below it in any cell the χ² distribution is a poor guide, and Fisher's exact test is used."""

_ROUNDING: Final = 1e-9
"""Accounts: an excess of exactly nothing over many strata must not take a direction from rounding."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval, of any common shape (NaN where undefined)."""

    estimate: _Floats
    lower: _Floats
    upper: _Floats


@dataclass(frozen=True)
class Strata:
    """Counts of two by two tables: the last axis is the stratum, the axes before it are candidates or resamples.

    Attributes:
        did_reached, did_not_reached, not_did_reached, neither: counts ≥ 0, shape (…, strata).
    """

    did_reached: _Floats
    did_not_reached: _Floats
    not_did_reached: _Floats
    neither: _Floats

    @property
    def crude(self) -> tuple[_Floats, _Floats, _Floats, _Floats]:
        """Cells (a, b, c, d) of the table that forgets the strata, each of shape (…)."""
        return (
            np.asarray(self.did_reached.sum(axis=-1)),
            np.asarray(self.did_not_reached.sum(axis=-1)),
            np.asarray(self.not_did_reached.sum(axis=-1)),
            np.asarray(self.neither.sum(axis=-1)),
        )


@dataclass(frozen=True)
class MantelHaenszel:
    """Common effect over strata: `odds_ratio` and `risk_difference`, each with its 95 % interval, shape (…)."""

    odds_ratio: Interval
    risk_difference: Interval


@dataclass(frozen=True)
class StratifiedTest:
    """Cochran–Mantel–Haenszel test, shape (…).

    Attributes:
        statistic: χ² with 1 degree of freedom, without continuity correction; NaN where no stratum compares anything.
        p: two-sided.
        direction: 1 who did reached it more often than expected, −1 less often, 0 exactly as expected.
    """

    statistic: _Floats
    p: _Floats
    direction: _Floats

    @property
    def signed_root(self) -> _Floats:
        """√χ² with the sign of the direction: a standard normal quantity where nothing is associated."""
        return np.asarray(self.direction * np.sqrt(self.statistic))


def strata_of(tables: ArrayLike) -> Strata:
    """Return the strata of tables `[[a, b], [c, d]]`, shape (…, strata, 2, 2)."""
    cells = np.asarray(tables, dtype=np.float64)
    return Strata(cells[..., 0, 0], cells[..., 0, 1], cells[..., 1, 0], cells[..., 1, 1])


def tabulate(
    did: NDArray[np.bool_], reached: NDArray[np.bool_], stratum: NDArray[np.intp], weights: ArrayLike | None = None
) -> Strata:
    """Return the tables of account rows, one per stratum number 0 … max.

    Args:
        did: behaviour, shape (rows,).
        reached: outcome, shape (rows,).
        stratum: number ≥ 0 of each row's stratum, shape (rows,).
        weights: how often each row counts, such as its draws in a resample; once without.
    """
    above = at_or_above(did.astype(np.float64), np.array([1.0]), reached, stratum, weights)
    return Strata(above.did_reached[0], above.did_not_reached[0], above.not_did_reached[0], above.neither[0])


def at_or_above(
    values: ArrayLike,
    candidates: ArrayLike,
    reached: NDArray[np.bool_],
    stratum: NDArray[np.intp],
    weights: ArrayLike | None = None,
) -> Strata:
    """Return the tables "value ≥ candidate" × outcome of every candidate, shape (candidates, strata).

    One pass over the rows for all candidates: each row is counted in the interval between candidates that holds its
    value, and running sums over the intervals make the tables.

    Args:
        values: of each row, shape (rows,), finite.
        candidates: ascending, shape (candidates,).
        reached: outcome, shape (rows,).
        stratum: number ≥ 0 of each row's stratum, shape (rows,).
        weights: how often each row counts, such as its draws in a resample; once without.
    """
    limits = np.asarray(candidates, dtype=np.float64)
    step = np.searchsorted(limits, np.asarray(values, dtype=np.float64), side="right")
    strata = int(stratum.max()) + 1 if stratum.size else 0
    place = (step * strata + stratum) * 2 + reached
    shape = (limits.size + 1, strata, 2)
    drawn = None if weights is None else np.asarray(weights, dtype=np.float64)
    counts = np.bincount(place, weights=drawn, minlength=int(np.prod(shape))).astype(np.float64).reshape(shape)
    below = np.cumsum(counts, axis=0)[:-1]
    at_least = counts.sum(axis=0) - below
    return Strata(at_least[..., 1], at_least[..., 0], below[..., 1], below[..., 0])


def wilson(successes: ArrayLike, n: ArrayLike) -> Interval:
    """Return a share with Wilson's score interval (Wilson 1927); NaN where n = 0."""
    reached, total = _floats(successes), _floats(n)
    share = _divide(reached, total)
    spread = Z_95 * np.sqrt(share * (1 - share) * total + Z_95**2 / 4)
    lower = _divide(reached + Z_95**2 / 2 - spread, total + Z_95**2)
    upper = _divide(reached + Z_95**2 / 2 + spread, total + Z_95**2)
    # the ends are exact at no and at all successes: rounding must not put the share outside its interval, nor an end beyond 1
    low, high = np.where(reached == 0, share, lower), np.where(reached == total, share, upper)
    return Interval(share, np.clip(low, 0, 1), np.clip(high, 0, 1))


def newcombe(x1: ArrayLike, n1: ArrayLike, x0: ArrayLike, n0: ArrayLike) -> Interval:
    """Return the risk difference x1 / n1 − x0 / n0 with Newcombe's hybrid score interval (1998, method 10)."""
    did, other = wilson(x1, n1), wilson(x0, n0)
    difference = did.estimate - other.estimate
    down = np.hypot(did.estimate - did.lower, other.upper - other.estimate)
    up = np.hypot(did.upper - did.estimate, other.estimate - other.lower)
    return Interval(np.asarray(difference), np.asarray(difference - down), np.asarray(difference + up))


def phi(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> _Floats:
    """Return Pearson's correlation of the two 0/1 variables; NaN where one of them is constant."""
    a_, b_, c_, d_ = _cells(a, b, c, d)
    return _divide(a_ * d_ - b_ * c_, np.sqrt((a_ + b_) * (c_ + d_) * (a_ + c_) * (b_ + d_)))


def odds_ratio(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> _Floats:
    """Return ad / bc, with 0.5 added to every cell of a table that has an empty one (Haldane–Anscombe).

    NaN where a group is empty: then the added halves alone would speak.
    """
    a_, b_, c_, d_ = _cells(a, b, c, d)
    added = np.where((a_ == 0) | (b_ == 0) | (c_ == 0) | (d_ == 0), 0.5, 0.0)
    ratio = ((a_ + added) * (d_ + added)) / ((b_ + added) * (c_ + added))
    return np.where((a_ + b_ > 0) & (c_ + d_ > 0), ratio, np.nan)


def relative_risk(x1: ArrayLike, n1: ArrayLike, x0: ArrayLike, n0: ArrayLike) -> _Floats:
    """Return the share who reached it among who did, over that among who did not; NaN where that is 0 or unknown."""
    return _divide(_divide(_floats(x1), _floats(n1)), _divide(_floats(x0), _floats(n0)))


def lift(x1: ArrayLike, n1: ArrayLike, x0: ArrayLike, n0: ArrayLike) -> _Floats:
    """Return the share who reached it among who did, over that among *all*; NaN where that is 0 or unknown."""
    reached, total = _floats(x1) + _floats(x0), _floats(n1) + _floats(n0)
    return _divide(_divide(_floats(x1), _floats(n1)), _divide(reached, total))


def crude_p(a: float, b: float, c: float, d: float) -> float:
    """Return the two-sided p of one table: Fisher's when an expected count is below 5, else χ² without correction.

    NaN where a group is empty; 1 where the outcome is constant.
    """
    from scipy.stats import chi2, fisher_exact

    n1, n0, reached, not_reached = a + b, c + d, a + c, b + d
    n = n1 + n0
    if n1 == 0 or n0 == 0:
        return float("nan")
    if min(n1, n0) * min(reached, not_reached) / n < LEAST_EXPECTED_COUNT:
        return float(fisher_exact([[int(a), int(b)], [int(c), int(d)]]).pvalue)
    statistic = n * (a * d - b * c) ** 2 / (n1 * n0 * reached * not_reached)
    return float(chi2.sf(statistic, 1))


def mantel_haenszel(strata: Strata) -> MantelHaenszel:
    """Return the odds ratio and the risk difference common to all strata, with 95 % intervals.

    The log odds ratio has the variance of Robins, Breslow and Greenland (1986), the risk difference that of Sato
    (1989): both hold for few large and for many small strata. A stratum with an empty group says nothing and weighs
    nothing; NaN where that is all of them. The odds ratio is infinite, or 0, without an interval, where no stratum has
    the pairs to divide by.
    """
    a, b, c, d = strata.did_reached, strata.did_not_reached, strata.not_did_reached, strata.neither
    n1, n0 = a + b, c + d
    n = n1 + n0

    concordant, discordant = _over(a * d, n), _over(b * c, n)
    same, other = _over(a + d, n), _over(b + c, n)
    plus, minus = concordant.sum(axis=-1), discordant.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(np.divide(plus, minus))
        variance = (
            (same * concordant).sum(axis=-1) / (2 * plus**2)
            + (same * discordant + other * concordant).sum(axis=-1) / (2 * plus * minus)
            + (other * discordant).sum(axis=-1) / (2 * minus**2)
        )
        reach = np.exp(Z_95 * np.sqrt(variance))
        odds = Interval(ratio, np.asarray(ratio / reach), np.asarray(ratio * reach))

    weight = _over(n1 * n0, n).sum(axis=-1)
    difference = _divide(_over(a * n0 - c * n1, n).sum(axis=-1), weight)
    slope = _over(n1**2 * c - n0**2 * a + n1 * n0 * (n0 - n1) / 2, n**2).sum(axis=-1)
    base = _over(a * (n0 - c) + c * (n1 - a), 2 * n).sum(axis=-1)
    half_width = Z_95 * np.sqrt(np.maximum(_divide(difference * slope + base, weight**2), 0.0))
    risk = Interval(difference, np.asarray(difference - half_width), np.asarray(difference + half_width))
    return MantelHaenszel(odds, risk)


def cmh(strata: Strata) -> StratifiedTest:
    """Return the Cochran–Mantel–Haenszel test without continuity correction, its p and its direction."""
    from scipy.special import chdtrc

    a, b, c, d = strata.did_reached, strata.did_not_reached, strata.not_did_reached, strata.neither
    n1, n0, reached, not_reached = a + b, c + d, a + c, b + d
    n = n1 + n0
    excess = _over(a * n0 - c * n1, n).sum(axis=-1)
    variance = _over(n1 * n0 * reached * not_reached, n**2 * (n - 1)).sum(axis=-1)
    direction = np.where(np.abs(excess) < _ROUNDING, 0.0, np.sign(excess))
    statistic = _divide(np.where(direction == 0, 0.0, excess**2), variance)
    return StratifiedTest(statistic, np.asarray(chdtrc(1.0, statistic)), direction)


def benjamini_hochberg(p: ArrayLike) -> _Floats:
    """Return q, the least false discovery rate at which each p is called (Benjamini and Hochberg 1995).

    NaN stays NaN and does not count among the tests. Shape (tests,), in the order given.
    """
    values = _floats(p)
    q = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    if known.size == 0:
        return q
    falling = known[np.argsort(-values[known], kind="stable")]
    rank = np.arange(known.size, 0, -1)
    q[falling] = np.minimum(np.minimum.accumulate(values[falling] * known.size / rank), 1.0)
    return q


def holm(p: ArrayLike) -> _Floats:
    """Return the least family-wise error rate at which each p is called (Holm 1979).

    NaN stays NaN and does not count among the tests. Shape (tests,), in the order given.
    """
    values = _floats(p)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    rising = known[np.argsort(values[known], kind="stable")]
    adjusted[rising] = np.minimum(np.maximum.accumulate(values[rising] * np.arange(known.size, 0, -1)), 1.0)
    return adjusted


def e_value(risk_ratio_bound: float) -> float:
    """Return the E-value of an interval's end as a risk ratio (VanderWeele and Ding 2017); NaN of NaN.

    How strongly, as a risk ratio, something unseen would have to go with both behaviour and outcome to explain the
    effect away. 1 when the end is 1 or below: nothing is needed. For an effect below 1 give the inverse of its end.
    """
    if np.isnan(risk_ratio_bound):
        return float("nan")
    if risk_ratio_bound <= 1:
        return 1.0
    return float(risk_ratio_bound + np.sqrt(risk_ratio_bound * (risk_ratio_bound - 1)))


def detectable_difference(n1: ArrayLike, n0: ArrayLike, p: ArrayLike) -> _Floats:
    """Return 2.802 · √(p(1 − p)(1/n1 + 1/n0)): the difference found in 80 % of samples at p = .05.

    Args:
        n1: accounts in one group; infinite where empty.
        n0: accounts in the other group; infinite where empty.
        p: share of the outcome over both groups.
    """
    first, second, share = _floats(n1), _floats(n0), _floats(p)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = DETECTABLE_FACTOR * np.sqrt(share * (1 - share) * (1 / first + 1 / second))
    return np.where((first > 0) & (second > 0), found, np.inf)


def trust(detectable: float, p: float) -> Trust:
    """Return how far a comparison may be trusted, from its detectable difference and the pooled share p.

    `statistical`: at most 5 points and at most half of the rarer outcome's share; `mixed`: at most 15 points;
    `interview`: more, or unknown. A constant outcome is never `statistical` and, since it shows nothing, `interview`.
    """
    rarer = min(p, 1 - p)
    if not np.isfinite(detectable) or not rarer > 0:
        return "interview"
    if detectable <= STATISTICAL_POINTS and detectable <= rarer / 2:
        return "statistical"
    return "mixed" if detectable <= MIXED_POINTS else "interview"


def _floats(values: ArrayLike) -> _Floats:
    return np.asarray(values, dtype=np.float64)


def _cells(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> tuple[_Floats, _Floats, _Floats, _Floats]:
    return _floats(a), _floats(b), _floats(c), _floats(d)


def _divide(numerator: _Floats, denominator: _Floats) -> _Floats:
    """Return the quotient, NaN where the denominator is 0."""
    top, bottom = np.broadcast_arrays(numerator, denominator)
    quotient: _Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
    return quotient


def _over(numerator: _Floats, denominator: _Floats) -> _Floats:
    """Return the quotient, 0 where the denominator is 0: a stratum that adds nothing to a sum."""
    top, bottom = np.broadcast_arrays(numerator, denominator)
    quotient: _Floats = np.divide(top, bottom, out=np.zeros(top.shape), where=bottom != 0)
    return quotient
