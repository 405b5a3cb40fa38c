/*
about: >
  What an account got done in a month per seat it paid for; usage_ratio holds it against the threshold. Seats are weighted by the time they were
  paid, so that a small, healthy account is as visible as a large one. `resolved` follows what is known now; `resolved_at_close` is as of the
  month's end and never changes. A conversation is its account's that the resolving event names, else that of its earliest contact: the account on
  the contact's event, else of its user.
grain: one row per account and month
key: [account_id, month]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  is_whole: BOOLEAN NOT NULL -- True when the month has ended.
  resolved: BIGINT NOT NULL [conversations] -- Conversations whose last resolution as of now lies in the month and which are not open again.
  resolved_at_close: BIGINT NOT NULL [conversations] -- The same as of the month's end; past stages, features and thresholds read this one.
  seats: DOUBLE [seats] -- Seats weighted by paid time.
  ratio: DOUBLE [conversations per seat and month] -- resolved per seat, for a month of full length; NULL without seats.
  ratio_at_close: DOUBLE [conversations per seat and month] -- The same from resolved_at_close.
  is_partial: BOOLEAN NOT NULL -- Not paid from the month's start to its end, or still running; shown, never evidence.
  reason: VARCHAR -- Why there is no ratio or no whole month, `not_paying`, `no_seats`, `running` or `partial`; NULL otherwise.
*/
WITH entity_month AS (
  SELECT
    e.entity_key,
    CAST(DATE_TRUNC('month', e.reporting_date) AS DATE) AS month,
    MAX(CASE WHEN e.rule = 'usage' THEN e.occurred_at END) AS resolved_at,
    MAX(CASE WHEN e.rule = 'usage_reopened' THEN e.occurred_at END) AS reopened_at,
    MIN(CASE WHEN e.rule = 'usage' THEN e.account_key END) AS least_key,
    MAX(CASE WHEN e.rule = 'usage' THEN e.account_key END) AS greatest_key,
    COUNT(CASE WHEN e.rule = 'usage' AND e.account_key IS NULL THEN 1 END) AS nameless
  FROM rule_events AS e
  CROSS JOIN run.observation AS o
  WHERE e.entity_key IS NOT NULL AND e.rule IN ('usage', 'usage_reopened') AND e.occurred_at < o.as_of
  GROUP BY e.entity_key, CAST(DATE_TRUNC('month', e.reporting_date) AS DATE)
), entity AS (
  SELECT m.entity_key, MAX(m.resolved_at) AS resolved_at, MAX(m.reopened_at) AS reopened_at
  FROM entity_month AS m
  GROUP BY m.entity_key
), closed AS (
  SELECT
    m.entity_key,
    m.month,
    m.resolved_at,
    m.resolved_at = e.resolved_at AND (e.reopened_at IS NULL OR e.reopened_at <= e.resolved_at) AS is_resolved,
    m.reopened_at IS NULL OR m.reopened_at <= m.resolved_at AS is_resolved_at_close,
    a.account_key AS only_account_key,
    m.least_key <> m.greatest_key OR (m.nameless > 0 AND m.least_key IS NOT NULL) AS is_contested
  FROM entity_month AS m
  JOIN entity AS e ON e.entity_key = m.entity_key
  LEFT JOIN accounts AS a ON a.account_key = CASE WHEN m.least_key = m.greatest_key AND m.nameless = 0 THEN m.least_key END
  WHERE m.resolved_at IS NOT NULL
), named AS (
  -- where all resolutions of the month name one account, it stands above: looking for the last one costs another scan
  SELECT
    c.entity_key,
    c.month,
    a.account_key,
    ROW_NUMBER() OVER (PARTITION BY c.entity_key, c.month ORDER BY a.account_id) AS standing
  FROM closed AS c
  JOIN rule_events AS e ON e.entity_key = c.entity_key AND e.rule = 'usage' AND e.occurred_at = c.resolved_at
  JOIN accounts AS a ON a.account_key = e.account_key
  WHERE c.is_contested
), unnamed AS (
  SELECT c.entity_key, c.month, r.close_at
  FROM closed AS c
  JOIN run.months AS r ON r.month = c.month
  LEFT JOIN named AS n ON n.entity_key = c.entity_key AND n.month = c.month AND n.standing = 1
  WHERE c.only_account_key IS NULL AND n.account_key IS NULL
), contact AS (
  SELECT
    m.entity_key,
    m.month,
    m.close_at,
    e.occurred_at,
    a.account_key AS event_account_key,
    a.account_id AS event_account_id,
    u.user_id,
    u.account_key AS user_account_key,
    e.occurred_at < m.close_at AS is_before_close,
    u.created_at IS NULL OR u.created_at < m.close_at AS is_user_known_at_close
  FROM unnamed AS m
  JOIN rule_events AS e ON e.entity_key = m.entity_key AND e.rule IN ('usage', 'usage_reopened', 'usage_contact')
  CROSS JOIN run.observation AS o
  LEFT JOIN accounts AS a ON a.account_key = e.account_key
  LEFT JOIN users AS u ON u.user_key = e.user_key
  WHERE e.occurred_at < o.as_of
), contact_now AS (
  -- the event's own account goes first: it is what was known then, while users tell of today, and a person may write for two customers
  SELECT
    c.entity_key,
    c.month,
    COALESCE(c.event_account_key, c.user_account_key) AS account_key,
    ROW_NUMBER() OVER (
      PARTITION BY c.entity_key, c.month ORDER BY c.occurred_at, c.user_id NULLS LAST, c.event_account_id NULLS LAST
    ) AS standing
  FROM contact AS c
  WHERE c.event_account_key IS NOT NULL OR c.user_account_key IS NOT NULL
), contact_at_close AS (
  -- a contact who came, or whom somebody came to know, after the month's end changes nothing in the closed month
  SELECT
    c.entity_key,
    c.month,
    COALESCE(c.event_account_key, c.user_account_key) AS account_key,
    ROW_NUMBER() OVER (
      PARTITION BY c.entity_key, c.month
      ORDER BY c.occurred_at, CASE WHEN c.is_user_known_at_close THEN c.user_id END NULLS LAST, c.event_account_id NULLS LAST
    ) AS standing
  FROM contact AS c
  WHERE c.is_before_close AND (c.event_account_key IS NOT NULL OR (c.is_user_known_at_close AND c.user_account_key IS NOT NULL))
), owned AS (
  SELECT
    c.*,
    COALESCE(c.only_account_key, n.account_key, k.account_key) AS account_key,
    COALESCE(c.only_account_key, n.account_key, x.account_key) AS account_key_at_close
  FROM closed AS c
  LEFT JOIN named AS n ON n.entity_key = c.entity_key AND n.month = c.month AND n.standing = 1
  LEFT JOIN contact_now AS k ON k.entity_key = c.entity_key AND k.month = c.month AND k.standing = 1
  LEFT JOIN contact_at_close AS x ON x.entity_key = c.entity_key AND x.month = c.month AND x.standing = 1
), counted AS (
  SELECT w.account_key, w.month, 1 AS resolved, 0 AS resolved_at_close FROM owned AS w WHERE w.is_resolved
  UNION ALL
  SELECT w.account_key_at_close AS account_key, w.month, 0 AS resolved, 1 AS resolved_at_close
  FROM owned AS w
  WHERE w.is_resolved_at_close
), resolved AS (
  SELECT
    c.account_key,
    c.month,
    CAST(SUM(c.resolved) AS BIGINT) AS resolved,
    CAST(SUM(c.resolved_at_close) AS BIGINT) AS resolved_at_close
  FROM counted AS c
  WHERE c.account_key IS NOT NULL
  GROUP BY c.account_key, c.month
  UNION ALL
  SELECT
    e.account_key,
    CAST(DATE_TRUNC('month', e.reporting_date) AS DATE) AS month,
    COUNT(*) AS resolved,
    COUNT(*) AS resolved_at_close
  FROM rule_events AS e
  CROSS JOIN config.policy AS p
  CROSS JOIN run.observation AS o
  WHERE e.rule = 'usage' AND NOT p.has_entity AND e.account_key IS NOT NULL AND e.occurred_at < o.as_of
  GROUP BY e.account_key, CAST(DATE_TRUNC('month', e.reporting_date) AS DATE)
), measured AS (
  SELECT
    m.account_id,
    m.account_key,
    m.month,
    m.is_whole,
    m.is_paid_whole,
    m.paid_seconds,
    m.seats,
    m.seat_seconds,
    COALESCE(r.resolved, 0) AS resolved,
    COALESCE(r.resolved_at_close, 0) AS resolved_at_close,
    CAST(r.resolved * m.month_seconds / NULLIF(m.seat_seconds, 0) AS DOUBLE) AS resolved_per_seat,
    CAST(r.resolved_at_close * m.month_seconds / NULLIF(m.seat_seconds, 0) AS DOUBLE) AS resolved_at_close_per_seat
  FROM account_months AS m
  LEFT JOIN resolved AS r ON r.account_key = m.account_key AND r.month = m.month
), rated AS (
  SELECT
    m.*,
    CASE WHEN m.seat_seconds > 0 THEN COALESCE(m.resolved_per_seat, 0) END AS ratio,
    CASE WHEN m.seat_seconds > 0 THEN COALESCE(m.resolved_at_close_per_seat, 0) END AS ratio_at_close
  FROM measured AS m
)
SELECT
  r.account_id,
  r.account_key,
  r.month,
  r.is_whole,
  r.resolved,
  r.resolved_at_close,
  r.seats,
  r.ratio,
  r.ratio_at_close,
  NOT r.is_paid_whole AS is_partial,
  CASE
    WHEN r.paid_seconds = 0 THEN 'not_paying'
    WHEN r.ratio IS NULL THEN 'no_seats'
    WHEN NOT r.is_whole THEN 'running'
    WHEN NOT r.is_paid_whole THEN 'partial'
  END AS reason
FROM rated AS r
