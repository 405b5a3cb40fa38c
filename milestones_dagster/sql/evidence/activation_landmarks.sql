/*
about: >
  What each account did in its activation window, and what became of it after: the landmark comparison of activation and retention. Behaviour lies before the
  landmark L (the end of the window), the outcome after it. Accounts whose outcome was not known when the last month closed have no row; those that may be in no group say why.
  Nothing here reads the activation threshold.
grain: one row per account whose outcome window has elapsed by the end of the last closed month
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, UTC.
  standing: VARCHAR NOT NULL -- `row` (compared), `left_before` (not paying at L) or `locked` (could not leave); only `row` is evidence.
  plan: VARCHAR -- Plan at L.
  size_stratum: VARCHAR -- Size class at L, of the seats; without a history of seats, of the users active before L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  value: DOUBLE NOT NULL [events] -- Activation events from tenure_start up to L.
  events_1d: BIGINT NOT NULL [events] -- Those of the first day.
  events_7d: BIGINT NOT NULL [events] -- Those of the first 7 days.
  events_14d: BIGINT NOT NULL [events] -- Those of the first 14 days.
  events_30d: BIGINT NOT NULL [events] -- Those of the first 30 days.
  events_60d: BIGINT NOT NULL [events] -- Those of the first 60 days.
  retained: BOOLEAN -- The outcome after L; NULL for who left before it.
  expanded: BOOLEAN -- Revenue at L + H grew by the minimum; left is not expanded; NULL where revenue at L is 0 or unknown, and for who left before it.
*/
WITH landmark AS (
  SELECT t.account_key, t.account_id, t.tenure_start, t.cohort_month, d.observed_at, d.is_paying
  FROM observation_dates AS d
  JOIN account_tenure AS t ON t.account_key = d.account_key
  CROSS JOIN run.observation AS o
  WHERE d.kind = 'landmark' AND d.known_at <= o.evidence_as_of AND d.observed_at <= d.outcome_from
), counted AS (
  SELECT
    l.account_key,
    COUNT(*) AS events,
    COUNT(CASE WHEN e.occurred_at < l.tenure_start + TO_SECONDS(86400) THEN 1 END) AS events_1d,
    COUNT(CASE WHEN e.occurred_at < l.tenure_start + TO_SECONDS(604800) THEN 1 END) AS events_7d,
    COUNT(CASE WHEN e.occurred_at < l.tenure_start + TO_SECONDS(1209600) THEN 1 END) AS events_14d,
    COUNT(CASE WHEN e.occurred_at < l.tenure_start + TO_SECONDS(2592000) THEN 1 END) AS events_30d,
    COUNT(CASE WHEN e.occurred_at < l.tenure_start + TO_SECONDS(5184000) THEN 1 END) AS events_60d
  FROM landmark AS l
  JOIN rule_events AS e
    ON e.account_key = l.account_key
    AND e.rule = 'activation'
    AND e.occurred_at >= l.tenure_start
    AND e.occurred_at < l.observed_at
  GROUP BY l.account_key
), active AS (
  -- the size of an account is the number of its people where there is no history of seats, and is not asked for where there is one
  SELECT l.account_key, COUNT(DISTINCT i.user_key) AS users
  FROM landmark AS l
  JOIN event_identities AS i ON i.account_key = l.account_key AND i.user_key <> 0 AND i.first_at < l.observed_at
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS s WHERE s.source = 'subscriptions') AS b
  WHERE b.sources = 0
  GROUP BY l.account_key
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
    l.*,
    h.plan,
    h.mrr,
    CASE WHEN b.sources > 0 THEN h.seats ELSE COALESCE(h.seats, u.users) END AS size,
    r.retained,
    r.is_expanded_mrr,
    r.is_evidence
  FROM landmark AS l
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'subscriptions') AS b
  LEFT JOIN retention_outcomes AS r ON r.account_key = l.account_key AND r.kind = 'landmark' AND r.observed_at = l.observed_at
  LEFT JOIN active AS u ON u.account_key = l.account_key
  LEFT JOIN known AS h
    ON h.account_key = l.account_key
    AND h.valid_from <= l.observed_at
    AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > l.observed_at
)
SELECT
  d.account_id,
  d.account_key,
  d.cohort_month,
  d.observed_at,
  CASE WHEN NOT d.is_paying THEN 'left_before' WHEN d.is_evidence THEN 'row' ELSE 'locked' END AS standing,
  d.plan,
  z.stratum AS size_stratum,
  d.mrr,
  CAST(COALESCE(c.events, 0) AS DOUBLE) AS value,
  COALESCE(c.events_1d, 0) AS events_1d,
  COALESCE(c.events_7d, 0) AS events_7d,
  COALESCE(c.events_14d, 0) AS events_14d,
  COALESCE(c.events_30d, 0) AS events_30d,
  COALESCE(c.events_60d, 0) AS events_60d,
  CASE WHEN d.is_paying THEN d.retained END AS retained,
  CASE WHEN d.is_paying THEN d.is_expanded_mrr END AS expanded
FROM described AS d
LEFT JOIN counted AS c ON c.account_key = d.account_key
LEFT JOIN config.size_stratum AS z ON d.size >= z.seats_from AND (z.seats_to IS NULL OR d.size < z.seats_to)
