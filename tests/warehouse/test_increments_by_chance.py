"""Histories drawn by chance: whatever happens between runs, what stands is what a rebuild makes, and the serving copy holds it.

Put here what may happen to a company and its warehouse from one run to the next. Keep out what is expected of one such event
(`test_increments.py`).
"""

import random
from datetime import timedelta
from pathlib import Path

import pytest
from daily_company import Company
from random_company import random_company
from scenario import EVENT_TYPES, at, made, write_parquet, write_yaml
from test_increments import WANTED, served

from milestones_dagster.warehouse import operations

STARTS = ("2025-01-30", "2025-03-30", "2025-04-28", "2025-05-30")
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
HAPPENINGS = ("nothing", "nothing", "lateness", "billing", "withdrawal", "edit", "death", "refusal")
REFUSING = {
    "name": "nobody",
    "type": "unexpected_rows_expectation",
    "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch}"},
    "recovery": "none",
}


class History:
    """A company that delivers and runs, and what befalls it; the same for the same seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        zone, start = self.rng.choice(ZONES), self.rng.choice(STARTS)
        drawn = random_company(seed, accounts=10, zone=zone)
        self.company = Company(folder, start, WANTED, drawn=drawn, time_zone=zone)
        self.day, self.late_files = at(start), 0
        self.held_back: list[list[dict]] = []

    def go_on(self, monkeypatch: pytest.MonkeyPatch) -> str:
        """The next delivery with what happens besides; a run that is to hold, unless it dies or is refused."""
        happening = self.rng.choice(HAPPENINGS)
        self.day += timedelta(days=self.rng.choice((1, 1, 1, 2, 5)))
        self.deliver(is_late=happening == "lateness")
        match happening:
            case "billing":
                self.bill()
            case "withdrawal":
                self.withdraw()
            case "edit":
                self.edit()
            case "death":
                self.die(monkeypatch)
            case "refusal":
                self.be_refused()
        return happening

    def deliver(self, *, is_late: bool) -> None:
        """The days since the last delivery; what is late is held back for another one, which brings a row of the past along."""
        name, share = str(self.day.date()), self.rng.randint(2, 4)
        if is_late:
            rows = self.company.events(self.company.delivered, self.day + timedelta(days=1))
            self.held_back.append([row for row in rows if row["occurred_at"].minute % share == 0])
            self.company.deliver(name, without=lambda row: row["occurred_at"].minute % share == 0)
            return
        self.company.deliver(name)
        if self.held_back and self.rng.random() < 0.7:
            self.late_files += 1
            past = self.rng.choice(self.company.drawn.events)
            moved = past["occurred_at"] - timedelta(days=self.rng.randint(0, 3))
            extra = [past | {"event_id": f"late-{self.late_files}", "occurred_at": moved}] if moved < self.day else []
            rows = [*self.held_back.pop(), *extra]
            if rows:
                write_parquet(self.company.files / f"late{self.late_files}.parquet", rows, EVENT_TYPES)

    def bill(self) -> None:
        """The billing system changes what it says of some subscriptions."""
        rows = [dict(row) for row in self.company.subscriptions]
        for _ in range(self.rng.randint(1, 3)):
            row = self.rng.choice(rows)
            match self.rng.choice(("gone", "ended", "moved", "more seats")):
                case "gone" if len(rows) > 1:
                    rows.remove(row)
                case "ended" if row.get("ended_at") is None:
                    ended = self.day - timedelta(days=self.rng.randint(0, 90))
                    row["ended_at"] = max(row["started_at"] + timedelta(days=1), ended)
                case "moved":
                    row["started_at"] -= timedelta(days=self.rng.randint(1, 60))
                case _:
                    row["seats"] = (row.get("seats") or 1) + 1
        self.company.subscriptions = rows
        self.company.bill(rows)

    def withdraw(self) -> None:
        """A late delivery is taken back."""
        files = sorted(self.company.files.glob("late*.parquet"))
        if files:
            file = self.rng.choice(files)
            file.unlink()
            with made(self.company.config, tables=()) as result:
                operations.withdraw_file(result.session.warehouse, str(file))

    def edit(self) -> None:
        """The framework says something else."""
        section, key, value = self.rng.choice(
            [("maturity", "window", self.rng.choice(("30 d", "60 d", "90 d"))), ("usage", "threshold", self.rng.choice((1, 2, 5)))]
        )
        self.company.edit(lambda framework: framework[section].update({key: value}))

    def die(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run is killed when it has made a table and not yet recorded it."""
        record, victim = operations.record_publication, self.rng.choice(WANTED)

        def dying(warehouse, publication, *rest):
            if publication.table == victim:
                raise KeyboardInterrupt
            record(warehouse, publication, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(operations, "record_publication", dying)
            try:
                self.company.run()
            except KeyboardInterrupt:
                return

    def be_refused(self) -> None:
        """A run stops at a table that is refused; nothing is wrong with it afterwards."""
        rules = self.company.config / "quality" / f"{self.rng.choice(WANTED)}.yaml"
        rules.parent.mkdir(exist_ok=True)
        write_yaml(rules, {"expectations": [REFUSING]})
        self.company.run()
        rules.unlink()


@pytest.mark.parametrize(("seed", "steps"), [(1, 3), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(2, 14))])
def test_what_stands_is_what_a_rebuild_makes(seed, steps, tmp_path, monkeypatch):
    history = History(tmp_path, seed)
    history.company.run()
    served(history.company)
    in_part = 0
    for _ in range(steps):
        if history.go_on(monkeypatch) in {"death", "refusal"} or history.rng.random() < 0.3:
            continue  # the next run finds what this one left, and the days of more than one
        history.company.assert_as_rebuilt()
        if history.rng.random() < 0.7:
            in_part += len(served(history.company).in_part)
    history.company.assert_as_rebuilt()
    in_part += len(served(history.company).in_part)
    assert in_part, "a history in which everything was made whole proves little"
