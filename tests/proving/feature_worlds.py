"""Worlds in which staying follows the use of features: what is planted, and rows by account and month drawn from it.

Put here the generator of companies whose features go with staying. Keep out what is called found (`lines/`) and everything of
the method: this module imports nothing of the product and shares no constant with it.

An account uses a feature for good or never: a normal quantity, moved by plan and size, passes the feature's cut. It stays
through three months with a probability that is a sum: plan, size, the features planted, and a taste that is in no table. Every
month its staying is drawn anew with the third root of that; it has a row for each month's first on which it pays, so that
its rows share its features, its taste and most of their outcomes.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.proving.truth import Divided

_Floats = NDArray[np.float64]

POPULATION = 1_000_000
PERIOD = 3
"""Months that an account must stay after a date."""

DATES = 10
"""Months whose outcomes are known."""

TIERS = ("entry", "plus", "top")
TEAMS = ("1 or 2", "3 to 12", "13 to 50", "over 50")
TIER_SHARES = (0.40, 0.32, 0.28)
TEAM_SHARES = (0.30, 0.34, 0.24, 0.12)
STAYING_BY_TIER = np.array([-0.06, 0.01, 0.07])
STAYING_BY_TEAM = np.array([-0.04, 0.0, 0.03, 0.06])
MEASURES = ("count", "days", "used", "setting")
STARTED_BEFORE = 0.40
"""Share of the accounts that pay on the first date; the others start on one of the next, up to the last but two."""


@dataclass(frozen=True)
class Item:
    """A feature.

    Attributes:
        role: `planted`, `copied` (planted, and another is a near copy), `copy`, `null`, `niche`, `ubiquitous`, or an impostor:
            `impostor` (of the top plan, and the config says so), `undeclared` (the same, and it does not).
        adoption: about the share that uses it, of those whose plan has it.
        effect: how much likelier staying is with it.
        by_tier, by_team: how much a plan, a size moves using it, standard deviations from the least to the largest.
        measure: how use is counted.
    """

    name: str
    role: str
    adoption: float
    effect: float
    by_tier: float
    by_team: float
    measure: str

    @property
    def is_of_top(self) -> bool:
        """Whether the top plan alone has it."""
        return self.role in {"impostor", "undeclared"}


@dataclass(frozen=True)
class FeatureWorld:
    """What is planted.

    Attributes:
        items: in the order of the config; a copy is of the one item that is `copied`.
        base: share that stays through a period, on average.
        confounding: factor on how much plan and size move staying; 0, not at all.
        taste: standard deviation of what moves an account's staying and is in no table.
    """

    items: tuple[Item, ...]
    base: float = 0.75
    confounding: float = 1.0
    taste: float = 0.05


@dataclass(frozen=True)
class _People:
    """Accounts: plan and size (level numbers), use of each item, and the probability of staying through a period."""

    tier: NDArray[np.intp]
    team: NDArray[np.intp]
    uses: NDArray[np.bool_]
    staying: _Floats


def mixed(rng: np.random.Generator) -> FeatureWorld:
    """Return a world with 4 planted features, one of them with a near copy, 7 null, 2 niche, 2 ubiquitous and 2 impostors."""
    items = [_item(rng, "planted", rng.uniform(0.25, 0.60), rng.uniform(0.125, 0.15)) for _ in range(3)]
    items.append(_item(rng, "copied", rng.uniform(0.25, 0.60), rng.uniform(0.125, 0.15), measure="count"))
    items.append(replace(items[-1], role="copy", effect=0.0))
    items += [_item(rng, "null", rng.uniform(0.20, 0.65), 0.0) for _ in range(7)]
    items += [_item(rng, "niche", rng.uniform(0.020, 0.025), 0.0) for _ in range(2)]
    items += [_item(rng, "ubiquitous", rng.uniform(0.855, 0.95), 0.0) for _ in range(2)]
    items += [_item(rng, role, rng.uniform(0.45, 0.70), 0.0) for role in ("impostor", "undeclared")]
    return FeatureWorld(_named(rng, items))


def nothing(rng: np.random.Generator, *, confounding: float = 1.0, features: int = 18) -> FeatureWorld:
    """Return a world of features without effect, two of them of the top plan; plan and size move use, and by `confounding` staying."""
    items = [_item(rng, "null", rng.uniform(0.15, 0.75), 0.0) for _ in range(features - 2)]
    items += [_item(rng, role, rng.uniform(0.45, 0.70), 0.0) for role in ("impostor", "undeclared")]
    return FeatureWorld(_named(rng, items), confounding=confounding)


def company(world: FeatureWorld, rng: np.random.Generator, accounts: int) -> pd.DataFrame:
    """Return one row per account and month's first on which it pays, in any order.

    Columns: account_key, observed_at, known_at, retained, missed_after (dates after this one on which it no longer pays), plan,
    size_stratum, account_mrr, and of each item what the month before says of it.
    """
    people = _people(world, rng, accounts)
    start = _starts(rng, accounts)
    leaving = 1 - people.staying ** (1 / PERIOD)
    last = start + rng.geometric(leaving) - 1
    months = np.maximum(np.minimum(last, DATES - 1) - start + 1, 0)
    account = np.repeat(np.arange(accounts), months)
    place = np.arange(account.size) - np.repeat(np.cumsum(months) - months, months)
    month = start[account] + place
    observed = np.datetime64("2022-03", "M") + month
    keys = rng.permutation(accounts).astype(np.int64)
    frame = pd.DataFrame(
        {
            "account_key": keys[account],
            "observed_at": observed.astype("datetime64[us]"),
            "known_at": (observed + PERIOD).astype("datetime64[us]") + np.timedelta64(7, "D"),
            "retained": last[account] >= month + PERIOD,
            "missed_after": np.maximum(DATES - 1 - last, 0)[account],
            "plan": np.array(TIERS)[people.tier[account]],
            "size_stratum": np.array(TEAMS)[people.team[account]],
            "account_mrr": 25.0 * (1 + people.tier[account]) * (1 + people.team[account]),
            **_values(world, people.uses, rng, account),
        }
    )
    return frame.iloc[rng.permutation(len(frame))]


def users(world: FeatureWorld, frame: pd.DataFrame) -> pd.DataFrame:
    """Return of each item how many accounts of the last date used it in the 3 months before, of how many, and of how many eligible.

    Columns: feature, users, eligible, accounts.
    """
    latest = frame.loc[frame["observed_at"] > frame["observed_at"].max() - pd.Timedelta(days=80)]
    is_last = frame["observed_at"] == frame["observed_at"].max()
    plan = frame.loc[is_last].set_index("account_key")["plan"]
    found = []
    for item in world.items:
        if item.measure == "setting":
            used = frame.loc[is_last].set_index("account_key")[item.name] > 0
        else:
            used = latest.groupby("account_key")[item.name].max().reindex(plan.index) > 0
        eligible = int((plan == TIERS[-1]).sum()) if item.role == "impostor" else len(plan)
        found.append((item.name, int(used.sum()), eligible, len(plan)))
    return pd.DataFrame(found, columns=["feature", "users", "eligible", "accounts"])


def true_differences(world: FeatureWorld, seed: int, first: int, accounts: int = POPULATION) -> dict[str, float]:
    """Return by how much more often those who use each item stay, among accounts alike in plan and size, in the population.

    Compared are accounts at a date drawn evenly from their first one, or the date number `first`, up to the last, where they still
    pay: that is what the method compares. From the probabilities, nothing drawn but the accounts and their first dates. What
    clipping and the other features do to it is part of it.
    """
    rng = np.random.default_rng([seed, 1])
    people = _people(world, rng, accounts)
    start = _starts(rng, accounts)
    monthly = people.staying ** (1 / PERIOD)
    weight = _paying_when_drawn(monthly, np.maximum(first - start, 0), DATES - np.maximum(start, first))
    stratum = people.tier * len(TEAMS) + people.team
    found = {}
    for place, item in enumerate(world.items):
        parts = []
        for group in (people.uses[:, place], ~people.uses[:, place]):
            mass = weight * group
            parts += [np.bincount(stratum, weights=values, minlength=12) / weight.sum() for values in (mass, mass * people.staying)]
        found[item.name] = Divided(*parts).adjusted
    return found


def _paying_when_drawn(monthly: _Floats, before: NDArray[np.int64], dates: NDArray[np.int64]) -> _Floats:
    """Return how likely an account pays on one of so many dates, drawn evenly, the first of them so many months after its start."""
    found = np.zeros(monthly.size)
    for place in range(DATES):
        found += np.where(place < dates, monthly ** (before + place), 0.0)
    return found / dates


def _starts(rng: np.random.Generator, accounts: int) -> NDArray[np.int64]:
    """Return the number of each account's first date."""
    return np.where(rng.random(accounts) < STARTED_BEFORE, 0, rng.integers(1, DATES - 1, accounts))


