"""Defines which features are used by more or fewer accounts than before, and which are now too common, or too narrow.

Put here the shares of users before and since. Keep out what using a feature goes with (`forest.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import Interval, benjamini_hochberg, crude_p, newcombe, wilson
from milestones_dagster.evidence.framework_review import is_since

if TYPE_CHECKING:
    from milestones_dagster.config.framework import AdoptionBenchmark, Feature

DRIFT: Final = 0.05
"""Change of a share of users below which nobody needs to look."""

Q: Final = 0.05
_COLUMNS: Final = (
    "kind", "subject", "position", "reference_accounts", "accounts", "reference", "reference_low", "reference_high",
    "value", "value_low", "value_high", "difference", "low", "high", "p",
)  # fmt: skip


def adoption_drift(frame: pd.DataFrame, features: Sequence[str], adopted_at: pd.Timestamp | None) -> pd.DataFrame:
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
    since = _since(frame, adopted_at)
    used = [_Use.of(frame, since, name) for name in features]
    rows = [
        {"kind": "adoption", "subject": name, "position": position, **use.columns, "p": use.p}
        for position, (name, use) in enumerate(zip(features, used, strict=True), start=1)
    ]
    made = pd.DataFrame(rows, columns=_COLUMNS)
    made["q"] = benjamini_hochberg(made["p"].to_numpy(dtype=np.float64))
    made["is_watched"] = (made["q"] <= Q) & ((made["low"] > DRIFT) | (made["high"] < -DRIFT))
    return made


def benchmark_changes(
    frame: pd.DataFrame, features: Sequence["Feature"], benchmark: "AdoptionBenchmark", adopted_at: pd.Timestamp | None
) -> pd.DataFrame:
    """Return one row per feature: `ubiquitous`, `niche` or `neither` before and since, the shares, whether watched.

    The bounds are those of the ranking's benchmark: `ubiquitous` above its bound of the accounts whose plan includes the
    feature (these shares are shown), else `niche` below its bound of all accounts (`adoption_drift` shows those). It is
    watched where the verdict has changed and no interval (Wilson), of neither share before or since, holds its bound.

    Args:
        frame: as for `adoption_drift`, with plan.
        features: with a column of the frame each.
        benchmark: bounds as shares.
        adopted_at: as for `adoption_drift`.

    Raises:
        ValueError: an account has two rows.
    """
    since = _since(frame, adopted_at)
    rows = []
    for position, feature in enumerate(features, start=1):
        is_eligible = frame["plan"].isin(feature.plans).to_numpy() if feature.plans else np.ones(len(frame), dtype=np.bool_)
        everybody = _Use.of(frame, since, feature.name)
        eligible = _Use.of(frame.loc[is_eligible], since[is_eligible], feature.name)
        before, was_near = _judged(eligible.former, everybody.former, benchmark)
        now, is_near = _judged(eligible.share, everybody.share, benchmark)
        is_changed = before is not None and now is not None and before != now
        rows.append(
            {
                "kind": "feature_verdict",
                "subject": feature.name,
                "position": position,
                "is_watched": is_changed and not (was_near or is_near),
                "reference_verdict": before,
                "verdict": now,
                **eligible.columns,
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Use:
    """Accounts of which a feature is known, and the shares of them that use it, before and since."""

    former_accounts: int
    accounts: int
    former: Interval
    share: Interval
    changed: Interval
    p: float

    @classmethod
    def of(cls, frame: pd.DataFrame, since: NDArray[np.bool_], feature: str) -> Self:
        values = pd.to_numeric(frame[feature]).to_numpy(dtype=np.float64, na_value=np.nan)
        is_known, is_user = np.isfinite(values), values > 0
        now, before = int((is_known & since).sum()), int((is_known & ~since).sum())
        users, former = int((is_user & since).sum()), int((is_user & ~since).sum())
        return cls(
            former_accounts=before,
            accounts=now,
            former=wilson(former, before),
            share=wilson(users, now),
            changed=newcombe(users, now, former, before),
            p=crude_p(users, now - users, former, before - former),
        )

    @property
    def columns(self) -> dict[str, object]:
        return {
            "reference_accounts": self.former_accounts,
            "accounts": self.accounts,
            "reference": float(self.former.estimate),
            "reference_low": float(self.former.lower),
            "reference_high": float(self.former.upper),
            "value": float(self.share.estimate),
            "value_low": float(self.share.lower),
            "value_high": float(self.share.upper),
            "difference": float(self.changed.estimate),
            "low": float(self.changed.lower),
            "high": float(self.changed.upper),
        }


def _since(frame: pd.DataFrame, adopted_at: pd.Timestamp | None) -> NDArray[np.bool_]:
    if frame["account_key"].duplicated().any():
        raise ValueError("an account has more than one row; before and since must be different accounts")
    return is_since(frame["observed_at"], adopted_at)


def _judged(eligible: Interval, everybody: Interval, benchmark: "AdoptionBenchmark") -> tuple[str | None, bool]:
    """Return the verdict on the two shares, None where there is no account, and whether an interval holds its bound."""
    if np.isnan(everybody.estimate):
        return None, True
    is_near = _holds(eligible, benchmark.ubiquitous) or _holds(everybody, benchmark.niche)
    if eligible.estimate > benchmark.ubiquitous:
        return "ubiquitous", is_near
    return "niche" if everybody.estimate < benchmark.niche else "neither", is_near


def _holds(share: Interval, bound: float) -> bool:
    return bool(share.lower <= bound <= share.upper)
