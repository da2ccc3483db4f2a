"""Metrics against scikit-learn, against their definition, and under changes that cannot matter."""

import math
import warnings

import numpy as np
import pytest
from drawn import made, of_classes, predictions, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from utils import evaluation, records
from utils.runtime import DataError

quick = settings(deadline=None, max_examples=25)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_interval_is_the_published_one(correct, n, low, high):
    assert evaluation.accuracy_interval(correct, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_interval_contains_the_share_and_stays_in_bounds(n, share):
    correct = round(share * n)
    low, high = evaluation.accuracy_interval(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    assert evaluation.accuracy_interval(n - correct, n) == pytest.approx((1 - high, 1 - low))


def test_interval_takes_arrays_and_refuses_what_cannot_be():
    low, high = evaluation.accuracy_interval(np.array([0, 5]), np.array([20, 10]))
    assert (low[1], high[1]) == pytest.approx(evaluation.accuracy_interval(5, 10))
    for counts in ((1, 0), (-1, 5), (6, 5), (np.array([1, 6]), 5)):
        with pytest.raises(DataError, match="right answers of n"):
            evaluation.accuracy_interval(*counts)


@given(predictions())
@quick
def test_summary_agrees_with_scikit_learn(given_):
    found = evaluation.summary(given_)
    classes = range(len(given_.expressions))
    labels, predicted = given_.labels, given_.predicted
    shares = given_.probabilities.astype(np.float64)
    shares = np.clip(shares / shares.sum(1, keepdims=True), 1e-7, 1)
    assert (found.n, found.correct) == (len(labels), (labels == predicted).sum())
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.interval[0] <= found.accuracy <= found.interval[1]
    assert found.accuracy <= found.top2_accuracy <= 1
    assert found.macro_f1 == pytest.approx(
        metrics.f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)
    )
    assert found.log_loss == pytest.approx(-np.log(shares[range(len(labels)), labels]).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = metrics.balanced_accuracy_score(labels, predicted)
    assert found.balanced_accuracy == pytest.approx(balanced)


@given(predictions())
@quick
def test_report_agrees_with_the_confusion_matrix(given_):
    table, counts = evaluation.report(given_), evaluation.confusion(given_)
    assert list(table.index) == [*given_.expressions, *evaluation.AVERAGES]
    assert table["support"].tolist()[-2:] == [len(given_)] * 2
    assert counts.sum(axis=1).tolist() == table["support"].tolist()[:-2]
    for column, axis in (("recall", 1), ("precision", 0)):
        shares = counts.diagonal() / np.maximum(counts.sum(axis=axis), 1)
        assert shares == pytest.approx(table[column].to_numpy()[:-2])


@given(predictions(), st.integers(0, 5))
@quick
def test_neither_the_order_of_the_rows_matters_nor_is_anything_changed(given_, seed):
    before = given_.probabilities.copy(), given_.labels.copy()
    other = shuffled(given_, seed)
    one, two = evaluation.summary(given_), evaluation.summary(other)
    for name, value in vars(one).items():
        assert vars(two)[name] == pytest.approx(value, nan_ok=True), name
    columns = ["row", "true", "predicted", "probability", "correct"]
    top = evaluation.most_confident(given_)[columns]
    assert top.equals(evaluation.most_confident(other)[columns])
    assert (given_.probabilities == before[0]).all()
    assert (given_.labels == before[1]).all()


def test_copies_are_counted_apart():
    given_ = of_classes([0, 1, 2, 3], [0, 1, 2, 4], copies=[True, True, False, False])
    found = evaluation.summary(given_)
    assert (found.accuracy, found.n) == (0.75, 4)
    assert (found.accuracy_without_copies, found.n_without_copies) == (0.5, 2)
    assert found.interval_without_copies == evaluation.accuracy_interval(1, 2)
    assert "without copies of training pictures 50.0% (n = 2)" in str(found)
    nothing = evaluation.summary(given_.where(given_.copies))
    assert nothing.n_without_copies == 0
    assert math.isnan(nothing.accuracy_without_copies)
    assert "copies" not in str(nothing)


def test_most_confident_says_who_and_float16_does_not_make_them_equal():
    doubts = np.array([1e-5, 1e-4, 1e-6])
    shares = np.column_stack([1 - doubts, doubts]).astype(np.float16)
    assert (shares[:, 0] == 1).all()
    given_ = made(shares, [0, 1, 0], rows=[7, 8, 9], expressions=("a", "b"))
    table = evaluation.most_confident(given_)
    assert table["position"].tolist() == [2, 0, 1]
    assert table["row"].tolist() == [9, 7, 8]
    assert table["true"].tolist() == ["a", "a", "b"]
    assert table["correct"].tolist() == [True, True, False]
    assert table.index.tolist() == [1, 2, 3]
    assert evaluation.most_confident(given_, 1)["row"].tolist() == [9]
    assert evaluation.most_confident(given_, correct=False)["row"].tolist() == [8]
    equal = made(np.full((3, 7), 1 / 7), [0, 1, 2], rows=[5, 3, 4])
    assert evaluation.most_confident(equal)["row"].tolist() == [3, 4, 5]


def test_most_confused_lists_the_commonest_mistakes():
    table = evaluation.most_confused(of_classes([1, 1, 0, 2, 4, 4], [0, 0, 0, 0, 2, 2]), 2)
    assert table[["true", "predicted", "count"]].to_numpy().tolist() == [
        ["angry", "disgust", 2],
        ["fear", "sad", 2],
    ]
    assert table["share"].tolist() == [0.5, 1.0]
    assert evaluation.most_confused(of_classes([0], [0])).empty


def test_the_recorded_run_has_the_published_figures():
    found = evaluation.summary(records.load("cnn5-fer2013-smote").test)
    assert (found.n, found.correct, found.n_without_copies) == (3589, 2425, 3301)
    assert str(found).startswith("accuracy 67.6% (66.0% to 69.1%, n = 3,589), macro F1 0.654")


GOOD = np.full((3, 7), 1 / 7)


def with_value(row, column, value):
    probabilities = GOOD.copy()
    probabilities[row, column] = value
    return probabilities


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (made(with_value(1, 2, np.nan), [0, 1, 2]), "row 1 has a probability that is not a finite"),
        (made(with_value(0, 0, -0.1), [0, 1, 2]), "row 0 has a negative"),
        (made(with_value(1, 0, 0.5), [0, 1, 2]), "row 1 has probabilities that do not sum to 1"),
        (made(GOOD, [0, 7, 2]), "row 1 has a label outside 0 … 6"),
        (made(GOOD, [0, 1, -1]), "row 2 has a label outside 0 … 6"),
        (made(GOOD, [0, 1]), "labels: expected 3"),
        (made(GOOD[:0], []), "one or more pictures"),
        (made(GOOD[:, :1], [0, 0, 0]), "two or more classes"),
        (made(np.eye(7, dtype=int)[:3], [0, 1, 2]), "expected floats"),
        (made(GOOD, [0, 1, 2], rows=[0.5, 1.5, 2.5]), "rows: expected 3 whole numbers"),
        (made(GOOD, [0, 1, 2], copies=[0, 1, 0]), "copies: expected 3 true or false"),
        (made(GOOD, [0, 1, 2], expressions=("a", "b")), "expressions: expected 7 different names"),
        (made(GOOD, [0, 1, 2], expressions=("a",) * 7), "expressions: expected 7 different names"),
    ],
)
def test_bad_predictions_never_become_a_number(bad, says):
    measures = (
        evaluation.summary,
        evaluation.report,
        evaluation.most_confused,
        evaluation.reliability_table,
        evaluation.temperature,
        evaluation.coverage_curve,
        lambda one: evaluation.ensemble({"one": one}),
    )
    for measure in measures:
        with pytest.raises(DataError, match=says):
            measure(bad)
