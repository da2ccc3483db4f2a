"""Class by class: how many, what is taken for what, how well each is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from utils.expressions import EXPRESSIONS
from utils.figures import style
from utils.figures.style import INK, QUIET, Figure, color_of, styled
from utils.runtime import DataError


def _class_bars(axes: Axes, names: Sequence[str], values: np.ndarray, label: str) -> None:
    """Draw a bar for each expression in its color, the first at the top."""
    import seaborn

    colors = {"hue": names, "palette": [color_of(name) for name in names], "saturation": 1}
    seaborn.barplot(x=values, y=names, ax=axes, legend=False, **colors)
    style.name_lines(axes, names)
    axes.set(xlabel=label, ylabel="")


@styled
def class_counts(counts: pd.DataFrame, *, same_scale: bool = True) -> Figure:
    """Draw how many pictures each expression has, a panel a column.

    Parameters
    ----------
    counts : DataFrame
        Index: expressions; columns: splits, or "before" and "after"; a column "all" beside
        others is left out.
    same_scale : bool
        Whether the panels share their scale; without it, each fills its own.
    """
    columns = [name for name in counts.columns if name != "all"] or list(counts.columns)
    style.require_some(columns, "counts")
    size = 1.3 + 3.0 * len(columns), 0.4 * len(counts) + 1.2
    figure, (panels,) = style.sheet(*size, 1, len(columns), sharey=True)
    for axes, column in zip(panels, columns, strict=True):
        values = counts[column].to_numpy()
        total = max(1, values.sum())
        _class_bars(axes, [str(name) for name in counts.index], values, "pictures")
        for at, value in enumerate(values):
            axes.text(value, at, f" {value:,} · {value / total:.1%}", va="center", fontsize=10)
        axes.set_title(f"{column}: {values.sum():,}")
        most = counts[columns].to_numpy().max() if same_scale else values.max()
        axes.set_xlim(0, 1.75 * max(1, most))
        style.whole_axis(axes.xaxis, 3)
    return figure


def _heat_map(axes: Axes, shares: np.ndarray, said: np.ndarray, low: float, high: float) -> None:
    """Draw one hue, which reads the same with any color vision; NaN cells stay empty."""
    import seaborn

    lines = {"linewidths": 2, "linecolor": "white", "cbar": False, "cmap": "Blues"}
    seaborn.heatmap(shares, vmin=low, vmax=high, annot=said, fmt="", ax=axes, **lines)
    axes.tick_params(length=0)


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
    counts : (k, k) whole numbers, 0 or more
        Row: the true class; column: the predicted one.
    expressions : sequence of k str
    names : (str, str)
        What a row and a column are: of two sets of labels neither is the true one.
    """
    counts, classes = np.asarray(counts), len(expressions)
    if counts.shape != (classes, classes) or not np.issubdtype(counts.dtype, np.integer):
        raise DataError(
            f"counts: expected {classes} × {classes} whole numbers, "
            f"got {counts.dtype} of shape {counts.shape}"
        )
    if (counts < 0).any():
        raise DataError("counts: expected 0 or more everywhere")
    sums = counts.sum(axis=1)
    shares = counts / np.maximum(sums, 1)[:, None]
    percent = np.where((counts > 0) & (shares < 0.005), "<1", np.char.mod("%.0f", 100 * shares))
    said = [f"{part}%\n{count:,}" for part, count in zip(percent.flat, counts.flat, strict=True)]
    figure, ((axes,),) = style.sheet(classes + 1.5, 0.82 * classes + 1.2)
    # The root spreads the small shares, where the mistakes are; the numbers say how much.
    _heat_map(axes, np.sqrt(shares), np.reshape(said, counts.shape), 0, 1.1)
    for text in axes.texts[:: classes + 1]:
        text.set_fontweight("bold")
    axes.set_xticks(np.arange(classes) + 0.5, expressions)
    sized = [f"{name}\nn = {size:,}" for name, size in zip(expressions, sums, strict=True)]
    axes.set_yticks(np.arange(classes) + 0.5, sized, rotation=0)
    of_what = "true class" if names[0] == "true" else "row"
    axes.set_xlabel(f"{names[1]} (percent of the {of_what}; number of pictures)")
    axes.set_ylabel(names[0])
    return figure


