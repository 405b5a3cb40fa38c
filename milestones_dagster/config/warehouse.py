"""The grammar of `warehouse.yaml`: the engine, where its file lies and how much of the machine it may use.

Put here what an environment may choose about the warehouse. Keep out connections and SQL: this package opens nothing.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from milestones_dagster.config.base import Integer, Model, Name, Text, expects, refusal, unit
from milestones_dagster.config.duration import ShortDuration

_SIZE = r"^([0-9]+(?:\.[0-9]+)?) ?([KMGT])(i?)B$"
# DuckDB does not even open a file with a few kilobytes; the smallest worlds are made whole with this much
LEAST_MEMORY_BYTES = 256_000_000
_MEMORY_EXPECTED = f"a size of at least {LEAST_MEMORY_BYTES // 1_000_000} MB, such as 4 GB"


def _memory(value: str) -> str:
    size = re.match(_SIZE, value)
    if size is None or float(size[1]) * (1024 if size[3] else 1000) ** ("KMGT".index(size[2]) + 1) < LEAST_MEMORY_BYTES:
        raise refusal(_MEMORY_EXPECTED)
    return value


MemorySize = Annotated[str, Field(pattern=_SIZE, json_schema_extra=expects(_MEMORY_EXPECTED)), AfterValidator(_memory)]


# what a SELECT means rests on these: Spark's own names of what `warehouse/spark_dialect.py` sets
_FIXED_SETTINGS = ("spark.sql.ansi.enabled", "spark.sql.session.timeZone", "spark.sql.timestampType", "spark.sql.caseSensitive")


class Spark(Model):
    """Where Spark runs and writes; read where `engine: spark`."""

    master: Annotated[
        str,
        Field(
            pattern=r"^(local(\[(\*|[1-9][0-9]*)\])?|(spark|k8s)://.+|yarn)$",
            json_schema_extra=expects("a master URL of Spark, such as local[2], spark://host:7077, k8s://https://host or yarn"),
        ),
    ] = Field(default="local[*]", description="Spark's master URL.")
    warehouse_folder: Text | None = Field(
        default=None,
        description="Folder of the tables that Spark writes, relative to the config folder; the driver and all workers must see it "
        "under the same path. Default: beside the warehouse's file.",
    )
    catalogue: Name | None = Field(
        default=None,
        description="Catalogue of Spark in which the published tables are shown to others, such as spark_catalog; default: none.",
    )
    settings: dict[str, str] = Field(
        default_factory=dict,
        description="Settings of Spark by its own names, such as spark.executor.memory; what the SQL's meaning rests on is fixed.",
    )

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        for name in self.settings:
            if not name.startswith("spark."):
                raise refusal("a setting of Spark, whose name begins with spark.", key=f"settings.{name}", found=name)
            if name in _FIXED_SETTINGS:
                raise refusal("no value here: what the SQL means rests on it, so it is fixed", key=f"settings.{name}", found=name)
        return self


class Warehouse(Model):
    """All of `warehouse.yaml`."""

    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="The engine that makes the tables: duckdb in this process, or spark, which needs the extra [spark] and Java. "
        "The events are landed, and what was done is recorded, by DuckDB in either case.",
    )
    spark: Spark | None = Field(default=None, description="Where Spark runs and writes.")
    path: Annotated[
        str,
        # DuckDB names a database after its file, and a name that is also a schema's would mean two things
        Field(
            pattern=r"^(.*/)?[^/]+\.duckdb$",
            json_schema_extra=expects("a file that ends in .duckdb"),
        ),
    ] = Field(default="../warehouse/warehouse.duckdb", description="The warehouse's file, relative to the config folder.")
    memory_limit: MemorySize | None = Field(
        default=None,
        description=(
            "Most memory the engine takes, beyond which it works on disk beside the warehouse; default: half of the machine's, "
            "at least 2 GB. A value below 256 MB is refused."
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

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        if self.spark is not None and self.engine != "spark":
            raise refusal("engine: spark beside it, or no such key: duckdb does not read it", key="spark")
        return self
