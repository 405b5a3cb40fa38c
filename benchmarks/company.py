"""A generated company of any size for measuring: daily Parquet of events, three snapshot tables, a config folder beside them.

Put here what the company does. Keep out how anything is measured. Unlike the demonstration company nothing is planted in it: it has
the shape of a real one (skewed accounts, bursts of the same event by the same user, string identifiers, conversations that last days,
trials, churn that follows disengagement), and it is written in minutes at 100 million events, a few days at a time.

Rows depend on the parameters and the version of DuckDB (whose `hash` is the source of all randomness), not on memory or threads.
`python -m benchmarks.company FOLDER --events 1e7`
"""

# ruff: noqa: E501  (expressions of SQL)

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

BEGIN = date(2024, 6, 29)
DAYS = 730
"""Two years to the end of 28 June: one more day is the 29th of an open month, the dearest but the next, which closes the month."""
CARRY_DAYS = 5
"""A conversation is resolved, reopened and resolved again within so many days."""
CHUNK_ROWS = 4_000_000
MEMORY_LIMIT = "2GB"
"""Of DuckDB, for the product and for the plain script alike: what does not fit is spilled, and the peak says what else is held."""
BURST_MEAN = 2.54
"""Mean of 1 + floor(an exponential number of mean 2): how often an event is repeated in one go."""
AFTERMATH = 1.95
"""Events of a conversation: its start, .88 resolutions, .04 of those reopened, .8 of those resolved again."""

# name, weight, share of accounts that use it (half as much at the worst, half as much again at the best), least plan (0 to 2), actor
NAMES = (
    ("conversation_started", 90, 1.0, 0, "contact"), ("messenger_message_sent", 130, 0.9, 0, "contact"),
    ("messenger_opened", 110, 1.0, 0, "contact"), ("inbox_opened", 95, 1.0, 0, "teammate"),
    ("messenger_home_viewed", 70, 0.95, 0, "contact"), ("email_message_received", 55, 0.8, 0, "contact"),
    ("conversation_assigned", 40, 0.6, 0, "teammate"), ("macro_used", 35, 0.5, 0, "teammate"),
    ("workflow_triggered", 35, 0.45, 0, "product"), ("api_request_sent", 33, 0.3, 0, "product"),
    ("help_centre_searched", 28, 0.5, 0, "contact"), ("answer_bot_replied", 26, 0.35, 0, "product"),
    ("conversation_tagged", 24, 0.55, 0, "teammate"), ("internal_note_added", 22, 0.55, 0, "teammate"),
    ("webhook_delivered", 20, 0.25, 0, "product"), ("crm_record_synced", 18, 0.35, 0, "product"),
    ("mobile_inbox_opened", 16, 0.5, 0, "teammate"), ("dashboard_viewed", 14, 0.5, 0, "teammate"),
    ("inbox_view_opened", 12, 0.45, 0, "teammate"), ("chat_alert_sent", 12, 0.4, 0, "product"),
    ("bot_handover_made", 9, 0.3, 0, "product"), ("ticket_created", 9, 0.4, 1, "teammate"),
    ("conversation_snoozed", 8, 0.4, 0, "teammate"), ("whatsapp_message_received", 8, 0.3, 1, "contact"),
    ("teammate_mentioned", 8, 0.4, 0, "teammate"), ("auto_close_triggered", 7, 0.3, 0, "product"),
    ("triage_rule_applied", 6, 0.25, 0, "product"), ("team_report_viewed", 6, 0.35, 0, "teammate"),
    ("social_message_received", 5, 0.25, 0, "contact"), ("outbound_message_sent", 5, 0.3, 0, "teammate"),
    ("phone_call_answered", 5, 0.2, 1, "teammate"), ("article_rated", 4, 0.3, 0, "contact"),
    ("product_tour_started", 4, 0.25, 1, "contact"), ("sms_message_received", 4, 0.2, 1, "contact"),
    ("satisfaction_report_viewed", 4, 0.3, 0, "teammate"), ("issue_linked", 4, 0.3, 0, "teammate"),
    ("workflow_edited", 3, 0.35, 0, "teammate"), ("macro_edited", 3, 0.35, 0, "teammate"),
    ("article_published", 3, 0.4, 0, "teammate"), ("report_exported", 3, 0.3, 0, "teammate"),
    ("topic_explored", 2, 0.25, 1, "teammate"), ("answer_bot_trained", 2, 0.25, 0, "teammate"),
    ("custom_report_created", 2, 0.25, 1, "teammate"), ("sla_rule_applied", 2, 0.3, 2, "product"),
    ("workload_limit_applied", 2, 0.3, 2, "product"), ("custom_object_synced", 2, 0.3, 2, "product"),
    ("audit_log_viewed", 2, 0.3, 2, "teammate"), ("crm_field_mapped", 1, 0.25, 0, "teammate"),
    ("app_installed", 1, 0.3, 0, "teammate"), ("news_item_published", 1, 0.25, 0, "teammate"),
    ("workflow_published", 1, 0.4, 0, "teammate"), ("teammate_invited", 1, 0.5, 0, "teammate"),
    ("auto_assignment_enabled", 1, 0.4, 0, "teammate"), ("auto_assignment_disabled", 1, 0.1, 0, "teammate"),
    ("office_hours_enabled", 1, 0.4, 0, "teammate"), ("office_hours_disabled", 1, 0.1, 0, "teammate"),
    ("satisfaction_survey_enabled", 1, 0.4, 0, "teammate"), ("satisfaction_survey_disabled", 1, 0.1, 0, "teammate"),
    ("whatsapp_addon_enabled", 1, 0.3, 1, "teammate"), ("whatsapp_addon_disabled", 1, 0.1, 1, "teammate"),
    ("phone_addon_enabled", 1, 0.2, 1, "teammate"), ("phone_addon_disabled", 1, 0.1, 1, "teammate"),
    ("single_sign_on_enabled", 1, 0.3, 2, "teammate"), ("single_sign_on_disabled", 1, 0.1, 2, "teammate"),
)  # fmt: skip
# name, repetitions, share of accounts at the worst, gain to the best, mean days after creation
SETUP = (
    ("messenger_installed", 1, 0.55, 0.42, 3.0), ("messenger_customised", 1, 0.80, 0.19, 2.0),
    ("support_email_connected", 1, 0.35, 0.55, 5.0), ("teammate_invited", 3, 0.35, 0.60, 6.0),
    ("article_published", 4, 0.25, 0.50, 12.0), ("history_imported", 1, 0.05, 0.10, 8.0), ("workflow_published", 1, 0.25, 0.60, 14.0),
)  # fmt: skip

