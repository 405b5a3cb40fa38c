"""The gate: stage, audit, publish. A bad table never replaces a good one, and what is refused is said in words."""

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml
from delivering_company import Company, company, declared_of, failed, january, rule_of, table_digests, two_events
from scenario import ACCOUNT_TYPES, EVENT_TYPES, SUBSCRIPTION_TYPES, World, at, event, made, subscription, write_parquet, write_yaml

from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse import publish
from milestones_dagster.warehouse.publish import Publishing

ACCOUNTS = [
    {"account_id": "a", "created_at": at("2025-01-01"), "plan": "basic", "seats": 2.0, "segment": "west"},
    {"account_id": "b", "created_at": at("2025-01-01"), "plan": "basic", "seats": 3.0, "segment": "east"},
]
WORLD = World(
    events=[
        event("a", "installed", "2025-01-02 10:00"),
        event("a", "started", "2025-01-05 10:00"),
        event("b", "started", "2025-01-06 10:00", user="u2"),
    ],
    last_day="2025-02-28",
    subscriptions=[subscription("a", "2025-01-01"), subscription("b", "2025-01-03", seats=3.0)],
    accounts=ACCOUNTS,
    sources={"accounts": {"extracted_at": "2025-06-01"}, "subscriptions": {"extracted_at": "2025-06-01"}},
)


@dataclass(frozen=True)
class Copy:
    """A warehouse of its own with what the first run published, and its config folder."""

    config: Path

    @contextmanager
    def opened(self, run_id: str = "second") -> Iterator[Session]:
        declared = declared_of(self.config)
        path = declared.config.warehouse_path
        with duckdb.connect(str(path)) as connection:
            yield Session(declared, connection, path.with_suffix(""), run_id)

    def edit(self, name: str, *keys: str | int, value: Any) -> None:
        """Sets one value of a config file."""
        content = found = yaml.safe_load((self.config / name).read_text(encoding="utf-8"))
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = value
        write_yaml(self.config / name, content)

    def expect(self, table: str, *expectations: dict[str, Any]) -> None:
        """Adds expectations of the company to a table."""
        (self.config / "quality").mkdir(exist_ok=True)
        write_yaml(self.config / "quality" / f"{table}.yaml", {"expectations": list(expectations)})


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> Path:
    """The folder of a company whose every table was made once."""
    folder = tmp_path_factory.mktemp("first")
    with made(WORLD.write(folder), run_id="first") as run:
        states = {name: outcome.state for name, outcome in run.outcomes.items() if name != "raw_events"}
        assert set(states.values()) == {"made"}
        assert len(states) == 62
    return folder


@pytest.fixture
def copied(first_run, tmp_path) -> Copy:
    shutil.copytree(first_run, tmp_path, dirs_exist_ok=True)
    write_yaml(tmp_path / "config" / "warehouse.yaml", {"path": str(tmp_path / "warehouse.duckdb")})
    return Copy(tmp_path / "config")


def publications(session: Session) -> dict[str, tuple]:
    return {row[0]: row[1:] for row in session.warehouse.rows("FROM operations.publications ORDER BY table_name")}


def staged_tables(session: Session) -> list[tuple]:
    # staged rows, and the rows of some tables that are kept aside before
    return session.warehouse.rows(
        "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%staged%' OR database_name = 'temp' AND table_name LIKE '%rows'"
    )


@contextmanager
def nothing_changes(session: Session) -> Iterator[None]:
    """Inside the block nothing is published, and nothing is left to clean."""
    before, recorded = table_digests(session), publications(session)
    yield
    assert table_digests(session) == before
    assert publications(session) == recorded
    assert staged_tables(session) == []
    # the connection is in no transaction
    session.warehouse.connection.begin()
    session.warehouse.connection.rollback()


AT_MOST_TWO_SEATS = {
    "name": "few_seats",
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "seats", "max_value": 2},
    "recovery": "ask sales",
}


@pytest.mark.parametrize("table", ["feature_matrix", "setup_step_evidence"])
def test_rows_kept_aside_for_a_refused_table_are_dropped(copied, table):
    rule = {"name": "no_such", "type": "expect_table_row_count_to_equal", "kwargs": {"value": 1000}, "recovery": "ask"}
    copied.expect(table, rule)
    with copied.opened() as session:
        session.warehouse.execute("DELETE FROM operations.given")
        with nothing_changes(session):
            publishing = session.make(table)
        assert (publishing.state, failed(publishing.results).keys()) == ("refused", {"no_such"})
        assert publishing.rows_made is not None


