/*
about: >
  Whether activated accounts go on using the product, and stay: the time from the landmark L (the end of the activation window) to becoming dormant or leaving, whichever
  comes first, and usage in the three months after it, against the others. It goes with activation, among accounts alike in plan and size; it is no proof that
  activation brings it about. Shares and differences are between 0 and 1 (0.01 is one point).
grain: one row per outcome and cohort, for all accounts and for each cohort quarter whose trust is not `interview`
key: [outcome, cohort]
then: evidence.activation_validation.validation
columns:
  outcome: VARCHAR NOT NULL -- `dormant_or_left` (the time from L to the earlier of both) or `usage` (reached in at least 2 of the 3 whole calendar months after L).
  cohort: VARCHAR NOT NULL -- `all`, or the quarter in which the tenures began, as `2025-Q1`.
  sentence: VARCHAR NOT NULL -- The finding in words.
  trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`, from the detectable difference; the last decides nothing.
  detectable_difference: DOUBLE NOT NULL -- Difference that four of five such samples would show at p = .05; infinite when a group is empty.
  threshold: DOUBLE [events] -- The threshold of activation compared at.
  is_later_half: BOOLEAN NOT NULL -- Only the later half of the accounts, since the earlier one chose the threshold.
  accounts: BIGINT NOT NULL [accounts] -- Accounts compared, one row each.
  activated: BIGINT NOT NULL [accounts] -- Those at or above the threshold.
  not_activated: BIGINT NOT NULL [accounts] -- The others.
  left_out: BIGINT NOT NULL [accounts] -- In neither group, dormant at L already (`dormant_or_left`) or three months not yet over (`usage`).
  left_out_activated: BIGINT NOT NULL [accounts] -- Those of them at or above the threshold.
  left_before: BIGINT [accounts] -- Accounts of all cohorts that left before L and are in no group; NULL for one cohort.
  left_before_share: DOUBLE -- Their share of them and the accounts that `activation_landmarks` compares.
  locked: BIGINT [accounts] -- Accounts of all cohorts that could not leave within the horizon, left out; NULL for one cohort.
  ended: BIGINT [accounts] -- Accounts that became dormant or left in the time they are followed; NULL for `usage`, as all on times.
  ended_by_leaving: BIGINT [accounts] -- Those of them that left, no later than they became dormant.
  horizon_days: BIGINT [days] -- Whole days from L to L + H, the fewest of any account.
  activated_share: DOUBLE -- Share of the activated that had neither become dormant nor left by the horizon, or that reached usage.
  activated_share_low: DOUBLE -- Lower 95 % bound (Wilson).
  activated_share_high: DOUBLE -- Upper 95 % bound.
  other_share: DOUBLE -- The same share of the others.
  other_share_low: DOUBLE -- Lower 95 % bound (Wilson).
  other_share_high: DOUBLE -- Upper 95 % bound.
  difference: DOUBLE -- Mantel-Haenszel difference of the shares over plan and size; NULL where no stratum compares anything.
  difference_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  difference_high: DOUBLE -- Upper 95 % bound.
  crude_difference: DOUBLE -- activated_share - other_share, adjusted for nothing.
  crude_difference_low: DOUBLE -- Lower 95 % bound (Newcombe).
  crude_difference_high: DOUBLE -- Upper 95 % bound.
  activated_mean_days: DOUBLE [days] -- Restricted mean, days neither dormant nor left up to the horizon, of the activated.
  other_mean_days: DOUBLE [days] -- The same of the others.
  mean_days_difference: DOUBLE [days] -- Difference of the restricted means within plan and size, weighed as by Mantel and Haenszel.
  mean_days_difference_low: DOUBLE [days] -- Lower 95 % bound (least squares, HC3).
  mean_days_difference_high: DOUBLE [days] -- Upper 95 % bound.
  crude_mean_days_difference: DOUBLE [days] -- The same, adjusted for nothing.
  crude_mean_days_difference_low: DOUBLE [days] -- Lower 95 % bound.
  crude_mean_days_difference_high: DOUBLE [days] -- Upper 95 % bound.
  logrank_chi2: DOUBLE -- Log-rank test over the whole time followed, stratified by plan and size.
  logrank_p: DOUBLE -- Its p.
  hazard_ratio: DOUBLE -- Rate of becoming dormant or leaving over that of the others (Cox, given plan and size, stratified by cohort quarter).
  hazard_ratio_low: DOUBLE -- Lower 95 % bound.
  hazard_ratio_high: DOUBLE -- Upper 95 % bound.
  hazard_p: DOUBLE -- Its p.
  proportional_p: DOUBLE -- p of the hypothesis that the ratio stays the same over time; below .05 the sentence quotes the restricted mean.
  hazard_reason: VARCHAR -- Why there is no hazard ratio; NULL where there is one, and for `usage`.
  talk_to: VARCHAR -- With trust `interview`, activated accounts whose outcome failed and others whose did not; at most 20, largest MRR first.
  note: VARCHAR NOT NULL -- What a reader must know of this row, in words.
*/
WITH apart AS (
  SELECT
    COUNT(CASE WHEN l.standing = 'left_before' THEN 1 END) AS left_before,
    COUNT(CASE WHEN l.standing = 'locked' THEN 1 END) AS locked
  FROM activation_landmarks AS l
)
SELECT f.*, a.left_before, a.locked, h.value AS threshold, h.origin AS threshold_origin
FROM activation_follow_up AS f
CROSS JOIN apart AS a
CROSS JOIN config.threshold_search AS s
JOIN thresholds_in_force AS h ON h.milestone = 'activation'
