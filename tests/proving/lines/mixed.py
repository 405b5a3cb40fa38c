"""Lines of worlds with steps of every kind: what is found, what is wrongly kept, and what an unseen intent does.

Put here verdicts on setup steps. Keep out worlds without any effect (`nothing.py`).
"""

from functools import partial

import numpy as np

from tests.proving import method
from tests.proving.adjustment import kept_by_plan_and_size
from tests.proving.score import Job, Line, Record, Row, mean, ratio, share
from tests.proving.step_worlds import POPULATION, company, mixed, true_effects

ACCOUNTS = 5000
LEAST_PLANTED = 0.12


def run(seed: int, worlds: int, *, intent: str = "none", population: int = POPULATION) -> list[Record]:
    """Return a record per step of so many worlds; `population`: accounts that its truth is of."""
    records = []
    for number in range(worlds):
        rng = np.random.default_rng([seed, 31, number])
        world = mixed(rng, intent=intent)
        truth = true_effects(world, seed * 1000 + number, population)
        frame = company(world, rng, ACCOUNTS).frame
        names = [step.name for step in world.steps]
        made = method.steps(frame, names)
        plain = kept_by_plan_and_size(frame, names) if intent != "none" else {}
        records += [
            {
                "intent": intent,
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
    """Return 100 worlds without an intent, 100 with a latent one and 20 with a strong one (quick: 10, 10 and 5)."""
    pieces, worlds = (5, 2) if is_quick else (20, 5)
    found = [Job(partial(run, intent=intent), (7000 + number, worlds)) for intent in ("none", "latent") for number in range(pieces)]
    return found + [Job(partial(run, intent="strong"), (7500 + number, 1)) for number in range(pieces)]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows."""
    size = f"{ACCOUNTS:,} in all"
    plain, latent, strong = (
        [record for record in records if record["intent"] == intent] for intent in ("none", "latent", "strong")
    )
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
    told = [record for record in plain if record["role"] in {"planted", "null"}]
    made.append(share("mixed", "conditional effect's interval holds the truth", size, [record["is_held"] for record in told]))
    biases = [100 * (record["effect"] - record["truth"]) for record in told]
    made.append(mean("mixed", "bias of the conditional effect, mean", size, biases, "points"))
    for part, title, most in ((latent, "", 1 / 3), (strong, ", an intent stronger than any step", None)):
        null = [record for record in part if record["role"] == "null"]
        ours = share(
            "latent", f"null steps kept by the conditional effect{title}", size, [record["verdict"] == "keep" for record in null]
        )
        theirs = share(
            "latent", f"null steps kept with plan and size alone{title}", size, [record["plainly_kept"] for record in null]
        )
        effects = [100 * record["effect"] for record in null]
        bias = mean("latent", f"conditional effect of null steps, mean{title}", size, effects, "points")
        made += [ours, theirs, ratio("latent", f"the former over the latter{title}", size, ours, theirs, most=most), bias]
    return made


LINE = Line("mixed", jobs, rows)
