"""Is it as sure as it is right? Calibration, the temperature that mends it, and abstention."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.evaluation.checks import EPSILON, Checked, check
from utils.evaluation.intervals import accuracy_interval, require_share
from utils.records import Predictions
from utils.runtime import DataError

#: Bins of the expected calibration error, as in Guo et al. (2017).
BINS = 15


def reliability_table(predictions: Predictions, bins: int = BINS) -> pd.DataFrame:
    """Set how sure against how often right, in bins over 0 … 1, each open below, closed above.

    Returns
    -------
    DataFrame
        A row a bin: ``low`` and ``high`` (its edges), ``count`` (predictions in it),
        ``confidence`` (mean probability of the predicted class) and ``accuracy``, both NaN
        where the bin is empty.
    """
    checked = check(predictions)
    edges, place = _bins(checked.confidence, bins)
    answers = pd.DataFrame({"confidence": checked.confidence, "accuracy": checked.correct * 1.0})
    means = answers.groupby(place).mean().reindex(range(bins))
    count = np.bincount(place, minlength=bins)
    return means.assign(low=edges[:-1], high=edges[1:], count=count)[
        ["low", "high", "count", "confidence", "accuracy"]
    ]


def _bins(confidence: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    if bins < 1:
        raise DataError(f"expected one bin or more, got {bins}")
    edges = np.linspace(0, 1, bins + 1)
    return edges, np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def calibration_error(predictions: Predictions, bins: int = BINS) -> float:
    """Return the expected calibration error, 0 … 1.

    The mean distance between confidence and accuracy over the bins of `reliability_table`, each
    weighted by its number of predictions. Too sure and not sure enough cancel within a bin, and
    chance alone makes every gap larger than 0 (`calibration_error_by_chance`).

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML.
    """
    table = reliability_table(predictions, bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["count"]).sum() / table["count"].sum())


def calibration_error_by_chance(
    predictions: Predictions, *, bins: int = BINS, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the error that a network would show if it were as right as it is sure.

    With few faces no bin is exactly as right as it is sure: a figure from 333 faces must not be
    read like one from 3,589. Each answer is drawn right with the probability given to it.

    Returns
    -------
    mean, high : float
        The mean over the draws, and the figure that 95 % of them stay under; 0 … 1.

    References
    ----------
    Bröcker and Smith (2007), Weather and Forecasting 22: consistency resampling.
    """
    confidence = check(predictions).confidence
    member = np.eye(bins)[_bins(confidence, bins)[1]]
    random = np.random.default_rng(seed)
    errors = [
        np.abs((confidence - (random.random(len(confidence)) < confidence)) @ member).sum()
        for _ in range(draws)
    ]
    errors = np.array(errors) / len(confidence)
    return float(errors.mean()), float(np.quantile(errors, 0.95))


