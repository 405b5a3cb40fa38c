"""The grammar of `sources.yaml`: where the company's rows are and which of its columns mean what.

Put here what may be said about a file and its columns. Keep out reading them: that is the warehouse's.
"""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from milestones_dagster.config.base import Day, Flag, Instant, Model, Name, Text, TimeZone, expects, in_zone, refusal

FileFormat = Literal["csv", "tsv", "jsonl", "parquet"]
KnownAt = Literal["created", "history", "hindsight"]
SnapshotKind = Literal["accounts", "users", "subscriptions"]

_SUFFIXES: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSIONS = {".gz", ".zst", ".bz2"}
_CHARACTER = "one character"
Column = Annotated[str, Field(min_length=1, json_schema_extra=expects("the name of a column"))]
Character = Annotated[str, Field(min_length=1, max_length=1, json_schema_extra=expects(_CHARACTER))]


def format_of(path: str) -> FileFormat | None:
    """Return the format that the suffix of a path says, looking through a compression; None when it says none."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    while suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


class ReadOptions(Model):
    """How a delimited text file is written."""

    delimiter: Character | None = Field(default=None, description="Between columns; default: , for csv, tab for tsv.")
    header: Flag = Field(default=True, description="Whether the first line names the columns.")
    quote: Character | None = Field(default='"', description="Around text that holds a delimiter; null: none.")
    encoding: Text = Field(default="utf-8", description="Encoding of the text.")
    null_text: tuple[str, ...] = Field(default=("",), description="Texts that mean no value.")


class Source(Model):
    """What every source says: its files and how to read them."""

    path: Text = Field(description="File, glob or folder; a relative one starts at the config folder.")
    format: FileFormat | None = Field(default=None, description="Format of the files; default: from their suffix.")
    read: ReadOptions | None = Field(default=None, description="How delimited text is written; csv and tsv only.")
    sql: Text | None = Field(default=None, description="A SELECT that reshapes one file, whose rows are the relation `file`.")
    time_zone: TimeZone = Field(default="UTC", description="Zone of times that say none.")
    time_format: Annotated[str, Field(pattern="%", json_schema_extra=expects("a strptime format, such as %d/%m/%Y"))] | None = (
        Field(default=None, description="Format of times that are text.")
    )

    @property
    def file_format(self) -> FileFormat | None:
        """The declared format, else the one the suffix says, else None (a folder: each file says its own)."""
        return self.format or format_of(self.path)

    @model_validator(mode="after")
    def _options_fit_the_format(self) -> Self:
        if self.read is not None and self.file_format in {"jsonl", "parquet"}:
            raise refusal(f"no such key for {self.file_format} files", found="read options", key="read")
        return self


class EventColumns(Model):
    """Which column of an event feed is what."""

    event_id: Column | None = Field(default=None, description="Identifier of the event; default: a hash of the row.")
    account_id: Column = Field(description="The account.")
    user_id: Column | None = Field(default=None, description="The user.")
    event: Column = Field(description="Name of the event.")
    occurred_at: Column = Field(description="When it happened.")
    received_at: Column | None = Field(default=None, description="When it arrived.")
    properties: Column | None = Field(default=None, description="Its properties, as JSON.")


class EventSource(Source):
    """One feed of events."""

    name: Name = Field(description="Stable name of the feed.")
    columns: EventColumns = Field(description="Which column is what.")
    properties: tuple[Column, ...] = Field(default=(), description="Further columns to pack into the properties.")
    empty_days: Literal["refuse", "allow"] = Field(
        default="refuse", description="Whether a day without rows between the first and the last is a hole."
    )
    starts_on: Day | None = Field(default=None, description="Rows dated earlier are refused.")


class SnapshotSource(Source):
    """A source that is extracted whole: it is known as of its extract."""

    extracted_at: Instant | None = Field(
        default=None, description="When it was extracted; default: the modification time of the newest file."
    )

    @field_validator("extracted_at", mode="after")
    @classmethod
    def _as_utc(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        return None if value is None else in_zone(value, str(info.data.get("time_zone", "UTC")))


class Attribute(Model):
    """A further column of a source, and from when on its value was known."""

    column: Column = Field(description="The column.")
    known_at: KnownAt = Field(
        default="hindsight",
        description="created: it never changes; history: read from dated copies; hindsight: known only at the extract.",
    )


class AccountColumns(Model):
    """Which column of the accounts table is what."""

    account_id: Column = Field(description="The account.")
    created_at: Column | None = Field(default=None, description="When the account was made.")
    plan: Column | None = Field(default=None, description="Its plan.")
    seats: Column | None = Field(default=None, description="Its seats.")
    segment: Column | None = Field(default=None, description="Its segment.")


class AccountKnownAt(Model):
    """From when on a column of the accounts table was known."""

    plan: KnownAt = Field(default="hindsight", description="Of the plan.")
    seats: KnownAt = Field(default="hindsight", description="Of the seats.")
    segment: KnownAt = Field(default="hindsight", description="Of the segment.")


class AccountSource(SnapshotSource):
    """The accounts."""

    columns: AccountColumns = Field(description="Which column is what.")
    known_at: AccountKnownAt = Field(default_factory=AccountKnownAt, description="From when on each was known.")
    attributes: dict[Name, Attribute] = Field(default_factory=dict, description="Further columns.")

    def mapped_attributes(self) -> dict[str, KnownAt]:
        """Return from when on each was known: plan, seats and segment where mapped, and the further columns."""
        named: dict[str, tuple[str | None, KnownAt]] = {
            "plan": (self.columns.plan, self.known_at.plan),
            "seats": (self.columns.seats, self.known_at.seats),
            "segment": (self.columns.segment, self.known_at.segment),
        }
        known = {name: known_at for name, (column, known_at) in named.items() if column is not None}
        return known | {name: attribute.known_at for name, attribute in self.attributes.items()}


class UserColumns(Model):
    """Which column of the users table is what."""

    user_id: Column = Field(description="The user.")
    account_id: Column | None = Field(default=None, description="The user's account.")
    created_at: Column | None = Field(default=None, description="When the user was made.")


class UserSource(SnapshotSource):
    """The users."""

    columns: UserColumns = Field(description="Which column is what.")
    attributes: dict[Name, Attribute] = Field(default_factory=dict, description="Further columns.")


class SubscriptionColumns(Model):
    """Which column of the subscriptions table is what: one row per state of a subscription."""

    account_id: Column = Field(description="The account.")
    subscription_id: Column | None = Field(default=None, description="The subscription; default: one per account.")
    plan: Column | None = Field(default=None, description="Its plan in this row's time.")
    seats: Column | None = Field(default=None, description="Its seats in this row's time.")
    mrr: Column | None = Field(default=None, description="Monthly recurring revenue; without it every row is paid.")
    currency: Column | None = Field(default=None, description="Currency of the revenue; default: the framework's.")
    started_at: Column = Field(description="When the row's state began.")
    ended_at: Column | None = Field(default=None, description="When it ended; no value: it still holds.")
    is_trial: Column | None = Field(default=None, description="Whether the row is a trial.")
    term_months: Column | None = Field(default=None, description="Length of its term, in months.")
    term_anchor_at: Column | None = Field(default=None, description="Instant from which terms are counted.")
    recorded_at: Column | None = Field(default=None, description="When the row was written down.")
    is_price_list_change: Column | None = Field(
        default=None, description="Whether the row begins with a change of the price list, which is no expansion."
    )


class SubscriptionSource(SnapshotSource):
    """The subscriptions."""

    columns: SubscriptionColumns = Field(description="Which column is what.")


class Sources(Model):
    """All of `sources.yaml`; accounts or events must be there, all else may be left out."""

    events: tuple[EventSource, ...] = Field(default=(), description="The event feeds.")
    accounts: AccountSource | None = Field(default=None, description="The accounts.")
    users: UserSource | None = Field(default=None, description="The users.")
    subscriptions: SubscriptionSource | None = Field(default=None, description="The subscriptions.")

    @property
    def snapshots(self) -> dict[SnapshotKind, AccountSource | UserSource | SubscriptionSource]:
        """The sources that are extracted whole, by kind, in the order accounts, users, subscriptions."""
        pairs: list[tuple[SnapshotKind, AccountSource | UserSource | SubscriptionSource | None]] = [
            ("accounts", self.accounts),
            ("users", self.users),
            ("subscriptions", self.subscriptions),
        ]
        return {kind: source for kind, source in pairs if source is not None}
