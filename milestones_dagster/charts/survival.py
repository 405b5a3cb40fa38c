"""Survival curves of the activated and of the other accounts, with the numbers at risk below.

Put here the chart of `activation_survival`. Keep out the estimates (`evidence.survival`) and the tests on them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from milestones_dagster.charts.page import (
    BLUE,
    GREY,
    INK,
    RED,
    SMALL,
    TEXT,
    Page,
    axis_label,
    effect_words,
    known,
    percent,
    percent_axis,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GROUPS = {"activated": ("activated", BLUE), "not_activated": ("not activated", RED)}
_OUTCOME = "dormant_or_left"
_FEW_AT_RISK = 10
_MOST_TICKS = 7
_LEFT = 1.15


def activation(tables: "Mapping[str, pd.DataFrame]") -> "Figure | None":
    """Share of the activated and of the other accounts neither dormant nor left, by days since the landmark.

    Args:
        tables: `activation_survival` and `activation_validation`, as published.

    Returns:
        The figure; None where no account is followed.
    """
    curves, validation = tables["activation_survival"], tables["activation_validation"]
    told = validation[(validation["outcome"] == _OUTCOME) & (validation["cohort"] == "all")]
    if curves.empty or told.empty:
        return None
    row = told.iloc[0]
    page = Page(_title(row), _caption(row), height=4.45)
    axes = page.axes(left=_LEFT, bottom=1.15, right=1.12, top=0.25)
    ends = {}
    for name, (_, color) in _GROUPS.items():
        curve = curves[curves["group_name"] == name].sort_values("day")
        if not curve.empty:
            _draw(axes, curve, color, name)
            ends[name] = (float(curve["day"].iloc[-1]), float(curve["survival"].iloc[-1]))
    axes.set_xlim(0, curves["day"].max())
    axes.set_ylim(0, 1.02)
    _label(axes, ends)
    if known(row["horizon_days"]):
        axes.axvline(row["horizon_days"], color=INK, linestyle=(0, (1, 2)), linewidth=1.1, gid="horizon")
        axes.annotate(
            f"horizon, {row['horizon_days']:.0f} days",
            (row["horizon_days"], 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(3, 2),
            textcoords="offset points",
            size=SMALL,
            color=INK,
            annotation_clip=False,
        )
    ticks = _ticks(int(curves["day"].max()))
    axes.set_xticks(ticks)
    percent_axis(axes.yaxis)
    axis_label(axes, x="Days since the landmark, the end of the activation window", y="Neither dormant nor left")
    _risk_table(axes, curves, ticks)
    return page.figure


def _draw(axes: "Axes", curve: "pd.DataFrame", color: str, name: str) -> None:
    few = curve[curve["at_risk"] < _FEW_AT_RISK]
    enough = curve[curve["at_risk"] >= _FEW_AT_RISK]
    band = (curve["day"], curve["survival_low"], curve["survival_high"])
    axes.fill_between(*band, step="post", color=color, alpha=0.15, linewidth=0, gid=f"{name} band")
    # the dashed part begins where the solid one ends
    joined = curve.loc[[*enough.index[-1:], *few.index]]
    axes.step(enough["day"], enough["survival"], where="post", color=color, linewidth=2.0, gid=name)
    axes.step(joined["day"], joined["survival"], where="post", color=color, linewidth=1.2, linestyle=(0, (3, 2)), gid=f"{name} few")


def _label(axes: "Axes", ends: Mapping[str, tuple[float, float]]) -> None:
    """The groups' names beside the ends of their curves, moved apart where the curves end together."""
    heights = {name: survival for name, (_, survival) in ends.items()}
    least = 0.09
    if len(heights) == len(_GROUPS):
        upper, lower = sorted(heights, key=lambda name: (-heights[name], list(_GROUPS).index(name)))
        missing = least - (heights[upper] - heights[lower])
        if missing > 0:
            heights[upper] += missing / 2
            heights[lower] -= missing / 2
    right = axes.get_xlim()[1]
    for name, height in heights.items():
        words, color = _GROUPS[name]
        axes.annotate(
            words,
            (right, height),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=TEXT,
            color=color,
            weight="bold",
            annotation_clip=False,
        )


def _ticks(last: int) -> list[int]:
    step = next(days for days in (28, 56, 84, 112, 168, 364, 728, 1456, last) if last // days <= _MOST_TICKS)
    return list(range(0, last + 1, max(step, 1)))


def _risk_table(axes: "Axes", curves: "pd.DataFrame", ticks: list[int]) -> None:
    settings: dict[str, Any] = {
        "xycoords": axes.get_xaxis_transform(),
        "textcoords": "offset points",
        "annotation_clip": False,
        "va": "center",
    }
    axes.annotate("at risk", (0, 0), xytext=(-18, -44), ha="right", size=SMALL, color=GREY, **settings)
    for line, (name, (words, color)) in enumerate(_GROUPS.items()):
        below = -57 - 13 * line
        axes.annotate(words, (0, 0), xytext=(-18, below), ha="right", size=SMALL, color=color, **settings)
        at_risk = curves[curves["group_name"] == name].set_index("day")["at_risk"]
        for day in ticks:
            text = f"{int(at_risk.get(day, 0)):,}"
            axes.annotate(text, (day, 0), xytext=(0, below), ha="center", size=SMALL, color=color, gid=f"{name} {day}", **settings)


def _title(row: Any) -> str:
    if row["trust"] == "interview":
        return "Too few accounts to tell whether activated accounts go on using the product: decides nothing"
    if not known(row["difference"]):
        return "No activated account can be compared with another of the same plan and size"
    effect = effect_words(row["difference"], row["difference_low"], row["difference_high"])
    return (
        f"Activation goes with {effect} of accounts neither dormant nor left after {row['horizon_days']:.0f} days, "
        "among accounts alike in plan and size"
    )


def _caption(row: Any) -> str:
    shares = ""
    if known(row["activated_share"]) and known(row["other_share"]) and known(row["horizon_days"]):
        shares = (
            f" At the horizon {percent(row['activated_share'])} of the former and {percent(row['other_share'])} of the latter "
            "were neither dormant nor left."
        )
    return (
        f"n = {row['activated']:,} activated and {row['not_activated']:,} other accounts. Trust: {row['trust']}.{shares} "
        f"Kaplan-Meier with 95 % bands, not adjusted; dashed where fewer than {_FEW_AT_RISK} are at risk. "
        "That activation brings it about is not shown."
    )
