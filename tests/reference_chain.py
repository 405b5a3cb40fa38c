"""The links of the chain a second time, from the definitions alone: see `reference.py`.

Put here the landmarks of the chain. Keep out SQL and everything of the product.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from reference import (
    ACTIVATION_THRESHOLD,
    GAP,
    HORIZON_MONTHS,
    MATURE_CATEGORIES,
    STEPS,
    USAGE_THRESHOLD,
    Company,
    Month,
    Rows,
    activation_cohort,
    activation_landmarks,
    customer_milestones,
    month_drawn,
    retention_outcomes,
    setup_steps,
    usage_landmarks,
    usage_ratio,
)

LANDMARK = timedelta(days=14)


def chain_landmarks(company: Company) -> Rows:
    """One row per behaviour, outcome and account."""
    rows: Rows = {}
    for made in (_setup, _activation, _usage, _months):
        for behaviour, outcome, account, row in made(company):
            row["is_next"] = row["is_next"] if row["standing"] == "row" else None
            rows[behaviour, outcome, account] = row
    return rows


Link = tuple[str, str, str, dict[str, Any]]


def _spell(company: Company, account: str, instant: datetime) -> tuple[datetime, datetime | None] | None:
    return next((one for one in company.spells(account) if one[0] <= instant and (one[1] is None or instant < one[1])), None)


def _setup(company: Company) -> Iterator[Link]:
    steps = setup_steps(company)
    for (account,), cohort in activation_cohort(company).items():
        if cohort["window_ends_at"] > company.evidence_as_of:
            continue
        landmark, activated = company.tenures[account] + LANDMARK, cohort["activated_at"]
        standing = (
            "left_before" if _spell(company, account, landmark) is None
            else "already" if activated is not None and activated < landmark
            else "row"
        )  # fmt: skip
        done = {f"setup:{step}": steps[account, step]["completed_at"] for step in STEPS}
        done["setup"] = steps[account, "install"]["setup_completed_at"]
        for behaviour, completed in done.items():
            yield behaviour, "activation", account, {
                "standing": standing,
                "observed_at": landmark,
                "is_reached": completed is not None and completed < landmark,
                "is_next": activated is not None,
            }  # fmt: skip


def _activation(company: Company) -> Iterator[Link]:
    usage = usage_ratio(company)
    for (account,), landmark in activation_landmarks(company).items():
        told = {"observed_at": landmark["observed_at"], "is_reached": landmark["value"] >= ACTIVATION_THRESHOLD}
        standing = landmark["standing"]
        yield "activation", "retention", account, told | {"standing": standing, "is_next": landmark["retained"]}
        known = standing if standing == "left_before" else "no_mrr" if landmark["expanded"] is None else "row"
        yield "activation", "expansion", account, told | {"standing": known, "is_next": landmark["expanded"]}
        after = [
            month
            for month in company.months(company.tenures[account])
            if month.start >= landmark["observed_at"] and month.end + GAP <= company.evidence_as_of
        ][:3]
        if len(after) < 3:
            continue
        spell = _spell(company, account, landmark["observed_at"])
        stayed = [month for month in after if spell is not None and (spell[1] is None or month.end <= spell[1])]
        ratios = [usage[account, month.month] for month in stayed]
        reached = sum(ratio["reached_at_close"] and not ratio["is_partial"] for ratio in ratios)
        broken = any(ratio["is_partial"] for ratio in ratios)
        known = standing if standing == "left_before" else "partial" if broken else "row"
        yield "activation", "usage", account, told | {"standing": known, "is_next": reached >= 2}


def _usage(company: Company) -> Iterator[Link]:
    for (account,), landmark in usage_landmarks(company).items():
        told = {"observed_at": landmark["observed_at"], "is_reached": (landmark["value"] or 0) >= USAGE_THRESHOLD}
        standing = landmark["standing"]
        yield "usage", "retention", account, told | {"standing": standing, "is_next": landmark["retained"]}
        known = standing if standing in {"left_before", "no_seats"} else "no_mrr" if landmark["expanded"] is None else "row"
        yield "usage", "expansion", account, told | {"standing": known, "is_next": landmark["expanded"]}


def _months(company: Company) -> Iterator[Link]:
    usage, milestones, outcomes = usage_ratio(company), customer_milestones(company), retention_outcomes(company)

    def mature(account: str, month: Month) -> bool:
        return bool(milestones[account, month.month]["mature_categories"] >= MATURE_CATEGORIES)

    for account, start in company.tenures.items():
        months, drawn = company.months(start), month_drawn(company, account)
        if drawn is None:
            continue
        taken, is_locked = drawn
        outcome = outcomes.get((account, "month", taken.end))
        told = {"observed_at": taken.end, "is_reached": mature(account, taken)}
        standing = "left_before" if outcome is None else "locked" if is_locked else "row"
        yield "maturity", "retention", account, told | {"standing": standing, "is_next": outcome and outcome["retained"]}
        expanded = None if outcome is None else outcome["is_expanded_mrr"]
        standing = "left_before" if outcome is None else "no_mrr" if expanded is None else "row"
        yield "maturity", "expansion", account, told | {"standing": standing, "is_next": expanded}

        ratio = usage[account, taken.month]
        is_stopped = any(end == taken.end for _, end in company.spells(account))
        is_paid = not ratio["is_partial"] and (outcome is not None or is_stopped)
        then = next(one for one in months if one.end == company.later(taken.end, HORIZON_MONTHS))
        yield "usage", "maturity", account, {
            "standing": (
                "left_before" if not is_paid
                else "no_seats" if ratio["ratio_at_close"] is None
                else "already" if mature(account, taken)
                else "row"
            ),
            "observed_at": taken.end,
            "is_reached": (ratio["ratio_at_close"] or 0) >= USAGE_THRESHOLD,
            "is_next": outcome is not None and outcome["retained"] and mature(account, then),
        }  # fmt: skip
