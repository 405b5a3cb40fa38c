"""Small companies drawn from a seed, full of the times at which definitions turn: midnights, month ends, ends of windows and gaps.

Put here what such a company does. Keep out what its tables must say (`reference.py` and the tests).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from scenario import event, subscription

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
GAPS = (timedelta(0), timedelta(days=3), timedelta(days=7), timedelta(days=7) + SECOND, timedelta(days=40), timedelta(days=100))
PLANS = ("basic", "premium")
SEATS = (1, 2, 3, 4, 5, 10, 11, 20, 22, 100)
# each may follow each: 110 of 100 and 55 of 50 are exactly ten per cent more
REVENUES = (50.0, 55.0, 100.0, 110.0, 121.0, 200.0, 220.0)
NAMES = ("installed", "joined", "rule_made", "started", "chat", "mail", "report", "sla")
WEIGHTS = (1, 2, 2, 6, 6, 4, 3, 1)


@dataclass
class RandomCompany:
    """Rows as `scenario` makes them, and the last day of the history."""

    seed: int
    zone: str
    last_day: date
    events: list[dict[str, Any]] = field(default_factory=list)
    subscriptions: list[dict[str, Any]] = field(default_factory=list)
    users: list[dict[str, Any]] = field(default_factory=list)

    @property
    def as_of(self) -> datetime:
        """The day after the last one."""
        return datetime.combine(self.last_day + DAY, datetime.min.time())


def random_company(seed: int, *, accounts: int = 20, zone: str = "UTC", last_day: date = date(2025, 6, 30)) -> RandomCompany:
    """A company of so many accounts over the twelve months before `last_day`; the same for the same arguments."""
    rng = random.Random(seed)
    company = RandomCompany(seed, zone, last_day)
    for number in range(accounts):
        _Account(rng, company, f"a{number:02}").live()
    for number, row in enumerate(company.events):
        row["event_id"] = f"e{number:06}"
    return company


def with_price_list(company: RandomCompany) -> RandomCompany:
    """The company with many of its changes of state flagged as changes of the price list, most of which change the revenue alone."""
    rng = random.Random(f"price list {company.seed}")
    rows = sorted(company.subscriptions, key=lambda row: (row["account_id"], row["subscription_id"], row["started_at"]))
    for before, row in pairwise(rows):
        if before["subscription_id"] == row["subscription_id"] and rng.random() < 0.6:
            row["is_price_list_change"] = True
            if rng.random() < 0.7:
                row |= {name: before[name] for name in ("plan", "seats")}
    return company


class _Account:
    """One account's life, written into a company."""

    def __init__(self, rng: random.Random, company: RandomCompany, name: str) -> None:
        self.rng, self.company, self.name = rng, company, name
        self.end = company.as_of + 20 * DAY
        self.begin = company.as_of - 365 * DAY
        self.users = [f"{name}-u{number}" for number in range(rng.randint(1, 4))]
        self.first = self.boundary([self.begin + rng.randrange(330) * DAY])

    def live(self) -> None:
        """Draws subscriptions, then users, then events near the times at which something is counted or not."""
        rng = self.rng
        edges = self.subscribe()
        for user in self.users:
            created = rng.choice([None, self.begin, self.first, self.first + rng.randrange(90) * DAY])
            self.company.users.append({"user_id": user, "account_id": self.name, "created_at": created})
        windows = [_later(edge, 3, self.company.zone) for edge in edges]
        days = [edge - length for edge in [*edges, *self.month_starts()] for length in (30 * DAY, 60 * DAY, 90 * DAY)]
        self.special = [*edges, *windows, *self.month_starts(), *days]
        for _ in range(rng.randint(5, 90)):
            self.happen(rng.choices(NAMES, WEIGHTS)[0])
        self.switch()
        for number in range(rng.randint(0, 14)):
            self.converse(f"c-{self.name}-{number}")

    def month_starts(self) -> list[datetime]:
        """First instants of the months of the history, in the company's zone."""
        months = [date(2024 + (6 + number) // 12, (6 + number) % 12 + 1, 1) for number in range(13)]
        return [_utc(datetime.combine(month, datetime.min.time()), self.company.zone) for month in months]

    def boundary(self, candidates: Sequence[datetime]) -> datetime:
        """One of the candidates, its midnight, a month's start, an instant beside one of these, or any second of its day."""
        near = self.rng.choice(list(candidates))
        midnight = datetime.combine(near.date(), datetime.min.time())
        kind = self.rng.random()
        if kind < 0.35:
            return near
        if kind < 0.55:
            return midnight
        if kind < 0.7:
            return min(self.month_starts(), key=lambda start: abs(start - near))
        if kind < 0.85:
            return near - SECOND
        return midnight + self.rng.randrange(86400) * SECOND

    # --- paying -------------------------------------------------------------------------------------------------------

    def subscribe(self) -> list[datetime]:
        """Draws a trial, states with changes and gaps, a second subscription and late corrections; returns their edges."""
        rng, start = self.rng, self.first
        edges = [start]
        if rng.random() < 0.5:
            paid_from = self.boundary([start + rng.choice((7, 14, 30)) * DAY])
            if paid_from > start:
                self.state(start, paid_from, is_trial=True, mrr=0.0)
                start = paid_from
        if rng.random() < 0.08:
            return edges
        term = {"term_months": rng.choice((1, 3, 12)), "term_anchor_at": start} if rng.random() < 0.25 else {}
        for number in range(rng.randint(1, 5)):
            edges.append(start)
            if start >= self.company.as_of:
                break
            stop = self.boundary([start + rng.choice((10, 31, 61, 92, 150)) * DAY, _later(start, 3, self.company.zone)])
            stop = stop if stop > start else start + DAY
            is_last = rng.random() < 0.3
            self.state(start, None if is_last else stop, **term)
            if is_last:
                break
            edges.append(stop)
            gap = rng.choice(GAPS) if number else rng.choice(GAPS[:3])
            start = stop + gap
        if rng.random() < 0.15:
            begun = self.boundary([edges[-1], edges[0] + 45 * DAY])
            if begun > edges[1]:
                self.state(begun, begun + 70 * DAY, subscription_id=f"second-{self.name}")
        return edges

    def state(self, start: datetime, end: datetime | None, **fields: Any) -> None:
        """One state: usually with seats, sometimes a plan without them, sometimes with no revenue, sometimes corrected later."""
        rng = self.rng
        row: dict[str, Any] = {"plan": rng.choice(PLANS), "seats": float(rng.choice(SEATS)), "mrr": rng.choice(REVENUES)}
        if rng.random() < 0.1:
            row |= {"plan": "free", "seats": 0.0}
        row |= fields
        made = subscription(self.name, str(start), str(end) if end is not None else None, **row)
        self.company.subscriptions.append(made)
        if rng.random() < 0.15:
            recorded = self.boundary([start + rng.choice((1, 20, 50)) * DAY])
            if recorded > start:
                self.company.subscriptions.append(made | {"recorded_at": recorded, "seats": made["seats"] * 2})

    # --- doing --------------------------------------------------------------------------------------------------------

    def moment(self) -> datetime:
        """A time in the account's life: at or beside a boundary, or anywhere."""
        if self.rng.random() < 0.5:
            beside = (
                timedelta(0),
                timedelta(0),
                -SECOND,
                SECOND,
                timedelta(microseconds=-1),
                timedelta(hours=-5),
                timedelta(hours=5),
            )
            instant = self.rng.choice(self.special) + self.rng.choice(beside)
        else:
            instant = self.first - 20 * DAY + self.rng.randrange(340 * 86400) * SECOND
        return min(max(instant, self.begin), self.end)

    def happen(self, name: str, instant: datetime | None = None, **properties: Any) -> None:
        """One event of one of the account's users, or of nobody."""
        user = self.rng.choice([*self.users, *self.users, None])
        self.company.events.append(event(self.name, name, str(instant or self.moment()), user=user, **properties))

    def switch(self) -> None:
        """Turns the office hours on and off, never twice at one instant: which of two comes first is nobody's to say."""
        for instant in sorted({self.moment() for _ in range(self.rng.randint(0, 5))}):
            self.happen(self.rng.choice(("hours_on", "hours_on", "hours_off")), instant)

    def converse(self, conversation: str) -> None:
        """Resolutions and reopenings of one conversation at different times; some name no account and leave it to the contact.

        Of these some begin with an event of their own, and of those beginnings some name the account.
        """
        instants = sorted({self.moment() for _ in range(self.rng.choice((1, 1, 1, 2, 3, 4)))})
        is_named = self.rng.random() < 0.6
        if self.rng.random() < 0.5:
            self.happen("started", self.moment(), conversation_id=conversation)
            if not is_named and self.rng.random() < 0.7:
                self.company.events[-1]["account_id"] = None
        for number, instant in enumerate(instants):
            name = "reopened" if number % 2 and self.rng.random() < 0.8 else "resolved"
            self.happen(name, instant, conversation_id=conversation)
            if not is_named:
                self.company.events[-1]["account_id"] = None


def _utc(local: datetime, zone: str) -> datetime:
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


def _later(instant: datetime, months: int, zone: str) -> datetime:
    """About so many months later; exact where the day exists in both months."""
    local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    number = local.year * 12 + local.month - 1 + months
    return _utc(local.replace(year=number // 12, month=number % 12 + 1, day=min(local.day, 28)), zone)
