"""The measured parts as a table of ratios with what must be reached, a table by asset, and a chart.

Put here arithmetic and words. Keep out measuring (`plan.py`). A number whose parts were not run says `not run`.
"""

# ruff: noqa: E501  (a goal is one line of a table)

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.limit import BY_DAY
from benchmarks.measuring import Measured, newest

NOT_RUN = "not run"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
FOREST = "feature_importance"
_SHOWN_ASSETS = {"gated": 30, "day": 15, "day that closes a month": 15}
_SECONDS_SHOWN = 0.005


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the repetitions of one number.

    `at` is the size, where it is the largest that was measured; `source` the machine and the code that it is of.
    """

    middle: float
    low: float
    high: float
    repeats: int
    at: str = ""
    source: tuple[str, str] | None = None

    @classmethod
    def of(cls, values: Iterable[float], source: tuple[str, str] | None = None) -> "Spread | None":
        """The spread of `values`; None where there are none."""
        found = sorted(values)
        return cls(median(found), found[0], found[-1], len(found), source=source) if found else None


@dataclass(frozen=True)
class Goal:
    """One row of what must be reached: a ratio, or a plain number with its unit, and how it is measured."""

    measure: str
    must: str
    aim: str
    unit: str
    value: Callable[["Results"], Spread | None]


class Results:
    """The measured parts, asked by part and size (in millions, as text)."""

    def __init__(self, measured: Sequence[Measured]) -> None:
        self.measured = newest(measured)
        self.sizes = sorted({found.size for found in self.measured}, key=float)

    def parts(self, part: str, size: str) -> list[Measured]:
        """All repetitions of a part at a size."""
        return [found for found in self.measured if found.part == part and found.size == size]

    def wall(self, part: str, size: str) -> Spread | None:
        """Wall seconds of a part without process start and imports."""
        return self.each(part, size, lambda found: float(found.details["run"]["wall_s"]))

    def process(self, part: str, size: str, name: str) -> Spread | None:
        """A number of the whole process: `wall_s`, `cpu_s`, `peak_mb` or `disk_bytes`."""
        return self.each(part, size, lambda found: float(getattr(found, name)))

    def each(self, part: str, size: str, number: Callable[[Measured], float]) -> Spread | None:
        """A number computed of each repetition."""
        parts = self.parts(part, size)
        return Spread.of((number(found) for found in parts), parts[0].of if parts else None)


def ratio(upper: Spread | None, lower: Spread | None) -> Spread | None:
    """The ratio of two medians, from the worst to the best pairing of repetitions; None of two machines or states of the code."""
    if upper is None or lower is None or min(lower.low, lower.middle) <= 0 or upper.source != lower.source:
        return None
    repeats = min(upper.repeats, lower.repeats)
    return Spread(upper.middle / lower.middle, upper.low / lower.high, upper.high / lower.low, repeats, source=upper.source)


def tables(found: Measured) -> Mapping[str, Mapping[str, Any]]:
    """The lines of a run of the product, or of the limit, by table."""
    return {line["table"]: line for line in found.details["tables"]}


def seconds(found: Measured, names: Iterable[str] | None = None, column: str = "wall_s") -> float:
    """Sum of a column over the named tables, over all of them where none are named."""
    lines = tables(found)
    return float(sum(lines[name][column] for name in (lines if names is None else names) if name in lines))


def without_forest(found: Measured) -> float:
    """Wall seconds of a whole run, serving copy and Dagster included, without the forest."""
    return float(found.details["run"]["wall_s"]) - seconds(found, [FOREST])


def compared(found: Measured, plain: Iterable[str]) -> float:
    """Wall seconds of the tables that the limit makes too, and of the serving copy."""
    return seconds(found, plain) + float(found.details["serving_s"])


def gates_share(found: Measured) -> float:
    """Share of the gates in the seconds of a run without the forest."""
    names = [name for name in tables(found) if name != FOREST]
    return seconds(found, names, "gate_wall_s") / without_forest(found)


def after_counts(found: Measured) -> float:
    """Wall seconds of all tables but those that read events, and but the forest."""
    return seconds(found) - seconds(found, [*BY_DAY, FOREST])


def goals(plain: Sequence[str], alike: Sequence[str]) -> list[Goal]:
    """What must be reached: `plain` tables are those that the limit makes too, `alike` those that pandas needs for its answers."""
    return [
        Goal("whole graph without the forest, gates on / limit", "≤ 2.0", "≤ 1.3", "", lambda r: _largest(r, lambda s: ratio(r.each("gated", s, without_forest), r.wall("limit", s)))),
        Goal("the same, of the tables that the limit makes (no statistics, no Dagster)", "", "", "", lambda r: _largest(r, lambda s: ratio(r.each("gated", s, lambda f: compared(f, plain)), r.wall("limit", s)))),
        Goal("gates' share of that", "≤ 25 %", "≤ 10 %", "%", lambda r: _hundredfold(_largest(r, lambda s: r.each("gated", s, gates_share)))),
        Goal("gates on / gates off, whole run", "", "", "", lambda r: _largest(r, lambda s: ratio(r.wall("gated", s), r.wall("ungated", s)))),
        Goal("everything after account_event_daily and rule_events / floor", "≤ 50", "≤ 25", "", lambda r: _largest(r, lambda s: ratio(r.each("gated", s, after_counts), r.wall("floor", s)))),
        Goal("pandas / product at 10 M events: time", "≥ 10", "≥ 30", "", lambda r: ratio(r.wall("pandas", "10"), r.each("gated", "10", lambda f: compared(f, plain)))),
        Goal("the same, of the tables that pandas' answers need", "", "", "", lambda r: ratio(r.wall("pandas", "10"), r.each("gated", "10", lambda f: seconds(f, alike)))),
        Goal("pandas / product at 10 M events: memory", "≥ 5", "≥ 10", "", lambda r: ratio(r.process("pandas", "10", "peak_mb"), r.process("gated", "10", "peak_mb"))),
        Goal("peak memory at 100 M events", "≤ 4 GB", "≤ 2 GB", "MiB", lambda r: r.process("gated", "100", "peak_mb")),
        Goal("peak memory at 1 B events", "≤ 4 GB", "≤ 2 GB", "MiB", lambda r: r.process("gated", "1000", "peak_mb")),
        Goal("time at 100 M / time at 10 M", "≤ 11", "≤ 9", "", lambda r: ratio(r.wall("gated", "100"), r.wall("gated", "10"))),
        Goal("one more day after 24 months / after 3 months of history", "≤ 1.5", "≤ 1.1", "", lambda r: _largest(r, lambda s: ratio(r.wall("day", s), r.wall("day of a short history", s)))),
        Goal("one more day / full rebuild, 24 months", "≤ 0.02", "≤ 0.005", "", lambda r: _largest(r, lambda s: ratio(r.wall("day", s), r.wall("gated", s)))),
        Goal("a day that closes a month / full rebuild, 24 months", "", "", "", lambda r: _largest(r, lambda s: ratio(r.wall("day that closes a month", s), r.wall("gated", s)))),
        Goal("Dagster's own cost in a daily run", "≤ 30 s", "≤ 10 s", "s", lambda r: _largest(r, lambda s: r.each("day", s, lambda f: float(f.details["rest_s"])))),
        Goal("forest with its permutations, of the rows that the product draws / one scikit-learn forest fit, 100,000 accounts × 60 features", "≤ 6", "≤ 3", "", lambda r: _anywhere(r, lambda s: r.each("forest", s, lambda f: float(f.details["drawn"]["ratio"])))),
        Goal("the same, of all rows", "", "", "", lambda r: _anywhere(r, lambda s: r.each("forest", s, lambda f: float(f.details["ratio"])))),
        Goal("whole run on Spark / on DuckDB", "", "", "", lambda r: _largest(r, lambda s: ratio(r.wall("spark", s), r.wall("gated", s)))),
        Goal("start-up: importing the code location", "", "", "s", lambda r: _largest(r, lambda s: r.process("imports", s, "wall_s"))),
        Goal("start-up: `milestones --help`", "", "", "s", lambda r: _largest(r, lambda s: r.process("help", s, "wall_s"))),
    ]  # fmt: skip


def markdown(results: Results, plain: Sequence[str], alike: Sequence[str]) -> str:
    """The whole report between its markers' lines, without them."""
    machines = _parts_by(results, lambda found: found.machine or "not recorded")
    commits = _parts_by(results, lambda found: found.commit)
    dates = [found.at[:10] for found in results.measured]
    loads = Spread.of(found.load_before for found in results.measured)
    lines = [
        f"Machine: {machines}.",
        f"Commit: {commits}. Measured: {min(dates, default=NOT_RUN)} to {max(dates, default=NOT_RUN)}.",
        f"Load average before the parts: {shown(loads, '')}.",
        "",
        "What must be reached is asked at 100 M events, or at the size that the row names; a row without it shows the largest size measured.",
        "",
        "| measure | must | aim | measured | at | smallest to largest | repetitions |",
        "|---|---|---|---|---|---|---|",
    ]
    for goal in goals(plain, alike):
        found = goal.value(results)
        spread, repeats = (f"{_short(found.low)} to {_short(found.high)}", str(found.repeats)) if found else ("", "")
        at = f"{found.at} M" if found and found.at else ""
        lines.append(f"| {goal.measure} | {goal.must} | {goal.aim} | {shown(found, goal.unit)} | {at} | {spread} | {repeats} |")
    lines += ["", "Parts, medians (wall without process start and imports; processor seconds and memory of the whole process):", ""]
    lines += ["| events | part | wall s | processor s | peak MiB | MB on disk afterwards |", "|---|---|---|---|---|---|"]
    for size in results.sizes:
        for part in dict.fromkeys(found.part for found in results.measured if found.size == size):
            inner = results.wall(part, size) if part not in {"imports", "help"} else results.process(part, size, "wall_s")
            cpu, peak = (_or_empty(results.process(part, size, name)) for name in ("cpu_s", "peak_mb"))
            disk = results.each(part, size, lambda found: found.disk_bytes / 1e6)
            if part == "spark":
                cpu = peak = ""  # Spark's own process is not counted in them
            lines.append(f"| {size} M | {part} | {shown(inner, '')} | {cpu} | {peak} | {_or_empty(disk)} |")
    refusals = {
        f"{found.part} at {found.size} M: {', '.join(refused)}"
        for found in results.measured
        if (refused := found.details.get("refused"))
    }
    if refusals:
        lines += ["", f"Refused by their rules, so that nothing followed them: {'; '.join(sorted(refusals))}."]
    for size in results.sizes:
        lines += _assets(results, "gated", "A whole run, gates on,", size)
        lines += _assets(results, "day", "One more day", size)
        lines += _assets(results, "day that closes a month", "A day that closes a month", size)
    return "\n".join(lines)


