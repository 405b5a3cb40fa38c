"""The files of the demonstration company: daily Parquet of events and the three snapshot tables.

Put here: how rows become files, in bounded memory. Keep out: what the rows say.

Events arrive by block of accounts and leave by day. Between the two they lie on disk as fixed-width rows, one spill for
every few million rows, sorted by day; a day is then gathered from its slice of every spill. Memory holds one buffer or
one day, whatever the company's size.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from milestones_dagster.demo.accounts import Integers
from milestones_dagster.demo.billing import NEVER, Subscriptions
from milestones_dagster.demo.clock import DAY, HOUR, Instants
from milestones_dagster.demo.dirt import CLEAN, DELIVERY, KINDS, NO_ACCOUNT, NO_NAME, NO_TIME, Deliveries
from milestones_dagster.demo.events import PRODUCT
from milestones_dagster.demo.vocabulary import CHANNELS, CODES, CONVERSATION_EVENTS, EVENTS, PLANS, PLATFORMS

TIMESTAMP = pa.timestamp("us")
EVENT_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()), ("account_id", pa.string()), ("user_id", pa.string()), ("event", pa.string()),
        ("occurred_at", TIMESTAMP), ("received_at", TIMESTAMP), ("properties", pa.string()),
    ]
)  # fmt: skip
ACCOUNT_SCHEMA = pa.schema(
    [("account_id", pa.string()), ("created_at", TIMESTAMP), ("industry", pa.string()), ("country", pa.string())]
)
USER_SCHEMA = pa.schema(
    [("user_id", pa.string()), ("account_id", pa.string()), ("created_at", TIMESTAMP), ("persona", pa.string())]
)
SUBSCRIPTION_SCHEMA = pa.schema(
    [
        ("account_id", pa.string()), ("subscription_id", pa.string()), ("plan", pa.string()), ("seats", pa.int32()),
        ("mrr", pa.float64()), ("currency", pa.string()), ("started_at", TIMESTAMP), ("ended_at", TIMESTAMP),
        ("is_trial", pa.bool_()), ("term_months", pa.int32()), ("term_anchor_at", TIMESTAMP),
        ("recorded_at", TIMESTAMP),
    ]
)  # fmt: skip
SNAPSHOTS = {"accounts": ACCOUNT_SCHEMA, "users": USER_SCHEMA, "subscriptions": SUBSCRIPTION_SCHEMA}
_EXPORT_DELAY = 6 * HOUR  # a day is exported six hours after its end


class EventSpool:
    """Rows of events on their way from blocks of accounts to files of days."""

    def __init__(self, folder: Path, first_day: int, days: int, buffer_rows: int) -> None:
        self._folder, self._first_day, self._days, self._buffer_rows = folder, first_day, days, buffer_rows
        self._waiting: list[Deliveries] = []
        self._waiting_rows = 0
        self._spills: list[tuple[Path, NDArray[np.int64]]] = []

    def add(self, rows: Deliveries) -> None:
        """Take rows of a block of accounts."""
        self._waiting.append(rows)
        self._waiting_rows += rows.size
        if self._waiting_rows >= self._buffer_rows:
            self._spill()

    def _spill(self) -> None:
        if not self._waiting_rows:
            return
        rows = np.concatenate(self._waiting)
        rows = rows[np.argsort(rows["file_day"], kind="stable")]
        bounds = np.searchsorted(rows["file_day"], np.arange(self._first_day, self._first_day + self._days + 1))
        path = self._folder / f"{len(self._spills):06d}.rows"
        rows.tofile(path)
        self._spills.append((path, bounds))
        self._waiting, self._waiting_rows = [], 0

    def days(self) -> Iterator[tuple[int, Deliveries]]:
        """Yield each day's number since 1970 and rows, by time, account and number; then the spool is empty."""
        self._spill()
        for place in range(self._days):
            slices = [_read_rows(path, int(bounds[place]), int(bounds[place + 1])) for path, bounds in self._spills]
            rows = np.concatenate([np.zeros(0, dtype=DELIVERY), *slices])
            order = np.lexsort((rows["received_at"], rows["number"], rows["account"], rows["occurred_at"]))
            yield self._first_day + place, rows[order]
        for path, _ in self._spills:
            path.unlink()
        self._spills = []


def _read_rows(path: Path, begin: int, end: int) -> Deliveries:
    return np.fromfile(path, dtype=DELIVERY, count=end - begin, offset=begin * DELIVERY.itemsize)


def account_ids(account: NDArray[Any]) -> pa.Array:
    """Return account identifiers."""
    return pc.binary_join_element_wise("a", pa.array(account).cast(pa.string()), "")


def user_ids(account: NDArray[Any], user: NDArray[Any]) -> pa.Array:
    """Return user identifiers, null where the product acted."""
    is_contact = user < 0
    kind = pa.DictionaryArray.from_arrays(pa.array(is_contact.astype(np.int8)), ["-t", "-c"]).cast(pa.string())
    place = pa.array(np.where(is_contact, -1 - user, user)).cast(pa.string())
    names = pc.binary_join_element_wise("u", pa.array(account).cast(pa.string()), kind, place, "")
    return pc.if_else(pa.array(user == PRODUCT), pa.scalar(None, pa.string()), names)


def event_table(rows: Deliveries, unknown_name: str) -> pa.Table:
    """Return deliveries as the columns of an event file."""
    names = pa.array([*EVENTS, unknown_name])
    account = pa.array(rows["account"]).cast(pa.string())
    columns = [
        pc.binary_join_element_wise("e", account, "-", pa.array(rows["number"]).cast(pa.string()), ""),
        _without(account_ids(rows["account"]), rows["kind"] == NO_ACCOUNT),
        user_ids(rows["account"], rows["user"]),
        _without(names.take(pa.array(rows["event"])), rows["kind"] == NO_NAME),
        _without(pa.array(rows["occurred_at"]).cast(TIMESTAMP), rows["kind"] == NO_TIME),
        pa.array(rows["received_at"]).cast(TIMESTAMP),
        _properties(rows),
    ]
    return pa.table(columns, schema=EVENT_SCHEMA)


