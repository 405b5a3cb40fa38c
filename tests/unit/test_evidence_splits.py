"""Tests of the folds, the boundary date and the purge."""

import numpy as np
import pytest

from milestones_dagster.evidence.splits import account_folds, boundary_date, split_rows, stable_hash


def months(numbers):
    return (np.datetime64("2024-01", "M") + np.asarray(numbers)).astype("datetime64[us]")


def panel(accounts, dates, seed=0):
    """Return a row per account and month with an outcome known 97 days after each date."""
    account = np.repeat(np.arange(accounts), dates)
    observed_at = months(np.tile(np.arange(dates), accounts))
    outcome = np.random.default_rng(seed).random(account.size) < 0.7
    return {
        "accounts": account,
        "observed_at": observed_at,
        "known_at": observed_at + np.timedelta64(97, "D"),
        "outcome": outcome,
    }


def test_hash_values_are_frozen():
    # folds of published rankings depend on them; SplitMix64 gives 0xE220A8397B1DCDAF as the first output of seed 0
    start = 0xE220A8397B1DCDAF
    key = np.array([start], dtype=np.uint64).view(np.int64)

    assert int(stable_hash(key, 0)[0]) == start
    assert account_folds(np.arange(10), 5, 0).tolist() == account_folds(np.arange(10), 5, 0).tolist()


def test_folds_are_even_and_differ_by_seed():
    accounts = np.arange(10_000)

    folds = account_folds(accounts, 5, 0)

    # four standard deviations of a binomial count of 2,000 are 160
    assert np.abs(np.bincount(folds, minlength=5) - 2_000).max() < 160
    assert (folds != account_folds(accounts, 5, 1)).mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("months_of_rows", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 6),  # exactly six of ten rows precede month 6
        ([0, 0, 0, 0, 0, 0, 1, 2, 2, 2], 1),
        ([0, 0, 0, 0, 0, 1, 1, 1, 1, 2], 2),  # month 1 is preceded by five rows, too few
        ([0, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),  # one row precedes month 1, and nothing comes later
    ],
)
def test_boundary_is_the_first_date_that_the_share_of_rows_precedes(months_of_rows, expected):
    found = boundary_date(months(months_of_rows)[::-1].copy(), 0.6)

    assert found == (None if expected is None else months([expected])[0])


def test_purge_by_hand():
    # ten months of 120 accounts: 60 % of the rows precede month 6, 2024-07-01. Known by then: month 2 (2024-03-01 and
    # 97 d make 2024-06-06) is, month 3 (2024-04-01 and 97 d make 2024-07-07) is not. Scored: months 6 to 9.
    rows = panel(120, 10)
    folds = account_folds(rows["accounts"], 5, 0)

    split = split_rows(**rows, folds=5, train_share=0.6, seed=0)

    assert (split.kind, split.boundary, split.shortfall) == ("time and account", np.datetime64("2024-07-01"), "")
    assert split.fitted.size == 120 * 3
    assert split.held_out.size == 120 * 4
    for number, fold in enumerate(split.folds):
        assert set(rows["observed_at"][fold.fitted]) == set(months([0, 1, 2]))
        assert set(rows["observed_at"][fold.held_out]) == set(months([6, 7, 8, 9]))
        assert (rows["known_at"][fold.fitted] <= split.boundary).all()
        assert not set(rows["accounts"][fold.fitted]) & set(rows["accounts"][fold.held_out])
        assert set(rows["accounts"][fold.held_out]) == set(rows["accounts"][folds == number])


def test_an_outcome_known_at_the_boundary_itself_is_fitted():
    rows = panel(120, 10)
    rows["known_at"] = np.where(rows["observed_at"] == months([3])[0], np.datetime64("2024-07-01", "us"), rows["known_at"])

    split = split_rows(**rows, folds=5, train_share=0.6, seed=0)

    assert split.fitted.size == 120 * 4


def test_too_few_rows_of_a_class_after_the_date_leave_the_folds_alone():
    rows = panel(120, 10)
    is_late = rows["observed_at"] >= np.datetime64("2024-07-01")
    rows["outcome"][is_late] = True
    rows["outcome"][np.flatnonzero(is_late)[:49]] = False

    split = split_rows(**rows, folds=5, train_share=0.6, seed=0)

    assert (split.kind, split.boundary, split.is_possible) == ("account", None, True)
    assert split.shortfall.startswith("split at 2024-07-01 a class would keep only 49 rows, ")
    assert split.held_out.tolist() == list(range(1200))
    for fold in split.folds:
        assert not set(rows["accounts"][fold.fitted]) & set(rows["accounts"][fold.held_out])
        assert fold.fitted.size + fold.held_out.size == 1200


def test_one_date_alone_leaves_the_folds_alone():
    rows = panel(200, 1)

    split = split_rows(**rows, folds=5, train_share=0.6, seed=0)

    assert (split.kind, split.shortfall) == ("account", "no date has 60% of the rows before it")


@pytest.mark.parametrize(("lost", "is_possible"), [(30, True), (9, False), (0, False)])
def test_a_class_of_few_accounts_cannot_be_split(lost, is_possible):
    rows = panel(200, 1)
    rows["outcome"] = np.arange(200) >= lost

    assert split_rows(**rows, folds=5, train_share=0.6, seed=0).is_possible is is_possible


def test_many_rows_of_few_accounts_are_few():
    rows = panel(200, 10)
    rows["outcome"] = rows["accounts"] >= 9

    split = split_rows(**rows, folds=5, train_share=0.6, seed=0)

    assert split.kind == "account"
    assert not split.is_possible
