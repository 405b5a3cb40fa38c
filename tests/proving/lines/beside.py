"""Lines of what others ship, on the same accounts, beside the product.

Put here false signals, the error of the threshold, the bias of the gap that is reported, and leavers that a method never
sees. Keep out the others' rules (`naive.py`).
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from tests.proving import method, naive, step_worlds, worlds
from tests.proving.score import Job, Line, Record, Row, apart, mean, median, share
from tests.proving.truth import Truth

HALF = 1400
SMALL_HALF = 150
STEP_ACCOUNTS = 5000
COMPASS_DAYS = (1, 7, 14, 30, 60, 90)
OURS, COMPASS, SIGNAL, POSTHOG, GOLD = "ours", "Compass", "Signal", "PostHog", "fight-churn"
KINDS = {"null": "nothing moves anything", "confounded": "only plan and size move anything", "planted": "a 20-point jump"}


def run(kind: str, seed: int, runs: int, per_half: int = HALF) -> list[Record]:
    """Return a record per run and method of one drawn world of thresholds; `per_half`: compared accounts in each half."""
    rng = np.random.default_rng([seed, 41])
    world = worlds.planted(rng, jump=0.20) if kind == "planted" else worlds.nothing(rng)
    if kind == "null":
        world = replace(world, confounding=0.0)
    truth = Truth.of(world, seed)
    records = []
    for _ in range(runs):
        frame = worlds.landmarks(world, rng, per_half)
        compared = frame.loc[frame["standing"] == "row"]
        row = method.threshold(frame, world.at, 20).row
        ours = {"method": OURS, "signal": bool(row["is_signal"]), "missing": _unseen(frame, row)}
        if np.isfinite(row["pick"]):
            bias = row["difference"] - truth.at(row["pick"]).adjusted
            ours |= {"error": abs(row["pick"] - world.at) / world.at, "bias": bias, "own_bias": bias}
        found = [ours, _cell(COMPASS, compared, COMPASS_DAYS, None, world, truth), _gold(frame, world, rng, truth)]
        found.append(_cell(SIGNAL, compared, tuple(range(1, 15)), 10, world, truth))
        label = kind if per_half == HALF else f"small {kind}"
        records += [{"kind": label, **record} for record in found]
    return records


def steps(kind: str, seed: int, runs: int) -> list[Record]:
    """Return a record per run of a world of steps: false signals, and the mean bias over its steps, ours and PostHog's."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 42, number])
        if kind == "planted":
            world = step_worlds.mixed(rng)
            truth = step_worlds.true_effects(world, seed * 1000 + number)
        else:
            world = step_worlds.nothing(rng, confounding=float(kind == "confounded"))
            truth = {step.name: 0.0 for step in world.steps}
        told = [step for step in world.steps if step.role in {"planted", "null"}]
        company = step_worlds.company(world, rng, STEP_ACCOUNTS)
        made = method.steps(company.frame, [step.name for step in world.steps])
        days = {step.name: company.drawn.done_day[:, place] for place, step in enumerate(world.steps)}
        theirs = {step.name: naive.correlation(days[step.name], company.activated_day, step_worlds.WINDOW_DAYS) for step in told}
        null = [step.name for step in told if step.role == "null"]
        called = any(made.loc[name, "verdict"] in {"keep", "against"} for name in null)
        ours = float(np.mean([made.loc[step.name, "effect"] - truth[step.name] for step in told]))
        other = float(np.mean([theirs[step.name].gap - truth[step.name] for step in told]))
        records.append({"kind": f"{kind} steps", "method": OURS, "signal": called, "bias": ours})
        signal = any(theirs[name].is_signal for name in null)
        records.append({"kind": f"{kind} steps", "method": POSTHOG, "signal": signal, "bias": other})
    return records


def _cell(name: str, compared: pd.DataFrame, days: tuple[int, ...], most: int | None, world: worlds.World, truth: Truth) -> Record:
    counts = {day: compared["value" if day == worlds.WINDOW_DAYS else f"events_{day}d"].to_numpy(dtype=np.int64) for day in days}
    cell = naive.best_cell(counts, compared["retained"].to_numpy(dtype=bool), most)
    record: Record = {"method": name, "signal": cell.is_signal, "in_words": cell.phi >= naive.SLIGHTLY}
    if cell.days:
        divided = truth.within(worlds.part_within(cell.days), cell.count)
        record["error"] = abs(cell.count - world.at) / world.at
        record |= {"bias": cell.gap - divided.adjusted, "own_bias": cell.gap - divided.crude}
    return record


