"""Faces to examine: this project's data sets in any form, or anyone's folder of pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils import datasets, faces, runtime
from utils.datasets import USAGES, FaceDataset, expw, fer2013, ferplus, sources
from utils.expressions import EXPRESSIONS, FOLDER_NAMES
from utils.runtime import DataError

FORMATS = ("auto", "fer2013", "expw", "pictures")
#: Data sets that have a name here, beside those that have a path.
NAMES = ("sample", "fer2013", "expw")
#: The endings of the formats that `faces.read_photo` opens.
ENDINGS = (*sources.PICTURES, ".gif", ".webp", ".tif", ".tiff", ".ppm")
#: Pictures of a folder are compared at this width and height.
SIZE = 48
#: The class of a picture that lies in no class folder.
NO_CLASS = "(no class)"

_DEEPEST = 32


@dataclass(frozen=True, eq=False)
class Faces:
    """What was read, and what could not be.

    Attributes
    ----------
    dataset : FaceDataset
        The pictures. Of a folder of pictures, all in "training" where it has no splits.
    names : tuple of n str, or None
        The pictures' files, below the folder; None where rows have no files.
    first : (n,) int64 array, or None
        The position of the first picture that was the same before it was shrunk; None where
        nothing was.
    unreadable : tuple of (str, str)
        Files and folders that could not be read, with the reason.
    """

    dataset: FaceDataset
    names: tuple[str, ...] | None = None
    first: np.ndarray | None = None
    unreadable: tuple[tuple[str, str], ...] = ()


def load(path: str | os.PathLike, *, format: str = "auto", size: int | None = None) -> Faces:
    """Read whatever lies at a path.

    Parameters
    ----------
    path : path
        A csv like FER2013's, or an archive of one; a folder with one of these, with FER+'s
        ``fer2013new.csv`` beside it or not; a folder with ExpW's ``label.lst``; or a folder of
        pictures (`read_pictures`). Where there is no such path: one of `NAMES`, in ``data/raw``.
    format : {"auto", "fer2013", "expw", "pictures"}
        What it is; "auto" looks.
    size : int, optional
        Pictures of a folder, and ExpW's faces, are compared at this width and height, by default
        `SIZE`, and the 64 pixels that ExpW's faces are trained at.

    Returns
    -------
    Faces

    Raises
    ------
    DataError
        When there is nothing, or nothing of that format.
    ValueError
        For an unknown format, or a size under 8.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}: expected one of {', '.join(FORMATS)}")
    if size is not None and size < 8:
        raise ValueError(f"size is {size}: expected at least 8 pixels")
    path = Path(path)
    if not path.exists():
        if str(path) == "sample":
            return Faces(datasets.load("sample"))
        if str(path) not in NAMES:
            raise DataError(
                f"{path}: no such file or folder, expected a csv or a folder of pictures "
                f"(or {', '.join(NAMES)})"
            )
        format, path = str(path), runtime.RAW / str(path)
    # What others keep elsewhere is theirs: no copy of it goes into data/cache.
    cache = runtime.RAW in path.absolute().parents
    found = _format(path) if format == "auto" else format
    if found == "pictures":
        return read_pictures(path, size=size or SIZE)
    if found == "expw":
        chosen = {"size": size} if size else {}
        return Faces(datasets.load("expw", path, cache=cache, **chosen))
    return Faces(_with_votes(datasets.load("fer2013", path, cache=cache), path))


def _format(path: Path) -> str:
    """Tell the format by what a path is or holds."""
    if path.is_file():
        return "expw" if path.name == expw.LIST_NAME else "fer2013"
    if sources.find_files(path, (*fer2013.CSV_NAMES, *fer2013.ARCHIVE_NAMES)):
        return "fer2013"
    return "expw" if sources.find_files(path, (expw.LIST_NAME,)) else "pictures"


def _with_votes(faces: FaceDataset, path: Path) -> FaceDataset:
    """Give FER2013's rows the votes of the ``fer2013new.csv`` beside their csv, if there is one."""
    folder = path if path.is_dir() else path.parent
    found = sources.find_files(folder, (ferplus.VOTES_NAME,)) if path.is_dir() else []
    beside = folder / ferplus.VOTES_NAME
    if not found and beside.is_file() and path.name != ferplus.VOTES_NAME:
        found = [beside]
    if not found or fer2013.find_csv(path) is None:
        return faces
    split, votes = ferplus.read_votes(found[0])
    if len(votes) != len(faces) or (split != faces.split).any():
        raise DataError(
            f"{sources.shown(found[0])}: found {len(votes):,} rows, expected the {len(faces):,} "
            f"rows of {faces.source}, with the same Usage each"
        )
    return dataclasses.replace(faces, votes=votes)


