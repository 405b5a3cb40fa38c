"""One run's open warehouse with everything its tables are made from: the meeting point of config, warehouse, gate and evidence.

Put here how a table's inputs come together. Keep out Dagster (assets call it, the command line calls it) and what any part does.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property, partial
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from milestones_dagster.config.company import CompanyConfig
from milestones_dagster.config.masking import as_written
from milestones_dagster.config.relations import Relation, relations
from milestones_dagster.orchestration.engines import embedded_audit, open_engine
from milestones_dagster.quality.merging import merged
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.quality.suites import Rule, SuiteError, suite
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.day_files import show_days
from milestones_dagster.warehouse.days import DayOutcome, DayPlan, RawDays
from milestones_dagster.warehouse.duckdb import Warehouse
from milestones_dagster.warehouse.limits import within_limits
from milestones_dagster.warehouse.observation import AsOfError, Observation, run_relations
from milestones_dagster.warehouse.publish import Behind, Compute, Inputs, Publishing, behind, features_of
from milestones_dagster.warehouse.reading import EVERYTHING, framework_read
from milestones_dagster.warehouse.snapshots import SNAPSHOT_KINDS, Extract, extract, extracted_at
from milestones_dagster.warehouse.source_files import FileRefused
from milestones_dagster.warehouse.table import Table, load_tables

if TYPE_CHECKING:
    import pandas as pd

SOURCE_FILES = Rule(
    name="source_files",
    check="source_files",
    title="Every file of the source can be read and has the columns that it had",
    type="source_files",
    kwargs={},
    severity="critical",
    bound=0.0,
    recovery="correct the file, or the mapping in sources.yaml, and run again",
    origin="product",
)
SOURCE_COLUMNS = replace(
    SOURCE_FILES,
    name="source_columns",
    check="source_columns",
    title="The source has no column that it did not have at its last load",
    severity="warning",
    recovery="map the new column in sources.yaml if it is wanted; nothing is lost",
)


@dataclass(frozen=True)
class RawPublishing:
    """What became of a load of events: the look at the files, the days, and all results together."""

    plan: DayPlan
    outcome: DayOutcome[RuleResult]
    results: Sequence[RuleResult]

    @property
    def is_refused(self) -> bool:
        """Whether anything was refused that blocks what is downstream."""
        return any(not result.passed and result.rule.severity == "critical" for result in self.results)


@dataclass(frozen=True)
class Declared:
    """The tables and rules of one company, read once when definitions are loaded."""

    config: CompanyConfig
    tables: Mapping[str, Table]
    suites: Mapping[str, tuple[Rule, ...]]
    relations: Mapping[str, Relation]

    @classmethod
    def of(cls, config: CompanyConfig) -> "Declared":
        """The declared tables of `config` with their suites.

        Raises:
            TableError, DialectError, SuiteError: naming the file and what would be right; a SuiteError has the problems of all
                tables.
        """
        made = relations(config)
        features = [(name, title) for name, title, _ in features_of(made)]
        loaded = load_tables(config_relations=made, auto=config.framework.left_to_the_data)
        tables = {name: table.with_features(features) for name, table in loaded.items()}
        suites: dict[str, tuple[Rule, ...]] = {}
        problems: list[str] = []
        for name, table in tables.items():
            try:
                suites[name] = tuple(suite(table, table.suite_path, config.quality.get(name)))
            except SuiteError as error:
                problems += error.problems
        if problems:
            raise SuiteError(problems)
        return cls(config, tables, suites, made)

    def code_version(self, name: str) -> str:
        """Hash of what a table means: its SELECT, its function, and what these read of the config.

        An edited threshold changes the version of just the tables that read it.
        """
        table = self.tables[name]
        rows = [f"{relation}:{self.relations[relation].rows!r}" for relation in table.config_relations]
        return sha256("\n".join([table.code_hash, *rows, self.function_config(name)]).encode()).hexdigest()[:16]

    def function_config(self, name: str) -> str:
        """What the `then:` function of a table may read of the framework, as text; nothing where there is none."""
        then, framework = self.tables[name].then, self.config.framework
        if then is None:
            return ""
        paths = framework_read(then)
        if EVERYTHING in paths:
            return framework.model_dump_json()
        return repr([(path, attrgetter(".".join(path))(framework)) for path in sorted(paths)])

    def rules(self, name: str) -> tuple[Rule, ...]:
        """All rules that a table reports: its suite, and those about the files of its sources."""
        table = self.tables[name]
        if not table.sources:
            return self.suites[name]
        files, columns = SOURCE_FILES, SOURCE_COLUMNS
        if name == "raw_events":
            files, columns = replace(files, check="shape"), replace(columns, check="shape")
        return (files, columns, *self.suites[name])


class Session:
    """An open warehouse for the length of a run.

    Args:
        declared: Tables, rules and config.
        connection: Open connection; the caller closes it.
        folder: Folder of the day files.
        run_id: Recorded in `operations`.
        as_of: Day at whose start everything is seen; None for the watermark.
    """

    def __init__(
        self,
        declared: Declared,
        connection: duckdb.DuckDBPyConnection,
        folder: Path,
        run_id: str,
        as_of: date | None = None,
    ) -> None:
        self.declared = declared
        self.config = declared.config
        self.run_id = run_id
        self.as_of = as_of
        self.now = datetime.now(UTC).replace(tzinfo=None)
        self.warehouse = Warehouse(connection, folder, declared.tables)
        operations.prepare(self.warehouse)
        self.warehouse.attach("config", declared.relations)
        show_days(self.warehouse)
        self._audit = embedded_audit(self.warehouse, declared.suites)
        self.engine, self._audit_made = open_engine(declared.config, self.warehouse, declared.suites)
        self._extracts: dict[str, Extract] = {}

    # --- what a run knows -------------------------------------------------------------------------------------------

    @cached_property
    def days(self) -> RawDays:
        """The days of raw_events."""
        quality = self.config.quality.get("raw_events")
        return RawDays(
            self.warehouse,
            self.config.sources.events,
            self.config.dir,
            quality.quarantine if quality is not None else (),
            self.run_id,
            self.now,
        )

    @cached_property
    def observation(self) -> Observation:
        """As of when this run sees the company; settled at the first table that asks, after the events are loaded.

        Raises:
            AsOfError: nothing is loaded, or the wanted as-of time lies after the watermark.
        """
        marks: dict[str, datetime] = dict(self.days.plan().watermarks)
        if self.config.sources.events and len(marks) < len(self.config.sources.events):
            missing = sorted({source.name for source in self.config.sources.events} - set(marks))
            raise AsOfError(f"the event source {missing[0]} has loaded nothing yet; materialise raw_events first")
        marks |= self.extract_times
        observed = Observation.of(marks, self.as_of)
        newest = self.warehouse.scalar("SELECT max(as_of) FROM operations.publications")
        if self.as_of is None and newest is not None and observed.as_of < newest:
            # published tables are only ever as of the newest watermark: they are not turned back unasked
            raise AsOfError(
                f"the watermark would fall from {newest:%Y-%m-%d} to {observed.as_of:%Y-%m-%d}: {observed.held_back_by} holds it "
                "back; deliver what is missing, or see the past with --as-of",
            )
        return observed

    @cached_property
    def extract_times(self) -> dict[str, datetime]:
        """When each declared snapshot source was extracted; one without a file is left out, its own table refuses it."""
        found: dict[str, datetime] = {}
        for name in SNAPSHOT_KINDS:
            with suppress(FileRefused):
                time = extracted_at(self.config.sources, name, self.config.dir)
                if time is not None:
                    found[name] = time
        return found

    @cached_property
    def run(self) -> dict[str, Relation]:
        """The `run` relations, attached."""
        made = run_relations(self.config, self.observation, self._first_at(), self.extract_times)
        self.warehouse.attach("run", made)
        return made

    def _first_at(self) -> datetime | None:
        """Earliest time in any source."""
        times: list[datetime] = []
        first_day = self.warehouse.scalar("SELECT min(day) FROM operations.days")
        if first_day is not None:
            times.append(datetime.combine(first_day, datetime.min.time()))
        for name, column in (("accounts", "created_at"), ("subscriptions", "started_at")):
            try:
                rows = self.extract(name).rows
            except FileRefused:
                # its own table refuses it and stops what reads it; the months of the others begin without it
                continue
            first = self.warehouse.scalar(exp.select(exp.Min(this=exp.column(column))).from_(rows.subquery("first_of")))
            if first is not None:
                times.append(first)
        return min(times, default=None)

    def extract(self, name: str) -> Extract:
        """The current extract of a snapshot source, looked at once in a run.

        Raises:
            FileRefused: one of its files cannot be accepted.
        """
        if name not in self._extracts:
            self._extracts[name] = extract(self.warehouse, self.config.sources, name, self.config.dir)
        return self._extracts[name]

    # --- making -----------------------------------------------------------------------------------------------------

    def load_events(
        self,
        only: Iterable[date] | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> RawPublishing:
        """Looks at the event files and brings raw_events up to date, or only the days `only`."""
        told = progress or (lambda *_: None)
        wanted = None if only is None else set(only)
        # days are published as they are made, some at a time
        stands = "the days made before it are published, and the next run goes on there"
        with within_limits(self.warehouse.connection, "raw_events", self.warehouse.folder, stands):
            plan = self.days.look(partial(told, "files"))
            outcome = self.days.make(plan, self._audit, wanted, partial(told, "days"))
        refused = [{"file": file.file.name, "reason": self._told(file.reason)} for file in plan.refused_files] + [
            {"day": str(day), "reason": self._told(reason)} for day, reason in plan.blocked.items()
        ]
        files, columns = (rule for rule in self.declared.rules("raw_events") if rule.type == "source_files")
        seen = len(refused) + self.warehouse.scalar("SELECT count(*) FROM operations.source_files WHERE state = 'loaded'")
        results = [
            _about_files(files, refused, seen),
            _about_files(columns, [{"column": column} for column in plan.new_columns], seen),
            *merged(outcome.results),
        ]
        return RawPublishing(plan, outcome, results)

    def make(self, name: str) -> Publishing[RuleResult]:
        """Brings one table up to date behind its gate; a source file that cannot be accepted refuses it."""
        table = self.declared.tables[name]
        files: list[RuleResult] = []
        if table.sources:
            rules = [rule for rule in self.declared.rules(name) if rule.type == "source_files"]
            try:
                extracts = [self.extract(source) for source in table.sources]
            except FileRefused as error:
                reason = self._told(str(error))
                refused = [{"file": error.path.name, "reason": reason}]
                return Publishing("refused", [_about_files(rules[0], refused, 1)], 0, (), reason)
            # also what a run has published and did not live to tell
            added = operations.untold_columns(self.warehouse, name)
            added += [(path.name, column) for made in extracts for path, column in made.new_columns]
            files = [
                _about_files(rules[0], [], len(extracts)),
                _about_files(rules[1], [{"column": f"{file}: {column}"} for file, column in added], len(extracts)),
            ]
        inputs = self.inputs(name)
        with within_limits(self.warehouse.connection, name, self.warehouse.folder):
            made = self.engine.make(table, inputs, self._audit_made, partial(self._on_commit, table))
        if table.by != "day" and made.state == "unchanged":
            self._record_framework()
        return replace(made, results=[*files, *made.results])

    def _told(self, reason: str) -> str:
        """A reason as the run history may keep it: without what the config takes from the environment."""
        return as_written(reason, self.config.environment)

    def settle_news(self, name: str) -> None:
        """Forgets the new columns of a table's source; called when the results that tell of them are stored, and no sooner."""
        operations.settle_columns(self.warehouse, name)

    def behind(self, name: str) -> Behind:
        """Why a table would be made again, and what of it."""
        return behind(self.warehouse, self.declared.tables[name], self.inputs(name))

    def inputs(self, name: str) -> Inputs:
        """What the table `name` is made from besides other tables."""
        table = self.declared.tables[name]
        extracts = {source: self.extract(source) for source in table.sources}
        needs_run = table.by != "day"
        return Inputs(
            config=self.declared.relations,
            run=self.run if needs_run else {},
            as_of=self.observation.as_of if needs_run else None,
            fingerprint=self.config.fingerprint,
            suite=sha256(repr(self.declared.suites[name]).encode()).hexdigest()[:16],
            run_id=self.run_id,
            now=self.now,
            sources={f"source.{source}": made.rows for source, made in extracts.items()},
            source_signature=" ".join(f"{source}:{made.signature}" for source, made in extracts.items()),
            compute=self._compute(table),
            compute_config=self.declared.function_config(name),
        )

    def _compute(self, table: Table) -> Compute | None:
        if table.then is None:
            return None
        module, _, function = table.then.rpartition(".")

        def compute(frame: "pd.DataFrame", also: Mapping[str, "pd.DataFrame"]) -> "pd.DataFrame":
            # here and no sooner: a table that is up to date needs neither pandas nor statistics
            found = getattr(importlib.import_module(f"milestones_dagster.{module}"), function)
            made: pd.DataFrame = found(frame, self.config.framework, also)
            return made

        return compute

    def close(self) -> None:
        """Lets go of what the engine holds; the connection is the caller's."""
        self.engine.close()

    def _on_commit(self, table: Table) -> None:
        """Records, with the rows, the extracts and the definitions that they were made from."""
        for source in table.sources:
            made = self.extract(source)
            if source == table.name and made.extracted_at is not None:
                operations.record_snapshot(
                    self.warehouse, source, made.signature, made.columns, made.extracted_at, self.run_id, self.now
                )
                operations.note_columns(self.warehouse, table.name, made.new_columns, self.run_id, self.now)
        if table.by != "day":
            self._record_framework()

    def _record_framework(self) -> None:
        """Records the definitions in force, once for each fingerprint."""
        operations.record_framework(
            self.warehouse,
            self.config.fingerprint,
            {name: {"columns": dict(made.columns), "rows": made.rows} for name, made in self.declared.relations.items()},
            self.observation.as_of,
            self.run_id,
            self.now,
        )


def _about_files(rule: Rule, unexpected: Sequence[dict[str, str]], total: int) -> RuleResult:
    """The result of a rule about files: one unexpected item each, named in the sample."""
    return RuleResult(
        rule,
        passed=not unexpected,
        errored=None,
        unexpected_count=len(unexpected),
        total_count=max(total, len(unexpected)),
        share=len(unexpected) / max(total, len(unexpected), 1),
        bound=rule.bound,
        sample_keys=list(unexpected[:5]),
        sample_truncated=len(unexpected) > 5,  # noqa: PLR2004 - the sample's size
    )
