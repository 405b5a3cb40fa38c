"""Tests of the areas' thresholds and of expansion as a second outcome: q over the areas, locked rows, later half by hand.

Put here the statistics. Keep out who is a row (`tests/warehouse/test_area_world.py`) and the search itself
(`test_evidence_thresholds.py`).
"""

from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from test_evidence_chain import framework
from test_evidence_thresholds import EARLIER, LATER, company, landmarks

from milestones_dagster.config.areas import Area
from milestones_dagster.config.thresholds import ThresholdSearch
from milestones_dagster.evidence import areas, expansion
from milestones_dagster.evidence.thresholds import Effect, derived, no_signal


def asked(*names, adopted="auto"):
    """A framework with these areas, all counted alike."""
    made = [Area(name=name, title=name.title(), measure="count", events=("x",), threshold=adopted) for name in names]
    return framework().model_copy(update={"areas": tuple(made), "threshold_search": ThresholdSearch(resamples=30)})


@pytest.fixture(scope="module")
def three():
    """Areas of 3,000 accounts each: a jump of 20 points is planted in `planted` alone."""
    generator = np.random.default_rng(7)
    parts = [
        company(generator, 3000, jump=jump, slope=0.0).assign(area=area)
        for area, jump in (("one", 0), ("planted", 0.2), ("two", 0))
    ]
    return pd.concat(parts, ignore_index=True)


def test_a_signal_of_an_area_is_judged_by_q_over_all_of_them(three):
    from statsmodels.stats.multitest import multipletests

    table = areas.thresholds(three, asked("one", "planted", "two"), {})
    assert list(table["area"]) == ["one", "planted", "two"]
    assert (list(table["position"]), list(table["measure"])) == ([1, 2, 3], ["count"] * 3)
    known = table["p"].notna()
    assert table.loc[known, "q"].to_numpy() == pytest.approx(multipletests(table.loc[known, "p"], method="fdr_bh")[1])
    assert list(table["is_signal"]) == [False, True, False]
    planted = table.iloc[1]
    assert (planted["derived"], planted["reason"]) == (planted["pick"], None)
    assert planted["pick"] == pytest.approx(20, rel=0.15)
    # what is said of one area is what would be said of it alone, but for q
    alone = derived(three.loc[three["area"] == "planted"], "area", None, ThresholdSearch(resamples=30)).iloc[0]
    for column in ("rows", "pick", "pick_low", "pick_high", "difference", "p", "reach", "trust"):
        assert planted[column] == alone[column]


def test_q_stands_in_the_place_of_p():
    later = Effect(100, 100, 0.8, 0.7, 0.1, 0.01, 0.19, 0.1, 0.01, 0.19, 4.2, 0.04, 0.1, "mixed")
    assert no_signal(5, 10.0, later) is None
    assert no_signal(5, 10.0, later, 0.05) is None
    assert no_signal(5, 10.0, later, 0.06) == "q over the areas above .05"
    assert no_signal(5, 10.0, later, nan) == "q over the areas above .05"


def test_an_area_without_an_account_and_a_framework_without_areas(three):
    table = areas.thresholds(three, asked("planted", "nobody", adopted=15.0), {})
    nobody = table.iloc[1]
    assert (nobody["rows"], nobody["reason"], nobody["adopted"]) == (0, "fewer than 3 candidates", 15.0)
    assert isnan(nobody["q"])
    # one area alone: its q is its p
    assert table.iloc[0]["q"] == table.iloc[0]["p"]
    none = areas.thresholds(three.iloc[:0], asked(), {})
    assert len(none) == 0
    assert list(none.columns.sort_values()) == list(table.columns.sort_values())


def test_areas_do_not_depend_on_the_order_of_the_rows(three):
    names = ("one", "planted")
    shuffled = three.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(areas.thresholds(three, asked(*names), {}), areas.thresholds(shuffled, asked(*names), {}))


def known(value, expanded, **columns):
    """A landmark table with expansion; `retained` is no part of it."""
    return landmarks(value, retained=True, **columns).assign(expanded=pd.array(expanded, dtype="boolean"))


def both_halves():
    """40 accounts of the earlier half, who are not read, and 100 of the later: at or above 5, 12 of 40 expand, below 6 of 60."""
    earlier = known([0.0, 9.0] * 20, [True, False] * 20, month=EARLIER)
    above = known([5.0] * 40, np.arange(40) < 12, month=LATER)
    below = known([4.0] * 60, np.arange(60) < 6, month=LATER)
    frame = pd.concat([earlier, above, below], ignore_index=True)
    return frame.assign(account_key=np.arange(140), account_id=[f"a{place:03}" for place in range(140)])


