"""The command line: `milestones`.

Put here commands and their help. Keep out what they print at length (`cli_console.py`, `cli_headline.py`, `cli_what_if.py`) and
what they do: every command calls one function of another package, imported when it runs, so that `--help` answers at once.
"""

import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from milestones_dagster.cli_console import Bars, new_console, plain, print_outcome, print_where, refused_rules, shown_path, told
from milestones_dagster.cli_opening import Refusal, opened, reading, refusing, wired

_LEFT_OUT_DAYS_AGO = 30


class _Day(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click alone
    """A calendar day as people write it in a file's name: 2026-05-31."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day; anything else is refused in a sentence."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write it as 2026-05-31", param, ctx)


class _Commands(click.Group):
    """The commands; what the operating system refuses is told in a sentence too."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            raise Refusal(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error


_CONFIG = click.option(
    "--config",
    "config_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("assets_config"),
    show_default=True,
    help="Folder with framework.yaml and sources.yaml.",
)


@click.group("milestones", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Customer milestones from product events: setup, activation, usage, maturity, retention."""


@main.command()
@_CONFIG
@click.option("--as-of", type=_Day(), help="See everything as of the start of this day (UTC), in a warehouse of its own.")
def run(config_dir: Path, as_of: date | None) -> None:
    """Load what is new, bring every table up to date behind its gate, print the headline."""
    from milestones_dagster.orchestration.running import dagster_home, run_graph

    console = new_console()
    progress = Bars(console)
    wiring = wired(config_dir, as_of=as_of, progress=progress)
    path = Path(wiring.warehouse.database)
    product, tables = wiring.declared.config.framework.product, len(wiring.declared.tables)
    console.print(f"[bold]{plain(product)}[/]: {tables} tables into {plain(shown_path(path))}")
    for warning in wiring.declared.config.warnings:
        console.print(f"[yellow]note[/] {plain(str(warning))}")
    with progress:
        done = run_graph(wiring.definitions, dagster_home(path), progress.end, progress.begin, progress.wait)
    print_outcome(console, done)
    # the milestones are there also where another table, such as the ranking, was refused
    if done.is_made("serving"):
        from milestones_dagster.cli_headline import print_headline
        from milestones_dagster.report.headline import read_headline

        print_headline(console, read_headline(path))
        print_where(console, config_dir, path, has_ui=as_of is None)
    if not done.is_success:
        sys.exit(1)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--accounts", type=click.IntRange(200, 200_000), default=2_000, show_default=True, help="Customers.")
@click.option("--months", type=click.IntRange(6, 60), default=24, show_default=True, help="Months of history.")
@click.option("--until", type=_Day(), default="2026-07-01", show_default=True, help="End of the history, excluded.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="The same seed gives the same company.")
@click.option("--events-per-account", type=click.IntRange(1, 10_000), help="Raise the mean number of events per customer to this.")
@click.option("--dirt", is_flag=True, help="Deliver late, repeated, malformed, future and unknown events, and leave a day out.")
@click.option("--overwrite", is_flag=True, help="Replace a company that was made with other parameters.")
def demo(
    folder: Path,
    accounts: int,
    months: int,
    until: date,
    seed: int,
    events_per_account: int | None,
    dirt: bool,
    overwrite: bool,
) -> None:
    """Write a demonstration company, with its planted truth beside it, into FOLDER.

    A company that is already there with the same parameters is left as it is.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from milestones_dagster.demo.generate import DemoFolderError, generate
    from milestones_dagster.demo.world import Dirt

    console = new_console()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    ) as bars:  # fmt: skip
        task = bars.add_task("demonstration company", total=None)
        try:
            truth = generate(
                folder,
                accounts=accounts,
                months=months,
                until=until,
                seed=seed,
                events_per_account=events_per_account,
                dirt=Dirt(missing_day=until - timedelta(days=_LEFT_OUT_DAYS_AGO)) if dirt else None,
                progress=lambda step, steps: bars.update(task, completed=step, total=steps),
                overwrite=overwrite,
            )
        except (DemoFolderError, ValueError) as error:
            raise Refusal(str(error)) from error
    console.print(f"{plain(shown_path(folder))}: the company; {plain(shown_path(truth))}: what is planted in it")


@main.command("check-config")
@click.argument("config_dir", type=click.Path(path_type=Path), default=Path("assets_config"))
def check_config_command(config_dir: Path) -> None:
    """Print every problem of a config folder.

    All problems of all files are printed at once; the exit code is 1 when there is an error.
    """
    from milestones_dagster.config.loader import check_config, load_config

    problems = check_config(config_dir)
    for problem in problems:
        click.echo(told(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    if not errors:
        from milestones_dagster.orchestration.session import Declared
        from milestones_dagster.quality.suites import SuiteError

        try:
            Declared.of(load_config(config_dir))
        except SuiteError as error:
            errors = len(error.problems)
            click.echo(refused_rules(error.problems))
    click.echo(f"{config_dir}: {errors} error(s), {warnings} warning(s)" if errors or warnings else f"{config_dir}: no problems")
    if errors:
        sys.exit(1)


@main.command()
@_CONFIG
def plan(config_dir: Path) -> None:
    """Print what is behind, why, and what a run would make. Nothing is made."""
    from milestones_dagster.orchestration.planning import plan_of

    with opened(config_dir) as session:
        found = plan_of(session)
    for line in found.lines:
        click.echo(line)
    width = max(len(entry.table) for entry in found.tables)
    for entry in found.tables:
        click.echo(f"{entry.table:<{width}} {entry.state:<10} {entry.reason}")
    if found.note is not None:
        click.echo(found.note)


@main.command("what-if")
@_CONFIG
@click.option(
    "--set",
    "settings",
    multiple=True,
    required=True,
    metavar="KEY=VALUE",
    help="What framework.yaml would say, such as activation.threshold=25; items of a list by name. May be repeated.",
)
def what_if(config_dir: Path, settings: tuple[str, ...]) -> None:
    """Show how reach, retention gaps and the customers' stages would change if the framework said something else.

    The published tables stay as they are: the answer is made in a copy, which is removed.
    """
    from milestones_dagster.cli_what_if import print_answer
    from milestones_dagster.config.overrides import Override
    from milestones_dagster.orchestration.what_if import ask

    try:
        overrides = [Override.of(text) for text in settings]
    except ValueError as error:
        raise Refusal(str(error)) from error
    console = new_console()
    with refusing(), console.status("what if") as status:
        wiring = wired(config_dir)
        answer = ask(
            config_dir, wiring.warehouse, overrides, lambda table: status.update(f"what if: {table}"), on_wait=status.update
        )
    print_answer(console, answer, settings)


@main.command()
@click.argument("other", type=click.Path(path_type=Path, dir_okay=False), metavar="WAREHOUSE")
@_CONFIG
def compare(other: Path, config_dir: Path) -> None:
    """Tell whether WAREHOUSE, another one's file, holds the same rows as this config's. Nothing is changed in either.

    For a move to another engine or machine, a new version of this product, or a rebuild: let both make the same days, then
    compare. Floats are compared to nine digits. The exit code is 1 when a table differs, other than one that remembers what
    earlier runs found.
    """
    from milestones_dagster.warehouse.equality import NoWarehouseError
    from milestones_dagster.warehouse.equality import compare as compared

    wiring = wired(config_dir)
    path = Path(wiring.warehouse.database)
    if path.resolve() == other.resolve():
        raise Refusal(f"{other} is this config's own warehouse; name the file of another one")
    with reading(wiring, path) as here, reading(wiring, other) as there:
        try:
            found = compared(here, there, wiring.declared.tables)
        except NoWarehouseError as error:
            raise Refusal(str(error)) from error
    for table in found:
        remembered = " (it remembers earlier runs)" if table.difference and table.remembers else ""
        click.echo(f"{table.table:<28} {table.rows:>13,} rows  {table.difference or 'the same'}{remembered}")
    differing = sum(bool(table.difference) and not table.remembers for table in found)
    click.echo(f"{shown_path(path)} and {shown_path(other)}: {differing} of {len(found)} tables differ")
    if differing:
        sys.exit(1)


@main.command()
@click.argument("day", type=_Day(), metavar="DAY")
@_CONFIG
@click.option("--reason", default="", help="Why the day may be passed over; kept with the waiver.")
@click.option("--undo", is_flag=True, help="Take the waiver back.")
def waive(day: date, config_dir: Path, reason: str, undo: bool) -> None:
    """Let the watermark pass a day that is missing or refused.

    DAY is a UTC day, such as 2026-05-31; `milestones plan` lists those that are missing or refused.
    """
    from milestones_dagster.warehouse import operations
    from milestones_dagster.warehouse.days import EMPTY_DAY

    if not undo and not reason.strip():
        raise Refusal("waive: --reason is missing; say why the day may be passed over, it is kept with the waiver")
    with opened(config_dir) as session:
        if undo:
            was_waived = operations.unwaive(session.warehouse, day)
            click.echo(f"{day}: the waiver is taken back" if was_waived else f"{day} was not waived")
            return
        if operations.published_days(session.warehouse).get(day, EMPTY_DAY) != EMPTY_DAY:
            raise Refusal(f"{day} is published; only a day that is missing or refused can be waived")
        if not session.days.look().lacks(day):
            # waived ahead of its delivery, a good day would never be loaded
            raise Refusal(f"{day} is neither missing nor refused; `milestones plan` lists the days that are")
        operations.waive(session.warehouse, day, reason.strip(), datetime.now(UTC).replace(tzinfo=None))
    click.echo(f"{day}: waived ({reason.strip()}); the next run passes it")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_CONFIG
def withdraw(file: Path, config_dir: Path) -> None:
    """Say that FILE, which was loaded and is gone, does not come back: the next run makes its days without it.

    FILE is its path, or the end of it that tells it from the others, such as its name; `milestones plan` lists the files that
    are gone.
    """
    from milestones_dagster.orchestration.withdrawal import WithdrawalError
    from milestones_dagster.orchestration.withdrawal import withdraw as withdrawn

    with opened(config_dir) as session:
        try:
            path = withdrawn(session, file)
        except WithdrawalError as error:
            raise Refusal(str(error)) from error
    click.echo(f"{shown_path(path)}: withdrawn; the next run makes its days without it")


@main.command()
@_CONFIG
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that it listens on.")
def ui(config_dir: Path, port: int, host: str) -> None:
    """Serve the Dagster UI and its daemon (schedules, sensors, alerts) with this config's run history."""
    from milestones_dagster.orchestration.running import dagster_home, limit_pool
    from milestones_dagster.wiring import CONFIG_VARIABLE

    wiring = wired(config_dir)
    home = dagster_home(Path(wiring.warehouse.database))
    limit_pool(home)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        CONFIG_VARIABLE: str(config_dir.resolve()),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    click.echo(f"Dagster UI on http://{host}:{port}, run history in {shown_path(home)}; stop with Ctrl-C")
    program = str(Path(sys.executable).with_name("dagster"))
    arguments = [program, "dev", "-m", "milestones_dagster.definitions", "-h", host, "-p", str(port)]
    os.execve(program, arguments, environment)  # noqa: S606 - the program stands beside this interpreter


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("assets_config/schemas"))
def schemas(folder: Path) -> None:
    """Write the JSON Schemas of the config files, for editors, into FOLDER."""
    from milestones_dagster.config.schemas import write_schemas

    write_schemas(folder)
    click.echo(f"{folder}: written")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("docs/data_dictionary.md"))
def dictionary(file: Path) -> None:
    """Write the data dictionary, every table as its .sql declares it, into FILE."""
    from milestones_dagster.quality.suites import suite
    from milestones_dagster.report.dictionary import dictionary as written
    from milestones_dagster.warehouse.table import load_tables

    tables = load_tables(config_relations=None)
    suites = {name: suite(table, table.suite_path, None) for name, table in tables.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(written(tables, suites), encoding="utf-8")
    click.echo(f"{file}: {len(tables)} tables")
