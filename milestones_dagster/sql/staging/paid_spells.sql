/*
about: >
  Spells of payment with gaps up to the allowed length bridged. The end of a spell is churn on the first day of a longer gap; the spell after it
  is a win-back. Empty without subscriptions.
grain: one row per account and spell
key: [account_key, spell]
columns:
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  spell: BIGINT NOT NULL -- 1 for the first spell, 2 for the first win-back, and so on.
  started_at: TIMESTAMP NOT NULL -- Start of the spell, UTC.
  ended_at: TIMESTAMP -- End of payment, UTC; NULL while it goes on.
  is_settled: BOOLEAN NOT NULL -- False while the end is so recent that a return could still bridge it.
*/
WITH paid AS (
  SELECT h.account_key, h.valid_from, h.valid_to
  FROM account_history AS h
  WHERE h.is_paying
), behind AS (
  SELECT
    p.*,
    LAG(p.valid_to) OVER (PARTITION BY p.account_key ORDER BY p.valid_from) AS previous_to
  FROM paid AS p
), numbered AS (
  SELECT
    b.account_key,
    b.valid_from,
    b.valid_to,
    SUM(
      CASE WHEN b.previous_to IS NULL OR b.valid_from > b.previous_to + TO_SECONDS(g.seconds) + TO_MONTHS(g.months) THEN 1 ELSE 0 END
    ) OVER (PARTITION BY b.account_key ORDER BY b.valid_from) AS spell
  FROM behind AS b
  JOIN config.duration AS g ON g.name = 'retention_gap'
), spells AS (
  SELECT
    n.account_key,
    CAST(n.spell AS BIGINT) AS spell,
    MIN(n.valid_from) AS started_at,
    CASE WHEN COUNT(n.valid_to) = COUNT(*) THEN MAX(n.valid_to) END AS ended_at
  FROM numbered AS n
  GROUP BY n.account_key, n.spell
)
SELECT
  s.account_key,
  s.spell,
  s.started_at,
  s.ended_at,
  s.ended_at IS NULL OR s.ended_at + TO_SECONDS(g.seconds) + TO_MONTHS(g.months) <= o.as_of AS is_settled
FROM spells AS s
CROSS JOIN run.observation AS o
JOIN config.duration AS g ON g.name = 'retention_gap'
