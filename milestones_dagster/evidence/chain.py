"""Defines how far each milestone goes with the next: the chain, link by link, and its cohorts pooled without bias.

Put here the comparison of one link, whom it may pool, and its words. Keep out who is a row (`chain_landmarks`) and the
formulas of two by two tables (`association`). Behaviour lies before the landmark, the outcome after it; a link says what
goes with the next milestone among accounts alike, and no more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import (
    Interval,
    Strata,
    Trust,
    cmh,
    detectable_difference,
    mantel_haenszel,
    newcombe,
    tabulate,
    trust,
)
from milestones_dagster.evidence.strata import crossed

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework

Unit = Literal["month", "quarter"]

ALL: Final = "all"
MOST_TO_TALK_TO: Final = 20
LEAST_COMPARABLE: Final = 0.8
"""Share of accounts that months must leave comparable; below it cohorts are quarters."""

AFTER_SETUP: Final = (
    ("setup", "activation"),
    ("activation", "usage"),
    ("activation", "retention"),
    ("activation", "expansion"),
    ("usage", "maturity"),
    ("usage", "retention"),
    ("usage", "expansion"),
    ("maturity", "retention"),
    ("maturity", "expansion"),
)
LEFT_OUT: Final = {
    "left_before": ("left_before",),
    "locked": ("locked",),
    "already": ("already",),
    "partial": ("partial",),
    "no_value": ("no_seats", "no_mrr"),
}
_REASONS: Final = {
    "left_before": "were not paying at the landmark",
    "locked": "could not leave within the horizon",
    "already": "had reached the next before the landmark",
    "partial": "had a month broken by a gap in payment",
    "no_value": "had no seats or no revenue to compare",
}
_NEXT: Final = {
    "activation": "activated",
    "usage": "reached usage in two of the next three months",
    "maturity": "were mature at the horizon",
    "retention": "stayed",
    "expansion": "expanded",
}


@dataclass(frozen=True)
class Comparison:
    """Who reached the behaviour against who did not, on one set of accounts; NaN where nothing is compared.

    Attributes:
        accounts: compared, and `comparable`: those whose stratum has both groups, who alone make `effect`.
        reached, reached_next, other, other_next: counts of the two groups, and of them those with the outcome.
        difference: crude, with Newcombe's interval.
        effect: Mantel–Haenszel risk difference over the strata, with Sato's variance.
        p: of Cochran, Mantel and Haenszel over the same strata.
        detectable: difference that the comparable accounts would show in 80 % of samples.
    """

    accounts: int
    comparable: int
    reached: int
    reached_next: int
    other: int
    other_next: int
    difference: Interval
    effect: Interval
    p: float
    detectable: float
    trust: Trust


def measure(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per link and all its cohorts, and one per cohort that can be trusted alone.

    The pooled effect is the Mantel–Haenszel risk difference over plan × size × cohort: each stratum weighs by what it
    compares, n₁n₀ / n, so that cohorts of unequal size are never averaged as if they were equal, and a cohort that had
    both more of the behaviour and more of the outcome adds nothing by that. Trust is that of the accounts that make it.

    Args:
        frame: one row per link and account: behaviour, outcome, account_id, cohort_month, standing (`row` is compared),
            plan, size_stratum, mrr, threshold, is_reached, is_next; in any order.
        framework: its setup steps name the first links.
        also: no further tables.

    Raises:
        ValueError: an account has two rows in a link.
    """
    del also
    steps = tuple((f"setup:{step.name}", "activation") for step in framework.setup.steps)
    rows: list[dict[str, object]] = []
    # places and not parts: the frame has a row per account and link, and parts would be a second one
    places = frame.groupby(["behaviour", "outcome"], sort=False).indices
    for position, link in enumerate((*steps, *AFTER_SETUP), start=1):
        part = frame.take(np.sort(places[link])) if link in places else frame.iloc[:0]
        rows += ({"position": position, **row} for row in link_rows(link, part))
    return pd.DataFrame(rows)


