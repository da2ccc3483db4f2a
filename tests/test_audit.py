"""The audit: copies found wherever they were put, and nothing else; any folder; a safe page."""

import dataclasses
import hashlib
import html.parser
import json
import os
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils import audit, datasets, evaluation, figures, records, sample
from utils.audit import command, correlation, faults
from utils.datasets import FaceDataset
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError
from utils.sample.draws import Draws
from utils.sample.planted import CHANGES, OTHER_LABEL, changed

PLANTED_SHA256 = "c16c14799fcda462c863574c325a5be99b6c067850221c67acff0b112b4a592b"


def noise(count, seed=0, side=8, low=0, high=256):
    """Pictures that have nothing to do with each other: (count, side, side, 1) uint8."""
    return np.random.default_rng(seed).integers(low, high, (count, side, side, 1), dtype=np.uint8)


def dataset(images, split=None, labels=None, **more):
    count = len(images)
    return FaceDataset(
        images=images,
        labels=np.zeros(count, np.int64) if labels is None else np.asarray(labels, np.int64),
        split=np.array(["training"] * count if split is None else split),
        rows=np.arange(count, dtype=np.int64),
        name="made",
        **more,
    )


def halves(count):
    """Name the splits of `count` rows: the first half training, then validation, then test."""
    kinds = np.array(["training", "training", "validation", "test"])
    return kinds[np.arange(count) * 4 // count]


# ------------------------------------------------------------------ correlation

seeds = st.integers(0, 10_000)


@given(seeds, st.integers(1, 3), st.integers(0, 60))
def test_brightness_and_contrast_change_no_correlation(seed, contrast, brightness):
    one, two = noise(6, seed, high=65), noise(6, seed + 1)
    other = one * np.uint8(contrast) + np.uint8(brightness)
    before, after = audit.correlations(one, two), audit.correlations(other, two)
    assert np.allclose(before, after, atol=1e-12)
    assert np.allclose(audit.correlations(one, other), 1)


@given(seeds)
def test_correlation_is_pearsons(seed):
    one, two = noise(3, seed), noise(3, seed + 1)
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, two, strict=True)]
    assert np.allclose(audit.correlations(one, two), expected)


@given(seeds, st.integers(1, 9), st.integers(1, 12), st.integers(1, 15), st.booleans())
def test_blocks_of_any_size_give_the_direct_result(seed, asked, known, block, mirror):
    queries, references = noise(asked, seed), noise(known, seed + 1)
    found = audit.nearest(queries, references, mirror=mirror, block=block)
    units = correlation.unit_vectors(references).astype(float)
    straight = correlation.unit_vectors(queries).astype(float) @ units.T
    flipped = correlation.unit_vectors(queries[:, :, ::-1]).astype(float) @ units.T
    best = np.maximum(straight.max(axis=1), flipped.max(axis=1) if mirror else -1)
    assert np.allclose(found.correlation, best, atol=1e-5)
    products = np.where(found.mirrored[:, None], flipped, straight)
    assert np.allclose(products[np.arange(asked), found.place], best, atol=1e-5)
    assert mirror or not found.mirrored.any()


@given(seeds, st.integers(2, 9))
def test_mirroring_either_side_changes_the_mark_alone(seed, count):
    queries, references = noise(count, seed), noise(7, seed + 1)
    plain = audit.nearest(queries, references)
    for one, two in ((queries[:, :, ::-1], references), (queries, references[:, :, ::-1])):
        turned = audit.nearest(one, two)
        assert np.array_equal(turned.place, plain.place)
        assert np.allclose(turned.correlation, plain.correlation, atol=1e-6)
        assert np.array_equal(turned.mirrored, ~plain.mirrored)


@given(seeds, st.integers(1, 5))
def test_a_picture_is_not_its_own_copy(seed, block):
    images = noise(6, seed)
    found = audit.nearest(images, images, themselves=True, block=block)
    assert (found.place != np.arange(6)).all()
    assert (found.correlation < 0.95).all()
    # nearest of all others is mutual for the most alike pair
    top = int(found.correlation.argmax())
    assert found.correlation[found.place[top]] == pytest.approx(found.correlation[top], abs=1e-6)


@given(seeds, st.integers(-2, 2), st.integers(-2, 2))
def test_shifted_pictures_are_aligned(seed, down, across):
    wide = noise(3, seed, side=14)
    one, two = wide[:, 2:-2, 2:-2], wide[:, 2 + down : 12 + down, 2 + across : 12 + across]
    assert np.allclose(audit.aligned(one, two), 1)
    assert np.allclose(correlation.aligned(one, two, reach=0), audit.correlations(one, two))
    assert (audit.aligned(one, noise(3, seed + 1, side=10)) < 0.9).all()


