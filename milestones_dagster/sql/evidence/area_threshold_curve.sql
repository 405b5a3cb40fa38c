/*
about: >
  Retention along the metric of each product area, and how each candidate for its threshold divides the accounts. What compares at or above with below is of the earlier half
  of the accounts, where the pick is sought among many, so that it measures no effect; the response (band and isotonic retention) is of all accounts.
grain: one row per area and candidate, and one for the accounts below them all
key: [area, value]
order: [position, value]
then: evidence.areas.curves
plot: charts.areas.curves
plot_with: [area_thresholds]
columns_as: activation_threshold_curve
columns:
  area: VARCHAR NOT NULL -- Name of the area.
  position: INTEGER NOT NULL -- Order of the area in the config, from 1.
  value: DOUBLE NOT NULL [as the area's measure] -- The candidate; of an area's first row, the least value there is.
*/
SELECT l.area, l.account_key, l.cohort_month, l.standing, l.plan, l.size_stratum, l.value, l.retained
FROM area_landmarks AS l
JOIN config.area AS a ON a.area = l.area
CROSS JOIN config.threshold_search AS s
