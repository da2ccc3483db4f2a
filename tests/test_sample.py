"""The rendered sample faces: the same everywhere, in FER2013's proportions, and honest."""

import csv
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import runtime, sample
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS
from utils.runtime import DataError
from utils.sample import action_units, store
from utils.sample.__main__ import main
from utils.sample.draws import Draws
from utils.sample.rows import FER2013_ROWS, apportion

SMALL = 100
#: When the renderer changes on purpose, these change with it, and so does `store.VERSION`.
ROWS_SHA256 = "3a96cee4644ee000922caac1ae972c1fa1d6390bcb800cc64c902ec86bfe4327"
PHOTOS_SHA256 = "91955da1f55a1a17630948540f11fc6e25b321bbcd1f543e69573a60dccfde2c"


@pytest.fixture(scope="module")
def rows():
    """Render the default rows once; `render_rows` is what is under test, so no cache."""
    return sample.render_rows(cache=False)


@pytest.fixture(scope="module")
def small():
    return sample.render_rows(SMALL, seed=3, cache=False)


@pytest.fixture(scope="module")
def photos():
    return sample.render_photos(12, cache=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return sample.write(
        tmp_path_factory.mktemp("sample") / "faces", rows=SMALL, photos=6, seed=3, cache=False
    )


def sha256(arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def test_default_rows_have_the_pixels_that_they_have_everywhere(rows):
    assert sha256([rows.images]) == ROWS_SHA256


def test_photos_have_the_pixels_that_they_have_everywhere(photos):
    assert sha256([photo.image for photo in photos]) == PHOTOS_SHA256


def test_rows_are_gray_48_pixel_pictures_with_known_labels(rows):
    assert rows.images.shape == (sample.ROWS, 48, 48)
    assert rows.images.dtype == np.uint8
    assert rows.labels.dtype == np.int64
    assert set(rows.labels) == set(range(len(EXPRESSIONS)))
    assert len(rows) == sample.ROWS


def test_usages_are_70_10_20_percent_in_fer2013s_order(rows):
    names, counts = np.unique(rows.usage, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "Training": 1400,
        "PublicTest": 200,
        "PrivateTest": 400,
    }
    order = list(sample.USAGES)
    assert [order.index(usage) for usage in rows.usage] == sorted(map(order.index, rows.usage))


def test_classes_are_as_unequal_as_fer2013s_in_every_usage(rows):
    expected = np.array(FER2013_ROWS) / sum(FER2013_ROWS)
    for usage in sample.USAGES:
        labels = rows.labels[rows.usage == usage]
        shares = np.bincount(labels, minlength=7) / len(labels)
        assert np.abs(shares - expected).max() < 0.02


def test_one_label_in_33_is_wrong_and_the_two_flat_pairs_add_theirs(rows):
    wrong = np.flatnonzero(rows.labels != rows.drawn)
    assert len(wrong) == sample.ROWS // sample.LABEL_NOISE + sample.CONTRADICTIONS


def test_planted_rows_are_where_they_are_said_to_be_and_nowhere_else(rows):
    seen = {}
    for row, image in enumerate(rows.images):
        seen.setdefault(image.tobytes(), []).append(row)
    groups = {tuple(group) for group in seen.values() if len(group) > 1}
    planted = [*rows.copies.tolist(), *rows.contradictions.tolist()]
    assert groups == {tuple(sorted(pair)) for pair in planted}
    assert len(rows.copies) == sample.COPIES
    assert len(rows.contradictions) == sample.CONTRADICTIONS
    flat = [row for row, image in enumerate(rows.images) if image.min() == image.max()]
    assert flat == rows.flat.tolist()
    assert len(flat) == sample.FLAT


def test_copies_cross_the_split_with_one_label_and_contradictions_share_it_with_two(rows):
    test, training = rows.copies.T
    assert set(rows.usage[test]) == {"PrivateTest"}
    assert set(rows.usage[training]) == {"Training"}
    assert (rows.labels[test] == rows.labels[training]).all()
    one, two = rows.contradictions.T
    assert set(rows.usage[rows.contradictions.ravel()]) == {"Training"}
    assert (rows.labels[one] != rows.labels[two]).all()


def test_ten_people_vote_on_each_row_and_mostly_see_what_was_drawn(rows):
    assert rows.votes.shape == (sample.ROWS, 10)
    assert (rows.votes.sum(axis=1) == 10).all()
    assert (rows.votes[rows.flat, FERPLUS_COLUMNS.index("NF")] == 10).all()
    columns = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    places = np.array([FERPLUS_COLUMNS.index(name) for name in columns])
    agree = rows.votes.argmax(axis=1) == places[rows.drawn]
    assert 0.85 < agree.mean() < 1


def test_the_same_seed_gives_the_same_rows_and_another_gives_others(small):
    again = sample.render_rows(SMALL, seed=3, cache=False)
    other = sample.render_rows(SMALL, seed=4, cache=False)
    assert all(np.array_equal(value, vars(again)[name]) for name, value in vars(small).items())
    assert not np.array_equal(small.images, other.images)
    assert not np.array_equal(small.labels, other.labels)


@pytest.mark.parametrize(("count", "seed"), [(99, 0), (-1, 0), (100, -1)])
def test_rows_that_cannot_be_rendered_are_refused(count, seed):
    with pytest.raises(ValueError, match="expected"):
        sample.render_rows(count, seed)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1, -1)])
