/*
about: >
  Retention by how much an account did in its activation window: the first look at whether activation goes with staying. Behaviour before the
  landmark, outcome after it; accounts that left before the landmark are in no rate and stand beside it. It goes with, it does not cause. Like all evidence it is
  as of the end of the last closed month.
grain: one row per band of activation events
key: [band]
order: [position]
columns:
  band: VARCHAR NOT NULL [events] -- Activation events between tenure_start and the end of the window.
  position: INTEGER NOT NULL -- Order of the band, from 1.
  accounts: BIGINT NOT NULL [accounts] -- Accounts whose outcome is known and counts, the rows of the comparison.
  retained: BIGINT NOT NULL [accounts] -- Those of them that were retained.
  retained_share: DOUBLE -- retained / accounts; NULL without accounts.
  left_before: BIGINT NOT NULL [accounts] -- Not paying at the landmark, and the time of the outcome has passed for them too; in no rate.
  left_before_share: DOUBLE -- left_before / (accounts + left_before); NULL without either.
  locked: BIGINT NOT NULL [accounts] -- Could not leave within the horizon, which has passed; in no rate. 0 where the config includes locked rows.
  open: BIGINT NOT NULL [accounts] -- Activation window elapsed, outcome not known by the end of the last closed month, whether or not they pay at the landmark.
*/
WITH elapsed AS (
  SELECT
    a.activation_events,
    r.retained,
    CASE
      WHEN d.known_at IS NULL OR d.known_at > o.evidence_as_of THEN 'open'
      WHEN NOT d.is_paying THEN 'left_before'
      WHEN r.is_evidence THEN 'row'
      ELSE 'locked'
    END AS standing
  FROM activation_cohort AS a
  CROSS JOIN config.policy AS p
  CROSS JOIN run.observation AS o
  -- a window that ends at that time itself has elapsed, and nobody has been looked at since
  LEFT JOIN observation_dates AS d ON d.account_key = a.account_key AND d.kind = 'landmark'
  LEFT JOIN retention_outcomes AS r ON r.account_key = a.account_key AND r.kind = 'landmark'
  WHERE a.window_ends_at <= o.evidence_as_of AND (p.cohorts_before IS NULL OR a.tenure_start < p.cohorts_before)
), banded AS (
  SELECT
    b.band,
    b.position,
    COUNT(CASE WHEN e.standing = 'row' THEN 1 END) AS accounts,
    COUNT(CASE WHEN e.standing = 'row' AND e.retained THEN 1 END) AS retained,
    COUNT(CASE WHEN e.standing = 'left_before' THEN 1 END) AS left_before,
    COUNT(CASE WHEN e.standing = 'locked' THEN 1 END) AS locked,
    COUNT(CASE WHEN e.standing = 'open' THEN 1 END) AS open
  FROM config.activation_band AS b
  LEFT JOIN elapsed AS e
    ON e.activation_events >= b.count_from AND (b.count_to IS NULL OR e.activation_events < b.count_to)
  GROUP BY b.band, b.position
)
SELECT
  b.band,
  b.position,
  b.accounts,
  b.retained,
  CAST(b.retained AS DOUBLE) / NULLIF(b.accounts, 0) AS retained_share,
  b.left_before,
  CAST(b.left_before AS DOUBLE) / NULLIF(b.accounts + b.left_before, 0) AS left_before_share,
  b.locked,
  b.open
FROM banded AS b
