"""``predict.py``: photos in, a line a face out; every bad input named, none stopping the others."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import predict
from utils import evaluation, faces, figures, models, photos, records, runtime
from utils.expressions import COLORS, EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.faces import Box, Detection
from utils.runtime import DataError, ModelError

SMALL = {"filters": (4, 4, 8, 8, 8), "dense": 16}
BOX = Box(10, 5, 40, 45)


@pytest.fixture(scope="module", autouse=True)
def ready():
    runtime.setup(0)


def network(path, shape=(32, 32, 1), expressions=EXPRESSIONS):
    model = models.build("cnn5", shape, len(expressions), **SMALL)
    return models.save(models.Classifier(model, expressions), path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return network(tmp_path_factory.mktemp("networks") / "small.keras")


@pytest.fixture
def seen(monkeypatch):
    """Put one face into every photo, and keep the pixels that the detector was shown."""
    shown = []

    def detect(pixels, detector="mtcnn"):
        shown.append(pixels)
        return [Detection(BOX, 0.987)]

    monkeypatch.setattr(faces, "detect", detect)
    return shown


@pytest.fixture
def ask(small, capsys):
    """Run the command; return its exit code, stdout and stderr."""

    def run(*arguments, model=small):
        code = predict.main([*map(str, arguments), "--model", str(model)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def picture(height=60, width=80):
    """Draw a grey picture with a red quarter at its top left."""
    pixels = np.random.default_rng(0).integers(100, 140, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    return pixels


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(picture()).save(path)
    return path


# ------------------------------------------------------------------------------ what it says


def test_a_face_is_a_line(ask, photo, seen):
    code, out, err = ask(photo)
    head, line = out.splitlines()
    assert (code, err) == (0, "")
    assert head == f"{photo} (80×60): 1 face"
    assert line.split()[0] in EXPRESSIONS
    assert "left 10, top 5, right 40, bottom 45" in line
    assert "detector 0.987" in line


def test_json_is_one_object_with_everything(ask, photo, seen):
    code, out, _ = ask(photo, photo, "--json", "--margin", "0.1", "--detector", "haar")
    told = json.loads(out)
    assert code == 0
    assert (told["detector"], told["margin"]) == ("haar", 0.1)
    assert told["network"]["name"] == "small"
    assert told["network"]["test_accuracy"] is None
    first, second = told["photos"]
    assert first == second
    assert (first["photo"], first["width"], first["height"]) == (str(photo), 80, 60)
    (face,) = first["faces"]
    assert face["box"] == {"left": 10, "top": 5, "right": 40, "bottom": 45}
    assert face["detector_confidence"] == 0.987
    assert list(face["probabilities"]) == list(EXPRESSIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["probability"] == max(face["probabilities"].values())
    assert face["probabilities"][face["expression"]] == face["probability"]


def test_the_network_is_shown_the_crop_that_training_would_show_it(photo, small, seen):
    classifier = models.load(small)
    found = photos.read(photo, classifier, margin=0.2)
    crop = faces.to_gray(faces.crop(picture(), BOX, margin=0.2, size=32))
    expected = classifier.predict(crop[None, ..., None])
    np.testing.assert_allclose(found.faces[0].probabilities, expected[0], atol=1e-6)


def test_a_photo_without_a_face_says_so_and_is_no_error(ask, photo, monkeypatch, tmp_path):
    monkeypatch.setattr(faces, "detect", lambda pixels, detector: [])
    code, out, err = ask(photo, "--save", tmp_path / "marked")
    assert (code, out, err) == (0, f"{photo} (80×60): no face found\n", "")
    assert not (tmp_path / "marked").exists()
    code, out, _ = ask(photo, "--json")
    assert (code, json.loads(out)["photos"][0]["faces"]) == (0, [])


def test_faces_keep_the_detectors_order(ask, photo, monkeypatch):
    found = [Detection(Box(at, at, at + 20, at + 20), 1 - at / 100) for at in (0, 10, 30)]
    monkeypatch.setattr(faces, "detect", lambda pixels, detector: found)
    _, out, _ = ask(photo, "--json")
    assert [face["box"]["left"] for face in json.loads(out)["photos"][0]["faces"]] == [0, 10, 30]
    assert "3 faces" in ask(photo)[1]


def test_top_names_as_many_as_there_are(ask, photo, seen):
    two = ask(photo, "--top", "2")[1].splitlines()[1].split("  at ")[0]
    assert two.count("%") == 2
    assert ask(photo, "--top", "99")[1].splitlines()[1].count("%") == 7


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=8), st.integers(1, 9))
def test_the_most_probable_come_first(weights, count):
    probabilities = np.array(weights, np.float32) / sum(weights)
    face = photos.Face(BOX, 1.0, FERPLUS_EXPRESSIONS[: len(weights)], probabilities)
    top = face.top(count)
    assert top[0] == (face.expression, face.probability)
    assert len(top) == min(count, len(weights))
    shares = [share for _, share in top]
    assert shares == sorted(shares, reverse=True)


def test_a_network_with_a_record_says_how_good_it_is(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    made = records.Predictions(
        rng.dirichlet(np.ones(7), 40).astype(np.float32),
        rng.integers(0, 7, 40),
        np.arange(40),
        np.arange(40) < 4,
    )
    folder = tmp_path / "results" / "some-run"
    records.write_info(folder, {"dataset": "fer2013"})
    records.write_history(folder, records.read_history(folder))
    for split in ("validation", "test"):
        records.write_predictions(folder / f"{split}.npz", made)
    found = evaluation.summary(records.load(folder).test)
    monkeypatch.setattr(runtime, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(runtime, "MODELS", tmp_path / "models")
    for place in (folder / "model.keras", tmp_path / "models" / "some-run.keras"):
        told = photos.describe(place)
        assert (told["name"], told["trained_on"], told["test_faces"]) == ("some-run", "fer2013", 40)
        assert told["test_accuracy"] == pytest.approx(found.accuracy, abs=1e-6)
        assert told["test_accuracy_without_copies"] == pytest.approx(
            found.accuracy_without_copies, abs=1e-6
        )
    # A file elsewhere may bear the name of a run without being its network.
    assert photos.describe(tmp_path / "some-run.keras")["test_accuracy"] is None


# ----------------------------------------------------------------------- the marked picture


def test_the_marked_picture_shows_the_box_in_the_expressions_colour(ask, photo, seen, tmp_path):
    code, out, _ = ask(photo, "--save", tmp_path / "marked")
    written = tmp_path / "marked" / "photo-faces.png"
    assert code == 0
    assert f"written: {written}" in out
    expression = out.splitlines()[1].split()[0]
    marked = np.asarray(Image.open(written))
    factor = figures.ANNOTATED_SIDES[0] / 80
    assert marked.shape == (60 * factor, 80 * factor, 3)
    color = [int(COLORS[expression][at : at + 2], 16) for at in (1, 3, 5)]
    edge = marked[round(factor * 25), round(factor * 10)]
    assert edge.tolist() == color


def test_photos_of_one_name_do_not_overwrite_each_other(ask, photo, seen, tmp_path):
    other = tmp_path / "other" / "photo.jpg"
    other.parent.mkdir()
    Image.fromarray(picture()).save(other)
    _, out, _ = ask(photo, other, "--save", tmp_path / "marked", "--json")
    written = [one["annotated"] for one in json.loads(out)["photos"]]
    assert [path.split("/")[-1] for path in written] == ["photo-faces.png", "photo-faces-2.png"]
    assert len(list((tmp_path / "marked").iterdir())) == 2


def test_a_file_in_place_of_the_folder_is_named(ask, photo, seen, tmp_path):
    (tmp_path / "marked").write_text("a file")
    code, out, err = ask(photo, "--save", tmp_path / "marked")
    assert code == 1
    assert "1 face" in out
    assert err.startswith("predict.py: ")
    assert "marked" in err


edges = st.floats(-20, 400, allow_nan=False, width=32)


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3])),
    edges,
    edges,
    st.floats(0.5, 500),
    st.floats(0.5, 500),
    st.sampled_from(["happy 93%", "contempt 41%", "", "Ångström 1%", "surprise 100% " * 9]),
)
def test_any_box_can_be_drawn_on_any_photo(shape, left, top, across, down, caption):
    marked = figures.annotated_photo(
        np.full(shape, 128, np.uint8), [Box(left, top, left + across, top + down)], [caption]
    )
    assert marked.dtype == np.uint8
    assert max(marked.shape[:2]) == figures.ANNOTATED_SIDES[0]


def test_a_large_photo_is_marked_at_a_bounded_size_and_a_photo_stays_as_it_is():
    pixels = np.zeros((1000, 4000, 3), np.uint8)
    assert figures.annotated_photo(pixels, [BOX], ["sad 50%"]).shape == (400, 1600, 3)
    assert pixels.max() == 0
    middle = picture(600, 800)
    np.testing.assert_array_equal(figures.annotated_photo(middle, [], []), middle)


def test_boxes_without_captions_are_refused():
    with pytest.raises(DataError):
        figures.annotated_photo(picture(), [BOX], [])


# --------------------------------------------------------------------------------- bad input


def one_bit_bomb(path):
    Image.new("1", (20_000, 20_000)).save(path.with_suffix(".png"))
    assert path.with_suffix(".png").stat().st_size < 200_000
    return path.with_suffix(".png")


def folder(path):
    path.mkdir()
    return path


def truncated(path):
    Image.fromarray(picture()).save(path)
    path.write_bytes(path.read_bytes()[:400])
    return path


def text(path):
    path.write_text("not a picture")
    return path


def empty(path):
    path.touch()
    return path


def nothing(path):
    return path


@pytest.mark.parametrize("make", [one_bit_bomb, folder, truncated, text, empty, nothing])
def test_a_bad_photo_is_named_and_the_others_are_read(ask, photo, seen, tmp_path, make):
    bad = make(tmp_path / "bad.jpg")
    code, out, err = ask(bad, photo)
    assert code == 1
    assert out.splitlines()[0] == f"{photo} (80×60): 1 face"
    assert err.startswith(f"predict.py: {bad}")
    assert err.count("\n") == 1
    code, out, err = ask(photo, bad, "--json")
    assert code == 1
    assert [one["photo"] for one in json.loads(out)["photos"]] == [str(photo)]
    assert bad.name in err


def save_mode(mode, name, **options):
    def save(path):
        image = Image.fromarray(picture()).convert(mode)
        image.save(path.with_name(name), **options)
        return path.with_name(name)

    return save


def sixteen_bits(path):
    wide = picture()[..., 0].astype(np.uint16) * 257
    Image.fromarray(wide).save(path.with_name("wide.png"))
    return path.with_name("wide.png")


def animation(path):
    frames = [Image.fromarray(picture()), Image.new("RGB", (80, 60))]
    frames[0].save(path.with_name("moves.gif"), save_all=True, append_images=frames[1:])
    return path.with_name("moves.gif")


@pytest.mark.parametrize(
    ("make", "corner"),
    [
        (save_mode("L", "gray.jpg"), (76, 76, 76)),
        (save_mode("1", "bits.png"), None),
        (save_mode("P", "palette.png"), (255, 0, 0)),
        (save_mode("RGBA", "alpha.png"), (255, 0, 0)),
        (save_mode("CMYK", "print.jpg"), (255, 0, 0)),
        (sixteen_bits, (255, 255, 255)),
        (animation, (255, 0, 0)),
    ],
    ids=["gray", "1 bit", "palette", "RGBA", "CMYK", "16 bits", "animation"],
)
def test_photos_of_every_kind_are_read(ask, tmp_path, seen, make, corner):
    code, out, err = ask(make(tmp_path / "photo"))
    assert (code, err) == (0, "")
    assert "(80×60): 1 face" in out
    assert (seen[0].shape, seen[0].dtype) == ((60, 80, 3), np.uint8)
    if corner:
        np.testing.assert_allclose(seen[0][10, 10].astype(int), corner, atol=6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_photo_is_read_upright_and_so_are_its_boxes(ask, tmp_path, seen, orientation):
    upright = Image.fromarray(picture())
    # What has to be done to the upright picture so that this tag brings it back.
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    (upright.transpose(stored) if stored is not None else upright).save(path, exif=exif)
    code, out, _ = ask(path, "--json", "--save", tmp_path)
    (told,) = json.loads(out)["photos"]
    assert (code, told["width"], told["height"]) == (0, 80, 60)
    np.testing.assert_array_equal(seen[0], picture())
    marked = np.asarray(Image.open(told["annotated"]))
    assert marked.shape[0] < marked.shape[1]


def other_classes(path):
    return network(path, expressions=FERPLUS_EXPRESSIONS)


def three_channels(path):
    return network(path, shape=(40, 40, 3))


def two_sides(path):
    return network(path, shape=(48, 32, 1))


@pytest.mark.parametrize("make", [other_classes, three_channels, two_sides])
def test_networks_of_other_classes_channels_and_sizes_work(ask, photo, seen, tmp_path, make):
    code, out, err = ask(photo, "--json", model=make(tmp_path / "other.keras"))
    assert (code, err) == (0, "")
    (face,) = json.loads(out)["photos"][0]["faces"]
    names = FERPLUS_EXPRESSIONS if make is other_classes else EXPRESSIONS
    assert tuple(face["probabilities"]) == names


def cut_off(path):
    network(path)
    path.write_bytes(path.read_bytes()[:-300])


def foreign(path):
    keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten()]).save(path)


@pytest.mark.parametrize("spoil", [cut_off, foreign, folder, text, empty, nothing])
def test_a_bad_network_is_one_line(ask, photo, tmp_path, spoil):
    path = tmp_path / "bad.keras"
    spoil(path)
    code, out, err = ask(photo, model=path)
    assert (code, out) == (1, "")
    assert err.startswith("predict.py: ")
    assert "bad.keras" in err
    assert err.count("\n") == 1


def test_a_network_that_does_not_exist_lists_those_that_do(ask, photo):
    code, _, err = ask(photo, model="resnot")
    assert code == 1
    assert "'resnot'" in err
    assert models.DEFAULT in err


def test_a_network_of_any_size_is_refused(photo, seen):
    inputs = keras.Input((None, None, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(7, activation="softmax")(pooled))
    with pytest.raises(ModelError, match="one height and width"):
        photos.read(photo, models.Classifier(model))


def test_a_missing_detector_package_is_one_line(ask, photo, monkeypatch):
    def detect(pixels, detector):
        raise ImportError("detector 'mtcnn' needs\nthe packages mtcnn and lz4")

    monkeypatch.setattr(faces, "detect", detect)
    code, _, err = ask(photo)
    assert (code, err.count("\n")) == (1, 1)
    assert "needs the packages" in err


def test_mtcnn_on_another_backend_is_named(photo, small, seen, monkeypatch):
    classifier = models.load(small)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match="Keras runs on jax: choose detector 'haar'"):
        photos.read(photo, classifier)
    assert not seen


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.jpg", "--margin", "-0.1"],
        ["a.jpg", "--margin", "nan"],
        ["a.jpg", "--margin", "wide"],
        ["a.jpg", "--top", "0"],
        ["a.jpg", "--detector", "dlib"],
        ["a.jpg", "--unknown"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        predict.main(arguments)
    assert left.value.code == 2
    assert "usage: predict.py" in capsys.readouterr().err


def test_help_names_the_defaults(capsys):
    with pytest.raises(SystemExit) as left:
        predict.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0
    assert f"(default: {models.DEFAULT})" in said
    assert f"(default: {photos.MARGIN:g})" in said


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_file_name_that_is_no_text_can_be_printed(ask, tmp_path, seen):
    path = tmp_path / b"caf\xe9.png".decode("utf-8", "surrogateescape")
    Image.fromarray(picture()).save(path)
    code, out, _ = ask(path, "--json", "--save", tmp_path)
    assert code == 0
    assert json.loads(out)["photos"][0]["photo"].endswith(r"caf\xe9.png")
    assert r"caf\xe9.png" in ask(path)[1]


# --------------------------------------------------------------------------- the real thing


def test_the_default_margin_is_what_was_measured(root):
    """No margin is better than the default by more than one standard error of its count."""
    record = json.loads((root / "results" / "photos" / "margin.json").read_text(encoding="utf-8"))
    assert record["dataset"] == "expw"
    assert "test" not in record["splits"]
    for kind in ("own", "mtcnn"):
        count, correct = record[kind]["faces"], record[kind]["correct"]
        best = max(correct.values())
        error = np.sqrt(best * (1 - best / count))
        assert correct[f"{photos.MARGIN:g}"] >= best - error


def test_the_example_photograph_smiles_on_a_fresh_clone(root, tmp_path):
    """A true process with mtcnn and the released network, from another folder."""
    done = subprocess.run(
        [
            sys.executable,
            root / "predict.py",
            root / "data" / "photos" / "astronaut.jpg",
            *("--json", "--save", "marked"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["network"]["name"] == models.DEFAULT
    assert 0.5 < told["network"]["test_accuracy"] < 0.8
    (photo,) = told["photos"]
    assert (photo["width"], photo["height"]) == (512, 512)
    first = photo["faces"][0]
    face = Box(**first["box"])
    assert faces.overlap(face, Box(180, 65, 265, 172)) > 0.7
    assert first["expression"] == "happy"
    assert (tmp_path / "marked" / "astronaut-faces.png").is_file()
