"""The day files of raw_events: one Parquet file per UTC day, written aside, published by a rename, read by two views.

Put here where a day's rows lie and how they are written and read. Keep out which days are made and why (`days.py`).
"""

import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path

from sqlglot import exp, parse_one

from milestones_dagster.warehouse.day_rows import day_literal
from milestones_dagster.warehouse.duckdb import DIALECT, Warehouse, empty_rows
from milestones_dagster.warehouse.source_reader import literal_path

_DAY_IN_NAME = re.compile(r"(20\d{2})[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])")
_NO_DAY_FILE = "no-day.parquet"
# level 1 costs a quarter of the writing less than the default 3, and files that are a hundredth larger
_COPY = parse_one("COPY (SELECT 1) TO '' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)", dialect=DIALECT)


class DayFiles:
    """The day files of one warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.table = warehouse.tables["raw_events"]
        self.folder = warehouse.folder / "raw_events"

    def write(self, rows: exp.Table, days: Sequence[date]) -> dict[date, tuple[int, int]]:
        """Writes the days beside their place and returns the accepted and refused rows of those that have any.

        Args:
            rows: Rows of raw_events in a table that every connection of this warehouse sees.
            days: The days to write.
        """
        counted = exp.select(
            "day", exp.Count(this=exp.Star()), exp.Count(this=exp.column("refusal_reason"))
        ).from_(rows).group_by("day")  # fmt: skip
        counts = {day: (total - refused, refused) for day, total, refused in self.warehouse.rows(counted)}
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir()
        threads = int(self.warehouse.scalar("SELECT current_setting('threads')"))
        # the days are written at once, each sorted by itself: one ordered writer would leave all threads but one idle
        with ThreadPoolExecutor(max_workers=threads) as pool:
            for _ in pool.map(lambda day: self._write_day(rows, day), [day for day in days if day in counts]):
                pass
        return {day: counts[day] for day in days if day in counts}

    def publish(self, days: Sequence[date]) -> None:
        """Puts the written days in their place, each by a rename; a day that has no rows any more loses its file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for day in days:
            written = self._aside / f"{day}.parquet"
            if written.exists():
                written.replace(self.folder / f"{day}.parquet")
            else:
                (self.folder / f"{day}.parquet").unlink(missing_ok=True)
        shutil.rmtree(self._aside, ignore_errors=True)

    def show(self) -> None:
        """Makes the two views of the day files: accepted rows as `raw.raw_events`, refused ones as `operations.quarantine`."""
        show_days(self.warehouse)

    def _write_day(self, rows: exp.Table, day: date) -> None:
        ordered = (
            exp.select(*(exp.column(column.name) for column in self.table.columns))
            .from_(rows)
            .where(exp.column("day").eq(day_literal(day)))
            .order_by(*(exp.column(name) for name in self.table.order))
        )
        copy = _COPY.copy()
        copy.set("this", ordered.subquery())
        copy.set("files", [exp.Literal.string(str(self._aside / f"{day}.parquet"))])
        with closing(self.warehouse.connection.cursor()) as cursor:
            cursor.execute(copy.sql(dialect=DIALECT))

    @property
    def _aside(self) -> Path:
        return self.folder / ".unpublished"


def show_days(warehouse: Warehouse) -> None:
    """Makes the views `raw.raw_events` and `operations.quarantine` over the published day files."""
    folder = warehouse.folder / "raw_events"
    folder.mkdir(parents=True, exist_ok=True)
    table = warehouse.tables["raw_events"]
    placeholder = folder / _NO_DAY_FILE
    if not placeholder.exists():
        nothing = empty_rows({column.name: column.type for column in table.columns})
        aside = placeholder.with_suffix(".tmp")
        warehouse.connection.sql(nothing.sql(dialect=DIALECT)).write_parquet(str(aside))
        aside.replace(placeholder)
    everything = exp.func("read_parquet", exp.Literal.string(f"{literal_path(folder)}/*.parquet"))
    is_refused = exp.column("refusal_reason").is_(exp.null())
    for name, condition in (("raw.raw_events", is_refused), ("operations.quarantine", is_refused.not_())):
        select = exp.select("*").from_(everything.copy()).where(condition)
        warehouse.execute(exp.Create(this=exp.to_table(name), kind="VIEW", replace=True, expression=select))


def accepted_rows(warehouse: Warehouse, days: Sequence[date]) -> exp.Query:
    """A query of the accepted rows of the given published days."""
    folder = warehouse.folder / "raw_events"
    paths = [folder / f"{day}.parquet" for day in days]
    present = [path for path in paths if path.exists()] or [folder / _NO_DAY_FILE]
    files = exp.Array(expressions=[exp.Literal.string(literal_path(path)) for path in present])
    reader = exp.func("read_parquet", files)
    return exp.select("*").from_(reader).where(exp.column("refusal_reason").is_(exp.null()))


def nominal_day(path: Path) -> date | None:
    """The day that a file's name tells, None when it tells none."""
    match = _DAY_IN_NAME.search(path.name)
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None
