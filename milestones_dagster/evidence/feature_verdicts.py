"""Defines the verdict on each feature, and why.

Put here the rules of the adoption benchmark and of the ranking, and their words. Keep out how the numbers are made.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from milestones_dagster.evidence.association import trust

if TYPE_CHECKING:
    from milestones_dagster.config.framework import AdoptionBenchmark

LEVEL: Final = 0.05

VERDICTS: Final = ("interview", "ubiquitous", "niche", "differentiator", "warning_sign", "weak")


def verdicts(table: pd.DataFrame, benchmark: "AdoptionBenchmark") -> pd.DataFrame:
    """Return `trust`, `verdict`, `reason` and `is_borderline` of each row of `table`.

    The first that applies: `interview` (trust), `ubiquitous` (used by more than the bound of eligible accounts), `niche`
    (by less than the bound of all accounts), `differentiator` (the interval of its group's importance lies above 0, that
    importance exceeds every decoy's, and its own association with retention is positive with q ≤ .05), `warning_sign`
    (the same, negative), `weak`. A row is borderline when the Wilson interval of either share holds its bound.
    Attributes have no adoption, hence neither screen.

    Args:
        table: the six adoption columns, importance, importance_low, largest_decoy, association_direction, association_q,
            detectable_difference, retained_share, accounts_with, accounts_without; any may be missing.
        benchmark: bounds as shares.
    """
    made = [_verdict(row, benchmark) for row in table.to_dict("records")]
    found = pd.DataFrame(made, columns=["trust", "verdict", "reason"], index=table.index)
    is_near_ubiquitous = table["adoption_eligible_low"].le(benchmark.ubiquitous) & table["adoption_eligible_high"].ge(
        benchmark.ubiquitous
    )
    is_near_niche = table["adoption_all_low"].le(benchmark.niche) & table["adoption_all_high"].ge(benchmark.niche)
    found["is_borderline"] = is_near_ubiquitous | is_near_niche
    return found


def _verdict(row: dict[str, float], benchmark: "AdoptionBenchmark") -> tuple[str, str, str]:
    trusted = trust(row["detectable_difference"], row["retained_share"])
    if trusted == "interview":
        return trusted, "interview", _why_interview(row)
    if row["adoption_eligible"] > benchmark.ubiquitous:
        return trusted, "ubiquitous", f"{row['adoption_eligible']:.1%} of eligible accounts use it: nearly all do"
    if row["adoption_all"] < benchmark.niche:
        return trusted, "niche", f"{row['adoption_all']:.1%} of all accounts use it: nearly nobody does"
    if not row["importance_low"] > 0:
        return trusted, "weak", "permuting its group costs the forest nothing that is above the noise"
    if not row["importance"] > row["largest_decoy"]:
        return trusted, "weak", "a decoy, permuted across accounts, is as important"
    alike = f"among accounts alike in plan and size (q = {row['association_q']:.2g})"
    if not row["association_q"] <= LEVEL or row["association_direction"] == 0:
        return trusted, "weak", f"by itself it does not go with staying, {alike}"
    if row["association_direction"] > 0:
        return trusted, "differentiator", f"accounts with it stay more often, {alike}, and the forest needs it"
    return trusted, "warning_sign", f"accounts with it stay less often, {alike}, and the forest needs it"


def _why_interview(row: dict[str, float]) -> str:
    with_it, without = int(row["accounts_with"]), int(row["accounts_without"])
    if not with_it or not without:
        return f"all {with_it + without:,} held-out accounts are on one side of it: nothing to compare"
    if row["retained_share"] in (0, 1):
        return f"{'all' if row['retained_share'] else 'none'} of {with_it + without:,} held-out accounts stayed: nothing to compare"
    seen = f"{with_it:,} held-out accounts with it and {without:,} without"
    if not np.isfinite(row["detectable_difference"]) or row["detectable_difference"] >= 1:
        return f"{seen}: too few for any difference to show; ask the accounts"
    return f"{seen}: only a difference of {row['detectable_difference'] * 100:.0f} points or more would show; ask the accounts"
