"""The product's evidence, as the proving ground calls it.

Put here every call of the product, so that a line fails when the product's function is exchanged for a broken one. Keep out
worlds, truth and what others do.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pandas as pd

from milestones_dagster.config.framework import AdoptionBenchmark, Evidence, FeatureRanking
from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence import association, forest, framework_review, setup_steps, thresholds


@dataclass(frozen=True)
class Found:
    """What the product says of a threshold: its row, the candidates, and the effect at another value beside."""

    row: dict[str, Any]
    candidates: Any
    beside: thresholds.Effect


def threshold(frame: pd.DataFrame, beside: float, resamples: int = 500) -> Found:
    """Return the threshold that the product derives; `beside` is a fixed value to give the effect of too."""
    config = ThresholdSearch(resamples=resamples)
    row = thresholds.derived(frame, "activation", None, config).iloc[0].to_dict()
    made = thresholds.prepared(frame, config)
    candidates = made.search.candidates if made.search else []
    return Found({str(name): value for name, value in row.items()}, candidates, thresholds.effect(made.later, beside))


def steps(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return what the product says of setup steps, one row per step, by name."""
    framework: Any = SimpleNamespace(
        setup=SimpleNamespace(steps=tuple(SimpleNamespace(name=name, title=name) for name in names)),
        evidence=Evidence(),
        outcomes=SimpleNamespace(retention=SimpleNamespace(basis="subscriptions")),
    )
    return setup_steps.measure(frame, framework, {}).set_index("step")


def features(
    frame: pd.DataFrame, items: list[tuple[str, str, tuple[str, ...]]], users: pd.DataFrame, **config: Any
) -> pd.DataFrame:
    """Return what the product says of features, one row per feature, by name.

    Args:
        frame: rows by account and date.
        items: of each feature its name, its measure and the plans that have it (none: all).
        users: feature, users, eligible and accounts: how many use it, of how many whose plan has it, of how many in all.
        config: what differs from the product's own settings of the ranking.
    """
    catalogue: Any = [
        SimpleNamespace(name=name, title=name, category="any", measure=measure, plans=plans) for name, measure, plans in items
    ]
    shares = {
        f"adoption_{kind}": association.wilson(users["users"].to_numpy(), users[of].to_numpy())
        for kind, of in (("eligible", "eligible"), ("all", "accounts"))
    }
    adoption = users[["feature"]].copy()
    for name, found in shares.items():
        adoption[name], adoption[f"{name}_low"], adoption[f"{name}_high"] = found.estimate, found.lower, found.upper
    made = forest.ranking(frame, catalogue, FeatureRanking(**config), AdoptionBenchmark(), adoption)
    return made.set_index("feature")


def review(frame: pd.DataFrame, adopted_at: pd.Timestamp) -> pd.DataFrame:
    """Return what the product's review says of the milestones, one row per milestone, by name."""
    config = ThresholdSearch(resamples=20)  # of the pick's stability interval, which raises no alarm
    made = framework_review.review(frame, config, minimum_effect=Evidence().minimum_effect, adopted_at=adopted_at)
    return made.set_index("milestone")
