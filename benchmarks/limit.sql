/*
The limit: the plainest and fastest script that we know for the same published tables on DuckDB. No gate, no record of what was made, no
orchestration, nothing that could be refused or resumed; an error leaves a mess. The tables by day are written by hand here, for the
default framework (a rule has at most one condition; one event source with its own arrival times). Every other table is made by the
product's own SELECT, once and whole, by `limit.py`: of those the limit shows what surrounds the SELECT, and not how slow it is.

`limit.py` runs `at the start` once, `for each batch` for some days of landed files at a time (variable `files`), then the tables in order.
*/

-- at the start
CREATE TABLE staging.account_event_daily (
  day DATE, account_key BIGINT, user_key BIGINT, event VARCHAR, reporting_date DATE, events BIGINT, first_at TIMESTAMP, last_at TIMESTAMP
);
CREATE TABLE staging.event_identities (
  day DATE, account_key BIGINT, user_key BIGINT, account_id VARCHAR, user_id VARCHAR, first_at TIMESTAMP, events BIGINT
);
CREATE TABLE staging.event_name_daily (day DATE, event VARCHAR, events BIGINT, events_with_account BIGINT);
CREATE TABLE staging.rule_events (
  day DATE, occurred_at TIMESTAMP, reporting_date DATE, rule VARCHAR, event VARCHAR, source VARCHAR, event_id VARCHAR,
  account_key BIGINT, user_key BIGINT, entity_key BIGINT, distinct_value VARCHAR
);
CREATE TEMP TABLE rule_condition AS
SELECT rule, any_value(property) AS property, list(value) AS accepted FROM config.rule_filter GROUP BY rule;

-- for each batch
-- everything is read once; a key is hashed once for each identifier and not for each row
CREATE OR REPLACE TEMP TABLE delivered AS
WITH landed AS (
  SELECT event_id, account_id, user_id, event, occurred_at, received_at, properties, filename AS file
  FROM read_parquet(getvariable('files'), filename = true)
)
SELECT
  CASE
    WHEN occurred_at IS NULL OR occurred_at > received_at THEN CAST(received_at AS DATE) ELSE CAST(occurred_at AS DATE)
  END AS day,
  occurred_at,
  CAST(occurred_at AT TIME ZONE 'UTC' AT TIME ZONE (SELECT time_zone FROM config.product) AS DATE) AS reporting_date,
  event,
  event_id,
  CAST('0x' || SUBSTRING(MD5('milestones account ' || account_id), 1, 15) AS BIGINT) AS account_key,
  CAST('0x' || SUBSTRING(MD5('milestones user ' || user_id), 1, 15) AS BIGINT) AS user_key,
  account_id,
  user_id,
  properties,
  received_at,
  'product' AS source,
  file,
  CASE
    WHEN occurred_at IS NULL THEN 'unreadable_time'
    WHEN event IS NULL OR event = '' THEN 'no_event_name'
    WHEN occurred_at > received_at THEN 'after_arrival'
  END AS refusal_reason
FROM landed;
-- a repeated delivery is looked for by its hash, and ordered only where there is one
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT day, hash(event_id) AS hashed FROM delivered GROUP BY day, hash(event_id) HAVING count(*) > 1;
CREATE OR REPLACE TEMP TABLE superfluous AS
SELECT d.rowid AS place
FROM delivered AS d
SEMI JOIN repeated AS r ON r.day = d.day AND r.hashed = hash(d.event_id)
QUALIFY row_number() OVER (PARTITION BY d.day, d.event_id ORDER BY d.refusal_reason NULLS FIRST, d.received_at, d.occurred_at, d.file) > 1;
DELETE FROM delivered WHERE rowid IN (SELECT place FROM superfluous);
COPY delivered TO getvariable('raw') (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARTITION_BY (day), WRITE_PARTITION_COLUMNS true, APPEND true);
INSERT INTO staging.account_event_daily
SELECT day, account_key, coalesce(user_key, 0), event, reporting_date, count(*), min(occurred_at), max(occurred_at)
FROM delivered
WHERE refusal_reason IS NULL AND account_key IS NOT NULL
GROUP BY day, account_key, coalesce(user_key, 0), event, reporting_date;
INSERT INTO staging.event_identities
SELECT
  day, coalesce(account_key, 0), coalesce(user_key, 0), any_value(account_id), any_value(user_id), min(occurred_at), count(*)
FROM delivered
WHERE refusal_reason IS NULL AND (account_key IS NOT NULL OR user_key IS NOT NULL)
GROUP BY day, coalesce(account_key, 0), coalesce(user_key, 0);
INSERT INTO staging.event_name_daily
SELECT day, event, count(*), count(account_key) FROM delivered WHERE refusal_reason IS NULL GROUP BY day, event;
INSERT INTO staging.rule_events
SELECT
  e.day, e.occurred_at, e.reporting_date, r.rule, e.event, e.source, e.event_id, e.account_key, e.user_key,
  CAST('0x' || SUBSTRING(MD5('milestones entity ' || (e.properties ->> r.entity_property)), 1, 15) AS BIGINT),
  CASE
    WHEN r.distinct_by = 'users' THEN CAST(e.user_key AS VARCHAR)
    WHEN r.distinct_by = 'property' THEN e.properties ->> r.distinct_property
  END
FROM delivered AS e
JOIN config.rule AS r ON r.event = e.event
LEFT JOIN rule_condition AS c ON c.rule = r.rule
WHERE e.refusal_reason IS NULL
  AND (c.rule IS NULL OR list_contains(c.accepted, e.properties ->> c.property))
  AND (e.account_key IS NOT NULL OR (e.properties ->> r.entity_property) IS NOT NULL)
  AND (r.rule <> 'usage_contact' OR ((e.properties ->> r.entity_property) IS NOT NULL AND (e.account_key IS NOT NULL OR e.user_key IS NOT NULL)));
