"""Lines of worked cases from public sources: each is computed here and must come out as its source says.

Put here what computes a case: by the product where it has the function, by the library that it builds on where the library
alone is what a table will call, and by a plain reading of the definition for journeys. Keep out simulations. Two cases are
anti-oracles: their source divides by everybody, we divide by entrants, and the numbers must differ from the source's.
"""

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from milestones_dagster.evidence.association import phi, wilson
from tests.proving.score import Job, Line, Record, Row

PATH = Path(__file__).parents[3].parent / "shared" / "oracles" / "statistics_cases.json"
WRONG = float("inf")

ORDERS = {
    # customer: (day of January, completed) of the public seed raw_orders.csv of mjirv/dbt_product_analytics (Jaffle Shop)
    1: [(1, 0)], 3: [(2, 0), (27, 1)], 94: [(4, 1), (29, 1)], 50: [(5, 1)], 64: [(5, 1), (20, 0)], 54: [(7, 1), (22, 1)],
    88: [(9, 1)], 2: [(11, 0)], 53: [(12, 1)], 7: [(14, 1)], 99: [(14, 1)], 59: [(15, 1)], 84: [(17, 1)], 40: [(17, 0)],
    25: [(17, 1)], 39: [(18, 1)], 71: [(18, 1), (23, 1)], 20: [(23, 1)], 86: [(24, 1)], 22: [(26, 0)], 51: [(28, 1)],
    32: [(28, 1)], 8: [(29, 0)], 57: [(31, 1)],
}  # fmt: skip

Case = dict[str, Any]


def run(path: Path) -> list[Record]:
    """Return a record per case: its name, and by how much the worst of its numbers is off."""
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return [
        {"case": case["id"], "kind": case["kind"], "tolerance": case["tolerance"], "error": CASES[case["id"]](case)}
        for case in cases
    ]


def off(found: Any, expected: Any) -> float:
    """Return the largest absolute difference."""
    return float(np.max(np.abs(np.asarray(found, dtype=float) - np.asarray(expected, dtype=float))))


def logrank(case: Case) -> float:
    from lifelines.statistics import logrank_test

    given, expected = case["inputs"], case["expected"]
    test = logrank_test(given["control_T"], given["treat_T"], given["control_E"], given["treat_E"])
    return max(off(test.test_statistic, expected["chi2"]), off(test.p_value, expected["p"]))


def waltons(case: Case) -> float:
    from lifelines import KaplanMeierFitter
    from lifelines.datasets import load_waltons
    from lifelines.statistics import logrank_test

    flies = load_waltons()
    is_control = flies["group"] == "control"
    test = logrank_test(flies["T"][is_control], flies["T"][~is_control], flies["E"][is_control], flies["E"][~is_control])
    middle = KaplanMeierFitter().fit(flies["T"], flies["E"]).median_survival_time_
    return max(off(test.test_statistic, case["expected"]["chi2"]), off(middle, case["expected"]["median"]))


def kaplan_meier(case: Case) -> float:
    from lifelines import KaplanMeierFitter

    given = case["inputs"]
    fitted = KaplanMeierFitter().fit(given["T"], given["E"])
    return off(fitted.survival_function_at_times(given["times"]), case["expected"])


def relative_uplift(case: Case) -> float:
    """Compare the relative uplift with its delta-method interval and p, t with Welch's degrees of freedom."""
    from scipy.stats import t

    (mean0, variance0, n0), (mean1, variance1, n1) = (_moments(case["inputs"][arm]) for arm in ("control", "treat"))
    uplift = (mean1 - mean0) / mean0
    error = sqrt(variance1 / (mean0**2 * n1) + variance0 * mean1**2 / (mean0**4 * n0))
    parts = variance1 / n1, variance0 / n0
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (n1 - 1) + parts[1] ** 2 / (n0 - 1))
    half = t.ppf(0.975, freedom) * error
    found = [uplift, uplift - half, uplift + half, 2 * t.sf(abs(uplift) / error, freedom)]
    expected = case["expected"]
    return off(found, [expected["uplift"], *expected["ci"], expected["p"]])


def _moments(arm: dict[str, float]) -> tuple[float, float, float]:
    mean = arm["sum"] / arm["n"]
    if "sum_squares" in arm:
        return mean, (arm["sum_squares"] - arm["sum"] ** 2 / arm["n"]) / (arm["n"] - 1), arm["n"]
    return mean, mean * (1 - mean), arm["n"]


