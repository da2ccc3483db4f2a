"""What can be wrong with one picture: no detail, no face; and which pictures are the same."""

from __future__ import annotations

import numpy as np

from utils.expressions import FERPLUS_COLUMNS
from utils.runtime import DataError

#: A picture whose gray levels deviate from their mean by less than this shows next to nothing.
#: FER2013 has two such pictures beside its twelve flat ones, at 0.7 and 3.9, both without a face
#: by all ten of FER+'s votes; the next deviates by 9.1.
NEARLY_FLAT = 5.0

_AT_ONCE = 4096
_UNKNOWN, _NO_FACE = (FERPLUS_COLUMNS.index(name) for name in ("unknown", "NF"))


def flat(images: np.ndarray) -> np.ndarray:
    """Find the pictures of one single colour.

    Parameters
    ----------
    images : (n, height, width, channels) uint8 array

    Returns
    -------
    (n,) bool array
    """
    same = images == images[:, :1, :1]
    return same.all(axis=tuple(range(1, images.ndim)))


def nearly_flat(images: np.ndarray, deviation: float = NEARLY_FLAT) -> np.ndarray:
    """Find the pictures with next to no detail that are not `flat`.

    Parameters
    ----------
    images : (n, height, width, channels) uint8 array
    deviation : float
        In gray levels: the standard deviation over a picture's pixels must be under it, in every
        channel.

    Returns
    -------
    (n,) bool array
    """
    found = np.zeros(len(images), dtype=bool)
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE].astype(np.float32)
        spread = part.std(axis=(1, 2)).reshape(len(part), -1).max(axis=1)
        found[start : start + _AT_ONCE] = spread < deviation
    return found & ~flat(images)


def without_face(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows that most people saw no face in, or nothing that they could name.

    Parameters
    ----------
    votes : (n, 10) int array
        FER+'s votes, in the order of `FERPLUS_COLUMNS`.

    Returns
    -------
    no_face : (n,) bool array
        More than half of the row's votes are "NF".
    unclear : (n,) bool array
        More than half are "NF" or "unknown"; every row of `no_face` is one of these.

    Raises
    ------
    DataError
        When the votes have another number of columns.
    """
    if votes.ndim != 2 or votes.shape[1] != len(FERPLUS_COLUMNS):
        raise DataError(
            f"found votes of shape {votes.shape}, expected (n, {len(FERPLUS_COLUMNS)}): "
            f"{', '.join(FERPLUS_COLUMNS)}"
        )
    total = votes.sum(axis=1)
    none = votes[:, _NO_FACE]
    return 2 * none > total, 2 * (none + votes[:, _UNKNOWN]) > total


def contradictory(first: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Find the rows of identical pictures that carry several labels.

    Parameters
    ----------
    first : (n,) int array
        As `datasets.first_copies` gives it.
    labels : (n,) int array

    Returns
    -------
    (n,) bool array
        True for every row of such a group.
    """
    torn = np.zeros(len(first), dtype=bool)
    torn[first[labels != labels[first]]] = True
    return torn[first]
