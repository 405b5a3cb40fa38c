/*
about: >
  Every account in every calendar month since its tenure began, with what it paid for: seats weighted by time, plan, size and whether it was
  paying or had left. The row of a month is computed as of the month's end, or as of now in the running month.
grain: one row per account and month
key: [account_id, month]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  close_at: TIMESTAMP NOT NULL -- End of the month, or the as-of time in the running month, UTC.
  is_whole: BOOLEAN NOT NULL -- True when the month has ended.
  is_paid_whole: BOOLEAN NOT NULL -- Paid from the month's start to its end; a month that is not is `partial` and never evidence.
  paid_seconds: DOUBLE NOT NULL [seconds] -- Time paid within the month.
  seat_seconds: DOUBLE [seat seconds] -- Sum over the paid time of seats times seconds; NULL where seats are unknown.
  month_seconds: DOUBLE NOT NULL [seconds] -- Length of the month, up to the as-of time in the running one.
  seats: DOUBLE [seats] -- Seats over the paid time, weighted by time.
  size_stratum: VARCHAR -- Size class of the seats at the month's close.
  plan: VARCHAR -- Plan at the month's close.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at the month's close.
  is_paying: BOOLEAN NOT NULL -- Paying at the month's close; without subscriptions, did anything in the month.
  has_left: BOOLEAN NOT NULL -- Stopped paying longer ago than a gap may last, and not back.
*/
WITH basis AS (
  SELECT p.seats_basis, d.sources
  FROM config.policy AS p
  CROSS JOIN (SELECT COUNT(*) AS sources FROM config.declared_source AS s WHERE s.source = 'subscriptions') AS d
), account_month AS (
  SELECT t.account_key, t.account_id, t.tenure_start, m.month, m.starts_at, m.close_at, m.close_date, m.is_whole
  FROM account_tenure AS t
  JOIN run.months AS m ON m.close_at > t.tenure_start
), known AS (
  SELECT
    m.account_key,
    m.month,
    m.starts_at,
    m.close_at,
    s.subscription_id,
    s.started_at,
    s.is_paid,
    s.plan,
    s.seats,
    s.mrr,
    CASE WHEN s.ended_at < m.close_at THEN s.ended_at END AS ended_at
  FROM account_month AS m
  JOIN subscriptions AS s
    ON s.account_key = m.account_key
    AND s.started_at < m.close_at
    AND s.recorded_at < m.close_at
    AND COALESCE(s.superseded_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) >= m.close_at
  WHERE s.is_paid
), slices AS (
  SELECT
    k.*,
    GREATEST(k.started_at, k.starts_at) AS from_at,
    LEAST(COALESCE(k.ended_at, k.close_at), k.close_at) AS to_at
  FROM known AS k
  WHERE k.ended_at IS NULL OR k.ended_at > k.starts_at
), reached AS (
  SELECT
    s.*,
    MAX(s.to_at) OVER (
      PARTITION BY s.account_key, s.month ORDER BY s.from_at, s.to_at, s.subscription_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS covered_to,
    ROW_NUMBER() OVER (
      PARTITION BY s.account_key, s.month
      ORDER BY s.to_at DESC, s.mrr DESC NULLS LAST, s.started_at DESC, s.subscription_id
    ) AS recency
  FROM slices AS s
), billed AS (
  SELECT
    r.account_key,
    r.month,
    SUM(
      CASE
        WHEN r.covered_to IS NULL OR r.covered_to <= r.from_at THEN EPOCH(r.to_at) - EPOCH(r.from_at)
        WHEN r.covered_to < r.to_at THEN EPOCH(r.to_at) - EPOCH(r.covered_to)
        ELSE 0
      END
    ) AS paid_seconds,
    SUM(r.seats * (EPOCH(r.to_at) - EPOCH(r.from_at))) AS seat_seconds,
    SUM(CASE WHEN r.to_at = r.close_at THEN r.seats END) AS seats_at_close,
    SUM(CASE WHEN r.to_at = r.close_at THEN r.mrr END) AS mrr,
    MAX(CASE WHEN r.to_at = r.close_at AND r.recency = 1 THEN r.plan END) AS plan,
    LOGICAL_OR(r.to_at = r.close_at) AS is_paying
  FROM reached AS r
  GROUP BY r.account_key, r.month
), last_paid AS (
  SELECT k.account_key, k.month, MAX(COALESCE(k.ended_at, k.close_at)) AS paid_to
  FROM known AS k
  GROUP BY k.account_key, k.month
), active AS (
  SELECT d.account_key, CAST(DATE_TRUNC('month', d.reporting_date) AS DATE) AS month, COUNT(DISTINCT CASE WHEN d.user_key <> 0 THEN d.user_key END) AS users
  FROM account_event_daily AS d
  CROSS JOIN run.observation AS o
  CROSS JOIN basis AS b
  WHERE d.day < o.as_of_date AND (b.seats_basis = 'active_users' OR b.sources = 0)
  GROUP BY d.account_key, CAST(DATE_TRUNC('month', d.reporting_date) AS DATE)
), measured AS (
  SELECT
    m.*,
    b.seats_basis,
    b.sources > 0 AS is_billed,
    EPOCH(m.close_at) - EPOCH(m.starts_at) AS month_seconds,
    CASE
      WHEN b.sources > 0 THEN COALESCE(l.paid_seconds, 0)
      ELSE EPOCH(m.close_at) - EPOCH(GREATEST(m.tenure_start, m.starts_at))
    END AS paid_seconds,
    l.seat_seconds AS billed_seat_seconds,
    CASE b.seats_basis
      WHEN 'subscriptions' THEN l.seats_at_close
      WHEN 'account' THEN h.seats
      ELSE CAST(COALESCE(u.users, 0) AS DOUBLE)
    END AS seats_at_close,
    CASE WHEN b.sources > 0 THEN l.plan ELSE h.plan END AS plan,
    CASE WHEN b.sources > 0 THEN l.mrr END AS mrr,
    CASE WHEN b.sources > 0 THEN COALESCE(l.is_paying, FALSE) ELSE u.account_key IS NOT NULL END AS is_paying,
    b.sources > 0 AND p.paid_to + TO_SECONDS(g.seconds) + TO_MONTHS(g.months) < m.close_at AS has_left
  FROM account_month AS m
  CROSS JOIN basis AS b
  JOIN config.duration AS g ON g.name = 'retention_gap'
  LEFT JOIN billed AS l ON l.account_key = m.account_key AND l.month = m.month
  LEFT JOIN last_paid AS p ON p.account_key = m.account_key AND p.month = m.month
  LEFT JOIN active AS u ON u.account_key = m.account_key AND u.month = m.month
  LEFT JOIN account_history AS h
    ON h.account_key = m.account_key
    AND h.basis <> 'subscriptions'
    AND h.valid_from < m.close_at
    AND COALESCE(h.valid_to, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) >= m.close_at
), weighted AS (
  SELECT
    m.*,
    CASE WHEN m.seats_basis = 'subscriptions' THEN m.billed_seat_seconds ELSE m.seats_at_close * m.paid_seconds END AS seat_seconds
  FROM measured AS m
)
SELECT
  w.account_id,
  w.account_key,
  w.month,
  w.close_at,
  w.is_whole,
  w.is_whole AND w.paid_seconds >= w.month_seconds AS is_paid_whole,
  CAST(w.paid_seconds AS DOUBLE) AS paid_seconds,
  CAST(w.seat_seconds AS DOUBLE) AS seat_seconds,
  CAST(w.month_seconds AS DOUBLE) AS month_seconds,
  CAST(w.seat_seconds / NULLIF(w.paid_seconds, 0) AS DOUBLE) AS seats,
  z.stratum AS size_stratum,
  w.plan,
  w.mrr,
  w.is_paying,
  COALESCE(w.has_left, FALSE) AS has_left
FROM weighted AS w
LEFT JOIN config.size_stratum AS z
  ON w.seats_at_close >= z.seats_from AND (z.seats_to IS NULL OR w.seats_at_close < z.seats_to)
