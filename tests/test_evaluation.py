"""Every metric against scikit-learn, against its own definition, and under what must not matter."""

import math
import warnings

import numpy as np
import pytest
from drawn import made, of_classes, predictions, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from utils import evaluation
from utils.runtime import DataError

# ------------------------------------------------------------------------------------ interval


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


def test_fer2013s_test_split_gives_an_interval_of_a_point_and_a_half():
    low, high = evaluation.accuracy_interval(round(0.70 * 3589), 3589)
    assert 1.4 < 100 * (high - low) / 2 < 1.6


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.01, 0.999))
def test_interval_contains_the_share_and_stays_in_bounds(n, share, level):
    correct = round(share * n)
    low, high = evaluation.accuracy_interval(correct, n, level)
    assert 0 <= low <= correct / n <= high <= 1


@given(st.integers(0, 500), st.integers(1, 500))
def test_interval_mirrors_and_shrinks(correct, n):
    correct = min(correct, n)
    low, high = evaluation.accuracy_interval(correct, n)
    assert evaluation.accuracy_interval(n - correct, n) == pytest.approx((1 - high, 1 - low))
    narrower = evaluation.accuracy_interval(10 * correct, 10 * n)
    assert narrower[1] - narrower[0] < high - low


@pytest.mark.parametrize(("correct", "n", "level"), [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95)])
def test_interval_refuses_impossible_counts(correct, n, level):
    with pytest.raises(DataError, match=f"{correct} of {n}"):
        evaluation.accuracy_interval(correct, n, level)


@pytest.mark.parametrize("level", [0, 1, -1, 95, math.nan])
def test_interval_refuses_an_impossible_level(level):
    with pytest.raises(DataError, match="level"):
        evaluation.accuracy_interval(1, 2, level)


# --------------------------------------------------------------------------------- against sklearn


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_summary_agrees_with_scikit_learn(given_):
    found = evaluation.summary(given_)
    classes = range(len(given_.expressions))
    labels, predicted = given_.labels, given_.predicted
    assert found.n == len(labels)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(
        metrics.f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.balanced_accuracy == pytest.approx(
            metrics.balanced_accuracy_score(labels, predicted)
        )
    probabilities = given_.probabilities.astype(np.float64)
    probabilities = np.clip(probabilities / probabilities.sum(1, keepdims=True), 1e-7, 1)
    assert found.log_loss == pytest.approx(
        -np.log(probabilities[range(len(labels)), labels]).mean(), abs=1e-9
    )
    assert found.interval[0] <= found.accuracy <= found.interval[1]


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_report_agrees_with_scikit_learn(given_):
    table = evaluation.report(given_)
    theirs = metrics.classification_report(
        given_.labels,
        given_.predicted,
        labels=range(len(given_.expressions)),
        target_names=list(given_.expressions),
        output_dict=True,
        zero_division=0,
    )
    names = {"macro average": "macro avg", "weighted average": "weighted avg"}
    assert list(table.index) == [*given_.expressions, *names]
    for name, row in table.iterrows():
        expected = theirs[names.get(name, name)]
        assert row["f1"] == pytest.approx(expected["f1-score"])
        assert row["precision"] == pytest.approx(expected["precision"])
        assert row["recall"] == pytest.approx(expected["recall"])
        assert row["support"] == expected["support"]


def test_log_loss_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(7), size=200)
    labels = rng.integers(0, 7, 200)
    expected = metrics.log_loss(labels, probabilities, labels=range(7))
    assert evaluation.log_loss(made(probabilities, labels)) == pytest.approx(expected)


@given(predictions(), st.integers(1, 7))
@settings(deadline=None, max_examples=40)
def test_top_k_grows_from_the_accuracy_to_one(given_, k):
    classes = len(given_.expressions)
    shares = [evaluation.top_k_accuracy(given_, k) for k in range(1, classes + 1)]
    assert shares == sorted(shares)
    assert shares[0] == (given_.predicted == given_.labels).mean()
    assert shares[-1] == 1


