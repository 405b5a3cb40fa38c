/*
about: >
  Which other events each account had done before the landmark of activation, for the search of pairs. The events of setup steps and the core events come first, then
  those of the feature catalogue, in each the commonest among the compared accounts first, 10 in all; the activation event itself is none. An event
  is one by its name, whatever properties a rule asks for. Like the count, it is looked for from tenure_start up to the landmark.
grain: one row per account and event that it did
key: [account_key, event]
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  event: VARCHAR NOT NULL -- Name of the event, done at least once.
  position: BIGINT NOT NULL -- Order of the event, from 1.
*/
WITH pool AS (
  SELECT r.event, 1 AS precedence
  FROM config.rule AS r
  WHERE r.rule = 'core' OR SUBSTRING(r.rule, 1, 6) = 'setup:'
  UNION ALL
  SELECT f.event, 2 AS precedence
  FROM config.feature_event AS f
), candidates AS (
  SELECT p.event, MIN(p.precedence) AS precedence
  FROM pool AS p
  LEFT JOIN config.rule AS a ON a.rule = 'activation' AND a.event = p.event
  WHERE a.event IS NULL
  GROUP BY p.event
), done AS (
  -- a user's events of one name and day: the first or the last of them lies in the window
  SELECT DISTINCT l.account_key, l.standing, c.event, c.precedence
  FROM activation_landmarks AS l
  JOIN account_tenure AS t ON t.account_key = l.account_key
  JOIN account_event_daily AS d
    ON d.account_key = l.account_key
    AND (
      (d.first_at >= t.tenure_start AND d.first_at < l.observed_at)
      OR (d.last_at >= t.tenure_start AND d.last_at < l.observed_at)
    )
  JOIN candidates AS c ON c.event = d.event
), counted AS (
  SELECT d.event, d.precedence, COUNT(CASE WHEN d.standing = 'row' THEN 1 END) AS accounts
  FROM done AS d
  GROUP BY d.event, d.precedence
), numbered AS (
  SELECT
    c.event,
    ROW_NUMBER() OVER (ORDER BY c.precedence, c.accounts DESC, c.event) AS position
  FROM counted AS c
)
SELECT d.account_key, d.event, n.position
FROM done AS d
JOIN numbered AS n ON n.event = d.event
WHERE n.position <= 10
