"""Calibration errors by hand and by definition; a temperature that is found again."""

import itertools
import math

import numpy as np
import pytest
from drawn import made, of_classes, predictions, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from utils import evaluation
from utils.runtime import DataError


def honest(n=4000, seed=0, sharpness=1.5):
    """Predictions whose probabilities are true: the label is drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, sharpness, (n, 7))
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
    return made(shares, labels)


# --------------------------------------------------------------------------- equal mass, classes


@given(predictions(), st.integers(1, 20))
@settings(deadline=None, max_examples=40)
def test_bins_of_equal_mass_hold_every_prediction_once(given_, bins):
    table = evaluation.reliability_table(given_, bins, equal="mass")
    assert 1 <= len(table) <= bins
    assert table["count"].sum() == len(given_.labels)
    assert (table["count"] > 0).all()
    assert table["low"].iloc[0] == 0
    assert table["high"].iloc[-1] == 1
    assert table["low"].iloc[1:].tolist() == table["high"].iloc[:-1].tolist()
    assert (table["confidence"] > table["low"]).all()
    assert (table["confidence"] <= table["high"] + 1e-12).all()
    right = (table["accuracy"] * table["count"]).sum()
    assert right == pytest.approx(evaluation.summary(given_).correct)
    other = evaluation.reliability_table(shuffled(given_), bins, equal="mass")
    assert np.allclose(table, other)


def test_bins_of_equal_mass_are_equally_full():
    given_ = honest(1500)
    counts = evaluation.reliability_table(given_, 15, equal="mass")["count"]
    assert counts.tolist() == [100] * 15


def test_the_adaptive_error_sees_what_cancels_in_one_wide_bin():
    # At 0.82 always right, at 0.98 in 80 of 100: (0.8, 1] as a whole looks calibrated ...
    tops = np.repeat([0.82, 0.98], 100)
    right = np.concatenate([np.ones(100, bool), np.arange(100) < 80])
    given_ = made(
        np.column_stack([tops, 1 - tops]), np.where(right, 0, 1), expressions=("yes", "no")
    )
    assert evaluation.calibration_error(given_, bins=5) == pytest.approx(0, abs=1e-12)
    # ... and in two bins, not at all.
    assert evaluation.calibration_error(given_, bins=2, equal="mass") == pytest.approx(0.18)


def test_error_by_class_by_hand():
    given_ = made([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1], expressions=("a", "b"))
    table = evaluation.calibration_by_class(given_, bins=2)
    # a: (0.8, 0.8) against one right of two, and 0.3 against none; b mirrors it.
    assert table["error"].tolist() == pytest.approx([(0.6 + 0.3) / 3] * 2)
    assert table["probability"].tolist() == pytest.approx([1.9 / 3, 1.1 / 3])
    assert table["share"].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert evaluation.classwise_calibration_error(given_, bins=2) == pytest.approx(0.3)


@given(predictions(), st.sampled_from(["width", "mass"]))
@settings(deadline=None, max_examples=40)
def test_error_by_class_is_bounded_from_both_sides(given_, equal):
    table = evaluation.calibration_by_class(given_, equal=equal)
    assert table.index.tolist() == list(given_.expressions)
    assert table["probability"].sum() == pytest.approx(1)
    assert table["share"].sum() == pytest.approx(1)
    assert (table["error"] >= (table["probability"] - table["share"]).abs() - 1e-12).all()
    assert (table["error"] <= 1 + 1e-12).all()
    assert evaluation.classwise_calibration_error(given_, equal=equal) == pytest.approx(
        table["error"].mean()
    )


def test_true_probabilities_have_small_errors_and_raised_ones_large_errors():
    given_ = honest()
    raised = evaluation.with_temperature(given_, 0.4)
    for error in (
        evaluation.calibration_error,
        lambda one: evaluation.calibration_error(one, equal="mass"),
        evaluation.classwise_calibration_error,
    ):
        assert error(given_) < 0.03
        assert error(raised) > 2 * error(given_)


def test_other_bins_are_refused():
    with pytest.raises(DataError, match="'depth'"):
        evaluation.calibration_error(honest(10), equal="depth")
    with pytest.raises(DataError, match="one bin"):
        evaluation.calibration_by_class(honest(10), bins=0)


# --------------------------------------------------------------------------------------- Brier


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_brier_score_is_the_squared_distance_from_the_truth(given_):
    shares = given_.probabilities.astype(np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    truth = np.eye(len(given_.expressions))[given_.labels]
    expected = np.mean(np.linalg.norm(shares - truth, axis=1) ** 2)
    assert evaluation.brier_score(given_) == pytest.approx(expected)


def test_brier_score_of_two_classes_is_twice_scikit_learn_s():
    random = np.random.default_rng(0)
    second, labels = random.random(200), random.integers(0, 2, 200)
    given_ = made(np.column_stack([1 - second, second]), labels, expressions=("a", "b"))
    assert evaluation.brier_score(given_) == pytest.approx(
        2 * metrics.brier_score_loss(labels, second)
    )


def test_brier_score_of_guesses_and_of_sure_mistakes():
    assert evaluation.brier_score(made(np.full((7, 7), 1 / 7), range(7))) == pytest.approx(6 / 7)
    assert evaluation.brier_score(of_classes([0, 1], [1, 0])) == 2
    assert evaluation.brier_score(of_classes([0, 1], [0, 1])) == 0


# --------------------------------------------------------------------------------- temperature


@given(predictions(), st.floats(0.01, 100))
@settings(deadline=None, max_examples=80)
def test_a_temperature_changes_no_answer(given_, temperature):
    changed = evaluation.with_temperature(given_, temperature)
    before, after = evaluation.check(given_), evaluation.check(changed)
    assert (after.predicted == before.predicted).all()
    assert np.allclose(changed.probabilities.sum(axis=1), 1)
    assert evaluation.summary(changed).accuracy == evaluation.summary(given_).accuracy
    assert evaluation.report(changed).equals(evaluation.report(given_))
    assert changed.rows is given_.rows
    assert changed.copies is given_.copies
    assert changed.expressions == given_.expressions


def test_nearly_equal_probabilities_keep_their_order_in_any_heat():
    low = np.nextafter(0.5, 0)
    given_ = made([[low, 0.5], [0.5, low], [0.5, 0.5]], [1, 0, 0], expressions=("a", "b"))
    for temperature in (0.01, 1.0, 3.7, 100.0):
        changed = evaluation.check(evaluation.with_temperature(given_, temperature))
        assert changed.predicted.tolist() == evaluation.check(given_).predicted.tolist()


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_heat_makes_every_answer_less_sure(given_):
    confidences = [
        evaluation.check(evaluation.with_temperature(given_, one)).confidence
        for one in (0.5, 1.0, 2.0, 8.0)
    ]
    for colder, hotter in itertools.pairwise(confidences):
        assert (hotter <= colder + 1e-9).all()
    classes = len(given_.expressions)
    boiling = evaluation.check(evaluation.with_temperature(given_, 1e6)).confidence
    assert boiling == pytest.approx(1 / classes, abs=1e-4)


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_temperature_one_changes_nothing_that_is_above_epsilon(given_):
    same = evaluation.with_temperature(given_, 1.0)
    assert np.allclose(
        same.probabilities, evaluation.check(given_).probabilities, atol=2 * 8 * evaluation.EPSILON
    )


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_no_temperature_has_a_lower_loss(given_):
    best = evaluation.temperature(given_)

    def loss(temperature):
        # Unclipped, as it is minimised.
        logits = np.log(np.clip(evaluation.check(given_).probabilities, evaluation.EPSILON, 1))
        logits = logits / temperature
        shares = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
        return -shares[np.arange(len(shares)), given_.labels].mean()

    for other in (0.01, 0.1, 0.5, 0.9, 1.0, 1.1, 2, 10, 100, best * 0.98, best * 1.02):
        if 0.01 <= other <= 100:
            assert loss(best) <= loss(other) + 1e-7
    # Where the loss is flat to rounding, another order may find another temperature on the flat.
    assert loss(evaluation.temperature(shuffled(given_))) == pytest.approx(loss(best), abs=1e-7)


def test_the_order_of_the_faces_moves_no_temperature():
    given_ = honest()
    assert evaluation.temperature(shuffled(given_)) == pytest.approx(
        evaluation.temperature(given_), rel=1e-4
    )


@pytest.mark.parametrize("raised", [0.3, 0.7, 1.0, 1.6, 3.0])
@pytest.mark.parametrize("kind", [np.float64, np.float16])
def test_the_temperature_is_found_that_was_put_in(raised, kind):
    given_ = evaluation.with_temperature(honest(), raised)
    given_ = made(given_.probabilities.astype(kind), given_.labels)
    # True probabilities were divided by `raised` already: the inverse brings them back. What
    # float16 rounded to zero is lost, which matters where they were raised most.
    expected = 1 / raised
    assert evaluation.temperature(given_) == pytest.approx(
        expected, rel=0.05 if kind == np.float64 else 0.08
    )


def test_the_temperature_of_validation_mends_the_test_split():
    validation = evaluation.with_temperature(honest(seed=1), 0.5)
    test = evaluation.with_temperature(honest(seed=2), 0.5)
    mended = evaluation.with_temperature(test, evaluation.temperature(validation))
    for measure in (
        evaluation.calibration_error,
        evaluation.classwise_calibration_error,
        evaluation.log_loss,
        evaluation.brier_score,
    ):
        assert measure(mended) < 0.98 * measure(test)


def test_where_no_temperature_helps_it_is_one_or_at_an_end():
    assert evaluation.temperature(made(np.full((7, 7), 1 / 7), range(7))) == 1
    right = made([[0.6, 0.4], [0.3, 0.7]], [0, 1], expressions=("a", "b"))
    wrong = made([[0.6, 0.4], [0.3, 0.7]], [1, 0], expressions=("a", "b"))
    assert evaluation.temperature(right) == pytest.approx(0.01, rel=0.5)
    assert evaluation.temperature(wrong) == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("temperature", [0, -1, math.inf, math.nan])
def test_no_such_temperature(temperature):
    with pytest.raises(DataError, match="temperature above 0"):
        evaluation.with_temperature(honest(10), temperature)
