"""What a run would make: the plan of the events' days and of every table, without making anything.

Put here the reading of the plan. Keep out making (`session.py`) and printing (`cli.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.days import DayPlan
from milestones_dagster.warehouse.observation import AsOfError
from milestones_dagster.warehouse.source_files import FileRefused
from milestones_dagster.warehouse.table import Table

_SHOWN_DAYS = 8
_SHOWN_FILES = 8
_FOLLOWS = "follows "
_NOTE = "A table that follows others is left as it is where neither their rows nor the times that it reads differ."


@dataclass(frozen=True)
class PlannedTable:
    """One table of the plan: `state` is `up to date`, `behind`, `waits` or `refused`."""

    table: str
    state: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Lines about sources and days, one entry per table, and what is true of all that follow others."""

    lines: tuple[str, ...]
    tables: tuple[PlannedTable, ...]
    note: str | None


def plan_of(session: Session) -> Plan:
    """What is behind, why, and what a run would make. It looks at the files (and records what it saw), and makes nothing."""
    look = session.days.look()
    shown = look.gone_files[:_SHOWN_FILES]
    lines = [f"watermark of {name}: {mark:%Y-%m-%d}" for name, mark in sorted(look.watermarks.items())]
    lines += [f"watermark of {name}: {mark:%Y-%m-%d %H:%M}" for name, mark in sorted(session.extract_times.items())]
    lines += [f"refused file: {file.reason}" for file in look.refused_files]
    lines += [f"gone file: {file}: its rows stand; deliver it again, or withdraw it (`milestones withdraw`)" for file in shown]
    if len(look.gone_files) > len(shown):
        lines.append(f"gone file: and {len(look.gone_files) - len(shown):,} more, up to {look.gone_files[-1]}")
    lines += [f"refused day: {day}: {reason}" for day, reason in look.blocked.items()]
    lines += [f"new column: {column} (noted; map it in sources.yaml if it is wanted)" for column in look.new_columns]
    lines += [f"missing day: {day}" for day in look.missing]
    for day, reason in operations.waivers(session.warehouse).items():
        # a day that was waived stays out until somebody lets it in
        delivered = "; rows have come for it: take the waiver back to load them" if look.rows_by_day.get(day) else ""
        lines.append(f"waived day: {day} ({reason}){delivered}")
    entries = {"raw_events": _events(look)}
    for table in session.declared.tables.values():
        if table.name not in entries:
            entries[table.name] = _entry(session, table, entries)
    is_made = bool(operations.publications(session.warehouse))
    is_following = any(entry.reason.startswith(_FOLLOWS) for entry in entries.values())
    return Plan(tuple(lines), tuple(entries.values()), _NOTE if is_made and is_following else None)


def _events(look: DayPlan) -> PlannedTable:
    refused = len(look.refused_files) + len(look.blocked) + len(look.missing)
    if refused:
        return PlannedTable("raw_events", "refused", f"{refused:,} file(s) or day(s) refused or missing, named above")
    days = sorted(str(day) for day in look.to_make)
    if not days:
        return PlannedTable("raw_events", "up to date", "no day differs")
    shown = ", ".join(days[:_SHOWN_DAYS]) + (f", … {days[-1]}" if len(days) > _SHOWN_DAYS else "")
    return PlannedTable("raw_events", "behind", f"{len(days):,} day(s) to make: {shown}")


def _entry(session: Session, table: Table, above: Mapping[str, PlannedTable]) -> PlannedTable:
    """The entry of one table, given those of the tables that it follows."""
    try:
        for source in table.sources:
            session.extract(source)
    except FileRefused as error:
        return PlannedTable(table.name, "refused", str(error))
    followed = [above[name] for name in table.dependencies]
    stopped = [entry.table for entry in followed if entry.state in {"refused", "waits"}]
    if stopped:
        return PlannedTable(table.name, "waits", f"a run stops at {', '.join(stopped)}")
    moved = [entry.table for entry in followed if entry.state == "behind"]
    if moved:
        # what the tables above change is known when they are made
        is_in_part = table.by == "month" and table.name in operations.publications(session.warehouse)
        extent = "; of its months the open ones, and the accounts that change" if is_in_part else ""
        return PlannedTable(table.name, "behind", f"{_FOLLOWS}{', '.join(moved)}{extent}")
    try:
        found = session.behind(table.name)
    except AsOfError as error:
        return PlannedTable(table.name, "waits", str(error))
    return PlannedTable(table.name, "up to date" if found.reason is None else "behind", found.reason or "nothing changed")
