/*
about: >
  The headline by month and segment: the share of customers at each milestone. Setup and activation are rates of the cohorts whose window has elapsed
  by the month's close, the rest is shown as open; usage, maturity and stage are shares of the accounts paying at the month's close. A milestone that has no
  threshold in force has no row.
grain: one row per month, segment and milestone
key: [month, segment_kind, segment, milestone]
columns:
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  is_whole: BOOLEAN NOT NULL -- True when the month has ended; the headline is of the last whole one.
  segment_kind: VARCHAR NOT NULL -- `all`, `plan` or `size`.
  segment: VARCHAR NOT NULL -- The plan or size class (at tenure_start for setup and activation, at the month's close for the others).
  milestone: VARCHAR NOT NULL -- `setup`, `activation`, `usage`, `maturity`, or `stage 0` to `stage 4`.
  reached: BIGINT NOT NULL [accounts] -- Accounts that reached it (setup and activation within their window).
  accounts: BIGINT NOT NULL [accounts] -- Accounts that could have, the denominator.
  share: DOUBLE -- reached / accounts; NULL without accounts.
  open_accounts: BIGINT NOT NULL [accounts] -- Accounts whose window has not elapsed; in neither number.
*/
WITH cohort AS (
  SELECT
    a.account_key,
    a.tenure_start,
    a.plan,
    a.size_stratum,
    'activation' AS milestone,
    a.window_ends_at,
    a.activated_at AS reached_at
  FROM activation_cohort AS a
  WHERE a.threshold IS NOT NULL
  UNION ALL
  SELECT
    a.account_key,
    a.tenure_start,
    a.plan,
    a.size_stratum,
    'setup' AS milestone,
    s.window_ends_at,
    s.setup_completed_at AS reached_at
  FROM activation_cohort AS a
  JOIN setup_steps AS s ON s.account_key = a.account_key AND s.position = 1
), cohort_month AS (
  SELECT
    m.month,
    m.is_whole,
    c.account_key,
    c.plan,
    c.size_stratum,
    c.milestone,
    c.window_ends_at <= m.close_at AS is_counted,
    c.window_ends_at <= m.close_at AND COALESCE(c.reached_at < c.window_ends_at, FALSE) AS is_reached
  FROM cohort AS c
  JOIN run.months AS m ON c.tenure_start < m.close_at
), state AS (
  SELECT c.month, c.is_whole, c.account_key, c.plan, c.size_stratum, 'usage' AS milestone, c.has_usage AS is_reached
  FROM customer_milestones AS c
  JOIN thresholds_in_force AS h ON h.milestone = 'usage' AND h.value IS NOT NULL
  WHERE c.is_paying
  UNION ALL
  SELECT c.month, c.is_whole, c.account_key, c.plan, c.size_stratum, 'maturity' AS milestone, c.is_mature AS is_reached
  FROM customer_milestones AS c
  WHERE c.is_paying
  UNION ALL
  SELECT
    c.month, c.is_whole, c.account_key, c.plan, c.size_stratum, 'stage ' || CAST(n.stage_number AS VARCHAR) AS milestone,
    COALESCE(c.stage_number = n.stage_number, FALSE) AS is_reached
  FROM customer_milestones AS c
  CROSS JOIN (
    SELECT 0 AS stage_number UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
  ) AS n
  WHERE c.is_paying
), counted AS (
  SELECT m.month, m.is_whole, m.plan, m.size_stratum, m.milestone, m.is_counted, m.is_reached FROM cohort_month AS m
  UNION ALL
  SELECT s.month, s.is_whole, s.plan, s.size_stratum, s.milestone, TRUE AS is_counted, s.is_reached FROM state AS s
), segmented AS (
  SELECT c.*, 'all' AS segment_kind, 'all' AS segment FROM counted AS c
  UNION ALL
  SELECT c.*, 'plan' AS segment_kind, c.plan AS segment FROM counted AS c WHERE c.plan IS NOT NULL
  UNION ALL
  SELECT c.*, 'size' AS segment_kind, c.size_stratum AS segment FROM counted AS c WHERE c.size_stratum IS NOT NULL
), summed AS (
  SELECT
    s.month,
    s.is_whole,
    s.segment_kind,
    s.segment,
    s.milestone,
    COUNT(CASE WHEN s.is_counted AND s.is_reached THEN 1 END) AS reached,
    COUNT(CASE WHEN s.is_counted THEN 1 END) AS accounts,
    COUNT(CASE WHEN NOT s.is_counted THEN 1 END) AS open_accounts
  FROM segmented AS s
  GROUP BY s.month, s.is_whole, s.segment_kind, s.segment, s.milestone
)
SELECT
  s.month,
  s.is_whole,
  s.segment_kind,
  s.segment,
  s.milestone,
  s.reached,
  s.accounts,
  CAST(s.reached AS DOUBLE) / NULLIF(s.accounts, 0) AS share,
  s.open_accounts
FROM summed AS s
