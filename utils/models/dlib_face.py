"""Dlib's network for recognizing people, as a starting point for one that names expressions.

Davis King's `dlib_face_recognition_resnet_model_v1` (2017, CC0): a residual network of 29
convolutions, trained on some three million faces of 7,485 people (FaceScrub, VGG-Face, the web) to
tell one person from another. It follows He et al. (2016), with half the filters. The pictures
behind it are under their owners' terms, VGG-Face for research only: what is trained from it is
labeled as using outside data. `pip download --no-deps face_recognition_models` gets the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from utils.models.networks import Shape, begin_as_identity, require_shape, with_head
from utils.models.registry import network
from utils.runtime import ModelError

#: What dlib subtracts from red, green and blue before it divides by 256 (``input_rgb_image``).
MEAN_COLOR = (122.782, 117.001, 104.298)
#: Each stage's filters, its number of blocks, and whether the first one halves the sides.
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
#: Smallest faces, in pixels, of which 1, 2, … stages leave one pixel.
SMALLEST_SIDES = (11, 19, 31, 55, 103)


@network(
    size=96,
    recipe={
        "learning_rate": 2e-4,
        "epochs": 30,
        "rotation": 10.0,
        "zoom": 0.2,
        "shift": 0.1,
        "erasing": 0.25,
        "ema_momentum": 0.999,
        "test_time_augmentation": 10,
        "precision": "mixed_bfloat16",
    },
)
def dlib_face(
    input_shape: Shape = (96, 96, 1),
    classes: int = 7,
    *,
    weights: str | None = None,
    stages: int = 4,
    dropout: float = 0.3,
    normalization: bool = False,
):
    """Build dlib's network up to one of its stages, with a mean and a softmax of our own.

    In the file, batch normalization is already one factor and one constant per filter; both are
    folded into the convolutions here, as is the preprocessing of the pixels. Where dlib pads a
    shortcut with channels of zeros, a 1×1 convolution starts with the same zeros.

    Parameters
    ----------
    weights : path of ``dlib_face_recognition_resnet_model_v1.dat``, or None
        What the convolutions start from; None: random weights.
    stages : int
        1 … 5. The last ones know whose face it is, and forget its expression; 5 takes faces of
        103 pixels or more.
    dropout : float
        Dropout rate before the softmax, 0 … 1.
    normalization : bool
        Whether each convolution is followed by batch normalization again, which lets the entire
        network learn at a higher rate. With ``weights``, it starts as the identity
        (`networks.begin_as_identity`).

    Raises
    ------
    ModelError
        When the faces are too small or have neither 1 nor 3 channels, or it is another file.
    """
    import keras
    from keras import layers

    if not 1 <= stages <= len(STAGES):
        raise ModelError(f"dlib_face has 1 to {len(STAGES)} stages, not {stages}")
    require_shape("dlib_face", input_shape, SMALLEST_SIDES[stages - 1])
    inputs = keras.Input(input_shape, name="pixels")
    values = layers.Rescaling(1 / 256, name="scale")(inputs)
    values = _convolution(values, 32, "stem", normalization, kernel=7, stride=2, padding="valid")
    values = layers.ReLU(name="stem_relu")(values)
    values = layers.MaxPooling2D(3, 2, name="stem_pooling")(values)
    for stage, (filters, blocks, halves) in enumerate(STAGES[:stages], start=1):
        for block in range(1, blocks + 1):
            half = halves and block == 1
            name = f"stage_{stage}_block_{block}"
            values = _block(values, filters, half, name, normalization)
    values = layers.GlobalAveragePooling2D(name="mean")(values)
    values = layers.Dropout(dropout, name="dropout")(values)
    model = with_head("dlib_face", inputs, values, (), 0.0, classes)
    if weights:
        _set_weights(model, read_weights(weights), input_shape[2])
        if normalization:
            begin_as_identity(model)
    return model


def _convolution(
    values,
    filters: int,
    name: str,
    normalization: bool,
    kernel: int = 3,
    stride: int = 1,
    padding: str = "same",
):
    """Add a convolution with its bias, and batch normalization if asked for."""
    from keras import layers

    values = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        kernel_initializer="he_normal",
        name=name,
    )(values)
    if normalization:
        values = layers.BatchNormalization(momentum=0.9, name=f"{name}_normalization")(values)
    return values


def _block(values, filters: int, half: bool, name: str, normalization: bool):
    """Add two convolutions and their shortcut; ``half`` halves the sides, dropping an odd pixel."""
    from keras import layers

    lacking = tuple((0, 1 - side % 2) for side in values.shape[1:3])
    stride, padding = (2, "valid") if half else (1, "same")
    inner = _convolution(
        values, filters, f"{name}_1", normalization, stride=stride, padding=padding
    )
    inner = layers.ReLU(name=f"{name}_1_relu")(inner)
    inner = _convolution(inner, filters, f"{name}_2", normalization)
    if half:
        values = layers.AveragePooling2D(2, name=f"{name}_pooling")(values)
        # Of even sides, the convolution leaves one row fewer than the pooling; dlib adds zeros.
        inner = layers.ZeroPadding2D(lacking, name=f"{name}_padding")(inner)
        if values.shape[-1] != filters:
            values = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")(values)
    values = layers.Add(name=f"{name}_sum")([values, inner])
    return layers.ReLU(name=f"{name}_relu")(values)


def read_weights(path: Path | str) -> list[np.ndarray]:
    """Read the tensors of dlib's file, in order from the input.

    Each layer's name is followed by its version, the tensor's version (2), its four dimensions as
    packed integers, and its float32 numbers, little-endian (dlib 19, ``dnn/tensor.h``,
    ``serialize.h``).

    Returns
    -------
    list of numpy.ndarray
        Flat, float32: for each of the 29 convolutions its kernel (filters, channels, rows,
        columns) with its bias, then its affine layer's factors and constants; at the end the
        (256, 128) matrix of the descriptor, which no network here uses.

    Raises
    ------
    ModelError
        When it holds another network.
    OSError
        When the file cannot be read.
    """
    content = Path(path).read_bytes()
    tensors, place = [], 0
    try:
        for name in [b"con_4", b"affine_"] * 29 + [b"fc_2"]:
            place = content.index(b"\x01" + bytes([len(name)]) + name, place) + 2 + len(name)
            if name == b"fc_2":  # its numbers of outputs and inputs come first
                place = _whole_number(content, _whole_number(content, place)[1])[1]
            version, place = _whole_number(content, place)
            if version != 2:
                raise ValueError(f"a tensor of version {version}")
            sides = []
            for _ in range(4):
                side, place = _whole_number(content, place)
                sides.append(side)
            tensors.append(np.frombuffer(content, "<f4", int(np.prod(sides)), place))
            place += tensors[-1].nbytes
    except (ValueError, IndexError) as error:
        raise ModelError(f"{Path(path).name}: this is not dlib's face network ({error})") from error
    return tensors


def _whole_number(content: bytes, place: int) -> tuple[int, int]:
    """Read an integer as dlib packs it (a byte that counts bytes), and where it ends."""
    count = content[place] & 15
    end = place + 1 + count
    return int.from_bytes(content[place + 1 : end], "little"), end


def _set_weights(model, tensors: list[np.ndarray], channels: int) -> None:
    """Fold affine layers and the preprocessing of the pixels into the convolutions."""
    kinds = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    shortcuts = [layer for layer in kinds if layer.name.endswith("_shortcut")]
    for layer in shortcuts:
        layer.set_weights([np.eye(*layer.kernel.shape[2:])[None, None]])
    for number, layer in enumerate(layer for layer in kinds if layer not in shortcuts):
        rows, columns, depth, filters = layer.kernel.shape
        depth = 3 if number == 0 else depth
        flat, affine = tensors[2 * number : 2 * number + 2]
        if flat.size != filters * (depth * rows * columns + 1) or affine.size != 2 * filters:
            raise ModelError(f"{layer.name}: the {flat.size:,} numbers in dlib's file do not fit")
        kernel = flat[:-filters].reshape(filters, depth, rows, columns).transpose(2, 3, 1, 0)
        bias, (factor, constant) = flat[-filters:], affine.reshape(2, filters)
        if number == 0:
            bias = bias - np.einsum("rcdf,d->f", kernel, np.array(MEAN_COLOR) / 256)
            kernel = kernel.sum(axis=2, keepdims=True) if channels == 1 else kernel
        layer.set_weights([kernel * factor, bias * factor + constant])
