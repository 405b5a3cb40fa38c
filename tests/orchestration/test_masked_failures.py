"""A failed run holds no value of a row: not in Dagster's history, not in the sentence that is printed and sent."""

import dagster as dg
import duckdb
import pytest

from milestones_dagster.orchestration.errors import sentence, telling, without_values
from milestones_dagster.orchestration.jobs import QUIET

ADDRESS = "ada.l@example.org"


@pytest.mark.parametrize("is_guarded", [True, False])
def test_the_value_that_ends_a_run_is_not_told(is_guarded):
    def convert() -> None:
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE users AS SELECT ? AS name", [ADDRESS])
            connection.execute("SELECT CAST(name AS INTEGER) FROM users").fetchall()

    @dg.asset
    def users() -> None:
        if not is_guarded:
            convert()
        with without_values():
            convert()

    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        job = dg.Definitions(assets=[users], jobs=[dg.define_asset_job("daily")]).resolve_job_def("daily")
        run = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
        (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        kept = "".join(str(entry) for entry in instance.all_logs(run.run_id))
    error = failure.dagster_event.step_failure_data.error
    assert telling(error).cls_name == "ConversionException"
    said = sentence(error)
    assert said.startswith("ConversionException: Conversion Error: Could not convert string '…")
    assert "ada" not in said
    # the guard of the assets keeps it out of the history too, and the place in the code in it
    assert (ADDRESS in kept) == (not is_guarded)
    assert "in convert" in error.to_string()


def test_an_error_that_quotes_no_value_is_left_as_it_is():
    with pytest.raises(duckdb.BinderException) as caught, without_values(), duckdb.connect() as connection:
        connection.execute("SELECT missing FROM range(1)")
    assert '"missing" not found' in str(caught.value)
