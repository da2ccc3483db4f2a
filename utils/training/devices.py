"""Several devices and machines: each takes its share of every batch, and learns the same network.

Two engines do it, whichever backend is in use: ``keras.distribution.DataParallel`` under JAX, and
``tf.distribute`` under TensorFlow (`MirroredStrategy` on one machine, `MultiWorkerMirroredStrategy`
on several). Each device holds the network and the faces, gathers its own part of a batch, and the
gradients are summed: as many faces a step as on one device, so the same losses up to the order in
which floats are added. Only dropout differs. Under JAX the devices share one large draw; under
TensorFlow each makes the same draw for its own part.

Batch normalisation takes the mean over the whole batch. Under JAX that comes of itself. Under
TensorFlow each device would take its own part's, so Keras's ``synchronized=True`` is switched on
while the network trains.

Machines are told of each other by their engine's own variables, and each starts the same command:

* JAX: ``KERAS_DISTRIBUTION_JOB_ADDRESSES``, ``_NUM_PROCESSES`` and ``_PROCESS_ID`` of
  ``keras.distribution.initialize``;
* TensorFlow: ``TF_CONFIG``.

One process is the chief (number 0) and alone writes the record; the others read the checkpoints
from the same folder, which all machines must see. When one process dies the engine ends the
others, and the same commands go on from the last whole epoch.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from utils.training.settings import Settings


@dataclass(frozen=True)
class Spread:
    """Over which devices a training is spread; by default it is not.

    Attributes
    ----------
    devices : int
        How many, of all processes together.
    processes : int
        How many processes train together, usually one a machine.
    process : int
        This one's number, from 0.
    engine : str
        "" (one device), "DataParallel", "MirroredStrategy" or "MultiWorkerMirroredStrategy".
    plan : keras.distribution.DataParallel or tf.distribute.Strategy, or None
        The engine's own object.
    """

    devices: int = 1
    processes: int = 1
    process: int = 0
    engine: str = ""
    plan: Any = field(default=None, repr=False, compare=False)

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes the record."""
        return self.process == 0

    @property
    def several_steps_a_call(self) -> bool:
        """Whether the backend can make several steps in one call.

        Keras's loop over steps fails under ``tf.distribute`` ("You must feed a value for
        placeholder tensor"; Keras 3.15, TensorFlow 2.21).
        """
        return self.engine in ("", "DataParallel")

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Build, restore, train and save inside this, in all processes alike."""
        with self.plan.scope() if self.plan is not None else contextlib.nullcontext():
            yield

    def check(self, settings: Settings) -> None:
        """Refuse settings that cannot be spread so.

        Raises
        ------
        ValueError
            When the batch does not divide by the devices, or (TensorFlow) faces are to be mixed
            and a device's part of the batch is odd, or the faces come from elsewhere than the
            devices' memory and the engine cannot hand them over.
        """
        size = settings.batch_size
        if size % self.devices:
            raise ValueError(
                f"a batch of {size} cannot be shared by {self.devices} devices: "
                f"batch_size must divide by {self.devices}"
            )
        mixes = settings.mixup or settings.cutmix
        if mixes and self._in_parts and size % (2 * self.devices):
            raise ValueError(
                f"mixup and cutmix pair the faces of a batch of {size}, and pairs cannot be "
                f"shared by {self.devices} devices: batch_size must divide by {2 * self.devices}"
            )
        if settings.feed != "device" and self._in_parts:
            raise ValueError(
                f"with {self.engine}, feed must be 'device', not {settings.feed!r}: the faces "
                "lie in each device's memory"
            )

    @property
    def _in_parts(self) -> bool:
        """Whether a device sees its own part of a batch only, as ``tf.distribute`` has it."""
        return self.engine.endswith("MirroredStrategy")

    def local(self, batch_size: int) -> int:
        """Return how many faces of a batch `fit` is given in this process."""
        return batch_size // self.processes if self.engine == "DataParallel" else batch_size

    def filled(self, count: int) -> int:
        """Return ``count`` rounded up until it divides by the devices."""
        return -(-count // self.devices) * self.devices

    def places(self, count: int, batch_size: int) -> np.ndarray:
        """List the places that this process hands to `fit`, in the order that it takes them.

        Parameters
        ----------
        count : int
            How many places there are, all processes together; divides by the devices.
        batch_size : int
            Of all devices together; divides by the devices.

        Returns
        -------
        numpy.ndarray
            (m,) int32. Under JAX each process brings its own part of each batch; TensorFlow takes
            all of it everywhere, and picks. There each device's part holds faces together with
            their partners in mixing (place i of a batch of n with place n - 1 - i), the partners
            in reverse, so that a device pairs its part as one device pairs the batch.
        """
        batches = [
            np.arange(start, min(start + batch_size, count), dtype=np.int32)
            for start in range(0, count, batch_size)
        ]
        if self.engine == "DataParallel":
            batches = [np.split(batch, self.processes)[self.process] for batch in batches]
        elif self._in_parts:
            batches = [_paired(batch, self.devices) for batch in batches]
        return np.concatenate(batches)

    def synchronize(self, network, on: bool) -> None:
        """Let batch normalisation take its mean over all devices, where it would not by itself."""
        if not self._in_parts:
            return
        for layer in network.layers:
            if hasattr(layer, "synchronized"):
                layer.synchronized = on

    def wait(self, name: str) -> None:
        """Go on when all processes have come here.

        Parameters
        ----------
        name : str
            The same in all of them.
        """
        if self.processes == 1:
            return
        if self.engine == "DataParallel":
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(name)
            return
        import tensorflow

        with self.plan.scope():
            ones = self.plan.run(lambda: tensorflow.ones(()))
            self.plan.reduce(tensorflow.distribute.ReduceOp.SUM, ones, axis=None).numpy()

    def fitted(self, trainer: type) -> type:
        """Return the class of a trainer, made to fit the engine; see `_across_workers`."""
        return _across_workers(trainer) if self.engine.startswith("MultiWorker") else trainer


def spread(count: int | str | None = None) -> Spread:
    """Choose the devices, and join the other processes where the variables name any.

    Call it before anything is computed: an engine's processes find each other at its start.

    Parameters
    ----------
    count : int, "all" or None
        How many devices of this machine. None takes one, or, where the variables describe several
        processes, all devices of all of them; there a number must be that of all.

    Returns
    -------
    Spread

    Raises
    ------
    ValueError
        When there are fewer devices than asked for, the backend is PyTorch and more than one is
        asked for, or ``TF_CONFIG`` cannot be read.
    """
    import keras

    if count not in (None, "all") and int(count) < 1:
        raise ValueError(f"a training takes 1 device or more, not {count}")
    backend = keras.backend.backend()
    if backend == "jax":
        return _data_parallel(count)
    if backend == "tensorflow":
        return _mirrored(count)
    if count not in (None, 1):
        raise ValueError(f"several devices need TensorFlow or JAX; the backend is {backend}")
    return Spread()


def number_or_all(text: str) -> int | str:
    """Read a command line's number of devices.

    >>> number_or_all("2"), number_or_all("all")
    (2, 'all')
    """
    return text if text == "all" else int(text)


def _chosen(count: int | str | None, there: list[str], processes: int) -> list[str]:
    """Take the first ``count`` of the devices that there are."""
    if processes > 1:
        if count not in (None, "all", len(there)):
            raise ValueError(
                f"{processes} processes train on all of their {len(there)} devices, not on {count}"
            )
        return there
    wanted = len(there) if count == "all" else int(count or 1)
    if wanted > len(there):
        raise ValueError(f"asked for {wanted} devices; there are {len(there)}: {', '.join(there)}")
    return there[:wanted]


def _data_parallel(count: int | str | None) -> Spread:
    """Spread over JAX's devices."""
    import jax
    import keras

    if _jax_processes() > 1 and not jax.distributed.is_initialized():
        keras.distribution.initialize()
    processes = jax.process_count()
    chosen = _chosen(count, keras.distribution.list_devices(), processes)
    if len(chosen) == 1:
        return Spread()
    # Each process brings its own part of a batch already: nothing is left to be shared out.
    plan = keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)
    return Spread(len(chosen), processes, jax.process_index(), "DataParallel", plan)


