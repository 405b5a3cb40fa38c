/*
about: >
  The paying customers, from the accounts source and, where a company has none, from the events and subscriptions themselves. The
  originals of the keys stand here and in `users` alone.
grain: one row per account
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key that stands for it in every event table.
  created_at: TIMESTAMP -- When the account was created, UTC; NULL where no source says.
  first_event_at: TIMESTAMP -- First event of the account before the as-of time, UTC.
  plan: VARCHAR -- Plan in the newest extract; known at the extract only, unless the config says otherwise.
  seats: DOUBLE [seats] -- Seats in the newest extract; the same caveat.
  segment: VARCHAR -- Segment in the newest extract; the same caveat.
  attributes: VARCHAR -- Further declared attributes as JSON text; the same caveat.
  is_declared: BOOLEAN NOT NULL -- True where the accounts source lists it, false where events or subscriptions alone name it.
*/
WITH seen AS (
  SELECT i.account_key, MIN(i.account_id) AS account_id, MIN(i.first_at) AS first_event_at
  FROM event_identities AS i
  CROSS JOIN run.observation AS o
  WHERE i.account_key <> 0 AND i.first_at < o.as_of
  GROUP BY i.account_key
), listed AS (
  SELECT
    a.account_id,
    CAST('0x' || SUBSTRING(MD5('milestones account ' || a.account_id), 1, 15) AS BIGINT) AS account_key,
    a.created_at,
    a.plan,
    a.seats,
    a.segment,
    a.attributes
  FROM source.accounts AS a
  CROSS JOIN run.observation AS o
  WHERE a.created_at IS NULL OR a.created_at < o.as_of
), billed AS (
  SELECT DISTINCT s.account_id
  FROM source.subscriptions AS s
  CROSS JOIN run.observation AS o
  WHERE s.started_at < o.as_of
), keyed AS (
  SELECT
    b.account_id,
    CAST('0x' || SUBSTRING(MD5('milestones account ' || b.account_id), 1, 15) AS BIGINT) AS account_key
  FROM billed AS b
), declared AS (
  SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'accounts'
), inferred AS (
  SELECT e.account_key, MIN(e.account_id) AS account_id
  FROM (
    SELECT s.account_key, s.account_id FROM seen AS s
    UNION ALL
    SELECT k.account_key, k.account_id FROM keyed AS k
  ) AS e
  CROSS JOIN declared AS d
  WHERE d.sources = 0
  GROUP BY e.account_key
)
SELECT
  l.account_id,
  l.account_key,
  l.created_at,
  s.first_event_at,
  l.plan,
  l.seats,
  l.segment,
  l.attributes,
  TRUE AS is_declared
FROM listed AS l
LEFT JOIN seen AS s ON s.account_key = l.account_key
UNION ALL
SELECT
  i.account_id,
  i.account_key,
  CAST(NULL AS TIMESTAMP) AS created_at,
  s.first_event_at,
  CAST(NULL AS VARCHAR) AS plan,
  CAST(NULL AS DOUBLE) AS seats,
  CAST(NULL AS VARCHAR) AS segment,
  CAST(NULL AS VARCHAR) AS attributes,
  FALSE AS is_declared
FROM inferred AS i
LEFT JOIN seen AS s ON s.account_key = i.account_key
