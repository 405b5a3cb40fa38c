"""The command line: `milestones`.

Put here commands, their help and what they print. Keep out what they do: every command calls one function of another package,
imported when it runs, so that `--help` answers at once.
"""

import os
import sys
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from milestones_dagster.config.problems import Problem
    from milestones_dagster.orchestration.running import RunDone, StepDone
    from milestones_dagster.orchestration.session import Session
    from milestones_dagster.report.headline import Headline, InForce
    from milestones_dagster.wiring import Wiring

_MOST_NAMES = 5
_LEFT_OUT_DAYS_AGO = 30
_WORDS = {
    "setup": "setup complete in time",
    "activation": "activated in time",
    "usage": "usage reached",
    "maturity": "mature",
}


class Refusal(click.ClickException):
    """An error that is the user's to mend: its sentence is printed without a trace, the exit code is 1."""

    def show(self, file: Any = None) -> None:
        """Prints the sentence as it is: it begins with the file or the thing that it is about."""
        click.echo(self.message, err=True, file=file)


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

    console = _console()
    progress = _Bars(console)
    wiring = _wire(config_dir, as_of=as_of, progress=progress)
    path = Path(wiring.warehouse.database)
    product, tables = wiring.declared.config.framework.product, len(wiring.declared.tables)
    console.print(f"[bold]{_plain(product)}[/]: {tables} tables into {_plain(_shown(path))}")
    for warning in wiring.declared.config.warnings:
        console.print(f"[yellow]note[/] {_plain(str(warning))}")
    with progress:
        done = run_graph(wiring.definitions, dagster_home(path), progress.end, progress.begin)
    _print_outcome(console, done)
    # the milestones are there also where another table, such as the ranking, was refused
    if done.is_made("serving"):
        from milestones_dagster.report.headline import read_headline

        print_headline(console, read_headline(path))
        _print_where(console, config_dir, path, has_ui=as_of is None)
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

    console = _console()
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
    console.print(f"{_plain(_shown(folder))}: the company; {_plain(_shown(truth))}: what is planted in it")


