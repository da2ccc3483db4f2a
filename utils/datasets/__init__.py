"""FaceDataset, and the loaders that return one: ``datasets.load("fer2013")``."""

# ruff: noqa: F401, I001

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from utils.datasets import expw, fer2013, ferplus, folder, rendered, splits
from utils.datasets.dataset import SPLITS, USAGES, FaceDataset, contradictions
from utils.datasets.dataset import copies_in_training, first_copies, summary
from utils.datasets.ferplus import beside_fer2013, label_agreement, vote_shares
from utils.runtime import DataError


class Loader(NamedTuple):
    """A data set: the `title` of figures, one line of `help`, and what loads it.

    `load` takes a path or None and, by keyword, at least ``cache`` and ``seed``.
    """

    title: str
    help: str
    load: Callable[..., FaceDataset]


#: The one table of data sets, by name.
LOADERS = {
    "sample": Loader("rendered sample faces", "rendered faces, drawn by a program", rendered.load),
    "fer2013": Loader(
        "FER2013", "35,887 faces of 48×48: Kaggle's csv, or its folders", fer2013.load
    ),
    "ferplus": Loader(
        "FER+", "FER2013's faces, labeled by ten voters each: 8 classes", ferplus.load
    ),
    "expw": Loader("ExpW", "faces cropped from photos by the boxes in label.lst", expw.load),
    "folder": Loader(
        "own faces", "your own faces: class folders, RAF-DB's list or parquet", folder.load
    ),
}


def load(
    name: str = "sample",
    path: str | os.PathLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    cache: bool = True,
    seed: int = 0,
    **options,
) -> FaceDataset:
    """Load a data set by name, a key of `LOADERS`.

    Parameters
    ----------
    name : str
    path : path, optional
        A file or folder; by default the one under ``data/raw``. Nothing else is tried.
    classes : sequence of str, optional
        "folder" only: names of the numbered classes, from the lowest number up.
    cache : bool
        Whether to keep the arrays in ``data/cache`` and reuse them from there.
    seed : int
        Seeds the splits and pictures that are drawn at random.
    **options
        Other arguments of that loader, such as ``size``.

    Raises
    ------
    DataError
        For an unknown name; for classes when the data set names its own; when there is nothing
        at that path, or something else.
    """
    if name not in LOADERS:
        raise DataError(f"found data set {name!r}, expected one of {', '.join(LOADERS)}")
    loader = LOADERS[name]
    if classes is not None:
        if "classes" not in inspect.signature(loader.load).parameters:
            raise DataError(
                f"{loader.title}: found classes {', '.join(classes)}, expected none: it names its "
                "own (classes are for the numbered folders of --data folder)"
            )
        options["classes"] = tuple(classes)
    return loader.load(path, cache=cache, seed=seed, **options)
