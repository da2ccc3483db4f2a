"""The probabilities themselves: what they cost, and the surest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.evaluation.checks import EPSILON, Checked, check
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions


def log_loss(predictions: Predictions) -> float:
    """Return the mean of -ln p(true class), in nats: 0 is perfect, ln k is guessing.

    Probabilities are clipped at 1e-7, Keras's epsilon, so that one sure mistake stays finite. The
    loss in a training log is the same thing only where it was trained without label smoothing.
    """
    return float(losses(check(predictions)).mean())


def losses(checked: Checked) -> np.ndarray:
    """Return what each picture adds to the log loss, (n,) float64 of 0 or more."""
    true = checked.probabilities[np.arange(len(checked.labels)), checked.labels]
    return -np.log(np.clip(true, EPSILON, 1.0))


def brier_score(predictions: Predictions) -> float:
    """Return the mean squared distance of the probabilities from the truth, 0 … 2.

    The sum over the classes of (p - 1)² for the true one and p² for the others. Guessing among
    k classes costs 1 - 1/k, a sure mistake 2. Like the log loss it is lowest for honest
    probabilities; unlike it, one sure mistake cannot outweigh everything else.

    References
    ----------
    Brier (1950), Monthly Weather Review 78, in its original form for several classes.
    """
    return float(squared_distances(check(predictions)).mean())


def squared_distances(checked: Checked) -> np.ndarray:
    """Return what each picture adds to the Brier score, (n,) float64 in 0 … 2."""
    distances = checked.probabilities.copy()
    distances[np.arange(len(distances)), checked.labels] -= 1
    return (distances**2).sum(axis=1)


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
