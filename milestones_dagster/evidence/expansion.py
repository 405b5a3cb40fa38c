"""Defines what a threshold that retention picked, or that is adopted, says of expansion.

Put here the second outcome of the thresholds. Keep out the pick (`thresholds.py`): nothing is picked by expansion, so
that a threshold stays one value. Expansion goes with it among accounts of the same plan and size, and no more is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from milestones_dagster.evidence.threshold_notes import nearest
from milestones_dagster.evidence.threshold_search import Rows
from milestones_dagster.evidence.thresholds import effect

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework

BASES = ("pick", "adopted")
"""What is compared: columns of a threshold's row."""


def measure(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return two rows per milestone or area: expansion at or above the picked value, and at or above the adopted one.

    Both on the accounts of cohorts later than those on which the value was picked: Mantel–Haenszel risk difference
    (Sato's variance) over plan × size beside the crude one (Newcombe), test and trust.

    Args:
        frame: the landmark tables, one row per behaviour and account: behaviour, account_id, account_key, cohort_month,
            standing, plan, size_stratum, mrr, value, expanded (missing where it is unknown).
        framework: its areas, in order.
        also: `activation_threshold`, `usage_threshold`, `area_thresholds`: pick, adopted, earlier_to_month.
    """
    areas = also["area_thresholds"].set_index("area")
    picked: list[tuple[str, Mapping[Any, Any]]] = [
        ("activation", also["activation_threshold"].iloc[0].to_dict()),
        ("usage", also["usage_threshold"].iloc[0].to_dict()),
        *((f"area:{area.name}", areas.loc[area.name].to_dict()) for area in framework.areas),
    ]
    rows: list[dict[str, object]] = []
    for position, (behaviour, threshold) in enumerate(picked, start=1):
        part = frame.loc[frame["behaviour"] == behaviour]
        rows += ({"position": position, "behaviour": behaviour, **row} for row in expansion(part, threshold))
    return pd.DataFrame(rows)


def expansion(frame: pd.DataFrame, threshold: Mapping[Any, Any]) -> Iterator[dict[str, object]]:
    """Yield the row of the pick and the row of the adopted value, of one behaviour.

    Who could not leave within the horizon could expand, and is compared; who left did not expand.
    """
    is_present = frame["standing"].isin(["row", "locked"])
    known = frame.loc[is_present & frame["expanded"].notna()]
    left, no_mrr = int((frame["standing"] == "left_before").sum()), int((is_present & frame["expanded"].isna()).sum())
    rows = Rows.of(known.assign(retained=known["expanded"]))
    cut = threshold["earlier_to_month"]
    is_later = np.zeros(rows.size, dtype=np.bool_) if pd.isna(cut) else rows.cohort_months > np.datetime64(cut, "D")
    later = rows.where(is_later)
    for basis in BASES:
        value = float(threshold[basis]) if pd.notna(threshold[basis]) else nan
        found = effect(later, value)
        numbers = {name.replace("retained_", "expanded_"): number for name, number in asdict(found).items()}
        yield {
            "basis": basis,
            "outcome": "expanded",
            "value": value,
            "rows": rows.size,
            "accounts": rows.size,
            "left_before": left,
            "left_before_share": left / (left + rows.size) if left + rows.size else nan,
            "no_mrr": no_mrr,
            "later_accounts": later.size,
            **numbers,
            "interview_account_ids": nearest(known, value) if found.trust == "interview" else None,
            "note": _note(basis, value, later.size, found.difference, (left, no_mrr), is_known=found.trust != "interview"),
        }


def _note(basis: str, value: float, later: int, difference: float, left_out: tuple[int, int], *, is_known: bool) -> str:
    sentences = []
    named = "picked by retention" if basis == "pick" else "adopted"
    if not isfinite(value):
        sentences.append(f"No value is {named}.")
    elif not later:
        sentences.append("No later account's outcome is known.")
    elif not is_known:
        sentences.append(f"Too few of the {later:,} later accounts to decide on; talk to them.")
    else:
        sentences.append(
            f"The value {named} goes with {difference * 100:+.1f} points of expansion, among {later:,} later accounts of the "
            "same plan and size."
        )
    for count, reason in zip(left_out, ("left before the landmark", "had no known revenue at the landmark"), strict=True):
        if count:
            sentences.append(f"{count:,} accounts {reason} and are in no group.")
    return " ".join(sentences)
