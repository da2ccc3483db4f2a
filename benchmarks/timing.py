"""Taking turns, and waiting until a result is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from utils.runtime import DataError

#: Seconds of one repetition, which it has done when it returns.
Way = Callable[[], float]


def in_turns(
    ways: Mapping[str, Way], repeats: int, *, warm_up: int = 1, step: Callable[[], None] = int
) -> dict[str, tuple[float, ...]]:
    """Let several ways take turns, A B A B, so that a busy machine hurts all of them alike.

    Parameters
    ----------
    ways : mapping of str to callable
        Each does its work once, to its end, and returns the seconds that count.
    repeats : int
        Turns that are counted, at least one.
    warm_up : int
        Turns before those: compiling, and the first touch of memory.
    step : callable
        Called after every single way, for a progress bar.

    Returns
    -------
    dict of str to tuple of float
        For each way the seconds of its repetitions, in order.
    """
    if repeats < 1:
        raise ValueError(f"repeats: expected 1 or more, not {repeats}")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-warm_up, repeats):
        for name, way in ways.items():
            spent = way()
            if turn >= 0:
                seconds[name].append(spent)
            step()
    return {name: tuple(values) for name, values in seconds.items()}


def clocked(work: Callable[[], object]) -> Way:
    """Time a piece of work that reads its own result back, from its beginning to its end."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def compiled(function: Callable) -> Callable:
    """Compile a function of tensors with what the backend compiles with.

    Raises
    ------
    DataError
        On a backend that this project does not compile for.
    """
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow

        return tensorflow.function(function, autograph=False)
    raise DataError(f"backend {backend}: speed is measured on tensorflow and jax")


def read_back(values: Sequence) -> float:
    """Wait for scalars on the device, and return their sum: when it is here, they are done."""
    return float(sum(float(np.asarray(value)) for value in values))


def load_average() -> list[float]:
    """Return the load average of the last 1, 5 and 15 minutes; empty where there is none."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []
