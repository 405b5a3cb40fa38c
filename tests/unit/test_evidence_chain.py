"""Tests of the chain: links by hand, cohorts pooled and alone, who is left out, whom to talk to, any order of rows.

Put here the statistics. Keep out who is a row (`tests/warehouse/test_chain_world.py`).
"""

from math import isnan

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.config.framework import Framework
from milestones_dagster.evidence.chain import AFTER_SETUP, cohort_unit, compare, link_rows, measure

LINK = ("usage", "retention")
JANUARY, APRIL = "2024-01-01", "2024-04-01"


def group(count, following, *, reached, month=JANUARY, plan="basic", size="1-4", standing="row", mrr=100.0):
    """`count` accounts alike, the first `following` of them with the outcome."""
    return pd.DataFrame(
        {
            "behaviour": LINK[0],
            "outcome": LINK[1],
            "cohort_month": pd.Timestamp(month),
            "standing": standing,
            "plan": plan,
            "size_stratum": size,
            "mrr": mrr,
            "threshold": 12.0,
            "is_reached": reached,
            "is_next": pd.array(np.arange(count) < following, dtype="boolean"),
        },
        index=range(count),
    )


def world(*groups):
    """One frame of groups, every account named by its place."""
    frame = pd.concat(groups, ignore_index=True)
    return frame.assign(account_id=[f"a{place:05}" for place in range(len(frame))])


def unequal():
    """Two cohorts: 100 accounts of January, 80 of them reached it (60 and 10 stay); 40 of April, 5 reached it (1 and 14)."""
    return world(
        group(80, 60, reached=True),
        group(20, 10, reached=False),
        group(5, 1, reached=True, month=APRIL),
        group(35, 14, reached=False, month=APRIL),
    )


def pooled(frame):
    return next(iter(link_rows(LINK, frame)))


def test_unequal_cohorts_are_never_averaged_as_if_they_were_equal():
    from statsmodels.stats.contingency_tables import StratifiedTable

    row = pooled(unequal())
    # January 60/80 − 10/20 = .25 with weight 80 · 20 / 100 = 16, April 1/5 − 14/35 = −.2 with 5 · 35 / 40 = 4.375
    assert row["effect"] == pytest.approx((0.25 * 16 - 0.2 * 4.375) / 20.375)
    # neither the plain mean of the two, nor that of who is all together
    assert row["effect"] != pytest.approx((0.25 - 0.2) / 2)
    assert row["difference"] == pytest.approx(61 / 85 - 24 / 55)
    assert (row["reached_next_share"], row["other_next_share"]) == (61 / 85, 24 / 55)
    assert [row[name] for name in ("accounts", "comparable_accounts", "reached_accounts", "reached_next", "other_accounts", "other_next")] == [
        140, 140, 85, 61, 55, 24,
    ]  # fmt: skip
    assert (row["cohort"], row["cohort_from"], row["cohorts"], row["pooled_over"], row["threshold"]) == (
        "all",
        None,
        2,
        "month",
        12.0,
    )
    tables = [np.array([[60, 20], [10, 10]]), np.array([[1, 4], [14, 21]])]
    assert row["effect_p"] == pytest.approx(StratifiedTable(tables).test_null_odds(correction=False).pvalue)


def test_a_cohort_with_more_of_both_adds_nothing_by_that():
    # within each cohort the groups are alike; January has both more of the behaviour and more of the outcome
    frame = world(
        group(80, 72, reached=True),
        group(20, 18, reached=False),
        group(20, 6, reached=True, month=APRIL),
        group(80, 24, reached=False, month=APRIL),
    )
    row = pooled(frame)
    assert row["difference"] == pytest.approx(78 / 100 - 42 / 100)
    assert row["effect"] == pytest.approx(0.0)


def test_plan_and_size_are_strata_and_an_unknown_one_is_a_level_of_its_own():
    frame = world(
        group(30, 27, reached=True, plan="premium"),
        group(10, 9, reached=False, plan="premium"),
        group(10, 5, reached=True, plan=None, size=None),
        group(30, 15, reached=False, plan=None, size=None),
    )
    row = pooled(frame)
    assert row["effect"] == pytest.approx(0.0)
    assert row["difference"] == pytest.approx(32 / 40 - 24 / 40)


def test_the_effect_and_its_trust_are_of_accounts_that_have_somebody_to_be_compared_with():
    # 6 premium accounts all reached it: they say nothing
    frame = world(group(60, 45, reached=True), group(40, 20, reached=False), group(6, 0, reached=True, plan="premium"))
    found = compare(frame, "month")
    alone = compare(frame.loc[frame["plan"] == "basic"], "month")
    assert (found.accounts, found.comparable) == (106, 100)
    assert (float(found.effect.estimate), found.detectable, found.trust) == (0.25, alone.detectable, alone.trust)
    # 2.802 · √(.65 · .35 · (1/60 + 1/40))
    assert found.detectable == pytest.approx(2.802 * (0.65 * 0.35 * (1 / 60 + 1 / 40)) ** 0.5)
    assert "6 have nobody of the other group alike in plan, size and cohort month." in pooled(frame)["note"]


