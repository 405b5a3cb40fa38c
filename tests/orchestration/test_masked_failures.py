"""A failed run holds no value of a row: not in Dagster's history, not in the sentence that is printed and sent."""

from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml
from deliveries import Deliveries, company, run
from scenario import write_yaml

from milestones_dagster.config.loader import load_config
from milestones_dagster.config.masking import as_written
from milestones_dagster.orchestration.errors import guarded, sentence, telling, without_values
from milestones_dagster.orchestration.jobs import QUIET
from milestones_dagster.wiring import build_defs

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


# --- the environment ------------------------------------------------------------------------------------------------

TOKEN = "s3cr3t-t0ken"  # noqa: S105 - nobody's
OURS = {TOKEN: "${WAREHOUSE_TOKEN}"}


class TwoPartsError(Exception):
    """Its words are not its arguments."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def __str__(self) -> str:
        return f"refused: {self.token}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError(f"no such bucket: s3://{TOKEN}@host"), ValueError),
        (FileNotFoundError(2, "No such file", f"/mnt/{TOKEN}/events"), FileNotFoundError),
        (duckdb.IOException(f"IO Error: cannot open https://{TOKEN}/x"), duckdb.IOException),
        (dg.Failure(f"refused {TOKEN}", {"recovery": "none"}, allow_retries=False), dg.Failure),
        (TwoPartsError(TOKEN), RuntimeError),
    ],
)
def test_what_came_from_the_environment_is_told_as_the_config_says_it(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught, without_values(OURS):
        raise error from OSError(f"connection with {TOKEN} lost")
    links = [caught.value, caught.value.__cause__]
    assert all(TOKEN not in f"{link}{getattr(link, 'description', '')}" for link in links)
    assert "${WAREHOUSE_TOKEN}" in (getattr(caught.value, "description", None) or str(caught.value))


def test_a_short_word_or_a_number_is_no_secret() -> None:
    environment = {"two": "${A}", "2026": "${YEAR}", "twofold": "${B}"}
    assert as_written("two of 2026 are twofold", environment) == "two of 2026 are ${B}"


def test_a_guarded_step_is_a_step_like_any_other() -> None:
    @dg.multi_asset(specs=[dg.AssetSpec("users")])
    @guarded(OURS)
    def users(context: dg.AssetExecutionContext):
        yield dg.MaterializeResult(asset_key="users", metadata={"run": context.run.run_id})
        raise ValueError(TOKEN)

    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        job = dg.Definitions(assets=[users], jobs=[dg.define_asset_job("daily")]).resolve_job_def("daily")
        ended = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
        kept = "".join(str(entry) for entry in instance.all_logs(ended.run_id))
    assert TOKEN not in kept
    assert "${WAREHOUSE_TOKEN}" in kept


def test_a_run_keeps_no_value_of_the_environment(tmp_path: Path) -> None:
    folder = tmp_path / TOKEN
    folder.mkdir()
    files = Deliveries(folder, company())
    sources = yaml.safe_load((files.config / "sources.yaml").read_text(encoding="utf-8"))
    sources["events"][0]["path"] = "${DATA_FOLDER}/events/*.parquet"
    sources["subscriptions"]["path"] = "${DATA_FOLDER}/none.parquet"
    write_yaml(files.config / "sources.yaml", sources)
    write_yaml(files.config / "warehouse.yaml", {"path": "${PLACE}/warehouse.duckdb"})
    for path in (folder / "data" / "events").iterdir():
        path.unlink()
    environ = {"DATA_FOLDER": str(folder / "data"), "PLACE": str(folder)}
    config = load_config(files.config, environ)
    assert config.environment == {str(folder / "data"): "${DATA_FOLDER}", str(folder): "${PLACE}"}
    assert TOKEN not in repr(config.environment.values())
    definitions = build_defs(files.config, environ=environ)
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        for table in ("raw_events", "subscriptions"):
            ended = run(definitions, instance, only=[table])
            assert "${DATA_FOLDER}/" in ended.failed[table]
            assert TOKEN not in "".join(map(str, instance.all_logs(ended.run_id)))
        files.warehouse.unlink()
        files.warehouse.write_text("not a database", encoding="utf-8")
        broken = run(definitions, instance, only=["subscriptions"])
        assert "${PLACE}/warehouse.duckdb cannot be opened as a warehouse: " in broken.error()
        assert TOKEN not in broken.error()
