"""Defines how often the evidence finds something where there is nothing: the company's own rows, their outcomes permuted.

Put here the permutations, and each rule run on them as it runs on the real outcomes. Keep out the rules (`thresholds.py`,
`areas.py`, `setup_steps.py`). A rule that finds more than it may is not calibrated on these rows, whatever it finds on the
real outcomes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.association import benjamini_hochberg, detectable_difference, trust, wilson
from milestones_dagster.evidence.setup_steps import (
    LANDMARK_DAYS,
    LEVEL,
    Landmark,
    conditional_effects,
    landmark_rows,
    step_verdicts,
)
from milestones_dagster.evidence.splits import stable_hash
from milestones_dagster.evidence.strata import permutations_within
from milestones_dagster.evidence.thresholds import LEAST_CANDIDATES, Effect, Prepared, effect, no_signal, prepared

if TYPE_CHECKING:
    from milestones_dagster.config.framework import Evidence, Framework

_Booleans = NDArray[np.bool_]
_Floats = NDArray[np.float64]

PERMUTATIONS: Final = 200
MOST_FOUND: Final = 0.05
"""Share of permutations in which a calibrated rule may find something."""

MOST_STEP_ACCOUNTS: Final = 10_000
"""Accounts. Above it the placebo of setup steps reads so many, taken by hash: some hundred fits are made, each slow there."""

_LIKELY_Q: Final = 2 * LEVEL
"""q by the linear approximation above which no permutation is fitted: twice what `keep` asks for."""

_BATCH: Final = 50


def activation(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the one row of `threshold` for the activation count; `frame` is `activation_landmarks`."""
    del also
    return threshold(frame, "activation", framework)


def usage(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the one row of `threshold` for the usage ratio; `frame` is `usage_landmarks`."""
    del also
    return threshold(frame, "usage", framework)


def threshold(frame: pd.DataFrame, milestone: str, framework: "Framework") -> pd.DataFrame:
    """Return one row: the share of 200 permutations of the outcomes in which a threshold has a signal.

    Outcomes are permuted among all compared accounts of one plan × size stratum; candidates, pick on the earlier half,
    effect and reasons on the later half are then those of `thresholds.derived`.

    Args:
        frame: account_key, cohort_month, standing, plan, size_stratum, value, retained; `standing` = row is read.
        milestone: named in the row.
        framework: its `threshold_search` is read.
    """
    config = framework.threshold_search
    made = prepared(frame, config)
    outcomes = permuted(made.rows.retained, made.rows.strata, PERMUTATIONS, config.seed)
    return judged(milestone, threshold_signals(made, outcomes), made.rows.size + made.left_out, made.rows.size)


def areas(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row: the share of 200 permutations of the outcomes in which *any* area has a signal, by q over the areas.

    Where nothing is to be found, a false discovery rate of 5 % is the chance that any area is found. So the 5 % that a
    rule may find are those of the areas together; a single area is found no more often than any is. What finds more
    speaks against all of them, since q ties them together. Areas that compare the same accounts get the same permutations.

    Args:
        frame: as for `threshold`, and area; no rows where no area's threshold is left to the data.
        framework: its areas and its `threshold_search` are read.
        also: no further tables.
    """
    del also
    config = framework.threshold_search
    made = [prepared(frame.loc[frame["area"] == area.name], config) for area in framework.areas]
    outcomes = [permuted(one.rows.retained, one.rows.strata, PERMUTATIONS, config.seed) for one in made]
    compared = frame.loc[(frame["standing"] == "row") & frame["area"].isin([area.name for area in framework.areas])]
    read = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(one.rows.accounts for one in made)]))
    found = judged("areas", area_signals(made, outcomes), compared["account_key"].nunique(), read.size)
    is_asked = any(area.threshold == "auto" for area in framework.areas)
    return found if is_asked else found.assign(note="No area's threshold is left to the data, so that nothing is permuted.")


