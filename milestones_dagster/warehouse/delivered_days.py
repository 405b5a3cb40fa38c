"""Which days a file or a feed has delivered, told from the days that its rows touch.

Put here what a file's name and rows say about days. Keep out reading files, recording them and making days (`days.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median

from milestones_dagster.warehouse.day_files import nominal_day
from milestones_dagster.warehouse.operations import FileDay, KnownFile

_STRAGGLERS = 0.1


def delivered_days(files: Sequence[KnownFile], rows: Mapping[date, int]) -> set[date]:
    """The days that a source has delivered, of those that its rows (by day) touch.

    Where the files are daily, by their names, a day is delivered when it has a file of its own, or when the file of another day
    brought its rows (a Monday's file with the weekend): a tenth and more of what a day with a file usually has. The few late rows
    of a day whose file is missing do not make it whole. An export may be named by the day after its rows; the shift is the
    commonest one.
    """
    named = [(nominal_day(Path(file.file)), file.home_day) for file in files]
    days = [(name, home) for name, home in named if name is not None and home is not None]
    if not days or len(days) < len(named):
        return set(rows)
    shift = Counter(home - name for name, home in days).most_common(1)[0][0]
    own = {name + shift for name, _ in days}
    if 2 * len(own) <= (max(own) - min(own)).days + 1:
        return set(rows)
    usual = median(rows.get(day, 0) for day in own)
    return {day for day, count in rows.items() if day in own or count >= _STRAGGLERS * usual}


def own_days(files: Sequence[KnownFile], touched: Sequence[FileDay]) -> dict[tuple[str, str], date]:
    """The day of each file that is a file of one day: more than half of its accepted rows lie on its home day.

    An export of many days has none; its rows are no late rows of its commonest day.
    """
    accepted: dict[tuple[str, str], dict[date, int]] = defaultdict(dict)
    for source, file, day, rows, refused in touched:
        accepted[source, file][day] = rows - refused
    found: dict[tuple[str, str], date] = {}
    for record in files:
        days = accepted[record.source, record.file]
        if record.home_day is not None and 2 * days.get(record.home_day, 0) > sum(days.values()):
            found[record.source, record.file] = record.home_day
    return found
