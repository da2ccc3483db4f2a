"""SMOTE and class weights: training rows only, blends between their parents, equal classes."""

import numpy as np
import pytest
from hypothesis import given
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


@st.composite
def small_sets(draw):
    """One to four classes of 2 … 12 faces; pixels of 0 and 255 as often as all other values."""
    sizes = draw(st.lists(st.integers(2, 12), min_size=1, max_size=4))
    side, channels = draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.repeat(draw(st.permutations(range(7)))[: len(sizes)], sizes)
    images = random.integers(0, 256, (len(labels), side, side, channels), dtype=np.uint8)
    extreme = random.random(images.shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    images[extreme] = random.choice(np.array([0, 255], np.uint8), np.count_nonzero(extreme))
    return faces(random.permutation(labels), images=images)


@pytest.mark.parametrize(
    ("labels", "split", "words"),
    [
        ([0, 0, 1, 1, 1], ["training"] * 4 + ["validation"], r"validation.*part\('training'\)"),
        ([0, 0, 1, 1, 1], ["test"] + ["training"] * 4, r"test.*part\('training'\)"),
        ([], "training", "rows from none"),
    ],
)
def test_rows_that_are_no_training_rows_are_refused_by_name(labels, split, words):
    dataset = faces(labels, split=split)
    for call in (
        balance.smote,
        balance.class_weights,
        lambda given: balance.require_training(given, "x"),
    ):
        with pytest.raises(DataError, match=words):
            call(dataset)
    assert balance.require_training(faces([0, 1]), "anything") is None


def test_what_smote_cannot_do_is_refused():
    with pytest.raises(DataError, match=r"'disgust'.*only one"):
        balance.smote(faces([0, 0, 0, 1]))


@given(small_sets(), st.integers(0, 2**32 - 1))
def test_smote_on_any_training_set(dataset, seed):
    images = dataset.images.copy()
    balanced = balance.smote(dataset, seed=seed)
    real = balanced.real
    before = np.bincount(dataset.labels, minlength=7)
    after = np.bincount(balanced.labels, minlength=7)

    # Each class present has the size of the largest; a class that is absent stays absent.
    np.testing.assert_array_equal(after, np.where(before > 0, before.max(), 0))
    assert len(balanced) == len(balanced.images) == len(balanced.labels) == after.sum()

    # The real faces come first, untouched.
    np.testing.assert_array_equal(balanced.images[:real], images)
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(balanced.labels[:real], dataset.labels)

    # Parents are real faces of the synthetic face's own class.
    assert balanced.parents.shape == (len(balanced) - real, 2)
    assert ((balanced.parents >= 0) & (balanced.parents < real)).all()
    np.testing.assert_array_equal(
        dataset.labels[balanced.parents], balanced.labels[real:, None].repeat(2, axis=1)
    )

    # Every pixel is the blend that the record says, and so lies between those of its parents.
    first, second = balanced.images[balanced.parents.T].astype(np.float64)
    assert ((balanced.steps >= 0) & (balanced.steps < 1)).all()
    blend = (first + balanced.steps[:, None, None, None] * (second - first)).astype(np.float32)
    np.testing.assert_array_equal(balanced.images[real:], np.rint(blend))
    assert balanced.images.dtype == np.uint8
    assert balanced.labels.dtype == balanced.parents.dtype == np.int64


def test_the_second_parent_is_among_the_nearest_neighbors_of_the_first():
    dataset = faces([0] * 12 + [1] * 30, shape=(3, 3, 1), seed=3)
    balanced = balance.smote(dataset)
    pixels = dataset.images[:12].reshape(12, -1).astype(np.int64)
    distance = ((pixels[:, None] - pixels[None]) ** 2).sum(axis=2)
    for first, second in balanced.parents:
        assert first != second
        assert distance[first, second] <= np.sort(distance[first])[5]  # itself, then five


def test_the_seed_decides_and_numpys_global_seed_does_not():
    dataset = faces([0] * 5 + [1] * 20)
    np.random.seed(1)
    once = balance.smote(dataset, seed=7)
    np.random.seed(2)
    again = balance.smote(dataset, seed=7)
    assert all(np.array_equal(value, vars(again)[name]) for name, value in vars(once).items())
    assert (once.images != balance.smote(dataset, seed=8).images).any()


@pytest.mark.parametrize("labels", [[3] * 6, [3], [0, 0, 4, 4, 6, 6], [0, 4, 6]])
def test_where_nothing_is_to_balance_nothing_is_made(labels):
    dataset = faces(labels)
    balanced = balance.smote(dataset)
    np.testing.assert_array_equal(balanced.images, dataset.images)
    assert (balanced.parents.shape, balanced.steps.shape) == ((0, 2), (0,))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_class_weights_make_all_classes_count_the_same(labels):
    weights = balance.class_weights(faces(labels, shape=(1, 1, 1)))
    assert set(weights) == set(labels)
    assert all(type(label) is int and type(weight) is float for label, weight in weights.items())
    rows = np.array([weights[label] for label in labels])
    assert rows.mean() == pytest.approx(1)
    totals = [rows[np.equal(labels, label)].sum() for label in weights]
    np.testing.assert_allclose(totals, len(labels) / len(weights))
