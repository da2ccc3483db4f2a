"""The rendered sample faces: the same everywhere, in FER2013's proportions, and honest."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils import datasets, runtime, sample
from utils.datasets import expw
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS
from utils.runtime import DataError
from utils.sample import people
from utils.sample.draws import Draws
from utils.sample.rows import COPIES, FLAT, LABEL_NOISE, ROWS, apportion

SMALL = 100
#: When the renderer changes on purpose, these change with it, and so does `rows.VERSION`.
ROWS_SHA256 = "3a96cee4644ee000922caac1ae972c1fa1d6390bcb800cc64c902ec86bfe4327"
PHOTOS_SHA256 = "91955da1f55a1a17630948540f11fc6e25b321bbcd1f543e69573a60dccfde2c"
PLANTED_SHA256 = "c16c14799fcda462c863574c325a5be99b6c067850221c67acff0b112b4a592b"
FINGERPRINT = "0836deafc95445ae7e221388c3902c762144d8cb5f2855eb02b12f763ce351a3"


@pytest.fixture(scope="module")
def rows():
    """Render the default rows once; `render_rows` itself is under test, so no cache."""
    return sample.render_rows(cache=False)


@pytest.fixture(scope="module")
def small():
    return sample.render_rows(SMALL, seed=3, cache=False)


@pytest.fixture(scope="module")
def photos():
    return sample.render_photos(12)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "faces"
    return sample.write(folder, rows=SMALL, photos=6, seed=3)


def sha256(arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def test_the_pixels_are_the_same_everywhere(rows, photos):
    assert sha256([rows.images]) == ROWS_SHA256
    assert sha256([photo.image for photo in photos]) == PHOTOS_SHA256
    new, planted = sample.plant_near_copies(rows, 10)
    assert sha256([new.images[planted.index]]) == PLANTED_SHA256
    assert datasets.load("sample").fingerprint() == FINGERPRINT
    assert Draws(7, 1).units(2).round(6).tolist() == [0.770141, 0.111927]


def test_what_is_wrong_is_where_it_is_said_to_be_and_nowhere_else(rows):
    seen = {}
    for row, image in enumerate(rows.images):
        seen.setdefault(image.tobytes(), []).append(row)
    groups = {tuple(group) for group in seen.values() if len(group) > 1}
    planted = [*rows.copies.tolist(), *rows.contradictions.tolist()]
    assert groups == {tuple(sorted(pair)) for pair in planted}
    assert len(rows.copies) == COPIES
    flat = [row for row, image in enumerate(rows.images) if image.min() == image.max()]
    assert flat == rows.flat.tolist()
    assert len(flat) == FLAT
    wrong = np.count_nonzero(rows.labels != rows.drawn)
    assert wrong == ROWS // LABEL_NOISE + len(rows.contradictions)
    test, training = rows.copies.T
    assert set(rows.usage[test]) == {"PrivateTest"}
    assert set(rows.usage[training]) == set(rows.usage[rows.contradictions.ravel()]) == {"Training"}
    assert (rows.labels[test] == rows.labels[training]).all()
    assert (rows.labels[rows.contradictions[:, 0]] != rows.labels[rows.contradictions[:, 1]]).all()


def test_ten_people_vote_on_each_row_and_mostly_see_what_was_drawn(rows):
    assert (rows.votes.sum(axis=1) == 10).all()
    assert (rows.votes[rows.flat, FERPLUS_COLUMNS.index("NF")] == 10).all()
    columns = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    places = np.array([FERPLUS_COLUMNS.index(name) for name in columns])
    assert 0.85 < (rows.votes.argmax(axis=1) == places[rows.drawn]).mean() < 1


@pytest.mark.parametrize(
    "render",
    [
        lambda: sample.render_rows(99),
        lambda: sample.render_rows(100, -1),
        lambda: sample.render_photos(0),
        lambda: sample.render_photos(1, -1),
        lambda: sample.render_face("joyful"),
        lambda: sample.render_face({"happy": 0.5, "joy": 0.5}),
        lambda: sample.render_face({"happy": 0.6, "sad": 0.6}),
        lambda: sample.render_face({"happy": -0.1}),
        lambda: sample.render_face({"happy": float("nan")}),
        lambda: sample.render_face("happy", 1.1),
        lambda: sample.render_face("happy", float("nan")),
        lambda: sample.render_face("happy", seed=-1),
        lambda: sample.plant_near_copies(sample.render_rows(SMALL), 11),
    ],
)
def test_what_cannot_be_rendered_is_refused(render):
    with pytest.raises(DataError, match="expected"):
        render()


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


# Action units


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("angry", [4, 5, 7, 23]),
        ("disgust", [9, 10]),
        ("fear", [1, 2, 4, 5, 20]),
        ("happy", [6, 12]),
        ("sad", [1, 4, 15]),
        ("surprise", [1, 2, 5, 26]),
    ],
)
def test_faces_move_the_units_of_their_expression_and_more_than_neutral_ones(name, units):
    moved, strength = people.activations(np.full(200, EXPRESSIONS.index(name)), Draws(5, 0))
    still, _ = people.activations(np.full(200, EXPRESSIONS.index("neutral")), Draws(5, 0))
    assert 0 <= moved.min() <= moved.max() <= np.float32(1.1)
    assert np.float32(0.45) <= strength.min() <= strength.max() <= 1
    assert (moved[:, units].mean(axis=0) > 3 * still[:, units].mean(axis=0)).all()
    assert set(np.flatnonzero(moved.any(axis=0))) <= set(people.KNOWN)


@settings(max_examples=20)
@given(st.sampled_from(EXPRESSIONS[:6]), st.integers(0, 10**6))
def test_a_face_moves_more_the_more_intense_it_is(expression, seed):
    neutral = sample.render_face(seed=seed)
    assert np.array_equal(sample.render_face(expression, 0, seed=seed), neutral)
    levels = [sample.render_face(expression, step / 4, seed=seed) for step in range(5)]
    moved = [(np.abs(face.astype(int) - neutral) > 8).mean() for face in levels]  # gray levels
    assert moved[0] == 0 < moved[2] < moved[4] < 0.4  # the rest of it stays


def test_a_blend_goes_from_one_expression_to_the_other():
    fear, surprise = (sample.render_face(name, seed=5) for name in ("fear", "surprise"))
    faces = [sample.render_face({"fear": 1 - t, "surprise": t}, seed=5) for t in (0, 0.5, 1)]
    assert np.array_equal(faces[0], fear)
    assert np.array_equal(faces[2], surprise)
    apart = [
        np.abs(faces[1].astype(int) - end).sum() / np.abs(fear.astype(int) - surprise).sum()
        for end in (fear, surprise)
    ]
    assert max(apart) < 0.9
    assert np.array_equal(
        sample.render_face({"happy": 0.5}, seed=2), sample.render_face("happy", 0.5, seed=2)
    )


# Photos and files


def test_photos_hold_one_to_three_faces_and_some_boxes_reach_outside(photos):
    assert {len(photo.labels) for photo in photos} == {1, 2, 3}
    outside = 0
    for photo in photos:
        height, width, channels = photo.image.shape
        assert (channels, photo.image.dtype) == (3, np.uint8)
        assert (320, 240) <= (width, height) <= (480, 360)
        assert photo.boxes.shape == (len(photo.labels), 4)
        for left, top, right, bottom in photo.boxes:
            seen = (min(right, width) - max(left, 0)) * (min(bottom, height) - max(top, 0))
            assert seen > 0.4 * (right - left) * (bottom - top) > 0
            outside += left < 0 or top < 0 or right > width or bottom > height
    assert 0 < outside < sum(len(photo.labels) for photo in photos) / 2


def test_the_cache_gives_back_what_was_rendered_and_heals_itself(tmp_path, monkeypatch, small):
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "cache")
    sample.render_rows(SMALL, seed=3)
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    for damaged in (whole, b"", b"not an archive", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        again = sample.render_rows(SMALL, seed=3)
        assert all(np.array_equal(value, vars(again)[name]) for name, value in vars(small).items())
        assert len(path.read_bytes()) == len(whole)
    path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    assert np.array_equal(sample.render_rows(SMALL, seed=3).images, small.images)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(runtime, "CACHE", tmp_path / "file" / "cache")
    assert np.array_equal(sample.render_rows(SMALL, seed=3).images, small.images)


def test_the_files_hold_what_was_rendered(written, small):
    """In FER2013's, FER+'s and ExpW's formats: read back by the loaders of the real data."""
    joined = datasets.beside_fer2013(written / "fer2013")
    assert np.array_equal(joined.images[..., 0], small.images)
    assert joined.labels.tolist() == small.labels.tolist()
    assert joined.split.tolist() == [datasets.USAGES[usage] for usage in small.usage]
    assert np.array_equal(joined.votes, small.votes)


