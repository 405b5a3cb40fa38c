/*
about: >
  Whether a threshold hangs on how the question was put: the pick and its gap of retention anew with twice the horizon, the landmark of activation a month earlier or later,
  gaps of 0 d or 30 d bridged, locked accounts in, without each plan, and in each year's cohorts alone. A variant holds where its gap has the sign of the main one and
  its pick lies inside the main one's stability interval; one that nothing can be picked in, or whose trust is `interview`, cannot be told.
grain: one row per milestone and variant
key: [milestone, position]
then: evidence.robustness.measure
also: [activation_landmarks, activation_threshold, usage_landmarks, usage_threshold]
columns:
  milestone: VARCHAR NOT NULL -- `activation` or `usage`.
  position: BIGINT NOT NULL -- Order of the variants, 0 for the main one.
  variant: VARCHAR NOT NULL -- `main`, or what is otherwise, in words.
  rows: BIGINT NOT NULL [rows] -- Rows compared, one per account.
  accounts: BIGINT NOT NULL [accounts] -- Accounts compared.
  earlier_accounts: BIGINT NOT NULL [accounts] -- Those on which the value was picked.
  later_accounts: BIGINT NOT NULL [accounts] -- Those on which the gap is measured.
  candidates: BIGINT NOT NULL -- Values tried.
  pick: DOUBLE [events, or conversations per seat and month] -- The pick of the variant; NULL where there is none.
  difference: DOUBLE -- Mantel-Haenszel risk difference of retention over plan and size at that pick, on the later accounts alone.
  difference_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  difference_high: DOUBLE -- Upper 95 % bound (Sato's variance).
  p: DOUBLE -- p of the Cochran-Mantel-Haenszel test there.
  trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`; the last decides nothing.
  holds: BOOLEAN -- The gap has the sign of the main one and the pick lies inside its stability interval; NULL for `main`, and where it cannot be told.
  reason: VARCHAR -- Why it does not hold, or cannot be told; NULL where it holds.
  sentence: VARCHAR NOT NULL -- In how many variants the threshold holds, the same on every row of the milestone.
*/
SELECT v.*
FROM threshold_variants AS v
CROSS JOIN config.threshold_search AS s
CROSS JOIN config.policy AS p
