"""The proving ground itself: truth by hand, intervals, the others' rules by hand, and lines that a broken method fails.

Put here what makes the table worth believing. Keep out the table (`make prove`).
"""

import ast
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milestones_dagster.evidence.threshold_resamples import draws, stability
from tests.proving import __main__ as command
from tests.proving import method, naive, step_worlds, worlds
from tests.proving.adjustment import kept_by_plan_and_size
from tests.proving.lines import beside, mixed, nothing, oracles, planted
from tests.proving.registry import LINES
from tests.proving.score import Job, Line, Row, apart, mean, median, ratio, share, wilson
from tests.proving.step_worlds import Step, StepWorld
from tests.proving.table import BEGIN, END, markdown
from tests.proving.truth import Truth
from tests.proving.worlds import World

FOLDER = Path(worlds.__file__).parent


def broken_rows(line, records):
    """Rows off their bound with their whole interval, by what they measure; a row without a run is left out."""
    return {row.what: row for row in line.rows(records) if row.runs and not row.holds(is_quick=True)}


# --- independence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["worlds.py", "step_worlds.py", "feature_worlds.py", "review_worlds.py", "truth.py", "naive.py", "adjustment.py", "score.py"],
)
def test_generator_truth_and_the_others_import_nothing_of_the_product(name):
    tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert modules
    assert not [module for module in modules if module.startswith("milestones_dagster")]


# --- truth --------------------------------------------------------------------------------------------------------------


def test_truth_of_a_tiny_population_by_hand():
    # stratum 0: two at 4 (staying .5, .7) and two at 12 (.8, 1.0); stratum 1: three at 4 (.2 each), one at 12 (.6)
    truth = Truth.tally(
        np.array([4, 4, 12, 12, 4, 4, 4, 12]),
        np.array([0, 0, 0, 0, 1, 1, 1, 1]),
        np.ones(8),
        np.array([0.5, 0.7, 0.8, 1.0, 0.2, 0.2, 0.2, 0.6]),
    )
    divided = truth.at(10)
    assert divided.reach == pytest.approx(3 / 8)
    # (.8 + 1 + .6) / 3 − (.5 + .7 + .2 · 3) / 5
    assert divided.crude == pytest.approx(0.8 - 0.36)
    # within: .9 − .6 = .3, weight 2 · 2 / 4 = 1; .6 − .2 = .4, weight 1 · 3 / 4
    assert divided.adjusted == pytest.approx((0.3 + 0.75 * 0.4) / 1.75)
    # above and lost: 3 − 2.4
    assert divided.least_cell == pytest.approx(0.6 / 8)
    assert truth.at(4.5).adjusted == divided.adjusted
    assert truth.base == pytest.approx(4.2 / 8)
    assert truth.best(np.array([10.0, 12.0])) == divided.adjusted


def test_who_is_likely_to_leave_before_counts_less():
    truth = Truth.tally(np.array([0, 20, 20]), np.zeros(3, dtype=int), np.array([1.0, 0.75, 0.25]), np.array([0.5, 0.9, 0.1]))
    # above: (.75 · .9 + .25 · .1) / 1
    assert truth.at(10).crude == pytest.approx(0.7 - 0.5)
    assert truth.at(10).reach == pytest.approx(0.5)


def test_truth_within_the_first_days_by_hand():
    # one account with 2 events (stays .9), one with none (.5); each event falls early with probability ½
    truth = Truth.tally(np.array([2, 0]), np.zeros(2, dtype=int), np.ones(2), np.array([0.9, 0.5]))
    divided = truth.within(0.5, 1)
    # ¾ of the first is above; below: ¼ of the first, all of the second
    assert divided.reach == pytest.approx(0.375)
    assert divided.crude == pytest.approx(0.9 - (0.25 * 0.9 + 0.5) / 1.25)


