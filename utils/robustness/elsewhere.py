"""Networks on faces of a data set that they were not trained on, class by class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import evaluation, records, runtime
from utils.records import Predictions
from utils.runtime import DataError


def at_home_and_away(
    results: Path | None = None, home: str = "fer2013", away: str = "expw"
) -> dict[str, tuple[Predictions, Predictions]]:
    """Find the recorded networks that were trained on one data set and asked about another.

    Parameters
    ----------
    results : path, optional
        Where the runs lie; by default ``results/``.
    home, away : str
        The data set that a network was trained on, and the other one.

    Returns
    -------
    dict of str to (Predictions, Predictions)
        By the run's name: its answers on the test split at home, and on that away. Empty where
        there is none.
    """
    results = results or runtime.RESULTS
    pairs = {}
    for name in records.names(results):
        run = records.load(name, results)
        if run.info["dataset"] != home or run.test is None:
            continue
        for one in records.evaluations(run.folder):
            if (one.dataset, one.split) == (away, "test"):
                pairs[name] = (run.test, one.predictions)
    return pairs


def by_class(pairs: Mapping[str, tuple[Predictions, Predictions]]) -> pd.DataFrame:
    """Set each class's recall and precision at home and away side by side.

    Parameters
    ----------
    pairs : mapping of str to (Predictions, Predictions)
        From `at_home_and_away`: a network's answers at home, and away.

    Returns
    -------
    DataFrame
        A row a network and class (index ``network``, ``expression``), and for "home" and "away"
        each ``n_…`` (faces of the class), ``recall_…`` with Wilson's 95 % interval ``…_low`` and
        ``…_high``, ``named_…`` (how many faces were taken for the class), ``precision_…``; then
        ``fall`` (recall at home less that away) with ``fall_low`` and ``fall_high``, and
        ``taken_for``, ``taken_for_share``: the class that its faces are most often taken for away
        *instead*, and how often. What has no denominator is NaN, or "".

    Raises
    ------
    DataError
        When there is no network, or the two do not have the same classes.

    Notes
    -----
    Two data sets are two independent samples. The interval of the fall is Newcombe's hybrid score
    interval, which holds its level for a few dozen faces where the textbook one does not.

    References
    ----------
    Newcombe (1998), Interval estimation for the difference between independent proportions,
    Statistics in Medicine 17, 873-890, method 10.
    """
    _require_some(pairs)
    found = []
    for network, (home, away) in pairs.items():
        if home.expressions != away.expressions:
            raise DataError(
                f"{network}: its classes at home are {', '.join(home.expressions)}, "
                f"and away {', '.join(away.expressions)}; expected the same"
            )
        counts = {"home": evaluation.confusion(home), "away": evaluation.confusion(away)}
        for index, expression in enumerate(home.expressions):
            row: dict[str, Any] = {"network": network, "expression": expression}
            for place, matrix in counts.items():
                row |= _class_shares(matrix, index, place)
            row |= _fall(row)
            mistaken = np.delete(counts["away"][index], index)
            others = np.delete(np.array(home.expressions, dtype=object), index)
            n = row["n_away"]
            row["taken_for"] = others[mistaken.argmax()] if mistaken.any() else ""
            row["taken_for_share"] = mistaken.max() / n if n else np.nan
            found.append(row)
    return pd.DataFrame(found).set_index(["network", "expression"])


def _require_some(pairs: Mapping[str, tuple[Predictions, Predictions]]) -> None:
    if not pairs:
        raise DataError("expected one network or more that was asked at home and away, got none")


def _class_shares(counts: np.ndarray, index: int, place: str) -> dict[str, float]:
    n, named, right = counts[index].sum(), counts[:, index].sum(), counts[index, index]
    low, high = evaluation.accuracy_interval(int(right), int(n)) if n else (np.nan, np.nan)
    return {
        f"n_{place}": int(n),
        f"recall_{place}": right / n if n else np.nan,
        f"recall_{place}_low": low,
        f"recall_{place}_high": high,
        f"named_{place}": int(named),
        f"precision_{place}": right / named if named else np.nan,
    }


def _fall(row: Mapping[str, float]) -> dict[str, float]:
    home, away = row["recall_home"], row["recall_away"]
    fall = home - away
    below = math.hypot(home - row["recall_home_low"], row["recall_away_high"] - away)
    above = math.hypot(row["recall_home_high"] - home, away - row["recall_away_low"])
    return {"fall": fall, "fall_low": fall - below, "fall_high": fall + above}


def falls_furthest(found: pd.DataFrame) -> pd.DataFrame:
    """Return for each network of `by_class` the class whose recall falls furthest.

    Parameters
    ----------
    found : DataFrame
        From `by_class`.

    Returns
    -------
    DataFrame
        A row a network (index), columns ``expression`` and those of `by_class`. The intervals are
        wide and the largest of seven falls was picked out: another sample may show another class.
    """
    chosen = found["fall"].groupby(level="network", sort=False).idxmax()
    return found.loc[chosen].reset_index("expression")


def sureness(
    pairs: Mapping[str, tuple[Predictions, Predictions]],
    names: tuple[str, str] = ("home", "away"),
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Say how sure each network is at home and away, and how sure it should be.

    Parameters
    ----------
    pairs : mapping of str to (Predictions, Predictions)
        From `at_home_and_away`.
    names : (str, str)
        What to call the two.
    seed : int
        For `calibration_error_by_chance`.

    Returns
    -------
    DataFrame
        Index ``network``, ``data``; columns ``n``, ``accuracy``, ``low``, ``high`` (Wilson),
        ``mean_recall`` (of the classes that occur: the figure to compare where the two data sets
        have the classes in different shares), ``confidence`` (mean probability of the predicted
        class), ``too_sure`` (confidence less accuracy), ``calibration_error``
        (`evaluation.calibration_error`), and ``by_chance``, ``by_chance_high``
        (`calibration_error_by_chance`).

    Raises
    ------
    DataError
        When there is no network.
    """
    _require_some(pairs)
    found = []
    for network, two in pairs.items():
        for name, predictions in zip(names, two, strict=True):
            checked = evaluation.check(predictions)
            correct, n = int(checked.correct.sum()), len(checked.labels)
            low, high = evaluation.accuracy_interval(correct, n)
            mean, most = calibration_error_by_chance(predictions, seed=seed)
            confidence = float(checked.confidence.mean())
            found.append(
                {
                    "network": network,
                    "data": name,
                    "n": n,
                    "accuracy": correct / n,
                    "low": low,
                    "high": high,
                    "mean_recall": evaluation.summary(predictions).balanced_accuracy,
                    "confidence": confidence,
                    "too_sure": confidence - correct / n,
                    "calibration_error": evaluation.calibration_error(predictions),
                    "by_chance": mean,
                    "by_chance_high": most,
                }
            )
    return pd.DataFrame(found).set_index(["network", "data"])


