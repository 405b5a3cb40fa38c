/*
about: >
  The usage ratio of one month of each account, and what became of the account after it: the landmark comparison of usage and retention. The landmark L is the
  month's end. The month is drawn by a hash of the account and the month before anything is known of what became of the account: out of all whole months of its
  tenure whose outcome window has elapsed, paid or not, and at whose end it could leave by its terms so far. It is compared only if it was paid for in full, so
  that neither long tenures nor those who are about to leave count more often. Accounts that could leave after none of their months are `locked`; those without
  such a month yet have no row. Who stopped paying at L itself paid all that month: not retained. Without subscriptions every whole month counts as paid.
grain: one row per account with a whole calendar month of its tenure whose outcome window has elapsed
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the month drawn, in the reporting time zone.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, the month's end, UTC.
  standing: VARCHAR NOT NULL -- `row` (compared), `left_before` (did not pay for all of the month drawn, having left or in a gap), `no_seats` (no ratio) or `locked` (paid, and could leave after none of its months).
  plan: VARCHAR -- Plan at L; of the month's last instant for who stopped paying at L.
  size_stratum: VARCHAR -- Size class at L, of the seats; without a history of seats, of the users active before L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  value: DOUBLE [conversations per seat and month] -- The usage ratio as of the month's end; NULL without seats.
  retained: BOOLEAN -- The outcome after L; NULL for `left_before`.
  expanded: BOOLEAN -- Revenue at L + H grew by the minimum; left is not expanded; NULL where revenue at L is 0 or unknown, and for `left_before`.
*/
WITH drawn AS (
  SELECT
    m.*,
    u.ratio_at_close,
    ROW_NUMBER() OVER (
      PARTITION BY m.account_key
      ORDER BY m.is_locked, MD5('milestones usage month ' || m.account_id || ' ' || CAST(m.month AS VARCHAR)), m.month
    ) AS turn
  FROM month_landmarks AS m
  JOIN seat_usage AS u ON u.account_key = m.account_key AND u.month = m.month
)
SELECT
  d.account_id,
  d.account_key,
  d.month,
  d.cohort_month,
  d.observed_at,
  CASE
    WHEN NOT d.is_paid_whole THEN 'left_before'
    WHEN d.ratio_at_close IS NULL THEN 'no_seats'
    WHEN d.is_locked THEN 'locked'
    ELSE 'row'
  END AS standing,
  d.plan,
  d.size_stratum,
  d.mrr,
  d.ratio_at_close AS value,
  CASE WHEN d.is_paid_whole THEN d.retained END AS retained,
  CASE WHEN d.is_paid_whole THEN d.expanded END AS expanded
FROM drawn AS d
WHERE d.turn = 1