def test_photos_that_cannot_be_rendered_are_refused(count, seed):
    with pytest.raises(ValueError, match="expected"):
        sample.render_photos(count, seed)


@settings(deadline=None)
@given(
    shares=st.lists(st.integers(0, 10_000), min_size=1, max_size=9).filter(any),
    spare=st.integers(0, 5000),
)
def test_apportioning_loses_no_row_and_leaves_no_class_empty(shares, spare):
    total = len(shares) + spare
    counts = apportion(total, tuple(shares))
    assert sum(counts) == total
    assert min(counts) >= 1
    exact = [total * share / sum(shares) for share in shares]
    if min(exact) >= 1:
        assert all(abs(count - want) < 1 for count, want in zip(counts, exact, strict=True))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**63), low=st.integers(-50, 50), span=st.integers(1, 100))
def test_draws_stay_in_their_bounds(seed, low, span):
    draws = Draws(seed, 1)
    integers = draws.integers(low, low + span, 50)
    assert integers.min() >= low
    assert integers.max() < low + span
    assert np.abs(draws.bell(0.5, 50)).max() <= 0.5
    assert sorted(draws.order(20)) == list(range(20))
    picked = draws.choose((0, 1, 0, 2), 50)
    assert set(picked) <= {1, 3}


def test_draws_never_change():
    assert [round(float(unit), 6) for unit in Draws(7, 1).units(3)] == [
        0.770141,
        0.111927,
        0.189098,
    ]


def test_every_expression_has_action_units_that_the_renderer_knows():
    assert set(sample.ACTION_UNITS) == set(sample.VARIANTS) == set(EXPRESSIONS)
    assert sample.ACTION_UNITS["neutral"] == {}
    for name in EXPRESSIONS:
        used = set(sample.ACTION_UNITS[name]).union(*sample.VARIANTS[name])
        assert used <= set(sample.NAMES)
        assert name not in sample.CONFUSIONS[name]


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("angry", {4, 5, 7, 23}),
        ("disgust", {9, 10}),
        ("fear", {1, 2, 4, 5, 20}),
        ("happy", {6, 12}),
        ("sad", {1, 4, 15}),
        ("surprise", {1, 2, 5, 26}),
    ],
)
def test_faces_move_the_units_of_their_expression_and_more_than_neutral_ones(name, units):
    labels = np.full(200, EXPRESSIONS.index(name))
    moved, strength = action_units.activations(labels, Draws(5, 0))
    still, _ = action_units.activations(np.full(200, EXPRESSIONS.index("neutral")), Draws(5, 0))
    assert moved.shape == (200, action_units.UNITS)
    assert 0 <= moved.min() <= moved.max() <= np.float32(1.1)
    assert np.float32(0.45) <= strength.min() <= strength.max() <= 1
    columns = sorted(units)
    assert (moved[:, columns].mean(axis=0) > 3 * still[:, columns].mean(axis=0)).all()


def test_photos_hold_one_to_three_faces_of_different_sizes(photos):
    counts = [len(photo.labels) for photo in photos]
    assert set(counts) == {1, 2, 3}
    for photo in photos:
        height, width, channels = photo.image.shape
        assert channels == 3
        assert photo.image.dtype == np.uint8
        assert 320 <= width <= 480
        assert 240 <= height <= 360
        assert photo.boxes.shape == (len(photo.labels), 4)
        assert photo.confidence.shape == photo.labels.shape
    heights = np.concatenate([photo.boxes[:, 3] - photo.boxes[:, 1] for photo in photos])
    assert heights.max() > 1.5 * heights.min() > 45


def test_some_boxes_reach_outside_their_photo_and_none_is_wholly_outside(photos):
    outside = 0
    for photo in photos:
        height, width, _ = photo.image.shape
        for left, top, right, bottom in photo.boxes:
            assert left < right
            assert top < bottom
            seen = (min(right, width) - max(left, 0)) * (min(bottom, height) - max(top, 0))
            assert seen > 0.4 * (right - left) * (bottom - top)
            outside += left < 0 or top < 0 or right > width or bottom > height
    assert 0 < outside < sum(len(photo.labels) for photo in photos) / 2


