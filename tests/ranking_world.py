"""Feature matrices with planted drivers, near copies, plans and impostors, and a framework that reads them.

Put here worlds for the ranking of features. Keep out expectations: they stand in the tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from milestones_dagster.config.framework import Framework
from milestones_dagster.evidence.forest import COLUMNS

ADOPTION = [column for column in COLUMNS if column.startswith("adoption_")]
BORDERS = (0.4, 0.3, 0.5, 0.2, 0.1, 0.3)


def framework(
    names: Sequence[str],
    measures: Mapping[str, str] | None = None,
    plans: Mapping[str, Sequence[str]] | None = None,
    **ranking: Any,
) -> Framework:
    """A framework with these catalogue features; few trees and resamples unless the test says otherwise."""
    catalogue = []
    for name in names:
        measure = (measures or {}).get(name, "count")
        own: dict[str, Any] = {"attribute": "seats"} if measure == "attribute" else {"events": ["used"]}
        if measure == "setting":
            own = {"on_events": ["used"]}
        own["plans"] = list((plans or {}).get(name, ()))
        catalogue.append({"name": name, "title": f"Title of {name}", "category": "area", "measure": measure, **own})
    event_rule = {"title": "Use", "events": ["used"], "threshold": 1}
    level = {"at_least": 1, "of": ["driver"]}
    return Framework.model_validate(
        {
            "product": "Test",
            "core_events": ["used"],
            "plans": [{"name": "basic"}, {"name": "premium"}],
            "setup": {"steps": [{"name": "first", "title": "First", "events": ["used"]}]},
            "activation": event_rule,
            "usage": event_rule,
            "maturity": {"categories": [{"name": "area", "title": "Area", "basic": level, "mature": level}]},
            "features": {"catalogue": catalogue},
            "feature_ranking": {"trees": 30, "repeats": 3, "resamples": 100} | ranking,
        }
    )


def adoption(names: Sequence[str], borders: Sequence[float] = BORDERS) -> dict[str, pd.DataFrame]:
    """The same adoption for every feature."""
    return {"feature_adoption": pd.DataFrame([[name, *borders] for name in names], columns=["feature", *ADOPTION])}


def matrix(
    *, accounts: int, months: int, noise: int, effect: float = 1.0, intercept: float = 1.0, seed: int = 0
) -> tuple[pd.DataFrame, list[str]]:
    """A feature matrix: `driver` (effect), `second` (half of it) and `noise` features that do nothing.

    Every account has its own level of each feature and its own taste for staying, so that its rows are dependent. All
    have one plan and one size.
    """
    generator = np.random.default_rng(seed)
    names = ["driver", "second", *(f"noise_{number:02d}" for number in range(noise))]
    account = np.repeat(np.arange(accounts), months)
    levels = generator.normal(size=(accounts, len(names)))[account]
    values = generator.poisson(np.exp(0.3 + 0.7 * levels)).astype(float)
    scaled = np.log1p(values) - np.log1p(values).mean(axis=0)
    taste = 0.5 * generator.normal(size=accounts)[account]
    logit = intercept + 1.5 * effect * scaled[:, 0] + 0.75 * effect * scaled[:, 1] + taste
    start = generator.integers(0, 24 - months + 1, accounts)[account] + np.tile(np.arange(months), accounts)
    observed_at = (np.datetime64("2024-01", "M") + start).astype("datetime64[us]")
    frame = pd.DataFrame(values, columns=names)
    frame.insert(0, "account_key", account.astype(np.int64) * 7_919 - 5_000)
    frame.insert(1, "observed_at", observed_at)
    frame.insert(2, "known_at", observed_at + np.timedelta64(97, "D"))
    frame.insert(3, "retained", generator.random(account.size) < 1 / (1 + np.exp(-logit)))
    frame.insert(4, "plan", "basic")
    frame.insert(5, "size_stratum", "5-19")
    return frame, names


def impostor(*, accounts: int = 2000, months: int = 4, seed: int = 0) -> tuple[pd.DataFrame, list[str]]:
    """A matrix where premium accounts stay, `premium_only` is theirs alone, and `driver` moves all.

    Six in ten premium accounts use `premium_only`, whatever becomes of them: it goes with staying through the plan alone.
    """
    generator = np.random.default_rng(seed)
    frame, names = matrix(accounts=accounts, months=months, noise=2, effect=0, seed=seed)
    account = np.repeat(np.arange(accounts), months)
    is_premium = (generator.random(accounts) < 0.4)[account]
    uses = (generator.random(accounts) < 0.6)[account] & is_premium
    drives = (generator.random(accounts) < 0.4)[account]
    logit = 0.2 + 1.5 * is_premium + 1.0 * drives
    frame["plan"] = np.where(is_premium, "premium", "basic")
    frame["driver"] = drives * (1.0 + generator.poisson(2, account.size))
    frame["premium_only"] = uses * (1.0 + generator.poisson(2, account.size))
    frame["retained"] = generator.random(account.size) < 1 / (1 + np.exp(-logit))
    return frame, [*names, "premium_only"]
