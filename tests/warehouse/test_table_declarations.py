"""What a `.sql` file may declare, what refuses it and in which words, and which tables the product's own files read."""

from pathlib import Path

import pytest
from scenario import World
from sqlglot import exp

from milestones_dagster.config.loader import load_config
from milestones_dagster.config.relations import relations
from milestones_dagster.warehouse.dialect import DialectError
from milestones_dagster.warehouse.table import SQL_ROOT, Column, Relation, Table, TableError, load_tables

HEADER = """/*
about: Accounts   of the
  company.
grain: one row per account
key: [account_id]
columns:
  account_id: VARCHAR NOT NULL -- The account.
  wait_days: DOUBLE [days] -- Days of waiting.
*/
"""


def write(root: Path, name: str, select: str, *, schema: str = "staging", header: str = HEADER) -> Path:
    path = root / schema / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + select, encoding="utf-8")
    return path


def load(root: Path) -> dict[str, Table]:
    return load_tables(root, config_relations=("setup_step", "maturity_rule", "threshold"))


def test_a_header_declares_name_schema_key_and_columns(tmp_path):
    path = write(tmp_path, "waits", "SELECT a.account_id, a.wait_days FROM source.accounts AS a;")
    table = load(tmp_path)["waits"]
    assert (table.name, table.schema, table.path) == ("waits", "staging", path)
    assert (table.about, table.grain) == ("Accounts of the company.", "one row per account")
    assert (table.key, table.order, table.by, table.keeps, table.pivot) == (("account_id",), ("account_id",), None, False, False)
    assert table.columns == (
        Column("account_id", "VARCHAR", is_nullable=False, unit=None, about="The account."),
        Column("wait_days", "DOUBLE", is_nullable=True, unit="days", about="Days of waiting."),
    )
    assert (table.relations, table.sources, table.dependencies) == ((Relation("source", "accounts"),), ("accounts",), ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (HEADER, "", "no header; a table's file begins with a /* … */ block that declares it"),
        ("grain:", "graim:", "header key 'graim' is unknown; closest: grain"),
        ("grain: one row per account\n", "", "the header has no 'grain'"),
        ("key: [account_id]", "key: [acount_id]", "key column 'acount_id' is not among the declared columns"),
        (
            "DOUBLE [days] -- Days of waiting.",
            "double -- Days of waiting.",
            "column wait_days: found 'double -- Days of waiting.', expected `TYPE [NOT NULL] [[unit]] -- what it means`",
        ),
        (
            " -- The account.",
            "",
            "column account_id: found 'VARCHAR NOT NULL', expected `TYPE [NOT NULL] [[unit]] -- what it means`",
        ),
        ("grain: one", "grain: [one", "the header is not YAML: "),
        ("key:", "by: week\nkey:", "`by: week` is unknown; a table is made by day, by month or, without `by`, whole"),
        ("key:", "by: month\nkey:", "a table by month has the column 'account_key', which tells whose or of when a row is"),
        ("key:", "windows: waits\nkey:", "`windows` is of tables by month alone"),
        ("key:", "reads_back: 2\nkey:", "`reads_back` is of tables by month alone"),
        ("key:", "pivot: true\nkey:", "a table that pivots has `account_key` in its key, by which it is made wide"),
    ],
    ids=[
        "no header",
        "unknown key",
        "missing key",
        "key column",
        "type",
        "no meaning",
        "no YAML",
        "by",
        "by month",
        "windows",
        "reads back",
        "pivot",
    ],
)
def test_a_header_that_cannot_be_accepted_says_why(tmp_path, old, new, message):
    path = write(tmp_path, "waits", "SELECT 1", header=HEADER.replace(old, new))
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT a.account_id FROM waist AS a", "relation waist AS a is unknown; closest names: waits"),
        ("SELECT a.step FROM config.setup_steps AS a", "relation config.setup_steps AS a is unknown; closest names: setup_step"),
        (
            "SELECT a.as_of FROM run.observations AS a",
            "relation run.observations AS a is unknown; closest names: observation, version",
        ),
        ("SELECT a.x FROM source.account AS a", "relation source.account AS a is unknown; closest names: accounts"),
        ("SELECT a.x FROM operations.days AS a", "operations.days AS a: the prefix 'operations' is none of config, run, source"),
        ("SELECT a.x FROM zzz AS a", "relation zzz AS a is unknown; no name comes close"),
        ("SELECT a.x FROM broken AS a", "the table reads itself; say `keeps: true` in its header"),
        ("SELECT 1; SELECT 2", "expected one SELECT, found 2 statement(s)"),
        ("DELETE FROM waits", "expected one SELECT, found 1 statement(s)"),
    ],
)
def test_a_select_that_cannot_be_accepted_says_why(tmp_path, select, message):
    write(tmp_path, "waits", "SELECT a.account_id, a.wait_days FROM source.accounts AS a")
    path = write(tmp_path, "broken", select)
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"{path}: {message}"


