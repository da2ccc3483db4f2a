"""The five networks of the course, each a function, as its project described it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.models.layers import (
    blocks_of,
    convolution,
    dense_layers,
    model_of,
    require_sides,
    residual_block,
    scaled,
    vgg16_base,
)
from utils.runtime import ModelError

#: ImageNet's mean colour, blue, green, red, which VGG16's weights expect to be subtracted
#: (``keras.applications.vgg16.preprocess_input``).
IMAGENET_MEAN = (103.939, 116.779, 123.68)


def cnn3(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128),
    dropout: float = 0.0,
    dense: int = 256,
    dense_dropout: float = 0.0,
    momentum: float = 0.99,
    dtype: str | None = None,
):
    """Build the three-convolution network.

    Three blocks of convolution, max-pooling and batch normalisation, one fully connected layer,
    softmax. Its description gives no number of filters (they were searched for, see notebook 08)
    and no dropout; both can be set.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least 8.
    classes : int
        How many expressions.
    filters : sequence of int
        Filters of the three convolutions.
    dropout, dense_dropout : float
        Share dropped behind each convolution, and behind the fully connected layer, 0 … 1.
    dense : int
        Units of the fully connected layer.
    momentum : float
        Of batch normalisation's running averages; see `cnn5`.
    dtype : str, optional
        Keras dtype policy, as "mixed_bfloat16"; the softmax stays in float32.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out.

    Raises
    ------
    ModelError
        When the faces are too small for the poolings.
    """
    inputs, values = scaled("cnn3", input_shape, len(filters), dtype, low=0)
    values = blocks_of(values, filters, dropout, momentum, dtype)
    outputs = dense_layers(values, (dense,), dense_dropout, classes, dtype)
    return model_of(inputs, outputs, "cnn3")


def cnn4(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128, 256),
    dropout: float = 0.0,
    dense: Sequence[int] = (512, 256, 128),
    dense_dropout: float = 0.0,
    momentum: float = 0.99,
    dtype: str | None = None,
):
    """Build the four-convolution network.

    Four blocks of convolution, batch normalisation, ReLU and max-pooling, then three fully
    connected layers with ReLU, and softmax. Pixels are normalised with mean 0.5 and deviation
    0.5 of the 0 … 1 range: x/127.5 - 1. Its description gives no numbers of filters or units,
    and no dropout.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least 16.
    classes, filters, dropout, dense_dropout, momentum, dtype
        As in `cnn3`.
    dense : sequence of int
        Units of the three fully connected layers.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out.

    Raises
    ------
    ModelError
        When the faces are too small for the poolings.
    """
    inputs, values = scaled("cnn4", input_shape, len(filters), dtype)
    values = blocks_of(values, filters, dropout, momentum, dtype)
    outputs = dense_layers(values, dense, dense_dropout, classes, dtype)
    return model_of(inputs, outputs, "cnn4")


def cnn5(
    input_shape: tuple[int, int, int] = (64, 64, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128, 256, 512),
    dropout: float = 0.2,
    dense: int = 1024,
    dense_dropout: float = 0.5,
    momentum: float = 0.99,
    dtype: str | None = None,
):
    """Build the five-convolution network, the course's own.

    Five blocks of convolution, batch normalisation, max-pooling and dropout, then one dense
    layer of 1,024 units and softmax.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least 32.
    classes : int
        How many expressions.
    filters : sequence of int
        Filters of the five convolutions.
    dropout : float
        Share dropped behind each convolution, 0 … 1.
    dense : int
        Units of the dense layer.
    dense_dropout : float
        Share dropped behind it.
    momentum : float
        Of batch normalisation's running averages, which look back over about
        1 / (1 - momentum) steps: a run of few steps needs a lower one.
    dtype : str, optional
        Keras dtype policy, as "mixed_bfloat16"; the softmax stays in float32.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out.

    Raises
    ------
    ModelError
        When the faces are too small for the poolings.
    """
    inputs, values = scaled("cnn5", input_shape, len(filters), dtype)
    values = blocks_of(values, filters, dropout, momentum, dtype)
    outputs = dense_layers(values, (dense,), dense_dropout, classes, dtype)
    return model_of(inputs, outputs, "cnn5")


def vgg16(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    *,
    weights: str | None = None,
    dense: Sequence[int] = (512,),
    dense_dropout: float = 0.5,
    dtype: str | None = None,
):
    """Build VGG16 with a fully connected head of our own (Simonyan & Zisserman 2015).

    Thirteen convolutions in five blocks, without batch normalisation, as
    ``keras.applications.VGG16`` has them. A gray face is repeated in three channels, a colour one
    turned from RGB to BGR, and ImageNet's mean subtracted, as the pre-trained weights expect.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels (1 or 3); both sides at least 32.
    classes : int
        How many expressions.
    weights : "imagenet", path of a weights file, or None
        What the convolutions start from: ImageNet's weights, which Keras downloads once; a file
        of ``keras.applications.VGG16(include_top=False)``; or random numbers.
    dense : sequence of int
        Units of the head's fully connected layers.
    dense_dropout : float
        Share dropped behind each of them, 0 … 1.
    dtype : str, optional
        Keras dtype policy, as "mixed_bfloat16"; the softmax stays in float32.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out.

    Raises
    ------
    ModelError
        When the faces are too small or have neither 1 nor 3 channels, or when the weights cannot
        be had.
    """
    import keras
    from keras import layers

    require_sides("vgg16", input_shape, 32)
    if input_shape[2] not in (1, 3):
        raise ModelError(f"vgg16 takes faces of 1 or 3 channels, not {input_shape[2]}")
    base = vgg16_base(weights)
    inputs = keras.Input(input_shape, name="pixels")
    values = layers.Conv2D(3, 1, trainable=False, dtype="float32", name="imagenet_colours")(inputs)
    for layer in base.layers[1:]:
        values = type(layer).from_config({**layer.get_config(), "dtype": dtype})(values)
    values = layers.Flatten(name="flatten", dtype=dtype)(values)
    outputs = dense_layers(values, dense, dense_dropout, classes, dtype)
    model = model_of(inputs, outputs, "vgg16")
    kernel = np.ones((1, 3)) if input_shape[2] == 1 else np.eye(3)[::-1]
    model.get_layer("imagenet_colours").set_weights(
        [kernel.reshape(1, 1, -1, 3), -np.array(IMAGENET_MEAN)]
    )
    for layer in base.layers[1:]:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def resnet(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (2, 2, 2, 2),
    dropout: float = 0.0,
    momentum: float = 0.99,
    dtype: str | None = None,
):
    """Build a residual network: by default ResNet-18 (He et al. 2016, table 1).

    Its stem is a 3×3 convolution and a 2×2 max-pooling, in place of 7×7 with stride 2 and
    pooling: a face of 48 pixels has none to give away. Where a block changes size or width, its
    shortcut is a 1×1 convolution (the paper's option B).

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least 16.
    classes : int
        How many expressions.
    filters : sequence of int
        Filters of each stage; each stage but the first halves the sides.
    blocks : sequence of int
        Blocks of two convolutions in each stage, as many stages as in `filters`.
    dropout : float
        Share dropped before the softmax, 0 … 1.
    momentum, dtype
        As in `cnn5`.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out.

    Raises
    ------
    ModelError
        When the faces are too small, or `filters` and `blocks` differ in length.
    """
    from keras import layers

    if len(filters) != len(blocks):
        raise ModelError(f"resnet has {len(filters)} widths and {len(blocks)} stages of blocks")
    inputs, values = scaled("resnet", input_shape, len(filters), dtype)
    values = convolution(values, filters[0], "stem", momentum, dtype)
    values = layers.ReLU(name="stem_relu", dtype=dtype)(values)
    values = layers.MaxPooling2D(name="stem_pooling", dtype=dtype)(values)
    for stage, (count, repeats) in enumerate(zip(filters, blocks, strict=True), start=1):
        for block in range(1, repeats + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"stage_{stage}_block_{block}"
            values = residual_block(values, count, stride, name, momentum, dtype)
    values = layers.GlobalAveragePooling2D(name="mean", dtype=dtype)(values)
    values = layers.Dropout(dropout, name="dropout", dtype=dtype)(values)
    outputs = dense_layers(values, (), 0.0, classes, dtype)
    return model_of(inputs, outputs, "resnet")
