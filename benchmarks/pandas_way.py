"""What a careful analyst would write with pandas for the same milestones, from the same landed Parquet.

It reads all events into one frame, drops repeated deliveries, and computes: events by account, user, event and day; the setup
steps with the time of their completion; the count of activation events in the window after the first paid day; conversations
resolved per seat and month (last resolution, not open again, seats weighted by paid time); maturity by category at the end of
every month; whether each account that paid at the start of a month was retained three months later (gaps of up to seven days
bridged). That is the heart of the milestones and less than the product makes: no gate, no evidence, no dated history, no
landmarks, no features. It is written for UTC, for one event source and for the forms that the default framework uses. The last
whole month's numbers are returned for comparison.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ANSWERS = ("setup_steps", "activation_cohort", "usage_ratio", "maturity_categories", "retention_outcomes")
"""The product's tables that hold what is computed here, and more."""
_COLUMNS = ["event_id", "account_id", "user_id", "event", "occurred_at", "properties"]
_GAP, _HORIZON_MONTHS = pd.Timedelta(days=7), 3


def milestones(folder: Path) -> dict[str, tuple[int, int]]:
    """Compute all of it for a company; return (reached, of) in the last whole month by milestone, and of retention."""
    rules = yaml.safe_load((folder / "config" / "framework.yaml").read_text(encoding="utf-8"))
    events = pd.read_parquet(folder / "events", columns=_COLUMNS).drop_duplicates("event_id")
    subscriptions = pd.read_parquet(folder / "subscriptions.parquet")
    as_of = events["occurred_at"].max().normalize() + pd.Timedelta(days=1)
    month = as_of.to_period("M") - 1
    close = (month + 1).to_timestamp()

    events["day"] = events["occurred_at"].dt.normalize()
    daily = (
        events.groupby(["account_id", "user_id", "event", "day"], dropna=False, observed=True).size().rename("events").reset_index()
    )
    daily = daily[daily["account_id"].notna()]

    paid = subscriptions[~subscriptions["is_trial"] & (subscriptions["mrr"] > 0)].sort_values(["account_id", "started_at"])
    tenure = paid.groupby("account_id")["started_at"].min()
    paying = paid[(paid["started_at"] < close) & (paid["ended_at"].isna() | (paid["ended_at"] >= close))]["account_id"].unique()

    setup = setup_steps(events, rules["setup"]["steps"], tenure)
    activation = activation_counts(events, rules["activation"], tenure)
    usage = usage_ratio(events, rules["usage"], paid, as_of)
    maturity = maturity_levels(daily, rules, as_of)
    retention = retention_outcomes(paid, as_of)

    window_end = tenure + pd.DateOffset(months=3)
    elapsed = window_end.index[window_end <= close]
    required = [step["name"] for step in rules["setup"]["steps"] if step.get("required", True)]
    complete = setup[required].max(axis=1).where(setup[required].notna().all(axis=1)).reindex(tenure.index)
    ratio = usage[usage["month"] == month].set_index("account_id")["ratio"].reindex(paying).fillna(0)
    mature = maturity[maturity["month"] == month].set_index("account_id")["categories"].reindex(paying).fillna(0)
    counts = activation.reindex(elapsed).fillna(0)
    return {
        "setup": (int((complete < window_end).reindex(elapsed).sum()), len(elapsed)),
        "activation": (int((counts >= rules["activation"]["threshold"]).sum()), len(elapsed)),
        "usage": (int((ratio >= rules["usage"]["threshold"]).sum()), len(paying)),
        "maturity": (int((mature >= rules["maturity"]["mature_categories"]).sum()), len(paying)),
        "retention": (int(retention["retained"].sum()), len(retention)),
    }


def setup_steps(events: pd.DataFrame, steps: list[dict[str, Any]], tenure: "pd.Series[Any]") -> pd.DataFrame:
    """When each account completed each step: a column per step, NaT where it has not."""
    completed = {}
    for step in steps:
        of_step = events[events["event"].isin(step["events"])].sort_values(["occurred_at", "event_id"])
        for name, accepted in step.get("where", {}).items():
            of_step = of_step[_property(of_step, name).isin(accepted)]
        if "minimum_distinct" in step:
            values = _property(of_step, step["distinct"]) if step["distinct"] != "users" else of_step["user_id"]
            of_step = of_step.assign(value=values).dropna(subset=["value"]).drop_duplicates(["account_id", "value"])
        needed = step.get("minimum_distinct", step.get("minimum_count", 1))
        nth = of_step.groupby("account_id").cumcount() + 1
        completed[step["name"]] = of_step[nth == needed].set_index("account_id")["occurred_at"]
    return pd.DataFrame(completed).reindex(tenure.index)


def activation_counts(events: pd.DataFrame, rule: dict[str, Any], tenure: "pd.Series[Any]") -> "pd.Series[Any]":
    """Activation events of each account within three months of its first paid day."""
    counted = events[events["event"].isin(rule["events"])][["account_id", "occurred_at"]]
    start = counted["account_id"].map(tenure)
    within = (counted["occurred_at"] >= start) & (counted["occurred_at"] < start + pd.DateOffset(months=3))
    return counted[within].groupby("account_id").size()


