"""Spark behind the engine port: the rows of DuckDB, the same gate, and the same promise when something fails."""

from collections import Counter

import pytest
from spark_company import both, differences, on_spark, rows

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared, Session
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.spark_catalogue import Catalogue
from milestones_dagster.warehouse.spark_files import WHOLE, EngineMismatchError
from milestones_dagster.warehouse.spark_session import SparkUnavailableError
from milestones_dagster.warehouse.table import Relation

# by day; of a source; keeping its own rows; a plain SELECT over many; pivoted; made by a function
SAMPLE = ("account_event_daily", "subscriptions", "framework_versions", "setup_steps", "feature_matrix", "activation_threshold")


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    with both(tmp_path_factory.mktemp("company")) as made:
        yield made
        made.spark.close()


@pytest.fixture(scope="module")
def sampled(company):
    company.make(*SAMPLE)
    return company


def version_of(session, table):
    return session.engine.versions.parts(session.declared.tables[table])


@pytest.mark.spark_sample
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("table", SAMPLE)
def test_a_table_of_each_kind_is_the_same_on_both(sampled, table):
    there, here = rows(sampled.embedded, table), rows(sampled.spark, table)
    assert there, "an empty table proves nothing"
    assert differences(there, here) == []


@pytest.mark.timeout(3600)
def test_every_table_is_the_same_on_both(sampled):
    tables = [name for name in sampled.spark.declared.tables if name != "raw_events"]
    sampled.make(*tables)
    published = operations.publications(sampled.embedded.warehouse)
    assert set(operations.publications(sampled.spark.warehouse)) == set(published)
    found = {name: differences(rows(sampled.embedded, name), rows(sampled.spark, name)) for name in published}
    assert {name: lines[:3] for name, lines in found.items() if lines} == {}


@pytest.mark.spark_sample
def test_a_refused_table_publishes_nothing(sampled):
    before, version = rows(sampled.spark, "subscriptions"), version_of(sampled.spark, "subscriptions")
    rule = {
        "name": "nobody",
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": "SELECT account_key FROM {batch}"},
        "recovery": "none",
    }
    path = sampled.spark.config.warehouse_path
    stricter = Declared.of(load_config(on_spark(sampled.config_dir, path, subscriptions={"expectations": [rule]})))
    session = Session(stricter, sampled.spark.warehouse.connection, sampled.spark.warehouse.folder, "refused", sampled.spark.as_of)
    made = session.make("subscriptions")
    failed = [result for result in made.results if not result.passed]
    assert made.state == "refused"
    assert [(result.rule.name, result.unexpected_count) for result in failed] == [("nobody", len(before))]
    assert failed[0].sample_keys
    assert rows(sampled.spark, "subscriptions") == before
    assert version_of(sampled.spark, "subscriptions") == version


@pytest.mark.spark_sample
def test_a_run_that_dies_before_the_commit_publishes_nothing(sampled):
    session = sampled.spark
    table = session.declared.tables["setup_steps"]
    before, version = rows(session, table.name), version_of(session, table.name)
    session.warehouse.execute("UPDATE operations.publications SET signature = 'another' WHERE table_name = 'setup_steps'")
    inputs = session.inputs(table.name)

    def dying(*_):
        raise KeyboardInterrupt

    for audit, on_commit in ((dying, None), (lambda *_: [], dying)):
        with pytest.raises(KeyboardInterrupt):
            session.engine.make(table, inputs, audit, on_commit)
        assert rows(session, table.name) == before
        assert version_of(session, table.name) == version
    assert session.make(table.name).state == "made"
    assert rows(session, table.name) == before
    # the published version and the one before it; what was never named is gone
    home = session.engine.folder / table.schema / table.name
    assert len(list(home.glob("version=*"))) == 2


