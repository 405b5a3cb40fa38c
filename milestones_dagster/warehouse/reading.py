"""What a table reads: which columns of a relation its SELECT names, and which parts of the framework its `then:` function.

Put here what follows from a text alone. Keep out what is made of it (`publish.py`, `increments.py`).
"""

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from milestones_dagster.warehouse.table import Relation, relation_of

_PACKAGE = Path(__file__).parents[1]
_FRAMEWORK = "framework"
EVERYTHING = ("",)
"""Stands for the whole framework, where what becomes of it cannot be followed."""


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


@cache
def framework_read(function: str) -> frozenset[tuple[str, ...]]:
    """The parts of its argument `framework` that a function of this package may read, by path, such as `("usage", "seats")`.

    Functions that it gives the framework to are followed, by whatever name they are imported; a part that is read through a
    variable counts whole, and what cannot be followed counts as `EVERYTHING`.

    Args:
        function: Its name with its module's, such as `evidence.chain.measure`.
    """
    return frozenset(_paths(function, set()))


def _paths(function: str, seen: set[str]) -> Iterator[tuple[str, ...]]:
    if function in seen:
        return
    seen.add(function)
    module, _, name = function.rpartition(".")
    tree = _parsed(module)
    defined = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)
    if defined is None:
        yield EVERYTHING
        return
    names = {node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)} | _imported(tree)
    parents = {child: node for node in ast.walk(defined) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(defined):
        if isinstance(node, ast.Name) and node.id == _FRAMEWORK:
            yield from _use(node, parents, names, seen)


def _use(node: ast.Name, parents: dict[ast.AST, ast.AST], names: dict[str, str], seen: set[str]) -> Iterator[tuple[str, ...]]:
    """What one mention of the framework reads of it."""
    parent = parents[node]
    if isinstance(parent, ast.Attribute):
        above = parents[parent]
        yield (parent.attr, above.attr) if isinstance(above, ast.Attribute) else (parent.attr,)
        return
    if isinstance(parent, ast.keyword):
        parent = parents[parent]
    if isinstance(parent, ast.Call) and parent.func is not node and (called := _called(parent.func, names)) is not None:
        yield from _paths(called, seen)
    elif not isinstance(parent, ast.Delete):
        yield EVERYTHING


def _called(function: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(function, ast.Name):
        return names.get(function.id)
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in names:
        return f"{names[function.value.id]}.{function.attr}"
    return None


def _imported(tree: ast.Module) -> dict[str, str]:
    """What a module imports from this package, by the name that it has there."""
    prefix = f"{_PACKAGE.name}."
    return {
        alias.asname or alias.name: f"{node.module.removeprefix(prefix)}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(prefix)
        for alias in node.names
    }


@cache
def _parsed(module: str) -> ast.Module:
    return ast.parse(_PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8"))
