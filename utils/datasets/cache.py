"""Arrays that are slow to read, kept in ``data/cache`` until their source changes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from utils import runtime
from utils.datasets import ondisk, sources
from utils.datasets.dataset import ROW_FIELDS, FaceDataset

#: Incremented whenever a parser starts to return different arrays for the same file.
VERSION = 2


def remember(
    key: str,
    paths: Iterable[Path],
    build: Callable[..., FaceDataset],
    *,
    cache: bool = True,
    pixels: int = 0,
    listed: str = "",
) -> FaceDataset:
    """Return `build`'s data set, from the cache if the same source was built before.

    `key` says what is loaded, with every option that changes the result. The paths, sizes and
    timestamps of `paths` tell whether the source has changed, without reading its content; so does
    `listed`, what else was found in it: labels, and files that are left out. `build` is called when
    the cache has nothing, or something stale or damaged.

    If `pixels`, in bytes, exceeds `ondisk.LARGEST_IN_MEMORY`, `build` is given a file to write
    them to: next to the other arrays, or (without a cache) a temporary one.

    Raises
    ------
    DataError
        When the disk has no room for such a file.
    """
    large = pixels > ondisk.LARGEST_IN_MEMORY
    if not cache:
        return _build_large(None, build, pixels) if large else build()
    paths = sorted(paths)
    name = hashlib.sha256(f"{VERSION} {key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = runtime.CACHE / f"{key.split()[0]}-{name}.npz"
    before = _stamp(paths) + listed
    dataset = _read(path, before)
    if dataset is None:
        dataset = _build_large(path, build, pixels) if large else build()
        # A source that changed while being read is not cached in either state.
        if _stamp(paths) + listed == before:
            _write(path, before, dataset)
    return dataset


def _build_large(path: Path | None, build: Callable[..., FaceDataset], pixels: int) -> FaceDataset:
    """Let `build` write to a file, complete once the arrays next to it are written too."""
    folder = Path(tempfile.gettempdir()) if path is None else path.parent
    logging.getLogger(__name__).info(
        "reading the pictures once, into %s (%s MB)", sources.shown(folder), f"{pixels >> 20:,}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < pixels:
            raise OSError("not enough free space")
        if path is None:
            with tempfile.TemporaryFile(dir=folder) as file:
                return build(file)
        # Removed, not overwritten: a training run may be reading what another state left.
        path.with_suffix(".pixels").unlink(missing_ok=True)
        with open(path.with_suffix(".pixels"), "x+b") as file:
            return build(file)
    except OSError as error:
        if path is not None:
            path.with_suffix(".pixels").unlink(missing_ok=True)
        found = f"no room for the pixels ({error.strerror or error})"
        sources.refuse(sources.shown(folder), found, f"{pixels:,} bytes of disk")


def _stamp(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat() if path.exists() else path.lstat()  # a link may be broken
        entry = (str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(repr(entry).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _read(path: Path, stamp: str) -> FaceDataset | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about.pop("stamp") != stamp:
                return None
            about["expressions"] = tuple(about["expressions"])
            about["skipped"] = tuple((reason, count) for reason, count in about["skipped"])
            arrays = {name: file[name] for name in ROW_FIELDS if name in file}
            if shape := about.pop("on_disk", None):
                arrays["images"] = ondisk.OnDisk(path.with_suffix(".pixels"), shape)
            return FaceDataset(**arrays, **about)
    except Exception:  # missing, or damaged in one of a dozen ways: the source is read again
        return None


def _write(path: Path, stamp: str, dataset: FaceDataset) -> None:
    kept = ("name", "source", "expressions", "skipped", "note")
    about = {"stamp": stamp, **{field: getattr(dataset, field) for field in kept}}
    arrays = {name: getattr(dataset, name) for name in ROW_FIELDS}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    if isinstance(dataset.images, ondisk.OnDisk):
        about["on_disk"] = arrays.pop("images").shape
    content = io.BytesIO()
    np.savez(content, about=np.array(json.dumps(about)), **arrays)
    # A full or read-only disk only makes the next load slow.
    with contextlib.suppress(OSError):
        runtime.write_atomically(path, content.getvalue())
