"""The networks, each a function: the five of the course's ancestors, then one of our own.

All take ``input_shape`` (height, width, channels) and ``classes`` first, then settings of their
own, and return a float32 `keras.Model` from pixels of 0 … 255 to probabilities. Each raises
`ModelError` when the faces are too small for its pooling, or have neither 1 nor 3 channels.
``momentum`` is that of batch normalization's running averages, which look back over about
1 / (1 - momentum) steps: a run of few steps needs a lower value. Layer names are part of saved
networks and of committed records.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils import sample
from utils.models.registry import network
from utils.runtime import ModelError

Shape = tuple[int, int, int]

#: ImageNet's mean color (blue, green, red), which VGG16's weights expect to be subtracted
#: (``keras.applications.vgg16.preprocess_input``).
IMAGENET_MEAN = (103.939, 116.779, 123.68)

#: Rendered sample faces on which batch normalization starts as the identity.
CALIBRATION_FACES = 100


@network(size=48)
def cnn3(
    input_shape: Shape = (48, 48, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128),
    dropout: float = 0.0,
    dense: int = 256,
    dense_dropout: float = 0.0,
    momentum: float = 0.99,
):
    """Build the three-convolution network: max-pooling, batch normalization, one dense layer.

    Its description gives no numbers of filters (they were found by a search, see notebook 10) and
    no dropout; both can be set.

    Parameters
    ----------
    filters : sequence of int
        Filters of the convolutions, one block each.
    dropout, dense_dropout : float
        Dropout rate after each convolution, and after the dense layer, 0 … 1.
    dense : int
        Units of the dense layer.
    """
    inputs, values = _pixels("cnn3", input_shape, 2 ** len(filters), low=0)
    values = _blocks(values, filters, dropout, momentum)
    return with_head("cnn3", inputs, values, (dense,), dense_dropout, classes)


@network(size=48)
def cnn4(
    input_shape: Shape = (48, 48, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128, 256),
    dropout: float = 0.0,
    dense: Sequence[int] = (512, 256, 128),
    dense_dropout: float = 0.0,
    momentum: float = 0.99,
):
    """Build the four-convolution network, with three dense layers.

    Pixels are normalized with mean 0.5 and deviation 0.5 on a 0 … 1 scale: x/127.5 - 1. Its
    description gives no numbers of filters or units, and no dropout. Parameters as in `cnn3`;
    ``dense`` lists the units of each dense layer.
    """
    inputs, values = _pixels("cnn4", input_shape, 2 ** len(filters))
    values = _blocks(values, filters, dropout, momentum)
    return with_head("cnn4", inputs, values, dense, dense_dropout, classes)


@network(size=64, recipe={"balance": "smote"})
def cnn5(
    input_shape: Shape = (64, 64, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128, 256, 512),
    dropout: float = 0.2,
    dense: int = 1024,
    dense_dropout: float = 0.5,
    momentum: float = 0.99,
):
    """Build the five-convolution network, the course's own; parameters as in `cnn3`.

    Five blocks of convolution, max-pooling, batch normalization and dropout, then one dense layer
    of 1,024 units and softmax. Notebook 01 writes it out layer by layer.
    """
    inputs, values = _pixels("cnn5", input_shape, 2 ** len(filters))
    values = _blocks(values, filters, dropout, momentum)
    return with_head("cnn5", inputs, values, (dense,), dense_dropout, classes)


@network(
    size=48,
    # Thirteen convolutions without batch normalization do not learn at 0.001.
    recipe={"learning_rate": 2e-4},
)
def vgg16(
    input_shape: Shape = (48, 48, 1),
    classes: int = 7,
    *,
    weights: str | None = None,
    dense: Sequence[int] = (512,),
    dense_dropout: float = 0.5,
):
    """Build VGG16 with a head of our own (Simonyan & Zisserman 2015, table 1, column D).

    The thirteen convolutions of ``keras.applications.VGG16``. A gray face is repeated in three
    channels, a color one converted from RGB to BGR, and ImageNet's mean subtracted, as the
    pretrained weights expect.

    Parameters
    ----------
    weights : "imagenet", path of a weights file, or None
        What the convolutions start from: ImageNet's weights, which Keras downloads once; a file
        of ``keras.applications.VGG16(include_top=False)``; or random numbers.
    dense : sequence of int
        Units of the head's dense layers.
    dense_dropout : float
        Dropout rate after each of them, 0 … 1.
    """
    import keras
    from keras import layers

    require_shape("vgg16", input_shape, 32)
    base = keras.applications.VGG16(
        include_top=False, weights=weights, input_shape=(32, 32, 3), name="vgg16_base"
    )
    inputs = keras.Input(input_shape, name="pixels")
    values = layers.Conv2D(3, 1, trainable=False, name="imagenet_colours")(inputs)
    for layer in base.layers[1:]:
        values = type(layer).from_config(layer.get_config())(values)
    values = layers.Flatten(name="flatten")(values)
    model = with_head("vgg16", inputs, values, dense, dense_dropout, classes)
    set_colors(model)
    for layer in base.layers[1:]:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def set_colors(model) -> None:
    """Set the layer ``imagenet_colours`` to turn pixels into BGR minus ImageNet's mean color.

    A gray face is repeated in three channels; a color one is converted from RGB to BGR.
    """
    layer = model.get_layer("imagenet_colours")
    kernel = np.ones((1, 3)) if layer.kernel.shape[2] == 1 else np.eye(3)[::-1]
    layer.set_weights([kernel.reshape(1, 1, -1, 3), -np.array(IMAGENET_MEAN)])


def begin_as_identity(model) -> None:
    """Make each batch normalization, in order from the input, only add its current ``beta``.

    In training, too, for `CALIBRATION_FACES` rendered sample faces: their mean and variance become
    its moving averages, and its new ``gamma`` and ``beta`` undo them.
    """
    import keras

    height, width, channels = model.input_shape[1:]
    faces = keras.ops.convert_to_tensor(sample.render_rows(CALIBRATION_FACES).images, "float32")
    faces = keras.ops.image.resize(faces[..., None], (height, width))
    faces = keras.ops.repeat(faces, channels, axis=-1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            before = keras.Model(model.input, layer.input)(faces)
            mean, variance = keras.ops.moments(before, axes=(0, 1, 2))
            scale = keras.ops.sqrt(variance + layer.epsilon)
            layer.set_weights([scale, mean + layer.beta, mean, variance])


@network(size=48)
def resnet(
    input_shape: Shape = (48, 48, 1),
    classes: int = 7,
    *,
    stem: int | None = None,
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (2, 2, 2, 2),
    dropout: float = 0.0,
    momentum: float = 0.99,
):
    """Build a residual network: by default ResNet-18 (He et al. 2016, table 1).

    Its stem is a 3×3 convolution and a 2×2 max-pooling, in place of 7×7 with stride 2 and
    pooling: a face of 48 pixels has none to spare. Where a block changes size or width, its
    shortcut is a 1×1 convolution (the paper's option B).

    Parameters
    ----------
    stem : int, optional
        Filters of the stem; by default those of the first stage.
    filters, blocks : sequence of int
        Filters, and blocks of two convolutions, of each stage; each but the first halves the sides.
    dropout : float
        Dropout rate before the softmax, 0 … 1.
    """
    return _residual("resnet", input_shape, classes, stem, filters, blocks, dropout, momentum)


@network(
    size=48,
    # Put together from what has been reported to work on FER2013.
    recipe={
        "rotation": 10.0,
        "zoom": 0.2,
        "shift": 0.2,
        "erasing": 0.5,
        "mixup": 0.2,
        "epochs": 40,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "warmup_epochs": 2.0,
        "weight_decay": 5e-4,
        "ema_momentum": 0.999,
        "test_time_augmentation": 10,
        "precision": "mixed_bfloat16",
    },
)
def resnet8(
    input_shape: Shape = (48, 48, 1),
    classes: int = 7,
    *,
    stem: int | None = 32,
    filters: Sequence[int] = (64, 128, 256),
    blocks: Sequence[int] = (1, 1, 1),
    dropout: float = 0.2,
    momentum: float = 0.9,
):
    """Build a small residual network, 1.2 million parameters; parameters as in `resnet`.

    What costs time on a CPU is pixels times channels: hence few channels at 48×48, and pooling
    right after the first convolution.
    """
    return _residual("resnet8", input_shape, classes, stem, filters, blocks, dropout, momentum)


def require_shape(name: str, shape: Shape, least: int) -> None:
    """Raise a ModelError when faces would be pooled to nothing, or are neither gray nor RGB."""
    if len(shape) != 3 or min(shape[:2]) < least or shape[2] not in (1, 3):
        raise ModelError(
            f"{name} takes faces of (height, width, channels) with sides of {least} pixels or more "
            f"and 1 or 3 channels, not {tuple(shape)}"
        )


def _pixels(name: str, shape: Shape, least: int, *, low: int = -1):
    """Start a network: pixels of 0 … 255 in, values from ``low`` (0 or -1) to 1 out."""
    import keras

    require_shape(name, shape, least)
    inputs = keras.Input(shape, name="pixels")
    return inputs, keras.layers.Rescaling((1 - low) / 255, offset=low, name="scale")(inputs)


def with_head(name: str, inputs, values, units: Sequence[int], dropout: float, classes: int):
    """Return a keras.Model that ends in dense layers with these ``units``, if any, and a softmax.

    Each dense layer has ReLU, and dropout (0 … 1) after it.
    """
    import keras
    from keras import layers

    for index, count in enumerate(units, start=1):
        ending = "" if len(units) == 1 else f"_{index}"
        values = layers.Dense(
            count, activation="relu", kernel_initializer="he_normal", name=f"dense{ending}"
        )(values)
        if dropout:
            values = layers.Dropout(dropout, name=f"dropout_dense{ending}")(values)
    outputs = layers.Dense(classes, activation="softmax", name="expression")(values)
    return keras.Model(inputs, outputs, name=name)


def _blocks(values, filters: Sequence[int], dropout: float, momentum: float):
    """Add a block for each number of filters, and flatten.

    Convolution, max-pooling, batch normalization, ReLU, dropout. Pooling comes before
    normalization and ReLU, though the descriptions have it last: ReLU and (for a positive scale)
    normalization keep the order of the values, so the maximum is the same one, and everything
    after it handles a quarter of the pixels. On two cores, this trains 1.4 to 2 times as many
    faces per second.
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
        )(values)
        values = layers.MaxPooling2D(name=f"pooling_{block}")(values)
        values = layers.BatchNormalization(momentum=momentum, name=f"normalisation_{block}")(values)
        values = layers.ReLU(name=f"relu_{block}")(values)
        if dropout:
            values = layers.Dropout(dropout, name=f"dropout_{block}")(values)
    return layers.Flatten(name="flatten")(values)