def test_a_failed_expectation_of_the_company_publishes_nothing(copied):
    copied.expect("account_months", AT_MOST_TWO_SEATS)
    with copied.opened() as session, nothing_changes(session):
        publishing = session.make("account_months")
        assert (publishing.state, publishing.row_count) == ("refused", 4)
        # two accounts in January and February; b has three seats
        assert failed(publishing.results) == {"few_seats": (2, 4)}
        result = rule_of(publishing.results, "few_seats")
        assert result.sample_keys == [
            {"account_id": "b", "month": "2025-01-01"},
            {"account_id": "b", "month": "2025-02-01"},
        ]
        assert (result.rule.origin, result.rule.recovery) == ("company", "ask sales")
        # what reads it reads the last good rows
        assert session.make("activation_cohort").state == "unchanged"


def test_a_warning_does_not_block(copied):
    copied.expect("account_months", AT_MOST_TWO_SEATS | {"severity": "warning"})
    with copied.opened() as session:
        publishing = session.make("account_months")
        assert (publishing.state, failed(publishing.results)) == ("made", {"few_seats": (2, 4)})
        assert publications(session)["account_months"][5] == "second"


def test_a_rule_that_cannot_be_evaluated_refuses_the_table_in_words(copied):
    query = "SELECT account_id, month FROM {batch} WHERE CAST(plan AS INTEGER) > 0"
    rule = {"name": "numbers", "type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}}
    copied.expect("account_months", rule)
    with copied.opened() as session, nothing_changes(session):
        publishing = session.make("account_months")
        assert (publishing.state, publishing.row_count) == ("refused", 4)
        assert rule_of(publishing.results, "numbers").errored == (
            "Conversion Error: Could not convert string '…' to INT32 when casting from source column plan"
        )


def broken(*_: object) -> Any:
    raise RuntimeError("the function broke")


def test_an_exception_of_the_function_behind_a_table_rolls_everything_back(copied):
    with copied.opened() as session:
        # what it was given is the same again, and would not be computed again
        session.warehouse.execute("DELETE FROM operations.given")
    with copied.opened() as session, nothing_changes(session):
        table = session.declared.tables["event_catalogue"]
        inputs = replace(session.inputs(table.name), compute=broken, suite="another")
        with pytest.raises(RuntimeError, match="the function broke"):
            publish.make(session.warehouse, table, inputs, session._audit)


def test_an_exception_of_the_select_rolls_everything_back(copied):
    with copied.opened() as session, nothing_changes(session):
        table = replace(
            session.declared.tables["paid_spells"],
            select_text="SELECT CAST(a.account_id AS INTEGER) AS account_key, 1 AS spell FROM accounts AS a",
        )
        with pytest.raises(duckdb.ConversionException):
            publish.make(session.warehouse, table, session.inputs("paid_spells"), session._audit)


@pytest.mark.parametrize("place", ["audit", "on_commit"])
def test_an_exception_in_the_audit_or_while_recording_rolls_everything_back(copied, place):
    with copied.opened() as session, nothing_changes(session):
        table = session.declared.tables["accounts"]
        inputs = replace(session.inputs(table.name), suite="another")
        steps = {"audit": session._audit, "on_commit": None} | {place: broken}
        with pytest.raises(RuntimeError, match="the function broke"):
            publish.make(session.warehouse, table, inputs, **steps)


def test_a_table_that_is_up_to_date_is_unchanged_and_audited_as_it_stands(copied):
    with copied.opened() as session, nothing_changes(session):
        assert not session.load_events().is_refused
        for name in ("account_event_daily", "accounts", "account_copies", "customer_milestones"):
            publishing = session.make(name)
            assert (publishing.state, publishing.days_made, publishing.reason) == ("unchanged", (), "nothing changed")
            assert {result.rule.name for result in publishing.results} == {rule.name for rule in session.declared.rules(name)}
            assert failed(publishing.results) == {}
        assert {row[5] for row in publications(session).values()} == {"first"}


def made_again(session: Session) -> dict[str, Publishing]:
    """Makes every table but the ranking; those that were made again."""
    outcomes = {name: session.make(name) for name in session.declared.tables if name not in {"raw_events", "feature_importance"}}
    assert {outcome.state for outcome in outcomes.values()} <= {"made", "unchanged"}
    return {name: outcome for name, outcome in outcomes.items() if outcome.state == "made"}


def test_an_edited_threshold_makes_just_the_tables_that_read_it(copied):
    copied.edit("framework.yaml", "activation", "threshold", value=1)
    with copied.opened() as session:
        before = table_digests(session)
        again = made_again(session)
        # config.threshold is read by the thresholds; the others follow them. No outcome is known yet: of the landmark tables that are
        # made again no row differs, so that no statistic on them is computed
        assert set(again) == {
            "activation_cohort", "activation_threshold", "chain_landmarks", "customer_milestones",
            "framework_review", "framework_versions", "framework_watch", "milestone_summary",
            "retention_by_activation", "setup_landmarks", "setup_step_landmarks",
            "threshold_expansion", "threshold_robustness", "thresholds_in_force", "usage_ratio", "usage_threshold",
        }  # fmt: skip
        assert again["activation_cohort"].reason == "the framework config changed"
        runs = {name: row[5] for name, row in publications(session).items()}
        assert {name for name, run in runs.items() if run == "second"} == set(again)
        # all are of one config: those that were left alone are what the new one gives, too
        assert {row[2] for row in publications(session).values()} == {session.config.fingerprint}
        changed = {name.partition(".")[2] for name, digest in table_digests(session).items() if before[name] != digest}
        assert changed <= set(again)
        activated = "SELECT account_id, activated FROM milestones.activation_cohort ORDER BY 1"
        assert session.warehouse.rows(activated) == [("a", True), ("b", True)]


def test_an_edited_step_makes_just_the_tables_that_read_it(copied):
    copied.edit("framework.yaml", "setup", "steps", 2, "required", value=True)
    with copied.opened() as session:
        assert set(made_again(session)) == {
            "chain_landmarks", "customer_milestones", "framework_review", "framework_versions", "framework_watch", "milestone_chain",
            "milestone_summary", "setup_step_evidence", "setup_step_landmarks", "setup_step_placebo", "setup_steps",
        }  # fmt: skip


def test_a_config_that_makes_a_rule_fail_on_published_rows_refuses_the_table(copied):
    free = [*WORLD.subscriptions, subscription("c", "2025-01-04", plan="free", seats=0.0)]
    write_parquet(copied.config.parent / "subscriptions.parquet", free, SUBSCRIPTION_TYPES)
    copied.edit("sources.yaml", "subscriptions", "path", value=str(copied.config.parent / "subscriptions.parquet"))
    with copied.opened() as session:
        assert session.make("subscriptions").state == "made"
    copied.edit("framework.yaml", "plans", 2, "sells_seats", value=True)
    with copied.opened() as session, nothing_changes(session):
        publishing = session.make("subscriptions")
        assert (publishing.state, failed(publishing.results)) == ("refused", {"seats_where_sold": (1, 3)})


def test_a_late_event_replaces_its_day_alone(copied):
    late = event("b", "chat", "2025-01-05 23:00") | {"event_id": "late"}
    data = copied.config.parent / "data"
    write_parquet(data / "late-events.parquet", [late], EVENT_TYPES)
    copied.edit("sources.yaml", "events", 0, "path", value=str(data / "*events.parquet"))
    with copied.opened() as session:
        kept = "SELECT * FROM staging.account_event_daily WHERE day <> '2025-01-05' ORDER BY ALL"
        before = session.warehouse.rows(kept)
        assert set(session.load_events().outcome.made) == {january(5)}
        publishing = session.make("account_event_daily")
        assert (publishing.state, publishing.days_made) == ("made", (january(5),))
        assert session.warehouse.rows(kept) == before
        counted = "SELECT event, events FROM staging.account_event_daily WHERE day = '2025-01-05' ORDER BY 1"
        assert session.warehouse.rows(counted) == [("chat", 1), ("started", 1)]
        days = "SELECT count(*), count(DISTINCT day) FROM operations.publication_days WHERE table_name = 'account_event_daily'"
        # January and February from the 2nd on
        assert session.warehouse.rows(days) == [(58, 58)]


def test_account_copies_keep_what_an_account_was_at_each_extract(tmp_path):
    world = replace(
        WORLD,
        sources={
            "accounts": {"extracted_at": "2025-02-01", "known_at": {"plan": "history", "seats": "history"}},
            "subscriptions": {"extracted_at": "2025-06-01"},
        },
    )
    config = world.write(tmp_path)
    tables = ["event_identities", "accounts", "account_copies"]
    copies = (
        "SELECT a.account_id, c.copied_at, c.plan, c.seats "
        "FROM staging.account_copies c JOIN staging.accounts a USING (account_key) ORDER BY ALL"
    )
    with made(config, tables=tables) as run:
        assert run.session.warehouse.rows(copies) == [("a", at("2025-02-01"), "basic", 2.0), ("b", at("2025-02-01"), "basic", 3.0)]
    # a moves to premium and b stays
    write_parquet(tmp_path / "data" / "accounts.parquet", [ACCOUNTS[0] | {"plan": "premium"}, ACCOUNTS[1]], ACCOUNT_TYPES)
    content = yaml.safe_load((config / "sources.yaml").read_text(encoding="utf-8"))
    content["accounts"]["extracted_at"] = "2025-02-15"
    write_yaml(config / "sources.yaml", content)
    expected = [
        ("a", at("2025-02-01"), "basic", 2.0),
        ("a", at("2025-02-15"), "premium", 2.0),
        ("b", at("2025-02-01"), "basic", 3.0),
    ]
    with made(config, tables=tables) as run:
        assert run.session.warehouse.rows(copies) == expected
    with made(config, tables=tables) as run:
        assert run.outcomes["account_copies"].state == "unchanged"
        assert run.session.warehouse.rows(copies) == expected


# --- files that cannot be accepted, end to end -----------------------------------------------------------------------

HEADER = "event_id,account_id,user_id,event,occurred_at,received_at,properties\n"


def line(day: int, number: int = 0, *, account: str = "7", time: str | None = None) -> str:
    when = time or f"2025-01-{day:02} 10:00:00"
    return f"{day}-{number},{account},u1,chat,{when},2025-01-{day:02} 10:01:00,\n"


def text(given: Company, name: str, content: str) -> None:
    (given.files / name).write_text(content, encoding="utf-8")


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory) -> Iterator[tuple[Company, Any]]:
    """One day is loaded; then comes a file of every kind that cannot be accepted, and one with a new column."""
    given = company(tmp_path_factory.mktemp("bad"))
    text(given, "2025-01-01.csv", HEADER + line(1) + line(1, 1))
    assert not given.load().is_refused
    text(given, "2025-01-02.csv", HEADER.replace(",event,", ",evnt,") + line(2))
    text(given, "2025-01-03.csv", HEADER + line(3, time="1735898400"))
    text(given, "2025-01-04.csv", HEADER + line(4, account="acme"))
    whole = gzip.compress((HEADER + line(5)).encode())
    (given.files / "2025-01-05.csv.gz").write_bytes(whole[:-10])
    text(given, "2025-01-06.csv", "")
    (given.files / "2025-01-07.parquet").write_bytes(b"PAR1 and nothing more")
    text(given, "2025-01-08.csv", HEADER)
    text(given, "2025-01-09.txt", HEADER + line(9))
    rows = [line(10, number) for number in range(17)] + [line(10, 17 + number, time="10.01.2025") for number in range(3)]
    text(given, "2025-01-10.csv", HEADER + "".join(rows))
    text(given, "2025-01-11.csv", HEADER.strip() + ",browser\n" + line(11).strip() + ",safari\n")
    return given, given.load()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "2025-01-02.csv",
            (
                "the column `event` (columns.event) is missing; found: event_id, account_id, user_id, evnt, occurred_at, "
                "received_at, properties; the closest is `evnt`; "
            ),
        ),
        ("2025-01-03.csv", "the column `occurred_at` (columns.occurred_at) is BIGINT, where times are expected"),
        (
            "2025-01-04.csv",
            (
                "the column `account_id` was BIGINT in earlier files and is VARCHAR in this one; "
                "the first row that does not convert is row 1: a value like `xxxx`"
            ),
        ),
        ("2025-01-05.csv.gz", "the gzip stream is truncated: it ends before its end mark"),
        ("2025-01-06.csv", "the file is empty (0 bytes)"),
        ("2025-01-07.parquet", "the file is not readable as Parquet: "),
        ("2025-01-08.csv", "the file has a header and no rows"),
        ("2025-01-09.txt", "the suffix .txt says no format"),
    ],
)
def test_a_file_that_cannot_be_accepted_is_refused_in_its_own_words(bad_files, name, reason):
    given, publishing = bad_files
    (found,) = [file for file in publishing.plan.refused_files if file.file.name == name]
    assert found.reason.startswith(f"{given.files / name}: {reason}")
    assert "; " in found.reason[len(f"{given.files / name}: ") :]
    assert found.nominal_day == january(int(name[8:10]))