def _people(world: FeatureWorld, rng: np.random.Generator, accounts: int) -> _People:
    tier = rng.choice(len(TIERS), accounts, p=TIER_SHARES)
    team = rng.choice(len(TEAMS), accounts, p=TEAM_SHARES)
    by_name = {item.name: _uses(item, rng, tier, team) for item in world.items}
    copied = next((item.name for item in world.items if item.role == "copied"), None)
    for item in world.items:
        if item.role == "copy" and copied is not None:
            by_name[item.name] = by_name[copied]
    own = STAYING_BY_TIER[tier] - TIER_SHARES @ STAYING_BY_TIER + STAYING_BY_TEAM[team] - TEAM_SHARES @ STAYING_BY_TEAM
    staying = world.base + world.confounding * own + world.taste * rng.normal(size=accounts)
    for item in world.items:
        if item.effect:
            staying += item.effect * (by_name[item.name] - item.adoption)
    uses = np.stack([by_name[item.name] for item in world.items], axis=1)
    return _People(tier, team, uses, np.clip(staying, 0.02, 0.985))


def _uses(item: Item, rng: np.random.Generator, tier: NDArray[np.intp], team: NDArray[np.intp]) -> NDArray[np.bool_]:
    pull = item.by_tier * (tier / (len(TIERS) - 1) - 0.44) + item.by_team * (team / (len(TEAMS) - 1) - 0.39)
    spread = float(np.sqrt(1 + (item.by_tier**2 + item.by_team**2) / 7.5))
    uses: NDArray[np.bool_] = pull + rng.normal(size=tier.size) > NormalDist().inv_cdf(1 - item.adoption) * spread
    return uses & (tier == len(TIERS) - 1) if item.is_of_top else uses


