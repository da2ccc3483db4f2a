"""Several devices: ``tf.distribute`` or ``keras.distribution`` around the same `model.fit`.

Each device takes its share of every batch, and gradients are summed: as many faces per step as on
one device, so the same losses up to the order in which floats are added and, with
MirroredStrategy, up to randomness.

Several machines are several processes that run one program in lockstep, each with the devices of
its machine. Start the same command on every machine; environment variables tell it which one it
is::

    export KERAS_BACKEND=jax KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:9911
    KERAS_DISTRIBUTION_NUM_PROCESSES=2 KERAS_DISTRIBUTION_PROCESS_ID=0 python train.py ...
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from utils.runtime import ModelError

MACHINES = ("KERAS_DISTRIBUTION_JOB_ADDRESSES", "KERAS_DISTRIBUTION_NUM_PROCESSES")


@dataclass(frozen=True)
class Devices:
    """The devices that share a training run; by default one.

    Attributes
    ----------
    count : int
        How many, across all machines.
    engine : str
        "" (one device), "DataParallel" (JAX) or "MirroredStrategy" (TensorFlow).
    plan : keras.distribution.DataParallel or tf.distribute.Strategy, or None
        The engine's own object.
    process, processes : int
        Which of the machines this is, counted from 0, and how many there are.
    """

    count: int = 1
    engine: str = ""
    plan: Any = None
    process: int = 0
    processes: int = 1

    def scope(self) -> contextlib.AbstractContextManager:
        """Build, restore, train and save inside this."""
        return self.plan.scope() if self.plan is not None else contextlib.nullcontext()

    def synchronize(self, network, on: bool) -> None:
        """Make batch normalization average over all devices where it would not by itself."""
        if self.engine == "MirroredStrategy":
            for layer in network.layers:
                if hasattr(layer, "synchronized"):
                    layer.synchronized = on

    def agree(self, what: str) -> None:
        """Refuse to continue unless all machines agree on ``what``; each waits here for the others.

        Raises
        ------
        ModelError
            On every machine, when one has a different command, data, or record.
        """
        if self.processes == 1:
            return
        from jax.experimental import multihost_utils

        digest = hashlib.sha256(what.encode()).digest()
        try:
            multihost_utils.assert_equal(np.frombuffer(digest, np.uint8))
        except AssertionError as error:
            raise ModelError(
                "the machines disagree about the run: expected the same command, data and results "
                f"folder on all; machine {self.process} of {self.processes} has {what}"
            ) from error


def choose(count: int | str = 1) -> Devices:
    """Choose the devices for a training run.

    Parameters
    ----------
    count : int or "all"
        How many of this machine's devices. Several machines each contribute all of theirs.

    Raises
    ------
    ValueError
        When there are fewer devices than asked for, or the backend supports only one, or it
        cannot train on several machines.
    """
    import keras

    if count != "all" and not (str(count).isdecimal() and int(count)):
        raise ValueError(f"devices: expected 1 or more, or all, not {count}")
    backend = keras.backend.backend()
    told = any(name in os.environ for name in MACHINES)
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    except json.JSONDecodeError as error:
        raise ValueError(f"TF_CONFIG: expected JSON: {error}") from error
    if told or sum(map(len, cluster.values())) > 1:
        return _machines(count, backend, told)
    if str(count) == "1":
        return Devices()
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


def _machines(count: int | str, backend: str, told: bool) -> Devices:
    """Join the other machines that the environment names; wait until all are up."""
    import keras

    if backend != "jax":
        raise ValueError(
            "several machines need JAX: Keras 3 cannot fit a model with TensorFlow's "
            "MultiWorkerMirroredStrategy (keras-team/keras issue 20585). Set KERAS_BACKEND=jax"
        )
    if not told:
        raise ValueError(f"JAX does not read TF_CONFIG: set {', '.join(MACHINES)} instead")
    if str(count) not in ("1", "all"):
        raise ValueError(f"several machines each contribute all their devices, not {count}")
    import jax

    if not jax.distributed.is_initialized():
        keras.distribution.initialize()
    # Every process makes its own part of each batch: Keras can only shard a `tf.data.Dataset`.
    plan = keras.distribution.DataParallel(auto_shard_dataset=False)
    part = jax.process_index(), jax.process_count()
    return Devices(jax.device_count(), "DataParallel", plan, *part)
