"""The snapshot sources: accounts, users and subscriptions, each known as of its extract.

Put here what is looked at before a snapshot's rows are read: which files, when they were extracted, whether their columns are what
they were. Keep out how a file is read (`source_mapping.py`) and the tables made from it (`publish.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sqlglot import exp

from milestones_dagster.config.sources import AccountSource, SnapshotSource, Sources, SubscriptionSource, UserSource
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.duckdb import Warehouse, empty_rows
from milestones_dagster.warehouse.source_files import describe_file, discover
from milestones_dagster.warehouse.source_inspection import inspect
from milestones_dagster.warehouse.source_mapping import rows_of
from milestones_dagster.warehouse.source_schema import check_schema, remember_schema
from milestones_dagster.warehouse.source_types import standard_types

SNAPSHOT_KINDS: dict[str, type[SnapshotSource]] = {
    "accounts": AccountSource,
    "users": UserSource,
    "subscriptions": SubscriptionSource,
}


@dataclass(frozen=True)
class Extract:
    """One accepted extract of a snapshot source; an undeclared source has no rows and no time.

    `new_columns` (file, column) are those that the last published extract did not have.
    """

    rows: exp.Query
    signature: str
    extracted_at: datetime | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    new_columns: tuple[tuple[Path, str], ...] = ()


def extract(warehouse: Warehouse, sources: Sources, name: str, base: Path) -> Extract:
    """The current extract of the source `name`, checked.

    Raises:
        FileRefused: a file is missing, unreadable, or its mapped columns are not what they were.
    """
    source = getattr(sources, name)
    if source is None:
        return Extract(empty_rows(standard_types(SNAPSHOT_KINDS[name])), "undeclared")
    paths = discover(source, base)
    recorded = operations.snapshot_columns(warehouse, name)
    columns = recorded
    added: list[tuple[Path, str]] = []
    digest = sha256(source.model_dump_json(exclude={"path"}).encode())
    for path in paths:
        inspection = inspect(warehouse.connection, source, path)
        change = check_schema(warehouse.connection, source, path, recorded, inspection.schema)
        added.extend((path, column) for column in change.new_columns)
        columns = remember_schema(columns, inspection.schema)
        digest.update(describe_file(path).content_hash.encode())
    return Extract(rows_of(source, paths), digest.hexdigest()[:16], extracted_at(sources, name, base), columns or {}, tuple(added))


def extracted_at(sources: Sources, name: str, base: Path) -> datetime | None:
    """When the source was extracted, UTC without zone: as declared, else the newest file's modification; None undeclared.

    Raises:
        FileRefused: the source names no file.
    """
    source = getattr(sources, name)
    if source is None:
        return None
    if source.extracted_at is not None:
        declared: datetime = source.extracted_at
        return declared.astimezone(UTC).replace(tzinfo=None) if declared.tzinfo is not None else declared
    newest = max(path.stat().st_mtime for path in discover(source, base))
    return datetime.fromtimestamp(newest, UTC).replace(tzinfo=None)
