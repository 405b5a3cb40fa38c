"""Effects by cohort: a panel per link of the chain, each cohort with its interval beside the effect of all cohorts.

Put here how single cohorts are drawn. Keep out which of them may be shown (`evidence.chain`: those whose trust is not
`interview`) and the chart that they are part of (`charts.chain`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from milestones_dagster.charts.page import BLUE, GREY, INK, SMALL, WIDTH, Page, shortened

if TYPE_CHECKING:
    import pandas as pd

MOST = 6
"""Panels: the links with the most cohorts, of as many the earlier ones of the chain."""
_COLUMNS, _HEIGHT = 3, 1.75
_LEFT, _BETWEEN, _RIGHT = 0.6, 0.45, 0.2
_MOST_TICKS, _LETTERS = 3, 28

Link = Sequence[Mapping[str, Any]]


def by_cohort(chain: "pd.DataFrame") -> list[Link]:
    """Return of each link to be drawn its row of all cohorts, then those of its single cohorts by time; in the chain's order."""
    known = chain[chain["effect"].notna() & chain["effect_low"].notna()]
    links = []
    for _, rows in known.groupby("position", sort=True):
        pooled, single = rows[rows["cohort"] == "all"], rows[rows["cohort"] != "all"]
        if len(pooled) and len(single):
            links.append([*pooled.to_dict("records"), *single.sort_values("cohort_from").to_dict("records")])
    kept = sorted(range(len(links)), key=lambda place: (-len(links[place]), place))[:MOST]
    return [links[place] for place in sorted(kept)]


def height_of(links: int) -> float:
    """Return the inches that the panels of so many links need."""
    return -(-links // _COLUMNS) * _HEIGHT


def panels(page: Page, links: Sequence[Link], titles: Sequence[str]) -> None:
    """Draw a panel per link at the bottom of the page; those of one line share the scale of their effects.

    Args:
        page: With `height_of(len(links))` inches left free below.
        links: As `by_cohort` gives them.
        titles: What each is called.
    """
    width = (WIDTH - _LEFT - _RIGHT - (_COLUMNS - 1) * _BETWEEN) / _COLUMNS
    every = [row for link in links for row in link]
    low = min((row["effect_low"] for row in every), default=0.0)
    high = max((row["effect_high"] for row in every), default=0.0)
    space = max(0.05 * (high - low), 0.01)
    for place, (link, title) in enumerate(zip(links, titles, strict=True)):
        line, column = divmod(place, _COLUMNS)
        left = _LEFT + column * (width + _BETWEEN)
        bottom = height_of(len(links)) - (line + 1) * _HEIGHT + 0.4
        axes = page.axes(left=left, bottom=bottom, right=WIDTH - left - width, top=page.height - bottom - _HEIGHT + 0.8)
        pooled, *single = link
        axes.axhspan(pooled["effect_low"], pooled["effect_high"], color=GREY, alpha=0.18, linewidth=0, gid=f"all band {place}")
        axes.axhline(pooled["effect"], color=GREY, linewidth=1.2, gid=f"all {place}")
        axes.axhline(0, color=INK, linewidth=0.8)
        for number, row in enumerate(single):
            axes.plot(
                [number, number],
                [row["effect_low"], row["effect_high"]],
                color=BLUE,
                linewidth=1.1,
                gid=f"cohort interval {place} {number}",
            )
            axes.plot([number], [row["effect"]], marker="o", markersize=3.5, color=BLUE, gid=f"cohort {place} {number}")
        axes.set_xlim(-0.6, len(single) - 0.4)
        axes.set_ylim(min(low, 0) - space, max(high, 0) + space)
        ticks = _ticks(len(single))
        axes.set_xticks(ticks, [single[tick]["cohort"] for tick in ticks])
        axes.tick_params(labelsize=SMALL)
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}".replace("-", "−") if value else "0")
        axes.set_title(shortened(title, _LETTERS), size=SMALL, color=INK, loc="left", pad=4)
        if column == 0:
            axes.set_ylabel("Points", size=SMALL, color=INK)


def _ticks(cohorts: int) -> list[int]:
    """Return the places of the cohorts that are named: the first, the last and one between, or all where they are few."""
    return list(range(cohorts)) if cohorts <= _MOST_TICKS else [0, (cohorts - 1) // 2, cohorts - 1]


def told_of(links: Sequence[Link]) -> str:
    """Return the sentence of the caption."""
    if not links:
        return " No single cohort has accounts enough to be shown alone."
    return (
        " Panels: the same difference by cohort, with 95 % interval, where the trust in the cohort is not interview; grey: of all "
        "cohorts. Some of many cohorts lie apart by chance."
    )
