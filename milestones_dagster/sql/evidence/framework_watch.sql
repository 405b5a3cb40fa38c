/*
about: >
  What the framework review watches and raises no alarm about: whether the gap of a milestone drifts over the quarters, whether the data pick another threshold than the
  one in force, and whether a feature is used by more or fewer accounts than before. Each with its interval, so that a person can look before anything is changed.
grain: one row per thing watched
key: [kind, subject]
order: [kind, position]
then: evidence.framework_watch.table
also: [framework_review]
columns:
  kind: VARCHAR NOT NULL -- `slope` (of a milestone's gap, per quarter), `pick` (of a threshold) or `adoption` (of a feature).
  subject: VARCHAR NOT NULL -- The milestone, or the feature.
  position: BIGINT NOT NULL -- Order within the kind.
  version: VARCHAR NOT NULL -- Fingerprint of the framework config that the review is of.
  is_watched: BOOLEAN NOT NULL -- Worth a look, as a slope's interval lies beside 0; the threshold lies outside the pick's stability interval; an adoption's change lies beyond 5 points with its interval, and q is at most .05.
  reference_accounts: BIGINT [accounts] -- Accounts before; of a slope and a pick NULL.
  accounts: BIGINT [accounts] -- Accounts since; of a slope and a pick NULL.
  reference: DOUBLE -- Share of users before, or the threshold in force; NULL for a slope.
  value: DOUBLE -- Share of users since, the pick, or the slope; NULL where unknown.
  difference: DOUBLE -- value less reference, of adoption.
  low: DOUBLE -- Lower 95 % bound, of the slope, of the pick (stability interval), of the difference of adoption (Newcombe).
  high: DOUBLE -- Upper 95 % bound of the same.
  p: DOUBLE -- Two-sided p that the adoption is the same (Fisher's where an expected count is below 5, else chi2).
  q: DOUBLE -- False discovery rate over the features (Benjamini-Hochberg).
*/
-- one row per account, all of the same age, so that the tenure of the accounts does not look like a drift of their habits
WITH aged AS (
  SELECT
    m.*,
    ROW_NUMBER() OVER (PARTITION BY m.account_key ORDER BY m.observed_at) AS turn
  FROM feature_matrix AS m
  JOIN account_tenure AS t ON t.account_key = m.account_key
  CROSS JOIN run.observation AS o
  WHERE m.observed_at >= t.tenure_start + TO_MONTHS(2) AND m.observed_at < o.evidence_as_of
)
SELECT a.*
FROM aged AS a
WHERE a.turn = 1
