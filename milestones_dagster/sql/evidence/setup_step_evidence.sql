/*
about: >
  Which setup steps go with activation. Per step: accounts that completed it within 14 days of tenure_start against those that did not, among those then paying and
  not yet activated, and who activated after that. The conditional effect compares accounts alike in the other steps, early activity, plan and size. It goes with
  activation, among accounts alike in what is measured; it is no proof that the step brings it about. Where retention derives
  the activation threshold, the cohorts that chose it are left out; without a threshold nobody is compared. Shares and effects are between 0 and 1 (0.01 is one point).
grain: one row per setup step
key: [step]
order: [position]
then: evidence.setup_steps.measure
columns:
  step: VARCHAR NOT NULL -- Name of the setup step.
  title: VARCHAR NOT NULL -- The step in the company's words.
  position: INTEGER NOT NULL -- Order of the step in the config, from 1.
  verdict: VARCHAR NOT NULL -- First that applies of `routine` or `niche` (interval of the adoption beyond its bound), `interview`, `routine`, `niche`, `keep`, `against`, `unproven`.
  reason: VARCHAR NOT NULL -- Why the verdict is what it is.
  trust: VARCHAR NOT NULL -- `statistical`, `mixed` or `interview`, from the detectable difference.
  detectable_difference: DOUBLE NOT NULL -- Difference that four of five such samples would show at p = .05; infinite when a group is empty.
  accounts: BIGINT NOT NULL [accounts] -- Accounts compared, paying and not activated at the landmark, their activation window elapsed.
  adopters: BIGINT NOT NULL [accounts] -- Those of them that completed the step before the landmark, trial included.
  adoption: DOUBLE -- adopters / accounts.
  adoption_low: DOUBLE -- Lower 95 % bound (Wilson).
  adoption_high: DOUBLE -- Upper 95 % bound (Wilson).
  is_borderline: BOOLEAN NOT NULL -- The interval of the adoption holds a bound of `niche` or `routine`.
  activated_with: BIGINT NOT NULL [accounts] -- Adopters that activated from the landmark to the end of the window.
  activated_with_share: DOUBLE -- activated_with / adopters.
  activated_without: BIGINT NOT NULL [accounts] -- The others that activated in the same time.
  activated_without_share: DOUBLE -- activated_without / (accounts - adopters).
  risk_difference: DOUBLE -- activated_with_share - activated_without_share, adjusted for nothing.
  risk_difference_low: DOUBLE -- Lower 95 % bound (Newcombe).
  risk_difference_high: DOUBLE -- Upper 95 % bound (Newcombe).
  phi: DOUBLE -- Correlation of step and activation, adjusted for nothing.
  odds_ratio: DOUBLE -- Odds of activation with the step over those without; 0.5 added to every cell when one is 0.
  crude_p: DOUBLE -- Fisher's p when an expected count is below 5, else of chi-square without correction.
  stratified_odds_ratio: DOUBLE -- Mantel-Haenszel odds ratio over plan and size; NULL where no stratum compares anything.
  stratified_odds_ratio_low: DOUBLE -- Lower 95 % bound (Robins, Breslow and Greenland).
  stratified_odds_ratio_high: DOUBLE -- Upper 95 % bound.
  stratified_risk_difference: DOUBLE -- Mantel-Haenszel risk difference over plan and size.
  stratified_risk_difference_low: DOUBLE -- Lower 95 % bound (Sato's variance).
  stratified_risk_difference_high: DOUBLE -- Upper 95 % bound.
  effect: DOUBLE -- Conditional effect, the average marginal effect of a logistic regression; NULL where it cannot be told.
  effect_low: DOUBLE -- Lower 95 % bound (delta method).
  effect_high: DOUBLE -- Upper 95 % bound.
  effect_p: DOUBLE -- p of the conditional effect.
  q: DOUBLE -- Benjamini-Hochberg over the effect_p of all steps.
  e_value: DOUBLE [risk ratio] -- How strong an unseen cause must be to explain the lower bound of the effect; 1, nothing is needed.
  minimum_effect: DOUBLE NOT NULL -- The least effect worth keeping a step for, from the config.
  accounts_7d: BIGINT NOT NULL [accounts] -- Accounts compared with the landmark at 7 days.
  effect_7d: DOUBLE -- Conditional effect with the landmark at 7 days.
  effect_7d_low: DOUBLE -- Lower 95 % bound.
  effect_7d_high: DOUBLE -- Upper 95 % bound.
  accounts_30d: BIGINT NOT NULL [accounts] -- Accounts compared with the landmark at 30 days.
  effect_30d: DOUBLE -- Conditional effect with the landmark at 30 days.
  effect_30d_low: DOUBLE -- Lower 95 % bound.
  effect_30d_high: DOUBLE -- Upper 95 % bound.
  left_before: BIGINT NOT NULL [accounts] -- Accounts whose window has elapsed and that did not pay at the landmark; in neither group.
  left_before_share: DOUBLE -- left_before / all accounts whose window has elapsed.
  activated_before: BIGINT NOT NULL [accounts] -- Paying accounts that had activated before the landmark; in neither group.
  talk_to: VARCHAR -- Where the verdict is `interview`, accounts that did it and did not activate, or the reverse; at most 20, largest MRR first.
  note: VARCHAR NOT NULL -- What a reader must know of this row, in words.
*/
SELECT l.*
FROM setup_step_landmarks AS l
CROSS JOIN config.policy AS p
CROSS JOIN config.evidence AS v