# ---------------------------------------------------------------------------------- properties


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_confusion_holds_every_picture_once(given_):
    counts = evaluation.confusion(given_)
    classes = len(given_.expressions)
    assert counts.shape == (classes, classes)
    assert counts.sum() == len(given_.labels)
    assert counts.sum(axis=1).tolist() == np.bincount(given_.labels, minlength=classes).tolist()
    assert counts.sum(axis=0).tolist() == np.bincount(given_.predicted, minlength=classes).tolist()
    assert np.trace(counts) == evaluation.summary(given_).correct
    assert np.trace(counts) / counts.sum() == evaluation.summary(given_).accuracy
    expected = metrics.confusion_matrix(given_.labels, given_.predicted, labels=range(classes))
    assert (counts == expected).all()


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_rows_of_shares_sum_to_one_or_are_empty(given_):
    counts = evaluation.confusion(given_)
    sums = evaluation.row_shares(counts).sum(axis=1)
    assert np.allclose(sums, counts.sum(axis=1) > 0)


@given(predictions(), st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_the_order_of_the_rows_does_not_matter(given_, seed):
    other = shuffled(given_, seed)
    one, two = evaluation.summary(given_), evaluation.summary(other)
    for name, value in vars(one).items():
        assert vars(two)[name] == pytest.approx(value, nan_ok=True), name
    assert (evaluation.confusion(given_) == evaluation.confusion(other)).all()
    columns = ["row", "true", "predicted", "probability", "true_probability", "correct"]
    assert evaluation.surest(given_)[columns].equals(evaluation.surest(other)[columns])


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_reliability_holds_every_prediction_once(given_):
    table = evaluation.reliability_table(given_)
    assert len(table) == 15
    assert table["count"].sum() == len(given_.labels)
    filled = table[table["count"] > 0]
    assert (filled["confidence"] > filled["low"] - 1e-12).all()
    assert (filled["confidence"] <= filled["high"] + 1e-12).all()
    right = (filled["accuracy"] * filled["count"]).sum()
    assert right == pytest.approx(evaluation.summary(given_).correct)
    assert table.loc[table["count"] == 0, ["confidence", "accuracy"]].isna().all().all()
    assert 0 <= evaluation.calibration_error(given_) <= 1
    # One bin's gap is the distance between mean confidence and accuracy, and a lower bound.
    assert evaluation.calibration_error(given_, 1) <= evaluation.calibration_error(given_) + 1e-12


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_nothing_given_is_changed(given_):
    before = given_.probabilities.copy(), given_.labels.copy()
    evaluation.summary(given_)
    evaluation.surest(given_)
    assert (given_.probabilities == before[0]).all()
    assert (given_.labels == before[1]).all()


# -------------------------------------------------------------------------- copies, calibration


def test_copies_are_counted_apart():
    given_ = of_classes([0, 1, 2, 3], [0, 1, 2, 4], copies=[True, True, False, False])
    found = evaluation.summary(given_)
    assert (found.accuracy, found.n) == (0.75, 4)
    assert (found.accuracy_without_copies, found.n_without_copies) == (0.5, 2)
    assert found.interval_without_copies == evaluation.accuracy_interval(1, 2)
    assert "without copies of training pictures 50.0% (n = 2)" in str(found)


def test_nothing_but_copies_leaves_no_accuracy():
    found = evaluation.summary(of_classes([0, 1], [0, 1], copies=[True, True]))
    assert found.n_without_copies == 0
    assert math.isnan(found.accuracy_without_copies)
    assert "copies" not in str(found)


def test_calibration_error_by_hand():
    # Bins of a tenth: 0.62 and 0.68 share (0.6, 0.7], half of them right; 0.9 is always right.
    tops = np.array([0.62, 0.68, 0.9, 0.9])
    probabilities = np.column_stack([tops, 1 - tops])
    given_ = made(probabilities, [0, 1, 0, 0], expressions=("yes", "no"))
    expected = (2 * abs(0.65 - 0.5) + 2 * abs(0.9 - 1.0)) / 4
    assert evaluation.calibration_error(given_, bins=10) == pytest.approx(expected)


def test_bins_are_closed_above():
    given_ = made([[0.5, 0.5], [1.0, 0.0]], [0, 0], expressions=("yes", "no"))
    assert evaluation.reliability_table(given_, bins=2)["count"].tolist() == [1, 1]
    assert evaluation.reliability_table(given_, bins=4)["count"].tolist() == [0, 1, 0, 1]


def test_always_happy_is_accurate_on_happy_data_only():
    labels = np.repeat(np.arange(7), [491, 55, 528, 879, 594, 416, 626])
    found = evaluation.summary(of_classes(np.full(3589, 3), labels))
    assert found.accuracy == pytest.approx(879 / 3589)
    assert found.balanced_accuracy == pytest.approx(1 / 7)
    assert found.macro_f1 == pytest.approx(2 * 879 / (3589 + 879) / 7)


def test_guessing_costs_the_logarithm_of_the_number_of_classes():
    given_ = made(np.full((10, 7), 1 / 7, dtype=np.float16), np.arange(10) % 7)
    assert evaluation.log_loss(given_) == pytest.approx(math.log(7), abs=1e-6)


def test_a_sure_mistake_costs_a_finite_loss():
    assert evaluation.log_loss(of_classes([0], [1])) == pytest.approx(-math.log(1e-7))


# -------------------------------------------------------------------------------------- surest


def test_surest_is_in_order_and_says_who():
    probabilities = [[0.6, 0.4], [0.1, 0.9], [0.2, 0.8]]
    table = evaluation.surest(
        made(probabilities, [0, 0, 1], rows=[7, 8, 9], expressions=("a", "b"))
    )
    assert table["row"].tolist() == [8, 9, 7]
    assert table["position"].tolist() == [1, 2, 0]
    assert table["true"].tolist() == ["a", "b", "a"]
    assert table["predicted"].tolist() == ["b", "b", "a"]
    assert table["correct"].tolist() == [False, True, True]
    assert table["probability"].tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert table["true_probability"].tolist() == pytest.approx([0.1, 0.8, 0.6])
    assert table.index.tolist() == [1, 2, 3]


@given(predictions(), st.integers(0, 50), st.sampled_from([None, True, False]))
@settings(deadline=None, max_examples=40)
def test_surest_takes_the_most_probable_ones(given_, k, correct):
    table = evaluation.surest(given_, k, correct)
    right = given_.predicted == given_.labels
    wanted = np.ones_like(right) if correct is None else right == correct
    assert len(table) == min(k, wanted.sum())
    assert table["probability"].is_monotonic_decreasing
    if correct is not None:
        assert (table["correct"] == correct).all()
    left = np.setdiff1d(np.flatnonzero(wanted), table["position"])
    if len(left) and len(table):
        sums = given_.probabilities.astype(np.float64).sum(axis=1)
        tops = given_.probabilities.max(axis=1).astype(np.float64) / sums
        assert tops[left].max() <= table["probability"].min()


def test_float16_does_not_make_the_surest_equal():
    doubts = np.array([1e-5, 1e-4, 1e-6])
    probabilities = np.column_stack([1 - doubts, doubts]).astype(np.float16)
    assert (probabilities[:, 0] == 1).all()
    table = evaluation.surest(made(probabilities, [0, 0, 0], expressions=("a", "b")))
    assert table["position"].tolist() == [2, 0, 1]


def test_most_confused_lists_the_commonest_mistakes():
    given_ = of_classes([1, 1, 0, 2, 4, 4], [0, 0, 0, 0, 2, 2])
    table = evaluation.most_confused(given_, 2)
    assert table[["true", "predicted", "count"]].to_numpy().tolist() == [
        ["angry", "disgust", 2],
        ["fear", "sad", 2],
    ]
    assert table["share"].tolist() == [0.5, 1.0]
    assert evaluation.most_confused(of_classes([0], [0])).empty


# ---------------------------------------------------------------------------------- comparing


def test_compare_has_a_row_a_run():
    given_ = of_classes([0, 1, 2], [0, 1, 1])
    table = evaluation.compare({"one": given_, "two": given_})
    assert table.index.tolist() == ["one", "two"]
    assert table["n"].tolist() == [3, 3]
    assert table["accuracy"].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert (table["low"] < table["accuracy"]).all()


def test_difference_counts_the_pictures_that_tell():
    labels = [0] * 20
    first = of_classes([0] * 12 + [1] * 8, labels)
    second = of_classes([1] * 9 + [0] * 4 + [1] * 7, labels)
    found = evaluation.difference(first, second)
    assert (found.only_first, found.only_second, found.n) == (9, 1, 20)
    assert found.difference == pytest.approx(8 / 20)
    assert found.interval[0] < found.difference < found.interval[1]
    # Ten coins, nine heads or more on either side.
    assert found.p == pytest.approx(2 * 11 / 2**10)


@given(predictions())
@settings(deadline=None, max_examples=40)
def test_a_run_does_not_differ_from_itself_in_another_order(given_):
    found = evaluation.difference(given_, shuffled(given_))
    assert (found.difference, found.p, found.only_first, found.only_second) == (0, 1, 0, 0)


def test_difference_refuses_other_rows():
    with pytest.raises(DataError, match="same rows"):
        evaluation.difference(of_classes([0], [0], rows=[1]), of_classes([0], [0], rows=[2]))
    with pytest.raises(DataError, match="same rows"):
        evaluation.difference(of_classes([0], [0]), of_classes([0], [1]))


# ------------------------------------------------------------------------------------ bad input

GOOD = np.full((3, 7), 1 / 7)


def with_value(row, column, value):
    probabilities = GOOD.copy()
    probabilities[row, column] = value
    return probabilities


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (made(with_value(1, 2, np.nan), [0, 1, 2]), "row 1 has a probability that is no finite"),
        (made(with_value(2, 0, np.inf), [0, 1, 2]), "row 2 has a probability that is no finite"),
        (made(with_value(0, 0, -0.1), [0, 1, 2]), "row 0 has a negative"),
        (made(with_value(1, 0, 0.5), [0, 1, 2]), "row 1 has probabilities that do not sum to 1"),
        (made(GOOD, [0, 7, 2]), "row 1 has a label outside 0 … 6"),
        (made(GOOD, [0, 1, -1]), "row 2 has a label outside 0 … 6"),
        (made(GOOD, [0, 1]), "labels: expected 3"),
        (made(GOOD[:0], []), "expected rows"),
        (made(GOOD[:, :1], [0, 0, 0]), "two classes or more"),
        (made(GOOD[0], [0]), "two-dimensional"),
        (made(np.eye(7, dtype=int)[:3], [0, 1, 2]), "array of floats"),
        (made(GOOD, [0, 1, 2], rows=[0.5, 1.5, 2.5]), "rows: expected 3 whole numbers"),
        (made(GOOD, [0, 1, 2], copies=[0, 1, 0]), "copies: expected 3 true or false"),
        (made(GOOD, [0, 1, 2], copies=[True]), "copies: expected 3 true or false"),
        (made(GOOD, [0, 1, 2], expressions=("a", "b")), "expressions: expected 7 names"),
    ],
)
@pytest.mark.parametrize(
    "measure",
    [
        evaluation.summary,
        evaluation.confusion,
        evaluation.report,
        evaluation.log_loss,
        evaluation.brier_score,
        evaluation.reliability_table,
        evaluation.calibration_by_class,
        evaluation.temperature,
        lambda bad: evaluation.with_temperature(bad, 1.5),
        evaluation.coverage_curve,
        evaluation.risk_coverage_area,
        evaluation.threshold_for,
        lambda bad: evaluation.at_threshold(bad, 0.5),
        evaluation.bootstrap,
        lambda bad: evaluation.seeds({"one": bad, "two": bad}),
        evaluation.surest,
        evaluation.top_k_accuracy,
        evaluation.most_confused,
    ],
)
def test_bad_predictions_never_become_a_number(measure, bad, says):
    with pytest.raises(DataError, match=says):
        measure(bad)


def test_bad_settings_are_refused():
    given_ = made(GOOD, [0, 1, 2])
    with pytest.raises(DataError, match="k from 1 to 7"):
        evaluation.top_k_accuracy(given_, 8)
    with pytest.raises(DataError, match="one bin"):
        evaluation.reliability_table(given_, 0)
    with pytest.raises(DataError, match="0 or more"):
        evaluation.surest(given_, -1)
