"""Folders of more faces than memory should hold: read into a file once, then from that file."""

import errno
import shutil
import types

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from utils import balance, datasets, runtime, training
from utils.datasets import ondisk, sources
from utils.datasets.ondisk import OnDisk
from utils.expressions import EXPRESSIONS
from utils.honesty import audit
from utils.runtime import DataError

FIELDS = ("labels", "split", "rows", "files")


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Keep tests out of the repository's cache, and make more than 40 faces too many."""
    monkeypatch.setattr(runtime, "ROOT", tmp_path)
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "data" / "cache")
    monkeypatch.setattr(ondisk, "LARGEST_IN_MEMORY", 40 * 48**2)


def write_faces(root, count=90, side=48):
    """Pictures in class folders, and one that cannot be read."""
    images = np.random.default_rng(3).integers(0, 256, (count, side, side), np.uint8)
    for place, image in enumerate(images):
        folder = root / EXPRESSIONS[place % 7]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{place:03d}.png")
    (root / "happy" / "damaged.png").write_bytes(b"\x89PNG no more")
    return root


@pytest.fixture
def root(tmp_path):
    return write_faces(tmp_path / "mine")


def in_memory(root, monkeypatch, **options):
    """The same faces as an array."""
    with monkeypatch.context() as patch:
        patch.setattr(ondisk, "LARGEST_IN_MEMORY", 1 << 28)
        return datasets.load("folder", root, cache=False, **options)


def assert_same(dataset, expected):
    assert isinstance(dataset.images, OnDisk)
    np.testing.assert_array_equal(np.asarray(dataset.images), expected.images)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(dataset, field), getattr(expected, field))
    assert dataset.fingerprint() == expected.fingerprint()
    assert dataset.describe() == expected.describe()


def test_an_audit_finds_what_it_finds_of_an_array(root, monkeypatch):
    found = audit.examine(datasets.load("folder", root)).problems()
    expected = audit.examine(in_memory(root, monkeypatch)).problems()
    pd.testing.assert_frame_equal(found, expected)


def test_the_data_set_is_the_same_and_is_read_once(root, monkeypatch):
    expected = in_memory(root, monkeypatch)
    assert isinstance(expected.images, np.ndarray)
    first = datasets.load("folder", root)
    assert_same(first, expected)
    assert dict(first.skipped) == {"unreadable pictures, first happy/damaged.png": 1}
    assert datasets.summary(first) == datasets.summary(expected)
    monkeypatch.setattr(sources, "read_gray", None)
    assert_same(datasets.load("folder", root), expected)


def test_without_a_cache_there_is_a_file_nowhere_but_in_use(root, monkeypatch):
    assert_same(datasets.load("folder", root, cache=False), in_memory(root, monkeypatch))
    assert not runtime.CACHE.exists()


def test_what_is_taken_and_resized_is_what_an_array_gives(root, monkeypatch):
    expected, dataset = in_memory(root, monkeypatch), datasets.load("folder", root)
    for change in (
        lambda faces: faces.part("validation"),
        lambda faces: faces.without(["sad"]).without_test(),
        lambda faces: faces.without([]).take([5, 3, 3, -1]),
        lambda faces: faces.take([]),
    ):
        assert_same(change(dataset), change(expected))
    small, array = (training.inputs.of_size(faces.images, 32) for faces in (dataset, expected))
    assert (small.shape, small.nbytes, len(small)) == (array.shape, array.nbytes, len(array))
    for index in (0, -1, slice(3, 9), [4, 2], np.arange(90) % 2 == 0):
        np.testing.assert_array_equal(small[index], array[index])
    with pytest.raises(IndexError):
        small[len(array)]


