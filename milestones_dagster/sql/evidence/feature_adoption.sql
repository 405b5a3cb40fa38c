/*
about: >
  How common the use of each feature is, among all paying accounts and among those whose plan includes it: the benchmark that screens out what is too common
  or too narrow to tell customers apart. Rows are the accounts that paid for the whole adoption window, which ends with the last closed month; without
  subscriptions, those whose tenure covers it and that had a core event in it.
grain: one row per feature that events tell
key: [feature]
columns:
  feature: VARCHAR NOT NULL -- Name of the feature in the catalogue.
  users: BIGINT NOT NULL [accounts] -- Accounts that used it on at least one day (settings, on at the window's end).
  all_accounts: BIGINT NOT NULL [accounts] -- Accounts that paid for the whole window.
  eligible_users: BIGINT NOT NULL [accounts] -- Users whose plan includes the feature.
  eligible_accounts: BIGINT NOT NULL [accounts] -- Accounts whose plan at the window's end includes the feature.
  adoption_eligible: DOUBLE -- eligible_users / eligible_accounts.
  adoption_eligible_low: DOUBLE -- Lower 95 % bound (Wilson).
  adoption_eligible_high: DOUBLE -- Upper 95 % bound (Wilson).
  adoption_all: DOUBLE -- users / all_accounts.
  adoption_all_low: DOUBLE -- Lower 95 % bound (Wilson).
  adoption_all_high: DOUBLE -- Upper 95 % bound (Wilson).
*/
WITH span AS (
  SELECT
    o.evidence_as_of AS to_at,
    o.evidence_date AS to_date,
    o.evidence_as_of - TO_SECONDS(w.seconds) - TO_MONTHS(w.months) AS from_at,
    p.retention_basis,
    (SELECT COUNT(*) FROM config.declared_source AS d WHERE d.source = 'subscriptions') AS billed
  FROM run.observation AS o
  CROSS JOIN config.policy AS p
  JOIN config.duration AS w ON w.name = 'adoption_window'
), paid AS (
  SELECT h.account_key
  FROM account_history AS h
  CROSS JOIN span AS s
  WHERE h.is_paying AND s.billed > 0
  GROUP BY h.account_key, s.from_at, s.to_at
  HAVING SUM(
    GREATEST(
      0,
      EPOCH(LEAST(COALESCE(h.valid_to, s.to_at), s.to_at)) - EPOCH(GREATEST(h.valid_from, s.from_at))
    )
  ) >= EPOCH(s.to_at) - EPOCH(s.from_at)
  UNION ALL
  SELECT t.account_key
  FROM account_tenure AS t
  CROSS JOIN span AS s
  JOIN rule_events AS e
    ON e.account_key = t.account_key AND e.rule = 'core' AND e.occurred_at >= s.from_at AND e.occurred_at < s.to_at
  WHERE s.billed = 0 AND t.tenure_start <= s.from_at
  GROUP BY t.account_key
), rows_of_window AS (
  SELECT p.account_key, h.plan
  FROM paid AS p
  CROSS JOIN span AS s
  LEFT JOIN account_history AS h
    ON h.account_key = p.account_key
    AND h.valid_from < s.to_at
    AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) >= s.to_at
), used AS (
  SELECT DISTINCT d.account_key, e.feature
  FROM account_event_daily AS d
  JOIN config.feature_event AS e ON e.event = d.event AND e.role = 'use'
  CROSS JOIN span AS s
  WHERE d.reporting_date < s.to_date AND d.last_at >= s.from_at
), switched AS (
  SELECT
    d.account_key,
    e.feature,
    MAX(CASE WHEN e.role = 'on' THEN d.last_at END) AS on_at,
    MAX(CASE WHEN e.role = 'off' THEN d.last_at END) AS off_at
  FROM account_event_daily AS d
  JOIN config.feature_event AS e ON e.event = d.event AND e.role IN ('on', 'off')
  CROSS JOIN span AS s
  WHERE d.reporting_date < s.to_date
  GROUP BY d.account_key, e.feature
), adopted AS (
  SELECT u.account_key, u.feature FROM used AS u
  UNION ALL
  SELECT w.account_key, w.feature FROM switched AS w WHERE w.on_at IS NOT NULL AND (w.off_at IS NULL OR w.off_at < w.on_at)
), limited AS (
  SELECT DISTINCT l.feature FROM config.feature_plan AS l
), judged AS (
  SELECT
    f.feature,
    r.account_key,
    a.account_key IS NOT NULL AS is_used,
    l.feature IS NULL OR i.plan IS NOT NULL AS is_eligible
  FROM config.feature AS f
  CROSS JOIN rows_of_window AS r
  LEFT JOIN adopted AS a ON a.account_key = r.account_key AND a.feature = f.feature
  LEFT JOIN limited AS l ON l.feature = f.feature
  LEFT JOIN config.feature_plan AS i ON i.feature = f.feature AND i.plan = r.plan
  WHERE f.measure <> 'attribute'
), counted AS (
  SELECT
    f.feature,
    COUNT(CASE WHEN j.is_used THEN 1 END) AS users,
    COUNT(j.account_key) AS all_accounts,
    COUNT(CASE WHEN j.is_used AND j.is_eligible THEN 1 END) AS eligible_users,
    COUNT(CASE WHEN j.is_eligible THEN 1 END) AS eligible_accounts
  FROM config.feature AS f
  LEFT JOIN judged AS j ON j.feature = f.feature
  WHERE f.measure <> 'attribute'
  GROUP BY f.feature
), shared AS (
  SELECT
    c.*,
    CAST(c.eligible_users AS DOUBLE) / NULLIF(c.eligible_accounts, 0) AS e,
    CAST(c.users AS DOUBLE) / NULLIF(c.all_accounts, 0) AS a,
    CAST(c.eligible_accounts AS DOUBLE) AS n,
    CAST(c.all_accounts AS DOUBLE) AS m,
    3.841458820694124 AS zz
  FROM counted AS c
)
SELECT
  s.feature,
  s.users,
  s.all_accounts,
  s.eligible_users,
  s.eligible_accounts,
  s.e AS adoption_eligible,
  (s.e + s.zz / NULLIF(2 * s.n, 0) - SQRT(s.zz * (s.e * (1 - s.e) / NULLIF(s.n, 0) + s.zz / NULLIF(4 * s.n * s.n, 0)))) / NULLIF(1 + s.zz / NULLIF(s.n, 0), 0) AS adoption_eligible_low,
  (s.e + s.zz / NULLIF(2 * s.n, 0) + SQRT(s.zz * (s.e * (1 - s.e) / NULLIF(s.n, 0) + s.zz / NULLIF(4 * s.n * s.n, 0)))) / NULLIF(1 + s.zz / NULLIF(s.n, 0), 0) AS adoption_eligible_high,
  s.a AS adoption_all,
  (s.a + s.zz / NULLIF(2 * s.m, 0) - SQRT(s.zz * (s.a * (1 - s.a) / NULLIF(s.m, 0) + s.zz / NULLIF(4 * s.m * s.m, 0)))) / NULLIF(1 + s.zz / NULLIF(s.m, 0), 0) AS adoption_all_low,
  (s.a + s.zz / NULLIF(2 * s.m, 0) + SQRT(s.zz * (s.a * (1 - s.a) / NULLIF(s.m, 0) + s.zz / NULLIF(4 * s.m * s.m, 0)))) / NULLIF(1 + s.zz / NULLIF(s.m, 0), 0) AS adoption_all_high
FROM shared AS s
