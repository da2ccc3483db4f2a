"""Near copies: which picture of one set correlates best with each picture of another.

Two pictures are compared by Pearson's r over their pixels (zero-mean normalized cross-correlation;
Gonzalez and Woods, *Digital Image Processing*, 4th ed. 2018, section 12.3): 1 for pictures that
differ in brightness and contrast alone, about 0 for unrelated noise. It finds one photo that was
brightened, recompressed, mirrored, or slightly blurred or noisy. It does not recognize people: two
frontal portraits in the same light can reach 0.9 at 48×48 pixels. And it misses copies that are
rotated, cropped closer, or partly covered, so its count is a lower bound.
"""

from __future__ import annotations

import numpy as np

#: How many pictures are compared with all others at once: 60 MB for FER2013's 28,709, besides
#: 265 MB for these as floats.
BLOCK = 256
#: How many pixels `aligned` shifts a picture by, at most, in each direction.
REACH = 2

_TIE = np.float32(1e-6)  # a mirror image must fit this much better


def flat(images: np.ndarray) -> np.ndarray:
    """Find the pictures of one single color: (n, height, width, channels) uint8 → (n,) bool."""
    return (images == images[:, :1, :1]).all(axis=(1, 2, 3))


def mirrored(images: np.ndarray, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Copy pictures, the `chosen` ones with left and right swapped."""
    images = images.copy()
    images[chosen] = images[chosen][:, :, ::-1]
    return images


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlate pictures, two (m, height, width, channels) uint8 arrays, pair by pair, in float64.

    Returns (m,) numbers, -1 … 1; NaN where one of the two is flat.
    """
    products = _unit_vectors(first, np.float64) * _unit_vectors(second, np.float64)
    return np.where(flat(first) | flat(second), np.nan, products.sum(axis=1))


def aligned(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlate pairs, one shifted against the other by up to `REACH` pixels, and take the best.

    At most `REACH` pixels of each edge are cut from both; shapes as in `correlations`.
    """
    best, shifts = np.full(len(first), np.nan), range(-REACH, REACH + 1)
    for down in shifts:
        for across in shifts:
            one, two = _shifted(first, down, across), _shifted(second, -down, -across)
            best = np.fmax(best, correlations(one, two))
    return best


def _shifted(images: np.ndarray, down: int, across: int) -> np.ndarray:
    height, width = images.shape[1:3]
    rows = slice(max(down, 0), height + min(down, 0))
    return images[:, rows, max(across, 0) : width + min(across, 0)]


def nearest(
    queries: np.ndarray, references: np.ndarray, *, themselves: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the reference that correlates best with each query, or with its mirror image.

    Every query is compared with every reference, in blocks of matrix products.

    Parameters
    ----------
    queries, references : (m or n, height, width, channels) uint8 arrays
        All of one size; one reference or more.
    themselves : bool
        The references are the queries: a picture is not compared with itself.

    Returns
    -------
    place : (m,) int64 array
        Positions among the references, the first among ties; -1 where nothing can be compared
        because the query is flat or every reference is.
    correlation : (m,) float64 array
        -1 … 1; NaN where `place` is -1.
    mirrored : (m,) bool array
        Whether the query's mirror image fits better.
    """
    known, blank = _unit_vectors(references), flat(references)
    places, fits, turns = [], [], []
    for start in range(0, len(queries) or 1, BLOCK):
        asked = queries[start : start + BLOCK]
        found = np.stack([_unit_vectors(one) @ known.T for one in (asked, mirrored(asked))])
        found[..., blank] = -np.inf
        if themselves:
            rows = np.arange(len(asked))
            found[:, rows, start + rows] = -np.inf
        (place, other), (fit, better) = found.argmax(axis=2), found.max(axis=2)
        none = flat(asked) | np.isinf(fit)
        turn = (better > fit + _TIE) & ~none
        place = np.where(turn, other, place)
        fit = correlations(mirrored(asked, turn), references[place])
        places.append(np.where(none, -1, place))
        fits.append(np.where(none, np.nan, fit))
        turns.append(turn)
    return np.concatenate(places), np.concatenate(fits), np.concatenate(turns)


def _unit_vectors(images: np.ndarray, kind: type = np.float32) -> np.ndarray:
    """Subtract each picture's mean and scale the rest to length 1: (n, d) floats; flat: zeros."""
    vectors = images.reshape(len(images), np.prod(images.shape[1:])).astype(kind)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors[flat(images)] = 0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    return vectors
