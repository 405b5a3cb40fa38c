"""Lines of worlds with features of every kind: which are called differentiators, and what the others are called.

Put here verdicts on features where there is something to find. Keep out worlds without any effect (`ranking.py`).
"""

import numpy as np
import pandas as pd

from tests.proving import method
from tests.proving.feature_worlds import POPULATION, TIERS, FeatureWorld, company, mixed, true_differences, users
from tests.proving.score import Job, Line, Record, Row, mean, share

SIZES = {5000: "5,000 in all", 7250: "5,000 held out"}
"""Accounts in all; of the second number about 5,000 have a row after the date that divides fit and test."""

LEAST_PLANTED = 0.10
FOUND = "differentiator"


def declared(world: FeatureWorld) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return what a company's config says of the features: name, measure, plans."""
    return [(item.name, item.measure, TIERS[-1:] if item.role == "impostor" else ()) for item in world.items]


def run(seed: int, worlds: int, accounts: int, population: int = POPULATION) -> list[Record]:
    """Return a record per feature of so many worlds of so many accounts; `population`: accounts that the truth is of."""
    records = []
    for number in range(worlds):
        rng = np.random.default_rng([seed, 41, number])
        world = mixed(rng)
        frame = company(world, rng, accounts)
        made = method.features(frame, declared(world), users(world, frame))
        truth = true_differences(world, seed * 1000 + number, first_compared(frame, made["held_out_rows"].iloc[0]), population)
        by_role = {item.role: item.name for item in world.items}
        is_published = bool(made["auc_low"].iloc[0] > 0.5)
        is_pair = made.loc[by_role["copied"], "feature_group"] == made.loc[by_role["copy"], "feature_group"]
        records += [
            {
                "n": accounts,
                "role": item.role,
                "truth": truth[item.name],
                "verdict": made.loc[item.name, "verdict"] if is_published else "withheld",
                "association": made.loc[item.name, "association"],
                "is_held": made.loc[item.name, "association_low"] <= truth[item.name] <= made.loc[item.name, "association_high"],
                "is_pair": bool(is_pair),
                "is_alone": int((made["feature_group"] == made.loc[item.name, "feature_group"]).sum()) == 1,
                "decoys_passed": made["decoys_passed"].iloc[0] / made["decoys"].iloc[0],
            }
            for item in world.items
        ]
    return records


def first_compared(frame: pd.DataFrame, held_out_rows: int) -> int:
    """Return the number of the first date that the method compares: as many rows lie on it and after it."""
    counts = frame["observed_at"].value_counts().sort_index().to_numpy()
    return int(np.flatnonzero(counts[::-1].cumsum()[::-1] == held_out_rows)[0])


def jobs(*, is_quick: bool) -> list[Job]:
    """Return 60 worlds of each size (quick: 5), in pieces."""
    pieces, worlds = (5, 1) if is_quick else (20, 3)
    return [Job(run, (8000 + number, worlds, accounts)) for accounts in SIZES for number in range(pieces)]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows."""
    return [
        row for accounts, size in SIZES.items() for row in _rows([record for record in records if record["n"] == accounts], size)
    ]


def _rows(records: list[Record], size: str) -> list[Row]:
    def of(*roles: str) -> list[Record]:
        return [record for record in records if record["role"] in roles]

    planted = [record for record in of("planted", "copied") if record["truth"] >= LEAST_PLANTED]
    called = [record for record in records if _is_found(record)]
    # a copy is what it copies: calling it is no mistake, and no find of its own
    wrong = [record["role"] not in {"planted", "copied"} for record in called if record["role"] != "copy"]
    pair = [
        record["is_pair"] and (_is_found(record) or _is_found(copy))
        for record, copy in zip(of("copied"), of("copy"), strict=True)
        if record["truth"] >= LEAST_PLANTED
    ]
    made = [
        share("features", "features planted at ≥ 10 points found", size, [_is_found(record) for record in planted], least=0.95),
        share("features", f"of the features called `{FOUND}`, planted null", size, wrong, most=0.05),
    ]
    for role, adoption in (("niche", "at 2.0 to 2.5 % adoption"), ("ubiquitous", "at ≥ 85 % adoption")):
        exact = [record["verdict"] == role for record in of(role)]
        made.append(share("features", f"features {adoption} called exactly `{role}`", size, exact, least=0.95))
    for role, title in (("impostor", "the config says whose it is"), ("undeclared", "the config does not say whose it is")):
        missed = [not _is_found(record) for record in of(role)]
        what = f"a feature of the top plan, which stays for another reason, is not `{FOUND}`; {title}"
        made.append(share("features", what, size, missed, least=0.95))
    made.append(share("features", "a planted feature and its near copy are one group, and it is found", size, pair, least=0.95))
    strangers = [not record["is_alone"] for record in records if record["role"] not in {"copied", "copy"}]
    made.append(share("features", "features without a copy grouped with another", size, strangers))
    told = of("planted", "copied", "null")
    made.append(share("features", "association's interval holds the truth", size, [record["is_held"] for record in told]))
    biases = [100 * (record["association"] - record["truth"]) for record in told]
    made.append(mean("features", "bias of the association, mean", size, biases, "points"))
    decoys = [record["decoys_passed"] for record in of("copied")]
    return [*made, mean("features", "share of decoys passed, mean over worlds", size, decoys, "ratio")]


def _is_found(record: Record) -> bool:
    return bool(record["verdict"] == FOUND)


LINE = Line("features", jobs, rows)