def read_pictures(root: str | os.PathLike, *, size: int = SIZE) -> Faces:
    """Read a folder of pictures in class folders, with or without train and test folders.

    ::

        root/happy/a.jpg                     classes alone: one set
        root/train/happy/a.jpg               splits (train, val, test, …), then classes
        root/test/happy/PublicTest_3.png     FER2013's prefixes decide before the folder does

    Any class names will do, and any sizes: a picture becomes gray and `size` × `size` for the
    comparison. Files that cannot be read are listed, and stop nothing.

    Parameters
    ----------
    root : path
    size : int
        The width and height to compare at.

    Returns
    -------
    Faces
        In sorted order of their files. `Faces.first` compares the pictures as they were, in
        color and full size.

    Raises
    ------
    DataError
        When there is no picture, none that can be read, or none in one of the split folders.
    """
    root = Path(root)
    title = sources.shown(root)
    if not root.is_dir():
        raise DataError(f"{title}: found no folder, expected a folder of pictures")
    base, splits = _layout(root)
    found, unreadable, other, outside = _list(root, base, splits)
    if not found:
        raise DataError(
            f"{title}: found no pictures, expected {', '.join(ENDINGS)} in folders of classes"
        )
    images = np.empty((len(found), size, size, 1), dtype=np.uint8)
    seen: dict[bytes, int] = {}
    first, kept = [], []
    for split, label, file in found:
        try:
            photo = faces.read_photo(file)
        except (DataError, OSError) as error:
            unreadable.append((_below(file, root), _reason(error, file)))
            continue
        digest = hashlib.blake2b(repr(photo.shape).encode(), digest_size=16)
        digest.update(photo)
        place = len(kept)
        images[place] = faces.resize(faces.to_gray(photo)[None], size)[0, ..., None]
        first.append(seen.setdefault(digest.digest(), place))
        kept.append((split, label, _below(file, root)))
    _require_readable(title, found, kept, unreadable)
    labels, expressions = _classes([label for _, label, _ in kept])
    skipped = {
        "files that are no pictures": other,
        "pictures outside the split folders": outside,
        "unreadable": len(unreadable),
    }
    dataset = FaceDataset(
        images=images[: len(kept)],
        labels=labels,
        split=np.array([split for split, _, _ in kept]),
        rows=np.arange(len(kept), dtype=np.int64),
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", root.absolute().name).strip("-.") or "pictures",
        source=title,
        expressions=expressions,
        skipped=tuple((reason, count) for reason, count in skipped.items() if count),
    )
    names = tuple(name for _, _, name in kept)
    return Faces(dataset, names, np.array(first, dtype=np.int64), tuple(unreadable))


def _layout(root: Path) -> tuple[Path, dict[str, str]]:
    """Find the folder whose folders are splits (name → split), or are classes (no splits)."""
    for parent, folders, _ in sources.walk(root, depth=3):
        splits = {
            name: fer2013.SPLIT_FOLDERS[name.lower()]
            for name in folders
            if name.lower() in fer2013.SPLIT_FOLDERS
        }
        if "training" in splits.values() and len(set(splits.values())) > 1:
            return parent, splits
    base = root
    while True:  # an archive often unpacks to one folder around the folders of classes
        _, folders, files = next(sources.walk(base))
        inner = base / folders[0] if len(folders) == 1 else None
        if inner is None or any(_is_picture(name) for name in files):
            return base, {}
        if not next(sources.walk(inner), (inner, [], []))[1]:
            return base, {}
        base = inner


def _list(
    root: Path, base: Path, splits: dict[str, str]
) -> tuple[list[tuple[str, str, Path]], list[tuple[str, str]], int, int]:
    """List (split, class, file); then what cannot be read; and count other files, and outsiders."""
    found, unreadable, other, outside = [], [], 0, 0
    filled = set()
    for parent, folders, files in sources.walk(root, depth=_DEEPEST):
        for name in folders:
            if not os.access(parent / name, os.R_OK | os.X_OK):
                unreadable.append((_below(parent / name, root), "a folder that cannot be opened"))
        within = parent.relative_to(base).parts if parent.is_relative_to(base) else None
        split = "training"
        if splits and within is not None:
            split = splits.get(within[0]) if within else None
            within = within[1:]
        for name in files:
            if not _is_picture(name):
                other += 1
            elif within is None or split is None:
                outside += 1
            else:
                usage = USAGES.get(name.partition("_")[0]) if splits and "_" in name else None
                label = within[0] if within else NO_CLASS
                found.append((usage or split, label, parent / name))
                filled.add(parent.relative_to(base).parts[0] if splits else "")
    for name in splits:
        if found and name not in filled:
            raise DataError(
                f"{sources.shown(base / name)}: found no pictures for {splits[name]}, "
                f"expected {', '.join(ENDINGS)} in folders of classes"
            )
    return found, unreadable, other, outside


def _is_picture(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _require_readable(title: str, found: list, kept: list, unreadable: list) -> None:
    """Refuse a set, or a split, of which nothing is left."""
    for split in dict.fromkeys(split for split, _, _ in found):
        if split not in {split for split, _, _ in kept}:
            name, reason = unreadable[0]
            raise DataError(
                f"{title}: found no readable picture for {split} among "
                f"{sum(one == split for one, _, _ in found):,}, expected at least one "
                f"(of all, {len(unreadable):,} cannot be read; the first: {name}: {reason})"
            )


def _classes(names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Give classes numbers: ours in our order where all are ours, else sorted as they are."""
    if all(name.lower() in FOLDER_NAMES for name in names):
        return np.array([FOLDER_NAMES[name.lower()] for name in names], np.int64), EXPRESSIONS
    known = tuple(sorted(set(names)))
    places = {name: place for place, name in enumerate(known)}
    return np.array([places[name] for name in names], np.int64), known


def _below(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _reason(error: Exception, file: Path) -> str:
    """Shorten a message to what is wrong: the file is named beside it, and without its folders."""
    text = " ".join(str(error).split())
    return text.removeprefix(f"{file}: ").replace(str(file), file.name)
