"""Defines how each feature goes with retention among accounts alike in plan and size, on rows that chose nothing.

Put here where a feature's values are cut in two, and the table of both sides. Keep out the forest: an association is the
feature's own, the importance is what it adds to all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.evidence import association
from milestones_dagster.evidence.ranking_rows import Rows

_Floats = NDArray[np.float64]

REACH: Final = (0.20, 0.80)
"""Least and greatest share at or above a cut, where the values leave a choice: two sides of some size compare best."""

MOST_CUTS: Final = 20
"""Candidates; of more distinct values, so many evenly spaced quantiles."""


@dataclass(frozen=True)
class Associations:
    """Each feature against retention, at most one held-out row per account whose plan includes it; arrays of shape (features,).

    Attributes:
        accounts_with, accounts_without: at or above the cut, and below it.
        difference, low, high: Mantel–Haenszel risk difference over plan × size (Sato's variance).
        direction: of the Cochran–Mantel–Haenszel test: 1, −1 or 0.
        p, q: its p, and Benjamini–Hochberg's q over all features; NaN where nothing is compared.
        detectable: difference that four of five such samples would show.
        retained_share: over both sides.
        against: per feature the held-out rows against the grain: above the cut and lost, or below it and retained.
    """

    accounts_with: NDArray[np.intp]
    accounts_without: NDArray[np.intp]
    difference: _Floats
    low: _Floats
    high: _Floats
    direction: _Floats
    p: _Floats
    q: _Floats
    detectable: _Floats
    retained_share: _Floats
    against: tuple[NDArray[np.intp], ...]


def pick_cut(values: _Floats, outcome: NDArray[np.bool_], stratum: NDArray[np.intp]) -> float:
    """Return the value from which on accounts differ most in their outcome: the largest |√CMH|; of equals, the lowest.

    Either direction counts. NaN when the values are all the same. Candidates are the distinct values above the least
    one, or evenly spaced quantiles, that `REACH` of the rows lie at or above; without such a value, the one whose share
    comes nearest to it.

    Args:
        values: of the fitted rows, one per account, shape (rows,), finite.
        outcome: shape (rows,).
        stratum: number of each row's plan × size stratum, shape (rows,).
    """
    distinct = np.unique(values)[1:]
    if not distinct.size:
        return float("nan")
    if distinct.size > MOST_CUTS:
        spaced = np.quantile(values, np.linspace(1 - REACH[1], 1 - REACH[0], MOST_CUTS), method="higher")
        distinct = np.unique(spaced[spaced > values.min()])
        distinct = distinct if distinct.size else np.unique(values)[1:2]
    reach = np.array([(values >= cut).mean() for cut in distinct])
    outside = np.maximum(np.maximum(REACH[0] - reach, reach - REACH[1]), 0.0)
    candidates = distinct[outside <= outside.min()]
    root = np.abs(association.cmh(association.at_or_above(values, candidates, outcome, stratum)).signed_root)
    # where no stratum compares anything, the lowest
    return float(candidates[int(np.argmax(np.nan_to_num(root, nan=-1.0).round(9)))])


def associations(rows: Rows, places: Sequence[NDArray[np.intp]], above: _Floats) -> Associations:
    """Return how each feature goes with retention.

    Args:
        rows: of the ranking.
        places: for each set of plans, the chosen held-out rows among those eligible, one per account.
        above: of each row whether its value is at or above the cut that its fold's fit chose (1 or 0); NaN where the
            value or the cut is unknown, and on rows that are not held out; shape (rows, features).
    """
    found: list[dict[str, float]] = []
    against = []
    for feature in range(above.shape[1]):
        at = places[rows.kinds[feature]]
        at = at[~np.isnan(above[at, feature])]
        did, reached = above[at, feature] > 0, rows.outcome[at]
        strata = association.tabulate(did, reached, rows.stratum[at])
        test = association.cmh(strata)
        pooled = association.mantel_haenszel(strata).risk_difference
        with_it, without = int(did.sum()), int((~did).sum())
        share = float(reached.mean()) if at.size else float("nan")
        found.append(
            {
                "accounts_with": with_it,
                "accounts_without": without,
                "difference": float(pooled.estimate),
                "low": float(pooled.lower),
                "high": float(pooled.upper),
                "direction": float(test.direction),
                "p": float(test.p),
                "detectable": float(association.detectable_difference(with_it, without, share)),
                "retained_share": share,
            }
        )
        against.append(at[did != reached])
    columns = {name: np.array([row[name] for row in found]) for name in (found[0] if found else ())}
    return Associations(
        accounts_with=columns.pop("accounts_with").astype(np.intp),
        accounts_without=columns.pop("accounts_without").astype(np.intp),
        q=association.benjamini_hochberg(columns["p"]),
        against=tuple(against),
        **columns,
    )
