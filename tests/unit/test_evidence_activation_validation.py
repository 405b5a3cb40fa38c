"""Whether activation goes with staying in use: by hand, by a second way, and on accounts whose truth is planted."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence.activation_validation import compare_ends, compare_usage, curves, followed, validation
from milestones_dagster.evidence.association import mantel_haenszel, strata_of
from milestones_dagster.evidence.survival import kaplan_meier

LANDMARK = pd.Timestamp("2025-04-10")
THRESHOLD = 10.0
SEARCH = ThresholdSearch()


def framework(basis="subscriptions", search=SEARCH):
    return SimpleNamespace(outcomes=SimpleNamespace(retention=SimpleNamespace(basis=basis)), threshold_search=search)


def account(number, value, ended=None, left=None, **fields):
    """One row: not ended within 300 days unless `ended` or `left` say after how many days, usage in three months."""
    ends = [day for day in (ended, left) if day is not None]
    row = {
        "account_key": number,
        "account_id": f"a{number:04}",
        "cohort_month": pd.Timestamp("2025-01-01"),
        "observed_at": LANDMARK,
        "horizon_at": LANDMARK + pd.Timedelta(days=90),
        "followed_to": LANDMARK + pd.Timedelta(days=300),
        "plan": "basic",
        "size_stratum": "1-4",
        "mrr": 100.0,
        "value": float(value),
        "is_dormant_before": False,
        "left_at": pd.NaT if left is None else LANDMARK + pd.Timedelta(days=left),
        "dormant_at": pd.NaT if ended is None else LANDMARK + pd.Timedelta(days=ended),
        "ended_at": LANDMARK + pd.Timedelta(days=min(ends)) if ends else pd.NaT,
        "usage_months": 3,
    }
    return row | fields


def table(rows, threshold=THRESHOLD, origin="adopted"):
    times = dict.fromkeys(("left_at", "dormant_at", "ended_at", "observed_at", "horizon_at", "followed_to"), "datetime64[us]")
    return pd.DataFrame(rows).astype(times).assign(threshold=threshold, threshold_origin=origin, seed=0, left_before=2, locked=1)


def validated(rows, **terms):
    return validation(table(rows, **terms), framework(), {}).set_index(["outcome", "cohort"])


def company(accounts=1200, seed=0, effect=2.5, shape=1.0):
    """Accounts whose hazard is lower with activation, by plan and size too, over four cohort quarters."""
    generator = np.random.default_rng(seed)
    premium, large = generator.random(accounts) < 0.3, generator.random(accounts) < 0.4
    active = generator.random(accounts) < 0.3 + 0.3 * premium + 0.2 * large
    mean = 120 * (1 + premium + large) * np.where(active, effect, 1)
    time = np.ceil(generator.weibull(shape, accounts) * mean)
    leaves = generator.random(accounts) < 0.5
    months = pd.to_datetime("2024-01-01") + pd.to_timedelta(31 * (np.arange(accounts) % 12), unit="D")
    return [
        account(
            number,
            20 if active[number] else 5,
            **({"left" if leaves[number] else "ended": int(time[number])} if time[number] <= 300 else {}),
            plan="premium" if premium[number] else "basic",
            size_stratum="20+" if large[number] else "1-4",
            cohort_month=months[number].replace(day=1),
            usage_months=int(generator.integers(0, 4)) if time[number] > 90 else 0,
            mrr=float(number % 7),
        )
        for number in range(accounts)
    ]


def test_time_to_the_earlier_of_both_by_hand():
    rows = [
        account(1, 10),
        account(2, 30, ended=100),
        account(3, 12, left=45),
        account(4, 9, ended=30, left=60),
        account(5, 0, left=10),
        account(6, 0),
        # dormant at L: no outcome after it
        account(7, 0, is_dormant_before=True, left=20),
    ]
    row = compare_ends(followed(table(rows), THRESHOLD, SEARCH, is_later_half=False), "all")

    assert (row["accounts"], row["activated"], row["not_activated"]) == (6, 3, 3)
    assert (row["left_out"], row["left_out_activated"]) == (1, 0)
    assert (row["ended"], row["ended_by_leaving"], row["horizon_days"]) == (4, 2, 90)
    # at day 90 the second is still going
    assert (row["activated_share"], row["other_share"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (row["activated_mean_days"], row["other_mean_days"]) == ((90 + 90 + 45) / 3, pytest.approx((30 + 10 + 90) / 3))
    assert row["mean_days_difference"] == pytest.approx(75 - 130 / 3)
    # one stratum: the adjusted difference is the crude one
    assert row["difference"] == pytest.approx(row["crude_difference"]) == pytest.approx(1 / 3)
    assert (row["trust"], row["hazard_reason"]) == ("interview", "fewer than 10 events")
    # against the grain: activated and ended by day 90, or not and lasting
    assert row["talk_to"] == "a0003, a0006"


def test_leaving_is_an_end_and_never_censors():
    dormant = [account(number, 20 * (number % 2), ended=5 * number) for number in range(1, 40)]
    left = [account(number, 20 * (number % 2), left=5 * number) for number in range(1, 40)]
    first, second = (validated(rows).loc[("dormant_or_left", "all")] for rows in (dormant, left))

    same = [name for name in first.index if name != "ended_by_leaving"]
    pd.testing.assert_series_equal(first[same], second[same])
    assert (first["ended"], second["ended_by_leaving"]) == (39, 39)


def test_a_censored_account_adds_time_and_no_event():
    rows = company(300)
    longer = [*rows, account(9999, 20, followed_to=LANDMARK + pd.Timedelta(days=95))]
    before, after = (curves(table(each), framework(), {}).set_index(["group_name", "day"]) for each in (rows, longer))

    for day, added in ((0, 1), (91, 1), (98, 0), (140, 0)):
        assert after.loc[("activated", day), "at_risk"] - before.loc[("activated", day), "at_risk"] == added
        assert after.loc[("activated", day), "events"] == before.loc[("activated", day), "events"]


def test_the_later_half_alone_where_the_earlier_one_chose():
    months = [pd.Timestamp(f"2025-0{month}-01") for month in (1, 2, 3, 4)]
    rows = [account(number, 20 * (number % 2), ended=number + 1, cohort_month=months[number // 10]) for number in range(40)]
    found = validated(rows, origin="derived").loc[("dormant_or_left", "all")]

    assert (found["accounts"], found["is_later_half"]) == (20, True)
    assert "Of the later half of the accounts alone" in found["note"]
    assert validated(rows).loc[("dormant_or_left", "all"), "accounts"] == 40
    kept = followed(table(rows), THRESHOLD, SEARCH, is_later_half=True)
    assert sorted(kept.account_id) == [f"a{number:04}" for number in range(20, 40)]


def test_without_a_threshold_or_rows_nothing_is_compared():
    assert validated([account(1, 5)], threshold=None)["accounts"].tolist() == [0, 0]
    empty = validation(table([account(1, 5)]).iloc[:0], framework(), {})
    assert (empty["accounts"].tolist(), empty["sentence"].tolist()) == ([0, 0], ["No account can be compared yet."] * 2)
    assert curves(table([account(1, 5)]).iloc[:0], framework(), {}).empty


def test_who_is_censored_before_the_horizon_is_refused():
    rows = followed(table([account(1, 20, followed_to=LANDMARK + pd.Timedelta(days=80))]), THRESHOLD, SEARCH, is_later_half=False)
    with pytest.raises(ValueError, match="censored before the horizon"):
        compare_ends(rows, "all")


def test_the_horizon_is_the_shortest_of_calendar_months():
    rows = [account(1, 20, left=90), account(2, 5, horizon_at=LANDMARK + pd.Timedelta(days=89, hours=1))]
    row = compare_ends(followed(table(rows), THRESHOLD, SEARCH, is_later_half=False), "all")

    assert (row["horizon_days"], row["activated_share"]) == (89, 1)


def test_usage_is_two_of_three_months_and_the_rest_is_not_known():
    months = [3, 2, 1, 0, 2, None]
    rows = [account(number, 20 if number < 3 else 5, usage_months=count) for number, count in enumerate(months)]
    row = compare_usage(followed(table(rows), THRESHOLD, SEARCH, is_later_half=False), "all")

    assert (row["accounts"], row["left_out"], row["left_out_activated"]) == (5, 1, 0)
    assert (row["activated_share"], row["other_share"]) == (pytest.approx(2 / 3), 0.5)
    assert row["crude_difference"] == pytest.approx(1 / 6)


def test_the_adjusted_differences_are_those_of_the_strata():
    rows = company()
    found, frame = validated(rows), table(rows)
    frame["activated"] = frame["value"] >= THRESHOLD
    frame["lasts"] = ~((frame["ended_at"] - LANDMARK).dt.days <= 90)
    frame["uses"] = frame["usage_months"] >= 2
    for outcome, reached in (("dormant_or_left", "lasts"), ("usage", "uses")):
        tables = [
            [
                [(stratum["activated"] & stratum[reached]).sum(), (stratum["activated"] & ~stratum[reached]).sum()],
                [(~stratum["activated"] & stratum[reached]).sum(), (~stratum["activated"] & ~stratum[reached]).sum()],
            ]
            for _, stratum in frame.groupby(["plan", "size_stratum"])
        ]
        row, expected = found.loc[(outcome, "all")], mantel_haenszel(strata_of(tables)).risk_difference
        assert [row["difference"], row["difference_low"], row["difference_high"]] == pytest.approx(
            [float(expected.estimate), float(expected.lower), float(expected.upper)]
        )


def test_survival_at_the_horizon_is_that_of_the_curve():
    rows = table(company(400))
    compared = followed(rows, THRESHOLD, SEARCH, is_later_half=False)
    row = compare_ends(compared, "all")
    group = compared.where(compared.activated)
    curve = kaplan_meier(group.duration, group.ended, [90.0], np.arange(group.duration.size))

    assert row["activated_share"] == pytest.approx(curve.survival.estimate[0])
    assert (row["activated_share_low"], row["activated_share_high"]) == (
        pytest.approx(curve.survival.lower[0]),
        pytest.approx(curve.survival.upper[0]),
    )


def test_a_planted_ratio_is_found_and_quoted_and_none_is_not():
    # exponential times: the hazard of the activated is 1 / 2.5 of the others'
    row = validated(company(3000, effect=2.5)).loc[("dormant_or_left", "all")]
    assert row["hazard_ratio_low"] < 1 / 2.5 < row["hazard_ratio_high"]
    assert (row["trust"], row["logrank_p"] < 1e-6, row["proportional_p"] >= 0.05) == ("statistical", True, True)
    assert row["sentence"].startswith(
        f"Activation goes with {row['hazard_ratio']:.2f} times the rate of becoming dormant or leaving"
    )
    assert "2 accounts (0.1%) left before the landmark" in row["note"]
    nothing = validated(company(3000, effect=1.0, seed=1)).loc[("dormant_or_left", "all")]
    assert nothing["hazard_ratio_low"] < 1 < nothing["hazard_ratio_high"]
    assert nothing["sentence"].startswith("It may be chance that activation goes with")
    assert nothing["mean_days_difference_low"] < 0 < nothing["mean_days_difference_high"]


def test_above_the_stated_size_accounts_are_drawn_by_hash_and_the_note_says_so():
    frame = table(company(3000))
    sampled = framework(search=ThresholdSearch(maximum_accounts=1000))
    row = validation(frame, sampled, {}).set_index(["outcome", "cohort"]).loc[("dormant_or_left", "all")]
    again = validation(frame.sample(frac=1.0, random_state=5), sampled, {}).set_index(["outcome", "cohort"])
    whole = validated(company(3000)).loc[("dormant_or_left", "all")]

    assert row["accounts"] + row["left_out"] == 1000
    assert row["note"].startswith("Of 3,000 accounts 1,000 were drawn by hash.")
    assert "drawn by hash" not in whole["note"]
    assert row["difference_low"] < whole["difference"] < row["difference_high"]
    assert again.loc[("dormant_or_left", "all")].equals(row)


def test_a_ratio_that_changes_over_time_is_not_quoted():
    generator = np.random.default_rng(3)
    early, late = generator.weibull(0.5, 1000) * 60, generator.weibull(4, 1000) * 60
    rows = [
        account(number, 20 * (number % 2), ended=int(np.ceil((late if number % 2 else early)[number]))) for number in range(1000)
    ]
    rows = [row if row["ended_at"] <= row["followed_to"] else account(row["account_key"], row["value"]) for row in rows]
    row = validated(rows).loc[("dormant_or_left", "all")]

    assert row["proportional_p"] < 0.05
    assert "times the rate" not in row["sentence"]
    assert "changes over time" in row["sentence"]
    assert f"{row['mean_days_difference']:+.1f} days" in row["sentence"]


def test_single_cohorts_are_shown_only_where_they_can_be_trusted():
    rows = [row for row in company(3000) if row["cohort_month"].quarter != 4 or row["account_key"] % 30 == 11]
    found = validated(rows)
    shown = [cohort for outcome, cohort in found.index if outcome == "dormant_or_left"]

    assert shown == ["all", "2024-Q1", "2024-Q2", "2024-Q3"]
    assert "One cohort is too small to be shown alone." in found.loc[("dormant_or_left", "all"), "note"]
    assert found["left_before"].isna().tolist() == [cohort != "all" for _, cohort in found.index]
    assert found.loc[[("dormant_or_left", cohort) for cohort in shown[1:]], "accounts"].sum() < len(rows)


def test_whom_to_talk_to_is_at_most_twenty_and_the_largest_first():
    rows = [account(number, 20, left=10, mrr=None if number == 3 else float(number % 5)) for number in range(30)]
    named = validated(rows).loc[("dormant_or_left", "all"), "talk_to"].split(", ")

    assert len(named) == 20
    assert named[:7] == ["a0004", "a0009", "a0014", "a0019", "a0024", "a0029", "a0008"]
    assert "a0003" not in named


def test_the_order_of_the_rows_changes_nothing():
    rows = company(300)
    turned = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]

    pd.testing.assert_frame_equal(validated(rows), validated(turned), check_exact=True)
    pd.testing.assert_frame_equal(curves(table(rows), framework(), {}), curves(table(turned), framework(), {}), check_exact=True)


def test_an_outcome_that_nobody_or_everybody_has_is_to_be_talked_about():
    row = validated([account(number, 20 * (number % 2)) for number in range(20)]).loc[("dormant_or_left", "all")]

    assert (row["trust"], row["talk_to"].count(",")) == ("interview", 9)
    assert "the outcome is the same for all" in row["sentence"]
