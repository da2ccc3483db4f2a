"""The one table of data sets: ``@loader(...)`` above a function adds it everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from utils.datasets.dataset import FaceDataset


@dataclass(frozen=True)
class Loader:
    """A data set by its `name`: the `title` of figures, one line of `help`, and what loads it.

    `load` takes a path or None and, by keyword, at least ``cache`` and ``seed``.
    """

    name: str
    title: str
    help: str
    load: Callable[..., FaceDataset]


LOADERS: dict[str, Loader] = {}


def loader(name: str, *, title: str, help: str) -> Callable[[Callable], Callable]:
    """Add the decorated function to `LOADERS`; see `Loader`."""

    def enter(load: Callable[..., FaceDataset]) -> Callable[..., FaceDataset]:
        LOADERS[name] = Loader(name, title, help, load)
        return load

    return enter
