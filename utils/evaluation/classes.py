"""Class by class: what was taken for what, precision, recall and F1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.evaluation.checks import check

if TYPE_CHECKING:
    from utils.records import Predictions

AVERAGES = ("macro average", "weighted average")


def confusion(predictions: Predictions) -> np.ndarray:
    """Count what was taken for what.

    Returns
    -------
    (k, k) int64 array
        Row: the true class; column: the predicted one. It sums to n, its rows to the classes'
        sizes, its diagonal to the right answers.
    """
    checked = check(predictions)
    classes = len(checked.expressions)
    pairs = checked.labels * classes + checked.predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Divide each row of a confusion matrix by its sum; an empty row stays zero.

    Parameters
    ----------
    counts : (k, k) array of counts

    Returns
    -------
    (k, k) float64 array, 0 … 1
    """
    counts = np.asarray(counts, dtype=np.float64)
    sums = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)


def most_confused(predictions: Predictions, k: int = 5) -> pd.DataFrame:
    """List the commonest mistakes.

    Returns
    -------
    DataFrame
        k rows at most, the commonest first: ``true``, ``predicted`` (names), ``count``, and
        ``share`` of the true class's pictures, 0 … 1. Equal counts stand in the classes' order.
    """
    checked = check(predictions)
    counts = confusion(predictions)
    shares = row_shares(counts)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong.ravel(), kind="stable")
    order = order[wrong.ravel()[order] > 0][:k]
    true, predicted = np.unravel_index(order, wrong.shape)
    names = np.array(checked.expressions, dtype=object)
    return pd.DataFrame(
        {
            "true": names[true],
            "predicted": names[predicted],
            "count": counts[true, predicted],
            "share": shares[true, predicted],
        }
    )


def report(predictions: Predictions) -> pd.DataFrame:
    """Compute precision, recall and F1 of each class.

    Returns
    -------
    DataFrame
        A row a class, then "macro average" (each class counts the same) and "weighted average"
        (each picture does); columns ``precision``, ``recall``, ``f1`` (0 … 1) and ``support``
        (pictures). Where a share has no denominator (a class that was never predicted) it is 0.
    """
    from sklearn.metrics import precision_recall_fscore_support

    checked = check(predictions)
    classes = np.arange(len(checked.expressions))
    precision, recall, f1, support = precision_recall_fscore_support(
        checked.labels, checked.predicted, labels=classes, zero_division=0
    )
    table = pd.DataFrame(
        {"precision": precision, "recall": recall, "f1": f1, "support": support},
        index=pd.Index(checked.expressions, name="expression"),
    )
    shares = table[["precision", "recall", "f1"]]
    weights = support / support.sum()
    table.loc[AVERAGES[0]] = [*shares.mean(), support.sum()]
    table.loc[AVERAGES[1]] = [*(shares.mul(weights, axis=0)).sum(), support.sum()]
    return table.astype({"support": np.int64})
