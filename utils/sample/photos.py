"""ExpW-like photos: one to three people in a picture, with their boxes and labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.expressions import EXPRESSIONS
from utils.runtime import DataError
from utils.sample.draws import Draws
from utils.sample.painting import Face, paint, paint_person, soft
from utils.sample.people import activations, draw_people, take
from utils.sample.rows import draw_pose

#: How many photos are rendered unless told otherwise.
PHOTOS = 60
#: One photo in this many has a face cut off by the picture's edge, so its box extends outside.
CUT = 6

_PEOPLE, _FACES, _SCENES, _GRAIN, _LABELS = range(100, 105)  # streams of draws


@dataclass(frozen=True)
class SamplePhoto:
    """A rendered photo and the faces in it.

    Attributes
    ----------
    name : str
        The file name, unique among the photos of one call.
    image : (h, w, 3) uint8
        RGB, 320×240 to 480×360.
    boxes : (k, 4) int64
        Left, top, right, bottom of each face in pixels; some extend outside the picture.
    labels : (k,) int64
        Indices into `EXPRESSIONS`.
    confidence : (k,) float64
        How sure a face detector would be, on ExpW's scale (about 10 to 100).
    """

    name: str
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray


def render_photos(count: int = PHOTOS, seed: int = 0) -> list[SamplePhoto]:
    """Render photos of one to three people, every expression about equally often.

    Parameters
    ----------
    count : int
        How many photos, at least 1.
    seed : int
        0 or more. The same seed gives the same pixels on every machine.

    Returns
    -------
    list of SamplePhoto

    Raises
    ------
    DataError
        For a count under 1 or a negative seed.
    """
    if count < 1:
        raise DataError(f"count is {count}: expected at least 1 photo")
    scenes, grain = Draws(seed, _SCENES), Draws(seed, _GRAIN)
    sizes = [(3 * short // 4, short) for short in scenes.integers(20, 31, count) * 16]
    crowds = 1 + scenes.choose((5, 3, 2), count)
    places = [
        _places(width, height, int(crowd), number % CUT == CUT - 1, scenes)
        for number, ((height, width), crowd) in enumerate(zip(sizes, crowds, strict=True))
    ]
    total = int(crowds.sum())
    labels = (np.arange(total) % len(EXPRESSIONS))[Draws(seed, _LABELS).order(total)]
    units, strength = activations(labels, Draws(seed, _FACES))
    people = draw_people(total, Draws(seed, _PEOPLE))
    pose = draw_pose(total, scenes)
    photos, start = [], 0
    for number, ((height, width), spots) in enumerate(zip(sizes, places, strict=True)):
        faces = slice(start, start + len(spots))
        start = faces.stop
        pixels = _background(width, height, scenes)
        boxes = np.empty((len(spots), 4), np.int64)
        for face in sorted(range(len(spots)), key=lambda at: spots[at][2]):  # the nearest last
            row = slice(faces.start + face, faces.start + face + 1)
            here = take(people, row), units[row], take(pose, row)
            boxes[face] = _paint_at(pixels, *spots[face], *here)
        sure = 12 + 80 * strength[faces].astype(np.float64) * scenes.units(len(spots))
        photos.append(
            SamplePhoto(
                name=f"sample_{number:04d}.png",
                image=_develop(pixels[:, 0], grain),
                boxes=boxes,
                labels=labels[faces],
                confidence=np.round(sure, 4),
            )
        )
    return photos


def _places(width: int, height: int, crowd: int, cut: bool, draws: Draws) -> list[tuple]:
    """Place people side by side, the first half outside if `cut`: x, y and half a face's height."""
    places = []
    slot = width / crowd
    for number in range(crowd):
        largest = min(0.62 * slot, 0.36 * height)
        radius = int(draws.uniform(0.55, 1.0, 1)[0] * largest)
        x = slot * (number + 0.5) + float(draws.bell(0.12, 1)[0]) * slot
        low, high = 1.05 * radius, height - 1.15 * radius
        y = low + (high - low) * float(draws.units(1)[0]) * 0.7
        if cut and number == 0:
            x, y = 0.45 * radius, max(y, 0.9 * radius)
        places.append((int(x), int(y), radius))
    return places


