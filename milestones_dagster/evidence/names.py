"""What a configured event name that matches nothing may have meant: the known names that come close, or that it has no account.

Put here the comparison of names and its wording. Keep out where the names come from.
"""

import difflib
from collections.abc import Mapping

import pandas as pd

from milestones_dagster.config.framework import Framework

_MOST = 3
_CUTOFF = 0.6


def closest_events(frame: pd.DataFrame, framework: Framework, also: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Event names with, for those that never arrive, the closest names that do, and a line on why a name matches nothing.

    Args:
        frame: One row per name: event, events (count), used_by, unmatched_by (what reads it in vain, NULL where nothing does)
            and further columns that are kept.
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
        _hint(*row)
        for row in zip(*(made[name] for name in ("event", "events", "used_by", "unmatched_by", "closest_events")), strict=True)
    ]
    return made


def _hint(event: str, events: int, used_by: object, unmatched_by: object, closest: str | None) -> str:
    reader = next((f" ({name})" for name in (unmatched_by, used_by) if isinstance(name, str)), "")
    if closest:
        return f"{event}{reader}: closest names that arrive: {closest}"
    if events > 0 and isinstance(unmatched_by, str):
        return f"{event}{reader}: arrives, but never with an account"
    return f"{event}{reader}"