def temperature(validation: Predictions) -> float:
    """Find the temperature at which the probabilities suit the validation split best.

    One number divides all logits before the softmax: above 1 it makes a network less sure, below
    1 surer; which class wins it does not change. It minimizes the log loss. A record holds
    probabilities, whose logarithms are the logits up to a constant in each row; what float16
    rounded to 0 counts as 1e-7.

    Returns
    -------
    float
        0.01 … 100; 1 where no temperature does better. At an end of that range the minimum lies
        beyond it, as for predictions that are all right.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML, §4.2.
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
    """Divide the logits by a temperature above 0; the predicted classes stay as they are.

    Returns
    -------
    Predictions
        With float64 probabilities; everything else is the same.
    """
    from scipy.special import softmax

    if not 0 < temperature < math.inf:
        raise DataError(f"expected a temperature above 0, got {temperature}")
    checked = check(predictions)
    shares = softmax(_logits(checked) / temperature, axis=1)
    # Heat brings logits so close that two may become one number, and argmax take another class.
    changed = np.flatnonzero(shares.argmax(axis=1) != checked.predicted)
    shares[changed, checked.predicted[changed]] *= 1 + 1e-12
    return dataclasses.replace(predictions, probabilities=shares)


def _logits(checked: Checked) -> np.ndarray:
    return np.log(np.clip(checked.probabilities, EPSILON, 1.0))


# ---------------------------------------------------------------------------------- abstention


def coverage_curve(predictions: Predictions, level: float = 0.95) -> pd.DataFrame:
    """Let a network answer only where it is sure enough, for every meaning of "enough".

    Returns
    -------
    DataFrame
        A row for each different confidence, the highest first: ``threshold`` (the network
        answers where the probability of its class is this or more), ``answered`` and
        ``correct`` (pictures), ``coverage`` (share that it answers), ``accuracy`` of these
        answers; ``low`` and ``high``, Wilson's interval of the accuracy, each for its own
        threshold, chosen beforehand. The last row answers everything.

    References
    ----------
    Geifman and El-Yaniv (2017), Selective classification for deep neural networks, NeurIPS, §5.
    """
    checked = check(predictions)
    answers = pd.DataFrame({"threshold": checked.confidence, "correct": checked.correct})
    # Equally sure answers come together, since no threshold can part them.
    groups = (
        answers.groupby("threshold")["correct"].agg(["size", "sum"]).sort_index(ascending=False)
    )
    answered, correct = groups["size"].cumsum().to_numpy(), groups["sum"].cumsum().to_numpy()
    low, high = accuracy_interval(correct, answered, level)
    return pd.DataFrame(
        {
            "threshold": groups.index,
            "answered": answered,
            "correct": correct,
            "coverage": answered / len(checked),
            "accuracy": correct / answered,
            "low": low,
            "high": high,
        }
    )


@dataclass(frozen=True)
class Answered:
    """What is left when a network answers only where it is sure enough. Shares are 0 … 1.

    Attributes
    ----------
    threshold : float
        The least probability of the predicted class at which it answers.
    n, answered, correct : int
        Pictures, those that it answers, and those that it answers rightly.
    coverage, accuracy : float
        answered / n, and correct / answered (NaN where it answers none).
    accuracy_interval : (low, high)
        Wilson's 95 % interval; NaN where it answers none.
    """

    threshold: float
    n: int
    answered: int
    correct: int
    coverage: float
    accuracy: float
    accuracy_interval: tuple[float, float]

    def __str__(self) -> str:
        if self.answered == 0:
            return f"answers none of {self.n:,}"
        low, high = self.accuracy_interval
        return (
            f"answers {self.coverage:.1%} (from a probability of {self.threshold:.3f}), "
            f"{self.accuracy:.1%} of them rightly "
            f"({low:.1%} to {high:.1%}, {self.answered:,} of {self.n:,})"
        )


def at_threshold(predictions: Predictions, threshold: float) -> Answered:
    """Let the network answer where its class's probability is at least ``threshold``.

    ``threshold`` comes from `threshold_for`, on the validation split; above 1 nothing is answered.
    """
    if math.isnan(threshold):
        raise DataError("expected a threshold, got NaN")
    checked = check(predictions)
    answers = checked.confidence >= threshold
    n, answered = len(answers), int(answers.sum())
    correct = int(checked.correct[answers].sum())
    return Answered(
        threshold=float(threshold),
        n=n,
        answered=answered,
        correct=correct,
        coverage=answered / n,
        accuracy=correct / answered if answered else math.nan,
        accuracy_interval=accuracy_interval(correct, answered) if answered else (math.nan,) * 2,
    )


def threshold_for(
    validation: Predictions, accuracy: float = 0.9, *, certainty: float | None = None
) -> float:
    """Choose how sure a network must be to be right as often as wanted.

    Parameters
    ----------
    validation : Predictions
        Of the validation split: the threshold is a setting like any other.
    accuracy : float
        Between 0 and 1: the wanted share of right answers.
    certainty : float, optional
        Between 0 and 1. Without it, the threshold is the lowest that gives the accuracy on
        these pictures; on others, it will miss it about every second time. With it, say 0.95,
        the true accuracy is below the wanted one at most 5 times in 100 (for pictures drawn as
        these were); the price is coverage.

    Returns
    -------
    float
        For `at_threshold`; infinity, with which nothing is answered, when no threshold will do.

    References
    ----------
    Geifman and El-Yaniv (2017), Selective classification for deep neural networks, NeurIPS,
    algorithm 1 (selection with guaranteed risk): halve the thresholds, pay for each look with
    an equal part of 1 - certainty.
    """
    from scipy.stats import binomtest

    require_share(accuracy, "accuracy")
    curve = coverage_curve(validation)
    threshold = curve["threshold"].to_numpy()
    if certainty is None:
        return float(threshold[curve["accuracy"] >= accuracy].min(initial=math.inf))
    require_share(certainty, "certainty")
    # The exact (Clopper-Pearson) bound of one look; so many looks find any row by halving.
    level = 1 - (1 - certainty) / len(curve).bit_length()
    chosen, first, last = math.inf, 0, len(curve) - 1
    while first <= last:
        middle = (first + last) // 2
        look = binomtest(
            int(curve["correct"][middle]), int(curve["answered"][middle]), alternative="greater"
        )
        if look.proportion_ci(level, method="exact").low >= accuracy:
            chosen, first = float(threshold[middle]), middle + 1
        else:
            last = middle - 1
    return chosen
