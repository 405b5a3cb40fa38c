"""Every row of the milestone tables against an independent reading of the definitions, on random small companies.

Put here companies and the comparison. Keep out the definitions (`reference.py`) and how a company is drawn (`random_company.py`).
"""

import math
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from random_company import RandomCompany, random_company, with_price_list
from reference import TABLES, Company, Rows
from reference_chain import chain_landmarks
from scenario import Made, World, made

KEYS = {
    "setup_steps": ("account_id", "step"),
    "activation_cohort": ("account_id",),
    "usage_ratio": ("account_id", "month"),
    "maturity_categories": ("account_id", "month", "category"),
    "customer_milestones": ("account_id", "month"),
    "retention_outcomes": ("account_id", "kind", "observed_at"),
    "retention_by_activation": ("band",),
    "activation_landmarks": ("account_id",),
    "usage_landmarks": ("account_id",),
    "feature_matrix": ("account_id", "observed_at"),
    "chain_landmarks": ("behaviour", "outcome", "account_id"),
}
DEFINITIONS = TABLES | {"chain_landmarks": chain_landmarks}
# a history that ends with a month; one that ends within a month; one whose calendar is not UTC's; one without users
COMPANIES = {
    "whole months": {"seed": 11, "accounts": 40},
    "within a month": {"seed": 12, "accounts": 40, "last_day": date(2025, 6, 17)},
    "Berlin": {"seed": 13, "accounts": 40, "zone": "Europe/Berlin"},
}


@pytest.fixture(scope="module", params=COMPANIES, ids=str)
def company(request, tmp_path_factory) -> Iterator[tuple[Made, Company]]:
    """The random company through the real graph, and the same rows for the reference."""
    drawn: RandomCompany = with_price_list(random_company(**COMPANIES[request.param]))
    users = None if request.param == "within a month" else drawn.users
    world = World(
        events=drawn.events,
        last_day=str(drawn.last_day),
        subscriptions=drawn.subscriptions,
        users=users,
        framework={"time_zone": drawn.zone},
    )
    # the files go on for some days after; nothing of it may show
    with made(world.write(tmp_path_factory.mktemp("company")), as_of=str(drawn.as_of.date())) as result:
        yield result, Company(drawn.events, drawn.subscriptions, users, drawn.as_of, drawn.zone)


@pytest.mark.parametrize("table", DEFINITIONS)
def test_every_row_is_what_the_definitions_say(company, table):
    result, rows = company
    assert result.outcomes[table].state == "made", result.outcomes[table].reason
    wanted = DEFINITIONS[table](rows)
    names = {row["account_key"]: row["account_id"] for row in result.rows("accounts")}
    found = {
        tuple(row[name] for name in KEYS[table]): row
        for row in ({"account_id": names.get(row.get("account_key"))} | row for row in result.rows(table))
    }
    assert wanted, "a company without rows proves nothing"
    assert _differences(found, wanted) == []


def test_the_price_list_decides_outcomes_of_every_company(company):
    result, _ = company
    known = [row for row in result.rows("retention_outcomes") if row["retained"] and row["mrr_at_start"]]
    steps = [row["mrr_from_price_list"] for row in known]
    assert min(steps) < 0 < max(steps)
    # a raise that is no expansion
    assert any(row["mrr_at_end"] >= 1.1 * row["mrr_at_start"] and not row["is_expanded_mrr"] for row in known)


def _differences(found: Rows, wanted: Rows) -> list[str]:
    """What is missing, what is too many, and every value that differs."""
    told = [f"missing {key}" for key in wanted if key not in found] + [f"too many {key}" for key in found if key not in wanted]
    for key, row in wanted.items():
        for name, value in row.items():
            if key in found and not _same(found[key][name], value):
                told.append(f"{key} {name}: {found[key][name]!r}, by definition {value!r}")
    return told


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and wanted is not None:
        return math.isclose(found, float(wanted), rel_tol=1e-12, abs_tol=1e-12)
    return bool(found == wanted)
