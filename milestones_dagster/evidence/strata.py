"""Defines strata: the number of each row's combination of levels, and what is drawn within them.

Put here what turns columns of names into numbers, at once for any number of rows, and permutations that keep to them. Keep out
what is compared within strata (`association.py`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNKNOWN = "?"
"""Level of a row whose value is missing: it is alike with no known one."""


def crossed(*columns: pd.Series) -> NDArray[np.intp]:
    """Return the number of each row's combination, 0 …, in the order of the levels' texts, the first column's first.

    Only combinations that occur have a number. A missing value is a level of its own.

    Args:
        columns: of equal length, at least one.
    """
    number = np.zeros(len(columns[0]), dtype=np.intp)
    for column in columns:
        codes, names = pd.factorize(column)
        # the last is the text of the code −1
        texts, place = np.unique([*(str(name) for name in names), UNKNOWN], return_inverse=True)
        number = number * texts.size + place[codes]
    return np.unique(number, return_inverse=True)[1].astype(np.intp)


def permutations_within(strata: NDArray[np.intp], repeats: int, seeds: Sequence[int]) -> Iterator[NDArray[np.intp]]:
    """Yield for each repeat which row lends its values to each row, one of the same stratum; shape (rows,).

    Within strata of plan and size a permuted feature keeps what plan and size say of it (conditional permutation,
    Strobl et al. 2008), so that their own effect on the outcome is not credited to the feature; of permuted outcomes
    each stratum keeps its number.

    Args:
        strata: number of each row's stratum, shape (rows,).
        repeats: number of permutations.
        seeds: of the draws; the same seeds and strata give the same permutations.
    """
    generator = np.random.default_rng(list(seeds))
    in_order = np.argsort(strata, kind="stable")
    places = np.split(in_order, np.flatnonzero(np.diff(strata[in_order])) + 1)
    for _ in range(repeats):
        lender = np.empty_like(in_order)
        for rows in places:
            lender[rows] = generator.permutation(rows)
        yield lender
