/*
about: >
  How often each user of an account did what on which day. Everything that is counted by day, month or breadth reads this table;
  what depends on an instant or an entity reads `rule_events`.
grain: one row per account, user, event, UTC day and reporting date
key: [day, account_key, user_key, event, reporting_date]
by: day
columns:
  day: DATE NOT NULL -- UTC day, the unit in which the table is made again.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  user_key: BIGINT NOT NULL -- 64-bit key of the user; 0 for events without a user.
  event: VARCHAR NOT NULL -- Name of the event.
  reporting_date: DATE NOT NULL -- Date in the reporting time zone; a UTC day may fall on two of them.
  events: BIGINT NOT NULL [events] -- Number of events.
  first_at: TIMESTAMP NOT NULL -- First of them, UTC.
  last_at: TIMESTAMP NOT NULL -- Last of them, UTC.
*/
SELECT
  e.day,
  e.account_key,
  COALESCE(e.user_key, 0) AS user_key,
  e.event,
  e.reporting_date,
  COUNT(*) AS events,
  MIN(e.occurred_at) AS first_at,
  MAX(e.occurred_at) AS last_at
FROM raw_events AS e
WHERE e.account_key IS NOT NULL
GROUP BY e.day, e.account_key, COALESCE(e.user_key, 0), e.event, e.reporting_date
