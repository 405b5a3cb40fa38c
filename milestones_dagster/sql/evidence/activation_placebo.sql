/*
about: >
  How often a threshold of the activation count is found where there is none: the accounts as they are, their outcomes permuted among accounts of the same plan and size, the
  whole rule each time. With `threshold: auto` a rule that finds one too often changes no value.
grain: one row
key: [evidence]
then: evidence.placebo.activation
columns:
  evidence: VARCHAR NOT NULL -- `activation`.
  accounts: BIGINT NOT NULL [accounts] -- Accounts that the evidence compares.
  permuted_accounts: BIGINT NOT NULL [accounts] -- Those of them whose outcomes are permuted; fewer where they are sampled.
  permutations: BIGINT NOT NULL [permutations] -- Times that the outcomes were permuted within plan and size; 0 without an account.
  found: BIGINT NOT NULL [permutations] -- Those of them in which a threshold had a signal.
  found_share: DOUBLE -- found / permutations; NULL without a permutation.
  found_low: DOUBLE -- Lower 95 % bound (Wilson).
  found_high: DOUBLE -- Upper 95 % bound (Wilson).
  verdict: VARCHAR NOT NULL -- `calibrated`, `not calibrated` (the lower bound is above 5 %) or `cannot tell`.
  note: VARCHAR NOT NULL -- What the verdict means, in words.
*/
SELECT l.account_key, l.cohort_month, l.standing, l.plan, l.size_stratum, l.value, l.retained
FROM activation_landmarks AS l
CROSS JOIN config.threshold_search AS s
