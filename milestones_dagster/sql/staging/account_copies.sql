/*
about: >
  Dated copies of the accounts' attributes: each load of the accounts source leaves a copy of every account that changed since its last
  one. It is the history of plan, seats and settings where no subscriptions tell it; what was before the first copy is unknown.
grain: one row per account and load that changed it
key: [account_key, copied_at]
keeps: true
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  copied_at: TIMESTAMP NOT NULL -- Time of the extract that showed these values first, UTC.
  plan: VARCHAR -- Plan at that time.
  seats: DOUBLE [seats] -- Seats at that time.
  segment: VARCHAR -- Segment at that time.
  attributes: VARCHAR -- Further attributes at that time, as JSON text.
*/
WITH newest AS (
  SELECT
    c.*,
    ROW_NUMBER() OVER (PARTITION BY c.account_key ORDER BY c.copied_at DESC) AS age
  FROM account_copies AS c
), extract AS (
  SELECT s.extracted_at
  FROM run.sources AS s
  WHERE s.source = 'accounts' AND s.extracted_at IS NOT NULL
)
SELECT c.account_key, c.copied_at, c.plan, c.seats, c.segment, c.attributes
FROM account_copies AS c
UNION ALL
SELECT a.account_key, x.extracted_at AS copied_at, a.plan, a.seats, a.segment, a.attributes
FROM accounts AS a
CROSS JOIN extract AS x
LEFT JOIN newest AS n ON n.account_key = a.account_key AND n.age = 1
WHERE a.is_declared
  AND (
    n.account_key IS NULL
    OR (
      x.extracted_at > n.copied_at
      AND (
        a.plan IS DISTINCT FROM n.plan
        OR a.seats IS DISTINCT FROM n.seats
        OR a.segment IS DISTINCT FROM n.segment
        OR a.attributes IS DISTINCT FROM n.attributes
      )
    )
  )
