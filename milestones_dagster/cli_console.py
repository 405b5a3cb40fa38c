"""What the command line prints of a run: where things lie, how far it is, how each table ended.

Put here words and progress that more than one command needs. Keep out the commands (`cli.py`) and the headline (`cli_headline.py`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from milestones_dagster.config.problems import Problem
    from milestones_dagster.orchestration.running import RunDone, StepDone

_MOST_NAMES = 5


def new_console() -> "Console":
    """A console that breaks no line and colours no number by itself."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def told(problem: "Problem") -> str:
    """One problem of a config as a line."""
    return f"{problem.severity}: {problem}"


def refused_rules(problems: "Sequence[str]") -> str:
    """The problems of the suites, a line each."""
    return "\n".join(f"error: {problem}" for problem in problems)


def plain(text: str) -> str:
    """Text of others as it is: what rich would take for its own markup, such as a list in brackets, is kept."""
    from rich.markup import escape

    return escape(text)


def shown_path(path: Path) -> str:
    """The path as a person here would type it."""
    path = path.resolve()
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class Bars:
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

    def wait(self, sentence: str) -> None:
        """Prints why no table is begun yet."""
        self._console.print(f"[yellow]note[/] {plain(sentence)}")

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
        self._console.print(f"{mark} {step.table:<24}{shown} {step.seconds:>7.1f} s  {plain(_how(step))}")
        for check in step.failed_checks:
            colour = "red" if check.is_blocking else "yellow"
            self._console.print(f"    [{colour}]{check.name}[/]: {plain(check.found)}")
            for sentence in check.recovery:
                self._console.print(f"      → {plain(sentence)}")
        if step.error is not None and not any(check.is_blocking for check in step.failed_checks):
            self._console.print(f"    {plain(step.error)}")


def _how(step: "StepDone") -> str:
    """How a table came to its rows, in a word or two."""
    days = step.facts.get("days_made")
    if isinstance(days, int):
        return f"{days:,} day(s) made" if days else "unchanged"
    return str(step.facts.get("state", ""))


def print_outcome(console: "Console", done: "RunDone") -> None:
    """Prints what a run did not make, and why where no step has said it."""
    if done.error is not None:
        console.print(f"[red]{plain(done.error)}[/]")
    refused = [step.table for step in done.steps if not step.is_success]
    if refused:
        console.print(f"[red]refused[/]: {', '.join(refused)}")
    if done.not_made:
        console.print(f"not made: {_listed(done.not_made)}")


def _listed(names: "Sequence[str]") -> str:
    return ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def print_where(console: "Console", config_dir: Path, path: Path, *, has_ui: bool) -> None:
    """Prints where the tables of a run lie and how to look at them."""
    from milestones_dagster.warehouse.serving import serving_path

    console.print(f"\nTables to query:  {plain(shown_path(serving_path(path)))} (DuckDB; opened at any time)")
    console.print(f"The warehouse:    {plain(shown_path(path))}")
    if has_ui:
        command = "make ui" if config_dir == Path("assets_config") else f"milestones ui --config {config_dir}"
        console.print(f"Lineage, checks and history in the Dagster UI:  {plain(command)}")
