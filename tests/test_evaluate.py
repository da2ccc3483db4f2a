"""``evaluate.py``: what it prints is what the record says, and what does not fit is refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from drawn import made, of_classes
from PIL import Image

import evaluate
from utils import assessment, datasets, evaluation, models, records, runtime, training
from utils.expressions import EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.runtime import ModelError

pytestmark = pytest.mark.usefixtures("ready")

SMALL = {"filters": (4, 4, 8, 8, 8), "dense": 16}
SPLITS = ["Training"] * 3 + ["PublicTest"] + ["PrivateTest"] * 2


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Keep caches, runs and released networks of these tests out of the repository."""
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(runtime, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(runtime, "MODELS", tmp_path / "models")


@pytest.fixture(scope="module")
def fer(tmp_path_factory):
    """Write 84 rows in FER2013's form; four test pictures are copies of training pictures."""
    pixels = np.random.default_rng(0).integers(0, 256, (84, 2304))
    usage = [SPLITS[row % 6] for row in range(84)]
    for row in (5, 11, 17, 23):
        pixels[row] = pixels[row - 5]
    rows = [
        f"{row % 7},{' '.join(map(str, pixels[row]))},{usage[row]}" for row in range(len(pixels))
    ]
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return path


def save(path, shape=(32, 32, 1), expressions=EXPRESSIONS):
    model = models.build("cnn5", shape, len(expressions), **SMALL)
    return models.save(models.Classifier(model, expressions), path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return save(tmp_path_factory.mktemp("networks") / "small.keras")


@pytest.fixture
def network(kept, tmp_path):
    """Copy the small network to where nothing says what it was trained on."""
    return shutil.copy(kept, tmp_path / "small.keras")


def run_of(folder, network, dataset="fer2013", fingerprint="", **settings):
    """Make a finished run's folder around a network."""
    folder.mkdir(parents=True)
    shutil.copy(network, folder / "model.keras")
    plan = dataclasses.asdict(training.recipe("cnn3", **settings))
    info = {"dataset": dataset, "fingerprint": fingerprint, "settings": plan}
    records.write_info(folder, info)
    records.write_history(folder, records.read_history(folder))
    for split in ("validation", "test"):
        records.write_predictions(folder / f"{split}.npz", of_classes(range(7), range(7)))
    return folder


@pytest.fixture
def ask(fer, tmp_path, capsys):
    """Run the command on the small csv; return what it prints."""

    def run(network, *arguments, data="fer2013"):
        where = ["--data", data, "--path", str(fer)] if data else ["--path", str(fer)]
        results = ["--results", str(tmp_path / "results")]
        evaluate.main([str(network), *where, *results, *map(str, arguments)])
        return capsys.readouterr().out

    return run


def expected(network, fer, split="test"):
    dataset = datasets.load("fer2013", fer, cache=False)
    return records.as_recorded(training.predict(models.load(network), dataset, split))


# ------------------------------------------------------------------------------ what it says


@pytest.mark.parametrize("split", ["test", "validation"])
def test_it_prints_the_summary_of_the_split_asked_for(ask, network, fer, split):
    out = ask(network, "--split", split)
    found = evaluation.summary(expected(network, fer, split))
    assert f"{split}: {found}" in out
    assert found.n == {"test": 28, "validation": 14}[split]
    assert "fer2013 from fer2013.csv: 84 gray faces of 48×48" in out
    assert "macro average" in out
    assert "taken for" in out


def test_json_is_one_object_with_everything(ask, network, fer):
    told = json.loads(ask(network, "--json"))
    predictions = expected(network, fer)
    assert told["network"] == "small"
    assert told["accuracy"] == evaluation.summary(predictions).accuracy
    assert told["n_without_copies"] == 24
    assert list(told["report"])[:7] == list(EXPRESSIONS)
    assert told["fingerprint"] == datasets.load("fer2013", fer, cache=False).fingerprint()
    assert told["written"] is None
    assert "need not have seen them" in " ".join(told["about"])
    assert {"versions", "backend", "hardware", "commit", "command"} <= told.keys()


def test_a_run_is_found_by_name_and_evaluated_on_its_own_data(ask, network, tmp_path):
    run_of(tmp_path / "results" / "a-run", network)
    out = ask("a-run", data=None)
    assert "network: a-run, 32×32×1, trained on fer2013" in out


@pytest.mark.parametrize(
    ("trained_on", "said"),
    [
        ("fer2013", None),
        ("ferplus", None),
        ("expw", "trained on expw, so it need not have seen them"),
        ("", "not recorded, so it need not have seen them"),
    ],
)
def test_copies_are_explained_only_where_they_say_little(ask, network, tmp_path, trained_on, said):
    if trained_on:
        network = run_of(tmp_path / "results" / "a-run", network, trained_on)
    out = ask(network)
    assert "without copies of training pictures" in out
    assert ("need not have seen" in out) == bool(said)
    assert (said or "") in out


def test_what_has_no_number_is_null():
    """If every face is a copy, there is no accuracy without copies; NaN is not JSON."""
    copies = of_classes(range(7), range(7), copies=[True] * 7)
    told = assessment.Assessment({}, copies, (32, 32, 1), ()).as_json()
    assert json.loads(json.dumps(told, allow_nan=False))["accuracy_without_copies"] is None


# -------------------------------------------------------------------------------- the record


def test_the_record_is_what_was_printed(ask, network, fer, tmp_path):
    out = ask(network, "--record")
    folder = tmp_path / "results" / "small"
    (found,) = records.evaluations(folder)
    assert sorted(file.name for file in folder.iterdir()) == [
        "on-fer2013-test.json",
        "on-fer2013-test.npz",
    ]
    assert (found.name, found.dataset, found.split) == ("on-fer2013-test", "fer2013", "test")
    assert f"test: {evaluation.summary(found.predictions)}" in out
    predictions = expected(network, fer)
    np.testing.assert_array_equal(found.predictions.probabilities, predictions.probabilities)
    np.testing.assert_array_equal(found.predictions.rows, predictions.rows)
    np.testing.assert_array_equal(found.predictions.copies, predictions.copies)
    assert found.info["n"] == 28
    assert found.info["trained_on"] == ""
    assert len(found.info["model_sha256"]) == 64
    assert found.info["command"]
    assert found.info["versions"]["numpy"] == np.__version__


def test_an_evaluation_lies_beside_its_run_and_a_new_one_replaces_it(ask, network, tmp_path):
    folder = run_of(tmp_path / "results" / "a-run", network)
    for more in ([], [], ["--split", "validation"], ["--without", "disgust"]):
        ask("a-run", "--record", *more)
    found = {one.name: one for one in records.evaluations(folder)}
    assert list(found) == [
        "on-fer2013-test-without-disgust",
        "on-fer2013-test",
        "on-fer2013-validation",
    ]
    assert len(found["on-fer2013-test"].predictions) == 28
    assert len(found["on-fer2013-test-without-disgust"].predictions) < 28
    assert records.names(tmp_path / "results") == ["a-run"]


def test_all_faces_are_asked_where_the_network_knows_none_of_them(ask, network, tmp_path):
    out = ask(network, "--split", "all", "--without", "disgust", "--record")
    (found,) = records.evaluations(tmp_path / "results" / "small")
    assert (found.name, found.split) == ("on-fer2013-all-without-disgust", "all")
    assert found.predictions.rows.tolist() == [row for row in range(84) if row % 7 != 1]
    assert f"all: {evaluation.summary(found.predictions)}" in out
    assert "12 faces of other classes are left out" in out
    folder = run_of(tmp_path / "results" / "a-run", network, dataset="ferplus")
    with pytest.raises(ModelError, match="a-run was trained on fer2013: all of fer2013 holds"):
        ask("a-run", "--split", "all", "--record")
    assert records.evaluations(folder) == []
    run_of(tmp_path / "results" / "next", network, dataset="expw", initial_weights=["a-run"])
    with pytest.raises(ModelError, match="next was trained on expw and fer2013: all of fer2013"):
        ask("next", "--split", "all")


def test_of_two_folders_only_the_one_trained_on_is_refused_as_a_whole(network, tmp_path, capsys):
    for name, value in (("mine", 50), ("other", 90)):
        for row in range(14):
            at = tmp_path / name / SPLITS[row % 3] / EXPRESSIONS[row % 7]
            at.mkdir(parents=True, exist_ok=True)
            Image.new("L", (48, 48), value + row).save(at / f"{row}.png")
    where = ["--split", "all", "--results", str(tmp_path / "results"), "--data", "folder", "--path"]
    mine = datasets.load("folder", tmp_path / "mine", size=32, cache=False)
    about = {"dataset": "folder", "fingerprint": mine.fingerprint()}
    run_of(tmp_path / "results" / "a-run", network, **about)
    with pytest.raises(ModelError, match="all of folder holds faces that it has seen"):
        evaluate.main(["a-run", *where, str(tmp_path / "mine")])
    evaluate.main(["a-run", *where, str(tmp_path / "other")])
    assert "n = 14" in capsys.readouterr().out


@pytest.fixture
def recorded(tmp_path):
    predictions = made(np.eye(8), range(8), expressions=FERPLUS_EXPRESSIONS)
    info = {"dataset": "ferplus", "split": "test", "network": "größer"}
    return records.write_evaluation(tmp_path / "a-run", info, predictions)


def test_an_evaluation_comes_back_with_its_own_classes(recorded):
    found = records.load_evaluation(recorded)
    assert found.predictions.expressions == FERPLUS_EXPRESSIONS
    assert found.info["network"] == "größer"
    assert "größer" in recorded.read_text(encoding="utf-8")


def test_an_evaluation_that_is_not_there_lists_those_that_are(recorded):
    with pytest.raises(ModelError, match=r"on-expw-test.*on-ferplus-test"):
        records.load_evaluation(recorded.with_name("on-expw-test.json"))


def rewritten(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"{"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text("{}"),
        lambda path: rewritten(path, n="many"),
        lambda path: rewritten(path, n=7),
        lambda path: rewritten(path, expressions=3),
        lambda path: rewritten(path, expressions=["happy", "sad"]),
        lambda path: rewritten(path, dataset="expw"),
        lambda path: path.with_suffix(".npz").unlink(),
        lambda path: path.with_suffix(".npz").write_bytes(b"PK\x03\x04 cut off"),
    ],
)
def test_a_damaged_evaluation_names_itself(recorded, spoil):
    spoil(recorded)
    with pytest.raises(ModelError, match="a-run/on-ferplus-test"):
        records.load_evaluation(recorded)
    with pytest.raises(ModelError, match="a-run/on-ferplus-test"):
        records.evaluations(recorded.parent)


def test_a_network_is_asked_as_often_as_its_run_was(ask, network, fer, tmp_path):
    folder = run_of(tmp_path / "results" / "many", network)
    records.write_info(folder, {"dataset": "fer2013", "settings": {"views": 2}})
    ask("many", "--record")
    (recorded,) = records.evaluations(folder)
    assert recorded.info["views"] == 2
    data, classifier = datasets.load("fer2013", fer), models.load(network)
    averaged = training.predict(classifier, data, "test", test_time_augmentation=2).probabilities
    np.testing.assert_allclose(recorded.predictions.probabilities, averaged, atol=1e-3)
    once = training.predict(classifier, data, "test").probabilities
    assert not np.allclose(averaged, once, atol=1e-3)


def test_without_its_json_an_evaluation_does_not_exist(recorded):
    recorded.unlink()
    assert records.evaluations(recorded.parent) == []
    assert records.evaluations(recorded.parent / "absent") == []


# --------------------------------------------------------------------------------- bad input


def test_a_network_of_other_classes_is_evaluated_on_those_that_both_know(ask, fer, tmp_path):
    eight = save(tmp_path / "eight.keras", expressions=FERPLUS_EXPRESSIONS[::-1])
    told = json.loads(ask(eight, "--json"))
    assert told["without"] == ["contempt"]
    assert list(told["report"])[:7] == list(EXPRESSIONS)
    assert "without contempt: 0 faces" in " ".join(told["about"])
    few = save(tmp_path / "few.keras", expressions=("sad", "angry", "bored"))
    told = json.loads(ask(few, "--json"))
    assert list(told["report"])[:2] == ["angry", "sad"]
    assert f"{28 - told['n']} faces of other classes are left out" in " ".join(told["about"])
    with pytest.raises(ModelError, match=r"1 in common, expected two or more"):
        ask(save(tmp_path / "none.keras", expressions=("happy", "bored")))
    with pytest.raises(ModelError, match="found no boredom to leave out"):
        ask(eight, "--without", "boredom")


def test_what_is_not_named_is_said(ask, network, tmp_path):
    with pytest.raises(ModelError, match="no record says what it was trained on"):
        ask(network, data=None)