def setup_steps(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row: the share of 200 permutations of activation in which any setup step has the verdict `keep`.

    Activation after the landmark is permuted among the compared accounts of one plan × size stratum, all else stays.

    Args:
        frame: as for `setup_steps.measure`.
        framework: its steps, evidence and the seed of its threshold search are read.
        also: no further tables.
    """
    del also
    seed = framework.threshold_search.seed
    here = frame.loc[(frame["landmark_days"] == LANDMARK_DAYS) & frame["is_paying"] & ~frame["is_activated_before"]]
    accounts = np.unique(here["account_key"].to_numpy(dtype=np.int64))
    kept = accounts[np.argsort(stable_hash(accounts, seed), kind="stable")[:MOST_STEP_ACCOUNTS]]
    names = tuple(step.name for step in framework.setup.steps)
    rows = landmark_rows(here.loc[here["account_key"].isin(kept)], names, LANDMARK_DAYS)
    outcomes = permuted(rows.reached, rows.stratum, PERMUTATIONS, seed)
    return judged("setup_steps", step_keeps(rows, outcomes, framework.evidence), accounts.size, kept.size)


def permuted(outcome: _Booleans, strata: NDArray[np.intp], permutations: int, seed: int) -> _Booleans:
    """Return the outcomes permuted within each stratum, shape (permutations, rows); rows in a settled order give the same."""
    return np.stack([outcome[lender] for lender in permutations_within(strata, permutations, [seed])])


def threshold_signals(made: Prepared, outcomes: _Booleans) -> _Booleans:
    """Return in which outcomes, shape (permutations, rows of `made.rows`), the threshold has a signal."""
    if made.search is None or made.search.candidates.size < LEAST_CANDIDATES:
        return np.zeros(len(outcomes), dtype=np.bool_)
    candidates = made.search.candidates.size
    found = [no_signal(candidates, pick, later) is None for pick, later in _picked(made, outcomes)]
    return np.array(found, dtype=np.bool_)


def area_signals(made: Sequence[Prepared], outcomes: Sequence[_Booleans]) -> _Booleans:
    """Return in which permutations any area has a signal; of each area its rows and its outcomes, (permutations, its rows).

    As in `areas.thresholds`, q is over every area with a p, one with too few candidates for a signal among them.
    """
    candidates = [0 if one.search is None else one.search.candidates.size for one in made]
    told = [_picked(one, drawn) for one, drawn, size in zip(made, outcomes, candidates, strict=True) if size]
    sizes = [size for size in candidates if size]
    if not told:
        return np.zeros(PERMUTATIONS, dtype=np.bool_)
    found = []
    for together in zip(*told, strict=True):
        q = benjamini_hochberg([later.p for _, later in together])
        found.append(
            any(
                no_signal(size, pick, later, float(rate)) is None
                for size, (pick, later), rate in zip(sizes, together, q, strict=True)
            )
        )
    return np.array(found, dtype=np.bool_)


def _picked(made: Prepared, outcomes: _Booleans) -> list[tuple[float, Effect]]:
    """Return, for each of the outcomes, the pick of the earlier half and its effect on the later one."""
    if made.search is None:
        return []
    found: list[tuple[float, Effect]] = []
    is_earlier = np.isin(made.rows.accounts, made.earlier.accounts)
    for start in range(0, len(outcomes), _BATCH):
        batch = outcomes[start : start + _BATCH]
        picks = made.search.relabelled(batch[:, is_earlier]).picks
        found += (
            (float(pick), effect(made.later.with_outcome(outcome[~is_earlier]), float(pick)))
            for pick, outcome in zip(picks, batch, strict=True)
        )
    return found


def step_keeps(rows: Landmark, outcomes: _Booleans, evidence: "Evidence") -> _Booleans:
    """Return in which outcomes, shape (permutations, rows), any step has the verdict `keep`.

    Adoption and trust stay under permutation, so that a step that they rule out is never kept. A permutation is fitted
    in full where the linear approximation of q (`linear_q`) leaves any other step within twice the level.
    """
    found = np.zeros(len(outcomes), dtype=np.bool_)
    may_keep = _may_keep(rows, evidence)
    if not may_keep.any():
        return found
    for place in np.flatnonzero((linear_q(rows, outcomes)[:, may_keep] <= _LIKELY_Q).any(axis=1)):
        drawn = replace(rows, reached=outcomes[place])
        found[place] = (step_verdicts(drawn, conditional_effects(drawn), evidence)["verdict"] == "keep").any()
    return found


def linear_q(rows: Landmark, outcomes: _Booleans) -> _Floats:
    """Return q over the steps by linear regression, shape (outcomes, steps); 1 where the step goes with less or is not told.

    The covariates are those of the conditional effect, the variance White's (1980), so that a share near 0 or 1 in some
    stratum does not mislead. Under permutation nothing is associated, and linear and logistic score test agree.
    """
    from scipy.special import ndtr

    reached = outcomes.T.astype(np.float64)
    plans, sizes = (np.eye(int(levels.max()) + 1)[levels] for levels in (rows.plan, rows.size))
    root = np.full((len(outcomes), len(rows.steps)), nan)
    for number in range(len(rows.steps)):
        others = np.delete(rows.done, number, axis=1).astype(np.float64)
        covariates = np.column_stack([plans, sizes, others, np.log1p(rows.early_events[:, number])])
        did = rows.done[:, number].astype(np.float64)
        basis = _basis(covariates)
        rest = did - basis @ (basis.T @ did)
        if np.linalg.norm(rest) <= 1e-7 * np.linalg.norm(did):
            continue
        unexplained = reached - basis @ (basis.T @ reached)
        together = rest @ unexplained
        unexplained -= np.outer(rest, together / (rest @ rest))
        spread = np.sqrt((rest**2) @ (unexplained**2))
        root[:, number] = np.divide(together, spread, out=np.full(together.shape, nan), where=spread > 0)
    q = np.stack([benjamini_hochberg(2 * ndtr(-np.abs(row))) for row in root])
    return np.where((root > 0) & np.isfinite(q), q, 1.0)


def judged(evidence: str, found: _Booleans, accounts: int, read: int) -> pd.DataFrame:
    """Return the row of the placebo: `not calibrated` where Wilson's lower bound of the share found is above 5 %.

    Args:
        evidence: `activation`, `usage`, `areas` or `setup_steps`.
        found: whether something was found, shape (permutations,).
        accounts: that the evidence compares.
        read: those of them whose outcomes were permuted; without any, nothing can be told.
    """
    permutations = found.size if read else 0
    share = wilson(int(found.sum()), permutations)
    low = float(share.lower)
    verdict = "cannot tell" if not permutations else "not calibrated" if low > MOST_FOUND else "calibrated"
    return pd.DataFrame(
        {
            "evidence": [evidence],
            "accounts": accounts,
            "permuted_accounts": read,
            "permutations": permutations,
            "found": int(found.sum()) if read else 0,
            "found_share": float(share.estimate),
            "found_low": low,
            "found_high": float(share.upper),
            "verdict": verdict,
            "note": _note(evidence, verdict, accounts, read),
        }
    )


def _may_keep(rows: Landmark, evidence: "Evidence") -> _Booleans:
    """Return which steps could be kept at all, by what a permutation leaves as it is: adoption and trust."""
    accounts, adopters = rows.reached.size, rows.done.sum(axis=0)
    if not accounts:
        return np.zeros(len(rows.steps), dtype=np.bool_)
    share = float(rows.reached.mean())
    is_trusted = [
        trust(float(least), share) != "interview" for least in detectable_difference(adopters, accounts - adopters, share)
    ]
    adoption = adopters / accounts
    return np.asarray(is_trusted & (adoption >= evidence.niche_step) & (adoption <= evidence.routine_step))


def _basis(columns: _Floats) -> _Floats:
    """Return an orthonormal basis of what the columns span."""
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(vectors[:, sizes > 1e-10 * sizes.max(initial=0.0)])


def _note(evidence: str, verdict: str, accounts: int, read: int) -> str:
    kinds = {"setup_steps": "A setup step is kept", "areas": "A threshold of any area is found"}
    what = kinds.get(evidence, "A threshold is found")
    if verdict == "cannot tell":
        return "No account can be compared yet, so that nothing can be permuted."
    told = {
        "calibrated": "no more often than it may be where outcomes are drawn at random among accounts of the same plan and size.",
        "not calibrated": "more often than in 5 % of draws where outcomes are drawn at random among accounts of the same plan and "
        "size: what is found on the real outcomes is not to be trusted, and no threshold that is left to the data follows it.",
    }[verdict]
    sampled = "" if read == accounts else f" {read:,} of {accounts:,} accounts, taken by hash, are read."
    return f"{what} {told}{sampled}"
