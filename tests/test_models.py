"""Networks are found by name, and survive saving with their class names."""

import importlib.util
import json
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pandas as pd
import processes
import pytest

from utils import models, runtime, training
from utils.expressions import EXPRESSIONS
from utils.runtime import ModelError

pytestmark = pytest.mark.usefixtures("ready")

SMALL = {"filters": (4, 4, 8, 8, 8), "dense": 16}

#: Settings that make each network small enough for a test; vgg16's convolutions are fixed.
SMALLEST = {
    "cnn3": {"filters": (4, 4, 8), "dense": 8},
    "cnn4": {"filters": (4, 4, 8, 8), "dense": (8, 8, 8)},
    "cnn5": SMALL,
    "vgg16": {"dense": (8,)},
    "resnet": {"filters": (4, 4, 8, 8), "blocks": (1, 1, 1, 1)},
    "resnet8": {"stem": 4, "filters": (4, 8), "blocks": (1, 1)},
    "dlib_face": {"stages": 1},
    "efficientnet_lite": {},
    "mobilenet_face": {"blocks": 1},
}


@pytest.fixture(scope="module")
def classifier():
    return models.Classifier(models.build("cnn5", (32, 32, 1), **SMALL), EXPRESSIONS)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (9, 32, 32, 1), dtype=np.uint8)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ModelError, match=r"'resnot'.*cnn5"):
        models.build("resnot")


def test_a_setting_that_a_network_lacks_is_said():
    with pytest.raises(ModelError, match=r"cnn3 cannot be built with .*color"):
        models.build("cnn3", color="blue")
    with pytest.raises(ModelError, match="4 widths and 3 stages"):
        models.build("resnet", blocks=(2, 2, 2))
    with pytest.raises(ModelError, match="1 or 3 channels"):
        models.build("vgg16", (48, 48, 2))


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("cnn3", 8),
        ("cnn4", 16),
        ("cnn5", 32),
        ("vgg16", 32),
        ("resnet", 16),
        ("dlib_face", 11),
        ("efficientnet_lite", 32),
        ("mobilenet_face", 32),
    ],
)
def test_faces_too_small_for_the_poolings_are_refused(name, side):
    assert models.build(name, (side, side, 1), **SMALLEST[name]).output_shape == (None, 7)
    with pytest.raises(ModelError, match=f"sides of {side}"):
        models.build(name, (side, side - 1, 1), **SMALLEST[name])


def test_a_network_is_added_by_one_decorated_function():
    @models.network(size=24, recipe={"epochs": 3})
    def perceptron(input_shape, classes, *, units=4):
        inputs = keras.Input(input_shape)
        values = keras.layers.Flatten()(inputs)
        values = keras.layers.Dense(units)(values)
        outputs = keras.layers.Dense(classes, activation="softmax")(values)
        return keras.Model(inputs, outputs)

    try:
        assert models.build("perceptron", units=5).input_shape == (None, 24, 24, 1)
        assert training.recipe("perceptron").epochs == 3
    finally:
        del models.NETWORKS["perceptron"]


def test_the_networks_are_as_they_are_described():
    tables = {
        name: models.layers_table(models.build(name)) for name in (*models.ANCESTORS, "resnet8")
    }
    table = pd.DataFrame(
        {name: one[["parameters", "multiply_adds"]].sum() for name, one in tables.items()}
    ).T
    sides = {name: one["output"].iloc[0] for name, one in tables.items()}
    assert sides == {**dict.fromkeys(tables, "48×48×1"), "cnn5": "64×64×1"}
    kinds = pd.DataFrame({name: one["kind"].value_counts() for name, one in tables.items()})
    # He et al. 2016: ResNet-18 has 17 convolutions on its main path, and three 1×1 shortcuts;
    # VGG16 has 13, and here one that prepares colors.
    assert kinds.loc["Conv2D"].tolist()[:5] == [3, 4, 5, 14, 20]
    assert kinds.loc["Dense"].tolist()[:5] == [2, 4, 2, 2, 1]
    # VGG16's convolutions have 14,714,688 weights (keras.applications' documentation); 6 make
    # three channels of gray, the rest is the head: 512×512+512 and 512×7+7.
    assert table.loc["vgg16", "parameters"] == 14_714_688 + 6 + 262_656 + 3_591
    assert (table["multiply_adds"] > 20e6).all()
    assert table["parameters"].round(-5)["resnet8"] == 1_200_000  # as its description says


