"""Plots of assets: the picture of a published table in the metadata of its materialisation.

Put here how a declared chart gets its tables and where its picture goes. Keep out what a chart shows (`charts`).
"""

import importlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import dagster as dg

from milestones_dagster.config.relations import Relation
from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse import cutoff, operations
from milestones_dagster.warehouse.duckdb import published
from milestones_dagster.warehouse.table import Table

_CONFIG = "config."


def plot_metadata(session: Session, table: Table, log: Any) -> dict[str, Any]:
    """The chart of a published table as markdown with a data address, under `plot`; nothing where there is nothing to draw.

    A table is good without its picture: a fault of a chart stops nothing. It is a warning in the run's log, and stands in the
    metadata as `plot_fault`. Of an error that is not ours only class and place are told, since its words may quote rows. A picture
    is kept, and drawn again when something that it is drawn from differs.

    Args:
        session: The open session; what the chart is drawn with is read as published.
        table: Its declaration.
        log: Told of a fault by `warning`.
    """
    if table.plot is None:
        return {}
    try:
        return _drawn(session, table, table.plot)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a picture, the table is published and stays so
        fault = f"{table.name} has no plot: {table.plot} failed with {_told(error)}"
        log.warning(f"{fault}; the table itself is published")
        return {"plot_fault": fault}


def _drawn(session: Session, table: Table, plot: str) -> dict[str, Any]:
    read = (table.name, *table.plot_with)
    ours = [name for name in read if not name.startswith(_CONFIG)]
    if not all(session.warehouse.exists(published(session.declared.tables[name])) for name in ours):
        # started by hand before what it is drawn with was ever made
        return {}
    relations = {name: session.declared.relations[name.removeprefix(_CONFIG)] for name in read if name.startswith(_CONFIG)}
    rows = [f"{name} {list(relation.columns)} {list(relation.rows)}" for name, relation in relations.items()]
    drawn_from = sha256("\n".join([_code(), *cutoff.states(session.warehouse, ours), *rows]).encode()).hexdigest()
    kept = operations.kept_plot(session.warehouse, table.name, drawn_from)
    if kept is None:
        kept = (_markdown(session, plot, ours, relations),)
        operations.keep_plot(session.warehouse, table.name, drawn_from, *kept)
    return {} if kept[0] is None else {"plot": dg.MetadataValue.md(kept[0])}


def _markdown(session: Session, plot: str, tables: Sequence[str], relations: Mapping[str, Relation]) -> str | None:
    # seconds at import, and most runs of a day draw nothing
    import pandas as pd

    from milestones_dagster.charts.page import png

    frames = {name: pd.DataFrame(list(relation.rows), columns=list(relation.columns)) for name, relation in relations.items()}
    frames |= {name: session.warehouse.frame(name) for name in tables}
    module, _, function = plot.rpartition(".")
    figure = getattr(importlib.import_module(f"milestones_dagster.{module}"), function)(frames)
    if figure is None:
        return None
    text = figure.get_label().replace("[", "(").replace("]", ")")
    return f"![{text}](data:image/png;base64,{b64encode(png(figure)).decode('ascii')})"


@cache
def _code() -> str:
    """Digest of what draws: a picture drawn by other code is drawn again."""
    sources = sorted(files("milestones_dagster.charts").iterdir(), key=lambda file: file.name)
    code = [file.read_text("utf-8") for file in sources if file.name.endswith(".py")]
    return sha256("\n".join([version("matplotlib"), *code]).encode()).hexdigest()


def _told(error: Exception) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" in {place.tb_frame.f_code.co_filename.rpartition('/')[2]}, line {place.tb_lineno}"
    words = f": {error}" if type(error).__module__.startswith("milestones_dagster.") else ""
    return f"{type(error).__name__}{where}{words}"
