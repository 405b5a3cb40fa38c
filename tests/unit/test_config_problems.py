"""Every kind of bad config and the very sentence that a person reads; one test per kind, by the file it is in."""

from pathlib import Path

import pytest

from milestones_dagster.config.loader import ConfigError, check_config, load_config

FRAMEWORK = """\
product: Notes
plans: [{name: free}, {name: premium}]
core_events: [note_saved]
setup:
  steps:
    - name: first_note
      title: Write a note
      events: [note_saved]
    - name: second_author
      title: A second author
      events: [note_saved]
      distinct: users
      minimum_distinct: 2
activation: {title: Notes, events: [note_saved], threshold: 5}
usage: {title: Notes, events: [note_saved], threshold: 2}
maturity:
  mature_categories: 1
  categories:
    - name: writing
      title: Writing
      basic: {at_least: 1, of: [notes]}
      mature: {at_least: 2, of: [notes, sharing], minimum_days: 5}
features:
  catalogue:
    - {name: notes, title: Notes, category: writing, measure: count, events: [note_saved]}
    - {name: sharing, title: Sharing, category: writing, measure: days, events: [note_shared], plans: [premium]}
"""
SOURCES = """\
events:
  - name: app
    path: events/*.csv
    columns: {account_id: account, user_id: person, event: name, occurred_at: at}
accounts:
  path: accounts.csv
  columns: {account_id: account, created_at: made_at}
  attributes:
    industry: {column: industry, known_at: created}
    size: {column: size}
"""
TRACKING_PLAN = """\
events:
  - {name: note_saved, description: A note was saved., properties: {note_id: The note.}}
  - {name: note_shared, description: A note was shared.}
"""
FILES = {"framework.yaml": FRAMEWORK, "sources.yaml": SOURCES, "tracking_plan.yaml": TRACKING_PLAN}


