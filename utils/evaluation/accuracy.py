"""How often right, and between which bounds."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from utils.evaluation.checks import check
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions


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
    low, high = wilson_bounds(correct, n, level)
    return float(low), float(high)


def wilson_bounds(
    correct: np.ndarray | int, n: np.ndarray | int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Compute `accuracy_interval` for whole arrays of counts at once, without its checks.

    Parameters
    ----------
    correct, n : arrays of counts that broadcast
        With 0 ≤ correct ≤ n and n ≥ 1 everywhere.
    level : float
        Between 0 and 1.

    Returns
    -------
    low, high : float64 arrays
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = np.asarray(correct) / np.asarray(n)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding may put an end a few 1e-17 on the wrong side.
    low = np.minimum(share, np.maximum(0.0, middle - half))
    high = np.maximum(share, np.minimum(1.0, middle + half))
    return low, high


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
