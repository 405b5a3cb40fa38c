"""The product's evidence, as the proving ground calls it.

Put here every call of the product, so that a line fails when the product's function is exchanged for a broken one. Keep out
worlds, truth and what others do.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pandas as pd

from milestones_dagster.config.framework import Evidence
from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence import setup_steps, thresholds


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
