"""Corrupted faces, what a network loses by them, and faces of another data set."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from drawn import made, of_classes
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import corruptions, robustness
from experiments.corruptions import CORRUPTIONS, corrupt
from utils import datasets, evaluation, figures, models, runtime, training
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError, ModelError

NAMES = sorted(CORRUPTIONS)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=60)
@given(
    st.integers(1, 5), st.sampled_from([1, 3]), st.sampled_from(NAMES), st.floats(0, 1), st.data()
)
def test_a_face_is_corrupted_alike_in_whatever_company(count, channels, name, share, data):
    images = noise(count, 9, 14, channels, seed=count)
    rows = np.array(data.draw(st.lists(st.integers(0, 10**6), min_size=count, max_size=count)))
    least, most = CORRUPTIONS[name].limits
    level = min(least + share * (most - least), 255)
    before, order = images.copy(), np.array(data.draw(st.permutations(range(count))))
    changed = corrupt(images, name, level, rows=rows, seed=3)
    assert (changed.shape, changed.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(images, before)
    shuffled = corrupt(images[order], name, level, rows=rows[order], seed=3)
    np.testing.assert_array_equal(shuffled, changed[order])
    clean = CORRUPTIONS[name].fitted(images.shape[1:]).clean
    same = corrupt(images, name, clean)
    np.testing.assert_array_equal(same, images)
    assert not np.shares_memory(same, images)


@pytest.mark.parametrize("name", NAMES)
def test_farther_from_the_clean_level_is_farther_and_draws_follow_seed_and_row(name):
    faces = np.random.default_rng(0).normal(120, 40, (40, 6, 6, 1)).clip(0, 255).astype(np.uint8)
    faces = faces.repeat(8, axis=1).repeat(8, axis=2)
    one = CORRUPTIONS[name].fitted(faces.shape[1:])
    for side in (1, -1):
        levels = [level for level in one.levels if side * (level - one.clean) > 0]
        levels.sort(key=lambda level: abs(level - one.clean))
        changed = [corrupt(faces, name, level).astype(float) for level in levels]
        distances = [0.0, *(np.abs(picture - faces).mean() for picture in changed)]
        assert (np.diff(distances) > 0).all(), (levels, distances)
    first, drawn = (
        corrupt(faces, name, one.levels[-1]),
        ("Gaussian noise", "rotation", "gray square"),
    )
    for other in ({"seed": 1}, {"rows": np.arange(len(faces)) + 1000}):
        same = np.array_equal(first, corrupt(faces, name, one.levels[-1], **other))
        assert same == (name not in drawn)


def test_levels_are_in_the_units_that_they_name():
    gray = np.full((40, 48, 48, 1), 100, np.uint8)
    noise = corrupt(gray, "Gaussian noise", 16).astype(float) - 100
    assert abs(noise.mean()) < 0.2
    assert abs(noise.std() - 16) < 0.2
    assert (corrupt(gray, "brightness", 32) == 132).all()
    assert (corrupt(gray, "brightness", -200) == 0).all()
    for share in (5, 20, 40):
        covered = corrupt(gray, "gray square", share) == corruptions.GRAY
        assert abs(100 * covered.mean() - share) < 100 * 2 / 48
    for name, rows in (("upper part hidden", slice(12)), ("lower part hidden", slice(36, None))):
        hidden = corrupt(gray, name, 25) == corruptions.GRAY
        assert hidden[:, rows].all()
        assert hidden.mean() == 0.25
    half = corrupt(np.array([50, 150], np.uint8).reshape(1, 1, 2, 1), "contrast", 0.5)
    assert half.ravel().tolist() == [75, 125]
    flat = corrupt(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), "low resolution", 1)
    assert set(flat.ravel()) <= {127, 128}
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(corrupt(red, "JPEG", 30).mean(axis=(0, 1, 2)) - [200, 0, 0]).max() < 12


def test_blur_spreads_by_its_deviation_and_rotation_turns_to_either_side():
    square = np.zeros((1, 41, 41, 1), np.uint8)
    square[0, 15:26, 15:26] = 255
    shares = corrupt(square, "Gaussian blur", 3)[0, :, :, 0].sum(axis=0) / 1.0
    spread = np.average((np.arange(41) - 20) ** 2, weights=shares)
    # Variances add: the blurred square's is its own and the kernel's.
    assert abs(np.sqrt(spread - (11**2 - 1) / 12) - 3) < 0.15
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 1), dtype=np.uint8)
    turned = corrupt(images, "rotation", 90).astype(int)
    gaps = [np.abs(turned - np.rot90(images, k, axes=(1, 2))).max(axis=(1, 2, 3)) for k in (1, 3)]
    left, right = (gap <= 1 for gap in gaps)
    assert (left ^ right).all()
    assert 5 < left.sum() < 25


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((2, 8, 8, 1))}, "uint8"),
        ({"corruption": "snow"}, "unknown corruption 'snow'"),
        ({"level": -1}, "level -1, expected 0 … 100"),
        ({"level": np.nan}, "level nan"),
        ({"rows": np.array([1])}, "expected 2 whole numbers"),
        ({"rows": np.array([1, -1])}, "0 or more"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    given = {"images": np.zeros((2, 8, 8, 1), np.uint8), "corruption": "contrast", "level": 1}
    with pytest.raises(DataError, match=message):
        corrupt(**{**given, **changes})


def test_examples_show_every_level_the_clean_one_among_them():
    face = noise(48, 48, 1)
    shown = corruptions.examples(face, ["contrast", "low resolution"])
    assert [list(one) for one in shown.values()] == [[0.1, 0.25, 0.5, 1, 2], [8, 12, 16, 24, 48]]
    np.testing.assert_array_equal(shown["low resolution"][48], face)


class Dusk:
    """A stand-in network: it names "happy" where the face is bright, else "sad"."""

    input_shape = (12, 12, 1)
    expressions = EXPRESSIONS

    def predict(self, images, **_):
        bright = images.mean(axis=(1, 2, 3)) / 255
        probabilities = np.full((len(images), 7), 0.02)
        probabilities[:, 3], probabilities[:, 4] = 0.9 * bright, 0.9 * (1 - bright)
        return probabilities


@pytest.fixture(scope="module")
def evening():
    """Forty test faces, five of a class that `Dusk` never names; the last ten are copies."""
    labels = np.array([3, 4] * 20)
    images = np.where(labels == 3, 180, 60).astype(np.uint8)[:, None, None, None]
    images = np.broadcast_to(images, (40, 12, 12, 1)).copy()
    images[:, ::2] += 10
    images[:, 0, 0, 0] = np.arange(40)  # no two alike
    labels[:5] = 0
    known = np.arange(30, 40)
    return datasets.FaceDataset(
        images=np.concatenate([images, images[known]]),
        labels=np.concatenate([labels, labels[known]]).astype(np.int64),
        split=np.array(["test"] * 40 + ["training"] * 10),
        rows=np.arange(100, 150),
        name="fer2013",
    )


@pytest.fixture(scope="module")
def answers(evening):
    found = robustness.ask(Dusk(), evening)
    info = {**found.info, "network": "dusk", "dataset": "fer2013", "split": "test"}
    return dataclasses.replace(found, info=info)


def test_the_tables_say_what_the_network_answered(evening, answers):
    table = robustness.table(answers)
    clean = table[table["clean"]]
    assert list(clean["corruption"]) == list(CORRUPTIONS)
    assert (clean["correct"] == 35).all()
    assert (clean[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    brighter = table[table["corruption"] == "brightness"].set_index("level")
    assert list(brighter.index) == [-96, -64, -32, 0, 32, 64, 96]
    # 96 more make all 40 bright: the happy ones of the 35 stay right.
    happy = int((evening.part("test").labels == 3).sum())
    assert brighter.loc[96, "correct"] == happy
    assert brighter.loc[96, "difference"] == pytest.approx((happy - 35) / 40)
    assert brighter.loc[96, "difference_high"] < 0
    assert (table["n_without_copies"] == 30).all()
    shares = brighter.loc[96, ["accuracy_without_copies", "low", "high"]].tolist()
    kept = (evening.labels[:30] == 3).mean()
    assert shares == pytest.approx([kept, *evaluation.accuracy_interval(happy, 40)])
    square = table.set_index(["corruption", "level"])["correct"]["gray square", 40]
    test = evening.part("test")
    said = Dusk().predict(corrupt(test.images, "gray square", 40, rows=test.rows))
    assert square == (said.argmax(axis=1) == test.labels).sum()
    panels = [axes for axes in figures.robustness_curves(table).axes if axes.get_visible()]
    assert len(panels) == len(CORRUPTIONS)


def test_asking_refuses_what_does_not_fit(evening):
    other = Dusk()
    other.expressions = (*EXPRESSIONS, "contempt")
    with pytest.raises(ModelError, match="contempt"):
        robustness.ask(other, evening)
    with pytest.raises(DataError, match="no face in its validation split"):
        robustness.ask(Dusk(), evening, "validation")
    with pytest.raises(DataError, match="unknown corruption 'fog'"):
        robustness.ask(Dusk(), evening, corruptions=["fog"])


def test_a_record_gives_the_same_tables_and_a_damaged_one_is_refused(answers, tmp_path):
    path = robustness.write(answers, tmp_path / "robustness")
    assert path.name == "dusk-on-fer2013-test.json"
    back = robustness.recorded(tmp_path)["dusk"]
    tables = robustness.table(back), robustness.table(answers)
    pd.testing.assert_frame_equal(*tables, atol=1e-6, rtol=0)
    assert back.corruptions == answers.corruptions
    assert robustness.recorded(tmp_path, "expw") == {}
    text = path.read_text()
    for key, value in (("n", 39), ("confidence", [0.5]), ("expressions", ["happy"])):
        path.write_text(json.dumps({**json.loads(text), key: value}))
        with pytest.raises(ModelError, match=r"dusk-on-fer2013-test: .*answers of shape"):
            robustness.load(path)
    for damaged in (text[:-20], text.replace('"clean"', '"pure"'), "[]"):
        path.write_text(damaged)
        with pytest.raises(ModelError, match=r"cannot be read|expected a JSON object"):
            robustness.load(path)
    path.write_text(text)
    path.with_suffix(".npz").write_bytes(b"PK")
    with pytest.raises(ModelError, match="cannot be read"):
        robustness.load(path)


def test_the_command_prints_and_records_a_network(tmp_path, monkeypatch, capsys):
    runtime.setup(0)
    labels = np.arange(42) % 7
    split = np.repeat(["training", "test"], 21)
    sample = datasets.FaceDataset(noise(42, 16, 16, 1), labels, split, np.arange(42), "sample")
    monkeypatch.setattr(robustness.datasets, "load", lambda *_: sample)
    monkeypatch.setattr(robustness.ask, "__defaults__", ("test", ("gray square",)))

    def saved(name, bias):
        model = models.build("cnn3", (16, 16, 1), filters=(2, 2, 2), dense=4)
        model.layers[-1].bias.assign(np.full(7, bias))
        network = models.Classifier(model, EXPRESSIONS)
        return models.save(network, tmp_path / f"{name}.keras", dtype="float32")

    file = saved("tiny", 0.0)
    arguments = [str(file), "--data", "sample", "--results", str(tmp_path)]
    robustness.main(arguments)
    said = capsys.readouterr().out
    assert f"tiny on sample's test split, n = {(sample.split == 'test').sum()}" in said
    assert not (tmp_path / "robustness").exists()
    robustness.main([*arguments, "--record"])
    found = robustness.recorded(tmp_path, "sample")["tiny"]
    assert found.info["fingerprint"] == sample.fingerprint()
    assert found.info["command"].endswith("--record")
    clean = training.predict(models.load(file), sample, "test")
    np.testing.assert_array_equal(found.predicted[0], clean.predicted)
    np.testing.assert_array_equal(found.copies, clean.copies)
    # A network that answers NaN gets one sentence, and no record.
    bad = [str(saved("bad", float("nan"))), "--data", "sample", "--record"]
    with pytest.raises(ModelError, match="the network's answers are no probabilities"):
        robustness.main([*bad, "--results", str(tmp_path)])
    assert list(robustness.recorded(tmp_path, "sample")) == ["tiny"]


def answered(labels, predicted, confidence=0.8):
    """Answers with one probability for whatever was named."""
    sure = np.eye(7)[np.asarray(predicted)]
    return made(sure * confidence + (1 - sure) * (1 - confidence) / 6, labels)


@pytest.fixture(scope="module")
def pair():
    """At home all is right; away happy and surprise are taken for angry, sad for neutral."""
    home = answered(np.repeat(range(7), 20), np.repeat(range(7), 20))
    labels = np.repeat(range(6), 10)
    predicted = labels.copy()
    predicted[30:37], predicted[50:59], predicted[40:42] = 0, 0, 6
    return home, answered(labels, predicted)


def test_classes_at_home_and_away(pair):
    table = robustness.by_class({"one": pair}).loc["one"]
    assert (table["recall_home"] == 1).all()
    assert table.loc["happy", "recall_away"] == pytest.approx(0.3)
    assert table.loc["surprise", "fall"] == pytest.approx(0.9)
    assert table.loc["angry", "named_away"] == 26
    assert table.loc["neutral", "n_away"] == 0
    assert table.loc["neutral", ["recall_away", "fall", "fall_low"]].isna().all()
    present = table.drop(index="neutral")
    assert present["fall"].between(present["fall_low"], present["fall_high"]).all()
    furthest = robustness.falls_furthest(robustness.by_class({"one": pair}))
    assert furthest.loc["one", "expression"] == "surprise"
    # Newcombe (1998), table II, case (a): 56/70 less 48/80 is 0.0524 to 0.3339 by method 10.
    home = of_classes([0] * 56 + [1] * 14, np.zeros(70))
    away = of_classes([0] * 48 + [1] * 32, np.zeros(80))
    row = robustness.by_class({"one": (home, away)}).loc[("one", "angry")]
    expected = [0.2, 0.0524, 0.3339]
    assert row[["fall", "fall_low", "fall_high"]].tolist() == pytest.approx(expected, abs=5e-5)
    with pytest.raises(DataError, match="got none"):
        robustness.by_class({})
    other = dataclasses.replace(pair[1], expressions=EXPRESSIONS[::-1])
    with pytest.raises(DataError, match="one: its classes at home"):
        robustness.by_class({"one": (pair[0], other)})


def test_sureness_at_home_and_away(pair):
    table = robustness.sureness({"one": pair}, ("FER2013", "ExpW"))
    home, away = table.loc[("one", "FER2013")], table.loc[("one", "ExpW")]
    assert home[["confidence", "calibration_error"]].tolist() == pytest.approx([0.8, 0.2])
    assert away[["accuracy", "confidence"]].tolist() == pytest.approx([0.7, 0.8])
    assert away["mean_recall"] == pytest.approx((1 + 1 + 1 + 0.3 + 0.8 + 0.1) / 6)


def test_the_calibration_error_of_chance_is_that_of_a_calibrated_network():
    rng = np.random.default_rng(5)
    measured = []
    for _ in range(300):
        top = rng.uniform(0.3, 1, 200)
        probabilities = np.repeat((1 - top)[:, None] / 6, 7, axis=1)
        probabilities[:, 0] = top
        last = made(probabilities, np.where(rng.random(200) < top, 0, rng.integers(1, 7, 200)))
        measured.append(evaluation.calibration_error(last))
    mean, high = robustness.calibration_error_by_chance(last)
    assert mean == pytest.approx(np.mean(measured), abs=0.006)
    assert high == pytest.approx(np.quantile(measured, 0.95), abs=0.015)


def test_the_committed_records_give_the_figures_of_before():
    """The numbers were computed by the code that wrote the records."""
    table = robustness.table(robustness.recorded()["cnn5-fer2013-smote"])
    assert len(table) == 50
    row = table.set_index(["corruption", "level"]).loc[("rotation", 30)]
    assert row[["n", "correct", "n_without_copies"]].tolist() == [3589, 2019, 3301]
    shares = row[["accuracy_without_copies", "difference_low", "difference_high"]].tolist()
    assert shares == pytest.approx([0.549833, -0.129518, -0.097287], abs=1e-6)
    pairs = robustness.at_home_and_away()
    sureness = robustness.sureness(pairs).loc[("cnn3-fer2013-none", "away")]
    expected = [0.2733, 0.4867, 0.2228]
    columns = ["accuracy", "confidence", "calibration_error"]
    assert sureness[columns].tolist() == pytest.approx(expected, abs=5e-5)
    furthest = robustness.falls_furthest(robustness.by_class(pairs))
    assert furthest.loc["cnn5-fer2013-smote", "expression"] == "disgust"
    assert robustness.at_home_and_away(home="ferplus") == {}
