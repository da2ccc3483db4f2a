"""What a threshold would find: pictures are changed on purpose, and compared with themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from utils.audit.correlation import aligned, correlations, mirrored
from utils.audit.faults import flat
from utils.audit.findings import THRESHOLD
from utils.runtime import DataError
from utils.sample.draws import Draws
from utils.sample.planted import CHANGES, changed

_STREAM = 91


def sensitivity(
    images: np.ndarray, *, threshold: float = THRESHOLD, most: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Measure how much a picture's copy still correlates with it, by what was done to the copy.

    Parameters
    ----------
    images : (n, height, width[, 1]) uint8 array
        Gray pictures, say a training split's; flat ones are left out.
    threshold : float
        Copies that correlate less would not be found.
    most : int
        How many pictures are tried, drawn at random where there are more.
    seed : int
        For that draw, the noise and the direction of shifts.

    Returns
    -------
    DataFrame
        A row a change (index "change": `sample.CHANGES`): "pictures", "median" and "lowest"
        (correlation, the latter the lowest of all but one in a hundred), "found" (the share of
        copies at `threshold` or more), "found_shifted" (the same when they are `aligned`).

    Raises
    ------
    DataError
        When the pictures are in color, or all flat.
    """
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim != 3:
        raise DataError(f"images of shape {images.shape}: expected gray ones, (n, height, width)")
    draws = Draws(seed, _STREAM)
    chosen = draws.order(len(images))
    chosen = chosen[~flat(images[chosen][..., None])][:most]
    if not len(chosen):
        raise DataError("found no picture that is not flat, expected at least one")
    originals = images[chosen]
    rows = {}
    for change in CHANGES:
        copies = np.stack([changed(image, change, draws) for image in originals])
        known = mirrored(originals) if change == "mirrored" else originals
        found = correlations(copies, known)
        found = np.where(np.isnan(found), 0.0, found)  # a change can leave one level alone
        better = np.fmax(found, aligned(copies, known))
        rows[change] = {
            "pictures": len(found),
            "median": float(np.median(found)),
            "lowest": float(np.quantile(found, 0.01)),
            "found": float(np.mean(found >= threshold)),
            "found_shifted": float(np.mean(better >= threshold)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("change")
