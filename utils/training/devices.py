"""Several devices: ``tf.distribute`` or ``keras.distribution`` around the same `model.fit`.

Each device takes its share of every batch, and gradients are summed: as many faces a step as on
one device, so the same losses up to the order in which floats are added and to what is random.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Devices:
    """The devices that share a training; by default one.

    Attributes
    ----------
    count : int
        How many.
    engine : str
        "" (one device), "DataParallel" (JAX) or "MirroredStrategy" (TensorFlow).
    plan : keras.distribution.DataParallel or tf.distribute.Strategy, or None
        The engine's own object.
    """

    count: int = 1
    engine: str = ""
    plan: Any = None

    def scope(self) -> contextlib.AbstractContextManager:
        """Build, restore, train and save inside this."""
        return self.plan.scope() if self.plan is not None else contextlib.nullcontext()

    def synchronize(self, network, on: bool) -> None:
        """Let batch normalization take its mean over all devices, where it would not by itself."""
        if self.engine == "MirroredStrategy":
            for layer in network.layers:
                if hasattr(layer, "synchronized"):
                    layer.synchronized = on


def choose(count: int | str = 1) -> Devices:
    """Choose the devices of a training.

    Parameters
    ----------
    count : int or "all"
        How many devices of this machine.

    Raises
    ------
    ValueError
        When there are fewer devices than asked for, or the backend knows one only.
    """
    import keras

    if count != "all" and int(count) < 1:
        raise ValueError(f"devices: expected 1 or more, or all, not {count}")
    if count == 1:
        return Devices()
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(f"several devices need TensorFlow or JAX; the backend is {backend}")
    there = keras.distribution.list_devices()
    there = [name for name in there if not name.startswith("cpu")] or there
    wanted = len(there) if count == "all" else int(count)
    if wanted > len(there):
        raise ValueError(f"asked for {wanted} devices; there are {len(there)}: {', '.join(there)}")
    chosen = there[:wanted]
    if len(chosen) == 1:
        return Devices()
    if backend == "jax":
        plan = keras.distribution.DataParallel(devices=chosen)
        return Devices(len(chosen), "DataParallel", plan)
    import tensorflow

    plan = tensorflow.distribute.MirroredStrategy([name.upper() for name in chosen])
    return Devices(len(chosen), "MirroredStrategy", plan)
