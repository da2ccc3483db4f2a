"""A set of predictions in a line, and several runs in a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.evaluation.accuracy import accuracy_interval, top_k_accuracy
from utils.evaluation.calibration import calibration_error
from utils.evaluation.checks import check
from utils.evaluation.classes import AVERAGES, report
from utils.evaluation.probabilities import log_loss

if TYPE_CHECKING:
    from utils.records import Predictions


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
