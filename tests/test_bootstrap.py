"""Bootstrap intervals and the spread of seeds: against SciPy, by hand, and known truths."""

import math

import numpy as np
import pytest
from drawn import made, of_classes, predictions, shuffled
from hypothesis import given, settings

from utils import evaluation, records
from utils.runtime import DataError


def drawn(n=300, seed=0, classes=7, sure=0.5):
    """Predictions of a mediocre network: right about half of the time."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    given_ = random.dirichlet(np.full(classes, 0.7), n)
    given_[np.arange(n), labels] += random.random(n) < sure
    return made(given_ / given_.sum(axis=1, keepdims=True), labels)


@given(predictions())
@settings(deadline=None, max_examples=15)
def test_the_estimates_are_the_metrics_and_the_intervals_are_in_order(given_):
    if len(given_) < 2:
        return
    table = evaluation.bootstrap(given_, draws=100)
    summary, report = evaluation.summary(given_), evaluation.report(given_)
    assert table.loc["accuracy", "estimate"] == pytest.approx(summary.accuracy)
    assert table.loc["macro_f1", "estimate"] == pytest.approx(summary.macro_f1)
    for name in given_.expressions:
        assert table.loc[f"f1: {name}", "estimate"] == pytest.approx(report.loc[name, "f1"])
    assert (table["standard_error"] >= 0).all()
    defined = table.dropna()
    assert ((defined["low"] >= 0) & (defined["high"] <= 1 + 1e-12)).all()
    assert (defined["low"] <= defined["high"]).all()


def test_the_recorded_run_has_the_published_intervals():
    table = evaluation.bootstrap(records.load("cnn5-fer2013-smote").test)
    assert table.loc["macro_f1", ["low", "high"]].tolist() == pytest.approx(
        [0.6343, 0.6735], abs=5e-5
    )
    assert table.loc["f1: disgust", ["low", "high"]].tolist() == pytest.approx(
        [0.566, 0.753], abs=1e-3
    )


def test_a_seed_repeats_another_differs_and_the_order_does_not_matter():
    given_ = drawn()
    one, again, other = (evaluation.bootstrap(given_, draws=200, seed=seed) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)
    assert one.equals(evaluation.bootstrap(shuffled(given_), draws=200))


def test_where_nothing_varies_the_interval_is_a_point():
    found = evaluation.bootstrap(of_classes([0, 1, 2] * 5, [0, 1, 2] * 5), draws=100)
    assert found.loc["accuracy"].tolist() == [1, 1, 1, 0]
    assert found.loc["f1: sad"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("given_", "settings_", "says"),
    [
        (drawn(), {"draws": 99}, "100 draws"),
        (drawn(), {"level": 1.0}, "level"),
        (of_classes([0], [0]), {}, "two pictures"),
    ],
)
def test_what_cannot_be_computed_is_refused(given_, settings_, says):
    with pytest.raises(DataError, match=says):
        evaluation.bootstrap(given_, **settings_)


def runs_of(right):
    """Runs with the given right (True) and wrong (False) answers: (m, n)."""
    return {
        f"seed {at}": of_classes(np.where(row, 0, 1), np.zeros(len(row), int))
        for at, row in enumerate(np.asarray(right))
    }


def test_the_interval_of_a_mean_by_hand():
    # Student's t, 2 degrees of freedom: 4.3027.
    half = 4.3027 * 0.1 / 3**0.5
    found = evaluation.seeds_interval([0.5, 0.6, 0.7])
    assert found == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-4)
    assert evaluation.seeds_interval([2, 2, 2]) == (2, 2, 2)
    assert evaluation.seeds_interval([3.0]) == pytest.approx((3, np.nan, np.nan), nan_ok=True)
    with pytest.raises(DataError, match="got none"):
        evaluation.seeds_interval([])


def test_spread_by_hand():
    right = np.zeros((3, 10), bool)
    for at, count in enumerate((5, 6, 7)):
        right[at, :count] = True
    found = evaluation.seeds(runs_of(right))
    assert (found.accuracies, found.n) == ((0.5, 0.6, 0.7), 10)
    assert found.standard_deviation == pytest.approx(0.1)
    assert (found.mean, *found.interval) == pytest.approx(
        evaluation.seeds_interval([0.5, 0.6, 0.7])
    )
    assert found.two_runs == pytest.approx(4.3027 * 0.1 * 2**0.5, abs=1e-4)
    # Two pictures change, each with a variance of 1/3 over the seeds.
    assert found.explained == pytest.approx((2 / 3) / 10**2 / 0.1**2)
    assert found.test_set_error == pytest.approx((0.6 * 0.4 / 10) ** 0.5)
    assert "3 seeds: mean 60.0%" in str(found)


def test_runs_that_all_answer_alike_have_no_spread_to_explain():
    found = evaluation.seeds(runs_of(np.tile([True, False, True], (4, 1))))
    assert found.standard_deviation == found.two_runs == 0
    assert math.isnan(found.explained)
    assert "explains" not in str(found)
    level = evaluation.seeds(runs_of([[True, False], [False, True]]))
    assert (level.standard_deviation, level.explained) == (0, 1)
