"""Which files a config folder must, may and probably should not hold.

Put here checks on names of files. Keep out what stands in them.
"""

from pathlib import Path

from milestones_dagster.config.document import Document
from milestones_dagster.config.problems import Problem, closest

_REQUIRED = ("framework.yaml", "sources.yaml")
_KNOWN = (*_REQUIRED, "tracking_plan.yaml", "warehouse.yaml", "alerts.yaml")


def check_folder(folder: Path) -> list[Problem]:
    """Return what is wrong with the folder: not there, a required file missing, a file whose name looks misspelt."""
    if not folder.is_dir():
        return [Problem("error", str(folder), 0, "", "no such folder", "a config folder with framework.yaml and sources.yaml")]
    present = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in {".yaml", ".yml"})
    unknown = [name for name in present if name not in _KNOWN]
    problems = [
        Problem("error", name, 0, "", "no such file", f"{name} in {folder}", closest(name, unknown))
        for name in _REQUIRED
        if name not in present
    ]
    quality = folder / "quality"
    for name in unknown:
        alike = tuple(known for known in closest(name, _KNOWN) if known not in present)
        if alike:
            problems.append(Problem("warning", name, 0, "", "a file that nothing reads", "one of the config files", alike))
    if quality.is_dir():
        problems += [
            Problem("warning", f"quality/{path.name}", 0, "", "a file that nothing reads", "<table>.yaml")
            for path in sorted(quality.iterdir())
            if path.suffix != ".yaml" and not path.name.startswith(".")
        ]
    return problems


def check_warehouse(warehouse: Path, document: Document) -> list[Problem]:
    """Return what is wrong with the place of the warehouse's file: DuckDB reads a `?` in a path as the end of the file's name."""
    if "?" not in str(warehouse):
        return []
    expected = "a folder and a name without ?: DuckDB would look for its log in another place"
    return [document.problem(("path",), expected, found=f"{str(warehouse)!r}")]