def test_the_folders_hold_every_row_under_its_label(written, small):
    paths = sorted((written / "fer2013").glob("t*/*/*.png"))
    assert len(paths) == SMALL
    for path in paths:
        usage, row = path.stem.split("_")
        assert path.parent.name == EXPRESSIONS[small.labels[int(row)]]
        assert usage == small.usage[int(row)]
        assert path.parent.parent.name == ("train" if usage == "Training" else "test")
        assert np.array_equal(np.asarray(Image.open(path)), small.images[int(row)])


def test_label_lst_and_its_photos_hold_what_was_rendered(written):
    fresh = sample.render_photos(6, seed=3)
    table = expw.read_list(written / "expw" / "label.lst").groupby("photo")
    assert set(table.groups) == {photo.name for photo in fresh}
    for photo in fresh:
        found = table.get_group(photo.name)
        assert found["face"].tolist() == list(range(len(photo.labels)))
        assert found["label"].tolist() == photo.labels.tolist()
        assert found[["left", "top", "right", "bottom"]].to_numpy().tolist() == photo.boxes.tolist()
        np.testing.assert_allclose(found["confidence"], photo.confidence, atol=1e-4)
        picture = np.asarray(Image.open(written / "expw" / "image" / photo.name))
        assert np.array_equal(picture, photo.image)


def test_writing_again_leaves_nothing_of_the_first_time_and_other_files_alone(tmp_path):
    for seed in (1, 2):
        folder = sample.write(tmp_path / "faces", rows=SMALL, photos=1, seed=seed)
    assert len(list((folder / "fer2013").glob("t*/*/*.png"))) == SMALL
    again = datasets.load("fer2013", folder / "fer2013", cache=False).images[..., 0]
    assert np.array_equal(again, sample.render_rows(SMALL, seed=2).images)
    precious = tmp_path / "fer2013.csv"
    precious.write_text("real data")
    with pytest.raises(DataError, match="other files"):
        sample.write(tmp_path, rows=SMALL, photos=1)
    assert precious.read_text() == "real data"
