"""The benchmark measures what it says: the generator, the limit's equality with the product, pandas' numbers, the report's arithmetic."""

import json
import sys
from dataclasses import replace

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from benchmarks import report
from benchmarks.company import Company, default_accounts, world, write_company, write_days, write_snapshots
from benchmarks.limit import BY_DAY, plain_tables, run_limit, script, with_their_sources
from benchmarks.measuring import Measured, PartFailedError, folder_bytes, keep, kept, measure, newest, present
from benchmarks.pandas_way import milestones
from benchmarks.parts import PARTS
from benchmarks.plan import ALL_PARTS, Plan
from benchmarks.product import TimedSession
from benchmarks.report import Results, Spread, markdown, ratio
from milestones_dagster.config.loader import load_config
from milestones_dagster.orchestration.session import Declared
from milestones_dagster.warehouse.duckdb import published
from milestones_dagster.warehouse.equality import fingerprint

SMALL = Company(events=30_000, accounts=200, days=220, seed=3)


@pytest.fixture(scope="module")
def land(tmp_path_factory):
    folder = tmp_path_factory.mktemp("company")
    write_company(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def declared(land):
    return Declared.of(load_config(land / "config"))


@pytest.fixture(scope="module")
def product(land, declared):
    """The product's plain tables, made without Dagster and without gates, for the time that they take."""
    path = land / "product" / "warehouse.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        session = TimedSession(declared, connection, path.with_suffix(""), "benchmark")
        session.timings, session.is_gated = path.with_suffix(".jsonl"), False
        loaded = session.load_events()
        assert [result.rule.name for result in loaded.results if not result.passed and result.rule.severity == "critical"] == []
        states = {name: session.make(name).state for name in plain_tables(declared) if name != "raw_events"}
    assert set(states.values()) == {"made"}
    return path


def test_company_is_as_large_as_asked_and_has_what_the_framework_reads(land, declared):
    with duckdb.connect() as connection:
        events = connection.from_parquet(f"{land}/events/*.parquet")
        rows, ids, accounts = events.aggregate("count(*), count(DISTINCT event_id), count(DISTINCT account_id)").fetchone()
        names = {name for (name,) in events.aggregate("event", "event").fetchall()}
        users = connection.from_parquet(f"{land}/users.parquet").aggregate("count(*), count(DISTINCT user_id)").fetchone()
        spells = (
            connection.from_parquet(f"{land}/subscriptions.parquet")
            .aggregate("count(*) FILTER (ended_at IS NULL), count(*)")
            .fetchone()
        )
    assert abs(rows - SMALL.events) < 0.1 * SMALL.events
    assert ids == rows
    assert 0.9 * SMALL.accounts < accounts <= SMALL.accounts
    assert users[0] == users[1]
    assert 0 < spells[0] < spells[1]
    assert len(list((land / "events").glob("*.parquet"))) == SMALL.days
    configured = {row[0] for row in declared.relations["configured_event"].rows}
    assert len(names & configured) > 50
    assert names - configured <= {"messenger_opened"}


def test_company_is_the_same_in_any_chunks_and_a_later_day_can_be_had_alone(land, tmp_path):
    last = SMALL.days - 1
    with world(SMALL) as connection:
        write_days(connection, tmp_path / "events", last, last + 2)
        write_snapshots(connection, tmp_path, last + 2)
    days = sorted(path.name for path in (tmp_path / "events").glob("*.parquet"))
    assert len(days) == 2
    assert _rows(tmp_path / "events" / days[0]) == _rows(land / "events" / days[0])
    assert _rows(tmp_path / "events" / days[1])[0] > 0


def test_accounts_are_a_hundred_thousand_from_ten_million_events_on():
    assert [default_accounts(events) for events in (1000, 10**6, 10**7, 10**9)] == [200, 10_000, 100_000, 100_000]


def _fingerprints(warehouse, tables, names):
    """Rows and sum of row hashes by table; those of `raw_events` of the files, which a limit writes in folders of a day."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        files = f"'{warehouse.with_suffix('')}/raw_events/**/*.parquet'"
        raw = exp.Table(this=sqlglot.parse_one(f"read_parquet({files}, hive_partitioning = false)", dialect="duckdb"))
        return {
            name: fingerprint(
                connection,
                raw if name == "raw_events" else published(tables[name]),
                [(column.name, column.type) for column in tables[name].columns],
            )
            for name in names
        }


def test_limit_makes_the_rows_of_the_product(land, declared, product):
    path = land / "limit" / "warehouse.duckdb"
    took = run_limit(land / "config", path)
    names = plain_tables(declared)
    mine, theirs = _fingerprints(path, declared.tables, names), _fingerprints(product, declared.tables, names)
    assert mine == theirs
    assert mine["raw_events"][0] > 25_000
    assert [name for name in names if mine[name][0] == 0] == []
    assert {line["table"] for line in took["tables"]} == {"events", *names} - set(BY_DAY)


def test_limit_keeps_one_of_a_repeated_delivery(tmp_path):
    write_company(tmp_path, Company(events=2000, accounts=40, days=20, seed=1))
    first, *_ = sorted((tmp_path / "events").glob("*.parquet"))
    again = first.with_name("2024-07-30.parquet")
    again.write_bytes(first.read_bytes())
    run_limit(tmp_path / "config", tmp_path / "warehouse.duckdb")
    with duckdb.connect() as connection:
        rows = (
            connection.from_parquet(f"{tmp_path}/warehouse/raw_events/*/*.parquet")
            .aggregate("count(*), count(DISTINCT event_id)")
            .fetchone()
        )
        landed = connection.from_parquet(f"{tmp_path}/events/*.parquet").aggregate("count(DISTINCT event_id)").fetchone()
    assert rows == (landed[0], landed[0])


def test_script_has_its_sections():
    assert set(script()) == {"at the start", "for each batch"}


def test_pandas_tells_the_product_numbers(land, product):
    with duckdb.connect(str(product), read_only=True) as connection:
        rows = connection.execute(
            """SELECT milestone, reached, accounts FROM milestones.milestone_summary
               WHERE segment_kind = 'all' AND milestone NOT LIKE 'stage %'
                 AND month = (SELECT max(month) FROM milestones.milestone_summary WHERE is_whole)"""
        ).fetchall()
        retained = connection.execute(
            "SELECT count(*) FILTER (retained), count(*) FROM milestones.retention_outcomes WHERE kind = 'month' AND is_evidence"
        ).fetchone()
    expected = {milestone: (reached, of) for milestone, reached, of in rows} | {"retention": retained}
    assert milestones(land) == expected
    assert expected["usage"][0] > 0
    assert expected["activation"][0] > 0
    assert expected["retention"][0] < expected["retention"][1]


def test_ungated_session_asks_no_rule(land, declared):
    path = land / "ungated" / "warehouse.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        session = TimedSession(declared, connection, path.with_suffix(""), "benchmark")
        session.timings, session.is_gated = path.with_suffix(".jsonl"), False
        made = session.make("event_name_daily")
    (line,) = [json.loads(line) for line in session.timings.read_text(encoding="utf-8").splitlines()]
    assert (made.state, line["table"], line["gate_wall_s"]) == ("made", "event_name_daily", 0.0)
    assert [result.rule.name for result in made.results] == [rule.name for rule in declared.suites["event_name_daily"]]


def test_measure_tells_what_a_process_took_and_left(tmp_path, monkeypatch):
    leaves = tmp_path / "left"
    leaves.mkdir()
    code = (
        "import sys, pathlib, json; from benchmarks.measuring import peak_mb; x = bytearray(80_000_000);"
        f" pathlib.Path({str(leaves / 'f')!r}).write_bytes(b'12345');"
        " pathlib.Path(sys.argv[1]).write_text(json.dumps({'run': {'wall_s': 1.0}, 'peak_mb': peak_mb()}))"
    )
    large = bytearray(200_000_000)  # of who starts the part: none of the part's own
    large[::4096] = b"1" * len(large[::4096])
    found = measure("part", "1", 2, [sys.executable, "-c", code], leaves)
    assert 76 < found.peak_mb < 190
    assert found.cpu_s > 0
    assert (found.part, found.repeat, found.disk_bytes, found.details) == ("part", 2, 5, {"run": {"wall_s": 1.0}})
    assert folder_bytes(tmp_path) == 5
    assert measure("part", "1", 1, [sys.executable, "-c", "pass"]).peak_mb == 0.0
    with pytest.raises(PartFailedError, match=r"part at 1 ended with code 1: .*boom"):
        measure("part", "1", 1, [sys.executable, "-c", "raise SystemExit('boom')"])
    states = iter([("machine", "before"), ("machine", "after")])
    monkeypatch.setattr("benchmarks.measuring.present", lambda: next(states))
    with pytest.raises(PartFailedError, match="part at 1: the code changed while it was measured"):
        measure("part", "1", 1, [sys.executable, "-c", "pass"])


def test_results_outlive_an_interrupted_line(tmp_path):
    file = tmp_path / "folder" / "measured.jsonl"
    assert kept(file) == []
    one, two = _measured("floor", "1", 1, 2.0), _measured("floor", "1", 2, 4.0)
    keep(file, one)
    keep(file, two)
    with file.open("a", encoding="utf-8") as lines:
        lines.write('{"part": "flo')
    assert kept(file) == [one, two]


def test_plan_measures_each_repetition_once(tmp_path, monkeypatch):
    write_company(tmp_path / "land0.002", Company(2000, 200))
    told = []
    plan = Plan(tmp_path, tmp_path / "measured.jsonl", [0.002], 1, ["floor"], told.append)
    plan.carry_out()
    replace(plan, repeats=2).carry_out()
    found = kept(tmp_path / "measured.jsonl")
    assert [(part.part, part.size, part.repeat) for part in found] == [("floor", "0.002", repeat) for repeat in (1, 2)]
    assert len(told) == 2
    assert all(part.details["run"]["wall_s"] > 0 for part in found)
    assert {part.of for part in found} == {present()}
    # the figures of another machine, and of other code, are others
    monkeypatch.setattr("benchmarks.plan.present", lambda: ("another machine", present()[1]))
    plan.carry_out()
    assert len(told) == 3
    (tmp_path / "land0.002" / "company.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="holds another company"):
        plan.carry_out()


def test_the_tables_behind_an_answer_are_those_that_it_reads_through_others(declared):
    made = with_their_sources(declared, ["activation_cohort"])
    assert {"raw_events", "rule_events", "account_tenure", "thresholds_in_force", "activation_cohort"} <= set(made)
    assert {"feature_matrix", "maturity_categories", "milestone_summary"}.isdisjoint(made)
    assert made == [name for name in declared.tables if name in made]


def test_every_part_is_known():
    assert set(ALL_PARTS) - set(PARTS) == {"day of a short history", "day that closes a month", "imports", "help"}


def test_ratio_of_medians_spans_the_worst_and_the_best_pair():
    upper, lower = Spread.of([30.0, 10.0, 20.0]), Spread.of([5.0, 4.0, 10.0])
    assert ratio(upper, lower) == Spread(4.0, 1.0, 7.5, 3)
    assert ratio(upper, None) is None
    assert ratio(upper, replace(lower, source=("another machine", "code"))) is None
    assert Spread.of([]) is None


def test_report_computes_the_goals_and_says_what_was_not_run():
    table = {"gate_wall_s": 1.0, "cpu_s": 3.0}
    lines = [
        {"table": "raw_events", "wall_s": 40.0, **table},
        {"table": "accounts", "wall_s": 8.0, **table},
        {"table": report.FOREST, "wall_s": 12.0, **table},
    ]
    product = {"run": {"wall_s": 66.0}, "tables": lines, "serving_s": 2.0, "rest_s": 4.0}
    measured = [
        _measured("gated", "100", 1, 66.0, product),
        _measured(
            "limit",
            "100",
            1,
            36.0,
            {"run": {"wall_s": 36.0}, "tables": [{"table": "events", "wall_s": 30.0}, {"table": "accounts", "wall_s": 6.0}]},
        ),
        _measured("floor", "100", 1, 4.0),
        _measured("gated", "10", 1, 6.0, {**product, "run": {"wall_s": 6.0}}),
        _measured(
            "day", "100", 1, 1.1, {"run": {"wall_s": 1.1}, "tables": [], "serving_s": 0.1, "rest_s": 0.5, "refused": ["a", "b"]}
        ),
    ]
    text = markdown(Results(measured), ["raw_events", "accounts"], ["raw_events"])
    assert "Refused by their rules, so that nothing followed them: day at 100 M: a, b." in text
    told = {cells[1].strip(): cells[4].strip() for line in text.splitlines() if len(cells := line.split("|")) == 9}
    assert told["whole graph without the forest, gates on / limit"] == "1.5"  # (66 - 12) / 36
    assert told["the same, of the tables that the limit makes (no statistics, no Dagster)"] == "1.39"  # (40 + 8 + 2) / 36
    assert told["gates' share of that"] == "3.7 %"  # 2 / 54
    assert told["everything after account_event_daily and rule_events / floor"] == "2"  # 8 / 4
    assert told["time at 100 M / time at 10 M"] == "11"
    assert told["one more day / full rebuild, 24 months"] == "0.0167"
    assert told["Dagster's own cost in a daily run"] == "0.5 s"
    assert told["peak memory at 100 M events"] == "100 MiB"
    assert told["peak memory at 1 B events"] == report.NOT_RUN
    assert told["pandas / product at 10 M events: time"] == report.NOT_RUN


@pytest.mark.parametrize(
    ("number", "told"), [(0.00123, "0.0012"), (2.834, "2.83"), (999.4, "999"), (999.6, "1,000"), (3345.3, "3,345")]
)
def test_a_figure_is_told_without_a_power_of_ten(number, told):
    assert report.shown(Spread.of([number]), "") == told


def test_a_median_is_of_one_machine_and_one_state_of_the_code():
    old = [_measured("floor", "1", repeat, 9.0) for repeat in (1, 2, 3)]
    new = [replace(_measured("floor", "1", 1, 2.0), machine="cores 2", code="x", commit="def"), _measured("limit", "1", 1, 8.0)]
    assert newest([*old, *new]) == new
    told = markdown(Results([*old, *new]), [], [])
    assert "Machine: cores 2 (floor 1 M); of not recorded (limit 1 M)." in told
    assert "Commit: def (floor 1 M); of abc (limit 1 M)." in told
    assert "| 1 M | floor | 2 |" in told


def test_report_stands_between_its_markers_and_the_chart_is_small(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.write(readme, "new")
    assert readme.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="are missing"):
        report.write(_plain(tmp_path), "new")
    picture = tmp_path / "results" / "seconds.svg"
    report.chart(Results([_measured("floor", size, 1, float(size)) for size in ("1", "10")]), picture)
    assert 1000 < picture.stat().st_size < 100_000


def _plain(folder):
    path = folder / "plain.md"
    path.write_text("nothing", encoding="utf-8")
    return path


def _measured(part, size, repeat, wall_s, details=None):
    told = details if details is not None else {"run": {"wall_s": wall_s}}
    return Measured(part, size, repeat, wall_s + 1, wall_s, 100.0, 0, "2026-01-01T00:00:00+00:00", "abc", 0.1, told)


def _rows(path):
    with duckdb.connect() as connection:
        return (
            connection.from_parquet(str(path))
            .aggregate("count(*), sum(hash(event_id, account_id, user_id, event, occurred_at, received_at, properties)::HUGEINT)")
            .fetchone()
        )
