"""The proving ground of features and of the review: truth by hand, worlds as they are told, and lines that a broken method fails.

Put here what makes these rows worth believing. Keep out thresholds and steps (`test_proving.py`) and the table (`make prove`).
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.evidence import forest, framework_review
from milestones_dagster.evidence.splits import Fold, Split
from tests.proving import feature_worlds, review_worlds
from tests.proving.feature_worlds import FeatureWorld, Item, company, true_differences, users
from tests.proving.lines import features, ranking, review
from tests.proving.truth import Truth
from tests.proving.worlds import draw

SEED = 5


def broken_rows(line, records):
    """Rows off their bound with their whole interval, by what they measure; a row without a run is left out."""
    return {row.what for row in line.rows(records) if row.runs and not row.holds(is_quick=True)}


def item(name, role, effect=0.0):
    return Item(name, role, 0.4, effect, 0.5, 0.3, "count")


def pooled(rows, name):
    """Difference of staying by use within plan and size, weighted by above × below / both, the slow way."""
    total = weight = 0.0
    for _, part in rows.groupby(["plan", "size_stratum"]):
        uses = part[name] > 0
        own = uses.sum() * (~uses).sum() / len(part)
        if own:
            total += own * (part.loc[uses, "retained"].mean() - part.loc[~uses, "retained"].mean())
            weight += own
    return total / weight


# --- truth --------------------------------------------------------------------------------------------------------------


def test_paying_when_drawn_by_hand():
    found = feature_worlds._paying_when_drawn(np.array([0.9, 0.9, 0.8]), np.array([0, 2, 1]), np.array([1, 1, 3]))
    # on its first date everyone pays; two months on .9 · .9; of three dates from the first month on .8, .64 and .512
    assert found == pytest.approx([1.0, 0.81, (0.8 + 0.64 + 0.512) / 3])


def test_a_features_true_difference_by_hand():
    world = FeatureWorld((item("a", "planted", 0.12), item("b", "null")), base=0.6, confounding=0.0, taste=0.0)
    found = true_differences(world, 1, feature_worlds.DATES - 1, 200_000)
    # on the last date one row each: .6 + .12 · .6 less .6 − .12 · .4, to the hundredth that plan and size move who is still there
    assert found["a"] == pytest.approx(0.12, abs=1e-6)
    assert found["b"] == pytest.approx(0.0, abs=0.002)
    # staying is nearly certain at the most: with the feature it can only rise to there
    assert true_differences(replace(world, base=0.95), 1, feature_worlds.DATES - 1, 50_000)["a"] < 0.11


def test_the_true_difference_is_what_many_drawn_accounts_show():
    world = feature_worlds.mixed(np.random.default_rng(3))
    truth = true_differences(world, 1, 6, 300_000)
    frame = company(
        replace(world, items=tuple(replace(each, measure="setting") for each in world.items)), np.random.default_rng(4), 60_000
    )
    dates = np.sort(frame["observed_at"].unique())
    assert dates.size == feature_worlds.DATES
    # of each account any date from its first one among the last four on, where it still pays
    later = frame.loc[frame["observed_at"] >= dates[6]]
    first = np.searchsorted(dates, later.groupby("account_key")["observed_at"].min())
    lot = pd.Series(
        dates[np.random.default_rng(5).integers(first, dates.size)], later["account_key"].drop_duplicates().sort_values()
    )
    rows = later.loc[later["observed_at"] == later["account_key"].map(lot)]
    for each in world.items:
        if each.role in {"planted", "copied", "null"}:
            assert pooled(rows, each.name) == pytest.approx(truth[each.name], abs=0.02)
    assert min(truth[each.name] for each in world.items if each.role in {"planted", "copied"}) > 0.09


# --- worlds -------------------------------------------------------------------------------------------------------------


def test_a_company_is_as_the_table_says():
    world = feature_worlds.mixed(np.random.default_rng(8))
    frame = company(world, np.random.default_rng(9), 20_000)
    assert not frame.duplicated(["account_key", "observed_at"]).any()
    assert frame.groupby("account_key").size().median() >= 3
    # three months and a week, on the calendar
    row = frame.loc[frame["observed_at"] == frame["observed_at"].min()].iloc[0]
    assert (row["observed_at"], row["known_at"]) == (pd.Timestamp("2022-03-01"), pd.Timestamp("2022-06-08"))
    # who leaves has no row after leaving, and is lost on the three dates before
    by_account = frame.sort_values("observed_at").groupby("account_key")["retained"]
    assert (by_account.apply(lambda stayed: stayed.is_monotonic_decreasing)).all()
    first = frame.sort_values("observed_at").drop_duplicates("account_key")
    assert first["retained"].mean() == pytest.approx(0.75, abs=0.02)
    by_role = {}
    for each, used in zip(world.items, users(world, frame).to_dict("records"), strict=True):
        by_role.setdefault(each.role, []).append(used["users"] / used["eligible"])
    assert len(by_role["planted"] + by_role["copied"]) == 4
    assert max(by_role["niche"]) < 0.035
    assert min(by_role["ubiquitous"]) > 0.84
    assert 0.3 < by_role["impostor"][0] < 0.85
    assert 0.05 < by_role["undeclared"][0] < 0.4
    by_item = {each.role: each for each in world.items}
    assert frame.loc[frame["plan"] != "top", by_item["impostor"].name].max() == 0
    assert frame[by_item["copied"].name].corr(frame[by_item["copy"].name], method="spearman") > 0.9


def test_without_confounding_plan_moves_use_and_not_staying():
    world = feature_worlds.nothing(np.random.default_rng(1), confounding=0.0)
    frame = company(world, np.random.default_rng(2), 30_000).sort_values("observed_at").drop_duplicates("account_key")
    by_plan = frame.groupby("plan")["retained"].mean()
    assert by_plan.max() - by_plan.min() < 0.03
    confounded = company(replace(world, confounding=1.0), np.random.default_rng(2), 30_000)
    by_plan = confounded.sort_values("observed_at").drop_duplicates("account_key").groupby("plan")["retained"].mean()
    assert by_plan["top"] - by_plan["entry"] > 0.08


def test_shuffling_keeps_each_dates_outcomes():
    frame = company(feature_worlds.nothing(np.random.default_rng(1)), np.random.default_rng(2), 500)
    found = ranking._shuffled_within(frame["observed_at"], frame["retained"].to_numpy(), np.random.default_rng(3))
    assert (found != frame["retained"]).any()
    before, after = (frame.assign(stays=values).groupby("observed_at")["stays"].sum() for values in (frame["retained"], found))
    assert before.equals(after)


def test_a_jump_moves_while_accounts_do_what_they_did():
    rng = np.random.default_rng(6)
    change = review_worlds.moved(rng, jump=0.2, factor=2.0)
    assert (change.since.at, change.threshold) == (2 * change.before.at, change.before.at)
    before, since = (draw(world, np.random.default_rng(1), 50_000).value for world in (change.before, change.since))
    assert np.log1p(before).mean() == pytest.approx(np.log1p(since).mean(), abs=0.04)
    assert 0.12 < (since >= change.since.at).mean() < 0.65
    sloped, flat = (review_worlds.shrunk(rng, jump=0.2, factor=0.5, is_sloped=is_sloped) for is_sloped in (True, False))
    assert (sloped.before.jump, sloped.since.jump, sloped.since.slope) == (0.2, 0.1, sloped.before.slope / 2)
    gaps = [Truth.of(world, 1, 200_000).at(flat.threshold).adjusted for world in (flat.before, flat.since)]
    # clipping takes a little
    assert gaps == pytest.approx([0.2, 0.1], abs=0.012)


def test_as_many_compared_before_and_since_as_asked():
    changes = {name: review_worlds.unchanged(np.random.default_rng(3), jump=0.1) for name in review_worlds.MILESTONES}
    frame = review_worlds.milestones(changes, np.random.default_rng(4), 200, 300)
    rows = frame.loc[frame["standing"] == "row"]
    counts = rows.groupby(["milestone", rows["observed_at"] >= review_worlds.ADOPTED_AT]).size()
    assert set(counts) == {200, 300}
    assert frame.loc[frame["milestone"] == "setup", ["value", "threshold"]].isna().all().all()
    assert (rows["is_next"].groupby(rows["milestone"]).mean().between(0.65, 0.85)).all()


# --- lines fail with a broken method ------------------------------------------------------------------------------------


def test_a_ranking_that_calls_everything_a_differentiator_fails(monkeypatch):
    assert not broken_rows(features.LINE, features.run(SEED, 1, 7250, 100_000))
    verdicts = forest.verdicts
    monkeypatch.setattr(forest, "verdicts", lambda *given: verdicts(*given).assign(verdict="differentiator"))
    failed = broken_rows(features.LINE, features.run(SEED, 1, 7250, 100_000))
    assert any("planted null" in what for what in failed)
    assert any("exactly `niche`" in what for what in failed)
    assert any("exactly `ubiquitous`" in what for what in failed)
    assert sum("is not `differentiator`" in what for what in failed) == 2


def test_a_ranking_blind_to_plan_and_size_fails(monkeypatch):
    known_rows = forest.known_rows

    def blind(*given):
        rows = known_rows(*given)
        return replace(rows, stratum=np.zeros_like(rows.stratum))

    monkeypatch.setattr(forest, "known_rows", blind)
    failed = broken_rows(features.LINE, features.run(SEED, 1, 5000, 100_000))
    assert any("the config does not say whose it is" in what for what in failed)


def test_a_ranking_scored_on_the_rows_it_was_fitted_on_fails(monkeypatch):
    def leaking(**given):
        everything = np.arange(given["accounts"].size)
        return Split("account", None, (Fold(everything, everything),), "", is_possible=True)

    assert not broken_rows(ranking.LINE, ranking.shuffled(1, 1))
    monkeypatch.setattr(forest, "split_rows", leaking)
    failed = broken_rows(ranking.LINE, ranking.shuffled(1, 1) + ranking.null(1, 1, (1400,)))
    assert any("misses 0.5" in what for what in failed)
    assert any("ranking withheld" in what for what in failed)


def test_a_review_that_pages_at_every_wobble_fails(monkeypatch):
    assert not broken_rows(review.LINE, review.same(1, 1, (1000,)))
    for level in ("WEAKENED_LEVEL", "RETUNE_LEVEL"):
        monkeypatch.setattr(framework_review, level, 0.9)
    failed = broken_rows(review.LINE, review.same(1, 1, (1000,)))
    assert "nothing has changed: any alarm" in failed


def test_a_review_that_never_pages_fails(monkeypatch):
    for level in ("WEAKENED_LEVEL", "RETUNE_LEVEL"):
        monkeypatch.setattr(framework_review, level, -1.0)
    failed = broken_rows(review.LINE, review.changed(1, 2))
    assert {"a 20-point gap halved: `weakened`", "the jump at twice its value: `retune`"} <= failed
