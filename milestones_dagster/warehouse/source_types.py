"""The columns and DuckDB types of a source's mapped rows, as they are also where a source is not declared."""

from milestones_dagster.config.sources import EventSource, Source
from milestones_dagster.warehouse.source_mapping import STANDARD_COLUMNS
from milestones_dagster.warehouse.source_values import OUTPUT_TYPES


def standard_types(kind: type[Source]) -> dict[str, str]:
    """DuckDB type by column of the mapped rows of a kind of source, in no promised order."""
    types = {column: OUTPUT_TYPES[value] for column, value in STANDARD_COLUMNS[kind].items()}
    added = {"occurred_at_text": "VARCHAR", "source": "VARCHAR"} if kind is EventSource else {"attributes": "VARCHAR"}
    return {**types, **added, "file": "VARCHAR", "file_row": "BIGINT"}
