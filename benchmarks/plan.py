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

from benchmarks.company import (
    BEGIN,
    DAYS,
    Company,
    default_accounts,
    world,
    write_company,
    write_config,
    write_days,
    write_snapshots,
)
from benchmarks.measuring import Measured, keep, kept, measure, present

PANDAS_MILLIONS = 10
"""Larger companies do not fit into pandas on the machines that this is meant for."""
SHORT_DAYS = 92
_WAREHOUSE = "warehouse.duckdb"
_MADE_BY = "made_by.json"
ALL_PARTS = (
    "floor",
    "limit",
    "gated",
    "ungated",
    "spark",
    "pandas",
    "forest",
    "day",
    "day that closes a month",
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

    def land(self, millions: float, days: int = DAYS) -> Path:
        """The folder of a company that is so many days old, made when it is not there."""
        folder = self.root / (f"land{millions:g}" if days == DAYS else f"land{millions:g}_of_{days}_days")
        company = _company(millions, days)
        if (folder / "company.json").exists():
            made = json.loads((folder / "company.json").read_text(encoding="utf-8"))
            if {name: made.get(name) for name in ("begin", *vars(company))} == {"begin": str(BEGIN), **vars(company)}:
                write_config(folder)  # the product's config may have changed since
                return folder
            raise ValueError(f"{folder} holds another company ({made}); remove it")
        self.tell(f"generating {company.events / 1e6:.3g} M events into {folder}")
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
                self._keep(part, size, repeat, [str(_history(work / "land", land)), str(gated)], gated.parent)
                _sign(gated.parent)
            case "ungated" | "spark" if part == "ungated" or (_HAS_SPARK and _is_signed(gated.parent)):
                beside = [str(gated)] if part == "spark" else []
                # of the very files that the gated run reads: their paths stand in raw_events
                files = _history(work / "land", land) if part == "spark" else land
                self._keep(part, size, repeat, [str(files), str(work / part / _WAREHOUSE), *beside], work / part)
                shutil.rmtree(work / part)
            case "forest" if millions == self.millions[0]:  # of rows in memory, at every size the same
                self._keep(part, size, repeat, [], None)
            case "day" | "day that closes a month":
                lands = 1 if part == "day" else 2
                self._day(part, size, repeat, _company(millions), _history(work / "land", land), gated.parent, lands)
            case "day of a short history":
                short, landed = work / "short", self.land(millions, SHORT_DAYS)
                self._day(part, size, repeat, _company(millions, SHORT_DAYS), _history(short / "land", landed), short / "before")
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

    def _day(self, part: str, size: str, repeat: int, company: Company, history: Path, before: Path, lands: int = 1) -> None:
        """The last of the days that land in `history` is run on a copy of the warehouse that was made before them."""
        command = [sys.executable, "-m", "benchmarks.parts"]
        if not _is_signed(before):
            self.tell(f"{size} M: loading the history for: {part}")
            measure(f"{part}: history", size, 0, [*command, "gated", str(history), str(before / _WAREHOUSE)])
            _sign(before)
        working = before.with_name("one_more_day")
        shutil.rmtree(working, ignore_errors=True)
        shutil.copytree(before, working)
        for landed in range(1, lands + 1):
            _apart(_land_days, history, company, landed)
            arguments = [str(history), str(working / _WAREHOUSE)]
            if landed < lands:
                measure(f"{part}: a day before", size, 0, [*command, "day", *arguments])
            else:
                self._keep(part, size, repeat, arguments, working, "day")
        shutil.rmtree(working)


def _apart(write: Callable[..., object], *arguments: object) -> None:
    """Write files in a process of its own, whose memory is free again before anything is measured."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        apart.submit(write, *arguments).result()


def _land_days(history: Path, company: Company, days: int) -> None:
    """Land the company's next day, or one that is so many days after its last."""
    with world(company) as connection:
        write_days(connection, history / "events", company.days + days - 1, company.days + days)
        write_snapshots(connection, history, company.days + days)


def _sign(folder: Path) -> None:
    """Leave beside a warehouse which machine and code made it: one of other code would be made again within the day."""
    (folder / _MADE_BY).write_text(json.dumps(present()), encoding="utf-8")


def _is_signed(folder: Path) -> bool:
    signed = folder / _MADE_BY
    return signed.exists() and tuple(json.loads(signed.read_text(encoding="utf-8"))) == present()


def _company(millions: float, days: int = DAYS) -> Company:
    """The company of so many million events in two years, or the same one, as busy a day, when it is `days` old."""
    events = int(millions * 1_000_000)
    return Company(events * days // DAYS, default_accounts(events), days)


def _history(history: Path, land: Path) -> Path:
    """A landed company, linked anew without what landed since."""
    shutil.rmtree(history, ignore_errors=True)
    (history / "events").mkdir(parents=True)
    for path in sorted((land / "events").glob("*.parquet")):
        os.link(path, history / "events" / path.name)
    for path in land.glob("*.parquet"):
        shutil.copy2(path, history / path.name)
    write_config(history)
    return history
