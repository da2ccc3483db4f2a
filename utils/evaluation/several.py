"""Several runs on the same pictures: where they differ, and where they agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.evaluation.checks import in_one_order
from utils.evaluation.classes import AVERAGES, report
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions


@dataclass(frozen=True)
class Difference:
    """Two runs on the same pictures: accuracy of the first less that of the second.

    Attributes
    ----------
    n : int
        Pictures.
    only_first, only_second : int
        Pictures that only the one run named rightly; all others tell nothing about which is
        better.
    difference : float
        In accuracy, -1 … 1; positive where the first is better.
    interval : (low, high)
        Its 95 % interval (normal approximation for paired shares).
    p : float
        McNemar's exact test: how often a difference this large comes about between two runs
        that are equally good on such pictures.
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    interval: tuple[float, float]
    p: float


def difference(first: Predictions, second: Predictions) -> Difference:
    """Compare two runs on the same pictures, picture by picture.

    Two runs are wrong on much the same pictures, so the paired difference is known far better
    than the two intervals of their accuracies, set side by side, suggest. What it does not
    know: another seed of the same training may differ by as much.

    Raises
    ------
    DataError
        When the two do not hold the same rows with the same labels and names.

    References
    ----------
    McNemar (1947), Psychometrika 12; Agresti (2013), Categorical Data Analysis, §11.1.
    """
    from scipy.stats import binomtest

    labels, (one, two) = _answers([first, second])
    right_one, right_two = one == labels, two == labels
    n = len(labels)
    only_first = int((right_one & ~right_two).sum())
    only_second = int((~right_one & right_two).sum())
    shift = (only_first - only_second) / n
    error = np.sqrt(max(0.0, (only_first + only_second) / n - shift**2) / n)
    half = NormalDist().inv_cdf(0.975) * error
    discordant = only_first + only_second
    p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return Difference(
        n=n,
        only_first=only_first,
        only_second=only_second,
        difference=float(shift),
        interval=(float(max(-1, shift - half)), float(min(1, shift + half))),
        p=p,
    )


