"""Augmentation alone: ImageDataGenerator's batches against one compiled warp a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import timing
from benchmarks.plan import Plan
from utils import augment, speed, training

GENERATOR, WARP = "ImageDataGenerator.flow", "compiled warp"


def measure(plan: Plan, step: Callable[[], None] = int) -> list[speed.Timing]:
    """Time both ways over shuffled faces, each to float32 batches of moved faces.

    Parameters
    ----------
    plan : Plan
        Gives faces, their size, batch size and repeats.
    step : callable
        Called after each repetition of each way.

    Returns
    -------
    list of Timing
        One. The generator's batches are NumPy's; the warp's lie on the device, where the network
        wants them. The warp's draws, made by NumPy for all of a pass, are in its time.
    """
    moves = training.recipe("cnn5").augmentation
    shape = (max(plan.faces, plan.generator_faces), plan.size, plan.size, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seconds = timing.in_turns(
        {
            GENERATOR: timing.clocked(_generator(images[: plan.generator_faces], moves, plan)),
            WARP: timing.clocked(_warp(images[: plan.faces], moves, plan)),
        },
        plan.repeats,
        step=step,
    )
    compared = speed.Comparison("compiled warp / ImageDataGenerator", WARP, GENERATOR, aimed=True)
    return [
        speed.Timing(
            case="augmentation alone",
            unit="faces",
            amounts={GENERATOR: plan.generator_faces, WARP: plan.faces},
            seconds=seconds,
            comparisons=(compared,),
            settings={"size": plan.size, "batch_size": plan.batch_size},
        )
    ]


def _generator(images: np.ndarray, moves: augment.Augmentation, plan: Plan) -> Callable[[], None]:
    generator = augment.image_data_generator(moves)
    pixels = images.astype(np.float32)
    batches = generator.flow(pixels, batch_size=plan.batch_size, shuffle=True, seed=0)

    def work() -> None:
        for index in range(len(batches)):
            batches[index]

    return work


def _warp(images: np.ndarray, moves: augment.Augmentation, plan: Plan) -> Callable[[], None]:
    import keras

    faces = keras.ops.convert_to_tensor(images)
    rng = np.random.default_rng(0)
    count, batch = len(images), plan.batch_size

    @timing.compiled
    def moved(faces, places, rows):
        warped = augment.warp(keras.ops.take(faces, places, axis=0), rows)
        # The whole batch is given back, and one pixel to wait for.
        return warped, warped[0, 0, 0, 0]

    def work() -> None:
        order = rng.permutation(count).astype(np.int32)
        drawn = augment.draw(moves, count, images.shape[1:3], rng)
        rows = augment.affine_rows(drawn, images.shape[1:3])
        pixels = [
            moved(faces, order[first : first + batch], rows[first : first + batch])[1]
            for first in range(0, count, batch)
        ]
        timing.read_back(pixels)

    return work
