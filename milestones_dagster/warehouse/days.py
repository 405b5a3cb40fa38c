"""The days of raw_events: which files touch which UTC day, which days must be made again, and their way through the gate.

Put here everything between a file of events and its published day. Keep out how a file is read (`source_mapping.py`), how a day's
rows lie on disk (`day_files.py`) and the tables that are made from the days (`publish.py`).

A day is made from all the files that touch it. Its signature is the content of those files and what they are mapped by; late
rows, a file that comes twice, a restated day and a load that was killed are all the same case: the signature differs from the
published one.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Generic

from sqlglot import exp

from milestones_dagster.config.quality import QuarantineRule
from milestones_dagster.config.relations import Relation
from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.day_files import DayFiles, nominal_day
from milestones_dagster.warehouse.day_rows import DayRows
from milestones_dagster.warehouse.delivered_days import delivered_days, own_days
from milestones_dagster.warehouse.duckdb import Warehouse, staged
from milestones_dagster.warehouse.gate import Audit, Result, refused_days
from milestones_dagster.warehouse.operations import FileDay, KnownFile
from milestones_dagster.warehouse.reading import columns_read
from milestones_dagster.warehouse.source_files import FileRefused, describe_file, discover
from milestones_dagster.warehouse.source_inspection import FileInspection, inspect
from milestones_dagster.warehouse.source_schema import check_schema, remember_schema

EMPTY_DAY = "empty"
BATCH_ROWS = 2_000_000
_Seen = tuple[KnownFile, FileInspection | FileRefused]
"""The record of a file as far as it is known without the other files, and what it holds or why it cannot be accepted."""


@dataclass(frozen=True)
class RefusedFile:
    """A file that could not be accepted, and the day that its name tells, if any."""

    source: str
    file: Path
    reason: str
    nominal_day: date | None


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
        self.base = base
        self.quarantine = tuple(quarantine)
        self.run_id = run_id
        self.now = now
        self.rows = DayRows(warehouse, self.sources, self.quarantine)
        self.files = DayFiles(warehouse)

    # --- looking ---------------------------------------------------------------------------------------------------

    def look(self, progress: Callable[[int, int], None] | None = None) -> DayPlan:
        """Looks at every file, records what changed, and returns what must be made.

        A file that cannot be accepted is recorded as refused with its reason; the days it touched before keep their published rows.
        """
        refused: list[RefusedFile] = []
        new_columns: dict[str, list[str]] = {}
        gone: set[tuple[str, str]] = set()
        for source in self.sources.values():
            try:
                paths = discover(source, self.base)
            except FileRefused as error:
                refused.append(RefusedFile(source.name, error.path, str(error), None))
                paths = []
            known = operations.known_files(self.warehouse, source.name)
            gone |= {(source.name, name) for name in set(known) - {str(path) for path in paths}}
            changed: list[KnownFile] = []
            with closing(self._seen(source, paths, known)) as files:
                for number, (path, seen) in enumerate(files, start=1):
                    try:
                        found = None if seen is None else self._record(source, path, seen(), known, new_columns)
                    except FileRefused as error:
                        refused.append(RefusedFile(source.name, path, str(error), nominal_day(path)))
                    else:
                        if found is not None:
                            changed.append(found)
                            # the next file of this load is compared with this one
                            known[str(path)] = found
                    if progress is not None:
                        progress(number, len(paths))
            self._touch(source, changed, new_columns)
            gone -= operations.forget_moved(self.warehouse, source.name, gone)
        return self._plan(tuple(refused), gone)

    def plan(self) -> DayPlan:
        """What the recorded files say, without looking at the files again."""
        return self._plan((), set())

    def _seen(
        self, source: EventSource, paths: Sequence[Path], known: Mapping[str, KnownFile]
    ) -> Generator[tuple[Path, Callable[[], _Seen] | None]]:
        """The files in their order, each with what gives (or raises) what was seen in it; None for a file that is as it was.

        Files are independent of each other until their columns are compared, so as many are read at once as there are threads.
        """
        mapping = self._mapping_hash(source)
        pool = ThreadPoolExecutor(max_workers=int(self.warehouse.scalar("SELECT current_setting('threads')")))
        try:
            yield from [(path, self._if_changed(pool, source, path, mapping, known.get(str(path)))) for path in paths]
        finally:
            # an error or an interrupt does not wait for the files that nobody has begun to read
            pool.shutdown(cancel_futures=True)

    def _if_changed(
        self, pool: ThreadPoolExecutor, source: EventSource, path: Path, mapping: str, before: KnownFile | None
    ) -> Callable[[], _Seen] | None:
        """The reading of a file, begun; None where it is as it was and was accepted."""
        status = path.stat()
        modified_at = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
        is_same = before is not None and (before.size_bytes, before.modified_at) == (status.st_size, modified_at)
        if before is not None and is_same and before.mapping_hash == mapping:
            return partial(_refuse_again, path, before) if before.state == "refused" else None
        record = KnownFile(
            source=source.name,
            file=str(path),
            size_bytes=status.st_size,
            modified_at=modified_at,
            content_hash="",
            mapping_hash=mapping,
            rows=0,
            refused_rows=0,
            home_day=None,
            state="loaded",
            reason=None,
            columns={},
        )
        return pool.submit(self._see, source, path, record).result

    def _see(self, source: EventSource, path: Path, record: KnownFile) -> _Seen:
        record = replace(record, content_hash=describe_file(path).content_hash)
        try:
            return record, inspect(self.warehouse.connection, source, path, self.rows.looked)
        except FileRefused as error:
            return record, error

    def _record(
        self, source: EventSource, path: Path, seen: _Seen, known: Mapping[str, KnownFile], new_columns: dict[str, list[str]]
    ) -> KnownFile:
        """The file's new record; raises when the file is refused, which is recorded.

        What it has that earlier files had not goes into `new_columns`, by file.
        """
        before = known.get(str(path))
        record, inspection = seen
        try:
            if isinstance(inspection, FileRefused):
                raise inspection
            columns = before.columns if before is not None and before.columns else self._usual_columns(known)
            note = check_schema(self.warehouse.connection, source, path, columns or None, inspection.schema)
        except FileRefused as error:
            kept = replace(record, state="refused", reason=json.dumps([error.reason, error.recovery]))
            if before is not None:
                kept = replace(kept, rows=before.rows, home_day=before.home_day, columns=before.columns)
            operations.remember_files(self.warehouse, source.name, [(kept, None)], self.run_id, self.now)
            raise
        new_columns[str(path)] = note.new_columns
        home = self._home_day(source, inspection.days, record.modified_at, path)
        return replace(record, rows=inspection.rows, home_day=home, columns=remember_schema(columns or None, inspection.schema))

    def _usual_columns(self, known: Mapping[str, KnownFile]) -> dict[str, str]:
        """Columns of the newest accepted file of the source: what the next file is compared with."""
        loaded = [file for file in known.values() if file.state == "loaded" and file.columns]
        return max(loaded, key=lambda file: file.file).columns if loaded else {}

    def _home_day(self, source: EventSource, days: Mapping[date, int], arrived_at: datetime, path: Path) -> date:
        """The day on which rows without a usable time stand: the file's commonest plausible day, else its nominal one."""
        plausible = {
            day: rows
            for day, rows in days.items()
            if day <= arrived_at.date() and (source.starts_on is None or day >= source.starts_on)
        }
        if plausible:
            return min(plausible, key=lambda day: (-plausible[day], day))
        return nominal_day(path) or arrived_at.date()

    def _mapping_hash(self, source: EventSource) -> str:
        digest = sha256(source.model_dump_json(exclude={"path", "empty_days"}).encode())
        digest.update(self.table.code_hash.encode())
        digest.update(repr(self._config_read()).encode())
        for rule in self.quarantine:
            digest.update(rule.model_dump_json().encode())
        return digest.hexdigest()[:16]

    def _config_read(self) -> list[object]:
        """What raw_events reads of the config: it stands in the rows of every day file, as the reporting zone in their dates."""
        found: list[object] = []
        for relation in self.table.relations:
            if relation.kind == "config":
                attached = exp.table_(relation.name, db="main", catalog="config", quoted=True)
                columns = sorted(columns_read(self.table.select, relation, [name for name, _ in self.warehouse.columns(attached)]))
                found.append((columns, self.warehouse.rows(exp.select(*map(exp.column, columns)).from_(attached))))
        return found

    def _touch(self, source: EventSource, changed: Sequence[KnownFile], new_columns: Mapping[str, Sequence[str]]) -> None:
        """Records the changed files of a source with the days that they touch."""
        for batch in _batched(changed, BATCH_ROWS):
            # how late a row came is asked when its day is made: until then, which days a file holds is not known
            self.rows.attach_files(batch, {})
            rows = self.rows.delivered({source.name: [Path(file.file) for file in batch]})
            counted = (
                exp.select("file", "day", exp.Count(this=exp.Star()), exp.Count(this=exp.column("refusal_reason")))
                .from_(rows.subquery("touched"))
                .group_by("file", "day")
            )
            days: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
            for file, day, total, refused in self.warehouse.rows(counted):
                days[file][day] = (total, refused)
            found = [
                (replace(file, refused_rows=sum(refused for _, refused in days[file.file].values())), days[file.file])
                for file in batch
            ]
            operations.remember_files(self.warehouse, source.name, found, self.run_id, self.now, new_columns)

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


def _refuse_again(path: Path, before: KnownFile) -> _Seen:
    """Raises what a file that did not change was refused for."""
    raise FileRefused(path, *json.loads(before.reason or "[]"))


def _batched(files: Sequence[KnownFile], rows: int) -> list[list[KnownFile]]:
    batches: list[list[KnownFile]] = []
    size = rows
    for file in files:
        if size >= rows or len(batches[-1]) >= 128:  # noqa: PLR2004 - a query over more files plans slowly
            batches.append([])
            size = 0
        batches[-1].append(file)
        size += file.rows
    return batches


def _day_batches(days: Sequence[date], rows_by_day: Mapping[date, int]) -> list[list[date]]:
    batches: list[list[date]] = []
    size = BATCH_ROWS
    for day in days:
        if size >= BATCH_ROWS:
            batches.append([])
            size = 0
        batches[-1].append(day)
        size += rows_by_day.get(day, 0)
    return batches


def _calendar(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
