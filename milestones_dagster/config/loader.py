"""Reads a config folder: all files, all problems at once.

Put here the order of reading and checking. Keep out the grammar (one module per file), the checks, and the wording.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from milestones_dagster.config.alerts import Alerts
from milestones_dagster.config.base import Model
from milestones_dagster.config.company import CompanyConfig
from milestones_dagster.config.document import Document, read_document
from milestones_dagster.config.fallbacks import settle
from milestones_dagster.config.file_checks import check_folder, check_warehouse
from milestones_dagster.config.framework import Framework
from milestones_dagster.config.framework_checks import check_framework
from milestones_dagster.config.overrides import Override, apply, told_at_override
from milestones_dagster.config.problems import ConfigError, Problem
from milestones_dagster.config.quality import TableQuality
from milestones_dagster.config.source_checks import check_quality, check_sources
from milestones_dagster.config.sources import Sources
from milestones_dagster.config.tracking_checks import check_events
from milestones_dagster.config.tracking_plan import TrackingPlan
from milestones_dagster.config.translation import validated
from milestones_dagster.config.warehouse import Warehouse

__all__ = ["CompanyConfig", "ConfigError", "Problem", "check_config", "load_config"]

_Model = TypeVar("_Model", bound=Model)


def load_config(config_dir: Path, environ: Mapping[str, str] | None = None, overrides: Sequence[Override] = ()) -> CompanyConfig:
    """Return the config of a folder.

    Args:
        config_dir: the folder that holds `framework.yaml` and `sources.yaml`.
        environ: what `${NAME}` reads; default: the process environment.
        overrides: what to read in the place of values of `framework.yaml`; the file stays as it is.

    Raises:
        ConfigError: with all problems of all files, when at least one of them is an error.
    """
    config, problems = _read(config_dir, os.environ if environ is None else environ, overrides)
    if config is None:
        raise ConfigError([told_at_override(problem) for problem in problems])
    return config


def check_config(config_dir: Path, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Return all problems of a config folder, warnings too, by file and line; an empty list when there are none."""
    return _read(config_dir, os.environ if environ is None else environ)[1]


def _read(
    config_dir: Path, environ: Mapping[str, str], overrides: Sequence[Override] = ()
) -> tuple[CompanyConfig | None, list[Problem]]:
    problems = check_folder(config_dir)
    if not config_dir.is_dir():
        return None, problems
    documents: dict[str, Document] = {}

    def read(file: str, model: type[_Model]) -> _Model | None:
        document = Document(file, is_readable=False)
        if (config_dir / file).is_file():
            document = documents[file] = read_document(config_dir, file, environ)
            problems.extend(document.problems)
            if not document.is_readable:
                return None
            if file == "framework.yaml":
                problems.extend(apply(document, overrides))
        made, refused = validated(model, document)
        # a required file that is missing is one problem, told by check_folder, not one per key
        problems.extend(refused if document.is_readable else ())
        return made

    framework = read("framework.yaml", Framework)
    sources = read("sources.yaml", Sources)
    tracking_plan = read("tracking_plan.yaml", TrackingPlan)
    warehouse = read("warehouse.yaml", Warehouse)
    alerts = read("alerts.yaml", Alerts)
    tables = sorted(path.stem for path in (config_dir / "quality").glob("*.yaml"))
    quality = {table: read(f"quality/{table}.yaml", TableQuality) for table in tables}

    readable = {file: document for file, document in documents.items() if document.is_readable}
    problems += check_framework(readable)
    problems += check_events(readable)
    problems += check_sources(readable, config_dir)
    problems += check_quality(readable)
    if warehouse is not None:
        path = (config_dir.resolve() / warehouse.path).resolve()
        problems += check_warehouse(path, readable.get("warehouse.yaml", Document("warehouse.yaml")))
    problems = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.key))
    is_refused = any(problem.severity == "error" for problem in problems)
    if is_refused or not (framework and sources and tracking_plan and warehouse and alerts):
        return None, problems
    settled, fallbacks = settle(framework, sources)
    config = CompanyConfig(
        dir=config_dir,
        framework=settled,
        sources=sources,
        tracking_plan=tracking_plan,
        warehouse=warehouse,
        alerts=alerts,
        quality={table: made for table, made in quality.items() if made is not None},
        warnings=problems,
        fallbacks=fallbacks,
        environment={value: name for document in readable.values() for value, name in document.environment.items()},
    )
    return config, problems