def test_pieces_are_all_faces_in_their_order(root, monkeypatch):
    images = datasets.load("folder", root).images
    monkeypatch.setattr(ondisk, "PIECE", 7 * 48**2)
    sizes = {1: [7] * 12 + [6], 4: [4] * 22 + [2], 256: [90]}
    for multiple, expected in sizes.items():
        found = list(ondisk.pieces(images, multiple=multiple))
        assert [len(piece) for piece in found] == expected
        np.testing.assert_array_equal(np.concatenate(found), np.asarray(images))
    assert [len(piece) for piece in ondisk.pieces(images.take([]))] == [0]
    assert {len(piece) for piece in ondisk.pieces(images, face=1 << 40)} == {1}


def test_a_first_reading_that_is_killed_begins_anew(root, monkeypatch):
    expected, read, done = in_memory(root, monkeypatch), sources.read_gray, []

    def killed(*picture):
        done.append(picture)
        if len(done) > 50:
            raise KeyboardInterrupt
        return read(*picture)

    with monkeypatch.context() as patch:
        patch.setattr(sources, "read_gray", killed)
        with pytest.raises(KeyboardInterrupt):
            datasets.load("folder", root)
    assert 0 < pixels_file().stat().st_size < expected.images.nbytes
    assert_same(datasets.load("folder", root), expected)
    pixels_file().write_bytes(pixels_file().read_bytes()[:-1])
    assert_same(datasets.load("folder", root), expected)
    pixels_file().unlink()
    assert_same(datasets.load("folder", root), expected)


def pixels_file():
    (file,) = runtime.CACHE.glob("*.pixels")
    return file


def test_a_changed_folder_is_read_anew_beside_one_in_use(root, monkeypatch):
    before, first = in_memory(root, monkeypatch), datasets.load("folder", root)
    shutil.copy(root / "sad" / sorted((root / "sad").iterdir())[0].name, root / "angry" / "new.png")
    assert_same(datasets.load("folder", root), in_memory(root, monkeypatch))
    assert_same(first, before)


def test_a_disk_without_room_is_refused_with_the_bytes_that_it_takes(root, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    needed = f"expected {91 * 48**2:,} bytes of disk"
    for place, name, stand_in in (
        (shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000)),
        (OnDisk, "__init__", full),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, stand_in)
            with pytest.raises(DataError, match=needed):
                datasets.load("folder", root)
        assert not list(runtime.CACHE.iterdir())


def test_smote_is_refused_with_the_reason_and_weights_are_not(root, tmp_path):
    dataset = datasets.load("folder", root)
    part = dataset.part("training")
    reason = rf"{len(part)} of them take {4 * part.images.nbytes:,} bytes .*--balance weights"
    with pytest.raises(DataError, match=reason):
        balance.smote(part)
    settings = training.recipe(model="cnn3", epochs=1, balance="smote")
    with pytest.raises(DataError, match=reason):
        training.train(dataset, settings, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert sum(balance.class_weights(part).values()) > 0


@pytest.mark.slow
def test_a_training_is_the_same_bit_for_bit_also_when_it_was_interrupted(tmp_path, monkeypatch):
    root = write_faces(tmp_path / "mine", 700, side=40)
    expected, dataset = in_memory(root, monkeypatch), datasets.load("folder", root)
    settings = training.recipe(
        model="cnn3", epochs=2, balance="weights", batch_size=64, test_time_augmentation=2
    )

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(dataset, settings, folder=tmp_path / "a", verbose=0, callbacks=[Stop()])
    run = training.train(dataset, settings, folder=tmp_path / "a", verbose=0)
    whole = training.train(expected, settings, folder=tmp_path / "b", verbose=0)
    assert run.info["resumed"]
    pd.testing.assert_frame_equal(
        run.history.drop(columns="seconds"), whole.history.drop(columns="seconds")
    )
    for split in ("validation", "test"):
        found, wanted = getattr(run, split), getattr(whole, split)
        np.testing.assert_array_equal(found.probabilities, wanted.probabilities)
        np.testing.assert_array_equal(found.rows, wanted.rows)
