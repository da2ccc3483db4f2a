"""What an audit found in a data set: how alike its pictures are, how many faults each split has."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from utils.figures.style import (
    INK,
    QUIET,
    WRONG,
    Figure,
    require_same_length,
    require_some,
    set_title,
    show,
    styled,
)
from utils.runtime import DataError

#: Colour and hatching of a split's bars; the splits are also named in the legend.
_SPLITS = {
    "training": ("#BBBBBB", None),
    "validation": ("#88CCEE", "//"),
    "test": ("#332288", None),
    "all": ("#332288", None),  # where there are no splits
}
#: Of the histogram: 0.9 and 0.95 are edges of its bins.
_BIN = 0.0125


@styled
def best_correlations(
    correlation: np.ndarray,
    exact: np.ndarray,
    *,
    threshold: float = 0.95,
    mirrored: np.ndarray | None = None,
    compared_with: str = "training",
    title: str = "",
) -> Figure:
    """Draw how well each picture correlates with its nearest, and the threshold of a near copy.

    Parameters
    ----------
    correlation : (m,) float
        Each compared picture's best correlation, -1 … 1; NaN (flat pictures) is left out, and
        counted in the axis's label.
    exact : (m,) bool
        Exact copies: drawn as a bar of their own, right of 1.
    threshold : float
        Marked by a line, with the number of pictures right of it, exact copies included.
    mirrored : (m,) bool, optional
        Whose mirror image correlates best: bars of another colour, from the same ground. Among
        unrelated pictures they are half of all, which on this axis is a third of a decade less.
    compared_with : str
        For the axis's label.
    title : str

    Returns
    -------
    Figure
        The count axis is logarithmic.

    Raises
    ------
    DataError
        When the arrays do not fit together, or are empty.
    """
    require_some(correlation, "correlation")
    require_same_length(len(correlation), exact=exact, mirrored=mirrored)
    correlation, exact = np.asarray(correlation, dtype=float), np.asarray(exact, dtype=bool)
    mirrored = np.zeros(len(exact), bool) if mirrored is None else np.asarray(mirrored, dtype=bool)
    drawn = ~exact & ~np.isnan(correlation)
    values = correlation[drawn]
    lowest = min(0.3, float(np.floor(values.min() * 20) / 20)) if len(values) else 0.3
    edges = np.linspace(lowest, 1, round((1 - lowest) / _BIN) + 1)
    counts = np.histogram(values, edges)[0]
    mirror_counts = np.histogram(values[mirrored[drawn]], edges)[0]
    figure = Figure(figsize=(8.5, 4.0))
    axes = figure.subplots()
    width = edges[1] - edges[0]
    style = {"width": 0.92 * width, "align": "edge"}
    axes.bar(edges[:-1], counts, color="#332288", label="pictures", **style)
    if mirrored.any():
        label = "of these, the mirror image fits better"
        axes.bar(edges[:-1], mirror_counts, color="#DDAA33", label=label, **style)
    if exact.any():
        place = 1 + 1.4 * width
        axes.bar(place, exact.sum(), color=WRONG, hatch="//", edgecolor="white", **style)
        axes.bar(0, 0, color=WRONG, hatch="//", edgecolor="white", label="exact copy")
        axes.annotate(
            f"{exact.sum():,}",
            (place + width / 2, exact.sum()),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
            color=WRONG,
        )
    found = int((exact | (correlation >= threshold)).sum())
    axes.axvline(threshold, color=INK, linestyle=(0, (4, 2)), linewidth=1.5)
    axes.annotate(
        f"{found:,} of {len(correlation):,}\nat {threshold:g} or more",
        (threshold, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-6, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontweight="bold",
    )
    top = max(int(counts.max()), int(exact.sum()), 1)
    axes.set(yscale="log", ylim=(0.7, 4 * top), xlim=(lowest, 1 + 3 * width))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    flat = int(np.isnan(correlation).sum())
    left_out = f"; {flat:,} flat left out" if flat else ""
    axes.set(
        xlabel=f"correlation with the nearest picture in {compared_with} "
        f"(pixels, no unit{left_out})",
        ylabel="pictures (logarithmic)",
    )
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


@styled
def problem_counts(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how many pictures of each split have each problem.

    Parameters
    ----------
    table : DataFrame of int
        From `Audit.problems`, its index in words (`Audit.describe`): a column a split; "all" is
        drawn only where there are no splits. Problems that no picture has stay, with a 0.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        When there is no row, or no such column.
    """
    require_some(table, "table")
    splits = [split for split in _SPLITS if split in table.columns]
    splits = splits[:-1] if len(splits) > 1 and splits[-1] == "all" else splits
    if not splits:
        raise DataError(f"table: no column {', '.join(_SPLITS)}")
    labels = ["\n".join(textwrap.wrap(str(label), 40)) for label in table.index]
    rows = np.arange(len(table))
    height = 0.8 / len(splits)
    figure = Figure(figsize=(8.5, 0.9 + (0.17 * len(splits) + 0.15) * len(table)))
    axes = figure.subplots()
    most = max(int(table[splits].to_numpy().max()), 1)
    for at, split in enumerate(splits):
        color, hatch = _SPLITS[split]
        bars = axes.barh(
            rows - 0.4 + (at + 0.5) * height,
            table[split],
            height=0.9 * height,
            color=color,
            hatch=hatch,
            edgecolor="white" if hatch else color,
            linewidth=0,
            label=split,
        )
        counts = [f"{count:,}" for count in table[split]]
        axes.bar_label(bars, counts, padding=3, fontsize=9, color=INK)
    axes.set_yticks(rows, labels)
    axes.set_ylim(len(table) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="pictures", xlim=(0, 1.12 * most))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="x")
    if len(splits) > 1:
        figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


@styled
def picture_pairs(
    first: np.ndarray,
    second: np.ndarray,
    captions: Sequence[str] | None = None,
    *,
    names: tuple[str, str] = ("test", "training"),
    title: str = "",
    columns: int = 5,
) -> Figure:
    """Show pictures in pairs, each beside the one that it resembles.

    Parameters
    ----------
    first, second : (m, h, w[, 1 or 3]) uint8
    captions : sequence of m str, optional
        One above each pair.
    names : (str, str)
        What the left and the right of a pair are, written below.
    title : str
    columns : int
        Pairs a row.

    Returns
    -------
    Figure
    """
    require_some(first, "first")
    require_same_length(len(first), second=second, captions=captions)
    columns = max(1, min(columns, len(first)))
    rows = -(-len(first) // columns)
    lines = 1 + max((text.count("\n") for text in captions), default=0) if captions else 0
    width = max(2.15 * columns, 0.082 * len(title) + 0.3)
    figure = Figure(figsize=(width, (1.25 + 0.16 * lines) * rows + (0.45 if title else 0)))
    frames = figure.subfigures(rows, columns, squeeze=False, wspace=0.04).ravel()
    for at, frame in enumerate(frames[: len(first)]):
        left, right = frame.subplots(1, 2, gridspec_kw={"wspace": 0.03})
        for axes, picture, name in ((left, first[at], names[0]), (right, second[at], names[1])):
            show(axes, picture)
            axes.set_xlabel(name, fontsize=9, color=QUIET, labelpad=2)
        if captions:
            frame.suptitle(captions[at], fontsize=9.5, fontweight="normal")
    set_title(figure, title)
    return figure
