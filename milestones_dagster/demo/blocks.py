"""A block of accounts, from draws to rows: the unit in which a company of any size is made.

Put here: the parameters of a company, the order in which a block's parts are drawn, and its snapshot rows. Keep out:
folders (`generate.py`), and every probability.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from milestones_dagster.demo import activities
from milestones_dagster.demo.accounts import Integers, draw_people
from milestones_dagster.demo.billing import Stays, returns, settle, subscription_rows, trial_begin
from milestones_dagster.demo.clock import HOUR, SECOND, add_months, instant, month_start, working_rhythm
from milestones_dagster.demo.dirt import Deliveries, deliver, soil
from milestones_dagster.demo.events import PRODUCT, Events, conversations, joined
from milestones_dagster.demo.vocabulary import COUNTRIES, INDUSTRIES
from milestones_dagster.demo.world import Dirt, World, parameters
from milestones_dagster.demo.writer import Snapshots, account_ids, chosen, instants, subscription_columns, user_ids

BLOCK = 250
"""Accounts that are drawn together. A part of the generator: another number gives another company."""

_LAUNCH_EVERY = 16  # one account in so many is there on the first day, so that no day is without events
_PURPOSES = (
    "people", "first", "second", "use", "setup", "conversations", "billing", "users", "delivery", "dirt", "traffic",
)  # fmt: skip
_PERSONAS = ("admin", "support_agent", "support_manager", "operations", "contact")


@dataclass(frozen=True)
class Company:
    """The checked parameters of one company."""

    accounts: int
    months: int
    until: date
    seed: int
    events_per_account: int | None
    world: World
    dirt: Dirt | None
    truth_draws: int

    @property
    def begin(self) -> int:
        """Return the instant at which the history begins."""
        return instant(month_start(self.until, self.months))

    @property
    def end(self) -> int:
        """Return the instant at which the history ends, exclusive."""
        return instant(self.until)

    def described(self) -> dict[str, Any]:
        """Return all parameters as plain values."""
        return {
            "accounts": self.accounts,
            "months": self.months,
            "until": self.until.isoformat(),
            "seed": self.seed,
            "events_per_account": self.events_per_account,
            "truth_draws": self.truth_draws,
            "world": parameters(self.world),
            "dirt": None if self.dirt is None else parameters(self.dirt),
        }


def make_block(company: Company, block: int, snapshots: Snapshots, noted: dict[str, list[Integers]]) -> tuple[Deliveries, int]:
    """Return the deliveries of one block of accounts; its snapshot rows are written."""
    rng = {
        purpose: np.random.Generator(np.random.Philox(np.random.SeedSequence([company.seed, block, place])))
        for place, purpose in enumerate(_PURPOSES)
    }
    account = np.arange(block * BLOCK, min((block + 1) * BLOCK, company.accounts))
    place = rng["people"].random(account.size, dtype=np.float32)
    launch = account % _LAUNCH_EVERY == 0
    length = company.end - company.begin
    cohort = np.where(launch, place * np.float32(10 * HOUR / length), place**0.75).astype(np.float32)
    people = draw_people(company.world, rng["people"], cohort)
    signed_up = company.begin + (people.cohort.astype(np.float64) * length).astype(np.int64)
    low, high = np.full(account.size, company.begin), np.full(account.size, company.end)
    signed_up = np.where(launch, signed_up, working_rhythm(rng["people"], signed_up, low, high)) // SECOND * SECOND
    first_paid_at = signed_up + (signed_up - trial_begin(people, signed_up))
    first = settle(company.world, rng["first"], account, people, first_paid_at, company.months, company.end)
    second = returns(company.world, rng["second"], first, company.months, company.end)
    events = _events(company, rng, first, second)
    _snapshot(rng, first, second, signed_up, events, snapshots, company.end)
    _note(first, second, company.end, noted)
    rows = deliver(rng["delivery"], events)
    return (rows, 0) if company.dirt is None else soil(rng["dirt"], rows, company.dirt, company.end)


def _events(company: Company, rng: dict[str, np.random.Generator], first: Stays, second: Stays) -> Events:
    talks, contacts = conversations(rng["conversations"], first, second, company.end)
    contacts_back = contacts[np.searchsorted(first.account, second.account)]
    parts = [
        talks,
        activities.feature_use(company.world, rng["use"], first, contacts),
        activities.feature_use(company.world, rng["use"], second, contacts_back),
        activities.setup(rng["setup"], first),
        activities.settings(rng["setup"], first),
        activities.trials(rng["setup"], first, company.end),
    ]
    if company.events_per_account:
        more = company.events_per_account * len(first) - sum(len(part) for part in parts)
        parts.append(activities.traffic(rng["traffic"], first, contacts, more))
    events = joined(parts)
    return events.take((events.occurred_at >= company.begin) & (events.occurred_at < company.end))


def _snapshot(
    rng: dict[str, np.random.Generator],
    first: Stays,
    second: Stays,
    signed_up: Integers,
    events: Events,
    snapshots: Snapshots,
    until: int,
) -> None:
    """Write the block's accounts, users (those who act in an event) and subscriptions."""
    people = first.people
    names = account_ids(first.account)
    industry, country = chosen(INDUSTRIES, people.industry), chosen(COUNTRIES, people.country)
    snapshots.add("accounts", [names, instants(signed_up), industry, country])
    acting = events.take(events.user != PRODUCT)
    key = (acting.account.astype(np.int64) << 32) + acting.user + 2**31
    _, place = np.unique(key, return_index=True)
    users = acting.take(place)
    persona = np.array([1, 1, 1, 1, 1, 1, 2, 3])[rng["users"].integers(0, 8, len(users))]
    persona = np.where(users.user < 0, 4, np.where(users.user == 0, 0, persona))
    snapshots.add(
        "users",
        [
            user_ids(users.account, users.user), account_ids(users.account), instants(users.occurred_at),
            chosen(_PERSONAS, persona),
        ],
    )  # fmt: skip
    rows = subscription_rows(rng["billing"], first, second, until)
    snapshots.add("subscriptions", subscription_columns(rows))


def _note(first: Stays, second: Stays, until: int, noted: dict[str, list[Integers]]) -> None:
    """Add the block's accounts of the kinds that the truth lists."""
    people = first.people
    lived = first.begin[:, :-1] < first.end_at[:, None]
    begun = (first.begin[:, 0] < until) & ~people.is_trial_only
    left_within = add_months(first.begin[:, 0], 1) > first.end_at
    kinds = {
        "small_healthy": begun & people.is_small_healthy,
        "dormant_at_some_time": begun & (first.paths.is_dormant & lived).any(axis=1),
        "left": begun & first.has_left,
        "left_within_days": begun & first.has_left & left_within,
        "annual_term": begun & people.is_annual,
        "trial_only": people.is_trial_only,
        "in_trial_at_the_end": ~people.is_trial_only & (first.begin[:, 0] >= until),
    }
    for name, which in kinds.items():
        noted.setdefault(name, []).append(first.account[which])
    noted.setdefault("returned", []).append(second.account)
