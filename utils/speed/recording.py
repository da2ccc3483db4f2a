"""What ``python -m benchmarks --record`` leaves in ``results/benchmarks/``, and its tables."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import runtime
from utils.runtime import DataError
from utils.speed.timings import (
    AIMS,
    Comparison,
    Growth,
    Timing,
    grows_faster,
    growth_exponent,
    last_exponent,
    rates,
    ratio,
    spread,
)

#: Below ``results/``.
FOLDER = "benchmarks"


@dataclass(frozen=True)
class Measurement:
    """What one part of the benchmarks found, and when and under what it was measured.

    Attributes
    ----------
    timings : tuple of Timing
        Ways that took turns.
    growths : tuple of Growth
        Tasks at several sizes.
    about : dict
        "measured" (when), "seconds" (in all), "load" (the load average before and after), "data",
        "command", "note", "versions", "commit".
    """

    timings: tuple[Timing, ...] = ()
    growths: tuple[Growth, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SpeedRecord:
    """The benchmarks of one machine.

    Attributes
    ----------
    hardware : str
        As `records.hardware` says it.
    backend : str
        Keras's.
    accelerator : bool
        Whether the machine has one; the aims differ.
    parts : dict of str to Measurement
        By the part's name.
    """

    hardware: str
    backend: str
    accelerator: bool
    parts: Mapping[str, Measurement] = field(default_factory=dict)

    def with_parts(self, parts: Mapping[str, Measurement]) -> SpeedRecord:
        """Return the record with these parts in place of earlier ones of their names."""
        return dataclasses.replace(self, parts={**self.parts, **parts})


def record_path(name: str = "", results: Path | None = None) -> Path:
    """Say where a record lies: ``speed.json``, or ``speed-NAME.json`` of another machine.

    Raises
    ------
    DataError
        When the name holds anything but letters, digits, points and hyphens.
    """
    if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
        raise DataError(f"record {name!r}: expected letters, digits, points and hyphens")
    file = f"speed-{name}.json" if name else "speed.json"
    return (results or runtime.RESULTS) / FOLDER / file


def recorded(results: Path | None = None) -> dict[str, SpeedRecord]:
    """Read every record, by its file's name without ending: "speed", "speed-h100"."""
    folder = (results or runtime.RESULTS) / FOLDER
    return {path.stem: read(path) for path in sorted(folder.glob("speed*.json"))}


def write(path: Path, record: SpeedRecord) -> None:
    """Write a record, whole; parts that the file has and the record has not are kept.

    Raises
    ------
    DataError
        When the file is of another machine or another backend, or is damaged.
    """
    if path.is_file():
        before = read(path)
        for what in ("hardware", "backend"):
            old, new = getattr(before, what), getattr(record, what)
            if old != new:
                raise DataError(
                    f"{path.name}: was measured with {what} {old!r}, and this is {new!r}: give the "
                    "record another name"
                )
        record = before.with_parts(record.parts)
    runtime.write_json(path, _plain(dataclasses.asdict(record)))


def read(path: Path) -> SpeedRecord:
    """Read a record back.

    Raises
    ------
    DataError
        When there is none, or it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = {name: _measurement(part) for name, part in content["parts"].items()}
        return SpeedRecord(
            hardware=str(content["hardware"]),
            backend=str(content["backend"]),
            accelerator=bool(content["accelerator"]),
            parts=parts,
        )
    except FileNotFoundError as error:
        raise DataError(
            f"{path.name}: no such record; python -m benchmarks --record makes it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path.name}: cannot be read: {type(error).__name__}: {error}; expected what "
            "python -m benchmarks --record writes"
        ) from error


def _measurement(part: Mapping[str, Any]) -> Measurement:
    timings = [
        Timing(
            **{
                **one,
                "seconds": {way: tuple(values) for way, values in one["seconds"].items()},
                "comparisons": tuple(Comparison(**pair) for pair in one["comparisons"]),
            }
        )
        for one in part["timings"]
    ]
    growths = [
        Growth(
            **{
                **one,
                "rows": tuple(one["rows"]),
                "seconds": tuple(map(tuple, one["seconds"])),
                "megabytes": tuple(tuple(map(_number, peaks)) for peaks in one["megabytes"]),
            }
        )
        for one in part["growths"]
    ]
    return Measurement(tuple(timings), tuple(growths), dict(part["about"]))


def _number(value: float | None) -> float:
    """Read a number; what is not known is null in JSON."""
    return float("nan") if value is None else float(value)


def _plain(value: Any) -> Any:
    """Turn into what JSON knows: times to the microsecond, null for what is not known."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(f"{value:.7g}")
    if isinstance(value, np.integer):
        return int(value)
    return value


