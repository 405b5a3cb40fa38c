"""Tests of the logistic baseline: against scikit-learn's own pipeline, and that what is held out scales nothing."""

import numpy as np
import pytest

from milestones_dagster.evidence.baselines import PENALTY, Logistic


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(1)
    values = generator.poisson(3, (500, 4)).astype(float)
    values[:, 3] = 5
    return values, generator.random(500) < 1 / (1 + np.exp(2 - values[:, 0]))


def test_scores_equal_those_of_a_pipeline(rows):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    values, outcome = rows
    model = LogisticRegression(C=PENALTY, tol=1e-9, max_iter=1000)
    pipeline = make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), model)
    pipeline.fit(values[:400], outcome[:400])

    own = Logistic.fit(values[:400], outcome[:400])

    found = own.scores(own.terms(values[400:]).sum(axis=1))
    assert found == pytest.approx(pipeline.predict_proba(values[400:])[:, 1], abs=1e-6)
    # a constant adds nothing
    assert own.terms(values)[:, 3] == pytest.approx(0, abs=1e-12)


def test_a_missing_value_is_the_mean_and_negative_values_are_mirrored(rows):
    values, outcome = rows
    model = Logistic.fit(values - 3, outcome)
    assert model.centre[0] == pytest.approx((np.sign(values - 3) * np.log1p(np.abs(values - 3)))[:, 0].mean())

    holed = np.where(np.arange(500)[:, None] < 100, np.nan, values)
    with_holes = Logistic.fit(holed, outcome)
    assert with_holes.centre[0] == pytest.approx(np.log1p(values[100:, 0]).mean())
    assert (with_holes.terms(holed)[:100] == 0).all()