# u: uniform in [0, 1) by what it is drawn for; account_name and user_name: 48-bit bijections, so that no two are equal
_MACROS = """
CREATE OR REPLACE MACRO u(a, b, salt) AS (hash(a, b, salt, getvariable('seed')) >> 11) / 9007199254740992.0;
CREATE OR REPLACE MACRO scrambled(x) AS xor(x, x >> 23);
CREATE OR REPLACE MACRO stirred(x) AS (scrambled((scrambled(x + 1) * 1540483477) & 281474976710655) * 28657) & 281474976710655;
CREATE OR REPLACE MACRO named(prefix, x) AS prefix || printf('%012x', scrambled(stirred(x::BIGINT)));
CREATE OR REPLACE MACRO account_name(n) AS named('acc_', n);
CREATE OR REPLACE MACRO user_name(n, place) AS named('usr_', n::BIGINT * 512 + place);
CREATE OR REPLACE MACRO at_time(day, seconds) AS
  getvariable('begin')::TIMESTAMP + to_microseconds(day::BIGINT * 86400000000 + (seconds * 1000)::BIGINT * 1000);
CREATE OR REPLACE MACRO intensity(weight, day, day_to, leaves, is_trial) AS
  weight * CASE WHEN day % 7 >= 5 THEN 0.3 ELSE 1.28 END * CASE WHEN is_trial THEN 0.6 ELSE 1.0 END
  * CASE WHEN leaves AND day >= day_to - 35 THEN 0.3 ELSE 1.0 END;
"""

