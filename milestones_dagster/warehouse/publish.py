"""The gate: stage → audit → publish, one connection, one transaction. A bad table never replaces a good one.

Put here when a table is behind, how its rows are staged and under which condition they take its name. Keep out what a rule is
(`quality`) and the days of raw_events (`days.py`), which are files and have their own way through the same gate.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, Literal

from sqlglot import exp

from milestones_dagster.config.relations import Relation
from milestones_dagster.warehouse import changes, cutoff, day_rows, increments, operations
from milestones_dagster.warehouse.day_files import accepted_rows
from milestones_dagster.warehouse.duckdb import Warehouse, empty_rows, pivoted, published, staged, widen
from milestones_dagster.warehouse.gate import Audit, Result, blocks
from milestones_dagster.warehouse.increments import Part
from milestones_dagster.warehouse.operations import Publication
from milestones_dagster.warehouse.reading import columns_read
from milestones_dagster.warehouse.table import Relation as Named
from milestones_dagster.warehouse.table import Table

if TYPE_CHECKING:
    import pandas as pd

Compute = Callable[["pd.DataFrame", Mapping[str, "pd.DataFrame"]], "pd.DataFrame"]
_COMPUTED = "computed_frame"
_GIVEN = exp.table_("given_rows", db="temp")
_LONG = exp.table_("long_rows", db="temp")
NEVER_MADE = "never made"


@dataclass(frozen=True)
class Inputs:
    """What one table is made from, besides other tables.

    `config` and `run` are the relations as attached; `sources` the query of every source that the SELECT names and
    `source_signature` what those files are; `suite` a digest of the rules; `compute` the `then:` function, when there is one, and
    `compute_config` a digest of what it reads of the framework.
    """

    config: Mapping[str, Relation]
    run: Mapping[str, Relation]
    as_of: datetime | None
    fingerprint: str
    suite: str
    run_id: str
    now: datetime
    sources: Mapping[str, exp.Query] = field(default_factory=dict)
    source_signature: str = ""
    compute: Compute | None = None
    compute_config: str = ""


@dataclass(frozen=True)
class Publishing(Generic[Result]):
    """What became of a table: its state, the results of its rules, its rows, what of it was made, and why.

    `part` is what a table by month made of itself, None where that was all; `rows_made` counts the rows made.
    """

    state: Literal["made", "unchanged", "refused"]
    results: Sequence[Result]
    row_count: int
    days_made: tuple[date, ...]
    reason: str
    part: Part | None = None
    rows_made: int = 0


@dataclass(frozen=True)
class Behind:
    """Why a table is behind; `days` are those it would make again (tables by day), `part` what it would (tables by month)."""

    reason: str | None
    signature: str
    days: Mapping[date, str]
    is_rebuild: bool
    part: Part | None = None
    own: str = ""


def features_of(config: Mapping[str, Relation]) -> list[tuple[str, str, bool]]:
    """Name, title and `no row means 0` of every feature of the catalogue, in order."""
    relation = config["feature"]
    place = {column: number for number, column in enumerate(relation.columns)}
    rows = sorted(relation.rows, key=lambda row: int(str(row[place["position"]])))
    return [(str(row[place["feature"]]), str(row[place["title"]]), row[place["measure"]] != "attribute") for row in rows]


def pivot_shape(table: Table, config: Mapping[str, Relation]) -> tuple[list[str], list[tuple[str, bool]]]:
    """The columns of a pivoted table that stay, and each of the others with whether `no row means 0`."""
    features = [(name, is_zero) for name, _, is_zero in features_of(config)]
    return [column.name for column in table.columns if column.name not in dict(features)], features


def behind(warehouse: Warehouse, table: Table, inputs: Inputs) -> Behind:
    """Why `table` must be made again, None as the reason when it is up to date."""
    before = operations.publications(warehouse).get(table.name)
    meaning = _digest([table.code_hash, inputs.suite, _relations_digest(table, inputs), inputs.compute_config])
    if table.by == "day":
        wanted = {day: _digest([meaning, signature]) for day, signature in operations.published_days(warehouse).items()}
        held = operations.publication_days(warehouse, table.name)
        days = {day: signature for day, signature in wanted.items() if held.get(day) != signature}
        signature = _digest(f"{day}:{value}" for day, value in sorted(wanted.items()))
        is_rebuild = before is None or not set(held) - set(days)
        if before is None:
            return Behind(NEVER_MADE, signature, days, is_rebuild=True)
        return Behind(f"{len(days)} day(s) differ" if days else None, signature, days, is_rebuild)
    upstream = cutoff.states(warehouse, table.dependencies)
    days_signature = _digest(operations.published_days(warehouse).values()) if "raw_events" in table.dependencies else ""
    signature = _digest([meaning, inputs.source_signature, days_signature, *upstream])
    if before is None:
        reason = NEVER_MADE
    elif before.signature == signature:
        reason = None
    elif before.code_hash != table.code_hash:
        reason = "its definition changed"
    elif before.as_of != inputs.as_of:
        reason = f"it is as of {before.as_of:%Y-%m-%d}" if before.as_of else "it has no as-of time"
    elif before.fingerprint != inputs.fingerprint:
        reason = "the framework config changed"
    else:
        reason = "what it is made from changed"
    if table.by != "month" or inputs.as_of is None:
        return Behind(reason, signature, {}, is_rebuild=True)
    # the instants of closed months are those of the zone, which a table may know by `run.months` alone
    lasting = _digest([table.code_hash, inputs.suite, _relations_digest(table, inputs, kinds=("config",)), _time_zone(inputs)])
    own = increments.own_digest(warehouse, table, lasting, inputs.run)
    part = increments.part_of(warehouse, table, own, inputs.as_of, inputs.run) if reason is not None else None
    return Behind(reason if part is None else part.told(), signature, {}, is_rebuild=part is None, part=part, own=own)


def make(
    warehouse: Warehouse,
    table: Table,
    inputs: Inputs,
    audit: Audit[Result],
    on_commit: Callable[[], None] | None = None,
) -> Publishing[Result]:
    """Brings `table` up to date behind its gate.

    The rows are staged and audited in one transaction and take the table's name only when no blocking rule fails; otherwise
    everything is rolled back and the published rows are as they were. A table that is up to date is audited as it stands.

    Raises:
        Whatever the engine or the `then:` function raises; nothing is published then.
    """
    state = behind(warehouse, table, inputs)
    try:
        return _make(warehouse, table, inputs, state, audit, on_commit)
    finally:
        # whatever became of the table; dropped in a transaction that is rolled back, they would be there again
        warehouse.forget(_LONG, _GIVEN)


def _make(
    warehouse: Warehouse,
    table: Table,
    inputs: Inputs,
    state: Behind,
    audit: Audit[Result],
    on_commit: Callable[[], None] | None,
) -> Publishing[Result]:
    given = _kept_aside(warehouse, table, inputs, state)
    is_computed = given is not None and given == changes.given(warehouse, table.name) and warehouse.exists(published(table))
    if state.reason is None or is_computed:
        rows = _count(warehouse, published(table))
        results = audit(table, published(table))
        if any(blocks(result) for result in results):
            # the rows are as they were, but a rule reads what the SELECT does not, such as a changed config
            return Publishing("refused", results, rows, (), "a rule fails on the published rows")
        # the same rows are what this as-of time and this config give, too
        operations.confirm_publication(warehouse, table.name, state.signature, inputs.as_of, inputs.fingerprint)
        cutoff.remember_inputs(warehouse, table)
        reason = "nothing changed" if state.reason is None else "what it is computed from came out the same"
        return Publishing("unchanged", results, rows, (), reason)
    connection = warehouse.connection
    connection.begin()
    try:
        _stage(warehouse, table, inputs, state)
        rows_made = _count(warehouse, _made(table) if state.part is not None else staged(table))
        # counted before the audit: a rule that cannot be evaluated may abort the transaction
        rows = _count(warehouse, staged(table))
        results = audit(table, staged(table))
        if any(blocks(result) for result in results):
            connection.rollback()
            return Publishing("refused", results, rows, tuple(sorted(state.days)), state.reason, state.part, rows_made)
        if table.by != "day":
            _remember_state(warehouse, table, inputs, state)
        _publish(warehouse, table, state)
        rows = _count(warehouse, published(table))
        operations.record_publication_days(warehouse, table.name, state.days)
        if table.by == "month" and inputs.as_of is not None:
            increments.record_made(warehouse, table, state.own, inputs.as_of)
        if given is not None:
            changes.record_given(warehouse, table.name, given)
        operations.record_publication(
            warehouse,
            Publication(table.name, state.signature, inputs.as_of, inputs.fingerprint, table.code_hash, rows),
            inputs.run_id,
            inputs.now,
        )
        cutoff.remember_inputs(warehouse, table)
        if on_commit is not None:
            on_commit()
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return Publishing("made", results, rows, tuple(sorted(state.days)), state.reason, state.part, rows_made)


def _stage(warehouse: Warehouse, table: Table, inputs: Inputs, state: Behind) -> None:
    if table.by == "day":
        _stage_days(warehouse, table, sorted(state.days))
        return
    if state.part is not None:
        _stage_part(warehouse, table, inputs, state.part)
        return
    if table.pivot:
        widen(warehouse, _LONG, staged(table), *pivot_shape(table, inputs.config), table.order)
        return
    select = _selected(warehouse, table, inputs, {}) if inputs.compute is None else _computed(warehouse, table, inputs.compute)
    warehouse.execute(exp.Create(this=staged(table), kind="TABLE", expression=_ordered(table, select)))
    if inputs.compute is not None:
        warehouse.connection.unregister(_COMPUTED)


def _computed(warehouse: Warehouse, table: Table, compute: Compute) -> exp.Select:
    """What a `then:` function makes of the rows that it is given (see `_given`), registered as `_COMPUTED`."""
    frame = warehouse.execute(exp.select("*").from_(_GIVEN)).df()
    warehouse.connection.register(_COMPUTED, compute(frame, {name: warehouse.frame(name) for name in table.also}))
    # a frame has pandas' types; the declared ones are what the table promises
    columns = [
        exp.alias_(exp.cast(exp.column(column.name), column.type, dialect="duckdb"), column.name, quoted=True)
        for column in table.columns
    ]
    return exp.select(*columns).from_(_COMPUTED)


def _selected(warehouse: Warehouse, table: Table, inputs: Inputs, narrowed: Mapping[str, exp.Query]) -> exp.Query:
    """The SELECT of a table as it runs here, not pivoted, with `narrowed` in the place of relations."""
    replacements: dict[str, exp.Query] = {**inputs.sources, **narrowed}
    if table.keeps and not warehouse.exists(published(table)):
        replacements[table.name] = empty_rows({column.name: column.type for column in table.columns})
    for name in table.unread:
        # published or not, it must not tell here: the same rows from the same config, whatever else was made
        replacements[name] = empty_rows({column.name: column.type for column in warehouse.tables[name].columns})
    return warehouse.runnable(table, replacements)


def _part(warehouse: Warehouse, table: Table, inputs: Inputs, narrowed: Mapping[str, exp.Query]) -> exp.Select:
    """The rows that a table by month has of `narrowed` relations: few enough to be made wide at once."""
    select = _selected(warehouse, table, inputs, narrowed)
    return _from(pivoted(select, *pivot_shape(table, inputs.config)) if table.pivot else select)


def _ordered(table: Table, select: exp.Query) -> exp.Query:
    return _from(select).order_by(*(exp.column(name) for name in table.order), copy=False)


def _from(select: exp.Query) -> exp.Select:
    """All columns of a query, which is not copied: the tree is large and has no other owner."""
    return exp.select("*").from_(select.subquery("made", copy=False), copy=False)


def _stage_part(warehouse: Warehouse, table: Table, inputs: Inputs, part: Part) -> None:
    """Stages the rows of a part, and the table as it would stand with them: that is what the gate judges."""
    later = increments.in_months(table, part)
    made = _part(warehouse, table, inputs, increments.months_of(warehouse, table, part))
    warehouse.execute(exp.Create(this=_made(table), kind="TABLE", expression=_ordered(table, made.where(later, copy=False))))
    if part.accounts:
        made = _part(warehouse, table, inputs, increments.accounts_of(warehouse, table))
        warehouse.execute(exp.insert(_ordered(table, made.where(later.not_(), copy=False)), _made(table), copy=False))
    kept = exp.select("*").from_(published(table)).where(_replaced(table, part).not_())
    whole = exp.union(exp.select("*").from_(_made(table)), kept, distinct=False)
    warehouse.execute(exp.Create(this=staged(table), kind="VIEW", expression=whole))


def _replaced(table: Table, part: Part) -> exp.Expr:
    """The condition on published rows that a part replaces."""
    return exp.or_(increments.in_months(table, part), increments.is_concerned())


def _made(table: Table) -> exp.Table:
    """The name of the rows that a part makes."""
    return exp.table_(f"{table.name}__made", db=table.schema, quoted=True)


def _kept_aside(warehouse: Warehouse, table: Table, inputs: Inputs, state: Behind) -> str | None:
    """Keeps the rows aside that staging reads; returns what a `then:` function is given of them (see `_given`).

    Before the transaction: all threads read committed rows, one alone those that its own transaction has written.
    """
    if state.reason is None:
        return None
    if table.pivot and state.part is None:
        # a value per account, date and feature, and the wide rows sorted, do not fit into bounded memory at one time
        warehouse.hold(_LONG, _selected(warehouse, table, inputs, {}))
    return _given(warehouse, table, inputs) if inputs.compute is not None else None


def _given(warehouse: Warehouse, table: Table, inputs: Inputs) -> str:
    """Digest of what the `then:` function of a table would be given: its code, rows, further tables and config.

    The rows are left in a temporary relation, so that the SELECT runs once whether or not they are what they were.
    """
    config = _relations_digest(table, inputs, kinds=("config",))
    warehouse.hold(_GIVEN, _selected(warehouse, table, inputs, {}))
    rows = cutoff.signature(warehouse, exp.select("*").from_(_GIVEN))
    return _digest([table.code_hash, config, inputs.compute_config, rows, *cutoff.states(warehouse, table.also)])


def _remember_state(warehouse: Warehouse, table: Table, inputs: Inputs, state: Behind) -> None:
    """Tells who reads the table whether the staged rows differ from those that they replace, and tables by month where."""
    made, replaced = staged(table), exp.select("*").from_(published(table))
    if state.part is not None:
        made, replaced = _made(table), replaced.where(_replaced(table, state.part))
    is_like = warehouse.exists(published(table)) and warehouse.columns(published(table)) == warehouse.columns(made)
    if increments.is_followed(warehouse, table.name):
        increments.record_changes(warehouse, table, made, replaced if is_like else None, inputs.run)
    elif not is_like or cutoff.signature(warehouse, exp.select("*").from_(made)) != cutoff.signature(warehouse, replaced):
        changes.record_version(warehouse, table.name, [])


def _stage_days(warehouse: Warehouse, table: Table, days: Sequence[date]) -> None:
    counts = dict(warehouse.rows("SELECT day, rows FROM operations.days"))
    batches: list[list[date]] = [[]]
    size = 0
    for day in days:
        if size >= day_rows.BATCH_ROWS:
            batches.append([])
            size = 0
        batches[-1].append(day)
        size += counts.get(day) or 0
    for number, batch in enumerate(batches):
        select = warehouse.runnable(table, {"raw_events": accepted_rows(warehouse, batch)})
        ordered = _ordered(table, select)
        if number == 0:
            warehouse.execute(exp.Create(this=staged(table), kind="TABLE", expression=ordered))
        else:
            warehouse.execute(exp.insert(ordered, staged(table)))


def _publish(warehouse: Warehouse, table: Table, state: Behind) -> None:
    """Gives the staged rows the table's name, or replaces its days or its months and accounts."""
    target = published(table)
    if state.part is not None:
        warehouse.execute(exp.delete(target, where=_replaced(table, state.part)))
        warehouse.execute(exp.insert(exp.select("*").from_(_made(table)), target))
        warehouse.execute(exp.Drop(tables=[staged(table)], kind="VIEW"))
        warehouse.execute(exp.Drop(tables=[_made(table)], kind="TABLE"))
        return
    if not state.is_rebuild and warehouse.exists(target):
        days = [exp.cast(exp.Literal.string(day.isoformat()), "DATE") for day in sorted(state.days)]
        warehouse.execute(exp.delete(target, where=exp.column("day").isin(*days)))
        warehouse.execute(exp.insert(exp.select("*").from_(staged(table)), target))
        warehouse.execute(exp.Drop(tables=[staged(table)], kind="TABLE"))
        return
    warehouse.execute(exp.Drop(tables=[target], kind="TABLE", exists=True))
    rename = exp.Alter(this=staged(table), kind="TABLE", actions=[exp.AlterRename(this=exp.table_(table.name, quoted=True))])
    warehouse.execute(rename)


