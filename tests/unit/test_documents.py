"""The documents say what is true: links lead somewhere, commands exist, YAML loads, the worked example gives what it promises."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from scenario import at, made

from milestones_dagster.cli import main
from milestones_dagster.config.loader import check_config, load_config
from milestones_dagster.config.warehouse import LEAST_MEMORY_BYTES
from milestones_dagster.orchestration import assets, jobs
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.quality.suites import suite
from milestones_dagster.report.dictionary import dictionary
from milestones_dagster.warehouse import limits
from milestones_dagster.warehouse.table import load_tables

ROOT = Path(__file__).resolve().parents[2]
README, HANDBOOK, DICTIONARY = ROOT / "README.md", ROOT / "docs" / "handbook.md", ROOT / "docs" / "data_dictionary.md"
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", HANDBOOK, DICTIONARY, *ADRS]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(milestones [^`]+)`")
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b")
# what a placeholder of the documents stands for, so that the command's own types accept it
MEANT = {"DIR": "assets_config", "DATE": "2026-03-01", "DAY": "2026-03-14", "TEXT": "reason", "FOLDER": "folder", "FILE": "file.md"}


def words(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", words(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(path: Path, language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(words(path)) if found == language]


def config_files(path: Path) -> dict[str, str]:
    """The YAML blocks of a document whose first line is a comment with their file's name, by that name."""
    marked = [re.match(r"# (\S+\.yaml)\n", block) for block in blocks(path, "yaml")]
    assert all(marked), f"a YAML block of {path.name} does not say which file it is"
    return {match[1]: match.string for match in marked if match is not None}


