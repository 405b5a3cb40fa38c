"""What a run knows: the watermark, the as-of time, the months to make and the notes, as the `run` relations that SQL reads.

Put here what is true of a whole run. Keep out what is true of one table (`publish.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from milestones_dagster.config.company import CompanyConfig
from milestones_dagster.config.relations import Relation


class AsOfError(ValueError):
    """An as-of time that cannot be had: after the watermark, or before there is anything to see."""


@dataclass(frozen=True)
class Observation:
    """As of when a run sees the company. Times are UTC without zone.

    `held_back_by` is the source whose watermark is the least; `watermarks` holds that of every source.
    """

    as_of: datetime
    watermark: datetime
    held_back_by: str
    watermarks: Mapping[str, datetime]

    @classmethod
    def of(cls, watermarks: Mapping[str, datetime], as_of: date | None) -> "Observation":
        """The observation at the least of `watermarks`, or at the start of `as_of` where that is not after it.

        Raises:
            AsOfError: no source has loaded anything, or `as_of` lies after the watermark.
        """
        if not watermarks:
            raise AsOfError("nothing is loaded yet: no source has a watermark; materialise raw_events first")
        held_back_by = min(sorted(watermarks), key=lambda name: watermarks[name])
        # whole UTC days: the daily counts are read up to here
        watermark = datetime.combine(watermarks[held_back_by].date(), time())
        if as_of is None:
            return cls(watermark, watermark, held_back_by, dict(watermarks))
        wanted = datetime.combine(as_of, time())
        if wanted > watermark:
            raise AsOfError(
                f"as of {as_of} lies after the watermark {watermark.date()}, up to where the data are whole "
                f"({held_back_by} holds it back); choose {watermark.date()} or earlier",
            )
        return cls(wanted, watermark, held_back_by, dict(watermarks))


def run_relations(
    config: CompanyConfig,
    observation: Observation,
    first_at: datetime | None,
    extracted: Mapping[str, datetime],
) -> dict[str, Relation]:
    """The relations `run.observation`, `run.version`, `run.months`, `run.sources` and `run.notes`.

    Args:
        config: The company's config.
        observation: As of when the run sees the company.
        first_at: Earliest time in any source, from whose month on months are made; None without any.
        extracted: Time of the extract of every declared snapshot source.
    """
    as_of = observation.as_of
    month, evidence_as_of = closed_months_end(config.framework.time_zone, as_of)
    return {
        "observation": Relation(
            {
                "as_of": "TIMESTAMP",
                "as_of_date": "DATE",
                "evidence_as_of": "TIMESTAMP",
                "evidence_date": "DATE",
                "watermark": "TIMESTAMP",
                "fingerprint": "VARCHAR",
            },
            [(as_of, as_of.date(), evidence_as_of, month, observation.watermark, config.fingerprint)],
        ),
        # who reads it is made again at any edit of the framework, which is why it stands apart
        "version": Relation({"version": "VARCHAR"}, [(config.fingerprint,)]),
        "months": Relation(
            {
                "month": "DATE",
                "starts_at": "TIMESTAMP",
                "ends_at": "TIMESTAMP",
                "close_at": "TIMESTAMP",
                "close_date": "DATE",
                "is_whole": "BOOLEAN",
            },
            _months(config.framework.time_zone, first_at, as_of),
        ),
        "sources": Relation(
            {"source": "VARCHAR", "extracted_at": "TIMESTAMP"},
            sorted(extracted.items()),
        ),
        "notes": Relation(
            {"position": "INTEGER", "topic": "VARCHAR", "note": "VARCHAR"},
            [(number, topic, note) for number, (topic, note) in enumerate(_notes(config, observation, first_at), start=1)],
        ),
    }


def closed_months_end(zone_name: str, as_of: datetime) -> tuple[date, datetime]:
    """The first day of the month of the reporting zone that holds `as_of`, and the UTC instant at which it begins.

    All months before that instant have closed: evidence is as of then. It is never after `as_of`, and may lie before all data.
    """
    zone = ZoneInfo(zone_name)
    month = _local(as_of, zone).date().replace(day=1)
    return month, _instant(month, zone)


def _months(zone_name: str, first_at: datetime | None, as_of: datetime) -> list[tuple[object, ...]]:
    """Calendar months of the reporting zone from `first_at`'s to the one that holds `as_of`; instants in UTC."""
    zone = ZoneInfo(zone_name)
    if first_at is None or first_at >= as_of:
        return []
    month = _local(first_at, zone).date().replace(day=1)
    rows: list[tuple[object, ...]] = []
    while True:
        following = (month + timedelta(days=31)).replace(day=1)
        starts_at, ends_at = _instant(month, zone), _instant(following, zone)
        if starts_at >= as_of:
            return rows
        close_at = min(ends_at, as_of)
        local_close = _local(close_at, zone)
        is_midnight = local_close.time() == time()
        close_date = local_close.date() if is_midnight else local_close.date() + timedelta(days=1)
        rows.append((month, starts_at, ends_at, close_at, close_date, ends_at <= as_of))
        month = following


def _instant(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC).replace(tzinfo=None)


def _local(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)


def _notes(config: CompanyConfig, observation: Observation, first_at: datetime | None) -> list[tuple[str, str]]:
    """What a reader must know: as of when, which source holds the watermark back, and every fallback that is in force."""
    month, evidence_as_of = closed_months_end(config.framework.time_zone, observation.as_of)
    if first_at is None or first_at >= evidence_as_of:
        evidence = "Evidence is as of the last closed month, and none has closed yet: there is none before the month ends."
    else:
        closed = month - timedelta(days=1)
        evidence = (
            f"Evidence (retention, thresholds, rankings) is as of the end of the last closed month, {closed:%B %Y}, "
            f"{evidence_as_of:%Y-%m-%d %H:%M} UTC: it stands still until the next month closes."
        )
    return [
        ("as of", f"Everything is as of {observation.as_of:%Y-%m-%d %H:%M} UTC; nothing dated or recorded later is known."),
        ("evidence", evidence),
        (
            "watermark",
            f"The data are whole up to {observation.watermark:%Y-%m-%d}; {observation.held_back_by} holds the watermark back.",
        ),
        *(("fallback", sentence) for sentence in config.fallbacks),
    ]
