/*
about: >
  What each account had done of each setup step before each landmark of setup, and how active it was in its first 3 days but for that step. The comparison of
  setup steps and its placebo read the same rows here.
grain: one row per account whose activation window has elapsed by the end of the last closed month, landmark and setup step
key: [account_key, landmark_days, step]
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  landmark_days: INTEGER NOT NULL [days] -- 7, 14 or 30 days after tenure_start.
  step: VARCHAR NOT NULL -- Name of the setup step.
  observed_at: TIMESTAMP NOT NULL -- The landmark, UTC.
  is_done: BOOLEAN NOT NULL -- Completed before the landmark, trial included.
  is_paying: BOOLEAN NOT NULL -- Paying at the landmark; without subscriptions nobody is seen to leave.
  is_activated_before: BOOLEAN NOT NULL -- Activated before the landmark.
  is_activated_after: BOOLEAN NOT NULL -- Activated from the landmark to the end of the window.
  early_events: DOUBLE NOT NULL [events] -- Events of the first 3 days except the step's own.
  plan: VARCHAR -- Plan at the landmark.
  size_stratum: VARCHAR -- Size class at the landmark.
  mrr: DOUBLE [currency per month] -- Monthly recurring revenue at the landmark.
*/
WITH early AS (
  -- a user's events of one name and day count where the first of them lies in the first 3 days; all lie before the landmark
  SELECT a.account_key, d.event, SUM(d.events) AS events
  FROM activation_cohort AS a
  JOIN account_event_daily AS d
    ON d.account_key = a.account_key
    AND d.first_at >= a.tenure_start
    AND d.first_at < a.tenure_start + TO_SECONDS(259200)
  CROSS JOIN run.observation AS o
  WHERE a.window_ends_at <= o.evidence_as_of
  GROUP BY a.account_key, d.event
), early_all AS (
  SELECT e.account_key, SUM(e.events) AS events
  FROM early AS e
  GROUP BY e.account_key
), step_event AS (
  SELECT DISTINCT s.step, r.event
  FROM config.setup_step AS s
  JOIN config.rule AS r ON r.rule = 'setup:' || s.step
), early_own AS (
  SELECT e.account_key, s.step, SUM(e.events) AS events
  FROM early AS e
  JOIN step_event AS s ON s.event = e.event
  GROUP BY e.account_key, s.step
)
SELECT
  e.account_key,
  e.account_id,
  e.landmark_days,
  s.step,
  e.observed_at,
  COALESCE(s.completed_at < e.observed_at, FALSE) AS is_done,
  e.is_paying,
  e.is_activated_before,
  e.is_activated_after,
  CAST(COALESCE(n.events, 0) - COALESCE(o.events, 0) AS DOUBLE) AS early_events,
  e.plan,
  e.size_stratum,
  e.mrr
FROM setup_landmarks AS e
JOIN setup_steps AS s ON s.account_key = e.account_key
LEFT JOIN early_all AS n ON n.account_key = e.account_key
LEFT JOIN early_own AS o ON o.account_key = e.account_key AND o.step = s.step
