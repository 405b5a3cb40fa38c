"""Every rule of every table, once passing and once failing, with its count, its total and what it shows.

A failure that a company can deliver comes from files. What the SQL cannot produce, a fault of the product, is done to a copy of a
published table by hand, and the copy is audited with the table's own rule.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import pytest
from delivering_company import company, rule_of, two_events
from scenario import EVENT_NAMES, Made, World, at, event, made, subscription

from milestones_dagster.quality.audit import audit
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.warehouse.table import SQL_ROOT

TWO_ACCOUNTS = [{"account_id": name, "created_at": at("2025-01-01")} for name in "ab"]
EXTRACTED = {kind: {"extracted_at": "2025-06-15"} for kind in ("subscriptions", "accounts", "users")}


AREAS = {"areas": [{"name": "chat", "title": "Chats", "measure": "count", "events": ["chat"], "threshold": 1}]}


def key(name: str, kind: str = "account") -> str:
    """The 64-bit key of an identifier: the first 15 hexadecimal digits of its salted MD5."""
    return str(int(md5(f"milestones {kind} {name}".encode()).hexdigest()[:15], 16))  # noqa: S324 - no secret


def once_each() -> list[dict[str, Any]]:
    """Account a does everything once, a day each from 2 January on, and starts three times; b starts once."""
    names = [*EVENT_NAMES, "started", "started"]
    done = [event("a", name, f"2025-01-{day:02} 10:00", user=f"u{day % 2 + 1}") for day, name in enumerate(names, start=2)]
    return [*done, event("b", "started", "2025-01-06 10:00", user="u3")]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Iterator[Made]:
    """Two accounts that pay from January on, seen on 1 June 2025; no rule fails."""
    world = World(
        events=once_each(),
        last_day="2025-05-31",
        subscriptions=[subscription("a", "2025-01-01"), subscription("b", "2025-01-03", seats=3.0)],
        framework=AREAS,
        accounts=TWO_ACCOUNTS,
        users=[{"user_id": f"u{n}", "account_id": "b" if n == 3 else "a", "created_at": at("2025-01-01")} for n in (1, 2, 3)],
        sources=EXTRACTED,
    )
    with made(world.write(tmp_path_factory.mktemp("clean")), run_id="clean") as run:
        # a ranking by hand: the forest has nothing to learn from two accounts
        columns = ", ".join(
            f'"{column.name}" {column.type}' for column in run.session.declared.tables["feature_importance"].columns
        )
        connection = run.session.warehouse.connection
        connection.execute(f"CREATE TABLE evidence.feature_importance ({columns})")
        connection.execute(
            "INSERT INTO evidence.feature_importance BY NAME SELECT feature, title, measure, feature AS feature_group, "
            "TRUE AS is_representative, row_number() OVER (ORDER BY feature) AS rank, 0.01 AS importance, 0 AS importance_low, "
            "0.02 AS importance_high, 1 AS accounts_with, 1 AS accounts_without, 0.1 AS detectable_difference, 0.5 AS association, "
            "'mixed' AS trust, 'weak' AS verdict, 'By hand' AS reason, "
            "FALSE AS is_borderline, 0.7 AS auc, 0.6 AS auc_low, 0.8 AS auc_high, FALSE AS is_logistic_better, 5 AS decoys, "
            "0 AS decoys_passed, TRUE AS is_calibrated, 10 AS train_rows, 10 AS held_out_rows, "
            "2 AS held_out_accounts, 'account' AS split, 'By hand.' AS note FROM config.feature"
        )
        yield run


def audited(run: Made, table: str, rules: set[str], change: str = "") -> dict[str, RuleResult]:
    """Results of some rules on a copy of a published table; `change` is a statement in which `{t}` is the copy."""
    declared = run.session.declared.tables[table]
    connection = run.session.warehouse.connection
    copy = f"{declared.schema}.{table}__copy"
    connection.begin()
    try:
        connection.execute(f"CREATE TABLE {copy} AS SELECT * FROM {declared.schema}.{table}")
        if change:
            connection.execute(change.format(t=copy))
        asked = [rule for rule in run.session.declared.suites[table] if rule.name in rules]
        return {result.rule.name: result for result in audit(connection, copy, asked, declared.key)}
    finally:
        connection.rollback()


# --- done to a copy by hand -----------------------------------------------------------------------------------------

A = f"account_key = {key('a')}"


@dataclass(frozen=True)
class Case:
    """What is done to a copy of the table, and what its rule then finds; `clean_total` is the total before.

    `clean` is done to the copy that passes, where the world has no row that the rule looks at.
    """

    change: str
    count: int
    total: int
    sample: list[dict[str, str]]
    clean_total: int
    clean: str = ""
    severity: str = "critical"


def state(account: str, started_at: str) -> dict[str, str]:
    """The key of a state of an account's subscription, recorded when it started."""
    return {"account_key": key(account), "subscription_id": f"sub-{account}", "started_at": started_at, "recorded_at": started_at}


