"""The page that every chart is drawn on, and its picture: title that says the finding, plot, caption with the numbers of accounts.

Put here what all charts share: sizes, colours that colour-blind readers can tell apart, words for numbers, PNG bytes. Keep out what
a chart shows. The background is white, also on a dark page; figures are objects of their own, so nothing is kept between charts.
"""

import textwrap
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.0
"""Inches: 100 pixels of a page 700 wide."""
BLUE, ORANGE, GREEN, RED, GREY, PALE, INK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6B7280", "#C5CAD3", "#1F2937"
"""Okabe and Ito's colours, and greys."""
TEXT, SMALL, TITLE = 9.0, 8.0, 11.5
# each picture is stored twice in an event log that is never pruned; its address is a third longer than its bytes
LIMIT = 74_000
_RESOLUTIONS = (150, 100, 70)
_COLORS = 128
_TITLE_LETTERS, _CAPTION_LETTERS = 72, 112
_TITLE_LINE, _CAPTION_LINE = 0.215, 0.145
_MARGIN = 0.12


class ChartError(Exception):
    """A chart that cannot be shown as it is."""


class Page:
    """A figure with its title above and its caption below the room for the plot.

    Args:
        title: The finding in plain words; wrapped.
        caption: What is drawn and how many accounts it is of; wrapped.
        height: Inches between title and caption.
    """

    def __init__(self, title: str, caption: str, height: float) -> None:
        from matplotlib.figure import Figure

        self._titles = textwrap.wrap(title, _TITLE_LETTERS)
        self._captions = textwrap.wrap(caption, _CAPTION_LETTERS)
        self._below = 2 * _MARGIN + _CAPTION_LINE * len(self._captions)
        self._total = self._below + height + _TITLE_LINE * len(self._titles) + _MARGIN
        self.height = height
        # its label is the text of the picture for who cannot see it
        self.figure: Figure = Figure(figsize=(WIDTH, self._total), facecolor="white", label=title)
        top = 1 - _MARGIN / self._total
        self.figure.text(
            _MARGIN / WIDTH, top, "\n".join(self._titles), size=TITLE, weight="bold", color=INK, va="top", linespacing=1.25
        )
        self.figure.text(
            _MARGIN / WIDTH, _MARGIN / self._total, "\n".join(self._captions), size=SMALL, color=GREY, va="bottom", linespacing=1.2
        )

    def axes(self, left: float, bottom: float, right: float, top: float, **settings: Any) -> "Axes":
        """Axes with these margins, in inches, to the sides of the page, and to caption and title."""
        box = (
            left / WIDTH,
            (self._below + bottom) / self._total,
            (WIDTH - left - right) / WIDTH,
            (self.height - bottom - top) / self._total,
        )
        axes = self.figure.add_axes(box, facecolor="white", **settings)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(PALE)
        axes.tick_params(colors=INK, labelsize=TEXT, color=PALE, length=3)
        axes.grid(visible=True, color="#EEF0F3", linewidth=0.8)
        axes.set_axisbelow(True)
        return axes


def png(figure: "Figure") -> bytes:
    """A figure's PNG, at the finest resolution that keeps it below `LIMIT` bytes.

    Raises:
        ChartError: it is larger even at the coarsest.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    size = 0
    for resolution in _RESOLUTIONS:
        figure.set_dpi(resolution)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        buffer = BytesIO()
        # a palette keeps the picture at a quarter of its bytes, and nothing here has more colours
        drawn.quantize(_COLORS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        size = buffer.tell()
        if size < LIMIT:
            return buffer.getvalue()
    raise ChartError(f"the picture has {size:,} bytes at {_RESOLUTIONS[-1]} dots per inch; {LIMIT:,} may be kept")


def axis_label(axes: "Axes", *, x: str | None = None, y: str | None = None) -> None:
    """Names the axes, with their units."""
    if x is not None:
        axes.set_xlabel(x, size=TEXT, color=INK)
    if y is not None:
        axes.set_ylabel(y, size=TEXT, color=INK)


def percent_axis(axis: Any) -> None:
    """Shows shares on an axis as whole percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def known(value: object) -> bool:
    """Whether a cell holds a value."""
    return not bool(pd.isna(value))


def shortened(text: str, letters: int) -> str:
    """A text of at most so many letters, cut with an ellipsis."""
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


def number(value: float) -> str:
    """A value of a threshold: whole where it is, else three significant digits."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - digits


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:.0f} %" if share in {0.0, 1.0} else f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def effect_words(effect: float, low: float, high: float) -> str:
    """A difference of shares with its interval, in points."""
    return f"{points(effect)} points ({points(low)} to {points(high)})"
