/*
about: >
  Where the threshold of usage lies by retention: picked on the earlier half of the accounts, its effect measured on the later half alone, the adopted value beside
  it on the same accounts. Behaviour lies before the landmark, the end of the account's month, the outcome after it. It goes with staying, it does not cause it.
grain: one row
key: [milestone]
then: evidence.thresholds.usage
columns:
  milestone: VARCHAR NOT NULL -- `usage`.
  outcome: VARCHAR NOT NULL -- `retained`, over the horizon after the landmark.
  rows: BIGINT NOT NULL [rows] -- Rows compared, one per account.
  accounts: BIGINT NOT NULL [accounts] -- Accounts compared.
  left_before: BIGINT NOT NULL [accounts] -- Accounts that did not pay for all of the month drawn of them, having left or in a gap; in no group.
  left_before_share: DOUBLE -- Their share of them and the rows together.
  locked: BIGINT NOT NULL [accounts] -- Accounts that could not leave within the horizon, left out.
  earlier_accounts: BIGINT NOT NULL [accounts] -- Accounts on which the value was picked.
  earlier_to_month: DATE -- Last cohort month of that half.
  later_accounts: BIGINT NOT NULL [accounts] -- Accounts on which the effect is measured.
  candidates: BIGINT NOT NULL -- Values tried.
  pick: DOUBLE [conversations per seat and month] -- The candidate with the largest chi2 in the positive direction; NULL where none is positive.
  pick_low: DOUBLE [conversations per seat and month] -- Stability interval, 2.5 percentile of the pick over resamples of two fifths as many accounts; no confidence interval.
  pick_high: DOUBLE [conversations per seat and month] -- Stability interval, 97.5 percentile.
  picked_share: DOUBLE NOT NULL -- Share of the resamples that have a pick.
  is_sharp: BOOLEAN NOT NULL -- The stability interval spans no more than a factor of 2.
  is_signal: BOOLEAN NOT NULL -- The later half confirms the pick; else see `reason`.
  reason: VARCHAR -- Why there is no signal; NULL where there is one.
  derived: DOUBLE [conversations per seat and month] -- The pick where there is a signal, else NULL.
  adopted: DOUBLE [conversations per seat and month] -- The value that the config has adopted; NULL where it leaves it to the data.
  reach: DOUBLE -- Share of all compared accounts at or above the pick.
  adopted_reach: DOUBLE -- Share at or above the adopted value.
  accounts_above: BIGINT NOT NULL [accounts] -- Later accounts at or above the pick.
  accounts_below: BIGINT NOT NULL [accounts] -- Later accounts below it.
  retained_above_share: DOUBLE -- Share of the former retained.
  retained_below_share: DOUBLE -- Share of the latter retained.
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
  adopted_accounts_above: BIGINT NOT NULL [accounts] -- Later accounts at or above the adopted value.
  adopted_accounts_below: BIGINT NOT NULL [accounts] -- Later accounts below it.
  adopted_retained_above_share: DOUBLE -- Share of the former retained.
  adopted_retained_below_share: DOUBLE -- Share of the latter retained.
  adopted_difference: DOUBLE -- Mantel-Haenszel risk difference over plan and size, on the later half alone.
  adopted_difference_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  adopted_difference_high: DOUBLE -- Upper 95 % bound (Sato's variance).
  adopted_crude_difference: DOUBLE -- Risk difference without regard to plan and size, on the same accounts.
  adopted_crude_difference_low: DOUBLE -- Lower 95 % bound (Newcombe).
  adopted_crude_difference_high: DOUBLE -- Upper 95 % bound (Newcombe).
  adopted_chi2: DOUBLE -- Cochran-Mantel-Haenszel on the later half, without continuity correction.
  adopted_p: DOUBLE -- Its two-sided p.
  adopted_detectable: DOUBLE -- Difference that these accounts would show in 80 % of samples; infinite where a group is empty, NULL without a value or later accounts.
  moved_accounts: BIGINT NOT NULL [accounts] -- Compared accounts between the adopted value and the pick, whom the difference would move.
  moved_share: DOUBLE -- Their share of the compared accounts.
  moved_towards: VARCHAR -- `reached` or `not reached`, by the pick; NULL where there is no difference.
  moved_account_ids: VARCHAR -- At most 20 of them, largest MRR first.
  interview_account_ids: VARCHAR -- With trust `interview`, at most 20 accounts to talk to, nearest to the value on both sides, largest MRR first.
  note: VARCHAR NOT NULL -- What a reader must know of this row.
*/
SELECT l.account_id, l.account_key, l.cohort_month, l.standing, l.plan, l.size_stratum, l.mrr, l.value, l.retained
FROM usage_landmarks AS l
CROSS JOIN config.threshold_search AS s
JOIN config.threshold AS h ON h.milestone = 'usage'
