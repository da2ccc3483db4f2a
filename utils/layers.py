"""Our own Keras layers: a fast affine warp for augmentation, and two that train faster.

This module imports Keras at the top, so import it inside functions, after `runtime.setup` has
chosen the backend. No layer is part of a saved network: the warp comes before it during training
only, and `models.save` writes Keras's own layers with the same weights.
"""

from __future__ import annotations

import math

import keras
from keras import ops

#: Side, in pixels, of the largest output for which `WideGradientConv2D` is faster.
LARGEST_SMALL_MAP = 8


class RandomWarp(keras.layers.Layer):
    """Rotate, shift, zoom and mirror each picture of a batch at random, in one affine warp.

    The same transforms in the same order as `ImageDataGenerator`: about the picture's center,
    rotate, then shift, then zoom, then mirror the result; bilinear between pixels, the nearest
    edge pixel outside. Every draw is uniform. Outside training, pictures are left as they are.

    Parameters
    ----------
    rotation : float
        Largest rotation in either direction, in degrees.
    zoom : float
        Largest change of scale, as a fraction: 0.1 draws factors of 0.9 … 1.1 for the height and,
        independently, for the width. A factor above 1 shrinks the face.
    shift : float
        Largest shift in either direction, as a fraction of the height and of the width.
    flip : bool
        Whether half of the pictures are mirrored left to right.
    seed : int, optional
        Seeds the draws.
    """

    def __init__(
        self,
        rotation: float = 10.0,
        zoom: float = 0.1,
        shift: float = 0.1,
        flip: bool = True,
        seed: int | None = None,
        **options,
    ):
        super().__init__(**options)
        self.rotation, self.zoom, self.shift, self.flip = rotation, zoom, shift, flip
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training: bool = False):
        """Warp (n, height, width, channels) pictures of any real type; float32 out."""
        images = ops.cast(images, "float32")
        if not training:
            return images
        height, width = images.shape[1:3]
        count = ops.shape(images)[0]
        draws = {
            "theta": self._uniform(count, math.radians(self.rotation)),
            "zoom_rows": 1.0 + self._uniform(count, self.zoom),
            "zoom_columns": 1.0 + self._uniform(count, self.zoom),
            "shift_rows": self._uniform(count, self.shift) * height,
            "shift_columns": self._uniform(count, self.shift) * width,
            "flip": self._uniform(count, 1.0) < 0.0 if self.flip else ops.zeros(count, "bool"),
        }
        return warp(images, affine_rows(**draws, size=(height, width)))

    def _uniform(self, count, most: float):
        """Draw ``count`` numbers of -most … most."""
        return keras.random.uniform((count,), -most, most, seed=self.seed_generator)


