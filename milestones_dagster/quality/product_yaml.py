"""The grammar of `sql/<schema>/<table>.yaml`: the product's own invariants of a table, in great-expectations' form.

Put here the keys of that file and the wording of what is wrong with them. Keep out what needs the table's declaration
or the other origins of rules (`suites.py`).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from milestones_dagster.config.base import Model, Name, Number, Text
from milestones_dagster.config.plain_yaml import read_yaml


class ProductExpectation(Model):
    """One rule in `sql/<schema>/<table>.yaml`."""

    name: Name
    title: Text
    type: Text
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Literal["critical", "warning"] = "critical"
    bound: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    total: Text | None = None
    group_by: Name | None = None
    recovery: Text


class ProductSuite(Model):
    """All of one `sql/<schema>/<table>.yaml`."""

    expectations: tuple[ProductExpectation, ...] = ()


def read_product(path: Path, problems: list[str]) -> ProductSuite:
    """Return the product's rules of a table; what is wrong with the file is added to `problems`, one line each."""
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        problems.append(f"{path}: cannot be read: {str(error).splitlines()[0]}")
        return ProductSuite()
    try:
        return ProductSuite.model_validate(content or {})
    except ValidationError as error:
        problems.extend(_problem(path, content, detail["loc"], detail["msg"]) for detail in error.errors())
        return ProductSuite()


def _problem(path: Path, content: Any, place: tuple[int | str, ...], message: str) -> str:
    key = ".".join(str(part) for part in place)
    rule = ""
    if isinstance(content, dict) and place[:1] == ("expectations",) and len(place) > 1:
        entry = content["expectations"][place[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        rule = f" rule {name}:" if name else ""
    return f"{path}:{rule} {key}: {message}"
