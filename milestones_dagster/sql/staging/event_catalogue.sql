/*
about: >
  Every event name that the data, the tracking plan or the config knows, side by side: what arrives unplanned, what is planned and never arrives, and what the
  config names and nobody sends. The last is mostly a typing mistake; the closest names that do arrive stand beside it.
grain: one row per event name
key: [event]
then: evidence.names.closest_events
columns:
  event: VARCHAR NOT NULL -- Name of the event.
  events: BIGINT NOT NULL [events] -- Events before the as-of time, with and without an account.
  events_without_account: BIGINT NOT NULL [events] -- Those of them that name no account.
  accounts: BIGINT NOT NULL [accounts] -- Accounts that did it.
  first_day: DATE -- First UTC day on which it was seen.
  last_day: DATE -- Last UTC day on which it was seen.
  is_tracked: BOOLEAN NOT NULL -- The tracking plan lists it.
  used_by: VARCHAR -- What in the config reads it; NULL where nothing does.
  unmatched_by: VARCHAR -- Of what reads it, all where it never arrives, and where it never comes with an account all that has no entity to tell one; NULL where nothing reads it in vain.
  closest_events: VARCHAR -- For a name that never arrives, the closest names that do; NULL otherwise.
  hint: VARCHAR NOT NULL -- The name, what reads it, and why it matches nothing, in one line.
*/
WITH seen AS (
  SELECT
    d.event,
    CAST(SUM(d.events) AS BIGINT) AS events,
    CAST(SUM(d.events - d.events_with_account) AS BIGINT) AS events_without_account,
    MIN(d.day) AS first_day,
    MAX(d.day) AS last_day
  FROM event_name_daily AS d
  CROSS JOIN run.observation AS o
  WHERE d.day < o.as_of_date
  GROUP BY d.event
), done AS (
  SELECT d.event, COUNT(DISTINCT d.account_key) AS accounts
  FROM account_event_daily AS d
  CROSS JOIN run.observation AS o
  WHERE d.day < o.as_of_date
  GROUP BY d.event
), configured AS (
  SELECT c.event, c.used_by, CASE WHEN NOT c.has_entity THEN c.used_by END AS needs_account
  FROM config.configured_event AS c
), used AS (
  SELECT
    c.event,
    STRING_AGG(DISTINCT c.used_by, ', ' ORDER BY c.used_by) AS used_by,
    STRING_AGG(DISTINCT c.needs_account, ', ' ORDER BY c.needs_account) AS used_by_account
  FROM configured AS c
  GROUP BY c.event
), names AS (
  SELECT s.event FROM seen AS s
  UNION
  SELECT u.event FROM used AS u
  UNION
  SELECT t.event FROM config.tracked_event AS t
)
SELECT
  n.event,
  COALESCE(s.events, 0) AS events,
  COALESCE(s.events_without_account, 0) AS events_without_account,
  COALESCE(d.accounts, 0) AS accounts,
  s.first_day,
  s.last_day,
  t.event IS NOT NULL AS is_tracked,
  u.used_by,
  CASE WHEN s.event IS NULL THEN u.used_by WHEN s.events = s.events_without_account THEN u.used_by_account END AS unmatched_by
FROM names AS n
LEFT JOIN seen AS s ON s.event = n.event
LEFT JOIN done AS d ON d.event = n.event
LEFT JOIN used AS u ON u.event = n.event
LEFT JOIN config.tracked_event AS t ON t.event = n.event
