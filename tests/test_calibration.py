"""Calibration: by hand, a temperature that is recovered, and a promised accuracy that is kept."""

import math

import numpy as np
import pytest
from drawn import made, predictions, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import evaluation
from utils.runtime import DataError

quick = settings(deadline=None, max_examples=25)


def honest(n=4000, seed=0, sharpness=1.5):
    """Predictions whose probabilities are true: the label is drawn from them."""
    random = np.random.default_rng(seed)
    shares = np.exp(random.normal(0, sharpness, (n, 7)))
    shares /= shares.sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
    return made(shares, labels)


def two_class(tops, right):
    """Predictions of two classes with the given confidences, right or wrong."""
    tops = np.asarray(tops, dtype=np.float64)
    labels = np.where(np.asarray(right, dtype=bool), 0, 1)
    return made(np.column_stack([tops, 1 - tops]), labels, expressions=("yes", "no"))


@given(predictions())
@quick
def test_reliability_holds_every_prediction_once(given_):
    table = evaluation.reliability_table(given_)
    assert len(table) == evaluation.BINS
    assert table["count"].sum() == len(given_)
    filled = table[table["count"] > 0]
    assert (filled["confidence"] > filled["low"] - 1e-12).all()
    assert (filled["confidence"] <= filled["high"] + 1e-12).all()
    right = (filled["accuracy"] * filled["count"]).sum()
    assert right == pytest.approx(evaluation.summary(given_).correct)
    assert table.loc[table["count"] == 0, ["confidence", "accuracy"]].isna().all().all()
    # The distance between mean confidence and accuracy, as in a single bin, is a lower bound.
    least = abs((filled["confidence"] * filled["count"]).sum() - right) / table["count"].sum()
    assert least - 1e-12 <= evaluation.calibration_error(given_) <= 1


def test_calibration_error_by_hand():
    # Two share a bin, half of them right; 0.9 is always right.
    given_ = two_class([0.61, 0.65, 0.9, 0.9], [1, 0, 1, 1])
    expected = (2 * abs(0.63 - 0.5) + 2 * abs(0.9 - 1.0)) / 4
    assert evaluation.calibration_error(given_) == pytest.approx(expected)
    counts = evaluation.reliability_table(two_class([0.6, 1], [1, 1]))["count"]
    assert counts[counts > 0].index.tolist() == [8, 14]  # a bin is closed above


@given(predictions(), st.floats(0.01, 100))
@quick
def test_a_temperature_changes_no_answer(given_, temperature):
    changed = evaluation.with_temperature(given_, temperature)
    assert (changed.predicted == evaluation.check(given_).predicted).all()
    assert np.allclose(changed.probabilities.sum(axis=1), 1)
    assert changed.rows is given_.rows
    assert changed.copies is given_.copies
    same = evaluation.with_temperature(given_, 1.0).probabilities
    assert np.allclose(same, evaluation.check(given_).probabilities, atol=2e-6)


def test_nearly_equal_probabilities_keep_their_order_in_any_heat():
    low = np.nextafter(0.5, 0)
    given_ = made([[low, 0.5], [0.5, low], [0.5, 0.5]], [1, 0, 0], expressions=("a", "b"))
    for temperature in (0.01, 1.0, 3.7, 100.0):
        changed = evaluation.with_temperature(given_, temperature)
        assert changed.predicted.tolist() == evaluation.check(given_).predicted.tolist()


@pytest.mark.parametrize("raised", [0.3, 1.0, 3.0])
@pytest.mark.parametrize(("kind", "within"), [(np.float64, 0.05), (np.float16, 0.08)])
def test_the_temperature_is_found_that_was_put_in(raised, kind, within):
    given_ = evaluation.with_temperature(honest(), raised)
    given_ = made(given_.probabilities.astype(kind), given_.labels)
    # What float16 rounded to zero is lost, which matters where they were raised most.
    assert evaluation.temperature(given_) == pytest.approx(1 / raised, rel=within)


def test_the_temperature_lies_at_an_end_or_is_one_where_none_helps():
    assert evaluation.temperature(made(np.full((7, 7), 1 / 7), range(7))) == 1
    assert evaluation.temperature(two_class([0.6, 0.7], [1, 1])) == pytest.approx(0.01, rel=0.5)
    assert evaluation.temperature(two_class([0.6, 0.7], [0, 0])) == pytest.approx(100, rel=0.01)


@given(predictions())
@quick
def test_each_row_of_the_curve_is_what_its_threshold_gives(given_):
    curve = evaluation.coverage_curve(given_)
    assert (curve["threshold"].diff().dropna() < 0).all()
    assert curve["coverage"].iloc[-1] == 1
    assert curve["accuracy"].iloc[-1] == evaluation.summary(given_).accuracy
    assert evaluation.coverage_curve(shuffled(given_)).equals(curve)
    for row in curve.itertuples():
        found = evaluation.at_threshold(given_, row.threshold)
        assert (found.answered, found.correct) == (row.answered, row.correct)
        shares = row.answered / len(given_), row.correct / row.answered
        assert (row.coverage, row.accuracy) == pytest.approx(shares)


@given(predictions(), st.floats(0.05, 0.95), st.floats(0.5, 0.99))
@quick
def test_the_threshold_is_the_lowest_that_will_do_and_certainty_costs(given_, accuracy, certainty):
    threshold = evaluation.threshold_for(given_, accuracy)
    curve = evaluation.coverage_curve(given_)
    found = evaluation.at_threshold(given_, threshold)
    if math.isinf(threshold):
        assert (curve["accuracy"] < accuracy).all()
        assert found.answered == 0
        assert math.isnan(found.accuracy)
    else:
        assert found.accuracy >= accuracy
        assert (curve["accuracy"][curve["threshold"] < threshold] < accuracy).all()
    assert evaluation.threshold_for(given_, accuracy, certainty=certainty) >= threshold


def test_a_guarantee_is_kept_and_a_plain_choice_is_not():
    # The truth is known: right as often as sure, so the accuracy from a threshold up is its mean.
    missed = {None: 0, 0.9: 0}
    for seed in range(60):
        random = np.random.default_rng(seed)
        tops = 0.5 + 0.5 * random.random(600)
        validation = two_class(tops, random.random(600) < tops)
        for certainty in missed:
            threshold = evaluation.threshold_for(validation, 0.85, certainty=certainty)
            missed[certainty] += math.isfinite(threshold) and (threshold + 1) / 2 < 0.85
    assert missed[None] > 18
    assert missed[0.9] <= 6


def test_other_settings_are_refused():
    given_ = honest(10)
    for temperature in (0, -1, math.inf, math.nan):
        with pytest.raises(DataError, match="temperature above 0"):
            evaluation.with_temperature(given_, temperature)
    for accuracy in (0, 1, 90, math.nan):
        with pytest.raises(DataError, match="accuracy between 0 and 1"):
            evaluation.threshold_for(given_, accuracy)
    with pytest.raises(DataError, match="certainty"):
        evaluation.threshold_for(given_, certainty=95)
