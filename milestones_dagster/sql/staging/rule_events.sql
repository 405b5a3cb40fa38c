/*
about: >
  The events that a milestone rule or an outcome names, with the instant, the entity and the property value that the rule asks for.
  What has an instant or an entity in its definition (a window from a timestamp, the k-th event, the last resolution) reads this table.
grain: one row per event and rule that it meets
key: [day, rule, source, event_id]
by: day
order: [day, rule, account_key, occurred_at]
columns:
  day: DATE NOT NULL -- UTC day, the unit in which the table is made again.
  occurred_at: TIMESTAMP NOT NULL -- When it happened, UTC.
  reporting_date: DATE NOT NULL -- Date in the reporting time zone.
  rule: VARCHAR NOT NULL -- The rule that the event meets, such as `setup:invite_teammates`, `activation`, `usage`, `usage_contact`, `core`.
  event: VARCHAR NOT NULL -- Name of the event.
  source: VARCHAR NOT NULL -- Name of the event source.
  event_id: VARCHAR NOT NULL -- Identifier of the event, unique within its source and day.
  account_key: BIGINT -- 64-bit key of the account on the event; NULL only where an entity may tell the account.
  user_key: BIGINT -- 64-bit key of the user.
  entity_key: BIGINT -- 64-bit key of the entity, such as the conversation; NULL where the rule names none.
  distinct_value: VARCHAR -- The value whose distinct number the rule counts (a user's key or a property); NULL where it counts events.
*/
WITH named AS (
  SELECT
    e.day,
    e.occurred_at,
    e.reporting_date,
    r.rule,
    e.event,
    e.source,
    e.event_id,
    e.account_key,
    e.user_key,
    e.properties,
    r.distinct_by,
    r.distinct_property,
    e.properties ->> r.entity_property AS entity_id
  FROM raw_events AS e
  JOIN config.rule AS r ON r.event = e.event
), conditions AS (
  SELECT c.rule, COUNT(DISTINCT c.property) AS properties
  FROM config.rule_filter AS c
  GROUP BY c.rule
), met AS (
  SELECT n.day, n.rule, n.source, n.event_id, COUNT(DISTINCT f.property) AS properties
  FROM named AS n
  JOIN config.rule_filter AS f ON f.rule = n.rule AND f.value = n.properties ->> f.property
  GROUP BY n.day, n.rule, n.source, n.event_id
)
SELECT
  n.day,
  n.occurred_at,
  n.reporting_date,
  n.rule,
  n.event,
  n.source,
  n.event_id,
  n.account_key,
  n.user_key,
  CAST('0x' || SUBSTRING(MD5('milestones entity ' || n.entity_id), 1, 15) AS BIGINT) AS entity_key,
  CASE
    WHEN n.distinct_by = 'users' THEN CAST(n.user_key AS VARCHAR)
    WHEN n.distinct_by = 'property' THEN n.properties ->> n.distinct_property
  END AS distinct_value
FROM named AS n
LEFT JOIN conditions AS c ON c.rule = n.rule
LEFT JOIN met AS m ON m.day = n.day AND m.rule = n.rule AND m.source = n.source AND m.event_id = n.event_id
WHERE (c.properties IS NULL OR m.properties = c.properties)
  AND (n.account_key IS NOT NULL OR n.entity_id IS NOT NULL)
  -- the commonest events of all may be contacts: kept only where somebody takes part in something
  AND (n.rule <> 'usage_contact' OR (n.entity_id IS NOT NULL AND (n.account_key IS NOT NULL OR n.user_key IS NOT NULL)))
