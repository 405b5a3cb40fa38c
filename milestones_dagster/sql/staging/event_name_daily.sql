/*
about: >
  How often each event name arrives on which day, with and without an account. `account_event_daily` holds events of accounts alone, so
  this is the only table that knows a name which never comes with one.
grain: one row per event name and UTC day
key: [day, event]
by: day
columns:
  day: DATE NOT NULL -- UTC day, the unit in which the table is made again.
  event: VARCHAR NOT NULL -- Name of the event.
  events: BIGINT NOT NULL [events] -- Number of events.
  events_with_account: BIGINT NOT NULL [events] -- Those of them that name an account.
*/
SELECT
  e.day,
  e.event,
  COUNT(*) AS events,
  COUNT(e.account_key) AS events_with_account
FROM raw_events AS e
GROUP BY e.day, e.event