def _jax_processes() -> int:
    """Read how many processes ``keras.distribution.initialize`` will find."""
    number = os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES")
    addresses = os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES", "")
    return int(number) if number else len(addresses.split(","))


def _mirrored(count: int | str | None) -> Spread:
    """Spread over TensorFlow's devices."""
    import tensorflow

    processes = _tensorflow_processes()
    if processes > 1:
        plan = _multi_worker_strategy()
        there = [f"device {number}" for number in range(plan.num_replicas_in_sync)]
        _chosen(count, there, processes)
        resolver = plan.cluster_resolver
        chiefs = len(resolver.cluster_spec().as_dict().get("chief", []))
        first = 0 if resolver.task_type == "chief" else chiefs
        process = first + resolver.task_id
        return Spread(len(there), processes, process, "MultiWorkerMirroredStrategy", plan)
    there = [device.name for device in tensorflow.config.list_logical_devices("GPU")]
    there = there or [device.name for device in tensorflow.config.list_logical_devices("CPU")]
    chosen = _chosen(count, there, 1)
    if len(chosen) == 1:
        return Spread()
    plan = tensorflow.distribute.MirroredStrategy(chosen)
    return Spread(len(chosen), 1, 0, "MirroredStrategy", plan)


def _tensorflow_processes() -> int:
    """Read how many workers ``TF_CONFIG`` names, chief included."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        cluster = dict(json.loads(text).get("cluster", {}))
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"TF_CONFIG is no description of a cluster: {text}") from error
    return sum(len(cluster.get(job, [])) for job in ("chief", "worker")) or 1


@functools.cache
def _multi_worker_strategy():
    """Join the cluster that ``TF_CONFIG`` describes, once a process."""
    import tensorflow

    return tensorflow.distribute.MultiWorkerMirroredStrategy()


def _paired(batch: np.ndarray, devices: int) -> np.ndarray:
    """Order a batch so that each device's part, reversed, pairs as the reversed batch does.

    >>> _paired(np.arange(8), 2).tolist()
    [0, 1, 6, 7, 2, 3, 4, 5]
    """
    part = len(batch) // devices
    if part % 2:  # nothing to pair evenly: validation, or a training that mixes nothing
        return batch
    front = batch[: len(batch) // 2].reshape(devices, part // 2)
    back = batch[::-1][: len(batch) // 2].reshape(devices, part // 2)[:, ::-1]
    return np.concatenate([front, back], axis=1).ravel()


def _across_workers(trainer: type) -> type:
    """Make a trainer fit `MultiWorkerMirroredStrategy` as Keras 3.15 has it.

    Keras reduces a step's results along their first axis, and scalars have none; it cannot reduce
    a dictionary of inputs; and TensorFlow's collectives send no uint8, so the faces are held as
    float16, which is exact up to 2048. (keras-team/keras, issue 20585.)
    """
    import keras

    def with_an_axis(results: dict) -> dict:
        return {name: keras.ops.reshape(value, (1,)) for name, value in results.items()}

    class AcrossWorkers(trainer):
        def _keep(self, name, values):
            return super()._keep(name, _sendable(values))

        def call(self, inputs, training=False):
            inputs = inputs if isinstance(inputs, dict) else {"place": inputs}
            return super().call(inputs, training=training)

        def train_step(self, data):
            return with_an_axis(super().train_step(data))

        def test_step(self, data):
            return with_an_axis(super().test_step(data))

        def training_input(self):
            return super().training_input()["place"]

        def validation_input(self):
            return super().validation_input()["place"]

    return AcrossWorkers


def _sendable(values: np.ndarray) -> np.ndarray:
    """Return values in a type that TensorFlow's collectives send."""
    return values.astype(np.float16) if values.dtype == np.uint8 else values
