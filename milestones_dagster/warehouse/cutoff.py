"""Early cutoff: rows that come out the same are no new state, so that what reads them is not made again.

Put here how two sets of rows are compared and what the state of a table is. Keep out what is made of it (`publish.py`) and where
two states differ (`increments.py`).
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from sqlglot import exp

from milestones_dagster.warehouse import changes, operations
from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.table import EVENTS, Table


def signature(warehouse: Warehouse, rows: exp.Query) -> str:
    """Number and sum of hashes of rows, whatever their order; equal rows have equal signatures. One scan of them."""
    summed = exp.select(exp.Count(this=exp.Star()), exp.Sum(this=row_hash("held"))).from_(rows.subquery("held"))
    return " ".join(str(value) for value in warehouse.rows(summed)[0])


def row_hash(relation: str) -> exp.Expr:
    """The hash of a whole row of a relation, in a type in which the sum of any number of them fits."""
    return exp.cast(exp.Anonymous(this="hash", expressions=[exp.column(relation)]), "HUGEINT")


def states(warehouse: Warehouse, tables: Iterable[str]) -> list[str]:
    """The state of each of the published ones of `tables`; of tables by day, what they were made from."""
    numbers, publications = changes.versions(warehouse), operations.publications(warehouse)
    return [
        f"{name}:{numbers[name] if name in numbers else publications[name].signature}" for name in tables if name in publications
    ]


def remember_inputs(warehouse: Warehouse, table: Table) -> None:
    """Records of which states of what it reads the published rows of a table are."""
    operations.record_inputs(warehouse, table.name, _inputs(_all_states(warehouse), table))


def current(warehouse: Warehouse, tables: Mapping[str, Table]) -> set[str]:
    """The published ones of `tables` (dependencies first) that are made of what is published now, as is all that they read.

    The others were refused, or not reached, when something above them was made again.
    """
    states, recorded = _all_states(warehouse), operations.inputs_recorded(warehouse)
    found = {EVENTS}
    for name, table in tables.items():
        if name in recorded and recorded[name] in {None, _inputs(states, table)} and found.issuperset(_read(table)):
            found.add(name)
    return found


def _all_states(warehouse: Warehouse) -> dict[str, str]:
    numbers = changes.versions(warehouse)
    found = {name: publication.signature for name, publication in operations.publications(warehouse).items()}
    found |= {name: str(number) for name, number in numbers.items()}
    return found | {EVENTS: " ".join(value for _, value in sorted(operations.published_days(warehouse).items()))}


def _inputs(states: Mapping[str, str], table: Table) -> str:
    return sha256("\n".join(f"{name}:{states.get(name)}" for name in _read(table)).encode()).hexdigest()[:16]


def _read(table: Table) -> list[str]:
    return sorted(set(table.dependencies) - set(table.unread) - {table.name})
