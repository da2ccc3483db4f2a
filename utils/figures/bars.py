"""What a data set holds, how well each class is found, and accuracies: bars and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import patches
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from utils.figures.style import INK, QUIET, Figure, color_of, require_some, set_title, styled
from utils.runtime import DataError

#: Bars of more runs than these stand too close for their values.
MOST_LABELLED = 3


@styled
def class_counts(counts: pd.DataFrame, *, title: str = "", same_scale: bool = True) -> Figure:
    """Draw how many pictures each expression has, a panel a column.

    Parameters
    ----------
    counts : DataFrame
        Index: expressions; columns: splits, or "before" and "after"; a column "all" beside
        others is left out.
    title : str
    same_scale : bool
        Whether the panels share their scale; without it, each fills its own.

    Returns
    -------
    Figure
    """
    columns = [name for name in counts.columns if name != "all"] or list(counts.columns)
    require_some(columns, "counts")
    names = [str(name) for name in counts.index]
    figure = Figure(figsize=(1.0 + 3.0 * len(columns), 0.36 * len(names) + 1.1))
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    most = {name: max(1, counts[name].max()) for name in columns}
    if same_scale:
        most = dict.fromkeys(columns, max(most.values()))
    for axes, column in zip(panels, columns, strict=True):
        values = counts[column].to_numpy()
        axes.barh(names, values, color=[color_of(name) for name in names], height=0.72)
        total = max(1, values.sum())
        for at, value in enumerate(values):
            text = f" {value:,} · {value / total:.1%}"
            axes.text(value, at, text, va="center", fontsize=8.5, color=INK)
        axes.set_title(f"{column}: {values.sum():,}")
        axes.set(xlim=(0, 1.62 * most[column]), xlabel="pictures")
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, prune=None))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    panels[0].invert_yaxis()
    set_title(figure, title)
    return figure


@styled
def per_class_bars(
    reports: pd.DataFrame | Mapping[str, pd.DataFrame], *, metric: str = "f1", title: str = ""
) -> Figure:
    """Draw one metric of each expression, with the macro average as a line.

    Parameters
    ----------
    reports : DataFrame, or mapping of names to DataFrames
        From `evaluation.report`; several are drawn as groups of bars, which carry their values
        where there is room for them: up to `MOST_LABELLED`.
    metric : {"f1", "precision", "recall"}
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        For an unknown metric, or reports about different expressions.
    """
    reports = {"": reports} if isinstance(reports, pd.DataFrame) else dict(reports)
    require_some(reports, "reports")
    label = {"f1": "F1", "precision": "precision", "recall": "recall"}.get(metric)
    if label is None:
        raise DataError(f"metric {metric!r}: expected f1, precision or recall")
    tables = list(reports.values())
    names = [name for name in tables[0].index if not str(name).endswith(" average")]
    if any(list(table.index) != list(tables[0].index) for table in tables):
        raise DataError("reports: expected the same expressions in each")
    figure = Figure(figsize=(9, 3.9))
    axes = figure.subplots()
    width = 0.8 / len(tables)
    places = np.arange(len(names))
    hatches = ("", "///", "...", "xx", "\\\\\\")
    entries: dict[str, Any] = {}
    styles = ((0, ()), (0, (5, 3)), (0, (1, 2)), (0, (5, 2, 1, 2)), (0, (8, 3)))
    for at, (name, table) in enumerate(reports.items()):
        values = table.loc[names, metric].to_numpy()
        shift = (at - (len(tables) - 1) / 2) * width
        hatch, style = hatches[at % len(hatches)], styles[at % len(styles)]
        bars = axes.bar(
            places + shift,
            values,
            width=0.92 * width,
            color=[color_of(expression) for expression in names],
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
        )
        if len(tables) <= MOST_LABELLED:
            axes.bar_label(
                bars,
                [f"{value:.2f}" for value in values],
                fontsize=9.5 if len(tables) < 3 else 8,
                padding=3,
                bbox={"boxstyle": "square,pad=0.08", "facecolor": "white", "edgecolor": "none"},
            )
        mean = table.loc["macro average", metric]
        axes.axhline(mean, color=INK, linewidth=1.1, linestyle=style, zorder=0.5)
        entry = f"macro average {mean:.3f}"
        line = Line2D([], [], color=INK, linewidth=1.1, linestyle=style)
        patch = patches.Patch(facecolor="#9A9A9A", edgecolor="white", linewidth=0, hatch=hatch)
        entries[f"{name}, {entry}" if name else entry] = (patch, line) if name else line
    support = tables[0].loc[names, "support"]
    axes.set_xticks(places, [f"{name}\nn = {support[name]:,}" for name in names], fontsize=10.5)
    axes.set(ylim=(0, 1.06), ylabel=label)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=min(3, len(entries)),
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.8)},
        handlelength=4.5 if len(tables) > 1 else 2,
    )
    set_title(figure, title)
    return figure


@styled
def accuracy_intervals(
    table: pd.DataFrame, *, reference: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """Draw accuracies with their intervals, a line each.

    Parameters
    ----------
    table : DataFrame
        Index: names; columns ``accuracy``, ``low``, ``high``, 0 … 1.
    reference : mapping of names to shares 0 … 1, optional
        Marked by dotted upright lines: figures from elsewhere, to be cited in the text.
    title : str

    Returns
    -------
    Figure
    """
    require_some(table, "table")
    reference = dict(reference or {})
    figure = Figure(figsize=(8, 0.5 * len(table) + 1.2 + 0.25 * len(reference)))
    axes = figure.subplots()
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    places = np.arange(len(table))
    accuracy = 100 * table["accuracy"].to_numpy()
    low, high = 100 * table["low"].to_numpy(), 100 * table["high"].to_numpy()
    axes.errorbar(
        accuracy,
        places,
        xerr=np.stack([accuracy - low, high - accuracy]),
        linestyle="none",
        marker="o",
        markersize=8,
        capsize=5,
        color=color,
        elinewidth=2,
        capthick=2,
    )
    for place, value, bottom, top in zip(places, accuracy, low, high, strict=True):
        axes.annotate(
            f"{value:.1f}  ({bottom:.1f} to {top:.1f})",
            (value, place),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9.5,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"},
        )
    axes.set_yticks(places, [str(name) for name in table.index], fontsize=10.5)
    axes.set_ylim(len(table) - 0.4, -0.75 - 0.45 * len(reference))
    for at, (name, share) in enumerate(reference.items()):
        axes.axvline(100 * share, color=QUIET, linewidth=1.2, linestyle=(0, (1, 2)), zorder=0.5)
        height = -0.72 - 0.45 * (len(reference) - 1 - at)
        axes.annotate(
            f"{name} {100 * share:.1f}",
            (100 * share, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=QUIET,
        )
    axes.margins(x=0.16)
    axes.set(xlabel="accuracy (%), with its 95% interval")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    set_title(figure, title)
    return figure
