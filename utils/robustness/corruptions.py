"""Faces spoiled by known amounts: what may be done to a picture, and how far."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from utils import faces
from utils.runtime import DataError

#: What hides a part of a face: the middle of 0 … 255.
GRAY = 128

Draws = Iterator[np.random.Generator]


def _blurred(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    import cv2

    # In float32 OpenCV's kernel reaches four σ to each side; in uint8 only three.
    return _each(
        images.astype(np.float32),
        lambda image: cv2.GaussianBlur(
            image, (0, 0), sigmaX=level, sigmaY=level, borderType=cv2.BORDER_REPLICATE
        ),
    )


def _noisy(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    shape = images.shape[1:]
    noise = [draw.standard_normal(shape, dtype=np.float32) for draw in draws]
    return images + np.float32(level) * np.stack(noise)


def _brighter(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    return images + np.float32(level)


def _contrasted(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    pixels = images.astype(np.float32)
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    return mean + np.float32(level) * (pixels - mean)


def _turned(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    import cv2

    height, width = images.shape[1:3]
    middle = ((width - 1) / 2, (height - 1) / 2)
    signs = iter([1 if draw.random() < 0.5 else -1 for draw in draws])

    def turn(image: np.ndarray) -> np.ndarray:
        matrix = cv2.getRotationMatrix2D(middle, next(signs) * level, 1.0)
        # The edge goes on outside, as in augmentation: black corners would be a second corruption.
        return cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )

    return _each(images, turn)


def _covered(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    height, width = images.shape[1:3]
    side = min(height, width, max(1, round(math.sqrt(level / 100 * height * width))))
    covered = images.copy()
    for image, draw in zip(covered, draws, strict=True):
        down, across = draw.random(2)
        top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
        image[top : top + side, left : left + side] = GRAY
    return covered


def _upper_hidden(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    hidden = images.copy()
    hidden[:, : max(1, round(level / 100 * images.shape[1]))] = GRAY
    return hidden


def _lower_hidden(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    return _upper_hidden(images[:, ::-1], level, draws)[:, ::-1]


def _coarse(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    size = images.shape[1:3]
    small = tuple(max(1, round(level / min(size) * side)) for side in size)
    return faces.resize(faces.resize(images, small), size)


def _compressed(images: np.ndarray, level: float, draws: Draws) -> np.ndarray:
    import cv2

    channels = images.shape[3]
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR

    def compress(image: np.ndarray) -> np.ndarray:
        # Our channels are red, green, blue and OpenCV's the reverse: JPEG treats them unlike.
        turned = np.ascontiguousarray(image[:, :, ::-1])
        _, written = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, int(level)])
        return cv2.imdecode(written, flag).reshape(image.shape)[:, :, ::-1]

    return _each(images, compress)


def _each(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply OpenCV to each picture of a stack; it drops a last axis of one."""
    changed = np.empty_like(images)
    for at, image in enumerate(images):
        changed[at] = change(image).reshape(image.shape)
    return changed


@dataclass(frozen=True)
class _Change:
    """A corruption's function, and the levels that mean something to it."""

    function: Callable[[np.ndarray, float, Draws], np.ndarray]
    least: float
    most: float
    whole: bool = False


_CHANGES: dict[str, _Change] = {
    "Gaussian blur": _Change(_blurred, 0, 100),
    "Gaussian noise": _Change(_noisy, 0, 1000),
    "brightness": _Change(_brighter, -255, 255),
    "contrast": _Change(_contrasted, 0, 100),
    "rotation": _Change(_turned, 0, 180),
    "gray square": _Change(_covered, 0, 100),
    "upper part hidden": _Change(_upper_hidden, 0, 100),
    "lower part hidden": _Change(_lower_hidden, 0, 100),
    "low resolution": _Change(_coarse, 1, 10_000, whole=True),
    "JPEG": _Change(_compressed, 1, 100, whole=True),
}


def _check_level(name: str, level: float) -> None:
    change = _CHANGES[name]
    fits = math.isfinite(level) and change.least <= level <= change.most
    if not fits or (change.whole and int(level) != level):
        kind = "a whole number" if change.whole else "a number"
        raise DataError(
            f"{name}: level {level!r}, expected {kind} of {change.least:g} … {change.most:g}"
        )


