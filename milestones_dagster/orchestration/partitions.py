"""Partitions: the UTC days of raw_events.

Put here what decides on which days there are. Only raw_events is partitioned; every other table catches up by itself.
"""

from datetime import date

import dagster as dg

from milestones_dagster.config.company import CompanyConfig
from milestones_dagster.warehouse.day_files import nominal_day
from milestones_dagster.warehouse.source_files import FileRefused, discover

_LONG_AGO = date(2010, 1, 1)


def event_days(config: CompanyConfig) -> dg.DailyPartitionsDefinition:
    """UTC days from the first one that a source declares or whose date a file's name tells, up to today."""
    return dg.DailyPartitionsDefinition(start_date=first_day(config).isoformat(), timezone="UTC", end_offset=1)


def first_day(config: CompanyConfig) -> date:
    """First day that events may have; nothing is read, only names are looked at."""
    found: list[date] = []
    for source in config.sources.events:
        if source.starts_on is not None:
            found.append(source.starts_on)
            continue
        try:
            days = [day for path in discover(source, config.dir) if (day := nominal_day(path)) is not None]
        except FileRefused:
            # nothing is delivered yet; the run itself says so in words
            days = []
        found.append(min(days, default=_LONG_AGO))
    return min(found, default=_LONG_AGO)
