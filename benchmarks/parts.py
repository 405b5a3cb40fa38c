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

from benchmarks.measuring import spending

_ON_SPARK = {"engine": "spark", "spark": {"master": "local[*]", "settings": {"spark.driver.memory": "6g"}}}
_FLOOR = """
SELECT sum(hash(account_id)::HUGEINT), sum(hash(event)::HUGEINT), sum(hash(occurred_at)::HUGEINT)
FROM read_parquet($files)
"""


def floor(land: str) -> dict[str, Any]:
    """Scan the three columns that any answer needs from the landed Parquet."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        with spending() as spent:
            connection.execute(_FLOOR, {"files": f"{land}/events/*.parquet"}).fetchall()
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
    """Run the product on Spark, in this machine's processes, into a new warehouse; names the tables that differ from `embedded`."""
    import yaml

    config = Path(land) / "config_spark"
    shutil.copytree(Path(land) / "config", config, dirs_exist_ok=True)
    text = yaml.safe_dump({**yaml.safe_load((config / "warehouse.yaml").read_text(encoding="utf-8")), **_ON_SPARK})
    (config / "warehouse.yaml").write_text(text, encoding="utf-8")
    done = _product(config, warehouse, is_gated=True)
    return {**done, "differs": _differing(config, Path(warehouse), Path(embedded)) if Path(embedded).exists() else None}


def pandas(land: str) -> dict[str, Any]:
    """Compute the heart of the milestones with pandas."""
    from benchmarks.pandas_way import milestones

    with spending() as spent:
        found = milestones(Path(land))
    return {"run": asdict(spent), "found": found}


def forest(warehouse: str) -> dict[str, Any]:
    """Fit the product's forest once, with its parameters, on all rows of its own feature matrix that have an outcome."""
    import duckdb
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    with duckdb.connect(warehouse, read_only=True) as connection:
        rows = connection.execute("SELECT * FROM evidence.feature_matrix WHERE retained IS NOT NULL").df()
    features = rows.drop(columns=["account_key", "observed_at", "known_at", "retained", "plan", "size_stratum"]).fillna(0)
    values, outcome = features.to_numpy(dtype=np.float32), rows["retained"].to_numpy(dtype=bool)
    model = RandomForestClassifier(n_estimators=100, min_samples_leaf=50, max_depth=12, max_samples=0.2, random_state=0, n_jobs=-1)
    with spending() as spent:
        model.fit(values, outcome)
    return {"run": asdict(spent), "rows": len(rows), "features": features.shape[1]}


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
    Path(result).write_text(json.dumps(PARTS[name](*arguments)), encoding="utf-8")
