"""Every metric, from recorded probabilities alone: no model, no pictures, no Keras.

The functions take a `records.Predictions` (or anything with its attributes): ``probabilities``
(n, k), ``labels`` (n,), ``rows`` (n,), ``copies`` (n,) and ``expressions`` (k names). They check
it, bring its probabilities to float64 rows that sum to one, and never change it.

Records hold float16, where everything above 0.9998 is stored as 1. The *other* classes' small
probabilities keep their digits, so dividing each row by its sum recovers most of what the top
one lost: "the ten surest" stay ten different values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.errors import DataError

if TYPE_CHECKING:
    from utils.records import Predictions

#: How far a row of float16 probabilities may be from a sum of one.
SUM_TOLERANCE = 1e-2
#: Keras's epsilon: probabilities below it count as this much, so `log_loss` stays finite.
EPSILON = 1e-7
#: Bins of the expected calibration error, as in Guo et al. (2017).
BINS = 15

AVERAGES = ("macro average", "weighted average")


@dataclass(frozen=True)
class Checked:
    """Predictions that have passed every check, as float64 and int64.

    Attributes
    ----------
    probabilities : (n, k) float64 array, rows sum to 1
    labels, predicted, rows : (n,) int64 arrays
    confidence : (n,) float64 array
        The probability of the predicted class, 1/k … 1.
    copies : (n,) bool array
        True where the same picture stands in the training split too.
    expressions : tuple of k str
    """

    probabilities: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    copies: np.ndarray
    expressions: tuple[str, ...]
    predicted: np.ndarray
    confidence: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """(n,) bool: where the predicted class is the true one."""
        return self.predicted == self.labels


def check(predictions: Predictions) -> Checked:
    """Check predictions, and bring them to float64 with rows that sum to one.

    Parameters
    ----------
    predictions : Predictions
        ``probabilities`` (n, k) of any float type, each row summing to 1 ± 0.01; ``labels``
        (n,) whole numbers 0 … k-1; ``expressions``, k names; ``rows`` (n,) and ``copies`` (n,)
        may be None, which stands for 0 … n-1 and for "none is a copy".

    Returns
    -------
    Checked

    Raises
    ------
    DataError
        Naming the row and what was expected, for anything else.
    """
    probabilities = np.asarray(predictions.probabilities)
    if probabilities.ndim != 2 or not np.issubdtype(probabilities.dtype, np.floating):
        raise DataError(
            "probabilities: expected a two-dimensional array of floats, one row a picture, "
            f"got {probabilities.dtype} of shape {probabilities.shape}"
        )
    count, classes = probabilities.shape
    if count == 0 or classes < 2:
        raise DataError(
            f"probabilities: expected rows, and two classes or more, got {count} × {classes}"
        )
    probabilities = probabilities.astype(np.float64)
    _refuse(~np.isfinite(probabilities).all(axis=1), "a probability that is no finite number")
    _refuse((probabilities < 0).any(axis=1), "a negative probability")
    sums = probabilities.sum(axis=1)
    _refuse(np.abs(sums - 1) > SUM_TOLERANCE, "probabilities that do not sum to 1 ± 0.01")
    probabilities = probabilities / sums[:, None]

    labels = _whole_numbers(predictions.labels, "labels", count)
    _refuse((labels < 0) | (labels >= classes), f"a label outside 0 … {classes - 1}")
    rows = getattr(predictions, "rows", None)
    rows = np.arange(count) if rows is None else _whole_numbers(rows, "rows", count)
    copies = getattr(predictions, "copies", None)
    copies = np.zeros(count, bool) if copies is None else np.asarray(copies)
    if copies.dtype != np.bool_ or copies.shape != (count,):
        raise DataError(
            f"copies: expected {count} true or false, got {copies.dtype} of shape {copies.shape}"
        )
    expressions = tuple(predictions.expressions)
    if len(expressions) != classes:
        raise DataError(
            f"expressions: expected {classes} names, one a column, got {len(expressions)}"
        )
    predicted = probabilities.argmax(axis=1)
    return Checked(
        probabilities=probabilities,
        labels=labels,
        rows=rows,
        copies=copies,
        expressions=expressions,
        predicted=predicted,
        confidence=probabilities.max(axis=1),
    )


def _refuse(bad: np.ndarray, what: str) -> None:
    """Raise a DataError that names the first bad row, if there is one."""
    if bad.any():
        raise DataError(
            f"predictions: row {int(bad.argmax())} has {what} ({int(bad.sum())} such rows)"
        )


def _whole_numbers(values, name: str, count: int) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            f"{name}: expected {count} whole numbers, one a row of probabilities, "
            f"got {values.dtype} of shape {values.shape}"
        )
    return values.astype(np.int64)


# ---------------------------------------------------------------------------------- accuracy


def accuracy_interval(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a share of right answers.

    It never leaves 0 … 1, and holds its level where the textbook interval fails: for few
    pictures, and for shares near 0 or 1.

    Parameters
    ----------
    correct : int
        Right answers, 0 … n.
    n : int
        All answers, 1 or more.
    level : float
        Between 0 and 1: how often such an interval holds the true share.

    Returns
    -------
    low, high : float
        With 0 ≤ low ≤ correct / n ≤ high ≤ 1.

    Raises
    ------
    DataError
        When the counts or the level cannot be.

    References
    ----------
    Wilson (1927), JASA 22; Brown, Cai and DasGupta (2001), Statistical Science 16.
    """
    if n < 1 or not 0 <= correct <= n:
        raise DataError(f"expected 0 … n right answers of n ≥ 1, got {correct} of {n}")
    if not 0 < level < 1:
        raise DataError(f"expected a level between 0 and 1, got {level}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding may put an end a few 1e-17 on the wrong side.
    return float(min(share, max(0.0, middle - half))), float(max(share, min(1.0, middle + half)))


def top_k_accuracy(predictions: Predictions, k: int = 2) -> float:
    """Return the share of pictures whose true class is among the k most probable, 0 … 1.

    Of two classes with equal probability the first counts as the more probable, as in argmax,
    so that k = 1 is the accuracy.
    """
    checked = check(predictions)
    if not 1 <= k <= len(checked.expressions):
        raise DataError(f"expected k from 1 to {len(checked.expressions)}, got {k}")
    # A stable sort of the negative puts the first of equals first.
    order = np.argsort(-checked.probabilities, axis=1, kind="stable")[:, :k]
    return float((order == checked.labels[:, None]).any(axis=1).mean())


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
        The same without the pictures that also stand in the training split; the accuracy is
        NaN and the interval (NaN, NaN) when nothing is left.
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
    """Compute everything in `Summary`.

    Raises
    ------
    DataError
        When `check` refuses the predictions.
    """
    checked = check(predictions)
    correct = checked.correct
    kept = ~checked.copies
    n, n_kept = len(correct), int(kept.sum())
    nothing = float("nan")
    table = report(predictions)
    recall = table["recall"].iloc[: len(checked.expressions)]
    return Summary(
        n=n,
        correct=int(correct.sum()),
        accuracy=float(correct.mean()),
        interval=accuracy_interval(int(correct.sum()), n),
        n_without_copies=n_kept,
        accuracy_without_copies=float(correct[kept].mean()) if n_kept else nothing,
        interval_without_copies=(
            accuracy_interval(int(correct[kept].sum()), n_kept) if n_kept else (nothing, nothing)
        ),
        macro_f1=float(table.loc[AVERAGES[0], "f1"]),
        balanced_accuracy=float(
            recall[np.bincount(checked.labels, minlength=len(recall)) > 0].mean()
        ),
        top2_accuracy=top_k_accuracy(predictions, 2),
        log_loss=log_loss(predictions),
        calibration_error=calibration_error(predictions),
    )


def compare(runs: Mapping[str, Predictions]) -> pd.DataFrame:
    """Set several runs side by side.

    Parameters
    ----------
    runs : mapping of str to Predictions

    Returns
    -------
    DataFrame
        A row a run (index ``run``), and the columns n, accuracy, low, high,
        accuracy_without_copies, n_without_copies, macro_f1, balanced_accuracy, top2_accuracy,
        log_loss, calibration_error.
    """
    rows = {}
    for name, predictions in runs.items():
        found = summary(predictions)
        rows[name] = {
            "n": found.n,
            "accuracy": found.accuracy,
            "low": found.interval[0],
            "high": found.interval[1],
            "n_without_copies": found.n_without_copies,
            "accuracy_without_copies": found.accuracy_without_copies,
            "macro_f1": found.macro_f1,
            "balanced_accuracy": found.balanced_accuracy,
            "top2_accuracy": found.top2_accuracy,
            "log_loss": found.log_loss,
            "calibration_error": found.calibration_error,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")


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


# ----------------------------------------------------------------------------------- classes


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


# ------------------------------------------------------------------------------ probabilities


def log_loss(predictions: Predictions) -> float:
    """Return the mean of -ln p(true class), in nats: 0 is perfect, ln k is guessing.

    Probabilities are clipped at 1e-7, Keras's epsilon, so that one sure mistake stays finite. The
    loss in a training log is the same thing only where it was trained without label smoothing.
    """
    checked = check(predictions)
    true = checked.probabilities[np.arange(len(checked.labels)), checked.labels]
    return float(-np.log(np.clip(true, EPSILON, 1.0)).mean())


def reliability_table(predictions: Predictions, bins: int = BINS) -> pd.DataFrame:
    """Set how sure against how often right, in bins of equal width.

    Parameters
    ----------
    predictions : Predictions
    bins : int
        Bins over 0 … 1, each open below and closed above; 1 or more.

    Returns
    -------
    DataFrame
        A row a bin: ``low`` and ``high`` (its edges), ``count`` (predictions in it),
        ``confidence`` (mean probability of the predicted class) and ``accuracy``, both NaN
        where the bin is empty.
    """
    if bins < 1:
        raise DataError(f"expected one bin or more, got {bins}")
    checked = check(predictions)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, checked.confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = np.bincount(place, weights=checked.confidence, minlength=bins)
    right = np.bincount(place, weights=checked.correct, minlength=bins)
    empty = np.full(bins, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "count": count,
            "confidence": np.divide(sums, count, out=empty.copy(), where=count > 0),
            "accuracy": np.divide(right, count, out=empty.copy(), where=count > 0),
        }
    )


def calibration_error(predictions: Predictions, bins: int = BINS) -> float:
    """Return the expected calibration error, 0 … 1.

    The mean distance between confidence and accuracy over the bins of `reliability_table`,
    each weighted by its number of predictions.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML.
    """
    table = reliability_table(predictions, bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["count"]).sum() / table["count"].sum())