def commands(path: Path) -> list[str]:
    """Every `milestones …` command of a document: in its shell blocks and in its text."""
    shown = [line.split("#")[0].strip() for block in blocks(path, "sh") for line in block.splitlines()]
    return [command for command in [*shown, *SPAN.findall(words(path))] if command.startswith("milestones ")]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> Path:
    """The worked example of the README, written as a reader would write it; returns its config folder."""
    folder = tmp_path_factory.mktemp("notebook")
    events, accounts = blocks(README, "csv")
    for name, text in {"data/events.csv": events, "data/accounts.csv": accounts}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "config").mkdir()
    for name, text in config_files(README).items():
        (folder / "config" / name).write_text(text, encoding="utf-8")
    return folder / "config"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path):
    for target in LINK.findall(words(path)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("path", [README, HANDBOOK], ids=lambda path: path.name)
def test_every_command_exists_with_its_options(path):
    shown = commands(path)
    assert shown
    for text in shown:
        name, *arguments = shlex.split(PLACEHOLDER.sub(lambda match: MEANT.get(match[0], match[0]), text))[1:]
        command = main.commands[name]
        # a command named for what it does is not a call: it must exist, and that is all
        if arguments:
            # below the group, as when it is typed: a command keeps the names of its help option
            command.make_context(name, arguments, parent=main.make_context("milestones", [name]))


def test_every_command_and_its_options_of_the_table_of_commands_exist():
    rows = re.findall(r"^\| `milestones (\S+)[^|]*\|(.+)\|$", words(README), re.MULTILINE)
    assert {name for name, _ in rows} == set(main.commands)
    for name, text in rows:
        known = {
            option for parameter in main.commands[name].params if isinstance(parameter, click.Option) for option in parameter.opts
        }
        assert set(re.findall(r"`(--[a-z-]+)", text)) <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(path):
    targets = set(re.findall(r"^([a-z-]+):", words(ROOT / "Makefile"), re.MULTILINE))
    named = {
        target
        for text in [*blocks(path, "sh"), *re.findall(r"`([^`\n]+)`", words(path))]
        for target in re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    }
    assert named <= targets


def test_the_config_of_the_readme_has_no_problem(notebook):
    assert check_config(notebook) == []
    assert load_config(notebook).framework.product == "Notebook"


@pytest.mark.parametrize("name", sorted(config_files(HANDBOOK)))
def test_the_config_files_of_the_handbook_load_beside_it(notebook, tmp_path, name):
    for file in notebook.iterdir():
        (tmp_path / file.name).write_text(words(file), encoding="utf-8")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(config_files(HANDBOOK)[name], encoding="utf-8")
    assert check_config(tmp_path) == []
    # rules that it changes must exist, and those that it adds must be rules
    Declared.of(load_config(tmp_path))


def test_the_worked_example_of_the_readme_gives_what_it_promises(notebook):
    with made(notebook) as world:
        # the last event is of 1 February: that day is whole, and W is the day after
        assert world.session.observation.as_of == at("2025-02-02")
        north, south = world.row("activation_cohort", account_id="north"), world.row("activation_cohort", account_id="south")
        # north's notes: 3 January, 20 January, 1 February 09:00, the third
        assert (north["activated"], north["activated_at"], north["is_elapsed"]) == (True, at("2025-02-01 09:00"), False)
        # south's one note of three, and its window ends on 9 April
        assert (south["activated"], south["activation_events"], south["is_elapsed"]) == (None, 1, False)
        assert {row["steps_done"] for row in world.rows("setup_steps", account_id="north")} == {2}
        assert {row["steps_done"] for row in world.rows("setup_steps", account_id="south")} == {1}
        assert any("No subscriptions are mapped" in row["note"] for row in world.rows("notes"))
        (query,) = re.findall(r'connection\.sql\(\s*"(.+)"\s*\)', words(README))
        # active in January: north and south; in February so far: north alone; 2 + 1
        assert sum(accounts for _, _, accounts in world.session.warehouse.rows(query)) == 3
        assert {outcome.state for name, outcome in world.outcomes.items() if name != "raw_events"} == {"made"}
        # two accounts, no known outcome: nothing can be fitted
        ranking = world.session.make("feature_importance")
        assert ranking.state == "refused"
        assert [result.rule.name for result in ranking.results if not result.passed] == ["better_than_chance"]


def test_the_data_dictionary_is_up_to_date():
    tables = load_tables(config_relations=None)
    suites = {name: suite(table, table.suite_path, None) for name, table in tables.items()}
    assert words(DICTIONARY) == dictionary(tables, suites), "run `make docs`"


def test_the_data_dictionary_has_every_table_column_and_rule():
    text = words(DICTIONARY)
    for path in sorted((ROOT / "milestones_dagster" / "sql").rglob("*.sql")):
        header = yaml.safe_load(words(path).split("*/")[0].removeprefix("/*"))
        section = text.split(f"\n### {path.stem}\n")[1].split("\n### ")[0]
        assert header["grain"] in section
        assert all(f"| `{column}` |" in section for column in header["columns"])
        rules = path.with_suffix(".yaml")
        if rules.exists():
            named = {rule["name"] for rule in yaml.safe_load(words(rules))["expectations"]}
            assert named == set(re.findall(r"^- `(\w+)`", section.partition("Checks:")[2], re.MULTILINE))


def test_the_times_of_the_handbook_are_those_of_the_code():
    text = " ".join(words(HANDBOOK).split())
    policy = assets._FRESHNESS
    warn, fail = (window.to_timedelta().total_seconds() / 3600 for window in (policy.warn_window, policy.fail_window))
    assert f"not made for {warn:g} hours, and fail after {fail:g} hours" in text
    minute, hour, *rest = jobs._CRON.split()
    assert rest == ["*", "*", "*"]
    assert f"at {int(hour):02}:{int(minute):02} in the reporting time zone" in text


def test_the_messages_of_bad_files_are_those_of_the_code():
    code = " ".join(words(path) for path in sorted((ROOT / "milestones_dagster" / "warehouse").glob("source_*.py")))
    joined = re.sub(r'"\s+f?"', "", code)
    table = words(HANDBOOK).partition("| kind | the message says |")[2].partition("\n\n")[0]
    messages = re.findall(r"^\| [^|]+ \| (.+) \|$", table, re.MULTILINE)[1:]
    assert len(messages) > 10
    for message in messages:
        for fragment in message.split("…"):
            assert fragment.strip(" `;") in joined, message


def test_the_sentences_and_bounds_of_memory_and_disk_are_those_of_the_code():
    code = re.sub(r'"\s+f?"', "", words(ROOT / "milestones_dagster" / "warehouse" / "limits.py"))
    section = words(HANDBOOK).partition("\n## Memory, disk and processors\n")[2].partition("\n## ")[0]
    messages = re.findall(r"^\| (….+) \| [^|]+ \|$", section, re.MULTILINE)
    assert len(messages) == 2
    for message in messages:
        for fragment in message.split("…"):
            assert fragment.strip(" ;") in code, fragment
    assert (
        f"at least {limits.LEAST_BYTES // 1_000_000_000} GB; less than {LEAST_MEMORY_BYTES // 1_000_000} MB is refused" in section
    )


def test_the_keys_that_the_example_of_the_warehouse_shows_as_comments_are_accepted(notebook, tmp_path):
    for file in notebook.iterdir():
        (tmp_path / file.name).write_text(words(file), encoding="utf-8")
    shown = words(ROOT / "assets_config" / "warehouse.yaml").replace("engine: duckdb", "engine: spark")
    text = re.sub(r"^# (?=(memory_limit|threads|spark):|  )", "", shown, flags=re.MULTILINE)
    (tmp_path / "warehouse.yaml").write_text(text, encoding="utf-8")
    assert check_config(tmp_path) == []
    found = load_config(tmp_path).warehouse
    assert (found.memory_limit, found.threads) == ("4 GB", 2)
    assert found.spark is not None
    assert found.spark.model_fields_set == set(type(found.spark).model_fields)


def test_the_operations_tables_of_the_handbook_are_those_of_the_warehouse(notebook):
    with made(notebook, tables=[]) as world:
        found = world.session.warehouse.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'operations'")
    assert {name for (name,) in found} == set(re.findall(r"^\| `operations\.(\w+)` \|", words(HANDBOOK), re.MULTILINE))


def test_every_decision_says_why_and_what_was_rejected():
    assert [path.name[:4] for path in ADRS] == [f"{number:04}" for number in range(1, len(ADRS) + 1)]
    for path in ADRS:
        assert words(path).startswith(f"# {path.name[:4]}. ")
        assert re.findall(r"^## (.+)$", words(path), re.MULTILINE) == ["Context", "Decision", "Rejected", "Consequences"]


def test_the_readme_shows_the_table_of_the_proving_ground_as_it_came_out() -> None:
    proved = {}
    for line in (ROOT / "docs" / "proving.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| beside |"):
            _, what, n, _, estimate, interval, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            proved[what, n] = f"{estimate} ({interval})"
    header, _, *rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.count("|") == 8]
    _, _, *tools = (cell.strip() for cell in header.strip("|").split("|"))
    assert tools == ["ours", "Compass", "Signal", "PostHog", "fight-churn"]
    assert rows
    for row in rows:
        what, n, *found = (cell.strip() for cell in row.strip("|").split("|"))
        assert found == [proved.get((f"{what}: {tool}", n), "") for tool in tools]
