"""Evidence as of the last closed month: it stands still within a month, and is what a rebuild and a run as of the month's start make.

Put here what holds of all evidence tables together over the days. Keep out what a value must be.
"""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from daily_company import AREA, Company, Digests
from scenario import EVENT_TYPES, at, event, made, write_parquet

from milestones_dagster.orchestration.planning import plan_of
from milestones_dagster.warehouse import changes, operations
from milestones_dagster.warehouse.observation import closed_months_end
from milestones_dagster.warehouse.reading import columns_read
from milestones_dagster.warehouse.table import Relation, load_tables

# shown as of now: an account's months and features up to the running one, of which the statistics read the closed months alone
AS_OF_NOW = {"area_months", "area_success", "feature_matrix"}
# the ranking needs more accounts than there are; framework_versions tells when runs were made
LEFT_OUT = {"raw_events", "feature_importance", "framework_versions"}
TABLES = load_tables(config_relations=None, auto=("activation", "usage", "areas"))
WANTED = [name for name in TABLES if name not in LEFT_OUT]
EVIDENCE = [
    name for name, table in TABLES.items() if table.schema == "evidence" and name not in {*AS_OF_NOW, *LEFT_OUT}
] + ["retention_by_activation", "thresholds_in_force"]  # fmt: skip
COMPUTED = [name for name in EVIDENCE if TABLES[name].then is not None]
SEARCH = {"threshold_search": {"resamples": 20, "permutations": 20}}
AUTO = {
    "activation": {"threshold": "auto", "adopted_threshold": 2},
    "usage": {"threshold": "auto", "adopted_threshold": 2},
    "areas": [AREA | {"threshold": "auto"}],
}


def of_evidence(found: Digests) -> Digests:
    return {name: found[name] for name in EVIDENCE}


def states(company: Company) -> Mapping[str, int]:
    """The state of every evidence table; and that all that is published is as of the newest time, and up to date."""
    with made(company.config, tables=()) as result:
        warehouse = result.session.warehouse
        published = operations.publications(warehouse)
        assert {published[name].as_of for name in WANTED if TABLES[name].by != "day"} == {result.session.observation.as_of}
        planned = {entry.table: entry.state for entry in plan_of(result.session).tables}
        assert {name for name in WANTED if planned[name] != "up to date"} == set()
        found = changes.versions(warehouse)
        return {name: found[name] for name in EVIDENCE}


def test_evidence_stands_still_until_the_month_closes_or_its_past_changes(tmp_path):
    company = Company(tmp_path, "2025-05-27", WANTED, **SEARCH, **AUTO)
    _, before = company.run()
    assert before["activation_landmarks"][0] > 0
    first = states(company)

    # another day, on which outcomes would become known: no row of evidence differs, and no statistic is computed
    company.deliver("2025-05-28")
    outcomes = company.assert_as_rebuilt()
    _, after = company.run()
    assert of_evidence(after) == of_evidence(before)
    assert {name: outcomes[name].state for name in COMPUTED} == dict.fromkeys(COMPUTED, "unchanged")
    assert states(company) == first
    # without a correction in between, it is what was made as of the month's start
    assert of_evidence(company.rebuilt(as_of="2025-05-01")) == of_evidence(before)

    # the month's turn: all that has an outcome in April's days is made again
    company.deliver("2025-06-01")
    outcomes = company.assert_as_rebuilt()
    turned = {name for name, number in states(company).items() if number != first[name]}
    assert turned >= {"activation_landmarks", "month_landmarks", "usage_landmarks", "chain_landmarks", "activation_threshold"}
    second = states(company)

    # a late row of a closed month: what counts it is made again at once, the rest is not
    with made(company.config, tables=()) as result:
        landmark = result.rows("activation_landmarks", standing="row")[0]
        name = landmark["account_id"]
        began = result.row("account_tenure", account_id=name)["tenure_start"]
    late = event(name, "started", str(began + timedelta(hours=1)), user=f"{name}-u0") | {"event_id": "late-start"}
    write_parquet(company.files / "late.parquet", [late], EVENT_TYPES)
    company.deliver("2025-06-02")
    company.assert_as_rebuilt()
    with made(company.config, tables=()) as result:
        assert result.row("activation_landmarks", account_id=name)["value"] == landmark["value"] + 1
    moved = {name for name, number in states(company).items() if number != second[name]}
    assert moved >= {"activation_landmarks", "activation_threshold_curve"}
    assert moved.isdisjoint({"win_backs", "revenue_retention", "usage_landmarks", "usage_threshold"})


def test_evidence_reads_no_other_time_than_the_end_of_the_last_closed_month():
    known = {"as_of", "as_of_date", "evidence_as_of", "evidence_date", "watermark", "fingerprint"}
    read = {name: columns_read(TABLES[name].select, Relation("run", "observation"), known) for name in EVIDENCE}
    assert read["activation_landmarks"] == {"evidence_as_of"}
    assert set().union(*read.values()) == {"evidence_as_of", "evidence_date"}


@pytest.mark.parametrize(
    ("zone", "as_of", "evidence_as_of"),
    [
        ("UTC", "2025-04-29", "2025-04-01"),
        # a month that has just closed is evidence at once
        ("UTC", "2025-04-01", "2025-04-01"),
        # midnight in Berlin is two hours before that of UTC in summer: at 2025-03-31 22:00 UTC April has begun there
        ("Europe/Berlin", "2025-04-01", "2025-03-31 22:00"),
        ("Europe/Berlin", "2025-11-02", "2025-10-31 23:00"),
        # at midnight UTC New York is still in March
        ("America/New_York", "2025-04-01", "2025-03-01 05:00"),
        ("America/New_York", "2025-04-02", "2025-04-01 04:00"),
    ],
)
def test_the_end_of_the_last_closed_month_is_midnight_of_the_first_in_the_reporting_zone(
    zone: str, as_of: str, evidence_as_of: str
) -> None:
    found = closed_months_end(zone, at(as_of))[1]
    assert found == at(evidence_as_of)
    assert found <= at(as_of)
