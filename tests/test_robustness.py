"""Spoiled faces, what a network loses by them, and faces of another data set."""

import dataclasses
import json

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import datasets, evaluation, figures, records, robustness, runtime
from utils.expressions import EXPRESSIONS
from utils.records import Predictions
from utils.robustness import CORRUPTIONS, Corruption, command, corruptions
from utils.runtime import DataError, ModelError

NAMES = sorted(CORRUPTIONS)
DRAWN = ("Gaussian noise", "rotation", "gray square")


def clean_of(name, images):
    return CORRUPTIONS[name].clean_at(images.shape[1:3])


@st.composite
def pictures(draw):
    shape = (
        draw(st.integers(1, 5)),
        draw(st.integers(4, 20)),
        draw(st.integers(4, 20)),
        draw(st.sampled_from([1, 3])),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.integers(0, 256, shape, dtype=np.uint8)


@st.composite
def asked(draw):
    """A corruption, and any level that it takes."""
    name = draw(st.sampled_from(NAMES))
    least, most, whole = {
        "Gaussian blur": (0, 5, False),
        "Gaussian noise": (0, 200, False),
        "brightness": (-255, 255, False),
        "contrast": (0, 5, False),
        "rotation": (0, 180, False),
        "gray square": (0, 100, False),
        "upper part hidden": (0, 100, False),
        "lower part hidden": (0, 100, False),
        "low resolution": (1, 30, True),
        "JPEG": (1, 100, True),
    }[name]
    number = st.integers(least, most) if whole else st.floats(least, most)
    return name, draw(number)


@pytest.fixture(scope="module")
def sample():
    return datasets.load("sample", count=140, cache=False)


@pytest.fixture(scope="module")
def smooth():
    """Faces without the sample's planted flat ones."""
    whole = datasets.load("sample", count=140, cache=False)
    return whole.images[whole.images.reshape(len(whole), -1).std(axis=1) > 10][:60]


# -------------------------------------------------------------------------------- corruptions


@settings(max_examples=150)
@given(pictures(), asked(), st.integers(0, 2**31))
def test_a_spoiled_picture_is_a_picture_and_the_same_one_each_time(images, asked, seed):
    name, level = asked
    before = images.copy()
    spoiled = robustness.corrupt(images, name, level, seed=seed)
    assert spoiled.shape == images.shape
    assert spoiled.dtype == np.uint8
    assert not np.shares_memory(spoiled, images)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(spoiled, robustness.corrupt(images, name, level, seed=seed))


@settings(max_examples=80)
@given(pictures(), asked(), st.randoms())
def test_a_face_is_spoiled_alike_in_whatever_company(images, asked, random):
    rows = np.array(random.sample(range(10**6), len(images)))
    order = np.array(random.sample(range(len(images)), len(images)))
    spoiled = robustness.corrupt(images, *asked, rows=rows, seed=3)
    shuffled = robustness.corrupt(images[order], *asked, rows=rows[order], seed=3)
    np.testing.assert_array_equal(shuffled, spoiled[order])
    alone = robustness.corrupt(images[-1:], *asked, rows=rows[-1:], seed=3)
    np.testing.assert_array_equal(alone, spoiled[-1:])


@settings(max_examples=60)
@given(pictures(), st.sampled_from(NAMES))
def test_the_clean_level_is_the_identity(images, name):
    spoiled = robustness.corrupt(images, name, clean_of(name, images))
    np.testing.assert_array_equal(spoiled, images)
    assert not np.shares_memory(spoiled, images)


@pytest.mark.parametrize("name", NAMES)
def test_farther_from_the_clean_level_is_farther_from_the_original(name, smooth):
    clean = clean_of(name, smooth)
    for side in (1, -1):
        levels = sorted(
            (level for level in CORRUPTIONS[name].levels if side * (level - clean) > 0),
            key=lambda level: abs(level - clean),
        )
        distances = [0.0]
        for level in levels:
            spoiled = robustness.corrupt(smooth, name, level).astype(float)
            distances.append(float(np.abs(spoiled - smooth).mean()))
        assert (np.diff(distances) > 0).all(), (name, levels, distances)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_and_the_row_matter_where_something_is_drawn_and_nowhere_else(name, smooth):
    level = CORRUPTIONS[name].levels[-1]
    first = robustness.corrupt(smooth, name, level, seed=0)
    other_seed = robustness.corrupt(smooth, name, level, seed=1)
    other_rows = robustness.corrupt(smooth, name, level, rows=np.arange(len(smooth)) + 1000)
    assert (not np.array_equal(first, other_seed)) == (name in DRAWN)
    assert (not np.array_equal(first, other_rows)) == (name in DRAWN)


def test_levels_are_in_the_units_that_they_name():
    gray = np.full((40, 48, 48, 1), 100, np.uint8)
    noise = robustness.corrupt(gray, "Gaussian noise", 16).astype(float) - 100
    assert abs(noise.mean()) < 0.2
    assert abs(noise.std() - 16) < 0.2
    assert (robustness.corrupt(gray, "brightness", 32) == 132).all()
    assert (robustness.corrupt(gray, "brightness", -200) == 0).all()
    for share in (5, 20, 40):
        covered = robustness.corrupt(gray, "gray square", share) == robustness.GRAY
        assert np.ptp(covered.sum(axis=(1, 2, 3))) == 0
        assert abs(100 * covered.mean() - share) < 100 * 2 / 48
    upper = robustness.corrupt(gray, "upper part hidden", 25) == robustness.GRAY
    assert upper[:, :12].all()
    assert not upper[:, 12:].any()
    lower = robustness.corrupt(gray, "lower part hidden", 25) == robustness.GRAY
    assert lower[:, 36:].all()
    assert not lower[:, :36].any()


def test_contrast_keeps_the_mean_and_scales_the_deviation(smooth):
    halved = robustness.corrupt(smooth, "contrast", 0.5).astype(float)
    assert np.abs(halved.mean(axis=(1, 2, 3)) - smooth.mean(axis=(1, 2, 3))).max() < 0.5
    ratio = halved.std(axis=(1, 2, 3)) / smooth.std(axis=(1, 2, 3))
    assert np.abs(ratio - 0.5).max() < 0.02


def test_blur_spreads_a_point_by_its_deviation():
    point = np.zeros((1, 41, 41, 1), np.uint8)
    point[0, 15:26, 15:26] = 255
    blurred = robustness.corrupt(point, "Gaussian blur", 3)[0, :, :, 0].astype(float)

    def variance(picture):
        share = picture.sum(axis=0) / picture.sum()
        place = np.arange(41)
        return (share * place**2).sum() - (share * place).sum() ** 2

    # Variances add: the blurred square's is its own and the kernel's.
    grown = variance(blurred) - variance(point[0, :, :, 0].astype(float))
    assert abs(np.sqrt(grown) - 3) < 0.15


def test_rotation_turns_by_its_degrees_to_either_side():
    bar = np.zeros((60, 41, 41, 1), np.uint8)
    bar[:, 5:36, 19:22] = 255
    turned = robustness.corrupt(bar, "rotation", 30).astype(float)[..., 0]
    rows, columns = np.mgrid[:41, :41] - 20.0
    # The bar's direction: the angle of its second moments.
    angles = []
    for picture in turned:
        xx, yy, xy = ((picture * m).sum() for m in (columns**2, rows**2, rows * columns))
        angles.append(np.rad2deg(0.5 * np.arctan2(2 * xy, xx - yy)))
    tilt = np.abs(90 - np.abs(angles))
    assert np.abs(tilt - 30).max() < 1
    sides = (np.array(angles) > 0).mean()
    assert 0.25 < sides < 0.75


def test_a_quarter_turn_is_exact():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 16, 16, 1), dtype=np.uint8)
    turned = robustness.corrupt(images, "rotation", 90)
    for image, one in zip(images, turned, strict=True):
        either = [np.rot90(image, quarter) for quarter in (1, 3)]
        assert min(np.abs(one.astype(int) - other).max() for other in either) <= 1


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.5, 60), st.floats(1, 1.6))
def test_a_larger_square_covers_the_smaller_one(row, share, factor):
    black = np.zeros((1, 24, 24, 1), np.uint8)
    rows = np.array([row])
    small = robustness.corrupt(black, "gray square", share, rows=rows)
    large = robustness.corrupt(black, "gray square", share * factor, rows=rows)
    assert (small <= large).all()
    assert small.any()


