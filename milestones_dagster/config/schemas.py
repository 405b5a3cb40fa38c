"""JSON Schemas of the config files, for editors that complete and check YAML while it is written.

Put here how the models' schemas are named and made friendly to `${NAME}`. Keep out the grammar.
"""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from milestones_dagster.config.alerts import Alerts
from milestones_dagster.config.base import Model
from milestones_dagster.config.duration import Duration
from milestones_dagster.config.framework import Framework
from milestones_dagster.config.quality import TableQuality
from milestones_dagster.config.sources import Sources
from milestones_dagster.config.tracking_plan import TrackingPlan
from milestones_dagster.config.warehouse import Warehouse

MODELS: dict[str, type[Model]] = {
    "framework": Framework,
    "sources": Sources,
    "tracking_plan": TrackingPlan,
    "warehouse": Warehouse,
    "alerts": Alerts,
    "quality": TableQuality,
}
_VARIABLE = {"type": "string", "pattern": r"\$\{"}
# where a schema holds schemas: by name, as a list, alone
_BY_NAME = {"properties", "patternProperties", "$defs"}
_LISTED = {"anyOf", "oneOf", "allOf", "prefixItems"}
_SINGLE = {"items", "additionalProperties"}


class _Generator(GenerateJsonSchema):
    """Writes a default duration as the config would."""

    def encode_default(self, dft: Any) -> Any:
        return str(dft) if isinstance(dft, Duration) else super().encode_default(dft)


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every config file, by the file's name without suffix (`quality`: of each table's)."""
    made: dict[str, dict[str, Any]] = {}
    for name, model in MODELS.items():
        schema = model.model_json_schema(schema_generator=_Generator) | {"title": f"{name}.yaml"}
        made[name] = {"$schema": "http://json-schema.org/draft-07/schema#", **_lenient(schema)}
    return made


def write_schemas(folder: Path) -> list[Path]:
    """Write `<file>.schema.json` for every config file into the folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name, schema in schemas().items():
        path = folder / f"{name}.schema.json"
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _lenient(node: Any) -> Any:
    """Let `${NAME}` stand where a number, true or false, or a text of a given form is asked for."""
    if not isinstance(node, dict):
        return node
    made = dict(node)
    for key in _BY_NAME & made.keys():
        made[key] = {name: _lenient(value) for name, value in made[key].items()}
    for key in _LISTED & made.keys():
        made[key] = [_lenient(value) for value in made[key]]
    for key in _SINGLE & made.keys():
        made[key] = _lenient(made[key])
    kind = made.get("type")
    is_restricted = kind in ("number", "integer", "boolean") or (kind == "string" and "pattern" in made)
    if not is_restricted:
        return made
    outer = {key: made.pop(key) for key in ("title", "description", "default") if key in made}
    return {**outer, "anyOf": [made, dict(_VARIABLE)]}
