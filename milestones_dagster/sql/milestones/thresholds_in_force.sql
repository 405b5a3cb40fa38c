/*
about: >
  From which value on a milestone counts as reached, and where that value comes from: a number that the config has adopted, or, with `threshold: auto`, the one
  that retention derives. Whatever counts who reached a milestone reads the value here. Where the config says `auto`, the derived and the adopted value stand side
  by side with whom the difference would move; where it has a number, this table does not read the evidence, which tells what it would derive.
grain: one row per milestone
key: [milestone]
where_auto: {activation: [activation_threshold, activation_placebo], usage: [usage_threshold, usage_placebo]}
order: [position]
columns:
  milestone: VARCHAR NOT NULL -- `activation`, `usage` or `maturity`.
  position: INTEGER NOT NULL -- Order of the milestone.
  as_of: TIMESTAMP NOT NULL -- The end of the last closed month, up to when the data were known that derived the value, UTC.
  is_auto: BOOLEAN NOT NULL -- The config says `auto`.
  value: DOUBLE [events, conversations per seat and month, or categories] -- The value in force; NULL where there is none, then nobody counts as having reached it.
  origin: VARCHAR NOT NULL -- `adopted` (a number in the config), `derived` (auto took the derived value), `kept` (auto found no signal and kept the adopted value) or `none`.
  reason: VARCHAR -- Why auto did not take a derived value, `not calibrated` where it finds too much in permuted outcomes; NULL where it did, and for a number in the config.
  adopted: DOUBLE [as value] -- The value that the config has adopted; NULL where it leaves it to the data.
  derived: DOUBLE [as value] -- The value that the data derive; NULL without a signal, and where the evidence is not calibrated. Like all that follow, NULL unless the config says `auto`.
  pick: DOUBLE [as value] -- The best candidate, whether or not there is a signal.
  pick_low: DOUBLE [as value] -- Stability interval of the pick, 2.5 percentile over resampled accounts; no confidence interval.
  pick_high: DOUBLE [as value] -- Stability interval, 97.5 percentile.
  earlier_to_month: DATE -- Last cohort month of the accounts that chose the value in force, NULL where none did; what follows from the value is measured on later cohorts.
  later_accounts: BIGINT [accounts] -- Accounts that did not choose it, on which the differences are measured.
  difference: DOUBLE -- Mantel-Haenszel risk difference of retention at the pick, on the later accounts.
  difference_low: DOUBLE -- Lower 95 % bound.
  difference_high: DOUBLE -- Upper 95 % bound.
  adopted_difference: DOUBLE -- The same at the adopted value.
  adopted_difference_low: DOUBLE -- Lower 95 % bound.
  adopted_difference_high: DOUBLE -- Upper 95 % bound.
  trust: VARCHAR -- `statistical`, `mixed` or `interview`; the last decides nothing.
  moved_accounts: BIGINT [accounts] -- Compared accounts between the adopted value and the pick, whom the difference would move.
  moved_share: DOUBLE -- Their share of the compared accounts.
  moved_towards: VARCHAR -- `reached` or `not reached`, by the pick; NULL where there is no difference.
  moved_account_ids: VARCHAR -- At most 20 of them, largest MRR first.
  note: VARCHAR NOT NULL -- What is in force and why, in a sentence.
*/
WITH found AS (
  SELECT a.* FROM activation_threshold AS a
  UNION ALL
  SELECT u.* FROM usage_threshold AS u
), placebo AS (
  SELECT a.* FROM activation_placebo AS a
  UNION ALL
  SELECT u.* FROM usage_placebo AS u
), measured AS (
  -- evidence that finds something in permuted outcomes too changes no value
  SELECT
    f.milestone,
    f.pick,
    f.pick_low,
    f.pick_high,
    f.earlier_to_month,
    f.later_accounts,
    f.difference,
    f.difference_low,
    f.difference_high,
    f.adopted_difference,
    f.adopted_difference_low,
    f.adopted_difference_high,
    f.trust,
    f.moved_accounts,
    f.moved_share,
    f.moved_towards,
    f.moved_account_ids,
    CASE WHEN p.verdict <> 'not calibrated' THEN f.derived END AS derived,
    CASE WHEN f.derived IS NOT NULL AND p.verdict = 'not calibrated' THEN 'not calibrated' ELSE f.reason END AS reason
  FROM found AS f
  JOIN placebo AS p ON p.evidence = f.milestone
), settled AS (
  SELECT
    h.milestone,
    h.position,
    h.is_auto,
    CASE WHEN h.is_auto THEN COALESCE(e.derived, h.adopted) ELSE h.adopted END AS value,
    CASE
      WHEN NOT h.is_auto THEN 'adopted'
      WHEN e.derived IS NOT NULL THEN 'derived'
      WHEN h.adopted IS NOT NULL THEN 'kept'
      ELSE 'none'
    END AS origin,
    h.adopted
  FROM config.threshold AS h
  LEFT JOIN measured AS e ON e.milestone = h.milestone
)
SELECT
  s.milestone,
  s.position,
  o.evidence_as_of AS as_of,
  s.is_auto,
  s.value,
  s.origin,
  e.reason,
  s.adopted,
  e.derived,
  e.pick,
  e.pick_low,
  e.pick_high,
  CASE WHEN s.origin = 'derived' THEN e.earlier_to_month END AS earlier_to_month,
  e.later_accounts,
  e.difference,
  e.difference_low,
  e.difference_high,
  e.adopted_difference,
  e.adopted_difference_low,
  e.adopted_difference_high,
  e.trust,
  e.moved_accounts,
  e.moved_share,
  e.moved_towards,
  e.moved_account_ids,
  CASE s.origin
    WHEN 'adopted' THEN 'The config has adopted it.'
    WHEN 'derived' THEN 'Derived from retention on the cohorts up to ' || SUBSTRING(CAST(e.earlier_to_month AS VARCHAR), 1, 7)
      || ', confirmed on the later ones.'
    WHEN 'kept' THEN 'The data derive none (' || e.reason || '): the adopted value is kept.'
    ELSE 'The data derive none (' || e.reason || ') and the config has adopted none: nobody counts as having reached it.'
  END AS note
FROM settled AS s
CROSS JOIN run.observation AS o
LEFT JOIN measured AS e ON e.milestone = s.milestone
