"""Near copies: the picture of one set that correlates best with each picture of another.

Two pictures are compared by the normalised correlation of their pixels: each picture, less its
mean gray level, is scaled to length 1, and the correlation is the inner product of the two. It is
Pearson's r over the pixels, 1 for pictures that differ in brightness and contrast alone, about 0
for unrelated noise; template matching calls it the zero-mean normalised cross-correlation (Gonzalez
and Woods, *Digital Image Processing*, 4th ed. 2018, section 12.3).

What it can show: that two pictures are one photo that was brightened, recompressed, mirrored,
blurred or noisy a little, or cropped anew by a part of a pixel; `Audit.bands` says how far down the
scale that holds on the data at hand. What it cannot show:

- *Where copies begin.* Two photos of one person, taken in one sitting, or two frontal portraits in
  the same light, can correlate at 0.9 and more at 48×48 pixels. A threshold divides pictures into
  more and less alike. On FER2013, two signs (`Audit.bands`) say that nearly all pairs over 0.90 are
  copies or come from one sitting, and that most pairs below 0.85 are strangers.
- *All copies.* A copy that is shifted by one pixel can correlate less than two strangers
  (`sensitivity` measures that). So the likely pairs are correlated once more by `aligned`; but a
  copy whose nearest picture is another, or that is turned, cropped closer or partly covered, is
  still missed. What is found is a lower bound.
- *The same person.* Nothing here recognises people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.runtime import DataError

#: Pictures of each side that are compared at once: some 40 MB at 48×48.
BLOCK = 1024
#: How much better the mirror image must fit before a pair counts as mirrored.
TIE = 1e-6
#: How many pixels `aligned` shifts a picture by, at most, in each direction.
REACH = 2


@dataclass(frozen=True, eq=False)
class Nearest:
    """The best reference of each query.

    Attributes
    ----------
    place : (m,) int64 array
        Its position among the references; -1 where nothing can be compared, because the query is
        flat or every reference is.
    correlation : (m,) float32 array
        -1 … 1; NaN where `place` is -1.
    mirrored : (m,) bool array
        Whether the query's mirror image is what fits.
    """

    place: np.ndarray
    correlation: np.ndarray
    mirrored: np.ndarray


def unit_vectors(images: np.ndarray) -> np.ndarray:
    """Take each picture's mean away and scale what is left to length 1.

    Parameters
    ----------
    images : (n, …) uint8 array

    Returns
    -------
    (n, d) float32 array
        A picture of one flat level becomes all zeros.
    """
    pixels = images.reshape(len(images), -1)
    vectors = pixels.astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    level = (pixels == pixels[:, :1]).all(axis=1)
    lengths[level] = 1
    vectors[level] = 0
    vectors /= lengths[:, None].astype(np.float32)
    return vectors


def nearest(
    queries: np.ndarray,
    references: np.ndarray,
    *,
    mirror: bool = True,
    themselves: bool = False,
    block: int = BLOCK,
) -> Nearest:
    """Find the reference that correlates best with each query, or with its mirror image.

    Every query is compared with every reference, in blocks of matrix products: for FER2013's 7,178
    validation and test pictures, their mirror images and 28,709 training pictures that is two
    million million operations, half a minute on two idle cores, in the memory of a few blocks.

    Parameters
    ----------
    queries : (m, height, width[, channels]) uint8 array
    references : (n, height, width[, channels]) uint8 array
        Of the same height, width and channels.
    mirror : bool
        Whether to compare each query's left-right mirror image too.
    themselves : bool
        The references are the queries: leave out the comparison of a picture with itself, and
        with its own mirror image.
    block : int
        How many pictures of each side are held as floats at once, at least 1. It changes time and
        memory, not the result, but for references that are equally near to within rounding.

    Returns
    -------
    Nearest
        Of references with the same pixels the first is given; a query counts as mirrored only
        where its mirror image fits better by `TIE`.

    Raises
    ------
    DataError
        When the pictures are not uint8 or differ in size, or `themselves` does not fit.
    ValueError
        When `block` is under 1.
    """
    if block < 1:
        raise ValueError(f"block is {block}: expected at least 1")
    _same_kind(queries, references)
    if themselves and len(queries) != len(references):
        raise DataError(
            f"found {len(queries):,} queries and {len(references):,} references, "
            "expected the same pictures"
        )
    count = len(queries)
    places = np.full((2, count), -1, dtype=np.int64)  # straight, mirrored
    best = np.full((2, count), -np.inf, dtype=np.float32)
    for start in range(0, len(references), block):
        known = unit_vectors(references[start : start + block])
        blank = ~known.any(axis=1)
        for first in range(0, count, block):
            rows = slice(first, min(first + block, count))
            asked = unit_vectors(queries[rows])
            for kind in range(2 if mirror else 1):
                if kind:
                    asked = mirrored(asked.reshape(queries[rows].shape)).reshape(asked.shape)
                found = asked @ known.T
                found[:, blank] = -np.inf
                if themselves:
                    own = np.arange(rows.start, rows.stop) - start
                    inside = (own >= 0) & (own < len(known))
                    found[np.flatnonzero(inside), own[inside]] = -np.inf
                top = found.argmax(axis=1)
                value = found[np.arange(len(top)), top]
                better = value > best[kind, rows]
                best[kind, rows][better] = value[better]
                places[kind, rows][better] = top[better] + start
    return _chosen(queries, references, places, best)


def mirrored(images: np.ndarray) -> np.ndarray:
    """Swap left and right: (n, height, width[, channels]) in and out, a view."""
    return images[:, :, ::-1]


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlate pictures pair by pair, in float64.

    Parameters
    ----------
    first, second : (m, …) uint8 arrays
        Of the same shape.

    Returns
    -------
    (m,) float64 array
        -1 … 1; NaN where one of the two is flat.
    """
    one, two = (images.reshape(len(images), -1).astype(np.float64) for images in (first, second))
    one -= one.mean(axis=1, keepdims=True)
    two -= two.mean(axis=1, keepdims=True)
    lengths = np.sqrt((one * one).sum(axis=1) * (two * two).sum(axis=1))
    level = (first == first[:, :1, :1]).all(axis=tuple(range(1, first.ndim)))
    level |= (second == second[:, :1, :1]).all(axis=tuple(range(1, second.ndim)))
    lengths[level] = np.nan
    with np.errstate(invalid="ignore"):
        return np.clip((one * two).sum(axis=1) / lengths, -1.0, 1.0)


