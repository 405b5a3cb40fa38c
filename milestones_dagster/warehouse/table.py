"""Declaration of a table: what one `.sql` file says of itself, and the relations that it reads.

Put here how a `.sql` file is read: header, columns, key, the dialect's limits, the names behind `FROM`. Keep out running it
(`duckdb.py`) and publishing it (`publish.py`): this module opens no connection, so the code server can import it cheaply.

A file is a YAML header in a block comment, then one `SELECT` in the house dialect::

    /*
    about: What one row of the table tells.
    grain: one row per account
    key: [account_id]
    columns:
      account_id: VARCHAR NOT NULL -- The account's own identifier.
      wait_days: DOUBLE [days] -- Days of waiting; NULL while it goes on.
    */
    SELECT ...
"""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.optimizer.scope import traverse_scope

from milestones_dagster.config.plain_yaml import read_yaml
from milestones_dagster.warehouse.dialect import refuse_foreign_words

SQL_ROOT = Path(__file__).resolve().parent.parent / "sql"
SCHEMAS = ("raw", "staging", "milestones", "evidence")
EVENTS = "raw_events"
SOURCES = ("events", "accounts", "users", "subscriptions")
RUN_RELATIONS = ("observation", "version", "months", "days", "files", "notes", "sources")

_HEADER = re.compile(r"\A\s*/\*(?P<header>.*?)\*/(?P<body>.*)\Z", re.DOTALL)
_COLUMN = re.compile(
    r"\A(?P<type>[A-Z][A-Z0-9_]*(?:\[\])?)(?P<required> NOT NULL)?(?: \[(?P<unit>[^\]]+)\])? -- (?P<about>.+)\Z",
    re.DOTALL,
)
_CONFIG = "config."
_EVIDENCE_IMPORT = re.compile(
    r"^\s*from milestones_dagster\.evidence(?:\.(?P<module>\w+) import | import (?P<modules>\w+(?:, \w+)*))", re.MULTILINE
)
# what is imported for its types alone stands indented
_CONFIG_IMPORT = re.compile(r"^from milestones_dagster\.config\.(?P<module>\w+) import", re.MULTILINE)
# what of a header says how the rows come about and which columns hold them; the rest is words, drawings and order
_MEANT_HEADER_KEYS = ("key", "by", "month_of", "windows", "reads_back", "keeps", "then", "also", "pivot", "where_auto")
_KNOWN_HEADER_KEYS = {
    "about",
    "grain",
    "key",
    "columns",
    "columns_as",
    "by",
    "month_of",
    "windows",
    "reads_back",
    "keeps",
    "then",
    "also",
    "pivot",
    "order",
    "where_auto",
    "plot",
    "plot_with",
}


class TableError(Exception):
    """A `.sql` file that cannot be accepted: the sentence names file, place, what was found and what would be right."""


@dataclass(frozen=True)
class Column:
    """One declared column: `type` is DuckDB's name, `unit` and `about` are for people."""

    name: str
    type: str
    is_nullable: bool
    unit: str | None
    about: str


@dataclass(frozen=True)
class Relation:
    """One relation behind a `FROM`: `kind` is `table`, `config`, `run` or `source`."""

    kind: str
    name: str


