"""Several runs side by side: which differ, where they agree, what their mean predicts."""

import itertools

import numpy as np
import pandas as pd
import pytest
from drawn import made, of_classes, predictions, shuffled
from hypothesis import given, settings

from utils import evaluation, records
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError

LABELS = [0, 0, 1, 1, 2]
RUNS = {
    "one": of_classes([0, 0, 1, 3, 3], LABELS),
    "two": of_classes([0, 1, 1, 3, 4], LABELS),
    "three": of_classes([0, 0, 0, 3, 3], LABELS),
}


def test_difference_counts_the_pictures_that_tell():
    labels = [0] * 20
    first = of_classes([0] * 12 + [1] * 8, labels)
    second = of_classes([1] * 9 + [0] * 4 + [1] * 7, labels)
    found = evaluation.difference(first, shuffled(second))
    assert (found.only_first, found.only_second, found.n) == (9, 1, 20)
    assert found.difference == pytest.approx(8 / 20)
    # Agresti (2013), §11.1.1: √((b + c) - (b - c)² / n) / n.
    half = 1.959964 * (10 - 64 / 20) ** 0.5 / 20
    assert found.interval == pytest.approx((0.4 - half, 0.4 + half))
    turned, itself = evaluation.difference(second, first), evaluation.difference(first, first)
    assert (turned.difference, turned.p) == (-found.difference, found.p)
    assert (itself.difference, itself.interval, itself.p) == (0, (0, 0), 1)
    # Ten coins, nine or more on one side.
    assert found.p == pytest.approx(2 * 11 / 2**10)


def with_p(*losses):
    """Runs on 400 pictures: the first has all of them right, the others lose this many."""
    lost = {f"{count} lost": of_classes([1] * count + [0] * (400 - count), [0] * 400)
            for count in losses}  # fmt: skip
    return {"first": of_classes([0] * 400, [0] * 400), **lost}


def test_holm_by_hand():
    # p = 2 · 0.5^b of b lost pictures that only the better run has right.
    runs = with_p(6, 14)
    table = evaluation.compare_all(runs)
    assert list(table.index) == list(itertools.combinations(runs, 2))
    found = evaluation.difference(runs["6 lost"], runs["14 lost"])
    row = table.loc[("6 lost", "14 lost")]
    assert (row["difference"], row["low"], row["high"]) == (found.difference, *found.interval)
    assert (row["n"], row["only_first"], row["only_second"]) == (400, 8, 0)
    assert table["p"].tolist() == pytest.approx([2 / 2**6, 2 / 2**14, 2 / 2**8])
    # 3 times the smallest, 2 times the next, once the last.
    assert table["p_holm"].tolist() == pytest.approx([2 / 2**6, 3 * 2 / 2**14, 2 * 2 / 2**8])
    assert table["differ"].tolist() == [True, True, True]
    table = evaluation.compare_all(runs, correction="bonferroni")
    assert table["p_bonferroni"].tolist() == pytest.approx([6 / 2**6, 6 / 2**14, 6 / 2**8])
    assert table["differ"].tolist() == [False, True, True]  # 0.094


def test_the_recorded_runs_have_the_published_verdicts():
    names = ["cnn3-fer2013-none", "cnn4-fer2013-none", "cnn5-fer2013-none", "cnn5-fer2013-smote"]
    table = evaluation.compare_all({name: records.load(name).test for name in names})
    published = [4.52e-07, 0.0192, 8.2e-06, 0.0236, 0.645, 0.0268]
    assert table["p_holm"].tolist() == pytest.approx(published, rel=5e-3)
    assert table["differ"].tolist() == [True, True, True, True, False, True]


def test_agreement_is_the_share_of_equal_answers():
    table = evaluation.agreement(RUNS)
    assert list(table.index) == list(table.columns) == list(RUNS)
    assert table.loc["one", "two"] == pytest.approx(3 / 5)
    assert table.loc["one", "three"] == pytest.approx(4 / 5)
    assert table.loc["two", "three"] == pytest.approx(2 / 5)
    errors = evaluation.agreement(RUNS, errors=True)
    assert errors.loc["one", "two"] == pytest.approx(1 / 5)  # both call the fourth sad
    assert errors.loc["one", "three"] == pytest.approx(2 / 5)
    assert np.diag(errors) == pytest.approx([2 / 5, 3 / 5, 3 / 5])


def test_the_order_of_the_rows_makes_no_difference():
    mixed = {name: shuffled(one, seed) for seed, (name, one) in enumerate(RUNS.items())}
    for table in (evaluation.agreement, evaluation.compare_all):
        pd.testing.assert_frame_equal(table(mixed), table(RUNS))
    table = evaluation.compare(mixed)
    pd.testing.assert_frame_equal(table, evaluation.compare(RUNS))
    for name, one in RUNS.items():
        found = evaluation.summary(one)
        assert table.loc[name, ["macro_f1", "low", "high"]].tolist() == [
            found.macro_f1,
            *found.interval,
        ]


@pytest.mark.parametrize(
    "compare",
    [
        evaluation.agreement,
        evaluation.compare_all,
        evaluation.ensemble,
        evaluation.seeds,
        lambda runs: evaluation.difference(*runs.values()),
    ],
)
def test_other_pictures_are_refused(compare):
    others = {
        "other rows": made(np.eye(7)[:5], LABELS, rows=[0, 1, 2, 3, 5]),
        "other labels": of_classes([0, 0, 1, 3, 3], [0, 0, 1, 1, 3]),
        "fewer rows": of_classes([0, 0, 1, 3], LABELS[:4]),
        "other names": made(np.eye(7)[:5], LABELS, expressions=EXPRESSIONS[::-1]),
    }
    for other in others.values():
        with pytest.raises(DataError, match="same rows with the same labels"):
            compare({"one": RUNS["one"], "other": other})


@pytest.mark.parametrize(
    "compare",
    [evaluation.agreement, evaluation.compare_all, evaluation.seeds],
)
def test_one_run_is_not_compared(compare):
    for runs in ({}, {"one": RUNS["one"]}):
        with pytest.raises(DataError, match="2 or more runs"):
            compare(runs)
    with pytest.raises(DataError, match="1 or more runs"):
        evaluation.ensemble({})


@given(predictions())
@settings(deadline=None, max_examples=25)
def test_an_ensemble_is_the_mean(given_):
    mean = evaluation.ensemble({"one": given_, "two": shuffled(given_)})
    order = np.argsort(given_.rows)
    np.testing.assert_array_equal(mean.rows, given_.rows[order])
    np.testing.assert_array_equal(mean.copies, given_.copies[order])
    own = evaluation.check(given_).probabilities
    np.testing.assert_allclose(mean.probabilities, own[order])
    other = made(own[:, ::-1], given_.labels, rows=given_.rows, expressions=given_.expressions)
    mixed = evaluation.ensemble({"one": given_, "other": other})
    np.testing.assert_allclose(mixed.probabilities, (own + own[:, ::-1])[order] / 2)


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
    assert "3 seeds: mean 60.0%" in str(found)
