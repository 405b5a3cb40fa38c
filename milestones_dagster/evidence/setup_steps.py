"""Defines `measure`: which setup steps go with activation, and what each is worth keeping for.

Put here the comparison at the landmark: who is compared, what is adjusted for, the verdict and its words. Keep out the
formulas of two by two tables (`association`) and of the regression (`logistic`). Everything reads behaviour before the
landmark and the outcome after it; a verdict says what goes with activation among accounts alike, and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence import association
from milestones_dagster.evidence.logistic import MarginalEffect, average_marginal_effect

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Evidence, Framework

LANDMARK_DAYS: Final = 14
BESIDE_DAYS: Final = (7, 30)
LEVEL: Final = 0.05
MOST_TO_TALK_TO: Final = 20


@dataclass(frozen=True)
class Landmark:
    """The accounts that one landmark compares, sorted by account.

    Attributes:
        steps: names of the steps, in the order of the columns.
        account_id, mrr: shape (rows,); mrr is NaN where unknown.
        done: step completed before the landmark, shape (rows, steps).
        reached: activated from the landmark to the end of the window, shape (rows,).
        plan, size: level numbers at the landmark, unknown being a level, shape (rows,).
        early_events: of the first 3 days, but for those of the step itself, shape (rows, steps).
        elapsed, left, activated: accounts whose window has elapsed; those of them not paying at the landmark; the
            paying ones that had activated before it.
    """

    steps: tuple[str, ...]
    account_id: NDArray[np.object_]
    mrr: NDArray[np.float64]
    done: NDArray[np.bool_]
    reached: NDArray[np.bool_]
    plan: NDArray[np.intp]
    size: NDArray[np.intp]
    early_events: NDArray[np.float64]
    elapsed: int
    left: int
    activated: int

    @property
    def stratum(self) -> NDArray[np.intp]:
        """Number of the plan × size stratum of each row."""
        return np.asarray(self.plan * (int(self.size.max(initial=0)) + 1) + self.size)


@dataclass(frozen=True)
class StepTable:
    """A step's two by two table: who did it (adopters) and who did not, and who of each activated."""

    accounts: int
    adopters: int
    reached_with: int
    reached_without: int

    @property
    def others(self) -> int:
        """Accounts that did not do the step."""
        return self.accounts - self.adopters

    @property
    def cells(self) -> tuple[int, int, int, int]:
        """(a, b, c, d): did and reached, did and not, did not and reached, neither."""
        missed = self.adopters - self.reached_with
        return self.reached_with, missed, self.reached_without, self.others - self.reached_without

    @property
    def reached_share(self) -> float:
        """Share that activated, over both groups; NaN without accounts."""
        return (self.reached_with + self.reached_without) / self.accounts if self.accounts else nan