def test_truth_is_what_many_drawn_accounts_show():
    world = World(at=15, reach=0.4, jump=0.2, slope=0.04)
    truth = Truth.of(world, 3, 300_000)
    frame = worlds.landmarks(world, np.random.default_rng(8), 60_000)
    rows = frame.loc[frame["standing"] == "row"]
    is_above = rows["value"] >= 15
    drawn = rows.loc[is_above, "retained"].mean() - rows.loc[~is_above, "retained"].mean()
    assert truth.at(15).crude == pytest.approx(drawn, abs=0.01)
    assert truth.at(15).reach == pytest.approx(is_above.mean(), abs=0.01)
    early = rows["events_14d"] >= 4
    drawn = rows.loc[early, "retained"].mean() - rows.loc[~early, "retained"].mean()
    assert truth.within(worlds.part_within(14), 4).crude == pytest.approx(drawn, abs=0.01)
    assert (truth.base, truth.at(15).reach) == pytest.approx((0.75, 0.4), abs=0.04)


def test_nothing_planted_leaves_nothing_within_strata():
    truth = Truth.of(replace(worlds.nothing(np.random.default_rng(2)), at=15), 5, 200_000)
    assert truth.at(15).adjusted == pytest.approx(0, abs=1e-9)
    assert truth.at(15).crude > 0.02


def test_worlds_are_as_the_table_says():
    drawn = [worlds.planted(np.random.default_rng(seed), jump=0.2) for seed in range(40)]
    assert all(world.at >= 10 and 0.03 <= world.slope <= 0.05 and world.base == 0.75 for world in drawn)
    for seed in range(6):
        truth = Truth.of(drawn[seed], seed, 100_000)
        assert 0.15 <= truth.at(drawn[seed].at).reach <= 0.62
        assert truth.base == pytest.approx(0.75, abs=0.03)


def test_each_half_has_as_many_compared_accounts_as_asked():
    frame = worlds.landmarks(World(at=15, reach=0.4, jump=0.2, slope=0.04), np.random.default_rng(1), 150)
    rows = frame.loc[frame["standing"] == "row"]
    assert (rows["cohort_month"] < "2022-01-01").sum() == 150
    assert len(rows) == 300
    assert method.thresholds.prepared(frame, method.ThresholdSearch()).earlier.size == 150
    assert frame["account_key"].is_unique
    assert (frame["events_14d"] <= frame["events_30d"]).all()
    assert (frame["events_60d"] <= frame["value"]).all()


def test_a_steps_true_effect_by_hand():
    steps = (Step("a", "planted", 0.4, 0.15, 0.3, 0.2), Step("b", "null", 0.4, 0.0, 0.3, 0.2))
    found = step_worlds.true_effects(StepWorld(steps, base=0.4), 1, 20_000)
    # no probability is clipped
    assert found == pytest.approx({"a": 0.15, "b": 0.0}, abs=1e-9)
    # base .9 on the smallest plan: with the step activation is all but certain, at most .99
    assert step_worlds.true_effects(StepWorld(steps, base=0.93), 1, 20_000)["a"] < 0.12


# --- the table ----------------------------------------------------------------------------------------------------------


def test_wilson_by_hand_and_by_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    # (.8 + .19207) / 1.38415 ± 1.96 · √(.016 + .0096036) / 1.38415
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    for hits, runs in ((0, 10), (10, 10), (471, 500), (1, 60)):
        assert wilson(hits, runs) == pytest.approx(proportion_confint(hits, runs, method="wilson"), abs=1e-9)
    assert all(np.isnan(end) for end in wilson(0, 0))


def test_a_row_holds_where_the_estimate_lies_within_and_quickly_where_its_interval_touches():
    row = share("x", "", "", [True] * 92 + [False] * 8, least=0.95)
    assert (row.runs, row.estimate) == (100, 0.92)
    assert not row.holds()
    assert row.holds(is_quick=True)
    assert not share("x", "", "", [True] * 80 + [False] * 20, least=0.95).holds(is_quick=True)
    both = share("x", "", "", [True] * 99 + [False], least=0.93, most=0.97)
    assert (both.holds(), both.holds(is_quick=True)) == (False, True)
    assert Row("x", "", "", 1, 5.0).holds()
    assert not share("x", "", "", [], least=0.0).holds()
    assert (both.bound, row.bound, row.text(0.92)) == ("93.0 % to 97.0 %", "≥ 95.0 %", "92.0 %")


