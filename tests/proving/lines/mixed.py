"""Lines of worlds with steps of every kind: what is found, what is wrongly kept, and what an unseen intent does.

Put here verdicts on setup steps. Keep out worlds without any effect (`nothing.py`).
"""

from functools import partial

import numpy as np

from tests.proving import method
from tests.proving.adjustment import kept_by_plan_and_size
from tests.proving.score import Job, Line, Record, Row, ratio, share
from tests.proving.step_worlds import POPULATION, company, mixed, true_effects

ACCOUNTS = 5000
LEAST_PLANTED = 0.12


def run(seed: int, worlds: int, *, is_latent: bool, population: int = POPULATION) -> list[Record]:
    """Return a record per step of so many worlds; `population`: accounts that its truth is of."""
    records = []
    for number in range(worlds):
        rng = np.random.default_rng([seed, 31, number])
        world = mixed(rng, intent=is_latent)
        truth = true_effects(world, seed * 1000 + number, population)
        frame = company(world, rng, ACCOUNTS).frame
        names = [step.name for step in world.steps]
        made = method.steps(frame, names)
        plain = kept_by_plan_and_size(frame, names) if is_latent else {}
        records += [
            {
                "is_latent": is_latent,
                "world": f"{seed}-{number}",
                "role": step.role,
                "truth": truth[step.name],
                "verdict": made.loc[step.name, "verdict"],
                "effect": made.loc[step.name, "effect"],
                "is_held": made.loc[step.name, "effect_low"] <= truth[step.name] <= made.loc[step.name, "effect_high"],
                "plainly_kept": plain.get(step.name),
            }
            for step in world.steps
        ]
    return records


def jobs(*, is_quick: bool) -> list[Job]:
    """Return 100 worlds without and 100 with a latent intent (quick: 10 each), in pieces."""
    pieces, worlds = (5, 2) if is_quick else (20, 5)
    return [
        Job(partial(run, is_latent=is_latent), (7000 + number, worlds)) for is_latent in (False, True) for number in range(pieces)
    ]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows."""
    size = f"{ACCOUNTS:,} in all"
    plain = [record for record in records if not record["is_latent"]]
    latent = [record for record in records if record["is_latent"]]
    made = []
    for part, title, bounds in ((plain, "", (0.95, 0.05)), (latent, ", an unseen intent at work", (None, None))):
        planted = [record for record in part if record["role"] == "planted" and record["truth"] >= LEAST_PLANTED]
        found = [record["verdict"] == "keep" for record in planted]
        made.append(share("mixed", f"steps planted at ≥ 12 points found{title}", size, found, least=bounds[0]))
        kept = [record["role"] == "null" for record in part if record["verdict"] == "keep"]
        made.append(share("mixed", f"of the steps kept, planted null{title}", size, kept, most=bounds[1]))
    for role, adoption in (("niche", "at ≤ 2.5 % adoption"), ("routine", "at ≥ 98 % adoption")):
        exact = [record["verdict"] == role for record in plain if record["role"] == role]
        made.append(share("mixed", f"steps {adoption} called exactly `{role}`", size, exact, least=0.95))
    held = [record["is_held"] for record in plain if record["role"] in {"planted", "null"}]
    made.append(share("mixed", "conditional effect's interval holds the truth", size, held))
    null = [record for record in latent if record["role"] == "null"]
    ours = share("latent", "null steps kept by the conditional effect", size, [record["verdict"] == "keep" for record in null])
    theirs = share("latent", "null steps kept with plan and size alone", size, [record["plainly_kept"] for record in null])
    return [*made, ours, theirs, ratio("latent", "the former over the latter", size, ours, theirs, most=1 / 3)]


LINE = Line("mixed", jobs, rows)
