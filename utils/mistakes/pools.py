"""The rows of each variant, with what they came from: most of them wrong, on purpose.

Elsewhere in the project SMOTE and augmentation take training rows only, and the official split
is never mixed. Here the mistakes are made openly, to be measured. A `Pool` remembers for each row
the pictures that it was made from, so that `leaked` can count what a split gives away.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from utils import augment, balance, datasets, faces
from utils.datasets import splits
from utils.mistakes.catalogue import DROPPED, HONEST
from utils.mistakes.plan import Plan
from utils.runtime import DataError

#: Seed of synthetic and moved faces, which are made once for all seeds: it is where a row falls
#: that decides what leaks, not which blend it is. A run's seed draws split, weights and order.
MADE_ONCE = 0

_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows, what they were made from, and how they are split.

    Attributes
    ----------
    images : (n, size, size, channels) uint8 array
    labels : (n,) int64 array
        Index into `expressions`.
    sources : (n, 2) int64 array
        What the row shares with others: the picture that it is or was moved from, twice; a
        blend's two parents; or, where faces come out of photos, the photo, twice. Exact copies
        of a picture count as one.
    rows : (n,) int64 array
        The row in the source file; -1 for a face that was made.
    expressions : tuple of str
    split : callable
        Seed → (n,) str array of `datasets.SPLITS`.
    """

    images: np.ndarray
    labels: np.ndarray
    sources: np.ndarray
    rows: np.ndarray
    expressions: tuple[str, ...]
    split: Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Variant:
    """A way to make training, validation and test rows out of a data set.

    Attributes
    ----------
    pool : callable
        (FaceDataset, Plan) → Pool.
    without_copies : bool
        Whether validation and test rows that share a source with training are left out of the
        counts. So it is where nothing is done wrong before the split.
    """

    pool: Callable[[datasets.FaceDataset, Plan], Pool]
    without_copies: bool


