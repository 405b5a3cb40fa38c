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
    return _product(land, warehouse, is_gated=True)


def ungated(land: str, warehouse: str) -> dict[str, Any]:
    """Run the product with rules that are not asked, into a new warehouse."""
    return _product(land, warehouse, is_gated=False)


def day(land: str, warehouse: str) -> dict[str, Any]:
    """Run the product again on a warehouse that is there, after one more day has landed."""
    from benchmarks.product import run_product

    return run_product(Path(land) / "config", Path(warehouse))


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
    part.__name__: part for part in (floor, limit, gated, ungated, day, pandas, forest)
}


def _product(land: str, warehouse: str, *, is_gated: bool) -> dict[str, Any]:
    from benchmarks.product import run_product

    path = Path(warehouse)
    shutil.rmtree(path.parent, ignore_errors=True)
    try:
        return run_product(Path(land) / "config", path, is_gated=is_gated)
    except BaseException:
        shutil.rmtree(path.parent, ignore_errors=True)  # half a warehouse must not be taken for the history of one more day
        raise


if __name__ == "__main__":
    name, *arguments, result = sys.argv[1:]
    Path(result).write_text(json.dumps(PARTS[name](*arguments)), encoding="utf-8")
