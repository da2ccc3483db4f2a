"""Metrics of one run's predictions: scikit-learn's, after a check of the predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.records import Predictions
from utils.runtime import DataError

#: Probabilities below Keras's epsilon count as this much, so that the log loss stays finite.
EPSILON = 1e-7
#: Bins of the expected calibration error, as in Guo et al. (2017).
BINS = 15
#: The last two rows of `report`.
AVERAGES = ("macro average", "weighted average")


class Checked(Predictions):
    """Predictions that have passed `check`: float64 rows that sum to 1, int64 labels and rows."""

    @property
    def correct(self) -> np.ndarray:
        """(n,) bool: where the predicted class is the true one."""
        return self.predicted == self.labels

    @property
    def confidence(self) -> np.ndarray:
        """(n,) float64: the probability of the predicted class, 1/k … 1."""
        return self.probabilities.max(axis=1)


def check(predictions: Predictions) -> Checked:
    """Check predictions, and convert them to float64 with rows that sum to one.

    ``probabilities`` (n, k) of any float type, each row summing to 1 ± 0.01; ``labels`` (n,) int,
    0 … k-1; ``rows`` (n,) int; ``copies`` (n,) bool; ``expressions``, k names: anything else is a
    DataError that names the row and what was expected.
    """
    shares = np.asarray(predictions.probabilities)
    if shares.ndim != 2 or shares.dtype.kind != "f" or len(shares) < 1 or shares.shape[1] < 2:
        raise DataError(
            "probabilities: expected floats, a row for each of one or more pictures, a column for "
            f"each of two or more classes, got {shares.dtype} of shape {shares.shape}"
        )
    count, classes = shares.shape
    expressions = tuple(predictions.expressions)
    if len(expressions) != classes or len(set(expressions)) != classes:
        raise DataError(f"expressions: expected {classes} different names, got {expressions}")
    labels = _column(predictions.labels, "labels", count, "whole numbers", "iu").astype(np.int64)
    rows = _column(predictions.rows, "rows", count, "whole numbers", "iu").astype(np.int64)
    copies = _column(predictions.copies, "copies", count, "true or false", "b")
    shares = shares.astype(np.float64)
    sums = shares.sum(axis=1)
    refuse(~np.isfinite(shares).all(axis=1), "a probability that is not a finite number")
    refuse((shares < 0).any(axis=1), "a negative probability")
    refuse(np.abs(sums - 1) > 0.01, "probabilities that do not sum to 1 ± 0.01")
    refuse((labels < 0) | (labels >= classes), f"a label outside 0 … {classes - 1}")
    return Checked(shares / sums[:, None], labels, rows, copies, expressions)


def _column(values: np.ndarray, name: str, count: int, what: str, kinds: str) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != (count,) or values.dtype.kind not in kinds:
        raise DataError(f"{name}: expected {count} {what}, got {values.dtype} {values.shape}")
    return values


def refuse(bad: np.ndarray, what: str) -> None:
    """Raise a DataError that names the first row where ``bad`` (n,) is true, if there is one."""
    if bad.any():
        raise DataError(f"predictions: row {bad.argmax()} has {what} ({bad.sum()} such rows)")


def in_one_order(runs: Iterable[Predictions], least: int = 1) -> list[Checked]:
    """Check runs on the same pictures, and put each in the source file's order."""
    checked = [check(run) for run in runs]
    if len(checked) < least:
        raise DataError(f"expected {least} or more runs to compare, got {len(checked)}")
    checked = [run.where(run.rows.argsort(kind="stable")) for run in checked]
    first = checked[0]
    for run in checked[1:]:
        same = np.array_equal(run.rows, first.rows) and np.array_equal(run.labels, first.labels)
        if not same or run.expressions != first.expressions:
            raise DataError("runs can only be compared on the same rows with the same labels")
    return checked


def accuracy_interval(
    correct: int | np.ndarray, n: int | np.ndarray
) -> tuple[float, float] | tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95% score interval (low, high) for ``correct`` right answers of ``n``.

    It never leaves 0 … 1, and keeps its level for few pictures and for shares near 0 or 1, where
    the textbook interval fails (Wilson 1927, JASA 22; Brown, Cai and DasGupta 2001, Statistical
    Science 16). Counts may be arrays; impossible ones are a DataError.
    """
    from statsmodels.stats.proportion import proportion_confint

    correct, n = np.asarray(correct), np.asarray(n)
    if not ((n >= 1) & (correct >= 0) & (correct <= n)).all():
        raise DataError(f"expected 0 … n right answers of n ≥ 1, got {correct} of {n}")
    low, high = proportion_confint(correct, n, method="wilson")
    # Rounding may put an end a few 1e-17 on the wrong side.
    low, high = np.clip(low, 0, correct / n), np.clip(high, correct / n, 1)
    return (low, high) if np.ndim(low) else (float(low), float(high))


def confusion(predictions: Predictions) -> np.ndarray:
    """Compute the confusion matrix: (k, k) int64, true classes in rows, predicted in columns."""
    from sklearn.metrics import confusion_matrix

    checked = check(predictions)
    classes = range(len(checked.expressions))
    return confusion_matrix(checked.labels, checked.predicted, labels=classes)


def most_confused(predictions: Predictions, k: int = 5) -> pd.DataFrame:
    """List the k most common mistakes, most common first; ties in the classes' order.

    Columns ``true``, ``predicted`` (names), ``count``, and ``share`` of the true class's pictures.
    """
    counts, names = confusion(predictions), np.array(predictions.expressions, dtype=object)
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong.ravel(), kind="stable")[: min(k, np.count_nonzero(wrong))]
    true, said = np.unravel_index(order, wrong.shape)
    share = counts[true, said] / counts.sum(axis=1)[true]
    return pd.DataFrame(
        {"true": names[true], "predicted": names[said], "count": wrong[true, said], "share": share}
    )


def report(predictions: Predictions) -> pd.DataFrame:
    """Compute precision, recall and F1 of each class: scikit-learn's report as a table.

    One row per class, then "macro average" (each class counts the same) and "weighted average"
    (each picture does); columns ``precision``, ``recall``, ``f1`` (0 … 1), and ``support``
    (pictures). A share without a denominator (a class that was never predicted) is 0.
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
    table = pd.DataFrame(found)[[*checked.expressions, "macro avg", "weighted avg"]].T
    table.index = pd.Index([*checked.expressions, *AVERAGES], name="expression")
    return table.rename(columns={"f1-score": "f1"}).astype({"support": np.int64})