def test_flat_pictures_have_no_correlation():
    images = noise(4)
    images[1] = 7
    found = audit.nearest(images, images[1:2])
    assert found.place.tolist() == [-1] * 4
    assert np.isnan(found.correlation).all()
    found = audit.nearest(images[1:2], images)
    assert (found.place[0], bool(found.mirrored[0])) == (-1, False)
    assert np.isnan(audit.correlations(images[:2], images[1:3])).all()
    # A negative correlation is still more than none.
    found = audit.nearest(images[:1], np.concatenate([images[1:2], 255 - images[:1]]), mirror=False)
    assert (found.place[0], found.correlation[0]) == (1, pytest.approx(-1))


def test_equal_fits_count_as_straight_and_first():
    picture = noise(1)
    both = np.concatenate([noise(1, 1), picture[:, :, ::-1], picture, picture])
    found = audit.nearest(picture, both)
    assert (found.place[0], bool(found.mirrored[0])) == (2, False)


def test_nearest_refuses_what_it_cannot_compare():
    images = noise(3)
    with pytest.raises(ValueError, match="block is 0"):
        audit.nearest(images, images, block=0)
    with pytest.raises(DataError, match="one size"):
        audit.nearest(images, noise(3, side=9))
    with pytest.raises(DataError, match="uint8"):
        audit.nearest(images / 255, images)
    with pytest.raises(DataError, match="same pictures"):
        audit.nearest(images, images[:2], themselves=True)


# ------------------------------------------------------------------ one picture


@given(seeds, st.integers(1, 3))
def test_flat_and_nearly_flat_are_told_apart(seed, channels):
    images = np.random.default_rng(seed).integers(0, 256, (5, 8, 8, channels), dtype=np.uint8)
    images[1] = images[1, 0, 0]  # one color, of any channels
    images[3] = 100 + images[3] // 32  # eight levels
    assert faults.flat(images).tolist() == [False, True, False, False, False]
    assert faults.nearly_flat(images).tolist() == [False, False, False, True, False]


def test_rows_without_a_face_are_those_of_most_votes():
    votes = np.zeros((4, 10), np.int64)
    votes[0, 9], votes[1, 9], votes[1, 0] = 10, 5, 5
    votes[2, 9], votes[2, 8], votes[2, 0] = 3, 3, 4
    no_face, unclear = faults.without_face(votes)
    assert no_face.tolist() == [True, False, False, False]
    assert unclear.tolist() == [True, False, True, False]
    with pytest.raises(DataError, match="expected \\(n, 10\\)"):
        faults.without_face(votes[:, :8])


# ------------------------------------------------------------------ copies, wherever they stand


