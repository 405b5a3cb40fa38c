"""Lines of the framework's review: alarms where nothing has changed, and where something has.

Put here what is raised since a version was adopted. Keep out how a threshold is derived (`planted.py`).
"""

import numpy as np
import pandas as pd

from tests.proving import method
from tests.proving.review_worlds import ADOPTED_AT, MILESTONES, Change, milestones, moved, shrunk, unchanged
from tests.proving.score import Job, Line, Record, Row, share

SIZES = (300, 1000, 10_000)
JUMPS = (0.20, 0.10, 0.0)
"""Of the worlds that stay as they are, in turn: large, small, none at all."""

SIDE = 2000
JUMP = 0.20
SHRUNK = {
    "a 20-point gap halved": (0.5, False),
    "a 20-point jump and the slope beside it halved": (0.5, True),
    "a 20-point gap down to 75 %": (0.75, False),
}
"""By what is left of it, and whether more than a jump goes with the value."""

MOVED = {"the jump at twice its value": 2.0, "the jump at one and a half times its value": 1.5}
BOUNDED = {"a 20-point gap halved", "the jump at twice its value"}
FEWER = 3
"""Changes without a bound are drawn in every so-manieth run."""


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
        for what, (factor, is_sloped) in SHRUNK.items():
            if what in BOUNDED or number % FEWER == 0:
                change = shrunk(rng, jump=JUMP, factor=factor, is_sloped=is_sloped)
                found = _review(others, change, rng, SIDE).loc["activation"]
                records.append({"kind": what, "is_raised": bool(found["is_weakened"])})
        for what, factor in MOVED.items():
            if what in BOUNDED or number % FEWER == 0:
                # as many in each half of the accounts since
                found = _review(others, moved(rng, jump=JUMP, factor=factor), rng, 2 * SIDE).loc["activation"]
                records.append({"kind": what, "is_raised": bool(found["is_retune"])})
    return records


def _review(others: dict[str, Change], change: Change, rng: np.random.Generator, since: int) -> pd.DataFrame:
    return method.review(milestones(others | {"activation": change}, rng, SIDE, since), ADOPTED_AT)


def jobs(*, is_quick: bool) -> list[Job]:
    """Return 510 worlds that stay as they are, by three jumps, and 510 of each change that has a bound (quick: 30 and 15), in pieces."""
    pieces, runs, more = (5, 2, 3) if is_quick else (34, 5, 15)
    return [
        *(Job(same, (9500 + number, runs, SIZES)) for number in range(pieces)),
        *(Job(changed, (9600 + number, more)) for number in range(pieces)),
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
    for what, alarm in [*((what, "weakened") for what in SHRUNK), *((what, "retune") for what in MOVED)]:
        found = [record["is_raised"] for record in records if record["kind"] == what]
        made.append(share("review", f"{what}: `{alarm}`", f"{SIDE:,}", found, least=0.80 if what in BOUNDED else None))
    return made


LINE = Line("review", jobs, rows)
