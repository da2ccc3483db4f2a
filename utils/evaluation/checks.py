"""What every metric asks of predictions first: that they can be probabilities at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions

#: How far a row of float16 probabilities may be from a sum of one.
SUM_TOLERANCE = 1e-2
#: Keras's epsilon: probabilities below it count as this much, so `log_loss` stays finite.
EPSILON = 1e-7


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


def in_one_order(runs: Iterable[Predictions]) -> list[Checked]:
    """Check several runs on the same pictures, and bring them into the source file's order.

    Parameters
    ----------
    runs : iterable of Predictions
        One or more.

    Returns
    -------
    list of Checked
        With equal ``rows``, ``labels`` and ``expressions``.

    Raises
    ------
    DataError
        When the runs do not hold the same rows with the same labels and names.
    """
    ordered = [_by_row(check(predictions)) for predictions in runs]
    first = ordered[0]
    for other in ordered[1:]:
        if not (
            other.expressions == first.expressions
            and np.array_equal(other.rows, first.rows)
            and np.array_equal(other.labels, first.labels)
        ):
            raise DataError("runs can only be compared on the same rows with the same labels")
    return ordered


def _by_row(checked: Checked) -> Checked:
    order = np.argsort(checked.rows, kind="stable")
    fields = ("probabilities", "labels", "rows", "copies", "predicted", "confidence")
    return dataclasses.replace(
        checked, **{field: getattr(checked, field)[order] for field in fields}
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
