"""Defines what the framework review watches without an alarm: slopes of the gaps, moved picks, drift of adoption.

Put here what is listed with an interval for a person to look at. Keep out what raises an alarm (`framework_review.py`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from milestones_dagster.evidence.association import benjamini_hochberg, crude_p, newcombe
from milestones_dagster.evidence.threshold_search import halves

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework

DRIFT: Final = 0.05
"""Change of a share of users below which nobody needs to look."""

Q: Final = 0.05
COLUMNS: Final = (
    "kind", "subject", "position", "version", "is_watched", "reference_accounts", "accounts", "reference", "value", "difference",
    "low", "high", "p", "q",
)  # fmt: skip


def table(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the slopes and picks of the review, and `adoption_drift` over the features that events or settings tell.

    Args:
        frame: one row per account, all of the same age: account_key, observed_at and one column per feature.
        framework: names the features.
        also: `framework_review`.
    """
    reviewed = also["framework_review"]
    adopted_at = pd.to_datetime(reviewed["adopted_at"]).iloc[0]
    features = [feature.name for feature in framework.features.catalogue if feature.measure not in {"attribute", "trend"}]
    drift = adoption_drift(frame, features, None if pd.isna(adopted_at) else adopted_at)
    parts = [part.reindex(columns=COLUMNS) for part in (drift, _slopes(reviewed), _picks(reviewed)) if len(part)]
    made = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    return made.assign(version=reviewed["version"].iloc[0])


def adoption_drift(frame: pd.DataFrame, features: list[str], adopted_at: pd.Timestamp | None) -> pd.DataFrame:
    """Return one row per feature: share of users before and since, the difference with Newcombe's interval, p, q, whether watched.

    Since is an observation at or after `adopted_at`; without it the later half of the accounts, in whole months. A user is
    an account with a value above 0; accounts of which it is not known are left out.

    Args:
        frame: one row per account: account_key, observed_at and the features.
        features: columns of the frame.
        adopted_at: when the version in force was adopted, UTC.

    Raises:
        ValueError: an account has two rows.
    """
    if frame["account_key"].duplicated().any():
        raise ValueError("an account has more than one row; before and since must be different accounts")
    observed = pd.to_datetime(frame["observed_at"])
    if adopted_at is not None:
        is_since = (observed >= adopted_at).to_numpy()
    else:
        is_since = ~halves(observed.dt.to_period("M").dt.start_time.to_numpy(dtype="datetime64[D]"))
    rows = []
    for position, feature in enumerate(features, start=1):
        values = pd.to_numeric(frame[feature]).to_numpy(dtype=np.float64, na_value=np.nan)
        is_known, is_user = np.isfinite(values), values > 0
        now, before = int((is_known & is_since).sum()), int((is_known & ~is_since).sum())
        users, former = int((is_user & is_since).sum()), int((is_user & ~is_since).sum())
        changed = newcombe(users, now, former, before)
        rows.append(
            {
                "kind": "adoption",
                "subject": feature,
                "position": position,
                "reference_accounts": before,
                "accounts": now,
                "reference": former / before if before else np.nan,
                "value": users / now if now else np.nan,
                "difference": float(changed.estimate),
                "low": float(changed.lower),
                "high": float(changed.upper),
                "p": crude_p(users, now - users, former, before - former),
            }
        )
    made = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in {"version", "is_watched", "q"}])
    made["q"] = benjamini_hochberg(made["p"].to_numpy(dtype=np.float64))
    made["is_watched"] = (made["q"] <= Q) & ((made["low"] > DRIFT) | (made["high"] < -DRIFT))
    return made


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
