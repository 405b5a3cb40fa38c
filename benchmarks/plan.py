"""Which parts are measured, in which order, on which company; what is measured already is not measured again.

Put here the order and the folders. Keep out what a part does (`parts.py`).
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.company import DAYS, Company, default_accounts, world, write_company, write_config, write_days, write_snapshots
from benchmarks.measuring import Measured, keep, kept, measure

PANDAS_MILLIONS = 10
"""Larger companies do not fit into pandas on the machines that this is meant for."""
SHORT_DAYS = 92
ALL_PARTS = (
    "floor",
    "limit",
    "gated",
    "ungated",
    "pandas",
    "forest",
    "day",
    "day of a short history",
    "imports",
    "help",
)
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
        write_company(folder, company)
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
        if any(found.part == part and found.size == size and found.repeat == repeat for found in kept(self.results)):
            return
        work = self.root / f"work{size}"
        gated = work / "gated" / "warehouse.duckdb"
        match part:
            case "floor":
                self._keep(part, size, repeat, [str(land)], None)
            case "limit":
                shutil.rmtree(work / "limit", ignore_errors=True)
                self._keep(part, size, repeat, [str(land), str(work / "limit" / "warehouse.duckdb")], work / "limit")
                shutil.rmtree(work / "limit", ignore_errors=True)
            case "gated" | "ungated":
                self._keep(part, size, repeat, [str(land), str(work / part / "warehouse.duckdb")], work / part)
                shutil.rmtree(work / "ungated", ignore_errors=True)
            case "pandas" if millions <= PANDAS_MILLIONS:
                self._keep(part, size, repeat, [str(land)], None)
            case "forest" if gated.exists():
                self._keep(part, size, repeat, [str(gated)], None)
            case "day" | "day of a short history":
                self._day(part, millions, repeat, land)
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

    def _day(self, part: str, millions: float, repeat: int, land: Path) -> None:
        """A history is loaded once, unmeasured; one more day lands; each repetition runs on a copy of that warehouse."""
        size, is_short = f"{millions:g}", part != "day"
        base = self.root / f"work{size}" / part.replace(" ", "_")
        history = base / "land"
        before, working = base / "before", base / "warehouse"
        if not (base / "ready").exists():
            shutil.rmtree(base, ignore_errors=True)
            _history(history, land, SHORT_DAYS if is_short else DAYS)
            self.tell(f"{size} M: loading the history for: {part}")
            measure(
                f"{part}: history",
                size,
                0,
                [sys.executable, "-m", "benchmarks.parts", "gated", str(history), str(working / "warehouse.duckdb")],
            )
            working.rename(before)
            self._land_day(history, millions)
            (base / "ready").touch()
        shutil.rmtree(working, ignore_errors=True)
        shutil.copytree(before, working)
        self._keep(part, size, repeat, [str(history), str(working / "warehouse.duckdb")], working, "day")
        shutil.rmtree(working)

    def _land_day(self, history: Path, millions: float) -> None:
        with world(_company(millions)) as connection:
            write_days(connection, history / "events", DAYS, DAYS + 1)
            write_snapshots(connection, history, DAYS + 1)


def _company(millions: float) -> Company:
    events = int(millions * 1_000_000)
    return Company(events, default_accounts(events))


def _history(history: Path, land: Path, days: int) -> None:
    """The last `days` days of a landed company, without copying its files: what lands next is one day of the same size."""
    (history / "events").mkdir(parents=True)
    for path in sorted((land / "events").glob("*.parquet"))[-days:]:
        os.link(path, history / "events" / path.name)
    for path in land.glob("*.parquet"):
        shutil.copy2(path, history / path.name)
    write_config(history)
