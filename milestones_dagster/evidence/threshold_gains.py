"""Defines by how much one rule divides who stays from who leaves better than another, on accounts that chose neither.

Put here the comparison of two rules on the same accounts. Keep out how a rule is found (`threshold_search.py`) and what is
made of the comparison (`threshold_windows.py`, `framework_review.py`).
"""

from math import nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.evidence.association import Strata, cmh
from milestones_dagster.evidence.threshold_search import Rows

_Floats = NDArray[np.float64]

LEAST_MOVED: Final = 0.05
"""Share of the accounts that must change sides for another rule to be worth adopting."""

ONE_SIDED: Final = 0.025


def gains(rows: Rows, did: NDArray[np.bool_], plain: NDArray[np.bool_], resamples: int, seed: int) -> _Floats:
    """Return √χ²(did) − √χ²(plain), both signed, of every resample of the accounts, shape (resamples,).

    χ² is Cochran's, Mantel's and Haenszel's over the strata of `rows`; a rule that divides nobody counts 0. Accounts
    that agree in stratum, both rules and outcome are alike, so that drawing so many accounts with replacement is one
    multinomial draw over these kinds, whatever the order of the rows.

    Args:
        rows: at least one account, else there is no resample.
        did: who reached the first rule, shape (rows,).
        plain: who reached the second, shape (rows,).
        resamples: draws of as many accounts as there are.
        seed: of the draws.
    """
    if not rows.size:
        return np.empty(0)
    strata = int(rows.strata.max()) + 1
    kind = ((rows.strata * 2 + did) * 2 + plain) * 2 + rows.retained
    counts = np.bincount(kind, minlength=8 * strata)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(rows.size, counts / rows.size, resamples).astype(np.float64)
    by_kind = drawn.reshape(resamples, strata, 2, 2, 2)
    differences: _Floats = _signed(by_kind.sum(axis=3)) - _signed(by_kind.sum(axis=2))
    return differences


def low_end(differences: _Floats) -> float:
    """Return the lower one-sided 97.5 % bound; NaN without a resample."""
    return float(np.quantile(differences, ONE_SIDED)) if differences.size else nan


def _signed(tables: _Floats) -> _Floats:
    """Return signed √χ² of counts by stratum, reached or not, stayed or not: shape (resamples, strata, 2, 2)."""
    found = Strata(tables[..., 1, 1], tables[..., 1, 0], tables[..., 0, 1], tables[..., 0, 0])
    return np.nan_to_num(cmh(found).signed_root)