def _convolution(
    values,
    count: int,
    name: str,
    momentum: float,
    kernel: int = 3,
    stride: int = 1,
    pooling: bool = False,
):
    """Add a convolution without bias and its batch normalization; pooling as in `_blocks`."""
    from keras import layers

    values = layers.Conv2D(
        count,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(values)
    if pooling:
        values = layers.MaxPooling2D(name=f"{name}_pooling")(values)
    return layers.BatchNormalization(momentum=momentum, name=f"{name}_normalisation")(values)


def _residual(
    name: str,
    input_shape: Shape,
    classes: int,
    stem: int | None,
    filters: Sequence[int],
    blocks: Sequence[int],
    dropout: float,
    momentum: float,
):
    """Build a residual network of blocks of two convolutions."""
    from keras import layers

    if len(filters) != len(blocks):
        raise ModelError(f"{name} has {len(filters)} widths and {len(blocks)} stages of blocks")
    inputs, values = _pixels(name, input_shape, 2 ** len(filters))
    values = _convolution(values, stem or filters[0], "stem", momentum, pooling=True)
    values = layers.ReLU(name="stem_relu")(values)
    for stage, (count, repeats) in enumerate(zip(filters, blocks, strict=True), start=1):
        for block in range(1, repeats + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            values = _residual_block(
                values, count, stride, f"stage_{stage}_block_{block}", momentum
            )
    values = layers.GlobalAveragePooling2D(name="mean")(values)
    values = layers.Dropout(dropout, name="dropout")(values)
    return with_head(name, inputs, values, (), 0.0, classes)


def _residual_block(values, count: int, stride: int, name: str, momentum: float):
    """Add two convolutions and their shortcut."""
    from keras import layers

    shortcut = values
    values = _convolution(values, count, f"{name}_1", momentum, stride=stride)
    values = layers.ReLU(name=f"{name}_1_relu")(values)
    values = _convolution(values, count, f"{name}_2", momentum)
    if stride > 1 or shortcut.shape[-1] != count:
        shortcut = _convolution(shortcut, count, f"{name}_shortcut", momentum, 1, stride)
    values = layers.Add(name=f"{name}_sum")([values, shortcut])
    return layers.ReLU(name=f"{name}_relu")(values)