def test_every_refused_file_is_counted_and_the_first_are_shown(bad_files):
    _, publishing = bad_files
    result = rule_of(publishing.results, "source_files")
    # eight of eleven files; those of days 1, 10 and 11 are accepted
    assert (result.passed, result.unexpected_count, result.total_count) == (False, 8, 11)
    assert [sample["file"] for sample in result.sample_keys] == [
        "2025-01-02.csv",
        "2025-01-03.csv",
        "2025-01-04.csv",
        "2025-01-05.csv.gz",
        "2025-01-06.csv",
    ]
    assert result.sample_truncated


def test_a_day_with_too_many_unreadable_dates_is_refused_and_counted(bad_files):
    _, publishing = bad_files
    assert publishing.outcome.refused == {january(10): ["refused_rows"]}
    assert rule_of(publishing.results, "refused_rows").groups == [
        {"day": "2025-01-10", "unexpected_count": 3, "total_count": 20, "share": 0.15}
    ]


def test_a_new_column_is_noted_and_its_file_accepted(bad_files):
    given, publishing = bad_files
    result = rule_of(publishing.results, "source_columns")
    assert (result.passed, result.rule.severity, result.unexpected_count) == (False, "warning", 1)
    assert result.sample_keys == [{"column": "2025-01-11.csv: browser"}]
    assert january(11) in publishing.outcome.made
    # it is news until a run has told of it
    with given.opened() as session:
        assert rule_of(session.load_events().results, "source_columns").sample_keys == [{"column": "2025-01-11.csv: browser"}]
        session.settle_news("raw_events")
        assert rule_of(session.load_events().results, "source_columns").passed


