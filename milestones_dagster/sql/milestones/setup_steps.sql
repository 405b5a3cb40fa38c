/*
about: >
  The setup milestone: which step of going live each account completed, and when. A step is completed at the first event at which its rule holds: enough
  events and, where asked, enough distinct users or property values. Trial events complete steps; their days are negative.
grain: one row per account and setup step
key: [account_id, step]
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  step: VARCHAR NOT NULL -- Name of the setup step.
  title: VARCHAR NOT NULL -- The step in the company's words.
  position: INTEGER NOT NULL -- Order of the step in the config, from 1.
  is_required: BOOLEAN NOT NULL -- Whether setup is complete only with this step.
  completed_at: TIMESTAMP -- When the step was completed, UTC; NULL while it is not.
  days_to_complete: DOUBLE [days] -- 24-hour days from tenure_start to completion; negative in the trial.
  tenure_start: TIMESTAMP NOT NULL -- Start of the tenure, UTC.
  cohort_month: DATE NOT NULL -- First day of the tenure's first calendar month.
  steps_done: BIGINT NOT NULL [steps] -- Required steps that the account has completed.
  steps_required: BIGINT NOT NULL [steps] -- Steps that setup requires.
  is_setup_complete: BOOLEAN NOT NULL -- All required steps are completed.
  setup_completed_at: TIMESTAMP -- When the last required step was completed, UTC.
  window_ends_at: TIMESTAMP NOT NULL -- End of the setup window, excluded, UTC.
  is_elapsed: BOOLEAN NOT NULL -- The window has ended; accounts whose window is open are in no rate.
*/
WITH events AS (
  SELECT
    e.account_key,
    s.step,
    e.occurred_at,
    e.distinct_value,
    s.minimum_count,
    s.minimum_distinct,
    ROW_NUMBER() OVER (PARTITION BY e.account_key, s.step ORDER BY e.occurred_at, e.event_id) AS repetition,
    ROW_NUMBER() OVER (
      PARTITION BY e.account_key, s.step, e.distinct_value ORDER BY e.occurred_at, e.event_id
    ) AS repetition_of_value
  FROM rule_events AS e
  JOIN config.setup_step AS s ON e.rule = 'setup:' || s.step
  CROSS JOIN run.observation AS o
  WHERE e.account_key IS NOT NULL AND e.occurred_at < o.as_of
), counted AS (
  SELECT c.account_key, c.step, MIN(c.occurred_at) AS counted_at
  FROM events AS c
  WHERE c.repetition >= c.minimum_count
  GROUP BY c.account_key, c.step
), values_seen AS (
  SELECT
    v.account_key,
    v.step,
    v.occurred_at,
    v.minimum_distinct,
    ROW_NUMBER() OVER (PARTITION BY v.account_key, v.step ORDER BY v.occurred_at, v.distinct_value) AS value_number
  FROM events AS v
  WHERE v.distinct_value IS NOT NULL AND v.repetition_of_value = 1
), spread AS (
  SELECT v.account_key, v.step, MIN(v.occurred_at) AS spread_at
  FROM values_seen AS v
  WHERE v.value_number >= v.minimum_distinct
  GROUP BY v.account_key, v.step
), completed AS (
  SELECT
    t.account_key,
    t.account_id,
    t.tenure_start,
    t.cohort_month,
    t.setup_window_ends_at,
    s.step,
    s.title,
    s.position,
    s.is_required,
    CASE
      WHEN s.minimum_distinct IS NULL THEN c.counted_at
      WHEN c.counted_at IS NOT NULL AND d.spread_at IS NOT NULL THEN GREATEST(c.counted_at, d.spread_at)
    END AS completed_at
  FROM account_tenure AS t
  CROSS JOIN config.setup_step AS s
  LEFT JOIN counted AS c ON c.account_key = t.account_key AND c.step = s.step
  LEFT JOIN spread AS d ON d.account_key = t.account_key AND d.step = s.step
), setup AS (
  SELECT
    c.account_key,
    COUNT(CASE WHEN c.is_required THEN c.completed_at END) AS steps_done,
    COUNT(CASE WHEN c.is_required THEN 1 END) AS steps_required,
    MAX(CASE WHEN c.is_required THEN c.completed_at END) AS last_completed_at
  FROM completed AS c
  GROUP BY c.account_key
)
SELECT
  c.account_id,
  c.account_key,
  c.step,
  c.title,
  c.position,
  c.is_required,
  c.completed_at,
  CAST((EPOCH(c.completed_at) - EPOCH(c.tenure_start)) / 86400.0 AS DOUBLE) AS days_to_complete,
  c.tenure_start,
  c.cohort_month,
  u.steps_done,
  u.steps_required,
  u.steps_done = u.steps_required AS is_setup_complete,
  CASE WHEN u.steps_done = u.steps_required THEN u.last_completed_at END AS setup_completed_at,
  c.setup_window_ends_at AS window_ends_at,
  c.setup_window_ends_at <= o.as_of AS is_elapsed
FROM completed AS c
JOIN setup AS u ON u.account_key = c.account_key
CROSS JOIN run.observation AS o
