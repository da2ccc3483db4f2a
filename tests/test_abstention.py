"""Accuracy against coverage: by hand, by definition, and a promise that is kept."""

import math

import numpy as np
import pytest
from drawn import made, predictions, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import evaluation
from utils.runtime import DataError


def two_class(tops, right):
    """Predictions of two classes with the given confidences, right or wrong."""
    tops = np.asarray(tops, dtype=np.float64)
    return made(
        np.column_stack([tops, 1 - tops]),
        np.where(np.asarray(right, dtype=bool), 0, 1),
        expressions=("yes", "no"),
    )


def graded(n, seed):
    """Predictions that are right as often as they are sure."""
    random = np.random.default_rng(seed)
    tops = 0.5 + 0.5 * random.random(n)
    return two_class(tops, random.random(n) < tops)


HAND = two_class([0.9, 0.8, 0.8, 0.6], [True, True, False, False])


# ------------------------------------------------------------------------------------- the curve


def test_curve_by_hand():
    curve = evaluation.coverage_curve(HAND)
    assert curve["threshold"].tolist() == [0.9, 0.8, 0.6]
    assert curve["answered"].tolist() == [1, 3, 4]
    assert curve["correct"].tolist() == [1, 2, 2]
    assert curve["coverage"].tolist() == [0.25, 0.75, 1]
    assert curve["accuracy"].tolist() == pytest.approx([1, 2 / 3, 0.5])
    for row in curve.itertuples():
        assert (row.low, row.high) == evaluation.accuracy_interval(row.correct, row.answered)
        assert row.risk == 1 - row.accuracy


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_the_curve_ends_at_the_accuracy(given_):
    curve = evaluation.coverage_curve(given_)
    summary = evaluation.summary(given_)
    assert curve["coverage"].iloc[-1] == 1
    assert curve["accuracy"].iloc[-1] == summary.accuracy
    assert (curve["low"].iloc[-1], curve["high"].iloc[-1]) == summary.interval
    assert (curve["threshold"].diff().dropna() < 0).all()
    assert (curve["answered"].diff().dropna() > 0).all()
    assert (curve["low"] <= curve["accuracy"]).all()
    assert (curve["accuracy"] <= curve["high"]).all()
    assert evaluation.coverage_curve(shuffled(given_)).equals(curve)


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_each_row_is_what_its_threshold_gives(given_):
    for row in evaluation.coverage_curve(given_).itertuples():
        found = evaluation.at_threshold(given_, row.threshold)
        assert (found.answered, found.correct) == (row.answered, row.correct)
        assert found.accuracy_interval == (row.low, row.high)


# -------------------------------------------------------------------------------------- the area


def test_area_by_hand():
    # The mistake among the two of 0.8 counts half at each: risks 0, 1/4, 1/3, 1/2.
    assert evaluation.risk_coverage_area(HAND) == pytest.approx((0 + 1 / 4 + 1 / 3 + 1 / 2) / 4)
    best = (0 + 0 + 1 / 3 + 1 / 2) / 4
    assert evaluation.risk_coverage_area(HAND, excess=True) == pytest.approx(1 / 16)
    ideal = two_class([0.9, 0.8, 0.7, 0.6], [True, True, False, False])
    assert evaluation.risk_coverage_area(ideal) == pytest.approx(best)
    assert evaluation.risk_coverage_area(ideal, excess=True) == 0


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_area_lies_between_the_best_order_and_the_worst(given_):
    area = evaluation.risk_coverage_area(given_)
    n = len(given_.labels)
    wrong = n - evaluation.summary(given_).correct
    answers = np.arange(1, n + 1)
    best = (np.maximum(0, answers - (n - wrong)) / answers).mean()
    worst = (np.minimum(wrong, answers) / answers).mean()
    assert best - 1e-12 <= area <= worst + 1e-12
    assert evaluation.risk_coverage_area(given_, excess=True) == pytest.approx(area - best)
    assert evaluation.risk_coverage_area(shuffled(given_)) == area


def test_equally_sure_answers_have_the_plain_risk():
    given_ = two_class([0.7] * 10, [True] * 6 + [False] * 4)
    assert evaluation.risk_coverage_area(given_) == pytest.approx(0.4)


# --------------------------------------------------------------------------------- the threshold


