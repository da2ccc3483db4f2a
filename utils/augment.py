"""Augmentation: rotation, zoom, shift and flip, ImageDataGenerator's way and the fast way.

Both ways take one `Augmentation` and mean the same by it. The generator transforms a face at a
time with SciPy; `warp` transforms a batch at a time in one affine warp.
`benchmarks/augmentation.py` prints what that is worth on your machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """How far a training face may be moved. Every draw is uniform.

    Attributes
    ----------
    rotation : float
        Largest rotation to either side, in degrees.
    zoom : float
        Largest change of scale, as a fraction: 0.1 draws factors of 0.9 … 1.1 for the height
        and, independently, for the width (as ImageDataGenerator does). A factor above 1
        shrinks the face.
    shift : float
        Largest shift to either side, as a fraction of the height and of the width; below 1,
        because ImageDataGenerator takes 1 and more as pixels.
    flip : bool
        Whether half of the faces are mirrored left to right.
    """

    rotation: float = 10.0
    zoom: float = 0.1
    shift: float = 0.1
    flip: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"rotation is in degrees, 0 … 180, not {self.rotation}")
        if not 0 <= self.zoom < 1:
            raise ValueError(f"zoom is a fraction of 0 … 1, without 1 itself, not {self.zoom}")
        if not 0 <= self.shift < 1:
            raise ValueError(f"shift is a fraction of 0 … 1, without 1 itself, not {self.shift}")


@dataclass(frozen=True)
class Draws:
    """One draw of each transform for each of n faces; shapes (n,).

    Attributes
    ----------
    theta : numpy.ndarray
        Rotation in degrees.
    zoom_rows, zoom_columns : numpy.ndarray
        Factors of the height and the width.
    shift_rows, shift_columns : numpy.ndarray
        Shifts in pixels.
    flip : numpy.ndarray
        Whether the face is mirrored, bool.
    """

    theta: np.ndarray
    zoom_rows: np.ndarray
    zoom_columns: np.ndarray
    shift_rows: np.ndarray
    shift_columns: np.ndarray
    flip: np.ndarray

    def generator_parameters(self, index: int) -> dict[str, float | bool]:
        """Return draw ``index`` in the words of ``ImageDataGenerator.apply_transform``.

        Its "x" is across: "tx" moves columns, though Keras 3 draws it from the range of the
        height's shift. `Augmentation` has one range for both, so nothing comes of it.
        """
        return {
            "theta": float(self.theta[index]),
            "tx": float(self.shift_columns[index]),
            "ty": float(self.shift_rows[index]),
            "zx": float(self.zoom_columns[index]),
            "zy": float(self.zoom_rows[index]),
            "flip_horizontal": bool(self.flip[index]),
        }


def no_change(count: int) -> Draws:
    """Return draws that leave ``count`` faces as they are, to be replaced one by one.

    >>> import dataclasses
    >>> turned = dataclasses.replace(no_change(1), theta=np.array([10.0]))
    >>> float(turned.theta[0]), float(turned.zoom_rows[0]), bool(turned.flip[0])
    (10.0, 1.0, False)
    """
    zeros, ones = np.zeros(count), np.ones(count)
    return Draws(zeros, ones, ones, zeros, zeros, np.zeros(count, dtype=bool))


def image_data_generator(augmentation: Augmentation):
    """Make Keras's ImageDataGenerator for these settings: the ancestors' way.

    Parameters
    ----------
    augmentation : Augmentation
        What it draws.

    Returns
    -------
    ImageDataGenerator
        From ``tensorflow.keras`` where TensorFlow is installed, else Keras's own copy of the
        same class. This is the one place that imports it.
    """
    try:
        from tensorflow.keras.preprocessing.image import ImageDataGenerator
    except ImportError:
        from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(
        rotation_range=augmentation.rotation,
        zoom_range=augmentation.zoom,
        height_shift_range=augmentation.shift,
        width_shift_range=augmentation.shift,
        horizontal_flip=augmentation.flip,
        fill_mode="nearest",
    )


def draw(
    augmentation: Augmentation, count: int, size: tuple[int, int], rng: np.random.Generator
) -> Draws:
    """Draw the transforms of ``count`` faces.

    Parameters
    ----------
    augmentation : Augmentation
        The ranges.
    count : int
        How many faces.
    size : tuple of int
        Height and width in pixels; shifts are fractions of them.
    rng : numpy.random.Generator
        Where the numbers come from.

    Returns
    -------
    Draws
        One of each for each face.
    """
    height, width = size
    rotation, zoom, shift = augmentation.rotation, augmentation.zoom, augmentation.shift
    return Draws(
        theta=rng.uniform(-rotation, rotation, count),
        zoom_rows=rng.uniform(1 - zoom, 1 + zoom, count),
        zoom_columns=rng.uniform(1 - zoom, 1 + zoom, count),
        shift_rows=rng.uniform(-shift, shift, count) * height,
        shift_columns=rng.uniform(-shift, shift, count) * width,
        flip=rng.random(count) < (0.5 if augmentation.flip else 0.0),
    )


def affine_rows(draws: Draws, size: tuple[int, int]) -> np.ndarray:
    """Write draws as the eight numbers of ``keras.ops.image.affine_transform``.

    A row (a0, a1, a2, b0, b1, b2, 0, 0) says that the pixel at column x and row y of the
    result is read from column a0·x + a1·y + a2 and row b0·x + b1·y + b2 of the face.

    Parameters
    ----------
    draws : Draws
        The transforms of n faces.
    size : tuple of int
        Height and width in pixels.

    Returns
    -------
    numpy.ndarray
        (n, 8) float32.

    Notes
    -----
    The order is ImageDataGenerator's: about the middle of the picture, rotate, then shift,
    then zoom, then mirror the result. The two agree on square pictures. On others Keras 3 takes
    height/2 - 0.5 for the middle of the columns and width/2 - 0.5 for that of the rows; here each
    side has its own middle.
    """
    height, width = size
    middle_row, middle_column = height / 2 - 0.5, width / 2 - 0.5
    radians = np.deg2rad(draws.theta)
    cosine, sine = np.cos(radians), np.sin(radians)
    # Source (column, row) = rotation · (zoom · (column, row) + shift), about the middle.
    column_column, column_row = cosine * draws.zoom_columns, -sine * draws.zoom_rows
    row_column, row_row = sine * draws.zoom_columns, cosine * draws.zoom_rows
    column_shift = cosine * draws.shift_columns - sine * draws.shift_rows
    row_shift = sine * draws.shift_columns + cosine * draws.shift_rows
    row_constant = middle_row + row_shift - row_row * middle_row - row_column * middle_column
    column_constant = (
        middle_column + column_shift - column_row * middle_row - column_column * middle_column
    )
    # Mirroring the result replaces its column x by width - 1 - x.
    mirror = np.where(draws.flip, -1.0, 1.0)
    offset = np.where(draws.flip, width - 1.0, 0.0)
    zeros = np.zeros_like(cosine)
    return np.stack(
        [
            column_column * mirror,
            column_row,
            column_constant + column_column * offset,
            row_column * mirror,
            row_row,
            row_constant + row_column * offset,
            zeros,
            zeros,
        ],
        axis=1,
    ).astype(np.float32)


def warp(images, rows):
    """Apply one affine transform to each picture of a batch, all in one call.

    Parameters
    ----------
    images : array
        (n, height, width, channels), any real type; 0 … 255 stays 0 … 255.
    rows : array
        (n, 8) float32, as `affine_rows` writes them.

    Returns
    -------
    tensor
        (n, height, width, channels) float32 of the Keras backend: bilinear between pixels,
        the nearest edge pixel outside.
    """
    import keras

    return keras.ops.image.affine_transform(
        keras.ops.cast(images, "float32"),
        rows,
        interpolation="bilinear",
        fill_mode="nearest",
        data_format="channels_last",
    )


def erase(images, boxes):
    """Erase a rectangle of each picture: it takes the picture's mean.

    Parameters
    ----------
    images : array
        (n, height, width, channels) float32.
    boxes : array
        (n, 4) float32: top, left, bottom, right in pixels, the last two exclusive.

    Returns
    -------
    tensor
        (n, height, width, channels) float32 of the Keras backend.

    References
    ----------
    Zhong et al. (2020), Random erasing data augmentation, AAAI, §3.
    """
    import keras

    images = keras.ops.cast(images, "float32")
    mean = keras.ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return keras.ops.where(_inside(boxes, images.shape[1:3]), mean, images)


def mix(images, blends, boxes):
    """Mix each picture with its partner: the one as far from the batch's end as it from its front.

    Parameters
    ----------
    images : array
        (n, height, width, channels) float32.
    blends : array
        (n,) float32: the picture's own share of each pixel.
    boxes : array
        (n, 4) float32: the rectangle that is the partner's altogether.

    Returns
    -------
    tensor
        (n, height, width, channels) float32 of the Keras backend.
    """
    import keras

    images = keras.ops.cast(images, "float32")
    partners = keras.ops.flip(images, axis=0)
    own = keras.ops.reshape(blends, (-1, 1, 1, 1))
    mixed = own * images + (1 - own) * partners
    return keras.ops.where(_inside(boxes, images.shape[1:3]), partners, mixed)


def _inside(boxes, size: tuple[int, int]):
    """Say of each pixel whether it lies in its picture's box: (n, height, width, 1) bool."""
    import keras

    height, width = size
    rows = keras.ops.reshape(keras.ops.arange(height, dtype="float32"), (1, height, 1, 1))
    columns = keras.ops.reshape(keras.ops.arange(width, dtype="float32"), (1, 1, width, 1))
    top, left, bottom, right = (boxes[:, side][:, None, None, None] for side in range(4))
    down = keras.ops.logical_and(rows >= top, rows < bottom)
    across = keras.ops.logical_and(columns >= left, columns < right)
    return keras.ops.logical_and(down, across)


def augment(images: np.ndarray, augmentation: Augmentation, rng: np.random.Generator):
    """Draw and warp: a batch of faces, each moved its own way.

    Parameters
    ----------
    images : numpy.ndarray
        (n, height, width, channels).
    augmentation : Augmentation
        The ranges.
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    tensor
        (n, height, width, channels) float32 of the Keras backend.
    """
    size = images.shape[1:3]
    return warp(images, affine_rows(draw(augmentation, len(images), size, rng), size))
