/*
about: >
  Whether the evidence is calibrated on the company's own accounts: how often it finds something when outcomes are permuted among accounts of the same plan and
  size, so that nothing is to be found. Where it is not, what it finds on the real outcomes is not to be trusted.
grain: one row per kind of evidence
key: [evidence]
columns:
  evidence: VARCHAR NOT NULL -- `activation`, `usage`, `areas` (their thresholds; of the areas together) or `setup_steps`.
  accounts: BIGINT NOT NULL [accounts] -- Accounts that the evidence compares.
  permuted_accounts: BIGINT NOT NULL [accounts] -- Those of them whose outcomes are permuted; fewer where they are sampled.
  permutations: BIGINT NOT NULL [permutations] -- Times that the outcomes were permuted within plan and size; 0 without an account.
  found: BIGINT NOT NULL [permutations] -- Those of them in which a threshold (any, of the areas) had a signal, or any step was kept.
  found_share: DOUBLE -- found / permutations; NULL without a permutation.
  found_low: DOUBLE -- Lower 95 % bound (Wilson).
  found_high: DOUBLE -- Upper 95 % bound (Wilson).
  verdict: VARCHAR NOT NULL -- `calibrated`, `not calibrated` (the lower bound is above 5 %) or `cannot tell`.
  note: VARCHAR NOT NULL -- What the verdict means, in words.
*/
SELECT a.* FROM activation_placebo AS a
UNION ALL
SELECT u.* FROM usage_placebo AS u
UNION ALL
SELECT r.* FROM area_placebo AS r
UNION ALL
SELECT s.* FROM setup_step_placebo AS s
