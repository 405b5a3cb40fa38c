"""Defines how many of those who left come back, by the time since they left.

Put here the table of win-backs. Keep out the curve itself (`survival.py`). A raw share of who is back would count who
left yesterday as lost for good: each leaving counts for as long as it has been followed.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from milestones_dagster.evidence.survival import kaplan_meier

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework

DAYS: Final = (30, 90, 180, 365)
SECONDS_PER_DAY: Final = 86_400


def win_backs(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the cumulative incidence of a return after leaving, one row per number of days since leaving.

    1 − S of the Kaplan–Meier curve of the time from leaving to return, censored where the account is no longer
    followed. Nothing competes with a return: a company that leaves can come back for as long as it is watched. An
    account that left twice is two leavings; the interval is by account.

    Args:
        frame: one row per leaving, in any order: account_key, left_at, returned_at (NaT while it has not returned),
            followed_to, the last instant that is known.
        framework: the basis of retention is read.
        also: no further tables.
    """
    del also
    start, end = frame["left_at"], frame["returned_at"].fillna(frame["followed_to"])
    is_back = frame["returned_at"].notna().to_numpy(dtype=np.bool_)
    days = ((end - start).dt.total_seconds() / SECONDS_PER_DAY).to_numpy(dtype=np.float64)
    accounts = frame["account_key"].to_numpy(dtype=np.int64)
    curve = kaplan_meier(days, is_back, DAYS, accounts)
    is_billed = framework.outcomes.retention.basis == "subscriptions"
    return pd.DataFrame(
        {
            "day": DAYS,
            "leavings": len(frame),
            "accounts": np.unique(accounts).size,
            "at_risk": curve.at_risk,
            "returns": curve.events,
            "incidence": 1 - curve.survival.estimate,
            "incidence_low": 1 - curve.survival.upper,
            "incidence_high": 1 - curve.survival.lower,
            "note": [
                _note(day, len(frame), at_risk, known, is_billed=is_billed)
                for day, at_risk, known in zip(DAYS, curve.at_risk, np.isfinite(curve.survival.estimate), strict=True)
            ],
        }
    )


def _note(day: int, leavings: int, at_risk: int, is_known: bool, *, is_billed: bool) -> str:
    if not is_billed:
        return "Without subscriptions nobody is seen to leave, and so nobody to come back."
    if not leavings:
        return "Nobody has left yet."
    if not is_known:
        return f"None of {leavings:,} leavings has been followed for {day} days."
    return (
        f"{at_risk:,} of {leavings:,} leavings were followed for {day} days without a return; the others count for as long as "
        "they were followed."
    )