@st.composite
def planted_sets(draw):
    """Draw noise pictures, and which rows are copies of which: exact, mirrored or brighter."""
    count = draw(st.integers(8, 24))
    rows = draw(st.permutations(range(count)))
    pairs = draw(st.integers(1, count // 4))
    changes = draw(
        st.lists(st.sampled_from(["exact", "mirrored", "brighter"]), min_size=pairs, max_size=pairs)
    )
    splits = draw(st.lists(st.sampled_from(datasets.SPLITS), min_size=count, max_size=count))
    labels = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    images = noise(count, draw(seeds), high=200)
    planted = list(zip(rows[:pairs], rows[pairs : 2 * pairs], changes, strict=True))
    for copy, original, change in planted:
        images[copy] = images[original]
        if change == "mirrored":
            images[copy] = images[original, :, ::-1]
        elif change == "brighter":
            images[copy] = images[original] + np.uint8(40)
    return images, np.array(splits), np.array(labels), planted


@settings(max_examples=60)
@given(planted_sets(), st.integers(1, 30))
def test_copies_are_found_wherever_they_stand_and_nothing_else(made, block):
    images, split, labels, planted = made
    found = audit.examine(dataset(images, split, labels), block=block)
    training = split == "training"
    across = training.any() and not training.all()
    assert found.across == across
    expected = {}
    for one, two, change in planted:
        for copy, original in ((one, two), (two, one)):
            if not across or (training[original] and not training[copy]):
                expected[copy] = (original, change)
    assert set(np.flatnonzero(found.near())) == set(expected)
    for copy, (original, change) in expected.items():
        assert found.nearest[copy] == original
        assert found.exact[copy] == (change == "exact")
        assert found.mirrored[copy] == (change == "mirrored")
        assert found.correlation[copy] == pytest.approx(1, abs=1e-6)
        assert found.disagrees[copy] == (labels[copy] != labels[original])
    torn = {
        row for a, b, how in planted if how == "exact" and labels[a] != labels[b] for row in (a, b)
    }
    masks = found.masks()
    assert set(np.flatnonzero(masks["contradictory"])) == torn
    assert masks["repeats"].sum() == sum(how == "exact" for *_, how in planted)
    assert len(found.contradictions()) * 2 == len(torn)
    pairs = found.pairs()
    listed = set(zip(pairs.index, pairs["position_of"], strict=True))
    if across:
        assert listed == {(copy, original) for copy, (original, _) in expected.items()}
    else:
        assert listed == {(max(a, b), min(a, b)) for a, b, _ in planted}


def test_three_equal_pictures_are_two_pairs_of_one_group():
    images = noise(6)
    images[[2, 5]] = images[0]
    found = audit.examine(dataset(images, labels=[0, 0, 1, 0, 0, 1]))
    assert found.exact.tolist() == [True, False, True, False, False, True]
    assert found.nearest[[0, 2, 5]].tolist() == [2, 0, 0]
    assert set(zip(found.pairs().index, found.pairs()["position_of"], strict=True)) == {
        (2, 0),
        (5, 0),
    }
    (group,) = found.contradictions().to_dict("records")
    assert (group["rows"], group["labels"]) == (3, "1 angry, 2 disgust")
    assert group["others"] == "row 2, row 5"
    assert found.identical().loc["twice"].tolist() == [1, 3]


def test_identical_pictures_are_counted_by_pairs_of_splits():
    images = noise(8)
    images[4] = images[6] = images[0]  # training, validation, test
    images[7] = images[5]  # test, validation
    found = audit.examine(dataset(images, halves(8))).identical()
    assert found.loc["training and validation"].tolist() == [1, 2]
    assert found.loc["training and test"].tolist() == [1, 2]
    assert found.loc["validation and test"].tolist() == [2, 4]
    assert found.loc["twice in test"].tolist() == [0, 0]


def test_flat_exact_copies_are_copies_all_the_same():
    images = noise(8)
    images[0] = images[5] = 9
    images[6] = 8
    found = audit.examine(dataset(images, halves(8)))
    assert np.flatnonzero(found.near()).tolist() == [5]
    assert found.correlation[5] == 1
    assert found.nearest[6] == -1
    assert np.isnan(found.correlation[6])
    assert np.flatnonzero(found.flat).tolist() == [0, 5, 6]


def test_faces_of_one_photo_in_two_splits_are_a_leak():
    photos = np.array(["a", "a", "b", "c", "c", "d", "b", "e"])
    found = audit.examine(dataset(noise(8), halves(8), photos=photos))
    assert np.flatnonzero(found.masks()["photo_in_training"]).tolist() == [4, 6]
    assert found.by_photo() == {
        "photos": 5,
        "with_several_faces": 3,
        "faces_of_these": 6,
        "most_faces": 2,
        "in_several_splits": 2,
    }
    assert found.names[3] == "c, row 3"


def test_thresholds_and_bands_add_up():
    found = audit.examine(planted_sample()[0])
    table, bands = found.thresholds(), found.bands()
    assert table["all"].is_monotonic_increasing
    assert (table[["validation", "test"]].sum(axis=1) == table["all"]).all()
    assert table.loc["0.95 or more", "all"] == found.near().sum()
    assert bands["pairs"].cumsum().iloc[:-1].tolist() == table["all"].tolist()
    assert bands["pairs"].sum() == (found.nearest >= 0).sum()
    other = (bands["pairs"] - bands["same label"]).cumsum()
    assert other.iloc[:-1].tolist() == table["other label"].tolist()
    assert bands["mirrored"].cumsum().iloc[:-1].tolist() == table["mirrored"].tolist()
    shifted = found.near(shifted=True)
    assert bands["fit shifted"].sum() == shifted.sum() > found.near().sum()
    assert found.masks()["shifted_copies"].sum() == shifted.sum() - found.near().sum()
    assert found.thresholds([0.5]).index.tolist() == ["exact", "0.95 or more", "0.50 or more"]


def test_examine_refuses_what_does_not_fit():
    faces = dataset(noise(4))
    with pytest.raises(ValueError, match=r"threshold is 1\.5"):
        audit.examine(faces, threshold=1.5)
    with pytest.raises(DataError, match="3 names for 4 pictures"):
        audit.examine(faces, names=["a", "b", "c"])
    with pytest.raises(DataError, match="no pictures"):
        audit.examine(faces.take([]))


# ------------------------------------------------------------------ the sample's planted leaks


@pytest.fixture(scope="module")
def rows():
    return sample.render_rows()


def planted_sample(count=60, seed=0):
    """Give the default sample with planted near copies, as a data set, and what was planted."""
    rows = sample.render_rows()
    new, planted = sample.plant_near_copies(rows, count, seed)
    faces = datasets.load("sample").with_images(new.images[..., None])
    return dataclasses.replace(faces, votes=new.votes), planted, new


@pytest.mark.parametrize("seed", [0, 1])
def test_exactly_the_planted_leaks_are_found_in_the_sample(seed):
    faces, planted, rows = planted_sample(seed=seed)
    found = audit.examine(faces)
    known = {int(row): int(original) for row, original in rows.copies}
    near = {**planted["copy_of"].to_dict(), **known}
    at = np.flatnonzero(found.near(shifted=True))
    assert dict(zip(at.tolist(), found.nearest[at].tolist(), strict=True)) == near
    shifted = set(planted.index[planted["change"] == "shifted"])
    needed = set(np.flatnonzero(found.masks()["shifted_copies"]))
    assert needed <= shifted
    assert len(needed) > len(shifted) / 2
    assert set(np.flatnonzero(found.exact)) == set(known)
    mirrored = planted.index[planted["change"] == "mirrored"]
    assert set(np.flatnonzero(found.masks()["near_mirrored"])) == set(mirrored)
    other = planted.index[planted["label"] != planted["copy_of_label"]]
    assert set(np.flatnonzero(found.masks()["near_other_label"])) == set(other) - needed
    groups = {tuple(sorted(pair)) for pair in rows.contradictions.tolist()}
    torn = found.masks()["contradictory"]
    assert {
        tuple(np.flatnonzero(torn & (found.first == first))) for first in found.first[torn]
    } == (groups)
    assert set(np.flatnonzero(found.flat)) == set(rows.flat.tolist())
    assert set(np.flatnonzero(found.no_face)) == set(rows.flat.tolist())
    assert not found.nearly_flat.any()


def test_the_gap_between_unrelated_and_planted_is_as_stated(rows):
    """The docstring of `plant_near_copies` promises this of the default rows."""
    plain = audit.examine(datasets.load("sample"))
    assert np.nanmax(plain.aligned[~plain.exact]) < 0.940
    new, planted = sample.plant_near_copies(rows, 200)
    copies = new.images[planted.index]
    originals = rows.images[planted["copy_of"]]
    mirrored = (planted["change"] == "mirrored").to_numpy()
    copies[mirrored] = copies[mirrored][:, :, ::-1]
    straight = audit.correlations(copies, originals)
    moved = (planted["change"] == "shifted").to_numpy()
    assert straight[~moved].min() > 0.957
    assert audit.aligned(copies[moved], originals[moved]).min() > 0.957
    assert np.median(straight[moved]) == pytest.approx(0.92, abs=0.01)


def test_planting_keeps_labels_usages_faults_and_the_rows_given(rows):
    before = hashlib.sha256(rows.images.tobytes()).hexdigest()
    new, planted = sample.plant_near_copies(rows, 40, seed=3)
    assert hashlib.sha256(rows.images.tobytes()).hexdigest() == before
    assert np.array_equal(new.labels, rows.labels)
    assert np.array_equal(new.usage, rows.usage)
    changed_rows = np.flatnonzero((new.images != rows.images).any(axis=(1, 2)))
    assert changed_rows.tolist() == planted.index.tolist()
    faulty = np.concatenate([rows.copies.ravel(), rows.contradictions.ravel(), rows.flat])
    assert not np.isin(faulty, [*planted.index, *planted["copy_of"]]).any()
    assert planted["copy_of"].is_unique
    assert set(rows.usage[planted["copy_of"]]) == {"Training"}
    assert set(rows.usage[planted.index]) == {"PublicTest", "PrivateTest"}
    assert set(planted["change"]) == set(CHANGES)
    assert (planted["label"] != planted["copy_of_label"]).sum() == 40 // OTHER_LABEL
    assert np.array_equal(new.drawn[planted.index], rows.drawn[planted["copy_of"]])


def test_planting_gives_the_same_pixels_everywhere(rows):
    new, planted = sample.plant_near_copies(rows, 10)
    again, _ = sample.plant_near_copies(rows, 10)
    assert np.array_equal(new.images, again.images)
    digest = hashlib.sha256(new.images[planted.index].tobytes()).hexdigest()
    assert digest == PLANTED_SHA256


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (201, 0), (1, -1)])
def test_planting_refuses_counts_out_of_range(rows, count, seed):
    with pytest.raises(ValueError, match="expected"):
        sample.plant_near_copies(rows, count, seed)


