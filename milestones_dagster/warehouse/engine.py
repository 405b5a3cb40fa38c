"""The engine port: what makes, audits and publishes the tables after raw_events.

Put here what an engine promises and the embedded one. Keep out how another one does it (`spark.py`). Whatever the engine, the
landing of events (`days.py`), the `operations` tables and the config and run relations are in the embedded control file, and a
published table can be read there under its name: who shows, draws or serves rows asks the same of every engine.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.gate import Audit, Result
from milestones_dagster.warehouse.publish import Inputs, Publishing, make
from milestones_dagster.warehouse.table import Table


class Engine(Protocol):
    """What makes tables."""

    def make(
        self,
        table: Table,
        inputs: Inputs,
        audit: Audit[Result],
        on_commit: Callable[[], None] | None = None,
    ) -> Publishing[Result]:
        """Brings `table` up to date behind its gate.

        The promise: the rows are made aside and take the table's name, with what `on_commit` records, in one step of the control
        file, and only when no blocking rule fails. Refused, raised or killed before that step, the published rows are as they were.
        """

    def facts(self, table: str) -> Mapping[str, str]:
        """What this engine tells of the last making of a table, by name, for the run's metadata; may be nothing."""

    def close(self) -> None:
        """Lets go of what the engine holds besides the control file."""


class Embedded:
    """DuckDB, in the control file itself."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def make(
        self,
        table: Table,
        inputs: Inputs,
        audit: Audit[Result],
        on_commit: Callable[[], None] | None = None,
    ) -> Publishing[Result]:
        """Brings `table` up to date in one transaction of the file."""
        return make(self.warehouse, table, inputs, audit, on_commit)

    def facts(self, table: str) -> Mapping[str, str]:  # noqa: ARG002 - the port's signature
        """Nothing: the run's metadata have all that there is."""
        return {}

    def close(self) -> None:
        """The connection is the caller's."""
