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
  -- numbers are grouped in half the time of names
  SELECT e.event, e.role, f.position
  FROM (SELECT DISTINCT s.feature FROM config.maturity_signal AS s) AS w
  JOIN config.feature AS f ON f.feature = w.feature
  JOIN config.feature_event AS e ON e.feature = w.feature
), first_window AS (
  -- of a part of the months the days before all of their windows are not read
  SELECT MIN(CAST(CAST(r.close_date AS TIMESTAMP) - TO_SECONDS(w.seconds) AS DATE)) AS from_date
  FROM run.months AS r
  JOIN config.duration AS w ON w.name = 'maturity_window'
), used_days AS (
  SELECT DISTINCT d.account_key, e.position, d.reporting_date
  FROM account_event_daily AS d
  JOIN wanted AS e ON e.event = d.event AND e.role = 'use'
  JOIN first_window AS f ON d.reporting_date >= f.from_date
  CROSS JOIN run.observation AS o
  WHERE d.day < o.as_of_date
), window_dates AS (
  -- there are few dates: in which windows one lies is told once, not of each account
  SELECT n.reporting_date, r.month
  FROM (SELECT DISTINCT d.reporting_date FROM account_event_daily AS d) AS n
  JOIN config.duration AS w ON w.name = 'maturity_window'
  JOIN run.months AS r
    ON n.reporting_date < r.close_date
    AND DATE_DIFF('day', n.reporting_date, r.close_date) <= w.seconds / 86400.0
), used AS (
  SELECT u.account_key, w.month, u.position, COUNT(*) AS days
  FROM used_days AS u
  JOIN window_dates AS w ON w.reporting_date = u.reporting_date
  GROUP BY u.account_key, w.month, u.position
), switches AS (
  SELECT d.account_key, e.position, e.role, d.reporting_date, d.last_at
  FROM account_event_daily AS d
  JOIN wanted AS e ON e.event = d.event AND e.role IN ('on', 'off')
  CROSS JOIN run.observation AS o
  WHERE d.day < o.as_of_date
), switched AS (
  SELECT
    s.account_key,
    r.month,
    s.position,
    MAX(CASE WHEN s.role = 'on' THEN s.last_at END) AS on_at,
    MAX(CASE WHEN s.role = 'off' THEN s.last_at END) AS off_at
  FROM switches AS s
  JOIN run.months AS r ON s.reporting_date < r.close_date
  GROUP BY s.account_key, r.month, s.position
), in_use AS (
  SELECT f.account_key, f.month, f.position, MAX(f.days) AS days, LOGICAL_OR(f.is_setting) AS is_setting
  FROM (
    SELECT u.account_key, u.month, u.position, u.days, FALSE AS is_setting FROM used AS u
    UNION ALL
    SELECT w.account_key, w.month, w.position, CAST(0 AS BIGINT) AS days, TRUE AS is_setting
    FROM switched AS w
    WHERE w.on_at IS NOT NULL AND (w.off_at IS NULL OR w.off_at < w.on_at)
  ) AS f
  GROUP BY f.account_key, f.month, f.position
), signals AS (
  SELECT s.feature, f.position, s.bit, r.category, r.level, r.at_least, r.minimum_days
  FROM config.maturity_signal AS s
  JOIN config.feature AS f ON f.feature = s.feature
  JOIN config.maturity_rule AS r ON r.category = s.category AND r.level = s.level
), counted AS (
  -- a set of features is the sum of their bits: there are few sets and many accounts, so that names are put together once for each set
  SELECT
    i.account_key,
    i.month,
    s.category,
    COUNT(CASE WHEN s.level = 'basic' THEN 1 END) AS basic_features,
    COUNT(CASE WHEN s.level = 'mature' THEN 1 END) AS mature_features,
    CAST(SUM(CASE WHEN s.level = 'basic' THEN s.bit ELSE 0 END) AS BIGINT) AS basic_set,
    CAST(SUM(CASE WHEN s.level = 'mature' THEN s.bit ELSE 0 END) AS BIGINT) AS mature_set
  FROM in_use AS i
  JOIN signals AS s ON s.position = i.position
  WHERE i.is_setting OR i.days >= s.minimum_days
  GROUP BY i.account_key, i.month, s.category
), graded AS (
  SELECT
    c.account_key,
    c.month,
    c.category,
    c.basic_features,
    c.mature_features,
    CASE WHEN c.mature_features >= m.at_least THEN 'mature' WHEN c.basic_features >= b.at_least THEN 'basic' ELSE 'none' END AS level,
    CASE WHEN c.mature_features >= m.at_least THEN 'mature' ELSE 'basic' END AS named_level,
    CASE WHEN c.mature_features >= m.at_least THEN c.mature_set ELSE c.basic_set END AS named_set
  FROM counted AS c
  JOIN config.maturity_rule AS b ON b.category = c.category AND b.level = 'basic'
  JOIN config.maturity_rule AS m ON m.category = c.category AND m.level = 'mature'
), sets AS (
  SELECT DISTINCT g.category, g.named_level, g.named_set FROM graded AS g
), names AS (
  SELECT n.category, n.named_level, n.named_set, STRING_AGG(DISTINCT s.feature, ', ' ORDER BY s.feature) AS features
  FROM sets AS n
  JOIN signals AS s
    ON s.category = n.category
    AND s.level = n.named_level
    AND FLOOR(n.named_set / NULLIF(s.bit, 0)) - 2 * FLOOR(n.named_set / NULLIF(2 * s.bit, 0)) = 1
  GROUP BY n.category, n.named_level, n.named_set
), depths AS (
  SELECT g.account_key, g.month, COUNT(*) AS mature_categories
  FROM graded AS g
  WHERE g.level = 'mature'
  GROUP BY g.account_key, g.month
)
SELECT
  m.account_id,
  m.account_key,
  m.month,
  c.category,
  COALESCE(g.level, 'none') AS level,
  COALESCE(g.basic_features, 0) AS basic_features,
  COALESCE(g.mature_features, 0) AS mature_features,
  n.features,
  COALESCE(d.mature_categories, 0) AS mature_categories
FROM account_months AS m
CROSS JOIN config.maturity_category AS c
LEFT JOIN graded AS g ON g.account_key = m.account_key AND g.month = m.month AND g.category = c.category
LEFT JOIN names AS n ON n.category = g.category AND n.named_level = g.named_level AND n.named_set = g.named_set
LEFT JOIN depths AS d ON d.account_key = m.account_key AND d.month = m.month