def reliability_table(predictions: Predictions) -> pd.DataFrame:
    """Compare confidence with accuracy in `BINS` bins over 0 … 1, open below, closed above.

    Columns ``low`` and ``high`` (a bin's edges), ``count`` (predictions in it), ``confidence``
    (mean probability of the predicted class) and ``accuracy``, both NaN where a bin is empty.
    """
    checked = check(predictions)
    edges = np.linspace(0, 1, BINS + 1)
    place = np.searchsorted(edges[1:-1], checked.confidence, side="left")
    answers = pd.DataFrame({"confidence": checked.confidence, "accuracy": checked.correct * 1.0})
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:]})
    table["count"] = np.bincount(place, minlength=BINS)
    return table.join(answers.groupby(place).mean())


def calibration_error(predictions: Predictions) -> float:
    """Return the expected calibration error, 0 … 1 (Guo et al. 2017, ICML).

    The mean distance between confidence and accuracy over the bins of `reliability_table`, each
    weighted by its predictions. Too sure and not sure enough cancel within a bin; and chance alone
    makes every gap larger than 0: with 3,589 predictions, even perfect ones get about 0.02.
    """
    table = reliability_table(predictions)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["count"]).sum() / table["count"].sum())


def most_confident(
    predictions: Predictions, k: int = 10, correct: bool | None = None
) -> pd.DataFrame:
    """List the k predictions with the highest probability; ``correct``: only right or wrong ones.

    Index ``rank`` from 1; ``position`` (place in the predictions), ``row`` (place in the source
    file, the order of ties), ``true`` and ``predicted`` (names), ``probability`` of the
    predicted class, ``correct``.
    """
    checked = check(predictions)
    names = np.array(checked.expressions, dtype=object)
    table = pd.DataFrame(
        {
            "position": np.arange(len(checked)),
            "row": checked.rows,
            "true": names[checked.labels],
            "predicted": names[checked.predicted],
            "probability": checked.confidence,
            "correct": checked.correct,
        }
    ).sort_values(["probability", "row"], ascending=[False, True])
    if correct is not None:
        table = table[table["correct"] == correct]
    return table[:k].set_axis(pd.RangeIndex(1, len(table[:k]) + 1, name="rank"))


@dataclass(frozen=True)
class Summary:
    """A set of predictions, summed up in one line. Shares are 0 … 1."""

    n: int  # pictures
    correct: int
    accuracy: float
    interval: tuple[float, float]  # Wilson's 95% interval of the accuracy
    n_without_copies: int  # pictures that are not also in the training split
    accuracy_without_copies: float  # NaN if there is none
    interval_without_copies: tuple[float, float]
    macro_f1: float  # the mean F1 of the classes, each counting the same
    balanced_accuracy: float  # the mean recall of the classes that occur
    top2_accuracy: float  # how often the true class is among the two most probable
    log_loss: float  # the mean of -ln p(true class): 0 is perfect, ln k is guessing
    calibration_error: float  # expected, 15 bins

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
    """Compute everything in `Summary`; a DataError when `check` refuses the predictions."""
    checked = check(predictions)
    right, table = checked.correct, report(predictions)
    recall = table["recall"].iloc[: len(checked.expressions)]
    unseen = right[~checked.copies]
    left = len(unseen) > 0
    true = checked.probabilities[np.arange(len(right)), checked.labels]
    # Of two equally probable classes, the first counts as the more probable, as in argmax.
    two = np.argsort(-checked.probabilities, axis=1, kind="stable")[:, :2]
    return Summary(
        n=len(right),
        correct=int(right.sum()),
        accuracy=float(right.mean()),
        interval=accuracy_interval(right.sum(), len(right)),
        n_without_copies=len(unseen),
        accuracy_without_copies=float(unseen.mean()) if left else np.nan,
        interval_without_copies=(
            accuracy_interval(unseen.sum(), len(unseen)) if left else (np.nan, np.nan)
        ),
        macro_f1=float(table.loc[AVERAGES[0], "f1"]),
        balanced_accuracy=float(recall.iloc[np.unique(checked.labels)].mean()),
        top2_accuracy=float((two == checked.labels[:, None]).any(axis=1).mean()),
        log_loss=float(-np.log(np.maximum(true, EPSILON)).mean()),
        calibration_error=calibration_error(predictions),
    )
