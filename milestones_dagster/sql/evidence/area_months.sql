/*
about: >
  Each product area's success metric of each account in each calendar month that it paid for, in whole or in part: events, days or users of the month, or events per seat
  paid, for a month of full length. Empty where the config names no areas.
grain: one row per account, month and area
key: [account_id, month, area]
by: month
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  area: VARCHAR NOT NULL -- Name of the area.
  is_evidence: BOOLEAN NOT NULL -- The month has ended and was paid from its start to its end.
  value: DOUBLE -- The area's metric; 0 without events; NULL where it is per seat and there were no seats.
*/
WITH known AS (
  -- days and users are told apart only where the measure asks for it
  SELECT
    d.account_key,
    CAST(DATE_TRUNC('month', d.reporting_date) AS DATE) AS month,
    e.area,
    CASE WHEN a.measure = 'days' THEN d.reporting_date END AS date,
    CASE WHEN a.measure = 'users' AND d.user_key <> 0 THEN d.user_key END AS user_key,
    SUM(d.events) AS events
  FROM account_event_daily AS d
  JOIN config.area_event AS e ON e.event = d.event
  JOIN config.area AS a ON a.area = e.area
  CROSS JOIN run.observation AS o
  WHERE d.day < o.as_of_date
  GROUP BY
    d.account_key,
    CAST(DATE_TRUNC('month', d.reporting_date) AS DATE),
    e.area,
    CASE WHEN a.measure = 'days' THEN d.reporting_date END,
    CASE WHEN a.measure = 'users' AND d.user_key <> 0 THEN d.user_key END
),
counted AS (
  SELECT account_key, month, area, SUM(events) AS events, COUNT(date) AS days, COUNT(user_key) AS users
  FROM known
  GROUP BY account_key, month, area
)
SELECT
  m.account_id,
  m.account_key,
  m.month,
  a.area,
  m.is_paid_whole AS is_evidence,
  CAST(
    CASE a.measure
      WHEN 'count' THEN COALESCE(c.events, 0)
      WHEN 'days' THEN COALESCE(c.days, 0)
      WHEN 'users' THEN COALESCE(c.users, 0)
      WHEN 'count_per_seat' THEN
        CASE WHEN m.seat_seconds > 0 THEN COALESCE(c.events, 0) * m.month_seconds / NULLIF(m.seat_seconds, 0) END
    END AS DOUBLE
  ) AS value
FROM account_months AS m
CROSS JOIN config.area AS a
LEFT JOIN counted AS c ON c.account_key = m.account_key AND c.month = m.month AND c.area = a.area
WHERE m.paid_seconds > 0