@given(seeds, st.sampled_from(CHANGES), st.integers(5, 20), st.integers(5, 20))
def test_changes_keep_size_and_type(seed, change, height, width):
    image = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    found = changed(image, change, Draws(seed, 1))
    assert (found.shape, found.dtype) == (image.shape, image.dtype)
    level = changed(np.full((height, width), 90, np.uint8), change, Draws(seed, 1))
    assert abs(level.astype(int) - (111 if change == "brighter" else 90)).max() <= 6


def test_an_unknown_change_is_refused():
    with pytest.raises(ValueError, match="unknown change 'bent'"):
        changed(np.zeros((8, 8), np.uint8), "bent", Draws(0, 1))


def test_sensitivity_says_what_a_threshold_misses(rows):
    table = audit.sensitivity(rows.images[rows.usage == "Training"], most=150)
    assert table.index.tolist() == list(CHANGES)
    assert (table["pictures"] == 150).all()
    assert (table["found"].drop("shifted") == 1).all()
    assert table.loc["shifted", "found"] < 0.5
    assert (table["found_shifted"] == 1).all()
    assert table.loc["mirrored", "median"] == pytest.approx(1)
    assert (table["lowest"] <= table["median"]).all()
    with pytest.raises(DataError, match="gray"):
        audit.sensitivity(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="not flat"):
        audit.sensitivity(np.zeros((2, 8, 8), np.uint8))


