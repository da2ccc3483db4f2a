"""How fast: timings taken in turns and their ratios, growth with the rows, accuracy by time.

``python -m experiments.speed`` measures (`parts`, `counts`) and records seconds; every number that
is shown is computed here, from the record.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import runtime
from utils.runtime import DataError

#: What the comparisons marked with an aim are to reach: by part, on a processor and on an
#: accelerator.
AIMS: dict[str, dict[str, float]] = {
    "augmentation": {"processor": 10.0},
    "training": {"processor": 1.5, "accelerator": 20.0},
    "arithmetic": {"processor": 0.6, "accelerator": 0.4},
    "inference": {"processor": 10.0, "accelerator": 10.0},
}
#: A cost that grows with a higher power of the rows than this grows faster than they do.
FASTER = 1.1


def record_path(name: str = "", results: Path | None = None) -> Path:
    """Say where a record lies: ``speed.json``, or ``speed-NAME.json`` of another machine."""
    if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
        raise DataError(f"record {name!r}: expected letters, digits, points and hyphens")
    file = f"speed-{name}.json" if name else "speed.json"
    return (results or runtime.RESULTS) / "benchmarks" / file


def recorded(results: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read every record, by its file's name without ending: "speed", "speed-h100"."""
    folder = record_path("", results).parent
    return {path.stem: read(path) for path in sorted(folder.glob("speed*.json"))}


def read(path: Path) -> dict[str, Any]:
    """Read the record of one machine.

    Returns
    -------
    dict
        "hardware", "backend", "accelerator" (bool), and "parts": by name "timings" and "growths"
        as `parts` makes them, and "about" (when, load, versions, command).

    Raises
    ------
    ModelError
        When there is none, or it is no JSON.
    DataError
        When no tables can be computed from it.
    """
    record = runtime.read_json(path)
    try:
        for table in (ratios_table, rates_table, growth_table):
            table(record)
        str(record["hardware"] + record["backend"])
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise DataError(f"{path.name}: expected what experiments.speed writes: {what}") from error
    return record


def write(path: Path, record: dict[str, Any]) -> None:
    """Write a record, whole; parts that the file has and the record has not are kept.

    Raises
    ------
    DataError
        When the file is of another machine or backend, or is damaged.
    """
    if path.is_file():
        before = read(path)
        old, new = (f"{one['hardware']}, {one['backend']}" for one in (before, record))
        if old != new:
            raise DataError(f"{path.name} is of {old}, and this is {new}: name another record")
        record = {**record, "parts": {**before["parts"], **record["parts"]}}
    runtime.write_json(path, record)


def _timings(record: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, np.ndarray]]]:
    """Return part, timing, and by way how much was done a second, a number a repetition."""
    found = []
    for part, measured in record["parts"].items():
        for timing in measured["timings"]:
            amounts, seconds = timing["amounts"], timing["seconds"]
            taken = {way: np.asarray(seconds[way], dtype=float) for way in amounts}
            counts = {len(values) for values in taken.values()}
            if len(counts) != 1 or set(seconds) != set(amounts):
                raise DataError(f"{timing['case']}: expected as many repetitions of each way")
            if not all((values > 0).all() and amounts[way] > 0 for way, values in taken.items()):
                raise DataError(f"{timing['case']}: found a time or an amount that is not above 0")
            rates = {way: amounts[way] / values for way, values in taken.items()}
            found.append((part, timing, rates))
    return found


def _spread(values: np.ndarray) -> dict[str, float]:
    return dict(zip(("low", "median", "high"), np.quantile(values, [0, 0.5, 1]), strict=True))


def ratios_table(record: dict[str, Any]) -> pd.DataFrame:
    """List every comparison of a record.

    Returns
    -------
    DataFrame
        A row a comparison: "part", "case", "comparison", "low", "median", "high", "repeats", "aim"
        (NaN where there is none). A ratio is of repetitions that were neighbours in time, so
        whatever else the machine did fell on both; the median is that of the ratios.
    """
    kind = "accelerator" if record["accelerator"] else "processor"
    rows = [
        {"part": part, "case": timing["case"], "comparison": one["name"]}
        | _spread(rates[one["fast"]] / rates[one["slow"]])
        | {"repeats": len(rates[one["fast"]])}
        | {"aim": AIMS.get(part, {}).get(kind, np.nan) if one["aimed"] else np.nan}
        for part, timing, rates in _timings(record)
        for one in timing["comparisons"]
    ]
    columns = ["part", "case", "comparison", "low", "median", "high", "repeats", "aim"]
    return pd.DataFrame(rows, columns=columns)