def compare_all(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Compare each two of several runs, picture by picture.

    Among ten independent comparisons of equals, one or more falls below p = 0.05 two times in
    five. ``p_holm`` counts how many comparisons were made: the chance that *any* pair of equally
    good runs falls below 0.05 there is 5 in 100 at most.

    Parameters
    ----------
    runs : mapping of str to Predictions
        Two or more, on the same pictures.

    Returns
    -------
    DataFrame
        A row a pair, the index ``first`` and ``second``, in the order of ``runs``: ``n``,
        ``only_first``, ``only_second``, ``difference``, ``low`` and ``high`` (each its own 95 %
        interval), ``p`` (McNemar's exact test), as in `Difference`, and ``p_holm``.

    Raises
    ------
    DataError
        When there are fewer than two runs, or they do not hold the same rows with the same
        labels.
    """
    _two_or_more(runs)
    rows = {}
    for first, second in combinations(runs, 2):
        found = difference(runs[first], runs[second])
        rows[first, second] = {
            "n": found.n,
            "only_first": found.only_first,
            "only_second": found.only_second,
            "difference": found.difference,
            "low": found.interval[0],
            "high": found.interval[1],
            "p": found.p,
        }
    table = pd.DataFrame(
        list(rows.values()), index=pd.MultiIndex.from_tuples(rows, names=["first", "second"])
    )
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def difference_matrix(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Set the differences of each two runs into a square.

    Parameters
    ----------
    runs : mapping of str to Predictions
        Two or more, on the same pictures.

    Returns
    -------
    (k, k) DataFrame
        Index and columns: the runs' names. The row's accuracy less the column's, -1 … 1; what
        stands on the other side of the diagonal has the other sign.

    Raises
    ------
    DataError
        As in `compare_all`.
    """
    _two_or_more(runs)
    labels, predicted = _answers(runs.values())
    right = (predicted == labels).sum(axis=1)
    names = pd.Index(runs, name="run")
    table = (right[:, None] - right[None]) / len(labels)
    return pd.DataFrame(table, index=names, columns=names.rename(None))


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Correct p-values for their number, by Holm's method.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none comes out smaller
    than one before it. It holds whatever the tests have to do with each other, and is never
    less powerful than multiplying all by m (Bonferroni).

    Parameters
    ----------
    p : (m,) floats, 0 … 1

    Returns
    -------
    (m,) float64 array, 0 … 1
        In the order of ``p``; none smaller than before.

    Raises
    ------
    DataError
        When one is no number between 0 and 1.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6.
    """
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError(f"expected p-values between 0 and 1, got {p}")
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(1.0, corrected)
    return result


def _answers(runs: Iterable[Predictions]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels, (n,), and what each run says, (runs, n), in the source file's order."""
    ordered = in_one_order(runs)
    return ordered[0].labels, np.stack([one.predicted for one in ordered])


def _two_or_more(runs: Mapping[str, Predictions]) -> None:
    if len(runs) < 2:
        raise DataError(f"expected two runs or more to compare, got {len(runs)}")


def agreement(runs: Mapping[str, Predictions], *, errors: bool = False) -> pd.DataFrame:
    """Compute on how many pictures each two runs give the same answer.

    Parameters
    ----------
    runs : mapping of str to Predictions
        Two or more, on the same pictures.
    errors : bool
        Count only the pictures on which that common answer is wrong.

    Returns
    -------
    (k, k) DataFrame
        Index and columns: the runs' names. Shares of all pictures, 0 … 1; symmetric. Its
        diagonal is 1 or, with ``errors``, each run's share of mistakes.

    Raises
    ------
    DataError
        When there are fewer than two runs, or they do not hold the same rows with the same
        labels.
    """
    _two_or_more(runs)
    labels, predicted = _answers(runs.values())
    counted = predicted != labels if errors else np.ones(predicted.shape, bool)
    # The answers are equal, so the one is a mistake where the other is.
    same = (predicted[:, None] == predicted[None]) & counted[:, None]
    names = pd.Index(runs, name="run")
    return pd.DataFrame(same.mean(axis=2), index=names, columns=names.rename(None))


def agreement_counts(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Count the pictures that none, one, two … all of several runs name rightly.

    Parameters
    ----------
    runs : mapping of str to Predictions
        k of them, two or more, on the same pictures.

    Returns
    -------
    DataFrame
        A row an expression and the row "all", columns 0 … k: how many pictures so many runs
        name rightly. A row sums to its pictures.

    Raises
    ------
    DataError
        As in `agreement`.
    """
    _two_or_more(runs)
    labels, predicted = _answers(runs.values())
    expressions = next(iter(runs.values())).expressions
    right = (predicted == labels).sum(axis=0)
    columns = len(runs) + 1
    counts = np.bincount(labels * columns + right, minlength=len(expressions) * columns)
    table = pd.DataFrame(
        counts.reshape(-1, columns),
        index=pd.Index(expressions, name="expression"),
        columns=pd.RangeIndex(columns, name="right"),
    )
    table.loc["all"] = table.sum()
    return table


def together(runs: Mapping[str, Predictions]) -> Predictions:
    """Average what several networks say of each picture.

    Networks that were begun from other random numbers, or built otherwise, are wrong on other
    pictures, and their mean is right more often than most of them (Hansen & Salamon 1990, Neural
    network ensembles, IEEE PAMI 12). Which of them are taken is a choice: make it on the
    validation split.

    Parameters
    ----------
    runs : mapping of str to Predictions
        One or more, on the same pictures.

    Returns
    -------
    Predictions
        The arithmetic mean of the probabilities, each network counting alike; rows in the source
        file's order.

    Raises
    ------
    DataError
        When there is no run, or they do not hold the same rows with the same labels.
    """
    if not runs:
        raise DataError("expected one run or more, got none")
    ordered = in_one_order(runs.values())
    first = ordered[0]
    return dataclasses.replace(
        next(iter(runs.values())),
        probabilities=np.mean([one.probabilities for one in ordered], axis=0),
        labels=first.labels,
        rows=first.rows,
        copies=first.copies,
    )


def f1_by_class(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Set the F1 of each class in several runs side by side.

    Parameters
    ----------
    runs : mapping of str to Predictions
        One or more, on the same pictures.

    Returns
    -------
    DataFrame
        A row an expression and the row "macro average", a column a run; 0 … 1.

    Raises
    ------
    DataError
        When there is no run, or they do not hold the same rows with the same labels.
    """
    if not runs:
        raise DataError("expected one run or more, got none")
    _answers(runs.values())
    table = pd.DataFrame({name: report(predictions)["f1"] for name, predictions in runs.items()})
    return table.drop(index=AVERAGES[1])
