"""The warp does what ImageDataGenerator does; the layers before a network change nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from utils import augment
from utils.layers import FusedBatchNormalization, WideGradientConv2D, affine_rows, warp

pytestmark = pytest.mark.usefixtures("ready")

NOTHING = {
    "theta": 0.0,
    "zoom_rows": 1.0,
    "zoom_columns": 1.0,
    "shift_rows": 0.0,
    "shift_columns": 0.0,
    "flip": False,
}


def smooth(count, side, channels=1, seed=0):
    """Pictures without edges, on which two ways of interpolating agree."""
    noise = np.random.default_rng(seed).uniform(0, 256, (count, side, side, channels))
    return gaussian_filter(noise, (0, 2, 2, 0)).astype(np.float32)


def warped(images, **moves):
    given = {name: np.full(len(images), value) for name, value in {**NOTHING, **moves}.items()}
    given = {name: value if name == "flip" else np.float32(value) for name, value in given.items()}
    return np.asarray(warp(images, affine_rows(**given, size=images.shape[1:3])))


def generated(
    images,
    theta=0.0,
    zoom_rows=1.0,
    zoom_columns=1.0,
    shift_rows=0.0,
    shift_columns=0.0,
    flip=False,
):
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    # ImageDataGenerator's "x" is across: "tx" moves columns.
    words = {"theta": np.rad2deg(theta), "tx": shift_columns, "ty": shift_rows}
    words |= {"zx": zoom_columns, "zy": zoom_rows, "flip_horizontal": flip}
    generator = ImageDataGenerator()
    return np.stack([generator.apply_transform(image, words) for image in images])


@given(
    theta=st.floats(-1, 1),
    zooms=st.tuples(st.floats(0.7, 1.3), st.floats(0.7, 1.3)),
    shifts=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    flip=st.booleans(),
    side=st.integers(12, 32),
    channels=st.sampled_from([1, 3]),
)
@hypothesis_settings(max_examples=40)
def test_the_warp_does_what_the_generator_does(theta, zooms, shifts, flip, side, channels):
    moves = {"theta": theta, "flip": flip}
    moves |= {"zoom_rows": zooms[0], "zoom_columns": zooms[1]}
    moves |= {"shift_rows": shifts[0], "shift_columns": shifts[1]}
    images = smooth(2, side, channels)
    np.testing.assert_allclose(warped(images, **moves), generated(images, **moves), atol=0.05)


def test_moves_by_whole_pixels_are_exact():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 1)).astype(np.uint8)
    np.testing.assert_array_equal(warped(images), images)
    np.testing.assert_array_equal(warped(images, flip=True), images[:, :, ::-1])
    shifted = warped(images, shift_rows=2.0)
    np.testing.assert_array_equal(shifted[:, :-2], images[:, 2:])
    np.testing.assert_array_equal(shifted[:, -2:], images[:, [-1, -1]])
    half_turn = warped(images, theta=np.pi)
    np.testing.assert_allclose(half_turn, images[:, ::-1, ::-1], atol=1e-2)


def test_outside_training_every_layer_leaves_a_face_as_it_is():
    images = smooth(4, 16)
    everything = augment.layers_before(brightness=0.3, contrast=0.3, erasing=1.0)
    assert len(everything) == 4
    for layer in everything:
        np.testing.assert_allclose(np.asarray(layer(images, training=False)), images, rtol=1e-6)
        assert not np.allclose(np.asarray(layer(images, training=True)), images)
    assert augment.layers_before(rotation=0, zoom=0, shift=0, flip=False) == []


def test_half_of_the_faces_are_mirrored_each_by_its_own_draw():
    (layer,) = augment.layers_before(rotation=0, zoom=0, shift=0, flip=True, seed=3)
    images = smooth(1, 8).repeat(400, axis=0)
    moved = np.asarray(layer(images, training=True))
    mirrored = np.isclose(moved, images[:, :, ::-1], atol=1e-3).all(axis=(1, 2, 3))
    kept = np.isclose(moved, images, atol=1e-3).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all()
    assert 150 < mirrored.sum() < 250


def test_mixing_gives_each_target_its_share():
    images = np.ones((64, 48, 48, 1), np.float32) * np.arange(64)[:, None, None, None]
    targets = np.eye(64, dtype=np.float32)
    for change in ({"mixup": 0.4}, {"cutmix": 1.0}):
        mixed = augment.mixing_layer(**change)({"images": images, "labels": targets}, training=True)
        faces, shares = np.asarray(mixed["images"]), np.asarray(mixed["labels"])
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
        # A face's mean brightness is its number: that of the mixture follows the shares.
        tolerance = 1e-2 if "mixup" in change else 2.5  # CutMix pastes whole pixels
        np.testing.assert_allclose(
            faces.mean(axis=(1, 2, 3)), shares @ np.arange(64), atol=tolerance
        )
        assert (shares.max(axis=1) < 0.999).any()
    assert augment.mixing_layer() is None


def test_fused_batch_normalization_is_keras_own_to_rounding():
    values = np.random.default_rng(0).normal(3, 2, (16, 6, 6, 4)).astype(np.float32)
    own, fused = keras.layers.BatchNormalization(), FusedBatchNormalization()
    for training in (True, True, False):
        expected = np.asarray(own(values, training=training))
        np.testing.assert_allclose(
            np.asarray(fused(values, training=training)), expected, atol=1e-4
        )
    for one, other in zip(own.get_weights(), fused.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "count", "kind"),
    [
        (6, 3, 1, 16, "bfloat16"),
        (4, (5, 3), 1, 13, "bfloat16"),  # not a multiple of eight
        (12, 3, 2, 8, "bfloat16"),
        (8, 1, 2, 3, "bfloat16"),
        (5, 3, 2, 4, "bfloat16"),  # Keras's own: the strides leave a column over
        (6, 3, 1, 9, "float32"),
    ],
)
def test_a_gradient_from_maps_side_by_side_is_keras_own_to_rounding(
    side, kernel, stride, count, kind
):
    values = np.random.default_rng(0).normal(size=(count, side, side, 8))
    images = tf.cast(values, kind)
    own, wide = (
        kind_of(16, kernel, strides=stride, padding="same", dtype=keras.DTypePolicy(policy))
        for policy in [f"mixed_{kind}" if kind == "bfloat16" else kind]
        for kind_of in (keras.layers.Conv2D, WideGradientConv2D)
    )
    for layer in (own, wide):
        layer.build(images.shape)
    wide.set_weights(own.get_weights())
    found = []
    for layer in (own, wide):
        with tf.GradientTape() as tape:
            tape.watch(images)
            answer = layer(images)
            loss = tf.reduce_sum(tf.cast(answer, "float32") ** 2)
        gradients = tape.gradient(loss, [images, layer.kernel, layer.bias])
        found.append([np.asarray(tf.cast(one, "float32")) for one in (answer, *gradients)])
    for expected, answer in zip(*found, strict=True):
        # Without oneDNN, as here, sums in bfloat16 lose digits either way.
        limit = (0.1 if kind == "bfloat16" else 1e-5) * np.abs(expected).max()
        np.testing.assert_allclose(answer, expected, rtol=0, atol=limit)
