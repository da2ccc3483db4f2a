"""Faces in photos: reading photos, boxes, detection, and the crop to 64×64.

A `Box` counts pixel edges from the photo's top left corner: ``Box(0, 0, 2, 3)`` covers
columns 0 and 1 and rows 0, 1, and 2. A crop goes from photo to network input in four steps, always
in this order: clip the box to the photo, widen it by the margin, grow it to a square, resize. Where
a margin or a square reaches beyond the photo, the photo's edge pixels are repeated, so that the
face stays in the middle and keeps its proportions.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from utils import inference, runtime
from utils.runtime import DataError, ModelError

#: The side of a crop in pixels: what `models.cnn5` takes.
SIZE = 64
#: The most pixels that `read_photo` decodes: 50 million, a full-frame camera's picture.
MAX_PIXELS = 50_000_000
#: A square around a long thin box can be far larger than its photo; this much fits in memory.
LARGEST_CROP = 4 * MAX_PIXELS
#: The detectors that `detect` knows, and the longer side of the photo that each sees: larger photos
#: are shrunk. Of ExpW's 1,682 labeled faces (``results/photos/margin.json``) CenterFace finds 92.5%
#: at 320, 93.4% at 416 in nearly twice the time, and 92.7% at 640 in four times the time.
DETECTORS = {"centerface": 320, "mtcnn": 1_000, "haar": 1_000}
#: CenterFace's minimum confidence in a face.
SURE = 0.4
#: Of two boxes that overlap more than this (intersection over union), the more confident is kept.
OVERLAPPING = 0.3
#: A face that leans by more degrees than this gets a quarter turn.
LEANING = 60
#: The file formats that `read_photo` opens: what cameras and browsers write. Pillow knows more,
#: including some that call other programs (EPS starts Ghostscript).
PHOTO_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")


@dataclass(frozen=True)
class Box:
    """A rectangle in a photo, in pixels from the photo's top left corner.

    Attributes
    ----------
    left, top, right, bottom : float
        The edges; whole numbers are kept as ``int``. A box may reach outside its photo.

    Raises
    ------
    DataError
        When a coordinate is not a finite number within ±10⁹, or the box has no area.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if not abs(number) <= 10**9:
                raise DataError(f"box coordinate {field.name} = {value!r}: expected pixels")
            whole = int(number) if number.is_integer() else number
            object.__setattr__(self, field.name, whole)
        if self.right <= self.left or self.bottom <= self.top or self.area <= 0:
            raise DataError(f"{self} has no area: expected left < right and top < bottom")

    @property
    def width(self) -> float:
        """The horizontal side, over 0."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """The vertical side, over 0."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Width times height, over 0."""
        return self.width * self.height

    def clipped(self, width: int, height: int) -> Box:
        """Cut off what lies outside a photo of this size; `DataError` when that is all of it."""
        if self.right <= 0 or self.bottom <= 0 or self.left >= width or self.top >= height:
            raise DataError(
                f"{self} is entirely outside its photo: expected a box that overlaps "
                f"{width} × {height} pixels"
            )
        left, top = max(self.left, 0), max(self.top, 0)
        return Box(left, top, min(self.right, width), min(self.bottom, height))

    def widened(self, margin: float) -> Box:
        """Grow the box about its center by a fraction (0 … 10) of its sides at each edge.

        0.1 makes each side 1.2 times as long.
        """
        if not 0 <= margin <= 10:
            raise DataError(f"margin {margin!r}: expected a fraction of the side from 0 to 10")
        across, down = self.width * margin, self.height * margin
        return Box(self.left - across, self.top - down, self.right + across, self.bottom + down)

    def squared(self) -> Box:
        """Grow the short side to the long one, about the center."""
        side = max(self.width, self.height)
        across, down = (side - self.width) / 2, (side - self.height) / 2
        return Box(self.left - across, self.top - down, self.right + across, self.bottom + down)