def link_rows(link: tuple[str, str], frame: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Yield the row of all cohorts of a link, then those of the cohorts that can be trusted alone, by time.

    Raises:
        ValueError: an account has two rows.
    """
    if frame["account_id"].duplicated().any():
        raise ValueError(f"{' to '.join(link)}: an account has more than one row; rows of one account are dependent")
    unit = cohort_unit(frame.loc[frame["standing"] == "row"])
    starts = cohort_starts(frame["cohort_month"], unit)
    shown = []
    for start, part in frame.groupby(starts, sort=True):
        found = compare(part.loc[part["standing"] == "row"], None)
        if found.trust != "interview":
            shown.append(_row(link, part, found, unit, pd.Timestamp(str(start))))
    pooled = compare(frame.loc[frame["standing"] == "row"], unit)
    yield _row(link, frame, pooled, unit, None, shown=len(shown), cohorts=int(starts.nunique()))
    yield from shown


def cohort_unit(rows: pd.DataFrame) -> Unit:
    """Return `month`, or `quarter` where months would leave fewer than 80 % of the accounts comparable."""
    if rows.empty:
        return "quarter"
    tables = _tables(rows, "month")
    return "month" if _comparable(tables) >= LEAST_COMPARABLE * len(rows) else "quarter"


def cohort_starts(months: pd.Series, unit: Unit) -> pd.Series:
    """Return the first day of each cohort month's cohort."""
    # whether a cache would pay is asked value by value, which costs more than all that is done here
    dates = pd.to_datetime(months, cache=False)
    return dates if unit == "month" else dates.dt.to_period("Q").dt.start_time


def compare(rows: pd.DataFrame, unit: Unit | None) -> Comparison:
    """Return the comparison over plan × size, and over cohorts of this unit too where one is given."""
    none = Interval(np.asarray(nan), np.asarray(nan), np.asarray(nan))
    if rows.empty:
        return Comparison(0, 0, 0, 0, 0, 0, none, none, nan, np.inf, "interview")
    tables = _tables(rows, unit)
    a, b, c, d = (int(cell) for cell in tables.crude)
    made = _informative(tables)
    first, second, third, fourth = (float(cell.sum()) for cell in made)
    comparable = int(first + second + third + fourth)
    share = (first + third) / comparable if comparable else nan
    detectable = float(detectable_difference(first + second, third + fourth, share)) if comparable else np.inf
    return Comparison(
        accounts=len(rows),
        comparable=comparable,
        reached=a + b,
        reached_next=a,
        other=c + d,
        other_next=c,
        difference=newcombe(a, a + b, c, c + d),
        effect=mantel_haenszel(tables).risk_difference,
        p=float(cmh(tables).p),
        detectable=detectable,
        trust=trust(detectable, share),
    )


def _tables(rows: pd.DataFrame, unit: Unit | None) -> Strata:
    cohorts = () if unit is None else (cohort_starts(rows["cohort_month"], unit),)
    stratum = crossed(rows["plan"], rows["size_stratum"], *cohorts)
    return tabulate(_flags(rows["is_reached"]), _flags(rows["is_next"]), stratum)


def _informative(tables: Strata) -> list[NDArray[np.float64]]:
    """Return the cells of the strata that have both groups."""
    is_both = (tables.did_reached + tables.did_not_reached > 0) & (tables.not_did_reached + tables.neither > 0)
    cells = (tables.did_reached, tables.did_not_reached, tables.not_did_reached, tables.neither)
    return [cell[is_both] for cell in cells]


def _comparable(tables: Strata) -> float:
    return float(sum(cell.sum() for cell in _informative(tables)))


def _row(
    link: tuple[str, str],
    frame: pd.DataFrame,
    found: Comparison,
    unit: Unit,
    start: pd.Timestamp | None,
    *,
    shown: int = 0,
    cohorts: int = 1,
) -> dict[str, object]:
    standing = frame["standing"].value_counts()
    left_out = {name: sum(int(standing.get(kind, 0)) for kind in kinds) for name, kinds in LEFT_OUT.items()}
    thresholds = pd.to_numeric(frame["threshold"]).dropna()
    row: dict[str, object] = {
        "behaviour": link[0],
        "outcome": link[1],
        "cohort": ALL if start is None else _name(start, unit),
        "cohort_from": start,
        "pooled_over": unit,
        "threshold": float(thresholds.iloc[0]) if len(thresholds) else nan,
        "trust": found.trust,
        "detectable": found.detectable,
        "rows": found.accounts,
        "accounts": found.accounts,
        "comparable_accounts": found.comparable,
        "reached_accounts": found.reached,
        "reached_next": found.reached_next,
        "reached_next_share": _share(found.reached_next, found.reached),
        "other_accounts": found.other,
        "other_next": found.other_next,
        "other_next_share": _share(found.other_next, found.other),
        **_interval("difference", found.difference),
        **_interval("effect", found.effect),
        "effect_p": found.p,
    }
    for name, count in left_out.items():
        row |= {name: count, f"{name}_share": _share(count, len(frame))}
    row["cohorts"] = cohorts if len(frame) else 0
    row["interview_account_ids"] = against_the_grain(frame) if found.trust == "interview" else None
    row["note"] = _note(link, found, left_out, len(frame), None if start is not None else (unit, cohorts, shown))
    return row


def _note(
    link: tuple[str, str], found: Comparison, left_out: Mapping[str, int], accounts: int, pooled: tuple[Unit, int, int] | None
) -> str:
    if not accounts:
        return "No account's outcome is known yet."
    named = link[0].removeprefix("setup:")
    sentences = []
    if found.reached and found.other:
        sentences.append(
            f"Of {found.reached:,} accounts that had reached {named} {found.reached_next / found.reached:.1%} {_NEXT[link[1]]}, "
            f"of {found.other:,} that had not {found.other_next / found.other:.1%}."
        )
    else:
        who = "All" if found.reached else "None"
        sentences.append(f"{who} of {found.accounts:,} accounts had reached {named}: nothing to compare.")
    alike = f"plan, size and cohort {pooled[0]}" if pooled else "plan and size"
    effect = float(found.effect.estimate)
    if found.trust == "interview":
        sentences.append("Too few to decide on; talk to the accounts.")
    elif isfinite(effect):
        low, high = float(found.effect.lower), float(found.effect.upper)
        sentences.append(
            f"It goes with {effect * 100:+.1f} points ({low * 100:+.1f} to {high * 100:+.1f}) among accounts alike in {alike}."
        )
    if found.comparable < found.accounts:
        sentences.append(f"{found.accounts - found.comparable:,} have nobody of the other group alike in {alike}.")
    if pooled and pooled[2] < pooled[1]:
        sentences.append(f"{pooled[1] - pooled[2]:,} of {pooled[1]:,} cohorts are too small to be shown alone.")
    sentences += [f"{count:,} accounts ({count / accounts:.1%}) {_REASONS[name]}." for name, count in left_out.items() if count]
    return " ".join(sentences)


def against_the_grain(frame: pd.DataFrame) -> str | None:
    """Return the accounts that reached it and not the next, or the reverse, at most 20: largest MRR first, unknown last."""
    rows = frame.loc[frame["standing"] == "row"]
    against = rows.loc[_flags(rows["is_reached"]) != _flags(rows["is_next"])]
    ordered = against.assign(mrr=pd.to_numeric(against["mrr"])).sort_values(["mrr", "account_id"], ascending=[False, True])
    return ", ".join(ordered["account_id"].astype(str).iloc[:MOST_TO_TALK_TO]) or None


def _name(start: pd.Timestamp, unit: Unit) -> str:
    return f"{start:%Y-%m}" if unit == "month" else f"{start.year} Q{start.quarter}"


def _interval(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: float(interval.estimate),
        f"{name}_low": float(interval.lower),
        f"{name}_high": float(interval.upper),
    }


def _flags(values: pd.Series) -> NDArray[np.bool_]:
    return np.asarray(values.astype(bool), dtype=np.bool_)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else nan