def test_noise_is_one_pattern_that_grows():
    gray = np.full((3, 16, 16, 1), 128, np.uint8)
    weak, strong = (
        robustness.corrupt(gray, "Gaussian noise", level).astype(int) - 128 for level in (10, 20)
    )
    assert np.abs(strong - 2 * weak).max() <= 2


def test_low_resolution_leaves_as_many_values_as_it_says():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 48, 48, 1), dtype=np.uint8)
    flat = robustness.corrupt(images, "low resolution", 1)
    assert np.ptp(flat, axis=(1, 2, 3)).max() == 0
    assert np.abs(flat[:, 0, 0, 0] - images.mean(axis=(1, 2, 3))).max() <= 1
    for side in (48, 49, 500):
        np.testing.assert_array_equal(robustness.corrupt(images, "low resolution", side), images)


def test_jpeg_knows_which_channel_is_which():
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 200
    spoiled = robustness.corrupt(red, "JPEG", 30).mean(axis=(0, 1, 2))
    assert np.abs(spoiled - [200, 0, 0]).max() < 12


def test_no_picture_is_no_trouble():
    assert robustness.corrupt(np.zeros((0, 8, 8, 1), np.uint8), "JPEG", 10).shape == (0, 8, 8, 1)


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (np.zeros((2, 8, 8, 1)), {}, "uint8"),
        (np.zeros((2, 8, 8), np.uint8), {}, "uint8"),
        (np.zeros((2, 8, 8, 2), np.uint8), {}, "uint8"),
        (np.zeros((2, 8, 8, 1), np.uint8), {"corruption": "snow"}, "unknown corruption 'snow'"),
        (np.zeros((2, 8, 8, 1), np.uint8), {"level": -1}, "level -1, expected a number of 0"),
        (np.zeros((2, 8, 8, 1), np.uint8), {"level": np.nan}, "level nan"),
        (
            np.zeros((2, 8, 8, 1), np.uint8),
            {"corruption": "JPEG", "level": 20.5},
            "expected a whole number of 1 … 100",
        ),
        (np.zeros((2, 8, 8, 1), np.uint8), {"rows": np.array([1])}, "expected 2 whole numbers"),
        (np.zeros((2, 8, 8, 1), np.uint8), {"rows": np.array([1, -1])}, "0 or more"),
        (np.zeros((2, 8, 8, 1), np.uint8), {"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_is_refused(images, settings, message):
    settings = {"corruption": "Gaussian blur", "level": 1, **settings}
    with pytest.raises(DataError, match=message):
        robustness.corrupt(images, **settings)


def test_a_corruption_of_ones_own_is_checked():
    with pytest.raises(DataError, match="unknown corruption 'fog'"):
        Corruption("fog", "metres", (1, 2))
    with pytest.raises(DataError, match="level 300"):
        Corruption("brightness", "gray levels", (300,))
    with pytest.raises(DataError, match="each once"):
        Corruption("brightness", "gray levels", (3, 3))


# ------------------------------------------------------------------------------------- answers


class Dusk:
    """A stand-in network: it names "happy" where the face is bright, else "sad"."""

    input_shape = (12, 12, 1)
    expressions = EXPRESSIONS

    def predict(self, images):
        bright = images.mean(axis=(1, 2, 3)) / 255
        probabilities = np.full((len(images), 7), 0.02)
        probabilities[:, 3], probabilities[:, 4] = 0.9 * bright, 0.9 * (1 - bright)
        return probabilities


@pytest.fixture(scope="module")
def evening():
    """Forty faces that `Dusk` names rightly, five of them of a class that it never names."""
    labels = np.array([3, 4] * 20)
    images = np.where(labels == 3, 180, 60).astype(np.uint8)[:, None, None, None]
    images = np.broadcast_to(images, (40, 12, 12, 1)).copy()
    images[:, ::2] += 10
    labels[:5] = 0
    return datasets.FaceDataset(
        images=images,
        labels=labels.astype(np.int64),
        split=np.full(40, "test"),
        rows=np.arange(100, 140),
        name="sample",
    )


@pytest.fixture(scope="module")
def answers(evening):
    return robustness.ask(Dusk(), evening, copies=np.arange(40) >= 30)


def test_curves_say_what_the_network_answered(evening, answers):
    table = robustness.table(answers)
    clean = table[table["clean"]]
    assert list(clean["corruption"]) == list(CORRUPTIONS)
    assert (clean["correct"] == 35).all()
    assert (clean[["difference", "difference_low", "difference_high"]] == 0).all().all()
    brighter = table[table["corruption"] == "brightness"].set_index("level")
    assert list(brighter.index) == [-96, -64, -32, 0, 32, 64, 96]
    # 96 more make all 40 bright: the happy ones of the 35 stay right.
    happy = int((evening.labels == 3).sum())
    assert brighter.loc[96, "correct"] == happy
    assert brighter.loc[96, "difference"] == pytest.approx((happy - 35) / 40)
    assert brighter.loc[96, "difference_high"] < 0
    assert brighter.loc[-96, "correct"] == 35 - happy
    kept = evening.labels[:30]
    assert (table["n_without_copies"] == 30).all()
    assert brighter.loc[96, "accuracy_without_copies"] == pytest.approx((kept == 3).mean())
    for row in table.itertuples():
        assert row.accuracy == row.correct / row.n
        assert (row.low, row.high) == evaluation.accuracy_interval(row.correct, row.n)
    assert table["confidence"].between(1 / 7, 1).all()


def test_curves_are_the_table_of_what_is_asked(evening, answers):
    curves = robustness.curves(Dusk(), evening, ["contrast", "JPEG"])
    whole = robustness.table(answers)
    part = whole[whole["corruption"].isin(["contrast", "JPEG"])]
    columns = ["corruption", "level", "unit", "clean", "n", "correct", "accuracy", "difference"]
    pd.testing.assert_frame_equal(
        curves[columns].reset_index(drop=True), part[columns].reset_index(drop=True)
    )


def test_each_condition_is_what_corrupt_makes_of_the_faces(evening, answers):
    right = robustness.table(answers).set_index(["corruption", "level"])["correct"]
    for name in ("brightness", "gray square", "Gaussian noise"):
        for level in CORRUPTIONS[name].levels:
            images = robustness.corrupt(evening.images, name, level, rows=evening.rows)
            predicted = Dusk().predict(images).argmax(axis=1)
            assert right[name, level] == (predicted == evening.labels).sum()


def test_levels_of_ones_own_and_levels_that_change_nothing(evening):
    own = dataclasses.replace(CORRUPTIONS["low resolution"], levels=(3, 6, 12, 24))
    table = robustness.curves(Dusk(), evening, [own])
    assert list(table["level"]) == [3, 6, 12]
    assert list(table["clean"]) == [False, False, True]


def test_classes_add_up_to_the_accuracy(evening, answers):
    table = robustness.table(answers).set_index(["corruption", "level"])
    classes = robustness.classes(answers).set_index(["corruption", "level"])
    for condition, part in classes.groupby(level=[0, 1]):
        assert part["named"].sum() == pytest.approx(1)
        right = (part["recall"].fillna(0) * part["n"]).sum()
        assert right == pytest.approx(table.loc[condition, "correct"])
    bright = classes.loc[("brightness", 96)].set_index("expression")
    assert bright.loc["happy", "named"] == 1
    assert bright.loc["angry", "recall"] == 0
    assert np.isnan(bright.loc["fear", "recall"])


def test_asking_refuses_what_does_not_fit(evening):
    other = Dusk()
    other.expressions = (*EXPRESSIONS, "contempt")
    with pytest.raises(ModelError, match="contempt"):
        robustness.ask(other, evening)
    with pytest.raises(DataError, match="no face"):
        robustness.ask(Dusk(), evening.take(np.array([], int)))
    with pytest.raises(DataError, match="copies: expected 40"):
        robustness.ask(Dusk(), evening, copies=np.zeros(3, bool))
    with pytest.raises(DataError, match="each once"):
        robustness.ask(Dusk(), evening, ["JPEG", "JPEG"])
    with pytest.raises(DataError, match="unknown corruption 'fog'"):
        robustness.ask(Dusk(), evening, ["fog"])


# ------------------------------------------------------------------------------------- records


def recordable(answers, network="dusk"):
    info = {"network": network, "dataset": "fer2013", "split": "test"}
    return dataclasses.replace(answers, info=info)


def test_a_record_gives_the_same_tables(answers, tmp_path):
    path = robustness.write(recordable(answers), tmp_path / robustness.FOLDER)
    assert path.name == "dusk-on-fer2013-test.json"
    back = robustness.recorded(tmp_path)
    assert list(back) == ["dusk"]
    pd.testing.assert_frame_equal(
        robustness.table(back["dusk"]), robustness.table(answers), atol=1e-6, rtol=0
    )
    pd.testing.assert_frame_equal(robustness.classes(back["dusk"]), robustness.classes(answers))
    assert back["dusk"].corruptions == answers.corruptions
    assert robustness.recorded(tmp_path, "expw") == {}


def test_a_damaged_record_is_refused(answers, tmp_path):
    path = robustness.write(recordable(answers), tmp_path)
    with pytest.raises(ModelError, match="no such record"):
        robustness.load(tmp_path / "other-on-fer2013-test.json")
    text = path.read_text()
    for key, value in (("n", 39), ("confidence", [0.5]), ("expressions", ["happy"])):
        path.write_text(json.dumps({**json.loads(text), key: value}))
        with pytest.raises(ModelError, match="dusk-on-fer2013-test: answers of shape"):
            robustness.load(path)
    for damaged in (text[:-20], text.replace('"contrast"', '"fog"'), "[]"):
        path.write_text(damaged)
        with pytest.raises(ModelError, match="cannot be read"):
            robustness.load(path)
    path.write_text(text)
    path.with_suffix(".npz").write_bytes(b"PK")
    with pytest.raises(ModelError, match="cannot be read"):
        robustness.load(path)


def test_the_command_records_a_network(sample, tmp_path, monkeypatch, capsys):
    import keras

    from utils import models, training

    monkeypatch.setattr(runtime, "CACHE", tmp_path / "cache")
    runtime.setup(0)
    layers = [
        keras.Input((16, 16, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(7, activation="softmax"),
    ]
    network = models.Classifier(keras.Sequential(layers), EXPRESSIONS)
    file = models.save(network, tmp_path / "tiny.keras", dtype="float32")
    few = dataclasses.replace(CORRUPTIONS["gray square"], levels=(20,))
    monkeypatch.setattr(corruptions, "CORRUPTIONS", {"gray square": few})
    monkeypatch.setitem(datasets.LOADERS, "sample", lambda *_, **__: sample)

    arguments = [str(file), "--data", "sample", "--results", str(tmp_path / "results")]
    assert command.main(arguments) == 0
    assert "tiny-on-sample-test: " in capsys.readouterr().out
    answers = robustness.recorded(tmp_path / "results", "sample")["tiny"]
    assert answers.info["fingerprint"] == sample.fingerprint()
    assert answers.info["command"].endswith("--data sample --results " + str(tmp_path / "results"))
    test = sample.split == "test"
    np.testing.assert_array_equal(answers.rows, sample.rows[test])
    np.testing.assert_array_equal(answers.copies, datasets.copies_in_training(sample)[test])
    kept = models.load(file)
    images = robustness.corrupt(sample.images[test], few, 20, rows=sample.rows[test])
    for at, faces in enumerate((sample.images[test], images)):
        said = kept.predict(training.faces_for(kept, faces))
        np.testing.assert_array_equal(answers.predicted[at], said.argmax(axis=1))

    # What is recorded already is not asked again, unless something about it is new.
    assert command.main(arguments) == 0
    assert "recorded already" in capsys.readouterr().out
    for another in (["--again"], ["--seed", "1"]):
        assert command.main([*arguments, *another]) == 0
        assert "tiny-on-sample-test: " in capsys.readouterr().out

    assert command.main([str(tmp_path / "none.keras"), "--data", "sample"]) == 1
    assert "none.keras" in capsys.readouterr().err
    assert command.main([str(file)]) == 1
    assert "no record says what it was trained on" in capsys.readouterr().err


# ----------------------------------------------------------------------------- another data set


def answered(labels, predicted, confidence=0.8):
    """Answers with one probability for whatever was named."""
    labels, predicted = np.array(labels), np.array(predicted)
    probabilities = np.full((len(labels), 7), (1 - confidence) / 6)
    probabilities[np.arange(len(labels)), predicted] = confidence
    count = len(labels)
    return Predictions(probabilities, labels, np.arange(count), np.zeros(count, bool), EXPRESSIONS)


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
    assert table.loc["sad", ["taken_for", "taken_for_share"]].tolist() == ["neutral", 0.2]
    assert table.loc["angry", "taken_for"] == ""
    assert table.loc["angry", "named_away"] == 26
    assert table.loc["angry", "precision_away"] == pytest.approx(10 / 26)
    assert table.loc["neutral", "n_away"] == 0
    assert table.loc["neutral", ["recall_away", "fall"]].isna().all()
    present = table.drop(index="neutral")
    assert (present["fall_low"] <= present["fall"]).all()
    assert (present["fall"] <= present["fall_high"]).all()
    assert present["fall_high"].max() <= 1
    furthest = robustness.falls_furthest(robustness.by_class({"one": pair}))
    assert furthest.loc["one", "expression"] == "surprise"
    assert furthest.loc["one", "taken_for"] == "angry"


def test_the_interval_of_a_fall_is_newcombes():
    """Newcombe (1998), table II, case (a): 56/70 less 48/80 is 0.0524 to 0.3339 by method 10."""
    home = answered(np.zeros(70, int), [0] * 56 + [1] * 14)
    away = answered(np.zeros(80, int), [0] * 48 + [1] * 32)
    row = robustness.by_class({"one": (home, away)}).loc[("one", "angry")]
    assert row["fall"] == pytest.approx(0.2)
    assert row["fall_low"] == pytest.approx(0.0524, abs=5e-5)
    assert row["fall_high"] == pytest.approx(0.3339, abs=5e-5)


def test_sureness_at_home_and_away(pair):
    table = robustness.sureness({"one": pair}, ("FER2013", "ExpW"))
    home, away = table.loc[("one", "FER2013")], table.loc[("one", "ExpW")]
    assert home["too_sure"] == pytest.approx(-0.2)
    assert home["calibration_error"] == pytest.approx(0.2)
    assert away["accuracy"] == pytest.approx(42 / 60)
    assert away["too_sure"] == pytest.approx(0.8 - 42 / 60)
    assert away["mean_recall"] == pytest.approx((1 + 1 + 1 + 0.3 + 0.8 + 0.1) / 6)
    # Twice as many faces at home: less is left to chance.
    assert 0 < home["by_chance"] < away["by_chance"] < away["by_chance_high"] < 0.2
    with pytest.raises(DataError, match="got none"):
        robustness.sureness({})


def test_the_calibration_error_of_chance_is_that_of_a_calibrated_network():
    rng = np.random.default_rng(5)
    measured = []
    for _ in range(300):
        top = rng.uniform(0.3, 1, 200)
        probabilities = np.repeat((1 - top)[:, None] / 6, 7, axis=1)
        probabilities[:, 0] = top
        labels = np.where(rng.random(200) < top, 0, rng.integers(1, 7, 200))
        last = Predictions(probabilities, labels, np.arange(200), np.zeros(200, bool), EXPRESSIONS)
        measured.append(evaluation.calibration_error(last))
    mean, high = robustness.calibration_error_by_chance(last)
    assert mean == pytest.approx(np.mean(measured), abs=0.006)
    assert high == pytest.approx(np.quantile(measured, 0.95), abs=0.015)
    assert (mean, high) == robustness.calibration_error_by_chance(last)


def test_networks_are_found_by_what_they_were_trained_on(pair, tmp_path):
    home, away = pair
    for name, trained_on in (("a", "fer2013"), ("b", "expw"), ("c", "fer2013")):
        folder = tmp_path / name
        folder.mkdir()
        records.write_info(folder, {"dataset": trained_on})
        records.write_history(folder, records.read_history(folder))
        for split in ("validation", "test"):
            records.write_predictions(folder / f"{split}.npz", home)
        if name != "c":
            info = {"dataset": "expw", "split": "test"}
            records.write_evaluation(folder, info, away)
    pairs = robustness.at_home_and_away(tmp_path)
    assert list(pairs) == ["a"]
    assert [len(one) for one in pairs["a"]] == [len(home), len(away)]
    assert robustness.at_home_and_away(tmp_path, "ferplus") == {}


def test_by_class_refuses_what_cannot_be_compared(pair):
    with pytest.raises(DataError, match="got none"):
        robustness.by_class({})
    other = dataclasses.replace(pair[1], expressions=EXPRESSIONS[::-1])
    with pytest.raises(DataError, match="one: its classes at home"):
        robustness.by_class({"one": (pair[0], other)})


# ------------------------------------------------------------------------------------- figures


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def visible(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_curves_have_a_panel_a_corruption_and_a_line_a_network(answers):
    table = robustness.table(answers)
    figure = figures.robustness_curves(
        {"one": table, "two": table}, reference={"always happy": 0.25}, title="spoiled"
    )
    assert len(visible(figure)) == len(CORRUPTIONS)
    read = texts(figure)
    assert {"one", "two", "always happy 25.0", "spoiled", *CORRUPTIONS} <= set(read)
    assert {one.unit for one in CORRUPTIONS.values()} <= set(read)
    for axes, name in zip(visible(figure), CORRUPTIONS, strict=True):
        part = table[table["corruption"] == name]
        lines = [line for line in axes.lines if len(line.get_xdata()) == len(part)]
        np.testing.assert_allclose(lines[0].get_ydata(), 100 * part["accuracy"])
        assert lines[0].get_marker() != lines[1].get_marker()
        left, right = axes.get_xlim()
        assert (left > right) == (name in ("low resolution", "JPEG"))
    assert len(figure._repr_png_()) > 1000


def test_curves_are_refused_where_they_do_not_fit(answers):
    table = robustness.table(answers)
    with pytest.raises(DataError, match="no column accuracy"):
        figures.robustness_curves(table.drop(columns="accuracy"))
    other = table[table["corruption"] != "JPEG"]
    with pytest.raises(DataError, match="same corruptions"):
        figures.robustness_curves({"one": table, "two": other})
    with pytest.raises(DataError, match="none"):
        figures.robustness_curves({})


def test_examples_show_every_level_the_clean_one_framed(sample):
    strips = robustness.examples(sample.images[0], ["contrast", "low resolution"], seed=2)
    assert [strip.levels for strip in strips] == [(0.1, 0.25, 0.5, 1, 2), (8, 12, 16, 24, 48)]
    for strip in strips:
        clean = strip.levels.index(strip.corruption.clean)
        np.testing.assert_array_equal(strip.images[clean], sample.images[0])
        assert len(strip.images) == len(strip.levels)
    figure = figures.corruption_examples(strips, title="rendered sample faces")
    panels = visible(figure)
    assert len(panels) == 10
    framed = [axes.get_title() for axes in panels if axes.spines["left"].get_linewidth() > 2]
    assert framed == ["1", "48"]
    assert [axes.get_title() for axes in panels[5:]] == ["48", "24", "16", "12", "8"]
    assert "rendered sample faces" in texts(figure)
    with pytest.raises(DataError, match="none"):
        figures.corruption_examples([])


def test_recall_elsewhere_has_a_panel_a_network(pair):
    table = robustness.by_class({"one": pair, "two": pair, "three": pair})
    figure = figures.recall_elsewhere(table, names=("FER2013", "ExpW"), title="elsewhere")
    assert [axes.get_title(loc="left") for axes in visible(figure)] == ["one", "two", "three"]
    read = texts(figure)
    assert {"FER2013", "ExpW", "elsewhere", "happy\nn = 20 and 10"} <= set(read)
    assert len(figure._repr_png_()) > 1000
    with pytest.raises(DataError, match="no column n_home"):
        figures.recall_elsewhere(table.drop(columns="n_home"))