def test_a_misspelt_event_is_a_warning_with_the_closest_names_that_arrive(tmp_path):
    framework = {"core_events": ["resolvd"]}
    rows = [event("a", name, "2025-01-01 10:00") for name in ("resolved", "reopened", "started")]
    config = replace(WORLD, events=rows, last_day="2025-01-02", framework=framework).write(tmp_path)
    with made(config, tables=["account_event_daily", "event_name_daily", "event_catalogue"]) as run:
        catalogue = run.outcomes["event_catalogue"]
        assert catalogue.state == "made"
        result = rule_of(catalogue.results, "configured_events_arrive")
        assert (result.passed, result.rule.severity) == (False, "warning")
        hints = [group["hint"] for group in result.groups]
        assert "resolvd (core events): closest names that arrive: resolved" in hints
        row = run.row("event_catalogue", event="resolvd")
        assert (row["events"], row["closest_events"], row["used_by"]) == (0, "resolved", "core events")


def refused_extract(tmp_path: Path, rows: list[dict], types: Any = SUBSCRIPTION_TYPES) -> Publishing:
    """The second making of subscriptions from another extract of two days; the first had one good row."""
    given = company(tmp_path)
    given.deliver("2025-01-01", two_events(1))
    given.load_unjudged()
    with given.opened() as session:
        assert session.make("subscriptions").state == "made"
    write_parquet(tmp_path / "data" / "subscriptions.parquet", rows, types)
    with given.opened() as session:
        before = table_digests(session)
        publishing = session.make("subscriptions")
        assert table_digests(session) == before
    return publishing


