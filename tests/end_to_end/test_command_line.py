"""The command line as a person types it: what each command prints, what it leaves behind, and how it says no."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click
import dagster as dg
import duckdb
import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from deliveries import STAYING, Deliveries, company, run
from scenario import EVENT_TYPES, event, write_parquet, write_yaml

from milestones_dagster.cli import main
from milestones_dagster.config.loader import load_config
from milestones_dagster.demo.generate import generate
from milestones_dagster.orchestration.session import Declared

MILESTONES = str(Path(sys.executable).with_name("milestones"))


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text.splitlines()]

    def line(self, begins: str) -> str:
        """The one line that begins so."""
        found = [line for line in self.lines if line.startswith(begins)]
        assert len(found) == 1, self.text
        return found[0]


def milestones(*arguments: object) -> Said:
    """Runs a command; whatever it says, it is never a trace."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    # a class path is no word of a sentence
    assert "milestones_dagster." not in result.output
    return Said(result.exit_code, result.output)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def _home_beside_the_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture
def files(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, company(), warehouse_settings={"lock_timeout": "1 s"})


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["run", "demo", "check-config", "plan", "what-if", "compare", "waive", "withdraw", "ui", "schemas", "dictionary"]
)
def test_every_command_explains_itself_and_its_options(command: str) -> None:
    for flag in ("--help", "-h"):
        said = milestones(command, flag)
        assert said.code == 0
        assert said.lines[0].startswith(f"Usage: milestones {command} [OPTIONS]")
    options = [parameter for parameter in main.commands[command].params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)
    # a format of the machine's is not what a person should type
    assert "%" not in said.text


def test_the_list_of_commands_is_the_documented_one() -> None:
    said = milestones("--help")
    listed = {line.split()[0] for line in said.lines[said.lines.index("Commands:") + 1 :] if line}
    assert {
        "run",
        "demo",
        "check-config",
        "plan",
        "what-if",
        "compare",
        "waive",
        "withdraw",
        "ui",
        "schemas",
        "dictionary",
    } <= listed
    readme = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"milestones {command}" in readme for command in listed)


HELD = """
import sys, time, duckdb
from pathlib import Path
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
history = Path(sys.argv[1]).with_suffix(".dagster") / "history" / "runs"

def is_waited_for():
    for file in history.glob("*.db*"):
        try:
            if b"; waiting up to " in file.read_bytes():
                return True
        except FileNotFoundError:
            pass  # a journal, gone with its transaction
    return False

while sys.argv[2] == "waited for" and not is_waited_for():
    time.sleep(0.2)
if sys.argv[2] != "waited for":
    sys.stdin.read(1)
"""


