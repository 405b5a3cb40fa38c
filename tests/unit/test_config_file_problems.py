"""Each kind of bad `sources.yaml` and other file, and the very sentence that a person reads; all files told at once."""

from pathlib import Path

import pytest
from test_config_world import FRAMEWORK, SOURCES, TRACKING_PLAN, changed, messages, write

from milestones_dagster.config.loader import ConfigError, load_config

SOURCE_CASES = {
    "neither": (
        SOURCES,
        "users: {path: u.csv, columns: {user_id: u}}",
        "sources.yaml:1: found neither accounts nor events, expected at least one of the two",
    ),
    "missing_mapping": (
        ", occurred_at: at",
        "",
        "sources.yaml:4 events[0].columns.occurred_at: found nothing, expected the name of a column",
    ),
    "unknown_column": (
        "created_at: made_at",
        "createdat: made_at",
        (
            "sources.yaml:7 accounts.columns.createdat: found an unknown key, expected one of account_id, "
            "created_at, plan, seats, segment; closest: created_at"
        ),
    ),
    "unknown_format": (
        "path: events/*.csv",
        "path: events/*.csv\n    format: excel",
        "sources.yaml:4 events[0].format: found 'excel', expected one of csv, tsv, jsonl, parquet",
    ),
    "suffix": (
        "events/*.csv",
        "events/*.txt",
        (
            "sources.yaml:3 events[0].path: found 'events/*.txt', expected a suffix that says the format (.csv, "
            ".tsv, .jsonl, .parquet), or `format` beside it"
        ),
    ),
    "read_of_parquet": (
        "events/*.csv",
        "events/*.parquet\n    read: {delimiter: ;}",
        "sources.yaml:4 events[0].read: found read options, expected no such key for parquet files",
    ),
    "delimiter": (
        "events/*.csv",
        "events/*.csv\n    read: {delimiter: '; '}",
        "sources.yaml:4 events[0].read.delimiter: found '; ', expected one character",
    ),
    "known_at": (
        "known_at: created",
        "known_at: create",
        (
            "sources.yaml:9 accounts.attributes.industry.known_at: found 'create', expected one of created, "
            "history, hindsight; closest: created"
        ),
    ),
    "known_at_of_nothing": (
        "  attributes:",
        "  known_at: {seats: created}\n  attributes:",
        "sources.yaml:8 accounts.known_at.seats: found 'created', expected `seats` under accounts.columns beside it",
    ),
    "price_list_without_revenue": (
        "accounts:\n",
        "subscriptions:\n  path: s.csv\n  columns: {account_id: a, started_at: t, is_price_list_change: p}\naccounts:\n",
        (
            "sources.yaml:7 subscriptions.columns.is_price_list_change: found 'p', expected `mrr` under "
            "subscriptions.columns beside it: a change of the price list is one of revenue"
        ),
    ),
    "name_of_an_attribute": (
        "    size: {",
        "    Size: {",
        (
            "sources.yaml:10 accounts.attributes.Size: found 'Size', expected a name of lower-case letters, "
            "digits and _ that begins with a letter"
        ),
    ),
    "attribute_with_a_meaning": (
        "    size: {",
        "    seats: {",
        ("sources.yaml:10 accounts.attributes.seats: found 'seats', expected another name: this one has a meaning of its own"),
    ),
    "feed_with_a_taken_name": (
        "name: app",
        "name: users",
        ("sources.yaml:2 events[0].name: found 'users', expected another name: users is the name of a source of its own"),
    ),
    "extract": (
        "path: accounts.csv",
        "path: accounts.csv\n  extracted_at: today",
        "sources.yaml:7 accounts.extracted_at: found 'today', expected an instant, such as 2025-08-01T00:00:00Z",
    ),
    "first_day": (
        "path: events/*.csv",
        "path: events/*.csv\n    starts_on: 20240101",
        "sources.yaml:4 events[0].starts_on: found 20240101, expected a date, such as 2025-08-01",
    ),
    "time_format": (
        "path: events/*.csv",
        "path: events/*.csv\n    time_format: DD/MM/YYYY",
        "sources.yaml:4 events[0].time_format: found 'DD/MM/YYYY', expected a strptime format, such as %d/%m/%Y",
    ),
    "sql_that_writes": (
        "path: events/*.csv",
        "path: events/*.csv\n    sql: DROP TABLE file",
        "sources.yaml:4 events[0].sql: found 'DROP TABLE file', expected one SELECT",
    ),
    "sql_of_another_table": (
        "path: events/*.csv",
        "path: events/*.csv\n    sql: SELECT * FROM files",
        ("sources.yaml:4 events[0].sql: found 'SELECT * FROM files', expected a SELECT that reads `file`, the rows of one file"),
    ),
    "sql_that_does_not_parse": (
        "path: events/*.csv",
        "path: events/*.csv\n    sql: SELECT FROM WHERE (",
        (
            "sources.yaml:4 events[0].sql: found 'SELECT FROM WHERE (', expected a SELECT in DuckDB's SQL; this "
            "one could not be parsed"
        ),
    ),
    "users_without_user_ids": (
        "user_id: person, ",
        "",
        (
            "framework.yaml:12 setup.steps[1].distinct: found 'users', expected a property, or `columns.user_id` "
            "for an event feed in sources.yaml"
        ),
    ),
}


