"""What a line of the table says: an estimate over runs, its interval, its bound, whether it holds.

Put here the row, its verdict and how it is printed. Keep out what is measured (`lines/`) and the runner (`__main__.py`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, isnan, sqrt
from statistics import NormalDist
from typing import Any, Protocol

_Z = NormalDist().inv_cdf(0.975)

Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        line: name of the line that it belongs to.
        what: what is measured, in words.
        n: accounts, as a text.
        runs: how many runs the estimate is of.
        estimate: a share, or another number.
        low, high: its 95 % interval; None where it has none.
        least, most: the bound, inclusive; None where it has none on that side.
        unit: `share`, or what else the estimate is in.
    """

    line: str
    what: str
    n: str
    runs: int
    estimate: float
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None
    unit: str = "share"

    @property
    def is_bounded(self) -> bool:
        """Whether the row can fail."""
        return self.least is not None or self.most is not None

    def holds(self, *, is_quick: bool = False) -> bool:
        """Return whether the estimate lies within the bound; `is_quick`: whether its interval touches it.

        With few runs an estimate falls out of a bound that the method keeps; a fault moves the whole interval out. A row
        without a bound holds, one without a run does not.
        """
        if not self.is_bounded:
            return True
        if self.runs == 0 or isnan(self.estimate):
            return False
        low = self.low if is_quick and self.low is not None else self.estimate
        high = self.high if is_quick and self.high is not None else self.estimate
        return (self.least is None or high >= self.least) and (self.most is None or low <= self.most)

    @property
    def bound(self) -> str:
        """The bound in words, empty without one."""
        if self.least is not None and self.most is not None:
            return f"{self.text(self.least)} to {self.text(self.most)}"
        if self.least is not None:
            return f"≥ {self.text(self.least)}"
        return "" if self.most is None else f"≤ {self.text(self.most)}"

    @property
    def interval(self) -> str:
        """The interval in words, empty without one."""
        return "" if self.low is None or self.high is None else f"{self.text(self.low)} to {self.text(self.high)}"

    def text(self, value: float) -> str:
        """Return a number in the row's unit."""
        if isnan(value):
            return "none"
        return f"{value * 100:.1f} %" if self.unit == "share" else f"{value:.3g}"


@dataclass(frozen=True)
class Job:
    """Work that one process does: `function(*arguments)` returns records."""

    function: Callable[..., list[Record]]
    arguments: tuple[Any, ...]


class Jobs(Protocol):
    """What gives the jobs of a line."""

    def __call__(self, *, is_quick: bool) -> Sequence[Job]: ...


@dataclass(frozen=True)
class Line:
    """A part of the table.

    Attributes:
        name: short, for `--only`.
        jobs: what to run, given whether quickly (`is_quick`).
        rows: what the records of all jobs, in the order of the jobs, amount to.
    """

    name: str
    jobs: Jobs
    rows: Callable[[list[Record]], list[Row]]


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (nan, nan) without runs."""
    if runs == 0:
        return float("nan"), float("nan")
    share, more = hits / runs, _Z * _Z / runs
    middle = (share + more / 2) / (1 + more)
    half = _Z * sqrt(share * (1 - share) / runs + more / (4 * runs)) / (1 + more)
    return max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < runs else 1.0


def share(line: str, what: str, n: str, outcomes: Iterable[bool], *, least: float | None = None, most: float | None = None) -> Row:
    """Return the row of a share of runs (or of items)."""
    found = [bool(outcome) for outcome in outcomes]
    hits, runs = sum(found), len(found)
    return Row(line, what, n, runs, hits / runs if runs else float("nan"), *wilson(hits, runs), least, most)


def mean(line: str, what: str, n: str, values: Iterable[float], unit: str) -> Row:
    """Return the row of a mean over runs, normal interval, without bound; a missing value is left out."""
    found = [float(value) for value in values if not isnan(value)]
    runs = len(found)
    if runs < 2:
        return Row(line, what, n, runs, found[0] if runs else float("nan"), unit=unit)
    middle = sum(found) / runs
    half = _Z * sqrt(sum((value - middle) ** 2 for value in found) / (runs - 1) / runs)
    return Row(line, what, n, runs, middle, middle - half, middle + half, unit=unit)


def median(line: str, what: str, n: str, values: Iterable[float], unit: str, *, most: float | None = None) -> Row:
    """Return the row of a median over runs, with the interval that the order of the runs gives (binomial, normal approximation)."""
    found = sorted(float(value) for value in values if not isnan(value))
    runs = len(found)
    if not runs:
        return Row(line, what, n, 0, float("nan"), most=most, unit=unit)
    half = _Z * sqrt(runs) / 2
    low = found[max(0, int(runs / 2 - half))]
    high = found[min(runs - 1, int(runs / 2 + half))]
    return Row(line, what, n, runs, (found[(runs - 1) // 2] + found[runs // 2]) / 2, low, high, most=most, unit=unit)


def ratio(line: str, what: str, n: str, part: Row, whole: Row, *, most: float | None = None) -> Row:
    """Return the row of one share over another, with the interval of the log ratio of independent shares.

    The two are of the same runs and go together, so that the interval is wider than it need be. 0.5 is added to counts of
    0 for the interval alone.
    """
    if not whole.estimate > 0:
        return Row(line, what, n, part.runs, float("nan"), most=most, unit="ratio")
    found = part.estimate / whole.estimate
    hits = [max(row.estimate * row.runs, 0.5) for row in (part, whole)]
    half = _Z * sqrt(sum(max(1 / count - 1 / row.runs, 0.0) for count, row in zip(hits, (part, whole), strict=True)))
    middle = hits[0] / part.runs / (hits[1] / whole.runs)
    return Row(line, what, n, part.runs, found, middle * exp(-half), middle * exp(half), most=most, unit="ratio")


def apart(found: Sequence[Row]) -> list[Row]:
    """Return the rows, the first being ours, and after them one per other: by how much its interval lies above ours.

    Compared is the distance from 0, which is where each of them should lie. It holds when ours lies nearer, intervals apart.
    """
    ours = found[0]
    made = list(found)
    for other in found[1:]:
        between = _nearest(other) - _farthest(ours)
        what = f"{other.what}, interval above that of ours by"
        made.append(Row(ours.line, what, ours.n, other.runs, between, least=0.0, unit=ours.unit))
    return made


def _nearest(row: Row) -> float:
    low, high = _ends(row)
    return 0.0 if low <= 0 <= high else min(abs(low), abs(high))


def _farthest(row: Row) -> float:
    return max(abs(end) for end in _ends(row))


def _ends(row: Row) -> tuple[float, float]:
    low, high = row.low, row.high
    return (row.estimate, row.estimate) if low is None or high is None else (low, high)