def calibration_error_by_chance(
    predictions: Predictions,
    *,
    bins: int = evaluation.BINS,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the calibration error that a network would show if it were as right as it is sure.

    With few faces no bin is exactly as right as it is sure, so the expected calibration error of
    even a perfectly calibrated network is above 0, and the more so, the fewer faces there are. A
    figure from 333 faces must not be read like one from 3,589.

    Parameters
    ----------
    predictions : Predictions
        Only how sure they are is used, not how right.
    bins : int
        As `evaluation.calibration_error` takes it.
    draws : int
        How often each answer is drawn right with the probability that was given to it.
    seed : int

    Returns
    -------
    mean, high : float
        The mean over the draws, and the figure that 95 % of them stay under.

    References
    ----------
    Bröcker and Smith (2007), Increasing the reliability of reliability diagrams, Weather and
    Forecasting 22, 651-661: consistency resampling.
    """
    confidence = evaluation.check(predictions).confidence
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    member = np.eye(bins)[place]
    draw = np.random.default_rng(seed)
    errors = [
        np.abs((confidence - (draw.random(len(confidence)) < confidence)) @ member).sum()
        for _ in range(draws)
    ]
    errors = np.array(errors) / len(confidence)
    return float(errors.mean()), float(np.quantile(errors, 0.95))
