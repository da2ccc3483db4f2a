"""How long a run took until it knew so much: seconds to accuracy, from its history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from utils.records import Run
from utils.runtime import DataError

#: Shares of the validation split that are named rightly.
LEVELS = (0.60, 0.65, 0.70, 0.72)

#: In a run's ``run.json``: seconds from the command to the first epoch, where they were recorded.
START_UP = "start_up_seconds"


def accuracy_by_time(history: pd.DataFrame, *, start_up: float = 0.0) -> pd.DataFrame:
    """Put each epoch at the second at which it ended.

    Parameters
    ----------
    history : DataFrame
        With the columns ``seconds`` (of each epoch, its validation and its checkpoint included)
        and ``val_accuracy`` (0 … 1) of ``history.csv``; a row an epoch, in order.
    start_up : float
        Seconds that passed before the first epoch: loading, balancing, building.

    Returns
    -------
    DataFrame
        A row an epoch: ``seconds`` from the start to its end, ``val_accuracy``, and ``best``, the
        highest so far.

    Raises
    ------
    DataError
        When there is no epoch, a column is missing, or a time is negative or unknown.

    Notes
    -----
    The first epoch's seconds hold the compiling, which the backend does at its first step. Runs
    recorded so far do not say what start-up took, and not compiling apart: their curve begins at
    the first epoch. A run that was killed and went on counts finished epochs alone.
    """
    missing = {"seconds", "val_accuracy"} - set(history.columns)
    if missing or history.empty:
        found = f"no column {min(missing)}" if missing else "no epoch"
        raise DataError(f"history: found {found}, expected seconds and val_accuracy of each epoch")
    seconds = history["seconds"].to_numpy(dtype=float)
    accuracy = history["val_accuracy"].to_numpy(dtype=float)
    if not (np.isfinite(seconds).all() and (seconds >= 0).all() and start_up >= 0):
        raise DataError("history: found a time that is negative or unknown, expected 0 or more")
    if not ((accuracy >= 0) & (accuracy <= 1)).all():
        raise DataError("history: found val_accuracy outside 0 … 1")
    return pd.DataFrame(
        {
            "seconds": start_up + np.cumsum(seconds),
            "val_accuracy": accuracy,
            "best": np.maximum.accumulate(accuracy),
        }
    )


def seconds_to_accuracy(
    history: pd.DataFrame, levels: Sequence[float] = LEVELS, *, start_up: float = 0.0
) -> dict[float, float]:
    """Return how long it took until the validation accuracy first reached each level.

    Parameters
    ----------
    history : DataFrame
        As `accuracy_by_time` takes it.
    levels : sequence of float
        Accuracies, 0 … 1.
    start_up : float
        Seconds before the first epoch.

    Returns
    -------
    dict of float to float
        Level → seconds to the end of the first epoch that reaches it; NaN where none does.

    Raises
    ------
    DataError
        As `accuracy_by_time`, and for a level outside 0 … 1.

    Examples
    --------
    >>> history = pd.DataFrame({"seconds": [9.0, 5.0], "val_accuracy": [0.5, 0.65]})
    >>> seconds_to_accuracy(history, [0.6, 0.7], start_up=1.0)
    {0.6: 15.0, 0.7: nan}
    """
    if not all(0 <= level <= 1 for level in levels):
        raise DataError(f"levels: found {list(levels)}, expected accuracies of 0 … 1")
    table = accuracy_by_time(history, start_up=start_up)
    reached = {}
    for level in levels:
        ends = table.loc[table["val_accuracy"] >= level, "seconds"]
        reached[level] = float(ends.iloc[0]) if len(ends) else float("nan")
    return reached


def seconds_to_accuracy_table(
    runs: Sequence[Run], levels: Sequence[float] = LEVELS
) -> pd.DataFrame:
    """Set recorded runs beside each other: how long until each level, and on what.

    Parameters
    ----------
    runs : sequence of Run
        Of one data set, or the levels mean different things.
    levels : sequence of float
        Accuracies, 0 … 1.

    Returns
    -------
    DataFrame
        Index "run"; columns "network", "hardware", "start_up" (seconds, NaN where the record does
        not say: then they are not in the times either), "first_epoch" (seconds, compiling
        included), "best" (the highest validation accuracy), and the seconds to each level, named
        "60 %" and so on, NaN where it was not reached.

    Raises
    ------
    DataError
        When a history cannot be read as `accuracy_by_time` expects.
    """
    columns = {level: f"{100 * level:g} %" for level in levels}
    rows = []
    for run in runs:
        start_up = run.info.get(START_UP)
        known = 0.0 if start_up is None else float(start_up)
        reached = seconds_to_accuracy(run.history, levels, start_up=known)
        rows.append(
            {
                "run": run.name,
                "network": run.info["model"],
                "hardware": run.info.get("hardware", ""),
                "start_up": float("nan") if start_up is None else known,
                "first_epoch": float(run.history["seconds"].iloc[0]),
                "best": float(run.history["val_accuracy"].max()),
                **{columns[level]: seconds for level, seconds in reached.items()},
            }
        )
    fixed = ["run", "network", "hardware", "start_up", "first_epoch", "best"]
    return pd.DataFrame(rows, columns=[*fixed, *columns.values()]).set_index("run")
