"""Faces in any number, and a csv of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from utils import datasets, faces
from utils.datasets import FaceDataset

#: FER2013's names of the splits.
USAGES = {split: usage for usage, split in datasets.USAGES.items()}
_ROWS_AT_ONCE = 2048


def many_faces(
    data: str, rows: int, *, seed: int = 0, split: str = "", size: int = 0
) -> FaceDataset:
    """Repeat a data set's rows until there are so many.

    Parameters
    ----------
    data : {"fer2013", "sample"}
        Which.
    rows : int
        How many are wanted, at least one.
    seed : int
        Draws the noise.
    split : {"", "training", "validation", "test"}
        Of which rows; "" takes all.
    size : int
        Side of the faces in pixels; 0 leaves them as they are.

    Returns
    -------
    FaceDataset
        The rows in their order, then again from the front; fewer than there are, evenly from all.
        To every repetition's pixels a whole
        number of -2 … 2 is added, so that no two pictures are the same that were not before:
        SMOTE would find a face to be its own nearest neighbour.
    """
    dataset = datasets.load(data)
    if split:
        dataset = dataset.part(split)
    order = np.resize(np.arange(len(dataset)), rows)
    if rows < len(dataset):  # from all of them, since a file may be sorted by its splits
        order = np.linspace(0, len(dataset) - 1, rows).astype(np.int64)
    source = faces.resize(dataset.images, size) if size else dataset.images
    images = np.empty((rows, *source.shape[1:]), np.uint8)
    rng = np.random.default_rng(seed)
    # Piece by piece: the peak of memory is to be the measured task's, not this one's.
    for start in range(0, rows, _ROWS_AT_ONCE):
        places = np.arange(start, min(start + _ROWS_AT_ONCE, rows))
        piece = source[order[places]].astype(np.int16)
        noise = rng.integers(-2, 3, piece.shape, dtype=np.int16)
        noise[places < len(dataset)] = 0
        images[places] = np.clip(piece + noise, 0, 255)
    return FaceDataset(
        images=images,
        labels=dataset.labels[order],
        split=dataset.split[order],
        rows=np.arange(rows, dtype=np.int64),
        name=dataset.name,
        source=dataset.source,
        expressions=dataset.expressions,
    )


def write_csv(path: Path, data: str, rows: int) -> Path:
    """Write a data set's rows as ``fer2013.csv`` has them, again from the front where they end.

    Parameters
    ----------
    path : path
        The file; its folder is there.
    data : {"fer2013", "sample"}
        Which.
    rows : int
        How many.

    Returns
    -------
    Path
        The file.
    """
    dataset = datasets.load(data)
    words = np.array([str(value) for value in range(256)])
    lines = []
    for row in range(min(rows, len(dataset))):
        pixels = " ".join(words[dataset.images[row].ravel()])
        lines.append(f"{dataset.labels[row]},{pixels},{USAGES[str(dataset.split[row])]}\n")
    with path.open("w", encoding="ascii", newline="") as file:
        file.write("emotion,pixels,Usage\n")
        for start in range(0, rows, len(lines)):
            file.writelines(lines[: rows - start])
    return path
