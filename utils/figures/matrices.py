"""What was taken for what, and where runs agree."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from utils.expressions import EXPRESSIONS
from utils.figures.style import Figure, ink_on, require_some, set_title, styled
from utils.runtime import DataError


@styled
def confusion_matrix(
    counts: np.ndarray,
    expressions: Sequence[str] = EXPRESSIONS,
    *,
    title: str = "",
    names: tuple[str, str] = ("true", "predicted"),
) -> Figure:
    """Draw a confusion matrix: each cell its share of the true class, and its count.

    Parameters
    ----------
    counts : (k, k) whole numbers
        Row: the true class; column: the predicted one.
    expressions : sequence of k str
    title : str
    names : (str, str)
        What a row and a column are: of two sets of labels neither is the true one.

    Returns
    -------
    Figure
        Each cell is the darker, the larger its share of the row (one hue, so that it reads the
        same with any colour vision); the right answers are bold.

    Raises
    ------
    DataError
        When the matrix is not square, has a negative count, or does not fit the names.
    """
    counts = np.asarray(counts)
    classes = len(expressions)
    if counts.shape != (classes, classes) or not np.issubdtype(counts.dtype, np.integer):
        raise DataError(
            f"counts: expected {classes} × {classes} whole numbers, "
            f"got {counts.dtype} of shape {counts.shape}"
        )
    if (counts < 0).any():
        raise DataError("counts: expected 0 or more everywhere")
    sums = counts.sum(axis=1)
    shares = counts / np.maximum(sums, 1)[:, None]
    figure = Figure(figsize=(0.98 * classes + 1.5, 0.8 * classes + (1.2 if title else 0.8)))
    axes = figure.subplots()
    colormap = matplotlib.colormaps["Blues"]
    # The root spreads the small shares, where the mistakes are; the numbers say how much.
    axes.imshow(np.sqrt(shares), cmap=colormap, vmin=0, vmax=1.1, aspect=0.8)
    for true in range(classes):
        for predicted in range(classes):
            count, share = counts[true, predicted], shares[true, predicted]
            ink = ink_on(colormap(np.sqrt(share) / 1.1)) if count else "#8A8A8A"
            percent = "<1%" if count and share < 0.005 else f"{100 * share:.0f}%"
            for text, size, shift in ((percent, 14.5, -0.11), (f"{count:,}", 10.5, 0.25)):
                axes.text(
                    predicted,
                    true + shift,
                    text,
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=size,
                    fontweight="bold" if true == predicted else "normal",
                )
    axes.set_xticks(range(classes), expressions, fontsize=12)
    named = [f"{name}\nn = {size:,}" for name, size in zip(expressions, sums, strict=True)]
    axes.set_yticks(range(classes), named, fontsize=12)
    _part_cells(axes, classes)
    row, column = names
    of_what = "true class" if row == "true" else "row"
    axes.set_xlabel(f"{column} (percent of the {of_what}; number of pictures)", fontsize=12)
    axes.set_ylabel(row, fontsize=12)
    set_title(figure, title)
    return figure


@styled
def agreement_matrix(same: pd.DataFrame, errors: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how often each two runs give the same answer, and how often the same wrong one.

    Parameters
    ----------
    same : (k, k) DataFrame
        `evaluation.agreement`: shares of all pictures, 0 … 1.
    errors : (k, k) DataFrame
        The same with ``errors=True``; its diagonal is each run's share of mistakes.
    title : str

    Returns
    -------
    Figure
        The lower triangle, since the upper one says the same again. Off the diagonal a cell is
        the darker, the more alike its two runs are.

    Raises
    ------
    DataError
        When the two tables are not square, or not about the same runs.
    """
    names = [str(name) for name in same.index]
    require_some(names, "same")
    tables = (same, errors)
    if any([str(n) for n in axis] != names for table in tables for axis in table.axes):
        raise DataError("same, errors: expected two square tables about the same runs")
    count = len(names)
    figure = Figure(figsize=(1.15 * count + 1.6, 0.82 * count + (1.1 if title else 0.7)))
    axes = figure.subplots()
    shares, wrong = same.to_numpy(float), errors.to_numpy(float)
    below = np.tri(count, k=-1, dtype=bool)
    least = shares[below].min(initial=1.0)
    colormap = matplotlib.colormaps["Blues"]
    # The scale begins under the smallest share: all of them are high, and differ by little.
    darkness = np.clip((shares - least + 0.1) / (1.15 - least), 0, 1)
    picture = np.where(below[..., None], colormap(darkness), (1, 1, 1, 1))
    picture[np.diag_indices(count)] = (0.93, 0.93, 0.93, 1)
    axes.imshow(picture, aspect=0.7)
    for row, column in zip(*np.nonzero(np.tri(count, dtype=bool)), strict=True):
        ink = ink_on(picture[row, column, :3])
        alone = row == column
        for text, size, shift in (
            ("" if alone else f"{100 * shares[row, column]:.0f}%", 14.5, -0.12),
            (f"{100 * wrong[row, column]:.0f}% wrong", 10, 0.0 if alone else 0.25),
        ):
            place = (column, row + shift)
            axes.text(*place, text, ha="center", va="center", color=ink, fontsize=size)
    axes.set_xticks(range(count), names, fontsize=12)
    axes.set_yticks(range(count), names, fontsize=12)
    _part_cells(axes, count)
    axes.set_xlabel("the same answer; below it, the same wrong answer", fontsize=11)
    set_title(figure, title)
    return figure


def _part_cells(axes: Axes, count: int) -> None:
    """Draw white lines between a matrix's ``count`` × ``count`` cells, and no frame around."""
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