def write(folder: Path, **changes: str) -> Path:
    """Write the good config with files replaced (`framework=`) or added; `quality__t` stands for quality/t."""
    files = FILES | {f"{name.replace('__', '/')}.yaml": text for name, text in changes.items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def messages(folder: Path, **environ: str) -> list[str]:
    return [str(problem) for problem in check_config(folder, environ)]


def changed(text: str, old: str, new: str) -> str:
    assert old in text, f"the good config no longer holds {old!r}"
    return text.replace(old, new, 1)


def test_the_good_config_has_no_problem(tmp_path: Path) -> None:
    assert messages(write(tmp_path)) == []


FRAMEWORK_CASES = {
    "unknown_key": (
        "activation: {title",
        "activation: {tittle: x, title",
        "framework.yaml:14 activation.tittle: found an unknown key, expected one of events, where, title, window, "
        "threshold; closest: title",
    ),
    "missing_key": (
        "threshold: 5}",
        "window: 3 months}",
        "framework.yaml:14 activation.threshold: found nothing, expected a number > 0",
    ),
    "not_a_number": (
        "threshold: 5}",
        "threshold: abc}",
        "framework.yaml:14 activation.threshold: found 'abc', expected a number > 0",
    ),
    "auto_comes_later": (
        "threshold: 5}",
        "threshold: auto}",
        "framework.yaml:14 activation.threshold: found 'auto', expected a number > 0",
    ),
    "number_in_quotes": (
        "threshold: 5}",
        "threshold: '5'}",
        "framework.yaml:14 activation.threshold: found '5', expected a number > 0",
    ),
    "number_out_of_bounds": (
        "threshold: 5}",
        "threshold: 0}",
        "framework.yaml:14 activation.threshold: found 0, expected a number > 0",
    ),
    "boolean_for_a_number": (
        "minimum_distinct: 2",
        "minimum_distinct: true",
        "framework.yaml:13 setup.steps[1].minimum_distinct: found true, expected a whole number ≥ 1",
    ),
    "fraction_for_a_count": (
        "minimum_distinct: 2",
        "minimum_distinct: 1.5",
        "framework.yaml:13 setup.steps[1].minimum_distinct: found 1.5, expected a whole number ≥ 1",
    ),
    "absurdly_large": (
        "minimum_distinct: 2",
        "minimum_distinct: 2000000",
        "framework.yaml:13 setup.steps[1].minimum_distinct: found 2000000, expected a whole number from 1 to 1e+06",
    ),
    "number_for_text": (
        "product: Notes",
        "product: 7",
        "framework.yaml:1 product: found 7, expected text, in quotes",
    ),
    "duration_without_unit": (
        "setup:",
        "setup:\n  window: 3",
        "framework.yaml:5 setup.window: found 3, expected a duration with its unit, such as 90 d, 24 h or 3 months",
    ),
    "unknown_unit": (
        "setup:",
        "setup:\n  window: 3 weeks",
        "framework.yaml:5 setup.window: found '3 weeks', expected a duration with its unit, such as 90 d, 24 h or 3 months",
    ),
    "months_where_days_are_meant": (
        "maturity:",
        "maturity:\n  window: 3 months",
        "framework.yaml:17 maturity.window: found '3 months', expected a duration in days, such as 90 d",
    ),
    "time_zone": (
        "product: Notes",
        "product: Notes\ntime_zone: Europe/Belin",
        "framework.yaml:2 time_zone: found 'Europe/Belin', expected a time zone by its IANA name, such as UTC or "
        "Europe/Paris; closest: Europe/Berlin, Europe/Dublin, Europe/Lisbon",
    ),
    "currency": (
        "product: Notes",
        "product: Notes\ncurrency: Dollar",
        "framework.yaml:2 currency: found 'Dollar', expected a currency of three lower-case letters, such as usd",
    ),
    "date": (
        "product: Notes",
        "product: Notes\nretention_by_activation: {cohorts_before: 1 August}",
        "framework.yaml:2 retention_by_activation.cohorts_before: found '1 August', expected a date, such as 2025-08-01",
    ),
    "bands_out_of_order": (
        "product: Notes",
        "product: Notes\nretention_by_activation: {bands: [0, 10, 5]}",
        "framework.yaml:2 retention_by_activation.bands: found [0, 10, 5], expected lower bounds in ascending order, "
        "each once",
    ),
    "text_for_a_list": (
        "core_events: [note_saved]",
        "core_events: note_saved",
        "framework.yaml:3 core_events: found 'note_saved', expected a list of one or more event names",
    ),
    "bad_name": (
        "name: first_note",
        "name: First note",
        "framework.yaml:6 setup.steps[0].name: found 'First note', expected a name of lower-case letters, digits and _ "
        "that begins with a letter",
    ),
    "name_twice": (
        "name: second_author",
        "name: first_note",
        "framework.yaml:9 setup.steps[1].name: found 'first_note' again (first on line 6), expected each name once",
    ),
    "distinct_without_its_number": (
        "      minimum_distinct: 2\n",
        "",
        "framework.yaml:12 setup.steps[1].distinct: found distinct without minimum_distinct, expected "
        "`minimum_distinct` beside it: a whole number",
    ),
    "number_without_distinct": (
        "      distinct: users\n",
        "",
        "framework.yaml:12 setup.steps[1].minimum_distinct: found minimum_distinct without distinct, expected "
        "`distinct` beside it: users, or a property name",
    ),
    "filter_value": (
        "threshold: 5}",
        "threshold: 5, where: {note_id: {a: 1}}}",
        "framework.yaml:14 activation.where.note_id: found keys below it, expected a value, or a list of values, that "
        "the property may have (text, number, true or false)",
    ),
    "reopened_without_entity": (
        "threshold: 2}",
        "threshold: 2, reopened_by: [note_shared]}",
        "framework.yaml:15 usage.reopened_by: found reopened_by without entity, expected `entity` beside it: the "
        "property that names what is reopened",
    ),
    "seats_that_are_not_mapped": (
        "threshold: 2}",
        "threshold: 2, seats: account}",
        "framework.yaml:15 usage.seats: found 'account', expected another basis, or `accounts.columns.seats` in "
        "sources.yaml",
    ),
    "unknown_seats": (
        "threshold: 2}",
        "threshold: 2, seats: acount}",
        "framework.yaml:15 usage.seats: found 'acount', expected one of subscriptions, active_users, account; "
        "closest: account",
    ),
    "retention_without_subscriptions": (
        "product: Notes",
        "product: Notes\noutcomes: {retention: {basis: subscriptions}}",
        "framework.yaml:2 outcomes.retention.basis: found 'subscriptions', expected activity, since sources.yaml maps "
        "no subscriptions",
    ),
    "horizon_and_window": (
        "product: Notes",
        'product: Notes\noutcomes: {retention: {horizon: 3 months, window: "[181d, 366d)"}}',
        "framework.yaml:2 outcomes.retention.window: found both horizon and window, expected one of `horizon` and "
        "`window`",
    ),
    "window_of_subscriptions": (
        "product: Notes",
        'product: Notes\noutcomes: {retention: {basis: subscriptions, window: "[181d, 366d)"}}',
        "framework.yaml:2 outcomes.retention.window: found basis: subscriptions, expected basis: activity, the only one "
        "with a window",
    ),
    "window_backwards": (
        "product: Notes",
        'product: Notes\noutcomes: {retention: {window: "[366d, 181d)"}}',
        "framework.yaml:2 outcomes.retention.window: found '[366d, 181d)', expected a half-open window after the start, "
        "such as [181d, 366d), both ends in the same unit and the first before the second",
    ),
    "benchmark_bounds": (
        "product: Notes",
        "product: Notes\nadoption_benchmark: {niche: 0.9}",
        "framework.yaml:2 adoption_benchmark.niche: found 0.9, expected a share below `ubiquitous`, 0.8",
    ),
    "ranking_bounds": (
        "product: Notes",
        "product: Notes\nfeature_ranking: {train_share: 1}",
        "framework.yaml:2 feature_ranking.train_share: found 1, expected a number > 0 and < 1",
    ),
    "more_categories_than_there_are": (
        "mature_categories: 1",
        "mature_categories: 3",
        "framework.yaml:17 maturity.mature_categories: found 3, expected at most the number of categories, 1",
    ),
    "more_features_than_there_are": (
        "at_least: 2",
        "at_least: 3",
        "framework.yaml:22 maturity.categories[0].mature.at_least: found 3, expected at most the number of features in "
        "`of`, 2",
    ),
    "more_days_than_the_window": (
        "minimum_days: 5",
        "minimum_days: 91",
        "framework.yaml:22 maturity.categories[0].mature.minimum_days: found 91, expected at most the days of "
        "maturity.window, 90",
    ),
    "feature_that_is_not_in_the_catalogue": (
        "of: [notes]",
        "of: [note]",
        "framework.yaml:21 maturity.categories[0].basic.of[0]: found 'note', expected a feature of the catalogue; "
        "closest: notes",
    ),
    "feature_twice_in_a_rule": (
        "of: [notes, sharing]",
        "of: [notes, notes]",
        "framework.yaml:22 maturity.categories[0].mature.of[1]: found 'notes' again (first on line 22), expected each "
        "feature once",
    ),
    "unknown_plan": (
        "plans: [premium]",
        "plans: [Premium]",
        "framework.yaml:26 features.catalogue[1].plans[0]: found 'Premium', expected a plan declared under plans: free, "
        "premium; closest: premium",
    ),
    "unknown_measure": (
        "measure: count",
        "measure: counts",
        "framework.yaml:25 features.catalogue[0].measure: found 'counts', expected one of attribute, count, "
        "count_per_seat, days, setting, trend, used, users; closest: count",
    ),
    "no_measure": (
        ", measure: count",
        "",
        "framework.yaml:25 features.catalogue[0].measure: found nothing, expected one of attribute, count, "
        "count_per_seat, days, setting, trend, used, users",
    ),
    "events_of_a_setting": (
        "measure: count, events",
        "measure: setting, on_events: [note_saved], events",
        "framework.yaml:25 features.catalogue[0].events: found an unknown key, expected one of name, title, category, "
        "plans, measure, on_events, off_events; closest: on_events, off_events",
    ),
    "text_attribute_without_equals": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: plan",
        "framework.yaml:25 features.catalogue[0].attribute: found plan, expected `equals` beside it, since plan is text",
    ),
    "unknown_attribute": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: industri, equals: shops",
        "framework.yaml:25 features.catalogue[0].attribute: found 'industri', expected plan, seats or mrr of "
        "subscriptions, or an attribute of accounts, mapped in sources.yaml; closest: industry",
    ),
    "hindsight_attribute": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: size",
        "framework.yaml:25 features.catalogue[0].attribute: found 'size', expected an attribute known at its time: "
        "feature_matrix refuses the column size of accounts, which is known only in hindsight (known_at: created or "
        "history in sources.yaml, if that is true of it)",
    ),
    "equals_of_an_attribute": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: industry, equals: 7",
        "framework.yaml:25 features.catalogue[0].equals: found 7, expected text, in quotes",
    ),
    "name_of_a_column": (
        "name: sharing",
        "name: retained",
        "framework.yaml:26 features.catalogue[1].name: found 'retained', expected another name: feature_matrix has a "
        "column of this name",
    ),
    "event_that_is_not_tracked": (
        "core_events: [note_saved]",
        "core_events: [note_save]",
        "framework.yaml:3 core_events[0]: found 'note_save', expected an event of tracking_plan.yaml; closest: "
        "note_saved, note_shared",
    ),
    "property_that_is_not_tracked": (
        "threshold: 2}",
        "threshold: 2, entity: notes_id}",
        "framework.yaml:15 usage.entity: found 'notes_id', expected a property that tracking_plan.yaml gives these "
        "events; closest: note_id",
    ),
    "pattern_without_a_match": (
        "core_events: [note_saved]",
        "core_events: [nota_*]",
        "framework.yaml:3 core_events[0]: found 'nota_*', expected a pattern that an event of tracking_plan.yaml "
        "matches",
    ),
    "empty_section": (
        "activation: {title: Notes, events: [note_saved], threshold: 5}",
        "activation:",
        "framework.yaml:14 activation: found nothing, expected keys and their values",
    ),
    "key_twice": (
        "product: Notes",
        "product: Notes\nproduct: Tasks",
        "framework.yaml:2 product: found the key again (first on line 1), expected each key once",
    ),
    "broken_yaml": (
        "core_events: [note_saved]",
        "core_events: [note_saved",
        "framework.yaml:4: found text that is not YAML (expected ',' or ']', but got ':'), expected YAML: check "
        "indentation, brackets and quotes at this line or above",
    ),
    "tab": (
        "  steps:",
        "\tsteps:",
        "framework.yaml:5: found a tab, expected spaces before a key (YAML allows no tabs there)",
    ),
    "colon_in_text": (
        "title: Write a note",
        "title: Write: a note",
        "framework.yaml:7: found a second `: ` on the line, expected one key and its value; text with `: ` in it stands "
        "in quotes",
    ),
    "two_documents": (
        "core_events",
        "---\ncore_events",
        "framework.yaml:3: found a second document (`---`), expected one document",
    ),
}
ALSO = {
    # the step and the catalogue use the same unknown name, or the change breaks what refers to it
    "name_of_a_column": [
        "framework.yaml:22 maturity.categories[0].mature.of[1]: found 'sharing', expected a feature of the catalogue"
    ],
    "window_of_subscriptions": [
        "framework.yaml:2 outcomes.retention.basis: found 'subscriptions', expected activity, since sources.yaml maps no "
        "subscriptions"
    ],
}


