"""The files of events as they are delivered: which are new or changed, which cannot be accepted, which days their rows touch.

Put here how a file becomes a record of `operations`. Keep out what one file holds (`source_inspection.py`), which days have been
delivered (`delivered_days.py`) and which must be made (`days.py`).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from sqlglot import exp

from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse import day_rows, operations
from milestones_dagster.warehouse.day_files import nominal_day
from milestones_dagster.warehouse.day_rows import DayRows
from milestones_dagster.warehouse.operations import KnownFile
from milestones_dagster.warehouse.reading import columns_read
from milestones_dagster.warehouse.source_files import FileRefused, describe_file, discover, status_of
from milestones_dagster.warehouse.source_inspection import FileInspection, inspect
from milestones_dagster.warehouse.source_schema import check_schema, remember_schema

_Seen = tuple[KnownFile, FileInspection | FileRefused]
"""The record of a file as far as it is known without the other files, and what it holds or why it cannot be accepted."""


@dataclass(frozen=True)
class RefusedFile:
    """A file that could not be accepted, and the day that its name tells, if any."""

    source: str
    file: Path
    reason: str
    nominal_day: date | None


class DeliveredFiles:
    """The files of events of one warehouse.

    Args:
        rows: The rows that they make; it has the warehouse, the sources and the company's row rules.
        base: Folder that relative paths start from.
        run_id: Recorded in `operations`.
        now: Clock of this run, UTC without zone.
    """

    def __init__(self, rows: DayRows, base: Path, run_id: str, now: datetime) -> None:
        self.rows = rows
        self.warehouse = rows.warehouse
        self.table = rows.table
        self.sources = rows.sources
        self.base = base
        self.run_id = run_id
        self.now = now

    def look(self, progress: Callable[[int, int], None] | None = None) -> tuple[list[RefusedFile], set[tuple[str, str]]]:
        """Looks at every file, records what changed, and returns the files that cannot be accepted and those (source, file) gone.

        A file that cannot be accepted is recorded as refused with its reason.
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
        return refused, gone

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
        """What gives (or raises) what is seen in a file, whose reading is begun; None where it is as it was and was accepted."""
        try:
            status = status_of(path)
        except FileRefused as error:
            return partial(_refuse, error)
        modified_at = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
        is_same = before is not None and (before.size_bytes, before.modified_at) == (status.st_size, modified_at)
        if before is not None and is_same and before.mapping_hash == mapping:
            if before.state != "refused":
                return None
            return partial(_refuse, FileRefused(path, *json.loads(before.reason or "[]")))
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
        for rule in self.rows.quarantine:
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
        for batch in _batched(changed, day_rows.BATCH_ROWS):
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


def _refuse(error: FileRefused) -> _Seen:
    raise error


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
