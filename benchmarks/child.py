"""One task in a process of its own: ``python -m benchmarks.child TASK SETTINGS`` prints JSON.

What a process has held in memory cannot be told apart by what it did; so each task has its own.
"""

from __future__ import annotations

import gc
import json
import mmap
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks import data, processes
from utils import runtime
from utils.runtime import DataError

Found = dict[str, dict[str, float]]


def measure(work: Callable[[], object], base: float) -> dict[str, float]:
    """Do a piece of work; return its seconds, and the most memory held above `base` meanwhile."""
    gc.collect()
    processes.reset_peak()
    start = time.perf_counter()
    kept = work()
    seconds = time.perf_counter() - start
    peak = processes.peak_megabytes()
    del kept
    return {"seconds": seconds, "megabytes": max(peak - base, 0.0)}


def load_csv(settings: Mapping) -> Found:
    """Read a csv: path."""
    from utils.datasets import fer2013

    base = processes.memory_megabytes()
    return {"csv": measure(lambda: fer2013.read_csv(settings["path"]), base)}


def load_cache(settings: Mapping) -> Found:
    """Read the same from the cache, which the first call fills: path, cache."""
    from utils import datasets

    runtime.CACHE = Path(settings["cache"])  # not the user's: these files are thrown away
    base = processes.memory_megabytes()
    return {"cache": measure(lambda: datasets.load("fer2013", settings["path"]), base)}


def load_pandas(settings: Mapping) -> Found:
    """Read a csv as most notebooks on FER2013 do, with pandas, a row at a time: path."""
    import pandas as pd

    base = processes.memory_megabytes()

    def usual_lines() -> np.ndarray:
        table = pd.read_csv(settings["path"])
        rows = [np.array(row.split(" "), dtype="float32") for row in table["pixels"]]
        return np.array(rows).reshape(-1, 48, 48, 1)

    return {"pandas": measure(usual_lines, base)}


def smote(settings: Mapping) -> Found:
    """Balance training rows: data, rows, size."""
    from imblearn.over_sampling import SMOTE  # noqa: F401  imported before the clock starts

    from utils import balance

    base = processes.memory_megabytes()
    training = _training(settings)
    return {"smote": measure(lambda: balance.smote(training), base)}


def smote_usual(settings: Mapping) -> Found:
    """Balance them with the usual lines: float64 of 0 … 1, straight to imbalanced-learn."""
    from imblearn.over_sampling import SMOTE

    base = processes.memory_megabytes()
    training = _training(settings)

    def usual_lines() -> object:
        flat = training.images.reshape(len(training), -1) / 255.0
        return SMOTE(random_state=0).fit_resample(flat, training.labels)

    return {"usual": measure(usual_lines, base)}


def draws(settings: Mapping) -> Found:
    """Draw an epoch: rows."""
    from utils import training

    base = processes.memory_megabytes()
    told = training.recipe("cnn5", size=48)
    rows = int(settings["rows"])
    return {"draws": measure(lambda: training.epoch_draws(told, rows, 0), base)}


def feeding(settings: Mapping) -> Found:
    """Put faces on the device, train some steps: rows, steps, batch_size, precision."""
    runtime.setup()
    from benchmarks.parts.training import epoch_seconds, network_of, trainer_beside
    from utils import training

    told = training.recipe(
        "cnn5",
        size=48,
        batch_size=int(settings["batch_size"]),
        precision=str(settings["precision"]),
    )
    base = processes.memory_megabytes()
    rng = np.random.default_rng(0)
    rows = int(settings["rows"])
    images = rng.integers(0, 256, (rows, told.size, told.size, 1), dtype=np.uint8)
    labels = rng.integers(0, 7, rows)
    network = network_of(told, images.shape[1:])
    made = []
    set_up = measure(lambda: made.append(trainer_beside(network, told, images, labels)), base)
    epoch_seconds(made[0], told, steps=int(settings["steps"]))  # compiles
    steps = measure(lambda: epoch_seconds(made[0], told, steps=int(settings["steps"])), base)
    return {"set-up": set_up, "steps": steps}


def memory(settings: Mapping) -> Found:
    """Write to each page of new memory once, and do nothing else: bytes.

    Private pages, as an allocator takes them for a large array.
    """
    base = processes.memory_megabytes()

    def touch() -> mmap.mmap:
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        pages = mmap.mmap(-1, int(settings["bytes"]), flags=private)
        np.frombuffer(pages, np.uint8)[:: mmap.PAGESIZE] = 1
        return pages

    return {"memory": measure(touch, base)}


def evaluation(settings: Mapping) -> Found:
    """Evaluate recorded probabilities, and find the copies of training pictures: data, rows."""
    from sklearn import metrics  # noqa: F401  imported before the clock starts

    from utils import datasets, records
    from utils import evaluation as evaluating

    base = processes.memory_megabytes()
    dataset = data.many_faces(settings["data"], int(settings["rows"]))
    labels = dataset.labels[dataset.split == "test"]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), len(labels))

    def evaluate() -> object:
        predictions = records.Predictions(
            probabilities=probabilities.astype(np.float32),
            labels=labels,
            rows=np.arange(len(labels)),
            copies=datasets.copies_in_training(dataset)[dataset.split == "test"],
        )
        return (
            evaluating.summary(predictions),
            evaluating.report(predictions),
            evaluating.confusion(predictions),
            evaluating.reliability_table(predictions),
        )

    return {"evaluation": measure(evaluate, base)}


def _training(settings: Mapping):
    rows, size = int(settings["rows"]), int(settings["size"])
    return data.many_faces(settings["data"], rows, split="training", size=size)


TASKS: dict[str, Callable[[Mapping], Found]] = {
    "load_csv": load_csv,
    "load_cache": load_cache,
    "load_pandas": load_pandas,
    "smote": smote,
    "smote_usual": smote_usual,
    "draws": draws,
    "feeding": feeding,
    "memory": memory,
    "evaluation": evaluation,
}


def main(task: str, settings: str) -> int:
    """Do a task and print what it took; return the exit code."""
    try:
        print(json.dumps(TASKS[task](json.loads(settings))))
    except (DataError, ImportError) as error:
        print(f"{task}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
