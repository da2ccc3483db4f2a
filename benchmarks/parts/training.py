"""Training end to end: ImageDataGenerator given to ``fit``, against faces on the device."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from benchmarks import timing
from benchmarks.plan import Plan
from utils import augment, models, speed
from utils import training as project
from utils.expressions import EXPRESSIONS
from utils.training import optimization, trainer

DEVICE, GENERATOR, WILD = "faces on the device", "ImageDataGenerator", "as found in the wild"
_ONE_HOT = np.eye(len(EXPRESSIONS), dtype=np.float32)


def measure(plan: Plan, step: Callable[[], None] = int) -> list[speed.Timing]:
    """Time training steps of `cnn5` with everything that belongs to them.

    Parameters
    ----------
    plan : Plan
        Gives sizes, steps, precision and repeats.
    step : callable
        Called after each repetition of each way.

    Returns
    -------
    list of Timing
        One, of three ways. "faces on the device" is this project's trainer, the epoch's draws
        included. "ImageDataGenerator" hands float32 faces to ``fit``, with the same network,
        optimizer, loss, precision and batch size. "as found in the wild" is the same with what
        such projects leave as it comes: float32, ``flow``'s batches of 32, ``rescale=1/255``,
        Adam. Start-up, compiling and validation are left out of all three.
    """
    told = project.recipe(
        "cnn5",
        size=plan.size,
        network=dict(plan.network),
        batch_size=plan.batch_size,
        precision=plan.precision,
    )
    ours, theirs = plan.steps * plan.batch_size, plan.generator_steps * plan.batch_size
    wild = plan.generator_steps * plan.wild_batch_size
    rng = np.random.default_rng(0)
    shape = (max(ours, theirs, wild), plan.size, plan.size, 1)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    labels = rng.integers(0, len(EXPRESSIONS), len(images))
    device = trainer_of(told, images[:ours], labels[:ours])
    seconds = timing.in_turns(
        {
            GENERATOR: _ancestors(told, images[:theirs], labels[:theirs], wild=0),
            DEVICE: lambda: epoch_seconds(device, told),
            WILD: _ancestors(told, images[:wild], labels[:wild], wild=plan.wild_batch_size),
        },
        plan.repeats,
        step=step,
    )
    return [
        speed.Timing(
            case="training cnn5",
            unit="faces",
            amounts={GENERATOR: theirs, DEVICE: ours, WILD: wild},
            seconds=seconds,
            comparisons=(
                speed.Comparison("same batch and precision", DEVICE, GENERATOR, aimed=True),
                speed.Comparison("as found in the wild", DEVICE, WILD),
            ),
            settings={
                "size": plan.size,
                "precision": plan.precision,
                "batch_size": {GENERATOR: plan.batch_size, DEVICE: plan.batch_size}
                | {WILD: plan.wild_batch_size},
                "steps": {GENERATOR: plan.generator_steps, DEVICE: plan.steps}
                | {WILD: plan.generator_steps},
            },
        )
    ]


def trainer_of(told: project.Settings, images: np.ndarray, labels: np.ndarray):
    """Put faces on the device beside a new network, compiled as a run compiles it.

    Parameters
    ----------
    told : Settings
        With feed "device".
    images : numpy.ndarray
        (n, size, size, 1) uint8.
    labels : numpy.ndarray
        (n,) int64.

    Returns
    -------
    keras.Model
        From `trainer.face_trainer`; its validation split is the first batch.
    """
    return trainer_beside(network_of(told, images.shape[1:]), told, images, labels)


def network_of(told: project.Settings, shape: tuple[int, int, int]):
    """Build the network that the settings name, for faces of this shape."""
    return models.build(told.model, shape, len(EXPRESSIONS), dtype=told.precision, **told.network)


def trainer_beside(network, told: project.Settings, images: np.ndarray, labels: np.ndarray):
    """Do what `trainer_of` does for a network that is there already."""
    targets, some = _ONE_HOT[labels], slice(told.batch_size)
    weights = np.ones(len(labels), np.float32)
    held_out = images[some], targets[some]
    made = trainer.face_trainer(network, told, images, targets, weights, held_out)
    optimization.compile_trainer(made, told, epochs=1, fine_tuning=False)
    return made


def epoch_seconds(made, told: project.Settings, *, steps: int | None = None) -> float:
    """Train one epoch without validation, and return what it took, its draws included.

    Parameters
    ----------
    made : keras.Model
        From `trainer_of`.
    told : Settings
        The same.
    steps : int, optional
        Fewer steps than the epoch has; then the draws of the epoch before are used again.
    """
    clock = _clock(begin=steps is None)
    made.fit(
        made.training_input(),
        batch_size=told.batch_size,
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[clock],
        verbose=0,
    )
    return clock.seconds


def _ancestors(
    told: project.Settings, images: np.ndarray, labels: np.ndarray, *, wild: int
) -> timing.Way:
    """Make the ancestors' way: with this project's settings, or, with a batch size, in the wild."""
    import keras

    generator = augment.image_data_generator(told.augmentation)
    if wild:
        generator.rescale = 1 / 255
        told = dataclasses.replace(told, precision="float32", batch_size=wild)
    network = network_of(told, images.shape[1:])
    batches = generator.flow(
        images.astype(np.float32),
        _ONE_HOT[labels],
        batch_size=told.batch_size,
        shuffle=True,
        seed=0,
    )
    if wild:
        network.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    else:
        schedule = project.learning_rate_schedule(told, len(batches), epochs=1)
        network.compile(
            optimizer=keras.optimizers.AdamW(schedule, weight_decay=told.weight_decay),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=told.label_smoothing),
            metrics=["accuracy"],
        )

    def way() -> float:
        clock = _clock(begin=False)
        network.fit(batches, callbacks=[clock], verbose=0)
        return clock.seconds

    return way


def _clock(*, begin: bool):
    """Make a callback that times an epoch, from before its draws until its loss is here."""
    import keras

    class Clock(keras.callbacks.Callback):
        seconds = float("nan")

        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()
            if begin:
                self.model.begin(epoch)

        def on_epoch_end(self, epoch, logs=None):
            float(logs["loss"])  # a number by now, so the last step is done
            self.seconds = time.perf_counter() - self.start

    return Clock()
