"""`threshold: auto` through the graph: which value is in force, why, and what follows where there is none.

Put here what becomes of a company whose thresholds are left to the data. Keep out how a value is derived
(`tests/unit/test_evidence_thresholds.py`) and who is a row of the comparison (`test_threshold_world.py`).

Account i of the company starts on 5 January (the even sixes) or 5 February, starts i modulo 6 conversations in its first days and
resolves as many in every whole month, on one seat. Its landmark is a month after its start, the horizon a month. Who leaves does so
a day before the horizon's end, having paid the month before in full: February, or March. As of 2025-06-01 all of it is known. Of an
account that began in January usage draws February or March.
"""

from collections.abc import Callable, Iterator
from datetime import date
from hashlib import md5
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
import yaml
from deliveries import run
from rich.console import Console
from scenario import Made, World, event, made, made_up_to, merged, subscription, write_yaml

from milestones_dagster.cli_headline import print_headline
from milestones_dagster.evidence import placebo, thresholds
from milestones_dagster.orchestration.planning import plan_of
from milestones_dagster.report.headline import read_headline
from milestones_dagster.wiring import build_defs

JUMP = 3
MONTHS = {1: ("2025-02", "2025-03"), 2: ("2025-03",)}
TABLES = (
    "milestone_summary",
    "setup_step_evidence",
    "retention_by_activation",
    "activation_threshold_curve",
)
AUTO: dict[str, Any] = {"activation": {"threshold": "auto"}, "usage": {"threshold": "auto"}}
TIMES = {"activation": {"window": "1 month"}, "outcomes": {"retention": {"horizon": "1 month"}}}