def usage_ratio(events: pd.DataFrame, rule: dict[str, Any], paid: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Conversations resolved as of the month's end, per seat, of each account and month."""
    touched = events[events["event"].isin([*rule["events"], *rule["reopened_by"]])]
    touched = touched.assign(
        entity=_property(touched, rule["entity"]),
        month=touched["occurred_at"].dt.to_period("M"),
        is_resolved=touched["event"].isin(rule["events"]),
    ).dropna(subset=["entity"])
    last = touched.sort_values("occurred_at").groupby(["entity", "month"], as_index=False).last()
    resolved = last[last["is_resolved"]].groupby(["account_id", "month"]).size().rename("resolved").reset_index()
    seats = []
    for month, begin, end in _months(paid["started_at"].min(), as_of):
        overlap = paid["ended_at"].fillna(as_of).clip(upper=end) - paid["started_at"].clip(lower=begin)
        weighted = paid["seats"] * overlap.dt.total_seconds().clip(lower=0) / (end - begin).total_seconds()
        by_account = weighted.groupby(paid["account_id"]).sum()
        seats.append(by_account[by_account > 0].rename("seats").reset_index().assign(month=month))
    both = pd.concat(seats).merge(resolved, on=["account_id", "month"], how="left")
    return both.assign(ratio=both["resolved"].fillna(0) / both["seats"])


def maturity_levels(daily: pd.DataFrame, rules: dict[str, Any], as_of: pd.Timestamp) -> pd.DataFrame:
    """How many categories each account is mature in, at the end of every month."""
    features = {feature["name"]: feature for feature in rules["features"]["catalogue"]}
    wanted = {name for category in rules["maturity"]["categories"] for name in category["mature"]["of"]}
    pairs = [(event, name) for name in sorted(wanted) for event in features[name].get("events", [])]
    used = daily[["account_id", "event", "day"]].merge(pd.DataFrame(pairs, columns=["event", "feature"]), on="event")
    used = used[["account_id", "feature", "day"]].drop_duplicates()
    window = pd.Timedelta(days=90)
    found = []
    for month, _, end in _months(daily["day"].min(), as_of):
        close = min(end, as_of)
        days = used[(used["day"] < close) & (used["day"] >= close - window)].pivot_table(
            index="account_id", columns="feature", aggfunc="size", fill_value=0
        )
        categories = sum(
            (days.reindex(columns=rule["mature"]["of"], fill_value=0) >= rule["mature"]["minimum_days"]).sum(axis=1)
            >= rule["mature"]["at_least"]
            for rule in rules["maturity"]["categories"]
        )
        found.append(pd.DataFrame({"account_id": days.index, "month": month, "categories": np.asarray(categories)}))
    return pd.concat(found)


def retention_outcomes(paid: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Whether who paid at the start of a month, and could leave, had not left three months later; outcomes that are known alone."""
    until = paid["ended_at"].fillna(pd.Timestamp.max)
    latest = until.groupby(paid["account_id"]).cummax().groupby(paid["account_id"]).shift()
    is_new = latest.isna() | (paid["started_at"] > latest + _GAP)
    spells = (
        paid.assign(until=until, spell=is_new.groupby(paid["account_id"]).cumsum())
        .groupby(["account_id", "spell"])
        .agg(begun=("started_at", "min"), ended=("until", "max"))
        .reset_index()
    )
    tenure = spells.groupby("account_id")["begun"].min()
    found = []
    for _, begin, _ in _months(paid["started_at"].min(), as_of):
        horizon = begin + pd.DateOffset(months=_HORIZON_MONTHS)
        if horizon + _GAP > as_of:
            break
        there = spells[(spells["begun"] <= begin) & (spells["ended"] > begin) & (spells["account_id"].map(tenure) < begin)]
        there = there[there["account_id"].isin(_renewing(paid, begin, horizon))]
        found.append(pd.DataFrame({"account_id": there["account_id"], "month": begin, "retained": there["ended"] > horizon}))
    return pd.concat(found)


def _renewing(paid: pd.DataFrame, begin: pd.Timestamp, horizon: pd.Timestamp) -> "pd.Series[Any]":
    """Accounts whose term renews within the horizon, or that pay nothing at its start (a bridged gap)."""
    running = paid[(paid["started_at"] <= begin) & (paid["ended_at"].isna() | (paid["ended_at"] > begin))]
    anchor = running["term_anchor_at"]
    months = (begin.year - anchor.dt.year) * 12 + begin.month - anchor.dt.month
    terms = np.maximum(1, months // running["term_months"])
    due = pd.Series(
        [_renewal(at, term, int(number), begin) for at, term, number in zip(anchor, running["term_months"], terms, strict=True)],
        index=running.index,
        dtype="datetime64[us]",
    )
    locked = due.groupby(running["account_id"]).min() > horizon
    return paid["account_id"][~paid["account_id"].isin(locked.index[locked])]


def _renewal(anchor: pd.Timestamp, term: int, terms: int, begin: pd.Timestamp) -> pd.Timestamp:
    due = anchor + pd.DateOffset(months=term * terms)
    return due if due > begin else anchor + pd.DateOffset(months=term * (terms + 1))


def _property(events: pd.DataFrame, name: str) -> "pd.Series[Any]":
    return events["properties"].map(lambda text: json.loads(text).get(name), na_action="ignore")


def _months(first: pd.Timestamp, until: pd.Timestamp) -> Iterator[tuple[pd.Period, pd.Timestamp, pd.Timestamp]]:
    for month in pd.period_range(first, until - pd.Timedelta(seconds=1), freq="M"):
        yield month, month.to_timestamp(), (month + 1).to_timestamp()
