"""Defines whether a count in the first days, or a count with another event, says more than the plain count: `search`.

Put here the search over count × days and pairs of events, all at the same landmark, and the p of the best of its many
cells. Keep out the threshold of the plain count (`thresholds.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import cmh, tabulate
from milestones_dagster.evidence.strata import permutations_within
from milestones_dagster.evidence.threshold_gains import LEAST_MOVED, gains, low_end
from milestones_dagster.evidence.threshold_search import Rows, Search
from milestones_dagster.evidence.thresholds import SIGNIFICANT, prepared

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework, ThresholdSearch

_Floats = NDArray[np.float64]

DAYS = (1, 7, 14, 30, 60)
_CHUNK = 25
"""Permutations whose sums are taken at once."""


@dataclass(frozen=True)
class Counted:
    """One way to count: the events of the first `days`, or all of them where the account also did `event`; else the plain count.

    Attributes:
        amount: of each account, shape (rows,); a pair counts 0 where the other event is missing.
    """

    kind: Literal["days", "pair"]
    days: int | None
    event: str | None
    amount: _Floats

    @property
    def is_plain(self) -> bool:
        """Whether it is the count of the whole window, by itself."""
        return self.days is None and self.event is None


def search(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per way to count, the plain one last: its pick on the earlier half, and whether it beats the plain one.

    The ways: the events of the first days (1, 7, 14, 30, 60), all of them together with having done another event at
    least once, and the plain count of the whole window. All cells (way × value) end before the same landmark, so that
    none sees more time. `p_best`, the same on every row, is of the largest √χ² over all cells of the earlier half:
    outcomes permuted within plan × size, the maximum taken each time (Westfall and Young 1993), (1 + exceeding) / (1 +
    permutations). A shorter window or a pair wins only as the best cell, with `p_best` ≤ .05, when on the *later* half
    the one-sided 97.5 % bound of √χ² of its pick less √χ² of the plain count's pick, over resampled accounts, is above
    0, and at least 5 % of all accounts would change sides.

    Args:
        frame: `activation_landmarks`.
        framework: its `threshold_search` is read.
        also: `activation_pair_events` (account_key, event, position): who did which other event before the landmark.
    """
    config = framework.threshold_search
    made = prepared(frame, config)
    is_earlier = np.isin(made.rows.accounts, made.earlier.accounts)
    ways = _ways(frame, made.rows, also["activation_pair_events"]) if made.earlier.size else []
    searches = [Search(made.earlier.with_value(way.amount[is_earlier]), config.reach, config.candidates) for way in ways]
    roots = [_root(found) for found in searches]
    best = max(roots, default=-np.inf)
    p_best = _p_of_best(searches, best, config)
    # of ways that are equally good the plain one is the best, else the first
    winner = max(range(len(ways)), key=lambda place: (roots[place], ways[place].is_plain, -place)) if np.isfinite(best) else None
    rows: list[dict[str, object]] = []
    for place, (way, found) in enumerate(zip(ways, searches, strict=True)):
        gain, moved = nan, nan
        if not way.is_plain and np.isfinite(found.pick) and np.isfinite(searches[-1].pick):
            did, plain = way.amount >= found.pick, ways[-1].amount >= searches[-1].pick
            gain = low_end(gains(made.later, did[~is_earlier], plain[~is_earlier], config.resamples, config.seed))
            moved = float((did != plain).mean())
        test = None
        if made.later.size and np.isfinite(found.pick):
            test = cmh(tabulate(way.amount[~is_earlier] >= found.pick, made.later.retained, made.later.strata))
        is_best = place == winner
        rows.append(
            {
                "position": place + 1,
                "kind": way.kind,
                "days": way.days,
                "event": way.event,
                "candidates": found.candidates.size,
                "pick": found.pick,
                "earlier_root_chi2": roots[place] if np.isfinite(roots[place]) else nan,
                "later_root_chi2": nan if test is None else float(test.signed_root),
                "is_best": is_best,
                "p_best": p_best,
                "gain_low": gain,
                "moved_share": moved,
                "wins": bool(is_best and not way.is_plain and p_best <= SIGNIFICANT and gain > 0 and moved >= LEAST_MOVED),
            }
        )
    columns = [
        "position", "kind", "days", "event", "candidates", "pick", "earlier_root_chi2", "later_root_chi2", "is_best", "p_best",
        "gain_low", "moved_share", "wins",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    table["days"] = table["days"].astype("Int64")
    return table


def _ways(frame: pd.DataFrame, rows: Rows, pairs: pd.DataFrame) -> list[Counted]:
    """Return the ways to count, the plain one last; those that count the same as the plain one are left out."""
    ordered = frame.loc[frame["standing"] == "row"].set_index("account_key").loc[rows.accounts]
    ways = [Counted("days", days, None, ordered[f"events_{days}d"].to_numpy(dtype=np.float64)) for days in DAYS]
    events = pairs[["event", "position"]].drop_duplicates().sort_values("position")["event"]
    for event in events:
        did = np.isin(rows.accounts, pairs.loc[pairs["event"] == event, "account_key"].to_numpy(dtype=np.int64))
        ways.append(Counted("pair", None, str(event), np.where(did, rows.value, 0.0)))
    return [*(way for way in ways if (way.amount != rows.value).any()), Counted("days", None, None, rows.value)]


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
    lenders = permutations_within(strata, config.permutations, [config.seed])
    reached = 0
    for start in range(0, config.permutations, _CHUNK):
        permuted = np.empty((rows.size, min(_CHUNK, config.permutations - start)), dtype=np.float32)
        for column, lender in zip(range(permuted.shape[1]), lenders, strict=False):
            permuted[:, column] = retained[lender]
        together = (did @ permuted).astype(np.float64) - expected[:, None]
        root = np.divide(together, spread[:, None], out=np.full(together.shape, -np.inf), where=spread[:, None] > 0)
        reached += int((root.max(axis=0) >= observed * (1 - 1e-9)).sum())
    return (1 + reached) / (1 + config.permutations)
