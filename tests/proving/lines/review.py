"""Lines of the framework's review: alarms where nothing has changed, and where something has.

Put here what is raised since a version was adopted. Keep out how a threshold is derived (`planted.py`).
"""

import numpy as np
import pandas as pd

from tests.proving import method
from tests.proving.review_worlds import ADOPTED_AT, MILESTONES, Change, halved, milestones, moved, unchanged
from tests.proving.score import Job, Line, Record, Row, share

SIZES = (300, 1000, 10_000)
JUMPS = (0.20, 0.10, 0.0)
"""Of the worlds that stay as they are, in turn: large, small, none at all."""

SIDE = 2000
JUMP = 0.20
SHRUNK = (0.5, 0.75)
FURTHER = (2.0, 1.5)


def same(seed: int, runs: int, sizes: tuple[int, ...]) -> list[Record]:
    """Return a record per run: what is raised where nothing has changed."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 51, number])
        for jump in JUMPS:
            changes = {milestone: unchanged(rng, jump=jump) for milestone in MILESTONES}
            for per_side in sizes:
                made = method.review(milestones(changes, rng, per_side), ADOPTED_AT)
                weakened, retune = bool(made["is_weakened"].any()), bool(made["is_retune"].any())
                records.append({"kind": "same", "n": per_side, "jump": jump, "weakened": weakened, "retune": retune})
    return records


def changed(seed: int, runs: int) -> list[Record]:
    """Return a record per run and change: whether the alarm is raised at activation, the other milestones being as they were."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 52, number])
        others = {milestone: unchanged(rng, jump=JUMP) for milestone in MILESTONES}
        for factor in SHRUNK:
            made = _review(others, halved(rng, jump=JUMP, factor=factor), rng, SIDE)
            records.append({"kind": "weakened", "factor": factor, "is_raised": bool(made.loc["activation", "is_weakened"])})
        for factor in FURTHER:
            # as many in each half of the accounts since
            made = _review(others, moved(rng, jump=JUMP, factor=factor), rng, 2 * SIDE)
            records.append({"kind": "retune", "factor": factor, "is_raised": bool(made.loc["activation", "is_retune"])})
    return records


def _review(others: dict[str, Change], change: Change, rng: np.random.Generator, since: int) -> pd.DataFrame:
    return method.review(milestones(others | {"activation": change}, rng, SIDE, since), ADOPTED_AT)


def jobs(*, is_quick: bool) -> list[Job]:
    """Return 510 worlds that stay as they are, by three jumps, and 500 of each change (quick: 30 and 15), in pieces."""
    pieces, runs, more = (5, 2, 3) if is_quick else (34, 5, 15)
    return [
        *(Job(same, (9000 + number, runs, SIZES)) for number in range(pieces)),
        *(Job(changed, (9100 + number, more)) for number in range(pieces)),
    ]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows."""
    made = []
    for per_side in SIZES:
        here = [record for record in records if record["kind"] == "same" and record["n"] == per_side]
        size = f"{per_side:,}"
        raised = [record["weakened"] or record["retune"] for record in here]
        made.append(share("review", "nothing has changed: any alarm", size, raised, most=0.05))
        made += [
            share("review", f"nothing has changed: `{alarm}`", size, [record[alarm] for record in here])
            for alarm in ("weakened", "retune")
        ]
    for kind, factors, title in (
        ("weakened", SHRUNK, "a 20-point jump shrunk to {} %"),
        ("retune", FURTHER, "the jump's place moved to {} %"),
    ):
        for factor in factors:
            found = [record["is_raised"] for record in records if record["kind"] == kind and record["factor"] == factor]
            what = f"{title.format(round(100 * factor))}: `{kind}`"
            made.append(share("review", what, f"{SIDE:,}", found, least=0.80 if factor == factors[0] else None))
    return made


LINE = Line("review", jobs, rows)
