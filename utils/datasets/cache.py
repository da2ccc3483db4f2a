"""Arrays that took long to read, kept in ``data/cache`` until their source changes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from utils import runtime
from utils.datasets.dataset import FaceDataset
from utils.runtime import DataError

#: Raised by one whenever a parser starts to give other arrays for the same file.
VERSION = 1

_ARRAYS = ("images", "labels", "split", "rows", "photos", "votes")


def stamp(paths: Iterable[Path]) -> str:
    """Hash what changes when one of the files is replaced, edited, added or removed.

    Parameters
    ----------
    paths : iterable of Path
        Files; their resolved path, size and times of change enter, their content does not.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        entry = (str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(repr(entry).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def remember(
    key: str, signature: Callable[[], str], build: Callable[[], FaceDataset], *, cache: bool = True
) -> FaceDataset:
    """Give `build`'s data set, from the cache if the same source was built before.

    Parameters
    ----------
    key : str
        What is being loaded, with every option that changes the result.
    signature : callable
        Gives a string that changes when the source does.
    build : callable
        Reads the source; called when the cache has nothing, or something old or damaged.
    cache : bool
        Whether to read and write the cache at all.

    Returns
    -------
    FaceDataset
    """
    if not cache:
        return build()
    name = hashlib.sha256(f"{VERSION} {key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = runtime.CACHE / f"{key.split()[0]}-{name}.npz"
    before = signature()
    dataset = _read(path, before)
    if dataset is None:
        dataset = build()
        # A source that changed while it was read is not cached under either state.
        if signature() == before:
            _write(path, before, dataset)
    return dataset


def _read(path: Path, signature: str) -> FaceDataset | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about.pop("signature") != signature:
                return None
            about["expressions"] = tuple(about["expressions"])
            about["skipped"] = tuple((reason, count) for reason, count in about["skipped"])
            return FaceDataset(**{name: file[name] for name in _ARRAYS if name in file}, **about)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, DataError):
        return None  # nothing there, or damaged: the source is read again


def _write(path: Path, signature: str, dataset: FaceDataset) -> None:
    about = {
        "signature": signature,
        "name": dataset.name,
        "source": dataset.source,
        "expressions": dataset.expressions,
        "skipped": dataset.skipped,
    }
    arrays = {
        name: getattr(dataset, name) for name in _ARRAYS if getattr(dataset, name) is not None
    }
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), **arrays)
        os.replace(temporary, path)
    except OSError:  # a full or read-only disk costs the next load its speed, nothing else
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
