"""Each kind of bad `framework.yaml` and the very sentence that a person reads."""

from pathlib import Path

import pytest
from test_config_world import FRAMEWORK, TRACKING_PLAN, changed, messages, write

FRAMEWORK_CASES = {
    "nothing_required": (
        """      events: [note_saved]
    - name: second_author
      title: A second author
      events: [note_saved]
""",
        """      events: [note_saved]
      required: false
    - name: second_author
      title: A second author
      events: [note_saved]
      required: false
""",
        "framework.yaml:5 setup.steps: found only steps with required: false, expected at least one step that setup requires",
    ),
    "unknown_key": (
        "activation: {title",
        "activation: {tittle: x, title",
        (
            "framework.yaml:14 activation.tittle: found an unknown key, expected one of events, where, "
            "threshold, adopted_threshold, title, window; closest: title"
        ),
    ),
    "missing_key": (
        "threshold: 5}",
        "window: 3 months}",
        "framework.yaml:14 activation.threshold: found nothing, expected a number > 0, or auto",
    ),
    "not_a_number": (
        "threshold: 5}",
        "threshold: abc}",
        "framework.yaml:14 activation.threshold: found 'abc', expected a number > 0, or auto",
    ),
    "another_word_than_auto": (
        "threshold: 5}",
        "threshold: automatic}",
        "framework.yaml:14 activation.threshold: found 'automatic', expected a number > 0, or auto",
    ),
    "truth_for_a_threshold": (
        "threshold: 5}",
        "threshold: true}",
        "framework.yaml:14 activation.threshold: found true, expected a number > 0, or auto",
    ),
    "threshold_beyond_reason": (
        "threshold: 5}",
        "threshold: 1000000001}",
        "framework.yaml:14 activation.threshold: found 1000000001, expected a number > 0 and ≤ 1000000000, or auto",
    ),
    "two_adopted_values": (
        "threshold: 5}",
        "threshold: 5, adopted_threshold: 6}",
        (
            "framework.yaml:14 activation.adopted_threshold: found adopted_threshold beside a number, expected "
            "`threshold: auto` beside it; a number there is the adopted value already"
        ),
    ),
    "adopted_value_of_zero": (
        "threshold: 5}",
        "threshold: auto, adopted_threshold: 0}",
        "framework.yaml:14 activation.adopted_threshold: found 0, expected a number > 0",
    ),
    "number_in_quotes": (
        "threshold: 5}",
        "threshold: '5'}",
        "framework.yaml:14 activation.threshold: found '5', expected a number > 0, or auto",
    ),
    "number_out_of_bounds": (
        "threshold: 5}",
        "threshold: 0}",
        "framework.yaml:14 activation.threshold: found 0, expected a number > 0, or auto",
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
        "framework.yaml:13 setup.steps[1].minimum_distinct: found 2000000, expected a whole number from 1 to 1000000",
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
        ("framework.yaml:5 setup.window: found '3 weeks', expected a duration with its unit, such as 90 d, 24 h or 3 months"),
    ),
    "months_where_days_are_meant": (
        "maturity:",
        "maturity:\n  window: 3 months",
        "framework.yaml:17 maturity.window: found '3 months', expected a duration in days, such as 90 d",
    ),
    "time_zone": (
        "product: Notes",
        "product: Notes\ntime_zone: Europe/Belin",
        (
            "framework.yaml:2 time_zone: found 'Europe/Belin', expected a time zone by its IANA name, such as "
            "UTC or Europe/Paris; closest: Europe/Berlin, Europe/Dublin, Europe/Helsinki"
        ),
    ),
    "currency": (
        "product: Notes",
        "product: Notes\ncurrency: Dollar",
        "framework.yaml:2 currency: found 'Dollar', expected a currency of three lower-case letters, such as usd",
    ),
    "date": (
        "product: Notes",
        "product: Notes\nretention_by_activation: {cohorts_before: 1 August}",
        ("framework.yaml:2 retention_by_activation.cohorts_before: found '1 August', expected a date, such as 2025-08-01"),
    ),
    "bands_out_of_order": (
        "product: Notes",
        "product: Notes\nretention_by_activation: {bands: [0, 10, 5]}",
        ("framework.yaml:2 retention_by_activation.bands: found [0, 10, 5], expected lower bounds in ascending order, each once"),
    ),
    "text_for_a_list": (
        "core_events: [note_saved]",
        "core_events: note_saved",
        "framework.yaml:3 core_events: found 'note_saved', expected a list of one or more event names",
    ),
    "bad_name": (
        "name: first_note",
        "name: First note",
        (
            "framework.yaml:6 setup.steps[0].name: found 'First note', expected a name of lower-case letters, "
            "digits and _ that begins with a letter"
        ),
    ),
    "name_twice": (
        "name: second_author",
        "name: first_note",
        "framework.yaml:9 setup.steps[1].name: found 'first_note' again (first on line 6), expected each name once",
    ),
    "distinct_without_its_number": (
        "      minimum_distinct: 2\n",
        "",
        (
            "framework.yaml:12 setup.steps[1].distinct: found distinct without minimum_distinct, expected "
            "`minimum_distinct` beside it: a whole number"
        ),
    ),
    "number_without_distinct": (
        "      distinct: users\n",
        "",
        (
            "framework.yaml:12 setup.steps[1].minimum_distinct: found minimum_distinct without distinct, "
            "expected `distinct` beside it: users, or a property name"
        ),
    ),
    "filter_value": (
        "threshold: 5}",
        "threshold: 5, where: {note_id: {a: 1}}}",
        (
            "framework.yaml:14 activation.where.note_id: found keys below it, expected a value, or a list of "
            "values, that the property may have (text, number, true or false)"
        ),
    ),
    "reopened_without_entity": (
        "threshold: 2}",
        "threshold: 2, reopened_by: [note_shared]}",
        (
            "framework.yaml:15 usage.reopened_by: found reopened_by without entity, expected `entity` beside it: "
            "the property that names what is reopened"
        ),
    ),
    "contacts_without_entity": (
        "threshold: 2}",
        "threshold: 2, contact_events: [note_shared]}",
        (
            "framework.yaml:15 usage.contact_events: found contact_events without entity, expected `entity` beside it: "
            "the property that names what the contacts take part in"
        ),
    ),
    "contacts_that_are_no_list": (
        "threshold: 2}",
        "threshold: 2, entity: note_id, contact_events: note_shared}",
        "framework.yaml:15 usage.contact_events: found 'note_shared', expected a list",
    ),
    "seats_that_are_not_mapped": (
        "threshold: 2}",
        "threshold: 2, seats: account}",
        ("framework.yaml:15 usage.seats: found 'account', expected another basis, or `accounts.columns.seats` in sources.yaml"),
    ),
    "unknown_seats": (
        "threshold: 2}",
        "threshold: 2, seats: acount}",
        ("framework.yaml:15 usage.seats: found 'acount', expected one of subscriptions, active_users, account; closest: account"),
    ),
    "retention_without_subscriptions": (
        "product: Notes",
        "product: Notes\noutcomes: {retention: {basis: subscriptions}}",
        (
            "framework.yaml:2 outcomes.retention.basis: found 'subscriptions', expected activity, since "
            "sources.yaml maps no subscriptions"
        ),
    ),
    "horizon_and_window": (
        "product: Notes",
        'product: Notes\noutcomes: {retention: {horizon: 3 months, window: "[181d, 366d)"}}',
        ("framework.yaml:2 outcomes.retention.window: found both horizon and window, expected one of `horizon` and `window`"),
    ),
    "window_of_subscriptions": (
        "product: Notes",
        'product: Notes\noutcomes: {retention: {basis: subscriptions, window: "[181d, 366d)"}}',
        (
            "framework.yaml:2 outcomes.retention.window: found basis: subscriptions, expected basis: activity, "
            "the only one with a window"
        ),
    ),
    "window_backwards": (
        "product: Notes",
        'product: Notes\noutcomes: {retention: {window: "[366d, 181d)"}}',
        (
            "framework.yaml:2 outcomes.retention.window: found '[366d, 181d)', expected a half-open window after "
            "the start, such as [181d, 366d), both ends in the same unit and the first before the second"
        ),
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
        ("framework.yaml:22 maturity.categories[0].mature.at_least: found 3, expected at most the number of features in `of`, 2"),
    ),
    "more_days_than_the_window": (
        "minimum_days: 5",
        "minimum_days: 91",
        (
            "framework.yaml:22 maturity.categories[0].mature.minimum_days: found 91, expected at most the days "
            "of maturity.window, 90"
        ),
    ),
    "feature_that_is_not_in_the_catalogue": (
        "of: [notes]",
        "of: [note]",
        ("framework.yaml:21 maturity.categories[0].basic.of[0]: found 'note', expected a feature of the catalogue; closest: notes"),
    ),
    "feature_twice_in_a_rule": (
        "of: [notes, sharing]",
        "of: [notes, notes]",
        (
            "framework.yaml:22 maturity.categories[0].mature.of[1]: found 'notes' again (first on line 22), "
            "expected each feature once"
        ),
    ),
    "unknown_plan": (
        "plans: [premium]",
        "plans: [Premium]",
        (
            "framework.yaml:26 features.catalogue[1].plans[0]: found 'Premium', expected a plan declared under "
            "plans: free, premium; closest: premium"
        ),
    ),
    "unknown_measure": (
        "measure: count",
        "measure: counts",
        (
            "framework.yaml:25 features.catalogue[0].measure: found 'counts', expected one of attribute, count, "
            "count_per_seat, days, setting, trend, used, users; closest: count, count_per_seat"
        ),
    ),
    "no_measure": (
        ", measure: count",
        "",
        (
            "framework.yaml:25 features.catalogue[0].measure: found nothing, expected one of attribute, count, "
            "count_per_seat, days, setting, trend, used, users"
        ),
    ),
    "events_of_a_setting": (
        "measure: count, events",
        "measure: setting, on_events: [note_saved], events",
        (
            "framework.yaml:25 features.catalogue[0].events: found an unknown key, expected one of name, title, "
            "category, plans, measure, on_events, off_events; closest: on_events, off_events"
        ),
    ),
    "text_attribute_without_equals": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: plan",
        ("framework.yaml:25 features.catalogue[0].attribute: found 'plan', expected `equals` beside it, since plan is text"),
    ),
    "unknown_attribute": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: industri, equals: shops",
        (
            "framework.yaml:25 features.catalogue[0].attribute: found 'industri', expected plan, seats or mrr of "
            "subscriptions, or an attribute of accounts, mapped in sources.yaml; closest: industry"
        ),
    ),
    "hindsight_attribute": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: size",
        (
            "framework.yaml:25 features.catalogue[0].attribute: found 'size', expected an attribute known at its "
            "time: feature_matrix refuses the column size of accounts, which is known only in hindsight "
            "(known_at: created or history in sources.yaml, if that is true of it)"
        ),
    ),
    "equals_of_an_attribute": (
        "measure: count, events: [note_saved]",
        "measure: attribute, attribute: industry, equals: 7",
        "framework.yaml:25 features.catalogue[0].equals: found 7, expected text, in quotes",
    ),
    "name_of_a_column": (
        "name: sharing",
        "name: retained",
        (
            "framework.yaml:26 features.catalogue[1].name: found 'retained', expected another name: "
            "feature_matrix has a column of this name"
        ),
    ),
    "event_that_is_not_tracked": (
        "core_events: [note_saved]",
        "core_events: [note_save]",
        (
            "framework.yaml:3 core_events[0]: found 'note_save', expected an event of tracking_plan.yaml; "
            "closest: note_saved, note_shared"
        ),
    ),
    "property_that_is_not_tracked": (
        "threshold: 2}",
        "threshold: 2, entity: notes_id}",
        (
            "framework.yaml:15 usage.entity: found 'notes_id', expected a property that tracking_plan.yaml gives "
            "these events; closest: note_id"
        ),
    ),
    "pattern_without_a_match": (
        "core_events: [note_saved]",
        "core_events: [nota_*]",
        ("framework.yaml:3 core_events[0]: found 'nota_*', expected a pattern that an event of tracking_plan.yaml matches"),
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
        (
            "framework.yaml:4: found text that is not YAML (expected ',' or ']', but got ':'), expected YAML: "
            "check indentation, brackets and quotes at this line or above"
        ),
    ),
    "tab": (
        "  steps:",
        "	steps:",
        "framework.yaml:5: found a tab, expected spaces before a key (YAML allows no tabs there)",
    ),
    "colon_in_text": (
        "title: Write a note",
        "title: Write: a note",
        (
            "framework.yaml:7: found a second `: ` on the line, expected one key and its value; text with `: ` "
            "in it stands in quotes"
        ),
    ),
    "area_feature_unknown": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, feature: notess}]",
        "framework.yaml:2 areas[0].feature: found 'notess', expected a feature of the catalogue; closest: notes",
    ),
    "area_threshold_text": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, feature: notes, threshold: many}]",
        "framework.yaml:2 areas[0].threshold: found 'many', expected a number above 0, or auto",
    ),
    "area_threshold_zero": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, feature: notes, threshold: 0}]",
        "framework.yaml:2 areas[0].threshold: found 0, expected a number above 0, or auto",
    ),
    "area_threshold_boolean": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, feature: notes, threshold: true}]",
        "framework.yaml:2 areas[0].threshold: found true, expected a number above 0, or auto",
    ),
    "area_two_metrics": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, feature: notes, measure: days}]",
        "framework.yaml:2 areas[0].feature: found both, expected either `feature`, or `measure` and `events`",
    ),
    "area_half_a_metric": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, measure: days}]",
        "framework.yaml:2 areas[0]: found `measure` alone, expected `feature`, or `measure` and `events`",
    ),
    "area_without_a_metric": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, threshold: auto}]",
        "framework.yaml:2 areas[0]: found neither, expected `feature`, or `measure` and `events`",
    ),
    "area_measure_unknown": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, measure: trend, events: [note_saved]}]",
        "framework.yaml:2 areas[0].measure: found 'trend', expected one of days, count, count_per_seat, users",
    ),
    "area_event_unknown": (
        "product: Notes",
        "product: Notes\nareas: [{name: notes, title: Notes, measure: days, events: [note_savd]}]",
        (
            "framework.yaml:2 areas[0].events[0]: found 'note_savd', expected an event of tracking_plan.yaml; closest: "
            "note_saved, note_shared"
        ),
    ),
    "area_feature_of_no_area_measure": (
        "measure: days, events: [note_shared], plans: [premium]}",
        "measure: trend, events: [note_shared], plans: [premium]}\nareas: [{name: a, title: A, feature: sharing}]",
        (
            "framework.yaml:27 areas[0].feature: found 'sharing', of measure trend, expected a feature of measure days, count, "
            "count_per_seat, users"
        ),
    ),
    "area_twice": (
        "product: Notes",
        "product: Notes\nareas: [{name: a, title: A, feature: notes}, {name: a, title: B, feature: sharing}]",
        "framework.yaml:2 areas[1].name: found 'a' again (first on line 2), expected each name once",
    ),
    "two_documents": (
        "core_events",
        "---\ncore_events",
        "framework.yaml:3: found a second document (`---`), expected one document",
    ),
}
ALSO = {
    # the change also breaks what refers to the name, or breaks two rules
    "name_of_a_column": [
        "framework.yaml:22 maturity.categories[0].mature.of[1]: found 'sharing', expected a feature of the catalogue"
    ],
    "window_of_subscriptions": [
        (
            "framework.yaml:2 outcomes.retention.basis: found 'subscriptions', expected activity, since "
            "sources.yaml maps no subscriptions"
        )
    ],
    "text_attribute_without_equals": [
        (
            "framework.yaml:25 features.catalogue[0].attribute: found 'plan', expected plan, seats or mrr of "
            "subscriptions, or an attribute of accounts, mapped in sources.yaml"
        )
    ],
}


