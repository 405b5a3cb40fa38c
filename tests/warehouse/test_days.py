"""Days: a day is made from all files that touch it, left alone while they are the same, and read up to the watermark."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner
from delivering_company import Company, company, failed, january, rule_of, table_digests, two_events
from scenario import EVENT_TYPES, at, event, made, subscription, write_parquet, write_yaml

from milestones_dagster.cli import main
from milestones_dagster.warehouse import day_rows, delivered_files, operations
from milestones_dagster.warehouse.observation import AsOfError


def rows_by_day(given: Company) -> dict[str, int]:
    """Accepted rows by day, counted in the day files."""
    return {str(day): rows for day, rows in given.query("SELECT day, count(*) FROM raw.raw_events GROUP BY day ORDER BY 1")}


def watermark(given: Company, source: str = "product") -> datetime:
    with given.opened() as session:
        return session.days.plan().watermarks[source]


def loaded(folder: Path, last: int = 5, **settings) -> Company:
    """A company whose first days of January 2025, two events each, are loaded."""
    given = company(folder, **settings)
    given.deliver_days(1, last)
    given.load_unjudged()
    return given


# --- what a day is made from ----------------------------------------------------------------------------------------


def test_an_event_stands_on_the_utc_day_of_its_own_time_whatever_file_brought_it(tmp_path):
    given = company(tmp_path)
    given.deliver("2025-01-02", [event("a", "chat", "2025-01-01 23:59:59.999999"), event("a", "chat", "2025-01-02 00:00")])
    given.deliver("anything", [event("a", "chat", "2025-01-03 12:00"), event("a", "chat", "2025-01-01 00:00:00")])
    publishing = given.load()
    assert not publishing.is_refused
    assert rows_by_day(given) == {"2025-01-01": 2, "2025-01-02": 1, "2025-01-03": 1}
    assert sorted(given.day_files()) == ["2025-01-01", "2025-01-02", "2025-01-03"]
    assert watermark(given) == at("2025-01-04")


def test_equal_events_without_an_identifier_are_as_many_as_were_delivered(tmp_path):
    given = company(tmp_path)
    nameless = {**event("a", "chat", "2025-01-01 10:00"), "event_id": None}
    write_parquet(given.files / "2025-01-01.parquet", [nameless, nameless, {**nameless, "event_id": "x"}], EVENT_TYPES)
    assert not given.load().is_refused
    assert rows_by_day(given) == {"2025-01-01": 3}
    # the same file again, and under a second name, brings nothing new
    write_parquet(given.files / "2025-01-01-again.parquet", [nameless, nameless, {**nameless, "event_id": "x"}], EVENT_TYPES)
    assert not given.load().is_refused
    assert rows_by_day(given) == {"2025-01-01": 3}


def test_wildcards_in_the_name_of_the_warehouse_are_no_wildcards(tmp_path):
    folder = tmp_path / "we[i]rd*"
    folder.mkdir()
    # what the name would match as a pattern holds another company's days
    (tmp_path / "weird-one").mkdir()
    other = loaded(tmp_path / "weird-one", last=2)
    given = loaded(folder, last=3)
    assert rows_by_day(given) == {"2025-01-01": 2, "2025-01-02": 2, "2025-01-03": 2}
    assert rows_by_day(other) == {"2025-01-01": 2, "2025-01-02": 2}
    with given.opened() as session:
        assert session.make("account_event_daily").state == "made"
        assert session.warehouse.scalar("SELECT count(*) FROM staging.account_event_daily") == 6
    assert sorted(given.day_files()) == ["2025-01-01", "2025-01-02", "2025-01-03"]
    # a restated day replaces its own file
    given.deliver("2025-01-02", two_events(2)[:1])
    given.load_unjudged("second")
    assert rows_by_day(given) == {"2025-01-01": 2, "2025-01-02": 1, "2025-01-03": 2}


def test_an_unchanged_day_is_left_alone(tmp_path):
    given = loaded(tmp_path)
    files, recorded = given.day_files(), given.query("FROM operations.days ORDER BY day")
    # touched, with the same bytes
    os.utime(given.files / "2025-01-03.parquet", (1, 2_000_000_000))
    plan, outcome = given.load_unjudged("second")
    assert (plan.to_make, outcome.made) == ({}, {})
    assert given.day_files() == files
    assert given.query("FROM operations.days ORDER BY day") == recorded


def test_a_late_row_restates_just_the_day_that_it_touches(tmp_path):
    given = loaded(tmp_path)
    files = given.day_files()
    given.deliver("2025-01-06", [*two_events(6), event("b", "mail", "2025-01-03 15:00")])
    _, outcome = given.load_unjudged("second")
    # day 3: two rows and the late one; day 6: two
    assert outcome.made == {january(3): (3, 0), january(6): (2, 0)}
    now = given.day_files()
    assert {day for day in files if now[day] != files[day]} == {"2025-01-03"}
    assert {str(day) for (day,) in given.query("SELECT day FROM operations.days WHERE run_id = 'second'")} == {
        "2025-01-03",
        "2025-01-06",
    }


def test_a_restated_file_replaces_its_rows(tmp_path):
    given = loaded(tmp_path)
    given.deliver("2025-01-03", [event("b", "mail", "2025-01-03 09:00")])
    _, outcome = given.load_unjudged()
    assert outcome.made == {january(3): (1, 0)}
    assert given.query("SELECT account_id, event FROM raw.raw_events WHERE day = '2025-01-03'") == [("b", "mail")]
    assert watermark(given) == at("2025-01-06")


def test_a_file_that_comes_twice_under_another_name_adds_no_row(tmp_path):
    given = loaded(tmp_path)
    before = given.query("SELECT * EXCLUDE (file) FROM raw.raw_events ORDER BY ALL")
    (given.files / "again.parquet").write_bytes((given.files / "2025-01-03.parquet").read_bytes())
    given.load_unjudged()
    assert given.query("SELECT * EXCLUDE (file) FROM raw.raw_events ORDER BY ALL") == before
    # and one of the two may go again
    (given.files / "2025-01-03.parquet").unlink()
    given.load_unjudged()
    assert given.query("SELECT * EXCLUDE (file) FROM raw.raw_events ORDER BY ALL") == before


def test_a_file_that_moved_to_another_folder_makes_no_day_again(tmp_path):
    given = loaded(tmp_path)
    (given.files / "archive").mkdir()
    (given.files / "2025-01-02.parquet").rename(given.files / "archive" / "2025-01-02.parquet")
    plan, outcome = given.load_unjudged()
    assert (plan.to_make, plan.blocked, outcome.made) == ({}, {}, {})
    assert given.query("SELECT count(*) FROM operations.source_files") == [(5,)]


def test_a_day_whose_file_was_removed_stands_until_it_would_have_to_be_made_again(tmp_path):
    given = loaded(tmp_path)
    kept = (given.files / "2025-01-03.parquet").read_bytes()
    (given.files / "2025-01-03.parquet").unlink()
    plan, _ = given.load_unjudged()
    assert (plan.to_make, plan.blocked) == ({}, {})
    assert rows_by_day(given)["2025-01-03"] == 2

    given.deliver("2025-01-06", [*two_events(6), event("b", "mail", "2025-01-03 15:00")])
    publishing = given.load()
    assert publishing.is_refused
    reason = "2025-01-03.parquet touches this day and is gone; deliver it again, or withdraw it (`milestones withdraw`)"
    assert publishing.plan.blocked == {january(3): reason}
    result = rule_of(publishing.results, "source_files")
    assert result.sample_keys == [{"day": "2025-01-03", "reason": reason}]
    assert rows_by_day(given) == {f"2025-01-{day:02}": 2 for day in range(1, 7)}
    assert watermark(given) == at("2025-01-07")

    (given.files / "2025-01-03.parquet").write_bytes(kept)
    _, outcome = given.load_unjudged()
    assert outcome.made == {january(3): (3, 0)}


def test_rows_that_a_restated_file_no_longer_has_leave_their_day(tmp_path):
    given = company(tmp_path, feed={"empty_days": "allow"})
    given.deliver("first", [*two_events(1), *two_events(2), *two_events(3)])
    given.deliver("later", two_events(5))
    given.load_unjudged()
    assert rows_by_day(given) == {"2025-01-01": 2, "2025-01-02": 2, "2025-01-03": 2, "2025-01-05": 2}
    given.deliver("first", [*two_events(1), *two_events(2)])
    _, outcome = given.load_unjudged()
    assert outcome.made[january(3)] == (0, 0)
    assert rows_by_day(given) == {"2025-01-01": 2, "2025-01-02": 2, "2025-01-05": 2}
    assert watermark(given) == at("2025-01-06")


def test_a_last_day_without_rows_after_a_restatement_is_emptied_in_the_tables_too(tmp_path):
    given = company(tmp_path)
    given.deliver("first", [*two_events(1), *two_events(2)])
    with made(given.config, tables=["account_event_daily"]) as before:
        assert len(before.rows("account_event_daily")) == 4
    given.deliver("first", two_events(1))
    with made(given.config, tables=["account_event_daily"]) as after:
        assert {str(row["day"]) for row in after.rows("account_event_daily")} == {"2025-01-01"}
    assert watermark(given) == at("2025-01-02")


def test_without_ids_a_row_of_another_file_is_a_repeated_delivery_and_one_of_the_same_file_is_not(tmp_path):
    mapped = ("account_id", "user_id", "event", "occurred_at")
    given = company(tmp_path, feed={"columns": {name: name for name in mapped}})
    write_parquet(given.files / "one.parquet", [event("a", "chat", "2025-01-01 10:00")] * 2, EVENT_TYPES)
    both = [event("a", "chat", "2025-01-01 10:00"), event("a", "mail", "2025-01-01 10:00")]
    write_parquet(given.files / "two.parquet", both, EVENT_TYPES)
    _, outcome = given.load_unjudged()
    # the first file says the chat twice, the second again; and once the mail
    assert outcome.made == {january(1): (3, 0)}


# --- holes, waivers, watermarks -------------------------------------------------------------------------------------


@pytest.fixture
def holed(tmp_path) -> Company:
    """Days 1, 2, 4 and 5 are delivered; account a first chats on day 1, account late on day 4."""
    given = company(tmp_path)
    given.deliver_days(1, 2)
    given.deliver("2025-01-04", [event("late", "chat", "2025-01-04 10:00")])
    given.deliver_days(5, 5)
    return given


def test_a_hole_stops_the_watermark_and_days_after_it_are_loaded_and_not_read(holed):
    publishing = holed.load()
    assert publishing.plan.missing == (january(3),)
    assert set(publishing.outcome.made) == {january(1), january(2), january(4), january(5)}
    assert rows_by_day(holed) == {"2025-01-01": 2, "2025-01-02": 2, "2025-01-04": 1, "2025-01-05": 2}
    assert watermark(holed) == at("2025-01-03")
    # the missing day is refused, in words that say what to do
    assert failed(publishing.results) == {"missing_days": (1, 1)}
    result = rule_of(publishing.results, "missing_days")
    assert result.sample_keys == [{"day": "2025-01-03"}]
    assert result.rule.title == "No day among the loaded days is empty"
    assert result.rule.recovery == (
        "deliver the missing day and run, or waive it with `milestones waive DAY --reason …`; where a stray old event began the "
        "history too early, say starts_on for the source in sources.yaml"
    )
    # not read: as of January 3 nobody has seen the account of day 4
    with holed.opened() as session:
        for name in ("account_event_daily", "event_identities", "accounts"):
            session.make(name)
        assert session.observation.as_of == at("2025-01-03")
        assert session.warehouse.rows("SELECT account_id FROM staging.accounts") == [("a",)]
        assert session.warehouse.rows("SELECT count(*) FROM staging.account_event_daily WHERE day > '2025-01-03'") == [(3,)]


def test_a_waived_day_lets_the_watermark_pass_until_the_waiver_is_taken_back(holed):
    holed.load_unjudged()
    run = CliRunner()

    def waive(*arguments: str) -> tuple[int, str]:
        result = run.invoke(main, ["waive", *arguments, "--config", str(holed.config)])
        return result.exit_code, result.output.strip()

    assert waive("2025-01-03") == (1, "waive: --reason is missing; say why the day may be passed over, it is kept with the waiver")
    assert waive("2025-01-02", "--reason", "no") == (
        1,
        "2025-01-02 is published; only a day that is missing or refused can be waived",
    )
    assert waive("2025-01-03", "--reason", "the site was down") == (
        0,
        "2025-01-03: waived (the site was down); the next run passes it",
    )
    publishing = holed.load()
    assert (publishing.is_refused, publishing.plan.missing) == (False, ())
    assert watermark(holed) == at("2025-01-06")

    assert waive("2025-01-03", "--undo") == (0, "2025-01-03: the waiver is taken back")
    plan, _ = holed.load_unjudged()
    assert (plan.missing, watermark(holed)) == ((january(3),), at("2025-01-03"))


def test_a_missing_day_is_mended_by_its_file(holed):
    holed.load_unjudged()
    holed.deliver_days(3, 3)
    publishing = holed.load(only=[3])
    assert (publishing.is_refused, publishing.outcome.made) == (False, {january(3): (2, 0)})
    assert watermark(holed) == at("2025-01-06")


def test_quiet_days_are_whole_where_the_feed_allows_them(tmp_path):
    given = company(tmp_path, feed={"empty_days": "allow"})
    given.deliver_days(1, 1)
    given.deliver_days(4, 4)
    publishing = given.load()
    assert not publishing.is_refused
    assert publishing.outcome.made == {january(1): (2, 0), january(2): (0, 0), january(3): (0, 0), january(4): (2, 0)}
    assert sorted(given.day_files()) == ["2025-01-01", "2025-01-04"]
    assert watermark(given) == at("2025-01-05")


def test_the_least_of_two_feeds_watermarks_holds_everything_back(tmp_path):
    feeds = [
        {"name": "product", "path": str(tmp_path / "daily"), "columns": {name: name for name in EVENT_TYPES.names}},
        {"name": "support", "path": str(tmp_path / "support"), "columns": {name: name for name in EVENT_TYPES.names}},
    ]
    given = company(tmp_path, sources={"events": feeds})
    given.deliver_days(1, 5)
    support = Company(given.config, tmp_path / "support")
    support.files.mkdir()
    support.deliver("first", [event("b", "mail", f"2025-01-{day:02} 12:00") for day in (1, 2, 3)])
    _, outcome = given.load_unjudged()
    # day 3 has two rows of product and one of support
    assert outcome.made[january(3)] == (3, 0)
    with given.opened() as session:
        assert session.days.plan().watermarks == {"product": at("2025-01-06"), "support": at("2025-01-04")}
        assert (session.observation.as_of, session.observation.held_back_by) == (at("2025-01-04"), "support")
    support.deliver("second", [event("b", "mail", "2025-01-06 12:00")])
    publishing = given.load()
    # support sent nothing on days 4 and 5, which product fills: missing all the same
    assert publishing.plan.missing == (january(4), january(5))
    assert failed(publishing.results) == {"missing_days": (2, 2)}
    assert watermark(given, "support") == at("2025-01-04")
    assert watermark(given, "product") == at("2025-01-06")


def test_a_day_that_one_feed_may_leave_empty_is_a_hole_of_the_other(tmp_path):
    columns = {name: name for name in EVENT_TYPES.names}
    feeds = [
        {"name": "product", "path": str(tmp_path / "daily"), "columns": columns},
        {"name": "support", "path": str(tmp_path / "support"), "columns": columns, "empty_days": "allow"},
    ]
    given = company(tmp_path, sources={"events": feeds})
    support = Company(given.config, tmp_path / "support")
    support.files.mkdir()
    support.deliver("all", [event("b", "mail", "2025-01-01 12:00"), event("b", "mail", "2025-01-05 12:00")])
    given.deliver_days(1, 2)
    _, outcome = given.load_unjudged()
    assert (outcome.made[january(3)], outcome.made[january(4)]) == ((0, 0), (0, 0))
    given.deliver_days(4, 5)
    plan, _ = given.load_unjudged()
    assert plan.missing == (january(3),)
    assert watermark(given, "support") == at("2025-01-06")
    assert watermark(given, "product") == at("2025-01-03")
    # alone, a restated day brings no row of the missing one with it
    given.deliver("2025-01-05", two_events(5, "report"))
    publishing = given.load(only=[5])
    assert publishing.outcome.made == {january(5): (3, 0)}
    assert rule_of(publishing.results, "keys_present").total_count == 3


def test_a_snapshot_extracted_earlier_holds_the_watermark_back(tmp_path):
    given = company(
        tmp_path,
        subscriptions=[subscription("a", "2025-01-01")],
        sources={"subscriptions": {"extracted_at": "2025-01-03 17:30"}},
    )
    given.deliver_days(1, 5)
    given.load_unjudged()
    with given.opened() as session:
        # whole days are read: the start of the day of the extract
        assert (session.observation.watermark, session.observation.held_back_by) == (at("2025-01-03"), "subscriptions")
        notes = {topic: note for _, topic, note in session.run["notes"].rows}
        assert notes["watermark"] == "The data are whole up to 2025-01-03; subscriptions holds the watermark back."


def test_an_as_of_time_after_the_watermark_is_refused_in_words(tmp_path):
    given = loaded(tmp_path, last=2)
    with given.opened(as_of=january(3)) as session:
        assert session.observation.as_of == at("2025-01-03")
    with given.opened(as_of=january(4)) as session, pytest.raises(AsOfError) as refused:
        session.make("notes")
    assert str(refused.value) == (
        "as of 2025-01-04 lies after the watermark 2025-01-03, up to where the data are whole (product holds it back); "
        "choose 2025-01-03 or earlier"
    )


def test_without_a_loaded_event_there_is_no_as_of_time(tmp_path):
    given = company(tmp_path)
    with given.opened() as session, pytest.raises(AsOfError, match="the event source product has loaded nothing yet"):
        session.make("notes")


# --- refused days ---------------------------------------------------------------------------------------------------


def poisoned(day: int, bad: int = 3, good: int = 17) -> list[dict]:
    """Rows of a day of which `bad` have no event name."""
    rows = [event("a", "chat", f"2025-01-{day:02} 10:00") for _ in range(good)]
    return rows + [event("a", "", f"2025-01-{day:02} 11:00") for _ in range(bad)]


def test_a_file_that_goes_while_files_are_looked_at_is_refused_and_holds_back_no_other(tmp_path, monkeypatch):
    given = company(tmp_path)
    given.deliver_days(1, 3)
    discover = delivered_files.discover

    def with_one_gone(*source: object) -> list[Path]:
        paths = discover(*source)
        (given.files / "2025-01-02.parquet").unlink()
        return paths

    monkeypatch.setattr(delivered_files, "discover", with_one_gone)
    plan, outcome = given.load_unjudged()
    assert [file.reason.partition(": ")[2] for file in plan.refused_files] == [
        "the file is not there any more; deliver the file again"
    ]
    assert sorted(outcome.made) == [january(1), january(3)]


def test_a_look_that_breaks_off_leaves_the_files_that_are_not_begun(tmp_path, monkeypatch):
    given = company(tmp_path)
    given.deliver_days(1, 31)
    begun: list[str] = []
    inspect = delivered_files.inspect
    met = Event()

    def slow(*file: Any) -> object:
        begun.append(file[2].name)
        if len(begun) > 1:
            met.wait(10)  # until the first file was told
        return inspect(*file)

    def told(_number: int, _files: int) -> None:
        met.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(delivered_files, "inspect", slow)
    with given.opened() as session:
        session.warehouse.execute("SET threads = 2")
        with pytest.raises(KeyboardInterrupt):
            session.days.look(told)
    assert len(begun) < 31


def test_a_refused_day_holds_back_no_other(tmp_path):
    given = company(tmp_path)
    given.deliver_days(1, 2)
    given.deliver("2025-01-03", poisoned(3))
    given.deliver_days(4, 4)
    # day 5: 2 of 4 rows are dated after their arrival, so they are refused rows as well
    ahead = event("a", "chat", "2025-01-05 12:00") | {"received_at": at("2025-01-05 11:00")}
    given.deliver("2025-01-05", [*two_events(5), ahead, ahead])
    publishing = given.load()
    assert publishing.is_refused
    assert publishing.outcome.refused == {
        january(3): ["refused_rows"],
        january(5): ["refused_rows", "events_after_arrival"],
    }
    assert set(publishing.outcome.made) == {january(1), january(2), january(4)}
    # 2 + 2 + 20 + 2 + 4 rows, 3 + 2 of them refused
    assert failed(publishing.results) == {"refused_rows": (5, 30), "events_after_arrival": (2, 30)}
    assert rule_of(publishing.results, "refused_rows").groups == [
        {"day": "2025-01-03", "unexpected_count": 3, "total_count": 20, "share": 0.15},
        {"day": "2025-01-05", "unexpected_count": 2, "total_count": 4, "share": 0.5},
    ]
    assert sorted(given.day_files()) == ["2025-01-01", "2025-01-02", "2025-01-04"]
    assert watermark(given) == at("2025-01-03")
    # still refused, still the others stand
    assert set(given.load().outcome.refused) == {january(3), january(5)}


def test_a_day_within_the_bound_is_published_with_its_refused_rows_in_quarantine(tmp_path):
    given = company(tmp_path)
    given.deliver("2025-01-01", poisoned(1, bad=2, good=38))  # 2 of 40 is the bound of 5 %
    given.deliver("2025-01-02", poisoned(2, bad=1, good=1))  # a single row refuses no day
    assert given.load().outcome.made == {january(1): (38, 2), january(2): (1, 1)}
    assert given.query("SELECT day::VARCHAR, event_id, refusal_reason FROM operations.quarantine ORDER BY ALL") == [
        ("2025-01-01", "2025-01-01-38", "no_event_name"),
        ("2025-01-01", "2025-01-01-39", "no_event_name"),
        ("2025-01-02", "2025-01-02-1", "no_event_name"),
    ]
    assert rows_by_day(given) == {"2025-01-01": 38, "2025-01-02": 1}


def test_a_poisoned_day_leaves_yesterdays_tables_identical_and_is_repaired_by_running_it_alone(tmp_path):
    given = company(tmp_path)
    tables = [
        "account_event_daily",
        "event_identities",
        "subscriptions",
        "accounts",
        "account_copies",
        "account_history",
        "account_tenure",
    ]
    given.deliver_days(1, 3)
    with made(given.config, tables=tables) as first:
        assert all(outcome.state == "made" for name, outcome in first.outcomes.items() if name != "raw_events")
        yesterday = table_digests(first.session)
    files = given.day_files()
    given.deliver("2025-01-04", poisoned(4))
    with made(given.config, tables=tables, run_id="poisoned") as second:
        assert second.outcomes["raw_events"].is_refused
        assert list(second.outcomes) == ["raw_events"]
        assert table_digests(second.session) == yesterday
    assert given.day_files() == files
    # what is started by hand reads the last good rows
    with given.opened() as session:
        assert session.observation.as_of == at("2025-01-04")
        assert session.make("account_tenure").state == "unchanged"
        assert table_digests(session) == yesterday

    given.deliver("2025-01-04", two_events(4))
    publishing = given.load(only=[4])
    assert (publishing.is_refused, publishing.outcome.made) == (False, {january(4): (2, 0)})
    assert {day: given.day_files()[day] for day in files} == files
    with made(given.config, tables=tables) as third:
        assert third.session.observation.as_of == at("2025-01-05")
        # two users on each of four days
        assert len(third.rows("account_event_daily")) == 8
        assert table_digests(third.session) != yesterday


def test_a_refused_reload_leaves_the_last_good_rows_and_the_watermark(tmp_path):
    given = loaded(tmp_path)
    files = given.day_files()
    given.deliver("2025-01-02", poisoned(2))
    publishing = given.load()
    assert publishing.outcome.refused == {january(2): ["refused_rows"]}
    assert given.day_files() == files
    assert rows_by_day(given)["2025-01-02"] == 2
    assert watermark(given) == at("2025-01-06")


def test_a_file_that_cannot_be_accepted_leaves_the_days_that_it_made(tmp_path):
    given = loaded(tmp_path)
    files = given.day_files()
    (given.files / "2025-01-02.parquet").write_bytes(b"no parquet")
    publishing = given.load()
    assert publishing.plan.blocked == {january(2): "2025-01-02.parquet touches this day and is refused"}
    assert [file.nominal_day for file in publishing.plan.refused_files] == [january(2)]
    # the file and the day that it touches, beside the four files that are accepted
    assert failed(publishing.results) == {"source_files": (2, 6)}
    assert given.day_files() == files
    assert watermark(given) == at("2025-01-06")
    # seen again, refused again, without being read again
    assert failed(given.load().results) == {"source_files": (2, 6)}
    given.deliver("2025-01-02", two_events(2, "mail"))
    assert given.load().outcome.made == {january(2): (2, 0)}


def test_a_refused_day_can_be_waived(tmp_path):
    given = company(tmp_path)
    given.deliver_days(1, 1)
    given.deliver("2025-01-02", poisoned(2))
    given.deliver_days(3, 3)
    assert given.load().is_refused
    with given.opened() as session:
        operations.waive(session.warehouse, january(2), "lost for good", session.now)
    publishing = given.load()
    assert (publishing.is_refused, publishing.plan.to_make) == (False, {})
    assert watermark(given) == at("2025-01-04")
    assert rows_by_day(given) == {"2025-01-01": 2, "2025-01-03": 2}


def test_a_rule_that_cannot_be_evaluated_refuses_every_day_and_says_why(tmp_path):
    broken = "SELECT day, event_id FROM {batch} WHERE CAST(event AS INTEGER) > 0"
    rule = {"name": "numbers", "type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": broken}}
    given = company(tmp_path, quality={"raw_events": {"expectations": [rule]}})
    given.deliver_days(1, 2)
    publishing = given.load()
    assert set(publishing.outcome.refused) == {january(1), january(2)}
    assert "Could not convert string" in (rule_of(publishing.results, "numbers").errored or "")
    assert given.day_files() == {}
    # the warehouse can be used as before
    write_yaml(given.config / "quality" / "raw_events.yaml", {"expectations": []})
    assert set(given.load().outcome.made) == {january(1), january(2)}


# --- quarantine -----------------------------------------------------------------------------------------------------


def test_every_refused_row_is_in_quarantine_with_its_reason(tmp_path):
    given = company(
        tmp_path,
        feed={"starts_on": "2025-01-01"},
        quality={
            "raw_events": {
                "bounds": {"refused_rows": 0.9, "events_after_arrival": 0.9},
                "quarantine": [
                    {"name": "test_account", "where": "account_id LIKE 'test-%'", "title": "Accounts of our own tests"},
                    {"name": "robot", "where": "user_id = 'robot'", "title": "No person"},
                ],
            }
        },
    )
    (given.files / "day.csv").write_text(
        "event_id,account_id,user_id,event,occurred_at,received_at,properties\n"
        "good,a,u1,chat,2025-01-02 10:00:00,2025-01-02 10:01:00,\n"
        "unreadable,a,u1,chat,02.01.2025,2025-01-02 10:01:00,\n"
        "nameless,a,u1,,2025-01-02 10:00:00,2025-01-02 10:01:00,\n"
        "future,a,u1,chat,2025-03-01 10:00:00,2025-01-02 10:01:00,\n"
        "early,a,u1,chat,2024-12-31 23:59:59,2025-01-02 10:01:00,\n"
        "tested,test-7,u1,chat,2025-01-02 11:00:00,2025-01-02 11:01:00,\n"
        "both,test-7,robot,chat,2025-01-02 12:00:00,2025-01-02 12:01:00,\n"
        "robot,a,robot,chat,2025-01-03 12:00:00,2025-01-03 12:01:00,\n"
        "last,a,u1,chat,2025-01-03 13:00:00,2025-01-03 13:01:00,\n",
        encoding="utf-8",
    )
    publishing = given.load()
    assert not publishing.is_refused
    # a row without a usable time stands on its file's commonest day; the first reason that applies, the product's first
    assert given.query("SELECT event_id, day::VARCHAR, refusal_reason FROM operations.quarantine ORDER BY ALL") == [
        ("both", "2025-01-02", "test_account"),
        ("early", "2025-01-02", "before_start"),
        ("future", "2025-01-02", "after_arrival"),
        ("nameless", "2025-01-02", "no_event_name"),
        ("robot", "2025-01-03", "robot"),
        ("tested", "2025-01-02", "test_account"),
        ("unreadable", "2025-01-02", "unreadable_time"),
    ]
    assert given.query("SELECT event_id FROM raw.raw_events ORDER BY 1") == [("good",), ("last",)]
    assert publishing.outcome.made == {january(2): (1, 6), january(3): (1, 1)}
    # day 2: 6 of 7; the single one of day 3 counts as none
    refused = rule_of(publishing.results, "refused_rows")
    assert (refused.unexpected_count, refused.total_count) == (6, 9)
    assert watermark(given) == at("2025-01-04")


def test_a_new_quarantine_rule_makes_the_days_again(tmp_path):
    given = loaded(tmp_path, last=2)
    rule = {"name": "second_user", "where": "user_id = 'u2'", "title": "Not counted"}
    (given.config / "quality").mkdir()
    write_yaml(given.config / "quality" / "raw_events.yaml", {"bounds": {"refused_rows": 0.6}, "quarantine": [rule]})
    assert given.load().outcome.made == {january(1): (1, 1), january(2): (1, 1)}


# --- many batches, and a load that is killed ------------------------------------------------------------------------


@pytest.fixture
def small_batches(monkeypatch) -> None:
    """A batch ends with the day or file that brings it to three rows."""
    monkeypatch.setattr(day_rows, "BATCH_ROWS", 3)


def deliver_troubles(given: Company) -> None:
    """Days 1 to 9 without day 4; a row of day 2 that comes with day 8; day 6 refused; one file over three days."""
    given.deliver_days(1, 3)
    given.deliver_days(5, 5)
    given.deliver("2025-01-06", poisoned(6))
    given.deliver("2025-01-08", [*two_events(7), *two_events(8), event("b", "mail", "2025-01-02 08:00"), *two_events(9)])


def content(given: Company) -> list[tuple]:
    return given.query("SELECT * EXCLUDE (file) FROM raw.raw_events ORDER BY ALL")


def test_many_batches_give_what_one_gives(tmp_path, small_batches, monkeypatch):
    whole, parts = company(tmp_path / "whole"), company(tmp_path / "parts")
    deliver_troubles(whole)
    deliver_troubles(parts)
    calls = []
    with parts.opened() as session:
        audited = session._audit
        session._audit = lambda table, relation: calls.append(relation) or audited(table, relation)
        in_parts = session.load_events()
        assert session.make("account_event_daily").state == "made"
        counted = session.warehouse.rows(
            "SELECT day, account_key, sum(events) FROM staging.account_event_daily GROUP BY ALL ORDER BY ALL"
        )
    # rows by day 2, 3 | 2, 2 | 20 | 2, 2 | 2: five batches of the days, each ended by the day that reaches three rows
    assert len(calls) == 5
    monkeypatch.setattr(day_rows, "BATCH_ROWS", 1_000)
    with whole.opened() as session:
        at_once = session.load_events()
        session.make("account_event_daily")
        assert counted == session.warehouse.rows(
            "SELECT day, account_key, sum(events) FROM staging.account_event_daily GROUP BY ALL ORDER BY ALL"
        )
    assert content(parts) == content(whole)
    assert in_parts.outcome.made == at_once.outcome.made
    assert in_parts.outcome.refused == at_once.outcome.refused == {january(6): ["refused_rows"]}
    for name in ("refused_rows", "missing_days", "keys_unique", "keys_present", "events_without_account"):
        one, other = rule_of(in_parts.results, name), rule_of(at_once.results, name)
        assert (one.passed, one.unexpected_count, one.total_count, one.groups) == (
            other.passed,
            other.unexpected_count,
            other.total_count,
            other.groups,
        )
    # 1, 3 and 5: two each, 2: three, 6: 20, 7 to 9: two each
    assert rule_of(at_once.results, "refused_rows").total_count == 35
    assert failed(in_parts.results) == {"refused_rows": (3, 35), "missing_days": (1, 1)}


def test_a_first_load_that_broke_half_way_is_resumed(tmp_path, small_batches):
    broken, whole = company(tmp_path / "broken"), company(tmp_path / "whole")
    broken.deliver_days(1, 7)
    whole.deliver_days(1, 7)
    with broken.opened() as session:
        audited = session._audit
        calls = []

        def audit(table, relation):
            calls.append(relation)
            if len(calls) == 3:
                raise RuntimeError("out of memory")
            return audited(table, relation)

        session._audit = audit
        with pytest.raises(RuntimeError, match="out of memory"):
            session.load_events()
        # two batches of two days
        assert sorted(operations.published_days(session.warehouse)) == [january(day) for day in (1, 2, 3, 4)]
        staged = "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%__staged'"
        assert session.warehouse.rows(staged) == [(0,)]
    resumed = broken.load()
    assert set(resumed.outcome.made) == {january(day) for day in (5, 6, 7)}
    whole.load()
    assert content(broken) == content(whole)
    assert broken.query("SELECT day, signature, rows, refused_rows FROM operations.days ORDER BY day") == whole.query(
        "SELECT day, signature, rows, refused_rows FROM operations.days ORDER BY day"
    )


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from delivering_company import Company
from milestones_dagster.warehouse import day_rows, operations
day_rows.BATCH_ROWS = 3
recorded = operations.record_days
calls = []
def record(warehouse, rows, run_id, now):
    calls.append(1)
    if len(calls) == 2:  # the files of days 3 and 4 lie in their place, their record is not written
        os._exit(9)
    recorded(warehouse, rows, run_id, now)
operations.record_days = record
root = Path(sys.argv[1])
Company(root / "config", root / "daily").load_unjudged()
"""