# `quality` is the one thing behind behaviour and staying; a tenth of the accounts are there on the first day, so that no day is empty; spells are half-open days since the beginning
_WORLD = """
CREATE OR REPLACE TEMP TABLE account AS
WITH drawn AS (
  SELECT
    n, u(n, 0, 'quality') AS quality, floor(greatest(0, 1.1 * u(n, 0, 'created') - 0.1) * (getvariable('days') - 2))::INTEGER AS created_day,
    u(n, 0, 'second') * 80000 AS created_second, u(n, 0, 'plan') AS p, u(n, 0, 'seats') AS s,
    sqrt(-2 * ln(1 - u(n, 0, 'weight'))) * cos(6.283185307 * u(n, 1, 'weight')) AS normal,
    u(n, 0, 'trial') < 0.8 AS has_trial, u(n, 0, 'term') < 0.2 AS is_annual
  FROM (SELECT unnest(range(getvariable('accounts')))::INTEGER AS n)
)
SELECT
  n, quality, created_day, at_time(created_day, created_second) AS created_at,
  CASE WHEN p < 0.5 THEN 0 WHEN p < 0.85 THEN 1 ELSE 2 END::INTEGER AS plan,
  least(250, 1 + floor(exp(-ln(1 - s) * 1.1)))::INTEGER AS seats,
  exp(1.1 * normal + 1.2 * (quality - 0.5)) AS weight,
  has_trial, is_annual,
  has_trial AND u(n, 0, 'converts') > 0.4 + 0.55 * quality AS never_pays,
  created_day + CASE WHEN has_trial THEN 14 ELSE 0 END AS paid_day,
  ceil(-ln(1 - u(n, 0, 'life')) * 30.4 / (0.02 * exp(3 * (0.5 - quality))) / CASE WHEN is_annual THEN 365 ELSE 1 END)::INTEGER
    * CASE WHEN is_annual THEN 365 ELSE 1 END AS life_days,
  u(n, 0, 'back') < 0.15 AS returns, 10 + floor(u(n, 1, 'back') * 120)::INTEGER AS away_days,
  u(n, 0, 'expands') < 0.15 + 0.3 * quality AS expands, u(n, 1, 'expands') AS expanded_share
FROM drawn;
CREATE OR REPLACE TEMP TABLE spell AS
WITH paid AS (
  SELECT *, paid_day + life_days AS left_day FROM account WHERE NOT never_pays
), all_spells AS (
  SELECT n, 0 AS spell, created_day AS day_from, created_day + 14 AS day_to, FALSE AS leaves, TRUE AS is_trial
  FROM account WHERE has_trial
  UNION ALL
  SELECT n, 1, paid_day, left_day, TRUE, FALSE FROM paid
  UNION ALL
  SELECT n, 2, left_day + away_days, left_day + away_days + life_days, TRUE, FALSE FROM paid WHERE returns
)
SELECT s.* FROM all_spells AS s WHERE s.day_from < getvariable('horizon') ORDER BY s.n, s.spell;
CREATE OR REPLACE TEMP TABLE setup_event AS
SELECT
  a.n, a.seats, s.name AS event, r.i,
  a.created_at + to_milliseconds((1000.0 * (60 + 86400 * (r.i * 1.5 - ln(1 - u(a.n, r.i, s.name)) * s.delay_days)))::BIGINT) AS occurred_at
FROM account AS a
CROSS JOIN setup_step AS s
CROSS JOIN LATERAL (SELECT unnest(range(s.repetitions)) AS i) AS r
WHERE u(a.n, -1, s.name) < s.base + s.gain * a.quality
ORDER BY occurred_at, a.n, event, r.i;
"""

_SCALE = """
SELECT sum(intensity(a.weight, d.day, s.day_to, s.leaves, s.is_trial))
FROM spell AS s
JOIN account AS a USING (n)
CROSS JOIN LATERAL (SELECT unnest(range(s.day_from + 1, least(s.day_to, getvariable('days')))) AS day) AS d
"""

_SETUP_ROWS = """
SELECT count(*) FROM setup_event AS e SEMI JOIN visible AS v ON v.n = e.n AND e.occurred_at >= v.seen_from AND e.occurred_at < v.seen_to
"""

# who may act when: a spell in time, so that nothing happens after an account has left
_VISIBLE = """
CREATE OR REPLACE TEMP TABLE visible AS
SELECT s.n, greatest(at_time(s.day_from, 0), a.created_at) AS seen_from, at_time(least(s.day_to, getvariable('horizon')), 0) AS seen_to
FROM spell AS s JOIN account AS a USING (n)
"""

