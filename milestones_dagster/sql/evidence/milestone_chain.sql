/*
about: >
  How the milestones hang together, link by link: of who had reached one by a landmark and of who had not, how many reached the next after it. The effect compares
  accounts of the same plan and size (pooled, of the same cohort too). It goes with the next, among accounts alike in these; it is no proof that one brings the
  other about. Cohorts are shown alone where they can be trusted; `all` pools every cohort, weighted by what each can tell. Effects are between 0 and 1 (0.01 is one point).
grain: one row per link (behaviour and outcome) and cohort, and one of all cohorts
key: [behaviour, outcome, cohort]
order: [position, cohort_from, cohort]
then: evidence.chain.measure
plot: charts.chain.links
columns:
  position: INTEGER NOT NULL -- Order of the link in the chain, from 1.
  behaviour: VARCHAR NOT NULL -- `setup:<step>`, `setup` (all required steps), `activation`, `usage` or `maturity`, reached by the landmark.
  outcome: VARCHAR NOT NULL -- `activation`, `usage` (in 2 of the 3 whole months after), `maturity` (after the horizon), `retention` or `expansion`.
  cohort: VARCHAR NOT NULL -- `all`, a month (2025-01) or a quarter (2025 Q1) of the tenures' start.
  cohort_from: DATE -- First day of the cohort; NULL for `all`.
  pooled_over: VARCHAR NOT NULL -- Cohorts within which accounts are compared, `month`, or `quarter` where months leave more than a fifth of them with nobody to be compared with.
  threshold: DOUBLE -- The threshold in force of the behaviour; NULL for setup.
  trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`; the last decides nothing.
  detectable: DOUBLE NOT NULL -- Difference that the comparable accounts would show in 80 % of samples; infinite where a group is empty.
  rows: BIGINT NOT NULL [rows] -- Rows compared; of the links of a month, one per account.
  accounts: BIGINT NOT NULL [accounts] -- Accounts compared.
  comparable_accounts: BIGINT NOT NULL [accounts] -- Those with somebody of the other group in their stratum; they alone make the effect.
  reached_accounts: BIGINT NOT NULL [accounts] -- Accounts that had reached the behaviour by the landmark.
  reached_next: BIGINT NOT NULL [accounts] -- Those of them that reached the next.
  reached_next_share: DOUBLE -- P(next | reached).
  other_accounts: BIGINT NOT NULL [accounts] -- Accounts that had not.
  other_next: BIGINT NOT NULL [accounts] -- Those of them that reached the next.
  other_next_share: DOUBLE -- P(next | not reached).
  difference: DOUBLE -- reached_next_share - other_next_share, adjusted for nothing.
  difference_low: DOUBLE -- Lower 95 % bound (Newcombe).
  difference_high: DOUBLE -- Upper 95 % bound (Newcombe).
  effect: DOUBLE -- Mantel-Haenszel risk difference over plan and size; of `all` over the cohorts too. NULL where no stratum compares anything.
  effect_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  effect_high: DOUBLE -- Upper 95 % bound (Sato's variance).
  effect_p: DOUBLE -- p of Cochran, Mantel and Haenszel over the same strata, without continuity correction.
  left_before: BIGINT NOT NULL [accounts] -- Accounts not paying at the landmark (of usage, that did not pay for all of the month drawn); in no group.
  left_before_share: DOUBLE -- Their share of all accounts of the link whose outcome is known.
  locked: BIGINT NOT NULL [accounts] -- Accounts that could not leave within the horizon, left out where the outcome is retention.
  locked_share: DOUBLE -- Their share of the same.
  already: BIGINT NOT NULL [accounts] -- Accounts that had reached the next before the landmark; in no group.
  already_share: DOUBLE -- Their share of the same.
  partial: BIGINT NOT NULL [accounts] -- Accounts with a month broken by a gap in payment among the months of the outcome; left out.
  partial_share: DOUBLE -- Their share of the same.
  no_value: BIGINT NOT NULL [accounts] -- Accounts without seats, or without revenue at the landmark, so that behaviour or outcome is unknown; left out.
  no_value_share: DOUBLE -- Their share of the same.
  cohorts: BIGINT NOT NULL [cohorts] -- Cohorts in the row.
  interview_account_ids: VARCHAR -- With trust `interview`, accounts against the grain (reached it and not the next, or the reverse), at most 20, largest MRR first.
  note: VARCHAR NOT NULL -- What a reader must know of this row.
*/
SELECT l.behaviour, l.outcome, l.account_id, l.cohort_month, l.standing, l.plan, l.size_stratum, l.mrr, l.threshold, l.is_reached, l.is_next
FROM chain_landmarks AS l
