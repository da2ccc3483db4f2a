"""Several runs side by side: which differ, what their mean predicts."""

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


def test_the_order_of_the_rows_makes_no_difference():
    mixed = {name: shuffled(one, seed) for seed, (name, one) in enumerate(RUNS.items())}
    pd.testing.assert_frame_equal(evaluation.compare_all(mixed), evaluation.compare_all(RUNS))
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
        evaluation.compare_all,
        evaluation.ensemble,
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


def test_one_run_is_not_compared():
    for runs in ({}, {"one": RUNS["one"]}):
        with pytest.raises(DataError, match="2 or more runs"):
            evaluation.compare_all(runs)
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
