"""When a tenure starts and when its windows end: the start of the first paid subscription, else created_at, else the first event.

Put here the edges of tenure_start and of calendar windows. Keep out what happens within the windows. All times are UTC.
"""

from collections.abc import Iterator

import pytest
from scenario import UNBILLED, Made, World, at, event, made_up_to, subscription

SUBSCRIPTIONS = [
    # a trial of two weeks, then paid to the second
    subscription("after-trial", "2025-01-01", "2025-01-15 10:30:15", is_trial=True, mrr=None),
    subscription("after-trial", "2025-01-15 10:30:15"),
    subscription("trial-alone", "2025-01-01", is_trial=True),
    # listed at nothing, then at a price
    subscription("free-first", "2025-01-05", "2025-02-03", mrr=0.0),
    subscription("free-first", "2025-02-03"),
    subscription("free-alone", "2025-01-05", mrr=0.0),
    subscription("from-30-november", "2024-11-30"),
    subscription("from-29-november", "2024-11-29"),
    subscription("from-30-january", "2025-01-30"),
    subscription("from-31-january", "2025-01-31"),
    subscription("from-31-january-leap", "2024-01-31"),
    subscription("win-back", "2024-05-01", "2024-06-01"),
    subscription("win-back", "2024-10-01"),
    # two subscriptions: the earlier one tells
    subscription("two-at-once", "2025-02-10", subscription_id="late"),
    subscription("two-at-once", "2025-02-05", subscription_id="early"),
    # a later record says that the first state was a trial after all
    subscription("corrected", "2025-01-02", recorded_at="2025-01-02"),
    subscription("corrected", "2025-01-02", recorded_at="2025-01-20", is_trial=True),
    subscription("corrected", "2025-02-02", recorded_at="2025-02-02"),
    # dated at the as-of time, or recorded at it: not known yet
    subscription("starts-at-as-of", "2025-05-01"),
    subscription("recorded-at-as-of", "2025-04-01", recorded_at="2025-05-01"),
    subscription("started-before-as-of", "2025-04-30 23:59:59"),
]


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    world = World(
        # seen long before its first paid day, and an account that never paid
        [event("after-trial", "chat", "2024-12-01"), event("never-billed", "chat", "2025-01-01")],
        last_day="2025-06-01",
        subscriptions=SUBSCRIPTIONS,
        framework={"setup": {"window": "1 month"}},
    )
    with made_up_to(world, tmp_path_factory.mktemp("paid"), "account_tenure", "paid_spells", as_of="2025-05-01") as found:
        yield found


def start_of(world: Made, account: str) -> object:
    return world.row("account_tenure", account_id=account)["tenure_start"]


def test_tenure_starts_with_the_first_paid_subscription_to_the_second(paid: Made) -> None:
    assert start_of(paid, "after-trial") == at("2025-01-15 10:30:15")
    assert {row["basis"] for row in paid.rows("account_tenure")} == {"subscription"}


@pytest.mark.parametrize("account", ["trial-alone", "free-alone", "never-billed"])
def test_who_never_paid_has_no_tenure(paid: Made, account: str) -> None:
    assert paid.rows("account_tenure", account_id=account) == []


def test_a_row_without_revenue_is_not_paying(paid: Made) -> None:
    assert start_of(paid, "free-first") == at("2025-02-03")


@pytest.mark.parametrize(
    ("account", "setup_ends", "activation_ends"),
    [
        # + 1 month and + 3 months; 30 November + 3 months = 30 February, clamped to the 28th
        ("from-30-november", "2024-12-30", "2025-02-28"),
        ("from-29-november", "2024-12-29", "2025-02-28"),
        # 30 and 31 January + 1 month = the 28th of February; + 3 months = the 30th of April
        ("from-30-january", "2025-02-28", "2025-04-30"),
        ("from-31-january", "2025-02-28", "2025-04-30"),
        # the same in a leap year
        ("from-31-january-leap", "2024-02-29", "2024-04-30"),
        # the time of day stays
        ("after-trial", "2025-02-15 10:30:15", "2025-04-15 10:30:15"),
    ],
)
def test_months_are_clamped_to_the_end_of_the_month(paid: Made, account: str, setup_ends: str, activation_ends: str) -> None:
    row = paid.row("account_tenure", account_id=account)
    assert (row["setup_window_ends_at"], row["activation_window_ends_at"]) == (at(setup_ends), at(activation_ends))


def test_tenure_stays_after_a_win_back(paid: Made) -> None:
    row = paid.row("account_tenure", account_id="win-back")
    assert row["tenure_start"] == at("2024-05-01")
    assert str(row["cohort_month"]) == "2024-05-01"
    spells = paid.rows("paid_spells", account_key=row["account_key"])
    assert [(spell["started_at"], spell["ended_at"]) for spell in spells] == [
        (at("2024-05-01"), at("2024-06-01")),
        (at("2024-10-01"), None),
    ]


def test_the_earliest_of_two_subscriptions_starts_the_tenure(paid: Made) -> None:
    assert start_of(paid, "two-at-once") == at("2025-02-05")


def test_the_newest_record_of_a_state_tells_whether_it_was_a_trial(paid: Made) -> None:
    assert start_of(paid, "corrected") == at("2025-02-02")


def test_what_is_dated_or_recorded_at_the_as_of_time_is_not_known(paid: Made) -> None:
    known = {row["account_id"] for row in paid.rows("account_tenure")}
    assert "starts-at-as-of" not in known
    assert "recorded-at-as-of" not in known
    assert "started-before-as-of" in known


def test_without_subscriptions_tenure_starts_when_the_account_was_created_else_at_its_first_event(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = World(
        [
            event("created", "chat", "2025-01-03"),  # two days before it was created: trial
            event("first-event", "chat", "2025-01-31 08:00:01"),
            event("first-event", "chat", "2025-02-01"),
            event("at-as-of", "chat", "2025-05-01"),
        ],
        last_day="2025-06-01",
        subscriptions=None,
        accounts=[
            {"account_id": "created", "created_at": at("2025-01-05 12:00")},
            {"account_id": "first-event", "created_at": None},
            {"account_id": "never-seen", "created_at": None},
            {"account_id": "at-as-of", "created_at": None},
            {"account_id": "created-at-as-of", "created_at": at("2025-05-01")},
        ],
        framework=UNBILLED,
    )
    with made_up_to(world, tmp_path_factory.mktemp("unbilled"), "account_tenure", as_of="2025-05-01") as made:
        found = {
            row["account_id"]: (row["tenure_start"], row["basis"], row["activation_window_ends_at"])
            for row in made.rows("account_tenure")
        }
    assert found == {
        "created": (at("2025-01-05 12:00"), "created_at", at("2025-04-05 12:00")),
        # 31 January + 3 months = 30 April
        "first-event": (at("2025-01-31 08:00:01"), "first_event", at("2025-04-30 08:00:01")),
    }


def test_without_a_revenue_column_any_row_that_is_no_trial_pays(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(
        [event("zero", "chat", "2025-02-01")],
        last_day="2025-04-30",
        subscriptions=[
            subscription("zero", "2025-01-05", mrr=0.0),
            subscription("trial", "2025-01-05", "2025-01-20", is_trial=True),
            subscription("trial", "2025-01-20"),
        ],
        sources={"subscriptions": {"columns": {"mrr": None, "is_price_list_change": None}}},
    )
    with made_up_to(world, tmp_path_factory.mktemp("no-revenue"), "account_tenure") as made:
        found = {row["account_id"]: row["tenure_start"] for row in made.rows("account_tenure")}
    assert found == {"zero": at("2025-01-05"), "trial": at("2025-01-20")}