def affine_rows(
    theta, zoom_rows, zoom_columns, shift_rows, shift_columns, flip, size: tuple[int, int]
):
    """Write transforms as the eight numbers of ``keras.ops.image.affine_transform``.

    A row (a0, a1, a2, b0, b1, b2, 0, 0) says that the pixel at column x and row y of the
    result is read from column a0·x + a1·y + a2 and row b0·x + b1·y + b2 of the picture.

    Parameters
    ----------
    theta : array
        (n,) rotations, in radians.
    zoom_rows, zoom_columns : array
        (n,) factors of the height and the width.
    shift_rows, shift_columns : array
        (n,) shifts in pixels.
    flip : array
        (n,) bool: whether the result is mirrored.
    size : tuple of int
        Height and width in pixels.

    Returns
    -------
    tensor
        (n, 8) float32.

    Notes
    -----
    `ImageDataGenerator` agrees on square pictures. On others, Keras 3 takes height/2 - 0.5 as
    the middle of the columns and width/2 - 0.5 as that of the rows; here each side has its own.
    """
    height, width = size
    middle_row, middle_column = height / 2 - 0.5, width / 2 - 0.5
    cosine, sine = ops.cos(theta), ops.sin(theta)
    # Source (column, row) = rotation · (zoom · (column, row) + shift), about the middle.
    column_column, column_row = cosine * zoom_columns, -sine * zoom_rows
    row_column, row_row = sine * zoom_columns, cosine * zoom_rows
    column_constant = cosine * shift_columns - sine * shift_rows
    column_constant += middle_column - column_column * middle_column - column_row * middle_row
    row_constant = sine * shift_columns + cosine * shift_rows
    row_constant += middle_row - row_column * middle_column - row_row * middle_row
    # Mirroring the result replaces its column x by width - 1 - x.
    mirror = ops.where(flip, -1.0, 1.0)
    offset = ops.where(flip, width - 1.0, 0.0)
    zeros = ops.zeros_like(cosine)
    rows = [
        column_column * mirror,
        column_row,
        column_constant + column_column * offset,
        row_column * mirror,
        row_row,
        row_constant + row_column * offset,
        zeros,
        zeros,
    ]
    return ops.cast(ops.stack(rows, axis=1), "float32")


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
        (n, height, width, channels) float32.
    """
    return ops.image.affine_transform(
        ops.cast(images, "float32"),
        rows,
        interpolation="bilinear",
        fill_mode="nearest",
        data_format="channels_last",
    )


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalization with TensorFlow's fused kernel, if that is the backend.

    Keras 3 computes mean, variance and scaling in separate operations, which on a CPU are
    most of a training step in bfloat16. Same weights, same results up to rounding; on another
    backend, outside training, or without exactly four axes, it is Keras's layer unchanged.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalize (n, height, width, channels) values."""
        fused = keras.backend.backend() == "tensorflow" and training and self.trainable
        if not fused or len(inputs.shape) != 4 or self.synchronized or self.axis not in (3, -1):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow

        inputs = ops.cast(inputs, self.compute_dtype)
        scaled, mean, variance = tensorflow.compat.v1.nn.fused_batch_norm(
            inputs,
            ops.convert_to_tensor(self.gamma),
            ops.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel corrects the variance for the sample (n - 1); Keras's layer does not.
        count = ops.cast(ops.prod(ops.shape(inputs)[:-1]), "float32")
        variance = variance * (count - 1.0) / count
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return scaled


class WideGradientConv2D(keras.layers.Conv2D):
    """Keras's convolution, with its kernel gradient computed from pictures laid side by side.

    In bfloat16 an AMX processor sums that gradient along the rows of a map, 32 pixels at a time:
    rows of six pixels leave four fifths of each sum empty, and it takes longer than the rest of the
    convolution. Eight maps in a row, with zeros between them, give the same sum. Same weights, same
    results up to rounding; in another precision, on another backend, or if a map is larger than
    `LARGEST_SMALL_MAP`, it is Keras's layer unchanged.
    """

    def convolution_op(self, inputs, kernel):
        """Convolve (n, height, width, channels) values."""
        stride, reach, width = self.strides[1], self.kernel_size[1] // 2, inputs.shape[2]
        small = width is not None and width <= LARGEST_SMALL_MAP * stride and width % stride == 0
        plain = (self.padding, self.groups, self.dilation_rate) == ("same", 1, (1, 1))
        odd = self.kernel_size[1] % 2 and self.data_format == "channels_last"
        on_tensorflow = keras.backend.backend() == "tensorflow" and inputs.dtype == "bfloat16"
        if not (on_tensorflow and small and plain and odd):
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        how = {"strides": (1, *self.strides, 1), "padding": "SAME"}

        def side_by_side(maps, zeros):
            height, width, channels = maps.shape[1:]
            missing = -tf.shape(maps)[0] % 8
            maps = tf.pad(maps, ((0, missing), (0, 0), (0, zeros), (0, 0)))
            maps = tf.reshape(maps, (-1, 8, height, width + zeros, channels))
            maps = tf.transpose(maps, (0, 2, 1, 3, 4))
            return tf.reshape(maps, (-1, height, 8 * (width + zeros), channels))

        @tf.custom_gradient
        def convolve(images, weights):
            def gradient(upstream):
                to_images = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(images), filter=weights, out_backprop=upstream, **how
                )
                to_weights = tf.raw_ops.Conv2DBackpropFilter(
                    input=side_by_side(images, stride * reach),
                    filter_sizes=weights.shape,
                    out_backprop=side_by_side(upstream, reach),
                    **how,
                )
                return to_images, to_weights

            return tf.nn.conv2d(images, weights, **how), gradient

        return convolve(inputs, ops.cast(kernel, "bfloat16"))