@pytest.mark.spark_sample
def test_a_day_made_again_leaves_the_other_days_alone(sampled):
    session = sampled.spark
    before = version_of(session, "account_event_daily")
    # its month has other days with rows, which are read where they were
    day = str(rows(session, "account_event_daily")[3]["day"])
    session.warehouse.execute("UPDATE operations.publication_days SET signature = 'x' WHERE day = ?::DATE AND table_name = 'account_event_daily'", [day])  # fmt: skip
    made = session.make("account_event_daily")
    after = version_of(session, "account_event_daily")
    assert (made.state, [str(each) for each in made.days_made]) == ("made", [day])
    assert {part for part in before if after.get(part) != before[part]} == {day}
    assert [place.days is None for place in session.engine.versions.places(session.declared.tables["account_event_daily"])].count(
        False
    ) == 1
    expected = rows(sampled.embedded, "account_event_daily")
    assert differences(expected, rows(session, "account_event_daily")) == []
    # and as other tables read it
    session.engine._show_relation(Relation("table", "account_event_daily"))
    shown = session.engine.spark.table("staging__account_event_daily").groupBy("day").count().collect()
    assert {row["day"]: row["count"] for row in shown} == Counter(row["day"] for row in expected)


@pytest.mark.spark_sample
def test_others_read_a_published_table_in_the_catalogue(sampled):
    spark = sampled.spark.engine.spark
    assert spark.table("spark_catalog.milestones.setup_steps").count() == len(rows(sampled.spark, "setup_steps"))
    assert not spark.catalog.tableExists("spark_catalog.staging.subscriptions")


@pytest.mark.spark_sample
def test_a_catalogue_that_is_not_configured_is_told(sampled):
    with pytest.raises(
        SparkUnavailableError, match=r"catalogue lake: .*; `catalogue` under `spark:` in warehouse.yaml is one that"
    ):
        Catalogue(sampled.spark.engine.spark, "lake").check()


@pytest.mark.spark_sample
def test_a_catalogue_that_fails_after_the_commit_fails_no_step(sampled, monkeypatch):
    session, shown = sampled.spark, []

    def show(self, table, folder):
        shown.append(folder)
        if len(shown) == 2:
            self.spark.sql("SELECT nothing")

    monkeypatch.setattr(Catalogue, "show", show)
    session.warehouse.execute("DELETE FROM operations.publications WHERE table_name = 'setup_steps'")
    made = session.make("setup_steps")
    assert made.state == "made"
    told = session.engine.facts("setup_steps")["spark_catalogue"]
    assert told.startswith("left as it was, until the next run; setup_steps: [UNRESOLVED_COLUMN")
    assert str(shown[1]) == version_of(session, "setup_steps")[WHOLE]
    # the next run shows them, before anything else
    monkeypatch.undo()
    assert session.make("setup_steps").state == "unchanged"
    spark = session.engine.spark
    assert spark.table("spark_catalog.milestones.setup_steps").inputFiles()[0].removeprefix("file://").startswith(str(shown[1]))


@pytest.mark.spark_sample
def test_the_run_tells_of_the_application_and_the_plan(sampled):
    facts = sampled.spark.engine.facts("feature_matrix")
    assert facts["spark_master"] == "local[2]"
    assert (facts["spark_default_parallelism"], facts["spark_executor_memory"]) == ("2", "default")
    assert facts["spark_application"].startswith("local-")
    assert "Physical Plan" in facts["spark_plan"]
    assert len(facts["spark_plan"]) < 20_100


@pytest.mark.spark_sample
def test_a_warehouse_is_of_one_engine(sampled):
    of_duckdb, of_spark = sampled.embedded, sampled.spark
    with pytest.raises(EngineMismatchError, match="made by DuckDB"):
        Session(of_spark.declared, of_duckdb.warehouse.connection, of_duckdb.warehouse.folder, "other")
    with pytest.raises(EngineMismatchError, match="made by Spark"):
        Session(of_duckdb.declared, of_spark.warehouse.connection, of_spark.warehouse.folder, "other")
