"""The surest predictions, with their pictures or, where these may not be shown, without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from utils.figures.style import (
    INK,
    QUIET,
    RIGHT_MARK,
    WRONG,
    WRONG_MARK,
    Figure,
    color_of,
    grid,
    percent,
    require_same_length,
    require_some,
    set_title,
    show,
    styled,
)


@styled
def top_predictions(
    images: Sequence[np.ndarray] | None, table: pd.DataFrame, *, title: str = ""
) -> Figure:
    """Show the surest predictions, right (✓) and wrong (✗, framed).

    Parameters
    ----------
    images : sequence of (h, w[, 1 or 3]) uint8, or None
        In the table's order. None draws bars instead: for pictures that may not be shown.
    table : DataFrame
        From `evaluation.surest`: row, true, predicted, probability, true_probability, correct.
    title : str

    Returns
    -------
    Figure
    """
    require_some(table, "table")
    if images is None:
        return _surest_bars(table, title)
    require_same_length(len(table), images=images)
    figure, cells = grid(len(table), 5, 1.85, 2.28, title)
    for axes, image, entry in zip(cells, images, table.itertuples(), strict=True):
        show(axes, image, edge=WRONG if not entry.correct else None, width=4)
        mark = RIGHT_MARK if entry.correct else WRONG_MARK
        axes.set_title(
            f"{mark} {entry.predicted}  {percent(entry.probability)}",
            loc="center",
            fontsize=10.5,
            color=INK if entry.correct else WRONG,
            pad=5,
        )
        label = "true" if entry.correct else "but truly"
        axes.set_xlabel(
            f"{label}: {entry.true}",
            fontsize=10,
            color=QUIET if entry.correct else WRONG,
            fontweight="normal" if entry.correct else "bold",
        )
    return figure


def _surest_bars(table: pd.DataFrame, title: str) -> Figure:
    """Draw the surest predictions without their pictures: a bar each, wrong ones hatched."""
    count = len(table)
    figure = Figure(figsize=(9, 0.42 * count + (1.15 if title else 0.75)))
    axes = figure.subplots()
    for at, entry in enumerate(table.itertuples()):
        axes.barh(
            at,
            entry.probability,
            color=color_of(entry.predicted),
            height=0.74,
            hatch="" if entry.correct else "////",
            edgecolor="white",
            linewidth=0,
        )
        axes.text(
            0.012,
            at,
            f"{entry.predicted}  {percent(entry.probability)}",
            va="center",
            fontweight="bold",
            color=INK,
            bbox={
                "boxstyle": "round,pad=0.18",
                "facecolor": "white",
                "edgecolor": "none",
                "alpha": 0.92,
            },
        )
        said = (
            f"{RIGHT_MARK} true: {entry.true}"
            if entry.correct
            else f"{WRONG_MARK} but truly {entry.true}, given {percent(entry.true_probability)}"
        )
        axes.text(
            1.015,
            at,
            said,
            va="center",
            fontsize=10,
            color=INK if entry.correct else WRONG,
            fontweight="normal" if entry.correct else "bold",
        )
    axes.set_yticks(range(count), [f"row {row:,}" for row in table["row"]])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), xlabel="probability of the predicted class (%)")
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    axes.set_ylim(count - 0.4, -0.6)
    axes.grid(axis="x")
    set_title(figure, title)
    return figure
