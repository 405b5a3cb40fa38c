"""The grammar of `warehouse.yaml`: the engine, where its file lies and how much of the machine it may use.

Put here what an environment may choose about the warehouse. Keep out connections and SQL: this package opens nothing.
"""

from typing import Annotated, Literal

from pydantic import Field

from milestones_dagster.config.base import Integer, Model, expects, unit
from milestones_dagster.config.duration import ShortDuration

ByteSize = Annotated[
    str,
    Field(pattern=r"^[0-9]+(\.[0-9]+)? ?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$", json_schema_extra=expects("a size, such as 4 GB")),
]


class Warehouse(Model):
    """All of `warehouse.yaml`."""

    engine: Literal["duckdb"] = Field(default="duckdb", description="The engine that holds the tables.")
    path: Annotated[
        str,
        # DuckDB names a database after its file, and a name that is also a schema's would mean two things
        Field(
            pattern=r"^(.*/)?[^/]+\.duckdb$",
            json_schema_extra=expects("a file that ends in .duckdb"),
        ),
    ] = Field(default="../warehouse/warehouse.duckdb", description="The warehouse's file, relative to the config folder.")
    memory_limit: ByteSize | None = Field(
        default=None,
        description=(
            "Most memory the engine takes, beyond which it works on disk beside the warehouse; default: half of the machine's, "
            "at least 2 GB."
        ),
    )
    threads: Integer | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Threads of the engine; default: all cores.",
        json_schema_extra=unit("threads"),
    )
    lock_timeout: ShortDuration = Field(
        default=ShortDuration(seconds=900, text="15 min"),
        description="Longest wait for another run to let go of the file; a run that waits says for whom.",
    )
