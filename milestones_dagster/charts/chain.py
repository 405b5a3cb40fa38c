"""The chain of milestones: of each link the shares that reached the next, and the difference among accounts alike.

Put here the charts of `milestone_chain`. Keep out the estimates (`evidence.chain`) and how cohorts are drawn (`charts.cohorts`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from milestones_dagster.charts.cohorts import by_cohort, height_of, panels, told_of
from milestones_dagster.charts.page import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    SMALL,
    Page,
    axis_label,
    effect_words,
    known,
    percent_axis,
    shortened,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.27
_LETTERS = 38
_INTERVIEW = "interview"


def links(tables: "Mapping[str, pd.DataFrame]") -> "Figure | None":
    """One row per link of all cohorts: P(next | reached) and P(next | not), and the adjusted effect with its interval.

    Below them a panel per link that has single cohorts: their effects by time, beside that of all cohorts.

    Args:
        tables: `milestone_chain`, as published.

    Returns:
        The figure; None where no link has accounts.
    """
    chain = tables["milestone_chain"]
    pooled = chain[(chain["cohort"] == "all") & (chain["accounts"] > 0)].sort_values("position")
    if pooled.empty:
        return None
    every = by_cohort(chain)
    below = height_of(len(every))
    page = Page(_title(pooled), _caption(pooled) + told_of(every), height=_ROW * len(pooled) + 0.85 + below)
    shares = page.axes(left=2.75, bottom=0.55 + below, right=2.4, top=0.3)
    effects = page.axes(left=4.95, bottom=0.55 + below, right=0.2, top=0.3)
    for line, row in enumerate(pooled.to_dict("records")):
        _link(shares, effects, line, row)
    for axes in (shares, effects):
        axes.set_ylim(len(pooled) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        percent_axis(axes.xaxis)
    shares.set_xlim(-0.04, 1.04)
    shares.set_xticks([0, 0.5, 1])
    shares.set_yticks(range(len(pooled)), [_name(row) for row in pooled.to_dict("records")])
    shares.tick_params(axis="y", length=0, labelsize=SMALL)
    for tick, trust in zip(shares.get_yticklabels(), pooled["trust"], strict=True):
        tick.set_color(GREY if trust == _INTERVIEW else INK)
    effects.set_yticks([])
    effects.axvline(0, color=GREY, linewidth=1.0)
    effects.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}".replace("-", "−") if value else "0")
    axis_label(shares, x="Reached the next")
    axis_label(effects, x="Difference among alike (points)")
    _key(shares)
    panels(page, every, [_name(link[0]) for link in every])
    return page.figure


def _link(shares: "Axes", effects: "Axes", line: int, row: Mapping[str, Any]) -> None:
    is_open = row["trust"] == _INTERVIEW
    reached, other = (PALE, PALE) if is_open else (BLUE, ORANGE)
    both = [row["other_next_share"], row["reached_next_share"]]
    if all(known(share) for share in both):
        shares.plot(both, [line, line], color=PALE, linewidth=1.6, zorder=1)
    for share, color, marker, name in ((both[0], other, "s", "not"), (both[1], reached, "o", "reached")):
        if known(share):
            face = "white" if is_open else color
            edge = GREY if is_open else color
            look: dict[str, Any] = {"marker": marker, "markersize": 6, "color": face, "markeredgecolor": edge}
            shares.plot([share], [line], gid=f"{name} {line}", zorder=2, **look)
    if known(row["effect"]) and known(row["effect_low"]):
        color = GREY if is_open else BLUE
        effects.plot([row["effect_low"], row["effect_high"]], [line, line], color=color, linewidth=1.3, gid=f"interval {line}")
        face = "white" if is_open else color
        effects.plot([row["effect"]], [line], marker="o", markersize=5, color=face, markeredgecolor=color, gid=f"effect {line}")


def _key(shares: "Axes") -> None:
    """What the two marks mean, above their column."""
    for place, marker, color, text in ((0.0, "s", ORANGE, "had not"), (0.5, "o", BLUE, "had reached it")):
        transform = shares.get_xaxis_transform()
        shares.plot([place], [1.03], marker=marker, markersize=5, color=color, transform=transform, clip_on=False, zorder=3)
        shares.annotate(
            text, (place, 1.03), xycoords=transform, xytext=(6, 0), textcoords="offset points", va="center", size=SMALL, color=INK,
            annotation_clip=False,
        )  # fmt: skip


def _name(row: Mapping[str, Any]) -> str:
    words = f"{row['behaviour'].removeprefix('setup:')} → {row['outcome']}".replace("_", " ")
    return shortened(words, _LETTERS)


def _title(pooled: "pd.DataFrame") -> str:
    known_links = pooled[(pooled["trust"] != _INTERVIEW) & pooled["effect"].notna()]
    if known_links.empty:
        return "Too few accounts in every link of the chain: decides nothing"
    confirmed = known_links[known_links["effect_low"] > 0]
    if confirmed.empty:
        return "No link of the chain goes with more of the next milestone, among accounts alike"
    row = confirmed.sort_values(["effect", "position"], ascending=[False, True]).iloc[0]
    effect = effect_words(row["effect"], row["effect_low"], row["effect_high"])
    behaviour = row["behaviour"].removeprefix("setup:").replace("_", " ").capitalize()
    return f"{behaviour} goes with {effect} of {row['outcome']} among accounts alike: the strongest link of the chain"


def _caption(pooled: "pd.DataFrame") -> str:
    few = int((pooled["trust"] == _INTERVIEW).sum())
    low, high = pooled["accounts"].min(), pooled["accounts"].max()
    size = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    grey = f" {few} of {len(pooled)} links (hollow, grey) have too few accounts: they decide nothing." if few else ""
    return (
        f"n = {size} accounts in a link, of all cohorts.{grey} Square: accounts that had not reached the first milestone by the "
        "landmark; circle: those that had. Difference: among accounts alike in plan, size and cohort "
        "(Mantel-Haenszel), with 95 % interval. It goes with the next milestone; that one brings the other about is not shown."
    )