_BURSTS = """
CREATE OR REPLACE TEMP TABLE burst AS
WITH active AS (
  SELECT
    s.n, s.day_to, s.leaves, s.is_trial, a.weight, a.quality, a.plan, a.seats,
    unnest(range(greatest(s.day_from + 1, getvariable('low')), least(s.day_to, getvariable('high'))))::INTEGER AS day
  FROM spell AS s
  JOIN account AS a USING (n)
  WHERE s.day_from < getvariable('high') AND s.day_to > getvariable('low')
), counted AS (
  SELECT
    n, day, quality, plan, seats, (2 + least(400, getvariable('scale') * weight * 7))::INTEGER AS contacts,
    floor(getvariable('scale') * intensity(weight, day, day_to, leaves, is_trial) + u(n, day, 'count'))::INTEGER AS bursts
  FROM active
), drawn AS (
  SELECT *, unnest(range(bursts))::INTEGER AS burst FROM counted WHERE bursts > 0
), choices AS (
  SELECT
    d.*,
    u(d.n, d.day * 65536 + d.burst, 'user') AS who,
    1 + floor(-2 * ln(1 - u(d.n, d.day * 65536 + d.burst, 'size')))::INTEGER AS size,
    (u(d.n, d.day * 65536 + d.burst, 'hour') + u(d.n, d.day * 65536 + d.burst, 'other hour')) * 42000 AS second,
    20 + 280 * u(d.n, d.day * 65536 + d.burst, 'pace') AS pace,
    d.plan >= t.plan AND u(d.n, t.number, 'adopted') < t.share * (0.5 + d.quality) AS is_adopted,
    1 + floor(u(d.n, d.day * 65536 + d.burst, 'instead') * 5)::INTEGER AS instead,
    t.name, t.actor
  FROM drawn AS d
  JOIN slot AS t ON t.slot = floor(u(d.n, d.day * 65536 + d.burst, 'name') * getvariable('slots'))::INTEGER
), chosen AS (
  -- who does not use the one feature does something that everybody does
  SELECT
    c.*,
    CASE WHEN is_adopted THEN name ELSE [
      'messenger_opened', 'inbox_opened', 'messenger_message_sent', 'messenger_home_viewed', 'inbox_opened'
    ][instead] END AS event,
    CASE WHEN is_adopted THEN actor WHEN instead IN (2, 5) THEN 'teammate' ELSE 'contact' END AS acting
  FROM choices AS c
)
SELECT
  n, day, burst, event, size, second, pace, contacts,
  CASE
    WHEN acting = 'contact' THEN 64 + floor(who * who * contacts)::INTEGER
    WHEN acting = 'teammate' THEN floor(who * who * least(seats, 64))::INTEGER
  END AS place
FROM chosen
"""

