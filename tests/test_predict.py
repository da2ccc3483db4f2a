"""``predict.py``: photos in, one line per face out; bad inputs are named, and stop no others."""

import json

import numpy as np
import pytest
from drawn import of_classes
from PIL import Image

import predict
from utils import evaluation, faces, figures, models, photos, records, runtime
from utils.expressions import COLORS, EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.faces import Box, Detection

pytestmark = pytest.mark.usefixtures("ready")

BOX = Box(10, 5, 40, 45)


def network(path, shape=(32, 32, 1), expressions=EXPRESSIONS):
    small = {"filters": (4, 4, 8, 8, 8), "dense": 16}
    model = models.build("cnn5", shape, len(expressions), **small)
    return models.save(models.Classifier(model, expressions), path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return network(tmp_path_factory.mktemp("networks") / "small.keras")


@pytest.fixture
def seen(monkeypatch):
    """Put one face into every photo, and keep the pixels that the detector was shown."""
    shown = []
    answer = [Detection(BOX, 0.987)]
    monkeypatch.setattr(faces, "detect", lambda pixels, *_, **__: shown.append(pixels) or answer)
    return shown


@pytest.fixture
def ask(small, ask):
    """Run the command line with a small network, or another."""
    return lambda *arguments, model=small: ask(f"--model={model}", *arguments)


def picture(height=60, width=80):
    """Draw a gray picture with a red quarter at its top left."""
    pixels = np.random.default_rng(0).integers(100, 140, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    return pixels


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


# What it prints


def test_a_face_is_a_line(ask, photo, seen):
    code, out, err = ask(photo, "--top", "2")
    head, line = out.splitlines()
    assert (code, err) == (0, "")
    assert head == f"{photo} (80×60): 1 face"
    assert line.split()[0] in EXPRESSIONS
    assert line.split("  at ")[0].count("%") == 2
    assert "left 10, top 5, right 40, bottom 45  (detector 0.987)" in line
    np.testing.assert_array_equal(seen[0], picture())


def test_json_is_one_object_with_everything(ask, photo, seen):
    code, out, _ = ask(photo, photo, "--json", "--margin", "0.1", "--detector", "haar")
    told = json.loads(out)
    assert (code, told["detector"], told["margin"]) == (0, "haar", 0.1)
    assert (told["network"]["name"], told["network"]["test_accuracy"]) == ("small", None)
    first, second = told["photos"]
    assert first == second
    assert (first["photo"], first["width"], first["height"]) == (str(photo), 80, 60)
    (face,) = first["faces"]
    assert face["box"] == {"left": 10, "top": 5, "right": 40, "bottom": 45}
    assert face["detector_confidence"] == 0.987
    assert list(face["probabilities"]) == list(EXPRESSIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["probabilities"][face["expression"]] == max(face["probabilities"].values())


def test_all_faces_of_a_photo_are_asked_about_at_once_as_training_showed_them(
    photo, small, monkeypatch
):
    boxes = [Box(at, 5, at + 20, 45) for at in (0, 10, 30)]
    monkeypatch.setattr(faces, "detect", lambda *_, **__: [Detection(box, 0.5) for box in boxes])
    classifier = models.load(small)
    asked = []
    monkeypatch.setattr(
        models.Classifier,
        "predict",
        lambda _, images: asked.append(images) or np.full((3, 7), 1 / 7, np.float32),
    )
    found = photos.read(photo, classifier, margin=0.2)
    crops = [faces.to_gray(faces.crop(picture(), box, margin=0.2, size=32)) for box in boxes]
    (given,) = asked
    np.testing.assert_array_equal(given[..., 0], crops)
    assert [face.box for face in found.faces] == boxes


def test_a_photo_without_a_face_says_so_and_is_no_error(ask, photo, monkeypatch, tmp_path):
    monkeypatch.setattr(faces, "detect", lambda *_, **__: [])
    code, out, err = ask(photo, "--save", tmp_path / "marked")
    assert (code, out, err) == (0, f"{photo} (80×60): no face found\n", "")
    assert not (tmp_path / "marked").exists()
    assert json.loads(ask(photo, "--json")[1])["photos"][0]["faces"] == []


def test_a_network_with_a_record_says_how_good_it_is(tmp_path, monkeypatch):
    made = of_classes(np.arange(40) % 7, np.arange(40) % 5, copies=np.arange(40) < 4)
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
        assert told["test_views"] == 1
    # Tested with ten views, it is used with ten.
    info = {"dataset": "fer2013", "settings": {"test_time_augmentation": 10}}
    records.write_info(folder, info)
    assert photos.describe(folder / "model.keras")["test_views"] == 10
    # A file elsewhere may have the name of a run without being its network.
    assert photos.describe(tmp_path / "some-run.keras")["test_accuracy"] is None


def test_networks_of_other_classes_channels_and_sides_work(ask, photo, seen, tmp_path):
    for shape, names in (((40, 40, 3), EXPRESSIONS), ((48, 32, 1), FERPLUS_EXPRESSIONS)):
        other = network(tmp_path / "other.keras", shape, names)
        code, out, err = ask(photo, "--json", model=other)
        assert (code, err) == (0, "")
        assert tuple(json.loads(out)["photos"][0]["faces"][0]["probabilities"]) == names


# The marked picture


def test_the_marked_picture_shows_the_box_in_the_expressions_color(ask, photo, seen, tmp_path):
    code, out, _ = ask(photo, "--save", tmp_path / "marked")
    written = tmp_path / "marked" / "photo-faces.png"
    assert code == 0
    assert f"written: {written}" in out
    marked = np.asarray(Image.open(written))
    factor = figures.ANNOTATED_SIDES[0] / 80
    assert marked.shape == (60 * factor, 80 * factor, 3)
    color = COLORS[out.splitlines()[1].split()[0]].lstrip("#")
    assert marked[round(factor * 25), round(factor * 10)].tobytes().hex() == color.lower()


def test_save_never_writes_over_a_file(ask, photo, seen, tmp_path, monkeypatch):
    """The user's ``photo-faces.png``, a link, a folder, one photo twice, two with the same name."""
    mine = tmp_path / "photo-faces.png"
    Image.fromarray(picture(30, 40)).save(mine)
    (tmp_path / "photo-faces-2.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "photo-faces-3.png").mkdir()
    other = tmp_path / "other" / "photo.jpg"
    other.parent.mkdir()
    Image.fromarray(picture()).save(other)
    before = {path: path.read_bytes() for path in (photo, mine, other)}
    monkeypatch.chdir(tmp_path)
    code, out, err = ask("photo.png", mine, "photo.png", other, "--save", ".")
    assert (code, err) == (0, "")
    names = [line.split()[-1] for line in out.splitlines() if "written" in line]
    assert names == [
        *("photo-faces-4.png", "photo-faces-faces.png", "photo-faces-5.png", "photo-faces-6.png")
    ]
    assert all(Image.open(name).size[0] > 80 for name in names)
    assert before == {path: path.read_bytes() for path in before}
    assert not (tmp_path / "nowhere.png").exists()
    told = json.loads(ask("photo.png", "--save", ".", "--json")[1])["photos"]
    assert told[0]["annotated"] == "photo-faces-7.png"


def test_what_cannot_be_saved_is_one_line_and_leaves_nothing(ask, photo, seen, tmp_path):
    (tmp_path / "marked").write_text("a file")
    code, out, err = ask(photo, "--save", tmp_path / "marked")
    assert (code, err.count("\n")) == (1, 1)
    assert "1 face" in out
    assert "marked: a file, expected a folder" in err
    long = photo.rename(tmp_path / f"{'x' * 250}.png")
    code, out, err = ask(long, photo, "--save", tmp_path / "new")
    assert (code, err.count("\n")) == (1, 2)
    assert list((tmp_path / "new").iterdir()) == []


# Bad input


def test_a_bad_photo_is_named_and_the_others_are_read(ask, photo, seen, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\x1b[2J not a picture")
    Image.new("1", (8_000, 8_000)).save(tmp_path / "bomb.png")
    (tmp_path / "empty").mkdir()
    code, out, err = ask(
        *(bad, photo, tmp_path / "bomb.png", tmp_path / "empty", tmp_path / "no\x1b[2J\n.png")
    )
    assert code == 1
    assert out.splitlines()[0] == f"{photo} (80×60): 1 face"
    lines = err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"predict.py: {tmp_path}") for line in lines)
    assert "\x1b" not in err
    code, out, _ = ask(photo, bad, "--json")
    assert (code, [one["photo"] for one in json.loads(out)["photos"]]) == (1, [str(photo)])


def test_where_nothing_is_there_no_table_is_left_in_the_way(ask, tmp_path):
    code, _, err = ask(tmp_path / "video.mp4", "--table", tmp_path / "video.csv")
    assert (code, err.count("\n")) == (1, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["日本語 ✂.png", "-dash.png", "ESC\x1b[2J.png", "caf\udce9.png"])
def test_photos_of_any_name_and_kind_are_read(ask, tmp_path, seen, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    try:
        Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90).save(name, exif=exif)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    code, out, err = ask("--save", tmp_path, "--", name)
    assert (code, err) == (0, "")
    assert "(80×60): 1 face" in out
    assert "\x1b" not in out
    np.testing.assert_array_equal(seen[0], picture())
    assert len(list(tmp_path.iterdir())) == 2


def test_a_bad_network_is_one_line(ask, photo, tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"no network")
    code, out, err = ask(photo, "--json", model=tmp_path / "bad.keras")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("predict.py: ")
    assert "bad.keras" in err
    assert models.DEFAULT in ask(photo, model="resnot")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        *(["a.jpg", "--margin", bad] for bad in ("-0.1", "nan", "wide")),
        ["a.jpg", "--top", "0"],
        ["a.jpg", "--detector", "dlib"],
        ["video.mp4", "--json"],
        ["a.jpg", "--engine", "threads", "--table", "t"],
        ["a.jpg", "--engine", "ray"],
        ["a.jpg", "--workers", "2", "--table", "t.csv"],
        ["a.jpg", "--workers", "0", "--engine", "ray", "--table", "t"],
        *(
            ["a.jpg", "--engine", "ray", "--table", "t", *more]
            for more in (["--json"], ["--save", "s"], ["--camera", "0"])
        ),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        predict.main(arguments)
    assert left.value.code == 2
    assert "usage: predict.py" in capsys.readouterr().err


# The real thing


def test_the_default_margin_is_what_was_measured(root):
    """No margin is better than the default by more than one standard error of its count."""
    record = json.loads((root / "results" / "photos" / "margin.json").read_text(encoding="utf-8"))
    for kind in ("own", "centerface"):
        count, correct = record[kind]["faces"], record[kind]["correct"]
        best = max(correct.values())
        assert correct[f"{photos.MARGIN:g}"] >= best - np.sqrt(best * (1 - best / count))
