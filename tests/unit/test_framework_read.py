"""What of the framework a `then:` function reads, by its text, and that an edit of it makes the table again."""

from pathlib import Path

import pytest

from milestones_dagster.config.loader import load_config
from milestones_dagster.config.overrides import Override
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.warehouse.reading import EVERYTHING, framework_read
from milestones_dagster.warehouse.table import load_tables

CONFIG = Path(__file__).resolve().parents[2] / "assets_config"


@pytest.mark.parametrize(
    ("function", "paths"),
    [
        ("evidence.chain.measure", {("setup", "steps")}),
        ("evidence.revenue.revenue_retention", set()),
        ("evidence.placebo.activation", {("threshold_search",)}),
        # through functions of other modules, of config too
        (
            "evidence.areas.thresholds",
            {("areas",), ("features", "catalogue"), ("outcomes", "retention"), ("threshold_search",), ("usage", "seats")},
        ),
        ("evidence.chain.no_such_function", {EVERYTHING}),
    ],
)
def test_the_parts_are_those_that_the_function_and_what_it_calls_name(function, paths):
    assert framework_read(function) == paths


def test_every_function_can_be_followed():
    functions = [table.then for table in load_tables(config_relations=None).values() if table.then is not None]
    assert len(functions) > 15
    assert [function for function in functions if EVERYTHING in framework_read(function)] == []


def test_an_edited_title_is_an_edit_of_what_shows_it():
    config = load_config(CONFIG)
    before, step = Declared.of(config), config.framework.setup.steps[0].name
    override = Override.of(f"setup.steps.{step}.title=Another title")
    after = Declared.of(load_config(CONFIG, overrides=[override]))
    edited = {name for name in before.tables if before.function_config(name) != after.function_config(name)}
    assert edited == {"setup_step_evidence", "setup_step_placebo", "milestone_chain", "framework_watch"}