_EVENTS = """
CREATE OR REPLACE TEMP TABLE chunk AS
WITH one AS (
  SELECT
    n, day, burst, event, place, contacts, i, at_time(day, least(second + i * pace, 86399)) AS occurred_at, day * 65536 + burst AS draw
  FROM (SELECT *, unnest(range(size)) AS i FROM burst)
), begun AS (
  SELECT
    n, day, burst, i, occurred_at, contacts, draw + i * 68719476736 AS draw,
    occurred_at + to_milliseconds(
      (3600000 * least(48, 0.05 - 9 * ln(1 - u(n, draw + i * 68719476736, 'resolved after'))))::BIGINT
    ) AS resolved_at,
    u(n, draw + i * 68719476736, 'resolved') AS fate,
    64 + floor(u(n, draw + i * 68719476736, 'contact') * contacts)::INTEGER AS place,
    to_milliseconds((3600000 * (0.5 + 20 * u(n, draw + i * 68719476736, 'reopened after')))::BIGINT) AS pause
  FROM one WHERE event = 'conversation_started'
), talked AS (
  SELECT n, day, burst, i, 0 AS part, 'conversation_started' AS event, place, occurred_at, draw FROM begun
  UNION ALL
  SELECT n, day, burst, i, 1, 'conversation_resolved', place, resolved_at, draw FROM begun WHERE fate < 0.88
  UNION ALL
  SELECT n, day, burst, i, 2, 'conversation_reopened', place, resolved_at + pause, draw FROM begun WHERE fate < 0.04
  UNION ALL
  SELECT n, day, burst, i, 3, 'conversation_resolved', place, resolved_at + pause * 2, draw FROM begun WHERE fate < 0.032
), everything AS (
  SELECT
    n, concat_ws('-', n, day, burst, i) AS origin, event, place, occurred_at,
    CASE
      WHEN u(n, draw + i, 'detail') < 0.5 THEN NULL
      ELSE '{"surface":"' || CASE WHEN u(n, draw + i, 'detail') < 0.85 THEN 'web' ELSE 'ios' END || '"}'
    END AS properties
  FROM one WHERE event <> 'conversation_started'
  UNION ALL
  SELECT
    t.n, concat_ws('-', t.n, t.day, t.burst, t.i, 'conversation', t.part), t.event, t.place, t.occurred_at,
    '{"conversation_id":"cnv_' || printf('%016x', hash(t.n, t.draw, getvariable('seed')))
      || CASE WHEN t.part = 0 THEN '","channel":"' || CASE WHEN u(t.n, t.draw, 'channel') < 0.7 THEN 'messenger' ELSE 'email' END ELSE '' END
      || '"}'
  FROM talked AS t
  UNION ALL
  SELECT
    e.n, concat_ws('-', e.n, e.event, 'setup', e.i), e.event, 0, e.occurred_at,
    CASE
      WHEN e.event = 'messenger_installed' THEN
        '{"platform":"' || CASE WHEN u(e.n, 0, 'platform') < 0.05 THEN 'sandbox' WHEN u(e.n, 0, 'platform') < 0.8 THEN 'web' ELSE 'ios' END || '"}'
      WHEN e.event = 'teammate_invited' THEN '{"invitee":"' || user_name(e.n, 1 + e.i % greatest(1, e.seats - 1)) || '"}'
    END
  FROM setup_event AS e
  SEMI JOIN visible AS v ON v.n = e.n AND e.occurred_at >= v.seen_from AND e.occurred_at < v.seen_to
  WHERE e.occurred_at >= at_time(getvariable('low'), 0) AND e.occurred_at < at_time(getvariable('high'), 0)
)
SELECT
  md5(getvariable('seed') || origin) AS event_id,
  account_name(n) AS account_id,
  user_name(n, place) AS user_id,
  event,
  occurred_at,
  occurred_at + to_milliseconds((1000.0 * CASE
    WHEN u(n, origin, 'late') < 0.003 THEN 90000 + 80000 * u(n, origin, 'later') ELSE 1 + 60 * u(n, origin, 'later')
  END)::BIGINT) AS received_at,
  properties
FROM everything
UNION ALL
SELECT * FROM carried
ORDER BY occurred_at, event_id
"""

_CARRIED = """
CREATE OR REPLACE TEMP TABLE carried AS
SELECT * FROM chunk WHERE occurred_at >= at_time(getvariable('high'), 0)
"""

_DAY = """
SELECT * FROM chunk
WHERE occurred_at >= at_time(getvariable('day'), 0) AND occurred_at < at_time(getvariable('day') + 1, 0)
ORDER BY occurred_at, event_id
"""

