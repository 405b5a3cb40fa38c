"""The grammar itself: durations and windows, defaults, and that every number says what it is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from test_config_world import FRAMEWORK, SOURCES, TRACKING_PLAN

from milestones_dagster.config.duration import DayDuration, Duration, ShortDuration, Window
from milestones_dagster.config.framework import FeatureRanking, Framework
from milestones_dagster.config.schemas import MODELS, schemas, write_schemas
from milestones_dagster.config.sources import AccountSource, format_of


@pytest.mark.parametrize(
    ("text", "months", "seconds"),
    [
        ("90 d", 0, 7_776_000),
        ("90d", 0, 7_776_000),
        ("24 h", 0, 86_400),
        ("1 month", 1, 0),
        (" 3 months ", 3, 0),
        ("120 months", 120, 0),
    ],
)
def test_durations(text: str, months: int, seconds: int) -> None:
    duration = Duration.parse(text)
    assert (duration.months, duration.seconds) == (months, seconds)


@pytest.mark.parametrize("text", ["", "3", "d", "0 d", "0 months", "-1 d", "1.5 d", "3 m", "60 s", "3 d 4 h", "121 months"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        Duration.parse(text)


def test_durations_keep_their_text_and_compare_by_length() -> None:
    assert str(Duration.parse("24  h")) == "24 h"
    assert str(Duration(months=3)) == "3 months"
    assert str(Duration(seconds=7 * 86_400)) == "7 d"
    assert str(Duration(seconds=5_400)) == "90 min"
    assert Duration.parse("24 h") == Duration.parse("1 d")
    assert DayDuration.parse("90 d").days == 90
    assert ShortDuration.parse("5 min").seconds == 300


@pytest.mark.parametrize("months", [0, -1])
def test_a_duration_has_exactly_one_part(months: int) -> None:
    with pytest.raises(ValueError, match="1 to 120 months, or 1 second to 3660 days"):
        Duration(months=months)
    with pytest.raises(ValueError, match="1 to 120 months, or 1 second to 3660 days"):
        Duration(months=1, seconds=1)


def test_windows() -> None:
    window = Window.parse("[181d, 366d)")
    assert (window.start.seconds, window.end.seconds) == (181 * 86_400, 366 * 86_400)
    assert str(window) == "[181 d, 366 d)"
    for text in ("(181d, 366d)", "[366d, 181d)", "[181d, 181d)", "[6 months, 366d)", "181d"):
        with pytest.raises(ValueError, match=r"window|unit"):
            Window.parse(text)


def test_the_default_horizon_is_there_only_without_a_window() -> None:
    framework = Framework.model_validate(yaml.safe_load(FRAMEWORK))
    assert framework.outcomes.retention.horizon == Duration(months=3)
    retention = {"window": "[181d, 366d)"}
    framework = Framework.model_validate(yaml.safe_load(FRAMEWORK) | {"outcomes": {"retention": retention}})
    assert framework.outcomes.retention.horizon is None


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FeatureRanking().trees = 3  # type: ignore[misc]


def test_a_naive_extract_is_read_in_the_zone_of_its_source() -> None:
    source = {"path": "a.csv", "columns": {"account_id": "a"}, "time_zone": "Europe/Paris"}
    for text in ("2025-07-01T00:00:00", "2025-06-30T22:00:00Z"):
        extracted_at = TypeAdapter(AccountSource).validate_python(source | {"extracted_at": text}).extracted_at
        assert extracted_at == datetime(2025, 6, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.csv", "csv"),
        ("x/*.CSV.gz", "csv"),
        ("a.tsv.zst", "tsv"),
        ("2024.01/a.jsonl.bz2", "jsonl"),
        ("a.parquet", "parquet"),
        ("folder", None),
        ("a.gz", None),
        ("a.txt", None),
    ],
)
def test_format_of_a_path(path: str, found: str | None) -> None:
    assert format_of(path) == found


def numbers(node: Any, path: str, *, said: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every number of a schema with what the key around it says."""
    if isinstance(node, dict):
        said = {**said, **{key: node[key] for key in ("description", "x-unit") if isinstance(node.get(key), str)}}
        if node.get("type") in ("number", "integer"):
            yield path, {**said, **node}
        for key, value in node.items():
            inner = {} if key in {"properties", "$defs"} else said
            for name, child in value.items() if key in {"properties", "$defs"} else [(key, value)]:
                yield from numbers(child, f"{path}/{name}", said=inner)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from numbers(child, f"{path}/{index}", said=said)


@pytest.mark.parametrize("name", MODELS)
def test_every_number_has_a_unit_bounds_and_a_meaning(name: str) -> None:
    for path, said in numbers(schemas()[name], name, said={}):
        assert said.get("x-unit"), path
        assert said.get("description"), path
        assert {"minimum", "exclusiveMinimum"} & said.keys(), path
        assert {"maximum", "exclusiveMaximum"} & said.keys(), path


@pytest.mark.parametrize("name", MODELS)
def test_every_key_has_a_description(name: str) -> None:
    for schema in (schemas()[name], *schemas()[name].get("$defs", {}).values()):
        for key, node in schema.get("properties", {}).items():
            assert node.get("description"), f"{name} {key}"


def test_schemas_accept_the_good_config_and_variables_and_refuse_unknown_keys(tmp_path: Path) -> None:
    paths = write_schemas(tmp_path)
    assert sorted(path.name for path in paths) == sorted(f"{name}.schema.json" for name in MODELS)
    for name, text in (("framework", FRAMEWORK), ("sources", SOURCES), ("tracking_plan", TRACKING_PLAN)):
        jsonschema.validate(yaml.safe_load(text), schemas()[name])
    jsonschema.validate({"threads": "${CORES}", "path": "a.duckdb"}, schemas()["warehouse"])
    with pytest.raises(jsonschema.ValidationError, match="tread"):
        jsonschema.validate({"tread": 1}, schemas()["warehouse"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"threads": "four"}, schemas()["warehouse"])
