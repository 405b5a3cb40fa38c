/*
about: >
  What each account did before each date at which it was looked at, one column per feature of the catalogue, with the outcome after it. Nothing at or after the
  date is read: what is counted by day is read from whole dates of the reporting zone, the last one before D's. Attributes are those of the date, and one that
  is known only in hindsight is refused when the config is loaded.
grain: one row per account and observation date
key: [account_key, observed_at]
by: month
month_of: observed_at
pivot: true
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  observed_at: TIMESTAMP NOT NULL -- The date D before which features are read, UTC.
  known_at: TIMESTAMP NOT NULL -- From when the outcome can be known, UTC.
  retained: BOOLEAN -- The outcome after D; NULL while it is not known, or locked and so no evidence.
  plan: VARCHAR -- Plan at D.
  size_stratum: VARCHAR -- Size class at D, of the seats; without a history of seats, of the users active before D.
*/
WITH kinds AS (
  SELECT
    r.account_key,
    r.observed_at,
    d.observed_date,
    r.known_at,
    CASE WHEN r.is_evidence THEN r.retained END AS retained,
    ROW_NUMBER() OVER (PARTITION BY r.account_key, r.observed_at ORDER BY r.kind) AS repetition
  FROM retention_outcomes AS r
  JOIN observation_dates AS d ON d.account_key = r.account_key AND d.kind = r.kind AND d.observed_at = r.observed_at
  CROSS JOIN config.policy AS p
  WHERE (p.retention_form = 'horizon' AND r.kind = 'month')
     -- read from activity, the first event itself would be the outcome of the row at the start
     OR (p.retention_form = 'horizon' AND r.kind = 'start' AND p.retention_basis = 'subscriptions')
     OR (p.retention_form = 'window' AND r.kind = 'landmark')
), people AS (
  -- the size of an account is the number of its people where there is no history of seats, and is not asked for where there is one
  SELECT i.account_key, i.user_key, MIN(i.first_at) AS first_at
  FROM event_identities AS i
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS s WHERE s.source = 'subscriptions') AS b
  WHERE b.sources = 0 AND i.account_key <> 0 AND i.user_key <> 0
  GROUP BY i.account_key, i.user_key
), active AS (
  SELECT k.account_key, k.observed_at, COUNT(*) AS users
  FROM kinds AS k
  JOIN people AS p ON p.account_key = k.account_key AND p.first_at < k.observed_at
  GROUP BY k.account_key, k.observed_at
), observed AS (
  SELECT
    k.account_key,
    k.observed_at,
    k.observed_date,
    k.known_at,
    k.retained,
    h.plan,
    h.seats,
    h.mrr,
    CASE WHEN b.sources > 0 THEN h.seats ELSE COALESCE(h.seats, u.users) END AS size,
    a.segment,
    a.attributes
  FROM kinds AS k
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'subscriptions') AS b
  LEFT JOIN active AS u ON u.account_key = k.account_key AND u.observed_at = k.observed_at
  JOIN accounts AS a ON a.account_key = k.account_key
  LEFT JOIN account_history AS h
    ON h.account_key = k.account_key
    AND h.valid_from <= k.observed_at
    AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > k.observed_at
  WHERE k.repetition = 1
), windows AS (
  SELECT
    o.account_key,
    o.observed_at,
    o.observed_date,
    o.seats,
    CAST(CAST(o.observed_date AS TIMESTAMP) - TO_SECONDS(w.seconds) - TO_MONTHS(w.months) AS DATE) AS from_date,
    CAST(CAST(o.observed_date AS TIMESTAMP) - TO_SECONDS(2 * w.seconds) - TO_MONTHS(2 * w.months) AS DATE) AS previous_from_date
  FROM observed AS o
  JOIN config.duration AS w ON w.name = 'feature_window'
), timeline AS (
  -- of a part of the months the days before all of their windows are not read
  SELECT
    MIN(w.previous_from_date) AS from_date,
    CAST(MAX(DATE_DIFF('day', w.previous_from_date, w.observed_date)) AS DOUBLE) AS stretch_days
  FROM windows AS w
), stretches AS (
  -- time in stretches as long as the longest window, which lies in two of them at most: a day is compared with the windows of its own
  SELECT w.*, n.step + CAST(FLOOR(DATE_DIFF('day', t.from_date, w.previous_from_date) / NULLIF(t.stretch_days, 0)) AS INTEGER) AS stretch
  FROM windows AS w
  CROSS JOIN timeline AS t
  CROSS JOIN (SELECT 0 AS step UNION ALL SELECT 1 AS step) AS n
), used_by AS (
  -- numbers are grouped in half the time of names
  SELECT
    e.event,
    f.position,
    f.measure,
    -- what was done before the window tells of a trend, and that a number per seat is unknown and not 0 where there are no seats
    f.measure IN ('trend', 'count_per_seat') AS looks_back
  FROM config.feature_event AS e
  JOIN config.feature AS f ON f.feature = e.feature
  WHERE e.role = 'use'
), used AS (
  SELECT
    d.account_key,
    b.position,
    b.looks_back,
    d.reporting_date,
    CAST(FLOOR(DATE_DIFF('day', t.from_date, d.reporting_date) / NULLIF(t.stretch_days, 0)) AS INTEGER) AS stretch,
    d.events
  FROM account_event_daily AS d
  JOIN used_by AS b ON b.event = d.event AND b.measure NOT IN ('days', 'users')
  JOIN timeline AS t ON d.reporting_date >= t.from_date
  UNION ALL
  -- a row per date first: the days of a window are then counted and not told apart
  SELECT
    d.account_key,
    b.position,
    FALSE AS looks_back,
    d.reporting_date,
    CAST(FLOOR(DATE_DIFF('day', t.from_date, d.reporting_date) / NULLIF(t.stretch_days, 0)) AS INTEGER) AS stretch,
    COUNT(*) AS events
  FROM account_event_daily AS d
  JOIN used_by AS b ON b.event = d.event AND b.measure = 'days'
  JOIN timeline AS t ON d.reporting_date >= t.from_date
  GROUP BY d.account_key, b.position, d.reporting_date, t.from_date, t.stretch_days
), users_daily AS (
  SELECT
    d.account_key,
    b.position,
    d.user_key,
    d.reporting_date,
    CAST(FLOOR(DATE_DIFF('day', t.from_date, d.reporting_date) / NULLIF(t.stretch_days, 0)) AS INTEGER) AS stretch
  FROM account_event_daily AS d
  JOIN used_by AS b ON b.event = d.event AND b.measure = 'users'
  JOIN timeline AS t ON d.reporting_date >= t.from_date
), uses AS (
  SELECT
    w.account_key,
    w.observed_at,
    u.position,
    MAX(w.seats) AS seats,
    SUM(CASE WHEN u.reporting_date >= w.from_date THEN 1 ELSE 0 END) AS days,
    SUM(CASE WHEN u.reporting_date >= w.from_date THEN u.events ELSE 0 END) AS events,
    SUM(CASE WHEN u.reporting_date < w.from_date THEN u.events ELSE 0 END) AS previous_events
  FROM stretches AS w
  JOIN used AS u
    ON u.account_key = w.account_key
    AND u.stretch = w.stretch
    AND u.reporting_date < w.observed_date
    AND u.reporting_date >= CASE WHEN u.looks_back THEN w.previous_from_date ELSE w.from_date END
  GROUP BY w.account_key, w.observed_at, u.position
), breadths AS (
  SELECT w.account_key, w.observed_at, u.position, COUNT(DISTINCT NULLIF(u.user_key, 0)) AS users
  FROM stretches AS w
  JOIN users_daily AS u
    ON u.account_key = w.account_key
    AND u.stretch = w.stretch
    AND u.reporting_date < w.observed_date
    AND u.reporting_date >= w.from_date
  GROUP BY w.account_key, w.observed_at, u.position
), measured AS (
  SELECT
    u.account_key,
    u.observed_at,
    f.feature,
    CASE f.measure
      WHEN 'used' THEN CASE WHEN u.days > 0 THEN 1 ELSE 0 END
      WHEN 'days' THEN u.days
      WHEN 'count' THEN u.events
      WHEN 'count_per_seat' THEN CASE WHEN u.seats > 0 THEN u.events / NULLIF(u.seats, 0) END
      WHEN 'trend' THEN LN((1 + u.events) / NULLIF(CAST(1 + u.previous_events AS DOUBLE), 0))
    END AS value
  FROM uses AS u
  JOIN config.feature AS f ON f.position = u.position
  UNION ALL
  SELECT b.account_key, b.observed_at, f.feature, b.users AS value
  FROM breadths AS b
  JOIN config.feature AS f ON f.position = b.position
), switched AS (
  SELECT
    w.account_key,
    w.observed_at,
    e.feature,
    MAX(CASE WHEN e.role = 'on' THEN d.last_at END) AS on_at,
    MAX(CASE WHEN e.role = 'off' THEN d.last_at END) AS off_at
  FROM windows AS w
  JOIN account_event_daily AS d ON d.account_key = w.account_key AND d.reporting_date < w.observed_date
  JOIN config.feature_event AS e ON e.event = d.event AND e.role IN ('on', 'off')
  GROUP BY w.account_key, w.observed_at, e.feature
), settings AS (
  SELECT
    s.account_key,
    s.observed_at,
    s.feature,
    CASE WHEN s.on_at IS NOT NULL AND (s.off_at IS NULL OR s.off_at < s.on_at) THEN 1 ELSE 0 END AS value
  FROM switched AS s
), described AS (
  SELECT
    o.account_key,
    o.observed_at,
    f.feature,
    f.equals,
    CASE f.attribute
      WHEN 'plan' THEN o.plan
      WHEN 'seats' THEN CAST(o.seats AS VARCHAR)
      WHEN 'mrr' THEN CAST(o.mrr AS VARCHAR)
      WHEN 'segment' THEN CASE WHEN g.known_at = 'created' THEN o.segment ELSE c.segment END
      ELSE CASE WHEN g.known_at = 'created' THEN o.attributes ->> f.attribute ELSE c.attributes ->> f.attribute END
    END AS text
  FROM observed AS o
  JOIN config.feature AS f ON f.measure = 'attribute'
  LEFT JOIN config.attribute AS g ON g.source = 'accounts' AND g.attribute = f.attribute
  LEFT JOIN (
    SELECT
      b.account_key,
      b.segment,
      b.attributes,
      b.copied_at,
      LEAD(b.copied_at) OVER (PARTITION BY b.account_key ORDER BY b.copied_at) AS next_copied_at
    FROM account_copies AS b
  ) AS c
    ON c.account_key = o.account_key
    AND c.copied_at <= o.observed_at
    AND COALESCE(c.next_copied_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > o.observed_at
), attributes AS (
  SELECT
    d.account_key,
    d.observed_at,
    d.feature,
    CASE
      WHEN d.equals IS NULL THEN TRY_CAST(d.text AS DOUBLE)
      WHEN d.text IS NULL THEN NULL
      WHEN d.text = d.equals THEN 1
      -- five seats are 5.0 and may be asked for as 5; a code such as 05 is no number and stays what it is
      WHEN d.text = CAST(TRY_CAST(d.equals AS DOUBLE) AS VARCHAR) THEN 1
      ELSE 0
    END AS value
  FROM described AS d
), valued AS (
  SELECT m.account_key, m.observed_at, m.feature, CAST(m.value AS DOUBLE) AS value FROM measured AS m
  UNION ALL
  SELECT s.account_key, s.observed_at, s.feature, CAST(s.value AS DOUBLE) AS value FROM settings AS s
  UNION ALL
  SELECT a.account_key, a.observed_at, a.feature, a.value FROM attributes AS a
)
SELECT
  o.account_key,
  o.observed_at,
  o.known_at,
  o.retained,
  o.plan,
  z.stratum AS size_stratum,
  v.feature,
  v.value
FROM observed AS o
LEFT JOIN valued AS v ON v.account_key = o.account_key AND v.observed_at = o.observed_at
LEFT JOIN config.size_stratum AS z ON o.size >= z.seats_from AND (z.seats_to IS NULL OR o.size < z.seats_to)
