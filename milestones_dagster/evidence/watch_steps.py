"""Defines which setup steps would be judged otherwise by now: each step's verdict and effect before and since.

Put here the comparison of two verdicts. Keep out how a verdict is made (`setup_steps.py`).
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from milestones_dagster.evidence.association import Z_95, benjamini_hochberg
from milestones_dagster.evidence.framework_review import is_since
from milestones_dagster.evidence.setup_steps import LANDMARK_DAYS, conditional_effects, landmark_rows, step_verdicts

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework

Q: Final = 0.05
_BY_PREVALENCE: Final = frozenset({"routine", "niche"})


def step_changes(frame: pd.DataFrame, framework: "Framework", adopted_at: pd.Timestamp | None) -> pd.DataFrame:
    """Return one row per setup step: verdict and conditional effect before and since, the difference, whether watched.

    The two sides are different accounts, so that the difference's variance is the sum of both (normal approximation, the
    effects' intervals being by the delta method). A step is watched where both sides decide (neither is `interview`), the
    verdicts differ, and that is no chance: where one of them says how common the step is (`routine`, `niche`), the adoption's
    interval holds no bound on either side; else the effects differ with q at most .05 (Benjamini–Hochberg over the steps).
    A verdict that turns because an effect near its bound is measured anew is a row without being watched.

    Args:
        frame: rows of `setup_step_landmarks`, in any order; the landmark of 14 days is read.
        framework: its steps and evidence are read.
        adopted_at: when the version in force was adopted, UTC; without it the later half of the accounts, in whole months.
    """
    rows = frame.loc[frame["landmark_days"] == LANDMARK_DAYS]
    since = is_since(rows["observed_at"], adopted_at)
    before, now = (_judged(rows.loc[side], framework) for side in (~since, since))
    difference = now["effect"] - before["effect"]
    error = np.hypot(_error(before), _error(now))
    p = _two_sided(difference / error.where(error > 0))
    q = benjamini_hochberg(p)
    is_decided = (before["verdict"] != "interview") & (now["verdict"] != "interview") & (before["verdict"] != now["verdict"])
    is_prevalence = before["verdict"].isin(_BY_PREVALENCE) | now["verdict"].isin(_BY_PREVALENCE)
    is_sure = np.where(is_prevalence, ~(before["is_borderline"] | now["is_borderline"]), q <= Q)
    return pd.DataFrame(
        {
            "kind": "step_verdict",
            "subject": now["step"],
            "position": np.arange(1, len(now) + 1),
            "is_watched": is_decided & is_sure,
            "reference_verdict": before["verdict"],
            "verdict": now["verdict"],
            "reference_accounts": before["accounts"],
            "accounts": now["accounts"],
            "reference": before["effect"],
            "reference_low": before["effect_low"],
            "reference_high": before["effect_high"],
            "value": now["effect"],
            "value_low": now["effect_low"],
            "value_high": now["effect_high"],
            "difference": difference,
            "low": difference - Z_95 * error,
            "high": difference + Z_95 * error,
            "p": p,
            "q": q,
        }
    )


def _judged(rows: pd.DataFrame, framework: "Framework") -> pd.DataFrame:
    landmark = landmark_rows(rows, tuple(step.name for step in framework.setup.steps), LANDMARK_DAYS)
    return step_verdicts(landmark, conditional_effects(landmark), framework.evidence)


def _error(judged: pd.DataFrame) -> pd.Series:
    return (judged["effect_high"] - judged["effect_low"]) / (2 * Z_95)


def _two_sided(z: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    from scipy.special import ndtr

    return np.asarray(2 * ndtr(-np.abs(z.to_numpy(dtype=np.float64))), dtype=np.float64)
