/*
about: >
  The usage ratio of one month of each account, and what became of the account after it: the landmark comparison of usage and retention. The landmark L is the
  month's end. Of all months that an account paid for in full and whose outcome is known, one is taken by a hash of the account and the month, so that long
  tenures do not count more often. Without subscriptions, every whole month of the tenure is one. Who stopped paying at L itself paid all that month: not retained.
grain: one row per account with a calendar month whose outcome window has elapsed
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the month taken, in the reporting time zone.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, the month's end, UTC.
  standing: VARCHAR NOT NULL -- `row` (compared), `locked` (could not leave), `no_seats` (no ratio) or `left_before` (never paid a whole month); the best of its months.
  plan: VARCHAR -- Plan at L; of the month's last instant for who stopped paying at L.
  size_stratum: VARCHAR -- Size class at L, of the seats; without a history of seats, of the users active before L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  value: DOUBLE [conversations per seat and month] -- The usage ratio as of the month's end; NULL without seats.
  retained: BOOLEAN -- The outcome after L; NULL for `left_before`.
  expanded: BOOLEAN -- Revenue at L + H grew by the minimum; left is not expanded; NULL where revenue at L is 0 or unknown, and for `left_before`.
*/
WITH judged AS (
  SELECT
    m.*,
    u.ratio_at_close,
    CASE
      WHEN NOT m.is_paid_whole THEN 4
      WHEN u.ratio_at_close IS NULL THEN 3
      WHEN m.is_locked THEN 2
      ELSE 1
    END AS preference
  FROM month_landmarks AS m
  JOIN seat_usage AS u ON u.account_key = m.account_key AND u.month = m.month
), taken AS (
  SELECT
    j.*,
    ROW_NUMBER() OVER (
      PARTITION BY j.account_key
      ORDER BY j.preference, MD5('milestones usage month ' || j.account_id || ' ' || CAST(j.month AS VARCHAR)), j.month
    ) AS standing_number
  FROM judged AS j
)
SELECT
  t.account_id,
  t.account_key,
  t.month,
  t.cohort_month,
  t.observed_at,
  CASE t.preference WHEN 1 THEN 'row' WHEN 2 THEN 'locked' WHEN 3 THEN 'no_seats' ELSE 'left_before' END AS standing,
  t.plan,
  t.size_stratum,
  t.mrr,
  t.ratio_at_close AS value,
  CASE WHEN t.preference < 4 THEN t.retained END AS retained,
  CASE WHEN t.preference < 4 THEN t.expanded END AS expanded
FROM taken AS t
WHERE t.standing_number = 1
