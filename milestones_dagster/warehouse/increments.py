"""What of a table by month is made again: the months whose windows are open or whose days differ, and the accounts that changed.

Put here what follows from what is remembered of each publication. Keep out how it is kept (`changes.py`), staging and
publishing (`publish.py`).

A row of a table by month is a function of its own account's rows in other tables (of tables by month, those of its own month or,
where the table `reads_back`, of so many before it), and of events before the month's close or, where the table has `windows`,
before the end of the outcome's window. So after a publication it can differ only where an account changed, or from the first month
on that holds something new or has a window that was open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from sqlglot import exp

from milestones_dagster.config.relations import Relation as Rows
from milestones_dagster.warehouse import changes, cutoff, operations
from milestones_dagster.warehouse.duckdb import DIALECT, Warehouse, published
from milestones_dagster.warehouse.reading import columns_read
from milestones_dagster.warehouse.table import Relation, Table

ACCOUNT = "account_key"
# beyond these shares it costs less to make all than to pick out: of the accounts of the largest month, of all accounts
_OPEN_MONTH = 0.25
_ALL_ACCOUNTS = 0.5
_CONCERNED = exp.table_("concerned_accounts", db="temp")
_HELD = "temp.rows_by_account"


@dataclass(frozen=True)
class Part:
    """The rows to be made again: all that are dated `starts_at` (the start of `month`) or later, and all of the concerned accounts.

    `months` is the number of months from there on, `accounts` that of the accounts that changed; `reads_from` is the first month
    (and its start) whose rows are read for them.
    """

    month: date
    starts_at: datetime
    months: int
    accounts: int
    reads_from: tuple[date, datetime]

    def told(self) -> str:
        """The part in words."""
        return f"{self.months} month(s) from {self.month:%Y-%m} on and the earlier months of {self.accounts:,} account(s) differ"


def own_digest(warehouse: Warehouse, table: Table, meaning: str, run: Mapping[str, Rows]) -> str:
    """Digest of what holds for all rows of a table: `meaning`, the first month, and what it reads of tables without accounts."""
    parts = [meaning, *(str(row[0]) for row in run["months"].rows[:1])]
    for name in table.dependencies:
        above = warehouse.tables[name]
        if above.by is None and ACCOUNT not in _names(above) and warehouse.exists(published(above)):
            columns = sorted(columns_read(table.select, Relation("table", name), _names(above)))
            rows = warehouse.rows(exp.select(*(exp.column(column) for column in columns)).from_(published(above)))
            parts.append(f"{name}:{columns}:{sorted(map(repr, rows))}")
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def day_signatures(warehouse: Warehouse, table: Table, as_of: datetime) -> dict[date, str]:
    """One signature per UTC day before the as-of time, of all tables by day that `table` reads."""
    joined: dict[date, list[str]] = {}
    for name in table.dependencies:
        if warehouse.tables[name].by == "day":
            for day, signature in operations.publication_days(warehouse, name).items():
                if day < as_of.date():
                    joined.setdefault(day, []).append(signature)
    return {day: sha256(" ".join(parts).encode()).hexdigest()[:16] for day, parts in joined.items()}


def part_of(warehouse: Warehouse, table: Table, own: str, as_of: datetime, run: Mapping[str, Rows]) -> Part | None:
    """What of `table` differs from its published rows, None where that is everything.

    The concerned accounts are left in a temporary relation, for `months_of` and `accounts_of`.
    """
    before = changes.increment(warehouse, table.name)
    months = _starts(run)
    if before is None or before.own != own or before.as_of > as_of or not months or not warehouse.exists(published(table)):
        return None
    followed = [name for name in table.dependencies if is_followed(warehouse, name)]
    held = changes.made_from(warehouse, table.name)
    if set(followed) - set(held):
        return None
    then = operations.publication_days(warehouse, table.name)
    now = day_signatures(warehouse, table, as_of)
    differing = [day for day in {*then, *now} if then.get(day) != now.get(day)]
    news = min([before.as_of, *(datetime.combine(day, time()) for day in differing)])
    since = [news]
    versions = changes.versions(warehouse)
    for name in followed:
        first = changes.first_change(warehouse, name, held[name], versions.get(name, 0))
        if first is None:
            return None
        since.append(first)
    if table.windows is not None:
        since += _first_window(warehouse, table.windows, _news_of_outcomes(before.as_of, differing, run))
    at = max((number for number, (_, starts_at) in enumerate(months) if starts_at <= min(since)), default=0)
    if at == 0:
        return None
    warehouse.execute(f"CREATE OR REPLACE TEMP TABLE {_CONCERNED.name} AS {changes.CHANGED_ACCOUNTS}", [table.name])
    accounts = int(warehouse.scalar(exp.select(exp.Count(this=exp.Star())).from_(_CONCERNED)))
    return Part(*months[at], len(months) - at, accounts, months[max(0, at - table.reads_back)])


def _news_of_outcomes(before: datetime, differing: Sequence[date], run: Mapping[str, Rows]) -> datetime | None:
    """The first time of which an outcome may be news, None where none is: outcomes are known as of the last closed month."""
    observed = run["observation"]
    row: Sequence[Any] = observed.rows[0]
    evidence_as_of: datetime = row[list(observed.columns).index("evidence_as_of")]
    days = [datetime.combine(day, time()) for day in differing]
    news = [day for day in days if day < evidence_as_of]
    if before < evidence_as_of:
        # what had closed at the as-of time before; before the first month of all nothing had
        news.append(max((starts_at for _, starts_at in _starts(run) if starts_at <= before), default=changes.EVERYTHING))
    return min(news, default=None)


def _first_window(warehouse: Warehouse, windows: str, news: datetime | None) -> list[datetime]:
    """The first date whose outcome was not known at `news`; none where nothing is news."""
    if news is None:
        return []
    dates = published(warehouse.tables[windows])
    still_open = exp.select(exp.Min(this=exp.column("observed_at"))).from_(dates).where(exp.column("known_at") > _instant(news))
    first = warehouse.scalar(still_open)
    return [] if first is None else [first]


def months_of(warehouse: Warehouse, table: Table, part: Part) -> dict[str, exp.Query]:
    """The relations of `table`, by name, as the months of `part` read them."""
    narrowed: dict[str, exp.Query] = {
        "run.months": exp.select("*")
        .from_(exp.table_("months", db="main", catalog="run"))
        .where(exp.column("starts_at") >= _instant(part.starts_at))
    }
    for name in table.dependencies:
        above = warehouse.tables[name]
        if above.by == "month" and above.month_of == table.month_of:
            narrowed[name] = exp.select("*").from_(published(above)).where(_since(above, *part.reads_from))
    return narrowed


def accounts_of(warehouse: Warehouse, table: Table) -> dict[str, exp.Query]:
    """The relations of `table`, by name, with the rows of the concerned accounts alone."""
    return {
        name: exp.select("*").from_(published(warehouse.tables[name])).where(is_concerned())
        for name in table.dependencies
        if ACCOUNT in _names(warehouse.tables[name])
    }


def in_months(table: Table, part: Part) -> exp.Expr:
    """The condition that a row is dated in the months of `part` or later."""
    return _since(table, part.month, part.starts_at)


def dated_from(table: Table, since: datetime) -> exp.Expr:
    """The condition that a row of a table by month is of the time `since`, as `record_changes` remembers it, or later."""
    # a month is remembered as the instant at which it starts somewhere on earth: up to 14 hours before its date says so
    return _since(table, (since + timedelta(hours=14)).date().replace(day=1), since)


def is_concerned() -> exp.Expr:
    """The condition that a row is of a concerned account."""
    return exp.column(ACCOUNT).isin(query=exp.select(ACCOUNT).from_(_CONCERNED))


def is_followed(warehouse: Warehouse, name: str) -> bool:
    """Whether a reader asks which accounts of a table changed.

    The serving copy asks that of every table by month; a table by month asks it of what it reads.
    """
    table = warehouse.tables[name]
    if table.by == "month":
        return True
    is_read = any(other.by == "month" and name in other.dependencies for other in warehouse.tables.values())
    return is_read and table.by != "day" and ACCOUNT in _names(table)


def record_changes(
    warehouse: Warehouse, table: Table, made: exp.Table, replaced: exp.Query | None, run: Mapping[str, Rows]
) -> None:
    """Remembers which accounts, or from when on all of them, differ between the rows made and those that they replace.

    Called inside the transaction, before the rows take the table's name. `replaced` is None where there is nothing comparable.
    """
    if replaced is None:
        changes.record_version(warehouse, table.name, [(None, changes.EVERYTHING)])
        return
    dated = _date_of(table)
    placed = exp.alias_(dated, "dated") if dated is not None else exp.alias_(exp.cast(exp.null(), "TIMESTAMP"), "dated")
    new, old = (
        exp.select(ACCOUNT, placed.copy(), exp.alias_(part, "part")).from_(rows.subquery("held"))
        for rows, part in (
            (exp.select("*").from_(made), cutoff.row_hash("held")),
            (replaced, exp.Neg(this=cutoff.row_hash("held"))),
        )
    )
    both = exp.union(new, old, distinct=False).sql(dialect=DIALECT)
    warehouse.execute(
        f"""CREATE OR REPLACE TEMP TABLE {_HELD} AS
        SELECT {ACCOUNT}, dated, SUM(part) <> 0 AS is_changed FROM ({both}) GROUP BY {ACCOUNT}, dated"""
    )
    found = warehouse.rows(
        f"""SELECT min(dated) FILTER (is_changed), count(DISTINCT {ACCOUNT}) FILTER (is_changed), count(DISTINCT {ACCOUNT})
        FROM {_HELD} GROUP BY date_trunc('month', dated)"""
    )
    share = _ALL_ACCOUNTS if dated is None else _OPEN_MONTH
    # of a few accounts in an early month each is picked out
    most = max((accounts for *_, accounts in found), default=0)
    open_months = [first_at for first_at, changed, _ in found if changed > share * most]
    if dated is None and open_months:
        changes.record_version(warehouse, table.name, [(None, changes.EVERYTHING)])
        return
    since = min(open_months, default=None)
    earlier = "" if since is None else f"AND dated < {_instant(since).sql(dialect=DIALECT)}"
    accounts = warehouse.rows(f"SELECT DISTINCT {ACCOUNT} FROM {_HELD} WHERE is_changed {earlier} ORDER BY ALL")
    # rows of no account are of no part, and still another state: what is made whole reads them
    rows: list[tuple[int | None, datetime | None]] = [
        (account, None if account is not None else changes.NOTHING) for (account,) in accounts
    ]
    if since is not None:
        rows.append((None, _in_run(since, table, run)))
    if rows:
        changes.record_version(warehouse, table.name, rows)


def record_made(warehouse: Warehouse, table: Table, own: str, as_of: datetime) -> None:
    """Remembers what `table` was made from, inside the transaction that publishes it."""
    versions = changes.versions(warehouse)
    followed = {name: versions.get(name, 0) for name in table.dependencies if is_followed(warehouse, name)}
    changes.record_increment(warehouse, table.name, changes.Increment(own, as_of), followed)
    then, now = operations.publication_days(warehouse, table.name), day_signatures(warehouse, table, as_of)
    operations.forget_publication_days(warehouse, table.name, [day for day in then if day not in now])
    operations.record_publication_days(warehouse, table.name, {day: value for day, value in now.items() if then.get(day) != value})


def _date_of(table: Table) -> exp.Expr | None:
    """The time that a row of the table is of, None where it is of the account."""
    column = table.month_of if table.by == "month" else "month" if "month" in table.key else None
    return None if column is None else exp.cast(exp.column(column), "TIMESTAMP")


def _in_run(since: datetime, table: Table, run: Mapping[str, Rows]) -> datetime:
    """The instant of a row's time: a month is told by the date of its first day in the reporting zone."""
    if table.by == "month" and table.month_of != "month":
        return since
    return dict(_starts(run)).get(since.date(), changes.EVERYTHING)


def _starts(run: Mapping[str, Rows]) -> list[tuple[date, datetime]]:
    """Every month of the run and the instant at which it starts."""
    place = list(run["months"].columns)
    rows: Sequence[tuple[Any, ...]] = run["months"].rows
    return [(row[place.index("month")], row[place.index("starts_at")]) for row in rows]


def _since(table: Table, month: date, starts_at: datetime) -> exp.Expr:
    column = exp.column(table.month_of)
    return column >= _instant(starts_at) if table.month_of != "month" else column >= _day(month)


def _names(table: Table) -> set[str]:
    return {column.name for column in table.columns}


def _instant(value: datetime) -> exp.Expr:
    return exp.cast(exp.Literal.string(value.isoformat(" ")), "TIMESTAMP")


def _day(value: date) -> exp.Expr:
    return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
