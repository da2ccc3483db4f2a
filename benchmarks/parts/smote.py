"""SMOTE at FER2013's size: this project's, and the usual lines with imbalanced-learn."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import timing
from benchmarks.plan import Plan
from benchmarks.processes import ask_child
from utils import speed

OURS, USUAL = "balance.smote", "float64 to imbalanced-learn"


def measure(plan: Plan, step: Callable[[], None] = int) -> list[speed.Timing]:
    """Time both ways to a balanced training split, each in a process of its own.

    Parameters
    ----------
    plan : Plan
        Gives the data, rows, size and how often.
    step : callable
        Called after each repetition of each way.

    Returns
    -------
    list of Timing
        One; the median of each way's peak memory, its input included, is in its settings.
        Both are imbalanced-learn's SMOTE: `balance.smote` hands it float32, which holds every
        value of 0 … 255 exactly, and gives back uint8; the usual lines divide by 255 first, which
        makes float64.
    """
    asked = {"data": plan.data, "rows": plan.smote_rows, "size": plan.size}
    peaks: dict[str, list[float]] = {OURS: [], USUAL: []}

    def way(name: str, task: str, result: str) -> timing.Way:
        def run() -> float:
            found = ask_child(task, asked)[result]
            peaks[name].append(found["megabytes"])
            return found["seconds"]

        return run

    seconds = timing.in_turns(
        {OURS: way(OURS, "smote", "smote"), USUAL: way(USUAL, "smote_usual", "usual")},
        plan.loads,
        warm_up=0,
        step=step,
    )
    return [
        speed.Timing(
            case="SMOTE",
            unit="rows",
            amounts=dict.fromkeys(seconds, plan.smote_rows),
            seconds=seconds,
            comparisons=(speed.Comparison("balance.smote / the usual lines", OURS, USUAL),),
            settings={
                "data": plan.data,
                "size": plan.size,
                "megabytes": {name: speed.spread(some).median for name, some in peaks.items()},
            },
        )
    ]
