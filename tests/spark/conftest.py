"""What the tests on Spark share: the edges of the dialect on the import path, and a skip with a sentence where Spark cannot run."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# the edges are the embedded engine's test too: one table of them
sys.path.append(str(Path(__file__).resolve().parents[1] / "warehouse"))


def pytest_collection_modifyitems(items):
    missing = None
    if find_spec("pyspark") is None:
        missing = "pyspark is not installed: make test-spark builds an environment with it"
    elif shutil.which("java") is None:
        missing = "no Java runtime: apt-get install openjdk-17-jre-headless"
    if missing is not None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=missing))
