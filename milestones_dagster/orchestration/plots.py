"""Plots of assets: the picture of a published table in the metadata of its materialisation.

Put here how a declared chart gets its tables and where its picture goes. Keep out what a chart shows (`charts`).
"""

import importlib
from base64 import b64encode
from typing import Any

import dagster as dg

from milestones_dagster.orchestration.session import Session
from milestones_dagster.warehouse.duckdb import published
from milestones_dagster.warehouse.table import Table

_CONFIG = "config."


def plot_metadata(session: Session, table: Table, log: Any) -> dict[str, Any]:
    """The chart of a published table as markdown with a data address, under `plot`; nothing where there is nothing to draw.

    A table is good without its picture: a fault of a chart stops nothing. It is a warning in the run's log, and stands in the
    metadata as `plot_fault`. Of an error that is not ours only class and place are told, since its words may quote rows.

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
    # seconds at import, and most runs of a day draw nothing
    import pandas as pd

    from milestones_dagster.charts.page import png

    tables: dict[str, pd.DataFrame] = {}
    for name in (table.name, *table.plot_with):
        if name.startswith(_CONFIG):
            relation = session.declared.relations[name.removeprefix(_CONFIG)]
            tables[name] = pd.DataFrame(list(relation.rows), columns=list(relation.columns))
        elif session.warehouse.exists(published(session.declared.tables[name])):
            tables[name] = session.warehouse.frame(name)
        else:
            # started by hand before what it is drawn with was ever made
            return {}
    module, _, function = plot.rpartition(".")
    figure = getattr(importlib.import_module(f"milestones_dagster.{module}"), function)(tables)
    if figure is None:
        return {}
    text = figure.get_label().replace("[", "(").replace("]", ")")
    return {"plot": dg.MetadataValue.md(f"![{text}](data:image/png;base64,{b64encode(png(figure)).decode('ascii')})")}


def _told(error: Exception) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" in {place.tb_frame.f_code.co_filename.rpartition('/')[2]}, line {place.tb_lineno}"
    words = f": {error}" if type(error).__module__.startswith("milestones_dagster.") else ""
    return f"{type(error).__name__}{where}{words}"