FOUND = "UPDATE {t} SET accounts = 9, permuted_accounts = 9, permutations = 200, found = 17, found_low = 0.054, verdict = 'not calibrated'"
GAP = "pick = 3, difference = 0.1, trust = 'mixed'"
MAY_OF_ALL = {"month": "2025-05-01", "segment_kind": "all", "segment": "all"}
CURVE = (
    "INSERT INTO {t} (value, is_candidate, is_pick, retention, retention_low, retention_high) "
    "VALUES (1, FALSE, FALSE, 0.5, 0.4, 0.6), (2, TRUE, TRUE, 0.6, 0.5, 0.7), (3, TRUE, FALSE, 0.6, 0.5, 0.8)"
)
AREA_CURVES = (
    f"{CURVE}; UPDATE {{t}} SET area = 'chat', position = 1; "
    "INSERT INTO {t} SELECT * REPLACE ('mail' AS area, 2 AS position, retention - 0.2 AS retention, retention_low - 0.2 AS retention_low) FROM {t}"
)
EARNED = (
    "UPDATE {t} SET verdict = 'differentiator', importance_low = 0.005, largest_decoy = 0.001, association = 0.1, "
    "association_q = 0.05 WHERE feature = 'sla'"
)
SIGNAL = "UPDATE {t} SET is_signal = TRUE, reason = NULL, derived = 5, candidates = 3, trust = 'mixed', difference = 0.1, p = 0.05"
WINDOWS = (
    "INSERT INTO {t} (position, kind, days, event, is_best, p_best, gain_low, moved_share, wins) "
    "VALUES (1, 'pair', NULL, 'chat', TRUE, 0.05, 0.1, 0.05, TRUE), (2, 'days', NULL, NULL, FALSE, 0.05, NULL, NULL, FALSE)"
)
CHAIN = "behaviour = 'activation' AND outcome = 'retention'"
# three months of one account in which it met the area's threshold, and so keeps meeting it in the third
MET = (
    "UPDATE {t} SET value = 1, is_met = TRUE WHERE account_id = 'b' AND month IN ('2025-02-01', '2025-03-01', '2025-04-01'); "
    "UPDATE {t} SET met_months = 3, keeps_meeting = TRUE WHERE account_id = 'b' AND month = '2025-04-01'"
)
FOLLOWED = (
    "INSERT INTO {t} (account_id, observed_at, horizon_at, followed_to, left_at, dormant_at, usage_months) VALUES "
    "('a', '2025-04-01', '2025-07-01', '2025-07-02', '2025-04-02', '2025-04-01', 3), "
    "('b', '2025-04-03', '2025-07-03', '2025-07-03', NULL, '2025-07-03', 0)"
)
SURVIVING = (
    "INSERT INTO {t} (group_name, day, survival, survival_low, survival_high) VALUES "
    "('activated', 0, 1, 0.9, 1), ('activated', 7, 1, 0.8, 1), ('not_activated', 0, 0.9, 0.8, 0.95)"
)
ALL_MONTHS = {"period": "all", "segment_kind": "all", "segment": "all"}
IN_ALL_MONTHS = "WHERE period = 'all' AND segment_kind = 'all'"
BY_HAND: dict[tuple[str, str], Case] = {
    # fifteen events of accounts, each by another user, event or day
    ("account_event_daily", "events_positive"): Case(
        "UPDATE {t} SET events = 0 WHERE event = 'installed'",
        1,
        15,
        [
            {
                "day": "2025-01-02",
                "account_key": key("a"),
                "user_key": key("u1", "user"),
                "event": "installed",
                "reporting_date": "2025-01-02",
            }
        ],
        15,
    ),
    ("account_event_daily", "times_within_day"): Case(
        "UPDATE {t} SET last_at = last_at - INTERVAL 1 MINUTE WHERE event = 'joined'",
        1,
        15,
        [
            {
                "day": "2025-01-03",
                "account_key": key("a"),
                "user_key": key("u2", "user"),
                "event": "joined",
                "reporting_date": "2025-01-03",
            }
        ],
        15,
    ),
    ("account_history", "intervals_without_overlap"): Case(
        f"INSERT INTO {{t}} SELECT * REPLACE (TIMESTAMP '2025-02-01' AS valid_from) FROM {{t}} WHERE {A}",
        1,
        3,
        [{"account_key": key("a"), "valid_from": "2025-01-01 00:00:00"}],
        2,
    ),
    ("account_tenure", "windows_after_start"): Case(
        f"UPDATE {{t}} SET setup_window_ends_at = tenure_start WHERE {A}", 1, 2, [{"account_key": key("a")}], 2
    ),
    ("accounts", "keys_without_collision"): Case(
        "UPDATE {t} SET account_key = 1", 2, 2, [{"account_id": "a"}, {"account_id": "b"}], 2
    ),
    ("users", "keys_without_collision"): Case(
        # the key, not the identifier, is what a sample may show of a person
        "UPDATE {t} SET user_key = 1 WHERE user_id <> 'u2'", 2, 3, [{"user_key": "1"}], 3
    ),
    ("subscriptions", "one_currency"): Case(
        f"UPDATE {{t}} SET currency = 'EUR' WHERE {A}", 1, 2, [state("a", "2025-01-01 00:00:00")], 2
    ),
    ("subscriptions", "states_without_overlap"): Case(
        # the next state starts while the first one has no end
        f"INSERT INTO {{t}} SELECT * REPLACE (TIMESTAMP '2025-02-01' AS started_at) FROM {{t}} WHERE {A}",
        1,
        3,
        [state("a", "2025-01-01 00:00:00")],
        2,
        severity="warning",
    ),
    ("subscriptions", "price_list_changes_alone"): Case(
        # nothing is paid before it
        f"UPDATE {{t}} SET is_price_list_change = TRUE WHERE {A}",
        1,
        2,
        [state("a", "2025-01-01 00:00:00")],
        2,
        severity="warning",
    ),
    # two accounts in January to May
    ("account_months", "paid_time_within_month"): Case(
        "UPDATE {t} SET paid_seconds = month_seconds + 1 WHERE account_id = 'b' AND month = '2025-02-01'",
        1,
        10,
        [{"account_id": "b", "month": "2025-02-01"}],
        10,
    ),
    ("activation_cohort", "open_is_not_failed"): Case(
        "UPDATE {t} SET activated = NULL WHERE account_id = 'b'", 1, 2, [{"account_id": "b"}], 2
    ),
    ("activation_cohort", "activated_within_window"): Case(
        "UPDATE {t} SET activated_at = window_ends_at WHERE account_id = 'a'", 1, 2, [{"account_id": "a"}], 2
    ),
    # three steps of two accounts; the least step that is left is shown
    ("setup_steps", "every_step_once"): Case(
        "DELETE FROM {t} WHERE account_id = 'a' AND step = 'install'", 1, 5, [{"account_id": "a", "step": "rules"}], 6
    ),
    ("setup_steps", "completed_before_now"): Case(
        "UPDATE {t} SET completed_at = '2025-06-01' WHERE account_id = 'a' AND step = 'install'",
        1,
        6,
        [{"account_id": "a", "step": "install"}],
        6,
    ),
    # ratios of ten months; those of b are 0 for want of events, not NULL
    ("usage_ratio", "ratio_not_negative"): Case(
        "UPDATE {t} SET ratio = -0.5 WHERE account_id = 'a' AND month = '2025-03-01'",
        1,
        10,
        [{"account_id": "a", "month": "2025-03-01"}],
        10,
    ),
    ("usage_ratio", "no_ratio_without_seats"): Case(
        "UPDATE {t} SET ratio = NULL, reached = FALSE, reason = NULL WHERE account_id = 'a' AND month = '2025-03-01'",
        1,
        10,
        [{"account_id": "a", "month": "2025-03-01"}],
        10,
    ),
    # the three milestones whose threshold the config tells
    ("thresholds_in_force", "value_follows_from_its_origin"): Case(
        "UPDATE {t} SET value = 5 WHERE milestone = 'usage'", 1, 3, [{"milestone": "usage"}], 3
    ),
    ("thresholds_in_force", "every_milestone_once"): Case(
        "DELETE FROM {t} WHERE milestone = 'usage'", 1, 2, [{"milestone": "usage"}], 3
    ),
    ("framework_versions", "one_current_value"): Case(
        "UPDATE {t} SET is_current = FALSE WHERE milestone = 'usage'", 1, 3, [{"milestone": "usage"}], 3
    ),
    ("framework_versions", "times_in_order"): Case(
        "UPDATE {t} SET version = 'v', last_as_of = '2025-01-01' WHERE milestone = 'usage'",
        1,
        3,
        [{"version": "v", "milestone": "usage", "first_as_of": "2025-06-01 00:00:00"}],
        3,
    ),
    # two categories in ten months of accounts
    ("maturity_categories", "levels_known"): Case(
        "UPDATE {t} SET level = 'expert' WHERE account_id = 'b' AND month = '2025-05-01' AND category = 'channels'",
        1,
        20,
        [{"account_id": "b", "month": "2025-05-01", "category": "channels"}],
        20,
    ),
    ("maturity_categories", "every_category_once"): Case(
        "DELETE FROM {t} WHERE account_id = 'b' AND month = '2025-05-01' AND category = 'channels'",
        1,
        19,
        [{"account_id": "b", "month": "2025-05-01", "category": "reporting"}],
        20,
    ),
    ("customer_milestones", "stages_known"): Case(
        "UPDATE {t} SET stage = 'lost' WHERE account_id = 'a' AND month = '2025-05-01'",
        1,
        10,
        [{"account_id": "a", "month": "2025-05-01"}],
        10,
    ),
    ("customer_milestones", "every_account_month_once"): Case(
        "DELETE FROM {t} WHERE account_id = 'a' AND month = '2025-05-01'",
        1,
        9,
        [{"account_id": "a", "month": "2025-05-01"}],
        10,
    ),
    # nine milestones in five months of all accounts, of plan basic and of size 1-4: 9 x 5 x 3 rows; in January and February
    # no window has elapsed, so that setup and activation have no share: 135 - 2 x 2 x 3
    ("milestone_summary", "shares_within_0_1"): Case(
        "UPDATE {t} SET share = 1.5 WHERE month = '2025-05-01' AND segment_kind = 'all' AND milestone = 'usage'",
        1,
        123,
        [MAY_OF_ALL | {"milestone": "usage"}],
        123,
    ),
    ("milestone_summary", "stages_add_up"): Case(
        "UPDATE {t} SET reached = 3 WHERE month = '2025-05-01' AND segment_kind = 'all' AND milestone = 'stage 2'",
        1,
        135,
        [MAY_OF_ALL | {"milestone": "stage 0"}],
        135,
    ),
    # no outcome is known yet, so no band has a share
    ("retention_by_activation", "shares_within_0_1"): Case(
        "UPDATE {t} SET retained_share = CASE band WHEN '3+' THEN 2 ELSE 0 END",
        1,
        3,
        [{"band": "3+"}],
        3,
        clean="UPDATE {t} SET retained_share = CASE band WHEN '3+' THEN 1 ELSE 0 END",
    ),
    ("retention_by_activation", "left_before_shares_within_0_1"): Case(
        "UPDATE {t} SET left_before_share = CASE band WHEN '0' THEN -0.1 ELSE 1 END",
        1,
        3,
        [{"band": "0"}],
        3,
        clean="UPDATE {t} SET left_before_share = CASE band WHEN '0' THEN 0 ELSE 1 END",
    ),
    # of each account its start, its landmark, and the four months from February on
    ("retention_outcomes", "censored_is_not_left"): Case(
        "UPDATE {t} SET retained = NULL WHERE account_id = 'a' AND kind = 'start'",
        1,
        12,
        [{"account_id": "a", "kind": "start", "observed_at": "2025-01-01 00:00:00"}],
        12,
    ),
    ("retention_outcomes", "left_within_window"): Case(
        "UPDATE {t} SET left_at = observed_at WHERE account_id = 'b' AND kind = 'start'",
        1,
        12,
        [{"account_id": "b", "kind": "start", "observed_at": "2025-01-03 00:00:00"}],
        12,
    ),
    # eight features of the catalogue are no attributes
    ("feature_adoption", "shares_within_0_1"): Case(
        "UPDATE {t} SET adoption_all = 1.2 WHERE feature = 'hours'", 1, 8, [{"feature": "hours"}], 8
    ),
    # the start and four months of two accounts
    ("feature_matrix", "no_outcome_in_the_future"): Case(
        f"UPDATE {{t}} SET retained = TRUE, known_at = '2025-06-02' WHERE {A} AND observed_at = '2025-05-01'",
        1,
        10,
        [{"account_key": key("a"), "observed_at": "2025-05-01 00:00:00"}],
        10,
    ),
    ("feature_importance", "catalogue_ranked"): Case(
        "DELETE FROM {t} WHERE feature = 'sla'", 1, 9, [{"feature": "sla"}], 10
    ),
    ("feature_importance", "verdicts_known"): Case(
        "UPDATE {t} SET verdict = 'good' WHERE feature = 'sla'", 1, 10, [{"feature": "sla"}], 10
    ),
    ("feature_importance", "verdicts_earned"): Case(
        f"{EARNED}; UPDATE {{t}} SET importance_low = 0 WHERE feature = 'sla'", 1, 10, [{"feature": "sla"}], 10, clean=EARNED
    ),
    ("feature_importance", "groups_share_their_importance"): Case(
        "UPDATE {t} SET feature_group = 'chat_days', importance = 0.02 WHERE feature = 'sla'", 1, 10, [{"feature_group": "chat_days"}], 10
    ),
    # no outcome is known yet: a curve and a search by hand, two candidates above the least value, two windows
    ("activation_window_search", "only_the_best_wins"): Case(
        f"{WINDOWS}; UPDATE {{t}} SET gain_low = NULL", 1, 2, [{"position": "1"}], 2, clean=WINDOWS
    ),
    ("activation_window_search", "kinds_known"): Case(
        f"{WINDOWS}; UPDATE {{t}} SET days = 7 WHERE position = 1", 1, 2, [{"position": "1"}], 2, clean=WINDOWS
    ),
    # of each milestone the main row, twice the horizon, gaps of 0 d and of 30 d, and for activation two other landmarks; the landmark
    # of activation is not known yet, and of two accounts nothing can be told
    ("threshold_robustness", "one_main_each"): Case(
        "DELETE FROM {t} WHERE variant = 'main' AND milestone = 'usage'", 1, 9, [{"milestone": "usage"}], 10
    ),
    ("threshold_robustness", "holds_is_shown"): Case(
        f"UPDATE {{t}} SET holds = TRUE, {GAP} WHERE milestone = 'usage' AND position = 1",
        1,
        10,
        [{"milestone": "usage", "position": "1"}],
        10,
        clean=f"UPDATE {{t}} SET holds = TRUE, reason = NULL, {GAP} WHERE milestone = 'usage' AND position = 1",
    ),
    # twelve links: three steps, setup, and eight after it; no cohort can be trusted alone
    ("milestone_chain", "links_pooled"): Case(
        f"UPDATE {{t}} SET cohort = '2025-01', trust = 'mixed' WHERE {CHAIN}",
        1,
        12,
        [{"behaviour": "activation", "outcome": "retention"}],
        12,
    ),
    ("milestone_chain", "cohorts_trusted"): Case(
        f"UPDATE {{t}} SET cohort = '2025-01' WHERE {CHAIN}",
        1,
        12,
        [{"behaviour": "activation", "outcome": "retention", "cohort": "2025-01"}],
        12,
        clean=f"UPDATE {{t}} SET cohort = '2025-01', trust = 'mixed', interview_account_ids = NULL WHERE {CHAIN}",
    ),
    ("milestone_chain", "counts_agree"): Case(
        f"UPDATE {{t}} SET other_next = other_accounts + 1 WHERE {CHAIN}",
        1,
        12,
        [{"behaviour": "activation", "outcome": "retention", "cohort": "all"}],
        12,
    ),
    ("milestone_chain", "interviews_named"): Case(
        f"UPDATE {{t}} SET interview_account_ids = 'a', trust = 'mixed' WHERE {CHAIN}",
        1,
        12,
        [{"behaviour": "activation", "outcome": "retention", "cohort": "all"}],
        12,
        clean=f"UPDATE {{t}} SET interview_account_ids = 'a' WHERE {CHAIN}",
    ),
    # four milestones, too few accounts for any
    ("framework_review", "every_milestone_reviewed"): Case(
        "UPDATE {t} SET proposal = 'good' WHERE milestone = 'usage'", 1, 4, [{"milestone": "usage"}], 4
    ),
    ("framework_review", "interviews_decide_nothing"): Case(
        "UPDATE {t} SET proposal = 'keep' WHERE milestone = 'usage'", 1, 4, [{"milestone": "usage"}], 4
    ),
    ("framework_review", "alarms_follow_from_their_tests"): Case(
        "UPDATE {t} SET is_retune = TRUE, is_signal = TRUE, gain_holm_p = 0.02, moved_share = 0.04 WHERE milestone = 'usage'",
        1,
        4,
        [{"milestone": "usage"}],
        4,
        clean="UPDATE {t} SET is_retune = TRUE, is_signal = TRUE, gain_holm_p = 0.02, moved_share = 0.05 WHERE milestone = 'usage'",
    ),
    ("framework_review", "no_alarm_raised"): Case(
        "UPDATE {t} SET is_weakened = TRUE WHERE milestone IN ('usage', 'maturity')",
        2,
        4,
        [{"milestone": "maturity"}, {"milestone": "usage"}],
        4,
        severity="warning",
    ),
    # four slopes, seven features with adoption and verdict, three steps, the AUC
    ("framework_watch", "bounds_in_order"): Case(
        "UPDATE {t} SET low = 0.1, high = 0 WHERE kind = 'adoption' AND subject = 'sla'",
        1,
        22,
        [{"kind": "adoption", "subject": "sla"}],
        22,
        clean="UPDATE {t} SET low = 0, high = 0.1 WHERE kind = 'adoption' AND subject = 'sla'",
    ),
    ("framework_watch", "adoption_watched_by_its_interval"): Case(
        "UPDATE {t} SET is_watched = TRUE, q = 0.06, low = 0.06, high = 0.1 WHERE kind = 'adoption' AND subject = 'sla'",
        1,
        22,
        [{"subject": "sla"}],
        22,
        clean="UPDATE {t} SET is_watched = TRUE, q = 0.05, low = 0.06, high = 0.1 WHERE kind = 'adoption' AND subject = 'sla'",
    ),
    ("framework_watch", "verdicts_watched_when_they_changed"): Case(
        "UPDATE {t} SET is_watched = TRUE, reference_verdict = 'niche', verdict = 'niche' WHERE kind = 'feature_verdict' AND subject = 'sla'",
        1,
        22,
        [{"kind": "feature_verdict", "subject": "sla"}],
        22,
        clean="UPDATE {t} SET is_watched = TRUE, reference_verdict = 'niche', verdict = 'neither' "
        "WHERE kind = 'feature_verdict' AND subject = 'sla'",
    ),
    ("framework_watch", "auc_watched_by_its_interval"): Case(
        "UPDATE {t} SET is_watched = TRUE, low = -0.1, high = 0.1, value_low = 0.51 WHERE kind = 'auc'",
        1,
        22,
        [{"subject": "retention"}],
        22,
        clean="UPDATE {t} SET is_watched = TRUE, low = -0.1, high = 0.1, value_low = 0.5 WHERE kind = 'auc'",
    ),
    ("area_thresholds", "areas_measured"): Case("DELETE FROM {t}", 1, 0, [{"area": "chat"}], 1),
    ("area_thresholds", "derived_only_with_signal"): Case(
        f"{SIGNAL}; UPDATE {{t}} SET q = 0.06", 1, 1, [{"area": "chat"}], 1, clean=f"{SIGNAL}; UPDATE {{t}} SET q = 0.05"
    ),
    ("area_thresholds", "halves_are_whole"): Case(
        "UPDATE {t} SET later_accounts = later_accounts + 1", 1, 1, [{"area": "chat"}], 1
    ),
    ("area_success", "kept_is_met"): Case(
        f"{MET}; UPDATE {{t}} SET met_months = 2 WHERE keeps_meeting",
        1,
        10,
        [{"account_id": "b", "month": "2025-04-01", "area": "chat"}],
        10,
        clean=MET,
    ),
    ("area_success", "met_by_threshold"): Case(
        f"{MET}; UPDATE {{t}} SET value = 0.5 WHERE keeps_meeting",
        1,
        10,
        [{"account_id": "b", "month": "2025-04-01", "area": "chat"}],
        10,
        clean=MET,
    ),
    ("threshold_expansion", "picks_by_retention"): Case(
        "UPDATE {t} SET value = value + 1 WHERE behaviour = 'usage'", 1, 6, [{"behaviour": "usage", "basis": "adopted"}], 6
    ),
    ("threshold_expansion", "counts_agree"): Case(
        "UPDATE {t} SET accounts_above = 1 WHERE behaviour = 'usage' AND basis = 'adopted'",
        1,
        6,
        [{"behaviour": "usage", "basis": "adopted"}],
        6,
    ),
    # of two accounts with three steps one did `install`; nothing is decided
    ("setup_step_evidence", "steps_measured"): Case(
        "DELETE FROM {t} WHERE step = 'rules'", 1, 2, [{"step": "rules"}], 3
    ),
    ("setup_step_evidence", "verdicts_known"): Case(
        "UPDATE {t} SET verdict = 'good' WHERE step = 'rules'", 1, 3, [{"step": "rules"}], 3
    ),
    ("setup_step_evidence", "trust_known"): Case(
        "UPDATE {t} SET trust = 'high' WHERE step = 'rules'", 1, 3, [{"step": "rules"}], 3
    ),
    ("setup_step_evidence", "interview_decides_nothing"): Case(
        "UPDATE {t} SET verdict = 'keep' WHERE step = 'rules'",
        1,
        3,
        [{"step": "rules"}],
        3,
        clean="UPDATE {t} SET verdict = 'keep', trust = 'mixed' WHERE step = 'rules'",
    ),
    # kept on a lower bound of half a point, where one point is the least worth it
    ("setup_step_evidence", "keep_is_shown"): Case(
        "UPDATE {t} SET verdict = 'keep', q = 0.01, effect_low = 0.005 WHERE step = 'rules'",
        1,
        3,
        [{"step": "rules"}],
        3,
        clean="UPDATE {t} SET verdict = 'keep', q = 0.01, effect_low = 0.01 WHERE step = 'rules'",
    ),
    ("setup_step_evidence", "counts_agree"): Case(
        "UPDATE {t} SET adopters = 3 WHERE step = 'rules'", 1, 3, [{"step": "rules"}], 3
    ),
    ("setup_step_evidence", "estimates_inside_intervals"): Case(
        "UPDATE {t} SET adoption_low = 0.6 WHERE step = 'install'", 1, 3, [{"step": "install"}], 3
    ),
    # nothing can be permuted in a clean world of two accounts: a verdict by hand
    ("setup_step_placebo", "verdict_follows_from_the_bound"): Case(
        f"{FOUND}; UPDATE {{t}} SET verdict = 'calibrated'", 1, 1, [{"evidence": "setup_steps"}], 1, clean=FOUND
    ),
    ("evidence_placebo", "every_kind_once"): Case(
        "DELETE FROM {t} WHERE evidence = 'usage'", 1, 3, [{"evidence": "usage"}], 4
    ),
    # five months of all accounts, of plan basic and of size 1-4, and each of all months; outcomes of January (a) and February are known
    ("revenue_retention", "shares_inside_intervals"): Case(
        f"UPDATE {{t}} SET retained_share = 0.1 {IN_ALL_MONTHS}", 1, 18, [ALL_MONTHS], 18
    ),
    ("revenue_retention", "gross_below_net"): Case(
        f"UPDATE {{t}} SET gross_revenue_retention = 0.9, net_revenue_retention = 0.8 {IN_ALL_MONTHS}",
        1,
        18,
        [ALL_MONTHS],
        18,
        clean=f"UPDATE {{t}} SET gross_revenue_retention = 0.8, net_revenue_retention = 0.8 {IN_ALL_MONTHS}",
    ),
    ("revenue_retention", "months_add_up"): Case(
        f"UPDATE {{t}} SET rows = 4 {IN_ALL_MONTHS}", 1, 18, [ALL_MONTHS], 18
    ),
    # nobody has left: shares by hand
    ("win_backs", "incidence_never_falls"): Case(
        "UPDATE {t} SET incidence_low = 0, incidence_high = 1, incidence = CASE day WHEN 90 THEN 0.05 ELSE 0.1 END",
        1,
        4,
        [{"day": "90"}],
        4,
        clean="UPDATE {t} SET incidence_low = 0, incidence_high = 1, incidence = 0.1",
    ),
    # no window has elapsed: accounts and a curve by hand
    ("activation_follow_up", "ends_after_landmark"): Case(
        f"{FOLLOWED}; UPDATE {{t}} SET left_at = '2025-04-01' WHERE account_id = 'a'", 1, 2, [{"account_id": "a"}], 2, clean=FOLLOWED
    ),
    ("activation_follow_up", "usage_months_within_3"): Case(
        f"{FOLLOWED}; UPDATE {{t}} SET usage_months = 4 WHERE account_id = 'a'", 1, 2, [{"account_id": "a"}], 2, clean=FOLLOWED
    ),
    ("activation_survival", "survival_never_rises"): Case(
        f"{SURVIVING}; UPDATE {{t}} SET survival = 0.95 WHERE group_name = 'activated' AND day = 0",
        1,
        3,
        [{"group_name": "activated", "day": "7"}],
        3,
        clean=SURVIVING,
    ),
    ("activation_validation", "cohorts_alone_only_with_trust"): Case(
        "UPDATE {t} SET cohort = '2025-Q1' WHERE outcome = 'usage'",
        1,
        2,
        [{"outcome": "usage", "cohort": "2025-Q1"}],
        2,
        clean="UPDATE {t} SET cohort = '2025-Q1', trust = 'mixed' WHERE outcome = 'usage'",
    ),
    ("activation_validation", "both_outcomes_shown"): Case(
        "DELETE FROM {t} WHERE outcome = 'usage'", 1, 1, [{"outcome": "usage", "cohort": "all"}], 2
    ),
    ("activation_validation", "groups_add_up"): Case(
        "UPDATE {t} SET activated = 1 WHERE outcome = 'usage'", 1, 2, [{"outcome": "usage", "cohort": "all"}], 2
    ),
}  # fmt: skip
BY_HAND["area_placebo", "verdict_follows_from_the_bound"] = Case(
    f"{FOUND}; UPDATE {{t}} SET verdict = 'calibrated'", 1, 1, [{"evidence": "areas"}], 1, clean=FOUND
)
# two areas, the second a copy of the first: each may have a pick, and a curve that begins anew
BY_HAND["area_threshold_curve", "response_never_falls"] = Case(
    f"{AREA_CURVES}; UPDATE {{t}} SET retention = 0.35 WHERE area = 'mail' AND value = 3",
    1,
    6,
    [{"area": "mail", "value": "3.0"}],
    6,
    clean=AREA_CURVES,
)
BY_HAND["area_threshold_curve", "one_pick"] = Case(
    f"{AREA_CURVES}; UPDATE {{t}} SET is_pick = is_candidate WHERE area = 'mail'",
    2,
    6,
    [{"area": "mail", "value": "2.0"}, {"area": "mail", "value": "3.0"}],
    6,
    clean=AREA_CURVES,
)
for _milestone in ("activation", "usage"):
    BY_HAND[f"{_milestone}_placebo", "verdict_follows_from_the_bound"] = Case(
        f"{FOUND}; UPDATE {{t}} SET verdict = 'calibrated'", 1, 1, [{"evidence": _milestone}], 1, clean=FOUND
    )
    # a signal that the later half does not confirm: its p is unknown
    BY_HAND[f"{_milestone}_threshold", "derived_only_with_signal"] = Case(
        f"{SIGNAL}; UPDATE {{t}} SET p = NULL", 1, 1, [{"milestone": _milestone}], 1, clean=SIGNAL
    )
    BY_HAND[f"{_milestone}_threshold", "halves_are_whole"] = Case(
        "UPDATE {t} SET later_accounts = later_accounts + 1", 1, 1, [{"milestone": _milestone}], 1
    )
    BY_HAND[f"{_milestone}_threshold_curve", "response_never_falls"] = Case(
        f"{CURVE}; UPDATE {{t}} SET retention = 0.55 WHERE value = 3", 1, 3, [{"value": "3.0"}], 3, clean=CURVE
    )
    BY_HAND[f"{_milestone}_threshold_curve", "one_pick"] = Case(
        f"{CURVE}; UPDATE {{t}} SET is_pick = is_candidate", 2, 3, [{"value": "2.0"}, {"value": "3.0"}], 3, clean=CURVE
    )


