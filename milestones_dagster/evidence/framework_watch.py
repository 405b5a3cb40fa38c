"""Defines what the framework review watches without an alarm, one row per thing watched.

Put here what is joined into the list: slopes of the gaps and moved picks of the review, drift of adoption and changed
verdicts, the AUC. Keep out how each is measured (`watch_adoption.py`, `watch_steps.py`, `watch_auc.py`) and what raises an
alarm (`framework_review.py`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import pandas as pd

from milestones_dagster.evidence.watch_adoption import adoption_drift, benchmark_changes
from milestones_dagster.evidence.watch_auc import auc_drift
from milestones_dagster.evidence.watch_steps import step_changes

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework

COLUMNS: Final = (
    "kind", "subject", "position", "version", "is_watched", "reference_verdict", "verdict", "reference_accounts", "accounts",
    "reference", "reference_low", "reference_high", "value", "value_low", "value_high", "difference", "low", "high", "p", "q",
)  # fmt: skip


def table(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the slopes and picks of the review, drift and changed verdicts of features and setup steps, and the AUC.

    Args:
        frame: rows of `feature_matrix` with is_of_age, True on one row per account, of the same age for all.
        framework: features, their benchmark and ranking, setup steps and evidence are read.
        also: `framework_review` and `setup_step_landmarks`.
    """
    reviewed = also["framework_review"]
    adopted = pd.to_datetime(reviewed["adopted_at"]).iloc[0]
    adopted_at = None if pd.isna(adopted) else adopted
    catalogue = framework.features.catalogue
    of_age = frame.loc[frame["is_of_age"]]
    used = [feature for feature in catalogue if feature.measure not in {"attribute", "trend"}]
    parts = (
        adoption_drift(of_age, [feature.name for feature in used], adopted_at),
        benchmark_changes(of_age, used, framework.adoption_benchmark, adopted_at),
        step_changes(also["setup_step_landmarks"], framework, adopted_at),
        pd.DataFrame([auc_drift(frame, catalogue, framework.feature_ranking, adopted_at)]),
        _slopes(reviewed),
        _picks(reviewed),
    )
    made = pd.concat([part.reindex(columns=COLUMNS).astype(object) for part in parts if len(part)], ignore_index=True)
    return made.assign(version=reviewed["version"].iloc[0])


def _slopes(reviewed: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "kind": "slope",
            "subject": reviewed["milestone"],
            "position": reviewed["position"],
            "is_watched": (reviewed["slope_low"] > 0) | (reviewed["slope_high"] < 0),
            "value": reviewed["slope"],
            "low": reviewed["slope_low"],
            "high": reviewed["slope_high"],
        }
    )


def _picks(reviewed: pd.DataFrame) -> pd.DataFrame:
    found = reviewed.loc[reviewed["pick"].notna()]
    return pd.DataFrame(
        {
            "kind": "pick",
            "subject": found["milestone"],
            "position": found["position"],
            "is_watched": (found["threshold"] < found["pick_low"]) | (found["threshold"] > found["pick_high"]),
            "reference": found["threshold"],
            "value": found["pick"],
            "low": found["pick_low"],
            "high": found["pick_high"],
        }
    )