def aligned(first: np.ndarray, second: np.ndarray, *, reach: int = REACH) -> np.ndarray:
    """Correlate pictures pair by pair where they fit best, shifted by up to `reach` pixels.

    Of each shift, across and down, only what both pictures show is correlated. Strangers gain by
    this too, but little: `Audit.bands` shows how much.

    Parameters
    ----------
    first, second : (m, height, width[, channels]) uint8 arrays
        Of the same shape, larger than `reach` in height and width.
    reach : int
        0 compares them as they are.

    Returns
    -------
    (m,) float64 array
        The best of the correlations; NaN where none is defined.
    """
    best = np.full(len(first), np.nan)
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            one = _shifted(first, down, across)
            two = _shifted(second, -down, -across)
            best = np.fmax(best, correlations(one, two))
    return best


def _shifted(images: np.ndarray, down: int, across: int) -> np.ndarray:
    """Cut off what a shift moves out of the picture."""
    height, width = images.shape[1:3]
    rows = slice(max(down, 0), height + min(down, 0))
    return images[:, rows, max(across, 0) : width + min(across, 0)]


def _same_kind(queries: np.ndarray, references: np.ndarray) -> None:
    for what, images in (("queries", queries), ("references", references)):
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape[1:]:
            raise DataError(
                f"{what} of shape {images.shape} and type {images.dtype}: "
                "expected (n, height, width[, channels]) uint8"
            )
    if queries.shape[1:] != references.shape[1:]:
        raise DataError(
            f"pictures of {queries.shape[1:]} and {references.shape[1:]}: expected one size"
        )


def _chosen(
    queries: np.ndarray, references: np.ndarray, places: np.ndarray, best: np.ndarray
) -> Nearest:
    """Choose straight or mirrored, and correlate the chosen pairs once more, exactly."""
    # A flat query is all zeros: its products are 0, which is no correlation.
    pixels = queries.reshape(len(queries), -1)
    level = (pixels == pixels[:, :1]).all(axis=1)
    with np.errstate(invalid="ignore"):
        flipped = (places[0] < 0) | (best[1] > best[0] + np.float32(TIE))
    flipped &= (places[1] >= 0) & ~level
    place = np.where(flipped, places[1], places[0])
    place[level] = -1
    correlation = np.full(len(queries), np.nan, dtype=np.float32)
    paired = np.flatnonzero(place >= 0)
    for start in range(0, len(paired), BLOCK):
        at = paired[start : start + BLOCK]
        asked = queries[at]
        asked[flipped[at]] = mirrored(asked[flipped[at]])
        correlation[at] = correlations(asked, references[place[at]])
    return Nearest(place, correlation, flipped)
