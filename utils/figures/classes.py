"""Class by class: how many, what is mistaken for what, how well each is recognized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from utils.expressions import EXPRESSIONS
from utils.figures import style
from utils.figures.style import Figure, color_of, styled
from utils.runtime import DataError


@styled
def class_counts(counts: pd.DataFrame) -> Figure:
    """Draw how many pictures each expression has, one panel per column.

    Parameters
    ----------
    counts : DataFrame
        Index: expressions; columns: splits, or "before" and "after"; a column "all" next to
        others is left out.
    """
    import seaborn

    columns = [name for name in counts.columns if name != "all"] or list(counts.columns)
    size = 1.3 + 3.0 * len(columns), 0.4 * len(counts) + 1.2
    figure, (panels,) = style.sheet(*size, 1, len(columns), sharey=True)
    for axes, column in zip(panels, columns, strict=True):
        values = counts[column].to_numpy()
        total = max(1, values.sum())
        look = {"palette": list(map(color_of, counts.index)), "saturation": 1, "legend": False}
        seaborn.barplot(x=values, y=counts.index, hue=counts.index, ax=axes, **look)
        style.name_lines(axes, counts.index)
        axes.set(xlabel="pictures", ylabel="")
        for at, value in enumerate(values):
            axes.text(value, at, f" {value:,} · {value / total:.1%}", va="center", fontsize=10)
        axes.set_title(f"{column}: {values.sum():,}")
        axes.set_xlim(0, 1.75 * max(1, counts[columns].to_numpy().max()))
        style.whole_axis(axes.xaxis, 3)
    return figure


@styled
def confusion_matrix(
    counts: np.ndarray,
    expressions: Sequence[str] = EXPRESSIONS,
    *,
    names: tuple[str, str] = ("true", "predicted"),
) -> Figure:
    """Draw a confusion matrix: in each cell its share of the row, and its count.

    Parameters
    ----------
    counts : (k, k) integers, 0 or more
        Row: the true class; column: the predicted one.
    expressions : sequence of k str
    names : (str, str)
        What rows and columns are: of two sets of labels, neither is the true one.
    """
    import seaborn

    counts, classes = np.asarray(counts), len(expressions)
    if counts.shape != (classes, classes) or not np.issubdtype(counts.dtype, np.integer):
        raise DataError(
            f"counts: expected {classes} × {classes} whole numbers, "
            f"got {counts.dtype} of shape {counts.shape}"
        )
    sums = counts.sum(axis=1)
    shares = counts / np.maximum(sums, 1)[:, None]
    percent = np.where((counts > 0) & (shares < 0.005), "<1", np.char.mod("%.0f", 100 * shares))
    said = [f"{part}%\n{count:,}" for part, count in zip(percent.flat, counts.flat, strict=True)]
    figure, ((axes,),) = style.sheet(classes + 1.5, 0.82 * classes + 1.2)
    # The square root spreads the small shares, where the mistakes are; the numbers say how much.
    # One hue reads the same with any color vision.
    look = {"cmap": "Blues", "vmin": 0, "vmax": 1.1, "linewidths": 2, "cbar": False}
    said = np.reshape(said, counts.shape)
    seaborn.heatmap(np.sqrt(shares), annot=said, fmt="", ax=axes, **look)
    for text in axes.texts[:: classes + 1]:
        text.set_fontweight("bold")
    axes.set_xticks(np.arange(classes) + 0.5, expressions)
    sized = [f"{name}\nn = {size:,}" for name, size in zip(expressions, sums, strict=True)]
    axes.set_yticks(np.arange(classes) + 0.5, sized, rotation=0)
    of_what = "true class" if names[0] == "true" else "row"
    axes.set_xlabel(f"{names[1]} (percent of the {of_what}; number of pictures)")
    axes.set_ylabel(names[0])
    axes.tick_params(length=0)
    return figure


@styled
def per_class_bars(reports: Mapping[str, pd.DataFrame], *, metric: str = "f1") -> Figure:
    """Draw one metric of each expression: one dot per run, with its value.

    Parameters
    ----------
    reports : mapping of names to DataFrames
        From `evaluation.report`: index expressions and "macro average", columns precision,
        recall, f1 (0 … 1) and support.
    metric : {"f1", "precision", "recall"}
    """
    if metric not in ("f1", "precision", "recall"):
        raise DataError(f"metric {metric!r}: expected f1, precision or recall")
    reports = style.several(reports, "reports")
    first = next(iter(reports.values()))
    if any(list(table.index) != list(first.index) for table in reports.values()):
        raise DataError("reports: expected the same expressions in each")
    names = [name for name in first.index if not str(name).endswith(" average")]
    table = pd.DataFrame({run: one[metric] for run, one in reports.items()})
    table = table.loc[[*names, "macro average"]]
    lines = []
    for name in names:  # of each run, if they are on different faces
        counts = dict.fromkeys(f"{one.loc[name, 'support']:,}" for one in reports.values())
        lines.append(f"{name}  (n = {' / '.join(counts)})")
    figure, ((axes,),) = style.sheet(6.8 + 0.7 * len(reports), 0.48 * len(table) + 1.4)
    handles = _dots(axes, table)
    style.name_lines(axes, [*lines, "macro average"])
    axes.axhline(len(names) - 0.5, color="#9A9A9A", linewidth=0.8)
    axes.set(xlabel=f"{metric.replace('f1', 'F1')} (highest in each row in bold)", ylabel="")
    style.legend_below(figure, handles)
    return figure


def _dots(axes: Axes, table: pd.DataFrame) -> list[Line2D]:
    """Draw a line for each row and a mark for each column, its values at the right in a column."""
    import seaborn

    places = np.arange(len(table))
    axes.hlines(places, table.min(axis=1), table.max(axis=1), color="#BFBFBF", linewidth=2)
    handles = []
    for at, run in enumerate(table):
        shape = style.look(at)
        seaborn.scatterplot(x=table[run].to_numpy(), y=places, s=80, zorder=3, ax=axes, **shape)
        handles.append(Line2D([], [], label=run, **style.mark(**shape)))
        points = 28 + 46 * at
        for place, value in zip(places, table[run], strict=True):
            weight = "bold" if value == table.iloc[place].max() else "normal"
            style.beside(axes, place, f"{value:.2f}", points, ha="center", fontweight=weight)
        head = "●■◆▲▼✚✖"[at % 7]  # as `style.look` marks
        style.beside(axes, -0.75, head, points, color=shape["color"], ha="center", fontsize=15)
    axes.margins(x=0.06)
    return handles
