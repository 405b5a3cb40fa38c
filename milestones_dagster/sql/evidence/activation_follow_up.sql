/*
about: >
  What became of each compared account after its activation window: when it became dormant or left, whichever came first, and in how many of the three whole calendar
  months after it reached usage. Behaviour lies before the landmark L, all else after it; leaving never ends the watching for dormancy as if nothing had happened, it is
  an end itself. Nothing here reads the activation threshold.
grain: one row per account that `activation_landmarks` compares
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  observed_at: TIMESTAMP NOT NULL -- The landmark L, UTC.
  horizon_at: TIMESTAMP NOT NULL -- End of the outcome's window, L + H, UTC.
  followed_to: TIMESTAMP NOT NULL -- Last instant at which all is known, the end of the last closed month less the gap that is bridged; without subscriptions that end. UTC.
  plan: VARCHAR -- Plan at L.
  size_stratum: VARCHAR -- Size class at L.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at L.
  value: DOUBLE NOT NULL [events] -- Activation events from tenure_start up to L.
  is_dormant_before: BOOLEAN NOT NULL -- Dormant at L already; its dormancy is no outcome after L.
  left_at: TIMESTAMP -- First day of the gap that is churn, UTC; NULL while it has not left by followed_to.
  dormant_at: TIMESTAMP -- When it first became dormant while paying, at L or after it, UTC; NULL where it has not by followed_to, or was dormant at L.
  ended_at: TIMESTAMP -- The earlier of both; NULL where neither came, then it is followed up to followed_to.
  usage_months: BIGINT [months] -- Of the three whole calendar months after L, those in which usage was reached, none after leaving; NULL while the third has not ended.
*/
WITH followed AS (
  SELECT
    l.*,
    d.outcome_to AS horizon_at,
    o.evidence_as_of,
    w.seconds AS dormancy_seconds,
    w.months AS dormancy_months,
    CASE
      WHEN p.retention_basis = 'subscriptions'
        THEN GREATEST(o.evidence_as_of - TO_SECONDS(g.seconds) - TO_MONTHS(g.months), d.outcome_to)
      ELSE o.evidence_as_of
    END AS followed_to,
    COALESCE(s.started_at, t.tenure_start) AS paid_from,
    s.ended_at
  FROM activation_landmarks AS l
  JOIN observation_dates AS d ON d.account_key = l.account_key AND d.kind = 'landmark' AND d.observed_at = l.observed_at
  JOIN account_tenure AS t ON t.account_key = l.account_key
  CROSS JOIN run.observation AS o
  CROSS JOIN config.policy AS p
  JOIN config.duration AS g ON g.name = 'retention_gap'
  JOIN config.duration AS w ON w.name = 'dormancy_after'
  -- the basis is asked inside: a condition on another table beside the account makes a join that looks at every pair
  LEFT JOIN (
    SELECT b.account_key, b.started_at, b.ended_at FROM paid_spells AS b JOIN config.policy AS c ON c.retention_basis = 'subscriptions'
  ) AS s
    ON s.account_key = l.account_key
    AND s.started_at <= l.observed_at
    AND COALESCE(s.ended_at, CAST('9999-12-31 00:00:00' AS TIMESTAMP)) > l.observed_at
  WHERE l.standing = 'row'
), signs AS (
  -- what puts dormancy off: a core event, and the start of payment, since only who has paid for so long can be dormant
  SELECT f.account_key, e.occurred_at AS sign_at
  FROM followed AS f
  JOIN rule_events AS e
    ON e.account_key = f.account_key
    AND e.rule = 'core'
    AND e.occurred_at >= f.observed_at - TO_SECONDS(f.dormancy_seconds) - TO_MONTHS(f.dormancy_months)
    AND e.occurred_at < f.evidence_as_of
  UNION ALL
  SELECT f.account_key, f.paid_from AS sign_at
  FROM followed AS f
  WHERE f.paid_from + TO_SECONDS(f.dormancy_seconds) + TO_MONTHS(f.dormancy_months) > f.observed_at
), silences AS (
  SELECT
    s.account_key,
    s.sign_at,
    LEAD(s.sign_at) OVER (PARTITION BY s.account_key ORDER BY s.sign_at) AS next_sign_at
  FROM signs AS s
), asleep AS (
  SELECT
    f.account_key,
    LOGICAL_OR(s.sign_at < f.observed_at OR s.sign_at = f.paid_from) AS is_awake,
    MIN(
      CASE
        WHEN s.next_sign_at IS NULL OR s.next_sign_at > s.sign_at + TO_SECONDS(f.dormancy_seconds) + TO_MONTHS(f.dormancy_months)
          THEN s.sign_at + TO_SECONDS(f.dormancy_seconds) + TO_MONTHS(f.dormancy_months)
      END
    ) AS dormant_at
  FROM followed AS f
  JOIN silences AS s ON s.account_key = f.account_key
  GROUP BY f.account_key
), ended AS (
  SELECT
    f.*,
    NOT COALESCE(a.is_awake, FALSE) AS is_dormant_before,
    CASE WHEN f.ended_at <= f.followed_to THEN f.ended_at END AS left_at,
    -- who no longer pays is not dormant
    CASE WHEN a.is_awake AND a.dormant_at <= f.followed_to AND (f.ended_at IS NULL OR a.dormant_at <= f.ended_at) THEN a.dormant_at END AS dormant_at
  FROM followed AS f
  LEFT JOIN asleep AS a ON a.account_key = f.account_key
), months AS (
  SELECT
    e.account_key,
    m.month,
    m.close_at,
    ROW_NUMBER() OVER (PARTITION BY e.account_key ORDER BY m.month) AS number
  FROM ended AS e
  JOIN run.months AS m ON m.is_whole AND m.starts_at >= e.observed_at AND m.close_at <= e.followed_to
), used AS (
  SELECT
    e.account_key,
    COUNT(CASE WHEN u.reached_at_close AND (e.left_at IS NULL OR e.left_at >= m.close_at) THEN 1 END) AS usage_months
  FROM ended AS e
  JOIN months AS m ON m.account_key = e.account_key AND m.number <= 3
  LEFT JOIN usage_ratio AS u ON u.account_key = m.account_key AND u.month = m.month
  GROUP BY e.account_key
  HAVING COUNT(*) = 3
)
SELECT
  e.account_id,
  e.account_key,
  e.cohort_month,
  e.observed_at,
  e.horizon_at,
  e.followed_to,
  e.plan,
  e.size_stratum,
  e.mrr,
  e.value,
  e.is_dormant_before,
  e.left_at,
  e.dormant_at,
  COALESCE(e.dormant_at, e.left_at) AS ended_at,
  u.usage_months
FROM ended AS e
LEFT JOIN used AS u ON u.account_key = e.account_key
