"""The framework review and its versions through the graph: what is compared, what follows, and what is kept of the past.

Put here how a company's files become the review's rows. Keep out the statistics (`tests/unit/test_evidence_framework_review.py`).

Account i starts on 5 January or 5 February 2025 (720 of each in turn) with i modulo 6 conversations, resolves as many in every whole
month on one seat, and stays or leaves as in `test_threshold_auto_world`. As of 2025-06-01 every outcome of a month after a landmark of a
month is known.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scenario import Made, made, made_up_to, merged
from test_threshold_auto_world import company

from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared, Session

ADOPTED: dict[str, Any] = {"activation": {"threshold": 3}, "usage": {"threshold": 3}}
TABLES = ("framework_review", "framework_watch", "framework_versions")


def fades(value: int, number: int) -> bool:
    """90 of 100 stay from 3 on, 50 below."""
    return number % 10 < (9 if value >= 3 else 5)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    framework = merged(ADOPTED, {"review": {"adopted_on": "2025-03-01"}})
    with made_up_to(company(1440, fades, framework), tmp_path_factory.mktemp("reviewed"), *TABLES) as found:
        yield found


def test_the_reference_lies_before_the_day_of_adoption_and_the_rows_since_after_it(reviewed: Made) -> None:
    row = reviewed.row("framework_review", milestone="activation")
    # landmarks: 5 February, 720 accounts of January's start; 5 March, 720 of February's
    assert (row["reference_accounts"], row["accounts"]) == (720, 720)
    assert str(row["adopted_at"]) == "2025-03-01 00:00:00"
    assert str(row["since_from"]) == "2025-03-05 00:00:00"
    assert row["gap"] == pytest.approx(0.4)
    assert row["reference_gap"] == pytest.approx(0.4)
    assert (row["threshold"], row["outcome"], row["trust"]) == (3, "retention", "mixed")


def test_a_framework_that_holds_is_kept_and_one_cohort_is_too_little_for_another_threshold(reviewed: Made) -> None:
    row = reviewed.row("framework_review", milestone="activation")
    assert (row["proposal"], row["is_weakened"], row["is_retune"]) == ("keep", False, False)
    assert row["reason"].startswith("Keep: activation goes with staying by +40.0 points")
    # all landmarks since lie in March: there is no later half of whole months
    assert (row["pick"], row["later_accounts"], row["gain_p"]) == (None, 0, None)
    # nobody uses two channels, and nobody is set up
    assert {reviewed.row("framework_review", milestone=name)["proposal"] for name in ("setup", "maturity")} == {"cannot tell"}


def test_every_row_is_of_the_fingerprint_that_made_it(reviewed: Made) -> None:
    fingerprint = reviewed.session.config.fingerprint
    for name in TABLES:
        assert {row["version"] for row in reviewed.rows(name)} == {fingerprint}


def test_features_are_watched_on_one_row_per_account_of_the_same_age(reviewed: Made) -> None:
    watched = reviewed.rows("framework_watch")
    # usage has landmarks at the ends of March and April, and so a pick
    assert {(row["kind"], row["subject"]) for row in watched if row["kind"] == "pick"} == {("pick", "usage")}
    chat = reviewed.row("framework_watch", kind="adoption", subject="chat_days")
    # accounts that still pay two months after their start: at 1 April, or 1 May
    assert chat["reference_accounts"] + chat["accounts"] > 0
    assert (chat["value"], chat["is_watched"]) in {(0.0, False), (None, False)}
    judged = reviewed.row("framework_watch", kind="feature_verdict", subject="chat_days")
    assert judged["is_watched"] is False
    assert {judged["reference_verdict"], judged["verdict"]} <= {"niche", None}
    assert {row["subject"] for row in watched if row["kind"] == "slope"} == {"setup", "activation", "usage", "maturity"}


def test_steps_that_nobody_does_are_judged_on_either_side_of_the_day_of_adoption(reviewed: Made) -> None:
    steps = [row for row in reviewed.rows("framework_watch") if row["kind"] == "step_verdict"]
    # the landmarks of 14 days are all before it
    landmarks = {str(row["observed_at"]) for row in reviewed.rows("setup_step_landmarks") if row["landmark_days"] == 14}
    assert landmarks == {"2025-01-19 00:00:00", "2025-02-19 00:00:00"}
    # half of the accounts have 3 conversations by then, and are activated before
    assert [(row["reference_accounts"], row["accounts"]) for row in steps] == [(720, 0)] * 3
    assert {(row["reference_verdict"], row["verdict"], row["is_watched"]) for row in steps} == {("niche", "interview", False)}


def test_a_refused_ranking_leaves_the_list_standing(reviewed: Made) -> None:
    reviewed.session.make("feature_adoption")
    assert reviewed.session.make("feature_importance").state == "refused"
    assert "feature_importance" not in reviewed.session.declared.tables["framework_watch"].dependencies
    auc = reviewed.row("framework_watch", kind="auc")
    # who stays is told by conversations, which no feature counts
    assert auc["value_low"] < 0.5 < auc["value_high"] < 0.6
    assert auc["is_watched"]
    # nobody leaves within a month of a day before March, so that there is nothing to tell
    leavers = "SELECT COUNT(*) FROM evidence.feature_matrix WHERE observed_at < '2025-03-01' AND NOT retained"
    assert reviewed.session.warehouse.rows(leavers) == [(0,)]
    assert (auc["reference_accounts"], auc["reference"], auc["difference"]) == (1440, None, None)
    assert {row["verdict"] for row in reviewed.rows("framework_watch") if row["kind"] == "auc"} == {None}


# --- versions -------------------------------------------------------------------------------------------------------


def test_versions_keep_what_was_in_force_before(tmp_path: Path) -> None:
    world = company(24, fades, merged(ADOPTED, {}))
    config = world.write(tmp_path)

    def versions(as_of: str | None = None) -> list[tuple[str, float, str, str, bool]]:
        with made(config, as_of=as_of, tables=()) as found:
            for name in ("thresholds_in_force", "framework_versions"):
                assert found.session.make(name).state in {"made", "unchanged"}
            rows = found.rows("framework_versions", milestone="activation")
            assert len({row["milestone"] for row in found.rows("framework_versions")}) == 3
        return [
            (row["version"][:8], row["value"], f"{row['first_as_of']:%m-%d}", f"{row['last_as_of']:%m-%d}", row["is_current"])
            for row in rows
        ]

    first = versions("2025-03-01")
    assert [row[1:] for row in first] == [(3.0, "03-01", "03-01", True)]
    assert versions("2025-03-01") == first
    assert [row[1:] for row in versions("2025-04-01")] == [(3.0, "03-01", "04-01", True)]
    text = (config / "framework.yaml").read_text(encoding="utf-8")
    (config / "framework.yaml").write_text(text.replace("threshold: 3", "threshold: 5", 1), encoding="utf-8")
    changed = versions("2025-05-01")
    assert [row[1:] for row in changed] == [(3.0, "03-01", "04-01", False), (5.0, "05-01", "05-01", True)]
    # another edit, which leaves every threshold as it is, is another version all the same
    text = (config / "framework.yaml").read_text(encoding="utf-8")
    (config / "framework.yaml").write_text(text.replace("ubiquitous: 0.8", "ubiquitous: 0.7"), encoding="utf-8")
    assert [row[1:] for row in versions("2025-05-11")][1:] == [(5.0, "05-01", "05-01", False), (5.0, "05-11", "05-11", True)]
    assert len({row[0] for row in versions("2025-05-11")}) == 3


def test_the_rows_of_a_repeated_as_of_time_replace_each_other(tmp_path: Path) -> None:
    config = company(24, fades, merged(ADOPTED, {})).write(tmp_path)
    declared = Declared.of(load_config(config))
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        session = Session(declared, connection, tmp_path / "warehouse", "test")
        session.load_events()
        for name in ("thresholds_in_force", "framework_versions"):
            session.make(name)
        connection.execute("UPDATE milestones.framework_versions SET value = 7 WHERE milestone = 'usage'")
        connection.execute("DELETE FROM operations.publications WHERE table_name = 'framework_versions'")
        session.make("framework_versions")
        found = connection.execute("SELECT value FROM milestones.framework_versions WHERE milestone = 'usage'").fetchall()
    assert found == [(3.0,)]
