"""The milestone definitions a second time: plain Python over lists of rows, for the framework of `scenario.py`. Clear and slow.

Put here what a definition says, written from the definitions alone. Keep out SQL and everything of the product: what this file and
the product agree on, two readings of one text agree on.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from hashlib import md5
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Rows = dict[tuple[Any, ...], dict[str, Any]]

GAP = timedelta(days=7)
DORMANT_AFTER = timedelta(days=30)
FEATURE_WINDOW = timedelta(days=30)
MATURITY_WINDOW = timedelta(days=90)
WINDOW_MONTHS = 3
HORIZON_MONTHS = 3
ACTIVATION_THRESHOLD = 3
USAGE_THRESHOLD = 2
MATURE_CATEGORIES = 1
EXPANSION = Fraction(11, 10)
STRATA = ((1, "1-4"), (5, "5-19"), (20, "20-99"), (100, "100+"))
BANDS = (("0", 0, 1), ("1-2", 1, 3), ("3+", 3, math.inf))
# step: event, events needed, users needed, is_required
STEPS = {"install": ("installed", 1, 0, True), "team": ("joined", 1, 2, True), "rules": ("rule_made", 2, 0, False)}
FEATURE_EVENTS = {
    "chat_days": "chat", "mail_days": "mail", "report_used": "report", "chat_per_seat": "chat", "chat_users": "chat",
    "chat_trend": "chat", "sla": "sla",
}  # fmt: skip
# category: level: features needed, of which, days each
CATEGORIES = {
    "channels": {"basic": (1, ("chat_days", "mail_days"), 1), "mature": (2, ("chat_days", "hours", "mail_days"), 2)},
    "reporting": {"basic": (1, ("report_used",), 1), "mature": (1, ("report_used",), 3)},
}
MILESTONES = ("setup", "activation", "usage", "maturity")


@dataclass(frozen=True)
class State:
    """A state of a subscription as it is known at some instant; `ended_at` is None while no end is known."""

    subscription_id: str
    plan: str | None
    seats: float
    mrr: float | None
    started_at: datetime
    ended_at: datetime | None
    is_paid: bool
    term_months: int | None
    term_anchor_at: datetime
    is_price_list_change: bool

    def covers(self, instant: datetime) -> bool:
        """Whether the state holds at `instant`; intervals are half-open."""
        return self.started_at <= instant and (self.ended_at is None or instant < self.ended_at)


@dataclass(frozen=True)
class Month:
    """A calendar month of the reporting zone; `close` is its end, or the as-of time inside it."""

    month: date
    start: datetime
    end: datetime
    close: datetime


@dataclass(frozen=True)
class Company:
    """A company as of `as_of`: rows as `scenario` makes them; `users` is None where no such source is declared."""

    all_events: Sequence[Row]
    all_subscriptions: Sequence[Row]
    users: Sequence[Row] | None
    as_of: datetime
    zone: str = "UTC"

    # --- what is known -------------------------------------------------------------------------------------------------

    @cached_property
    def events(self) -> list[Row]:
        """The events before the as-of time, in the order of time."""
        return sorted((row for row in self.all_events if row["occurred_at"] < self.as_of), key=_when)

    def of(self, account: str, *names: str) -> list[Row]:
        """Events of an account with one of these names, in the order of time."""
        return [row for row in self._by_account[account] if row["event"] in names]

    @cached_property
    def _by_account(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.events:
            if row["account_id"] is not None:
                found[row["account_id"]].append(row)
        return found

    def states(self, account: str, known_at: datetime) -> list[State]:
        """The subscription states that are known at `known_at`: the newest record of each, an end only when it lies before."""
        newest: dict[tuple[str, datetime], tuple[datetime, Row]] = {}
        for row in self.all_subscriptions:
            recorded = row["recorded_at"] or row["started_at"]
            if row["account_id"] != account or recorded >= known_at or row["started_at"] >= known_at:
                continue
            key = (row["subscription_id"], row["started_at"])
            if key not in newest or newest[key][0] < recorded:
                newest[key] = (recorded, row)
        return [
            State(
                subscription_id=row["subscription_id"],
                plan=row["plan"],
                seats=row["seats"],
                mrr=row["mrr"],
                started_at=row["started_at"],
                ended_at=row["ended_at"] if row["ended_at"] is not None and row["ended_at"] < known_at else None,
                is_paid=not row["is_trial"] and (row["mrr"] is None or row["mrr"] > 0),
                term_months=row["term_months"],
                term_anchor_at=row["term_anchor_at"] or row["started_at"],
                is_price_list_change=row["is_price_list_change"],
            )
            for _, row in newest.values()
            if row["ended_at"] is None or row["ended_at"] > row["started_at"]
        ]

    @cached_property
    def tenures(self) -> dict[str, datetime]:
        """Start of the first paid subscription, of the accounts that ever paid."""
        starts: dict[str, datetime] = {}
        for account in sorted({row["account_id"] for row in self.all_subscriptions}):
            paid = [state.started_at for state in self.states(account, self.as_of) if state.is_paid]
            if paid:
                starts[account] = min(paid)
        return starts

    # --- the calendar ---------------------------------------------------------------------------------------------------

    def later(self, instant: datetime, months: int) -> datetime:
        """`instant` and so many calendar months of the reporting zone, clamped to the month's end."""
        local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        return self._utc(_add_months(local, months))

    def _utc(self, local: datetime) -> datetime:
        return local.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC).replace(tzinfo=None)

    def local_date(self, instant: datetime) -> date:
        """Date of an instant in the reporting zone."""
        return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone)).date()

    def dates_before(self, rows: Iterable[Row], until: date, window: timedelta) -> list[Row]:
        """The rows of the whole dates of `window` before the date `until`: what is counted by day is cut by day."""
        return [row for row in rows if until - window <= self.local_date(row["occurred_at"]) < until]

    def end_date(self, close: datetime) -> date:
        """The date after the last one that an end in time touches; a midnight touches only what is before it."""
        return self.local_date(close - timedelta(microseconds=1)) + timedelta(days=1)

    def months(self, since: datetime) -> list[Month]:
        """Calendar months from the one of `since` to the one that the as-of time stands in."""
        month, found = self.local_date(since).replace(day=1), []
        while (start := self._utc(datetime.combine(month, datetime.min.time()))) < self.as_of:
            following = (month + timedelta(days=31)).replace(day=1)
            end = self._utc(datetime.combine(following, datetime.min.time()))
            found.append(Month(month, start, end, min(end, self.as_of)))
            month = following
        return found

    @cached_property
    def evidence_as_of(self) -> datetime:
        """The first instant of the month that the as-of time stands in: evidence is of the months that have closed."""
        return self._utc(datetime.combine(self.local_date(self.as_of).replace(day=1), datetime.min.time()))

    # --- paying ----------------------------------------------------------------------------------------------------------

    def spells(self, account: str) -> list[tuple[datetime, datetime | None]]:
        """Times of payment with gaps of at most seven days bridged."""
        made: list[tuple[datetime, datetime | None]] = []
        for start, end in _union(state for state in self.states(account, self.as_of) if state.is_paid):
            if made and made[-1][1] is not None and start <= made[-1][1] + GAP:
                made[-1] = (made[-1][0], end)
            else:
                made.append((start, end))
        return made

    def paid_at(self, account: str, instant: datetime) -> list[State]:
        """Paid states at an instant, the one with the highest revenue first."""
        return self._ranked(account, instant, is_paid=True)

    def paid_last(self, account: str, instant: datetime) -> list[State]:
        """Paid states at an instant, or those that were paid last: they hold on through a gap that is bridged."""
        paid = [state for state in self.states(account, self.as_of) if state.is_paid and state.started_at <= instant]
        ends = [state.ended_at for state in paid if state.ended_at is not None]
        if not paid or self.paid_at(account, instant):
            return self.paid_at(account, instant)
        return [state for state in paid if state.covers(max(ends) - timedelta(microseconds=1))]

    def listed(self, account: str, since: datetime, until: datetime) -> Fraction:
        """What the price list alone changed, after `since` and up to `until`, of the subscriptions paid at `until` or last before it."""
        total = Fraction(0)
        for name in {state.subscription_id for state in self.paid_last(account, until)}:
            own = [state for state in self.states(account, self.as_of) if state.is_paid and state.subscription_id == name]
            for before, after in pairwise(sorted(own, key=lambda state: state.started_at)):
                is_alike = (before.plan, before.seats) == (after.plan, after.seats)
                if after.is_price_list_change and is_alike and since < after.started_at <= until:
                    total += Fraction(str(after.mrr)) - Fraction(str(before.mrr))
        return total

    def _ranked(self, account: str, instant: datetime, *, is_paid: bool) -> list[State]:
        found = [state for state in self.states(account, self.as_of) if state.is_paid == is_paid and state.covers(instant)]
        return sorted(found, key=_standing)

    def attributes(self, account: str, instant: datetime) -> tuple[str | None, float | None]:
        """Plan and seats at an instant: of what is paid, else of the trial, else unknown."""
        found = self.paid_at(account, instant) or self._ranked(account, instant, is_paid=False)
        return (found[0].plan, sum(state.seats for state in found)) if found else (None, None)

    def within_spell(self, account: str, instant: datetime) -> tuple[str | None, float | None]:
        """Plan and seats of what is paid at an instant, or was paid last before a gap that is bridged; else unknown."""
        if not any(start <= instant and (end is None or instant < end) for start, end in self.spells(account)):
            return None, None
        found = self.paid_last(account, instant)
        return found[0].plan, sum(state.seats for state in found)

    # --- conversations -----------------------------------------------------------------------------------------------------

    @cached_property
    def conversations(self) -> Mapping[str, list[Row]]:
        """Beginnings, resolutions and reopenings by conversation, in the order of time."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.events:
            conversation = json.loads(row["properties"] or "{}").get("conversation_id")
            if row["event"] in {"started", "resolved", "reopened"} and conversation is not None:
                found[conversation].append(row)
        return found

    def resolved(self, known_at: datetime) -> list[tuple[str, datetime]]:
        """Account and last resolution of every conversation that is resolved as of `known_at`."""
        found: list[tuple[str, datetime]] = []
        for rows in self.conversations.values():
            known = [row for row in rows if row["occurred_at"] < known_at]
            resolutions = [row for row in known if row["event"] == "resolved"]
            if not resolutions:
                continue
            last = resolutions[-1]["occurred_at"]
            if any(row["event"] == "reopened" and row["occurred_at"] > last for row in known):
                continue
            named = [row["account_id"] for row in resolutions if row["occurred_at"] == last and row["account_id"]]
            owner = min(named) if named else self._contact(known, known_at)
            if owner is not None:
                found.append((owner, last))
        return found

    def _contact(self, rows: Sequence[Row], known_at: datetime) -> str | None:
        """The account of the earliest contact: the one on its event, else that of the user; ties by the id of a known user."""
        contacts = []
        for row in rows:
            account = row["account_id"] or self._account_of(row["user_id"], known_at)
            if account is not None:
                user = row["user_id"] if self._is_known(row["user_id"], known_at) else None
                contacts.append((row["occurred_at"], user is None, user or "", account))
        return min(contacts)[3] if contacts else None

    def _is_known(self, user: str | None, known_at: datetime) -> bool:
        if user is None:
            return False
        if self.users is None:
            return user in self._sightings and self._sightings[user][0] < known_at
        return any(row["user_id"] == user and (row["created_at"] is None or row["created_at"] < known_at) for row in self.users)

    @cached_property
    def _sightings(self) -> Mapping[str, tuple[datetime, str]]:
        """The first event with an account of each user: its time and its account."""
        found: dict[str, tuple[datetime, str]] = {}
        for row in self.events:
            if row["user_id"] is not None and row["account_id"] is not None:
                found.setdefault(row["user_id"], (row["occurred_at"], row["account_id"]))
        return found

    def _account_of(self, user: str | None, known_at: datetime) -> str | None:
        if user is None:
            return None
        if self.users is None:
            seen_at, owner = self._sightings.get(user, (known_at, None))
            return owner if seen_at < known_at else None
        for row in self.users:
            if row["user_id"] == user and (row["created_at"] is None or row["created_at"] < known_at):
                account: str | None = row["account_id"]
                return account
        return None


# --- tables ---------------------------------------------------------------------------------------------------------------


def setup_steps(company: Company) -> Rows:
    """One row per account and step."""
    rows: Rows = {}
    for account, start in company.tenures.items():
        done = {step: _completed_at(company, account, *rule[:3]) for step, rule in STEPS.items()}
        required = [done[step] for step, rule in STEPS.items() if rule[3]]
        reached = [instant for instant in required if instant is not None]
        window_ends = company.later(start, WINDOW_MONTHS)
        for step, completed in done.items():
            rows[account, step] = {
                "completed_at": completed,
                "days_to_complete": None if completed is None else (completed - start) / timedelta(days=1),
                "is_required": STEPS[step][3],
                "steps_done": len(reached),
                "steps_required": len(required),
                "is_setup_complete": len(reached) == len(required),
                "setup_completed_at": max(reached) if len(reached) == len(required) else None,
                "tenure_start": start,
                "cohort_month": company.local_date(start).replace(day=1),
                "window_ends_at": window_ends,
                "is_elapsed": window_ends <= company.as_of,
            }
    return rows


def _completed_at(company: Company, account: str, name: str, count: int, users: int) -> datetime | None:
    seen: set[str] = set()
    for number, row in enumerate(company.of(account, name), start=1):
        if row["user_id"] is not None:
            seen.add(row["user_id"])
        if number >= count and len(seen) >= users:
            instant: datetime = row["occurred_at"]
            return instant
    return None


def activation_cohort(company: Company) -> Rows:
    """One row per account."""
    rows: Rows = {}
    for account, start in company.tenures.items():
        window_ends = company.later(start, WINDOW_MONTHS)
        times = [row["occurred_at"] for row in company.of(account, "started") if start <= row["occurred_at"] < window_ends]
        is_reached = len(times) >= ACTIVATION_THRESHOLD
        plan, seats = company.attributes(account, start)
        rows[(account,)] = {
            "tenure_start": start,
            "cohort_month": company.local_date(start).replace(day=1),
            "window_ends_at": window_ends,
            "is_elapsed": window_ends <= company.as_of,
            "activation_events": len(times),
            "threshold": ACTIVATION_THRESHOLD,
            "activated": True if is_reached else False if window_ends <= company.as_of else None,
            "activated_at": times[ACTIVATION_THRESHOLD - 1] if is_reached else None,
            "plan": plan,
            "size_stratum": _stratum(seats),
        }
    return rows


def usage_ratio(company: Company) -> Rows:
    """One row per account and month."""
    now = company.resolved(company.as_of)
    at_close: dict[datetime, list[tuple[str, datetime]]] = {}
    rows: Rows = {}
    for account, start in company.tenures.items():
        for month in company.months(start):
            known = at_close.setdefault(month.close, company.resolved(month.close))
            counts = [
                sum(1 for owner, last in resolved if owner == account and month.start <= last < month.close)
                for resolved in (now, known)
            ]
            paid_seconds, seat_seconds = _paid_time(company, account, month)
            length = (month.close - month.start).total_seconds()
            # exact: a ratio that is the threshold must reach it
            ratio, ratio_at_close = (
                Fraction(count) * Fraction(length) / Fraction(seat_seconds) if seat_seconds else None for count in counts
            )
            is_whole = month.end <= company.as_of
            is_partial = not is_whole or paid_seconds < length
            rows[account, month.month] = {
                "is_whole": is_whole,
                "resolved": counts[0],
                "resolved_at_close": counts[1],
                "seats": seat_seconds / paid_seconds if paid_seconds else None,
                "ratio": None if ratio is None else float(ratio),
                "ratio_at_close": None if ratio_at_close is None else float(ratio_at_close),
                "reached": ratio is not None and ratio >= USAGE_THRESHOLD,
                "reached_at_close": ratio_at_close is not None and ratio_at_close >= USAGE_THRESHOLD,
                "is_partial": is_partial,
                "reason": "not_paying" if not paid_seconds else "no_seats" if ratio is None else "running" if not is_whole
                else "partial" if is_partial else None,
            }  # fmt: skip
    return rows


def _paid_time(company: Company, account: str, month: Month) -> tuple[float, float]:
    """Paid seconds of the month, and seats times paid seconds, as known at its close."""
    paid = [state for state in company.states(account, month.close) if state.is_paid]
    seat_seconds = sum(state.seats * _seconds_within(month, state.started_at, state.ended_at) for state in paid)
    paid_seconds = sum(_seconds_within(month, start, end) for start, end in _union(paid))
    return paid_seconds, seat_seconds


def _seconds_within(month: Month, start: datetime, end: datetime | None) -> float:
    return max(0.0, (min(end or month.close, month.close) - max(start, month.start)).total_seconds())


def maturity_categories(company: Company) -> Rows:
    """One row per account, month and category."""
    rows: Rows = {}
    for account, start in company.tenures.items():
        for month in company.months(start):
            graded = {name: _graded(company, account, month.close, levels) for name, levels in CATEGORIES.items()}
            mature = sum(1 for grade in graded.values() if grade["level"] == "mature")
            for name, grade in graded.items():
                rows[account, month.month, name] = {**grade, "mature_categories": mature}
    return rows


def _graded(
    company: Company, account: str, close: datetime, levels: Mapping[str, tuple[int, Sequence[str], int]]
) -> dict[str, Any]:
    def counting(of: Sequence[str], days: int) -> list[str]:
        return [feature for feature in sorted(of) if _counts(company, account, feature, close, days)]

    met = {level: counting(of, days) for level, (_, of, days) in levels.items()}
    level = next((level for level in ("mature", "basic") if len(met[level]) >= levels[level][0]), "none")
    shown = met["mature" if level == "mature" else "basic"]
    return {
        "level": level,
        "basic_features": len(met["basic"]),
        "mature_features": len(met["mature"]),
        "features": ", ".join(shown) or None,
    }


def _counts(company: Company, account: str, feature: str, close: datetime, days: int) -> bool:
    if feature == "hours":
        return _is_on(company, account, company.end_date(close))
    used = company.dates_before(company.of(account, FEATURE_EVENTS[feature]), company.end_date(close), MATURITY_WINDOW)
    return len({company.local_date(row["occurred_at"]) for row in used}) >= days


def _is_on(company: Company, account: str, day: date) -> bool:
    switches = company.of(account, "hours_on", "hours_off")
    switched = [row["event"] for row in switches if company.local_date(row["occurred_at"]) < day]
    return bool(switched) and switched[-1] == "hours_on"


def customer_milestones(company: Company) -> Rows:
    """One row per account and month."""
    setup, activation = setup_steps(company), activation_cohort(company)
    usage, maturity = usage_ratio(company), maturity_categories(company)
    rows: Rows = {}
    for account, start in company.tenures.items():
        setup_at, activated_at = setup[account, "install"]["setup_completed_at"], activation[(account,)]["activated_at"]
        for month in company.months(start):
            mature = maturity[account, month.month, "channels"]["mature_categories"]
            states = [state for state in company.states(account, month.close) if state.is_paid]
            ends = [state.ended_at for state in states]
            has_left = bool(ends) and all(end is not None and end + GAP < month.close for end in ends)
            at_close = [state for state in states if state.ended_at is None]
            held = (
                setup_at is not None and setup_at < month.close,
                activated_at is not None and activated_at < month.close,
                usage[account, month.month]["reached_at_close"],
                mature >= MATURE_CATEGORIES,
            )
            stage = next((number for number, holds in enumerate(held) if not holds), 4)
            rows[account, month.month] = {
                "is_whole": month.end <= company.as_of,
                "is_paying": bool(at_close),
                "plan": min(at_close, key=_standing).plan if at_close else None,
                "mrr": sum(state.mrr for state in at_close if state.mrr is not None) if at_close else None,
                "size_stratum": _stratum(sum(state.seats for state in at_close) if at_close else None),
                "has_setup": held[0],
                "is_activated": held[1],
                "has_usage": held[2],
                "is_mature": held[3],
                "mature_categories": mature,
                "usage_ratio": usage[account, month.month]["ratio_at_close"],
                "stage": "left" if has_left else ("none", *MILESTONES)[stage],
                "stage_number": None if has_left else stage,
                "holds": ", ".join(name for name, holds in zip(MILESTONES, held, strict=True) if holds),
                "is_out_of_order": not has_left and any(held[stage:]),
            }
    return rows


def retention_outcomes(company: Company) -> Rows:
    """One row per account, kind and date."""
    rows: Rows = {}
    for account, start in company.tenures.items():
        dates = [("start", start), ("landmark", company.later(start, WINDOW_MONTHS))]
        dates += [("month", month.start) for month in company.months(start) if month.start > start]
        for kind, observed in dates:
            spell = next((s for s in company.spells(account) if s[0] <= observed and (s[1] is None or observed < s[1])), None)
            if observed < company.as_of and spell is not None:
                rows[account, kind, observed] = _outcome(company, account, observed, spell)
    return rows


def _outcome(company: Company, account: str, observed: datetime, spell: tuple[datetime, datetime | None]) -> dict[str, Any]:
    horizon = company.later(observed, HORIZON_MONTHS)
    is_known = horizon + GAP <= company.evidence_as_of
    left_at = spell[1] if spell[1] is not None and spell[1] <= horizon else None
    after = [start for start, _ in company.spells(account) if left_at is not None and start > left_at]
    is_dormant = None
    if spell[0] + DORMANT_AFTER <= observed:
        is_dormant = not any(observed - DORMANT_AFTER <= row["occurred_at"] < observed for row in company.of(account, "resolved"))
    now, then = company.paid_last(account, observed), company.paid_last(account, horizon)
    mrr, mrr_then = (sum(state.mrr or 0 for state in states) if states else None for states in (now, then))
    seats, seats_then = (sum(state.seats for state in states) if states else None for states in (now, then))
    listed = company.listed(account, observed, horizon)
    is_locked = _is_locked(company, company.paid_at(account, observed), observed, horizon)
    return {
        "outcome_to": horizon,
        "known_at": horizon + GAP,
        "is_known": is_known,
        "is_locked": is_locked,
        "is_evidence": is_known and not is_locked,
        "retained": left_at is None if is_known else None,
        "left_at": left_at if is_known else None,
        "returned_at": min(after) if is_known and after else None,
        "is_dormant": is_dormant,
        "mrr_at_start": mrr,
        "mrr_at_end": None if not is_known else 0 if left_at is not None else mrr_then,
        "mrr_from_price_list": None if not is_known else 0 if left_at is not None else float(listed),
        "is_expanded_mrr": _is_expanded(mrr, mrr_then, is_retained=left_at is None, listed=listed) if is_known else None,
        "is_expanded_seats": _is_expanded(seats, seats_then, is_retained=left_at is None) if is_known else None,
    }


def _is_expanded(before: float | None, after: float | None, *, is_retained: bool, listed: Fraction = Fraction(0)) -> bool | None:
    if not before:
        return None
    return is_retained and Fraction(str(after or 0)) - listed >= EXPANSION * Fraction(str(before))


def _is_locked(company: Company, paid: Sequence[State], observed: datetime, horizon: datetime) -> bool:
    termed = [state for state in paid if state.term_months is not None]
    renewals = []
    for state in termed:
        number = 1
        while (renewal := company.later(state.term_anchor_at, number * (state.term_months or 1))) <= observed:
            number += 1
        renewals.append(renewal)
    return bool(termed) and min(renewals) > horizon


def retention_by_activation(company: Company) -> Rows:
    """One row per band of activation events."""
    counts = {
        key[0]: row["activation_events"]
        for key, row in activation_cohort(company).items()
        if row["window_ends_at"] <= company.evidence_as_of
    }
    judged = {key[0]: row for key, row in activation_landmarks(company).items()}
    rows: Rows = {}
    for band, low, high in BANDS:
        inside: dict[str, list[str]] = defaultdict(list)
        for account, count in counts.items():
            if low <= count < high:
                inside[judged[account]["standing"] if account in judged else "open"].append(account)
        compared, left = len(inside["row"]), len(inside["left_before"])
        retained = sum(judged[account]["retained"] for account in inside["row"])
        rows[(band,)] = {
            "accounts": compared,
            "retained": retained,
            "retained_share": retained / compared if compared else None,
            "left_before": left,
            "left_before_share": left / (compared + left) if compared + left else None,
            "locked": len(inside["locked"]),
            "open": len(inside["open"]),
        }
    return rows


def activation_landmarks(company: Company) -> Rows:
    """One row per account whose outcome after its landmark is known, or would be."""
    rows: Rows = {}
    outcomes = retention_outcomes(company)
    for account, start in company.tenures.items():
        landmark = company.later(start, WINDOW_MONTHS)
        if company.later(landmark, HORIZON_MONTHS) + GAP > company.evidence_as_of:
            continue
        outcome = outcomes.get((account, "landmark", landmark))
        times = [row["occurred_at"] for row in company.of(account, "started") if start <= row["occurred_at"] < landmark]
        plan, seats = company.within_spell(account, landmark)
        rows[(account,)] = {
            "cohort_month": company.local_date(start).replace(day=1),
            "observed_at": landmark,
            "standing": "left_before" if outcome is None else "row" if outcome["is_evidence"] else "locked",
            "plan": plan,
            "size_stratum": _stratum(seats),
            "value": len(times),
            **{f"events_{days}d": sum(time < start + timedelta(days=days) for time in times) for days in (1, 7, 14, 30, 60)},
            "retained": None if outcome is None else outcome["retained"],
            "expanded": None if outcome is None else outcome["is_expanded_mrr"],
        }
    return rows


def month_drawn(company: Company, account: str) -> tuple[Month, bool] | None:
    """The one month of an account that is compared, and whether all of its months are locked; no outcome is read.

    A month of the tenure from its first instant to its last, paid or not, whose window has elapsed. Those after which the terms
    allow to leave come first: the terms of what is paid at its end, else of what was paid last.
    """
    start = company.tenures[account]
    lots = []
    for month in company.months(start):
        horizon = company.later(month.end, HORIZON_MONTHS)
        if month.start < start or horizon + GAP > company.evidence_as_of:
            continue
        is_locked = _is_locked(company, company.paid_last(account, month.end), month.end, horizon)
        lot = md5(f"milestones usage month {account} {month.month}".encode()).hexdigest()  # noqa: S324 - no secret
        lots.append((is_locked, lot, month))
    if not lots:
        return None
    is_locked, _, month = min(lots, key=lambda one: one[:2])
    return month, is_locked


def usage_landmarks(company: Company) -> Rows:
    """One row per account with a whole month of its tenure whose outcome is known, or would be."""
    rows: Rows = {}
    outcomes, ratios = retention_outcomes(company), usage_ratio(company)
    for account, start in company.tenures.items():
        drawn = month_drawn(company, account)
        if drawn is None:
            continue
        month, is_locked = drawn
        usage, outcome = ratios[account, month.month], outcomes.get((account, "month", month.end))
        # who pays up to the month's end and not from it on paid all of it, and did not stay
        is_stopped = any(end == month.end for _, end in company.spells(account))
        is_paid = not usage["is_partial"] and (is_stopped or outcome is not None)
        standing = (
            "left_before" if not is_paid
            else "no_seats" if usage["ratio_at_close"] is None
            else "locked" if is_locked
            else "row"
        )  # fmt: skip
        plan, seats = company.within_spell(account, month.end)
        if is_stopped:
            at_close = [state for state in company.states(account, month.end) if state.is_paid and state.ended_at is None]
            plan, seats = min(at_close, key=_standing).plan, sum(state.seats for state in at_close)
        rows[(account,)] = {
            "month": month.month,
            "cohort_month": company.local_date(start).replace(day=1),
            "observed_at": month.end,
            "standing": standing,
            "plan": plan,
            "size_stratum": _stratum(seats),
            "value": ratios[account, month.month]["ratio_at_close"],
            "retained": None if standing == "left_before" else False if is_stopped else outcome["retained"],
            "expanded": None if standing == "left_before" else False if is_stopped else outcome["is_expanded_mrr"],
        }
    return rows


def feature_matrix(company: Company) -> Rows:
    """One row per account (its own identifier) and date: tenure_start and every first of a month while paying."""
    rows: Rows = {}
    for (account, kind, observed), outcome in retention_outcomes(company).items():
        if kind == "landmark":
            continue
        plan, seats = company.attributes(account, observed)

        day = company.local_date(observed)

        def lately(name: str, account: str = account, day: date = day) -> list[Row]:
            return company.dates_before(company.of(account, name), day, FEATURE_WINDOW)

        def days(rows: Iterable[Row]) -> int:
            return len({company.local_date(row["occurred_at"]) for row in rows})

        chats = lately("chat")
        before = company.dates_before(company.of(account, "chat"), day - FEATURE_WINDOW, FEATURE_WINDOW)
        per_seat = None if not seats else len(chats) / seats
        rows[account, observed] = {
            "known_at": outcome["known_at"],
            "retained": outcome["retained"] if outcome["is_evidence"] else None,
            "plan": plan,
            "size_stratum": _stratum(seats),
            "chat_days": days(chats),
            "mail_days": days(lately("mail")),
            "report_used": int(bool(lately("report"))),
            "chat_per_seat": per_seat if chats or before else 0,
            "chat_users": len({row["user_id"] for row in chats if row["user_id"] is not None}),
            "chat_trend": math.log((1 + len(chats)) / (1 + len(before))),
            "hours": int(_is_on(company, account, day)),
            "sla": int(bool(lately("sla"))),
            "seats": seats,
            "is_premium": None if plan is None else int(plan == "premium"),
        }
    return rows


TABLES: dict[str, Callable[[Company], Rows]] = {
    "setup_steps": setup_steps,
    "activation_cohort": activation_cohort,
    "usage_ratio": usage_ratio,
    "maturity_categories": maturity_categories,
    "customer_milestones": customer_milestones,
    "retention_outcomes": retention_outcomes,
    "retention_by_activation": retention_by_activation,
    "activation_landmarks": activation_landmarks,
    "usage_landmarks": usage_landmarks,
    "feature_matrix": feature_matrix,
}


# --- small things -----------------------------------------------------------------------------------------------------------


def _when(row: Row) -> tuple[datetime, str]:
    return row["occurred_at"], str(row["event_id"])


def _standing(state: State) -> tuple[float, float, str]:
    """The highest revenue first, then the newest, then by identifier."""
    return -(state.mrr or 0), -state.started_at.replace(tzinfo=UTC).timestamp(), state.subscription_id


def _add_months(local: datetime, months: int) -> datetime:
    number = local.year * 12 + local.month - 1 + months
    first = date(number // 12, number % 12 + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return local.replace(year=first.year, month=first.month, day=min(local.day, last.day))


def _union(states: Iterable[State]) -> list[tuple[datetime, datetime | None]]:
    """The times that at least one state covers; touching ones are one."""
    made: list[tuple[datetime, datetime | None]] = []
    for state in sorted(states, key=lambda state: state.started_at):
        if made and (made[-1][1] is None or state.started_at <= made[-1][1]):
            start, end = made[-1]
            made[-1] = (start, None if end is None or state.ended_at is None else max(end, state.ended_at))
        else:
            made.append((state.started_at, state.ended_at))
    assert all(left[1] is not None and left[1] < right[0] for left, right in pairwise(made))
    return made


def _stratum(seats: float | None) -> str | None:
    return next((name for low, name in reversed(STRATA) if seats is not None and seats >= low), None)