@pytest.mark.parametrize("case", SOURCE_CASES)
def test_sources(tmp_path: Path, case: str) -> None:
    old, new, message = SOURCE_CASES[case]
    assert messages(write(tmp_path, sources=changed(SOURCES, old, new))) == [message]


OTHER_CASES = {
    "tracked_twice": (
        {"tracking_plan": TRACKING_PLAN + "  - {name: note_saved, description: Again.}\n"},
        "tracking_plan.yaml:4 events[2].name: found 'note_saved' again (first on line 2), expected each event once",
    ),
    "undescribed": (
        {"tracking_plan": TRACKING_PLAN + "  - {name: note_read}\n"},
        "tracking_plan.yaml:4 events[2].description: found nothing, expected text",
    ),
    "engine": (
        {"warehouse": "engine: duck"},
        "warehouse.yaml:1 engine: found 'duck', expected one of duckdb, spark; closest: duckdb",
    ),
    "memory": (
        {"warehouse": "memory_limit: lots"},
        "warehouse.yaml:1 memory_limit: found 'lots', expected a size of at least 256 MB, such as 4 GB",
    ),
    "no_memory": (
        {"warehouse": "threads: 1\nmemory_limit: 0 GB"},
        "warehouse.yaml:2 memory_limit: found '0 GB', expected a size of at least 256 MB, such as 4 GB",
    ),
    "too_little_memory": (
        {"warehouse": "memory_limit: 244 MiB"},
        "warehouse.yaml:1 memory_limit: found '244 MiB', expected a size of at least 256 MB, such as 4 GB",
    ),
    "threads": (
        {"warehouse": "threads: 0"},
        "warehouse.yaml:1 threads: found 0, expected a whole number from 1 to 1024",
    ),
    "lock": (
        {"warehouse": "lock_timeout: 1 month"},
        ("warehouse.yaml:1 lock_timeout: found '1 month', expected a duration with its unit, such as 60 s, 5 min or 1 h"),
    ),
    "address": (
        {"alerts": 'addresses: ["xoxb-token"]'},
        (
            "alerts.yaml:1 addresses[0]: found something else, expected `log`, or an apprise address, such as "
            "mailto://… or slack://…"
        ),
    ),
    "no_addresses": (
        {"alerts": "addresses: []"},
        "alerts.yaml:1 addresses: found an empty list, expected a list of at least 1",
    ),
    "web_address": (
        {"alerts": "dagster_url: localhost:3000"},
        "alerts.yaml:1 dagster_url: found 'localhost:3000', expected a web address, such as http://localhost:3000",
    ),
    "bound": (
        {"quality__accounts": "bounds: {known_accounts: 5}"},
        "quality/accounts.yaml:1 bounds.known_accounts: found 5, expected a number from 0 to 1",
    ),
    "severity": (
        {"quality__accounts": "severity: {known_accounts: error}"},
        "quality/accounts.yaml:1 severity.known_accounts: found 'error', expected one of warning, critical",
    ),
    "expectation": (
        {"quality__accounts": "expectations: [{name: a, type: ExpectColumnToExist}]"},
        (
            "quality/accounts.yaml:1 expectations[0].type: found 'ExpectColumnToExist', expected the snake_case "
            "name of an expectation, such as expect_column_values_to_be_between"
        ),
    ),
    "quarantine_elsewhere": (
        {"quality__accounts": "quarantine: [{name: test, where: account_id = 'x', title: A test account.}]"},
        (
            "quality/accounts.yaml:1 quarantine: found a list of 1, expected no such key: only "
            "quality/raw_events.yaml sets rows aside"
        ),
    ),
    "quarantine_condition": (
        {"quality__raw_events": "quarantine: [{name: test, where: account_id = = 1, title: A test account.}]"},
        (
            "quality/raw_events.yaml:1 quarantine[0].where: found 'account_id = = 1', expected a SQL condition "
            "over the columns of raw_events"
        ),
    ),
    "quarantine_select": (
        {"quality__raw_events": "quarantine: [{name: test, where: account_id IN (SELECT 1), title: A test account.}]"},
        (
            "quality/raw_events.yaml:1 quarantine[0].where: found 'account_id IN (SELECT 1)', expected a "
            "condition over the row itself, without a SELECT"
        ),
    ),
    "list_at_the_top": (
        {"alerts": "- log"},
        "alerts.yaml:1: found a list, expected keys and their values",
    ),
}


