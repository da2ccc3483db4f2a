"""How much of the machine a training step uses: its operations against a large matrix product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import timing
from benchmarks.parts.training import epoch_seconds, trainer_of
from benchmarks.plan import Plan
from utils import models, speed
from utils import training as project
from utils.expressions import EXPRESSIONS
from utils.training import optimization

STEP, PRODUCT = "training step", "matrix product"
#: The networks that the aim is about: large ones. `cnn5` is small.
AIMED = ("resnet", "vgg16")
#: A multiply-add is two operations; a step goes forwards, and backwards for the gradients of the
#: weights and of the inputs: three times the forward pass.
OPERATIONS_A_MULTIPLY_ADD = 3 * 2


def measure(plan: Plan, step: Callable[[], None] = int) -> list[speed.Timing]:
    """Time training steps and matrix products in the same precision, in turns.

    Parameters
    ----------
    plan : Plan
        Gives networks, operations, precision, batch size and the products' size.
    step : callable
        Called after each repetition of each way.

    Returns
    -------
    list of Timing
        One a network. Counted are the multiply-adds of convolutions and dense layers, as
        `models.networks_table` does, times `OPERATIONS_A_MULTIPLY_ADD`; everything else that a
        step does (augmentation, batch normalisation, pooling, dropout, the optimizer) is in its
        time and not in its count, so the share is the useful one. The peak is what a chain of
        square matrix products reaches here, through the same backend, not the maker's figure.
    """
    return [_of(name, plan, step) for name in plan.arithmetic]


def _of(name: str, plan: Plan, step: Callable[[], None]) -> speed.Timing:
    told = project.recipe(name, batch_size=plan.batch_size, precision=plan.precision)
    if name == "cnn5":
        told = project.recipe(
            name,
            batch_size=plan.batch_size,
            precision=plan.precision,
            size=plan.size,
            network=dict(plan.network),
        )
    shape = (told.size, told.size, 1)
    counted = models.build(name, shape, len(EXPRESSIONS), **told.network)
    multiply_adds = int(models.layers_table(counted)["multiply_adds"].sum())
    a_step = OPERATIONS_A_MULTIPLY_ADD * multiply_adds * plan.batch_size
    steps = max(2, round(plan.operations / a_step))
    if steps > optimization.STEPS_A_CALL:
        # Whole calls: a shorter one at the end would be compiled apart.
        steps -= steps % optimization.STEPS_A_CALL
    steps = min(steps, plan.most_steps)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (steps * plan.batch_size, *shape), dtype=np.uint8)
    labels = rng.integers(0, len(EXPRESSIONS), len(images))
    made = trainer_of(told, images, labels)
    seconds = timing.in_turns(
        {STEP: lambda: epoch_seconds(made, told), PRODUCT: timing.clocked(_product(plan))},
        plan.repeats,
        step=step,
    )
    return speed.Timing(
        case=name,
        unit="floating-point operations",
        amounts={STEP: a_step * steps, PRODUCT: 2 * plan.product**3 * plan.products},
        seconds=seconds,
        comparisons=(
            speed.Comparison("share of a matrix product's", STEP, PRODUCT, aimed=name in AIMED),
        ),
        settings={
            "size": told.size,
            "precision": plan.precision,
            "batch_size": plan.batch_size,
            "steps": steps,
            "multiply_adds": multiply_adds,
            "product": plan.product,
            "products": plan.products,
        },
    )


def _product(plan: Plan) -> Callable[[], None]:
    import keras

    kind = "bfloat16" if plan.precision == "mixed_bfloat16" else "float32"
    rng = np.random.default_rng(0)
    side = plan.product
    # Rows of the second matrix of length one: a chain of products neither grows nor fades away.
    left, right = rng.normal(size=(2, side, side)) / np.sqrt([[[1]], [[side]]])
    left, right = (keras.ops.cast(one.astype(np.float32), kind) for one in (left, right))

    @timing.compiled
    def chain(left, right):
        for _ in range(plan.products):
            left = keras.ops.matmul(left, right)
        return left, keras.ops.cast(left[0, 0], "float32")

    return lambda: timing.read_back([chain(left, right)[1]])
