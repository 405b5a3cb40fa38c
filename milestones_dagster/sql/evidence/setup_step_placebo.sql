/*
about: >
  How often a setup step is kept where none goes with activation: the accounts as they are at the landmark of 14 days, activation permuted among accounts of the
  same plan and size, all verdicts anew each time.
grain: one row
key: [evidence]
then: evidence.placebo.setup_steps
columns:
  evidence: VARCHAR NOT NULL -- `setup_steps`.
  accounts: BIGINT NOT NULL [accounts] -- Accounts that the evidence compares.
  permuted_accounts: BIGINT NOT NULL [accounts] -- Those of them whose outcomes are permuted; fewer where they are sampled.
  permutations: BIGINT NOT NULL [permutations] -- Times that the outcomes were permuted within plan and size; 0 without an account.
  found: BIGINT NOT NULL [permutations] -- Those of them in which any step was kept.
  found_share: DOUBLE -- found / permutations; NULL without a permutation.
  found_low: DOUBLE -- Lower 95 % bound (Wilson).
  found_high: DOUBLE -- Upper 95 % bound (Wilson).
  verdict: VARCHAR NOT NULL -- `calibrated`, `not calibrated` (the lower bound is above 5 %) or `cannot tell`.
  note: VARCHAR NOT NULL -- What the verdict means, in words.
*/
SELECT l.*
FROM setup_step_landmarks AS l
CROSS JOIN config.threshold_search AS s
CROSS JOIN config.evidence AS v
WHERE l.landmark_days = 14 AND l.is_paying AND NOT l.is_activated_before
