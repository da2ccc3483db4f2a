"""The five networks of the course, each a function, found by name.

Every network takes pixels as a camera gives them (0 … 255, uint8 or float) and prepares them
itself, so that a saved model needs no instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from utils.errors import ModelError

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
    inputs, values = _scaled("cnn3", input_shape, len(filters), dtype, low=0)
    values = _blocks(values, filters, dropout, momentum, dtype)
    outputs = _dense_layers(values, (dense,), dense_dropout, classes, dtype)
    return _model(inputs, outputs, "cnn3")


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
    inputs, values = _scaled("cnn4", input_shape, len(filters), dtype)
    values = _blocks(values, filters, dropout, momentum, dtype)
    outputs = _dense_layers(values, dense, dense_dropout, classes, dtype)
    return _model(inputs, outputs, "cnn4")


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
    inputs, values = _scaled("cnn5", input_shape, len(filters), dtype)
    values = _blocks(values, filters, dropout, momentum, dtype)
    outputs = _dense_layers(values, (dense,), dense_dropout, classes, dtype)
    return _model(inputs, outputs, "cnn5")


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

    _require_sides("vgg16", input_shape, 32)
    if input_shape[2] not in (1, 3):
        raise ModelError(f"vgg16 takes faces of 1 or 3 channels, not {input_shape[2]}")
    base = _vgg16_base(weights)
    inputs = keras.Input(input_shape, name="pixels")
    values = layers.Conv2D(3, 1, trainable=False, dtype="float32", name="imagenet_colours")(inputs)
    for layer in base.layers[1:]:
        values = type(layer).from_config({**layer.get_config(), "dtype": dtype})(values)
    values = layers.Flatten(name="flatten", dtype=dtype)(values)
    outputs = _dense_layers(values, dense, dense_dropout, classes, dtype)
    model = _model(inputs, outputs, "vgg16")
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
    inputs, values = _scaled("resnet", input_shape, len(filters), dtype)
    values = _convolution(values, filters[0], "stem", momentum, dtype)
    values = layers.ReLU(name="stem_relu", dtype=dtype)(values)
    values = layers.MaxPooling2D(name="stem_pooling", dtype=dtype)(values)
    for stage, (count, repeats) in enumerate(zip(filters, blocks, strict=True), start=1):
        for block in range(1, repeats + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"stage_{stage}_block_{block}"
            values = _residual_block(values, count, stride, name, momentum, dtype)
    values = layers.GlobalAveragePooling2D(name="mean", dtype=dtype)(values)
    values = layers.Dropout(dropout, name="dropout", dtype=dtype)(values)
    outputs = layers.Dense(classes, activation="softmax", name="expression", dtype="float32")(
        values
    )
    return _model(inputs, outputs, "resnet")


@dataclass(frozen=True)
class Network:
    """A network that can be asked for by name.

    Attributes
    ----------
    build : callable
        The function above.
    size : int
        Side in pixels of the faces that it is described with.
    source : str
        Whose it is.
    """

    build: Callable
    size: int
    source: str


#: Every network that can be asked for by name.
NETWORKS: dict[str, Network] = {
    "cnn3": Network(cnn3, 48, "a course project: three convolutions, tuned on a validation set"),
    "cnn4": Network(cnn4, 48, "a course project: four convolutions, three dense layers"),
    "cnn5": Network(cnn5, 64, "a course project: faces cropped to 64×64, SMOTE, augmentation"),
    "vgg16": Network(vgg16, 48, "Simonyan & Zisserman 2015, with a head of its own"),
    "resnet": Network(resnet, 48, "He et al. 2016, ResNet-18 with a small stem"),
}


def build(
    name: str,
    input_shape: tuple[int, int, int] | None = None,
    classes: int = 7,
    **settings,
):
    """Build a network by its name.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    input_shape : tuple of int, optional
        Height, width, channels; by default gray faces of the network's own size.
    classes : int
        How many expressions.
    **settings
        The network's own settings, as its function names them.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    ModelError
        When there is no network of that name (the message lists those there are), it has no
        such setting, or cannot be built with it.
    """
    network = find_network(name)
    shape = input_shape or (network.size, network.size, 1)
    try:
        return network.build(shape, classes, **settings)
    except (TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{name} cannot be built so: {error}") from error


def find_network(name: str) -> Network:
    """Return a network's entry in `NETWORKS`, or raise a `ModelError` that lists the names."""
    if name not in NETWORKS:
        raise ModelError(f"no network is called {name!r}; there are: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def layers_table(model) -> pd.DataFrame:
    """List a network's layers with what each costs, computed from the layers themselves.

    Parameters
    ----------
    model : keras.Model
        Any network of convolutions and dense layers.

    Returns
    -------
    pandas.DataFrame
        A row a layer, index "layer"; columns "kind", "output" (shape without the batch),
        "parameters", and "multiply_adds" for one face: those of convolutions and dense layers,
        beside which the others' are nothing.
    """
    rows = [
        {
            "layer": layer.name,
            "kind": type(layer).__name__,
            "output": "×".join(str(side) for side in layer.output.shape[1:]),
            "parameters": layer.count_params(),
            "multiply_adds": _multiply_adds(layer),
        }
        for layer in model.layers
    ]
    return pd.DataFrame(rows).set_index("layer")


def networks_table(classes: int = 7) -> pd.DataFrame:
    """Compare the networks, each built at its own size.

    Parameters
    ----------
    classes : int
        How many expressions.

    Returns
    -------
    pandas.DataFrame
        A row a network, index "network"; columns "input", "convolutions", "dense_layers",
        "parameters", "multiply_adds" (for one face).
    """
    rows = []
    for name in NETWORKS:
        model = build(name, classes=classes)
        layers = layers_table(model)
        rows.append(
            {
                "network": name,
                "input": "×".join(map(str, model.input_shape[1:])),
                # What only prepares the pixels (vgg16's colours) is not counted as a layer.
                "convolutions": sum(
                    layer.trainable and type(layer).__name__ == "Conv2D" for layer in model.layers
                ),
                "dense_layers": int((layers["kind"] == "Dense").sum()),
                "parameters": int(layers["parameters"].sum()),
                "multiply_adds": int(layers["multiply_adds"].sum()),
            }
        )
    return pd.DataFrame(rows).set_index("network")


def base_layers(model) -> list:
    """Return the layers before the first dense one: what transfer learning freezes at first.

    Layers that only prepare pixels and are never trained are left out.
    """
    found = []
    for layer in model.layers:
        if type(layer).__name__ == "Dense":
            break
        if layer.weights and layer.name != "imagenet_colours":
            found.append(layer)
    return found


def freeze_base(model, frozen: bool) -> None:
    """Freeze a network's layers before its first dense one, or let them learn again.

    A frozen batch normalisation uses its running averages and leaves them as they are. Compile
    the model afterwards.
    """
    for layer in base_layers(model):
        layer.trainable = not frozen


def _multiply_adds(layer) -> int:
    """Count one face's multiply-adds in a layer: each weight once a place it is applied to."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A dense layer's kernel is applied once, a convolution's at each pixel of its output.
    places = math.prod(layer.output.shape[1:-1])
    return math.prod(kernel.shape) * places


def _require_sides(name: str, shape: tuple[int, int, int], least: int) -> None:
    """Refuse faces that would be pooled down to nothing."""
    if len(shape) != 3 or min(shape[:2]) < least:
        raise ModelError(
            f"{name} takes faces of (height, width, channels) with sides of {least} pixels or "
            f"more, not {tuple(shape)}"
        )


def _scaled(
    name: str, shape: tuple[int, int, int], poolings: int, dtype: str | None, *, low: int = -1
):
    """Start a network: pixels of 0 … 255 in, values from ``low`` (0 or -1) to 1 out."""
    import keras
    from keras import layers

    _require_sides(name, shape, 2**poolings)
    inputs = keras.Input(shape, name="pixels")
    factor = (1 - low) / 255
    return inputs, layers.Rescaling(factor, offset=low, name="scale", dtype=dtype)(inputs)


def _blocks(values, filters: Sequence[int], dropout: float, momentum: float, dtype: str | None):
    """Add a block for each number of filters, and flatten.

    Convolution, max-pooling, batch normalisation, ReLU, dropout. Pooling comes before
    normalisation and ReLU, where the descriptions have it last: ReLU and (for a positive scale)
    normalisation keep the order of the values, so the maximum is the same one, and everything
    behind it handles a quarter of the pixels. On two cores that trains 1.4 to 2 times as many
    faces a second.
    """
    from keras import layers

    for block, count in enumerate(filters, start=1):
        values = layers.Conv2D(
            count,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"convolution_{block}",
            dtype=dtype,
        )(values)
        values = layers.MaxPooling2D(name=f"pooling_{block}", dtype=dtype)(values)
        values = layers.BatchNormalization(
            momentum=momentum, name=f"normalisation_{block}", dtype=dtype
        )(values)
        values = layers.ReLU(name=f"relu_{block}", dtype=dtype)(values)
        if dropout:
            values = layers.Dropout(dropout, name=f"dropout_{block}", dtype=dtype)(values)
    return layers.Flatten(name="flatten", dtype=dtype)(values)


def _dense_layers(
    values, units: Sequence[int], dropout: float, classes: int, dtype: str | None
) -> object:
    """Add fully connected layers with ReLU, each followed by dropout, and the softmax."""
    from keras import layers

    for index, count in enumerate(units, start=1):
        ending = "" if len(units) == 1 else f"_{index}"
        values = layers.Dense(
            count,
            activation="relu",
            kernel_initializer="he_normal",
            name=f"dense{ending}",
            dtype=dtype,
        )(values)
        if dropout:
            values = layers.Dropout(dropout, name=f"dropout_dense{ending}", dtype=dtype)(values)
    return layers.Dense(classes, activation="softmax", name="expression", dtype="float32")(values)


def _convolution(
    values,
    count: int,
    name: str,
    momentum: float,
    dtype: str | None,
    *,
    kernel: int = 3,
    stride: int = 1,
):
    """Add a convolution without bias and its batch normalisation."""
    from keras import layers

    values = layers.Conv2D(
        count,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
        dtype=dtype,
    )(values)
    return layers.BatchNormalization(momentum=momentum, name=f"{name}_normalisation", dtype=dtype)(
        values
    )


def _residual_block(values, count: int, stride: int, name: str, momentum: float, dtype: str | None):
    """Add two convolutions and their shortcut."""
    from keras import layers

    shortcut = values
    values = _convolution(values, count, f"{name}_1", momentum, dtype, stride=stride)
    values = layers.ReLU(name=f"{name}_1_relu", dtype=dtype)(values)
    values = _convolution(values, count, f"{name}_2", momentum, dtype)
    if stride > 1 or shortcut.shape[-1] != count:
        shortcut = _convolution(
            shortcut, count, f"{name}_shortcut", momentum, dtype, kernel=1, stride=stride
        )
    values = layers.Add(name=f"{name}_sum", dtype=dtype)([values, shortcut])
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(values)


def _vgg16_base(weights: str | None):
    """Get ``keras.applications.VGG16`` without its head, with the weights asked for."""
    import keras

    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise ModelError(f'{weights}: expected "imagenet" or a weights file, and there is none')
    try:
        return keras.applications.VGG16(
            include_top=False, weights=weights, input_shape=(32, 32, 3), name="vgg16_base"
        )
    except Exception as error:  # the download raises a bare Exception, a foreign file anything
        what = "ImageNet's weights" if weights == "imagenet" else str(weights)
        raise ModelError(
            f"vgg16: {what} cannot be loaded: {error}. Without a network, name a file of "
            "keras.applications.VGG16(include_top=False), or take weights=None"
        ) from error


def _model(inputs, outputs, name: str):
    """Make the model of a graph."""
    import keras

    return keras.Model(inputs, outputs, name=name)
