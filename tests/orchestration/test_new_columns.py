"""A source's new column is told by one run: the first whose check is stored, whatever looked at the files before it."""

from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from deliveries import Deliveries, Ran, company, plain, run
from scenario import EVENT_TYPES, SUBSCRIPTION_TYPES, event, write_parquet

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.planning import plan_of
from milestones_dagster.orchestration.session import Declared, Session

DAY = "2025-02-11"
ASSETS = ("raw_events", "subscriptions")
BOTH = ["2025-02-11.parquet: browser", "subscriptions.parquet: note"]


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path, instance: dg.DagsterInstance) -> Deliveries:
    """A company whose first run is over, and that has since delivered a new column of events and one of subscriptions."""
    given = Deliveries(tmp_path, company())
    assert told(run(given.config, instance, only=ASSETS)) == []
    rows = [{**event(None, "heartbeat", f"{DAY} 00:00", user=None), "event_id": "beat", "browser": "one"}]
    write_parquet(given.file(DAY), rows, EVENT_TYPES.append(pa.field("browser", pa.string())))
    subscriptions = [{**row, "note": "two"} for row in given.world.subscriptions]
    types = SUBSCRIPTION_TYPES.append(pa.field("note", pa.string()))
    write_parquet(tmp_path / "data" / "subscriptions.parquet", subscriptions, types)
    return given


def told(ran: Ran) -> list[str]:
    """The new columns that the checks of a run tell, as Dagster's instance keeps them."""
    assert ran.is_success, ran.failed
    evaluations = ran.evaluations()
    rules = plain(evaluations["raw_events", "shape"].metadata["rules"])
    (events,) = [rule["sample_keys"] for rule in rules if rule["rule"].startswith("source_columns:")]
    subscriptions = plain(evaluations["subscriptions", "source_columns"].metadata["sample_keys"])
    return [key["column"] for key in [*events, *subscriptions]]


def opened(files: Deliveries, connection: duckdb.DuckDBPyConnection) -> Session:
    return Session(Declared.of(load_config(files.config)), connection, files.warehouse.with_suffix(""), "another")


def test_the_first_run_tells_of_a_new_column_and_the_second_does_not(files, instance):
    assert told(run(files.config, instance, only=ASSETS)) == BOTH
    assert told(run(files.config, instance, only=ASSETS)) == []


def test_a_plan_shows_a_new_column_and_leaves_it_to_the_run(files, instance):
    for _ in range(2):
        with duckdb.connect(str(files.warehouse)) as connection:
            lines = plan_of(opened(files, connection)).lines
        assert "new column: 2025-02-11.parquet: browser (noted; map it in sources.yaml if it is wanted)" in lines
    assert told(run(files.config, instance, only=ASSETS)) == BOTH
    assert told(run(files.config, instance, only=ASSETS)) == []


def test_what_a_run_published_and_did_not_live_to_tell_is_told_by_the_next(files, instance):
    # killed between the commit and the check: the rows and the schema are recorded, the evaluation is not
    with duckdb.connect(str(files.warehouse)) as connection:
        session = opened(files, connection)
        assert date.fromisoformat(DAY) in session.load_events().outcome.made
        assert session.make("subscriptions").state == "made"
    assert told(run(files.config, instance, only=ASSETS)) == BOTH
    assert told(run(files.config, instance, only=ASSETS)) == []
