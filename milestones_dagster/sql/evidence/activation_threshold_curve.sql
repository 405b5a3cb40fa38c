/*
about: >
  Retention along the activation count, and how each candidate for the threshold divides the accounts. What compares at or above with below is of the earlier half of
  the accounts, where the pick is sought among many, so that it measures no effect; the response (band and isotonic retention) is of all accounts.
grain: one row per candidate, and one for the accounts below them all
key: [value]
then: evidence.thresholds.activation_curve
plot: charts.thresholds.activation
plot_with: [activation_threshold]
columns:
  value: DOUBLE NOT NULL [events] -- The candidate; of the first row, the least value there is.
  is_candidate: BOOLEAN NOT NULL -- False for the row below all candidates, which has the response alone.
  is_pick: BOOLEAN NOT NULL -- The candidate with the largest chi2 in the positive direction; of equals, the lowest.
  accounts: BIGINT NOT NULL [accounts] -- Accounts of the earlier half, one row each.
  reach: DOUBLE -- Share of them at or above the candidate.
  retained_above_share: DOUBLE -- Share retained at or above.
  retained_below_share: DOUBLE -- Share retained below.
  risk_difference: DOUBLE -- The former less the latter, crude.
  lift: DOUBLE -- Share retained at or above, over that of all.
  ppv: DOUBLE -- Positive predictive value, the share retained at or above.
  npv: DOUBLE -- Negative predictive value, the share not retained below.
  sensitivity: DOUBLE -- Share of the retained that lie at or above.
  specificity: DOUBLE -- Share of the not retained that lie below.
  youden_j: DOUBLE -- sensitivity + specificity - 1; shown, never chosen by.
  phi: DOUBLE -- Correlation of lying at or above and being retained.
  information_gain: DOUBLE [bits] -- How much less uncertain retention is when the side is known.
  chi2: DOUBLE -- Cochran-Mantel-Haenszel over plan and size at the landmark, without continuity correction.
  is_positive: BOOLEAN -- Those at or above stay more often than expected among their like.
  band_accounts: BIGINT NOT NULL [accounts] -- All accounts from this value up to the next row's.
  band_retained_share: DOUBLE -- Share of them retained.
  retention: DOUBLE NOT NULL -- The same by isotonic fit, never falling with the value.
  retention_low: DOUBLE NOT NULL -- 2.5 percentile by resampling accounts.
  retention_high: DOUBLE NOT NULL -- 97.5 percentile by resampling accounts.
*/
SELECT l.account_key, l.cohort_month, l.standing, l.plan, l.size_stratum, l.value, l.retained
FROM activation_landmarks AS l
CROSS JOIN config.threshold_search AS s
