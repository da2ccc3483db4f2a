"""Training faces: resized, balanced, and with what each is to be called."""

from __future__ import annotations

import numpy as np

from utils import balance, datasets, faces
from utils.runtime import DataError
from utils.training.settings import Settings


def training_faces(
    dataset: datasets.FaceDataset, settings: Settings
) -> tuple[np.ndarray, np.ndarray, dict[int, float] | None]:
    """Prepare the training split: resized, and balanced as the settings say.

    Parameters
    ----------
    dataset : FaceDataset
        Any splits; only its training rows are used.
    settings : Settings
        Gives size, balance and seed.

    Returns
    -------
    images : numpy.ndarray
        (m, size, size, channels) uint8.
    labels : numpy.ndarray
        (m,) int64.
    weights : dict of int to float, or None
        Class weights, where the balance is "weights".
    """
    part = dataset.part("training")
    part = part.with_images(faces.resize(part.images, settings.size))
    if settings.balance == "smote":
        balanced = balance.smote(part, seed=settings.seed)
        return balanced.images, balanced.labels, None
    weights = balance.class_weights(part) if settings.balance == "weights" else None
    return part.images, part.labels, weights


def training_targets(
    dataset: datasets.FaceDataset, labels: np.ndarray, settings: Settings
) -> np.ndarray:
    """Say what each training face is to be called.

    Parameters
    ----------
    dataset : FaceDataset
        With votes, where the settings ask for them.
    labels : numpy.ndarray
        (m,) of the faces that `training_faces` returned.
    settings : Settings
        Gives targets.

    Returns
    -------
    numpy.ndarray
        (m, k) float32, rows that sum to one.

    Raises
    ------
    DataError
        As `vote_shares`.
    """
    one_hot = np.eye(len(dataset.expressions), dtype=np.float32)[labels]
    if settings.targets == "labels":
        return one_hot
    part = dataset.part("training")
    if settings.targets == "votes":
        return vote_shares(part)
    _require_votes(part)
    shares = datasets.vote_shares(part.votes, part.expressions)
    return np.where(np.isnan(shares), one_hot, (one_hot + shares) / 2).astype(np.float32)


def vote_shares(dataset: datasets.FaceDataset) -> np.ndarray:
    """Return what share of FER+'s votes each class of a data set has, face by face.

    Parameters
    ----------
    dataset : FaceDataset
        With votes.

    Returns
    -------
    numpy.ndarray
        (n, k) float32, rows that sum to one: as `datasets.vote_shares` counts them.

    Raises
    ------
    DataError
        When there are no votes, or a face has none for any of the classes.
    """
    _require_votes(dataset)
    shares = datasets.vote_shares(dataset.votes, dataset.expressions)
    empty = np.flatnonzero(np.isnan(shares).any(axis=1))
    if empty.size:
        raise DataError(
            f"{dataset.name}, row {dataset.rows[empty[0]]}: found no vote for any of "
            f"{', '.join(dataset.expressions)} ({empty.size:,} such rows), expected two or more "
            "(targets 'both' keeps such a face's label)"
        )
    return shares.astype(np.float32)


def _require_votes(dataset: datasets.FaceDataset) -> None:
    if dataset.votes is None:
        raise DataError(
            f"{dataset.name}: found no votes, expected FER+'s (--data ferplus has them; "
            "datasets.beside_fer2013 puts them beside FER2013's labels)"
        )
