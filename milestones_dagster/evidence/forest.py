"""Defines `rank`: which catalogue features tell who stays on held-out accounts, and what that is worth.

Put here what joins rows, split, evidence and verdicts into one row per feature. Keep out each of them (`ranking_rows`,
`splits`, `fold_fit`, `held_out`, `feature_verdicts`). A rank says that a feature goes with retention, given the other features,
among accounts alike in plan and size; it is no effect.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from milestones_dagster.evidence.feature_notes import is_calibrated, note
from milestones_dagster.evidence.feature_verdicts import verdicts
from milestones_dagster.evidence.held_out import Evidence, Importance, Quality, measured
from milestones_dagster.evidence.ranking_rows import Rows, drawn_rows, known_rows, with_decoys
from milestones_dagster.evidence.splits import Split, split_rows

if TYPE_CHECKING:
    from milestones_dagster.config.framework import AdoptionBenchmark, Feature, FeatureRanking, Framework

MOST_TO_TALK_TO: Final = 20

ADOPTION: Final = (
    "adoption_eligible",
    "adoption_eligible_low",
    "adoption_eligible_high",
    "adoption_all",
    "adoption_all_low",
    "adoption_all_high",
)
_QUALITY = ("auc", "auc_low", "auc_high", "average_precision", "average_precision_low", "average_precision_high")
COLUMNS = (
    "feature",
    "title",
    "category",
    "measure",
    "rank",
    "feature_group",
    "is_representative",
    "importance",
    "importance_sd",
    "importance_low",
    "importance_high",
    "logistic_rank",
    "logistic_importance",
    "logistic_importance_low",
    "logistic_importance_high",
    "largest_decoy",
    *ADOPTION,
    "cut",
    "accounts_with",
    "accounts_without",
    "association",
    "association_low",
    "association_high",
    "association_p",
    "association_q",
    "detectable_difference",
    "trust",
    "verdict",
    "reason",
    "is_borderline",
    "talk_to",
    *_QUALITY,
    *(f"logistic_{name}" for name in _QUALITY),
    "logistic_gain",
    "logistic_gain_low",
    "logistic_gain_high",
    "is_logistic_better",
    "dummy_auc",
    "dummy_average_precision",
    "base_rate",
    "decoys",
    "decoys_passed",
    "is_calibrated",
    "train_rows",
    "held_out_rows",
    "held_out_accounts",
    "split",
    "note",
)


def rank(frame: pd.DataFrame, framework: "Framework", also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per catalogue feature, the most important first; `ranking` says how it is made.

    Args:
        frame: `feature_matrix` with account_id, account_mrr and missed_after beside.
        framework: its `features.catalogue`, `adoption_benchmark` and `feature_ranking` are read.
        also: `feature_adoption`.
    """
    return ranking(
        frame, framework.features.catalogue, framework.feature_ranking, framework.adoption_benchmark, also["feature_adoption"]
    )


