"""What each address was told already: the memory of an alert sensor, kept in its cursor.

Put here the rules of telling: each failure once, repeats held back and counted, one message when it is over. Keep out
reading (`check_history.py`, `run_history.py`), words and delivery (`alerts.py`).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field

from milestones_dagster.orchestration.alerts import Alert, Past

# an evaluation is stored a moment after its own time: what is read again below the horizon is known by its identity
OVERLAP_SECONDS = 300.0
# at its first poll an address hears what has failed since the day before, and nothing older
FIRST_LOOK_SECONDS = 86_400.0
_MOST_TOLD = 500
_VERSION = 1


@dataclass(frozen=True)
class Occurrence:
    """A failure, or the end of one.

    Attributes:
        identity: names this one occurrence.
        key: names what fails (a check, a step of a job); failures of one key are repeats of each other.
        fault: how it fails; another fault of the same key is never a repeat.
        at: its own time, seconds since 1970 UTC.
        is_failure: whether it failed or passed.
        write: makes the alert from what came before.
    """

    identity: str
    key: str
    fault: str
    at: float
    is_failure: bool
    write: Callable[[Past], Alert]


@dataclass
class Told:
    """A failure that the address knows of, in seconds since 1970 UTC and counts."""

    since: float
    told_at: float
    last_at: float
    fault: str
    failures: int = 1
    untold: int = 0


@dataclass
class Ledger:
    """What one address was told.

    Attributes:
        horizon: everything earlier than this, less the overlap, is settled.
        settled: failures settled inside the overlap, their times by identity.
        told: failures that the address knows of and that are not over, by key.
    """

    horizon: float
    settled: dict[str, float] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)

    @property
    def read_after(self) -> float:
        """The time from which occurrences must be read again, seconds since 1970 UTC."""
        return self.horizon - OVERLAP_SECONDS

    def first_look(self, occurrences: Sequence[Occurrence]) -> list[Occurrence]:
        """Return the last occurrence of each key, ascending: what is worth hearing at the first poll of an address.

        The others are settled, so that the overlap does not bring them up at the second poll.
        """
        ascending = sorted(occurrences, key=lambda occurrence: occurrence.at)
        latest = {occurrence.key: occurrence for occurrence in ascending}
        heard = [occurrence for occurrence in ascending if latest[occurrence.key] is occurrence]
        past = [occurrence for occurrence in ascending if latest[occurrence.key] is not occurrence]
        self.settled.update({occurrence.identity: occurrence.at for occurrence in past if occurrence.is_failure})
        return heard

    def next_alert(self, occurrence: Occurrence, repeat_after: float) -> Alert | None:
        """Return the alert that this occurrence is worth to the address, or None; nothing is recorded yet."""
        known = self.told.get(occurrence.key)
        if not occurrence.is_failure:
            is_over = known is not None and occurrence.at > known.last_at
            return occurrence.write(Past(known.since, known.failures, known.untold)) if known and is_over else None
        if occurrence.identity in self.settled:
            return None
        if known is None:
            return occurrence.write(Past(occurrence.at))
        is_repeat = known.fault == occurrence.fault and occurrence.at - known.told_at < repeat_after
        return None if is_repeat else occurrence.write(Past(known.since, known.failures + 1, known.untold))

    def settle(self, occurrence: Occurrence, told_at: float | None) -> None:
        """Record an occurrence; `told_at` is when its alert was delivered, None when it was worth none."""
        self.horizon = max(self.horizon, occurrence.at)
        known = self.told.get(occurrence.key)
        if not occurrence.is_failure:
            if told_at is not None:
                del self.told[occurrence.key]
            return
        if occurrence.identity in self.settled:
            return
        self.settled[occurrence.identity] = occurrence.at
        if known is None:
            now = occurrence.at if told_at is None else told_at
            self.told[occurrence.key] = Told(occurrence.at, now, occurrence.at, occurrence.fault)
            return
        known.failures += 1
        known.last_at = max(known.last_at, occurrence.at)
        if told_at is None:
            known.untold += 1
        else:
            known.told_at, known.fault, known.untold = told_at, occurrence.fault, 0

    def forget(self, read_until: float | None, keys: AbstractSet[str] | None, quiet_since: float) -> None:
        """Drop what no later poll can need.

        Args:
            read_until: everything up to this time was read; None when something is left to read.
            keys: the keys that can still fail; None when any can.
            quiet_since: a failure is dropped when it was last seen before this time and nothing can say that it is
                over (`keys` is None).
        """
        if read_until is not None:
            self.horizon = max(self.horizon, read_until)
        self.settled = {name: at for name, at in self.settled.items() if at > self.read_after}
        kept = {key: told for key, told in self.told.items() if (key in keys if keys is not None else told.last_at >= quiet_since)}
        latest = sorted(kept, key=lambda key: kept[key].last_at)[-_MOST_TOLD:]
        self.told = {key: kept[key] for key in latest}


def load(cursor: str | None, addresses: Sequence[str]) -> dict[str, Ledger]:
    """Return the ledger of each address that has one; an address that is no longer configured is dropped.

    A cursor that is not one of ours counts as none.
    """
    try:
        content = json.loads(cursor or "{}")
        ledgers = content["ledgers"] if content.get("version") == _VERSION else {}
        known = {name: ledgers[name] for name in map(_name, addresses) if name in ledgers}
        return {address: _ledger(known[_name(address)]) for address in addresses if _name(address) in known}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def dump(ledgers: dict[str, Ledger]) -> str:
    """Return the cursor: small JSON, in which an address is only a digest of itself."""
    content = {_name(address): asdict(ledger) for address, ledger in ledgers.items()}
    return json.dumps({"version": _VERSION, "ledgers": content}, separators=(",", ":"), sort_keys=True)


def _name(address: str) -> str:
    # an address holds tokens, a cursor is shown in the UI
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def _ledger(content: dict[str, object]) -> Ledger:
    ledger = Ledger(**content)  # type: ignore[arg-type]  # a wrong shape is a TypeError, and then no cursor of ours
    ledger.told = {key: Told(**told) for key, told in ledger.told.items()}  # type: ignore[arg-type]
    return ledger
