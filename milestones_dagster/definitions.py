"""The code location: the definitions of the company that MILESTONES_CONFIG names, by default of `assets_config` beside the package.

`build_defs` is offered here to other projects. Where neither the variable nor the folder is there (an installed package),
importing this module builds nothing. Put nothing else here: the wiring is in `wiring.py`.
"""

import os
from pathlib import Path

from milestones_dagster.wiring import CONFIG_VARIABLE, build_defs

__all__ = ["build_defs", "defs"]

_DEFAULT_CONFIG = Path(__file__).resolve().parent.parent / "assets_config"

if os.environ.get(CONFIG_VARIABLE) or _DEFAULT_CONFIG.is_dir():
    defs = build_defs(os.environ.get(CONFIG_VARIABLE) or _DEFAULT_CONFIG)
