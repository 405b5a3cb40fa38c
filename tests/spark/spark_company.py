"""A small company made on both engines: landed once, its tables made by DuckDB in one control file and by Spark in another.

Put here how it is made and how rows are compared. Keep out what is expected of it.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from random_company import random_company
from scenario import World, write_yaml

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared, Session

# rows are few: what Spark compiles, spreads and adapts for many costs more than it gives
FEW_ROWS = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}
TOLERANCE = 1e-9


@dataclass
class Both:
    """One company's two sessions; Spark's reads the day files that DuckDB landed."""

    config_dir: Path
    embedded: Session
    spark: Session

    def make(self, *tables: str) -> None:
        """Makes `tables` and all that they read on both engines; nothing may be refused but what both refuse."""
        declared = self.embedded.declared.tables
        needed = set(tables)
        for name in reversed(declared):
            if name in needed:
                needed |= set(declared[name].dependencies)
        for name in (name for name in declared if name in needed and name != "raw_events"):
            there, here = self.embedded.make(name), self.spark.make(name)
            assert (here.state, here.row_count) == (there.state, there.row_count), name
            assert [verdict(result) for result in here.results] == [verdict(result) for result in there.results], name


def verdict(result: Any) -> tuple[Any, ...]:
    """What a rule's result says, without the words of an engine."""
    return result.rule.name, result.passed, result.errored, result.unexpected_count, result.total_count, result.sample_keys


@contextmanager
def both(folder: Path, *, seed: int = 21, accounts: int = 12) -> Iterator[Both]:
    """A random company of so many accounts, landed, with no table made yet."""
    drawn = random_company(seed, accounts=accounts, zone="Europe/Berlin")
    world = World(
        events=drawn.events,
        last_day=str(drawn.last_day),
        subscriptions=drawn.subscriptions,
        users=drawn.users,
        framework={"time_zone": drawn.zone, "usage": {"threshold": "auto"}},
    )
    config_dir = world.write(folder)
    declared = Declared.of(load_config(config_dir))
    path = declared.config.warehouse_path
    as_of = drawn.as_of.date()
    with duckdb.connect(str(path)) as connection:
        loading = Session(declared, connection, path.with_suffix(""), "landing", as_of)
        assert not loading.load_events().is_refused
    control = path.with_name("spark.duckdb")
    shutil.copyfile(path, control)
    spark_config = on_spark(config_dir, control)
    with duckdb.connect(str(path)) as one, duckdb.connect(str(control)) as other:
        embedded = Session(declared, one, path.with_suffix(""), "embedded", as_of)
        spark = Session(Declared.of(load_config(spark_config)), other, path.with_suffix(""), "spark", as_of)
        yield Both(spark_config, embedded, spark)


def on_spark(config_dir: Path, control: Path, **quality: dict[str, Any]) -> Path:
    """The same company's config for Spark, with the rules `quality` by table, in a folder beside."""
    beside = config_dir.with_name(f"{config_dir.name}_spark_{len(quality)}")
    shutil.copytree(config_dir, beside, dirs_exist_ok=True)
    write_yaml(
        beside / "warehouse.yaml",
        {
            "engine": "spark",
            "path": str(control),
            "spark": {"master": "local[2]", "catalogue": "spark_catalog", "settings": FEW_ROWS},
        },
    )
    for table, rules in quality.items():
        (beside / "quality").mkdir(exist_ok=True)
        write_yaml(beside / "quality" / f"{table}.yaml", rules)
    return beside


def rows(session: Session, table: str) -> list[dict[str, Any]]:
    """Published rows of a table in its order, equals in that of their keys, as the control file shows them."""
    declared = session.declared.tables[table]
    order = ", ".join(f'"{name}"' for name in dict.fromkeys([*declared.order, *declared.key]))
    cursor = session.warehouse.connection.execute(f'SELECT * FROM "{declared.schema}"."{table}" ORDER BY {order}')
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def differences(there: Sequence[dict[str, Any]], here: Sequence[dict[str, Any]]) -> list[str]:
    """The values in which rows differ, floats beyond 1e-9, as lines."""
    if len(there) != len(here):
        return [f"{len(there)} rows on DuckDB, {len(here)} on Spark"]
    lines = []
    for number, (one, other) in enumerate(zip(there, here, strict=True)):
        if list(one) != list(other):
            return [f"columns {list(one)} on DuckDB, {list(other)} on Spark"]
        lines += [
            f"row {number}, {name}: {one[name]!r} on DuckDB, {other[name]!r} on Spark"
            for name in one
            if not same(one[name], other[name])
        ]
    return lines


def same(one: Any, other: Any) -> bool:
    """Whether two values are one: of one type, a float to 1e-9."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and one == other