def ranking(
    frame: pd.DataFrame,
    catalogue: Sequence["Feature"],
    config: "FeatureRanking",
    benchmark: "AdoptionBenchmark",
    adoption: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row per catalogue feature, the most important first: importance, association, adoption, verdict.

    Breiman's (2001) permutation importance, on accounts and dates that the forest has not seen: accounts in folds by a
    seeded hash, each fold's forest fitted on the other folds' rows whose outcome was known at T, the fold's rows from
    T on scored, the scores of all folds, each less the share retained among its fit's rows, pooled. Correlated features
    are one group (Spearman, Ward) and are permuted together, within strata of plan × size. `importance` is the mean
    drop of the pooled ROC AUC, among the rows whose plan includes the feature, when the group that its `feature_group`
    (the group's strongest member) belongs to in each fold is permuted; it is the same for all members.
    `importance_sd` is its spread over repeated permutations: noise of the method. What is learnt from rows (groups,
    scaling, cuts, what a missing value becomes) is learnt in the fold.

    `association` is the feature's own: retention of accounts at or above a cut less that of the others, Mantel–Haenszel
    over plan × size, the cut chosen on the fitted rows. Compared is one held-out row per account, at a date drawn among
    all that were possible for it, before anything is known of what became of the account; who did not pay then is out.

    Intervals (95 %) resample the held-out accounts, with forests and permutations as they are; since the folds share
    most of the accounts they were fitted on, they are somewhat narrow, and no resampling of one split can mend that
    (Bengio and Grandvalet 2004). Those of the importances are of the first order (`resampled_auc_difference`).

    The table's gate reads `auc_low`. Where a class has too few accounts to fit anything, rank, importance, AUC and
    their intervals are missing (NaN, NA), every verdict is `interview`, and `note` says why; nothing is raised.

    Missing values: 0 for `used`, `days`, `count`, `users` and `setting` (no row means not used); for
    `count_per_seat`, `trend` and `attribute` (no seats, nothing to compare with, unknown) the forest reads a constant
    below the least value that the fold's fit has seen, the logistic regression the mean, and the association leaves
    the row out.

    Trade: trees draw `maximum_samples` of the rows, since 100 small trees of depth 12 rank as well as deep ones in an
    eighth of the time. With few rows that would leave stumps, so that `forest_size` grows a finer forest, and the note
    says so.

    Args:
        frame: one row per account and observation date D, in any order: account_key (int64), observed_at (D, datetime),
            known_at (when the outcome is known: D + H + 7 d), retained (bool; missing while unknown: left out), plan and
            size_stratum at D (text or missing), a numeric column per catalogue feature, read before D; for the list of
            whom to talk to account_id (default: the key) and account_mrr (default: unknown); missed_after, possible dates
            of the account after D at which it did not pay (default: 0).
        catalogue: features: name, title, category, measure, plans.
        config: folds, forest, repeats, resamples, groups, decoys, seed.
        benchmark: bounds of `ubiquitous` and `niche`.
        adoption: one row per feature that has one: feature, adoption_eligible, adoption_all and their Wilson bounds
            (`…_low`, `…_high`), shares.

    Returns:
        The columns `COLUMNS`, in the order of `rank`. What is said of the whole (AUC, baselines, decoys, rows, note)
        stands on every row.

    Raises:
        ValueError: a column is missing, an account has two rows of one date, or a feature holds an infinite value.
    """
    features = sorted(catalogue, key=lambda feature: feature.name)
    if not features:
        return pd.DataFrame(columns=list(COLUMNS))
    drawn = drawn_rows(frame, config.maximum_rows, config.seed)
    rows = known_rows(drawn.frame, features)
    split = split_rows(
        accounts=rows.accounts,
        observed_at=rows.observed_at,
        known_at=rows.known_at,
        outcome=rows.outcome,
        folds=config.folds,
        train_share=config.train_share,
        seed=config.seed,
    )
    evidence = measured(with_decoys(rows, config.decoys, config.seed), config.decoys, split, config) if split.is_possible else None
    result = pd.DataFrame(
        {
            "feature": [feature.name for feature in features],
            "title": [feature.title for feature in features],
            "category": [feature.category for feature in features],
            "measure": [feature.measure for feature in features],
        }
    )
    for name, values in _by_feature(evidence, result["feature"].to_numpy()).items():
        result[name] = values
    result = result.join(adoption.set_index("feature")[list(ADOPTION)].astype("float64"), on="feature")
    result = pd.concat([result, verdicts(result, benchmark)], axis=1)
    result["talk_to"] = _talk_to(drawn.frame, rows, evidence, result["verdict"])
    for name, value in _of_the_whole(evidence, rows, split, config).items():
        result[name] = value
    result["note"] = note(rows, split, config, evidence, drawn)
    return _ranked(result)[list(COLUMNS)]


def _by_feature(evidence: Evidence | None, names: NDArray[np.object_]) -> dict[str, object]:
    """Return the columns that differ by feature; without evidence they are missing."""
    missing = np.full(names.size, nan)
    if evidence is None:
        importance = logistic = Importance.nothing(names.size)
        found = dict.fromkeys(("cut", "association", "association_low", "association_high", "association_p"), missing)
        counts = np.zeros(names.size, dtype=np.intp)
        more: dict[str, object] = {
            "feature_group": names,
            "strength": missing,
            "largest_decoy": missing,
            **found,
            "association_q": missing,
            "association_direction": missing,
            "detectable_difference": np.full(names.size, np.inf),
            "retained_share": missing,
            "accounts_with": counts,
            "accounts_without": counts,
        }
    else:
        importance, logistic, own = evidence.forest_importance, evidence.logistic_importance, evidence.associations
        more = {
            "feature_group": names[evidence.representative],
            "strength": evidence.strength,
            "largest_decoy": evidence.largest_decoy,
            "cut": evidence.cuts,
            "association": own.difference,
            "association_low": own.low,
            "association_high": own.high,
            "association_p": own.p,
            "association_q": own.q,
            "association_direction": own.direction,
            "detectable_difference": own.detectable,
            "retained_share": own.retained_share,
            "accounts_with": own.accounts_with,
            "accounts_without": own.accounts_without,
        }
    return {
        "importance": importance.mean,
        "importance_sd": importance.spread,
        "importance_low": importance.low,
        "importance_high": importance.high,
        "logistic_importance": logistic.mean,
        "logistic_importance_low": logistic.low,
        "logistic_importance_high": logistic.high,
        **more,
    }


def _of_the_whole(evidence: Evidence | None, rows: Rows, split: Split, config: "FeatureRanking") -> dict[str, object]:
    """Return the columns that are the same on every row."""
    nothing = Quality()
    forest, logistic, dummy = (evidence.forest, evidence.logistic, evidence.dummy) if evidence else (nothing, nothing, nothing)
    gain = evidence.difference if evidence else (nan, nan, nan)
    held_out = split.held_out
    return {
        **{name: getattr(forest, name) for name in _QUALITY},
        **{f"logistic_{name}": getattr(logistic, name) for name in _QUALITY},
        **dict(zip(("logistic_gain", "logistic_gain_low", "logistic_gain_high"), gain, strict=True)),
        "is_logistic_better": gain[1] > 0,
        "dummy_auc": dummy.auc,
        "dummy_average_precision": dummy.average_precision,
        "base_rate": float(rows.outcome[held_out].mean()) if held_out.size else nan,
        "decoys": config.decoys,
        "decoys_passed": evidence.decoys_passed if evidence else 0,
        "is_calibrated": is_calibrated(evidence, config.decoys),
        "train_rows": split.fitted.size,
        "held_out_rows": held_out.size,
        "held_out_accounts": np.unique(rows.accounts[held_out]).size,
        "split": split.kind,
    }


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the order of importance, the members of a group together and its representative first."""
    table["is_representative"] = table["feature"] == table["feature_group"]
    # the names are in order, and the sorts stable: equals stay by name
    order = ["importance", "feature_group", "is_representative", "strength"]
    for column, importance in (("logistic_rank", "logistic_importance"), ("rank", "importance")):
        order[0] = importance
        table = table.sort_values(order, ascending=[False, True, False, False], kind="stable", ignore_index=True)
        places = pd.Series(np.arange(1, len(table) + 1), dtype="Int64")
        table[column] = places.where(table[importance].notna(), pd.NA)
    return table


def _talk_to(frame: pd.DataFrame, rows: Rows, evidence: Evidence | None, verdict: pd.Series) -> list[str | None]:
    """Return for each feature of verdict `interview` the accounts against the grain, largest MRR first (unknown last).

    They had it and left, or had it not and stayed.
    """
    if evidence is None or not (verdict == "interview").any():
        return [None] * len(verdict)
    at = pd.DataFrame({"account_key": rows.accounts, "observed_at": rows.observed_at})
    told = frame.reindex(columns=["account_key", "observed_at", "account_id", "account_mrr"])
    told["observed_at"] = told["observed_at"].astype(at["observed_at"].dtype)
    told = at.merge(told, on=["account_key", "observed_at"], how="left")
    told["account_id"] = told["account_id"].astype(object).where(told["account_id"].notna(), told["account_key"].astype(str))
    told["account_mrr"] = pd.to_numeric(told["account_mrr"]).astype("float64")
    told = told.sort_values(["account_mrr", "account_id"], ascending=[False, True], na_position="last")

    def of(against: NDArray[np.intp]) -> str | None:
        return ", ".join(told.loc[told.index.isin(against), "account_id"].head(MOST_TO_TALK_TO)) or None

    pairs = zip(verdict, evidence.associations.against, strict=True)
    return [of(against) if each == "interview" else None for each, against in pairs]