THRESHOLD = {"pick": 5.0, "adopted": 4.5, "earlier_to_month": pd.Timestamp(EARLIER)}


def rows_of(frame, threshold=THRESHOLD):
    return {row["basis"]: row for row in expansion.expansion(frame, threshold)}


def test_expansion_at_the_pick_of_retention_on_the_later_half_alone():
    from statsmodels.stats.contingency_tables import Table2x2

    row = rows_of(both_halves())["pick"]
    assert (row["value"], row["rows"], row["accounts"], row["later_accounts"], row["accounts_above"], row["accounts_below"]) == (
        5.0, 140, 140, 100, 40, 60,
    )  # fmt: skip
    assert (row["expanded_above_share"], row["expanded_below_share"]) == (0.3, 0.1)
    assert (row["difference"], row["crude_difference"]) == (pytest.approx(0.2), pytest.approx(0.2))
    # N³ divided out: χ² of Cochran, Mantel and Haenszel is Pearson's times (n − 1) / n
    pearson = Table2x2([[12, 28], [6, 54]]).test_nominal_association().statistic
    assert row["chi2"] == pytest.approx(pearson * 99 / 100)
    # 2.802 · √(.18 · .82 · (1/40 + 1/60)) = 22 points
    assert (row["trust"], row["outcome"]) == ("interview", "expanded")
    assert len(row["interview_account_ids"].split(", ")) == 20


def test_who_left_is_no_expansion_who_could_not_leave_counts_and_unknown_revenue_does_not():
    frame = both_halves()
    frame.loc[frame.index[40:50], "standing"] = "locked"
    frame.loc[frame.index[50:60], "expanded"] = pd.NA
    frame.loc[frame.index[100:105], "standing"] = "left_before"
    row = rows_of(frame)["pick"]
    # 30 above are left, of whom the first 10 expanded; of 60 below, 5 left before
    assert (row["accounts_above"], row["accounts_below"], row["left_before"], row["no_mrr"]) == (30, 55, 5, 10)
    assert row["expanded_above_share"] == pytest.approx(10 / 30)
    assert row["left_before_share"] == 5 / 130
    assert "5 accounts left before the landmark and are in no group." in row["note"]
    assert "10 accounts had no known revenue at the landmark and are in no group." in row["note"]


def test_the_adopted_value_beside_it_and_none_where_there_is_none():
    found = rows_of(both_halves())
    assert (found["adopted"]["value"], found["adopted"]["difference"]) == (4.5, found["pick"]["difference"])
    none = rows_of(both_halves(), {"pick": nan, "adopted": None, "earlier_to_month": pd.Timestamp(EARLIER)})
    assert isnan(none["pick"]["value"])
    assert (none["pick"]["accounts_above"], none["pick"]["trust"]) == (0, "interview")
    assert none["pick"]["note"] == "No value is picked by retention."
    assert none["adopted"]["note"] == "No value is adopted."
    unpicked = rows_of(both_halves(), {"pick": nan, "adopted": 4.5, "earlier_to_month": pd.NaT})
    assert (unpicked["adopted"]["later_accounts"], unpicked["adopted"]["note"]) == (0, "No later account's outcome is known.")


def test_every_milestone_and_area_has_its_two_rows():
    frame = pd.concat([both_halves().assign(behaviour=name) for name in ("activation", "usage", "area:one")], ignore_index=True)
    one = pd.DataFrame([THRESHOLD])
    also = {"activation_threshold": one, "usage_threshold": one.assign(pick=4.0), "area_thresholds": one.assign(area="one")}
    table = expansion.measure(frame, asked("one"), also)
    assert list(zip(table["position"], table["behaviour"], table["basis"], table["value"], strict=True)) == [
        (1, "activation", "pick", 5.0),
        (1, "activation", "adopted", 4.5),
        (2, "usage", "pick", 4.0),
        (2, "usage", "adopted", 4.5),
        (3, "area:one", "pick", 5.0),
        (3, "area:one", "adopted", 4.5),
    ]
    none = also | {"area_thresholds": one.assign(area="one").iloc[:0]}
    assert list(expansion.measure(frame, asked(), none)["behaviour"].unique()) == ["activation", "usage"]
