"""YAML of the product's own files: table headers and rules, which are read at every start.

Put here how they are read quickly. Keep out what a person writes (`document.py`): that knows its lines and its environment.
"""

from typing import Any

import yaml

# the same loader in C, which takes an eighth of the time; a PyYAML built without libyaml has the slow one alone
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Any:
    """The value that `text` is.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
