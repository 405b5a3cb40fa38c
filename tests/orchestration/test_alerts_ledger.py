"""What an address is told: properties that hold for any history of failures and passes."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from milestones_dagster.orchestration.alert_ledger import Ledger, Occurrence, dump, load
from milestones_dagster.orchestration.alerts import Alert, Kind, Past

REPEAT_AFTER = 1000.0


def occurrence(number: int, key: str, is_failure: bool, fault: str = "") -> Occurrence:
    def write(past: Past) -> Alert:
        return Alert(key, f"{past.failures},{past.untold}", Kind.FAILURE if is_failure else Kind.RECOVERY)

    return Occurrence(str(number), key, fault, float(number * 100), is_failure, write)


HISTORIES = st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=40)


def play(ledger: Ledger, history: list[Occurrence]) -> list[Alert]:
    told = []
    for each in history:
        alert = ledger.next_alert(each, REPEAT_AFTER)
        ledger.settle(each, each.at if alert else None)
        told += [alert] if alert else []
    return told


@given(HISTORIES)
def test_what_is_read_twice_is_told_once(history):
    """The overlap reads the last minutes again: nothing of it may be told, or counted, a second time."""
    seen = [occurrence(number, key, is_failure) for number, (key, is_failure) in enumerate(history)]
    once, twice = Ledger(-1e9), Ledger(-1e9)
    told = play(once, seen)
    again = []
    for cut in range(0, len(seen), 3):
        again += play(twice, seen[max(0, cut - 3) : cut + 3])
    assert again == told
    assert twice == once


@given(HISTORIES)
def test_every_failure_is_told_or_counted_and_every_recovery_follows_a_failure_told(history):
    seen = [occurrence(number, key, is_failure) for number, (key, is_failure) in enumerate(history)]
    ledger = Ledger(-1e9)
    is_failing = {"a": False, "b": False}
    counted = 0
    for alert in play(ledger, seen):
        if alert.kind is Kind.RECOVERY:
            assert is_failing[alert.title]
            counted += int(alert.body.split(",")[0])
        is_failing[alert.title] = alert.kind is Kind.FAILURE
    counted += sum(told.failures for told in ledger.told.values())
    assert counted == sum(is_failure for _, is_failure in history)
    assert {key for key, failing in is_failing.items() if failing} == set(ledger.told)


@settings(max_examples=50)
@given(HISTORIES)
def test_the_cursor_gives_back_the_ledger(history):
    seen = [occurrence(number, key, is_failure) for number, (key, is_failure) in enumerate(history)]
    ledger = Ledger(-1e9)
    play(ledger, seen)
    assert load(dump({"json://host/token": ledger}), ["json://host/token"]) == {"json://host/token": ledger}
    assert load(dump({"json://host/token": ledger}), ["log"]) == {}


def test_a_failure_that_lasts_is_told_again_after_the_rhythm_with_the_count():
    ledger = Ledger(0.0)
    told = play(ledger, [occurrence(number, "a", is_failure=True) for number in range(25)])
    # at 0, 1000 and 2000 s: nine are held back in between
    assert [alert.body for alert in told] == ["1,0", "11,9", "21,9"]


def test_the_cursor_stays_small_whatever_fails():
    ledger = Ledger(0.0)
    for number in range(5_000):
        play(ledger, [occurrence(number, f"check {number}", is_failure=True)])
        ledger.forget(float(number * 100), keys=None, quiet_since=0.0)
    assert len(ledger.told) == 500
    assert len(ledger.settled) <= 3
    assert len(dump({"log": ledger})) < 80_000


def test_a_check_that_no_longer_exists_is_forgotten():
    ledger = Ledger(0.0)
    play(ledger, [occurrence(1, "gone", is_failure=True), occurrence(2, "kept", is_failure=True)])
    ledger.forget(None, keys={"kept"}, quiet_since=0.0)
    assert set(ledger.told) == {"kept"}


def test_a_cursor_of_another_shape_counts_as_none():
    for cursor in (None, "", "nonsense", "[]", '{"version": 2}', json.dumps({"version": 1, "ledgers": []})):
        assert load(cursor, ["log"]) == {}
