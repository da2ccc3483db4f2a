"""What a network is trained on: the balanced training split, and each face's target."""

from __future__ import annotations

import numpy as np

from utils import balance, datasets, faces
from utils.datasets.ondisk import OnDisk
from utils.runtime import DataError
from utils.training.settings import Settings


def of_size(images: np.ndarray | OnDisk, size: int) -> np.ndarray | OnDisk:
    """Resize faces as `faces.resize` does; those in a file, whenever they are read."""
    return images.resized(size) if isinstance(images, OnDisk) else faces.resize(images, size)


def training_faces(
    dataset: datasets.FaceDataset, settings: Settings
) -> tuple[np.ndarray | OnDisk, np.ndarray]:
    """Prepare the training split: resized, and with SMOTE's faces if the settings say so.

    Parameters
    ----------
    dataset : FaceDataset
        Any splits; only its training rows are used.
    settings : Settings
        Gives size, balance and seed.

    Returns
    -------
    images : numpy.ndarray or OnDisk
        (m, size, size, channels) uint8.
    labels : numpy.ndarray
        (m,) int64.
    """
    part = dataset.part("training")
    part = part.with_images(of_size(part.images, settings.size))
    if settings.balance == "smote":
        part = balance.smote(part, seed=settings.seed)
    return part.images, part.labels


def training_targets(
    dataset: datasets.FaceDataset, labels: np.ndarray, settings: Settings
) -> np.ndarray:
    """Compute the target of each training face.

    Parameters
    ----------
    dataset : FaceDataset
        With FER+'s votes, if the settings ask for them.
    labels : numpy.ndarray
        (m,), as `training_faces` returned them.
    settings : Settings
        Gives targets.

    Returns
    -------
    numpy.ndarray
        (m, k) float32, rows that sum to one.

    Raises
    ------
    DataError
        When there are no votes, or (targets "votes") a face has none for any of the classes.
    """
    one_hot = np.eye(len(dataset.expressions), dtype=np.float32)[labels]
    if settings.targets == "labels":
        return one_hot
    part = dataset.part("training")
    if part.votes is None:
        raise DataError(
            f"{dataset.name}: found no votes, expected FER+'s (--data ferplus has them; "
            "datasets.beside_fer2013 adds them to FER2013's labels)"
        )
    shares = datasets.vote_shares(part.votes, part.expressions)
    if settings.targets == "both":
        return np.where(np.isnan(shares), one_hot, (one_hot + shares) / 2).astype(np.float32)
    empty = np.flatnonzero(np.isnan(shares).any(axis=1))
    if empty.size:
        raise DataError(
            f"{dataset.name}, row {part.rows[empty[0]]}: found no vote for any of "
            f"{', '.join(part.expressions)} ({empty.size:,} such rows), expected two or more "
            "(targets 'both' keeps such a face's label)"
        )
    return shares.astype(np.float32)