def test_a_first_load_that_was_killed_is_resumed(tmp_path):
    killed, whole = company(tmp_path / "killed"), company(tmp_path / "whole")
    killed.deliver_days(1, 6)
    whole.deliver_days(1, 6)
    here = Path(__file__).parent
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(here), str(here.parent)]
    assert subprocess.run(arguments, check=False).returncode == 9  # noqa: S603 - our own program
    # the files of four days lie there, two of them are known
    assert len(killed.day_files()) == 4
    assert killed.query("SELECT count(*) FROM operations.days") == [(2,)]
    _, resumed = killed.load_unjudged()
    assert set(resumed.made) == {january(day) for day in (3, 4, 5, 6)}
    whole.load_unjudged()
    assert content(killed) == content(whole)
    assert killed.query("SELECT day, signature, rows FROM operations.days ORDER BY day") == whole.query(
        "SELECT day, signature, rows FROM operations.days ORDER BY day"
    )


def test_a_file_over_many_days_is_the_same_as_daily_files(tmp_path):
    daily, together = company(tmp_path / "daily"), company(tmp_path / "together")
    rows = [{**row, "event_id": f"e{day}-{number}"} for day in range(1, 6) for number, row in enumerate(two_events(day))]
    for number, row in enumerate(rows):
        daily.deliver(f"part-{number}", [row])
    together.deliver("all", rows[::-1])
    daily.load_unjudged()
    together.load_unjudged()
    assert content(daily) == content(together)
    assert watermark(daily) == watermark(together) == at("2025-01-06")


