/*
about: >
  Every recorded state of every subscription that is known at the as-of time. A change of plan, seats or price ends one row and starts the
  next; a correction is a later record of the same row. What was known at an instant X are the rows with recorded_at < X that nothing
  recorded before X supersedes, with an end only when it lies before X.
grain: one row per subscription, start and record
key: [account_key, subscription_id, started_at, recorded_at]
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  subscription_id: VARCHAR NOT NULL -- Identifier of the subscription; the account's own where the source has none.
  plan: VARCHAR -- Plan of the state.
  seats: DOUBLE [seats] -- Seats bought.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue; NULL where the source has none.
  currency: VARCHAR -- Currency of the revenue.
  started_at: TIMESTAMP NOT NULL -- From when the state holds, UTC.
  ended_at: TIMESTAMP -- Until when, UTC; NULL while no end is known.
  is_paid: BOOLEAN NOT NULL -- Not a trial and revenue above zero (without a revenue column, not a trial).
  term_months: INTEGER [months] -- Length of the term; NULL where it is not mapped.
  term_anchor_at: TIMESTAMP -- Start of the first term, UTC; renewals fall every term_months after it.
  recorded_at: TIMESTAMP NOT NULL -- When the record was made, UTC; the start of the state where the source does not say.
  is_price_list_change: BOOLEAN NOT NULL -- The state begins with a change of the price list; false unless the source says so.
  superseded_at: TIMESTAMP -- When the next record of the same state was made, UTC; NULL for the newest.
*/
WITH mapped AS (
  SELECT
    CAST('0x' || SUBSTRING(MD5('milestones account ' || s.account_id), 1, 15) AS BIGINT) AS account_key,
    COALESCE(s.subscription_id, s.account_id) AS subscription_id,
    s.plan,
    s.seats,
    s.mrr,
    s.currency,
    s.started_at,
    CASE WHEN s.ended_at < o.as_of THEN s.ended_at END AS ended_at,
    NOT COALESCE(s.is_trial, FALSE) AND COALESCE(s.mrr > 0, TRUE) AS is_paid,
    s.term_months,
    COALESCE(s.term_anchor_at, s.started_at) AS term_anchor_at,
    COALESCE(s.recorded_at, s.started_at) AS recorded_at,
    COALESCE(s.is_price_list_change, FALSE) AS is_price_list_change
  FROM source.subscriptions AS s
  CROSS JOIN run.observation AS o
  WHERE s.started_at < o.as_of AND COALESCE(s.recorded_at, s.started_at) < o.as_of
)
SELECT
  m.*,
  LEAD(m.recorded_at) OVER (
    PARTITION BY m.account_key, m.subscription_id, m.started_at ORDER BY m.recorded_at
  ) AS superseded_at
FROM mapped AS m
