"""Several runs beside each other: where they agree, how many are right, class by class."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import evaluation, figures
from utils.expressions import EXPRESSIONS
from utils.records import Predictions
from utils.runtime import DataError


def answers(predicted, labels, rows=None, expressions=EXPRESSIONS):
    """Predictions that name the given classes."""
    predicted = np.asarray(predicted)
    count, classes = len(predicted), len(expressions)
    probabilities = np.full((count, classes), 0.3 / (classes - 1))
    probabilities[np.arange(count), predicted] = 0.7
    rows = np.arange(count) if rows is None else np.asarray(rows)
    return Predictions(
        probabilities, np.asarray(labels), rows, np.zeros(count, bool), tuple(expressions)
    )


LABELS = [0, 0, 1, 1, 2]
RUNS = {
    "one": answers([0, 0, 1, 3, 3], LABELS),
    "two": answers([0, 1, 1, 3, 4], LABELS),
    "three": answers([0, 0, 0, 3, 3], LABELS),
}


def shuffled(predictions, seed=0):
    order = np.random.default_rng(seed).permutation(len(predictions))
    return Predictions(
        predictions.probabilities[order],
        predictions.labels[order],
        predictions.rows[order],
        predictions.copies[order],
        predictions.expressions,
    )


# --------------------------------------------------------------------------------- agreement


def test_agreement_is_the_share_of_equal_answers():
    table = evaluation.agreement(RUNS)
    assert list(table.index) == list(table.columns) == ["one", "two", "three"]
    assert table.loc["one", "two"] == pytest.approx(3 / 5)
    assert table.loc["one", "three"] == pytest.approx(4 / 5)
    assert table.loc["two", "three"] == pytest.approx(2 / 5)


def test_agreement_in_error_counts_equal_wrong_answers_alone():
    table = evaluation.agreement(RUNS, errors=True)
    assert table.loc["one", "two"] == pytest.approx(1 / 5)  # both call the fourth sad
    assert table.loc["one", "three"] == pytest.approx(2 / 5)
    assert np.diag(table) == pytest.approx([2 / 5, 3 / 5, 3 / 5])


@settings(max_examples=50, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda k: st.lists(
            st.lists(st.integers(0, 6), min_size=k + 1, max_size=k + 1), min_size=1, max_size=12
        )
    )
)
def test_agreement_is_symmetric_and_the_parts_add_up(rows):
    labels, *predicted = np.array(rows).T
    runs = {str(at): answers(one, labels) for at, one in enumerate(predicted)}
    same, errors = evaluation.agreement(runs), evaluation.agreement(runs, errors=True)
    counts = evaluation.agreement_counts(runs)
    assert (same.to_numpy() == same.to_numpy().T).all()
    assert (errors.to_numpy() <= same.to_numpy()).all()
    assert (np.diag(same) == 1).all()
    accuracy = [evaluation.summary(one).accuracy for one in runs.values()]
    assert np.diag(errors) == pytest.approx(1 - np.array(accuracy))
    # Where two agree and are not wrong, both are right.
    both = np.mean((predicted[0] == labels) & (predicted[1] == labels))
    assert same.iloc[0, 1] - errors.iloc[0, 1] == pytest.approx(both)
    assert (counts.drop(index="all").sum() == counts.loc["all"]).all()
    assert counts.loc["all"].sum() == len(labels)
    mean_right = (counts.loc["all"] * counts.columns).sum() / len(labels)
    assert mean_right == pytest.approx(sum(accuracy))


def test_counts_say_how_many_runs_are_right_by_class():
    table = evaluation.agreement_counts(RUNS)
    assert list(table.columns) == [0, 1, 2, 3]
    assert table.loc["angry"].tolist() == [0, 0, 1, 1]
    assert table.loc["disgust"].tolist() == [1, 0, 1, 0]
    assert table.loc["fear"].tolist() == [1, 0, 0, 0]
    assert table.loc["neutral"].sum() == 0
    assert table.loc["all"].tolist() == [2, 0, 2, 1]


def test_the_order_of_the_rows_makes_no_difference():
    mixed = {name: shuffled(one, seed) for seed, (name, one) in enumerate(RUNS.items())}
    pd.testing.assert_frame_equal(evaluation.agreement(mixed), evaluation.agreement(RUNS))
    pd.testing.assert_frame_equal(
        evaluation.agreement_counts(mixed), evaluation.agreement_counts(RUNS)
    )


@pytest.mark.parametrize(
    "compare",
    [
        evaluation.agreement,
        evaluation.agreement_counts,
        evaluation.f1_by_class,
        evaluation.compare_all,
        evaluation.difference_matrix,
        evaluation.seeds,
        lambda runs: evaluation.bootstrap_difference(*runs.values()),
    ],
)
@pytest.mark.parametrize(
    "other",
    [
        answers([0, 0, 1, 3, 3], LABELS, rows=[0, 1, 2, 3, 5]),
        answers([0, 0, 1, 3, 3], [0, 0, 1, 1, 3]),
        answers([0, 0, 1, 3], LABELS[:4]),
        answers([0, 0, 1, 3, 3], LABELS, expressions=EXPRESSIONS[::-1]),
    ],
    ids=["other rows", "other labels", "fewer rows", "other names"],
)
def test_other_pictures_are_refused(compare, other):
    with pytest.raises(DataError, match="same rows with the same labels"):
        compare({"one": RUNS["one"], "other": other})


@pytest.mark.parametrize(
    "compare",
    [
        evaluation.agreement,
        evaluation.agreement_counts,
        evaluation.compare_all,
        evaluation.difference_matrix,
    ],
)
@pytest.mark.parametrize("runs", [{}, {"one": RUNS["one"]}])
def test_agreement_takes_two_runs(compare, runs):
    with pytest.raises(DataError, match="two runs or more"):
        compare(runs)


# ---------------------------------------------------------------------------- paired differences


def test_every_pair_is_compared_once():
    table = evaluation.compare_all(RUNS)
    assert list(table.index) == [("one", "two"), ("one", "three"), ("two", "three")]
    for first, second in table.index:
        found = evaluation.difference(RUNS[first], RUNS[second])
        row = table.loc[(first, second)]
        assert row["difference"] == found.difference
        assert (row["low"], row["high"]) == found.interval
        assert (row["n"], row["only_first"], row["only_second"]) == (
            found.n,
            found.only_first,
            found.only_second,
        )
        assert row["p"] == found.p
    assert table["p_holm"].tolist() == evaluation.holm(table["p"]).tolist()


def test_the_matrix_of_differences_has_two_signs():
    matrix = evaluation.difference_matrix(RUNS)
    assert (matrix.to_numpy() == -matrix.to_numpy().T).all()
    for (first, second), row in evaluation.compare_all(RUNS).iterrows():
        assert matrix.loc[first, second] == pytest.approx(row["difference"])


def test_holm_by_hand():
    # 3 · 0.01, then 2 · 0.03, then 0.04 itself, which may not be below the one before it.
    assert evaluation.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert evaluation.holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert evaluation.holm([0.02]).tolist() == [0.02]
    assert evaluation.holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_holm_lies_between_nothing_and_bonferroni(p, random):
    corrected = evaluation.holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, len(p) * np.array(p)) + 1e-15).all()
    # Whatever was at least as significant before is so afterwards, in any order.
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
    mixed = random.sample(range(len(p)), len(p))
    assert evaluation.holm(np.array(p)[mixed]).tolist() == corrected[mixed].tolist()


def test_holm_keeps_the_chance_of_any_false_alarm():
    p = np.random.default_rng(0).random((2000, 8))
    assert np.mean([(evaluation.holm(row) < 0.05).any() for row in p]) < 0.065
    assert np.mean((p < 0.05).any(axis=1)) > 0.3  # uncorrected


@pytest.mark.parametrize("p", [[-0.1], [1.1], [float("nan")], [[0.5]]])
def test_holm_refuses_what_is_no_probability(p):
    with pytest.raises(DataError, match="p-values"):
        evaluation.holm(p)


# -------------------------------------------------------------------------------- F1 by class


def test_f1_stands_side_by_side():
    table = evaluation.f1_by_class(RUNS)
    assert list(table.columns) == ["one", "two", "three"]
    assert list(table.index) == [*EXPRESSIONS, "macro average"]
    for name, one in RUNS.items():
        assert table.loc["macro average", name] == pytest.approx(evaluation.summary(one).macro_f1)
    assert table.loc["angry", "one"] == 1


def test_f1_of_no_run_is_refused():
    with pytest.raises(DataError, match="one run or more"):
        evaluation.f1_by_class({})


# ------------------------------------------------------------------------------------ figures


def history(epochs, best=0.6):
    accuracy = np.linspace(0.2, best, epochs)
    return pd.DataFrame(
        {"epoch": np.arange(1, epochs + 1), "accuracy": accuracy, "val_accuracy": accuracy - 0.05}
    )


def test_accuracy_curves_draw_a_line_a_run_on_one_scale():
    histories = {f"run {at}": history(5 + at) for at in range(5)}
    figure = figures.accuracy_curves(histories, title="five runs")
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) == 5
    assert left.get_ylim() == right.get_ylim()
    assert len({line.get_linestyle() for line in left.lines} | {0}) > 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "run 0: epoch 5, 55.0%"
    assert right.lines[1].get_ydata()[-1] == pytest.approx(55)


@pytest.mark.parametrize(
    "histories", [{}, {"one": history(0)}, {"one": history(3).drop(columns="val_accuracy")}]
)
def test_accuracy_curves_refuse_what_is_no_history(histories):
    with pytest.raises(DataError):
        figures.accuracy_curves(histories)


def test_bars_of_many_runs_carry_no_values():
    report = evaluation.report(RUNS["one"])
    few = figures.per_class_bars({str(at): report for at in range(figures.MOST_LABELLED)})
    many = figures.per_class_bars({str(at): report for at in range(5)})
    assert len(few.axes[0].texts) == 7 * figures.MOST_LABELLED
    assert len(many.axes[0].texts) == 0


def test_the_agreement_matrix_shows_the_lower_triangle():
    before = dict(matplotlib.rcParams)
    same, errors = evaluation.agreement(RUNS), evaluation.agreement(RUNS, errors=True)
    figure = figures.agreement_matrix(same, errors, title="three runs")
    texts = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert sorted(texts) == sorted(
        [
            *("40% wrong", "60% wrong", "60% wrong"),  # the diagonal
            *("60%", "20% wrong", "80%", "40% wrong", "40%", "20% wrong"),
        ]
    )
    assert dict(matplotlib.rcParams) == before


def test_the_agreement_matrix_refuses_tables_about_others():
    same, errors = evaluation.agreement(RUNS), evaluation.agreement(RUNS, errors=True)
    with pytest.raises(DataError, match="same runs"):
        figures.agreement_matrix(same, errors.iloc[:2, :2])
    with pytest.raises(DataError, match="same runs"):
        figures.agreement_matrix(same.iloc[:2], errors)


# ---------------------------------------------------------------------------------- together


def test_what_several_say_together_is_their_mean():
    one, two = RUNS["one"], shuffled(RUNS["two"])
    mean = evaluation.together({"one": one, "two": two})
    np.testing.assert_array_equal(mean.rows, np.sort(one.rows))
    expected = (
        evaluation.check(one).probabilities + evaluation.check(RUNS["two"]).probabilities
    ) / 2
    np.testing.assert_allclose(mean.probabilities, expected[np.argsort(one.rows)])
    assert mean.expressions == one.expressions


def test_a_network_together_with_itself_says_the_same():
    mean = evaluation.together({"one": RUNS["one"], "again": shuffled(RUNS["one"])})
    found, alone = evaluation.summary(mean), evaluation.summary(RUNS["one"])
    assert found.accuracy == alone.accuracy
    assert found.macro_f1 == pytest.approx(alone.macro_f1)


def test_only_answers_about_the_same_pictures_are_averaged():
    with pytest.raises(DataError, match="got none"):
        evaluation.together({})
    others = answers([0, 0, 1, 3, 3], [0, 0, 1, 1, 3])
    with pytest.raises(DataError, match="same rows with the same labels"):
        evaluation.together({"one": RUNS["one"], "others": others})
