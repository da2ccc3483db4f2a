"""Balance the classes: SMOTE, or class weights. Training data only, by construction.

Both functions take a `FaceDataset` and refuse one with even a single row of validation or test:
with synthetic faces made before the split, a network trains on blends of test faces, and its
accuracy measures memory (notebook 04 counts how many faces that concerns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.datasets import FaceDataset
from utils.datasets.ondisk import OnDisk
from utils.runtime import DataError


@dataclass(frozen=True)
class Balanced:
    """A training set with synthetic faces after the real ones.

    Attributes
    ----------
    images : (n + m, height, width, channels) uint8 array
        The n real faces in their order, then m synthetic ones.
    labels : (n + m,) int64 array
    real : int
        n, the number of real faces.
    parents : (m, 2) int64 array
        For each synthetic face, the positions of its two parents among the real ones.
    steps : (m,) float64 array in [0, 1)
        How far it is from the first parent toward the second.
    """

    images: np.ndarray
    labels: np.ndarray
    real: int
    parents: np.ndarray
    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def require_training(dataset: FaceDataset, doing: str) -> None:
    """Raise `DataError` unless every row of ``dataset`` is training data, and there is one."""
    foreign = {str(split) for split in np.unique(dataset.split)} - {"training"}
    if foreign or len(dataset) == 0:
        raise DataError(
            f"{dataset.name}: {doing} takes training rows only, but got rows from "
            f"{', '.join(sorted(foreign)) or 'none'}: pass dataset.part('training')"
        )


def require_memory(dataset: FaceDataset) -> None:
    """Raise `DataError` if there are too many faces for SMOTE, which needs them all in memory."""
    if isinstance(dataset.images, OnDisk):
        raise DataError(
            f"{dataset.name}: SMOTE needs its faces in memory, and {len(dataset):,} of them take "
            f"{4 * dataset.images.nbytes:,} bytes in float32: weight the classes instead "
            "(--balance weights)"
        )


def smote(dataset: FaceDataset, *, seed: int = 0) -> Balanced:
    """Bring every class to the size of the largest by adding synthetic faces.

    SMOTE (Chawla, Bowyer, Hall & Kegelmeyer 2002, *JAIR* 16, §4.2) draws a face of a small
    class, one of its five nearest neighbors in the same class, and a point on the line between
    them: a pixel is ``rint(a + step · (b - a))`` of its two parents' pixels a and b. If a face of
    the smallest class has fewer than five others, every class uses only that many neighbors.

    Parameters
    ----------
    dataset : FaceDataset
        Training rows only; a class that is present needs at least two faces.
    seed : int
        Seed of the draws.

    Returns
    -------
    Balanced
        Real faces first, then synthetic ones.

    Raises
    ------
    DataError
        When a row is not training data, a class has only one face, or there are too many faces
        (see `require_memory`).
    """
    require_training(dataset, "SMOTE")
    require_memory(dataset)
    present, counts = np.unique(dataset.labels, return_counts=True)
    real = len(dataset)
    if counts.min() == counts.max():
        parents, steps = np.empty((0, 2), np.int64), np.empty(0)
        return Balanced(dataset.images, dataset.labels, real, parents, steps)
    if counts.min() < 2:
        lonely = dataset.expressions[present[counts.argmin()]]
        raise DataError(
            f"{dataset.name}: SMOTE blends two faces of a class, and {lonely!r} has only one"
        )
    # imbalanced-learn interpolates in the type that it is given, and uint8 wraps around silently:
    # between 0 and 10 it makes 144.
    flat = dataset.images.reshape(real, -1).astype(np.float32)
    blends = _recording_smote(k_neighbors=min(5, counts.min() - 1), random_state=seed)
    blended, labels = blends.fit_resample(flat, dataset.labels)
    synthetic = np.rint(blended[real:]).astype(np.uint8)
    images = np.concatenate([dataset.images, synthetic.reshape(-1, *dataset.images.shape[1:])])
    members = {label: np.flatnonzero(dataset.labels == label) for label in present}
    parents = np.concatenate([members[label][pair] for label, pair in blends.pairs], dtype=np.int64)
    steps = np.concatenate(blends.steps)
    return Balanced(images, np.asarray(labels, np.int64), real, parents, steps)


def class_weights(dataset: FaceDataset) -> dict[int, float]:
    """Weight each class of a training set by the inverse of its size, so all count the same.

    A class's weight is n / (classes present × n of the class): their mean over the rows is 1, so
    the learning rate keeps its meaning. Rows that are not training data are a `DataError`.
    """
    require_training(dataset, "class weighting")
    present, counts = np.unique(dataset.labels, return_counts=True)
    weights = len(dataset) / (len(present) * counts)
    return {int(label): float(weight) for label, weight in zip(present, weights, strict=True)}


def _recording_smote(**settings):
    """Return an imbalanced-learn SMOTE that remembers the parents of each synthetic row."""
    from imblearn.over_sampling import SMOTE

    class RecordingSMOTE(SMOTE):
        """Keeps, one class at a time, what imbalanced-learn draws and throws away."""

        def __init__(self, **settings):
            super().__init__(**settings)
            self.pairs: list[tuple[int, np.ndarray]] = []
            self.steps: list[np.ndarray] = []

        def _generate_samples(self, X, nn_data, nn_num, rows, cols, steps, y_type=None, y=None):
            self.pairs.append((y_type, np.column_stack([rows, nn_num[rows, cols]])))
            self.steps.append(np.asarray(steps).ravel())
            return super()._generate_samples(X, nn_data, nn_num, rows, cols, steps, y_type, y)

    return RecordingSMOTE(**settings)
