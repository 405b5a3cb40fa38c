/*
about: >
  Retention by how much an account did in its activation window: the first look at whether activation goes with staying. Behaviour before the
  landmark, outcome after it; accounts that left before the landmark are in no band. It goes with, it does not cause.
grain: one row per band of activation events
key: [band]
order: [position]
columns:
  band: VARCHAR NOT NULL [events] -- Activation events between tenure_start and the end of the window.
  position: INTEGER NOT NULL -- Order of the band, from 1.
  accounts: BIGINT NOT NULL [accounts] -- Accounts whose outcome is known.
  retained: BIGINT NOT NULL [accounts] -- Those of them that were retained.
  retained_share: DOUBLE -- retained / accounts; NULL without accounts.
*/
WITH outcome AS (
  SELECT a.activation_events, r.retained
  FROM activation_cohort AS a
  JOIN retention_outcomes AS r ON r.account_key = a.account_key AND r.kind = 'landmark' AND r.is_evidence
  CROSS JOIN config.policy AS p
  WHERE a.is_elapsed AND (p.cohorts_before IS NULL OR a.tenure_start < p.cohorts_before)
), banded AS (
  SELECT
    b.band,
    b.position,
    COUNT(o.retained) AS accounts,
    COUNT(CASE WHEN o.retained THEN 1 END) AS retained
  FROM config.activation_band AS b
  LEFT JOIN outcome AS o
    ON o.activation_events >= b.count_from AND (b.count_to IS NULL OR o.activation_events < b.count_to)
  GROUP BY b.band, b.position
)
SELECT
  b.band,
  b.position,
  b.accounts,
  b.retained,
  CAST(b.retained AS DOUBLE) / NULLIF(b.accounts, 0) AS retained_share
FROM banded AS b
