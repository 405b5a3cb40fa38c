"""What `milestones what-if` prints.

Put here the words of its answer. Keep out how it is found (`orchestration/what_if.py`) and the command itself (`cli.py`).
"""

from typing import TYPE_CHECKING

from milestones_dagster.report.what_if import MILESTONES, MOST_NAMED, Gap, Reach

if TYPE_CHECKING:
    from rich.console import Console

    from milestones_dagster.orchestration.what_if import Answer


def print_answer(console: "Console", answer: "Answer", settings: tuple[str, ...]) -> None:
    """Prints how thresholds, reach, gaps and stages would change, and whom it concerns."""
    from rich.markup import escape
    from rich.table import Table

    found = answer.difference
    before, after = found.before, found.after
    console.print(f"[bold]If the framework said {escape(', '.join(settings))}[/] (nothing published is touched)")
    if not answer.made:
        console.print("No table would change: the milestones do not read it.")
        return
    month = f"{before.month:%B %Y}" if before.month is not None else "no whole month yet"
    reach = Table("milestone", "threshold", "reached", "share", box=None, pad_edge=False)
    gaps = Table("milestone", "gap as it is", "as it would be", box=None, pad_edge=False)
    for name in MILESTONES:
        reach.add_row(
            name,
            _change(_threshold(before.thresholds.get(name)), _threshold(after.thresholds.get(name))),
            _change(_count(before.reach.get(name)), _count(after.reach.get(name))),
            _change(_share(before.reach.get(name)), _share(after.reach.get(name))),
        )
        gaps.add_row(name, _gap(before.gaps.get(name)), _gap(after.gaps.get(name)))
    console.print(f"\n[bold]Reach[/], {month}")
    console.print(reach)
    console.print("\n[bold]Gaps[/] in points, of activating for setup, of staying for the others, among accounts alike")
    console.print(gaps)
    console.print(f"\n[bold]Stages[/], {month}: {found.moved:,} of {len(before.customers):,} customers would be in another")
    if found.moves:
        moves = Table("from", "to", "customers", box=None, pad_edge=False)
        for stage, later, count in found.moves:
            moves.add_row(stage, later, f"{count:,}")
        console.print(moves)
        shown = f"the {MOST_NAMED} with the largest MRR" if found.moved > MOST_NAMED else "all of them"
        console.print(f"\n[bold]Who[/] ({shown})")
        named = Table("account", "MRR", "from", "to", box=None, pad_edge=False)
        for account in found.named:
            named.add_row(escape(account.account_id), f"{account.mrr:,.0f}", account.before, account.after)
        console.print(named)
    console.print(f"\nMade again in a copy, which is gone: {', '.join(answer.made)}")


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _threshold(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _count(reach: Reach | None) -> str:
    return "–" if reach is None else f"{reach.reached:,} of {reach.accounts:,}"


def _share(reach: Reach | None) -> str:
    return "–" if reach is None or not reach.accounts else f"{reach.reached / reach.accounts:.1%}"


def _gap(gap: Gap | None) -> str:
    if gap is None or gap.effect is None or gap.low is None or gap.high is None:
        return "–" if gap is None else f"– {gap.trust}"
    return f"{gap.effect * 100:+.1f} ({gap.low * 100:+.1f} to {gap.high * 100:+.1f}) {gap.trust}"