def two_by_two(case: Case) -> float:
    (a, b), (c, d) = case["inputs"]["table"]
    found = [phi(a, b, c, d), *(wilson(part, whole).estimate for part, whole in ((a, a + b), (d, c + d), (a, a + c), (d, b + d)))]
    found.append(np.asarray((a + b) / (a + b + c + d)))
    names = ("phi", "ppv", "npv", "sensitivity", "specificity", "above_threshold")
    return off(found, [case["expected"][name] for name in names])


def collinear(case: Case) -> float:
    """Compare a forest on collinear columns: accurate, each column alone without importance, accurate on one per cluster."""
    from scipy.cluster.hierarchy import fcluster, ward
    from scipy.spatial.distance import squareform
    from scipy.stats import spearmanr
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import train_test_split

    columns, outcome = load_breast_cancer(return_X_y=True)
    train, test, known, held = train_test_split(columns, outcome, test_size=0.25, random_state=42)

    def accuracy(chosen: Any) -> tuple[Any, float]:
        forest = RandomForestClassifier(n_estimators=100, random_state=42).fit(train[:, chosen], known)
        return forest, float(forest.score(test[:, chosen], held))

    forest, full = accuracy(np.arange(columns.shape[1]))
    importance = permutation_importance(forest, train, known, n_repeats=10, random_state=42).importances_mean.max()
    together = spearmanr(columns).statistic
    together = (together + together.T) / 2
    np.fill_diagonal(together, 1)
    clusters = fcluster(ward(squareform(1 - np.abs(together))), t=1, criterion="distance")
    _, reduced = accuracy(np.unique(clusters, return_index=True)[1])
    expected = case["expected"]
    # two of the three are bounds: what keeps them is not off
    return max(
        off(full, expected["test_accuracy"]),
        0.0 if importance < expected["max_train_importance_below"] + case["tolerance"] else WRONG,
        0.0 if reduced >= expected["reduced_accuracy_at_least"] - case["tolerance"] else WRONG,
    )


def in_between(case: Case) -> float:
    """Count secondary events from each primary one up to the next, of one customer."""
    given = case["inputs"]
    events = pd.DataFrame(given["events"], columns=["customer", "event", "at"]).sort_values("at", kind="stable")
    starts = events.loc[events["event"] == given["primary"], "at"].tolist()
    ends = [*starts[1:], "9999"]
    found = [
        [
            int(((events["event"] == name) & (events["at"] > start) & (events["at"] < end)).sum())
            for start, end in zip(starts, ends, strict=True)
        ]
        for name in given["count"]
    ]
    return off(found, [case["expected"]["added"], case["expected"]["bought"]])


def entrants_stay(case: Case) -> float:
    """Compare unbounded retention of entrants: customers with a completed order, and again so many days later or more."""
    days = [[day for day, completed in orders if completed] for orders in ORDERS.values()]
    entrants = [found for found in days if found]
    found = [sum(any(day >= own[0] + later for day in own) for own in entrants) / len(entrants) for later in (0, 1, 7, 14)]
    return WRONG if off(found, case["expected"]["theirs"]) == 0 else off(found, case["expected"]["correct"])


def entrants_pass(case: Case) -> float:
    """Compare a funnel: as many reach each step as the source says, and the share is of entrants, not of everybody."""
    reached: dict[str, int] = {}
    steps = case["inputs"]["steps"]
    for person, event, _ in sorted(case["inputs"]["events"], key=lambda row: row[2]):
        place = reached.get(person, 0)
        if place < len(steps) and event == steps[place]:
            reached[person] = place + 1
    counts = [sum(place > number for place in reached.values()) for number in range(len(steps))]
    found = [count / counts[0] for count in counts]
    if off(found, case["expected"]["rate"]) == 0 or found[0] != 1:
        return WRONG
    return off(counts, case["expected"]["counts"])


CASES: dict[str, Callable[[Case], float]] = {
    "T01": logrank,
    "T02": kaplan_meier,
    "T05": waltons,
    "T07": relative_uplift,
    "T09": relative_uplift,
    "T13": two_by_two,
    "T15": collinear,
    "T17": in_between,
    "T20": entrants_stay,
    "T21": entrants_pass,
}


def jobs(*, is_quick: bool) -> list[Job]:
    """Return one job, or none where the cases are not here; they take as long quickly."""
    del is_quick
    return [Job(run, (PATH,))] if PATH.exists() else []


def rows(records: list[Record]) -> list[Row]:
    """Return one row per case."""
    return [
        Row(
            "oracles",
            f"{record['case']} {record['kind'].replace('_', ' ')}: largest error",
            "",
            1,
            record["error"],
            most=record["tolerance"],
            unit="absolute",
        )
        for record in records
    ]


LINE = Line("oracles", jobs, rows)
