/*
about: >
  What became of the accounts paying at a month's first instant D, and of their revenue, one horizon later: logo, gross and net revenue retention, expansion and dormancy.
  Who left counts 0, also who is back by then. Months that have closed are in it; outcomes that were not known by then, and accounts that could not leave, are counted apart and are in no rate. All months
  together are sums over sums. Intervals are by account.
grain: one row per period (a month, or `all`), segment kind and segment
key: [period, segment_kind, segment]
order: [segment_kind, segment, period]
then: evidence.revenue.revenue_retention
columns:
  period: VARCHAR NOT NULL -- The month of D as `2025-03`, or `all`.
  month: DATE -- First day of that month in the reporting time zone; NULL for `all`.
  segment_kind: VARCHAR NOT NULL -- `all`, `plan` or `size`.
  segment: VARCHAR NOT NULL -- Plan or size class at D, `unknown` where no history tells; `all`.
  rows: BIGINT NOT NULL [rows] -- Accounts and months whose outcome is known and could have been either.
  accounts: BIGINT NOT NULL [accounts] -- Accounts among them.
  open_rows: BIGINT NOT NULL [rows] -- Paying at D, outcome not known by the end of the last closed month; in no rate.
  locked_rows: BIGINT NOT NULL [rows] -- Outcome known, but no renewal lay in the window; in no rate.
  retained: BIGINT NOT NULL [rows] -- Of `rows`, those retained.
  retained_share: DOUBLE -- Logo retention, retained / rows.
  retained_share_low: DOUBLE -- Lower 95 % bound (Wilson; over all months at the effective number of rows, clustered by account).
  retained_share_high: DOUBLE -- Upper 95 % bound.
  mrr_rows: BIGINT NOT NULL [rows] -- Of `rows`, those whose revenue is known at both ends.
  mrr_accounts: BIGINT NOT NULL [accounts] -- Accounts among them.
  mrr_at_start: DOUBLE [currency per month] -- Their revenue at D; NULL without revenue.
  mrr_at_end: DOUBLE [currency per month] -- Their revenue one horizon later, 0 of who left.
  gross_revenue_retention: DOUBLE -- Sum of the lesser of revenue at D and at D + H, over the sum at D; money as it is, with every change of the price list.
  gross_revenue_retention_low: DOUBLE -- 2.5 percentile over resampled accounts; NULL below 10 accounts.
  gross_revenue_retention_high: DOUBLE -- 97.5 percentile over resampled accounts.
  net_revenue_retention: DOUBLE -- Sum of revenue at D + H over the sum at D; above 1 where growth outweighs what left. Money as it is, as the former.
  net_revenue_retention_low: DOUBLE -- 2.5 percentile over resampled accounts; NULL below 10 accounts.
  net_revenue_retention_high: DOUBLE -- 97.5 percentile over resampled accounts.
  expanded_mrr_rows: BIGINT NOT NULL [rows] -- Of `rows`, those with revenue above 0 at D.
  expanded_mrr_share: DOUBLE -- Share of them whose revenue, without changes of the price list, grew by the minimum; left is not expanded.
  expanded_mrr_share_low: DOUBLE -- Lower 95 % bound, as of retained_share.
  expanded_mrr_share_high: DOUBLE -- Upper 95 % bound.
  expanded_seats_rows: BIGINT NOT NULL [rows] -- Of `rows`, those with seats at D.
  expanded_seats_share: DOUBLE -- Share of them whose seats grew by the minimum; left is not expanded.
  expanded_seats_share_low: DOUBLE -- Lower 95 % bound, as of retained_share.
  expanded_seats_share_high: DOUBLE -- Upper 95 % bound.
  dormant_rows: BIGINT NOT NULL [rows] -- Paying at D for the dormancy period, whether the outcome is known or not.
  dormant_share: DOUBLE -- Share of them without a core event in that period before D.
  dormant_share_low: DOUBLE -- Lower 95 % bound, as of retained_share.
  dormant_share_high: DOUBLE -- Upper 95 % bound.
*/
WITH known AS (
  -- what was paid last holds on through a gap that is bridged
  SELECT
    h.account_key,
    h.valid_from,
    h.plan,
    h.seats,
    CASE
      WHEN LEAD(h.valid_from) OVER (PARTITION BY h.account_key ORDER BY h.valid_from) <= h.valid_to + TO_SECONDS(g.seconds) + TO_MONTHS(g.months)
        THEN LEAD(h.valid_from) OVER (PARTITION BY h.account_key ORDER BY h.valid_from)
      -- without an end it holds for good; an OR in the join would compare every row with every other one's history
      ELSE COALESCE(h.valid_to, CAST('9999-12-31' AS TIMESTAMP))
    END AS valid_to
  FROM account_history AS h
  JOIN config.duration AS g ON g.name = 'retention_gap'
  WHERE COALESCE(h.is_paying, TRUE)
)
SELECT
  r.account_key,
  m.month,
  k.plan,
  z.stratum AS size_stratum,
  r.is_known,
  r.is_evidence,
  r.retained,
  r.is_dormant,
  r.mrr_at_start,
  r.mrr_at_end,
  r.is_expanded_mrr,
  r.is_expanded_seats,
  s.resamples,
  s.seed
FROM retention_outcomes AS r
-- who starts at the month's first instant pays at it too
JOIN run.months AS m ON m.starts_at = r.observed_at
CROSS JOIN config.threshold_search AS s
CROSS JOIN run.observation AS o
LEFT JOIN known AS k
  ON k.account_key = r.account_key AND k.valid_from <= r.observed_at AND k.valid_to > r.observed_at
LEFT JOIN config.size_stratum AS z ON k.seats >= z.seats_from AND (z.seats_to IS NULL OR k.seats < z.seats_to)
WHERE r.kind IN ('month', 'start') AND r.observed_at < o.evidence_as_of