def test_at_coverage_takes_the_surest():
    found = evaluation.at_coverage(HAND, 0.25)
    assert (found.answered, found.accuracy, found.threshold) == (1, 1.0, 0.9)
    # Two of the four are wanted; the second and third are equally sure.
    assert evaluation.at_coverage(HAND, 0.5).answered == 3
    assert evaluation.at_coverage(HAND, 1.0).answered == 4
    assert evaluation.at_coverage(HAND, 1e-9).answered == 1


@given(predictions(), st.floats(0.01, 1))
@settings(deadline=None, max_examples=40)
def test_at_coverage_answers_as_many_as_wanted(given_, coverage):
    found = evaluation.at_coverage(given_, coverage)
    n = len(given_.labels)
    assert found.answered >= max(1, round(coverage * n))
    surer = evaluation.check(given_).confidence > found.threshold
    assert surer.sum() < max(1, round(coverage * n))
    assert found.coverage_interval[0] <= found.coverage <= found.coverage_interval[1]


@given(predictions(), st.floats(0.05, 0.95))
@settings(deadline=None, max_examples=60)
def test_the_threshold_is_the_lowest_that_will_do(given_, accuracy):
    threshold = evaluation.threshold_for(given_, accuracy)
    curve = evaluation.coverage_curve(given_)
    found = evaluation.at_threshold(given_, threshold)
    if math.isinf(threshold):
        assert (curve["accuracy"] < accuracy).all()
        assert found.answered == 0
        assert math.isnan(found.accuracy)
        assert "none of" in str(found)
    else:
        assert found.accuracy >= accuracy
        lower = curve[curve["threshold"] < threshold]
        assert (lower["accuracy"] < accuracy).all()


@given(predictions(), st.floats(0.05, 0.95), st.floats(0.5, 0.99))
@settings(deadline=None, max_examples=60)
def test_certainty_costs_coverage(given_, accuracy, certainty):
    plain = evaluation.threshold_for(given_, accuracy)
    sure = evaluation.threshold_for(given_, accuracy, certainty=certainty)
    assert sure >= plain


def test_a_guarantee_is_kept_and_a_plain_choice_is_not():
    # The truth is known: right as often as sure, so the accuracy from a threshold up is its mean.
    missed = {None: 0, 0.9: 0}
    for seed in range(100):
        validation = graded(600, seed)
        for certainty in missed:
            threshold = evaluation.threshold_for(validation, 0.85, certainty=certainty)
            missed[certainty] += math.isfinite(threshold) and (threshold + 1) / 2 < 0.85
    assert missed[None] > 40
    assert missed[0.9] <= 10


def test_a_guarantee_can_be_had():
    threshold = evaluation.threshold_for(graded(3000, 0), 0.85, certainty=0.95)
    found = evaluation.at_threshold(graded(3000, 1), threshold)
    assert found.accuracy > 0.85
    assert found.coverage > 0.4
    assert "of them rightly" in str(found)


@pytest.mark.parametrize(("n", "enough"), [(80, False), (100, True)])
def test_few_pictures_guarantee_nothing_even_if_all_are_right(n, enough):
    # 7 looks at 0.05 / 7 each: 47 right answers of 47 are needed. The first look is at n / 2.
    assert 1 - (0.05 / 7) ** (1 / 46) > 0.1 > 1 - (0.05 / 7) ** (1 / 47)
    given_ = two_class(np.linspace(0.6, 0.9, n), np.ones(n))
    assert evaluation.threshold_for(given_, 0.9) == pytest.approx(0.6)
    threshold = evaluation.threshold_for(given_, 0.9, certainty=0.95)
    assert threshold == (pytest.approx(0.6) if enough else math.inf)


@pytest.mark.parametrize("accuracy", [0, 1, 90, math.nan])
def test_no_such_accuracy(accuracy):
    with pytest.raises(DataError, match="accuracy between 0 and 1"):
        evaluation.threshold_for(HAND, accuracy)


def test_other_settings_are_refused():
    with pytest.raises(DataError, match="certainty"):
        evaluation.threshold_for(HAND, certainty=95)
    with pytest.raises(DataError, match="coverage"):
        evaluation.at_coverage(HAND, 0)
    with pytest.raises(DataError, match="level"):
        evaluation.coverage_curve(HAND, level=95)
    with pytest.raises(DataError, match="threshold"):
        evaluation.at_threshold(HAND, math.nan)
