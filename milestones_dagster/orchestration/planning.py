"""What a run would make: the plan of the events' days and of every table, without making anything.

Put here the reading of the plan. Keep out making (`session.py`) and printing (`cli.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.observation import AsOfError
from milestones_dagster.warehouse.source_files import FileRefused

_SHOWN_DAYS = 8


@dataclass(frozen=True)
class PlannedTable:
    """One table of the plan: `state` is `up to date`, `behind`, `waits` or `refused`."""

    table: str
    state: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Lines about sources and days, and one entry per table."""

    lines: tuple[str, ...]
    tables: tuple[PlannedTable, ...]


def plan_of(session: Session) -> Plan:
    """What is behind, why, and what a run would make. It looks at the files (and records what it saw), and makes nothing."""
    look = session.days.look()
    lines = [f"watermark of {name}: {mark:%Y-%m-%d}" for name, mark in sorted(look.watermarks.items())]
    lines += [f"watermark of {name}: {mark:%Y-%m-%d %H:%M}" for name, mark in sorted(session.extract_times.items())]
    lines += [f"refused file: {file.reason}" for file in look.refused_files]
    lines += [f"refused day: {day}: {reason}" for day, reason in look.blocked.items()]
    lines += [f"missing day: {day}" for day in look.missing]
    lines += [f"waived day: {day} ({reason})" for day, reason in operations.waivers(session.warehouse).items()]
    entries = [_events(look.to_make)]
    is_behind = {"raw_events"} if look.to_make else set()
    for table in session.declared.tables.values():
        if table.name == "raw_events":
            continue
        above = sorted(is_behind & set(table.dependencies))
        entry = PlannedTable(table.name, "behind", f"follows {', '.join(above)}") if above else _entry(session, table.name)
        if entry.state != "up to date":
            is_behind.add(table.name)
        entries.append(entry)
    return Plan(tuple(lines), tuple(entries))


def _events(to_make: Mapping[date, str]) -> PlannedTable:
    days = sorted(str(day) for day in to_make)
    if not days:
        return PlannedTable("raw_events", "up to date", "no day differs")
    shown = ", ".join(days[:_SHOWN_DAYS]) + (f", … {days[-1]}" if len(days) > _SHOWN_DAYS else "")
    return PlannedTable("raw_events", "behind", f"{len(days):,} day(s) to make: {shown}")


def _entry(session: Session, name: str) -> PlannedTable:
    try:
        found = session.behind(name)
    except FileRefused as error:
        return PlannedTable(name, "refused", str(error))
    except AsOfError as error:
        return PlannedTable(name, "waits", str(error))
    return PlannedTable(name, "up to date" if found.reason is None else "behind", found.reason or "nothing changed")
