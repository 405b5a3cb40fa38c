"""What all tests share: `tests` on the import path, so that `scenario` is found."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