# what an extract made at the end of day `until` - 1 knows
_SNAPSHOTS = {
    "accounts": """
SELECT
  account_name(n) AS account_id, created_at,
  ['software', 'commerce', 'finance', 'education', 'health', 'services'][1 + (u(n, 0, 'industry') * 6)::INTEGER % 6] AS industry,
  ['US', 'GB', 'DE', 'FR', 'AU', 'BR', 'IN'][1 + (u(n, 0, 'country') * 7)::INTEGER % 7] AS country
FROM account WHERE created_day < getvariable('until') ORDER BY n
""",
    "users": """
SELECT
  user_name(n, place) AS user_id, account_name(n) AS account_id, created_at,
  CASE WHEN place >= 64 THEN 'contact' WHEN place = 0 THEN 'owner' ELSE 'agent' END AS persona
FROM (
  SELECT n, created_at, unnest(range(least(seats, 64))) AS place FROM account WHERE created_day < getvariable('until')
  UNION ALL
  SELECT n, created_at, 64 + unnest(range((2 + least(400, getvariable('scale') * weight * 7))::INTEGER))
  FROM account WHERE created_day < getvariable('until')
)
ORDER BY n, place
""",
    "subscriptions": """
WITH state AS (
  SELECT s.n, s.spell, s.is_trial, s.day_from, s.day_to, 1.0 AS factor, s.day_from AS anchor_day FROM spell AS s
  JOIN account AS a USING (n)
  WHERE s.spell <> 1 OR NOT a.expands
  UNION ALL
  SELECT
    s.n, s.spell, s.is_trial, s.day_from, s.day_from + greatest(1, floor(a.life_days * a.expanded_share)::INTEGER), 1.0, s.day_from
  FROM spell AS s JOIN account AS a USING (n)
  WHERE s.spell = 1 AND a.expands
  UNION ALL
  SELECT
    s.n, s.spell, s.is_trial, s.day_from + greatest(1, floor(a.life_days * a.expanded_share)::INTEGER), s.day_to, 1.5, s.day_from
  FROM spell AS s JOIN account AS a USING (n)
  WHERE s.spell = 1 AND a.expands AND greatest(1, floor(a.life_days * a.expanded_share)::INTEGER) < a.life_days
), priced AS (
  SELECT
    t.*, a.created_at, a.is_annual, ['starter', 'growth', 'premium'][a.plan + 1] AS plan, ceil(a.seats * t.factor)::INTEGER AS seats,
    [29.0, 59.0, 99.0][a.plan + 1] AS price,
    CASE WHEN t.day_from = a.created_day THEN a.created_at ELSE at_time(t.day_from, 0) END AS started_at
  FROM state AS t JOIN account AS a USING (n)
)
SELECT
  account_name(n) AS account_id, 'sub_' || substr(account_name(n), 5) || '_' || greatest(spell, 1) AS subscription_id, plan, seats,
  CASE WHEN is_trial THEN 0.0 ELSE seats * price END AS mrr, 'usd' AS currency, started_at,
  CASE WHEN day_to < getvariable('until') THEN at_time(day_to, 0) END AS ended_at, is_trial,
  CASE WHEN is_annual THEN 12 ELSE 1 END AS term_months,
  CASE WHEN anchor_day = day_from THEN started_at ELSE at_time(anchor_day, 0) END AS term_anchor_at, started_at AS recorded_at
FROM priced WHERE day_from < getvariable('until') ORDER BY n, spell, started_at
""",
}


@dataclass(frozen=True)
class Company:
    """What is generated: about `events` events of `accounts` accounts over `days` days; the same parameters, the same rows."""

    events: int
    accounts: int
    days: int = DAYS
    seed: int = 7