# ------------------------------------------------------------------ anyone's folder


def picture(path, seed=0, size=(60, 50), color=True, **settings):
    """Save a coarse random picture: coarse, so that JPEG and resizing leave it recognisable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    image = Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)
    image = image if color else image.convert("L")
    image.save(path, **settings)
    return image


@pytest.fixture
def folder(tmp_path):
    """A tree of someone's own classes, with a leak of each kind."""
    root = tmp_path / "my faces"
    for seed, name in enumerate(["train/joy/a.jpg", "train/joy/b.png", "train/calm/c.bmp"]):
        picture(root / name, seed)
    picture(root / "test/joy/same pixels.png", 1)  # b
    picture(root / "test/calm/smaller.jpg", 2, size=(70, 90), color=False)  # c, squeezed, gray
    picture(root / "test/calm/own.gif", 9)
    mirrored = picture(root / "val/joy/x.png", 0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(root / "val/joy/x.png")  # a
    (root / "test/joy/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (root / "test/joy/empty.png").write_bytes(b"")
    (root / "train/notes.txt").write_text("not a picture")
    return root


def test_a_folder_of_own_classes_is_read_and_its_leaks_found(folder):
    faces = audit.load(folder)
    assert faces.dataset.expressions == ("calm", "joy")
    assert {name for name, _ in faces.unreadable} == {"test/joy/broken.jpg", "test/joy/empty.png"}
    assert dict(faces.dataset.skipped) == {"files that are no pictures": 1, "unreadable": 2}
    found = audit.examine(
        faces.dataset, first=faces.first, names=faces.names, unreadable=faces.unreadable
    )
    pairs = found.pairs(0.9).set_index("picture")
    assert pairs["copy_of"].to_dict() == {
        "test/joy/same pixels.png": "train/joy/b.png",
        "test/calm/smaller.jpg": "train/calm/c.bmp",
        "val/joy/x.png": "train/joy/a.jpg",
    }
    assert pairs["exact"].to_dict() == {
        "test/joy/same pixels.png": True,
        "test/calm/smaller.jpg": False,
        "val/joy/x.png": False,
    }
    assert pairs.loc["val/joy/x.png", "mirrored"]
    assert found.unreadable == faces.unreadable


def test_classes_without_splits_are_compared_with_each_other(tmp_path):
    picture(tmp_path / "set/angry/a.png", 1)
    picture(tmp_path / "set/Happiness/b.png", 1)
    picture(tmp_path / "set/happy/c.png", 2)
    picture(tmp_path / "set/d.png", 3)
    faces = audit.load(tmp_path / "set")
    assert faces.dataset.expressions == ("(no class)", "Happiness", "angry", "happy")
    (tmp_path / "set/d.png").unlink()
    faces = audit.load(tmp_path)  # one folder around the classes, as archives unpack
    assert faces.dataset.expressions == EXPRESSIONS
    found = audit.examine(faces.dataset, first=faces.first, names=faces.names)
    assert not found.across
    assert found.contradictions()["labels"].tolist() == ["1 happy, 1 angry"]
    assert found.problems().columns.tolist() == ["all"]
    assert found.identical().index.tolist() == ["twice"]
    assert "no splits" in audit.text(found)
    assert len([tag for tag, _ in tags(audit.page(found)) if tag == "img"]) == 2


def test_fer2013s_folders_keep_their_splits(tmp_path):
    written = sample.write(tmp_path / "sample", rows=100, photos=1)
    (written / "fer2013/fer2013.csv").unlink()
    (written / "fer2013/fer2013new.csv").unlink()
    faces = audit.load(written / "fer2013")
    rows = sample.render_rows(100)
    counts = faces.dataset.counts().sum().to_dict()
    assert counts == {"training": 70, "validation": 10, "test": 20, "all": 100}
    found = audit.examine(faces.dataset, first=faces.first, names=faces.names)
    number = [int(name.rsplit("_", 1)[1].removesuffix(".png")) for name in faces.names]
    assert {number[at] for at in np.flatnonzero(found.exact)} == set(rows.copies[:, 0].tolist())


def test_csv_and_votes_are_joined_and_expw_keeps_its_photos(tmp_path):
    written = sample.write(tmp_path / "sample", rows=100, photos=1)
    rows = sample.render_rows(100)
    for path in (written / "fer2013", written / "fer2013/fer2013.csv"):
        faces = audit.load(path).dataset
        assert np.array_equal(faces.votes, rows.votes)
        assert np.array_equal(faces.labels, rows.labels)
    assert audit.load(written / "expw").dataset.photos is not None
    assert audit.load(written / "expw", size=32).dataset.images.shape[1:] == (32, 32, 1)
    votes = written / "fer2013/fer2013new.csv"
    votes.write_text("\n".join(votes.read_text().splitlines()[:-1]))
    with pytest.raises(DataError, match="99 rows"):
        audit.load(written / "fer2013")


def test_reading_says_what_is_missing(tmp_path, folder):
    with pytest.raises(DataError, match="no such file or folder"):
        audit.load(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="found no pictures"):
        audit.load(tmp_path / "bare")
    (tmp_path / "letter.csv").write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    with pytest.raises(DataError, match="expected emotion, pixels and Usage"):
        audit.load(tmp_path / "letter.csv")
    with pytest.raises(DataError, match="expected a folder of pictures"):
        audit.load(tmp_path / "letter.csv", format="pictures")
    with pytest.raises(ValueError, match="unknown format"):
        audit.load(folder, format="zip")
    with pytest.raises(ValueError, match="at least 8"):
        audit.load(folder, size=4)
    for name in ("same pixels.png", "broken.jpg", "empty.png"):
        (folder / "test/joy" / name).unlink()
    for name in ("smaller.jpg", "own.gif"):
        (folder / "test/calm" / name).write_bytes(b"none")
    with pytest.raises(DataError, match="no readable picture for test among 2"):
        audit.load(folder)


def test_an_empty_split_folder_is_an_error(tmp_path):
    picture(tmp_path / "train/joy/a.png")
    (tmp_path / "test/joy").mkdir(parents=True)
    with pytest.raises(DataError, match="found no pictures for test"):
        audit.load(tmp_path)


def bomb(path, width=9_000, height=9_000):
    """Write a PNG whose header promises more pixels than anyone should decode."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def test_hostile_files_stop_nothing_and_are_named(tmp_path):
    picture(tmp_path / "joy/a.png", 1)
    picture(tmp_path / "joy/b.png", 2)
    bomb(tmp_path / "joy/bomb.png")
    os.mkfifo(tmp_path / "joy/pipe.png")
    (tmp_path / "joy/gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "joy/folder.png").mkdir()
    faces = audit.load(tmp_path)
    assert faces.names == ("joy/a.png", "joy/b.png")
    reasons = dict(faces.unreadable)
    assert set(reasons) == {"joy/bomb.png", "joy/pipe.png", "joy/gone.png"}
    assert "9000 × 9000" in reasons["joy/bomb.png"]
    assert not any(str(tmp_path) in reason for reason in reasons.values())


# ------------------------------------------------------------------ page and command

NASTY = [
    "<script>alert(1)</script>.png",
    'a" onerror="x.png',
    "tab\tand\nline.png",
    "\x1b[31mred.png",
]


@pytest.fixture
def nasty(tmp_path):
    root = tmp_path / "set"
    for at, name in enumerate(NASTY):
        try:
            picture(root / f"train/<b>bold/{at}.png", at)
            (root / "test/<b>bold").mkdir(parents=True, exist_ok=True)
            picture(root / "test/<b>bold/x.png", at, size=(61, 50))
            os.rename(
                root / "test/<b>bold/x.png",
                os.fsencode(root / "test/<b>bold") + b"/" + name.replace("/", "").encode(),
            )
        except OSError:
            pytest.skip("this file system refuses such names")
    broken = os.fsencode(root / "test/<b>bold") + b"/\xff<i>.png"
    try:
        with open(broken, "wb") as file:
            file.write(b"no picture")
    except OSError:
        pytest.skip("this file system refuses such names")
    return root


class Tags(html.parser.HTMLParser):
    """Collect a page's tags and attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def tags(page):
    parser = Tags()
    parser.feed(page)
    return parser.found


def test_page_loads_nothing_runs_nothing_and_escapes_names(nasty, tmp_path, capsys):
    target = tmp_path / "out" / "page.html"
    assert command.main([str(nasty), "--page", str(target), "--pictures"]) == 0
    page = target.read_text(encoding="utf-8")
    found = tags(page)
    kinds = {tag for tag, _ in found}
    assert not kinds & {"script", "link", "iframe", "b", "i", "object"}
    for tag, attributes in found:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:image/png;base64,"[:5])
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page
    assert "&lt;script&gt;" in page
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err + page
    assert "\\udcff&lt;i&gt;.png" in page


def test_page_shows_pictures_only_where_asked_to(tmp_path):
    faces, planted, _ = planted_sample(10)
    found = audit.examine(faces)
    plain, shown = audit.page(found), audit.page(found, images=faces.images)
    drawn = [tag for tag, _ in tags(plain) if tag == "img"]
    assert len(drawn) == 2  # the two figures
    assert sum(tag == "img" for tag, _ in tags(shown)) == 2 + 2 * len(planted)
    for title in found.tables():
        assert f"<h2>{title}</h2>" in plain


def test_text_counts_what_it_leaves_out():
    found = audit.examine(planted_sample(30)[0])
    said = audit.text(found, most=5)
    assert "… and 31 more" in said  # 36 pairs
    assert "exact copy of a training picture" in said
    for title in found.tables():
        assert f"\n{title}\n---" in said


def test_command_prints_json_and_keeps_a_record(tmp_path, capsys):
    arguments = ["sample", "--json", "--record", "--results", str(tmp_path)]
    assert command.main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["problems"]["exact_copies"]["test"] == 6
    assert [pair["picture"] for pair in told["pairs"]][:1] == ["row 1738"]
    assert told["written"] == ["sample-leaks.json"]
    leaks = audit.recorded("sample", tmp_path / "data")
    faces = datasets.load("sample")
    found = audit.examine(faces)
    for split in ("validation", "test"):
        rows = faces.rows[faces.split == split]
        for threshold in (None, 0.9, 2):
            for shifted in (False, True):
                expected = found.near(threshold, shifted=shifted)[faces.split == split]
                assert np.array_equal(leaks.near(rows, threshold, shifted=shifted), expected)
    assert leaks.info["fingerprint"] == faces.fingerprint()
    assert leaks.info["command"].startswith("python -m utils.audit sample --json --record")
    assert str(tmp_path) not in json.dumps(leaks.info)
    assert [row["change"] for row in leaks.info["sensitivity"]] == list(CHANGES)
    with pytest.raises(DataError, match="not compared"):
        leaks.near(faces.rows[:3])


def test_command_exit_codes(tmp_path, capsys, folder):
    assert command.main([str(folder), "--threshold", "0.9"]) == 0
    assert "test/joy/broken.jpg" in capsys.readouterr().out
    assert command.main([str(tmp_path / "nowhere")]) == 1
    assert "no such file" in capsys.readouterr().err
    assert command.main([str(folder / "train"), "--record", "--results", str(tmp_path)]) == 1
    assert "no splits" in capsys.readouterr().err
    for wrong in (["--threshold", "0"], ["--size", "4"], ["--pictures"], ["--nonsense"]):
        with pytest.raises(SystemExit) as left:
            command.main([str(folder), *wrong])
        assert left.value.code == 2


@pytest.mark.parametrize("damage", ["cut", "other rows", "no npz", "no json"])
def test_a_damaged_record_is_refused(tmp_path, damage):
    found = audit.examine(datasets.load("sample"))
    path = audit.record(found, tmp_path, {})
    arrays = path.with_suffix(".npz")
    if damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:500])
    elif damage == "other rows":
        with np.load(arrays) as kept:
            np.savez(arrays, **{name: kept[name][:-1] for name in kept.files})
    elif damage == "no npz":
        arrays.unlink()
    else:
        path.write_text("{")
    with pytest.raises(DataError, match=r"sample-leaks\.json"):
        audit.recorded("sample", tmp_path)


