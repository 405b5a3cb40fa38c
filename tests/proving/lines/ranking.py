"""Lines of rankings that have nothing to say: no effect planted, labels shuffled, a company too small to tell.

Put here false signals and refusals of the ranking of features. Keep out worlds with something to find (`features.py`).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.proving import method
from tests.proving.feature_worlds import FeatureWorld, company, mixed, nothing, users
from tests.proving.lines.features import FOUND, declared
from tests.proving.score import Job, Line, Record, Row, mean, share

SIZES = (1400, 5000)
SHUFFLED = 1400
SMALL = 300


def _record(kind: str, world: FeatureWorld, frame: pd.DataFrame, accounts: int, **config: int) -> Record:
    made = method.features(frame, declared(world), users(world, frame), **config)
    whole = made.iloc[0]
    is_published = bool(whole["auc_low"] > 0.5)
    return {
        "kind": kind,
        "n": accounts,
        "is_published": is_published,
        "is_called": is_published and bool((made["verdict"] == FOUND).any()),
        "would_be": bool((made["verdict"] == FOUND).any()),
        # how many use a feature may be sure among few accounts; what it goes with may not
        "decides": is_published and bool((~made["verdict"].isin({"interview", "ubiquitous", "niche"})).any()),
        "misses": not whole["auc_low"] <= 0.5 <= whole["auc_high"],
        "auc": whole["auc"],
    }


def null(seed: int, runs: int, sizes: tuple[int, ...]) -> list[Record]:
    """Return a record per run: what is said where only plan and size move staying, and where nothing moves anything."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 42, number])
        for kind, confounding in (("confounded", 1.0), ("nothing", 0.0)):
            world = nothing(rng, confounding=confounding)
            records += [_record(kind, world, company(world, rng, accounts), accounts) for accounts in sizes]
    return records


def shuffled(seed: int, runs: int) -> list[Record]:
    """Return a record per run: worth of a ranking of features with effects, once the outcomes are shuffled within dates."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 43, number])
        world = mixed(rng)
        frame = company(world, rng, SHUFFLED)
        frame["retained"] = _shuffled_within(frame["observed_at"], frame["retained"].to_numpy(), rng)
        # the AUC and its interval do not depend on how often features are permuted
        records.append(_record("shuffled", world, frame, SHUFFLED, repeats=1))
    return records


def _shuffled_within(dates: pd.Series, values: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the values in any order within each date."""
    found = np.empty_like(values)
    in_order, in_any_order = dates.argsort(kind="stable").to_numpy(), rng.permutation(values.size)
    found[in_order] = values[in_any_order[dates.iloc[in_any_order].argsort(kind="stable").to_numpy()]]
    return found


def small(seed: int, runs: int) -> list[Record]:
    """Return a record per run of 300 accounts: what is decided of features with effects of every kind, or without any."""
    records = []
    for number in range(runs):
        rng = np.random.default_rng([seed, 44, number])
        for kind, world in (("small", mixed(rng)), ("small null", nothing(rng))):
            records.append(_record(kind, world, company(world, rng, SMALL), SMALL))
    return records


def jobs(*, is_quick: bool) -> list[Job]:
    """Return 120 worlds without an effect, 200 shuffled and 100 small ones (quick: 5 and 15), in pieces."""
    pieces, worlds, mixed_up, few = (5, 1, 3, 3) if is_quick else (20, 6, 10, 5)
    found = [Job(null, (8100 + number, worlds, SIZES)) for number in range(pieces)]
    found += [Job(shuffled, (8200 + number, mixed_up)) for number in range(pieces)]
    return found + [Job(small, (8300 + number, few)) for number in range(pieces)]


def rows(records: list[Record]) -> list[Row]:
    """Return the rows."""
    made = []
    for accounts in SIZES:
        size = f"{accounts:,} in all"
        by_kind = {
            kind: [record for record in records if record["kind"] == kind and record["n"] == accounts]
            for kind in ("confounded", "nothing")
        }
        what = f"worlds with any feature `{FOUND}`, only plan and size move anything"
        made.append(share("ranking", what, size, [record["is_called"] for record in by_kind["confounded"]], most=0.05))
        withheld = [not record["is_published"] for record in by_kind["nothing"]]
        made.append(share("ranking", "ranking withheld, nothing moves anything", size, withheld, least=0.95))
        ungated = [record["would_be"] for record in by_kind["nothing"]]
        made.append(share("ranking", f"worlds with any feature `{FOUND}` if it were not withheld", size, ungated))
    size = f"{SHUFFLED:,} in all"
    mixed_up = [record for record in records if record["kind"] == "shuffled"]
    missed = [record["misses"] for record in mixed_up]
    made.append(share("leakage", "outcomes shuffled within date: the AUC's interval misses 0.5", size, missed, most=0.07))
    made.append(mean("leakage", "outcomes shuffled within date: AUC, mean", size, [record["auc"] for record in mixed_up], "ratio"))
    size = f"{SMALL} in all"
    few = [record for record in records if record["kind"] == "small"]
    # printed: among accounts of which nearly all stay fewer than elsewhere show 15 points, and those may be 300
    decided = [record["decides"] for record in few]
    made.append(share("small", "300 accounts, features planted: any is decided beyond how common it is", size, decided))
    made.append(share("small", f"300 accounts, features planted: any is `{FOUND}`", size, [record["is_called"] for record in few]))
    none = [record for record in records if record["kind"] == "small null"]
    what = f"300 accounts, only plan and size move anything: worlds with any feature `{FOUND}`"
    return [*made, share("small", what, size, [record["is_called"] for record in none], most=0.05)]


LINE = Line("ranking", jobs, rows)