@pytest.mark.parametrize("case", FRAMEWORK_CASES)
def test_framework(tmp_path: Path, case: str) -> None:
    old, new, message = FRAMEWORK_CASES[case]
    folder = write(tmp_path, framework=changed(FRAMEWORK, old, new))
    assert sorted(messages(folder)) == sorted([message, *ALSO.get(case, [])])


def test_a_level_asks_for_no_more_features_than_a_number_can_tell_apart(tmp_path: Path) -> None:
    folder = write(tmp_path, framework=changed(FRAMEWORK, "of: [notes, sharing]", f"of: [{', '.join(f'f{n}' for n in range(51))}]"))
    told = [line for line in messages(folder) if "expected a list" in line]
    assert told == ["framework.yaml:22 maturity.categories[0].mature.of: found a list of 51, expected a list of at most 50"]


def test_an_event_of_contacts_carries_the_entity(tmp_path: Path) -> None:
    # note_read may have any property; note_saved has the entity, and so has an event that the pattern stands for
    plan = changed(TRACKING_PLAN, "A note was shared.", "A note was shared., properties: {team: The team.}")
    plan += "  - {name: note_read, description: A note was read.}\n"
    contacts = 'threshold: 2, entity: note_id, contact_events: [note_saved, note_read, note_shared, "note_s*", note_sharde]}'
    framework = changed(FRAMEWORK, "threshold: 2}", contacts)
    assert messages(write(tmp_path, framework=framework, tracking_plan=plan)) == [
        (
            "framework.yaml:15 usage.contact_events[2]: found 'note_shared', expected an event that tracking_plan.yaml gives "
            "the property note_id, which tells what the contact takes part in"
        ),
        (
            "framework.yaml:15 usage.contact_events[4]: found 'note_sharde', expected an event of tracking_plan.yaml; "
            "closest: note_shared, note_saved, note_read"
        ),
    ]
