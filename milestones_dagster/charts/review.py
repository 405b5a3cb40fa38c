"""The framework review's trends: of each milestone the gap before the adopted version, the gap since, and its change by quarter.

Put here the chart of `framework_review`. Keep out the tests and the proposals (`evidence.framework_review`).
"""

from typing import TYPE_CHECKING, Any

from milestones_dagster.charts.page import BLUE, GREY, INK, ORANGE, PALE, RED, SMALL, TEXT, Page, axis_label, known, points

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.52
_INTERVIEW = "interview"
_BEFORE, _SINCE = -0.14, 0.14


def gaps(tables: "Mapping[str, pd.DataFrame]") -> "Figure | None":
    """One row per milestone: its gap before and since with their intervals, and the slope over the quarters.

    Args:
        tables: `framework_review`, as published.

    Returns:
        The figure; None where no milestone has accounts on either side.
    """
    review = tables["framework_review"].sort_values("position")
    review = review[(review["accounts"] > 0) | (review["reference_accounts"] > 0)]
    if review.empty:
        return None
    rows = review.to_dict("records")
    page = Page(_title(rows), _caption(rows), height=_ROW * len(rows) + 0.95)
    left = page.axes(left=1.75, bottom=0.55, right=2.15, top=0.35)
    right = page.axes(left=5.2, bottom=0.55, right=0.2, top=0.35)
    for line, row in enumerate(rows):
        _mark(left, line + _BEFORE, row, ("reference_gap", row["reference_trust"], ORANGE, "s", "before"))
        _mark(left, line + _SINCE, row, ("gap", row["trust"], BLUE, "o", "since"))
        _mark(right, line, row, ("slope", row["trust"], INK, "D", "slope"))
        for axes in (left, right):
            axes.axhspan(line - 0.42, line + 0.42, color=PALE, alpha=0.18, linewidth=0)
        axes_label: dict[str, Any] = {
            "xycoords": left.get_yaxis_transform(),
            "textcoords": "offset points",
            "annotation_clip": False,
            "ha": "right",
        }
        left.annotate(row["milestone"], (0, line), xytext=(-8, 1), va="bottom", size=TEXT, color=INK, **axes_label)
        left.annotate(
            row["proposal"], (0, line), xytext=(-8, -1), va="top", size=SMALL, color=_color(row["proposal"]), weight="bold",
            gid=f"proposal {line}", **axes_label,
        )  # fmt: skip
    for axes in (left, right):
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=GREY, linewidth=1.0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.3g}".replace("-", "−") if value else "0")
    if review["slope"].isna().all():
        right.set_xticks([])
        right.annotate("too few quarters", (0.5, 0.5), xycoords="axes fraction", ha="center", size=SMALL, color=GREY)
    axis_label(left, x="Gap among accounts alike (points)")
    axis_label(right, x="Change by quarter (points)")
    _key(left)
    return page.figure


def _mark(axes: "Axes", height: float, row: "Mapping[str, Any]", how: tuple[str, str, str, str, str]) -> None:
    """An estimate with its interval; hollow where the trust is `interview`."""
    name, trust, color, marker, gid = how
    if not known(row[name]):
        return
    is_open = trust == _INTERVIEW
    edge = GREY if is_open else color
    line = round(height)
    if known(row[f"{name}_low"]):
        axes.plot(
            [row[f"{name}_low"], row[f"{name}_high"]], [height, height], color=edge, linewidth=1.4, gid=f"{gid} interval {line}"
        )
    look: dict[str, Any] = {"marker": marker, "markersize": 6, "color": "white" if is_open else color, "markeredgecolor": edge}
    axes.plot([row[name]], [height], gid=f"{gid} {line}", **look)


def _key(axes: "Axes") -> None:
    transform = axes.transAxes
    for place, marker, color, text in ((0.1, "s", ORANGE, "before"), (0.5, "o", BLUE, "since the adopted version")):
        axes.plot(
            [place],
            [1.07],
            marker=marker,
            markersize=5,
            color=color,
            transform=transform,
            clip_on=False,
            scalex=False,
            scaley=False,
        )
        axes.annotate(
            text, (place, 1.07), xycoords=transform, xytext=(6, 0), textcoords="offset points", va="center", size=SMALL, color=INK,
            annotation_clip=False,
        )  # fmt: skip


def _color(proposal: str) -> str:
    return {"keep": BLUE, "cannot tell": GREY}.get(proposal, RED)


def _title(rows: "list[dict[str, Any]]") -> str:
    told = []
    for row in rows:
        fallen = f"has weakened by {points(row['weakened_by']).removeprefix('+')} points" if row["is_weakened"] else ""
        words = [
            fallen,
            "wants another threshold" if row["is_retune"] else "",
            "is proposed to retire" if row["proposal"] == "retire" else "",
        ]
        if any(words):
            told.append(f"{row['milestone']} {' and '.join(filter(None, words))}")
    if told:
        finding = "; ".join(told)
        return finding[0].upper() + finding[1:]
    if all(row["proposal"] == "cannot tell" for row in rows):
        return "Too few accounts since the adopted version to review any milestone: decides nothing"
    untold = sum(row["proposal"] == "cannot tell" for row in rows)
    return f"No milestone is shown to have weakened{f'; {untold} of {len(rows)} cannot be told yet' if untold else ''}"


def _caption(rows: "list[dict[str, Any]]") -> str:
    sizes = "; ".join(
        f"{row['milestone']} {row['reference_accounts']:,} before ({row['reference_trust']}), "
        f"{row['accounts']:,} since ({row['trust']})"
        for row in rows
    )
    return (
        f"n = accounts compared: {sizes}. Gap: difference of the outcome (retention; for setup, activation) between "
        "accounts that reached the milestone and others alike in plan and size, with 95 % interval; its change by quarter where at "
        "least three quarters can be trusted. Hollow, grey: interview, too few accounts, decides nothing."
    )
