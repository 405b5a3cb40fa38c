/*
about: >
  The identifiers behind the keys: which accounts and users were seen on which day. It lets `accounts` and `users` be made where a
  company delivers events alone, and is the only table that reads identifiers out of events.
grain: one row per account, user and UTC day
key: [day, account_key, user_key]
by: day
columns:
  day: DATE NOT NULL -- UTC day.
  account_key: BIGINT NOT NULL -- 64-bit key of the account; 0 for events without an account.
  user_key: BIGINT NOT NULL -- 64-bit key of the user; 0 for events without a user.
  account_id: VARCHAR -- The account's own identifier.
  user_id: VARCHAR -- The user's own identifier.
  first_at: TIMESTAMP NOT NULL -- First event of the pair on that day, UTC.
  events: BIGINT NOT NULL [events] -- Events of the pair on that day.
*/
SELECT
  e.day,
  COALESCE(e.account_key, 0) AS account_key,
  COALESCE(e.user_key, 0) AS user_key,
  MIN(e.account_id) AS account_id,
  MIN(e.user_id) AS user_id,
  MIN(e.occurred_at) AS first_at,
  COUNT(*) AS events
FROM raw_events AS e
WHERE e.account_key IS NOT NULL OR e.user_key IS NOT NULL
GROUP BY e.day, COALESCE(e.account_key, 0), COALESCE(e.user_key, 0)
