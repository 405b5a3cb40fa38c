"""What a start imports: the code location, the list of commands and the help of each; modules are counted, never seconds."""

import subprocess
import sys

import pytest

from milestones_dagster.cli import main
from milestones_dagster.warehouse.table import SQL_ROOT, _parse, _with_imports, load_tables

STATISTICS = frozenset(
    {"pandas", "numpy", "pyarrow", "matplotlib", "PIL", "great_expectations", "sklearn", "scipy", "statsmodels", "lifelines"}
)
OF_A_RUN = frozenset({"apprise", "rich", "sqlalchemy", "pyspark"})
OF_DEFINITIONS = frozenset({"dagster", "duckdb", "sqlglot", "pydantic", "yaml"})


def imported(code: str) -> set[str]:
    """The modules that are there after a new interpreter has run the code, whose own output is kept apart."""
    loud = f"{code}\nimport sys\nsys.stderr.write('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loud], capture_output=True, text=True, check=True)  # noqa: S603
    return set(done.stderr.splitlines()[-1].split())


def test_the_code_location_loads_without_statistics_and_pictures() -> None:
    found = imported("import milestones_dagster.definitions as location; location.defs.resolve_all_job_defs()")
    assert {"dagster", "duckdb", "milestones_dagster.orchestration.assets"} <= found
    assert not (STATISTICS | OF_A_RUN) & found


@pytest.mark.parametrize("command", [None, *sorted(main.commands)])
def test_help_imports_what_it_prints_and_nothing_else(command: str | None) -> None:
    arguments = [command, "--help"] if command is not None else ["--help"]
    found = imported(f"from milestones_dagster.cli import main\nmain({arguments!r}, standalone_mode=False)")
    assert "click" in found
    assert not (STATISTICS | OF_A_RUN | OF_DEFINITIONS) & found


def test_a_select_is_parsed_once_in_a_process() -> None:
    first = load_tables(config_relations=None)
    hashes = {name: table.code_hash for name, table in first.items()}
    parsed = _parse.cache_info().misses
    again = load_tables(config_relations=None)
    assert {name: table.code_hash for name, table in again.items()} == hashes
    assert _parse.cache_info().misses == parsed
    assert all(again[name].select is table.select for name, table in first.items())


def test_the_hash_of_a_function_follows_its_imports_however_they_are_written() -> None:
    evidence = SQL_ROOT.parent / "evidence"
    # `from milestones_dagster.evidence import association`, `from milestones_dagster.evidence.frames import …`
    found = {path.name for path in _with_imports(evidence / "setup_steps.py")}
    assert {"setup_steps.py", "association.py"} <= found
    assert found == {path.name for path in evidence.glob("*.py") if path.name in found}
