/*
about: >
  Which accounts meet each product area's threshold, month by month, and which keep meeting it. The threshold is the one adopted in the config; with `auto` the derived
  one, and none where the data show no signal or the evidence is not calibrated. A month that has not ended, or was not paid from its start to its end, is shown and never judged.
grain: one row per account, month and area
key: [account_id, month, area]
by: month
reads_back: 2
where_auto: {areas: [area_thresholds, area_placebo]}
columns:
  account_id: VARCHAR NOT NULL -- The account's own identifier.
  account_key: BIGINT NOT NULL -- 64-bit key of the account.
  month: DATE NOT NULL -- First day of the calendar month in the reporting time zone.
  area: VARCHAR NOT NULL -- Name of the area.
  value: DOUBLE -- The area's metric; NULL where it is per seat and there were no seats.
  threshold: DOUBLE -- What it must reach; NULL where none is in force.
  threshold_origin: VARCHAR NOT NULL -- `adopted`, `derived`, or `none`.
  reason: VARCHAR -- Why none is in force, as `area_thresholds` tells it, or `not calibrated` where thresholds of areas are found in permuted outcomes too; else NULL.
  is_met: BOOLEAN -- value is at or above the threshold; false without seats; NULL where the month is not judged or no threshold is in force.
  met_months: BIGINT NOT NULL [months] -- Of this month and the two before it, those that met the threshold.
  keeps_meeting: BOOLEAN -- This month and the two before it were judged and all met it; false when one of them did not; NULL where it cannot be told yet.
*/
WITH settled AS (
  -- evidence that finds something in permuted outcomes too changes no value
  SELECT
    t.area,
    CASE WHEN p.verdict <> 'not calibrated' THEN t.derived END AS derived,
    CASE WHEN t.derived IS NOT NULL AND p.verdict = 'not calibrated' THEN 'not calibrated' ELSE t.reason END AS reason
  FROM area_thresholds AS t
  CROSS JOIN area_placebo AS p
), in_force AS (
  SELECT
    a.area,
    COALESCE(a.threshold, e.derived) AS threshold,
    CASE WHEN a.threshold IS NOT NULL THEN 'adopted' WHEN e.derived IS NOT NULL THEN 'derived' ELSE 'none' END AS threshold_origin,
    CASE WHEN a.threshold IS NULL THEN e.reason END AS reason
  FROM config.area AS a
  LEFT JOIN settled AS e ON e.area = a.area
), judged AS (
  SELECT
    m.account_id,
    m.account_key,
    m.month,
    m.area,
    m.value,
    h.threshold,
    h.threshold_origin,
    h.reason,
    CASE WHEN m.is_evidence AND h.threshold IS NOT NULL THEN COALESCE(m.value >= h.threshold, FALSE) END AS is_met
  FROM area_months AS m
  JOIN in_force AS h ON h.area = m.area
), kept AS (
  SELECT
    j.account_key,
    j.area,
    j.month,
    COUNT(CASE WHEN b.is_met THEN 1 END) AS met_months,
    COUNT(b.is_met) AS judged_months
  FROM judged AS j
  JOIN judged AS b
    ON b.account_key = j.account_key
    AND b.area = j.area
    AND b.month <= j.month
    AND b.month >= CAST(CAST(j.month AS TIMESTAMP) - TO_MONTHS(2) AS DATE)
  GROUP BY j.account_key, j.area, j.month
)
SELECT
  j.account_id,
  j.account_key,
  j.month,
  j.area,
  j.value,
  j.threshold,
  j.threshold_origin,
  j.reason,
  j.is_met,
  k.met_months,
  CASE WHEN k.met_months < k.judged_months THEN FALSE WHEN k.judged_months = 3 THEN TRUE END AS keeps_meeting
FROM judged AS j
JOIN kept AS k ON k.account_key = j.account_key AND k.area = j.area AND k.month = j.month
