/*
about: >
  Share of the activated and of the other accounts that have neither become dormant nor left, by days since the landmark, the end of the activation window: the survival
  curves behind `activation_validation`, with the numbers at risk. Who is no longer followed counts up to then.
grain: one row per group and week, while any of its accounts is followed
key: [group_name, day]
then: evidence.activation_validation.curves
plot: charts.survival.activation
plot_with: [activation_validation]
columns:
  group_name: VARCHAR NOT NULL -- `activated` or `not_activated`.
  day: INTEGER NOT NULL [days] -- Days since the landmark.
  at_risk: BIGINT NOT NULL [accounts] -- Accounts followed so long and neither dormant nor left before that day.
  events: BIGINT NOT NULL [accounts] -- Accounts seen to become dormant or to leave up to that day.
  survival: DOUBLE NOT NULL -- Share that is neither (Kaplan-Meier).
  survival_low: DOUBLE NOT NULL -- Lower 95 % bound (Wilson's at the effective number).
  survival_high: DOUBLE NOT NULL -- Upper 95 % bound.
*/
SELECT f.*, h.value AS threshold, h.origin AS threshold_origin
FROM activation_follow_up AS f
CROSS JOIN config.threshold_search AS s
JOIN thresholds_in_force AS h ON h.milestone = 'activation'
