"""The ranking through the graph: what SQL hands to the forest, and the two drivers of a company of 700 accounts.

Put here what the tables say together. Keep out the statistics (`tests/unit/test_evidence_*.py`). As of 1 July 2025, horizon 1 month.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scenario import Made, World, event, made_up_to, subscription

TABLES = ("feature_importance", "feature_adoption", "feature_matrix")
ACCOUNTS = 700
MONTHS = pd.to_datetime(["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01", "2025-05-01"])
SETTINGS = {
    "outcomes": {"retention": {"horizon": "1 months"}},
    "feature_ranking": {"trees": 40, "repeats": 2, "resamples": 100},
}


def company() -> World:
    """Each month an account uses chat or not, for good; who does not leaves more often. SLA is of premium and moves nothing."""
    generator = np.random.default_rng(11)
    events, rows = [], []
    for number in range(ACCOUNTS):
        name = f"c{number:03d}"
        chats, mails, is_premium = generator.random() < 0.45, generator.random() < 0.5, generator.random() < 0.4
        has_sla = is_premium and generator.random() < 0.5
        leave = 0.32 - 0.24 * chats - 0.04 * is_premium
        ended = None
        for month in range(1, 7):
            start = f"2025-{month:02d}"
            if chats:
                events += [event(name, "chat", f"{start}-{day:02d} 10:00") for day in (5, 20)]
            if mails:
                events.append(event(name, "mail", f"{start}-12 10:00"))
            if has_sla:
                events.append(event(name, "sla", f"{start}-15 10:00"))
            if generator.random() < leave:
                ended = f"{start}-25"
                break
        plan = "premium" if is_premium else "basic"
        rows.append(subscription(name, "2025-01-01", ended, plan=plan, mrr=float(number), seats=3.0))
    return World(events, last_day="2025-06-30", subscriptions=rows, framework=SETTINGS)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with made_up_to(company(), tmp_path_factory.mktemp("ranking"), *TABLES) as world:
        yield world


def by_feature(world: Made) -> pd.DataFrame:
    return pd.DataFrame(world.rows("feature_importance")).set_index("feature")


def test_the_driver_is_a_differentiator_and_what_moves_nothing_is_not(seen: Made) -> None:
    found = by_feature(seen)
    assert seen.outcomes["feature_importance"].state == "made"
    assert found.loc["chat_days", "verdict"] == "differentiator"
    assert found.loc["chat_days", "association_low"] > 0
    assert found.loc["mail_days", "verdict"] == "weak"
    assert found.loc["sla", "verdict"] in {"weak", "interview"}
    # one use of chat, counted in three ways
    assert found.loc[["chat_users", "chat_per_seat"], "feature_group"].tolist() == [found.loc["chat_days", "feature_group"]] * 2
    assert found["auc_low"].min() > 0.5
    # never on, which is sure, and one number of seats: nothing to compare
    assert found.loc[["hours", "seats"], "verdict"].tolist() == ["niche", "interview"]


def test_a_feature_of_premium_is_compared_among_premium_accounts(seen: Made) -> None:
    found = by_feature(seen)
    compared = found["accounts_with"] + found["accounts_without"]
    held_out = int(found["held_out_accounts"].iloc[0])
    boundary = pd.Timestamp(found["note"].iloc[0].split("known by ")[1][:10])
    matrix = pd.DataFrame(seen.rows("feature_matrix"))
    known = matrix[matrix["retained"].notna() & (matrix["observed_at"] >= boundary)]
    assert held_out == known["account_key"].nunique()
    premium = known[known["plan"] == "premium"]
    # an account is compared when the date drawn out of all from its first one on is one on which it paid
    dates = np.sort(known["observed_at"].unique())
    for name, rows in (("mail_days", known), ("sla", premium)):
        paid = rows.groupby("account_key")["observed_at"].agg(["size", "min"])
        chance = paid["size"] / (dates.size - np.searchsorted(dates, paid["min"]))
        assert (chance == 1).sum() < compared[name] < len(paid)
        assert compared[name] == pytest.approx(chance.sum(), abs=4 * np.sqrt((chance * (1 - chance)).sum()))


def test_whom_to_talk_to_is_named_as_the_company_names_them(seen: Made) -> None:
    interviews = by_feature(seen).query("verdict == 'interview'")
    named = [name for names in interviews["talk_to"].dropna() for name in names.split(", ")]
    assert all(name.startswith("c") and len(name) == 4 for name in named)


def test_a_row_that_has_not_elapsed_has_no_outcome(seen: Made) -> None:
    matrix = pd.DataFrame(seen.rows("feature_matrix"))
    is_open = matrix["known_at"] > pd.Timestamp("2025-07-01")
    # the rows of June end on 1 July, and are known a week later
    assert set(matrix.loc[is_open, "observed_at"]) == {pd.Timestamp("2025-06-01")}
    assert matrix.loc[is_open, "retained"].isna().all()
    assert matrix.loc[~is_open, "retained"].notna().all()
    assert set(matrix.loc[~is_open, "observed_at"]) == set(MONTHS)


def test_events_at_or_after_the_date_change_no_feature(seen: Made, tmp_path) -> None:
    world = company()
    world.events = [one for one in world.events if one["occurred_at"] < pd.Timestamp("2025-04-01").to_pydatetime()]
    world.events += [event("c000", "chat", "2025-04-01 00:00:00"), event("c001", "mail", "2025-06-30 12:00:00")]
    with made_up_to(world, tmp_path, "feature_matrix") as changed:
        after = pd.DataFrame(changed.rows("feature_matrix"))
    before = pd.DataFrame(seen.rows("feature_matrix"))
    wanted, found = (
        frame[frame["observed_at"] <= pd.Timestamp("2025-04-01")]
        .drop(columns=["retained"])
        .sort_values(["account_key", "observed_at"], ignore_index=True)
        for frame in (before, after)
    )
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