def test_a_plan_with_zero_seats_refuses_the_subscriptions_with_their_count(tmp_path):
    rows = [
        subscription("a", "2024-12-01"),
        subscription("b", "2024-12-02", seats=0.0),
        subscription("c", "2024-12-03", seats=None),
    ]
    publishing = refused_extract(tmp_path, rows)
    assert (publishing.state, failed(publishing.results)) == ("refused", {"seats_where_sold": (2, 3)})
    shown = {key["subscription_id"] for key in rule_of(publishing.results, "seats_where_sold").sample_keys}
    assert shown == {"sub-b", "sub-c"}


def test_a_mapped_column_that_is_gone_refuses_the_extract(tmp_path):
    types = SUBSCRIPTION_TYPES.remove(SUBSCRIPTION_TYPES.get_field_index("mrr"))
    rows = [{name: value for name, value in subscription("a", "2024-12-01").items() if name != "mrr"}]
    publishing = refused_extract(tmp_path, rows, types)
    assert publishing.state == "refused"
    assert failed(publishing.results) == {"source_files": (1, 1)}
    assert "the column `mrr` (columns.mrr) is missing" in publishing.reason


def test_a_retyped_column_refuses_the_extract(tmp_path):
    place = SUBSCRIPTION_TYPES.get_field_index("seats")
    types = SUBSCRIPTION_TYPES.set(place, pa.field("seats", pa.string()))
    publishing = refused_extract(tmp_path, [subscription("a", "2024-12-01", seats="many")], types)
    assert publishing.state == "refused"
    assert "seats" in publishing.reason
