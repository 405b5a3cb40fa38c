"""Defines the average marginal effect of a yes-or-no behaviour in a logistic regression.

Put here the fit, what makes it fail and the effect that comes of it. Keep out which covariates are asked for and what
an effect is worth. The regression says what goes with the behaviour among accounts alike in the covariates.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.evidence.association import Z_95

_Floats = NDArray[np.float64]
_Booleans = NDArray[np.bool_]

MOST_ITERATIONS: Final = 25
"""Newton's method doubles its digits each time; who needs more is on the way to infinity, one log-odds a time."""

_SETTLED: Final = 1e-9
_DEPENDENT: Final = 1e-7
"""Part of a covariate that the covariates before it leave unexplained, below which it adds nothing."""


@dataclass(frozen=True)
class MarginalEffect:
    """What the regression says of the behaviour.

    Attributes:
        effect, lower, upper: mean difference of the probability with and without the behaviour, 95 % interval by the
            delta method; NaN where it cannot be told.
        p: two-sided, of the effect.
        share_without: mean probability had nobody done it.
        reason: why the effect cannot be told; empty where it can.
    """

    effect: float = nan
    lower: float = nan
    upper: float = nan
    p: float = nan
    share_without: float = nan
    reason: str = ""


def average_marginal_effect(
    did: _Booleans, reached: _Booleans, factors: Sequence[NDArray[np.intp]], numbers: Sequence[_Floats]
) -> MarginalEffect:
    """Return the average marginal effect of `did` on `reached`, given the covariates (main effects).

    Rows of a factor's level in which the outcome is constant are perfectly told by that level: its coefficient is
    infinite, the rows' probability does not move, and all other coefficients are those without these rows. So they are
    left out of the fit and count with an effect of 0, which is the limit of the likelihood. A covariate that the others
    explain is left out. statsmodels fits by Newton's method; the effect is the mean difference of its predictions with and
    without the behaviour, with its standard error by the delta method (normal); the covariates are taken as given.

    Args:
        did: behaviour, shape (rows,).
        reached: outcome, shape (rows,).
        factors: level numbers of each categorical covariate, shape (rows,).
        numbers: numerical covariates, finite, shape (rows,).
    """
    reason = _untellable(did, reached)
    if reason:
        return MarginalEffect(reason=reason)
    kept = _not_told_by_a_level(reached, factors)
    reason = _untellable(did[kept], reached[kept])
    if reason:
        return MarginalEffect(reason=f"among accounts not told by a covariate alone, {reason}")
    others, basis = _independent([np.ones(int(kept.sum())), *_columns(factors, numbers, kept)])
    behaviour = did[kept].astype(np.float64)
    if np.linalg.norm(_residual(behaviour, basis)) <= _DEPENDENT * np.linalg.norm(behaviour):
        return MarginalEffect(reason="the step cannot be told apart from the other steps, plan and size")
    design = np.column_stack([others, behaviour])
    fitted = _fit(design, reached[kept].astype(np.float64))
    if fitted is None:
        return MarginalEffect(reason="the regression does not converge, a combination of covariates tells the outcome")
    return _effect(fitted, design, reached, kept)


def _effect(fitted: Any, design: _Floats, reached: _Booleans, kept: _Booleans) -> MarginalEffect:
    from scipy.special import ndtr

    with_it, without = design.copy(), design.copy()
    with_it[:, -1], without[:, -1] = 1.0, 0.0
    had_done, had_not = fitted.predict(with_it), fitted.predict(without)
    effect = float(had_done.sum() - had_not.sum()) / kept.size
    # statsmodels finds this gradient by evaluating the model twice for each coefficient
    gradient = ((had_done * (1 - had_done)) @ with_it - (had_not * (1 - had_not)) @ without) / kept.size
    error = float(np.sqrt(gradient @ fitted.cov_params() @ gradient))
    if not error > 0:
        return MarginalEffect(reason="the regression does not converge, its standard error vanishes")
    share_without = (float(had_not.sum()) + int(reached[~kept].sum())) / kept.size
    p = 2 * float(ndtr(-abs(effect) / error))
    return MarginalEffect(effect, effect - Z_95 * error, effect + Z_95 * error, p, share_without)


def _untellable(did: _Booleans, reached: _Booleans) -> str:
    """Return why no regression can tell an effect from these two columns; empty when one may."""
    if did.all() or not did.any():
        return "all did the step" if did.size and did.all() else "nobody did the step"
    if reached.all() or not reached.any():
        return "the outcome is the same for all"
    for group, name in ((did, "who did the step"), (~did, "who did not")):
        if reached[group].all() or not reached[group].any():
            return f"the outcome is the same for all {name}"
    return ""


def _not_told_by_a_level(reached: _Booleans, factors: Sequence[NDArray[np.intp]]) -> _Booleans:
    """Return the rows in no level whose outcome is constant, looked for again until none is left."""
    kept = np.ones(reached.size, dtype=np.bool_)
    while True:
        before = int(kept.sum())
        for levels in factors:
            of_level = np.bincount(levels[kept], minlength=int(levels.max()) + 1)
            reached_of_level = np.bincount(levels[kept & reached], minlength=of_level.size)
            is_constant = (reached_of_level == 0) | (reached_of_level == of_level)
            kept &= ~is_constant[levels]
        if int(kept.sum()) == before:
            return kept


def _columns(factors: Sequence[NDArray[np.intp]], numbers: Sequence[_Floats], kept: _Booleans) -> list[_Floats]:
    """Return one 0/1 column per level but the first, and the numbers in standard deviations."""
    columns = []
    for levels in factors:
        present = np.unique(levels[kept])
        columns += [(levels[kept] == level).astype(np.float64) for level in present[1:]]
    for values in numbers:
        centred = values[kept] - values[kept].mean()
        spread = float(centred.std())
        if spread > 0:
            columns.append(centred / spread)
    return columns


def _independent(columns: Sequence[_Floats]) -> tuple[_Floats, _Floats]:
    """Return the columns that those before them do not explain, side by side, and an orthonormal basis of them."""
    basis = np.empty((columns[0].size, len(columns)), order="F")
    chosen: list[_Floats] = []
    for column in columns:
        rest = _residual(column, basis[:, : len(chosen)])
        length = float(np.linalg.norm(rest))
        if length > _DEPENDENT * float(np.linalg.norm(column)):
            basis[:, len(chosen)] = rest / length
            chosen.append(column)
    return np.column_stack(chosen), basis[:, : len(chosen)]


def _residual(column: _Floats, basis: _Floats) -> _Floats:
    """Return what the orthonormal basis leaves of a column, projected twice against rounding."""
    rest = column - basis @ (basis.T @ column)
    return np.asarray(rest - basis @ (basis.T @ rest))


def _fit(design: _Floats, outcome: _Floats) -> Any | None:
    """Return statsmodels' results, or None where Newton's method does not settle."""
    from statsmodels.api import Logit
    from statsmodels.tools.sm_exceptions import ModelWarning

    # a combination that tells the outcome makes probabilities of 0 and 1, which is told by not converging
    with warnings.catch_warnings(), np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", ModelWarning)
        try:
            # the columns are independent already
            fitted = Logit(outcome, design, check_rank=False).fit(
                disp=False, maxiter=MOST_ITERATIONS, tol=_SETTLED, warn_convergence=False
            )
        except np.linalg.LinAlgError:
            return None
    is_settled = fitted.mle_retvals["converged"] and np.isfinite(fitted.params).all()
    return fitted if is_settled and np.isfinite(fitted.cov_params()).all() else None