def test_a_select_that_does_not_parse_names_its_file(tmp_path):
    path = write(tmp_path, "broken", "SELECT a.account_id FROM (SELECT")
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value).startswith(f"{path}: ")


def test_tables_that_read_each_other_in_a_circle_are_refused(tmp_path):
    write(tmp_path, "one", "SELECT t.account_id FROM two AS t")
    write(tmp_path, "two", "SELECT t.account_id FROM three AS t")
    write(tmp_path, "three", "SELECT t.account_id FROM one AS t")
    write(tmp_path, "free", "SELECT a.account_id FROM source.accounts AS a")
    with pytest.raises(TableError, match="these tables read each other in a circle: one, three, two"):
        load(tmp_path)


def test_what_a_chart_is_drawn_with_is_made_before(tmp_path):
    header = HEADER.replace("columns:", "plot: charts.waits.curve\nplot_with: [zebra, config.threshold]\ncolumns:")
    path = write(tmp_path, "waits", "SELECT a.account_id, a.wait_days FROM source.accounts AS a", header=header)
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"{path}: `plot_with: zebra` is no table or config relation of ours; no name comes close"
    write(tmp_path, "zebra", "SELECT a.account_id, a.wait_days FROM source.accounts AS a")
    assert list(load(tmp_path)) == ["zebra", "waits"]
    assert (load(tmp_path)["waits"].plot, load(tmp_path)["waits"].dependencies) == ("charts.waits.curve", ("zebra",))
    write(
        tmp_path,
        "waits",
        "SELECT a.account_id, a.wait_days FROM source.accounts AS a",
        header=header.replace("threshold", "thresholds"),
    )
    with pytest.raises(
        TableError, match=r"`plot_with: config.thresholds` is no table or config relation of ours; closest names: config.threshold"
    ):
        load(tmp_path)


def test_a_table_is_declared_once(tmp_path):
    write(tmp_path, "waits", "SELECT 1")
    write(tmp_path, "waits", "SELECT 1", schema="milestones")
    with pytest.raises(TableError, match="two files declare the table waits; a table's name is its file's name, once"):
        load(tmp_path)


def test_the_name_of_a_common_table_expression_is_never_a_dependency(tmp_path):
    write(tmp_path, "waits", "SELECT a.account_id FROM source.accounts AS a")
    write(tmp_path, "users", "SELECT u.user_id FROM source.users AS u")
    write(
        tmp_path,
        "reader",
        """WITH users AS (SELECT w.account_id FROM waits AS w), inner_one AS (
          WITH step AS (SELECT s.step FROM config.setup_step AS s) SELECT t.step FROM step AS t
        )
        SELECT u.account_id FROM users AS u
        LEFT JOIN (SELECT i.step FROM inner_one AS i) AS j ON j.step = u.account_id
        WHERE u.account_id IN (SELECT h.milestone FROM config.threshold AS h)""",
    )
    table = load(tmp_path)["reader"]
    # `users` is a table too, and here a CTE of that name
    assert table.dependencies == ("waits",)
    assert table.config_relations == ("setup_step", "threshold")
    assert list(load(tmp_path)) == ["users", "waits", "reader"]


def test_a_function_outside_the_dialect_is_refused_with_file_line_and_neighbours(tmp_path):
    path = write(tmp_path, "waits", "SELECT\n  a.account_id,\n  FLOR(a.wait_days) AS wait_days\nFROM source.accounts AS a")
    with pytest.raises(DialectError) as refused:
        load(tmp_path)
    # nine lines of header, then the third of the SELECT
    assert str(refused.value) == f"{path}:12 function FLOR is not in the house dialect; allowed neighbours: FLOOR, OR"


