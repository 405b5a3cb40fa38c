/*
about: >
  How often a threshold of any product area is found where there is none: the accounts as they are, their outcomes permuted among accounts of the same plan and size, the
  whole rule for all areas each time, q over them among it. Where that is too often, no area with `threshold: auto` takes a derived value. Nothing is asked where every area has a number.
grain: one row
key: [evidence]
then: evidence.placebo.areas
where_auto: {areas: [area_landmarks]}
columns:
  evidence: VARCHAR NOT NULL -- `areas`.
  accounts: BIGINT NOT NULL [accounts] -- Accounts that the evidence compares, in any area.
  permuted_accounts: BIGINT NOT NULL [accounts] -- Those of them whose outcomes are permuted; fewer where they are sampled.
  permutations: BIGINT NOT NULL [permutations] -- Times that the outcomes were permuted within plan and size; 0 without an account, and where every area has a number.
  found: BIGINT NOT NULL [permutations] -- Those of them in which any area had a signal, by q over the areas.
  found_share: DOUBLE -- found / permutations; NULL without a permutation.
  found_low: DOUBLE -- Lower 95 % bound (Wilson).
  found_high: DOUBLE -- Upper 95 % bound (Wilson).
  verdict: VARCHAR NOT NULL -- `calibrated`, `not calibrated` (the lower bound is above 5 %) or `cannot tell`.
  note: VARCHAR NOT NULL -- What the verdict means, in words.
*/
SELECT l.area, l.account_key, l.cohort_month, l.standing, l.plan, l.size_stratum, l.value, l.retained
FROM area_landmarks AS l
JOIN config.area AS a ON a.area = l.area
-- every account here has a tenure: this is what still follows the events where no area asks for its landmarks
JOIN account_tenure AS t ON t.account_key = l.account_key
CROSS JOIN config.threshold_search AS s
