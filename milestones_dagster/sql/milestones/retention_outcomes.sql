/*
about: >
  What became of each account after each date at which it was looked at: retained, left, expanded, dormant. An outcome is known only when its whole window,
  and the time in which a short gap may still close, had passed when the last month closed; otherwise it is censored and in no rate and no model.
grain: one row per account, kind and date
key: [account_id, kind, observed_at]
by: month
month_of: observed_at
windows: observation_dates
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  kind: VARCHAR NOT NULL -- `start` (tenure_start), `month` (first instant of a calendar month) or `landmark` (end of the activation window).
  observed_at: TIMESTAMP NOT NULL -- The date D, UTC.
  outcome_to: TIMESTAMP NOT NULL -- End of the outcome's window (D + H), UTC.
  known_at: TIMESTAMP NOT NULL -- From when the outcome can be known, UTC.
  is_known: BOOLEAN NOT NULL -- known_at is not after the end of the last closed month; false is censored.
  is_locked: BOOLEAN NOT NULL -- No renewal date lies in the window, so the account could not leave; false where no term is mapped.
  is_evidence: BOOLEAN NOT NULL -- Known, and not locked unless the config includes locked rows; only these enter rates and models.
  retained: BOOLEAN -- Retained over the window; NULL while it is not known.
  left_at: TIMESTAMP -- First day of the gap that is churn within the window, UTC.
  returned_at: TIMESTAMP -- Start of the win-back after it, UTC; the row stays churned.
  is_dormant: BOOLEAN -- Paying for the dormancy period and without a core event in it before D; NULL where it paid for less.
  mrr_at_start: DOUBLE [currency per month] -- Revenue at D.
  mrr_at_end: DOUBLE [currency per month] -- Revenue at D + H; 0 after leaving; NULL while it is not known. Money as it is, with every change of the price list.
  mrr_from_price_list: DOUBLE [currency per month] -- What changes of the price list in (D, D + H] added to it, which is the revenue of each flagged state less that of the paid state before it of the same subscription, plan and seats, summed over the subscriptions paid at D + H; negative where they lowered it, 0 without one, NULL as mrr_at_end.
  is_expanded_mrr: BOOLEAN -- Revenue at D + H less mrr_from_price_list is that at D, grown by the minimum; left is not expanded; NULL where revenue at D is 0 or unknown.
  is_expanded_seats: BOOLEAN -- Seats grew by the minimum; left is not expanded; NULL where seats at D are 0 or unknown.
*/
WITH observed AS (
  SELECT
    d.*,
    t.account_id,
    d.known_at <= o.evidence_as_of AS is_known,
    p.retention_basis,
    p.is_locked_included,
    p.minimum_expansion
  FROM observation_dates AS d
  JOIN account_tenure AS t ON t.account_key = d.account_key
  CROSS JOIN run.observation AS o
  CROSS JOIN config.policy AS p
  WHERE d.is_paying AND d.kind IN ('start', 'month', 'landmark')
), spelled AS (
  SELECT
    b.*,
    s.started_at AS spell_started_at,
    CASE WHEN s.ended_at <= b.outcome_to THEN s.ended_at END AS left_at,
    n.started_at AS next_started_at
  FROM observed AS b
  LEFT JOIN paid_spells AS s
    ON s.account_key = b.account_key
    AND s.started_at <= b.observed_at
    AND COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > b.observed_at
  LEFT JOIN paid_spells AS n ON n.account_key = b.account_key AND n.spell = s.spell + 1
), active AS (
  SELECT DISTINCT b.account_key, b.kind, b.observed_at
  FROM observed AS b
  JOIN rule_events AS e
    ON e.account_key = b.account_key
    AND e.rule = 'core'
    AND e.occurred_at >= b.outcome_from
    AND e.occurred_at < b.outcome_to
  CROSS JOIN run.observation AS o
  WHERE b.retention_basis = 'activity' AND e.occurred_at < o.evidence_as_of
), awake AS (
  SELECT DISTINCT b.account_key, b.kind, b.observed_at
  FROM observed AS b
  JOIN config.duration AS w ON w.name = 'dormancy_after'
  JOIN rule_events AS e
    ON e.account_key = b.account_key
    AND e.rule = 'core'
    AND e.occurred_at >= b.observed_at - TO_SECONDS(w.seconds) - TO_MONTHS(w.months)
    AND e.occurred_at < b.observed_at
), paid AS (
  -- what was paid last holds on through a gap that is bridged
  SELECT
    h.account_key,
    h.valid_from,
    h.mrr,
    h.seats,
    LEAD(h.valid_from) OVER (PARTITION BY h.account_key ORDER BY h.valid_from) AS next_from
  FROM account_history AS h
  WHERE h.is_paying
), valued AS (
  SELECT
    s.account_id,
    s.account_key,
    s.kind,
    s.observed_at,
    s.outcome_to,
    s.known_at,
    s.is_known,
    s.is_locked_included,
    s.retention_basis,
    s.minimum_expansion,
    COALESCE(s.renewal_at > s.outcome_to, FALSE) AS is_locked,
    CASE
      WHEN NOT s.is_known THEN NULL
      WHEN s.retention_basis = 'activity' THEN a.account_key IS NOT NULL
      ELSE s.left_at IS NULL
    END AS retained,
    CASE WHEN s.is_known THEN s.left_at END AS left_at,
    CASE WHEN s.is_known AND s.left_at IS NOT NULL THEN s.next_started_at END AS returned_at,
    CASE
      WHEN s.retention_basis = 'subscriptions' AND s.spell_started_at + TO_SECONDS(w.seconds) + TO_MONTHS(w.months) <= s.observed_at
        THEN k.account_key IS NULL
    END AS is_dormant,
    h.mrr AS mrr_at_start,
    h.seats AS seats_at_start,
    e.mrr AS mrr_then,
    e.valid_from AS paid_then_from,
    e.seats AS seats_then
  FROM spelled AS s
  JOIN config.duration AS w ON w.name = 'dormancy_after'
  LEFT JOIN active AS a ON a.account_key = s.account_key AND a.kind = s.kind AND a.observed_at = s.observed_at
  LEFT JOIN awake AS k ON k.account_key = s.account_key AND k.kind = s.kind AND k.observed_at = s.observed_at
  LEFT JOIN paid AS h
    ON h.account_key = s.account_key
    AND h.valid_from <= s.observed_at
    AND COALESCE(h.next_from, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > s.observed_at
  LEFT JOIN paid AS e
    ON e.account_key = s.account_key
    AND e.valid_from <= s.outcome_to
    AND COALESCE(e.next_from, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > s.outcome_to
), billed AS (
  -- where plan or seats change too, or nothing is paid before, the flag says nothing: a customer did something
  SELECT
    s.account_key,
    s.subscription_id,
    s.started_at,
    COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) AS ended_at,
    s.mrr,
    s.is_price_list_change
      AND NOT (s.plan IS DISTINCT FROM LAG(s.plan) OVER (PARTITION BY s.account_key, s.subscription_id ORDER BY s.started_at))
      AND NOT (s.seats IS DISTINCT FROM LAG(s.seats) OVER (PARTITION BY s.account_key, s.subscription_id ORDER BY s.started_at))
      AS is_listed,
    s.mrr - LAG(s.mrr) OVER (PARTITION BY s.account_key, s.subscription_id ORDER BY s.started_at) AS step
  FROM subscriptions AS s
  WHERE s.superseded_at IS NULL
    AND s.is_paid
    AND COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > s.started_at
), steps AS (
  -- each once, also of a subscription whose states overlap
  SELECT DISTINCT v.account_key, v.kind, v.observed_at, c.subscription_id, c.started_at, c.step
  FROM valued AS v
  JOIN billed AS c
    ON c.account_key = v.account_key
    AND c.is_listed
    AND c.started_at > v.observed_at
    AND c.started_at <= v.outcome_to
  JOIN billed AS b
    ON b.account_key = c.account_key
    AND b.subscription_id = c.subscription_id
    AND b.started_at <= v.paid_then_from
    AND b.ended_at > v.paid_then_from
    AND b.mrr IS NOT NULL
), listed AS (
  SELECT s.account_key, s.kind, s.observed_at, SUM(s.step) AS step
  FROM steps AS s
  GROUP BY s.account_key, s.kind, s.observed_at
)
-- growth is compared as a quotient, since 1.1 * 100 is a little more than 110 in binary numbers
SELECT
  v.account_id,
  v.account_key,
  v.kind,
  v.observed_at,
  v.outcome_to,
  v.known_at,
  v.is_known,
  v.is_locked,
  v.is_known AND (v.is_locked_included OR NOT v.is_locked) AS is_evidence,
  v.retained,
  v.left_at,
  v.returned_at,
  v.is_dormant,
  v.mrr_at_start,
  CASE
    WHEN NOT v.is_known OR v.retention_basis = 'activity' THEN NULL
    WHEN NOT v.retained THEN 0
    ELSE v.mrr_then
  END AS mrr_at_end,
  CASE
    WHEN NOT v.is_known OR v.retention_basis = 'activity' THEN NULL
    WHEN NOT v.retained THEN 0
    WHEN v.mrr_then IS NOT NULL THEN COALESCE(l.step, 0)
  END AS mrr_from_price_list,
  -- binary money: 31.90 / 29 falls short of 1.1 in its sixteenth digit, and a price raised by 10 % is the common case
  CASE
    WHEN NOT v.is_known OR v.retention_basis = 'activity' OR COALESCE(v.mrr_at_start, 0) = 0 THEN NULL
    ELSE v.retained AND COALESCE(v.mrr_then - COALESCE(l.step, 0), 0) / NULLIF(v.mrr_at_start, 0) >= v.minimum_expansion - 0.000000001
  END AS is_expanded_mrr,
  CASE
    WHEN NOT v.is_known OR v.retention_basis = 'activity' OR COALESCE(v.seats_at_start, 0) = 0 THEN NULL
    ELSE v.retained AND COALESCE(v.seats_then, 0) / NULLIF(v.seats_at_start, 0) >= v.minimum_expansion - 0.000000001
  END AS is_expanded_seats
FROM valued AS v
LEFT JOIN listed AS l ON l.account_key = v.account_key AND l.kind = v.kind AND l.observed_at = v.observed_at
