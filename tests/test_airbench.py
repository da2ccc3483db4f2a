"""Airbench's tricks do to a network and its faces what their source says."""

import dataclasses

import numpy as np
import pytest

from experiments import airbench
from utils import datasets, runtime, training


@pytest.fixture(scope="module", autouse=True)
def ready():
    runtime.setup(0)


@pytest.fixture(scope="module")
def faces():
    return datasets.load("sample")


@pytest.fixture
def settings():
    return training.recipe("cnn4", **airbench.SETTINGS | {"epochs": 1})


def test_whitened_patches_are_uncorrelated_and_of_second_moment_one(faces):
    filters = airbench.whitening_filters(faces.images[:100], epsilon=0.0)
    assert filters.shape == (3, 3, 1, 18)
    assert filters[..., 9:].tolist() == (-filters[..., :9]).tolist()
    images = faces.images[:100, ..., 0] / 127.5 - 1.0
    patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    answers = patches.reshape(-1, 9) @ filters[:, :, 0, :9].reshape(9, 9)
    assert answers.T @ answers / len(answers) == pytest.approx(np.eye(9), abs=1e-2)


def test_an_identity_kernel_passes_its_inputs_on():
    import keras

    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 6, 6, 4)).astype(np.float32)
    for filters in (3, 4, 7):
        kernel = rng.normal(size=(3, 3, 4, filters)).astype(np.float32)
        found = airbench.identity_kernel(kernel)
        passed = keras.ops.conv(values, found, padding="same").numpy()
        assert passed[..., :4] == pytest.approx(values[..., :filters], abs=1e-6)
        assert found[..., 4:].tolist() == kernel[..., 4:].tolist()


def test_each_face_is_mirrored_in_every_other_epoch():
    flipped = np.array([True, False, True])
    epochs = [airbench.alternating(flipped, epoch).tolist() for epoch in range(3)]
    assert epochs == [[True, False, True], [False, True, False], [True, False, True]]


def test_tricks_add_up_from_way_to_way(faces, settings):
    images = faces.images[:100]
    plain, whitened, identity = (
        airbench.network(way, images, settings, 7) for way in airbench.WAYS[:3]
    )
    first = [one.get_layer("convolution_1").kernel.shape[-1] for one in (plain, whitened, identity)]
    assert first == [32, 18, 18]
    filters = airbench.whitening_filters(images)
    kernels = [np.asarray(one.get_layer("convolution_1").kernel) for one in (whitened, identity)]
    assert all(np.array_equal(kernel, filters) for kernel in kernels)
    kernel = np.asarray(identity.get_layer("convolution_2").kernel)
    assert kernel[1, 1, :, :18].tolist() == np.eye(18).tolist()
    assert kernel[..., 18:].std() > 0


def test_biases_of_batch_normalization_learn_faster():
    import keras

    def moved(fast):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 2))
        values = keras.layers.Conv2D(3, 3, name="convolution")(inputs)
        values = keras.layers.BatchNormalization(name="normalization")(values)
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(values))
        model.compile(keras.optimizers.SGD(1e-3), "mse")
        if fast:
            model.optimizer.apply = airbench._with_fast_biases(model.optimizer.apply)
        before = [np.asarray(one) for one in model.trainable_variables]
        rng = np.random.default_rng(0)
        model.fit(rng.normal(size=(8, 4, 4, 2)), rng.normal(size=(8, 3)), epochs=1, verbose=0)
        after = [np.asarray(one) for one in model.trainable_variables]
        return [new - old for new, old in zip(after, before, strict=True)]

    names = ("kernel", "bias", "gamma", "beta")
    for name, slow, fast in zip(names, moved(False), moved(True), strict=True):
        factor = airbench.FAST_BIASES if name == "beta" else 1.0
        assert fast == pytest.approx(factor * slow, rel=1e-2, abs=1e-6), name


def test_a_training_with_all_tricks_is_a_function_of_its_seed(faces, settings):
    few = faces.take(np.arange(0, len(faces), 8))
    again = [airbench.accuracy(few, airbench.WAYS[-1], settings) for _ in range(2)]
    assert again[0] == again[1]
    other = dataclasses.replace(settings, seed=1)
    assert 0 <= airbench.accuracy(few, "none", other) <= 1


def test_a_record_is_a_table_of_ways_and_seeds():
    runs = [
        {"way": way, "seed": seed, "accuracy": 0.5 + seed / 10}
        for way in ("whitening", "none")
        for seed in (0, 1)
    ]
    found = airbench.table({"runs": runs})
    assert found.index.tolist() == ["none", "whitening"]
    assert found.loc["none"].round(6).tolist() == [50, 60, 55]
