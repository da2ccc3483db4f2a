"""Networks are found by name, and survive saving with their class names."""

import json
import pickle
import zipfile

import numpy as np
import pytest

from utils import models, runtime
from utils.errors import ModelError
from utils.expressions import EXPRESSIONS

SMALL = {"filters": (4, 4, 8, 8, 8), "dense": 16}


@pytest.fixture(scope="module", autouse=True)
def ready():
    runtime.setup(0)


@pytest.fixture(scope="module")
def classifier():
    return models.Classifier(models.build("cnn5", (32, 32, 1), **SMALL), EXPRESSIONS)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (9, 32, 32, 1), dtype=np.uint8)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ModelError, match=r"'resnot'.*cnn5"):
        models.build("resnot")


def test_cnn5_has_five_convolutions_each_with_its_companions():
    layers = [type(layer).__name__ for layer in models.build("cnn5").layers]
    for kind in ("Conv2D", "MaxPooling2D", "BatchNormalization"):
        assert layers.count(kind) == 5
    assert layers.count("Dropout") == 6
    assert layers.count("Dense") == 2


def test_the_layers_table_counts_what_a_pencil_counts():
    table = models.layers_table(models.build("cnn5", (32, 32, 1), **SMALL))
    # 3×3 kernels on 1, 4, 4, 8, 8 channels, at sides of 32, 16, 8, 4, 2.
    expected = [9 * 1 * 4 * 1024, 9 * 4 * 4 * 256, 9 * 4 * 8 * 64, 9 * 8 * 8 * 16, 9 * 8 * 8 * 4]
    convolutions = table[table["kind"] == "Conv2D"]
    assert convolutions["multiply_adds"].tolist() == expected
    assert table.loc["dense", "multiply_adds"] == 8 * 16
    assert table.loc["dense", "parameters"] == 8 * 16 + 16
    assert table.loc["normalisation_5", "parameters"] == 4 * 8
    assert table.loc["convolution_2", "output"] == "16×16×4"


@pytest.mark.parametrize(
    ("shape", "classes"), [((64, 64, 1), 7), ((32, 32, 3), 8), ((48, 48, 1), 7)]
)
def test_probabilities_come_out_for_any_pixels(shape, classes):
    network = models.Classifier(
        models.build("cnn5", shape, classes, **SMALL), tuple("abcdefgh"[:classes])
    )
    rng = np.random.default_rng(0)
    for images in (
        np.zeros((2, *shape), np.uint8),
        np.full((2, *shape), 255, np.uint8),
        rng.integers(0, 256, (3, *shape), dtype=np.uint8),
    ):
        probabilities = network.predict(images)
        assert probabilities.shape == (len(images), classes)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(probabilities, network.predict(images.astype(float)), rtol=1e-4)
    assert network.predict(np.empty((0, *shape), np.uint8)).shape == (0, classes)


def test_half_precision_computes_a_float32_softmax():
    network = models.build("cnn5", (32, 32, 1), dtype="mixed_bfloat16", **SMALL)
    assert network.output.dtype == "float32"
    assert {str(weight.dtype) for weight in network.weights} <= {"float32", "uint32"}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 3e-3)])
def test_a_saved_network_comes_back_whole(classifier, pixels, tmp_path, dtype, tolerance):
    path = models.save(classifier, tmp_path / "deep" / "net.keras", dtype=dtype)
    again = models.load(path)
    assert again.expressions == EXPRESSIONS
    assert again.input_shape == (32, 32, 1)
    assert {str(weight.dtype) for weight in again.model.weights} <= {"float32", "uint32"}
    np.testing.assert_allclose(
        again.predict(pixels), classifier.predict(pixels), atol=tolerance, rtol=0
    )
    assert [file.name for file in path.parent.iterdir()] == ["net.keras"]


def test_float16_halves_the_file(classifier, tmp_path):
    half = models.save(classifier, tmp_path / "half.keras").stat().st_size
    whole = models.save(classifier, tmp_path / "whole.keras", dtype="float32").stat().st_size
    assert half < whole


@pytest.mark.parametrize("shape", [(2, 48, 48, 1), (2, 32, 32, 3), (32, 32, 1), (2, 32, 32)])
def test_faces_of_another_size_are_refused(classifier, shape):
    with pytest.raises(ModelError, match="32, 32, 1"):
        classifier.predict(np.zeros(shape, np.uint8))


def damage_nothing_there(path):
    path.unlink()


def damage_folder(path):
    path.unlink()
    path.mkdir()


def damage_empty(path):
    path.write_bytes(b"")


def damage_truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def damage_picture(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def damage_pickle(path):
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


def rewrite(path, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def damage_no_names(path):
    rewrite(path, lambda members: members.pop(models.CARD))


def damage_names_for_fewer(path):
    rewrite(path, lambda members: members.update({models.CARD: b'{"expressions": ["happy"]}'}))


def damage_names_that_are_numbers(path):
    rewrite(path, lambda members: members.update({models.CARD: b'{"expressions": [1, 2]}'}))


def damage_names_no_json(path):
    rewrite(path, lambda members: members.update({models.CARD: b"happy, sad"}))


def damage_no_weights(path):
    rewrite(path, lambda members: members.pop("model.weights.h5"))


def damage_no_architecture(path):
    rewrite(path, lambda members: members.update({"config.json": b"{}"}))


DAMAGES = [value for name, value in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[7:])
def test_a_file_that_is_none_of_ours_says_so(classifier, tmp_path, damage):
    path = models.save(classifier, tmp_path / "net.keras")
    damage(path)
    with pytest.raises(ModelError, match=r"net\.keras"):
        models.load(path)


def test_code_inside_a_model_file_is_not_run(tmp_path):
    """A Lambda layer is a program in a file; Keras's safe mode refuses it, and so do we."""
    import keras

    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(keras.layers.Lambda(lambda value: value * 2)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(7, activation="softmax")(flat))
    path = tmp_path / "net.keras"
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(models.CARD, json.dumps({"expressions": list(EXPRESSIONS)}))
    with pytest.raises(ModelError, match=r"net\.keras"):
        models.load(path)


def test_an_archive_that_unpacks_to_too_much_is_not_opened(classifier, tmp_path, monkeypatch):
    path = models.save(classifier, tmp_path / "net.keras")
    monkeypatch.setattr(models, "LARGEST_MODEL", 1000)
    with pytest.raises(ModelError, match="unpacks to"):
        models.load(path)
