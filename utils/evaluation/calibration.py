"""Is it as sure as it is right? Calibration errors, and the temperature that mends them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.evaluation.checks import EPSILON, Checked, check
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions

#: Bins of the expected calibration error, as in Guo et al. (2017).
BINS = 15
#: The temperatures that `temperature` chooses from.
COLDEST, HOTTEST = 0.01, 100.0
#: A loss lower by less than this, in nats, is rounding: the temperature stays 1.
LEAST_GAIN = 1e-10


def bin_edges(shares: np.ndarray, bins: int, equal: str) -> np.ndarray:
    """Choose the edges of bins over 0 … 1.

    Parameters
    ----------
    shares : (n,) floats, 0 … 1
        What will be put into the bins.
    bins : int
        1 or more.
    equal : {"width", "mass"}
        Bins equally wide, or with equally many of ``shares``. Equal values stay together, so
        that the order of the pictures does not matter: where there are many of them, bins of
        equal mass are fewer than asked for.

    Returns
    -------
    (m,) float64 array
        Ascending, from 0 to 1.

    Raises
    ------
    DataError
        For no bin, or another word.
    """
    if bins < 1:
        raise DataError(f"expected one bin or more, got {bins}")
    if equal == "width":
        return np.linspace(0, 1, bins + 1)
    if equal != "mass":
        raise DataError(f'expected bins equal in "width" or "mass", got {equal!r}')
    inner = np.quantile(shares, np.arange(1, bins) / bins, method="inverted_cdf")
    # The last bin ends at 1: an edge there, or at the largest share, would leave one empty.
    inner = np.unique(inner[(inner > 0) & (inner < shares.max())])
    return np.concatenate([[0.0], inner, [1.0]])


def bin_places(shares: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Find each share's bin, open below and closed above: (n,) int64, 0 … len(edges) - 2."""
    return np.clip(np.searchsorted(edges, shares, side="left") - 1, 0, len(edges) - 2)


def reliability_table(
    predictions: Predictions, bins: int = BINS, *, equal: str = "width"
) -> pd.DataFrame:
    """Set how sure against how often right, in bins.

    Parameters
    ----------
    predictions : Predictions
    bins : int
        Bins over 0 … 1, each open below and closed above; 1 or more.
    equal : {"width", "mass"}
        Bins equally wide, or with equally many predictions; of the latter there may be fewer,
        since equally sure predictions stay together.

    Returns
    -------
    DataFrame
        A row a bin: ``low`` and ``high`` (its edges), ``count`` (predictions in it),
        ``confidence`` (mean probability of the predicted class) and ``accuracy``, both NaN
        where the bin is empty.
    """
    checked = check(predictions)
    edges = bin_edges(checked.confidence, bins, equal)
    bins = len(edges) - 1
    place = bin_places(checked.confidence, edges)
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


def calibration_error(predictions: Predictions, bins: int = BINS, *, equal: str = "width") -> float:
    """Return the expected calibration error, 0 … 1.

    The mean distance between confidence and accuracy over the bins of `reliability_table`,
    each weighted by its number of predictions. Two warnings. With bins of equal width most
    predictions of a sure network share the last one, where too sure and not sure enough cancel;
    ``equal="mass"`` spreads them (the adaptive error). And chance alone makes every bin's gap
    larger than 0: of 3,589 predictions in 15 bins, even perfect ones get about 0.02.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML;
    Nixon et al. (2019), Measuring calibration in deep learning, CVPR workshops, for bins of
    equal mass.
    """
    table = reliability_table(predictions, bins, equal=equal)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["count"]).sum() / table["count"].sum())


