"""How time and memory grow with the rows, each size in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import data
from benchmarks.plan import FER2013_ROWS, FER2013_TRAINING, Plan
from benchmarks.processes import ask_child, available_megabytes
from utils import runtime, speed
from utils.runtime import DataError

#: Training steps that follow the set-up: as many whatever the rows.
STEPS = 16
#: Side of the faces: FER2013's own, or eight times its rows would not fit into 16 GB.
SIZE = 48


@dataclass
class _Series:
    """What has been measured of one task so far."""

    rows: list[int] = field(default_factory=list)
    seconds: list[tuple[float, ...]] = field(default_factory=list)
    megabytes: list[tuple[float, ...]] = field(default_factory=list)
    note: str = ""


def measure(plan: Plan, step: Callable[[], None] = int) -> list[speed.Growth]:
    """Measure each task at each size, smallest first.

    Parameters
    ----------
    plan : Plan
        Gives the data, sizes and how often.
    step : callable
        Called after each size of each task.

    Returns
    -------
    list of Growth
        Loading csv and cache, SMOTE, an epoch's draws, putting faces on the device, a fixed number
        of training steps from there, and evaluation with the search for copies. An epoch is draws
        and steps. What new memory costs by itself stands beside it: writing once to each page of
        as much as putting the faces on the device takes on a processor. A size that would take
        more memory than there is, or whose process is killed, is left out, larger ones too, and
        the note says so.
    """
    runtime.RUNS.mkdir(parents=True, exist_ok=True)
    found: dict[str, _Series] = {}
    for rows in plan.growth_rows:
        with tempfile.TemporaryDirectory(dir=runtime.RUNS, prefix="benchmark-") as folder:
            for task, asked, names in _tasks(plan, rows, Path(folder)):
                _measure(plan, task, asked, names, rows, found)
                step()
    return [
        speed.Growth(
            task=name,
            rows=tuple(series.rows),
            seconds=tuple(series.seconds),
            megabytes=tuple(series.megabytes),
            fixed=name.endswith("training steps"),
            note=series.note,
        )
        for name, series in found.items()
    ]


def sizes(plan: Plan) -> int:
    """Return how often `growth` calls its `step`."""
    return len(plan.growth_rows) * 7


def _tasks(plan: Plan, rows: int, folder: Path):
    """Yield (task, what it is told, {what it measures: what that is called}) at one size."""
    path = data.write_csv(folder / "fer2013.csv", plan.data, rows)
    training = round(rows * FER2013_TRAINING / FER2013_ROWS)
    yield "load_csv", {"path": str(path)}, {"csv": "loading the csv"}
    yield (
        "load_cache",
        {"path": str(path), "cache": str(folder)},
        {"cache": "loading from the cache"},
    )
    yield "smote", {"data": plan.data, "rows": training, "size": SIZE}, {"smote": "SMOTE"}
    yield "draws", {"rows": training}, {"draws": "an epoch's draws"}
    yield (
        "feeding",
        {
            "rows": training,
            "steps": STEPS,
            "batch_size": plan.batch_size,
            "precision": plan.precision,
        },
        {"set-up": "putting faces on the device", "steps": f"{STEPS} training steps"},
    )
    # Twice the faces: TensorFlow copies an array before it makes a tensor of it.
    new = 2 * training * SIZE * SIZE
    yield "memory", {"bytes": new}, {"memory": "touching as much new memory"}
    yield "evaluation", {"data": plan.data, "rows": rows}, {"evaluation": "evaluation"}


def _measure(
    plan: Plan,
    task: str,
    asked: dict[str, str | int],
    names: dict[str, str],
    rows: int,
    found: dict[str, _Series],
) -> None:
    """Measure one task at one size, and add it to what has been found."""
    series = {result: found.setdefault(name, _Series()) for result, name in names.items()}
    if any(one.note for one in series.values()):
        return
    lacking = _lacks_memory(list(series.values()), rows)
    answers = []
    try:
        if lacking:
            raise DataError(lacking)
        if task == "load_cache":
            ask_child(task, asked)  # fills it
        while len(answers) < plan.growth_repeats:
            answers.append(ask_child(task, asked))
            if max(one["seconds"] for one in answers[-1].values()) > plan.growth_seconds:
                break
    except DataError as error:
        if not all(one.rows for one in series.values()):
            raise  # not even the smallest size: that is no matter of memory
        if not answers:
            for one in series.values():
                one.note = f"from {rows:,} rows on not measured: {error}"
            return
    for result, one in series.items():
        one.rows.append(rows)
        one.seconds.append(tuple(answer[result]["seconds"] for answer in answers))
        one.megabytes.append(tuple(answer[result]["megabytes"] for answer in answers))


def _lacks_memory(series: list[_Series], rows: int) -> str:
    """Say what memory is lacking, going by the size before; "" where there is enough."""
    free = available_megabytes()
    for one in series:
        if one.rows:
            needed = max(one.megabytes[-1]) * rows / one.rows[-1]
            if needed > 0.9 * free:
                return f"about {needed / 1000:.1f} GB needed, {free / 1000:.1f} GB free"
    return ""