def default_accounts(events: int) -> int:
    """100,000 accounts, as many as an event each hundred allows below ten million events."""
    return max(200, min(100_000, events // 100))


def write_company(folder: Path, company: Company, memory: str = "3GB") -> int:
    """Write the whole company into `folder` (made when missing) with its config folder, and return the number of events.

    Args:
        folder: gets `events/YYYY-MM-DD.parquet`, the three snapshots, `config/` and `company.json`.
        company: the parameters.
        memory: limit of DuckDB's memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with world(company, memory) as connection:
        rows = write_days(connection, folder / "events", 0, company.days)
        write_snapshots(connection, folder, company.days)
    write_config(folder)
    (folder / "company.json").write_text(
        json.dumps({"begin": str(BEGIN), **asdict(company), "rows": rows, "duckdb": duckdb.__version__}), encoding="utf-8"
    )
    return rows


@contextmanager
def world(company: Company, memory: str = "3GB") -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that holds who the accounts are, when they are there and how busy each is; events are drawn from it by day."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET memory_limit = $limit", {"limit": memory})
        # conversations of the last days reach beyond them, and a day after the last may be asked for
        for name, value in {
            "seed": f"company {company.seed}", "accounts": company.accounts, "days": company.days, "horizon": company.days + 60,
            "begin": BEGIN, "slots": sum(name[1] for name in NAMES),
        }.items():  # fmt: skip
            _set(connection, name, value)
        connection.execute(_MACROS)
        _tables(connection)
        connection.execute(_WORLD)
        connection.execute(_VISIBLE)
        busy, setup = _number(connection, _SCALE), _number(connection, _SETUP_ROWS)
        conversations = NAMES[0][1] / sum(name[1] for name in NAMES)
        mean = BURST_MEAN * (1 + conversations * (AFTERMATH - 1))
        _set(connection, "scale", max(company.events - setup, 0) / max(busy, 1) / mean)
        yield connection


def write_days(connection: duckdb.DuckDBPyConnection, folder: Path, first: int, end: int) -> int:
    """Write the files of the days `first` to `end` - 1 since the beginning, in chunks of bounded size; return their events."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    connection.execute("CREATE OR REPLACE TEMP TABLE carried AS SELECT * FROM (VALUES (NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR, "
                       "NULL::VARCHAR, NULL::TIMESTAMP, NULL::TIMESTAMP, NULL::VARCHAR)) WHERE FALSE")  # fmt: skip
    low, step = max(0, first - CARRY_DAYS), max(CARRY_DAYS, 1)
    while low < end:
        high = min(low + step, end)
        _set(connection, "low", low)
        _set(connection, "high", high)
        for statement in (_BURSTS, _EVENTS, _CARRIED):
            connection.execute(statement)
        for day in range(max(low, first), high):
            _set(connection, "day", day)
            path = folder / f"{BEGIN + timedelta(days=day)}.parquet"
            connection.sql(_DAY).write_parquet(str(path), compression="zstd")
            written += _number(connection, "SELECT count(*) FROM chunk WHERE occurred_at >= at_time(getvariable('day'), 0) "
                               "AND occurred_at < at_time(getvariable('day') + 1, 0)")  # fmt: skip
        rows = _number(connection, "SELECT count(*) FROM chunk")
        step = max(1, min(30, (high - low) * CHUNK_ROWS // max(rows, 1)))
        low = high
    return written


def write_snapshots(connection: duckdb.DuckDBPyConnection, folder: Path, until: int) -> None:
    """Write accounts, users and subscriptions as an extract at the end of day `until` - 1 knows them."""
    _set(connection, "until", until)
    for name, statement in _SNAPSHOTS.items():
        connection.sql(statement).write_parquet(str(folder / f"{name}.parquet"), compression="zstd")


def write_config(folder: Path) -> None:
    """Copy the product's config folder to `folder`/config, reading this company, with its warehouse in `folder`/warehouse."""
    config = folder / "config"
    shutil.copytree(
        Path(__file__).parents[1] / "assets_config", config, dirs_exist_ok=True, ignore=shutil.ignore_patterns("schemas")
    )
    sources = config / "sources.yaml"
    text = sources.read_text(encoding="utf-8")
    if "${HELPDESK_DATA:-../data/demo}" not in text:
        raise ValueError(f"{sources}: the folder of the data is not named as expected, write_config must change with it")
    sources.write_text(text.replace("${HELPDESK_DATA:-../data/demo}", ".."), encoding="utf-8")
    (config / "warehouse.yaml").write_text(f"memory_limit: {MEMORY_LIMIT}\n", encoding="utf-8")


def _tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TEMP TABLE slot (slot INTEGER, number INTEGER, name VARCHAR, share DOUBLE, plan INTEGER, actor VARCHAR)"
    )
    rows = [(number, *name) for number, name in enumerate(NAMES) for _ in range(name[1])]
    connection.executemany(
        "INSERT INTO slot VALUES (?, ?, ?, ?, ?, ?)",
        [(place, number, name, share, plan, actor) for place, (number, name, _, share, plan, actor) in enumerate(rows)],
    )
    connection.execute(
        "CREATE TEMP TABLE setup_step (name VARCHAR, repetitions INTEGER, base DOUBLE, gain DOUBLE, delay_days DOUBLE)"
    )
    connection.executemany("INSERT INTO setup_step VALUES (?, ?, ?, ?, ?)", SETUP)


def _set(connection: duckdb.DuckDBPyConnection, name: str, value: object) -> None:
    connection.execute("SET VARIABLE " + name + " = $value", {"value": value})


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0] or 0) if row else 0


def main() -> None:
    """Write one company."""
    parser = argparse.ArgumentParser(description="Write a generated company.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=float, default=1e6, help="about so many events (1e6)")
    parser.add_argument("--accounts", type=int, help="100,000, fewer below ten million events")
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--memory", default="3GB", help="limit of DuckDB's memory (3GB)")
    given = parser.parse_args()
    events = int(given.events)
    company = Company(events, given.accounts or default_accounts(events), given.days, given.seed)
    print(f"{write_company(given.folder, company, given.memory):,} events in {given.folder}")


if __name__ == "__main__":
    main()
