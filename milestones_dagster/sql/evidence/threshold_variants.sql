/*
about: >
  The accounts that the thresholds of activation and usage would compare if the outcome or the landmark were another: twice the horizon, the landmark of activation a
  month earlier or later, gaps of 0 d or 30 d bridged. Retention is told anew from the paid intervals, activation counted up to the landmark of the variant;
  usage keeps the month that was drawn of each account. Where the outcome is a fixed window after the start, horizon and landmark do not vary;
  without subscriptions there are no gaps.
grain: one row per milestone, variant and account that can be compared
key: [milestone, variant, account_key]
columns:
  milestone: VARCHAR NOT NULL -- `activation` or `usage`.
  variant: VARCHAR NOT NULL -- `horizon doubled`, `landmark a month earlier`, `landmark a month later`, `gaps of 0 d bridged` or `gaps of 30 d bridged`.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark of the variant, UTC.
  plan: VARCHAR -- Plan at that landmark.
  size_stratum: VARCHAR -- Size class at that landmark.
  value: DOUBLE NOT NULL [events, or conversations per seat and month] -- Behaviour before that landmark.
  retained: BOOLEAN NOT NULL -- The outcome after it, over the horizon and with the gaps of the variant.
*/
WITH variants AS (
  SELECT 'horizon doubled' AS variant, 'landmark' AS kind, TRUE AS is_doubled, g.months AS gap_months, g.seconds AS gap_seconds
  FROM config.policy AS p
  JOIN config.duration AS g ON g.name = 'retention_gap'
  WHERE p.retention_form = 'horizon'
  UNION ALL
  SELECT 'landmark a month earlier' AS variant, 'earlier_landmark' AS kind, FALSE AS is_doubled, g.months AS gap_months, g.seconds AS gap_seconds
  FROM config.policy AS p
  JOIN config.duration AS g ON g.name = 'retention_gap'
  WHERE p.retention_form = 'horizon'
  UNION ALL
  SELECT 'landmark a month later' AS variant, 'later_landmark' AS kind, FALSE AS is_doubled, g.months AS gap_months, g.seconds AS gap_seconds
  FROM config.policy AS p
  JOIN config.duration AS g ON g.name = 'retention_gap'
  WHERE p.retention_form = 'horizon'
  UNION ALL
  SELECT 'gaps of 0 d bridged' AS variant, 'landmark' AS kind, FALSE AS is_doubled, 0 AS gap_months, 0 AS gap_seconds
  FROM config.policy AS p
  WHERE p.retention_basis = 'subscriptions'
  UNION ALL
  SELECT 'gaps of 30 d bridged' AS variant, 'landmark' AS kind, FALSE AS is_doubled, 0 AS gap_months, 2592000 AS gap_seconds
  FROM config.policy AS p
  WHERE p.retention_basis = 'subscriptions'
), dated AS (
  SELECT
    'activation' AS milestone,
    v.variant,
    v.gap_months,
    v.gap_seconds,
    d.account_key,
    d.observed_at,
    d.outcome_from,
    CASE WHEN v.is_doubled THEN d.doubled_to ELSE d.outcome_to END AS outcome_to,
    d.renewal_at
  FROM variants AS v
  JOIN observation_dates AS d ON d.kind = v.kind
  UNION ALL
  SELECT
    'usage' AS milestone,
    v.variant,
    v.gap_months,
    v.gap_seconds,
    d.account_key,
    d.observed_at,
    d.outcome_from,
    CASE WHEN v.is_doubled THEN d.doubled_to ELSE d.outcome_to END AS outcome_to,
    d.carried_renewal_at AS renewal_at
  FROM variants AS v
  CROSS JOIN usage_landmarks AS l
  JOIN observation_dates AS d ON d.account_key = l.account_key AND d.kind = 'month' AND d.observed_at = l.observed_at
  WHERE v.kind = 'landmark' AND l.standing IN ('row', 'locked')
), elapsed AS (
  SELECT d.*, p.retention_basis, p.is_locked_included
  FROM dated AS d
  CROSS JOIN config.policy AS p
  CROSS JOIN run.observation AS o
  WHERE d.observed_at <= d.outcome_from
    AND CASE
      WHEN p.retention_basis = 'subscriptions' THEN d.outcome_to + TO_SECONDS(d.gap_seconds) + TO_MONTHS(d.gap_months)
      ELSE d.outcome_to
    END <= o.evidence_as_of
), gaps AS (
  SELECT DISTINCT v.gap_months, v.gap_seconds FROM variants AS v
), paid AS (
  SELECT
    g.gap_months,
    g.gap_seconds,
    h.account_key,
    h.valid_from,
    h.valid_to,
    LAG(h.valid_to) OVER (PARTITION BY g.gap_months, g.gap_seconds, h.account_key ORDER BY h.valid_from) AS previous_to
  FROM account_history AS h
  CROSS JOIN gaps AS g
  WHERE h.is_paying
), numbered AS (
  SELECT
    p.*,
    SUM(
      CASE WHEN p.previous_to IS NULL OR p.valid_from > p.previous_to + TO_SECONDS(p.gap_seconds) + TO_MONTHS(p.gap_months) THEN 1 ELSE 0 END
    ) OVER (PARTITION BY p.gap_months, p.gap_seconds, p.account_key ORDER BY p.valid_from) AS spell
  FROM paid AS p
), spells AS (
  SELECT
    n.gap_months,
    n.gap_seconds,
    n.account_key,
    MIN(n.valid_from) AS started_at,
    CASE WHEN COUNT(n.valid_to) = COUNT(*) THEN MAX(n.valid_to) END AS ended_at
  FROM numbered AS n
  GROUP BY n.gap_months, n.gap_seconds, n.account_key, n.spell
), active AS (
  SELECT DISTINCT e.milestone, e.variant, e.account_key
  FROM elapsed AS e
  JOIN rule_events AS r
    ON r.account_key = e.account_key
    AND r.rule = 'core'
    AND r.occurred_at >= e.outcome_from
    AND r.occurred_at < e.outcome_to
  WHERE e.retention_basis = 'activity'
), compared AS (
  -- who stopped paying at the end of a month paid all of it, and was not retained
  SELECT
    e.milestone,
    e.variant,
    e.gap_months,
    e.gap_seconds,
    e.account_key,
    e.observed_at,
    CASE
      WHEN e.retention_basis = 'activity' THEN a.account_key IS NOT NULL
      ELSE s.ended_at IS NULL OR s.ended_at > e.outcome_to
    END AS retained
  FROM elapsed AS e
  LEFT JOIN active AS a ON a.milestone = e.milestone AND a.variant = e.variant AND a.account_key = e.account_key
  LEFT JOIN spells AS s
    ON s.account_key = e.account_key
    AND s.gap_months = e.gap_months
    AND s.gap_seconds = e.gap_seconds
    AND s.started_at <= e.observed_at
    AND COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) >= e.observed_at
  WHERE e.retention_basis = 'activity'
    OR (s.account_key IS NOT NULL AND (e.milestone = 'usage' OR s.ended_at IS NULL OR s.ended_at > e.observed_at) AND (e.is_locked_included OR e.renewal_at IS NULL OR e.renewal_at <= e.outcome_to))
), counted AS (
  SELECT c.variant, c.account_key, COUNT(*) AS events
  FROM compared AS c
  JOIN account_tenure AS t ON t.account_key = c.account_key
  JOIN rule_events AS r
    ON r.account_key = c.account_key
    AND r.rule = 'activation'
    AND r.occurred_at >= t.tenure_start
    AND r.occurred_at < c.observed_at
  WHERE c.milestone = 'activation'
  GROUP BY c.variant, c.account_key
), people AS (
  -- the size of an account is the number of its people where there is no history of seats, and is not asked for where there is one
  SELECT c.variant, c.account_key, COUNT(DISTINCT i.user_key) AS users
  FROM compared AS c
  JOIN event_identities AS i ON i.account_key = c.account_key AND i.user_key <> 0 AND i.first_at < c.observed_at
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS s WHERE s.source = 'subscriptions') AS b
  WHERE b.sources = 0 AND c.milestone = 'activation'
  GROUP BY c.variant, c.account_key
), known AS (
  -- what was paid last holds on through a gap that is bridged
  SELECT
    g.gap_months,
    g.gap_seconds,
    h.account_key,
    h.valid_from,
    h.plan,
    h.seats,
    CASE
      WHEN LEAD(h.valid_from) OVER (PARTITION BY g.gap_months, g.gap_seconds, h.account_key ORDER BY h.valid_from)
        <= h.valid_to + TO_SECONDS(g.gap_seconds) + TO_MONTHS(g.gap_months)
        THEN LEAD(h.valid_from) OVER (PARTITION BY g.gap_months, g.gap_seconds, h.account_key ORDER BY h.valid_from)
      ELSE h.valid_to
    END AS valid_to
  FROM account_history AS h
  CROSS JOIN gaps AS g
  WHERE COALESCE(h.is_paying, TRUE)
), described AS (
  SELECT c.*, h.plan, CASE WHEN b.sources > 0 THEN h.seats ELSE COALESCE(h.seats, u.users) END AS size
  FROM compared AS c
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'subscriptions') AS b
  LEFT JOIN people AS u ON u.variant = c.variant AND u.account_key = c.account_key
  LEFT JOIN known AS h
    ON h.account_key = c.account_key
    AND h.gap_months = c.gap_months
    AND h.gap_seconds = c.gap_seconds
    AND h.valid_from <= c.observed_at
    AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > c.observed_at
  WHERE c.milestone = 'activation'
)
SELECT
  d.milestone,
  d.variant,
  d.account_key,
  t.cohort_month,
  d.observed_at,
  d.plan,
  z.stratum AS size_stratum,
  CAST(COALESCE(n.events, 0) AS DOUBLE) AS value,
  d.retained
FROM described AS d
JOIN account_tenure AS t ON t.account_key = d.account_key
LEFT JOIN counted AS n ON n.variant = d.variant AND n.account_key = d.account_key
LEFT JOIN config.size_stratum AS z ON d.size >= z.seats_from AND (z.seats_to IS NULL OR d.size < z.seats_to)
UNION ALL
SELECT c.milestone, c.variant, c.account_key, l.cohort_month, c.observed_at, l.plan, l.size_stratum, l.value, c.retained
FROM compared AS c
JOIN usage_landmarks AS l ON l.account_key = c.account_key
WHERE c.milestone = 'usage'
