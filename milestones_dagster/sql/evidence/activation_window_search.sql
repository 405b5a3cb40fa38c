/*
about: >
  Whether a count in the first days of the tenure tells who stays better than the count of the whole activation window. All counts end before the same landmark,
  so that none sees more time; a shorter window wins only where it beats the whole one on accounts that did not choose it.
grain: one row per window
key: [position]
then: evidence.threshold_windows.search
columns:
  position: BIGINT NOT NULL -- Order of the window, the whole one last.
  days: BIGINT [days] -- Days from tenure_start that count; NULL for the whole window. Windows that count the same as the whole one are left out.
  candidates: BIGINT NOT NULL -- Values tried.
  pick: DOUBLE [events] -- The value with the largest chi2 in the positive direction on the earlier half; NULL where none is positive.
  earlier_root_chi2: DOUBLE -- Square root of its chi2 there, the largest of many.
  later_root_chi2: DOUBLE -- Square root of chi2 of the same rule on the later half, with the sign of its direction.
  is_best: BOOLEAN NOT NULL -- The window with the largest of all.
  p_best: DOUBLE -- p of the best cell of all windows, outcomes permuted within plan and size, maximum statistic; the same on every row.
  gain_low: DOUBLE -- One-sided 97.5 % bound, over resampled accounts of the later half, of what its root chi2 is above the whole window's.
  moved_share: DOUBLE -- Share of all accounts that the two rules put on different sides.
  wins: BOOLEAN NOT NULL -- The best, beyond chance, better than the whole window on the later half, and 5 % of the accounts change sides.
*/
SELECT l.*, s.resamples, s.permutations, s.seed
FROM activation_landmarks AS l
CROSS JOIN config.threshold_search AS s
