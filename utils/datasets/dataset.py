"""`FaceDataset`: pictures, labels and splits, whatever file they came from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.datasets.ondisk import OnDisk, pieces
from utils.datasets.sources import refuse
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError

SPLITS: tuple[str, ...] = ("training", "validation", "test")

#: FER2013's and FER+'s ``Usage`` column, as splits. PublicTest chooses, PrivateTest is read once.
USAGES = {"Training": "training", "PublicTest": "validation", "PrivateTest": "test"}

#: The fields with one entry per face.
ROW_FIELDS = ("images", "labels", "split", "rows", "photos", "files", "votes")


@dataclass(frozen=True, eq=False, repr=False)
class FaceDataset:
    """Labeled faces, each in one split.

    Attributes
    ----------
    images : (n, height, width, 1 or 3) uint8 array, or OnDisk
        Pixels as a camera gives them, 0 … 255; scaling belongs to the model. Your own faces stay
        in a file if they take more bytes than `ondisk.LARGEST_IN_MEMORY`.
    labels : (n,) int64 array
        Index into `expressions`.
    split : (n,) str array
        One of `SPLITS` for each face.
    rows : (n,) int64 array
        The row in the source file, counted from 0 (a header is not a row).
    name : str
        A key of `datasets.LOADERS`.
    source : str
        Where the faces were loaded from; never an absolute path.
    expressions : tuple of str
        Class names, in label order.
    photos : (n,) str array, optional
        The photo that each face was cropped from, if faces come from photos.
    files : (n,) str array, optional
        The file of each face, relative to its folder, if each has its own.
    votes : (n, 10) int64 array, optional
        FER+'s votes, in the order of `utils.expressions.FERPLUS_COLUMNS`.
    skipped : tuple of (str, int)
        What the loader left out or changed, and how often: (reason, count).
    note : str
        What else the loader inferred, in words for `describe`.

    Raises
    ------
    DataError
        When the arrays do not fit together, or a label or split is unknown.
    """

    images: np.ndarray | OnDisk
    labels: np.ndarray
    split: np.ndarray
    rows: np.ndarray
    name: str
    source: str = ""
    expressions: tuple[str, ...] = EXPRESSIONS
    photos: np.ndarray | None = None
    files: np.ndarray | None = None
    votes: np.ndarray | None = None
    skipped: tuple[tuple[str, int], ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        shape, labels = self.images.shape, self.labels
        if self.images.dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
            found = f"images of shape {shape} and type {self.images.dtype}"
            refuse(self.name, found, "(n, height, width, 1 or 3) uint8")
        for field in ROW_FIELDS:
            array = getattr(self, field)
            if array is not None and len(array) != shape[0]:
                found = f"{len(array)} {field} for {shape[0]} images"
                refuse(self.name, found, "the same number of each")
        if labels.dtype != np.int64:
            refuse(self.name, f"labels of type {labels.dtype}", "int64")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.expressions):
            found = f"labels {labels.min()} … {labels.max()}"
            refuse(self.name, found, f"0 … {len(self.expressions) - 1}")
        for split in set(np.unique(self.split).tolist()) - set(SPLITS):
            refuse(self.name, f"split {split!r}", f"one of {', '.join(SPLITS)}")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"<FaceDataset {self.describe()}>"

    def take(self, indices: np.ndarray | Sequence[int]) -> FaceDataset:
        """Take the faces at `indices`, (m,) positions or (n,) bool, in that order, as a copy."""
        indices = np.asarray(indices)
        if indices.size == 0 and indices.dtype != bool:
            indices = indices.astype(np.int64)
        fields = {name: getattr(self, name) for name in ROW_FIELDS}
        taken = {
            name: array.take(indices) if isinstance(array, OnDisk) else array[indices]
            for name, array in fields.items()
            if array is not None
        }
        return dataclasses.replace(self, **taken)

    def part(self, split: str) -> FaceDataset:
        """Take the faces of one split; ValueError for a name that is not in `SPLITS`."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
        return self.take(self.split == split)

    def without_test(self) -> FaceDataset:
        """Leave out the test rows, for every choice that is made before they may be read.

        Raises
        ------
        DataError
            When there are no training rows, or no validation rows.
        """
        for split in ("training", "validation"):
            if not (self.split == split).any():
                refuse(self.name, f"no {split} rows", "some")
        return self.take(self.split != "test")

    def with_images(self, images: np.ndarray) -> FaceDataset:
        """Replace the faces' pictures, say with resized ones: (n, h, w, 1 or 3) uint8."""
        return dataclasses.replace(self, images=images)

    def without(self, names: Sequence[str]) -> FaceDataset:
        """Leave out some expressions: their faces and their names.

        `skipped` counts the faces removed; labels index the expressions that are left. DataError
        for a name that is not there, or when fewer than two are left.
        """
        for name in names:
            if name not in self.expressions:
                expected = f"some of {', '.join(self.expressions)}"
                refuse(self.name, f"no {name} to leave out", expected)
        if len(set(self.expressions) - set(names)) < 2:
            raise DataError(f"{self.name}: expected at least two expressions to be left")
        kept = [place for place, name in enumerate(self.expressions) if name not in names]
        places = np.full(len(self.expressions), -1, dtype=np.int64)
        places[kept] = np.arange(len(kept))
        gone = self.counts()["all"].drop([self.expressions[place] for place in kept])
        rest = self.take(places[self.labels] >= 0)
        return dataclasses.replace(
            rest,
            labels=places[rest.labels],
            expressions=tuple(self.expressions[place] for place in kept),
            skipped=self.skipped + tuple((name, int(gone[name])) for name in gone.index),
        )

    def counts(self) -> pd.DataFrame:
        """Count the faces: one row per expression, one column per split, a last column "all"."""
        n = len(self.expressions)
        table = pd.DataFrame(
            {s: np.bincount(self.labels[self.split == s], minlength=n) for s in SPLITS},
            index=pd.Index(self.expressions, name="expression"),
        )
        return table.assign(all=table.sum(axis=1))

    def fingerprint(self) -> str:
        """Hash pixels, labels and splits: SHA-256, 64 hexadecimal digits, the same everywhere."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        for piece in pieces(self.images):
            digest.update(np.ascontiguousarray(piece))
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8"))
        digest.update("\n".join(self.split.tolist()).encode())
        return digest.hexdigest()

    def describe(self) -> str:
        """Say in one line what was loaded, from where, how many per split, what was skipped."""
        height, width, channels = self.images.shape[1:]
        rows = ", ".join(f"{np.count_nonzero(self.split == split):,} {split}" for split in SPLITS)
        origin = f" from {self.source}" if self.source else ""
        color = "gray" if channels == 1 else "color"
        note = f"; {self.note}" if self.note else ""
        line = f"{self.name}{origin}: {len(self):,} {color} faces of {height}×{width}, {rows}{note}"
        if self.skipped:
            line += " (" + ", ".join(f"{reason}: {count:,}" for reason, count in self.skipped) + ")"
        return line


def first_copies(dataset: FaceDataset) -> np.ndarray:
    """Find, for each face, the first face of the data set with exactly the same pixels.

    Returns
    -------
    (n,) int64 array
        Positions in `dataset`; ``first_copies(d)[i] == i`` where a picture appears first.
    """
    digests = np.array(
        [
            hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            for piece in pieces(dataset.images)
            for image in piece
        ],
        dtype="S16",
    )
    _, first, picture = np.unique(digests, return_index=True, return_inverse=True)
    return first[picture].astype(np.int64)


def copies_in_training(dataset: FaceDataset) -> np.ndarray:
    """Find the validation and test faces that are exact copies of a training picture.

    Returns
    -------
    (n,) bool array
        False for every training row.
    """
    first = first_copies(dataset)
    training = dataset.split == "training"
    trained = np.zeros(len(dataset), dtype=bool)
    trained[first[training]] = True
    return trained[first] & ~training


def contradictions(dataset: FaceDataset) -> np.ndarray:
    """Find groups of identical pictures with different labels: (m,) first positions."""
    first = first_copies(dataset)
    return np.unique(first[dataset.labels != dataset.labels[first]])


def summary(dataset: FaceDataset) -> dict:
    """Count what a data set contains, and what is wrong with it.

    Returns
    -------
    dict
        Numbers only, ready for JSON: ``rows``, ``shape``, ``counts`` (split → expression → n),
        ``repeats`` (exact repeats of another picture), ``copies`` (split → rows whose picture is
        also in training), ``contradictions`` (groups of identical pictures with different labels),
        ``flat`` (pictures of one color), ``fingerprint``.
    """
    ranges = [np.ptp(piece, axis=(1, 2, 3)) for piece in pieces(dataset.images)]
    copies = copies_in_training(dataset)
    counts = dataset.counts()
    return {
        "name": dataset.name,
        "rows": len(dataset),
        "shape": list(dataset.images.shape[1:]),
        "counts": {s: {name: int(n) for name, n in counts[s].items()} for s in SPLITS},
        "skipped": {why.partition(", first ")[0]: int(count) for why, count in dataset.skipped},
        "repeats": int(np.count_nonzero(first_copies(dataset) != np.arange(len(dataset)))),
        "copies": {s: int(np.count_nonzero(copies & (dataset.split == s))) for s in SPLITS[1:]},
        "contradictions": len(contradictions(dataset)),
        "flat": int(np.count_nonzero(np.concatenate(ranges) == 0)),
        "fingerprint": dataset.fingerprint(),
    }
