"""Defines what became of the accounts, and of their revenue, one horizon after each month's start.

Put here logo, gross and net revenue retention, expansion and dormancy by month and segment. Keep out what an outcome
is: that is `retention_outcomes`. Months are pooled as sums over sums, never as a mean of unequal months.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import Interval, wilson
from milestones_dagster.evidence.resampling import draw_accounts
from milestones_dagster.evidence.splits import stable_hash

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Framework

_Floats = NDArray[np.float64]
_Booleans = NDArray[np.bool_]

ALL: Final = "all"
UNKNOWN: Final = "unknown"
LEAST_ACCOUNTS: Final = 10
"""Accounts with revenue below which a resample of them tells nothing of its spread."""

MOST_UNITS: Final = 20_000
"""Above so many accounts, bundles of them by hash are resampled: bundles are as independent as accounts, and the cost
of an interval stays what it is."""

_CENT: Final = 1e-9
"""Part of a sum: revenue in another order of rows adds up to another last digit."""


COLUMNS: Final = (
    "period",
    "month",
    "segment_kind",
    "segment",
    "rows",
    "accounts",
    "open_rows",
    "locked_rows",
    "retained",
    "retained_share",
    "retained_share_low",
    "retained_share_high",
    "mrr_rows",
    "mrr_accounts",
    "mrr_at_start",
    "mrr_at_end",
    "gross_revenue_retention",
    "gross_revenue_retention_low",
    "gross_revenue_retention_high",
    "net_revenue_retention",
    "net_revenue_retention_low",
    "net_revenue_retention_high",
    "expanded_mrr_rows",
    "expanded_mrr_share",
    "expanded_mrr_share_low",
    "expanded_mrr_share_high",
    "expanded_seats_rows",
    "expanded_seats_share",
    "expanded_seats_share_low",
    "expanded_seats_share_high",
    "dormant_rows",
    "dormant_share",
    "dormant_share_low",
    "dormant_share_high",
)


@dataclass(frozen=True)
class _Outcomes:
    """Rows of the frame in a fixed order, with what is summed; every array has shape (rows,).

    Attributes:
        keys: of the accounts, and `accounts`, their numbers 0 … in the order of the keys.
    """

    keys: NDArray[np.int64]
    accounts: NDArray[np.intp]
    is_known: _Booleans
    is_evidence: _Booleans
    retained: _Booleans
    start: _Floats
    end: _Floats
    flags: Mapping[str, _Floats]
    """`expanded_mrr`, `expanded_seats` and `dormant`: 1, 0, or NaN where it is not to be told."""

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "_Outcomes":
        is_evidence = frame["is_evidence"].to_numpy(dtype=np.bool_)
        start, end = (_numbers(frame[name]) for name in ("mrr_at_start", "mrr_at_end"))
        # revenue enters only where it is known at both ends, and of what can be a rate
        is_priced = is_evidence & np.isfinite(start) & np.isfinite(end)
        expanded = {name: np.where(is_evidence, _numbers(frame[f"is_{name}"]), nan) for name in ("expanded_mrr", "expanded_seats")}
        keys = frame["account_key"].to_numpy(dtype=np.int64)
        return cls(
            keys=keys,
            accounts=np.unique(keys, return_inverse=True)[1].astype(np.intp),
            is_known=frame["is_known"].to_numpy(dtype=np.bool_),
            is_evidence=is_evidence,
            retained=_numbers(frame["retained"]) == 1,
            start=np.where(is_priced, start, nan),
            end=np.where(is_priced, end, nan),
            flags={**expanded, "dormant": _numbers(frame["is_dormant"])},
        )


def revenue_retention(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return logo, gross and net revenue retention, expansion and dormancy: one row per period, segment kind and segment.

    Net = Σ MRR at D + H / Σ MRR at D over the accounts paying at D, who left (also who is back) at 0; gross = Σ min(MRR
    at D + H, MRR at D) / Σ MRR at D. Their intervals are 2.5 and 97.5 percentiles over resamples of accounts, none
    below 10 accounts. A share has Wilson's interval at the effective number of rows p(1 − p) / V, V clustered by
    account: Wilson's own in one month, where an account is one row.

    Args:
        frame: one row per account and month in which it pays at the month's first instant D, in any order:
            account_key, month, plan, size_stratum, is_known, is_evidence, retained, is_dormant, mrr_at_start,
            mrr_at_end, is_expanded_mrr, is_expanded_seats, resamples, seed.
        framework: not read; the form that all such functions share.
        also: no further tables.
    """
    del framework, also
    if frame.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    ordered = frame.sort_values(["month", "account_key"], ignore_index=True)
    rows = _Outcomes.of(ordered)
    cells = list(_cells(ordered))
    members = [member for _, member in cells]
    resamples, seed = int(ordered["resamples"].iloc[0]), int(ordered["seed"].iloc[0])
    intervals = revenue_intervals(rows.keys, rows.start, rows.end, members, resamples, seed)
    made = [{**names, **_counted(rows, member), **revenue} for (names, member), revenue in zip(cells, intervals, strict=True)]
    return pd.DataFrame(made, columns=list(COLUMNS))