# ------------------------------------------------------------------ figures


def test_correlation_figure_sets_exact_copies_apart_and_marks_the_threshold():
    values = np.array([0.4, 0.5, 0.96, 1.0, 1.0, np.nan], np.float32)
    exact = np.array([False, False, False, True, True, False])
    figure = figures.best_correlations(values, exact, mirrored=values < 0.45, threshold=0.9)
    (axes,) = figure.axes
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == 3 + 1 + 2  # all, mirrored, exact
    assert axes.get_yscale() == "log"
    texts = [text.get_text() for text in axes.texts]
    assert "2" in texts
    assert "3 of 6\nat 0.9 or more" in texts
    assert "1 flat left out" in axes.get_xlabel()
    assert any((np.array(line.get_xdata()) == 0.9).all() for line in axes.lines)


def test_problem_figure_has_a_bar_a_split():
    found = audit.examine(planted_sample(10)[0])
    table = found.problems().rename(index=found.describe)
    (axes,) = figures.problem_counts(table).axes
    widths = sorted(bar.get_width() for bar in axes.patches)
    assert widths == sorted(table[["training", "validation", "test"]].to_numpy().ravel())


def test_pair_figure_has_two_pictures_a_pair(rows):
    figure = figures.picture_pairs(rows.images[:3], rows.images[3:6], ["a", "b", "c"], columns=2)
    assert len(figure.axes) == 6
    assert [axes.get_xlabel() for axes in figure.axes[:2]] == ["test", "training"]


