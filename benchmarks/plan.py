"""Which parts are measured, in which order, on which company; what is measured already, here and of this code, is not again.

Put here the order and the folders. Keep out what a part does (`parts.py`).
"""

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.company import DAYS, Company, default_accounts, world, write_company, write_config, write_days, write_snapshots
from benchmarks.measuring import Measured, keep, kept, measure, present

PANDAS_MILLIONS = 10
"""Larger companies do not fit into pandas on the machines that this is meant for."""
SHORT_DAYS = 92
_WAREHOUSE = "warehouse.duckdb"
ALL_PARTS = (
    "floor",
    "limit",
    "gated",
    "ungated",
    "spark",
    "pandas",
    "forest",
    "day",
    "day of a short history",
    "imports",
    "help",
)
_HAS_SPARK = importlib.util.find_spec("pyspark") is not None
_START_UP = {
    "imports": [sys.executable, "-c", "import sys; sys.argv.pop(); import milestones_dagster.definitions"],
    "help": [
        sys.executable,
        "-c",
        "import sys; sys.argv[:] = ['milestones', '--help']; from milestones_dagster.cli import main; main()",
    ],
}


@dataclass(frozen=True)
class Plan:
    """Where everything lies and what is wanted.

    `millions` are the sizes in millions of events; `only` names the parts to measure, all of them when it is empty.
    """

    root: Path
    results: Path
    millions: Sequence[float]
    repeats: int = 3
    only: Sequence[str] = ()
    tell: Callable[[str], None] = lambda _: None

    def land(self, millions: float) -> Path:
        """The folder of a company, made when it is not there."""
        folder = self.root / f"land{millions:g}"
        company = _company(millions)
        if (folder / "company.json").exists():
            made = json.loads((folder / "company.json").read_text(encoding="utf-8"))
            if {name: made.get(name) for name in vars(company)} == vars(company):
                write_config(folder)  # the product's config may have changed since
                return folder
            raise ValueError(f"{folder} holds another company ({made}); remove it")
        self.tell(f"generating {millions:g} M events into {folder}")
        _apart(write_company, folder, company)
        return folder

    def carry_out(self) -> None:
        """Measure what is wanted and not measured yet; parts alternate, so that a change of the machine falls on all of them."""
        for millions in self.millions:
            land = self.land(millions)
            for repeat in range(1, self.repeats + 1):
                for part in ALL_PARTS:
                    if not self.only or part in self.only:
                        self._measure(part, millions, repeat, land)

    def _measure(self, part: str, millions: float, repeat: int, land: Path) -> None:
        size = f"{millions:g}"
        wanted = (part, size, repeat, present())
        if any((found.part, found.size, found.repeat, found.of) == wanted for found in kept(self.results)):
            return
        work = self.root / f"work{size}"
        gated = work / "gated" / _WAREHOUSE
        match part:
            case "floor" | "pandas" if part == "floor" or millions <= PANDAS_MILLIONS:
                self._keep(part, size, repeat, [str(land)], None)
            case "limit":
                shutil.rmtree(work / "limit", ignore_errors=True)
                self._keep(part, size, repeat, [str(land), str(work / "limit" / _WAREHOUSE)], work / "limit")
                shutil.rmtree(work / "limit", ignore_errors=True)
            case "gated":
                self._keep(part, size, repeat, [str(_history(work / "land", land, DAYS)), str(gated)], gated.parent)
            case "ungated" | "spark" if part == "ungated" or _HAS_SPARK:
                beside = [str(gated)] if part == "spark" else []
                # of the very files that the gated run reads: their paths stand in raw_events
                files = _history(work / "land", land, DAYS) if part == "spark" else land
                self._keep(part, size, repeat, [str(files), str(work / part / _WAREHOUSE), *beside], work / part)
                shutil.rmtree(work / part)
            case "forest" if gated.exists():
                self._keep(part, size, repeat, [str(gated)], None)
            case "day":
                self._day(part, millions, repeat, _history(work / "land", land, DAYS), gated.parent)
            case "day of a short history":
                short = work / "day_of_a_short_history"
                self._day(part, millions, repeat, _history(short / "land", land, SHORT_DAYS), short / "before")
            case "imports" | "help" if millions == self.millions[0]:
                self.tell(f"{size} M: {part}, {repeat} of {self.repeats}")
                environment = {"MILESTONES_CONFIG": str(land / "config")}
                keep(
                    self.results,
                    measure(part, size, repeat, ["env", *(f"{k}={v}" for k, v in environment.items()), *_START_UP[part]]),
                )
            case _:
                pass

    def _keep(
        self, part: str, size: str, repeat: int, arguments: list[str], leaves: Path | None, command: str | None = None
    ) -> Measured:
        self.tell(f"{size} M: {part}, {repeat} of {self.repeats}")
        done = measure(part, size, repeat, [sys.executable, "-m", "benchmarks.parts", command or part, *arguments], leaves)
        keep(self.results, done)
        return done

    def _day(self, part: str, millions: float, repeat: int, history: Path, before: Path) -> None:
        """One more day lands in `history` and is run on a copy of the warehouse that was made from it."""
        size = f"{millions:g}"
        if not (before / _WAREHOUSE).exists():
            self.tell(f"{size} M: loading the history for: {part}")
            loaded = [str(history), str(before / _WAREHOUSE)]
            measure(f"{part}: history", size, 0, [sys.executable, "-m", "benchmarks.parts", "gated", *loaded])
        working = before.with_name("one_more_day")
        shutil.rmtree(working, ignore_errors=True)
        shutil.copytree(before, working)
        _apart(_land_day, history, millions)
        self._keep(part, size, repeat, [str(history), str(working / _WAREHOUSE)], working, "day")
        shutil.rmtree(working)


def _apart(write: Callable[..., None], *arguments: object) -> None:
    """Write files in a process of its own: Linux counts the peak of who starts a process into the peak of the process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        apart.submit(write, *arguments).result()


def _land_day(history: Path, millions: float) -> None:
    with world(_company(millions)) as connection:
        write_days(connection, history / "events", DAYS, DAYS + 1)
        write_snapshots(connection, history, DAYS + 1)


def _company(millions: float) -> Company:
    events = int(millions * 1_000_000)
    return Company(events, default_accounts(events))


def _history(history: Path, land: Path, days: int) -> Path:
    """The last `days` days of a landed company, linked anew without what landed since; the next day is as large."""
    shutil.rmtree(history, ignore_errors=True)
    (history / "events").mkdir(parents=True)
    for path in sorted((land / "events").glob("*.parquet"))[-days:]:
        os.link(path, history / "events" / path.name)
    for path in land.glob("*.parquet"):
        shutil.copy2(path, history / path.name)
    write_config(history)
    return history
