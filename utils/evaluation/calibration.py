"""What probabilities are good for: a temperature that corrects them, and when to abstain."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.evaluation.metrics import EPSILON, Checked, check
from utils.records import Predictions
from utils.runtime import DataError


def temperature(validation: Predictions) -> float:
    """Find the temperature at which the probabilities fit the validation split best.

    One number divides all logits before the softmax: above 1, it makes a network less sure, below
    1, more so; it never changes which class wins. It minimizes the log loss. A record holds
    probabilities, whose logarithms are the logits up to a constant in each row; what float16
    rounded to 0 counts as 1e-7 (Guo et al. 2017, On calibration of modern neural networks, ICML).

    Returns 0.01 … 100, and 1 if no temperature does better. At an end of that range, the minimum
    is beyond it, as for predictions that are all correct.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    checked = check(validation)
    logits = _logits(checked)
    true = logits[np.arange(len(logits)), checked.labels]

    def loss(log_temperature: float) -> float:
        beta = math.exp(-log_temperature)
        return float((logsumexp(beta * logits, axis=1) - beta * true).mean())

    ends = (math.log(0.01), math.log(100))
    found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-8})
    # A loss lower by less than this is rounding.
    return math.exp(found.x) if found.fun < loss(0.0) - 1e-10 else 1.0


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Divide the logits by a temperature above 0; the predicted classes stay as they are."""
    from scipy.special import softmax

    if not 0 < temperature < math.inf:
        raise DataError(f"expected a temperature above 0, got {temperature}")
    checked = check(predictions)
    shares = softmax(_logits(checked) / temperature, axis=1)
    # Heat brings logits so close that two may become equal, and argmax may take another class.
    changed = np.flatnonzero(shares.argmax(axis=1) != checked.predicted)
    shares[changed, checked.predicted[changed]] *= 1 + 1e-12
    return dataclasses.replace(predictions, probabilities=shares)


def _logits(checked: Checked) -> np.ndarray:
    return np.log(np.clip(checked.probabilities, EPSILON, 1.0))


def coverage_curve(predictions: Predictions) -> pd.DataFrame:
    """Let a network answer only where it is sure enough, for every meaning of "enough".

    One row per distinct confidence, the highest first: ``threshold`` (it answers where the
    probability of its class is this or more), ``answered`` and ``correct`` (pictures), ``coverage``
    (share that it answers), ``accuracy`` of these answers. The last row answers everything.
    (Geifman and El-Yaniv 2017, Selective classification for deep neural networks, NeurIPS.)
    """
    checked = check(predictions)
    # Equally sure answers come together, since no threshold can separate them.
    sure = pd.Series(checked.correct).groupby(-checked.confidence).agg(["size", "sum"])
    answered, correct = sure["size"].cumsum().to_numpy(), sure["sum"].cumsum().to_numpy()
    return pd.DataFrame(
        {
            "threshold": -sure.index,
            "answered": answered,
            "correct": correct,
            "coverage": answered / len(checked),
            "accuracy": correct / answered,
        }
    )


@dataclass(frozen=True)
class Answered:
    """What is left when a network answers only where it is sure enough. Shares are 0 … 1."""

    answered: int
    correct: int
    coverage: float  # answered / pictures
    accuracy: float  # correct / answered; NaN where it answers none


def at_threshold(predictions: Predictions, threshold: float) -> Answered:
    """Let the network answer where its class's probability is at least ``threshold``.

    The threshold comes from `threshold_for`, on the validation split; above 1, nothing is answered.
    """
    checked = check(predictions)
    right = checked.correct[checked.confidence >= threshold]
    answered, correct = len(right), int(right.sum())
    share = correct / answered if answered else math.nan
    return Answered(answered, correct, answered / len(checked), share)


def threshold_for(
    validation: Predictions, accuracy: float = 0.9, *, certainty: float | None = None
) -> float:
    """Choose how sure a network must be to reach a wanted accuracy.

    It is chosen on the validation split, being a setting like any other. Without ``certainty``,
    it is the lowest that gives the wanted accuracy on these pictures; on others, it will miss it
    about half the time. With it, say 0.95, the true accuracy is below the wanted one at most 5
    times in 100 (for pictures drawn as these were); the price is coverage. Both are between 0
    and 1. Returns infinity, with which nothing is answered, when no threshold will do.
    """
    from scipy.stats import binomtest

    for name, share in (("accuracy", accuracy), ("certainty", certainty)):
        if share is not None and not 0 < share < 1:
            raise DataError(f"expected {name} between 0 and 1, got {share}")
    curve = coverage_curve(validation)
    if certainty is None:
        enough = curve["threshold"][curve["accuracy"] >= accuracy]
        return float(enough.min()) if len(enough) else math.inf
    # Geifman and El-Yaniv's algorithm 1: each look is paid for with a part of 1 - certainty.
    level = 1 - (1 - certainty) / len(curve).bit_length()  # this many looks find any row by halving
    chosen, first, last = math.inf, 0, len(curve) - 1
    while first <= last:
        middle = (first + last) // 2
        row = curve.iloc[middle]
        # Clopper and Pearson's exact bound.
        look = binomtest(int(row["correct"]), int(row["answered"]), alternative="greater")
        if look.proportion_ci(level, method="exact").low >= accuracy:
            chosen, first = float(row["threshold"]), middle + 1
        else:
            last = middle - 1
    return chosen
