"""The demonstration company as a folder of files: `generate`.

Put here: the order of the work, parameters, reuse and the atomic change of the folder. Keep out: what is drawn.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from milestones_dagster.demo.accounts import Integers
from milestones_dagster.demo.blocks import BLOCK, Company, make_block
from milestones_dagster.demo.clock import DAY, instant
from milestones_dagster.demo.dirt import KINDS
from milestones_dagster.demo.truth import planted_roles, population_quantities
from milestones_dagster.demo.world import Dirt, World, switches
from milestones_dagster.demo.writer import (
    EventSpool,
    Snapshots,
    Written,
    account_ids,
    write_days,
)

GENERATOR = 1
"""Raised whenever the same parameters give other rows; a folder of another number is never reused."""

ACCOUNTS = (200, 200_000)
MONTHS = (6, 60)
MOST_EVENTS_PER_ACCOUNT = 10_000
TRUTH_DRAWS = 1_000_000
_NOTED_ACCOUNTS = 1000


class DemoFolderError(Exception):
    """The folder holds something else than the company that was asked for."""


def generate(
    folder: Path,
    *,
    accounts: int = 2000,
    months: int = 24,
    until: date = date(2026, 7, 1),
    seed: int = 7,
    events_per_account: int | None = None,
    world: World = World(),  # noqa: B008  # frozen
    dirt: Dirt | None = None,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
    truth_draws: int = TRUTH_DRAWS,
    buffer_rows: int = 2_000_000,
) -> Path:
    """Write a demonstration company and return the path of its `planted_truth.json`.

    The folder appears whole or not at all. One that was made with the same parameters is left as it is. Rows depend on
    the parameters alone, not on `buffer_rows` (the rows held in memory, about 120 bytes each while they are sorted).

    Args:
        folder: where the company is to be; its parent is made.
        accounts: 200 to 200,000.
        months: length of the history, 6 to 60.
        until: the end of the history, exclusive, midnight UTC.
        seed: 0 or more.
        events_per_account: raises the mean to this number (10,000 at most) by openings of the messenger, which nothing
            depends on; None, or a smaller number than the company has by itself, adds none.
        world: what is true.
        dirt: what is wrong with the delivered events; None for nothing.
        progress: called with steps done and steps in all.
        overwrite: replace a folder that was made with other parameters.
        truth_draws: accounts drawn for the population quantities.
        buffer_rows: events held in memory before they are put on disk.

    Raises:
        ValueError: a parameter is outside its bounds.
        DemoFolderError: the folder exists with other parameters, or is not a demonstration company.
    """
    company = Company(accounts, months, until, seed, events_per_account, world, dirt, truth_draws)
    _check(company, buffer_rows)
    marker = _marker(company)
    if folder.exists() and not _may_replace(folder, marker, overwrite=overwrite):
        return folder / "planted_truth.json"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        stack.callback(shutil.rmtree, made, ignore_errors=True)
        _write(company, made / "company", marker, progress or (lambda _done, _all: None), buffer_rows)
        if folder.exists():
            folder.rename(made / "before")
        try:
            (made / "company").rename(folder)
        except OSError:
            if (made / "before").exists():
                (made / "before").rename(folder)
            raise
    return folder / "planted_truth.json"


def _check(company: Company, buffer_rows: int) -> None:
    bounds: dict[str, tuple[int, float, float]] = {
        "accounts": (company.accounts, *ACCOUNTS),
        "months": (company.months, *MONTHS),
        "seed": (company.seed, 0, 2**63 - 1),
        "events_per_account": (company.events_per_account or 0, 0, MOST_EVENTS_PER_ACCOUNT),
        "truth_draws": (company.truth_draws, 1000, 1e9),
        "buffer_rows": (buffer_rows, 1, 1e9),
    }
    for name, (value, low, high) in bounds.items():
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name}: found {value!r}, expected a whole number from {low:,.0f} to {high:,.0f}")
    missing = company.dirt.missing_day if company.dirt else None
    if missing is not None and not company.begin < instant(missing) < company.end - DAY:
        raise ValueError(f"Dirt.missing_day: found {missing}, expected a day between the first and the last of the history")


def _marker(company: Company) -> str:
    """Return what identifies the rows: a hash of generator and parameters."""
    text = json.dumps({"generator": GENERATOR, "block": BLOCK, **company.described()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _may_replace(folder: Path, marker: str, *, overwrite: bool) -> bool:
    """Return whether an existing folder is to be replaced; False when it is the company that was asked for."""
    truth = folder / "planted_truth.json"
    if folder.is_dir() and not any(folder.iterdir()):
        return True
    if not truth.is_file():
        raise DemoFolderError(f"{folder} exists and is not a demonstration company (it has no planted_truth.json)")
    content = json.loads(truth.read_text(encoding="utf-8")).get("content", {})
    days = len(list((folder / "events").glob("*.parquet")))
    if content.get("marker") == marker and content.get("event_files") == days:
        return False
    if not overwrite:
        raise DemoFolderError(
            f"{folder} holds a demonstration company made with other parameters, or an incomplete one; "
            "choose another folder or ask for it to be overwritten"
        )
    return True


def _write(company: Company, folder: Path, marker: str, progress: Callable[[int, int], None], buffer_rows: int) -> None:
    """Write the whole company into a new folder."""
    (folder / "events").mkdir(parents=True)
    spills = folder.parent / "spills"
    spills.mkdir()
    first_day, days = company.begin // DAY, (company.end - company.begin) // DAY
    blocks = -(-company.accounts // BLOCK)
    steps = {"done": 0, "all": blocks * 20 + days + 100}

    def advance(by: int) -> None:
        steps["done"] += by
        progress(steps["done"], steps["all"])

    spool = EventSpool(spills, first_day, days, buffer_rows)
    not_yet_arrived = 0
    noted: dict[str, list[Integers]] = {}
    with Snapshots(folder, company.end) as snapshots:
        for block in range(blocks):
            rows, later = make_block(company, block, snapshots, noted)
            spool.add(rows)
            not_yet_arrived += later
            advance(20)
    missing = company.dirt.missing_day if company.dirt else None
    written = write_days(
        spool,
        folder / "events",
        missing_day=None if missing is None else instant(missing) // DAY,
        unknown_name=company.dirt.unknown_name if company.dirt else "",
        done=lambda: advance(1),
    )
    quantities = population_quantities(company.world, company.truth_draws)
    advance(100)
    truth = {
        "parameters": company.described(),
        "content": {
            "marker": marker,
            "generator": GENERATOR,
            "event_files": written.files,
            "event_rows": written.rows,
            "empty_days": written.empty_days,
            "rows": snapshots.rows,
        },
        "switches": switches(company.world),
        **planted_roles(company.world),
        "accounts": {name: _noted(places) for name, places in noted.items()},
        "dirt": None if company.dirt is None else _dirt(company.dirt, written, not_yet_arrived),
        "population": quantities,
    }
    text = json.dumps(truth, indent=2, ensure_ascii=False) + "\n"
    (folder / "planted_truth.json").write_text(text, encoding="utf-8")


def _dirt(dirt: Dirt, written: Written, not_yet_arrived: int) -> dict[str, Any]:
    """Return the dirt that stands in the files."""
    return {
        "rows": {kind: written.kinds[kind] for kind in KINDS[1:]},
        "rows_by_file_day": written.kinds_by_day,
        "unknown_name": dirt.unknown_name,
        "missing_day": dirt.missing_day.isoformat() if dirt.missing_day else None,
        "missing_day_rows": written.missing_day_rows,
        "not_yet_arrived_rows": not_yet_arrived,
    }


def _noted(places: list[Integers]) -> dict[str, Any]:
    """Return how many accounts there are of a kind, and the identifiers of the first thousand."""
    every = np.concatenate(places)
    return {"count": int(every.size), "account_ids": account_ids(every[:_NOTED_ACCOUNTS]).to_pylist()}