def test_mean_median_and_ratio_by_hand():
    row = mean("x", "", "", [1.0, 2.0, 3.0, nan], "points")
    assert (row.runs, row.estimate) == (3, 2.0)
    assert row.high - row.estimate == pytest.approx(1.959964 / np.sqrt(3))
    assert median("x", "", "", [5.0, 1.0, 3.0, 4.0], "ratio").estimate == 3.5
    ours = share("x", "", "", [True] * 10 + [False] * 90)
    theirs = share("x", "", "", [True] * 40 + [False] * 60)
    row = ratio("x", "", "", ours, theirs, most=1 / 3)
    # √(1/10 − 1/100 + 1/40 − 1/100) = .324
    assert (row.estimate, row.holds()) == (0.25, True)
    assert row.high == pytest.approx(0.25 * np.exp(1.959964 * np.sqrt(0.105)))
    assert not ratio("x", "", "", theirs, theirs, most=1 / 3).holds()


def test_apart_wants_intervals_that_do_not_meet():
    ours, near, far = (Row("x", "", "", 9, value, value - 1, value + 1, unit="points") for value in (0.5, 2.0, -4.0))
    made = apart([ours, near, far])
    # ours at most 1.5 from 0; the second at least 1, the third at least 3
    assert [row.estimate for row in made[3:]] == [-0.5, 1.5]
    assert [row.holds() for row in made[3:]] == [False, True]


def test_table_is_written_between_its_marks(tmp_path):
    path = tmp_path / "table.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    markdown(path, [share("few", "what", "150", [True], least=0.9)], is_quick=False, day="2025-01-01", seconds=12.4, jobs=2)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "2025-01-01, `make prove`, 12 s with 2 processes." in text
    assert "| few | what | 150 | 1 | 100.0 % | 20.7 % to 100.0 % | ≥ 90.0 % | pass |" in text
    path.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="found no"):
        markdown(path, [], is_quick=True, day="", seconds=0, jobs=1)


def test_rows_of_a_line_take_the_place_of_its_rows(tmp_path):
    path = tmp_path / "table.md"
    rows = [share(line, f"was {line}", "150", [True]) for line in ("one", "two", "two", "three")]
    markdown(path, rows, is_quick=False, day="2025-01-01", seconds=12.4, jobs=2)
    again = [share("two", "is two", "150", [False])]
    markdown(path, again, is_quick=False, day="2025-01-02", seconds=1, jobs=2, is_part=True)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[1] == "2025-01-01, `make prove`, 12 s with 2 processes. Rows of two again: 2025-01-02."
    assert [line.split(" | ")[1] for line in lines[5:-1]] == ["was one", "is two", "was three"]
    with pytest.raises(ValueError, match="no row of `four`"):
        markdown(path, [share("four", "new", "150", [True])], is_quick=False, day="", seconds=1, jobs=1, is_part=True)
    assert path.read_text(encoding="utf-8").splitlines() == lines


@pytest.mark.parametrize(("hits", "code"), [(9, 1), (10, 0)])
def test_the_command_fails_with_a_row(monkeypatch, hits, code, tmp_path):
    def jobs(*, is_quick):
        return [] if is_quick else [Job(list, ([{"hit": number < hits} for number in range(10)],))]

    def rows(records):
        return [share("one", "hits", "10", [record["hit"] for record in records], least=0.95)]

    line = Line("one", jobs, rows)
    monkeypatch.setattr(command, "LINES", (line,))
    assert command.main(["--jobs", "1", "--write", str(tmp_path / "table.md")]) == code
    assert ("FAIL" in (tmp_path / "table.md").read_text(encoding="utf-8")) == bool(code)


def test_a_part_of_the_table_is_not_written(tmp_path):
    with pytest.raises(SystemExit):
        command.main(["--every", "2", "--write", str(tmp_path / "table.md")])
    assert not (tmp_path / "table.md").exists()


def test_every_line_has_less_to_do_quickly():
    assert len({line.name for line in LINES}) == len(LINES)
    for line in LINES:
        assert len(line.jobs(is_quick=True)) <= len(line.jobs(is_quick=False))


# --- a broken method fails ----------------------------------------------------------------------------------------------


