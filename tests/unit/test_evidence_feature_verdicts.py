"""Tests of the verdicts, each by hand, and in their order."""

from math import inf, nan

import pandas as pd
import pytest
from ranking_world import ADOPTION

from milestones_dagster.config.framework import AdoptionBenchmark
from milestones_dagster.evidence.feature_verdicts import verdicts

USUAL = (0.30, 0.20, 0.40)
GOOD = {
    "importance": 0.03,
    "importance_low": 0.01,
    "largest_decoy": 0.002,
    "association_direction": 1.0,
    "association_q": 0.01,
    "detectable_difference": 0.1,
    "retained_share": 0.7,
    "accounts_with": 400,
    "accounts_without": 600,
}


def judged(eligible=USUAL, everyone=USUAL, **changed):
    table = pd.DataFrame([dict(zip(ADOPTION, (*eligible, *everyone), strict=True)) | GOOD | changed])
    return verdicts(table, AdoptionBenchmark(ubiquitous=0.8, niche=0.05)).iloc[0]


@pytest.mark.parametrize(
    ("eligible", "everyone", "verdict", "is_borderline"),
    [
        ((0.90, 0.85, 0.94), (0.90, 0.85, 0.94), "ubiquitous", False),
        ((0.81, 0.79, 0.83), (0.40, 0.38, 0.42), "ubiquitous", True),
        ((0.80, 0.78, 0.82), (0.40, 0.38, 0.42), "differentiator", True),  # the bound itself is not beyond it
        ((0.85, 0.81, 0.89), (0.03, 0.02, 0.04), "ubiquitous", False),  # the first that applies
        ((0.30, 0.20, 0.40), (0.04, 0.03, 0.06), "niche", True),
        ((0.30, 0.20, 0.40), (0.02, 0.01, 0.04), "niche", False),
        ((0.30, 0.20, 0.40), (0.05, 0.05, 0.06), "differentiator", True),
        ((nan, nan, nan), (nan, nan, nan), "differentiator", False),  # an attribute
    ],
)
def test_the_adoption_benchmark(eligible, everyone, verdict, is_borderline):
    found = judged(eligible, everyone)
    assert (found["verdict"], found["is_borderline"]) == (verdict, is_borderline)


@pytest.mark.parametrize(
    ("changed", "verdict", "reason"),
    [
        ({}, "differentiator", "stay more often"),
        ({"association_direction": -1.0}, "warning_sign", "stay less often"),
        ({"association_q": 0.05}, "differentiator", "q = 0.05"),
        ({"association_q": 0.051}, "weak", "by itself it does not go with staying"),
        ({"association_q": nan}, "weak", "by itself it does not go with staying"),
        ({"association_direction": 0.0}, "weak", "by itself"),
        ({"importance_low": 0.0}, "weak", "nothing that is above the noise"),
        ({"importance_low": nan}, "weak", "nothing that is above the noise"),
        ({"largest_decoy": 0.03}, "weak", "a decoy, permuted across accounts, is as important"),
        ({"detectable_difference": 0.151}, "interview", "only a difference of 15 points or more would show"),
        ({"detectable_difference": inf, "accounts_with": 0}, "interview", "all 600 held-out accounts are on one side"),
        ({"detectable_difference": inf, "retained_share": 1.0}, "interview", "all of 1,000 held-out accounts stayed"),
        ({"detectable_difference": 1.2}, "interview", "too few for any difference to show"),
    ],
)
def test_the_rest_by_hand(changed, verdict, reason):
    found = judged(**changed)
    assert found["verdict"] == verdict
    assert reason in found["reason"]


def test_interview_comes_before_the_benchmark():
    found = judged((0.9, 0.85, 0.94), (0.9, 0.85, 0.94), detectable_difference=0.3)
    assert (found["trust"], found["verdict"]) == ("interview", "interview")


def test_trust_is_statistical_at_five_points():
    assert judged(detectable_difference=0.05)["trust"] == "statistical"
    assert judged(detectable_difference=0.051)["trust"] == "mixed"
