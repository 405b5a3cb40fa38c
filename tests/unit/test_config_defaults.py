"""The default config (a helpdesk vendor) as it stands in `assets_config`: whole, without a problem."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from milestones_dagster.config.loader import check_config, load_config
from milestones_dagster.config.schemas import schemas

FOLDER = Path(__file__).parents[2] / "assets_config"
FILES = ("framework", "sources", "tracking_plan", "warehouse", "alerts")


def test_it_has_no_problem_not_even_a_warning() -> None:
    assert [str(problem) for problem in check_config(FOLDER, {})] == []


def test_it_declares_the_whole_framework() -> None:
    config = load_config(FOLDER, {})
    framework = config.framework
    assert len(framework.setup.steps) == 7
    assert str(framework.activation.window) == "3 months"
    assert framework.usage.entity == "conversation_id"
    assert (len(framework.maturity.categories), framework.maturity.mature_categories) == (5, 3)
    assert len(framework.features.catalogue) >= 50
    assert framework.outcomes.retention.basis == "subscriptions"
    assert config.fallbacks == ()


@pytest.mark.parametrize("name", FILES)
def test_editors_find_the_schema_and_it_holds(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema=schemas/{name}.schema.json\n")
    jsonschema.validate(yaml.safe_load(text), schemas()[name])
