/*
about: >
  The activation milestone: the count of the activation event between tenure_start and the end of the window, against the threshold. Open is not failed:
  `activated` is NULL until the threshold is reached or the window has elapsed. Trial events never count.
grain: one row per account
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  tenure_start: TIMESTAMP NOT NULL -- Start of the tenure and of the window, UTC.
  tenure_basis: VARCHAR NOT NULL -- What tells the start, `subscription`, `created_at` or `first_event`.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  window_ends_at: TIMESTAMP NOT NULL -- End of the window, excluded, UTC.
  is_elapsed: BOOLEAN NOT NULL -- The window has ended; only then is the account in a rate, early activators included.
  activation_events: BIGINT NOT NULL [events] -- Activation events within the window so far.
  threshold: DOUBLE [events] -- Events needed, as thresholds_in_force tells it; NULL where none is in force.
  activated: BOOLEAN -- True from activated_at on, false once the window has elapsed without; NULL before, and where no threshold is in force.
  activated_at: TIMESTAMP -- Time of the event that reached the threshold, UTC.
  plan: VARCHAR -- Plan at tenure_start; NULL where no history tells.
  size_stratum: VARCHAR -- Size class at tenure_start; NULL where no history tells.
*/
WITH counted AS (
  SELECT
    t.account_key,
    e.occurred_at,
    ROW_NUMBER() OVER (PARTITION BY t.account_key ORDER BY e.occurred_at, e.event_id) AS repetition
  FROM account_tenure AS t
  JOIN rule_events AS e
    ON e.account_key = t.account_key
    AND e.rule = 'activation'
    AND e.occurred_at >= t.tenure_start
    AND e.occurred_at < t.activation_window_ends_at
  CROSS JOIN run.observation AS o
  WHERE e.occurred_at < o.as_of
), reached AS (
  SELECT
    c.account_key,
    COUNT(*) AS activation_events,
    MIN(CASE WHEN c.repetition >= h.value THEN c.occurred_at END) AS activated_at
  FROM counted AS c
  JOIN thresholds_in_force AS h ON h.milestone = 'activation'
  GROUP BY c.account_key
), started AS (
  SELECT t.account_key, h.plan, h.seats
  FROM account_tenure AS t
  JOIN account_history AS h
    ON h.account_key = t.account_key
    AND h.valid_from <= t.tenure_start
    AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > t.tenure_start
)
SELECT
  t.account_id,
  t.account_key,
  t.tenure_start,
  t.basis AS tenure_basis,
  t.cohort_month,
  t.activation_window_ends_at AS window_ends_at,
  t.activation_window_ends_at <= o.as_of AS is_elapsed,
  COALESCE(r.activation_events, 0) AS activation_events,
  h.value AS threshold,
  CASE
    WHEN r.activated_at IS NOT NULL THEN TRUE
    WHEN t.activation_window_ends_at <= o.as_of AND h.value IS NOT NULL THEN FALSE
  END AS activated,
  r.activated_at,
  s.plan,
  z.stratum AS size_stratum
FROM account_tenure AS t
JOIN thresholds_in_force AS h ON h.milestone = 'activation'
CROSS JOIN run.observation AS o
LEFT JOIN reached AS r ON r.account_key = t.account_key
LEFT JOIN started AS s ON s.account_key = t.account_key
LEFT JOIN config.size_stratum AS z ON s.seats >= z.seats_from AND (z.seats_to IS NULL OR s.seats < z.seats_to)
