/*
about: >
  Whether the framework still holds: for each milestone its gap on the accounts since the adopted version beside that of the reference accounts before, whether it has
  weakened, whether another threshold would do better, and what follows: keep, retune or retire. Alarms are two families of tests, `weakened` at 3 % and `retune` at 2 %, so that a framework
  under which nothing changes raises one in at most 5 % of reviews. It proposes; no file is changed. Gaps are between 0 and 1 (0.01 is one point).
grain: one row per milestone
key: [milestone]
order: [position]
then: evidence.framework_review.table
plot: charts.review.gaps
columns:
  milestone: VARCHAR NOT NULL -- `setup`, `activation`, `usage` or `maturity`.
  position: INTEGER NOT NULL -- Order of the milestone.
  outcome: VARCHAR NOT NULL -- The outcome that its gap is measured by, `activation` for setup, else `retention`.
  version: VARCHAR NOT NULL -- Fingerprint of the framework config that the review is of.
  adopted_at: TIMESTAMP -- When that version was adopted, `review.adopted_on`, UTC; NULL where the later half of the accounts is since.
  proposal: VARCHAR NOT NULL -- `keep`, `retune`, `retire` or `cannot tell` (too few elapsed accounts).
  reason: VARCHAR NOT NULL -- Why, in a sentence.
  is_weakened: BOOLEAN NOT NULL -- The alarm that the gap has fallen (weakened_holm_p at most .03).
  is_retune: BOOLEAN NOT NULL -- The alarm that another threshold does better (gain_holm_p at most .02, is_signal) and moves at least 5 % of the accounts.
  threshold: DOUBLE [events, conversations per seat and month, or categories] -- The value in force; NULL for setup, and where there is none.
  since_from: TIMESTAMP -- First landmark of the rows since, UTC.
  reference_accounts: BIGINT NOT NULL [accounts] -- Accounts compared before the adopted version.
  reference_reached_accounts: BIGINT NOT NULL [accounts] -- Those of them that had reached the milestone.
  reference_gap: DOUBLE -- Mantel-Haenszel risk difference of the outcome over plan and size among them; NULL where nothing is compared.
  reference_gap_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  reference_gap_high: DOUBLE -- Upper 95 % bound.
  reference_detectable: DOUBLE NOT NULL -- Difference that they would show in 80 % of samples; infinite where a group is empty.
  reference_trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`; the last decides nothing.
  accounts: BIGINT NOT NULL [accounts] -- Accounts compared since.
  reached_accounts: BIGINT NOT NULL [accounts] -- Those of them that had reached the milestone.
  gap: DOUBLE -- The gap since.
  gap_low: DOUBLE -- Lower 95 % bound.
  gap_high: DOUBLE -- Upper 95 % bound.
  detectable: DOUBLE NOT NULL -- Difference that they would show in 80 % of samples; infinite where a group is empty.
  trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`; the last decides nothing.
  weakened_by: DOUBLE -- reference_gap less gap; NULL, like what follows from it, where either trust is `interview`.
  weakened_by_low: DOUBLE -- Lower one-sided 97.5 % bound.
  weakened_p: DOUBLE -- One-sided p that the gap has not fallen.
  weakened_holm_p: DOUBLE -- The same, adjusted over the milestones (Holm).
  pick: DOUBLE [as threshold] -- Value that the earlier half of the rows since picks (activation and usage); NULL without one.
  pick_low: DOUBLE [as threshold] -- Stability interval of the pick, 2.5 percentile over resampled accounts; no confidence interval.
  pick_high: DOUBLE [as threshold] -- Stability interval, 97.5 percentile.
  later_accounts: BIGINT NOT NULL [accounts] -- Accounts of the later half, on which the gain is measured.
  gain: DOUBLE -- Root of the Cochran-Mantel-Haenszel chi2 at the pick less that at the threshold, on the later half.
  gain_low: DOUBLE -- Lower one-sided 97.5 % bound over resampled accounts.
  gain_p: DOUBLE -- Share of the resamples without a gain.
  gain_holm_p: DOUBLE -- The same, adjusted over activation and usage (Holm).
  is_signal: BOOLEAN NOT NULL -- The later half confirms the pick, so that `auto` would take it.
  moved_accounts: BIGINT NOT NULL [accounts] -- Accounts since that would change sides.
  moved_share: DOUBLE -- Their share.
  quarters: BIGINT NOT NULL [quarters] -- Calendar quarters of the landmark with a gap that can be trusted.
  slope: DOUBLE -- Change of the gap per quarter, weighted by precision; NULL with fewer than 3 quarters.
  slope_low: DOUBLE -- Lower 95 % bound.
  slope_high: DOUBLE -- Upper 95 % bound.
  interview_account_ids: VARCHAR -- With trust `interview`, accounts against the grain since, at most 20, largest MRR first.
  note: VARCHAR NOT NULL -- What a reader must know of this row.
*/
-- the settings of the search and the least effect are read in Python: named here too, so that an edit makes the review again
SELECT
  v.version,
  r.adopted_at,
  l.behaviour AS milestone,
  l.account_id,
  l.account_key,
  l.observed_at,
  l.standing,
  l.plan,
  l.size_stratum,
  l.mrr,
  l.value,
  l.threshold,
  l.is_reached,
  l.is_next
FROM run.version AS v
CROSS JOIN config.review AS r
CROSS JOIN config.threshold_search AS s
CROSS JOIN config.evidence AS e
LEFT JOIN chain_landmarks AS l
  ON (l.behaviour = 'setup' AND l.outcome = 'activation')
  OR (l.behaviour IN ('activation', 'usage', 'maturity') AND l.outcome = 'retention')
