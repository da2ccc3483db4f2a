"""What if it may say "I don't know"? Accuracy against coverage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.evaluation.accuracy import accuracy_interval, wilson_bounds
from utils.evaluation.checks import check
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions


def coverage_curve(predictions: Predictions, level: float = 0.95) -> pd.DataFrame:
    """Let a network answer only where it is sure enough, for every meaning of "enough".

    Parameters
    ----------
    predictions : Predictions
    level : float
        Between 0 and 1, of the intervals.

    Returns
    -------
    DataFrame
        A row for each different confidence, the surest first: ``threshold`` (the network answers
        where the probability of its class is this or more), ``answered`` and ``correct``
        (pictures), ``coverage`` (share of the pictures that it answers), ``accuracy`` of these
        answers and ``risk``, 1 less that; ``low`` and ``high``, Wilson's interval of the
        accuracy. Equally sure answers come together, since no threshold can part them. The last
        row answers everything: its accuracy is the usual one. Each interval is for its own
        threshold, chosen beforehand; the whole curve leaves the band more often.

    References
    ----------
    El-Yaniv and Wiener (2010), On the foundations of noise-free selective classification, JMLR
    11; Geifman and El-Yaniv (2017), Selective classification for deep neural networks, NeurIPS,
    §5: the confidence used here is their "softmax response".
    """
    checked = check(predictions)
    _check_share(level, "level")
    order = np.argsort(-checked.confidence, kind="stable")
    confidence = checked.confidence[order]
    last = np.append(confidence[1:] != confidence[:-1], True)
    answered = np.flatnonzero(last) + 1
    correct = np.cumsum(checked.correct[order])[last]
    low, high = wilson_bounds(correct, answered, level)
    return pd.DataFrame(
        {
            "threshold": confidence[last],
            "answered": answered,
            "correct": correct,
            "coverage": answered / len(order),
            "accuracy": correct / answered,
            "risk": 1 - correct / answered,
            "low": low,
            "high": high,
        }
    )


def risk_coverage_area(predictions: Predictions, *, excess: bool = False) -> float:
    """Return the area under the curve of risk against coverage, 0 … 1; less is better.

    It is the mean risk over the n coverages 1/n, 2/n … 1. Among equally sure answers the
    mistakes are spread evenly, so their order does not matter.

    Parameters
    ----------
    predictions : Predictions
    excess : bool
        Less the area of the best order there is, all right answers before all mistakes. The
        area itself is small for whoever makes few mistakes; what is left says how well the
        network knows which they are.

    References
    ----------
    Geifman, Uziel and El-Yaniv (2019), Bias-reduced uncertainty estimation for deep neural
    classifiers, ICLR, §4 (AURC and E-AURC).
    """
    curve = coverage_curve(predictions)
    n = int(curve["answered"].iloc[-1])
    answers = np.arange(1, n + 1)
    mistakes = np.interp(
        answers,
        np.append(0, curve["answered"]),
        np.append(0, curve["answered"] - curve["correct"]),
    )
    area = (mistakes / answers).mean()
    if excess:
        area -= (np.maximum(0, answers - curve["correct"].iloc[-1]) / answers).mean()
        # The best order's own area comes out as a rounding error away from 0.
        area = max(0.0, area)
    return float(area)


@dataclass(frozen=True)
class Answered:
    """What is left when a network answers only where it is sure enough. Shares are 0 … 1.

    Attributes
    ----------
    threshold : float
        The least probability of the predicted class at which it answers.
    n, answered, correct : int
        Pictures, those that it answers, and those that it answers rightly.
    coverage : float
        answered / n.
    coverage_interval : (low, high)
        Wilson's interval.
    accuracy : float
        correct / answered; NaN where it answers none.
    accuracy_interval : (low, high)
        Wilson's interval; (NaN, NaN) where it answers none.
    """

    threshold: float
    n: int
    answered: int
    correct: int
    coverage: float
    coverage_interval: tuple[float, float]
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


def at_threshold(predictions: Predictions, threshold: float, level: float = 0.95) -> Answered:
    """Let the network answer where its class's probability is at least ``threshold``.

    Parameters
    ----------
    predictions : Predictions
    threshold : float
        From `threshold_for`, on the validation split. Above 1 nothing is answered.
    level : float
        Between 0 and 1, of the intervals.

    Returns
    -------
    Answered

    Raises
    ------
    DataError
        For a threshold that is NaN, or a level outside 0 … 1.
    """
    if math.isnan(threshold):
        raise DataError("expected a threshold, got NaN")
    checked = check(predictions)
    answers = checked.confidence >= threshold
    n, answered = len(answers), int(answers.sum())
    correct = int(checked.correct[answers].sum())
    nothing = float("nan")
    return Answered(
        threshold=float(threshold),
        n=n,
        answered=answered,
        correct=correct,
        coverage=answered / n,
        coverage_interval=accuracy_interval(answered, n, level),
        accuracy=correct / answered if answered else nothing,
        accuracy_interval=(
            accuracy_interval(correct, answered, level) if answered else (nothing, nothing)
        ),
    )


def at_coverage(predictions: Predictions, coverage: float, level: float = 0.95) -> Answered:
    """Let the network answer the given share of the pictures, those where it is surest.

    Parameters
    ----------
    predictions : Predictions
    coverage : float
        Above 0, up to 1. Since equally sure answers stay together, more may be answered.
    level : float
        Between 0 and 1, of the intervals.

    Returns
    -------
    Answered
        The threshold is read off these very predictions, as a curve's is; to be used elsewhere,
        it has to come from the validation split.
    """
    if not 0 < coverage <= 1:
        raise DataError(f"expected a coverage above 0, up to 1, got {coverage}")
    curve = coverage_curve(predictions, level)
    n = int(curve["answered"].iloc[-1])
    wanted = max(1, round(coverage * n))
    place = int(np.searchsorted(curve["answered"], wanted))
    return at_threshold(predictions, float(curve["threshold"].iloc[place]), level)


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
        these pictures. On others, it will miss it about every second time: it was chosen among
        thousands for being just good enough here. With it, say 0.95, the true accuracy is below
        the wanted one at most 5 times in 100 (for pictures drawn as these were); the price is
        coverage.

    Returns
    -------
    float
        For `at_threshold`; infinity, with which nothing is answered, when no threshold will do.

    References
    ----------
    Geifman and El-Yaniv (2017), Selective classification for deep neural networks, NeurIPS,
    algorithm 1 and lemma 3.1 (selection with guaranteed risk).
    """
    _check_share(accuracy, "accuracy")
    curve = coverage_curve(validation)
    if certainty is None:
        enough = np.flatnonzero(curve["accuracy"] >= accuracy)
        return float(curve["threshold"].iloc[enough[-1]]) if len(enough) else math.inf
    _check_share(certainty, "certainty")
    return _guaranteed(curve, 1 - accuracy, 1 - certainty)


def _guaranteed(curve: pd.DataFrame, risk: float, delta: float) -> float:
    """Search as SGR does: halve the thresholds, and pay for each look with an equal part of δ."""
    from scipy.stats import beta

    answered, correct = curve["answered"].to_numpy(), curve["correct"].to_numpy()
    looks = len(curve).bit_length()  # enough to find any row by halving
    chosen = math.inf
    fewest, most = 0, len(curve) - 1
    while fewest <= most:
        middle = (fewest + most) // 2
        m, right = int(answered[middle]), int(correct[middle])
        # The exact (Clopper-Pearson) bound: how large the risk can be, given m - right mistakes.
        bound = beta.ppf(1 - delta / looks, m - right + 1, right) if right else 1.0
        if bound <= risk:
            chosen, fewest = float(curve["threshold"].iloc[middle]), middle + 1
        else:
            most = middle - 1
    return chosen


def _check_share(value: float, what: str) -> None:
    if not 0 < value < 1:
        raise DataError(f"expected {what} between 0 and 1, got {value}")
