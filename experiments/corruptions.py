"""Faces corrupted by known amounts: blur, noise, a turned head, hidden parts, and others.

They follow Hendrycks and Dietterich (2019, ICLR, Benchmarking neural network robustness to common
corruptions and perturbations), but a level is an amount in a unit (pixels, gray levels, degrees,
percent), a draw belongs to a face and not to a batch, and there is no overall score, which would
depend on the choice of levels.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from utils import faces

#: What hides a part of a face: the middle of 0 … 255.
GRAY = 128

Draw = np.random.Generator  # a face's own random numbers


def _blur(image: np.ndarray, level: float, draw: Draw) -> np.ndarray:
    import cv2

    # In float32 OpenCV's kernel reaches four σ to each side; in uint8 only three.
    edge = {"borderType": cv2.BORDER_REPLICATE}
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigmaX=level, **edge)


def _turn(image: np.ndarray, level: float, draw: Draw) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    angle = level if draw.random() < 0.5 else -level
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    # The edge is repeated outside, as in augmentation: black corners would be a second corruption.
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _square(image: np.ndarray, level: float, draw: Draw) -> np.ndarray:
    height, width = image.shape[:2]
    side = min(height, width, max(1, round(math.sqrt(level / 100 * height * width))))
    down, across = draw.random(2)
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    covered = image.copy()
    covered[top : top + side, left : left + side] = GRAY
    return covered


def _upper(image: np.ndarray, level: float, draw: Draw) -> np.ndarray:
    hidden = image.copy()
    hidden[: max(1, round(level / 100 * len(image)))] = GRAY
    return hidden


def _coarse(image: np.ndarray, level: float, draw: Draw) -> np.ndarray:
    size = image.shape[:2]
    small = tuple(max(1, round(level / min(size) * side)) for side in size)
    return faces.resize(faces.resize(image[None], small), size)[0]


def _jpeg(image: np.ndarray, level: float, draw: Draw) -> np.ndarray:
    import cv2

    # Our channels are red, green, blue and OpenCV's the reverse: JPEG treats them differently.
    turned = np.ascontiguousarray(image[:, :, ::-1])
    written = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, int(level)])[1]
    return cv2.imdecode(written, cv2.IMREAD_UNCHANGED).reshape(image.shape)[:, :, ::-1]


@dataclass(frozen=True)
class Corruption:
    """A way to corrupt a picture, and how far to go: each of the `levels` counts `unit`.

    At the level ``clean``, every picture is exactly as it was; None stands for the picture's own
    shorter side (low resolution). ``function`` takes a picture, a level, and random numbers; a
    record has none.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    clean: float | None
    function: Callable[..., np.ndarray] | None = field(default=None, repr=False, compare=False)

    def fitted(self, size: Sequence[int]) -> Corruption:
        """Return it for pictures of a given size: ``clean`` a number, and not among the levels."""
        clean = float(min(size[:2]) if self.clean is None else self.clean)
        # More pixels than there are cannot be taken from a picture.
        kept = [one < clean if self.clean is None else one != clean for one in self.levels]
        return replace(self, levels=tuple(map(float, compress(self.levels, kept))), clean=clean)


def _mean(image: np.ndarray) -> np.ndarray:
    return image.mean(axis=(0, 1), dtype=np.float32)


# fmt: off
#: Levels for faces of 48×48: from barely noticeable to leaving little to go by.
CORRUPTIONS: dict[str, Corruption] = {
    row[0]: Corruption(*row)
    for row in (
        ("Gaussian blur", "σ in pixels", (0.5, 1, 1.5, 2, 3), 0, _blur),
        ("Gaussian noise", "σ in gray levels", (8, 16, 32, 64), 0,
         lambda image, level, draw: image + np.float32(level)
         * draw.standard_normal(image.shape, dtype=np.float32)),
        ("brightness", "gray levels added", (-96, -64, -32, 32, 64, 96), 0,
         lambda image, level, _: image + np.float32(level)),
        ("contrast", "factor", (0.1, 0.25, 0.5, 2), 1,
         lambda image, level, _: _mean(image) + np.float32(level) * (image - _mean(image))),
        ("rotation", "degrees to either side", (10, 20, 30, 45), 0, _turn),
        ("gray square", "% of the area", (5, 10, 20, 40), 0, _square),
        ("upper part hidden", "% of the height", (20, 35, 50), 0, _upper),
        ("lower part hidden", "% of the height", (20, 35, 50), 0,
         lambda image, level, draw: _upper(image[::-1], level, draw)[::-1]),
        ("low resolution", "pixels a side", (8, 12, 16, 24), None, _coarse),
        ("JPEG", "quality (100: as it is)", (10, 20, 40), 100, _jpeg),
    )
}
# fmt: on


def corrupt(
    images: np.ndarray,
    corruption: str,
    level: float,
    *,
    rows: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Corrupt pictures by a known amount.

    Parameters
    ----------
    images : (n, height, width, 1 or 3) uint8 array
        At their own size, which pixels and shares refer to.
    corruption : str
        One of `CORRUPTIONS`.
    level : float
        In the corruption's unit, and not its clean level.
    rows : (n,) array of integers of 0 or more, optional
        Each face's number, as in `FaceDataset.rows`; by default 0 … n-1. Noise, side, and place
        depend on the corruption, the face's row, and the seed: not on the level or other faces.

    Returns
    -------
    (n, height, width, 1 or 3) uint8 array
        Rounded, and clipped at 0 and 255; always a new array.
    """
    rows = np.arange(len(images)) if rows is None else rows
    function = CORRUPTIONS[corruption].function
    changed, stream = np.empty_like(images), zlib.crc32(corruption.encode())
    for at, (image, row) in enumerate(zip(images, rows, strict=True)):
        draw = np.random.default_rng([seed, stream, int(row)])
        one = function(image, float(level), draw).reshape(image.shape)
        changed[at] = one if one.dtype == np.uint8 else np.clip(np.rint(one), 0, 255)
    return changed