def test_pixels_are_prepared_as_described():
    """Each network's first layer against the arithmetic that its description gives."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1), dtype=np.uint8)

    def prepared(name, layer, images):
        network = models.build(name, (48, 48, images.shape[-1]), **SMALLEST[name])
        first = keras.Model(network.input, network.get_layer(layer).output)
        return np.asarray(first(images.astype(np.float32)))

    np.testing.assert_allclose(prepared("cnn3", "scale", pixels), pixels / 255, atol=1e-6)
    around_zero = (pixels / 255 - 0.5) / 0.5
    for name in ("cnn4", "cnn5", "resnet"):
        np.testing.assert_allclose(prepared(name, "scale", pixels), around_zero, atol=1e-6)

    colour = np.random.default_rng(1).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
    from_keras = keras.applications.vgg16.preprocess_input
    for images, three in ((pixels, np.repeat(pixels, 3, axis=-1)), (colour, colour)):
        np.testing.assert_allclose(
            prepared("vgg16", "imagenet_colours", images),
            from_keras(three.astype(np.float32)),
            atol=1e-4,
        )


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """Weights of a VGG16 without its head, random, in the file format of the download."""
    from keras.src.legacy.saving import legacy_h5_format

    keras.utils.set_random_seed(5)
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    path = tmp_path_factory.mktemp("weights") / "vgg16_notop.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, base)
    return path, base.get_layer("block4_conv2").get_weights()[0]


def test_vgg16_starts_from_a_file_or_asks_keras_for_imagenets_weights(stand_in, monkeypatch):
    """The real loading code, except the download, which returns the stand-in."""
    from keras.src.applications import vgg16

    path, kernel = stand_in
    asked = []

    def get_file(name, origin, **_):
        asked.append(origin)
        return str(path)

    monkeypatch.setattr(vgg16.file_utils, "get_file", get_file)
    for weights in (str(path), "imagenet"):
        network = models.build("vgg16", weights=weights)
        np.testing.assert_array_equal(network.get_layer("block4_conv2").get_weights()[0], kernel)
    assert asked[0].startswith("https://storage.googleapis.com/")
    assert "notop" in asked[0]


def test_weights_that_cannot_be_had_are_said(tmp_path, monkeypatch):
    from keras.src.applications import vgg16

    def no_network(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(vgg16.file_utils, "get_file", no_network)
    with pytest.raises(ModelError, match=r"vgg16 .*'imagenet'.*: URL fetch failure"):
        models.build("vgg16", weights="imagenet")
    with pytest.raises(ModelError, match=r"cannot be built with .*path to the weights file"):
        models.build("vgg16", weights=str(tmp_path / "vgg.h5"))
    (tmp_path / "vgg.weights.h5").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"vgg16 cannot be built with .*vgg\.weights\.h5"):
        models.build("vgg16", weights=str(tmp_path / "vgg.weights.h5"))


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("vgg16", [(512, 8), (8,), (8, 7), (7,)]),
        ("cnn5", [(8, 16), (16,), (16, 7), (7,)]),
        ("resnet8", [(8, 7), (7,)]),
    ],
)
def test_freezing_leaves_the_dense_layers_alone_to_learn(name, head):
    network = models.build(name, (32, 32, 1), **SMALLEST[name])
    everything = len(network.trainable_variables)
    models.freeze_base(network, True)
    assert [weight.shape for weight in network.trainable_variables] == head
    models.freeze_base(network, False)
    assert len(network.trainable_variables) == everything > len(head)


STEP_AND_SAVE = """
import sys
import numpy as np
from utils import runtime

runtime.setup(0)
import keras
from utils import models

assert keras.backend.backend() == sys.argv[1]
from test_models import SMALLEST