@styled
def agreement_matrix(same: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Draw how often each two runs give the same answer, and how often the same wrong one.

    Parameters
    ----------
    same : (k, k) DataFrame
        `evaluation.agreement`: shares of all pictures, 0 … 1. Its lower triangle is drawn.
    errors : (k, k) DataFrame
        The same with ``errors=True``; its diagonal is each run's share of mistakes.
    """
    names = [str(name) for name in same.index]
    style.require_some(names, "same")
    if any([str(n) for n in axis] != names for table in (same, errors) for axis in table.axes):
        raise DataError("same, errors: expected two square tables about the same runs")
    count = len(names)
    shares, said = same.to_numpy(float), np.full(same.shape, "", dtype=object)
    for row, column in zip(*np.nonzero(np.tri(count)), strict=True):
        alike = "" if row == column else f"{shares[row, column]:.0%}\n"
        said[row, column] = f"{alike}{errors.iloc[row, column]:.0%} wrong"
    figure, ((axes,),) = style.sheet(1.25 * count + 2, 0.8 * count + 1.5)
    below = np.where(np.tri(count, k=-1), shares, np.nan)
    least = np.nanmin(below, initial=1.0)
    # The scale begins under the smallest share: all of them are high, and differ by little.
    _heat_map(axes, np.where(np.eye(count), least - 0.1, below), said, least - 0.1, 1.15)
    axes.set_xticks(np.arange(count) + 0.5, names, rotation=20, ha="right")
    axes.set_yticks(np.arange(count) + 0.5, names, rotation=0)
    axes.set_xlabel("the same answer, and below it the same wrong answer (% of the pictures)")
    return figure


@styled
def per_class_bars(
    reports: pd.DataFrame | Mapping[str, pd.DataFrame], *, metric: str = "f1"
) -> Figure:
    """Draw one metric of each expression: bars of one run, or dots of several with their values.

    Parameters
    ----------
    reports : DataFrame, or mapping of names to DataFrames
        From `evaluation.report`: index expressions and "macro average", columns precision,
        recall, f1 (0 … 1) and support.
    metric : {"f1", "precision", "recall"}
    """
    label = {"f1": "F1", "precision": "precision", "recall": "recall"}.get(metric)
    if label is None:
        raise DataError(f"metric {metric!r}: expected f1, precision or recall")
    reports = style.several(reports, (metric, "support"), "reports")
    first = next(iter(reports.values()))
    if any(list(table.index) != list(first.index) for table in reports.values()):
        raise DataError("reports: expected the same expressions in each")
    names = [name for name in first.index if not str(name).endswith(" average")]
    table = pd.DataFrame({run: one[metric] for run, one in reports.items()})
    table = table.loc[[*names, "macro average"]]
    lines = [f"{name}  (n = {first.loc[name, 'support']:,})" for name in names]
    several = len(reports) > 1
    width = 6.4 + 0.75 * len(reports) if several else 7.5
    figure, ((axes,),) = style.sheet(width, 0.48 * len(table) + 1.4)
    if several:
        handles = _dots(axes, table)
        style.name_lines(axes, [*lines, "macro average"])
        axes.axhline(len(names) - 0.5, color="#9A9A9A", linewidth=0.8)
        axes.set(xlabel=f"{label} (each line's highest is bold)", ylabel="")
    else:
        _class_bars(axes, names, table.loc[names].to_numpy().ravel(), label)
        axes.set_yticks(range(len(names)), lines)
        white = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        for bars in axes.containers:
            axes.bar_label(bars, fmt="%.2f", padding=4, bbox=white)
        mean = table.loc["macro average"].item()
        handles = [axes.axvline(mean, color=INK, linewidth=1.3, linestyle=style.DASHED)]
        handles[0].set_label(f"macro average {mean:.3f}")
        axes.set_xlim(0, 1.06)
    style.legend_below(figure, handles)
    return figure


def _dots(axes: Axes, table: pd.DataFrame) -> list[Line2D]:
    """Draw a line for each row and a mark for each column, its values at the right in a column."""
    import seaborn

    places = np.arange(len(table))
    axes.hlines(places, table.min(axis=1), table.max(axis=1), color="#BFBFBF", linewidth=2)
    handles = []
    for at, run in enumerate(table):
        shape = {key: style.look(at)[key] for key in ("color", "marker")}
        dots = {"s": 80, "edgecolor": "white", "zorder": 3, **shape}
        seaborn.scatterplot(x=table[run].to_numpy(), y=places, ax=axes, **dots)
        handles.append(Line2D([], [], label=run, **style.mark(**shape)))
        points = 28 + 46 * at
        for place, value in zip(places, table[run], strict=True):
            weight = "bold" if value == table.iloc[place].max() else "normal"
            style.beside(axes, place, f"{value:.2f}", points, ha="center", fontweight=weight)
        head = {"color": shape["color"], "ha": "center", "fontsize": 15}
        style.beside(axes, -0.75, "●■◆▲▼✚✖"[at % 7], points, **head)
    axes.margins(x=0.06)
    return handles


@styled
def recall_elsewhere(table: pd.DataFrame, *, names: tuple[str, str] = ("home", "away")) -> Figure:
    """Draw each class's recall at home (filled) and away, joined, a panel a network.

    Parameters
    ----------
    table : DataFrame
        From `robustness.by_class`. Index: network, expression; columns ``n_home``,
        ``recall_home``, ``recall_home_low``, ``recall_home_high`` (0 … 1), the same of "away".
    names : (str, str)
        What the two data sets are called.
    """
    values = {
        place: [f"recall_{place}{end}" for end in ("", "_low", "_high")]
        for place in ("home", "away")
    }
    style.require_columns(table, ["n_home", "n_away", *values["home"], *values["away"]], "table")
    if table.index.names != ["network", "expression"]:
        raise DataError("table: expected an index of network and expression")
    networks, expressions = (table.index.unique(level) for level in table.index.names)
    columns = min(2, len(networks))
    rows = -(-len(networks) // columns)
    size = 3.6 * columns + 1.9, (0.52 * len(expressions) + 0.7) * rows + 0.9
    shared = {"sharex": True, "sharey": True}
    figure, cells = style.sheet(*size, rows, columns, **shared)
    for axes, network in zip(cells.flat, networks, strict=False):
        lines = []
        for at, expression in enumerate(expressions):
            row, color = table.loc[(network, expression)], color_of(expression)
            joined = 100 * row[["recall_home", "recall_away"]]
            axes.plot(joined, [at - 0.13, at + 0.13], color=color, linewidth=1, linestyle="--")
            style.interval(axes, at - 0.13, 100 * row[values["home"]], color)
            away = {"marker": "D", "filled": False}
            style.interval(axes, at + 0.13, 100 * row[values["away"]], color, **away)
            lines.append(f"{expression}\nn = {row['n_home']:,.0f} and {row['n_away']:,.0f}")
        style.name_lines(axes, lines)
        axes.set(title=network, xlim=(-2.5, 102.5))
    for axes in cells.flat[len(networks) :]:
        axes.set_visible(False)
    for axes in cells[-1]:
        axes.set_xlabel("recall (% of the class)")
    looks = (style.mark("o", QUIET), style.mark("D", QUIET, False))
    said = [f"{name}, 95% interval" for name in names]
    handles = [Line2D([], [], label=text, **one) for text, one in zip(said, looks, strict=True)]
    style.legend_below(figure, handles)
    return figure
