/*
about: >
  The usage milestone: what an account got done in a month per seat it paid for. Seats are weighted by the time they were paid, so that a small, healthy
  account is as visible as a large one. `resolved` follows what is known now; `resolved_at_close` is as of the month's end and never changes.
grain: one row per account and month
key: [account_id, month]
by: month
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  is_whole: BOOLEAN NOT NULL -- True when the month has ended.
  resolved: BIGINT NOT NULL [conversations] -- Conversations whose last resolution as of now lies in the month and which are not open again.
  resolved_at_close: BIGINT NOT NULL [conversations] -- The same as of the month's end; past stages, features and thresholds read this one.
  seats: DOUBLE [seats] -- Seats weighted by paid time.
  ratio: DOUBLE [conversations per seat and month] -- resolved per seat, for a month of full length; NULL without seats.
  ratio_at_close: DOUBLE [conversations per seat and month] -- The same from resolved_at_close.
  threshold: DOUBLE [conversations per seat and month] -- The ratio needed, as thresholds_in_force tells it; NULL where none is in force.
  reached: BOOLEAN NOT NULL -- ratio is at or above the threshold; false where none is in force.
  reached_at_close: BOOLEAN NOT NULL -- ratio_at_close is at or above the threshold; false where none is in force.
  is_partial: BOOLEAN NOT NULL -- Not paid from the month's start to its end, or still running; shown, never evidence.
  reason: VARCHAR -- Why there is no ratio, no threshold or no whole month, `not_paying`, `no_seats`, `no_threshold`, `running` or `partial`; NULL otherwise.
*/
SELECT
  s.account_id,
  s.account_key,
  s.month,
  s.is_whole,
  s.resolved,
  s.resolved_at_close,
  s.seats,
  s.ratio,
  s.ratio_at_close,
  h.value AS threshold,
  COALESCE(s.ratio >= h.value, FALSE) AS reached,
  COALESCE(s.ratio_at_close >= h.value, FALSE) AS reached_at_close,
  s.is_partial,
  CASE WHEN h.value IS NULL AND s.ratio IS NOT NULL THEN 'no_threshold' ELSE s.reason END AS reason
FROM seat_usage AS s
JOIN thresholds_in_force AS h ON h.milestone = 'usage'