def test_a_division_without_nullif_is_refused_with_file_and_line(tmp_path):
    path = write(tmp_path, "waits", "SELECT\n  a.account_id,\n  a.seats / a.days AS wait_days\nFROM source.accounts AS a")
    with pytest.raises(DialectError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"{path}:12 a division by a.days; write `/ nullif(…, 0)`: engines differ on a zero"
    write(tmp_path, "waits", "SELECT a.account_id, a.seats / NULLIF(a.days, 0) AS wait_days FROM source.accounts AS a")
    assert list(load(tmp_path)) == ["waits"]


def test_also_names_a_table_of_ours(tmp_path):
    path = write(tmp_path, "waits", "SELECT 1", header=HEADER.replace("key:", "also: [adoption]\nkey:"))
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"{path}: `also: adoption` is no table of ours; no name comes close"


# --- the product's own tables ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Table]:
    config = load_config(World(events=[], last_day="2025-01-01").write(tmp_path_factory.mktemp("declared")))
    return load_tables(config_relations=relations(config))


# what each table reads, by hand from its FROM and JOIN clauses
DEPENDENCIES = {
    "raw_events": (),
    "account_copies": ("accounts",),
    "account_event_daily": ("raw_events",),
    "account_history": ("account_copies", "accounts", "subscriptions"),
    "account_tenure": ("account_history", "accounts"),
    "accounts": ("event_identities",),
    "event_catalogue": ("account_event_daily", "event_name_daily"),
    "event_identities": ("raw_events",),
    "event_name_daily": ("raw_events",),
    "observation_dates": ("account_tenure", "paid_spells", "rule_events", "subscriptions"),
    "paid_spells": ("account_history",),
    "rule_events": ("raw_events",),
    "subscriptions": ("raw_events",),  # it reads the as-of time, which the published days settle
    "users": ("event_identities",),
    "account_months": ("account_event_daily", "account_history", "account_tenure", "subscriptions"),
    "activation_cohort": ("account_history", "account_tenure", "rule_events", "thresholds_in_force"),
    "customer_milestones": (
        "account_months",
        "activation_cohort",
        "maturity_categories",
        "setup_steps",
        "thresholds_in_force",
        "usage_ratio",
    ),
    "maturity_categories": ("account_event_daily", "account_months"),
    "milestone_summary": ("activation_cohort", "customer_milestones", "setup_steps", "thresholds_in_force"),
    "notes": ("raw_events",),
    "retention_by_activation": ("activation_cohort", "observation_dates", "retention_outcomes"),
    "retention_outcomes": ("account_history", "account_tenure", "observation_dates", "paid_spells", "rule_events", "subscriptions"),
    "seat_usage": ("account_months", "accounts", "rule_events", "users"),
    "setup_steps": ("account_tenure", "rule_events"),
    "thresholds_in_force": ("activation_placebo", "activation_threshold", "usage_placebo", "usage_threshold"),
    "usage_ratio": ("seat_usage", "thresholds_in_force"),
    "activation_landmarks": (
        "account_history",
        "account_tenure",
        "event_identities",
        "observation_dates",
        "retention_outcomes",
        "rule_events",
    ),
    "activation_follow_up": (
        "account_tenure",
        "activation_landmarks",
        "observation_dates",
        "paid_spells",
        "rule_events",
        "usage_ratio",
    ),
    "activation_survival": ("activation_follow_up", "activation_validation", "thresholds_in_force"),
    "activation_threshold": ("activation_landmarks",),
    "activation_validation": ("activation_follow_up", "activation_landmarks", "thresholds_in_force"),
    "activation_threshold_curve": ("activation_landmarks", "activation_threshold"),
    "activation_pair_events": ("account_event_daily", "account_tenure", "activation_landmarks"),
    "activation_window_search": ("activation_landmarks", "activation_pair_events"),
    "threshold_variants": (
        "account_history",
        "account_tenure",
        "event_identities",
        "observation_dates",
        "rule_events",
        "usage_landmarks",
    ),
    "threshold_robustness": (
        "activation_landmarks",
        "activation_threshold",
        "threshold_variants",
        "usage_landmarks",
        "usage_threshold",
    ),
    "feature_adoption": ("account_event_daily", "account_history", "account_tenure", "rule_events"),
    "feature_importance": ("account_history", "accounts", "feature_adoption", "feature_matrix", "observation_dates"),
    "feature_matrix": (
        "account_copies",
        "account_event_daily",
        "account_history",
        "accounts",
        "event_identities",
        "observation_dates",
        "retention_outcomes",
    ),
    "revenue_retention": ("account_history", "retention_outcomes"),
    "area_landmarks": ("area_months", "month_landmarks"),
    "area_months": ("account_event_daily", "account_months"),
    "area_placebo": ("account_tenure", "area_landmarks"),
    "area_success": ("area_months", "area_placebo", "area_thresholds"),
    "area_threshold_curve": ("area_landmarks", "area_thresholds"),
    "area_thresholds": ("area_landmarks",),
    "chain_landmarks": (
        "activation_landmarks",
        "customer_milestones",
        "month_landmarks",
        "paid_spells",
        "setup_landmarks",
        "setup_steps",
        "thresholds_in_force",
        "usage_landmarks",
        "usage_ratio",
    ),
    "framework_review": ("chain_landmarks",),
    "framework_versions": ("thresholds_in_force",),
    "framework_watch": ("account_tenure", "feature_matrix", "framework_review", "setup_step_landmarks"),
    "milestone_chain": ("chain_landmarks",),
    "month_landmarks": (
        "account_history",
        "account_months",
        "account_tenure",
        "event_identities",
        "observation_dates",
        "paid_spells",
        "retention_outcomes",
        "rule_events",
    ),
    "setup_landmarks": ("account_history", "activation_cohort", "event_identities", "paid_spells", "thresholds_in_force"),
    "setup_step_evidence": ("setup_step_landmarks",),
    "setup_step_landmarks": ("account_event_daily", "activation_cohort", "setup_landmarks", "setup_steps"),
    "setup_step_placebo": ("setup_step_landmarks",),
    "activation_placebo": ("activation_landmarks",),
    "usage_placebo": ("usage_landmarks",),
    "evidence_placebo": ("activation_placebo", "area_placebo", "setup_step_placebo", "usage_placebo"),
    "threshold_expansion": (
        "activation_landmarks",
        "activation_threshold",
        "area_landmarks",
        "area_thresholds",
        "usage_landmarks",
        "usage_threshold",
    ),
    "usage_landmarks": ("month_landmarks", "seat_usage"),
    "usage_threshold": ("usage_landmarks",),
    "usage_threshold_curve": ("usage_landmarks", "usage_threshold"),
    "win_backs": ("paid_spells",),
}


def test_every_table_reads_what_it_is_known_to_read(tables):
    assert {name: table.dependencies for name, table in tables.items()} == DEPENDENCIES


@pytest.mark.parametrize(
    ("auto", "read"),
    [
        # with numbers alone it reads no evidence, and follows the events, which settle the as-of time, by itself
        (frozenset(), ("raw_events",)),
        ({"usage"}, ("usage_placebo", "usage_threshold")),
        ({"activation"}, ("activation_placebo", "activation_threshold")),
    ],
)
def test_the_core_follows_evidence_only_where_the_config_leaves_a_threshold_to_the_data(auto, read):
    loaded = load_tables(config_relations=None, auto=auto)
    assert loaded["thresholds_in_force"].dependencies == read
    above, waiting = set(), ["customer_milestones"]
    while waiting:
        above |= set(new := [name for name in loaded[waiting.pop()].dependencies if name not in above])
        waiting += new
    reads = {
        "activation": {"activation_threshold", "activation_placebo", "activation_landmarks"},
        "usage": {"usage_threshold", "usage_placebo", "usage_landmarks", "month_landmarks"},
    }
    assert {name for name in above if loaded[name].schema == "evidence"} == set().union(*(reads[milestone] for milestone in auto))


def test_windows_name_a_table_that_the_select_reads(tmp_path):
    header = HEADER.replace("account_id", "account_key").replace("key:", "by: month\nmonth_of: wait_days\nwindows: dates\nkey:", 1)
    path = write(tmp_path, "waits", "SELECT 1", header=header)
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"{path}: `windows: dates` is not read by the SELECT; no name comes close"


@pytest.mark.parametrize("months", ["-1", "two", "true", "1.5"])
def test_months_read_back_are_a_number(tmp_path, months):
    header = HEADER.replace("account_id", "account_key")
    header = header.replace("key:", f"by: month\nmonth_of: wait_days\nreads_back: {months}\nkey:", 1)
    path = write(tmp_path, "waits", "SELECT 1", header=header)
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    found = {"true": "True"}.get(months, months)
    assert str(refused.value) == f"{path}: `reads_back: {found}` is no number of months, such as 2"


def test_where_auto_names_a_table_that_the_select_reads(tmp_path):
    path = write(tmp_path, "waits", "SELECT 1", header=HEADER.replace("key:", "where_auto: {usage: [adoption]}\nkey:"))
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"{path}: `where_auto: adoption` is not read by the SELECT; no name comes close"


def test_areas_read_evidence_only_where_the_config_leaves_a_threshold_of_theirs_to_the_data():
    asked, not_asked = (load_tables(config_relations=None, auto=auto) for auto in ({"areas"}, {"usage"}))
    assert asked["area_success"].dependencies == ("area_months", "area_placebo", "area_thresholds")
    assert asked["area_placebo"].dependencies == ("account_tenure", "area_landmarks")
    assert not_asked["area_success"].dependencies == ("area_months",)
    assert not_asked["area_placebo"].dependencies == ("account_tenure",)


MONTHS = """/*
about: Months.
grain: one row per account and month
key: [account_key, month]
by: month
reads_back: 1
columns:
  account_key: BIGINT NOT NULL -- The account.
  month: DATE NOT NULL -- The month.
*/
"""


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("reads_back: 1", "reads_back: 2", False),
        ("by: month\nreads_back: 1", "", False),
        ("account_key: BIGINT NOT NULL", "account_key: BIGINT", False),
        ("month: DATE", "month: TIMESTAMP", False),
        ("key: [account_key, month]", "key: [account_key]", False),
        # words, and the order in which rows are shown, make no other rows
        ("about: Months.", "about: Every month.", True),
        ("by: month", "by: month\norder: [month]", True),
    ],
)
def test_what_a_header_says_of_the_rows_is_part_of_what_a_table_means(tmp_path, old, new, is_same):
    select = "SELECT e.account_key, e.month FROM run.months AS e"
    write(tmp_path / "before", "months", select, header=MONTHS)
    write(tmp_path / "after", "months", select, header=MONTHS.replace(old, new))
    hashes = {load(tmp_path / folder)["months"].code_hash for folder in ("before", "after")}
    assert (len(hashes) == 1) is is_same


