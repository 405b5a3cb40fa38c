"""The ranking of features beside one scikit-learn forest of the same settings on the same rows: `python -m benchmarks.forest`.

Put here what is measured of the forest alone, on rows made in memory. Keep out companies with events (`company.py`) and the
tables that a run makes (`product.py`). The ratio is the measure: both sides run in this process, turn by turn, on all cores.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.config.catalogue import AdoptionBenchmark, FeatureRanking
from milestones_dagster.evidence import forest
from milestones_dagster.evidence.fold_fit import forest_size
from milestones_dagster.evidence.permutation import fit_forest

MEASURES: Final = (
    *("used",) * 21, *("setting",) * 6, *("days",) * 15, *("count",) * 9, *("count_per_seat",) * 5, *("trend",) * 2,
    *("attribute",) * 2,
)  # fmt: skip
"""Of the features, over and over: as many of each kind as the demonstration's catalogue has, 60 in all."""

MONTHS: Final = 24


@dataclass(frozen=True)
class Taken:
    """Seconds of one side: medians over the repeats, and the range of the wall clock."""

    wall_s: float
    cpu_s: float
    least_wall_s: float
    most_wall_s: float


@dataclass(frozen=True)
class Compared:
    """The ranking (all folds, permutations, baselines, resamples, associations) beside one fit of a forest on all rows.

    Attributes:
        ranking, fit: what each takes.
        wall_ratio, cpu_ratio: ranking over fit, the median of the repeats' own ratios.
        note: of the ranking: rows that were left out, split.
    """

    ranking: Taken
    fit: Taken
    wall_ratio: float
    cpu_ratio: float
    note: str


def world(accounts: int, features: int, seed: int = 0) -> tuple[pd.DataFrame, list[Any]]:
    """Return a feature matrix of one row per account, spread over 24 months, and its catalogue.

    An unseen engagement moves staying and the use of one feature in four; values are as skewed as counts of events are.

    Args:
        accounts: rows.
        features: columns.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    engagement = generator.normal(size=accounts)
    plan, size = generator.integers(0, 3, accounts), generator.integers(0, 4, accounts)
    months = np.datetime64("2024-07", "M") + generator.integers(0, MONTHS, accounts)
    columns = {
        "account_key": generator.permutation(accounts).astype(np.int64) * 7_919,
        "observed_at": months.astype("datetime64[us]"),
        "known_at": (months + 3).astype("datetime64[us]") + np.timedelta64(7, "D"),
        "retained": generator.random(accounts) < 1 / (1 + np.exp(-(1.2 + 0.5 * engagement + 0.3 * plan))),
        "plan": np.array(["starter", "growth", "premium"])[plan],
        "size_stratum": np.array(["1-4", "5-19", "20-99", "100+"])[size],
    }
    catalogue = []
    for number in range(features):
        measure, name = MEASURES[number % len(MEASURES)], f"feature_{number:03d}"
        pull = 0.6 if number % 4 == 0 else 0.0
        columns[name] = _values(measure, pull * engagement + generator.normal(-0.5, 1, accounts), size, generator)
        catalogue.append(SimpleNamespace(name=name, title=name, category="any", measure=measure, plans=()))
    return pd.DataFrame(columns), catalogue


def compare(accounts: int = 100_000, features: int = 60, repeats: int = 3, maximum_rows: int | None = None) -> Compared:
    """Return what a ranking takes beside one fit, both `repeats` times, turn by turn.

    Args:
        accounts: rows, one per account.
        features: in the catalogue.
        repeats: ≥ 1; of 3 or more the median means something.
        maximum_rows: that the ranking reads; None for all, so that both sides read the same rows.
    """
    frame, catalogue = world(accounts, features)
    names = [feature.name for feature in catalogue]
    adoption = pd.DataFrame({"feature": names}).reindex(columns=["feature", *forest.ADOPTION])
    config = FeatureRanking(maximum_rows=max(accounts, 1_000) if maximum_rows is None else maximum_rows)
    values = frame[names].fillna(-1.0).to_numpy(dtype=np.float32)
    outcome = frame["retained"].to_numpy(dtype=np.bool_)
    # imports and threads are there before the first turn
    fit_forest(values[:1_000], outcome[:1_000], forest_size(config, 1_000), 0)
    forest.ranking(frame.iloc[:2_000], catalogue, config, AdoptionBenchmark(), adoption)
    made: list[pd.DataFrame] = []
    turns = [
        (
            _seconds(lambda: fit_forest(values, outcome, forest_size(config, accounts), 0)),
            _seconds(lambda: made.append(forest.ranking(frame, catalogue, config, AdoptionBenchmark(), adoption))),
        )
        for _ in range(repeats)
    ]
    fits, rankings = zip(*turns, strict=True)
    ratios = [[ranking[clock] / fit[clock] for fit, ranking in turns] for clock in (0, 1)]
    return Compared(_taken(rankings), _taken(fits), median(ratios[0]), median(ratios[1]), str(made[0]["note"].iloc[0]))


def _values(
    measure: str, latent: NDArray[np.float64], size: NDArray[np.intp], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return a feature's values, of the kind that its measure makes of a latent use."""
    count = generator.poisson(np.exp(latent)).astype(np.float64)
    if measure in {"used", "setting", "attribute"}:
        return (count > 0).astype(np.float64)
    if measure == "days":
        return np.minimum(count, 30.0)
    if measure == "count_per_seat":
        return count / (5.0**size + generator.integers(0, 4, size.size))
    if measure == "trend":
        before = generator.poisson(np.exp(latent))
        trend: NDArray[np.float64] = np.divide(count, before, out=np.full(count.size, np.nan), where=before > 0)
        return trend
    return count


def _seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds of a call, all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def _taken(turns: Sequence[tuple[float, float]]) -> Taken:
    walls = [wall for wall, _ in turns]
    return Taken(median(walls), median(cpu for _, cpu in turns), min(walls), max(walls))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forest", description=compare.__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--maximum-rows", type=int, help="that the ranking reads; default: all")
    asked = parser.parse_args(arguments)
    found = compare(asked.accounts, asked.features, asked.repeats, asked.maximum_rows)
    for name, taken in (("one forest fit", found.fit), ("the ranking", found.ranking)):
        spread = f"{taken.least_wall_s:.1f} to {taken.most_wall_s:.1f}"
        print(f"{name:<15} {taken.wall_s:8.1f} s wall ({spread}), {taken.cpu_s:8.1f} s of processor time")
    print(f"ratio           {found.wall_ratio:8.2f} wall, {found.cpu_ratio:.2f} processor time")
    print(found.note)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
