"""More faces than memory: their pixels lie in a file, and are read when they are asked for.

Pictures are decoded once. A training that decodes them anew in each epoch waits for that: of
20,000 rendered 48×48 files `tf.data` gave 4,000 to 13,000 faces a second in whole permutations and
`grain` 1,000 to 4,000, this file a million, the memory as many.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

#: More pixels (bytes) than this are kept on disk. A training holds its faces up to three times,
#: and Keras with TensorFlow takes 1 GB: what lies in memory must leave it all below 2 GB.
LARGEST_IN_MEMORY = 1 << 28
#: Bytes of pixels that are looked at in one piece.
PIECE = 1 << 26


class Mapped:
    """Rows of pictures in a file: as much of an array as `FaceDataset` and the training need.

    Indexed, it reads those faces and gives an ordinary array; `take` and `resized` read nothing.
    ``numpy.asarray`` reads all of it into memory.

    Parameters
    ----------
    file : path or open file
        Pixels one after another, without a header.
    shape : (int, int, int, int)
        Faces, height, width, channels.

    Raises
    ------
    ValueError
        When the file has another size than that.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, file: Path | BinaryIO, shape: Sequence[int]) -> None:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        else:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._pixels = np.frombuffer(self._map, np.uint8).reshape(shape)
        self._rows, self._sides = np.arange(len(self._pixels)), self._pixels.shape[1:3]

    def _like(self, rows: np.ndarray, sides: tuple[int, int]) -> Mapped:
        other = object.__new__(Mapped)
        other.__dict__.update(self.__dict__, _rows=rows, _sides=sides)
        return other

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Faces, height, width, channels."""
        return (len(self._rows), *self._sides, self._pixels.shape[3])

    @property
    def nbytes(self) -> int:
        """What all of them would take in memory."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index) -> np.ndarray:
        read = self._pixels[self._rows[index]]
        if hasattr(mmap, "MADV_DONTNEED"):
            # The pages stay in the system's cache, and count as this process's no longer.
            self._map.madvise(mmap.MADV_DONTNEED)
        if read.shape[-3:-1] == self._sides:
            return read
        from utils import faces  # below this module in the order of the data

        one = read.ndim == 3
        resized = faces.resize(read[None] if one else read, self._sides)
        return resized[0] if one else resized

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def take(self, indices: np.ndarray) -> Mapped:
        """Choose faces, (m,) positions or (n,) bool."""
        return self._like(self._rows[indices], self._sides)

    def resized(self, size: int | tuple[int, int]) -> Mapped:
        """Give the faces another size, each when it is read, as `faces.resize` does."""
        sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        return self._like(self._rows, sides)


def pieces(
    images: np.ndarray | Mapped, *, face: int = 0, multiple: int = 1
) -> Iterator[np.ndarray]:
    """Give faces in pieces of about `PIECE` bytes, in their order; of none, one empty piece.

    Parameters
    ----------
    images : (n, height, width, channels) uint8 array or Mapped
    face : int
        Bytes that a face takes, where it is more than its pixels here.
    multiple : int
        All pieces but the last hold a multiple of so many faces.
    """
    face = max(1, face, math.prod(images.shape[1:]))
    count = max(1, PIECE // face // multiple) * multiple
    for start in range(0, len(images) or 1, count):
        yield images[start : start + count]
