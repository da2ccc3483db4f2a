"""The built-in sample: rendered faces, split like FER2013's rows."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from utils.datasets import fer2013
from utils.datasets.dataset import USAGES, FaceDataset
from utils.sample.rows import ROWS, render_rows


def load(
    path: str | os.PathLike | None = None,
    *,
    count: int = ROWS,
    cache: bool = True,
    seed: int = 0,
) -> FaceDataset:
    """Load rendered sample faces of 48×48, with FER2013's class imbalance, split 70/10/20%.

    The same `count` and seed render the same faces. A path is a csv or folder that
    `utils.sample.write` wrote.
    """
    if path is not None:
        return dataclasses.replace(fer2013.load(path, cache=cache, seed=seed), name="sample")
    rendered = render_rows(count, seed, cache=cache)
    return FaceDataset(
        images=rendered.images[..., None],
        labels=rendered.labels,
        split=np.array([USAGES[usage] for usage in rendered.usage.tolist()]),
        rows=np.arange(len(rendered.labels), dtype=np.int64),
        name="sample",
        source=f"the renderer (seed {seed})",
    )