def test_columns_as_adds_the_columns_of_a_table_beside_it_but_for_its_own(tmp_path):
    write(tmp_path, "waits", "SELECT 1")
    own = HEADER.replace("columns:", "columns_as: waits\ncolumns:\n  month: DATE -- The month.")
    own = own.replace("  account_id: VARCHAR NOT NULL -- The account.\n", "  account_id: VARCHAR NOT NULL -- Who waits.\n")
    own = own.replace("  wait_days: DOUBLE [days] -- Days of waiting.\n", "")
    path = write(tmp_path, "longer", "SELECT 1", header=own)
    tables = load(tmp_path)
    assert [(column.name, column.about) for column in tables["longer"].columns] == [
        ("month", "The month."), ("account_id", "Who waits."), ("wait_days", "Days of waiting."),
    ]  # fmt: skip
    assert tables["longer"].columns[2] == tables["waits"].columns[1]
    path.write_text(own.replace("columns_as: waits", "columns_as: weights") + "SELECT 1", encoding="utf-8")
    with pytest.raises(TableError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"{path}: `columns_as: weights` is no table of ours beside it; closest names: waits"


def test_tables_are_in_an_order_in_which_they_can_be_made(tables):
    names = list(tables)
    assert all(names.index(before) < names.index(name) for name, table in tables.items() for before in table.dependencies)


def test_every_file_below_the_sql_folder_is_a_table_or_the_rules_of_one(tables):
    found = {path.relative_to(SQL_ROOT) for path in SQL_ROOT.rglob("*") if path.is_file()}
    declared = {table.path.relative_to(SQL_ROOT) for table in tables.values()}
    assert found - declared == {path for path in found if path.suffix == ".yaml" and path.with_suffix(".sql") in declared}


def test_only_the_events_tables_read_events_and_only_identities_read_identifiers(tables):
    readers = {name for name, table in tables.items() if Relation("table", "raw_events") in table.relations}
    assert readers == {"account_event_daily", "event_identities", "event_name_daily", "rule_events"}
    assert {name for name, table in tables.items() if table.by == "day"} == readers | {"raw_events"}
    assert [name for name, table in tables.items() if "events" in table.sources] == ["raw_events"]


def test_intervals_are_joined_by_comparisons_and_never_row_by_row():
    # an `X IS NULL OR X > …` in the ON of an outer join is held against every row of the other side: the square of the accounts
    slow = [
        (table.name, join.args["on"].sql())
        for table in load_tables(config_relations=None).values()
        for join in table.select.find_all(exp.Join)
        if join.side and isinstance(join.this, exp.Table) and join.this.db != "config" and join.args.get("on") is not None
        for either in join.args["on"].find_all(exp.Or)
        if isinstance(either.left, exp.Is) and either.left.this.table == join.this.alias
    ]
    assert slow == []
