/*
about: >
  Whether a count in the first days of the tenure, or the count together with another event, tells who stays better than the plain count of the whole activation
  window. All end before the same landmark, so that none sees more time; another way to count wins only where it beats the plain one on accounts that did not
  choose it. The other events are those of `activation_pair_events`, at most 10.
grain: one row per way to count
key: [position]
then: evidence.threshold_windows.search
also: [activation_pair_events]
columns:
  position: BIGINT NOT NULL -- Order of the ways to count, the plain one last. Ways that count the same as the plain one are left out.
  kind: VARCHAR NOT NULL -- `days` (a window, the plain count too) or `pair` (all events of who also did another one).
  days: BIGINT [days] -- Days from tenure_start that count; NULL for the whole window.
  event: VARCHAR -- The other event, done at least once before the landmark; NULL for `days`.
  candidates: BIGINT NOT NULL -- Values tried.
  pick: DOUBLE [events] -- The value with the largest chi2 in the positive direction on the earlier half; NULL where none is positive.
  earlier_root_chi2: DOUBLE -- Square root of its chi2 there, the largest of many.
  later_root_chi2: DOUBLE -- Square root of chi2 of the same rule on the later half, with the sign of its direction.
  is_best: BOOLEAN NOT NULL -- The way with the largest of all.
  p_best: DOUBLE -- p of the best cell of all ways, outcomes permuted within plan and size, maximum statistic; the same on every row.
  gain_low: DOUBLE -- One-sided 97.5 % bound, over resampled accounts of the later half, of what its root chi2 is above the plain count's.
  moved_share: DOUBLE -- Share of all accounts that the two rules put on different sides.
  wins: BOOLEAN NOT NULL -- The best, beyond chance, better than the plain count on the later half, and 5 % of the accounts change sides.
*/
SELECT l.*, s.resamples, s.permutations, s.seed
FROM activation_landmarks AS l
CROSS JOIN config.threshold_search AS s