@contextmanager
def held(path: Path, *, until_waited_for: bool = False) -> Iterator[int]:
    """Another process that holds the warehouse until the block ends, or until a run says that it waits for it; its number."""
    command = [sys.executable, "-c", HELD, str(path), "waited for" if until_waited_for else "the block"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder.pid
            if not until_waited_for:
                holder.communicate("x")
        finally:
            holder.kill()


# --- run and plan ---------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """A company before its first run, at it, as of a day in its past, and after."""

    files: Deliveries
    before: Said
    run: Said
    past: Said
    after: Said
    main_unchanged: bool
    holder: int

    def past_warehouse(self) -> Path:
        """The warehouse of the past day."""
        return self.files.folder / "warehouse_as_of_2025-01-18.duckdb"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        files = Deliveries(tmp_path_factory.mktemp("told"), company())
        # what looks like rich's markup, or would break it, is kept as it is
        framework = yaml.safe_load((files.config / "framework.yaml").read_text(encoding="utf-8"))
        write_yaml(files.config / "framework.yaml", framework | {"product": "Small [/] world"})
        before = milestones("plan", "--config", files.config)
        # another run has the warehouse, and lets go of it once this one has said that it waits
        with held(files.warehouse, until_waited_for=True) as holder:
            run = milestones("run", "--config", files.config)
        main_before = digest(files.warehouse), digest(files.serving)
        past = milestones("run", "--config", files.config, "--as-of", "2025-01-18")
        main_after = digest(files.warehouse), digest(files.serving)
        after = milestones("plan", "--config", files.config)
        yield Told(files, before, run, past, after, main_before == main_after, holder)


def test_the_plan_before_the_first_run_names_the_days_and_what_follows(told: Told) -> None:
    assert told.before.code == 0
    assert told.before.line("raw_events ").split(maxsplit=2)[1:] == [
        "behind",
        "28 day(s) to make: 2025-01-14, 2025-01-15, 2025-01-16, 2025-01-17, 2025-01-18, 2025-01-19, 2025-01-20, 2025-01-21, … 2025-02-10",
    ]
    assert told.before.line("retention_by_activation ").split(maxsplit=2)[1:] == [
        "behind",
        "follows activation_cohort, observation_dates, retention_outcomes",
    ]
    # nothing stands yet that could be left
    assert "A table that follows others" not in told.before.text
    tables = set(Declared.of(load_config(told.files.config)).tables)
    assert {line.split()[0] for line in told.before.lines if " behind " in line} == tables


def test_the_plan_after_the_run_has_nothing_to_do(told: Told) -> None:
    assert told.after.code == 0
    # 27 days from 2025-01-15 and the first: whole up to the 11th
    assert told.after.line("watermark of product") == "watermark of product: 2025-02-11"
    assert " behind " not in told.after.text
    assert told.after.line("raw_events ").split(maxsplit=1)[1] == "up to date no day differs"


def test_a_run_prints_a_line_for_every_table_and_the_headline(told: Told) -> None:
    assert told.run.code == 0
    tables = [*Declared.of(load_config(told.files.config)).tables, "serving"]
    done = [line.split()[1] for line in told.run.lines if line.startswith("✓")]
    assert sorted(done) == sorted(tables)
    assert done[-1] == "serving"
    assert told.run.line("Small [/] world").startswith(f"Small [/] world: {len(tables) - 1} tables into ")
    # 28 heartbeats, 3 events of 40 accounts, 3 chats of 20, 8 events of the one that does everything
    assert re.search(r"✓ raw_events +216 rows +[\d.]+ s  28 day\(s\) made", told.run.text)
    # January is the last whole month; twenty paid at its end
    assert told.run.line("As of ") == "As of 2025-02-11, January 2025: 40 customers, 20 paying"
    # one conversation on 2 seats for 17 of 31 days: 1 × 31 / 34 < 2; all started one on the second of the 5 days
    assert told.run.line("usage reached").split() == ["usage", "reached", "0", "20", "0.0%"]
    assert told.run.line("activated in time").split() == ["activated", "in", "time", "40", "40", "100.0%"]
    assert told.run.line("What follows is evidence, as of the end of January 2025")
    # the twenty that left did so on day 3, before anybody could be compared: twenty remain, all retained
    assert told.run.line("1-2 ").split() == ["1-2", "20", "20", "100.0%"]
    assert "held-out AUC 1.000" in told.run.line("What goes with staying")
    assert told.run.line("· The data are whole up to").startswith("· The data are whole up to 2025-02-11; product holds")
    for label, path in (("Tables to query:", told.files.serving), ("The warehouse:", told.files.warehouse)):
        assert str(path) in told.run.line(label)
    assert told.run.line("Lineage, checks").endswith(f"milestones ui --config {told.files.config}")


def test_a_run_that_finds_another_says_for_whom_it_waits_and_goes_on(told: Told) -> None:
    note = told.run.line("note ")
    assert note.startswith(f"note {told.files.warehouse} is held by process {told.holder} (")
    assert note.endswith("); waiting up to 900 s for it")
    lines = told.run.lines
    assert lines.index(note) < min(number for number, line in enumerate(lines) if line.startswith("✓"))
    assert told.run.code == 0


def test_a_run_keeps_its_history_beside_the_warehouse(told: Told) -> None:
    settings = yaml.safe_load((told.files.folder / "warehouse.dagster" / "dagster.yaml").read_text(encoding="utf-8"))
    assert settings["telemetry"] == {"enabled": False}
    # a slot that a killed run left behind must not hold a run of the command line for ever
    assert settings["concurrency"]["pools"]["granularity"] == "run"
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert (told.files.folder / "warehouse.dagster" / "history").is_dir()


def test_as_of_a_past_day_has_a_warehouse_of_its_own(told: Told) -> None:
    assert told.main_unchanged
    assert told.past.line("As of ").startswith("As of 2025-01-18, no whole month yet: 40 customers")
    with duckdb.connect(str(told.past_warehouse()), read_only=True) as connection:
        as_of = connection.execute("SELECT DISTINCT CAST(as_of AS VARCHAR) FROM operations.publications").fetchall()
        left = connection.execute("SELECT count(*) FROM staging.account_history WHERE valid_to IS NOT NULL").fetchone()
    assert {time for (time,) in as_of} - {None} == {"2025-01-18 00:00:00"}
    # nobody has left yet
    assert left == (0,)
    # its run history is not what `milestones ui` shows
    assert "Dagster UI" not in told.past.text


def test_without_a_ranking_there_still_is_a_headline(told: Told) -> None:
    # evidence is of closed months, and on 2025-01-18 none has closed
    assert told.past.code == 1
    assert told.past.line("refused") == "refused: feature_importance"
    found = told.past.line("    better_than_chance")
    assert found.startswith(
        "    better_than_chance: The forest tells held-out customers apart better than chance: No ranking: 0 accounts"
    )
    assert "      → refused; nothing is published yet; no ranking is published;" in told.past.text
    assert "usage reached" not in told.past.text
    assert "What goes with staying" not in told.past.text
    assert told.past_warehouse().with_name("warehouse_as_of_2025-01-18.serving.duckdb").exists()


def test_as_of_after_the_watermark_is_refused_once_in_a_sentence(told: Told) -> None:
    said = milestones("run", "--config", told.files.config, "--as-of", "2025-03-06")
    assert said.code == 1
    sentence = (
        "as of 2025-03-06 lies after the watermark 2025-02-11, up to where the data are whole (product holds it back); "
        "choose 2025-02-11 or earlier"
    )
    assert said.text.count(sentence) == 1
    assert said.line("refused") == "refused: raw_events"
    assert said.line("not made: ").startswith("not made: account_copies, account_event_daily, ")


@pytest.mark.parametrize("day", ["2025-13-06", "yesterday", "06.02.2025"])
def test_a_day_that_is_none_is_refused(day: str, files: Deliveries) -> None:
    for arguments in (("run", "--as-of", day), ("waive", day)):
        said = milestones(*arguments, "--config", files.config)
        assert said.code == 2
        assert f"{day!r} is no day; write it as 2026-05-31" in said.text


# --- what is not there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "plan", "check-config", "ui", "waive"])
def test_a_missing_config_folder_is_named(command: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    arguments = {"check-config": [nowhere], "waive": ["2025-01-01", "--reason", "none", "--config", nowhere]}
    said = milestones(command, *arguments.get(command, ["--config", nowhere]))
    assert said.code == 1
    assert said.lines[0] == f"error: {nowhere}: found no such folder, expected a config folder with framework.yaml and sources.yaml"


def test_missing_events_are_named_with_the_nearest_folder(files: Deliveries) -> None:
    for path in (files.folder / "data" / "events").iterdir():
        path.unlink()
    (files.folder / "data" / "events").rmdir()
    for said, code in ((milestones("run", "--config", files.config), 1), (milestones("plan", "--config", files.config), 0)):
        assert said.code == code
        assert "events/*.parquet` matches no file; the nearest folder that exists is " in said.text
        assert "which holds subscriptions.parquet; correct the path in sources.yaml or deliver the files" in said.text


def test_a_missing_snapshot_refuses_its_own_table_and_what_follows(files: Deliveries) -> None:
    (files.folder / "data" / "subscriptions.parquet").unlink()
    said = milestones("run", "--config", files.config)
    assert said.code == 1
    # accounts read the subscriptions too; tables that do not are made
    assert said.line("refused") == "refused: subscriptions, accounts"
    assert {"raw_events", "rule_events", "event_catalogue"} <= {line.split()[1] for line in said.lines if line.startswith("✓")}
    assert "subscriptions.parquet` does not exist; the nearest folder that exists is " in said.text
    plan = milestones("plan", "--config", files.config)
    assert plan.line("subscriptions ").split()[1] == "refused"
    assert plan.line("account_tenure ").split(maxsplit=2)[1:] == ["waits", "a run stops at account_history, accounts"]


def test_a_damaged_file_is_named_and_the_plan_says_that_a_run_would_stop(files: Deliveries) -> None:
    files.file("2025-02-03").write_bytes(b"PAR1 nothing more")
    said = milestones("run", "--config", files.config)
    assert said.code == 1
    assert "2025-02-03.parquet: the file is not readable as Parquet" in said.text
    assert "      → refused; the published rows are whole up to 2025-02-03; correct the file, " in said.text
    plan = milestones("plan", "--config", files.config)
    assert plan.line("missing day") == "missing day: 2025-02-03"
    assert plan.line("raw_events ").split()[1] == "refused"
    assert plan.line("milestone_summary ").split()[1] == "waits"


# --- the warehouse --------------------------------------------------------------------------------------------------


def test_a_busy_warehouse_is_named_with_its_holder(files: Deliveries) -> None:
    with held(files.warehouse) as holder:
        for arguments in (["run"], ["plan"], ["waive", "2025-02-03", "--reason", "none came"]):
            said = milestones(*arguments, "--config", files.config)
            assert said.code == 1
            assert f"{files.warehouse} is held by process {holder} (" in said.text
            assert said.text.count("was not let go within 1 s; wait for that run, or stop it, and run again") == 1


@pytest.mark.parametrize("kind", ["text", "folder"])
def test_something_else_in_the_place_of_the_warehouse_is_told(kind: str, files: Deliveries) -> None:
    if kind == "text":
        files.warehouse.write_text("not a database", encoding="utf-8")
    else:
        files.warehouse.mkdir()
    for command in ("run", "plan"):
        said = milestones(command, "--config", files.config)
        assert said.code == 1
        assert f"{files.warehouse} cannot be opened as a warehouse: " in said.text
        assert "name another path in warehouse.yaml, or move away what is there" in said.text


# --- check-config ---------------------------------------------------------------------------------------------------


def test_check_config_prints_every_problem_at_once(files: Deliveries) -> None:
    framework = yaml.safe_load((files.config / "framework.yaml").read_text(encoding="utf-8"))
    framework["usage"]["treshold"] = 3
    framework["activation"]["window"] = "3"
    framework["core_events"] = ["resolvd"]
    write_yaml(files.config / "framework.yaml", framework)
    sources = yaml.safe_load((files.config / "sources.yaml").read_text(encoding="utf-8"))
    del sources["events"][0]["columns"]["event"]
    write_yaml(files.config / "sources.yaml", sources)
    said = milestones("check-config", files.config)
    assert said.code == 1
    assert said.line("warning: framework.yaml:").endswith(
        " core_events[0]: found 'resolvd', expected an event of tracking_plan.yaml; closest: resolved"
    )
    errors = [line for line in said.lines if line.startswith("error: ")]
    assert [re.sub(r":\d+ ", ": ", line, count=1).split(": found")[0] for line in errors] == [
        "error: framework.yaml: activation.window",
        "error: framework.yaml: usage.treshold",
        "error: sources.yaml: events[0].columns.event",
    ]
    assert errors[0].endswith("found '3', expected a duration with its unit, such as 90 d, 24 h or 3 months")
    assert errors[1].endswith("closest: threshold, adopted_threshold")
    assert said.lines[-1] == f"{files.config}: 3 error(s), 1 warning(s)"
    # the same sentences stop a run and a plan before they begin
    for command in ("run", "plan"):
        refused = milestones(command, "--config", files.config)
        assert refused.code == 1
        assert refused.lines == said.lines[:-1]
    assert not files.warehouse.exists()


def test_check_config_of_a_good_folder(files: Deliveries) -> None:
    said = milestones("check-config", files.config)
    assert (said.code, said.lines) == (0, [f"{files.config}: no problems"])


def test_check_config_knows_the_rules_of_a_company(files: Deliveries) -> None:
    files.add_quality("activation_cohort", {"expectations": [{"name": "odd", "type": "expect_nonsense"}]})
    files.add_quality("usage_ratio", {"bounds": {"no_such_rule": 0.1}, "severity": {"shape": "warning"}})
    said = milestones("check-config", files.config)
    assert said.code == 1
    assert said.lines == [
        "error: quality/activation_cohort.yaml: rule odd: type expect_nonsense is unknown; no known name is close",
        "error: quality/usage_ratio.yaml: bounds.no_such_rule: no rule has this name; no known name is close",
        "error: quality/usage_ratio.yaml: severity.shape: shape and keys are always critical: what reads the table needs them",
        f"{files.config}: 3 error(s), 0 warning(s)",
    ]
    # the same sentences stop a plan before it begins
    refused = milestones("plan", "--config", files.config)
    assert (refused.code, refused.lines) == (1, said.lines[:-1])


# --- compare --------------------------------------------------------------------------------------------------------


def compared(told: Told, other: Path) -> Said:
    return milestones("compare", other, "--config", told.files.config)


def test_a_copy_of_a_warehouse_holds_the_same_rows(told: Told, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(told.files.warehouse.read_bytes())
    said = compared(told, copy)
    tables = [line for line in said.lines if line.endswith("rows  the same")]
    assert (said.code, len(said.lines)) == (0, len(tables) + 1)
    assert said.line("raw_events ").split()[1] != "0"
    assert said.lines[-1].endswith(f" and {copy}: 0 of {len(tables)} tables differ")


def test_it_says_of_every_table_how_it_differs(told: Told, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(told.files.warehouse.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute("UPDATE milestones.seat_usage SET ratio = seats + 1, seats = seats + 1 WHERE seats > 0")
        # the tenth digit is the order of a sum's terms
        connection.execute("UPDATE milestones.retention_outcomes SET mrr_at_start = mrr_at_start * (1 + 1e-12)")
        (usage_ratios,) = connection.execute("SELECT count(*) FROM milestones.usage_ratio").fetchone()
        connection.execute("DELETE FROM milestones.usage_ratio WHERE rowid = 0")
        connection.execute("UPDATE milestones.setup_steps SET step = step || 's' WHERE rowid = 0")
        connection.execute("ALTER TABLE milestones.retention_by_activation ADD COLUMN plan VARCHAR")
        connection.execute("UPDATE milestones.framework_versions SET value = value + 1")
        connection.execute("DELETE FROM operations.publications WHERE table_name = 'activation_cohort'")
        connection.execute("UPDATE operations.publications SET as_of = '2025-01-01' WHERE table_name = 'win_backs'")
        connection.execute("UPDATE operations.publications SET fingerprint = 'x' WHERE table_name = 'customer_milestones'")
    said = compared(told, copy)
    differing = dict(re.split(r" +[\d,]+ rows  ", line) for line in said.lines[:-1] if not line.endswith("the same"))
    assert differing == {
        "seat_usage": "values of seats, ratio",
        "usage_ratio": f"{usage_ratios - 1:,} rows in the other",
        "setup_steps": "rows of another account_id, step",
        "retention_by_activation": "other columns or types: plan",
        "framework_versions": "values of value (it remembers earlier runs)",
        "activation_cohort": "only here",
        "win_backs": "as of 2025-02-11 00:00, in the other 2025-01-01 00:00",
        "customer_milestones": "made under two versions of the framework",
    }
    assert (said.code, said.lines[-1].endswith(f": 7 of {len(said.lines) - 1} tables differ")) == (1, True)


def test_what_cannot_be_compared_is_said(told: Told, tmp_path: Path) -> None:
    text, empty = tmp_path / "text.duckdb", tmp_path / "empty.duckdb"
    text.write_text("no database", encoding="utf-8")
    duckdb.connect(str(empty)).close()
    own = told.files.warehouse
    for other, sentence in [
        (own, f"{own} is this config's own warehouse; name the file of another one"),
        (text, "name the file of a warehouse, which lies at the `path` of its warehouse.yaml"),
        (empty, f"{empty} is no warehouse of this product: it has no operations.publications"),
        (tmp_path / "nowhere.duckdb", "nowhere.duckdb: there is no warehouse; `milestones run` makes that of a config"),
    ]:
        said = compared(told, other)
        assert (said.code != 0, sentence in said.text) == (True, True), said.text


# --- waive ----------------------------------------------------------------------------------------------------------


def test_a_missing_day_is_waived_with_a_reason_and_taken_back(files: Deliveries) -> None:
    files.file("2025-02-03").unlink()
    refused = milestones("run", "--config", files.config)
    assert refused.code == 1
    assert refused.line("    rows: ") == "    rows: No day among the loaded days is empty: 2025-02-03"
    assert "deliver the missing day and run, or waive it with `milestones waive DAY --reason …`" in refused.text

    silent = milestones("waive", "2025-02-03", "--config", files.config)
    assert (silent.code, "--reason is missing" in silent.text) == (1, True)
    published = milestones("waive", "2025-02-04", "--config", files.config, "--reason", "why not")
    assert (published.code, published.lines) == (
        1,
        ["2025-02-04 is published; only a day that is missing or refused can be waived"],
    )
    ahead = milestones("waive", "2025-02-20", "--config", files.config, "--reason", "holiday")
    assert (ahead.code, ahead.lines) == (
        1,
        ["2025-02-20 is neither missing nor refused; `milestones plan` lists the days that are"],
    )

    waived = milestones("waive", "2025-02-03", "--config", files.config, "--reason", "the exporter was off")
    assert (waived.code, waived.lines) == (0, ["2025-02-03: waived (the exporter was off); the next run passes it"])
    plan = milestones("plan", "--config", files.config)
    assert plan.line("waived day") == "waived day: 2025-02-03 (the exporter was off)"
    assert plan.line("watermark of product") == "watermark of product: 2025-02-11"
    assert plan.line("raw_events ").split()[1:3] == ["up", "to"]

    back = milestones("waive", "2025-02-03", "--config", files.config, "--undo")
    assert (back.code, back.lines) == (0, ["2025-02-03: the waiver is taken back"])
    again = milestones("waive", "2025-02-03", "--config", files.config, "--undo")
    assert (again.code, again.lines) == (0, ["2025-02-03 was not waived"])
    assert milestones("plan", "--config", files.config).line("missing day") == "missing day: 2025-02-03"


def test_a_file_that_does_not_come_back_is_withdrawn(files: Deliveries) -> None:
    files.file("2025-02-03").unlink()
    assert milestones("run", "--config", files.config).code == 1  # every other day is loaded
    files.deliver("2025-02-03", [])
    last = files.file("2025-02-10")
    there = milestones("withdraw", last, "--config", files.config)
    assert (there.code, there.lines) == (
        1,
        [f"{last} is there; only a file that is gone can be withdrawn: take it out of the source's folder first"],
    )
    last.unlink()
    # a late row of its day comes: the day would be made again, and the rows of the file that is gone would be lost
    files.deliver("2025-02-11", [event(STAYING[0], "chat", "2025-02-10 23:00")])
    gone = milestones("plan", "--config", files.config)
    assert gone.line("refused day").startswith(
        "refused day: 2025-02-10: 2025-02-10.parquet touches this day and is gone; deliver it again"
    )
    assert gone.line("raw_events ").split()[1] == "refused"
    assert gone.line("gone file") == (
        f"gone file: {last}: its rows stand; deliver it again, or withdraw it (`milestones withdraw`)"
    )
    unknown = files.file("2025-02-20")
    for name in (unknown, unknown.name, "0.parquet", "/2025-02-10.parquet"):
        never = milestones("withdraw", name, "--config", files.config)
        assert (never.code, never.lines) == (1, [f"{name} was never loaded; the loaded files that are gone: {last}"])
    still = milestones("withdraw", "2025-02-09.parquet", "--config", files.config)
    assert (still.code, still.lines[0].startswith(f"{files.file('2025-02-09')} is there; ")) == (1, True)
    # as a refused day names it
    withdrawn = milestones("withdraw", last.name, "--config", files.config)
    assert (withdrawn.code, withdrawn.lines) == (0, [f"{last}: withdrawn; the next run makes its days without it"])
    plan = milestones("plan", "--config", files.config)
    assert "refused day" not in plan.text
    assert plan.line("watermark of product") == "watermark of product: 2025-02-03"
    assert plan.line("raw_events ").split(maxsplit=2)[1:] == [
        "behind",
        "3 day(s) to make: 2025-02-03, 2025-02-10, 2025-02-11",
    ]
    assert "gone file" not in plan.text
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        assert run(files.config, instance, only=["raw_events"]).is_success
    with files.open() as connection:
        left = connection.execute("SELECT count(*) FROM raw.raw_events WHERE day = DATE '2025-02-10'").fetchone()
    # the late row alone: the heartbeat went with its file
    assert left == (1,)


def test_a_name_that_two_files_have_is_told_with_both_paths(files: Deliveries, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = yaml.safe_load((files.config / "sources.yaml").read_text(encoding="utf-8"))
    days = files.folder / "data" / "events"
    sources["events"][0]["path"] = str(days)
    write_yaml(files.config / "sources.yaml", sources)
    both = []
    for number, place in enumerate(("east", "west")):
        path = days / place / "part.parquet"
        path.parent.mkdir()
        rows = [{**event(STAYING[0], "chat", f"2025-02-10 2{number}:00"), "event_id": place}]
        write_parquet(path, rows, EVENT_TYPES)
        both.append(path)
    milestones("plan", "--config", files.config)  # the look at the files remembers them
    for path in both:
        path.unlink()
    said = milestones("withdraw", "part.parquet", "--config", files.config)
    assert (said.code, said.lines) == (1, [f"part.parquet may be {both[0]} or {both[1]}; name more of its path"])
    plan = milestones("plan", "--config", files.config)
    assert [line.split(": ")[1] for line in plan.lines if line.startswith("gone file")] == [str(path) for path in both]
    east = milestones("withdraw", "east/part.parquet", "--config", files.config)
    assert (east.code, east.lines) == (0, [f"{both[0]}: withdrawn; the next run makes its days without it"])
    # from the current folder, as the command prints it
    monkeypatch.chdir(days)
    west = milestones("withdraw", "west/part.parquet", "--config", files.config)
    assert (west.code, west.lines) == (0, ["west/part.parquet: withdrawn; the next run makes its days without it"])
    none = milestones("withdraw", "part.parquet", "--config", files.config)
    assert (none.code, none.lines) == (1, ["part.parquet was never loaded; no loaded file is gone"])


# --- demo, schemas, dictionary, ui ----------------------------------------------------------------------------------


def test_demo_leaves_a_company_with_other_parameters_alone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    generate(folder, accounts=200, months=6, until=date(2026, 1, 1), truth_draws=1000)
    truth = digest(folder / "planted_truth.json")
    said = milestones("demo", folder, "--accounts", "200", "--months", "6", "--until", "2026-01-01", "--seed", "8")
    assert said.code == 1
    assert said.line(f"{folder} holds").endswith(
        "made with other parameters, or an incomplete one; choose another folder or ask for it to be overwritten"
    )
    assert digest(folder / "planted_truth.json") == truth


def test_demo_refuses_other_folders_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me", encoding="utf-8")
    said = milestones("demo", tmp_path / "mine", "--accounts", "200")
    assert (said.code, said.lines[-1]) == (
        1,
        f"{tmp_path / 'mine'} exists and is not a demonstration company (it has no planted_truth.json)",
    )
    assert "10 is not in the range 200<=x<=200000" in milestones("demo", tmp_path / "new", "--accounts", "10").text
    blocked = milestones("demo", tmp_path / "mine" / "letter.txt" / "demo", "--accounts", "200")
    assert (blocked.code, blocked.lines[-1]) == (1, f"{tmp_path / 'mine' / 'letter.txt'}: File exists")


def test_schemas_are_written_for_editors(tmp_path: Path, files: Deliveries) -> None:
    said = milestones("schemas", tmp_path / "schemas")
    assert (said.code, said.lines) == (0, [f"{tmp_path / 'schemas'}: written"])
    written = {path.name.removesuffix(".schema.json"): path for path in (tmp_path / "schemas").iterdir()}
    assert set(written) == {"alerts", "framework", "quality", "sources", "tracking_plan", "warehouse"}
    for name in ("alerts", "framework", "sources", "tracking_plan", "warehouse"):
        schema = json.loads(written[name].read_text(encoding="utf-8"))
        jsonschema.validate(yaml.safe_load((files.config / f"{name}.yaml").read_text(encoding="utf-8")), schema)


def test_the_dictionary_names_every_table(tmp_path: Path, files: Deliveries) -> None:
    said = milestones("dictionary", tmp_path / "docs" / "dictionary.md")
    tables = Declared.of(load_config(files.config)).tables
    assert (said.code, said.lines) == (0, [f"{tmp_path / 'docs' / 'dictionary.md'}: {len(tables)} tables"])
    text = (tmp_path / "docs" / "dictionary.md").read_text(encoding="utf-8")
    assert all(name in text for name in tables)
    assert "tenure_start" in text


def test_the_ui_serves_the_graph_of_the_config(files: Deliveries) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [MILESTONES, "ui", "--config", str(files.config), "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name not in {"DAGSTER_HOME", "MILESTONES_CONFIG"}}
    with (files.folder / "ui.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603
            command,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 the child only sets a signal
        )
    try:
        keys = _asset_keys(port, until=time.monotonic() + 120)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)
    assert keys == {*Declared.of(load_config(files.config)).tables, "serving"}
    said = (files.folder / "ui.log").read_text(encoding="utf-8", errors="replace")
    assert said.startswith(
        f"Dagster UI on http://127.0.0.1:{port}, run history in {files.folder / 'warehouse.dagster'}; stop with Ctrl-C"
    )


def _hear_ctrl_c() -> None:
    # what a shell starts in the background hears no Ctrl-C, nor does what that starts: tests may run there
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _asset_keys(port: int, until: float) -> set[str]:
    query = json.dumps({"query": "{assetNodes{assetKey{path}}}"}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", data=query, headers={"Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                nodes = json.load(answer)["data"]["assetNodes"]
            if nodes:
                return {node["assetKey"]["path"][-1] for node in nodes}
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        assert time.monotonic() < until, "the UI does not answer"
        time.sleep(0.3)
