/*
about: >
  Every whole calendar month of every account since its tenure began, paid or not, as a landmark: who the account was at the month's end L, and what became of it
  after. From it the comparisons of usage, area metrics and maturity each draw one month per account, before anything is known of what became of it: months
  after leaving have a row too. Months whose outcome was not known when the last month closed have none. Who stopped paying at L itself paid all that month,
  and was not retained.
grain: one row per account and whole calendar month of its tenure whose outcome window has elapsed
key: [account_key, month]
by: month
month_of: observed_at
windows: observation_dates
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  month: DATE NOT NULL -- First day of the month, in the reporting time zone.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, the month's end, UTC.
  outcome_to: TIMESTAMP NOT NULL -- End of the outcome's window (L + H), UTC.
  is_paid_whole: BOOLEAN NOT NULL -- Paid from the month's start to its end, and its outcome can be told.
  is_paying: BOOLEAN NOT NULL -- Paying at L; without subscriptions nobody is seen to leave.
  is_locked: BOOLEAN NOT NULL -- Could not leave within the horizon by the terms of what it paid last, still running or not, and the config keeps such rows out of rates.
  plan: VARCHAR -- Plan at L; of the month's last instant for who stopped paying at L.
  size_stratum: VARCHAR -- Size class at L, of the seats; without a history of seats, of the users active before L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  retained: BOOLEAN -- The outcome after L; NULL for who neither paid at L nor stopped then.
  expanded: BOOLEAN -- Revenue at L + H grew by the minimum; left is not expanded; NULL where revenue at L is 0 or unknown.
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
    p.retention_basis,
    p.retention_basis = 'subscriptions' AND NOT p.is_locked_included AND COALESCE(d.carried_renewal_at > d.outcome_to, FALSE) AS is_locked
  FROM account_months AS m
  JOIN account_tenure AS t ON t.account_key = m.account_key
  JOIN observation_dates AS d ON d.account_key = m.account_key AND d.kind = 'month' AND d.observed_at = m.close_at
  CROSS JOIN run.observation AS o
  CROSS JOIN config.policy AS p
  WHERE m.is_whole
    AND EPOCH(t.tenure_start) <= EPOCH(m.close_at) - m.month_seconds
    AND d.known_at <= o.evidence_as_of
    AND d.observed_at <= d.outcome_from
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
), first_seen AS (
  -- the size of an account is the number of its people where there is no history of seats, and is not asked for where there is one
  SELECT i.account_key, i.user_key, MIN(i.first_at) AS first_at
  FROM event_identities AS i
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS s WHERE s.source = 'subscriptions') AS b
  WHERE b.sources = 0 AND i.account_key <> 0 AND i.user_key <> 0
  GROUP BY i.account_key, i.user_key
), people AS (
  SELECT d.account_key, d.observed_at, COUNT(*) AS users
  FROM dated AS d
  JOIN first_seen AS i ON i.account_key = d.account_key AND i.first_at < d.observed_at
  GROUP BY d.account_key, d.observed_at
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
    d.*,
    s.account_key IS NOT NULL AS is_stopped,
    r.account_key IS NOT NULL AS has_outcome,
    CASE
      WHEN d.retention_basis = 'activity' THEN a.account_key IS NOT NULL
      WHEN s.account_key IS NOT NULL THEN FALSE
      ELSE r.retained
    END AS retained,
    r.is_expanded_mrr,
    h.plan,
    h.mrr,
    CASE WHEN b.sources > 0 THEN h.seats ELSE COALESCE(h.seats, e.users) END AS size
  FROM dated AS d
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS c WHERE c.source = 'subscriptions') AS b
  LEFT JOIN retention_outcomes AS r ON r.account_key = d.account_key AND r.kind = 'month' AND r.observed_at = d.observed_at
  LEFT JOIN active AS a ON a.account_key = d.account_key AND a.observed_at = d.observed_at
  LEFT JOIN stopped AS s ON s.account_key = d.account_key AND s.observed_at = d.observed_at
  LEFT JOIN people AS e ON e.account_key = d.account_key AND e.observed_at = d.observed_at
  LEFT JOIN known AS h
    ON h.account_key = d.account_key
    AND h.valid_from <= d.observed_at
    AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > d.observed_at
)
SELECT
  d.account_key,
  d.account_id,
  d.month,
  d.cohort_month,
  d.observed_at,
  d.outcome_to,
  d.is_paid_whole AND d.retained IS NOT NULL AS is_paid_whole,
  d.retention_basis = 'activity' OR d.has_outcome AS is_paying,
  d.is_locked,
  CASE WHEN d.is_stopped THEN d.plan_at_close ELSE d.plan END AS plan,
  CASE WHEN d.is_stopped THEN d.stratum_at_close ELSE z.stratum END AS size_stratum,
  CASE WHEN d.is_stopped THEN d.mrr_at_close ELSE d.mrr END AS mrr,
  d.retained,
  CASE WHEN d.is_stopped AND d.mrr_at_close > 0 THEN FALSE ELSE d.is_expanded_mrr END AS expanded
FROM described AS d
LEFT JOIN config.size_stratum AS z ON d.size >= z.seats_from AND (z.seats_to IS NULL OR d.size < z.seats_to)