@dataclass(frozen=True)
class Table:
    """The declaration of one table.

    `by` is `day` for a table that is replaced by UTC days, `month` for one that is replaced by months and accounts, and else None;
    `month_of` is the column that tells a row's month; `windows` names the table of the outcomes' windows on which its rows hang;
    `reads_back` is how many months before its own a row reads of other tables by month;
    `then` names a function `evidence.<module>.<name>`
    that turns the SELECT's frame (and the tables of `also`) into the table; `keeps` says that the SELECT reads the table's
    own published rows; `pivot` says that the SELECT's (feature, value) pairs become one column per configured feature;
    `where_auto` names, by milestone (or `areas`), the tables that are read only where the config says `threshold: auto` for it (for
    any area); `unread` are those of them that this company's config does not ask for: no dependencies, and empty to the SELECT;
    `plot` names a function `charts.<module>.<name>` that draws the published rows, with those of the tables and `config.`
    relations of `plot_with`: the tables among them are made before this one;
    `first_line` is the line of the file on which the SELECT begins; `shape` is what the header says of how rows come about.
    """

    name: str
    schema: str
    path: Path
    about: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    select_text: str
    by: str | None = None
    month_of: str = "month"
    windows: str | None = None
    reads_back: int = 0
    keeps: bool = False
    then: str | None = None
    also: tuple[str, ...] = ()
    pivot: bool = False
    order: tuple[str, ...] = ()
    where_auto: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = field(default=())
    plot: str | None = None
    plot_with: tuple[str, ...] = ()
    first_line: int = 1
    shape: str = ""

    @cached_property
    def select(self) -> exp.Query:
        """The parsed SELECT; callers copy it before they change it."""
        return _parse(self.path, self.select_text, self.first_line).query

    @property
    def dependencies(self) -> tuple[str, ...]:
        """Names of the tables of ours that must be made before this one, sorted."""
        names = {relation.name for relation in self.relations if relation.kind == "table"} | set(self.also) | set(self.follows)
        names |= {name for name in self.plot_with if not name.startswith(_CONFIG)}
        return tuple(sorted(names - {self.name} - set(self.unread)))

    @property
    def reads_run(self) -> bool:
        """Whether the SELECT reads what is known of the run, such as its as-of time."""
        return any(relation.kind == "run" for relation in self.relations)

    @property
    def config_relations(self) -> tuple[str, ...]:
        """Names of the `config` relations that the SELECT reads, sorted."""
        return tuple(sorted({relation.name for relation in self.relations if relation.kind == "config"}))

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the declared sources that the SELECT reads, sorted."""
        return tuple(sorted({relation.name for relation in self.relations if relation.kind == "source"}))

    @property
    def suite_path(self) -> Path | None:
        """The product's own invariants beside the `.sql`, when there are any."""
        path = self.path.with_suffix(".yaml")
        return path if path.exists() else None

    def with_features(self, features: Sequence[tuple[str, str]]) -> "Table":
        """The declaration with one DOUBLE column per feature (name, title) where the table pivots, else itself."""
        if not self.pivot:
            return self
        added = tuple(Column(name, "DOUBLE", is_nullable=True, unit=None, about=title) for name, title in features)
        return replace(self, columns=self.columns + added)

    @cached_property
    def code_hash(self) -> str:
        """Hash of what the table means: its shape, the normalised SELECT and the source of its `then:` function's module."""
        digest = sha256(f"{self.shape}\n{_parse(self.path, self.select_text, self.first_line).normalised}".encode())
        if self.then is not None:
            for part in self._then_modules:
                digest.update(part.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def _then_modules(self) -> list[Path]:
        if self.then is None:
            return []
        return _with_imports(SQL_ROOT.parent.joinpath(*self.then.split(".")[:-1]).with_suffix(".py"))


def load_tables(
    root: Path = SQL_ROOT, *, config_relations: Iterable[str] | None = (), auto: Collection[str] | None = None
) -> dict[str, Table]:
    """All tables below `root` in the order in which they can be made (dependencies first, then by name).

    Args:
        root: Folder with one folder of `.sql` files per schema.
        config_relations: Names of the relations that the config makes; None where no config is at hand, then any name is taken.
        auto: Milestones, and `areas`, whose threshold the config leaves to the data; None where no config is at hand, then all
            that may be.

    Raises:
        TableError: a header, a column, a word outside the dialect, an unknown relation or a circle of tables.
    """
    tables = [_read(path) for schema in SCHEMAS for path in sorted((root / schema).glob("*.sql"))]
    by_name = {table.name: table for table in tables}
    if len(by_name) != len(tables):
        twice = sorted({table.name for table in tables if sum(other.name == table.name for other in tables) > 1})
        raise TableError(f"{root}: two files declare the table {twice[0]}; a table's name is its file's name, once")
    known_config = None if config_relations is None else tuple(config_relations)
    resolved = {table.name: _with_relations(table, by_name, known_config, auto) for table in tables}
    if EVENTS in resolved:
        # the as-of time of a run is settled by the published days: who reads it follows them, through other tables or directly
        for name, table in resolved.items():
            if table.reads_run and name != EVENTS and EVENTS not in _above(name, resolved):
                resolved[name] = replace(table, follows=(EVENTS,))
    return _in_order(resolved)


def _above(name: str, tables: Mapping[str, Table]) -> set[str]:
    """All tables that `name` reads, directly or through others."""
    found: set[str] = set()
    waiting = list(tables[name].dependencies)
    while waiting:
        above = waiting.pop()
        if above in tables and above not in found:
            found.add(above)
            waiting.extend(tables[above].dependencies)
    return found


def _with_imports(module: Path) -> list[Path]:
    """A module of evidence, those of evidence that it imports, directly or through others, and of config that they run, by path."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        text = path.read_text(encoding="utf-8")
        found.update(module.parents[1] / "config" / f"{match['module']}.py" for match in _CONFIG_IMPORT.finditer(text))
        for match in _EVIDENCE_IMPORT.finditer(text):
            names = [match["module"]] if match["module"] else match["modules"].split(", ")
            waiting += [path.with_name(f"{name}.py") for name in names]
    return sorted(found)


def relation_of(node: exp.Table) -> Relation | None:
    """The relation that a parsed table name means, None when its prefix is none of ours."""
    prefix = node.db
    if not prefix:
        return Relation("table", node.name)
    if prefix in {"config", "run", "source"}:
        return Relation(prefix, node.name)
    if prefix in SCHEMAS:
        return Relation("table", node.name)
    return None


def _read(path: Path) -> Table:
    text = path.read_text(encoding="utf-8")
    match = _HEADER.match(text)
    if match is None:
        raise TableError(f"{path}: no header; a table's file begins with a /* … */ block that declares it")
    try:
        header = read_yaml(match["header"])
    except yaml.YAMLError as error:
        raise TableError(f"{path}: the header is not YAML: {error}") from error
    unknown = sorted(set(header) - _KNOWN_HEADER_KEYS)
    if unknown:
        close = difflib.get_close_matches(unknown[0], _KNOWN_HEADER_KEYS)
        raise TableError(f"{path}: header key {unknown[0]!r} is unknown; closest: {', '.join(close) or 'none'}")
    missing = sorted({"about", "grain", "key", "columns"} - set(header))
    if missing:
        raise TableError(f"{path}: the header has no {missing[0]!r}")
    columns = _columns(path, header)
    names = {column.name for column in columns}
    for name in header["key"]:
        if name not in names:
            raise TableError(f"{path}: key column {name!r} is not among the declared columns")
    _check_by(path, header, names)
    if header.get("pivot") and "account_key" not in header["key"]:
        raise TableError(f"{path}: a table that pivots has `account_key` in its key, by which it is made wide")
    return Table(
        name=path.stem,
        schema=path.parent.name,
        path=path,
        about=" ".join(header["about"].split()),
        grain=header["grain"],
        key=tuple(header["key"]),
        columns=columns,
        select_text=match["body"].strip().rstrip(";"),
        by=header.get("by"),
        month_of=header.get("month_of", "month"),
        windows=header.get("windows"),
        reads_back=header.get("reads_back", 0),
        keeps=bool(header.get("keeps", False)),
        then=header.get("then"),
        also=tuple(header.get("also", ())),
        pivot=bool(header.get("pivot", False)),
        order=tuple(header.get("order", header["key"])),
        where_auto={milestone: tuple(names) for milestone, names in header.get("where_auto", {}).items()},
        plot=header.get("plot"),
        plot_with=tuple(header.get("plot_with", ())),
        first_line=1 + text[: len(text) - len(match["body"].lstrip())].count("\n"),
        shape=_shape(header, columns),
    )


def _shape(header: Mapping[str, Any], columns: Iterable[Column]) -> str:
    meant = {key: header[key] for key in _MEANT_HEADER_KEYS if key in header}
    return json.dumps([meant, [(column.name, column.type, column.is_nullable) for column in columns]], default=str)


def _check_by(path: Path, header: Mapping[str, Any], names: Collection[str]) -> None:
    by = header.get("by")
    if by not in {None, "day", "month"}:
        raise TableError(f"{path}: `by: {by}` is unknown; a table is made by day, by month or, without `by`, whole")
    if by == "month":
        wanted = {"account_key", header.get("month_of", "month")}
        if missing := sorted(wanted - set(names)):
            raise TableError(f"{path}: a table by month has the column {missing[0]!r}, which tells whose or of when a row is")
        back = header.get("reads_back", 0)
        if not isinstance(back, int) or isinstance(back, bool) or back < 0:
            raise TableError(f"{path}: `reads_back: {back}` is no number of months, such as 2")
    elif other := sorted({"month_of", "windows", "reads_back"} & set(header)):
        raise TableError(f"{path}: `{other[0]}` is of tables by month alone")


def _columns(path: Path, header: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns of a header: its own, then those of the table beside it that `columns_as` names, but for names it has itself."""
    own = tuple(_column(path, name, declared) for name, declared in header["columns"].items())
    if (like := header.get("columns_as")) is None:
        return own
    beside = sorted(other.stem for other in path.parent.glob("*.sql") if other != path)
    if like not in beside:
        raise TableError(f"{path}: `columns_as: {like}` is no table of ours beside it; {_closest(like, beside)}")
    names = {column.name for column in own}
    return own + tuple(column for column in _read(path.with_name(f"{like}.sql")).columns if column.name not in names)


def _column(path: Path, name: str, declared: object) -> Column:
    match = _COLUMN.match(str(declared))
    if match is None:
        raise TableError(
            f"{path}: column {name}: found {declared!r}, expected `TYPE [NOT NULL] [[unit]] -- what it means`",
        )
    return Column(name, match["type"], match["required"] is None, match["unit"], " ".join(match["about"].split()))


@dataclass(frozen=True)
class _Parsed:
    """A SELECT with what stands behind its `FROM`s; one and the same for all who read that text, so nobody changes it."""

    query: exp.Query
    sources: tuple[exp.Table, ...]

    @cached_property
    def normalised(self) -> str:
        """The SELECT in one form, however it is written."""
        return self.query.sql(dialect="duckdb", comments=False)


@cache
def _parse(path: Path, text: str, first_line: int) -> _Parsed:
    """The parsed SELECT of a file; parsing is most of the time of a start, and a process asks for the same text many times.

    Raises:
        TableError, DialectError: it is no SELECT, or not in the house dialect.
    """
    try:
        statements = sqlglot.parse(text, dialect="duckdb")
    except ParseError as error:
        raise TableError(f"{path}: {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise TableError(f"{path}: expected one SELECT, found {len(statements)} statement(s)")
    select = statements[0]
    refuse_foreign_words(select, path, text, first_line)
    # a CTE's name is a source of its scope but not an `exp.Table`, so it never becomes a dependency
    sources = [node for scope in traverse_scope(select) for node in scope.sources.values() if isinstance(node, exp.Table)]
    return _Parsed(select, tuple(sources))


def _with_relations(
    table: Table, tables: Mapping[str, Table], config_relations: tuple[str, ...] | None, auto: Collection[str] | None
) -> Table:
    parsed = _parse(table.path, table.select_text, table.first_line)
    found = [_checked(node, table, tables, config_relations) for node in parsed.sources]
    for name in table.also:
        if name not in tables:
            raise TableError(f"{table.path}: `also: {name}` is no table of ours; {_closest(name, tables)}")
    for name in table.plot_with:
        is_any_config = config_relations is None and name.startswith(_CONFIG)
        drawable = {*tables, *(f"{_CONFIG}{relation}" for relation in config_relations or ())}
        if name not in drawable and not is_any_config:
            raise TableError(
                f"{table.path}: `plot_with: {name}` is no table or config relation of ours; {_closest(name, drawable)}"
            )
    read = {relation.name for relation in found if relation.kind == "table"}
    windows = () if table.windows is None else (("windows", table.windows),)
    for key, name in (*(("where_auto", name) for names in table.where_auto.values() for name in names), *windows):
        if name not in read:
            raise TableError(f"{table.path}: `{key}: {name}` is not read by the SELECT; {_closest(name, read)}")
    unasked = [names for milestone, names in table.where_auto.items() if auto is not None and milestone not in auto]
    unread = tuple(name for names in unasked for name in names)
    return replace(table, relations=tuple(dict.fromkeys(found)), unread=unread)


def _checked(
    node: exp.Table,
    table: Table,
    tables: Mapping[str, Table],
    config_relations: tuple[str, ...] | None,
) -> Relation:
    relation = relation_of(node)
    known: Iterable[str]
    if relation is None:
        raise TableError(f"{table.path}: {node.sql()}: the prefix {node.db!r} is none of config, run, source")
    if relation.kind == "table":
        known = tables
        if relation.name == table.name and not table.keeps:
            raise TableError(f"{table.path}: the table reads itself; say `keeps: true` in its header")
    else:
        of_config = (relation.name,) if config_relations is None else config_relations
        known = {"config": of_config, "run": RUN_RELATIONS, "source": SOURCES}[relation.kind]
    if relation.name not in set(known):
        raise TableError(f"{table.path}: relation {node.sql()} is unknown; {_closest(relation.name, known)}")
    return relation


def _closest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"closest names: {', '.join(close)}" if close else "no name comes close"


def _in_order(tables: Mapping[str, Table]) -> dict[str, Table]:
    ordered: dict[str, Table] = {}
    waiting = sorted(tables)
    while waiting:
        ready = [name for name in waiting if all(before in ordered for before in tables[name].dependencies)]
        if not ready:
            raise TableError(f"{SQL_ROOT}: these tables read each other in a circle: {', '.join(waiting)}")
        ordered |= {name: tables[name] for name in ready}
        waiting = [name for name in waiting if name not in ordered]
    return ordered
