"""Defines what the held-out part says of a forest and of its features: pooled scores, importance, associations.

Put here what joins folds, models, groups, permutations and resamples. Keep out verdicts and words, and whatever is
learnt from rows (`fold_fit`): here they are only judged.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import nan
from os import cpu_count
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from milestones_dagster.evidence.baselines import Logistic
from milestones_dagster.evidence.feature_association import Associations, associations
from milestones_dagster.evidence.feature_groups import consensus
from milestones_dagster.evidence.fold_fit import FoldFit, fit_fold
from milestones_dagster.evidence.permutation import SCORE_DECIMALS, held_out_scores
from milestones_dagster.evidence.ranking_rows import Rows, drawn_beforehand
from milestones_dagster.evidence.resampling import (
    AccountResamples,
    average_precision,
    draw_accounts,
    percentile_interval,
    placements,
    resampled_auc_difference,
    resampled_average_precision,
    resampled_roc_auc,
    roc_auc,
)
from milestones_dagster.evidence.splits import Fold, Split
from milestones_dagster.evidence.strata import permutations_within

if TYPE_CHECKING:
    from milestones_dagster.config.framework import FeatureRanking

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """How well a model's scores tell held-out rows apart, with 95 % intervals by resampling accounts."""

    auc: float = nan
    auc_low: float = nan
    auc_high: float = nan
    average_precision: float = nan
    average_precision_low: float = nan
    average_precision_high: float = nan


@dataclass(frozen=True)
class Importance:
    """Mean drop of the AUC over repeats, by group; shape (groups,).

    Attributes:
        mean: over the repeats; NaN where the rows judged lack a class.
        spread: standard deviation over the repeats: noise of the method.
        low, high: 2.5 and 97.5 percentiles by resampling accounts.
    """

    mean: _Floats
    spread: _Floats
    low: _Floats
    high: _Floats

    @classmethod
    def nothing(cls, features: int) -> Self:
        """Return missing importances."""
        missing = np.full(features, nan)
        return cls(missing, missing, missing, missing)

    def of(self, groups: NDArray[np.intp]) -> Self:
        """Return the importance of these groups, in this order; of a feature, that of its group."""
        return type(self)(self.mean[groups], self.spread[groups], self.low[groups], self.high[groups])


@dataclass(frozen=True)
class Evidence:
    """What the held-out part says; arrays of shape (features,), without the decoys.

    Attributes:
        groups: number of each feature's group, as most folds see it.
        representative: of each feature's group, the member with the largest strength.
        strength: mean decrease of impurity over the folds' forests.
        cuts: median over the folds.
        forest_importance, logistic_importance: of the feature's group, among rows whose plan includes it.
        largest_decoy: largest importance of a decoy among the same rows.
        decoys_passed: decoys whose importance among all rows has a lower bound above 0.
        forest, logistic, dummy: worth of their scores; the dummy's has no interval.
        difference: AUC of logistic less that of the forest, and its interval on the same resamples.
        associations: each feature's own, with retention.
    """

    groups: NDArray[np.intp]
    representative: NDArray[np.intp]
    strength: _Floats
    cuts: _Floats
    forest_importance: Importance
    logistic_importance: Importance
    largest_decoy: _Floats
    decoys_passed: int
    forest: Quality
    logistic: Quality
    dummy: Quality
    difference: tuple[float, float, float]
    associations: Associations


