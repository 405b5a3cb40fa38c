"""Defines the logistic baseline that a forest is held against, its scores with a group of features permuted included.

Put here the simple model. Keep out the forest and the comparison. What it is scaled by is learnt from the rows that it
is fitted on, and from no others.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

PENALTY: Final = 0.01
"""`C` of the ridge penalty: it keeps some 60 features steady on some hundred rows, and hardly counts on thousands."""


@dataclass(frozen=True)
class Logistic:
    """A fitted logistic regression.

    Attributes:
        centre, scale: mean and standard deviation of each feature on its log scale among the fitted rows.
        slope: shape (features,), per standard deviation.
        intercept: log odds at the means.
    """

    centre: _Floats
    scale: _Floats
    slope: _Floats
    intercept: float

    @classmethod
    def fit(cls, values: _Floats, outcome: NDArray[np.bool_]) -> Self:
        """Return the regression of the outcome on the standardised features, with a ridge penalty.

        Counts are long-tailed: each feature enters as sign(x) · log(1 + |x|). A missing value counts as the mean.

        Args:
            values: shape (rows, features); NaN where missing.
            outcome: shape (rows,), both classes present.
        """
        from sklearn.linear_model import LogisticRegression

        logged = _logged(values)
        known = ~np.isnan(logged)
        rows = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, logged, 0).sum(axis=0) / rows
        scale = np.sqrt((np.where(known, logged - centre, 0) ** 2).sum(axis=0) / rows)
        scale = np.where(scale > 0, scale, 1.0)
        scaled = _scaled(logged, centre, scale)
        model = LogisticRegression(C=PENALTY, solver="newton-cholesky", tol=1e-8).fit(scaled, outcome)
        return cls(centre, scale, model.coef_[0].astype(np.float64), float(model.intercept_[0]))

    def terms(self, values: _Floats) -> _Floats:
        """Return what each feature adds to the log odds, shape (rows, features)."""
        return _scaled(_logged(values), self.centre, self.scale) * self.slope

    def scores(self, log_odds: _Floats) -> _Floats:
        """Return the probability of the outcome; `log_odds` without the intercept, of any shape."""
        return np.asarray(1 / (1 + np.exp(-(log_odds + self.intercept))))


def _logged(values: _Floats) -> _Floats:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _scaled(logged: _Floats, centre: _Floats, scale: _Floats) -> _Floats:
    return np.nan_to_num((logged - centre) / scale, nan=0.0)