def _count(warehouse: Warehouse, relation: exp.Table) -> int:
    return int(warehouse.scalar(exp.select(exp.Count(this=exp.Star())).from_(relation)))


def _relations_digest(table: Table, inputs: Inputs, kinds: Sequence[str] = ("config", "run")) -> str:
    named = {
        f"{relation.kind}.{relation.name}": (inputs.config if relation.kind == "config" else inputs.run).get(relation.name)
        for relation in table.relations
        if relation.kind in kinds
    }
    parts = [
        f"{name}:{json.dumps(_meant_rows(table, name, relation), default=str)}"
        for name, relation in sorted(named.items())
        if relation is not None
    ]
    return _digest(parts)


def _meant_rows(table: Table, name: str, relation: Relation) -> list[list[object]]:
    """The rows of a relation; of what is known of the run the columns that the table reads, as evidence stands still in a month."""
    meant = set(relation.columns)
    if name == "run.observation":
        meant = columns_read(table.select, Named("run", "observation"), relation.columns)
    kept = [number for number, column in enumerate(relation.columns) if column in meant]
    return [[row[number] for number in kept] for row in relation.rows]


def _time_zone(inputs: Inputs) -> str:
    product = inputs.config["product"]
    return str(product.rows[0][list(product.columns).index("time_zone")])


def _digest(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