def _cells(frame: pd.DataFrame) -> Iterator[tuple[dict[str, object], NDArray[np.intp]]]:
    """Yield the names of every period and segment, and the places of its rows."""
    months = [(ALL, None, np.arange(len(frame)))]
    months += [(f"{month:%Y-%m}", month, np.asarray(places)) for month, places in frame.groupby("month").indices.items()]
    kinds = {"plan": frame["plan"], "size": frame["size_stratum"]}
    labels, levels = {}, {}
    for kind, column in kinds.items():
        labels[kind], levels[kind] = pd.factorize(column.where(column.notna(), UNKNOWN), sort=True)
    for period, month, places in months:
        yield {"period": period, "month": month, "segment_kind": ALL, "segment": ALL}, places
        for kind, label in labels.items():
            for level in np.unique(label[places]):
                names = {"period": period, "month": month, "segment_kind": kind, "segment": levels[kind][level]}
                yield names, places[label[places] == level]


def _counted(rows: _Outcomes, member: NDArray[np.intp]) -> dict[str, float | int]:
    """Return the counts and shares of some rows."""
    is_evidence, is_known = rows.is_evidence[member], rows.is_known[member]
    accounts = rows.accounts[member]
    compared = accounts[is_evidence]
    retained = rows.retained[member][is_evidence].astype(np.float64)
    found: dict[str, float | int] = {
        "rows": compared.size,
        "accounts": np.unique(compared).size,
        "open_rows": int((~is_known).sum()),
        "locked_rows": int((is_known & ~is_evidence).sum()),
        "retained": int(retained.sum()),
        **_shares("retained_share", clustered_share(retained, compared)),
    }
    for name, values in rows.flags.items():
        value = values[member]
        told = np.isfinite(value)
        found[f"{name}_rows"] = int(told.sum())
        found |= _shares(f"{name}_share", clustered_share(value[told], accounts[told]))
    return found


def clustered_share(values: _Floats, accounts: NDArray[np.intp]) -> Interval:
    """Return the share of ones with Wilson's interval at the effective number of rows; NaN without rows.

    The effective number is p(1 − p) / V with V = Σ over accounts (ones − p · rows)² / rows² (ratio of sums, clustered
    by account): the rows themselves where each account has one. Where all are ones or none is, it is the accounts.

    Args:
        values: 0 or 1, shape (rows,).
        accounts: number ≥ 0 of each row's account, shape (rows,).
    """
    if not values.size:
        return wilson(0, 0)
    ones, rows = np.bincount(accounts, weights=values), np.bincount(accounts)
    ones, rows = ones[rows > 0], rows[rows > 0]
    share = float(values.sum()) / values.size
    variance = float(((ones - share * rows) ** 2).sum()) / values.size**2
    # rounding must not make a share of all or none vary
    effective = rows.size if share in (0.0, 1.0) or variance == 0 else share * (1 - share) / variance
    found = wilson(share * effective, effective)
    return Interval(np.asarray(share), np.minimum(found.lower, share), np.maximum(found.upper, share))


