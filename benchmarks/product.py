"""The product as it is measured: the job of `milestones run` in this process, every table timed, its gate apart, on or off.

Put here how a run is timed. Keep out which runs are made (`parts.py`).
"""

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field
from sqlglot import exp

from benchmarks.measuring import Spent, spending
from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.assets import SERVING, build_assets
from milestones_dagster.orchestration.jobs import build_job
from milestones_dagster.orchestration.resources import MilestonesWarehouse
from milestones_dagster.orchestration.running import StepDone, dagster_home, run_graph
from milestones_dagster.orchestration.session import Declared, RawPublishing, Session
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.warehouse.gate import Audit
from milestones_dagster.warehouse.publish import Publishing
from milestones_dagster.warehouse.table import Table

LIBRARIES = (
    "great_expectations",
    "duckdb_sqlalchemy",
    "scipy.stats",
    "sklearn.ensemble",
    "statsmodels.api",
    "lifelines",
    "matplotlib.pyplot",
)


class TimedSession(Session):
    """A session that writes what every table took, its gate apart, as a line of a file; without gates every rule passes unasked."""

    timings: Path
    is_gated: bool = True
    _gate: Spent

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._audit, self._audit_made = self._timed(self._audit), self._timed(self._audit_made)

    def load_events(
        self,
        only: Iterable[date] | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> RawPublishing:
        """The events, timed."""
        self._gate = Spent()
        with spending() as spent:
            made = super().load_events(only, progress)
        self._note(
            "raw_events", spent, sum(rows for rows, _ in made.outcome.made.values()), "refused" if made.is_refused else "made"
        )
        return made

    def make(self, name: str) -> Publishing[RuleResult]:
        """One table, timed."""
        self._gate = Spent()
        with spending() as spent:
            made = super().make(name)
        self._note(name, spent, made.row_count, made.state)
        return made

    def _timed(self, audit: Audit[RuleResult]) -> Audit[RuleResult]:
        def timed(table: Table, relation: exp.Table) -> Sequence[RuleResult]:
            if not self.is_gated:
                return [
                    RuleResult(rule, passed=True, errored=None, unexpected_count=0, total_count=0, share=None, bound=rule.bound)
                    for rule in self.declared.suites[table.name]
                ]
            with spending() as spent:
                results = audit(table, relation)
            self._gate.add(spent)
            return results

        return timed

    def _note(self, name: str, spent: Spent, rows: int, state: str) -> None:
        line = {
            "table": name,
            **asdict(spent),
            "gate_wall_s": self._gate.wall_s,
            "gate_cpu_s": self._gate.cpu_s,
            "rows": rows,
            "state": state,
        }
        with self.timings.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class TimedWarehouse(MilestonesWarehouse):
    """The product's resource with a timed session."""

    timings: str = Field(description="File that gets a line per table.")
    is_gated: bool = Field(default=True, description="Whether rules are asked.")

    def session(self, declared: Declared) -> Session:
        """The run's timed session, begun at the first asset that asks."""
        if self._session is None and self._connection is not None:
            session = TimedSession(declared, self._connection, Path(self.folder), self._run_id)
            session.timings, session.is_gated = Path(self.timings), self.is_gated
            self._session = session
        return super().session(declared)


def import_everything() -> Spent:
    """Import what any run uses, so that it is not counted in one; return what that took."""
    import milestones_dagster

    with spending() as spent:
        for name in LIBRARIES:
            importlib.import_module(name)
        for found in pkgutil.walk_packages(milestones_dagster.__path__, "milestones_dagster."):
            if not found.name.endswith(".definitions"):  # it wires the company of the current folder
                importlib.import_module(found.name)
    return spent


def run_product(config_dir: Path, warehouse: Path, *, is_gated: bool = True) -> dict[str, Any]:
    """Run the whole job on a warehouse, new or not, and return what it took: whole, by table, the serving copy and the rest.

    Returns:
        `run` and `imports` (wall_s, cpu_s, peak_mb), `tables` (the lines of `TimedSession`), `serving_s`, `rest_s` (the run's wall
        seconds that are neither a table's nor the serving copy's: Dagster, metadata, plots), `refused` (tables; what follows them
        is not made).

    Raises:
        RuntimeError: a step failed otherwise than by a refused table.
    """
    imports = import_everything()
    timings = warehouse.with_suffix(".timings.jsonl")
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    timings.unlink(missing_ok=True)
    steps: dict[str, StepDone] = {}
    declared = Declared.of(load_config(config_dir))
    assets = build_assets(declared, [])
    resource = _resource(declared, warehouse, timings, is_gated=is_gated)
    definitions = dg.Definitions(
        assets=assets, jobs=[build_job(assets)], resources={"milestones_warehouse": resource}, executor=dg.in_process_executor
    )
    home = dagster_home(warehouse)
    with spending() as spent:
        done = run_graph(definitions, home, lambda step: steps.update({step.table: step}), lambda _: None, lambda _: None)
    tables = [json.loads(line) for line in timings.read_text(encoding="utf-8").splitlines()]
    refused = [line["table"] for line in tables if line["state"] == "refused"]
    failed = [f"{step.table}: {step.error}" for step in done.steps if not step.is_success and step.table not in refused]
    if failed or done.error:
        raise RuntimeError("; ".join([*failed, *filter(None, [done.error])]))
    serving = steps[SERVING].seconds if SERVING in steps else 0.0
    return {
        "run": asdict(spent),
        "imports": asdict(imports),
        "tables": tables,
        "serving_s": serving,
        "rest_s": spent.wall_s - sum(line["wall_s"] for line in tables) - serving,
        "refused": refused,
    }


def _resource(declared: Declared, warehouse: Path, timings: Path, *, is_gated: bool) -> TimedWarehouse:
    limits = declared.config.warehouse
    settings = {"memory_limit": limits.memory_limit, "threads": limits.threads}
    return TimedWarehouse(
        database=str(warehouse),
        folder=str(warehouse.with_suffix("")),
        lock_timeout_seconds=limits.lock_timeout.seconds,
        connection_config={name: str(value) for name, value in settings.items() if value is not None},
        timings=str(timings),
        is_gated=is_gated,
    )