def rates_table(record: dict[str, Any]) -> pd.DataFrame:
    """List how much every way does in a second.

    Returns
    -------
    DataFrame
        A row a way: "part", "case", "way", "unit", "low", "median", "high" (units a second).
    """
    rows = [
        {"part": part, "case": timing["case"], "way": way, "unit": timing["unit"]} | _spread(values)
        for part, timing, rates in _timings(record)
        for way, values in rates.items()
    ]
    return pd.DataFrame(rows, columns=["part", "case", "way", "unit", "low", "median", "high"])


def growth_points(record: dict[str, Any]) -> pd.DataFrame:
    """List what each task took at each size.

    Returns
    -------
    DataFrame
        A row a task and size: "task", "rows", "seconds", "megabytes" (the least of the
        repetitions, since other work on the machine can only add to a cost; NaN where memory is
        not known), "fixed" (whether the same work is done at every size), "note".
    """
    rows = []
    for measured in record["parts"].values():
        for one in measured["growths"]:
            for size, seconds, peaks in zip(
                one["rows"], one["seconds"], one["megabytes"], strict=True
            ):
                least = float(np.min(np.asarray(peaks, dtype=float)))
                rows.append((one["task"], size, min(seconds), least, one["fixed"], one["note"]))
    return pd.DataFrame(rows, columns=["task", "rows", "seconds", "megabytes", "fixed", "note"])


def growth_table(record: dict[str, Any]) -> pd.DataFrame:
    """Say with which power of the rows each task's time and memory grow.

    Returns
    -------
    DataFrame
        A row a task, index "task": "rows" (the most), "seconds" and "megabytes" there, then
        "time_power", "time_last", "memory_power", "memory_last": over all sizes, and between the
        two largest; NaN where it is not known. "time_faster", "memory_faster": whether that is
        more than the rows' (`FASTER`), None where it is not known. "note".
    """
    rows = []
    for task, some in growth_points(record).groupby("task", sort=False):
        row = {"task": task, **some.iloc[-1][["rows", "seconds", "megabytes"]]}
        for cost, column in (("time", "seconds"), ("memory", "megabytes")):
            powers = [_power(part["rows"], part[column]) for part in (some, some[-2:])]
            row |= {f"{cost}_power": powers[0], f"{cost}_last": powers[1]}
            row[f"{cost}_faster"] = None if np.isnan(powers).any() else max(powers) > FASTER
        rows.append({**row, "note": some["note"].iloc[-1]})
    columns = ["task", "rows", "seconds", "megabytes"]
    columns += [f"{cost}_{what}" for cost in ("time", "memory") for what in ("power", "last")]
    columns += ["time_faster", "memory_faster", "note"]
    return pd.DataFrame(rows, columns=columns).set_index("task")


def _power(rows: pd.Series, costs: pd.Series) -> float:
    """Return the slope of log(cost) over log(rows); NaN where there is one size, or no cost."""
    from scipy import stats

    if len(rows) < 2 or not (costs > 0).all():
        return float("nan")
    slope = stats.linregress(np.log(rows.astype(float)), np.log(costs)).slope
    return round(float(slope), 12)


def accuracy_by_time(history: pd.DataFrame, *, epoch: float) -> pd.DataFrame:
    """Put each epoch of a run at the second at which it ended, on a machine that does nothing else.

    Parameters
    ----------
    history : DataFrame
        From `records.read_history`: "epoch" and "val_accuracy" (0 … 1), a row an epoch, in order.
    epoch : float
        Seconds that an epoch takes: training faces divided by the rate of the part "recipes".

    Returns
    -------
    DataFrame
        A row an epoch: "seconds" from the start to its end, "val_accuracy", and "best", the
        highest so far.
    """
    accuracy = history["val_accuracy"]
    seconds = epoch * history["epoch"]
    return pd.DataFrame({"seconds": seconds, "val_accuracy": accuracy, "best": accuracy.cummax()})


def draw(results: Path | None = None, folder: Path | None = None) -> list[Path]:
    """Draw ``speed.png`` and ``growth.png`` of each machine's record, and return their paths.

    Parameters
    ----------
    results, folder : path, optional
        Where the records lie and where the figures go; by default ``results/`` and ``figures/``.
    """
    from utils import figures

    results, folder = results or runtime.RESULTS, folder or runtime.FIGURES
    written = []
    for name, record in recorded(results).items():
        where = f"{record['hardware']}, {record['backend']}"
        table = ratios_table(record)
        if len(table):
            figure = figures.speed_ratios(table, title=f"How many times as fast\n{where}")
            written.append(figures.save(figure, name, folder))
        points = growth_points(record)
        if len(points):
            figure = figures.growth_curves(points, title=f"How cost grows with the rows\n{where}")
            written.append(figures.save(figure, name.replace("speed", "growth"), folder))
    return written
