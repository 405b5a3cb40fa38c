/*
about: >
  How many of those who left come back, by the days since they left: a cumulative incidence in which every leaving counts for as long as it has been followed, up to the end of the last closed month. A gap that
  is bridged is no leaving. An account that left again after a win-back is another leaving; intervals are by account.
grain: one row per number of days since leaving
key: [day]
then: evidence.win_backs.win_backs
columns:
  day: INTEGER NOT NULL [days] -- Days since leaving.
  leavings: BIGINT NOT NULL [leavings] -- Leavings known, each from the first day of a gap longer than is bridged.
  accounts: BIGINT NOT NULL [accounts] -- Accounts that left at least once.
  at_risk: BIGINT NOT NULL [leavings] -- Leavings followed so long without a return before that day.
  returns: BIGINT NOT NULL [leavings] -- Returns seen up to that day; not to be divided by the leavings, many of which were followed for less.
  incidence: DOUBLE -- Share that has returned by that day (1 - Kaplan-Meier); NULL where no leaving was followed so long.
  incidence_low: DOUBLE -- Lower 95 % bound (Wilson's at the effective number, jackknife by account).
  incidence_high: DOUBLE -- Upper 95 % bound.
  note: VARCHAR NOT NULL -- What a reader must know of this row.
*/
WITH known AS (
  SELECT
    s.account_key,
    s.spell,
    s.ended_at AS left_at,
    GREATEST(o.evidence_as_of - TO_SECONDS(g.seconds) - TO_MONTHS(g.months), s.ended_at) AS followed_to
  FROM paid_spells AS s
  CROSS JOIN run.observation AS o
  CROSS JOIN config.policy AS p
  JOIN config.duration AS g ON g.name = 'retention_gap'
  -- a leaving is one once its gap is longer than is bridged
  WHERE s.ended_at + TO_SECONDS(g.seconds) + TO_MONTHS(g.months) <= o.evidence_as_of AND p.retention_basis = 'subscriptions'
)
SELECT
  k.account_key,
  k.left_at,
  CASE WHEN n.started_at <= k.followed_to THEN n.started_at END AS returned_at,
  k.followed_to
FROM known AS k
LEFT JOIN paid_spells AS n ON n.account_key = k.account_key AND n.spell = k.spell + 1
