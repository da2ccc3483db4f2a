"""Corrupted faces, what they cost a network, and faces from another data set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import corruptions, robustness
from experiments.corruptions import CORRUPTIONS, corrupt
from utils import datasets, models, runtime, training
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError, ModelError

NAMES = sorted(CORRUPTIONS)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=60)
@given(st.sampled_from([1, 3]), st.sampled_from(NAMES), st.data(), st.permutations(range(4)))
def test_a_face_is_corrupted_alike_in_whatever_company(channels, name, data, order):
    images, rows = noise(4, 9, 14, channels), np.array([7, 10**6, 0, 3])
    level, before = data.draw(st.sampled_from(CORRUPTIONS[name].levels)), images.copy()
    changed = corrupt(images, name, level, rows=rows, seed=3)
    assert (changed.shape, changed.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(images, before)
    shuffled = corrupt(images[order], name, level, rows=rows[order], seed=3)
    np.testing.assert_array_equal(shuffled, changed[order])


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
    for other in ({"seed": 1}, {"rows": np.arange(len(faces)) + 1000}):
        both = [corrupt(faces, name, one.levels[-1], **more) for more in ({}, other)]
        assert np.array_equal(*both) == (name not in ("Gaussian noise", "rotation", "gray square"))


def test_levels_are_in_the_units_that_they_name():
    gray = np.full((40, 48, 48, 1), 100, np.uint8)
    assert corrupt(gray, "Gaussian noise", 16).std() == pytest.approx(16, abs=0.2)
    assert (corrupt(gray, "brightness", 32) == 132).all()
    covered = corrupt(gray, "gray square", 40) == corruptions.GRAY
    assert covered.mean() == pytest.approx(0.4, abs=0.04)
    for name, rows in (("upper part hidden", slice(12)), ("lower part hidden", slice(36, None))):
        hidden = corrupt(gray, name, 25) == corruptions.GRAY
        assert hidden[:, rows].all()
        assert hidden.mean() == 0.25
    half = corrupt(np.array([50, 150], np.uint8).reshape(1, 1, 2, 1), "contrast", 0.5)
    assert half.ravel().tolist() == [75, 125]
    point = np.zeros((1, 41, 41, 1), np.uint8)
    point[0, 20, 20] = 255
    blurred = corrupt(point, "Gaussian blur", 1)[0, 20, :, 0]
    assert blurred[21] / blurred[20] == pytest.approx(np.exp(-1 / 2), abs=0.03)
    images = noise(30, 16, 16, 1)
    turned = corrupt(images, "rotation", 90).astype(int)
    gaps = [np.abs(turned - np.rot90(images, k, axes=(1, 2))).max(axis=(1, 2, 3)) for k in (1, 3)]
    assert ((gaps[0] <= 1) ^ (gaps[1] <= 1)).all()
    assert 5 < (gaps[0] <= 1).sum() < 25


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A data set whose last test faces are training pictures, and a network's file."""
    runtime.setup(0)
    images, labels = noise(42, 16, 16, 1), np.arange(42) % 7
    images[-7:] = images[:7]
    split = np.repeat(["training", "test"], 21)
    data = datasets.FaceDataset(images, labels, split, np.arange(42) + 100, "sample")
    network = models.Classifier(models.build("cnn3", (16, 16, 1), filters=(2,) * 3), EXPRESSIONS)
    file = tmp_path_factory.mktemp("network") / "tiny.keras"
    return data, models.save(network, file)


def test_the_command_records_what_the_network_answers(tiny, tmp_path, monkeypatch, capsys):
    data, file = tiny
    monkeypatch.setattr(robustness.datasets, "load", lambda *_: data)
    few = {name: CORRUPTIONS[name] for name in ("gray square", "brightness")}
    monkeypatch.setattr(robustness, "CORRUPTIONS", few)
    arguments = [str(file), "--data", "sample", "--results", str(tmp_path)]
    robustness.main(arguments)
    assert "tiny on sample's test split, n = 21" in capsys.readouterr().out
    assert not (tmp_path / "robustness").exists()
    robustness.main([*arguments, "--record"])
    found = robustness.recorded(tmp_path, "sample")["tiny"]
    assert found.info["fingerprint"] == data.fingerprint()
    network, test, right = models.load(file), data.part("test"), []
    for images in (test.images, corrupt(test.images, "gray square", 40, rows=test.rows)):
        right.append(training.predict(network, test.with_images(images), "test").predicted)
    table = robustness.table(found).set_index(["corruption", "level"])
    assert list(table.loc["brightness"].index) == [-96, -64, -32, 0, 32, 64, 96]
    for said, row in zip(right, [table.loc["gray square", at] for at in (0, 40)], strict=True):
        hits = said == test.labels
        assert row["accuracy"] == pytest.approx(hits.mean())
        assert row["difference"] == pytest.approx(hits.mean() - (right[0] == test.labels).mean())
    views = robustness.ask(network, data, views=2)
    assert views.info["views"] == 2
    averaged = training.predict(network, data, "test", test_time_augmentation=2)
    np.testing.assert_array_equal(views.predicted[0], averaged.predicted)
    # A network that answers NaN gets one sentence, and no record.
    network.model.layers[-1].bias.assign(np.full(7, np.nan))
    with pytest.raises(ModelError, match="the network's outputs are not probabilities"):
        robustness.ask(network, data)
    with pytest.raises(DataError, match="no faces in its validation split"):
        robustness.ask(network, data, "validation")


def test_the_committed_records_give_the_figures_of_before():
    """The numbers were computed by the code that wrote the records."""
    table = robustness.table(robustness.recorded()["cnn5-fer2013-smote"])
    assert len(table) == 50
    row = table.set_index(["corruption", "level"]).loc[("rotation", 30)]
    assert row["accuracy"] == pytest.approx(2019 / 3589)
