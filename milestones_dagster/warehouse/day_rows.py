"""The rows of raw_events before they are files: the query that makes them of event files, and a batch of days held in memory.

Put here how delivered rows become rows of a day, each event once. Keep out which days are made (`days.py`) and how a day lies on
disk (`day_files.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path

from sqlglot import exp

from milestones_dagster.config.quality import QuarantineRule
from milestones_dagster.config.relations import Relation
from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse.duckdb import DIALECT, SCRATCH, Warehouse, empty_rows, scratch
from milestones_dagster.warehouse.operations import KnownFile
from milestones_dagster.warehouse.source_mapping import Looked, rows_of
from milestones_dagster.warehouse.source_reader import call
from milestones_dagster.warehouse.source_types import standard_types

BATCH_ROWS = 2_000_000
"""Rows of files and of days are made so many at a time, or as many as one of them has."""
HELD = scratch("held_days")
_REPEATED = scratch("repeated_events")
_MAPPED = exp.to_table("mapped_events")


class DayRows:
    """The rows that event files make, in one warehouse.

    Args:
        warehouse: The open warehouse.
        sources: The declared event sources by name.
        quarantine: The company's own row rules.
    """

    def __init__(self, warehouse: Warehouse, sources: Mapping[str, EventSource], quarantine: Sequence[QuarantineRule]) -> None:
        self.warehouse = warehouse
        self.table = warehouse.tables["raw_events"]
        self.sources = sources
        self.quarantine = tuple(quarantine)
        self.looked: Looked = {}
        """What was found in files that were looked at, so that it is not looked for again when their days are made."""

    def attach_files(self, files: Sequence[KnownFile], own_days: Mapping[tuple[str, str], date]) -> None:
        """Makes `run.files` of the files that are read next; the SELECT of raw_events joins it."""
        columns = {
            "source": "VARCHAR",
            "file": "VARCHAR",
            "arrived_at": "TIMESTAMP",
            "home_day": "DATE",
            "own_day": "DATE",
            "starts_at": "TIMESTAMP",
        }
        rows: list[tuple[object, ...]] = []
        for file in files:
            starts_on = self.sources[file.source].starts_on
            starts_at = datetime.combine(starts_on, time()) if starts_on is not None else None
            own_day = own_days.get((file.source, file.file))
            rows.append((file.source, file.file, file.modified_at, file.home_day, own_day, starts_at))
        self.warehouse.attach("run", {"files": Relation(columns, rows)})

    def delivered(self, paths: Mapping[str, Sequence[Path]]) -> exp.Query:
        """Every row of the given files of each source, refused ones with their reason; a repeated delivery as often as it came."""
        return self._rows(self._mapped(paths), keep_repeated=True)

    @contextmanager
    def held(self, paths: Mapping[str, Sequence[Path]]) -> Iterator[exp.Table]:
        """The rows that the given files of each source make of the days of `run.days`, each event once, while the block lasts.

        They are held beside the warehouse's file, which would keep the room that they take. Must be called outside a transaction.
        """
        self.warehouse.attach(SCRATCH, {})
        mapped = self._mapped(paths)
        try:
            self._create(HELD, _of_days(self._rows(mapped, keep_repeated=True)))
            self._drop_repeated(mapped)
            yield HELD
        finally:
            for table in (HELD, _REPEATED):
                self.warehouse.execute(exp.Drop(tables=[table.copy()], kind="TABLE", exists=True))

    def _drop_repeated(self, mapped: exp.Query) -> None:
        """Leaves one of the rows that share day, source and event_id: the SELECT's own choice, asked of just these identifiers.

        Nearly all identifiers come once: numbering all rows would sort all of their columns.
        """
        named = call("hash", exp.column("source"), exp.column("event_id"))
        repeated = (
            exp.select(exp.alias_(named.copy(), "id"))
            .from_(HELD)
            .group_by("day", named.copy())
            .having(exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
        )
        self._create(_REPEATED, repeated)
        if not self.warehouse.scalar(exp.select(exp.Count(this=exp.Star())).from_(_REPEATED)):
            return
        is_repeated = exp.In(this=named, query=exp.select("id").from_(_REPEATED).subquery())
        again = exp.select("*").from_(mapped.subquery("mapped")).where(is_repeated.copy())
        self.warehouse.execute(exp.delete(HELD, where=is_repeated))
        self.warehouse.execute(exp.insert(_of_days(self._rows(again)), HELD))

    def _create(self, table: exp.Table, rows: exp.Query) -> None:
        self.warehouse.execute(exp.Create(this=table.copy(), kind="TABLE", replace=True, expression=rows))

    def _mapped(self, paths: Mapping[str, Sequence[Path]]) -> exp.Query:
        parts = [rows_of(self.sources[name], files, self.looked) for name, files in sorted(paths.items()) if files]
        mapped = parts[0] if parts else empty_rows(standard_types(EventSource))
        for part in parts[1:]:
            mapped = exp.union(mapped, part, distinct=False)
        return mapped

    def _rows(self, mapped: exp.Query, *, keep_repeated: bool = False) -> exp.Query:
        """The SELECT of raw_events over mapped rows, with the company's reasons after the product's."""
        select = self.warehouse.runnable(self.table, {"source.events": exp.select("*").from_(_MAPPED)})
        if keep_repeated:
            # the engine numbers the deliveries, and sorts all columns for it, also where nothing reads the number
            select.set("where", None)
            for column in list(select.find_all(exp.Alias)):
                if isinstance(column.this, exp.Window):
                    column.pop()
        for table in list(select.find_all(exp.Table)):
            if table == _MAPPED:
                table.replace(mapped.subquery("mapped"))
        if not self.quarantine:
            return select
        company = exp.Case()
        for rule in self.quarantine:
            company = company.when(exp.condition(rule.where, dialect=DIALECT), exp.Literal.string(rule.name))
        columns: list[exp.Expr] = [exp.column(column.name) for column in self.table.columns if column.name != "refusal_reason"]
        reason = exp.func("coalesce", exp.column("refusal_reason"), company)
        return exp.select(*columns, exp.alias_(reason, "refusal_reason")).from_(select.subquery("ruled"))


def _of_days(rows: exp.Query) -> exp.Select:
    run_days = exp.table_("days", db="main", catalog="run")
    # a file may touch a missing day too (another source's): its rows are made with that day, not with these
    made_days = exp.select("day").from_(run_days).where(exp.column("is_missing").not_())
    return exp.select("*").from_(rows.subquery("made")).where(exp.column("day").isin(query=made_days))


def day_literal(day: date) -> exp.Cast:
    """The day as a DATE of a query."""
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")
