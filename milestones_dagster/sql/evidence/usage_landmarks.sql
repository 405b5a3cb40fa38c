/*
about: >
  The usage ratio of one month of each account, and what became of the account after it: the landmark comparison of usage and retention. The landmark L is the
  month's end. Of all months that an account paid for in full and whose outcome is known, one is taken by a hash of the account and the month, so that long
  tenures do not count more often. Without subscriptions, every whole month of the tenure is one. Who stopped paying at L itself paid all that month: not retained.
grain: one row per account with a calendar month whose outcome window has elapsed
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the month taken, in the reporting time zone.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, the month's end, UTC.
  standing: VARCHAR NOT NULL -- `row` (compared), `locked` (could not leave), `no_seats` (no ratio) or `left_before` (never paid a whole month); the best of its months.
  plan: VARCHAR -- Plan at L; of the month's last instant for who stopped paying at L.
  size_stratum: VARCHAR -- Size class at L, of the seats; without a history of seats, of the users active before L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  value: DOUBLE [conversations per seat and month] -- The usage ratio as of the month's end; NULL without seats.
  retained: BOOLEAN -- The outcome after L; NULL for `left_before`.
*/
WITH dated AS (
  SELECT
    m.account_key,
    m.account_id,
    m.month,
    m.plan AS plan_at_close,
    m.size_stratum AS stratum_at_close,
    m.mrr AS mrr_at_close,
    m.is_paid_whole,
    t.cohort_month,
    d.observed_at,
    d.outcome_from,
    d.outcome_to,
    p.retention_basis
  FROM account_months AS m
  JOIN account_tenure AS t ON t.account_key = m.account_key
  JOIN observation_dates AS d ON d.account_key = m.account_key AND d.kind = 'month' AND d.observed_at = m.close_at
  CROSS JOIN run.observation AS o
  CROSS JOIN config.policy AS p
  WHERE m.is_whole AND d.known_at <= o.as_of AND d.observed_at <= d.outcome_from
), active AS (
  SELECT DISTINCT d.account_key, d.observed_at
  FROM dated AS d
  JOIN rule_events AS e
    ON e.account_key = d.account_key
    AND e.rule = 'core'
    AND e.occurred_at >= d.outcome_from
    AND e.occurred_at < d.outcome_to
  WHERE d.retention_basis = 'activity'
), stopped AS (
  SELECT d.account_key, d.observed_at
  FROM dated AS d
  JOIN paid_spells AS s ON s.account_key = d.account_key AND s.ended_at = d.observed_at
), judged AS (
  SELECT
    d.*,
    u.ratio_at_close,
    CASE
      WHEN d.retention_basis = 'activity' THEN a.account_key IS NOT NULL
      WHEN s.account_key IS NOT NULL THEN FALSE
      ELSE r.retained
    END AS retained,
    s.account_key IS NOT NULL AS is_stopped,
    CASE
      WHEN NOT d.is_paid_whole THEN 4
      WHEN d.retention_basis = 'subscriptions' AND r.account_key IS NULL AND s.account_key IS NULL THEN 4
      WHEN u.ratio_at_close IS NULL THEN 3
      WHEN d.retention_basis = 'subscriptions' AND s.account_key IS NULL AND NOT r.is_evidence THEN 2
      ELSE 1
    END AS preference
  FROM dated AS d
  JOIN usage_ratio AS u ON u.account_key = d.account_key AND u.month = d.month
  LEFT JOIN retention_outcomes AS r ON r.account_key = d.account_key AND r.kind = 'month' AND r.observed_at = d.observed_at
  LEFT JOIN active AS a ON a.account_key = d.account_key AND a.observed_at = d.observed_at
  LEFT JOIN stopped AS s ON s.account_key = d.account_key AND s.observed_at = d.observed_at
), taken AS (
  SELECT
    j.*,
    ROW_NUMBER() OVER (
      PARTITION BY j.account_key
      ORDER BY j.preference, MD5('milestones usage month ' || j.account_id || ' ' || CAST(j.month AS VARCHAR)), j.month
    ) AS standing_number
  FROM judged AS j
), one AS (
  SELECT t.*
  FROM taken AS t
  WHERE t.standing_number = 1
), people AS (
  SELECT t.account_key, COUNT(DISTINCT i.user_key) AS users
  FROM one AS t
  JOIN event_identities AS i ON i.account_key = t.account_key AND i.user_key <> 0 AND i.first_at < t.observed_at
  GROUP BY t.account_key
), known AS (
  -- what was paid last holds on through a gap that is bridged
  SELECT
    h.account_key,
    h.valid_from,
    h.plan,
    h.seats,
    h.mrr,
    CASE
      WHEN LEAD(h.valid_from) OVER (PARTITION BY h.account_key ORDER BY h.valid_from) <= h.valid_to + TO_SECONDS(g.seconds) + TO_MONTHS(g.months)
        THEN LEAD(h.valid_from) OVER (PARTITION BY h.account_key ORDER BY h.valid_from)
      ELSE h.valid_to
    END AS valid_to
  FROM account_history AS h
  JOIN config.duration AS g ON g.name = 'retention_gap'
  WHERE COALESCE(h.is_paying, TRUE)
), described AS (
  SELECT
    t.*,
    h.plan,
    h.mrr,
    CASE WHEN b.sources > 0 THEN h.seats ELSE COALESCE(h.seats, e.users) END AS size
  FROM one AS t
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'subscriptions') AS b
  LEFT JOIN people AS e ON e.account_key = t.account_key
  LEFT JOIN known AS h
    ON h.account_key = t.account_key
    AND h.valid_from <= t.observed_at
    AND (h.valid_to IS NULL OR h.valid_to > t.observed_at)
)
SELECT
  d.account_id,
  d.account_key,
  d.month,
  d.cohort_month,
  d.observed_at,
  CASE d.preference WHEN 1 THEN 'row' WHEN 2 THEN 'locked' WHEN 3 THEN 'no_seats' ELSE 'left_before' END AS standing,
  CASE WHEN d.is_stopped THEN d.plan_at_close ELSE d.plan END AS plan,
  CASE WHEN d.is_stopped THEN d.stratum_at_close ELSE z.stratum END AS size_stratum,
  CASE WHEN d.is_stopped THEN d.mrr_at_close ELSE d.mrr END AS mrr,
  d.ratio_at_close AS value,
  CASE WHEN d.preference < 4 THEN d.retained END AS retained
FROM described AS d
LEFT JOIN config.size_stratum AS z ON d.size >= z.seats_from AND (z.seats_to IS NULL OR d.size < z.seats_to)