@pytest.mark.parametrize("case", FRAMEWORK_CASES)
def test_framework(tmp_path: Path, case: str) -> None:
    old, new, message = FRAMEWORK_CASES[case]
    folder = write(tmp_path, framework=changed(FRAMEWORK, old, new))
    assert sorted(messages(folder)) == sorted([message, *ALSO.get(case, [])])


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
        "sources.yaml:7 accounts.columns.createdat: found an unknown key, expected one of account_id, created_at, plan, "
        "seats, segment; closest: created_at",
    ),
    "unknown_format": (
        "path: events/*.csv",
        "path: events/*.csv\n    format: excel",
        "sources.yaml:4 events[0].format: found 'excel', expected one of csv, tsv, jsonl, parquet",
    ),
    "suffix": (
        "events/*.csv",
        "events/*.txt",
        "sources.yaml:3 events[0].path: found 'events/*.txt', expected a suffix that says the format (.csv, .tsv, .jsonl, "
        ".parquet), or `format` beside it",
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
        "sources.yaml:9 accounts.attributes.industry.known_at: found 'create', expected one of created, history, "
        "hindsight; closest: created",
    ),
    "known_at_of_nothing": (
        "  attributes:",
        "  known_at: {seats: created}\n  attributes:",
        "sources.yaml:8 accounts.known_at.seats: found 'created', expected `seats` under accounts.columns beside it",
    ),
    "name_of_an_attribute": (
        "    size: {",
        "    Size: {",
        "sources.yaml:10 accounts.attributes.Size: found 'Size', expected a name of lower-case letters, digits and _ that "
        "begins with a letter",
    ),
    "attribute_with_a_meaning": (
        "    size: {",
        "    seats: {",
        "sources.yaml:10 accounts.attributes.seats: found 'seats', expected another name: this one has a meaning of its "
        "own",
    ),
    "feed_with_a_taken_name": (
        "name: app",
        "name: users",
        "sources.yaml:2 events[0].name: found 'users', expected another name: users is the name of a source of its own",
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
        "sources.yaml:4 events[0].sql: found 'SELECT * FROM files', expected a SELECT that reads `file`, the rows of one "
        "file",
    ),
    "sql_that_does_not_parse": (
        "path: events/*.csv",
        "path: events/*.csv\n    sql: SELECT FROM WHERE (",
        "sources.yaml:4 events[0].sql: found 'SELECT FROM WHERE (', expected a SELECT in DuckDB's SQL; this one could not "
        "be parsed",
    ),
    "users_without_user_ids": (
        "user_id: person, ",
        "",
        "framework.yaml:12 setup.steps[1].distinct: found 'users', expected a property, or `columns.user_id` for an event "
        "feed in sources.yaml",
    ),
}


