"""A network's answers: the usual two lines for one face, ``predict``, and a compiled call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import latency, timing
from benchmarks.plan import Plan
from utils import models, speed
from utils import training as project

USUAL, PREDICT, COMPILED = "the usual two lines", "predict", "compiled call"


def measure(plan: Plan, step: Callable[[], None] = int) -> list[speed.Timing]:
    """Time `cnn5`'s answers in float32, as a released network gives them.

    Parameters
    ----------
    plan : Plan
        Gives the network, calls, batches and repeats.
    step : callable
        Called after each repetition of each way.

    Returns
    -------
    list of Timing
        One face a call; then batches, where the usual two lines (``np.expand_dims`` and
        ``model.predict``) are asked face by face, as they are written. Their progress bar, a
        line a face, is switched off. A network's time does not depend on its weights.
    """
    size = plan.size or project.recipe("cnn5").size
    model = models.build("cnn5", (size, size, 1), **plan.network)
    answer = latency.compiled(model)
    largest = max((plan.one_face_calls, *plan.batches))
    faces = np.random.default_rng(0).integers(0, 256, (largest, *model.input_shape[1:]))
    faces = faces.astype(np.float32)

    def usual(count: int) -> Callable[[], None]:
        def work() -> None:
            for face in faces[:count]:
                batch = np.expand_dims(face, axis=0)
                model.predict(batch, verbose=0)

        return work

    def singly() -> None:
        for face in faces[: plan.one_face_calls]:
            answer(face[None])

    timings = [
        _timing(
            "inference, one face",
            {USUAL: usual(plan.one_face_calls), COMPILED: singly},
            dict.fromkeys((USUAL, COMPILED), plan.one_face_calls),
            (speed.Comparison("compiled call / two lines", COMPILED, USUAL, aimed=True),),
            plan,
            step,
        )
    ]
    for batch in plan.batches:
        some = faces[:batch]
        alone = min(batch, plan.one_face_calls)
        timings.append(
            _timing(
                f"inference, {batch} faces",
                {
                    USUAL: usual(alone),
                    PREDICT: lambda some=some: model.predict(some, batch_size=len(some), verbose=0),
                    COMPILED: lambda some=some: answer(some),
                },
                {USUAL: alone, PREDICT: batch, COMPILED: batch},
                (
                    speed.Comparison("predict / two lines", PREDICT, USUAL),
                    speed.Comparison("compiled call / two lines", COMPILED, USUAL),
                ),
                plan,
                step,
            )
        )
    return timings


def _timing(
    case: str,
    works: dict[str, Callable[[], object]],
    amounts: dict[str, int],
    comparisons: tuple[speed.Comparison, ...],
    plan: Plan,
    step: Callable[[], None],
) -> speed.Timing:
    """Let the ways of one case take turns."""
    ways = {name: timing.clocked(work) for name, work in works.items()}
    return speed.Timing(
        case=case,
        unit="faces",
        amounts=amounts,
        seconds=timing.in_turns(ways, plan.repeats, step=step),
        comparisons=comparisons,
        settings={"network": "cnn5", "size": plan.size, "precision": "float32"},
    )