def measured(rows: Rows, decoys: int, split: Split, config: "FeatureRanking") -> Evidence:
    """Return what the fits of all folds say of the rows that they have not seen.

    Args:
        rows: with the decoys as the last features.
        decoys: how many of the features are decoys.
        split: possible.
        config: forest, repeats, resamples, groups, seed.
    """
    numbered = [(number, fold) for number, fold in enumerate(split.folds) if fold.held_out.size]
    fits = [fit_fold(rows, fold.fitted, config, decoys, number) for number, fold in numbered]
    folds = [fold for _, fold in numbered]
    strength = np.mean([fit.strength for fit in fits], axis=0)
    groups = consensus([fit.groups for fit in fits])
    leaders = np.array([_strongest(np.flatnonzero(groups == group), strength) for group in range(int(groups.max()) + 1)])

    scored = [_Scored.of(rows, fold, fit, config, number) for (number, fold), fit in zip(numbered, fits, strict=True)]
    pooled = _Pooled.of(rows, folds, config)
    forest_scores = np.concatenate([part.forest for part in scored])
    forest, forest_resampled = pooled.quality(forest_scores)
    logistic, logistic_resampled = pooled.quality(np.concatenate([part.logistic for part in scored]))
    same = np.zeros(forest_scores.size)
    dummy = Quality(auc=roc_auc(same, pooled.outcome), average_precision=average_precision(same, pooled.outcome))

    features = strength.size - decoys
    decoy_groups = groups[features:]
    everywhere = pooled.importance(scored, leaders, is_logistic=False)
    largest_decoy = {
        kind: float(
            np.max(pooled.importance(scored, leaders[decoy_groups], is_logistic=False, kind=kind).mean)
            if kind
            else np.max(everywhere.mean[decoy_groups])
        )
        for kind in np.unique(rows.kinds[:features])
    }
    return Evidence(
        groups=groups[:features],
        representative=leaders[groups][:features],
        strength=strength[:features],
        cuts=_median([fit.cuts for fit in fits]),
        forest_importance=everywhere.of(groups[:features]),
        logistic_importance=pooled.importance(scored, leaders, is_logistic=True).of(groups[:features]),
        largest_decoy=np.array([largest_decoy[kind] for kind in rows.kinds[:features]]),
        decoys_passed=int((everywhere.low[decoy_groups] > 0).sum()),
        forest=forest,
        logistic=logistic,
        dummy=dummy,
        difference=(logistic.auc - forest.auc, *percentile_interval(logistic_resampled - forest_resampled)),
        associations=_associations(rows, folds, fits, config.seed),
    )


@dataclass(frozen=True)
class _Scored:
    """One fold's held-out scores, plain and with each of the fold's groups permuted.

    Every score is a probability less the share retained among the fold's fitted rows. A fold whose rows stay more often
    than usual is fitted on rows that stay less often: pooled as they are, its scores would be too low for that reason
    alone, and what knows nothing would seem worse than chance.
    """

    kinds: NDArray[np.intp]
    groups: NDArray[np.intp]
    forest: _Floats
    forest_permuted: _Floats
    logistic: _Floats
    log_odds: _Floats
    terms: _Floats
    lender: NDArray[np.intp]
    model: Logistic
    base_rate: float

    @classmethod
    def of(cls, rows: Rows, fold: Fold, fit: FoldFit, config: "FeatureRanking", number: int) -> Self:
        part = rows.of(fold.held_out)
        base_rate = float(rows.outcome[fold.fitted].mean())
        lender = np.stack([*permutations_within(part.stratum, config.repeats, [config.seed, number])])
        forest = held_out_scores(fit.forest, fit.filled(part.features), fit.groups, lender)
        counted = np.where(np.isnan(part.features) & part.is_zero_when_missing, 0.0, part.features)
        terms = fit.logistic.terms(counted)
        log_odds = terms.sum(axis=1)
        return cls(
            kinds=rows.kinds,
            groups=fit.groups,
            forest=forest.plain - base_rate,
            forest_permuted=forest.permuted - base_rate,
            logistic=np.round(fit.logistic.scores(log_odds), SCORE_DECIMALS) - base_rate,
            log_odds=log_odds,
            terms=terms,
            lender=lender,
            model=fit.logistic,
            base_rate=base_rate,
        )

    def permuted(self, feature: int, *, is_logistic: bool) -> _Floats:
        """Return the scores with the fold's group of a feature permuted, shape (repeats, rows)."""
        group = self.groups[feature]
        if not is_logistic:
            return np.asarray(self.forest_permuted[group])
        own = self.terms[:, self.groups == group].sum(axis=1)
        return np.round(self.model.scores(self.log_odds - own + own[self.lender]), SCORE_DECIMALS) - self.base_rate


