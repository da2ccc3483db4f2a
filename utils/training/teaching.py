"""Networks that teach another: a face's target is, in part, what they say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from utils import models, runtime
from utils.runtime import ModelError


def teachers(
    names: Sequence[str], shape: tuple[int, int, int], expressions: Sequence[str]
) -> list[models.Classifier]:
    """Load the networks that teach, and check that they can be asked about the same faces.

    Parameters
    ----------
    names : sequence of str
        As `models.find` takes them.
    shape : tuple of int
        Height, width and channels of the training faces.
    expressions : sequence of str
        What the taught network is to name, in order.

    Returns
    -------
    list of Classifier
        In the order of the names.

    Raises
    ------
    ModelError
        When there is no such network, or it takes other faces or names other expressions.
    """
    found = []
    for name in names:
        classifier = models.load(models.find(name))
        if classifier.input_shape != tuple(shape):
            raise ModelError(
                f"{name} takes faces of {_by(classifier.input_shape)}, and cannot teach a network "
                f"that takes {_by(shape)}: the size of the faces must be the same (--size)"
            )
        if classifier.expressions != tuple(expressions):
            raise ModelError(
                f"{name} names {', '.join(classifier.expressions)}, and cannot teach a network "
                f"that names {', '.join(expressions)}"
            )
        found.append(classifier)
    return found


def named_by_content(names: Sequence[str]) -> dict[str, Any]:
    """Name networks by their files' SHA-256, for a record: a file may change later.

    >>> named_by_content([])
    {}
    """
    if not names:
        return {}
    return {"teachers_sha256": [runtime.sha256(models.find(name)) for name in names]}


def answers(classifiers: Sequence[models.Classifier], precision: str, keep):
    """Make a function from faces to the teachers' mean answer, for a compiled step.

    Parameters
    ----------
    classifiers : sequence of Classifier
        At least one.
    precision : {"float32", "mixed_bfloat16"}
        What they compute in.
    keep : callable
        Called with a name and an array; puts it on the device as a variable that nothing trains
        or saves. The teachers' weights are not part of what the taught network's checkpoint
        holds.

    Returns
    -------
    callable
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) float32 out. Dropout is
        off and batch normalisation uses its running averages.
    """
    import keras

    networks, weights = [], []
    for number, classifier in enumerate(classifiers):
        network = models.with_dtype(classifier.model, precision)
        variables = [*network.trainable_variables, *network.non_trainable_variables]
        kept = [
            keep(f"teacher_{number}_{place}", keras.ops.convert_to_numpy(variable))
            for place, variable in enumerate(variables)
        ]
        split = len(network.trainable_variables)
        networks.append(network)
        weights.append((kept[:split], kept[split:]))

    def mean_answer(faces):
        given = []
        for network, (trained, others) in zip(networks, weights, strict=True):
            values = [[variable.value for variable in part] for part in (trained, others)]
            answer, _ = network.stateless_call(*values, faces, training=False)
            given.append(keras.ops.cast(answer, "float32"))
        return sum(given) / len(given)

    return mean_answer


def _by(shape: Sequence[int]) -> str:
    """Write a shape.

    >>> _by((48, 48, 1))
    '48×48×1'
    """
    return "×".join(map(str, shape))