def test_a_withdrawn_file_leaves_its_days_to_the_others(tmp_path):
    given = loaded(tmp_path)
    (given.files / "2025-01-03.parquet").unlink()
    given.deliver("2025-01-06", [*two_events(6), event("b", "mail", "2025-01-03 15:00")])
    assert given.load().is_refused

    with given.opened() as session:
        operations.withdraw_file(session.warehouse, str(given.files / "2025-01-03.parquet"))
    publishing = given.load()
    assert not publishing.is_refused
    # of January 3 the late row alone is left: the two rows of the withdrawn file are not
    assert publishing.outcome.made == {january(3): (1, 0)}


def test_two_feeds_may_use_the_same_event_id(tmp_path):
    columns = {name: name for name in EVENT_TYPES.names}
    names = ("web", "mobile")
    feeds = [{"name": name, "path": f"../{name}/*.parquet", "columns": columns, "empty_days": "allow"} for name in names]
    given = company(tmp_path, sources={"events": feeds})
    for name in names:
        same_id = event("a", "chat", "2025-01-01 10:00") | {"event_id": "1"}
        write_parquet(given.config.parent / name / "2025-01-01.parquet", [same_id], EVENT_TYPES)
    # an id is unique within its feed: both are events, none is a repeated delivery
    assert given.load().outcome.made == {january(1): (2, 0)}