@pytest.mark.parametrize("case", SOURCE_CASES)
def test_sources(tmp_path: Path, case: str) -> None:
    old, new, message = SOURCE_CASES[case]
    assert messages(write(tmp_path, sources=changed(SOURCES, old, new))) == [message]


OTHER_CASES = {
    "tracked_twice": (
        {"tracking_plan": f"{TRACKING_PLAN}  - {{name: note_saved, description: Again.}}\n"},
        "tracking_plan.yaml:4 events[2].name: found 'note_saved' again (first on line 2), expected each event once",
    ),
    "undescribed": (
        {"tracking_plan": f"{TRACKING_PLAN}  - {{name: note_read}}\n"},
        "tracking_plan.yaml:4 events[2].description: found nothing, expected text",
    ),
    "engine": (
        {"warehouse": "engine: duck"},
        "warehouse.yaml:1 engine: found 'duck', expected duckdb; closest: duckdb",
    ),
    "memory": (
        {"warehouse": "memory_limit: lots"},
        "warehouse.yaml:1 memory_limit: found 'lots', expected a size, such as 4 GB",
    ),
    "threads": (
        {"warehouse": "threads: 0"},
        "warehouse.yaml:1 threads: found 0, expected a whole number from 1 to 1024",
    ),
    "lock": (
        {"warehouse": "lock_timeout: 1 month"},
        "warehouse.yaml:1 lock_timeout: found '1 month', expected a duration with its unit, such as 60 s, 5 min or 1 h",
    ),
    "address": (
        {"alerts": 'addresses: ["xoxb-token"]'},
        "alerts.yaml:1 addresses[0]: found something else, expected `log`, or an apprise address, such as mailto://… or "
        "slack://…",
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
        "quality/accounts.yaml:1 expectations[0].type: found 'ExpectColumnToExist', expected the snake_case name of an "
        "expectation, such as expect_column_values_to_be_between",
    ),
    "quarantine_elsewhere": (
        {"quality__accounts": "quarantine: [{name: test, where: account_id = 'x', title: A test account.}]"},
        "quality/accounts.yaml:1 quarantine: found a list of 1, expected no such key: only quality/raw_events.yaml sets "
        "rows aside",
    ),
    "quarantine_condition": (
        {"quality__raw_events": "quarantine: [{name: test, where: account_id = = 1, title: A test account.}]"},
        "quality/raw_events.yaml:1 quarantine[0].where: found 'account_id = = 1', expected a SQL condition over the "
        "columns of raw_events",
    ),
    "quarantine_select": (
        {"quality__raw_events": "quarantine: [{name: test, where: account_id IN (SELECT 1), title: A test account.}]"},
        "quality/raw_events.yaml:1 quarantine[0].where: found 'account_id IN (SELECT 1)', expected a condition over the row "
        "itself, without a SELECT",
    ),
    "list_at_the_top": (
        {"alerts": "- log"},
        "alerts.yaml:1: found a list, expected keys and their values",
    ),
    "misspelt_file": (
        {"tracking-plan": ""},
        None,
    ),
}


@pytest.mark.parametrize("case", [case for case, (_, message) in OTHER_CASES.items() if message])
def test_other_files(tmp_path: Path, case: str) -> None:
    files, message = OTHER_CASES[case]
    assert messages(write(tmp_path, **files)) == [message]


def test_a_file_that_nothing_reads_is_told_when_the_right_one_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "tracking_plan.yaml").rename(folder / "tracking-plan.yml")
    assert messages(folder) == [
        "tracking-plan.yml: found a file that nothing reads, expected one of the config files; closest: tracking_plan.yaml"
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
        "framework.yaml:3 core_events[0]: found 'note_*', expected the name of an event: patterns need a "
        "tracking_plan.yaml to match against"
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
        "framework.yaml:14 activation.threshold: found 'abc', expected a number > 0"
    )
