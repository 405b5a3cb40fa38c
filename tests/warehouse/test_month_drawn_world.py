"""The one month of an account is drawn before anything is known of what became of it: companies in which nothing changes over time.

Put here that whom usage compares is no sample of outcomes. Keep out who is a row (`test_threshold_world.py`). Every account uses the
product in a month, or on annual terms in a year, by the toss of a coin; who did leaves at the next occasion with a probability, who did
not with a larger one, at all times alike. The planted gap is what of every month of every account would show, before and since.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import md5
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from scenario import Made, World, event, made_up_to, subscription

FIRST_YEAR = 2022
SEED = 1
# 99 of 100 samples lie within so many standard errors
WITHIN = 2.576


@dataclass(frozen=True)
class Planted:
    """A company: accounts begin at the first of one of `starts` months; known are the outcomes of the months before `last`."""

    accounts: int
    starts: int
    last: int
    horizon: int
    term: int
    leaves_used: float
    leaves_idle: float
    gap: float

    def world(self) -> World:
        """Its files. Use and leaving are of a term, events of its months that can be compared."""
        rng = random.Random(SEED)
        events, rows = [], []
        # on yearly terms the three months after whose ends the renewal lies within the horizon
        offsets = (0,) if self.term == 1 else range(self.term - 4, self.term - 1)
        for number in range(self.accounts):
            account, at = f"a{number:04}", rng.randrange(self.starts)
            start, end = at, None
            while at < self.last and end is None:
                is_used = rng.random() < 0.5
                if is_used:
                    events += [
                        event(account, "resolved", f"{first(month)[:7]}-10", conversation_id=f"{account} {month}")
                        for month in (at + offset for offset in offsets)
                        if month < self.last
                    ]
                at += self.term
                if rng.random() < (self.leaves_used if is_used else self.leaves_idle) and at < self.last:
                    end = first(at)
            rows.append(subscription(account, first(start), end, seats=1.0, term_months=self.term))
        framework = {"outcomes": {"retention": {"horizon": f"{self.horizon} months"}}}
        last_day = date.fromisoformat(first(self.last)) - timedelta(days=1)
        return World(events, last_day=str(last_day), subscriptions=rows, framework=framework)


def first(month: int) -> str:
    """The first day of a month, counted from the beginning."""
    return f"{FIRST_YEAR + month // 12}-{month % 12 + 1:02}-01"


# leaving at the month's end itself, or at that of the next month: .97 or .75 stay past the one, .86 of them past the other
MONTHLY = Planted(accounts=3000, starts=20, last=24, horizon=1, term=1, leaves_used=0.03, leaves_idle=0.25, gap=0.22 * 0.86)
# out of a year the ends of the ninth, tenth and eleventh month lie within three months of the renewal
ANNUAL = Planted(accounts=2000, starts=8, last=45, horizon=3, term=12, leaves_used=0.1, leaves_idle=0.5, gap=0.4)
Row = dict[str, Any]


@pytest.fixture(scope="module", params=[MONTHLY, ANNUAL], ids=["monthly", "annual"])
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Made, Planted]]:
    planted: Planted = request.param
    with made_up_to(planted.world(), tmp_path_factory.mktemp("stationary"), "usage_landmarks", as_of=first(planted.last)) as found:
        yield found, planted


def gap(rows: list[Row]) -> tuple[float, float]:
    """Retention with usage less retention without, and its standard error."""
    parts = [[row["retained"] for row in rows if (row["value"] >= 1) is used] for used in (True, False)]
    shares = [sum(part) / len(part) for part in parts]
    errors = [share * (1 - share) / len(part) for share, part in zip(shares, parts, strict=True)]
    return shares[0] - shares[1], sqrt(sum(errors))


def halves(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows before the middle landmark, and since."""
    middle = sorted(row["observed_at"] for row in rows)[len(rows) // 2]
    return [row for row in rows if row["observed_at"] < middle], [row for row in rows if row["observed_at"] >= middle]


def every_month(made: Made) -> list[Row]:
    """Every month that an account paid for, and after which it could leave."""
    values = {(row["account_key"], row["month"]): row["ratio_at_close"] for row in made.rows("seat_usage")}
    months = [row for row in made.rows("month_landmarks") if row["is_paid_whole"] and not row["is_locked"]]
    return [row | {"value": values[row["account_key"], row["month"]]} for row in months]


def lot(row: Row) -> str:
    return md5(f"milestones usage month {row['account_id']} {row['month']}".encode()).hexdigest()  # noqa: S324 - no secret


def test_the_month_drawn_beforehand_shows_the_gap_of_all_months_before_and_since(company: tuple[Made, Planted]) -> None:
    made, planted = company
    rows = made.rows("usage_landmarks", standing="row")
    before, since = halves(rows)
    for part in (rows, before, since):
        found, error = gap(part)
        assert abs(found - planted.gap) < WITHIN * error
    of_all, _ = gap(every_month(made))
    found, error = gap(rows)
    assert abs(found - of_all) < WITHIN * error


def test_a_month_drawn_out_of_those_that_were_paid_would_not(company: tuple[Made, Planted]) -> None:
    made, planted = company
    drawn: dict[int, Row] = {}
    for row in sorted(every_month(made), key=lot):
        drawn.setdefault(row["account_key"], row)
    # who leaves soon has few months to draw from, the last of which come up often
    found, error = gap(list(drawn.values()))
    assert found - planted.gap > WITHIN * error


def test_a_leaver_and_a_stayer_of_the_same_terms_have_the_same_months(tmp_path: Path) -> None:
    # a year from 1 January 2024, horizon 3 months: the renewal lies within three months of the ends of September to November alone
    rows = [
        subscription("stays", "2024-01-01", term_months=12),
        subscription("leaves", "2024-01-01", "2025-01-01", term_months=12),
        # the terms of the new subscription hold from its start on, after its end too
        subscription("changes", "2024-01-01", "2025-01-01", term_months=12, subscription_id="c1"),
        subscription("changes", "2025-01-01", "2025-02-01", term_months=1, subscription_id="c2"),
        # no renewal lies within three months of the ends of its months, February to April
        subscription("locked", "2025-01-10", term_months=12),
        # May is its first whole month, whose outcome is not known before 8 September
        subscription("new", "2025-04-02"),
    ]
    with made_up_to(World([], last_day="2025-08-31", subscriptions=rows), tmp_path, "usage_landmarks", as_of="2025-09-01") as made:
        free: dict[str, set[str]] = {}
        for row in made.rows("month_landmarks", is_locked=False):
            free.setdefault(row["account_id"], set()).add(f"{row['month']:%Y-%m}")
        standings = {row["account_id"]: row["standing"] for row in made.rows("usage_landmarks")}
        months = {row["account_id"]: row["month"] for row in made.rows("usage_landmarks")}
    autumn = {"2024-09", "2024-10", "2024-11"}
    # known are the outcomes of months up to April: 1 May and 3 months and 7 d
    spring = {"2024-12", "2025-01", "2025-02", "2025-03", "2025-04"}
    assert free == {"stays": autumn, "leaves": autumn, "changes": autumn | spring}
    assert standings["stays"] == standings["leaves"] == "row"
    assert f"{months['leaves']:%Y-%m}" in autumn
    # it paid for all of its months up to January
    assert (standings["changes"] == "row") == (months["changes"] <= date(2025, 1, 1))
    assert standings["locked"] == "locked"
    assert "new" not in standings