@pytest.mark.parametrize(("table", "rule"), sorted(BY_HAND), ids=[f"{table}-{rule}" for table, rule in sorted(BY_HAND)])
def test_a_fault_of_the_product_is_found_and_clean_rows_pass(clean, table, rule):
    case = BY_HAND[table, rule]
    passed = audited(clean, table, {rule}, case.clean)[rule]
    assert (passed.errored, passed.passed, passed.unexpected_count, passed.total_count) == (None, True, 0, case.clean_total)
    assert passed.sample_keys == []
    found = audited(clean, table, {rule}, case.change)[rule]
    assert (found.errored, found.passed, found.unexpected_count, found.total_count) == (None, False, case.count, case.total)
    assert (found.sample_keys, found.sample_truncated) == (case.sample, False)
    assert found.rule.severity == case.severity


# --- what every header says -----------------------------------------------------------------------------------------

IN_MAY = "account_id = 'b' AND month = '2025-05-01'"
HEADER: dict[str, tuple[str, int, int, list[dict[str, str]], int]] = {
    # sixteen columns; one is gone
    "shape": ("ALTER TABLE {t} DROP COLUMN plan", 1, 16, [{"column": "plan", "declared": "VARCHAR", "found": "absent"}], 16),
    "keys_unique": (
        f"INSERT INTO {{t}} SELECT * FROM {{t}} WHERE {IN_MAY}", 2, 11, [{"account_id": "b", "month": "2025-05-01"}], 10,
    ),
    "keys_present": (
        f"UPDATE {{t}} SET account_id = NULL WHERE {IN_MAY}", 1, 10, [{"account_id": "NULL", "month": "2025-05-01"}], 10,
    ),
    "paid_seconds_present": (
        f"UPDATE {{t}} SET paid_seconds = NULL WHERE {IN_MAY}", 1, 10, [{"account_id": "b", "month": "2025-05-01"}], 10,
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", sorted(HEADER))
def test_a_broken_promise_of_a_header_is_found_and_clean_rows_pass(clean, rule):
    change, count, total, sample, clean_total = HEADER[rule]
    columns = len(clean.session.declared.tables["account_months"].columns)
    passed = audited(clean, "account_months", {rule})[rule]
    assert (passed.passed, passed.unexpected_count, passed.total_count) == (
        True,
        0,
        columns if rule == "shape" else clean_total,
    )
    found = audited(clean, "account_months", {rule}, change)[rule]
    assert (found.passed, found.unexpected_count, found.total_count, found.sample_keys) == (
        False,
        count,
        columns if rule == "shape" else total,
        sample,
    )


# --- what files can hold --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def from_files(clean, tmp_path_factory) -> dict[tuple[str, str], RuleResult]:
    """Every failed rule of four companies with something wrong in their files, by table and rule."""
    found: dict[tuple[str, str], RuleResult] = {}

    def keep(table: str, results: Any) -> None:
        for result in results:
            if not result.passed:
                assert (table, result.rule.name) not in found
                found[table, result.rule.name] = result

    keep("raw_events", loaded_events(tmp_path_factory.mktemp("events")))
    for folder, world, tables in (
        ("rows", bad_rows(), ["event_identities", "accounts", "subscriptions"]),
        ("unlisted", unlisted(), ["event_identities", "accounts", "subscriptions", "account_copies", "account_history"]),
        ("doubtful", doubtful(), None),
    ):
        config = world.write(tmp_path_factory.mktemp(folder))
        with made(config, tables=[]) as run:
            assert not run.outcomes["raw_events"].is_refused
            names = tables or [name for name in run.session.declared.tables if name not in {"raw_events", "notes"}]
            for name in names:
                publishing = run.session.make(name)
                keep(name, publishing.results)
                if name == "account_months":
                    break
    with_nothing_to_learn = clean.session.make("feature_importance")
    assert with_nothing_to_learn.state == "refused"
    keep("feature_importance", with_nothing_to_learn.results)
    return found


def loaded_events(folder) -> list[RuleResult]:
    """Days 1 to 6 without day 3; wrong rows on day 2, rows from the future on day 4, late rows and rows of nobody on day 5."""
    given = company(folder)
    given.deliver_days(1, 1)
    given.deliver("2025-01-02", [*two_events(2), *(event("a", "", "2025-01-02 12:00") for _ in range(2))])
    ahead = event("a", "chat", "2025-01-04 12:00") | {"received_at": at("2025-01-04 11:59:59")}
    given.deliver("2025-01-04", [*(event("a", "chat", "2025-01-04 10:00") for _ in range(58)), ahead, ahead])
    late = [
        event("a", "chat", "2025-01-05 10:00") | {"received_at": at(f"2025-01-{day:02} 12:00")} for day in (6, 6, 6, 6, 6, 6, 6, 20)
    ]
    given.deliver("2025-01-05", [*late, *(event(None, "chat", "2025-01-05 11:00") for _ in range(200))])
    given.deliver_days(6, 6)
    return given.load().results


def bad_rows() -> World:
    """Events of accounts that nobody lists, an account made after its first event, subscriptions that cannot be."""
    return World(
        events=[
            event("a", "chat", "2025-01-02 10:00"),
            event("b", "chat", "2025-01-02 10:00"),
            event("ghost", "chat", "2025-01-02 10:00"),
            event("ghost", "chat", "2025-01-03 10:00"),
            event("ghost", "chat", "2025-01-03 11:00"),
        ],
        last_day="2025-01-10",
        accounts=[TWO_ACCOUNTS[0], {"account_id": "b", "created_at": at("2025-01-03")}],
        subscriptions=[
            subscription("a", "2025-01-01"),
            subscription("b", "2025-01-03", "2025-01-02"),
            subscription("c", "2025-01-04", seats=0.0),
            subscription("d", "2025-01-05", seats=None),
            subscription("e", "2025-01-06", plan="gold"),
        ],
        sources={kind: EXTRACTED[kind] for kind in ("subscriptions", "accounts")},
    )


def unlisted() -> World:
    """Of three accounts that pay, the accounts source lists two."""
    return World(
        events=[event("a", "chat", "2025-01-02 10:00")],
        last_day="2025-01-10",
        accounts=TWO_ACCOUNTS,
        subscriptions=[subscription(name, "2025-01-01") for name in ("a", "b", "ghost")],
        sources={kind: EXTRACTED[kind] for kind in ("subscriptions", "accounts")},
    )


def doubtful() -> World:
    """Nothing that blocks: a misspelt event in a step, an event that the plan does not know, a free plan without seats."""
    step = {"name": "install", "title": "Install", "events": ["instaled"]}
    steps = [step, *({"name": name, "title": name, "events": ["joined"]} for name in ("team", "rules"))]
    return World(
        events=[*once_each(), event("a", "surprise", "2025-01-20 10:00")],
        last_day="2025-01-31",
        framework={"setup": {"steps": steps}},
        subscriptions=[subscription("a", "2025-01-01"), subscription("c", "2025-01-01", plan="free", seats=0.0)],
        sources={"subscriptions": EXTRACTED["subscriptions"]},
    )


@dataclass(frozen=True)
class Found:
    """What a rule finds in files: its count, total, severity, sample, and the failing groups where it judges by group."""

    count: int
    total: int
    severity: str
    sample: list[dict[str, str]]
    groups: list[dict[str, Any]] | None = None


def group(column: str, value: str, count: int, total: int) -> dict[str, Any]:
    return {column: value, "unexpected_count": count, "total_count": total, "share": count / total}


# rows by day: 2, 4, none, 60, 208 and 2
IN_FILES: dict[tuple[str, str], Found] = {
    ("raw_events", "refused_rows"): Found(
        # day 2: 2 of 4; day 4: 2 of 60 is within the bound, and counted
        4, 276, "critical", [{"day": "2025-01-02"}], [group("day", "2025-01-02", 2, 4)],
    ),
    ("raw_events", "events_after_arrival"): Found(
        2, 276, "critical", [{"day": "2025-01-04"}], [group("day", "2025-01-04", 2, 60)],
    ),
    ("raw_events", "missing_days"): Found(
        1, 1, "critical", [{"day": "2025-01-03"}], [group("day", "2025-01-03", 1, 1)],
    ),
    ("raw_events", "events_without_account"): Found(
        # 276 rows, of which 200 are of nobody
        200, 276, "warning", [{"day": "2025-01-05", "event_id": f"2025-01-05-{number}"} for number in (10, 100, 101, 102, 103)],
    ),
    ("accounts", "events_of_known_accounts"): Found(
        # of five events, three are of the ghost
        3, 5, "critical", [{"account_id": "ghost"}],
    ),
    ("accounts", "created_before_first_event"): Found(1, 2, "warning", [{"account_id": "b"}]),
    ("subscriptions", "ends_after_start"): Found(
        1, 5, "critical", [state("b", "2025-01-03 00:00:00")],
    ),
    ("subscriptions", "seats_where_sold"): Found(
        2, 5, "critical", sorted(
            [
                state("c", "2025-01-04 00:00:00"),
                state("d", "2025-01-05 00:00:00"),
            ],
            key=lambda shown: int(shown["account_key"]),
        ),
    ),
    ("subscriptions", "plans_known"): Found(
        1, 5, "warning", [state("e", "2025-01-06 00:00:00")],
    ),
    ("account_history", "accounts_known"): Found(
        1, 3, "critical", [{"account_key": key("ghost"), "valid_from": "2025-01-01 00:00:00"}],
    ),
    ("account_months", "seats_positive_where_paid"): Found(
        1, 2, "warning", [{"account_id": "c", "month": "2025-01-01"}],
    ),
    ("event_catalogue", "configured_events_arrive"): Found(
        1, 1, "warning", [{"hint": "instaled (setup step install): closest names that arrive: installed, started"}],
        [group("hint", "instaled (setup step install): closest names that arrive: installed, started", 1, 1)],
    ),
    ("event_catalogue", "configured_rules_match"): Found(
        1, 1, "warning", [{"used_by": "setup step install"}], [group("used_by", "setup step install", 1, 1)],
    ),
    # thirteen names of accounts arrive, and the heartbeat of nobody
    ("event_catalogue", "events_in_tracking_plan"): Found(1, 14, "warning", [{"event": "surprise"}]),
}  # fmt: skip
# the rules that have no fixture above, each with a test of its own
APART = {("raw_events", "late_events"), ("feature_importance", "better_than_chance")}


@pytest.mark.parametrize(("table", "rule"), sorted(IN_FILES), ids=[f"{table}-{rule}" for table, rule in sorted(IN_FILES)])
def test_what_is_wrong_in_files_is_found_and_clean_files_pass(clean, from_files, table, rule):
    case, result = IN_FILES[table, rule], from_files[table, rule]
    assert result.errored is None
    assert (result.unexpected_count, result.total_count, result.rule.severity) == (case.count, case.total, case.severity)
    assert result.sample_keys == case.sample
    assert result.sample_truncated == (len(case.sample) == 5)
    if case.groups is not None:
        assert result.groups == case.groups
    passed = rule_of(clean.outcomes[table].results, rule)
    assert (passed.errored, passed.passed) == (None, True)
    # the heartbeats that keep the days whole are of nobody
    assert passed.unexpected_count == (1 if rule == "events_without_account" else 0)


def test_late_events_are_judged_by_days_late(clean, from_files):
    result = from_files["raw_events", "late_events"]
    # accepted rows: 276 less 2 without a name and 2 from the future; 7 came a day late and 1 fifteen days, together more than 2 %
    late = {"1 day(s) late": 7, "7 or more day(s) late": 1}
    assert result.groups == [group("lateness", name, count, 272) for name, count in late.items()]
    assert (result.rule.severity, result.unexpected_count, result.total_count, result.share) == ("warning", 8, 272, 8 / 272)
    assert result.sample_keys == [{"lateness": name} for name in late]
    passed = rule_of(clean.outcomes["raw_events"].results, "late_events")
    assert (passed.passed, passed.unexpected_count, passed.groups) == (True, 0, [])


def test_nothing_else_is_wrong_in_those_files(from_files):
    assert set(from_files) == set(IN_FILES) | APART


def test_a_ranking_no_better_than_chance_is_refused(clean, from_files):
    result = from_files["feature_importance", "better_than_chance"]
    assert (result.unexpected_count, result.total_count) == (1, 1)
    (only,) = result.groups
    assert only["found"] == result.sample_keys[0]["found"]
    by_chance = "UPDATE {t} SET auc = 0.55, auc_low = 0.5, auc_high = 0.6"
    found = audited(clean, "feature_importance", {"better_than_chance"}, by_chance)["better_than_chance"]
    assert (found.passed, found.unexpected_count, found.total_count) == (False, 1, 1)
    assert found.sample_keys == [{"found": "held-out AUC 0.55, 95 % interval 0.5 to 0.6"}]
    passed = audited(clean, "feature_importance", {"better_than_chance"})["better_than_chance"]
    assert (passed.passed, passed.unexpected_count, passed.total_count) == (True, 0, 1)


# --- no rule without a pair -----------------------------------------------------------------------------------------


def test_every_rule_has_a_passing_and_a_failing_fixture(clean):
    declared = clean.session.declared
    product = {(table, rule.name) for table, rules in declared.suites.items() for rule in rules if rule.origin == "product"}
    assert product == set(BY_HAND) | set(IN_FILES) | APART
    assert len(product) == 107
    # every YAML beside a table is read
    files = {path.stem for path in SQL_ROOT.rglob("*.yaml")}
    assert {table for table, _ in product} == files
    header = {rule.name for rules in declared.suites.values() for rule in rules if rule.origin == "header"}
    kinds = {"columns_present" if name.endswith("_present") and name != "keys_present" else name for name in header}
    assert kinds == {"shape", "keys_unique", "keys_present", "columns_present"}
    assert {"columns_present" if name == "paid_seconds_present" else name for name in HEADER} == kinds
    # what is asked beside the suites is about files: test_gate.py has their pairs
    beside = {rule.name for table in declared.tables for rule in declared.rules(table)} - {name for _, name in product} - header
    assert beside == {"source_files", "source_columns"}


def test_clean_rows_fail_no_rule(clean):
    failing = {
        (table, result.rule.name) for table, outcome in clean.outcomes.items() for result in outcome.results if not result.passed
    }
    assert failing == set()
    asked = {(table, result.rule.name) for table, outcome in clean.outcomes.items() for result in outcome.results}
    declared = {(table, rule.name) for table in clean.outcomes for rule in clean.session.declared.rules(table)}
    assert asked == declared
