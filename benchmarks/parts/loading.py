"""Loading: pandas' usual lines, this project's reader of the csv, and its cache."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import data, timing
from benchmarks.plan import Plan
from benchmarks.processes import ask_child
from utils import runtime, speed

PANDAS, CSV, CACHE = "pandas, row by row", "this project's csv reader", "this project's cache"


def measure(plan: Plan, step: Callable[[], None] = int) -> list[speed.Timing]:
    """Time the three ways to the same pictures, each in a process of its own.

    Parameters
    ----------
    plan : Plan
        Gives the data, their rows and how often.
    step : callable
        Called after each repetition of each way.

    Returns
    -------
    list of Timing
        One. The file was written just before, so the system still has it in memory: what is timed
        is reading, not the disk. Starting Python is left out. The csv reader checks every pixel,
        which pandas' lines do not; the cache holds what was checked.
    """
    runtime.RUNS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runtime.RUNS, prefix="benchmark-") as folder:
        path = data.write_csv(Path(folder) / "fer2013.csv", plan.data, plan.load_rows)
        asked = {"path": str(path), "cache": folder}

        def way(task: str, name: str) -> timing.Way:
            return lambda: ask_child(task, asked)[name]["seconds"]

        ask_child("load_cache", asked)  # fills it
        seconds = timing.in_turns(
            {
                PANDAS: way("load_pandas", "pandas"),
                CSV: way("load_csv", "csv"),
                CACHE: way("load_cache", "cache"),
            },
            plan.loads,
            warm_up=0,
            step=step,
        )
    return [
        speed.Timing(
            case="loading",
            unit="rows",
            amounts=dict.fromkeys(seconds, plan.load_rows),
            seconds=seconds,
            comparisons=(
                speed.Comparison("cache / csv", CACHE, CSV),
                speed.Comparison("csv / pandas, row by row", CSV, PANDAS),
            ),
            settings={"data": plan.data},
        )
    ]