def leaked(sources: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Find the validation and test rows that share a source with a training row.

    Parameters
    ----------
    sources : (n, k) int array
        What each row was made from.
    split : (n,) str array
        One of `datasets.SPLITS` for each row.

    Returns
    -------
    (n,) bool array
        False for every training row.
    """
    training = split == "training"
    known = np.isin(sources, np.unique(sources[training]))
    return known.any(axis=1) & ~training


def honest(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Take the data set with its own split."""
    for name in datasets.SPLITS:
        if not (dataset.split == name).any():
            raise DataError(f"{dataset.name}: found no {name} rows, expected all three splits")
    return _pool(dataset, plan, lambda _: dataset.split)


def without(names: tuple[str, ...]) -> Callable[[datasets.FaceDataset, Plan], Pool]:
    """Make the pool of the official split without some classes."""

    def dropped(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
        kept = [name for name in dataset.expressions if name not in names]
        new = np.array([kept.index(n) if n in kept else -1 for n in dataset.expressions])
        some = dataset.take(new[dataset.labels] >= 0)
        some = dataclasses.replace(some, labels=new[some.labels], expressions=tuple(kept))
        return honest(some, plan)

    return dropped


def resplit(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Shuffle all rows into 80, 10 and 10 %, stratified."""
    return _pool(dataset, plan, lambda seed: tenths(dataset.labels, seed))


def smote_first(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Balance all rows, and split what came out."""
    return _redrawn(_blended(_all_as_training(dataset), plan))


def smote_after(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Balance the training rows, as it should be."""
    return _beside_held_out(dataset, plan, _blended)


def augmented_first(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Make moved versions of all rows, and split what came out."""
    return _redrawn(_moved(_pool(_all_as_training(dataset), plan, _undrawn), plan))


def augmented_after(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Make moved versions of the training rows, as it should be."""
    return _beside_held_out(
        dataset, plan, lambda part, plan: _moved(_pool(part, plan, _undrawn), plan)
    )


def combined(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Balance all rows, make moved versions of all that, and split what came out."""
    return _redrawn(_moved(_blended(_all_as_training(dataset), plan), plan))


def by_photo(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Split 70, 10 and 20 %, all faces of a photo on one side, anew for each seed."""
    photos = _photos(dataset)
    pool = _pool(dataset, plan, lambda seed: splits.by_group(dataset.labels, photos, seed=seed))
    return dataclasses.replace(pool, sources=np.stack([photos, photos], axis=1))


def by_face(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Split 70, 10 and 20 %, each face for itself, whatever photo it is from."""
    each = np.arange(len(dataset))
    return dataclasses.replace(
        by_photo(dataset, plan),
        split=lambda seed: splits.by_group(dataset.labels, each, seed=seed),
    )


VARIANTS: dict[str, Variant] = {
    HONEST: Variant(honest, without_copies=True),
    "resplit": Variant(resplit, without_copies=False),
    "smote_first": Variant(smote_first, without_copies=False),
    "smote_after": Variant(smote_after, without_copies=True),
    "augmented_first": Variant(augmented_first, without_copies=False),
    "augmented_after": Variant(augmented_after, without_copies=True),
    **{name: Variant(without(names), without_copies=True) for name, names in DROPPED.items()},
    "combined": Variant(combined, without_copies=False),
    "by_photo": Variant(by_photo, without_copies=True),
    "by_face": Variant(by_face, without_copies=False),
}


def tenths(labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw a stratified split of 80, 10 and 10 %.

    Parameters
    ----------
    labels : (n,) int array
    seed : int

    Returns
    -------
    (n,) str array
        One of `datasets.SPLITS` for each row.
    """
    split = np.full(len(labels), datasets.SPLITS[0], dtype="<U10")
    held_out = splits.hold_out(labels, 0.2, seed=seed)
    split[held_out] = datasets.SPLITS[1]
    split[held_out[splits.hold_out(labels[held_out], 0.5, seed=seed)]] = datasets.SPLITS[2]
    return split


def _undrawn(seed: int) -> np.ndarray:
    raise AssertionError("a pool without a split is a step on the way to one")


def _pool(dataset: datasets.FaceDataset, plan: Plan, split: Callable[[int], np.ndarray]) -> Pool:
    """Resize the faces; each row's source is the first picture with the same pixels."""
    pictures = datasets.first_copies(dataset)
    return Pool(
        images=faces.resize(dataset.images, plan.size),
        labels=dataset.labels,
        sources=np.stack([pictures, pictures], axis=1),
        rows=dataset.rows,
        expressions=dataset.expressions,
        split=split,
    )


def _all_as_training(dataset: datasets.FaceDataset) -> datasets.FaceDataset:
    """Call every row a training row: `balance.smote` refuses test rows, and here they get in."""
    return dataclasses.replace(dataset, split=np.full(len(dataset), "training"))


def _blended(dataset: datasets.FaceDataset, plan: Plan) -> Pool:
    """Put synthetic faces behind the real ones; their sources are their parents'."""
    pool = _pool(dataset, plan, _undrawn)
    balanced = balance.smote(dataset.with_images(pool.images), seed=MADE_ONCE)
    parents = pool.sources[:, 0][balanced.parents]
    return dataclasses.replace(
        pool,
        images=balanced.images,
        labels=balanced.labels,
        sources=np.concatenate([pool.sources, parents]),
        rows=np.concatenate([pool.rows, np.full(len(parents), -1)]),
    )


def _moved(pool: Pool, plan: Plan) -> Pool:
    """Put moved versions of all rows behind them, each with its picture's source."""
    rng = np.random.default_rng(MADE_ONCE)
    others = plan.versions - 1
    moved = [_move(pool.images, plan.moves, rng) for _ in range(others)]
    return dataclasses.replace(
        pool,
        images=np.concatenate([pool.images, *moved]),
        labels=np.tile(pool.labels, plan.versions),
        sources=np.tile(pool.sources, (plan.versions, 1)),
        rows=np.concatenate([pool.rows, np.full(others * len(pool.rows), -1)]),
    )


def _move(images: np.ndarray, moves: augment.Augmentation, rng: np.random.Generator) -> np.ndarray:
    import keras

    moved = np.empty_like(images)
    for start in range(0, len(images), _AT_ONCE):
        some = images[start : start + _AT_ONCE]
        warped = keras.ops.convert_to_numpy(augment.augment(some, moves, rng))
        moved[start : start + _AT_ONCE] = np.rint(np.clip(warped, 0, 255))
    return moved


def _redrawn(pool: Pool) -> Pool:
    """Split the rows by seed, whatever they are."""
    return dataclasses.replace(pool, split=lambda seed: tenths(pool.labels, seed))


def _beside_held_out(
    dataset: datasets.FaceDataset,
    plan: Plan,
    make: Callable[[datasets.FaceDataset, Plan], Pool],
) -> Pool:
    """Make more rows out of the training split, and leave validation and test as they are."""
    whole = honest(dataset, plan)
    training = np.flatnonzero(dataset.split == "training")
    held_out = np.flatnonzero(dataset.split != "training")
    made = make(dataset.take(training), plan)
    # The part counts its pictures for itself: back to the whole's numbers.
    sources = whole.sources[training, 0][made.sources]
    split = np.concatenate([np.full(len(sources), "training"), dataset.split[held_out]])
    return dataclasses.replace(
        whole,
        images=np.concatenate([made.images, whole.images[held_out]]),
        labels=np.concatenate([made.labels, whole.labels[held_out]]),
        sources=np.concatenate([sources, whole.sources[held_out]]),
        rows=np.concatenate([made.rows, whole.rows[held_out]]),
        split=lambda _: split,
    )


def _photos(dataset: datasets.FaceDataset) -> np.ndarray:
    """Give the photos of a data set numbers; return that of each face, (n,) int64."""
    if dataset.photos is None:
        raise DataError(f"{dataset.name}: found no photos, expected faces that were cut from some")
    return np.unique(dataset.photos, return_inverse=True)[1].astype(np.int64)