def test_months_that_leave_too_many_without_a_partner_give_way_to_quarters():
    # 20 in January and 20 in February have a partner; so have 8 of March only within the quarter: 40/48 comparable
    both = [group(10, 5, reached=reached, month=f"2024-0{month}-01") for month in (1, 2) for reached in (True, False)]
    alone = group(8, 4, reached=True, month="2024-03-01")
    assert cohort_unit(world(*both, alone)) == "month"
    # with 11 it is 40/51, less than four fifths
    more = group(11, 4, reached=True, month="2024-03-01")
    assert cohort_unit(world(*both, more)) == "quarter"
    row = pooled(world(*both, more))
    assert (row["pooled_over"], row["cohorts"], row["comparable_accounts"]) == ("quarter", 1, 51)
    # one stratum: 14/31 − 10/20
    assert row["effect"] == pytest.approx(14 / 31 - 10 / 20)


def test_a_single_cohort_is_shown_only_where_it_can_be_trusted():
    # 600 against 600 at .75: 2.802 · √(.1875 / 300) = 7 points; April alone, 20 against 20, is for interviews
    frame = world(
        group(600, 480, reached=True),
        group(600, 420, reached=False),
        group(20, 16, reached=True, month=APRIL),
        group(20, 14, reached=False, month=APRIL),
    )
    first, *cohorts = link_rows(LINK, frame)
    assert [(row["cohort"], row["cohort_from"], row["trust"]) for row in cohorts] == [
        ("2024-01", pd.Timestamp(JANUARY), "mixed"),
    ]
    assert (cohorts[0]["effect"], cohorts[0]["accounts"], cohorts[0]["cohorts"]) == (pytest.approx(0.1), 1200, 1)
    assert (first["trust"], first["accounts"], first["cohorts"]) == ("mixed", 1240, 2)
    assert "1 of 2 cohorts are too small to be shown alone." in first["note"]
    assert "among accounts alike in plan, size and cohort month" in first["note"]


def test_who_left_before_the_landmark_is_in_neither_group_and_counted():
    frame = world(
        group(60, 45, reached=True),
        group(40, 20, reached=False),
        group(50, 0, reached=False, standing="left_before"),
        group(20, 20, reached=True, standing="locked"),
        group(10, 0, reached=True, standing="already"),
        group(6, 0, reached=True, standing="partial"),
        group(8, 0, reached=False, standing="no_seats"),
        group(6, 0, reached=False, standing="no_mrr"),
    )
    frame.loc[frame["standing"] != "row", "is_next"] = pd.NA
    row = pooled(frame)
    assert (row["accounts"], row["effect"]) == (100, 0.25)
    counts = {name: (row[name], row[f"{name}_share"]) for name in ("left_before", "locked", "already", "partial", "no_value")}
    assert counts == {
        "left_before": (50, 0.25),
        "locked": (20, 0.1),
        "already": (10, 0.05),
        "partial": (6, 0.03),
        "no_value": (14, 0.07),
    }
    assert "50 accounts (25.0%) were not paying at the landmark." in row["note"]


def test_interview_names_whom_to_talk_to_largest_first():
    frame = world(
        group(3, 1, reached=True, mrr=[50.0, 900.0, None]),
        group(3, 2, reached=False, mrr=[10.0, 900.0, 70.0]),
        group(1, 0, reached=True, mrr=5000.0, standing="left_before"),
    )
    row = pooled(frame)
    # reached and left: a00001 and a00002 (its revenue unknown); not reached and stayed: a00003 and a00004
    assert (row["trust"], row["interview_account_ids"]) == ("interview", "a00001, a00004, a00003, a00002")
    many = pooled(world(group(30, 0, reached=True), group(2, 1, reached=False)))
    assert len(many["interview_account_ids"].split(", ")) == 20


def test_a_link_that_compares_nothing_says_so():
    row = pooled(world(group(5, 2, reached=True)))
    assert (row["trust"], row["detectable"], row["comparable_accounts"]) == ("interview", np.inf, 0)
    assert isnan(row["effect"])
    assert row["note"].startswith("All of 5 accounts had reached usage: nothing to compare.")
    empty = pooled(world(group(1, 0, reached=True)).iloc[:0])
    assert (empty["accounts"], empty["cohorts"], empty["note"]) == (0, 0, "No account's outcome is known yet.")


def test_an_account_has_one_row_in_a_link():
    frame = world(group(2, 1, reached=True)).assign(account_id="a")
    with pytest.raises(ValueError, match="usage to retention: an account has more than one row"):
        pooled(frame)


def framework():
    return Framework.model_validate(
        {
            "product": "Desk",
            "core_events": ["x"],
            "setup": {"steps": [{"name": "install", "title": "Install", "events": ["x"]}]},
            "activation": {"title": "A", "events": ["x"], "threshold": 1.0},
            "usage": {"title": "U", "events": ["x"], "threshold": 1.0},
            "maturity": {
                "mature_categories": 1,
                "categories": [
                    {
                        "name": "c",
                        "title": "C",
                        "basic": {"at_least": 1, "of": ["f"]},
                        "mature": {"at_least": 1, "of": ["f"]},
                    }
                ],
            },
        }
    )


def test_every_link_has_its_row_in_the_chains_order_whatever_the_order_of_the_rows():
    frame = unequal()
    table = measure(frame, framework(), {})
    assert list(zip(table["behaviour"], table["outcome"], strict=True)) == [("setup:install", "activation"), *AFTER_SETUP]
    assert list(table["position"]) == list(range(1, 11))
    assert table.loc[table["behaviour"] == "usage", "accounts"].tolist() == [0, 140, 0]
    shuffled = measure(frame.sample(frac=1, random_state=1), framework(), {})
    pd.testing.assert_frame_equal(table, shuffled)
    assert len(measure(frame.iloc[:0], framework(), {})) == 10
