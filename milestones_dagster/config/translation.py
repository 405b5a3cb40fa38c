"""From pydantic's refusals to plain sentences: found this, expected that, at this line.

Put here how a model's JSON Schema says what a key may be. Keep out the grammar: it is the models', and the wording of
a single value stands there too (`x-expected`).
"""

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from milestones_dagster.config.base import NAME_EXPECTED, Model, expects
from milestones_dagster.config.document import Document
from milestones_dagster.config.problems import Path, Problem, closest, key_text, shown

_Model = TypeVar("_Model", bound=Model)
_Node = dict[str, Any]

# above this, an upper bound only catches slips of the pen; it is named when it is broken
_TELLING_BOUND = 1_000_000
_PLAIN_TYPES = {"string": "text", "boolean": "true or false", "object": "keys and their values", "array": "a list"}


def validated(model: type[_Model], document: Document) -> tuple[_Model | None, list[Problem]]:
    """Return the document as the model, or None, and what the model refuses."""
    try:
        return model.model_validate(document.data), []
    except ValidationError as error:
        schema = _Schema(model.model_json_schema())
        told = {problem.key for problem in document.problems}
        problems = [_problem(details, schema, document) for details in error.errors(include_url=False)]
        # a value that could not be read (an unset variable) is told once
        return None, [problem for problem in problems if problem and problem.key not in told]


class _Schema:
    """A model's JSON Schema, walked by the place of an error."""

    def __init__(self, root: _Node) -> None:
        self._definitions: dict[str, _Node] = root.get("$defs", {})
        self.root = root

    def resolved(self, node: _Node) -> _Node:
        """Return the node with its reference followed and `null` left out of its alternatives."""
        if "$ref" in node:
            target = self._definitions[node["$ref"].rsplit("/", 1)[-1]]
            return self.resolved(target) | {key: value for key, value in node.items() if key.startswith("x-")}
        options = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) == 1:
            return self.resolved(options[0]) | {key: value for key, value in node.items() if key.startswith("x-")}
        return node

    def walk(self, place: tuple[str | int, ...]) -> Iterator[tuple[str | int | None, _Node]]:
        """Yield each step of an error's place with the node it leads to; None for a step that is no key of the file."""
        node = self.resolved(self.root)
        for part in place:
            if "discriminator" in node:
                node = self.resolved({"$ref": node["discriminator"]["mapping"][part]})
                yield None, node
            elif part == "[key]":
                yield None, {"type": "string", **expects(NAME_EXPECTED)}
            else:
                node = self.resolved(self._child(node, part))
                yield part, node

    @staticmethod
    def _child(node: _Node, part: str | int) -> _Node:
        if isinstance(part, int):
            found = node.get("items", {})
        else:
            patterns = [*node.get("patternProperties", {}).values(), node.get("additionalProperties", {})]
            found = node.get("properties", {}).get(part, patterns[0])
        return found if isinstance(found, dict) else {}


def _problem(details: ErrorDetails, schema: _Schema, document: Document) -> Problem | None:
    place, kind, context = details["loc"], details["type"], details.get("ctx", {})
    node, above = schema.resolved(schema.root), schema.root
    path: Path = ()
    for part, reached in schema.walk(place):
        node, above = reached, node
        path = path if part is None else (*path, part)
    found: str | None = None
    known: tuple[str, ...] = ()
    name: object = document.value(path)
    # pydantic counts the good items alone; the bad ones are told one by one
    if kind == "too_short" and isinstance(name, list) and len(name) >= context["min_length"]:
        return None
    if kind == "extra_forbidden":
        known, name, found = tuple(above.get("properties", {})), path[-1], "an unknown key"
        expected = f"one of {', '.join(known)}"
    elif kind in {"union_tag_invalid", "union_tag_not_found"}:
        path = (*path, node["discriminator"]["propertyName"])
        known, name = tuple(node["discriminator"]["mapping"]), document.value(path)
        expected = f"one of {', '.join(known)}"
    elif kind == "refused":
        path = path if context["key"] is None else (*path, context["key"])
        known, found, expected = tuple(context["known"]), context["found"], context["expected"]
        name = document.value(path)
    elif place[-1:] == ("[key]",):
        found = shown(str(path[-1]))
        expected = _expected(node, path[-1]) if kind == "string_pattern_mismatch" else "text as the key"
    else:
        choices = node.get("enum", [node["const"]] if "const" in node else [])
        known, expected = tuple(str(choice) for choice in choices), _expected(node, name)
    return Problem(
        severity="error",
        file=document.file,
        line=document.line(path),
        key=key_text(path),
        found=found or shown(document.written.get(path, document.value(path))),
        expected=expected,
        closest=closest(name, known) if isinstance(name, str) else (),
    )


def _expected(node: _Node, value: object) -> str:
    if "x-expected" in node:
        sentence = str(node["x-expected"])
    elif "enum" in node:
        sentence = f"one of {', '.join(str(each) for each in node['enum'])}"
    elif "const" in node:
        sentence = str(node["const"])
    elif node.get("type") in {"number", "integer"}:
        sentence = _number(node, value)
    elif node.get("type") == "array" and node.get("minItems"):
        is_longer = isinstance(value, list) and len(value) > node.get("maxItems", len(value))
        sentence = f"a list of at most {node['maxItems']}" if is_longer else f"a list of at least {node['minItems']}"
    else:
        sentence = _PLAIN_TYPES.get(str(node.get("type", "object")), "another value")
    is_unquoted = node.get("type") == "string" and isinstance(value, int | float)
    return f"{sentence}, in quotes" if is_unquoted else sentence


def _number(node: _Node, value: object) -> str:
    kind = "a whole number" if node["type"] == "integer" else "a number"
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    is_exceeded = isinstance(value, int | float) and high is not None and value > high
    if high is not None and high >= _TELLING_BOUND and not is_exceeded:
        high = None
    if low is not None and high is not None:
        return f"{kind} from {low:.12g} to {high:.12g}"
    bounds = [(">", above), ("≥", low), ("<", below), ("≤", high)]
    said = [f"{sign} {bound:.12g}" for sign, bound in bounds if bound is not None]
    return f"{kind} {' and '.join(said)}" if said else kind
