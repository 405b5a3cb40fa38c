"""Defines whether a count in the first days says more than the count of the whole window: `search`.

Put here the search over count × days, all at the same landmark, and the p of the best of its many cells. Keep out the
threshold of the plain count (`thresholds.py`).
"""

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import cmh, tabulate
from milestones_dagster.evidence.threshold_gains import LEAST_MOVED, gains, low_end
from milestones_dagster.evidence.threshold_search import Search
from milestones_dagster.evidence.thresholds import SIGNIFICANT, prepared

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework, ThresholdSearch

_Floats = NDArray[np.float64]

DAYS = (1, 7, 14, 30, 60)
_CHUNK = 25
"""Permutations whose sums are taken at once."""


def search(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per window, the whole one last: its pick on the earlier half, and whether it beats the whole window.

    All cells (count × days) count before the same landmark, so that none sees more time. `p_best`, the same on every
    row, is of the largest √χ² over all cells of the earlier half: outcomes permuted within plan × size, the maximum
    taken each time (Westfall and Young 1993), (1 + exceeding) / (1 + permutations). A shorter window wins only as the
    best cell, with `p_best` ≤ .05, when on the *later* half the one-sided 97.5 % bound of √χ² of its pick less √χ² of
    the whole window's pick, over resampled accounts, is above 0, and at least 5 % of all accounts would change sides.

    Args:
        frame: `activation_landmarks`.
        framework: its `threshold_search` is read.
        also: no further tables.
    """
    del also
    config = framework.threshold_search
    made = prepared(frame, config)
    ordered = frame.loc[frame["standing"] == "row"].set_index("account_key").loc[made.rows.accounts]
    amounts: dict[int | None, _Floats] = {days: ordered[f"events_{days}d"].to_numpy(dtype=np.float64) for days in DAYS} | {
        None: made.rows.value
    }
    is_earlier = np.isin(made.rows.accounts, made.earlier.accounts)
    searches = {
        days: Search(made.earlier.with_value(amount[is_earlier]), config.reach, config.candidates)
        for days, amount in amounts.items()
        if made.earlier.size and (days is None or (amount != made.rows.value).any())
    }
    later = {days: amounts[days][~is_earlier] for days in searches}
    best = {days: _root(found) for days, found in searches.items()}
    p_best = _p_of_best(list(searches.values()), max(best.values(), default=-np.inf), config)
    is_known = any(np.isfinite(root) for root in best.values())
    winner = max(best, key=lambda days: (best[days], days is None)) if is_known else None
    rows: list[dict[str, object]] = []
    for days, found in searches.items():
        is_best = is_known and days == winner
        gain, moved = nan, nan
        if days is not None and np.isfinite(found.pick) and np.isfinite(searches[None].pick):
            did = later[days] >= found.pick
            plain = later[None] >= searches[None].pick
            gain = low_end(gains(made.later, did, plain, config.resamples, config.seed))
            moved = float(((amounts[days] >= found.pick) != (amounts[None] >= searches[None].pick)).mean())
        test = None
        if made.later.size and np.isfinite(found.pick):
            test = cmh(tabulate(later[days] >= found.pick, made.later.retained, made.later.strata))
        rows.append(
            {
                "position": len(rows) + 1,
                "days": days,
                "candidates": found.candidates.size,
                "pick": found.pick,
                "earlier_root_chi2": best[days] if np.isfinite(best[days]) else nan,
                "later_root_chi2": nan if test is None else float(test.signed_root),
                "is_best": is_best,
                "p_best": p_best,
                "gain_low": gain,
                "moved_share": moved,
                "wins": bool(is_best and days is not None and p_best <= SIGNIFICANT and gain > 0 and moved >= LEAST_MOVED),
            }
        )
    columns = [
        "position", "days", "candidates", "pick", "earlier_root_chi2", "later_root_chi2", "is_best", "p_best", "gain_low",
        "moved_share", "wins",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    table["days"] = table["days"].astype("Int64")
    return table


def _root(found: Search) -> float:
    """Return √χ² of a search's pick, −∞ without one."""
    at_pick = found.plain.candidates[0] == found.pick
    return float(np.sqrt(found.plain.chi2[0][at_pick][0])) if at_pick.any() else -np.inf


def _p_of_best(searches: list[Search], observed: float, config: "ThresholdSearch") -> float:
    """Return how often the largest √χ² over all cells, in the positive direction, is as large by permutation."""
    if not any(found.candidates.size for found in searches):
        return nan
    if not np.isfinite(observed):
        # nothing is positive: whatever is drawn is as large
        return 1.0
    rows = searches[0].rows
    order = np.argsort(rows.strata, kind="stable")
    strata, retained = rows.strata[order], rows.retained[order].astype(np.float32)
    did = np.stack([found.rows.value[order] >= candidate for found in searches for candidate in found.candidates]).astype(
        np.float32
    )
    # within a stratum both margins are fixed, so only the number who did it and stayed changes
    count = np.bincount(strata).astype(np.float64)
    stayed = np.bincount(strata, weights=retained)
    doers = np.stack([np.bincount(strata, weights=cell, minlength=count.size) for cell in did])
    size = np.maximum(count, 1)
    expected = (doers * stayed / size).sum(axis=1)
    parts = doers * (count - doers) * stayed * (count - stayed) / (size**2 * np.maximum(size - 1, 1))
    spread = np.sqrt(parts.sum(axis=1))
    generator = np.random.default_rng(config.seed)
    reached = 0
    for start in range(0, config.permutations, _CHUNK):
        permuted = np.empty((rows.size, min(_CHUNK, config.permutations - start)), dtype=np.float32)
        for column in range(permuted.shape[1]):
            # sorted by stratum, then at random: a permutation within strata
            permuted[:, column] = retained[np.lexsort((generator.random(rows.size), strata))]
        together = (did @ permuted).astype(np.float64) - expected[:, None]
        root = np.divide(together, spread[:, None], out=np.full(together.shape, -np.inf), where=spread[:, None] > 0)
        reached += int((root.max(axis=0) >= observed * (1 - 1e-9)).sum())
    return (1 + reached) / (1 + config.permutations)
