"""The folder of the demonstration company: bounds of the call, reuse, atomic change, progress, and bounded memory."""

import json
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milestones_dagster.demo import generate as generate_module
from milestones_dagster.demo.dirt import DELIVERY
from milestones_dagster.demo.generate import DemoFolderError, generate
from milestones_dagster.demo.world import World
from milestones_dagster.demo.writer import EventSpool

SMALL: dict[str, Any] = {"accounts": 200, "months": 6, "until": date(2026, 4, 1), "truth_draws": 1000}


def truth_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "planted_truth.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"accounts": 199},
        {"accounts": 200_001},
        {"months": 5},
        {"seed": -1},
        {"events_per_account": 20_000},
        {"accounts": 2e3},
    ],
)
def test_parameters_outside_their_bounds_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(wrong))}: found .*, expected a whole number from"):
        generate(tmp_path / "demo", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_folder_of_the_same_parameters_is_left_alone(tmp_path: Path) -> None:
    folder = generate(tmp_path / "demo", **SMALL).parent
    before = {path: path.stat().st_ino for path in folder.rglob("*")}

    assert generate(folder, **SMALL) == folder / "planted_truth.json"
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == before


def test_folder_of_other_parameters_is_refused_unless_overwritten(tmp_path: Path) -> None:
    folder = generate(tmp_path / "demo", **SMALL).parent

    with pytest.raises(DemoFolderError, match="made with other parameters"):
        generate(folder, **SMALL, world=World.null())
    generate(folder, **SMALL, world=World.null(), overwrite=True)
    assert truth_of(folder)["parameters"]["world"]["usage_jump"] == 0
    (folder / "events" / "2026-01-01.parquet").unlink()
    with pytest.raises(DemoFolderError, match="incomplete"):
        generate(folder, **SMALL, world=World.null())
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "notes.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(DemoFolderError, match="not a demonstration company"):
        generate(tmp_path / "demo", **SMALL, overwrite=True)
    assert (tmp_path / "demo" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(generate_module, "population_quantities", fails)
    with pytest.raises(RuntimeError, match="disk full"):
        generate(tmp_path / "demo", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_up_to_all(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate(tmp_path / "demo", **SMALL, progress=lambda done, of: seen.append((done, of)))

    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    assert len({of for _, of in seen}) == 1


def test_spool_holds_one_buffer_or_one_day_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    spool = EventSpool(tmp_path, first_day=100, days=50, buffer_rows=20_000)
    block = 10_000
    tracemalloc.start()
    for number in range(60):
        rows = np.zeros(block, dtype=DELIVERY)
        rows["file_day"] = rng.integers(100, 150, block)
        rows["account"] = number
        rows["occurred_at"] = rng.integers(0, 10**6, block)
        spool.add(rows)
    days = [(day, len(rows), bool((np.diff(rows["occurred_at"]) >= 0).all())) for day, rows in spool.days()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [day for day, _, _ in days] == list(range(100, 150))
    assert sum(rows for _, rows, _ in days) == 600_000
    assert all(is_sorted for _, _, is_sorted in days)
    assert peak < 6 * 20_000 * DELIVERY.itemsize < 600_000 * DELIVERY.itemsize / 4
    assert list(tmp_path.iterdir()) == []
