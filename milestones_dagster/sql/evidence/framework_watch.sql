/*
about: >
  What the framework review watches and raises no alarm about: whether the gap of a milestone drifts over the quarters, whether the data pick another threshold than the
  one in force, whether a feature is used by more or fewer accounts than before, whether a setup step or a feature would be judged otherwise by now, and whether behaviour
  still tells who stays. Each with its interval, so that a person can look before anything is changed. Before and since are cut at the day of adoption, without one at the
  month nearest to half of the rows that are compared.
grain: one row per thing watched
key: [kind, subject]
order: [kind, position]
then: evidence.framework_watch.table
also: [framework_review, setup_step_landmarks]
columns:
  kind: VARCHAR NOT NULL -- `slope` (of a milestone's gap, per quarter), `pick` (of a threshold), `adoption` (of a feature), `feature_verdict` (on how common it is), `step_verdict` (on a setup step) or `auc` (of the forest that ranks the features).
  subject: VARCHAR NOT NULL -- The milestone, the feature or the setup step; `retention` of the AUC.
  position: BIGINT NOT NULL -- Order within the kind.
  version: VARCHAR NOT NULL -- Fingerprint of the framework config that the review is of.
  is_watched: BOOLEAN NOT NULL -- Worth a look, as a slope's interval lies beside 0; the threshold lies outside the pick's stability interval; an adoption's change lies beyond 5 points with its interval, and q is at most .05; a verdict (not `interview`) became another, and no interval of the adoption holds a bound, or, of an effect's verdict, q is at most .05; the AUC's difference lies beside 0 with its interval, or value_low is at most .5.
  reference_verdict: VARCHAR -- Verdict before, of a setup step as in setup_step_evidence, of a feature `ubiquitous`, `niche` or `neither`; NULL for the other kinds, and without an account.
  verdict: VARCHAR -- The same since.
  reference_accounts: BIGINT [accounts] -- Accounts before; of a slope and a pick NULL.
  accounts: BIGINT [accounts] -- Accounts since; of a slope and a pick NULL.
  reference: DOUBLE -- Share of users before (of a feature's verdict, among accounts whose plan includes it), conditional effect of the step before, AUC before, or the threshold in force; NULL for a slope.
  reference_low: DOUBLE -- Lower 95 % bound of reference (Wilson; of an effect, the delta method; of the AUC, by resampling accounts); NULL for a slope and a pick.
  reference_high: DOUBLE -- Upper 95 % bound of the same.
  value: DOUBLE -- Share of users, effect or AUC since, the pick, or the slope; NULL where unknown.
  value_low: DOUBLE -- Lower 95 % bound of value, as of reference; NULL for a slope and a pick, whose bounds are low and high.
  value_high: DOUBLE -- Upper 95 % bound of the same.
  difference: DOUBLE -- value less reference; NULL for a slope and a pick.
  low: DOUBLE -- Lower 95 % bound, of the slope, of the pick (stability interval), of the difference (shares, Newcombe; effects, the normal approximation of two independent estimates; AUC, the same resamples of accounts on both sides).
  high: DOUBLE -- Upper 95 % bound of the same.
  p: DOUBLE -- Two-sided p that the adoption is the same (Fisher's where an expected count is below 5, else chi2), or the effect (normal approximation); NULL for the other kinds.
  q: DOUBLE -- False discovery rate over the features, or the steps (Benjamini-Hochberg).
*/
-- of each account the first row from the same age on, so that the tenure of the accounts does not look like a drift of their habits; besides, whatever tells who stays
WITH aged AS (
  SELECT m.account_key, MIN(m.observed_at) AS observed_at
  FROM feature_matrix AS m
  JOIN account_tenure AS t ON t.account_key = m.account_key
  CROSS JOIN run.observation AS o
  WHERE m.observed_at >= t.tenure_start + TO_MONTHS(2) AND m.observed_at < o.evidence_as_of
  GROUP BY m.account_key
)
SELECT m.*, a.account_key IS NOT NULL AS is_of_age
FROM feature_matrix AS m
LEFT JOIN aged AS a ON a.account_key = m.account_key AND a.observed_at = m.observed_at
WHERE m.retained IS NOT NULL OR a.account_key IS NOT NULL