def test_resamples_of_all_accounts_miss_a_jump_among_few():
    held, held_by_all = 0, 0
    for seed in range(80):
        rng = np.random.default_rng([seed, 5])
        world = worlds.planted(rng, jump=0.2)
        search = method.thresholds.prepared(worlds.landmarks(world, rng, 150), method.ThresholdSearch()).search
        found = stability(search, 200, 0)
        held += found.low <= world.at <= found.high
        picks = search.picks(draws(150, 200, 0))
        low, high = np.nanquantile(picks, [0.025, 0.975])
        held_by_all += low <= world.at <= high
    # why `stability` draws fewer
    assert held >= 0.93 * 80
    assert held_by_all < 0.93 * 80


def test_a_method_that_always_picks_5_fails(monkeypatch):
    def broken(frame, beside, resamples=500):
        effect = method.thresholds.effect(method.thresholds.Rows.of(frame.loc[frame["standing"] == "row"]), 5.0)
        row = {**vars(effect), "pick": 5.0, "pick_low": 5.0, "pick_high": 5.0, "picked_share": 1.0, "is_signal": True}
        return method.Found(row, [5.0], effect)

    assert not broken_rows(planted.LINE, planted.run("jump20", 1, {1400: 4}, 20))
    monkeypatch.setattr(method, "threshold", broken)
    failed = broken_rows(planted.LINE, planted.run("jump20", 1, {1400: 4}, 20))
    assert "pick within ± 15 % of a 20-point jump" in failed
    assert "stability interval of the pick holds the jump" in failed


def test_a_gap_without_adjustment_fails(monkeypatch):
    told = method.threshold

    def crude(frame, beside, resamples=500):
        found = told(frame, beside, resamples)
        ends = {"difference_low": "crude_difference_low", "difference_high": "crude_difference_high"}
        row = found.row | {end: found.row[other] for end, other in ends.items()}
        return replace(found, row=row, beside=replace(found.beside, **{end: row[other] for end, other in ends.items()}))

    monkeypatch.setattr(method, "threshold", crude)
    failed = broken_rows(planted.LINE, planted.run("jump20", 1, {5000: 8}, 20))
    assert "gap at the picked value (Mantel–Haenszel, Sato) holds the truth, every expected cell ≥ 10" in failed


def _mixed():
    return mixed.run(1, 1, population=20_000) + mixed.run(1, 1, intent="latent", population=20_000)


def test_a_method_that_keeps_every_step_fails(monkeypatch):
    told = method.steps
    assert not broken_rows(mixed.LINE, _mixed())
    monkeypatch.setattr(method, "steps", lambda frame, names: told(frame, names).assign(verdict="keep"))
    failed = broken_rows(mixed.LINE, _mixed())
    assert {"of the steps kept, planted null", "the former over the latter"} <= set(failed)
    failed = broken_rows(nothing.LINE, nothing.steps(1, 1, (1400,)))
    assert "worlds with any step `keep`, only plan and size move anything" in failed


def test_a_method_that_always_finds_a_signal_fails(monkeypatch):
    told = method.threshold

    def bold(frame, beside, resamples=500):
        found = told(frame, beside, resamples)
        return replace(found, row=found.row | {"is_signal": True, "trust": "statistical", "derived": found.row["pick"]})

    monkeypatch.setattr(method, "threshold", bold)
    failed = broken_rows(nothing.LINE, nothing.thresholds(1, 3, (700,)) + nothing.small(1, 3))
    assert len([what for what in failed if what.startswith(("`auto`", "300 accounts"))]) == 3


# --- the others ---------------------------------------------------------------------------------------------------------


def test_compass_by_hand():
    # within 7 days 50 did it once: 40 of them stay, 20 of the other 50 do; within 1 day nobody
    count = np.repeat([1, 0], 50)
    retained = np.concatenate([np.arange(50) < 40, np.arange(50) < 20])
    cell = naive.best_cell({1: np.zeros(100, dtype=np.int64), 7: count}, retained)
    assert (cell.days, cell.count, cell.gap, cell.is_signal) == (7, 1, pytest.approx(0.4), True)
    assert cell.phi == pytest.approx(0.408248, abs=1e-6)
    # at most 2 times are tried, and a correlation below 0 is no signal
    down = naive.best_cell({7: 3 * count}, ~retained, most=2)
    assert (down.count, down.is_signal) == (1, False)
    assert naive.best_cell({7: count}, np.ones(100, dtype=bool)).days == 0


