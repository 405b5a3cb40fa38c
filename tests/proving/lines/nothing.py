"""Lines of worlds in which nothing is planted, and of companies too small to tell.

Put here false signals and refusals. Keep out worlds with something to find (`planted.py`, `mixed.py`).
"""

import numpy as np

from tests.proving import method, step_worlds, worlds
from tests.proving.score import Job, Line, Record, Row, share

SMALL_HALF = 150
STEP_ACCOUNTS = (1400, 5000)


def thresholds(seed: int, runs: int, halves: tuple[int, ...]) -> list[Record]:
    """Return a record per run: signal or none where only plan and size move anything."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 21, number])
        world = worlds.nothing(rng)
        for per_half in halves:
            row = method.threshold(worlds.landmarks(world, rng, per_half), world.at, 20).row
            records.append({"kind": "threshold", "n": per_half, "is_signal": row["is_signal"], "reason": row["reason"]})
    return records


def steps(seed: int, runs: int, sizes: tuple[int, ...]) -> list[Record]:
    """Return a record per run: how many of 8 steps without effect are kept."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 22, number])
        world = step_worlds.nothing(rng)
        for accounts in sizes:
            made = method.steps(step_worlds.company(world, rng, accounts).frame, [step.name for step in world.steps])
            records.append({"kind": "step", "n": accounts, "kept": int((made["verdict"] == "keep").sum())})
    return records


def small(seed: int, runs: int) -> list[Record]:
    """Return a record per run of 300 accounts, whatever is planted: trust of the threshold, and what is decided."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 23, number])
        world = (worlds.planted(rng, jump=0.20), worlds.smooth(rng), worlds.nothing(rng))[number % 3]
        row = method.threshold(worlds.landmarks(world, rng, SMALL_HALF), world.at, 20).row
        decides = bool(row["is_signal"]) or np.isfinite(row["derived"])
        records.append({"kind": "small", "trust": row["trust"], "decides": decides})
    return records


def jobs(*, is_quick: bool) -> list[Job]:
    """Return 500 worlds of each kind (quick: 60), in pieces."""
    pieces, runs = (5, 12) if is_quick else (20, 25)
    found = [Job(thresholds, (4000 + number, runs, (700, 1400, 5000))) for number in range(pieces)]
    found += [Job(steps, (5000 + number, runs, STEP_ACCOUNTS)) for number in range(pieces)]
    return found + [Job(small, (6000 + number, runs)) for number in range(pieces)]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows."""
    made = []
    for half in (700, 1400, 5000):
        here = [record for record in records if record["kind"] == "threshold" and record["n"] == half]
        what = "`auto` says no signal, only plan and size move anything"
        made.append(share("nothing", what, f"{half:,}", [not record["is_signal"] for record in here], least=0.95))
    for accounts in STEP_ACCOUNTS:
        here = [record for record in records if record["kind"] == "step" and record["n"] == accounts]
        what = "worlds with any step `keep`, only plan and size move anything"
        made.append(share("nothing", what, f"{accounts:,} in all", [record["kept"] > 0 for record in here], most=0.05))
    few = [record for record in records if record["kind"] == "small"]
    trust = [record["trust"] == "interview" for record in few]
    made.append(share("small", "300 accounts: the threshold is `interview`", "300 in all", trust, least=0.95))
    decided = [record["decides"] for record in few]
    made.append(share("small", "300 accounts: a threshold is decided", "300 in all", decided, most=0.0))
    return made


LINE = Line("nothing", jobs, rows)