def surest(predictions: Predictions, k: int = 10, correct: bool | None = None) -> pd.DataFrame:
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
        The surest first, index ``rank`` from 1: ``position`` (place in the predictions),
        ``row`` (place in the source file), ``true`` and ``predicted`` (names), ``probability``
        of the predicted and ``true_probability`` of the true class, ``correct``. Equally sure
        ones stand in the source file's order.
    """
    if k < 0:
        raise DataError(f"expected k of 0 or more, got {k}")
    checked = check(predictions)
    chosen = np.arange(len(checked.labels))
    if correct is not None:
        chosen = chosen[checked.correct == correct]
    order = np.lexsort((checked.rows[chosen], -checked.confidence[chosen]))
    chosen = chosen[order][:k]
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


# ------------------------------------------------------------------------------- several runs


def _answers(runs: Iterable[Predictions]) -> tuple[np.ndarray, np.ndarray]:
    """Bring what several runs say of the same pictures into one order, that of the source file.

    Returns
    -------
    labels : (n,) int64 array
    predicted : (runs, n) int64 array

    Raises
    ------
    DataError
        When the runs do not hold the same rows with the same labels and names.
    """
    checked = [check(predictions) for predictions in runs]
    orders = [np.argsort(one.rows, kind="stable") for one in checked]
    first, order = checked[0], orders[0]
    for one, other in zip(checked[1:], orders[1:], strict=True):
        if not (
            one.expressions == first.expressions
            and np.array_equal(one.rows[other], first.rows[order])
            and np.array_equal(one.labels[other], first.labels[order])
        ):
            raise DataError("runs can only be compared on the same rows with the same labels")
    predicted = [one.predicted[other] for one, other in zip(checked, orders, strict=True)]
    return first.labels[order], np.stack(predicted)


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
