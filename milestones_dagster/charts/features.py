"""Importance of the features against their adoption, with the bounds of the adoption benchmark.

Put here the chart of `feature_importance`. Keep out how features are ranked (`evidence.forest`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from milestones_dagster.charts.page import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    RED,
    SMALL,
    TEXT,
    Page,
    axis_label,
    known,
    percent_axis,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {
    "differentiator": BLUE,
    "warning_sign": RED,
    "ubiquitous": ORANGE,
    "niche": ORANGE,
    "weak": PALE,
    "interview": PALE,
}
_TELLING = ("differentiator", "warning_sign")
_NAMED, _NAMED_OTHERS = 10, 3
_LINE = 0.075
_LETTERS = 30
_COLUMN = 2.35


def importance(tables: "Mapping[str, pd.DataFrame]") -> "Figure | None":
    """Importance of each representative against the share of accounts that use it; the most important ones have their names.

    Features without an adoption (attributes) and without an importance (nothing could be fitted) are not drawn.

    Args:
        tables: `feature_importance`, as published, and `config.policy`, whose one row has the benchmark's bounds.

    Returns:
        The figure; None where no feature has both.
    """
    ranking, policy = tables["feature_importance"], tables["config.policy"].iloc[0]
    drawn = ranking[ranking["importance"].notna() & ranking["adoption_eligible"].notna()]
    # what belongs to a group of correlated features is drawn once
    drawn = drawn[drawn["is_representative"]]
    if drawn.empty:
        return None
    drawn = drawn.sort_values(["importance", "feature"], ascending=[False, True])
    page = Page(_title(drawn), _caption(ranking, drawn), height=4.2)
    axes = page.axes(left=0.8, bottom=0.55, right=_COLUMN, top=0.3)
    for row in drawn.to_dict("records"):
        color = _COLORS[row["verdict"]]
        share, height = row["adoption_eligible"], row["importance"]
        if known(row["adoption_all"]) and row["adoption_all"] < share:
            look: dict[str, Any] = {"color": PALE, "linewidth": 0.7, "marker": "|", "markevery": [0], "markersize": 4}
            axes.plot([row["adoption_all"], share], [height, height], **look)
        if known(row["importance_low"]):
            axes.plot([share, share], [row["importance_low"], row["importance_high"]], color=color, linewidth=0.9, alpha=0.8)
    colors = [_COLORS[verdict] for verdict in drawn["verdict"]]
    # what is rare is hollow, so that it differs from what is common also without colour
    faces = ["white" if verdict == "niche" else _COLORS[verdict] for verdict in drawn["verdict"]]
    axes.scatter(drawn["adoption_eligible"], drawn["importance"], s=24, c=faces, edgecolor=colors, zorder=3, gid="features")
    axes.axhline(0, color=GREY, linewidth=0.8)
    _bounds(axes, float(policy["niche_share"]), float(policy["ubiquitous_share"]))
    axes.set_xlim(0, 1.02)
    # the few that matter stand far above the many that do not: a square root leaves room for both
    axes.set_yscale("function", functions=(_root, _square))
    axes.margins(y=0.06)
    _names(axes, drawn)
    percent_axis(axes.xaxis)
    axis_label(axes, x="Accounts that use it, of those whose plan includes it", y="Importance (drop of held-out AUC, root scale)")
    return page.figure


def _bounds(axes: "Axes", niche: float, ubiquitous: float) -> None:
    for share, name, text, side in (
        (niche, "niche", f"niche: under {100 * niche:.0f} %", "left"),
        (ubiquitous, "ubiquitous", f"ubiquitous: over {100 * ubiquitous:.0f} %", "right"),
    ):
        axes.axvline(share, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, gid=name)
        axes.annotate(
            text,
            (share, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha=side,
            size=SMALL,
            color=INK,
            annotation_clip=False,
        )


def _names(axes: "Axes", drawn: "pd.DataFrame") -> None:
    """The names of the most important features in a column beside the plot, in the order of their points, each with its line."""
    screened = drawn[drawn["verdict"].isin(["ubiquitous", "niche"]) & (drawn["importance_low"] > 0)].head(_NAMED_OTHERS)
    telling = drawn[drawn["verdict"].isin(_TELLING)].head(_NAMED - len(screened))
    named = drawn.loc[[*telling.index, *screened.index]].sort_values(["importance", "feature"], ascending=[False, True])
    to_axes = axes.transAxes.inverted()
    at = [float(to_axes.transform(axes.transData.transform((0, height)))[1]) for height in named["importance"]]
    for height, row in zip(_apart(at), named.to_dict("records"), strict=True):
        is_telling = row["verdict"] in _TELLING
        axes.annotate(
            _short(row["title"]),
            (row["adoption_eligible"], row["importance"]),
            xytext=(1.05, height),
            textcoords="axes fraction",
            va="center",
            size=TEXT,
            color=INK if is_telling else GREY,
            annotation_clip=False,
            gid=row["feature"],
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkB": 3, "relpos": (0, 0.5)},
        )


def _apart(heights: list[float]) -> list[float]:
    """Heights (of the axes, falling) moved apart by at least a line, as near to where they were as a pass down and one up leave."""
    moved: list[float] = []
    for height in heights:
        moved.append(min(height, moved[-1] - _LINE) if moved else min(height, 0.97))
    below = 0.02
    for place in reversed(range(len(moved))):
        moved[place] = max(moved[place], below)
        below = moved[place] + _LINE
    return moved


def _root(values: Any) -> Any:
    return np.sign(values) * np.sqrt(np.abs(values))


def _square(values: Any) -> Any:
    return np.sign(values) * np.square(values)


def _short(title: str) -> str:
    return title if len(title) <= _LETTERS else f"{title[: _LETTERS - 1].rstrip()}…"


def _title(drawn: "pd.DataFrame") -> str:
    found = drawn[drawn["verdict"].isin(_TELLING)]
    if found.empty and (drawn["verdict"] == "interview").any():
        return "Too few accounts to say which features go with staying: decides nothing"
    if found.empty:
        return "No feature tells accounts that stay from those that leave"
    first = found.iloc[0]["title"]
    most = "feature tells" if len(found) == 1 else "features tell"
    return f"{len(found)} {most} accounts that stay from those that leave, first of them: {first}"


def _caption(ranking: "pd.DataFrame", drawn: "pd.DataFrame") -> str:
    row: Any = ranking.iloc[0]
    auc = f" Held-out AUC {row['auc']:.2f} ({row['auc_low']:.2f} to {row['auc_high']:.2f})." if known(row["auc"]) else ""
    counts = drawn["verdict"].value_counts()
    verdicts = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in _COLORS if name in counts)
    return (
        f"n = {row['held_out_accounts']:,} held-out accounts, {row['held_out_rows']:,} rows.{auc} Verdicts: {verdicts}. "
        "Blue: tells accounts that stay; red: those that leave; orange: too common (filled) "
        "or too rare (hollow) to tell; grey: weak. "
        "Upright lines: 95 % intervals; "
        "the tick to the left is the adoption among all accounts, to which the bound of niche applies. Importance shows no cause."
    )
