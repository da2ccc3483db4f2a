"""A set of rendered sample faces with three faults, planted for readers to find (notebook 12)."""

from __future__ import annotations

import dataclasses

import numpy as np

from utils import datasets
from utils.datasets import FaceDataset
from utils.sample.draws import Draws

_COPIES = 24
_SWAPPED = (2, 5)  # of `EXPRESSIONS`
_STREAM = 92  # of draws; the sample's own streams have other numbers


def prepared(seed: int = 0) -> FaceDataset:
    """Make the set for "Find the leak": the sample's faces, spoiled in three ways.

    Rows below 2,000 are rendered faces, in training and test; the others were made from them. How
    they were spoiled is not told here: `audit` and `claims` find out.
    """
    draws, faces = Draws(seed, _STREAM), datasets.load("sample")
    # Its own faults are removed first, so that only the planted ones are found.
    clean = datasets.first_copies(faces) == np.arange(len(faces))
    clean &= (faces.images.std(axis=(1, 2, 3)) > 0) & (faces.split != "validation")
    faces = faces.take(clean)
    images, labels = faces.images.copy(), faces.labels
    training, test = (np.flatnonzero(faces.split == one) for one in ("training", "test"))
    free = training[draws.order(len(training))].tolist()
    for at in test[draws.order(len(test))][:_COPIES]:
        original = next(one for one in free if labels[one] == labels[at])
        free.remove(original)
        images[at] = images[original][:, ::-1]
    made = [(images, labels, faces.split, faces.rows)]
    for split in ("training", "test"):
        here = np.bincount(labels[faces.split == split])
        for label, count in enumerate(here.max() - here):
            own = training[labels[training] == label]
            blends = _blends(images[own], int(count), draws)
            made.append((blends, np.full(count, label), np.full(count, split), np.zeros(count)))
    images, labels, split, rows = (np.concatenate(part) for part in zip(*made, strict=True))
    rows[len(faces) :] = 2000 + np.arange(len(rows) - len(faces))
    one, other = (labels == label for label in _SWAPPED)
    labels[one & (split == "test")], labels[other & (split == "test")] = reversed(_SWAPPED)
    whole = FaceDataset(images, labels.astype(np.int64), split, rows.astype(np.int64), "prepared")
    return dataclasses.replace(whole, source="the rendered sample faces")


def _blends(images: np.ndarray, count: int, draws: Draws) -> np.ndarray:
    """Blend faces with one of their five nearest, as SMOTE does, in integers."""
    flat = images.reshape(len(images), -1).astype(np.int64)
    first = draws.integers(0, len(images), count)
    steps = draws.integers(128, 897, count)
    which = draws.integers(0, min(5, len(images) - 1), count)
    made = np.empty((count, flat.shape[1]), np.int64)
    for place, (at, step, neighbor) in enumerate(zip(first, steps, which, strict=True)):
        distances = ((flat - flat[at]) ** 2).sum(axis=1)
        near = np.argsort(distances, kind="stable")
        near = near[near != at][neighbor]
        made[place] = ((1024 - step) * flat[at] + step * flat[near] + 512) >> 10
    return made.astype(np.uint8).reshape(count, *images.shape[1:])