@pytest.mark.parametrize("case", OTHER_CASES)
def test_other_files(tmp_path: Path, case: str) -> None:
    files, message = OTHER_CASES[case]
    assert messages(write(tmp_path, **files)) == [message]


def test_a_file_that_nothing_reads_is_told_when_the_right_one_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "tracking_plan.yaml").rename(folder / "tracking-plan.yml")
    assert messages(folder) == [
        ("tracking-plan.yml: found a file that nothing reads, expected one of the config files; closest: tracking_plan.yaml")
    ]


def test_required_files_and_folder(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "framework.yaml").rename(folder / "framwork.yaml")
    (folder / "sources.yaml").unlink()
    assert messages(folder) == [
        f"framework.yaml: found no such file, expected framework.yaml in {folder}; closest: framwork.yaml",
        "framwork.yaml: found a file that nothing reads, expected one of the config files; closest: framework.yaml",
        f"sources.yaml: found no such file, expected sources.yaml in {folder}",
    ]
    assert messages(tmp_path / "absent") == [
        f"{tmp_path / 'absent'}: found no such folder, expected a config folder with framework.yaml and sources.yaml"
    ]


def test_patterns_need_a_tracking_plan(tmp_path: Path) -> None:
    folder = write(tmp_path, framework=changed(FRAMEWORK, "core_events: [note_saved]", 'core_events: ["note_*"]'))
    assert messages(folder) == []
    (folder / "tracking_plan.yaml").unlink()
    assert messages(folder) == [
        (
            "framework.yaml:3 core_events[0]: found 'note_*', expected the name of an event: patterns need a "
            "tracking_plan.yaml to match against"
        )
    ]


def test_an_untracked_event_only_warns(tmp_path: Path) -> None:
    folder = write(tmp_path, framework=changed(FRAMEWORK, "[note_saved]", "[note_save]"))
    config = load_config(folder, {})
    assert [(problem.severity, problem.line, problem.closest) for problem in config.warnings] == [
        ("warning", 3, ("note_saved", "note_shared"))
    ]


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    framework = changed(changed(FRAMEWORK, "threshold: 5", "threshold: abc"), "of: [notes]", "of: [note]")
    folder = write(
        tmp_path,
        framework=changed(framework, "[note_saved]", "[note_save]"),
        sources=changed(SOURCES, "name: app", "name: App"),
        alerts="addresses: [log\n",
        warehouse="threads: many",
    )
    with pytest.raises(ConfigError) as raised:
        load_config(folder, {})
    places = [(problem.severity, problem.file, problem.line, problem.key) for problem in raised.value.problems]
    assert places == [
        ("error", "alerts.yaml", 2, ""),
        ("warning", "framework.yaml", 3, "core_events[0]"),
        ("error", "framework.yaml", 14, "activation.threshold"),
        ("error", "framework.yaml", 21, "maturity.categories[0].basic.of[0]"),
        ("error", "sources.yaml", 2, "events[0].name"),
        ("error", "warehouse.yaml", 1, "threads"),
    ]
    assert str(raised.value).splitlines()[2] == (
        "framework.yaml:14 activation.threshold: found 'abc', expected a number > 0, or auto"
    )


def test_a_question_mark_on_the_way_to_the_warehouse_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "what?" / "config"
    config.parent.mkdir()
    write(config)
    found = str((tmp_path / "what?" / "warehouse" / "warehouse.duckdb").resolve())
    expected = "expected a folder and a name without ?: DuckDB would look for its log in another place"
    assert messages(config) == [f"warehouse.yaml:1 path: found {found!r}, {expected}"]
    (config / "warehouse.yaml").write_text("# ours\npath: a?.duckdb\n", encoding="utf-8")
    place = str((config / "a?.duckdb").resolve())
    assert messages(config) == [f"warehouse.yaml:2 path: found {place!r}, {expected}"]
    (config / "warehouse.yaml").write_text(f"path: {tmp_path}/warehouse.duckdb\n", encoding="utf-8")
    assert messages(config) == []
