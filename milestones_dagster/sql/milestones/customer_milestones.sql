/*
about: >
  The table that the company reads: which milestones each customer holds at the end of each month. The stage is the highest k such that milestones 1 to k
  all hold; setup and activation hold for good once reached, usage and maturity are of the month. Past rows read what was known then and change only when a
  day of theirs is restated.
grain: one row per account and month
key: [account_id, month]
by: month
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  is_whole: BOOLEAN NOT NULL -- True when the month has ended.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  plan: VARCHAR -- Plan at the month's close.
  size_stratum: VARCHAR -- Size class at the month's close.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at the month's close.
  is_paying: BOOLEAN NOT NULL -- Paying at the month's close.
  has_setup: BOOLEAN NOT NULL -- Setup was complete by the month's close.
  is_activated: BOOLEAN NOT NULL -- Activation was reached by the month's close.
  has_usage: BOOLEAN NOT NULL -- The usage ratio of the month, as of its close, reached the threshold that is now in force.
  is_mature: BOOLEAN NOT NULL -- Mature in at least the configured number of categories.
  mature_categories: BIGINT NOT NULL [categories] -- Categories that are mature.
  usage_ratio: DOUBLE [conversations per seat and month] -- The usage ratio of the month as of its close.
  stage: VARCHAR NOT NULL -- `none`, `setup`, `activation`, `usage`, `maturity`, or `left` after leaving.
  stage_number: INTEGER -- 0 to 4; NULL after leaving.
  holds: VARCHAR NOT NULL -- All milestones that hold, in order, whether or not the earlier ones do.
  is_out_of_order: BOOLEAN NOT NULL -- A milestone above the stage holds.
*/
WITH setup AS (
  SELECT s.account_key, MIN(s.setup_completed_at) AS setup_completed_at
  FROM setup_steps AS s
  GROUP BY s.account_key
), maturity AS (
  SELECT c.account_key, c.month, MAX(c.mature_categories) AS mature_categories
  FROM maturity_categories AS c
  GROUP BY c.account_key, c.month
), held AS (
  SELECT
    m.account_id,
    m.account_key,
    m.month,
    m.is_whole,
    a.cohort_month,
    m.plan,
    m.size_stratum,
    m.mrr,
    m.is_paying,
    m.has_left,
    COALESCE(s.setup_completed_at < m.close_at, FALSE) AS has_setup,
    COALESCE(a.activated_at < m.close_at, FALSE) AS is_activated,
    u.reached_at_close AS has_usage,
    COALESCE(c.mature_categories >= h.value, FALSE) AS is_mature,
    COALESCE(c.mature_categories, 0) AS mature_categories,
    u.ratio_at_close AS usage_ratio
  FROM account_months AS m
  JOIN activation_cohort AS a ON a.account_key = m.account_key
  JOIN usage_ratio AS u ON u.account_key = m.account_key AND u.month = m.month
  JOIN thresholds_in_force AS h ON h.milestone = 'maturity'
  LEFT JOIN setup AS s ON s.account_key = m.account_key
  LEFT JOIN maturity AS c ON c.account_key = m.account_key AND c.month = m.month
), staged AS (
  SELECT
    h.*,
    CASE
      WHEN h.has_left THEN NULL
      WHEN NOT h.has_setup THEN 0
      WHEN NOT h.is_activated THEN 1
      WHEN NOT h.has_usage THEN 2
      WHEN NOT h.is_mature THEN 3
      ELSE 4
    END AS stage_number,
    CASE WHEN h.is_mature THEN 4 WHEN h.has_usage THEN 3 WHEN h.is_activated THEN 2 WHEN h.has_setup THEN 1 ELSE 0 END AS highest
  FROM held AS h
)
SELECT
  s.account_id,
  s.account_key,
  s.month,
  s.is_whole,
  s.cohort_month,
  s.plan,
  s.size_stratum,
  s.mrr,
  s.is_paying,
  s.has_setup,
  s.is_activated,
  s.has_usage,
  s.is_mature,
  s.mature_categories,
  s.usage_ratio,
  CASE
    WHEN s.has_left THEN 'left'
    WHEN s.stage_number = 0 THEN 'none'
    WHEN s.stage_number = 1 THEN 'setup'
    WHEN s.stage_number = 2 THEN 'activation'
    WHEN s.stage_number = 3 THEN 'usage'
    ELSE 'maturity'
  END AS stage,
  CAST(s.stage_number AS INTEGER) AS stage_number,
  SUBSTRING(
    CASE WHEN s.has_setup THEN ', setup' ELSE '' END
    || CASE WHEN s.is_activated THEN ', activation' ELSE '' END
    || CASE WHEN s.has_usage THEN ', usage' ELSE '' END
    || CASE WHEN s.is_mature THEN ', maturity' ELSE '' END,
    3,
    60
  ) AS holds,
  NOT s.has_left AND s.highest > s.stage_number AS is_out_of_order
FROM staged AS s
