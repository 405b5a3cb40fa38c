"""Early cutoff: rows that come out the same are no new state, so that what reads them is not made again.

Put here how two sets of rows are compared and what the state of a table is. Keep out what is made of it (`publish.py`) and where
two states differ (`increments.py`).
"""

from collections.abc import Iterable

from sqlglot import exp

from milestones_dagster.warehouse import changes, operations
from milestones_dagster.warehouse.duckdb import Warehouse


def signature(warehouse: Warehouse, rows: exp.Query) -> str:
    """Number and sum of hashes of rows, whatever their order; equal rows have equal signatures. One scan of them."""
    hashed = exp.cast(exp.Anonymous(this="hash", expressions=[exp.column("held")]), "HUGEINT")
    summed = exp.select(exp.Count(this=exp.Star()), exp.Sum(this=hashed)).from_(rows.subquery("held"))
    return " ".join(str(value) for value in warehouse.rows(summed)[0])


def states(warehouse: Warehouse, tables: Iterable[str]) -> list[str]:
    """The state of each of the published ones of `tables`; of tables by day, what they were made from."""
    numbers, publications = changes.versions(warehouse), operations.publications(warehouse)
    return [
        f"{name}:{numbers[name] if name in numbers else publications[name].signature}" for name in tables if name in publications
    ]