@main.command("check-config")
@click.argument("config_dir", type=click.Path(path_type=Path), default=Path("assets_config"))
def check_config_command(config_dir: Path) -> None:
    """Print every problem of a config folder.

    All problems of all files are printed at once; the exit code is 1 when there is an error.
    """
    from milestones_dagster.config.loader import check_config, load_config

    problems = check_config(config_dir)
    for problem in problems:
        click.echo(_told(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    if not errors:
        from milestones_dagster.orchestration.session import Declared
        from milestones_dagster.quality.suites import SuiteError

        try:
            Declared.of(load_config(config_dir))
        except SuiteError as error:
            errors = len(error.problems)
            click.echo(_refused_rules(error.problems))
    click.echo(f"{config_dir}: {errors} error(s), {warnings} warning(s)" if errors or warnings else f"{config_dir}: no problems")
    if errors:
        sys.exit(1)


@main.command()
@_CONFIG
def plan(config_dir: Path) -> None:
    """Print what is behind, why, and what a run would make. Nothing is made."""
    from milestones_dagster.orchestration.planning import plan_of

    with _open(config_dir) as session:
        found = plan_of(session)
    for line in found.lines:
        click.echo(line)
    for entry in found.tables:
        click.echo(f"{entry.table:<24} {entry.state:<10} {entry.reason}")


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
    console = _console()
    with _refusing(), console.status("what if") as status:
        wiring = _wire(config_dir)
        answer = ask(config_dir, wiring.warehouse, overrides, lambda table: status.update(f"what if: {table}"))
    print_answer(console, answer, settings)


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
    with _open(config_dir) as session:
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

    with _open(config_dir) as session:
        try:
            path = withdrawn(session, file)
        except WithdrawalError as error:
            raise Refusal(str(error)) from error
    click.echo(f"{_shown(path)}: withdrawn; the next run makes its days without it")


@main.command()
@_CONFIG
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that it listens on.")
def ui(config_dir: Path, port: int, host: str) -> None:
    """Serve the Dagster UI and its daemon (schedules, sensors, alerts) with this config's run history."""
    from milestones_dagster.orchestration.running import dagster_home
    from milestones_dagster.wiring import CONFIG_VARIABLE

    wiring = _wire(config_dir)
    home = dagster_home(Path(wiring.warehouse.database))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        CONFIG_VARIABLE: str(config_dir.resolve()),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    click.echo(f"Dagster UI on http://{host}:{port}, run history in {_shown(home)}; stop with Ctrl-C")
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


# --- opening --------------------------------------------------------------------------------------------------------


def _wire(config_dir: Path, *, as_of: date | None = None, progress: Any = None) -> "Wiring":
    """The wiring of a config folder; every problem of the config is printed when it cannot be accepted."""
    from milestones_dagster.config.loader import load_config
    from milestones_dagster.wiring import wire

    overrides: dict[str, Any] = {"progress": progress} if progress is not None else {}
    with _refusing():
        if as_of is not None:
            # a past as-of has a warehouse of its own: published tables are only ever as of the newest watermark
            path = load_config(config_dir).warehouse_path
            overrides["warehouse_path"] = path.with_name(f"{path.stem}_as_of_{as_of}.duckdb")
            overrides["as_of"] = as_of.isoformat()
        return wire(config_dir, **overrides)


@contextmanager
def _open(config_dir: Path) -> "Iterator[Session]":
    """A session on the warehouse of a config folder, closed when the block ends; what it refuses is told in a sentence."""
    from milestones_dagster.orchestration.resources import open_session

    wiring = _wire(config_dir)
    with _refusing(), open_session(wiring.warehouse, wiring.declared) as session:
        yield session


@contextmanager
def _refusing() -> "Iterator[None]":
    """Tells in sentences what a config, a warehouse or a source refuses, every problem of a config at once."""
    from milestones_dagster.config.loader import ConfigError
    from milestones_dagster.orchestration.resources import WarehouseError
    from milestones_dagster.orchestration.what_if import WhatIfError
    from milestones_dagster.quality.suites import SuiteError
    from milestones_dagster.warehouse.observation import AsOfError
    from milestones_dagster.warehouse.source_files import FileRefused

    try:
        yield
    except ConfigError as error:
        raise Refusal("\n".join(_told(problem) for problem in error.problems)) from error
    except SuiteError as error:
        raise Refusal(_refused_rules(error.problems)) from error
    except (WarehouseError, FileRefused, AsOfError, WhatIfError) as error:
        raise Refusal(str(error)) from error


# --- printing -------------------------------------------------------------------------------------------------------


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _told(problem: "Problem") -> str:
    return f"{problem.severity}: {problem}"


def _refused_rules(problems: "Sequence[str]") -> str:
    return "\n".join(f"error: {problem}" for problem in problems)


def _plain(text: str) -> str:
    """Text of others as it is: what rich would take for its own markup, such as a list in brackets, is kept."""
    from rich.markup import escape

    return escape(text)


def _shown(path: Path) -> str:
    """The path as a person here would type it."""
    path = path.resolve()
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class _Bars:
    """Progress of a run: one line per finished table, a bar while events are loaded."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = console
        self._bars = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, transient=True,
        )  # fmt: skip
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Moves the bar of what is being worked through."""
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = self._bars.add_task(f"raw_events: {what}", total=total)
        self._bars.update(task, completed=done, total=total)

    def begin(self, table: str) -> None:
        """Shows that a table is being made."""
        self._tasks[table] = self._bars.add_task(table, total=None)

    def end(self, step: "StepDone") -> None:
        """Prints how a table ended."""
        for name in (step.table, "files", "days"):
            task = self._tasks.pop(name, None)
            if task is not None:
                self._bars.remove_task(task)
        rows = step.facts.get("dagster/row_count")
        shown = f"{rows:>12,} rows" if isinstance(rows, int) else " " * 17
        mark = "[green]✓[/]" if step.is_success else "[red]✗[/]"
        self._console.print(f"{mark} {step.table:<24}{shown} {step.seconds:>7.1f} s  {_plain(_how(step))}")
        for check in step.failed_checks:
            colour = "red" if check.is_blocking else "yellow"
            self._console.print(f"    [{colour}]{check.name}[/]: {_plain(check.found)}")
            for sentence in check.recovery:
                self._console.print(f"      → {_plain(sentence)}")
        if step.error is not None and not any(check.is_blocking for check in step.failed_checks):
            self._console.print(f"    {_plain(step.error)}")


def _how(step: "StepDone") -> str:
    """How a table came to its rows, in a word or two."""
    days = step.facts.get("days_made")
    if isinstance(days, int):
        return f"{days:,} day(s) made" if days else "unchanged"
    return str(step.facts.get("state", ""))


def _print_outcome(console: "Console", done: "RunDone") -> None:
    """Prints what a run did not make, and why where no step has said it."""
    if done.error is not None:
        console.print(f"[red]{_plain(done.error)}[/]")
    refused = [step.table for step in done.steps if not step.is_success]
    if refused:
        console.print(f"[red]refused[/]: {', '.join(refused)}")
    if done.not_made:
        console.print(f"not made: {_listed(done.not_made)}")


def _listed(names: "Sequence[str]") -> str:
    return ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def print_headline(console: "Console", headline: "Headline") -> None:
    """Prints the numbers that a person wants first, as a run does at its end."""
    from rich.table import Table as Grid

    month = f"{headline.month:%B %Y}" if headline.month is not None else "no whole month yet"
    console.print(
        f"\n[bold]As of {headline.as_of:%Y-%m-%d}[/], {month}: {headline.customers:,} customers, {headline.paying:,} paying"
    )
    grid = Grid("milestone", "reached", "of", "share", "open", box=None, pad_edge=False)
    for share in headline.milestones:
        percent = f"{share.reached / share.accounts:.1%}" if share.accounts else "–"
        still_open = f"{share.open_accounts:,}" if share.open_accounts else ""
        grid.add_row(_WORDS[share.name], f"{share.reached:,}", f"{share.accounts:,}", percent, still_open)
    console.print(grid)
    _print_thresholds(console, headline)
    bands = Grid("activation events", "accounts", "retained", "share", box=None, pad_edge=False)
    for band in headline.retention:
        percent = f"{band.retained / band.accounts:.1%}" if band.accounts else "–"
        bands.add_row(_plain(band.band), f"{band.accounts:,}", f"{band.retained:,}", percent)
    console.print("\n[bold]Retention by activation[/] (it goes with staying, it is not shown to cause it)")
    console.print(bands)
    if headline.apart.sentence is not None:
        console.print(headline.apart.sentence)
    if headline.auc is not None:
        value, low, high = headline.auc
        console.print(f"\n[bold]What goes with staying[/]: held-out AUC {value:.3f} (95 % interval {low:.3f} to {high:.3f})")
        top = Grid("feature", "importance", "interval", "verdict", box=None, pad_edge=False)
        if not headline.features:
            console.print("every feature is too common or too narrow to tell customers apart (see evidence.feature_importance)")
        for feature in headline.features:
            interval = f"{feature.low:.4f} to {feature.high:.4f}"
            top.add_row(_plain(feature.title), f"{feature.importance:.4f}", interval, feature.verdict)
        if headline.features:
            console.print(top)
    console.print()
    for note in headline.notes:
        console.print(f"· {_plain(note)}")


def _print_thresholds(console: "Console", headline: "Headline") -> None:
    """Prints the thresholds in force, the adopted and the derived value side by side with whom the difference would move."""
    console.print("\n[bold]Thresholds[/]: what the company has adopted, and what retention derives")
    for found in headline.thresholds:
        nobody = "none in force, nobody counts as having reached it"
        value = nobody if found.value is None else f"{found.value:.4g} in force ({found.origin})"
        adopted = "nothing adopted" if found.adopted is None else f"adopted {found.adopted:.4g}"
        console.print(f"{found.milestone:<11} {value}; {adopted}, {_derived(found)}")


def _derived(found: "InForce") -> str:
    """What retention derives and whom the difference to the adopted value would move, or why there is none."""
    if not found.is_measured:
        return f"not measured at this time (see evidence.{found.milestone}_threshold)"
    if found.derived is None:
        return f"nothing derived: {found.why}"
    derived = f"derived {found.derived:.4g} (trust {found.trust})"
    if found.adopted is None:
        return derived
    if not found.moved_accounts:
        return f"{derived}: the difference would move nobody"
    share = f" ({found.moved_share:.1%})" if found.moved_share is not None else ""
    return f"{derived}: the difference would move {found.moved_accounts:,} accounts{share} to {found.moved_towards}"


def _print_where(console: "Console", config_dir: Path, path: Path, *, has_ui: bool) -> None:
    from milestones_dagster.warehouse.serving import serving_path

    console.print(f"\nTables to query:  {_plain(_shown(serving_path(path)))} (DuckDB; opened at any time)")
    console.print(f"The warehouse:    {_plain(_shown(path))}")
    if has_ui:
        command = "make ui" if config_dir == Path("assets_config") else f"milestones ui --config {config_dir}"
        console.print(f"Lineage, checks and history in the Dagster UI:  {_plain(command)}")
