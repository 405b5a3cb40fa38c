"""`make bench`: measure what is not measured yet, then write the report. `python -m benchmarks --help` says what can be chosen."""

import argparse
from pathlib import Path

from benchmarks.measuring import ROOT, kept
from benchmarks.plan import ALL_PARTS, Plan
from benchmarks.report import Results, chart, markdown, write

_FOLDER = Path(__file__).parent


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the product against a plain script, the floor and pandas."
    )
    parser.add_argument("sizes", nargs="*", type=float, default=[1, 10], help="millions of events (1 10)")
    parser.add_argument("--repeats", type=int, default=3, help="of every part (3)")
    parser.add_argument("--only", nargs="+", choices=ALL_PARTS, default=[], help="measure these parts alone")
    parser.add_argument(
        "--root", type=Path, default=ROOT / "data" / "benchmarks", help="folder of the generated companies and warehouses"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=_FOLDER / "results" / "measured.jsonl",
        help="a line per measured part; what it has of this machine and this code is not measured again",
    )
    parser.add_argument("--report-only", action="store_true", help="measure nothing")
    given = parser.parse_args()
    root, results = given.root.resolve(), given.results.resolve()
    if not given.report_only:
        Plan(root, results, given.sizes, given.repeats, given.only, lambda line: print(line, flush=True)).carry_out()
    from benchmarks.limit import plain_tables, with_their_sources
    from benchmarks.pandas_way import ANSWERS
    from milestones_dagster.config.loader import load_config
    from milestones_dagster.orchestration.session import Declared

    declared = Declared.of(load_config(ROOT / "assets_config"))
    plain, alike = plain_tables(declared), with_their_sources(declared, ANSWERS)
    found = Results(kept(results))
    chart(found, results.with_name("seconds.svg"))
    write(_FOLDER / "README.md", markdown(found, plain, alike))
    print(f"the report is in {_FOLDER / 'README.md'}")


if __name__ == "__main__":
    main()
