/*
about: >
  What the thresholds say of expansion: of the accounts at or above a threshold and of those below it, how many paid at least so much more at the horizon. The thresholds
  themselves are those picked by retention, and those adopted; nothing is picked here. On the later half of the accounts alone, who did not choose the pick.
  Over all accounts whose outcome is known: who left is not expanded, who could not leave counts.
grain: one row per milestone or area, and threshold compared
key: [behaviour, basis]
order: [position, basis]
then: evidence.expansion.measure
also: [activation_threshold, usage_threshold, area_thresholds]
columns:
  position: INTEGER NOT NULL -- 1 activation, 2 usage, then the areas in the order of the config.
  behaviour: VARCHAR NOT NULL -- `activation`, `usage` or `area:<name>`.
  basis: VARCHAR NOT NULL -- `pick` (by retention, on the earlier half) or `adopted` (in the config).
  outcome: VARCHAR NOT NULL -- `expanded`, revenue at the horizon, without changes of the price list, by the configured minimum above that at the landmark.
  value: DOUBLE -- The threshold compared, in the behaviour's unit; NULL where there is none.
  rows: BIGINT NOT NULL [rows] -- Rows whose outcome is known, both halves, one per account.
  accounts: BIGINT NOT NULL [accounts] -- Accounts of them.
  left_before: BIGINT NOT NULL [accounts] -- Accounts that left before the landmark (of a month, that did not pay for all of the one drawn) and are in no group.
  left_before_share: DOUBLE -- Their share of them and the rows together.
  no_mrr: BIGINT NOT NULL [accounts] -- Accounts whose revenue at the landmark is 0 or unknown, left out.
  later_accounts: BIGINT NOT NULL [accounts] -- Accounts on which the effect is measured.
  accounts_above: BIGINT NOT NULL [accounts] -- Later accounts at or above the value.
  accounts_below: BIGINT NOT NULL [accounts] -- Later accounts below it.
  expanded_above_share: DOUBLE -- Share of the former expanded.
  expanded_below_share: DOUBLE -- Share of the latter expanded.
  difference: DOUBLE -- Mantel-Haenszel risk difference over plan and size, on the later half alone.
  difference_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  difference_high: DOUBLE -- Upper 95 % bound (Sato's variance).
  crude_difference: DOUBLE -- Risk difference without regard to plan and size, on the same accounts.
  crude_difference_low: DOUBLE -- Lower 95 % bound (Newcombe).
  crude_difference_high: DOUBLE -- Upper 95 % bound (Newcombe).
  chi2: DOUBLE -- Cochran-Mantel-Haenszel on the later half, without continuity correction.
  p: DOUBLE -- Its two-sided p.
  detectable: DOUBLE -- Difference that these accounts would show in 80 % of samples; infinite where a group is empty, NULL without a value or later accounts.
  trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`; the last decides nothing.
  interview_account_ids: VARCHAR -- With trust `interview`, at most 20 accounts to talk to, nearest to the value on both sides, largest MRR first.
  note: VARCHAR NOT NULL -- What a reader must know of this row.
*/
SELECT 'activation' AS behaviour, a.account_id, a.account_key, a.cohort_month, a.standing, a.plan, a.size_stratum, a.mrr, a.value, a.expanded
FROM activation_landmarks AS a
UNION ALL
SELECT 'usage' AS behaviour, u.account_id, u.account_key, u.cohort_month, u.standing, u.plan, u.size_stratum, u.mrr, u.value, u.expanded
FROM usage_landmarks AS u
UNION ALL
SELECT 'area:' || l.area AS behaviour, l.account_id, l.account_key, l.cohort_month, l.standing, l.plan, l.size_stratum, l.mrr, l.value, l.expanded
FROM area_landmarks AS l
JOIN config.area AS c ON c.area = l.area
