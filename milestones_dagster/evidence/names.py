"""Which known names come close to a name that nobody uses.

Put here the comparison of names. Keep out where the names come from.
"""

import difflib
from collections.abc import Mapping

import pandas as pd

from milestones_dagster.config.framework import Framework

_MOST = 3
_CUTOFF = 0.6


def closest_events(frame: pd.DataFrame, framework: Framework, also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Event names with, for those that never arrive, the closest names that do.

    Args:
        frame: One row per name: event, events (count), used_by and further columns that are kept.
        framework: Unused but for the form that all such functions share.
        also: No further tables.

    Returns:
        The frame with `closest_events` (comma-separated, NULL for names that arrive) and `hint`.
    """
    del framework, also
    arriving = sorted(frame.loc[frame["events"] > 0, "event"])
    made = frame.copy()
    made["closest_events"] = [
        None if events > 0 else ", ".join(difflib.get_close_matches(event, arriving, n=_MOST, cutoff=_CUTOFF)) or None
        for event, events in zip(made["event"], made["events"], strict=True)
    ]
    made["hint"] = [
        _hint(event, used_by, closest)
        for event, used_by, closest in zip(made["event"], made["used_by"], made["closest_events"], strict=True)
    ]
    return made


def _hint(event: str, used_by: object, closest: str | None) -> str:
    reader = f" ({used_by})" if isinstance(used_by, str) else ""
    return f"{event}{reader}: closest names that arrive: {closest}" if closest else f"{event}{reader}"