def revenue_intervals(
    accounts: NDArray[np.int64], start: _Floats, end: _Floats, members: list[NDArray[np.intp]], resamples: int, seed: int
) -> list[dict[str, float | int]]:
    """Return gross and net revenue retention of each set of rows, with percentile intervals over resampled accounts.

    Args:
        accounts: of each row, shape (rows,).
        start: revenue at D, NaN where it is not to be counted, shape (rows,).
        end: revenue at D + H, likewise.
        members: places of the rows of each set.
        resamples: ≥ 1.
        seed: of the draws; the same accounts are drawn for every set.
    """
    from scipy.sparse import csr_array

    distinct, position = np.unique(accounts, return_inverse=True)
    units = position if distinct.size <= MOST_UNITS else (stable_hash(accounts, seed) % np.uint64(MOST_UNITS)).astype(np.intp)
    drawn = draw_accounts(np.asarray(units, dtype=np.int64), resamples, seed)
    priced = [member[np.isfinite(start[member])] for member in members]
    places = np.concatenate([*priced, np.empty(0, dtype=np.intp)]).astype(np.intp)
    cell = np.repeat(np.arange(len(members)), [member.size for member in priced])
    shape = (len(members), drawn.weights.shape[0])
    amounts = (start[places], end[places], np.minimum(start[places], end[places]))
    sums = [csr_array((amount, (cell, drawn.positions[places])), shape=shape) for amount in amounts]
    base, net, gross = (np.asarray(total.sum(axis=1)) for total in sums)
    drawn_base, drawn_net, drawn_gross = (total @ drawn.weights.astype(np.float64) for total in sums)
    found: list[dict[str, float | int]] = []
    for number, member in enumerate(priced):
        having = np.unique(accounts[member]).size
        made: dict[str, float | int] = {"mrr_rows": member.size, "mrr_accounts": having}
        has_revenue = base[number] > 0
        made["mrr_at_start"] = float(base[number]) if has_revenue else nan
        made["mrr_at_end"] = float(net[number]) if has_revenue else nan
        for name, amount, resampled in (("gross", gross, drawn_gross), ("net", net, drawn_net)):
            made |= _ratio(f"{name}_revenue_retention", amount[number], base[number], resampled[number], drawn_base[number], having)
        found.append(made)
    return found


def _ratio(name: str, amount: float, base: float, amounts: _Floats, bases: _Floats, accounts: int) -> dict[str, float]:
    """Return the three columns of a ratio of sums."""
    share = amount / base if base > 0 else nan
    has_drawn = bases > 0
    if accounts < LEAST_ACCOUNTS or not base > 0 or not has_drawn.any():
        return {name: share, f"{name}_low": nan, f"{name}_high": nan}
    low, high = np.quantile(amounts[has_drawn] / bases[has_drawn], [0.025, 0.975])
    # all or nothing kept: the percentiles are the ratio itself but for rounding
    low, high = (share if abs(bound - share) <= _CENT else float(bound) for bound in (low, high))
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def _shares(name: str, found: Interval) -> dict[str, float]:
    return {name: float(found.estimate), f"{name}_low": float(found.lower), f"{name}_high": float(found.upper)}


def _numbers(column: pd.Series) -> _Floats:
    """Return a column of numbers or of yes, no and unknown as numbers, NaN where it is unknown."""
    if column.dtype == object:
        column = column.where(column.notna(), nan).astype(np.float64)
    found: _Floats = column.to_numpy(dtype=np.float64, na_value=nan)
    return found
