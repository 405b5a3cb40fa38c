"""Lines of worlds with a planted jump: intervals of the difference, the pick and how stable it is.

Put here what is measured where there is a threshold to find. Keep out worlds without one (`nothing.py`).
"""

import numpy as np

from tests.proving import method
from tests.proving.score import Job, Line, Record, Row, mean, median, share
from tests.proving.truth import Truth
from tests.proving.worlds import landmarks, planted, smooth

HALVES = (150, 700, 1400, 5000)
TEN_IN_EVERY_CELL = 10.0
NEAR = 0.15
WIDEST = 0.7
KINDS = ("jump20", "jump10", "smooth", "intervals")
"""20 and 10 points, no jump at all, and again 20 points where no interval of the pick is wanted, only one of the gap."""


def run(kind: str, seed: int, runs: dict[int, int], resamples: int) -> list[Record]:
    """Return a record per run of one drawn world, so many of each size of a half; `kind`: one of `KINDS`."""
    rng = np.random.default_rng([seed, 11])
    world = smooth(rng) if kind == "smooth" else planted(rng, jump=0.10 if kind == "jump10" else 0.20)
    truth = Truth.of(world, seed)
    records = []
    for per_half, times in runs.items():
        for _ in range(times):
            found = method.threshold(landmarks(world, rng, per_half), world.at, resamples)
            record: Record = {"kind": kind, "n": per_half, "at": world.at} | {
                name: found.row[name] for name in ("pick", "pick_low", "pick_high", "is_signal", "picked_share")
            }
            for place, value, effect in (("at", float(world.at), found.beside), ("pick", found.row["pick"], None)):
                if np.isfinite(value):
                    record |= _covered(place, truth, value, per_half, found.row if effect is None else vars(effect))
            if kind == "smooth" and np.isfinite(found.row["pick"]):
                record["regret"] = truth.best(found.candidates) - truth.at(found.row["pick"]).adjusted
            records.append(record)
    return records


def _covered(place: str, truth: Truth, value: float, accounts: int, effect: Record) -> Record:
    """Return whether the two intervals at a value hold what is true there, and the smallest expected cell."""
    divided = truth.at(value)
    return {
        f"{place}_least": divided.least_cell * accounts,
        f"{place}_crude": effect["crude_difference_low"] <= divided.crude <= effect["crude_difference_high"],
        f"{place}_adjusted": effect["difference_low"] <= divided.adjusted <= effect["difference_high"],
        f"{place}_bias": effect["difference"] - divided.adjusted,
    }


def jobs(*, is_quick: bool) -> list[Job]:
    """Return, of each kind, so many worlds, each with its runs by size and its resamples."""
    if is_quick:
        plan = {"jump20": (10, dict.fromkeys(HALVES, 6), 200), "intervals": (10, dict.fromkeys(HALVES, 10), 20)}
        plan |= {"jump10": (5, {1400: 8}, 20), "smooth": (5, {1400: 8}, 20)}
    else:
        # tables with a small cell are rare among many accounts, those without one among few: 1,000 runs of each are wanted
        plan = {"jump20": (50, dict.fromkeys(HALVES, 20), 500), "intervals": (100, {150: 60, 700: 36, 1400: 70, 5000: 10}, 20)}
        plan |= {"jump10": (25, {1400: 20}, 20), "smooth": (25, {1400: 20}, 20)}
    return [
        Job(run, (kind, 1000 + 1000 * KINDS.index(kind) + number, runs, resamples))
        for kind, (worlds, runs, resamples) in plan.items()
        for number in range(worlds)
    ]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows of the three lines."""
    made = []
    jumps = [record for record in records if record["kind"] in {"jump20", "intervals"}]
    for place, title in (("at", "risk difference at a fixed value"), ("pick", "gap at the picked value")):
        for kind, name in (("crude", "Newcombe, crude"), ("adjusted", "Mantel–Haenszel, Sato")):
            for half in HALVES:
                known = [record for record in jumps if record["n"] == half and f"{place}_least" in record]
                for is_full in (True, False):
                    part = [record for record in known if (record[f"{place}_least"] >= TEN_IN_EVERY_CELL) == is_full]
                    if part:
                        cells = "every expected cell ≥ 10" if is_full else "a smaller cell"
                        made.append(
                            share(
                                "intervals",
                                f"{title} ({name}) holds the truth, {cells}",
                                f"{half:,}",
                                [record[f"{place}_{kind}"] for record in part],
                                least=0.93,
                                most=0.97 if is_full else None,
                            )
                        )
    for half in HALVES:
        here = [record for record in records if record["kind"] == "jump20" and record["n"] == half]
        # without a pick nothing is covered: a miss
        held = [record["pick_low"] <= record["at"] <= record["pick_high"] for record in here]
        if not here:
            continue
        made.append(share("stability", "stability interval of the pick holds the jump", f"{half:,}", held, least=0.93))
        widths = [(record["pick_high"] - record["pick_low"]) / record["at"] for record in here]
        most = WIDEST if half == 1400 else None
        made.append(median("stability", "its width over the threshold, median", f"{half:,}", widths, "ratio", most=most))
    for kind, half, title in [("jump20", half, "20-point") for half in HALVES] + [("jump10", 1400, "10-point")]:
        here = [record for record in records if record["kind"] == kind and record["n"] == half]
        if not here:
            continue
        near = [abs(record["pick"] - record["at"]) <= NEAR * record["at"] for record in here]
        least = 0.90 if kind == "jump20" and half == 1400 else None
        made.append(share("pick", f"pick within ± 15 % of a {title} jump", f"{half:,}", near, least=least))
        made.append(share("pick", f"signal at a {title} jump", f"{half:,}", [record["is_signal"] for record in here]))
    regret = [record["regret"] * 100 for record in records if "regret" in record]
    return [*made, mean("pick", "regret in a smooth world, mean", "1,400", regret, "points")] if regret else made


LINE = Line("planted", jobs, rows)