def _without(column: pa.Array, lacks: NDArray[Any]) -> pa.Array:
    return pc.if_else(pa.array(lacks), pa.scalar(None, column.type), column) if lacks.any() else column


def _properties(rows: Deliveries) -> pa.Array:
    """Return JSON text, null for events without properties."""
    result = np.full(rows.size, None, dtype=object)
    conversation = np.isin(rows["event"], [CODES[name] for name in CONVERSATION_EVENTS])
    started = rows["event"] == CODES["conversation_started"]
    detail = rows["detail"]
    channel = np.array(CHANNELS)[(detail * 7 % 10 >= 6).astype(np.int8) + (detail * 7 % 10 >= 9)]  # noqa: PLR2004
    for chosen, end in ((started, True), (conversation & ~started, False)):
        tail: Any = '"}'
        if end:
            tail = pc.binary_join_element_wise('","channel":"', pa.array(channel[chosen]), '"}', "")
        head = '{"conversation_id":"k'
        account, number = (pa.array(rows[name][chosen]).cast(pa.string()) for name in ("account", "detail"))
        result[chosen] = pc.binary_join_element_wise(head, account, "-", number, tail, "").to_numpy(zero_copy_only=False)
    installed = rows["event"] == CODES["messenger_installed"]
    result[installed] = np.array([f'{{"platform":"{name}"}}' for name in PLATFORMS], dtype=object)[detail[installed]]
    invited = np.flatnonzero(rows["event"] == CODES["teammate_invited"])
    result[invited] = [f'{{"invitee":"u{rows["account"][row]}-t{1 + detail[row]}"}}' for row in invited]
    return pa.array(result, pa.string())


@dataclass
class Written:
    """What stands in the day files: files, rows, days without rows, and rows of each kind of dirt, by day too."""

    files: int = 0
    rows: int = 0
    empty_days: int = 0
    missing_day_rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    kinds_by_day: dict[str, dict[str, int]] = field(default_factory=dict)

    def note(self, day: str, rows: Deliveries) -> None:
        """Count the rows of a file."""
        self.files += 1
        self.rows += rows.size
        self.empty_days += rows.size == 0
        counts = np.bincount(rows["kind"], minlength=len(KINDS))
        found = {name: int(counts[kind]) for kind, name in enumerate(KINDS) if kind != CLEAN and counts[kind]}
        self.kinds.update(found)
        if found:
            self.kinds_by_day[day] = found


def write_days(spool: EventSpool, folder: Path, *, missing_day: int | None, unknown_name: str, done: Callable[[], None]) -> Written:
    """Write one file per day, the missing one left out, and return what stands in them; `done` is called for each."""
    written = Written()
    for day, rows in spool.days():
        done()
        if day == missing_day:
            written.missing_day_rows = rows.size
            continue
        name = str(np.datetime64(day, "D"))
        path = folder / f"{name}.parquet"
        pq.write_table(event_table(rows, unknown_name), path, compression="zstd")
        _date_file(path, (day + 1) * DAY)
        written.note(name, rows)
    return written


def _date_file(path: Path, day_end: int) -> None:
    """Give a file the time at which a nightly export would have written it: gates compare events with it."""
    at = (day_end + _EXPORT_DELAY) * 1000
    os.utime(path, ns=(at, at))


class Snapshots:
    """The three tables that are written whole, block by block. A context manager; files are dated on leaving it."""

    def __init__(self, folder: Path, until: int) -> None:
        self._paths = {name: folder / f"{name}.parquet" for name in SNAPSHOTS}
        self._until = until
        self._writers = {
            name: pq.ParquetWriter(self._paths[name], schema, compression="zstd") for name, schema in SNAPSHOTS.items()
        }
        self.rows = dict.fromkeys(SNAPSHOTS, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name, writer in self._writers.items():
            writer.close()
            _date_file(self._paths[name], self._until)

    def add(self, name: str, columns: list[Any]) -> None:
        """Append rows to one of the tables, columns in its schema's order."""
        table = pa.table([pa.array(column) for column in columns], names=SNAPSHOTS[name].names).cast(SNAPSHOTS[name])
        self.rows[name] += table.num_rows
        self._writers[name].write_table(table)


def instants(at: Instants | Integers) -> pa.Array:
    """Return instants as timestamps, null for NEVER."""
    return pa.array(at, mask=at == NEVER).cast(TIMESTAMP)


def chosen(names: tuple[str, ...], place: Integers) -> pa.Array:
    """Return the names at these places."""
    return pa.array(names).take(pa.array(place))


def subscription_columns(rows: Subscriptions) -> list[Any]:
    """Return the columns of the subscriptions table."""
    stay = pa.array(rows.stay).cast(pa.string())
    return [
        account_ids(rows.account),
        pc.binary_join_element_wise("s", pa.array(rows.account).cast(pa.string()), "-", stay, ""),
        chosen(PLANS, rows.plan),
        rows.seats.astype(np.int32),
        rows.mrr_usd.astype(np.float64),
        chosen(("usd",), np.zeros(rows.account.size, dtype=np.int64)),
        instants(rows.started_at),
        instants(rows.ended_at),
        rows.is_trial,
        pa.array(rows.term_months.astype(np.int32), mask=rows.term_months == 0),
        pa.array(rows.anchor_at, mask=rows.term_months == 0).cast(TIMESTAMP),
        instants(rows.recorded_at),
    ]
