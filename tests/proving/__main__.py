"""Runs the proving ground and prints its table: `python -m tests.proving`.

Put here the command. Keep out what is measured (`lines/`) and how it is run (`runner.py`).
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.proving.registry import LINES
from tests.proving.runner import prove
from tests.proving.table import markdown, printed


def main(arguments: list[str] | None = None) -> int:
    """Run the lines asked for; return 1 when a bounded row fails, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.proving", description="Proves the evidence on planted truth.")
    parser.add_argument("--quick", action="store_true", help="fewer runs; a row fails when its whole interval lies off the bound")
    parser.add_argument("--only", action="append", choices=[line.name for line in LINES], help="this line alone (repeatable)")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--every", type=int, default=1, help="every so-manieth job alone, for a first look")
    parser.add_argument("--write", type=Path, help="write the table, or the rows of --only, into this markdown file")
    given = parser.parse_args(arguments)
    if given.write and (given.every > 1 or (given.quick and given.only)):
        parser.error("--write wants whole lines: without --every, and --only without --quick")
    # a log has no width of its own
    console = Console(width=None if sys.stdout.isatty() else 180)
    start = time.monotonic()
    lines = [line for line in LINES if not given.only or line.name in given.only]
    proofs = prove(lines, is_quick=given.quick, jobs=given.jobs, console=console, every=given.every)
    seconds = time.monotonic() - start
    rows = [row for proof in proofs for row in proof.rows]
    console.print(printed(rows, is_quick=given.quick))
    for proof in proofs:
        console.print(f"{proof.line.name}: {proof.seconds:,.0f} processor seconds")
    failed = [row for row in rows if not row.holds(is_quick=given.quick)]
    bounded = sum(row.is_bounded for row in rows)
    console.print(f"{bounded - len(failed)} of {bounded} bounded rows hold; {seconds:,.0f} s with {given.jobs} processes.")
    if given.write:
        day = datetime.now(UTC).date().isoformat()
        is_part = bool(given.only)
        markdown(given.write, rows, is_quick=given.quick, day=day, seconds=seconds, jobs=given.jobs, is_part=is_part)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
