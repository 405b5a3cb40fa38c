/*
about: >
  What an account was and when: plan, seats, revenue and whether it paid, as intervals without overlap. Read from the subscriptions; without
  them from the dated copies, or for all time where the config says an attribute is known at creation. Outside the intervals nothing is known.
grain: one row per account and interval
key: [account_key, valid_from]
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  valid_from: TIMESTAMP NOT NULL -- Start of the interval, UTC.
  valid_to: TIMESTAMP -- End of the interval, excluded, UTC; NULL while it holds.
  is_paying: BOOLEAN -- True where a paid row covers the interval; NULL without subscriptions.
  plan: VARCHAR -- Plan (of the row with the highest revenue where several run at once).
  seats: DOUBLE [seats] -- Seats of all paid rows together; of the trial where nothing is paid.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue of all paid rows together.
  basis: VARCHAR NOT NULL -- `subscriptions`, `copies` or `created`.
*/
WITH standing AS (
  SELECT s.*
  FROM subscriptions AS s
  WHERE s.superseded_at IS NULL
), edges AS (
  SELECT s.account_key, s.started_at AS edge_at FROM standing AS s
  UNION
  SELECT s.account_key, s.ended_at AS edge_at FROM standing AS s WHERE s.ended_at IS NOT NULL
), spans AS (
  SELECT
    e.account_key,
    e.edge_at AS valid_from,
    LEAD(e.edge_at) OVER (PARTITION BY e.account_key ORDER BY e.edge_at) AS valid_to
  FROM edges AS e
), covered AS (
  SELECT
    p.account_key,
    p.valid_from,
    p.valid_to,
    s.is_paid,
    s.plan,
    s.seats,
    s.mrr,
    ROW_NUMBER() OVER (
      PARTITION BY p.account_key, p.valid_from
      ORDER BY s.is_paid DESC, s.mrr DESC NULLS LAST, s.started_at DESC, s.subscription_id
    ) AS standing
  FROM spans AS p
  JOIN standing AS s
    ON s.account_key = p.account_key
    AND s.started_at <= p.valid_from
    AND COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > p.valid_from
), billed AS (
  SELECT
    c.account_key,
    c.valid_from,
    c.valid_to,
    LOGICAL_OR(c.is_paid) AS is_paying,
    MAX(CASE WHEN c.standing = 1 THEN c.plan END) AS plan,
    CASE
      WHEN LOGICAL_OR(c.is_paid) THEN SUM(CASE WHEN c.is_paid THEN c.seats END)
      ELSE SUM(c.seats)
    END AS seats,
    SUM(CASE WHEN c.is_paid THEN c.mrr END) AS mrr
  FROM covered AS c
  GROUP BY c.account_key, c.valid_from, c.valid_to
), unbilled AS (
  SELECT COUNT(*) AS sources FROM config.declared_source AS d WHERE d.source = 'subscriptions'
), readable AS (
  SELECT
    MAX(CASE WHEN a.attribute = 'plan' THEN a.known_at END) AS plan_known_at,
    MAX(CASE WHEN a.attribute = 'seats' THEN a.known_at END) AS seats_known_at
  FROM config.attribute AS a
  WHERE a.source = 'accounts'
), copied AS (
  SELECT
    c.account_key,
    c.copied_at AS valid_from,
    LEAD(c.copied_at) OVER (PARTITION BY c.account_key ORDER BY c.copied_at) AS valid_to,
    CASE WHEN r.plan_known_at = 'history' THEN c.plan WHEN r.plan_known_at = 'created' THEN a.plan END AS plan,
    CASE WHEN r.seats_known_at = 'history' THEN c.seats WHEN r.seats_known_at = 'created' THEN a.seats END AS seats
  FROM account_copies AS c
  JOIN accounts AS a ON a.account_key = c.account_key
  CROSS JOIN readable AS r
  CROSS JOIN run.observation AS o
  WHERE c.copied_at < o.as_of
), always AS (
  SELECT
    a.account_key,
    CAST('1900-01-01 00:00:00' AS TIMESTAMP) AS valid_from,
    (SELECT MIN(c.valid_from) FROM copied AS c WHERE c.account_key = a.account_key) AS valid_to,
    CASE WHEN r.plan_known_at = 'created' THEN a.plan END AS plan,
    CASE WHEN r.seats_known_at = 'created' THEN a.seats END AS seats
  FROM accounts AS a
  CROSS JOIN readable AS r
  WHERE a.is_declared AND (r.plan_known_at = 'created' OR r.seats_known_at = 'created')
)
SELECT b.account_key, b.valid_from, b.valid_to, b.is_paying, b.plan, b.seats, b.mrr, 'subscriptions' AS basis
FROM billed AS b
UNION ALL
SELECT
  c.account_key, c.valid_from, c.valid_to, CAST(NULL AS BOOLEAN) AS is_paying, c.plan, c.seats,
  CAST(NULL AS DOUBLE) AS mrr, 'copies' AS basis
FROM copied AS c
CROSS JOIN unbilled AS u
WHERE u.sources = 0
UNION ALL
SELECT
  a.account_key, a.valid_from, a.valid_to, CAST(NULL AS BOOLEAN) AS is_paying, a.plan, a.seats,
  CAST(NULL AS DOUBLE) AS mrr, 'created' AS basis
FROM always AS a
CROSS JOIN unbilled AS u
WHERE u.sources = 0
