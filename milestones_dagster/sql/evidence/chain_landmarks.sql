/*
about: >
  The links of the chain from setup to expansion: for each, who had reached the milestone by the landmark L, and who reached the next thing after it. Behaviour
  lies before L, the outcome after it; accounts whose outcome was not known when the last month closed have no row, those that may be in no group say why. Links of a calendar month
  are of the month of each account that `usage_landmarks` draws, beforehand and by a hash. Past months are read as of their close.
grain: one row per link (behaviour and outcome) and account
key: [behaviour, outcome, account_id]
columns:
  behaviour: VARCHAR NOT NULL -- `setup:<step>`, `setup` (all required steps), `activation`, `usage` or `maturity`.
  outcome: VARCHAR NOT NULL -- `activation`, `usage` (in 2 of the 3 whole months after L), `maturity` (at L + H), `retention` or `expansion`.
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, UTC.
  standing: VARCHAR NOT NULL -- `row` (compared), `left_before` (not paying at L; for usage, not all month), `locked`, `already` (reached the next before L), `partial` (a paid month broken by a gap), `no_seats` or `no_mrr`.
  plan: VARCHAR -- Plan at L.
  size_stratum: VARCHAR -- Size class at L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  value: DOUBLE -- What the behaviour's threshold is compared with; NULL for setup, and where it is unknown.
  threshold: DOUBLE -- The threshold in force of the behaviour; NULL for setup.
  is_reached: BOOLEAN NOT NULL -- The behaviour was reached before L.
  is_next: BOOLEAN -- The outcome came about after L; left is never that. NULL where the standing rules it out.
*/
WITH in_force AS (
  -- the one place where this table learns which thresholds hold, and who chose them
  SELECT h.milestone, h.value, h.earlier_to_month FROM thresholds_in_force AS h
), setup_done AS (
  SELECT s.account_key, 'setup:' || s.step AS behaviour, s.completed_at FROM setup_steps AS s
  UNION ALL
  SELECT s.account_key, 'setup' AS behaviour, MIN(s.setup_completed_at) AS completed_at
  FROM setup_steps AS s
  GROUP BY s.account_key
), setup_links AS (
  SELECT
    d.behaviour,
    'activation' AS outcome,
    l.account_id,
    l.account_key,
    l.cohort_month,
    l.observed_at,
    CASE WHEN NOT l.is_paying THEN 'left_before' WHEN l.is_activated_before THEN 'already' ELSE 'row' END AS standing,
    l.plan,
    l.size_stratum,
    l.mrr,
    CAST(NULL AS DOUBLE) AS value,
    COALESCE(d.completed_at < l.observed_at, FALSE) AS is_done,
    l.is_activated_after AS is_next
  FROM setup_landmarks AS l
  JOIN setup_done AS d ON d.account_key = l.account_key
  WHERE l.landmark_days = 14
), months_after AS (
  SELECT
    l.account_key,
    u.reached_at_close,
    u.is_partial,
    r.close_at,
    s.ended_at AS left_at,
    ROW_NUMBER() OVER (PARTITION BY l.account_key ORDER BY r.month) AS number
  FROM activation_landmarks AS l
  JOIN run.months AS r ON r.starts_at >= l.observed_at
  JOIN usage_ratio AS u ON u.account_key = l.account_key AND u.month = r.month
  CROSS JOIN run.observation AS o
  JOIN config.duration AS g ON g.name = 'retention_gap'
  LEFT JOIN paid_spells AS s
    ON s.account_key = l.account_key
    AND s.started_at <= l.observed_at
    AND COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > l.observed_at
  WHERE r.is_whole AND r.close_at + TO_SECONDS(g.seconds) + TO_MONTHS(g.months) <= o.evidence_as_of
), usage_after AS (
  SELECT
    m.account_key,
    COUNT(CASE WHEN m.reached_at_close AND NOT m.is_partial AND (m.left_at IS NULL OR m.left_at >= m.close_at) THEN 1 END) AS reached_months,
    COUNT(CASE WHEN m.is_partial AND (m.left_at IS NULL OR m.left_at >= m.close_at) THEN 1 END) AS partial_months
  FROM months_after AS m
  WHERE m.number <= 3
  GROUP BY m.account_key
  HAVING COUNT(*) = 3
), activation_links AS (
  SELECT
    'activation' AS behaviour,
    'usage' AS outcome,
    l.*,
    CASE WHEN l.standing = 'left_before' THEN 'left_before' WHEN a.partial_months > 0 THEN 'partial' ELSE 'row' END AS stands,
    a.reached_months >= 2 AS is_next
  FROM activation_landmarks AS l
  JOIN usage_after AS a ON a.account_key = l.account_key
  UNION ALL
  SELECT 'activation' AS behaviour, 'retention' AS outcome, l.*, l.standing AS stands, l.retained AS is_next
  FROM activation_landmarks AS l
  UNION ALL
  SELECT
    'activation' AS behaviour,
    'expansion' AS outcome,
    l.*,
    CASE WHEN l.standing = 'left_before' THEN 'left_before' WHEN l.expanded IS NULL THEN 'no_mrr' ELSE 'row' END AS stands,
    l.expanded AS is_next
  FROM activation_landmarks AS l
), usage_links AS (
  SELECT 'usage' AS behaviour, 'retention' AS outcome, l.*, l.standing AS stands, l.retained AS is_next
  FROM usage_landmarks AS l
  UNION ALL
  SELECT
    'usage' AS behaviour,
    'expansion' AS outcome,
    l.*,
    CASE
      WHEN l.standing IN ('left_before', 'no_seats') THEN l.standing
      WHEN l.expanded IS NULL THEN 'no_mrr'
      ELSE 'row'
    END AS stands,
    l.expanded AS is_next
  FROM usage_landmarks AS l
), later_month AS (
  SELECT m.account_key, m.month, MAX(r.month) AS month_then
  FROM month_landmarks AS m
  JOIN run.months AS r ON r.is_whole AND r.close_at > m.observed_at AND r.close_at <= m.outcome_to
  GROUP BY m.account_key, m.month
), months AS (
  SELECT
    m.*,
    u.ratio_at_close,
    CAST(c.mature_categories AS DOUBLE) AS mature_categories,
    c.mature_categories >= v.value AS is_mature,
    t.month_then,
    (p.retention_basis = 'activity' OR m.retained) AND n.mature_categories >= v.value AS is_mature_then
  FROM month_landmarks AS m
  CROSS JOIN config.policy AS p
  JOIN in_force AS v ON v.milestone = 'maturity'
  JOIN usage_ratio AS u ON u.account_key = m.account_key AND u.month = m.month
  JOIN customer_milestones AS c ON c.account_key = m.account_key AND c.month = m.month
  LEFT JOIN later_month AS t ON t.account_key = m.account_key AND t.month = m.month
  LEFT JOIN customer_milestones AS n ON n.account_key = m.account_key AND n.month = t.month_then
), judged AS (
  SELECT m.*, 'usage' AS behaviour, m.ratio_at_close AS value FROM months AS m WHERE m.month_then IS NOT NULL
  UNION ALL
  SELECT m.*, 'maturity' AS behaviour, m.mature_categories AS value FROM months AS m
), drawn AS (
  SELECT
    j.*,
    ROW_NUMBER() OVER (
      PARTITION BY j.behaviour, j.account_key
      ORDER BY j.is_locked, MD5('milestones usage month ' || j.account_id || ' ' || CAST(j.month AS VARCHAR)), j.month
    ) AS turn
  FROM judged AS j
), month_links AS (
  SELECT
    'maturity' AS outcome,
    d.*,
    CASE
      WHEN NOT d.is_paid_whole THEN 'left_before'
      WHEN d.ratio_at_close IS NULL THEN 'no_seats'
      WHEN d.is_mature THEN 'already'
      ELSE 'row'
    END AS stands,
    d.is_mature_then AS is_next
  FROM drawn AS d
  WHERE d.turn = 1 AND d.behaviour = 'usage'
  UNION ALL
  SELECT
    'retention' AS outcome,
    d.*,
    CASE WHEN NOT d.is_paying THEN 'left_before' WHEN d.is_locked THEN 'locked' ELSE 'row' END AS stands,
    d.retained AS is_next
  FROM drawn AS d
  WHERE d.turn = 1 AND d.behaviour = 'maturity'
  UNION ALL
  SELECT
    'expansion' AS outcome,
    d.*,
    CASE WHEN NOT d.is_paying THEN 'left_before' WHEN d.expanded IS NULL THEN 'no_mrr' ELSE 'row' END AS stands,
    d.expanded AS is_next
  FROM drawn AS d
  WHERE d.turn = 1 AND d.behaviour = 'maturity'
), links AS (
  SELECT
    s.behaviour, s.outcome, s.account_id, s.account_key, s.cohort_month, s.observed_at, s.standing, s.plan, s.size_stratum, s.mrr,
    s.value, s.is_done, s.is_next
  FROM setup_links AS s
  UNION ALL
  SELECT
    a.behaviour, a.outcome, a.account_id, a.account_key, a.cohort_month, a.observed_at, a.stands AS standing, a.plan, a.size_stratum,
    a.mrr, a.value, FALSE AS is_done, a.is_next
  FROM activation_links AS a
  UNION ALL
  SELECT
    u.behaviour, u.outcome, u.account_id, u.account_key, u.cohort_month, u.observed_at, u.stands AS standing, u.plan, u.size_stratum,
    u.mrr, u.value, FALSE AS is_done, u.is_next
  FROM usage_links AS u
  UNION ALL
  SELECT
    m.behaviour, m.outcome, m.account_id, m.account_key, m.cohort_month, m.observed_at, m.stands AS standing, m.plan, m.size_stratum,
    m.mrr, m.value, FALSE AS is_done, m.is_next
  FROM month_links AS m
)
SELECT
  l.behaviour,
  l.outcome,
  l.account_id,
  l.account_key,
  l.cohort_month,
  l.observed_at,
  l.standing,
  l.plan,
  l.size_stratum,
  l.mrr,
  l.value,
  h.value AS threshold,
  CASE WHEN h.milestone IS NULL THEN l.is_done ELSE COALESCE(l.value >= h.value, FALSE) END AS is_reached,
  CASE WHEN l.standing = 'row' THEN l.is_next END AS is_next
FROM links AS l
LEFT JOIN in_force AS h ON h.milestone = l.behaviour
LEFT JOIN in_force AS n ON n.milestone = l.outcome
-- without a threshold nobody has reached anything, and who chose one does not tell what goes with it
WHERE (h.milestone IS NULL OR h.value IS NOT NULL)
  AND (n.milestone IS NULL OR n.value IS NOT NULL)
  AND (h.earlier_to_month IS NULL OR l.cohort_month > h.earlier_to_month)
  AND (n.earlier_to_month IS NULL OR l.cohort_month > n.earlier_to_month)