def test_figures_refuse_nothing():
    with pytest.raises(DataError):
        figures.best_correlations(np.array([]), np.array([]))
    with pytest.raises(DataError):
        figures.best_correlations(np.ones(2), np.ones(3, bool))
    with pytest.raises(DataError):
        figures.picture_pairs(noise(2), noise(1))
    with pytest.raises(DataError):
        figures.problem_counts(pd.DataFrame({"other": [1]}))


# ------------------------------------------------------------------ the records


def test_the_record_of_fer2013_agrees_with_the_data_sheet(root):
    leaks = audit.recorded("fer2013")
    counts = json.loads((root / "results/data/fer2013.json").read_text("utf-8"))
    info = leaks.info
    assert info["fingerprint"] == counts["fingerprint"]
    problems = info["problems"]
    assert problems["repeats"]["all"] == counts["repeats"] == 1_851
    for split in ("validation", "test"):
        assert problems["exact_copies"][split] == counts["copies"][split]
    assert info["contradictory_groups"] == counts["contradictions"] == 56
    assert problems["flat"]["all"] == counts["flat"] == 12
    assert problems["near_copies"]["test"] == 397
    assert int(leaks.near(leaks.rows).sum()) == problems["near_copies"]["all"]


def test_the_record_of_expw_is_of_the_faces_that_networks_were_trained_on():
    info = audit.recorded("expw").info
    assert info["fingerprint"] == records.load("cnn5-expw-none").info["fingerprint"]
    assert info["photos"]["in_several_splits"] == 0
    assert info["photos"]["photos"] <= info["rows"] == 1_682


