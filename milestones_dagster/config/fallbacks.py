"""What the framework falls back to for want of a source, and the sentences that say so.

Put here each choice that the sources settle when `framework.yaml` leaves it out. Keep out choices that it makes
itself.
"""

from milestones_dagster.config.framework import Framework, RetentionBasis, SeatsBasis
from milestones_dagster.config.sources import Sources


def settle(framework: Framework, sources: Sources) -> tuple[Framework, tuple[str, ...]]:
    """Return the framework with `retention.basis` and `usage.seats` settled, and one sentence per fallback."""
    sentences: list[str] = []
    basis = retention_basis(framework, sources)
    seats = seats_basis(framework, sources)
    if sources.subscriptions is None:
        sentences.append(
            "No subscriptions are mapped: tenure starts when the account was made, else at its first event; an account "
            "counts as a customer in a month in which it did anything; nobody is known to leave or to expand."
        )
        if basis == "activity":
            sentences.append("Retention is read from activity: a core event in the window.")
    if sources.accounts is None:
        sentences.append("No accounts are mapped: an account is whatever the events name.")
    if seats == "active_users":
        sentences.append("A seat is a user active in the month: it depends on behaviour wherever it is a denominator.")
        if sources.events and all(feed.columns.user_id is None for feed in sources.events):
            sentences.append("No event feed maps user_id: there are no seats, and so no usage ratio.")
    elif seats == "account":
        sentences.append("Seats are the column of accounts: of all time where it is known at creation, else of its dated copies.")
    retention = framework.outcomes.retention.model_copy(update={"basis": basis})
    outcomes = framework.outcomes.model_copy(update={"retention": retention})
    usage = framework.usage.model_copy(update={"seats": seats})
    return framework.model_copy(update={"outcomes": outcomes, "usage": usage}), tuple(sentences)


def retention_basis(framework: Framework, sources: Sources) -> RetentionBasis:
    """Return the declared basis, else activity when there are no subscriptions or a window is given."""
    retention = framework.outcomes.retention
    if "basis" in retention.model_fields_set:
        return retention.basis
    return "activity" if sources.subscriptions is None or retention.window is not None else "subscriptions"


def seats_basis(framework: Framework, sources: Sources) -> SeatsBasis:
    """Return the declared basis of seats, else the first of subscriptions, account, active users that can be had.

    A column of accounts known only in hindsight is not taken unasked: it would say today's seats of past months.
    """
    if "seats" in framework.usage.model_fields_set:
        return framework.usage.seats
    if sources.subscriptions is not None and sources.subscriptions.columns.seats is not None:
        return "subscriptions"
    known_at = sources.accounts.mapped_attributes().get("seats") if sources.accounts is not None else None
    if sources.subscriptions is None and known_at in {"created", "history"}:
        return "account"
    return "active_users"