@dataclass(frozen=True)
class Detection:
    """A face that a detector found.

    Attributes
    ----------
    box : Box
        Where it is, inside the photo.
    confidence : float
        How sure the detector is: for "centerface" and "mtcnn" a probability from 0 to 1, for "haar"
        the sum of the last stage's votes, without a fixed range. Comparable only within one
        detector.
    turns : int
        Quarter turns to the left that bring the face upright, 0 … 3.
    """

    box: Box
    confidence: float
    turns: int = 0


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (the Jaccard index), from 0 (apart) to 1 (equal)."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    if across <= 0 or down <= 0:
        return 0.0
    intersection = across * down
    return min(1.0, intersection / (a.area + b.area - intersection))


def crop(
    photo: np.ndarray, box: Box, *, margin: float = 0, square: bool = True, size: int = SIZE
) -> np.ndarray:
    """Cut one face out of a photo and resize it.

    Parameters
    ----------
    photo : (height, width) or (height, width, channels) uint8 array
    box : Box
        Where the face is; what lies outside the photo is clipped first.
    margin : float
        How far to widen the clipped box, as a fraction of its sides (see `Box.widened`).
    square : bool
        True grows the short side to the long one, so that the face keeps its proportions; False
        stretches the box as it is.
    size : int
        The side of the result in pixels.

    Returns
    -------
    (size, size) or (size, size, channels) uint8 array
        Where margin or square reaches beyond the photo, its edge pixels are repeated.

    Raises
    ------
    DataError
        When the box lies wholly outside the photo, the photo is not a uint8 picture, the margin is
        not in 0 … 10, or the size is not a positive whole number.
    """
    _require(photo, photo.ndim in (2, 3), "(height, width) or (height, width, channels)")
    height, width = photo.shape[:2]
    region = box.clipped(width, height).widened(margin)
    if square:
        region = region.squared()
    if region.area > LARGEST_CROP:
        raise DataError(
            f"{box} with its margin covers {region.width:,.0f} × {region.height:,.0f} pixels of a "
            f"{width:,} × {height:,} photo: expected at most {LARGEST_CROP:,} in all"
        )

    def whole(start: float, length: float, limit: int) -> np.ndarray:
        """List the pixels that cover an interval; those beyond the photo become its edge."""
        first = math.floor(start + 0.5)
        return np.clip(np.arange(first, first + max(1, math.floor(length + 0.5))), 0, limit - 1)

    rows = whole(region.top, region.height, height)
    columns = whole(region.left, region.width, width)
    return resize(photo[rows[:, None], columns][None], size)[0]


