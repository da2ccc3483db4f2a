"""Networks without Keras: exports predict the same; what is not a network is reported."""

import json

import numpy as np
import onnx
import pandas as pd
import processes
import pytest
from PIL import Image

import predict
from utils import export, faces, inference, models, photos, runtime
from utils.expressions import EXPRESSIONS
from utils.faces import Box, Detection
from utils.runtime import DataError, ModelError

ABOUT = {"name": "small", "trained_on": None, "test_accuracy": None}


@pytest.fixture(scope="module")
def keras_network():
    runtime.setup(0)
    small = {"filters": (4, 4, 8, 8, 8), "dense": 16}
    return models.Classifier(models.build("cnn5", (32, 48, 3), len(EXPRESSIONS), **small))


@pytest.fixture(scope="module")
def small(keras_network, tmp_path_factory):
    return export.to_onnx(keras_network, tmp_path_factory.mktemp("networks") / "small.onnx", ABOUT)


def noise(count, shape=(32, 48, 3)):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_an_exported_network_answers_as_keras_does(keras_network, small):
    classifier = inference.load(small)
    assert (classifier.input_shape, classifier.expressions) == ((32, 48, 3), EXPRESSIONS)
    assert classifier.metadata["accuracy"] == ABOUT
    assert (classifier.metadata["size"], classifier.metadata["channels"]) == ([32, 48], 3)
    images = noise(inference.BATCH + 3)  # more than one call, the last one not full
    np.testing.assert_allclose(classifier.predict(images), keras_network.predict(images), atol=2e-3)
    assert classifier.predict(images[:0]).shape == (0, 7)


def test_litert_answers_nearly_as_keras_does(keras_network, tmp_path):
    images = noise(20)
    exact = keras_network.predict(images)
    path = export.to_litert(keras_network, tmp_path / "half.tflite")
    np.testing.assert_allclose(export.litert(path)(images), exact, atol=0.01)
    path = export.to_litert(keras_network, tmp_path / "int8.tflite", calibration=images)
    np.testing.assert_allclose(export.litert(path)(images), exact, atol=0.1)
    found = export.measure([path], keras_network, images, exact.argmax(axis=1))
    assert found["keras"]["accuracy"] == 1
    assert found["int8.tflite"]["bytes"] == path.stat().st_size
    assert found["int8.tflite"]["difference"] <= 0.1


def test_an_averaged_network_is_the_mean_of_its_views_in_every_format(keras_network, tmp_path):
    images = noise(5)
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    moved = [padded[:, y : y + 32, x : x + 48] for y in (0, 6) for x in (0, 6)]
    for shown in ([images], [images, *moved]):
        seen = [*shown, *(one[:, :, ::-1] for one in shown)]
        expected = np.mean([keras_network.predict(one) for one in seen], axis=0)
        mean = models.averaged(keras_network, len(seen))
        np.testing.assert_allclose(mean.predict(images), expected, atol=1e-5)
    answers = inference.load(export.to_onnx(mean, tmp_path / "mean.onnx", ABOUT)).predict(images)
    np.testing.assert_allclose(answers, expected, atol=2e-3)
    for calibration, tolerance in ((None, 0.01), (images, 0.1)):
        path = export.to_litert(mean, tmp_path / "mean.tflite", calibration=calibration)
        np.testing.assert_allclose(export.litert(path)(images), expected, atol=tolerance)


def test_the_released_network_is_the_keras_one_in_half_the_bytes(root):
    classifier = inference.load()
    whole, about = photos.load_keras(root / "models" / f"{inference.DEFAULT}.keras")
    assert classifier.metadata["accuracy"] == about
    assert classifier.expressions == whole.expressions
    gray = noise(40, whole.input_shape)
    np.testing.assert_allclose(classifier.predict(gray), whole.predict(gray), atol=5e-3)
    path = root / "models" / f"{inference.DEFAULT}.onnx"
    stored = {weights.data_type for weights in onnx.load(path).graph.initializer if weights.dims}
    assert onnx.TensorProto.FLOAT16 in stored
    assert path.stat().st_size < 2.1 * whole.model.count_params()
    record = runtime.read_json(root / "results" / "benchmarks" / "exports.json")
    measured = record["files"][path.name]
    assert measured["difference"] < 5e-3
    assert measured["changed"] <= 3
    assert measured["bytes"] == path.stat().st_size
    assert abs(classifier.metadata["accuracy"]["test_accuracy"] - measured["accuracy"]) < 0.001


@pytest.mark.real_data
def test_every_private_test_face_gets_nearly_the_same_probabilities():
    from utils import datasets, training

    if not (runtime.RAW / "fer2013").exists():
        pytest.skip("data/raw has no fer2013")
    classifier, (whole, _) = inference.load(), photos.load_keras(models.find(inference.DEFAULT))
    images = training.faces_for(whole, datasets.load("fer2013").part("test").images)
    assert np.abs(classifier.predict(images) - whole.predict(images)).max() < 5e-3


