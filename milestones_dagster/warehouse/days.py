"""The days of raw_events: which files touch which UTC day, which days must be made again, and their way through the gate.

Put here everything between a file of events and its published day. Keep out how a file is read (`source_mapping.py`), how a day's
rows lie on disk (`day_files.py`) and the tables that are made from the days (`publish.py`).

A day is made from all the files that touch it. Its signature is the content of those files and what they are mapped by; late
rows, a file that comes twice, a restated day and a load that was killed are all the same case: the signature differs from the
published one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Generic

from sqlglot import exp

from milestones_dagster.config.quality import QuarantineRule
from milestones_dagster.config.relations import Relation
from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse import day_rows, operations
from milestones_dagster.warehouse.day_files import DayFiles
from milestones_dagster.warehouse.day_rows import DayRows
from milestones_dagster.warehouse.delivered_days import delivered_days, own_days
from milestones_dagster.warehouse.delivered_files import DeliveredFiles, RefusedFile
from milestones_dagster.warehouse.duckdb import Warehouse, staged
from milestones_dagster.warehouse.gate import Audit, Result, refused_days
from milestones_dagster.warehouse.operations import FileDay, KnownFile

EMPTY_DAY = "empty"


@dataclass(frozen=True)
class DayPlan:
    """What a look at the files says must be done.

    `to_make` is signature by day; `blocked` the days that cannot be made, with the reason; `missing` the days without rows (or
    with a few late ones alone) between the first and the last of a source that refuses empty days; `refused_files` the files of
    this look that could not be accepted; `gone_files` those that were
    loaded and are not there any more; `new_columns` those that no run has told of yet.
    """

    to_make: dict[date, str]
    blocked: dict[date, str]
    missing: tuple[date, ...]
    refused_files: tuple[RefusedFile, ...]
    gone_files: tuple[Path, ...]
    new_columns: tuple[str, ...]
    watermarks: dict[str, datetime]
    rows_by_day: dict[date, int]

    def lacks(self, day: date) -> bool:
        """Whether the day is missing, refused or not published yet."""
        named = {file.nominal_day for file in self.refused_files}
        return day in self.missing or day in self.blocked or day in self.to_make or day in named


@dataclass
class DayOutcome(Generic[Result]):
    """What became of a plan: accepted and refused rows by made day, failing rules by refused day, all results by batch."""

    made: dict[date, tuple[int, int]] = field(default_factory=dict)
    refused: dict[date, list[str]] = field(default_factory=dict)
    results: list[Sequence[Result]] = field(default_factory=list)


class RawDays:
    """The days of raw_events in one warehouse.

    Args:
        warehouse: The open warehouse.
        sources: The declared event sources.
        base: Folder that relative paths start from.
        quarantine: The company's own row rules.
        run_id: Recorded in `operations`.
        now: Clock of this run, UTC without zone.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        sources: Sequence[EventSource],
        base: Path,
        quarantine: Sequence[QuarantineRule],
        run_id: str,
        now: datetime,
    ) -> None:
        self.warehouse = warehouse
        self.table = warehouse.tables["raw_events"]
        self.sources = {source.name: source for source in sources}
        self.run_id = run_id
        self.now = now
        self.rows = DayRows(warehouse, self.sources, quarantine)
        self.files = DayFiles(warehouse)
        self.delivered = DeliveredFiles(self.rows, base, run_id, now)

    # --- looking ---------------------------------------------------------------------------------------------------

    def look(self, progress: Callable[[int, int], None] | None = None) -> DayPlan:
        """Looks at every file, records what changed, and returns what must be made.

        A file that cannot be accepted is recorded as refused with its reason; the days it touched before keep their published rows.
        """
        refused, gone = self.delivered.look(progress)
        return self._plan(tuple(refused), gone)

    def plan(self) -> DayPlan:
        """What the recorded files say, without looking at the files again."""
        return self._plan((), set())

    # --- planning --------------------------------------------------------------------------------------------------

    def _plan(
        self,
        refused: tuple[RefusedFile, ...],
        gone: set[tuple[str, str]],
    ) -> DayPlan:
        files = {
            (name, file): record for name in self.sources for file, record in operations.known_files(self.warehouse, name).items()
        }
        by_day: dict[date, list[tuple[str, str]]] = defaultdict(list)
        rows_of: dict[str, Counter[date]] = defaultdict(Counter)
        rows_by_day: Counter[date] = Counter()
        for source, file, day, rows, _ in operations.file_days(self.warehouse):
            if (source, file) not in files:
                continue
            by_day[day].append((source, file))
            rows_of[source][day] += rows
            rows_by_day[day] += rows
        published = operations.published_days(self.warehouse)
        waived = operations.waivers(self.warehouse)
        days_of: dict[str, set[date]] = {}
        for name, rows_by_its_day in rows_of.items():
            with_rows = {key for keys in by_day.values() for key in keys if key[0] == name}
            days_of[name] = delivered_days([files[key] for key in sorted(with_rows)], rows_by_its_day)
        allowed_empty, missing = self._gaps(days_of)
        to_make: dict[date, str] = {}
        blocked: dict[date, str] = {}
        # a published day that no file touches any more was withdrawn by its file: it is made again, without rows
        for day in sorted(set(by_day) | allowed_empty | set(published)):
            wanted = self._signature([files[key] for key in by_day.get(day, [])])
            if published.get(day) == wanted or day in waived:
                continue
            unreadable = [file for file in by_day.get(day, []) if files[file].state == "refused"]
            lost = [file for file in by_day.get(day, []) if file in gone]
            if unreadable:
                blocked[day] = f"{Path(unreadable[0][1]).name} touches this day and is refused"
            elif lost:
                name = Path(lost[0][1]).name
                blocked[day] = f"{name} touches this day and is gone; deliver it again, or withdraw it (`milestones withdraw`)"
            else:
                to_make[day] = wanted
        return DayPlan(
            to_make=to_make,
            blocked=blocked,
            missing=tuple(sorted(missing - set(waived))),
            refused_files=tuple(file for file in refused if file.nominal_day is None or file.nominal_day not in waived),
            gone_files=tuple(Path(file) for _, file in sorted(gone)),
            new_columns=tuple(f"{file}: {column}" for file, column in operations.untold_columns(self.warehouse, "raw_events")),
            watermarks=self._watermarks(days_of, published, waived),
            rows_by_day=dict(rows_by_day),
        )

    def _gaps(self, days_of: Mapping[str, set[date]]) -> tuple[set[date], set[date]]:
        """Days without rows inside the sources: those that may be empty and those that are missing."""
        empty: set[date] = set()
        missing: set[date] = set()
        touched = {day for days in days_of.values() for day in days}
        for name, days in days_of.items():
            gaps = set(_calendar(min(days), max(days))) - days
            if self.sources[name].empty_days == "allow":
                empty |= gaps - touched
            else:
                missing |= gaps
        return empty, missing

    def _signature(self, files: Sequence[KnownFile]) -> str:
        if not files:
            return EMPTY_DAY
        parts = sorted(f"{file.content_hash}:{file.mapping_hash}" for file in files)
        return sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _watermarks(
        self,
        days_of: Mapping[str, set[date]],
        published: Mapping[date, str],
        waived: Mapping[date, str],
    ) -> dict[str, datetime]:
        marks: dict[str, datetime] = {}
        for name, days in days_of.items():
            may_be_empty = self.sources[name].empty_days == "allow"
            mark = min(days)
            while mark <= max(days):
                is_whole = mark in published and (mark in days or may_be_empty)
                if not is_whole and mark not in waived:
                    break
                mark += timedelta(days=1)
            marks[name] = datetime.combine(mark, time())
        return marks

    # --- making ----------------------------------------------------------------------------------------------------

    def make(
        self,
        plan: DayPlan,
        audit: Audit[Result],
        only: Iterable[date] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> DayOutcome[Result]:
        """Makes the days of `plan` (or `only` those), publishes the good ones, and says which were refused and why."""
        wanted = sorted(set(plan.to_make) if only is None else set(plan.to_make) & set(only))
        outcome: DayOutcome[Result] = DayOutcome()
        batches = _day_batches(wanted, plan.rows_by_day) or [[]]
        missing = list(plan.missing)
        done = 0
        for number, days in enumerate(batches):
            is_last = number == len(batches) - 1
            gaps = [day for day in missing if is_last or (days and day <= days[-1])]
            missing = [day for day in missing if day not in gaps]
            self._make_batch(days, gaps, plan, audit, outcome)
            done += len(days)
            if progress is not None:
                progress(done, len(wanted))
        self.files.show()
        return outcome

    def _make_batch(
        self,
        days: Sequence[date],
        missing: Sequence[date],
        plan: DayPlan,
        audit: Audit[Result],
        outcome: DayOutcome[Result],
    ) -> None:
        touched = operations.file_days(self.warehouse)
        files = self._files_of(days, touched)
        self.rows.attach_files(files, own_days(files, touched))
        expected = [(day, False, plan.rows_by_day.get(day, 0)) for day in days] + [(day, True, 0) for day in missing]
        columns = {"day": "DATE", "is_missing": "BOOLEAN", "delivered_rows": "BIGINT"}
        self.warehouse.attach("run", {"days": Relation(columns, sorted(expected))})
        paths: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            paths[file.source].append(Path(file.file))
        with self.rows.held(paths) as rows:
            results = self._audited(rows, audit)
            outcome.results.append(results)
            for day, names in refused_days(results, days).items():
                outcome.refused[day] = names
            good = [day for day in days if day not in outcome.refused]
            counts = self.files.write(rows, good)
        self.files.publish(good)
        operations.record_days(
            self.warehouse,
            [(day, plan.to_make[day], *counts.get(day, (0, 0))) for day in good],
            self.run_id,
            self.now,
        )
        outcome.made |= {day: counts.get(day, (0, 0)) for day in good}

    def _audited(self, rows: exp.Table, audit: Audit[Result]) -> Sequence[Result]:
        """The results of the table's rules over rows that are not published."""
        self.warehouse.connection.begin()
        try:
            view = exp.Create(this=staged(self.table), kind="VIEW", expression=exp.select("*").from_(rows))
            self.warehouse.execute(view)
            return audit(self.table, staged(self.table))
        finally:
            # a rule that could not be evaluated may have aborted the transaction; nothing of it is kept anyhow
            self.warehouse.connection.rollback()

    def _files_of(self, days: Sequence[date], touched: Sequence[FileDay]) -> list[KnownFile]:
        wanted = set(days)
        keys = {(source, file) for source, file, day, _, _ in touched if day in wanted}
        return [
            record
            for name in self.sources
            for file, record in operations.known_files(self.warehouse, name).items()
            if (name, file) in keys
        ]


def _day_batches(days: Sequence[date], rows_by_day: Mapping[date, int]) -> list[list[date]]:
    batches: list[list[date]] = []
    size = day_rows.BATCH_ROWS
    for day in days:
        if size >= day_rows.BATCH_ROWS:
            batches.append([])
            size = 0
        batches[-1].append(day)
        size += rows_by_day.get(day, 0)
    return batches


def _calendar(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