rng = np.random.default_rng(0)
images = rng.integers(0, 256, (8, 32, 32, 1)).astype("float32")
one_hot = np.eye(7, dtype="float32")[np.arange(8) % 7]
for name in models.NETWORKS:
    model = models.build(name, (32, 32, 1), **SMALLEST[name])
    before = model.get_weights()
    model.compile(keras.optimizers.AdamW(1e-3), "categorical_crossentropy")
    loss = model.train_on_batch(images, one_hot)
    assert np.isfinite(loss), (name, loss)
    moved = sum(not np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert moved >= len(model.trainable_variables) * 0.9, (name, moved)
    file = models.save(models.Classifier(model), f"{sys.argv[2]}/{name}.keras")
    np.save(f"{sys.argv[2]}/{name}.npy", models.load(file).predict(images))
print("stepped")
"""


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_every_network_learns_on_both_backends_and_its_file_loads_here(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend} installed")
    words = ("-c", STEP_AND_SAVE, backend, tmp_path)
    code, out, err = processes.run(*words, KERAS_BACKEND=backend)
    assert (code, out) == (0, "stepped\n"), err
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1)).astype("float32")
    for name in models.NETWORKS:
        classifier = models.load(tmp_path / f"{name}.keras")
        assert classifier.expressions == EXPRESSIONS
        assert classifier.input_shape == (32, 32, 1)
        there = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(classifier.predict(images), there, atol=1e-5)


def test_networks_are_found_by_what_a_person_calls_them(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(runtime, "MODELS", tmp_path / "models")
    released = models.save(classifier, tmp_path / "models" / "small.keras")
    run = models.save(classifier, tmp_path / "results" / "mine" / "model.keras")
    assert models.find("small") == models.find(released) == models.find(str(released)) == released
    assert models.find("mine") == models.find(run.parent) == run
    (tmp_path / "results" / "gone").mkdir()
    (tmp_path / "results" / "gone" / "run.json").write_text("{}")
    with pytest.raises(ModelError, match=r"gone.*recorded.*not kept.*small"):
        models.find("gone")
    with pytest.raises(ModelError, match=r"'nothing'.*small"):
        models.find("nothing")
    with pytest.raises(ModelError, match="not there"):
        models.find(tmp_path / "nothing.keras")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ModelError, match="a folder"):
        models.find(tmp_path / "folder.keras")


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


def test_floats_and_integers_get_the_same_answers_and_no_faces_get_none(classifier, pixels):
    found = classifier.predict(pixels)
    np.testing.assert_allclose(classifier.predict(pixels.astype(float)), found, rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert classifier.predict(pixels[:0]).shape == (0, 7)


def test_half_precision_computes_a_float32_softmax():
    network = models.with_dtype(models.build("cnn5", (32, 32, 1), **SMALL), "mixed_bfloat16")
    assert network.output.dtype == "float32"
    assert {str(weight.dtype) for weight in network.weights} <= {"float32", "uint32"}


def test_a_saved_network_comes_back_whole(classifier, pixels, tmp_path):
    path = models.save(classifier, tmp_path / "deep" / "net.keras")
    again = models.load(path)
    assert again.expressions == EXPRESSIONS
    assert again.input_shape == (32, 32, 1)
    assert {str(weight.dtype) for weight in again.model.weights} <= {"float32", "uint32"}
    np.testing.assert_allclose(again.predict(pixels), classifier.predict(pixels), atol=3e-3)
    assert [file.name for file in path.parent.iterdir()] == ["net.keras"]


def test_a_sequential_network_is_saved_and_loaded(pixels, tmp_path):
    written = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(7, activation="softmax"),
        ]
    )
    own = models.Classifier(written)
    again = models.load(models.save(own, tmp_path / "own.keras"))
    np.testing.assert_allclose(again.predict(pixels), own.predict(pixels), atol=3e-3)


def test_an_optimizer_is_not_saved(classifier, pixels, tmp_path):
    plain = models.save(classifier, tmp_path / "plain.keras")
    trained = models.build("cnn5", (32, 32, 1), **SMALL)
    trained.compile("adam", "categorical_crossentropy")
    trained.train_on_batch(pixels.astype(np.float32), np.eye(7, dtype=np.float32)[[0] * 9])
    saved = models.save(
        models.Classifier(models.with_dtype(trained, "float32")), tmp_path / "a.keras"
    )
    assert abs(saved.stat().st_size - plain.stat().st_size) < 5_000
    np.testing.assert_allclose(
        models.load(saved).predict(pixels), models.Classifier(trained).predict(pixels), atol=3e-3
    )


@pytest.mark.parametrize("shape", [(2, 48, 48, 1), (2, 32, 32, 3), (32, 32, 1), (2, 32, 32)])
def test_faces_of_another_size_are_refused(classifier, shape):
    with pytest.raises(ModelError, match="32, 32, 1"):
        classifier.predict(np.zeros(shape, np.uint8))


def rewrite(path, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def member(name, content):
    """Damage one member of the archive; None takes it out."""

    def change(members):
        members.pop(name)
        if content is not None:
            members[name] = content

    return lambda path: rewrite(path, change)


DAMAGES = {
    "not there": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "a picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "a pickle": lambda path: path.write_bytes(pickle.dumps({"weights": [1, 2, 3]})),
    "no names": member(models.CARD, None),
    "names for fewer": member(models.CARD, b'{"expressions": ["happy"]}'),
    "names that are numbers": member(models.CARD, b'{"expressions": [1, 2]}'),
    "names that are one text": member(models.CARD, b'{"expressions": "abcdefg"}'),
    "names no JSON": member(models.CARD, b"happy, sad"),
    "no weights": member("model.weights.h5", None),
    "weights no HDF5": member("model.weights.h5", b"weights"),
    "no architecture": member("config.json", b"{}"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_none_of_ours_says_so(classifier, tmp_path, damage):
    path = models.save(classifier, tmp_path / "net.keras")
    damage(path)
    with pytest.raises(ModelError, match=r"net\.keras"):
        models.load(path)


@pytest.mark.parametrize("trick", ["storage", "link", "virtual"])
def test_weights_in_another_file_are_not_read(classifier, tmp_path, trick):
    """HDF5 can point to any of the user's files; not every Keras refuses that (CVE-2026-1669)."""
    path, outside = models.save(classifier, tmp_path / "net.keras"), tmp_path / "outside.h5"
    with zipfile.ZipFile(path) as archive:
        outside.write_bytes(archive.read("model.weights.h5"))
    with h5py.File(outside, "a") as file:
        names = []
        file.visit(names.append)
        name = next(one for one in names if isinstance(file[one], h5py.Dataset))
        shape, kind = file[name].shape, file[name].dtype
        secret = tmp_path / "secret"
        with h5py.File(secret, "w") as other:
            other["weights"] = np.ones(shape, kind)
        del file[name]
        if trick == "storage":
            file.create_dataset(name, shape, kind, external=[(str(secret), 0, 10**4)])
        elif trick == "link":
            file[name] = h5py.ExternalLink(str(secret), "/weights")
        else:
            layout = h5py.VirtualLayout(shape, kind)
            layout[...] = h5py.VirtualSource(secret, "weights", shape)
            file.create_virtual_dataset(name, layout)
    member("model.weights.h5", outside.read_bytes())(path)
    with pytest.raises(ModelError, match=r"net\.keras.*in another file"):
        models.load(path)


def saved(path, build):
    """Save any network with the course's names, as a stranger might."""
    inputs = keras.Input((8, 8, 1))
    build(inputs, keras.layers).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(models.CARD, json.dumps({"expressions": list(EXPRESSIONS)}))
    return path


def answering(last):
    return lambda inputs, layers: keras.Model(inputs, last(layers.Flatten()(inputs), layers))


@pytest.mark.parametrize("count", [1, 3, 40])
def test_answers_that_are_no_probabilities_are_refused(tmp_path, count):
    sigmoid = answering(lambda flat, layers: layers.Dense(7, activation="sigmoid")(flat))
    images = np.full((count, 8, 8, 1), 9, np.uint8)
    broken = models.load(saved(tmp_path / "sigmoid.keras", sigmoid))
    with pytest.raises(ModelError, match=r"not probabilities.*sums to"):
        broken.predict(images)
    softmax = answering(lambda flat, layers: layers.Dense(7, activation="softmax")(flat))
    broken = models.load(saved(tmp_path / "nan.keras", softmax))
    broken.model.set_weights([np.full_like(one, np.nan) for one in broken.model.get_weights()])
    with pytest.raises(ModelError, match=r"not probabilities: found \d+ of \d+ with NaN"):
        broken.predict(images)


def test_networks_of_another_form_are_refused(tmp_path):
    def a_map(inputs, layers):
        return keras.Model(inputs, layers.Conv2D(7, 1, activation="softmax")(inputs))

    def five_classes(inputs, layers):
        return answering(lambda flat, layers: layers.Dense(5, activation="softmax")(flat))(
            inputs, layers
        )

    def flat_rows(inputs, layers):
        rows = keras.Input((64,))
        return keras.Model(rows, layers.Dense(7, activation="softmax")(rows))

    for build, message in (
        (a_map, "its output has the shape"),
        (five_classes, "its output has the shape"),
        (flat_rows, r"takes inputs of shape \(None, 64\), not faces of 1 or 3"),
    ):
        with pytest.raises(ModelError, match=message):
            models.load(saved(tmp_path / f"{build.__name__}.keras", build))


def test_a_network_answers_some_of_its_expressions_in_any_order(classifier, pixels):
    some = models.restrict(classifier, ("sad", "happy"))
    whole = classifier.predict(pixels)[:, [4, 3]]
    np.testing.assert_allclose(
        some.predict(pixels), whole / whole.sum(axis=1, keepdims=True), rtol=1e-4
    )


def test_code_inside_a_model_file_is_not_run(tmp_path):
    """A Lambda layer is a program in a file; Keras's safe mode refuses it, and so do we."""
    program = answering(
        lambda flat, layers: layers.Dense(7, activation="softmax")(
            layers.Lambda(lambda value: value * 2)(flat)
        )
    )
    with pytest.raises(ModelError, match=r"net\.keras"):
        models.load(saved(tmp_path / "net.keras", program))


def test_an_archive_that_unpacks_to_too_much_is_not_opened(classifier, tmp_path, monkeypatch):
    path = models.save(classifier, tmp_path / "net.keras")
    monkeypatch.setattr(models.files, "LARGEST_MODEL", 1000)
    with pytest.raises(ModelError, match="unpacks to"):
        models.load(path)
