"""Accuracy, confusion matrix, report, F1, the most confident predictions: scikit-learn's metrics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.evaluation.calibration import calibration_error
from utils.evaluation.checks import EPSILON, check
from utils.evaluation.intervals import accuracy_interval
from utils.records import Predictions
from utils.runtime import DataError

#: The last two rows of `report`.
AVERAGES = ("macro average", "weighted average")


def confusion(predictions: Predictions) -> np.ndarray:
    """Count what was taken for what: (k, k) int64, row the true class, column the predicted."""
    from sklearn.metrics import confusion_matrix

    checked = check(predictions)
    classes = range(len(checked.expressions))
    return confusion_matrix(checked.labels, checked.predicted, labels=classes)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Divide each row of a confusion matrix by its sum: (k, k), 0 … 1; an empty row stays 0."""
    return counts / np.maximum(np.sum(counts, axis=1, keepdims=True), 1)


def most_confused(predictions: Predictions, k: int = 5) -> pd.DataFrame:
    """List the k commonest mistakes, the commonest first; equal counts in the classes' order.

    Returns
    -------
    DataFrame
        ``true``, ``predicted`` (names), ``count``, and ``share`` of the true class's pictures.
    """
    counts, names = confusion(predictions), np.array(predictions.expressions, dtype=object)
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong.ravel(), kind="stable")[: min(k, np.count_nonzero(wrong))]
    true, predicted = np.unravel_index(order, wrong.shape)
    return pd.DataFrame(
        {
            "true": names[true],
            "predicted": names[predicted],
            "count": counts[true, predicted],
            "share": row_shares(counts)[true, predicted],
        }
    )


def report(predictions: Predictions) -> pd.DataFrame:
    """Compute precision, recall and F1 of each class (scikit-learn's report, as a table).

    Returns
    -------
    DataFrame
        A row a class, then "macro average" (each class counts the same) and "weighted average"
        (each picture does); columns ``precision``, ``recall``, ``f1`` (0 … 1) and ``support``
        (pictures). Where a share has no denominator (a class that was never predicted) it is 0.
    """
    from sklearn.metrics import classification_report

    checked = check(predictions)
    found = classification_report(
        checked.labels,
        checked.predicted,
        labels=range(len(checked.expressions)),
        target_names=checked.expressions,
        output_dict=True,
        zero_division=0,
    )
    names = [*checked.expressions, "macro avg", "weighted avg"]
    table = pd.DataFrame(found)[names].T.rename(columns={"f1-score": "f1"})
    table.index = pd.Index([*checked.expressions, *AVERAGES], name="expression")
    return table.astype({"support": np.int64})


def log_loss(predictions: Predictions) -> float:
    """Return the mean of -ln p(true class), in nats: 0 is perfect, ln k is guessing.

    Probabilities are clipped at 1e-7, Keras's epsilon, so that one sure mistake stays finite. The
    loss in a training log is the same thing only where it was trained without label smoothing.
    """
    checked = check(predictions)
    true = checked.probabilities[np.arange(len(checked)), checked.labels]
    return float(-np.log(np.clip(true, EPSILON, 1.0)).mean())


def most_confident(
    predictions: Predictions, k: int = 10, correct: bool | None = None
) -> pd.DataFrame:
    """List the k predictions with the highest probability.

    Parameters
    ----------
    predictions : Predictions
    k : int
        How many at most, 0 or more.
    correct : bool, optional
        Only right (True) or only wrong (False) ones; by default both.

    Returns
    -------
    DataFrame
        The most confident first, index ``rank`` from 1: ``position`` (place in the
        predictions), ``row`` (place in the source file), ``true`` and ``predicted`` (names),
        ``probability`` of the predicted and ``true_probability`` of the true class, ``correct``.
        Equally confident ones stand in the source file's order.
    """
    if k < 0:
        raise DataError(f"expected k of 0 or more, got {k}")
    checked = check(predictions)
    order = np.lexsort((checked.rows, -checked.confidence))
    if correct is not None:
        order = order[checked.correct[order] == correct]
    chosen = order[:k]
    names = np.array(checked.expressions, dtype=object)
    return pd.DataFrame(
        {
            "position": chosen,
            "row": checked.rows[chosen],
            "true": names[checked.labels[chosen]],
            "predicted": names[checked.predicted[chosen]],
            "probability": checked.confidence[chosen],
            "true_probability": checked.probabilities[chosen, checked.labels[chosen]],
            "correct": checked.correct[chosen],
        },
        index=pd.RangeIndex(1, len(chosen) + 1, name="rank"),
    )


@dataclass(frozen=True)
class Summary:
    """What one would say of a set of predictions in a line. Shares are 0 … 1.

    Attributes
    ----------
    n, correct : int
        Pictures, and how many of them were named rightly.
    accuracy : float
    interval : (low, high)
        Wilson's 95 % interval of the accuracy.
    n_without_copies, accuracy_without_copies, interval_without_copies
        The same without the pictures that also stand in the training split; NaN when nothing
        is left.
    macro_f1 : float
        The mean F1 of the classes, each counting the same.
    balanced_accuracy : float
        The mean recall of the classes that occur.
    top2_accuracy : float
        How often the true class is among the two most probable.
    log_loss : float
        Mean of -ln p(true class), 0 or more.
    calibration_error : float
        Expected calibration error, 15 bins.
    """

    n: int
    correct: int
    accuracy: float
    interval: tuple[float, float]
    n_without_copies: int
    accuracy_without_copies: float
    interval_without_copies: tuple[float, float]
    macro_f1: float
    balanced_accuracy: float
    top2_accuracy: float
    log_loss: float
    calibration_error: float

    def __str__(self) -> str:
        low, high = self.interval
        text = (
            f"accuracy {self.accuracy:.1%} ({low:.1%} to {high:.1%}, n = {self.n:,}), "
            f"macro F1 {self.macro_f1:.3f}"
        )
        if 0 < self.n_without_copies < self.n:
            text += (
                f"; without copies of training pictures {self.accuracy_without_copies:.1%} "
                f"(n = {self.n_without_copies:,})"
            )
        return text


def summary(predictions: Predictions) -> Summary:
    """Compute everything in `Summary`; DataError when `check` refuses the predictions."""
    from sklearn import metrics

    checked = check(predictions)
    labels, predicted, right = checked.labels, checked.predicted, checked.correct
    unseen = right[~checked.copies]
    counted = {"average": "macro", "zero_division": 0}
    # Of two equally probable classes the first counts as the more probable, as in argmax.
    two = np.argsort(-checked.probabilities, axis=1, kind="stable")[:, :2]
    return Summary(
        n=len(right),
        correct=int(right.sum()),
        accuracy=float(right.mean()),
        interval=accuracy_interval(int(right.sum()), len(right)),
        n_without_copies=len(unseen),
        accuracy_without_copies=float(unseen.mean()) if len(unseen) else np.nan,
        interval_without_copies=(
            accuracy_interval(int(unseen.sum()), len(unseen)) if len(unseen) else (np.nan,) * 2
        ),
        macro_f1=float(
            metrics.f1_score(labels, predicted, labels=range(len(checked.expressions)), **counted)
        ),
        balanced_accuracy=float(
            metrics.recall_score(labels, predicted, labels=np.unique(labels), **counted)
        ),
        top2_accuracy=float((two == labels[:, None]).any(axis=1).mean()),
        log_loss=log_loss(predictions),
        calibration_error=calibration_error(predictions),
    )