def test_posthog_watches_converters_until_they_convert():
    # 3 convert on day 5; one had done it by day 2, two do it on day 8, after it; 4 do not convert, 3 of them do it on day 40
    done = np.array([2.0, 8.0, 8.0, 40.0, 40.0, 40.0, inf])
    converted = np.array([5.0, 5.0, 5.0, inf, inf, inf, inf])
    found = naive.correlation(done, converted, 90)
    # 1 added to each cell: 2 · 2 over 4 · 3
    assert found.odds == pytest.approx(4 / 12)
    assert found.gap == pytest.approx(1 / 4 - 2 / 3)
    assert not found.is_signal


def test_observation_set_misses_who_leaves_early_and_keeps_who_is_not_yet_seen_to_leave():
    frame = pd.DataFrame(
        {
            "account_key": [1, 2, 3, 4],
            # 1 leaves within the first period, 2 after two, 3 would leave on day 120 but is watched for 95, 4 stays
            "leaving_day": [20.0, 70.0, 120.0, nan],
            "age": [inf, inf, 95.0, inf],
        }
    )
    seen = naive.observations(frame)
    assert 1 not in set(seen["account_key"])
    assert seen.loc[seen["account_key"] == 2, "churned"].tolist() == [True, True]
    assert seen.loc[seen["account_key"] == 3, "churned"].tolist() == [False, False, False]
    assert seen.loc[seen["account_key"] == 4, "day"].tolist() == [30, 60, 90]


def test_the_comparator_equals_the_marginal_effect_of_plan_and_size_alone():
    from milestones_dagster.evidence.logistic import average_marginal_effect
    from milestones_dagster.evidence.setup_steps import landmark_rows

    world = step_worlds.mixed(np.random.default_rng(4), intent="latent")
    frame = step_worlds.company(world, np.random.default_rng(5), 3000).frame
    told = [step.name for step in world.steps if step.role in {"planted", "null"}]
    frame = frame.loc[frame["step"].isin(told)]
    rows = landmark_rows(frame, told, 14)
    effects = [average_marginal_effect(rows.done[:, place], rows.reached, [rows.plan, rows.size], []) for place in range(len(told))]
    kept = kept_by_plan_and_size(frame, told)
    # every p is far below .05, so that the bound alone decides
    assert max(effect.p for effect in effects) < 0.01
    assert kept == {name: effect.lower >= 0.01 for name, effect in zip(told, effects, strict=True)}


def test_others_are_beside_ours_in_one_table():
    records = beside.run("planted", 1, 3) + beside.run("confounded", 2, 3) + beside.run("null", 3, 3)
    by_name = {record["method"] for record in records}
    assert by_name == {"ours", "Compass", "Signal", "fight-churn"}
    gold = [record for record in records if record["method"] == "fight-churn" and record["kind"] == "planted"]
    ours = [record for record in records if record["method"] == "ours" and record["kind"] == "planted"]
    assert min(record["missing"] for record in gold) > 0.05
    assert {record["missing"] for record in ours} == {0.0}


@pytest.mark.skipif(not oracles.PATH.exists(), reason="the shared oracles are not here")
def test_anti_oracles_are_refused_when_they_come_true(monkeypatch):
    import json

    cases = {case["id"]: case for case in json.loads(oracles.PATH.read_text(encoding="utf-8"))["cases"]}
    assert set(oracles.CASES) == set(cases)
    assert oracles.CASES["T20"](cases["T20"]) <= cases["T20"]["tolerance"]
    # a company in which everybody is an entrant: the two denominators agree, and the case says so
    everybody = {customer: [(day, 1) for day, _ in orders] for customer, orders in oracles.ORDERS.items()}
    monkeypatch.setattr(oracles, "ORDERS", everybody)
    assert oracles.CASES["T20"](cases["T20"]) > cases["T20"]["tolerance"]