def _background(width: int, height: int, draws: Draws) -> np.ndarray:
    """Paint a fading wall with a few soft lights and plain frames: (3, 1, h, w) float32."""
    across = (np.arange(width, dtype=np.float32) / np.float32(width))[None, None, :]
    down = (np.arange(height, dtype=np.float32) / np.float32(height))[None, :, None]
    top, bottom = _muted(draws), _muted(draws)
    pixels = np.zeros((3, 1, height, width), np.float32)
    paint(pixels, np.ones((1, height, width), np.float32), top)
    paint(pixels, down * np.ones_like(across), bottom)
    for _ in range(int(draws.integers(1, 5, 1)[0])):
        left, upper, wide, high = draws.uniform(0, 1, 4)
        inside = (across > left) & (across < left + 0.1 + 0.3 * wide)
        inside = inside & (down > upper * 0.6) & (down < upper * 0.6 + 0.1 + 0.4 * high)
        paint(pixels, 0.6 * inside.astype(np.float32), _muted(draws))
    for _ in range(int(draws.integers(2, 7, 1)[0])):
        x, y, wide = draws.uniform(0, 1, 3)
        spot = soft(across - x, down - y, 0.05 + 0.25 * wide, 0.05 + 0.25 * wide)
        paint(pixels, 0.5 * spot, _muted(draws))
    return pixels


def _muted(draws: Draws) -> np.ndarray:
    """Draw a color for a room rather than for candy: (3,) float32."""
    color = draws.uniform(0.15, 0.95, 3)
    return (color + 1.2 * color[0]) / np.float32(2.2)


def _paint_at(pixels: np.ndarray, x: int, y: int, radius: int, people, units, pose) -> list[int]:
    """Paint one person at a spot, and return the box of the face."""
    height, width = pixels.shape[2:]
    left, right = max(0, x - 3 * radius), min(width, x + 3 * radius)
    top = max(0, y - 2 * radius)
    frame_x = ((np.arange(left, right) - x).astype(np.float32) / np.float32(radius))[None, None, :]
    frame_y = ((np.arange(top, height) - y).astype(np.float32) / np.float32(radius))[None, :, None]
    face = Face(frame_x, frame_y, 1 / radius, people, units, pose)
    paint_person(pixels[:, :, top:, left:right], face)
    scale = radius / float(pose.scale[0, 0, 0])
    middle, line = x + radius * float(pose.x[0, 0, 0]), y + radius * float(pose.y[0, 0, 0])
    side = scale * (float(people.width[0, 0, 0]) + 0.04)
    chin = float(people.chin[0, 0, 0]) + float(face.drop[0, 0, 0])
    box = (middle - side, line - 0.88 * scale, middle + side, line + (chin + 0.02) * scale)
    return [int(np.floor(edge + 0.5)) for edge in box]


def _develop(tones: np.ndarray, grain: Draws) -> np.ndarray:
    """Add fine grain, the same in all three channels: (3, h, w) float32 in, (h, w, 3) uint8 out."""
    levels = np.floor(np.clip(tones, 0, 1) * np.float32(255 * 16) + np.float32(0.5))
    words = grain.words(*tones.shape[1:])
    bells = ((words >> np.uint64(8)) & np.uint64(255)) + ((words >> np.uint64(24)) & np.uint64(255))
    noise = (bells.astype(np.int64) - 255) >> 2
    pixels = (levels.astype(np.int64) + noise + 8) >> 4
    return np.ascontiguousarray(np.moveaxis(np.clip(pixels, 0, 255).astype(np.uint8), 0, -1))