def crop_all(
    photo: np.ndarray, boxes: Iterable[Box], *, margin: float = 0, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Cut every face out of a photo as `crop` does, square; tell which boxes were clipped.

    Returns
    -------
    images : (n, size, size) or (n, size, size, channels) uint8 array
        The faces, in the order of the boxes.
    clipped : (n,) bool array
        True where the box reached outside the photo.
    """
    boxes = list(boxes)
    height, width = photo.shape[:2]
    clipped = np.array([box.clipped(width, height) != box for box in boxes], dtype=bool)
    faces = [crop(photo, box, margin=margin, size=size) for box in boxes]
    return np.array(faces, np.uint8).reshape(len(boxes), size, size, *photo.shape[2:]), clipped


def resize(images: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize a stack of pictures: area mean where a side shrinks, bicubic where it grows.

    The mean over the covered area is the one interpolation that leaves no pixel out when
    shrinking; bicubic keeps edges sharper than bilinear when enlarging. Where one side shrinks
    and the other grows, the area mean comes first.

    Parameters
    ----------
    images : (n, height, width) or (n, height, width, channels) uint8 array
    size : int or (int, int)
        The new side, or the new height and width, in pixels.

    Returns
    -------
    uint8 array
        The same number of axes, the new size; a new array even when nothing changes.

    Raises
    ------
    DataError
        When `images` is not a stack of uint8 pictures, or a side is not a positive whole number.
    """
    fits = images.ndim in (3, 4) and 0 not in images.shape[1:]
    _require(images, fits, "(n, height, width) or (n, height, width, channels)", stack=True)
    new = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(new) != 2 or any(int(side) != side or side < 1 for side in new):
        raise DataError(f"size {size!r}: expected one or two whole numbers of pixels over 0")
    new = (int(new[0]), int(new[1]))
    old = images.shape[1:3]
    if new == old:
        return images.copy()

    import cv2

    between = (min(old[0], new[0]), min(old[1], new[1]))
    resized = np.empty((len(images), *new, *images.shape[3:]), dtype=np.uint8)
    for index, image in enumerate(images):
        if between != old:
            image = cv2.resize(image, between[::-1], interpolation=cv2.INTER_AREA)
        if between != new:
            image = cv2.resize(image, new[::-1], interpolation=cv2.INTER_CUBIC)
        # OpenCV drops a last axis of length 1.
        resized[index] = image.reshape(resized.shape[1:])
    return resized


def read_photo(
    file: str | Path | bytes, title: str = "", *, formats: Sequence[str] = PHOTO_FORMATS
) -> np.ndarray:
    """Read a photo from a camera or browser, the way a viewer shows it.

    EXIF orientation is applied; gray, palette, CMYK, and 16-bit pictures become 8-bit RGB;
    transparent ones are placed on white; an animation's first frame is used. The size is read
    from the header and checked before any pixel is decoded.

    Parameters
    ----------
    file : str, Path or bytes
        A file, or its content.
    title : str, optional
        What to call it in messages; by default its path.
    formats : sequence of str
        The accepted formats, by Pillow's names.

    Returns
    -------
    (height, width, 3) uint8 array
        RGB.

    Raises
    ------
    DataError
        When the file is missing, empty, truncated, not a picture, in another format, larger than
        `MAX_PIXELS`, or of a pixel type without a known range; names the file.
    """
    from PIL import Image

    source = io.BytesIO(file) if isinstance(file, bytes) else Path(file)
    title = title or str(source)
    expected = f"expected a picture ({', '.join(formats)}) of at most {MAX_PIXELS:,} pixels"
    try:
        if isinstance(source, Path) and not source.is_file():
            raise DataError("not a file" if source.exists() else "no such file")
        if (source.stat().st_size if isinstance(source, Path) else len(file)) == 0:
            raise DataError("the file is empty")
        with warnings.catch_warnings():
            # Our own limit is tighter, and odd metadata leaves the pixels as they are.
            warnings.simplefilter("ignore")
            with Image.open(source, formats=formats) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise DataError(f"{width:,} × {height:,} pixels")
                return np.array(_eight_bits(image).convert("RGB"), dtype=np.uint8)
    except DataError as error:
        raise DataError(f"{title}: {error}; {expected}") from None
    except Image.DecompressionBombError:
        raise DataError(f"{title}: far too many pixels; {expected}") from None
    except Image.UnidentifiedImageError:
        raise DataError(f"{title}: not a picture; {expected}") from None
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise DataError(f"{title}: cannot be decoded ({error}); {expected}") from error


def to_gray(photo: np.ndarray) -> np.ndarray:
    """Gray levels of color pictures, (…, 3) to (…) uint8: 0.299 R + 0.587 G + 0.114 B, rounded.

    The luma of ITU-R BT.601, as Pillow computes it.
    """
    from PIL import Image

    _require(photo, photo.shape[-1:] == (3,), "(…, 3)", stack=True)
    stacked = Image.fromarray(photo.reshape(-1, photo.shape[-2], 3))
    return np.array(stacked.convert("L")).reshape(photo.shape[:-1])


def detect(
    photo: np.ndarray,
    detector: str = "centerface",
    *,
    side: int | None = None,
    turn: bool = False,
) -> list[Detection]:
    """Find the faces in a photo.

    The photo is shrunk to the side that `DETECTORS` gives for the detector, and the boxes are
    scaled back: a face smaller than about a fortieth of such a photo's long side is not found. For
    CenterFace, small photos are enlarged to its side.

    Parameters
    ----------
    photo : (height, width), (height, width, 1) or (height, width, 3) uint8 array
        Gray or RGB.
    detector : {"centerface", "mtcnn", "haar"}
        "centerface" is the network of Xu et al. 2019 (``models/centerface.onnx``, on ONNX
        Runtime); "mtcnn" the cascade of three networks of Zhang et al. 2016 (the `mtcnn` package,
        on TensorFlow, with the weights in its wheel); "haar" OpenCV's frontal-face cascade after
        Viola and Jones 2001. Notebook 03 compares them.
    side : int, optional
        The longer side, in pixels, of what the detector sees: doubling it finds faces half as
        large, in four times the time.
    turn : bool
        Whether to look, where no face is upright, for faces on their side or upside down: the photo
        is turned by quarter turns until something is found.

    Returns
    -------
    list of Detection
        Most confident first, boxes within the photo; empty when there is no face.

    Raises
    ------
    DataError
        When the photo is not a uint8 picture, or the detector is unknown.
    ModelError
        When the detector's file is missing, or Keras runs on a backend other than mtcnn's,
        TensorFlow.
    """
    if detector not in DETECTORS:
        *others, last = DETECTORS
        raise DataError(f"unknown detector {detector!r}: expected {', '.join(others)} or {last}")
    gray = photo.ndim == 2 or photo.shape[2:] == (1,)
    shapes = "(height, width), (height, width, 1) or (height, width, 3)"
    _require(photo, gray or photo.shape[2:] == (3,), shapes)
    height, width = photo.shape[:2]
    factor = (side or DETECTORS[detector]) / max(height, width)
    factor = factor if detector == "centerface" else min(1.0, factor)
    new = (max(1, round(height * factor)), max(1, round(width * factor)))
    shown = resize(photo.reshape(1, height, width, -1), new)[0]
    find = {"centerface": _find_centerface, "mtcnn": _find_mtcnn, "haar": _find_haar}[detector]
    across, down = width / new[1], height / new[0]
    for turns in range(4 if turn else 1):
        turned = np.ascontiguousarray(np.rot90(shown, turns))
        high, wide = turned.shape[:2]
        found = []
        for *edges, confidence, lying in find(turned):
            left, top, right, bottom = np.clip(edges, 0, [wide, high, wide, high])
            # Detectors occasionally return a box that has no pixel in the photo.
            if right > left and bottom > top:
                for quarter in range(turns):  # back, a quarter turn to the right at a time
                    tall = turned.shape[quarter % 2]
                    left, top, right, bottom = tall - bottom, left, tall - top, right
                box = Box(left * across, top * down, right * across, bottom * down)
                upright = (turns + lying) % 4
                found.append(Detection(box.clipped(width, height), confidence, upright))
        if found:
            return sorted(found, key=lambda detection: -detection.confidence)
    return []


def _require(pixels: np.ndarray, fits: bool, expected: str, *, stack: bool = False) -> None:
    if pixels.dtype != np.uint8 or not fits or not (stack or pixels.size):
        found = f"pixels of shape {pixels.shape} and type {pixels.dtype}"
        raise DataError(f"{found}: expected {expected} of uint8")


def _eight_bits(image: Any) -> Any:
    """Decode an open picture: upright, 8 bits per channel, on white; ValueError: unknown range."""
    from PIL import Image, ImageOps

    image.load()
    with contextlib.suppress(Exception):  # damaged EXIF leaves the picture as it is
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65_535:
            raise ValueError("pixels outside 0 … 65,535, expected 8 or 16 bits per channel")
        return Image.fromarray(((wide.astype(np.uint32) * 255 + 32_767) // 65_535).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels, expected 8 or 16 bits per channel")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image


@functools.cache
def _centerface() -> Any:
    """Load CenterFace, once."""
    return inference.session(runtime.MODELS / "centerface.onnx")


@functools.cache
def _mtcnn() -> Any:
    """Load the `mtcnn` package's detector, once."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"detector 'mtcnn' runs only on TensorFlow, and Keras runs on "
            f"{keras.backend.backend()}: choose detector 'haar'"
        )
    from mtcnn import MTCNN

    return MTCNN(stages="face_and_landmarks_detection", device="CPU:0")


@functools.cache
def _cascade() -> Any:
    """Load OpenCV's frontal-face cascade, once."""
    import cv2

    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")


def _find_centerface(photo: np.ndarray) -> list[tuple[float, ...]]:
    """Run CenterFace; return left, top, right, bottom, probability, quarter turns.

    It outputs four maps at a quarter of the photo's size: the probability of a face's center, the
    logarithms of the face's height and width, the center's offset, and eyes, nose, and mouth. It
    also finds most faces that lie on their side; eyes and mouth then tell which side.
    """
    import cv2

    height, width = photo.shape[:2]
    # The network halves the photo five times; the padding that this needs stays black.
    shown = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
    shown[0, :, :height, :width] = photo.transpose(2, 0, 1)
    heat, sides, offsets, points = _centerface().run(None, {"input.1": shown})
    rows, columns = np.nonzero(heat[0, 0] > SURE)
    sure = heat[0, 0, rows, columns]
    y, x = 4 * (np.stack([rows, columns]) + offsets[0, :, rows, columns].T + 0.5)
    high, wide = 2 * np.exp(sides[0, :, rows, columns].T)
    # Two eyes, the nose, two corners of the mouth: y and x of each, as fractions of the sides.
    down, across = points[0].reshape(5, 2, *heat.shape[2:])[:, :, rows, columns].transpose(1, 0, 2)
    below, beside = (one[3:].sum(axis=0) - one[:2].sum(axis=0) for one in (down, across))
    angle = np.degrees(np.arctan2(beside * wide, below * high))
    lying = np.where(np.abs(angle) > LEANING, -np.round(angle / 90) % 4, 0)
    sized = np.stack([x - wide, y - high, 2 * wide, 2 * high], axis=1)
    boxes = np.stack([x - wide, y - high, x + wide, y + high], axis=1)
    kept = cv2.dnn.NMSBoxes(sized, sure, SURE, OVERLAPPING)
    return [(*boxes[at], float(sure[at]), int(lying[at])) for at in kept]


def _find_mtcnn(photo: np.ndarray) -> list[tuple[float, ...]]:
    """Run MTCNN on (height, width, 1|3): left, top, right, bottom, probability, 0 turns."""
    # Its image pyramid starts at faces of 20 pixels: below that it has no level at all.
    if min(photo.shape[:2]) < 20:
        return []
    rgb = np.repeat(photo, 3, axis=2) if photo.shape[2] == 1 else photo
    found = _mtcnn().detect_faces(rgb, box_format="xyxy")
    return [(*face["box"], float(face["confidence"]), 0) for face in found]


def _find_haar(photo: np.ndarray) -> list[tuple[float, ...]]:
    """Run the cascade on (height, width, 1|3): left, top, right, bottom, weight, 0 turns."""
    gray = photo[..., 0] if photo.shape[2] == 1 else to_gray(photo)
    boxes, _, weights = _cascade().detectMultiScale3(
        np.ascontiguousarray(gray), scaleFactor=1.1, minNeighbors=5, outputRejectLevels=True
    )
    found = zip(boxes, weights, strict=True)
    return [(x, y, x + wide, y + high, float(sure), 0) for (x, y, wide, high), sure in found]
