/*
about: >
  Which features tell customers who stay from those who leave: a random forest's permutation importance on accounts and times that it has not seen, correlated
  features together, within plan and size; each feature's own association with staying; and how common it is. Beside the forest stand a logistic regression, a dummy and
  decoys. Nothing is published where the forest does no better than chance. It goes with staying, it does not cause it.
grain: one row per feature of the catalogue
key: [feature]
order: [rank]
then: evidence.forest.rank
also: [feature_adoption]
plot: charts.features.importance
plot_with: [config.policy]
columns:
  feature: VARCHAR NOT NULL -- Name of the feature in the catalogue.
  title: VARCHAR NOT NULL -- The feature in the company's words.
  category: VARCHAR -- Part of the product that it belongs to.
  measure: VARCHAR NOT NULL -- How it is measured, such as `used`, `days`, `count_per_seat`, `setting`.
  rank: BIGINT -- 1 for the most important; members of a group follow each other; NULL where nothing could be fitted.
  feature_group: VARCHAR NOT NULL -- Representative of the correlated features that are permuted together with this one, or the feature itself.
  is_representative: BOOLEAN NOT NULL -- The strongest member of its group in the forests.
  importance: DOUBLE -- Mean drop of the held-out ROC AUC when the group is permuted within plan and size, among accounts whose plan includes the feature.
  importance_sd: DOUBLE -- Standard deviation over the repeats, the noise of the method.
  importance_low: DOUBLE -- 2.5 percentile by resampling held-out accounts.
  importance_high: DOUBLE -- 97.5 percentile by resampling held-out accounts.
  logistic_rank: BIGINT -- The same order by the logistic regression.
  logistic_importance: DOUBLE -- The same drop of the logistic regression's AUC.
  logistic_importance_low: DOUBLE -- 2.5 percentile by resampling held-out accounts.
  logistic_importance_high: DOUBLE -- 97.5 percentile by resampling held-out accounts.
  largest_decoy: DOUBLE -- Largest importance of a decoy among the same accounts.
  adoption_eligible: DOUBLE -- Share of users among accounts whose plan includes the feature; NULL for attributes.
  adoption_eligible_low: DOUBLE -- Lower 95 % bound (Wilson).
  adoption_eligible_high: DOUBLE -- Upper 95 % bound (Wilson).
  adoption_all: DOUBLE -- Share of users among all paying accounts; NULL for attributes.
  adoption_all_low: DOUBLE -- Lower 95 % bound (Wilson).
  adoption_all_high: DOUBLE -- Upper 95 % bound (Wilson).
  cut: DOUBLE -- Value of the feature from which on an account has it, chosen on the fitted rows; median over the folds, NULL where it never differs.
  accounts_with: BIGINT NOT NULL [accounts] -- Held-out accounts at or above the cut, their plan including the feature.
  accounts_without: BIGINT NOT NULL [accounts] -- Those below it.
  association: DOUBLE -- Share retained of the former less that of the latter, among accounts alike in plan and size (Mantel-Haenszel), at one date of each, drawn before anything is known of what became of it.
  association_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  association_high: DOUBLE -- Upper 95 % bound.
  association_p: DOUBLE -- Cochran-Mantel-Haenszel over plan and size, without continuity correction.
  association_q: DOUBLE -- Benjamini-Hochberg over all features.
  detectable_difference: DOUBLE NOT NULL -- Difference that four of five such samples would show at p = .05; infinite when a side is empty.
  trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`, from the detectable difference.
  verdict: VARCHAR NOT NULL -- First that applies of `ubiquitous` or `niche` (interval of the adoption beyond its bound), `interview`, `ubiquitous`, `niche`, `differentiator`, `warning_sign` and `weak`.
  reason: VARCHAR NOT NULL -- Why the verdict is what it is.
  is_borderline: BOOLEAN NOT NULL -- The adoption's interval holds the benchmark's bound.
  talk_to: VARCHAR -- Where the verdict is `interview`, accounts that had it and left, or had it not and stayed; at most 20, largest MRR first.
  auc: DOUBLE -- Held-out area under the ROC curve of the forest, the same on every row, as all that follows.
  auc_low: DOUBLE -- 2.5 percentile by resampling held-out accounts.
  auc_high: DOUBLE -- 97.5 percentile by resampling held-out accounts.
  average_precision: DOUBLE -- Held-out average precision of the forest.
  average_precision_low: DOUBLE -- 2.5 percentile by resampling held-out accounts.
  average_precision_high: DOUBLE -- 97.5 percentile by resampling held-out accounts.
  logistic_auc: DOUBLE -- The same of the logistic regression.
  logistic_auc_low: DOUBLE -- 2.5 percentile.
  logistic_auc_high: DOUBLE -- 97.5 percentile.
  logistic_average_precision: DOUBLE -- Held-out average precision of the logistic regression.
  logistic_average_precision_low: DOUBLE -- 2.5 percentile.
  logistic_average_precision_high: DOUBLE -- 97.5 percentile.
  logistic_gain: DOUBLE -- logistic_auc - auc.
  logistic_gain_low: DOUBLE -- 2.5 percentile, both on the same resamples.
  logistic_gain_high: DOUBLE -- 97.5 percentile.
  is_logistic_better: BOOLEAN NOT NULL -- The interval of the gain lies above 0; then logistic_rank is the one to read.
  dummy_auc: DOUBLE -- The same of a dummy that says the base rate of the fitted rows of everyone.
  dummy_average_precision: DOUBLE -- Held-out average precision of the dummy.
  base_rate: DOUBLE -- Share retained among the held-out rows.
  decoys: BIGINT NOT NULL [features] -- Features permuted across accounts that were in every fit.
  decoys_passed: BIGINT NOT NULL [features] -- Those whose importance has a lower bound above 0.
  is_calibrated: BOOLEAN NOT NULL -- No more decoys passed than chance lets pass (lower Wilson bound at most 5 %).
  train_rows: BIGINT NOT NULL [rows] -- Rows with a known outcome that trained, over all folds.
  held_out_rows: BIGINT NOT NULL [rows] -- Rows that were scored by a forest that saw neither their account nor their time.
  held_out_accounts: BIGINT NOT NULL [accounts] -- Accounts of those rows.
  split: VARCHAR NOT NULL -- `time and account`, or `account` where there are too few rows for the former.
  note: VARCHAR NOT NULL -- What a reader must know of this ranking.
*/
WITH missed AS (
  -- possible dates as in month_landmarks: the outcome known, and the account could leave by the terms of what it paid last
  SELECT
    d.account_key,
    d.observed_at,
    SUM(
      CASE
        WHEN d.is_paying OR d.known_at > o.evidence_as_of THEN 0
        WHEN NOT p.is_locked_included AND COALESCE(d.carried_renewal_at > d.outcome_to, FALSE) THEN 0
        ELSE 1
      END
    ) OVER (PARTITION BY d.account_key ORDER BY d.observed_at DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS dates
  FROM observation_dates AS d
  CROSS JOIN run.observation AS o
  CROSS JOIN config.policy AS p
  WHERE d.kind IN ('start', 'month') AND p.retention_form = 'horizon'
)
-- the settings of the forest, the benchmark's bounds and the plans of each feature are read in Python: named here too, so that an edit makes the ranking again
SELECT m.*, a.account_id, h.mrr AS account_mrr, CAST(COALESCE(d.dates, 0) AS BIGINT) AS missed_after
FROM feature_matrix AS m
CROSS JOIN config.feature_ranking AS r
CROSS JOIN config.policy AS p
CROSS JOIN (SELECT COUNT(*) AS pairs FROM config.feature_plan AS l) AS f
JOIN accounts AS a ON a.account_key = m.account_key
LEFT JOIN missed AS d ON d.account_key = m.account_key AND d.observed_at = m.observed_at
LEFT JOIN account_history AS h
  ON h.account_key = m.account_key
  AND h.valid_from <= m.observed_at
  -- without an end it holds for good; an OR here would compare every row with every other one's history
  AND COALESCE(h.valid_to, CAST('9999-12-31' AS TIMESTAMP)) > m.observed_at
WHERE m.retained IS NOT NULL
