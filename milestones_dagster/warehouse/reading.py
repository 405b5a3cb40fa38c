"""Which columns of a relation a SELECT reads.

Put here what follows from the text of a SELECT alone. Keep out what is made of it (`publish.py`, `increments.py`).
"""

from collections.abc import Collection, Iterator

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from milestones_dagster.warehouse.table import Relation, relation_of


def columns_read(select: exp.Query, relation: Relation, known: Collection[str]) -> set[str]:
    """Those of the columns `known` of `relation` that `select` reads; all of them where it does not name them."""
    return {name for found in _read(select, relation, known) for name in found}


def _read(select: exp.Query, relation: Relation, known: Collection[str]) -> Iterator[Collection[str]]:
    for scope in traverse_scope(select):
        for alias, node in scope.sources.items():
            if isinstance(node, exp.Table) and relation_of(node) == relation:
                named = {column.name for column in scope.columns if column.table == alias}
                yield named if named <= set(known) and not _is_open(scope, alias) else known


def _is_open(scope: Scope, alias: str) -> bool:
    """Whether a scope takes columns of `alias` that it does not name: a star of it, or a column without its relation."""
    items = scope.expression.selects if isinstance(scope.expression, exp.Query) else []
    stars = [item for item in items if item.is_star]
    return any(not isinstance(item, exp.Column) or item.table == alias for item in stars) or any(
        not column.table for column in scope.columns
    )
