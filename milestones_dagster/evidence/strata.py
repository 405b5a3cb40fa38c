"""Defines strata: the number of each row's combination of levels.

Put here what turns columns of names into numbers, at once for any number of rows. Keep out what is compared within strata
(`association.py`).
"""

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