def measure(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per setup step: adoption, activation with and without it, effects, verdict.

    The conditional effect is the average marginal effect of a logistic regression of activation on the step, the other
    steps done before the landmark, log(1 + events of the first 3 days except the step's own), plan and size. Where it
    cannot be told, it is missing, and the verdict is `interview` with the reason, unless the interval of the adoption lies
    beyond a bound: then it is `routine` or `niche`.

    Args:
        frame: one row per account whose window has elapsed, landmark (7, 14, 30) and step: account_key, account_id,
            landmark_days, step, is_done, is_paying, is_activated_before, is_activated_after, early_events, plan,
            size_stratum, mrr; in any order.
        framework: its steps, evidence and the basis of retention are read.
        also: no further tables.

    Raises:
        ValueError: an account lacks a step, or has one twice.
    """
    del also
    evidence = framework.evidence
    steps = tuple(step.name for step in framework.setup.steps)
    at = {days: landmark_rows(frame, steps, days) for days in (LANDMARK_DAYS, *BESIDE_DAYS)}
    rows = at[LANDMARK_DAYS]
    effects = {days: conditional_effects(landmark) for days, landmark in at.items()}
    made = step_verdicts(rows, effects[LANDMARK_DAYS], evidence)
    made.insert(1, "title", [step.title for step in framework.setup.steps])
    made.insert(2, "position", np.arange(1, len(steps) + 1, dtype=np.int32))
    for days in BESIDE_DAYS:
        made[f"accounts_{days}d"] = at[days].reached.size
        made[f"effect_{days}d"] = [effect.effect for effect in effects[days]]
        made[f"effect_{days}d_low"] = [effect.lower for effect in effects[days]]
        made[f"effect_{days}d_high"] = [effect.upper for effect in effects[days]]
    made["left_before"] = rows.left
    made["left_before_share"] = rows.left / rows.elapsed if rows.elapsed else nan
    made["activated_before"] = rows.activated
    is_billed = framework.outcomes.retention.basis == "subscriptions"
    made["note"] = [_note(row, rows, is_billed=is_billed) for row in made.to_dict("records")]
    return made


def landmark_rows(frame: pd.DataFrame, steps: Sequence[str], days: int) -> Landmark:
    """Return the accounts compared at the landmark so many days after tenure_start, sorted by account.

    Raises:
        ValueError: an account lacks a step, or has one twice.
    """
    here = np.flatnonzero(frame["landmark_days"].to_numpy() == days)
    position = pd.Categorical(frame["step"].take(here), categories=list(steps)).codes
    keys = frame["account_key"].to_numpy(dtype=np.int64)[here]
    order = np.lexsort((position, keys))
    accounts = here.size // len(steps)
    each = keys[order][: accounts * len(steps)].reshape(accounts, len(steps))
    is_whole = here.size % len(steps) == 0 and (each == each[:, :1]).all()
    if not is_whole or not np.array_equal(position[order], np.tile(np.arange(len(steps)), accounts)):
        raise ValueError(f"landmark at {days} d: every account must have each of the {len(steps)} setup steps once")
    rows = here[order]
    first = frame.take(rows[:: len(steps)])
    is_paying = first["is_paying"].to_numpy(dtype=np.bool_)
    is_activated = first["is_activated_before"].to_numpy(dtype=np.bool_)
    kept = is_paying & ~is_activated
    row = first.loc[kept]

    def by_step(name: str) -> NDArray[np.float64]:
        return np.asarray(frame[name].to_numpy()[rows].astype(np.float64).reshape(accounts, len(steps))[kept])

    return Landmark(
        steps=tuple(steps),
        account_id=row["account_id"].to_numpy(dtype=np.object_),
        mrr=pd.to_numeric(row["mrr"]).to_numpy(dtype=np.float64),
        done=by_step("is_done") > 0,
        reached=row["is_activated_after"].to_numpy(dtype=np.bool_),
        plan=_levels(row["plan"]),
        size=_levels(row["size_stratum"]),
        early_events=by_step("early_events"),
        elapsed=accounts,
        left=int((~is_paying).sum()),
        activated=int((is_paying & is_activated).sum()),
    )


def conditional_effects(rows: Landmark) -> list[MarginalEffect]:
    """Return the conditional effect of every step, in their order."""
    found = []
    for number in range(len(rows.steps)):
        others = [rows.done[:, other].astype(np.intp) for other in range(len(rows.steps)) if other != number]
        early = np.log1p(rows.early_events[:, number])
        found.append(average_marginal_effect(rows.done[:, number], rows.reached, [*others, rows.plan, rows.size], [early]))
    return found


def step_verdicts(rows: Landmark, effects: Sequence[MarginalEffect], evidence: "Evidence") -> pd.DataFrame:
    """Return one row per step of what the landmark says, with its verdict."""
    q = association.benjamini_hochberg([effect.p for effect in effects])
    return pd.DataFrame([_step(rows, number, effect, float(q[number]), evidence) for number, effect in enumerate(effects)])


def _step(rows: Landmark, number: int, effect: MarginalEffect, q: float, evidence: "Evidence") -> dict[str, object]:
    did = rows.done[:, number]
    table = StepTable(did.size, int(did.sum()), int((did & rows.reached).sum()), int((~did & rows.reached).sum()))
    counts = (table.reached_with, table.adopters, table.reached_without, table.others)
    adoption = association.wilson(table.adopters, table.accounts)
    difference = association.newcombe(*counts)
    pooled = association.mantel_haenszel(association.tabulate(did, rows.reached, rows.stratum))
    detectable = float(association.detectable_difference(table.adopters, table.others, table.reached_share))
    trust = association.trust(detectable, table.reached_share)
    verdict, reason = _verdict(table, (trust, detectable), effect, q, evidence)
    bounds = (evidence.niche_step, evidence.routine_step)
    return {
        "step": rows.steps[number],
        "verdict": verdict,
        "reason": reason,
        "trust": trust,
        "detectable_difference": detectable,
        "accounts": table.accounts,
        "adopters": table.adopters,
        **_interval("adoption", adoption),
        "is_borderline": any(bool(adoption.lower <= bound <= adoption.upper) for bound in bounds),
        "activated_with": table.reached_with,
        "activated_with_share": _share(table.reached_with, table.adopters),
        "activated_without": table.reached_without,
        "activated_without_share": _share(table.reached_without, table.others),
        **_interval("risk_difference", difference),
        "phi": float(association.phi(*table.cells)),
        "odds_ratio": float(association.odds_ratio(*table.cells)),
        "crude_p": association.crude_p(*table.cells),
        **_interval("stratified_odds_ratio", pooled.odds_ratio),
        **_interval("stratified_risk_difference", pooled.risk_difference),
        "effect": effect.effect,
        "effect_low": effect.lower,
        "effect_high": effect.upper,
        "effect_p": effect.p,
        "q": q,
        "e_value": _e_value(effect),
        "minimum_effect": evidence.minimum_effect,
        "talk_to": _talk_to(rows, did) if verdict == "interview" else None,
    }


def _verdict(table: StepTable, trust: tuple[str, float], effect: MarginalEffect, q: float, evidence: "Evidence") -> tuple[str, str]:
    """Return the first verdict that applies, and why."""
    adoption = association.wilson(table.adopters, table.accounts)
    # how many do it can be sure where what it goes with cannot
    share = float(adoption.estimate)
    if sure := _prevalence(float(adoption.lower), float(adoption.upper), share, evidence):
        return sure
    if trust[0] == "interview":
        return "interview", _why_interview(table, trust[1])
    if effect.reason:
        return "interview", f"no effect can be told: {effect.reason}; ask the accounts"
    if likely := _prevalence(share, share, share, evidence):
        return likely
    if q <= LEVEL and effect.lower >= evidence.minimum_effect:
        return "keep", f"the lower bound, {_points(effect.lower)}, is at least {_points(evidence.minimum_effect)}, q = {q:.2g}"
    if q <= LEVEL and effect.upper < 0:
        return "against", f"who did it activated less often, at best {_points(effect.upper)}, q = {q:.2g}"
    if q <= LEVEL:
        return "unproven", f"the lower bound, {_points(effect.lower)}, is below {_points(evidence.minimum_effect)}, q = {q:.2g}"
    return "unproven", f"it may be chance, q = {q:.2g}"


def _prevalence(at_least: float, at_most: float, share: float, evidence: "Evidence") -> tuple[str, str] | None:
    """Return the verdict on how common a step is, and why; None where it lies within the bounds."""
    if at_least > evidence.routine_step:
        return "routine", f"{share:.1%} did it, more than {evidence.routine_step:.0%}: nearly all do"
    if at_most < evidence.niche_step:
        return "niche", f"{share:.1%} did it, fewer than {evidence.niche_step:.0%}: nearly nobody does"
    return None


def _why_interview(table: StepTable, detectable: float) -> str:
    if not table.accounts:
        return "no account can be compared yet"
    if not table.adopters or not table.others:
        return f"{'nobody' if table.others else 'everybody'} of {table.accounts:,} accounts did it: nothing to compare"
    if table.reached_share in (0, 1):
        return f"{'all' if table.reached_share else 'none'} of {table.accounts:,} accounts activated: nothing to compare"
    seen = f"of {table.accounts:,} accounts {table.adopters:,} did it and {table.others:,} did not"
    if detectable >= 1:
        return f"{seen}: too few for any difference to show; ask the accounts"
    return f"{seen}: only a difference of {detectable * 100:.0f} points or more would show; ask the accounts"


def _note(row: Mapping[object, object], rows: Landmark, *, is_billed: bool) -> str:
    if rows.elapsed == 0:
        return "No account's activation window has elapsed, or it ends before the landmark, or no threshold is in force."
    left = (
        f"{rows.left:,} of {rows.elapsed:,} accounts ({rows.left / rows.elapsed:.1%}) left before day {LANDMARK_DAYS} and "
        if is_billed
        else f"Without subscriptions nobody can be seen to leave before day {LANDMARK_DAYS}; of {rows.elapsed:,} accounts "
    )
    who = f"{left}{rows.activated:,} had activated before it; they are in neither group."
    effect, low, high = (_number(row[name]) for name in ("effect", "effect_low", "effect_high"))
    if row["verdict"] == "interview" or isnan(effect):
        return f"{who} Nothing is decided here: {row['reason']}."
    return (
        f"The step goes with {_points(effect)} of activation ({_points(low)} to {_points(high)}), among accounts alike in "
        f"the other steps, early activity, plan and size. {who}"
    )


def _talk_to(rows: Landmark, did: NDArray[np.bool_]) -> str | None:
    """Return the accounts against the grain, largest MRR first (unknown last), then by name."""
    against = np.flatnonzero(did != rows.reached)
    known = np.nan_to_num(rows.mrr, nan=-np.inf)
    ranked = sorted(against, key=lambda row: (-known[row], rows.account_id[row]))
    return ", ".join(str(rows.account_id[row]) for row in ranked[:MOST_TO_TALK_TO]) or None


def _e_value(effect: MarginalEffect) -> float:
    """Return the E-value of the effect's lower bound, as the risk ratio that it makes on the share without the step."""
    if not effect.share_without > 0:
        return nan
    return association.e_value((effect.share_without + effect.lower) / effect.share_without)


def _interval(name: str, interval: association.Interval) -> dict[str, float]:
    """Return the three columns of an interval; an infinite odds ratio has no interval and is no number to show."""
    values = {name: interval.estimate, f"{name}_low": interval.lower, f"{name}_high": interval.upper}
    return {column: float(value) if np.isfinite(value) else nan for column, value in values.items()}


def _levels(values: pd.Series) -> NDArray[np.intp]:
    """Return level numbers in the order of the names; a missing value is a level of its own, the last."""
    codes, names = pd.factorize(values.astype(object), sort=True)
    return np.where(codes < 0, len(names), codes).astype(np.intp)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else nan


def _number(value: object) -> float:
    return float(value) if isinstance(value, float | int) else nan


def _points(share: float) -> str:
    return f"{share * 100:+.1f} points"
