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


def markdown(path: Path, rows: list[Row], *, is_quick: bool, day: str, seconds: float, jobs: int) -> None:
    """Write the table between the two marks of a document, or a document of it alone where there is none.

    Raises:
        ValueError: the document has not the two marks, in their order.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: found no `{BEGIN}` before `{END}`")
    kind = "make prove-quick" if is_quick else "make prove"
    lines = [f"{day}, `{kind}`, {seconds:,.0f} s with {jobs} processes.", "", _line(HEADER), _line(["---"] * len(HEADER))]
    lines += [_line(cells(row, is_quick=is_quick)) for row in rows]
    path.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")


def _line(texts: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(texts) + " |"
