/*
about: >
  Which features tell customers who stay from those who leave: a random forest's permutation importance on accounts and times that it has not seen, screened by
  how common the feature is. Nothing is published where the forest does no better than chance. It goes with staying, it does not cause it.
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
  rank: BIGINT -- 1 for the most important; NULL where nothing could be fitted.
  importance: DOUBLE -- Mean drop of the held-out ROC AUC when the feature is permuted.
  importance_sd: DOUBLE -- Standard deviation over the repeats, the noise of the method.
  importance_low: DOUBLE -- 2.5 percentile by resampling held-out accounts.
  importance_high: DOUBLE -- 97.5 percentile by resampling held-out accounts.
  adoption_eligible: DOUBLE -- Share of users among accounts whose plan includes the feature; NULL for attributes.
  adoption_eligible_low: DOUBLE -- Lower 95 % bound (Wilson).
  adoption_eligible_high: DOUBLE -- Upper 95 % bound (Wilson).
  adoption_all: DOUBLE -- Share of users among all paying accounts; NULL for attributes.
  adoption_all_low: DOUBLE -- Lower 95 % bound (Wilson).
  adoption_all_high: DOUBLE -- Upper 95 % bound (Wilson).
  verdict: VARCHAR NOT NULL -- First that applies of `ubiquitous`, `niche`, `ranked` (importance above zero with its interval) and `weak`.
  is_borderline: BOOLEAN NOT NULL -- The adoption's interval holds the benchmark's bound.
  auc: DOUBLE -- Held-out area under the ROC curve of the forest, the same on every row.
  auc_low: DOUBLE -- 2.5 percentile by resampling held-out accounts.
  auc_high: DOUBLE -- 97.5 percentile by resampling held-out accounts.
  average_precision: DOUBLE -- Held-out average precision of the forest.
  base_rate: DOUBLE -- Share retained among the held-out rows, the average precision of chance.
  train_rows: BIGINT NOT NULL [rows] -- Rows with a known outcome that trained, over all folds.
  held_out_rows: BIGINT NOT NULL [rows] -- Rows that were scored by a forest that saw neither their account nor their time.
  held_out_accounts: BIGINT NOT NULL [accounts] -- Accounts of those rows.
  split: VARCHAR NOT NULL -- `time and account`, or `account` where there are too few rows for the former.
  note: VARCHAR NOT NULL -- What a reader must know of this ranking.
*/
-- the settings of the forest and the benchmark's bounds are read in Python: named here too, so that an edit makes the ranking again
SELECT m.*
FROM feature_matrix AS m
CROSS JOIN config.feature_ranking AS r
CROSS JOIN config.policy AS p
WHERE m.retained IS NOT NULL
