"""The headline of a run: the numbers that a person wants first.

Put here how they are printed. Keep out what they are and where they come from (`report/headline.py`).
"""

from typing import TYPE_CHECKING

from milestones_dagster.cli_console import plain

if TYPE_CHECKING:
    from rich.console import Console

    from milestones_dagster.report.headline import Headline, InForce

_WORDS = {
    "setup": "setup complete in time",
    "activation": "activated in time",
    "usage": "usage reached",
    "maturity": "mature",
}


def print_headline(console: "Console", headline: "Headline") -> None:
    """Prints the numbers that a person wants first, as a run does at its end."""
    from rich.table import Table as Grid

    month = f"{headline.month:%B %Y}" if headline.month is not None else "no whole month yet"
    console.print(
        f"\n[bold]As of {headline.as_of:%Y-%m-%d}[/], {month}: {headline.customers:,} customers, {headline.paying:,} paying"
    )
    grid = Grid("milestone", "reached", "of", "share", "open", box=None, pad_edge=False)
    for share in headline.milestones:
        percent = f"{share.reached / share.accounts:.1%}" if share.accounts else "–"
        still_open = f"{share.open_accounts:,}" if share.open_accounts else ""
        grid.add_row(_WORDS[share.name], f"{share.reached:,}", f"{share.accounts:,}", percent, still_open)
    console.print(grid)
    if headline.month is not None:
        console.print(f"\nWhat follows is evidence, as of the end of {month}: it stands still until the next month closes.")
    _print_thresholds(console, headline)
    bands = Grid("activation events", "accounts", "retained", "share", box=None, pad_edge=False)
    for band in headline.retention:
        percent = f"{band.retained / band.accounts:.1%}" if band.accounts else "–"
        bands.add_row(plain(band.band), f"{band.accounts:,}", f"{band.retained:,}", percent)
    console.print("\n[bold]Retention by activation[/] (it goes with staying, it is not shown to cause it)")
    console.print(bands)
    if headline.apart.sentence is not None:
        console.print(headline.apart.sentence)
    if headline.auc is not None:
        value, low, high = headline.auc
        console.print(f"\n[bold]What goes with staying[/]: held-out AUC {value:.3f} (95 % interval {low:.3f} to {high:.3f})")
        top = Grid("feature", "importance", "interval", "verdict", box=None, pad_edge=False)
        if not headline.features:
            console.print("every feature is too common or too narrow to tell customers apart (see evidence.feature_importance)")
        for feature in headline.features:
            interval = f"{feature.low:.4f} to {feature.high:.4f}"
            top.add_row(plain(feature.title), f"{feature.importance:.4f}", interval, feature.verdict)
        if headline.features:
            console.print(top)
    console.print()
    for note in headline.notes:
        console.print(f"· {plain(note)}")


def _print_thresholds(console: "Console", headline: "Headline") -> None:
    """Prints the thresholds in force, the adopted and the derived value side by side with whom the difference would move."""
    console.print("\n[bold]Thresholds[/]: what the company has adopted, and what retention derives")
    for found in headline.thresholds:
        nobody = "none in force, nobody counts as having reached it"
        value = nobody if found.value is None else f"{found.value:.4g} in force ({found.origin})"
        adopted = "nothing adopted" if found.adopted is None else f"adopted {found.adopted:.4g}"
        console.print(f"{found.milestone:<11} {value}; {adopted}, {_derived(found)}")


def _derived(found: "InForce") -> str:
    """What retention derives and whom the difference to the adopted value would move, or why there is none."""
    if not found.is_measured:
        return f"not measured at this time (see evidence.{found.milestone}_threshold)"
    if found.derived is None:
        return f"nothing derived: {found.why}"
    derived = f"derived {found.derived:.4g} (trust {found.trust})"
    if found.adopted is None:
        return derived
    if not found.moved_accounts:
        return f"{derived}: the difference would move nobody"
    share = f" ({found.moved_share:.1%})" if found.moved_share is not None else ""
    return f"{derived}: the difference would move {found.moved_accounts:,} accounts{share} to {found.moved_towards}"