def test_the_cache_gives_back_what_was_rendered_and_heals_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "cache")
    first = sample.render_rows(SMALL, seed=3)
    (path,) = (tmp_path / "cache").iterdir()
    second = sample.render_rows(SMALL, seed=3)
    assert np.array_equal(first.images, second.images)
    assert second.usage.tolist() == first.usage.tolist()
    whole = path.read_bytes()
    for damaged in (b"", b"not an archive", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert np.array_equal(sample.render_rows(SMALL, seed=3).images, first.images)
        assert len(path.read_bytes()) == len(whole)


def test_a_cache_whose_arrays_were_changed_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "CACHE", tmp_path)
    right = {"numbers": np.arange(4)}
    store.cached("key", lambda: right)
    (path,) = tmp_path.iterdir()
    with np.load(path) as stored:
        np.savez(path, digest=stored["digest"], numbers=np.arange(4) + 1)
    assert store.cached("key", lambda: right)["numbers"].tolist() == [0, 1, 2, 3]
    other = {"numbers": np.ones(1)}
    assert store.cached("key", lambda: other, version=store.VERSION + 1) == other


def test_rendering_needs_no_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "file" / "cache")
    photos = sample.render_photos(2)
    assert [photo.name for photo in photos] == ["sample_0000.png", "sample_0001.png"]


def test_cached_photos_are_the_rendered_ones(tmp_path, monkeypatch, photos):
    monkeypatch.setattr(runtime, "CACHE", tmp_path)
    for _ in range(2):
        for stored, fresh in zip(sample.render_photos(12), photos, strict=True):
            for name, value in vars(fresh).items():
                assert np.array_equal(getattr(stored, name), value)


def test_the_csv_holds_the_rows_in_kaggles_form(written, small):
    with (written / "fer2013" / "fer2013.csv").open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    assert header == ["emotion", "pixels", "Usage"]
    images = np.array([line[1].split() for line in lines], np.int64).reshape(-1, 48, 48)
    assert np.array_equal(images, small.images)
    assert [int(line[0]) for line in lines] == small.labels.tolist()
    assert [line[2] for line in lines] == small.usage.tolist()


def test_the_votes_name_every_row_with_a_face_and_number_only_those(written, small):
    with (written / "fer2013" / "fer2013new.csv").open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    assert header == ["Usage", "Image name", *FERPLUS_COLUMNS]
    assert np.array_equal(np.array([line[2:] for line in lines], np.int64), small.votes)
    names = [line[1] for line in lines]
    assert [row for row, name in enumerate(names) if not name] == small.flat.tolist()
    assert [name for name in names if name] == [f"fer{n:07d}.png" for n in range(SMALL - 2)]


def test_the_folders_hold_every_row_under_its_label(written, small):
    from PIL import Image

    paths = sorted((written / "fer2013").glob("t*/*/*.png"))
    assert len(paths) == SMALL
    for path in paths:
        usage, row = path.stem.split("_")
        row = int(row)
        assert path.parent.name == EXPRESSIONS[small.labels[row]]
        assert usage == small.usage[row]
        assert path.parent.parent.name == ("train" if usage == "Training" else "test")
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture), small.images[row])


def test_label_lst_has_expws_eight_fields_and_its_photos(written):
    from PIL import Image

    fresh = {photo.name: photo for photo in sample.render_photos(6, seed=3, cache=False)}
    lines = (written / "expw" / "label.lst").read_text(encoding="utf-8").splitlines()
    assert len(lines) == sum(len(photo.labels) for photo in fresh.values())
    for line in lines:
        name, face, top, left, right, bottom, confidence, label = line.split()
        photo, face = fresh[name], int(face)
        assert [int(left), int(top), int(right), int(bottom)] == photo.boxes[face].tolist()
        assert int(label) == photo.labels[face]
        assert float(confidence) == pytest.approx(photo.confidence[face], abs=1e-4)
    for name, photo in fresh.items():
        with Image.open(written / "expw" / "image" / name) as picture:
            assert np.array_equal(np.asarray(picture), photo.image)


def test_writing_again_leaves_nothing_of_the_first_time(tmp_path):
    for seed in (1, 2):
        folder = sample.write(tmp_path / "faces", rows=SMALL, photos=1, seed=seed, cache=False)
    facts = json.loads((folder / sample.MARKER).read_text(encoding="utf-8"))
    assert facts["seed"] == 2
    assert len(list((folder / "fer2013").glob("t*/*/*.png"))) == SMALL


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "fer2013").mkdir()
    precious = tmp_path / "fer2013" / "fer2013.csv"
    precious.write_text("real data")
    with pytest.raises(DataError, match="other files"):
        sample.write(tmp_path, rows=SMALL, photos=1, cache=False)
    assert precious.read_text() == "real data"
    with pytest.raises(DataError, match="is a file"):
        sample.write(precious, rows=SMALL, photos=1, cache=False)


def test_the_command_writes_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "cache")
    arguments = [str(tmp_path / "out"), "--rows", "100", "--photos", "2"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("100 rendered rows and 2 photos in ")
    assert main([str(tmp_path / "out"), "--rows", "3"]) == 2
    assert capsys.readouterr().err == "error: count is 3: expected at least 100 rows\n"