def test_near_copies_can_be_left_out_of_a_recorded_accuracy():
    leaks = audit.recorded("fer2013")
    run = records.load("cnn5-fer2013-none")
    near = leaks.near(run.test.rows)
    assert near.sum() == leaks.info["problems"]["near_copies"]["test"]
    assert not (run.test.copies & ~near).any()
    assert np.array_equal(leaks.near(run.test.rows, 2), run.test.copies)
    without = evaluation.summary(dataclasses.replace(run.test, copies=near))
    assert without.n_without_copies == len(near) - near.sum()


@pytest.mark.real_data
def test_recorded_pairs_of_fer2013_correlate_as_recorded(raw):
    if not (raw / "fer2013").is_dir():
        pytest.skip("FER2013 is not in data/raw (make data)")
    leaks, faces = audit.recorded("fer2013"), datasets.load("fer2013")
    if faces.fingerprint() != leaks.info["fingerprint"]:
        pytest.skip("another copy of FER2013 than the recorded one")
    at = np.flatnonzero(leaks.near(leaks.rows, 0.9) & ~leaks.exact)
    copies = faces.images[leaks.rows[at]]
    copies[leaks.mirrored[at]] = copies[leaks.mirrored[at]][:, :, ::-1]
    found = audit.correlations(copies, faces.images[leaks.nearest[at]])
    assert np.allclose(found, leaks.correlation[at], atol=1e-6)
