"""What every metric asks of predictions first: that they can be probabilities at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from utils.records import Predictions
from utils.runtime import DataError

#: How far a row of float16 probabilities may be from a sum of one.
SUM_TOLERANCE = 1e-2
#: Keras's epsilon: probabilities below it count as this much, so the log loss stays finite.
EPSILON = 1e-7


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
    """Check predictions, and bring them to float64 with rows that sum to one.

    Parameters
    ----------
    predictions : Predictions
        ``probabilities`` (n, k) of any float type, each row summing to 1 ± 0.01; ``labels``
        (n,) whole numbers 0 … k-1; ``rows`` (n,) whole numbers; ``copies`` (n,) bool;
        ``expressions``, k names.

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

    labels = _column(predictions.labels, "labels", count, np.integer, "whole numbers")
    _refuse((labels < 0) | (labels >= classes), f"a label outside 0 … {classes - 1}")
    expressions = tuple(predictions.expressions)
    if len(expressions) != classes:
        raise DataError(
            f"expressions: expected {classes} names, one a column, got {len(expressions)}"
        )
    return Checked(
        probabilities=probabilities / sums[:, None],
        labels=labels.astype(np.int64),
        rows=_column(predictions.rows, "rows", count, np.integer, "whole numbers").astype(np.int64),
        copies=_column(predictions.copies, "copies", count, np.bool_, "true or false"),
        expressions=expressions,
    )


def in_one_order(runs: Iterable[Predictions]) -> list[Checked]:
    """Check runs on the same pictures, and bring each into the source file's order.

    Raises
    ------
    DataError
        When there is none, or they do not hold the same rows with the same labels and names.
    """
    ordered = []
    for checked in map(check, runs):
        order = np.argsort(checked.rows, kind="stable")
        ordered.append(Checked(**vars(checked.where(order))))
    if not ordered:
        raise DataError("expected one run or more, got none")
    first = ordered[0]
    for other in ordered[1:]:
        if not (
            other.expressions == first.expressions
            and np.array_equal(other.rows, first.rows)
            and np.array_equal(other.labels, first.labels)
        ):
            raise DataError("runs can only be compared on the same rows with the same labels")
    return ordered


def on_shared_classes(
    probabilities: np.ndarray,
    names: Sequence[str],
    labels: np.ndarray,
    label_names: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray]:
    """Evaluate a network on data of other classes: on the classes that both know.

    The network is asked "if it is none of the others, which is it?": its probabilities of the
    shared classes, divided by their sum. Pictures of a class that it does not know are left out.

    Parameters
    ----------
    probabilities : (n, k) float array
        What the network said, a column a name.
    names : sequence of k str
        The network's classes.
    labels : (n,) int array
        Places in ``label_names``.
    label_names : sequence of str
        The data's classes; the same spelling means the same class.

    Returns
    -------
    probabilities : (m, s) float64 array, rows sum to 1
    labels : (m,) int64 array, places in ``kept_names``
    kept_names : tuple of s str
        The shared classes, in the data's order.
    kept_rows : (n,) bool array
        Which rows were kept, m of them; ``(~kept_rows).sum()`` were left out.

    Raises
    ------
    DataError
        When fewer than two classes are shared, no picture is of a shared class, a name stands
        twice, or a row gives all shared classes a probability of 0, so that nothing can be said.
    """
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    names, label_names = list(names), list(label_names)
    for kind, given in (("the network's", names), ("the data's", label_names)):
        if len(set(given)) < len(given):
            raise DataError(f"{kind} classes: a name stands twice in {', '.join(given)}")
    if probabilities.ndim != 2 or probabilities.shape[1] != len(names):
        raise DataError(
            f"probabilities: expected a column for each of {', '.join(names)}, "
            f"got shape {probabilities.shape}"
        )
    labels = _column(labels, "labels", len(probabilities), np.integer, "whole numbers")
    _refuse(
        (labels < 0) | (labels >= len(label_names)), f"a label outside 0 … {len(label_names) - 1}"
    )
    kept_names = tuple(name for name in label_names if name in names)
    if len(kept_names) < 2:
        raise DataError(
            f"the network knows {', '.join(names)}, the data {', '.join(label_names)}: "
            f"expected two shared classes or more, found {len(kept_names)}"
        )
    place = np.array([kept_names.index(n) if n in kept_names else -1 for n in label_names])
    kept_rows = place[labels] >= 0
    if not kept_rows.any():
        raise DataError(f"no picture is of a shared class: {', '.join(kept_names)}")
    shares = probabilities[:, [names.index(name) for name in kept_names]]
    sums = shares.sum(axis=1)
    _refuse(kept_rows & ~(sums > 0), f"no probability for any of {', '.join(kept_names)}")
    shares = shares[kept_rows] / sums[kept_rows, None]
    return shares, place[labels[kept_rows]], kept_names, kept_rows


def _refuse(bad: np.ndarray, what: str) -> None:
    """Raise a DataError that names the first bad row, if there is one."""
    if bad.any():
        raise DataError(
            f"predictions: row {int(bad.argmax())} has {what} ({int(bad.sum())} such rows)"
        )


def _column(values: np.ndarray, name: str, count: int, kind: type, what: str) -> np.ndarray:
    """Return ``values`` as an array if they are (count,) of a kind."""
    values = np.asarray(values)
    if values.shape != (count,) or not np.issubdtype(values.dtype, kind):
        raise DataError(
            f"{name}: expected {count} {what}, one a row of probabilities, "
            f"got {values.dtype} of shape {values.shape}"
        )
    return values
