"""Response curves of the product areas: one panel each, with the pick and the adopted value.

Put here the chart of `area_threshold_curve`. Keep out how one curve is drawn (`charts.thresholds`) and how pick, band and
intervals come about (`evidence.areas`).
"""

from typing import TYPE_CHECKING, Any

from milestones_dagster.charts.page import GREY, INK, SMALL, TEXT, WIDTH, Page, axis_label, number, points, shortened
from milestones_dagster.charts.thresholds import draw, mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

MOST = 6
"""Panels: more would be too small to be read, or the picture too large to be kept."""
_UNITS = {
    "count": "Events in the month",
    "days": "Days in the month",
    "users": "Users in the month",
    "count_per_seat": "Events per seat in the month",
}
_HEIGHT, _LEFT, _BETWEEN, _RIGHT = 2.45, 0.78, 0.72, 0.2
_LETTERS = 38


def curves(tables: "Mapping[str, pd.DataFrame]") -> "Figure | None":
    """Retention along the metric of each area that has candidates, in the order of the config, at most `MOST` of them.

    Args:
        tables: `area_threshold_curve` and `area_thresholds`, as published.

    Returns:
        The figure; None where no area has a curve.
    """
    every, found = tables["area_threshold_curve"], tables["area_thresholds"].sort_values("position")
    drawn = found[found["area"].isin(every["area"])]
    if drawn.empty:
        return None
    shown = drawn.iloc[:MOST].to_dict("records")
    columns = min(len(shown), 2)
    lines = -(-len(shown) // columns)
    page = Page(_title(drawn), _caption(found, len(shown)), height=_HEIGHT * lines)
    width = (WIDTH - _LEFT - _RIGHT - (columns - 1) * _BETWEEN) / columns
    for place, row in enumerate(shown):
        line, column = divmod(place, columns)
        left = _LEFT + column * (width + _BETWEEN)
        bottom = _HEIGHT * (lines - 1 - line) + 0.55
        axes = page.axes(left=left, bottom=bottom, right=WIDTH - left - width, top=_HEIGHT * line + 0.85)
        name = f"{row['area']} "
        draw(axes, every[every["area"] == row["area"]], name, scale=0.45)
        mark(axes, row, name, is_brief=True)
        settings: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        axes.annotate(
            shortened(row["title"], _LETTERS * (3 - columns)),
            (0, 1),
            xytext=(-18, 46),
            size=TEXT,
            weight="bold",
            color=INK,
            **settings,
        )
        axes.annotate(_finding(row), (0, 1), xytext=(-18, 34), size=SMALL, color=GREY, gid=f"{name}finding", **settings)
        axis_label(axes, x=_UNITS[row["measure"]], y="Retained" if column == 0 else None)
    return page.figure


def _finding(row: Any) -> str:
    if not row["is_signal"]:
        return f"no signal: {row['reason']}"
    low, high = points(row["difference_low"]), points(row["difference_high"])
    return f"{points(row['difference'])} points ({low} to {high}), trust {row['trust']}"


def _title(drawn: "pd.DataFrame") -> str:
    signals = drawn[drawn["is_signal"].astype(bool)]
    if not signals.empty:
        first = signals.sort_values(["difference", "position"], ascending=[False, True]).iloc[0]
        verb = "has a threshold that goes" if len(signals) == 1 else "have thresholds that go"
        return (
            f"{len(signals)} of {len(drawn)} product areas {verb} with staying, most of all: "
            f"{first['title']}, from {number(first['pick'])} on"
        )
    if (drawn["trust"] == "interview").all():
        return "Too few accounts in every product area to tell whether its metric goes with staying: decides nothing"
    return "No product area has a threshold that goes with staying"


def _caption(found: "pd.DataFrame", shown: int) -> str:
    low, high = found["accounts"].min(), found["accounts"].max()
    size = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    which = f"{shown} of {len(found)} areas are drawn, the first of the config that have candidates. " if shown < len(found) else ""
    return (
        f"n = {size} accounts in an area. {which}Picked on earlier cohorts; the difference at the pick is of later ones alone, "
        "among accounts alike in plan and size, a signal judged by q over the areas. Line: share retained, never falling (isotonic "
        "fit), with its 95 % band by resampling accounts. Circles: accounts of each step, their area by number. Shaded: stability "
        "interval of the pick. It goes with staying; that it causes it is not shown."
    )
