"""Rules of a table from its three origins, and everything that is refused when they are loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from quality_scenario import COLUMNS, USAGE, Table, by_name

from milestones_dagster.config.quality import TableQuality
from milestones_dagster.quality.suites import QUERY, Rule, SuiteError, suite

RATIO = {
    "name": "ratio_not_negative",
    "title": "A ratio is never negative",
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "ratio", "min_value": 0},
    "recovery": "Look at the seats.",
}
LATE = {
    "name": "late_share",
    "title": "Few rows are late",
    "type": "unexpected_rows_expectation",
    "kwargs": {QUERY: "SELECT account_key, month FROM {batch} WHERE ratio > 9"},
    "severity": "warning",
    "bound": 0.05,
    "total": "SELECT count(*) FROM {batch} WHERE ratio IS NOT NULL",
    "recovery": "Look at the file.",
}


def product(tmp_path: Path, *expectations: dict[str, object]) -> Path:
    path = tmp_path / "usage_ratio.yaml"
    path.write_text(yaml.safe_dump({"expectations": list(expectations)}), encoding="utf-8")
    return path


def refused(tmp_path: Path, **changes: object) -> str:
    with pytest.raises(SuiteError) as caught:
        suite(USAGE, product(tmp_path, {**RATIO, **changes}), None)
    return str(caught.value)


def overridden(tmp_path: Path, **company: object) -> dict[str, Rule]:
    quality = TableQuality.model_validate(company)
    return by_name(suite(USAGE, product(tmp_path, RATIO, LATE), quality))


def override_refused(tmp_path: Path, **company: object) -> str:
    with pytest.raises(SuiteError) as caught:
        overridden(tmp_path, **company)
    return str(caught.value)


def test_header_gives_shape_keys_and_one_rule_per_not_null_column():
    rules = suite(USAGE, None, None)
    assert [rule.name for rule in rules] == ["shape", "keys_unique", "keys_present", "resolved_present"]
    assert {rule.severity for rule in rules} == {"critical"}
    assert {rule.bound for rule in rules} == {0.0}
    assert {rule.origin for rule in rules} == {"header"}
    # all columns that may not be NULL are told by one check
    assert [rule.check for rule in rules] == ["shape", "keys_unique", "keys_present", "columns_present"]
    assert all(rule.title and rule.recovery for rule in rules)
    assert rules[0].kwargs["columns"] == [(column.name, column.type) for column in COLUMNS]


def test_table_without_key_has_no_key_rules():
    summary = Table("milestone_summary", (), COLUMNS, Path("milestone_summary.sql"))
    assert [rule.name for rule in suite(summary, None, None)] == ["shape", "resolved_present"]


def test_product_rules_follow_the_header_as_written(tmp_path):
    rules = suite(USAGE, product(tmp_path, RATIO, LATE), None)
    assert [rule.name for rule in rules][-2:] == ["ratio_not_negative", "late_share"]
    late = rules[-1]
    assert (late.origin, late.severity, late.bound, late.total) == ("product", "warning", 0.05, LATE["total"])
    assert (late.title, late.recovery) == ("Few rows are late", "Look at the file.")
    assert rules[-2].severity == "critical"


def test_rules_of_the_daily_table_share_three_checks(tmp_path):
    daily = Table("raw_events", USAGE.key, COLUMNS, Path("raw_events.sql"))
    checks = {rule.name: rule.check for rule in suite(daily, product(tmp_path, RATIO), None)}
    assert checks == {
        "shape": "shape",
        "keys_unique": "keys",
        "keys_present": "keys",
        "resolved_present": "rows",
        "ratio_not_negative": "rows",
    }


def test_company_changes_bound_and_severity_and_adds(tmp_path):
    added = {"name": "enough_rows", "type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}
    rules = overridden(
        tmp_path,
        bounds={"late_share": 0.2, "resolved_present": 0.01},
        severity={"ratio_not_negative": "warning", "late_share": "critical"},
        expectations=[added],
    )
    assert list(rules)[-1] == "enough_rows"
    assert rules["late_share"].bound == 0.2
    assert rules["late_share"].severity == "critical"
    assert rules["late_share"].origin == "product"
    assert rules["resolved_present"].bound == 0.01
    assert rules["ratio_not_negative"].severity == "warning"
    assert (rules["enough_rows"].origin, rules["enough_rows"].title) == ("company", "Enough rows")


def test_company_may_bound_the_rule_it_adds(tmp_path):
    added = {
        "name": "small",
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "ratio", "max_value": 1},
    }
    assert overridden(tmp_path, expectations=[added], bounds={"small": 0.5})["small"].bound == 0.5


@pytest.mark.parametrize("key", ["bounds", "severity"])
def test_override_of_no_rule_offers_the_closest_name(tmp_path, key):
    sentence = override_refused(tmp_path, **{key: {"late_shares": 0.1 if key == "bounds" else "warning"}})
    assert sentence == f"quality/usage_ratio.yaml: {key}.late_shares: no rule has this name; closest: late_share"


@pytest.mark.parametrize("name", ["shape", "keys_unique", "keys_present"])
def test_shape_and_keys_are_never_weakened(tmp_path, name):
    assert "allow no exception" in override_refused(tmp_path, bounds={name: 0.01})
    assert "always critical" in override_refused(tmp_path, severity={name: "warning"})
    assert overridden(tmp_path, severity={name: "critical"}, bounds={name: 0.0})[name].bound == 0.0


def test_bound_that_allows_every_row_is_refused(tmp_path):
    assert "expected a share below 1" in override_refused(tmp_path, bounds={"late_share": 1.0})


def test_bound_on_a_question_about_the_whole_table_is_refused(tmp_path):
    kwargs = {"column": "ratio", "max_value": 5}
    assert "no share to allow" in refused(tmp_path, type="expect_column_max_to_be_between", kwargs=kwargs, bound=0.1)
    added = {"name": "highest", "type": "expect_column_max_to_be_between", "kwargs": kwargs}
    assert "no share to allow" in override_refused(tmp_path, expectations=[added], bounds={"highest": 0.1})


def test_added_rule_may_not_take_a_name(tmp_path):
    added = {"name": "late_share", "type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}
    assert "another rule has this name" in override_refused(tmp_path, expectations=[added])


def test_misspelt_type_names_file_rule_and_closest(tmp_path):
    sentence = refused(tmp_path, type="expect_column_values_to_be_betwen")
    assert sentence.startswith(f"{tmp_path / 'usage_ratio.yaml'}: rule ratio_not_negative: type")
    assert "closest: expect_column_values_to_be_between" in sentence


def test_type_without_duckdb_implementation_says_what_to_write(tmp_path):
    sentence = refused(tmp_path, type="expect_column_values_to_match_regex", kwargs={"column": "ratio", "regex": "x"})
    assert "does not run on DuckDB" in sentence
    assert "unexpected_rows_expectation with regexp_matches" in sentence


def test_undeclared_column_is_refused(tmp_path):
    sentence = refused(tmp_path, kwargs={"column": "ration", "min_value": 0})
    assert "usage_ratio has no column 'ration'; closest: ratio" in sentence
    many = {"column_list": ["month", "mont"]}
    assert "'mont'" in refused(tmp_path, type="expect_compound_columns_to_be_unique", kwargs=many)


@pytest.mark.parametrize("name", ["mostly", "row_condition", "severity", "meta", "result_format"])
def test_kwargs_that_belong_elsewhere_are_refused(tmp_path, name):
    assert f"kwargs.{name}: " in refused(tmp_path, kwargs={"column": "ratio", "min_value": 0, name: 1})


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT account_key FROM usage_ratio", "found no {batch}"),
        ("SELECT account_key FROM {table}", "found the placeholder {table}, only {batch} is known"),
        ("SELECT account_key FROM {batch} WHERE regexp_matches(x, '^a{3}$')", "a literal brace is written twice"),
        ("SELECT account_key FROM {batch} WHERE x = '{'", "a literal brace is written twice"),
        ("SELECT account_key FROM {batch} WHERE (", "not valid SQL"),
        ("DELETE FROM {batch}", "expected one SELECT"),
        ("SELECT 1 FROM {batch}; SELECT 2", "expected one SELECT, found 2"),
    ],
)
def test_query_that_cannot_be_used_is_refused(tmp_path, query, sentence):
    assert sentence in refused(tmp_path, type="unexpected_rows_expectation", kwargs={QUERY: query})


def test_query_rule_takes_its_query_alone(tmp_path):
    kwargs = {"query": "SELECT account_key FROM {batch}"}
    assert f"expected {QUERY} and nothing else" in refused(tmp_path, type="unexpected_rows_expectation", kwargs=kwargs)


def test_total_and_group_belong_to_queries(tmp_path):
    assert "belong to unexpected_rows_expectation" in refused(tmp_path, group_by="month")
    assert "belong to unexpected_rows_expectation" in refused(tmp_path, total=LATE["total"])


def test_all_problems_are_told_at_once(tmp_path):
    path = product(tmp_path, {**RATIO, "type": "expect_nothing"}, {**LATE, "kwargs": {QUERY: "SELECT 1"}})
    with pytest.raises(SuiteError) as caught:
        suite(USAGE, path, TableQuality.model_validate({"bounds": {"nothing": 0.1}}))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"severty": "warning"}, "rule ratio_not_negative: expectations.0.severty"),
        ({"bound": 1.0}, "rule ratio_not_negative: expectations.0.bound"),
        ({"severity": "info"}, "rule ratio_not_negative: expectations.0.severity"),
        ({"recovery": ""}, "rule ratio_not_negative: expectations.0.recovery"),
    ],
)
def test_product_file_refuses_what_its_grammar_does_not_know(tmp_path, change, sentence):
    assert sentence in refused(tmp_path, **change)


def test_unreadable_product_file_is_a_problem(tmp_path):
    path = tmp_path / "usage_ratio.yaml"
    path.write_text("expectations: [", encoding="utf-8")
    with pytest.raises(SuiteError, match="cannot be read"):
        suite(USAGE, path, None)
    path.write_text("- a list", encoding="utf-8")
    with pytest.raises(SuiteError, match=r"usage_ratio\.yaml"):
        suite(USAGE, path, None)


def test_loading_rules_imports_neither_great_expectations_nor_sqlalchemy():
    code = (
        "import sys\n"
        "import milestones_dagster.quality.audit, milestones_dagster.quality.suites\n"
        "sys.exit(any(name in sys.modules for name in ('great_expectations', 'sqlalchemy')))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own code
