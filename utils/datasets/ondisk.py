"""More faces than fit in memory: their pixels are in a file, and are read on demand.

Pictures are decoded once: decoding them in each epoch would hold up training. From 20,000
rendered 48×48 files, fully shuffled, one processor core read 8,000 faces per second by `tf.data`,
3,000 by `grain`, 230,000 from this file, and 1,600,000 from memory.
"""

from __future__ import annotations

import io
import math
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils import faces

#: More pixels (bytes) than this are kept on disk. Training holds its faces up to three times, and
#: Keras with TensorFlow takes 1 GB: pixels in memory must keep the total below 2 GB.
LARGEST_IN_MEMORY = 1 << 28
#: Bytes of pixels that are processed in one piece.
PIECE = 1 << 26


class _File(io.FileIO):
    def __del__(self) -> None:
        self.close()  # without a warning: it stays open as long as anyone may read from it


class OnDisk:
    """Pictures in a file, with as much of an array's interface as `FaceDataset` and training need.

    Indexing reads those faces into an ordinary array; `take` and `resized` read nothing.
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
        When the file's size does not match the shape.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, file: Path | BinaryIO, shape: Sequence[int]) -> None:
        self._file = _File(file if isinstance(file, Path) else os.dup(file.fileno()))
        self._face, self._lock = tuple(shape[1:]), threading.Lock()
        self._rows, self._sides = np.arange(shape[0]), self._face[:2]
        if os.fstat(self._file.fileno()).st_size != self.nbytes:
            raise ValueError(f"expected {self.nbytes:,} bytes of pixels")

    def _like(self, rows: np.ndarray, sides: tuple[int, int]) -> OnDisk:
        other = object.__new__(OnDisk)
        other.__dict__.update(self.__dict__, _rows=rows, _sides=sides)
        return other

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Faces, height, width, channels."""
        return (len(self._rows), *self._sides, self._face[2])

    @property
    def nbytes(self) -> int:
        """Bytes that all of them would take in memory."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index) -> np.ndarray:
        chosen = self._rows[index]
        rows = np.atleast_1d(chosen)
        read = np.empty((len(rows), *self._face), np.uint8)
        # Not by a memory map: what was read would count as the process's memory, and giving that
        # back takes ten times as long as this.
        with self._lock:
            for face, row in zip(read, rows.tolist(), strict=True):
                self._file.seek(row * face.nbytes)
                if self._file.readinto(face) != face.nbytes:
                    raise OSError(f"{self._file.name}: the pixels of face {row} are gone")
        if self._face[:2] != self._sides:
            read = faces.resize(read, self._sides)
        return read[0] if chosen.ndim == 0 else read

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def take(self, indices: np.ndarray) -> OnDisk:
        """Choose faces, (m,) positions or (n,) bool."""
        return self._like(self._rows[indices], self._sides)

    def resized(self, size: int) -> OnDisk:
        """Resize the faces, each when it is read, as `faces.resize` does."""
        return self._like(self._rows, (size, size))


def pieces(
    images: np.ndarray | OnDisk, *, face: int = 0, multiple: int = 1
) -> Iterator[np.ndarray]:
    """Yield faces in order, in pieces of about `PIECE` bytes; without faces, one empty piece.

    Parameters
    ----------
    images : (n, height, width, channels) uint8 array or OnDisk
    face : int
        Bytes that a face takes, if more than its pixels here.
    multiple : int
        All pieces but the last hold a multiple of this many faces.
    """
    face = max(1, face, math.prod(images.shape[1:]))
    count = max(1, PIECE // face // multiple) * multiple
    for start in range(0, len(images) or 1, count):
        yield images[start : start + count]
