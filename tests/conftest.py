"""What all tests share: `tests` and its parent on the import path, so that `scenario` and `tests.proving` are found."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]
