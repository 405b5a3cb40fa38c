"""Fixtures of the orchestration tests: Dagster instances of both kinds, and a receiver of alerts."""

import tempfile
from collections.abc import Iterator

import dagster as dg
import pytest
from alert_world import Receiver, receivers

_QUIET = {"telemetry": {"enabled": False}}


@pytest.fixture(params=["ephemeral", "sqlite"])
def instance(request: pytest.FixtureRequest) -> Iterator[dg.DagsterInstance]:
    """Yield an instance in memory, then one on files of SQLite, as a company runs it."""
    if request.param == "ephemeral":
        with dg.DagsterInstance.ephemeral(settings=_QUIET) as made:
            yield made
        return
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder, overrides=_QUIET) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield one receiver of alerts, up."""
    with receivers(1) as (opened,):
        yield opened
