/*
about: >
  The success metric of each product area in one month of each account, and what became of the account after it: the landmark comparison of area metrics and retention.
  The landmark L is the month's end. The month is that of `usage_landmarks`, the same for every area: drawn by a hash before anything is known of what became of
  the account, out of all whole months of its tenure whose outcome window has elapsed and at whose end it could leave by its terms so far.
grain: one row per area and account with a whole calendar month of its tenure whose outcome window has elapsed
key: [area, account_id]
columns:
  area: VARCHAR NOT NULL -- Name of the area.
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the month drawn, in the reporting time zone.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, the month's end, UTC.
  standing: VARCHAR NOT NULL -- `row` (compared), `left_before` (did not pay for all of the month drawn, having left or in a gap), `no_seats` (no value per seat) or `locked` (paid, and could leave after none of its months).
  plan: VARCHAR -- Plan at L; of the month's last instant for who stopped paying at L.
  size_stratum: VARCHAR -- Size class at L, of the seats; without a history of seats, of the users active before L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  value: DOUBLE -- The area's metric in the month; NULL where it is per seat and there were no seats.
  retained: BOOLEAN -- The outcome after L; NULL for `left_before`.
  expanded: BOOLEAN -- Revenue at L + H grew by the minimum; left is not expanded; NULL where revenue at L is 0 or unknown, and for `left_before`.
*/
WITH drawn AS (
  SELECT
    m.*,
    ROW_NUMBER() OVER (
      PARTITION BY m.account_key
      ORDER BY m.is_locked, MD5('milestones usage month ' || m.account_id || ' ' || CAST(m.month AS VARCHAR)), m.month
    ) AS turn
  FROM month_landmarks AS m
)
SELECT
  a.area,
  d.account_id,
  d.account_key,
  d.month,
  d.cohort_month,
  d.observed_at,
  CASE
    WHEN NOT d.is_paid_whole THEN 'left_before'
    WHEN v.value IS NULL THEN 'no_seats'
    WHEN d.is_locked THEN 'locked'
    ELSE 'row'
  END AS standing,
  d.plan,
  d.size_stratum,
  d.mrr,
  v.value,
  CASE WHEN d.is_paid_whole THEN d.retained END AS retained,
  CASE WHEN d.is_paid_whole THEN d.expanded END AS expanded
FROM drawn AS d
CROSS JOIN config.area AS a
LEFT JOIN area_months AS v ON v.account_key = d.account_key AND v.month = d.month AND v.area = a.area
WHERE d.turn = 1
