/*
about: >
  Retention along the usage ratio, and how each candidate for the threshold divides the accounts. What compares at or above with below is of the earlier half of
  the accounts, where the pick is sought among many, so that it measures no effect; the response (band and isotonic retention) is of all accounts.
grain: one row per candidate, and one for the accounts below them all
key: [value]
then: evidence.thresholds.usage_curve
plot: charts.thresholds.usage
plot_with: [usage_threshold]
columns_as: activation_threshold_curve
columns:
  value: DOUBLE NOT NULL [conversations per seat and month] -- The candidate; of the first row, the least value there is.
*/
SELECT l.account_key, l.cohort_month, l.standing, l.plan, l.size_stratum, l.value, l.retained
FROM usage_landmarks AS l
CROSS JOIN config.threshold_search AS s
