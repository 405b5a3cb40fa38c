/*
about: >
  The dates at which an account is looked at: its tenure_start, the first instant of each calendar month while it pays, and the landmark of
  activation, and a month on either side of it; with the end of the outcome's window after each. Behaviour is read before the date, the outcome after it.
grain: one row per account, kind and date
key: [account_key, kind, observed_at]
by: month
month_of: observed_at
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  kind: VARCHAR NOT NULL -- `start` (tenure_start), `month` (first instant of a calendar month), `landmark` (end of the activation window), `earlier_landmark` or `later_landmark`.
  observed_at: TIMESTAMP NOT NULL -- The date D, UTC.
  observed_date: DATE NOT NULL -- Date of D in the reporting time zone; what is counted by day is read from the dates before it.
  is_paying: BOOLEAN NOT NULL -- Paying at D, short gaps bridged. Without subscriptions, a core event within one horizon before D, or D the start.
  outcome_from: TIMESTAMP NOT NULL -- Start of the window in which the outcome is read, UTC.
  outcome_to: TIMESTAMP NOT NULL -- End of that window (D + H), UTC.
  doubled_to: TIMESTAMP -- End of a window of twice the horizon (D + 2 H), UTC; NULL where the outcome is a fixed window.
  known_at: TIMESTAMP NOT NULL -- From when the outcome can be known, UTC; later as-of times know it, earlier ones do not.
  renewal_at: TIMESTAMP -- First renewal after D of what is paid at D, UTC; NULL where no term is mapped.
  carried_renewal_at: TIMESTAMP -- The same, and where nothing is paid at D, of what was paid last, as if it still ran.
*/
WITH basis AS (
  SELECT
    p.retention_basis,
    p.retention_form,
    MAX(CASE WHEN d.name = 'retention_horizon' THEN d.months END) AS horizon_months,
    MAX(CASE WHEN d.name = 'retention_horizon' THEN d.seconds END) AS horizon_seconds,
    MAX(CASE WHEN d.name = 'retention_window_start' THEN d.months END) AS from_months,
    MAX(CASE WHEN d.name = 'retention_window_start' THEN d.seconds END) AS from_seconds,
    MAX(CASE WHEN d.name = 'retention_window_end' THEN d.months END) AS to_months,
    MAX(CASE WHEN d.name = 'retention_window_end' THEN d.seconds END) AS to_seconds,
    MAX(CASE WHEN d.name = 'retention_gap' THEN d.months END) AS gap_months,
    MAX(CASE WHEN d.name = 'retention_gap' THEN d.seconds END) AS gap_seconds
  FROM config.policy AS p
  CROSS JOIN config.duration AS d
  GROUP BY p.retention_basis, p.retention_form
), dates AS (
  SELECT t.account_key, 'start' AS kind, t.tenure_start AS observed_at, t.tenure_start FROM account_tenure AS t
  UNION ALL
  SELECT t.account_key, 'landmark' AS kind, t.activation_window_ends_at AS observed_at, t.tenure_start FROM account_tenure AS t
  UNION ALL
  SELECT t.account_key, 'earlier_landmark' AS kind, t.earlier_landmark_at AS observed_at, t.tenure_start
  FROM account_tenure AS t
  WHERE t.earlier_landmark_at IS NOT NULL
  UNION ALL
  SELECT t.account_key, 'later_landmark' AS kind, t.later_landmark_at AS observed_at, t.tenure_start FROM account_tenure AS t
  UNION ALL
  SELECT t.account_key, 'month' AS kind, m.starts_at AS observed_at, t.tenure_start
  FROM account_tenure AS t
  JOIN run.months AS m ON m.starts_at > t.tenure_start
), local AS (
  SELECT d.*, CASE WHEN p.retention_form = 'window' THEN d.tenure_start ELSE d.observed_at END AS clock_at
  FROM dates AS d
  CROSS JOIN config.policy AS p
  CROSS JOIN run.observation AS o
  WHERE d.observed_at < o.as_of
), instants AS (
  -- a month begins at one instant for all accounts, and a change of zones is the dearest thing here
  SELECT DISTINCT l.observed_at, l.clock_at FROM local AS l
), clocks AS (
  SELECT
    i.observed_at,
    i.clock_at,
    i.observed_at AT TIME ZONE 'UTC' AT TIME ZONE p.time_zone AS local_observed,
    i.clock_at AT TIME ZONE 'UTC' AT TIME ZONE p.time_zone AS local_clock,
    p.time_zone,
    b.*
  FROM instants AS i
  CROSS JOIN basis AS b
  CROSS JOIN config.product AS p
), spans AS (
  SELECT
    c.observed_at,
    c.clock_at,
    c.local_observed,
    CAST(c.local_observed AS DATE) AS observed_date,
    c.retention_basis,
    c.horizon_months,
    c.horizon_seconds,
    c.gap_months,
    c.gap_seconds,
    CASE
      WHEN c.retention_form = 'horizon' THEN c.observed_at
      WHEN c.from_months = 0 THEN c.clock_at + TO_SECONDS(c.from_seconds)
      ELSE (c.local_clock + TO_MONTHS(c.from_months)) AT TIME ZONE c.time_zone AT TIME ZONE 'UTC'
    END AS outcome_from,
    CASE
      WHEN c.retention_form = 'horizon' AND c.horizon_months = 0 THEN c.observed_at + TO_SECONDS(c.horizon_seconds)
      WHEN c.retention_form = 'horizon' THEN (c.local_observed + TO_MONTHS(c.horizon_months)) AT TIME ZONE c.time_zone AT TIME ZONE 'UTC'
      WHEN c.to_months = 0 THEN c.clock_at + TO_SECONDS(c.to_seconds)
      ELSE (c.local_clock + TO_MONTHS(c.to_months)) AT TIME ZONE c.time_zone AT TIME ZONE 'UTC'
    END AS outcome_to,
    CASE
      WHEN c.retention_form = 'horizon' AND c.horizon_months = 0 THEN c.observed_at + TO_SECONDS(2 * c.horizon_seconds)
      WHEN c.retention_form = 'horizon' THEN (c.local_observed + TO_MONTHS(2 * c.horizon_months)) AT TIME ZONE c.time_zone AT TIME ZONE 'UTC'
    END AS doubled_to
  FROM clocks AS c
), windows AS (
  SELECT l.account_key, l.kind, s.*
  FROM local AS l
  JOIN spans AS s ON s.observed_at = l.observed_at AND s.clock_at = l.clock_at
), alive AS (
  SELECT DISTINCT w.account_key, w.kind, w.observed_at
  FROM windows AS w
  JOIN rule_events AS e
    ON e.account_key = w.account_key
    AND e.rule = 'core'
    AND e.occurred_at < w.observed_at
    AND e.occurred_at >= w.observed_at - TO_SECONDS(w.horizon_seconds) - TO_MONTHS(w.horizon_months)
  WHERE w.retention_basis = 'activity' AND w.kind = 'month'
), anchored AS (
  SELECT
    s.account_key,
    s.started_at,
    COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) AS ended_at,
    s.term_months,
    p.time_zone,
    s.term_anchor_at AT TIME ZONE 'UTC' AT TIME ZONE p.time_zone AS local_anchor
  FROM subscriptions AS s
  CROSS JOIN config.product AS p
  WHERE s.is_paid AND s.superseded_at IS NULL
), termed AS (
  SELECT DISTINCT a.account_key FROM anchored AS a WHERE a.term_months IS NOT NULL
), begun AS (
  SELECT
    w.account_key,
    w.kind,
    w.observed_at,
    s.time_zone,
    s.term_months,
    s.local_anchor,
    w.local_observed,
    s.ended_at > w.observed_at AS is_running,
    CASE WHEN s.ended_at > w.observed_at THEN CAST('9999-12-31 00:00:00' AS TIMESTAMP) ELSE s.ended_at END AS ran_to
  FROM windows AS w
  JOIN termed AS t ON t.account_key = w.account_key
  JOIN anchored AS s ON s.account_key = w.account_key AND s.started_at <= w.observed_at
), latest AS (
  SELECT b.*, MAX(b.ran_to) OVER (PARTITION BY b.account_key, b.kind, b.observed_at) AS last_ran_to
  FROM begun AS b
), terms AS (
  SELECT l.* FROM latest AS l WHERE l.ran_to = l.last_ran_to AND l.term_months IS NOT NULL
), counted AS (
  -- terms that have begun anew by the month of D, at least one: the next renewal is the end of this term or of the one after it
  SELECT
    t.*,
    GREATEST(
      1,
      CAST(FLOOR(DATE_DIFF('month', t.local_anchor, t.local_observed) / NULLIF(CAST(t.term_months AS DOUBLE), 0)) AS INTEGER)
    ) AS terms
  FROM terms AS t
), following AS (
  SELECT
    c.account_key,
    c.kind,
    c.observed_at,
    c.is_running,
    CASE
      WHEN c.local_anchor + TO_MONTHS(c.term_months * c.terms) > c.local_observed
        THEN (c.local_anchor + TO_MONTHS(c.term_months * c.terms)) AT TIME ZONE c.time_zone AT TIME ZONE 'UTC'
      ELSE (c.local_anchor + TO_MONTHS(c.term_months * (c.terms + 1))) AT TIME ZONE c.time_zone AT TIME ZONE 'UTC'
    END AS renewal_at
  FROM counted AS c
), renewed AS (
  SELECT
    f.account_key,
    f.kind,
    f.observed_at,
    MIN(CASE WHEN f.is_running THEN f.renewal_at END) AS renewal_at,
    MIN(f.renewal_at) AS carried_renewal_at
  FROM following AS f
  GROUP BY f.account_key, f.kind, f.observed_at
)
SELECT
  w.account_key,
  w.kind,
  w.observed_at,
  w.observed_date,
  CASE
    WHEN w.retention_basis = 'subscriptions' THEN s.account_key IS NOT NULL
    WHEN w.kind = 'month' AND w.horizon_seconds IS NOT NULL THEN a.account_key IS NOT NULL
    ELSE TRUE
  END AS is_paying,
  w.outcome_from,
  w.outcome_to,
  w.doubled_to,
  CASE
    WHEN w.retention_basis = 'subscriptions' THEN w.outcome_to + TO_SECONDS(w.gap_seconds) + TO_MONTHS(w.gap_months)
    ELSE w.outcome_to
  END AS known_at,
  r.renewal_at,
  r.carried_renewal_at
FROM windows AS w
LEFT JOIN paid_spells AS s
  ON s.account_key = w.account_key
  AND s.started_at <= w.observed_at
  AND COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > w.observed_at
LEFT JOIN alive AS a ON a.account_key = w.account_key AND a.kind = w.kind AND a.observed_at = w.observed_at
LEFT JOIN renewed AS r ON r.account_key = w.account_key AND r.kind = w.kind AND r.observed_at = w.observed_at
