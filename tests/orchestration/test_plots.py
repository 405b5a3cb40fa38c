"""The pictures of a real run: which tables have one, what is told where a chart fails, and that the table is published all the same."""

import importlib
import logging
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
from deliveries import Deliveries, Ran, company, run
from scenario import World, event, made_up_to, subscription

from milestones_dagster.charts import survival
from milestones_dagster.orchestration import plots
from milestones_dagster.orchestration.plots import plot_metadata
from milestones_dagster.warehouse import changes
from milestones_dagster.warehouse.table import load_tables
from milestones_dagster.wiring import build_defs

DRAWN = {
    "activation_threshold_curve",
    "usage_threshold_curve",
    "area_threshold_curve",
    "activation_survival",
    "feature_importance",
    "framework_review",
    "milestone_chain",
}
START = "](data:image/png;base64,"


def broken(tables: Mapping[str, Any]) -> None:
    raise KeyError(f"no such value: {tables['activation_survival'].iloc[0].to_dict()}")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The fortnight's company, run once: the chart of the survival curves raises."""
    files = Deliveries(tmp_path_factory.mktemp("plots"), company())
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(survival, "activation", broken)
        yield run(build_defs(files.config), instance)


def test_these_tables_have_a_chart_and_each_names_a_function_that_is_there() -> None:
    tables = load_tables(config_relations=None)
    assert {name for name, table in tables.items() if table.plot} == DRAWN
    assert not [name for name, table in tables.items() if table.plot_with and not table.plot]
    for table in tables.values():
        if table.plot:
            module, _, function = table.plot.rpartition(".")
            assert callable(getattr(importlib.import_module(f"milestones_dagster.{module}"), function)), table.name


def test_a_plot_is_a_small_picture_with_its_finding_as_its_text(ran: Ran) -> None:
    finding, _, address = ran.materialised()["milestone_chain"]["plot"].partition(START)
    assert finding == "![Too few accounts in every link of the chain: decides nothing"
    assert b64decode(address.removesuffix(")")).startswith(b"\x89PNG")
    assert len(finding) + len(address) < 100_000


def test_a_table_without_a_declared_chart_or_with_nothing_to_draw_has_no_plot(ran: Ran) -> None:
    # a fortnight has no whole month of usage, and nobody pays for the whole window of the benchmark
    assert ran.materialised()["usage_threshold_curve"]["dagster/row_count"] == 0
    for name in ("activation_threshold", "accounts", "usage_threshold_curve", "feature_importance"):
        assert not [key for key in ran.materialised()[name] if key.startswith("plot")], name


def test_a_chart_that_fails_is_a_warning_and_the_table_is_published(ran: Ran) -> None:
    assert ran.is_success
    made = ran.materialised()["activation_survival"]
    assert made["dagster/row_count"] > 0
    assert "plot" not in made
    # class and place, not the words: they quote a row
    fault = made["plot_fault"]
    assert fault.startswith(
        "activation_survival has no plot: charts.survival.activation failed with KeyError in test_plots.py, line "
    )
    assert "no such value" not in fault
    logged = [entry.user_message for entry in ran.instance.all_logs(ran.run_id) if entry.level == logging.WARNING]
    assert f"{fault}; the table itself is published" in logged


def test_a_picture_is_drawn_again_when_its_rows_or_its_code_differ_and_else_kept(tmp_path, monkeypatch) -> None:
    from matplotlib.figure import Figure

    drawn: list[int] = []

    def numbered(tables: Mapping[str, Any]) -> Figure | None:
        drawn.append(len(tables["activation_survival"]))
        return Figure(label=f"picture {len(drawn)}") if len(drawn) < 3 else None

    monkeypatch.setattr(survival, "activation", numbered)
    world = World([event("a", "started", "2025-01-11")], last_day="2025-09-10", subscriptions=[subscription("a", "2025-01-10")])
    with made_up_to(world, tmp_path, "activation_survival") as made:
        table = made.session.declared.tables["activation_survival"]

        def shown() -> str:
            return plot_metadata(made.session, table, logging.getLogger()).get("plot", dg.MetadataValue.md("nothing")).value[:12]

        assert [shown(), shown()] == ["![picture 1]"] * 2
        changes.record_version(made.session.warehouse, table.name, [])
        assert [shown(), shown()] == ["![picture 2]"] * 2
        monkeypatch.setattr(plots, "_code", lambda: "other code")
        assert [shown(), shown()] == ["nothing"] * 2
        assert len(drawn) == 3
