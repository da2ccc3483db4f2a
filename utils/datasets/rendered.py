"""The embedded sample: rendered faces, split as FER2013's rows are."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from utils.datasets import fer2013
from utils.datasets.dataset import USAGES, FaceDataset
from utils.datasets.registry import loader


@loader("sample", title="rendered sample faces", help="rendered faces, drawn by a program")
def load(
    path: str | os.PathLike | None = None,
    *,
    count: int | None = None,
    cache: bool = True,
    seed: int = 0,
) -> FaceDataset:
    """Load rendered sample faces of 48×48, with FER2013's class imbalance, split 70 / 10 / 20 %.

    By default `count` faces are rendered (as many as `utils.sample.render_rows` does); the same
    seed renders the same. A path is a csv or folder that `utils.sample.write` wrote.
    """
    if path is not None:
        return dataclasses.replace(fer2013.load(path, cache=cache, seed=seed), name="sample")

    from utils import sample  # below this module in the order of the data

    chosen = {} if count is None else {"count": count}
    rendered = sample.render_rows(seed=seed, cache=cache, **chosen)
    return FaceDataset(
        images=rendered.images[..., None],
        labels=rendered.labels,
        split=np.array([USAGES[usage] for usage in rendered.usage.tolist()]),
        rows=np.arange(len(rendered.labels), dtype=np.int64),
        name="sample",
        source=f"the renderer (seed {seed})",
    )