def calibration_by_class(
    predictions: Predictions, bins: int = BINS, *, equal: str = "width"
) -> pd.DataFrame:
    """Compute the calibration error of each class's probabilities, whether it wins or not.

    `calibration_error` looks at the winner's probability alone. A web page that shows seven
    bars shows all seven: here each class's column is binned by itself, and in each bin its mean
    probability is set against the share of pictures that are of that class.

    Returns
    -------
    DataFrame
        A row an expression: ``probability``, the mean probability it was given; ``share``, how
        many pictures are of it; ``error``, 0 … 1. Where the first is above the second, the
        class is named too readily.

    References
    ----------
    Kull et al. (2019), Beyond temperature scaling, NeurIPS: the mean of ``error`` is their
    classwise ECE (there with bins of equal width).
    """
    checked = check(predictions)
    rows = {}
    for at, name in enumerate(checked.expressions):
        given = checked.probabilities[:, at]
        true = checked.labels == at
        edges = bin_edges(given, bins, equal)
        gaps = np.bincount(bin_places(given, edges), weights=given - true)
        rows[name] = {
            "probability": given.mean(),
            "share": true.mean(),
            "error": np.abs(gaps).sum() / len(given),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("expression")


def classwise_calibration_error(
    predictions: Predictions, bins: int = BINS, *, equal: str = "width"
) -> float:
    """Return the mean ``error`` of `calibration_by_class`, 0 … 1: the classwise ECE."""
    return float(calibration_by_class(predictions, bins, equal=equal)["error"].mean())


def temperature(validation: Predictions) -> float:
    """Find the temperature at which a network's probabilities suit the validation split best.

    One number for all classes and pictures: the logits are divided by it before the softmax.
    Above 1 it makes a network less sure, below 1 surer; which class wins it does not change. It
    is the one that minimises the log loss, which is convex in 1 / T, so there is one minimum.

    A record holds probabilities, not logits; their logarithms are the logits up to a constant
    in each row, which the softmax drops. What float16 rounded to 0 counts as 1e-7.

    Parameters
    ----------
    validation : Predictions
        Of the validation split: fitted on the test split, it would flatter itself.

    Returns
    -------
    float
        0.01 … 100; 1 where no temperature does better. At an end of that range the minimum
        lies beyond it, as for predictions that are all right.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML,
    §4.2.
    """
    from scipy.optimize import minimize_scalar

    checked = check(validation)
    logits = _logits(checked)
    true = logits[np.arange(len(logits)), checked.labels]

    def loss(log_temperature: float) -> float:
        beta = math.exp(-log_temperature)
        # The largest logit of each row is 0, so the sum is 1 or more and nothing overflows.
        return float((np.log(np.exp(beta * logits).sum(axis=1)) - beta * true).mean())

    found = minimize_scalar(
        loss,
        bounds=(math.log(COLDEST), math.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return float(math.exp(found.x)) if found.fun < loss(0.0) - LEAST_GAIN else 1.0


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Divide the logits by a temperature, and return the new probabilities.

    The predicted classes, and with them accuracy, confusion and F1, stay as they are.

    Parameters
    ----------
    predictions : Predictions
        Of any split.
    temperature : float
        Above 0; from `temperature`, fitted on the validation split.

    Returns
    -------
    Predictions
        With float64 probabilities; everything else is the same.

    Raises
    ------
    DataError
        When the temperature is not a finite number above 0.
    """
    if not 0 < temperature < math.inf:
        raise DataError(f"expected a temperature above 0, got {temperature}")
    checked = check(predictions)
    shares = np.exp(_logits(checked) / temperature)
    shares /= shares.sum(axis=1, keepdims=True)
    # Heat brings logits so close that two may become one number, and argmax take another class.
    changed = np.flatnonzero(shares.argmax(axis=1) != checked.predicted)
    shares[changed, checked.predicted[changed]] *= 1 + 1e-12
    return dataclasses.replace(predictions, probabilities=shares)


def _logits(checked: Checked) -> np.ndarray:
    """Return the logits up to a constant in each row: (n, k) float64, the largest of a row 0."""
    logits = np.log(np.clip(checked.probabilities, EPSILON, 1.0))
    return logits - logits.max(axis=1, keepdims=True)
