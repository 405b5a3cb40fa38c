"""Defines whom a threshold concerns by name, and the sentences that a reader of it needs.

Put here words and lists of accounts about a threshold. Keep out every number that is estimated (`thresholds.py`).
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
import pandas as pd

from milestones_dagster.evidence.threshold_resamples import Stability
from milestones_dagster.evidence.threshold_search import Rows

MOST_NAMED = 20
"""Accounts that a list names at most."""


@dataclass(frozen=True)
class Counts:
    """Accounts that are in no group, by reason; the share of who left before L is of them and the rows together."""

    milestone: str
    rows: int
    left_before: int
    left_before_share: float
    locked: int
    no_seats: int
    sampled_out: int

    @classmethod
    def of(cls, frame: pd.DataFrame, milestone: str, sampled_out: int) -> "Counts":
        """Return the counts of a landmark table by its `standing`."""
        by = frame["standing"].value_counts()
        rows, left = int(by.get("row", 0)), int(by.get("left_before", 0))
        share = left / (left + rows) if left + rows else float("nan")
        return cls(milestone, rows, left, share, int(by.get("locked", 0)), int(by.get("no_seats", 0)), sampled_out)


@dataclass(frozen=True)
class Moving:
    """Accounts between the adopted and the derived value: their rows, `towards` what they would move, named ones."""

    frame: pd.DataFrame
    towards: str | None
    names: str | None


def between(compared: pd.DataFrame, pick: float, adopted: float | None) -> Moving:
    """Return the accounts that one of the two values counts as having reached the milestone and the other does not."""
    if adopted is None or not isfinite(pick) or pick == adopted:
        return Moving(compared.iloc[:0], None, None)
    low, high = min(pick, adopted), max(pick, adopted)
    moved = compared.loc[(compared["value"] >= low) & (compared["value"] < high)]
    return Moving(moved, "reached" if pick < adopted else "not reached", _names(moved))


def nearest(compared: pd.DataFrame, value: float | None) -> str | None:
    """Return the accounts to talk to: the nearest below and at or above the value, in equal numbers, the largest MRR first.

    Where one side has fewer, the other fills the list.
    """
    if value is None or not isfinite(value) or compared.empty:
        return None
    ordered = compared.assign(distance=(compared["value"] - value).abs()).sort_values(["distance", "account_id"])
    is_above = ordered["value"] >= value
    above, below = ordered.loc[is_above], ordered.loc[~is_above]
    half = MOST_NAMED // 2
    upper = min(len(above), max(half, MOST_NAMED - len(below)))
    return _names(pd.concat([above.iloc[:upper], below.iloc[: MOST_NAMED - upper]]))


def _names(accounts: pd.DataFrame) -> str | None:
    """Return at most `MOST_NAMED` identifiers, the largest MRR first, ties and unknown ones by name."""
    if accounts.empty:
        return None
    ordered = accounts.assign(mrr=pd.to_numeric(accounts["mrr"]).fillna(0.0)).sort_values(
        ["mrr", "account_id"], ascending=[False, True]
    )
    return ", ".join(ordered["account_id"].astype(str).iloc[:MOST_NAMED])


def note(
    counts: Counts,
    earlier: Rows,
    later: Rows,
    pick: float,
    stable: Stability,
    is_sharp: bool,
    reason: str | None,
    caveats: tuple[str, ...],
) -> str:
    """Return the sentences, the most important first."""
    sentences = []
    if reason is not None:
        sentences.append(f"No signal: {reason}.")
    if later.size and earlier.size:
        last = np.datetime_as_string(earlier.cohort_months.max(), unit="M")
        sentences.append(
            f"Sought on {earlier.size:,} accounts of cohorts up to {last}, measured on the {later.size:,} of later cohorts."
        )
        if reason is None:
            sentences.append("It goes with staying, among accounts of the same plan and size; that it causes it is not shown.")
    elif earlier.size:
        sentences.append("All accounts are of one cohort month, so that none is left to measure the pick on.")
    if isfinite(pick) and not is_sharp:
        sentences.append(
            f"No sharp threshold: the stability interval, {stable.low:g} to {stable.high:g}, spans more than a factor of 2."
        )
    if isfinite(pick) and stable.picked_share < 1:
        sentences.append(f"{1 - stable.picked_share:.1%} of the resamples have no pick.")
    return " ".join([*sentences, *_left_out(counts), *caveats])


def _left_out(counts: Counts) -> list[str]:
    """Return a sentence per kind of account that is in no group."""
    sentences = []
    if counts.left_before:
        what = "left before the landmark" if counts.milestone == "activation" else "did not pay for all of the month drawn of them"
        sentences.append(f"{counts.left_before:,} accounts ({counts.left_before_share:.1%}) {what} and are in no group.")
    if counts.locked:
        sentences.append(f"{counts.locked:,} accounts could not leave within the horizon and are left out.")
    if counts.no_seats:
        sentences.append(f"{counts.no_seats:,} accounts had no seats and so no ratio, and are left out.")
    if counts.sampled_out:
        kept = counts.rows - counts.sampled_out
        sentences.append(f"{kept:,} of {counts.rows:,} accounts, taken by hash, are read.")
    return sentences