def ratios_table(record: SpeedRecord) -> pd.DataFrame:
    """List every comparison of a record.

    Parameters
    ----------
    record : SpeedRecord

    Returns
    -------
    DataFrame
        A row a comparison: "part", "case", "comparison", "low", "median", "high" (of the ratios of
        neighbouring repetitions), "repeats", "aim" (NaN where there is none).
    """
    kind = "accelerator" if record.accelerator else "processor"
    rows = []
    for part, measurement in record.parts.items():
        aim = AIMS.get(part, {}).get(kind, float("nan"))
        for timing in measurement.timings:
            for one in timing.comparisons:
                found = ratio(timing, one)
                rows.append(
                    {
                        "part": part,
                        "case": timing.case,
                        "comparison": one.name,
                        **dataclasses.asdict(found),
                        "repeats": len(timing.seconds[one.fast]),
                        "aim": aim if one.aimed else float("nan"),
                    }
                )
    columns = ["part", "case", "comparison", "low", "median", "high", "repeats", "aim"]
    return pd.DataFrame(rows, columns=columns)


def rates_table(record: SpeedRecord) -> pd.DataFrame:
    """List how much every way of a record does in a second.

    Returns
    -------
    DataFrame
        A row a way: "part", "case", "way", "unit", "low", "median", "high" (units a second).
    """
    rows = [
        {
            "part": part,
            "case": timing.case,
            "way": way,
            "unit": timing.unit,
            **dataclasses.asdict(spread(rates(timing, way))),
        }
        for part, measurement in record.parts.items()
        for timing in measurement.timings
        for way in timing.seconds
    ]
    return pd.DataFrame(rows, columns=["part", "case", "way", "unit", "low", "median", "high"])


def growth_points(record: SpeedRecord) -> pd.DataFrame:
    """List what each task took at each size.

    Returns
    -------
    DataFrame
        A row a task and size: "task", "rows", "seconds", "megabytes" (the least of the
        repetitions), "fixed" (whether the same work is done at every size).
    """
    rows = [
        {
            "task": growth.task,
            "rows": size,
            "seconds": min(seconds),
            "megabytes": min(megabytes),
            "fixed": growth.fixed,
        }
        for measurement in record.parts.values()
        for growth in measurement.growths
        for size, seconds, megabytes in zip(
            growth.rows, growth.seconds, growth.megabytes, strict=True
        )
    ]
    return pd.DataFrame(rows, columns=["task", "rows", "seconds", "megabytes", "fixed"])


def growth_table(record: SpeedRecord) -> pd.DataFrame:
    """Say with which power of the rows each task's time and memory grow.

    Returns
    -------
    DataFrame
        A row a task, index "task": "rows" (the most), "seconds" and "megabytes" there, then
        "time_power", "time_last", "memory_power", "memory_last": over all sizes, and between the
        two largest; NaN where it is not known. "time_faster", "memory_faster": whether that is
        more than the rows', None where it is not known. "note".

    Notes
    -----
    The least of the repetitions counts: other work on the machine can only add to a time. Of a
    task with a fixed number of steps, a power of 0 means that its time does not depend on the rows.
    """
    rows = []
    for measurement in record.parts.values():
        for growth in measurement.growths:
            row: dict[str, Any] = {"task": growth.task, "rows": growth.rows[-1]}
            for name, cost, values in (
                ("seconds", "time", growth.seconds),
                ("megabytes", "memory", growth.megabytes),
            ):
                least = [min(some) for some in values]
                several = len(least) > 1
                row[name] = least[-1]
                row[f"{cost}_power"] = (
                    growth_exponent(growth.rows, least) if several else float("nan")
                )
                row[f"{cost}_last"] = last_exponent(growth.rows, least) if several else float("nan")
                row[f"{cost}_faster"] = grows_faster(growth.rows, least)
            rows.append({**row, "note": growth.note})
    columns = ["task", "rows", "seconds", "megabytes"]
    columns += [f"{cost}_{what}" for cost in ("time", "memory") for what in ("power", "last")]
    columns += ["time_faster", "memory_faster", "note"]
    return pd.DataFrame(rows, columns=columns).set_index("task")
