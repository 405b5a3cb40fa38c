"""The measured parts, each run by `python -m benchmarks.parts NAME ARGUMENT… DETAILS` in a process of its own.

Put here what a part does. Keep out how it is measured from outside (`measuring.py`) and how the parts follow each other
(`plan.py`).
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measuring import peak_mb, spending

_ON_SPARK = {"engine": "spark", "spark": {"master": "local[*]", "settings": {"spark.driver.memory": "6g"}}}
_FLOOR = """
SELECT sum(hash(account_id)::HUGEINT), sum(hash(event)::HUGEINT), sum(hash(occurred_at)::HUGEINT)
FROM read_parquet($files)
"""


def floor(land: str) -> dict[str, Any]:
    """Scan the three columns that any answer needs from the landed Parquet; the second time, from the page cache."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        files = {"files": f"{land}/events/*.parquet"}
        connection.execute(_FLOOR, files).fetchall()
        with spending() as spent:
            connection.execute(_FLOOR, files).fetchall()
    return {"run": asdict(spent)}


def limit(land: str, warehouse: str) -> dict[str, Any]:
    """Make the plain tables by the plain script, into a new warehouse."""
    from benchmarks.limit import run_limit

    return run_limit(Path(land) / "config", Path(warehouse))


def gated(land: str, warehouse: str) -> dict[str, Any]:
    """Run the product into a new warehouse."""
    return _product(Path(land) / "config", warehouse, is_gated=True)


def ungated(land: str, warehouse: str) -> dict[str, Any]:
    """Run the product with rules that are not asked, into a new warehouse."""
    return _product(Path(land) / "config", warehouse, is_gated=False)


def day(land: str, warehouse: str) -> dict[str, Any]:
    """Run the product again on a warehouse that is there, after one more day has landed."""
    from benchmarks.product import run_product

    return run_product(Path(land) / "config", Path(warehouse))


def spark(land: str, warehouse: str, embedded: str) -> dict[str, Any]:
    """Run the product on Spark, in this machine's processes, into a new warehouse, and compare its tables with those of `embedded`.

    Raises:
        RuntimeError: a table differs.
    """
    import yaml

    config = Path(land) / "config_spark"
    shutil.copytree(Path(land) / "config", config, dirs_exist_ok=True)
    text = yaml.safe_dump({**yaml.safe_load((config / "warehouse.yaml").read_text(encoding="utf-8")), **_ON_SPARK})
    (config / "warehouse.yaml").write_text(text, encoding="utf-8")
    done = _product(config, warehouse, is_gated=True)
    if differing := _differing(config, Path(warehouse), Path(embedded)):
        raise RuntimeError(f"on Spark other rows came out: {'; '.join(differing)}")
    return done


def pandas(land: str) -> dict[str, Any]:
    """Compute the heart of the milestones with pandas."""
    from benchmarks.pandas_way import milestones

    with spending() as spent:
        found = milestones(Path(land))
    return {"run": asdict(spent), "found": found}


def forest() -> dict[str, Any]:
    """Rank 60 features of 100,000 accounts beside one fit of the same forest, on all rows and on those that the product draws."""
    from benchmarks.forest import compare
    from milestones_dagster.config.catalogue import FeatureRanking

    whole, drawn = compare(repeats=1), compare(repeats=1, maximum_rows=FeatureRanking().maximum_rows)
    return {
        "run": {"wall_s": whole.ranking.wall_s, "cpu_s": whole.ranking.cpu_s},
        "ratio": whole.wall_ratio,
        "drawn": {"rows": FeatureRanking().maximum_rows, "wall_s": drawn.ranking.wall_s, "ratio": drawn.wall_ratio},
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    part.__name__: part for part in (floor, limit, gated, ungated, spark, day, pandas, forest)
}


def _product(config: Path, warehouse: str, *, is_gated: bool) -> dict[str, Any]:
    from benchmarks.product import run_product

    path = Path(warehouse)
    shutil.rmtree(path.parent, ignore_errors=True)
    try:
        return run_product(config, path, is_gated=is_gated)
    except BaseException:
        shutil.rmtree(path.parent, ignore_errors=True)  # half a warehouse must not be taken for the history of one more day
        raise


def _differing(config: Path, one: Path, other: Path) -> list[str]:
    """The tables that differ between two warehouses, and how; those that remember earlier runs are left out."""
    import duckdb

    from milestones_dagster.config.loader import load_config
    from milestones_dagster.orchestration.session import Declared
    from milestones_dagster.warehouse.equality import compare

    with duckdb.connect(str(one), read_only=True) as here, duckdb.connect(str(other), read_only=True) as there:
        found = compare(here, there, Declared.of(load_config(config)).tables)
    return [f"{table.table}: {table.difference}" for table in found if table.difference and not table.remembers]


if __name__ == "__main__":
    name, *arguments, result = sys.argv[1:]
    done = PARTS[name](*arguments)
    Path(result).write_text(json.dumps({**done, "peak_mb": peak_mb()}), encoding="utf-8")
