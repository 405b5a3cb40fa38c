/*
about: >
  The maturity milestone: how deeply an account uses each part of the product, by the category's rules over the window that ends with the month. A feature
  counts where it was used on enough days of the window; a setting counts where it is on at the window's end.
grain: one row per account, month and category
key: [account_id, month, category]
by: month
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  category: VARCHAR NOT NULL -- Name of the category.
  level: VARCHAR NOT NULL -- `none`, `basic` or `mature`.
  basic_features: BIGINT NOT NULL [features] -- Features that count for basic use.
  mature_features: BIGINT NOT NULL [features] -- Features that count for mature use.
  features: VARCHAR -- Names of the features that made the level, by name; of the basic rule where the level is none.
  mature_categories: BIGINT NOT NULL [categories] -- Categories of the account in that month that are mature.
*/
WITH wanted AS (
  SELECT DISTINCT s.feature FROM config.maturity_signal AS s
), used_days AS (
  SELECT DISTINCT d.account_key, w.feature, d.reporting_date
  FROM account_event_daily AS d
  JOIN config.feature_event AS e ON e.event = d.event AND e.role = 'use'
  JOIN wanted AS w ON w.feature = e.feature
  CROSS JOIN run.observation AS o
  WHERE d.day < o.as_of_date
), used AS (
  SELECT m.account_key, m.month, u.feature, COUNT(*) AS days
  FROM used_days AS u
  JOIN run.months AS r ON TRUE
  JOIN config.duration AS w ON w.name = 'maturity_window'
  JOIN account_months AS m ON m.account_key = u.account_key AND m.month = r.month
  WHERE u.reporting_date < r.close_date
    AND DATE_DIFF('day', u.reporting_date, r.close_date) <= w.seconds / 86400.0
  GROUP BY m.account_key, m.month, u.feature
), switches AS (
  SELECT d.account_key, e.feature, e.role, d.reporting_date, d.last_at
  FROM account_event_daily AS d
  JOIN config.feature_event AS e ON e.event = d.event AND e.role IN ('on', 'off')
  JOIN wanted AS w ON w.feature = e.feature
  CROSS JOIN run.observation AS o
  WHERE d.day < o.as_of_date
), switched AS (
  SELECT
    m.account_key,
    m.month,
    s.feature,
    MAX(CASE WHEN s.role = 'on' THEN s.last_at END) AS on_at,
    MAX(CASE WHEN s.role = 'off' THEN s.last_at END) AS off_at
  FROM switches AS s
  JOIN run.months AS r ON s.reporting_date < r.close_date
  JOIN account_months AS m ON m.account_key = s.account_key AND m.month = r.month
  GROUP BY m.account_key, m.month, s.feature
), in_use AS (
  SELECT f.account_key, f.month, f.feature, MAX(f.days) AS days, LOGICAL_OR(f.is_setting) AS is_setting
  FROM (
    SELECT u.account_key, u.month, u.feature, u.days, FALSE AS is_setting FROM used AS u
    UNION ALL
    SELECT w.account_key, w.month, w.feature, CAST(0 AS BIGINT) AS days, TRUE AS is_setting
    FROM switched AS w
    WHERE w.on_at IS NOT NULL AND (w.off_at IS NULL OR w.off_at < w.on_at)
  ) AS f
  GROUP BY f.account_key, f.month, f.feature
), signals AS (
  -- each feature once per rule, and above each feature once per account and month: nothing is left to tell apart in the count and in the names
  SELECT DISTINCT s.feature, r.category, r.level, r.at_least, r.minimum_days
  FROM config.maturity_signal AS s
  JOIN config.maturity_rule AS r ON r.category = s.category AND r.level = s.level
), counted AS (
  SELECT
    i.account_key,
    i.month,
    s.category,
    s.level,
    s.at_least,
    COUNT(*) AS features,
    STRING_AGG(i.feature, ', ' ORDER BY i.feature) AS names
  FROM in_use AS i
  JOIN signals AS s ON s.feature = i.feature
  WHERE i.is_setting OR i.days >= s.minimum_days
  GROUP BY i.account_key, i.month, s.category, s.level, s.at_least
), graded AS (
  SELECT
    c.account_key,
    c.month,
    c.category,
    MAX(CASE WHEN c.level = 'basic' THEN c.features ELSE 0 END) AS basic_features,
    MAX(CASE WHEN c.level = 'mature' THEN c.features ELSE 0 END) AS mature_features,
    LOGICAL_OR(c.level = 'basic' AND c.features >= c.at_least) AS is_basic,
    LOGICAL_OR(c.level = 'mature' AND c.features >= c.at_least) AS is_mature,
    MAX(CASE WHEN c.level = 'basic' THEN c.names END) AS basic_names,
    MAX(CASE WHEN c.level = 'mature' THEN c.names END) AS mature_names
  FROM counted AS c
  GROUP BY c.account_key, c.month, c.category
), depths AS (
  SELECT g.account_key, g.month, COUNT(*) AS mature_categories
  FROM graded AS g
  WHERE g.is_mature
  GROUP BY g.account_key, g.month
)
SELECT
  m.account_id,
  m.account_key,
  m.month,
  c.category,
  CASE WHEN g.is_mature THEN 'mature' WHEN g.is_basic THEN 'basic' ELSE 'none' END AS level,
  CAST(COALESCE(g.basic_features, 0) AS BIGINT) AS basic_features,
  CAST(COALESCE(g.mature_features, 0) AS BIGINT) AS mature_features,
  CASE WHEN g.is_mature THEN g.mature_names ELSE g.basic_names END AS features,
  CAST(COALESCE(d.mature_categories, 0) AS BIGINT) AS mature_categories
FROM account_months AS m
CROSS JOIN config.maturity_category AS c
LEFT JOIN graded AS g ON g.account_key = m.account_key AND g.month = m.month AND g.category = c.category
LEFT JOIN depths AS d ON d.account_key = m.account_key AND d.month = m.month
