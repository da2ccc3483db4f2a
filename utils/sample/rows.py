"""FER2013-like rows: 48×48 gray faces with labels, usages and FER+ votes; and single faces."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from utils import runtime
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS, FOLDER_NAMES
from utils.runtime import DataError
from utils.sample import people
from utils.sample.draws import Draws
from utils.sample.painting import Face, paint_person
from utils.sample.people import ACTION_UNITS, CONFUSIONS, UNITS

#: Goes up whenever the pixels change, so that no cached old rendering passes for a new one.
VERSION = 3
#: How many rows are rendered by default; width and height of a row's picture.
ROWS, SIZE = 2000, 48
#: FER2013's own rows per class, in the order of `EXPRESSIONS` (35,887 in all).
FER2013_ROWS = (4953, 547, 5121, 8989, 6077, 4002, 6198)
#: FER2013's names for the splits, with the share of the rows that each gets here.
USAGES: dict[str, int] = {"Training": 70, "PublicTest": 10, "PrivateTest": 20}
#: One row in this many shows a different expression than its label says.
LABEL_NOISE = 33
#: Planted on purpose, as FER2013 has them too; `SampleRows` says which rows.
COPIES, CONTRADICTIONS, FLAT = 6, 2, 2

_PEOPLE, _FACES, _SCENES, _GRAIN, _LABELS, _PLANTED, _VOTES = range(7)  # streams of draws
_BATCH = 8  # faces painted at once: small enough for a processor's cache


@dataclass(frozen=True)
class SampleRows:
    """Rendered rows in the shape of ``fer2013.csv``.

    Attributes
    ----------
    images : (n, 48, 48) uint8
        Gray pictures.
    labels : (n,) int64
        What each row's label says: an index into `EXPRESSIONS`.
    usage : (n,) str
        "Training", "PublicTest" or "PrivateTest", in this order.
    votes : (n, 10) int64
        Ten people's votes, in the order of `FERPLUS_COLUMNS`.
    drawn : (n,) int64
        What the renderer drew. Where it differs from `labels`, the label is wrong on purpose.
    copies : (6, 2) int64
        Rows of PrivateTest, and the rows of Training that they copy pixel for pixel.
    contradictions : (2, 2) int64
        Pairs of Training rows with the same pixels and different labels.
    flat : (2,) int64
        Training rows of uniform gray, without a face.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    votes: np.ndarray
    drawn: np.ndarray
    copies: np.ndarray
    contradictions: np.ndarray
    flat: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def apportion(total: int, shares: tuple[int, ...]) -> list[int]:
    """Split `total` in proportion to `shares` (largest remainders), at least 1 for each."""
    whole = sum(shares)
    counts = [total * share // whole for share in shares]
    rests = [total * share % whole for share in shares]
    for index in sorted(range(len(shares)), key=lambda i: -rests[i])[: total - sum(counts)]:
        counts[index] += 1
    while 0 in counts:
        counts[counts.index(max(counts))] -= 1
        counts[counts.index(0)] += 1
    return counts


def render_rows(count: int = ROWS, seed: int = 0, *, cache: bool = True) -> SampleRows:
    """Render rows in FER2013's form: its size, its class imbalance, 70/10/20% in its three usages.

    Parameters
    ----------
    count : int
        How many rows, at least 100.
    seed : int
        0 or more. The same seed gives the same pixels on every machine.
    cache : bool
        Whether to keep the result in ``data/cache`` and reuse it from there. A damaged file is
        rendered again; a folder that cannot be written to is not an error.

    Returns
    -------
    SampleRows

    Raises
    ------
    DataError
        For a count under 100 or a negative seed.
    """
    path = runtime.CACHE / f"sample-v{VERSION}-rows-{count}-{seed}.npz"
    if cache:
        with (
            contextlib.suppress(Exception),  # missing, damaged or of another form: render again
            np.load(path, allow_pickle=False) as stored,  # tests the archive's checksums
        ):
            return SampleRows(**stored)
    rows = _render(count, seed)
    if cache:
        with contextlib.suppress(OSError):
            runtime.write_npz(path, **vars(rows))
    return rows


def render_face(
    expression: str | Mapping[str, float] = "neutral", intensity: float = 1.0, *, seed: int = 0
) -> np.ndarray:
    """Render one face at a chosen strength, or between two expressions.

    Parameters
    ----------
    expression : str or mapping of str to float
        One of `EXPRESSIONS`, or a blend: the share of each, ``{"fear": 0.7, "surprise": 0.3}``.
    intensity : float
        How strongly its action units move, from 0, a neutral face, to 1, all of `ACTION_UNITS`.
    seed : int
        Which person, pose, light and grain: the same for every expression and intensity.

    Returns
    -------
    (48, 48) uint8 array

    Raises
    ------
    DataError
        For an unknown expression, an intensity or share outside 0 … 1, shares whose sum is over 1,
        or a negative seed.
    """
    shares = {expression: 1.0} if isinstance(expression, str) else dict(expression)
    unknown = [name for name in shares if name not in ACTION_UNITS]
    if unknown:
        raise DataError(f"expression {unknown[0]!r}: expected one of {', '.join(EXPRESSIONS)}")
    if not (0 <= intensity <= 1 and all(share >= 0 for share in shares.values())):
        raise DataError(f"intensity {intensity}, shares {shares}: expected numbers from 0 to 1")
    if not sum(shares.values()) <= 1 + 1e-9:
        raise DataError(f"shares {shares}: expected a sum of at most 1")
    moved = np.zeros((1, UNITS), np.float32)
    for name, share in shares.items():
        for unit, value in ACTION_UNITS[name].items():
            moved[0, unit] += intensity * share * value
    return _paint(moved, seed)[0]


def _render(count: int, seed: int) -> SampleRows:
    if count < 100:
        raise DataError(f"count is {count}: expected at least 100 rows")
    draws, labels, usage = Draws(seed, _LABELS), [], []
    for name, size in zip(USAGES, apportion(count, tuple(USAGES.values())), strict=True):
        part = np.repeat(np.arange(len(EXPRESSIONS)), apportion(size, FER2013_ROWS))
        labels.append(part[draws.order(size)])
        usage.append(np.full(size, name))
    labels, usage = np.concatenate(labels), np.concatenate(usage)
    drawn, copies, contradictions, flat = _plant(labels, usage, Draws(seed, _PLANTED))
    units, strength = people.activations(drawn, Draws(seed, _FACES))
    images = _paint(units, seed)
    for copy, original in (*copies, *contradictions[:, ::-1]):
        images[copy], strength[copy] = images[original], strength[original]
    for row, gray in zip(flat, (0, 128), strict=True):
        images[row] = gray
    votes = _vote(drawn, strength, flat, Draws(seed, _VOTES))
    return SampleRows(images, labels, usage, votes, drawn, copies, contradictions, flat)


def _plant(labels: np.ndarray, usage: np.ndarray, draws: Draws) -> tuple[np.ndarray, ...]:
    """Choose the wrong labels, the copies, the contradictions and the flat rows: four arrays."""
    count = len(labels)
    order = draws.order(count)
    wrong = order[: count // LABEL_NOISE]
    drawn = labels.copy()
    drawn[wrong] = people.confused(labels[wrong], draws)
    free = [int(row) for row in order[count // LABEL_NOISE :]]
    flat = _first(free, usage[free] == "Training", FLAT)
    contradictions = []
    for _ in range(CONTRADICTIONS):
        (one,) = _first(free, usage[free] == "Training", 1)
        (two,) = _first(free, (usage[free] == "Training") & (labels[free] != labels[one]), 1)
        drawn[two] = labels[one]
        contradictions.append((one, two))
    copies = []
    for _ in range(COPIES):
        (test,) = _first(free, usage[free] == "PrivateTest", 1)
        same = (usage[free] == "Training") & (labels[free] == labels[test])
        copies.append((test, *_first(free, same, 1)))
    return drawn, np.array(sorted(copies)), np.array(sorted(contradictions)), np.array(sorted(flat))


def _first(free: list[int], fits: np.ndarray, count: int) -> list[int]:
    """Take the first `count` fitting rows out of the free ones."""
    taken = [free[place] for place in np.flatnonzero(fits)[:count]]
    for row in taken:
        free.remove(row)
    return taken


def draw_pose(count: int, draws: Draws) -> SimpleNamespace:
    """Draw where each head is and how it is turned: (n, 1, 1) float32, in frame units."""
    half = draws.bell(0.13, count)  # tan(angle / 2): exact sine and cosine without a library
    size = 1 + half * half
    values = {
        "x": draws.bell(0.08, count),
        "y": draws.bell(0.08, count) - 0.06,
        "scale": 0.93 + draws.bell(0.11, count),
        "cosine": (1 - half * half) / size,
        "sine": 2 * half / size,
        "turn": draws.bell(0.18, count),  # shifts the features over the bulge of the head
        "nod": draws.bell(0.10, count),
        "light_x": draws.bell(0.36, count),
        "light_y": draws.bell(0.18, count) + 0.05,
    }
    return SimpleNamespace(
        **{name: np.asarray(value, np.float32)[:, None, None] for name, value in values.items()}
    )


def _paint(units: np.ndarray, seed: int) -> np.ndarray:
    """Paint these faces: (n, 28) float32 in, (n, 48, 48) uint8 out."""
    count = len(units)
    crowd = people.draw_people(count, Draws(seed, _PEOPLE))
    scenes, grain = Draws(seed, _SCENES), Draws(seed, _GRAIN)
    pose = draw_pose(count, scenes)
    behind = scenes.uniform(0.05, 0.95, 3, count, 1, 1)
    slope = scenes.bell(0.4, 2, count, 1, 1)
    contrast = (1.1 + scenes.bell(0.2, count))[:, None, None]
    brightness = (0.03 + scenes.bell(0.07, count))[:, None, None]
    blur, noise = scenes.choose((6, 5, 4, 2, 1), count), scenes.integers(1, 6, count)
    steps = (np.arange(2 * SIZE, dtype=np.float32) - (SIZE - 0.5)) / SIZE
    frame_x, frame_y = steps[None, None, :], steps[None, :, None]
    images = np.empty((count, SIZE, SIZE), np.uint8)
    for start in range(0, count, _BATCH):
        rows = slice(start, start + _BATCH)
        back = behind[0, rows] + slope[0, rows] * frame_x + slope[1, rows] * frame_y
        spot_x, spot_y = 2 * behind[1, rows] - 1, 2 * behind[2, rows] - 1
        round_spot = np.maximum(1 - (frame_x - spot_x) ** 2 - (frame_y - spot_y) ** 2, 0)
        pixels = (back + 0.3 * (0.5 - behind[1, rows]) * round_spot)[None]
        here = people.take(crowd, rows), units[rows], people.take(pose, rows)
        paint_person(pixels, Face(frame_x, frame_y, 1 / SIZE, *here))
        tones = (pixels[0] - 0.5) * contrast[rows] + 0.5 + brightness[rows]
        tones = tones[:, 0::2] + tones[:, 1::2]  # four painted pixels make one
        tones = (tones[..., 0::2] + tones[..., 1::2]) * np.float32(0.25)
        images[rows] = _develop(tones, blur[rows], noise[rows], grain)
    return images


def _develop(tones: np.ndarray, blur: np.ndarray, noise: np.ndarray, grain: Draws) -> np.ndarray:
    """Blur (sixteenths of the light to each neighbor), add grain, round to 8 bits, in integers."""
    levels = np.floor(np.clip(tones, 0, 1) * np.float32(255 * 16) + np.float32(0.5))
    levels = levels.astype(np.int64)
    side = blur[:, None, None]
    for _ in range(2):  # down, then across
        wide = np.pad(levels, ((0, 0), (1, 1), (0, 0)), mode="edge")
        levels = (side * (wide[:, :-2] + wide[:, 2:]) + (16 - 2 * side) * wide[:, 1:-1] + 8) >> 4
        levels = levels.transpose(0, 2, 1)
    words = grain.words(*levels.shape)
    # three bytes of each word make a bell of -382 … 383; a byte's own spread is about 74
    bells = sum(((words >> np.uint64(shift)) & np.uint64(255)) for shift in (8, 24, 40))
    levels = levels + (((bells.astype(np.int64) - 382) * noise[:, None, None]) >> 4)
    return np.clip((levels + 8) >> 4, 0, 255).astype(np.uint8)


def _vote(drawn: np.ndarray, strength: np.ndarray, flat: np.ndarray, draws: Draws) -> np.ndarray:
    """Draw ten votes per row, (n, 10) int64: the fainter a face, the less people agree on it."""
    count = len(drawn)
    agree = draws.units(count, 10) < (0.35 + 0.6 * strength)[:, None]
    votes = np.zeros((count, len(FERPLUS_COLUMNS)), np.int64)
    column = {FOLDER_NAMES.get(name): place for place, name in enumerate(FERPLUS_COLUMNS)}
    for index, name in enumerate(EXPRESSIONS):
        rows = np.flatnonzero(drawn == index)
        others = [column[EXPRESSIONS.index(other)] for other in CONFUSIONS[name]]
        places = np.array([*others, *map(FERPLUS_COLUMNS.index, ("contempt", "unknown"))])
        weights = [*CONFUSIONS[name].values(), 0.5, 0.5]
        picked = np.where(agree[rows], column[index], places[draws.choose(weights, len(rows), 10)])
        np.add.at(votes, (rows[:, None], picked), 1)
    votes[flat] = 0
    votes[flat, FERPLUS_COLUMNS.index("NF")] = 10
    return votes