def company(accounts: int, stays: Callable[[int, int], bool], framework: dict[str, Any]) -> World:
    """The company above; `stays` is told the value of an account and its number among those of that value."""
    events, rows = [], []
    for number in range(accounts):
        account, value = f"a{number:04}", number % 6
        start = 1 + (number // 6) % 2
        events += [event(account, "started", f"2025-0{start}-06 {hour:02}:00") for hour in range(value)]
        for month in MONTHS[start]:
            events += [
                event(account, "resolved", f"{month}-03 {hour:02}:00", conversation_id=f"{account} {month} {hour}")
                for hour in range(value)
            ]
        end = None if stays(value, number // 12) else f"2025-0{start + 2}-04"
        rows.append(subscription(account, f"2025-0{start}-05", end, seats=1.0))
    return World(events, last_day="2025-05-31", subscriptions=rows, framework=merged(TIMES, framework))


def compared(accounts: int, stays: Callable[[int, int], bool]) -> list[tuple[int, int, bool]]:
    """First month, value and staying of the accounts that paid for the month drawn of them, which January's leavers did not for March."""
    found = []
    for number in range(accounts):
        value, start = number % 6, 1 + (number // 6) % 2
        lots = {md5(f"milestones usage month a{number:04} {month}-01".encode()).hexdigest(): month for month in MONTHS[start]}  # noqa: S324 - no secret
        is_staying = stays(value, number // 12)
        if is_staying or lots[min(lots)] == MONTHS[start][0]:
            found.append((start, value, is_staying))
    return found


def with_jump(value: int, number: int) -> bool:
    """90 of 100 stay from the jump on, 50 below it."""
    return number % 10 < (9 if value >= JUMP else 5)


def without(_: int, number: int) -> bool:
    """70 of 100 stay, whatever the value."""
    return number % 10 < 7


@pytest.fixture(scope="module")
def signal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    # usage has an adopted value beside, activation has none
    framework = merged(AUTO, {"usage": {"adopted_threshold": 5}})
    with made_up_to(company(720, with_jump, framework), tmp_path_factory.mktemp("signal"), *TABLES) as found:
        yield found


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    framework = merged(AUTO, {"usage": {"adopted_threshold": 4}})
    with made_up_to(company(720, without, framework), tmp_path_factory.mktemp("silent"), *TABLES) as found:
        yield found


# --- a signal -------------------------------------------------------------------------------------------------------


def test_auto_takes_the_value_where_retention_jumps(signal: Made) -> None:
    for milestone in ("activation", "usage"):
        row = signal.row("thresholds_in_force", milestone=milestone)
        assert (row["value"], row["origin"], row["derived"], row["reason"]) == (JUMP, "derived", JUMP, None)
        assert (row["is_auto"], row["trust"]) == (True, "mixed")
        # January chose it, February tells what it is worth: .9 less .5
        assert (row["earlier_to_month"], row["later_accounts"]) == (date(2025, 1, 1), 360)
        assert row["difference"] == pytest.approx(0.4)
        assert "cohorts up to 2025-01" in row["note"]


def test_the_adopted_value_stands_beside_with_whom_the_difference_moves(signal: Made) -> None:
    usage = signal.row("thresholds_in_force", milestone="usage")
    # values 3 and 4 lie between: about a third
    values = [value for _, value, _ in compared(720, with_jump)]
    between = sum(value in {3, 4} for value in values)
    assert (usage["adopted"], usage["moved_accounts"], usage["moved_towards"]) == (5.0, between, "reached")
    assert usage["moved_share"] == pytest.approx(between / len(values))
    assert usage["adopted_difference"] < usage["difference"]
    activation = signal.row("thresholds_in_force", milestone="activation")
    assert (activation["adopted"], activation["moved_accounts"], activation["moved_towards"]) == (None, 0, None)


def test_maturity_is_a_number_of_categories_beside_them(signal: Made) -> None:
    row = signal.row("thresholds_in_force", milestone="maturity")
    assert (row["value"], row["origin"], row["is_auto"], row["derived"], row["earlier_to_month"]) == (
        1,
        "adopted",
        False,
        None,
        None,
    )


def test_whatever_counts_who_reached_a_milestone_counts_by_the_derived_value(signal: Made) -> None:
    cohort = signal.rows("activation_cohort")
    assert {row["threshold"] for row in cohort} == {JUMP}
    assert all(row["activated"] == (row["activation_events"] >= JUMP) for row in cohort)
    march = signal.rows("usage_ratio", month="2025-03-01", is_partial="False")
    assert {row["threshold"] for row in march} == {JUMP}
    assert all(row["reached"] == row["reached_at_close"] == (row["resolved"] >= JUMP) for row in march)
    share = signal.row("milestone_summary", month="2025-04-01", segment_kind="all", milestone="activation")
    assert (share["reached"], share["accounts"], share["share"]) == (360, 720, 0.5)


def test_setup_steps_are_measured_on_the_accounts_that_did_not_choose_the_threshold(signal: Made) -> None:
    row = signal.row("setup_step_evidence", step="install")
    assert row["accounts"] + row["activated_before"] + row["left_before"] == 360


# --- no signal ------------------------------------------------------------------------------------------------------


def test_without_a_signal_the_adopted_value_is_kept_and_it_says_why(silent: Made) -> None:
    row = silent.row("thresholds_in_force", milestone="usage")
    assert (row["value"], row["origin"], row["derived"], row["earlier_to_month"]) == (4.0, "kept", None, None)
    assert row["reason"] in {"p above .05", "adjusted difference not above 0", "no candidate goes with staying"}
    assert row["note"] == f"The data derive none ({row['reason']}): the adopted value is kept."
    assert {row["threshold"] for row in silent.rows("usage_ratio")} == {4.0}


def test_without_a_signal_and_an_adopted_value_nobody_counts_as_having_reached_it(silent: Made) -> None:
    row = silent.row("thresholds_in_force", milestone="activation")
    assert (row["value"], row["origin"]) == (None, "none")
    assert row["note"].endswith("and the config has adopted none: nobody counts as having reached it.")
    cohort = silent.rows("activation_cohort")
    assert {(row["threshold"], row["activated"], row["activated_at"]) for row in cohort} == {(None, None, None)}
    # the counts are known all the same
    assert sum(row["activation_events"] for row in cohort) == 120 * (0 + 1 + 2 + 3 + 4 + 5)
    assert not any(row["is_activated"] for row in silent.rows("customer_milestones"))


def test_a_milestone_without_a_threshold_has_no_rate(silent: Made) -> None:
    shown = {row["milestone"] for row in silent.rows("milestone_summary", month="2025-04-01", segment_kind="all")}
    assert shown == {"setup", "usage", "maturity", *(f"stage {number}" for number in range(5))}
    steps = silent.rows("setup_step_evidence")
    assert {(row["accounts"], row["verdict"]) for row in steps} == {(0, "interview")}
    assert {row["note"] for row in steps} == {
        "No account's activation window has elapsed, or it ends before the landmark, or no threshold is in force."
    }


# --- a placebo that finds too much ----------------------------------------------------------------------------------


def test_evidence_that_is_not_calibrated_changes_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def everywhere(_: object, outcomes: np.ndarray) -> np.ndarray:
        return np.ones(len(outcomes), dtype=np.bool_)

    monkeypatch.setattr(placebo, "threshold_signals", everywhere)
    framework = merged(AUTO, {"usage": {"adopted_threshold": 5}})
    with made_up_to(company(720, with_jump, framework), tmp_path, *SHOWN) as found:
        warehouse = found.session.config.warehouse_path
        # the evidence itself has a signal
        assert found.row("usage_threshold")["derived"] == JUMP
        assert found.row("usage_placebo")["verdict"] == "not calibrated"
        rows = {row["milestone"]: row for row in found.rows("thresholds_in_force")}
        assert {name: (row["value"], row["origin"], row["derived"]) for name, row in rows.items() if row["is_auto"]} == {
            "activation": (None, "none", None),
            "usage": (5.0, "kept", None),
        }
        assert {rows[name]["reason"] for name in ("activation", "usage")} == {"not calibrated"}
        assert rows["usage"]["note"] == "The data derive none (not calibrated): the adopted value is kept."
        assert {row["threshold"] for row in found.rows("usage_ratio")} == {5.0}
    assert printed(warehouse)["activation"].endswith("nothing adopted, nothing derived: not calibrated")


def test_on_permuted_outcomes_nothing_is_found_and_steps_are_judged_beside_the_thresholds(tmp_path: Path) -> None:
    with made_up_to(company(720, with_jump, AUTO), tmp_path, "evidence_placebo") as found:
        rows = {row["evidence"]: row for row in found.rows("evidence_placebo") if row["evidence"] != "areas"}
        assert {name: (row["accounts"], row["permutations"], row["verdict"]) for name, row in rows.items()} == {
            "activation": (720, 200, "calibrated"),
            "usage": (len(compared(720, with_jump)), 200, "calibrated"),
            # February chose nothing, and half of its accounts had activated before the landmark
            "setup_steps": (180, 200, "calibrated"),
        }
        assert rows["activation"] == found.row("activation_placebo")


# --- areas ----------------------------------------------------------------------------------------------------------

AREAS: dict[str, Any] = {
    "areas": [
        {"name": "answers", "title": "Resolved conversations", "measure": "count", "events": ["resolved"], "threshold": "auto"},
        {"name": "chats", "title": "Chats", "measure": "days", "events": ["chat"], "threshold": 2},
    ]
}


def of_area(found: Made, area: str) -> set[tuple[float | None, str, str | None]]:
    rows = found.rows("area_success", area=area)
    return {(row["threshold"], row["threshold_origin"], row["reason"]) for row in rows}


def test_an_area_left_to_the_data_takes_the_value_where_retention_jumps(tmp_path: Path) -> None:
    with made_up_to(company(720, with_jump, AREAS), tmp_path, "area_success", "evidence_placebo", "area_threshold_curve") as found:
        placebo_row = found.row("evidence_placebo", evidence="areas")
        rows = compared(720, with_jump)
        accounts = len(rows)
        assert (placebo_row["accounts"], placebo_row["permutations"], placebo_row["verdict"]) == (accounts, 200, "calibrated")
        assert placebo_row == found.row("area_placebo")
        assert of_area(found, "answers") == {(JUMP, "derived", None)}
        assert of_area(found, "chats") == {(2.0, "adopted", None)}
        # nobody chats: no candidate, no curve. January's accounts choose among 1 to 5; all 360 of February are compared
        curve = found.rows("area_threshold_curve")
        assert {(row["area"], row["position"], row["accounts"]) for row in curve} == {("answers", 1, accounts - 360)}
        assert [(row["value"], row["is_pick"]) for row in curve] == [
            (0, False),
            (1, False),
            (2, False),
            (3, True),
            (4, False),
            (5, False),
        ]
        bands = [[stayed for _, value, stayed in rows if value == band] for band in range(6)]
        assert [row["band_accounts"] for row in curve] == [len(band) for band in bands]
        assert [row["band_retained_share"] for row in curve] == pytest.approx([sum(band) / len(band) for band in bands])
        chosen = [value for start, value, _ in rows if start == 1]
        above = [sum(value >= band for value in chosen) / len(chosen) for band in range(1, 6)]
        assert [row["reach"] for row in curve][1:] == pytest.approx(above)


def test_an_area_whose_evidence_is_not_calibrated_has_no_threshold_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everywhere(_: object, outcomes: list[np.ndarray]) -> np.ndarray:
        return np.ones(len(outcomes[0]), dtype=np.bool_)

    monkeypatch.setattr(placebo, "area_signals", everywhere)
    with made_up_to(company(720, with_jump, AREAS), tmp_path, "area_success", "evidence_placebo") as found:
        assert found.row("area_thresholds", area="answers")["derived"] == JUMP
        told = found.row("evidence_placebo", evidence="areas")
        assert (told["verdict"], told["found"]) == ("not calibrated", 200)
        assert "no threshold that is left to the data follows it" in told["note"]
        assert of_area(found, "answers") == {(None, "none", "not calibrated")}
        assert {row["is_met"] for row in found.rows("area_success", area="answers")} == {None}
        # a number in the config follows no evidence
        assert of_area(found, "chats") == {(2.0, "adopted", None)}


def test_areas_with_numbers_pay_for_no_placebo(tmp_path: Path) -> None:
    numbers = {"areas": [area | {"threshold": 2} for area in AREAS["areas"]]}
    with made_up_to(company(120, with_jump, numbers), tmp_path, "area_success", "evidence_placebo", "area_thresholds") as found:
        tables = found.session.declared.tables
        assert (tables["area_success"].dependencies, tables["area_placebo"].dependencies) == (("area_months",), ("account_tenure",))
        # the landmarks are published and nothing of them is permuted
        assert len(found.rows("area_landmarks", area="answers")) == 120
        row = found.row("evidence_placebo", evidence="areas")
        assert (row["accounts"], row["permutations"], row["verdict"]) == (0, 0, "cannot tell")
        assert row["note"] == "No area's threshold is left to the data, so that nothing is permuted."
        assert of_area(found, "answers") == {(2.0, "adopted", None)}


# --- few accounts, and a config that changes ------------------------------------------------------------------------


def configured(config: Path, **milestones: dict[str, Any]) -> None:
    """Replaces the thresholds in a framework.yaml."""
    framework = yaml.safe_load((config / "framework.yaml").read_text(encoding="utf-8"))
    for name, said in milestones.items():
        kept = {key: value for key, value in framework[name].items() if "threshold" not in key}
        framework[name] = kept | said
    write_yaml(config / "framework.yaml", framework)


def needed(found: Made) -> list[str]:
    return [name for name in found.session.declared.tables if name in {*CORE, *READ}]


READ = ("activation_landmarks", "usage_landmarks", "activation_placebo", "usage_placebo")
CORE = ("activation_threshold", "usage_threshold", "thresholds_in_force", "activation_cohort", "usage_ratio", "milestone_summary")


def test_a_number_then_auto_then_the_number(tmp_path: Path) -> None:
    numbers = {"activation": {"threshold": 2}, "usage": {"threshold": 2}}
    world = company(120, with_jump, numbers)
    kept: dict[str, Any] = {}
    with made_up_to(world, tmp_path, *CORE) as found:
        config = found.session.config.dir
        assert [row["origin"] for row in found.rows("thresholds_in_force")] == ["adopted"] * 3
        # with a number the evidence is read by nobody here, though it is published
        assert found.row("thresholds_in_force", milestone="usage")["trust"] is None
        kept = {name: found.rows(name) for name in CORE}
    configured(config, activation={"threshold": "auto", "adopted_threshold": 2}, usage={"threshold": "auto"})
    with made(config, tables=[]) as found:
        planned = {entry.table: entry for entry in plan_of(found.session).tables}
        assert (planned["thresholds_in_force"].state, planned["activation_cohort"].state) == ("behind", "behind")
        for name in needed(found):
            found.session.make(name)
        rows = {row["milestone"]: row for row in found.rows("thresholds_in_force")}
        # 60 accounts in each half: interview decides nothing
        assert {name: (row["value"], row["origin"], row["trust"]) for name, row in rows.items() if row["is_auto"]} == {
            "activation": (2.0, "kept", "interview"),
            "usage": (None, "none", "interview"),
        }
        assert {rows[name]["reason"] for name in ("activation", "usage")} == {"trust is interview"}
        usage = found.rows("usage_ratio", month="2025-03-01")
        assert {(row["threshold"], row["reached"], row["reached_at_close"]) for row in usage} == {(None, False, False)}
        assert {row["reason"] for row in usage} == {"no_threshold", "not_paying", "no_seats"} & {row["reason"] for row in usage}
        assert "no_threshold" in {row["reason"] for row in usage}
        assert found.row("milestone_summary", month="2025-04-01", segment_kind="all", milestone="activation")[
            "share"
        ] == pytest.approx(80 / 120)
    configured(config, **numbers)
    with made(config, tables=[]) as found:
        for name in needed(found):
            found.session.make(name)
        assert {name: found.rows(name) for name in CORE} == kept
        again = {found.session.make(name).state for name in needed(found)}
        assert again == {"unchanged"}


def test_day_by_day_gives_what_a_rebuild_gives_and_a_moved_value_reaches_what_reads_it(tmp_path: Path) -> None:
    world = company(720, with_jump, AUTO)
    with made_up_to(world, tmp_path / "steps", *CORE, as_of="2025-04-01") as found:
        config = found.session.config.dir
        # of February nothing is known yet, so that no account is left to confirm what January chose
        assert [row["origin"] for row in found.rows("thresholds_in_force")] == ["none", "none", "adopted"]
    with made_up_to(world, tmp_path / "steps", *CORE) as found:
        assert [row["value"] for row in found.rows("thresholds_in_force")] == [JUMP, JUMP, 1.0]
        stepwise = {name: found.rows(name) for name in CORE}
    with made_up_to(world, tmp_path / "whole", *CORE) as found:
        assert {name: found.rows(name) for name in CORE} == stepwise
    framework = yaml.safe_load((config / "framework.yaml").read_text(encoding="utf-8"))
    write_yaml(
        config / "framework.yaml", framework | {"threshold_search": {"reach": [0.10, 0.40], "resamples": 50, "permutations": 50}}
    )
    with made(config, tables=[]) as found:
        # the same data and as-of time; only the search is another: no candidate at the jump, the nearest is 4
        found.session.make("activation_threshold")
        assert found.session.behind("thresholds_in_force").reason is not None
        assert found.session.behind("activation_cohort").reason is None
        found.session.make("thresholds_in_force")
        assert found.session.behind("activation_cohort").reason is not None
        assert found.session.make("activation_cohort").state == "made"
        moved = found.row("thresholds_in_force", milestone="activation")["value"]
        assert moved != JUMP
        assert {row["threshold"] for row in found.rows("activation_cohort")} == {moved}


# --- evidence that raises -------------------------------------------------------------------------------------------


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("the evidence broke")


@pytest.mark.parametrize(
    ("threshold", "is_made"),
    [({"threshold": 2}, True), ({"threshold": "auto", "adopted_threshold": 2}, False)],
)
def test_evidence_that_raises_stops_the_core_only_where_it_is_asked(
    threshold: dict[str, Any], is_made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "derived", broken)
    config = company(12, with_jump, {"activation": threshold}).write(tmp_path)
    definitions = build_defs(config)
    graph = definitions.resolve_asset_graph()
    wanted = {dg.AssetKey("activation_cohort"), dg.AssetKey("activation_threshold")}
    wanted |= set().union(*(graph.get_ancestor_asset_keys(key) for key in wanted))
    with dg.DagsterInstance.ephemeral() as instance:
        ran = run(definitions, instance, only=sorted(key.to_user_string() for key in wanted))
        failed, made_tables = set(ran.failed), set(ran.materialised())
    assert failed == {"activation_threshold"}
    assert ("activation_cohort" in made_tables) == is_made
    assert ("thresholds_in_force" in made_tables) == is_made


# --- the headline ---------------------------------------------------------------------------------------------------

SHOWN = (*CORE, "retention_by_activation", "notes", "activation_threshold_curve")


def printed(warehouse: Path) -> dict[str, str]:
    """The lines about thresholds that a run prints, by milestone, with single spaces."""
    console = Console(file=StringIO(), highlight=False, soft_wrap=True)
    print_headline(console, read_headline(warehouse))
    lines = console.file.getvalue().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("Thresholds"))
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines[first + 1 : first + 3]}


def test_the_headline_shows_adopted_and_derived_side_by_side_with_whom_the_difference_moves(tmp_path: Path) -> None:
    framework = merged(AUTO, {"usage": {"adopted_threshold": 5}, "activation": {"adopted_threshold": 3}})
    with made_up_to(company(720, with_jump, framework), tmp_path, *SHOWN) as found:
        warehouse, config = found.session.config.warehouse_path, found.session.config.dir
    values = [value for _, value, _ in compared(720, with_jump)]
    between = sum(value in {3, 4} for value in values)
    assert printed(warehouse) == {
        "activation": "3 in force (derived); adopted 3, derived 3 (trust mixed): the difference would move nobody",
        "usage": "3 in force (derived); adopted 5, derived 3 (trust mixed): the difference would move "
        f"{between} accounts ({between / len(values):.1%}) to reached",
    }
    configured(config, activation={"threshold": 2}, usage={"threshold": "auto"})
    with made(config, tables=[]) as found:
        order = [name for name in found.session.declared.tables if name in SHOWN]
        for name in [name for name in order if not name.startswith("activation_threshold")]:
            found.session.make(name)
        found.session.make("customer_milestones")
    # the evidence about activation is of the config before: it is not shown beside this one's number
    assert printed(warehouse) == {
        "activation": "2 in force (adopted); adopted 2, not measured at this time (see evidence.activation_threshold)",
        "usage": "3 in force (derived); nothing adopted, derived 3 (trust mixed)",
    }
    with made(config, tables=["activation_threshold"]) as found:
        assert found.row("thresholds_in_force", milestone="activation")["derived"] is None
    # a number in force, and what retention would derive beside it: the value 2 lies between, a sixth of all
    assert printed(warehouse)["activation"] == (
        "2 in force (adopted); adopted 2, derived 3 (trust mixed): the difference would move 120 accounts (16.7%) to not reached"
    )


def test_the_headline_says_in_words_that_no_threshold_is_in_force(tmp_path: Path) -> None:
    with made_up_to(company(120, with_jump, AUTO), tmp_path, *SHOWN) as found:
        warehouse = found.session.config.warehouse_path
    line = "none in force, nobody counts as having reached it; nothing adopted, nothing derived: trust is interview"
    assert printed(warehouse) == {"activation": line, "usage": line}
