"""The data dictionary: every table as its `.sql` header declares it, as one Markdown document.

Put here the wording and order of the dictionary. Keep out what a table or a rule says: it is read from the declarations, so that
nothing is written twice.
"""

from collections.abc import Mapping, Sequence

from milestones_dagster.quality.suites import Rule
from milestones_dagster.warehouse.table import SCHEMAS, Column, Relation, Table

_TITLES = {
    "raw": "Raw: what was delivered",
    "staging": "Staging: what the milestones are made from",
    "milestones": "Milestones: the public tables",
    "evidence": "Evidence: what goes with staying",
}
_INTRODUCTION = """# Data dictionary

Every table of the warehouse, from the declarations in `milestones_dagster/sql`. Written by `make docs`; edit the `.sql` files.

Times are UTC. A type without `NOT NULL` may be NULL; the meaning says when. The tables of `milestones` and `evidence` are in the
serving copy as well. The tables of `operations` (files, days, publications, waivers) are bookkeeping and described in the
[handbook](handbook.md#the-operations-tables).

Every table has these checks besides its own: columns, their order and types are as declared (`shape`); no two rows share the key
(`keys_unique`); no key is NULL (`keys_present`); columns declared `NOT NULL` hold no NULL (`columns_present`). A table that reads a
source also has `source_files` and `source_columns`. `raw_events` reports all its rules in three checks: `shape`, `keys` and `rows`.
Checks block unless they are marked as a warning: rows that fail one are not published."""


def dictionary(tables: Mapping[str, Table], suites: Mapping[str, Sequence[Rule]]) -> str:
    """Returns the data dictionary of `tables`, by schema and name, as Markdown.

    Args:
        tables: The declared tables by name.
        suites: The rules of each table; those of its header are told once for all tables.
    """
    parts = [_INTRODUCTION]
    for schema in SCHEMAS:
        of_schema = sorted((table for table in tables.values() if table.schema == schema), key=lambda table: table.name)
        if of_schema:
            parts.append(f"## {_TITLES[schema]}")
            parts += [_section(table, tables, suites.get(table.name, ())) for table in of_schema]
    return "\n\n".join(parts) + "\n"


def _section(table: Table, tables: Mapping[str, Table], rules: Sequence[Rule]) -> str:
    readers = sorted(other.name for other in tables.values() if table.name in _tables_read(other) and other is not table)
    facts = [
        f"- Grain: {table.grain}",
        f"- Key: {', '.join(f'`{name}`' for name in table.key)}",
        f"- Made: {_making(table)}",
        f"- Reads: {', '.join(_reading(table)) or 'nothing'}",
        f"- Read by: {', '.join(_link(name) for name in readers) or 'people'}",
    ]
    columns = [_row(column) for column in table.columns]
    lines = [
        f"### {table.name}",
        "",
        table.about,
        "",
        *facts,
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
        *columns,
    ]
    if table.pivot:
        lines += ["", "Then one DOUBLE column for each feature of the catalogue in `framework.yaml`, named as the feature."]
    own = [rule for rule in rules if rule.origin != "header"]
    if own:
        lines += ["", "Checks:", "", *(_check(rule) for rule in own)]
    return "\n".join(lines)


def _making(table: Table) -> str:
    if table.name == "raw_events":
        return "by UTC day, one Parquet file each"
    if table.by == "day":
        return "by UTC day; days that differ are replaced"
    if table.by == "month":
        parts = "months with open windows or other days, and accounts that changed, are replaced"
        return f"by the month of `{table.month_of}` and by account; {parts}"
    if table.keeps:
        return "whole; it reads its own published rows and adds to them"
    return f"whole; the SELECT's rows go through `{table.then}`" if table.then is not None else "whole"


def _tables_read(table: Table) -> set[str]:
    return {relation.name for relation in table.relations if relation.kind == "table"} | set(table.also)


def _reading(table: Table) -> list[str]:
    others = sorted({_name(relation) for relation in table.relations if relation.kind != "table"})
    of_milestone = {name: milestone for milestone, names in table.where_auto.items() for name in names}
    asked = {name: f" where the threshold of {milestone} is `auto`" for name, milestone in of_milestone.items()}
    tables = (f"{_link(name)}{asked.get(name, '')}" for name in sorted(_tables_read(table)))
    return [*tables, *(f"`{name}`" for name in others)]


def _name(relation: Relation) -> str:
    return f"{relation.kind}.{relation.name}"


def _link(name: str) -> str:
    return f"[{name}](#{name})"


def _check(rule: Rule) -> str:
    allowed = f"; at most {100 * rule.bound:g} % of the rows" if rule.bound else ""
    return f"- `{rule.name}`{' (warning)' if rule.severity == 'warning' else ''}: {rule.title}{allowed}"


def _row(column: Column) -> str:
    required = "" if column.is_nullable else " NOT NULL"
    return f"| `{column.name}` | {column.type}{required} | {column.unit or ''} | {column.about.replace('|', chr(92) + '|')} |"
