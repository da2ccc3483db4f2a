"""FaceDataset, and the loaders that end in one: ``datasets.load("fer2013")``."""

from __future__ import annotations

import os

from utils.datasets import expw, fer2013, ferplus, rendered
from utils.datasets.dataset import (
    SPLITS,
    USAGES,
    FaceDataset,
    contradictions,
    copies_in_training,
    first_copies,
    summary,
)
from utils.datasets.ferplus import beside_fer2013, label_agreement, read_agreement, vote_shares
from utils.runtime import DataError

__all__ = [
    "LOADERS",
    "SPLITS",
    "USAGES",
    "DataError",
    "FaceDataset",
    "beside_fer2013",
    "contradictions",
    "copies_in_training",
    "first_copies",
    "label_agreement",
    "load",
    "read_agreement",
    "summary",
    "vote_shares",
]

LOADERS = {
    "sample": rendered.load,
    "fer2013": fer2013.load,
    "ferplus": ferplus.load,
    "expw": expw.load,
}


def load(
    name: str = "sample",
    path: str | os.PathLike | None = None,
    *,
    cache: bool = True,
    seed: int = 0,
    **options,
) -> FaceDataset:
    """Load a data set by its name.

    Parameters
    ----------
    name : {"sample", "fer2013", "ferplus", "expw"}
        Which one.
    path : path, optional
        A file or folder; by default the one under ``data/raw``. Nothing else is tried.
    cache : bool
        Whether to keep the arrays in ``data/cache``, and to take them from there.
    seed : int
        For the splits and pictures that are drawn at random.
    **options
        What that loader takes besides: see `LOADERS`.

    Returns
    -------
    FaceDataset

    Raises
    ------
    DataError
        When there is nothing at that path, or something else than the data set.
    ValueError
        For an unknown name.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown data set {name!r}: expected one of {', '.join(LOADERS)}")
    return LOADERS[name](path, cache=cache, seed=seed, **options)
