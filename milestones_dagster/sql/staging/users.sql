/*
about: The people behind the events, with the account that each belongs to, from the users source or, without one, from the events.
grain: one row per user
key: [user_key]
columns:
  user_id: VARCHAR NOT NULL -- The user's own identifier.
  user_key: BIGINT NOT NULL -- 64-bit key that stands for it in every event table.
  account_key: BIGINT -- Account of the user; NULL where nobody says. Without a users source, the account of the first event.
  created_at: TIMESTAMP -- When the user was created, UTC; without a users source, the first event with an account.
  attributes: VARCHAR -- Further declared attributes as JSON text, known at the extract.
*/
WITH declared AS (
  SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'users'
), seen AS (
  SELECT
    i.user_key,
    i.user_id,
    NULLIF(i.account_key, 0) AS account_key,
    i.first_at AS created_at,
    ROW_NUMBER() OVER (PARTITION BY i.user_key ORDER BY i.account_key = 0, i.first_at, i.account_key) AS sighting
  FROM event_identities AS i
  CROSS JOIN run.observation AS o
  CROSS JOIN declared AS d
  WHERE i.user_key <> 0 AND i.first_at < o.as_of AND d.sources = 0
)
SELECT
  u.user_id,
  CAST('0x' || SUBSTRING(MD5('milestones user ' || u.user_id), 1, 15) AS BIGINT) AS user_key,
  CAST('0x' || SUBSTRING(MD5('milestones account ' || u.account_id), 1, 15) AS BIGINT) AS account_key,
  u.created_at,
  u.attributes
FROM source.users AS u
CROSS JOIN run.observation AS o
WHERE u.created_at IS NULL OR u.created_at < o.as_of
UNION ALL
SELECT s.user_id, s.user_key, s.account_key, s.created_at, CAST(NULL AS VARCHAR) AS attributes
FROM seen AS s
WHERE s.sighting = 1
