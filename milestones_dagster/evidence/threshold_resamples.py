"""Defines how sure a threshold and its response curve are: resamples of accounts, and the monotone curve.

Put here what repeats a threshold's search on accounts drawn anew. Keep out the search itself (`threshold_search.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, nan

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.evidence.threshold_search import Rows, Search

_Floats = NDArray[np.float64]

_LOW, _HIGH = 0.025, 0.975

_DRAWN = 0.4
"""Accounts per resample of the pick, over those there are: the most at which an interval among 150 accounts holds a planted jump
in 95 of 100 worlds (one half: 94, all: 89); among 1,400 it is half as wide as the threshold is high."""


@dataclass(frozen=True)
class Stability:
    """2.5 and 97.5 percentiles of the resampled pick (values that were picked), and the share of resamples with one."""

    low: float
    high: float
    picked_share: float


@dataclass(frozen=True)
class Response:
    """Share retained by band of values, band k from edge k − 1 up to edge k: raw, monotone, and its band; shape (edges + 1,)."""

    rows: _Floats
    share: _Floats
    fitted: _Floats
    low: _Floats
    high: _Floats


def draws(size: int, resamples: int, seed: int, drawn: int | None = None) -> Iterator[_Floats]:
    """Yield, per resample, how often each of `size` accounts is drawn, with replacement, one at a time in memory.

    Args:
        size: number of accounts.
        resamples: number of resamples.
        seed: of the draws.
        drawn: accounts per resample; as many as there are when None.
    """
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(generator.integers(0, size, size if drawn is None else drawn), minlength=size).astype(np.float64)


def stability(search: Search, resamples: int, seed: int) -> Stability:
    """Return the stability interval of the pick: two fifths as many accounts drawn anew, the whole search repeated.

    Resamples of all accounts repeat the sample's own best cell too faithfully: where the response jumps they do not
    follow how the pick varies. Fewer draws than there are accounts do (Bickel, Götze and van Zwet 1997), and the interval
    is the wider for it. It is no confidence interval: where the response is smooth the pick does not settle at the rate
    of √n (Banerjee and McKeague 2007). The percentiles are values that were picked, rounded outwards.
    """
    size = search.rows.size
    picks = search.picks(draws(size, resamples, seed, ceil(_DRAWN * size)))
    found = picks[np.isfinite(picks)]
    if not found.size:
        return Stability(nan, nan, 0.0)
    low = float(np.quantile(found, _LOW, method="lower"))
    high = float(np.quantile(found, _HIGH, method="higher"))
    return Stability(low, high, found.size / picks.size)


def response(rows: Rows, edges: _Floats, resamples: int, seed: int) -> Response:
    """Return the share retained by band, its isotonic fit (never falling) and the fit's pointwise 95 % band.

    Args:
        rows: at least one.
        edges: ascending; the first band is below edges[0], the last from edges[-1] on.
        resamples: draws of the accounts, at least one.
        seed: of the draws.
    """
    cell = np.searchsorted(edges, rows.value, side="right") * 2 + rows.retained
    size = 2 * (edges.size + 1)
    plain = np.bincount(cell, minlength=size).astype(np.float64)
    drawn: _Floats = np.stack([np.bincount(cell, weights=weights, minlength=size) for weights in draws(rows.size, resamples, seed)])
    reached, total = plain[1::2], plain[::2] + plain[1::2]
    share = np.divide(reached, total, out=np.full(total.shape, nan), where=total > 0)
    fitted = isotonic(reached[None], total[None])[0]
    low, high = np.quantile(isotonic(drawn[:, 1::2], drawn[:, ::2] + drawn[:, 1::2]), [_LOW, _HIGH], axis=0)
    return Response(total, share, fitted, low, high)


def isotonic(reached: _Floats, total: _Floats) -> _Floats:
    """Return the never falling shares closest to reached / total, weighted by total, for every row at once.

    The max–min formula (Robertson, Wright and Dykstra 1988): band k gets the greatest, over starts i ≤ k, of the least,
    over ends j ≥ k, of the share of bands i … j. A band without accounts takes the value between its neighbours that
    the formula gives.

    Args:
        reached: counts, shape (rows, bands).
        total: counts, shape (rows, bands), some above 0 in every row.
    """
    rows, bands = reached.shape
    edge = np.zeros((rows, 1))
    reached_to = np.concatenate([edge, np.cumsum(reached, axis=1)], axis=1)
    total_to = np.concatenate([edge, np.cumsum(total, axis=1)], axis=1)
    part = reached_to[:, None, 1:] - reached_to[:, :-1, None]
    whole = total_to[:, None, 1:] - total_to[:, :-1, None]
    is_span = (np.arange(bands)[:, None] <= np.arange(bands)[None, :]) & (whole > 0)
    share = np.divide(part, whole, out=np.full(part.shape, np.inf), where=is_span)
    least = np.minimum.accumulate(share[:, :, ::-1], axis=2)[:, :, ::-1]
    # a start whose spans from k on are all empty says nothing about k, nor does one after k
    least = np.where(np.isfinite(least) & (np.arange(bands)[:, None] <= np.arange(bands)[None, :]), least, -np.inf)
    fitted: _Floats = least.max(axis=1)
    return fitted
