/*
about: >
  Every product event of the loaded days, once, as one Parquet file per UTC day. A row that a row rule refuses stays in the
  file of its day with the reason; readers see the accepted rows as `raw_events` and the refused ones as `operations.quarantine`.
grain: one row per delivered event; a repeated delivery (same source and event_id within its day) is kept once
key: [day, source, event_id]
by: day
order: [day, account_key, occurred_at, source, event_id]
columns:
  day: DATE NOT NULL -- UTC day of the event's own time; a refused row without a usable time stands on its file's commonest day.
  occurred_at: TIMESTAMP -- When it happened, UTC; NULL in refused rows with an unreadable time.
  reporting_date: DATE -- Date of occurred_at in the reporting time zone.
  event: VARCHAR -- Name of the event as the tracking plan knows it.
  event_id: VARCHAR NOT NULL -- Identifier from the source, or a hash of the row where it has none, numbered among equal rows of its file.
  account_key: BIGINT -- 64-bit key of the account; NULL for an event without an account.
  user_key: BIGINT -- 64-bit key of the user; NULL for an event without a user.
  account_id: VARCHAR -- The account's own identifier, read by event_identities alone.
  user_id: VARCHAR -- The user's own identifier, read by event_identities alone.
  properties: VARCHAR -- The event's properties as JSON text.
  received_at: TIMESTAMP NOT NULL -- When the row arrived, UTC; the arrival of its file where the source does not say.
  source: VARCHAR NOT NULL -- Name of the event source.
  file: VARCHAR NOT NULL -- File that brought the row.
  refusal_reason: VARCHAR -- Name of the row rule that refused the row; NULL for an accepted row.
*/
WITH delivered AS (
  SELECT
    e.occurred_at,
    e.event,
    e.account_id,
    e.user_id,
    e.properties,
    COALESCE(e.received_at, f.arrived_at) AS received_at,
    e.source,
    e.file,
    f.home_day,
    e.event_id,
    CASE
      WHEN e.occurred_at IS NULL THEN 'unreadable_time'
      WHEN e.event IS NULL OR e.event = '' THEN 'no_event_name'
      WHEN e.occurred_at > COALESCE(e.received_at, f.arrived_at) THEN 'after_arrival'
      WHEN e.occurred_at < f.starts_at THEN 'before_start'
    END AS refusal_reason
  FROM source.events AS e
  JOIN run.files AS f ON f.file = e.file AND f.source = e.source
), dated AS (
  SELECT
    d.*,
    CASE
      WHEN d.refusal_reason IN ('unreadable_time', 'after_arrival', 'before_start') THEN d.home_day
      ELSE CAST(d.occurred_at AS DATE)
    END AS day
  FROM delivered AS d
), repeated AS (
  SELECT
    dated.*,
    ROW_NUMBER() OVER (
      PARTITION BY dated.day, dated.source, dated.event_id
      ORDER BY
        dated.refusal_reason NULLS FIRST, dated.received_at, dated.occurred_at, dated.account_id NULLS LAST,
        dated.user_id NULLS LAST, dated.event, dated.properties NULLS LAST, dated.file
    ) AS delivery
  FROM dated
)
SELECT
  r.day,
  r.occurred_at,
  -- a change of zone costs as much as all other columns together
  CASE
    WHEN p.time_zone = 'UTC' THEN CAST(r.occurred_at AS DATE)
    ELSE CAST(r.occurred_at AT TIME ZONE 'UTC' AT TIME ZONE p.time_zone AS DATE)
  END AS reporting_date,
  r.event,
  r.event_id,
  CAST('0x' || SUBSTRING(MD5('milestones account ' || r.account_id), 1, 15) AS BIGINT) AS account_key,
  CAST('0x' || SUBSTRING(MD5('milestones user ' || r.user_id), 1, 15) AS BIGINT) AS user_key,
  r.account_id,
  r.user_id,
  r.properties,
  r.received_at,
  r.source,
  r.file,
  r.refusal_reason
FROM repeated AS r
CROSS JOIN config.product AS p
WHERE r.delivery = 1