def _values(
    world: FeatureWorld, uses: NDArray[np.bool_], rng: np.random.Generator, account: NDArray[np.intp]
) -> dict[str, _Floats]:
    """Return each item's values by row: who uses a feature does so in most months, some more than others."""
    found: dict[str, _Floats] = {}
    for place, item in enumerate(world.items):
        if item.role == "copy":
            continue
        usual = np.exp(1.4 + 0.4 * rng.normal(size=len(uses)))
        events = np.where(uses[account, place], rng.poisson(usual[account]), 0)
        made = {
            "count": events,
            "days": np.minimum(events, 28),
            "used": events > 0,
            "setting": uses[account, place],
        }[item.measure]
        found[item.name] = made.astype(np.float64)
    copied = next((item.name for item in world.items if item.role == "copied"), None)
    for item in world.items:
        if item.role == "copy" and copied is not None:
            # nearly every use of the one is a use of the other
            found[item.name] = rng.binomial(found[copied].astype(np.int64), 0.9).astype(np.float64)
    return found


def _item(rng: np.random.Generator, role: str, adoption: float, effect: float, measure: str = "") -> Item:
    by_tier, by_team = float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.0, 0.6))
    if role in {"niche", "ubiquitous"}:
        # what nearly all or nearly nobody uses is so on every plan
        by_tier = by_team = 0.0
    return Item("", role, float(adoption), float(effect), by_tier, by_team, measure or str(rng.choice(MEASURES)))


def _named(rng: np.random.Generator, items: list[Item]) -> tuple[Item, ...]:
    """Return the items in any order, named by it."""
    return tuple(replace(items[index], name=f"feature_{place:02}") for place, index in enumerate(rng.permutation(len(items))))
