"""Networks that initialize another one (transfer learning) or teach it (distillation)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from utils import datasets, models
from utils.runtime import ModelError
from utils.training.settings import Settings


def take_over(model, starts: Sequence[models.Classifier], expressions: tuple[str, ...]) -> None:
    """Copy a trained network's weights into one of the same architecture, layer by layer.

    Of several, it copies the mean: a uniform "model soup" (Wortsman et al. 2022, §2), nearly as
    good as the mean of their predictions if all started as the same network. The last layer is
    left as is unless all have the same expressions.
    """
    one_list = len({tuple(expressions), *(start.expressions for start in starts)}) == 1
    for layer in model.layers:
        if layer.count_params() and (one_list or layer is not model.layers[-1]):
            weights = [_weights_for(layer, start, model.name) for start in starts]
            layer.set_weights([np.mean(same, axis=0) for same in zip(*weights, strict=True)])


def _weights_for(layer, start: models.Classifier, network: str) -> list[np.ndarray]:
    """Read the weights of a layer's namesake in a trained network."""
    there = {one.name: one for one in start.model.layers}
    expected = [tuple(weight.shape) for weight in layer.weights]
    found = there[layer.name].get_weights() if layer.name in there else []
    if [weight.shape for weight in found] != expected:
        raise ModelError(
            f"a {start.model.name} cannot initialize this {network}: layer {layer.name} takes "
            f"weights of shapes {expected}, found "
            f"{[weight.shape for weight in found] or 'none'}"
        )
    return found


def teachers(
    dataset: datasets.FaceDataset, settings: Settings, results: Path
) -> list[models.Classifier]:
    """Load the networks that teach, and check that they can be run on the same faces.

    Parameters
    ----------
    dataset : FaceDataset
        The faces and expressions to be learned.
    settings : Settings
        Names the teachers.
    results : path
        Where to look for runs before ``results/``.

    Raises
    ------
    ModelError
        When there is no such network, or it takes another number of channels or has other
        expressions. It may take another size of faces: they are resized for it.
    """
    channels = dataset.images.shape[-1]
    loaded = [models.load(models.find(name, results)) for name in settings.teachers]
    for name, classifier in zip(settings.teachers, loaded, strict=True):
        if classifier.input_shape[-1] != channels:
            raise ModelError(
                f"{name} takes faces of {classifier.input_shape[-1]} channels, so it cannot teach "
                f"a network that takes {channels}"
            )
        if classifier.expressions != tuple(dataset.expressions):
            raise ModelError(
                f"{name} predicts {', '.join(classifier.expressions)}, so it cannot teach a "
                f"network that predicts {', '.join(dataset.expressions)}"
            )
    return loaded


def mean_answer(teachers: Sequence[models.Classifier], precision: str) -> Callable | None:
    """Make a function from faces to the teachers' mean prediction; None if there are no teachers.

    Their weights stay inside the function, where Keras neither trains nor saves them.

    Parameters
    ----------
    teachers : sequence of Classifier
        As `teachers` loads them.
    precision : {"float32", "mixed_bfloat16"}
        What they compute in.
    """
    import keras

    if not teachers:
        return None
    networks = [models.with_dtype(one.model, precision) for one in teachers]

    def teach(augmented):
        answers = []
        for network in networks:
            faces = augmented
            if faces.shape[1:3] != network.input_shape[1:3]:
                faces = keras.ops.image.resize(faces, network.input_shape[1:3])
            answers.append(keras.ops.cast(network(faces, training=False), "float32"))
        return sum(answers) / len(answers)

    return teach