def _gold(frame: pd.DataFrame, world: worlds.World, rng: np.random.Generator, truth: Truth) -> Record:
    """Return what the observation set says: its gap at the planted place, and the leavers that it never sees."""
    everybody = pd.concat([frame.assign(age=np.inf), worlds.recent(world, rng, len(frame) // 4)], ignore_index=True)
    everybody["leaving_day"] = everybody["left_day"].fillna(everybody["gone_day"])
    seen = naive.observations(everybody)
    left = everybody.loc[np.isinf(everybody["age"]) & everybody["leaving_day"].notna(), "account_key"]
    missing = 1 - left.isin(seen.loc[seen["churned"], "account_key"]).mean()
    last = seen.loc[seen["day"] == worlds.WINDOW_DAYS].merge(everybody[["account_key", "value"]], on="account_key")
    is_above = last["value"] >= world.at
    gap = last.loc[~is_above, "churned"].mean() - last.loc[is_above, "churned"].mean()
    divided = truth.at(world.at)
    return {"method": GOLD, "bias": gap - divided.adjusted, "own_bias": gap - divided.crude, "missing": missing}


def _unseen(frame: pd.DataFrame, row: Record) -> float:
    """Return the share of planted leavers that the product neither compares nor counts as having left before."""
    left = int((frame["left_day"].notna() | frame["gone_day"].notna()).sum())
    lost = int((frame["standing"].eq("row") & ~frame["retained"].astype(bool)).sum())
    return 1 - (int(row["left_before"]) + lost) / left


def jobs(*, is_quick: bool) -> list[Job]:
    """Return 20 worlds × 25 runs of each kind (quick: 5 × 12), and 100 worlds of steps (quick: 10)."""
    pieces, runs, per_piece = (5, 12, 2) if is_quick else (20, 25, 5)
    found = [Job(run, (kind, 8000 + place * 100 + number, runs)) for place, kind in enumerate(KINDS) for number in range(pieces)]
    found += [
        Job(run, (kind, 8500 + place * 100 + number, runs, SMALL_HALF))
        for place, kind in enumerate(("null", "confounded"))
        for number in range(pieces)
    ]
    return found + [
        Job(steps, (kind, 9000 + place * 100 + number, per_piece)) for place, kind in enumerate(KINDS) for number in range(pieces)
    ]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows: every measure for ours and for those that it can be taken of, and whether intervals are apart."""
    made: list[Row] = []
    size, steps_size = f"{HALF:,}", f"{STEP_ACCOUNTS:,} in all"

    def values(kind: str, name: str, key: str) -> list[float]:
        return [record[key] for record in records if record["kind"] == kind and record["method"] == name and key in record]

    for kind in ("null", "confounded"):
        what = f"false signals, {KINDS[kind]}"
        for label, half in ((kind, size), (f"small {kind}", f"{SMALL_HALF:,}")):
            found = [share("beside", f"{what}: {name}", half, values(label, name, "signal")) for name in (OURS, COMPASS, SIGNAL)]
            made += apart(found)
            made += [
                share("beside", f"{what}, by its own words (φ ≥ .2): {name}", half, values(label, name, "in_words"))
                for name in (COMPASS, SIGNAL)
            ]
        step_kind = f"{kind} steps"
        signals = [
            share("beside", f"{what}, any of 8 steps: {name}", steps_size, values(step_kind, name, "signal"))
            for name in (OURS, POSTHOG)
        ]
        made += apart(signals)
    planted = KINDS["planted"]
    made += [
        share("beside", f"signal at {planted}: {name}", size, values("planted", name, "signal")) for name in (OURS, COMPASS, SIGNAL)
    ]
    made += [
        share("beside", f"signal at {planted}, by its own words: {name}", size, values("planted", name, "in_words"))
        for name in (COMPASS, SIGNAL)
    ]
    made += [
        median("beside", f"error of the threshold over it, {planted}: {name}", size, values("planted", name, "error"), "ratio")
        for name in (OURS, COMPASS, SIGNAL)
    ]
    for kind in ("planted", "confounded"):
        points = {name: [100 * bias for bias in values(kind, name, "bias")] for name in (OURS, COMPASS, SIGNAL, GOLD)}
        made += apart(
            [mean("beside", f"bias of the gap, {KINDS[kind]}: {name}", size, found, "points") for name, found in points.items()]
        )
        own = {name: [100 * bias for bias in values(kind, name, "own_bias")] for name in (COMPASS, SIGNAL, GOLD)}
        made += [
            mean("beside", f"the same against its own crude truth, {KINDS[kind]}: {name}", size, found, "points")
            for name, found in own.items()
        ]
        step_bias = {name: [100 * bias for bias in values(f"{kind} steps", name, "bias")] for name in (OURS, POSTHOG)}
        made += apart(
            [
                mean("beside", f"bias of steps' gaps, {kind}: {name}", steps_size, found, "points")
                for name, found in step_bias.items()
            ]
        )
    missing = {name: [100 * part for part in values("planted", name, "missing")] for name in (OURS, GOLD)}
    return made + apart(
        [mean("beside", f"planted leavers missing: {name}", size, found, "% of them") for name, found in missing.items()]
    )


LINE = Line("beside", jobs, rows)