@dataclass(frozen=True)
class _Pooled:
    """The held-out rows of all folds, fold by fold."""

    outcome: NDArray[np.bool_]
    is_eligible: NDArray[np.bool_]
    resamples: AccountResamples

    @classmethod
    def of(cls, rows: Rows, folds: Sequence[Fold], config: "FeatureRanking") -> Self:
        at = np.concatenate([fold.held_out for fold in folds])
        return cls(rows.outcome[at], rows.is_eligible[at], draw_accounts(rows.accounts[at], config.resamples, config.seed))

    def quality(self, scores: _Floats) -> tuple[Quality, _Floats]:
        """Return the worth of the scores, and their AUC in every resample."""
        auc = resampled_roc_auc(scores, self.outcome, self.resamples)
        precision = resampled_average_precision(scores, self.outcome, self.resamples)
        found = Quality(
            roc_auc(scores, self.outcome),
            *percentile_interval(auc),
            average_precision(scores, self.outcome),
            *percentile_interval(precision),
        )
        return found, auc

    def importance(
        self, scored: Sequence[_Scored], leaders: NDArray[np.intp], *, is_logistic: bool, kind: int | None = None
    ) -> Importance:
        """Return the drop of AUC with the group of each of these features permuted.

        Among the rows whose plan includes the feature, or, with `kind`, a set of plans.
        """
        plain_scores = np.concatenate([part.logistic if is_logistic else part.forest for part in scored])
        kinds = scored[0].kinds[leaders] if kind is None else np.full(leaders.size, kind)
        plain = {int(own): placements(plain_scores[self._of(own)], self.outcome[self._of(own)]) for own in np.unique(kinds)}

        def drops(leader: int, own: int) -> tuple[_Floats, _Floats] | None:
            """Return the drop of each repeat, and by row the mean drop of the placement; None where nothing moves."""
            is_in = self._of(own)
            permuted = np.concatenate([part.permuted(leader, is_logistic=is_logistic) for part in scored], axis=1)
            if (permuted == plain_scores).all():
                return None
            again = [placements(scores[is_in], self.outcome[is_in]) for scores in permuted]
            each = np.array([(plain[own] - one)[self.outcome[is_in]].mean() for one in again])
            return each, plain[own] - np.mean(again, axis=0)

        made = np.full((4, leaders.size), nan)
        for own, scores in plain.items():
            # without a row, or with rows of one class alone, there is no area to drop
            if not scores.size or not np.isfinite(scores).all():
                continue
            places = np.flatnonzero(kinds == own)
            # sorting lets go of the interpreter's lock
            with ThreadPoolExecutor(max_workers=cpu_count() or 1) as pool:
                found = list(pool.map(partial(drops, own=own), leaders[places]))
            made[:, places] = 0.0
            moved = [(place, *each) for place, each in zip(places, found, strict=True) if each is not None]
            if not moved:
                continue
            is_in = self._of(own)
            within = AccountResamples(self.resamples.positions[is_in], self.resamples.weights)
            resampled = resampled_auc_difference(np.stack([by_row for *_, by_row in moved]), self.outcome[is_in], within)
            for (place, each, _), drawn in zip(moved, resampled, strict=True):
                spread = float(each.std(ddof=1)) if each.size > 1 else nan
                made[:, place] = each.mean(), spread, *percentile_interval(drawn)
        return Importance(*made)

    def _of(self, kind: int) -> NDArray[np.bool_]:
        return self.is_eligible[:, kind]


def _associations(rows: Rows, folds: Sequence[Fold], fits: Sequence[FoldFit], seed: int) -> Associations:
    features = fits[0].cuts.size
    above = np.full((rows.accounts.size, features), nan)
    for fold, fit in zip(folds, fits, strict=True):
        values = rows.features[fold.held_out, :features]
        counted = np.where(np.isnan(values) & rows.is_zero_when_missing[:features], 0.0, values)
        is_known = ~np.isnan(counted) & ~np.isnan(fit.cuts)
        above[fold.held_out] = np.where(is_known, counted >= fit.cuts, nan)
    held_out = np.sort(np.concatenate([fold.held_out for fold in folds]))
    places = [drawn_beforehand(rows, held_out[is_in[held_out]], seed) for is_in in rows.is_eligible.T]
    return associations(rows, places, above)


def _median(cuts: Sequence[_Floats]) -> _Floats:
    """Return the median over the folds that have a cut; NaN where none has."""
    found = np.array(cuts)
    return np.array([np.nanmedian(by_fold) if not np.isnan(by_fold).all() else nan for by_fold in found.T])


def _strongest(members: NDArray[np.intp], strength: _Floats) -> int:
    return int(members[np.argmax(strength[members])])
