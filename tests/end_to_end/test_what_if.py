"""`milestones what-if`: what it answers, that it leaves no trace, and how it says no.

The company is that of `deliveries`, with one required step: forty accounts pay from 29 January 2025 on and install, start and resolve
one conversation on two seats before February; one of them pays 900 a month, one 300, the others 100.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deliveries import LEAVING, STAYING, Deliveries, company
from scenario import merged, subscription, write_yaml
from test_command_line import Said, digest, held, milestones

from milestones_dagster.config.overrides import Override

STEPS: dict[str, Any] = {"setup": {"steps": [{"name": "install", "title": "Install", "events": ["installed"]}]}}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deliveries]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        world = company()
        world.framework = merged(world.framework, STEPS | {"usage": {"threshold": 0.5}})
        world.subscriptions = [
            {**row, "mrr": {STAYING[3]: 900.0, STAYING[5]: 300.0}.get(row["account_id"], 100.0)}
            # ten of those that left come back, so that more customers move than are named
            for row in [*(world.subscriptions or ()), *(subscription(account, "2025-01-25") for account in LEAVING[:10])]
        ]
        files = Deliveries(tmp_path_factory.mktemp("ran"), world, warehouse_settings={"lock_timeout": "1 s"})
        assert milestones("run", "--config", files.config).code == 0
        yield files


def asked(files: Deliveries, *settings: str) -> Said:
    return milestones("what-if", "--config", files.config, *(word for setting in settings for word in ("--set", setting)))


def table(said: Said, title: str) -> dict[str, str]:
    """The lines of the table below a title, by their first word."""
    start = next(number for number, line in enumerate(said.lines) if line.startswith(title)) + 2
    lines = said.lines[start : said.lines.index("", start)]
    return {line.split()[0]: line for line in lines}


def everything(files: Deliveries) -> dict[str, str]:
    """A hash of every file of the company: sources, config, warehouse, day files, serving copy, run history."""
    return {str(path): digest(path) for path in sorted(files.folder.rglob("*")) if path.is_file()}


def test_it_tells_how_reach_and_stages_would_change_and_leaves_no_trace(
    ran: Deliveries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = everything(ran)
    said = asked(ran, "usage.threshold=6")
    assert said.code == 0, said.text
    # warehouse, alerts and Dagster's history are as they were, and the copy is gone
    assert everything(ran) == before
    assert list(tmp_path.iterdir()) == []
    # one conversation on 2 seats for 17 of 31 days is 31 / 34: at least 0.5, not 6; the ten that left are in no reach
    reach = table(said, "Reach, January 2025")
    assert reach["usage"].split(maxsplit=1)[1].split() == [
        "0.5",
        "→",
        "6",
        "30",
        "of",
        "30",
        "→",
        "0",
        "of",
        "30",
        "100.0%",
        "→",
        "0.0%",
    ]
    # what does not change is told once
    assert reach["maturity"].split()[1:] == ["1", "0", "of", "30", "0.0%"]
    assert table(said, "Gaps in points")["usage"].split()[1:] == ["–", "interview"] * 2
    assert said.line("Stages,") == "Stages, January 2025: 30 of 40 customers would be in another"
    assert table(said, "Stages, ")["usage"].split() == ["usage", "activation", "30"]
    named = said.lines[said.lines.index("Who (the 20 with the largest MRR)") + 2 :][:20]
    assert [line.split()[:2] for line in named[:3]] == [[STAYING[3], "900"], [STAYING[5], "300"], ["leaves-00", "100"]]
    assert [line.split()[2:] for line in named] == [["usage", "activation"]] * 20
    made = said.line("Made again in a copy, which is gone: ").removeprefix("Made again in a copy, which is gone: ").split(", ")
    # what reads no threshold of usage stays as it is
    assert {"thresholds_in_force", "usage_ratio", "customer_milestones", "milestone_summary"} <= set(made)
    assert not {"accounts", "account_event_daily", "rule_events", "account_months", "seat_usage"} & set(made)


def test_several_values_are_one_question_and_lists_are_addressed_by_name(ran: Deliveries) -> None:
    said = asked(ran, "usage.threshold=0.5", "setup.steps.install.minimum_count=2")
    assert said.code == 0, said.text
    # everybody installed once
    assert "→" not in table(said, "Reach")["usage"]
    assert table(said, "Stages, ")["usage"].split() == ["usage", "none", "30"]
    # a step that counts twice needs no other events
    assert "rule_events" not in said.line("Made again")


def test_what_changes_nothing_says_so(ran: Deliveries) -> None:
    assert "No table would change" in asked(ran, "usage.threshold=0.5").text


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("activation.treshold=25", ("--set activation.treshold: found an unknown key", "closest: threshold")),
        ("activaton.threshold=25", ("--set activaton: found an unknown key", "closest: activation")),
        ("activation.threshold=many", ("--set activation.threshold: found 'many', expected a number > 0, or auto",)),
        ("activation.threshold=-1", ("--set activation.threshold: found -1, expected a number > 0, or auto",)),
        ("setup.steps.instal.required=false", ("--set setup.steps: found 'instal', expected one of install", "closest: install")),
        ("product.name=x", ("--set product: found the key name below it, expected a value: it has no keys",)),
        ("activation.threshold", ("--set: found 'activation.threshold', expected KEY=VALUE",)),
        ("=25", ("--set: found '=25', expected KEY=VALUE",)),
        ("activation.threshold=[", ("--set activation.threshold: found '[', expected a value as YAML writes it",)),
    ],
)
def test_a_key_or_value_that_is_not_right_is_told_at_set(ran: Deliveries, setting: str, words: tuple[str, ...]) -> None:
    said = asked(ran, setting)
    assert said.code == 1
    assert all(word in said.text for word in words), said.text


def test_a_rule_about_other_keys_holds_too(ran: Deliveries) -> None:
    said = asked(ran, "activation.adopted_threshold=3")
    assert said.code == 1
    assert "--set activation.adopted_threshold: found adopted_threshold beside a number" in said.text


def test_before_the_first_run_there_is_nothing_to_ask(tmp_path: Path) -> None:
    files = Deliveries(tmp_path, company())
    said = asked(files, "usage.threshold=6")
    assert said.code == 1
    assert said.text == f"{files.warehouse}: nothing is published yet; run `milestones run` first\n"
    assert not files.warehouse.exists()


def test_while_a_run_holds_the_warehouse_it_says_so(ran: Deliveries) -> None:
    with held(ran.warehouse) as holder:
        said = asked(ran, "usage.threshold=6")
    assert said.code == 1
    assert f"{ran.warehouse} is held by process {holder} (" in said.text


def test_an_edit_that_no_run_has_published_is_not_mixed_with_the_question(ran: Deliveries) -> None:
    path = ran.config / "framework.yaml"
    written = path.read_text(encoding="utf-8")
    try:
        write_yaml(path, merged(yaml.safe_load(written), {"activation": {"threshold": 2}}))
        said = asked(ran, "usage.threshold=6")
    finally:
        path.write_text(written, encoding="utf-8")
    assert said.code == 1
    assert said.text.startswith("thresholds_in_force is behind (")
    assert "run `milestones run` first" in said.text


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a.b=25", ("a", "b"), 25),
        ("a=2.5", ("a",), 2.5),
        ("a=auto", ("a",), "auto"),
        ('a="25"', ("a",), "25"),
        ("a=2026-01-01", ("a",), "2026-01-01"),
        ("a=true", ("a",), True),
        ("a=[x, y]", ("a",), ["x", "y"]),
        ("a=b=c", ("a",), "b=c"),
        ("a=", ("a",), None),
    ],
)
def test_a_value_is_read_as_in_the_file(text: str, key: tuple[str, ...], value: object) -> None:
    assert Override.of(text) == Override(key, value)
