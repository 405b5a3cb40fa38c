/*
about: >
  Who is compared at the landmarks of setup: each account 7, 14 and 30 days after tenure_start, as it then was, and whether it had activated before or did
  so after. A landmark at or after the end of the activation window leaves no time for the outcome, and so no row.
grain: one row per account whose activation window has elapsed by the end of the last closed month, and landmark
key: [account_key, landmark_days]
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  landmark_days: INTEGER NOT NULL [days] -- 7, 14 or 30 days after tenure_start.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, UTC.
  is_paying: BOOLEAN NOT NULL -- Paying at L; without subscriptions nobody is seen to leave.
  is_activated_before: BOOLEAN NOT NULL -- Activated before L.
  is_activated_after: BOOLEAN NOT NULL -- Activated from L to the end of the window.
  plan: VARCHAR -- Plan at L.
  size_stratum: VARCHAR -- Size class at L, of the seats; without a history of seats, of the users active before L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
*/
WITH landmarks AS (
  SELECT 7 AS days
  UNION ALL
  SELECT 14 AS days
  UNION ALL
  SELECT 30 AS days
), elapsed AS (
  SELECT
    a.account_key,
    a.account_id,
    a.cohort_month,
    a.activated_at,
    m.days AS landmark_days,
    a.tenure_start + TO_SECONDS(86400 * m.days) AS landmark_at
  FROM activation_cohort AS a
  JOIN thresholds_in_force AS f ON f.milestone = 'activation'
  CROSS JOIN landmarks AS m
  CROSS JOIN run.observation AS o
  WHERE a.threshold IS NOT NULL
    -- who chose the threshold does not tell what goes with reaching it
    AND (f.earlier_to_month IS NULL OR a.cohort_month > f.earlier_to_month)
    AND a.window_ends_at <= o.evidence_as_of AND a.tenure_start + TO_SECONDS(86400 * m.days) < a.window_ends_at
), people AS (
  -- the size of an account is the number of its people where there is no history of seats, and is not asked for where there is one
  SELECT i.account_key, i.user_key, MIN(i.first_at) AS first_at
  FROM event_identities AS i
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS s WHERE s.source = 'subscriptions') AS b
  WHERE b.sources = 0 AND i.account_key <> 0 AND i.user_key <> 0
  GROUP BY i.account_key, i.user_key
), active AS (
  SELECT e.account_key, e.landmark_days, COUNT(*) AS users
  FROM elapsed AS e
  JOIN people AS p ON p.account_key = e.account_key AND p.first_at < e.landmark_at
  GROUP BY e.account_key, e.landmark_days
)
SELECT
  e.account_key,
  e.account_id,
  e.cohort_month,
  e.landmark_days,
  e.landmark_at AS observed_at,
  p.retention_basis <> 'subscriptions' OR l.account_key IS NOT NULL AS is_paying,
  COALESCE(e.activated_at < e.landmark_at, FALSE) AS is_activated_before,
  COALESCE(e.activated_at >= e.landmark_at, FALSE) AS is_activated_after,
  h.plan,
  z.stratum AS size_stratum,
  h.mrr
FROM elapsed AS e
CROSS JOIN config.policy AS p
CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'subscriptions') AS b
LEFT JOIN paid_spells AS l
  ON l.account_key = e.account_key
  AND l.started_at <= e.landmark_at
  AND COALESCE(l.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > e.landmark_at
LEFT JOIN account_history AS h
  ON h.account_key = e.account_key
  AND h.valid_from <= e.landmark_at
  AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > e.landmark_at
LEFT JOIN active AS u ON u.account_key = e.account_key AND u.landmark_days = e.landmark_days
LEFT JOIN config.size_stratum AS z
  ON CASE WHEN b.sources > 0 THEN h.seats ELSE COALESCE(h.seats, u.users) END >= z.seats_from
  AND (z.seats_to IS NULL OR CASE WHEN b.sources > 0 THEN h.seats ELSE COALESCE(h.seats, u.users) END < z.seats_to)
