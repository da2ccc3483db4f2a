"""SMOTE and class weights: training rows only, blends between their parents, equal classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import balance
from utils.datasets import FaceDataset
from utils.runtime import DataError


def faces(labels, *, images=None, split="training", shape=(4, 4, 1), seed=0):
    """A data set of noise, or of these images."""
    labels = np.asarray(labels, dtype=np.int64)
    if images is None:
        random = np.random.default_rng(seed)
        images = random.integers(0, 256, (len(labels), *shape), dtype=np.uint8)
    splits = np.array([split] * len(labels) if isinstance(split, str) else split, dtype="<U10")
    return FaceDataset(images, labels, splits, np.arange(len(labels)), name="made")


def parent_pixels(balanced):
    first, second = balanced.images[balanced.parents.T].astype(np.float64)
    return first, second


@st.composite
def small_sets(draw):
    """Two to four classes of 2 … 12 faces; pixels of 0 and 255 as often as all others."""
    sizes = draw(st.lists(st.integers(2, 12), min_size=2, max_size=4))
    side, channels = draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))
    labels = np.repeat(draw(st.permutations(range(7)))[: len(sizes)], sizes)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = random.permutation(labels)
    images = random.integers(0, 256, (len(labels), side, side, channels), dtype=np.uint8)
    extreme = random.random(images.shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    images[extreme] = random.choice(np.array([0, 255], np.uint8), np.count_nonzero(extreme))
    return faces(labels, images=images)


# SMOTE: what may go in


@pytest.mark.parametrize("foreign", ["validation", "test"])
def test_a_single_row_of_another_split_is_refused_by_name(foreign):
    dataset = faces([0, 0, 1, 1, 1], split=["training"] * 4 + [foreign])
    with pytest.raises(DataError, match=rf"{foreign}.*part\('training'\)"):
        balance.smote(dataset)
    with pytest.raises(DataError, match=rf"{foreign}.*part\('training'\)"):
        balance.class_weights(dataset)
    with pytest.raises(DataError, match=foreign):
        balance.require_training(dataset, "anything")


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="none"):
        balance.smote(faces([]))
    with pytest.raises(DataError, match="none"):
        balance.class_weights(faces([]))


def test_training_rows_pass():
    assert balance.require_training(faces([0, 1]), "anything") is None


def test_a_class_with_one_face_is_refused_by_name():
    with pytest.raises(DataError, match=r"'disgust'.*only one"):
        balance.smote(faces([0, 0, 0, 1]))


def test_neighbours_below_one_are_refused():
    with pytest.raises(ValueError, match="neighbours"):
        balance.smote(faces([0, 0, 1, 1, 1]), neighbours=0)


# SMOTE: what comes out


@given(small_sets(), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_smote_on_any_training_set(dataset, neighbours, seed):
    balanced = balance.smote(dataset, neighbours=neighbours, seed=seed)
    real = len(dataset)
    before = np.bincount(dataset.labels, minlength=7)
    after = np.bincount(balanced.labels, minlength=7)

    # Each class that is there has the size of the largest; a class that is not there stays away.
    np.testing.assert_array_equal(after, np.where(before > 0, before.max(), 0))
    assert len(balanced) == len(balanced.images) == len(balanced.labels) == after.sum()

    # The real faces stand first, untouched.
    assert balanced.real == real
    np.testing.assert_array_equal(balanced.images[:real], dataset.images)
    np.testing.assert_array_equal(balanced.labels[:real], dataset.labels)

    # Parents are real faces of the synthetic face's own class.
    made = len(balanced) - real
    assert balanced.parents.shape == (made, 2)
    assert balanced.steps.shape == (made,)
    assert ((balanced.parents >= 0) & (balanced.parents < real)).all()
    np.testing.assert_array_equal(
        dataset.labels[balanced.parents], balanced.labels[real:, None].repeat(2, axis=1)
    )

    # Every pixel lies between those of its two parents, and is the blend that the record says.
    first, second = parent_pixels(balanced)
    synthetic = balanced.images[real:]
    assert (synthetic >= np.minimum(first, second)).all()
    assert (synthetic <= np.maximum(first, second)).all()
    assert ((balanced.steps >= 0) & (balanced.steps < 1)).all()
    steps = balanced.steps[:, None, None, None]
    blend = (first + steps * (second - first)).astype(np.float32)
    np.testing.assert_array_equal(synthetic, np.rint(blend))

    assert balanced.images.dtype == np.uint8
    assert balanced.labels.dtype == balanced.parents.dtype == np.int64


def test_the_second_parent_is_among_the_nearest_neighbours_of_the_first():
    dataset = faces([0] * 12 + [1] * 30, shape=(3, 3, 1), seed=3)
    balanced = balance.smote(dataset, neighbours=2)
    pixels = dataset.images.reshape(len(dataset), -1).astype(np.int64)
    small = np.flatnonzero(dataset.labels == 0)
    distance = ((pixels[small, None] - pixels[None, small]) ** 2).sum(axis=2)
    for first, second in balanced.parents:
        near = np.sort(distance[first])[: 2 + 1]  # the face itself, and its two nearest
        assert first != second
        assert distance[first, second] <= near[-1]


def test_uint8_would_wrap_around_which_is_why_smote_blends_in_float():
    """imbalanced-learn computes b - a in the type it is given: 0 - 10 is 246 in uint8."""
    from imblearn.over_sampling import SMOTE

    pixels = np.array([[0], [10], [200], [201], [202], [203], [204], [205]], dtype=np.uint8)
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    naive, _ = SMOTE(k_neighbors=1, random_state=0).fit_resample(pixels, labels)
    assert naive.dtype == np.uint8
    assert naive[len(pixels) :].max() > 10  # outside 0 … 10, without a word

    dataset = faces(labels, images=pixels.reshape(-1, 1, 1, 1))
    for seed in range(20):
        ours = balance.smote(dataset, neighbours=1, seed=seed)
        assert ours.images[ours.real :].max() <= 10


def test_the_same_seed_gives_the_same_faces_and_another_seed_others():
    dataset = faces([0] * 5 + [1] * 20)
    once, again = balance.smote(dataset, seed=7), balance.smote(dataset, seed=7)
    other = balance.smote(dataset, seed=8)
    np.testing.assert_array_equal(once.images, again.images)
    np.testing.assert_array_equal(once.parents, again.parents)
    np.testing.assert_array_equal(once.steps, again.steps)
    assert (once.images != other.images).any()


def test_the_numbers_do_not_depend_on_numpys_global_seed():
    dataset = faces([0] * 5 + [1] * 20)
    np.random.seed(1)
    once = balance.smote(dataset)
    np.random.seed(2)
    np.testing.assert_array_equal(once.images, balance.smote(dataset).images)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([3] * 6, id="a single class"),
        pytest.param([3], id="a single face"),
        pytest.param([0, 0, 4, 4, 6, 6], id="classes of one size"),
        pytest.param([0, 4, 6], id="classes of one face each"),
    ],
)
def test_where_nothing_is_to_balance_nothing_is_made(labels):
    dataset = faces(labels)
    balanced = balance.smote(dataset)
    assert len(balanced) == balanced.real == len(labels)
    np.testing.assert_array_equal(balanced.images, dataset.images)
    np.testing.assert_array_equal(balanced.labels, dataset.labels)
    assert balanced.parents.shape == (0, 2)
    assert balanced.steps.shape == (0,)
    assert balanced.parents.dtype == balanced.labels.dtype == np.int64


def test_two_faces_are_enough_for_a_class():
    balanced = balance.smote(faces([0, 0] + [1] * 9), neighbours=5)
    assert np.bincount(balanced.labels).tolist() == [9, 9]
    assert (np.sort(balanced.parents, axis=1) == [0, 1]).all()


def test_a_repeated_picture_only_gives_another_repeat():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (11, 4, 4, 1), dtype=np.uint8)
    images[:3] = images[0]
    balanced = balance.smote(faces([0] * 3 + [1] * 8, images=images), neighbours=1)
    assert (balanced.images[balanced.real :] == images[0]).all()


def test_colour_faces_keep_their_shape():
    balanced = balance.smote(faces([0, 0, 0, 1, 1], shape=(5, 6, 3)))
    assert balanced.images.shape == (6, 5, 6, 3)


def test_the_data_set_itself_is_left_alone():
    dataset = faces([0] * 4 + [1] * 9)
    images, labels = dataset.images.copy(), dataset.labels.copy()
    balanced = balance.smote(dataset)
    balanced.images[:] = 0
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)


# Class weights


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
@settings(deadline=None)
def test_class_weights_make_all_classes_count_the_same(labels):
    weights = balance.class_weights(faces(labels, shape=(1, 1, 1)))
    assert set(weights) == set(labels)
    assert all(type(label) is int and type(weight) is float for label, weight in weights.items())
    rows = np.array([weights[label] for label in labels])
    assert rows.mean() == pytest.approx(1)
    totals = [rows[np.equal(labels, label)].sum() for label in weights]
    np.testing.assert_allclose(totals, len(labels) / len(weights))


def test_class_weights_of_a_known_set():
    assert balance.class_weights(faces([0, 0, 0, 5])) == {0: 4 / 6, 5: 2.0}