def _parts_by(results: Results, told: Callable[[Measured], str]) -> str:
    """What `told` says of the parts, with the names of the parts and sizes where it does not say one and the same of all."""
    found: dict[str, list[str]] = {}
    for each in results.measured:
        found.setdefault(told(each), []).append(f"{each.part} {each.size} M")
    if len(found) <= 1:
        return next(iter(found), NOT_RUN)
    return "; of ".join(f"{text} ({', '.join(dict.fromkeys(parts))})" for text, parts in found.items())


def shown(spread: Spread | None, unit: str) -> str:
    """A median as text with its unit, or that it was not run."""
    return NOT_RUN if spread is None else f"{_short(spread.middle)} {unit}".strip()


def write(readme: Path, text: str) -> None:
    """Put the report between the markers of the README.

    Raises:
        ValueError: the markers are not there.
    """
    whole = readme.read_text(encoding="utf-8")
    if BEGIN not in whole or END not in whole:
        raise ValueError(f"{readme}: the lines {BEGIN} and {END} are missing")
    before, after = whole.split(BEGIN)[0], whole.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def chart(results: Results, path: Path) -> None:
    """Draw the seconds of every part by the number of events, both axes logarithmic, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    drawn = [("gated", "product, gates on"), ("ungated", "product, gates off"), ("limit", "limit: one plain script"), ("floor", "floor: three columns"),
             ("pandas", "pandas (the milestones alone)"), ("day", "one more day after 24 months"), ("spark", "product on Spark, gates on")]  # fmt: skip
    for part, title in drawn:
        points = [(float(size), found) for size in results.sizes if (found := results.wall(part, size)) is not None]
        if points:
            middles = [found.middle for _, found in points]
            bars = [[found.middle - found.low for _, found in points], [found.high - found.middle for _, found in points]]
            axes.errorbar([size for size, _ in points], middles, yerr=bars, marker="o", capsize=3, label=title)
    axes.set(xscale="log", yscale="log", xlabel="events, millions", ylabel="seconds (wall)", title="Seconds by size of the company")
    axes.grid(visible=True, which="both", alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        # beside the axes: inside, it covers the lines
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def _assets(results: Results, part: str, title: str, size: str) -> list[str]:
    runs, limits = results.parts(part, size), results.parts("limit", size) if part == "gated" else []
    if not runs:
        return []

    def of(parts: Sequence[Measured], name: str, column: str) -> Spread | None:
        return Spread.of(float(lines[name][column]) for part in parts if name in (lines := tables(part)))

    middle = {name: spread.middle for name in tables(runs[0]) if (spread := of(runs, name, "wall_s")) is not None}
    lines = ["", f"{title} at {size} M events, the {_SHOWN_ASSETS[part]} slowest assets:", ""]
    lines += ["| asset | wall s | of it gate s | processor s | limit, wall s |", "|---|---|---|---|---|"]
    events = sum(middle.get(name, 0.0) for name in BY_DAY)
    plain = shown(of(limits, "events", "wall_s"), "") if limits else ""
    lines.append(f"| the {len(BY_DAY)} tables by day together | {_short(events)} | | | {plain} |")
    for name in sorted(middle, key=lambda name: -middle[name])[: _SHOWN_ASSETS[part]]:
        gate, cpu = of(runs, name, "gate_wall_s"), of(runs, name, "cpu_s")
        same = of(limits, name, "wall_s")
        lines.append(
            f"| {name} | {_short(middle[name])} | {shown(gate, '')} | {shown(cpu, '')} | {shown(same, '') if same else ''} |"
        )
    for told, column in (("serving copy", "serving_s"), ("Dagster, metadata and plots", "rest_s")):
        spread = Spread.of(float(found.details[column]) for found in runs)
        lines.append(f"| {told} | {shown(spread, '')} | | | |")
    return lines


def _largest(results: Results, number: Callable[[str], Spread | None]) -> Spread | None:
    """A number at the largest size at which it was measured."""
    return next((replace(found, at=size) for size in reversed(results.sizes) if (found := number(size)) is not None), None)


def _anywhere(results: Results, number: Callable[[str], Spread | None]) -> Spread | None:
    """A number that does not depend on the size."""
    found = _largest(results, number)
    return None if found is None else replace(found, at="")


def _or_empty(spread: Spread | None) -> str:
    """A median, or nothing where it was not measured or is nothing."""
    return shown(spread, "") if spread and spread.high else ""


def _hundredfold(spread: Spread | None) -> Spread | None:
    return None if spread is None else replace(spread, middle=100 * spread.middle, low=100 * spread.low, high=100 * spread.high)


def _short(number: float) -> str:
    if abs(number) < _SECONDS_SHOWN:
        return f"{number:.2g}"
    # beyond it three digits would hide the number; what rounds to it has no power of ten either
    return f"{number:.3g}" if abs(number) < 999.5 else f"{number:,.0f}"  # noqa: PLR2004
