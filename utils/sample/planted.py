"""Near copies, planted on purpose in rendered rows: training pictures, slightly changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from utils.expressions import EXPRESSIONS
from utils.runtime import DataError
from utils.sample.draws import Draws
from utils.sample.rows import SampleRows

#: How a planted copy differs from its original, in the order in which they are planted.
CHANGES: tuple[str, ...] = ("mirrored", "brighter", "noisy", "compressed", "shifted")
#: One planted copy in this many has a different label from its original.
OTHER_LABEL = 4

_STREAM = 90  # of draws; the rows' own streams have lower numbers
_BLOCK = 8
_STEP = 32


def plant_near_copies(rows: SampleRows, count: int = 10) -> tuple[SampleRows, pd.DataFrame]:
    """Replace pictures of PublicTest and PrivateTest with near copies of training pictures.

    The changes are those that one photo goes through on its way to two places on the web. They take
    turns, and every `OTHER_LABEL`-th copy has a different label from its original. Rows that have a
    fault already (copies, contradictions, flat rows) are left as they are; labels and usages do not
    change at all, and `rows` itself is not modified.

    Parameters
    ----------
    rows : SampleRows
        As `render_rows` gives them.
    count : int
        How many, from 1 to a tenth of the rows. Which rows, and the noise, are the same everywhere.

    Returns
    -------
    SampleRows
        New rows.
    DataFrame
        What was planted, one row each, by "row" (index, ascending): "usage", "copy_of" (a row of
        Training), "change" (one of `CHANGES`), "label" and "copy_of_label" (names).

    Raises
    ------
    DataError
        For a count out of range, or when no pair of the required kind is left.

    Notes
    -----
    In the 2,000 default rows, no validation or test picture correlates with an unrelated training
    picture, or its mirror image, at more than 0.940, shifted by up to two pixels or not; every
    planted copy reaches 0.957 with its original, most of the shifted ones only once they are
    shifted back. Other rows guarantee no such gap.
    """
    if not 1 <= count <= len(rows) // 10:
        raise DataError(f"count is {count}: expected 1 … {len(rows) // 10}")
    draws = Draws(0, _STREAM)
    faulty = np.concatenate([rows.copies.ravel(), rows.contradictions.ravel(), rows.flat])
    order = np.array([row for row in draws.order(len(rows)) if row not in set(faulty.tolist())])
    held = order[rows.usage[order] != "Training"][:count]
    free = order[rows.usage[order] == "Training"].tolist()
    images, drawn, votes = rows.images.copy(), rows.drawn.copy(), rows.votes.copy()
    planted = []
    for place, row in enumerate(held.tolist()):
        same = place % OTHER_LABEL != OTHER_LABEL - 1
        fits = [at for at in free if (rows.labels[at] == rows.labels[row]) == same]
        if not fits:
            raise DataError(f"row {row}: found no training row left to copy, expected one")
        original, change = fits[0], CHANGES[place % len(CHANGES)]
        free.remove(original)
        images[row] = changed(rows.images[original], change, draws)
        drawn[row], votes[row] = rows.drawn[original], rows.votes[original]
        labels = (EXPRESSIONS[rows.labels[at]] for at in (row, original))
        planted.append((row, str(rows.usage[row]), original, change, *labels))
    table = pd.DataFrame(
        planted, columns=["row", "usage", "copy_of", "change", "label", "copy_of_label"]
    )
    new = dataclasses.replace(rows, images=images, drawn=drawn, votes=votes)
    return new, table.set_index("row").sort_index()


def changed(image: np.ndarray, change: str, draws: Draws) -> np.ndarray:
    """Apply one of `CHANGES` to a (height, width) uint8 picture, in integer arithmetic.

    ``draws`` gives the noise, and the direction of a shift.
    """
    levels = image.astype(np.int64)
    if change == "mirrored":
        levels = levels[:, ::-1]
    elif change == "brighter":
        levels = (levels * 9) // 10 + 30
    elif change == "noisy":
        levels = levels + draws.integers(-6, 7, *image.shape)
    elif change == "compressed":
        levels = _compressed(levels)
    elif change == "shifted":
        axis, step = int(draws.integers(0, 2, 1)[0]), int(2 * draws.integers(0, 2, 1)[0] - 1)
        levels = np.roll(np.pad(levels, 1, mode="edge"), step, axis=axis)[1:-1, 1:-1]
    else:
        raise DataError(f"unknown change {change!r}: expected one of {', '.join(CHANGES)}")
    return np.clip(levels, 0, 255).astype(np.uint8)


def _compressed(levels: np.ndarray) -> np.ndarray:
    """Keep the coarse part of each 8×8 block: JPEG's way, by integer Walsh-Hadamard transform."""
    two = np.array([[1, 1], [1, -1]])
    transform = np.kron(two, np.kron(two, two))
    height, width = levels.shape
    levels = np.pad(levels, ((0, -height % _BLOCK), (0, -width % _BLOCK)), mode="edge")
    down, across = levels.shape
    blocks = levels.reshape(down // _BLOCK, _BLOCK, across // _BLOCK, _BLOCK).transpose(0, 2, 1, 3)
    found = transform @ blocks @ transform
    # half a step added: the division rounds instead of truncating
    kept = (found + _STEP * 4) // (_STEP * 8) * (_STEP * 8)
    back = (transform @ kept @ transform + 32) >> 6
    return back.transpose(0, 2, 1, 3).reshape(down, across)[:height, :width]
