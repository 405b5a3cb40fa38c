"""Metadata of assets and materialisations: column schemas, samples, sizes.

Put here what the Dagster UI shows of a table. Keep out checks (`checks.py`) and plots (`plots.py`).
"""

from typing import Any

import dagster as dg
from sqlglot import exp

from milestones_dagster.orchestration.session import Session
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.warehouse import operations
from milestones_dagster.warehouse.duckdb import published
from milestones_dagster.warehouse.publish import NEVER_MADE, Publishing
from milestones_dagster.warehouse.table import Table

_SAMPLE_ROWS = 5
_SAMPLE_COLUMNS = 12
# who a person is, or what a company says of one, is not shown in the event log, which is never pruned
_PERSONAL = frozenset({"user_id", "user_key", "properties", "attributes", "account_key", "distinct_value"})


def column_schema(table: Table) -> dg.TableSchema:
    """The declared columns as Dagster's column schema."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=f"{column.about} [{column.unit}]" if column.unit else column.about,
                constraints=dg.TableColumnConstraints(nullable=column.is_nullable, unique=table.key == (column.name,)),
            )
            for column in table.columns
        ],
    )


def definition_metadata(table: Table) -> dict[str, Any]:
    """What is known of a table before it is made: columns, grain, key, its SELECT."""
    return {
        "dagster/column_schema": column_schema(table),
        "dagster/table_name": f"{table.schema}.{table.name}",
        "grain": table.grain,
        "key": ", ".join(table.key),
        "definition": dg.MetadataValue.md(f"```sql\n{table.select_text}\n```"),
    }


def made_metadata(session: Session, table: Table, publishing: Publishing[RuleResult]) -> dict[str, Any]:
    """What is known of a table once it is made: rows, as of when, from which config, and a sample without personal values.

    Of a table by month of which a part was made, also how many months and accounts.
    """
    observed = session.observation
    made = operations.publications(session.warehouse)
    older = [
        f"{name} as of {made[name].as_of:%Y-%m-%d}"
        for name in table.dependencies
        if name in made and made[name].as_of is not None and made[name].as_of != observed.as_of
    ]
    # started by hand after a refusal, a table reads the last good rows of what it follows
    told = {"older_inputs": "; ".join(older)} if older else {}
    return {
        **told,
        **_part(publishing),
        **_engine_facts(session, table),
        "dagster/row_count": publishing.row_count,
        "rows_made": publishing.rows_made,
        "as_of": f"{observed.as_of:%Y-%m-%d %H:%M} UTC",
        "fingerprint": session.config.fingerprint[:16],
        "state": _state(publishing.state, publishing.reason),
        "sample": dg.MetadataValue.md(sample(session, table)),
    }


def _part(publishing: Publishing[RuleResult]) -> dict[str, Any]:
    part = publishing.part
    return {} if part is None else {"months_made": part.months, "accounts_made": part.accounts}


def _engine_facts(session: Session, table: Table) -> dict[str, Any]:
    """What the engine tells of the making, a plan as a block of text."""
    facts = session.engine.facts(table.name)
    return {name: dg.MetadataValue.md(f"```\n{text}\n```") if "\n" in text else text for name, text in facts.items()}


def _state(state: str, reason: str) -> str:
    """How the table came to its rows: `unchanged`, `made` for the first time, or `made again` and why."""
    if state == "unchanged":
        return state
    return "made" if reason == NEVER_MADE else f"made again: {reason}"


def sample(session: Session, table: Table) -> str:
    """The first rows of a table as a markdown table, without columns that tell who somebody is."""
    shown = [column.name for column in table.columns if column.name not in _PERSONAL][:_SAMPLE_COLUMNS]
    if not shown:
        return "(no column that may be shown)"
    select = (
        exp.select(*(exp.column(name, quoted=True) for name in shown))
        .from_(published(table))
        .order_by(*(exp.column(name, quoted=True) for name in table.order))
        .limit(_SAMPLE_ROWS)
    )
    rows = session.warehouse.rows(select)
    lines = ["| " + " | ".join(shown) + " |", "|" + " --- |" * len(shown)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) if rows else "(no rows)"


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")[:60]