@dataclass(frozen=True)
class Corruption:
    """A way to spoil a picture, and how far to go.

    Attributes
    ----------
    name : str
        One of `CORRUPTIONS`.
    unit : str
        What a level counts.
    levels : tuple of float
        The levels that `curves` asks about.
    clean : float or None
        The level that leaves every picture exactly as it is. None stands for the picture's own
        shorter side (low resolution), at which nothing is lost.

    Raises
    ------
    DataError
        For an unknown name, and for a level that cannot be or comes twice.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    clean: float | None = 0.0

    def __post_init__(self) -> None:
        if self.name not in _CHANGES:
            raise DataError(
                f"unknown corruption {self.name!r}: expected one of {', '.join(_CHANGES)}"
            )
        for level in self.levels:
            _check_level(self.name, level)
        if len(set(self.levels)) < len(self.levels):
            raise DataError(f"{self.name}: levels {self.levels}, expected each once")

    def clean_at(self, size: Sequence[int]) -> float:
        """Return the level that leaves pictures of this height and width as they are."""
        return float(min(size[:2])) if self.clean is None else float(self.clean)

    def is_clean(self, level: float, size: Sequence[int]) -> bool:
        """Whether a level leaves pictures of this height and width as they are."""
        clean = self.clean_at(size)
        # More pixels than there are cannot be taken from a picture.
        return level >= clean if self.name == "low resolution" else level == clean


#: The corruptions, and levels for faces of 48×48: from what one would hardly mind to what leaves
#: little to go by. Pixels mean more in a larger picture: there take `Corruption`s of your own.
CORRUPTIONS: dict[str, Corruption] = {
    one.name: one
    for one in (
        Corruption("Gaussian blur", "σ in pixels", (0.5, 1, 1.5, 2, 3)),
        Corruption("Gaussian noise", "σ in gray levels", (8, 16, 32, 64)),
        Corruption("brightness", "gray levels added", (-96, -64, -32, 32, 64, 96)),
        Corruption("contrast", "factor", (0.1, 0.25, 0.5, 2), clean=1.0),
        Corruption("rotation", "degrees to either side", (10, 20, 30, 45)),
        Corruption("gray square", "% of the area", (5, 10, 20, 40)),
        Corruption("upper part hidden", "% of the height", (20, 35, 50)),
        Corruption("lower part hidden", "% of the height", (20, 35, 50)),
        Corruption("low resolution", "pixels a side", (8, 12, 16, 24), clean=None),
        Corruption("JPEG", "quality (100: as it is)", (10, 20, 40), clean=100.0),
    )
}


def corrupt(
    images: np.ndarray,
    corruption: str | Corruption,
    level: float,
    *,
    rows: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Spoil pictures by a known amount.

    Parameters
    ----------
    images : (n, height, width, 1 or 3) uint8 array
        At their own size: pixels and shares are of this one.
    corruption : str or Corruption
        - "Gaussian blur": σ in pixels; the edge pixel goes on outside the picture.
        - "Gaussian noise": σ in gray levels, drawn for each pixel and channel.
        - "brightness": gray levels added, -255 … 255.
        - "contrast": a factor of the distance to each channel's own mean, so that the mean stays.
        - "rotation": degrees about the middle, 0 … 180, to the side that is drawn for the face;
          bilinear, the edge pixel goes on outside.
        - "gray square": a square of `GRAY` over this percentage of the area, whole pixels, at a
          place that is drawn for the face. A larger square covers the smaller one.
        - "upper part hidden", "lower part hidden": a band of `GRAY` over this percentage of the
          height. On a face that fills its picture 50 hides the eyes, or the mouth.
        - "low resolution": the shorter side has as many pixels, then as many as before (area means
          down, cubic up).
        - "JPEG": the quality of libjpeg's scale. 100 here means that nothing is compressed.
    level : float
        An amount in the corruption's unit. At `Corruption.clean` nothing is changed.
    rows : (n,) array of whole numbers of 0 or more, optional
        What each face is called, as `FaceDataset.rows`; by default 0 … n-1. Draws depend on the
        corruption, the face's row and the seed, and on nothing else: neither on the level nor on
        the other faces, nor on their order.
    seed : int
        0 or more.

    Returns
    -------
    (n, height, width, 1 or 3) uint8 array
        Rounded, and cut off at 0 and 255. A new array also where nothing changes.

    Raises
    ------
    DataError
        When the pictures, the level, the rows or the seed cannot be, or the corruption is unknown.
    """
    images, rows = np.asarray(images), _checked_rows(images, rows)
    corruption = _named(corruption)
    _check_level(corruption.name, level)
    if seed < 0:
        raise DataError(f"seed {seed}: expected 0 or more")
    if len(images) == 0 or corruption.is_clean(level, images.shape[1:3]):
        return images.copy()
    stream = zlib.crc32(corruption.name.encode())
    draws = (np.random.default_rng([seed, stream, int(row)]) for row in rows)
    changed = _CHANGES[corruption.name].function(images, float(level), draws)
    if changed.dtype != np.uint8:
        changed = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(changed)


