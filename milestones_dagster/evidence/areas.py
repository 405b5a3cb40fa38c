"""Defines where the threshold of each product area's success metric lies, several areas being asked at once.

Put here what the areas need beyond one threshold: the false discovery rate over them, and their curves in one table. Keep
out the threshold itself (`thresholds.py`) and which accounts meet it (`area_success`).
"""

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING

import pandas as pd

from milestones_dagster.config.events import area_metrics
from milestones_dagster.evidence.association import benjamini_hochberg
from milestones_dagster.evidence.thresholds import CURVE_COLUMNS, caveats_of, curve, derived, effect, prepared

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework, ThresholdSearch


def thresholds(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per area: what `thresholds.derived` says of its metric, a signal judged by q over the areas.

    Args:
        frame: `area_landmarks` ; an area without a row has no account to be told by.
        framework: its areas, with their adopted thresholds, and its threshold search.
        also: no further tables.
    """
    del also
    search, caveats = framework.threshold_search, caveats_of(framework, "area")
    parts = [frame.loc[frame["area"] == area.name] for area in framework.areas]
    q = benjamini_hochberg([_p(part, search) for part in parts])
    described = zip(framework.areas, area_metrics(framework), parts, q, strict=True)
    rows: list[dict[str, object]] = []
    for position, (area, (measure, _), part, rate) in enumerate(described, start=1):
        adopted = None if area.threshold == "auto" else area.threshold
        found = derived(part, f"area:{area.name}", adopted, search, caveats, q=float(rate))
        told = {"area": area.name, "title": area.title, "measure": measure, "position": position, "q": float(rate)}
        rows += ({**told, **dict(row)} for row in found.to_dict("records"))
    if not rows:
        blank = derived(frame, "area", None, search, caveats)
        return blank.assign(area="", title="", measure="", position=0, q=nan).iloc[:0]
    return pd.DataFrame(rows)


def curves(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the `thresholds.curve` of every area's metric, area by area; an area without a candidate has no row.

    Args:
        frame: `area_landmarks`.
        framework: its areas, and its threshold search.
        also: no further tables.
    """
    del also
    found = []
    for position, area in enumerate(framework.areas, start=1):
        rows = curve(frame.loc[frame["area"] == area.name], framework.threshold_search)
        if len(rows):
            found.append(rows.assign(area=area.name, position=position))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["area", "position", *CURVE_COLUMNS])


def _p(frame: pd.DataFrame, search: "ThresholdSearch") -> float:
    """Return p of the pick on the later half; NaN where there is no pick or nothing later."""
    made = prepared(frame, search)
    return nan if made.search is None else effect(made.later, made.search.pick).p
