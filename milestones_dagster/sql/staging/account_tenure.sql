/*
about: >
  When each account's tenure began and when its windows end. The calendar arithmetic in the reporting time zone stands here, so that no
  later table changes zones. Accounts that never paid (where subscriptions are declared) have no tenure and no row.
grain: one row per account with a tenure
key: [account_key]
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  tenure_start: TIMESTAMP NOT NULL -- Start of the first paid subscription; else created_at; else the first event. UTC.
  basis: VARCHAR NOT NULL -- `subscription`, `created_at` or `first_event`.
  cohort_month: DATE NOT NULL -- First day of the calendar month of tenure_start in the reporting time zone.
  setup_window_ends_at: TIMESTAMP NOT NULL -- End of the setup window, excluded, UTC.
  activation_window_ends_at: TIMESTAMP NOT NULL -- End of the activation window, excluded, UTC; the landmark of activation.
  earlier_landmark_at: TIMESTAMP -- A month before that landmark, UTC; NULL where the window is no longer than a month.
  later_landmark_at: TIMESTAMP NOT NULL -- A month after it, UTC. Both tell how much the threshold of activation hangs on the landmark.
*/
WITH paid AS (
  SELECT h.account_key, MIN(h.valid_from) AS started_at
  FROM account_history AS h
  WHERE h.is_paying
  GROUP BY h.account_key
), billed AS (
  SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'subscriptions'
), begun AS (
  SELECT
    a.account_key,
    a.account_id,
    CASE WHEN b.sources > 0 THEN p.started_at ELSE COALESCE(a.created_at, a.first_event_at) END AS tenure_start,
    CASE
      WHEN b.sources > 0 THEN 'subscription'
      WHEN a.created_at IS NOT NULL THEN 'created_at'
      ELSE 'first_event'
    END AS basis
  FROM accounts AS a
  CROSS JOIN billed AS b
  LEFT JOIN paid AS p ON p.account_key = a.account_key
), local AS (
  SELECT
    b.*,
    p.time_zone,
    b.tenure_start AT TIME ZONE 'UTC' AT TIME ZONE p.time_zone AS local_start
  FROM begun AS b
  CROSS JOIN config.product AS p
  CROSS JOIN run.observation AS o
  WHERE b.tenure_start < o.as_of
)
SELECT
  l.account_key,
  l.account_id,
  l.tenure_start,
  l.basis,
  CAST(DATE_TRUNC('month', l.local_start) AS DATE) AS cohort_month,
  CASE
    WHEN s.months = 0 THEN l.tenure_start + TO_SECONDS(s.seconds)
    ELSE (l.local_start + TO_MONTHS(s.months)) AT TIME ZONE l.time_zone AT TIME ZONE 'UTC'
  END AS setup_window_ends_at,
  CASE
    WHEN a.months = 0 THEN l.tenure_start + TO_SECONDS(a.seconds)
    ELSE (l.local_start + TO_MONTHS(a.months)) AT TIME ZONE l.time_zone AT TIME ZONE 'UTC'
  END AS activation_window_ends_at,
  CASE
    WHEN a.months > 1 THEN (l.local_start + TO_MONTHS(a.months - 1)) AT TIME ZONE l.time_zone AT TIME ZONE 'UTC'
    WHEN a.seconds > 2678400 THEN (l.local_start + TO_SECONDS(a.seconds) - TO_MONTHS(1)) AT TIME ZONE l.time_zone AT TIME ZONE 'UTC'
  END AS earlier_landmark_at,
  (l.local_start + TO_SECONDS(a.seconds) + TO_MONTHS(a.months + 1)) AT TIME ZONE l.time_zone AT TIME ZONE 'UTC' AS later_landmark_at
FROM local AS l
JOIN config.duration AS s ON s.name = 'setup_window'
JOIN config.duration AS a ON a.name = 'activation_window'
