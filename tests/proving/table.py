"""How the table looks, on the screen and in a document.

Put here the layout. Keep out what a row means (`score.py`).
"""

from pathlib import Path

from rich.table import Table

from tests.proving.score import Row

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADER = ("line", "what", "n", "R", "estimate", "95 % interval", "bound", "")


def cells(row: Row, *, is_quick: bool) -> tuple[str, ...]:
    """Return a row's texts, in the order of the header."""
    verdict = "" if not row.is_bounded else "pass" if row.holds(is_quick=is_quick) else "FAIL"
    return row.line, row.what, row.n, f"{row.runs:,}", row.text(row.estimate), row.interval, row.bound, verdict


def printed(rows: list[Row], *, is_quick: bool) -> Table:
    """Return the table for the screen."""
    table = Table(*HEADER)
    for row in rows:
        found = cells(row, is_quick=is_quick)
        table.add_row(*found, style="bold red" if found[-1] == "FAIL" else None)
    return table


def markdown(path: Path, rows: list[Row], *, is_quick: bool, day: str, seconds: float, jobs: int, is_part: bool = False) -> None:
    """Write the table between the two marks of a document, or a document of it alone where there is none.

    Args:
        path: the document.
        rows: the rows, in their order.
        is_quick: whether few runs were made.
        day: of the run.
        seconds: that the run took, with so many processes.
        jobs: processes.
        is_part: whether these are the rows of some lines, which take the place of theirs in the table that is there.

    Raises:
        ValueError: the document has not the two marks, in their order, or no rows of a line to be replaced.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    head, begin, rest = text.partition(BEGIN)
    before, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: found no `{BEGIN}` before `{END}`")
    kind = "make prove-quick" if is_quick else "make prove"
    made = [_line(cells(row, is_quick=is_quick)) for row in rows]
    if is_part:
        lines = before.strip().splitlines()
        for name in dict.fromkeys(row.line for row in rows):
            places = [place for place, line in enumerate(lines) if line.startswith(f"| {name} |")]
            if not places:
                raise ValueError(f"{path}: the table has no row of `{name}` to be replaced; write it whole first")
            lines[places[0] : places[-1] + 1] = [line for line in made if line.startswith(f"| {name} |")]
            lines[0] += f" Rows of {name} again: {day}."
    else:
        lines = [
            f"{day}, `{kind}`, {seconds:,.0f} s with {jobs} processes.",
            "",
            _line(HEADER),
            _line(["---"] * len(HEADER)),
            *made,
        ]
    path.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")


def _line(texts: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(texts) + " |"