def _checked_rows(images: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    shape, dtype = np.shape(images), np.asarray(images).dtype
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape[1:]:
        raise DataError(
            f"images of shape {shape} and type {dtype}: "
            "expected (n, height, width, 1 or 3) of uint8"
        )
    rows = np.arange(shape[0]) if rows is None else np.asarray(rows)
    if rows.shape != (shape[0],) or not np.issubdtype(rows.dtype, np.integer) or (rows < 0).any():
        raise DataError(
            f"rows: expected {shape[0]} whole numbers of 0 or more, one a picture, "
            f"got {rows.dtype} of shape {rows.shape}"
        )
    return rows


def chosen(corruptions: Iterable[str | Corruption] | None, size: Sequence[int]) -> list[Corruption]:
    """Choose corruptions for pictures of one size.

    Parameters
    ----------
    corruptions : iterable of str or Corruption, or None
        None stands for all of `CORRUPTIONS`.
    size : sequence of int
        Height and width of the pictures.

    Returns
    -------
    list of Corruption
        Their clean levels written as numbers, and left out of their other levels.

    Raises
    ------
    DataError
        When there is none, one is unknown, or named twice.
    """
    found = [_named(one) for one in (CORRUPTIONS if corruptions is None else corruptions)]
    names = [one.name for one in found]
    if not found or len(set(names)) < len(names):
        raise DataError(f"corruptions {names}: expected one or more, each once")
    return [
        replace(
            one,
            levels=tuple(float(level) for level in one.levels if not one.is_clean(level, size)),
            clean=one.clean_at(size),
        )
        for one in found
    ]


def _named(corruption: str | Corruption) -> Corruption:
    if isinstance(corruption, Corruption):
        return corruption
    if corruption not in CORRUPTIONS:
        raise DataError(
            f"unknown corruption {corruption!r}: expected one of {', '.join(CORRUPTIONS)}"
        )
    return CORRUPTIONS[corruption]


@dataclass(frozen=True)
class Strip:
    """One picture at every level of a corruption, mildest to either side of the clean one.

    Attributes
    ----------
    corruption : Corruption
        With ``clean`` a number: the level at which the picture is as it was.
    levels : tuple of float
        In rising order, the clean one among them.
    images : (levels, height, width, 1 or 3) uint8 array
    """

    corruption: Corruption
    levels: tuple[float, ...]
    images: np.ndarray = field(repr=False)


def examples(
    image: np.ndarray,
    corruptions: Iterable[str | Corruption] | None = None,
    *,
    row: int = 0,
    seed: int = 0,
) -> list[Strip]:
    """Spoil one picture by every level of every corruption.

    Parameters
    ----------
    image : (height, width, 1 or 3) uint8 array
    corruptions : iterable of str or Corruption, optional
        By default all of `CORRUPTIONS`.
    row, seed : int
        As `corrupt` takes them.

    Returns
    -------
    list of Strip
        One a corruption, for `figures.corruption_examples`.
    """
    image = np.asarray(image)
    strips = []
    for corruption in chosen(corruptions, image.shape):
        levels = tuple(sorted((corruption.clean, *corruption.levels)))
        variants = [
            corrupt(image[None], corruption, level, rows=np.array([row]), seed=seed)[0]
            for level in levels
        ]
        strips.append(Strip(corruption, levels, np.stack(variants)))
    return strips
