"""Response curves: how many accounts stay along a value, where its threshold was picked, and the adopted one.

Put here the charts of the tables `*_threshold_curve`. Keep out how pick, band and intervals come about (`evidence.thresholds`).
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from milestones_dagster.charts.page import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    SMALL,
    Page,
    axis_label,
    effect_words,
    known,
    number,
    percent_axis,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LARGEST_CIRCLE = 140.0
# share of the width from which on a label finds no room to the right of its line
_NEAR_THE_END = {"picked": 0.55, "adopted": 0.85}


def activation(tables: "Mapping[str, pd.DataFrame]") -> "Figure | None":
    """Retention along the activation count, with pick, stability interval and adopted value.

    Args:
        tables: `activation_threshold_curve` and `activation_threshold`, as published.

    Returns:
        The figure; None where there is no account to draw.
    """
    return _response(
        tables["activation_threshold_curve"],
        tables["activation_threshold"],
        ("activation event", "activation events"),
        "Activation events before the landmark (events)",
    )


def usage(tables: "Mapping[str, pd.DataFrame]") -> "Figure | None":
    """Retention along the usage ratio, with pick, stability interval and adopted value.

    Args:
        tables: `usage_threshold_curve` and `usage_threshold`, as published.

    Returns:
        The figure; None where there is no account to draw.
    """
    unit = "resolved conversations per seat and month"
    return _response(
        tables["usage_threshold_curve"],
        tables["usage_threshold"],
        (unit, unit),
        "Usage ratio in the month compared (resolved conversations per seat)",
    )


def _response(curve: "pd.DataFrame", found: "pd.DataFrame", units: tuple[str, str], label: str) -> "Figure | None":
    if curve.empty or found.empty:
        return None
    row = found.iloc[0]
    page = Page(_title(row, units), _caption(row), height=3.8)
    axes = page.axes(left=0.75, bottom=0.55, right=0.2, top=0.5)
    draw(axes, curve)
    mark(axes, row)
    axis_label(axes, x=label, y="Accounts retained")
    return page.figure


def draw(axes: "Axes", curve: "pd.DataFrame", name: str = "", scale: float = 1.0) -> None:
    """One response curve: fit, band, and a circle per step; its parts are known by their `gid`, with `name` before it.

    Args:
        axes: Empty; their limits are set.
        curve: A threshold's curve, at least one row.
        name: Tells several curves of one figure apart.
        scale: Of the circles.
    """
    curve = curve.sort_values("value", ignore_index=True)
    # the last step is open: it is drawn as wide as a twelfth of the whole
    first, last = float(curve["value"].iloc[0]), float(curve["value"].iloc[-1])
    end = last + max((last - first) / 12, 1e-9)
    values = [*curve["value"], end]

    def to_end(column: str) -> list[float]:
        return [*curve[column], float(curve[column].iloc[-1])]

    band: dict[str, Any] = {"step": "post", "color": BLUE, "alpha": 0.18, "linewidth": 0, "gid": f"{name}band"}
    axes.fill_between(values, to_end("retention_low"), to_end("retention_high"), **band)
    seen = curve[curve["band_accounts"] > 0]
    widths = [after - before for before, after in pairwise(values)]
    middle = curve["value"] + [width / 2 for width in widths]
    sizes = scale * _LARGEST_CIRCLE * seen["band_accounts"] / seen["band_accounts"].max()
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": GREY, "linewidth": 0.7}
    axes.scatter(middle[seen.index], seen["band_retained_share"], s=sizes, gid=f"{name}seen", **look)
    axes.step(values, to_end("retention"), where="post", color=BLUE, linewidth=2.0, gid=f"{name}response")
    axes.set_xlim(first, end)
    lowest = min(curve["retention_low"].min(), seen["band_retained_share"].min())
    axes.set_ylim(max(lowest - 0.05, 0.0) if lowest > 0 else -0.03, 1.03)
    percent_axis(axes.yaxis)


def mark(axes: "Axes", row: Any, name: str = "", *, is_brief: bool = False) -> None:
    """The lines of pick and adopted value, their labels above the plot in rows of their own, and the shaded stability interval.

    Args:
        axes: With a curve drawn.
        row: The threshold's row.
        name: As for `draw`.
        is_brief: Fewer words, of a chart with less room.
    """
    first, end = axes.get_xlim()
    pick = f"picked {number(row['pick'])}" if known(row["pick"]) else ""
    if known(row["pick_low"]):
        pick += ", stability interval " if not is_brief else ", "
        pick += f"{number(row['pick_low'])} to {number(row['pick_high'])}"
        axes.axvspan(row["pick_low"], row["pick_high"], color=ORANGE, alpha=0.16, linewidth=0, gid=f"{name}stability")
    # a row of words is 0.19 inches high
    inches = axes.bbox.height / axes.figure.dpi
    marks: list[tuple[str, Any, str, str, Any, float]] = [("picked", row["pick"], pick, RED, "solid", 1.015 + 0.19 / inches)]
    if known(row["adopted"]):
        marks.append(("adopted", row["adopted"], f"adopted {number(row['adopted'])}", INK, (0, (4, 3)), 1.015))
    for kind, value, text, color, style, height in marks:
        if not known(value):
            continue
        shown = min(max(value, first), end)
        # the label of the adopted value lies on the side where the line of the pick does not cross it
        is_free = kind == "picked" or not known(row["pick"]) or value >= row["pick"]
        is_beside_right = is_free and (shown - first) / (end - first) < _NEAR_THE_END[kind]
        if shown == value:
            axes.axvline(value, color=color, linestyle=style, linewidth=1.6, gid=f"{name}{kind}")
            axes.plot(
                [value, value], [1.0, height], transform=axes.get_xaxis_transform(), color=color, linewidth=0.8, clip_on=False
            )
        axes.annotate(
            text if shown == value else f"{text}, beyond the curve",
            (shown, height),
            xycoords=axes.get_xaxis_transform(),
            xytext=(3 if is_beside_right else -3, 0),
            textcoords="offset points",
            ha="left" if is_beside_right else "right",
            va="bottom",
            size=SMALL + 0.5,
            color=color,
            annotation_clip=False,
        )
    axes.set_xlim(first, end)


def _title(row: Any, units: tuple[str, str]) -> str:
    if not known(row["pick"]):
        return f"No value of {units[1]} goes with staying: no threshold is picked"
    value = f"{number(row['pick'])} or more {units[0] if row['pick'] == 1 else units[1]}"
    if row["trust"] == "interview":
        return f"Too few accounts to tell whether {value} go with staying: decides nothing"
    if not row["is_signal"]:
        return f"The later accounts do not confirm that {value} go with staying: no threshold"
    effect = effect_words(row["difference"], row["difference_low"], row["difference_high"])
    return f"{value} go with {effect} of retention among accounts alike"


def _caption(row: Any) -> str:
    effect = " Alike: in plan and size." if row["is_signal"] else ""
    if known(row["difference"]) and not row["is_signal"]:
        words = effect_words(row["difference"], row["difference_low"], row["difference_high"])
        effect = f" Difference at the pick, on these alone, among accounts alike in plan and size: {words}."
    reason = "" if row["is_signal"] else f" No signal: {row['reason']}."
    sharp = "" if row["is_sharp"] or not known(row["pick"]) else " No sharp threshold: the interval spans more than a factor of 2."
    shaded = " Shaded: stability interval of the pick." if known(row["pick_low"]) else ""
    return (
        f"n = {row['accounts']:,} accounts; picked on {row['earlier_accounts']:,} of earlier cohorts, measured on "
        f"{row['later_accounts']:,} of later ones. Trust: {row['trust']}.{effect}{reason}{sharp} "
        "Line: share retained, never falling (isotonic fit), with its 95 % band by resampling accounts. Circles: accounts "
        f"of each step, their area by number.{shaded}"
    )