def without_metadata(path):
    model = onnx.load(path)
    del model.metadata_props[:]
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.read_bytes()[:-2000], "cannot load it"),
        (lambda path: b"not a network", "cannot load it"),
        (lambda path: b"", "cannot load it|names? no expressions"),
        (without_metadata, "names? no expressions"),
    ],
)
def test_what_is_no_network_is_named(small, tmp_path, spoil, words):
    path = tmp_path / "bad.onnx"
    path.write_bytes(spoil(small))
    with pytest.raises(ModelError, match=rf"^bad\.onnx: .*({words})") as told:
        inference.load(path)
    assert "\n" not in str(told.value)


def test_an_absent_network_and_faces_that_do_not_fit_are_named(small, tmp_path):
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ModelError, match=r"expected an \.onnx file"):
            inference.load(path)
    with pytest.raises(ModelError, match=r"\(n, 32, 48, 3\), but got \(2, 32, 48\)"):
        inference.load(small).predict(noise(2, (32, 48)))


def test_a_face_on_its_side_is_shown_upright(small):
    pixels = noise(1, (80, 90, 3))[0]
    found = [Detection(Box(10, 20, 50, 60), 0.9, turns) for turns in range(4)]
    crops = photos.cropped(pixels, found, inference.load(small))
    square = faces.crop(pixels, found[0].box, size=48)
    for turns in range(4):
        expected = faces.resize(np.rot90(square, turns)[None], (32, 48))[0]
        np.testing.assert_array_equal(crops[turns], expected)


def test_a_name_is_onnx_where_there_is_one_and_a_runs_own_file_comes_first(
    small, keras_network, tmp_path, monkeypatch
):
    monkeypatch.setattr(runtime, "MODELS", small.parent)
    monkeypatch.setattr(runtime, "RESULTS", tmp_path)
    for name in ("small", small):
        classifier, about = photos.load(name)
        assert (type(classifier), about) == (inference.Classifier, ABOUT)
    models.save(keras_network, tmp_path / "small" / "model.keras")
    classifier, about = photos.load("small")
    assert (type(classifier), about["name"]) == (models.Classifier, "small")


# predict.py


def test_predict_in_another_folder_needs_no_tensorflow(root, tmp_path):
    """CenterFace and the released network."""
    script = (
        "import sys, predict; code = predict.main([sys.argv[1], '--json']); "
        "heavy = {'tensorflow', 'keras', 'pandas', 'matplotlib', 'scipy', 'sklearn'}; "
        "print(heavy & set(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    photo = root / "data" / "photos" / "astronaut.jpg"
    code, out, err = processes.run("-c", script, photo, cwd=tmp_path)
    assert (code, err) == (0, "set()\n")
    told = json.loads(out)
    assert told["network"]["name"] == inference.DEFAULT
    assert 0.5 < told["network"]["test_accuracy"] < 0.8
    (face,) = told["photos"][0]["faces"]
    assert faces.overlap(faces.Box(**face["box"]), faces.Box(180, 65, 265, 172)) > 0.7
    assert face["expression"] == "happy"


def test_folders_and_patterns_name_photos(tmp_path):
    for name in ("b.png", "a.JPG", "note.txt", "video.mp4", "in/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "[1].png").write_bytes(b"")  # a file's own name is not a pattern
    names = [tmp_path, tmp_path / "*.p*", tmp_path / "[1].png", tmp_path / "no?", "gone.png"]
    found, errors = photos.listed([*map(str, names), str(tmp_path / "empty")])
    inside = ["[1].png", "a.JPG", "b.png", "in/c.webp"]
    fitting = ["[1].png", "b.png"]
    expected = [str(tmp_path / name) for name in (*inside, *fitting, "[1].png")]
    assert found == [*expected, "gone.png"]
    assert ["no file matches" in str(errors[0]), "no photo in" in str(errors[1])] == [True, True]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_photos_give_one_table(root, tmp_path, ending):
    Image.new("RGB", (50, 40)).save(tmp_path / "blank.png")
    path = tmp_path / f"faces.{ending}"
    astronaut = str(root / "data" / "photos" / "astronaut.jpg")
    given = [astronaut, str(tmp_path / "blank.png"), astronaut, "--table", str(path)]
    assert predict.main(given) == 0
    table = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert table["file"].tolist() == [astronaut] * 2
    assert table["expression"].tolist() == ["happy"] * 2
    np.testing.assert_allclose(table[list(EXPRESSIONS)].sum(axis=1), 1, atol=1e-4)
    assert table["frame"].isna().all()
    with pytest.raises(DataError, match="already exists"):
        predict.main(given)
    with pytest.raises(DataError, match=r"ending in \.csv or \.parquet"):
        predict.main([astronaut, "--table", str(tmp_path / "faces.xlsx")])


def test_of_a_parquet_table_that_is_not_closed_its_rows_are_left(tmp_path):
    table = photos.Table(tmp_path / "a.parquet", ("happy", "sad"))
    table.add([("a.png", None, None, 1, 0, 0, 9, 9, 0.9, "happy", 0.7, 0.7, 0.3)])
    left = (tmp_path / "a.parquet.csv").read_text().splitlines()
    assert left[1] == "a.png,,,1,0,0,9,9,0.9,happy,0.7,0.7,0.3"
    table.__exit__()
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_weights_in_another_file_are_refused(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = onnx.load(small)
    onnx.save(model, "outside.onnx", save_as_external_data=True, location="w", size_threshold=0)
    with pytest.raises(ModelError, match=r"^outside\.onnx: "):
        inference.session(tmp_path / "outside.onnx")
