"""The comparator of the latent worlds: a step's effect given plan and size alone, by statsmodels.

Put here what a careful analyst without our further covariates would do, and the same rule of keeping. Keep out the
product's regression.
"""

import warnings

import numpy as np
import pandas as pd

LEAST_EFFECT = 0.01
LEVEL = 0.05


def kept_by_plan_and_size(frame: pd.DataFrame, names: list[str], *, more: tuple[str, ...] = ()) -> dict[str, bool]:
    """Return which steps would be kept: logistic regression on the step, plan and size, average marginal effect.

    Kept, as by the product: q ≤ .05 (Benjamini–Hochberg over the steps) and a lower bound of at least one point.

    Args:
        frame: as `step_worlds.company` gives it.
        names: the steps.
        more: further columns, whose log(1 + …) is adjusted for too.
    """
    from statsmodels.api import Logit
    from statsmodels.stats.multitest import multipletests

    here = frame.loc[frame["is_paying"] & ~frame["is_activated_before"]]
    found = []
    for name in names:
        rows = here.loc[here["step"] == name]
        levels = pd.get_dummies(rows[["plan", "size_stratum"]], drop_first=True, dtype=float)
        design = np.column_stack(
            [np.ones(len(rows)), levels, *(np.log1p(rows[column]) for column in more), rows["is_done"].astype(float)]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                effect = Logit(rows["is_activated_after"].astype(float).to_numpy(), design).fit(disp=0).get_margeff(dummy=True)
            except np.linalg.LinAlgError:
                # all of the few who did it activated, or none: nothing can be told, and nothing is kept
                found.append((-1.0, 1.0))
                continue
        found.append((float(effect.conf_int()[-1][0]), float(effect.pvalues[-1])))
    q = multipletests([p for _, p in found], method="fdr_bh")[1]
    return {name: bool(value <= LEVEL and low >= LEAST_EFFECT) for name, value, (low, _) in zip(names, q, found, strict=True)}
